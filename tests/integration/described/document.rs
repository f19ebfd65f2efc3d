//! `/api/openapi.json` and `/api/docs`.

use std::{env, path::PathBuf};

use procura_tests::{Answer, House, browse};
use reqwest::header::IF_NONE_MATCH;
use serde_json::Value;

use super::world::http;

const VIOLATION: &str = "violates the following Content Security Policy directive";

async fn get(house: &House, path: &str, tag: Option<&str>) -> Answer {
    let request = http().get(format!("{}{path}", house.url()));
    let request = match tag {
        Some(tag) => request.header(IF_NONE_MATCH, tag),
        None => request,
    };
    Answer::of(request.send().await.expect("the server answers")).await
}

/// Everything that the document points to inside itself.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref") {
                    Some(there) => found.push(there.to_owned()),
                    None => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole_and_can_be_kept() {
    let house = House::start();
    let answer = get(&house, "/api/openapi.json", None).await;
    let document = answer.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], house.issuer());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for there in found {
        let place = there.strip_prefix('#').expect("inside the document");
        assert!(document.pointer(place).is_some_and(Value::is_object), "nothing at {there}");
    }
    // A part of the server that is not switched on is not described.
    assert!(document["paths"]["/oauth2/register"].is_null());
    let tag = answer.header("etag").expect("a tag").to_owned();
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let known = get(&house, "/api/openapi.json", Some(&tag)).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    get(&house, "/api/openapi.json", Some("\"other\"")).await.expect(200);
}

#[tokio::test]
async fn the_page_says_the_same_and_needs_nothing_from_elsewhere() {
    let house = House::start();
    let document = get(&house, "/api/openapi.json", None).await.json();
    let page = get(&house, "/api/docs", None).await;
    let policy = page.expect(200).header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    assert!(!page.text.contains("<script"));
    for (path, methods) in document["paths"].as_object().expect("paths") {
        assert!(page.text.contains(path), "{path}");
        for operation in methods.as_object().expect("methods").values() {
            let id = operation["operationId"].as_str().expect("a name");
            assert!(page.text.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
    for outside in ["src=\"http", "href=\"http", "//cdn", "@import"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
}

#[test]
fn a_browser_shows_it_and_has_nothing_to_complain_of() {
    let house = House::start();
    let picture = env::var_os("PROCURA_TESTS_SCREENSHOTS")
        .map(|folder| PathBuf::from(folder).join("docs.png"));
    let url = format!("{}/api/docs", house.issuer());
    let Some(seen) = browse(&url, picture.as_deref()) else { return };
    assert!(seen.dom.contains("id=\"getRelationship\""));
    for complaint in [VIOLATION, "CONSOLE"] {
        assert!(!seen.log.contains(complaint), "{}", seen.log);
    }
}
