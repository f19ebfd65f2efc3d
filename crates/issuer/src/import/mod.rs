//! The import of a file: tenants, people, identity providers, clients, resource servers and relationships, all in one
//! transaction. It makes what is missing and changes what differs, and never deletes. What belongs to
//! others once it is there, it leaves alone: passwords, a customer's switch, relationships.

mod clients;
mod last;
mod people;
mod providers;
pub mod seed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use procura_domain::Quota;
use procura_store::Tx;
use procura_token::{ClientId, TenantId, UserId};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    hand::{Hand, Subject},
    import::seed::Seed,
    mail::Draft,
    policies::enforce,
};

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file says something that cannot be; names the place.
    #[error("{place}: {why}")]
    Seed {
        /// Which entry and member.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was not the file's fault.
    #[error("{0}")]
    Verb(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Verb(error)
    }
}

impl From<procura_store::Error> for Fault {
    fn from(error: procura_store::Error) -> Self {
        Self::Verb(error.into())
    }
}

/// What an import did.
#[derive(Default)]
pub struct Imported {
    /// What was made or changed, one line each.
    pub done: Vec<String>,
    /// What differs and was left as it is, one line each.
    pub left: Vec<String>,
    /// Secrets that were made, to be shown once.
    pub secrets: Vec<(ClientId, String)>,
}

/// Whether secrets may be made: they have to be shown to somebody, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Somebody is looking.
    Shown,
    /// Nobody is: each must be stated.
    Stated,
}

/// An import that runs.
struct Run<'a> {
    issuer: &'a Issuer,
    tx: Tx,
    secrets: Secrets,
    did: Imported,
    /// Written down and not put out yet.
    mails: Vec<Draft>,
    /// Of what somebody has more now.
    added: BTreeSet<(TenantId, Quota)>,
    /// Where somebody has other roles now, and may be bound by other policies.
    reshaped: BTreeMap<TenantId, last::Reshaped>,
    /// Where the file takes the role away from an operator who could log in.
    unseated: Vec<(String, UserId)>,
}

fn fault<T>(place: impl Display, why: impl Display) -> Result<T, Fault> {
    Err(Fault::Seed { place: place.to_string(), why: why.to_string() })
}

/// Whatever a verb says is wrong, at this place of the file.
fn at(place: &str) -> impl Fn(Error) -> Fault + '_ {
    move |error| match error {
        Error::Unfit(procura_domain::Fault { member, why }) => {
            Fault::Seed { place: format!("{place}.{member}"), why: why.to_owned() }
        }
        Error::Invalid(member) => {
            Fault::Seed { place: format!("{place}.{member}"), why: "is not valid".to_owned() }
        }
        other => Fault::Verb(other),
    }
}

/// How a list names one of its entries.
fn place(list: &str, index: usize, name: impl Display) -> String {
    format!("{list}[{index}] ({name})")
}

impl Issuer {
    /// Brings the database to what the file says. A second time it changes nothing. Safe when two nodes do
    /// it at once: the second one waits, and finds everything there.
    pub async fn import(&self, seed: &Seed, secrets: Secrets) -> Result<Imported, Fault> {
        check_doubles(seed)?;
        // Before the transaction: it holds up all other writers, and a hash takes 20 ms.
        let passwords = self.hash_passwords(seed).await?;
        let tx = self.begin_by(Hand::Import).await?;
        let did = Imported::default();
        let (mails, added) = (Vec::new(), BTreeSet::new());
        let (reshaped, unseated) = (BTreeMap::new(), Vec::new());
        let mut run = Run { issuer: self, tx, secrets, did, mails, added, reshaped, unseated };
        if let Err(fault) = run.everything(seed, &passwords).await {
            for mail in run.mails {
                mail.put_away().await;
            }
            return Err(fault);
        }
        if !run.did.done.is_empty() {
            run.tx.commit().await?;
            for mail in run.mails {
                mail.put_out().await;
            }
            for client in &seed.clients {
                client.id.iter().for_each(|id| self.forget_client(id));
            }
        }
        Ok(run.did)
    }
}

impl Run<'_> {
    async fn everything(
        &mut self,
        seed: &Seed,
        passwords: &people::Passwords,
    ) -> Result<(), Fault> {
        self.tenants(seed).await?;
        self.users(seed, passwords).await?;
        self.identity_providers(seed).await?;
        self.clients(seed).await?;
        self.resource_servers(seed).await?;
        self.check_references(seed).await?;
        self.relationships(seed).await?;
        self.last_ones().await?;
        self.logins().await?;
        self.quotas().await
    }

    /// Logins that lack what is demanded of people with the roles of now end.
    async fn logins(&mut self) -> Result<(), Fault> {
        for tenant in std::mem::take(&mut self.reshaped).into_keys() {
            let ended = enforce(&mut self.tx, tenant, None, "import.user").await?;
            self.issuer.note_enforced(&mut self.tx, (tenant, None), None, ended)?;
        }
        Ok(())
    }

    /// Looked at once, when everything is there: to count with each of ten thousand would take too long.
    async fn quotas(&mut self) -> Result<(), Fault> {
        for (tenant, quota) in std::mem::take(&mut self.added) {
            self.issuer.keep_quota(&mut self.tx, tenant, quota).await?;
        }
        Ok(())
    }

    /// The tenant that an entry names.
    async fn tenant(&mut self, place: &str, member: &str, slug: &str) -> Result<TenantId, Fault> {
        match self.tx.find_tenant_by_slug(slug).await? {
            Some(tenant) => Ok(tenant.id),
            None => fault(format!("{place}.{member}"), format!("there is no tenant {slug:?}")),
        }
    }

    /// Notes what was made or changed, for people and in the audit log.
    fn note(
        &mut self,
        about: Subject<'_>,
        what: &str,
        name: &str,
        details: Map<String, Value>,
    ) -> Result<()> {
        let mut details = details;
        details.insert("change".to_owned(), json!(what));
        let action = format!("import.{}", about.kind);
        self.tx.audit(self.issuer.entry_by(Hand::Import, &action, about, details)?);
        self.did.done.push(format!("{what} {} {name}", about.kind));
        Ok(())
    }
}

/// What stands in the file twice would change to and fro with every import.
fn check_doubles(seed: &Seed) -> Result<(), Fault> {
    let providers = seed.identity_providers.iter();
    let lists: [(&str, Vec<String>); 5] = [
        ("identity_providers", providers.map(|p| format!("{}/{}", p.tenant, p.name)).collect()),
        ("tenants", seed.tenants.iter().map(|tenant| tenant.slug.clone()).collect()),
        ("users", seed.users.iter().map(|user| user.email.to_ascii_lowercase()).collect()),
        (
            "clients",
            seed.clients
                .iter()
                .map(|client| match &client.id {
                    Some(id) => id.to_string(),
                    None => format!("{} of {}", client.name, client.tenant),
                })
                .collect(),
        ),
        ("resource_servers", seed.resource_servers.iter().map(|s| s.audience.clone()).collect()),
    ];
    for (list, names) in lists {
        let mut known = std::collections::BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            if !known.insert(name) {
                return fault(place(list, index, name), "stands in the file twice");
            }
        }
    }
    Ok(())
}

/// Trimmed, of this many characters, without control characters.
fn is_text(text: &str, longest: usize) -> bool {
    let length = text.chars().count();
    (1..=longest).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}
