//! What one client exchanged from another client's token ends with the other's right to it.

use procura_domain::Profile;
use procura_tests::{Answer, House, Software, eventually, exchange_form};
use reqwest::Method;

use super::{PAT, READ_BILLING, SAM, credentials, patient_house_of_openid};
use crate::protocol::relying_party::{SCOPE, refresh, tokens};

const OFFLINE: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent")];

/// Somebody's login at the portal, and what the other client made of its token.
async fn delegated(house: &House, gateway: &Software, email: &str) -> (Answer, String) {
    let login = tokens(house, &house.visitor(), OFFLINE, email).await;
    let home = login.string("access_token");
    let form = exchange_form(&home, "acme-corp", "partner.support.tickets.list");
    let token = gateway.post("/oauth2/token", &form, &[]).await;
    (login, token.expect(200).string("access_token"))
}

#[tokio::test]
async fn what_came_of_another_clients_token_ends_with_the_others_right_to_it() {
    let house = patient_house_of_openid().await;
    let (portal, _) = credentials(&house, "portal");
    let gateway = house.software(Profile::Oauth21, |client| {
        client.exchange_for = vec![portal.parse().unwrap()];
    });
    let gateway = gateway.await;
    let (_, of_sam) = delegated(&house, &gateway, SAM).await;

    // The refresh token is given back.
    let (login, token) = delegated(&house, &gateway, PAT).await;
    assert!(house.is_alive(&token).await);
    house.revoke(&login.string("refresh_token")).await.expect(200);
    assert!(!house.is_alive(&token).await, "the family");
    // It was stolen, and comes twice.
    let (login, token) = delegated(&house, &gateway, PAT).await;
    let first = login.string("refresh_token");
    let second = refresh(&house, &first).await.expect(200).string("refresh_token");
    refresh(&house, &second).await.expect(200);
    assert!(house.is_alive(&token).await);
    refresh(&house, &first).await.oauth_error(400, "invalid_grant");
    assert!(!house.is_alive(&token).await, "the replay");
    // The consent with the portal is withdrawn.
    let (login, token) = delegated(&house, &gateway, PAT).await;
    let path = format!("/api/me/consents/{portal}");
    let gone = house.api(&login.string("access_token"), Method::DELETE, &path, None).await;
    assert_eq!(gone.expect(200).json()["revoked"]["delegations_ended"], 1);
    assert!(!house.is_alive(&token).await, "the consent");

    // All of that was about Pat; and what the gateway has by its own right goes on.
    assert!(house.is_alive(&of_sam).await);
    let own = gateway.post("/oauth2/token", &[("grant_type", "client_credentials")], &[]).await;
    let own = own.expect(200).string("access_token");
    assert!(house.command(&["client", "disable", portal]).status.success());
    assert!(!house.is_alive(&of_sam).await, "the client");
    assert!(house.is_alive(&own).await);
    assert!(house.command(&["client", "enable", portal]).status.success());
    assert!(!house.is_alive(&of_sam).await, "nothing comes back");
    // A copy from before costs the server a second try; it is never gone by.
    eventually("the client is let in again", async || {
        let own = house.token(&[("grant_type", "client_credentials")]).await;
        (own.status == 200).then_some(())
    })
    .await;
    let (_, token) = delegated(&house, &gateway, SAM).await;
    assert!(house.is_alive(&token).await);
}

#[tokio::test]
async fn a_delegation_that_goes_on_by_the_others_token_ends_with_it_too() {
    let house = patient_house_of_openid().await;
    let (portal, _) = credentials(&house, "portal");
    let gateway = house.software(Profile::Oauth21, |client| {
        client.exchange_for = vec![portal.parse().unwrap()];
    });
    let gateway = gateway.await;
    let (login, first) = delegated(&house, &gateway, PAT).await;
    // Renewed by the portal's token once more: the same delegation, remembered once.
    let home = login.string("access_token");
    let form = exchange_form(&home, "acme-corp", READ_BILLING);
    let second = gateway.post("/oauth2/token", &form, &[]).await;
    let second = second.expect(200).string("access_token");
    let by_portal = house.token(&form).await.expect(200).string("access_token");
    house.revoke(&login.string("refresh_token")).await.expect(200);
    for token in [&first, &second, &by_portal] {
        assert!(!house.is_alive(token).await);
    }
}
