//! Invoices and their totals.

use std::fmt::Write as _;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use procura_verify::Verified;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::{Date, macros::format_description};

use crate::{input::Parameters, outbox::Event, problem::Problem, routes::App};

const SUMMARY: &str = "SELECT count(*) AS invoices, coalesce(sum(amount_cents), 0) AS total_cents, \
    coalesce(sum(amount_cents) FILTER (WHERE status = 'paid'), 0) AS paid_cents, \
    coalesce(sum(amount_cents) FILTER (WHERE status = 'open'), 0) AS open_cents, \
    coalesce(sum(amount_cents) FILTER (WHERE status = 'overdue'), 0) AS overdue_cents \
    FROM invoices WHERE tenant_id = $1 AND ($2 IS NULL OR issued_on >= $2) \
    AND ($3 IS NULL OR status = $3)";
const INVOICES: &str = "SELECT id, issued_on, due_on, amount_cents, status FROM invoices \
    WHERE tenant_id = $1 AND ($2 IS NULL OR issued_on >= $2) AND ($3 IS NULL OR status = $3) \
    ORDER BY issued_on DESC, id LIMIT 200";
const ALL: &str = "SELECT id, issued_on, due_on, amount_cents, status FROM invoices \
    WHERE tenant_id = $1 ORDER BY issued_on, id";

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Paid,
    Overdue,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Overdue => "overdue",
        }
    }
}

/// `?from_date=2025-10-01&status=overdue`, both optional.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    from_date: Option<String>,
    status: Option<Status>,
}

impl Asked {
    /// The date and the status as the database compares them.
    fn filter(&self) -> Result<(Option<&str>, Option<&'static str>), Problem> {
        let from = self.from_date.as_deref();
        if from.is_some_and(|text| !is_date(text)) {
            return Err(Problem::FROM_DATE);
        }
        Ok((from, self.status.map(Status::word)))
    }
}

/// Whether the text is a day of the calendar, in the one spelling that sorts like time.
fn is_date(text: &str) -> bool {
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_plain && Date::parse(text, format_description!("[year]-[month]-[day]")).is_ok()
}

#[derive(Serialize, FromRow)]
struct Totals {
    invoices: i64,
    total_cents: i64,
    paid_cents: i64,
    open_cents: i64,
    overdue_cents: i64,
}

/// `{tenant_id, currency, from_date, status, invoices, total_cents, paid_cents, open_cents,
/// overdue_cents}`
#[derive(Serialize)]
pub struct Summary {
    tenant_id: String,
    currency: &'static str,
    from_date: Option<String>,
    status: Option<&'static str>,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize, FromRow)]
struct Invoice {
    id: String,
    issued_on: String,
    due_on: String,
    amount_cents: i64,
    status: String,
}

/// `{tenant_id, currency, invoices: [{id, issued_on, due_on, amount_cents, status}]}`
#[derive(Serialize)]
pub struct InvoiceList {
    tenant_id: String,
    currency: &'static str,
    invoices: Vec<Invoice>,
}

/// `GET /api/v1/partner/billing/summary`
pub async fn summary(
    State(app): State<App>,
    token: Verified,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Summary>, Problem> {
    let (from, status) = asked.filter()?;
    let tenant_id = token.tenant().to_string();
    let totals = sqlx::query_as(SUMMARY)
        .bind(&tenant_id)
        .bind(from)
        .bind(status)
        .fetch_one(&app.database.readers)
        .await?;
    let event = Event {
        action: "billing.summary.read",
        resource_type: "billing_summary",
        resource_id: None,
    };
    app.outbox.report_read(&token, &event).await?;
    let from_date = asked.from_date;
    Ok(Json(Summary { tenant_id, currency: "EUR", from_date, status, totals }))
}

/// `GET /api/v1/partner/billing/invoices`
pub async fn invoices(
    State(app): State<App>,
    token: Verified,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<InvoiceList>, Problem> {
    let (from, status) = asked.filter()?;
    let tenant_id = token.tenant().to_string();
    let invoices = sqlx::query_as(INVOICES)
        .bind(&tenant_id)
        .bind(from)
        .bind(status)
        .fetch_all(&app.database.readers)
        .await?;
    let event =
        Event { action: "billing.invoices.read", resource_type: "invoice", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    Ok(Json(InvoiceList { tenant_id, currency: "EUR", invoices }))
}

/// `GET /api/v1/partner/billing/invoices/export`: every invoice there is, as CSV with a first line of names.
pub async fn export(
    State(app): State<App>,
    token: Verified,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let tenant_id = token.tenant().to_string();
    let invoices: Vec<Invoice> =
        sqlx::query_as(ALL).bind(&tenant_id).fetch_all(&app.database.readers).await?;
    let event =
        Event { action: "billing.invoices.export", resource_type: "invoice", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    let mut text = "id,issued_on,due_on,amount_cents,status\n".to_owned();
    for Invoice { id, issued_on, due_on, amount_cents, status } in invoices {
        // None of them can hold a comma or a quote: ids and words of ours, dates, a number.
        let _ = writeln!(text, "{id},{issued_on},{due_on},{amount_cents},{status}");
    }
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_one_spelling_and_exists() {
        assert!(is_date("2025-10-01") && is_date("2024-02-29"));
        for bad in ["", "2025-02-29", "2025-1-1", "01.10.2025", "2025-10-01 ", "+025-10-01"] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
