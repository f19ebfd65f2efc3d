//! A file takes the role neither from the last who administers a tenant, nor from the last operator.

use std::{fs, path::PathBuf, slice};

use procura_tests::{Ended, Scratch, procura};
use serde_json::{Value, json};

const PASSWORD: &str = "a password for tests";

fn path(folder: &Scratch, name: &str) -> String {
    folder.path().join(name).to_str().expect("a plain path").to_owned()
}

fn import(folder: &Scratch, world: &Value) -> Ended {
    let file = PathBuf::from(path(folder, "world.json"));
    fs::write(&file, world.to_string()).expect("a file");
    procura(&["import", &path(folder, "world.json"), "--data", &path(folder, "data")])
}

#[track_caller]
fn did(folder: &Scratch, world: &Value, lines: &[&str]) {
    let ended = import(folder, world);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), lines);
}

fn person(email: &str, roles: &[&str]) -> Value {
    let (_, tenant) = email.split_once('@').expect("an address");
    let tenant = tenant.trim_end_matches(".test");
    json!({ "email": email, "tenant": tenant, "roles": roles, "password": PASSWORD })
}

fn invited(email: &str, roles: &[&str]) -> Value {
    let mut person = person(email, roles);
    let members = person.as_object_mut().expect("an object");
    members.remove("password");
    members.insert("invite".to_owned(), json!(true));
    person
}

fn world(users: &[Value]) -> Value {
    json!({
        "tenants": [{ "slug": "msp", "name": "MSP" }, { "slug": "acme", "name": "Acme" }],
        "users": users,
    })
}

#[test]
fn the_last_admin_of_a_tenant_keeps_the_role_until_another_can_log_in() {
    let folder = Scratch::new();
    let (pat, uma) = ("pat@msp.test", "uma@acme.test");
    let admin = ["tenant-admin"];
    let first = world(&[person(pat, &admin), person("mel@msp.test", &["member"])]);
    assert!(import(&folder, &first).status.success());

    let demoted = person(pat, &["member"]);
    let mut bad = world(slice::from_ref(&demoted));
    bad["tenants"][1]["name"] = json!("Acme Corporation");
    let line = import(&folder, &bad);
    let line = line.refused();
    let place = "users[0] (pat@msp.test).roles: leaves nobody who can log in and administer";
    assert!(line.contains(place), "{line}");
    // Whoever has only been invited administers nothing yet.
    let late = world(&[demoted.clone(), invited("ida@msp.test", &admin)]);
    assert!(import(&folder, &late).refused().contains(place));
    // At a start too, and then nothing is served.
    let listen = ["--listen", "127.0.0.1:0"];
    let (file, data) = (path(&folder, "world.json"), path(&folder, "data"));
    let serve = procura(&[&["serve", "--seed", &file, "--data", &data][..], &listen].concat());
    assert!(!serve.status.success() && serve.stderr.contains(place), "{serve:?}");
    did(&folder, &first, &["Nothing to change."]);

    // In either order, as long as somebody is there in the end.
    let swapped = world(&[demoted, person("mel@msp.test", &admin)]);
    did(&folder, &swapped, &["changed user pat@msp.test", "changed user mel@msp.test"]);
    // More roles are no fault, nor are fewer where nobody could log in before.
    let more = world(&[person("mel@msp.test", &["tenant-admin", "partner-admin"])]);
    did(&folder, &more, &["changed user mel@msp.test"]);
    did(&folder, &world(&[invited(uma, &admin)]), &["created user uma@acme.test"]);
    did(&folder, &world(&[invited(uma, &["member"])]), &["changed user uma@acme.test"]);
}

#[test]
fn the_last_operator_keeps_the_role_until_another_can_log_in() {
    let folder = Scratch::new();
    let (root, rob) = ("root@msp.test", "rob@msp.test");
    let operator = ["super-admin"];
    assert!(import(&folder, &world(&[person(root, &operator)])).status.success());
    let demoted = person(root, &["member"]);
    let place = "users[0] (root@msp.test).roles: leaves no operator who can log in";
    for bad in [
        world(slice::from_ref(&demoted)),
        world(&[demoted.clone(), invited("ida@msp.test", &operator)]),
    ] {
        let refused = import(&folder, &bad);
        assert!(refused.refused().contains(place), "{refused:?}");
    }
    let good = world(&[demoted, person(rob, &operator)]);
    did(&folder, &good, &["changed user root@msp.test", "created user rob@msp.test"]);
    // An operator who never came in may go.
    did(&folder, &world(&[invited("ida@msp.test", &operator)]), &["created user ida@msp.test"]);
    did(&folder, &world(&[invited("ida@msp.test", &[])]), &["changed user ida@msp.test"]);
}

#[test]
fn an_admin_whom_a_provider_leads_in_may_be_the_only_one_who_is_left() {
    let folder = Scratch::new();
    let admin = ["tenant-admin"];
    assert!(import(&folder, &world(&[person("pat@msp.test", &admin)])).status.success());
    let swapped = |domain: &str| {
        let tia = person("tia@msp.test", &admin);
        let mut world = world(&[person("pat@msp.test", &["member"]), tia]);
        world["identity_providers"] = json!([{
            "tenant": "msp", "name": "own", "issuer": "https://login.example",
            "client_secret": "a-secret-of-twenty-characters-or-more",
            "settings": {
                "title": "MSP", "client_id": "procura", "domains": [domain],
                "links_by_email": true, "replaces_passwords": true,
            },
        }]);
        world
    };
    let refused = import(&folder, &swapped("elsewhere.test"));
    // The one who is left has no way in when passwords count for nothing: the provider is refused before the role.
    let why = "settings.replaces_passwords: no admin of the tenant could log in then";
    assert!(refused.refused().contains(why), "{refused:?}");
    // The provider that leads her in makes her one.
    let made = import(&folder, &swapped("msp.test"));
    assert!(made.status.success(), "{made:?}");
}
