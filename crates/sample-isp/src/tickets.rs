//! Support tickets: list, open, move.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use procura_verify::Verified;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::{
    input::{Body, Parameters},
    outbox::Event,
    problem::Problem,
    routes::App,
};

const LIST: &str = "SELECT id, subject, description, priority, status, opened_at, resolved_at, \
    opened_by, opened_by_tenant FROM tickets \
    WHERE tenant_id = $1 AND ($2 IS NULL OR status = $2) \
    ORDER BY opened_at DESC, id LIMIT 200";
const INSERT: &str = "INSERT INTO tickets (tenant_id, id, subject, description, priority, status, \
    opened_at, opened_by, opened_by_tenant) \
    VALUES ($1, 'tkt_' || lower(hex(randomblob(16))), $2, $3, $4, 'open', unixepoch(), $5, $6) \
    RETURNING id, subject, description, priority, status, opened_at, resolved_at, opened_by, \
    opened_by_tenant";
const UPDATE: &str = "UPDATE tickets SET status = $3, resolved_at = CASE \
    WHEN $3 IN ('resolved', 'closed') THEN coalesce(resolved_at, unixepoch()) END \
    WHERE tenant_id = $1 AND id = $2 \
    RETURNING id, subject, description, priority, status, opened_at, resolved_at, opened_by, \
    opened_by_tenant";

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

impl Priority {
    const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    InProgress,
    Resolved,
    Closed,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }
}

/// `?status=open|in_progress|resolved|closed`, optional.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    status: Option<Status>,
}

/// `{subject, description, priority?: low|normal|high|urgent}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    subject: String,
    description: String,
    #[serde(default)]
    priority: Priority,
}

impl New {
    fn check(&self) -> Result<(), Problem> {
        let is_text =
            |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
        let is_break = |c: char| matches!(c, '\n' | '\r' | '\t');
        if !is_text(&self.subject, 200) || self.subject.chars().any(char::is_control) {
            return Err(Problem::SUBJECT);
        }
        let has_control = self.description.chars().any(|c| c.is_control() && !is_break(c));
        if !is_text(&self.description, 4_000) || has_control {
            return Err(Problem::DESCRIPTION);
        }
        Ok(())
    }
}

/// `{status: open|in_progress|resolved|closed}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    status: Status,
}

/// A ticket. Times are Unix seconds; `opened_by` is absent where software or nobody did.
#[derive(Debug, Serialize, FromRow)]
pub struct Ticket {
    id: String,
    subject: String,
    description: String,
    priority: String,
    status: String,
    opened_at: i64,
    resolved_at: Option<i64>,
    opened_by: Option<String>,
    opened_by_tenant: String,
}

/// `{tenant_id, tickets: […]}`
#[derive(Serialize)]
pub struct Tickets {
    tenant_id: String,
    tickets: Vec<Ticket>,
}

/// `GET /api/v1/partner/support/tickets`
pub async fn list(
    State(app): State<App>,
    token: Verified,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Tickets>, Problem> {
    let tenant_id = token.tenant().to_string();
    let tickets = sqlx::query_as(LIST)
        .bind(&tenant_id)
        .bind(asked.status.map(Status::word))
        .fetch_all(&app.database.readers)
        .await?;
    let event =
        Event { action: "support.tickets.read", resource_type: "ticket", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    Ok(Json(Tickets { tenant_id, tickets }))
}

/// `POST /api/v1/partner/support/tickets` → 201 ticket
pub async fn create(
    State(app): State<App>,
    token: Verified,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Ticket>), Problem> {
    new.check()?;
    let mut tx = app.database.begin().await?;
    let ticket: Ticket = sqlx::query_as(INSERT)
        .bind(token.tenant().to_string())
        .bind(&new.subject)
        .bind(&new.description)
        .bind(new.priority.word())
        .bind(token.actor().map(|actor| actor.to_string()))
        .bind(token.actor_tenant().to_string())
        .fetch_one(&mut *tx)
        .await?;
    let event = Event {
        action: "support.ticket.create",
        resource_type: "ticket",
        resource_id: Some(&ticket.id),
    };
    app.outbox.write(&mut tx, &token, &event).await?;
    tx.commit().await?;
    app.outbox.wake();
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// `PATCH /api/v1/partner/support/tickets/{id}` → ticket
pub async fn update(
    State(app): State<App>,
    token: Verified,
    id: Result<Path<String>, PathRejection>,
    Body(change): Body<Change>,
) -> Result<Json<Ticket>, Problem> {
    let Path(id) = id.map_err(|_| Problem::NOT_FOUND)?;
    let mut tx = app.database.begin().await?;
    let ticket: Option<Ticket> = sqlx::query_as(UPDATE)
        .bind(token.tenant().to_string())
        .bind(&id)
        .bind(change.status.word())
        .fetch_optional(&mut *tx)
        .await?;
    let ticket = ticket.ok_or(Problem::NOT_FOUND)?;
    let event = Event {
        action: "support.ticket.update",
        resource_type: "ticket",
        resource_id: Some(&ticket.id),
    };
    app.outbox.write(&mut tx, &token, &event).await?;
    tx.commit().await?;
    app.outbox.wake();
    Ok(Json(ticket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, description: &str) -> Result<(), Problem> {
        let (subject, description) = (subject.to_owned(), description.to_owned());
        New { subject, description, priority: Priority::Normal }.check()
    }

    #[test]
    fn a_ticket_has_one_line_and_a_bounded_text() {
        assert_eq!(check("Service outage", "Fiber cut\nat Mile 42"), Ok(()));
        assert_eq!(check(&"ü".repeat(200), &"ü".repeat(4_000)), Ok(()));
        for bad in ["", "  ", "a\nb", "a\0b", &"a".repeat(201)] {
            assert_eq!(check(bad, "text"), Err(Problem::SUBJECT), "{bad:?}");
        }
        for bad in ["", "\n", "a\0b", "\u{1b}[31m", &"a".repeat(4_001)] {
            assert_eq!(check("subject", bad), Err(Problem::DESCRIPTION), "{bad:?}");
        }
    }

    #[test]
    fn unknown_members_and_words_are_refused() {
        for bad in [
            r#"{"subject":"a","description":"b","tenant_id":"ten_1"}"#,
            r#"{"subject":"a","description":"b","priority":"URGENT"}"#,
            r#"{"subject":"a","description":"b","subject":"c"}"#,
            r#"{"subject":"a"}"#,
        ] {
            assert!(serde_json::from_str::<New>(bad).is_err(), "{bad}");
        }
    }
}
