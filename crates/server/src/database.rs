//! Which database a configuration names, and opening it.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

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

/// Whether the clock of the database and this one are too far apart, or the database does not say.
pub async fn is_clock_off(store: &Store, now: Ts) -> bool {
    let is_near = |theirs: Ts| (theirs.secs() - now.secs()).abs() <= MAX_CLOCK_DIFFERENCE;
    !store.database_clock().await.is_ok_and(|theirs| theirs.is_none_or(is_near))
}

/// SQLite would make the file as open as the process's mask allows, and the ones beside it like it.
fn make_private(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
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
    if let Location::File(file) = &location {
        make_private(file).map_err(|error| fail(&error))?;
    }
    let store = Store::open(location).await.map_err(|error| fail(&error))?;
    if is_clock_off(&store, now).await {
        return Err(fail(&"its clock and the clock of this machine are more than 30 s apart"));
    }
    Ok(store)
}
