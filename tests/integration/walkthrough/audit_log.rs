//! The audit log proves that nobody has changed it: `procura audit verify`.

use std::{fs, path::Path};

use procura_tests::{Ended, House, Scratch, procura};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{ADA, PAT, READ_BILLING};

/// What somebody with the database in hand does first; the triggers are only there against mistakes.
const UNLOCK: &str = "DROP TRIGGER audit_is_append_only_update; \
                      DROP TRIGGER audit_is_append_only_delete;";
/// Cuts the tail and sets the head to match.
const CUT: &str = "DELETE FROM audit WHERE seq > 4; \
    UPDATE head SET audit_seq = 4, audit_hash = (SELECT hash FROM audit WHERE seq = 4)";
const CHECKPOINTS: &str = "audit-checkpoints.jws";

#[tokio::test]
async fn a_whole_log_is_said_to_be_whole_with_and_without_the_server() {
    let mut house = busy_house().await;
    let running = verify(&house.data());
    assert!(running.status.success() && running.stdout.contains("is whole"), "{running:?}");
    house.stop();
    let stopped = verify(&house.data());
    assert!(stopped.status.success() && stopped.stdout.contains("is whole"), "{stopped:?}");
    // Ending the server sealed it.
    assert!(!stopped.stdout.contains("with 0 signed checkpoints"), "{stopped:?}");
}

#[tokio::test]
async fn changed_removed_and_reordered_entries_are_found() {
    let mut house = busy_house().await;
    house.stop();
    let granted = "WHERE action = 'token.exchange' AND result = 'ok'";
    for change in ["reason = 'x'", "actor_user_id = NULL", "at = at + 1", "jti = 'x'"] {
        let line = broken_by(&house, &format!("UPDATE audit SET {change} {granted}")).await;
        assert!(line.contains(" was changed"), "{change}: {line}");
    }
    let swap = "UPDATE audit SET seq = -1 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; \
                UPDATE audit SET seq = 4 WHERE seq = -1";
    let close_up = "DELETE FROM audit WHERE seq = 3; UPDATE audit SET seq = seq - 1 WHERE seq > 3";
    let rechain = "UPDATE audit SET prev_hash = hash WHERE seq = 3";
    let cases = [
        ("DELETE FROM audit WHERE seq = 3", "entry 3 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1 is missing"),
        ("UPDATE audit SET seq = 9999 WHERE seq = 3", "entry 3 is missing"),
        (swap, "entry 3 was changed"),
        (close_up, "entry 3 was changed"),
        (rechain, "entry 3 was changed"),
    ];
    for (change, finding) in cases {
        let line = broken_by(&house, change).await;
        assert!(line.contains(finding), "{change}: {line}");
    }
}

#[tokio::test]
async fn a_cut_tail_is_found_even_if_head_and_checkpoints_are_cut_with_it() {
    let mut house = busy_house().await;
    house.stop();
    let last = "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)";
    let all = "DELETE FROM audit; UPDATE head SET audit_seq = 0, audit_hash = \
               '0000000000000000000000000000000000000000000000000000000000000000'";
    for change in [last, CUT, all] {
        let line = broken_by(&house, change).await;
        assert!(line.contains("a signed checkpoint saw entry"), "{change}: {line}");
        // The checkpoints in the database go too: there is a copy beside it.
        let line = broken_by(&house, &format!("{change}; DELETE FROM audit_checkpoints")).await;
        assert!(line.contains("a signed checkpoint saw entry"), "{change}: {line}");
    }
    let line = broken_by(&house, "UPDATE audit_checkpoints SET statement = 'a.b.c'").await;
    assert!(line.contains("a checkpoint is not genuine"), "{line}");
}

/// Whoever rewrites everything on this machine meets the copy that was kept on another.
#[tokio::test]
async fn a_checkpoint_that_was_kept_elsewhere_is_a_witness_too() {
    let mut house = busy_house().await;
    house.stop();
    let kept = Scratch::new();
    let elsewhere = kept.path().join("kept.jws");
    fs::copy(house.data().join(CHECKPOINTS), &elsewhere).expect("the server kept a copy");
    let folder = tampered(&house, &format!("{CUT}; DELETE FROM audit_checkpoints")).await;
    fs::remove_file(folder.path().join(CHECKPOINTS)).unwrap();
    assert!(verify(folder.path()).status.success(), "here is nobody left to tell");
    let data = folder.path().to_str().unwrap();
    let file = elsewhere.to_str().unwrap();
    let ended = procura(&["audit", "verify", "--data", data, "--checkpoints", file]);
    let line = ended.refused();
    assert!(line.contains("ends at 4") && line.contains("a signed checkpoint"), "{line}");
}

/// A house with more than a handful of entries in its log.
async fn busy_house() -> House {
    let house = House::on_a_file();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    pat.switch("acme-corp", READ_BILLING).await;
    assert_eq!(pat.exchange("contoso", READ_BILLING).await.status, 400);
    ada.delete(&house.relationship("northwind>acme-corp")).await.expect(200);
    house
}

/// The one line with which `audit verify` refuses after that was done to the database.
async fn broken_by(house: &House, change: &str) -> String {
    let folder = tampered(house, change).await;
    verify(folder.path()).refused().to_owned()
}

/// A copy of a stopped house's data, with that done to its database.
async fn tampered(house: &House, change: &str) -> Scratch {
    let folder = Scratch::new();
    for entry in fs::read_dir(house.data()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let options = SqliteConnectOptions::new().filename(folder.path().join("procura.db"));
    let mut database = SqliteConnection::connect_with(&options).await.expect("the database");
    for statements in [UNLOCK, change] {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()));
        done.execute(&mut database).await.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }
    let counted = sqlx::query_scalar("SELECT total_changes()").fetch_one(&mut database).await;
    let changes: i64 = counted.expect("a number");
    assert!(changes > 0, "there was nothing to change: {change}");
    database.close().await.expect("closed");
    folder
}

fn verify(data: &Path) -> Ended {
    procura(&["audit", "verify", "--data", data.to_str().expect("a plain path")])
}
