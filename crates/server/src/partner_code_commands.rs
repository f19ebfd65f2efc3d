//! `procura partner-code …`: by which code partners may ask a customer, by the operator's own hand; on the
//! database as configured, beside a running server.

use clap::{Args, Subcommand};
use procura_issuer::{Error, Issuer, hand::Hand};

use crate::{
    api::partner_code::shown,
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with a customer's partner code.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print it.
    Show(Of),
    /// Make another and print it. The old one opens nothing from then on.
    Change(Of),
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

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let (Command::Show(of) | Command::Change(of)) = command;
    let config = of.output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, of).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, of: &Of) -> Result<(), Failure> {
    let customer = tenant(issuer, &of.tenant).await?;
    let code = match command {
        Command::Show(_) => match issuer.store().find_tenant(customer).await {
            Ok(found) => found.map(|tenant| tenant.partner_code).ok_or(Error::NotFound),
            Err(error) => Err(error.into()),
        },
        Command::Change(_) => issuer.change_partner_code(Hand::CommandLine, customer).await,
    };
    let code = code.map_err(refused(of.tenant.clone()))?;
    if of.output.json {
        println!("{}", shown(&code));
    } else {
        println!("{code}");
    }
    Ok(())
}
