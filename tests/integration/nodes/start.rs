//! Starting, and refusing to start, on Postgres.

use procura_tests::{House, HouseOptions, Postgres, procura};

use super::{PAT, READ_BILLING, on};

#[tokio::test]
async fn two_nodes_that_start_at_once_on_an_empty_database_make_one_schema() {
    let database = Postgres::shared().database();
    let start = |database: String| {
        let options = HouseOptions {
            database: Some(database),
            environment: vec![("PROCURA__KEYS__MASTER_KEY", "5a".repeat(32))],
            ..HouseOptions::default()
        };
        tokio::task::spawn_blocking(move || House::bare(&options))
    };
    let (one, two) = tokio::join!(start(database.clone()), start(database));
    drop((one.unwrap(), two.unwrap()));
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_of_the_node() {
    let mut house = House::start_with(HouseOptions {
        database: Some(Postgres::shared().database()),
        is_restarted: true,
        ..HouseOptions::default()
    });
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    assert!(house.stop().status.success());
    house.start_again();
    assert!(house.is_alive(&token).await);
    pat.switch("acme-corp", READ_BILLING).await;
}

#[test]
fn a_database_that_cannot_be_used_is_one_clear_line() {
    let postgres = Postgres::shared();
    let house_data = procura_tests::Scratch::new();
    let data = house_data.path().join("data");
    let data = data.to_str().unwrap();
    for (url, why) in [
        (postgres.url("procura", "no_such_database"), "it cannot be opened"),
        ("postgres://procura@127.0.0.1:1/procura".to_owned(), "it cannot be opened"),
        ("mysql://somewhere".to_owned(), "the database's URL cannot be read"),
        (postgres.url("postgres", "postgres"), "its role passes row-level security"),
    ] {
        let file = house_data.path().join("url");
        std::fs::write(&file, &url).unwrap();
        let config = house_data.path().join("procura.toml");
        let text = format!("[database]\nurl_file = {file:?}\n[log]\nfilter = \"off\"\n");
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        let ended =
            procura(&["serve", "--config", config, "--data", data, "--listen", "127.0.0.1:0"]);
        let line = ended.refused();
        assert!(line.contains(why), "{url}: {line}");
        assert!(!line.contains("://"), "no URL, which can hold a password: {line}");
    }
}

#[tokio::test]
async fn the_audit_log_is_verified_on_postgres_too() {
    let database = Postgres::shared().database();
    let house = on(database.clone());
    house.log_in(PAT).await.switch("acme-corp", READ_BILLING).await;
    let file = house.data().join("url");
    std::fs::write(&file, &database).unwrap();
    let config = house.data().join("procura.toml");
    std::fs::write(&config, format!("[database]\nurl_file = {file:?}\n")).unwrap();
    let config = config.to_str().unwrap();
    let ended = procura(&["audit", "verify", "--config", config, "--data", &house.data_text()]);
    assert!(ended.stdout.contains("The audit log is whole"), "{ended:?}");
}
