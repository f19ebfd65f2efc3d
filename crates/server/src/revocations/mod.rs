//! The revocation feed for verifiers: snapshot, stream, acknowledgement. Only for resource servers.

pub mod ack;
pub mod snapshot;
pub mod stream;

use procura_store::revocations::Entry;
use serde_json::{Value, json};

/// An entry on the wire. Its cause stays here.
fn frame(entry: &Entry) -> Value {
    json!({
        "k": entry.kind,
        "h": entry.key,
        "s": entry.seq,
        "p": entry.prev,
        "x": entry.forget_at(),
    })
}
