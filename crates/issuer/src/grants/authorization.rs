//! The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3), checked by `code_grant::authorization`.

use std::borrow::Cow;

use oxide_auth::{
    code_grant::{
        authorization::{Authorization, Error as MachineError, Input, Output, Request},
        extensions::Pkce,
    },
    primitives::{
        grant::Extensions,
        registrar::{BoundClient, ExactUrl, PreGrant, RegisteredUrl},
    },
};

/// The parameters that the machine looks at.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub client_id: &'a str,
    pub redirect_uri: Option<&'a str>,
    pub response_type: Option<&'a str>,
    pub scope: Option<&'a str>,
    pub state: Option<&'a str>,
    pub code_challenge: Option<&'a str>,
    pub code_challenge_method: Option<&'a str>,
    /// Whether the client may do without PKCE. What it sends counts in any case.
    pub is_pkce_optional: bool,
}

/// What the machine made of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Well formed; the challenge in the machine's own encoding, to be kept with the code. None where
    /// the client may do without and did.
    Good { challenge: Option<String> },
    /// Client and redirect URI are bound; the client may hear this code.
    Redirect(&'static str),
    /// Nothing is bound: only the person may hear of it, on a page.
    Page,
}

impl Request for Asked<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn client_id(&self) -> Option<Cow<'_, str>> {
        Some(self.client_id.into())
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.filter(|scope| !scope.is_empty()).map(Into::into)
    }

    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        self.redirect_uri.map(Into::into)
    }

    fn state(&self) -> Option<Cow<'_, str>> {
        self.state.map(Into::into)
    }

    fn response_type(&self) -> Option<Cow<'_, str>> {
        self.response_type.map(Into::into)
    }

    fn extension(&self, key: &str) -> Option<Cow<'_, str>> {
        match key {
            "code_challenge" => self.code_challenge.map(Into::into),
            "code_challenge_method" => self.code_challenge_method.map(Into::into),
            _ => None,
        }
    }
}

/// Drives the machine. `registered` are the client's redirect URIs; they are compared byte by byte,
/// here and not by the machine, whose own comparison normalises.
pub(crate) fn check(asked: &Asked<'_>, registered: &[String]) -> Checked {
    let mut machine = Authorization::new(asked);
    let mut challenge = None;
    let mut input = Input::None;
    loop {
        input = match machine.advance(input) {
            Output::Bind { client_id, redirect_uri } => {
                let Some(bound) = bind(client_id, redirect_uri.is_some(), asked, registered) else {
                    return Checked::Page;
                };
                Input::Bound { request: asked, bound_client: bound }
            }
            Output::Extend => {
                let is_without =
                    asked.code_challenge.is_none() && asked.code_challenge_method.is_none();
                challenge = pkce(asked);
                if challenge.is_none() && !(asked.is_pkce_optional && is_without) {
                    return Checked::Redirect("invalid_request");
                }
                Input::Extended(Extensions::new())
            }
            Output::Negotiate { bound_client, scope } => {
                // Which scopes are granted is ours to say: the machine's set has no order.
                let Some(scope) = scope.or_else(|| "none".parse().ok()) else {
                    return Checked::Redirect("invalid_scope");
                };
                let pre_grant = PreGrant {
                    client_id: bound_client.client_id.clone().into_owned(),
                    redirect_uri: bound_client.redirect_uri.clone().into_owned(),
                    scope,
                };
                Input::Negotiated { pre_grant, state: None }
            }
            Output::Ok { .. } => {
                return Checked::Good { challenge };
            }
            Output::Err(MachineError::Redirect(mut url)) => {
                return Checked::Redirect(code(url.description().kind().as_ref()));
            }
            Output::Err(_) => return Checked::Page,
        }
    }
}

fn bind(
    client_id: String,
    is_given: bool,
    asked: &Asked<'_>,
    registered: &[String],
) -> Option<BoundClient<'static>> {
    let wanted = asked.redirect_uri.filter(|_| is_given)?;
    let exact = registered.iter().find(|uri| *uri == wanted)?;
    let exact: ExactUrl = exact.parse().ok()?;
    Some(BoundClient {
        client_id: Cow::Owned(client_id),
        redirect_uri: Cow::Owned(RegisteredUrl::Exact(exact)),
    })
}

/// PKCE with S256 is required of every client that may not do without; `plain`, which is the default of RFC 7636 where no
/// method is named, is refused.
fn pkce(asked: &Asked<'_>) -> Option<String> {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let challenge =
        asked.code_challenge.filter(|text| text.len() == 43 && text.bytes().all(is_base64url))?;
    let value = Pkce::required()
        .challenge(asked.code_challenge_method.map(Into::into), Some(challenge.into()))
        .ok()??;
    value.into_private_value().ok()?
}

fn code(machine_code: &str) -> &'static str {
    match machine_code {
        "unsupported_response_type" => "unsupported_response_type",
        "invalid_scope" => "invalid_scope",
        "unauthorized_client" => "unauthorized_client",
        _ => "invalid_request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn asked() -> Asked<'static> {
        Asked {
            client_id: "cli_portal",
            redirect_uri: Some("http://127.0.0.1:8400/callback"),
            response_type: Some("code"),
            scope: Some("openid"),
            state: Some("s"),
            code_challenge: Some(CHALLENGE),
            code_challenge_method: Some("S256"),
            is_pkce_optional: false,
        }
    }

    fn check_it(asked: &Asked<'_>) -> Checked {
        check(asked, &["http://127.0.0.1:8400/callback".to_owned()])
    }

    #[test]
    fn a_well_formed_request_passes() {
        assert!(matches!(check_it(&asked()), Checked::Good { .. }));
        assert!(matches!(check_it(&Asked { scope: None, ..asked() }), Checked::Good { .. }));
    }

    #[test]
    fn nothing_is_redirected_before_the_redirect_uri_is_bound() {
        for bad in [
            None,
            Some("http://127.0.0.1:8400/callback/"),
            Some("http://127.0.0.1:8400/CALLBACK"),
            Some("http://127.0.0.1:8400/callback?x=1"),
            Some("http://127.0.0.1:8400/callback#"),
            Some("http://user@127.0.0.1:8400/callback"),
            Some("http://evil.test/"),
            Some("javascript:alert(1)"),
            Some(""),
        ] {
            assert_eq!(check_it(&Asked { redirect_uri: bad, ..asked() }), Checked::Page, "{bad:?}");
        }
    }

    #[test]
    fn pkce_with_s256_is_required() {
        for (challenge, method) in [
            (None, Some("S256")),
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some("short"), Some("S256")),
            (Some(""), Some("S256")),
        ] {
            let asked =
                Asked { code_challenge: challenge, code_challenge_method: method, ..asked() };
            assert_eq!(check_it(&asked), Checked::Redirect("invalid_request"));
        }
    }

    #[test]
    fn who_may_do_without_pkce_is_still_held_to_what_it_sends() {
        let optional = Asked { is_pkce_optional: true, ..asked() };
        assert!(matches!(check_it(&optional), Checked::Good { challenge: Some(_) }));
        let without = Asked { code_challenge: None, code_challenge_method: None, ..optional };
        assert_eq!(check_it(&without), Checked::Good { challenge: None });
        for (challenge, method) in
            [(None, Some("S256")), (Some(CHALLENGE), None), (Some(CHALLENGE), Some("plain"))]
        {
            let asked =
                Asked { code_challenge: challenge, code_challenge_method: method, ..optional };
            assert_eq!(check_it(&asked), Checked::Redirect("invalid_request"));
        }
    }

    #[test]
    fn only_the_code_flow_exists() {
        for bad in [None, Some("token"), Some("code id_token"), Some("")] {
            let asked = Asked { response_type: bad, ..asked() };
            assert_eq!(check_it(&asked), Checked::Redirect("unsupported_response_type"));
        }
    }
}
