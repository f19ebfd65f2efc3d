//! Authentication contexts: how strongly a person logged in.

/// The weakest first: a password, two factors, a phishing-resistant key.
pub const ACRS: [&str; 3] = ["urn:procura:acr:pwd", "urn:procura:acr:mfa", "urn:procura:acr:phr"];

/// The constant text of a known authentication context.
#[must_use]
pub fn known_acr(acr: &str) -> Option<&'static str> {
    ACRS.into_iter().find(|known| *known == acr)
}
