//! Waiting: for what happens by itself, such as an audit event that a resource server delivers, and for what
//! is promised to come in time.

use std::time::{Duration, Instant};

/// Only what never comes takes so long: a slow machine is not a fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every answer comes within, for a server that promises three seconds on a machine that may stand still
/// for some: a hang takes much longer.
const IN_TIME: Duration = Duration::from_secs(8);

/// The answer, which comes in time; panics when it does not.
pub async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(IN_TIME, answer).await.expect("an answer in time")
}

/// Asks again until there is an answer; panics with `what` when there is none in half a minute. Between
/// two questions lies a round trip to a server, and a moment for the others on the machine.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
