//! Invitations: the invited person sets the own password; whoever invited never knows it.

use procura_domain::UserRole;
use procura_store::{
    audit::Entry,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{AuditId, TenantId};

use crate::{Error, Issuer, Result, Via, environment::fingerprint, passwords};

/// An invitation is good for a week.
pub(crate) const INVITATION_SECS: i64 = 7 * 24 * 3600;

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

    /// Puts the mail where the deployment's mailer takes it from: one file each, readable by the
    /// server's own account only.
    pub(crate) async fn send_invitation(&self, invitation: Invitation<'_>) -> Result<()> {
        let Invitation { admin, tenant, token } = invitation;
        let is_admin = admin.roles.contains(&UserRole::TenantAdmin);
        let what = if is_admin { "administer " } else { "" };
        let text = format!(
            "To: {}\nSubject: {} is ready for you\n\nYou were invited to {}{}.\n\n\
             Set your password here within seven days:\n{}/invitation?token={token}\n",
            admin.email, tenant.name, what, tenant.name, self.0.settings.issuer
        );
        let directory = self.0.settings.mail_dir.clone();
        let file = directory.join(format!("{}.eml", mail_name(tenant.id)));
        // Others of the same tenant may be invited before this mail is taken away.
        let another = directory.join(format!("{}-{}.eml", mail_name(tenant.id), admin.id));
        let written = tokio::task::spawn_blocking(move || {
            use std::{io::Write, os::unix::fs::OpenOptionsExt};
            std::fs::create_dir_all(directory)?;
            let file = if file.exists() { another } else { file };
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(file)?.write_all(text.as_bytes())
        });
        written.await.map_err(|_| Error::Broken)?.map_err(|error| {
            tracing::error!(%error, "an invitation could not be put out for delivery");
            Error::Broken
        })
    }
}

fn mail_name(tenant: TenantId) -> String {
    format!("invitation-{tenant}")
}
