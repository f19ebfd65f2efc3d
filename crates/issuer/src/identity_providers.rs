//! Identity providers of tenants: registered, looked at, changed, taken away; and whom they log in as
//! whom. What takes something away ends the logins that came by it, in the same transaction.

use procura_domain::{
    Caller, Fault, ProviderSettings, UserRole, identity_provider::is_provider_name, policy::Permit,
    relationship::Side,
};
use procura_store::{
    Tx,
    identity_providers::{IdentityLink, Provider},
};
use procura_token::{Key, ProviderId, TenantId, UserId};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    hand::{Hand, Subject, difference},
    last_admin::{Administered, administered},
    login::IDP_LOCAL,
    revoke::Revoked,
};

/// Longer secrets and subjects are none.
const MAX_SECRET_BYTES: usize = 512;
const MAX_SUBJECT_BYTES: usize = 255;
/// No tenant has more, with those that were removed: their names stay taken. Every login by a password looks
/// at all of them while all other writers wait.
const MOST: i64 = 50;

/// What is said of a provider once.
#[derive(Clone, Copy)]
pub struct NewProvider<'a> {
    /// How its tenant calls it.
    pub name: &'a str,
    /// Its issuer.
    pub issuer: &'a str,
    /// Our secret there.
    pub client_secret: &'a str,
}

/// A provider after a change.
pub struct ChangedProvider {
    /// As it is now.
    pub provider: Provider,
    /// What the change killed; `None` where it took nothing away.
    pub revoked: Option<Revoked>,
}

impl Issuer {
    /// Registers a provider of a tenant.
    pub async fn add_identity_provider(
        &self,
        hand: Hand<'_>,
        tenant: TenantId,
        new: NewProvider<'_>,
        settings: ProviderSettings,
    ) -> Result<Provider> {
        let permit = permit(hand.caller(), tenant)?;
        within(&permit, &settings, &ProviderSettings::default())?;
        let mut tx = self.begin_by(hand).await?;
        let provider = self.insert_provider(&mut tx, hand, tenant, (new, settings)).await?;
        tx.commit().await?;
        Ok(provider)
    }

    /// The same inside of a transaction, for who was permitted.
    pub(crate) async fn insert_provider(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        tenant: TenantId,
        (new, settings): (NewProvider<'_>, ProviderSettings),
    ) -> Result<Provider> {
        self.check_new(new, &settings)?;
        let slug = tx.find_tenant(tenant).await?.ok_or(Error::NotFound)?.slug;
        let id = ProviderId::from_bits(self.0.environment.id_bits()?);
        let provider = Provider {
            id,
            tenant,
            name: new.name.to_owned(),
            idp: format!("{slug}/{}", new.name),
            issuer: new.issuer.to_owned(),
            settings,
            sealed: self.0.secrets.seal_for(id, new.client_secret)?,
            version: 1,
            created_at: tx.now(),
        };
        if tx.count_providers(tenant).await? >= MOST {
            return Err(Error::WrongState("too_many_identity_providers"));
        }
        tx.insert_provider(&provider).await?;
        reachable(tx, &provider, None).await?;
        let details = difference(&Value::Object(Map::new()), &shown(&provider)?);
        tx.audit(self.entry_by(hand, ADD, subject(&provider), details)?);
        if is_alone(&provider) {
            end_logins(tx, (tenant, IDP_LOCAL), None, ADD).await?;
        }
        Ok(provider)
    }

    fn check_new(&self, new: NewProvider<'_>, settings: &ProviderSettings) -> Result<()> {
        if !is_provider_name(new.name) {
            return Err(fault("name", "must be 1 to 40 lower-case letters, digits and hyphens"));
        }
        let is_other = new.issuer != self.0.settings.issuer && !new.issuer.contains('?');
        if !is_other || self.check_url("issuer", new.issuer).is_err() {
            return Err(fault("issuer", "must be the https URL of another provider"));
        }
        check_secret(new.client_secret)?;
        Ok(settings.check()?)
    }

    /// A provider that the caller may look after; without a caller, any.
    pub async fn find_identity_provider(
        &self,
        caller: Option<&Caller>,
        id: ProviderId,
    ) -> Result<Provider> {
        let found = match caller.filter(|caller| !caller.is(UserRole::SuperAdmin)) {
            Some(caller) => {
                permit(Some(caller), caller.tenant)?;
                self.0.store.find_provider_of(caller.tenant, id).await?
            }
            None => self.0.store.find_provider(id).await?,
        };
        found.ok_or(Error::NotFound)
    }

    /// The providers of a tenant; of all of them, for the operator who names none.
    pub async fn list_identity_providers(
        &self,
        caller: Option<&Caller>,
        tenant: Option<TenantId>,
    ) -> Result<Vec<Provider>> {
        let of_one = caller.filter(|caller| !caller.is(UserRole::SuperAdmin));
        match tenant.or(of_one.map(|caller| caller.tenant)) {
            Some(tenant) => {
                permit(caller, tenant)?;
                Ok(self.0.store.list_providers(tenant).await?)
            }
            None => Ok(self.0.store.list_all_providers().await?),
        }
    }

    /// Changes the members that a JSON Merge Patch names, and the secret where there is another one. Where
    /// logins of before count for less now, they end. `expected` is the version that the caller saw.
    pub async fn update_identity_provider(
        &self,
        hand: Hand<'_>,
        id: ProviderId,
        (patch, secret): (&Value, Option<&str>),
        expected: Option<i64>,
    ) -> Result<ChangedProvider> {
        let mut tx = self.begin_by(hand).await?;
        let (before, permit) = provider_for(&mut tx, hand, id, expected).await?;
        let settings = before.settings.patched(patch)?;
        within(&permit, &settings, &before.settings)?;
        let version = before.version;
        let written = self.write_provider(&mut tx, hand, before, (settings, secret)).await?;
        let (provider, ended) = written;
        if provider.version == version {
            return Ok(ChangedProvider { provider, revoked: None });
        }
        let revoked = self.commit_change(tx, ended, hand).await?;
        Ok(ChangedProvider { provider, revoked })
    }

    /// The same inside of a transaction: as it is then, and how many delegations it ended where it ended
    /// logins. What does not differ is not written.
    pub(crate) async fn write_provider(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        before: Provider,
        (settings, secret): (ProviderSettings, Option<&str>),
    ) -> Result<(Provider, Option<u64>)> {
        settings.check()?;
        let mut after = Provider { settings, ..before.clone() };
        if let Some(secret) = secret {
            check_secret(secret)?;
            after.sealed = self.0.secrets.seal_for(after.id, secret)?;
        }
        let mut details = difference(&shown(&before)?, &shown(&after)?);
        details.extend(secret.map(|_| ("client_secret".to_owned(), json!("changed"))));
        if details.is_empty() {
            return Ok((before, None));
        }
        let stood = (is_alone(&before), administered(tx, before.tenant).await?);
        tx.update_provider(&after).await?;
        reachable(tx, &after, Some(stood)).await?;
        tx.audit(self.entry_by(hand, UPDATE, subject(&after), details)?);
        let mut ended = None;
        if after.settings.is_narrower_than(&before.settings) {
            ended = Some(end_logins(tx, (after.tenant, &after.idp), None, UPDATE).await?);
        }
        if is_alone(&after) && !is_alone(&before) {
            let more = end_logins(tx, (after.tenant, IDP_LOCAL), None, UPDATE).await?;
            ended = Some(ended.unwrap_or(0).saturating_add(more));
        }
        after.version = after.version.saturating_add(1);
        Ok((after, ended))
    }

    /// Takes a provider away with its links, and ends the logins that came by it. Its name stays taken.
    pub async fn remove_identity_provider(
        &self,
        hand: Hand<'_>,
        id: ProviderId,
        expected: Option<i64>,
    ) -> Result<Revoked> {
        const CAUSE: &str = "identity_provider.remove";
        let mut tx = self.begin_by(hand).await?;
        let (provider, _) = provider_for(&mut tx, hand, id, expected).await?;
        tx.remove_provider(id).await?;
        let ended = end_logins(&mut tx, (provider.tenant, &provider.idp), None, CAUSE).await?;
        let details = difference(&shown(&provider)?, &Value::Object(Map::new()));
        tx.audit(self.entry_by(hand, CAUSE, subject(&provider), details)?);
        self.commit_revocation(tx, ended, hand.confirm()).await
    }

    /// Who of a provider is who of its tenant.
    pub async fn list_identity_links(
        &self,
        caller: Option<&Caller>,
        id: ProviderId,
    ) -> Result<Vec<IdentityLink>> {
        let provider = self.find_identity_provider(caller, id).await?;
        Ok(self.0.store.list_identity_links(provider.tenant, id).await?)
    }

    /// Links somebody of a provider to a person of its tenant: one to one.
    pub async fn add_identity_link(
        &self,
        hand: Hand<'_>,
        id: ProviderId,
        pair: (&str, UserId),
    ) -> Result<IdentityLink> {
        let mut tx = self.begin_by(hand).await?;
        let (provider, _) = provider_for(&mut tx, hand, id, None).await?;
        let link = self.insert_link(&mut tx, hand, &provider, pair).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// The same inside of a transaction, for who was permitted.
    pub(crate) async fn insert_link(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        provider: &Provider,
        (subject, user): (&str, UserId),
    ) -> Result<IdentityLink> {
        let is_subject = (1..=MAX_SUBJECT_BYTES).contains(&subject.len())
            && subject.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if !is_subject {
            return Err(fault("subject", "must be 1 to 255 characters of ASCII"));
        }
        let known = tx.find_user(provider.tenant, user).await?;
        let known = known.ok_or(fault("user_id", "is nobody of this tenant"))?;
        if known.roles.contains(&UserRole::SuperAdmin) {
            return Err(fault("user_id", "is an operator, who logs in with a password alone"));
        }
        let link = IdentityLink {
            provider: provider.id,
            subject: subject.to_owned(),
            user,
            tenant: provider.tenant,
            created_at: tx.now(),
        };
        tx.insert_identity_link(&link).await?;
        let about = self::subject(provider);
        tx.audit(self.entry_by(hand, "identity_link.add", about, linked(&link))?);
        Ok(link)
    }

    /// Takes the link of a person away, and ends the person's logins that came by it.
    pub async fn remove_identity_link(
        &self,
        hand: Hand<'_>,
        id: ProviderId,
        user: UserId,
    ) -> Result<Revoked> {
        const CAUSE: &str = "identity_link.remove";
        let mut tx = self.begin_by(hand).await?;
        let (provider, _) = provider_for(&mut tx, hand, id, None).await?;
        let link = tx.find_identity_link_of(id, user).await?.ok_or(Error::NotFound)?;
        let stood = (is_alone(&provider), administered(&mut tx, provider.tenant).await?);
        tx.delete_identity_link(id, user).await?;
        reachable(&mut tx, &provider, Some(stood)).await?;
        let by = (provider.tenant, provider.idp.as_str());
        let ended = end_logins(&mut tx, by, Some(user), CAUSE).await?;
        tx.audit(self.entry_by(hand, CAUSE, subject(&provider), linked(&link))?);
        self.commit_revocation(tx, ended, hand.confirm()).await
    }
}

const ADD: &str = "identity_provider.add";
const UPDATE: &str = "identity_provider.update";

/// May this caller look after identity providers of the tenant? Nobody calls on the command line.
fn permit(caller: Option<&Caller>, tenant: TenantId) -> Result<Permit> {
    match caller {
        Some(caller) => Ok(caller.administer_identity_providers(tenant)?),
        None => Ok(Permit::at_the_machine(tenant)),
    }
}

/// The provider as it is in this transaction, and the right to change it.
async fn provider_for(
    tx: &mut Tx,
    hand: Hand<'_>,
    id: ProviderId,
    expected: Option<i64>,
) -> Result<(Provider, Permit)> {
    // First: whoever may administer nothing is not told whether it exists, here or in another tenant.
    let own = hand.caller().map(|caller| caller.tenant);
    own.map(|own| permit(hand.caller(), own)).transpose()?;
    let provider = tx.find_provider(id).await?.ok_or(Error::NotFound)?;
    let permit = permit(hand.caller(), provider.tenant)?;
    if expected.is_some_and(|version| version != provider.version) {
        return Err(Error::Stale);
    }
    Ok((provider, permit))
}

/// Whether whoever holds this permit may make these settings of those.
fn within(permit: &Permit, settings: &ProviderSettings, before: &ProviderSettings) -> Result<()> {
    match settings.beyond_a_tenant(before) {
        Some(member) if permit.side() != Side::Operator => Err(Error::Beyond(member)),
        _ => Ok(()),
    }
}

/// Whether passwords of the tenant are worth nothing because of this provider.
pub(crate) const fn is_alone(provider: &Provider) -> bool {
    provider.settings.is_enabled && provider.settings.replaces_passwords
}

/// Where a provider takes the place of passwords, an admin of the tenant must come in, by what its policies
/// demand as well. Where it has done so before (`stood`: whether, and who administered then) nothing may become
/// worse, so that what was stolen can always be taken away.
async fn reachable(
    tx: &mut Tx,
    provider: &Provider,
    stood: Option<(bool, Administered)>,
) -> Result<()> {
    if !is_alone(provider) {
        return Ok(());
    }
    let is_open = match (administered(tx, provider.tenant).await?, stood) {
        (Administered::Well, _) => true,
        (now, Some((true, before))) => now >= before,
        // Whoever is invited comes in by the address that the invitation went to.
        (now, _) => now == Administered::Not && provider.settings.links_by_email,
    };
    if is_open { Ok(()) } else { Err(Error::WrongState("no_linked_admin")) }
}

/// Ends the logins that came by a provider; answers how many delegations that ended.
async fn end_logins(
    tx: &mut Tx,
    (tenant, idp): (TenantId, &str),
    user: Option<UserId>,
    cause: &'static str,
) -> Result<u64> {
    let (alive, ended) = tx.end_sessions_by(tenant, idp, user).await?;
    for session in alive {
        tx.revoke(&Key::Session(session), cause);
    }
    Ok(ended)
}

const fn fault(member: &'static str, why: &'static str) -> Error {
    Error::Unfit(Fault { member, why })
}

fn check_secret(secret: &str) -> Result<()> {
    let is_good = (1..=MAX_SECRET_BYTES).contains(&secret.len())
        && secret.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if is_good {
        Ok(())
    } else {
        Err(fault("client_secret", "must be 1 to 512 characters of ASCII"))
    }
}

pub(crate) fn subject(provider: &Provider) -> Subject<'_> {
    Subject { tenant: provider.tenant, kind: "identity_provider", id: &provider.idp }
}

pub(crate) fn linked(link: &IdentityLink) -> Map<String, Value> {
    let members = [("subject", json!(link.subject)), ("user_id", json!(link.user))];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// As the audit log shows it. Without the secret.
fn shown(provider: &Provider) -> Result<Value> {
    let mut shown = serde_json::to_value(&provider.settings).map_err(|_| Error::Broken)?;
    if let Some(members) = shown.as_object_mut() {
        members.insert("name".to_owned(), json!(provider.name));
        members.insert("issuer".to_owned(), json!(provider.issuer));
    }
    Ok(shown)
}
