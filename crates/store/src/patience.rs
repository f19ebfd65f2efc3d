//! How long one request waits for what it depends on: for each thing, and for all together.

use std::{cell::Cell, time::Duration};

use tokio::time::{Instant, timeout};

tokio::task_local! {
    /// What is left of the patience of the request that this task works for.
    static LEFT: Cell<Duration>;
}

/// Does the work for a request that waits for backends no longer than `all` together, however many
/// statements it needs: each may take its whole time alone, but not one after the other. What the work
/// itself takes does not count, nor what it leaves to other tasks.
pub async fn within<T>(all: Duration, work: impl Future<Output = T>) -> T {
    LEFT.scope(Cell::new(all), work).await
}

/// Waits for a backend at most so long, and no longer than the request has patience left; `None` when it
/// has not answered by then. Work for no request, such as the pulse, has only the first bound.
pub async fn wait<T>(most: Duration, work: impl Future<Output = T>) -> Option<T> {
    let left = LEFT.try_with(Cell::get).unwrap_or(Duration::MAX);
    // Not even begun: what is given up half way costs a connection.
    if left.is_zero() {
        return None;
    }
    let started = Instant::now();
    let answer = timeout(most.min(left), work).await.ok();
    // What waits within this has been counted already: the same second is not taken twice.
    let rest = left.saturating_sub(started.elapsed());
    let _ = LEFT.try_with(|left| left.set(left.get().min(rest)));
    answer
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn many_short_waits_use_up_the_patience_of_a_request() {
        let started = Instant::now();
        let answered = within(3 * SECOND, async {
            let mut answered = 0;
            while wait(2 * SECOND, sleep(SECOND * 4 / 5)).await.is_some() {
                answered += 1;
            }
            answered
        });
        assert_eq!(answered.await, 3);
        assert_eq!(started.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_wait_has_its_own_bound() {
        let started = Instant::now();
        within(3 * SECOND, async {
            assert_eq!(wait(2 * SECOND, pending::<()>()).await, None);
            assert_eq!(wait(2 * SECOND, async { 1 }).await, Some(1), "a second is left");
        })
        .await;
        assert_eq!(started.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_within_what_is_waited_for_counts_once() {
        within(3 * SECOND, async {
            let inner = async {
                assert!(wait(2 * SECOND, sleep(SECOND)).await.is_some());
                sleep(SECOND / 2).await;
            };
            assert!(wait(2 * SECOND, inner).await.is_some());
            let started = Instant::now();
            assert_eq!(wait(2 * SECOND, pending::<()>()).await, None);
            assert_eq!(started.elapsed(), SECOND * 3 / 2);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_waited_for_a_backend_costs_no_patience() {
        within(SECOND, async {
            sleep(5 * SECOND).await;
            assert_eq!(wait(SECOND, async { 1 }).await, Some(1));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_for_no_request_waits_each_time_anew() {
        for _ in 0..5 {
            assert!(wait(2 * SECOND, sleep(SECOND)).await.is_some());
        }
    }
}
