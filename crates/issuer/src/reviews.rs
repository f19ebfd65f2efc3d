//! Looking at relationships again: which are due, what of them nobody has used, and cutting one down to what
//! was used.

use procura_domain::{Caller, Permissions, Relationship, RelationshipState, relationship::Side};
use procura_store::reviews::Review;
use procura_token::{RelationshipId, Ts};
use serde_json::{Map, json};

use crate::{
    Call, Error, Issuer, Result,
    agreements::{Patch, Plan, Wanted, plan},
    hand::{Hand, Subject},
    relationships::{Change, Changed},
};

const SHRINK: &str = "relationship.shrink";
const DAY_SECS: i64 = 86_400;
/// What was given out longer ago than this is unused now.
const LOOKED_BACK_SECS: i64 = 90 * DAY_SECS;
/// So long after a yes or a shrink it is due.
const DUE_AFTER_SECS: i64 = 365 * DAY_SECS;
/// No date is further away.
const FURTHEST_SECS: i64 = 3660 * DAY_SECS;
/// No terms have more permissions and patterns.
const MOST: usize = 200;
/// So many stretches of the log are read before an answer; the pulse reads the rest.
const STRETCHES: usize = 20;

/// A relationship as its customer looks at it.
pub struct Reviewed {
    /// The edge.
    pub relationship: Relationship,
    /// The partner's name now.
    pub partner_name: String,
    /// When it is to be looked at.
    pub due: Ts,
    /// When a token was last given out under it.
    pub last_used: Option<Ts>,
    /// Whether that was too long ago, or never.
    pub is_idle: bool,
    /// The permissions and patterns of which nothing was given out lately.
    pub unused: Permissions,
    /// What would do; `None` where it is idle, or all of it is used.
    pub suggested: Option<Permissions>,
}

impl Issuer {
    /// Reads in the audit log what was used, to its end; whether it was reached.
    pub async fn read_uses(&self) -> Result<bool> {
        // One at a time at each node: the others wait here, and hold no connection meanwhile.
        let _turn = self.0.reading_uses.lock().await;
        for _ in 0..STRETCHES {
            if self.0.store.read_uses().await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The relationships into the caller's own tenant, with what is to be said of each.
    pub async fn review_relationships(&self, caller: &Caller) -> Result<Vec<Reviewed>> {
        let tenant = caller.switch_access()?.tenant();
        self.know_uses().await?;
        let now = self.0.environment.now();
        let reviews = self.0.store.list_reviews(tenant).await?;
        Ok(reviews.into_iter().map(|review| reviewed(review, now)).collect())
    }

    /// Says when the customer wants to look at one of its relationships.
    pub async fn set_review(&self, call: &Call, id: RelationshipId, due: Ts) -> Result<Reviewed> {
        let tenant = call.caller.switch_access()?.tenant();
        self.know_uses().await?;
        let mut tx = self.begin_for(call).await?;
        let now = tx.now();
        if due <= now || due > now.plus_secs(FURTHEST_SECS) {
            return Err(Error::Invalid("review_due"));
        }
        let edge = tx.find_relationship(id).await?;
        let edge = edge.filter(|edge| edge.customer == tenant).ok_or(Error::NotFound)?;
        if !matches!(edge.state, RelationshipState::Active | RelationshipState::Suspended) {
            return Err(Error::WrongState(edge.phase(now).as_str()));
        }
        tx.put_review(id, due).await?;
        let text = id.to_string();
        let about = Subject { tenant, kind: "relationship", id: &text };
        let details = Map::from_iter([("review_due".to_owned(), json!(due.rfc3339()))]);
        let mut entry = self.entry_by(Hand::Person(call), "relationship.review", about, details)?;
        entry.relationship_id = Some(id);
        tx.audit(entry);
        tx.commit().await?;
        let review = self.find_review(&edge).await?.ok_or(Error::NotFound)?;
        Ok(reviewed(review, now))
    }

    /// Cuts a relationship down to what was used of it, as a change of its terms would, and looks at it again
    /// in a year. `WrongState` where nothing was used: that is to be kept, or ended.
    pub async fn shrink_relationship(&self, call: &Call, id: RelationshipId) -> Result<Changed> {
        let seen = self.find_relationship(&call.caller, id).await?;
        if call.caller.step(&seen)?.side() != Side::Customer {
            return Err(Error::Forbidden);
        }
        // Whoever has read another version would cut something else.
        if call.expected_version.is_none() {
            return Err(Error::VersionMissing);
        }
        call.expect(seen.version)?;
        self.know_uses().await?;
        let now = self.0.environment.now();
        let review = self.find_review(&seen).await?;
        let review = review.ok_or(Error::WrongState(seen.phase(now).as_str()))?;
        let review = reviewed(review, now);
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        if before.version != review.relationship.version {
            return Err(Error::Stale);
        }
        call.expect(before.version)?;
        if review.is_idle {
            return Err(Error::WrongState("idle"));
        }
        let terms = review.suggested.map(|less| ("custom_permissions".to_owned(), json!(less)));
        let wanted = Wanted { terms: Patch::from_iter(terms), ..Wanted::default() };
        let planned = plan((&before, Side::Customer), &wanted, tx.now())?;
        let due = tx.now().plus_secs(DUE_AFTER_SECS);
        tx.put_review(id, due).await?;
        match planned {
            Plan::Change { after, .. } => {
                let change = Change { action: SHRINK, before: &before, after, reason: None };
                self.change(tx, call, change).await
            }
            Plan::Nothing => {
                self.audit_step(&mut tx, call, (SHRINK, &json!({}), None), &before)?;
                tx.commit().await?;
                Ok(Changed { relationship: before, revoked: None })
            }
            // The customer asks nobody.
            Plan::Propose(_) => Err(Error::Broken),
        }
    }

    /// Half the truth would say of much that nobody uses it.
    async fn know_uses(&self) -> Result<()> {
        if self.read_uses().await? { Ok(()) } else { Err(Error::Busy) }
    }

    async fn find_review(&self, edge: &Relationship) -> Result<Option<Review>> {
        let mut reviews = self.0.store.list_reviews(edge.customer).await?.into_iter();
        Ok(reviews.find(|review| review.relationship.id == edge.id))
    }
}

fn reviewed(review: Review, now: Ts) -> Reviewed {
    let held = review.relationship.permissions();
    let since = now.plus_secs(-LOOKED_BACK_SECS);
    let last_used = review.uses.values().max().copied();
    let lately = review.uses.iter().filter(|(_, at)| **at > since);
    let used = still_held(&held, lately.map(|(use_of, _)| use_of.as_str()));
    let is_idle = last_used.is_none_or(|at| at <= since) || used.iter().next().is_none();
    let is_unused = |pattern: &&str| {
        let one: Permissions = std::iter::once(*pattern).collect();
        !used.iter().any(|use_of| one.covers(&Permissions::from_iter([use_of])))
    };
    let unused: Permissions = held.iter().filter(is_unused).collect();
    // More than terms can have is cut by whole patterns.
    let less = if used.iter().count() > MOST {
        held.iter().filter(|entry| !is_unused(entry)).collect()
    } else {
        used
    };
    let suggested = (!is_idle && !less.covers(&held)).then_some(less);
    Reviewed {
        due: review.due_at.unwrap_or_else(|| review.agreed_at.plus_secs(DUE_AFTER_SECS)),
        relationship: review.relationship,
        partner_name: review.partner_name,
        last_used,
        is_idle,
        unused,
        suggested,
    }
}

/// What was used of what is held: names, and patterns of which more names were used than anybody remembers. Only
/// what a set of permissions can name.
fn still_held<'a>(held: &'a Permissions, uses: impl Iterator<Item = &'a str>) -> Permissions {
    let of = |use_of: &'a str| {
        let Ok(one) = use_of.parse::<Permissions>() else { return Vec::new() };
        if held.covers(&one) {
            return vec![use_of];
        }
        // Of a pattern that is held no more, some of what is left of it may be what was used.
        held.iter().filter(|entry| one.covers(&Permissions::from_iter([*entry]))).collect()
    };
    let all: Vec<_> = uses.flat_map(of).collect();
    // A name beside its pattern says nothing more.
    let is_said = |use_of: &&str| {
        let is_within = |other: &&str| {
            other != use_of
                && Permissions::from_iter([*other]).covers(&Permissions::from_iter([*use_of]))
        };
        !all.iter().any(is_within)
    };
    all.iter().copied().filter(is_said).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use procura_domain::{
        Access, RelationshipKind, RelationshipRole,
        relationship::{Approval, Conditions, Origin},
    };
    use procura_token::TenantId;

    use super::*;

    const NOW: Ts = Ts::from_secs(1_800_000_000);

    /// What comes of uses so many days ago.
    fn of(role: RelationshipRole, custom: Option<&str>, uses: &[(&str, i64)]) -> Reviewed {
        let relationship = Relationship {
            id: RelationshipId::from_bits(1),
            partner: TenantId::from_bits(2),
            customer: TenantId::from_bits(3),
            kind: RelationshipKind::Manages,
            origin: Origin::Granted,
            role,
            custom_permissions: custom.map(|text| text.parse().unwrap()),
            state: RelationshipState::Active,
            suspended_by: None,
            starts_at: None,
            ends_at: None,
            renews_for_days: None,
            access: Access::On,
            approval: Approval::Standing,
            conditions: Conditions::default(),
            version: 1,
        };
        let at = |days: i64| NOW.plus_secs(-days * DAY_SECS);
        let uses = uses.iter().map(|(name, days)| ((*name).to_owned(), at(*days)));
        let uses = uses.collect::<BTreeMap<_, _>>();
        let partner_name = String::new();
        let review = Review { relationship, partner_name, due_at: None, agreed_at: NOW, uses };
        reviewed(review, NOW)
    }

    #[test]
    fn what_was_used_lately_is_what_would_do() {
        let found = of(
            RelationshipRole::MspBilling,
            None,
            &[
                ("partner.billing.read", 1),
                ("partner.billing.invoices.read", 90),
                ("secrets.read", 1),
            ],
        );
        assert!(!found.is_idle);
        assert_eq!(found.last_used, Some(NOW.plus_secs(-DAY_SECS)));
        assert_eq!(found.suggested.unwrap().to_string(), "partner.billing.read");
        assert!(found.unused.allows("partner.billing.invoices.read"), "too long ago");
        assert!(!found.unused.allows("partner.billing.read"));
        assert_eq!(found.due, NOW.plus_secs(DUE_AFTER_SECS));
    }

    #[test]
    fn a_pattern_is_cut_to_what_was_used_of_it() {
        let found = of(RelationshipRole::TenantAdmin, None, &[("a.b", 1), ("A b", 1)]);
        assert_eq!(found.suggested.unwrap().to_string(), "a.b", "what no set can name is left out");
        assert!(found.unused.iter().next().is_none());
        let found = of(RelationshipRole::MspFull, Some("a.* b.c"), &[("a.b", 1), ("d.e", 1)]);
        assert_eq!(found.suggested.unwrap().to_string(), "a.b");
        assert_eq!(found.unused.to_string(), "b.c");
    }

    #[test]
    fn who_uses_endless_names_is_cut_to_the_patterns_of_them() {
        let names: Vec<_> = (0..300).map(|n| format!("a.n{n}")).collect();
        let mut uses: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        uses.push(("b.c", 1));
        let found = of(RelationshipRole::MspFull, Some("a.* b.c b.d e.*"), &uses);
        assert_eq!(found.suggested.unwrap().to_string(), "a.* b.c");
        assert_eq!(found.unused.to_string(), "b.d e.*");
        // One that was remembered as a pattern is cut to it, and to what is left of it.
        let found = of(RelationshipRole::MspFull, Some("a.* b.c b.d"), &[("a.*", 1), ("a.b", 1)]);
        assert_eq!(found.suggested.unwrap().to_string(), "a.*");
        let found = of(RelationshipRole::MspFull, Some("a.b c.d"), &[("a.*", 1)]);
        assert_eq!(found.suggested.unwrap().to_string(), "a.b");
        assert_eq!(found.unused.to_string(), "c.d");
    }

    #[test]
    fn who_uses_all_or_nothing_is_suggested_nothing() {
        let all = of(RelationshipRole::MspFull, Some("a.b c.d"), &[("a.b", 1), ("c.d", 89)]);
        assert!(all.suggested.is_none() && !all.is_idle);
        for uses in [&[][..], &[("a.b", 91)], &[("x.y", 1)]] {
            let none = of(RelationshipRole::MspFull, Some("a.b c.d"), uses);
            assert!(none.is_idle && none.suggested.is_none(), "{uses:?}");
            assert_eq!(none.unused.to_string(), "a.b c.d");
        }
    }
}
