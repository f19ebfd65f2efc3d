//! Random worlds: facts, a wish, limits and an instant. Every value that can hinder is there, but
//! rare enough that a good part of the worlds end in a grant.
//!
//! The strategies are boxed one by one: unboxed, their one type would not fit on a test's stack.

use ipnet::IpNet;
use procura_domain::{
    Access, AccessRequest, ByKey, Facts, KeyBounds, Limits, Mandate, Permissions, Refusal,
    Relationship, RelationshipKind, RelationshipRole, RelationshipState, TenantStatus, UserRole,
    Wish,
    access_request::{Answer, Given},
    decide,
    decision::{ClientFacts, SubjectFacts, TargetFacts},
    hours::{Day, Hours, Window},
    quota::Counted,
    relationship::{Approval, Conditions, Origin, Side},
};
use procura_token::{
    AccessRequestId, ApiKeyId, Purpose, RelationshipId, Scope, TenantId, Ts, UserId,
};
use proptest::{
    collection::vec as vec_of,
    prelude::*,
    sample::{Index, select, subsequence},
};

/// All that a decision depends on.
#[derive(Clone, Debug)]
pub struct World {
    pub facts: Facts,
    pub wish: Wish,
    pub limits: Limits,
    pub now: Ts,
}

impl World {
    pub fn decide(&self) -> Result<Mandate, Refusal> {
        decide(&self.facts, &self.wish, self.limits, self.now)
    }

    /// The edges that lead from home to the target.
    pub fn leads(&self, edge: &Relationship) -> bool {
        edge.partner == self.wish.home && Some(edge.customer) == self.wish.target
    }

    /// The same world with the edges that satisfy the predicate.
    pub fn with_edges(&self, mut keep: impl FnMut(&Relationship) -> bool) -> Self {
        let mut world = self.clone();
        world.facts.relationships.retain(|edge| keep(edge));
        world
    }
}

pub const HOME: TenantId = TenantId::from_bits(0xa);
pub const TARGET: TenantId = TenantId::from_bits(0xb);
pub const THIRD: TenantId = TenantId::from_bits(0xc);
pub const FOURTH: TenantId = TenantId::from_bits(0xd);

/// The users of all tenants.
pub fn users() -> [UserId; 3] {
    [1, 2, 3].map(UserId::from_bits)
}

pub const ACRS: &[&str] =
    &["urn:procura:acr:pwd", "urn:procura:acr:mfa", "urn:procura:acr:phr", "urn:example:acr:other"];

/// What can be asked for: of every role something, of the never-delegable something, patterns.
pub const ASKED: &[&str] = &[
    "partner.billing.read",
    "partner.billing.invoices.export",
    "partner.support.tickets.list",
    "partner.support.tickets.create",
    "partner.reports.usage.read",
    "tenant.settings.read",
    "tenant.settings.write",
    "tenant.users.list",
    "tenant.users.reset_password",
    "tenant.audit.read",
    "pii.unmask",
    "acme.valves.open",
    "secrets.overwrite",
    "secrets.read",
    "tenant.relationships.end",
    "tenant.partner_access.write",
    "tenant.keys.read",
    "procura.operator",
    "*",
    "secrets.*",
    "tenant.*",
];

/// What a set can hold besides.
const HELD: &[&str] =
    &["partner.*", "partner.billing.*", "tenant.*", "secrets.*", "pii.*", "*", "acme.*"];

/// Mostly the first, and one of the others in about one case of `odds`.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    odds: u32,
    usual: T,
    others: Vec<T>,
) -> BoxedStrategy<T> {
    prop_oneof![odds - 1 => Just(usual), 1 => select(others)].boxed()
}

fn names(from: Vec<&'static str>) -> impl Strategy<Value = Vec<&'static str>> {
    let most = from.len();
    subsequence(from, 0..=most)
}

/// A set of permissions and patterns.
pub fn permissions() -> BoxedStrategy<Permissions> {
    let all: Vec<_> = ASKED.iter().chain(HELD).copied().collect();
    prop_oneof![
        2 => Just(Permissions::everything()),
        1 => names(HELD.to_vec()).prop_map(|names| names.into_iter().collect()),
        2 => names(all).prop_map(|names| names.into_iter().collect()),
    ]
    .boxed()
}

/// An instant near now, to the microsecond or to the second.
fn near(now: Ts) -> BoxedStrategy<Ts> {
    prop_oneof![
        3 => (100_i64..1200).prop_map(move |secs| now.plus_secs(secs)),
        3 => (400_000_000_i64..9_000_000_000).prop_map(move |micros| Ts(now.0 + micros)),
        1 => (-1_500_000_i64..3_000_000).prop_map(move |micros| Ts(now.0 + micros)),
    ]
    .boxed()
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    odds: u32,
    some: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    prop_oneof![odds - 1 => Just(None), 1 => some.prop_map(Some)].boxed()
}

/// Networks that overlap, hold each other, or hold nobody.
pub fn networks() -> BoxedStrategy<Vec<IpNet>> {
    let all = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "2001:db8::/32", "::/0"];
    subsequence(all.map(|text| text.parse().unwrap()).to_vec(), 0..=4).boxed()
}

/// Hours of whole days, or of parts of them, east and west.
pub fn hours() -> BoxedStrategy<Hours> {
    let window = (subsequence(Day::ALL.to_vec(), 1..=7), 0_u32..24, 1_u32..=24).prop_map(
        |(days, from, length)| Window {
            days,
            from: format!("{from:02}:00").parse().unwrap(),
            to: format!("{:02}:00", (from + length).min(24)).parse().unwrap(),
        },
    );
    (-14_i32..=14, vec_of(window, 1..4))
        .prop_map(|(offset, windows)| Hours { utc_offset_minutes: offset * 60, windows })
        .boxed()
}

fn conditions() -> BoxedStrategy<Conditions> {
    let acr = select(ACRS).prop_map(String::from);
    let idps = subsequence(vec!["corp".to_owned(), "home".to_owned()], 0..=2);
    let people = subsequence(users().to_vec(), 0..=3);
    (
        maybe(4, acr),
        maybe(4, 0_i64..4000),
        maybe(5, idps),
        maybe(5, people),
        maybe(5, networks()),
        maybe(5, hours()),
        mostly(5, false, vec![true]),
        mostly(3, true, vec![false]),
    )
        .prop_map(|(min_acr, max_age_secs, idps, people, networks, hours, purpose, automation)| {
            Conditions {
                min_acr,
                max_age_secs,
                trusted_idps: idps,
                assigned_to: people,
                networks,
                hours,
                require_purpose: purpose,
                allow_automation: automation,
            }
        })
        .boxed()
}

/// An edge of this kind between these two.
fn edge(
    kind: RelationshipKind,
    ends: (TenantId, TenantId),
    now: Ts,
) -> BoxedStrategy<Relationship> {
    use Access::{Off, On, Restricted};
    use RelationshipRole as Role;
    let usual = match kind {
        RelationshipKind::Manages => Role::MspFull,
        RelationshipKind::Trust => Role::TenantAdmin,
    };
    let life = (
        mostly(8, RelationshipState::Active, RelationshipState::ALL.to_vec()),
        select(vec![None, Some(Side::Partner), Some(Side::Customer), Some(Side::Operator)]),
        maybe(5, prop_oneof![Just(Ts(now.0 - 1)), Just(now), near(now)]),
        maybe(2, near(now)),
    );
    let power = (
        mostly(2, usual, Role::ALL.to_vec()),
        maybe(3, permissions()),
        mostly(8, On, vec![Restricted, Restricted, Off]),
        mostly(11, Approval::Standing, vec![Approval::EachTime]),
        conditions(),
    );
    (life, power, any::<u64>())
        .prop_map(move |(life, power, id)| Relationship {
            id: RelationshipId::from_bits(u128::from(id) << 8 | kind as u128),
            partner: ends.0,
            customer: ends.1,
            kind,
            origin: Origin::Requested,
            role: power.0,
            custom_permissions: power.1,
            state: life.0,
            suspended_by: life.1,
            starts_at: life.2,
            ends_at: life.3,
            renews_for_days: None,
            access: power.2,
            approval: power.3,
            conditions: power.4,
            version: 1,
        })
        .boxed()
}

/// At most one edge of each kind and pair, in any order.
fn edges(now: Ts) -> BoxedStrategy<Vec<Relationship>> {
    use RelationshipKind::{Manages, Trust};
    let other =
        |ends| maybe(3, select(RelationshipKind::ALL).prop_flat_map(move |k| edge(k, ends, now)));
    let right = prop_oneof![
        6 => edge(Manages, (HOME, TARGET), now).prop_map(|edge| vec![edge]),
        5 => edge(Trust, (HOME, TARGET), now).prop_map(|edge| vec![edge]),
        5 => (edge(Manages, (HOME, TARGET), now), edge(Trust, (HOME, TARGET), now))
            .prop_map(|(manages, trust)| vec![manages, trust]),
        1 => Just(vec![]),
    ];
    (right, other((TARGET, HOME)), other((HOME, THIRD)), other((THIRD, TARGET)))
        .prop_map(|(right, back, out, onward)| {
            right.into_iter().chain(back).chain(out).chain(onward).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .boxed()
}

fn subject(now: Ts) -> BoxedStrategy<SubjectFacts> {
    let roles = prop_oneof![
        6 => Just(vec![UserRole::PartnerAdmin, UserRole::TenantAdmin]),
        5 => subsequence(UserRole::ALL.to_vec(), 1..=8),
        1 => subsequence(UserRole::ALL.to_vec(), 0..=1),
    ];
    (
        mostly(60, false, vec![true]),
        mostly(60, true, vec![false]).prop_flat_map(move |is| {
            let end = near(now).prop_map(Some);
            if is { end.boxed() } else { Just(None).boxed() }
        }),
        mostly(60, true, vec![false]),
        maybe(4, near(now)),
        roles,
        mostly(60, TenantStatus::Active, TenantStatus::ALL.to_vec()),
    )
        .prop_map(|(is_revoked, session_ends_at, is_active, ends_at, roles, home)| SubjectFacts {
            is_revoked,
            session_ends_at,
            is_active,
            ends_at,
            roles,
            home,
        })
        .boxed()
}

/// A request under the edge that is drawn, mostly approved.
fn request(now: Ts) -> BoxedStrategy<(Index, AccessRequest)> {
    let purpose = Purpose { code: "support".into(), r#ref: None };
    let scope = || {
        let some = names(ASKED.to_vec());
        let names = prop_oneof![4 => Just(ASKED.to_vec()), 1 => some];
        names.prop_map(|names| names.into_iter().collect::<Scope>())
    };
    let given = (scope(), near(now), maybe(6, near(now)));
    let given = given.prop_map(|(scope, until, ended_at)| Given { scope, until, ended_at });
    let lately = || (-600_i64..0).prop_map(move |secs| now.plus_secs(secs));
    let answer = (lately(), mostly(6, true, vec![false]), given);
    let answer = answer.prop_map(|(at, is_yes, given)| Answer {
        at,
        by: None,
        given: is_yes.then_some(given),
    });
    let answer = prop_oneof![1 => Just(None), 3 => answer.prop_map(Some)];
    (
        any::<Index>(),
        mostly(4, Some(purpose), vec![None]),
        scope(),
        prop_oneof![lately(), near(now)],
        answer,
        mostly(12, false, vec![true]),
    )
        .prop_map(move |(edge, purpose, scope, lapses_at, answer, is_by_key)| {
            let request = AccessRequest {
                id: AccessRequestId::from_bits(1),
                relationship: RelationshipId::from_bits(0),
                partner: HOME,
                customer: TARGET,
                user: users()[0],
                key: is_by_key.then_some(KEY),
                client: "cli_portal".parse().unwrap(),
                audience: "https://api.example".into(),
                scope,
                purpose,
                asked_at: now,
                lapses_at,
                answer,
            };
            (edge, request)
        })
        .boxed()
}

/// The one by which is asked, now or in the past.
pub const KEY: ApiKeyId = ApiKeyId::from_bits(1);

/// A key with some bounds, or none.
fn key() -> BoxedStrategy<ByKey> {
    let tenants = prop_oneof![3 => Just(vec![THIRD, TARGET]), 1 => Just(vec![THIRD])];
    (permissions(), maybe(3, tenants), maybe(5, networks()))
        .prop_map(|(permissions, tenants, networks)| ByKey {
            id: KEY,
            bounds: KeyBounds { permissions, tenants, networks },
        })
        .boxed()
}

fn wish(now: Ts) -> BoxedStrategy<Wish> {
    let scope = prop_oneof![
        1 => Just(None),
        3 => names(ASKED.to_vec()).prop_map(|names| Some(names.into_iter().collect::<Scope>())),
    ];
    let purpose = Purpose { code: "support".into(), r#ref: None };
    (
        mostly(30, Some(TARGET), vec![None, Some(THIRD), Some(HOME), Some(HOME)]),
        mostly(60, true, vec![false]),
        scope,
        mostly(3, Some(purpose), vec![None]),
        maybe(8, Just(())).prop_flat_map(|no| {
            let acr = select(ACRS).prop_map(|acr| Some(acr.to_owned()));
            if no.is_none() { acr.boxed() } else { Just(None).boxed() }
        }),
        mostly(16, Some(0), vec![None, Some(30), Some(4000)]),
        mostly(4, Some("home".to_owned()), vec![None, Some("corp".to_owned())]),
        mostly(4, Some("10.1.2.3"), vec![None, Some("192.0.2.9"), Some("2001:db8::1")]),
        maybe(28, key()),
    )
        .prop_map(move |(target, may_switch, scope, purpose, acr, age, idp, ip, key)| Wish {
            user: users()[0],
            home: HOME,
            target,
            may_switch,
            scope,
            purpose,
            acr,
            auth_time: age.map(|age: i64| now.plus_secs(-age)),
            idp,
            ip: ip.map(|ip: &str| ip.parse().unwrap()),
            key,
        })
        .boxed()
}

/// Tokens of a day, mostly fewer than there may be.
fn counted() -> BoxedStrategy<Counted> {
    let limited = (0_u64..100, mostly(30, 100, vec![0, 1, 50]));
    prop_oneof![
        1 => (0_u64..100).prop_map(|used| Counted { used, limit: None }),
        1 => limited.prop_map(|(used, limit)| Counted { used, limit: Some(limit) }),
    ]
    .boxed()
}

/// A world.
pub fn world() -> BoxedStrategy<World> {
    (1_700_000_000_000_000_i64..1_700_000_005_000_000)
        .prop_map(Ts)
        .prop_flat_map(|now| {
            let target = (
                mostly(40, Some(None), vec![None, Some(Some(HOME)), Some(Some(THIRD))]),
                mostly(30, TenantStatus::Active, TenantStatus::ALL.to_vec()),
                mostly(8, Access::On, vec![Access::Restricted, Access::Restricted, Access::Off]),
            );
            let client = (mostly(60, true, vec![false]), permissions())
                .prop_map(|(is_usable, permissions)| ClientFacts { is_usable, permissions });
            let audience = (mostly(60, true, vec![false]), permissions())
                .prop_map(|(is_known, permissions)| is_known.then_some(permissions));
            let ttl = mostly(4, 300, vec![-1, 0, 1, 60, 900, 901, 86_400, i64::MAX]);
            let asked = (wish(now), vec_of(request(now), 0..6), counted(), counted());
            (client, subject(now), audience, target, edges(now), asked, ttl).prop_map(
                move |(client, subject, audience, target, relationships, asked, ttl)| {
                    let (wish, requests, partner_tokens, customer_tokens) = asked;
                    let (found, status, access) = target;
                    // Mostly the store finds what was asked for.
                    let id = found.and_then(|other| other.or(wish.target));
                    let target = id.map(|id| TargetFacts { id, status, access });
                    let is_right =
                        |edge: &&Relationship| (edge.partner, edge.customer) == (HOME, TARGET);
                    let right: Vec<_> = relationships.iter().filter(is_right).collect();
                    let under = |(edge, request): (Index, AccessRequest)| {
                        let edge = one_of(&right, edge)?;
                        Some(AccessRequest { relationship: edge.id, ..request })
                    };
                    let access_requests = requests.into_iter().filter_map(under).collect();
                    let facts = Facts {
                        client,
                        subject,
                        audience,
                        target,
                        relationships,
                        access_requests,
                        partner_tokens,
                        customer_tokens,
                    };
                    World { facts, wish, limits: Limits { ttl_secs: ttl }, now }
                },
            )
        })
        .boxed()
}

/// Where a random choice falls among so many.
pub fn one_of<T>(items: &[T], index: Index) -> Option<&T> {
    if items.is_empty() { None } else { Some(index.get(items)) }
}
