//! Somebody is shut out: at once, everywhere, and letting in again revives nothing.

use procura_tests::{House, Isp};

use super::{
    ADA, BILLING, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead, unusable, works,
};

#[tokio::test]
async fn whoever_is_disabled_is_out_everywhere_at_once() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (sam, tom) = (house.log_in(SAM).await, house.log_in(TOM).await);
    let root = house.log_in(ROOT).await;
    let token = sam.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    sam.get("/api/v1/partner/customers").await.expect(200);
    let user = format!("/api/tenants/users/{}", house.user(SAM));
    let password = house.demo().password.clone();

    let disabled = tom.step(&format!("{user}/disable?confirm=applied")).await;
    applied_everywhere(&disabled);
    assert_eq!(disabled.json()["user"]["status"], "disabled");
    dead(&isp, &token).await;
    sam.get("/api/v1/partner/customers").await.problem(401, "unauthenticated");
    let refused = sam.exchange("acme-corp", READ_BILLING).await;
    unusable(&refused);
    assert_eq!(root.reason_of(refused.request_id()).await, "subject_token_revoked");
    // The login page says what it says to whoever mistyped.
    let message = async |password: &str| {
        let (page, _) = house.visitor().try_log_in(SAM, password).await;
        assert_eq!(page.status, 401);
        let text = page.text.clone();
        let message = text.split("id=\"login-message\">").nth(1).expect("a message");
        message.split('<').next().unwrap_or_default().to_owned()
    };
    assert_eq!(message(&password).await, message("wrong").await);
    // Nor does the session in the browser lead anywhere: it asks for a login.
    let (url, _) = sam.visitor.start();
    let next = sam.visitor.visit(url.as_str()).await;
    assert!(next.location().contains("/login?"), "{}", next.location());

    let enabled = tom.step(&format!("{user}/enable")).await;
    assert_eq!(enabled.expect(200).json()["user"]["status"], "active");
    dead(&isp, &token).await;
    sam.get("/api/v1/partner/customers").await.problem(401, "unauthenticated");
    unusable(&sam.exchange("acme-corp", READ_BILLING).await);
    let next = sam.visitor.visit(url.as_str()).await;
    assert!(next.location().contains("/login?"), "{}", next.location());
    let sam = house.log_in(SAM).await;
    works(&isp.get(&sam.switch("acme-corp", READ_BILLING).await, BILLING).await);
    dead(&isp, &token).await;
}

#[tokio::test]
async fn people_are_their_own_tenants_business() {
    let house = House::start();
    let (sam, tom, ada) =
        (house.log_in(SAM).await, house.log_in(TOM).await, house.log_in(ADA).await);
    let user = |email: &str| format!("/api/tenants/users/{}/disable", house.user(email));
    ada.step(&user(SAM)).await.problem(404, "not_found");
    sam.step(&user(TOM)).await.problem(403, "forbidden");
    // The last admin stays.
    let about = tom.step(&user(TOM)).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("last_tenant_admin"));
    ada.step("/api/tenants/users/usr_0123456789abcdef0123456789abcdef/disable")
        .await
        .problem(404, "not_found");
    let listed = tom.get("/api/tenants/users").await.expect(200).text.clone();
    assert!(
        listed.contains(SAM) && !listed.contains(ADA) && !listed.contains("argon2"),
        "{listed}"
    );
    sam.get("/api/tenants/users").await.problem(403, "forbidden");
}
