//! How the person behind a token must have logged in, for routes that ask for more than a good token
//! (RFC 9470).

use procura_token::{AccessClaims, Ts};

/// A demand on the login; nothing is demanded until it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub(crate) acr_values: &'static [&'static str],
    pub(crate) max_age_secs: Option<u32>,
    pub(crate) scope: Option<&'static str>,
}

impl Login {
    /// A login of one of these kinds, the preferred one first: `acr` as the issuer says it.
    #[must_use]
    pub const fn of_kind(acr_values: &'static [&'static str]) -> Self {
        Self { acr_values, max_age_secs: None, scope: None }
    }

    /// A login that is at most so old.
    #[must_use]
    pub const fn within_secs(max_age_secs: u32) -> Self {
        Self { acr_values: &[], max_age_secs: Some(max_age_secs), scope: None }
    }

    /// The same, and of one of these kinds.
    #[must_use]
    pub const fn and_of_kind(self, acr_values: &'static [&'static str]) -> Self {
        Self { acr_values, ..self }
    }

    /// The same, and the token must have this permission. Named in the refusal, so that the client asks for
    /// everything at once.
    #[must_use]
    pub const fn for_scope(self, permission: &'static str) -> Self {
        Self { scope: Some(permission), ..self }
    }

    /// Whether the login that the token tells of is good enough. A token that tells of none is not: nobody
    /// logged in for it.
    pub(crate) fn is_met(&self, claims: &AccessClaims, now: Ts) -> bool {
        let is_kind = self.acr_values.is_empty()
            || claims.acr.as_deref().is_some_and(|acr| self.acr_values.contains(&acr));
        let is_fresh = match (self.max_age_secs, claims.auth_time) {
            (None, _) => true,
            (Some(most), Some(at)) => now.secs().saturating_sub(at) <= i64::from(most),
            (Some(_), None) => false,
        };
        is_kind && is_fresh
    }
}

#[cfg(test)]
mod tests {
    use procura_token::{Scope, Seq, TenantId};

    use super::*;

    const PASSWORD: &str = "urn:procura:acr:pwd";
    const STRONG: &[&str] = &["urn:procura:acr:phr", "urn:procura:acr:mfa"];

    fn claims(acr: Option<&str>, auth_time: Option<i64>) -> AccessClaims {
        AccessClaims {
            authorization_details: Vec::new(),
            iss: "https://auth.example.com".to_owned(),
            sub: "cli_a".to_owned(),
            aud: "https://api.example.com".to_owned(),
            client_id: "cli_a".parse().expect("an id"),
            iat: 1000,
            nbf: 1000,
            exp: 2000,
            jti: "x".to_owned(),
            tenant: TenantId::from_bits(7),
            audit_actor_tenant: None,
            managed_tenant_ids: None,
            managed_tenant_count: None,
            claim_names: None,
            claim_sources: None,
            partner_id: None,
            act: None,
            sid: None,
            dlg: None,
            rel: None,
            scope: Scope::default(),
            roles: Vec::new(),
            auth_time,
            acr: acr.map(str::to_owned),
            amr: Vec::new(),
            idp: None,
            purpose: None,
            cnf: None,
            rvs: Seq(0),
        }
    }

    fn is_met(login: Login, acr: Option<&str>, auth_time: Option<i64>) -> bool {
        login.is_met(&claims(acr, auth_time), Ts::from_secs(1300))
    }

    #[test]
    fn a_login_is_too_old_a_second_after_its_age() {
        let login = Login::within_secs(300);
        assert!(is_met(login, None, Some(1000)));
        assert!(is_met(login, None, Some(1301)), "an issuer's clock may be ahead");
        assert!(!is_met(login, None, Some(999)));
        assert!(!is_met(login, Some(PASSWORD), None), "nobody logged in");
    }

    #[test]
    fn a_login_is_of_a_kind_that_was_named() {
        let login = Login::of_kind(STRONG);
        assert!(is_met(login, Some("urn:procura:acr:mfa"), None));
        assert!(is_met(login, Some("urn:procura:acr:phr"), Some(0)));
        for acr in [None, Some(PASSWORD), Some(""), Some("urn:procura:acr:phr urn:procura:acr:mfa")]
        {
            assert!(!is_met(login, acr, Some(1300)), "{acr:?}");
        }
    }

    #[test]
    fn of_two_demands_both_must_be_met() {
        let login = Login::within_secs(300).and_of_kind(STRONG);
        assert!(is_met(login, Some("urn:procura:acr:mfa"), Some(1300)));
        assert!(!is_met(login, Some("urn:procura:acr:mfa"), Some(999)));
        assert!(!is_met(login, Some(PASSWORD), Some(1300)));
        assert!(is_met(Login::default(), None, None), "nothing was demanded");
    }
}
