//! `procura quota …`: the operator's own hand, on the database as configured, beside a running server.

use clap::{Args, Subcommand};
use procura_domain::Quotas;
use procura_issuer::{Issuer, hand::Hand, quotas::Standing};

use crate::{
    api::quotas::shown,
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with quotas.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a tenant's quotas, and how much of them is used.
    Show(Of),
    /// Set what is named; everything else stays.
    Set(Set),
}

/// Whose.
#[derive(Debug, Args)]
pub struct Of {
    #[command(flatten)]
    output: Output,
    /// The tenant: id or slug.
    #[arg(long)]
    tenant: String,
}

/// Which, each a number or `default`.
#[derive(Debug, Args)]
pub struct Set {
    #[command(flatten)]
    of: Of,
    /// People of the tenant.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    users: Option<Wanted>,
    /// Tenants that it manages.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    customers: Option<Wanted>,
    /// Clients.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    clients: Option<Wanted>,
    /// Delegated tokens for its people in a day.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    delegated_tokens_per_day: Option<Wanted>,
    /// Delegated tokens into it in a day.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    delegated_tokens_received_per_day: Option<Wanted>,
}

/// A number, or none: the deployment's default.
#[derive(Clone, Copy, Debug)]
struct Wanted(Option<u64>);

fn number(text: &str) -> Result<Wanted, &'static str> {
    match text.parse() {
        _ if text == "default" => Ok(Wanted(None)),
        Ok(number) => Ok(Wanted(Some(number))),
        Err(_) => Err("a whole number, or default"),
    }
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let of = match command {
        Command::Show(of) => of,
        Command::Set(set) => &set.of,
    };
    let config = of.output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, of).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, of: &Of) -> Result<(), Failure> {
    let id = tenant(issuer, &of.tenant).await?;
    let failed = || refused(of.tenant.clone());
    let standing = match command {
        Command::Show(_) => issuer.find_quotas(None, id).await.map_err(failed())?,
        Command::Set(set) => {
            let before = issuer.store().find_quotas(id).await;
            let before = before.map_err(|error| Failure::of("database", error))?;
            let quotas = set.over(before.quotas);
            // Whatever was set meanwhile is not set back to what it was.
            let seen = Some(before.version);
            let done = issuer.put_quotas(Hand::CommandLine, id, quotas, seen).await;
            done.map_err(failed())?
        }
    };
    print(&standing, of.output.json);
    Ok(())
}

impl Set {
    fn over(&self, before: Quotas) -> Quotas {
        let or = |wanted: Option<Wanted>, before| wanted.map_or(before, |Wanted(number)| number);
        Quotas {
            users: or(self.users, before.users),
            customers: or(self.customers, before.customers),
            clients: or(self.clients, before.clients),
            delegated_tokens_per_day: or(
                self.delegated_tokens_per_day,
                before.delegated_tokens_per_day,
            ),
            delegated_tokens_received_per_day: or(
                self.delegated_tokens_received_per_day,
                before.delegated_tokens_received_per_day,
            ),
        }
    }
}

/// A line each, or JSON as the API would show it.
fn print(standing: &Standing, is_json: bool) {
    if is_json {
        println!("{}", shown(standing));
        return;
    }
    for (quota, counted, source) in &standing.lines {
        let limit = counted.limit.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        let (quota, source) = (quota.as_str(), source.as_str());
        println!("{quota:<34}  {:>12} of {limit:<14}  {source}", counted.used);
    }
    println!("the day ends at {}", standing.resets_at.rfc3339());
}
