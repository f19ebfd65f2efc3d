//! Who is the last to administer a tenant, or the deployment, stays: nobody could let anybody in again. Only those
//! count who can log in, by the policies that bind them as well.

use procura_domain::{LoginRules, UserRole};
use procura_store::{Tx, identity_providers::Provider, policies::demands, users::User};
use procura_token::{ProviderId, TenantId, UserId};

use crate::{
    Error, Result,
    identity_providers::is_alone,
    login::{ACR_PASSWORD, IDP_LOCAL},
};

/// Whether this person can be shut out, and others are left who can do as much.
pub(crate) async fn can_go(tx: &mut Tx, user: &User) -> Result<()> {
    if user.roles.contains(&UserRole::TenantAdmin)
        && !has_admin(tx, user.tenant, Some(user.id)).await?
    {
        return Err(Error::WrongState("last_tenant_admin"));
    }
    if user.roles.contains(&UserRole::SuperAdmin) && !tx.has_another_operator(user.id).await? {
        return Err(Error::WrongState("last_super_admin"));
    }
    Ok(())
}

/// Whether an admin of a tenant can log in, besides this one.
async fn has_admin(tx: &mut Tx, tenant: TenantId, besides: Option<UserId>) -> Result<bool> {
    let admins = tx.list_admins(tenant, besides).await?;
    can_any_log_in(tx, tenant, &admins).await
}

/// Who administers a tenant; the more the higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Administered {
    /// By nobody.
    Not,
    /// By people who have no way in just now.
    FromOutside,
    /// By somebody who can log in.
    Well,
}

/// Who administers this tenant, as it is in this transaction.
pub(crate) async fn administered(tx: &mut Tx, tenant: TenantId) -> Result<Administered> {
    let admins = tx.list_admins(tenant, None).await?;
    Ok(if can_any_log_in(tx, tenant, &admins).await? {
        Administered::Well
    } else if admins.is_empty() {
        Administered::Not
    } else {
        Administered::FromOutside
    })
}

async fn can_any_log_in(tx: &mut Tx, tenant: TenantId, admins: &[User]) -> Result<bool> {
    if admins.is_empty() {
        return Ok(false);
    }
    let providers = tx.list_providers(tenant).await?;
    let links = tx.list_links_of_admins(tenant).await?;
    let applied = tx.list_applied(tenant).await?;
    Ok(admins.iter().any(|admin| {
        let rules = demands(&applied, &admin.roles);
        can_log_in((admin, &rules), &providers, &links)
    }))
}

fn can_log_in(
    (admin, rules): (&User, &LoginRules),
    providers: &[Provider],
    links: &[(UserId, ProviderId)],
) -> bool {
    // An operator has no other way in than a password, and that way always.
    let is_operator = admin.roles.contains(&UserRole::SuperAdmin);
    let is_password_enough = rules.unmet_by(ACR_PASSWORD, IDP_LOCAL).is_none()
        && (is_operator || !providers.iter().any(is_alone));
    if admin.password_hash.is_some() && is_password_enough {
        return true;
    }
    let domain = admin.email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let leads_in = |provider: &Provider| {
        let settings = &provider.settings;
        let by_email = settings.links_by_email && settings.domains.iter().any(|d| d == domain);
        // The strongest that the provider can say is worth something here must do.
        let mut words = settings.acr.values().chain(settings.amr.values()).map(String::as_str);
        let is_enough = |acr: &str| rules.unmet_by(acr, &provider.idp).is_none();
        let can_be_enough = is_enough(ACR_PASSWORD) || words.any(is_enough);
        let is_led = by_email || links.contains(&(admin.id, provider.id));
        settings.is_enabled && is_led && can_be_enough
    };
    !is_operator && providers.iter().any(leads_in)
}
