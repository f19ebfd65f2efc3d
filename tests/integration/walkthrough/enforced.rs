//! What a policy ended stands in the log of the tenant whose logins they were, and in no other.

use std::fs;

use procura_tests::{House, Scratch};
use serde_json::{Value, json};

use super::{ADA, PAT};

const MEL: &str = "mel@acme.test";
const MFA: &str = "urn:procura:acr:mfa";
const LOG: &str = "/api/audit-logs?action=policy.enforce";

#[tokio::test]
async fn what_a_partners_policy_ended_stands_in_the_customers_log_alone() {
    let house = House::start();
    let member = json!({ "email": MEL, "tenant": "acme-corp", "name": "M", "roles": ["member"],
                         "password": house.demo().password });
    let folder = Scratch::new();
    let file = folder.path().join("people.json");
    fs::write(&file, json!({ "users": [member] }).to_string()).unwrap();
    let done = house.command(&["import", file.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    house.log_in(MEL).await;
    house.log_in(MEL).await;
    let written = async |name: &str, rules: Value| {
        let policy = json!({ "name": name, "rules": rules });
        let id = pat.post("/api/policies", &policy).await.expect(201).string("id");
        format!("/api/tenants/acme-corp/policies/{id}")
    };
    // What ends nothing is no entry.
    let harmless = written("Long", json!({ "password_min_length": 14 })).await;
    pat.put_bare(&harmless).await.expect(200);
    assert_eq!(ada.get(LOG).await.expect(200).json(), json!([]));
    let strict = written("Strict", json!({ "min_acr": MFA })).await;
    let applied = pat.put_bare(&strict).await;
    assert!(applied.expect(200).json()["revoked"].is_null());

    let log = ada.get(LOG).await.expect(200).json();
    assert_eq!(log.as_array().map(Vec::len), Some(1), "{log}");
    let entry = &log[0];
    assert_eq!(entry["details"], json!({ "sessions_ended": 2, "delegations_ended": 0 }));
    assert_eq!(entry["request_id"], applied.request_id(), "the same request as the application");
    assert_eq!(Some(entry["resource_id"].as_str().unwrap()), strict.rsplit('/').next());
    assert!(entry["actor_user_id"].is_null() && entry["actor_tenant_id"].is_null(), "{entry}");
    // The partner sees that it applied the policy, and not whom that met.
    assert_eq!(pat.get(LOG).await.expect(200).json(), json!([]));
    let own = pat.get("/api/audit-logs?action=policy.apply").await.expect(200).json();
    assert_eq!(own.as_array().map(Vec::len), Some(2), "{own}");
    assert!(!own.to_string().contains("sessions_ended"));
}
