//! What an identity provider is asked, server to server: its metadata (OpenID Connect Discovery 1.0), its
//! keys, and what a code is good for. All through the one outbound client.

use std::sync::Arc;

use procura_domain::identity_provider::ProviderAuth;
use procura_outbound::Error as CallFailed;
use procura_store::identity_providers::Provider;
use procura_token::{ForeignKeys, ProviderId, foreign::unverified_kid, jws::MAX_TOKEN_BYTES};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    Issuer, Result,
    client_keys::{Documents, key_set},
    upstream::{NotLoggedIn, Refused},
};

/// What providers publish, kept for a while.
pub(crate) struct Upstreams {
    metadata: Documents<Metadata, ProviderId>,
    keys: Documents<ForeignKeys, ProviderId>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { metadata: Documents::new(metadata), keys: Documents::new(key_set) }
    }
}

/// What we need of a provider's metadata.
pub(crate) struct Metadata {
    issuer: String,
    pub(crate) authorization_endpoint: Url,
    token_endpoint: String,
    jwks_uri: String,
    /// Whether its answers say whose they are (RFC 9207 §3).
    pub(crate) names_itself: bool,
}

/// What went out with the browser.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub verifier: &'a str,
    pub nonce: &'a str,
}

fn metadata(json: &Value) -> Option<Metadata> {
    #[derive(Deserialize)]
    struct Published {
        issuer: String,
        authorization_endpoint: Url,
        token_endpoint: String,
        jwks_uri: String,
        #[serde(default)]
        authorization_response_iss_parameter_supported: bool,
    }
    let published = Published::deserialize(json).ok()?;
    Some(Metadata {
        issuer: published.issuer,
        authorization_endpoint: published.authorization_endpoint,
        token_endpoint: published.token_endpoint,
        jwks_uri: published.jwks_uri,
        names_itself: published.authorization_response_iss_parameter_supported,
    })
}

impl Issuer {
    /// The provider's metadata, if it is the provider's.
    pub(crate) async fn upstream_metadata(
        &self,
        provider: &Provider,
    ) -> Result<Arc<Metadata>, Refused> {
        let root = provider.issuer.trim_end_matches('/');
        let url = format!("{root}/.well-known/openid-configuration");
        let outbound = &self.0.outbound;
        let is_own = |found: &Metadata| found.issuer == provider.issuer;
        let found = self.0.upstreams.metadata.find(outbound, (&provider.id, &url), is_own).await;
        let found = found.ok_or((NotLoggedIn::Unreachable, "upstream_unreachable"))?;
        // A browser goes only where we would go too.
        let endpoint = outbound.check(found.authorization_endpoint.as_str());
        if !is_own(&found) || endpoint.is_err() {
            return Err((NotLoggedIn::NotGenuine, "upstream_metadata_wrong"));
        }
        Ok(found)
    }

    /// The provider's keys; fetched again, at most once in ten seconds, where they lack this token's.
    pub(crate) async fn upstream_keys(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Arc<ForeignKeys>, Refused> {
        let kid = unverified_kid(token);
        let suits = |set: &ForeignKeys| kid.as_ref().is_none_or(|kid| set.may_have(kid));
        let at = (&provider.id, metadata.jwks_uri.as_str());
        let found = self.0.upstreams.keys.find(&self.0.outbound, at, suits).await;
        found.ok_or((NotLoggedIn::Unreachable, "upstream_keys_unreachable"))
    }

    /// The ID token that the code is good for, unverified. Nothing else of the answer is looked at: we are
    /// after a login and call nobody with the provider's access token.
    pub(crate) async fn redeem_upstream(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        (code, verifier): (&str, &str),
    ) -> Result<Result<String, Refused>> {
        let secret = self.0.secrets.open_for(provider.id, &provider.sealed)?;
        let id = provider.settings.client_id.as_str();
        let redirect_uri = self.upstream_redirect_uri(provider.id);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", verifier),
        ];
        let basic = match provider.settings.token_endpoint_auth_method {
            ProviderAuth::ClientSecretBasic => Some((id, secret.as_str())),
            ProviderAuth::ClientSecretPost => {
                fields.extend([("client_id", id), ("client_secret", secret.as_str())]);
                None
            }
        };
        let outbound = &self.0.outbound;
        let answer = outbound.post_form_for_json(&metadata.token_endpoint, basic, &fields).await;
        Ok(match answer {
            Ok(answer) => {
                let token = answer.get("id_token").and_then(Value::as_str);
                let token = token.filter(|token| token.len() <= MAX_TOKEN_BYTES);
                token
                    .map(ToOwned::to_owned)
                    .ok_or((NotLoggedIn::NotGenuine, "upstream_id_token_missing"))
            }
            Err(CallFailed::Status(400..500)) => {
                Err((NotLoggedIn::NotGenuine, "upstream_code_refused"))
            }
            Err(reason) => {
                tracing::info!(%reason, "an identity provider's token endpoint did not answer");
                Err((NotLoggedIn::Unreachable, "upstream_unreachable"))
            }
        })
    }
}
