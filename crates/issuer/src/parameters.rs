//! What an authorization request can say.

use serde::{Deserialize, Serialize};

use crate::pushed::Way;

/// Longer parameters are refused before anything is stored.
const MAX_PARAMETER: usize = 2048;

/// The parameters of the request, as they came; none came twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `response_type`.
    pub response_type: Option<&'a str>,
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `state`.
    pub state: Option<&'a str>,
    /// `nonce` (OpenID Connect Core §3.1.2.1).
    pub nonce: Option<&'a str>,
    /// `code_challenge` (RFC 7636 §4.3).
    pub code_challenge: Option<&'a str>,
    /// `code_challenge_method`.
    pub code_challenge_method: Option<&'a str>,
    /// `prompt` (OpenID Connect Core §3.1.2.1).
    pub prompt: Option<&'a str>,
    /// `max_age`.
    pub max_age: Option<&'a str>,
    /// `login_hint`.
    pub login_hint: Option<&'a str>,
    /// `id_token_hint`.
    pub id_token_hint: Option<&'a str>,
    /// `claims` (§5.5).
    pub claims: Option<&'a str>,
    /// `response_mode` (OAuth 2.0 Multiple Response Type Encoding Practices §2.1).
    pub response_mode: Option<&'a str>,
    /// `resource` (RFC 8707 §2); several with blanks between them.
    pub resource: Option<&'a str>,
    /// `authorization_details` (RFC 9396 §2).
    pub authorization_details: Option<&'a str>,
    /// `dpop_jkt` (RFC 9449 §10).
    pub dpop_jkt: Option<&'a str>,
    /// How the request came.
    pub way: Way<'a>,
    /// Whether the client has signed it.
    pub is_signed: bool,
}

impl Parameters<'_> {
    pub(crate) fn is_oversized(&self) -> bool {
        [
            self.client_id,
            self.redirect_uri,
            self.response_type,
            self.scope,
            self.state,
            self.nonce,
            self.code_challenge,
            self.code_challenge_method,
            self.prompt,
            self.max_age,
            self.login_hint,
            self.id_token_hint,
            self.claims,
            self.response_mode,
            self.resource,
            self.dpop_jkt,
        ]
        .into_iter()
        .flatten()
        .any(|text| text.len() > MAX_PARAMETER)
    }
}

/// How the answer reaches the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// As a form that the browser posts (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// The modes by name. Those with `jwt` are signed besides (JARM §2.3).
    pub const ALL: [(&'static str, Self); 5] = [
        ("query", Self::Query),
        ("form_post", Self::FormPost),
        ("jwt", Self::Query),
        ("query.jwt", Self::Query),
        ("form_post.jwt", Self::FormPost),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }
}
