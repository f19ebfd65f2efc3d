//! The audit log: append-only, every entry chained to the one before it by its hash.

use std::{fmt, str::FromStr};

use procura_token::{
    AuditId, ClientId, DelegationId, RelationshipId, TenantId, Ts, UserId, crypto,
};
use serde::Serialize;
use sqlx::{QueryBuilder, SqliteConnection, sqlite::SqliteRow};

use crate::{
    Result, Store,
    row::{Columns, json_list},
};

/// SHA-256 of an entry and of everything before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crypto::hex(&self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainHash {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        crypto::unhex(text).map(Self).ok_or(crate::Error::Corrupt)
    }
}

/// One thing that happened, or that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Ts,
    /// What, such as `token.exchange` or `relationship.suspend`.
    pub action: String,
    /// `ok` or `refused`, or what a resource server reports.
    pub result: String,
    /// The true reason of a refusal; the cause of a change.
    pub reason: Option<String>,
    /// The person.
    pub actor_user_id: Option<UserId>,
    /// The person's own tenant.
    pub actor_tenant_id: Option<TenantId>,
    /// The tenant in which it happened.
    pub target_tenant_id: Option<TenantId>,
    /// Under which relationship.
    pub relationship_id: Option<RelationshipId>,
    /// In which delegation.
    pub delegation_id: Option<DelegationId>,
    /// With which token.
    pub jti: Option<String>,
    /// Through which client.
    pub client_id: Option<ClientId>,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// On what kind of thing.
    pub resource_type: Option<String>,
    /// On which one.
    pub resource_id: Option<String>,
    /// Why, as the person said.
    pub purpose: Option<String>,
    /// A JSON object with what else belongs to it; never a secret.
    pub details: Option<String>,
}

/// An entry in its place.
#[derive(Clone, Debug, Serialize)]
pub struct Chained {
    /// Counts from 1 without a gap.
    pub seq: i64,
    /// What happened.
    pub entry: Entry,
    /// The hash of the entry before.
    pub prev_hash: String,
    /// Its own.
    pub hash: String,
}

impl Entry {
    /// An entry of which only the essentials are known.
    #[must_use]
    pub fn new(id: AuditId, at: Ts, action: &str, result: &str) -> Self {
        Self {
            id,
            at,
            action: action.to_owned(),
            result: result.to_owned(),
            reason: None,
            actor_user_id: None,
            actor_tenant_id: None,
            target_tenant_id: None,
            relationship_id: None,
            delegation_id: None,
            jti: None,
            client_id: None,
            ip: None,
            request_id: None,
            resource_type: None,
            resource_id: None,
            purpose: None,
            details: None,
        }
    }

    /// SHA-256 over the hash before, the position and every field with its length in front: two
    /// different entries never have the same bytes.
    #[must_use]
    pub fn hash(&self, seq: i64, prev: ChainHash) -> ChainHash {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&prev.0);
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        let mut field = |text: Option<&str>| match text {
            None => bytes.extend_from_slice(&u32::MAX.to_be_bytes()),
            Some(text) => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX - 1);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        };
        field(Some(&self.id.to_string()));
        field(Some(&self.action));
        field(Some(&self.result));
        field(self.reason.as_deref());
        field(self.actor_user_id.map(|id| id.to_string()).as_deref());
        field(self.actor_tenant_id.map(|id| id.to_string()).as_deref());
        field(self.target_tenant_id.map(|id| id.to_string()).as_deref());
        field(self.relationship_id.map(|id| id.to_string()).as_deref());
        field(self.delegation_id.map(|id| id.to_string()).as_deref());
        field(self.jti.as_deref());
        field(self.client_id.as_ref().map(ClientId::as_str));
        field(self.ip.as_deref());
        field(self.request_id.as_deref());
        field(self.resource_type.as_deref());
        field(self.resource_id.as_deref());
        field(self.purpose.as_deref());
        field(self.details.as_deref());
        ChainHash(crypto::sha256(&[&bytes]))
    }
}

/// Numbers and chains entries behind the given tail, and moves the tail.
pub(crate) fn chain(entries: Vec<Entry>, seq: &mut i64, tail: &mut ChainHash) -> Vec<Chained> {
    entries
        .into_iter()
        .map(|entry| {
            *seq = seq.saturating_add(1);
            let prev = std::mem::replace(tail, entry.hash(*seq, *tail));
            Chained { seq: *seq, entry, prev_hash: prev.to_string(), hash: tail.to_string() }
        })
        .collect()
}

/// One statement for any number of entries: several times cheaper than one each.
pub(crate) async fn insert(connection: &mut SqliteConnection, entries: &[Chained]) -> Result<()> {
    const INSERT: &str = "WITH e AS MATERIALIZED (SELECT value AS v FROM json_each($1)) \
        INSERT INTO audit (seq, id, at, action, result, reason, actor_user_id, \
        actor_tenant_id, target_tenant_id, relationship_id, delegation_id, jti, client_id, ip, \
        request_id, resource_type, resource_id, purpose, details, prev_hash, hash) \
        SELECT v->>'$.seq', v->>'$.entry.id', v->>'$.entry.at', \
        v->>'$.entry.action', v->>'$.entry.result', v->>'$.entry.reason', \
        v->>'$.entry.actor_user_id', v->>'$.entry.actor_tenant_id', \
        v->>'$.entry.target_tenant_id', v->>'$.entry.relationship_id', \
        v->>'$.entry.delegation_id', v->>'$.entry.jti', v->>'$.entry.client_id', \
        v->>'$.entry.ip', v->>'$.entry.request_id', v->>'$.entry.resource_type', \
        v->>'$.entry.resource_id', v->>'$.entry.purpose', v->>'$.entry.details', \
        v->>'$.prev_hash', v->>'$.hash' FROM e";
    sqlx::query(INSERT).bind(json_list(entries, 1024)?).execute(connection).await?;
    Ok(())
}

/// Which entries to list, newest first. Every field narrows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Entries that happened in this tenant, or that its people caused elsewhere.
    pub of_tenant: Option<TenantId>,
    /// Entries that happened in this tenant.
    pub target: Option<TenantId>,
    /// Entries caused by people of this tenant.
    pub actor_tenant: Option<TenantId>,
    /// Only entries caused by people of other tenants than the target.
    pub is_by_others: bool,
    /// This action.
    pub action: Option<String>,
    /// This kind of thing.
    pub resource_type: Option<String>,
    /// Not before.
    pub from: Option<Ts>,
    /// Before.
    pub to: Option<Ts>,
    /// Below this position: where the last page ended.
    pub below: Option<i64>,
    /// At most so many.
    pub limit: Option<i64>,
}

/// A listed entry, with the names that people understand.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where it stands and what happened.
    pub chained: Chained,
    /// The person's name now.
    pub actor_name: Option<String>,
    /// The name of the person's tenant now.
    pub actor_tenant_name: Option<String>,
}

const COLUMNS: &str = "a.seq, a.id, a.at, a.action, a.result, a.reason, a.actor_user_id, \
    a.actor_tenant_id, a.target_tenant_id, a.relationship_id, a.delegation_id, a.jti, a.client_id, \
    a.ip, a.request_id, a.resource_type, a.resource_id, a.purpose, a.details, a.prev_hash, a.hash";

impl Store {
    /// Lists entries, newest first.
    pub async fn list_audit(&self, filter: &Filter) -> Result<Vec<Listed>> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS);
        query.push(
            ", u.name AS actor_name, t.name AS actor_tenant_name FROM audit a \
             LEFT JOIN users u ON u.id = a.actor_user_id \
             LEFT JOIN tenants t ON t.id = a.actor_tenant_id WHERE a.seq < ",
        );
        query.push_bind(filter.below.unwrap_or(i64::MAX));
        if let Some(tenant) = filter.of_tenant {
            query.push(" AND (a.target_tenant_id = ").push_bind(tenant.to_string());
            query.push(" OR a.actor_tenant_id = ").push_bind(tenant.to_string()).push(")");
        }
        let texts = [
            (" AND a.target_tenant_id = ", filter.target.map(|id| id.to_string())),
            (" AND a.actor_tenant_id = ", filter.actor_tenant.map(|id| id.to_string())),
            (" AND a.action = ", filter.action.clone()),
            (" AND a.resource_type = ", filter.resource_type.clone()),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.push(condition).push_bind(value);
            }
        }
        for (condition, at) in [(" AND a.at >= ", filter.from), (" AND a.at < ", filter.to)] {
            if let Some(at) = at {
                query.push(condition).push_bind(at.0);
            }
        }
        if filter.is_by_others {
            query.push(" AND a.actor_tenant_id <> a.target_tenant_id");
        }
        query.push(" ORDER BY a.seq DESC LIMIT ").push_bind(filter.limit.unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(Listed {
                    chained: chained(row)?,
                    actor_name: row.opt_text("actor_name")?,
                    actor_tenant_name: row.opt_text("actor_tenant_name")?,
                })
            })
            .collect()
    }

    /// The entry under which a delegated token was issued.
    pub async fn find_issue(&self, jti: &str) -> Result<Option<Entry>> {
        const FIND: &str = "SELECT a.*, '' AS unused FROM audit a \
                            WHERE a.jti = $1 AND a.action = 'token.exchange' AND a.result = 'ok'";
        let row = sqlx::query(FIND).bind(jti).fetch_optional(&self.readers).await?;
        row.map(|row| chained(&row).map(|chained| chained.entry)).transpose()
    }

    /// A stretch of the chain in its order, for verification.
    pub async fn read_audit(&self, after: i64, limit: i64) -> Result<Vec<Chained>> {
        const READ: &str = "SELECT a.* FROM audit a WHERE a.seq > $1 ORDER BY a.seq LIMIT $2";
        let rows = sqlx::query(READ).bind(after).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(chained).collect()
    }

    /// Where the chain ends, as the head row has it.
    pub async fn audit_tail(&self) -> Result<(i64, ChainHash)> {
        const TAIL: &str = "SELECT audit_seq, audit_hash FROM head WHERE id = 1";
        let row = sqlx::query(TAIL).fetch_one(&self.readers).await?;
        Ok((row.int("audit_seq")?, row.parsed("audit_hash")?))
    }

    /// Keeps a signed statement of where the chain ended.
    pub async fn insert_checkpoint(&self, seq: i64, statement: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO audit_checkpoints (seq, statement) VALUES ($1, $2) \
                              ON CONFLICT (seq) DO NOTHING";
        sqlx::query(INSERT).bind(seq).bind(statement).execute(&self.writer).await?;
        Ok(())
    }

    /// All signed statements, oldest first.
    pub async fn list_checkpoints(&self) -> Result<Vec<String>> {
        const LIST: &str = "SELECT statement FROM audit_checkpoints ORDER BY seq";
        let rows = sqlx::query(LIST).fetch_all(&self.readers).await?;
        rows.iter().map(|row| row.text("statement")).collect()
    }
}

/// The hash that the chain starts from.
#[must_use]
pub const fn genesis() -> ChainHash {
    ChainHash([0; 32])
}

fn chained(row: &SqliteRow) -> Result<Chained> {
    Ok(Chained {
        seq: row.int("seq")?,
        entry: entry_of(row)?,
        prev_hash: row.text("prev_hash")?,
        hash: row.text("hash")?,
    })
}

/// The entry in a row, of a table or of a backup.
pub(crate) fn entry_of(row: &impl Columns) -> Result<Entry> {
    Ok(Entry {
        id: row.parsed("id")?,
        at: row.ts("at")?,
        action: row.text("action")?,
        result: row.text("result")?,
        reason: row.opt_text("reason")?,
        actor_user_id: row.opt_parsed("actor_user_id")?,
        actor_tenant_id: row.opt_parsed("actor_tenant_id")?,
        target_tenant_id: row.opt_parsed("target_tenant_id")?,
        relationship_id: row.opt_parsed("relationship_id")?,
        delegation_id: row.opt_parsed("delegation_id")?,
        jti: row.opt_text("jti")?,
        client_id: row.opt_parsed("client_id")?,
        ip: row.opt_text("ip")?,
        request_id: row.opt_text("request_id")?,
        resource_type: row.opt_text("resource_type")?,
        resource_id: row.opt_text("resource_id")?,
        purpose: row.opt_text("purpose")?,
        details: row.opt_text("details")?,
    })
}
