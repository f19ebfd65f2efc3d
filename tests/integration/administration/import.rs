//! The import of a file: what it makes and changes, what it leaves alone, and what is no such file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
};

use procura_tests::{
    Demo, DemoClient, Ended, House, HouseOptions, Postgres, Scratch, procura, procura_in,
};
use serde_json::{Value, json};

use super::entry;

const PASSWORD: &str = "a password for tests";
const SECRET: &str = "a-secret-of-twenty-characters-or-more";
const VALUES: [(&str, &str); 3] =
    [("OPERATOR_PASSWORD", PASSWORD), ("PORTAL_SECRET", SECRET), ("API_SECRET", SECRET)];

fn write(folder: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// `procura import` into the database of this folder.
fn import(folder: &Scratch, file: &Path) -> Ended {
    let (data, file) = (folder.path().join("data"), file.to_str().expect("a plain path"));
    procura_in(&VALUES, &["import", file, "--data", data.to_str().expect("a plain path")])
}

#[track_caller]
fn said(ended: &Ended) -> &str {
    assert!(ended.status.success(), "{ended:?}");
    &ended.stdout
}

/// How the portal of the example is used.
fn portal() -> Demo {
    let portal = DemoClient {
        client_id: "cli_portal".into(),
        client_secret: Some(SECRET.into()),
        redirect_uri: Some("https://portal.northwind.example/callback".into()),
        audience: None,
    };
    Demo {
        issuer: String::new(),
        password: PASSWORD.into(),
        clients: BTreeMap::from([("portal".to_owned(), portal)]),
        tenants: BTreeMap::new(),
        users: BTreeMap::new(),
        relationships: BTreeMap::new(),
        partner_codes: BTreeMap::new(),
    }
}

fn example(folder: &Scratch) -> PathBuf {
    write(folder, "seed.toml", said(&procura(&["import", "--example"])))
}

fn with_values(mut options: HouseOptions) -> HouseOptions {
    options.environment.extend(VALUES.map(|(name, value)| (name, value.to_owned())));
    options
}

/// What is changed in a good file, and the place that is then named.
type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);

#[tokio::test]
async fn a_server_starts_from_the_example_and_its_operator_logs_in() {
    let folder = Scratch::new();
    let file = example(&folder);
    let house = House::seeded(with_values(HouseOptions::default()), &file, portal());
    let operator = house.log_in("operator@example.com").await;
    let clients = operator.get("/api/clients").await.expect(200).json();
    assert_eq!(clients.as_array().map(Vec::len), Some(2));
    let servers = operator.get("/api/resource-servers").await.expect(200).json();
    assert_eq!(servers[0]["audience"], "https://api.example.com");
    let noted = entry(&house, &operator, "client.register").await;
    assert_eq!(noted["details"]["by"], "import");
    assert!(!noted.to_string().contains(SECRET));
    let mails = fs::read_dir(house.data().join("mail")).expect("mail");
    assert_eq!(mails.count(), 2, "one for each who is invited");

    // A second time it changes nothing, beside the server that runs.
    let mut environment: Vec<(&str, &str)> = VALUES.to_vec();
    environment.extend(house.database().map(|url| ("PROCURA__DATABASE__URL", url)));
    let (data, file) = (house.data_text(), file.to_str().expect("a plain path"));
    let again = procura_in(&environment, &["import", file, "--data", &data]);
    assert_eq!(said(&again), "Nothing to change.\n");
    operator.get("/api/clients").await.expect(200);
}

/// A small world in JSON.
fn world() -> Value {
    json!({
        "tenants": [
            { "slug": "msp", "name": "MSP" },
            { "slug": "acme", "name": "Acme" },
        ],
        "users": [
            { "email": "pat@msp.test", "tenant": "msp", "roles": ["partner-admin", "tenant-admin"],
              "password": PASSWORD },
            { "email": "tia@msp.test", "tenant": "msp", "roles": ["tenant-admin"],
              "password": PASSWORD },
        ],
        "clients": [
            { "id": "cli_api", "tenant": "msp", "name": "API", "secret": SECRET },
            { "id": "cli_run", "tenant": "msp", "name": "Run", "secret": SECRET,
              "grant_types": ["client_credentials"], "permissions": "partner.billing.*",
              "audiences": ["https://api.test"] },
        ],
        "resource_servers": [
            { "audience": "https://api.test", "client": "cli_api", "permissions": "*" },
        ],
        "relationships": [{ "partner": "msp", "customer": "acme" }],
    })
}

#[tokio::test]
async fn a_changed_file_changes_what_differs_and_deletes_nothing() {
    let folder = Scratch::new();
    let write = |world: &Value| write(&folder, "seed", &world.to_string());
    let made = import(&folder, &write(&world()));
    assert_eq!(said(&made).lines().count(), 8, "{made:?}");
    let again = import(&folder, &write(&world()));
    assert_eq!(said(&again), "Nothing to change.\n");

    let mut other = world();
    other["tenants"][1]["name"] = json!("Acme Corporation");
    other["users"][0]["roles"] = json!(["partner-admin"]);
    other["users"][0]["claims"] = json!({ "given_name": "Pat" });
    other["users"][0]["password"] = json!("another password");
    other["clients"][1]["permissions"] = json!("partner.billing.read");
    other["clients"][1]["secret"] = json!("another-secret-of-twenty-characters");
    other["resource_servers"][0]["accepts_delegated"] = json!(true);
    other["relationships"][0]["role"] = json!("msp_full");
    let changed = import(&folder, &write(&other));
    assert_eq!(
        said(&changed).lines().collect::<Vec<_>>(),
        [
            "changed tenant acme",
            "changed user pat@msp.test",
            "changed client cli_run",
            "changed secret of client cli_run",
            "changed resource_server https://api.test",
            "left as it is: relationship msp > acme: it belongs to its two ends",
        ]
    );
    // A secret that it once had does not come back, and nothing that is missing is deleted.
    other["clients"][1]["secret"] = json!(SECRET);
    other["relationships"] = json!([]);
    other["users"] = json!([]);
    assert_eq!(said(&import(&folder, &write(&other))), "Nothing to change.\n");
    let data = folder.path().join("data");
    let shown = procura(&["client", "show", "cli_run", "--json", "--data", data.to_str().unwrap()]);
    let shown: Value = serde_json::from_str(said(&shown)).expect("JSON");
    assert_eq!(shown["permissions"], "partner.billing.read");
    assert_eq!(shown["secrets"].as_array().map(Vec::len), Some(2), "the old one in its overlap");
}

#[tokio::test]
async fn a_secret_that_nobody_stated_is_made_and_shown_once() {
    let folder = Scratch::new();
    let mut world = world();
    world["clients"][1].as_object_mut().unwrap().remove("secret");
    world["clients"][1].as_object_mut().unwrap().remove("id");
    let file = write(&folder, "seed.json", &world.to_string());
    let made = import(&folder, &file);
    let line = said(&made).lines().find(|line| line.contains("shown this once"));
    assert!(line.is_some_and(|line| line.starts_with("secret of cli_")), "{made:?}");
    assert_eq!(said(&import(&folder, &file)), "Nothing to change.\n", "known by its name");
    // At a start nobody looks: there it must be stated.
    let other = folder.path().join("other");
    let arguments =
        ["serve", "--seed", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--data"];
    let refused = procura(&[&arguments[..], &[other.to_str().unwrap()]].concat());
    let last = refused.stderr.lines().last().unwrap_or_default();
    assert!(!refused.status.success() && last.contains("clients[1] (Run).secret"), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_wrong_is_one_line_with_its_place_and_changes_nothing() {
    let folder = Scratch::new();
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut world = world();
        change(&mut world);
        write(&folder, "bad.json", &world.to_string())
    };
    let cases: [Case<'_>; 17] = [
        (&|w| w["tenants"][0]["slug"] = json!("A B"), "tenants[0] (A B).slug"),
        (&|w| w["tenants"][0]["nmae"] = json!("x"), "bad.json:1:"),
        (&|w| w["tenants"][1]["slug"] = json!("msp"), "tenants[1] (msp)"),
        (&|w| w["users"][0]["tenant"] = json!("nobody"), "users[0] (pat@msp.test).tenant"),
        (&|w| w["users"][0]["roles"] = json!(["king"]), "unknown variant `king`"),
        (&|w| w["users"][0]["password"] = json!("short"), "users[0] (pat@msp.test).password"),
        (&|w| w["users"][0]["invite"] = json!(true), "users[0] (pat@msp.test)"),
        (&|w| w["users"][0]["password"] = json!({ "env": "NOT_THERE" }), "users[0].password"),
        (&|w| w["users"][0]["email"] = json!("pat"), "users[0] (pat).email"),
        (&|w| w["clients"][0]["secret"] = json!("short"), "clients[0] (cli_api).secret"),
        (&|w| w["clients"][1]["audiences"] = json!(["x"]), "clients[1] (cli_run).audiences"),
        (
            &|w| w["clients"][1]["redirect_uris"] = json!(["javascript:x"]),
            "clients[1] (cli_run).redirect_uris",
        ),
        (
            &|w| w["clients"][1]["profile"] = json!("fapi2"),
            "clients[1] (cli_run).registration.token_endpoint_auth_method",
        ),
        (&|w| w["clients"][1]["id"] = json!("cli_api"), "clients[1] (cli_api)"),
        (&|w| w["resource_servers"][0]["client"] = json!("cli_x"), "resource_servers[0]"),
        (&|w| w["relationships"][0]["customer"] = json!("msp"), "relationships[0] (msp > msp)"),
        (&|w| w["relationships"][0]["ends_at"] = json!("soon"), "relationships[0]"),
    ];
    for (change, place) in cases {
        let refused = import(&folder, &bad(change));
        let line = refused.refused();
        assert!(line.contains("bad.json") && line.contains(place), "{line}");
        assert!(!line.contains(PASSWORD) && !line.contains(SECRET), "{line}");
    }
    let toml =
        write(&folder, "bad.toml", "[[tenants]]\nslug = \"a\"\nname = \"A\"\nplna = \"x\"\n");
    assert!(import(&folder, &toml).refused().contains("bad.toml:4:1: unknown field `plna`"));
    assert!(import(&folder, Path::new("/not/there")).refused().contains("/not/there"));
    // Nothing of all that is in the database: the honest twin makes everything.
    let good = write(&folder, "good.json", &world().to_string());
    assert_eq!(said(&import(&folder, &good)).lines().count(), 8);
}

#[tokio::test]
async fn two_nodes_that_start_at_once_with_one_seed_make_it_once() {
    let folder = Scratch::new();
    let file = example(&folder);
    let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let options = with_values(HouseOptions {
        database: Some(Postgres::shared().database()),
        environment: vec![("PROCURA__KEYS__MASTER_KEY", key.to_owned())],
        ..HouseOptions::default()
    });
    let start = |options: HouseOptions, file: PathBuf| {
        thread::spawn(move || House::seeded(options, &file, portal()))
    };
    let nodes = [start(options.clone(), file.clone()), start(options, file)];
    for node in nodes {
        let node = node.join().expect("both start");
        let operator = node.log_in("operator@example.com").await;
        let clients = operator.get("/api/clients").await.expect(200).json();
        assert_eq!(clients.as_array().map(Vec::len), Some(2));
        let made = operator.get("/api/audit-logs?action=client.register").await.expect(200).json();
        assert_eq!(made.as_array().map(Vec::len), Some(2), "each client once");
    }
}

#[test]
fn the_seeds_in_deploy_can_be_imported() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let read = |name: &str| fs::read_to_string(deploy.join(name)).expect("a text");
    let folder = Scratch::new();
    write(&folder, "operator_password", PASSWORD);
    write(&folder, "portal_secret", SECRET);
    let compose = read("compose/seed.toml").replace("/run/secrets/", "");
    let map = read("kubernetes/config.yaml");
    let (_, block) = map.split_once("seed.toml: |\n").expect("the seed in the map");
    let lines = block.lines().take_while(|line| !line.starts_with("  #"));
    let kubernetes = lines.map(str::trim_start).fold(String::new(), |all, line| all + line + "\n");
    for (name, text) in [("compose.toml", compose), ("kubernetes.toml", kubernetes)] {
        let made = import(&folder, &write(&folder, name, &text));
        let expected = if name == "compose.toml" { 3 } else { 1 };
        assert_eq!(said(&made).lines().count(), expected, "{made:?}");
    }
}
