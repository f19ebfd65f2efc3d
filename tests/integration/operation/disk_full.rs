//! A disk on which nothing more can be written, for a server whose database is a file.

use std::collections::BTreeSet;

use procura_tests::{House, HouseOptions, claims, eventually, in_time, procura};
use serde_json::json;

use super::{ADA, HEALTH, PAT, ROOT, get};

const SWITCH: &str = "/api/tenants/partner-access";

#[tokio::test]
async fn on_a_full_disk_nothing_is_acknowledged_and_nothing_that_was_is_lost() {
    let options = HouseOptions { is_restarted: true, may_fill_up: true, ..HouseOptions::default() };
    let mut house = House::on_a_file_with(options);
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let dead = pat.switch("acme-corp", "").await;
    ada.put(SWITCH, &json!({ "mode": "off" })).await.expect(200);
    ada.put(SWITCH, &json!({ "mode": "on" })).await.expect(200);
    let before = pat.switch("acme-corp", "").await;

    // It becomes full in the middle of the work.
    let mut seen = BTreeSet::new();
    let answer = eventually("the disk is full", async || {
        if seen.len() == 10 {
            house.limit_files(0);
        }
        let answer = in_time(pat.exchange("acme-corp", "")).await;
        if answer.status != 200 {
            return Some(answer);
        }
        seen.insert(jti(&answer.string("access_token")));
        None
    })
    .await;
    answer.oauth_error(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    for _ in 0..20 {
        let answer = in_time(pat.exchange("acme-corp", "")).await;
        answer.oauth_error(503, "temporarily_unavailable");
    }
    let off = in_time(ada.put(SWITCH, &json!({ "mode": "off" }))).await;
    off.problem(503, "unavailable");
    let visitor = house.visitor();
    visitor.visit(visitor.start().0.as_str()).await.expect(503);
    let missing = eventually("it says what is missing", async || {
        let answer = get(&house, "/readyz").await;
        (answer.status == 503).then(|| answer.json()["missing"].clone())
    })
    .await;
    assert_eq!(missing, json!(["database_unwritable"]));
    get(&house, HEALTH).await.expect(503);
    get(&house, "/livez").await.expect(200);
    // What can be read goes on; what was dead is dead.
    ada.get(SWITCH).await.expect(200);
    assert!(house.is_alive(&before).await);
    assert!(!house.is_alive(&dead).await);

    house.limit_files(u64::MAX);
    eventually("it is ready again", async || {
        (get(&house, "/readyz").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(ada.get(SWITCH).await.json()["mode"], "on", "what was refused was not done");
    let after = pat.switch("acme-corp", "").await;
    seen.extend([&dead, &before, &after].map(|token| jti(token)));
    assert!(house.is_alive(&before).await && house.is_alive(&after).await);

    everything_is_recorded(&mut house, &seen).await;
    assert!(!house.is_alive(&dead).await && house.is_alive(&after).await);
    assert!(house.stop().status.success());
    let whole = procura(&["audit", "verify", "--data", &house.data_text()]);
    assert!(whole.stdout.contains("is whole"), "{whole:?}");
}

/// Also after a power cut.
async fn everything_is_recorded(house: &mut House, seen: &BTreeSet<String>) {
    house.kill();
    house.start_again();
    let root = house.log_in(ROOT).await;
    let log = root.get("/api/audit-logs?limit=1000").await.expect(200).json();
    let entries = log.as_array().expect("a list");
    let recorded: BTreeSet<_> = entries.iter().filter_map(|entry| entry["jti"].as_str()).collect();
    assert!(seen.iter().all(|jti| recorded.contains(jti.as_str())), "every token is recorded");
    let resumed = entries.iter().filter(|entry| entry["action"] == "audit.resume");
    assert!(resumed.count() >= 1, "the log says itself that it had to wait");
}

fn jti(token: &str) -> String {
    claims(token)["jti"].as_str().expect("an id").to_owned()
}
