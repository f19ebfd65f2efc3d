//! What a resource server refused, and why somebody came: both are the customer's to see.

use procura_tests::{House, Isp, Person, eventually};
use serde_json::{Value, json};

use super::{ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, TICKETS, open_ticket, works};

const ACTIVITY: &str = "/api/tenants/partner-activity";
const WHY: [(&str, &str); 2] = [("purpose", "support"), ("purpose_ref", "TCK-10293")];

async fn listed(customer: &Person, query: &str) -> Vec<Value> {
    let listed = customer.get(&format!("{ACTIVITY}?{query}")).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

/// What was reported of this token's call has arrived, and with it all that was reported before.
async fn arrived(customer: &Person, jti: &Value) {
    eventually("the report", async || {
        let read = listed(customer, "action=billing.summary.read").await;
        read.into_iter().find(|entry| entry["jti"] == *jti)
    })
    .await;
}

#[tokio::test]
async fn the_customer_sees_what_its_resource_server_refused_a_good_token() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.exchange_with("acme-corp", READ_BILLING, &WHY).await;
    let token = token.expect(200).string("access_token");
    let jti = procura_tests::claims(&token)["jti"].clone();
    // Twice the same, and another one; then what it may.
    for _ in 0..2 {
        isp.get(&token, TICKETS).await.expect(403);
    }
    open_ticket(&isp, &token).await.expect(403);
    works(&isp.get(&token, BILLING).await);
    arrived(&ada, &jti).await;
    let refused = listed(&ada, "result=refused").await;
    let calls: Vec<_> = refused.iter().map(|entry| entry["resource_id"].clone()).collect();
    assert_eq!(calls, [json!(format!("POST {TICKETS}")), json!(format!("GET {TICKETS}"))]);
    for entry in &refused {
        assert_eq!(
            (&entry["action"], &entry["resource_type"]),
            (&json!("api.request"), &json!("route"))
        );
        assert_eq!(entry["actor_name"], "Pat Partner");
        assert_eq!(entry["actor_tenant_name"], "Northwind MSP");
        assert_eq!(entry["purpose"], "support TCK-10293");
        assert_eq!(entry["details"]["refused_for"], "scope_missing");
        assert_eq!(entry["jti"], jti);
        assert!(
            house
                .relationship("northwind>acme-corp")
                .ends_with(entry["relationship_id"].as_str().unwrap())
        );
    }

    // Who sends a token that is no good is unknown: nothing is said of anybody.
    house.revoke(&token).await.expect(200);
    eventually("the verifier knows", async || {
        (isp.get(&token, BILLING).await.status == 401).then_some(())
    })
    .await;
    isp.get(&format!("{token}x"), TICKETS).await.expect(401);
    isp.get(&token, TICKETS).await.expect(401);
    let other = pat.switch("acme-corp", READ_BILLING).await;
    isp.get_as(&other, TICKETS, house.tenant("fabrikam")).await.expect(400);
    works(&isp.get(&other, BILLING).await);
    arrived(&ada, &procura_tests::claims(&other)["jti"]).await;
    assert_eq!(listed(&ada, "result=refused").await, refused);
}

#[tokio::test]
async fn who_must_say_why_is_refused_without_and_the_customer_reads_what_was_said() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let demand = json!({ "conditions": { "require_purpose": true } });
    ada.patch(&house.relationship("northwind>acme-corp"), &demand).await.expect(200);
    let scope = format!("{READ_BILLING} {CREATE_TICKETS}");

    let without = pat.exchange("acme-corp", &scope).await;
    let text = without.oauth_error(400, "invalid_request");
    assert_eq!(text, "purpose is required for this target.");
    let refused = listed(&ada, "result=refused").await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["request_id"], without.request_id());
    assert_eq!(
        (&refused[0]["reason"], &refused[0]["purpose"]),
        (&json!("purpose_required"), &Value::Null)
    );
    // A number of a ticket without a reason is none.
    let numbered = pat.exchange_with("acme-corp", &scope, &WHY[1..]).await;
    numbered.oauth_error(400, "invalid_request");

    let with = pat.exchange_with("acme-corp", &scope, &WHY).await;
    let token = with.expect(200).string("access_token");
    let exchange = &listed(&ada, "action=token.exchange&result=ok").await[0];
    assert_eq!(exchange["request_id"], with.request_id());
    assert_eq!(exchange["purpose"], "support TCK-10293");
    open_ticket(&isp, &token).await.expect(201);
    works(&isp.get(&token, BILLING).await);
    arrived(&ada, &procura_tests::claims(&token)["jti"]).await;
    for action in ["support.ticket.create", "billing.summary.read"] {
        let reported = listed(&ada, &format!("action={action}")).await;
        assert_eq!(reported[0]["purpose"], "support TCK-10293", "{action}");
    }
    // Elsewhere nobody has to.
    pat.switch("fabrikam", READ_BILLING).await;
}
