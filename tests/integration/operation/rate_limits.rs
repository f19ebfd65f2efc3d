//! How much one caller may ask for: less across tenants than at home, together at all nodes, and without
//! Redis at each of them.

use procura_tests::{Answer, House, HouseOptions, Person, Postgres, Redis, eventually};

use super::{ADA, HEALTH, PAT, ROOT, get, get_private, house_with, http, send};

const SAM: &str = "sam@northwind.test";
const CUSTOMERS: &str = "/api/v1/partner/customers";
/// What was set fills up in a minute: nothing of it comes back while a test runs.
const SLOWLY: (&str, &str) = ("PROCURA__RATE_LIMITS__BURST_SECS", "60");
const USER: &str = "PROCURA__RATE_LIMITS__CROSS_USER_PER_MINUTE";
const PARTNER: &str = "PROCURA__RATE_LIMITS__CROSS_PARTNER_PER_MINUTE";
const TARGET: &str = "PROCURA__RATE_LIMITS__CROSS_TARGET_PER_MINUTE";
const HOME: &str = "PROCURA__RATE_LIMITS__HOME_USER_PER_MINUTE";
const CLIENT: &str = "PROCURA__RATE_LIMITS__CLIENT_PER_MINUTE";
const ADDRESS: &str = "PROCURA__RATE_LIMITS__ADDRESS_PER_MINUTE";

/// How often somebody gets a token before it is too often.
async fn exchanges(person: &Person, tenant: &str) -> usize {
    for count in 0..100 {
        let answer = person.exchange(tenant, "").await;
        if answer.status != 200 {
            too_many(&answer).oauth_error(429, "temporarily_unavailable");
            return count;
        }
        assert!(answer.header("ratelimit").is_some(), "{:?}", answer.headers);
    }
    panic!("nobody is ever refused");
}

/// It says when to come back, and that nothing is left.
#[track_caller]
fn too_many(answer: &Answer) -> &Answer {
    let wait: u32 = answer.expect(429).header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let standing = answer.header("ratelimit").expect("how it stands");
    assert!(standing.contains(&format!("\";r=0;t={wait}")), "{standing}");
    answer
}

#[tokio::test]
async fn a_person_is_bounded_across_tenants_and_goes_on_at_home_and_the_colleague_everywhere() {
    let house = house_with(&[SLOWLY, (USER, "5")]);
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let first = pat.exchange("acme-corp", "").await;
    let policy = first.expect(200).header("ratelimit-policy").unwrap();
    assert_eq!(
        policy,
        "\"cross-user\";q=5;w=60, \"cross-target\";q=12000;w=60, \"cross-partner\";q=60000;w=60"
    );
    assert_eq!(first.header("ratelimit"), Some("\"cross-user\";r=4;t=12"));
    assert_eq!(exchanges(&pat, "acme-corp").await, 4);
    too_many(&pat.exchange("fabrikam", "").await);
    for _ in 0..10 {
        let at_home = pat.get(CUSTOMERS).await;
        assert!(at_home.expect(200).header("ratelimit").unwrap().contains("home-"));
    }
    sam.switch("acme-corp", "").await;
}

#[tokio::test]
async fn a_partner_is_bounded_in_sum_and_in_one_tenant_and_another_one_notices_nothing() {
    let house = house_with(&[SLOWLY, (TARGET, "3"), (PARTNER, "10")]);
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    assert_eq!(exchanges(&pat, "acme-corp").await, 3, "one tenant");
    too_many(&sam.exchange("acme-corp", "").await);
    sam.exchange("fabrikam", "").await.expect(200);
    // By another name it is the same tenant.
    let fabrikam = house.tenant("fabrikam").to_owned();
    assert_eq!(exchanges(&pat, &fabrikam).await, 2);
    too_many(&pat.exchange("fabrikam", "").await);
    // What is not there, or not theirs, counts like what is: the answer tells nothing.
    for nothing in ["contoso", "nowhere", "umbrella", "globex"] {
        pat.exchange(nothing, "").await.oauth_error(400, "invalid_target");
    }
    let answer = pat.exchange("nowhere", "").await;
    assert!(too_many(&answer).header("ratelimit").unwrap().contains("cross-partner"));
    // Another tenant's people have counts of their own, also for the same target.
    let ada = house.log_in(ADA).await;
    ada.exchange("acme-corp", "").await.oauth_error(400, "invalid_target");
    ada.get("/api/tenants/users").await.expect(200);
}

#[tokio::test]
async fn a_token_for_a_customer_is_counted_more_strictly_at_the_api_than_one_for_home() {
    let house = house_with(&[SLOWLY, (USER, "4"), (HOME, "5")]);
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", "").await;
    let ask = async |token: &str| house.api(token, reqwest::Method::GET, CUSTOMERS, None).await;
    for _ in 0..4 {
        ask(&token).await.problem(401, "unauthenticated");
    }
    too_many(&ask(&token).await).problem(429, "too_many_requests");
    // Whoever it was shown to can do that too: it takes nothing from the person.
    assert_eq!(exchanges(&pat, "acme-corp").await, 3);
    for _ in 0..5 {
        ask(&pat.home).await.expect(200);
    }
    too_many(&ask(&pat.home).await).problem(429, "too_many_requests");
}

#[tokio::test]
async fn clients_and_strangers_are_bounded_each_for_itself() {
    let proxy = ("PROCURA__SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    let house = house_with(&[SLOWLY, (CLIENT, "4"), (ADDRESS, "10"), proxy]);
    let pat = house.log_in(PAT).await;
    let alone = [("grant_type", "client_credentials")];
    let mut granted = 0;
    let refused = loop {
        let answer = house.token(&alone).await;
        if answer.status == 429 {
            break answer;
        }
        granted += 1;
        assert!(granted < 10, "nobody is ever refused");
    };
    too_many(&refused).oauth_error(429, "temporarily_unavailable");
    // Its people go on: an exchange is counted for the person.
    pat.switch("acme-corp", "").await;
    let page = async |address: &str, path: &str| {
        let url = format!("{}{path}", house.issuer());
        send(http().get(url).header("x-forwarded-for", address)).await
    };
    let mut seen = 0;
    let refused = loop {
        let answer = page("198.51.100.1", "/device").await;
        if answer.status == 429 {
            break answer;
        }
        seen += 1;
        assert!(seen < 20, "nobody is ever refused");
    };
    assert!(seen >= 10, "{seen}");
    assert!(too_many(&refused).text.contains("Just a moment"), "{}", refused.text);
    page("198.51.100.2", "/device").await.expect(200);
    // What machines need to go on is not counted.
    page("198.51.100.1", "/oauth2/jwks").await.expect(200);
    page("198.51.100.1", HEALTH).await.expect(200);
}

#[tokio::test]
async fn what_is_refused_is_one_line_in_the_log_and_one_figure() {
    let mut house = House::start_with(HouseOptions {
        is_restarted: true,
        environment: vec![
            (SLOWLY.0, SLOWLY.1.into()),
            (USER, "2".into()),
            ("PROCURA__METRICS__LISTEN", "127.0.0.1:0".into()),
        ],
        ..HouseOptions::default()
    });
    let pat = house.log_in(PAT).await;
    exchanges(&pat, "acme-corp").await;
    for _ in 0..20 {
        pat.exchange("acme-corp", "").await.expect(429);
    }
    let figures = get_private(house.private_url(), "/metrics").await.text;
    let line = "procura_requests_limited_total{limit=\"cross-user\"} 21\n";
    assert!(figures.contains(line), "{figures}");
    house.stop();
    house.start_again();
    let root = house.log_in(ROOT).await;
    let log = root.get("/api/audit-logs?limit=1000").await.expect(200).json();
    let entries = log.as_array().unwrap().iter();
    let refused: Vec<_> = entries.filter(|entry| entry["action"] == "limits.refuse").collect();
    assert_eq!(refused.len(), 1, "{log}");
    assert_eq!(refused[0]["actor_user_id"], house.user(PAT));
    assert_eq!(refused[0]["details"]["refused"], 21, "{}", refused[0]);
}

#[tokio::test]
async fn nobody_is_limited_where_it_is_switched_off() {
    let off = ("PROCURA__RATE_LIMITS__ENABLED", "false");
    let house = house_with(&[SLOWLY, (USER, "1"), off]);
    let pat = house.log_in(PAT).await;
    for _ in 0..5 {
        let answer = pat.exchange("acme-corp", "").await;
        assert!(answer.expect(200).header("ratelimit").is_none());
    }
    get(&house, HEALTH).await.expect(200);
}

#[tokio::test]
async fn two_nodes_share_a_budget_and_without_redis_each_has_its_own_and_nobody_waits() {
    let mut redis = Redis::start();
    let mut options = HouseOptions::on(&redis);
    options.database = Some(Postgres::shared().database());
    options.environment.extend([
        (SLOWLY.0, SLOWLY.1.to_owned()),
        (USER, "5".to_owned()),
        ("PROCURA__METRICS__LISTEN", "127.0.0.1:0".to_owned()),
    ]);
    let one = House::start_with(options);
    let two = one.another_node();
    for node in [&one, &two] {
        shared(node, "1").await;
    }
    let pat = one.log_in(PAT).await;
    for _ in 0..3 {
        pat.switch("acme-corp", "").await;
    }
    assert_eq!(exchanges(&pat.at(&two), "acme-corp").await, 2, "together they give five");
    too_many(&pat.exchange("acme-corp", "").await);
    // Names of nobody stand there, and none of it stays.
    let keys = redis.ask(&["KEYS", "procura:budget:*"]);
    assert!(keys.contains("procura:budget:") && !keys.contains("usr_"), "{keys}");
    for key in keys.lines() {
        let left: i64 = redis.ask(&["PTTL", key]).trim().parse().unwrap();
        assert!((0..=61_000).contains(&left), "{left}");
    }
    // Whatever somebody else writes there is read as a budget that is used up, at most.
    for key in keys.lines() {
        redis.ask(&["SET", key, "99999999999999999999"]);
    }
    too_many(&pat.exchange("acme-corp", "").await);
    let kept: f64 = redis.ask(&["GET", keys.lines().next().unwrap()]).trim().parse().unwrap();
    assert!(kept < 9e18, "it is put right at once: {kept}");

    // A Redis that hangs costs one short wait; one that is dead costs nothing.
    let sam = one.log_in(SAM).await;
    redis.pause();
    sam.switch("acme-corp", "").await;
    for node in [&one, &two] {
        shared_or_asked(node, &sam).await;
    }
    redis.resume();
    redis.kill();
    for node in [&one, &two] {
        shared(node, "0").await;
        assert!(exchanges(&sam.at(node), "acme-corp").await <= 5, "each counts for itself");
    }
    redis.start_again();
    for node in [&one, &two] {
        shared(node, "1").await;
    }
    one.log_in(ADA).await.get("/api/tenants/users").await.expect(200);
}

/// Whether the node counts together with the others.
async fn shared(node: &House, expected: &str) {
    let line = format!("procura_limits_shared{{}} {expected}\n");
    eventually(&line, async || {
        let text = get_private(node.private_url(), "/metrics").await.text;
        text.contains(&line).then_some(())
    })
    .await;
}

/// Asks until the node has found out that Redis hangs; each time there is an answer.
async fn shared_or_asked(node: &House, person: &Person) {
    eventually("the node counts alone", async || {
        let answer = person.at(node).get(CUSTOMERS).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let text = get_private(node.private_url(), "/metrics").await.text;
        text.contains("procura_limits_shared{} 0\n").then_some(())
    })
    .await;
}
