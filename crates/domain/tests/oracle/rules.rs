//! The second oracle: the decision as flat rules, in the order of wire.md, "Order of checks". The
//! first row that applies is the answer. It shares no code with `decision.rs`, not even the set of
//! permissions, the order of the refusals or the arithmetic of the end.

use procura_domain::{
    Access, Refusal, RelationshipKind, RelationshipState as State, TenantStatus,
    relationship::Approval,
};

use crate::{
    catalogue::{Bits, Catalogue},
    world::{Asked, Edge, Ends, Found, Listed, Said, Week, World},
};

/// What the oracle grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub kind: RelationshipKind,
    pub scope: Bits,
    /// In microseconds of the epoch.
    pub token_end: i64,
    pub delegation_end: i64,
}

type Before = (Refusal, fn(&World) -> bool);
type AtEdge = (Refusal, fn(&World, &Edge) -> bool);

/// Steps 1 to 5: before any edge is looked at.
#[rustfmt::skip]
const BEFORE: &[Before] = &[
    (Refusal::ClientUnusable,     |w| !w.client_usable),
    (Refusal::SubjectRevoked,     |w| w.revoked),
    (Refusal::SessionEnded,       |w| w.session.is_none() || has_passed(w.session)),
    (Refusal::UserInactive,       |w| !w.user_active || has_passed(w.user_over)),
    (Refusal::HomeTenantInactive, |w| w.home != TenantStatus::Active),
    (Refusal::SwitchNotPermitted, |w| !w.may_switch),
    (Refusal::KeyNetworkNotAdmitted, |w| w.key.is_some_and(|key| !is_inside(w, key.networks))),
    (Refusal::AudienceNotAllowed, |w| w.audience.is_none()),
    (Refusal::TenantUnknown,      |w| !w.is_target_named || w.found == Found::Nothing || w.found == Found::AnotherTenant),
    (Refusal::TenantIsHome,       |w| w.found == Found::OwnTenant),
    (Refusal::TenantInactive,     |w| w.target != TenantStatus::Active),
    (Refusal::KeyNotForTenant,    |w| w.key.is_some_and(|key| key.tenants == Listed::Another)),
];

/// Steps 5 to 7, for one edge that leads from home to the target.
#[rustfmt::skip]
const AT_EDGE: &[AtEdge] = &[
    (Refusal::RelationshipRequested,  |_, e| e.state == State::Requested),
    (Refusal::RelationshipDeclined,   |_, e| e.state == State::Declined || e.state == State::Expired),
    (Refusal::RelationshipSuspended,  |_, e| e.state == State::Suspended && !has_passed(e.over)),
    (Refusal::RelationshipEnded,      |_, e| e.state == State::Ended || has_passed(e.over)),
    (Refusal::RelationshipNotStarted, |_, e| e.starts.is_some_and(|at| at > 0)),
    (Refusal::PartnerAccessOff,       |w, e| w.target_access == Access::Off || e.access == Access::Off),
    (Refusal::RoleNotCovered,         |w, e| !w.user_roles.iter().any(|role| can_enter(*role, e.kind)) || (w.key.is_some() && e.kind == RelationshipKind::Trust)),
    (Refusal::NotAssigned,            |_, e| e.assigned == Listed::Another),
    (Refusal::IdpNotTrusted,          |w, e| !is_idp_trusted(w, e)),
    (Refusal::AutomationNotAllowed,   |w, e| w.key.is_some() && !e.automation),
    (Refusal::StepUpRequired,         |w, e| is_login_weak(w, e) || is_login_old(w, e)),
    (Refusal::NetworkNotAdmitted,     |w, e| !is_inside(w, e.networks)),
    (Refusal::OutsideHours,           |_, e| e.hours == Week::OtherDays),
    (Refusal::PurposeRequired,        |w, e| e.purpose && !w.purpose),
];

/// An end is not part of the time before it.
fn has_passed(offset: Option<i64>) -> bool {
    offset.is_some_and(|at| at <= 0)
}

/// mission.md, decided 3.
fn can_enter(role: procura_domain::UserRole, kind: RelationshipKind) -> bool {
    match kind {
        RelationshipKind::Manages => role.as_str().starts_with("partner-"),
        RelationshipKind::Trust => role.as_str() == "tenant-admin",
    }
}

/// The only provider that the cases trust, besides one that nobody uses, is "home".
fn is_idp_trusted(world: &World, edge: &Edge) -> bool {
    match edge.trusted_idps {
        Listed::Nobody => true,
        Listed::Me => world.key.is_none() && world.idp == Some("home"),
        Listed::Another => false,
    }
}

/// The only address inside of the networks is the usual one.
fn is_inside(world: &World, networks: Listed) -> bool {
    match networks {
        Listed::Nobody => true,
        Listed::Me => world.ip == Some("10.1.2.3") || world.ip == Some("::ffff:10.1.2.3"),
        Listed::Another => world.ip == Some("2001:db8::1"),
    }
}

/// Which logins satisfy which demand, as a table. A demand that nobody knows is met by nobody.
fn is_login_weak(world: &World, edge: &Edge) -> bool {
    let suffices: &[&str] = match edge.min_acr {
        None => return false,
        Some("urn:procura:acr:pwd") => {
            &["urn:procura:acr:pwd", "urn:procura:acr:mfa", "urn:procura:acr:phr"]
        }
        Some("urn:procura:acr:mfa") => &["urn:procura:acr:mfa", "urn:procura:acr:phr"],
        Some("urn:procura:acr:phr") => &["urn:procura:acr:phr"],
        Some(_) => &[],
    };
    // A key is no login.
    world.key.is_some() || !world.acr.is_some_and(|acr| suffices.contains(&acr))
}

/// Older than `max_age` whole seconds; a login at an unknown time is older than everything.
fn is_login_old(world: &World, edge: &Edge) -> bool {
    let Some(max_age) = edge.max_age else { return false };
    world.key.is_some() || world.auth_age.is_none_or(|age| age.div_euclid(1_000_000) > max_age)
}

fn scope(rows: &Catalogue, world: &World, edge: &Edge) -> Bits {
    let asked = match (world.asked, edge.custom) {
        (Some(asked), _) => asked,
        (None, Some(custom)) => custom.named & rows.reads,
        (None, None) => rows.default(edge.role),
    };
    let user = world.user_roles.iter().fold(0, |held, role| held | rows.user(edge.kind, *role));
    let restricted =
        [world.target_access, edge.access].contains(&Access::Restricted).then_some(rows.reads);
    asked
        & user
        & edge.custom.map_or(rows.role(edge.role), |custom| custom.held)
        & world.client.held
        & world.key.map_or(rows.all, |key| key.set.held)
        & world.audience.map_or(0, |set| set.held)
        & restricted.unwrap_or(rows.all)
        & if world.purpose { rows.all } else { !rows.unmask }
        & !rows.never
        & !rows.patterns
}

const FIVE_MINUTES: i64 = 300_000_000;

/// Until when a permission has been approved: as long as the yes that runs longest.
fn approved_until(world: &World, edge: &Edge, permission: Bits) -> Option<i64> {
    let mut latest = None;
    for request in concerning(world, edge) {
        if let Said::Yes(given, until) = request.said
            && given & permission != 0
            && until > 0
            && latest.is_none_or(|other| until > other)
        {
            latest = Some(until);
        }
    }
    latest
}

fn concerning<'a>(world: &'a World, edge: &Edge) -> impl Iterator<Item = &'a Asked> {
    let (kind, purpose) = (edge.kind, world.purpose);
    // Whoever asked by nothing was logged in.
    let by = if world.key.is_some() { Listed::Me } else { Listed::Nobody };
    let requests = world.requests.iter().flatten();
    requests.filter(move |r| r.kind == kind && r.has_purpose == purpose && r.by == by)
}

/// How far towards a yes somebody is who has none for any of this: one row for each answer, the best last.
fn unapproved(world: &World, edge: &Edge, scope: Bits) -> (usize, Refusal) {
    let same = || concerning(world, edge).filter(|r| scope & !r.scope == 0);
    let is_late = |at: i64| at <= 0 && at > -FIVE_MINUTES;
    if same().any(|r| matches!(r.said, Said::Nothing(lapses) if lapses > 0)) {
        (4, Refusal::ApprovalPending)
    } else if same().any(|r| matches!(r.said, Said::No(at) | Said::TakenBack(at) if is_late(at))) {
        (3, Refusal::ApprovalDeclined)
    } else if same().any(|r| matches!(r.said, Said::Nothing(lapses) if is_late(lapses))) {
        (2, Refusal::ApprovalUnanswered)
    } else {
        (1, Refusal::ApprovalRequired)
    }
}

/// How far an edge comes: the number of the refusing row, or a grant.
fn at_edge(rows: &Catalogue, world: &World, edge: &Edge) -> Result<Grant, (usize, Refusal)> {
    if let Some(hit) = AT_EDGE.iter().position(|(_, applies)| applies(world, edge)) {
        return Err((hit, AT_EDGE[hit].0));
    }
    let mut scope = scope(rows, world, edge);
    if scope == 0 {
        return Err((AT_EDGE.len(), Refusal::NoScopeLeft));
    }
    for (row, refusal) in
        [Refusal::PartnerQuotaUsedUp, Refusal::CustomerQuotaUsedUp].into_iter().enumerate()
    {
        // One more would be more than there may be.
        if let (used, Some(most)) = world.tokens[row]
            && used + 1 > most
        {
            return Err((AT_EDGE.len() + 1 + row, refusal));
        }
    }
    let mut bounds: Vec<i64> = vec![];
    if edge.approval == Approval::EachTime {
        let asked = scope;
        for bit in (0..Bits::BITS).map(|n| 1 << n).filter(|bit| asked & bit != 0) {
            match approved_until(world, edge, bit) {
                Some(until) => bounds.push(until),
                None => scope &= !bit,
            }
        }
        if scope == 0 {
            let (further, refusal) = unapproved(world, edge, asked);
            return Err((AT_EDGE.len() + 2 + further, refusal));
        }
    }
    bounds.extend(world.session);
    bounds.extend(world.user_over);
    bounds.extend(edge.over);
    let delegation = bounds.iter().min().copied().unwrap_or_default();
    let ttl = if world.ttl > 900 { 900 } else { world.ttl.max(0) } * 1_000_000;
    // 01:57:00 is 119.5 seconds after now.
    let closing = if edge.hours == Week::ClosesSoon { 119_500_000 } else { i64::MAX };
    let end = world.now + delegation.min(ttl).min(closing);
    let token_end = end - end % 1_000_000;
    if token_end <= world.now {
        return Err((AT_EDGE.len() + 7, Refusal::NoTimeLeft));
    }
    Ok(Grant { kind: edge.kind, scope, token_end, delegation_end: world.now + delegation })
}

/// The answer.
pub fn oracle(rows: &Catalogue, world: &World) -> Result<Grant, Refusal> {
    if let Some((refusal, _)) = BEFORE.iter().find(|(_, applies)| applies(world)) {
        return Err(*refusal);
    }
    let mut furthest: Option<(usize, Refusal)> = None;
    for kind in [RelationshipKind::Manages, RelationshipKind::Trust] {
        for edge in world.edges.iter().flatten() {
            if edge.kind != kind || edge.ends != Ends::HomeToTarget {
                continue;
            }
            match at_edge(rows, world, edge) {
                Ok(grant) => return Ok(grant),
                Err(refused) if furthest.is_none_or(|(row, _)| row < refused.0) => {
                    furthest = Some(refused);
                }
                Err(_) => {}
            }
        }
    }
    Err(furthest.map_or(Refusal::NoRelationship, |(_, refusal)| refusal))
}
