//! Relationships: the one-way edge partner → customer, its states and who may move it between them.
//! Never transitive. At most one live relationship per (partner, customer, kind).

use procura_token::{RelationshipId, TenantId, Ts};

pub use crate::conditions::{Conditions, acr_rank};
use crate::{permission::Permissions, roles::RelationshipRole, words::words};

words! {
    /// What the edge means.
    pub enum RelationshipKind {
        /// A partner manages a customer; users with partner roles act.
        Manages = "manages",
        /// A tenant trusts another; its tenant admins act.
        Trust = "trust",
    }
}

words! {
    /// How the relationship came to be.
    pub enum Origin {
        /// The partner created the customer's tenant.
        Provisioned = "provisioned",
        /// The partner asked.
        Requested = "requested",
        /// The customer put a trust, or an operator made it.
        Granted = "granted",
    }
}

words! {
    /// The stored state. `scheduled` and `expired` follow from the dates, see [`Relationship::phase`].
    pub enum RelationshipState {
        /// The customer has not answered.
        Requested = "requested",
        /// In force, within its dates.
        Active = "active",
        /// Stopped; only the side that stopped it can resume it.
        Suspended = "suspended",
        /// The customer said no, or the partner withdrew.
        Declined = "declined",
        /// Nobody answered in time.
        Expired = "expired",
        /// Over, for good: a new one is made instead.
        Ended = "ended",
    }
}

impl RelationshipState {
    /// Whether it stands in the way of another relationship of the same kind.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Requested | Self::Active | Self::Suspended)
    }
}

words! {
    /// The access switch, per customer and per relationship; the stricter wins.
    pub enum Access {
        /// Nothing.
        Off = "off",
        /// Reading only; personal data masked.
        Restricted = "restricted",
        /// As agreed.
        On = "on",
    }
}

words! {
    /// Whether each session must be approved by the customer.
    pub enum Approval {
        /// Agreed once.
        Standing = "standing",
        /// The customer approves each session.
        EachTime = "each_time",
    }
}

words! {
    /// Who stopped a relationship, or who wants to move it.
    pub enum Side {
        /// The tenant that manages.
        Partner = "partner",
        /// The tenant that is managed.
        Customer = "customer",
        /// The operator of the deployment.
        Operator = "operator",
    }
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relationship {
    /// Its id.
    pub id: RelationshipId,
    /// The tenant that manages.
    pub partner: TenantId,
    /// The tenant that is managed.
    pub customer: TenantId,
    /// What the edge means.
    pub kind: RelationshipKind,
    /// How it came to be.
    pub origin: Origin,
    /// What it hands over.
    pub role: RelationshipRole,
    /// Replaces the role's set where it is given.
    pub custom_permissions: Option<Permissions>,
    /// The stored state.
    pub state: RelationshipState,
    /// Who suspended it, as long as it is suspended.
    pub suspended_by: Option<Side>,
    /// Not before.
    pub starts_at: Option<Ts>,
    /// Not from then on.
    pub ends_at: Option<Ts>,
    /// At its end it goes on for so many days.
    pub renews_for_days: Option<u32>,
    /// The customer's switch for this edge alone.
    pub access: Access,
    /// Whether each session must be approved.
    pub approval: Approval,
    /// What it demands at each entry.
    pub conditions: Conditions,
    /// Counts the changes.
    pub version: i64,
}

/// The state as people see it, with the dates taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// As stored.
    Stored(RelationshipState),
    /// Active, but its start is still to come.
    Scheduled,
    /// Active or suspended, but its end has passed.
    Expired,
}

impl Phase {
    /// The word shown in API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored(state) => state.as_str(),
            Self::Scheduled => "scheduled",
            Self::Expired => "expired",
        }
    }
}

impl Relationship {
    /// The most that this relationship can hand over.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.custom_permissions.clone().unwrap_or_else(|| self.role.permissions())
    }

    /// The state with the dates taken into account.
    #[must_use]
    pub fn phase(&self, now: Ts) -> Phase {
        let is_over = self.ends_at.is_some_and(|end| now >= end);
        match self.state {
            RelationshipState::Active | RelationshipState::Suspended if is_over => Phase::Expired,
            RelationshipState::Active if self.starts_at.is_some_and(|start| now < start) => {
                Phase::Scheduled
            }
            state => Phase::Stored(state),
        }
    }

    /// Whether it is in force at this instant.
    #[must_use]
    pub fn is_active(&self, now: Ts) -> bool {
        self.phase(now) == Phase::Stored(RelationshipState::Active)
    }
}

words! {
    /// A step in the life of a `manages` relationship.
    pub enum Step {
        /// The customer agrees.
        Approve = "approve",
        /// The customer says no.
        Decline = "decline",
        /// The partner takes the request back.
        Withdraw = "withdraw",
        /// Either side, or the operator, stops it for now.
        Suspend = "suspend",
        /// The side that stopped it lets it go on.
        Resume = "resume",
        /// Over, for good.
        End = "end",
    }
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepError {
    /// Not this side's to take, whatever the state.
    NotYours,
    /// Not possible in the present state.
    WrongState,
}

impl Step {
    /// Whether this side may take it at all.
    #[must_use]
    pub fn is_open_to(self, side: Side) -> bool {
        match self {
            Self::Approve | Self::Decline => side == Side::Customer,
            Self::Withdraw => side == Side::Partner,
            Self::Suspend | Self::Resume | Self::End => true,
        }
    }

    /// The state after the step, or why it cannot be taken. Total: every side, step and state has
    /// exactly one answer, reviewed as a table in the tests.
    pub fn apply(
        self,
        relationship: &Relationship,
        side: Side,
        now: Ts,
    ) -> Result<RelationshipState, StepError> {
        use RelationshipState as S;
        if !self.is_open_to(side) {
            return Err(StepError::NotYours);
        }
        // A relationship past its end can only be put away.
        let state = match relationship.phase(now) {
            Phase::Expired if self != Self::End => return Err(StepError::WrongState),
            _ => relationship.state,
        };
        match (self, state) {
            (Self::Approve, S::Requested) => Ok(S::Active),
            (Self::Decline | Self::Withdraw, S::Requested) => Ok(S::Declined),
            (Self::Suspend, S::Active) => Ok(S::Suspended),
            // A customer is never left with a suspension that only the partner can keep up or lift.
            (Self::Suspend, S::Suspended)
                if side == Side::Customer && relationship.suspended_by == Some(Side::Partner) =>
            {
                Ok(S::Suspended)
            }
            (Self::Resume, S::Suspended) if relationship.suspended_by == Some(side) => {
                Ok(S::Active)
            }
            (Self::Resume, S::Suspended) => Err(StepError::NotYours),
            (Self::End, S::Active | S::Suspended) => Ok(S::Ended),
            _ => Err(StepError::WrongState),
        }
    }
}
