//! A restart changes nothing.

use procura_tests::{House, HouseOptions, Isp, eventually};
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING, dead, works};

#[tokio::test]
async fn after_a_restart_what_lived_lives_and_what_was_dead_is_dead() {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = House::start_with(options);
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let killed = pat.switch("acme-corp", READ_BILLING).await;
    let path = "/api/tenants/partner-access?confirm=applied";
    ada.put(path, &json!({ "mode": "off" })).await.expect(200);
    ada.put(path, &json!({ "mode": "on" })).await.expect(200);
    let alive = pat.switch("acme-corp", READ_BILLING).await;
    let (code, users) = (house.demo().partner_codes.clone(), house.demo().users.clone());

    let ended = house.stop();
    assert!(ended.status.success(), "{ended:?}");
    house.start_again();
    let again = house.demo_now();
    assert_eq!((again.partner_codes, again.users), (code, users), "not seeded twice");
    assert_eq!(again.password, house.demo().password);

    // The server still knows its tokens, and the resource server comes back to it by itself.
    assert!(house.is_alive(&alive).await && !house.is_alive(&killed).await);
    let ready = async || isp.is_ready().await.then_some(());
    eventually("the verifier follows the server again", ready).await;
    works(&isp.get(&alive, BILLING).await);
    dead(&isp, &killed).await;
    // A resource server that starts afresh knows nothing but what the server says.
    let other = Isp::start(&house).await;
    works(&other.get(&alive, BILLING).await);
    dead(&other, &killed).await;
    // Logins went on too, and so does the audit log.
    works(&isp.get(&pat.switch("acme-corp", READ_BILLING).await, BILLING).await);
    let log = house.log_in(super::ROOT).await.get("/api/audit-logs").await.json();
    let seeds = log.as_array().unwrap().iter().filter(|entry| entry["action"] == "demo.seed");
    assert_eq!(seeds.count(), 1);
}

#[tokio::test]
async fn without_the_server_a_resource_server_closes_and_comes_back_by_itself() {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = House::start_with(options);
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    house.stop();
    // For the rest of its lease it may go on; then it cannot know, and says so.
    eventually("the resource server closes", async || {
        let answer = isp.get_once(&token, BILLING).await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        (answer.status == 503).then_some(())
    })
    .await;
    house.start_again();
    eventually("the resource server opens again", async || {
        let answer = isp.get_once(&token, BILLING).await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        (answer.status == 200).then_some(())
    })
    .await;
}
