//! The listener: accepts connections, hands their requests to the routes, and ends them. No peer can
//! hold a place by being slow, and no error of one connection ends the others.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tower::Service;

use crate::{
    metrics::process::max_open_files,
    pulse::{Pulse, Watched},
    tls::Tls,
};

/// A request's head must have come within this time.
const HEAD: Duration = Duration::from_secs(5);
/// Requests under way have this long when the server stops.
pub const GRACE: Duration = Duration::from_secs(5);
/// The largest head, and the most that is buffered for one connection.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// When the process is out of file descriptors, accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(100);
/// File descriptors that are not for connections: the database, its pool, the log.
const OWN_FILES: usize = 64;

/// How much a listener takes on.
#[derive(Clone)]
pub struct Bounds {
    /// One for each open connection; beyond them new ones wait in the system's backlog.
    pub places: Arc<Semaphore>,
    /// How many there are.
    pub max: usize,
    /// A connection to which nothing was sent for so long is closed.
    pub idle: Duration,
}

impl Bounds {
    /// Connections that are open now. One place is always taken: by whoever waits for the next one.
    #[must_use]
    pub fn open(&self) -> usize {
        self.max.saturating_sub(self.places.available_permits()).saturating_sub(1)
    }

    /// With this many connections, or as many as the process may have files.
    #[must_use]
    pub fn new(max_connections: usize, idle: Duration) -> Self {
        let max = match max_open_files() {
            Some(files) => max_connections.min(files.saturating_sub(OWN_FILES).max(OWN_FILES / 4)),
            None => max_connections,
        };
        if max < max_connections {
            tracing::warn!(
                max,
                "fewer connections than configured: the limit of open files is low"
            );
        }
        Self { places: Arc::new(Semaphore::new(max)), max, idle }
    }
}

/// Accepts connections until told to stop; returns when the last one has ended, at most `GRACE` later.
/// Without `tls` they are plain.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routes: Router,
    bounds: Bounds,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let next = async {
            let place = Arc::clone(&bounds.places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            _ = stopping.wait_for(|is_stopping| *is_stopping) => break,
            next = next => next,
        };
        let Ok(place) = place else { break };
        match accepted {
            Ok((stream, peer)) => {
                let one = Connection { peer, routes: routes.clone(), idle: bounds.idle };
                tokio::spawn(one.run(stream, tls.clone(), stopping.clone(), place));
            }
            Err(error) => outlive(&error).await,
        }
    }
    drop(listener);
    let all = u32::try_from(bounds.max).unwrap_or(u32::MAX);
    let _ = timeout(GRACE, bounds.places.acquire_many(all)).await;
}

/// A peer that went away before it was accepted is nobody's fault. Anything else is ours, such as too
/// many open files, and lasts for a while.
async fn outlive(error: &io::Error) {
    let is_of_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    );
    if !is_of_peer {
        tracing::error!(%error, "a connection cannot be accepted");
        sleep(PAUSE).await;
    }
}

/// One connection.
struct Connection {
    peer: SocketAddr,
    routes: Router,
    idle: Duration,
}

impl Connection {
    async fn run(
        self,
        stream: TcpStream,
        tls: Option<Tls>,
        mut stopping: watch::Receiver<bool>,
        _place: OwnedSemaphorePermit,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.answer(stream, stopping).await };
        let shaken = tokio::select! {
            biased;
            _ = stopping.wait_for(|is_stopping| *is_stopping) => None,
            shaken = tls.accept(stream) => shaken,
        };
        if let Some(stream) = shaken {
            self.answer(stream, stopping).await;
        }
    }

    async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        mut stopping: watch::Receiver<bool>,
    ) {
        let pulse = Arc::new(Pulse::new());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
        let (peer, routes, ours) = (self.peer, self.routes, Arc::clone(&pulse));
        let service = service_fn(move |request: Request<Incoming>| {
            let under_way = ours.begin();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = routes.clone().call(request);
            async move {
                let answer = answer.await;
                drop(under_way);
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().max_buf_size(MAX_HEAD_BYTES);
        builder.http2().max_concurrent_streams(MAX_STREAMS);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut alarm = pin!(sleep(HEAD));
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                    return;
                }
                _ = stopping.wait_for(|is_stopping| *is_stopping), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                    alarm.as_mut().reset(Instant::now() + GRACE);
                }
                () = alarm.as_mut() => {
                    let next = pulse.next_look(HEAD, self.idle).filter(|_| !is_stopping);
                    let Some(next) = next else { return };
                    alarm.as_mut().reset(next);
                }
            }
        }
    }
}
