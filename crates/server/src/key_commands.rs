//! `procura keys list|rotate|retire|rewrap`: short transactions of its own, beside a running server.

use std::path::PathBuf;

use clap::Args;
use procura_issuer::{
    Error,
    rotation::{Listed, Retirement},
};
use procura_token::{Algorithm, KeyId, Ts};

use crate::{
    cli::Place,
    config::Config,
    database,
    failure::Failure,
    keys::{make_master_key, read_master_key, take_data_folder},
    start::with_issuer,
};

/// Which key makes way, and how.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    place: Place,
    /// Of this algorithm only: ES256 (access tokens) or RS256 (ID tokens).
    #[arg(long, value_name = "ALG")]
    alg: Option<Algorithm>,
    /// Also where the next key is not published long enough: verifiers that do not know it yet refuse
    /// its tokens until they have fetched it.
    #[arg(long)]
    now: bool,
}

/// Which key ends, and how.
#[derive(Debug, Args)]
pub struct Retire {
    #[command(flatten)]
    place: Place,
    /// The key.
    #[arg(value_name = "KID")]
    kid: KeyId,
    /// Also where its successor is not published long enough.
    #[arg(long)]
    now: bool,
    /// It was stolen: everything that it signed is dead at once, whatever it says.
    #[arg(long, conflicts_with = "now")]
    emergency: bool,
}

/// The new master key.
#[derive(Debug, Args)]
pub struct Rewrap {
    #[command(flatten)]
    place: Place,
    /// The file with the new master key; made where it is missing.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Prints the table.
pub fn list(config: &Config) -> Result<(), Failure> {
    database::existing(config)?;
    with_issuer(config, async |issuer| {
        let keys = issuer.list_keys().await.map_err(failed)?;
        print(&keys);
        Ok(())
    })
}

/// Lets the next keys sign.
pub fn rotate(rotate: &Rotate) -> Result<(), Failure> {
    let how = if rotate.now { Retirement::Now } else { Retirement::InTurn };
    let algorithms = match rotate.alg {
        Some(alg) => vec![alg],
        None => vec![Algorithm::Es256, Algorithm::Rs256],
    };
    let config = rotate.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| {
        let rotated = issuer.rotate_keys(&algorithms, how).await;
        for (alg, kid) in rotated.map_err(|error| refused("nothing was rotated", error))? {
            println!("{alg}: {kid} signs now.");
        }
        Ok(())
    })
}

/// Ends one key.
pub fn retire(retire: &Retire) -> Result<(), Failure> {
    let how = match (retire.emergency, retire.now) {
        (true, _) => Retirement::Emergency,
        (false, true) => Retirement::Now,
        (false, false) => Retirement::InTurn,
    };
    let config = retire.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| {
        let kid = retire.kid;
        let successor = issuer.retire_key(kid, how).await.map_err(|error| refused(kid, error))?;
        match how {
            Retirement::Emergency => println!("{kid} is gone; everything that it signed is dead."),
            _ => println!("{kid} signs no more; what it signed lives on until it expires."),
        }
        if let Some(successor) = successor {
            println!("{successor} signs now.");
        }
        Ok(())
    })
}

/// Seals everything under another master key.
pub fn rewrap(rewrap: &Rewrap) -> Result<(), Failure> {
    let config = rewrap.place.load()?;
    // A server that runs would go on with the old one, and find its keys shut one day.
    let _lock = take_data_folder(&config.server.data)?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| {
        if !rewrap.to.exists() {
            make_master_key(&rewrap.to)?;
        }
        let new = read_master_key(&rewrap.to)?;
        let count = issuer.rewrap_keys(&new).await.map_err(failed)?;
        println!(
            "{count} signing keys and the root secret are sealed under {} now. Put it where the old \
             master key is, on every node, before any server starts. Keep the old one as long as \
             backups from before.",
            rewrap.to.display()
        );
        Ok(())
    })
}

fn failed(error: Error) -> Failure {
    Failure::of("the keys could not be changed", error)
}

fn refused(what: impl std::fmt::Display, error: Error) -> Failure {
    let what = what.to_string();
    match error {
        Error::NotFound => Failure::of(&what, "there is no such key"),
        Error::WrongState(why) => Failure::of(&what, why),
        other => Failure::of(&what, other),
    }
}

fn print(keys: &[Listed]) {
    let time = |at: Ts| {
        let text = at.rfc3339();
        text.get(..19).map(|text| format!("{text}Z")).unwrap_or(text)
    };
    println!("{:<36}  {:<5}  {:<7}  {:<20}  until", "kid", "alg", "state", "since");
    for key in keys {
        println!(
            "{:<36}  {:<5}  {:<7}  {:<20}  {}",
            key.kid.to_string(),
            key.alg.name(),
            key.state.as_str(),
            time(key.since),
            key.until.map_or_else(|| "-".to_owned(), time),
        );
    }
}
