//! Signed revocations: the issuer's own are believed, everything else is not.
#![cfg(feature = "issue")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use procura_token::{
    Algorithm, Jwks, Key, KeyId, KeySet, Rejection, Seq, Statement, jws, signing::SigningKey,
    statement::STATEMENT_TYPE,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example";

fn key(n: u128) -> SigningKey {
    let pkcs8 = SigningKey::generate(Algorithm::Es256).unwrap();
    SigningKey::load(KeyId::from_bits(n), Algorithm::Es256, &pkcs8).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "k": "all", "h": Key::All.hash(), "s": 12, "p": 10, "x": 99 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn what_the_issuer_signed_is_believed() {
    let key = key(1);
    let keys = KeySet::new(&Jwks { keys: vec![key.public().unwrap()] }).unwrap();
    let signed = key.sign(STATEMENT_TYPE, &claims()).unwrap();
    let statement = Statement::verify(&signed, ISSUER, &keys, &[Algorithm::Es256]).unwrap();
    assert_eq!((statement.s, statement.p, statement.h), (Seq(12), Seq(10), Key::All.hash()));
    assert!(jws::verify(&signed, jws::ACCESS_TOKEN_TYPE, &keys, &[Algorithm::Es256]).is_err());
}

#[test]
fn nothing_else_is() {
    let (ours, foreign) = (key(1), key(1));
    let keys = KeySet::new(&Jwks { keys: vec![ours.public().unwrap()] }).unwrap();
    let verdict =
        |signed: &str| Statement::verify(signed, ISSUER, &keys, &[Algorithm::Es256]).unwrap_err();
    let sign = |claims: &Value| ours.sign(STATEMENT_TYPE, claims).unwrap();
    assert_eq!(verdict(&foreign.sign(STATEMENT_TYPE, &claims()).unwrap()), Rejection::Signature);
    assert_eq!(verdict(&key(2).sign(STATEMENT_TYPE, &claims()).unwrap()), Rejection::UnknownKey);
    // An access token or a checkpoint is no revocation, though the same key signs them.
    for typ in [jws::ACCESS_TOKEN_TYPE, "procura-audit-checkpoint+jwt", "JWT"] {
        assert_eq!(verdict(&ours.sign(typ, &claims()).unwrap()), Rejection::Header, "{typ}");
    }
    let elsewhere = sign(&with("iss", json!("https://other.example")));
    assert_eq!(verdict(&elsewhere), Rejection::Issuer);
    assert_eq!(verdict(&sign(&with("p", json!(12)))), Rejection::Incoherent);
    assert_eq!(verdict(&sign(&with("p", json!(-1)))), Rejection::Incoherent);
    assert_eq!(verdict(&sign(&with("more", json!(1)))), Rejection::Malformed);
    assert_eq!(verdict(&sign(&with("h", json!("00")))), Rejection::Malformed);
    let signed = sign(&claims());
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    assert_eq!(verdict(&format!("{header}.e30.{signature}")), Rejection::Signature);
    assert_eq!(verdict(""), Rejection::Malformed);
}
