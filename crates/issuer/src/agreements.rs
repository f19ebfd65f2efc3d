//! What two tenants agreed on, as it changes: narrower terms hold at once, wider ones that the partner
//! asks for wait for the customer while the old ones go on.

use procura_domain::{
    Access, Caller, Relationship, RelationshipState, Terms, UserRole,
    patch::{is_list_for_object, merge},
    relationship::{Phase, Side, Step},
    terms::Direction,
};
use procura_store::{
    Tx,
    agreements::{Proposal, Version},
};
use procura_token::{RelationshipId, Ts, UserId};
use serde_json::{Map, Value, json};

use crate::{
    Call, Error, Issuer, Result,
    relationships::{Change, Changed},
};

/// A request or a proposal that nobody answers is refused after so long.
pub(crate) const UNANSWERED_SECS: i64 = 30 * 86_400;
/// The members of terms that can be changed, by their names in the API.
const MEMBERS: [&str; 7] = [
    "access_role",
    "custom_permissions",
    "starts_at",
    "ends_at",
    "renews_for_days",
    "approval",
    "conditions",
];

/// Changed members of terms, as a JSON merge patch (RFC 7396); the others stay.
pub type Patch = Map<String, Value>;

/// What somebody asks to change.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Other terms.
    pub terms: Patch,
    /// Another position of the switch; only the customer's to move.
    pub access: Option<Access>,
    /// Why. A partner's is shown to the customer, a customer's to its own side.
    pub reason: Option<String>,
}

/// What became of it.
pub enum Outcome {
    /// It holds.
    Changed(Changed),
    /// It waits for the customer; the relationship goes on as it is.
    Proposed(Relationship, Box<Proposal>),
}

impl Issuer {
    /// Changes terms, or asks the customer to. The customer may change what it gave in either
    /// direction; partner and operator may take away; only the partner may ask for more.
    pub async fn change_terms(
        &self,
        call: &Call,
        id: RelationshipId,
        wanted: Wanted,
    ) -> Result<Outcome> {
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        let side = call.caller.step(&before)?.side();
        call.expect(before.version)?;
        match plan((&before, side), &wanted, tx.now())? {
            Plan::Nothing => Ok(Outcome::Changed(Changed { relationship: before, revoked: None })),
            Plan::Propose(terms) => self.propose(tx, call, before, (terms, wanted.reason)).await,
            Plan::Change { action, after } => {
                let change = Change { action, before: &before, after, reason: wanted.reason };
                self.change(tx, call, change).await.map(Outcome::Changed)
            }
        }
    }

    async fn propose(
        &self,
        mut tx: Tx,
        call: &Call,
        edge: Relationship,
        (terms, reason): (Terms, Option<String>),
    ) -> Result<Outcome> {
        let proposal = Proposal {
            relationship: edge.id,
            terms,
            reason: reason.clone(),
            user: Some(call.caller.user),
            proposed_at: tx.now(),
            expires_at: tx.now().plus_secs(UNANSWERED_SECS),
        };
        tx.put_proposal(&proposal).await?;
        let asked = json!({ "proposal": { "from": null, "to": proposal.terms } });
        let edge = self
            .note_proposal(&mut tx, call, ("relationship.propose", asked), (&edge, reason))
            .await?;
        tx.commit().await?;
        Ok(Outcome::Proposed(edge, Box::new(proposal)))
    }

    /// What is asked for is a version of the relationship too: whoever has read it says yes to just that.
    async fn note_proposal(
        &self,
        tx: &mut Tx,
        call: &Call,
        (action, changes): (&str, Value),
        (edge, reason): (&Relationship, Option<String>),
    ) -> Result<Relationship> {
        let edge = tx.update_relationship(edge).await?;
        self.audit_step(tx, call, (action, &changes, reason.as_deref()), &edge)?;
        self.keep_version(tx, action, (&edge, changes, reason), Some(&call.caller)).await?;
        Ok(edge)
    }

    /// The answer to a proposal: the customer's yes, with all of it or less, or its no; or the
    /// partner's second thought.
    pub(crate) async fn answer_proposal(
        &self,
        mut tx: Tx,
        call: &Call,
        before: &Relationship,
        (step, less): (Step, &Patch),
    ) -> Result<Changed> {
        let side = call.caller.step(before)?.side();
        if !step.is_open_to(side) {
            return Err(Error::Forbidden);
        }
        let phase = before.phase(tx.now());
        let proposal = tx.find_proposal(before.id).await?;
        let proposal = proposal.filter(|_| phase != Phase::Expired);
        let proposal = proposal.ok_or(Error::WrongState(phase.as_str()))?;
        tx.end_proposal(before.id).await?;
        if step != Step::Approve {
            let gone = json!({ "proposal": { "from": proposal.terms, "to": null } });
            let edge =
                self.note_proposal(&mut tx, call, (action(step), gone), (before, None)).await?;
            tx.commit().await?;
            return Ok(Changed { relationship: edge, revoked: None });
        }
        // A yes to whatever lies there by then would be a yes to anything.
        if call.expected_version.is_none() {
            return Err(Error::VersionMissing);
        }
        let after = agreed(&proposal.terms, less, tx.now())?.put(before);
        let change = Change { action: action(step), before, after, reason: None };
        self.change(tx, call, change).await
    }

    /// The partner says which of its people may enter; `None`: all with a fitting role.
    pub async fn assign_people(
        &self,
        call: &Call,
        id: RelationshipId,
        people: Option<Vec<UserId>>,
    ) -> Result<Changed> {
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        let permit = call.caller.step(&before)?;
        if permit.side() != Side::Partner {
            return Err(Error::Forbidden);
        }
        call.expect(before.version)?;
        let phase = before.phase(tx.now());
        if !before.state.is_live() || phase == Phase::Expired {
            return Err(Error::WrongState(phase.as_str()));
        }
        if people.as_ref().is_some_and(|people| people.len() > 1000) {
            return Err(Error::Invalid("user_ids"));
        }
        let people = people.map(|mut people| {
            people.sort_unstable();
            people.dedup();
            people
        });
        for user in people.iter().flatten() {
            tx.find_user(permit.tenant(), *user).await?.ok_or(Error::Invalid("user_ids"))?;
        }
        let mut after = before.clone();
        after.conditions.assigned_to = people;
        if after == before {
            return Ok(Changed { relationship: before, revoked: None });
        }
        let change = Change { action: "relationship.assign", before: &before, after, reason: None };
        self.change(tx, call, change).await
    }

    /// How a relationship came to be what it is, the first version first; a page behind a version.
    pub async fn list_versions(
        &self,
        caller: &Caller,
        id: RelationshipId,
        page: (i64, i64),
    ) -> Result<(Relationship, Vec<Version>)> {
        let edge = self.find_relationship(caller, id).await?;
        let versions = self.0.store.list_versions(end_of(caller, &edge), id, page).await?;
        Ok((edge, versions))
    }

    /// What waits for the customer's answer.
    pub async fn find_proposal(
        &self,
        caller: &Caller,
        edge: &Relationship,
    ) -> Result<Option<Proposal>> {
        caller.step(edge)?;
        let now = self.0.environment.now();
        Ok(self.0.store.find_proposal(end_of(caller, edge), edge.id, now).await?)
    }

    /// Keeps what a change did.
    pub(crate) async fn keep_version(
        &self,
        tx: &mut Tx,
        action: &str,
        (after, changes, reason): (&Relationship, Value, Option<String>),
        by: Option<&Caller>,
    ) -> Result<()> {
        let side = by.and_then(|caller| caller.step(after).ok()).map(|permit| permit.side());
        let by = (side, by.map(|caller| caller.user));
        write_version(tx, action, (after, changes, reason), by).await
    }
}

/// Keeps what a change did, by whoever did it.
pub(crate) async fn write_version(
    tx: &mut Tx,
    action: &str,
    (after, changes, reason): (&Relationship, Value, Option<String>),
    (side, user): (Option<Side>, Option<UserId>),
) -> Result<()> {
    let version = Version {
        relationship: after.id,
        version: after.version,
        at: tx.now(),
        action: action.to_owned(),
        side,
        user,
        changes,
        reason,
    };
    Ok(tx.insert_version(&version).await?)
}

/// What follows from what somebody asks to change.
pub(crate) enum Plan {
    /// It is so already.
    Nothing,
    /// The customer has to agree to these terms.
    Propose(Terms),
    /// It holds at once.
    Change { action: &'static str, after: Relationship },
}

/// What this side's wish leads to. Pure, so that a preview says what the change then does.
pub(crate) fn plan(
    (before, side): (&Relationship, Side),
    wanted: &Wanted,
    now: Ts,
) -> Result<Plan> {
    let phase = before.phase(now);
    if !before.state.is_live() || phase == Phase::Expired {
        return Err(Error::WrongState(phase.as_str()));
    }
    // No setting of partner or operator takes the customer's switch away, or turns it on.
    if wanted.access.is_some() && side != Side::Customer {
        return Err(Error::Forbidden);
    }
    let old = Terms::of(before);
    let terms = patched(&old, &wanted.terms)?;
    if terms != old
        && let Some(fault) = terms.excess().or_else(|| terms.fault(now))
    {
        return Err(Error::Invalid(fault));
    }
    // A name that stands for more is more, also where it hands over the same.
    let is_renamed = side == Side::Partner && terms.access_role != old.access_role;
    let direction = match old.direction_to(&terms) {
        Direction::Same if is_renamed => Direction::Wider,
        direction => direction,
    };
    let is_request = before.state == RelationshipState::Requested;
    match (side, direction) {
        // What was asked for is answered with approve or decline; and it may not grow after the
        // customer has read it.
        (Side::Customer, Direction::Narrower | Direction::Wider) if is_request => {
            return Err(Error::WrongState(phase.as_str()));
        }
        (Side::Partner, Direction::Wider) if is_request => return Err(Error::Forbidden),
        (Side::Partner, Direction::Wider) => return Ok(Plan::Propose(terms)),
        (Side::Operator, Direction::Wider) => return Err(Error::Forbidden),
        _ => {}
    }
    let access = wanted.access.unwrap_or(before.access);
    let after = Relationship { access, ..terms.put(before) };
    if after == *before {
        return Ok(Plan::Nothing);
    }
    let is_switch = direction == Direction::Same;
    let action = if is_switch { "relationship.access" } else { "relationship.change" };
    Ok(Plan::Change { action, after })
}

/// The side from which a caller looks; the operator looks from the customer's.
pub(crate) fn end_of(caller: &Caller, edge: &Relationship) -> procura_token::TenantId {
    let is_operator = caller.is(UserRole::SuperAdmin) && caller.tenant != edge.partner;
    if is_operator { edge.customer } else { caller.tenant }
}

/// The name of a step in the audit log.
pub(crate) const fn action(step: Step) -> &'static str {
    match step {
        Step::Approve => "relationship.approve",
        Step::Decline => "relationship.decline",
        Step::Withdraw => "relationship.withdraw",
        Step::Suspend => "relationship.suspend",
        Step::Resume => "relationship.resume",
        Step::End => "relationship.end",
    }
}

/// Terms as they were asked for, or with less; never with more.
pub(crate) fn agreed(asked: &Terms, less: &Patch, now: Ts) -> Result<Terms> {
    let terms = patched(asked, less)?;
    if let Some(fault) = terms.excess().or_else(|| terms.fault(now)) {
        return Err(Error::Invalid(fault));
    }
    if terms.are_within(asked) {
        return Ok(terms);
    }
    // Names the first member that asks for more by itself.
    let is_more = |name: &&str| {
        let one = less.get_key_value(*name).map(|(name, value)| (name.clone(), value.clone()));
        patched(asked, &one.into_iter().collect()).is_ok_and(|terms| !terms.are_within(asked))
    };
    Err(Error::Invalid(MEMBERS.into_iter().find(is_more).unwrap_or("body")))
}

/// Terms with some members changed. `Invalid` names the member that cannot be read.
pub(crate) fn patched(terms: &Terms, patch: &Patch) -> Result<Terms> {
    let mut document = serde_json::to_value(terms).map_err(|_| Error::Broken)?;
    let mut patched = terms.clone();
    for (name, value) in patch {
        let known = MEMBERS.into_iter().find(|member| member == name);
        let name = known.ok_or(Error::Invalid("body"))?;
        let member = document.get_mut(name).ok_or(Error::Broken)?;
        if is_list_for_object(Some(member), value) {
            return Err(Error::Invalid(name));
        }
        merge(member, value);
        patched = serde_json::from_value(document.clone()).map_err(|_| Error::Invalid(name))?;
    }
    // Whom the partner assigns is not agreed on.
    if patched.conditions.assigned_to.is_some() {
        return Err(Error::Invalid("conditions"));
    }
    // A role that is named takes the place of custom permissions, unless they are named as well.
    if patch.contains_key("access_role") && !patch.contains_key("custom_permissions") {
        patched.custom_permissions = None;
    }
    Ok(patched)
}

/// The members that differ, before and after.
pub(crate) fn changes(before: Option<&Relationship>, after: &Relationship) -> Value {
    let was = before.map(members).unwrap_or_default();
    let changed = members(after).into_iter().filter_map(|(name, to)| {
        let from = was.get(&name).cloned().unwrap_or(Value::Null);
        (from != to).then(|| (name, json!({ "from": from, "to": to })))
    });
    changed.collect()
}

fn members(r: &Relationship) -> Map<String, Value> {
    let terms = serde_json::to_value(Terms::of(r)).unwrap_or_default();
    let mut members = match terms {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.insert("state".to_owned(), json!(r.state));
    members.insert("access".to_owned(), json!(r.access));
    members.insert("assigned_to".to_owned(), json!(r.conditions.assigned_to));
    members
}
