//! Backup and restore in a form of our own, the same for both databases: a folder with one file of
//! JSON lines for each table, a manifest, and its MAC under the master key.
//!
//! Not in it: the master key, and the private halves of the signing keys. Whoever has a backup alone
//! can sign nothing; what it says of people and relationships is as readable as the database.

mod create;
mod read;
mod restore;

pub use create::create;
pub use read::verify;
pub use restore::{Restored, restore};

use procura_store::backup::Head;
use procura_store::{audit::ChainHash, keys::KeysVersion};
use procura_token::{Seq, Ts};
use serde::{Deserialize, Serialize};

/// The form that this program writes, and the only one that it reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MAC: &str = "manifest.mac";

/// What is wrong with a backup, or with where it should go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The folder has something in it.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A file cannot be written or read; names it and says why.
    #[error("{0}: {1}")]
    File(String, String),
    /// There is no manifest.
    #[error("this is no backup, or one that was not finished: it has no manifest")]
    NoManifest,
    /// The MAC does not fit.
    #[error("the manifest is not genuine: another master key, or it was changed")]
    NotGenuine,
    /// Another form.
    #[error("it was made in a form that this procura does not read")]
    Format,
    /// Another schema.
    #[error("its schema is {0} and this procura has {1}: restore it with the one that made it")]
    Schema(i64, i64),
    /// A file is not what the manifest says.
    #[error("{0}: it was changed, cut or made longer")]
    Changed(String),
    /// The audit chain does not hold.
    #[error("the audit log in it is not whole, at entry {0}")]
    Audit(i64),
    /// The database has something in it.
    #[error("the database is not empty: a backup is restored into an empty one only")]
    Occupied,
    /// The clock says that the backup is from the future.
    #[error("the clock stands before the moment of the backup: set it right first")]
    Clock,
    /// Storage or randomness failed; nothing was changed.
    #[error("{0}; nothing was changed")]
    Failed(crate::Error),
}

impl From<procura_store::Error> for Fault {
    fn from(error: procura_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<crate::Error> for Fault {
    fn from(error: crate::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// The program that made it.
    pub made_by: String,
    /// When, in microseconds of the Unix epoch.
    pub made_at: Ts,
    /// The number of the last migration.
    pub schema: i64,
    head: HeadText,
    /// Its files, in the order in which they are restored.
    pub files: Vec<Part>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The table in it.
    pub table: String,
    /// Its name.
    pub file: String,
    /// How many rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadText {
    revocation_seq: Seq,
    audit_seq: i64,
    audit_hash: String,
    keys_version: i64,
}

impl Manifest {
    /// How many rows it has in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|part| part.rows).sum()
    }

    /// How many audit entries.
    #[must_use]
    pub const fn audit_entries(&self) -> i64 {
        self.head.audit_seq
    }

    fn head(&self) -> Result<Head, Fault> {
        let audit_hash: ChainHash =
            self.head.audit_hash.parse().map_err(|_| Fault::Changed(MANIFEST.to_owned()))?;
        Ok(Head {
            revocation_seq: self.head.revocation_seq,
            audit_seq: self.head.audit_seq,
            audit_hash,
            keys_version: KeysVersion(self.head.keys_version),
        })
    }
}

impl From<Head> for HeadText {
    fn from(head: Head) -> Self {
        Self {
            revocation_seq: head.revocation_seq,
            audit_seq: head.audit_seq,
            audit_hash: head.audit_hash.to_string(),
            keys_version: head.keys_version.0,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn file_fault(file: &str, error: std::io::Error) -> Fault {
    Fault::File(file.to_owned(), error.to_string())
}
