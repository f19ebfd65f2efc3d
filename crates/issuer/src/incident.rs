//! When something has happened: all relationships of a partner, or into a tenant, are restricted or switched
//! off in one transaction, with what runs under them, and the log is sealed.

use std::collections::{BTreeSet, HashMap};

use procura_domain::{Access, Relationship, relationship::Side};
use procura_store::{Tx, agreements::Version, delegations::Delegation};
use procura_token::{Key, RelationshipId, TenantId, Ts};
use serde_json::{Map, json};

use crate::{
    Error, Issuer, Result,
    agreements::changes,
    hand::{Hand, Subject},
    revoke::{Confirm, Revoked},
};

/// The action in the audit log, and the cause of the revocations.
const ACTION: &str = "incident.declare";

/// Whose relationships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All that this partner has with customers.
    Partner(TenantId),
    /// All that partners have with this tenant.
    Tenant(TenantId),
}

impl Whose {
    /// The tenant that it is about.
    #[must_use]
    pub const fn tenant(self) -> TenantId {
        match self {
            Self::Partner(id) | Self::Tenant(id) => id,
        }
    }

    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Partner(_) => "partner",
            Self::Tenant(_) => "tenant",
        }
    }

    const fn end(self) -> (Side, TenantId) {
        match self {
            Self::Partner(id) => (Side::Partner, id),
            Self::Tenant(id) => (Side::Customer, id),
        }
    }
}

/// A relationship that it touched.
#[derive(Clone, Debug)]
pub struct Touched {
    /// As it was.
    pub before: Relationship,
    /// As it is now.
    pub after: Relationship,
    /// What ran under it.
    pub delegations: Vec<Delegation>,
}

/// What was done.
#[derive(Debug)]
pub struct Declared {
    /// Whose relationships they were.
    pub whose: Whose,
    /// How far they were closed.
    pub access: Access,
    /// When.
    pub at: Ts,
    /// Each that is live, as it was and is.
    pub touched: Vec<Touched>,
    /// What it killed.
    pub revoked: Revoked,
    /// Where the log ended right after it, signed; `None` where that could not be signed or kept.
    pub checkpoint: Option<String>,
}

impl Issuer {
    /// Brings all live relationships down to `access`, and kills what runs under them, in one transaction. One
    /// that is as low already stays, and loses only what runs. Each customer opens its own again. For the
    /// operator alone; on the command line it always waits for the verifiers of the running servers.
    pub async fn declare_incident(
        &self,
        hand: Hand<'_>,
        whose: Whose,
        access: Access,
    ) -> Result<Declared> {
        let confirm = match hand {
            Hand::Person(call) => {
                call.caller.operate()?;
                call.confirm
            }
            Hand::CommandLine => Confirm::Applied,
            Hand::Import | Hand::Itself { .. } | Hand::Upkeep => return Err(Error::Forbidden),
        };
        if access == Access::On {
            return Err(Error::Invalid("mode"));
        }
        let mut tx = self.begin_by(hand).await?;
        let at = tx.now();
        tx.find_tenant(whose.tenant()).await?.ok_or(Error::NotFound)?;
        let touched = close(&mut tx, whose, access).await?;
        kill(&mut tx, whose).await?;
        let ended = self.note_incident(&mut tx, hand, (whose, access), &touched).await?;
        let revoked = self.commit_revocation(tx, ended, confirm).await?;
        // It is done: whoever declared it must hear so also where nothing can be signed just now.
        let checkpoint = match self.checkpoint(0).await {
            Ok(checkpoint) => checkpoint.map(|(_, statement)| statement),
            Err(error) => {
                tracing::error!(%error, "no checkpoint after an incident");
                None
            }
        };
        Ok(Declared { whose, access, at, touched, revoked, checkpoint })
    }

    /// An entry and a version for each relationship that lost something, and an entry for the whole. Answers
    /// how much ran.
    async fn note_incident(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        (whose, access): (Whose, Access),
        touched: &[Touched],
    ) -> Result<u64> {
        let (mut versions, mut ended) = (Vec::new(), 0_usize);
        for one in touched {
            let Touched { before, after, delegations } = one;
            ended = ended.saturating_add(delegations.len());
            let is_lower = after.access != before.access;
            if !is_lower && delegations.is_empty() {
                continue;
            }
            let changes = changes(Some(before), after);
            let details = Map::from_iter([
                ("changes".to_owned(), changes.clone()),
                ("partner_id".to_owned(), json!(after.partner)),
                ("access".to_owned(), json!(after.access)),
                ("version".to_owned(), json!(after.version)),
                ("delegations_ended".to_owned(), json!(delegations.len())),
            ]);
            let id = after.id.to_string();
            let about = Subject { tenant: after.customer, kind: "relationship", id: &id };
            let mut entry = self.entry_by(hand, ACTION, about, details)?;
            entry.relationship_id = Some(after.id);
            tx.audit(entry);
            if is_lower {
                versions.push(Version {
                    relationship: after.id,
                    version: after.version,
                    at: tx.now(),
                    action: ACTION.to_owned(),
                    side: Some(Side::Operator),
                    user: hand.caller().map(|caller| caller.user),
                    changes,
                    reason: None,
                });
            }
        }
        tx.insert_versions(&versions).await?;
        let details = Map::from_iter([
            ("whose".to_owned(), json!(whose.word())),
            ("mode".to_owned(), json!(access)),
            ("relationships".to_owned(), json!(touched.len())),
            ("delegations_ended".to_owned(), json!(ended)),
        ]);
        let id = whose.tenant().to_string();
        let about = Subject { tenant: whose.tenant(), kind: "tenant", id: &id };
        tx.audit(self.entry_by(hand, ACTION, about, details)?);
        Ok(u64::try_from(ended).unwrap_or(u64::MAX))
    }
}

/// Lowers the switches and ends what runs, in as many statements for one relationship as for thousands: the
/// operator waits for the answer, and all writers wait for the operator.
async fn close(tx: &mut Tx, whose: Whose, access: Access) -> Result<Vec<Touched>> {
    let edges = tx.list_live_edges(whose.end()).await?;
    let lowered = tx.lower_access(whose.end(), access).await?;
    let mut ran: HashMap<RelationshipId, Vec<Delegation>> = HashMap::new();
    for delegation in tx.end_all_delegations(whose.end()).await? {
        // Those past their end are put away too, but nobody was using them.
        if delegation.ends_at > tx.now() {
            ran.entry(delegation.relationship).or_default().push(delegation);
        }
    }
    let mut told = 0_u64;
    let touched = edges.into_iter().map(|before| {
        let mut after = before.clone();
        if before.access > access {
            after.access = access;
            after.version = after.version.saturating_add(1);
            told = told.saturating_add(1);
        }
        let delegations = ran.remove(&before.id).unwrap_or_default();
        Touched { before, after, delegations }
    });
    let touched = touched.collect();
    // What is told is what was done.
    if told == lowered { Ok(touched) } else { Err(Error::Broken) }
}

/// One entry for a partner, whose own logins go on; one for each partner of a tenant: not the key of the
/// tenant, which would log its own people out.
async fn kill(tx: &mut Tx, whose: Whose) -> Result<()> {
    match whose {
        Whose::Partner(partner) => tx.revoke(&Key::ActorTenant(partner), ACTION),
        Whose::Tenant(tenant) => {
            for partner in tx.list_partners(tenant).await?.into_iter().collect::<BTreeSet<_>>() {
                tx.revoke(&Key::Pair(partner, tenant), ACTION);
            }
        }
    }
    Ok(())
}
