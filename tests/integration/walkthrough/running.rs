//! What runs now is seen by both sides, and ended by either, one by one.

use procura_tests::{House, Isp, Person, claims};
use serde_json::{Value, json};

use super::{
    ADA, BILLING, PAT, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead, not_available, works,
};

const HERE: &str = "/api/tenants/delegations";
const OURS: &str = "/api/v1/partner/delegations";

async fn running(person: &Person, path: &str) -> Vec<Value> {
    let listed = person.get(path).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

fn ids(listed: &[Value]) -> Vec<&str> {
    listed.iter().filter_map(|one| one["id"].as_str()).collect()
}

#[tokio::test]
async fn the_customer_sees_who_works_here_and_ends_one_of_them_alone() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let ada = house.log_in(ADA).await;
    assert!(running(&ada, HERE).await.is_empty(), "nobody yet");
    let first = pat.switch("acme-corp", READ_BILLING).await;
    let second = sam.switch("acme-corp", "").await;
    let elsewhere = pat.switch("fabrikam", READ_BILLING).await;

    let listed = running(&ada, HERE).await;
    let of = |token: &str| claims(token)["dlg"].as_str().expect("an id").to_owned();
    assert_eq!(ids(&listed), [of(&second), of(&first)], "the newest first, and only here");
    let shown = &listed[1];
    assert_eq!(shown["user_id"], house.user(PAT));
    assert_eq!(shown["user_name"], "Pat Partner");
    assert_eq!(shown["partner_id"], house.tenant("northwind"));
    assert_eq!(shown["partner_name"], "Northwind MSP");
    assert_eq!(shown["tenant_id"], house.tenant("acme-corp"));
    assert_eq!(shown["relationship_id"], claims(&first)["rel"]);
    assert_eq!(shown["client_id"], claims(&first)["client_id"]);
    assert!(shown["client_name"].is_string(), "{shown}");
    assert!(shown["started_at"].as_str() < shown["ends_at"].as_str(), "{shown}");
    // In pages.
    let page = ada.get(&format!("{HERE}?limit=1")).await;
    assert_eq!(ids(page.expect(200).json().as_array().expect("a list")), [of(&second)]);
    let link = page.header("link").expect("a next page");
    assert_eq!(link, format!("<?limit=1&cursor={}>; rel=\"next\"", of(&second)));
    let next = running(&ada, &format!("{HERE}?limit=1&cursor={}", of(&second))).await;
    assert_eq!(ids(&next), [of(&first)]);

    let ended = ada.step(&format!("{HERE}/{}/end?confirm=applied", of(&first))).await;
    applied_everywhere(&ended);
    assert_eq!(ended.json()["revoked"]["delegations_ended"], 1);
    assert_eq!(ended.json()["id"], of(&first));
    dead(&isp, &first).await;
    assert!(house.is_alive(&second).await, "Sam goes on");
    works(&isp.get(&elsewhere, BILLING).await);
    assert_eq!(ids(&running(&ada, HERE).await), [of(&second)]);
    let entry = ada.entry_of(ended.request_id()).await;
    assert_eq!((&entry["action"], &entry["result"]), (&json!("delegation.end"), &json!("ok")));
    assert_eq!(entry["delegation_id"], of(&first));
    assert_eq!(entry["details"]["user"], house.user(PAT));
    // It is over, and over it stays; whoever may enter begins another one.
    let again = ada.step(&format!("{HERE}/{}/end", of(&first))).await;
    assert_eq!(again.problem(409, "wrong_state").as_deref(), Some("over"));
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    assert_ne!(of(&fresh), of(&first));
    works(&isp.get(&fresh, BILLING).await);
    dead(&isp, &first).await;
}

#[tokio::test]
async fn the_partner_sees_what_its_people_do_and_ends_it() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let ada = house.log_in(ADA).await;
    let of_sam = sam.switch("acme-corp", "").await;
    let elsewhere = pat.switch("fabrikam", READ_BILLING).await;
    let of = |token: &str| claims(token)["dlg"].as_str().expect("an id").to_owned();
    let listed = running(&pat, OURS).await;
    assert_eq!(ids(&listed), [of(&elsewhere), of(&of_sam)], "wherever they are");
    assert_eq!(listed[1]["tenant_name"], "Acme Corp");
    // The customer has no people elsewhere, and neither side's door leads to the other's.
    ada.get(OURS).await.problem(403, "forbidden");
    let foreign = format!("{HERE}/{}/end", of(&elsewhere));
    ada.step(&foreign).await.problem(404, "not_found");
    ada.step(&format!("{OURS}/{}/end", of(&of_sam))).await.problem(403, "forbidden");
    pat.step(&format!("{HERE}/{}/end", of(&of_sam))).await.problem(403, "forbidden");
    assert!(house.is_alive(&of_sam).await && house.is_alive(&elsewhere).await);

    let ended = pat.step(&format!("{OURS}/{}/end?confirm=applied", of(&of_sam))).await;
    applied_everywhere(&ended);
    dead(&isp, &of_sam).await;
    works(&isp.get(&elsewhere, BILLING).await);
    // The customer sees in its log who ended it.
    let entry = ada.entry_of(ended.request_id()).await;
    assert_eq!(
        (&entry["action"], &entry["actor_user_id"]),
        (&json!("delegation.end"), &json!(house.user(PAT)))
    );
}

#[tokio::test]
async fn only_the_admins_of_either_side_look_and_end() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let id = claims(&token)["dlg"].as_str().expect("an id").to_owned();
    for email in [SAM, ROOT] {
        let other = house.log_in(email).await;
        for door in [HERE, OURS] {
            other.get(door).await.problem(403, "forbidden");
            other.step(&format!("{door}/{id}/end")).await.problem(403, "forbidden");
        }
    }
    // Another tenant's admin looks at what runs there, and finds nothing of ours.
    let tom = house.log_in(TOM).await;
    assert!(running(&tom, HERE).await.is_empty());
    tom.step(&format!("{HERE}/{id}/end")).await.problem(404, "not_found");
    tom.get(OURS).await.problem(403, "forbidden");
    // A delegated token opens neither door, nor does none.
    for shown in [token.as_str(), "none"] {
        for door in [HERE, OURS] {
            let seen = house.api(shown, reqwest::Method::GET, door, None).await;
            seen.problem(401, "unauthenticated");
            let end = format!("{door}/{id}/end");
            let ended = house.api(shown, reqwest::Method::POST, &end, None).await;
            ended.problem(401, "unauthenticated");
        }
    }
    let unknown = format!("dlg_{}", "0".repeat(32));
    for (path, person) in [(HERE, &ada), (OURS, &pat)] {
        for id in [unknown.as_str(), "nothing", "rel_1"] {
            person.step(&format!("{path}/{id}/end")).await.problem(404, "not_found");
        }
        for (query, about) in [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=x", "cursor")]
        {
            let answer = person.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some(about));
        }
    }
    assert!(house.is_alive(&token).await, "nothing of that ended anything");
    ada.step(&format!("{HERE}/{id}/end")).await.expect(200);
    assert!(!house.is_alive(&token).await, "and this did");
}

#[tokio::test]
async fn what_ended_otherwise_runs_no_more() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let id = claims(&token)["dlg"].as_str().expect("an id").to_owned();
    assert_eq!(running(&ada, HERE).await.len(), 1);
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    assert!(running(&ada, HERE).await.is_empty());
    assert!(running(&pat, OURS).await.is_empty());
    let late = ada.step(&format!("{HERE}/{id}/end")).await;
    assert_eq!(late.problem(409, "wrong_state").as_deref(), Some("over"));
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
}
