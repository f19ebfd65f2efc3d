//! What a key does where the answer cannot be given again, or the person may not do it (any more).

use futures_util::future::join_all;
use procura_tests::{House, MovedClock, Scratch};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PAT, ROOT};

const CLIENTS: &str = "/api/clients";
const BOTH: &str = "bo@northwind.test";

fn import(house: &House, roles: &[&str]) {
    let user = json!({ "email": BOTH, "tenant": "northwind", "name": "Bo", "roles": roles,
                       "password": house.demo().password });
    let folder = Scratch::new();
    let file = folder.path().join("users.json");
    std::fs::write(&file, json!({ "users": [user] }).to_string()).expect("a file");
    let done = house.command(&["import", file.to_str().expect("a plain path")]);
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
async fn whoever_has_lost_a_role_asks_something_else_with_the_same_key() {
    let house = House::start();
    import(&house, &["partner-admin", "tenant-admin"]);
    let body = json!({ "name": "An App", "redirect_uris": ["https://app.example/callback"],
                       "grant_types": ["authorization_code"] });
    let bo = house.log_in(BOTH).await;
    let first = bo.post_with_key(CLIENTS, &body, "k").await;
    // Another login is the same person.
    let again = house.log_in(BOTH).await.post_with_key(CLIENTS, &body, "k").await;
    assert_eq!((again.status, &again.text), (201, &first.expect(201).text));
    import(&house, &["tenant-admin"]);
    bo.post_with_key(CLIENTS, &body, "k").await.problem(401, "unauthenticated");
    let bo = house.log_in(BOTH).await;
    let refused = bo.post_with_key(CLIENTS, &body, "k").await;
    refused.problem(422, "idempotency_key_reused");
    assert!(!refused.text.contains("An App"));
    bo.post_with_key(CLIENTS, &body, "another").await.expect(201);
}

#[tokio::test]
async fn evidence_is_given_once_and_who_asks_again_hears_that_it_was() {
    let clock = MovedClock::new();
    let house = House::on_a_file_with(clock.options());
    let start = clock.stop();
    let root = house.log_in(ROOT).await;
    let incident = json!({ "partner_id": house.tenant("northwind"), "evidence_days": 0 });
    let given = root.post_with_key("/api/incidents", &incident, "k").await;
    assert_eq!(given.expect(200).header("content-type"), Some("application/jsonl"));
    assert!(given.text.lines().count() > 1);
    let declared = async || {
        let log = root.get("/api/audit-logs?action=incident.declare").await.expect(200).json();
        log.as_array().map(Vec::len).expect("a list")
    };
    let once = declared().await;
    // For a minute somebody may still be reading it.
    clock.go_to(start + 59);
    let again = root.post_with_key("/api/incidents", &incident, "k").await;
    again.problem(409, "idempotency_in_progress");
    for secs in [60, 120] {
        clock.go_to(start + secs);
        let again = root.post_with_key("/api/incidents", &incident, "k").await;
        again.problem(409, "answer_lost");
    }
    assert_eq!(declared().await, once, "nothing was done again");
    // An answer that is no evidence is kept like any other.
    let plain = json!({ "partner_id": house.tenant("northwind"), "mode": "off" });
    let first = root.post_with_key("/api/incidents", &plain, "other").await;
    let again = root.post_with_key("/api/incidents", &plain, "other").await;
    assert_eq!((again.status, &again.text), (200, &first.expect(200).text));
}

#[tokio::test]
async fn whoever_may_change_nothing_claims_no_key() {
    let house = House::start();
    import(&house, &["member"]);
    let (member, pat) = (house.log_in(BOTH).await, house.log_in(PAT).await);
    let tenants = "/api/partners/tenants";
    let body = json!({ "name": "Tailspin Toys", "admin_email": "tina@tailspin.test" });
    let answers = join_all((0..8).map(|_| member.post_with_key(tenants, &body, "k"))).await;
    for answer in answers {
        answer.problem(403, "forbidden");
    }
    let answers = join_all((0..8).map(|_| pat.post_with_key(tenants, &body, "k"))).await;
    assert!(answers.iter().any(|answer| answer.status == 201));
    let all = pat.get(tenants).await.expect(200).json();
    let made =
        all.as_array().expect("a list").iter().filter(|t: &&Value| t["name"] == "Tailspin Toys");
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_called_too_large() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let host = house.url().strip_prefix("http://").expect("plain http");
    for key in ["", "idempotency-key: k\r\n"] {
        let mut stream = TcpStream::connect(host).await.expect("the server listens");
        let request = format!(
            "POST /api/partners/tenants HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n{key}\r\n\
             2\r\n{{}}\r\nno length\r\n",
            pat.home
        );
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server answers");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{key}: {answer}");
        assert!(answer.contains("\"about\":\"body\""), "{key}: {answer}");
    }
    let huge = json!({ "name": "x".repeat(70_000), "admin_email": "x@x.test" });
    for answer in [
        pat.post("/api/partners/tenants", &huge).await,
        pat.post_with_key("/api/partners/tenants", &huge, "k").await,
    ] {
        answer.problem(413, "too_large");
    }
    // Nor does anybody make the server keep more than that in mind before it knows who asks.
    let nowhere = "/api/nowhere";
    pat.post(nowhere, &huge).await.problem(404, "not_found");
    pat.post_with_key(nowhere, &huge, "k").await.problem(413, "too_large");
}
