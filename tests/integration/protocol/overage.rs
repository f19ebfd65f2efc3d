//! A list that is too long for a token is left out and pointed to, never cut.

use procura_tests::{House, claims};
use serde_json::json;

use super::{PAT, at, http, send};

#[tokio::test]
async fn over_64_managed_tenants_the_list_is_left_out_and_pointed_to() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    // acme-corp and fabrikam are there already.
    for n in 3..=64 {
        let new = json!({"name": format!("Customer {n}"), "admin_email": format!("a{n}@c.test")});
        pat.post("/api/partners/tenants", &new).await.expect(201);
    }
    let full = claims(&house.log_in(PAT).await.home);
    assert_eq!(full["managed_tenant_ids"].as_array().map(Vec::len), Some(64));
    assert!(full["managed_tenant_count"].is_null());

    let new = json!({"name": "One more", "admin_email": "more@c.test"});
    let made = pat.post("/api/partners/tenants", &new).await.expect(201).string("id");
    let over = house.log_in(PAT).await;
    let c = claims(&over.home);
    assert!(c["managed_tenant_ids"].is_null());
    assert_eq!(c["managed_tenant_count"], 65);
    let source = c["_claim_names"]["managed_tenant_ids"].as_str().unwrap();
    let endpoint = c["_claim_sources"][source]["endpoint"].as_str().unwrap();
    assert_eq!(endpoint, at(&house, "/api/v1/partner/customers"));
    let listed = send(http().get(endpoint).bearer_auth(&over.home)).await.expect(200).json();
    let active = listed.as_array().unwrap().iter().filter(|c| c["is_active"] == true);
    // contoso's relationship is active too, but its switch is off; initech's is a trust.
    assert_eq!(active.count(), 67);
    // The hint was never authority.
    over.exchange(&made, "partner.support.tickets.list").await.expect(200);
}
