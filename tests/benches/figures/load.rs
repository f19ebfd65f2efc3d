//! The load: 64 kept-alive connections, closed (as fast as the server answers) or open (at a pace that
//! does not wait for it), and what the server used meanwhile.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep_until};

use crate::{CONNECTIONS, Failure, http::Connection, machine};

/// No run takes longer, whatever the server does.
const AT_MOST: Duration = Duration::from_secs(20);

/// Requests made beforehand, and how often each may be sent.
#[derive(Clone)]
pub struct Requests {
    all: Arc<Vec<Vec<u8>>>,
    is_once: bool,
}

impl Requests {
    /// Every one of them once, then the run is over.
    #[must_use]
    pub const fn once(all: Arc<Vec<Vec<u8>>>) -> Self {
        Self { all, is_once: true }
    }

    /// Round and round.
    #[must_use]
    pub const fn again_and_again(all: Arc<Vec<Vec<u8>>>) -> Self {
        Self { all, is_once: false }
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let length = self.all.len();
        let index = if self.is_once { index } else { index.checked_rem(length)? };
        self.all.get(index).map(Vec::as_slice)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answered with 200.
    pub answered: usize,
    /// Answered otherwise.
    pub errors: usize,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// CPU time of the servers.
    pub server: Duration,
    /// CPU time of this process.
    pub generator: Duration,
    /// Ascending.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Requests per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        count(self.answered) / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// CPU time of the servers for one request, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / count(self.answered.max(1))
    }

    /// How busy the generator's core was with it, of 1.
    #[must_use]
    pub fn generator_share(&self) -> f64 {
        self.generator.as_secs_f64() / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// How busy the servers' core was with it, of 1.
    #[must_use]
    pub fn server_share(&self) -> f64 {
        self.server.as_secs_f64() / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that this part of the requests did not exceed.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        quantile(&self.latencies, part)
    }
}

/// Of ascending durations, the one that this part of them does not exceed.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a length is a length"
)]
pub fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let rank = (count(sorted.len()) * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle one of some numbers.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
const fn count(number: usize) -> f64 {
    number as f64
}

/// When a connection sends its next request.
#[derive(Clone, Copy)]
enum Pace {
    /// As soon as it has the answer to the last.
    Closed,
    /// Every so often in all, from the start on, whether the server keeps up or not.
    Open(Instant, Duration),
}

impl Pace {
    /// When the request with this number is due.
    fn due(self, index: usize) -> Option<Instant> {
        match self {
            Self::Closed => None,
            Self::Open(start, gap) => Some(start + gap * u32::try_from(index).ok()?),
        }
    }
}

/// Who is measured.
#[derive(Clone, Copy)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

/// As many requests as the servers answer; connections are shared out among them.
pub async fn closed(
    targets: &[Target],
    requests: &Requests,
    time: Duration,
) -> Result<Outcome, Failure> {
    run(targets, requests, time, Pace::Closed).await
}

/// So many requests per second, evenly spread. A latency counts from the instant at which the request
/// was due: a server that falls behind is not forgiven the wait (nor the timer its millisecond).
pub async fn open(
    targets: &[Target],
    requests: &Requests,
    (time, rate): (Duration, f64),
) -> Result<Outcome, Failure> {
    let gap = Duration::from_secs_f64(1.0 / rate.max(1.0));
    let start = Instant::now() + Duration::from_millis(50);
    run(targets, requests, time, Pace::Open(start, gap)).await
}

async fn run(
    targets: &[Target],
    requests: &Requests,
    time: Duration,
    pace: Pace,
) -> Result<Outcome, Failure> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for target in targets.iter().cycle().take(CONNECTIONS) {
        connections.push(Connection::open(target.address).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let own = std::process::id();
    let (server, generator) = (cpu_time(targets)?, machine::cpu_time(own)?);
    let started = Instant::now();
    let until = started + time.min(AT_MOST);
    let mut workers = JoinSet::new();
    for connection in connections {
        let worker = work(connection, (requests.clone(), Arc::clone(&next)), until, pace);
        workers.spawn(worker);
    }
    let mut all = Outcome::default();
    let deadline = tokio::time::Instant::from_std(until + AT_MOST);
    loop {
        let joined = tokio::time::timeout_at(deadline, workers.join_next()).await;
        let Some(worked) = joined.map_err(|_| Failure::new("the server hangs"))? else { break };
        let (latencies, errors) = worked.map_err(|_| Failure::new("a worker crashed"))??;
        all.answered += latencies.len();
        all.errors += errors;
        all.latencies.extend(latencies);
    }
    all.elapsed = started.elapsed();
    all.server = cpu_time(targets)?.saturating_sub(server);
    all.generator = machine::cpu_time(own)?.saturating_sub(generator);
    all.latencies.sort_unstable();
    Ok(all)
}

fn cpu_time(targets: &[Target]) -> Result<Duration, Failure> {
    targets.iter().map(|target| machine::cpu_time(target.pid)).sum()
}

async fn work(
    mut connection: Connection,
    (requests, next): (Requests, Arc<AtomicUsize>),
    until: Instant,
    pace: Pace,
) -> Result<(Vec<Duration>, usize), Failure> {
    let (mut latencies, mut errors) = (Vec::with_capacity(4096), 0);
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let due = pace.due(index);
        let Some(request) = requests.get(index) else { break };
        if due.unwrap_or_else(Instant::now) >= until {
            break;
        }
        if let Some(due) = due {
            sleep_until(due.into()).await;
        }
        let from = due.unwrap_or_else(Instant::now);
        if connection.status(request).await? == 200 {
            latencies.push(from.elapsed());
        } else {
            errors += 1;
        }
    }
    Ok((latencies, errors))
}
