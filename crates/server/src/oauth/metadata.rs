//! What clients may know: the metadata document (OpenID Connect Discovery 1.0, RFC 8414) and the
//! public keys (RFC 7517). It says nothing of who manages whom.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use procura_issuer::{
    authorize::ResponseMode,
    client_credentials, consents, details, device, exchange, prompt, redeem, refresh,
    requested::{CLAIMS, IDENTITY_SCOPES},
};
use procura_token::Jwks;
use serde_json::{Value, json};

use crate::{
    api::shapes,
    app::App,
    oauth::protected_resource::SCOPES,
    openapi::{Operation, Reply, Who},
};

const CACHEABLE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

/// How clients may prove themselves.
const AUTH_METHODS: [&str; 4] =
    ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
/// With what clients may sign; RS256 only those that are registered with it.
const FOREIGN_ALGS: [&str; 4] = ["PS256", "ES256", "EdDSA", "RS256"];
/// With what we sign.
const OWN_ALGS: [&str; 2] = ["ES256", "RS256"];

/// Described.
pub const DISCOVERY: Operation =
    Operation::anybody("getMetadata", "What this authorization server can")
        .notes("OpenID Connect Discovery 1.0 and RFC 8414.")
        .answers(&[Reply::json(200, shapes::METADATA)]);
/// The same document at its other address.
pub const DISCOVERY_OF_OAUTH: Operation = Operation { id: "getOAuthMetadata", ..DISCOVERY };
/// Described.
pub const JWKS: Operation = Operation::oauth(Who::AnyClient, "getKeys", "The public keys")
    .notes("RFC 7517.")
    .answers(&[Reply::json(200, shapes::JWKS)
        .with(&[("ETag", "How new they are."), ("Cache-Control", "For how long to go by them.")])])
    .errors(&[(400, &["invalid_request"])]);

/// The metadata document.
pub async fn discovery(State(app): State<App>) -> ([(HeaderName, &'static str); 1], Json<Value>) {
    let mut document = document(app.origin());
    if app.issuer().settings().self_registration.is_some()
        && let Some(members) = document.as_object_mut()
    {
        let at = format!("{}/oauth2/register", app.origin());
        members.insert("registration_endpoint".to_owned(), at.into());
    }
    (CACHEABLE, Json(document))
}

/// The document for this issuer.
pub(crate) fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let scopes: Vec<_> =
        IDENTITY_SCOPES.iter().copied().chain([consents::SCOPE]).chain(SCOPES).collect();
    let claims = CLAIMS.iter().flat_map(|(_, claims)| claims.iter().copied());
    let claims: Vec<_> =
        ["sub", "auth_time", "acr", "amr", "sid"].into_iter().chain(claims).collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "jwks_uri": at("/oauth2/jwks"),
        "pushed_authorization_request_endpoint": at("/oauth2/par"),
        "device_authorization_endpoint": at("/oauth2/device_authorization"),
        "userinfo_endpoint": at("/oauth2/userinfo"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "end_session_endpoint": at("/oauth2/logout"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.map(|(name, _)| name),
        "grant_types_supported": [redeem::GRANT, refresh::GRANT, client_credentials::GRANT, exchange::GRANT, device::GRANT],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": OWN_ALGS,
        "userinfo_signing_alg_values_supported": OWN_ALGS,
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": FOREIGN_ALGS,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": FOREIGN_ALGS,
        "introspection_signing_alg_values_supported": OWN_ALGS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": FOREIGN_ALGS,
        "dpop_signing_alg_values_supported": ["PS256", "ES256", "EdDSA"],
        "authorization_signing_alg_values_supported": OWN_ALGS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "acr_values_supported": ["urn:procura:acr:pwd"],
        "claim_types_supported": ["normal"],
        "claims_supported": claims,
        "claims_parameter_supported": true,
        "prompt_values_supported": prompt::VALUES,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": FOREIGN_ALGS,
        "request_uri_parameter_supported": false,
        "protected_resources": [issuer],
        "authorization_details_types_supported": [details::TYPE],
        "tenant_delegation_supported": true,
        "revocation_feed_endpoint": at("/revocations/stream"),
        "revocation_snapshot_endpoint": at("/revocations/snapshot"),
    })
}

/// The public keys. `ETag` tells how new they are, so that whoever heard of a change can see whether
/// it is in them.
pub async fn jwks(State(app): State<App>) -> ([(HeaderName, String); 2], Json<Jwks>) {
    let max_age = app.issuer().settings().keys.jwks_max_age_secs;
    let keys = app.issuer().keys();
    // The version first: keys that change in between are newer than what is said of them.
    let version = keys.version().0;
    let headers = [
        (header::CACHE_CONTROL, format!("public, max-age={max_age}")),
        (header::ETAG, format!("\"keys-{version}\"")),
    ];
    (headers, Json(keys.public()))
}
