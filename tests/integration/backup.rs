//! Backup and restore, with the real command line: what comes back, what never does, and what is
//! refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use procura_tests::{Ended, House, HouseOptions, Isp, Scratch, eventually, procura};
use serde_json::json;

const ADA: &str = "ada@acme.test";
const PAT: &str = "pat@northwind.test";
const ROOT: &str = "root@procura.test";
const BILLING: &str = "/api/v1/partner/billing/summary";
const READ_BILLING: &str = "partner.billing.read";
const CUSTOMERS: &str = "/api/v1/partner/customers";

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn create(house: &House, to: &Path) -> Ended {
    procura(&["backup", "create", "--to", text(to), "--data", &house.data_text()])
}

fn verify(data: &Path, backup: &Path) -> Ended {
    procura(&["backup", "verify", text(backup), "--data", text(data)])
}

fn restore(data: &Path, backup: &Path, more: &[&str]) -> Ended {
    let mut arguments = vec!["restore", "--from", text(backup), "--data", text(data)];
    arguments.extend_from_slice(more);
    procura(&arguments)
}

#[track_caller]
fn done(ended: &Ended) -> &str {
    assert!(ended.status.success(), "{ended:?}");
    &ended.stdout
}

/// A data folder with nothing but this house's master key in it.
fn fresh_folder(house: &House, scratch: &Scratch, name: &str) -> PathBuf {
    let data = scratch.path().join(name);
    fs::create_dir_all(data.join("keys")).expect("a folder");
    fs::copy(house.data().join("keys/master.key"), data.join("keys/master.key")).expect("the key");
    data
}

/// The database of a stopped house is lost; everything else of the folder is there.
fn lose_database(house: &House) {
    for name in ["procura.db", "procura.db-wal", "procura.db-shm"] {
        let _ = fs::remove_file(house.data().join(name));
    }
}

#[tokio::test]
async fn what_was_issued_before_a_restore_is_refused_everywhere_after_it() {
    let mut house =
        House::start_with(HouseOptions { is_restarted: true, ..HouseOptions::default() });
    let isp = Isp::start(&house).await;
    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    let pat = house.log_in(PAT).await;
    let before = pat.switch("acme-corp", READ_BILLING).await;
    let (code, verifier) = house.visitor().code(PAT, &house.demo().password).await;
    done(&create(&house, &backup));
    // The backup knows nothing of these.
    let later = house.log_in(PAT).await;
    let after = later.switch("acme-corp", READ_BILLING).await;
    for token in [&before, &after] {
        isp.get(token, BILLING).await.expect(200);
    }
    assert!(house.stop().status.success());
    lose_database(&house);
    let said = restore(&house.data(), &backup, &[]);
    assert!(done(&said).contains("A new generation began"), "{said:?}");
    assert!(said.stdout.contains("northwind > acme-corp"), "what to look at: {said:?}");

    house.start_again();
    eventually("the verifier follows again", async || isp.is_ready().await.then_some(())).await;
    for token in [&before, &after] {
        assert!(!house.is_alive(token).await);
        let refused = async || {
            let answer = isp.get(token, BILLING).await;
            assert_ne!(answer.status, 200, "accepted after the restore");
            (answer.status == 401).then_some(())
        };
        eventually("the verifier refuses it as dead", refused).await;
    }
    for person in [&pat, &later] {
        person.get(CUSTOMERS).await.expect(401);
        person.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "invalid_request");
    }
    house.visitor().redeem(&code, &verifier).await.oauth_error(400, "invalid_grant");
    // The browser's session is over too: it is asked to log in.
    let (url, _) = pat.visitor.start();
    let page = pat.visitor.visit(url.as_str()).await;
    assert!(page.location().contains("/login"), "{page:?}");

    // Everybody goes on, with the same passwords and client secrets.
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let works = async || (isp.get(&token, BILLING).await.status == 200).then_some(());
    eventually("the verifier knows the new keys", works).await;
    let root = house.log_in(ROOT).await;
    let log = root.get("/api/audit-logs").await.expect(200).json();
    let entries = log.as_array().expect("a list");
    let count = |action: &str| entries.iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((count("demo.seed"), count("backup.create"), count("backup.restore")), (1, 1, 1));
    house.stop();
    let whole = procura(&["audit", "verify", "--data", &house.data_text()]);
    assert!(done(&whole).contains("is whole"), "{whole:?}");
}

#[tokio::test]
async fn what_comes_back_is_what_went_in() {
    let mut house = House::start();
    let scratch = Scratch::new();
    house.log_in(PAT).await.switch("acme-corp", READ_BILLING).await;
    let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
    done(&create(&house, &first));
    let data = fresh_folder(&house, &scratch, "data");
    done(&restore(&data, &first, &[]));
    done(&procura(&["backup", "create", "--to", text(&second), "--data", text(&data)]));
    done(&verify(&data, &second));
    let read = |folder: &Path, name: &str| {
        fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let same = [
        "01-tenants",
        "02-users",
        "04-clients",
        "05-resource_servers",
        "06-relationships",
        "08-consents",
        "11-sealed_secrets",
    ];
    for name in same {
        let name = format!("{name}.jsonl");
        let text = read(&first, &name);
        assert!(!text.is_empty(), "{name}");
        assert_eq!(text, read(&second, &name), "{name}");
    }
    // The logs went on from where they ended; what ran has ended.
    let audit = read(&first, "13-audit.jsonl");
    assert!(read(&second, "13-audit.jsonl").starts_with(&audit));
    assert!(read(&second, "12-revocations.jsonl").contains("\"kind\":\"all\""));
    assert!(read(&first, "03-sessions.jsonl").contains("\"ended_at\":null"));
    for name in ["03-sessions.jsonl", "07-delegations.jsonl"] {
        assert!(!read(&second, name).contains("\"ended_at\":null"), "{name}");
    }
    // No private half and no secret of a client or a person is in it.
    house.stop();
    let secret = house.demo().clients["portal"].client_secret.clone().expect("a secret");
    let master = fs::read_to_string(house.data().join("keys/master.key")).expect("the key");
    for entry in fs::read_dir(&first).expect("the backup").map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).expect("text");
        for hidden in [&secret, &house.demo().password, master.trim()] {
            assert!(!text.contains(hidden), "{:?}", entry.file_name());
        }
        assert!(!entry.file_name().eq("10-signing_keys.jsonl") || !text.contains("\"sealed\""));
    }
}

#[tokio::test]
async fn customers_open_their_switch_again_themselves_where_that_was_asked() {
    let house = House::start();
    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    done(&create(&house, &backup));
    for (mode, others) in [("off", &["on", "restricted"][..]), ("restricted", &["on"][..])] {
        let data = fresh_folder(&house, &scratch, mode);
        done(&restore(&data, &backup, &["--access", mode]));
        let again = scratch.path().join(format!("again-{mode}"));
        done(&procura(&["backup", "create", "--to", text(&again), "--data", text(&data)]));
        let tenants = fs::read_to_string(again.join("01-tenants.jsonl")).expect("tenants");
        for other in others {
            let open = format!("\"partner_access\":\"{other}\"");
            assert!(!tenants.contains(&open), "{mode}: {tenants}");
        }
        assert!(tenants.contains("\"partner_access\":\"off\""), "off stays off");
    }
    let data = fresh_folder(&house, &scratch, "on");
    assert!(!restore(&data, &backup, &["--access", "on"]).status.success());
}

type Change<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_backup_that_was_changed_is_refused_and_nothing_is_written() {
    let house = House::start();
    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    done(&create(&house, &backup));
    done(&verify(&house.data(), &backup));
    let change = |file: &str, change: &dyn Fn(&str) -> String| {
        let copy = scratch.path().join(format!("changed-{file}"));
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).expect("a folder");
        for entry in fs::read_dir(&backup).expect("the backup").map(Result::unwrap) {
            fs::copy(entry.path(), copy.join(entry.file_name())).expect("a copy");
        }
        let text = fs::read_to_string(copy.join(file)).expect("text");
        let changed = change(&text);
        assert_ne!(changed, text, "{file}");
        fs::write(copy.join(file), changed).expect("written");
        copy
    };
    let shorter = |text: &str| text[..text.len() / 2].to_owned();
    let without_last = |text: &str| {
        let cut = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
        text[..cut].to_owned()
    };
    let other = |text: &str| text.replacen("\"active\"", "\"edited\"", 1);
    let longer = |text: &str| format!("{text}{text}");
    let cases: [(&str, Change<'_>, &str); 7] = [
        ("02-users.jsonl", &shorter, "02-users.jsonl"),
        ("02-users.jsonl", &without_last, "02-users.jsonl"),
        ("02-users.jsonl", &other, "02-users.jsonl"),
        ("13-audit.jsonl", &longer, "13-audit.jsonl"),
        ("13-audit.jsonl", &without_last, "13-audit.jsonl"),
        ("manifest.json", &|text| text.replacen("\"schema\"", " \"schema\"", 1), "not genuine"),
        ("manifest.mac", &|_| "0".repeat(64), "not genuine"),
    ];
    let data = fresh_folder(&house, &scratch, "data");
    for (file, how, why) in cases {
        let copy = change(file, how);
        for ended in [verify(&data, &copy), restore(&data, &copy, &[])] {
            let line = ended.refused();
            // The audit log is looked at by its chain before its hash is.
            assert!(line.contains(why) || line.contains("audit log"), "{file}: {line}");
        }
    }
    // Nothing was written: the whole one goes in.
    done(&restore(&data, &backup, &[]));
}

#[tokio::test]
async fn a_restore_needs_the_right_master_key_and_an_empty_database() {
    let house = House::start();
    let scratch = Scratch::new();
    let backup = scratch.path().join("backup");
    done(&create(&house, &backup));
    let ada = house.log_in(ADA).await;
    let line = restore(&house.data(), &backup, &[]).refused().to_owned();
    assert!(line.contains("another procura"), "{line}");
    let line = create(&house, &backup).refused().to_owned();
    assert!(line.contains("not empty"), "{line}");

    let data = fresh_folder(&house, &scratch, "wrong");
    fs::write(data.join("keys/master.key"), "7".repeat(64)).expect("written");
    for ended in [restore(&data, &backup, &[]), verify(&data, &backup)] {
        assert!(ended.refused().contains("not genuine"), "{ended:?}");
    }
    let nothing = scratch.path().join("nothing");
    fs::create_dir(&nothing).expect("a folder");
    let data = fresh_folder(&house, &scratch, "right");
    assert!(restore(&data, &nothing, &[]).refused().contains("no manifest"));
    done(&restore(&data, &backup, &[]));
    let line = restore(&data, &backup, &[]).refused().to_owned();
    assert!(line.contains("empty one only"), "{line}");
    // The house that was copied noticed nothing.
    ada.put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
}
