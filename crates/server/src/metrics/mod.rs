//! The figures of a node, for Prometheus. Counters and histograms count where things happen; gauges are
//! read when somebody asks. No label holds an id, a name or an address of anybody.

pub mod http;
pub mod names;
pub mod process;

use std::{fmt::Write, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, header},
};
use procura_issuer::Issuer;
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::{Metric, Registry},
};
use tokio::time::timeout;

use crate::{
    app::App,
    metrics::{http::HttpMeters, process::Process},
};

/// Longer than this nobody waits for the one figure that is read from the database.
const PATIENCE: Duration = Duration::from_millis(250);

type Pools = Family<[(&'static str, &'static str); 2], Gauge>;

/// All figures of a node.
pub struct Metrics {
    registry: Registry,
    /// Those of the public routes.
    pub http: HttpMeters,
    gauges: Gauges,
}

/// What is read when somebody asks.
#[derive(Default)]
struct Gauges {
    connections: Gauge,
    certificate_end: Gauge,
    ledger_queue: Gauge,
    revocation_head: Gauge,
    revocation_entries: Gauge,
    feeds: Gauge,
    verifiers: Gauge,
    audit_seq: Gauge,
    pools: Pools,
    ready: Gauge,
    resident: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

impl Metrics {
    /// Names the figures of this issuer and of its store.
    #[must_use]
    pub fn new(issuer: &Issuer) -> Self {
        let (http, gauges) = (HttpMeters::default(), Gauges::default());
        let mut list = List(Registry::default());
        list.add(names::HTTP_DURATION, "Time until the head of the answer", &http.durations);
        list.add(names::HTTP_ACTIVE, "Requests under way", &http.active);
        add_verbs(&mut list, issuer);
        gauges.add(&mut list);
        let start: Gauge = Gauge::default();
        start.set(issuer.environment().now().secs());
        list.add(names::START_TIME, "Start of the process, seconds of the Unix epoch", &start);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let name = names::BUILD.trim_end_matches("_info");
        list.0.register(name, "What is running", version);
        Self { registry: list.0, http, gauges }
    }

    /// All figures in the text format of `OpenMetrics`.
    async fn text(&self, app: &App) -> String {
        self.gauges.read(app).await;
        let mut text = String::with_capacity(16 * 1024);
        if encode(&mut text, &self.registry).is_err() {
            let _ = write!(text, "# EOF");
        }
        text
    }
}

/// The registry, with one way to add to it.
struct List(Registry);

impl List {
    fn add(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        // The format adds the suffix of a counter by itself.
        self.0.register(name.trim_end_matches("_total"), help, metric.clone());
    }
}

fn add_verbs(list: &mut List, issuer: &Issuer) {
    let verbs = issuer.meters();
    list.add(names::EXCHANGES, "Token exchanges by outcome", &verbs.exchanges);
    list.add(names::TOKENS, "Tokens handed out, by kind", &verbs.tokens);
    list.add(names::LOGINS, "Logins by outcome", &verbs.logins);
    let help = "Failures of strangers that were refused without an audit entry of their own";
    list.add(names::UNRECORDED, help, &verbs.unrecorded);
    list.add(names::LIMITED, "Requests that were refused beyond a limit", &verbs.limited);
    let store = issuer.store().meters();
    let help = "1 where limits are counted together with the other nodes";
    list.add(names::LIMITS_SHARED, help, &store.budgets_shared);
    list.add(names::LEDGER_BATCH, "Jobs in a commit of the ledger", &store.batch_jobs);
    list.add(names::LEDGER_COMMIT, "Duration of a commit of the ledger", &store.commit_seconds);
    list.add(names::LEDGER_FAILURES, "Commits of the ledger that failed", &store.commit_failures);
    list.add(names::REVOCATIONS, "Revocations written here, by cause", &store.revocations);
    let help = "1 where the copy in Redis was reached and had everything";
    list.add(names::COPY_IN_STEP, help, &store.copy_in_step);
    list.add(names::COPY_APPENDED, "Entries appended to the copy in Redis", &store.copy_appended);
    let help = "How often the copy in Redis was not what was written, and was written anew";
    list.add(names::COPY_REWRITTEN, help, &store.copy_rewritten);
}

impl Gauges {
    fn add(&self, list: &mut List) {
        list.add(names::HTTP_CONNECTIONS, "Open connections", &self.connections);
        let help = "When the listener's certificate expires, seconds of the Unix epoch, or 0";
        list.add(names::CERTIFICATE_END, help, &self.certificate_end);
        list.add(names::LEDGER_QUEUE, "Jobs that wait for the ledger", &self.ledger_queue);
        list.add(names::REVOCATION_HEAD, "Head of the revocation log", &self.revocation_head);
        let help = "Revocations that can still kill a token";
        list.add(names::REVOCATION_ENTRIES, help, &self.revocation_entries);
        list.add(names::FEEDS, "Open revocation feeds", &self.feeds);
        list.add(names::VERIFIERS, "Verifiers with a lease", &self.verifiers);
        list.add(names::AUDIT_SEQ, "Position of the last audit entry", &self.audit_seq);
        list.add(names::DATABASE, "Connections to the database", &self.pools);
        list.add(names::READY, "1 where the node is ready", &self.ready);
        list.add(names::RESIDENT, "Resident memory", &self.resident);
        list.add(names::OPEN_FDS, "Open file descriptors", &self.open_fds);
        list.add(names::MAX_FDS, "Limit of open file descriptors", &self.max_fds);
    }

    async fn read(&self, app: &App) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (issuer, store) = (app.issuer(), app.issuer().store());
        self.connections.set(count(app.connections()));
        self.certificate_end.set(app.certificate_end());
        self.ledger_queue.set(count(store.ledger_depth()));
        self.revocation_head.set(store.revocations().head().0);
        self.revocation_entries.set(count(store.revocations().held()));
        self.feeds.set(count(app.feeds_open()));
        self.verifiers.set(count(issuer.verifiers_live()));
        self.ready.set(i64::from(app.missing().is_empty()));
        for pool in store.pools() {
            for (state, connections) in [("used", pool.used), ("idle", pool.idle)] {
                let labels = [
                    ("db_client_connection_pool_name", pool.name),
                    ("db_client_connection_state", state),
                ];
                self.pools.get_or_create(&labels).set(connections);
            }
        }
        // Where the database does not answer, the last known position stays.
        if let Ok(Ok((seq, _))) = timeout(PATIENCE, store.audit_tail()).await {
            self.audit_seq.set(seq);
        }
        let process = Process::look();
        self.resident.set(process.resident_bytes);
        self.open_fds.set(process.open_fds);
        self.max_fds.set(process.max_fds);
    }
}

/// `GET /metrics`, on the private listener.
pub async fn show(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, TYPE)], app.metrics().text(&app).await)
}
