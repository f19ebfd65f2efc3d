//! Fabrikam lets its partner look, and nothing more.

use procura_tests::{House, Isp, claims};

use super::{BILLING, CREATE_TICKETS, PAT, READ_BILLING, TICKETS, open_ticket, works};

const SUBSCRIBERS: &str = "/api/v1/subscribers";
const LIST_USERS: &str = "tenant.users.list";
const UNMASK: &str = "pii.unmask";
const PURPOSE: &[(&str, &str)] = &[("purpose", "support"), ("purpose_ref", "TCK-10293")];

#[tokio::test]
async fn under_restricted_access_reads_work_and_writes_do_not() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;

    let read = format!("{READ_BILLING} partner.support.tickets.list");
    let asked = format!("{read} {CREATE_TICKETS}");
    let answer = pat.exchange("fabrikam", &asked).await;
    // What was granted is said, and is less than what was asked.
    assert_eq!(answer.expect(200).string("scope"), read);
    let token = answer.string("access_token");
    assert_eq!(claims(&token)["scope"], read.as_str());
    works(&isp.get(&token, BILLING).await);
    works(&isp.get(&token, TICKETS).await);
    let refused = open_ticket(&isp, &token).await;
    refused.expect(403);
    assert_eq!(refused.string("error"), "insufficient_scope");

    for scope in
        [CREATE_TICKETS, "partner.support.tickets.update", "partner.billing.invoices.export"]
    {
        pat.exchange("fabrikam", scope).await.oauth_error(400, "invalid_scope");
    }
    // Nothing asked is the default, which only reads.
    let token = pat.switch("fabrikam", "").await;
    works(&isp.get(&token, BILLING).await);
    open_ticket(&isp, &token).await.expect(403);
}

#[tokio::test]
async fn personal_data_is_masked_unless_somebody_may_see_it_and_says_why() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let scope = format!("{LIST_USERS} {UNMASK}");

    // Restricted: masked, whatever the purpose.
    let answer = pat.exchange_with("fabrikam", &scope, PURPOSE).await;
    assert_eq!(answer.expect(200).string("scope"), LIST_USERS);
    let masked = isp.get(&answer.string("access_token"), SUBSCRIBERS).await;
    assert_eq!(masked.expect(200).json()["is_masked"], true);
    assert!(!masked.text.contains("@fabrikam.test"), "{}", masked.text);

    // On: masked without a purpose, open with one, and the purpose is in the token.
    let answer = pat.exchange("acme-corp", &scope).await;
    assert_eq!(answer.expect(200).string("scope"), LIST_USERS);
    let masked = isp.get(&answer.string("access_token"), SUBSCRIBERS).await;
    assert_eq!(masked.expect(200).json()["is_masked"], true);
    assert!(!masked.text.contains("@acme-corp.test"), "{}", masked.text);
    let answer = pat.exchange_with("acme-corp", &scope, PURPOSE).await;
    let token = answer.expect(200).string("access_token");
    let purpose = &claims(&token)["purpose"];
    assert_eq!((&purpose["code"], &purpose["ref"]), (&"support".into(), &"TCK-10293".into()));
    let open = isp.get(&token, SUBSCRIBERS).await;
    assert_eq!(open.expect(200).json()["is_masked"], false);
    assert!(open.text.contains("@acme-corp.test"), "{}", open.text);
}
