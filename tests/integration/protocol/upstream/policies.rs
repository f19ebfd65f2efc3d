//! What a tenant demands of its people's logins, where they log in elsewhere.

use procura_tests::{Answer, House, Person, Scratch};
use reqwest::Method;
use serde_json::{Value, json};

use crate::protocol::relying_party::ask;

use super::{Journey, SAM, TOM, add, house, link, message, own, provider::Provider};

const MFA: &str = "urn:procura:acr:mfa";

/// A house whose Northwind has a provider with second factors, and knows Tom and Sam there.
async fn world() -> (House, Provider) {
    let (house, provider, _) = registered().await;
    (house, provider)
}

/// The same, with what was registered.
async fn registered() -> (House, Provider, Value) {
    let (house, provider) = (house(), Provider::start().await);
    let tom = house.log_in(TOM).await;
    let mut body = own(&provider.issuer);
    body["amr"] = json!({ "mfa": MFA });
    let registered = add(&house, &tom, &body).await;
    link(&tom, &registered, "s-sam", house.user(SAM)).await;
    link(&tom, &registered, "s-tom", house.user(TOM)).await;
    (house, provider, registered)
}

/// Comes back from the provider, with these methods.
async fn back(
    house: &House,
    provider: &Provider,
    subject: &str,
    amr: &[&str],
) -> (Journey, Answer) {
    let journey = Journey::to(house, "northwind/own").await;
    provider.knows(&journey, subject, &json!({ "amr": amr }));
    let answer = journey.back(&[("code", "a-code"), ("iss", &provider.issuer)]).await;
    (journey, answer)
}

async fn home(house: &House, provider: &Provider, subject: &str) -> String {
    let (journey, answer) = back(house, provider, subject, &["pwd", "mfa"]).await;
    journey.tokens(&answer).await.string("access_token")
}

async fn apply(house: &House, home: &str, rules: Value) -> Answer {
    let body = json!({ "name": rules.to_string(), "rules": rules });
    let made = house.api(home, Method::POST, "/api/policies", Some(&body)).await;
    let path = format!("/api/tenants/northwind/policies/{}", made.expect(201).string("id"));
    house.api(home, Method::PUT, &path, None).await
}

async fn is_in(house: &House, home: &str) -> bool {
    house.api(home, Method::GET, "/api/me/consents", None).await.status == 200
}

#[tokio::test]
async fn a_tenant_that_wants_two_factors_lets_in_who_shows_them_and_nobody_else() {
    let (house, provider) = world().await;
    let tom: Person = house.log_in(TOM).await;
    let by_password = house.log_in(SAM).await;
    let (journey, answer) = back(&house, &provider, "s-sam", &["pwd"]).await;
    let weak = journey.tokens(&answer).await.string("access_token");
    let strong = home(&house, &provider, "s-sam").await;

    // Whoever makes the rule meets it.
    let refused = apply(&house, &tom.home, json!({ "min_acr": MFA })).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("own_login_too_weak"));
    assert!(is_in(&house, &weak).await && is_in(&house, &tom.home).await);
    let admin = home(&house, &provider, "s-tom").await;
    let applied = apply(&house, &admin, json!({ "min_acr": MFA, "password_min_length": 20 })).await;
    assert!(applied.expect(200).json()["revoked"]["seq"].is_number());
    for over in [&weak, &by_password.home, &tom.home] {
        assert!(!is_in(&house, over).await);
    }
    assert!(is_in(&house, &strong).await && is_in(&house, &admin).await);

    let (_, refused) = back(&house, &provider, "s-sam", &["pwd"]).await;
    assert!(message(refused.expect(401)).contains("asks for a stronger login"));
    assert!(refused.header("set-cookie").is_none());
    let log = house.api(&admin, Method::GET, "/api/audit-logs?action=login", None).await.json();
    assert_eq!(log[0]["reason"], "policy_login_too_weak", "{log}");
    assert_eq!(log[0]["details"]["policies"].as_array().map(Vec::len), Some(1));
    let password = house.visitor().try_log_in(TOM, &house.demo().password).await.0;
    password.expect(401);
    home(&house, &provider, "s-sam").await;
}

#[tokio::test]
async fn a_tenant_that_names_its_provider_lets_nobody_in_by_another() {
    let (house, provider) = world().await;
    let by_password = house.log_in(SAM).await;
    let admin = home(&house, &provider, "s-tom").await;
    let rules = json!({ "identity_providers": ["northwind/own"] });
    apply(&house, &admin, rules).await.expect(200);
    assert!(!is_in(&house, &by_password.home).await && is_in(&house, &admin).await);
    let refused = house.visitor().try_log_in(SAM, &house.demo().password).await.0;
    refused.expect(401);
    let log = house.api(&admin, Method::GET, "/api/audit-logs?action=login", None).await.json();
    assert_eq!(log[0]["reason"], "policy_provider_not_allowed", "{log}");
    let (journey, answer) = back(&house, &provider, "s-sam", &["pwd"]).await;
    journey.tokens(&answer).await;
    // Two policies that nobody can meet together are not put together by who would be shut out.
    let refused = apply(&house, &admin, json!({ "identity_providers": ["local"] })).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("own_login_too_weak"));
    assert!(is_in(&house, &admin).await);
}

#[tokio::test]
async fn how_old_a_login_is_counts_from_when_it_began_here() {
    let (house, provider) = world().await;
    // The provider does not say when they authenticated.
    let (sam, admin) =
        (home(&house, &provider, "s-sam").await, home(&house, &provider, "s-tom").await);
    let sid = procura_tests::claims(&sam)["sid"].as_str().unwrap().to_owned();
    let applied = apply(&house, &admin, json!({ "session_max_secs": 3600 })).await;
    assert!(applied.expect(200).json()["revoked"].is_null());
    assert!(is_in(&house, &sam).await && is_in(&house, &admin).await);
    let left = format!(
        "SELECT CAST((expires_at - started_at) / 1000000 AS TEXT) FROM sessions WHERE id = '{sid}'"
    );
    assert_eq!(ask(&house, left).await, ["3600"]);
    // What demands no more than before ends nothing, and what does ends what is too old by now.
    let older = "UPDATE sessions SET started_at = started_at - 3000000000";
    ask(&house, format!("{older} WHERE id = '{sid}'")).await;
    let looser = apply(&house, &admin, json!({ "session_max_secs": 7200 })).await;
    assert!(looser.expect(200).json()["revoked"].is_null());
    assert!(is_in(&house, &sam).await);
    let stricter = apply(&house, &admin, json!({ "session_max_secs": 2000 })).await;
    assert!(stricter.expect(200).json()["revoked"]["seq"].is_number());
    assert!(!is_in(&house, &sam).await && is_in(&house, &admin).await);
}

#[tokio::test]
async fn an_admin_whom_a_policy_keeps_out_is_nobody_who_stays() {
    let (house, provider, registered) = registered().await;
    let folder = Scratch::new();
    let file = folder.path().join("una.json");
    let una = json!({ "email": "una@northwind.test", "tenant": "northwind", "name": "Una",
                      "roles": ["tenant-admin"], "password": house.demo().password });
    std::fs::write(&file, json!({ "users": [una] }).to_string()).unwrap();
    assert!(house.command(&["import", file.to_str().unwrap()]).status.success());
    let admin = home(&house, &provider, "s-tom").await;
    apply(&house, &admin, json!({ "min_acr": MFA })).await.expect(200);
    let tom = format!("/api/tenants/users/{}/disable", house.user(TOM));
    let stays = house.api(&admin, Method::POST, &tom, None).await;
    assert_eq!(stays.problem(409, "wrong_state").as_deref(), Some("last_tenant_admin"));
    let listed = house.api(&admin, Method::GET, "/api/tenants/users", None).await.json();
    let is_una = |user: &&Value| user["email"] == "una@northwind.test";
    let una = listed.as_array().unwrap().iter().find(is_una).unwrap()["id"].clone();
    let links = format!("{}/links", super::path(&registered));
    let link = json!({ "subject": "s-una", "user_id": una });
    house.api(&admin, Method::POST, &links, Some(&link)).await.expect(201);
    house.api(&admin, Method::POST, &tom, None).await.expect(200);
    home(&house, &provider, "s-una").await;
}
