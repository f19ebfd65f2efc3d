//! Bad input to the management API: a clear problem with a stable code, and nothing changed.

use procura_tests::House;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH},
};
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, at, http, send};

const SWITCH: &str = "/api/tenants/partner-access";

#[tokio::test]
async fn a_body_is_json_of_the_documented_shape() {
    let house = House::start();
    let ada = house.log_in(ADA).await;
    let put = |kind: &'static str, body: String| {
        let request = http().put(at(&house, SWITCH)).bearer_auth(&ada.home);
        send(request.header(CONTENT_TYPE, kind).body(body))
    };
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    for (kind, body, status, code) in [
        ("application/json", String::new(), 400, "invalid_request"),
        ("application/json", "{".to_owned(), 400, "invalid_request"),
        ("application/json", "null".to_owned(), 400, "invalid_request"),
        ("application/json", r#"{"mode":"OFF"}"#.to_owned(), 400, "invalid_request"),
        ("application/json", r#"{"mode":"off","mode":"on"}"#.to_owned(), 400, "invalid_request"),
        ("application/json", r#"{"mode":"off","more":1}"#.to_owned(), 400, "invalid_request"),
        ("application/json", r#"{"mode":"off\u0000"}"#.to_owned(), 400, "invalid_request"),
        ("application/json", deep, 400, "invalid_request"),
        ("application/json", format!("\"{}\"", "a".repeat(64 * 1024)), 413, "too_large"),
        ("text/plain", r#"{"mode":"off"}"#.to_owned(), 415, "unsupported_media_type"),
        ("", r#"{"mode":"off"}"#.to_owned(), 415, "unsupported_media_type"),
    ] {
        put(kind, body).await.problem(status, code);
    }
    assert_eq!(ada.get(SWITCH).await.expect(200).json()["mode"], "on", "nothing changed");
    put("application/json", r#"{"mode":"restricted"}"#.to_owned()).await.expect(200);
}

#[tokio::test]
async fn queries_ids_and_paths_that_make_no_sense_are_refused() {
    let house = House::start();
    let (ada, pat) = (house.log_in(ADA).await, house.log_in(PAT).await);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "from=yesterday",
        "actorTenantId=x",
        "unknown=1",
        "action=%00",
        "limit=1&limit=2",
    ] {
        let answer = ada.get(&format!("/api/audit-logs?{query}")).await;
        answer.problem(400, "invalid_request");
    }
    // A page that is full says where the next one is.
    let page = ada.get("/api/audit-logs?action=login&limit=1").await;
    let seq = &page.expect(200).json()[0]["seq"];
    let next = format!("<?action=login&limit=1&cursor={seq}>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(next.as_str()));
    let rest = ada.get(&format!("/api/audit-logs?action=login&limit=1&cursor={seq}")).await;
    assert_eq!(rest.expect(200).text, "[]", "Ada has logged in once");
    assert_eq!(rest.header("link"), None);
    ada.get("/api/audit-logs?tenantId=umbrella").await.problem(404, "not_found");
    ada.put(&format!("{SWITCH}?confirm=perhaps"), &json!({"mode": "off"}))
        .await
        .problem(400, "invalid_request");
    for id in ["x", "rel_", "rel_0123456789abcdef0123456789abcdef", "..%2f.."] {
        let answer = pat.get(&format!("/api/v1/partner/relationships/{id}")).await;
        answer.problem(404, "not_found");
    }
    for id in ["%00", "%FF"] {
        let path = format!("/api/v1/partner/relationships/{id}");
        pat.get(&path).await.problem(400, "invalid_request");
    }
    // Where people are, it is a page.
    for path in ["/device?user_code=%00", "/login/callback/%00", "/login/callback/%FF"] {
        let page = house.visitor().visit(path).await;
        let kind = page.header("content-type").unwrap();
        assert!(kind.starts_with("text/html"), "{path}: {kind} {}", page.text);
    }
    pat.get("/api/nowhere").await.problem(404, "not_found");
    pat.delete(SWITCH).await.problem(405, "method_not_allowed");
    let wrong = json!({"name": " ", "admin_email": "a@b.test"});
    pat.post("/api/partners/tenants", &wrong).await.problem(400, "invalid_request");
    let wrong = json!({"name": "X", "admin_email": "nobody"});
    pat.post("/api/partners/tenants", &wrong).await.problem(400, "invalid_request");
    let taken = json!({"name": "X", "admin_email": ADA});
    pat.post("/api/partners/tenants", &taken).await.problem(409, "conflict");
    let unasked = json!({"partner_code": "nobody gave me one"});
    pat.post("/api/v1/partner/relationships", &unasked).await.problem(404, "not_found");
}

/// Every route of people, with the methods that it knows.
const ROUTES: &[(&str, &str)] = &[
    ("PUT", "/auth/admin/tenants/acme-corp/trust-tenant/northwind"),
    ("DELETE", "/auth/admin/tenants/acme-corp/trust-tenant/northwind"),
    ("GET", "/auth/admin/tenants/acme-corp/manages-tenants"),
    ("GET", "/auth/admin/tenants/acme-corp/managed-by-tenants"),
    ("GET", "/api/v1/partner/customers"),
    ("POST", "/api/v1/partner/relationships"),
    ("GET", "RELATIONSHIP"),
    ("PATCH", "RELATIONSHIP"),
    ("DELETE", "RELATIONSHIP"),
    ("POST", "RELATIONSHIP/approve"),
    ("POST", "RELATIONSHIP/suspend"),
    ("POST", "/api/partners/tenants"),
    ("GET", "/api/partners/tenants"),
    ("GET", SWITCH),
    ("PUT", SWITCH),
    ("GET", "/api/tenants/partner-activity"),
    ("GET", "/api/tenants/users"),
    ("POST", "/api/tenants/users/usr_0123456789abcdef0123456789abcdef/disable"),
    ("POST", "/api/tenants/users/usr_0123456789abcdef0123456789abcdef/enable"),
    ("GET", "/api/me/consents"),
    ("DELETE", "/api/me/consents/cli_nobody"),
    ("GET", "/api/audit-logs"),
    ("POST", "/api/audit-events"),
    ("GET", "/revocations/snapshot"),
    ("GET", "/revocations/stream"),
    ("POST", "/revocations/ack"),
];

#[tokio::test]
async fn no_route_answers_without_a_credential_or_to_a_delegated_or_machine_token() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let delegated = pat.switch("acme-corp", READ_BILLING).await;
    let machine = house.token(&[("grant_type", "client_credentials")]).await;
    let machine = machine.expect(200).string("access_token");
    let relationship = house.relationship("northwind>acme-corp");
    for (method, path) in ROUTES {
        let path = path.replace("RELATIONSHIP", &relationship);
        let method: Method = method.parse().unwrap();
        let bare = send(http().request(method.clone(), at(&house, &path))).await;
        bare.problem(401, "unauthenticated");
        for token in [delegated.as_str(), machine.as_str(), pat.id_token.as_str(), "x.y.z"] {
            let answer = house.api(token, method.clone(), &path, None).await;
            answer.problem(401, "unauthenticated");
        }
        let twice = http()
            .request(method, at(&house, &path))
            .header(AUTHORIZATION, format!("Bearer {}", pat.home))
            .header(AUTHORIZATION, format!("Bearer {}", pat.home));
        send(twice).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_version_that_the_caller_saw_counts_or_is_refused() {
    let house = House::start();
    let ada = house.log_in(ADA).await;
    let edge = house.relationship("northwind>acme-corp");
    let user = format!("/api/tenants/users/{}/disable", house.user(PAT));
    let go = async |method: &str, path: &str, tag: &str| {
        let request = http().request(method.parse().unwrap(), at(&house, path));
        let request = request.bearer_auth(&ada.home).header(IF_MATCH, tag);
        let body = (path == SWITCH).then(|| json!({"mode": "restricted"}));
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    };
    for (method, path) in [
        ("PUT", "/auth/admin/tenants/acme-corp/trust-tenant/umbrella"),
        ("DELETE", "/auth/admin/tenants/acme-corp/trust-tenant/northwind"),
        ("PUT", SWITCH),
        ("POST", user.as_str()),
        ("DELETE", "/api/me/consents/cli_nobody"),
        ("POST", "/api/v1/partner/relationships"),
    ] {
        for tag in ["\"1\"", "*"] {
            let about = go(method, path, tag).await.problem(400, "invalid_request");
            assert_eq!(about.as_deref(), Some("if_match"), "{method} {path}");
        }
    }
    assert_eq!(ada.get(SWITCH).await.expect(200).json()["mode"], "on", "nothing changed");
    // Where there are versions, only the one that was seen counts, in just our writing of it.
    let suspend = format!("{edge}/suspend");
    for other in ["\"+1\"", "\"01\"", "\" 1\"", "\"1.0\"", "\"\"", "\"2\"", "\"-1\""] {
        go("POST", &suspend, other).await.problem(412, "stale");
    }
    for none in ["1", "W/\"1\"", "\"1", "\"1\", \"2\""] {
        let answer = go("POST", &suspend, none).await;
        assert!(matches!(answer.status, 400 | 412), "{none}: {}", answer.text);
    }
    let tag = ada.get(&edge).await.expect(200).header("etag").unwrap().to_owned();
    go("POST", &suspend, &tag).await.expect(200);
}
