//! A revocation that was acknowledged has happened; one that could not happen is not acknowledged (S46).

use procura_tests::{Cable, House, HouseOptions, Postgres, Redis, eventually, in_time};
use reqwest::Method;
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, credentials, is_good_at_home};

fn on(database: &str, environment: Vec<(&'static str, String)>) -> House {
    House::start_with(HouseOptions {
        database: Some(database.to_owned()),
        environment,
        ..HouseOptions::default()
    })
}

async fn no_revocation_is_acknowledged_that_did_not_happen(loses: impl Fn(&Cable)) {
    let database = Postgres::shared().database();
    let cable = Cable::to_database(&database);
    let house = on(cable.url(), Vec::new());
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let edge = house.relationship("northwind>acme-corp");
    let client = credentials(&house, "portal").0;
    loses(&cable);
    in_time(house.revoke(&token)).await.oauth_error(503, "temporarily_unavailable");
    in_time(house.revoke(&pat.home)).await.oauth_error(503, "temporarily_unavailable");
    let off = json!({ "mode": "off" });
    for (method, path, body) in [
        (Method::PUT, "/api/tenants/partner-access".to_owned(), Some(&off)),
        (Method::POST, format!("{edge}/suspend"), None),
        (Method::DELETE, edge.clone(), None),
        (Method::DELETE, format!("/api/me/consents/{client}"), None),
    ] {
        let answer = in_time(house.api(&ada.home, method, &path, body)).await;
        answer.problem(503, "unavailable");
    }
    let leave = format!("/oauth2/logout?id_token_hint={}", pat.id_token);
    in_time(pat.visitor.visit(&leave)).await.expect(503);

    // Whoever comes again is served, and then it is so, at every node and also where this one dies at once.
    cable.mend();
    let revoked = async || (in_time(house.revoke(&token)).await.status == 200).then_some(());
    eventually("it revokes again", revoked).await;
    let other = house.another_node();
    drop(house);
    assert!(!other.is_alive(&token).await);
    let left = in_time(other.revoke(&pat.home)).await;
    left.expect(200);
    assert!(!is_good_at_home(&other, &pat.home).await);
}

#[tokio::test]
async fn without_an_answer_of_the_database_no_revocation_is_acknowledged() {
    no_revocation_is_acknowledged_that_did_not_happen(Cable::lose_everything).await;
}

#[tokio::test]
async fn without_a_connection_to_the_database_no_revocation_is_acknowledged() {
    no_revocation_is_acknowledged_that_did_not_happen(Cable::pull_out).await;
}

#[tokio::test]
async fn without_redis_a_revocation_is_acknowledged_because_it_holds_without_it() {
    let redis = Redis::start();
    let database = Postgres::shared().database();
    let house = on(&database, vec![("PROCURA__REDIS__URL", redis.url())]);
    let pat = house.log_in(PAT).await;
    let (one, two) =
        (pat.switch("acme-corp", READ_BILLING).await, pat.switch("acme-corp", READ_BILLING).await);
    in_time(house.revoke(&one)).await.expect(200);
    drop(redis);
    in_time(house.revoke(&two)).await.expect(200);
    let other = house.another_node();
    for token in [&one, &two] {
        assert!(!house.is_alive(token).await && !other.is_alive(token).await);
    }
    let third = pat.switch("acme-corp", READ_BILLING).await;
    assert!(house.is_alive(&third).await && other.is_alive(&third).await);
}
