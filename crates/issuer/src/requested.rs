//! The claims of OpenID Connect: which there are, by which scope they are let known, and which of them a
//! request names one by one (OpenID Connect Core §5.4, §5.5).

use procura_store::users::User;
use procura_token::{Scope, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Scopes of OpenID Connect that anybody may ask for.
pub const IDENTITY_SCOPES: &[&str] =
    &["openid", "profile", "email", "address", "phone", OFFLINE_ACCESS];

/// The scope of whoever wants to come back without the person (OpenID Connect Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Each standard claim, after the scope that it belongs to.
pub const CLAIMS: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// Claims that a request names besides its scope. Only such as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// To be had at userinfo.
    pub userinfo: Vec<String>,
    /// To stand in the ID token.
    pub id_token: Vec<String>,
}

/// The parameter `claims`, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClaimsParameter {
    /// The claims that it names.
    pub requested: Requested,
    /// The only person who may answer.
    pub subject: Option<String>,
    /// One of these strengths of login is demanded.
    pub acrs: Option<Vec<String>>,
}

/// The scope by which a claim is let known.
fn scope_of(claim: &str) -> Option<&'static str> {
    CLAIMS.iter().find(|(_, claims)| claims.contains(&claim)).map(|(scope, _)| *scope)
}

impl Requested {
    /// Leaves out what is not worth one of these scopes.
    pub(crate) fn narrow_to(&mut self, allowed: &Scope) {
        let is_allowed =
            |claim: &String| scope_of(claim).is_some_and(|scope| allowed.contains(scope));
        self.userinfo.retain(is_allowed);
        self.id_token.retain(is_allowed);
    }

    /// The scopes whose words on the consent page cover these claims.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.userinfo.iter().chain(&self.id_token).filter_map(|claim| scope_of(claim))
    }
}

impl ClaimsParameter {
    /// Reads it. `allowed` is what the client may ask for at all: a claim is worth no less than its scope.
    /// `None` where it is malformed.
    pub(crate) fn parse(text: &str, allowed: &Scope) -> Option<Self> {
        let whole: Map<String, Value> = serde_json::from_str(text).ok()?;
        let mut parsed = Self::default();
        for place in ["userinfo", "id_token"] {
            let Some(members) = whole.get(place).filter(|members| !members.is_null()) else {
                continue;
            };
            for (claim, wish) in members.as_object()? {
                if !(wish.is_null() || wish.is_object()) {
                    return None;
                }
                parsed.add(place, claim, wish, allowed)?;
            }
        }
        Some(parsed)
    }

    fn add(&mut self, place: &str, claim: &str, wish: &Value, allowed: &Scope) -> Option<()> {
        if claim == "sub" {
            if let Some(subject) = wish.get("value") {
                // One of ours, or nobody's.
                let subject = subject.as_str()?.parse::<UserId>().ok()?.to_string();
                if self.subject.as_ref().is_some_and(|other| *other != subject) {
                    return None;
                }
                self.subject = Some(subject);
            }
            return Some(());
        }
        if claim == "acr" && wish.get("essential") == Some(&Value::Bool(true)) {
            let one = wish.get("value").into_iter();
            let many = wish.get("values").and_then(Value::as_array).into_iter().flatten();
            let wanted: Vec<_> =
                one.chain(many).filter_map(Value::as_str).map(ToOwned::to_owned).collect();
            if !wanted.is_empty() {
                self.acrs = Some(wanted);
            }
            return Some(());
        }
        if scope_of(claim).is_some_and(|scope| allowed.contains(scope)) {
            let requested = &mut self.requested;
            let names =
                if place == "userinfo" { &mut requested.userinfo } else { &mut requested.id_token };
            if !names.iter().any(|known| known == claim) {
                names.push(claim.to_owned());
            }
        }
        Some(())
    }
}

/// What a person lets be known of those claims that `may_know` picks. What is not there is left out.
pub(crate) fn claims_of(
    user: &User,
    may_know: impl Fn(&'static str, &str) -> bool,
) -> Result<Map<String, Value>> {
    let Ok(Value::Object(mut known)) = serde_json::to_value(&user.claims) else {
        return Err(Error::Broken);
    };
    known.insert("name".into(), user.name.clone().into());
    known.insert("email".into(), user.email.clone().into());
    known.insert("email_verified".into(), true.into());
    known.insert("updated_at".into(), user.changed_at.secs().into());
    let is_let = |claim: &str| scope_of(claim).is_some_and(|scope| may_know(scope, claim));
    known.retain(|claim, _| is_let(claim));
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<ClaimsParameter> {
        ClaimsParameter::parse(text, &"openid profile email".parse().unwrap_or_default())
    }

    #[test]
    fn claims_are_named_one_by_one_and_never_beyond_the_scopes_of_the_client() {
        let parsed = parse(
            r#"{"userinfo":{"given_name":{"essential":true},"phone_number":null,"shoe_size":null},
                "id_token":{"email":null,"auth_time":{"essential":true}},"else":1}"#,
        );
        let parsed = parsed.unwrap_or_default();
        assert_eq!(parsed.requested.userinfo, ["given_name"]);
        assert_eq!(parsed.requested.id_token, ["email"]);
        assert_eq!(parsed.requested.scopes().collect::<Vec<_>>(), ["profile", "email"]);
    }

    #[test]
    fn a_person_and_a_strength_can_be_demanded() {
        let parsed = parse(
            r#"{"id_token":{"sub":{"value":"usr_00000000000000000000000000000001"},"acr":{"essential":true,"values":["x","y"]}}}"#,
        );
        let parsed = parsed.unwrap_or_default();
        assert_eq!(parsed.subject.as_deref(), Some("usr_00000000000000000000000000000001"));
        assert_eq!(parsed.acrs, Some(vec!["x".to_owned(), "y".to_owned()]));
        let voluntary = parse(r#"{"id_token":{"acr":{"values":["x"]}}}"#).unwrap_or_default();
        assert_eq!(voluntary.acrs, None);
    }

    #[test]
    fn what_is_no_claims_parameter_is_refused() {
        for bad in [
            "",
            "x",
            "[]",
            "null",
            r#"{"userinfo":[]}"#,
            r#"{"userinfo":{"name":1}}"#,
            r#"{"id_token":{"sub":{"value":1}}}"#,
            r#"{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}"#,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
