//! Audit entries, and what else is exported, as a table (CSV, RFC 4180), for a spreadsheet: nothing in it is a formula.

use axum::http::{HeaderMap, header};
use procura_store::audit::Listed;
use procura_token::ClientId;

/// The media type.
pub(crate) const TYPE: &str = "text/csv; charset=utf-8; header=present";

const COLUMNS: [&str; 21] = [
    "id",
    "seq",
    "at",
    "action",
    "result",
    "reason",
    "actor_user_id",
    "actor_name",
    "actor_tenant_id",
    "actor_tenant_name",
    "target_tenant_id",
    "relationship_id",
    "delegation_id",
    "jti",
    "client_id",
    "ip",
    "request_id",
    "resource_type",
    "resource_id",
    "purpose",
    "details",
];

/// Whether a table is asked for by name; whoever takes anything gets JSON.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_csv = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/csv"));
        // A weight of nothing means "not this" (RFC 9110 §12.4.2).
        let is_refused = |part: &str| {
            let weight = part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("q"));
            weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0_f32))
        };
        is_csv && !parts.any(is_refused)
    })
}

/// The table, with a line of names first.
pub(crate) fn of(listed: &[Listed]) -> Option<String> {
    written(&COLUMNS, listed.iter().map(cells))
}

/// Any other table, with its line of names.
pub(crate) fn written<const N: usize>(
    names: &[&str; N],
    rows: impl Iterator<Item = [Option<String>; N]>,
) -> Option<String> {
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    table.write_record(names).ok()?;
    for row in rows {
        table.write_record(row.map(|cell| harmless(cell.unwrap_or_default()))).ok()?;
    }
    String::from_utf8(table.into_inner().ok()?).ok()
}

fn cells(listed: &Listed) -> [Option<String>; 21] {
    let entry = &listed.chained.entry;
    [
        Some(entry.id.to_string()),
        Some(listed.chained.seq.to_string()),
        Some(entry.at.rfc3339()),
        Some(entry.action.clone()),
        Some(entry.result.clone()),
        entry.reason.clone(),
        entry.actor_user_id.map(|id| id.to_string()),
        listed.actor_name.clone(),
        entry.actor_tenant_id.map(|id| id.to_string()),
        listed.actor_tenant_name.clone(),
        entry.target_tenant_id.map(|id| id.to_string()),
        entry.relationship_id.map(|id| id.to_string()),
        entry.delegation_id.map(|id| id.to_string()),
        entry.jti.clone(),
        entry.client_id.as_ref().map(ClientId::to_string),
        entry.ip.clone(),
        entry.request_id.clone(),
        entry.resource_type.clone(),
        entry.resource_id.clone(),
        entry.purpose.clone(),
        entry.details.clone(),
    ]
}

/// A partner chooses its people's names and what its services report, and the customer opens the table: what
/// a spreadsheet would take for a formula begins with an apostrophe.
fn harmless(cell: String) -> String {
    let first = cell.trim_start_matches([' ', '\u{a0}']).chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{cell}")
        }
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", "  =1", "＝1"] {
            assert_eq!(harmless(formula.to_owned()), format!("'{formula}"));
        }
        for text in ["", "Pat Partner", "{\"a\":\"=1\"}", "2026-01-01T00:00:00Z", "a=b"] {
            assert_eq!(harmless(text.to_owned()), text);
        }
    }

    #[test]
    fn a_table_is_for_whoever_names_it() {
        let wants = |accept: &'static str| {
            is_wanted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert!(wants("text/csv") && wants("application/json;q=0.5, TEXT/CSV ; q=0.9"));
        for other in ["*/*", "text/*", "application/json", "text/csv;q=0", "text/csvx", ""] {
            assert!(!wants(other), "{other}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
