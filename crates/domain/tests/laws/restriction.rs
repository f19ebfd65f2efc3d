//! Everything that somebody can do to give less: each changes one thing, on one side.

use procura_domain::{
    Access, ByKey, KeyBounds, Permissions, Relationship, RelationshipState, TenantStatus,
    access_request::{Answer, Given},
    hours::Hours,
    quota::Counted,
};
use procura_token::Ts;
use proptest::sample::Index;

use crate::world::{ACRS, FOURTH, KEY, THIRD, World, one_of, users};

/// Random numbers that a restriction may use.
pub type Draw = (Index, Index, i64);

/// What a restriction is called, and what it does.
pub type Restriction = (&'static str, fn(&mut World, Draw));

/// The edge that is drawn.
fn edge(world: &mut World, draw: Draw) -> Option<&mut Relationship> {
    let edges = &mut world.facts.relationships;
    if edges.is_empty() { None } else { Some(draw.0.get_mut(edges)) }
}

/// The answer that is drawn.
fn answer(world: &mut World, draw: Draw) -> Option<&mut Answer> {
    let requests = &mut world.facts.access_requests;
    if requests.is_empty() { None } else { draw.0.get_mut(requests).answer.as_mut() }
}

/// The yes that is drawn.
fn given(world: &mut World, draw: Draw) -> Option<&mut Given> {
    answer(world, draw)?.given.as_mut()
}

fn without(set: &Permissions, draw: Draw) -> Permissions {
    let all: Vec<_> = set.iter().collect();
    let gone = one_of(&all, draw.1).copied();
    all.iter().copied().filter(|p| Some(*p) != gone).collect()
}

/// The key by which it is asked for, which it is from now on.
fn key(world: &mut World) -> &mut KeyBounds {
    // A yes is for whom it was said to: one to the key would be news to the login.
    if world.wish.key.is_none() {
        world.facts.access_requests.retain(|request| request.key.is_none());
    }
    let open = || ByKey {
        id: KEY,
        bounds: KeyBounds { permissions: Permissions::everything(), tenants: None, networks: None },
    };
    &mut world.wish.key.get_or_insert_with(open).bounds
}

fn sooner(end: &mut Option<Ts>, world_now: Ts, draw: Draw) {
    let other = Ts(world_now.0 + draw.2);
    *end = Some(end.map_or(other, |end| end.min(other)));
}

/// A number where there was none, or one that is lower.
fn lower(counted: &mut Counted, draw: Draw) {
    let other = draw.0.index(200) as u64;
    counted.limit = Some(counted.limit.map_or(other, |limit| limit.min(other)));
}

/// A list where there was none, or one that is shorter.
fn fewer<T>(list: &mut Option<Vec<T>>, one: T, draw: Draw) {
    match list {
        None => *list = Some(vec![one]),
        Some(list) if list.is_empty() => {}
        Some(list) => drop(list.remove(draw.1.index(list.len()))),
    }
}

macro_rules! restrictions {
    ($($name:literal => |$world:ident, $draw:ident| $body:expr;)+) => {
        pub const RESTRICTIONS: &[Restriction] = &[$(($name, |$world, $draw| { $body; })),+];
    };
}

macro_rules! at_edge {
    ($world:ident, $draw:ident, |$edge:ident| $body:expr) => {
        if let Some($edge) = edge($world, $draw) {
            $body;
        }
    };
}

restrictions! {
    "disable the client" => |w, _d| w.facts.client.is_usable = false;
    "take a permission from the client" =>
        |w, d| w.facts.client.permissions = without(&w.facts.client.permissions, d);
    "revoke the subject token" => |w, _d| w.facts.subject.is_revoked = true;
    "end the session" => |w, _d| w.facts.subject.session_ends_at = None;
    "end the session sooner" => |w, d| {
        if w.facts.subject.session_ends_at.is_some() {
            sooner(&mut w.facts.subject.session_ends_at, w.now, d);
        }
    };
    "disable the user" => |w, _d| w.facts.subject.is_active = false;
    "end the user sooner" => |w, d| sooner(&mut w.facts.subject.ends_at, w.now, d);
    "take a role from the user" => |w, d| {
        let roles = &mut w.facts.subject.roles;
        if !roles.is_empty() {
            roles.remove(d.0.index(roles.len()));
        }
    };
    "count more tokens for the partner" =>
        |w, d| w.facts.partner_tokens.used += d.0.index(200) as u64;
    "count more tokens for the customer" =>
        |w, d| w.facts.customer_tokens.used += d.0.index(200) as u64;
    "lower the partner's quota" => |w, d| lower(&mut w.facts.partner_tokens, d);
    "lower the customer's quota" => |w, d| lower(&mut w.facts.customer_tokens, d);
    "suspend the home tenant" => |w, _d| w.facts.subject.home = TenantStatus::Suspended;
    "take the right to switch" => |w, _d| w.wish.may_switch = false;
    "close the audience" => |w, _d| w.facts.audience = None;
    "take a permission from the audience" =>
        |w, d| w.facts.audience = w.facts.audience.as_ref().map(|set| without(set, d));
    "delete the target" => |w, _d| w.facts.target = None;
    "suspend the target" => |w, _d| {
        if let Some(target) = &mut w.facts.target {
            target.status = TenantStatus::Suspended;
        }
    };
    "restrict the customer's access" => |w, _d| {
        if let Some(target) = &mut w.facts.target {
            target.access = target.access.min(Access::Restricted);
        }
    };
    "switch the customer's access off" => |w, _d| {
        if let Some(target) = &mut w.facts.target {
            target.access = Access::Off;
        }
    };
    "suspend the edge" => |w, d| at_edge!(w, d, |edge| edge.state = RelationshipState::Suspended);
    "end the edge" => |w, d| at_edge!(w, d, |edge| edge.state = RelationshipState::Ended);
    "drop the edge" => |w, d| {
        let edges = &mut w.facts.relationships;
        if !edges.is_empty() {
            edges.remove(d.0.index(edges.len()));
        }
    };
    "start the edge later" => |w, d| {
        let later = Ts(w.now.0 + d.2);
        at_edge!(w, d, |edge| edge.starts_at = Some(edge.starts_at.map_or(later, |at| at.max(later))));
    };
    "end the edge sooner" => |w, d| {
        let now = w.now;
        at_edge!(w, d, |edge| sooner(&mut edge.ends_at, now, d));
    };
    "restrict the edge's access" =>
        |w, d| at_edge!(w, d, |edge| edge.access = edge.access.min(Access::Restricted));
    "switch the edge's access off" => |w, d| at_edge!(w, d, |edge| edge.access = Access::Off);
    "take a custom permission" => |w, d| at_edge!(w, d, |edge| {
        edge.custom_permissions = edge.custom_permissions.as_ref().map(|set| without(set, d));
    });
    "demand a stronger login" => |w, d| at_edge!(w, d, |edge| {
        let held = edge.conditions.min_acr.as_ref();
        let held = held.and_then(|held| ACRS.iter().position(|acr| acr == held));
        // The list grows in strength; the unknown one, at its end, is met by nobody.
        let asked = d.1.index(ACRS.len());
        let at = held.map_or(asked, |held| held.max(asked));
        edge.conditions.min_acr = ACRS.get(at).map(|acr| (*acr).to_owned());
    });
    "demand a fresher login" => |w, d| at_edge!(w, d, |edge| {
        let asked = d.2 / 1_000_000;
        let held = edge.conditions.max_age_secs;
        edge.conditions.max_age_secs = Some(held.map_or(asked, |held| held.min(asked)));
    });
    "assign other people" => |w, d| at_edge!(w, d, |edge| {
        fewer(&mut edge.conditions.assigned_to, *d.1.get(&users()), d);
    });
    "trust fewer providers" => |w, d| at_edge!(w, d, |edge| {
        let one = if d.1.index(2) == 0 { "corp" } else { "home" };
        fewer(&mut edge.conditions.trusted_idps, one.to_owned(), d);
    });
    "admit fewer networks" => |w, d| at_edge!(w, d, |edge| {
        fewer(&mut edge.conditions.networks, "10.1.0.0/16".parse().unwrap(), d);
    });
    "open for fewer hours" => |w, d| at_edge!(w, d, |edge| {
        match &mut edge.conditions.hours {
            Some(hours) if hours.windows.is_empty() => {}
            Some(hours) => drop(hours.windows.remove(d.1.index(hours.windows.len()))),
            none => *none = Some(Hours { utc_offset_minutes: 0, windows: Vec::new() }),
        }
    });
    "demand a purpose" => |w, d| at_edge!(w, d, |edge| edge.conditions.require_purpose = true);
    // An approval is for its purpose: one for none is something else.
    "give no purpose" => |w, _d| {
        w.wish.purpose = None;
        w.facts.access_requests.retain(|request| request.purpose.is_some());
    };
    "demand approval each time" =>
        |w, d| at_edge!(w, d, |edge| edge.approval = procura_domain::relationship::Approval::EachTime);
    "decline what was approved" => |w, d| {
        if let Some(answer) = answer(w, d) {
            answer.given = None;
        }
    };
    "take an approval back" => |w, d| {
        let now = w.now;
        if let Some(given) = given(w, d) {
            given.ended_at = Some(now);
        }
    };
    "approve for less time" => |w, d| {
        let end = Ts(w.now.0 + d.2);
        if let Some(given) = given(w, d) {
            given.until = given.until.min(end);
        }
    };
    "approve less" => |w, d| {
        if let Some(given) = given(w, d) {
            let all: Vec<_> = given.scope.iter().map(ToOwned::to_owned).collect();
            let gone = one_of(&all, d.1).cloned();
            given.scope = given.scope.filtered(|p| Some(p) != gone.as_deref());
        }
    };
    "forget a request" => |w, d| {
        let requests = &mut w.facts.access_requests;
        if !requests.is_empty() {
            requests.remove(d.0.index(requests.len()));
        }
    };
    "come by a key instead of a login" => |w, _d| drop(key(w).clone());
    "take a permission from the key" => |w, d| {
        let key = key(w);
        key.permissions = without(&key.permissions, d);
    };
    "let the key into fewer tenants" => |w, d| fewer(&mut key(w).tenants, THIRD, d);
    "let the key come from fewer networks" => |w, d| {
        fewer(&mut key(w).networks, "10.1.0.0/16".parse().unwrap(), d);
    };
    "let no keys in" => |w, d| at_edge!(w, d, |edge| edge.conditions.allow_automation = false);
    "turn the edge elsewhere" => |w, d| at_edge!(w, d, |edge| edge.customer = FOURTH);
    "ask for less" => |w, d| {
        if let Some(scope) = &w.wish.scope {
            let all: Vec<_> = scope.iter().map(ToOwned::to_owned).collect();
            let gone = one_of(&all, d.1).cloned();
            w.wish.scope = Some(scope.filtered(|p| Some(p) != gone.as_deref()));
        }
    };
    "shorten tokens" => |w, d| w.limits.ttl_secs = w.limits.ttl_secs.min(d.2 / 1_000_000);
}
