//! When something has happened: all relationships of a partner, or into a tenant, are restricted or switched
//! off in one transaction, with what runs under them and what is asked for, and the log is sealed.

use std::collections::{BTreeSet, HashMap};

use procura_domain::{
    Access, AccessRequest, Relationship, RelationshipState, Terms,
    relationship::{Side, Step},
};
use procura_store::{Tx, agreements::Version, delegations::Delegation};
use procura_token::{Key, RelationshipId, TenantId, Ts};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    agreements::{action, changes},
    hand::{Hand, Subject},
    relationships::about,
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

/// What a partner was waiting for.
#[derive(Clone, Debug)]
pub enum Open {
    /// The relationship itself.
    Request,
    /// These terms, while it goes on.
    Proposal(Box<Terms>),
}

/// A relationship that it touched.
#[derive(Clone, Debug)]
pub struct Touched {
    /// As it was.
    pub before: Relationship,
    /// As it is now.
    pub after: Relationship,
    /// What was turned down: nobody is to say yes by mistake to what was asked before this.
    pub declined: Option<Open>,
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
    /// What people were let in for, or waited for, where the customer approves each time: over now.
    pub access_requests: Vec<AccessRequest>,
    /// What it killed.
    pub revoked: Revoked,
    /// Where the log ended right after it, signed; `None` where that could not be signed or kept.
    pub checkpoint: Option<String>,
}

impl Declared {
    /// How many requests it declined.
    #[must_use]
    pub fn requests_declined(&self) -> usize {
        requests(&self.touched)
    }

    /// How many wishes for other terms it declined.
    #[must_use]
    pub fn proposals_declined(&self) -> usize {
        proposals(&self.touched)
    }
}

fn requests(touched: &[Touched]) -> usize {
    touched.iter().filter(|one| matches!(one.declined, Some(Open::Request))).count()
}

fn proposals(touched: &[Touched]) -> usize {
    touched.iter().filter(|one| matches!(one.declined, Some(Open::Proposal(_)))).count()
}

impl Issuer {
    /// Brings all live relationships down to `access`, declines what waits for an answer, and kills what runs
    /// under them, in one transaction. One that is as low already stays, and loses only what runs. Each customer
    /// opens its own again. For the operator alone; on the command line it always waits for the verifiers of the running servers.
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
        let access_requests = tx.close_access_requests(whose.end()).await?;
        for request in &access_requests {
            let is_yes = request.answer.as_ref().is_some_and(|answer| answer.given.is_some());
            let action = if is_yes { "access_request.end" } else { "access_request.decline" };
            tx.audit(self.told(hand, action, request)?);
        }
        let counted = (whose, access, access_requests.len());
        let ended = self.note_incident(&mut tx, hand, counted, &touched).await?;
        let revoked = self.commit_revocation(tx, ended, confirm).await?;
        // It is done: whoever declared it must hear so also where nothing can be signed just now.
        let checkpoint = match self.checkpoint(0).await {
            Ok(checkpoint) => checkpoint.map(|(_, statement)| statement),
            Err(error) => {
                tracing::error!(%error, "no checkpoint after an incident");
                None
            }
        };
        Ok(Declared { whose, access, at, touched, access_requests, revoked, checkpoint })
    }

    /// An entry and a version for each relationship that lost something, and an entry for the whole. Answers
    /// how much ran.
    async fn note_incident(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        (whose, access, closed): (Whose, Access, usize),
        touched: &[Touched],
    ) -> Result<u64> {
        let (mut versions, mut ended) = (Vec::new(), 0_usize);
        for one in touched {
            ended = ended.saturating_add(one.delegations.len());
            versions.extend(self.note_declined(tx, hand, one)?);
            versions.extend(self.note_lowered(tx, hand, one)?);
        }
        tx.insert_versions(&versions).await?;
        let details = Map::from_iter([
            ("whose".to_owned(), json!(whose.word())),
            ("mode".to_owned(), json!(access)),
            ("relationships".to_owned(), json!(touched.len())),
            ("requests_declined".to_owned(), json!(requests(touched))),
            ("proposals_declined".to_owned(), json!(proposals(touched))),
            ("access_requests_closed".to_owned(), json!(closed)),
            ("delegations_ended".to_owned(), json!(ended)),
        ]);
        let id = whose.tenant().to_string();
        // By its kind the entry is kept from the partner.
        let about = Subject { tenant: whose.tenant(), kind: whose.word(), id: &id };
        tx.audit(self.entry_by(hand, ACTION, about, details)?);
        Ok(u64::try_from(ended).unwrap_or(u64::MAX))
    }

    /// A no reads as any other: the partner is not told why.
    fn note_declined(&self, tx: &mut Tx, hand: Hand<'_>, one: &Touched) -> Result<Option<Version>> {
        let changes = match &one.declined {
            None => return Ok(None),
            Some(Open::Request) => changes(Some(&one.before), &one.after),
            Some(Open::Proposal(terms)) => {
                json!({ "proposal": { "from": terms, "to": null } })
            }
        };
        let action = action(Step::Decline);
        let version = one.before.version.saturating_add(1);
        let edge = Relationship { version, state: one.after.state, ..one.before.clone() };
        let id = edge.id.to_string();
        let subject = Subject { tenant: edge.customer, kind: "relationship", id: &id };
        let entry = self.entry_by(hand, action, subject, Map::new())?;
        tx.audit(about(&edge, (Some(&changes), None), entry));
        Ok(Some(version_by(hand, (tx.now(), action), &edge, changes)))
    }

    fn note_lowered(&self, tx: &mut Tx, hand: Hand<'_>, one: &Touched) -> Result<Option<Version>> {
        let Touched { before, after, delegations, .. } = one;
        let is_lower = after.access != before.access;
        if !is_lower && delegations.is_empty() {
            return Ok(None);
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
        Ok(is_lower.then(|| version_by(hand, (tx.now(), ACTION), after, changes)))
    }
}

fn version_by(
    hand: Hand<'_>,
    (at, action): (Ts, &str),
    after: &Relationship,
    changes: Value,
) -> Version {
    Version {
        relationship: after.id,
        version: after.version,
        at,
        action: action.to_owned(),
        side: Some(Side::Operator),
        user: hand.caller().map(|caller| caller.user),
        changes,
        reason: None,
    }
}

/// Lowers the switches, declines what is asked for and ends what runs, in as many statements for one relationship
/// as for thousands: the operator waits for the answer, and all writers wait for the operator.
async fn close(tx: &mut Tx, whose: Whose, access: Access) -> Result<Vec<Touched>> {
    let edges = tx.list_live_edges(whose.end()).await?;
    let refused = tx.decline_requests(whose.end()).await?;
    let proposals = tx.decline_proposals(whose.end()).await?.into_iter();
    let mut asked: HashMap<_, _> = proposals.map(|p| (p.relationship, p.terms)).collect();
    let lowered = tx.lower_access(whose.end(), access).await?;
    let mut ran: HashMap<RelationshipId, Vec<Delegation>> = HashMap::new();
    for delegation in tx.end_all_delegations(whose.end()).await? {
        // Those past their end are put away too, but nobody was using them.
        if delegation.ends_at > tx.now() {
            ran.entry(delegation.relationship).or_default().push(delegation);
        }
    }
    let (mut told, mut told_no) = (0_u64, 0_u64);
    let touched = edges.into_iter().map(|before| {
        let mut after = before.clone();
        let is_request = before.state == RelationshipState::Requested;
        let declined = if is_request {
            after.state = RelationshipState::Declined;
            told_no = told_no.saturating_add(1);
            Some(Open::Request)
        } else {
            asked.remove(&before.id).map(|terms| Open::Proposal(Box::new(terms)))
        };
        if declined.is_some() {
            after.version = after.version.saturating_add(1);
        }
        if before.access > access && !is_request {
            after.access = access;
            after.version = after.version.saturating_add(1);
            told = told.saturating_add(1);
        }
        let delegations = ran.remove(&before.id).unwrap_or_default();
        Touched { before, after, declined, delegations }
    });
    let touched = touched.collect();
    // What is told is what was done.
    let is_told = told == lowered && told_no == refused && asked.is_empty();
    if is_told { Ok(touched) } else { Err(Error::Broken) }
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
