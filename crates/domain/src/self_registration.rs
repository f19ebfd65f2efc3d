//! What software may register itself as (RFC 7591): the operator's policy, within bounds that no policy
//! passes. What software leaves out is filled in by the policy, never by a default of the standard that
//! the policy would not allow.

use std::collections::BTreeSet;

use procura_token::{Algorithm, Scope};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    client::{AuthMethod, Profile, Registration},
    client_settings::{ABOUT_PEOPLE, ClientSettings, Fault, fault, require},
    redirect::{self, Kind},
};

/// The most that any policy can allow. What acts without a person, or in customers' tenants, is given by
/// people.
const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];

/// Members of RFC 7591 and of the standards that added to it, as far as they are kept by these names.
/// All others that are not looked at below are ignored, and not answered either (RFC 7591 §2).
const KEPT: [&str; 26] = [
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "authorization_signed_response_alg",
    "introspection_signed_response_alg",
    "request_object_signing_alg",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    "post_logout_redirect_uris",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "sector_identifier_uri",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "contacts",
    "software_id",
    "software_version",
];

/// What software would rely on and would not get: better to say so than to leave it out.
const UNSUPPORTED: [&str; 13] = [
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "request_uris",
    "authorization_details_types",
    "tls_client_certificate_bound_access_tokens",
];

/// What the operator lets software register itself as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Profiles that it may name; the first one where it names none.
    pub profiles: Vec<Profile>,
    /// How it may prove who it is.
    pub auth_methods: Vec<AuthMethod>,
    /// Grant types that it may have.
    pub grant_types: BTreeSet<String>,
    /// Scopes that it may ask for; all of them where it names none.
    pub scope: Scope,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            profiles: vec![Profile::Oauth21],
            auth_methods: AuthMethod::ALL.to_vec(),
            grant_types: GRANT_TYPES.map(str::to_owned).into(),
            scope: ABOUT_PEOPLE.into_iter().collect(),
        }
    }
}

/// Whether these settings are what software can have given itself. What people gave it besides is theirs:
/// software that has more does not change itself any more.
#[must_use]
pub fn is_within(settings: &ClientSettings) -> bool {
    settings.scope.iter().all(|scope| ABOUT_PEOPLE.contains(&scope))
        && settings.grant_types.iter().all(|grant| GRANT_TYPES.contains(&grant.as_str()))
        && settings.permissions.iter().next().is_none()
        && settings.audiences.is_empty()
        && settings.exchange_for.is_empty()
        && settings.registration.authorization_details_types.is_empty()
}

impl Policy {
    /// Why it cannot be one.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.profiles.is_empty() {
            return Some("registration.profiles must name one");
        }
        if self.auth_methods.is_empty() {
            return Some("registration.auth_methods must name one");
        }
        let is_known = |grant: &String| GRANT_TYPES.contains(&grant.as_str());
        if !self.grant_types.contains("authorization_code")
            || !self.grant_types.iter().all(is_known)
        {
            return Some(
                "registration.grant_types must be authorization_code, and refresh_token if need be",
            );
        }
        let is_about_people = self.scope.iter().all(|scope| ABOUT_PEOPLE.contains(&scope));
        (!is_about_people).then_some(
            "registration.scope can have openid, profile, email, address, phone, offline_access",
        )
    }

    /// What software with this metadata is registered with: just that, or a fault. A member that is
    /// `null` counts as left out.
    pub fn settings(&self, metadata: &Map<String, Value>) -> Result<ClientSettings, Fault> {
        let given = Given(metadata);
        for member in UNSUPPORTED {
            let is_nothing =
                |value: &Value| *value == json!([]) || *value == json!(false) || value.is_null();
            require(metadata.get(member).is_none_or(is_nothing), member, "is not supported")?;
        }
        require(
            given.get("software_statement").is_none(),
            "software_statement",
            "is of nobody whose statements are known here",
        )?;
        let profile = self.profile(given)?;
        let redirect_uris = redirect_uris(given)?;
        let grant_types = self.grant_types(given)?;
        let scope = self.scope(given, grant_types.contains("refresh_token"))?;
        let name = name(given, &redirect_uris)?;
        check_types(given)?;
        let settings = ClientSettings {
            name,
            profile,
            redirect_uris,
            grant_types,
            scope,
            registration: self.registration(given, profile)?,
            ..ClientSettings::default()
        };
        settings.check().map_err(|fault| Fault { member: plain_name(fault.member), ..fault })?;
        if is_within(&settings) { Ok(settings) } else { Err(fault("body", "is not allowed")) }
    }

    fn profile(&self, given: Given<'_>) -> Result<Profile, Fault> {
        let first = self.profiles.first().copied().unwrap_or(Profile::Oauth21);
        let profile = given.read("profile")?.unwrap_or(first);
        require(self.profiles.contains(&profile), "profile", "is not allowed here")?;
        Ok(profile)
    }

    fn grant_types(&self, given: Given<'_>) -> Result<BTreeSet<String>, Fault> {
        const MEMBER: &str = "grant_types";
        let named: Option<BTreeSet<String>> = given.read(MEMBER)?;
        let grant_types = named.unwrap_or_else(|| ["authorization_code".to_owned()].into());
        require(
            grant_types.is_subset(&self.grant_types),
            MEMBER,
            "names a grant that is not allowed here",
        )?;
        require(
            grant_types.contains("authorization_code"),
            MEMBER,
            "must have authorization_code: people log in to what registers itself",
        )?;
        let response_types: Option<Vec<String>> = given.read("response_types")?;
        let is_code = |types: &Vec<String>| types.as_slice() == ["code"];
        require(response_types.as_ref().is_none_or(is_code), "response_types", "must be code")?;
        Ok(grant_types)
    }

    fn scope(&self, given: Given<'_>, can_come_back: bool) -> Result<Scope, Fault> {
        const MEMBER: &str = "scope";
        let Some(text) = given.read::<String>(MEMBER)? else {
            return Ok(self.scope.filtered(|scope| can_come_back || scope != "offline_access"));
        };
        let scope: Scope = text.parse().map_err(|_| fault(MEMBER, "is not a list of scopes"))?;
        require(scope.is_subset(&self.scope), MEMBER, "names a scope that is not allowed here")?;
        Ok(scope)
    }

    fn registration(&self, given: Given<'_>, profile: Profile) -> Result<Registration, Fault> {
        let mut kept = Map::new();
        for member in KEPT {
            let Some(value) = given.get(member) else { continue };
            let one = Value::from_iter([(member, value.clone())]);
            serde_json::from_value::<Registration>(one)
                .map_err(|_| fault(member, "is not of the right form, or not supported"))?;
            kept.insert(member.to_owned(), value.clone());
        }
        let mut fill = |member: &str, value: Value| {
            kept.entry(member).or_insert(value);
        };
        fill("token_endpoint_auth_method", json!(self.auth_method(profile)));
        if profile == Profile::Fapi2 {
            fill("id_token_signed_response_alg", json!(Algorithm::Es256));
            fill("require_pushed_authorization_requests", json!(true));
            fill("dpop_bound_access_tokens", json!(true));
        }
        let registration: Registration = serde_json::from_value(Value::Object(kept))
            .map_err(|_| fault("body", "cannot be read"))?;
        require(
            self.auth_methods.contains(&registration.token_endpoint_auth_method),
            "token_endpoint_auth_method",
            "is not allowed here",
        )?;
        Ok(registration)
    }

    /// How it proves who it is where it does not say.
    fn auth_method(&self, profile: Profile) -> AuthMethod {
        if profile == Profile::Fapi2 {
            return AuthMethod::PrivateKeyJwt;
        }
        let usual = AuthMethod::ClientSecretBasic;
        if self.auth_methods.contains(&usual) {
            return usual;
        }
        self.auth_methods.first().copied().unwrap_or(usual)
    }
}

/// What software says of itself.
#[derive(Clone, Copy)]
struct Given<'a>(&'a Map<String, Value>);

impl<'a> Given<'a> {
    fn get(self, member: &str) -> Option<&'a Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    fn read<T: DeserializeOwned>(self, member: &'static str) -> Result<Option<T>, Fault> {
        let read = |value: &Value| {
            T::deserialize(value)
                .map_err(|_| fault(member, "is not of the right form, or not known"))
        };
        self.get(member).map(read).transpose()
    }
}

fn redirect_uris(given: Given<'_>) -> Result<Vec<String>, Fault> {
    const MEMBER: &str = "redirect_uris";
    let uris: Vec<String> = given.read(MEMBER)?.unwrap_or_default();
    require(!uris.is_empty(), MEMBER, "must name one at least")?;
    if given.read::<String>("application_type")?.as_deref() == Some("web") {
        // OpenID Connect Registration 1.0 §2: a web application is no app on somebody's device.
        let is_web = uris.iter().all(|uri| redirect::kind(uri) == Some(Kind::Https));
        require(is_web, MEMBER, "must be https for application_type web")?;
    }
    Ok(uris)
}

/// `web` where all redirect URIs are https, else `native` (OpenID Connect Registration 1.0 §2).
#[must_use]
pub fn application_type(redirect_uris: &[String]) -> &'static str {
    let is_web = redirect_uris.iter().all(|uri| redirect::kind(uri) == Some(Kind::Https));
    if is_web { "web" } else { "native" }
}

fn check_types(given: Given<'_>) -> Result<(), Fault> {
    for (member, known) in
        [("application_type", &["web", "native"][..]), ("subject_type", &["public"][..])]
    {
        let named: Option<String> = given.read(member)?;
        let is_known = named.is_none_or(|named| known.contains(&named.as_str()));
        require(is_known, member, "is not supported")?;
    }
    Ok(())
}

/// What people see on the consent page: without a name, where they would be sent.
fn name(given: Given<'_>, redirect_uris: &[String]) -> Result<String, Fault> {
    const MEMBER: &str = "client_name";
    let Some(name) = given.read::<String>(MEMBER)? else {
        let first = redirect_uris.first().map(String::as_str).unwrap_or_default();
        let url = url::Url::parse(first).map_err(|_| fault("redirect_uris", "is not a URI"))?;
        return Ok(url.host_str().unwrap_or(url.scheme()).chars().take(120).collect());
    };
    // They turn the order of letters around, or cannot be seen: the page would say what was not written.
    let is_hidden = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
    };
    require(!name.chars().any(is_hidden), MEMBER, "has characters that nobody sees")?;
    Ok(name)
}

/// The name of a member as the standard has it.
fn plain_name(member: &'static str) -> &'static str {
    match member {
        "name" => "client_name",
        other => other.strip_prefix("registration.").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "https://app.example/cb";

    fn settings(policy: &Policy, metadata: &Value) -> Result<ClientSettings, &'static str> {
        let mut all = json!({ "redirect_uris": [URI] });
        all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        policy.settings(all.as_object().unwrap()).map_err(|fault| fault.member)
    }

    #[expect(clippy::needless_pass_by_value, reason = "called with what `json!` makes")]
    #[track_caller]
    fn refused(metadata: Value, member: &str) {
        let answer = settings(&Policy::default(), &metadata);
        assert_eq!(answer.err(), Some(member), "{metadata}");
    }

    #[test]
    fn what_is_left_out_is_what_the_policy_allows() {
        let usual = settings(&Policy::default(), &json!({})).unwrap();
        assert_eq!(usual.name, "app.example");
        assert_eq!(usual.profile, Profile::Oauth21);
        assert_eq!(usual.grant_types, ["authorization_code".to_owned()].into());
        assert_eq!(usual.scope.to_string(), "address email openid phone profile");
        assert!(is_within(&usual));
        for empty in [json!(null), json!(false)] {
            let members = UNSUPPORTED.map(|member| (member, empty.clone()));
            let same = settings(&Policy::default(), &Value::from_iter(members)).unwrap();
            assert_eq!(same, usual);
        }
        let nulls = Value::from_iter(KEPT.map(|member| (member, Value::Null)));
        assert_eq!(settings(&Policy::default(), &nulls), Ok(usual));

        let strict = Policy {
            profiles: vec![Profile::Fapi2],
            auth_methods: vec![AuthMethod::PrivateKeyJwt],
            scope: "openid".parse().unwrap(),
            ..Policy::default()
        };
        assert_eq!(settings(&strict, &json!({})), Err("jwks"));
        let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }] });
        let strictly = settings(&strict, &json!({ "jwks": jwks })).unwrap();
        assert_eq!(strictly.scope.to_string(), "openid");
        assert_eq!(strictly.registration.id_token_signed_response_alg, Algorithm::Es256);
        assert!(strictly.registration.dpop_bound_access_tokens);
        for less in [
            json!({ "jwks": jwks, "dpop_bound_access_tokens": false }),
            json!({ "jwks": jwks, "require_pushed_authorization_requests": false }),
            json!({ "jwks": jwks, "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "jwks": jwks, "profile": "oauth21" }),
            json!({ "jwks": jwks, "scope": "openid email" }),
        ] {
            settings(&strict, &less).unwrap_err();
        }
        let public = Policy { auth_methods: vec![AuthMethod::None], ..Policy::default() };
        let open = settings(&public, &json!({})).unwrap();
        assert_eq!(open.registration.token_endpoint_auth_method, AuthMethod::None);
    }

    #[test]
    fn no_policy_lets_software_be_more_than_an_application_that_people_log_in_to() {
        refused(json!({ "grant_types": ["client_credentials"] }), "grant_types");
        let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
        refused(json!({ "grant_types": ["authorization_code", exchange] }), "grant_types");
        refused(json!({ "grant_types": ["refresh_token"] }), "grant_types");
        refused(json!({ "grant_types": [] }), "grant_types");
        refused(json!({ "grant_types": ["authorization_code", "implicit"] }), "grant_types");
        refused(json!({ "response_types": ["code", "token"] }), "response_types");
        refused(json!({ "response_types": [] }), "response_types");
        refused(json!({ "scope": "openid tenant.admin" }), "scope");
        refused(json!({ "scope": "account.consents" }), "scope");
        refused(json!({ "subject_type": "pairwise" }), "subject_type");
        refused(json!({ "authorization_details_types": ["tenant_delegation"] }), UNSUPPORTED[11]);
        refused(json!({ "id_token_encrypted_response_alg": "RSA-OAEP" }), UNSUPPORTED[0]);
        refused(json!({ "request_uris": ["https://app.example/r"] }), "request_uris");
        refused(json!({ "software_statement": "x.y.z" }), "software_statement");
        // What only people give is not even a member of what software says.
        let more = json!({ "permissions": "*", "audiences": ["https://api.example"],
            "exchange_for": ["cli_portal"], "default_audience": "https://api.example" });
        assert!(is_within(&settings(&Policy::default(), &more).unwrap()));
        let mut widened = settings(&Policy::default(), &json!({})).unwrap();
        widened.permissions = "billing.read".parse().unwrap();
        assert!(!is_within(&widened));
    }

    #[test]
    fn a_policy_itself_has_bounds() {
        assert_eq!(Policy::default().fault(), None);
        let with = |change: fn(&mut Policy)| {
            let mut policy = Policy::default();
            change(&mut policy);
            policy.fault()
        };
        assert!(with(|p| p.scope = "openid operator.admin".parse().unwrap()).is_some());
        assert!(with(|p| p.grant_types = ["refresh_token".to_owned()].into()).is_some());
        assert!(with(|p| _ = p.grant_types.insert("client_credentials".to_owned())).is_some());
        assert!(with(|p| p.profiles.clear()).is_some());
        assert!(with(|p| p.auth_methods.clear()).is_some());
    }

    #[test]
    fn every_member_is_looked_at() {
        refused(json!({ "redirect_uris": [] }), "redirect_uris");
        refused(json!({ "redirect_uris": "https://app.example/cb" }), "redirect_uris");
        refused(json!({ "redirect_uris": ["JaVaScRiPt:alert(1)"] }), "redirect_uris");
        refused(json!({ "redirect_uris": [" https://app.example/cb"] }), "redirect_uris");
        let native = json!({ "redirect_uris": ["http://127.0.0.1:8400/cb"] });
        assert_eq!(settings(&Policy::default(), &native).unwrap().name, "127.0.0.1");
        assert_eq!(application_type(&["http://127.0.0.1:8400/cb".to_owned()]), "native");
        refused(
            json!({ "redirect_uris": ["http://127.0.0.1/cb"], "application_type": "web" }),
            "redirect_uris",
        );
        refused(json!({ "application_type": "desktop" }), "application_type");
        refused(json!({ "client_name": "Pay\u{202e}lap" }), "client_name");
        for blank in ["\u{3164}", "\u{2800}", "\u{115f}\u{1160}", "Pay\u{ffa0}pal", "\u{2003}"] {
            refused(json!({ "client_name": blank }), "client_name");
        }
        settings(&Policy::default(), &json!({ "client_name": "한국 은행" })).unwrap();
        refused(json!({ "client_name": "" }), "client_name");
        refused(json!({ "client_name": 7 }), "client_name");
        refused(json!({ "token_endpoint_auth_method": "tls_client_auth" }), KEPT[0]);
        refused(json!({ "id_token_signed_response_alg": "none" }), KEPT[4]);
        refused(json!({ "id_token_signed_response_alg": "EdDSA" }), KEPT[4]);
        refused(json!({ "logo_uri": "data:image/png,x" }), "logo_uri");
        refused(json!({ "policy_uri": "JAVASCRIPT:x" }), "policy_uri");
        refused(json!({ "contacts": ["a\u{7}"] }), "contacts");
        refused(json!({ "software_id": "a\nb" }), "software_id");
        let both = json!({ "jwks": { "keys": [{ "kty": "EC" }] }, "jwks_uri": URI });
        refused(both, "jwks");
    }
}
