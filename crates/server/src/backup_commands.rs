//! `procura backup create|verify` and `procura restore`.

use std::{fs, path::PathBuf};

use clap::Args;
use procura_domain::Access;
use procura_issuer::{
    Environment,
    backup::{self, Fault, Restored},
};

use crate::{
    audit::CHECKPOINTS_FILE,
    cli::Place,
    config::Config,
    database,
    failure::Failure,
    keys::{master_key, take_data_folder},
    start,
};

/// Where the copy goes.
#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    place: Place,
    /// A folder that is new or empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Which copy is looked at.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    place: Place,
    /// The backup.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What is put back, and how far open.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    place: Place,
    /// The backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Turn every customer's switch at least this far, so that customers open it again themselves:
    /// `off` or `restricted`.
    #[arg(long, value_name = "MODE", value_parser = narrower)]
    access: Option<Access>,
}

fn narrower(text: &str) -> Result<Access, &'static str> {
    match text {
        "off" => Ok(Access::Off),
        "restricted" => Ok(Access::Restricted),
        _ => Err("off or restricted"),
    }
}

/// Copies everything.
pub fn create(create: &Create) -> Result<(), Failure> {
    let config = create.place.load()?;
    database::existing(&config)?;
    let manifest = block_on(async {
        let environment = Environment::default();
        let store = database::open(&config, environment.now()).await?;
        // Opened so that a wrong master key is found out now, not at the restore.
        start::open_secrets(&config, &store, &environment).await?;
        let master = master_key(&config, false)?;
        let made = backup::create(&store, &master, &environment, &create.to).await;
        store.close().await;
        made.map_err(|fault| of(&create.to, fault))
    })?;
    println!(
        "{}: {} rows, {} audit entries. The master key is not in it: without that key it cannot be \
         restored, so keep both, and apart.",
        create.to.display(),
        manifest.rows(),
        manifest.audit_entries()
    );
    Ok(())
}

/// Looks at a copy.
pub fn verify(verify: &Verify) -> Result<(), Failure> {
    let config = verify.place.load()?;
    let master = master_key(&config, false)?;
    let manifest =
        backup::verify(&verify.folder, &master).map_err(|fault| of(&verify.folder, fault))?;
    println!(
        "{} is whole: {}, made {}, schema {}, {} rows, {} audit entries in an unbroken chain.",
        verify.folder.display(),
        manifest.made_by,
        manifest.made_at.rfc3339(),
        manifest.schema,
        manifest.rows(),
        manifest.audit_entries()
    );
    Ok(())
}

/// Puts a copy back.
pub fn restore(restore: &Restore) -> Result<(), Failure> {
    let config = restore.place.load()?;
    let master = master_key(&config, false)?;
    let _lock = take_data_folder(&config.server.data)?;
    let restored = block_on(async {
        let environment = Environment::default();
        let store = database::open(&config, environment.now()).await?;
        let from = &restore.from;
        let done = backup::restore(&store, &master, &environment, from, restore.access).await;
        store.close().await;
        done.map_err(|fault| of(from, fault))
    })?;
    put_checkpoints_away(&config)?;
    print(&restored);
    Ok(())
}

/// They saw entries that are lost with what came after the backup; an operator may want to compare.
fn put_checkpoints_away(config: &Config) -> Result<(), Failure> {
    let file = config.server.data.join(CHECKPOINTS_FILE);
    if !file.exists() {
        return Ok(());
    }
    let away = file.with_extension("jws.before-restore");
    fs::rename(&file, &away).map_err(|error| Failure::of(&file.display().to_string(), error))?;
    println!("The checkpoints of the audit log from before are kept in {}.", away.display());
    Ok(())
}

fn print(restored: &Restored) {
    let Restored { manifest, ended, in_force } = restored;
    println!(
        "Restored: {} rows, as they were {}. A new generation began: no token, login, code or \
         invitation from before is accepted. Ended: {} logins, {} delegations, {} invitations. New \
         signing keys are made at the next start.",
        manifest.rows(),
        manifest.made_at.rfc3339(),
        ended.sessions,
        ended.delegations,
        ended.invitations,
    );
    if ended.switched > 0 {
        println!("{} tenants' access switches were turned.", ended.switched);
    }
    println!("\nLook at what was changed after the backup, because it is undone:");
    println!(
        "- relationships that were suspended, narrowed or ended: {} are in force",
        in_force.count
    );
    for one in &in_force.some {
        println!("    {one}");
    }
    if u64::try_from(in_force.count).unwrap_or_default() > in_force.some.len() as u64 {
        println!("    … and others: these changed last");
    }
    println!(
        "- people and clients that were disabled, roles that were taken, passwords and client secrets \
         that were changed"
    );
    println!(
        "- people who were invited: their invitations are void, and what came later is unknown"
    );
}

fn of(folder: &std::path::Path, fault: Fault) -> Failure {
    Failure::of(&folder.display().to_string(), fault)
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("no runtime", error))?;
    runtime.block_on(work)
}
