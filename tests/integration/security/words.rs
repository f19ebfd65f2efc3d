//! What a resource server reports is told from what the server itself did: its own words are nobody else's.

use std::{collections::BTreeSet, fs, path::Path};

use procura_tests::Answer;
use serde_json::json;

use super::patient_house;

/// Texts in the sources that look like actions, and are none.
const NO_ACTIONS: &[&str] = &[
    "account.consents",
    "form_post.jwt",
    "manifest.json",
    "manifest.mac",
    "query.jwt",
    "tenant.policies.write",
];

/// The literals of a source file up to its tests.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    let (code, _) = source.split_once("#[cfg(test)]").unwrap_or((source, ""));
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// Whether it is written like an action: words of small letters, with dots between them.
fn is_dotted(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_'));
    text.contains('.') && text.split('.').all(is_word)
}

/// The third of some arguments, where it is a literal: an action of one word stands nowhere else.
fn third_literal(arguments: &str) -> Option<&str> {
    let third = arguments.split(',').nth(2)?.trim();
    third.strip_prefix('"')?.strip_suffix('"')
}

/// Every action that the sources name.
fn actions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/issuer/src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let entries = source.split("Entry::new(").skip(1);
            found.extend(entries.filter_map(third_literal).map(ToOwned::to_owned));
            let dotted = literals(&source).filter(|text| is_dotted(text));
            found.extend(dotted.filter(|text| !NO_ACTIONS.contains(text)).map(ToOwned::to_owned));
        }
    }
    found
}

#[tokio::test]
async fn no_resource_server_writes_the_servers_own_words() {
    let house = patient_house();
    let server = &house.demo().clients["isp"];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let report = async |action: &str| {
        let request = http
            .post(format!("{}/api/audit-events", house.url()))
            .basic_auth(&server.client_id, server.client_secret.as_ref())
            .json(&json!({ "jti": "unknown", "action": action }));
        Answer::of(request.send().await.expect("the server answers")).await
    };
    let actions = actions();
    for known in ["api_key.create", "quota.set", "policy.enforce", "logout.notify", "logout"] {
        assert!(actions.contains(known), "{known} is not found: has its form changed?");
    }
    assert!(actions.len() > 80, "only {} were found: {actions:?}", actions.len());
    for action in &actions {
        let refused = report(action).await;
        let about = refused.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some("action"), "{action} is the server's own word");
    }
    // Whatever is its own to say is looked up by the token.
    for own in ["invoice.read", "tickets.create", "tenants.list", "report"] {
        report(own).await.problem(404, "not_found");
    }
}
