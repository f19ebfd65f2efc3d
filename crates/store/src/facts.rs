//! One read → `Facts`, for all exchanges that wait together.

use procura_domain::{
    Facts, Relationship,
    decision::{ClientFacts, SubjectFacts, TargetFacts},
    quota::{Counted, UtcDay},
};
use procura_token::{DelegationId, Ts};

use crate::{
    Error, Result, Tx, access_requests,
    ledger::Exchange,
    quotas::whole,
    relationships::relationship,
    row::Columns,
    sql::{ManyRows, Row, Transaction, Value},
};

/// The facts of one exchange, and the delegations that already run.
pub(crate) struct Loaded {
    pub facts: Facts,
    /// By relationship: the running delegation of this session and client.
    pub running: Vec<(procura_token::RelationshipId, DelegationId, Ts)>,
}

static LOAD: ManyRows = ManyRows::new(
    "WITH w (ix, client, session, user_id, home, audience, target, slug, day) \
     AS MATERIALIZED (VALUES ",
    9,
    ") SELECT w.ix, \
     c.status AS client_status, c.version AS client_version, \
     s.expires_at AS session_expires_at, s.ended_at AS session_ended_at, \
     u.status AS user_status, u.ends_at AS user_ends_at, u.roles AS user_roles, \
     h.status AS home_status, \
     a.accepts_delegated, a.permissions AS audience_permissions, \
     t.id AS target_id, t.status AS target_status, t.partner_access AS target_access, \
     r.id, r.partner_id, r.customer_id, r.kind, r.origin, r.access_role, \
     r.custom_permissions, r.state, r.suspended_by, r.starts_at, r.ends_at, \
     r.renews_for_days, r.access, r.approval, r.conditions, r.version, \
     d.id AS delegation_id, d.ends_at AS delegation_ends_at, \
     (SELECT q.delegated_tokens_per_day FROM quotas q WHERE q.tenant_id = r.partner_id) \
     AS partner_limit, \
     (SELECT n.tokens FROM token_counts n WHERE n.day = w.day AND n.customer_id = '*' \
     AND n.partner_id = r.partner_id) AS partner_tokens, \
     (SELECT q.delegated_tokens_received_per_day FROM quotas q WHERE q.tenant_id = r.customer_id) \
     AS customer_limit, \
     (SELECT CAST(sum(n.tokens) AS BIGINT) FROM token_counts n WHERE n.day = w.day \
     AND n.customer_id = r.customer_id) AS customer_tokens \
     FROM w \
     LEFT JOIN clients c ON c.id = w.client \
     LEFT JOIN sessions s ON s.id = w.session AND s.user_id = w.user_id \
     LEFT JOIN users u ON u.id = w.user_id AND u.tenant_id = w.home \
     LEFT JOIN tenants h ON h.id = w.home \
     LEFT JOIN resource_servers a ON a.audience = w.audience \
     LEFT JOIN tenants t ON t.id = coalesce(w.target, (SELECT id FROM tenants WHERE slug = w.slug)) \
     LEFT JOIN relationships r ON r.partner_id = h.id AND r.customer_id = t.id AND r.is_current = 1 \
     LEFT JOIN delegations d ON d.session_id = s.id AND d.relationship_id = r.id \
     AND d.client_id = c.id AND d.ended_at IS NULL",
);

/// Loads the facts of all exchanges in one statement, in their order.
///
/// Every row of the answer belongs to one exchange and at most one edge; an exchange with an edge of
/// each kind has two rows. `None` where a row cannot be read: that exchange fails, its neighbours in
/// the batch do not.
pub(crate) async fn load(
    open: &mut Transaction,
    exchanges: &[&Exchange],
    day: UtcDay,
) -> Result<Vec<Option<Loaded>>> {
    let mut values = Vec::with_capacity(LOAD.columns() * exchanges.len());
    for (ix, exchange) in exchanges.iter().enumerate() {
        values.extend(question(i64::try_from(ix).map_err(|_| Error::Corrupt)?, exchange, day));
    }
    let rows = LOAD.fetch_all(values, open).await?;
    let mut loaded: Vec<Result<Option<Loaded>>> = exchanges.iter().map(|_| Ok(None)).collect();
    for row in &rows {
        // A row of nothing stands in for a question that nobody asked.
        let Some(ix) = row.opt_int("ix")? else { continue };
        let ix = usize::try_from(ix).map_err(|_| Error::Corrupt)?;
        let exchange = exchanges.get(ix).ok_or(Error::Corrupt)?;
        let slot = loaded.get_mut(ix).ok_or(Error::Corrupt)?;
        if let Ok(known) = slot {
            *slot = add(known.take(), row, exchange).map(Some);
        }
    }
    Ok(loaded.into_iter().map(|slot| slot.ok().flatten()).collect())
}

impl Tx {
    /// The facts of an exchange that nobody makes, as this transaction sees them. Only to explain: nothing
    /// is decided here, and nothing written.
    pub async fn facts(&mut self, exchange: &Exchange) -> Result<Facts> {
        let log = self.catch_up().await?;
        let day = UtcDay::of(self.now());
        let mut loaded = load(self.connection(), &[exchange], day).await?;
        access_requests::load(self.connection(), &[exchange], &mut loaded).await?;
        let mut facts = loaded.pop().flatten().ok_or(Error::Corrupt)?.facts;
        facts.subject.is_revoked = log.is_dead(&exchange.subject_keys, exchange.subject_rvs);
        Ok(facts)
    }
}

/// What is known of an exchange with one more row.
fn add(known: Option<Loaded>, row: &Row, exchange: &Exchange) -> Result<Loaded> {
    let mut loaded = match known {
        Some(loaded) => loaded,
        None => Loaded { facts: facts(row, exchange)?, running: Vec::new() },
    };
    if let Some((edge, running)) = edge(row)? {
        loaded.running.extend(running.map(|(id, ends_at)| (edge.id, id, ends_at)));
        loaded.facts.relationships.push(edge);
    }
    Ok(loaded)
}

fn question(ix: i64, exchange: &Exchange, day: UtcDay) -> [Value; 9] {
    [
        Value::from(ix),
        Value::from(exchange.client.id.as_str()),
        Value::from(exchange.session.to_string()),
        Value::from(exchange.wish.user.to_string()),
        Value::from(exchange.wish.home.to_string()),
        Value::from(&exchange.audience),
        Value::from(exchange.wish.target.map(|id| id.to_string())),
        Value::from(&exchange.target_slug),
        Value::from(day.0),
    ]
}

fn facts(row: &Row, exchange: &Exchange) -> Result<Facts> {
    let is_known_client = exchange.client.audiences.contains(&exchange.audience);
    let takes_delegated = row.opt_int("accepts_delegated")? == Some(1);
    let audience = row.opt_parsed("audience_permissions")?;
    let ended = row.opt_ts("session_ended_at")?;
    let target = match row.opt_parsed("target_id")? {
        None => None,
        Some(id) => Some(TargetFacts {
            id,
            status: row.parsed("target_status")?,
            access: row.parsed("target_access")?,
        }),
    };
    let is_user = row.opt_text("user_status")?.is_some();
    Ok(Facts {
        client: ClientFacts {
            // Somebody changed the client since it was authenticated: it must try again.
            is_usable: row.opt_text("client_status")?.as_deref() == Some("active")
                && row.opt_int("client_version")? == Some(exchange.client.version),
            permissions: exchange.client.permissions.clone(),
        },
        subject: SubjectFacts {
            is_revoked: false,
            session_ends_at: row.opt_ts("session_expires_at")?.filter(|_| ended.is_none()),
            is_active: row.opt_text("user_status")?.as_deref() == Some("active"),
            ends_at: row.opt_ts("user_ends_at")?,
            roles: if is_user { row.words("user_roles")? } else { Vec::new() },
            home: row.opt_parsed("home_status")?.unwrap_or(procura_domain::TenantStatus::Deleted),
        },
        audience: audience.filter(|_| is_known_client && takes_delegated),
        target,
        relationships: Vec::new(),
        access_requests: Vec::new(),
        partner_tokens: Counted {
            used: whole(row.opt_int("partner_tokens")?)?.unwrap_or(0),
            limit: whole(row.opt_int("partner_limit")?)?
                .or(exchange.quotas.delegated_tokens_per_day),
        },
        customer_tokens: Counted {
            used: whole(row.opt_int("customer_tokens")?)?.unwrap_or(0),
            limit: whole(row.opt_int("customer_limit")?)?
                .or(exchange.quotas.delegated_tokens_received_per_day),
        },
    })
}

type Running = Option<(DelegationId, Ts)>;

fn edge(row: &Row) -> Result<Option<(Relationship, Running)>> {
    if row.opt_text("partner_id")?.is_none() {
        return Ok(None);
    }
    let running = match (row.opt_parsed("delegation_id")?, row.opt_ts("delegation_ends_at")?) {
        (Some(id), Some(ends_at)) => Some((id, ends_at)),
        _ => None,
    };
    Ok(Some((relationship(row)?, running)))
}
