//! `procura initial-token …`: lets software register itself (RFC 7591), by the operator's own hand.

use clap::{Args, Subcommand};
use procura_issuer::{
    Issuer,
    hand::Hand,
    initial_tokens::{LIFE_SECS, Offer},
};
use procura_store::self_registration::InitialToken;
use procura_token::InitialTokenId;
use serde_json::Value;

use crate::{
    api::view,
    client_commands::{Output, refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

/// What can be done with initial access tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one. It is printed, this once.
    Add(Add),
    /// Print all of them, or a tenant's; those that are over for a month more.
    List(List),
    /// End one. What was registered with it stays.
    End(End),
}

/// A new one.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    output: Output,
    /// The tenant that will own what is registered: id or slug.
    #[arg(long)]
    tenant: String,
    /// What it is for.
    #[arg(long)]
    name: String,
    /// How often it can be used.
    #[arg(long, default_value_t = 1)]
    uses: i64,
    /// How long it lives: 60 to 31622400 seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = LIFE_SECS)]
    expires_in: i64,
}

/// Which of them.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    /// Only of this tenant: id or slug.
    #[arg(long)]
    tenant: Option<String>,
}

/// One of them.
#[derive(Debug, Args)]
pub struct End {
    #[command(flatten)]
    output: Output,
    /// Its id.
    #[arg(value_name = "ID")]
    id: String,
}

/// Carries out a command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let output = match command {
        Command::Add(add) => &add.output,
        Command::List(list) => &list.output,
        Command::End(end) => &end.output,
    };
    let config = output.place.load()?;
    database::existing(&config)?;
    let is_closed = config.registration.rules().is_none();
    with_issuer(&config, async |issuer| carry_out(&issuer, command, output.json).await)?;
    if is_closed && matches!(command, Command::Add(_)) {
        eprintln!("procura: registration.enabled is false: nothing can register itself");
    }
    Ok(())
}

async fn carry_out(issuer: &Issuer, command: &Command, json: bool) -> Result<(), Failure> {
    let now = issuer.environment().now();
    match command {
        Command::Add(add) => {
            let offer = Offer {
                tenant: tenant(issuer, &add.tenant).await?,
                name: add.name.clone(),
                uses: add.uses,
                life_secs: add.expires_in,
            };
            let made = issuer.make_initial_token(Hand::CommandLine, offer).await;
            let (token, secret) = made.map_err(refused("not made".to_owned()))?;
            if json {
                let mut shown = view::initial_token(&token, now);
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("token".into(), secret.into());
                }
                println!("{shown}");
            } else {
                let until = token.expires_at.rfc3339();
                println!("{} is good for {} uses until {until}.", token.id, token.uses_left);
                println!("initial access token, shown this once: {secret}");
            }
        }
        Command::List(list) => {
            let of = match &list.tenant {
                Some(name) => Some(tenant(issuer, name).await?),
                None => None,
            };
            let failed = refused("the tokens cannot be read".to_owned());
            let tokens = issuer.list_initial_tokens(None, of).await.map_err(failed)?;
            if json {
                let shown: Vec<_> =
                    tokens.iter().map(|token| view::initial_token(token, now)).collect();
                println!("{}", Value::Array(shown));
            } else {
                for token in &tokens {
                    print(token, token.is_live(now));
                }
            }
        }
        Command::End(end) => {
            let id: InitialTokenId =
                end.id.parse().map_err(|_| Failure::of(&end.id, "there is no such thing"))?;
            let ended = issuer.end_initial_token(Hand::CommandLine, id).await;
            ended.map_err(refused(end.id.clone()))?;
            if !json {
                println!("{id} is over.");
            }
        }
    }
    Ok(())
}

fn print(token: &InitialToken, is_live: bool) {
    let state = if is_live { "live" } else { "over" };
    let until = token.expires_at.rfc3339();
    println!(
        "{}  {state}  {} uses left  until {until}  {}  {}",
        token.id, token.uses_left, token.tenant, token.name
    );
}
