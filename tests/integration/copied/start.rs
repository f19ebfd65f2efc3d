//! Starting with and without Redis.

use std::fs;

use procura_tests::{House, HouseOptions, Isp, Redis, Scratch, eventually, procura};
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING};

const SERVER_RIGHTS: &str = "+eval +xadd +xtrim +xinfo +xlen +xread +type +del +get +set +time";
const READER_RIGHTS: &str = "+xread +xrevrange";

#[tokio::test]
async fn everything_starts_while_redis_is_down_and_takes_to_it_when_it_comes() {
    let mut redis = Redis::reserved();
    let house = House::start_with(HouseOptions::on(&redis));
    let url = redis.url();
    let isp = Isp::start_with(&house, &["--revocations", "redis", "--redis-url", &url]).await;
    isp.follows_copy(false).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&token, BILLING).await.expect(200);
    let off = "/api/tenants/partner-access?confirm=applied";
    ada.put(off, &json!({ "mode": "off" })).await.expect(200);
    isp.get(&token, BILLING).await.expect(401);
    redis.start_again();
    isp.follows_copy(true).await;
    eventually("what was missed is there", async || {
        (redis.ask(&["XLEN", super::STREAM]) == "1\n").then_some(())
    })
    .await;
    ada.put(off, &json!({ "mode": "on" })).await.expect(200);
    isp.get(&token, BILLING).await.expect(401);
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&fresh, BILLING).await.expect(200);
}

#[tokio::test]
async fn a_copy_that_nobody_fills_is_left_for_the_event_stream() {
    let redis = Redis::start();
    let house = House::start();
    let url = redis.url();
    let isp = Isp::start_with(&house, &["--revocations", "redis", "--redis-url", &url]).await;
    isp.follows_copy(true).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    for _ in 0..2 {
        let token = pat.switch("acme-corp", READ_BILLING).await;
        isp.get(&token, BILLING).await.expect(200);
        let path = "/api/tenants/partner-access?confirm=applied";
        ada.put(path, &json!({ "mode": "off" })).await.expect(200);
        isp.get(&token, BILLING).await.expect(401);
        ada.put(path, &json!({ "mode": "on" })).await.expect(200);
        isp.follows_copy(false).await;
    }
}

#[tokio::test]
async fn the_rights_in_the_operations_guide_are_enough_and_no_log_shows_a_password() {
    let redis = Redis::start();
    let allow = |user: &str, rights: &str| {
        let words = ["ACL", "SETUSER", user, "on", ">hush-hush", "~procura:*"];
        let words: Vec<_> = words.into_iter().chain(rights.split(' ')).collect();
        assert_eq!(redis.ask(&words), "OK\n");
    };
    let guide = include_str!("../../../docs/OPERATIONS.md");
    for (user, rights) in [("node", SERVER_RIGHTS), ("reader", READER_RIGHTS)] {
        assert!(guide.contains(rights), "docs/OPERATIONS.md does not say: {rights}");
        allow(user, rights);
    }
    let as_user = |user: &str| redis.url().replace("unix://", &format!("unix://{user}:hush-hush@"));
    let folder = Scratch::new();
    let file = folder.path().join("redis.url");
    fs::write(&file, format!("{}\n", as_user("node"))).unwrap();
    let mut house = House::start_with(HouseOptions {
        environment: vec![
            ("PROCURA__REDIS__URL_FILE", file.to_str().unwrap().to_owned()),
            ("PROCURA__LOG__FILTER", "trace".to_owned()),
        ],
        ..HouseOptions::default()
    });
    let reader = as_user("reader");
    let isp = Isp::start_with(&house, &["--revocations", "redis", "--redis-url", &reader]).await;
    isp.follows_copy(true).await;
    let ada = house.log_in(ADA).await;
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    let count = || redis.ask(&["XLEN", super::STREAM]);
    eventually("the entry is there", async || (count() == "1\n").then_some(())).await;
    // Also what is only done when something is wrong.
    redis.ask(&["XADD", super::STREAM, "9007199254740991-0", "j", "x"]);
    let log = || redis.ask(&["XRANGE", super::STREAM, "-", "+"]);
    eventually("it is put right", async || (!log().contains("9007199254740991")).then_some(()))
        .await;
    isp.follows_copy(true).await;
    assert!(!redis.ask(&["ACL", "LOG"]).contains("node"), "{}", redis.ask(&["ACL", "LOG"]));
    assert!(!house.stop().stderr.contains("hush-hush"));
    assert!(!isp.stderr().contains("hush-hush"));
}

#[test]
fn a_redis_that_cannot_be_meant_is_refused_with_one_line() {
    let folder = Scratch::new();
    let file = folder.path().join("procura.toml");
    let refused = |text: &str, why: &str| {
        fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap();
        let ended = procura(&["config", "check", "--config", config]);
        let line = ended.refused();
        assert!(line.contains(why) && !line.contains("hush"), "{line}");
    };
    refused("[redis]\nurl = \"http://:hush@127.0.0.1\"\n", "redis.url");
    refused("[redis]\nurl = \"rediss://:hush@127.0.0.1/#insecure\"\n", "redis.url");
    refused("[redis]\nurl = \"redis://127.0.0.1\"\nprefix = \"a b\"\n", "redis.prefix");
    refused("[redis]\nurl_file = \"/nowhere/redis.url\"\n", "/nowhere/redis.url");
    refused("[redis]\nurl = \"rediss://h\"\nca_file = \"/nowhere/ca.pem\"\n", "/nowhere/ca.pem");
    refused("[redis]\nurl = \"redis://h\"\nurl_file = \"/x\"\n", "redis.url_file");
    fs::write(&file, "[redis]\nurl = \"redis://:hush@127.0.0.1:7/1\"\n").unwrap();
    let shown = procura(&["config", "show", "--config", file.to_str().unwrap()]);
    assert!(shown.stdout.contains("redis://:***@127.0.0.1:7/1"), "{}", shown.stdout);
}
