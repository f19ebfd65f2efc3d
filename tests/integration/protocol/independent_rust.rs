//! A client that others wrote, in this language: `openidconnect`, with the types of `oauth2` below it.

use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndSessionUrl, HttpRequest, HttpResponse,
    IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, Scope, TokenResponse,
    core::{
        CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreTokenResponse, CoreUserInfoClaims,
    },
    http,
};
use procura_tests::{House, exchange_form};
use serde_json::json;
use url::Url;

use super::{
    PAT, READ_BILLING, credentials,
    relying_party::{register, value},
};

const LOGGED_OUT: &str = "http://127.0.0.1:8400/logged-out";

/// One request of the library, by the HTTP client that is here anyway.
async fn carry(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = super::http().execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut carried = http::Response::new(response.bytes().await?.to_vec());
    *carried.status_mut() = status;
    *carried.headers_mut() = headers;
    Ok(carried)
}

#[tokio::test]
async fn a_portal_with_openidconnect_logs_in_refreshes_exchanges_and_logs_out() {
    let house = House::start();
    let registration = json!({"post_logout_redirect_uris": [LOGGED_OUT]});
    register(&house, "portal", "oidc", registration).await;
    let (id, secret) = credentials(&house, "portal");
    let redirect_uri = house.demo().clients["portal"].redirect_uri.clone().unwrap();
    let (visitor, http) = (house.visitor(), &carry);

    let issuer = IssuerUrl::new(house.issuer().to_owned()).unwrap();
    let server = ProviderMetadataWithLogout::discover_async(issuer, http).await.unwrap();
    let end_session: EndSessionUrl =
        server.additional_metadata().end_session_endpoint.clone().unwrap();
    let secret = Some(ClientSecret::new(secret.to_owned()));
    let client = CoreClient::from_provider_metadata(server, ClientId::new(id.to_owned()), secret)
        .set_redirect_uri(RedirectUrl::new(redirect_uri).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let (to, state, nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(
            ["email", "offline_access", "partner.tenants.switch_context"]
                .map(|scope| Scope::new(scope.to_owned())),
        )
        .add_prompt(CoreAuthPrompt::Consent)
        .set_pkce_challenge(challenge)
        .url();
    let answer = visitor.pass(to.as_str(), PAT).await;
    let back = Url::parse(answer.location()).unwrap();
    assert_eq!(value(&back, "state").as_ref(), Some(state.secret()));
    let code = AuthorizationCode::new(value(&back, "code").unwrap());
    let request = client.exchange_code(code).unwrap().set_pkce_verifier(verifier);
    let tokens = request.request_async(http).await.unwrap();
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(&client.id_token_verifier(), &nonce).unwrap();
    assert_eq!(claims.subject().as_str(), house.user(PAT));
    // The library's own twin: another nonce is refused.
    id_token.claims(&client.id_token_verifier(), &Nonce::new_random()).unwrap_err();

    let subject = Some(claims.subject().clone());
    let request = client.user_info(tokens.access_token().clone(), subject).unwrap();
    let person: CoreUserInfoClaims = request.request_async(http).await.unwrap();
    assert_eq!(person.email().map(|email| email.as_str()), Some(PAT));

    let request = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap();
    let renewed = request.request_async(http).await.unwrap();

    // It knows no exchange; its types read the answer to one.
    let form = exchange_form(renewed.access_token().secret(), "acme-corp", READ_BILLING);
    let answer = house.token(&form).await;
    let delegated: CoreTokenResponse = serde_json::from_str(&answer.expect(200).text).unwrap();
    assert!(house.is_alive(delegated.access_token().secret()).await);
    assert!(delegated.expires_in().unwrap().as_secs() <= 300);
    assert!(delegated.refresh_token().is_none());

    let state = CsrfToken::new_random();
    let out = LogoutRequest::from(end_session)
        .set_id_token_hint(id_token)
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(LOGGED_OUT.to_owned()).unwrap())
        .set_state(state.clone())
        .http_get_url();
    let answer = visitor.visit(out.as_str()).await;
    let end = Url::parse(answer.location()).unwrap();
    assert_eq!(value(&end, "state").as_ref(), Some(state.secret()));
    assert!(end.as_str().starts_with(LOGGED_OUT));
    let request = client.exchange_refresh_token(renewed.refresh_token().unwrap()).unwrap();
    request.request_async(http).await.unwrap_err();
    assert!(!house.is_alive(delegated.access_token().secret()).await);
}
