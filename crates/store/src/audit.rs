//! The audit log: append-only, every entry chained to the one before it by its hash.

use std::{
    collections::{HashMap, HashSet},
    fmt::{self, Write},
    hash::Hash,
    str::FromStr,
};

use procura_domain::{Refusal, refusal::Class};
use procura_token::{
    AuditId, ClientId, DelegationId, RelationshipId, TenantId, Ts, UserId, crypto,
};
use serde::Serialize;

use crate::{
    Result, Store,
    row::{Columns, json},
    sql::{ManyRows, Query, Row, Transaction, Value, forked, query},
};

const PEOPLE_SQLITE: &str =
    "SELECT id, name FROM users WHERE id IN (SELECT value FROM json_each($1))";
const PEOPLE_POSTGRES: &str = "SELECT id, name FROM users \
                               WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb))";
const TENANTS_SQLITE: &str =
    "SELECT id, name FROM tenants WHERE id IN (SELECT value FROM json_each($1))";
const TENANTS_POSTGRES: &str = "SELECT id, name FROM tenants \
                                WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb))";
const CLIENTS_SQLITE: &str =
    "SELECT id, name FROM clients WHERE id IN (SELECT value FROM json_each($1))";
const CLIENTS_POSTGRES: &str = "SELECT id, name FROM clients \
                                WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb))";

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

    /// Adds a member to the details.
    pub fn add_detail(&mut self, name: &str, value: &impl Serialize) {
        let member = serde_json::json!({ name: value }).to_string();
        // An object of ours grows at its end and is not read again: every exchange waits for this.
        let known = self.details.as_deref().and_then(|known| known.strip_suffix('}'));
        let details = match (known, member.strip_prefix('{')) {
            (Some(known), Some(member)) if known.len() > 1 => format!("{known},{member}"),
            _ => member,
        };
        self.details = Some(details);
    }

    /// Postgres keeps no NUL in a text. It is replaced before the hash is made, on either database, so
    /// that what is read back is what was hashed.
    fn replace_nul(&mut self) {
        let texts = [
            &mut self.reason,
            &mut self.jti,
            &mut self.ip,
            &mut self.request_id,
            &mut self.resource_type,
            &mut self.resource_id,
            &mut self.purpose,
            &mut self.details,
        ];
        let texts = texts.into_iter().flatten().chain([&mut self.action, &mut self.result]);
        for text in texts.filter(|text| text.contains('\0')) {
            *text = text.replace('\0', "\u{fffd}");
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
        .map(|mut entry| {
            entry.replace_nul();
            *seq = seq.saturating_add(1);
            let prev = std::mem::replace(tail, entry.hash(*seq, *tail));
            Chained { seq: *seq, entry, prev_hash: prev.to_string(), hash: tail.to_string() }
        })
        .collect()
}

static INSERT: ManyRows = ManyRows::new(
    "INSERT INTO audit (seq, id, at, action, result, reason, actor_user_id, actor_tenant_id, \
     target_tenant_id, relationship_id, delegation_id, jti, client_id, ip, request_id, \
     resource_type, resource_id, purpose, details, prev_hash, hash) VALUES ",
    21,
    "",
);

pub(crate) async fn insert(open: &mut Transaction, entries: Vec<Chained>) -> Result<()> {
    let mut values = Vec::with_capacity(INSERT.columns() * entries.len());
    for Chained { seq, entry, prev_hash, hash } in entries {
        values.extend([
            Value::from(seq),
            Value::from(entry.id.to_string()),
            Value::from(entry.at.0),
            Value::from(entry.action),
            Value::from(entry.result),
            Value::from(entry.reason),
            Value::from(entry.actor_user_id.map(|id| id.to_string())),
            Value::from(entry.actor_tenant_id.map(|id| id.to_string())),
            Value::from(entry.target_tenant_id.map(|id| id.to_string())),
            Value::from(entry.relationship_id.map(|id| id.to_string())),
            Value::from(entry.delegation_id.map(|id| id.to_string())),
            Value::from(entry.jti),
            Value::from(entry.client_id.map(|id| id.to_string())),
            Value::from(entry.ip),
            Value::from(entry.request_id),
            Value::from(entry.resource_type),
            Value::from(entry.resource_id),
            Value::from(entry.purpose),
            Value::from(entry.details),
            Value::from(prev_hash),
            Value::from(hash),
        ]);
    }
    INSERT.execute(values, open).await
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
    /// Entries caused by this person.
    pub actor: Option<UserId>,
    /// Entries under this relationship.
    pub relationship: Option<RelationshipId>,
    /// The tenant that looks: what the other side refused it is not found by its relationship either.
    pub viewer: Option<TenantId>,
    /// Entries with this result.
    pub result: Option<String>,
    /// Only entries caused by people of other tenants than the target.
    pub is_by_others: bool,
    /// Without the incidents that were declared about this tenant as a partner.
    pub hides_incidents_of: Option<TenantId>,
    /// This action.
    pub action: Option<String>,
    /// This kind of thing.
    pub resource_type: Option<String>,
    /// This one thing.
    pub resource_id: Option<String>,
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

/// To a partner they are not told as what they were.
const NO_INCIDENT_OF: &str =
    "(action <> 'incident.declare' OR resource_type <> 'partner' OR target_tenant_id <> ?)";

impl Filter {
    /// The one tenant whose entries are listed, as far as there is one.
    fn tenant(&self) -> Option<TenantId> {
        self.of_tenant.or(self.target).or(self.actor_tenant)
    }

    fn query(&self) -> Query {
        let mut text = "SELECT * FROM audit WHERE seq < $1".to_owned();
        let mut values = vec![Value::from(self.below.unwrap_or(i64::MAX))];
        let mut and = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                values.push(value);
                text.push_str(" AND ");
                text.push_str(&condition.replace('?', &format!("${}", values.len())));
            }
        };
        let id = |id: Option<TenantId>| id.map(|id| Value::from(id.to_string()));
        let word = |word: &Option<String>| word.as_ref().map(Value::from);
        let at = |at: Option<Ts>| at.map(|at| Value::from(at.0));
        and("(target_tenant_id = ? OR actor_tenant_id = ?)", id(self.of_tenant));
        and("target_tenant_id = ?", id(self.target));
        and("actor_tenant_id = ?", id(self.actor_tenant));
        and("actor_user_id = ?", self.actor.map(|id| Value::from(id.to_string())));
        and("relationship_id = ?", self.relationship.map(|id| Value::from(id.to_string())));
        and(&in_sight(), self.relationship.and(id(self.viewer)));
        and(NO_INCIDENT_OF, id(self.hides_incidents_of));
        and("result = ?", word(&self.result));
        and("action = ?", word(&self.action));
        and("resource_type = ?", word(&self.resource_type));
        and("resource_id = ?", word(&self.resource_id));
        and("at >= ?", at(self.from));
        and("at < ?", at(self.to));
        if self.is_by_others {
            text.push_str(" AND actor_tenant_id <> target_tenant_id");
        }
        values.push(Value::from(self.limit.unwrap_or(i64::MAX)));
        // Writing to a string cannot fail.
        let _ = write!(text, " ORDER BY seq DESC LIMIT ${}", values.len());
        values.into_iter().fold(query(text), Query::bind)
    }
}

/// What a side is shown the relationship of: what happened in its own tenant, and elsewhere whatever was not
/// refused for one of the reasons that all look alike to it.
fn in_sight() -> String {
    let alike = Refusal::ALL.iter().filter(|refusal| refusal.class() == Class::Target);
    let alike: Vec<_> = alike.map(|refusal| format!("'{}'", refusal.as_str())).collect();
    format!(
        "(target_tenant_id = ? OR result <> 'refused' OR reason IS NULL OR reason NOT IN ({}))",
        alike.join(", ")
    )
}

impl Store {
    /// Lists entries, newest first.
    pub async fn list_audit(&self, filter: &Filter) -> Result<Vec<Listed>> {
        let rows = match filter.tenant() {
            Some(tenant) => filter.query().fetch_all(&mut self.within(tenant).await?).await?,
            None => filter.query().fetch_all(&self.readers).await?,
        };
        let chained: Vec<_> = rows.iter().map(chained).collect::<Result<_>>()?;
        // Names are looked up apart, outside of the tenant's walls: whoever acted here is named here.
        let people = chained.iter().filter_map(|c| c.entry.actor_user_id);
        let people = self.people_names(people).await?;
        let tenants = chained.iter().filter_map(|c| c.entry.actor_tenant_id);
        let tenants = self.tenant_names(tenants).await?;
        let listed = chained.into_iter().map(|chained| Listed {
            actor_name: chained.entry.actor_user_id.and_then(|id| people.get(&id).cloned()),
            actor_tenant_name: chained
                .entry
                .actor_tenant_id
                .and_then(|id| tenants.get(&id).cloned()),
            chained,
        });
        Ok(listed.collect())
    }

    /// The names that these people have now, in whichever tenant.
    pub(crate) async fn people_names(
        &self,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<UserId, String>> {
        self.names(forked(PEOPLE_SQLITE, PEOPLE_POSTGRES), ids).await
    }

    /// The names that these tenants have now.
    pub async fn tenant_names(
        &self,
        ids: impl Iterator<Item = TenantId>,
    ) -> Result<HashMap<TenantId, String>> {
        self.names(forked(TENANTS_SQLITE, TENANTS_POSTGRES), ids).await
    }

    /// The names that these clients have now.
    pub(crate) async fn client_names(
        &self,
        ids: impl Iterator<Item = ClientId>,
    ) -> Result<HashMap<ClientId, String>> {
        self.names(forked(CLIENTS_SQLITE, CLIENTS_POSTGRES), ids).await
    }

    /// The names of those that occur; `query` takes their ids as a list in JSON.
    async fn names<Id>(
        &self,
        query: Query,
        ids: impl Iterator<Item = Id>,
    ) -> Result<HashMap<Id, String>>
    where
        Id: Eq + Hash + Serialize + FromStr,
    {
        let ids: HashSet<_> = ids.collect();
        let rows = query.bind(json(&ids)?).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.parsed("id")?, row.text("name")?))).collect()
    }

    /// The entry under which a delegated token was issued.
    pub async fn find_issue(&self, jti: &str) -> Result<Option<Entry>> {
        const FIND: &str = "SELECT * FROM audit \
                            WHERE jti = $1 AND action = 'token.exchange' AND result = 'ok'";
        let row = query(FIND).bind(jti).fetch_optional(&self.readers).await?;
        row.map(|row| chained(&row).map(|chained| chained.entry)).transpose()
    }

    /// A stretch of the chain in its order, for verification.
    pub async fn read_audit(&self, after: i64, limit: i64) -> Result<Vec<Chained>> {
        const READ: &str = "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = query(READ).bind(after).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(chained).collect()
    }

    /// Where the chain ends, as the head row has it.
    pub async fn audit_tail(&self) -> Result<(i64, ChainHash)> {
        const TAIL: &str = "SELECT audit_seq, audit_hash FROM head WHERE id = 1";
        let row = query(TAIL).fetch_one(&self.readers).await?;
        Ok((row.int("audit_seq")?, row.parsed("audit_hash")?))
    }

    /// Keeps a signed statement of where the chain ended.
    pub async fn insert_checkpoint(&self, seq: i64, statement: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO audit_checkpoints (seq, statement) VALUES ($1, $2) \
                              ON CONFLICT (seq) DO NOTHING";
        query(INSERT).bind(seq).bind(statement).execute(&self.writer).await?;
        Ok(())
    }

    /// All signed statements, oldest first.
    pub async fn list_checkpoints(&self) -> Result<Vec<String>> {
        const LIST: &str = "SELECT statement FROM audit_checkpoints ORDER BY seq";
        let rows = query(LIST).fetch_all(&self.readers).await?;
        rows.iter().map(|row| row.text("statement")).collect()
    }
}

/// The hash that the chain starts from.
#[must_use]
pub const fn genesis() -> ChainHash {
    ChainHash([0; 32])
}

fn chained(row: &Row) -> Result<Chained> {
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
