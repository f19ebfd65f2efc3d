//! `procura access-request …`: the operator's own hand answers for a customer that cannot, or will not, use
//! the API; on the database as configured, beside a running server.

use clap::{Args, Subcommand};
use procura_domain::access_request::ApprovalTerms;
use procura_issuer::{Issuer, access_requests::Word, hand::Hand};
use procura_token::{AccessRequestId, Scope};
use serde_json::{Value, json};

use crate::{
    api::view,
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// So many are printed.
const LISTED: i64 = 200;

/// What can be done with requests of partners' people to be let in.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the newest ones of a customer.
    List(Of),
    /// Let somebody in.
    Approve(Approve),
    /// Say no.
    Decline(One),
    /// Take a yes back; what runs by it ends.
    End(One),
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

/// One request.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    of: Of,
    /// Its id.
    #[arg(value_name = "REQUEST")]
    id: AccessRequestId,
}

/// One request, and on what terms.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    one: One,
    /// For how many minutes: 1 to 720.
    #[arg(long, default_value_t = ApprovalTerms::MINUTES)]
    minutes: i64,
    /// Only these of the permissions that were asked for.
    #[arg(long)]
    scope: Option<Scope>,
    /// Only what changes nothing.
    #[arg(long)]
    read_only: bool,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let of = match command {
        Command::List(of) => of,
        Command::Approve(approve) => &approve.one.of,
        Command::Decline(one) | Command::End(one) => &one.of,
    };
    let config = of.output.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| carry_out(&issuer, command, of).await)
}

async fn carry_out(issuer: &Issuer, command: &Command, of: &Of) -> Result<(), Failure> {
    let customer = tenant(issuer, &of.tenant).await?;
    let word = match command {
        Command::List(_) => {
            let failed = refused("the requests cannot be read".to_owned());
            let page = (None, LISTED);
            let listed = issuer.list_access_requests(None, customer, page).await.map_err(failed)?;
            let now = issuer.environment().now();
            let shown = listed.iter().map(|one| view::listed_access_request(one, now));
            print(&shown.collect::<Vec<_>>(), of.output.json);
            return Ok(());
        }
        Command::End(one) => {
            let about = (customer, one.id);
            let ended = issuer.end_access_request(Hand::CommandLine, about).await;
            let (ended, _) = ended.map_err(refused(one.id.to_string()))?;
            print(&[view::access_request(&ended, issuer.environment().now())], of.output.json);
            return Ok(());
        }
        Command::Decline(one) => (one.id, Word::Decline),
        Command::Approve(approve) => {
            let terms = ApprovalTerms {
                minutes: approve.minutes,
                scope: approve.scope.clone(),
                is_read_only: approve.read_only,
            };
            (approve.one.id, Word::Approve(terms))
        }
    };
    let (id, word) = word;
    let answered = issuer.answer_access_request(Hand::CommandLine, (customer, id), word).await;
    let answered = answered.map_err(refused(id.to_string()))?;
    print(&[view::access_request(&answered, issuer.environment().now())], of.output.json);
    Ok(())
}

/// A line each, or JSON as the API would show it.
fn print(requests: &[Value], is_json: bool) {
    if is_json {
        println!("{}", json!(requests));
        return;
    }
    for request in requests {
        let text = |member: &str| request.get(member).and_then(Value::as_str).unwrap_or("-");
        let by_key = text("api_key_id") != "-";
        println!(
            "{}  {:<10}  {}  {}{}  {}",
            text("id"),
            text("state"),
            text("asked_at"),
            text("user_name"),
            if by_key { " (by a key)" } else { "" },
            text("scope"),
        );
    }
}
