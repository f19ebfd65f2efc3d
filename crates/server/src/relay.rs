//! Redis as the configuration has it, and the task that keeps the copy in it.

use std::{fs, path::Path};

use procura_issuer::Issuer;
use procura_store::relay::{Address, Place};
use tokio::sync::watch;

use crate::{config::Redis, failure::Failure};

/// Where the copy is, if there is to be one. Reads files, connects to nothing.
pub fn place(config: &Redis) -> Result<Option<Place>, Failure> {
    let url = match file(&config.url_file)? {
        Some(url) => url,
        None if config.url.is_empty() => return Ok(None),
        None => config.url.clone(),
    };
    let address: Address = url.trim().parse().map_err(|error| Failure::of("redis.url", error))?;
    let place =
        Place::new(address, &config.prefix).map_err(|error| Failure::of("redis.prefix", error))?;
    let authorities = file(&config.ca_file)?;
    Ok(Some(place.trusting(authorities.map(String::into_bytes))))
}

/// The URL without its password. What cannot be read is not shown at all.
pub fn shown(url: &str) -> String {
    url.parse::<Address>().map(|address| address.to_string()).unwrap_or_default()
}

fn file(path: &Path) -> Result<Option<String>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = fs::read_to_string(path);
    text.map(Some).map_err(|error| Failure::of(&path.display().to_string(), error))
}

/// Relays until the server stops, and lets the limits be shared. Redis may be down: nothing here waits for it.
pub fn start(place: Place, issuer: Issuer, mut stopping: watch::Receiver<bool>) {
    issuer.share_limits(place.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = issuer.relay(&place) => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
        }
    });
}
