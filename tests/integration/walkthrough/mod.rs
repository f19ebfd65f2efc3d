//! The walk-through: what the project promises to partners, customers and operators, told with the
//! real processes.

mod active_tenant;
mod activity;
mod agreements;
mod any_sequence;
mod api_keys;
mod asked_each_time;
mod asked_with_a_key;
mod audit_log;
mod bounds_of_keys;
mod break_glass;
mod crowded;
mod customer_control;
mod dates;
mod ends_of_keys;
mod enforced;
mod explain;
mod explained_tokens;
mod foreseen;
mod idempotency;
mod incident;
mod invitation;
pub mod last_admins;
mod lifecycle;
mod login;
mod notices;
mod people;
mod policies;
mod quotas;
mod race;
mod refusals;
mod refused_there;
mod requests;
mod restart;
mod restricted;
mod reviews;
mod running;
mod start;
mod subject_tokens;
mod transitions;
mod trust;

use procura_tests::{Answer, Isp};
use serde_json::json;

const ROOT: &str = "root@procura.test";
const PAT: &str = "pat@northwind.test";
const SAM: &str = "sam@northwind.test";
const TOM: &str = "tom@northwind.test";
const ADA: &str = "ada@acme.test";

const BILLING: &str = "/api/v1/partner/billing/summary";
const TICKETS: &str = "/api/v1/partner/support/tickets";
const READ_BILLING: &str = "partner.billing.read";
const CREATE_TICKETS: &str = "partner.support.tickets.create";

/// The token works at the sample resource server.
#[track_caller]
fn works(answer: &Answer) {
    answer.expect(200);
}

/// Opens a ticket (seed 001's example).
async fn open_ticket(isp: &Isp, token: &str) -> Answer {
    let ticket = json!({
        "subject": "Service outage",
        "description": "Fiber cut at Mile 42",
        "priority": "urgent",
    });
    isp.post(token, TICKETS, &ticket).await
}

/// The sample resource server refuses the token as one that is no good, or no longer.
async fn dead(isp: &Isp, token: &str) {
    let answer = isp.get(token, BILLING).await;
    answer.expect(401);
    let says = answer.header("www-authenticate");
    assert!(says.is_some_and(|says| says.starts_with("Bearer error=\"invalid_token\"")));
}

/// What all targets answer that somebody may not enter.
#[track_caller]
fn not_available(answer: &Answer) {
    let text = answer.oauth_error(400, "invalid_target");
    assert_eq!(text, "The requested target is not available.");
}

/// What all subject tokens answer that cannot be exchanged.
#[track_caller]
fn unusable(answer: &Answer) {
    let text = answer.oauth_error(400, "invalid_request");
    assert_eq!(text, "The subject token cannot be exchanged.");
}

/// A change that killed something, and was waited for: every live verifier has applied it.
#[track_caller]
fn applied_everywhere(answer: &Answer) {
    let revoked = answer.expect(200).json()["revoked"].clone();
    let count = |name: &str| revoked["verifiers"][name].as_u64().expect("a number");
    assert!(count("live") >= 1, "no verifier is live: {revoked}");
    assert_eq!(count("confirmed"), count("live"), "{revoked}");
}
