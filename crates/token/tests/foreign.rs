//! What clients sign: a genuine one passes, and not one byte of it can be changed.
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
    Algorithm, ForeignKeys, KeyId, Ts,
    dpop::{Demand, Proof},
    foreign::ALGORITHMS,
    signing::SigningKey,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Ts = Ts::from_secs(1_800_000_000);
const URI: &str = "https://auth.example/oauth2/token";

fn key(alg: Algorithm) -> SigningKey {
    let pkcs8 = SigningKey::generate(alg).unwrap();
    SigningKey::load(KeyId::from_bits(7), alg, &pkcs8).unwrap()
}

fn jwk(key: &SigningKey) -> Value {
    serde_json::to_value(key.public().unwrap()).unwrap()
}

fn signed(key: &SigningKey, header: &Value, payload: &Value) -> String {
    use josekit::jws::JwsSigner;
    let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload.to_string()));
    let signature = JwsSigner::sign(key, text.as_bytes()).unwrap();
    format!("{text}.{}", B64.encode(signature))
}

fn proof(key: &SigningKey) -> String {
    let header = json!({"typ": "dpop+jwt", "alg": key.algorithm(), "jwk": jwk(key)});
    signed(key, &header, &json!({"jti": "j", "htm": "POST", "htu": URI, "iat": NOW.secs()}))
}

fn is_proof(text: &str) -> bool {
    let demand = Demand { method: "POST", uri: URI, token: None, now: NOW };
    Proof::verify(text, &demand).is_ok()
}

fn is_signed_by(keys: &ForeignKeys, text: &str) -> bool {
    keys.verify(text, "client-authentication+jwt", ALGORITHMS).is_ok()
}

#[test]
fn every_good_algorithm_passes_and_rs256_only_where_it_is_allowed() {
    for alg in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256] {
        let key = key(alg);
        assert!(is_proof(&proof(&key)), "{alg}");
        let keys = ForeignKeys::read(&json!({"keys": [jwk(&key)]})).unwrap();
        let token = signed(&key, &json!({"alg": alg}), &json!({}));
        assert!(is_signed_by(&keys, &token), "{alg}");
    }
    let key = key(Algorithm::Rs256);
    assert!(!is_proof(&proof(&key)));
    let mut bare = jwk(&key);
    bare.as_object_mut().unwrap().remove("alg");
    let token = signed(&key, &json!({"alg": "RS256"}), &json!({}));
    for jwk in [jwk(&key), bare] {
        let keys = ForeignKeys::read(&json!({"keys": [jwk]})).unwrap();
        assert!(!is_signed_by(&keys, &token));
        let typ = "client-authentication+jwt";
        assert!(keys.verify(&token, typ, &[Algorithm::Rs256]).is_ok());
    }
}

#[test]
fn a_proof_lives_from_a_moment_before_it_was_made_to_a_minute_after() {
    let proof = proof(&key(Algorithm::EdDsa));
    let at = |secs: i64| {
        let demand = Demand { method: "POST", uri: URI, token: None, now: NOW.plus_secs(secs) };
        Proof::verify(&proof, &demand).is_ok()
    };
    for secs in -100..=100 {
        assert_eq!(at(secs), (-15..=60).contains(&secs), "{secs}");
    }
}

/// One byte changed, one left out or one put in.
fn bent(text: &str, at: usize, with: char, kind: u8) -> String {
    let at = at % text.len();
    let mut chars: Vec<char> = text.chars().collect();
    match kind {
        0 => chars[at] = with,
        1 => {
            chars.remove(at);
        }
        _ => chars.insert(at, with),
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn not_one_byte_of_it_can_be_changed(at in 0_usize..4096, with in "[A-Za-z0-9_.=-]", kind in 0_u8..3) {
        static KEY: std::sync::OnceLock<(String, String, ForeignKeys)> = std::sync::OnceLock::new();
        let (proof, token, keys) = KEY.get_or_init(|| {
            let key = key(Algorithm::EdDsa);
            let keys = ForeignKeys::read(&json!({"keys": [jwk(&key)]})).unwrap();
            (proof(&key), signed(&key, &json!({"alg": "EdDSA"}), &json!({"iss": "cli_a"})), keys)
        });
        let with = with.chars().next().unwrap();
        let (other_proof, other_token) = (bent(proof, at, with, kind), bent(token, at, with, kind));
        prop_assert_eq!(is_proof(&other_proof), other_proof == *proof);
        prop_assert_eq!(is_signed_by(keys, &other_token), other_token == *token);
    }
}
