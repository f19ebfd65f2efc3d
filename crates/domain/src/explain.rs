//! Why a decision came out as it did: the steps in their order, how far it got, and who can change that. It
//! decides nothing: [`decide`] is asked, and its answer read. Each side is told its own half.

use std::borrow::Cow;

use procura_token::{RelationshipId, Ts};

use crate::{
    decision::{Facts, Limits, Mandate, Wish, decide},
    refusal::{Class, Refusal},
    relationship::{Relationship, Side},
    words::words,
};

words! {
    /// A step of the decision, in the order of the decision.
    pub enum Step {
        /// The client.
        Client = "client",
        /// The login and its token.
        Login = "login",
        /// The person.
        Person = "person",
        /// The person's own tenant.
        HomeTenant = "home_tenant",
        /// Whether the login is for switching at all.
        Switching = "switching",
        /// From where the key is used.
        ApiKey = "api_key",
        /// The resource server.
        Audience = "audience",
        /// The tenant to act in.
        Tenant = "tenant",
        /// The relationship and its dates.
        Relationship = "relationship",
        /// Both access switches.
        Access = "access",
        /// The person's role.
        Role = "role",
        /// Whether the relationship is for this person.
        Assignment = "assignment",
        /// The provider of the login.
        IdentityProvider = "identity_provider",
        /// Whether keys may enter.
        Automation = "automation",
        /// How strong and how fresh the login is.
        LoginStrength = "login_strength",
        /// From where.
        Network = "network",
        /// When.
        Hours = "hours",
        /// Why.
        Purpose = "purpose",
        /// What is left of the scope.
        Scope = "scope",
        /// Both tenants' quotas of the day. Each side is told which of them is used up, and no number.
        Quota = "quota",
        /// The customer's yes, where it approves each time.
        Approval = "approval",
        /// Whether any time is left.
        Time = "time",
    }
}

words! {
    /// How a step came out.
    pub enum Standing {
        /// It held.
        Passed = "passed",
        /// It is the first that did not.
        Failed = "failed",
        /// Nobody looked.
        NotReached = "not_reached",
    }
}

words! {
    /// Who can change what a step failed by.
    pub enum Fixer {
        /// Who asks: by another login, or by asking otherwise.
        Person = "person",
        /// The partner's admin.
        Partner = "partner",
        /// The customer's admin.
        Customer = "customer",
        /// The operator.
        Operator = "operator",
    }
}

impl Refusal {
    /// The step that fails by it.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::ClientUnusable => Step::Client,
            Self::SubjectRevoked | Self::SessionEnded => Step::Login,
            Self::UserInactive => Step::Person,
            Self::HomeTenantInactive => Step::HomeTenant,
            Self::SwitchNotPermitted => Step::Switching,
            Self::KeyNetworkNotAdmitted => Step::ApiKey,
            Self::AudienceNotAllowed => Step::Audience,
            Self::TenantUnknown
            | Self::TenantInactive
            | Self::TenantIsHome
            | Self::KeyNotForTenant => Step::Tenant,
            Self::NoRelationship
            | Self::RelationshipRequested
            | Self::RelationshipDeclined
            | Self::RelationshipSuspended
            | Self::RelationshipEnded
            | Self::RelationshipNotStarted => Step::Relationship,
            Self::PartnerAccessOff => Step::Access,
            Self::RoleNotCovered => Step::Role,
            Self::NotAssigned => Step::Assignment,
            Self::IdpNotTrusted => Step::IdentityProvider,
            Self::AutomationNotAllowed => Step::Automation,
            Self::StepUpRequired => Step::LoginStrength,
            Self::NetworkNotAdmitted => Step::Network,
            Self::OutsideHours => Step::Hours,
            Self::PurposeRequired => Step::Purpose,
            Self::NoScopeLeft => Step::Scope,
            Self::PartnerQuotaUsedUp | Self::CustomerQuotaUsedUp => Step::Quota,
            Self::ApprovalRequired
            | Self::ApprovalUnanswered
            | Self::ApprovalDeclined
            | Self::ApprovalPending => Step::Approval,
            Self::NoTimeLeft => Step::Time,
        }
    }

    /// Who can change it. A suspension is lifted by the side that made it.
    const fn fixer(self, suspended_by: Option<Side>) -> Fixer {
        match self {
            Self::ClientUnusable
            | Self::HomeTenantInactive
            | Self::AudienceNotAllowed
            | Self::TenantInactive
            | Self::PartnerQuotaUsedUp
            | Self::CustomerQuotaUsedUp => Fixer::Operator,
            Self::UserInactive
            | Self::SwitchNotPermitted
            | Self::NoRelationship
            | Self::RelationshipDeclined
            | Self::RelationshipEnded
            | Self::RoleNotCovered
            | Self::NotAssigned => Fixer::Partner,
            Self::RelationshipSuspended => match suspended_by {
                Some(Side::Partner) => Fixer::Partner,
                Some(Side::Operator) => Fixer::Operator,
                Some(Side::Customer) | None => Fixer::Customer,
            },
            Self::RelationshipRequested
            | Self::RelationshipNotStarted
            | Self::PartnerAccessOff
            | Self::AutomationNotAllowed
            | Self::NetworkNotAdmitted
            | Self::OutsideHours
            | Self::NoScopeLeft
            | Self::ApprovalUnanswered
            | Self::ApprovalDeclined
            | Self::ApprovalPending => Fixer::Customer,
            Self::SubjectRevoked
            | Self::SessionEnded
            | Self::KeyNetworkNotAdmitted
            | Self::KeyNotForTenant
            | Self::TenantUnknown
            | Self::TenantIsHome
            | Self::IdpNotTrusted
            | Self::StepUpRequired
            | Self::PurposeRequired
            | Self::ApprovalRequired
            | Self::NoTimeLeft => Fixer::Person,
        }
    }
}

/// What the partner is told instead of any reason behind one identical answer of the exchange.
pub const CUSTOMERS_SIDE: &str = "customers_side";
/// What the customer is told instead of what concerns the partner's people and software.
pub const PARTNERS_SIDE: &str = "partners_side";
/// The one reason that the partner hears for all that [`CUSTOMERS_SIDE`] stands for.
pub const NOT_AVAILABLE: &str = "target_not_available";

impl Step {
    /// The name under which a side sees it; steps of the other half have one name together. `None` where it
    /// is not asked for that side at all.
    fn shown_to(self, side: Side) -> Option<&'static str> {
        let fails_as = |class| Refusal::ALL.iter().any(|r| r.step() == self && r.class() == class);
        match side {
            Side::Partner if fails_as(Class::Target) => Some(CUSTOMERS_SIDE),
            Side::Customer
                if matches!(
                    self,
                    Self::IdentityProvider | Self::Automation | Self::LoginStrength
                ) =>
            {
                None
            }
            Side::Customer
                if fails_as(Class::Client) || fails_as(Class::Subject) || self == Self::Role =>
            {
                Some(PARTNERS_SIDE)
            }
            _ => Some(self.as_str()),
        }
    }
}

/// The facts as they would be after a login that is as the customer demands it. Whether a partner's people
/// are logged in now, how and until when, and which keys they have, nobody of the customer's learns by asking.
fn with_a_login(facts: &Facts, now: Ts) -> Facts {
    let mut facts = facts.clone();
    facts.subject.is_revoked = false;
    facts.subject.session_ends_at = Some(now.plus_secs(Limits::MAX_TTL_SECS));
    facts.subject.ends_at = facts.subject.ends_at.filter(|end| now >= *end);
    for edge in &mut facts.relationships {
        edge.conditions.trusted_idps = None;
        edge.conditions.min_acr = None;
        edge.conditions.max_age_secs = None;
    }
    facts
}

impl Facts {
    /// The edge whose answer the decision gave: the one that says the same alone. `None` where it was decided
    /// before any edge was looked at.
    #[must_use]
    pub fn edge_that_spoke(
        &self,
        wish: &Wish,
        (limits, now): (Limits, Ts),
        verdict: &Result<Mandate, Refusal>,
    ) -> Option<&Relationship> {
        let is_about_edge = !matches!(verdict, Err(refusal) if refusal.step() < Step::Relationship)
            && *verdict != Err(Refusal::NoRelationship);
        let speaks = |edge: &&Relationship| {
            let alone = Self { relationships: vec![(*edge).clone()], ..self.clone() };
            decide(&alone, wish, limits, now) == *verdict
        };
        self.relationships.iter().filter(|_| is_about_edge).find(speaks)
    }
}

/// One line of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The step, or the half that it belongs to.
    pub step: &'static str,
    /// How it came out.
    pub standing: Standing,
    /// Why, and who can change it, where this is the step that failed.
    pub failure: Option<(&'static str, Fixer)>,
}

/// A decision, and what it was about, for one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whose half it is.
    pub side: Side,
    /// What was decided; for the customer as if the person had just logged in as it demands.
    pub verdict: Result<Mandate, Refusal>,
    edge: Option<Relationship>,
}

impl Explanation {
    /// Decides, and keeps which edge it was that spoke.
    #[must_use]
    pub fn of(side: Side, facts: &Facts, wish: &Wish, (limits, now): (Limits, Ts)) -> Self {
        let (facts, wish) = match side {
            Side::Customer => (
                Cow::Owned(with_a_login(facts, now)),
                Cow::Owned(Wish { key: None, ..wish.clone() }),
            ),
            Side::Partner | Side::Operator => (Cow::Borrowed(facts), Cow::Borrowed(wish)),
        };
        let (facts, wish) = (&*facts, &*wish);
        let verdict = decide(facts, wish, limits, now);
        let edge = facts.edge_that_spoke(wish, (limits, now), &verdict).cloned();
        Self { side, verdict, edge }
    }

    /// Whether it is behind the one identical answer of an exchange, and the partner is who asks.
    fn is_hidden(&self) -> bool {
        let is_of_target = |refusal: &Refusal| refusal.class() == Class::Target;
        self.side == Side::Partner && self.verdict.as_ref().is_err_and(is_of_target)
    }

    /// The relationship that it is about, where this side may know that there is one.
    #[must_use]
    pub fn relationship(&self) -> Option<RelationshipId> {
        self.edge.as_ref().filter(|_| !self.is_hidden()).map(|edge| edge.id)
    }

    /// All steps in their order, as this side may see them. For the partner every reason behind the one
    /// identical answer of an exchange gives the same lines.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let refusal = self.verdict.as_ref().err().copied();
        let shown_as = |step: &Step| step.shown_to(self.side);
        let failed = match refusal {
            None => None,
            // Where in the other half it was would tell as much as why.
            Some(_) if self.is_hidden() => {
                Step::ALL.iter().copied().find(|step| shown_as(step) == Some(CUSTOMERS_SIDE))
            }
            Some(refusal) => Some(refusal.step()),
        };
        let mut lines: Vec<Line> = Vec::with_capacity(Step::ALL.len());
        for step in Step::ALL {
            let Some(shown) = shown_as(step) else { continue };
            let standing = match failed {
                Some(failed) if *step == failed => Standing::Failed,
                Some(failed) if *step > failed => Standing::NotReached,
                _ => Standing::Passed,
            };
            let failure = refusal.filter(|_| standing == Standing::Failed);
            let failure = failure.map(|refusal| self.told(refusal, shown));
            let line = Line { step: shown, standing, failure };
            match lines.last_mut() {
                // A half has failed once any of its steps has, and has passed once all have.
                Some(last) if last.step == shown => {
                    if last.standing == Standing::Passed {
                        *last = line;
                    }
                }
                _ => lines.push(line),
            }
        }
        lines
    }

    fn told(&self, refusal: Refusal, shown: &'static str) -> (&'static str, Fixer) {
        match shown {
            CUSTOMERS_SIDE => (NOT_AVAILABLE, Fixer::Customer),
            PARTNERS_SIDE => (PARTNERS_SIDE, Fixer::Partner),
            _ => {
                let suspended_by = self.edge.as_ref().and_then(|edge| edge.suspended_by);
                (refusal.as_str(), refusal.fixer(suspended_by))
            }
        }
    }
}
