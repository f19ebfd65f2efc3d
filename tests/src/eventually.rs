//! Waiting for what happens by itself, such as an audit event that a resource server delivers.

use std::time::{Duration, Instant};

/// Only what never comes takes so long: a slow machine is not a fault.
const PATIENCE: Duration = Duration::from_secs(30);

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
