//! Forged, bent and foreign tokens: each is refused, and its honest twin passes.
#![cfg(feature = "issue")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_token::{
    Algorithm, Jwks, KeyId, KeySet, Kind, Rejection, Shown, Ts,
    crypto::MacKey,
    jws::{ACCESS_TOKEN_TYPE, Expected},
    signing::SigningKey,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "https://api.example";
const NOW: Ts = Ts::from_secs(1_800_000_000);

fn key(alg: Algorithm) -> SigningKey {
    let pkcs8 = SigningKey::generate(alg).unwrap();
    SigningKey::load(KeyId::from_bits(7), alg, &pkcs8).unwrap()
}

fn keys(of: &SigningKey) -> KeySet {
    KeySet::new(&Jwks { keys: vec![of.public().unwrap()] }).unwrap()
}

fn expected() -> Expected {
    Expected {
        issuer: ISSUER.into(),
        audience: Some(AUDIENCE.into()),
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        leeway_secs: 5,
    }
}

fn delegated() -> Value {
    let id = |prefix: &str, n: u8| format!("{prefix}_{:032x}", u128::from(n));
    json!({
        "iss": ISSUER, "sub": id("dp", 1), "aud": AUDIENCE, "client_id": "cli_portal",
        "iat": NOW.secs(), "nbf": NOW.secs(), "exp": NOW.secs() + 300, "jti": "j",
        "tenant": id("ten", 2), "audit_actor_tenant": id("ten", 3),
        "managed_tenant_ids": [id("ten", 2)],
        "act": {"iss": ISSUER, "sub": id("usr", 4), "sub_profile": "user", "tenant": id("ten", 3)},
        "sid": id("ses", 5), "dlg": id("dlg", 6), "rel": id("rel", 7), "scope": "a.read",
        "rvs": 1_763_690_100_004_211_i64
    })
}

/// A token of any header and payload with a genuine ES256 signature.
fn signed(key: &SigningKey, header: &str, payload: &[u8]) -> String {
    use josekit::jws::JwsSigner;
    let text = format!("{}.{}", B64.encode(header), B64.encode(payload));
    let signature = JwsSigner::sign(key, text.as_bytes()).unwrap();
    format!("{text}.{}", B64.encode(signature))
}

fn header() -> String {
    format!(r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#, KeyId::from_bits(7))
}

fn verdict(key: &SigningKey, token: &str) -> Result<Kind, Rejection> {
    expected().access_token(token, &keys(key), Shown::Bearer, NOW).map(|genuine| genuine.kind)
}

#[test]
fn every_algorithm_verifies_what_it_signs_and_only_where_it_is_allowed() {
    for alg in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256] {
        let key = key(alg);
        let token = key.sign(ACCESS_TOKEN_TYPE, &delegated()).unwrap();
        let all = Expected { algorithms: vec![alg], ..expected() };
        assert!(all.access_token(&token, &keys(&key), Shown::Bearer, NOW).is_ok(), "{alg}");
        let other = Expected { algorithms: vec![], ..expected() };
        let refused = other.access_token(&token, &keys(&key), Shown::Bearer, NOW);
        assert_eq!(refused.err(), Some(Rejection::Algorithm), "{alg}");
    }
}

#[test]
fn the_header_chooses_neither_algorithm_nor_key_nor_extension() {
    let key = key(Algorithm::Es256);
    let payload = serde_json::to_vec(&delegated()).unwrap();
    assert!(verdict(&key, &signed(&key, &header(), &payload)).is_ok(), "the honest twin");
    let kid = KeyId::from_bits(7);
    for more in [
        r#""jwk":{"kty":"EC"}"#,
        r#""jku":"https://evil.test/keys""#,
        r#""x5u":"https://evil.test/cert""#,
        r#""x5c":[]"#,
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""alg":"ES256""#,
        r#""cty":"JWT""#,
    ] {
        let bent = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt",{more}}}"#);
        assert_eq!(verdict(&key, &signed(&key, &bent, &payload)), Err(Rejection::Header), "{more}");
    }
    for alg in ["none", "None", "NONE", "HS256", "RS256", "EdDSA", "ES384", ""] {
        let bent = format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"at+jwt"}}"#);
        let refused = verdict(&key, &signed(&key, &bent, &payload));
        assert_eq!(refused, Err(Rejection::Algorithm), "{alg}");
        let text = format!("{}.{}.", B64.encode(&bent), B64.encode(&payload));
        assert!(verdict(&key, &text).is_err(), "{alg} unsigned");
    }
    for typ in ["JWT", "logout+jwt", "at", "", "application/", "xapplication/at+jwt"] {
        let bent = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#);
        assert_eq!(verdict(&key, &signed(&key, &bent, &payload)), Err(Rejection::Header), "{typ}");
    }
    for typ in ["AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        let bent = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#);
        assert!(verdict(&key, &signed(&key, &bent, &payload)).is_ok(), "{typ}");
    }
    for kid in ["../../etc/passwd", "' OR 1=1 --", "https://evil.test/", ""] {
        let bent = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#);
        let refused = verdict(&key, &signed(&key, &bent, &payload));
        assert_eq!(refused, Err(Rejection::UnknownKey), "{kid}");
    }
    for bent in ["", "[]", "null", r#"{"alg":"ES256"}"#, "{", "\u{0}"] {
        assert!(verdict(&key, &signed(&key, bent, &payload)).is_err(), "{bent:?}");
    }
}

#[test]
fn a_public_key_is_no_secret_for_hmac() {
    let key = key(Algorithm::Es256);
    let jwk = serde_json::to_string(&key.public().unwrap()).unwrap();
    let head = header().replace("ES256", "HS256");
    let payload = serde_json::to_vec(&delegated()).unwrap();
    let text = format!("{}.{}", B64.encode(head), B64.encode(payload));
    let tag = MacKey::new(jwk.as_bytes()).tag(&[text.as_bytes()]);
    let token = format!("{text}.{}", B64.encode(tag));
    assert_eq!(verdict(&key, &token), Err(Rejection::Algorithm));
}

#[test]
fn a_key_of_another_issuer_signs_nothing_for_us() {
    let (ours, theirs) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let token = theirs.sign(ACCESS_TOKEN_TYPE, &delegated()).unwrap();
    assert_eq!(verdict(&ours, &token), Err(Rejection::Signature));
}

#[test]
fn claims_are_of_their_type_and_within_their_time() {
    let key = key(Algorithm::Es256);
    let with = |name: &str, value: Value| {
        let mut claims = delegated();
        claims[name] = value;
        verdict(&key, &key.sign(ACCESS_TOKEN_TYPE, &claims).unwrap())
    };
    let now = NOW.secs();
    assert_eq!(with("exp", json!(now)), Err(Rejection::Expired));
    assert!(with("exp", json!(now + 1)).is_ok());
    assert_eq!(with("nbf", json!(now + 6)), Err(Rejection::NotYetValid));
    assert!(with("nbf", json!(now + 5)).is_ok());
    assert_eq!(with("iat", json!(now + 6)), Err(Rejection::NotYetValid));
    assert_eq!(with("iss", json!("https://auth.example/")), Err(Rejection::Issuer));
    for audience in ["https://api.example/", "https://api.example.evil", "https://api.exampl", ""] {
        assert_eq!(with("aud", json!(audience)), Err(Rejection::Audience), "{audience}");
    }
    assert_eq!(with("cnf", json!({"jkt": "x"})), Err(Rejection::Bound));
    for unknown in [json!({"x5t#S256": "x"}), json!({"jkt": "x", "jwk": {}}), json!({})] {
        assert_eq!(with("cnf", unknown), Err(Rejection::Malformed));
    }
    for name in ["exp", "iat", "nbf", "rvs"] {
        for bad in [json!("1800000000"), json!(1.5), json!(null), json!([now]), json!(1e300)] {
            assert_eq!(with(name, bad.clone()), Err(Rejection::Malformed), "{name} {bad}");
        }
    }
    for (name, bad) in [
        ("aud", json!([AUDIENCE])),
        ("scope", json!(["a.read"])),
        ("tenant", json!("acme")),
        ("client_id", json!("usr_1")),
        ("sid", json!("ten_00000000000000000000000000000001")),
    ] {
        assert_eq!(with(name, bad), Err(Rejection::Malformed), "{name}");
    }
    for name in
        ["iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "tenant", "scope", "rvs"]
    {
        let mut claims = delegated();
        claims.as_object_mut().unwrap().remove(name);
        let refused = verdict(&key, &key.sign(ACCESS_TOKEN_TYPE, &claims).unwrap());
        assert_eq!(refused, Err(Rejection::Malformed), "{name}");
    }
    let twice = delegated().to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    let token = signed(&key, &header(), twice.as_bytes());
    assert_eq!(verdict(&key, &token), Err(Rejection::Malformed), "a repeated member");
}

#[test]
fn a_token_that_is_only_partly_delegated_is_no_token() {
    let key = key(Algorithm::Es256);
    let sign = |claims: &Value| verdict(&key, &key.sign(ACCESS_TOKEN_TYPE, claims).unwrap());
    assert!(matches!(sign(&delegated()), Ok(Kind::Delegated(_))));
    for name in ["act", "audit_actor_tenant", "dlg", "rel", "managed_tenant_ids", "sid"] {
        let mut claims = delegated();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(sign(&claims), Err(Rejection::Incoherent), "{name}");
    }
    let tenant = |n: u8| json!(format!("ten_{:032x}", u128::from(n)));
    for (name, value) in [
        ("audit_actor_tenant", tenant(2)),
        ("audit_actor_tenant", tenant(9)),
        ("tenant", tenant(3)),
        ("tenant", tenant(9)),
        ("managed_tenant_ids", json!([tenant(2), tenant(8)])),
        ("managed_tenant_ids", json!([])),
        ("partner_id", tenant(3)),
        ("managed_tenant_count", json!(1)),
        ("sub", json!("usr_00000000000000000000000000000004")),
        ("sub", json!("cli_portal")),
    ] {
        let mut claims = delegated();
        claims[name] = value.clone();
        assert_eq!(sign(&claims), Err(Rejection::Incoherent), "{name} {value}");
    }
    let mut foreign = delegated();
    foreign["act"]["iss"] = json!("https://elsewhere.example");
    assert_eq!(sign(&foreign), Err(Rejection::Incoherent));
}

#[test]
fn a_flood_of_dots_or_bytes_is_refused_before_anything_is_decoded() {
    let key = key(Algorithm::Es256);
    for text in
        [".".repeat(1 << 20), "a".repeat(1 << 20), "a.b".into(), "a.b.c.d".into(), String::new()]
    {
        assert_eq!(verdict(&key, &text), Err(Rejection::Malformed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_changed_character_survives(place in any::<prop::sample::Index>(), to in any::<u8>()) {
        let key = key(Algorithm::Es256);
        let token = key.sign(ACCESS_TOKEN_TYPE, &delegated()).unwrap();
        let mut bytes = token.clone().into_bytes();
        let at = place.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(bent) = String::from_utf8(bytes) {
            prop_assert!(verdict(&key, &bent).is_err(), "{at} {to}");
        }
    }

    #[test]
    fn no_truncated_or_padded_token_survives(cut in any::<prop::sample::Index>()) {
        let key = key(Algorithm::EdDsa);
        let token = key.sign(ACCESS_TOKEN_TYPE, &delegated()).unwrap();
        prop_assert!(verdict(&key, &token[..cut.index(token.len())]).is_err());
        for tail in ["=", "A", " ", "\n", "."] {
            let longer = format!("{token}{tail}");
            prop_assert!(verdict(&key, &longer).is_err());
        }
    }
}
