//! `procura break-glass …`: codes for a customer, and what they do, by the operator's own hand; on the
//! database as configured, beside a running server or without one.

use clap::{Args, Subcommand};
use procura_issuer::{Issuer, hand::Hand};
use serde_json::json;

use crate::{
    api::{break_glass::shut_out, view},
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with a customer's glass.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new set of codes and print it, this once. The set before is void.
    Codes(Of),
    /// Print which codes are left.
    List(Of),
    /// Shut out all partners of a customer, or one. No code is needed here.
    Use(Use),
}

/// Of which customer.
#[derive(Debug, Args)]
pub struct Of {
    #[command(flatten)]
    output: Output,
    /// The customer: id or slug.
    #[arg(long)]
    tenant: String,
}

/// Whom to shut out.
#[derive(Debug, Args)]
pub struct Use {
    #[command(flatten)]
    of: Of,
    /// Only this partner: id or slug.
    #[arg(long)]
    partner: Option<String>,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let of = match command {
        Command::Codes(of) | Command::List(of) => of,
        Command::Use(asked) => &asked.of,
    };
    let config = of.output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, of).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, of: &Of) -> Result<(), Failure> {
    let customer = tenant(issuer, &of.tenant).await?;
    let failed = refused(of.tenant.clone());
    match command {
        Command::Codes(_) => {
            let made = issuer.make_break_glass_codes(Hand::CommandLine, customer).await;
            let codes = made.map_err(failed)?;
            if of.output.json {
                println!("{}", json!({ "codes": codes }));
            } else {
                println!("{}", codes.join("\n"));
            }
        }
        Command::List(_) => {
            let listed = issuer.list_break_glass_codes(None, customer).await.map_err(failed)?;
            if of.output.json {
                let shown: Vec<_> = listed.iter().map(view::break_glass_code).collect();
                println!("{}", json!(shown));
            } else {
                for code in &listed {
                    let state = if code.used_at.is_some() { "used" } else { "unused" };
                    println!("{}  {state}", code.number);
                }
            }
        }
        Command::Use(asked) => {
            let partner = asked.partner.as_deref();
            let done = issuer.break_glass_at_the_machine(customer, partner).await;
            let done = done.map_err(refused(partner.unwrap_or(&of.tenant).to_owned()))?;
            if of.output.json {
                println!("{}", shut_out(&done));
            } else {
                let ended = done.revoked.delegations_ended;
                println!("Partner access is off; {ended} delegations ended.");
            }
        }
    }
    Ok(())
}
