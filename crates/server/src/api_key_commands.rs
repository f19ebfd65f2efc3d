//! `procura api-key …`: keys of partners' people, looked at and ended by the operator's own hand.

use clap::{Args, Subcommand};
use procura_issuer::{Issuer, hand::Hand};
use procura_store::api_keys::ApiKey;
use procura_token::{ApiKeyId, TenantId};
use serde_json::Value;

use crate::{
    api::{api_keys, paging::MOST},
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with keys. Only their people make them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print all of them, or a tenant's; those that are over for a month more.
    List(List),
    /// End one, and all that runs from it.
    Revoke(Revoke),
}

/// Which of them.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    /// Only of this tenant's people: id or slug.
    #[arg(long)]
    tenant: Option<String>,
}

/// One of them.
#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    output: Output,
    /// Its id: `apk_…`.
    #[arg(value_name = "ID")]
    id: String,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::List(list) => &list.output,
        Command::Revoke(revoke) => &revoke.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let now = issuer.environment().now();
    match command {
        Command::List(list) => {
            let of = match &list.tenant {
                Some(name) => Some(tenant(issuer, name).await?),
                None => None,
            };
            let failed = refused("the keys cannot be read".to_owned());
            let keys = all(issuer, of).await.map_err(failed)?;
            if json {
                let shown: Vec<_> = keys.iter().map(|key| api_keys::shown(key, now)).collect();
                println!("{}", Value::Array(shown));
            } else {
                for key in &keys {
                    print(key, key.is_live(now));
                }
            }
        }
        Command::Revoke(revoke) => {
            let id: ApiKeyId =
                revoke.id.parse().map_err(|_| Failure::of(&revoke.id, "there is no such thing"))?;
            let ended = issuer.end_api_key(Hand::CommandLine, id).await;
            let (key, revoked) = ended.map_err(refused(revoke.id.clone()))?;
            if json {
                println!("{}", api_keys::shown(&key, issuer.environment().now()));
            } else {
                println!("{id} is over; {} delegations ended.", revoked.delegations_ended);
            }
        }
    }
    Ok(())
}

/// Page by page to the end.
async fn all(issuer: &Issuer, of: Option<TenantId>) -> procura_issuer::Result<Vec<ApiKey>> {
    let mut keys: Vec<ApiKey> = Vec::new();
    let now = issuer.environment().now();
    loop {
        let after = keys.last().map(|last| last.place(now));
        let page = issuer.list_api_keys(None, of, (after, MOST), now).await?;
        let is_full = i64::try_from(page.len()).is_ok_and(|count| count >= MOST);
        keys.extend(page);
        if !is_full {
            return Ok(keys);
        }
    }
}

fn print(key: &ApiKey, is_live: bool) {
    let state = if is_live { "live" } else { "over" };
    let until = key.expires_at.rfc3339();
    println!("{}  {state}  until {until}  {}  {}  {}", key.id, key.user, key.client, key.name);
}
