//! Why the decision said no. Exhaustive, without strings: the true reason goes to the audit log,
//! the caller hears what `oauth/error.rs` makes of its [`Class`].

use crate::words::words;

words! {
    /// The first check that failed, in the order of the checks.
    pub enum Refusal {
        /// The client is disabled or changed under the request.
        ClientUnusable = "client_unusable",
        /// The subject token was revoked.
        SubjectRevoked = "subject_token_revoked",
        /// The login session is over.
        SessionEnded = "session_ended",
        /// The user is disabled or gone.
        UserInactive = "user_inactive",
        /// The user's own tenant is not active.
        HomeTenantInactive = "home_tenant_inactive",
        /// The subject token does not permit switching.
        SwitchNotPermitted = "switch_not_permitted",
        /// The key cannot be used from this network.
        KeyNetworkNotAdmitted = "key_network_not_admitted",
        /// The audience is unknown, takes no delegated tokens, or is not for this client.
        AudienceNotAllowed = "audience_not_allowed",
        /// No such tenant.
        TenantUnknown = "tenant_unknown",
        /// The tenant is suspended, cancelled or deleted.
        TenantInactive = "tenant_inactive",
        /// The target is the user's own tenant.
        TenantIsHome = "tenant_is_home",
        /// The key is for other tenants.
        KeyNotForTenant = "key_not_for_tenant",
        /// Nobody ever agreed on anything.
        NoRelationship = "no_relationship",
        /// The customer has not answered the request.
        RelationshipRequested = "relationship_requested",
        /// Declined, withdrawn or unanswered.
        RelationshipDeclined = "relationship_declined",
        /// Suspended by either side or the operator.
        RelationshipSuspended = "relationship_suspended",
        /// Over.
        RelationshipEnded = "relationship_ended",
        /// Its start is still to come.
        RelationshipNotStarted = "relationship_not_started",
        /// The customer's switch is off.
        PartnerAccessOff = "partner_access_off",
        /// The user has no role that may enter under this kind of relationship.
        RoleNotCovered = "role_not_covered",
        /// The relationship is for other people of the partner.
        NotAssigned = "not_assigned",
        /// The login came through an identity provider that the customer does not trust.
        IdpNotTrusted = "idp_not_trusted",
        /// The relationship is for people who are logged in: the customer let no keys in.
        AutomationNotAllowed = "automation_not_allowed",
        /// The login is too weak or too old for this relationship.
        StepUpRequired = "step_up_required",
        /// The request came from a network that the relationship does not admit.
        NetworkNotAdmitted = "network_not_admitted",
        /// Outside of the hours of the relationship.
        OutsideHours = "outside_hours",
        /// The relationship demands a purpose.
        PurposeRequired = "purpose_required",
        /// Nothing of the requested scope can be granted.
        NoScopeLeft = "no_scope_left",
        /// The partner's people were given as many tokens today as its quota allows.
        PartnerQuotaUsedUp = "partner_quota_used_up",
        /// As many tokens were given out for the customer today as its quota allows.
        CustomerQuotaUsedUp = "customer_quota_used_up",
        /// The customer must approve this first, and has not been asked.
        ApprovalRequired = "approval_required",
        /// The customer did not answer in time.
        ApprovalUnanswered = "approval_unanswered",
        /// The customer said no, or took its yes back.
        ApprovalDeclined = "approval_declined",
        /// The customer has been asked and has not answered.
        ApprovalPending = "approval_pending",
        /// A bound has passed while the request was on its way: nothing would be left to live.
        NoTimeLeft = "no_time_left",
    }
}

/// What the caller may learn of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The client.
    Client,
    /// The subject token: one text for all.
    Subject,
    /// The target: identical bytes for all, so that nobody learns who is whose customer.
    Target,
    /// Stronger login needed; only once the relationship is active for this user.
    StepUp,
    /// The customer's approval needed; likewise.
    Approval,
    /// The customer said no to this; likewise.
    Declined,
    /// The customer said nothing to this; likewise.
    Unanswered,
    /// A purpose needed; likewise.
    Purpose,
    /// Nothing to grant; likewise.
    Scope,
    /// A quota of the day is used up; likewise.
    Quota,
}

impl Refusal {
    /// What the caller may learn.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::ClientUnusable => Class::Client,
            Self::SubjectRevoked
            | Self::SessionEnded
            | Self::UserInactive
            | Self::HomeTenantInactive
            | Self::SwitchNotPermitted
            | Self::KeyNetworkNotAdmitted => Class::Subject,
            Self::AutomationNotAllowed | Self::StepUpRequired => Class::StepUp,
            Self::ApprovalRequired | Self::ApprovalPending => Class::Approval,
            Self::ApprovalDeclined => Class::Declined,
            Self::ApprovalUnanswered => Class::Unanswered,
            Self::PurposeRequired => Class::Purpose,
            Self::NoScopeLeft | Self::NoTimeLeft => Class::Scope,
            Self::PartnerQuotaUsedUp | Self::CustomerQuotaUsedUp => Class::Quota,
            _ => Class::Target,
        }
    }
}
