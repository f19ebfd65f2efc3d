//! On Postgres: the operator's command beside one node closes the doors at all of them.

use std::fs;

use procura_tests::Isp;
use serde_json::json;

use super::{ADA, BILLING, PAT, READ_BILLING, first_node};

#[tokio::test]
async fn what_was_closed_beside_one_node_is_dead_at_another_and_told_there() {
    let one = first_node();
    let two = one.another_node();
    let isp = Isp::start(&two).await;
    let (pat, ada) = (one.log_in(PAT).await, one.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    isp.get(&token, BILLING).await.expect(200);
    let file = one.data().join("evidence.jsonl");
    let path = file.to_str().expect("a path");
    let done = one.command(&["incident", "--tenant", "acme-corp", "--off", "--evidence", path]);
    assert!(done.status.success(), "{done:?}");
    assert!(done.stdout.contains("; 1 of 1 verifiers have applied it"), "{done:?}");
    isp.get(&token, BILLING).await.expect(401);

    let client = &one.demo().clients["portal"].client_id;
    let why = json!({ "user_id": one.user(PAT), "tenant": "acme-corp", "client_id": client });
    for (person, reason) in [(&pat, "target_not_available"), (&ada, "partner_access_off")] {
        let person = person.at(&two);
        let told = person.post("/api/explain", &why).await.expect(200).json();
        let steps = told["steps"].as_array().expect("steps");
        let failed = steps.iter().find(|step| step["result"] == "failed").expect("one that failed");
        assert_eq!(failed["reason"], reason, "{told}");
        let worth = person.post("/api/explain", &json!({ "token": token })).await;
        assert_eq!(worth.expect(200).json()["is_alive"], false);
    }
    let whole = one.command(&["audit", "verify-evidence", path]);
    assert!(whole.status.success(), "{whole:?}");
    // What is in it is what was so, also on this database.
    let text = fs::read_to_string(&file).expect("text");
    assert!(text.contains(&format!("\"user_id\":\"{}\"", one.user(PAT))));
}
