//! Invitations: one-time links by which an invited person sets the own password.

use procura_token::{TenantId, Ts, UserId};

use crate::{Result, Store, Tx, row::Columns, sql::query};

impl Store {
    /// Whether an invitation can still be used.
    pub async fn is_invitation_open(&self, token_hash: &str, now: Ts) -> Result<bool> {
        const FIND: &str = "SELECT user_id FROM invitations WHERE token_hash = $1 \
                            AND used_at IS NULL AND expires_at > $2";
        let query = query(FIND).bind(token_hash).bind(now.0);
        Ok(query.fetch_optional(&self.readers).await?.is_some())
    }

    /// Whom an invitation that can still be used is for, and in which tenant.
    pub async fn find_invited(
        &self,
        token_hash: &str,
        now: Ts,
    ) -> Result<Option<(TenantId, UserId)>> {
        const FIND: &str = "SELECT u.tenant_id, u.id FROM invitations i \
                            JOIN users u ON u.id = i.user_id \
                            WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.expires_at > $2";
        let query = query(FIND).bind(token_hash).bind(now.0);
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| Ok((row.parsed("tenant_id")?, row.parsed("id")?))).transpose()
    }
}

impl Tx {
    /// Keeps an invitation, as a hash only.
    pub async fn insert_invitation(
        &mut self,
        token_hash: &str,
        user: UserId,
        expires_at: Ts,
    ) -> Result<()> {
        const INSERT: &str =
            "INSERT INTO invitations (token_hash, user_id, expires_at) VALUES ($1, $2, $3)";
        query(INSERT)
            .bind(token_hash)
            .bind(user.to_string())
            .bind(expires_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Uses an invitation up; answers whom it was for, if it was good.
    pub async fn redeem_invitation(&mut self, token_hash: &str) -> Result<Option<UserId>> {
        const REDEEM: &str = "UPDATE invitations SET used_at = $2 WHERE token_hash = $1 \
                              AND used_at IS NULL AND expires_at > $2 RETURNING user_id";
        let now = self.now();
        let row =
            query(REDEEM).bind(token_hash).bind(now.0).fetch_optional(self.connection()).await?;
        row.map(|row| row.parsed("user_id")).transpose()
    }
}
