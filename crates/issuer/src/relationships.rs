//! Requests, steps and switches of relationships.

use procura_domain::{
    Access, Caller, Permissions, Relationship, RelationshipKind, RelationshipRole,
    RelationshipState, UserRole,
    policy::Permit,
    relationship::{Approval, Conditions, Origin, Side, Step, StepError},
};
use procura_store::{Tx, relationships::is_narrower};
use procura_token::{Key, RelationshipId, TenantId, Ts};

use crate::{Call, Error, Issuer, Result, revoke::Revoked};

/// What a partner asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Handed out by the customer; names the customer.
    pub partner_code: String,
    /// The role; `msp_support` where none is named.
    pub access_role: Option<RelationshipRole>,
    /// Replaces the role's permissions.
    pub custom_permissions: Option<Permissions>,
    /// Not before.
    pub starts_at: Option<Ts>,
    /// Not from then on.
    pub ends_at: Option<Ts>,
    /// Shown to the customer.
    pub reason: Option<String>,
}

/// With what a customer approves; absent members are approved as requested.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Another role, not wider.
    pub access_role: Option<RelationshipRole>,
    /// Fewer permissions.
    pub custom_permissions: Option<Permissions>,
    /// An earlier end.
    pub ends_at: Option<Ts>,
}

/// A change that is about to be written.
pub(crate) struct Change<'a> {
    /// Its name in the audit log, and the cause of its revocation.
    pub action: &'static str,
    pub before: &'a Relationship,
    pub after: Relationship,
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
        let starts = asked.starts_at.unwrap_or(now);
        if asked.ends_at.is_some_and(|end| end <= now || end <= starts) {
            return Err(Error::Invalid("ends_at"));
        }
        let customer = tx.find_tenant_by_partner_code(&asked.partner_code).await?;
        let customer = customer.filter(|t| t.status == procura_domain::TenantStatus::Active);
        let customer = customer.ok_or(Error::NotFound)?.id;
        if customer == permit.tenant() {
            return Err(Error::Invalid("partner_code"));
        }
        let relationship = Relationship {
            origin: Origin::Requested,
            role: asked.access_role.unwrap_or(RelationshipRole::MspSupport),
            custom_permissions: asked.custom_permissions,
            state: RelationshipState::Requested,
            starts_at: asked.starts_at,
            ends_at: asked.ends_at,
            ..self.new_edge(permit.tenant(), customer, RelationshipKind::Manages)?
        };
        tx.insert_relationship(&relationship, asked.reason.as_deref()).await?;
        self.audit_step(&mut tx, call, "relationship.request", &relationship)?;
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

    /// Takes a step in the life of a relationship.
    pub async fn step_relationship(
        &self,
        call: &Call,
        id: RelationshipId,
        step: Step,
        terms: Terms,
    ) -> Result<Changed> {
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        let permit = call.caller.step(&before)?;
        let state = step.apply(&before, permit.side(), tx.now()).map_err(|error| match error {
            StepError::NotYours => Error::Forbidden,
            StepError::WrongState => {
                Error::WrongState(before.phase(self.0.environment.now()).as_str())
            }
        })?;
        let mut after = Relationship {
            state,
            suspended_by: (step == Step::Suspend).then_some(permit.side()),
            ..before.clone()
        };
        if step == Step::Approve {
            accept(&mut after, &before, terms, tx.now())?;
        }
        let action = match step {
            Step::Approve => "relationship.approve",
            Step::Decline => "relationship.decline",
            Step::Withdraw => "relationship.withdraw",
            Step::Suspend => "relationship.suspend",
            Step::Resume => "relationship.resume",
            Step::End => "relationship.end",
        };
        self.change(tx, call, Change { action, before: &before, after }).await
    }

    /// The customer's switch for one relationship.
    pub async fn switch_relationship(
        &self,
        call: &Call,
        id: RelationshipId,
        access: Access,
    ) -> Result<Changed> {
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.find_relationship(id).await?.ok_or(Error::NotFound)?;
        // No setting of partner or operator takes the customer's switch away, or turns it on.
        if call.caller.step(&before)?.side() != Side::Customer {
            return Err(Error::Forbidden);
        }
        if !before.state.is_live() {
            return Err(Error::WrongState(before.state.as_str()));
        }
        let after = Relationship { access, ..before.clone() };
        let action = "relationship.access";
        self.change(tx, call, Change { action, before: &before, after }).await
    }

    /// Writes a change with its audit entry and, where it narrows, its revocation: one transaction.
    pub(crate) async fn change(
        &self,
        mut tx: Tx,
        call: &Call,
        change: Change<'_>,
    ) -> Result<Changed> {
        let Change { action, before, after } = change;
        let after = tx.update_relationship(&after).await?;
        self.audit_step(&mut tx, call, action, &after)?;
        if !is_narrower(before, &after) {
            tx.commit().await?;
            return Ok(Changed { relationship: after, revoked: None });
        }
        let ended = tx.end_delegations_under(after.id).await?;
        tx.revoke(&Key::Relationship(after.id), action);
        let revoked = self.commit_revocation(tx, ended, call.confirm).await?;
        Ok(Changed { relationship: after, revoked: Some(revoked) })
    }

    pub(crate) fn audit_step(
        &self,
        tx: &mut Tx,
        call: &Call,
        action: &str,
        relationship: &Relationship,
    ) -> Result<()> {
        let mut entry = self.entry(call, action, relationship.customer)?;
        entry.relationship_id = Some(relationship.id);
        entry.resource_type = Some("relationship".to_owned());
        entry.resource_id = Some(relationship.id.to_string());
        entry.details = Some(
            serde_json::json!({
                "partner_id": relationship.partner,
                "kind": relationship.kind,
                "state": relationship.state,
                "access_role": relationship.role,
                "access": relationship.access,
                "version": relationship.version,
            })
            .to_string(),
        );
        tx.audit(entry);
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
            access: Access::On,
            approval: Approval::Standing,
            conditions: Conditions::default(),
            version: 1,
        })
    }
}

/// Approves as requested or with less, never with more.
fn accept(after: &mut Relationship, before: &Relationship, terms: Terms, now: Ts) -> Result<()> {
    if let Some(role) = terms.access_role {
        after.role = role;
        after.custom_permissions = None;
    }
    if let Some(custom) = terms.custom_permissions {
        after.custom_permissions = Some(custom);
    }
    if !before.permissions().covers(&after.permissions()) {
        return Err(Error::Invalid("access_role"));
    }
    if let Some(end) = terms.ends_at {
        if end <= now || end > before.ends_at.unwrap_or(Ts::NEVER) {
            return Err(Error::Invalid("ends_at"));
        }
        after.ends_at = Some(end);
    }
    Ok(())
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
        Ok(self.0.store.list_managed(tenant).await?)
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
        Ok(self.0.store.list_managed(caller.tenant).await?)
    }
}
