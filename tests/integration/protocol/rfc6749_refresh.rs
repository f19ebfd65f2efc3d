//! RFC 6749 §6, RFC 9700 §4.14, OpenID Connect Core §11 and §12: refresh tokens.

use procura_tests::{House, HouseOptions, Postgres, claims, eventually};
use reqwest::Method;
use serde_json::json;

use super::{
    ADA, PAT, READ_BILLING, credentials, http,
    relying_party::{
        SCOPE, authorize, change, house_of_openid, redeem, refresh, register, request, tokens,
        value,
    },
    send,
};

const OFFLINE: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent"), ("nonce", "n-1")];
const CUSTOMERS: &str = "/api/v1/partner/customers";

async fn first_token(house: &House, email: &str) -> String {
    let answer = tokens(house, &house.visitor(), OFFLINE, email).await;
    answer.string("refresh_token")
}

async fn is_good_at_home(house: &House, token: &str) -> bool {
    house.api(token, Method::GET, CUSTOMERS, None).await.status == 200
}

#[tokio::test]
async fn section_6_a_refresh_token_gives_a_home_token_and_its_successor() {
    let house = house_of_openid().await;
    let first = tokens(&house, &house.visitor(), OFFLINE, PAT).await;
    let token = first.string("refresh_token");
    assert_eq!(token.len(), 43, "256 bits");
    let second = refresh(&house, &token).await;
    second.expect(200);
    assert_ne!(second.string("refresh_token"), token);
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert!(is_good_at_home(&house, &second.string("access_token")).await);
    let (one, two) = (claims(&first.string("id_token")), claims(&second.string("id_token")));
    for same in ["iss", "sub", "aud", "auth_time", "sid", "acr"] {
        assert_eq!(one[same], two[same], "{same} (OpenID Connect Core §12.2)");
    }
    assert_eq!((&one["nonce"], &two["nonce"]), (&json!("n-1"), &json!(null)));
    // The login is alive, so the token is good for an exchange too.
    let home = second.string("access_token");
    let form = procura_tests::exchange_form(&home, "acme-corp", READ_BILLING);
    let delegated = house.token(&form).await;
    assert!(delegated.expect(200).json()["refresh_token"].is_null(), "delegations get none");
}

#[tokio::test]
async fn section_6_the_scope_may_narrow_and_never_widens() {
    let house = house_of_openid().await;
    let scope = "openid offline_access email";
    let asked = [("scope", scope), ("prompt", "consent")];
    let first = tokens(&house, &house.visitor(), &asked, PAT).await;
    let ask = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        house.token(&form).await
    };
    let token = first.string("refresh_token");
    ask(&token, "openid profile").await.oauth_error(400, "invalid_scope");
    let narrow = ask(&token, "openid").await;
    assert_eq!(narrow.expect(200).string("scope"), "openid");
    let whole = refresh(&house, &narrow.string("refresh_token")).await;
    assert_eq!(
        whole.expect(200).string("scope"),
        "email offline_access openid",
        "agreed is agreed"
    );
    // What the client loses, its tokens lose.
    let (id, _) = credentials(&house, "portal");
    change(
        &house,
        format!("UPDATE clients SET scope = 'openid', version = version + 1 WHERE id = '{id}'"),
    )
    .await;
    let token = whole.string("refresh_token");
    let less = async || {
        let answer = refresh(&house, &token).await;
        (answer.status == 200).then(|| answer.string("scope"))
    };
    assert_eq!(eventually("the client is read again", less).await, "openid");
}

#[tokio::test]
async fn rfc_9700_section_4_14_a_token_that_comes_back_ends_the_family_and_what_it_gave() {
    let house = house_of_openid().await;
    let first = tokens(&house, &house.visitor(), OFFLINE, PAT).await;
    let (one, home) = (first.string("refresh_token"), first.string("access_token"));
    let form = procura_tests::exchange_form(&home, "acme-corp", READ_BILLING);
    let delegated = house.token(&form).await.expect(200).string("access_token");
    let two = refresh(&house, &one).await.expect(200).string("refresh_token");
    let third = refresh(&house, &two).await;
    let (three, latest) = (third.expect(200).string("refresh_token"), third.string("access_token"));
    assert!(is_good_at_home(&house, &latest).await && house.is_alive(&delegated).await);

    refresh(&house, &one).await.oauth_error(400, "invalid_grant");
    refresh(&house, &three).await.oauth_error(400, "invalid_grant");
    assert!(!is_good_at_home(&house, &home).await);
    assert!(!is_good_at_home(&house, &latest).await);
    assert!(!house.is_alive(&delegated).await);
    // Another login of the same person is nobody's business.
    let other = first_token(&house, PAT).await;
    refresh(&house, &other).await.expect(200);
}

#[tokio::test]
async fn rfc_9700_section_4_14_a_late_replay_ends_the_family_although_nobody_used_the_successor() {
    let house = house_of_openid().await;
    let one = first_token(&house, PAT).await;
    let two = refresh(&house, &one).await.expect(200).string("refresh_token");
    refresh(&house, &one).await.oauth_error(400, "invalid_grant");
    change(&house, "UPDATE refresh_tokens SET used_at = used_at - 2000000".to_owned()).await;
    refresh(&house, &one).await.oauth_error(400, "invalid_grant");
    refresh(&house, &two).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn of_64_that_refresh_at_once_exactly_one_wins_and_goes_on() {
    let house = house_of_openid().await;
    race(&house, &house).await;
}

#[tokio::test]
async fn of_64_that_refresh_at_once_at_two_nodes_exactly_one_wins_and_goes_on() {
    let database = Some(Postgres::shared().database());
    let one = House::start_with(HouseOptions { database, ..HouseOptions::default() });
    register(&one, "portal", "oidc", json!({})).await;
    let two = one.another_node();
    race(&one, &two).await;
}

async fn race(one: &House, two: &House) {
    let token = first_token(one, PAT).await;
    let (id, secret) = credentials(one, "portal");
    let many = (0..64).map(|n| {
        let url = format!("{}/oauth2/token", if n % 2 == 0 { one.url() } else { two.url() });
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let request = http().post(url).basic_auth(id, Some(secret)).form(&form);
        tokio::spawn(async move { send(request).await })
    });
    let mut won = Vec::new();
    for answer in many.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            won.push(answer.string("refresh_token"));
        } else {
            answer.oauth_error(400, "invalid_grant");
        }
    }
    assert_eq!(won.len(), 1);
    refresh(two, &won[0]).await.expect(200);
}

#[tokio::test]
async fn section_10_4_a_refresh_token_is_of_its_client_and_of_no_other_kind() {
    let house = house_of_openid().await;
    register(&house, "isp", "oidc", json!({})).await;
    let visitor = house.visitor();
    let first = tokens(&house, &visitor, OFFLINE, PAT).await;
    let token = first.string("refresh_token");
    let form = |token: &str| {
        vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())]
    };
    let by = async |client: Option<(&str, &str)>, token: &str| {
        let form = form(token);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        house.token_by(client, &form).await
    };
    by(Some(credentials(&house, "isp")), &token).await.oauth_error(400, "invalid_grant");
    by(None, &token).await.oauth_error(401, "invalid_client");
    let (id, _) = credentials(&house, "portal");
    by(Some((id, "wrong")), &token).await.oauth_error(401, "invalid_client");
    let back = authorize(&house, &visitor, &request(&house, &[]), PAT).await;
    for wrong in [
        first.string("access_token"),
        first.string("id_token"),
        value(&back, "code").unwrap(),
        "x".to_owned(),
        format!("{token}A"),
        token.to_lowercase(),
    ] {
        refresh(&house, &wrong).await.oauth_error(400, "invalid_grant");
    }
    // And it is nothing else itself.
    house.api(&token, Method::GET, CUSTOMERS, None).await.problem(401, "unauthenticated");
    redeem(&house, &token).await.oauth_error(400, "invalid_grant");
    let form = procura_tests::exchange_form(&token, "acme-corp", READ_BILLING);
    house.token(&form).await.oauth_error(400, "invalid_request");
    assert!(!house.is_alive(&token).await, "no resource server hears of it");
    house.token(&[("grant_type", "refresh_token")]).await.oauth_error(400, "invalid_request");
    // None of that used it up.
    refresh(&house, &token).await.expect(200);
}

#[tokio::test]
async fn openid_section_11_only_who_was_agreed_to_comes_back() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let without = [("scope", "openid offline_access")];
    let answer = tokens(&house, &visitor, &without, PAT).await;
    assert!(answer.json()["refresh_token"].is_null(), "without prompt=consent");
    assert_eq!(answer.string("scope"), "openid");
    let with = [("scope", "openid offline_access"), ("prompt", "consent")];
    let answer = tokens(&house, &visitor, &with, PAT).await;
    assert!(!answer.string("refresh_token").is_empty());
    // A client that never registered for it.
    let (id, _) = credentials(&house, "portal");
    let only = "UPDATE clients SET grant_types = 'authorization_code', version = version + 1";
    change(&house, format!("{only} WHERE id = '{id}'")).await;
    let answer = async || {
        let back = authorize(&house, &visitor, &request(&house, &with), PAT).await;
        let answer = redeem(&house, &value(&back, "code")?).await;
        (answer.status == 200).then_some(answer)
    };
    let answer = eventually("the client is read again", answer).await;
    assert!(answer.json()["refresh_token"].is_null());
    refresh(&house, "x").await.oauth_error(400, "unauthorized_client");
}

#[tokio::test]
async fn a_family_ends_with_the_person_the_consent_the_login_and_by_rfc_7009() {
    let house = house_of_openid().await;
    let ada = tokens(&house, &house.visitor(), OFFLINE, ADA).await.string("access_token");

    // The person is disabled, and let in again.
    let user = house.user(PAT);
    let token = first_token(&house, PAT).await;
    let tom = tokens(&house, &house.visitor(), OFFLINE, "tom@northwind.test").await;
    let tom = tom.string("access_token");
    for step in ["disable", "enable"] {
        let path = format!("/api/tenants/users/{user}/{step}");
        house.api(&tom, Method::POST, &path, None).await.expect(200);
        refresh(&house, &token).await.oauth_error(400, "invalid_grant");
    }

    // The consent is withdrawn.
    let first = tokens(&house, &house.visitor(), OFFLINE, PAT).await;
    let home = first.string("access_token");
    let (id, _) = credentials(&house, "portal");
    let path = format!("/api/me/consents/{id}");
    house
        .api(&ada, Method::DELETE, "/api/me/consents/cli_nobody", None)
        .await
        .problem(404, "not_found");
    let listed = house.api(&home, Method::GET, "/api/me/consents", None).await;
    assert_eq!(listed.expect(200).json()[0]["client_id"], id);
    house.api(&home, Method::DELETE, &path, None).await.expect(200);
    refresh(&house, &first.string("refresh_token")).await.oauth_error(400, "invalid_grant");
    assert!(!is_good_at_home(&house, &home).await);
    assert!(is_good_at_home(&house, &ada).await, "another person's token goes on");

    // The client gives it back.
    let first = tokens(&house, &house.visitor(), OFFLINE, PAT).await;
    house.revoke(&first.string("refresh_token")).await.expect(200);
    house.revoke(&first.string("refresh_token")).await.expect(200);
    refresh(&house, &first.string("refresh_token")).await.oauth_error(400, "invalid_grant");
    assert!(!is_good_at_home(&house, &first.string("access_token")).await);

    // The person logs out.
    let visitor = house.visitor();
    let first = tokens(&house, &visitor, OFFLINE, PAT).await;
    let hint = first.string("id_token");
    visitor.visit(&format!("/oauth2/logout?id_token_hint={hint}")).await.expect(200);
    refresh(&house, &first.string("refresh_token")).await.oauth_error(400, "invalid_grant");

    // The code comes twice.
    let visitor = house.visitor();
    let back = authorize(&house, &visitor, &request(&house, OFFLINE), PAT).await;
    let code = value(&back, "code").unwrap();
    let first = redeem(&house, &code).await;
    let next = refresh(&house, &first.expect(200).string("refresh_token")).await;
    redeem(&house, &code).await.oauth_error(400, "invalid_grant");
    refresh(&house, &next.expect(200).string("refresh_token"))
        .await
        .oauth_error(400, "invalid_grant");
    assert!(!is_good_at_home(&house, &next.string("access_token")).await);
}

#[tokio::test]
async fn offline_access_outlives_the_login_and_reaches_no_customer() {
    let house = house_of_openid().await;
    let token = first_token(&house, PAT).await;
    change(&house, "UPDATE sessions SET expires_at = auth_time".to_owned()).await;
    let answer = refresh(&house, &token).await;
    let home = answer.expect(200).string("access_token");
    let known = http().get(format!("{}/oauth2/userinfo", house.url())).bearer_auth(&home);
    assert_eq!(send(known).await.expect(200).string("sub"), house.user(PAT));
    let form = procura_tests::exchange_form(&home, "acme-corp", READ_BILLING);
    house.token(&form).await.oauth_error(400, "invalid_request");
    house.api(&home, Method::GET, CUSTOMERS, None).await.problem(401, "unauthenticated");
    // Idle for too long, or too old altogether.
    let token = answer.string("refresh_token");
    for column in ["idle_ends_at", "ends_at"] {
        let push =
            |secs: i64| format!("UPDATE refresh_families SET {column} = {column} + {secs}000000");
        change(&house, push(-40 * 86_400)).await;
        refresh(&house, &token).await.oauth_error(400, "invalid_grant");
        change(&house, push(40 * 86_400)).await;
    }
    refresh(&house, &token).await.expect(200);
}
