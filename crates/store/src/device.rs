//! Devices that wait for a person at another screen (RFC 8628): what they ask for, how often they may ask,
//! what the person said. Both codes are stored as hashes; each step is one statement, so that it is taken
//! once by all nodes.

use procura_token::{ClientId, SessionId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// Redeemed or not, it is remembered so long after its end that a late replay takes back what it gave. In
/// seconds.
const REMEMBERED_AFTER_SECS: i64 = 3600;
/// Whoever asks too often has to wait so much longer from then on (RFC 8628 §3.5), in seconds.
const SLOWER_BY_SECS: i64 = 5;

/// A device that waits, or waited.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// The hash of what it shows to us.
    pub code_hash: String,
    /// The keyed hash of what it shows to the person.
    pub user_hash: String,
    /// Whose software it runs.
    pub client: ClientId,
    /// What it asks for, in JSON of the issuer's making.
    pub grant_json: String,
    /// How long it has to wait between two questions, in seconds.
    pub interval_secs: i64,
    /// Then it is worthless.
    pub expires_at: Ts,
    /// What the person said.
    pub answer: Option<DeviceAnswer>,
    /// When it was redeemed.
    pub used_at: Option<Ts>,
}

/// What a person said to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// Yes, by this login.
    Allowed(SessionId),
    /// No.
    Denied,
}

fn device_code(row: &Row) -> Result<DeviceCode> {
    let answer = match row.opt_str("answer")? {
        None => None,
        Some("allow") => Some(DeviceAnswer::Allowed(row.parsed("session_id")?)),
        Some(_) => Some(DeviceAnswer::Denied),
    };
    Ok(DeviceCode {
        code_hash: row.text("code_hash")?,
        user_hash: row.text("user_hash")?,
        client: row.parsed("client_id")?,
        grant_json: row.text("grant_json")?,
        interval_secs: row.int("interval_secs")?,
        expires_at: row.ts("expires_at")?,
        answer,
        used_at: row.opt_ts("used_at")?,
    })
}

impl Store {
    /// Lets a device wait. `Conflict` where another one shows the person the same code.
    pub async fn insert_device_code(&self, device: &DeviceCode) -> Result<()> {
        const INSERT: &str = "INSERT INTO device_codes (code_hash, user_hash, client_id, grant_json, \
                              next_poll_at, interval_secs, expires_at) \
                              VALUES ($1, $2, $3, $4, 0, $5, $6)";
        query(INSERT)
            .bind(&device.code_hash)
            .bind(&device.user_hash)
            .bind(device.client.as_str())
            .bind(&device.grant_json)
            .bind(device.interval_secs)
            .bind(device.expires_at.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The device with this code, whatever became of it.
    pub async fn find_device_code(&self, code_hash: &str) -> Result<Option<DeviceCode>> {
        const FIND: &str = "SELECT * FROM device_codes WHERE code_hash = $1";
        let row = query(FIND).bind(code_hash).fetch_optional(&self.readers).await?;
        row.as_ref().map(device_code).transpose()
    }

    /// The device that shows the person this code and has no answer yet.
    pub async fn find_waiting_device(
        &self,
        user_hash: &str,
        now: Ts,
    ) -> Result<Option<DeviceCode>> {
        const FIND: &str = "SELECT * FROM device_codes WHERE user_hash = $1 AND expires_at > $2 \
                            AND answer IS NULL";
        let row = query(FIND).bind(user_hash).bind(now.0).fetch_optional(&self.readers).await?;
        row.as_ref().map(device_code).transpose()
    }

    /// Notes that a device without an answer has asked; whether it had waited long enough. If not, nothing is
    /// written. A statement of its own: nothing is decided by it.
    pub async fn note_poll(&self, code_hash: &str, now: Ts) -> Result<bool> {
        const IN_TIME: &str = "UPDATE device_codes SET next_poll_at = $2 + interval_secs * 1000000 \
                               WHERE code_hash = $1 AND next_poll_at <= $2";
        let done = query(IN_TIME).bind(code_hash).bind(now.0).execute(&self.writer).await?;
        Ok(done == 1)
    }

    /// Lets a device that asked too early wait longer from now on.
    pub async fn slow_device(&self, code_hash: &str, now: Ts) -> Result<()> {
        const TOO_EARLY: &str = "UPDATE device_codes SET interval_secs = interval_secs + $3, \
                                 next_poll_at = $2 + (interval_secs + $3) * 1000000 \
                                 WHERE code_hash = $1 AND next_poll_at > $2";
        query(TOO_EARLY)
            .bind(code_hash)
            .bind(now.0)
            .bind(SLOWER_BY_SECS)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Forgets devices that are long over.
    pub async fn forget_device_codes(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM device_codes WHERE expires_at <= $1";
        let before = now.plus_secs(-REMEMBERED_AFTER_SECS);
        query(FORGET).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// The device with this code as it is in this transaction, whatever became of it.
    pub async fn find_device_code(&mut self, code_hash: &str) -> Result<Option<DeviceCode>> {
        const FIND: &str = "SELECT * FROM device_codes WHERE code_hash = $1";
        let row = query(FIND).bind(code_hash).fetch_optional(self.connection()).await?;
        row.as_ref().map(device_code).transpose()
    }

    /// Writes what the person said; whether the device still waited for it. It is said once.
    pub async fn answer_device(
        &mut self,
        code_hash: &str,
        session: SessionId,
        is_allowed: bool,
    ) -> Result<bool> {
        const ANSWER: &str = "UPDATE device_codes SET answer = $2, session_id = $3 \
                              WHERE code_hash = $1 AND answer IS NULL AND expires_at > $4";
        let now = self.now();
        let done = query(ANSWER)
            .bind(code_hash)
            .bind(if is_allowed { "allow" } else { "deny" })
            .bind(session.to_string())
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(done == 1)
    }

    /// Redeems the code; whether it was allowed and this is the first time.
    pub async fn redeem_device_code(&mut self, code_hash: &str) -> Result<bool> {
        const REDEEM: &str = "UPDATE device_codes SET used_at = $2 \
                              WHERE code_hash = $1 AND answer = 'allow' AND used_at IS NULL";
        let now = self.now();
        let done = query(REDEEM).bind(code_hash).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }

    /// Voids the devices of a client that were not redeemed; what was, stays, so that a replay is seen.
    pub async fn void_device_codes_of(&mut self, client: &ClientId) -> Result<()> {
        const VOID: &str = "DELETE FROM device_codes WHERE client_id = $1 AND used_at IS NULL";
        query(VOID).bind(client.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// Voids those that one person's logins have allowed to one client and nobody has redeemed.
    pub async fn void_device_codes_between(
        &mut self,
        user: UserId,
        client: &ClientId,
    ) -> Result<()> {
        const VOID: &str = "DELETE FROM device_codes WHERE client_id = $2 AND used_at IS NULL \
                            AND session_id IN (SELECT id FROM sessions WHERE user_id = $1)";
        query(VOID).bind(user.to_string()).bind(client.as_str()).execute(self.connection()).await?;
        Ok(())
    }
}
