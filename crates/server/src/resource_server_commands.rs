//! `procura resource-server …`: the operator's own hand, on the database as configured.

use clap::{Args, Subcommand};
use procura_domain::Permissions;
use procura_issuer::{Issuer, hand::Hand, resource_servers::Offer};
use procura_store::clients::ResourceServer;
use procura_token::ClientId;
use serde_json::Value;

use crate::{
    api::view,
    client_commands::{Output, refused},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with resource servers.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register an audience.
    Add(Add),
    /// Print all of them.
    List(Output),
    /// Print one.
    Show(One),
    /// Change what is named; everything else stays.
    Update(Update),
    /// Take one away: nothing more is issued for it. Its client stays.
    Remove(One),
}

/// A new one.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    one: One,
    /// As which client it authenticates here.
    #[arg(long)]
    client: ClientId,
    /// It takes delegated tokens.
    #[arg(long)]
    accepts_delegated: bool,
    /// The permissions that it understands.
    #[arg(long, default_value = "")]
    permissions: Permissions,
}

/// One of them.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    output: Output,
    /// `aud` of its tokens.
    #[arg(value_name = "AUDIENCE")]
    audience: String,
}

/// One of them, and what changes.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    one: One,
    /// As which client it authenticates here.
    #[arg(long)]
    client: Option<ClientId>,
    /// Whether it takes delegated tokens.
    #[arg(long, value_name = "BOOL")]
    accepts_delegated: Option<bool>,
    /// The permissions that it understands.
    #[arg(long)]
    permissions: Option<Permissions>,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::Add(add) => &add.one.output,
        Command::List(output) => output,
        Command::Update(update) => &update.one.output,
        Command::Show(one) | Command::Remove(one) => &one.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let hand = Hand::CommandLine;
    let of = |audience: &str| refused(audience.to_owned());
    match command {
        Command::Add(Add { one, client, accepts_delegated, permissions }) => {
            let offer = Offer {
                client_id: Some(client.clone()),
                accepts_delegated: Some(*accepts_delegated),
                permissions: Some(permissions.clone()),
            };
            let made = issuer.add_resource_server(hand, &one.audience, offer).await;
            print(&made.map_err(of(&one.audience))?, json);
        }
        Command::List(_) => {
            let failed = refused("the resource servers cannot be read".to_owned());
            let servers = issuer.list_resource_servers(None).await.map_err(failed)?;
            if json {
                let shown: Vec<_> = servers.iter().map(view::resource_server).collect();
                println!("{}", Value::Array(shown));
            } else {
                for server in &servers {
                    print(server, false);
                }
            }
        }
        Command::Show(one) => {
            let found = issuer.find_resource_server(None, &one.audience).await;
            print(&found.map_err(of(&one.audience))?, json);
        }
        Command::Update(Update { one, client, accepts_delegated, permissions }) => {
            let offer = Offer {
                client_id: client.clone(),
                accepts_delegated: *accepts_delegated,
                permissions: permissions.clone(),
            };
            let changed = issuer.update_resource_server(hand, &one.audience, offer, None).await;
            print(&changed.map_err(of(&one.audience))?, json);
        }
        Command::Remove(one) => {
            let removed = issuer.remove_resource_server(hand, &one.audience, None).await;
            removed.map_err(of(&one.audience))?;
            if !json {
                println!("{} is removed.", one.audience);
            }
        }
    }
    Ok(())
}

fn print(server: &ResourceServer, json: bool) {
    if json {
        println!("{}", view::resource_server(server));
        return;
    }
    let delegated = if server.accepts_delegated { "takes delegated tokens" } else { "home only" };
    println!("{}  {}  {delegated}  {}", server.audience, server.client, server.permissions);
}
