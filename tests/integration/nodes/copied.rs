//! Three nodes on one Postgres and one Redis, and verifiers at each of them.

use futures_util::future::join_all;
use procura_tests::{Alone, House, HouseOptions, Isp, Postgres, Redis, eventually, procura};
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING};

const SWITCH: &str = "/api/tenants/partner-access?confirm=applied";

fn deployment(redis: &Redis, more: &[(&'static str, &str)]) -> House {
    let mut options = HouseOptions::on(redis);
    options.database = Some(Postgres::shared().database());
    options.environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    House::start_with(options)
}

#[tokio::test]
async fn what_is_confirmed_at_one_node_is_refused_by_every_verifier_of_every_node() {
    let _alone = Alone::on_the_machine();
    let redis = Redis::start();
    let one = deployment(&redis, &[]);
    let (two, three) = (one.another_node(), one.another_node());
    let url = redis.url();
    let by_copy = ["--revocations", "redis", "--redis-url", url.as_str()];
    let names = ["a", "b", "c", "d"];
    let isps = join_all(
        [(&two, &[][..]), (&two, &by_copy), (&three, &[]), (&three, &by_copy)]
            .into_iter()
            .zip(names)
            .map(|((node, how), name)| {
                let arguments: Vec<_> = how.iter().copied().chain(["--name", name]).collect();
                async move { Isp::start_with(node, &arguments).await }
            }),
    )
    .await;
    let (pat, ada) = (one.log_in(PAT).await.at(&two), one.log_in(ADA).await);
    let mut rounds = 0;
    eventually("four verifiers of three nodes confirm, five times", async || {
        let token = pat.switch("acme-corp", READ_BILLING).await;
        for isp in &isps {
            isp.get(&token, BILLING).await.expect(200);
        }
        let answer = ada.put(SWITCH, &json!({ "mode": "off" })).await;
        let verifiers = answer.expect(200).json()["revoked"]["verifiers"].clone();
        for isp in &isps {
            isp.get(&token, BILLING).await.expect(401);
        }
        ada.put(SWITCH, &json!({ "mode": "on" })).await.expect(200);
        // Where the machine stood still, some held no lease at that moment; the round is another one then.
        if verifiers["live"] == 4 {
            assert_eq!(verifiers["confirmed"], 4, "{verifiers}");
            rounds += 1;
        }
        (rounds == 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_for_a_while_nothing_is_lost_and_nobody_waits_for_it() {
    let mut redis = Redis::start();
    let one = deployment(&redis, &[]);
    let two = one.another_node();
    let isp = Isp::start(&two).await;
    let (pat, ada) = (one.log_in(PAT).await.at(&two), one.log_in(ADA).await);
    redis.kill();
    let token = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&token, BILLING).await.expect(200);
    ada.put(SWITCH, &json!({ "mode": "off" })).await.expect(200);
    isp.get(&token, BILLING).await.expect(401);
    redis.start_again();
    // Empty, and filled again by whichever node comes first.
    let is_full = async || {
        let length = redis.try_ask(&["XLEN", "procura:revocations"])?;
        (length.trim() != "0").then_some(())
    };
    eventually("the stream is written anew", is_full).await;
    ada.put(SWITCH, &json!({ "mode": "on" })).await.expect(200);
    let again = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&again, BILLING).await.expect(200);
    isp.get(&token, BILLING).await.expect(401);
}

#[tokio::test]
async fn keys_rotate_on_two_nodes_under_load_and_refuse_nobody() {
    let _alone = Alone::on_the_machine();
    let redis = Redis::start();
    let quick =
        [("PROCURA__KEYS__JWKS_MAX_AGE_SECS", "3"), ("PROCURA__KEYS__PUBLISH_AHEAD_SECS", "3")];
    let one = deployment(&redis, &quick);
    let two = one.another_node();
    let (near, far) = (Isp::start(&one).await, Isp::start(&two).await);
    let pat = one.log_in(PAT).await;
    let at_two = pat.at(&two);
    let config = one.data().join("keys.toml");
    let text = format!(
        "[database]\nurl = {:?}\n[keys]\njwks_max_age_secs = 3\npublish_ahead_secs = 3\n",
        one.database().expect("Postgres")
    );
    std::fs::write(&config, text).unwrap();
    let (config, data) = (config.to_str().unwrap().to_owned(), one.data_text());
    let rotate = async || {
        let (config, data) = (config.clone(), data.clone());
        let run = move || procura(&["keys", "rotate", "--data", &data, "--config", &config]);
        let ended = tokio::task::spawn_blocking(run).await.unwrap();
        ended.status.success().then_some(())
    };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let load = async |person: &procura_tests::Person, isp: &Isp| {
        let mut count = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let token = person.switch("acme-corp", READ_BILLING).await;
            isp.get(&token, BILLING).await.expect(200);
            count += 1;
        }
        count
    };
    let rotations = async {
        for _ in 0..3 {
            eventually("the next key is known to everybody", &rotate).await;
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    // Each node's tokens at the other node's verifier.
    let (a, b, ()) = tokio::join!(load(&pat, &far), load(&at_two, &near), rotations);
    assert!(a > 5 && b > 5, "there was load: {a}, {b}");
}
