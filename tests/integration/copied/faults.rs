//! Whatever becomes of Redis: nothing is lost, exchanges go on, and off means off.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use procura_tests::{Person, Redis, eventually};
use tokio::task::JoinHandle;

use super::{BILLING, READ_BILLING, STREAM, Stage};

#[tokio::test]
async fn a_revocation_goes_by_redis_to_a_resource_server() {
    let stage = Stage::set().await;
    let token = stage.token().await;
    stage.off_means_off(&token).await;
    assert_eq!(stage.entries(), 2, "off and on");
    let last = stage.redis.ask(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"]);
    let field = |name: &str| {
        let mut lines = last.lines().skip_while(|line| *line != name);
        lines.nth(1).expect("a field of the entry").to_owned()
    };
    // A service that only wants to look a key up finds it, with an end.
    let key = format!("procura:revoked:{}", field("h"));
    assert_eq!(stage.redis.ask(&["GET", &key]).trim(), field("s"));
    assert_eq!(stage.redis.ask(&["EXPIRETIME", &key]).trim(), field("x"));
    assert_eq!(last.lines().next(), Some(format!("{}-0", field("s")).as_str()));
    stage.isp.follows_copy(true).await;
    let fresh = stage.token().await;
    stage.isp.get(&fresh, BILLING).await.expect(200);
}

/// Something that happens to Redis while everything runs, and its mending.
async fn survives(happens: impl AsyncFnOnce(&mut Redis), mends: impl AsyncFnOnce(&mut Redis)) {
    let mut stage = Stage::set().await;
    let old = stage.token().await;
    stage.off_means_off(&old).await;
    let token = stage.token().await;
    let (exchanges, stop) = exchange_on_and_on(stage.pat.clone());
    happens(&mut stage.redis).await;
    stage.off_means_off(&token).await;
    // What is new works meanwhile, and dies as well.
    let during = stage.token().await;
    stage.off_means_off(&during).await;
    mends(&mut stage.redis).await;
    eventually("the copy is whole again", async || (stage.entries() == 6).then_some(())).await;
    stage.isp.follows_copy(true).await;
    for dead in [&old, &token, &during] {
        stage.is_dead(dead).await;
    }
    let after = stage.token().await;
    stage.off_means_off(&after).await;
    stop.store(true, Ordering::Relaxed);
    assert!(exchanges.await.unwrap() > 0, "exchanges went on");
}

/// Exchanges for another customer, until told to stop. Each has to work. Answers how many did.
fn exchange_on_and_on(pat: Person) -> (JoinHandle<usize>, Arc<AtomicBool>) {
    let stop = Arc::new(AtomicBool::new(false));
    let is_stopped = Arc::clone(&stop);
    let exchanging = tokio::spawn(async move {
        let mut count = 0;
        while !is_stopped.load(Ordering::Relaxed) {
            pat.exchange("fabrikam", READ_BILLING).await.expect(200);
            count += 1;
        }
        count
    });
    (exchanging, stop)
}

#[tokio::test]
async fn redis_may_be_killed_and_come_back_empty() {
    survives(async |redis| redis.kill(), async |redis| redis.start_again()).await;
}

#[tokio::test]
async fn redis_may_restart_empty_at_once() {
    let restart = async |redis: &mut Redis| {
        redis.kill();
        redis.start_again();
    };
    survives(restart, async |_| {}).await;
}

#[tokio::test]
async fn redis_may_be_flushed() {
    survives(async |redis| redis.flush(), async |_| {}).await;
}

#[tokio::test]
async fn redis_may_be_paused() {
    survives(async |redis| redis.pause(), async |redis| redis.resume()).await;
}

#[tokio::test]
async fn redis_may_evict_what_it_likes() {
    let evict = async |redis: &mut Redis| {
        redis.ask(&["DEL", STREAM]);
        let keys = redis.ask(&["KEYS", "procura:revoked:*"]);
        for key in keys.lines() {
            redis.ask(&["DEL", key]);
        }
    };
    survives(evict, async |_| {}).await;
}

#[tokio::test]
async fn redis_may_be_full() {
    let full = async |redis: &mut Redis| {
        assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK\n");
    };
    let again = async |redis: &mut Redis| {
        assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "0"]), "OK\n");
    };
    survives(full, again).await;
}
