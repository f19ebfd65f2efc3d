//! A key was stolen.

use std::fs;

use procura_store::{Location, Store};
use procura_tests::{House, Isp, claims, eventually, header};
use procura_token::{
    crypto::{MacKey, SealKey, unhex},
    jws::ACCESS_TOKEN_TYPE,
    signing::SigningKey,
};
use serde_json::{Value, json};

use super::{keys, published, the};

const PAT: &str = "pat@northwind.test";
const BILLING: &str = "/api/v1/partner/billing/summary";
const READ_BILLING: &str = "partner.billing.read";
/// Beyond every position that the log will ever have.
const FAR: i64 = (1 << 53) - 1;

/// What a thief does who has the database and the master key.
async fn steal(house: &House, kid: &str) -> SigningKey {
    let text = fs::read_to_string(house.data().join("keys/master.key")).expect("the master key");
    let master = unhex(text.trim()).expect("hex");
    let seal = MacKey::new(&master).tag(&[b"procura/1/", b"signing-keys"]);
    let store = Store::open(Location::File(house.data().join("procura.db"))).await;
    let store = store.expect("the database");
    let stored = store.list_keys().await.expect("keys");
    store.close().await;
    let key = stored.iter().find(|key| key.kid.to_string() == kid).expect("the key");
    let opened = SealKey::new(&seal).expect("a key").open(kid.as_bytes(), &key.sealed);
    SigningKey::load(key.kid, key.alg, &opened.expect("it opens")).expect("a key pair")
}

fn forged(key: &SigningKey, token: &str, rvs: i64) -> String {
    let mut claims: Value = claims(token);
    claims["rvs"] = json!(rvs);
    claims["exp"] = json!(claims["exp"].as_i64().expect("a time") + 365 * 86_400);
    key.sign(ACCESS_TOKEN_TYPE, &claims).expect("signed")
}

#[tokio::test]
async fn whatever_a_stolen_key_signed_is_dead_also_what_claims_to_be_from_the_future() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let kid = header(&token)["kid"].as_str().expect("a kid").to_owned();
    let next_known = async || (published(&house).await.len() == 4).then_some(());
    eventually("a next key is published", next_known).await;
    let stolen = steal(&house, &kid).await;
    let rvs = claims(&token)["rvs"].as_i64().expect("a position");
    let tokens = [token.clone(), forged(&stolen, &token, rvs), forged(&stolen, &token, FAR)];
    let forged_home = forged(&stolen, &pat.home, FAR);
    for token in &tokens {
        isp.get(token, BILLING).await.expect(200);
    }
    house
        .api(&forged_home, reqwest::Method::GET, "/api/v1/partner/customers", None)
        .await
        .expect(200);

    let ended = keys(&house, &["retire", "--emergency", &kid]);
    assert!(ended.status.success() && ended.stdout.contains("signs now"), "{ended:?}");
    // At the server itself nothing has to come around.
    for token in &tokens {
        assert!(!house.is_alive(token).await);
    }
    for home in [&pat.home, &forged_home] {
        let answer = house.api(home, reqwest::Method::GET, "/api/v1/partner/customers", None).await;
        answer.expect(401);
    }
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    refused.oauth_error(400, "invalid_request");
    // The verifier hears of it.
    for token in &tokens {
        let dead = async || {
            let answer = isp.get(token, BILLING).await;
            assert!(matches!(answer.status, 200 | 401), "{answer:?}");
            (answer.status == 401).then_some(())
        };
        eventually("the resource server refuses the token", dead).await;
    }
    let is_gone = async || (!published(&house).await.contains(&kid)).then_some(());
    eventually("the key is published no more", is_gone).await;
    // Who starts afresh refuses it as well, and the honest go on with the key that waited.
    let other = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    assert_eq!(header(&token)["kid"], the(&house, "ES256", "active").as_str());
    for isp in [&isp, &other] {
        isp.get(&token, BILLING).await.expect(200);
        for token in &tokens {
            isp.get(token, BILLING).await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_key_that_waits_can_be_stolen_too() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let waits = async || keys(&house, &["list"]).stdout.contains(" next ").then_some(());
    eventually("a key waits", waits).await;
    let kid = the(&house, "ES256", "next");
    let stolen = steal(&house, &kid).await;
    let home = forged(&stolen, &pat.home, 0);
    let is_known = async || published(&house).await.contains(&kid).then_some(());
    eventually("the key is published", is_known).await;
    let path = "/api/v1/partner/customers";
    house.api(&home, reqwest::Method::GET, path, None).await.expect(200);
    assert!(keys(&house, &["retire", "--emergency", &kid]).status.success());
    house.api(&home, reqwest::Method::GET, path, None).await.expect(401);
    // What the active key signed is alive.
    pat.get(path).await.expect(200);
    assert_ne!(the(&house, "ES256", "next"), kid);
}
