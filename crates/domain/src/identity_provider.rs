//! What an identity provider of a tenant is registered with, as whoever administers it says, and what
//! its word about a login counts for here.

use std::collections::{BTreeMap, BTreeSet};

use procura_token::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    acr::{ACRS, known_acr},
    client_settings::{Fault, fault, require},
    conditions::acr_rank,
    patch::{is_list_for_object, merge},
};

/// How we prove to a provider who we are (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAuth {
    /// In the header.
    #[default]
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
}

/// Everything about an identity provider that can be changed. Its name and its issuer cannot: whoever
/// trusts the name trusts that issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// What people see on the login page.
    pub title: String,
    /// As which client we are registered there.
    pub client_id: String,
    /// How we prove that.
    pub token_endpoint_auth_method: ProviderAuth,
    /// What we ask for there; `openid` is in it.
    pub scope: Scope,
    /// What we ask for as `acr_values` there, in the provider's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<String>,
    /// Which `acr` of the provider counts as which of ours. Any other counts as the lowest.
    pub acr: BTreeMap<String, String>,
    /// The same for each word of its `amr`.
    pub amr: BTreeMap<String, String>,
    /// E-mail domains whose people it logs in: the operator's word, as nobody else can vouch for it.
    pub domains: BTreeSet<String>,
    /// Whether somebody new, with a verified e-mail address in one of the domains, is taken for the
    /// person of the tenant who has that address.
    pub links_by_email: bool,
    /// Whether people of the tenant can log in with a password no more.
    pub replaces_passwords: bool,
    /// Whether anybody can log in by it.
    pub is_enabled: bool,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            title: String::new(),
            client_id: String::new(),
            token_endpoint_auth_method: ProviderAuth::default(),
            scope: std::iter::once("openid").collect(),
            acr_values: None,
            acr: BTreeMap::new(),
            amr: BTreeMap::new(),
            domains: BTreeSet::new(),
            links_by_email: false,
            replaces_passwords: false,
            is_enabled: true,
        }
    }
}

/// By the names that they have in JSON.
const MEMBERS: [&str; 11] = [
    "title",
    "client_id",
    "token_endpoint_auth_method",
    "scope",
    "acr_values",
    "acr",
    "amr",
    "domains",
    "links_by_email",
    "replaces_passwords",
    "is_enabled",
];

const MAX_ITEMS: usize = 32;
const MAX_BYTES: usize = 255;

/// Words of `amr` that say something everywhere (RFC 8176 §2); any other is left out of our tokens.
const AMRS: [&str; 20] = [
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba",
    "retina", "sc", "sms", "swk", "tel", "user", "vbm",
];

impl ProviderSettings {
    /// With the members of a JSON Merge Patch (RFC 7396): `null` puts the default back. Unknown members
    /// are refused.
    pub fn patched(&self, patch: &Value) -> Result<Self, Fault> {
        let members = patch.as_object().ok_or(fault("body", "must be a JSON object"))?;
        let mut all = serde_json::to_value(self).map_err(|_| fault("body", "cannot be read"))?;
        for (name, value) in members {
            let known = MEMBERS.iter().find(|known| *known == name);
            let known = known.ok_or(fault("body", "has a member that is not known"))?;
            if is_list_for_object(all.get(name), value) {
                return Err(fault(known, "must be an object"));
            }
            merge(&mut all, &Value::from_iter([(name.as_str(), value.clone())]));
            // One by one, so that the answer can say which it was.
            if serde_json::from_value::<Self>(all.clone()).is_err() {
                return Err(fault(known, "is not of the right form"));
            }
        }
        serde_json::from_value(all).map_err(|_| fault("body", "cannot be read"))
    }

    /// Whether a provider can be registered so.
    pub fn check(&self) -> Result<(), Fault> {
        let is_title = (1..=60).contains(&self.title.chars().count())
            && self.title.trim() == self.title
            && !self.title.chars().any(char::is_control);
        require(is_title, "title", "must have 1 to 60 characters, and no space around them")?;
        require(is_visible(&self.client_id), "client_id", "must be visible ASCII")?;
        require(self.scope.contains("openid"), "scope", "must contain openid")?;
        let asked = self.acr_values.as_deref().map(|asked| asked.split(' ').all(is_visible));
        require(asked.unwrap_or(true), "acr_values", "must be words with single spaces")?;
        for (member, map) in [("acr", &self.acr), ("amr", &self.amr)] {
            let is_known = |(theirs, ours): (&String, &String)| {
                is_visible(theirs) && known_acr(ours).is_some()
            };
            let is_good = map.len() <= MAX_ITEMS && map.iter().all(is_known);
            require(is_good, member, "must map words of the provider to contexts that we know")?;
        }
        let are_domains =
            self.domains.len() <= MAX_ITEMS && self.domains.iter().all(|d| is_domain(d));
        require(are_domains, "domains", "must be domain names in lower case")?;
        require(
            !self.links_by_email || !self.domains.is_empty(),
            "links_by_email",
            "needs the domains whose addresses count",
        )
    }

    /// A member that only the operator may set to what it is here, where it was something else before: a
    /// domain is a claim about the world outside.
    #[must_use]
    pub fn beyond_a_tenant(&self, before: &Self) -> Option<&'static str> {
        (!self.domains.is_subset(&before.domains)).then_some("domains")
    }

    /// Whether logins of before would count for less now, or could not be.
    #[must_use]
    pub fn is_narrower_than(&self, before: &Self) -> bool {
        let lost = |now: &BTreeMap<String, String>, then: &BTreeMap<String, String>| {
            let rank = |map: &BTreeMap<String, String>, word: &String| {
                map.get(word).map_or(0, |acr| acr_rank(acr)).max(1)
            };
            then.keys().any(|word| rank(now, word) < rank(then, word))
        };
        (before.is_enabled && !self.is_enabled)
            || self.client_id != before.client_id
            || lost(&self.acr, &before.acr)
            || lost(&self.amr, &before.amr)
    }

    /// What a login with this `acr` and `amr` of the provider counts as here: never less than the lowest,
    /// and more only where a map says so.
    #[must_use]
    pub fn acr_of(&self, acr: Option<&str>, amr: &[String]) -> &'static str {
        let of_context = acr.and_then(|acr| self.acr.get(acr));
        let of_methods = amr.iter().filter_map(|word| self.amr.get(word));
        let known = of_context.into_iter().chain(of_methods).filter_map(|ours| known_acr(ours));
        known.max_by_key(|ours| acr_rank(ours)).unwrap_or(ACRS[0])
    }

    /// Whether an e-mail address, in its one spelling, is in one of the domains.
    #[must_use]
    pub fn has_address(&self, email: &str) -> bool {
        email.rsplit_once('@').is_some_and(|(_, domain)| self.domains.contains(domain))
    }
}

/// The words of a provider's `amr` that our tokens repeat.
#[must_use]
pub fn known_amr(amr: &[String]) -> Vec<String> {
    let known: BTreeSet<_> = amr.iter().filter(|word| AMRS.contains(&word.as_str())).collect();
    known.into_iter().cloned().collect()
}

/// What a provider can be called in its tenant: lower-case words with hyphens. It stands behind the
/// tenant's short name and a slash in the claim `idp`.
#[must_use]
pub fn is_provider_name(name: &str) -> bool {
    is_plain_word(name, 40)
}

fn is_plain_word(word: &str, longest: usize) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=longest).contains(&word.len())
        && word.bytes().all(is_plain)
        && !word.starts_with('-')
        && !word.ends_with('-')
}

fn is_visible(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| is_plain_word(label, 63);
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PWD: &str = "urn:procura:acr:pwd";
    const MFA: &str = "urn:procura:acr:mfa";
    const PHR: &str = "urn:procura:acr:phr";

    fn settings(patch: &Value) -> Result<ProviderSettings, Fault> {
        let usual = json!({"title": "Northwind", "client_id": "procura"});
        let settings = ProviderSettings::default().patched(&usual)?.patched(patch)?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(settings(&json!({})).is_ok());
        for (patch, member) in [
            (json!({"title": ""}), "title"),
            (json!({"title": " x"}), "title"),
            (json!({"client_id": "a b"}), "client_id"),
            (json!({"client_id": null}), "client_id"),
            (json!({"scope": "profile"}), "scope"),
            (json!({"acr_values": "a  b"}), "acr_values"),
            (json!({"acr": {"mfa": "mfa"}}), "acr"),
            (json!({"amr": {"": MFA}}), "amr"),
            (json!({"domains": ["Northwind.test"]}), "domains"),
            (json!({"domains": ["test"]}), "domains"),
            (json!({"domains": ["a..b"]}), "domains"),
            (json!({"links_by_email": true}), "links_by_email"),
            (json!({"is_enabled": "no"}), "is_enabled"),
            (json!({"issuer": "https://other.example"}), "body"),
            (json!([]), "body"),
        ] {
            assert_eq!(settings(&patch).map_err(|fault| fault.member), Err(member), "{patch}");
        }
        let both = json!({"domains": ["northwind.test"], "links_by_email": true});
        assert!(settings(&both).is_ok_and(|s| s.has_address("pat@northwind.test")
            && !s.has_address("pat@a.northwind.test")
            && !s.has_address("northwind.test")));
    }

    #[test]
    fn nothing_counts_for_more_than_the_lowest_unless_it_is_said() -> Result<(), Fault> {
        let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let plain = settings(&json!({}))?;
        assert_eq!(plain.acr_of(Some(PHR), &words(&["mfa", "otp"])), PWD, "not even in our words");
        let maps = settings(&json!({"acr": {"gold": MFA}, "amr": {"hwk": PHR, "pwd": PWD}}))?;
        assert_eq!(maps.acr_of(None, &[]), PWD);
        assert_eq!(maps.acr_of(Some("gold"), &[]), MFA);
        assert_eq!(maps.acr_of(Some("GOLD"), &[]), PWD);
        assert_eq!(maps.acr_of(Some("gold"), &words(&["pwd", "hwk"])), PHR);
        assert_eq!(known_amr(&words(&["otp", "made-up", "pwd", "otp"])), words(&["otp", "pwd"]));
        Ok(())
    }

    #[test]
    fn what_takes_something_away_is_narrower() -> Result<(), Fault> {
        let before = settings(&json!({"acr": {"gold": MFA}}))?;
        for narrower in [
            json!({"is_enabled": false}),
            json!({"acr": {"gold": PWD}}),
            json!({"acr": {"gold": null}}),
            json!({"client_id": "other"}),
        ] {
            assert!(before.patched(&narrower)?.is_narrower_than(&before), "{narrower}");
        }
        for other in [
            json!({}),
            json!({"title": "Other"}),
            json!({"acr": {"gold": PHR}}),
            json!({"acr": {"silver": MFA}}),
            json!({"amr": {"hwk": PHR}}),
        ] {
            assert!(!before.patched(&other)?.is_narrower_than(&before), "{other}");
        }
        let wider = before.patched(&json!({"domains": ["a.test"]}))?;
        assert_eq!(wider.beyond_a_tenant(&before), Some("domains"));
        assert_eq!(before.beyond_a_tenant(&wider), None, "to give one up is the tenant's own");
        Ok(())
    }

    #[test]
    fn a_name_is_a_plain_word() {
        for good in ["entra", "a", "okta-2"] {
            assert!(is_provider_name(good), "{good}");
        }
        for bad in ["", "Entra", "a/b", "-a", "a-", "a b", "ä", &"a".repeat(41)] {
            assert!(!is_provider_name(bad), "{bad}");
        }
    }
}
