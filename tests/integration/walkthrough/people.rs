//! Somebody is shut out: at once, everywhere, and letting in again revives nothing.

use procura_tests::{House, Isp, Scratch, merged};
use serde_json::{Value, json};

use super::{
    ADA, BILLING, PAT, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead, unusable, works,
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

#[tokio::test]
async fn the_last_operator_stays_and_one_of_two_may_go() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    let path = format!("/api/tenants/users/{}/disable", house.user(ROOT));
    let about = root.step(&path).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("last_super_admin"));
    root.get("/api/clients").await.expect(200);
    // Whoever has not accepted the invitation is nobody who could let anybody in.
    let import = |second: &Value| {
        let folder = Scratch::new();
        let file = folder.path().join("users.json");
        std::fs::write(&file, json!({ "users": [second] }).to_string()).expect("a file");
        let done = house.command(&["import", file.to_str().expect("a plain path")]);
        assert!(done.status.success(), "{done:?}");
    };
    let operator =
        |email: &str| json!({ "email": email, "tenant": "operator", "roles": ["super-admin"] });
    let invited = merged(&operator("rae@procura.test"), &json!({ "invite": true }));
    import(&invited);
    root.step(&path).await.problem(409, "wrong_state");
    let second =
        merged(&operator("rob@procura.test"), &json!({ "password": house.demo().password }));
    import(&second);
    root.step(&path).await.expect(200);
    root.get("/api/clients").await.problem(401, "unauthenticated");
    let rob = house.log_in("rob@procura.test").await;
    rob.step(&path.replace("disable", "enable")).await.expect(200);
}

#[tokio::test]
async fn somebody_new_has_an_address_that_no_mailer_takes_for_two() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let tenants = "/api/partners/tenants";
    for bad in [
        "ann@a.test,eve@evil.test",
        "<eve@evil.test>",
        "ann;eve@evil.test",
        "\"ann\"@a.test",
        "a@b@c.test",
    ] {
        let new = json!({ "name": "A New One", "admin_email": bad });
        let about = pat.post(tenants, &new).await.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some("admin_email"), "{bad}");
        let folder = Scratch::new();
        let file = folder.path().join("users.json");
        let user =
            json!({ "email": bad, "tenant": "acme-corp", "roles": ["member"], "invite": true });
        std::fs::write(&file, json!({ "users": [user] }).to_string()).expect("a file");
        let refused = house.command(&["import", file.to_str().expect("a plain path")]);
        assert!(refused.refused().contains("email"), "{refused:?}");
    }
    let mails = std::fs::read_dir(house.data().join("mail")).into_iter().flatten();
    assert_eq!(mails.count(), 0, "nobody was written to");
    let plain = json!({ "name": "A New One", "admin_email": "Ann.O'Hara+new@a-b.test" });
    pat.post(tenants, &plain).await.expect(201);
}
