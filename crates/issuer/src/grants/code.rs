//! Redeeming a code (RFC 6749 §4.1.3, RFC 7636 §4.6), checked by `code_grant::accesstoken`.

use std::borrow::Cow;

use oxide_auth::{
    code_grant::{
        accesstoken::{AccessToken, Authorization, Input, Output, Request},
        extensions::Pkce,
    },
    primitives::grant::{Extensions, Grant, Value},
};
use procura_token::Ts;

/// What the client sends, after it has been authenticated by us.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub client_id: &'a str,
    pub code: &'a str,
    pub redirect_uri: &'a str,
    pub code_verifier: Option<&'a str>,
}

/// What was kept with the code.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    /// Absent where the request came without PKCE.
    pub challenge: Option<&'a str>,
    pub expires_at: Ts,
}

impl Request for Presented<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.into())
    }

    fn authorization(&self) -> Authorization<'_> {
        Authorization::Username(self.client_id.into())
    }

    fn client_id(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        Some(self.redirect_uri.into())
    }

    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some("authorization_code".into())
    }

    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Whether the code may be redeemed by this request at this instant: same client, same redirect URI
/// (byte by byte), not expired, and the verifier fits the challenge.
///
/// The machine compares the expiry with the machine's own clock, so it is given one that never comes
/// and the comparison is made here, with ours.
pub(crate) fn may_redeem(presented: &Presented<'_>, kept: &Kept<'_>, now: Ts) -> bool {
    if now >= kept.expires_at || presented.redirect_uri != kept.redirect_uri {
        return false;
    }
    // A verifier where no challenge was is refused too: somebody took the challenge out of the request
    // (RFC 9700 §2.1.1).
    let proof = match (kept.challenge, presented.code_verifier) {
        (None, None) => None,
        (Some(challenge), Some(verifier)) if is_verifier(verifier) => Some((challenge, verifier)),
        _ => return false,
    };
    let Some(grant) = grant(kept) else { return false };
    let mut machine = AccessToken::new(presented);
    let mut input = Input::None;
    loop {
        input = match machine.advance(input) {
            // The client was authenticated before this was called.
            Output::Authenticate { .. } => Input::Authenticated,
            Output::Recover { .. } => Input::Recovered(Some(Box::new(grant.clone()))),
            Output::Extend { .. } => {
                if let Some((challenge, verifier)) = proof {
                    let challenge = Value::private(Some(challenge.to_owned()));
                    if Pkce::required().verify(Some(challenge), Some(verifier.into())).is_err() {
                        return false;
                    }
                }
                Input::Extended { access_extensions: Extensions::new() }
            }
            // The machine hands over the checked grant; minting is ours.
            Output::Issue { .. } => return true,
            Output::Ok(_) | Output::Err(_) => return false,
        }
    }
}

fn grant(kept: &Kept<'_>) -> Option<Grant> {
    let far = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(1 << 36))?;
    Some(Grant {
        owner_id: "owner".to_owned(),
        client_id: kept.client_id.to_owned(),
        scope: "none".parse().ok()?,
        redirect_uri: kept.redirect_uri.parse().ok()?,
        until: far.into(),
        extensions: Extensions::new(),
    })
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The pair of RFC 7636 appendix B, the challenge in the machine's encoding.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const URI: &str = "http://127.0.0.1:8400/callback";

    fn challenge() -> String {
        let asked = crate::grants::authorization::Asked {
            client_id: "cli_portal",
            redirect_uri: Some(URI),
            response_type: Some("code"),
            scope: None,
            state: None,
            code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            code_challenge_method: Some("S256"),
            is_pkce_optional: false,
        };
        match crate::grants::authorization::check(&asked, &[URI.to_owned()]) {
            crate::grants::authorization::Checked::Good { challenge } => challenge.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn is_redeemed(change: impl FnOnce(&mut Presented<'_>, &mut Kept<'_>)) -> bool {
        let challenge = challenge();
        let mut presented = Presented {
            client_id: "cli_portal",
            code: "c",
            redirect_uri: URI,
            code_verifier: Some(VERIFIER),
        };
        let mut kept = Kept {
            client_id: "cli_portal",
            redirect_uri: URI,
            challenge: Some(&challenge),
            expires_at: Ts::from_secs(60),
        };
        change(&mut presented, &mut kept);
        may_redeem(&presented, &kept, Ts::from_secs(59))
    }

    #[test]
    fn the_honest_client_redeems_its_code() {
        assert!(is_redeemed(|_, _| {}));
    }

    #[test]
    fn a_verifier_belongs_to_a_challenge_and_a_challenge_to_a_verifier() {
        assert!(is_redeemed(|p, k| (p.code_verifier, k.challenge) = (None, None)));
        assert!(!is_redeemed(|p, _| p.code_verifier = None));
        assert!(!is_redeemed(|_, k| k.challenge = None), "a downgrade");
    }

    #[test]
    fn a_code_is_bound_to_client_redirect_uri_time_and_verifier() {
        assert!(!is_redeemed(|p, _| p.client_id = "cli_other"));
        assert!(!is_redeemed(|p, _| p.redirect_uri = "http://127.0.0.1:8400/callback/"));
        assert!(!is_redeemed(|p, _| p.redirect_uri = "http://127.0.0.1:8400/%63allback"));
        assert!(!is_redeemed(|_, k| k.expires_at = Ts::from_secs(59)));
        assert!(!is_redeemed(|p, _| p.code_verifier = None));
        assert!(!is_redeemed(|p, _| p.code_verifier = Some("")));
        assert!(!is_redeemed(|p, _| {
            p.code_verifier = Some("aBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        }));
    }
}
