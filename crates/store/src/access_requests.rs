//! Where the customer approves each time: who asked, to do what, and what the customer said.

use procura_domain::{
    AccessRequest,
    access_request::{Answer, Given},
    relationship::Approval,
};
use procura_token::{
    AccessRequestId, ClientId, DelegationId, Purpose, RelationshipId, TenantId, Ts, UserId,
};

use crate::{
    Error, Result, Store, Tx,
    facts::Loaded,
    ledger::Exchange,
    row::Columns,
    sql::{ManyRows, Row, Transaction, Value, query},
};

/// A request, with the names that people understand.
#[derive(Clone, Debug)]
pub struct Listed {
    /// It.
    pub request: AccessRequest,
    /// The person's name now.
    pub user_name: Option<String>,
    /// The name of the person's tenant now.
    pub partner_name: Option<String>,
}

const FIND: &str = "SELECT * FROM access_requests WHERE customer_id = $1 AND id = $2";

static LOAD: ManyRows = ManyRows::new(
    "WITH w (ix, user_id, client, audience, relationship, since) AS MATERIALIZED (VALUES ",
    6,
    ") SELECT w.ix, a.* FROM w JOIN access_requests a ON a.user_id = w.user_id \
     AND a.relationship_id = w.relationship AND a.asked_at > w.since AND a.client_id = w.client \
     AND a.audience = w.audience",
);

/// Adds to the facts of each exchange what its person has lately asked for, where the customer approves
/// each time. One statement for all, and none where nobody does. What is older than any yes can be is not
/// even looked at: everybody's exchanges wait meanwhile.
pub(crate) async fn load(
    open: &mut Transaction,
    exchanges: &[&Exchange],
    loaded: &mut [Option<Loaded>],
) -> Result<()> {
    let mut values = Vec::new();
    for (ix, (exchange, loaded)) in exchanges.iter().zip(loaded.iter()).enumerate() {
        let Some(loaded) = loaded else { continue };
        let edges = loaded.facts.relationships.iter();
        for edge in edges.filter(|edge| edge.approval == Approval::EachTime) {
            let now = exchange.entry.at;
            values.extend([
                Value::from(i64::try_from(ix).map_err(|_| Error::Corrupt)?),
                Value::from(exchange.wish.user.to_string()),
                Value::from(exchange.client.id.as_str()),
                Value::from(&exchange.audience),
                Value::from(edge.id.to_string()),
                Value::from(now.plus_secs(-AccessRequest::MATTERS_SECS).0),
            ]);
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    for row in &LOAD.fetch_all(values, open).await? {
        let ix = usize::try_from(row.int("ix")?).map_err(|_| Error::Corrupt)?;
        let slot = loaded.get_mut(ix).ok_or(Error::Corrupt)?;
        let Some(known) = slot else { continue };
        match access_request(row) {
            Ok(request) => known.facts.access_requests.push(request),
            // One row that cannot be read fails this exchange alone.
            Err(_) => *slot = None,
        }
    }
    Ok(())
}

/// Puts a request before the customer.
pub(crate) async fn insert(open: &mut Transaction, request: &AccessRequest) -> Result<()> {
    const INSERT: &str = "INSERT INTO access_requests (id, relationship_id, partner_id, customer_id, \
                          user_id, client_id, audience, scope, purpose_code, purpose_ref, asked_at, \
                          lapses_at, api_key_id) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let purpose = request.purpose.as_ref();
    query(INSERT)
        .bind(request.id.to_string())
        .bind(request.relationship.to_string())
        .bind(request.partner.to_string())
        .bind(request.customer.to_string())
        .bind(request.user.to_string())
        .bind(request.client.as_str())
        .bind(&request.audience)
        .bind(request.scope.to_string())
        .bind(purpose.map(|purpose| purpose.code.as_str()))
        .bind(purpose.and_then(|purpose| purpose.r#ref.as_deref()))
        .bind(request.asked_at.0)
        .bind(request.lapses_at.0)
        .bind(request.key.map(|key| key.to_string()))
        .execute(open)
        .await?;
    Ok(())
}

pub(crate) fn access_request(row: &Row) -> Result<AccessRequest> {
    let given = match (row.opt_parsed("given_scope")?, row.opt_ts("given_until")?) {
        (Some(scope), Some(until)) => {
            Some(Given { scope, until, ended_at: row.opt_ts("ended_at")? })
        }
        _ => None,
    };
    let by = row.opt_parsed("answered_by")?;
    let r#ref = row.opt_text("purpose_ref")?;
    Ok(AccessRequest {
        id: row.parsed("id")?,
        relationship: row.parsed("relationship_id")?,
        partner: row.parsed("partner_id")?,
        customer: row.parsed("customer_id")?,
        user: row.parsed("user_id")?,
        key: row.opt_parsed("api_key_id")?,
        client: row.parsed("client_id")?,
        audience: row.text("audience")?,
        scope: row.parsed("scope")?,
        purpose: row.opt_text("purpose_code")?.map(|code| Purpose { code, r#ref }),
        asked_at: row.ts("asked_at")?,
        lapses_at: row.ts("lapses_at")?,
        answer: row.opt_ts("answered_at")?.map(|at| Answer { at, by, given }),
    })
}

impl Store {
    /// What was asked of a customer, the newest first; from below a request where the last page ended.
    pub async fn list_access_requests(
        &self,
        customer: TenantId,
        below: Option<AccessRequestId>,
        limit: i64,
    ) -> Result<Vec<Listed>> {
        // Ids begin with the time at which they were made.
        const LIST: &str = "SELECT * FROM access_requests WHERE customer_id = $1 AND id < $2 \
                            ORDER BY id DESC LIMIT $3";
        let below = below.unwrap_or(AccessRequestId::from_bits(u128::MAX));
        let rows = query(LIST)
            .bind(customer.to_string())
            .bind(below.to_string())
            .bind(limit)
            .fetch_all(&mut self.within(customer).await?)
            .await?;
        let requests = rows.iter().map(access_request).collect::<Result<Vec<_>>>()?;
        self.named(requests).await
    }

    /// One request to this customer.
    pub async fn find_access_request(
        &self,
        customer: TenantId,
        id: AccessRequestId,
    ) -> Result<Option<Listed>> {
        let row = query(FIND)
            .bind(customer.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(customer).await?)
            .await?;
        let request = row.as_ref().map(access_request).transpose()?;
        Ok(self.named(request.into_iter().collect()).await?.pop())
    }

    /// Forgets what has been over for long.
    pub async fn forget_access_requests(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM access_requests \
                              WHERE lapses_at <= $1 AND (given_until IS NULL OR given_until <= $1)";
        let before = now.plus_secs(-AccessRequest::KEPT_SECS);
        query(FORGET).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }

    /// Names are looked up apart, outside of the customer's walls: whoever asks to come in is named to it.
    async fn named(&self, requests: Vec<AccessRequest>) -> Result<Vec<Listed>> {
        let people = self.people_names(requests.iter().map(|request| request.user)).await?;
        let tenants = self.tenant_names(requests.iter().map(|request| request.partner)).await?;
        let listed = requests.into_iter().map(|request| Listed {
            user_name: people.get(&request.user).cloned(),
            partner_name: tenants.get(&request.partner).cloned(),
            request,
        });
        Ok(listed.collect())
    }
}

impl Tx {
    /// One request to this customer, as it is in this transaction.
    pub async fn find_access_request(
        &mut self,
        customer: TenantId,
        id: AccessRequestId,
    ) -> Result<Option<AccessRequest>> {
        let row = query(FIND)
            .bind(customer.to_string())
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(access_request).transpose()
    }

    /// Keeps the customer's answer.
    pub async fn answer_access_request(
        &mut self,
        id: AccessRequestId,
        answer: &Answer,
    ) -> Result<()> {
        const ANSWER: &str = "UPDATE access_requests SET answered_at = $2, answered_by = $3, \
                              given_scope = $4, given_until = $5, ended_at = $6 WHERE id = $1";
        let given = answer.given.as_ref();
        query(ANSWER)
            .bind(id.to_string())
            .bind(answer.at.0)
            .bind(answer.by.map(|user| user.to_string()))
            .bind(given.map(|given| given.scope.to_string()))
            .bind(given.map(|given| given.until.0))
            .bind(given.and_then(|given| given.ended_at).map(|at| at.0))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends what a person does under a relationship through a client; answers which delegations ran.
    pub async fn end_delegations_for(
        &mut self,
        relationship: RelationshipId,
        user: UserId,
        client: &ClientId,
    ) -> Result<Vec<DelegationId>> {
        const END: &str = "UPDATE delegations SET ended_at = $4 WHERE relationship_id = $1 \
                           AND user_id = $2 AND client_id = $3 AND ended_at IS NULL RETURNING id";
        let now = self.now();
        let ended = query(END)
            .bind(relationship.to_string())
            .bind(user.to_string())
            .bind(client.as_str())
            .bind(now.0);
        let rows = ended.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}
