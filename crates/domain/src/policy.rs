//! Who may change what. Every verb that changes something takes a [`Permit`], and only this module
//! can make one: a verb cannot be called without having asked.

use procura_token::{ClientId, Scope, SessionId, TenantId, UserId};

use crate::{
    api_key::ByKey,
    permission::{LIST_TENANTS, PROVISION_TENANTS},
    relationship::{Relationship, Side},
    roles::UserRole,
};

/// A person calling the management API with a home token, or the operator's own hand on the
/// command line. Delegated tokens and client-credentials tokens never become a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// The person's own tenant.
    pub tenant: TenantId,
    /// The person's roles there.
    pub roles: Vec<UserRole>,
    /// What the person let the client do: a role counts only as far as the token carries its scope.
    pub scope: Scope,
    /// The login session.
    pub session: SessionId,
    /// The client through which the call comes.
    pub client: ClientId,
    /// By which key; `None` where somebody is logged in.
    pub key: Option<ByKey>,
}

/// Proof that the policy said yes. It names the side on which its holder acts.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    side: Side,
    tenant: TenantId,
}

impl Permit {
    /// On which side of a relationship its holder acts.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    /// The operator's own hand on the command line. Whoever opens the database with its master key has
    /// no policy above.
    #[must_use]
    pub const fn at_the_machine(tenant: TenantId) -> Self {
        Self { side: Side::Operator, tenant }
    }

    /// The tenant whose data may be changed.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
}

/// The policy said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The caller may know that the thing exists, and may not do this to it.
    Forbidden,
    /// The caller may not even know that it exists.
    Hidden,
}

impl Caller {
    /// Whether the caller holds this role, and let the client use it: a token for `openid` alone
    /// administers nothing.
    #[must_use]
    pub fn is(&self, role: UserRole) -> bool {
        let is_let = role.home_scope().first().is_none_or(|scope| self.scope.contains(scope));
        self.roles.contains(&role) && is_let
    }

    /// Whether the caller has a role by which anything can be changed at all. Members and support agents have none.
    #[must_use]
    pub fn may_change(&self) -> bool {
        let changes = |role: &UserRole| !matches!(role, UserRole::Member | UserRole::SupportAgent);
        self.roles.iter().any(|role| changes(role) && self.is(*role))
    }

    fn permit(side: Side, tenant: TenantId) -> Permit {
        Permit { side, tenant }
    }

    /// Administer a tenant from within: its trusts, its access switch, its users.
    pub fn administer(&self, tenant: TenantId) -> Result<Permit, Denied> {
        if self.tenant == tenant && self.is(UserRole::TenantAdmin) {
            return Ok(Self::permit(Side::Customer, tenant));
        }
        if self.is(UserRole::SuperAdmin) {
            return Ok(Self::permit(Side::Operator, tenant));
        }
        Err(if self.tenant == tenant { Denied::Forbidden } else { Denied::Hidden })
    }

    /// Look after the clients of a tenant. The operator may register anything, the tenant's own admin
    /// within [`ClientSettings::check_bounds`](crate::ClientSettings::check_bounds), a partner nothing.
    pub fn administer_clients(&self, tenant: TenantId) -> Result<Permit, Denied> {
        if self.is(UserRole::SuperAdmin) {
            return Ok(Self::permit(Side::Operator, tenant));
        }
        self.administer(tenant)
    }

    /// Look after the identity providers of a tenant, and whom they log in as whom. Never a partner's.
    pub fn administer_identity_providers(&self, tenant: TenantId) -> Result<Permit, Denied> {
        // The same order as with clients: whoever is both has the operator's hand.
        self.administer_clients(tenant)
    }

    /// Look after what belongs to no tenant alone, such as resource servers.
    pub fn operate(&self) -> Result<Permit, Denied> {
        if self.is(UserRole::SuperAdmin) {
            return Ok(Self::permit(Side::Operator, self.tenant));
        }
        Err(Denied::Forbidden)
    }

    /// Switch partner access to the caller's own tenant. The operator has no hand in it.
    pub fn switch_access(&self) -> Result<Permit, Denied> {
        if self.is(UserRole::TenantAdmin) {
            return Ok(Self::permit(Side::Customer, self.tenant));
        }
        Err(Denied::Forbidden)
    }

    /// Let partners' people into the caller's own tenant, each time that they ask. Nobody else can.
    pub fn answer_partners(&self) -> Result<Permit, Denied> {
        self.switch_access()
    }

    /// Say which login policies hold in the caller's own tenant. The operator has no hand in it here.
    pub fn set_login_policies(&self) -> Result<Permit, Denied> {
        self.switch_access()
    }

    /// Write login policies of the caller's own tenant: for itself, or for its customers.
    pub fn write_login_policies(&self) -> Result<Permit, Denied> {
        self.switch_access().or_else(|_| self.represent_partner())
    }

    /// Speak for the own tenant as a partner: request, provision, assign.
    pub fn represent_partner(&self) -> Result<Permit, Denied> {
        if self.is(UserRole::PartnerAdmin) {
            return Ok(Self::permit(Side::Partner, self.tenant));
        }
        Err(Denied::Forbidden)
    }

    /// Whether this customer is within what the caller came for: a key that names customers knows no other.
    #[must_use]
    pub fn is_for(&self, customer: TenantId) -> bool {
        self.key.as_ref().is_none_or(|key| key.bounds.are_for(Some(customer)))
    }

    /// Take a step in a relationship, on whichever side the caller stands.
    pub fn step(&self, relationship: &Relationship) -> Result<Permit, Denied> {
        if !self.is_for(relationship.customer) {
            return Err(Denied::Hidden);
        }
        let is_customer = self.tenant == relationship.customer;
        let is_partner = self.tenant == relationship.partner;
        if is_customer && self.is(UserRole::TenantAdmin) {
            Ok(Self::permit(Side::Customer, relationship.customer))
        } else if is_partner && self.is(UserRole::PartnerAdmin) {
            Ok(Self::permit(Side::Partner, relationship.partner))
        } else if self.is(UserRole::SuperAdmin) {
            Ok(Self::permit(Side::Operator, relationship.customer))
        } else if is_customer || is_partner {
            Err(Denied::Forbidden)
        } else {
            Err(Denied::Hidden)
        }
    }

    /// Be told why a person of the first tenant may act in the second, or why not: each side its own half.
    pub fn ask_why(&self, home: TenantId, target: Option<TenantId>) -> Result<Side, Denied> {
        let is_admin = self.is(UserRole::TenantAdmin);
        if self.is(UserRole::SuperAdmin) {
            return Ok(Side::Operator);
        }
        if self.tenant == home && (is_admin || self.is(UserRole::PartnerAdmin)) {
            return Ok(Side::Partner);
        }
        if target == Some(self.tenant) && is_admin {
            return Ok(Side::Customer);
        }
        Err(if self.tenant == home { Denied::Forbidden } else { Denied::Hidden })
    }

    /// See one's own tenant's side of a list, such as the audit log; the operator sees all.
    pub fn read(&self, tenant: TenantId) -> Result<(), Denied> {
        let may_read = self.is(UserRole::TenantAdmin)
            || self.is(UserRole::PartnerAdmin)
            || self.is(UserRole::PartnerAuditor);
        match self.tenant == tenant {
            true if may_read => Ok(()),
            _ if self.is(UserRole::SuperAdmin) => Ok(()),
            true => Err(Denied::Forbidden),
            false => Err(Denied::Hidden),
        }
    }

    /// May set customers up. A key must have been given that by its name.
    pub fn provision(&self) -> Result<Permit, Denied> {
        let permit = self.represent_partner()?;
        match &self.key {
            Some(_) if !self.scope.contains(PROVISION_TENANTS) => Err(Denied::Forbidden),
            _ => Ok(permit),
        }
    }

    /// May make keys for the own programs. No key makes another one.
    pub fn make_key(&self) -> Result<Permit, Denied> {
        if self.is_for_own_keys() {
            return Ok(Self::permit(Side::Partner, self.tenant));
        }
        Err(Denied::Forbidden)
    }

    /// Whether the person acts as a partner here, and so looks after all the own keys. By any other token those of
    /// its client are seen and ended.
    #[must_use]
    pub fn is_for_own_keys(&self) -> bool {
        let has_role = self.roles.iter().any(|role| role.is_partner_role() && self.is(*role));
        has_role && self.key.is_none()
    }

    /// May see, and end, all keys of the tenant's people. Whoever may not may still end the own ones.
    pub fn administer_keys(&self, tenant: TenantId) -> Result<Permit, Denied> {
        let is_admin = self.is(UserRole::PartnerAdmin) || self.is(UserRole::TenantAdmin);
        if self.tenant == tenant && is_admin && self.key.is_none() {
            return Ok(Self::permit(Side::Partner, tenant));
        }
        if self.is(UserRole::SuperAdmin) {
            return Ok(Self::permit(Side::Operator, tenant));
        }
        Err(Denied::Hidden)
    }

    /// Whether the caller may list the tenants that the own tenant manages.
    pub fn list_managed(&self) -> Result<(), Denied> {
        let may_list = |role: &UserRole| role.home_scope().contains(&LIST_TENANTS);
        if self.roles.iter().any(may_list) && self.scope.contains(LIST_TENANTS) {
            return Ok(());
        }
        Err(Denied::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use procura_token::ApiKeyId;

    use super::*;
    use crate::{KeyBounds, Permissions};

    fn caller(role: UserRole, scope: &str) -> Caller {
        Caller {
            user: UserId::from_bits(1),
            tenant: TenantId::from_bits(2),
            roles: vec![role],
            scope: scope.parse().unwrap(),
            session: SessionId::from_bits(3),
            client: "cli_app".parse().unwrap(),
            key: None,
        }
    }

    #[test]
    fn clients_are_their_own_tenants_business_and_the_operators() {
        let (own, other) = (TenantId::from_bits(2), TenantId::from_bits(9));
        let side = |role, scope, tenant| {
            caller(role, scope).administer_clients(tenant).map(|permit| permit.side())
        };
        assert_eq!(side(UserRole::TenantAdmin, "tenant.admin", own), Ok(Side::Customer));
        assert_eq!(side(UserRole::TenantAdmin, "tenant.admin", other), Err(Denied::Hidden));
        assert_eq!(side(UserRole::TenantAdmin, "openid", own), Err(Denied::Forbidden));
        assert_eq!(side(UserRole::SuperAdmin, "operator.admin", other), Ok(Side::Operator));
        assert_eq!(side(UserRole::SuperAdmin, "openid", other), Err(Denied::Hidden));
        let partner = caller(UserRole::PartnerAdmin, "partner.tenants.list tenant.admin");
        assert_eq!(partner.administer_clients(own), Err(Denied::Forbidden));
        assert_eq!(partner.administer_clients(other), Err(Denied::Hidden));
        // Whoever is both has the operator's hand.
        let mut both = caller(UserRole::TenantAdmin, "tenant.admin operator.admin");
        both.roles.push(UserRole::SuperAdmin);
        assert_eq!(both.administer_clients(own).map(|permit| permit.side()), Ok(Side::Operator));
        assert!(both.operate().is_ok());
        assert_eq!(partner.operate(), Err(Denied::Forbidden));
    }

    #[test]
    fn a_role_counts_only_as_far_as_the_person_let_the_client_use_it() {
        let own = TenantId::from_bits(2);
        let admin = |scope| caller(UserRole::TenantAdmin, scope);
        assert!(admin("openid tenant.admin").administer(own).is_ok(), "the honest twin");
        for less in ["", "openid profile email", "operator.admin", "partner.tenants.list"] {
            assert_eq!(admin(less).administer(own), Err(Denied::Forbidden), "{less}");
            assert_eq!(admin(less).switch_access(), Err(Denied::Forbidden), "{less}");
            assert_eq!(admin(less).read(own), Err(Denied::Forbidden), "{less}");
        }
        assert!(admin("partner.tenants.list").list_managed().is_ok(), "a switcher needs no more");
        assert!(admin("tenant.admin").list_managed().is_err());
        let operator = |scope| caller(UserRole::SuperAdmin, scope);
        let other = TenantId::from_bits(9);
        assert!(operator("operator.admin").administer(other).is_ok());
        assert_eq!(operator("openid").administer(other), Err(Denied::Hidden));
        let partner = |scope| caller(UserRole::PartnerAdmin, scope);
        assert!(partner("partner.tenants.list").represent_partner().is_ok());
        assert_eq!(partner("openid").represent_partner(), Err(Denied::Forbidden));
    }

    #[test]
    fn a_key_does_what_it_was_given_by_name_and_makes_no_other() {
        let login = caller(UserRole::PartnerAdmin, "partner.tenants.list");
        assert!(
            login.provision().is_ok() && login.make_key().is_ok(),
            "a login needs the role alone"
        );
        assert!(login.administer_keys(login.tenant).is_ok());
        let by_key = ByKey {
            id: ApiKeyId::from_bits(1),
            bounds: KeyBounds {
                permissions: Permissions::everything(),
                tenants: None,
                networks: None,
            },
        };
        let key = |role, scope| Caller { key: Some(by_key.clone()), ..caller(role, scope) };
        let both = "partner.tenants.list partner.tenants.provision";
        assert!(key(UserRole::PartnerAdmin, both).provision().is_ok());
        for (role, scope) in [
            (UserRole::PartnerAdmin, "partner.tenants.list"),
            (UserRole::PartnerAdmin, "partner.tenants.provision"),
            (UserRole::PartnerSupport, both),
        ] {
            assert_eq!(key(role, scope).provision(), Err(Denied::Forbidden), "{scope}");
        }
        assert_eq!(key(UserRole::PartnerAdmin, both).make_key(), Err(Denied::Forbidden));
        assert!(key(UserRole::PartnerAdmin, both).administer_keys(login.tenant).is_err());
        for role in [UserRole::Member, UserRole::SuperAdmin, UserRole::TenantAdmin] {
            assert_eq!(
                caller(role, "operator.admin tenant.admin").make_key(),
                Err(Denied::Forbidden)
            );
        }
        let support = caller(UserRole::PartnerSupport, "partner.tenants.list");
        assert!(support.make_key().is_ok());
        assert_eq!(support.administer_keys(support.tenant), Err(Denied::Hidden));
        let other = TenantId::from_bits(9);
        assert_eq!(login.administer_keys(other), Err(Denied::Hidden));
        assert!(caller(UserRole::SuperAdmin, "operator.admin").administer_keys(other).is_ok());
    }
}
