//! One case of the enumeration: plain values, no sets and no ids. The oracle reads them as they
//! stand; [`World::put`] turns them into what `decide` reads.

use ipnet::IpNet;
use procura_domain::{
    Access, AccessRequest, ByKey, Facts, KeyBounds, Limits, Permissions, Relationship,
    RelationshipKind, RelationshipRole, RelationshipState, TenantStatus, UserRole, Wish,
    access_request::{Answer, Given},
    decision::{ClientFacts, SubjectFacts, TargetFacts},
    hours::{Day, Hours, Window},
    quota::Counted,
    relationship::{Approval, Conditions, Origin, Side},
};
use procura_token::{
    AccessRequestId, ApiKeyId, Purpose, RelationshipId, Scope, TenantId, Ts, UserId,
};

use crate::catalogue::{Bits, Catalogue};

/// A list of permissions and patterns, and the rows of the catalogue that it allows.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    pub list: &'static [&'static str],
    pub held: Bits,
    pub named: Bits,
}

impl Set {
    pub fn of(list: &'static [&'static str]) -> Self {
        Self { list, held: Catalogue::held(list), named: Catalogue::named(list) }
    }

    fn permissions(&self) -> Permissions {
        self.list.iter().copied().collect()
    }
}

/// Who stands at the ends of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    HomeToTarget,
    TargetToHome,
    /// Two edges: home to a third tenant, and that one to the target.
    OverAThird,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    Nobody,
    Me,
    Another,
}

/// Hours of the week, as they lie around [`World::open`]'s instant: a Friday, 01:55:00.5 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Week {
    Unbounded,
    Always,
    OtherDays,
    /// Closes two minutes after the minute in which now is.
    ClosesSoon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    AnotherTenant,
    OwnTenant,
    TheTenant,
}

/// How a request of the past went; instants are microseconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing; it lapses then.
    Nothing(i64),
    /// No, at that time.
    No(i64),
    /// Yes to these, until then.
    Yes(Bits, i64),
    /// Yes, and taken back at that time.
    TakenBack(i64),
}

/// A request of the past under the edge of this kind.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub kind: RelationshipKind,
    pub has_purpose: bool,
    /// By the key of the case, or by another one.
    pub by: Listed,
    pub scope: Bits,
    pub said: Said,
}

/// An edge. Instants are microseconds from now.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub kind: RelationshipKind,
    pub ends: Ends,
    pub state: RelationshipState,
    pub suspended_by: Option<Side>,
    pub starts: Option<i64>,
    pub over: Option<i64>,
    pub access: Access,
    pub role: RelationshipRole,
    pub custom: Option<Set>,
    pub approval: Approval,
    pub min_acr: Option<&'static str>,
    pub max_age: Option<i64>,
    pub assigned: Listed,
    pub trusted_idps: Listed,
    pub networks: Listed,
    pub hours: Week,
    pub purpose: bool,
    pub automation: bool,
}

/// By which it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub set: Set,
    pub tenants: Listed,
    pub networks: Listed,
}

/// A case.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a factor of the enumeration")]
pub struct World {
    pub client_usable: bool,
    pub client: Set,
    pub revoked: bool,
    pub session: Option<i64>,
    pub user_active: bool,
    pub user_over: Option<i64>,
    pub user_roles: &'static [UserRole],
    pub home: TenantStatus,
    pub may_switch: bool,
    pub audience: Option<Set>,
    pub is_target_named: bool,
    pub found: Found,
    pub target: TenantStatus,
    pub target_access: Access,
    pub edges: [Option<Edge>; 2],
    pub requests: [Option<Asked>; 2],
    /// Tokens of today, and how many there may be: the partner's and the customer's.
    pub tokens: [(u64, Option<u64>); 2],
    pub asked: Option<Bits>,
    pub purpose: bool,
    pub acr: Option<&'static str>,
    pub auth_age: Option<i64>,
    pub idp: Option<&'static str>,
    pub ip: Option<&'static str>,
    pub key: Option<Key>,
    pub ttl: i64,
    pub now: i64,
}

const HOME: TenantId = TenantId::from_bits(1);
const TARGET: TenantId = TenantId::from_bits(2);
const THIRD: TenantId = TenantId::from_bits(3);
const ME: UserId = UserId::from_bits(1);
const ANOTHER: UserId = UserId::from_bits(2);

impl World {
    /// Everything open: what each product starts from.
    pub fn open() -> Self {
        let all = Set::of(&["*"]);
        Self {
            client_usable: true,
            client: all,
            revoked: false,
            session: Some(36_000_000_000),
            user_active: true,
            user_over: None,
            user_roles: &[UserRole::PartnerAdmin],
            home: TenantStatus::Active,
            may_switch: true,
            audience: Some(all),
            is_target_named: true,
            found: Found::TheTenant,
            target: TenantStatus::Active,
            target_access: Access::On,
            edges: [None, None],
            requests: [None, None],
            tokens: [(0, None), (0, None)],
            asked: None,
            purpose: true,
            acr: Some("urn:procura:acr:phr"),
            auth_age: Some(0),
            idp: None,
            ip: Some("10.1.2.3"),
            key: None,
            ttl: 300,
            now: 1_763_690_100_500_000,
        }
    }

    /// As `decide` takes it.
    pub fn put(&self) -> (Facts, Wish, Limits, Ts) {
        let at = |offset: i64| Ts(self.now + offset);
        let wish = Wish {
            user: ME,
            home: HOME,
            target: self.is_target_named.then_some(self.found_id()),
            may_switch: self.may_switch,
            scope: self.asked.map(|bits| Catalogue::names(bits).collect::<Scope>()),
            purpose: purpose(self.purpose),
            acr: self.acr.map(Into::into),
            auth_time: self.auth_age.map(|age| at(-age)),
            idp: self.idp.map(Into::into),
            ip: self.ip.map(|ip| ip.parse().unwrap()),
            key: self.key.map(Key::held),
        };
        let target = match self.found {
            Found::Nothing => None,
            Found::AnotherTenant => Some(THIRD),
            Found::OwnTenant => Some(HOME),
            Found::TheTenant => Some(TARGET),
        };
        let status = self.target;
        let facts = Facts {
            client: ClientFacts {
                is_usable: self.client_usable,
                permissions: self.client.permissions(),
            },
            subject: SubjectFacts {
                is_revoked: self.revoked,
                session_ends_at: self.session.map(at),
                is_active: self.user_active,
                ends_at: self.user_over.map(at),
                roles: self.user_roles.to_vec(),
                home: self.home,
            },
            audience: self.audience.map(|set| set.permissions()),
            target: target.map(|id| TargetFacts { id, status, access: self.target_access }),
            relationships: self
                .edges
                .iter()
                .flatten()
                .flat_map(|edge| self.edges_of(edge))
                .collect(),
            access_requests: self.requests.iter().flatten().map(|r| self.request(r)).collect(),
            partner_tokens: Counted { used: self.tokens[0].0, limit: self.tokens[0].1 },
            customer_tokens: Counted { used: self.tokens[1].0, limit: self.tokens[1].1 },
        };
        (facts, wish, Limits { ttl_secs: self.ttl }, Ts(self.now))
    }

    /// The own tenant is asked for where the own tenant is found.
    const fn found_id(&self) -> TenantId {
        if matches!(self.found, Found::OwnTenant) { HOME } else { TARGET }
    }

    fn edges_of(&self, edge: &Edge) -> Vec<Relationship> {
        let target = self.found_id();
        match edge.ends {
            Ends::HomeToTarget => vec![self.edge(edge, HOME, target)],
            Ends::TargetToHome => vec![self.edge(edge, target, HOME)],
            Ends::OverAThird => vec![self.edge(edge, HOME, THIRD), self.edge(edge, THIRD, target)],
        }
    }

    fn request(&self, asked: &Asked) -> AccessRequest {
        let at = |offset: i64| Ts(self.now + offset);
        let given = |bits, until, ended_at: Option<i64>| {
            Some(Given {
                scope: Catalogue::names(bits).collect(),
                until: at(until),
                ended_at: ended_at.map(at),
            })
        };
        let (lapses, answered) = match asked.said {
            Said::Nothing(lapses) => (lapses, None),
            Said::No(said) => (said + 1, Some((said, None))),
            Said::Yes(bits, until) => (0, Some((-1, given(bits, until, None)))),
            Said::TakenBack(when) => {
                (0, Some((when - 1, given(asked.scope, 60_000_000, Some(when)))))
            }
        };
        AccessRequest {
            id: AccessRequestId::from_bits(1),
            relationship: id(asked.kind),
            partner: HOME,
            customer: TARGET,
            user: ME,
            key: match asked.by {
                Listed::Nobody => None,
                Listed::Me => Some(ApiKeyId::from_bits(1)),
                Listed::Another => Some(ApiKeyId::from_bits(2)),
            },
            client: "cli_portal".parse().unwrap(),
            audience: "https://api.example".into(),
            scope: Catalogue::names(asked.scope).collect(),
            purpose: purpose(asked.has_purpose),
            asked_at: at(lapses - 900_000_000),
            lapses_at: at(lapses),
            answer: answered.map(|(said, given)| Answer { at: at(said), by: None, given }),
        }
    }

    fn edge(&self, edge: &Edge, partner: TenantId, customer: TenantId) -> Relationship {
        Relationship {
            id: id(edge.kind),
            partner,
            customer,
            kind: edge.kind,
            origin: Origin::Requested,
            role: edge.role,
            custom_permissions: edge.custom.map(|set| set.permissions()),
            state: edge.state,
            suspended_by: edge.suspended_by,
            starts_at: edge.starts.map(|offset| Ts(self.now + offset)),
            ends_at: edge.over.map(|offset| Ts(self.now + offset)),
            renews_for_days: None,
            access: edge.access,
            approval: edge.approval,
            conditions: Conditions {
                min_acr: edge.min_acr.map(Into::into),
                max_age_secs: edge.max_age,
                trusted_idps: match edge.trusted_idps {
                    Listed::Nobody => None,
                    Listed::Me => Some(vec!["corp".into(), "home".into()]),
                    Listed::Another => Some(vec!["corp".into()]),
                },
                assigned_to: match edge.assigned {
                    Listed::Nobody => None,
                    Listed::Me => Some(vec![ANOTHER, ME]),
                    Listed::Another => Some(vec![ANOTHER]),
                },
                networks: listed_networks(edge.networks),
                hours: match edge.hours {
                    Week::Unbounded => None,
                    Week::Always => Some(hours(Day::ALL, "00:00", "24:00")),
                    Week::OtherDays => {
                        Some(hours(&[Day::Thursday, Day::Saturday], "00:00", "24:00"))
                    }
                    Week::ClosesSoon => Some(hours(&[Day::Friday], "01:00", "01:57")),
                },
                require_purpose: edge.purpose,
                allow_automation: edge.automation,
            },
            version: 1,
        }
    }
}

fn id(kind: RelationshipKind) -> RelationshipId {
    RelationshipId::from_bits(if kind == RelationshipKind::Manages { 1 } else { 2 })
}

fn purpose(is_given: bool) -> Option<Purpose> {
    is_given.then(|| Purpose { code: "support".into(), r#ref: None })
}

impl Key {
    fn held(self) -> ByKey {
        let bounds = KeyBounds {
            permissions: self.set.permissions(),
            tenants: match self.tenants {
                Listed::Nobody => None,
                Listed::Me => Some(vec![THIRD, TARGET]),
                Listed::Another => Some(vec![THIRD]),
            },
            networks: listed_networks(self.networks),
        };
        ByKey { id: ApiKeyId::from_bits(1), bounds }
    }
}

fn listed_networks(listed: Listed) -> Option<Vec<IpNet>> {
    match listed {
        Listed::Nobody => None,
        Listed::Me => Some(networks(&["192.0.2.0/24", "10.1.0.0/16"])),
        Listed::Another => Some(networks(&["192.0.2.0/24", "::/0"])),
    }
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn hours(days: &[Day], from: &str, to: &str) -> Hours {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Hours { utc_offset_minutes: 0, windows: vec![Window { days: days.to_vec(), from, to }] }
}

impl Edge {
    /// An edge that hinders nothing.
    pub const fn open(kind: RelationshipKind) -> Self {
        Self {
            kind,
            ends: Ends::HomeToTarget,
            state: RelationshipState::Active,
            suspended_by: None,
            starts: None,
            over: None,
            access: Access::On,
            role: RelationshipRole::MspFull,
            custom: None,
            approval: Approval::Standing,
            min_acr: None,
            max_age: None,
            assigned: Listed::Nobody,
            trusted_idps: Listed::Nobody,
            networks: Listed::Nobody,
            hours: Week::Unbounded,
            purpose: false,
            automation: false,
        }
    }
}
