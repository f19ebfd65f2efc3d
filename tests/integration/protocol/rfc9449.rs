//! RFC 9449: tokens that are bound to a key, and proofs that the key is there.

use procura_domain::{AuthMethod, Profile};
use procura_tests::{
    CALLBACK, EXCHANGE, House, HouseOptions, Signer, Software, claims, exchange_form, merged, now,
    proof_claims, token_hash,
};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{PAT, READ_BILLING, at, http, relying_party::ask, send};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const TOKEN: &str = "/oauth2/token";
const CUSTOMERS: &str = "/api/v1/partner/customers";

/// A proof for the token endpoint that differs from a good one in this.
fn bent(software: &Software, header: &Value, other: &Value) -> String {
    let usual = proof_claims("POST", &software.uri(TOKEN));
    software.holder.proof_with(header, &merged(&usual, other))
}

#[tokio::test]
async fn section_5_a_token_is_bound_to_the_key_of_the_proof() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let answer = software.token(&[GRANT]).await;
    assert_eq!(answer.expect(200).string("token_type"), "DPoP");
    let token = answer.string("access_token");
    assert_eq!(claims(&token)["cnf"], json!({"jkt": software.holder.thumbprint()}));
    // Without a proof it is a bearer token, where the client may have one.
    let bare = software.post(TOKEN, &[GRANT], &[]).await;
    assert_eq!(bare.expect(200).string("token_type"), "Bearer");
    assert!(claims(&bare.string("access_token"))["cnf"].is_null());
    let bound =
        house.software(Profile::Oauth21, |c| c.registration.dpop_bound_access_tokens = true);
    let bound = bound.await;
    bound.post(TOKEN, &[GRANT], &[]).await.oauth_error(400, "invalid_dpop_proof");
    bound.token(&[GRANT]).await.expect(200);
    for alg in ["EdDSA", "PS256"] {
        let holder = Signer::new(alg);
        let proof = holder.proof("POST", &software.uri(TOKEN), &json!({}));
        software.post(TOKEN, &[GRANT], &[&proof]).await.expect(200);
    }
}

/// Shows each proof with a request that is good otherwise: it is refused.
async fn refuses(software: &Software, proofs: Vec<String>) {
    for proof in proofs {
        let answer = software.post(TOKEN, &[GRANT], &[&proof]).await;
        answer.oauth_error(400, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn section_4_2_a_proof_brings_its_public_key_and_is_signed_with_it() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let stranger = Signer::new("ES256");
    let private = merged(&software.holder.jwk(), &json!({"d": "c2VjcmV0"}));
    let mut bad = vec![
        Signer::new("RS256").proof("POST", &software.uri(TOKEN), &json!({})),
        "x".to_owned(),
        "a.b.c".to_owned(),
        String::new(),
        format!("{}x", software.proof(TOKEN)),
        format!("{}.x", software.proof(TOKEN)),
    ];
    for header in [
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt"}),
        json!({"alg": null}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "EdDSA"}),
        json!({"jwk": null}),
        json!({"jwk": "x"}),
        json!({"jwk": private}),
        json!({"jwk": stranger.jwk()}),
        json!({"jwk": {"kty": "oct", "k": "c2VjcmV0"}}),
        json!({"jku": "https://elsewhere.example"}),
        json!({"crit": ["x"]}),
    ] {
        bad.push(bent(&software, &header, &json!({})));
    }
    refuses(&software, bad).await;
    software.token(&[GRANT]).await.expect(200);
}

#[tokio::test]
async fn section_4_3_a_proof_is_for_this_request_and_for_now() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let bad = [
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": "x".repeat(257)}),
        json!({"htm": null}),
        json!({"htm": "GET"}),
        json!({"htm": "post"}),
        json!({"htu": null}),
        json!({"htu": house.issuer()}),
        json!({"htu": software.uri("/oauth2/TOKEN")}),
        json!({"htu": "https://elsewhere.example/oauth2/token"}),
        json!({"htu": "/oauth2/token"}),
        json!({"iat": null}),
        json!({"iat": now() - 3600}),
        json!({"iat": now() + 3600}),
        json!({"iat": "now"}),
        json!({"exp": now() - 1}),
        json!({"nbf": now() + 3600}),
        json!({"more": "x".repeat(4096)}),
    ];
    let bad = bad.iter().map(|other| bent(&software, &json!({}), other)).collect();
    refuses(&software, bad).await;
    let (one, two) = (software.proof(TOKEN), software.proof(TOKEN));
    let twice = software.post(TOKEN, &[GRANT], &[&one, &two]).await;
    twice.oauth_error(400, "invalid_dpop_proof");
    for good in [
        json!({}),
        json!({"iat": now() - 10}),
        json!({"iat": now() + 10}),
        json!({"htu": format!("{}?a=b#c", software.uri(TOKEN))}),
        json!({"nbf": now() - 10, "exp": now() + 300}),
        json!({"more": [1, 2]}),
    ] {
        let proof = bent(&software, &json!({}), &good);
        software.post(TOKEN, &[GRANT], &[&proof]).await.expect(200);
    }
}

#[tokio::test]
async fn section_11_1_a_proof_works_once() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let proof = software.proof(TOKEN);
    let proofs = [proof.as_str()];
    let attempts = (0..8).map(|_| software.post(TOKEN, &[GRANT], &proofs));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.oauth_error(400, "invalid_dpop_proof");
    }
    let root = house.log_in("root@procura.test").await;
    let late = software.post(TOKEN, &[GRANT], &proofs).await;
    assert_eq!(root.reason_of(late.request_id()).await, "proof_replayed");
    // The `jti` of another key is another one.
    let jti = json!({"jti": claims(&proof)["jti"]});
    let other = Signer::new("ES256").proof("POST", &software.uri(TOKEN), &jti);
    software.post(TOKEN, &[GRANT], &[&other]).await.expect(200);
}

#[tokio::test]
async fn section_8_a_server_may_demand_its_nonce() {
    let environment = vec![("PROCURA__TOKENS__IS_DPOP_NONCE_REQUIRED", "true".to_owned())];
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let first = software.token(&[GRANT]).await;
    first.oauth_error(400, "use_dpop_nonce");
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    for wrong in
        [json!({"nonce": ""}), json!({"nonce": "x"}), json!({"nonce": format!("{nonce}x")})]
    {
        let proof = bent(&software, &json!({}), &wrong);
        software.post(TOKEN, &[GRANT], &[&proof]).await.oauth_error(400, "use_dpop_nonce");
    }
    let proof = bent(&software, &json!({}), &json!({ "nonce": nonce }));
    let answer = software.post(TOKEN, &[GRANT], &[&proof]).await;
    answer.expect(200);
    assert!(answer.header("dpop-nonce").is_some(), "for the next one");
    software.post(TOKEN, &[GRANT], &[&proof]).await.oauth_error(400, "invalid_dpop_proof");
    // Where no nonce is demanded, none is offered.
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    assert_eq!(software.token(&[GRANT]).await.expect(200).header("dpop-nonce"), None);
}

/// A login through this client, with its proof: the home token.
async fn home_token(house: &House, software: &Software) -> String {
    let visitor = house.visitor();
    let (url, verifier) = visitor.request_of(&software.id, CALLBACK, &[]);
    let code = visitor.code_by(url.as_str(), PAT).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let answer = software.token(&form).await;
    assert_eq!(answer.expect(200).string("token_type"), "DPoP");
    answer.string("access_token")
}

#[tokio::test]
async fn section_7_1_our_own_resources_take_a_bound_token_with_its_proof_only() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let token = home_token(&house, &software).await;
    for path in [CUSTOMERS, "/oauth2/userinfo"] {
        let uri = software.uri(path);
        let ask = async |scheme: &str, proofs: &[String]| {
            let mut request = http().get(&uri).header(AUTHORIZATION, format!("{scheme} {token}"));
            for proof in proofs {
                request = request.header("dpop", proof);
            }
            send(request).await
        };
        let good = || software.holder.proof_for("GET", &uri, &token);
        let with = |other: Value| {
            let usual = merged(&proof_claims("GET", &uri), &json!({"ath": token_hash(&token)}));
            software.holder.proof_with(&json!({}), &merged(&usual, &other))
        };
        let used = good();
        ask("DPoP", std::slice::from_ref(&used)).await.expect(200);
        ask("dpop", &[good()]).await.expect(200);
        for (scheme, proofs) in [
            ("Bearer", vec![]),
            ("Bearer", vec![good()]),
            ("DPoP", vec![]),
            ("DPoP", vec![used]),
            ("DPoP", vec![good(), good()]),
            ("DPoP", vec![with(json!({"ath": null}))]),
            ("DPoP", vec![with(json!({"ath": token_hash("x")}))]),
            ("DPoP", vec![with(json!({"htm": "POST"}))]),
            ("DPoP", vec![with(json!({"htu": software.uri("/")}))]),
            ("DPoP", vec![with(json!({"iat": now() - 3600}))]),
            ("DPoP", vec![Signer::new("ES256").proof_for("GET", &uri, &token)]),
        ] {
            let answer = ask(scheme, &proofs).await;
            assert_eq!(answer.status, 401, "{path} {scheme} {}", answer.text);
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    // A bearer token does not become a bound one by a proof.
    let pat = house.log_in(PAT).await;
    let uri = software.uri(CUSTOMERS);
    let request = http().get(&uri).header(AUTHORIZATION, format!("DPoP {}", pat.home));
    let proof = software.holder.proof_for("GET", &uri, &pat.home);
    send(request.header("dpop", proof)).await.problem(401, "unauthenticated");
    pat.get(CUSTOMERS).await.expect(200);
    // Introspection says what it is, to who may know.
    house.api(&token, Method::GET, CUSTOMERS, None).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_delegated_token_stays_bound_to_the_key_of_its_subject_token() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let home = home_token(&house, &software).await;
    let form = exchange_form(&home, "acme-corp", READ_BILLING);
    let root = house.log_in("root@procura.test").await;
    let stranger = Signer::new("ES256").proof("POST", &software.uri(TOKEN), &json!({}));
    for proofs in [vec![], vec![stranger.as_str()]] {
        let answer = software.post(TOKEN, &form, &proofs).await;
        let text = answer.oauth_error(400, "invalid_request");
        assert_eq!(text, "The subject token cannot be exchanged.");
        assert_eq!(root.reason_of(answer.request_id()).await, "token_bound_to_a_key");
    }
    let answer = software.token(&form).await;
    assert_eq!(answer.expect(200).string("token_type"), "DPoP");
    let token = answer.string("access_token");
    assert_eq!(claims(&token)["cnf"]["jkt"], software.holder.thumbprint());
    assert_eq!(claims(&token)["tenant"], house.tenant("acme-corp"));
    // A bearer token may become bound on the way, never the other way round.
    let pat = house.log_in(PAT).await;
    let portal = &house.demo().clients["portal"];
    let form = exchange_form(&pat.home, "acme-corp", READ_BILLING);
    let request = http()
        .post(at(&house, TOKEN))
        .basic_auth(&portal.client_id, portal.client_secret.as_ref())
        .header("dpop", software.proof(TOKEN));
    let answer = send(request.form(&form)).await;
    assert_eq!(answer.expect(200).string("token_type"), "DPoP");
    assert_eq!(form[0], ("grant_type", EXCHANGE));
}

#[tokio::test]
async fn section_10_a_code_is_bound_to_the_key_that_was_named_when_it_was_asked_for() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let visitor = house.visitor();
    let thumbprint = software.holder.thumbprint();
    let bound = [("dpop_jkt", thumbprint.as_str())];
    let (url, verifier) = visitor.request_of(&software.id, CALLBACK, &bound);
    let code = visitor.code_by(url.as_str(), PAT).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let stranger = Signer::new("ES256").proof("POST", &software.uri(TOKEN), &json!({}));
    for proofs in [vec![], vec![stranger.as_str()]] {
        software.post(TOKEN, &form, &proofs).await.oauth_error(400, "invalid_grant");
    }
    software.token(&form).await.expect(200);
    let (url, _) = visitor.request_of(&software.id, CALLBACK, &[("dpop_jkt", "x")]);
    let answer = visitor.visit(url.as_str()).await;
    assert!(answer.location().contains("error=invalid_request"), "{}", answer.location());
}

#[tokio::test]
async fn section_5_a_refresh_token_of_a_public_client_works_with_its_key_alone() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |client| {
        client.registration.token_endpoint_auth_method = AuthMethod::None;
        client.grant_types.insert("refresh_token".to_owned());
        client.scope = "openid offline_access".parse().unwrap();
    });
    let software = software.await;
    let visitor = house.visitor();
    let (mut url, verifier) = visitor.request_of(&software.id, CALLBACK, &[]);
    let others: Vec<_> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "scope").collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("scope", "openid offline_access");
    let code = visitor.code_by(url.as_str(), PAT).await;
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
        ("client_id", software.id.as_str()),
    ];
    let proof = software.proof("/oauth2/token");
    let first = software.post_bare("/oauth2/token", &redemption, &[&proof]).await;
    let token = first.expect(200).string("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_id", software.id.as_str()),
    ];
    let thief = software.with_another_key();
    for proofs in [vec![], vec![thief.proof("/oauth2/token")]] {
        let proofs: Vec<_> = proofs.iter().map(String::as_str).collect();
        let answer = software.post_bare("/oauth2/token", &form, &proofs).await;
        answer.oauth_error(400, "invalid_grant");
    }
    let proof = software.proof("/oauth2/token");
    software.post_bare("/oauth2/token", &form, &[&proof]).await.expect(200);
}

#[tokio::test]
async fn whoever_says_to_be_a_public_client_fills_no_disk_with_proofs() {
    let limit = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "2".to_owned());
    let house =
        House::start_with(HouseOptions { environment: vec![limit], ..HouseOptions::default() });
    let public = house
        .software(Profile::Oauth21, |c| {
            c.registration.token_endpoint_auth_method = AuthMethod::None;
            c.grant_types.remove("client_credentials");
        })
        .await;
    let confidential = house.software(Profile::Oauth21, |_| {}).await;
    let guess = async || {
        let verifier = "x".repeat(43);
        let form = [
            ("client_id", public.id.as_str()),
            ("grant_type", "authorization_code"),
            ("code", "guess"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &verifier),
        ];
        public.post_bare(TOKEN, &form, &[&public.proof(TOKEN)]).await
    };
    let remembered = async || {
        let count = "SELECT CAST(count(*) AS TEXT) FROM used_values".to_owned();
        ask(&house, count).await[0].parse::<u32>().unwrap()
    };
    for _ in 0..2 {
        guess().await.oauth_error(400, "invalid_grant");
    }
    for _ in 0..20 {
        guess().await.oauth_error(429, "temporarily_unavailable");
    }
    // Two whose failures have an entry, and five times as many as begin to log in.
    assert_eq!(remembered().await, 12);
    // Whoever proves who it is is served as always.
    confidential.token(&[GRANT]).await.expect(200);
    assert!(remembered().await > 12);
}
