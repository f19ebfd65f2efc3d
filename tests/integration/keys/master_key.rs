//! The master key: where it comes from, what happens without it, and how another takes its place.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use procura_tests::{Ended, House, HouseOptions, Scratch, procura, procura_as};

use super::{keys, listed};

const PAT: &str = "pat@northwind.test";

fn start(house: &House) -> Ended {
    procura(&["dev", "--data", &house.data_text(), "--listen", "127.0.0.1:0"])
}

#[test]
fn a_wrong_or_missing_master_key_is_one_clear_line() {
    let mut house = House::start();
    assert!(house.stop().status.success());
    let file = house.data().join("keys/master.key");
    let right = fs::read_to_string(&file).expect("the master key");
    let cases = [
        (Some("7".repeat(64)), "not the one of this database"),
        (Some("not hex".to_owned()), "not 64 hex digits"),
        (None, "sealed under one"),
    ];
    for (text, why) in cases {
        match text {
            Some(text) => fs::write(&file, text).expect("written"),
            None => fs::remove_file(&file).expect("removed"),
        }
        for ended in [start(&house), keys(&house, &["list"])] {
            let line = ended.refused();
            assert!(line.contains(why), "{line}");
        }
        assert_eq!(file.exists(), why != "sealed under one", "none was made");
    }
    fs::write(&file, &right).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("set");
    assert!(keys(&house, &["list"]).refused().contains("0600"));
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    assert_eq!(listed(&house).iter().filter(|line| line.state == "active").count(), 2);
}

#[tokio::test]
async fn a_master_key_can_come_from_the_environment_or_from_another_file() {
    let key = "0123456789".repeat(6) + "4567";
    let environment = vec![("PROCURA__KEYS__MASTER_KEY", key.clone())];
    let options = HouseOptions { is_restarted: true, environment, ..HouseOptions::default() };
    let mut house = House::start_with(options);
    assert!(!house.data().join("keys").exists(), "none was made");
    house.log_in(PAT).await;
    assert!(house.stop().status.success());
    let file = house.data().join("elsewhere.key");
    fs::write(&file, key).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    let config = house.data().join("procura.toml");
    let path = |path: &std::path::Path| path.to_str().expect("a plain path").to_owned();
    fs::write(&config, format!("[keys]\nmaster_key_file = {:?}\n", path(&file))).expect("written");
    let ended = keys(&house, &["list", "--config", &path(&config)]);
    assert!(ended.status.success(), "{ended:?}");
    // In a file it would be everybody's who reads configurations.
    fs::write(&config, format!("[keys]\nmaster_key = \"{}\"\n", "0".repeat(64))).expect("written");
    let ended = keys(&house, &["list", "--config", &path(&config)]);
    assert!(ended.refused().contains("belongs into the environment"));
    house.start_again();
    house.log_in(PAT).await;
}

#[tokio::test]
async fn another_master_key_takes_the_place_of_the_old_one() {
    let mut house =
        House::start_with(HouseOptions { is_restarted: true, ..HouseOptions::default() });
    let pat = house.log_in(PAT).await;
    let new = house.data().join("keys/master.key.new");
    let to = new.to_str().expect("a plain path").to_owned();
    let line = keys(&house, &["rewrap", "--to", &to]).refused().to_owned();
    assert!(line.contains("another procura"), "{line}");
    assert!(house.stop().status.success());

    let ended = keys(&house, &["rewrap", "--to", &to]);
    assert!(ended.status.success(), "{ended:?}");
    let mode = fs::metadata(&new).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(start(&house).refused().contains("not the one of this database"));
    fs::rename(&new, house.data().join("keys/master.key")).expect("renamed");
    house.start_again();
    // Tokens, client secrets and passwords are what they were.
    pat.get("/api/v1/partner/customers").await.expect(200);
    house.log_in(PAT).await.switch("acme-corp", "").await;
}

/// Runs `procura keys list` as another account, with these groups and a master key that is mounted like a
/// secret: of root, in a folder of root, readable by a group. Only a superuser can set that up.
fn listed_as(account: u32, group: u32, mode: u32) -> Option<Ended> {
    let mut house = House::on_a_file();
    let own = fs::metadata(house.data()).expect("the folder").uid();
    if own != 0 {
        return None;
    }
    assert!(house.stop().status.success());
    let mounted = Scratch::new();
    let key = mounted.path().join("master-key");
    fs::copy(house.data().join("keys/master.key"), &key).expect("the key");
    chown(&key, Some(0), Some(group)).expect("a superuser");
    fs::set_permissions(&key, Permissions::from_mode(mode)).expect("set");
    fs::set_permissions(mounted.path(), Permissions::from_mode(0o755)).expect("set");
    give(&house.data(), account);
    let config = mounted.path().join("procura.toml");
    fs::write(&config, format!("[keys]\nmaster_key_file = \"{}\"\n", key.display()))
        .expect("written");
    let (config, data) = (config.to_str().expect("a plain path"), house.data_text());
    let arguments = ["keys", "list", "--config", config, "--data", &data];
    Some(procura_as(account, 70_001, &arguments))
}

/// Makes a folder and all in it somebody's, and its parents open to everybody.
fn give(folder: &Path, account: u32) {
    fs::set_permissions(folder.parent().expect("a parent"), Permissions::from_mode(0o755))
        .expect("set");
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        chown(&path, Some(account), Some(account)).expect("a superuser");
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("one").path()),
            );
        }
    }
}

#[test]
fn a_mounted_master_key_is_read_by_whoever_was_given_its_group_and_refused_where_others_can_read_it()
 {
    let Some(good) = listed_as(70_000, 70_001, 0o440) else {
        eprintln!("not a superuser: only the rules themselves were tested (exposure.rs)");
        return;
    };
    assert!(good.status.success(), "{good:?}");
    for mode in [0o444, 0o460] {
        let refused = listed_as(70_000, 70_001, mode).expect("a superuser");
        assert!(refused.refused().contains("others can read this key"), "{refused:?}");
    }
}
