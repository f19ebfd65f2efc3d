//! What others make of the document: schemathesis, with requests of its own.

use procura_tests::{House, HouseOptions, Script};
use serde_json::{Value, json};

const PAT: &str = "pat@northwind.test";
const CORA: &str = "cora@contoso.test";
const ROOT: &str = "root@procura.test";

/// The operations that have the relationship in their path.
const ABOUT_RELATIONSHIP: &[&str] = &[
    "getRelationship",
    "listVersions",
    "changeRelationship",
    "extendRelationship",
    "assignPeople",
    "approveRelationship",
    "declineRelationship",
    "withdrawRelationship",
    "suspendRelationship",
    "resumeRelationship",
    "endRelationship",
    "previewRelationship",
];

fn basic(house: &House, name: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let client = &house.demo().clients[name];
    let secret = client.client_secret.as_deref().expect("a secret");
    format!("Basic {}", STANDARD.encode(format!("{}:{secret}", client.client_id)))
}

/// Who sends what is made up.
async fn callers(house: &House) -> Value {
    let mut callers = json!({
        "anonymous": "",
        "client": basic(house, "portal"),
        "resource server": basic(house, "isp"),
    });
    for (name, email) in [("partner-admin", PAT), ("tenant-admin", CORA), ("operator", ROOT)] {
        callers[name] = format!("Bearer {}", house.log_in(email).await.home).into();
    }
    callers
}

/// Ids that lead somewhere. None of a client that a caller uses: stopping it would end the test.
fn known(house: &House) -> Value {
    let relationship = &house.demo().relationships["northwind>contoso"];
    let isp = &house.demo().clients["isp"].client_id;
    let mut known = json!({
        "putTrust": [house.tenant("contoso"), house.tenant("globex")],
        "deleteTrust": [house.tenant("contoso"), house.tenant("globex")],
        "listManagedTenants": ["northwind"],
        "listManagingTenants": ["contoso"],
        "getClient": [isp],
        "getResourceServer": [isp],
        "enableUser": [house.user(CORA)],
    });
    for name in ABOUT_RELATIONSHIP {
        known[name] = json!([relationship]);
    }
    known
}

async fn found(witness: &str, examples: &str) -> (Vec<Value>, Value) {
    // Each request by somebody who proves nothing is to get its own answer, not "too many".
    let many = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000".to_owned());
    let environment = vec![many, ("PROCURA__REGISTRATION__ENABLED", "true".to_owned())];
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let (callers, known) = (callers(&house).await.to_string(), known(&house).to_string());
    let environment = [
        ("ISSUER", house.issuer()),
        ("CALLERS", &callers),
        ("KNOWN", &known),
        ("EXAMPLES", examples),
        ("WITNESS", witness),
    ];
    let script = Script::python("described.py", &environment);
    let done = script.run(async |_, _| String::new()).await;
    (done.all("fault").cloned().collect(), done.step("end").clone())
}

#[tokio::test]
async fn every_answer_to_independent_requests_is_a_described_one() {
    let (faults, end) = found("", "2").await;
    let texts: Vec<_> = faults.iter().map(|fault| format!("{fault:#}")).collect();
    assert!(texts.is_empty(), "{}", texts.join("\n"));
    // Silence of somebody who asked nothing proves nothing.
    assert!(end["operations"].as_u64().is_some_and(|count| count >= 80), "{end}");
    for caller in ["partner-admin 200", "tenant-admin 200", "operator 200", "anonymous 401"] {
        assert!(
            end["answers"][caller].as_u64().is_some_and(|count| count >= 20),
            "{caller}: {end}"
        );
    }
}

/// A witness that cannot see proves nothing.
#[tokio::test]
async fn independent_requests_find_an_answer_that_is_not_described() {
    let (faults, _) = found("getHealth", "1").await;
    assert!(!faults.is_empty());
    for fault in faults {
        let about = fault["about"].as_str().expect("a text");
        assert!(about.starts_with("GET /api/health as ") && about.ends_with(": 200"), "{fault:#}");
    }
}
