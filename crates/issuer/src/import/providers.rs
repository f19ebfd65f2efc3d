//! Identity providers of a file, and whom they log in as whom.

use procura_domain::ProviderSettings;
use procura_store::identity_providers::Provider;

use crate::{
    Error,
    hand::Hand,
    identity_providers::NewProvider,
    import::{
        Fault, Run, at, fault, place,
        seed::{ProviderSeed, Seed},
    },
    login::normalise_email,
};

impl Run<'_> {
    pub(super) async fn identity_providers(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, entry) in seed.identity_providers.iter().enumerate() {
            let place = place("identity_providers", index, &entry.name);
            let tenant = self.tenant(&place, "tenant", &entry.tenant).await?;
            let known = self.tx.list_providers(tenant).await?;
            let provider = match known.into_iter().find(|known| known.name == entry.name) {
                Some(known) if known.issuer != entry.issuer => {
                    return fault(
                        format!("{place}.issuer"),
                        "is another one than it was made with",
                    );
                }
                Some(known) => known,
                None if self.tx.was_provider_removed(tenant, &entry.name).await? => {
                    let what = format!("identity_provider {}/{}", entry.tenant, entry.name);
                    self.did.left.push(format!("{what}: it was removed, and its name stays taken"));
                    continue;
                }
                None => self.new_provider(&place, entry).await?,
            };
            self.changed_provider(&place, entry, provider).await?;
        }
        Ok(())
    }

    async fn new_provider(&mut self, place: &str, entry: &ProviderSeed) -> Result<Provider, Fault> {
        let tenant = self.tenant(place, "tenant", &entry.tenant).await?;
        let client_secret = entry.client_secret.text().unwrap_or_default();
        let new = NewProvider { name: &entry.name, issuer: &entry.issuer, client_secret };
        // It takes the place of passwords when its links are there.
        let settings = ProviderSettings { replaces_passwords: false, ..entry.settings.clone() };
        let what = (new, settings);
        let made = self.issuer.insert_provider(&mut self.tx, Hand::Import, tenant, what).await;
        let made = made.map_err(at(place))?;
        self.did.done.push(format!("created identity_provider {}", made.idp));
        // Once: a link that somebody takes away does not come back with the next start.
        self.links(place, entry, &made).await?;
        Ok(made)
    }

    async fn changed_provider(
        &mut self,
        place: &str,
        entry: &ProviderSeed,
        before: Provider,
    ) -> Result<(), Fault> {
        let stated = entry.client_secret.text().unwrap_or_default();
        let held = self.issuer.0.secrets.open_for(before.id, &before.sealed)?;
        let secret = (stated != held.as_str()).then_some(stated);
        let (version, idp) = (before.version, before.idp.clone());
        // What somebody switched off is not switched on by a restart.
        let is_enabled = before.settings.is_enabled;
        let what = (ProviderSettings { is_enabled, ..entry.settings.clone() }, secret);
        let written = self.issuer.write_provider(&mut self.tx, Hand::Import, before, what).await;
        let written = written.map_err(|error| match error {
            Error::WrongState(_) => Fault::Seed {
                place: format!("{place}.settings.replaces_passwords"),
                why: "no admin of the tenant could log in then".to_owned(),
            },
            other => at(place)(other),
        })?;
        if written.0.version != version {
            self.did.done.push(format!("changed identity_provider {idp}"));
        }
        Ok(())
    }

    async fn links(
        &mut self,
        place: &str,
        entry: &ProviderSeed,
        provider: &Provider,
    ) -> Result<(), Fault> {
        for (index, link) in entry.links.iter().enumerate() {
            let place = format!("{place}.links[{index}]");
            let user = match normalise_email(&link.user) {
                Some(email) => self.tx.find_user_by_email(&email).await?,
                None => None,
            };
            let Some(user) = user else {
                return fault(format!("{place}.user"), format!("there is no user {:?}", link.user));
            };
            let pair = (link.subject.as_str(), user.id);
            let issuer = self.issuer;
            let made = issuer.insert_link(&mut self.tx, Hand::Import, provider, pair).await;
            made.map_err(|error| match error {
                Error::Conflict => Fault::Seed {
                    place: place.clone(),
                    why: "one of both is linked to somebody else already".to_owned(),
                },
                other => at(&place)(other),
            })?;
        }
        Ok(())
    }
}
