//! The revocation feed as another language would read it.

use procura_tests::House;
use reqwest::Response;
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, at, credentials, http, send};

/// Opens the stream at a position.
async fn open(house: &House, after: Option<i64>) -> Response {
    let (id, secret) = credentials(house, "isp");
    let mut request = http().get(at(house, "/revocations/stream")).basic_auth(id, Some(secret));
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// The next event of this name: its id and data.
async fn next(stream: &mut Response, text: &mut String, wanted: &str) -> (Option<i64>, Value) {
    loop {
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            let found = (field("event") == Some(wanted)).then(|| {
                let id = field("id").map(|id| id.parse().unwrap());
                (id, serde_json::from_str(field("data").unwrap()).unwrap())
            });
            *text = rest.into();
            if let Some(found) = found {
                return found;
            }
        }
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

async fn snapshot(house: &House) -> Value {
    let (id, secret) = credentials(house, "isp");
    let request = http().get(at(house, "/revocations/snapshot")).basic_auth(id, Some(secret));
    send(request).await.expect(200).json()
}

#[tokio::test]
async fn entries_form_an_unbroken_chain_from_where_the_follower_stands() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let start = snapshot(&house).await["head"].as_i64().unwrap();
    let (mut stream, mut text) = (open(&house, Some(start)).await, String::new());
    let mut at_seq = start;
    for mode in ["off", "on", "restricted", "on"] {
        pat.exchange("acme-corp", READ_BILLING).await;
        ada.put("/api/tenants/partner-access", &json!({"mode": mode})).await.expect(200);
        let (id, data) = next(&mut stream, &mut text, "rev").await;
        assert_eq!(data["p"], at_seq, "each entry names the head before it");
        assert_eq!(id, data["s"].as_i64());
        assert_eq!(data["k"], "pair");
        assert!(data.to_string().find("ten_").is_none(), "no ids, only blinded keys");
        at_seq = id.unwrap();
    }
    // A heartbeat names the head as it is in the database.
    let (_, beat) = next(&mut stream, &mut text, "hb").await;
    assert_eq!(beat["head"], at_seq);
    // Whoever comes later gets the same from the start, or from the snapshot.
    let (mut late, mut text) = (open(&house, Some(start)).await, String::new());
    assert_eq!(next(&mut late, &mut text, "rev").await.1["p"], start);
    let all = snapshot(&house).await;
    assert_eq!(
        (all["head"].as_i64(), all["entries"].as_array().map(Vec::len)),
        (Some(at_seq), Some(4))
    );
}

#[tokio::test]
async fn a_position_that_nobody_knows_is_told_to_start_over() {
    let house = House::start();
    let ada = house.log_in(ADA).await;
    ada.put("/api/tenants/partner-access", &json!({"mode": "off"})).await.expect(200);
    let (mut stream, mut text) = (open(&house, Some(12_345)).await, String::new());
    next(&mut stream, &mut text, "reset").await;
    let (id, secret) = credentials(&house, "isp");
    let garbage = http().get(at(&house, "/revocations/stream")).basic_auth(id, Some(secret));
    send(garbage.header("last-event-id", "x")).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn an_acknowledgement_says_who_and_how_far_and_gets_a_lease() {
    let house = House::start();
    let (id, secret) = credentials(&house, "isp");
    let ack = |body: Value| {
        let request = http().post(at(&house, "/revocations/ack")).basic_auth(id, Some(secret));
        send(request.json(&body))
    };
    let good = json!({"verifier": "v1", "incarnation": "i1", "applied": 0});
    let answer = ack(good).await.expect(200).json();
    assert_eq!(answer["lease_ms"], 2000);
    assert!(answer["head"].is_i64());
    for bad in [
        json!({"verifier": "", "incarnation": "i", "applied": 0}),
        json!({"verifier": "v", "incarnation": "i i", "applied": 0}),
        json!({"verifier": "v".repeat(65), "incarnation": "i", "applied": 0}),
        json!({"verifier": "v", "incarnation": "i", "applied": "0"}),
        json!({"verifier": "v", "incarnation": "i"}),
    ] {
        ack(bad).await.problem(400, "invalid_request");
    }
    let portal = credentials(&house, "portal");
    let request = http().post(at(&house, "/revocations/ack")).basic_auth(portal.0, Some(portal.1));
    send(request.json(&json!({}))).await.problem(401, "unauthenticated");
}
