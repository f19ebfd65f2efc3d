//! What a client is registered with, as whoever administers it says, and the rules that hold for it:
//! the same at every door, whether API, command line or a file.

use std::collections::BTreeSet;

use procura_token::{Algorithm, ClientId, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    client::{AuthMethod, Profile, Registration},
    patch::{is_list_for_object, merge},
    permission::{self, Permissions},
    redirect,
};

/// Everything about a client that can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// What people see on the consent page.
    pub name: String,
    /// The policy that holds for it.
    pub profile: Profile,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Grant types that it may use.
    pub grant_types: BTreeSet<String>,
    /// Scopes that it may ask for at login.
    pub scope: Scope,
    /// The most that it may ask for with client credentials, or in a customer's tenant.
    pub permissions: Permissions,
    /// Resource servers that it may name.
    pub audiences: Vec<String>,
    /// The one that is meant when it names none.
    pub default_audience: Option<String>,
    /// Other clients whose tokens it may exchange.
    pub exchange_for: Vec<ClientId>,
    /// What else it is registered as.
    pub registration: Registration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            profile: Profile::Oauth21,
            redirect_uris: Vec::new(),
            grant_types: BTreeSet::new(),
            scope: Scope::default(),
            permissions: Permissions::default(),
            audiences: Vec::new(),
            default_audience: None,
            exchange_for: Vec::new(),
            registration: Registration::default(),
        }
    }
}

/// What is wrong with a member; both texts are constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct Fault {
    /// Its name.
    pub member: &'static str,
    /// What it should be.
    pub why: &'static str,
}

/// Grant types that a client can have.
pub const GRANT_TYPES: [&str; 5] =
    ["authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE, DEVICE_CODE];
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Scopes that tell a client about a person, and let it do nothing.
pub(crate) const ABOUT_PEOPLE: [&str; 6] =
    ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Scopes that let a client use a person's role.
const ADMINISTRATIVE: [&str; 5] = [
    permission::LIST_TENANTS,
    permission::SWITCH_CONTEXT,
    "tenant.admin",
    "operator.admin",
    "account.consents",
];

pub(crate) const MAX_ITEMS: usize = 32;

/// By the names that they have in JSON.
const MEMBERS: [&str; 10] = [
    "name",
    "profile",
    "redirect_uris",
    "grant_types",
    "scope",
    "permissions",
    "audiences",
    "default_audience",
    "exchange_for",
    "registration",
];

pub(crate) const fn fault(member: &'static str, why: &'static str) -> Fault {
    Fault { member, why }
}

pub(crate) fn require(is_good: bool, member: &'static str, why: &'static str) -> Result<(), Fault> {
    if is_good { Ok(()) } else { Err(fault(member, why)) }
}

impl ClientSettings {
    /// With the members of a JSON Merge Patch (RFC 7396): `null` puts the default back. Unknown members
    /// are refused, also inside of `registration`.
    pub fn patched(&self, patch: &Value) -> Result<Self, Fault> {
        let members = patch.as_object().ok_or(fault("body", "must be a JSON object"))?;
        let mut all = serde_json::to_value(self).map_err(|_| fault("body", "cannot be read"))?;
        for (name, value) in members {
            let known = MEMBERS.iter().find(|known| *known == name);
            let known = known.ok_or(fault("body", "has a member that is not known"))?;
            if let Some(jwks) =
                all.pointer_mut("/registration/jwks").filter(|_| value.get("jwks").is_some())
            {
                // A key set is one thing: keys of the old one do not live on in the new.
                jwks.take();
            }
            if is_list_for_object(all.get(name), value) {
                return Err(fault(known, "must be an object"));
            }
            merge(&mut all, &Value::from_iter([(name.as_str(), value.clone())]));
            // One by one, so that the answer can say which it was.
            if serde_json::from_value::<Self>(all.clone()).is_err() {
                return Err(fault(known, "is not of the right form, or has an unknown member"));
            }
        }
        serde_json::from_value(all).map_err(|_| fault("body", "cannot be read"))
    }

    /// Whether a client can be registered so.
    pub fn check(&self) -> Result<(), Fault> {
        let length = self.name.chars().count();
        let is_name = (1..=120).contains(&length)
            && self.name.trim() == self.name
            && !self.name.chars().any(char::is_control);
        require(is_name, "name", "must have 1 to 120 characters, and no space around them")?;
        self.check_redirect_uris()?;
        self.check_grants()?;
        let is_scope =
            |scope: &str| ABOUT_PEOPLE.contains(&scope) || ADMINISTRATIVE.contains(&scope);
        require(self.scope.iter().all(is_scope), "scope", "names a scope that is not known")?;
        let is_full = self.audiences.len() > MAX_ITEMS;
        require(!is_full && is_set(&self.audiences), "audiences", "too many, or one twice")?;
        let is_default =
            self.default_audience.as_ref().is_none_or(|default| self.audiences.contains(default));
        require(is_default, "default_audience", "must be one of the audiences")?;
        require(self.exchange_for.len() <= MAX_ITEMS, "exchange_for", "too many")?;
        self.registration.check()?;
        self.check_answers()?;
        if self.profile == Profile::Fapi2 { self.check_fapi2() } else { Ok(()) }
    }

    fn check_redirect_uris(&self) -> Result<(), Fault> {
        const MEMBER: &str = "redirect_uris";
        let is_native = !self.is_confidential();
        require(
            self.redirect_uris.len() <= MAX_ITEMS && is_set(&self.redirect_uris),
            MEMBER,
            "too many, or one twice",
        )?;
        for uri in &self.redirect_uris {
            let kind = redirect::kind(uri).ok_or(fault(
                MEMBER,
                "must be https, or http on loopback, or a scheme with a dot of a native app; \
                 without fragment and user information",
            ))?;
            require(
                kind != redirect::Kind::PrivateUse || is_native,
                MEMBER,
                "only a public client can have a scheme of its own",
            )?;
        }
        let wants = self.grant_types.contains("authorization_code");
        require(
            !wants || !self.redirect_uris.is_empty(),
            MEMBER,
            "the grant authorization_code needs one",
        )
    }

    fn check_grants(&self) -> Result<(), Fault> {
        const MEMBER: &str = "grant_types";
        let is_known = |grant: &String| GRANT_TYPES.contains(&grant.as_str());
        require(self.grant_types.iter().all(is_known), MEMBER, "names a grant that is not known")?;
        require(
            self.is_confidential() || !self.grant_types.contains("client_credentials"),
            MEMBER,
            "a public client has no credentials of its own",
        )?;
        let has = |grant: &str| self.grant_types.contains(grant);
        require(
            !has("refresh_token") || has("authorization_code") || has(DEVICE_CODE),
            MEMBER,
            "refresh_token comes with authorization_code or the device's grant",
        )
    }

    fn is_confidential(&self) -> bool {
        self.registration.token_endpoint_auth_method != AuthMethod::None
    }

    /// FAPI 2.0 Security Profile §5.3.2, as far as it is about what is registered.
    /// What we sign, we sign with one of our two keys.
    fn check_answers(&self) -> Result<(), Fault> {
        let r = &self.registration;
        for (member, alg) in [
            ("registration.id_token_signed_response_alg", Some(r.id_token_signed_response_alg)),
            ("registration.userinfo_signed_response_alg", r.userinfo_signed_response_alg),
            ("registration.authorization_signed_response_alg", r.authorization_signed_response_alg),
            ("registration.introspection_signed_response_alg", r.introspection_signed_response_alg),
        ] {
            let is_ours = alg.is_none_or(|alg| matches!(alg, Algorithm::Es256 | Algorithm::Rs256));
            require(is_ours, member, "must be ES256 or RS256")?;
        }
        Ok(())
    }

    fn check_fapi2(&self) -> Result<(), Fault> {
        let r = &self.registration;
        require(
            !self.grant_types.contains(DEVICE_CODE),
            "grant_types",
            "the device's grant has no place in the profile fapi2",
        )?;
        require(
            r.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt,
            "registration.token_endpoint_auth_method",
            "must be private_key_jwt for the profile fapi2",
        )?;
        require(
            r.require_pushed_authorization_requests,
            "registration.require_pushed_authorization_requests",
            "must be true for the profile fapi2",
        )?;
        require(
            r.dpop_bound_access_tokens,
            "registration.dpop_bound_access_tokens",
            "must be true for the profile fapi2",
        )?;
        let algorithms = [
            Some(r.id_token_signed_response_alg),
            r.token_endpoint_auth_signing_alg,
            r.userinfo_signed_response_alg,
            r.authorization_signed_response_alg,
            r.introspection_signed_response_alg,
            r.request_object_signing_alg,
        ];
        require(
            !algorithms.contains(&Some(Algorithm::Rs256)),
            "registration.id_token_signed_response_alg",
            "RS256, which is the default, has no place in the profile fapi2",
        )
    }

    /// Whether a tenant's own admin may register it. People of every tenant can log in to a client, so
    /// one that asks for anybody's administrative scopes would be bait for other tenants' admins; and
    /// what it may do by itself must be named, and be nothing that is never handed over.
    pub fn check_bounds(&self) -> Result<(), &'static str> {
        if ADMINISTRATIVE.iter().any(|scope| self.scope.contains(scope)) {
            return Err("scope");
        }
        // A device's code can be sent to anybody, from anywhere.
        if self.grant_types.contains(TOKEN_EXCHANGE) || self.grant_types.contains(DEVICE_CODE) {
            return Err("grant_types");
        }
        if !self.exchange_for.is_empty() {
            return Err("exchange_for");
        }
        if self.permissions.iter().any(permission::reaches_never_delegable) {
            return Err("permissions");
        }
        Ok(())
    }

    /// Whether these settings take something away that a token may have been issued under.
    #[must_use]
    pub fn is_narrower_than(&self, before: &Self) -> bool {
        let (now, then) = (&self.registration, &before.registration);
        !before.grant_types.is_subset(&self.grant_types)
            || !before.scope.is_subset(&self.scope)
            || !self.permissions.covers(&before.permissions)
            || before.audiences.iter().any(|audience| !self.audiences.contains(audience))
            || before.exchange_for.iter().any(|client| !self.exchange_for.contains(client))
            || self.profile != before.profile
            || now.token_endpoint_auth_method != then.token_endpoint_auth_method
            || now.dpop_bound_access_tokens != then.dpop_bound_access_tokens
    }
}

fn is_set(items: &[String]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn portal() -> ClientSettings {
        let patch = json!({
            "name": "Portal",
            "redirect_uris": ["https://portal.example/callback"],
            "grant_types": ["authorization_code", "client_credentials"],
            "scope": "openid profile",
            "permissions": "billing.read",
            "audiences": ["https://api.example"],
        });
        ClientSettings::default().patched(&patch).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "called with what `json!` makes")]
    #[track_caller]
    fn refused(patch: Value, member: &str) {
        let patched = portal().patched(&patch).and_then(|settings| settings.check());
        assert_eq!(patched.map_err(|fault| fault.member), Err(member), "{patch}");
    }

    #[expect(clippy::needless_pass_by_value, reason = "called with what `json!` makes")]
    #[track_caller]
    fn taken(patch: Value) -> ClientSettings {
        let settings = portal().patched(&patch).unwrap();
        assert_eq!(settings.check(), Ok(()), "{patch}");
        settings
    }

    #[test]
    fn what_cannot_be_registered_is_named() {
        taken(json!({}));
        refused(json!({ "name": "" }), "name");
        refused(json!({ "name": "a\u{7}" }), "name");
        refused(json!({ "nmae": "x" }), "body");
        refused(json!({ "profile": "saml" }), "profile");
        refused(json!({ "redirect_uris": [] }), "redirect_uris");
        taken(json!({ "redirect_uris": [], "grant_types": ["client_credentials"] }));
        refused(json!({ "redirect_uris": ["javascript:alert(1)"] }), "redirect_uris");
        refused(json!({ "redirect_uris": ["com.example.app:/cb"] }), "redirect_uris");
        refused(json!({ "grant_types": ["implicit"] }), "grant_types");
        refused(json!({ "grant_types": ["refresh_token"] }), "grant_types");
        taken(json!({ "grant_types": ["refresh_token", "authorization_code"] }));
        taken(json!({ "grant_types": ["refresh_token", DEVICE_CODE], "redirect_uris": [] }));
        refused(json!({ "scope": "openid billing.read" }), "scope");
        refused(json!({ "permissions": "a.*.b" }), "permissions");
        refused(json!({ "default_audience": "https://other.example" }), "default_audience");
        refused(json!({ "registration": { "nmae": 1 } }), "registration");
        refused(json!({ "registration": { "logo_uri": "javascript:x" } }), "registration.logo_uri");
        let details = json!({ "registration": { "authorization_details_types": ["payment"] } });
        refused(details, "registration.authorization_details_types");
    }

    #[test]
    fn a_public_client_has_a_scheme_of_its_own_and_no_credentials() {
        let public = json!({ "token_endpoint_auth_method": "none" });
        refused(json!({ "registration": public }), "grant_types");
        taken(json!({
            "registration": public,
            "grant_types": ["authorization_code"],
            "redirect_uris": ["com.example.app:/cb"],
        }));
    }

    #[test]
    fn a_fapi2_client_proves_itself_by_its_key_alone() {
        let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }] });
        let good = json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks,
            "require_pushed_authorization_requests": true, "dpop_bound_access_tokens": true,
            "id_token_signed_response_alg": "ES256",
        });
        taken(json!({ "profile": "fapi2", "registration": good }));
        for member in [
            "token_endpoint_auth_method",
            "require_pushed_authorization_requests",
            "dpop_bound_access_tokens",
            "id_token_signed_response_alg",
        ] {
            let mut less = good.clone();
            less.as_object_mut().unwrap().remove(member);
            refused(
                json!({ "profile": "fapi2", "registration": less }),
                match member {
                    "token_endpoint_auth_method" => "registration.token_endpoint_auth_method",
                    "dpop_bound_access_tokens" => "registration.dpop_bound_access_tokens",
                    "id_token_signed_response_alg" => "registration.id_token_signed_response_alg",
                    _ => "registration.require_pushed_authorization_requests",
                },
            );
        }
        let by_key = |jwks: Value| {
            let by = "private_key_jwt";
            json!({ "registration": { "token_endpoint_auth_method": by, "jwks": jwks } })
        };
        taken(by_key(jwks));
        refused(by_key(Value::Null), "registration.jwks");
        refused(by_key(json!({ "keys": [] })), "registration.jwks");
        let private = json!({ "keys": [{ "kty": "EC", "x": "x", "y": "y", "d": "secret" }] });
        refused(by_key(private), "registration.jwks");
        refused(by_key(json!({ "keys": [{ "kty": "oct", "k": "x" }] })), "registration.jwks");
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_puts_the_default_back() {
        let settings = taken(json!({ "registration": { "client_uri": "https://a.example" } }));
        let more = settings.patched(&json!({ "registration": { "tos_uri": "https://a.example" } }));
        let more = more.unwrap();
        assert!(more.registration.client_uri.is_some() && more.registration.tos_uri.is_some());
        let less = more.patched(&json!({ "registration": { "client_uri": null }, "scope": null }));
        let less = less.unwrap();
        assert!(less.registration.client_uri.is_none() && less.scope.is_empty());
        assert_eq!(less.redirect_uris, settings.redirect_uris);
    }

    #[test]
    fn a_tenants_own_client_is_no_bait_and_reaches_nothing_that_is_never_handed_over() {
        let bounds = |patch: Value| taken(patch).check_bounds();
        assert_eq!(bounds(json!({})), Ok(()));
        assert_eq!(bounds(json!({ "permissions": "tenant.users.* billing.*" })), Ok(()));
        for scope in ADMINISTRATIVE {
            assert_eq!(bounds(json!({ "scope": scope })), Err("scope"), "{scope}");
        }
        for permission in ["*", "secrets.*", "secrets.read", "tenant.*", "tenant.keys.rotate"] {
            let patch = json!({ "permissions": permission });
            assert_eq!(bounds(patch), Err("permissions"), "{permission}");
        }
        for grant in [TOKEN_EXCHANGE, DEVICE_CODE] {
            assert_eq!(bounds(json!({ "grant_types": [grant] })), Err("grant_types"));
        }
        assert_eq!(bounds(json!({ "exchange_for": ["cli_other"] })), Err("exchange_for"));
    }

    #[test]
    fn taking_away_is_told_from_adding() {
        let before = portal();
        let is_narrower = |patch: Value| taken(patch).is_narrower_than(&before);
        assert!(!is_narrower(json!({})));
        assert!(!is_narrower(json!({ "name": "Other", "permissions": "billing.*" })));
        assert!(!is_narrower(json!({ "scope": "openid profile email" })));
        assert!(is_narrower(json!({ "scope": "openid" })));
        assert!(is_narrower(json!({ "permissions": "" })));
        assert!(is_narrower(json!({ "audiences": [] })));
        assert!(is_narrower(json!({ "grant_types": ["client_credentials"] })));
        assert!(is_narrower(json!({ "profile": "oidc" })));
        assert!(is_narrower(json!({ "registration": { "dpop_bound_access_tokens": true } })));
    }
}
