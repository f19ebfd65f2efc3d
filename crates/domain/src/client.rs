//! What a client is registered as: the policy that holds for it, and its metadata by the names of
//! RFC 7591 §2 and of the standards that added to it.

use procura_token::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    client_settings::{Fault, MAX_ITEMS, require},
    redirect,
    words::words,
};

/// Types of authorization details that are known (RFC 9396).
const DETAIL_TYPES: [&str; 1] = ["tenant_delegation"];

words! {
    /// The policy that holds for a client. The standards contradict each other, so each client has one.
    pub enum Profile {
        /// OpenID Connect Core 1.0: PKCE where the client uses it, RS256 ID tokens.
        Oidc = "oidc",
        /// OAuth 2.1: PKCE with S256 always.
        Oauth21 = "oauth21",
        /// FAPI 2.0 Security Profile: pushed requests, `private_key_jwt`, tokens bound by DPoP.
        Fapi2 = "fapi2",
    }
}

words! {
    /// How a client proves who it is (`token_endpoint_auth_method`, RFC 7591 §2).
    pub enum AuthMethod {
        /// Its secret by HTTP Basic.
        ClientSecretBasic = "client_secret_basic",
        /// Its secret in the form.
        ClientSecretPost = "client_secret_post",
        /// An assertion signed with its key (RFC 7523).
        PrivateKeyJwt = "private_key_jwt",
        /// Not at all: a public client.
        None = "none",
    }
}

impl AuthMethod {
    /// Whether the client has a secret. It may show it in either place.
    #[must_use]
    pub const fn is_by_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// Metadata of a client that nothing is searched by. A member that is absent has its standard's default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one member on the wire")]
pub struct Registration {
    /// How it proves who it is.
    pub token_endpoint_auth_method: AuthMethod,
    /// The only algorithm of its assertions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<Algorithm>,
    /// Its public keys (RFC 7517), by value; never beside `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The algorithm of its ID tokens; RS256 unless it says otherwise.
    pub id_token_signed_response_alg: Algorithm,
    /// The algorithm of a signed userinfo answer; absent: plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// The algorithm of signed authorization answers (JARM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<Algorithm>,
    /// The algorithm of signed introspection answers (RFC 9701).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<Algorithm>,
    /// The only algorithm of its request objects (RFC 9101).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<Algorithm>,
    /// Whether its requests must be signed (RFC 9101 §10.5).
    #[serde(skip_serializing_if = "is_false")]
    pub require_signed_request_object: bool,
    /// Whether its requests must be pushed (RFC 9126 §6).
    #[serde(skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether its tokens are bound to its key (RFC 9449 §5.2).
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Where people may be sent after a logout; compared byte by byte.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it hears of logouts (OpenID Connect Back-Channel Logout 1.0 §2.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether a logout must name the session.
    #[serde(skip_serializing_if = "is_false")]
    pub backchannel_logout_session_required: bool,
    /// A login older than this, in seconds, is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u32>,
    /// Whether `auth_time` must be in its ID tokens; it always is.
    #[serde(skip_serializing_if = "is_false")]
    pub require_auth_time: bool,
    /// Strengths of login that it wants unless it says otherwise, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Lists the redirect URIs of its sector (OpenID Connect Registration 1.0 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// Types of authorization details that it may ask for (RFC 9396 §10).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types: Vec<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its logo: linked, never loaded by our pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// What it does with data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// What the software calls itself, the same in every installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            token_endpoint_auth_method: AuthMethod::ClientSecretBasic,
            token_endpoint_auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            id_token_signed_response_alg: Algorithm::Rs256,
            userinfo_signed_response_alg: None,
            authorization_signed_response_alg: None,
            introspection_signed_response_alg: None,
            request_object_signing_alg: None,
            require_signed_request_object: false,
            require_pushed_authorization_requests: false,
            dpop_bound_access_tokens: false,
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            sector_identifier_uri: None,
            authorization_details_types: Vec::new(),
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            contacts: Vec::new(),
            software_id: None,
            software_version: None,
        }
    }
}

impl Registration {
    /// Whether its members fit together.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_keys()?;
        let logout = self.post_logout_redirect_uris.as_slice();
        require(
            logout.len() <= MAX_ITEMS && logout.iter().all(|uri| redirect::kind(uri).is_some()),
            "registration.post_logout_redirect_uris",
            "must be https, or http on loopback, or a scheme with a dot; without fragment",
        )?;
        for (member, uri) in [
            ("registration.jwks_uri", &self.jwks_uri),
            ("registration.backchannel_logout_uri", &self.backchannel_logout_uri),
            ("registration.sector_identifier_uri", &self.sector_identifier_uri),
            ("registration.client_uri", &self.client_uri),
            ("registration.logo_uri", &self.logo_uri),
            ("registration.policy_uri", &self.policy_uri),
            ("registration.tos_uri", &self.tos_uri),
        ] {
            let is_good = uri.as_deref().is_none_or(redirect::is_web);
            require(is_good, member, "must be https, or http on loopback; without fragment")?;
        }
        let is_good = |t: &String| t.len() <= 200 && !t.chars().any(char::is_control);
        let is_bounded = |texts: &[String]| texts.len() <= MAX_ITEMS && texts.iter().all(is_good);
        for (member, text) in [
            ("registration.software_id", &self.software_id),
            ("registration.software_version", &self.software_version),
        ] {
            require(text.as_ref().is_none_or(is_good), member, "too long")?;
        }
        require(is_bounded(&self.contacts), "registration.contacts", "too many or too long")?;
        require(
            is_bounded(&self.default_acr_values),
            "registration.default_acr_values",
            "too many or too long",
        )?;
        let is_known = |kind: &String| DETAIL_TYPES.contains(&kind.as_str());
        require(
            self.authorization_details_types.iter().all(is_known),
            "registration.authorization_details_types",
            "names a type that is not known",
        )
    }

    fn check_keys(&self) -> Result<(), Fault> {
        let is_signing = self.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt
            || self.require_signed_request_object;
        require(
            !is_signing || self.jwks.is_some() || self.jwks_uri.is_some(),
            "registration.jwks",
            "whoever signs needs jwks or jwks_uri",
        )?;
        require(
            self.jwks.is_none() || self.jwks_uri.is_none(),
            "registration.jwks",
            "never beside jwks_uri",
        )?;
        require(
            self.jwks.as_ref().is_none_or(is_public_key_set),
            "registration.jwks",
            "must be a JWK Set of public EC, OKP or RSA keys",
        )
    }
}

/// A JWK Set (RFC 7517 §5) without a secret or private member.
fn is_public_key_set(jwks: &Value) -> bool {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let Some(keys) = jwks.get("keys").and_then(Value::as_array) else { return false };
    let is_public = |key: &Value| {
        let kind = key.get("kty").and_then(Value::as_str);
        matches!(kind, Some("EC" | "OKP" | "RSA"))
            && PRIVATE.iter().all(|member| key.get(member).is_none())
    };
    (1..=MAX_ITEMS).contains(&keys.len()) && keys.iter().all(is_public)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}
