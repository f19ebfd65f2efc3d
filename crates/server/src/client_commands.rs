//! `procura client …`: the operator's own hand, on the database as configured, beside a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use procura_domain::Profile;
use procura_issuer::{
    Error, Issuer,
    client_secrets::{OVERLAP_SECS, Way},
    hand::Hand,
    registration::{ChangedClient, first_settings},
};
use procura_store::clients::Client;
use procura_token::{ClientId, TenantId};
use serde_json::{Map, Value, json};

use crate::{api::view, cli::Place, database, failure::Failure, start::with_issuer};

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a client. Its secret is printed, this once.
    Add(Box<Add>),
    /// Print all clients, or a tenant's.
    List(List),
    /// Print a client.
    Show(One),
    /// Change what is named; everything else stays.
    Update(Box<Update>),
    /// Give a client another secret; the old one goes on for a while.
    RotateSecret(Rotate),
    /// Stop a client, and kill what it holds. Its tenant cannot let it go on.
    Disable(One),
    /// Let a client go on.
    Enable(One),
    /// Take a client away, and kill what it holds.
    Delete(One),
}

/// Where, and how to print.
#[derive(Debug, Args)]
pub struct Output {
    #[command(flatten)]
    pub place: Place,
    /// Print JSON, as the API would.
    #[arg(long)]
    pub json: bool,
}

/// A new client.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    output: Output,
    /// The tenant that owns it: id or slug.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    settings: Settings,
}

/// Which clients.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    /// Only of this tenant: id or slug.
    #[arg(long)]
    tenant: Option<String>,
}

/// One client.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    output: Output,
    /// Its id.
    #[arg(value_name = "CLIENT")]
    id: ClientId,
}

/// One client, and what changes.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    settings: Settings,
}

/// One client, and how its old secret makes way.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    one: One,
    /// For how many seconds the old secret goes on: 0, or 60 to 2592000.
    #[arg(long, value_name = "SECONDS", default_value_t = OVERLAP_SECS)]
    overlap: i64,
    /// Somebody else has it: all secrets end now, and what the client holds is dead.
    #[arg(long, conflicts_with = "overlap")]
    compromised: bool,
}

/// What a client is registered with.
#[derive(Debug, Args)]
struct Settings {
    /// What people see on the consent page.
    #[arg(long)]
    name: Option<String>,
    /// The policy that holds for it: oidc, oauth21 or fapi2.
    #[arg(long)]
    profile: Option<Profile>,
    /// An exact redirect URI; may be repeated.
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// A grant type; may be repeated. `token-exchange` stands for its URN.
    #[arg(long, value_name = "GRANT")]
    grant_type: Vec<String>,
    /// Scopes that it may ask for at login.
    #[arg(long)]
    scope: Option<String>,
    /// The most that it may ask for with client credentials, or in a customer's tenant.
    #[arg(long)]
    permissions: Option<String>,
    /// A resource server that it may name; may be repeated.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// The one that is meant when it names none.
    #[arg(long, value_name = "AUDIENCE")]
    default_audience: Option<String>,
    /// Another client whose tokens it may exchange; may be repeated.
    #[arg(long, value_name = "CLIENT")]
    exchange_for: Vec<String>,
    /// How it proves who it is: `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`.
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<String>,
    /// Other metadata by the names of RFC 7591, as a JSON object; `null` takes a member away.
    #[arg(long, value_name = "JSON", value_parser = object)]
    registration: Option<Value>,
    /// All of it, as a JSON file; the other options win over it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Settings {
    /// As the JSON Merge Patch that the API would get.
    fn patch(&self) -> Result<Value, Failure> {
        const TOKEN_EXCHANGE: &str = procura_issuer::exchange::GRANT;
        let mut patch = match &self.file {
            None => Map::new(),
            Some(file) => {
                let fail =
                    |why: &dyn std::fmt::Display| Failure::of(&file.display().to_string(), why);
                let text = std::fs::read_to_string(file).map_err(|error| fail(&error))?;
                serde_json::from_str(&text).map_err(|error| fail(&error))?
            }
        };
        let texts = [
            ("name", self.name.as_deref()),
            ("profile", self.profile.map(Profile::as_str)),
            ("scope", self.scope.as_deref()),
            ("permissions", self.permissions.as_deref()),
            ("default_audience", self.default_audience.as_deref()),
        ];
        let grants: Vec<_> =
            self.grant_type
                .iter()
                .map(|grant| {
                    if grant == "token-exchange" {
                        TOKEN_EXCHANGE.to_owned()
                    } else {
                        grant.clone()
                    }
                })
                .collect();
        let lists = [
            ("redirect_uris", &self.redirect_uri),
            ("grant_types", &grants),
            ("audiences", &self.audience),
            ("exchange_for", &self.exchange_for),
        ];
        for (name, text) in texts {
            patch.extend(text.map(|text| (name.to_owned(), json!(text))));
        }
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            patch.insert(name.to_owned(), json!(list));
        }
        let registration = patch.remove("registration");
        let mut registration = self.registration.clone().or(registration);
        if let Some(method) = &self.auth_method {
            let members = registration.get_or_insert_with(|| json!({}));
            let Some(members) = members.as_object_mut() else {
                return Err(Failure("--registration: must be a JSON object".to_owned()));
            };
            members.insert("token_endpoint_auth_method".to_owned(), json!(method));
        }
        patch.extend(registration.map(|registration| ("registration".to_owned(), registration)));
        Ok(Value::Object(patch))
    }
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::Add(add) => &add.output,
        Command::List(list) => &list.output,
        Command::Update(update) => &update.one.output,
        Command::RotateSecret(rotate) => &rotate.one.output,
        Command::Show(one)
        | Command::Disable(one)
        | Command::Enable(one)
        | Command::Delete(one) => &one.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let hand = Hand::CommandLine;
    let client = |id: &ClientId| refused(id.to_string());
    match command {
        Command::Add(add) => self::add(issuer, add, json).await,
        Command::List(list) => self::list(issuer, list, json).await,
        Command::Show(One { id, .. }) => {
            print(issuer, &issuer.find_client(None, id).await.map_err(client(id))?, json);
            Ok(())
        }
        Command::Update(update) => {
            let (id, patch) = (&update.one.id, update.settings.patch()?);
            let changed = issuer.update_client(hand, id, &patch, None).await.map_err(client(id))?;
            after(issuer, &changed, "changed", json);
            Ok(())
        }
        Command::RotateSecret(rotate) => self::rotate(issuer, rotate, json).await,
        Command::Disable(One { id, .. }) => {
            let changed = issuer.disable_client(hand, id, None).await.map_err(client(id))?;
            after(issuer, &changed, "stopped", json);
            Ok(())
        }
        Command::Enable(One { id, .. }) => {
            let enabled = issuer.enable_client(hand, id, None).await.map_err(client(id))?;
            let changed = ChangedClient { client: enabled, revoked: None };
            after(issuer, &changed, "let go on", json);
            Ok(())
        }
        Command::Delete(One { id, .. }) => {
            let revoked = issuer.delete_client(hand, id, None).await.map_err(client(id))?;
            if json {
                println!("{}", json!({ "revoked": view::revoked(Some(&revoked)) }));
            } else {
                println!("{id} is gone; what it held is dead.");
            }
            Ok(())
        }
    }
}

async fn add(issuer: &Issuer, add: &Add, json: bool) -> Result<(), Failure> {
    let tenant = tenant(issuer, &add.tenant).await?;
    let failed = refused("not registered".to_owned());
    let settings = first_settings(&add.settings.patch()?).map_err(&failed)?;
    let made =
        issuer.register_client(Hand::CommandLine, tenant, settings).await.map_err(&failed)?;
    let id = &made.client.id;
    if json {
        let client = view::client(&made.client, issuer.environment().now());
        println!("{}", json!({ "client": client, "client_secret": made.secret }));
        return Ok(());
    }
    println!("{id} is registered.");
    if let Some(secret) = made.secret {
        println!("secret of {id}, shown this once: {secret}");
    }
    Ok(())
}

async fn list(issuer: &Issuer, list: &List, json: bool) -> Result<(), Failure> {
    let tenant = match &list.tenant {
        Some(name) => Some(tenant(issuer, name).await?),
        None => None,
    };
    let failed = refused("the clients cannot be read".to_owned());
    let clients = issuer.list_clients(None, tenant).await.map_err(failed)?;
    if json {
        let now = issuer.environment().now();
        let shown: Vec<_> = clients.iter().map(|client| view::client(client, now)).collect();
        println!("{}", Value::Array(shown));
        return Ok(());
    }
    println!("{:<36}  {:<8}  {:<8}  {:<36}  name", "id", "status", "profile", "tenant");
    for client in &clients {
        let status = if client.is_enabled { "active" } else { "disabled" };
        let (id, tenant) = (client.id.to_string(), client.tenant.to_string());
        println!(
            "{id:<36}  {status:<8}  {:<8}  {tenant:<36}  {}",
            client.profile.as_str(),
            client.name
        );
    }
    Ok(())
}

async fn rotate(issuer: &Issuer, rotate: &Rotate, json: bool) -> Result<(), Failure> {
    let id = &rotate.one.id;
    let way = if rotate.compromised { Way::Compromised } else { Way::Overlap(rotate.overlap) };
    let rotated = issuer.rotate_client_secret(Hand::CommandLine, id, way, None).await;
    let rotated = rotated.map_err(refused(id.to_string()))?;
    if json {
        let shown = json!({
            "client_id": id,
            "client_secret": rotated.secret,
            "old_secret_expires_at": view::time(rotated.old_until),
            "revoked": view::revoked(rotated.revoked.as_ref()),
        });
        println!("{shown}");
        return Ok(());
    }
    println!("secret of {id}, shown this once: {}", rotated.secret);
    match rotated.old_until {
        Some(until) => println!("The old one goes on until {}.", until.rfc3339()),
        None => println!("The old one has ended."),
    }
    if rotated.revoked.is_some() {
        println!("What the client held is dead.");
    }
    Ok(())
}

/// A JSON object on the command line. Without a parser of its own, a value would be taken as a text.
pub fn object(text: &str) -> Result<Value, String> {
    let object = serde_json::from_str::<Map<String, Value>>(text).map(Value::Object);
    object.map_err(|_| "must be a JSON object".to_owned())
}

/// The tenant with this id or slug.
pub async fn tenant(issuer: &Issuer, name: &str) -> Result<TenantId, Failure> {
    let store = issuer.store();
    let found = match name.parse() {
        Ok(id) => store.find_tenant(id).await,
        Err(_) => store.find_tenant_by_slug(name).await,
    };
    let found = found.map_err(|error| Failure::of("database", error))?;
    found.map(|tenant| tenant.id).ok_or_else(|| Failure::of(name, "there is no such tenant"))
}

fn print(issuer: &Issuer, client: &Client, json: bool) {
    let shown = view::client(client, issuer.environment().now());
    if json {
        println!("{shown}");
        return;
    }
    // For people the same, a member a line.
    for (name, value) in shown.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => println!("{name}: {text}"),
            other => println!("{name}: {other}"),
        }
    }
}

fn after(issuer: &Issuer, changed: &ChangedClient, what: &str, json: bool) {
    let client = &changed.client;
    if json {
        let shown = view::client(client, issuer.environment().now());
        let revoked = view::revoked(changed.revoked.as_ref());
        println!("{}", json!({ "client": shown, "revoked": revoked }));
        return;
    }
    let dead = if changed.revoked.is_some() { "; what it held is dead" } else { "" };
    println!("{} is {what}{dead}.", client.id);
}

/// One line for a person.
pub fn refused(what: String) -> impl Fn(Error) -> Failure {
    move |error| match error {
        Error::NotFound => Failure::of(&what, "there is no such thing"),
        Error::Conflict => Failure::of(&what, "it exists already, or was changed meanwhile"),
        Error::Unfit(fault) => Failure::of(&what, fault),
        Error::WrongState("resource_server") => {
            Failure::of(&what, "it is a resource server: remove that first")
        }
        Error::WrongState("no_linked_admin") => {
            Failure::of(&what, "no admin of the tenant could come in by it: link one first")
        }
        Error::WrongState("too_many_identity_providers") => Failure::of(
            &what,
            "the tenant has as many as it can have, with those that were removed",
        ),
        Error::WrongState("no_secret") => Failure::of(&what, "it proves itself without a secret"),
        other => Failure::of(&what, other),
    }
}
