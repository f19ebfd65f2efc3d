//! Reading a backup back, and nothing that was changed: the manifest by its MAC, each file by length,
//! count and hash, the audit log by its chain.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use procura_store::{
    audit::{ChainHash, genesis},
    backup::{Record, TABLES, Table, audit_entry},
};
use procura_token::crypto::{Sha256, hex, is_equal};

use super::{FORMAT, Fault, MAC, MANIFEST, Manifest, Part, file_fault};
use crate::keys::MasterKey;

/// No row that we write is longer.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;

/// Reads the whole backup once; answers its manifest if nothing is wrong with it.
pub fn verify(folder: &Path, master: &MasterKey) -> Result<Manifest, Fault> {
    let manifest = read_manifest(folder, master)?;
    let mut chain = Chain::default();
    for (part, table) in parts(&manifest)? {
        let mut lines = Lines::open(folder, part, table)?;
        while let Some(record) = lines.next()? {
            if table.name == "audit" {
                chain.take(&record)?;
            }
        }
    }
    let head = manifest.head()?;
    if (chain.seq, chain.tail) != (head.audit_seq, head.audit_hash) {
        return Err(Fault::Audit(chain.seq));
    }
    Ok(manifest)
}

/// The files in the order in which they are restored, each with its table.
pub(super) fn parts(manifest: &Manifest) -> Result<Vec<(&Part, &'static Table)>, Fault> {
    if manifest.files.len() != TABLES.len() {
        return Err(Fault::Format);
    }
    let pairs = manifest.files.iter().zip(TABLES);
    pairs
        .map(|(part, table)| {
            (part.table == table.name).then_some((part, table)).ok_or(Fault::Format)
        })
        .collect()
}

fn read_manifest(folder: &Path, master: &MasterKey) -> Result<Manifest, Fault> {
    let read = |name: &str| -> Result<Vec<u8>, Fault> {
        let file = File::open(folder.join(name)).map_err(|_| Fault::NoManifest)?;
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| file_fault(name, error))?;
        Ok(bytes)
    };
    let (text, tag) = (read(MANIFEST)?, read(MAC)?);
    let expected = hex(&master.backup_mac().tag(&[&text]));
    if !is_equal(expected.as_bytes(), tag.trim_ascii()) {
        return Err(Fault::NotGenuine);
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| Fault::Format)?;
    if manifest.format == FORMAT { Ok(manifest) } else { Err(Fault::Format) }
}

/// The audit chain, as far as it was read.
struct Chain {
    seq: i64,
    tail: ChainHash,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, tail: genesis() }
    }
}

impl Chain {
    fn take(&mut self, record: &Record) -> Result<(), Fault> {
        let next = self.seq.saturating_add(1);
        let (seq, entry) = audit_entry(record).map_err(|_| Fault::Audit(next))?;
        let hash = entry.hash(seq, self.tail);
        let says = |column: &str| record.get(column).and_then(serde_json::Value::as_str);
        let is_good = seq == next
            && says("prev_hash") == Some(&self.tail.to_string())
            && says("hash") == Some(&hash.to_string());
        if !is_good {
            return Err(Fault::Audit(next));
        }
        (self.seq, self.tail) = (seq, hash);
        Ok(())
    }
}

/// The rows of one file. The last `next` compares it with the manifest, so a caller that reads to the
/// end has read what was written.
pub(super) struct Lines<'a> {
    part: &'a Part,
    table: &'static Table,
    reader: BufReader<File>,
    line: Vec<u8>,
    rows: u64,
    bytes: u64,
    digest: Sha256,
}

impl<'a> Lines<'a> {
    pub(super) fn open(
        folder: &Path,
        part: &'a Part,
        table: &'static Table,
    ) -> Result<Self, Fault> {
        // A name with a folder in it cannot come from us.
        if part.file.contains(['/', '\\']) {
            return Err(Fault::Format);
        }
        let file =
            File::open(folder.join(&part.file)).map_err(|error| file_fault(&part.file, error))?;
        Ok(Self {
            part,
            table,
            reader: BufReader::new(file),
            line: Vec::new(),
            rows: 0,
            bytes: 0,
            digest: Sha256::default(),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        let changed = || Fault::Changed(self.part.file.clone());
        self.line.clear();
        let read = Read::by_ref(&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| file_fault(&self.part.file, error))?;
        if read == 0 {
            let digest = hex(&self.digest.clone().finish());
            let is_whole = (self.rows, self.bytes) == (self.part.rows, self.part.bytes)
                && digest == self.part.sha256;
            return if is_whole { Ok(None) } else { Err(changed()) };
        }
        self.digest.update(&self.line);
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let record: Option<Record> = serde_json::from_slice(&self.line).ok();
        record.filter(|record| self.table.fits(record)).map(Some).ok_or_else(changed)
    }
}
