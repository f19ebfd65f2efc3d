//! Who gets no answer asks again with the same key: it happens once, and the answer is the same.

use futures_util::future::join_all;
use procura_tests::{Answer, House, HouseOptions, Person, Postgres};
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, ROOT};

const TENANTS: &str = "/api/partners/tenants";
const CLIENTS: &str = "/api/clients";

fn tailspin() -> Value {
    json!({ "name": "Tailspin Toys", "admin_email": "tina@tailspin.test" })
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// How many customers have this name.
async fn named(pat: &Person, name: &str) -> usize {
    let all = pat.get(TENANTS).await.expect(200).json();
    all.as_array().unwrap().iter().filter(|tenant| tenant["name"] == name).count()
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_happens_once() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let first = pat.post_with_key(TENANTS, &tailspin(), "key-1").await;
    assert!(!is_replayed(first.expect(201)));
    for _ in 0..2 {
        let again = pat.post_with_key(TENANTS, &tailspin(), "key-1").await;
        assert!(is_replayed(again.expect(201)));
        assert_eq!(
            (&again.text, again.header("content-type")),
            (&first.text, first.header("content-type"))
        );
        assert_ne!(again.request_id(), first.request_id());
    }
    assert_eq!(named(&pat, "Tailspin Toys").await, 1);
    // Another request with this key is none.
    let other = json!({ "name": "Tailspin Two", "admin_email": "tim@tailspin.test" });
    let refused = pat.post_with_key(TENANTS, &other, "key-1").await;
    refused.problem(422, "idempotency_key_reused");
    pat.post_with_key(CLIENTS, &tailspin(), "key-1").await.problem(422, "idempotency_key_reused");
    assert_eq!(named(&pat, "Tailspin Two").await, 0);
    pat.post_with_key(TENANTS, &other, "key-2").await.expect(201);
    // A key is one person's.
    let theirs = root.post_with_key(TENANTS, &tailspin(), "key-1").await;
    assert!(!is_replayed(&theirs));
    // Nobody is served by a key who would not be served without.
    let nobody = house.api("x", reqwest::Method::POST, TENANTS, Some(&tailspin())).await;
    nobody.problem(401, "unauthenticated");
}

#[tokio::test]
async fn of_many_at_once_one_happens() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let body = tailspin();
    let answers = join_all((0..8).map(|_| pat.post_with_key(TENANTS, &body, "at-once"))).await;
    let made = answers.iter().filter(|a| a.status == 201 && !is_replayed(a)).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in &answers {
        match answer.status {
            201 => assert_eq!(answer.json()["name"], "Tailspin Toys"),
            _ => assert_eq!(answer.problem(409, "idempotency_in_progress"), None),
        }
    }
    assert_eq!(named(&pat, "Tailspin Toys").await, 1);
}

#[tokio::test]
async fn a_refusal_lets_the_key_go() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let bad = json!({ "name": "", "admin_email": "tina@tailspin.test" });
    pat.post_with_key(TENANTS, &bad, "k").await.problem(400, "invalid_request");
    pat.post_with_key(TENANTS, &json!({ "nonsense": 1 }), "k")
        .await
        .problem(400, "invalid_request");
    assert!(!is_replayed(pat.post_with_key(TENANTS, &tailspin(), "k").await.expect(201)));
    assert!(is_replayed(pat.post_with_key(TENANTS, &tailspin(), "k").await.expect(201)));
}

#[tokio::test]
async fn a_key_is_one_short_word() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    for bad in ["", "two words", "ä", &"x".repeat(129)] {
        let answer = pat.post_with_key(TENANTS, &tailspin(), bad).await;
        let about = answer.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some("idempotency_key"), "{bad}");
    }
    let huge = json!({ "name": "x".repeat(70_000), "admin_email": "x@x.test" });
    pat.post_with_key(TENANTS, &huge, "k").await.problem(413, "too_large");
    assert_eq!(named(&pat, "Tailspin Toys").await, 0);
    pat.post_with_key(TENANTS, &tailspin(), &"x".repeat(128)).await.expect(201);
}

#[tokio::test]
async fn a_secret_is_answered_again_and_stands_nowhere() {
    let house = House::on_a_file();
    let root = house.log_in(ROOT).await;
    let audience = &house.demo().clients["isp"].audience;
    let body = json!({
        "name": "robot",
        "grant_types": ["client_credentials"],
        "permissions": "partner.billing.read",
        "audiences": [audience],
        "default_audience": audience,
    });
    let made = root.post_with_key(CLIENTS, &body, "robot").await;
    let secret = made.expect(201).string("client_secret");
    let again = root.post_with_key(CLIENTS, &body, "robot").await;
    assert!(is_replayed(again.expect(201)));
    assert_eq!(
        (again.string("client_secret"), again.header("etag")),
        (secret.clone(), made.header("etag"))
    );
    for file in ["procura.db", "procura.db-wal"] {
        let bytes = std::fs::read(house.data().join(file)).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{file} has the secret");
    }
}

#[tokio::test]
async fn a_key_holds_at_every_node_and_after_a_crash() {
    let mut one = House::start_with(HouseOptions {
        is_restarted: true,
        database: Some(Postgres::shared().database()),
        ..HouseOptions::default()
    });
    let two = one.another_node();
    let pat = one.log_in(PAT).await;
    let first = pat.post_with_key(TENANTS, &tailspin(), "k").await;
    let there = pat.at(&two).post_with_key(TENANTS, &tailspin(), "k").await;
    assert!(is_replayed(first.expect(201)) != is_replayed(there.expect(201)));
    one.kill();
    one.start_again();
    let after = pat.post_with_key(TENANTS, &tailspin(), "k").await;
    assert!(is_replayed(after.expect(201)));
    assert_eq!((&after.text, &there.text), (&first.text, &first.text));
}

/// How often the log says that this was done to a relationship.
async fn times(admin: &Person, edge: &str, action: &str) -> usize {
    let id = edge.rsplit('/').next().expect("an id");
    let log = format!("/api/audit-logs?relationshipId={id}&action={action}&result=ok");
    admin.get(&log).await.expect(200).json().as_array().map(Vec::len).expect("a list")
}

async fn versions(admin: &Person, edge: &str) -> usize {
    let history = admin.get(&format!("{edge}/history")).await.expect(200).json();
    history.as_array().map(Vec::len).expect("a list")
}

/// The same again is the same answer, and another request with its key is none.
async fn again(who: &Person, path: &str, (body, key): (&Value, &str), first: &Answer) {
    let again = who.post_with_key(path, body, key).await;
    assert!(is_replayed(again.expect(200)) && !is_replayed(first.expect(200)));
    assert_eq!((&again.text, again.header("etag")), (&first.text, first.header("etag")));
    let other = json!({ "custom_permissions": READ_BILLING });
    who.post_with_key(path, &other, key).await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_yes_and_a_stop_happen_once_and_a_replay_undoes_nothing_of_what_came_after() {
    let house = House::start();
    let (pat, gil) = (house.log_in(PAT).await, house.log_in("gil@globex.test").await);
    let edge = house.relationship("northwind>globex");
    let (none, path) = (json!({}), |step: &str| format!("{edge}/{step}"));
    let yes = gil.post_with_key(&path("approve"), &none, "yes").await;
    again(&gil, &path("approve"), (&none, "yes"), &yes).await;
    assert_eq!(yes.string("state"), "active");
    assert_eq!(
        (versions(&gil, &edge).await, times(&gil, &edge, "relationship.approve").await),
        (2, 1)
    );

    let scope = "partner.support.tickets.list";
    let first = pat.switch("globex", scope).await;
    let stop = gil.post_with_key(&path("suspend"), &none, "stop").await;
    again(&gil, &path("suspend"), (&none, "stop"), &stop).await;
    assert_eq!(stop.json()["revoked"]["delegations_ended"], 1);
    gil.step(&path("resume")).await.expect(200);
    let second = pat.switch("globex", scope).await;
    // The stop is over, and its answer is what it was: nothing is stopped again.
    again(&gil, &path("suspend"), (&none, "stop"), &stop).await;
    again(&gil, &path("approve"), (&none, "yes"), &yes).await;
    assert_eq!(gil.get(&edge).await.expect(200).string("state"), "active");
    assert!(house.is_alive(&second).await && !house.is_alive(&first).await);
    assert_eq!(
        (versions(&gil, &edge).await, times(&gil, &edge, "relationship.suspend").await),
        (4, 1)
    );
    // Without its key it is another stop.
    gil.post_with_key(&path("suspend"), &none, "another").await.expect(200);
    assert!(!house.is_alive(&second).await);
    assert_eq!(
        (versions(&gil, &edge).await, times(&gil, &edge, "relationship.suspend").await),
        (5, 2)
    );
}

#[tokio::test]
async fn an_end_happens_once_with_a_key_and_without() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    let none = json!({});
    let first = pat.switch("acme-corp", READ_BILLING).await;
    let running = ada.get("/api/tenants/delegations").await.expect(200).json();
    let id = running[0]["id"].as_str().expect("an id");
    let path = format!("/api/tenants/delegations/{id}/end");
    let ended = ada.post_with_key(&path, &none, "over").await;
    again(&ada, &path, (&none, "over"), &ended).await;
    let second = pat.switch("acme-corp", READ_BILLING).await;
    again(&ada, &path, (&none, "over"), &ended).await;
    assert!(house.is_alive(&second).await && !house.is_alive(&first).await);
    assert_eq!(times(&ada, &edge, "delegation.end").await, 1);
    // Asked for by DELETE it needs no key: what has ended does not end again.
    ada.delete(&edge).await.expect(200);
    for _ in 0..2 {
        let late = ada.delete(&edge).await;
        assert_eq!(late.problem(409, "wrong_state").as_deref(), Some("ended"));
    }
    assert!(!house.is_alive(&second).await);
    assert_eq!((versions(&ada, &edge).await, times(&ada, &edge, "relationship.end").await), (2, 1));
}
