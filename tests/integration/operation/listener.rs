//! The listener: nobody holds a place by being slow, and the end is orderly.

use std::time::Duration;

use procura_tests::{House, HouseOptions};
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{HEALTH, PAT, connect, get, house_with, http, rest};

const WHOLE: &str = "GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF: &str = "GET /api/health HTTP/1.1\r\nhost: x\r\n";
/// Far more than any limit that is waited for here.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_head_that_does_not_come_whole_costs_the_connection() {
    let house = House::start();
    let mut silent = connect(&house, "").await;
    let mut half = connect(&house, HALF).await;
    let mut second = connect(&house, WHOLE).await;
    second.readable().await.unwrap();
    second.write_all(HALF.as_bytes()).await.unwrap();
    // The same in two pieces is a request like any other.
    let mut honest = connect(&house, HALF).await;
    honest.write_all(b"connection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut honest).await.starts_with("HTTP/1.1 200"));
    for stream in [&mut silent, &mut half] {
        let seen = timeout(PATIENCE, rest(stream)).await.expect("closed");
        assert_eq!(seen, "");
    }
    let seen = timeout(PATIENCE, rest(&mut second)).await.expect("closed");
    assert_eq!(seen.matches("HTTP/1.1 200").count(), 1, "{seen}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_feed_is_never_idle() {
    let house = house_with(&[("PROCURA__LIMITS__IDLE_SECS", "2")]);
    let isp = &house.demo().clients["isp"];
    let feed = http().get(format!("{}/revocations/stream", house.issuer()));
    let feed = feed.basic_auth(&isp.client_id, isp.client_secret.as_ref()).send();
    let mut feed = feed.await.expect("a feed");
    let mut idle = connect(&house, WHOLE).await;
    let seen = timeout(PATIENCE, rest(&mut idle)).await.expect("closed");
    assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    // One heartbeat a second: by the fourth the feed is older than an idle connection may be.
    for _ in 0..4 {
        feed.chunk().await.expect("the feed goes on").expect("the feed goes on");
    }
}

#[tokio::test]
async fn beyond_the_cap_connections_wait_for_a_place() {
    let house = house_with(&[("PROCURA__LIMITS__MAX_CONNECTIONS", "2")]);
    let (first, second) = (connect(&house, WHOLE).await, connect(&house, WHOLE).await);
    let mut third = connect(&house, &WHOLE.replace("host", "connection: close\r\nhost")).await;
    let waiting = timeout(Duration::from_millis(300), third.readable()).await;
    assert!(waiting.is_err(), "nobody answers it yet");
    drop(first);
    assert!(timeout(PATIENCE, rest(&mut third)).await.unwrap().starts_with("HTTP/1.1 200"));
    drop(second);
}

#[tokio::test]
async fn few_files_slow_a_server_down_and_do_not_end_it() {
    let house = House::start_with(HouseOptions { open_files: Some(80), ..Default::default() });
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(connect(&house, "").await);
    }
    // Behind them all in the backlog; each of them holds a place for five seconds at most.
    drop(crowd.split_off(20));
    get(&house, HEALTH).await.expect(200);
    let pat = house.log_in(PAT).await;
    pat.switch("acme-corp", "").await;
}

#[tokio::test]
async fn a_stop_ends_feeds_at_once_lets_requests_finish_and_waits_for_nobody_slow() {
    let mut house = House::start();
    let isp = &house.demo().clients["isp"];
    let feed = http().get(format!("{}/revocations/stream", house.issuer()));
    let feed = feed.basic_auth(&isp.client_id, isp.client_secret.as_ref()).send();
    let mut feed = feed.await.expect("a feed");
    let idle = connect(&house, WHOLE).await;
    idle.readable().await.unwrap();
    // Its body never comes: the request is under way when the server stops.
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    let _slow = connect(&house, head).await;
    let ended = tokio::task::spawn_blocking(move || house.stop()).await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    while let Ok(Some(_)) = feed.chunk().await {}
}
