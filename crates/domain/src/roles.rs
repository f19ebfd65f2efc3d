//! The role catalogue: what users are in their own tenant, what a relationship hands over, and the
//! permission set behind each.

use std::sync::LazyLock;

use crate::{permission, permission::Permissions, relationship::RelationshipKind, words::words};

words! {
    /// What a user is in the own tenant.
    pub enum UserRole {
        /// Operator of the deployment.
        SuperAdmin = "super-admin",
        /// Administers the own tenant.
        TenantAdmin = "tenant-admin",
        /// Helps users of the own tenant.
        SupportAgent = "support-agent",
        /// Nothing special.
        Member = "member",
        /// Acts in customers with everything that the relationship hands over.
        PartnerAdmin = "partner-admin",
        /// Acts in customers: support.
        PartnerSupport = "partner-support",
        /// Acts in customers: billing.
        PartnerBilling = "partner-billing",
        /// Acts in customers: reads.
        PartnerAuditor = "partner-auditor",
    }
}

words! {
    /// What a relationship hands over, unless custom permissions replace it.
    pub enum RelationshipRole {
        /// Everything an MSP does.
        MspFull = "msp_full",
        /// Billing.
        MspBilling = "msp_billing",
        /// Support: what a new relationship gets when nobody says more.
        MspSupport = "msp_support",
        /// Reports and reading across subsidiaries.
        EnterpriseHq = "enterprise_hq",
        /// Reading.
        Auditor = "auditor",
        /// A trust: everything that can be delegated.
        TenantAdmin = "tenant_admin",
    }
}

const BILLING: &[&str] =
    &["partner.billing.read", "partner.billing.invoices.read", "partner.billing.invoices.export"];
const SUPPORT: &[&str] = &[
    "partner.support.tickets.list",
    "partner.support.tickets.create",
    "partner.support.tickets.update",
    "tenant.users.list",
    "tenant.settings.read",
    "tenant.alerts.read",
];
const REPORTS: &[&str] = &["partner.reports.usage.read", "partner.reports.sla.read"];
const READING: &[&str] = &[
    "partner.billing.read",
    "partner.billing.invoices.read",
    "partner.support.tickets.list",
    "partner.reports.usage.read",
    "partner.reports.sla.read",
    "tenant.settings.read",
    "tenant.users.list",
    "tenant.policies.read",
    "tenant.quotas.read",
    "tenant.audit.read",
    "tenant.alerts.read",
];
const ADMINISTRATION: &[&str] = &[
    "tenant.settings.read",
    "tenant.settings.write",
    "tenant.users.list",
    "tenant.users.create",
    "tenant.users.update",
    "tenant.users.invite",
    "tenant.users.reset_password",
    "tenant.users.disable",
    "tenant.policies.read",
    "tenant.policies.write",
    "tenant.quotas.read",
    "tenant.audit.read",
    "tenant.alerts.read",
    "tenant.export",
    "secrets.overwrite",
    "pii.unmask",
];

/// A set that is put together at its first use, and shared from then on.
macro_rules! once {
    ($set:expr) => {{
        static SET: LazyLock<Permissions> = LazyLock::new(|| $set);
        SET.clone()
    }};
}

impl RelationshipRole {
    /// The most that a relationship with this role can hand over.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::MspFull => {
                once!(Permissions::of(&[BILLING, SUPPORT, REPORTS, ADMINISTRATION]))
            }
            Self::MspBilling => once!(Permissions::of(&[BILLING, &["partner.reports.usage.read"]])),
            Self::MspSupport => once!(Permissions::of(&[SUPPORT, &["partner.reports.sla.read"]])),
            Self::EnterpriseHq => once!(Permissions::of(&[REPORTS, READING])),
            Self::Auditor => once!(Permissions::of(&[READING])),
            Self::TenantAdmin => once!(Permissions::everything()),
        }
    }

    /// What is granted where the request names no scope: the parts of the role that only read, and
    /// no personal data. A scope that nobody asked for is not granted.
    #[must_use]
    pub fn default_scope(self) -> Permissions {
        let all = match self {
            Self::TenantAdmin => once!(Permissions::of(&[READING])),
            other => other.permissions(),
        };
        all.iter().filter(|p| permission::is_read_only(p)).collect()
    }
}

impl UserRole {
    /// The most that a user with this role may do in another tenant under a relationship of this
    /// kind; `None` where the role cannot enter at all.
    #[must_use]
    pub fn reach(self, kind: RelationshipKind) -> Option<Permissions> {
        match (kind, self) {
            (RelationshipKind::Manages, Self::PartnerAdmin)
            | (RelationshipKind::Trust, Self::TenantAdmin) => {
                Some(once!(Permissions::everything()))
            }
            (RelationshipKind::Manages, Self::PartnerSupport) => Some(once!(Permissions::of(&[
                SUPPORT,
                REPORTS,
                &["partner.billing.read", "pii.unmask", "tenant.users.reset_password"],
            ]))),
            (RelationshipKind::Manages, Self::PartnerBilling) => {
                Some(once!(Permissions::of(&[BILLING, &["partner.reports.usage.read"]])))
            }
            (RelationshipKind::Manages, Self::PartnerAuditor) => {
                Some(once!(Permissions::of(&[READING])))
            }
            _ => None,
        }
    }

    /// Whether the role makes sense only in a tenant that acts in others.
    #[must_use]
    pub const fn is_partner_role(self) -> bool {
        matches!(
            self,
            Self::PartnerAdmin | Self::PartnerSupport | Self::PartnerBilling | Self::PartnerAuditor
        )
    }

    /// What the role adds to a home token, beyond the `OpenID` scopes. The first is what the
    /// management API wants to see before the role counts there.
    #[must_use]
    pub fn home_scope(self) -> &'static [&'static str] {
        match self {
            Self::PartnerAdmin
            | Self::PartnerSupport
            | Self::PartnerBilling
            | Self::PartnerAuditor => &[permission::LIST_TENANTS, permission::SWITCH_CONTEXT],
            // Tenant admins may be trusted by other tenants (kind `trust`).
            Self::TenantAdmin => {
                &["tenant.admin", permission::LIST_TENANTS, permission::SWITCH_CONTEXT]
            }
            Self::SuperAdmin => &["operator.admin"],
            Self::SupportAgent | Self::Member => &[],
        }
    }
}
