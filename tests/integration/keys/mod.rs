//! The life of signing keys and of the master key, with the real command line beside a real server.

mod emergency;
mod master_key;
mod rotation;

use procura_tests::{Ended, House, procura};

/// A line of `procura keys list`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    kid: String,
    alg: String,
    state: String,
}

/// `procura keys …` on the folder of this house.
fn keys(house: &House, arguments: &[&str]) -> Ended {
    let data = house.data_text();
    let mut all = vec!["keys"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--data", &data]);
    procura(&all)
}

fn listed(house: &House) -> Vec<Line> {
    let ended = keys(house, &["list"]);
    assert!(ended.status.success(), "{ended:?}");
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        let mut word = || words.next().expect("a column");
        Line { kid: word(), alg: word(), state: word() }
    };
    ended.stdout.lines().skip(1).map(line).collect()
}

/// The one key of this algorithm in this state.
#[track_caller]
fn the(house: &House, alg: &str, state: &str) -> String {
    let mut found = listed(house).into_iter().filter(|line| line.alg == alg && line.state == state);
    let line = found.next().unwrap_or_else(|| panic!("no {state} {alg} key"));
    assert!(found.next().is_none(), "more than one {state} {alg} key");
    line.kid
}

/// The ids of the keys that the server publishes.
async fn published(house: &House) -> Vec<String> {
    let jwks = house.visitor().visit("/oauth2/jwks").await.expect(200).json();
    let keys = jwks["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}
