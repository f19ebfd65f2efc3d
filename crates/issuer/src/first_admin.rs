//! What the first admin of a tenant that a partner set up is asked: whether the partner's access stays as it
//! is, only reads, or ends. The partner chose it before the customer had anybody to say no; without an
//! answer nobody becomes the admin.

use procura_domain::{
    Access, Relationship, RelationshipState, UserRole,
    relationship::{Origin, Side},
};
use procura_store::{Tx, audit::Entry, relationships::Link, users::User};
use procura_token::{AuditId, Key};

use crate::{
    Error, Issuer, Result, Via,
    agreements::{changes, write_version},
    environment::fingerprint,
    relationships::about,
};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// As the partner set it up.
    Keep,
    /// Reading only, until the customer's admin turns it on.
    Narrow,
    /// Over for good.
    End,
}

impl Stay {
    /// `keep`, `narrow` or `end`.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "keep" => Some(Self::Keep),
            "narrow" => Some(Self::Narrow),
            "end" => Some(Self::End),
            _ => None,
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Keep => "relationship.keep",
            Self::Narrow => "relationship.access",
            Self::End => "relationship.end",
        }
    }

    fn put(self, edge: &Relationship) -> Relationship {
        let edge = edge.clone();
        match self {
            Self::Narrow if edge.access == Access::On => {
                Relationship { access: Access::Restricted, ..edge }
            }
            // Off stays off.
            Self::Keep | Self::Narrow => edge,
            Self::End => Relationship { state: RelationshipState::Ended, ..edge },
        }
    }
}

/// An invitation that can still be accepted.
pub struct Open {
    /// Whom it is for.
    pub user: User,
    /// The partners that the person is asked about; empty for everybody but a first admin.
    pub partners: Vec<Link>,
}

impl Issuer {
    /// An invitation and its question; `None` where it was used, has expired, or never was.
    pub async fn find_invitation(&self, token: &str) -> Result<Option<Open>> {
        let now = self.0.environment.now();
        let store = &self.0.store;
        let Some((tenant, user)) = store.find_invited(&fingerprint(token), now).await? else {
            return Ok(None);
        };
        let user = store.find_user(tenant, user).await?.ok_or(Error::NotFound)?;
        let is_admin = user.roles.contains(&UserRole::TenantAdmin);
        let is_first = is_admin && !store.has_another_admin(tenant, (user.id, now)).await?;
        let partners = if is_first {
            let mut links = store.list_managing(tenant).await?;
            links.retain(|link| is_asked_about(&link.relationship));
            links
        } else {
            Vec::new()
        };
        Ok(Some(Open { user, partners }))
    }

    /// Does to these partners' access what the first admin says, with versions, audit and revocations, in
    /// the transaction in which the person becomes the admin.
    pub(crate) async fn settle_partners(
        &self,
        tx: &mut Tx,
        (user, via): (&User, &Via),
        partners: &[Link],
        stay: Stay,
    ) -> Result<()> {
        for link in partners {
            let before = tx.find_relationship(link.relationship.id).await?;
            // What ended while the page stood open is left as it is now.
            let Some(before) = before.filter(is_asked_about) else { continue };
            let after = stay.put(&before);
            let entry = self.entry_of_invited((user, via), stay.action())?;
            if after == before {
                tx.audit(about(&before, (None, None), entry));
                continue;
            }
            tx.end_proposal(after.id).await?;
            let after = tx.update_relationship(&after).await?;
            let changes = changes(Some(&before), &after);
            tx.audit(about(&after, (Some(&changes), None), entry));
            let by = (Some(Side::Customer), Some(user.id));
            write_version(tx, stay.action(), (&after, changes, None), by).await?;
            tx.end_delegations_under(after.id).await?;
            tx.revoke(&Key::Relationship(after.id), stay.action());
        }
        Ok(())
    }

    /// An audit entry of what an invited person did, who has no login yet.
    pub(crate) fn entry_of_invited(
        &self,
        (user, via): (&User, &Via),
        action: &str,
    ) -> Result<Entry> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        Ok(Entry {
            actor_user_id: Some(user.id),
            actor_tenant_id: Some(user.tenant),
            target_tenant_id: Some(user.tenant),
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            ..Entry::new(id, self.0.environment.now(), action, "ok")
        })
    }
}

fn is_asked_about(edge: &Relationship) -> bool {
    let goes_on = matches!(edge.state, RelationshipState::Active | RelationshipState::Suspended);
    edge.origin == Origin::Provisioned && goes_on
}
