//! Who calls: the columns of the table, and what each of them shows.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use procura_tests::{House, Person, procura_in};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    canaries::{ELSEWHERE, MSP, NEIGHBOUR},
    world::{CUSTOMER, SCOPE, email},
};

/// In the order of the table's columns.
pub const COLUMNS: &[(&str, &str)] = &[
    ("anon", "nobody"),
    ("strg", "tenant-admin of a stranger tenant"),
    ("strp", "partner-admin of a partner that has nothing to do with the customer"),
    ("othc", "tenant-admin of another customer of msp"),
    ("dlgt", "a delegated token in the customer, for a resource server"),
    ("dlgi", "a delegated token in the customer, for the issuer itself"),
    ("clnt", "a client's own token, for the issuer itself"),
    ("memb", "member of the customer"),
    ("supp", "support-agent of the customer"),
    ("pbil", "partner-billing of msp"),
    ("paud", "partner-auditor of msp"),
    ("psup", "partner-support of msp"),
    ("padm", "partner-admin of msp"),
    ("admn", "tenant-admin of the customer"),
    ("oper", "super-admin"),
    ("rsrv", "a resource server, by HTTP Basic"),
    ("akey", "a key of the partner-admin's, for all that keys can do"),
    ("soft", "software that registers itself, by the token it has for that"),
];
/// As many of them, from the left, can change nothing of the customer's.
pub const HARMLESS: usize = 7;
/// Whoever has nothing to do with the customer: to them it is as if it was not there.
pub const STRANGERS: &[&str] = &["strg", "strp", "othc"];

const WHOLE_KEY: &str = "* partner.tenants.list partner.tenants.provision";

/// Client id and secret, as HTTP Basic.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// The same of a client of the demo.
pub fn basic_of(house: &House, name: &str) -> String {
    let client = &house.demo().clients[name];
    basic(&client.client_id, client.client_secret.as_deref().expect("a secret"))
}

/// The body of a request for a key.
pub fn key(house: &House, permissions: &str) -> Value {
    let client = &house.demo().clients["portal"].client_id;
    json!({ "client_id": client, "name": "nightly", "permissions": permissions })
}

/// Whoever has logged in already, by column; what there is besides is made here.
pub async fn let_in(
    house: &House,
    people: &[(&'static str, &Person)],
    tokens: &[(&'static str, &str)],
) -> BTreeMap<&'static str, String> {
    let bearer = |token: &str| format!("Bearer {token}");
    let mut all = BTreeMap::from([("anon", String::new()), ("rsrv", basic_of(house, "isp"))]);
    all.extend(people.iter().map(|(column, person)| (*column, bearer(&person.home))));
    all.extend(tokens.iter().map(|(column, token)| (*column, bearer(token))));
    for (column, name, tenant) in [
        ("strg", "sid", "stranger"),
        ("strp", "eve", ELSEWHERE),
        ("othc", "nia", NEIGHBOUR),
        ("memb", "mel", CUSTOMER),
        ("supp", "sue", CUSTOMER),
        ("pbil", "bob", MSP),
        ("paud", "tex", MSP),
        ("psup", "pia", MSP),
    ] {
        let person = house.log_in(&email(name, tenant)).await;
        all.insert(column, bearer(&person.home));
    }
    let partner = &people.iter().find(|(column, _)| *column == "padm").expect("the partner").1;
    let made = partner.post("/api/api-keys", &key(house, WHOLE_KEY)).await;
    all.insert("akey", bearer(&made.expect(201).string("key")));
    // Until it is registered.
    all.insert("soft", bearer("rat_nothing"));
    all
}

/// A resource server whose audience is the issuer. No deployment adds such a one; one that has moved to the
/// address of a resource server has it. Its client id and secret.
pub async fn moved_to_a_resource_server(house: &House, root: &Person) -> (String, String) {
    let app = json!({ "name": "Moved", "redirect_uris": ["https://app.example/callback"],
                      "grant_types": ["authorization_code"], "scope": "openid" });
    let made = root.post("/api/clients", &app).await;
    let (id, secret) = (made.expect(201).string("id"), made.string("client_secret"));
    let before = "https://before.example";
    let mut environment = vec![("PROCURA__SERVER__ISSUER", before)];
    environment.extend(house.database().map(|url| ("PROCURA__DATABASE__URL", url)));
    let data = house.data_text();
    let add = ["resource-server", "add", house.issuer(), "--client", &id, "--accepts-delegated"];
    let more = ["--permissions", SCOPE, "--data", &data];
    let done = procura_in(&environment, &[&add[..], &more[..]].concat());
    assert!(done.status.success(), "{done:?}");
    let portal = &house.demo().clients["portal"].client_id;
    let isp = house.demo().clients["isp"].audience.as_deref().expect("an audience");
    let audiences = json!({ "audiences": [isp, house.issuer()] });
    let path = format!("/api/clients/{portal}");
    house.api(&root.home, Method::PATCH, &path, Some(&audiences)).await.expect(200);
    (id, secret)
}
