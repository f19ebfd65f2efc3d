//! Partner Activity: found by who, under what and how it ended, and as a table for a spreadsheet.

use procura_tests::{House, Isp, Person, eventually};
use serde_json::{Value, json};

use super::{ADA, BILLING, PAT, READ_BILLING, ROOT, SAM, not_available, works};

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
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
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

#[tokio::test]
async fn each_filter_lets_through_what_it_names_and_holds_back_the_rest() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, gil) = (house.log_in(PAT).await, house.log_in("gil@globex.test").await);
    let (ada, root) = (house.log_in(ADA).await, house.log_in(ROOT).await);
    root.put_bare("/auth/admin/tenants/acme-corp/trust-tenant/globex").await.expect(201);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    eventually("the report", async || entries(&ada, "resourceType=billing_summary").await.pop())
        .await;
    gil.switch("acme-corp", READ_BILLING).await;
    let ids = |listed: &[Value]| listed.iter().map(|entry| entry["id"].clone()).collect::<Vec<_>>();
    let all = ids(&entries(&ada, "").await);
    let [by_gil, report, by_pat, by_root] = &all[..] else { panic!("four things: {all:?}") };
    let shows = async |query: String, wanted: &[&Value]| {
        let listed = ids(&entries(&ada, &query).await);
        assert_eq!(listed.iter().collect::<Vec<_>>(), wanted, "{query}");
    };

    let (northwind, globex) = (house.tenant("northwind"), house.tenant("globex"));
    shows(format!("actorTenantId={northwind}"), &[report, by_pat]).await;
    shows(format!("actorTenantId={globex}"), &[by_gil]).await;
    shows(format!("actorTenantId={}", house.tenant("acme-corp")), &[]).await;
    shows("resourceType=billing_summary".into(), &[report]).await;
    shows("resourceType=resource_server".into(), &[by_gil, by_pat]).await;
    shows("resourceType=ticket".into(), &[]).await;
    // From an instant on, and before one.
    let at = entries(&ada, "resourceType=billing_summary").await[0]["at"].clone();
    let at = at.as_str().expect("a time");
    shows(format!("from={at}"), &[by_gil, report]).await;
    shows(format!("to={at}"), &[by_pat, by_root]).await;
    shows(format!("from={at}&to={at}"), &[]).await;
    shows(format!("from={at}&actorTenantId={northwind}"), &[report]).await;
}

#[tokio::test]
async fn a_refusal_is_found_by_its_relationship_and_the_partner_finds_no_more_by_it() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    let conditions = async |conditions: Value| {
        ada.patch(&edge, &json!({ "conditions": conditions })).await.expect(200);
    };
    let mut asked = Vec::new();
    let mut refuse = async |reason: &'static str| {
        let answer = pat.exchange("acme-corp", READ_BILLING).await;
        assert_eq!(ada.reason_of(answer.request_id()).await, reason);
        asked.push((answer.request_id().to_owned(), reason));
    };
    conditions(json!({ "require_purpose": true })).await;
    refuse("purpose_required").await;
    conditions(json!({ "min_acr": "urn:procura:acr:phr" })).await;
    refuse("step_up_required").await;
    let only_sam = json!({ "user_ids": [house.user(SAM)] });
    pat.put(&format!("{edge}/assigned-people"), &only_sam).await.expect(200);
    refuse("not_assigned").await;
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    refuse("partner_access_off").await;
    ada.step(&format!("{edge}/suspend")).await.expect(200);
    refuse("relationship_suspended").await;

    let id = edge.rsplit('/').next().expect("an id");
    let query = format!("relationshipId={id}&result=refused");
    let found = entries(&ada, &query).await;
    let found: Vec<_> =
        found.iter().map(|e| (e["request_id"].clone(), e["reason"].clone())).collect();
    let expected: Vec<_> = asked.iter().rev().map(|(id, why)| (json!(id), json!(why))).collect();
    assert_eq!(found, expected);
    // The partner's view names the relationship where its people are known to be in it, and nowhere else;
    // what is asked for makes no difference.
    let own = async |query: &str| {
        let listed = pat.get(&format!("/api/audit-logs?{query}")).await.expect(200).json();
        listed.as_array().expect("a list").clone()
    };
    let unfiltered = own("result=refused").await;
    assert_eq!(unfiltered.len(), asked.len());
    let shown: Vec<_> = unfiltered.into_iter().filter(|e| e["relationship_id"] == id).collect();
    let reasons: Vec<_> = shown.iter().map(|entry| entry["reason"].clone()).collect();
    assert_eq!(reasons, ["step_up_required", "purpose_required"]);
    assert_eq!(own(&query).await, shown);
}

#[tokio::test]
async fn a_table_reads_as_what_was_written_into_it() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let why = [("purpose", "support"), ("purpose_ref", "TCK-1")];
    pat.exchange_with("acme-corp", READ_BILLING, &why).await.expect(200);
    pat.exchange("acme-corp", "pii.unmask").await.oauth_error(400, "invalid_scope");
    let answer = ada.get_as(ACTIVITY, "text/csv").await;
    let mut table = csv::Reader::from_reader(answer.expect(200).text.as_bytes());
    let names = table.headers().expect("names").clone();
    let rows: Vec<_> = table.records().map(|row| row.expect("as many cells as names")).collect();
    let same = entries(&ada, "").await;
    assert_eq!((rows.len(), same.len()), (2, 2));
    let mut quoted = 0;
    for (row, entry) in rows.iter().zip(&same) {
        for (name, cell) in names.iter().zip(row) {
            match &entry[name] {
                Value::Null => assert_eq!(cell, "", "{name}"),
                Value::String(text) => assert_eq!(cell, text, "{name}"),
                Value::Object(_) => {
                    quoted += usize::from(answer.text.contains(&cell.replace('"', "\"\"")));
                    assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), entry[name]);
                }
                other => assert_eq!(cell, other.to_string(), "{name}"),
            }
        }
    }
    assert_eq!(quoted, 2, "what has quotes and commas was in quotes");
}
