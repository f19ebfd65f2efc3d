//! Notices of logout on their way to clients: whose turn it is to deliver one, and when to try again. A
//! node takes a notice before it calls anybody, so that of several nodes one does; what it does with the
//! notice afterwards counts only while nobody else has taken it.

use procura_token::Ts;

use crate::{
    Result, Store, Tx,
    logout::{Notice, notice},
    sql::query,
};

impl Store {
    /// What is due, oldest first: at most so many, and at most so many of one client, so that no client
    /// with a long list keeps the others waiting.
    pub async fn list_due_notices(
        &self,
        now: Ts,
        limit: i64,
        limit_of_client: i64,
    ) -> Result<Vec<Notice>> {
        const LIST: &str = "SELECT * FROM (SELECT n.*, ROW_NUMBER() OVER (PARTITION BY client_id \
                            ORDER BY next_at, id) AS place FROM logout_notices n \
                            WHERE next_at <= $1) due WHERE place <= $3 ORDER BY next_at, id LIMIT $2";
        let due = query(LIST).bind(now.0).bind(limit).bind(limit_of_client);
        due.fetch_all(&self.readers).await?.iter().map(notice).collect()
    }

    /// Takes a notice until then, and counts an attempt; whether it was still as it was read. Whoever
    /// takes it and dies leaves it to the others from then on.
    pub async fn take_notice(&self, read: &Notice, until: Ts) -> Result<Option<Notice>> {
        const TAKE: &str = "UPDATE logout_notices SET attempts = attempts + 1, next_at = $3 \
                            WHERE id = $1 AND attempts = $2";
        let take = query(TAKE).bind(read.id).bind(read.attempts).bind(until.0);
        let is_taken = take.execute(&self.writer).await? == 1;
        let taken = Notice { attempts: read.attempts + 1, next_at: until, ..read.clone() };
        Ok(is_taken.then_some(taken))
    }

    /// Leaves a notice that was taken for another attempt.
    pub async fn postpone_notice(&self, taken: &Notice, next_at: Ts) -> Result<()> {
        const POSTPONE: &str =
            "UPDATE logout_notices SET next_at = $3 WHERE id = $1 AND attempts = $2";
        let postpone = query(POSTPONE).bind(taken.id).bind(taken.attempts).bind(next_at.0);
        postpone.execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Ends a notice that was taken; whether nobody else has taken it since.
    pub async fn delete_notice(&mut self, taken: &Notice) -> Result<bool> {
        const DELETE: &str = "DELETE FROM logout_notices WHERE id = $1 AND attempts = $2";
        let delete = query(DELETE).bind(taken.id).bind(taken.attempts);
        Ok(delete.execute(self.connection()).await? == 1)
    }
}
