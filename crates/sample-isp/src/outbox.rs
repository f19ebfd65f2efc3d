//! Reports to Procura's audit log: written with the change that they report, delivered afterwards.
//!
//! At least once, in the order in which they were written. `details.report_id` tells a reader that
//! two entries are one report.

use std::time::Duration;

use procura_verify::Verified;
use reqwest::{Client, StatusCode, redirect::Policy};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{database::Database, problem::Problem, settings::Settings};

const INSERT: &str = "INSERT INTO outbox (jti, action, resource_type, resource_id, happened_at) \
    VALUES ($1, $2, $3, $4, unixepoch())";
const INSERT_REFUSAL: &str = "INSERT INTO outbox (jti, action, resource_type, resource_id, \
    refused_for, happened_at) VALUES ($1, 'api.request', 'route', $2, $3, unixepoch())";
const NEXT: &str = "SELECT id, report_id, jti, action, resource_type, resource_id, refused_for, \
    happened_at FROM outbox WHERE refused_with IS NULL ORDER BY id LIMIT 1";
const DELIVERED: &str = "DELETE FROM outbox WHERE id = $1";
const SET_ASIDE: &str = "UPDATE outbox SET refused_with = $2 WHERE id = $1";
const COUNT: &str = "SELECT count(*) FROM outbox WHERE refused_with IS NULL";

/// Pauses after a failed delivery grow from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A delivery may take so long.
const WITHIN: Duration = Duration::from_secs(5);
/// The box is looked into at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was done, in the words of the audit log.
pub struct Event<'a> {
    /// For example `billing.summary.read`.
    pub action: &'static str,
    /// For example `ticket`.
    pub resource_type: &'static str,
    /// The one resource that was touched, if it was one.
    pub resource_id: Option<&'a str>,
}

#[derive(FromRow)]
struct Waiting {
    id: i64,
    report_id: String,
    jti: String,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    /// Why, where it was refused.
    refused_for: Option<String>,
    happened_at: i64,
}

#[derive(Serialize)]
struct Report<'a> {
    jti: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    resource_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_id: Option<&'a str>,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    report_id: &'a str,
    /// Unix seconds; the log's own time is that of the delivery.
    happened_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_for: Option<&'a str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// It will never be taken.
    SetAside,
    /// Later.
    Retry,
}

/// What an answer means for the report. Only what condemns this very report sets it aside: a 401,
/// 403 or 429 is about us and may change.
fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        400 | 404 | 413 | 415 | 422 => Outcome::SetAside,
        _ => Outcome::Retry,
    }
}

/// The outbox.
pub struct Outbox {
    database: Database,
    news: Notify,
    client: Client,
    url: String,
    id: String,
    secret: String,
}

impl Outbox {
    /// Prepares delivery; [`Outbox::deliver`] does it.
    pub fn new(settings: &Settings, database: Database) -> Result<Self, reqwest::Error> {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        Ok(Self {
            database,
            news: Notify::new(),
            // Our credentials go to the issuer and to nobody that it points to.
            client: Client::builder().redirect(Policy::none()).timeout(WITHIN).build()?,
            url: format!("{}/api/audit-events", settings.address()),
            // RFC 6749 §2.3.1: form-encoded before they go into Basic.
            id: encode(&settings.client_id),
            secret: encode(&settings.client_secret),
        })
    }

    /// Writes a report into the transaction of what it reports. Calls of a tenant's own people are
    /// not reported. After the commit, call [`Outbox::wake`].
    pub async fn write(
        &self,
        tx: &mut SqliteConnection,
        token: &Verified,
        event: &Event<'_>,
    ) -> sqlx::Result<()> {
        if !token.is_delegated() {
            return Ok(());
        }
        sqlx::query(INSERT)
            .bind(&token.claims().jti)
            .bind(event.action)
            .bind(event.resource_type)
            .bind(event.resource_id)
            .execute(tx)
            .await
            .map(|_| ())
    }

    /// Reports a read, durably, before its answer leaves.
    pub async fn report_read(&self, token: &Verified, event: &Event<'_>) -> Result<(), Problem> {
        if token.is_delegated() {
            let mut tx = self.database.begin().await?;
            self.write(&mut tx, token, event).await?;
            tx.commit().await?;
            self.wake();
        }
        Ok(())
    }

    /// Reports what a good token was refused, durably, before the answer leaves: which call (`GET /…`), and
    /// for what.
    pub async fn report_refusal(
        &self,
        token: &Verified,
        call: &str,
        refused_for: &str,
    ) -> sqlx::Result<()> {
        let mut tx = self.database.begin().await?;
        let insert = sqlx::query(INSERT_REFUSAL).bind(&token.claims().jti).bind(call);
        insert.bind(refused_for).execute(&mut *tx).await?;
        tx.commit().await?;
        self.wake();
        Ok(())
    }

    /// Tells the delivery that there is something new.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// How many reports wait.
    pub async fn waiting(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar(COUNT).fetch_one(&self.database.readers).await
    }

    /// Delivers for ever.
    pub async fn deliver(&self) {
        let mut pause = Duration::ZERO;
        loop {
            match self.deliver_next().await {
                Ok(Some(Outcome::Delivered | Outcome::SetAside)) => pause = Duration::ZERO,
                Ok(None) => {
                    pause = Duration::ZERO;
                    let _ = timeout(LOOK_EVERY, self.news.notified()).await;
                }
                Ok(Some(Outcome::Retry)) => {
                    pause = (pause * 2).clamp(BACKOFF.0, BACKOFF.1);
                    sleep(pause).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read or written");
                    pause = (pause * 2).clamp(BACKOFF.0, BACKOFF.1);
                    sleep(pause).await;
                }
            }
        }
    }

    /// Delivers the oldest report; `None` where there is none.
    async fn deliver_next(&self) -> sqlx::Result<Option<Outcome>> {
        let next = sqlx::query_as::<_, Waiting>(NEXT).fetch_optional(&self.database.readers);
        let Some(report) = next.await? else { return Ok(None) };
        let status = match self.post(&report).await {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "a report was not delivered");
                return Ok(Some(Outcome::Retry));
            }
        };
        let outcome = outcome(status);
        match outcome {
            Outcome::Delivered => self.settle(DELIVERED, report.id, None).await?,
            Outcome::SetAside => {
                tracing::warn!(%status, report = report.report_id, "a report was refused");
                self.settle(SET_ASIDE, report.id, Some(status)).await?;
            }
            Outcome::Retry => tracing::warn!(%status, "a report was not taken"),
        }
        Ok(Some(outcome))
    }

    async fn post(&self, report: &Waiting) -> Result<StatusCode, reqwest::Error> {
        let body = Report {
            jti: &report.jti,
            action: &report.action,
            result: report.refused_for.as_ref().map(|_| "refused"),
            resource_type: &report.resource_type,
            resource_id: report.resource_id.as_deref(),
            details: Details {
                report_id: &report.report_id,
                happened_at: report.happened_at,
                refused_for: report.refused_for.as_deref(),
            },
        };
        let request = self.client.post(&self.url).basic_auth(&self.id, Some(&self.secret));
        request.json(&body).send().await.map(|response| response.status())
    }

    async fn settle(
        &self,
        statement: &'static str,
        id: i64,
        status: Option<StatusCode>,
    ) -> sqlx::Result<()> {
        let mut tx = self.database.begin().await?;
        let mut query = sqlx::query(statement).bind(id);
        if let Some(status) = status {
            query = query.bind(i64::from(status.as_u16()));
        }
        query.execute(&mut *tx).await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_condemns_the_report_itself_sets_it_aside() {
        let of = |code| outcome(StatusCode::from_u16(code).unwrap_or_default());
        assert_eq!(of(201), Outcome::Delivered);
        for code in [400, 404, 422] {
            assert_eq!(of(code), Outcome::SetAside, "{code}");
        }
        for code in [302, 401, 403, 429, 500, 503] {
            assert_eq!(of(code), Outcome::Retry, "{code}");
        }
    }
}
