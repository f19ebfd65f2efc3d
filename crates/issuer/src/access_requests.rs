//! Where the customer approves each time: what partners' people ask for, and the customer's yes, which can
//! be shorter and smaller than the wish, its no, and its end of a yes.

use procura_domain::{
    AccessRequest, Caller, Permit,
    access_request::{Answer, ApprovalTerms, RequestState},
    relationship::{Approval, Side},
};
use procura_store::{Tx, access_requests::Listed, audit::Entry};
use procura_token::{AccessRequestId, Key, TenantId};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    api_keys::AUDITED_KEY,
    hand::{Hand, Subject},
    revoke::Revoked,
};

/// What the customer says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Come in, on these terms.
    Approve(ApprovalTerms),
    /// No.
    Decline,
}

impl Issuer {
    /// What was asked of a customer, the newest first.
    pub async fn list_access_requests(
        &self,
        caller: Option<&Caller>,
        customer: TenantId,
        (below, limit): (Option<AccessRequestId>, i64),
    ) -> Result<Vec<Listed>> {
        let tenant = permit(caller, customer)?.tenant();
        Ok(self.0.store.list_access_requests(tenant, below, limit).await?)
    }

    /// One of those.
    pub async fn find_access_request(
        &self,
        caller: Option<&Caller>,
        (customer, id): (TenantId, AccessRequestId),
    ) -> Result<Listed> {
        let tenant = permit(caller, customer)?.tenant();
        self.0.store.find_access_request(tenant, id).await?.ok_or(Error::NotFound)
    }

    /// Answers a request that waits. The program that asked finds out by asking again.
    pub async fn answer_access_request(
        &self,
        hand: Hand<'_>,
        (customer, id): (TenantId, AccessRequestId),
        word: Word,
    ) -> Result<AccessRequest> {
        let permit = permit(hand.caller(), customer)?;
        let mut tx = self.begin_by(hand).await?;
        let before = self.find(&mut tx, &permit, id).await?;
        let now = tx.now();
        if before.state(now) != RequestState::Waiting {
            return Err(Error::WrongState(before.state(now).as_str()));
        }
        let (action, given) = match word {
            Word::Decline => ("access_request.decline", None),
            Word::Approve(terms) => {
                let edge = tx.find_relationship(before.relationship).await?;
                let edge = edge.ok_or(Error::Broken)?;
                // A yes that nothing can come of would only look like one.
                if !edge.is_active(now) || edge.approval != Approval::EachTime {
                    return Err(Error::WrongState(edge.phase(now).as_str()));
                }
                let given = before.give(&terms, now).map_err(Error::Invalid)?;
                ("access_request.approve", Some(given))
            }
        };
        let by = hand.caller().map(|caller| caller.user);
        let answer = Answer { at: now, by, given };
        tx.answer_access_request(id, &answer).await?;
        let after = AccessRequest { answer: Some(answer), ..before };
        tx.audit(self.told(hand, action, &after)?);
        tx.commit().await?;
        Ok(after)
    }

    /// Takes a yes back: whatever runs by it ends at once.
    pub async fn end_access_request(
        &self,
        hand: Hand<'_>,
        (customer, id): (TenantId, AccessRequestId),
    ) -> Result<(AccessRequest, Revoked)> {
        let permit = permit(hand.caller(), customer)?;
        let mut tx = self.begin_by(hand).await?;
        let mut request = self.find(&mut tx, &permit, id).await?;
        let now = tx.now();
        if request.running(now).is_none() {
            return Err(Error::WrongState(request.state(now).as_str()));
        }
        let given = request.answer.as_mut().and_then(|answer| answer.given.as_mut());
        given.ok_or(Error::Broken)?.ended_at = Some(now);
        let answer = request.answer.as_ref().ok_or(Error::Broken)?;
        tx.answer_access_request(id, answer).await?;
        // Another yes may run beside it, and its tokens die with these: whoever holds it asks again.
        let ended =
            tx.end_delegations_for(request.relationship, request.user, &request.client).await?;
        for delegation in &ended {
            tx.revoke(&Key::Delegation(*delegation), "access_request.end");
        }
        tx.audit(self.told(hand, "access_request.end", &request)?);
        let ended = u64::try_from(ended.len()).unwrap_or(u64::MAX);
        Ok((request, self.commit_revocation(tx, ended, hand.confirm()).await?))
    }

    async fn find(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        id: AccessRequestId,
    ) -> Result<AccessRequest> {
        tx.find_access_request(permit.tenant(), id).await?.ok_or(Error::NotFound)
    }

    /// What became of a request, for the log.
    pub(crate) fn told(
        &self,
        hand: Hand<'_>,
        action: &str,
        request: &AccessRequest,
    ) -> Result<Entry> {
        let given = request.answer.as_ref().and_then(|answer| answer.given.as_ref());
        let mut details = Map::from_iter([
            ("user".to_owned(), json!(request.user)),
            ("asked".to_owned(), json!(request.scope)),
        ]);
        if let Some(key) = request.key {
            details.insert(AUDITED_KEY.to_owned(), json!(key));
        }
        if let Some(given) = given {
            details.insert("given".to_owned(), json!(given.scope));
            details.insert("until".to_owned(), Value::from(given.until.rfc3339()));
        }
        let id = request.id.to_string();
        let about = Subject { tenant: request.customer, kind: "access_request", id: &id };
        let entry = self.entry_by(hand, action, about, details)?;
        Ok(Entry { relationship_id: Some(request.relationship), ..entry })
    }
}

/// May this caller answer for the customer? Nobody calls on the command line.
fn permit(caller: Option<&Caller>, customer: TenantId) -> Result<Permit> {
    let permit = match caller {
        Some(caller) => caller.answer_partners()?,
        None => Permit::at_the_machine(customer),
    };
    match permit.side() {
        Side::Customer | Side::Operator if permit.tenant() == customer => Ok(permit),
        _ => Err(Error::NotFound),
    }
}
