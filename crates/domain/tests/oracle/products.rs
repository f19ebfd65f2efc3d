//! The products. Each is complete in its own factors and leaves the rest open; they overlap in the
//! factors that meet (state, access, roles, scope, purpose), so that no pair of checks that could
//! mask each other is left out.

use std::sync::LazyLock;

use procura_domain::{
    Access::{self, Off, On, Restricted},
    RelationshipKind::{self, Manages, Trust},
    RelationshipRole, RelationshipState as State, TenantStatus, UserRole,
    relationship::{
        Approval::{self, EachTime, Standing},
        Side,
    },
};

use crate::{
    catalogue::{Bits, Catalogue},
    odometer::Odometer,
    world::{Asked, Edge, Ends, Found, Key, Listed, Said, Set, Week, World},
};

pub type Product = fn(&mut Odometer) -> World;

pub const PRODUCTS: &[(&str, Product)] = &[
    ("edge", edge),
    ("before", before),
    ("conditions", conditions),
    ("place and hours", place_and_hours),
    ("permissions", permissions),
    ("two edges", two_edges),
    ("time", time),
    ("approval", approval),
    ("keys", keys),
    ("programs", programs),
    ("quotas", quotas),
];

const BOTH: &[bool] = &[true, false];
const KINDS: &[RelationshipKind] = &[Manages, Trust];
const ACCESS: &[Access] = &[On, Restricted, Off];
const STATUS: &[TenantStatus] = TenantStatus::ALL;
const SECOND: i64 = 1_000_000;

/// A factor whose values are single user roles, and none at all.
const SINGLE_ROLES: &[&[UserRole]] = &[
    &[UserRole::SuperAdmin],
    &[UserRole::TenantAdmin],
    &[UserRole::SupportAgent],
    &[UserRole::Member],
    &[UserRole::PartnerAdmin],
    &[UserRole::PartnerSupport],
    &[UserRole::PartnerBilling],
    &[UserRole::PartnerAuditor],
    &[],
];

struct Shared {
    sets: [Set; 5],
    asked: [Option<Bits>; 12],
}

/// Sets and requests that are worth crossing with each other.
static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let asked = |names: &[&str]| Some(Catalogue::named(names));
    Shared {
        sets: [
            Set::of(&["*"]),
            Set::of(&["partner.*", "tenant.users.list", "pii.unmask"]),
            Set::of(&["tenant.*", "secrets.*", "acme.valves.read", "pii.unmask"]),
            Set::of(&["partner.billing.read", "tenant.settings.write", "tenant.keys.read"]),
            Set::of(&[]),
        ],
        asked: [
            None,
            Some(0),
            Some(Catalogue::new().all),
            asked(&["pii.unmask"]),
            asked(&["tenant.users.list"]),
            asked(&["partner.billing.read", "pii.unmask"]),
            asked(&["tenant.settings.write", "tenant.settings.read"]),
            asked(&["secrets.read", "tenant.relationships.end", "procura.operator.read"]),
            asked(&["secrets.*", "tenant.*", "*"]),
            asked(&["acme.valves.read", "acme.valves.open"]),
            asked(&["tenant", "partner.billingx.read", "Tenant.users.list"]),
            asked(&["secrets.overwrite", "secrets.read", "tenant.users.reset_password"]),
        ],
    }
});

/// The edge itself: direction, state, dates, switches, role.
fn edge(pick: &mut Odometer) -> World {
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.ends = pick.pick(&[Ends::HomeToTarget, Ends::TargetToHome, Ends::OverAThird]);
    edge.state = pick.pick(State::ALL);
    edge.suspended_by =
        pick.pick(&[None, Some(Side::Partner), Some(Side::Customer), Some(Side::Operator)]);
    edge.starts = pick.pick(&[None, Some(-SECOND), Some(0), Some(1)]);
    edge.over = pick.pick(&[None, Some(-1), Some(0), Some(200 * SECOND)]);
    edge.access = pick.pick(ACCESS);
    let target_access = pick.pick(ACCESS);
    let user_roles = pick.pick(SINGLE_ROLES);
    let asked = pick.pick(&SHARED.asked[..3]);
    World { edges: [Some(edge), None], target_access, user_roles, asked, ..World::open() }
}

/// Client, subject, audience and target, with or without an edge that would refuse.
fn before(pick: &mut Odometer) -> World {
    let open = Edge::open(Manages);
    let off = Edge { access: Off, ..open };
    World {
        client_usable: pick.pick(BOTH),
        revoked: pick.pick(BOTH),
        session: pick.pick(&[None, Some(0), Some(600 * SECOND)]),
        user_active: pick.pick(BOTH),
        user_over: pick.pick(&[None, Some(-1), Some(SECOND)]),
        home: pick.pick(STATUS),
        may_switch: pick.pick(BOTH),
        audience: pick.pick(&[Some(SHARED.sets[0]), None]),
        is_target_named: pick.pick(BOTH),
        found: pick.pick(&[
            Found::TheTenant,
            Found::Nothing,
            Found::AnotherTenant,
            Found::OwnTenant,
        ]),
        target: pick.pick(STATUS),
        edges: [pick.pick(&[None, Some(open), Some(off)]), None],
        ..World::open()
    }
}

/// What an edge demands of the person and the login.
fn conditions(pick: &mut Odometer) -> World {
    const ACRS: &[Option<&str>] = &[
        None,
        Some("urn:example:acr:unknown"),
        Some("urn:procura:acr:pwd"),
        Some("urn:procura:acr:mfa"),
        Some("urn:procura:acr:phr"),
    ];
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.min_acr = pick.pick(ACRS);
    edge.max_age = pick.pick(&[None, Some(300)]);
    edge.assigned = pick.pick(&[Listed::Nobody, Listed::Me, Listed::Another]);
    edge.trusted_idps = pick.pick(&[Listed::Nobody, Listed::Me, Listed::Another]);
    edge.purpose = pick.pick(BOTH);
    edge.approval = pick.pick(Approval::ALL);
    World {
        acr: pick.pick(ACRS),
        auth_age: pick.pick(&[
            None,
            Some(-SECOND),
            Some(300 * SECOND),
            Some(301 * SECOND - 1),
            Some(301 * SECOND),
        ]),
        idp: pick.pick(&[None, Some("home"), Some("elsewhere")]),
        purpose: pick.pick(BOTH),
        user_roles: pick.pick(&[&[UserRole::PartnerAdmin, UserRole::TenantAdmin], &[]]),
        asked: pick.pick(&[None, SHARED.asked[3]]),
        edges: [Some(edge), None],
        ..World::open()
    }
}

/// From where and when, against what is demanded before and after it.
fn place_and_hours(pick: &mut Odometer) -> World {
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.networks = pick.pick(&[Listed::Nobody, Listed::Me, Listed::Another]);
    edge.hours = pick.pick(&[Week::Unbounded, Week::Always, Week::OtherDays, Week::ClosesSoon]);
    edge.min_acr = pick.pick(&[None, Some("urn:procura:acr:phr")]);
    edge.assigned = pick.pick(&[Listed::Nobody, Listed::Another]);
    edge.purpose = pick.pick(BOTH);
    edge.approval = pick.pick(Approval::ALL);
    edge.over = pick.pick(&[None, Some(60 * SECOND), Some(200 * SECOND)]);
    World {
        ip: pick.pick(&[
            Some("10.1.2.3"),
            Some("::ffff:10.1.2.3"),
            Some("10.2.2.3"),
            Some("2001:db8::1"),
            None,
        ]),
        acr: pick.pick(&[Some("urn:procura:acr:phr"), Some("urn:procura:acr:pwd")]),
        purpose: pick.pick(BOTH),
        ttl: pick.pick(&[300, 100]),
        user_roles: &[UserRole::PartnerAdmin, UserRole::TenantAdmin],
        asked: pick.pick(&[None, SHARED.asked[3]]),
        edges: [Some(edge), None],
        ..World::open()
    }
}

/// Step 7: every set crossed with every other.
fn permissions(pick: &mut Odometer) -> World {
    const ROLES: &[&[UserRole]] = &[
        &[UserRole::PartnerAdmin],
        &[UserRole::PartnerSupport],
        &[UserRole::PartnerBilling],
        &[UserRole::PartnerAuditor],
        &[UserRole::TenantAdmin],
        &[UserRole::PartnerSupport, UserRole::PartnerBilling, UserRole::TenantAdmin],
        &[UserRole::Member, UserRole::PartnerAuditor, UserRole::PartnerAuditor],
    ];
    let [all, partner, tenant, few, none] = SHARED.sets;
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.role = pick.pick(RelationshipRole::ALL);
    edge.custom = pick.pick(&[None, Some(all), Some(partner), Some(tenant), Some(few), Some(none)]);
    edge.access = pick.pick(&[On, Restricted]);
    World {
        user_roles: pick.pick(ROLES),
        client: pick.pick(&[all, partner, tenant, few]),
        audience: pick.pick(&[Some(all), Some(tenant), Some(few)]),
        purpose: pick.pick(BOTH),
        asked: pick.pick(&SHARED.asked),
        edges: [Some(edge), None],
        ..World::open()
    }
}

/// An edge of each kind: which answers, and which refusal is told.
fn two_edges(pick: &mut Odometer) -> World {
    const FLAWS: usize = 8;
    let mut draw = |kind| {
        let mut edge = Edge::open(kind);
        edge.state = pick.pick(State::ALL);
        edge.over = pick.pick(&[None, Some(0), Some(SECOND / 4)]);
        edge.access = pick.pick(&[On, Off]);
        match pick.pick(&[0, 1, 2, 3, 4, 5, 6, FLAWS]) {
            0 => edge.assigned = Listed::Another,
            1 => edge.trusted_idps = Listed::Another,
            2 => edge.min_acr = Some("urn:procura:acr:phr"),
            3 => edge.approval = EachTime,
            4 => edge.purpose = true,
            5 => edge.custom = Some(SHARED.sets[4]),
            6 => edge.starts = Some(1),
            _ => edge.approval = Standing,
        }
        edge
    };
    let (manages, trust) = (draw(Manages), draw(Trust));
    let edges = [Some(trust), Some(manages)];
    let user_roles = pick.pick(&[
        &[UserRole::PartnerSupport, UserRole::TenantAdmin] as &[_],
        &[UserRole::PartnerBilling],
        &[UserRole::TenantAdmin],
        &[],
    ]);
    let (acr, asked) = (Some("urn:procura:acr:mfa"), SHARED.asked[4]);
    World { edges, user_roles, acr, asked, purpose: false, ..World::open() }
}

/// Two requests of the past, in every state and about the same or something else, against what is asked now.
fn approval(pick: &mut Odometer) -> World {
    let bits = |names: &[&str]| Catalogue::named(names);
    let read = bits(&["tenant.settings.read"]);
    let both = bits(&["tenant.settings.read", "tenant.settings.write"]);
    let said: [Said; 15] = [
        Said::Nothing(1),
        Said::Nothing(0),
        Said::Nothing(1 - 300 * SECOND),
        Said::Nothing(-300 * SECOND),
        Said::No(0),
        Said::No(1 - 300 * SECOND),
        Said::No(-300 * SECOND),
        Said::TakenBack(0),
        Said::TakenBack(-300 * SECOND),
        Said::Yes(read, 0),
        Said::Yes(read, SECOND / 4),
        Said::Yes(read, 100 * SECOND),
        Said::Yes(both, 200 * SECOND),
        Said::Yes(bits(&["tenant.settings.write"]), 50 * SECOND),
        Said::Yes(bits(&["tenant.users.list"]), 50 * SECOND),
    ];
    let mut asked = || Asked {
        kind: pick.pick(KINDS),
        has_purpose: pick.pick(BOTH),
        by: Listed::Nobody,
        scope: pick.pick(&[both, read]),
        said: pick.pick(&said),
    };
    let requests = [Some(asked()), Some(asked())];
    let mut edge = Edge::open(Manages);
    edge.approval = pick.pick(Approval::ALL);
    edge.access = pick.pick(&[On, Restricted]);
    let trust = Edge { approval: EachTime, ..Edge::open(Trust) };
    World {
        requests,
        purpose: pick.pick(BOTH),
        asked: pick.pick(&[Some(both), Some(read), Some(bits(&["secrets.overwrite"]))]),
        user_roles: &[UserRole::PartnerAdmin, UserRole::TenantAdmin],
        edges: [Some(edge), pick.pick(&[None, Some(trust)])],
        ..World::open()
    }
}

/// By a key instead of a login: its own bounds against all that asks for a person.
fn keys(pick: &mut Odometer) -> World {
    const LISTED: &[Listed] = &[Listed::Nobody, Listed::Me, Listed::Another];
    let [all, partner, _, few, none] = SHARED.sets;
    let open = Edge::open(Manages);
    let key = Key {
        set: pick.pick(&[all, partner, few, none]),
        tenants: pick.pick(LISTED),
        networks: pick.pick(LISTED),
    };
    let edge = Edge {
        automation: pick.pick(BOTH),
        trusted_idps: pick.pick(&[Listed::Nobody, Listed::Me]),
        min_acr: pick.pick(&[None, Some("urn:procura:acr:pwd")]),
        max_age: pick.pick(&[None, Some(300)]),
        networks: pick.pick(LISTED),
        access: pick.pick(&[On, Restricted, Off]),
        approval: pick.pick(Approval::ALL),
        ..open
    };
    World {
        key: pick.pick(&[None, Some(key)]),
        may_switch: pick.pick(BOTH),
        found: pick.pick(&[Found::TheTenant, Found::Nothing]),
        user_roles: pick.pick(&[&[UserRole::PartnerAdmin] as &[_], &[UserRole::PartnerBilling]]),
        asked: pick.pick(&[None, SHARED.asked[5]]),
        idp: Some("home"),
        edges: [Some(edge), None],
        ..World::open()
    }
}

/// Whose yes counts for whom, and which roles are a program's.
fn programs(pick: &mut Odometer) -> World {
    let read = Catalogue::named(&["tenant.settings.read"]);
    let key = Key { set: SHARED.sets[0], tenants: Listed::Nobody, networks: Listed::Nobody };
    let mut asked = || Asked {
        kind: pick.pick(KINDS),
        has_purpose: true,
        by: pick.pick(&[Listed::Nobody, Listed::Me, Listed::Another]),
        scope: read,
        said: pick.pick(&[Said::Nothing(1), Said::No(0), Said::Yes(read, 100 * SECOND)]),
    };
    let requests = [Some(asked()), Some(asked())];
    let mut edge = |kind| Edge {
        approval: pick.pick(Approval::ALL),
        automation: pick.pick(BOTH),
        ..Edge::open(kind)
    };
    let (manages, trust) = (edge(Manages), edge(Trust));
    World {
        requests,
        key: pick.pick(&[None, Some(key)]),
        edges: [pick.pick(&[None, Some(manages)]), pick.pick(&[None, Some(trust)])],
        user_roles: pick.pick(&[
            &[UserRole::PartnerAdmin, UserRole::TenantAdmin] as &[_],
            &[UserRole::TenantAdmin],
            &[UserRole::PartnerAdmin],
        ]),
        asked: Some(read),
        ..World::open()
    }
}

/// What both tenants have used of their day, against what is looked at before and after it.
fn quotas(pick: &mut Odometer) -> World {
    const TOKENS: &[(u64, Option<u64>)] = &[
        (0, None),
        (1_000, None),
        (0, Some(0)),
        (0, Some(1)),
        (1, Some(1)),
        (5, Some(3)),
        (2, Some(3)),
    ];
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.approval = pick.pick(Approval::ALL);
    edge.purpose = pick.pick(BOTH);
    edge.access = pick.pick(ACCESS);
    edge.over = pick.pick(&[None, Some(0), Some(SECOND / 4)]);
    edge.custom = pick.pick(&[None, Some(SHARED.sets[4])]);
    let other = if edge.kind == Manages { Trust } else { Manages };
    let other = Edge { approval: EachTime, ..Edge::open(other) };
    World {
        tokens: [pick.pick(TOKENS), pick.pick(TOKENS)],
        purpose: pick.pick(BOTH),
        user_roles: &[UserRole::PartnerAdmin, UserRole::TenantAdmin],
        edges: [Some(edge), pick.pick(&[None, Some(other)])],
        ..World::open()
    }
}

/// Every bound against every other, down to the microsecond, at even and odd instants.
fn time(pick: &mut Odometer) -> World {
    const ENDS: &[Option<i64>] = &[
        None,
        Some(-SECOND),
        Some(0),
        Some(1),
        Some(SECOND / 2 - 1),
        Some(SECOND / 2),
        Some(SECOND),
        Some(100 * SECOND + 1),
        Some(10_000 * SECOND),
    ];
    let mut edge = Edge::open(pick.pick(KINDS));
    edge.starts = pick.pick(&[None, Some(-1), Some(0), Some(1)]);
    edge.over = pick.pick(ENDS);
    edge.state = pick.pick(&[State::Active, State::Suspended]);
    World {
        session: pick.pick(ENDS),
        user_over: pick.pick(ENDS),
        ttl: pick.pick(&[300, 0, -5, 1, 900, 901, i64::MAX]),
        now: pick.pick(&[1_763_690_100_000_000, 1_763_690_100_500_000]),
        user_roles: &[UserRole::PartnerAdmin, UserRole::TenantAdmin],
        edges: [Some(edge), None],
        ..World::open()
    }
}
