//! Invitations: the invited person sets the own password; whoever invited never knows it.

use procura_domain::UserRole;
use procura_store::{
    audit::Entry,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::AuditId;

use crate::{Error, Issuer, Result, Via, environment::fingerprint, mail::Draft, passwords};

/// An invitation is good for a week.
pub(crate) const INVITATION_SECS: i64 = 7 * 24 * 3600;
/// No transaction is open for so long, in seconds.
const ABANDONED_SECS: i64 = 10 * 60;

/// What goes into the mail.
pub(crate) struct Invitation<'a> {
    pub admin: &'a User,
    pub tenant: &'a Tenant,
    pub token: &'a str,
}

impl Issuer {
    /// Whether an invitation can still be accepted.
    pub async fn is_invitation_open(&self, token: &str) -> Result<bool> {
        let now = self.0.environment.now();
        Ok(self.0.store.is_invitation_open(&fingerprint(token), now).await?)
    }

    /// Accepts an invitation: sets the password and lets the person in. It works once.
    pub async fn accept_invitation(&self, token: &str, password: &str, via: &Via) -> Result<()> {
        let length = password.chars().count();
        if length < passwords::MIN_CHARS || password.len() > passwords::MAX_BYTES {
            return Err(Error::Invalid("password"));
        }
        if !self.is_invitation_open(token).await? {
            return Err(Error::NotFound);
        }
        let hash = self.0.passwords.hash(password).await?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let invited = tx.redeem_invitation(&fingerprint(token)).await?.ok_or(Error::NotFound)?;
        let user = tx.find_user_anywhere(invited).await?.ok_or(Error::NotFound)?;
        if user.status != UserStatus::Invited {
            return Err(Error::NotFound);
        }
        tx.update_password(user.tenant, user.id, &hash).await?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        tx.audit(Entry {
            actor_user_id: Some(user.id),
            actor_tenant_id: Some(user.tenant),
            target_tenant_id: Some(user.tenant),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, self.0.environment.now(), "invitation.accept", "ok")
        });
        tx.commit().await?;
        Ok(())
    }

    /// Writes the mail down before its invitation is committed: nobody takes it from there yet.
    pub(crate) async fn draft_invitation(&self, invitation: Invitation<'_>) -> Result<Draft> {
        let Invitation { admin, tenant, token } = invitation;
        let is_admin = admin.roles.contains(&UserRole::TenantAdmin);
        let what = if is_admin { "administer " } else { "" };
        let text = format!(
            "To: {}\nSubject: {} is ready for you\n\nYou were invited to {}{}.\n\n\
             Set your password here within seven days:\n{}/invitation?token={token}\n",
            admin.email, tenant.name, what, tenant.name, self.0.settings.issuer
        );
        let folder = self.0.settings.mail_dir.clone();
        let name = format!("invitation-{}", admin.id);
        Draft::write(folder, &name, &fingerprint(token), text).await.map_err(|error| {
            tracing::error!(%error, "an invitation could not be written down");
            Error::Busy
        })
    }

    /// Puts out, or away, what a process left behind that died between the draft and the mail. Called at
    /// the start and once a minute.
    pub async fn tend_mail(&self) -> Result<()> {
        let now = self.0.environment.now();
        let folder = self.0.settings.mail_dir.clone();
        let broken = |error: std::io::Error| {
            tracing::error!(%error, "the mail that waits cannot be looked at");
            Error::Broken
        };
        for (draft, age) in Draft::list(folder, now).await.map_err(broken)? {
            let (store, fingerprint) = (&self.0.store, draft.fingerprint());
            if store.is_invitation_open(fingerprint, now).await?
                || store.is_told(fingerprint).await?
            {
                draft.put_out().await;
            } else if age > ABANDONED_SECS {
                // Its transaction is long over, and there is no such invitation or notice.
                draft.put_away().await;
            }
        }
        Ok(())
    }
}
