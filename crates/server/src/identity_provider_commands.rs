//! `procura identity-provider …`: the operator's own hand, on the database as configured, beside a
//! running server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use procura_domain::ProviderSettings;
use procura_issuer::{Error, Issuer, hand::Hand, identity_providers::NewProvider};
use procura_store::identity_providers::Provider;
use procura_token::{ProviderId, UserId};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    api::view,
    client_commands::{Output, object, refused, tenant},
    database,
    failure::Failure,
    keys::read_private,
    start::with_issuer,
};

/// A secret is far shorter.
const MAX_SECRET_FILE_BYTES: u64 = 1024;

/// What can be done with identity providers.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a provider of a tenant. What has to be registered there is printed.
    Add(Box<Add>),
    /// Print all providers, or a tenant's.
    List(List),
    /// Print a provider.
    Show(One),
    /// Change what is named; everything else stays.
    Update(Box<Update>),
    /// Take a provider away with its links, and end the logins that came by it. Its name stays taken.
    Remove(One),
    /// Print who of a provider is who of its tenant.
    Links(One),
    /// Link somebody of a provider to a person of its tenant.
    Link(Link),
    /// Take a person's link away, and end the logins that came by it.
    Unlink(Unlink),
}

/// A new provider.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    output: Output,
    /// The tenant whose people it logs in: id or slug.
    #[arg(long)]
    tenant: String,
    /// How the tenant calls it; `SLUG/NAME` stands in tokens.
    #[arg(long)]
    name: String,
    /// Its issuer.
    #[arg(long, value_name = "URL")]
    issuer: String,
    #[command(flatten)]
    settings: Settings,
}

/// Which providers.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    /// Only of this tenant: id or slug.
    #[arg(long)]
    tenant: Option<String>,
}

/// One provider.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    output: Output,
    /// Its id, or `SLUG/NAME`.
    #[arg(value_name = "PROVIDER")]
    provider: String,
}

/// One provider, and what changes.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    settings: Settings,
}

/// Somebody there, and here.
#[derive(Debug, Args)]
pub struct Link {
    #[command(flatten)]
    one: One,
    /// `sub` there.
    #[arg(long)]
    subject: String,
    /// The person here.
    #[arg(long, value_name = "USER")]
    user: UserId,
}

/// A person here.
#[derive(Debug, Args)]
pub struct Unlink {
    #[command(flatten)]
    one: One,
    /// The person here.
    #[arg(long, value_name = "USER")]
    user: UserId,
}

/// What a provider is registered with.
#[derive(Debug, Args)]
struct Settings {
    /// What people see on the login page.
    #[arg(long)]
    title: Option<String>,
    /// As which client Procura is registered there.
    #[arg(long)]
    client_id: Option<String>,
    /// The file with Procura's secret there; readable by its owner alone.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// An e-mail domain whose people it logs in; may be repeated, and then all of them are named.
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// Whether somebody with a verified address in one of the domains is taken for the person who has it.
    #[arg(long, value_name = "BOOL")]
    links_by_email: Option<bool>,
    /// Whether people of the tenant can log in with a password no more.
    #[arg(long, value_name = "BOOL")]
    replaces_passwords: Option<bool>,
    /// Whether anybody can log in by it.
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// Other members by their names in the API, as a JSON object; `null` puts a default back.
    #[arg(long = "settings", value_name = "JSON", value_parser = object)]
    others: Option<Value>,
}

impl Settings {
    /// As the JSON Merge Patch that the API would get.
    fn patch(&self) -> Result<Value, Failure> {
        let mut patch = match &self.others {
            None => Map::new(),
            Some(Value::Object(members)) => members.clone(),
            Some(_) => return Err(Failure("--settings: must be a JSON object".to_owned())),
        };
        let domains = (!self.domain.is_empty()).then(|| json!(self.domain));
        let named = [
            ("title", self.title.as_ref().map(|title| json!(title))),
            ("client_id", self.client_id.as_ref().map(|id| json!(id))),
            ("domains", domains),
            ("links_by_email", self.links_by_email.map(Value::Bool)),
            ("replaces_passwords", self.replaces_passwords.map(Value::Bool)),
            ("is_enabled", self.enabled.map(Value::Bool)),
        ];
        for (name, value) in named {
            patch.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(Value::Object(patch))
    }

    fn secret(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let read = |path: &PathBuf| {
            let text = read_private(Path::new(path), MAX_SECRET_FILE_BYTES)?;
            Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        };
        self.client_secret_file.as_ref().map(read).transpose()
    }
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::Add(add) => &add.output,
        Command::List(list) => &list.output,
        Command::Update(update) => &update.one.output,
        Command::Link(link) => &link.one.output,
        Command::Unlink(unlink) => &unlink.one.output,
        Command::Show(one) | Command::Remove(one) | Command::Links(one) => &one.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let hand = Hand::CommandLine;
    match command {
        Command::Add(add) => self::add(issuer, add, json).await?,
        Command::List(list) => self::list(issuer, list, json).await?,
        Command::Show(one) => print(issuer, &found(issuer, one).await?, json),
        Command::Update(update) => self::update(issuer, update, json).await?,
        Command::Remove(one) => {
            let id = found(issuer, one).await?.id;
            let removed = issuer.remove_identity_provider(hand, id, None).await;
            let revoked = removed.map_err(refused(one.provider.clone()))?;
            say(json, &json!({ "revoked": view::revoked(Some(&revoked)) }), || {
                format!("{} is gone; the logins that came by it are over.", one.provider)
            });
        }
        Command::Links(one) => {
            let id = found(issuer, one).await?.id;
            let links = issuer.list_identity_links(None, id).await;
            let links = links.map_err(refused(one.provider.clone()))?;
            let shown = links.iter().map(view::identity_link).collect();
            let text = || {
                let line = |link: &procura_store::identity_providers::IdentityLink| {
                    format!("{}  {}", link.user, link.subject)
                };
                links.iter().map(line).collect::<Vec<_>>().join("\n")
            };
            say(json, &Value::Array(shown), text);
        }
        Command::Link(Link { one, subject, user }) => {
            let id = found(issuer, one).await?.id;
            let linked = issuer.add_identity_link(hand, id, (subject, *user)).await;
            let link = linked.map_err(refused(one.provider.clone()))?;
            say(json, &view::identity_link(&link), || format!("{user} is linked."));
        }
        Command::Unlink(Unlink { one, user }) => {
            let id = found(issuer, one).await?.id;
            let unlinked = issuer.remove_identity_link(hand, id, *user).await;
            let revoked = unlinked.map_err(refused(one.provider.clone()))?;
            say(json, &json!({ "revoked": view::revoked(Some(&revoked)) }), || {
                format!("{user} is linked no more; the logins that came by it are over.")
            });
        }
    }
    Ok(())
}

async fn add(issuer: &Issuer, add: &Add, json: bool) -> Result<(), Failure> {
    let tenant = tenant(issuer, &add.tenant).await?;
    let failed = refused("not registered".to_owned());
    let secret = add.settings.secret()?;
    let secret = secret.ok_or(Failure("--client-secret-file is missing".to_owned()))?;
    let settings = ProviderSettings::default().patched(&add.settings.patch()?);
    let settings = settings.map_err(|fault| failed(Error::from(fault)))?;
    let new = NewProvider { name: &add.name, issuer: &add.issuer, client_secret: &secret };
    let hand = Hand::CommandLine;
    let made = issuer.add_identity_provider(hand, tenant, new, settings).await;
    print(issuer, &made.map_err(&failed)?, json);
    Ok(())
}

async fn list(issuer: &Issuer, list: &List, json: bool) -> Result<(), Failure> {
    let tenant = match &list.tenant {
        Some(name) => Some(tenant(issuer, name).await?),
        None => None,
    };
    let failed = refused("the identity providers cannot be read".to_owned());
    let providers = issuer.list_identity_providers(None, tenant).await.map_err(failed)?;
    let shown = providers.iter().map(|provider| shown(issuer, provider)).collect();
    let text = || {
        let line = |provider: &Provider| {
            let on = if provider.settings.is_enabled { "on" } else { "off" };
            format!("{}  {on:<3}  {}  {}", provider.id, provider.idp, provider.issuer)
        };
        providers.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    say(json, &Value::Array(shown), text);
    Ok(())
}

async fn update(issuer: &Issuer, update: &Update, json: bool) -> Result<(), Failure> {
    let name = &update.one.provider;
    let id = found(issuer, &update.one).await?.id;
    let (patch, secret) = (update.settings.patch()?, update.settings.secret()?);
    let wish = (&patch, secret.as_ref().map(|secret| secret.as_str()));
    let changed = issuer.update_identity_provider(Hand::CommandLine, id, wish, None).await;
    let changed = changed.map_err(refused(name.clone()))?;
    let body = json!({
        "identity_provider": shown(issuer, &changed.provider),
        "revoked": view::revoked(changed.revoked.as_ref()),
    });
    let over = if changed.revoked.is_some() { "; logins are over" } else { "" };
    say(json, &body, || format!("{name} is changed{over}."));
    Ok(())
}

/// The provider with this id or whole name.
async fn found(issuer: &Issuer, one: &One) -> Result<Provider, Failure> {
    let found = match one.provider.parse::<ProviderId>() {
        Ok(id) => issuer.store().find_provider(id).await,
        Err(_) => issuer.store().find_provider_by_idp(&one.provider).await,
    };
    let found = found.map_err(|error| Failure::of("database", error))?;
    found.ok_or_else(|| Failure::of(&one.provider, "there is no such identity provider"))
}

fn shown(issuer: &Issuer, provider: &Provider) -> Value {
    view::provider(provider, &issuer.upstream_redirect_uri(provider.id))
}

fn print(issuer: &Issuer, provider: &Provider, json: bool) {
    let shown = shown(issuer, provider);
    let text = || {
        let line = |(name, value): (&String, &Value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        };
        shown.as_object().into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
    };
    say(json, &shown, text);
}

fn say(json: bool, value: &Value, text: impl FnOnce() -> String) {
    if json {
        println!("{value}");
        return;
    }
    let text = text();
    if !text.is_empty() {
        println!("{text}");
    }
}
