//! Many change a relationship while many use it. What was granted was allowed at some moment between the
//! request and its answer; what was refused was not at some moment; and nothing outlives the last word.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use futures_util::future::join_all;
use procura_tests::{Answer, House, Person};
use serde_json::{Value, json};

const SCOPE: &str =
    "partner.billing.read partner.support.tickets.list partner.support.tickets.create";
const WRITING: &str = "partner.support.tickets.create";
const EACH: usize = 20;

/// What the relationship allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Allowed {
    Nothing,
    Reading,
    All,
}

/// From before a request to after its answer.
#[derive(Clone, Copy, Debug)]
struct Span(Instant, Instant);

impl Span {
    fn meets(self, from: Instant, to: Option<Instant>) -> bool {
        from <= self.1 && to.is_none_or(|to| self.0 <= to)
    }
}

/// A version of the relationship, and when it came.
#[derive(Clone, Copy, Debug)]
struct Version {
    number: i64,
    came: Span,
    allows: Allowed,
}

fn version(relationship: &Value, came: Span) -> Version {
    let allows = match (relationship["state"].as_str(), relationship["access_role"].as_str()) {
        (Some("active"), Some("msp_full")) => Allowed::All,
        (Some("active"), Some("auditor")) => Allowed::Reading,
        (Some("suspended"), _) => Allowed::Nothing,
        other => panic!("nobody did this: {other:?}"),
    };
    Version { number: relationship["version"].as_i64().expect("a number"), came, allows }
}

async fn timed(request: impl Future<Output = Answer>) -> (Answer, Span) {
    let from = Instant::now();
    let answer = request.await;
    (answer, Span(from, Instant::now()))
}

/// Goes through steps again and again, each of which may come in the wrong state.
async fn change(ada: &Person, path: &str, turn: usize) -> Vec<Version> {
    let mut versions = Vec::new();
    for place in 0..EACH {
        let (answer, came) = match (place + turn) % 4 {
            0 => timed(ada.step(&format!("{path}/suspend"))).await,
            1 => timed(ada.step(&format!("{path}/resume"))).await,
            2 => timed(ada.patch(path, &json!({ "access_role": "auditor" }))).await,
            _ => timed(ada.patch(path, &json!({ "access_role": "msp_full" }))).await,
        };
        match answer.status {
            200 => {
                let body = answer.json();
                let inner = &body["relationship"];
                versions.push(version(if inner.is_null() { &body } else { inner }, came));
            }
            409 => assert!(["conflict", "wrong_state"].contains(&answer.string("code").as_str())),
            other => panic!("{other}: {}", answer.text),
        }
    }
    versions
}

/// Enters again and again: what was granted, when, and the token.
async fn enter(pat: &Person) -> Vec<(Allowed, Span, Option<String>)> {
    let mut seen = Vec::new();
    for _ in 0..EACH {
        let (answer, span) = timed(pat.exchange("acme-corp", SCOPE)).await;
        if answer.status == 200 {
            let scope = answer.string("scope");
            let is_writing = scope.split(' ').any(|one| one == WRITING);
            let granted = if is_writing { Allowed::All } else { Allowed::Reading };
            seen.push((granted, span, Some(answer.string("access_token"))));
        } else {
            answer.oauth_error(400, "invalid_target");
            seen.push((Allowed::Nothing, span, None));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_more_than_was_allowed_at_some_moment_of_the_request() {
    let house = House::start();
    let (pat, ada) =
        (house.log_in("pat@northwind.test").await, house.log_in("ada@acme.test").await);
    let path = house.relationship("northwind>acme-corp");
    let (answer, came) = timed(ada.get(&path)).await;
    let first = version(&answer.expect(200).json(), came);
    let (pat, ada, path) = (Arc::new(pat), Arc::new(ada), Arc::new(path));
    let changers = (0..3).map(|turn| {
        let (ada, path) = (Arc::clone(&ada), Arc::clone(&path));
        tokio::spawn(async move { change(&ada, &path, turn).await })
    });
    let users = (0..4).map(|_| {
        let pat = Arc::clone(&pat);
        tokio::spawn(async move { enter(&pat).await })
    });
    let (changers, users) = (changers.collect::<Vec<_>>(), users.collect::<Vec<_>>());
    let changed = join_all(changers).await.into_iter().flat_map(Result::unwrap);
    let mut versions: Vec<_> = [first].into_iter().chain(changed).collect();
    // What changes nothing makes no version.
    versions.sort_by_key(|version| (version.number, version.came.1));
    versions.dedup_by_key(|version| version.number);
    let held: Vec<_> = join_all(users).await.into_iter().flat_map(Result::unwrap).collect();

    // Version by version: from its request on, until the next one was answered.
    let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
    let wanted: Vec<_> = (numbers[0]..).take(numbers.len()).collect();
    assert_eq!(numbers, wanted, "no change is without its answer");
    let possible = |span: Span| -> BTreeSet<Allowed> {
        let all = versions.iter().enumerate();
        let meets = all.filter(|(place, version)| {
            let until = versions.get(place + 1).map(|next| next.came.1);
            span.meets(version.came.0, until)
        });
        meets.map(|(_, version)| version.allows).collect()
    };
    for (granted, span, _) in &held {
        let possible = possible(*span);
        assert!(possible.contains(granted), "{granted:?} where {possible:?} was allowed");
    }
    let count = |wanted| held.iter().filter(|(granted, ..)| *granted == wanted).count();
    assert!(versions.len() > 6, "{versions:?}");
    assert!(count(Allowed::Nothing) > 0 && count(Allowed::Nothing) < held.len(), "{held:?}");

    // The last word: whatever anybody holds of it is dead.
    let last = ada.step(&format!("{path}/suspend")).await;
    assert!([200, 409].contains(&last.status), "{}", last.text);
    for token in held.iter().filter_map(|(_, _, token)| token.as_deref()) {
        assert!(!house.is_alive(token).await);
    }
}
