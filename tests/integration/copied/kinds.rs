//! The kinds of Redis: over TLS, behind sentinels, in a cluster.

use std::{fs, path::Path, process::Command};

use procura_tests::{Redis, Scratch, eventually, lasting_port};

use super::{STREAM, Stage};

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    let done = command.output().expect("openssl is there: tests/run --needs installs it");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A certificate for `localhost` and the authority behind it, in files.
fn certificates() -> Scratch {
    let folder = Scratch::new();
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder.path(),
        &format!("req -x509 {new_key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    openssl(folder.path(), &format!("req {new_key} -keyout r.key -out r.csr -subj /CN=localhost"));
    fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = "x509 -req -in r.csr -CA ca.pem -CAkey ca.key -out r.pem -days 2 -extfile names \
                -CAcreateserial";
    openssl(folder.path(), &sign.replace("                ", ""));
    folder
}

fn tls(folder: &Scratch, port: u16) -> Redis {
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    Redis::start_with(&[
        "--bind",
        "127.0.0.1",
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("r.pem"),
        "--tls-key-file",
        &file("r.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
        "--tls-auth-clients",
        "no",
    ])
}

#[tokio::test]
async fn redis_is_reached_over_tls_where_its_certificate_is_right() {
    let (folder, port) = (certificates(), lasting_port());
    let redis = tls(&folder, port);
    let authority = folder.path().join("ca.pem");
    let url = format!("rediss://localhost:{port}");
    let stage = Stage::on(redis, &url, authority.to_str()).await;
    let token = stage.token().await;
    stage.off_means_off(&token).await;
    assert_eq!(stage.entries(), 2);
}

#[tokio::test]
async fn a_redis_of_another_name_or_authority_gets_nothing() {
    let (folder, other, port) = (certificates(), certificates(), lasting_port());
    let redis = tls(&folder, port);
    for (host, authority) in [("127.0.0.1", &folder), ("localhost", &other)] {
        let environment = vec![
            ("PROCURA__REDIS__URL", format!("rediss://{host}:{port}")),
            ("PROCURA__REDIS__CA_FILE", authority.path().join("ca.pem").display().to_string()),
            ("PROCURA__LOG__FILTER", "info".to_owned()),
        ];
        let options = procura_tests::HouseOptions { environment, ..Default::default() };
        let mut house = procura_tests::House::start_with(options);
        let ada = house.log_in(super::ADA).await;
        let off = serde_json::json!({ "mode": "off" });
        ada.put("/api/tenants/partner-access", &off).await.expect(200);
        let said = house.stop().stderr;
        assert!(said.contains("revocations are not copied to Redis"), "{said}");
    }
    assert_eq!(redis.ask(&["KEYS", "*"]).trim(), "");
}

#[tokio::test]
async fn a_sentinel_knows_the_primary_and_a_failover_loses_nothing() {
    let ports = [lasting_port(), lasting_port(), lasting_port()];
    let [first, second, watch] = ports.map(|port| port.to_string());
    let server = |port: &str, more: &[&str]| {
        let arguments = ["--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
        Redis::start_with(&[&arguments, more].concat())
    };
    let primary = server(&first, &[]);
    let replica = server(&second, &["--replicaof", &format!("127.0.0.1 {first}")]);
    eventually("the replica follows", async || {
        replica.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    })
    .await;
    let sentinel = Redis::sentinel(ports[2], ports[0]);
    let url = format!("redis+sentinel://127.0.0.1:{watch}/main");
    let stage = Stage::on(primary, &url, None).await;
    let old = stage.token().await;
    stage.off_means_off(&old).await;
    assert_eq!(stage.entries(), 2);
    eventually("the sentinel knows the replica", async || {
        sentinel.ask(&["SENTINEL", "REPLICAS", "main"]).contains(&second).then_some(())
    })
    .await;
    eventually("the failover begins", async || {
        sentinel.ask(&["SENTINEL", "FAILOVER", "main"]).starts_with("OK").then_some(())
    })
    .await;
    let token = stage.token().await;
    stage.off_means_off(&token).await;
    eventually("the new primary has everything", async || {
        // A new primary throws everybody out once.
        let role = replica.try_ask(&["ROLE"])?;
        if !role.starts_with("master") {
            // A failover that finds no good replica yet is given up; one that goes on takes no notice.
            sentinel.ask(&["SENTINEL", "FAILOVER", "main"]);
            return None;
        }
        let entries = replica.try_ask(&["XLEN", STREAM])?;
        (entries.trim() == "4").then_some(())
    })
    .await;
    stage.isp.follows_copy(true).await;
    stage.is_dead(&old).await;
    stage.is_dead(&token).await;
}

#[tokio::test]
async fn in_a_cluster_the_right_server_is_found() {
    let server = || {
        let (port, bus) = (lasting_port().to_string(), lasting_port().to_string());
        let redis = Redis::start_with(&[
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus,
        ]);
        (redis, port, bus)
    };
    let ((one, port, _), (two, other_port, other_bus)) = (server(), server());
    one.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    two.ask(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    one.ask(&["CLUSTER", "MEET", "127.0.0.1", &other_port, &other_bus]);
    for redis in [&one, &two] {
        eventually("the cluster is whole", async || {
            redis.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
        })
        .await;
    }
    // Whichever keeps the slot, both ways lead there.
    let stream = "{procura}:revocations";
    let slot: u16 = one.ask(&["CLUSTER", "KEYSLOT", stream]).trim().parse().unwrap();
    let ((keeper, keeps), (wrong, wrong_port)) = if slot < 8192 {
        ((one, port), (two, other_port))
    } else {
        ((two, other_port), (one, port))
    };
    let url = format!("redis+cluster://127.0.0.1:{wrong_port},127.0.0.1:{keeps}");
    let stage = Stage::on(keeper, &url, None).await;
    let token = stage.token().await;
    stage.off_means_off(&token).await;
    assert_eq!(stage.redis.ask(&["XLEN", stream]), "2\n");
    assert!(wrong.ask(&["DBSIZE"]).trim() == "0");
}
