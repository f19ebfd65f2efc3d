//! Login policies: written by a tenant, applied to itself or to its customers, kept or removed by whom they
//! bind. What is applied is a copy: no later change of a policy, and nobody else's, reaches a tenant by itself.

use procura_domain::{
    Caller, Fault, LoginRules, Permissions, RelationshipKind, decide,
    login_policy::{Standing, effective},
    permission::SWITCH_CONTEXT,
    quota::Counted,
    relationship::Relationship,
};
use procura_store::{
    Tx,
    policies::{AppliedPolicy, LoginPolicy},
};
use procura_token::{Key, PolicyId, RelationshipId, TenantId};
use serde_json::{Map, Value, json};

use crate::{
    Call, Error, Issuer, Result,
    enforced::Ended,
    exchange::GRANT,
    explain::Question,
    hand::{Hand, Subject, difference},
    login::IDP_LOCAL,
    revoke::Revoked,
};

/// No tenant writes more, and in none do more hold that are its own or kept: every login reads those that hold.
const MOST: usize = 50;
/// So many of each other owner hold besides, that nobody takes the room of others; and so many are for new
/// customers.
const MOST_OF_OTHERS: usize = 10;
const MAX_NAME_CHARS: usize = 60;
/// What a relationship must hand over for a partner to apply its policies.
const WRITE: &str = "tenant.policies.write";
/// Causes of revocations, and actions in the audit log.
const APPLY: &str = "policy.apply";
const KEEP: &str = "policy.keep";
const REMOVE: &str = "policy.remove";

/// What a policy is to say.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// How its owner calls it.
    pub name: String,
    /// What it demands.
    pub rules: LoginRules,
    /// Whether customers that its owner sets up begin with it.
    pub is_for_new_customers: bool,
}

/// A policy that holds in a tenant now.
pub struct Applied {
    /// As it holds.
    pub policy: AppliedPolicy,
    /// What its application killed; `None` where no login lacked what it demands, and always for a partner.
    pub revoked: Option<Revoked>,
}

/// What holds in a tenant, with the names of the owners.
pub struct Holds {
    /// Each with its owner's name.
    pub applied: Vec<(AppliedPolicy, String)>,
    /// What all together demand of people who are no admins.
    pub of_members: LoginRules,
    /// The same of admins: only what one of them agreed to.
    pub of_admins: LoginRules,
}

impl Issuer {
    /// The policies of the caller's own tenant.
    pub async fn list_policies(&self, caller: &Caller) -> Result<Vec<LoginPolicy>> {
        let tenant = caller.write_login_policies()?.tenant();
        Ok(self.0.store.list_policies(tenant).await?)
    }

    /// One of them.
    pub async fn find_policy(&self, caller: &Caller, id: PolicyId) -> Result<LoginPolicy> {
        let tenant = caller.write_login_policies()?.tenant();
        self.0.store.find_policy(tenant, id).await?.ok_or(Error::NotFound)
    }

    /// Writes a policy down. It holds nowhere yet.
    pub async fn add_policy(&self, call: &Call, new: NewPolicy) -> Result<LoginPolicy> {
        let tenant = call.caller.write_login_policies()?.tenant();
        let mut tx = self.begin_for(call).await?;
        check(&mut tx, (tenant, None), &new).await?;
        if tx.count_policies(tenant).await? >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            return Err(Error::WrongState("too_many_policies"));
        }
        let policy = LoginPolicy {
            id: PolicyId::from_bits(self.0.environment.id_bits()?),
            tenant,
            name: new.name,
            rules: new.rules,
            is_for_new_customers: new.is_for_new_customers,
            version: 1,
            created_at: tx.now(),
            changed_at: tx.now(),
            applied_to: 0,
        };
        tx.insert_policy(&policy).await?;
        let details = difference(&Value::Object(Map::new()), &shown(&policy));
        self.note_policy(&mut tx, call, ("policy.add", details), &policy)?;
        tx.commit().await?;
        Ok(policy)
    }

    /// Writes a policy anew. Where it holds already, it goes on as it was applied.
    pub async fn update_policy(
        &self,
        call: &Call,
        id: PolicyId,
        new: NewPolicy,
    ) -> Result<LoginPolicy> {
        let tenant = call.caller.write_login_policies()?.tenant();
        let mut tx = self.begin_for(call).await?;
        let before = tx.find_policy(tenant, id).await?.ok_or(Error::NotFound)?;
        call.expect(before.version)?;
        check(&mut tx, (tenant, Some(id)), &new).await?;
        let mut after = LoginPolicy {
            name: new.name,
            rules: new.rules,
            is_for_new_customers: new.is_for_new_customers,
            ..before.clone()
        };
        let details = difference(&shown(&before), &shown(&after));
        if details.is_empty() {
            return Ok(before);
        }
        after.version = before.version.saturating_add(1);
        after.changed_at = tx.now();
        tx.update_policy(&after).await?;
        self.note_policy(&mut tx, call, ("policy.update", details), &after)?;
        tx.commit().await?;
        Ok(after)
    }

    /// Takes a policy away. `WrongState` while it holds anywhere.
    pub async fn delete_policy(&self, call: &Call, id: PolicyId) -> Result<()> {
        let tenant = call.caller.write_login_policies()?.tenant();
        let mut tx = self.begin_for(call).await?;
        let policy = tx.find_policy(tenant, id).await?.ok_or(Error::NotFound)?;
        call.expect(policy.version)?;
        if policy.applied_to > 0 {
            return Err(Error::WrongState("applied"));
        }
        tx.delete_policy(tenant, id).await?;
        let details = difference(&shown(&policy), &Value::Object(Map::new()));
        self.note_policy(&mut tx, call, ("policy.delete", details), &policy)?;
        tx.commit().await?;
        Ok(())
    }

    /// What holds in the caller's own tenant, and from whom.
    pub async fn list_applied_policies(&self, caller: &Caller) -> Result<Holds> {
        let tenant = caller.set_login_policies()?.tenant();
        let held = self.0.store.list_applied(tenant).await?;
        let demands =
            |standing: Standing| standing.demands(held.iter().map(AppliedPolicy::holding));
        let (of_members, of_admins) = (demands(Standing::Member), demands(Standing::Admin));
        let names = self.0.store.tenant_names(held.iter().map(|one| one.owner)).await?;
        let with_owner = |one: AppliedPolicy| {
            let name = names.get(&one.owner).cloned().ok_or(Error::Broken)?;
            Ok((one, name))
        };
        let applied = held.into_iter().map(with_owner).collect::<Result<_>>()?;
        Ok(Holds { applied, of_members, of_admins })
    }

    /// Lets a policy hold in a tenant, as it is now: the tenant's own by its admin, a partner's where a
    /// relationship hands that over. Of a partner's that holds already the admin says that it is kept. Logins
    /// that lack what is demanded then end in the same transaction; a partner is not told which there were.
    pub async fn apply_policy(
        &self,
        call: &Call,
        tenant: TenantId,
        id: PolicyId,
    ) -> Result<Applied> {
        let mut tx = self.begin_urgent_for(call).await?;
        let edge = self.may_set(&mut tx, call, tenant).await?;
        let held_before = tx.list_applied(tenant).await?;
        let mut held = held_before.clone();
        let place = held.iter().position(|one| one.policy == id);
        let before = place.map(|place| held.swap_remove(place));
        let (action, policy) = match &before {
            Some(foreign) if edge.is_none() && foreign.owner != tenant => {
                // Whoever has read another version would agree to something else.
                if call.expected_version.is_none() {
                    return Err(Error::VersionMissing);
                }
                call.expect(foreign.version)?;
                let kept = foreign.kept.or(Some((tx.now(), call.caller.user)));
                (KEEP, AppliedPolicy { kept, ..foreign.clone() })
            }
            before => (APPLY, copy(&mut tx, call, (tenant, id), before.as_ref()).await?),
        };
        find_room(&held, &policy)?;
        if let Some(before) = before.filter(|before| is_same(before, &policy)) {
            return Ok(Applied { policy: before, revoked: None });
        }
        held.push(policy.clone());
        if edge.is_none() {
            stand_by(&mut tx, call, &held).await?;
        }
        tx.put_applied(&policy).await?;
        let ended = enforce(&mut tx, tenant, Some(&held_before), action).await?;
        self.note_applied(&mut tx, Hand::Person(call), (action, edge), &policy)?;
        self.note_enforced(&mut tx, (tenant, Some(id)), Some(&call.via.request_id), ended)?;
        if edge.is_some() {
            // Who was logged in there, and what ran from it, is the customer's business: nor is it told by a
            // wait for the verifiers.
            tx.commit().await?;
            return Ok(Applied { policy, revoked: None });
        }
        let ended = ended.map(|ended| ended.delegations);
        let revoked = self.commit_change(tx, ended, Hand::Person(call)).await?;
        Ok(Applied { policy, revoked })
    }

    /// Lets a policy hold in a tenant no more: the tenant's admin any, a partner what it applied and nobody
    /// kept, the operator at the machine any.
    pub async fn remove_policy(
        &self,
        hand: Hand<'_>,
        tenant: TenantId,
        id: PolicyId,
    ) -> Result<()> {
        let mut tx = self.begin_by(hand).await?;
        let edge = match hand {
            Hand::Person(call) => self.may_set(&mut tx, call, tenant).await?,
            Hand::CommandLine => None,
            Hand::Import | Hand::Itself { .. } | Hand::Upkeep => return Err(Error::Forbidden),
        };
        let held = tx.list_applied(tenant).await?.into_iter().find(|one| one.policy == id);
        let held = held.ok_or(Error::NotFound)?;
        if let (Some(_), Some(caller)) = (edge, hand.caller()) {
            if held.owner != caller.tenant {
                return Err(Error::NotFound);
            }
            if held.kept.is_some() {
                return Err(Error::WrongState("kept_by_customer"));
            }
        }
        if let Hand::Person(call) = hand {
            call.expect(held.version)?;
        }
        tx.delete_applied(tenant, id).await?;
        self.note_applied(&mut tx, hand, (REMOVE, edge), &held)?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets the policies that a partner has for new customers hold in one, in the transaction that makes it.
    pub(crate) async fn apply_to_new_customer(
        &self,
        tx: &mut Tx,
        call: &Call,
        edge: &Relationship,
    ) -> Result<()> {
        for policy in tx.list_policies_for_new(edge.partner).await? {
            let applied = AppliedPolicy {
                origin: "onboarding".to_owned(),
                ..applied_now(tx, call, edge.customer, policy)
            };
            tx.put_applied(&applied).await?;
            self.note_applied(tx, Hand::Person(call), (APPLY, Some(edge.id)), &applied)?;
        }
        Ok(())
    }

    /// May the caller say what holds in this tenant? Answers the relationship that lets a partner. Whatever is
    /// missing there, the partner is told the same: nothing.
    async fn may_set(
        &self,
        tx: &mut Tx,
        call: &Call,
        tenant: TenantId,
    ) -> Result<Option<RelationshipId>> {
        let caller = &call.caller;
        if caller.tenant == tenant {
            caller.set_login_policies()?;
            return Ok(None);
        }
        caller.represent_partner()?;
        let person =
            tx.find_user(caller.tenant, caller.user).await?.ok_or(Error::Unauthenticated)?;
        let session = tx.find_session(caller.session).await?.ok_or(Error::Unauthenticated)?;
        let client = tx.find_client(&caller.client).await?.ok_or(Error::Unauthenticated)?;
        let can_exchange = client.grant_types.contains(GRANT);
        let question = Question {
            user: caller.user,
            tenant: tenant.to_string(),
            client: caller.client.clone(),
            audience: Some(self.0.settings.issuer.clone()),
            scope: Some(std::iter::once(WRITE).collect()),
            purpose: None,
            ip: call.via.ip.as_deref().and_then(|ip| ip.parse().ok()),
            key: None,
        };
        let who = (&person, Some(tenant), None);
        let mut exchange = self.imagined(tx, &question, who, client).await?;
        exchange.session = session.id;
        let wish = &mut exchange.wish;
        wish.may_switch = caller.scope.contains(SWITCH_CONTEXT);
        wish.acr = Some(session.acr);
        wish.auth_time = Some(session.auth_time);
        wish.idp = Some(session.idp);
        // As if the person went there to do it: one decision for both, with all conditions. The management API
        // stands in the place of a resource server that understands everything.
        let mut facts = tx.facts(&exchange).await?;
        facts.audience = Some(Permissions::everything());
        facts.client.is_usable &= can_exchange;
        facts.relationships.retain(|edge| edge.kind == RelationshipKind::Manages);
        // No token is given out: how many were today is all the same.
        (facts.partner_tokens, facts.customer_tokens) = (Counted::default(), Counted::default());
        let decided = decide(&facts, &exchange.wish, exchange.limits, tx.now());
        let mandate = decided.map_err(|_| Error::NotFound)?;
        Ok(Some(mandate.relationship))
    }

    fn note_policy(
        &self,
        tx: &mut Tx,
        call: &Call,
        (action, details): (&str, Map<String, Value>),
        policy: &LoginPolicy,
    ) -> Result<()> {
        let id = policy.id.to_string();
        let about = Subject { tenant: policy.tenant, kind: "policy", id: &id };
        tx.audit(self.entry_by(Hand::Person(call), action, about, details)?);
        Ok(())
    }

    fn note_applied(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        (action, edge): (&str, Option<RelationshipId>),
        policy: &AppliedPolicy,
    ) -> Result<()> {
        let id = policy.policy.to_string();
        let about = Subject { tenant: policy.tenant, kind: "policy", id: &id };
        let members = [
            ("name", json!(policy.name)),
            ("version", json!(policy.version)),
            ("rules", json!(policy.rules)),
            ("owner_id", json!(policy.owner)),
            ("origin", json!(policy.origin)),
        ];
        let details = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut entry = self.entry_by(hand, action, about, details.collect())?;
        entry.relationship_id = edge;
        tx.audit(entry);
        Ok(())
    }
}

/// The caller's own policy as it is to hold in a tenant now, in the place of what held before.
async fn copy(
    tx: &mut Tx,
    call: &Call,
    (tenant, id): (TenantId, PolicyId),
    before: Option<&AppliedPolicy>,
) -> Result<AppliedPolicy> {
    let policy = tx.find_policy(call.caller.tenant, id).await?.ok_or(Error::NotFound)?;
    call.expect(policy.version)?;
    if before.is_some_and(|before| before.kept.is_some()) {
        return Err(Error::WrongState("kept_by_customer"));
    }
    // Through whom a customer's people log in is never a partner's to say.
    if policy.tenant != tenant && policy.rules.identity_providers.is_some() {
        return Err(Error::WrongState("names_identity_providers"));
    }
    Ok(applied_now(tx, call, tenant, policy))
}

fn applied_now(tx: &Tx, call: &Call, tenant: TenantId, policy: LoginPolicy) -> AppliedPolicy {
    let origin = if policy.tenant == tenant { "own" } else { "partner" };
    AppliedPolicy {
        tenant,
        policy: policy.id,
        owner: policy.tenant,
        name: policy.name,
        rules: policy.rules,
        version: policy.version,
        origin: origin.to_owned(),
        applied_at: tx.now(),
        applied_by: call.caller.user,
        kept: None,
    }
}

fn is_same(before: &AppliedPolicy, after: &AppliedPolicy) -> bool {
    before.version == after.version && before.kept == after.kept
}

/// Whoever lets a rule hold for the own tenant's admins has just shown a login that meets all of them: so one
/// admin at least is never shut out by it.
async fn stand_by(tx: &mut Tx, call: &Call, held: &[AppliedPolicy]) -> Result<()> {
    let session = tx.find_session(call.caller.session).await?.ok_or(Error::Unauthenticated)?;
    let agreed = held.iter().map(AppliedPolicy::holding).filter(|one| one.is_agreed);
    match effective(agreed.map(|one| one.rules)).unmet_by(&session.acr, &session.idp) {
        Some(_) => Err(Error::WrongState("own_login_too_weak")),
        None => Ok(()),
    }
}

/// Whether one more can hold beside these.
fn find_room(held: &[AppliedPolicy], one: &AppliedPolicy) -> Result<()> {
    let is_agreed = |policy: &AppliedPolicy| policy.holding().is_agreed;
    let is_ours = is_agreed(one);
    let most = if is_ours { MOST } else { MOST_OF_OTHERS };
    let is_alike = |other: &&AppliedPolicy| {
        is_agreed(other) == is_ours && (is_ours || other.owner == one.owner)
    };
    if held.iter().filter(is_alike).count() >= most {
        return Err(Error::WrongState("too_many_policies"));
    }
    Ok(())
}

/// Ends the logins that lack what is demanded now; answers what that ended, where it ended a login. Of whom no more is demanded than by what held before, nothing ends: else an application that
/// changes nothing could be repeated against logins.
pub(crate) async fn enforce(
    tx: &mut Tx,
    tenant: TenantId,
    before: Option<&[AppliedPolicy]>,
    cause: &'static str,
) -> Result<Option<Ended>> {
    let held = tx.list_applied(tenant).await?;
    let mut ended: Option<Ended> = None;
    for standing in Standing::ALL {
        let demands = |held: &[AppliedPolicy]| {
            // Which password can be set says nothing of a login.
            let rules = standing.demands(held.iter().map(AppliedPolicy::holding));
            LoginRules { password_min_length: None, ..rules }
        };
        let rules = demands(&held);
        if before.is_some_and(|before| demands(before) == rules) {
            continue;
        }
        let (sessions, delegations) = tx.end_sessions_against(tenant, *standing, &rules).await?;
        for session in &sessions {
            tx.revoke(&Key::Session(*session), cause);
        }
        if !sessions.is_empty() {
            ended.get_or_insert_default().add(sessions.len(), delegations);
        }
    }
    Ok(ended)
}

/// Whether a tenant can have such a policy.
async fn check(
    tx: &mut Tx,
    (tenant, id): (TenantId, Option<PolicyId>),
    new: &NewPolicy,
) -> Result<()> {
    let is_name = (1..=MAX_NAME_CHARS).contains(&new.name.chars().count())
        && new.name.trim() == new.name
        && !new.name.chars().any(char::is_control);
    if !is_name {
        return Err(fault("name", "must have 1 to 60 characters, and no space around them"));
    }
    new.rules.check()?;
    if new.is_for_new_customers && new.rules.identity_providers.is_some() {
        return Err(fault("for_new_customers", "goes with no identity_providers"));
    }
    if new.is_for_new_customers {
        let others = tx.list_policies_for_new(tenant).await?;
        if others.iter().filter(|one| Some(one.id) != id).count() >= MOST_OF_OTHERS {
            return Err(Error::WrongState("too_many_for_new_customers"));
        }
    }
    let Some(names) = &new.rules.identity_providers else { return Ok(()) };
    let known = tx.list_providers(tenant).await?;
    let is_known = |name: &String| {
        name == IDP_LOCAL || known.iter().any(|p| p.idp == *name && p.settings.is_enabled)
    };
    if names.iter().all(is_known) {
        return Ok(());
    }
    Err(fault("identity_providers", "must be enabled providers of this tenant, or local"))
}

const fn fault(member: &'static str, why: &'static str) -> Error {
    Error::Unfit(Fault { member, why })
}

/// As the audit log shows it.
fn shown(policy: &LoginPolicy) -> Value {
    json!({
        "name": policy.name,
        "rules": policy.rules,
        "for_new_customers": policy.is_for_new_customers,
    })
}
