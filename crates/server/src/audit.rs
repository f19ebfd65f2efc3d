//! `procura audit verify`, and the copy of the checkpoints beside the database.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use procura_issuer::audit::verify_chain;
use procura_store::Store;

use crate::{config::Config, database, failure::Failure};

/// Kept beside the database, because whoever can cut its tail can also cut its checkpoints.
pub const CHECKPOINTS_FILE: &str = "audit-checkpoints.jws";

/// Appends a signed checkpoint to the file beside the database.
pub fn keep_checkpoint(data: &Path, statement: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).append(true).mode(0o600).open(data.join(CHECKPOINTS_FILE))?;
    writeln!(file, "{statement}")
}

/// Verifies the whole log of a data folder. A running server is not disturbed.
pub fn verify(config: &Config, elsewhere: &[PathBuf]) -> Result<(), Failure> {
    let data = &config.server.data;
    let location = database::existing(config)?;
    let mut kept = Vec::new();
    for file in elsewhere.iter().cloned().chain([data.join(CHECKPOINTS_FILE)]) {
        if !file.exists() && !elsewhere.contains(&file) {
            continue;
        }
        let text = fs::read_to_string(&file)
            .map_err(|error| Failure::of(&file.display().to_string(), error))?;
        kept.extend(text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("no runtime", error))?;
    runtime.block_on(async {
        let store = Store::open(location).await.map_err(|error| Failure::of("database", error))?;
        let verified = verify_chain(&store, &kept).await;
        store.close().await;
        let verified = verified.map_err(|error| Failure::of("database", error))?;
        let verified =
            verified.map_err(|broken| Failure::of("the audit log is not whole", broken))?;
        println!(
            "The audit log is whole: {} entries, in agreement with {} signed checkpoints.",
            verified.entries, verified.checkpoints
        );
        Ok(())
    })
}
