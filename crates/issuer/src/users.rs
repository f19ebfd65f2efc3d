//! People of a tenant: listed, shut out and let in again by its admins.

use procura_domain::{Caller, UserRole};
use procura_store::users::{User, UserStatus};
use procura_token::{Key, TenantId, UserId};

use crate::{
    Error, Issuer, Result, Via,
    revoke::{Confirm, Revoked},
};

impl Issuer {
    /// All people of the tenant.
    pub async fn list_users(&self, caller: &Caller, tenant: TenantId) -> Result<Vec<User>> {
        caller.administer(tenant)?;
        Ok(self.0.store.list_users(tenant).await?)
    }

    /// Shuts a person out: ends the logins and everything that runs from them, here and in every
    /// customer's tenant. The last admin of a tenant stays.
    pub async fn disable_user(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: UserId,
        confirm: Confirm,
        via: &Via,
    ) -> Result<(User, Revoked)> {
        let permit = caller.administer(tenant)?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let user = tx.find_user(permit.tenant(), id).await?.ok_or(Error::NotFound)?;
        let is_admin = user.roles.contains(&UserRole::TenantAdmin);
        if is_admin && tx.count_other_admins(tenant, id).await? == 0 {
            return Err(Error::WrongState("last_tenant_admin"));
        }
        tx.update_user_status(tenant, id, UserStatus::Disabled).await?;
        tx.end_sessions_of_user(id).await?;
        let ended = tx.end_delegations_of(id).await?;
        tx.revoke(&Key::Actor(id), "user.disable");
        tx.audit(self.user_entry(caller, "user.disable", &user, via)?);
        let revoked = self.commit_revocation(tx, ended, confirm).await?;
        Ok((User { status: UserStatus::Disabled, ..user }, revoked))
    }

    /// Lets a person in again. Nothing from before comes back to life.
    pub async fn enable_user(&self, caller: &Caller, tenant: TenantId, id: UserId, via: &Via) -> Result<User> {
        let permit = caller.administer(tenant)?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let user = tx.find_user(permit.tenant(), id).await?.ok_or(Error::NotFound)?;
        let status = if user.password_hash.is_some() { UserStatus::Active } else { UserStatus::Invited };
        tx.update_user_status(tenant, id, status).await?;
        tx.audit(self.user_entry(caller, "user.enable", &user, via)?);
        tx.commit().await?;
        Ok(User { status, ..user })
    }

    fn user_entry(
        &self,
        caller: &Caller,
        action: &str,
        user: &User,
        via: &Via,
    ) -> Result<procura_store::audit::Entry> {
        let mut entry = self.entry(caller, action, user.tenant, via)?;
        entry.resource_type = Some("user".to_owned());
        entry.resource_id = Some(user.id.to_string());
        Ok(entry)
    }
}
