//! `procura policy …`: the operator's own hand, on the database as configured, beside a running server. So that
//! a tenant that locked itself out is let in again.

use clap::{Args, Subcommand};
use procura_issuer::{Issuer, hand::Hand};
use procura_store::policies::{AppliedPolicy, LoginPolicy};
use procura_token::PolicyId;
use serde_json::Value;

use crate::{
    api::policies::{applied, shown},
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with login policies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print all policies, or what holds in a tenant.
    List(List),
    /// Print a policy.
    Show(One),
    /// Let a policy hold in a tenant no more. Nobody is logged out by it.
    Remove(Remove),
}

/// Which policies.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    /// What holds in this tenant: id or slug.
    #[arg(long)]
    tenant: Option<String>,
}

/// One policy.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    output: Output,
    /// Its id.
    #[arg(value_name = "POLICY")]
    policy: PolicyId,
}

/// One policy, and where it is to hold no more.
#[derive(Debug, Args)]
pub struct Remove {
    #[command(flatten)]
    one: One,
    /// The tenant: id or slug.
    #[arg(long)]
    tenant: String,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::List(list) => &list.output,
        Command::Show(one) => &one.output,
        Command::Remove(remove) => &remove.one.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let store = issuer.store();
    let failed = |error| Failure::of("database", error);
    match command {
        Command::List(List { tenant: Some(name), .. }) => {
            let tenant = tenant(issuer, name).await?;
            let held = store.list_applied(tenant).await.map_err(failed)?;
            let line =
                |one: &AppliedPolicy| format!("{}  {}  {}", one.policy, one.origin, one.name);
            say(json, &held.iter().map(applied).collect(), held.iter().map(line));
        }
        Command::List(_) => {
            let all = store.list_all_policies().await.map_err(failed)?;
            let line = |one: &LoginPolicy| format!("{}  {}  {}", one.id, one.tenant, one.name);
            say(json, &all.iter().map(shown).collect(), all.iter().map(line));
        }
        Command::Show(one) => {
            let found = store.find_any_policy(one.policy).await.map_err(failed)?;
            let name = one.policy.to_string();
            let found = found.ok_or_else(|| Failure::of(&name, "there is no such policy"))?;
            let shown = shown(&found);
            let line = |(name, value): (&String, &Value)| match value {
                Value::String(text) => format!("{name}: {text}"),
                other => format!("{name}: {other}"),
            };
            let lines: Vec<_> = shown.as_object().into_iter().flatten().map(line).collect();
            say(json, &shown, lines.into_iter());
        }
        Command::Remove(Remove { one, tenant: name }) => {
            let tenant = tenant(issuer, name).await?;
            let removed = issuer.remove_policy(Hand::CommandLine, tenant, one.policy).await;
            removed.map_err(refused(one.policy.to_string()))?;
            let line = format!("{} holds in {name} no more.", one.policy);
            say(json, &Value::Null, std::iter::once(line));
        }
    }
    Ok(())
}

fn say(json: bool, value: &Value, lines: impl Iterator<Item = String>) {
    if json {
        println!("{value}");
        return;
    }
    for line in lines {
        println!("{line}");
    }
}
