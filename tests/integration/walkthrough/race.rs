//! Both sides change a relationship while people exchange under it, all at once: whatever somebody was given,
//! the relationship and the customer's switch allowed it at some moment between the question and the answer. At one
//! node, and at two of which each knows what the other does.

use std::{cell::RefCell, collections::BTreeMap, time::Instant};

use procura_tests::{Answer, House, HouseOptions, Person, Postgres, claims};
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
const RUNNING: &str = "/api/tenants/delegations";

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

/// A version of the relationship, or a position of the customer's switch: what it allows, and between when and
/// when it came.
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

/// Turns the customer's switch for all its partners, again and again.
async fn turn(who: &Person) -> Vec<Version> {
    let turns = [("off", 0), ("on", ALL), ("restricted", READING), ("on", ALL)];
    let mut positions = Vec::new();
    for (mode, allows) in turns.into_iter().cycle().take(ROUNDS - ROUNDS % turns.len()) {
        let mode = json!({ "mode": mode });
        let (answer, came) = timed(who.put("/api/tenants/partner-access", &mode)).await;
        answer.expect(200);
        positions.push(Version { allows, came });
    }
    positions
}

/// Ends what somebody does, one by one: what was given of it is dead at every node when that is answered.
async fn end(who: &Person, given: &RefCell<Vec<Given>>, nodes: [&House; 2]) {
    for _ in 0..ROUNDS {
        let listed = who.get(RUNNING).await.expect(200).json();
        let Some(id) = listed[0]["id"].as_str() else { continue };
        let ended = who.step(&format!("{RUNNING}/{id}/end")).await;
        // Something else may have ended it meanwhile.
        assert!(matches!(ended.status, 200 | 409), "{}", ended.text);
        let of_it = |given: &&Given| given.held != 0 && claims(&given.token)["dlg"] == id;
        let last = given.borrow().iter().rev().find(of_it).map(|given| given.token.clone());
        for node in nodes {
            if let Some(token) = &last {
                assert!(!node.is_alive(token).await, "{id} has ended");
            }
        }
    }
}

/// Asks for everything, again and again.
async fn work(who: &Person, all: &RefCell<Vec<Given>>) {
    for _ in 0..EXCHANGES {
        let (answer, during) = timed(who.exchange("acme-corp", &names(ALL))).await;
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
        let (held, token) = match answer.status {
            200 => (set(&answer.string("scope")), answer.string("access_token")),
            _ => (0, String::new()),
        };
        all.borrow_mut().push(Given { held, during, token });
    }
}

/// Each with the answer before which it was over; the last one goes on.
fn stretches(all: Vec<Version>) -> Vec<(Version, Option<Instant>)> {
    let over: Vec<_> = all.iter().skip(1).map(|next| Some(next.came.to)).chain([None]).collect();
    all.into_iter().zip(over).collect()
}

/// Whether at some moment of the span there may have been a version and a position of the switch that allowed as
/// much: each from the earliest moment at which it may have come to the latest at which the next one may.
fn was_allowed(states: [&[(Version, Option<Instant>)]; 2], given: &Given) -> bool {
    let [versions, positions] = states;
    let mut pairs = versions.iter().flat_map(|v| positions.iter().map(move |p| [v, p]));
    pairs.any(|pair| {
        let from = pair.iter().map(|(one, _)| one.came.from).chain([given.during.from]).max();
        let to = pair.iter().filter_map(|(_, over)| *over).chain([given.during.to]).min();
        let allows = pair.iter().fold(ALL, |allows, (one, _)| allows & one.allows);
        from <= to && given.held & !allows == 0
    })
}

/// The changes of one node and the other, and the exchanges of both.
async fn race(one: &House, two: &House) {
    let (pat, sam) = (one.log_in(PAT).await, one.log_in(SAM).await.at(two));
    let (ada, another_ada) = (one.log_in(ADA).await, one.log_in(ADA).await.at(two));
    let edge = one.relationship("northwind>acme-corp");
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
    let (pat_at_two, given) = (pat.at(two), RefCell::default());
    let (a, b, c, positions, (), (), ()) = tokio::join!(
        change(&ada, &edge, &switched),
        change(&another_ada, &edge, &narrowed),
        change(&pat_at_two, &edge, &wished),
        turn(&ada),
        end(&another_ada, &given, [one, two]),
        work(&pat, &given),
        work(&sam, &given),
    );
    let (ended, over) = timed(ada.patch(&edge, &json!({ "access": "off" }))).await;
    let last = version(&ended).unwrap();
    let last_one = (last, Version { allows: 0, came: over });
    let versions = in_order([a, b, c, vec![first, last_one]].concat());
    let known: Vec<_> = versions.keys().copied().collect();
    assert_eq!(known, (first.0..=last).collect::<Vec<_>>(), "every version was somebody's answer");
    let at_first = Version { allows: ALL, came };
    check(
        [one, two],
        [versions.into_values().collect(), [vec![at_first], positions].concat()],
        given.take(),
    )
    .await;
}

async fn check(nodes: [&House; 2], states: [Vec<Version>; 2], all: Vec<Given>) {
    let [versions, positions] = states.map(stretches);
    for given in &all {
        let is_lawful = was_allowed([&versions, &positions], given);
        assert!(is_lawful, "{given:?} under {versions:#?} and {positions:#?}");
    }
    // The check is one: had either allowed nothing, it would have said so.
    let nothing = |all: &[(Version, Option<Instant>)]| -> Vec<_> {
        all.iter().map(|(one, over)| (Version { allows: 0, ..*one }, *over)).collect()
    };
    let (no_version, no_position) = (nothing(&versions), nothing(&positions));
    let given: Vec<_> = all.into_iter().filter(|given| given.held != 0).collect();
    assert!(!given.is_empty());
    for given in &given {
        assert!(!was_allowed([&no_version, &positions], given));
        assert!(!was_allowed([&versions, &no_position], given));
        // And when all is over, nothing of it lives on.
        for node in nodes {
            assert!(!node.is_alive(&given.token).await, "{given:?}");
        }
    }
}

#[tokio::test]
async fn nobody_is_given_more_than_was_allowed_at_some_moment_meanwhile() {
    let house = House::start();
    Box::pin(race(&house, &house)).await;
}

#[tokio::test]
async fn nobody_is_given_more_at_two_nodes_either() {
    let database = Some(Postgres::shared().database());
    let one = House::start_with(HouseOptions { database, ..HouseOptions::default() });
    Box::pin(race(&one, &one.another_node())).await;
}
