//! What two tenants agree on: everything of a relationship that is not its state, its switch or the
//! partner's own choice of people.

use procura_token::Ts;
use serde::{Deserialize, Serialize};

use crate::{
    conditions::Conditions,
    permission::Permissions,
    relationship::{Access, Approval, Relationship, RelationshipState},
    roles::RelationshipRole,
};

/// The terms of a relationship, by the names of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What is handed over.
    pub access_role: RelationshipRole,
    /// Replaces the role's set where it is given.
    pub custom_permissions: Option<Permissions>,
    /// Not before.
    #[serde(with = "procura_token::time::rfc3339")]
    pub starts_at: Option<Ts>,
    /// Not from then on.
    #[serde(with = "procura_token::time::rfc3339")]
    pub ends_at: Option<Ts>,
    /// At its end it goes on for so many days, again and again, until one side says otherwise.
    pub renews_for_days: Option<u32>,
    /// Whether each session must be approved.
    pub approval: Approval,
    /// What is demanded at each entry. Whom the partner assigned is not part of it.
    pub conditions: Conditions,
}

/// What a change of terms does to whoever acts under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Nothing.
    Same,
    /// It takes.
    Narrower,
    /// It gives, and perhaps takes something else.
    Wider,
}

impl Terms {
    /// Those of a relationship.
    #[must_use]
    pub fn of(r: &Relationship) -> Self {
        Self {
            access_role: r.role,
            custom_permissions: r.custom_permissions.clone(),
            starts_at: r.starts_at,
            ends_at: r.ends_at,
            renews_for_days: r.renews_for_days,
            approval: r.approval,
            conditions: Conditions { assigned_to: None, ..r.conditions.clone() },
        }
    }

    /// The relationship under these terms.
    #[must_use]
    pub fn put(self, r: &Relationship) -> Relationship {
        let assigned_to = r.conditions.assigned_to.clone();
        Relationship {
            role: self.access_role,
            custom_permissions: self.custom_permissions,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            renews_for_days: self.renews_for_days,
            approval: self.approval,
            conditions: Conditions { assigned_to, ..self.conditions },
            ..r.clone()
        }
    }

    /// The most that these terms can hand over.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.custom_permissions.clone().unwrap_or_else(|| self.access_role.permissions())
    }

    /// Whether nothing is possible under these that is not possible under the others.
    #[must_use]
    pub fn are_within(&self, others: &Self) -> bool {
        let start = |terms: &Self| terms.starts_at.unwrap_or(Ts(i64::MIN));
        let end = |terms: &Self| terms.ends_at.unwrap_or(Ts::NEVER);
        others.permissions().covers(&self.permissions())
            && start(self) >= start(others)
            && end(self) <= end(others)
            && self.renews_for_days <= others.renews_for_days
            && (self.approval == Approval::EachTime || others.approval == Approval::Standing)
            && self.conditions.are_within(&others.conditions)
    }

    /// What a change from these to the others does.
    #[must_use]
    pub fn direction_to(&self, others: &Self) -> Direction {
        match (others.are_within(self), self.are_within(others)) {
            (true, true) => Direction::Same,
            (true, false) => Direction::Narrower,
            (false, _) => Direction::Wider,
        }
    }

    /// The first member that no relationship can have, by its name in the API.
    #[must_use]
    pub fn fault(&self, now: Ts) -> Option<&'static str> {
        let starts_at = self.starts_at.unwrap_or(now);
        let conditions = &self.conditions;
        if self.ends_at.is_some_and(|end| end <= now || end <= starts_at) {
            return Some("ends_at");
        }
        if self.renews_for_days.is_some_and(|days| !(1..=3660).contains(&days)) {
            return Some("renews_for_days");
        }
        if self.renews_for_days.is_some() && self.ends_at.is_none() {
            return Some("renews_for_days");
        }
        if conditions.min_acr.as_deref().is_some_and(|acr| crate::acr::known_acr(acr).is_none()) {
            return Some("min_acr");
        }
        if conditions.max_age_secs.is_some_and(|secs| !(0..=31_536_000).contains(&secs)) {
            return Some("max_age_secs");
        }
        None
    }

    /// The first member that is larger than anybody needs: asked before terms are compared, because a
    /// comparison costs what they are long.
    #[must_use]
    pub fn excess(&self) -> Option<&'static str> {
        let conditions = &self.conditions;
        let permissions = self.custom_permissions.as_ref().map(|set| set.iter().count());
        if permissions.is_some_and(|count| count > 200) {
            return Some("custom_permissions");
        }
        if conditions.hours.as_ref().is_some_and(|hours| !hours.is_sound()) {
            return Some("hours");
        }
        let is_long = |length: Option<usize>| length.is_some_and(|length| length > 100);
        if is_long(conditions.networks.as_ref().map(Vec::len)) {
            return Some("networks");
        }
        if is_long(conditions.trusted_idps.as_ref().map(Vec::len)) {
            return Some("trusted_idps");
        }
        None
    }
}

/// Whether a change takes something away from whoever acts under the relationship now. Turning the
/// switch counts in either direction: whoever goes on after it asks again.
#[must_use]
pub fn takes_away(before: &Relationship, after: &Relationship) -> bool {
    let was_live = before.state == RelationshipState::Active && before.access != Access::Off;
    let people = |r: &Relationship| Conditions {
        assigned_to: r.conditions.assigned_to.clone(),
        ..Conditions::default()
    };
    was_live
        && (after.state != RelationshipState::Active
            || after.access != before.access
            || !Terms::of(before).are_within(&Terms::of(after))
            || !people(before).are_within(&people(after)))
}
