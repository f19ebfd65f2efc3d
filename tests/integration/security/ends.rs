//! The ends of what somebody may: of the person, the partner, the customer, the client, the relationship,
//! the roles of either, the consent and the login. Whatever was held before is nothing at once, and what begins again
//! revives none of it (S6, S45, S47 to S49, S69).

use procura_tests::{House, Person, Visitor, exchange_form, form};
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::{ADA, PAT, READ_BILLING, TOM, credentials, is_good_at_home, patient_house_of_openid};
use crate::protocol::relying_party::{
    SCOPE, authorize, change, redeem, refresh, request, tokens, value,
};

/// What somebody had in hands when it ended.
struct Held {
    visitor: Visitor,
    home: String,
    refresh: String,
    id_token: String,
    delegated: String,
    /// Given out, and not redeemed yet.
    code: String,
    /// A login page that is open, at `prompt=login`.
    open_page: procura_tests::Form,
}

const OFFLINE: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent")];

async fn hold(house: &House) -> Held {
    let visitor = house.visitor();
    let first = tokens(house, &visitor, OFFLINE, PAT).await;
    let home = first.string("access_token");
    let exchange = exchange_form(&home, "acme-corp", READ_BILLING);
    let delegated = house.token(&exchange).await.expect(200).string("access_token");
    let again = request(house, &[("scope", SCOPE)]);
    let back = authorize(house, &visitor, &again, PAT).await;
    let url = request(house, &[("scope", SCOPE), ("prompt", "login")]);
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let open_page = form(&page.expect(200).text, "login-form")
        .with("email", PAT)
        .with("password", &house.demo().password);
    Held {
        refresh: first.string("refresh_token"),
        id_token: first.string("id_token"),
        code: value(&back, "code").unwrap(),
        visitor,
        home,
        delegated,
        open_page,
    }
}

/// Whether a home token leads into the customer's tenant.
async fn leads_in(house: &House, home: &str) -> bool {
    let answer = house.token(&exchange_form(home, "acme-corp", READ_BILLING)).await;
    assert!(matches!(answer.status, 200 | 400 | 401), "{answer:?}");
    answer.status == 200
}

/// Whatever comes of what is held, none of it leads into the customer's tenant.
async fn is_shut_out(house: &House, held: &Held, what: &str) {
    assert!(!leads_in(house, &held.home).await, "{what}: the home token");
    for (from, answer) in [
        ("the refresh token", refresh(house, &held.refresh).await),
        ("the code", redeem(house, &held.code).await),
    ] {
        if answer.status == 200 {
            let home = answer.string("access_token");
            assert!(!leads_in(house, &home).await, "{what}: {from}");
        } else {
            assert!(matches!(answer.status, 400 | 401), "{what}: {from}: {answer:?}");
        }
    }
}

/// What was held is nothing at all.
async fn is_nothing(house: &House, held: &Held, what: &str) {
    assert!(!is_good_at_home(house, &held.home).await, "{what}: at home");
    assert_ne!(refresh(house, &held.refresh).await.status, 200, "{what}: the refresh token");
    assert_ne!(redeem(house, &held.code).await.status, 200, "{what}: the code");
    assert!(!leads_in(house, &held.home).await, "{what}: the exchange");
}

/// Whoever begins anew, in a new browser, gets in.
async fn is_open_again(house: &House, what: &str) {
    let again = tokens(house, &house.visitor(), OFFLINE, PAT).await;
    assert!(leads_in(house, &again.string("access_token")).await, "{what}: begun anew");
    let next = refresh(house, &again.string("refresh_token")).await;
    assert!(leads_in(house, &next.expect(200).string("access_token")).await, "{what}: refreshed");
}

async fn admin(house: &House, email: &str) -> Person {
    let mut person = house.visitor().log_in(email, &house.demo().password).await;
    // Whoever undoes it must not be hit by it.
    person.home =
        tokens(house, &house.visitor(), &[("scope", SCOPE)], email).await.string("access_token");
    person
}

#[tokio::test]
async fn the_end_of_a_person() {
    let house = patient_house_of_openid().await;
    let tom = admin(&house, TOM).await;
    let held = hold(&house).await;
    let user = format!("/api/tenants/users/{}", house.user(PAT));
    tom.step(&format!("{user}/disable")).await.expect(200);
    is_nothing(&house, &held, "disabled").await;
    assert!(!house.is_alive(&held.delegated).await);
    held.visitor.submit(&held.open_page).await.expect(401);
    tom.step(&format!("{user}/enable")).await.expect(200);
    is_nothing(&house, &held, "enabled").await;
    assert!(!house.is_alive(&held.delegated).await);
    is_open_again(&house, "enabled").await;
}

#[tokio::test]
async fn the_end_of_either_tenant() {
    let house = patient_house_of_openid().await;
    for (slug, is_own) in [("northwind", true), ("acme-corp", false)] {
        let held = hold(&house).await;
        let set =
            |status: &str| format!("UPDATE tenants SET status = '{status}' WHERE slug = '{slug}'");
        change(&house, set("suspended")).await;
        assert!(!leads_in(&house, &held.home).await, "{slug}");
        if is_own {
            assert!(!is_good_at_home(&house, &held.home).await);
            assert_ne!(refresh(&house, &held.refresh).await.status, 200);
            assert_ne!(redeem(&house, &held.code).await.status, 200);
            held.visitor.submit(&held.open_page).await.expect(401);
        } else {
            is_shut_out(&house, &held, slug).await;
        }
        change(&house, set("active")).await;
        is_open_again(&house, slug).await;
    }
}

#[tokio::test]
async fn the_end_of_a_client() {
    let house = patient_house_of_openid().await;
    let held = hold(&house).await;
    let machine = house.token(&[("grant_type", "client_credentials")]).await;
    let machine = machine.expect(200).string("access_token");
    let (id, _) = credentials(&house, "portal");
    let said = house.command(&["client", "disable", id]);
    assert!(said.status.success(), "{said:?}");
    is_nothing(&house, &held, "disabled").await;
    for token in [&held.delegated, &machine] {
        assert!(!house.is_alive(token).await);
    }
    let start = request(&house, &[]);
    held.visitor.visit(start.as_str()).await.expect(400);
    let said = house.command(&["client", "enable", id]);
    assert!(said.status.success(), "{said:?}");
    is_nothing(&house, &held, "enabled").await;
    for token in [&held.delegated, &machine] {
        assert!(!house.is_alive(token).await);
    }
    is_open_again(&house, "enabled").await;
}

#[tokio::test]
async fn the_end_of_a_relationship() {
    let house = patient_house_of_openid().await;
    let ada = admin(&house, ADA).await;
    let edge = house.relationship("northwind>acme-corp");
    let access = "/api/tenants/partner-access";
    for (what, off, on) in [
        (
            "suspended",
            (Method::POST, format!("{edge}/suspend"), None),
            (Method::POST, format!("{edge}/resume"), None),
        ),
        (
            "switched off for all",
            (Method::PUT, access.to_owned(), Some(json!({"mode": "off"}))),
            (Method::PUT, access.to_owned(), Some(json!({"mode": "on"}))),
        ),
        (
            "switched off for one",
            (Method::PATCH, edge.clone(), Some(json!({"access": "off"}))),
            (Method::PATCH, edge.clone(), Some(json!({"access": "on"}))),
        ),
    ] {
        let held = hold(&house).await;
        assert!(house.is_alive(&held.delegated).await);
        house.api(&ada.home, off.0, &off.1, off.2.as_ref()).await.expect(200);
        is_shut_out(&house, &held, what).await;
        assert!(!house.is_alive(&held.delegated).await, "{what}");
        house.api(&ada.home, on.0, &on.1, on.2.as_ref()).await.expect(200);
        assert!(!house.is_alive(&held.delegated).await, "{what}, and undone");
        is_open_again(&house, what).await;
        // The person was not shut out, and goes on at home.
        assert!(is_good_at_home(&house, &held.home).await, "{what}");
    }
    let held = hold(&house).await;
    ada.delete(&edge).await.expect(200);
    is_shut_out(&house, &held, "ended").await;
    assert!(!house.is_alive(&held.delegated).await);
}

#[tokio::test]
async fn the_end_of_a_role() {
    let house = patient_house_of_openid().await;
    let ada = admin(&house, ADA).await;
    let edge = house.relationship("northwind>acme-corp");
    let held = hold(&house).await;
    ada.patch(&edge, &json!({"access_role": "msp_support"})).await.expect(200);
    is_shut_out(&house, &held, "less").await;
    assert!(!house.is_alive(&held.delegated).await);
    // What is left of the role goes on.
    let left = exchange_form(&held.home, "acme-corp", "partner.support.tickets.list");
    house.token(&left).await.expect(200);
    ada.patch(&edge, &json!({"access_role": "msp_full"})).await.expect(200);
    assert!(!house.is_alive(&held.delegated).await, "nothing comes back");
    is_open_again(&house, "more").await;
}

#[tokio::test]
async fn the_end_of_a_persons_own_role() {
    let house = patient_house_of_openid().await;
    let held = hold(&house).await;
    let import = |roles: serde_json::Value| {
        let file = house.data().join("roles.json");
        let seed = json!({
            "tenants": [{"slug": "northwind", "name": "Northwind MSP"}],
            "users": [{"email": PAT, "tenant": "northwind", "name": "Pat Partner", "roles": roles,
                "password": "counts for new people alone"}],
        });
        std::fs::write(&file, seed.to_string()).unwrap();
        let said = house.command(&["import", file.to_str().unwrap()]);
        assert!(said.stdout.contains(&format!("changed user {PAT}")), "{said:?}");
    };
    import(json!([]));
    assert!(!house.is_alive(&held.delegated).await);
    assert!(!is_good_at_home(&house, &held.home).await);
    is_shut_out(&house, &held, "no role").await;
    import(json!(["partner-admin"]));
    assert!(!house.is_alive(&held.delegated).await, "nothing comes back");
    assert!(!is_good_at_home(&house, &held.home).await);
    is_open_again(&house, "the role again").await;
}

#[tokio::test]
async fn the_end_of_a_consent() {
    let house = patient_house_of_openid().await;
    let held = hold(&house).await;
    let path = format!("/api/me/consents/{}", credentials(&house, "portal").0);
    house.api(&held.home, Method::DELETE, &path, None).await.expect(200);
    is_nothing(&house, &held, "withdrawn").await;
    assert!(!house.is_alive(&held.delegated).await);
    is_open_again(&house, "agreed anew").await;
    is_nothing(&house, &held, "agreed anew").await;
    assert!(!house.is_alive(&held.delegated).await);
}

#[tokio::test]
async fn the_end_of_a_login() {
    let house = patient_house_of_openid().await;
    let held = hold(&house).await;
    let leave = format!("/oauth2/logout?id_token_hint={}", held.id_token);
    held.visitor.visit(&leave).await.expect(200);
    is_nothing(&house, &held, "logged out").await;
    assert!(!house.is_alive(&held.delegated).await);
    // The next login in the same browser is another one.
    let back: Url = authorize(&house, &held.visitor, &request(&house, OFFLINE), PAT).await;
    redeem(&house, &value(&back, "code").unwrap()).await.expect(200);
    is_nothing(&house, &held, "logged in again").await;
    assert!(!house.is_alive(&held.delegated).await);
    is_open_again(&house, "logged in again").await;
}
