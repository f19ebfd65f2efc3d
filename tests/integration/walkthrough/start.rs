//! What `procura dev` leaves behind, and what it refuses.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use procura_tests::{House, HouseOptions, Scratch, procura};

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let house = House::on_a_file();
    let data = house.data();
    let mode = |name: &str| {
        let meta = fs::metadata(data.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        meta.permissions().mode() & 0o777
    };
    for name in ["demo.json", "demo.sh", "keys/master.key", "procura.db", "procura.db-wal"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    for name in ["", "keys"] {
        assert_eq!(mode(name), 0o700, "{name:?}");
    }
}

#[test]
fn a_master_key_that_others_can_read_is_refused() {
    let mut house = House::start();
    assert!(house.stop().status.success());
    let key = house.data().join("keys/master.key");
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let ended = procura(&["dev", "--data", &house.data_text(), "--listen", "127.0.0.1:0"]);
        let line = ended.refused();
        assert!(line.contains("master.key") && line.contains("0600"), "{line}");
        assert!(!line.contains(&fs::read_to_string(&key).unwrap()));
    }
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let house = House::start();
    let ended =
        procura(&["dev", "--demo", "--data", &house.data_text(), "--listen", "127.0.0.1:0"]);
    let line = ended.refused();
    assert!(line.contains(&house.data_text()) && line.contains("another procura"), "{line}");
}

#[test]
fn the_demo_is_not_for_others_to_reach() {
    let folder = Scratch::new();
    let data = folder.path().join("procura");
    let listen = "0.0.0.0:0";
    let ended = procura(&["dev", "--demo", "--data", data.to_str().unwrap(), "--listen", listen]);
    assert!(ended.refused().contains(listen) || ended.refused().contains("server.issuer"));
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn the_demo_is_not_for_others_to_reach_under_a_name_either() {
    let folder = Scratch::new();
    let data = folder.path().join("procura");
    let file = folder.path().join("procura.toml");
    fs::write(&file, "[server]\nissuer = \"https://auth.example.com\"\nlisten = \"0.0.0.0:0\"\n")
        .unwrap();
    let ended = procura(&[
        "dev",
        "--demo",
        "--config",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(ended.refused().contains("--demo"), "{}", ended.stderr);
}

#[test]
fn standard_error_holds_no_secret() {
    let mut house = House::start_with(HouseOptions {
        environment: vec![("PROCURA__LOG__FILTER", "trace".to_owned())],
        ..HouseOptions::default()
    });
    let tokens =
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
            async {
                let pat = house.log_in(super::PAT).await;
                let delegated = pat.switch("acme-corp", "").await;
                [pat.home, pat.id_token, delegated]
            },
        );
    let said = house.stop().stderr;
    let key = fs::read_to_string(house.data().join("keys/master.key")).unwrap();
    let demo = house.demo();
    let secrets = demo.clients.values().filter_map(|client| client.client_secret.clone());
    let secrets = secrets.chain([demo.password.clone(), key.trim().to_owned()]).chain(tokens);
    for secret in secrets {
        assert!(!said.contains(&secret), "the log has a secret in it");
    }
}
