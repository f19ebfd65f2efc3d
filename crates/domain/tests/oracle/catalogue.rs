//! The permission catalogue as one table, copied by hand from the design and not from `roles.rs`:
//! every permission that a case can ask for, and which column holds it.

use procura_domain::{RelationshipKind, RelationshipRole, UserRole};

/// A set of permissions: bit n is row n of [`TABLE`].
pub type Bits = u64;

/// `name | reads, never delegable, pattern | relationship: Full Billing Support Hq Auditor |
/// user: Admin Support Billing aUditor`. A trust's `tenant_admin` and its users hold every row.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("partner.billing.read", "r", "FB HA", "ASBU"),
    ("partner.billing.invoices.read", "r", "FB HA", "A BU"),
    ("partner.billing.invoices.export", "", "FB", "A B"),
    ("partner.support.tickets.list", "r", "F SHA", "AS U"),
    ("partner.support.tickets.create", "", "F S", "AS"),
    ("partner.support.tickets.update", "", "F S", "AS"),
    ("partner.reports.usage.read", "r", "FB HA", "ASBU"),
    ("partner.reports.sla.read", "r", "F SHA", "AS U"),
    ("tenant.settings.read", "r", "F SHA", "AS U"),
    ("tenant.settings.write", "", "F", "A"),
    ("tenant.users.list", "r", "F SHA", "AS U"),
    ("tenant.users.create", "", "F", "A"),
    ("tenant.users.update", "", "F", "A"),
    ("tenant.users.invite", "", "F", "A"),
    ("tenant.users.reset_password", "", "F", "AS"),
    ("tenant.users.disable", "", "F", "A"),
    ("tenant.policies.read", "r", "F  HA", "A  U"),
    ("tenant.policies.write", "", "F", "A"),
    ("tenant.quotas.read", "r", "F  HA", "A  U"),
    ("tenant.audit.read", "r", "F  HA", "A  U"),
    ("tenant.alerts.read", "r", "F SHA", "AS U"),
    ("tenant.export", "", "F", "A"),
    ("secrets.overwrite", "", "F", "A"),
    ("pii.unmask", "", "F", "AS"),
    // A deployment's own.
    ("acme.valves.read", "r", "", "A"),
    ("acme.valves.open", "", "", "A"),
    // What the design takes out, whoever holds what.
    ("tenant.relationships.read", "rn", "", "A"),
    ("tenant.relationships.end", "n", "", "A"),
    ("tenant.partner_access.write", "n", "", "A"),
    ("tenant.identity_providers.list", "rn", "", "A"),
    ("tenant.root_admins.write", "n", "", "A"),
    ("tenant.keys.read", "rn", "", "A"),
    ("tenant.audit.delete", "n", "", "A"),
    ("tenant.delete", "n", "", "A"),
    ("secrets.read", "rn", "", "A"),
    ("procura.operator.read", "rn", "", "A"),
    // A mandate names exact permissions: a pattern would say all that is below it.
    ("*", "p", "", "A"),
    ("secrets.*", "p", "", "A"),
    ("tenant.*", "p", "", "A"),
    // Near misses: below no pattern, above none, in another case.
    ("tenant", "", "", "A"),
    ("partner.billingx.read", "r", "", "A"),
    ("Tenant.users.list", "r", "", "A"),
];

fn rows(is_in: impl Fn(&(&'static str, &'static str, &'static str, &'static str)) -> bool) -> Bits {
    TABLE.iter().enumerate().filter(|(_, row)| is_in(row)).map(|(n, _)| 1 << n).sum()
}

/// The table in columns, computed once.
pub struct Catalogue {
    pub all: Bits,
    pub reads: Bits,
    pub never: Bits,
    pub patterns: Bits,
    pub unmask: Bits,
    role: [Bits; 5],
    user: [Bits; 4],
}

impl Catalogue {
    pub fn new() -> Self {
        Self {
            all: rows(|_| true),
            reads: rows(|row| row.1.contains('r')),
            never: rows(|row| row.1.contains('n')),
            patterns: rows(|row| row.1.contains('p')),
            unmask: rows(|row| row.0 == "pii.unmask"),
            role: ['F', 'B', 'S', 'H', 'A'].map(|column| rows(|row| row.2.contains(column))),
            user: ['A', 'S', 'B', 'U'].map(|column| rows(|row| row.3.contains(column))),
        }
    }

    pub fn role(&self, role: RelationshipRole) -> Bits {
        let [full, billing, support, hq, auditor] = self.role;
        match role {
            RelationshipRole::MspFull => full,
            RelationshipRole::MspBilling => billing,
            RelationshipRole::MspSupport => support,
            RelationshipRole::EnterpriseHq => hq,
            RelationshipRole::Auditor => auditor,
            RelationshipRole::TenantAdmin => self.all,
        }
    }

    /// Where nothing is asked: what the role reads. For a trust, that of an auditor.
    pub fn default(&self, role: RelationshipRole) -> Bits {
        let role =
            if role == RelationshipRole::TenantAdmin { RelationshipRole::Auditor } else { role };
        self.role(role) & self.reads
    }

    /// What a user may do under a relationship of this kind; nothing means: not enter.
    pub fn user(&self, kind: RelationshipKind, role: UserRole) -> Bits {
        let [admin, support, billing, auditor] = self.user;
        match (role, kind) {
            (UserRole::PartnerAdmin, RelationshipKind::Manages)
            | (UserRole::TenantAdmin, RelationshipKind::Trust) => admin,
            (UserRole::PartnerSupport, RelationshipKind::Manages) => support,
            (UserRole::PartnerBilling, RelationshipKind::Manages) => billing,
            (UserRole::PartnerAuditor, RelationshipKind::Manages) => auditor,
            _ => 0,
        }
    }

    /// The rows that a list of permissions and patterns allows.
    pub fn held(list: &[&str]) -> Bits {
        rows(|(name, ..)| {
            list.iter().any(|held| match held.rsplit_once('*') {
                Some((stem, _)) => name.strip_prefix(stem).is_some_and(|rest| !rest.is_empty()),
                None => name == held,
            })
        })
    }

    /// The rows that are named one by one.
    pub fn named(list: &[&str]) -> Bits {
        rows(|(name, ..)| list.contains(name))
    }

    /// The rows whose name satisfies the predicate.
    pub fn named_where(is_named: impl Fn(&str) -> bool) -> Bits {
        rows(|(name, ..)| is_named(name))
    }

    /// The names behind the bits.
    pub fn names(bits: Bits) -> impl Iterator<Item = &'static str> {
        let rows = TABLE.iter().enumerate();
        rows.filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, row)| row.0)
    }
}
