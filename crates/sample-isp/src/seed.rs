//! The rows that a tenant starts with: always the same for the same tenant, different for each.

use std::collections::BTreeMap;

use procura_verify::token::TenantId;
use sqlx::{Sqlite, Transaction};

use crate::database::Database;

const INSERT_INVOICE: &str = "INSERT INTO invoices \
    (tenant_id, id, issued_on, due_on, amount_cents, status) VALUES ($1, $2, $3, $4, $5, $6)";
const INSERT_TICKET: &str = "INSERT INTO tickets (tenant_id, id, subject, description, priority, \
    status, opened_at, resolved_at, opened_by_tenant) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $1)";
const INSERT_SUBSCRIBER: &str = "INSERT INTO subscribers \
    (tenant_id, id, name, email, phone, plan, traffic_gb, is_active) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM invoices WHERE tenant_id = $1)";

/// Issued, due, status.
const INVOICES: &[(&str, &str, &str)] = &[
    ("2025-08-01", "2025-08-31", "paid"),
    ("2025-09-01", "2025-09-30", "paid"),
    ("2025-10-01", "2025-10-15", "overdue"),
    ("2025-10-15", "2025-10-31", "overdue"),
    ("2025-11-01", "2025-11-30", "open"),
    ("2025-11-15", "2025-12-15", "open"),
];

/// Subject, priority, status, opened (Unix seconds), hours until it was resolved.
const TICKETS: &[(&str, &str, &str, i64, Option<i64>)] = &[
    ("No light on the line card", "high", "resolved", 1_760_000_000, Some(6)),
    ("Router replacement", "normal", "closed", 1_760_500_000, Some(40)),
    ("Slow in the evening", "low", "in_progress", 1_762_000_000, None),
    ("Invoice sent twice", "normal", "open", 1_763_000_000, None),
];

/// Name, local part, phone, plan.
const SUBSCRIBERS: &[(&str, &str, &str, &str)] = &[
    ("Jane Miller", "jane", "+15550100142", "Fiber 1000"),
    ("Omar Haddad", "omar", "+15550100257", "Fiber 250"),
    ("Lena Fischer", "lena", "+15550100361", "Fiber 250"),
    ("Ravi Patel", "ravi", "+15550100478", "DSL 50"),
    ("Mei Tanaka", "mei", "+15550100583", "Fiber 1000"),
];

/// Gives each tenant without invoices its rows.
pub async fn fill(database: &Database, tenants: &BTreeMap<String, TenantId>) -> sqlx::Result<()> {
    let mut tx = database.begin().await?;
    for (slug, tenant) in tenants {
        let tenant = tenant.to_string();
        let is_empty: bool = sqlx::query_scalar(IS_EMPTY).bind(&tenant).fetch_one(&mut *tx).await?;
        if is_empty {
            invoices(&mut tx, &tenant, slug).await?;
            tickets(&mut tx, &tenant, slug).await?;
            subscribers(&mut tx, &tenant, slug).await?;
        }
    }
    tx.commit().await
}

/// A number that differs from tenant to tenant, so that a leak between them shows in the totals.
fn weight(slug: &str) -> i64 {
    slug.bytes().fold(7, |sum, byte| (sum * 31 + i64::from(byte)) % 9_973)
}

async fn invoices(tx: &mut Transaction<'_, Sqlite>, tenant: &str, slug: &str) -> sqlx::Result<()> {
    for (number, (issued_on, due_on, status)) in (1_i64..).zip(INVOICES) {
        sqlx::query(INSERT_INVOICE)
            .bind(tenant)
            .bind(format!("inv_{slug}_{number}"))
            .bind(issued_on)
            .bind(due_on)
            .bind(number * 10_000 + weight(slug))
            .bind(status)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn tickets(tx: &mut Transaction<'_, Sqlite>, tenant: &str, slug: &str) -> sqlx::Result<()> {
    for (number, (subject, priority, status, opened_at, hours)) in (1_i64..).zip(TICKETS) {
        sqlx::query(INSERT_TICKET)
            .bind(tenant)
            .bind(format!("tkt_{slug}_{number}"))
            .bind(subject)
            .bind(format!("Reported by a subscriber of {slug}."))
            .bind(priority)
            .bind(status)
            .bind(opened_at)
            .bind(hours.map(|hours| opened_at + hours * 3_600))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn subscribers(
    tx: &mut Transaction<'_, Sqlite>,
    tenant: &str,
    slug: &str,
) -> sqlx::Result<()> {
    for (number, (name, local, phone, plan)) in (1_i64..).zip(SUBSCRIBERS) {
        sqlx::query(INSERT_SUBSCRIBER)
            .bind(tenant)
            .bind(format!("sub_{slug}_{number}"))
            .bind(name)
            .bind(format!("{local}@{slug}.test"))
            .bind(phone)
            .bind(plan)
            .bind(number * 100 + weight(slug) % 100)
            .bind(number != 4)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_of_the_demo_differ_in_their_totals() {
        let slugs = ["acme-corp", "fabrikam", "contoso", "globex", "initech", "umbrella"];
        let weights: std::collections::BTreeSet<_> = slugs.into_iter().map(weight).collect();
        assert_eq!(weights.len(), slugs.len());
    }
}
