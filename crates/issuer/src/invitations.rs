//! Invitations: the invited person sets the own password; whoever invited never knows it.

use procura_domain::UserRole;
use procura_store::{
    tenants::Tenant,
    users::{User, UserStatus},
};

use crate::{
    Error, Issuer, Result, Via,
    environment::fingerprint,
    first_admin::{Open, Stay},
    login_rules::Demand,
    mail::Draft,
    passwords,
};

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
    /// Accepts an invitation: sets the password and lets the person in. It works once. A first admin who is
    /// asked about partners says what becomes of their access: `Invalid("partner_access")` without.
    /// `Invalid("password_length")` where the tenant's policies ask for a longer password.
    pub async fn accept_invitation(
        &self,
        token: &str,
        (password, stay): (&str, Option<Stay>),
        via: &Via,
    ) -> Result<()> {
        let length = password.chars().count();
        if length < passwords::MIN_CHARS || password.len() > passwords::MAX_BYTES {
            return Err(Error::Invalid("password"));
        }
        let Open { partners, .. } = self.find_invitation(token).await?.ok_or(Error::NotFound)?;
        let stay = match (partners.is_empty(), stay) {
            (true, _) => Stay::Keep,
            (false, Some(stay)) => stay,
            (false, None) => return Err(Error::Invalid("partner_access")),
        };
        let hash = self.0.passwords.hash(password).await?;
        let mut tx = self.0.store.begin_urgent(self.0.environment.now()).await?;
        let invited = tx.redeem_invitation(&fingerprint(token)).await?.ok_or(Error::NotFound)?;
        let user = tx.find_user_anywhere(invited).await?.ok_or(Error::NotFound)?;
        if user.status != UserStatus::Invited {
            return Err(Error::NotFound);
        }
        if !Demand::of(&mut tx, &user).await?.admits_password_of(length) {
            return Err(Error::Invalid("password_length"));
        }
        tx.update_password(user.tenant, user.id, &hash).await?;
        tx.audit(self.entry_of_invited((&user, via), "invitation.accept")?);
        self.settle_partners(&mut tx, (&user, via), &partners, stay).await?;
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
