//! Quotas hold over all nodes together.

use serde_json::json;

use super::{PAT, READ_BILLING, ROOT, first_node};

#[tokio::test]
async fn of_many_that_exchange_at_two_nodes_exactly_as_many_get_a_token_as_the_quota_allows() {
    let one = first_node();
    let two = one.another_node();
    let (pat, root) = (one.log_in(PAT).await, one.log_in(ROOT).await);
    let path = "/api/admin/tenants/acme-corp/quotas";
    let quota = json!({ "delegated_tokens_received_per_day": 25 });
    root.put(path, &quota).await.expect(200);
    let many = (0..64).map(|n| {
        let pat = if n % 2 == 0 { pat.clone() } else { pat.at(&two) };
        tokio::spawn(async move {
            // Who stands too far behind in the line is told to come again, and does.
            loop {
                let answer = pat.exchange("acme-corp", READ_BILLING).await;
                if answer.status != 503 {
                    break answer;
                }
            }
        })
    });
    let mut granted = 0;
    for one in many.collect::<Vec<_>>() {
        let answer = one.await.unwrap();
        if answer.status == 200 {
            granted += 1;
        } else {
            answer.oauth_error(429, "temporarily_unavailable");
        }
    }
    assert_eq!(granted, 25);
    let at_two = root.at(&two).get("/api/tenants/quotas?tenantId=acme-corp").await;
    let line = &at_two.expect(200).json()["quotas"]["delegated_tokens_received_per_day"];
    assert_eq!(line["used"], 25);
}
