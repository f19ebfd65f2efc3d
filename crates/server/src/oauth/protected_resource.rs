//! Procura as a resource server: its own API takes home tokens, and says so (RFC 9728).

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use procura_issuer::consents;
use procura_token::dpop::ALGORITHM_NAMES;
use serde_json::{Value, json};

use crate::{
    app::App,
    openapi::{Operation, Reply, Shape},
};

/// Where the metadata is: the API's identifier is the issuer, which has no path.
pub const PATH: &str = "/.well-known/oauth-protected-resource";

/// What a home token may permit at the API.
pub const SCOPES: [&str; 4] =
    ["partner.tenants.list", "partner.tenants.switch_context", "tenant.admin", "operator.admin"];

/// Described.
pub const METADATA: Operation =
    Operation::anybody("getResourceMetadata", "This API as a resource server")
        .notes("RFC 9728.")
        .answers(&[Reply::json(200, Shape::AtLeast(&[("resource", Shape::Url)]))]);

/// The metadata document.
pub async fn metadata(State(app): State<App>) -> ([(HeaderName, &'static str); 1], Json<Value>) {
    let issuer = app.origin();
    let scopes: Vec<_> = [consents::SCOPE].into_iter().chain(SCOPES).collect();
    let document = json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ALGORITHM_NAMES.split(' ').collect::<Vec<_>>(),
        "dpop_bound_access_tokens_required": false,
        "tenant_delegation_supported": false,
    });
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document))
}

/// Whether what is asked for at this path is an access token. Registration has tokens of its own (RFC 7591 §3).
pub fn takes_tokens(path: &str) -> bool {
    !path.starts_with("/oauth2/register")
}

/// Names the metadata in every challenge for an access token (RFC 9728 §5.1). A challenge for a client's
/// secret asks for something else.
pub fn point_to(issuer: &str, headers: &mut HeaderMap) {
    let challenges: Vec<_> = headers.get_all(header::WWW_AUTHENTICATE).iter().cloned().collect();
    headers.remove(header::WWW_AUTHENTICATE);
    for challenge in challenges {
        let pointed = pointed(issuer, &challenge).unwrap_or(challenge);
        headers.append(header::WWW_AUTHENTICATE, pointed);
    }
}

fn pointed(issuer: &str, challenge: &HeaderValue) -> Option<HeaderValue> {
    let text = challenge.to_str().ok()?;
    let scheme = text.split(' ').next()?;
    if !matches!(scheme, "Bearer" | "DPoP") {
        return None;
    }
    let comma = if text == scheme { "" } else { "," };
    HeaderValue::from_str(&format!("{text}{comma} resource_metadata=\"{issuer}{PATH}\"")).ok()
}
