//! The revocation feed: snapshot, stream (server-sent events) and acknowledgements.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use procura_token::Seq;

use crate::{
    clock::Moment,
    frames::{Frame, Frames, read_snapshot},
    standing::Standing,
    view::Applied,
    wire::{Failed, Wire, fetch, send},
};

/// Largest snapshot that is read.
const MAX_SNAPSHOT_BYTES: usize = 64 * 1024 * 1024;
/// A snapshot may take so long.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(10);
/// The stream must begin within, and never be silent for longer than, this: the server's heart
/// beats once a second.
const SILENCE: Duration = Duration::from_secs(3);
/// Pauses between connections grow from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// An acknowledgement is sent this often, and when there is news.
const ACK_EVERY: Duration = Duration::from_millis(500);
/// An acknowledgement may take so long: two fit into one lease.
const ACK_WITHIN: Duration = Duration::from_millis(750);
/// Entries that can kill nothing any more are dropped this often.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// Follows the feed for ever.
pub async fn follow(wire: &Wire, standing: &Standing) {
    let mut pause = Duration::ZERO;
    loop {
        let start = Instant::now();
        match connect(wire, standing).await {
            Ok(()) => tracing::info!("the revocation view is read again from the snapshot"),
            Err(reason) => tracing::warn!(%reason, "the revocation feed broke"),
        }
        // A connection that lived is no sign of trouble: the next may follow at once.
        pause = if start.elapsed() > BACKOFF.1 {
            Duration::ZERO
        } else {
            (pause * 2).clamp(BACKOFF.0, BACKOFF.1)
        };
        sleep(pause).await;
    }
}

/// One connection: the snapshot where it is needed, then the stream until it breaks (an error) or
/// shows that the snapshot is needed again.
async fn connect(wire: &Wire, standing: &Standing) -> Result<(), Failed> {
    read_snapshot_if_needed(wire, standing).await?;
    let position = standing.view().applied().unwrap_or_default();
    let request = wire
        .get("/revocations/stream")
        .header(http::header::ACCEPT, "text/event-stream")
        .header("last-event-id", position.0);
    let within = |_| Failed::Unreachable;
    let mut response = timeout(SILENCE, send(request)).await.map_err(within)??;
    let mut frames = Frames::default();
    loop {
        let chunk = timeout(SILENCE, response.chunk()).await.map_err(within)?;
        let chunk = chunk.map_err(|_| Failed::Unreachable)?.ok_or(Failed::Unreachable)?;
        for frame in frames.push(&chunk).map_err(|_| Failed::Malformed)? {
            if is_snapshot_needed_after(frame, standing) {
                return Ok(());
            }
        }
    }
}

/// Reads the snapshot where nothing else helps. It comes from the issuer alone.
pub async fn read_snapshot_if_needed(wire: &Wire, standing: &Standing) -> Result<(), Failed> {
    if standing.view().needs_snapshot() {
        let request = wire.get("/revocations/snapshot");
        let body = fetch(request, MAX_SNAPSHOT_BYTES, SNAPSHOT_WITHIN).await?;
        let (head, entries) = read_snapshot(&body).map_err(|_| Failed::Malformed)?;
        standing.update(|view| view.snapshot(head, entries));
    }
    Ok(())
}

fn is_snapshot_needed_after(frame: Frame, standing: &Standing) -> bool {
    match frame {
        Frame::Revocation(entry, previous) => {
            standing.update(|view| view.apply(entry, previous)) == Applied::Gap
        }
        // The usual heartbeat changes nothing, so it takes no write lock and wakes nobody.
        Frame::Heartbeat(head) => {
            let is_known = {
                let view = standing.view();
                view.is_synced() && view.applied() >= Some(head)
            };
            !is_known && standing.update(|view| view.heartbeat(head))
        }
        Frame::Keys(version) => {
            standing.announce_keys(version);
            false
        }
        Frame::Reset => {
            standing.update(crate::view::View::reset);
            true
        }
    }
}

#[derive(Serialize)]
struct Ack<'a> {
    verifier: &'a str,
    incarnation: &'a str,
    applied: Seq,
}

#[derive(Deserialize)]
struct Lease {
    head: Seq,
    lease_ms: u64,
}

/// Acknowledges for ever, in time and after each change; several changes while one request is
/// under way make one more. Also drops old entries.
pub async fn acknowledge(wire: &Wire, standing: &Standing, name: &str, longest: Duration) {
    let incarnation = standing.view().incarnation().to_owned();
    let mut has_failed = false;
    let mut last_forgotten = Instant::now();
    loop {
        // The moment is taken before the request leaves: the lease counts from here.
        let asked = standing.view().ask(Moment::now());
        if let Some(asked) = asked {
            let ack = Ack { verifier: name, incarnation: &incarnation, applied: asked.applied };
            match lease(wire, &ack).await {
                Ok(lease) => {
                    let length = Duration::from_millis(lease.lease_ms).min(longest);
                    standing.grant(&asked, lease.head, length);
                    has_failed = false;
                }
                Err(reason) if !has_failed => {
                    tracing::warn!(%reason, "the lease was not renewed");
                    has_failed = true;
                }
                Err(_) => {}
            }
        }
        if last_forgotten.elapsed() > FORGET_EVERY {
            last_forgotten = Instant::now();
            standing.update(|view| view.forget(Moment::now().wall));
        }
        // An error is no reason to hurry; news is.
        let _ = timeout(ACK_EVERY, standing.applied.notified()).await;
    }
}

async fn lease(wire: &Wire, ack: &Ack<'_>) -> Result<Lease, Failed> {
    let body = fetch(wire.post("/revocations/ack").json(ack), 4096, ACK_WITHIN).await?;
    serde_json::from_slice(&body).map_err(|_| Failed::Malformed)
}
