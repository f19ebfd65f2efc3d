//! Restoring: everything back in one transaction, and then a new generation. What was issued, revoked
//! or used once after the backup is not known any more, so nothing from before is accepted.

use std::path::Path;

use procura_domain::Access;
use procura_store::{
    Store, Tx,
    audit::Entry,
    backup::{Ended, InForce, Record, Table},
};
use procura_token::{AuditId, Key};
use serde_json::{Value, json};

use super::{
    Fault, Manifest,
    read::{Lines, parts, verify},
};
use crate::{Environment, keys::MasterKey, verifiers::LEASE};

/// What came back, and what somebody has to look at.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// What the new generation ended.
    pub ended: Ended,
    /// How many relationships are in force, and some of them.
    pub in_force: InForce,
}

/// Restores a backup into an empty database: everything, or nothing.
///
/// With `access`, no customer's switch is further open than that, so that customers open it again
/// themselves.
pub async fn restore(
    store: &Store,
    master: &MasterKey,
    environment: &Environment,
    folder: &Path,
    access: Option<Access>,
) -> Result<Restored, Fault> {
    // The whole of it before anything is written.
    let manifest = verify(folder, master)?;
    let schema = store.schema().await?;
    if manifest.schema != schema {
        return Err(Fault::Schema(manifest.schema, schema));
    }
    let now = environment.now();
    let head = manifest.head()?;
    if now < manifest.made_at || now.0 <= head.revocation_seq.0 {
        return Err(Fault::Clock);
    }
    let mut tx = store.begin(now).await?;
    if !tx.is_untouched().await? {
        return Err(Fault::Occupied);
    }
    let mut keys = Vec::new();
    for (part, table) in parts(&manifest)? {
        let mut lines = Lines::open(folder, part, table)?;
        while let Some(record) = lines.next()? {
            tx.insert_record(table, &without_life(table, record, &mut keys)).await?;
        }
    }
    tx.continue_from(&head);
    let ended = tx.start_generation(access).await?;
    revoke_everything(&mut tx, &keys);
    let id = AuditId::from_bits(environment.id_bits()?);
    let details = json!({
        "made_at": manifest.made_at.rfc3339(),
        "audit_entries": manifest.audit_entries(),
        "access": access.map(|access| access.to_string()),
    });
    tx.audit(Entry {
        details: Some(details.to_string()),
        ..Entry::new(id, now, "backup.restore", "ok")
    });
    let in_force = tx.relationships_in_force().await?;
    tx.commit().await?;
    // What was accepted under a lease from before is over when this returns.
    tokio::time::sleep(LEASE).await;
    Ok(Restored { manifest, ended, in_force })
}

/// Signing keys come back as gone: their private halves were not in the backup, and one of them may
/// have been stolen and retired since.
fn without_life(table: &Table, mut record: Record, keys: &mut Vec<String>) -> Record {
    if table.name == "signing_keys" {
        if let Some(kid) = record.get("kid").and_then(Value::as_str) {
            keys.push(kid.to_owned());
        }
        record.insert("state".to_owned(), "gone".into());
        record.insert("ends_at".to_owned(), Value::Null);
    }
    record
}

/// A position of now is beyond any that was ever given, as long as the clock is right. The keys die
/// whatever the clock says.
fn revoke_everything(tx: &mut Tx, keys: &[String]) {
    tx.revoke(&Key::All, "restored");
    for kid in keys {
        tx.revoke(&Key::SigningKey(kid), "restored");
    }
}
