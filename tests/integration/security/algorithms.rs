//! Signatures that are none: whatever a header says, wherever a JWT is taken (S15, S35 to S38).

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64},
};
use procura_domain::Profile;
use procura_tests::{
    ASSERTION, House, Isp, Signer, claims, exchange_form, header, merged, now, proof_claims, unique,
};
use procura_token::crypto::MacKey;
use reqwest::Method;
use serde_json::{Value, json};

use super::{BILLING, CUSTOMERS, PAT, READ_BILLING, at, http, patient_house, send};

/// One element of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    match content.len() {
        length @ 0..128 => all.push(u8::try_from(length).unwrap()),
        length => {
            let bytes = u16::try_from(length).unwrap().to_be_bytes();
            all.extend([0x82, bytes[0], bytes[1]]);
        }
    }
    all.extend(content);
    all
}

/// A public key as `SubjectPublicKeyInfo`.
fn spki(jwk: &Value) -> Vec<u8> {
    let part = |name: &str| B64.decode(jwk[name].as_str().unwrap()).unwrap();
    let bits = |content: Vec<u8>| der(3, &[vec![0], content].concat());
    match jwk["kty"].as_str().unwrap() {
        "EC" => {
            let algorithm = [
                der(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
                der(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
            ];
            let point = [vec![4], part("x"), part("y")].concat();
            der(0x30, &[der(0x30, &algorithm.concat()), bits(point)].concat())
        }
        "RSA" => {
            let algorithm = [der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), der(5, &[])];
            let n = [vec![0], part("n")].concat();
            let key = der(0x30, &[der(2, &n), der(2, &part("e"))].concat());
            der(0x30, &[der(0x30, &algorithm.concat()), bits(key)].concat())
        }
        _ => Vec::new(),
    }
}

/// Everything that somebody might take for the secret who knows the public key.
fn secrets(jwk: &Value) -> Vec<Vec<u8>> {
    let spki = spki(jwk);
    let text = STANDARD.encode(&spki);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    let lines = lines.join("\n");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----");
    let mut all = vec![
        Vec::new(),
        b"secret".to_vec(),
        jwk.to_string().into_bytes(),
        serde_json::to_vec_pretty(jwk).unwrap(),
        json!({ "keys": [jwk] }).to_string().into_bytes(),
        spki,
        text.into_bytes(),
        pem.clone().into_bytes(),
        format!("{pem}\n").into_bytes(),
        pem.replace('\n', "\r\n").into_bytes(),
    ];
    for name in ["x", "y", "n", "e", "kid"] {
        if let Some(value) = jwk[name].as_str() {
            all.push(value.as_bytes().to_vec());
            all.push(B64.decode(value).unwrap_or_default());
        }
    }
    all
}

/// Kids that lead somewhere, where somebody looks them up.
const KIDS: &[&str] = &[
    "../../../../dev/null",
    "/dev/null",
    "/proc/sys/kernel/randomize_va_space",
    "' OR '1'='1",
    "x' UNION SELECT 'k'--",
    "https://evil.test/keys",
    "file:///etc/hostname",
    "|id",
    "\u{0}",
    "",
    "0",
];

/// Forgeries of a JWT with this header and payload, for which `jwk` would be the right key.
fn forgeries(head: &Value, payload: &Value, jwk: &Value) -> Vec<String> {
    let text = |more: &Value| {
        let head = merged(head, more);
        format!("{}.{}", B64.encode(head.to_string()), B64.encode(payload.to_string()))
    };
    let mut all = Vec::new();
    for alg in ["HS256", "HS384", "HS512", "hs256"] {
        let text = text(&json!({ "alg": alg }));
        for secret in secrets(jwk) {
            let tag = MacKey::new(&secret).tag(&[text.as_bytes()]);
            all.push(format!("{text}.{}", B64.encode(tag)));
        }
    }
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "null"] {
        let text = text(&json!({ "alg": alg }));
        all.extend(["", "AA", "e30"].map(|signature| format!("{text}.{signature}")));
    }
    all.push(format!("{}.", text(&json!({ "alg": null }))));
    // A signature of nothing but zeros, and one in another form.
    let usual = text(&json!({}));
    all.push(format!("{usual}."));
    for length in [1, 64, 96, 256] {
        all.push(format!("{usual}.{}", B64.encode(vec![0; length])));
    }
    all.push(format!("{usual}.{}", B64.encode(der(0x30, &[der(2, &[1]), der(2, &[1])].concat()))));
    // Somebody else's key, however it is brought along.
    for alg in ["ES256", "EdDSA", "PS256", "RS256"] {
        let stranger = Signer::new(alg);
        let (own, url) = (stranger.jwk(), "https://evil.test/keys");
        let x5c = json!([STANDARD.encode(spki(&own))]);
        for more in [
            json!({}),
            json!({"kid": own["kid"]}),
            json!({"kid": null}),
            json!({"jwk": own}),
            json!({"jwk": own, "kid": own["kid"]}),
            json!({"jku": url, "kid": own["kid"]}),
            json!({"x5u": url}),
            json!({"x5c": x5c}),
            json!({"x5t": "x", "x5t#S256": "x"}),
        ] {
            let head = merged(&merged(head, &json!({ "alg": alg })), &more);
            all.push(stranger.sign(&head, payload));
        }
        all.extend(KIDS.iter().map(|kid| {
            let head = merged(head, &json!({"alg": alg, "kid": kid}));
            stranger.sign(&head, payload)
        }));
    }
    all
}

/// What a holder of the right key signs, with a header that nobody may believe.
fn bent(signer: &Signer, head: &Value, payload: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        ["ES384", "ES256K", "ES512", "es256", "ES256 ", "EdDSA", "PS256", "RS256", "HS256", "none"]
            .into_iter()
            .filter(|alg| *alg != signer.alg())
            .map(|alg| signer.sign(&merged(head, &json!({ "alg": alg })), payload))
            .collect();
    for more in [
        json!({"crit": ["exp"]}),
        json!({"crit": ["urn:example:unknown"], "urn:example:unknown": true}),
        json!({"crit": []}),
        json!({"crit": ["alg", "alg"]}),
        json!({"crit": "exp"}),
        json!({"crit": {"exp": 1}}),
        json!({"crit": false}),
        json!({"b64": false}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"b64": true, "crit": ["b64"]}),
        json!({"jku": "https://evil.test/keys"}),
        json!({"x5u": "https://evil.test/keys"}),
        json!({"x5c": []}),
    ] {
        all.push(signer.sign(&merged(head, &more), payload));
    }
    all
}

#[tokio::test]
async fn no_client_is_believed_without_its_own_signature() {
    let house = patient_house();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (signer, jwk) = (&software.signer, software.signer.jwk());
    let head = json!({"alg": signer.alg(), "kid": jwk["kid"]});
    let grant = ("grant_type", "client_credentials");
    let assertion = |jti: &str| json!({"iss": software.id, "sub": software.id, "aud": house.issuer(), "exp": now() + 600, "jti": jti});
    let ask = async |assertion: &str| {
        let kind = ("client_assertion_type", ASSERTION);
        let form = [grant, kind, ("client_assertion", assertion)];
        software.post_bare("/oauth2/token", &form, &[]).await
    };
    let claims = assertion("never used up");
    let all = [forgeries(&head, &claims, &jwk), bent(signer, &head, &claims)].concat();
    assert!(all.len() > 150, "{}", all.len());
    for forged in &all {
        let answer = ask(forged).await;
        assert_eq!(answer.status, 401, "{}", header(forged));
        answer.oauth_error(401, "invalid_client");
    }
    ask(&signer.sign(&head, &claims)).await.expect(200);

    let (asks, _) = software.asks(&json!({}));
    let more = json!({"iss": software.id, "aud": house.issuer(), "nbf": now(), "exp": now() + 300,
        "jti": unique()});
    let claims = merged(&asks, &more);
    let head = merged(&head, &json!({"typ": "oauth-authz-req+jwt"}));
    let push = async |request: &str| {
        software.push(&json!({"client_id": software.id, "request": request})).await
    };
    for forged in [forgeries(&head, &claims, &jwk), bent(signer, &head, &claims)].concat() {
        let answer = push(&forged).await;
        assert_eq!(answer.status, 400, "{}", header(&forged));
        answer.oauth_error(400, "invalid_request_object");
    }
    push(&signer.sign(&head, &claims)).await.expect(201);
}

#[tokio::test]
async fn no_proof_is_one_without_the_signature_of_the_key_that_it_brings() {
    let house = patient_house();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let holder = &software.holder;
    let jwk = holder.jwk();
    let head = json!({"typ": "dpop+jwt", "alg": holder.alg(), "jwk": jwk});
    let claims = proof_claims("POST", &software.uri("/oauth2/token"));
    let form = [("grant_type", "client_credentials")];
    let forged = forgeries(&head, &claims, &jwk).into_iter().filter(|forged| {
        // Whoever brings a key of their own holds it: that is what a proof says.
        header(forged)["jwk"] == jwk
    });
    let symmetric = json!({"kty": "oct", "k": B64.encode("secret")});
    let own = merged(&jwk, &json!({"d": B64.encode([7; 32])}));
    let heads = [
        json!({"jwk": symmetric}),
        json!({"jwk": own}),
        json!({"jwk": null}),
        json!({"jwk": [jwk]}),
    ];
    let shown = heads.map(|more| holder.sign(&merged(&head, &more), &claims));
    let all: Vec<String> = forged.chain(bent(holder, &head, &claims)).chain(shown).collect();
    assert!(all.len() > 100, "{}", all.len());
    for forged in &all {
        let answer = software.post("/oauth2/token", &form, &[forged]).await;
        assert_eq!(answer.status, 400, "{}", header(forged));
        answer.oauth_error(400, "invalid_dpop_proof");
    }
    let proof = holder.proof_with(&json!({}), &claims);
    let answer = software.post("/oauth2/token", &form, &[&proof]).await;
    assert_eq!(answer.expect(200).string("token_type"), "DPoP");
}

/// What takes tokens that we sign.
struct Places {
    house: House,
    isp: Isp,
}

impl Places {
    /// The places that take it.
    async fn taking(&self, token: &str) -> Vec<&'static str> {
        let house = &self.house;
        let mut taking = Vec::new();
        if house.token(&exchange_form(token, "acme-corp", READ_BILLING)).await.status == 200 {
            taking.push("subject token");
        }
        if house.api(token, Method::GET, CUSTOMERS, None).await.status == 200 {
            taking.push("management API");
        }
        let known = http().get(at(house, "/oauth2/userinfo")).bearer_auth(token);
        if send(known).await.status == 200 {
            taking.push("userinfo");
        }
        if self.isp.get(token, BILLING).await.status == 200 {
            taking.push("resource server");
        }
        if house.is_alive(token).await {
            taking.push("introspection");
        }
        let leave = at(house, &format!("/oauth2/logout?id_token_hint={token}"));
        if send(http().get(leave)).await.status == 200 {
            taking.push("hint");
        }
        taking
    }
}

#[tokio::test]
async fn nothing_is_taken_for_ours_that_we_did_not_sign() {
    let house = patient_house();
    let isp = Isp::start(&house).await;
    let pat = house.log_in(PAT).await;
    let delegated = pat.switch("acme-corp", READ_BILLING).await;
    let keys = send(http().get(at(&house, "/oauth2/jwks"))).await.expect(200).json();
    let keys = keys["keys"].as_array().unwrap().clone();
    let places = Places { house, isp };
    for token in [&pat.home, &delegated, &pat.id_token] {
        let (head, payload) = (header(token), claims(token));
        let is_its = |key: &&Value| key["kid"] == head["kid"];
        let own = keys.iter().find(is_its).expect("the key that signed it");
        let other = keys.iter().find(|key| !is_its(key)).expect("another key of ours");
        // Many for one token and the key that signed it, some for the others.
        let few = if token == &pat.home { 2 } else { 5 };
        for (key, step) in [(own, few), (other, 11)] {
            let head = merged(&head, &json!({"kid": key["kid"]}));
            for forged in forgeries(&head, &payload, key).into_iter().step_by(step) {
                let taking = places.taking(&forged).await;
                assert!(taking.is_empty(), "{taking:?} took {}", header(&forged));
            }
        }
        // The signature of one over what another says.
        for other in [&pat.home, &delegated, &pat.id_token] {
            if other != token {
                let (said, _) = token.rsplit_once('.').unwrap();
                let (_, signature) = other.rsplit_once('.').unwrap();
                assert!(places.taking(&format!("{said}.{signature}")).await.is_empty());
            }
        }
    }
    let home = places.taking(&pat.home).await;
    assert_eq!(home, ["subject token", "management API", "userinfo"]);
    assert_eq!(places.taking(&delegated).await, ["resource server", "introspection"]);
    assert_eq!(places.taking(&pat.id_token).await, ["hint"]);
}
