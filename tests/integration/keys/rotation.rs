//! Keys make way for each other, and nobody notices.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::future::join_all;
use procura_tests::{Alone, House, HouseOptions, Isp, Person, eventually, header, procura};

use super::{keys, listed, published, the};

const PAT: &str = "pat@northwind.test";
const ROOT: &str = "root@procura.test";
const BILLING: &str = "/api/v1/partner/billing/summary";
const READ_BILLING: &str = "partner.billing.read";
/// Short, so that the next key is soon known to everybody.
const SHORT: &str = "[keys]\njwks_max_age_secs = 3\npublish_ahead_secs = 3\n";
const ROTATIONS: usize = 5;

/// A house whose keys may rotate every three seconds, and the configuration that says so.
fn quick_house() -> (House, String) {
    let environment = vec![
        ("PROCURA__KEYS__JWKS_MAX_AGE_SECS", "3".to_owned()),
        ("PROCURA__KEYS__PUBLISH_AHEAD_SECS", "3".to_owned()),
    ];
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let file = house.data().join("keys.toml");
    fs::write(&file, SHORT).expect("a file");
    (house, file.to_str().expect("a plain path").to_owned())
}

async fn there_is_a_next_key(house: &House) {
    let has_both = async || {
        let waiting = listed(house).iter().filter(|line| line.state == "next").count();
        (waiting == 2).then_some(())
    };
    eventually("a next key waits for each algorithm", has_both).await;
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_has_signed() {
    let (house, config) = quick_house();
    there_is_a_next_key(&house).await;
    let (first, second) = (the(&house, "ES256", "active"), the(&house, "ES256", "next"));
    let all_published = async || (published(&house).await.len() == 4).then_some(());
    eventually("the server publishes what waits", all_published).await;
    let pat = house.log_in(PAT).await;
    assert_eq!(header(&pat.home)["kid"], first.as_str());

    rotate(house.data_text(), config).await;
    assert_eq!(the(&house, "ES256", "active"), second);
    assert_eq!(the(&house, "ES256", "retired"), first);
    // No moment passes in which the old one signs: the token's own transaction looks.
    let later = house.log_in(PAT).await;
    assert_eq!(header(&later.home)["kid"], second.as_str());
    assert_eq!(header(&later.id_token)["kid"], the(&house, "RS256", "active").as_str());
    // What the first one signed lives on.
    pat.get("/api/v1/partner/customers").await.expect(200);
    assert!(published(&house).await.contains(&first));
    let log = house.log_in(ROOT).await.get("/api/audit-logs").await.expect(200).json();
    let about = |entry: &&serde_json::Value| {
        entry["action"] == "key.retire" && entry["resource_id"] == first.as_str()
    };
    assert_eq!(log.as_array().expect("a list").iter().filter(about).count(), 1);
}

#[tokio::test]
async fn rotation_under_load_refuses_nobody() {
    let _alone = Alone::on_the_machine();
    let (house, config) = quick_house();
    let isp = Isp::start(&house).await;
    there_is_a_next_key(&house).await;
    let pat = house.log_in(PAT).await;
    let oldest = pat.switch("acme-corp", READ_BILLING).await;
    let (is_over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let load = join_all((0..3).map(|_| exchange_and_use(&pat, &isp, &is_over, &count)));
    let rotations = async {
        for _ in 0..ROTATIONS {
            rotate(house.data_text(), config.clone()).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, rotations);
    assert!(count.load(Ordering::Relaxed) > 20, "there was load");
    // It was signed by the first of all these keys, and is not dead yet.
    isp.get(&oldest, BILLING).await.expect(200);
    assert_eq!(listed(&house).iter().filter(|line| line.alg == "ES256").count(), ROTATIONS + 2);
}

/// Rotates as soon as it is allowed, beside whatever else goes on.
async fn rotate(data: String, config: String) {
    let try_it = async || {
        let (data, config) = (data.clone(), config.clone());
        let ended = tokio::task::spawn_blocking(move || {
            procura(&["keys", "rotate", "--data", &data, "--config", &config])
        });
        ended.await.expect("it ends").status.success().then_some(())
    };
    eventually("the next key is known to everybody", try_it).await;
}

/// Exchanges and uses, again and again: each token at once, and the one before it a second time.
async fn exchange_and_use(pat: &Person, isp: &Isp, is_over: &AtomicBool, count: &AtomicU64) {
    let mut before = pat.switch("acme-corp", READ_BILLING).await;
    while !is_over.load(Ordering::Relaxed) {
        let token = pat.switch("acme-corp", READ_BILLING).await;
        isp.get(&token, BILLING).await.expect(200);
        isp.get(&before, BILLING).await.expect(200);
        before = token;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_key_that_not_everybody_knows_signs_only_when_told_to() {
    let house = House::start();
    there_is_a_next_key(&house).await;
    let before = listed(&house);
    let line = keys(&house, &["rotate"]).refused().to_owned();
    assert!(line.contains("not published long enough"), "{line}");
    let active = the(&house, "ES256", "active");
    assert!(!keys(&house, &["retire", &active]).status.success());
    assert_eq!(listed(&house), before, "nothing changed");

    let next = the(&house, "ES256", "next");
    let told = keys(&house, &["rotate", "--now", "--alg", "ES256"]);
    assert!(told.status.success() && told.stdout.contains(&next), "{told:?}");
    assert_eq!(the(&house, "ES256", "active"), next);
}

#[test]
fn a_key_that_cannot_be_retired_is_named_in_one_line() {
    let house = House::start();
    let active = the(&house, "ES256", "active");
    assert!(keys(&house, &["retire", "--now", &active]).status.success());
    let unknown = format!("key_{:032x}", 7);
    for (kid, why) in [(&active, "retired already"), (&unknown, "no such key")] {
        let line = keys(&house, &["retire", "--now", kid]).refused().to_owned();
        assert!(line.contains(kid) && line.contains(why), "{line}");
    }
    // Retired in an emergency it goes at once; then it is gone.
    assert!(keys(&house, &["retire", "--emergency", &active]).status.success());
    let line = keys(&house, &["retire", &active]).refused().to_owned();
    assert!(line.contains("gone already"), "{line}");
}
