//! What a change would end can be seen before anybody makes it, and looking changes nothing.

use procura_tests::{Answer, House, Person};
use serde_json::{Value, json};

use super::{ADA, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM};

const SWITCH: &str = "/api/tenants/partner-access";
const EDGE: &str = "northwind>acme-corp";

#[track_caller]
fn would_end(answer: &Answer) -> Value {
    answer.expect(200).json()["would_end"].clone()
}

fn count(delegations: u64, people: u64, partners: u64) -> Value {
    json!({ "delegations": delegations, "people": people, "partners": partners })
}

async fn log_length(person: &Person) -> usize {
    let log = person.get("/api/audit-logs?limit=1000").await.expect(200).json();
    log.as_array().expect("a list").len()
}

#[tokio::test]
async fn the_switch_says_beforehand_what_it_would_end() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let ada = house.log_in(ADA).await;
    let preview = format!("{SWITCH}/preview");
    let ask = async |mode: &str| ada.post(&preview, &json!({ "mode": mode })).await;
    assert_eq!(would_end(&ask("off").await), count(0, 0, 0));
    let tokens = [pat.switch("acme-corp", READ_BILLING).await, sam.switch("acme-corp", "").await];
    pat.switch("fabrikam", READ_BILLING).await;
    let before = log_length(&ada).await;
    for mode in ["off", "restricted"] {
        let foreseen = ask(mode).await;
        assert_eq!(would_end(&foreseen), count(2, 2, 1), "{mode}");
        assert_eq!(foreseen.string("mode"), "on");
        assert_eq!(foreseen.string("wanted"), mode);
    }
    assert_eq!(would_end(&ask("on").await), count(0, 0, 0), "it is on");
    assert_eq!(log_length(&ada).await, before, "nobody has done anything");
    assert_eq!(ada.get(SWITCH).await.string("mode"), "on");
    for token in &tokens {
        assert!(house.is_alive(token).await);
    }
    let switched = ada.put(SWITCH, &json!({ "mode": "off" })).await.expect(200).json();
    assert_eq!(switched["revoked"]["delegations_ended"], 2, "as foreseen");

    let root = house.log_in(ROOT).await;
    for other in [&pat, &sam, &root] {
        other.post(&preview, &json!({ "mode": "off" })).await.problem(403, "forbidden");
    }
    assert_eq!(ask("maybe").await.status, 400);
}

#[tokio::test]
async fn a_relationship_says_beforehand_what_a_change_would_end() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let ada = house.log_in(ADA).await;
    let edge = house.relationship(EDGE);
    let preview = format!("{edge}/preview");
    let token = pat.switch("acme-corp", READ_BILLING).await;
    pat.switch("fabrikam", READ_BILLING).await;
    let (one, none) = (count(1, 1, 1), count(0, 0, 0));
    let before = (log_length(&ada).await, ada.get(&edge).await.expect(200).text.clone());
    let narrower = json!({ "custom_permissions": READ_BILLING });
    for (person, idea, ends) in [
        (&ada, json!({ "access": "off" }), &one),
        (&ada, json!({ "access": "on" }), &none),
        (&ada, narrower.clone(), &one),
        (&pat, narrower, &one),
        (&ada, json!({ "step": "suspend" }), &one),
        (&pat, json!({ "step": "end" }), &one),
    ] {
        let foreseen = person.post(&preview, &idea).await;
        assert_eq!(&would_end(&foreseen), ends, "{idea}");
        assert_eq!(foreseen.json()["is_proposal"], false, "{idea}");
    }
    // What the change would be refused for, its preview is too.
    pat.post(&preview, &json!({ "access": "off" })).await.problem(403, "forbidden");
    ada.post(&preview, &json!({ "step": "resume" })).await.problem(400, "invalid_request");
    for idea in [json!({}), json!({ "step": "end", "access": "off" }), json!({ "x": 1 })] {
        ada.post(&preview, &idea).await.problem(400, "invalid_request");
    }
    sam.post(&preview, &json!({ "access": "off" })).await.problem(403, "forbidden");
    let elsewhere = format!("{}/preview", house.relationship("northwind>fabrikam"));
    ada.post(&elsewhere, &json!({ "step": "end" })).await.problem(404, "not_found");
    assert_eq!((log_length(&ada).await, ada.get(&edge).await.text), before);
    assert!(house.is_alive(&token).await);

    let changed = ada.patch(&edge, &json!({ "access": "off" })).await.expect(200).json();
    assert_eq!(changed["revoked"]["delegations_ended"], 1, "as foreseen");
    // What the partner would have to ask for ends nothing.
    let less = json!({ "access": "on", "custom_permissions": READ_BILLING });
    ada.patch(&edge, &less).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
    let more = json!({ "custom_permissions": format!("{READ_BILLING} {CREATE_TICKETS}") });
    let foreseen = pat.post(&preview, &more).await;
    assert_eq!((would_end(&foreseen), &foreseen.json()["is_proposal"]), (none, &json!(true)));
    pat.patch(&edge, &more).await.expect(202);
}

#[tokio::test]
async fn the_history_of_a_relationship_comes_in_pages() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    for access in ["restricted", "off", "on"] {
        ada.patch(&edge, &json!({ "access": access })).await.expect(200);
    }
    let history = format!("{edge}/history");
    let versions = |answer: &Answer| -> Vec<i64> {
        let listed = answer.expect(200).json();
        listed.as_array().unwrap().iter().filter_map(|one| one["version"].as_i64()).collect()
    };
    let whole = versions(&ada.get(&history).await);
    assert!(whole.len() >= 3, "{whole:?}");
    for person in [&pat, &ada] {
        let (mut read, mut next) = (Vec::new(), Some("?limit=2".to_owned()));
        while let Some(query) = next {
            let page = person.get(&format!("{history}{query}")).await;
            read.extend(versions(&page));
            let link = page.header("link").map(ToOwned::to_owned);
            next =
                link.and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
        }
        assert_eq!(read, whole);
    }
    for (query, about) in [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=x", "cursor")] {
        let answer = ada.get(&format!("{history}?{query}")).await;
        assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some(about));
    }
}
