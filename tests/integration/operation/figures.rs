//! The figures of a node: every name that was promised, and nobody's data.

use std::fs;

use procura_tests::{House, HouseOptions, Redis, eventually};
use serde_json::json;

use super::{ADA, PAT, get, get_private};

/// A house that has done a bit of everything.
pub(super) async fn busy_house() -> (House, Redis) {
    let redis = Redis::start();
    let mut options = HouseOptions::on(&redis);
    options.environment.push(("PROCURA__METRICS__LISTEN", "127.0.0.1:0".to_owned()));
    let house = House::start_with(options);
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    house.visitor().try_log_in(PAT, "wrong").await;
    house.visitor().try_log_in("nobody@canary.test", "wrong").await;
    pat.switch("acme-corp", "").await;
    pat.exchange("contoso", "").await.expect(400);
    house.token(&[("grant_type", "client_credentials")]).await.expect(200);
    house.token_by(Some(("cli_canary", "x")), &[]).await.expect(401);
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    let relationship = house.relationship("northwind>acme-corp");
    pat.get(&format!("{relationship}?canary=1")).await.expect(200);
    get(&house, "/nowhere/canary").await.expect(404);
    copy_in_step(&house, "1").await;
    (house, redis)
}

async fn copy_in_step(house: &House, expected: &str) {
    let line = format!("procura_revocation_copy_in_step{{}} {expected}\n");
    eventually(&line, async || {
        let text = get_private(house.private_url(), "/metrics").await.text.clone();
        text.contains(&line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_is_behind_shows_and_makes_no_node_unready() {
    let (house, mut redis) = busy_house().await;
    redis.kill();
    copy_in_step(&house, "0").await;
    get(&house, "/readyz").await.expect(200);
    redis.start_again();
    copy_in_step(&house, "1").await;
}

#[tokio::test]
async fn every_promised_figure_is_there_and_counts_what_happened() {
    let (house, _redis) = busy_house().await;
    let text = get_private(house.private_url(), "/metrics").await.expect(200).text.clone();
    let names = promised();
    assert!(names.len() > 20, "has the form of the list changed? {names:?}");
    for name in names {
        let is_it = |line: &&str| {
            let rest = line.strip_prefix(&name).unwrap_or_default();
            ["", "_bucket", "_sum", "_count"]
                .iter()
                .any(|end| rest.strip_prefix(end).is_some_and(|r| r.starts_with(['{', ' '])))
        };
        assert!(text.lines().any(|line| is_it(&line)), "no {name} in\n{text}");
    }
    for line in [
        "procura_exchanges_total{outcome=\"ok\"} 1",
        "procura_exchanges_total{outcome=\"partner_access_off\"} 1",
        "procura_tokens_issued_total{kind=\"delegated\"} 1",
        "procura_tokens_issued_total{kind=\"home\"} 2",
        "procura_tokens_issued_total{kind=\"client\"} 1",
        "procura_logins_total{outcome=\"ok\"} 2",
        "procura_logins_total{outcome=\"password_wrong\"} 1",
        "procura_logins_total{outcome=\"user_unknown\"} 1",
        "procura_revocation_entries 1",
        "procura_revocation_copy_appended_total 1",
        "procura_revocation_copy_rewritten_total 0",
        "procura_ready 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let token = "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
                 http_route=\"/oauth2/token\",http_response_status_code=\"400\"} 1";
    assert!(text.contains(token), "{text}");
    assert!(text.contains("http_route=\"/api/v1/partner/relationships/{id}\""), "{text}");
    assert!(text.contains("procura_revocations_written_total{cause="), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn no_figure_names_anybody() {
    let (house, _redis) = busy_house().await;
    let text = get_private(house.private_url(), "/metrics").await.expect(200).text.clone();
    let demo = house.demo();
    let ids = demo.tenants.values().chain(demo.users.values()).chain(demo.relationships.values());
    let clients = demo.clients.values().map(|client| &client.client_id);
    let names = demo.tenants.keys().chain(demo.users.keys());
    for word in ids.chain(clients).chain(names) {
        assert!(!text.contains(word.as_str()), "{word} shows in\n{text}");
    }
    for word in ["canary", "\"ten_", "usr_", "cli_", "rel_", "dlg_", "@", "127.0.0.1"] {
        assert!(!text.contains(word), "{word} shows in\n{text}");
    }
}

/// The names in the one file that has them, which dashboards and rules are tested against too.
fn promised() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/server/src/metrics/names.rs");
    let source = fs::read_to_string(file).expect("the list of names");
    let constants = source.lines().filter(|line| line.starts_with("pub const "));
    constants.map(|line| line.split('"').nth(1).expect("a name").to_owned()).collect()
}
