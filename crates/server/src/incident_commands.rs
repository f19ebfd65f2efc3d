//! `procura incident` and `procura audit verify-evidence`: the operator's own hand closes all doors of a
//! partner or a tenant at once, and keeps what was so as evidence; on the database as configured, beside a
//! running server.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use procura_domain::Access;
use procura_issuer::{
    Issuer,
    evidence::{Worth, verify_evidence},
    hand::Hand,
    incident::Whose,
};

use crate::{
    audit::keep_checkpoint,
    cli::Place,
    client_commands::{refused, tenant},
    database,
    failure::Failure,
    start::with_issuer,
};

const DAY_SECS: i64 = 86_400;

/// Whose doors, and where the evidence goes.
#[derive(Debug, Args)]
pub struct Declare {
    #[command(flatten)]
    place: Place,
    /// The partner: id or slug. All that it has with customers.
    #[arg(long, conflicts_with = "tenant", required_unless_present = "tenant")]
    partner: Option<String>,
    /// The tenant: id or slug. All that partners have with it.
    #[arg(long)]
    tenant: Option<String>,
    /// Nothing at all instead of reading alone.
    #[arg(long)]
    off: bool,
    /// A new file for the evidence, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,
    /// So many days of the audit log go into it.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=3650))]
    days: u16,
}

/// Which evidence.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    place: Place,
    /// The file.
    #[arg(value_name = "FILE")]
    evidence: PathBuf,
}

/// Closes the doors.
pub fn declare(declare: &Declare) -> Result<(), Failure> {
    let config = declare.place.load()?;
    database::existing(&config)?;
    let data = config.server.data.clone();
    with_issuer(&config, async |issuer| close(&issuer, declare, &data).await)
}

/// Looks at a file of evidence.
pub fn verify(verify: &Verify) -> Result<(), Failure> {
    let config = verify.place.load()?;
    database::existing(&config)?;
    with_issuer(&config, async |issuer| look(&issuer, &verify.evidence).await)
}

async fn close(issuer: &Issuer, declare: &Declare, data: &Path) -> Result<(), Failure> {
    let whose = match (&declare.partner, &declare.tenant) {
        (Some(name), _) => Whose::Partner(tenant(issuer, name).await?),
        (None, Some(name)) => Whose::Tenant(tenant(issuer, name).await?),
        (None, None) => return Err(Failure("--partner or --tenant is missing".to_owned())),
    };
    let access = if declare.off { Access::Off } else { Access::Restricted };
    let about = declare.evidence.display().to_string();
    // First the file: where there can be no evidence, the operator should know before anything is done.
    let mut file = BufWriter::new(new_file(&declare.evidence).map_err(|e| Failure::of(&about, e))?);
    let declared = issuer.declare_incident(Hand::CommandLine, whose, access).await;
    let declared = declared.map_err(|error| {
        // Nothing was done. An empty file would stand in the way of the next try.
        let _ = fs::remove_file(&declare.evidence);
        refused("the incident".to_owned())(error)
    })?;
    let (requests, proposals) = (declared.requests_declined(), declared.proposals_declined());
    println!(
        "{} relationships are {access} or less; {requests} requests and {proposals} proposals declined; \
         {} requests to be let in closed; {} delegations ended; {} of {} verifiers have applied it.",
        declared.touched.len().saturating_sub(requests),
        declared.access_requests.len(),
        declared.revoked.delegations_ended,
        declared.revoked.verifiers_confirmed,
        declared.revoked.verifiers_live,
    );
    let undone = |error: &dyn std::fmt::Display| {
        let text = "the relationships are closed, but not all evidence is kept:";
        Failure::of(&about, format!("{text} {error}"))
    };
    let checkpoint = declared.checkpoint.clone();
    let from = declared.at.plus_secs(-i64::from(declare.days).saturating_mul(DAY_SECS));
    let evidence = issuer.evidence(Hand::CommandLine, declared, from);
    let mut evidence = evidence.map_err(|error| undone(&error))?;
    while let Some(piece) = evidence.next().await.map_err(|error| undone(&error))? {
        file.write_all(piece.as_bytes()).map_err(|error| undone(&error))?;
    }
    let file = file.into_inner().map_err(|error| undone(error.error()))?;
    file.sync_all().map_err(|error| undone(&error))?;
    println!("The evidence is in {about}: {} lines, and a signed end.", evidence.lines());
    let checkpoint = checkpoint.ok_or_else(|| undone(&"the log is not sealed"))?;
    keep_checkpoint(data, &checkpoint).map_err(|error| undone(&error))
}

fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

async fn look(issuer: &Issuer, path: &Path) -> Result<(), Failure> {
    let about = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Failure::of(&about, error))?;
    let worth = verify_evidence(issuer.store(), &text).await;
    match worth.map_err(|error| Failure::of("database", error))? {
        Worth::Whole(sealed) => {
            println!("{about} is whole: {} lines under one signature.", sealed.lines);
            Ok(())
        }
        Worth::NotInTheLog => {
            Err(Failure::of(&about, "it is signed, but the audit log does not know it"))
        }
        Worth::Nothing => Err(Failure::of(&about, "it is not whole, or not of this deployment")),
    }
}
