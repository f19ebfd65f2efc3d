//! What only time does, on a running server whose clock stands still a second before, and then does not.

use procura_tests::{Answer, House, MovedClock, Person, claims, eventually};
use procura_token::Ts;
use serde_json::{Value, json};
use time::{Date, Month, Weekday};

use super::{ADA, PAT, READ_BILLING, ROOT, not_available};

const EDGE: &str = "northwind>acme-corp";
const DAY: i64 = 86_400;

fn at(secs: i64) -> String {
    Ts::from_secs(secs).rfc3339()
}

/// Whether Pat gets in; the reason in the log where not.
async fn enters(house: &House) -> Result<Answer, String> {
    let pat = house.log_in(PAT).await;
    let answer = pat.exchange("acme-corp", READ_BILLING).await;
    if answer.status == 200 {
        return Ok(answer);
    }
    not_available(&answer);
    let root = house.log_in(ROOT).await;
    Err(root.reason_of(answer.request_id()).await)
}

/// How long what was given lives, in seconds.
#[track_caller]
fn lives(entered: &Result<Answer, String>) -> i64 {
    entered.as_ref().expect("let in").json()["expires_in"].as_i64().expect("a number")
}

async fn state(person: &Person, edge: &str) -> String {
    person.get(edge).await.expect(200).string("state")
}

#[tokio::test]
async fn a_relationship_begins_and_ends_in_its_second() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let start = clock.stop() + 100;
    let ada = house.log_in(ADA).await;
    let edge = house.relationship(EDGE);
    let dates = json!({ "starts_at": at(start), "ends_at": at(start + 100) });
    ada.patch(&edge, &dates).await.expect(200);
    clock.go_to(start - 1);
    assert_eq!(state(&ada, &edge).await, "scheduled");
    assert_eq!(enters(&house).await.unwrap_err(), "relationship_not_started");
    clock.go_to(start);
    assert_eq!(state(&ada, &edge).await, "active");
    let entered = enters(&house).await;
    assert_eq!(lives(&entered), 100, "to the end, and no longer");
    let token = entered.unwrap().string("access_token");
    clock.go_to(start + 99);
    assert_eq!(state(&ada, &edge).await, "active");
    assert_eq!(lives(&enters(&house).await), 1);
    assert!(house.is_alive(&token).await);
    clock.go_to(start + 100);
    assert_eq!(state(&ada, &edge).await, "expired");
    assert_eq!(enters(&house).await.unwrap_err(), "relationship_ended");
    assert!(!house.is_alive(&token).await);
    let late = ada.step(&format!("{edge}/suspend")).await;
    assert_eq!(late.problem(409, "wrong_state").as_deref(), Some("expired"));
}

#[tokio::test]
async fn hours_open_and_close_in_their_second_also_when_clocks_on_walls_are_put_forward() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let edge = house.relationship(EDGE);
    let hours = |offset: i32| {
        json!({ "conditions": { "hours": { "utc_offset_minutes": offset, "windows": [
            { "days": ["sat", "mon", "tue"], "from": "09:00", "to": "17:00" },
        ] } } })
    };
    house.log_in(ADA).await.patch(&edge, &hours(60)).await.expect(200);
    // In central Europe clocks are put forward on the last Sunday of March.
    let year = Ts::from_secs(clock.stop() + 365 * DAY).rfc3339()[..4].parse().expect("a year");
    let mut sunday = Date::from_calendar_date(year, Month::March, 31).expect("a date");
    while sunday.weekday() != Weekday::Sunday {
        sunday = sunday.previous_day().expect("a date");
    }
    let sunday = sunday.midnight().assume_utc().unix_timestamp();
    let noon = |day: i64, hour: i64| sunday + day * DAY + hour * 3600;
    let opens_at = async |then: i64| {
        clock.go_to(then - 1);
        assert_eq!(enters(&house).await.unwrap_err(), "outside_hours", "before {}", at(then));
        clock.go_to(then);
        assert_eq!(lives(&enters(&house).await), 300, "at {}", at(then));
    };
    let closes_at = async |then: i64| {
        clock.go_to(then - 1);
        assert_eq!(lives(&enters(&house).await), 1, "before {}", at(then));
        clock.go_to(then);
        assert_eq!(enters(&house).await.unwrap_err(), "outside_hours", "at {}", at(then));
    };
    opens_at(noon(-1, 8)).await;
    closes_at(noon(-1, 16)).await;
    // The offset is a fixed one: on walls it is ten now.
    opens_at(noon(1, 8)).await;
    closes_at(noon(1, 16)).await;
    // Whoever put the clocks forward moves the offset.
    house.log_in(ADA).await.patch(&edge, &hours(120)).await.expect(200);
    opens_at(noon(2, 7)).await;
    closes_at(noon(2, 15)).await;
}

#[tokio::test]
async fn a_wish_to_be_let_in_and_a_yes_to_it_lapse_in_their_second() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let start = clock.stop();
    let edge = house.relationship(EDGE);
    let ada = house.log_in(ADA).await;
    ada.patch(&edge, &json!({ "approval": "each_time" })).await.expect(200);
    let ask = async || {
        let asked = house.log_in(PAT).await.exchange("acme-corp", READ_BILLING).await;
        asked.oauth_error(400, "authorization_pending");
        let ada = house.log_in(ADA).await;
        let listed = ada.get("/api/tenants/access-requests").await.expect(200).json();
        (listed[0]["lapses_at"].clone(), listed[0]["id"].as_str().expect("an id").to_owned())
    };
    let approve = async |id: &str| {
        let path = format!("/api/tenants/access-requests/{id}/approve");
        house.log_in(ADA).await.post(&path, &json!({ "minutes": 30 })).await
    };
    let (lapses_at, late) = ask().await;
    assert_eq!(lapses_at, at(start + 900), "a quarter of an hour");
    clock.go_to(start + 900);
    let about = approve(&late).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("unanswered"));
    // Nobody is asked the same again for five minutes.
    let quiet = house.log_in(PAT).await;
    clock.go_to(start + 1199);
    quiet.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "expired_token");
    clock.go_to(start + 1200);
    let (lapses_at, id) = ask().await;
    assert_eq!(lapses_at, at(start + 2100));
    clock.go_to(start + 2099);
    let given = approve(&id).await;
    assert_eq!(given.expect(200).string("given_until"), at(start + 2099 + 1800));
    clock.go_to(start + 2099 + 1799);
    let entered = house.log_in(PAT).await.exchange("acme-corp", READ_BILLING).await;
    assert_eq!(entered.expect(200).json()["expires_in"], 1);
    let token = entered.string("access_token");
    assert_eq!(claims(&token)["exp"], start + 2099 + 1800);
    clock.go_to(start + 2099 + 1800);
    ask().await;
    assert!(!house.is_alive(&token).await);
}

/// The entries about relationships that time made, with their instants; the first first.
async fn turned(house: &House, action: &str) -> Vec<(String, String)> {
    let root = house.log_in(ROOT).await;
    let log = root.get(&format!("/api/audit-logs?action={action}")).await.expect(200).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let entries = log.as_array().expect("a list").iter().rev();
    entries.map(|entry| (text(&entry["target_tenant_id"]), text(&entry["at"]))).collect()
}

/// Two relationships renew themselves in the last seconds before this one, another one ends a month after it,
/// and is to be looked at then.
async fn set_dates(house: &House, expires: i64) {
    // A day before its end.
    for (customer, admin, before) in
        [("contoso", "cora@contoso.test", 2), ("fabrikam", "fay@fabrikam.test", 1)]
    {
        let renews = json!({ "ends_at": at(expires - before + DAY), "renews_for_days": 10 });
        let admin = house.log_in(admin).await;
        let edge = house.relationship(&format!("northwind>{customer}"));
        admin.patch(&edge, &renews).await.expect(200);
    }
    let ada = house.log_in(ADA).await;
    let ends = json!({ "ends_at": at(expires + 30 * DAY) });
    ada.patch(&house.relationship(EDGE), &ends).await.expect(200);
    let review = house.relationship(EDGE).rsplit('/').next().expect("an id").to_owned();
    let due = json!({ "review_due": at(expires) });
    ada.put(&format!("/api/tenants/relationship-review/{review}"), &due).await.expect(200);
}

#[tokio::test]
async fn the_calendar_turns_by_itself_and_nothing_before_its_second() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let start = clock.stop();
    let root = house.log_in(ROOT).await;
    // Asked a month ago, at this second.
    let asked = root.get(&format!("{}/history", house.relationship("northwind>globex"))).await;
    let asked = asked.expect(200).json()[0]["at"].as_str().expect("a time").to_owned();
    let asked = Ts::parse_rfc3339(&asked).expect("a time").secs();
    let expires = asked + 1 + 30 * DAY;
    set_dates(&house, expires).await;
    assert!(start < expires - 2);

    let renewed = async |count: usize| {
        eventually("the calendar has turned", async || {
            clock.pass_a_minute();
            let all = turned(&house, "relationship.renew").await;
            (all.len() >= count).then_some(all)
        })
        .await
    };
    let is_due = async || {
        let ada = house.log_in(ADA).await;
        ada.get("/api/tenants/relationship-review").await.expect(200).json()[0]["is_due"] == true
    };
    let tenant = |slug: &str| house.tenant(slug).to_owned();
    clock.go_to(expires - 2);
    assert_eq!(renewed(1).await, [(tenant("contoso"), at(expires - 2))]);
    clock.go_to(expires - 1);
    assert_eq!(renewed(2).await[1], (tenant("fabrikam"), at(expires - 1)));
    assert!(turned(&house, "relationship.expire").await.is_empty());
    let gil = house.log_in("gil@globex.test").await;
    assert_eq!(state(&gil, &house.relationship("northwind>globex")).await, "requested");
    assert!(!is_due().await);
    assert!(turned(&house, "relationship.notice").await.is_empty());

    clock.go_to(expires);
    let lapsed = eventually("the request expires", async || {
        clock.pass_a_minute();
        let all = turned(&house, "relationship.expire").await;
        (!all.is_empty()).then_some(all)
    });
    assert_eq!(lapsed.await, [(tenant("globex"), at(expires))]);
    assert_eq!(state(&gil, &house.relationship("northwind>globex")).await, "expired");
    assert!(is_due().await);
    assert_eq!(renewed(2).await.len(), 2, "once each");
    // Thirty, seven and one day before the end its admins hear of it.
    for (told, days) in (1..).zip([30, 7, 1]) {
        let then = expires + (30 - days) * DAY;
        clock.go_to(then);
        let notices = eventually("the notice", async || {
            clock.pass_a_minute();
            let all = turned(&house, "relationship.notice").await;
            (all.len() >= told).then_some(all)
        });
        assert_eq!(notices.await[told - 1..], [(tenant("acme-corp"), at(then))], "{days} days");
    }
}
