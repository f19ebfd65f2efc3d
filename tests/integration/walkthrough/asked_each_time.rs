//! Where the customer approves each time: who wants in asks, and waits; the customer says yes to all of it or
//! less, or no, and takes a yes back.

use procura_tests::{Answer, Ended, House, Isp, Person};
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead,
    not_available, open_ticket, works,
};

const EDGE: &str = "northwind>acme-corp";
const REQUESTS: &str = "/api/tenants/access-requests";
const BOTH: &str = "partner.billing.read partner.support.tickets.create";

struct Scene {
    house: House,
    isp: Isp,
    pat: Person,
    ada: Person,
}

/// Ada, at the customer, wants to be asked each time.
async fn scene() -> Scene {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let each_time = json!({ "approval": "each_time" });
    ada.patch(&house.relationship(EDGE), &each_time).await.expect(200);
    Scene { house, isp, pat, ada }
}

#[track_caller]
fn is_pending(answer: &Answer) {
    answer.oauth_error(400, "authorization_pending");
}

/// The path of the newest request.
async fn newest(ada: &Person) -> String {
    let listed = ada.get(REQUESTS).await.expect(200).json();
    format!("{REQUESTS}/{}", listed[0]["id"].as_str().expect("a request"))
}

async fn approve(ada: &Person, request: &str, terms: &Value) -> Answer {
    ada.post(&format!("{request}/approve"), terms).await
}

#[tokio::test]
async fn whoever_wants_in_waits_until_the_customer_says_yes() {
    let Scene { house, isp, pat, ada } = scene().await;
    let why = [("purpose", "support"), ("purpose_ref", "TCK-1")];
    let first = pat.exchange_with("acme-corp", BOTH, &why).await;
    is_pending(&first);
    is_pending(&pat.exchange_with("acme-corp", BOTH, &why).await);
    let listed = ada.get(REQUESTS).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "asked twice, and shown once");
    let shown = &listed[0];
    assert_eq!(shown["state"], "waiting");
    assert_eq!(shown["scope"], BOTH);
    assert_eq!(shown["purpose"], json!({ "code": "support", "ref": "TCK-1" }));
    assert_eq!(shown["user_id"], house.user(PAT));
    assert_eq!(shown["partner_name"], "Northwind MSP");
    assert!(shown["user_name"].is_string(), "{shown}");
    // What was refused is in the log, with what it led to.
    let entry = ada.entry_of(first.request_id()).await;
    assert_eq!(
        (&entry["result"], &entry["reason"]),
        (&json!("refused"), &json!("approval_required"))
    );
    assert_eq!(entry["details"]["access_request"], shown["id"]);

    let request = newest(&ada).await;
    let answer = approve(&ada, &request, &json!({ "minutes": 30 })).await.expect(200).json();
    assert_eq!((&answer["state"], &answer["given_scope"]), (&json!("approved"), &json!(BOTH)));
    assert_eq!(answer["answered_by"], house.user(ADA));
    let granted = pat.exchange_with("acme-corp", BOTH, &why).await;
    let token = granted.expect(200).string("access_token");
    assert_eq!(granted.json()["scope"], BOTH);
    let left = granted.json()["delegation_expires_in"].as_i64();
    assert!(left.is_some_and(|secs| (1700..=1800).contains(&secs)), "{left:?}");
    works(&isp.get(&token, BILLING).await);
    open_ticket(&isp, &token).await.expect(201);
    let entry = ada.entry_of(granted.request_id()).await;
    assert_eq!(entry["details"]["access_requests"], json!([shown["id"]]));
}

#[tokio::test]
async fn a_yes_can_be_smaller_than_the_wish_and_is_for_its_purpose_and_person_alone() {
    let Scene { house, isp, pat, ada } = scene().await;
    is_pending(&pat.exchange("acme-corp", BOTH).await);
    let request = newest(&ada).await;
    for (terms, about) in [
        (json!({ "minutes": 0 }), "minutes"),
        (json!({ "minutes": 721 }), "minutes"),
        (json!({ "scope": "tenant.settings.write" }), "scope"),
        (json!({ "scope": format!("{READ_BILLING} tenant.settings.write") }), "scope"),
        (json!({ "scope": CREATE_TICKETS, "read_only": true }), "read_only"),
        (json!({ "hours": 3 }), "body"),
    ] {
        let answer = approve(&ada, &request, &terms).await;
        assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some(about), "{terms}");
    }
    let cut = approve(&ada, &request, &json!({ "read_only": true })).await.expect(200).json();
    assert_eq!(cut["given_scope"], READ_BILLING);
    let granted = pat.exchange("acme-corp", BOTH).await;
    assert_eq!(granted.expect(200).json()["scope"], READ_BILLING, "less than was asked for");
    let token = granted.string("access_token");
    works(&isp.get(&token, BILLING).await);
    open_ticket(&isp, &token).await.expect(403);

    // What it does not give must be asked for, and so must another purpose.
    is_pending(&pat.exchange("acme-corp", CREATE_TICKETS).await);
    let other = [("purpose", "billing")];
    is_pending(&pat.exchange_with("acme-corp", READ_BILLING, &other).await);
    // It is nobody else's yes.
    let sam = house.log_in(SAM).await;
    is_pending(&sam.exchange("acme-corp", READ_BILLING).await);
    let listed = ada.get(REQUESTS).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(4));
    // One page after the other.
    let page = ada.get(&format!("{REQUESTS}?limit=3")).await;
    let link = page.header("link").expect("there is more").to_owned();
    let next = link.trim_start_matches('<').split('>').next().expect("a link").to_owned();
    let rest = ada.get(&format!("{REQUESTS}{next}")).await.expect(200).json();
    assert_eq!(
        (page.json()[2]["id"].clone(), rest[0]["id"].clone()),
        (listed[2]["id"].clone(), listed[3]["id"].clone(),)
    );
    // Two yeses stand beside each other.
    for one in 0..3 {
        let request = format!("{REQUESTS}/{}", listed[one]["id"].as_str().expect("an id"));
        approve(&ada, &request, &json!({})).await.expect(200);
    }
    let granted = pat.exchange("acme-corp", BOTH).await;
    assert_eq!(granted.expect(200).json()["scope"], BOTH);
}

#[tokio::test]
async fn a_no_is_told_and_the_same_is_not_asked_again_at_once() {
    let Scene { house: _house, isp: _isp, ada, pat } = scene().await;
    is_pending(&pat.exchange("acme-corp", BOTH).await);
    let request = newest(&ada).await;
    let answer = ada.step(&format!("{request}/decline")).await.expect(200).json();
    assert_eq!(answer["state"], "declined");
    pat.exchange("acme-corp", BOTH).await.oauth_error(400, "access_denied");
    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "access_denied");
    assert_eq!(newest(&ada).await, request, "nobody is worn down");
    // Something else is another question.
    is_pending(&pat.exchange("acme-corp", "partner.reports.sla.read").await);
    // What is answered stays answered.
    for step in ["approve", "decline", "end"] {
        let again = ada.step(&format!("{request}/{step}")).await;
        assert_eq!(again.problem(409, "wrong_state").as_deref(), Some("declined"), "{step}");
    }
}

#[tokio::test]
async fn a_yes_that_is_taken_back_ends_what_runs_by_it() {
    let Scene { house: _house, isp, pat, ada } = scene().await;
    is_pending(&pat.exchange("acme-corp", READ_BILLING).await);
    let request = newest(&ada).await;
    approve(&ada, &request, &json!({})).await.expect(200);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let ended = ada.step(&format!("{request}/end?confirm=applied")).await;
    applied_everywhere(&ended);
    assert_eq!(ended.json()["state"], "ended");
    assert_eq!(ended.json()["revoked"]["delegations_ended"], 1);
    dead(&isp, &token).await;
    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "access_denied");
}

#[tokio::test]
async fn nobody_but_the_customers_admin_sees_or_answers_a_request() {
    let Scene { house, pat, ada, .. } = scene().await;
    is_pending(&pat.exchange("acme-corp", READ_BILLING).await);
    let request = newest(&ada).await;
    // Tom administers the partner, Fay another customer; Root runs the deployment.
    for (email, status, code) in [(TOM, 404, "not_found"), ("fay@fabrikam.test", 404, "not_found")]
    {
        let person = house.log_in(email).await;
        person.get(&request).await.problem(status, code);
        for step in ["approve", "decline", "end"] {
            person.step(&format!("{request}/{step}")).await.problem(status, code);
        }
        assert_eq!(person.get(REQUESTS).await.expect(200).text, "[]");
    }
    for email in [PAT, SAM, ROOT] {
        let person = house.log_in(email).await;
        person.get(REQUESTS).await.problem(403, "forbidden");
        person.step(&format!("{request}/approve")).await.problem(403, "forbidden");
    }
    ada.step(&format!("{REQUESTS}/req_nothing/approve")).await.problem(404, "not_found");
    let none = format!("{REQUESTS}/req_0123456789abcdef0123456789abcdef/approve");
    ada.step(&none).await.problem(404, "not_found");
    // Neither does a delegated token of somebody whom the customer let in.
    approve(&ada, &request, &json!({})).await.expect(200);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let answer = house.api(&token, reqwest::Method::GET, REQUESTS, None).await;
    answer.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_relationship_that_stops_takes_the_yes_with_it() {
    let Scene { house, isp, pat, ada } = scene().await;
    let edge = house.relationship(EDGE);
    is_pending(&pat.exchange("acme-corp", READ_BILLING).await);
    let first = newest(&ada).await;
    approve(&ada, &first, &json!({})).await.expect(200);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    is_pending(&pat.exchange("acme-corp", CREATE_TICKETS).await);
    ada.step(&format!("{edge}/suspend")).await.expect(200);
    dead(&isp, &token).await;
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    let answer = approve(&ada, &newest(&ada).await, &json!({})).await;
    assert_eq!(answer.problem(409, "wrong_state").as_deref(), Some("suspended"));
    // Asking each time was agreed on: only the customer makes it standing again, and then nobody asks.
    ada.step(&format!("{edge}/resume")).await.expect(200);
    pat.patch(&edge, &json!({ "approval": "standing" })).await.expect(202);
    ada.patch(&edge, &json!({ "approval": "standing" })).await.expect(200);
    pat.switch("acme-corp", CREATE_TICKETS).await;
}

#[tokio::test]
async fn the_operator_answers_on_the_command_line() {
    let Scene { house, pat, .. } = scene().await;
    is_pending(&pat.exchange("acme-corp", BOTH).await);
    let run = |arguments: &[&str]| {
        let command = ["access-request"].iter().chain(arguments);
        let of = ["--tenant", "acme-corp", "--json"];
        house.command(&command.chain(&of).copied().collect::<Vec<_>>())
    };
    let read = |ended: Ended| -> Value {
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str(&ended.stdout).expect("JSON")
    };
    let id = read(run(&["list"]))[0]["id"].as_str().expect("an id").to_owned();
    let approved = read(run(&["approve", &id, "--read-only", "--minutes", "5"]));
    assert_eq!(approved[0]["given_scope"], READ_BILLING);
    assert_eq!(approved[0]["answered_by"], Value::Null, "no person of the customer");
    let granted = pat.exchange("acme-corp", BOTH).await;
    assert_eq!(granted.expect(200).json()["scope"], READ_BILLING);
    let again = run(&["decline", &id]);
    assert!(!again.status.success() && again.stderr.contains("approved"), "{again:?}");
    assert_eq!(read(run(&["end", &id]))[0]["state"], "ended");
    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "access_denied");
}

#[tokio::test]
async fn an_incident_closes_what_was_approved_and_what_waits() {
    let Scene { house, pat, ada, .. } = scene().await;
    is_pending(&pat.exchange("acme-corp", READ_BILLING).await);
    let running = newest(&ada).await;
    approve(&ada, &running, &json!({ "minutes": 60 })).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
    is_pending(&pat.exchange("acme-corp", CREATE_TICKETS).await);
    let waiting = newest(&ada).await;

    let root = house.log_in(ROOT).await;
    let about = json!({ "partner_id": house.tenant("northwind") });
    let declared = root.post("/api/incidents", &about).await.expect(200).json();
    assert_eq!(declared["access_requests_closed"], 2, "{declared}");
    approve(&ada, &waiting, &json!({})).await.problem(409, "wrong_state");
    for (request, state, action) in [
        (&running, "ended", "access_request.end"),
        (&waiting, "declined", "access_request.decline"),
    ] {
        let shown = ada.get(request).await.expect(200).json();
        assert_eq!(shown["state"], state, "{shown}");
        let listed = ada.get(&format!("/api/audit-logs?action={action}")).await.expect(200).json();
        assert_eq!(listed[0]["resource_id"], shown["id"]);
    }
    // Opened again by the customer, it is asked anew.
    let open = json!({ "access": "on" });
    ada.patch(&house.relationship(EDGE), &open).await.expect(200);
    assert_ne!(pat.exchange("acme-corp", READ_BILLING).await.status, 200);
}
