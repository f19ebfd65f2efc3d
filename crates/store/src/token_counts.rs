//! How many delegated tokens a day brought, by customer and partner. Written by the ledger alone, in the
//! transaction that gives them out; read to refuse, to be shown, and to be exported.

use std::collections::HashMap;

use procura_domain::{Facts, quota::UtcDay, relationship::Side};
use procura_token::{TenantId, Ts};

use crate::{
    Error, Result, Store,
    quotas::whole,
    row::Columns,
    sql::{ManyRows, Row, Transaction, Value, query},
};

/// A day is kept for so many others: 13 months.
const KEPT_DAYS: i64 = 400;
/// In the place of the customer: what a partner was given in all tenants together.
const EVERYWHERE: &str = "*";

static COUNT: ManyRows = ManyRows::new(
    "INSERT INTO token_counts (day, customer_id, partner_id, tokens) VALUES ",
    4,
    " ON CONFLICT (day, customer_id, partner_id) \
     DO UPDATE SET tokens = token_counts.tokens + excluded.tokens",
);

/// What one batch gives out, on top of what its facts were read with.
pub(crate) struct Counting {
    day: UtcDay,
    pairs: HashMap<(TenantId, TenantId), i64>,
    by_partner: HashMap<TenantId, i64>,
    by_customer: HashMap<TenantId, i64>,
}

impl Counting {
    /// On the day of the transaction, whenever somebody asked.
    pub(crate) fn on(day: UtcDay) -> Self {
        let (pairs, by_partner, by_customer) = Default::default();
        Self { day, pairs, by_partner, by_customer }
    }

    /// Lets one exchange see what the batch has given out before it.
    pub(crate) fn add_to(&self, facts: &mut Facts, partner: TenantId) {
        let so_far = |counts: &HashMap<TenantId, i64>, tenant: TenantId| {
            counts.get(&tenant).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0)
        };
        facts.partner_tokens.used += so_far(&self.by_partner, partner);
        if let Some(target) = facts.target {
            facts.customer_tokens.used += so_far(&self.by_customer, target.id);
        }
    }

    /// One more was given out.
    pub(crate) fn count(&mut self, partner: TenantId, customer: TenantId) {
        *self.pairs.entry((customer, partner)).or_default() += 1;
        *self.by_partner.entry(partner).or_default() += 1;
        *self.by_customer.entry(customer).or_default() += 1;
    }

    /// Adds all of it to what is stored, in one statement.
    pub(crate) async fn write(self, open: &mut Transaction) -> Result<()> {
        let day = self.day.0;
        let rows = self.pairs.len() + self.by_partner.len();
        let mut values = Vec::with_capacity(COUNT.columns() * rows);
        let mut add = |customer: String, partner: TenantId, tokens: i64| {
            let partner = Value::from(partner.to_string());
            values.extend([Value::from(day), Value::from(customer), partner, Value::from(tokens)]);
        };
        for ((customer, partner), tokens) in self.pairs {
            add(customer.to_string(), partner, tokens);
        }
        for (partner, tokens) in self.by_partner {
            add(EVERYWHERE.to_owned(), partner, tokens);
        }
        COUNT.execute(values, open).await
    }
}

/// What one partner was given in one customer's tenant on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The day.
    pub day: UtcDay,
    /// The partner.
    pub partner: TenantId,
    /// Its name now.
    pub partner_name: Option<String>,
    /// The customer.
    pub customer: TenantId,
    /// Its name now.
    pub customer_name: Option<String>,
    /// How many delegated tokens.
    pub tokens: u64,
}

impl Used {
    /// The tenant that is not this side's own.
    #[must_use]
    pub const fn other(&self, side: Side) -> TenantId {
        match side {
            Side::Partner => self.customer,
            Side::Customer | Side::Operator => self.partner,
        }
    }
}

/// Which days, the newest first, from behind the row where the last page ended.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// The first one.
    pub from: UtcDay,
    /// The last one.
    pub to: UtcDay,
    /// Where the last page ended.
    pub after: Option<(UtcDay, TenantId)>,
    /// At most so many rows.
    pub limit: i64,
}

fn used(row: &Row) -> Result<Used> {
    Ok(Used {
        day: UtcDay(row.int("day")?),
        partner: row.parsed("partner_id")?,
        partner_name: None,
        customer: row.parsed("customer_id")?,
        customer_name: None,
        tokens: u64::try_from(row.int("tokens")?).map_err(|_| Error::Corrupt)?,
    })
}

impl Store {
    /// What a tenant's own people were given that day, and what was given out for the tenant.
    pub async fn count_tokens(&self, tenant: TenantId, day: UtcDay) -> Result<(u64, u64)> {
        const COUNTS: &str = "SELECT (SELECT tokens FROM token_counts WHERE day = $1 \
                              AND customer_id = '*' AND partner_id = $2) AS given, \
                              (SELECT CAST(sum(tokens) AS BIGINT) FROM token_counts WHERE day = $1 \
                              AND customer_id = $2) AS received";
        let row = query(COUNTS)
            .bind(day.0)
            .bind(tenant.to_string())
            .fetch_one(&mut self.within(tenant).await?)
            .await?;
        let number = |name| row.opt_int(name).and_then(whole).map(Option::unwrap_or_default);
        Ok((number("given")?, number("received")?))
    }

    /// What a customer's partners, or a partner in its customers' tenants, were given day by day.
    pub async fn list_used(
        &self,
        (side, tenant): (Side, TenantId),
        days: &Days,
    ) -> Result<Vec<Used>> {
        const BY: &str = "SELECT * FROM token_counts WHERE partner_id = $1 AND day >= $2 AND day <= $3 \
                          AND customer_id <> '*' AND (day < $4 OR (day = $4 AND customer_id > $5)) \
                          ORDER BY day DESC, customer_id LIMIT $6";
        const FOR: &str = "SELECT * FROM token_counts WHERE customer_id = $1 AND day >= $2 AND day <= $3 \
                           AND (day < $4 OR (day = $4 AND partner_id > $5)) \
                           ORDER BY day DESC, partner_id LIMIT $6";
        let (day, other) = days.after.map_or_else(
            || (days.to.plus(1), String::new()),
            |(day, other)| (day, other.to_string()),
        );
        let rows = query(if side == Side::Partner { BY } else { FOR })
            .bind(tenant.to_string())
            .bind(days.from.0)
            .bind(days.to.0)
            .bind(day.0)
            .bind(other)
            .bind(days.limit)
            .fetch_all(&mut self.within(tenant).await?)
            .await?;
        let mut listed = rows.iter().map(used).collect::<Result<Vec<_>>>()?;
        // Names are looked up apart, outside of the tenant's walls: each is an end of a relationship.
        let ends = listed.iter().flat_map(|one| [one.partner, one.customer]);
        let names = self.tenant_names(ends.collect::<Vec<_>>().into_iter()).await?;
        for one in &mut listed {
            one.partner_name = names.get(&one.partner).cloned();
            one.customer_name = names.get(&one.customer).cloned();
        }
        Ok(listed)
    }

    /// Forgets what is older than anybody exports.
    pub async fn forget_token_counts(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM token_counts WHERE day < $1";
        let first_kept = UtcDay::of(now).plus(-KEPT_DAYS);
        query(FORGET).bind(first_kept.0).execute(&self.writer).await?;
        Ok(())
    }
}
