//! Pat works in Acme's tenant; Ada sees it, and has the last word.

use procura_tests::{House, Isp, Person, claims, eventually};
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, applied_everywhere, dead, not_available,
    open_ticket, works,
};

const ACCESS: &str = "/api/tenants/partner-access";
const ACTIVITY: &str = "/api/tenants/partner-activity";

#[tokio::test]
async fn a_partner_works_in_a_customers_tenant_and_the_customer_sees_it() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let scope = format!("{READ_BILLING} {CREATE_TICKETS}");
    let token = pat.switch("acme-corp", &scope).await;

    let summary = isp.get(&token, BILLING).await;
    assert_eq!(summary.expect(200).string("tenant_id"), house.tenant("acme-corp"));
    let ticket = open_ticket(&isp, &token).await;
    let ticket = ticket.expect(201).string("id");

    for (action, resource) in
        [("billing.summary.read", None), ("support.ticket.create", Some(&ticket))]
    {
        let entry = delivered(&ada, action).await;
        assert_eq!(entry["actor_user_id"], house.user(PAT));
        assert_eq!(entry["actor_name"], "Pat Partner");
        assert_eq!(entry["actor_tenant_id"], house.tenant("northwind"));
        assert_eq!(entry["actor_tenant_name"], "Northwind MSP");
        assert_eq!(entry["target_tenant_id"], house.tenant("acme-corp"));
        assert_eq!(entry["jti"], claims(&token)["jti"]);
        assert_eq!(entry["delegation_id"], claims(&token)["dlg"]);
        assert_eq!(entry["result"], "ok");
        if let Some(resource) = resource {
            assert_eq!(entry["resource_id"], **resource);
        }
    }
    // The exchange itself is there too, and nothing of anybody else.
    let activity = ada.get(ACTIVITY).await.expect(200).json();
    let entries = activity.as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["action"] == "token.exchange"));
    assert!(entries.iter().all(|entry| entry["actor_tenant_id"] == house.tenant("northwind")));
    assert!(entries.iter().all(|entry| entry["target_tenant_id"] == house.tenant("acme-corp")));
    // It is the customer's view: the partner's people have none of their own to look at.
    pat.get(ACTIVITY).await.problem(403, "forbidden");
}

#[tokio::test]
async fn off_means_off_at_the_very_next_call_and_on_revives_nothing() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);

    let off = ada.put(&format!("{ACCESS}?confirm=applied"), &json!({ "mode": "off" })).await;
    applied_everywhere(&off);
    assert_eq!(off.json()["revoked"]["delegations_ended"], 1);
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    // Nobody else is touched: neither Pat's login, nor her other customers, nor Ada.
    let other = pat.switch("fabrikam", READ_BILLING).await;
    works(&isp.get(&other, BILLING).await);
    assert_eq!(ada.get(ACCESS).await.string("mode"), "off");

    let on = ada.put(ACCESS, &json!({ "mode": "on" })).await;
    assert_eq!(on.expect(200).string("mode"), "on");
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&fresh, BILLING).await);
    dead(&isp, &token).await;
    works(&isp.get(&other, BILLING).await);
}

#[tokio::test]
async fn the_switch_belongs_to_the_customers_admin_alone() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(super::ROOT).await;
    pat.put(ACCESS, &json!({ "mode": "on" })).await.problem(403, "forbidden");
    root.put(ACCESS, &json!({ "mode": "on" })).await.problem(403, "forbidden");
    // The partner's key to the customer's tenant opens no door of the management.
    let token = pat.switch("acme-corp", "").await;
    for path in [ACCESS, ACTIVITY, "/api/audit-logs", "/api/tenants/users"] {
        let answer = house.api(&token, reqwest::Method::GET, path, None).await;
        answer.problem(401, "unauthenticated");
    }
    // What cannot be understood changes nothing.
    assert_eq!(ada.put(ACCESS, &json!({ "mode": "maybe" })).await.status, 400);
    assert_eq!(ada.put(ACCESS, &json!({ "mode": "off", "x": 1 })).await.status, 400);
    let asked = format!("{ACCESS}?confirm=perhaps");
    assert_eq!(
        ada.put(&asked, &json!({ "mode": "off" })).await.problem(400, "invalid_request").as_deref(),
        Some("confirm")
    );
    assert_eq!(ada.get(ACCESS).await.string("mode"), "on");
    assert!(house.is_alive(&token).await);
}

#[tokio::test]
async fn one_relationship_can_be_switched_by_itself() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    for access in ["restricted", "off"] {
        let scope = if access == "off" { READ_BILLING } else { CREATE_TICKETS };
        let token = pat.switch("acme-corp", scope).await;
        let change = json!({ "access": access });
        let path = format!("{edge}?confirm=applied");
        // Not the partner's to switch, in no direction.
        pat.patch(&path, &change).await.problem(403, "forbidden");
        assert!(house.is_alive(&token).await);
        let changed = ada.patch(&path, &change).await;
        applied_everywhere(&changed);
        assert_eq!(changed.json()["relationship"]["access"], access);
        dead(&isp, &token).await;
    }
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    pat.patch(&edge, &json!({ "access": "on" })).await.problem(403, "forbidden");
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);

    // The stricter of the two switches counts.
    ada.patch(&edge, &json!({ "access": "restricted" })).await.expect(200);
    pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let off = ada.put(&format!("{ACCESS}?confirm=applied"), &json!({ "mode": "off" })).await;
    applied_everywhere(&off);
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    ada.put(ACCESS, &json!({ "mode": "on" })).await.expect(200);
    ada.patch(&edge, &json!({ "access": "on" })).await.expect(200);
    dead(&isp, &token).await;
    let token = pat.switch("acme-corp", CREATE_TICKETS).await;
    open_ticket(&isp, &token).await.expect(201);
}

#[tokio::test]
async fn a_resource_server_that_died_counts_as_closed_and_holds_nobody_up() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let other = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&other.get(&token, BILLING).await);
    drop(isp);
    let off = ada.put(&format!("{ACCESS}?confirm=applied"), &json!({ "mode": "off" })).await;
    applied_everywhere(&off);
    assert_eq!(off.json()["revoked"]["verifiers"]["live"], 1, "the dead one's lease is over");
    dead(&other, &token).await;
}

/// Waits for what the resource server reports by itself.
async fn delivered(customer: &Person, action: &str) -> Value {
    eventually(&format!("{action} in the partner activity"), async || {
        let path = format!("{ACTIVITY}?action={action}");
        let found = customer.get(&path).await.expect(200).json();
        found.as_array().unwrap().first().cloned()
    })
    .await
}
