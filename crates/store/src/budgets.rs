//! Budgets that all nodes draw from, in Redis: never in anybody's way. Whoever asks gets no answer at once
//! where Redis is away, and goes by the node's own count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use procura_redis::Failed;
pub use procura_redis::{Draw, Level, Place, Rate};
use tokio::{
    sync::{
        mpsc::{self, error::TryRecvError},
        oneshot,
    },
    time::{Instant, sleep, timeout},
};

use crate::Store;

/// Longer than this nobody waits for Redis; one answer that takes longer breaks the connection, and until
/// there is another one nobody waits at all.
const WITHIN: Duration = Duration::from_millis(250);
/// As many demands are drawn by one command.
const BATCH: usize = 64;
/// As many wait at most; beyond, the node's own count must do.
const QUEUE: usize = 1024;
/// Whether Redis is still there is found out this often, so that whoever asks next does not wait for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pauses between connections grow from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Who draws from what, and where the answer goes.
struct Demand {
    draws: Vec<Draw>,
    answer: oneshot::Sender<Vec<Level>>,
}

/// Budgets in Redis. They are let go of when this is dropped.
pub struct Shared {
    demands: mpsc::Sender<Demand>,
    is_up: Arc<AtomicBool>,
}

impl Shared {
    /// Starts to keep a connection to this place. It may be down.
    #[must_use]
    pub fn start(store: &Store, place: Place) -> Self {
        let (demands, waiting) = mpsc::channel(QUEUE);
        let is_up = Arc::new(AtomicBool::new(false));
        let line = Line { place, waiting, is_up: Arc::clone(&is_up), store: store.clone() };
        tokio::spawn(line.keep());
        Self { demands, is_up }
    }

    /// Draws from all of these budgets or from none: their levels; `None` where Redis cannot say it now.
    pub async fn draw(&self, draws: Vec<Draw>) -> Option<Vec<Level>> {
        if !self.is_up.load(Ordering::Relaxed) {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.demands.try_send(Demand { draws, answer }).ok()?;
        timeout(WITHIN, answered).await.ok()?.ok()
    }
}

/// The one connection, and who waits for it.
struct Line {
    place: Place,
    waiting: mpsc::Receiver<Demand>,
    is_up: Arc<AtomicBool>,
    store: Store,
}

impl Line {
    async fn keep(mut self) {
        let (mut pause, mut has_failed) = (BACKOFF.0, false);
        let redis = self.place.address().to_string();
        loop {
            let started = Instant::now();
            let Err(reason) = self.serve(&redis, &mut has_failed).await else { return };
            self.say(false);
            if !has_failed {
                has_failed = true;
                tracing::warn!(%redis, %reason, "limits count at each node alone");
            }
            // A Redis that is slow, not dead, is asked again less and less often too.
            let has_lived = started.elapsed() > 4 * BACKOFF.1;
            pause = if has_lived { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
            sleep(pause).await;
            // Whoever came in meanwhile has gone by the node's own count.
            loop {
                match self.waiting.try_recv() {
                    Ok(_) => {}
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn say(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
        self.store.meters().budgets_shared.get_or_create(&[]).set(i64::from(is_up));
    }

    /// One connection, until it breaks; whatever waits is drawn together, and nothing waits for more to
    /// come. Ends well where nobody is left to ask.
    async fn serve(&mut self, redis: &str, has_failed: &mut bool) -> Result<(), Failed> {
        let mut budgets = procura_redis::Budgets::open(&self.place).await?;
        // The script may run, and does so in time.
        timeout(WITHIN, budgets.draw(&[])).await.map_err(|_| Failed::Unreachable)??;
        self.say(true);
        *has_failed = false;
        tracing::info!(%redis, "limits are shared");
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                count = self.waiting.recv_many(&mut batch, BATCH) => Some(count),
                () = sleep(LOOK_EVERY) => None,
            };
            if count == Some(0) {
                return Ok(());
            }
            // Where nobody asks an empty demand finds out whether it could be answered.
            let drawn = {
                let draws: Vec<&[Draw]> = batch.iter().map(|d| d.draws.as_slice()).collect();
                timeout(WITHIN, budgets.draw(&draws)).await
            };
            let levels = drawn.map_err(|_| Failed::Unreachable)??;
            let mut levels = levels.into_iter();
            for demand in batch.drain(..) {
                // Nobody waits any more where this fails.
                let _ = demand.answer.send(levels.by_ref().take(demand.draws.len()).collect());
            }
        }
    }
}
