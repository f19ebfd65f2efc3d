//! What was so when something happened, as a file that proves itself: a line of JSON each, the last one
//! signed over all others. No secret is in it.

use procura_domain::{Relationship, Terms};
use procura_store::{
    Store,
    audit::{Entry, Filter, Listed},
    delegations::Delegation,
};
use procura_token::{
    Algorithm, Jwks, KeySet, Ts,
    crypto::{Sha256, hex},
    jws,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    hand::{Hand, Subject},
    incident::{Declared, Open, Touched, Whose},
};

/// `typ` of the signed end of an evidence file.
pub const EVIDENCE_TYPE: &str = "procura-evidence+jwt";
/// Its digest is written down under this action before its end is handed out.
const ACTION: &str = "incident.evidence";
/// What the digest is the id of.
const RESOURCE: &str = "evidence";
/// So many entries of the log, or checkpoints, are read at a time.
const PAGE: i64 = 500;

/// The evidence of an incident, handed out piece by piece: however long the log is, a page of it is in
/// memory.
pub struct Evidence {
    issuer: Issuer,
    seal: Seal,
    stage: Stage,
    /// Who takes it, as the log will say.
    entry: Entry,
    /// The lowest position of the log that was handed out.
    lowest: i64,
}

enum Stage {
    Incident(Box<Declared>, Ts),
    Log(Box<Filter>),
    Checkpoints(i64),
    Keys,
    End,
    Over,
}

impl Issuer {
    /// The evidence of what was declared, with the entries of the log since `from` that concern the tenant.
    pub fn evidence(&self, hand: Hand<'_>, declared: Declared, from: Ts) -> Result<Evidence> {
        let whose = declared.whose;
        let about = Subject { tenant: whose.tenant(), kind: RESOURCE, id: "" };
        let details = Map::from_iter([
            ("whose".to_owned(), json!(whose.word())),
            ("tenant_id".to_owned(), json!(whose.tenant())),
        ]);
        let entry = self.entry_by(hand, ACTION, about, details)?;
        // What is looked into at a partner is not told to the partner.
        let target = entry.target_tenant_id.filter(|_| matches!(whose, Whose::Tenant(_)));
        Ok(Evidence {
            issuer: self.clone(),
            seal: Seal::default(),
            entry: Entry { target_tenant_id: target, ..entry },
            stage: Stage::Incident(Box::new(declared), from),
            lowest: i64::MAX,
        })
    }
}

impl Evidence {
    /// How many lines were handed out, the signed one left out.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.seal.lines
    }

    /// The next lines; `None` when all are out.
    pub async fn next(&mut self) -> Result<Option<String>> {
        // Whatever fails here leaves a file without its end.
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Incident(declared, from) => {
                let filter = Filter {
                    of_tenant: Some(declared.whose.tenant()),
                    from: Some(from),
                    limit: Some(PAGE),
                    ..Filter::default()
                };
                self.stage = Stage::Log(Box::new(filter));
                let first = beginning(&self.issuer.0.settings.issuer, &declared, from);
                let touched = declared.touched.iter().flat_map(|one| {
                    std::iter::once(edge(one)).chain(one.delegations.iter().map(running))
                });
                Ok(Some(self.seal.add(std::iter::once(first).chain(touched))))
            }
            Stage::Log(filter) => self.log(filter).await.map(Some),
            Stage::Checkpoints(from) => self.checkpoints(from).await.map(Some),
            Stage::Keys => {
                let keys = self.issuer.0.store.list_keys().await?;
                let keys: Vec<_> = keys.into_iter().map(|key| key.public).collect();
                self.stage = Stage::End;
                Ok(Some(self.seal.add([json!({ "kind": "keys", "keys": keys })])))
            }
            Stage::End => self.end().await.map(Some),
            Stage::Over => Ok(None),
        }
    }

    async fn log(&mut self, mut filter: Box<Filter>) -> Result<String> {
        let page = self.issuer.0.store.list_audit(&filter).await?;
        if let Some(last) = page.last() {
            self.lowest = last.chained.seq;
            filter.below = Some(self.lowest);
            self.stage = Stage::Log(filter);
        } else {
            self.stage = Stage::Checkpoints(self.lowest);
        }
        Ok(self.seal.add(page.iter().map(entry)))
    }

    /// Those that were signed over what was handed out.
    async fn checkpoints(&mut self, from: i64) -> Result<String> {
        let page = self.issuer.0.store.list_checkpoints_from(from, PAGE).await?;
        self.stage = match page.last() {
            Some((last, _)) => Stage::Checkpoints(last.saturating_add(1)),
            None => Stage::Keys,
        };
        let line = |(seq, statement): &(i64, String)| json!({ "kind": "checkpoint", "seq": seq, "statement": statement });
        Ok(self.seal.add(page.iter().map(line)))
    }

    /// A signature alone would prove nothing once its key was stolen: the digest stands in the log too, which
    /// nobody who has the key can write.
    async fn end(&mut self) -> Result<String> {
        let issuer = &self.issuer.0;
        let now = issuer.environment.now();
        let sealed = self.seal.sealed(&issuer.settings.issuer, now);
        let entry =
            Entry { at: now, resource_id: Some(sealed.sha256.clone()), ..self.entry.clone() };
        issuer.store.record(entry).await?;
        let signers = self.issuer.signers(issuer.store.keys_version()).await?;
        let statement = signers.access(EVIDENCE_TYPE, &sealed)?;
        Ok(format!("{}\n", json!({ "kind": "end", "statement": statement })))
    }
}

/// What the last line of the evidence says of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The issuer.
    pub iss: String,
    /// When, in seconds of the Unix epoch.
    pub iat: i64,
    /// How many lines stand before.
    pub lines: u64,
    /// The digest of their bytes, line ends too, in hex.
    pub sha256: String,
}

#[derive(Clone, Default)]
struct Seal {
    digest: Sha256,
    lines: u64,
}

impl Seal {
    fn add(&mut self, lines: impl IntoIterator<Item = Value>) -> String {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.to_string());
            text.push('\n');
            self.lines = self.lines.saturating_add(1);
        }
        self.digest.update(text.as_bytes());
        text
    }

    fn sealed(&self, issuer: &str, now: Ts) -> Sealed {
        let sha256 = hex(&self.digest.clone().finish());
        Sealed { iss: issuer.to_owned(), iat: now.secs(), lines: self.lines, sha256 }
    }
}

/// What an evidence file is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Whole, signed by a key of this deployment, and known to its log.
    Whole(Sealed),
    /// Whole and signed, but the log knows nothing of it: the key was another's, or the log is of an earlier time.
    NotInTheLog,
    /// Changed, cut, or signed by nobody of this deployment.
    Nothing,
}

/// What this evidence file is worth.
pub async fn verify_evidence(store: &Store, text: &str) -> Result<Worth> {
    let keys = store.list_keys().await?.into_iter().map(|key| key.public).collect();
    let keys = KeySet::new(&Jwks { keys }).map_err(|_| Error::Broken)?;
    let Some((body, end)) = text.trim_end().rsplit_once('\n') else { return Ok(Worth::Nothing) };
    let end = serde_json::from_str::<Value>(end).unwrap_or_default();
    let statement = end.get("statement").and_then(Value::as_str).unwrap_or_default();
    let signed = jws::verify(statement, EVIDENCE_TYPE, &keys, &[Algorithm::Es256]).ok();
    let sealed = signed.and_then(|s| serde_json::from_slice::<Sealed>(&s.payload).ok());
    let mut digest = Sha256::default();
    digest.update(body.as_bytes());
    digest.update(b"\n");
    let found = hex(&digest.finish());
    let Some(sealed) = sealed.filter(|sealed| sealed.sha256 == found) else {
        return Ok(Worth::Nothing);
    };
    let known = Filter {
        action: Some(ACTION.to_owned()),
        resource_type: Some(RESOURCE.to_owned()),
        resource_id: Some(found),
        limit: Some(1),
        ..Filter::default()
    };
    let is_known = !store.list_audit(&known).await?.is_empty();
    Ok(if is_known { Worth::Whole(sealed) } else { Worth::NotInTheLog })
}

fn beginning(issuer: &str, declared: &Declared, from: Ts) -> Value {
    let Declared { whose, access, at, touched, revoked, .. } = declared;
    json!({
        "kind": "incident", "issuer": issuer, "at": at.rfc3339(), "since": from.rfc3339(),
        "whose": whose.word(), "tenant_id": whose.tenant(), "mode": access,
        "relationships": touched.len(), "requests_declined": declared.requests_declined(),
        "proposals_declined": declared.proposals_declined(),
        "access_requests_closed": declared.access_requests.len(), "delegations_ended": revoked.delegations_ended,
        "revocation_seq": revoked.seq, "verifiers_live": revoked.verifiers_live,
        "verifiers_confirmed": revoked.verifiers_confirmed, "elapsed_ms": revoked.elapsed_ms,
    })
}

fn edge(one: &Touched) -> Value {
    let Touched { before, after, declined, .. } = one;
    let proposal = match declined {
        Some(Open::Proposal(terms)) => Some(terms),
        Some(Open::Request) | None => None,
    };
    json!({
        "kind": "relationship", "before": told(before), "after": told(after),
        "proposal_declined": proposal,
    })
}

fn told(edge: &Relationship) -> Value {
    json!({
        "id": edge.id, "partner_id": edge.partner, "customer_id": edge.customer, "kind": edge.kind,
        "origin": edge.origin, "state": edge.state, "suspended_by": edge.suspended_by,
        "access": edge.access, "terms": Terms::of(edge),
        "assigned_to": edge.conditions.assigned_to, "version": edge.version,
    })
}

fn running(delegation: &Delegation) -> Value {
    json!({
        "kind": "delegation", "id": delegation.id, "relationship_id": delegation.relationship,
        "session_id": delegation.session, "client_id": delegation.client, "user_id": delegation.user,
        "partner_id": delegation.actor_tenant, "tenant_id": delegation.tenant,
        "started_at": delegation.started_at.rfc3339(), "ends_at": delegation.ends_at.rfc3339(),
    })
}

fn entry(listed: &Listed) -> Value {
    let (chained, entry) = (&listed.chained, &listed.chained.entry);
    json!({
        "kind": "audit", "seq": chained.seq, "prev_hash": chained.prev_hash, "hash": chained.hash,
        "id": entry.id, "at": entry.at.rfc3339(), "action": entry.action, "result": entry.result,
        "reason": entry.reason, "actor_user_id": entry.actor_user_id,
        "actor_tenant_id": entry.actor_tenant_id, "target_tenant_id": entry.target_tenant_id,
        "relationship_id": entry.relationship_id, "delegation_id": entry.delegation_id,
        "jti": entry.jti, "client_id": entry.client_id, "ip": entry.ip,
        "request_id": entry.request_id, "resource_type": entry.resource_type,
        "resource_id": entry.resource_id, "purpose": entry.purpose, "details": entry.details,
    })
}
