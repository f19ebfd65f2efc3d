//! RFC 7523 and its revision: clients that authenticate with a signed assertion.

use std::sync::{Arc, Mutex};

use procura_domain::{AuthMethod, Profile};
use procura_store::clients::ClientSecret;
use procura_tests::{ASSERTION, House, HouseOptions, Signer, merged, now, unique};
use procura_token::Algorithm;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{PAT, READ_BILLING, at, credentials};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// A client-credentials request with this assertion and nothing else.
fn form(assertion: &str) -> Vec<(&'static str, &str)> {
    vec![GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)]
}

#[tokio::test]
async fn section_2_2_an_assertion_authenticates_a_client_at_every_endpoint_that_asks_for_it() {
    let house = House::start();
    for alg in ["ES256", "EdDSA", "PS256"] {
        let software = house.software_signing(alg, Profile::Oauth21, |_| {}).await;
        let answer = software.post("/oauth2/token", &[GRANT], &[]).await;
        assert_eq!(answer.expect(200).string("token_type"), "Bearer");
        // With the id beside it too, which is allowed where it agrees.
        let id = software.id.clone();
        software.post("/oauth2/token", &[GRANT, ("client_id", &id)], &[]).await.expect(200);
        let token = answer.string("access_token");
        assert!(house.is_alive(&token).await);
        software.post("/oauth2/revoke", &[("token", &token)], &[]).await.expect(200);
        assert!(!house.is_alive(&token).await, "{alg}");
    }
    // A client that is no resource server may authenticate, and still learns nothing of tokens.
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let answer = software.post("/oauth2/introspect", &[("token", &token)], &[]).await;
    answer.oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn section_3_what_an_assertion_must_say_is_checked() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |client| {
        client.grant_types.insert("client_credentials".to_owned());
    });
    let software = software.await;
    let other = house.software(Profile::Fapi2, |_| {}).await;
    let issuer = house.issuer();
    let ask = async |assertion: &str| {
        let proof = software.proof("/oauth2/token");
        software.post_bare("/oauth2/token", &form(assertion), &[&proof]).await
    };
    let at_endpoint = format!("{issuer}/oauth2/token");
    for other_claims in [
        json!({"iss": other.id}),
        json!({"sub": other.id}),
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"iss": issuer}),
        json!({"aud": null}),
        json!({"aud": "https://elsewhere.example"}),
        json!({"aud": format!("{issuer}/")}),
        // FAPI 2.0 §5.3.2.1: the issuer as a string, and nothing else.
        json!({"aud": [issuer]}),
        json!({"aud": at_endpoint}),
        json!({"aud": format!("{issuer}/oauth2/par")}),
        json!({"exp": null}),
        json!({"exp": now() - 1}),
        json!({"exp": now() - 300}),
        json!({"exp": now() + 700}),
        json!({"exp": "2100-01-01"}),
        json!({"nbf": now() + 61}),
        json!({"iat": now() + 61}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": "x".repeat(257)}),
        json!({"jti": 7}),
    ] {
        let assertion = software.assertion_with(&other_claims);
        ask(&assertion).await.oauth_error(401, "invalid_client");
    }
    // Two clocks are never quite together; other claims mean nothing here.
    for good in [
        json!({}),
        json!({"nbf": now() + 8, "iat": now() + 8}),
        json!({"exp": now() + 590}),
        json!({"exp": f64::from(i32::try_from(now()).unwrap()) + 60.5}),
        json!({"iat": null}),
        json!({"more": {"of": "it"}}),
    ] {
        ask(&software.assertion_with(&good)).await.expect(200);
    }
    let wrong_id = software.assertion();
    let mut fields = form(&wrong_id);
    fields.push(("client_id", &other.id));
    let proof = software.proof("/oauth2/token");
    let answer = software.post_bare("/oauth2/token", &fields, &[&proof]).await;
    answer.oauth_error(401, "invalid_client");
    // That one was not used up by the attempt.
    ask(&wrong_id).await.expect(200);
}

#[tokio::test]
async fn section_3_older_clients_may_name_the_token_endpoint() {
    let house = House::start();
    let issuer = house.issuer();
    for profile in [Profile::Oidc, Profile::Oauth21] {
        let software = house.software(profile, |_| {}).await;
        let ask = async |aud: Value| {
            let assertion = software.assertion_with(&json!({ "aud": aud }));
            software.post_bare("/oauth2/token", &form(&assertion), &[]).await
        };
        for good in [
            json!(issuer),
            json!([issuer]),
            json!(format!("{issuer}/oauth2/token")),
            json!(["https://elsewhere.example", format!("{issuer}/oauth2/token")]),
        ] {
            ask(good).await.expect(200);
        }
        for bad in
            [json!([]), json!(["https://elsewhere.example"]), json!(at(&house, "/")), json!(1)]
        {
            ask(bad).await.oauth_error(401, "invalid_client");
        }
    }
}

#[tokio::test]
async fn section_3_an_assertion_works_once_whoever_sends_it_how_often() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let assertion = software.assertion();
    let fields = form(&assertion);
    let attempts = (0..8).map(|_| software.post_bare("/oauth2/token", &fields, &[]));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.oauth_error(401, "invalid_client");
    }
    software.post_bare("/oauth2/revoke", &fields, &[]).await.oauth_error(401, "invalid_client");
    // The same `jti` in another assertion is used too; of another client it is another one.
    let jti = unique();
    let with = json!({ "jti": jti });
    let (first, second) = (software.assertion_with(&with), software.assertion_with(&with));
    software.post_bare("/oauth2/token", &form(&first), &[]).await.expect(200);
    let answer = software.post_bare("/oauth2/token", &form(&second), &[]).await;
    answer.oauth_error(401, "invalid_client");
    let other = house.software(Profile::Oauth21, |_| {}).await;
    let third = other.assertion_with(&with);
    other.post_bare("/oauth2/token", &form(&third), &[]).await.expect(200);
}

#[tokio::test]
async fn section_3_the_key_and_its_algorithm_are_those_that_were_registered() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let claims = || {
        json!({"iss": software.id, "sub": software.id, "aud": house.issuer(), "jti": unique(),
            "exp": now() + 60})
    };
    let ask =
        async |assertion: &str| software.post_bare("/oauth2/token", &form(assertion), &[]).await;
    let stranger = Signer::new("ES256");
    let key = software.signer.jwk();
    for bad in [
        stranger.jwt(&json!({}), &claims()),
        stranger.jwt(&json!({"kid": key["kid"]}), &claims()),
        stranger.jwt(&json!({"jwk": stranger.jwk()}), &claims()),
        software.signer.jwt(&json!({"alg": "none"}), &claims()),
        software.signer.jwt(&json!({"alg": "HS256"}), &claims()),
        software.signer.jwt(&json!({"alg": "ES384"}), &claims()),
        software.signer.jwt(&json!({"alg": "PS256"}), &claims()),
        software.signer.jwt(&json!({"kid": "another"}), &claims()),
        software.signer.jwt(&json!({"jwk": key}), &claims()),
        software.signer.jwt(&json!({"jku": "https://elsewhere.example/keys"}), &claims()),
        software.signer.jwt(&json!({"x5u": "https://elsewhere.example/cert"}), &claims()),
        software.signer.jwt(&json!({"x5c": []}), &claims()),
        software.signer.jwt(&json!({"crit": []}), &claims()),
        software.signer.jwt(&json!({"b64": false}), &claims()),
        software.signer.jwt(&json!({"typ": "at+jwt"}), &claims()),
        software.signer.jwt(&json!({"typ": "dpop+jwt"}), &claims()),
        software.signer.jwt(&json!({"typ": "oauth-authz-req+jwt"}), &claims()),
        format!("{}x", software.signer.jwt(&json!({}), &claims())),
        "a.b.c".to_owned(),
        software.signer.sign(&json!(["ES256"]), &claims()),
        ".".repeat(20_000),
    ] {
        ask(&bad).await.oauth_error(401, "invalid_client");
    }
    for typ in [Value::Null, json!("JWT"), json!("client-authentication+jwt")] {
        ask(&software.signer.jwt(&json!({ "typ": typ }), &claims())).await.expect(200);
    }
    let without_kid = software.signer.jwt(&json!({"kid": null}), &claims());
    ask(&without_kid).await.expect(200);
    // RS256 is for those that were registered with it, under the profile of OpenID Connect.
    let rs256 = Some(Algorithm::Rs256);
    for (profile, registered, is_good) in [
        (Profile::Oidc, rs256, true),
        (Profile::Oidc, None, false),
        (Profile::Oauth21, rs256, false),
        (Profile::Fapi2, rs256, false),
    ] {
        let change = |client: &mut procura_store::clients::Client| {
            client.registration.token_endpoint_auth_signing_alg = registered;
        };
        let software = house.software_signing("RS256", profile, change).await;
        let answer = software.token(&[GRANT]).await;
        assert_eq!(answer.status, if is_good { 200 } else { 401 }, "{profile} {registered:?}");
    }
}

#[tokio::test]
async fn a_client_proves_itself_in_the_one_way_that_it_is_registered_with() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let id = software.id.clone();
    for fields in [
        vec![GRANT, ("client_id", id.as_str())],
        vec![GRANT, ("client_id", id.as_str()), ("client_secret", "x")],
    ] {
        software.post_bare("/oauth2/token", &fields, &[]).await.oauth_error(401, "invalid_client");
    }
    // Two ways at once, a type that is none, an assertion without its type.
    let assertion = software.assertion();
    let mut fields = form(&assertion);
    fields.push(("client_secret", "x"));
    software.post_bare("/oauth2/token", &fields, &[]).await.oauth_error(400, "invalid_request");
    let answer = house.token_by(Some((&id, "x")), &form(&assertion)).await;
    answer.oauth_error(400, "invalid_request");
    for fields in [
        vec![GRANT, ("client_assertion", assertion.as_str())],
        vec![GRANT, ("client_assertion_type", ASSERTION)],
        vec![GRANT, ("client_assertion_type", "x"), ("client_assertion", &assertion)],
    ] {
        software.post_bare("/oauth2/token", &fields, &[]).await.oauth_error(401, "invalid_client");
    }
    // The portal has a secret; keys that nobody registered are not its keys.
    let (portal, _) = credentials(&house, "portal");
    let forged = software.signer.assertion(portal, house.issuer(), &json!({}));
    let answer = software.post_bare("/oauth2/token", &form(&forged), &[]).await;
    answer.oauth_error(401, "invalid_client");
    // A secret in the database does not help a client that is registered with keys, nor under FAPI.
    for (profile, method) in [
        (Profile::Oauth21, AuthMethod::PrivateKeyJwt),
        (Profile::Fapi2, AuthMethod::ClientSecretBasic),
        (Profile::Fapi2, AuthMethod::None),
    ] {
        let software = house.software(profile, |client| {
            client.registration.token_endpoint_auth_method = method;
            if method != AuthMethod::None {
                client.secrets.push(ClientSecret {
                    hash: "00".repeat(32),
                    created_at: client.created_at,
                    expires_at: None,
                });
            }
        });
        let software = software.await;
        let secret = (software.id.as_str(), "x");
        house.token_by(Some(secret), &[GRANT]).await.oauth_error(401, "invalid_client");
        let bare = [GRANT, ("client_id", software.id.as_str())];
        house.token_by(None, &bare).await.oauth_error(401, "invalid_client");
    }
}

#[tokio::test]
async fn registered_keys_are_public_and_of_a_good_kind() {
    let house = House::start();
    let good = Signer::new("ES256").jwk();
    for (keys, is_good) in [
        (json!([]), true),
        (json!([{"kty": "EC", "crv": "P-384", "x": "x", "y": "y", "kid": "1"}]), true),
        (json!([{"kty": "quantum", "kid": "1"}]), true),
        (json!([merged(&good, &json!({"use": "enc"}))]), true),
        (json!([merged(&good, &json!({"d": "secret"}))]), false),
        (json!([merged(&good, &json!({"d": ""}))]), false),
        (json!([{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}]), false),
    ] {
        let mut all = keys.as_array().unwrap().clone();
        let software = house.software(Profile::Oauth21, |client| {
            let own = client.registration.jwks.as_ref().unwrap()["keys"][0].clone();
            all.push(own);
            client.registration.jwks = Some(json!({ "keys": all }));
        });
        let answer = software.await.token(&[GRANT]).await;
        assert_eq!(answer.status, if is_good { 200 } else { 401 }, "{keys}");
    }
}

#[tokio::test]
async fn a_refused_assertion_leaves_its_reason() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let root = house.log_in("root@procura.test").await;
    let old = software.assertion_with(&json!({"exp": now() - 1}));
    let used = software.assertion();
    software.post_bare("/oauth2/token", &form(&used), &[]).await.expect(200);
    for (assertion, reason) in [(old, "assertion_expired"), (used, "assertion_replayed")] {
        let answer = software.post_bare("/oauth2/token", &form(&assertion), &[]).await;
        assert_eq!(root.reason_of(answer.request_id()).await, reason);
    }
}

#[tokio::test]
async fn keys_by_url_are_fetched_where_the_configuration_lets_the_server_go() {
    let old = Signer::new("ES256");
    let published = Arc::new(Mutex::new(json!({ "keys": [old.jwk()] })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let shown = Arc::clone(&published);
    let routes = axum::Router::new().route(
        "/keys",
        axum::routing::get(async move || axum::Json(shown.lock().unwrap().clone())),
    );
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let ask = async |house: &House, other: Option<&Signer>| {
        let software = house.software(Profile::Oauth21, |client| {
            client.registration.jwks = None;
            client.registration.jwks_uri = Some(url.clone());
        });
        let software = software.await;
        let signer = other.unwrap_or(&old);
        let assertion = signer.assertion(&software.id, house.issuer(), &json!({}));
        software.post_bare("/oauth2/token", &form(&assertion), &[]).await
    };
    let open = House::start_with(HouseOptions {
        environment: vec![
            ("PROCURA__OUTBOUND__ALLOW", "127.0.0.1/32".to_owned()),
            ("PROCURA__OUTBOUND__ALLOW_HTTP", "true".to_owned()),
        ],
        ..HouseOptions::default()
    });
    ask(&open, None).await.expect(200);
    let new = Signer::new("ES256");
    ask(&open, Some(&new)).await.oauth_error(401, "invalid_client");
    published.lock().unwrap()["keys"] = json!([old.jwk(), new.jwk()]);
    ask(&open, Some(&new)).await.expect(200);
    // A server that was not told so calls nobody on its own machine.
    ask(&House::start(), None).await.oauth_error(401, "invalid_client");
    server.abort();
}
