//! Authorization details (RFC 9396): at an exchange a client can say in one object what it wants, the tenant
//! with the actions and the place. It can say no more with it than by parameters, so it may do no more.

use procura_domain::Mandate;
use procura_store::clients::Client;
use procura_token::{Scope, TenantDelegation};
use serde::Deserialize;

/// The one type that we know.
pub const TYPE: &str = "tenant_delegation";
/// The error code of RFC 9396 §5.
pub const INVALID: &str = "invalid_authorization_details";
/// Longer texts are no honest request.
const MAX_BYTES: usize = 8 * 1024;
/// As long as an `audience` may be.
const MAX_LOCATION: usize = 512;

/// What a client says in its one object. Members that are not known are refused, not overlooked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    r#type: String,
    tenant: String,
    locations: Option<Vec<String>>,
    actions: Option<Vec<String>>,
}

/// What it comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Details {
    /// The customer, as the client names it.
    pub tenant: String,
    /// The one resource server, where it is named.
    pub location: Option<String>,
    /// What is to be done there, where it is named.
    pub actions: Option<Scope>,
}

impl Details {
    /// Reads the parameter `authorization_details`: an array of one object. `None` where anything about it is
    /// not as it must be, or the client is not registered for the type.
    #[must_use]
    pub fn read(text: &str, client: &Client) -> Option<Self> {
        let is_registered =
            client.registration.authorization_details_types.iter().any(|t| t == TYPE);
        if !is_registered || text.len() > MAX_BYTES {
            return None;
        }
        Self::parse(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let [wanted]: [Wanted; 1] = serde_json::from_str(text).ok()?;
        let location = match wanted.locations {
            None => None,
            // A token is for one resource server.
            Some(places) => Some(<[String; 1]>::try_from(places).ok()?).map(|[place]| place),
        };
        let actions = match wanted.actions {
            None => None,
            Some(actions) if actions.is_empty() || actions.iter().any(|a| a.contains(' ')) => {
                return None;
            }
            Some(actions) => Some(actions.join(" ").parse::<Scope>().ok()?),
        };
        let is_plain = |place: &String| {
            place.len() <= MAX_LOCATION && place.bytes().all(|b| b.is_ascii_graphic())
        };
        if !location.as_ref().is_none_or(is_plain) {
            return None;
        }
        let is_good =
            wanted.r#type == TYPE && actions.as_ref().is_none_or(|scope| !scope.is_empty());
        is_good.then_some(Self { tenant: wanted.tenant, location, actions })
    }
}

/// What was granted, in the same form (RFC 9396 §7).
pub(crate) fn granted(mandate: &Mandate, audience: &str) -> TenantDelegation {
    TenantDelegation {
        r#type: TYPE.to_owned(),
        tenant: mandate.tenant,
        locations: vec![audience.to_owned()],
        actions: mandate.scope.iter().map(ToOwned::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_of_the_known_type_with_known_members() {
        let good = r#"[{"type":"tenant_delegation","tenant":"acme","locations":["https://a.example"],
            "actions":["b.read","a.read"]}]"#;
        let details = Details::parse(good).unwrap();
        assert_eq!(details.tenant, "acme");
        assert_eq!(details.location.as_deref(), Some("https://a.example"));
        assert_eq!(details.actions.unwrap().to_string(), "a.read b.read");
        assert!(Details::parse(r#"[{"type":"tenant_delegation","tenant":"acme"}]"#).is_some());
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"type":"tenant_delegation","tenant":"acme"}"#,
            r#"[{"type":"payment","tenant":"acme"}]"#,
            r#"[{"type":"tenant_delegation"}]"#,
            r#"[{"type":"tenant_delegation","tenant":1}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","privileges":["x"]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","tenant":"acme"}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme"},{"type":"tenant_delegation","tenant":"b"}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","locations":[]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","locations":["a:x","b:x"]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","locations":"a:x"}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","locations":["a:\u0000"]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","actions":[]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","actions":["a b"]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","actions":[""]}]"#,
            r#"[{"type":"tenant_delegation","tenant":"acme","actions":["a\u0000"]}]"#,
        ] {
            assert_eq!(Details::parse(bad), None, "{bad}");
        }
    }
}
