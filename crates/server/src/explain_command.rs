//! `procura explain`: the operator's own hand asks why, on the database as configured, beside a running server.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;
use procura_issuer::{explain::Question, hand::Hand};
use procura_token::{ApiKeyId, ClientId, Purpose, Scope, UserId};
use serde_json::Value;

use crate::{
    api::explain,
    client_commands::{Output, refused},
    database,
    failure::Failure,
    start::with_issuer,
};

/// Either a token, or who would do what where.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    output: Output,
    /// A file with a token: what it is, whether it is alive, and whether it would be given again.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "tenant", "client", "audience", "scope", "purpose", "ip", "api_key"])]
    token: Option<PathBuf>,
    /// The person: id or e-mail address.
    #[arg(long, required_unless_present = "token")]
    user: Option<String>,
    /// The tenant to act in: id or slug.
    #[arg(long, required_unless_present = "token")]
    tenant: Option<String>,
    /// Through which client.
    #[arg(long, required_unless_present = "token")]
    client: Option<ClientId>,
    /// At which resource server [default: the client's].
    #[arg(long)]
    audience: Option<String>,
    /// With which permissions [default: the relationship's].
    #[arg(long)]
    scope: Option<Scope>,
    /// Why: a code.
    #[arg(long)]
    purpose: Option<String>,
    /// From which address.
    #[arg(long)]
    ip: Option<IpAddr>,
    /// By which key of the person's [default: with the login that the person has].
    #[arg(long, value_name = "ID")]
    api_key: Option<ApiKeyId>,
}

/// Carries it out.
pub fn run(command: &Explain) -> Result<(), Failure> {
    let config = command.output.place.load()?;
    database::existing(&config)?;
    let token = match &command.token {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| Failure::of(&file.display().to_string(), error))?,
        ),
    };
    with_issuer(&config, async |issuer| {
        let shown = if let Some(token) = &token {
            let worth = issuer.explain_token(Hand::CommandLine, token.trim()).await;
            explain::worth(&worth.map_err(refused("the token".to_owned()))?)
        } else {
            let question = question(&issuer, command).await?;
            let told = issuer.explain(Hand::CommandLine, &question).await;
            explain::explained(&told.map_err(refused("the question".to_owned()))?)
        };
        print(&shown, command.output.json);
        Ok(())
    })
}

async fn question(issuer: &procura_issuer::Issuer, command: &Explain) -> Result<Question, Failure> {
    let missing = |what: &str| Failure(format!("--{what} is missing"));
    let name = command.user.as_deref().ok_or_else(|| missing("user"))?;
    let user: UserId = if let Ok(id) = name.parse() {
        id
    } else {
        let found = issuer.store().find_user_by_email(name).await;
        let found = found.map_err(|error| Failure::of("database", error))?;
        found.ok_or_else(|| Failure::of(name, "there is no such person"))?.id
    };
    Ok(Question {
        user,
        tenant: command.tenant.clone().ok_or_else(|| missing("tenant"))?,
        client: command.client.clone().ok_or_else(|| missing("client"))?,
        audience: command.audience.clone(),
        scope: command.scope.clone(),
        purpose: command.purpose.clone().map(|code| Purpose { code, r#ref: None }),
        ip: command.ip,
        key: command.api_key,
    })
}

/// A line a step, or JSON as the API would show it.
fn print(shown: &Value, is_json: bool) {
    if is_json {
        println!("{shown}");
        return;
    }
    let list = |member: &str| shown.get(member).and_then(Value::as_array).into_iter().flatten();
    for (member, said) in shown.get("token").and_then(Value::as_object).into_iter().flatten() {
        if let Some(said) = said.as_str() {
            println!("{member:<18} {said}");
        }
    }
    if shown.get("is_alive") == Some(&Value::Bool(true)) {
        println!("{:<18} alive", "token");
    }
    for cause in list("causes") {
        let text = |member: &str| cause.get(member).and_then(Value::as_str).unwrap_or("-");
        let (reason, fixer) = (text("reason"), text("can_be_fixed_by"));
        println!("{:<18} dead: {reason}; can be fixed by the {fixer}", "token");
    }
    for step in list("steps") {
        let text = |member: &str| step.get(member).and_then(Value::as_str);
        let (name, result) = (text("step").unwrap_or("-"), text("result").unwrap_or("-"));
        match (text("reason"), text("can_be_fixed_by")) {
            (Some(reason), Some(fixer)) => {
                println!("{name:<18} {result}: {reason}; can be fixed by the {fixer}");
            }
            _ => println!("{name:<18} {result}"),
        }
    }
}
