//! Logouts on their way to clients: the task that looks for what is due.

use std::time::Duration;

use procura_issuer::{Issuer, logout_notices::Deliveries};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

const EACH: Duration = Duration::from_secs(1);

/// Delivers until the server stops. What is under way then is left to another node, or to the next start.
pub fn start(issuer: Issuer, mut stopping: watch::Receiver<bool>) {
    tokio::spawn(async move {
        let mut deliveries = Deliveries::default();
        let mut tick = interval(EACH);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = deliveries.begin(&issuer).await {
                tracing::error!(%error, "nobody can be told of logouts");
            }
        }
    });
}
