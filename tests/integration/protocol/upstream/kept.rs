//! What is kept of a provider outlives another master key and a restore, and all nodes go by the same.

use std::fs;

use procura_tests::{Ended, House, HouseOptions, Postgres, Scratch, claims};
use serde_json::json;

use super::{Journey, SAM, TOM, add, link, own, provider::Provider};

async fn logs_in(house: &House, provider: &Provider) {
    let journey = Journey::to(house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let back = journey.back(&[("code", "a-code"), ("iss", &provider.issuer)]).await;
    let tokens = journey.tokens(&back).await;
    assert_eq!(claims(&tokens.string("access_token"))["sub"], house.user(SAM));
    let (headers, _) = provider.heard().pop().unwrap();
    assert!(headers["authorization"].to_str().unwrap().starts_with("Basic cHJvY3VyYTph"));
}

#[track_caller]
fn done(ended: &Ended) {
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_provider_outlives_another_master_key_and_a_restore() {
    let provider = Provider::start().await;
    let options = HouseOptions { is_restarted: true, ..super::options() };
    let mut house = House::on_a_file_with(options);
    let tom = house.log_in(TOM).await;
    let registered = add(&house, &tom, &own(&provider.issuer)).await;
    link(&tom, &registered, "s-1", house.user(SAM)).await;
    logs_in(&house, &provider).await;

    assert!(house.stop().status.success());
    let key = house.data().join("keys/master.key");
    let new = key.with_extension("new");
    done(&house.command(&["keys", "rewrap", "--to", new.to_str().unwrap()]));
    fs::rename(&new, &key).unwrap();
    house.start_again();
    logs_in(&house, &provider).await;

    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    done(&house.command(&["backup", "create", "--to", backup.to_str().unwrap()]));
    assert!(house.stop().status.success());
    for name in ["procura.db", "procura.db-wal", "procura.db-shm"] {
        let _ = fs::remove_file(house.data().join(name));
    }
    done(&house.command(&["restore", "--from", backup.to_str().unwrap()]));
    house.start_again();
    logs_in(&house, &provider).await;
}

#[tokio::test]
async fn what_one_node_began_another_ends_and_once_is_once_on_both() {
    let provider = Provider::start().await;
    let database = Some(Postgres::shared().database());
    let house = House::start_with(HouseOptions { database, ..super::options() });
    let node = house.another_node();
    let tom = house.log_in(TOM).await;
    let registered = add(&house, &tom, &own(&provider.issuer)).await;
    link(&tom, &registered, "s-1", house.user(SAM)).await;

    let journey = Journey::to(&house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let at_node = |journey: &Journey| {
        let (uri, state) = (journey.sent("redirect_uri").unwrap(), journey.sent("state").unwrap());
        let uri = uri.replace(house.issuer(), node.url());
        format!("{uri}?state={state}&code=a-code&iss={}", provider.issuer)
    };
    let back = journey.browser.visit(&at_node(&journey)).await;
    journey.tokens(&back).await;
    journey.back(&[("code", "a-code"), ("iss", &provider.issuer)]).await.expect(400);

    // Switched off here, it is off there, whatever that node remembers.
    let journey = Journey::to(&house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    tom.patch(&super::path(&registered), &json!({ "is_enabled": false })).await.expect(200);
    let late = journey.browser.visit(&at_node(&journey)).await;
    super::message(late.expect(400));
}
