//! People of a tenant: listed, shut out and let in again by its admins.

use procura_domain::Caller;
use procura_store::users::{User, UserStatus};
use procura_token::{Key, TenantId, UserId};

use crate::{Call, Error, Issuer, Result, last_admin::can_go, revoke::Revoked};

impl Issuer {
    /// All people of the tenant.
    pub async fn list_users(&self, caller: &Caller, tenant: TenantId) -> Result<Vec<User>> {
        caller.administer(tenant)?;
        Ok(self.0.store.list_users(tenant).await?)
    }

    /// Shuts a person out: ends the logins and everything that runs from them, here and in every
    /// customer's tenant. The last admin of a tenant stays, and so does the last operator.
    pub async fn disable_user(
        &self,
        call: &Call,
        tenant: TenantId,
        id: UserId,
    ) -> Result<(User, Revoked)> {
        let permit = call.caller.administer(tenant)?;
        let mut tx = self.begin_urgent_for(call).await?;
        let user = tx.find_user(permit.tenant(), id).await?.ok_or(Error::NotFound)?;
        can_go(&mut tx, &user).await?;
        tx.update_user_status(tenant, id, UserStatus::Disabled).await?;
        tx.end_sessions_of_user(id).await?;
        let ended = tx.end_delegations_of(id).await?;
        tx.revoke(&Key::Actor(id), "user.disable");
        tx.audit(self.user_entry(call, "user.disable", &user)?);
        let revoked = self.commit_revocation(tx, ended, call.confirm).await?;
        Ok((User { status: UserStatus::Disabled, ..user }, revoked))
    }

    /// Lets a person in again. Nothing from before comes back to life.
    pub async fn enable_user(&self, call: &Call, tenant: TenantId, id: UserId) -> Result<User> {
        let permit = call.caller.administer(tenant)?;
        let mut tx = self.begin_for(call).await?;
        let user = tx.find_user(permit.tenant(), id).await?.ok_or(Error::NotFound)?;
        let status =
            if user.password_hash.is_some() { UserStatus::Active } else { UserStatus::Invited };
        tx.update_user_status(tenant, id, status).await?;
        tx.audit(self.user_entry(call, "user.enable", &user)?);
        tx.commit().await?;
        Ok(User { status, ..user })
    }

    fn user_entry(
        &self,
        call: &Call,
        action: &str,
        user: &User,
    ) -> Result<procura_store::audit::Entry> {
        let mut entry = self.entry(call, action, user.tenant)?;
        entry.resource_type = Some("user".to_owned());
        entry.resource_id = Some(user.id.to_string());
        Ok(entry)
    }
}
