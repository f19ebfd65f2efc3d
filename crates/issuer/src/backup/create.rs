//! Writing a backup. The rows pass through in small pieces; the manifest comes last, so that a backup
//! that was not finished is none.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use procura_store::{
    Store,
    audit::Entry,
    backup::{Reading, TABLES, Table},
};
use procura_token::{
    AuditId,
    crypto::{Sha256, hex},
};

use super::{FORMAT, Fault, MAC, MANIFEST, Manifest, Part, file_fault};
use crate::{Environment, keys::MasterKey};

/// As many rows are in memory at a time.
const ROWS: i64 = 500;

/// Writes everything as it is at one instant into a folder that is new or empty. A server may run.
pub async fn create(
    store: &Store,
    master: &MasterKey,
    environment: &Environment,
    folder: &Path,
) -> Result<Manifest, Fault> {
    make_empty_folder(folder)?;
    // Before the reading: who copied everything, and when, stands in the copy too.
    let id = AuditId::from_bits(environment.id_bits()?);
    store.record(Entry::new(id, environment.now(), "backup.create", "ok")).await?;

    let made_at = environment.now();
    let mut reading = store.read_all().await?;
    let (head, schema) = reading.head().await?;
    let mut files = Vec::new();
    for (number, table) in TABLES.iter().enumerate() {
        let file = format!("{:02}-{}.jsonl", number.saturating_add(1), table.name);
        files.push(write_table(&mut reading, table, folder, file).await?);
    }
    let made_by = format!("procura {}", env!("CARGO_PKG_VERSION"));
    let manifest = Manifest { format: FORMAT, made_by, made_at, schema, head: head.into(), files };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|_| crate::Error::Broken)?;
    let tag = hex(&master.backup_mac().tag(&[&text]));
    write_file(folder, MAC, tag.as_bytes())?;
    write_file(folder, MANIFEST, &text)?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| file_fault(&folder.display().to_string(), error))?;
    Ok(manifest)
}

fn make_empty_folder(folder: &Path) -> Result<(), Fault> {
    let fault = |error| file_fault(&folder.display().to_string(), error);
    if folder.exists() {
        if fs::read_dir(folder).map_err(fault)?.next().is_some() {
            return Err(Fault::NotEmpty);
        }
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)
}

async fn write_table(
    reading: &mut Reading,
    table: &Table,
    folder: &Path,
    file: String,
) -> Result<Part, Fault> {
    let mut out = BufWriter::new(open_new(folder, &file)?);
    let (mut rows, mut bytes, mut digest) = (0_u64, 0_u64, Sha256::default());
    let mut last = None;
    loop {
        let records = reading.next(table, last.as_ref(), ROWS).await?;
        for record in &records {
            let mut line = serde_json::to_vec(record).map_err(|_| crate::Error::Broken)?;
            line.push(b'\n');
            digest.update(&line);
            rows = rows.saturating_add(1);
            bytes = bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            out.write_all(&line).map_err(|error| file_fault(&file, error))?;
        }
        match records.into_iter().next_back() {
            Some(record) => last = Some(record),
            None => break,
        }
    }
    let written = out.into_inner().map_err(|error| file_fault(&file, error.into_error()))?;
    written.sync_all().map_err(|error| file_fault(&file, error))?;
    let sha256 = hex(&digest.finish());
    Ok(Part { table: table.name.to_owned(), file, rows, bytes, sha256 })
}

fn open_new(folder: &Path, name: &str) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(folder.join(name)).map_err(|error| file_fault(name, error))
}

fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let mut file = open_new(folder, name)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| file_fault(name, error))
}
