//! Failures of strangers: bounded by address, summed up in the audit log, and no burden on others.

use procura_tests::{House, HouseOptions};
use reqwest::{Client, redirect::Policy};
use serde_json::Value;

use super::{PAT, ROOT, house_with, http, send};

const LIMIT: (&str, &str) = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "5");
const PROXY: (&str, &str) = ("PROCURA__SERVER__TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8");

/// A failed client authentication on behalf of an address: its status.
async fn fail(house: &House, forwarded_for: &str) -> u16 {
    let request = http().post(format!("{}/oauth2/token", house.issuer()));
    let request = request.header("x-forwarded-for", forwarded_for);
    send(request.form(&[("client_id", "cli_nobody")])).await.status
}

/// Fails as often as is recorded in a minute, and once more.
async fn exhaust(house: &House, forwarded_for: &str) {
    for _ in 0..5 {
        assert_eq!(fail(house, forwarded_for).await, 401);
    }
    assert_eq!(fail(house, forwarded_for).await, 429);
}

#[tokio::test]
async fn beyond_the_limit_failures_have_one_entry_and_the_honest_notice_nothing() {
    let options = HouseOptions {
        is_restarted: true,
        environment: vec![(LIMIT.0, LIMIT.1.into())],
        ..HouseOptions::default()
    };
    let mut house = House::start_with(options);
    let pat = house.log_in(PAT).await;
    exhaust(&house, "").await;
    // Other failures of the same address share its count: bad forms, and logins.
    let form = send(http().post(format!("{}/oauth2/token", house.issuer())).body("x")).await;
    form.oauth_error(429, "temporarily_unavailable");
    let wait: u32 = form.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let (login, _) = house.visitor().try_log_in(PAT, "wrong").await;
    assert!(login.expect(429).text.contains("Just a moment"), "{}", login.text);
    let guess = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", "http://x")];
    house.token(&guess).await.oauth_error(400, "invalid_grant");
    // Whoever proves who it is is served, and refused, as always.
    house.log_in(PAT).await;
    pat.switch("acme-corp", "").await;
    pat.exchange("contoso", "").await.oauth_error(400, "invalid_target");
    house.token(&[("grant_type", "client_credentials")]).await.expect(200);

    let before = refused(&entries(&house).await);
    for _ in 0..100 {
        assert_eq!(fail(&house, "").await, 429, "less than a minute has passed");
    }
    assert_eq!(refused(&entries(&house).await), before, "they leave nothing");
    house.stop();
    house.start_again();
    let all = entries(&house).await;
    let sums: Vec<_> = all.iter().filter(|e| e["action"] == "strangers.refused").collect();
    assert_eq!(sums.len(), 1, "{sums:?}");
    assert_eq!(
        (&sums[0]["ip"], &sums[0]["reason"]),
        (&"127.0.0.1".into(), &"too_many_failures".into())
    );
    assert!(sums[0]["details"]["dropped"].as_u64().unwrap() > 100, "{sums:?}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_clients_count_each_for_itself() {
    let house = house_with(&[LIMIT, PROXY]);
    exhaust(&house, "198.51.100.1").await;
    assert_eq!(fail(&house, "198.51.100.2").await, 401);
    assert_eq!(fail(&house, "198.51.100.1, 198.51.100.3, 10.0.0.7").await, 401);
    exhaust(&house, "2001:db8:0:1::1").await;
    assert_eq!(fail(&house, "2001:db8:0:2::1").await, 401);
    let log = entries(&house).await;
    for ip in ["198.51.100.1", "198.51.100.2", "198.51.100.3", "2001:db8:0:1::1"] {
        assert!(log.iter().any(|entry| entry["ip"] == ip), "{ip} is not in the log");
    }
}

#[tokio::test]
async fn a_header_from_anybody_else_changes_nothing() {
    for environment in
        [vec![LIMIT], vec![LIMIT, ("PROCURA__SERVER__TRUSTED_PROXIES", "10.0.0.0/8")]]
    {
        let house = house_with(&environment);
        let mut statuses = Vec::new();
        for last in 1..=12 {
            statuses.push(fail(&house, &format!("198.51.100.{last}")).await);
        }
        assert!(statuses.contains(&429), "a made-up address buys nothing: {statuses:?}");
        let log = entries(&house).await;
        assert!(log.iter().all(|entry| !entry["ip"].to_string().contains("198.51.100")));
    }
}

#[tokio::test]
async fn nobody_begins_logins_without_end_and_who_is_logged_in_goes_on() {
    let house = house_with(&[LIMIT, PROXY]);
    let pat = house.log_in(PAT).await;
    let (url, _) = house.visitor().start();
    let no_browser = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let begin = async |forwarded_for: &str| {
        send(no_browser.get(url.clone()).header("x-forwarded-for", forwarded_for)).await
    };
    let address = "198.51.100.9";
    // Five for each failure that is recorded in a minute.
    for _ in 0..25 {
        assert!(begin(address).await.location().contains("/login"));
    }
    let refused = begin(address).await;
    assert!(refused.expect(429).text.contains("Just a moment"), "{}", refused.text);
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Others notice nothing, nor do their failures count for it.
    assert!(begin("198.51.100.10").await.location().contains("/login"));
    assert_eq!(fail(&house, address).await, 401);
    // Whoever has a session is somebody: of this address, and of one that is refused.
    for _ in 0..30 {
        let back = pat.visitor.visit(url.as_str()).await;
        assert!(back.location().contains("code="), "{back:?}");
    }
    let (page, _) = house.visitor().try_log_in(PAT, &house.demo().password).await;
    assert_eq!(page.status, 303, "the login that was not begun there");
}

fn refused(entries: &[Value]) -> usize {
    entries.iter().filter(|entry| entry["result"] == "refused").count()
}

/// The newest entries of the log, as the operator sees them.
async fn entries(house: &House) -> Vec<Value> {
    let root = house.log_in(ROOT).await;
    let log = root.get("/api/audit-logs?limit=1000").await.expect(200).json();
    log.as_array().unwrap().clone()
}
