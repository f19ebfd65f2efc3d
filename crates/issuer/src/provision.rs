//! A partner sets a customer up: tenant, relationship, policies and first admin in one transaction.

use procura_domain::{
    Access, Relationship, RelationshipKind, RelationshipRole, StandardClaims, TenantStatus,
    UserRole, relationship::Origin,
};
use procura_store::{
    Tx,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{TenantId, UserId};

use crate::{
    Call, Error, Issuer, Result,
    environment::fingerprint,
    invitations::{INVITATION_SECS, Invitation},
    login::new_address,
};

/// What a partner says of a new customer.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// What people call it.
    pub name: String,
    /// Its plan; `standard` where none is named.
    pub plan: Option<String>,
    /// Who will administer it; gets an invitation.
    pub admin_email: String,
    /// What the partner may do there; `msp_support` where nothing is named.
    pub access_role: Option<RelationshipRole>,
}

/// What was set up.
pub struct Provisioned {
    /// The customer.
    pub tenant: Tenant,
    /// The partner's edge to it, in force at once.
    pub relationship: Relationship,
    /// Its first admin, invited.
    pub admin: User,
}

impl Issuer {
    /// Sets a customer up. The partner never learns the invitation: it goes to the customer's admin.
    pub async fn provision_customer(&self, call: &Call, new: &NewCustomer) -> Result<Provisioned> {
        let permit = call.caller.provision()?;
        let name = bounded(&new.name, 1..=120).ok_or(Error::Invalid("name"))?;
        let plan = new.plan.as_deref().unwrap_or("standard");
        let plan = bounded(plan, 1..=40).ok_or(Error::Invalid("plan"))?;
        let email = new_address(&new.admin_email).ok_or(Error::Invalid("admin_email"))?;

        let mut made = self.new_customer(permit.tenant(), name, plan, email)?;
        made.relationship.role = new.access_role.unwrap_or(RelationshipRole::MspSupport);
        let token = self.0.environment.secret()?;
        // Written down before anything is locked, put out after the commit. Whoever dies in between leaves
        // the draft, and the next look at it asks the database.
        let invitation = Invitation { admin: &made.admin, tenant: &made.tenant, token: &token };
        let draft = self.draft_invitation(invitation).await?;
        let tx = match self.insert_customer(call, &mut made, &token).await {
            Ok(tx) => tx,
            Err(error) => {
                draft.put_away().await;
                return Err(error);
            }
        };
        // A commit that fails may have been done all the same: then the draft is left where it is.
        tx.commit().await?;
        draft.put_out().await;
        Ok(made)
    }

    fn new_customer(
        &self,
        partner: TenantId,
        name: &str,
        plan: &str,
        email: String,
    ) -> Result<Provisioned> {
        let id = TenantId::from_bits(self.0.environment.id_bits()?);
        let now = self.0.environment.now();
        let tenant = Tenant {
            id,
            slug: slug(name),
            name: name.to_owned(),
            status: TenantStatus::Active,
            plan: plan.to_owned(),
            partner_access: Access::On,
            partner_code: self.0.environment.secret()?,
            created_at: now,
        };
        let relationship = Relationship {
            origin: Origin::Provisioned,
            ..self.new_edge(partner, id, RelationshipKind::Manages)?
        };
        let admin = User {
            id: UserId::from_bits(self.0.environment.id_bits()?),
            tenant: id,
            name: email.clone(),
            email,
            roles: vec![UserRole::TenantAdmin],
            status: UserStatus::Invited,
            password_hash: None,
            ends_at: None,
            claims: StandardClaims::default(),
            created_at: now,
            changed_at: now,
        };
        Ok(Provisioned { tenant, relationship, admin })
    }

    /// Everything in one transaction, which is not committed yet.
    async fn insert_customer(
        &self,
        call: &Call,
        made: &mut Provisioned,
        invitation: &str,
    ) -> Result<Tx> {
        let mut tx = self.begin_for(call).await?;
        let Provisioned { tenant, relationship, admin } = made;
        if tenant.slug.is_empty() || tx.find_tenant_by_slug(&tenant.slug).await?.is_some() {
            // A taken name is told apart by the random end of its id.
            let digits = format!("{:032x}", tenant.id.bits());
            let slug = format!("{}-{}", tenant.slug, digits.get(24..).unwrap_or_default());
            slug.trim_matches('-').clone_into(&mut tenant.slug);
        }
        let expires_at = tx.now().plus_secs(INVITATION_SECS);
        tx.insert_tenant(tenant).await?;
        tx.insert_user(admin).await?;
        tx.insert_invitation(&fingerprint(invitation), admin.id, expires_at).await?;
        tx.insert_relationship(relationship, None).await?;
        self.inherit_quotas(&mut tx, call, relationship).await?;
        self.begin_history(&mut tx, call, ("tenant.provision", None), relationship).await?;
        self.apply_to_new_customer(&mut tx, call, relationship).await?;
        Ok(tx)
    }
}

/// Trimmed, of this many characters, without control characters.
fn bounded(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<&str> {
    let text = text.trim();
    let is_good = length.contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_good.then_some(text)
}

/// `Acme Corp` → `acme-corp`.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.truncate(40);
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_plain() {
        assert_eq!(slug("Acme Corp"), "acme-corp");
        assert_eq!(slug("  Ünïcode & Söhne  "), "n-code-s-hne");
        assert_eq!(slug("***"), "");
    }
}
