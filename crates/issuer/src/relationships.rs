//! Requests, steps and switches of relationships.

use procura_domain::{
    Access, Caller, Quota, Relationship, RelationshipKind, RelationshipRole, RelationshipState,
    Terms, UserRole,
    policy::Permit,
    relationship::{Approval, Conditions, Origin, Step, StepError},
    terms::takes_away,
};
use procura_store::{Tx, audit::Entry};
use procura_token::{Key, RelationshipId, TenantId};
use serde_json::Value;

use crate::{
    Call, Error, Issuer, Result,
    agreements::{Patch, action, agreed, changes, patched},
    revoke::Revoked,
};

/// What a partner asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Handed out by the customer; names the customer.
    pub partner_code: String,
    /// What differs from `msp_support` for ever without conditions.
    pub terms: Patch,
    /// Shown to the customer.
    pub reason: Option<String>,
}

/// A change that is about to be written.
pub(crate) struct Change<'a> {
    /// Its name in the audit log, and the cause of its revocation.
    pub action: &'static str,
    pub before: &'a Relationship,
    pub after: Relationship,
    /// Why, in the person's own words.
    pub reason: Option<String>,
}

/// A relationship after a change.
pub struct Changed {
    /// As it is now.
    pub relationship: Relationship,
    /// What the change killed; `None` where it took nothing away.
    pub revoked: Option<Revoked>,
}

impl Issuer {
    /// A partner asks a customer for a relationship. Without the customer's partner code there is no
    /// way to ask, and no way to learn who exists.
    pub async fn request_relationship(&self, call: &Call, asked: Request) -> Result<Relationship> {
        let permit = call.caller.represent_partner()?;
        let mut tx = self.begin_for(call).await?;
        let now = tx.now();
        let customer = tx.find_tenant_by_partner_code(&asked.partner_code).await?;
        let customer = customer.filter(|t| t.status == procura_domain::TenantStatus::Active);
        let customer = customer.ok_or(Error::NotFound)?.id;
        if customer == permit.tenant() {
            return Err(Error::Invalid("partner_code"));
        }
        let edge = self.new_edge(permit.tenant(), customer, RelationshipKind::Manages)?;
        let relationship = Relationship {
            origin: Origin::Requested,
            state: RelationshipState::Requested,
            ..patched(&Terms::of(&edge), &asked.terms)?.put(&edge)
        };
        let terms = Terms::of(&relationship);
        if let Some(fault) = terms.excess().or_else(|| terms.fault(now)) {
            return Err(Error::Invalid(fault));
        }
        // First, because one too many is refused by the index: counting takes longer, and all writers wait.
        tx.insert_relationship(&relationship, asked.reason.as_deref()).await?;
        self.leave_room(&mut tx, permit.tenant(), Quota::Customers).await?;
        let asked = ("relationship.request", asked.reason);
        self.begin_history(&mut tx, call, asked, &relationship).await?;
        tx.commit().await?;
        Ok(relationship)
    }

    /// A relationship that the caller stands at one end of.
    pub async fn find_relationship(
        &self,
        caller: &Caller,
        id: RelationshipId,
    ) -> Result<Relationship> {
        let found = if caller.is(UserRole::SuperAdmin) {
            self.0.store.find_any_relationship(id).await?
        } else {
            self.0.store.find_relationship(caller.tenant, id).await?
        };
        let relationship = found.ok_or(Error::NotFound)?;
        caller.step(&relationship)?;
        Ok(relationship)
    }

    /// Takes a step in the life of a relationship, or of what the partner asks for while it goes on.
    /// `less` changes what is approved.
    pub async fn step_relationship(
        &self,
        call: &Call,
        id: RelationshipId,
        step: Step,
        less: &Patch,
    ) -> Result<Changed> {
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        let permit = call.caller.step(&before)?;
        call.expect(before.version)?;
        let is_answer = matches!(step, Step::Approve | Step::Decline | Step::Withdraw);
        let is_going_on =
            matches!(before.state, RelationshipState::Active | RelationshipState::Suspended);
        if is_answer && is_going_on {
            return self.answer_proposal(tx, call, &before, (step, less)).await;
        }
        let now = tx.now();
        let state = step.apply(&before, permit.side(), now).map_err(|error| match error {
            StepError::NotYours => Error::Forbidden,
            StepError::WrongState => Error::WrongState(before.phase(now).as_str()),
        })?;
        let agreed = match step {
            Step::Approve => agreed(&Terms::of(&before), less, now)?.put(&before),
            _ => before.clone(),
        };
        if step == Step::Approve && before.kind == RelationshipKind::Manages {
            self.leave_room(&mut tx, before.partner, Quota::Customers).await?;
        }
        let suspended_by = (step == Step::Suspend).then_some(permit.side());
        let after = Relationship { state, suspended_by, ..agreed };
        self.change(tx, call, Change { action: action(step), before: &before, after, reason: None })
            .await
    }

    /// Writes a change with its audit entry and, where it narrows, its revocation: one transaction.
    pub(crate) async fn change(
        &self,
        mut tx: Tx,
        call: &Call,
        change: Change<'_>,
    ) -> Result<Changed> {
        let Change { action, before, after, reason } = change;
        // What the partner asked for was asked under the terms of then, and of a relationship that goes on.
        if Terms::of(before) != Terms::of(&after) || !after.state.is_live() {
            tx.end_proposal(after.id).await?;
        }
        let after = tx.update_relationship(&after).await?;
        let changes = changes(Some(before), &after);
        self.audit_step(&mut tx, call, (action, &changes, reason.as_deref()), &after)?;
        self.keep_version(&mut tx, action, (&after, changes, reason), Some(&call.caller)).await?;
        if !takes_away(before, &after) {
            tx.commit().await?;
            return Ok(Changed { relationship: after, revoked: None });
        }
        let ended = tx.end_delegations_under(after.id).await?;
        tx.revoke(&Key::Relationship(after.id), action);
        let revoked = self.commit_revocation(tx, ended, call.confirm).await?;
        Ok(Changed { relationship: after, revoked: Some(revoked) })
    }

    /// The first version of a relationship, with its audit entry.
    pub(crate) async fn begin_history(
        &self,
        tx: &mut Tx,
        call: &Call,
        (action, reason): (&str, Option<String>),
        edge: &Relationship,
    ) -> Result<()> {
        let changes = changes(None, edge);
        self.audit_step(tx, call, (action, &changes, reason.as_deref()), edge)?;
        self.keep_version(tx, action, (edge, changes, reason), Some(&call.caller)).await
    }

    pub(crate) fn audit_step(
        &self,
        tx: &mut Tx,
        call: &Call,
        (action, changes, reason): (&str, &Value, Option<&str>),
        edge: &Relationship,
    ) -> Result<()> {
        let entry = self.entry(call, action, edge.customer)?;
        tx.audit(about(edge, (Some(changes), reason), entry));
        Ok(())
    }

    /// An edge in force, without conditions: what the verbs start from.
    pub(crate) fn new_edge(
        &self,
        partner: TenantId,
        customer: TenantId,
        kind: RelationshipKind,
    ) -> Result<Relationship> {
        Ok(Relationship {
            id: RelationshipId::from_bits(self.0.environment.id_bits()?),
            partner,
            customer,
            kind,
            origin: Origin::Granted,
            role: match kind {
                RelationshipKind::Manages => RelationshipRole::MspSupport,
                RelationshipKind::Trust => RelationshipRole::TenantAdmin,
            },
            custom_permissions: None,
            state: RelationshipState::Active,
            suspended_by: None,
            starts_at: None,
            ends_at: None,
            renews_for_days: None,
            access: Access::On,
            approval: Approval::Standing,
            conditions: Conditions::default(),
            version: 1,
        })
    }
}

/// An entry about a relationship as it is now.
pub(crate) fn about(
    edge: &Relationship,
    (changes, reason): (Option<&Value>, Option<&str>),
    entry: Entry,
) -> Entry {
    let details = serde_json::json!({
        "changes": changes,
        "partner_id": edge.partner,
        "kind": edge.kind,
        "state": edge.state,
        "access_role": edge.role,
        "access": edge.access,
        "version": edge.version,
    });
    let mut entry = Entry {
        relationship_id: Some(edge.id),
        resource_type: Some("relationship".to_owned()),
        resource_id: Some(edge.id.to_string()),
        ..entry
    };
    for (name, value) in details.as_object().into_iter().flatten() {
        entry.add_detail(name, value);
    }
    if let Some(reason) = reason {
        entry.add_detail("reason", &reason);
    }
    entry
}

/// Lists are reads, not changes; they need no permit but the same policy.
impl Issuer {
    /// Edges out of a tenant: for its admins and the operator.
    pub async fn list_managed_by(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<Vec<procura_store::relationships::Link>> {
        caller.read(tenant)?;
        let mut links = self.0.store.list_managed(tenant).await?;
        links.retain(|link| caller.is_for(link.tenant));
        Ok(links)
    }

    /// Edges into a tenant: for its admins and the operator.
    pub async fn list_managing(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<Vec<procura_store::relationships::Link>> {
        let _: Permit = caller.administer(tenant)?;
        Ok(self.0.store.list_managing(tenant).await?)
    }

    /// The caller's own tenant's customers.
    pub async fn list_customers(
        &self,
        caller: &Caller,
    ) -> Result<Vec<procura_store::relationships::Link>> {
        caller.list_managed()?;
        let mut links = self.0.store.list_managed(caller.tenant).await?;
        links.retain(|link| caller.is_for(link.tenant));
        Ok(links)
    }
}
