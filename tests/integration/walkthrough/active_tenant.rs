//! `X-Active-Tenant-Id` is never ignored: a client that believes to be elsewhere must not write here.

use procura_tests::{House, Isp};
use reqwest::Method;
use serde_json::json;

use super::{ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, TICKETS, works};

#[tokio::test]
async fn the_active_tenant_is_the_tokens_or_the_request_is_refused() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", &format!("{READ_BILLING} {CREATE_TICKETS}")).await;
    let acme = house.tenant("acme-corp");
    works(&isp.get_as(&token, BILLING, acme).await);
    for other in [house.tenant("fabrikam"), house.tenant("northwind"), "acme-corp", "*", ""] {
        let refused = isp.get_as(&token, BILLING, other).await;
        refused.expect(400);
        assert_eq!(refused.string("error"), "invalid_request");
    }
    // Twice is once too often, even if both are right.
    let twice = isp
        .request(&token, Method::POST, TICKETS)
        .header("X-Active-Tenant-Id", acme)
        .header("X-Active-Tenant-Id", acme)
        .json(&json!({ "subject": "x", "description": "y", "priority": "low" }));
    assert_eq!(twice.send().await.unwrap().status().as_u16(), 400);
    // A home token is for the issuer, whatever tenant is named; it never acts at home by mistake.
    for (person, tenant) in [(&pat, "acme-corp"), (&pat, "northwind"), (&ada, "acme-corp")] {
        isp.get_as(&person.home, BILLING, house.tenant(tenant)).await.expect(401);
        isp.get(&person.home, BILLING).await.expect(401);
    }
}

#[tokio::test]
async fn a_token_sees_its_own_tenant_and_no_other() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let (acme, fabrikam) = (pat.switch("acme-corp", "").await, pat.switch("fabrikam", "").await);
    let total = async |token: &str, slug: &str| {
        let summary = isp.get(token, BILLING).await;
        assert_eq!(summary.expect(200).string("tenant_id"), house.tenant(slug));
        summary.text
    };
    assert_ne!(total(&acme, "acme-corp").await, total(&fabrikam, "fabrikam").await);
    // Two customers at once, each in a tab of its own.
    total(&acme, "acme-corp").await;
}
