//! Keys and kinds: what is signed verifies, nothing private is published, and a token is wholly of
//! one kind or none.
#![cfg(feature = "issue")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_token::{
    Algorithm, Jwk, Jwks, KeyId, KeySet, Kind, Rejection, Ts,
    jws::{self, ACCESS_TOKEN_TYPE, Expected},
    signing::SigningKey,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];
const NOW: i64 = 1_800_000_000;

/// One key of each algorithm; RSA keys take too long to make for each test.
fn signing_keys() -> &'static [SigningKey] {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let load = |(n, alg): (u128, Algorithm)| {
            let pkcs8 = SigningKey::generate(alg).unwrap();
            SigningKey::load(KeyId::from_bits(n), alg, &pkcs8).unwrap()
        };
        (1..).zip(ALL).map(load).collect()
    })
}

fn jwks() -> Jwks {
    Jwks { keys: signing_keys().iter().map(|key| key.public().unwrap()).collect() }
}

fn id(prefix: &str, n: u8) -> String {
    format!("{prefix}_{:032x}", u128::from(n))
}

fn base() -> Value {
    json!({
        "iss": "https://auth.example", "aud": "https://api.example", "client_id": "cli_portal",
        "iat": NOW, "nbf": NOW, "exp": NOW + 300, "jti": "j", "tenant": id("ten", 1),
        "scope": "", "rvs": 7
    })
}

fn home() -> Value {
    let mut claims = base();
    claims["sub"] = json!(id("usr", 2));
    claims["sid"] = json!(id("ses", 3));
    claims
}

fn own() -> Value {
    let mut claims = base();
    claims["sub"] = json!("cli_portal");
    claims
}

fn verdict(token: &str) -> Result<Kind, Rejection> {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    let expected = Expected {
        issuer: "https://auth.example".into(),
        audience: None,
        algorithms: ALL.to_vec(),
        leeway_secs: 0,
    };
    let keys = KEYS.get_or_init(|| KeySet::new(&jwks()).unwrap());
    expected
        .access_token(token, keys, procura_token::Shown::Bearer, Ts::from_secs(NOW))
        .map(|genuine| genuine.kind)
}

fn kind(claims: &Value) -> Result<Kind, Rejection> {
    verdict(&signing_keys()[0].sign(ACCESS_TOKEN_TYPE, claims).unwrap())
}

#[test]
fn nothing_private_is_published() {
    let published = serde_json::to_value(jwks()).unwrap();
    let keys = published["keys"].as_array().unwrap();
    assert_eq!(keys.len(), ALL.len());
    for key in keys {
        for (name, _) in key.as_object().unwrap() {
            let public = ["kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"];
            assert!(public.contains(&name.as_str()), "{name}");
        }
    }
    let mut private = keys[0].clone();
    private["d"] = json!("secret");
    let read: Jwk = serde_json::from_value(private).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), keys[0], "there is no place for it");
}

#[test]
fn a_set_of_keys_is_unambiguous_and_takes_only_what_verifies() {
    let all = jwks().keys;
    let (ec, ed, rsa) = (all[0].clone(), all[1].clone(), all[2].clone());
    let twice = Jwks { keys: vec![ec.clone(), Jwk { kid: ec.kid.clone(), ..ed.clone() }] };
    assert!(KeySet::new(&twice).is_err(), "two keys of one name");
    let useless = [
        Jwk { usage: "enc".into(), ..ec.clone() },
        Jwk { crv: Some("P-384".into()), ..ec.clone() },
        Jwk { kty: "RSA".into(), ..ec.clone() },
        Jwk { alg: Algorithm::Es256, ..rsa.clone() },
        Jwk { alg: Algorithm::Rs256, ..ed.clone() },
        Jwk { y: ec.x.clone(), ..ec.clone() },
        Jwk { x: None, ..ed },
        Jwk { n: None, ..rsa },
    ];
    for key in useless {
        let set = KeySet::new(&Jwks { keys: vec![key.clone()] }).unwrap();
        assert!(set.is_empty(), "{key:?}");
    }
    let loose = json!({"keys": [ec, {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, 7, null]});
    let set = KeySet::from_json(loose.to_string().as_bytes()).unwrap();
    assert_eq!(set.len(), 1, "keys for others are left out");
}

/// A genuine RS256 signature by a key of 1024 bits, made with OpenSSL 3.
const SHORT_MODULUS: &str = "zcG1o32OwQxsBbeWj-79fCxQUVGU2qWYVjNyiuvc1Rme9i29Aj53n6iZJdV4rIJj9gPNlUinjA3JY6GURPdT\
     mYv6BbgSW0ut25mV8FUV6U1yCrqRkjkYm2gL1QJYKBeFLdfe4bcs-Mtt2GEAIFEFwqvnH07w5z9-nhGowXSR\
     hkM";
const SIGNED_BY_SHORT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJKV1QifQ.e30.C6uRGfMlBK29x41OPw464en1Pp0wL\
     yffo8FP59M7sXggndgnJPLtrwZr9g9OgQUMCWLNDye0B-_Gxt1m-RyyzGkD-zjz2kcvvaTLkWHw09kNEf9QE\
     JXNZi-Zc4MAtwFzqeaOykB0VICwPv2fwWdxwebRuEB45hsntr8ZGQWcE00";

#[test]
fn a_short_rsa_key_verifies_nothing_not_even_its_own() {
    let short = Jwk {
        kid: "k".into(),
        n: Some(SHORT_MODULUS.into()),
        e: Some("AQAB".into()),
        ..jwks().keys[2].clone()
    };
    let set = KeySet::new(&Jwks { keys: vec![short] }).unwrap();
    let verdict = jws::verify(SIGNED_BY_SHORT, "JWT", &set, &ALL).map(|signed| signed.kid);
    assert_eq!(verdict, Err(Rejection::Signature));
}

#[test]
fn a_key_verifies_under_its_own_algorithm_only() {
    let all = jwks().keys;
    let rsa = &signing_keys()[2];
    let token = rsa.sign(ACCESS_TOKEN_TYPE, &home()).unwrap();
    let set = |alg| KeySet::new(&Jwks { keys: vec![Jwk { alg, ..all[2].clone() }] }).unwrap();
    let verify = |alg| jws::verify(&token, ACCESS_TOKEN_TYPE, &set(alg), &ALL).map(|s| s.kid);
    assert_eq!(verify(Algorithm::Rs256), Ok(all[2].kid.clone()), "the honest twin");
    assert_eq!(verify(Algorithm::Ps256), Err(Rejection::Algorithm));
}

#[test]
fn a_home_token_holds_nothing_of_a_delegated_one() {
    assert!(matches!(kind(&home()), Ok(Kind::Home { .. })));
    let act = json!({"iss": "https://auth.example", "sub": id("usr", 2), "sub_profile": "user",
        "tenant": id("ten", 4)});
    for (name, value) in [
        ("act", act),
        ("audit_actor_tenant", json!(id("ten", 4))),
        ("dlg", json!(id("dlg", 5))),
        ("rel", json!(id("rel", 6))),
        ("sub", json!(id("dp", 7))),
        ("sub", json!("cli_portal")),
    ] {
        let mut claims = home();
        claims[name] = value;
        assert_eq!(kind(&claims), Err(Rejection::Incoherent), "{name}");
    }
}

#[test]
fn a_token_of_software_is_about_itself_and_enters_nothing() {
    assert_eq!(kind(&own()), Ok(Kind::Client));
    for (name, value) in [
        ("sub", json!("cli_other")),
        ("sub", json!(id("usr", 2))),
        ("sub", json!(id("dp", 2))),
        ("sid", json!(id("ses", 3))),
        ("managed_tenant_ids", json!([id("ten", 1)])),
        ("managed_tenant_ids", json!([])),
        ("partner_id", json!(id("ten", 1))),
        ("dlg", json!(id("dlg", 5))),
    ] {
        let mut claims = own();
        claims[name] = value.clone();
        assert_eq!(kind(&claims), Err(Rejection::Incoherent), "{name} {value}");
    }
}

#[test]
fn numbers_beyond_all_bounds_are_no_times() {
    let text = |exp: &str| home().to_string().replace(&(NOW + 300).to_string(), exp);
    // Signed as it is: `1e400` is no value that serde_json could hold.
    let sign = |payload: &str| {
        use josekit::jws::JwsSigner;
        let key = &signing_keys()[0];
        let header = json!({"alg": "ES256", "kid": key.kid(), "typ": "at+jwt"}).to_string();
        let text = format!("{}.{}", B64.encode(header), B64.encode(payload));
        let signature = JwsSigner::sign(key, text.as_bytes()).unwrap();
        verdict(&format!("{text}.{}", B64.encode(signature)))
    };
    assert!(sign(&text(&i64::MAX.to_string())).is_ok());
    for bad in ["1e400", "1e9", "9223372036854775808", "18446744073709551616", "1.8e9"] {
        assert_eq!(sign(&text(bad)), Err(Rejection::Malformed), "{bad}");
    }
    for dead in ["-1", "0", &i64::MIN.to_string()] {
        assert_eq!(sign(&text(dead)), Err(Rejection::Expired), "{dead}");
    }
}

#[test]
fn no_single_letter_of_a_token_can_be_another() {
    let token = signing_keys()[1].sign(ACCESS_TOKEN_TYPE, &home()).unwrap();
    assert!(verdict(&token).is_ok(), "the honest twin");
    for at in 0..token.len() {
        for to in ["A", "B", "_", "-", "=", ".", " ", "+", "/", "\n", "\0", ""] {
            let bent = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            assert!(bent == token || verdict(&bent).is_err(), "{at} {to:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_signed_verifies_to_the_same_bytes(text in any::<String>(), n in any::<i64>()) {
        let payload = json!({"text": text, "n": n});
        let set = KeySet::new(&jwks()).unwrap();
        for key in signing_keys() {
            let token = key.sign("JWT", &payload).unwrap();
            let signed = jws::verify(&token, "jwt", &set, &[key.algorithm()]).unwrap();
            prop_assert_eq!(signed.kid, key.kid().to_string());
            let back: Value = serde_json::from_slice(&signed.payload).unwrap();
            prop_assert_eq!(&back, &payload);
            let others = ALL.into_iter().filter(|alg| *alg != key.algorithm()).collect::<Vec<_>>();
            prop_assert!(jws::verify(&token, "jwt", &set, &others).is_err());
            prop_assert!(jws::verify(&token, ACCESS_TOKEN_TYPE, &set, &ALL).is_err());
        }
    }
}
