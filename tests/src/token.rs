//! What a token says. Nothing is verified here: that is the product's work.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// The payload of a JWT.
#[track_caller]
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a JWT.
#[track_caller]
pub fn header(token: &str) -> Value {
    part(token, 0)
}

#[track_caller]
fn part(token: &str, index: usize) -> Value {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "no JWS in compact form: {token}");
    let bytes = URL_SAFE_NO_PAD.decode(parts[index]).expect("base64url without padding");
    serde_json::from_slice(&bytes).expect("JSON")
}
