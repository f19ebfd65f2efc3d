//! How an answer tells its caller about the limits: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10), both lists of structured fields (RFC 9651).

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use procura_issuer::rate_limits::Standing;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Says which limits there are for the caller, and how it stands with the one that is used up first.
pub fn tell(standing: &Standing, headers: &mut HeaderMap) {
    let mut policy = String::with_capacity(128);
    for limited in &standing.limits {
        let gap = if policy.is_empty() { "" } else { ", " };
        let (name, quota, window) = (limited.limit.name(), limited.quota, limited.window_secs);
        // Writing to a string cannot fail.
        let _ = write!(policy, "{gap}\"{name}\";q={quota};w={window}");
    }
    let (remaining, reset) = (standing.remaining, standing.reset_secs);
    let now = format!("\"{}\";r={remaining};t={reset}", standing.tightest.name());
    for (name, text) in [(POLICY, policy), (STANDING, now)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
