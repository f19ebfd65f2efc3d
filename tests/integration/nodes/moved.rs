//! A backup of one kind of database, restored into the other.

use std::fs;

use procura_tests::{Ended, House, HouseOptions, Postgres, Scratch, claims, procura};

use super::{PAT, READ_BILLING, ROOT};

const CUSTOMERS: &str = "/api/v1/partner/customers";

/// `procura …` with this house's folder and the database that the configuration names.
fn run(house: &House, database: Option<&str>, arguments: &[&str]) -> Ended {
    let config = house.data().join("moved.toml");
    let section = database.map(|url| format!("[database]\nurl = {url:?}\n"));
    fs::write(&config, section.unwrap_or_default()).unwrap();
    let (config, data) = (config.to_str().unwrap(), house.data_text());
    let ended = procura(&[arguments, &["--config", config, "--data", &data]].concat());
    assert!(ended.status.success(), "{ended:?}");
    ended
}

/// Everything moves; what was issued before stays behind.
async fn moves(from: Option<String>, to: Option<String>) {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = match from.clone() {
        None => House::on_a_file_with(options),
        Some(url) => House::start_with(HouseOptions { database: Some(url), ..options }),
    };
    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    let backup = backup.to_str().unwrap();
    let pat = house.log_in(PAT).await;
    let root = house.log_in(ROOT).await;
    let quotas = serde_json::json!({ "delegated_tokens_received_per_day": 50 });
    root.put("/api/admin/tenants/acme-corp/quotas", &quotas).await.expect(200);
    let before = pat.switch("acme-corp", READ_BILLING).await;
    run(&house, from.as_deref(), &["backup", "create", "--to", backup]);
    // The backup knows nothing of this one.
    let after = pat.switch("acme-corp", READ_BILLING).await;
    assert!(house.is_alive(&before).await && house.is_alive(&after).await);
    assert!(house.stop().status.success());
    run(&house, to.as_deref(), &["backup", "verify", backup]);
    run(&house, to.as_deref(), &["restore", "--from", backup]);

    house.move_to(to.clone());
    house.start_again();
    for token in [&before, &after] {
        assert!(!house.is_alive(token).await);
    }
    pat.get(CUSTOMERS).await.expect(401);
    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "invalid_request");
    // The same people, passwords, clients and relationships.
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    assert_eq!(claims(&token)["tenant"], house.tenant("acme-corp"));
    assert!(house.is_alive(&token).await);
    // Quotas too, and what was counted until the backup.
    let root = house.log_in(ROOT).await;
    let quotas = root.get("/api/tenants/quotas?tenantId=acme-corp").await.expect(200).json();
    let line = &quotas["quotas"]["delegated_tokens_received_per_day"];
    assert_eq!((line["limit"].as_u64(), line["used"].as_u64()), (Some(50), Some(2)));
    assert!(house.stop().status.success());
    let whole = run(&house, to.as_deref(), &["audit", "verify"]);
    assert!(whole.stdout.contains("is whole"), "{whole:?}");
}

#[tokio::test]
async fn a_backup_of_a_file_is_restored_into_postgres() {
    moves(None, Some(Postgres::shared().database())).await;
}

#[tokio::test]
async fn a_backup_of_postgres_is_restored_into_a_file() {
    moves(Some(Postgres::shared().database()), None).await;
}
