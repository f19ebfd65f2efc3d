//! `procura client` and `procura resource-server`, beside a running server.

use procura_tests::{Ended, House, eventually};
use serde_json::{Value, json};

use super::{BILLING, ROOT, ask, audience, entry, shut, token};

#[track_caller]
fn done(ended: &Ended) -> &str {
    assert!(ended.status.success(), "{ended:?}");
    &ended.stdout
}

#[track_caller]
fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(done(ended)).expect("JSON")
}

#[tokio::test]
async fn a_clients_whole_life_on_the_command_line() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    let audience = audience(&house);
    let made = house.command(&[
        "client",
        "add",
        "--tenant",
        "northwind",
        "--name",
        "Nightly",
        "--grant-type",
        "client_credentials",
        "--permissions",
        BILLING,
        "--audience",
        &audience,
        "--default-audience",
        &audience,
        "--json",
    ]);
    let made_json = json_of(&made);
    let id = made_json["client"]["id"].as_str().expect("an id").to_owned();
    let first = made_json["client_secret"].as_str().expect("a secret").to_owned();
    assert!(!made.stderr.contains(&first), "never in the log");
    let held = token(&house, (&id, &first)).await;
    let noted = entry(&house, &root, "client.register").await;
    assert_eq!(
        (&noted["resource_id"], &noted["details"]["by"]),
        (&json!(id), &json!("command_line"))
    );
    assert!(!noted.to_string().contains(&first));

    assert!(done(&house.command(&["client", "list", "--tenant", "northwind"])).contains("Nightly"));
    let shown = json_of(&house.command(&["client", "show", &id, "--json"]));
    assert_eq!(shown["permissions"], BILLING);
    let changed = house.command(&["client", "update", &id, "--name", "Nightly run"]);
    assert_eq!(done(&changed), format!("{id} is changed.\n"));

    let rotated = json_of(&house.command(&["client", "rotate-secret", &id, "--json"]));
    let second = rotated["client_secret"].as_str().expect("a secret").to_owned();
    // A copy that the server has in memory can cost a second try.
    for secret in [&first, &second] {
        let good = async || (ask(&house, (&id, secret)).await.status == 200).then_some(());
        eventually("both are good", good).await;
    }
    let rotated = house.command(&["client", "rotate-secret", &id, "--compromised"]);
    assert!(done(&rotated).contains("What the client held is dead."));
    let dead = async || (!house.is_alive(&held).await).then_some(());
    eventually("the running server hears of it", dead).await;
    shut(&house, (&id, &first)).await;

    assert!(done(&house.command(&["client", "disable", &id])).contains("is stopped"));
    done(&house.command(&["client", "enable", &id]));
    assert!(done(&house.command(&["client", "delete", &id])).contains("is gone"));
    house.command(&["client", "show", &id]).refused();
}

#[tokio::test]
async fn a_command_that_cannot_be_carried_out_is_one_line() {
    let house = House::start();
    let add = ["client", "add", "--tenant", "northwind", "--name", "X"];
    for (more, why) in [
        (["--redirect-uri", "javascript:alert(1)"], "redirect_uris"),
        (["--audience", "https://nobody.example"], "audiences"),
        (["--profile", "fapi2"], "registration.token_endpoint_auth_method"),
        (["--registration", "{\"unknown\":1}"], "registration"),
    ] {
        let ended = house.command(&[&add[..], &more[..]].concat());
        assert!(ended.refused().contains(why), "{ended:?}");
    }
    let nobody = ["client", "add", "--tenant", "nobody", "--name", "X"];
    assert!(house.command(&nobody).refused().contains("no such tenant"));
    let isp = house.demo().clients["isp"].client_id.clone();
    let refused = house.command(&["client", "delete", &isp]);
    assert!(refused.refused().contains("remove that first"));
    let uri = ["--registration", "{\"client_uri\":\"https://x.example\"}", "--json"];
    let made = json_of(&house.command(&[&add[..], &uri].concat()));
    assert_eq!(made["client"]["registration"]["client_uri"], "https://x.example");
    done(&house.command(&add));
}

#[tokio::test]
async fn resource_servers_on_the_command_line() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    let made = house.command(&["client", "add", "--tenant", "operator", "--name", "API", "--json"]);
    let id = json_of(&made)["client"]["id"].as_str().expect("an id").to_owned();
    let audience = "https://api.example";
    let verb = |verb: &'static str| ["resource-server", verb, audience];
    let add = [&verb("add")[..], &["--client", &id, "--permissions", BILLING]].concat();
    done(&house.command(&add));
    let noted = entry(&house, &root, "resource_server.add").await;
    assert_eq!(noted["details"]["by"], "command_line");
    house.command(&add).refused();
    let change = [&verb("update")[..], &["--accepts-delegated", "true", "--json"]].concat();
    assert_eq!(json_of(&house.command(&change))["accepts_delegated"], true);
    let listed = json_of(&house.command(&["resource-server", "list", "--json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(done(&house.command(&verb("show"))).contains("takes delegated tokens"));
    done(&house.command(&verb("remove")));
    house.command(&verb("remove")).refused();
}
