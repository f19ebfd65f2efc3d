//! What is another tenant's looks like what is nobody's: the same bytes, on every route that names a thing (S1, S12).

use procura_tests::{Answer, House, Person};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, ROOT, SAM, credentials, patient_house, tenants};

const FAY: &str = "fay@fabrikam.test";
const GIL: &str = "gil@globex.test";

/// Routes with the thing that they name, and a body with which they would do something. `!`: only as the version
/// that was seen.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/api/tenants/access-requests/ACR", ""),
    ("POST", "/api/tenants/access-requests/ACR/approve", "{}"),
    ("POST", "/api/tenants/access-requests/ACR/decline", ""),
    ("POST", "/api/tenants/access-requests/ACR/end", ""),
    ("POST", "/api/tenants/delegations/DLG/end", ""),
    ("POST", "/api/v1/partner/delegations/DLG/end", ""),
    ("PUT", "/api/tenants/relationship-review/REL", r#"{"review_due":"DUE"}"#),
    ("POST!", "/api/v1/partner/relationships/REL/shrink", "{}"),
    ("POST", "/api/v1/partner/relationships/REL/preview", r#"{"access":"off"}"#),
    ("POST", "/api/v1/partner/relationships/REL/preview", r#"{"step":"end"}"#),
    ("DELETE", "/api/api-keys/KEY", ""),
    ("GET", "/api/policies/POL", ""),
    ("PUT!", "/api/policies/POL", r#"{"name":"Taken over","rules":{}}"#),
    ("DELETE", "/api/policies/POL", ""),
    ("PUT", "/api/tenants/OWN/policies/POL", ""),
    ("DELETE", "/api/tenants/OWN/policies/POL", ""),
    ("PUT", "/api/tenants/TEN/policies/POL", ""),
    ("DELETE", "/api/tenants/TEN/policies/POL", ""),
    ("GET", "/api/tenants/quotas?tenantId=TEN", ""),
    ("GET", "/api/tenants/usage?tenantId=TEN", ""),
    ("PUT", "/api/admin/tenants/TEN/quotas", r#"{"users":1}"#),
    ("GET", "/api/audit-logs?relationshipId=REL", ""),
    ("GET", "/api/audit-logs?actorUserId=USR", ""),
    ("GET", "/api/audit-logs?actorTenantId=TEN", ""),
];

/// Something of others: what stands for it in a path, its id, and the id of nothing like it.
struct Thing {
    name: &'static str,
    id: String,
    nothing: String,
}

impl Thing {
    fn of(name: &'static str, id: &str) -> Self {
        let (kind, _) = id.split_once('_').expect("an id");
        Self {
            name,
            id: id.to_owned(),
            nothing: format!("{kind}_{:032x}", 0x0123_4567_89ab_cdef_u64),
        }
    }
}

/// The path with each thing in it, and with nothing; of the word for a thing that needs no more than it has.
fn named(route: &str, things: &[Thing]) -> [String; 2] {
    let mut paths = [route.to_owned(), route.to_owned()];
    for thing in things {
        paths =
            [paths[0].replace(thing.name, &thing.id), paths[1].replace(thing.name, &thing.nothing)];
    }
    paths
}

async fn sent(
    house: &House,
    who: &Person,
    (method, path): (&str, &str),
    body: Option<&Value>,
) -> Answer {
    let empty = json!({});
    match method {
        "POST!" => who.post_if(path, body.unwrap_or(&empty), "\"1\"").await,
        "PUT!" => who.put_if(path, body.unwrap_or(&empty), "\"1\"").await,
        _ => house.api(&who.home, method.parse::<Method>().unwrap(), path, body).await,
    }
}

/// All that an answer says but which request it was.
fn said(answer: &Answer) -> (u16, String, Vec<Option<String>>) {
    let headers = ["content-type", "etag", "link", "www-authenticate", "retry-after"];
    let headers = headers.iter().map(|name| answer.header(name).map(str::to_owned)).collect();
    (answer.status, answer.text.replace(answer.request_id(), "-"), headers)
}

async fn looks_like_nothing(
    house: &House,
    who: &Person,
    route: (&str, &str, Option<&Value>),
    things: &[Thing],
) {
    let (method, path, body) = route;
    let [foreign, nothing] = named(path, things);
    let foreign = said(&sent(house, who, (method, &foreign), body).await);
    let nothing = said(&sent(house, who, (method, &nothing), body).await);
    assert_eq!(foreign, nothing, "{method} {path}");
    let is_list = path.contains("/audit-logs?") && foreign.1 == "[]";
    assert!(matches!(foreign.0, 403 | 404) || is_list, "{method} {path}: {foreign:?}");
}

/// A key, and a policy.
async fn made(house: &House, person: &Person) -> [String; 2] {
    let key = json!({ "client_id": credentials(house, "portal").0, "name": "Nightly",
        "permissions": format!("partner.tenants.switch_context {READ_BILLING}") });
    let key = person.post("/api/api-keys", &key).await.expect(201).string("id");
    let policy = json!({ "name": "Short", "rules": { "session_max_secs": 3600 } });
    let policy = person.post("/api/policies", &policy).await.expect(201).string("id");
    [key, policy]
}

#[tokio::test]
async fn what_is_anothers_looks_like_what_is_not_there() {
    let house = patient_house();
    let (root, ada) = (house.log_in(ROOT).await, house.log_in(ADA).await);
    let (pat, fay) = (house.log_in(PAT).await, house.log_in(FAY).await);
    let sam = house.log_in(SAM).await;
    // Fabrikam is asked each time, and works in Umbrella; Northwind has a key and a policy.
    root.put_bare("/auth/admin/tenants/umbrella/trust-tenant/fabrikam").await.expect(201);
    let delegation =
        procura_tests::claims(&fay.switch("umbrella", READ_BILLING).await)["dlg"].clone();
    let edge = house.relationship("northwind>fabrikam");
    fay.patch(&edge, &json!({ "approval": "each_time" })).await.expect(200);
    pat.exchange("fabrikam", READ_BILLING).await.oauth_error(400, "authorization_pending");
    let asked = fay.get("/api/tenants/access-requests").await.expect(200).json();
    let [key, policy] = made(&house, &pat).await;
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let things = [
        Thing::of("ACR", &text(&asked[0]["id"])),
        Thing::of("DLG", &text(&delegation)),
        Thing::of("REL", edge.rsplit('/').next().unwrap()),
        Thing::of("KEY", &key),
        Thing::of("POL", &policy),
        Thing::of("TEN", house.tenant("fabrikam")),
        Thing::of("USR", house.user(FAY)),
    ];
    let own = house.tenant("acme-corp");
    // A date that would do.
    let reviews = ada.get("/api/tenants/relationship-review").await.expect(200).json();
    let due = text(&reviews[0]["review_due"]);
    for (method, path, body) in ROUTES {
        let path = path.replace("OWN", own);
        let body: Option<Value> = serde_json::from_str(&body.replace("DUE", &due)).ok();
        looks_like_nothing(&house, &ada, (method, &path, body.as_ref()), &things).await;
    }
    // Also for people of the partner's, where the thing is neither their tenant's nor their customers'.
    let umbrella = [Thing::of("DLG", &text(&delegation))];
    for person in [&pat, &sam] {
        for path in ["/api/tenants/delegations/DLG/end", "/api/v1/partner/delegations/DLG/end"] {
            looks_like_nothing(&house, person, ("POST", path, None), &umbrella).await;
        }
    }
    // All of it is there, for those whose it is, as it was.
    let is_there =
        |list: Value, id: &str| list.as_array().unwrap().iter().any(|one| one["id"] == id);
    let running = fay.get("/api/v1/partner/delegations").await;
    assert!(
        running.status == 403 || is_there(running.json(), &text(&delegation)),
        "{}",
        running.text
    );
    fay.post(
        &format!("/api/tenants/access-requests/{}/approve", text(&asked[0]["id"])),
        &json!({ "minutes": 30 }),
    )
    .await
    .expect(200);
    fay.put(
        &format!("/api/tenants/relationship-review/{}", things[2].id),
        &json!({ "review_due": due }),
    )
    .await
    .expect(200);
    pat.get(&format!("/api/policies/{policy}")).await.expect(200);
    pat.delete(&format!("/api/api-keys/{key}")).await.expect(200);
}

#[tokio::test]
async fn the_older_routes_say_the_same_of_anothers_things_as_of_nothing() {
    let house = patient_house();
    let ada = house.log_in(ADA).await;
    let client = credentials(&house, "isp").0;
    let things = [
        Thing::of("REL", &house.demo().relationships["northwind>globex"]),
        Thing::of("USR", house.user(GIL)),
        Thing::of("CLI", client),
        Thing::of("TEN", house.tenant("globex")),
    ];
    for (method, path) in tenants::FOREIGN {
        let body = tenants::body(method, path);
        looks_like_nothing(&house, &ada, (method, path, body.as_ref()), &things).await;
    }
}
