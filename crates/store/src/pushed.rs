//! Authorization requests that clients have pushed (RFC 9126): kept for minutes, answered once.

use procura_token::{ClientId, Ts};

use crate::{Result, Store, Tx, row::Columns, sql::query};

/// Whoever opened a request just before its end has so long for login and consent, in seconds. As long
/// it is remembered, so that it is still answered only once.
const REMEMBERED_AFTER_SECS: i64 = 15 * 60;

/// A pushed request.
#[derive(Clone, Debug)]
pub struct PushedRequest {
    /// The hash of its URI.
    pub uri_hash: String,
    /// Whose it is.
    pub client: ClientId,
    /// What is asked, in JSON of the issuer's making.
    pub request: String,
    /// Then nobody can open it any more.
    pub expires_at: Ts,
    /// When it was answered.
    pub used_at: Option<Ts>,
}

impl Store {
    /// Keeps a request.
    pub async fn insert_pushed_request(&self, pushed: &PushedRequest) -> Result<()> {
        const INSERT: &str = "INSERT INTO pushed_requests (uri_hash, client_id, request, expires_at) \
                              VALUES ($1, $2, $3, $4)";
        query(INSERT)
            .bind(&pushed.uri_hash)
            .bind(pushed.client.as_str())
            .bind(&pushed.request)
            .bind(pushed.expires_at.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The request with this hash, answered or not.
    pub async fn find_pushed_request(&self, uri_hash: &str) -> Result<Option<PushedRequest>> {
        const FIND: &str = "SELECT * FROM pushed_requests WHERE uri_hash = $1";
        let row = query(FIND).bind(uri_hash).fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(PushedRequest {
                uri_hash: row.text("uri_hash")?,
                client: row.parsed("client_id")?,
                request: row.text("request")?,
                expires_at: row.ts("expires_at")?,
                used_at: row.opt_ts("used_at")?,
            })
        })
        .transpose()
    }

    /// Forgets requests that nobody can answer any more.
    pub async fn forget_pushed_requests(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM pushed_requests WHERE expires_at <= $1";
        let before = now.plus_secs(-REMEMBERED_AFTER_SECS);
        query(FORGET).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Answers a request; whether this was the first time.
    pub async fn use_pushed_request(&mut self, uri_hash: &str) -> Result<bool> {
        const USE: &str =
            "UPDATE pushed_requests SET used_at = $2 WHERE uri_hash = $1 AND used_at IS NULL";
        let now = self.now();
        let done = query(USE).bind(uri_hash).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }
}
