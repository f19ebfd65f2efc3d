//! What else ends a key than the hand that revokes it, and who knows of one.

use procura_tests::{Answer, House, Person};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    PAT, ROOT, SAM, TOM,
    api_keys::{KEYS, Key, make, wish},
};
use crate::protocol::relying_party::{SCOPE, ask, change, house_of_openid, tokens};

const CUSTOMERS: &str = "/api/v1/partner/customers";
const LIST: &str = "partner.tenants.list";

async fn at_home(house: &House, key: &str) -> u16 {
    house.api(key, Method::GET, CUSTOMERS, None).await.status
}

/// Another client that exchanges keys; its id.
async fn another_client(house: &House, root: &Person) -> String {
    let audience = house.demo().clients["isp"].audience.clone();
    let new = json!({ "name": "Other", "permissions": "*", "redirect_uris": ["https://o.example/cb"],
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "audiences": [audience], "default_audience": audience });
    root.post("/api/clients", &new).await.expect(201).string("id")
}

/// A house of `OpenID` Connect with another client, whose id that is.
async fn house_with_another() -> (House, String) {
    let house = house_of_openid().await;
    let portal = &house.demo().clients["portal"].client_id;
    let set = format!("scope = scope || ' operator.admin' WHERE id = '{portal}'");
    change(&house, format!("UPDATE clients SET {set}")).await;
    let other = another_client(&house, &house.log_in(ROOT).await).await;
    (house, other)
}

async fn key_by(house: &House, token: &str, wish: &Value) -> Key {
    let made = house.api(token, Method::POST, KEYS, Some(wish)).await;
    Key { id: made.expect(201).string("id"), text: made.string("key") }
}

fn ids(answer: &Answer) -> Vec<String> {
    let listed = answer.expect(200).json();
    let ids = listed.as_array().expect("a list").iter().map(|key| key["id"].as_str());
    ids.map(|id| id.expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_client_whose_secret_was_stolen_takes_its_keys_with_it() {
    let house = House::start();
    let (root, sam) = (house.log_in(ROOT).await, house.log_in(SAM).await);
    let key = make(&sam, &wish(&house, LIST)).await;
    assert_eq!(at_home(&house, &key.text).await, 200);
    let secrets = format!("/api/clients/{}/secrets", house.demo().clients["portal"].client_id);
    root.post(&secrets, &json!({})).await.expect(201);
    assert_eq!(at_home(&house, &key.text).await, 200, "only the secret is another one");
    let stolen = root.post(&secrets, &json!({ "is_compromised": true })).await;
    assert!(stolen.expect(201).json()["revoked"]["seq"].is_i64());
    assert_eq!(at_home(&house, &key.text).await, 401);
}

#[tokio::test]
async fn a_key_outlives_neither_the_client_it_was_made_through_nor_the_consent_to_that() {
    let (house, other) = house_with_another().await;
    let body = json!({ "client_id": other, "name": "Nightly", "permissions": LIST });
    let (mut homes, mut keys) = (Vec::new(), Vec::new());
    for person in [PAT, SAM] {
        let scope = [("scope", SCOPE)];
        let visitor = house.visitor();
        let home = tokens(&house, &visitor, &scope, person).await.string("access_token");
        keys.push(key_by(&house, &home, &body).await.text);
        assert_eq!(at_home(&house, keys.last().unwrap()).await, 200);
        homes.push(home);
    }
    let portal = &house.demo().clients["portal"].client_id;
    let consent = format!("/api/me/consents/{portal}");
    house.api(&homes[0], Method::DELETE, &consent, None).await.expect(200);
    assert_eq!(at_home(&house, &keys[0]).await, 401);
    assert_eq!(at_home(&house, &keys[1]).await, 200, "another person's consent is as it was");

    let done = house.command(&["client", "disable", portal]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(at_home(&house, &keys[1]).await, 401);
    let done = house.command(&["client", "enable", portal]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(at_home(&house, &keys[1]).await, 401, "nothing comes back to life");
    let live = "SELECT count(*) || '' FROM api_keys k JOIN sessions s ON s.id = k.session_id \
                WHERE s.ended_at IS NULL";
    assert_eq!(ask(&house, live.to_owned()).await, ["0"]);
}

#[tokio::test]
async fn a_client_that_may_less_takes_the_keys_that_were_made_with_more() {
    let house = House::start();
    let (root, sam) = (house.log_in(ROOT).await, house.log_in(SAM).await);
    let mut body = wish(&house, LIST);
    body["client_id"] = json!(another_client(&house, &root).await);
    let key = make(&sam, &body).await;
    let portal = format!("/api/clients/{}", house.demo().clients["portal"].client_id);
    root.patch(&portal, &json!({ "name": "The Portal" })).await.expect(200);
    assert_eq!(at_home(&house, &key.text).await, 200);
    let scope = root.get(&portal).await.expect(200).string("scope");
    let fewer: Vec<_> = scope.split(' ').filter(|one| *one != LIST).collect();
    root.patch(&portal, &json!({ "scope": fewer.join(" ") })).await.expect(200);
    assert_eq!(at_home(&house, &key.text).await, 401);
}

#[tokio::test]
async fn a_token_without_a_partners_role_knows_the_keys_of_its_client_alone() {
    let (house, other) = house_with_another().await;
    let sam = house.log_in(SAM).await;
    let first = make(&sam, &wish(&house, LIST)).await;
    let mut elsewhere = wish(&house, LIST);
    elsewhere["client_id"] = json!(other);
    let second = make(&sam, &elsewhere).await;
    let both = [first.id.clone(), second.id.clone()];
    let bare = [("scope", "openid")];
    let bare = tokens(&house, &house.visitor(), &bare, SAM).await.string("access_token");
    let call =
        async |token: &str, method: Method, path: &str| house.api(token, method, path, None).await;
    // Made through the portal too, and so of its making.
    assert_eq!(ids(&call(&bare, Method::GET, KEYS).await), both);
    let set = format!("made_through = '{other}' WHERE id = '{}'", second.id);
    change(&house, format!("UPDATE api_keys SET {set}")).await;
    assert_eq!(ids(&call(&bare, Method::GET, KEYS).await), &both[..1]);
    let path = |key: &Key| format!("{KEYS}/{}", key.id);
    call(&bare, Method::DELETE, &path(&second)).await.problem(404, "not_found");
    assert_eq!(at_home(&house, &second.text).await, 200);
    call(&bare, Method::DELETE, &path(&first)).await.expect(200);

    assert_eq!(ids(&sam.get(KEYS).await), [second.id.clone(), first.id.clone()]);
    sam.delete(&path(&second)).await.expect(200);
    assert_eq!(at_home(&house, &second.text).await, 401);
}

#[tokio::test]
async fn keys_come_in_pages_the_live_ones_first() {
    let house = House::start();
    let (pat, sam, tom) =
        (house.log_in(PAT).await, house.log_in(SAM).await, house.log_in(TOM).await);
    let mut all = Vec::new();
    for person in [&sam, &sam, &sam, &pat] {
        all.push(make(person, &wish(&house, LIST)).await.id);
    }
    sam.delete(&format!("{KEYS}/{}", all[0])).await.expect(200);
    all.rotate_left(1);
    let pages = async |person: &Person, query: &str| {
        let (mut read, mut next) = (Vec::new(), Some(format!("?limit=2{query}")));
        while let Some(query) = next {
            let page = person.get(&format!("{KEYS}{query}")).await;
            let listed = ids(&page);
            assert!(listed.len() <= 2);
            read.extend(listed);
            let link = page.header("link").map(ToOwned::to_owned);
            next =
                link.and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
        }
        read
    };
    assert_eq!(pages(&tom, "").await, all);
    assert_eq!(pages(&tom, "&tenant_id=northwind").await, all);
    all.remove(2);
    assert_eq!(pages(&sam, "").await, all, "whoever administers none has the own ones alone");
    let first = tom.get(&format!("{KEYS}?limit=1&tenant_id=northwind")).await;
    assert!(first.header("link").is_some_and(|link| link.contains("tenant_id=northwind")));
    for (query, about) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=live.x", "cursor"),
        ("page=1", "query"),
    ] {
        let refused = tom.get(&format!("{KEYS}?{query}")).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{query}");
    }
}

#[tokio::test]
async fn nobody_fills_the_list_with_keys_that_are_over() {
    let house = House::on_a_file();
    let sam = house.log_in(SAM).await;
    let mut body = wish(&house, LIST);
    let acme = house.tenant("acme-corp");
    body["tenants"] = json!(["acme-corp", acme, "acme-corp"]);
    body["networks"] = json!(["192.0.2.0/24", "127.0.0.0/8", "192.0.2.0/24"]);
    let made = sam.post(KEYS, &body).await.expect(201).json();
    assert_eq!(made["tenants"], json!([acme]));
    assert_eq!(made["networks"], json!(["127.0.0.0/8", "192.0.2.0/24"]));
    body["tenants"] = json!(vec!["acme-corp"; 201]);
    let about = sam.post(KEYS, &body).await.problem(400, "invalid_request");
    assert_eq!(about.as_deref(), Some("tenants"));

    let id = made["id"].as_str().unwrap();
    let (numbers, zeros) = (
        "WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1199)",
        "0".repeat(28),
    );
    change(
        &house,
        format!(
            "INSERT INTO sessions (id, user_id, tenant_id, cookie_hash, auth_time, acr, amr, idp, \
             expires_at, is_login) {numbers} SELECT 'ses_{zeros}' || i, s.user_id, s.tenant_id, \
             'x' || i, 0, s.acr, s.amr, s.idp, s.expires_at, 0 FROM n, sessions s \
             JOIN api_keys k ON k.session_id = s.id WHERE k.id = '{id}'"
        ),
    )
    .await;
    change(
        &house,
        format!(
            "INSERT INTO api_keys (id, user_id, tenant_id, client_id, session_id, name, key_hash, \
             permissions, created_at, expires_at) {numbers} SELECT 'apk_{zeros}' || i, k.user_id, \
             k.tenant_id, k.client_id, 'ses_{zeros}' || i, k.name, 'x', k.permissions, \
             k.created_at - 2, k.created_at - 1 FROM n, api_keys k WHERE k.id = '{id}'"
        ),
    )
    .await;
    let full = sam.post(KEYS, &wish(&house, LIST)).await;
    assert_eq!(full.problem(409, "wrong_state").as_deref(), Some("too_many_ended_keys"));
    let page = sam.get(KEYS).await;
    assert_eq!((ids(&page).len(), ids(&page)[0].as_str()), (200, id));
    assert!(page.header("link").is_some());
    // Another person has a list of their own, and this one has room again when some are forgotten.
    make(&house.log_in(PAT).await, &wish(&house, LIST)).await;
    change(&house, format!("DELETE FROM api_keys WHERE id = 'apk_{zeros}1000'")).await;
    make(&sam, &wish(&house, LIST)).await;
}

#[tokio::test]
async fn the_history_of_a_relationship_has_an_end_to_its_first_page() {
    let house = House::on_a_file();
    let pat = house.log_in(PAT).await;
    let edge = house.relationship("northwind>acme-corp");
    let id = edge.rsplit_once('/').unwrap().1;
    change(
        &house,
        format!(
            "INSERT INTO relationship_versions (relationship_id, version, at, action, changes) \
             WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1249) \
             SELECT '{id}', i, 1, 'relationship.change', '{{}}' FROM n"
        ),
    )
    .await;
    let page = pat.get(&format!("{edge}/history")).await;
    assert_eq!(page.expect(200).json().as_array().map(Vec::len), Some(200));
    assert!(page.header("link").is_some_and(|link| link.starts_with("<?limit=200&cursor=")));
}
