//! What others make of the document: schemathesis, with requests of its own.

use procura_tests::{House, HouseOptions, Person, Script};
use serde_json::{Value, json};

use super::{callers::basic_of, world::SCOPE};

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
    "setReview",
];

/// Who sends what is made up.
async fn callers(house: &House) -> Value {
    let mut callers = json!({
        "anonymous": "",
        "client": basic_of(house, "portal"),
        "resource server": basic_of(house, "isp"),
    });
    for (name, email) in [("partner-admin", PAT), ("tenant-admin", CORA), ("operator", ROOT)] {
        callers[name] = format!("Bearer {}", house.log_in(email).await.home).into();
    }
    callers
}

/// Ids that lead somewhere. None of a client that a caller uses: stopping it would end the test.
async fn known(house: &House) -> Value {
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
        "setQuotas": [house.tenant("contoso")],
    });
    for name in ABOUT_RELATIONSHIP {
        known[name] = json!([relationship]);
    }
    let (pat, cora) = (house.log_in(PAT).await, house.log_in(CORA).await);
    let made =
        async |path: &str, body: Value| cora.post(path, &body).await.expect(201).string("id");
    let policy = |name: &str| json!({ "name": name, "rules": { "session_max_secs": 86_400 } });
    for name in ["getPolicy", "updatePolicy", "deletePolicy"] {
        known[name] = json!([made("/api/policies", policy(name)).await]);
    }
    let policy = made("/api/policies", policy("to hold")).await;
    for name in ["applyPolicy", "removePolicy"] {
        known[name] = json!([house.tenant("contoso"), policy]);
    }
    let app = json!({ "name": "App", "redirect_uris": ["https://app.example/callback"],
                      "grant_types": ["authorization_code"] });
    for name in
        ["updateClient", "rotateClientSecret", "disableClient", "enableClient", "deleteClient"]
    {
        known[name] = json!([made("/api/clients", app.clone()).await]);
    }
    let token = json!({ "name": "For software" });
    known["endInitialAccessToken"] = json!([made("/api/initial-access-tokens", token).await]);
    let portal = &house.demo().clients["portal"].client_id;
    let key = json!({ "client_id": portal, "name": "nightly", "permissions": SCOPE });
    let key = pat.post("/api/api-keys", &key).await.expect(201).string("id");
    known["endApiKey"] = json!([key]);
    come_in(&pat, &cora, (relationship, &mut known)).await;
    known
}

/// Somebody asks to be let in several times, and once is.
async fn come_in(pat: &Person, cora: &Person, (relationship, known): (&str, &mut Value)) {
    let on = json!({ "mode": "on" });
    cora.put("/api/tenants/partner-access", &on).await.expect(200);
    let each_time = json!({ "approval": "each_time" });
    let path = format!("/api/v1/partner/relationships/{relationship}");
    cora.patch(&path, &each_time).await.expect(200);
    let requests = "/api/tenants/access-requests";
    let enter = async |reference: &str| {
        let why = [("purpose", "support"), ("purpose_ref", reference)];
        pat.exchange_with("contoso", SCOPE, &why).await
    };
    for (reference, names) in [
        ("TCK-1", &["getAccessRequest", "endAccessRequest"][..]),
        ("TCK-2", &["approveAccessRequest"]),
        ("TCK-3", &["declineAccessRequest"]),
    ] {
        enter(reference).await.expect(400);
        let listed = cora.get(requests).await.expect(200).json();
        for name in names {
            known[*name] = json!([listed[0]["id"]]);
        }
    }
    let first = known["getAccessRequest"][0].as_str().expect("an id").to_owned();
    cora.step(&format!("{requests}/{first}/approve")).await.expect(200);
    let delegation = enter("TCK-1").await.expect(200).string("delegation_id");
    for name in ["endDelegationIn", "endDelegationOf"] {
        known[name] = json!([delegation]);
    }
}

async fn found(witness: &str, examples: &str) -> (Vec<Value>, Value) {
    // Each request by somebody who proves nothing is to get its own answer, not "too many".
    let many = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000".to_owned());
    let environment = vec![many, ("PROCURA__REGISTRATION__ENABLED", "true".to_owned())];
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let callers = callers(&house).await.to_string();
    let known = known(&house).await.to_string();
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
    assert_eq!(end["never"], json!([]), "of these nothing good came");
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
