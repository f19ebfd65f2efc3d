//! Which database a configuration names, and opening it.

use std::fs;

use procura_store::{Location, Store};
use procura_token::Ts;

use crate::{config::Config, failure::Failure};

/// Two clocks that are further apart make tokens that are dead at birth, or live too long. In seconds.
const MAX_CLOCK_DIFFERENCE: i64 = 30;

/// The database that the configuration names.
pub fn location(config: &Config) -> Result<Location, Failure> {
    let database = &config.database;
    if !database.url.0.is_empty() {
        return Ok(Location::Postgres(database.url.0.clone()));
    }
    if database.url_file.as_os_str().is_empty() {
        return Ok(Location::File(config.server.data.join("procura.db")));
    }
    let url = fs::read_to_string(&database.url_file)
        .map_err(|error| Failure::of(&database.url_file.display().to_string(), error))?;
    Ok(Location::Postgres(url.trim().to_owned()))
}

/// The same, refused where it is a file that is not there: for commands that need a database.
pub fn existing(config: &Config) -> Result<Location, Failure> {
    let location = location(config)?;
    match &location {
        Location::File(file) if !file.exists() => {
            Err(Failure::of(&file.display().to_string(), "there is no database"))
        }
        _ => Ok(location),
    }
}

/// Opens it; refuses where its clock and ours are too far apart.
pub async fn open(config: &Config, now: Ts) -> Result<Store, Failure> {
    let location = location(config)?;
    let shown = match &location {
        Location::File(file) => file.display().to_string(),
        _ => "database".to_owned(),
    };
    let fail = |error: &dyn std::fmt::Display| Failure::of(&shown, error);
    let store = Store::open(location).await.map_err(|error| fail(&error))?;
    let theirs = store.database_clock().await.map_err(|error| fail(&error))?;
    if theirs.is_some_and(|theirs| (theirs.secs() - now.secs()).abs() > MAX_CLOCK_DIFFERENCE) {
        return Err(fail(&"its clock and the clock of this machine are more than 30 s apart"));
    }
    Ok(store)
}
