//! What admins are told by mail, and that they were: relationships that end, and requests that wait. The
//! marks stand in SQL, so that of several nodes one tells it, once.

use procura_domain::{Relationship, UserRole};
use procura_token::{TenantId, Ts};

use crate::{
    Result, Store, Tx,
    relationships::relationship,
    row::Columns,
    sql::query,
    users::{User, user},
};

const DAY_MICROS: i64 = 86_400_000_000;
/// As many are taken up at once.
const AT_ONCE: i64 = 50;
/// As many admins of a tenant are told.
const TOLD: i64 = 20;

/// The mark of a notice, so many days before this end of a relationship. By the day: an end that is moved about
/// within it is told once.
#[must_use]
pub fn mark_of_end(edge: &Relationship, ends_at: Ts, days: i64) -> String {
    format!("ends:{}:{}:{days}", edge.id, ends_at.0 / DAY_MICROS)
}

impl Store {
    /// Active relationships that end after the first instant and not after the second, do not renew
    /// themselves, and whose admins were not told so many days before.
    pub async fn list_ending(
        &self,
        (after, until): (Ts, Ts),
        days: i64,
    ) -> Result<Vec<Relationship>> {
        // The mark is put together as in `mark_of_end`. Partner by partner: one that ends a thousand keeps
        // nobody else's admins waiting.
        const LIST: &str = "SELECT * FROM (SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.partner_id \
                            ORDER BY r.ends_at, r.id) AS place FROM relationships r \
                            WHERE r.state = 'active' \
                            AND r.is_current = 1 AND r.renews_for_days IS NULL \
                            AND r.ends_at > $1 AND r.ends_at <= $2 AND NOT EXISTS (SELECT 1 \
                            FROM used_values u WHERE u.digest = 'ends:' || r.id || ':' || \
                            (r.ends_at / 86400000000) || ':' || $3)) untold \
                            ORDER BY place, ends_at, id LIMIT $4";
        let list = query(LIST).bind(after.0).bind(until.0).bind(days.to_string()).bind(AT_ONCE);
        list.fetch_all(&self.readers).await?.iter().map(relationship).collect()
    }

    /// Customers whose answer somebody waits for that they were not told of. They are told once in so many
    /// seconds, which are more than half of the time that anybody waits.
    pub async fn list_waited_for(&self, now: Ts, every_secs: i64) -> Result<Vec<TenantId>> {
        // A mark is forgotten at twice the time from when they were told: see `mark_waiting`. Partner by
        // partner here too: each has its first customer told before any has its second.
        const LIST: &str = "SELECT customer_id FROM (SELECT a.customer_id, ROW_NUMBER() OVER \
                            (PARTITION BY a.partner_id ORDER BY MIN(a.asked_at), a.customer_id) AS place \
                            FROM access_requests a \
                            LEFT JOIN used_values u ON u.digest = 'waits:' || a.customer_id \
                            WHERE a.answered_at IS NULL AND a.lapses_at > $1 \
                            AND (u.digest IS NULL OR (u.expires_at <= $2 AND a.asked_at > u.expires_at - $3)) \
                            GROUP BY a.partner_id, a.customer_id) waiting \
                            GROUP BY customer_id ORDER BY MIN(place), customer_id LIMIT $4";
        let every = Ts::from_secs(every_secs);
        let list = query(LIST)
            .bind(now.0)
            .bind(now.plus_secs(every_secs).0)
            .bind(every.0.saturating_mul(2))
            .bind(AT_ONCE);
        let rows = list.fetch_all(&self.readers).await?;
        rows.iter().map(|row| row.parsed("customer_id")).collect()
    }

    /// The active people of a tenant with this role, the first ones.
    pub async fn list_admins(
        &self,
        tenant: TenantId,
        role: UserRole,
        now: Ts,
    ) -> Result<Vec<User>> {
        const LIST: &str = "SELECT * FROM users WHERE tenant_id = $1 AND status = 'active' \
                            AND ' ' || roles || ' ' LIKE $2 AND (ends_at IS NULL OR ends_at > $4) \
                            ORDER BY id LIMIT $3";
        let list = query(LIST).bind(tenant.to_string()).bind(format!("% {role} %"));
        let list = list.bind(TOLD).bind(now.0);
        list.fetch_all(&mut self.within(tenant).await?).await?.iter().map(user).collect()
    }

    /// Whether the mails with this fingerprint were to go out.
    pub async fn is_told(&self, fingerprint: &str) -> Result<bool> {
        const FIND: &str = "SELECT digest FROM used_values WHERE digest = 'mail:' || $1";
        Ok(query(FIND).bind(fingerprint).fetch_optional(&self.readers).await?.is_some())
    }
}

impl Tx {
    /// Marks as told with this commit; whether nobody else has told it. Forgotten at `until`.
    pub async fn mark_told(&mut self, mark: &str, until: Ts) -> Result<bool> {
        const MARK: &str = "INSERT INTO used_values (digest, expires_at) VALUES ($1, $2) \
                            ON CONFLICT (digest) DO NOTHING";
        Ok(query(MARK).bind(mark).bind(until.0).execute(self.connection()).await? == 1)
    }

    /// The same for a customer's requests that wait, once in so many seconds.
    pub async fn mark_waiting(&mut self, customer: TenantId, every_secs: i64) -> Result<bool> {
        const MARK: &str = "INSERT INTO used_values (digest, expires_at) VALUES ($1, $2) \
                            ON CONFLICT (digest) DO UPDATE SET expires_at = $2 \
                            WHERE used_values.expires_at <= $3";
        let now = self.now();
        let mark = query(MARK)
            .bind(format!("waits:{customer}"))
            .bind(now.plus_secs(every_secs.saturating_mul(2)).0)
            .bind(now.plus_secs(every_secs).0);
        Ok(mark.execute(self.connection()).await? == 1)
    }

    /// Lets the mails with this fingerprint go out with this commit, also where this process ends meanwhile.
    pub async fn let_out(&mut self, fingerprint: &str, until: Ts) -> Result<()> {
        const MARK: &str =
            "INSERT INTO used_values (digest, expires_at) VALUES ('mail:' || $1, $2)";
        query(MARK).bind(fingerprint).bind(until.0).execute(self.connection()).await?;
        Ok(())
    }
}
