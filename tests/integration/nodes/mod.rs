//! Several nodes of one deployment on one Postgres: the same promises as with one.

mod copied;
mod cut_off;
mod faults;
mod incident;
mod last_admins;
mod moved;
mod once;
mod quotas;
mod rotation;
mod silence;
mod slowness;
mod start;
mod together;
mod waiting;

use procura_tests::{House, HouseOptions, Postgres};

const PAT: &str = "pat@northwind.test";
const ADA: &str = "ada@acme.test";
const ROOT: &str = "root@procura.test";
const BILLING: &str = "/api/v1/partner/billing/summary";
const READ_BILLING: &str = "partner.billing.read";

/// A node with a database of its own on the shared server.
fn first_node() -> House {
    on(Postgres::shared().database())
}

/// A node on this database.
fn on(database: String) -> House {
    House::start_with(HouseOptions { database: Some(database), ..HouseOptions::default() })
}
