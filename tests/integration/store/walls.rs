//! The second wall between tenants, on Postgres: a statement without any WHERE, run in the context of a
//! tenant, sees only what that tenant owns or is an end of.

use procura_store::{OpenError, Store, audit::Entry};
use procura_tests::Postgres;
use procura_token::{AuditId, TenantId, UserId};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{
    Empty, Location,
    world::{EDGE, NOW, PARTNER, client, customer, edge, tenant, user},
};

const CUSTOMERS: [TenantId; 2] = [customer(1), customer(2)];

/// One partner, two customers, a person, an edge and an audit entry of each.
async fn world(empty: &Empty) -> Store {
    let store = empty.open().await;
    let mut tx = store.begin(NOW).await.unwrap();
    for (n, id) in (0..).zip([PARTNER].into_iter().chain(CUSTOMERS)) {
        tx.insert_tenant(&tenant(id)).await.unwrap();
        tx.insert_user(&user(UserId::from_bits(n), id)).await.unwrap();
        let entry = Entry::new(AuditId::from_bits(n), NOW, "test", "ok");
        tx.audit(Entry { target_tenant_id: Some(id), ..entry });
    }
    for n in [1, 2] {
        tx.insert_relationship(&edge(n), None).await.unwrap();
    }
    tx.commit().await.unwrap();
    store
}

/// The rows of a table that a context sees.
async fn seen(connection: &mut PgConnection, context: Option<&str>, table: &str) -> i64 {
    let mut open = connection.begin().await.unwrap();
    if let Some(context) = context {
        let enter = sqlx::query("SELECT set_config('procura.tenant', $1, true)");
        enter.bind(context).execute(&mut *open).await.unwrap();
    }
    let count = AssertSqlSafe(format!("SELECT count(*) AS n FROM {table}"));
    sqlx::query(count).fetch_one(&mut *open).await.unwrap().get("n")
}

#[tokio::test]
async fn a_statement_without_a_where_sees_one_tenant_only() {
    let empty = Empty::postgres();
    let _store = world(&empty).await;
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let (msp, acme) = (PARTNER.to_string(), CUSTOMERS[0].to_string());
    for (table, everybody, partner, customer) in
        [("users", 3, 1, 1), ("relationships", 2, 2, 1), ("audit", 3, 1, 1)]
    {
        let mut see = async |context| seen(&mut connection, context, table).await;
        assert_eq!(see(Some("*")).await, everybody, "{table}: where all is looked at");
        assert_eq!(see(Some(&msp)).await, partner, "{table}: the partner");
        assert_eq!(see(Some(&acme)).await, customer, "{table}: a customer");
        assert_eq!(see(Some("ten_nobody")).await, 0, "{table}: a stranger");
        assert_eq!(see(None).await, 0, "{table}: without a context");
    }
}

#[tokio::test]
async fn what_a_login_gave_is_seen_where_its_person_is() {
    let empty = Empty::postgres();
    let store = world(&empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    tx.insert_client(&client("cli_app")).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    sqlx::query("SELECT set_config('procura.tenant', '*', false)")
        .execute(&mut connection)
        .await
        .unwrap();
    // One login of each person, with whatever it can leave behind.
    for statement in [
        "INSERT INTO sessions (id, user_id, tenant_id, cookie_hash, auth_time, acr, amr, idp, \
         expires_at) SELECT 's' || id, id, tenant_id, id, 0, '', '', '', 0 FROM users",
        "INSERT INTO authorization_codes (code_hash, session_id, client_id, grant_json, expires_at) \
         SELECT id, 's' || id, 'cli_app', '{}', 0 FROM users",
        "INSERT INTO consents SELECT id, 'cli_app', 'openid', 0 FROM users",
        "INSERT INTO home_tokens (jti, session_id, user_id, client_id, origin_hash, expires_at) \
         SELECT id, 's' || id, id, 'cli_app', id, 0 FROM users",
        "INSERT INTO logout_notices (client_id, user_id, session_id, attempts, next_at, created_at) \
         SELECT 'cli_app', id, 's' || id, 0, 0, 0 FROM users",
        "INSERT INTO refresh_families (origin_hash, session_id, user_id, tenant_id, client_id, \
         grant_json, ends_at, idle_ends_at) \
         SELECT id, 's' || id, id, tenant_id, 'cli_app', '{}', 0, 0 FROM users",
        "INSERT INTO refresh_tokens (token_hash, origin_hash) SELECT id, id FROM users",
        "INSERT INTO session_clients SELECT 's' || id, 'cli_app' FROM users",
    ] {
        let done = sqlx::query(statement).execute(&mut connection).await;
        assert!(done.is_ok(), "{statement}: {:?}", done.err());
    }
    let mut fresh = PgConnection::connect(empty.url()).await.unwrap();
    let acme = CUSTOMERS[0].to_string();
    for table in [
        "authorization_codes",
        "consents",
        "home_tokens",
        "logout_notices",
        "refresh_tokens",
        "session_clients",
    ] {
        let mut see = async |context| seen(&mut fresh, context, table).await;
        assert_eq!(see(Some("*")).await, 3, "{table}: where all is looked at");
        assert_eq!(see(Some(&acme)).await, 1, "{table}: a customer");
        assert_eq!(see(Some("ten_nobody")).await, 0, "{table}: a stranger");
        assert_eq!(see(None).await, 0, "{table}: without a context");
    }
}

#[tokio::test]
async fn what_was_used_is_seen_by_its_two_ends() {
    let empty = Empty::postgres();
    let _store = world(&empty).await;
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let everywhere = "SELECT set_config('procura.tenant', '*', false)";
    sqlx::query(everywhere).execute(&mut connection).await.unwrap();
    let [acme, globex] = CUSTOMERS;
    let counts = format!(
        "INSERT INTO token_counts (day, customer_id, partner_id, tokens) VALUES \
         (1, '{acme}', '{PARTNER}', 1), (1, '{globex}', '{PARTNER}', 1), (1, '*', '{PARTNER}', 2)"
    );
    let quotas = format!(
        "INSERT INTO quotas (tenant_id, inherited, version) \
         VALUES ('{acme}', '', 1), ('{PARTNER}', '', 1)"
    );
    for statement in [counts, quotas] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    let mut fresh = PgConnection::connect(empty.url()).await.unwrap();
    let (msp, acme) = (PARTNER.to_string(), acme.to_string());
    for (table, everybody, partner, customer) in [("token_counts", 3, 3, 1), ("quotas", 2, 1, 1)] {
        let mut see = async |context| seen(&mut fresh, context, table).await;
        assert_eq!(see(Some("*")).await, everybody, "{table}: where all is looked at");
        assert_eq!(see(Some(&msp)).await, partner, "{table}: the partner");
        assert_eq!(see(Some(&acme)).await, customer, "{table}: a customer");
        assert_eq!(see(Some("ten_nobody")).await, 0, "{table}: a stranger");
        assert_eq!(see(None).await, 0, "{table}: without a context");
    }
}

/// Tables that hold nothing of a single tenant, or only one-time values that nobody lists.
const COMMON: &[&str] = &[
    "_sqlx_migrations",
    "audit_checkpoints",
    "device_codes",
    "head",
    "interactions",
    "invitations",
    "pushed_requests",
    "resource_servers",
    "revocations",
    "sealed_secrets",
    "signing_keys",
    "tenants",
    "upstream_logins",
    "used_values",
    "uses_read",
    "verifiers",
];

#[tokio::test]
async fn every_table_of_a_tenant_has_its_wall() {
    let empty = Empty::postgres();
    empty.open().await.close().await;
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let tables = sqlx::query(
        "SELECT c.relname::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS has_wall \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1",
    );
    for row in tables.fetch_all(&mut connection).await.unwrap() {
        let (name, has_wall): (String, bool) = (row.get("name"), row.get("has_wall"));
        assert_eq!(has_wall, !COMMON.contains(&name.as_str()), "{name}");
    }
}

#[tokio::test]
async fn a_tenants_reads_run_behind_the_wall() {
    let empty = Empty::postgres();
    let store = world(&empty).await;
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let [acme, globex] = CUSTOMERS;
    assert_eq!(store.list_users(acme).await.unwrap().len(), 1);
    assert_eq!(store.list_managing(acme).await.unwrap().len(), 1);
    assert_eq!(store.list_managed(PARTNER).await.unwrap().len(), 2);
    // Now the wall of the table is closed for this tenant: what still sees it has passed the wall.
    for table in ["users", "relationships"] {
        let owners = if table == "users" { "tenant_id" } else { "customer_id" };
        let close = format!(
            "CREATE POLICY closed ON {table} AS RESTRICTIVE USING ({owners} <> '{acme}' \
             OR current_setting('procura.tenant', true) = '*')"
        );
        sqlx::query(AssertSqlSafe(close)).execute(&mut connection).await.unwrap();
    }
    assert_eq!(store.list_users(acme).await.unwrap().len(), 0);
    assert!(store.find_user(acme, UserId::from_bits(1)).await.unwrap().is_none());
    assert_eq!(store.list_managing(acme).await.unwrap().len(), 0);
    assert!(store.find_relationship(acme, EDGE).await.unwrap().is_none());
    assert_eq!(store.list_users(globex).await.unwrap().len(), 1, "the neighbour is untouched");
}

#[tokio::test]
async fn a_role_that_passes_walls_is_refused() {
    let database = Empty::postgres();
    let name = database.url().split('/').nth(3).unwrap().split('?').next().unwrap().to_owned();
    let superuser = Location::Postgres(Postgres::shared().url("postgres", &name));
    assert_eq!(Store::open(superuser).await.err(), Some(OpenError::NoWalls));
    assert!(Store::open(Location::Postgres(database.url().to_owned())).await.is_ok());
}
