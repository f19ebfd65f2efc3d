//! What the policies of a tenant demand of its people's logins, asked in the transaction in which a login is
//! made, or something is given that comes from one.

use procura_domain::{LoginRules, login_policy::Standing};
use procura_store::{
    Tx,
    audit::Entry,
    policies::{AppliedPolicy, demands},
    sessions::Session,
    users::User,
};
use procura_token::{PolicyId, Ts};
use serde_json::json;

use crate::Result;

/// What one person's login must be.
pub(crate) struct Demand {
    rules: LoginRules,
    applied: Vec<AppliedPolicy>,
    standing: Standing,
}

/// What a login lacks: for the audit log.
pub(crate) struct Lack {
    /// The word.
    pub reason: &'static str,
    /// The policies that say so.
    policies: Vec<PolicyId>,
}

impl From<&'static str> for Lack {
    fn from(reason: &'static str) -> Self {
        Self { reason, policies: Vec::new() }
    }
}

impl Lack {
    /// The entry with the policies named.
    pub(crate) fn named_in(&self, entry: Entry) -> Entry {
        if self.policies.is_empty() {
            return entry;
        }
        let details = json!({ "policies": self.policies }).to_string();
        Entry { details: Some(details), ..entry }
    }
}

impl Demand {
    /// Of this person, with the roles of now.
    pub(crate) async fn of(tx: &mut Tx, user: &User) -> Result<Self> {
        let applied = tx.list_applied(user.tenant).await?;
        let rules = demands(&applied, &user.roles);
        Ok(Self { rules, applied, standing: Standing::of(&user.roles) })
    }

    /// What a login by this context, through this identity provider, lacks.
    pub(crate) fn lack(&self, acr: &str, idp: &str) -> Option<Lack> {
        let unmet = self.rules.unmet_by(acr, idp)?;
        let says_so = |one: &&AppliedPolicy| {
            self.standing.is_bound_by(one.holding()) && one.rules.unmet_by(acr, idp).is_some()
        };
        let policies = self.applied.iter().filter(says_so).map(|one| one.policy).collect();
        Some(Lack { reason: unmet.as_str(), policies })
    }

    /// The same of a login that was made before. One that has run out lets refresh tokens go on for as long as
    /// a login may last here, from when it began here: a provider may say that somebody came long ago.
    pub(crate) fn lack_of(&self, session: &Session, now: Ts) -> Option<Lack> {
        let is_over =
            |secs: i64| !session.is_live(now) && now >= session.started_at.plus_secs(secs);
        if self.rules.session_max_secs.is_some_and(is_over) {
            return Some("policy_session_over".into());
        }
        self.lack(&session.acr, &session.idp)
    }

    /// How long a login lasts that would last so long otherwise.
    pub(crate) fn life_secs(&self, usual: i64) -> i64 {
        self.rules.session_max_secs.map_or(usual, |most| most.min(usual))
    }

    /// Whether a password of so many characters can be set.
    pub(crate) fn admits_password_of(&self, chars: usize) -> bool {
        let least = self.rules.password_min_length.unwrap_or(0);
        usize::try_from(least).is_ok_and(|least| chars >= least)
    }
}
