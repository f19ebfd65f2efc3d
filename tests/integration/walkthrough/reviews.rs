//! The customer looks at what it gave again: what nobody uses is seen, and cut away by one call.

use procura_tests::{House, Isp, MovedClock, Person};
use procura_token::Ts;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, dead, not_available, works,
};

const REVIEW: &str = "/api/tenants/relationship-review";
const EDGE: &str = "northwind>acme-corp";
const LIST_TICKETS: &str = "partner.support.tickets.list";
const DAY: i64 = 86_400;

/// What is said of the one relationship into the tenant.
async fn review(admin: &Person) -> Value {
    let listed = admin.get(REVIEW).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    listed[0].clone()
}

fn due(review: &Value) -> Ts {
    Ts::parse_rfc3339(review["review_due"].as_str().expect("a date")).expect("a time")
}

fn words(set: &Value) -> Vec<&str> {
    set.as_str().expect("a set").split(' ').collect()
}

#[tokio::test]
async fn what_nobody_uses_is_seen_and_cut_away_by_one_call() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    let before = review(&ada).await;
    assert_eq!(before["partner_id"], house.tenant("northwind"));
    assert_eq!(
        (&before["partner_name"], &before["access_role"]),
        (&json!("Northwind MSP"), &json!("msp_full"))
    );
    assert_eq!((&before["is_idle"], &before["is_due"]), (&json!(true), &json!(false)));
    assert!(before["last_used"].is_null() && before["suggested_permissions"].is_null());
    assert_eq!(before["unused_permissions"], before["permissions"], "nobody was here");
    // To keep or to end what nobody uses is for a person to say.
    let idle = ada.post_seen(&edge, "shrink", &json!({})).await;
    assert_eq!(idle.problem(409, "wrong_state").as_deref(), Some("idle"));

    let token = pat.switch("acme-corp", READ_BILLING).await;
    pat.switch("fabrikam", LIST_TICKETS).await;
    let used = review(&ada).await;
    assert_eq!(used["suggested_permissions"], READ_BILLING);
    assert_eq!((&used["is_idle"], used["last_used"].is_string()), (&json!(false), true));
    assert!(!words(&used["unused_permissions"]).contains(&READ_BILLING));
    assert!(words(&used["unused_permissions"]).contains(&LIST_TICKETS), "that was elsewhere");
    assert_eq!(words(&used["unused_permissions"]).len() + 1, words(&used["permissions"]).len());
    let sooner = due(&used).plus_secs(-300 * DAY);
    let path = format!("{REVIEW}/{}", edge.rsplit('/').next().expect("an id"));
    ada.put(&path, &json!({ "review_due": sooner.rfc3339() })).await.expect(200);

    let shrunk = ada.post_seen(&edge, "shrink?confirm=applied", &json!({})).await;
    super::applied_everywhere(&shrunk);
    assert_eq!(shrunk.json()["relationship"]["custom_permissions"], READ_BILLING);
    assert_eq!(shrunk.json()["revoked"]["delegations_ended"], 1);
    dead(&isp, &token).await;
    pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    works(&isp.get(&pat.switch("acme-corp", READ_BILLING).await, BILLING).await);
    let entry = ada.entry_of(shrunk.request_id()).await;
    assert_eq!(entry["action"], "relationship.shrink");
    let history = pat.get(&format!("{edge}/history")).await.expect(200).json();
    let last = history.as_array().expect("versions").last().expect("one").clone();
    assert_eq!(last["changes"]["custom_permissions"]["to"], READ_BILLING);
    let after = review(&ada).await;
    assert!(due(&after) > sooner.plus_secs(200 * DAY), "looked at again in a year: {after}");
    assert!(after["suggested_permissions"].is_null() && after["unused_permissions"] == "");

    // All that is left is used: nothing changes, and nobody is thrown out.
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let again = ada.post_seen(&edge, "shrink", &json!({})).await;
    assert!(again.expect(200).json()["revoked"].is_null());
    assert_eq!(again.header("etag"), shrunk.header("etag"));
    works(&isp.get(&token, BILLING).await);
}

#[tokio::test]
async fn only_the_customers_admin_looks_and_cuts() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let path = format!("{REVIEW}/{}", edge.rsplit('/').next().expect("an id"));
    let shrink = format!("{edge}/shrink");
    let next = json!({ "review_due": due(&review(&ada).await).rfc3339() });
    for email in [PAT, SAM, ROOT] {
        let other = house.log_in(email).await;
        other.get(REVIEW).await.problem(403, "forbidden");
        other.put(&path, &next).await.problem(403, "forbidden");
        other.post_if(&shrink, &json!({}), "*").await.problem(403, "forbidden");
    }
    // The admin of another tenant sees what leads there.
    let tom = house.log_in(TOM).await;
    assert_eq!(tom.get(REVIEW).await.expect(200).json(), json!([]));
    tom.put(&path, &next).await.problem(404, "not_found");
    tom.post_if(&shrink, &json!({}), "*").await.problem(403, "forbidden");
    let gil = house.log_in("gil@globex.test").await;
    assert_eq!(gil.get(REVIEW).await.expect(200).json(), json!([]), "a request gives nothing");
    gil.put(&path, &next).await.problem(404, "not_found");
    gil.post_if(&shrink, &json!({}), "\"1\"").await.problem(404, "not_found");
    for shown in [token.as_str(), "none"] {
        for (method, path) in
            [(Method::GET, REVIEW), (Method::PUT, path.as_str()), (Method::POST, shrink.as_str())]
        {
            let answer = house.api(shown, method, path, Some(&next)).await;
            answer.problem(401, "unauthenticated");
        }
    }
    assert!(house.is_alive(&token).await, "nothing of that took anything away");
    ada.put(&path, &next).await.expect(200);
    ada.post_seen(&edge, "shrink", &json!({})).await.expect(200);
    assert!(!house.is_alive(&token).await, "and this did");
}

#[tokio::test]
async fn what_is_malformed_or_was_not_read_changes_nothing_and_a_date_is_kept() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let path = format!("{REVIEW}/{}", edge.rsplit('/').next().expect("an id"));
    let shrink = format!("{edge}/shrink");
    let next = json!({ "review_due": due(&review(&ada).await).rfc3339() });
    ada.step(&shrink).await.problem(428, "version_missing");
    ada.post_if(&shrink, &json!({}), "\"99\"").await.problem(412, "stale");
    let due = due(&review(&ada).await);
    for bad in [
        json!({ "review_due": "2001-01-01T00:00:00Z" }),
        json!({ "review_due": due.plus_secs(3660 * DAY).rfc3339() }),
        json!({ "review_due": "soon" }),
    ] {
        let answer = ada.put(&path, &bad).await;
        assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some("review_due"));
    }
    for bad in [json!({}), json!({ "review_due": null }), json!({ "x": 1 })] {
        ada.put(&path, &bad).await.problem(400, "invalid_request");
    }
    for unknown in [format!("rel_{}", "0".repeat(32)), "nothing".to_owned()] {
        ada.put(&format!("{REVIEW}/{unknown}"), &next).await.problem(404, "not_found");
        let path = format!("/api/v1/partner/relationships/{unknown}/shrink");
        ada.post_if(&path, &json!({}), "\"1\"").await.problem(404, "not_found");
    }
    assert!(house.is_alive(&token).await, "nothing of that took anything away");

    let sooner = due.plus_secs(-100 * DAY);
    let put = ada.put(&path, &json!({ "review_due": sooner.rfc3339() })).await;
    assert_eq!(put.expect(200).string("review_due"), sooner.rfc3339());
    assert_eq!(review(&ada).await["review_due"], sooner.rfc3339());
    let entry = ada.entry_of(put.request_id()).await;
    assert_eq!(entry["action"], "relationship.review");
    assert_eq!(entry["details"]["review_due"], sooner.rfc3339());
    // What has ended is looked at no more.
    ada.delete(&edge).await.expect(200);
    assert_eq!(ada.get(REVIEW).await.expect(200).json(), json!([]));
    assert_eq!(ada.put(&path, &next).await.problem(409, "wrong_state").as_deref(), Some("ended"));
    let late = ada.post_seen(&edge, "shrink", &json!({})).await;
    assert_eq!(late.problem(409, "wrong_state").as_deref(), Some("ended"));
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
}

#[tokio::test]
async fn a_trust_for_everything_is_cut_to_what_was_used_of_it() {
    let house = House::start();
    let (tom, ivy) = (house.log_in(TOM).await, house.log_in("ivy@initech.test").await);
    let token = tom.switch("initech", "tenant.users.list").await;
    let seen = review(&ivy).await;
    assert_eq!((&seen["kind"], &seen["permissions"]), (&json!("trust"), &json!("*")));
    assert_eq!(seen["suggested_permissions"], "tenant.users.list");
    assert_eq!(seen["unused_permissions"], "", "something of it was used");
    let edge = house.relationship("northwind>initech");
    let shrunk = ivy.post_seen(&edge, "shrink", &json!({})).await;
    shrunk.expect(200);
    assert!(!house.is_alive(&token).await);
    tom.exchange("initech", "partner.billing.read").await.oauth_error(400, "invalid_scope");
    tom.switch("initech", "tenant.users.list").await;
}

#[tokio::test]
async fn whoever_uses_endless_names_of_a_pattern_does_not_keep_the_customer_from_cutting_it() {
    let house = House::start();
    let (tom, ivy) = (house.log_in(TOM).await, house.log_in("ivy@initech.test").await);
    let names = |from: u32| (from..from + 40).map(|n| format!("partner.billing.n{n}"));
    for from in [0, 40, 80, 120, 160, 200] {
        tom.switch("initech", &names(from).collect::<Vec<_>>().join(" ")).await;
    }
    // What comes after them all is seen too.
    tom.switch("initech", "tenant.users.list").await;
    let seen = review(&ivy).await;
    let suggested = words(&seen["suggested_permissions"]);
    assert!(suggested.len() <= 200 && suggested.contains(&"tenant.users.list"), "{seen}");
    let edge = house.relationship("northwind>initech");
    ivy.post_seen(&edge, "shrink", &json!({})).await.expect(200);
    tom.switch("initech", "partner.billing.n239 tenant.users.list").await;
    tom.exchange("initech", LIST_TICKETS).await.oauth_error(400, "invalid_scope");
}

#[tokio::test]
async fn what_nobody_has_used_for_ninety_days_is_unused_and_is_looked_at_after_a_year() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let edge = house.relationship(EDGE);
    let used_at = clock.stop();
    // A login is over long before, each time.
    let ada = async || house.log_in(ADA).await;
    let enter = async |scope: &str| house.log_in(PAT).await.switch("acme-corp", scope).await;
    let look = async |at: i64| {
        clock.go_to(at);
        review(&ada().await).await
    };
    let agreed = ada().await.get(&format!("{edge}/history")).await.expect(200).json();
    let agreed = Ts::parse_rfc3339(agreed[0]["at"].as_str().expect("a time")).expect("a time");
    enter(&format!("{READ_BILLING} {LIST_TICKETS}")).await;
    clock.go_to(used_at + 10 * DAY);
    enter(READ_BILLING).await;

    let both = format!("{READ_BILLING} {LIST_TICKETS}");
    let seen = look(used_at + 90 * DAY - 1).await;
    assert_eq!(seen["suggested_permissions"], both, "to the last second");
    let seen = look(used_at + 90 * DAY).await;
    assert_eq!(
        (&seen["is_idle"], &seen["suggested_permissions"]),
        (&json!(false), &json!(READ_BILLING))
    );
    assert!(words(&seen["unused_permissions"]).contains(&LIST_TICKETS));
    assert!(!words(&seen["unused_permissions"]).contains(&READ_BILLING));
    let seen = look(used_at + 100 * DAY - 1).await;
    assert_eq!(seen["is_idle"], false);
    let seen = look(used_at + 100 * DAY).await;
    assert_eq!((&seen["is_idle"], &seen["suggested_permissions"]), (&json!(true), &Value::Null));
    assert_eq!(seen["unused_permissions"], seen["permissions"]);
    assert_eq!(seen["last_used"], Ts::from_secs(used_at + 10 * DAY).rfc3339(), "and when it was");
    let idle = ada().await.post_seen(&edge, "shrink", &json!({})).await;
    assert_eq!(idle.problem(409, "wrong_state").as_deref(), Some("idle"));

    // Whoever has never said when looks at it a year after it was agreed on.
    let due_at = agreed.plus_secs(365 * DAY);
    assert_eq!(seen["review_due"], due_at.rfc3339());
    assert_eq!(look(due_at.secs() - 1).await["is_due"], false);
    assert_eq!(look(due_at.secs() + 1).await["is_due"], true);
    // Who comes back is seen again, and a cut puts the next look off by another year.
    enter(READ_BILLING).await;
    let shrunk = ada().await.post_seen(&edge, "shrink", &json!({})).await;
    assert_eq!(shrunk.expect(200).json()["relationship"]["custom_permissions"], READ_BILLING);
    let after = review(&ada().await).await;
    assert_eq!(
        (due(&after), &after["is_due"]),
        (Ts::from_secs(clock.now() + 365 * DAY), &json!(false))
    );
}
