//! Both sides change a relationship while people exchange under it, all at once: whatever somebody was given,
//! the relationship allowed it at some moment between the question and the answer.

use std::{collections::BTreeMap, time::Instant};

use procura_tests::{Answer, House, Person};
use serde_json::{Value, json};

use super::{ADA, PAT, SAM};

const PERMISSIONS: [&str; 4] = [
    "partner.support.tickets.list",
    "tenant.settings.read",
    "partner.support.tickets.create",
    "partner.support.tickets.update",
];
/// Rounds of each who changes, and exchanges of each who works.
const ROUNDS: usize = 25;
const EXCHANGES: usize = 60;

/// A set of permissions, as a number.
type Set = u32;

const ALL: Set = 0b1111;
const READING: Set = 0b0011;

fn names(set: Set) -> String {
    let held = (0..).zip(PERMISSIONS).filter(|(n, _)| set >> n & 1 == 1);
    held.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

fn set(names: &str) -> Set {
    let is_in = |name: &str| names.split(' ').any(|one| one == name);
    (0..).zip(PERMISSIONS).filter(|(_, name)| is_in(name)).map(|(n, _)| 1 << n).sum()
}

/// When something was asked for, and when the answer was there.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Instant,
    to: Instant,
}

/// A version of the relationship: what it allows, and between when and when it came.
#[derive(Clone, Copy, Debug)]
struct Version {
    allows: Set,
    came: Span,
}

/// What somebody was given; a refusal is the empty set.
#[derive(Clone, Debug)]
struct Given {
    held: Set,
    during: Span,
    token: String,
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Span) {
    let from = Instant::now();
    let done = work.await;
    (done, Span { from, to: Instant::now() })
}

/// What a relationship allows, as the API shows it.
fn allows(edge: &Value) -> Set {
    if edge["state"] != "active" || edge["access"] == "off" {
        return 0;
    }
    let held = edge["custom_permissions"].as_str().map_or(ALL, set);
    if edge["access"] == "restricted" { held & READING } else { held }
}

/// Makes a change again and again, each time another one; answers the versions that came of it.
async fn change(who: &Person, edge: &str, turns: &[(&str, Value)]) -> Vec<(i64, Version)> {
    let mut versions = Vec::new();
    for (step, body) in turns.iter().cycle().take(ROUNDS) {
        let (answer, came) = timed(make(who, edge, step, body)).await;
        // Whoever comes too late, or when nothing is to be answered, hears so and changes nothing.
        assert!(matches!(answer.status, 200 | 202 | 403 | 409 | 412), "{}", answer.text);
        if matches!(answer.status, 200 | 202) {
            let after = answer.json();
            let after = after.get("relationship").unwrap_or(&after);
            let version = after["version"].as_i64().expect("a number");
            versions.push((version, Version { allows: allows(after), came }));
        }
    }
    versions
}

/// By number. A version is seen in other answers too, where there was nothing to change: it came after the
/// first question of them, and before the first answer.
fn in_order(seen: Vec<(i64, Version)>) -> BTreeMap<i64, Version> {
    let mut versions: BTreeMap<i64, Version> = BTreeMap::new();
    for (number, version) in seen {
        let known = versions.entry(number).or_insert(version);
        assert_eq!(known.allows, version.allows, "one version is one thing");
        known.came.from = known.came.from.min(version.came.from);
        known.came.to = known.came.to.min(version.came.to);
    }
    versions
}

async fn make(who: &Person, edge: &str, step: &str, body: &Value) -> Answer {
    match step {
        "change" => who.patch(edge, body).await,
        "approve" => who.post_seen(edge, step, body).await,
        _ => who.step(&format!("{edge}/{step}")).await,
    }
}

/// Asks for everything, again and again.
async fn work(who: &Person) -> Vec<Given> {
    let mut all = Vec::new();
    for _ in 0..EXCHANGES {
        let (answer, during) = timed(who.exchange("acme-corp", &names(ALL))).await;
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
        let (held, token) = match answer.status {
            200 => (set(&answer.string("scope")), answer.string("access_token")),
            _ => (0, String::new()),
        };
        all.push(Given { held, during, token });
    }
    all
}

/// Whether at some moment of the span there may have been a version that allowed as much: from the earliest
/// moment at which it may have come to the latest at which the next one may.
fn was_allowed(versions: &BTreeMap<i64, Version>, given: &Given) -> bool {
    let next = versions.values().skip(1).map(|next| Some(next.came.to)).chain([None]);
    versions.values().zip(next).any(|(version, ended)| {
        let overlaps = version.came.from <= given.during.to
            && ended.is_none_or(|ended| given.during.from <= ended);
        overlaps && given.held & !version.allows == 0
    })
}

#[tokio::test]
async fn nobody_is_given_more_than_was_allowed_at_some_moment_meanwhile() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let (ada, another_ada) = (house.log_in(ADA).await, house.log_in(ADA).await);
    let edge = house.relationship("northwind>acme-corp");
    let custom = |set: Set| json!({ "custom_permissions": names(set) });
    let (first, came) = timed(ada.patch(&edge, &custom(ALL))).await;
    let version = |answer: &Answer| answer.expect(200).json()["relationship"]["version"].as_i64();
    let first = (version(&first).unwrap(), Version { allows: ALL, came });

    let none = json!({});
    let switched = [
        ("suspend", none.clone()),
        ("resume", none.clone()),
        ("change", json!({ "access": "restricted" })),
        ("change", json!({ "access": "on" })),
    ];
    let narrowed = [
        ("change", custom(0b0101)),
        ("change", custom(0b0001)),
        ("approve", none.clone()),
        ("change", custom(ALL)),
    ];
    let wished = [("change", custom(ALL)), ("change", custom(0b0111)), ("withdraw", none)];
    let (a, b, c, by_pat, by_sam) = tokio::join!(
        change(&ada, &edge, &switched),
        change(&another_ada, &edge, &narrowed),
        change(&pat, &edge, &wished),
        work(&pat),
        work(&sam),
    );
    let (ended, over) = timed(ada.patch(&edge, &json!({ "access": "off" }))).await;
    let last = version(&ended).unwrap();
    let last_one = (last, Version { allows: 0, came: over });
    let versions = in_order([a, b, c, vec![first, last_one]].concat());
    let known: Vec<_> = versions.keys().copied().collect();
    assert_eq!(known, (first.0..=last).collect::<Vec<_>>(), "every version was somebody's answer");

    let all = [by_pat, by_sam].concat();
    for given in &all {
        assert!(was_allowed(&versions, given), "{given:?} under {versions:#?}");
    }
    // The check is one: had nothing been allowed, it would have said so.
    let nothing = versions.iter().map(|(n, v)| (*n, Version { allows: 0, ..*v })).collect();
    let given: Vec<_> = all.into_iter().filter(|given| given.held != 0).collect();
    assert!(!given.is_empty() && given.iter().all(|given| !was_allowed(&nothing, given)));
    // And when all is over, nothing of it lives on.
    for given in &given {
        assert!(!house.is_alive(&given.token).await, "{given:?}");
    }
}
