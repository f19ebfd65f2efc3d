//! What is served is what is described, both ways: the document against the text of the table of routes, and
//! against what the running server says of its methods.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use procura_tests::{Answer, House, HouseOptions};
use reqwest::Method;
use serde_json::Value;

use super::world::http;

/// Where routes are written down. Anywhere else none can be added.
const TABLES: &[&str] = &["routes.rs", "openapi/serve.rs"];
/// Paths that are written as a name there.
const NAMED: &[(&str, &str)] =
    &[("oauth::protected_resource::PATH", "/.well-known/oauth-protected-resource")];
/// Paths that only the private listener serves.
const PRIVATE: &[&str] = &["/metrics"];
/// Nothing is said of these on purpose.
const LEFT_OUT: &[&str] = &[
    "/api/docs",
    "/assets/procura.css",
    "/consent",
    "/device",
    "/invitation",
    "/login",
    "/login/callback/{id}",
    "/login/upstream",
    "/logout",
];

type Served = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The paths that the text of the tables names.
fn written() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/server/src");
    let (mut files, mut paths) = (Vec::new(), BTreeSet::new());
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let name = file.strip_prefix(&root).expect("below it").to_str().expect("a plain path");
        // How the table itself hands a path on.
        let text = text.replace("self.router.route(path, ", "");
        let routes: Vec<_> = text.split(".route(").skip(1).collect();
        assert!(routes.is_empty() || TABLES.contains(&name), "{name} has routes of its own");
        for hatch in [".route_service(", ".nest(", ".nest_service(", ".fallback_service("] {
            assert!(!text.contains(hatch), "{name} serves what no table has: {hatch}");
        }
        for route in routes {
            let first = route.trim_start();
            let path = if let Some(literal) = first.strip_prefix('"') {
                literal.split('"').next().expect("a literal")
            } else {
                let name = first.split(',').next().expect("a name");
                let named = NAMED.iter().find(|(known, _)| *known == name);
                named.unwrap_or_else(|| panic!("which path is {name}?")).1
            };
            paths.insert(path.to_owned());
        }
    }
    paths
}

/// What the document describes, and what it says that it leaves out.
fn told(document: &Value) -> (Served, Served) {
    let (mut described, mut left_out) = (Served::new(), Served::new());
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        described.insert(path.clone(), methods.map(|method| method.to_uppercase()).collect());
    }
    for one in document["x-left-out"].as_array().expect("a list") {
        let member = |name: &str| one[name].as_str().expect("a text").to_owned();
        assert!(!member("why").is_empty(), "{one}");
        left_out.entry(member("path")).or_default().insert(member("method"));
    }
    (described, left_out)
}

/// What the server says of a path when it is asked with a method that is not there.
async fn allowed(house: &House, path: &str, methods: &BTreeSet<String>) -> BTreeSet<String> {
    let all = [Method::PUT, Method::DELETE, Method::PATCH, Method::GET];
    let other = all.into_iter().find(|method| !methods.contains(method.as_str()));
    let url = format!("{}{}", house.url(), path.replace(['{', '}'], ""));
    let request = http().request(other.expect("none has all"), url);
    let answer = Answer::of(request.send().await.expect("the server answers")).await;
    let allow = answer.expect(405).header("allow").expect("its methods");
    // Whoever answers GET answers HEAD.
    let allow = allow.split(',').map(|method| method.trim().to_owned());
    allow.filter(|method| method != "HEAD").collect()
}

#[tokio::test]
async fn every_route_of_the_tables_is_described_or_left_out_on_purpose_and_no_other_is_served() {
    let environment = vec![("PROCURA__REGISTRATION__ENABLED", "true".to_owned())];
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let request = http().get(format!("{}/api/openapi.json", house.url()));
    let answer = Answer::of(request.send().await.expect("the server answers")).await;
    let (described, left_out) = told(&answer.expect(200).json());
    let unsaid: Vec<_> = left_out.keys().map(String::as_str).collect();
    assert_eq!(unsaid, LEFT_OUT);

    let mut served = described;
    for (path, methods) in left_out {
        let twice = served.insert(path.clone(), methods);
        assert!(twice.is_none(), "{path} is described and left out");
    }
    let private = PRIVATE.iter().map(|path| (*path).to_owned());
    let told: BTreeSet<_> = served.keys().cloned().chain(private).collect();
    assert_eq!(written(), told);

    for (path, methods) in &served {
        assert_eq!(allowed(&house, path, methods).await, *methods, "{path}");
    }
    for path in PRIVATE {
        let answer = http().get(format!("{}{path}", house.url())).send().await;
        assert_eq!(answer.expect("the server answers").status(), 404, "{path}");
    }
}
