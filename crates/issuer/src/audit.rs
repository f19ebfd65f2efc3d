//! The audit log: read by both sides, added to by resource servers, sealed by signed checkpoints.

use procura_domain::{Caller, Refusal, refusal::Class};
use procura_store::{
    audit::{Entry, Filter, Listed, genesis},
    clients::ResourceServer,
};
use procura_token::{Algorithm, AuditId, Jwks, KeySet, TenantId, jws};
use serde::{Deserialize, Serialize};

use crate::{Error, Issuer, Result, Via};

/// `typ` of a signed checkpoint.
pub const CHECKPOINT_TYPE: &str = "procura-audit-checkpoint+jwt";

/// The server's own words, which are not a resource server's to write.
const RESERVED: [&str; 32] = [
    "access_request.",
    "api_key.",
    "audit.",
    "authorization.",
    "backup.",
    "break_glass.",
    "client.",
    "consent.",
    "delegation.",
    "demo.",
    "device.",
    "explain.",
    "identity_link.",
    "identity_provider.",
    "import.",
    "incident.",
    "invitation.",
    "key.",
    "limits.",
    "login",
    "logout",
    "partner_access.",
    "partner_code.",
    "policy.",
    "quota.",
    "relationship.",
    "resource_server.",
    "strangers.",
    "tenant.provision",
    "token.",
    "trust.",
    "user.",
];

/// What a resource server reports.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The delegated token with which it was done.
    pub jti: String,
    /// What was done.
    pub action: String,
    /// `ok` where nothing is said.
    pub result: Option<String>,
    /// On what kind of thing.
    pub resource_type: Option<String>,
    /// On which one.
    pub resource_id: Option<String>,
    /// What else belongs to it.
    pub details: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Where the chain ended at some instant; signed, it proves that the tail was not cut since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The issuer.
    pub iss: String,
    /// When, in seconds of the Unix epoch.
    pub iat: i64,
    /// The position of the last entry.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A position is missing or there twice.
    #[error("entry {0} is missing")]
    Missing(i64),
    /// An entry is not what was written, or stands in another's place.
    #[error("entry {0} was changed")]
    Changed(i64),
    /// The chain ends before where a signed checkpoint, or the head row, says.
    #[error("the log ends at {end}, but {witness} saw entry {seen}")]
    Cut {
        /// Where it ends.
        end: i64,
        /// What was seen.
        seen: i64,
        /// Who saw it.
        witness: &'static str,
    },
    /// A checkpoint's signature does not fit.
    #[error("a checkpoint is not genuine")]
    BadCheckpoint,
}

/// A chain that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries.
    pub entries: i64,
    /// How many signed checkpoints they agree with.
    pub checkpoints: usize,
}

impl Issuer {
    /// Lists entries of a tenant, as the caller may see them; the operator may leave the tenant out.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        filter: Filter,
    ) -> Result<Vec<Listed>> {
        let is_operator = caller.is(procura_domain::UserRole::SuperAdmin);
        let tenant = if is_operator { tenant } else { Some(tenant.unwrap_or(caller.tenant)) };
        if let Some(tenant) = tenant {
            caller.read(tenant)?;
        }
        let viewer = (!is_operator).then_some(caller.tenant);
        let filter = Filter { of_tenant: tenant, viewer, hides_incidents_of: viewer, ..filter };
        let mut listed = self.0.store.list_audit(&filter).await?;
        if !is_operator {
            for entry in &mut listed {
                hide_other_side(&mut entry.chained.entry, caller.tenant);
            }
        }
        Ok(listed)
    }

    /// What people of other tenants did, or tried, in the caller's own tenant.
    pub async fn list_partner_activity(
        &self,
        caller: &Caller,
        filter: Filter,
    ) -> Result<Vec<Listed>> {
        let tenant = caller.administer(caller.tenant)?.tenant();
        let own = Some(tenant);
        let filter = Filter { target: own, is_by_others: true, hides_incidents_of: own, ..filter };
        Ok(self.0.store.list_audit(&filter).await?)
    }

    /// Takes in what was done with a delegated token. Only for tokens that were issued for the
    /// resource server that reports.
    pub async fn report(
        &self,
        server: &ResourceServer,
        reported: Reported,
        via: &Via,
    ) -> Result<AuditId> {
        let is_word = |text: &str| {
            (1..=64).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let is_bounded = |text: &Option<String>| {
            text.as_ref().is_none_or(|t| t.len() <= 200 && !t.chars().any(char::is_control))
        };
        // Not by other letters either: whoever reads a log does not tell them apart.
        let action = reported.action.to_ascii_lowercase();
        let is_reserved = RESERVED.iter().any(|prefix| action.starts_with(prefix));
        if !is_word(&reported.action) || is_reserved {
            return Err(Error::Invalid("action"));
        }
        if !reported.result.as_deref().is_none_or(is_word) {
            return Err(Error::Invalid("result"));
        }
        if !is_bounded(&reported.resource_type) || !is_bounded(&reported.resource_id) {
            return Err(Error::Invalid("resource"));
        }
        let details =
            reported.details.map(serde_json::Value::Object).map(|details| details.to_string());
        if details.as_ref().is_some_and(|text| text.len() > 4096) {
            return Err(Error::Invalid("details"));
        }
        let issue = self.0.store.find_issue(&reported.jti).await?;
        let is_ours =
            |entry: &Entry| entry.resource_id.as_deref() == Some(server.audience.as_str());
        let issue = issue.filter(is_ours).ok_or(Error::NotFound)?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let result = reported.result.as_deref().unwrap_or("ok");
        let entry = Entry {
            reason: None,
            resource_type: reported.resource_type,
            resource_id: reported.resource_id,
            details,
            ip: via.ip.clone(),
            request_id: Some(via.request_id.clone()),
            id,
            at: self.0.environment.now(),
            action: reported.action,
            result: result.to_owned(),
            ..issue
        };
        self.0.store.record(entry).await?;
        Ok(id)
    }

    /// Says in the log that it could not be written for a while, by so many commits that had failed at this
    /// node until now. Nothing smaller proves that it can be written again: SQLite touches no disk for a
    /// change that changes nothing.
    pub async fn note_resumed(&self, failed_commits: u64) -> Result<()> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let entry = Entry {
            details: Some(serde_json::json!({ "failed_commits": failed_commits }).to_string()),
            ..Entry::new(id, self.0.environment.now(), "audit.resume", "ok")
        };
        Ok(self.0.store.record(entry).await?)
    }

    /// Signs where the chain ends now and keeps the statement; `None` where nothing was added since
    /// `last`. Whoever holds a copy of it can tell a cut tail from a short log.
    pub async fn checkpoint(&self, last: i64) -> Result<Option<(i64, String)>> {
        let (seq, hash) = self.0.store.audit_tail().await?;
        if seq <= last {
            return Ok(None);
        }
        let checkpoint = Checkpoint {
            iss: self.0.settings.issuer.clone(),
            iat: self.0.environment.now().secs(),
            seq,
            hash: hash.to_string(),
        };
        let signers = self.signers(self.0.store.keys_version()).await?;
        let statement = signers.access(CHECKPOINT_TYPE, &checkpoint)?;
        self.0.store.insert_checkpoint(seq, &statement).await?;
        Ok(Some((seq, statement)))
    }
}

/// A partner's own refused attempts must not tell the partner why the customer refused, nor whether
/// the tenant it named exists. `Filter::viewer` keeps it from finding them by what is taken out here.
fn hide_other_side(entry: &mut Entry, viewer: TenantId) {
    let is_about_target = entry
        .reason
        .as_deref()
        .and_then(|reason| reason.parse::<Refusal>().ok())
        .is_some_and(|refusal| refusal.class() == Class::Target);
    if entry.target_tenant_id != Some(viewer) && entry.result == "refused" && is_about_target {
        entry.reason = Some("target_not_available".to_owned());
        entry.target_tenant_id = None;
        entry.relationship_id = None;
    }
}

/// Verifies the whole chain, against the head row and against signed checkpoints: those in the
/// database and any that were kept elsewhere.
pub async fn verify_chain(
    store: &procura_store::Store,
    kept_elsewhere: &[String],
) -> Result<Result<Verified, Broken>> {
    let public =
        Jwks { keys: store.list_keys().await?.into_iter().map(|key| key.public).collect() };
    let keys = KeySet::new(&public).map_err(|_| Error::Broken)?;
    let mut checkpoints = Vec::new();
    for statement in store.list_checkpoints().await?.iter().chain(kept_elsewhere) {
        let signed = jws::verify(statement.trim(), CHECKPOINT_TYPE, &keys, &[Algorithm::Es256]);
        let parsed =
            signed.ok().and_then(|s| serde_json::from_slice::<Checkpoint>(&s.payload).ok());
        let Some(checkpoint) = parsed else { return Ok(Err(Broken::BadCheckpoint)) };
        checkpoints.push(checkpoint);
    }
    // Read first: a running server goes on writing, and what it adds meanwhile is no fault.
    let (seen, head) = store.audit_tail().await?;
    let (mut seq, mut tail) = (0, genesis());
    loop {
        let stretch = store.read_audit(seq, 1_000).await?;
        if stretch.is_empty() {
            break;
        }
        for chained in stretch {
            if chained.seq != seq + 1 {
                return Ok(Err(Broken::Missing(seq + 1)));
            }
            let hash = chained.entry.hash(chained.seq, tail);
            if chained.prev_hash != tail.to_string() || chained.hash != hash.to_string() {
                return Ok(Err(Broken::Changed(chained.seq)));
            }
            (seq, tail) = (chained.seq, hash);
            let differs = |c: &&Checkpoint| c.seq == seq && c.hash != tail.to_string();
            let is_head_wrong = seq == seen && tail != head;
            if is_head_wrong || checkpoints.iter().any(|checkpoint| differs(&checkpoint)) {
                return Ok(Err(Broken::Changed(seq)));
            }
        }
    }
    if let Some(seen) = checkpoints.iter().map(|c| c.seq).filter(|seen| *seen > seq).max() {
        return Ok(Err(Broken::Cut { end: seq, seen, witness: "a signed checkpoint" }));
    }
    let (last, _) = store.audit_tail().await?;
    if seq < seen || last < seq {
        return Ok(Err(Broken::Cut { end: seq, seen, witness: "the head row" }));
    }
    Ok(Ok(Verified { entries: seq, checkpoints: checkpoints.len() }))
}
