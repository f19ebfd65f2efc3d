//! Codes with which a customer shuts partners out when nobody can log in: hashes, each good once.

use procura_token::{TenantId, Ts};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// A code of the newest set, without what is secret about it.
#[derive(Clone, Copy, Debug)]
pub struct BreakGlassCode {
    /// The figure that it begins with.
    pub number: i64,
    /// Since when.
    pub created_at: Ts,
    /// When it was used up.
    pub used_at: Option<Ts>,
}

fn code(row: &Row) -> Result<BreakGlassCode> {
    Ok(BreakGlassCode {
        number: row.int("number")?,
        created_at: row.ts("created_at")?,
        used_at: row.opt_ts("used_at")?,
    })
}

impl Store {
    /// The newest set of a tenant.
    pub async fn list_break_glass_codes(&self, tenant: TenantId) -> Result<Vec<BreakGlassCode>> {
        const LIST: &str = "SELECT number, created_at, used_at FROM break_glass_codes \
                            WHERE tenant_id = $1 ORDER BY number";
        let rows =
            query(LIST).bind(tenant.to_string()).fetch_all(&mut self.within(tenant).await?).await?;
        rows.iter().map(code).collect()
    }

    /// The tenant with this id or short name, if there is one, and the hash of its unused code of this number. One
    /// read, whatever there is: a stranger asks.
    pub async fn find_break_glass_code(
        &self,
        tenant: &str,
        number: i64,
    ) -> Result<Option<(TenantId, Option<String>)>> {
        const FIND: &str = "SELECT t.id AS id, c.code_hash AS code_hash FROM tenants t \
                            LEFT JOIN break_glass_codes c ON c.tenant_id = t.id AND c.number = $2 \
                            AND c.used_at IS NULL WHERE t.id = $1 OR t.slug = $1";
        let row = query(FIND).bind(tenant).bind(number).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((row.parsed("id")?, row.opt_text("code_hash")?))).transpose()
    }
}

impl Tx {
    /// Puts a set in the place of whatever there was, numbered from 1.
    pub async fn put_break_glass_codes(
        &mut self,
        tenant: TenantId,
        hashes: &[String],
    ) -> Result<()> {
        const VOID: &str = "DELETE FROM break_glass_codes WHERE tenant_id = $1";
        const INSERT: &str = "INSERT INTO break_glass_codes (tenant_id, number, code_hash, \
                              created_at) VALUES ($1, $2, $3, $4)";
        let now = self.now();
        query(VOID).bind(tenant.to_string()).execute(self.connection()).await?;
        for (number, hash) in (1_i64..).zip(hashes) {
            query(INSERT)
                .bind(tenant.to_string())
                .bind(number)
                .bind(hash)
                .bind(now.0)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Uses up the code with this hash; whether it was still there to be used.
    pub async fn use_break_glass_code(
        &mut self,
        tenant: TenantId,
        number: i64,
        hash: &str,
    ) -> Result<bool> {
        const USE: &str = "UPDATE break_glass_codes SET used_at = $4 WHERE tenant_id = $1 \
                           AND number = $2 AND code_hash = $3 AND used_at IS NULL";
        let now = self.now();
        let used = query(USE)
            .bind(tenant.to_string())
            .bind(number)
            .bind(hash)
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(used == 1)
    }
}
