//! `GET /revocations/stream`: the log as Server-Sent Events (WHATWG HTML §9.2).

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, Sse},
};
use futures_util::stream::{self, Stream};
use procura_store::{keys::KeysVersion, revocations::RevocationLog};
use procura_token::Seq;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    api::{caller::Server, problem::Problem},
    app::App,
    openapi::{Operation, Reply, Shape},
};

/// One open feed.
struct Feed {
    app: App,
    log: Arc<RevocationLog>,
    head: watch::Receiver<Seq>,
    heartbeat: watch::Receiver<Option<Seq>>,
    stopping: watch::Receiver<bool>,
    /// How far this follower has been told.
    at: Seq,
    /// The version of the keys that this follower has been told.
    keys: Option<KeysVersion>,
    ready: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

/// Described.
pub const STREAM: Operation =
    Operation::server("followRevocations", "The revocation log as it grows")
        .notes("Server-sent events rev, hb, keys and reset; it does not end by itself.")
        .headers(&[("Last-Event-ID", Shape::Number)])
        .answers(&[Reply::other(200, "text/event-stream")]);

/// The handler.
pub async fn stream(
    State(app): State<App>,
    Server(_): Server,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let store = app.issuer().store();
    let head = store.revocation_head().await.map_err(procura_issuer::Error::from)?;
    let at = match headers.get("last-event-id") {
        None => head,
        Some(id) => {
            let id = id.to_str().ok().and_then(|text| text.parse().ok());
            Seq(id.ok_or(Problem::invalid("last-event-id"))?)
        }
    };
    let place = Arc::clone(app.feeds()).try_acquire_owned().map_err(|_| Problem::UNAVAILABLE)?;
    let log = Arc::clone(store.revocations());
    // Subscribed before the first look, so that nothing can fall in between.
    let mut feed = Feed {
        head: log.follow(),
        log,
        heartbeat: app.heartbeat(),
        stopping: app.stopping(),
        at,
        keys: None,
        ready: VecDeque::new(),
        _place: place,
        app,
    };
    feed.heartbeat.mark_unchanged();
    feed.tell_keys();
    feed.catch_up();
    Ok(Sse::new(stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    })))
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let is_heartbeat = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|is_stopping| *is_stopping) => return None,
                changed = self.head.changed() => changed.map(|()| false).ok()?,
                changed = self.heartbeat.changed() => changed.map(|()| true).ok()?,
            };
            if !is_heartbeat {
                self.catch_up();
                continue;
            }
            self.tell_keys();
            let head = *self.heartbeat.borrow_and_update();
            if let Some(head) = head {
                self.push("hb", &json!({ "head": head }), None);
            }
        }
    }

    /// Queues what came since, or tells the follower that it must start over.
    fn catch_up(&mut self) {
        let Some(entries) = self.log.after(self.at) else {
            self.at = self.log.head();
            self.push("reset", &json!({}), None);
            return;
        };
        for entry in entries {
            self.at = entry.seq;
            self.push("rev", &super::frame(&entry), Some(entry.seq));
        }
    }

    /// Queues the version of the public keys, where it is news: it is time to fetch them.
    fn tell_keys(&mut self) {
        let version = self.app.issuer().keys().version();
        if self.keys.replace(version) != Some(version) {
            self.push("keys", &json!({ "version": version.0 }), None);
        }
    }

    fn push(&mut self, name: &str, data: &serde_json::Value, id: Option<Seq>) {
        let event = Event::default().event(name).data(data.to_string());
        self.ready.push_back(match id {
            Some(id) => event.id(id.0.to_string()),
            None => event,
        });
    }
}
