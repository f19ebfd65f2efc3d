//! What a resource server says of itself, so that a client finds its issuer without being told (RFC 9728).

use axum::{Json, Router, routing::get};
use http::header::CACHE_CONTROL;
use procura_token::dpop::ALGORITHM_NAMES;
use serde::Serialize;
use url::Url;

use crate::config::Config;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata of a protected resource. There is one only where the audience is a web address: whoever
/// reads it must be able to compare the two (section 3.3).
#[derive(Clone, Debug, Serialize)]
pub struct Metadata {
    resource: String,
    authorization_servers: [String; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: Vec<&'static str>,
    dpop_bound_access_tokens_required: bool,
    /// Ours, as in the issuer's metadata: whether people of other tenants may act here.
    tenant_delegation_supported: bool,
    #[serde(skip)]
    url: String,
    #[serde(skip)]
    path: String,
}

impl Metadata {
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let url = Url::parse(&config.audience).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https");
        let is_bare = url.query().is_none() && url.fragment().is_none();
        if !is_web || !is_bare || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        // Section 3.1: a slash that is the whole path goes; any other path comes after the well-known one.
        let path = format!("{WELL_KNOWN}{}", if url.path() == "/" { "" } else { url.path() });
        Some(Self {
            resource: config.audience.clone(),
            authorization_servers: [config.issuer.clone()],
            scopes_supported: config.scopes.clone(),
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: ALGORITHM_NAMES.split(' ').collect(),
            dpop_bound_access_tokens_required: config.needs_proof,
            tenant_delegation_supported: config.accepts_delegated,
            url: format!("{}{path}", url.origin().ascii_serialization()),
            path,
        })
    }

    /// Where a client finds it: `https://HOST/.well-known/oauth-protected-resource…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path at which it is to be served.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A router with this one route, public and cacheable.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let path = self.path.clone();
        // An audience may have a path that would mean something to the router of axum 0.7.
        Router::new().without_v07_checks().route(
            &path,
            get(async move || ([(CACHE_CONTROL, "public, max-age=300")], Json(self.clone()))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(audience: &str) -> Option<Metadata> {
        Metadata::of(&Config::new("https://auth.example.com", audience, "cli_api", "secret"))
    }

    #[test]
    fn the_well_known_path_stands_between_host_and_path() {
        let host = "https://api.example.com";
        for (audience, path) in [
            (host.to_owned(), ""),
            (format!("{host}/"), ""),
            (format!("{host}/isp"), "/isp"),
            (format!("{host}/isp/"), "/isp/"),
            (format!("{host}/a/:b"), "/a/:b"),
            (format!("{host}/{{a}}\""), "/%7Ba%7D%22"),
        ] {
            let found = of(&audience).expect("a web address");
            assert_eq!(found.resource, audience, "byte for byte");
            assert_eq!(found.url(), format!("{host}{WELL_KNOWN}{path}"));
            let _: Router = found.routes();
        }
        let port = of("http://127.0.0.1:5100").expect("a web address");
        assert_eq!(port.url(), "http://127.0.0.1:5100/.well-known/oauth-protected-resource");
    }

    #[test]
    fn an_audience_that_is_no_web_address_has_no_metadata() {
        for audience in
            ["api", "urn:example:api", "https://a/?q", "https://a/#f", "https://u:p@a/", ""]
        {
            assert!(of(audience).is_none(), "{audience}");
        }
    }
}
