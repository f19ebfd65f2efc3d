//! Partner Activity: found by who, under what and how it ended, and as a table for a spreadsheet.

use procura_tests::{House, Isp, Person};
use serde_json::Value;

use super::{ADA, BILLING, PAT, READ_BILLING, SAM, not_available, works};

const ACTIVITY: &str = "/api/tenants/partner-activity";

async fn entries(person: &Person, query: &str) -> Vec<Value> {
    let listed = person.get(&format!("{ACTIVITY}?{query}")).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_customer_finds_who_did_what_and_what_was_refused() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let ada = house.log_in(ADA).await;
    pat.switch("acme-corp", READ_BILLING).await;
    sam.switch("acme-corp", "").await;
    ada.put("/api/tenants/partner-access", &serde_json::json!({ "mode": "off" })).await.expect(200);
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    not_available(&refused);

    let all = entries(&ada, "").await;
    assert_eq!(all.len(), 3, "{all:?}");
    let of_pat = entries(&ada, &format!("actorUserId={}", house.user(PAT))).await;
    assert_eq!(of_pat.len(), 2);
    assert!(of_pat.iter().all(|entry| entry["actor_user_id"] == house.user(PAT)));
    let no = entries(&ada, "result=refused").await;
    assert_eq!(no.len(), 1, "{no:?}");
    assert_eq!(no[0]["request_id"], refused.request_id());
    // Its own reason the customer may know; the partner's view hides it.
    assert_eq!(no[0]["reason"], ada.reason_of(refused.request_id()).await);
    assert_ne!(no[0]["reason"], pat.reason_of(refused.request_id()).await);
    let yes = entries(&ada, "result=ok").await;
    assert_eq!(yes.len(), 2);
    let edge = yes[0]["relationship_id"].as_str().expect("under a relationship");
    let under = entries(&ada, &format!("relationshipId={edge}&result=ok")).await;
    assert_eq!(under, yes);
    let elsewhere = house.relationship("northwind>fabrikam");
    let elsewhere = elsewhere.rsplit('/').next().expect("an id");
    assert!(entries(&ada, &format!("relationshipId={elsewhere}")).await.is_empty());
    for (query, about) in
        [("actorUserId=pat", "actorUserId"), ("relationshipId=x", "relationshipId")]
    {
        let answer = ada.get(&format!("{ACTIVITY}?{query}")).await;
        assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some(about));
    }
}

#[tokio::test]
async fn the_same_comes_as_a_table() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let table = async |query: &str| ada.get_as(&format!("{ACTIVITY}{query}"), "text/csv").await;
    let answer = table("?action=token.exchange").await;
    answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut lines = answer.text.lines();
    let names: Vec<_> = lines.next().expect("names first").split(',').collect();
    let first: Vec<_> = lines.next().expect("an entry").split(',').collect();
    let cell = |name: &str| first[names.iter().position(|known| *known == name).expect("a column")];
    let same = entries(&ada, "action=token.exchange").await;
    for name in ["id", "at", "action", "actor_user_id", "actor_name", "actor_tenant_name", "jti"] {
        assert_eq!(same[0][name], cell(name), "{name}");
    }
    assert_eq!(lines.next(), None);
    // In pages as well; a problem stays a problem.
    let page = table("?limit=1").await;
    assert!(page.header("link").is_some_and(|link| link.contains("limit=1&cursor=")));
    table("?limit=0").await.problem(400, "invalid_request");
}
