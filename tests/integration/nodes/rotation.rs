//! Keys that rotate while a node is away: it comes back knowing nothing of it, and refuses nobody.

use std::fs;

use procura_tests::{House, HouseOptions, Isp, Postgres, eventually, header, procura};

use super::{BILLING, PAT, READ_BILLING};

const JWKS: (&str, &str) = ("PROCURA__KEYS__JWKS_MAX_AGE_SECS", "3");
const AHEAD: (&str, &str) = ("PROCURA__KEYS__PUBLISH_AHEAD_SECS", "3");

fn first_of_quick_nodes() -> House {
    House::start_with(HouseOptions {
        database: Some(Postgres::shared().database()),
        environment: [JWKS, AHEAD].map(|(name, value)| (name, value.to_owned())).into(),
        is_restarted: true,
        ..HouseOptions::default()
    })
}

/// Lets the next keys sign as soon as that is allowed.
async fn rotate(house: &House) {
    let config = house.data().join("keys.toml");
    let text = format!(
        "[database]\nurl = {:?}\n[keys]\njwks_max_age_secs = 3\npublish_ahead_secs = 3\n",
        house.database().expect("Postgres")
    );
    fs::write(&config, text).unwrap();
    let (config, data) = (config.to_str().unwrap().to_owned(), house.data_text());
    eventually("the next key is known to everybody", async || {
        let (config, data) = (config.clone(), data.clone());
        let run = move || procura(&["keys", "rotate", "--data", &data, "--config", &config]);
        tokio::task::spawn_blocking(run).await.unwrap().status.success().then_some(())
    })
    .await;
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().expect("a kid").to_owned()
}

/// From the leaving of the second node to its return, nobody sees one false refusal.
async fn nobody_is_refused(leaves: impl Fn(&mut House), returns: impl Fn(&mut House)) {
    let one = first_of_quick_nodes();
    let mut two = one.another_node();
    let (near, far) = (Isp::start(&one).await, Isp::start(&two).await);
    let pat = one.log_in(PAT).await;
    let before = pat.at(&two).switch("acme-corp", READ_BILLING).await;
    for isp in [&near, &far] {
        isp.get(&before, BILLING).await.expect(200);
    }

    leaves(&mut two);
    rotate(&one).await;
    let during = pat.switch("acme-corp", READ_BILLING).await;
    assert_ne!(kid(&during), kid(&before));
    for token in [&before, &during] {
        near.get(token, BILLING).await.expect(200);
        assert!(one.is_alive(token).await);
    }

    returns(&mut two);
    let at_two = pat.at(&two);
    // The very first token of the node that was away: of the new key.
    let after = at_two.switch("acme-corp", READ_BILLING).await;
    assert_eq!(kid(&after), kid(&during));
    // It takes what the old one signed, a home token as well as a delegated one.
    at_two.get("/api/v1/partner/customers").await.expect(200);
    for token in [&before, &during, &after] {
        assert!(two.is_alive(token).await && one.is_alive(token).await);
        near.get(token, BILLING).await.expect(200);
    }
    // Its own verifier may have closed meanwhile; that is no refusal.
    eventually("its verifier follows again", async || far.is_ready().await.then_some(())).await;
    for token in [&before, &during, &after] {
        far.get(token, BILLING).await.expect(200);
    }
}

#[tokio::test]
async fn a_node_that_was_down_while_keys_rotated_signs_with_the_new_and_takes_the_old() {
    nobody_is_refused(House::kill, House::start_again).await;
}

#[tokio::test]
async fn a_node_that_stood_still_while_keys_rotated_signs_with_the_new_and_takes_the_old() {
    nobody_is_refused(|two| two.pause(), |two| two.resume()).await;
}
