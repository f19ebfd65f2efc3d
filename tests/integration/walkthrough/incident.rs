//! Something has happened at a partner: the operator closes all its doors at once, and keeps the evidence.

use std::{fs, os::unix::fs::PermissionsExt};

use procura_tests::{Ended, House, Isp, Person};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, dead, not_available, works,
};

const INCIDENTS: &str = "/api/incidents";
const FAY: &str = "fay@fabrikam.test";
/// What a partner reads of who moved a relationship on the other side, and why.
const NOTHING: (&Value, &Value, &Value) = (&Value::Null, &Value::Null, &Value::Null);

fn verify(house: &House, path: &str) -> Ended {
    house.command(&["audit", "verify-evidence", path])
}

#[tokio::test]
async fn one_command_closes_a_partners_doors_and_writes_the_evidence() {
    let house = House::on_a_file();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let file = house.data().join("evidence.jsonl");
    let path = file.to_str().expect("a path");
    let declare = ["incident", "--partner", "northwind", "--off", "--evidence", path];
    let done = house.command(&declare);
    assert!(done.status.success(), "{done:?}");
    // The command has waited for the verifiers of the server that runs.
    assert!(done.stdout.contains("; 1 of 1 verifiers have applied it"), "{done:?}");
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    // At home the partner's people go on.
    pat.get("/api/v1/partner/delegations").await.expect(200);
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let text = fs::read_to_string(&file).expect("text");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let of = |kind: &str| lines.iter().filter(|l| l["kind"] == kind).collect::<Vec<_>>();
    let edges = of("relationship");
    assert!(edges.len() >= 3, "all that are live");
    let (asked, agreed): (Vec<&Value>, Vec<&Value>) =
        edges.iter().partition(|edge| edge["before"]["state"] == "requested");
    assert!(agreed.iter().all(|edge| edge["after"]["access"] == "off"));
    assert_eq!((asked.len(), &asked[0]["after"]["state"]), (1, &json!("declined")));
    assert!(edges.iter().any(|edge| edge["before"]["access"] == "on"));
    let ran = of("delegation");
    assert_eq!((ran.len(), &ran[0]["user_id"]), (1, &json!(house.user(PAT))));
    for action in ["token.exchange", "incident.declare"] {
        assert!(of("audit").iter().any(|entry| entry["action"] == action), "{action}");
    }
    assert!(!of("checkpoint").is_empty() && !of("keys")[0]["keys"].as_array().unwrap().is_empty());
    for secret in [&*token, &*pat.home] {
        assert!(!text.contains(secret) && !text.contains("\"d\":"));
    }

    // It proves itself, and nothing that was changed does.
    let verify = |path: &str| verify(&house, path);
    let whole = verify(path);
    assert!(whole.status.success() && whole.stdout.contains(" is whole: "), "{whole:?}");
    let forged = house.data().join("forged.jsonl");
    for changed in
        [text.replacen("off", "on", 1), text.lines().skip(1).collect::<Vec<_>>().join("\n")]
    {
        fs::write(&forged, changed).expect("written");
        verify(forged.to_str().expect("a path")).refused();
    }
    assert!(house.command(&["audit", "verify"]).status.success());
    // An old file is never written over, and then nothing is done either; nor for nobody.
    house.command(&declare).refused();
    let other = house.data().join("other.jsonl");
    let other_path = other.to_str().expect("a path");
    house.command(&["incident", "--partner", "nobody", "--evidence", other_path]).refused();
    assert!(!other.exists());
    let log = house.log_in(ROOT).await.get("/api/audit-logs?action=incident.declare").await;
    assert_eq!(log.expect(200).json().as_array().map(Vec::len), Some(agreed.len() + 1));

    // What the customer closed or not, it opens again itself.
    let open = json!({ "access": "on" });
    ada.patch(&house.relationship("northwind>acme-corp"), &open).await.expect(200);
    assert!(!house.is_alive(&token).await, "it revives nothing");
    pat.switch("acme-corp", READ_BILLING).await;
}

#[tokio::test]
async fn the_operator_restricts_all_that_leads_into_a_tenant_and_nothing_else() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let both = format!("{READ_BILLING} {CREATE_TICKETS}");
    let (here, there) = (pat.switch("acme-corp", &both).await, pat.switch("fabrikam", &both).await);
    let acme = json!({ "tenant_id": house.tenant("acme-corp") });
    let answer = root.post(&format!("{INCIDENTS}?confirm=applied"), &acme).await.expect(200).json();
    let touched = answer["relationships"].as_array().expect("a list");
    assert_eq!((touched.len(), &answer["revoked"]["delegations_ended"]), (1, &json!(1)));
    assert_eq!(touched[0]["access"], json!({ "from": "on", "to": "restricted" }));
    assert!(answer["checkpoint"].is_string());
    dead(&isp, &here).await;
    works(&isp.get(&there, BILLING).await);
    // What is left is reading, and both sides see who did it.
    let again = pat.exchange("acme-corp", &both).await;
    assert_eq!(again.expect(200).json()["scope"], READ_BILLING);
    let log = ada.get("/api/audit-logs?action=incident.declare").await.expect(200).json();
    assert_eq!(log.as_array().map(Vec::len), Some(2), "the relationship's and the tenant's: {log}");
    assert_eq!(log[0]["actor_user_id"], house.user(ROOT));
    let fay = house.log_in(FAY).await;
    let log = fay.get("/api/audit-logs?action=incident.declare").await.expect(200).json();
    assert_eq!(log, json!([]));
    let history = ada.get(&format!("{}/history", house.relationship("northwind>acme-corp"))).await;
    let history = history.expect(200).json();
    let last = history.as_array().and_then(|all| all.last()).expect("a version");
    assert_eq!((&last["action"], &last["side"]), (&json!("incident.declare"), &json!("operator")));
    // A second time ends what began meanwhile, and opens nothing.
    let answer = root.post(INCIDENTS, &acme).await.expect(200).json();
    assert_eq!(answer["relationships"][0]["access"]["to"], "restricted");
    assert_eq!(answer["revoked"]["delegations_ended"], 1);
}

#[tokio::test]
async fn nobody_else_declares_an_incident_and_what_is_wrong_changes_nothing() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let partner = json!({ "partner_id": house.tenant("northwind") });
    for email in [PAT, SAM, TOM, ADA, FAY] {
        let person = house.log_in(email).await;
        person.post(INCIDENTS, &partner).await.problem(403, "forbidden");
    }
    let token = pat.switch("acme-corp", READ_BILLING).await;
    for bearer in ["", &*token] {
        let asked = house.api(bearer, Method::POST, INCIDENTS, Some(&partner)).await;
        asked.problem(401, "unauthenticated");
    }
    let acme = house.tenant("acme-corp");
    let nobody = acme.replace(char::is_numeric, "0");
    root.post(INCIDENTS, &json!({ "tenant_id": nobody })).await.problem(404, "not_found");
    for (body, about) in [
        (json!({}), "partner_id"),
        (json!({ "partner_id": acme, "tenant_id": acme }), "partner_id"),
        (json!({ "tenant_id": "acme-corp" }), "tenant_id"),
        (json!({ "tenant_id": acme, "mode": "on" }), "mode"),
        (json!({ "tenant_id": acme, "mode": "closed" }), "mode"),
        (json!({ "tenant_id": acme, "evidence_days": -1 }), "evidence_days"),
        (json!({ "tenant_id": acme, "evidence_days": 3651 }), "evidence_days"),
        (json!({ "tenant_id": acme, "everything": true }), "body"),
    ] {
        let refused = root.post(INCIDENTS, &body).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{body}");
    }
    assert!(house.is_alive(&token).await);
    let log = root.get("/api/audit-logs?action=incident.declare").await.expect(200).json();
    assert_eq!(log, json!([]));
}

#[tokio::test]
async fn the_evidence_comes_with_the_answer_where_it_is_asked_for() {
    let house = House::on_a_file();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let body = json!({
        "partner_id": house.tenant("northwind"), "mode": "off", "evidence_days": 1,
    });
    let answer = root.post(INCIDENTS, &body).await;
    assert_eq!(answer.expect(200).header("content-type"), Some("application/jsonl"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let first: Value = serde_json::from_str(answer.text.lines().next().expect("a line")).unwrap();
    assert_eq!((&first["mode"], &first["delegations_ended"]), (&json!("off"), &json!(1)));
    assert!(!house.is_alive(&token).await && !answer.text.contains(&token));
    let file = house.data().join("evidence.jsonl");
    fs::write(&file, &answer.text).expect("written");
    let path = file.to_str().expect("a path");
    let whole = verify(&house, path);
    assert!(whole.status.success(), "{whole:?}");
    let listed = root.get("/api/audit-logs?action=incident.evidence").await.expect(200).json();
    assert_eq!(
        (listed.as_array().map(Vec::len), &listed[0]["actor_user_id"]),
        (Some(1), &json!(house.user(ROOT)))
    );
    // Whoever has stolen the key can sign, and cannot write into the log: as in a house with the same keys.
    let same_keys = House::on_a_file();
    let refused = verify(&same_keys, path);
    assert!(refused.refused().contains("the audit log does not know it"), "{refused:?}");
}

/// All versions that somebody reads, none of them left out.
async fn history(person: &Person, edge: &str) -> Vec<Value> {
    let all = person.get(&format!("{edge}/history")).await.expect(200).json();
    let all = all.as_array().expect("versions").clone();
    let numbers: Vec<_> = all.iter().filter_map(|one| one["version"].as_u64()).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    all
}

#[tokio::test]
async fn what_waits_for_an_answer_is_declined_and_the_partner_reads_of_no_incident() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let gil = house.log_in("gil@globex.test").await;
    let (edge, asked) =
        (house.relationship("northwind>acme-corp"), house.relationship("northwind>globex"));
    ada.patch(&edge, &json!({ "access_role": "msp_billing" })).await.expect(200);
    let wish = json!({ "access_role": "msp_full", "reason": "to help" });
    pat.patch(&edge, &wish).await.expect(202);
    let body = json!({
        "partner_id": house.tenant("northwind"), "mode": "restricted", "evidence_days": 0,
    });
    let answer = root.post(INCIDENTS, &body).await;
    let first: Value =
        serde_json::from_str(answer.expect(200).text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["requests_declined"], &first["proposals_declined"]),
        (&json!(1), &json!(1)),
        "{first}"
    );
    // Nobody says yes to it any more, and what is asked anew is a new thing.
    let about = gil.step(&format!("{asked}/approve")).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("declined"));
    let about = ada.post_seen(&edge, "approve", &json!({})).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("active"));
    assert!(ada.get(&edge).await.expect(200).json()["proposal"].is_null());

    // Both sides read what is so; why, the partner cannot even guess.
    let actions = |all: &[Value]| all.iter().map(|one| one["action"].clone()).collect::<Vec<_>>();
    let seen = history(&ada, &edge).await;
    assert_eq!(actions(&seen)[3..], ["relationship.decline", "incident.declare"]);
    assert_eq!(seen[3]["changes"]["proposal"]["to"], Value::Null);
    assert_eq!(seen[3]["changes"]["proposal"]["from"]["access_role"], "msp_full");
    let told = history(&pat, &edge).await;
    assert_eq!(actions(&told)[3..], ["relationship.decline", "relationship.access"]);
    assert_eq!(told[4]["changes"]["access"], json!({ "from": "on", "to": "restricted" }));
    for one in &told[3..] {
        assert_eq!((&one["side"], &one["user_id"], &one["reason"]), NOTHING);
    }
    let told = history(&pat, &asked).await;
    assert_eq!(actions(&told)[1..], ["relationship.decline"]);
    let declined = gil.get("/api/audit-logs?action=relationship.decline").await.expect(200).json();
    assert_eq!(declined[0]["actor_user_id"], house.user(ROOT));
    assert_eq!(declined[0]["details"]["changes"]["state"]["to"], "declined");

    let tom = house.log_in(TOM).await;
    for log in ["/api/audit-logs?limit=1000", "/api/tenants/partner-activity?limit=1000"] {
        for filter in ["", "&action=incident.declare", "&action=incident.evidence"] {
            let read = tom.get(&format!("{log}{filter}")).await;
            assert!(!read.expect(200).text.contains("incident"), "{}", read.text);
        }
    }
    let log = ada.get("/api/audit-logs?action=incident.declare").await.expect(200).json();
    assert_eq!(log.as_array().map(Vec::len), Some(1), "the customer reads what it was");
    for (action, whole) in [("incident.declare", 1), ("incident.evidence", 1)] {
        let log = root.get(&format!("/api/audit-logs?action={action}&limit=1000")).await;
        let log = log.expect(200).json();
        let about = |one: &&Value| one["resource_type"] != "relationship";
        assert_eq!(log.as_array().unwrap().iter().filter(about).count(), whole, "{action}");
    }
}

#[tokio::test]
async fn an_incident_at_a_customer_declines_what_partners_ask_of_it() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let gil = house.log_in("gil@globex.test").await;
    let wish = json!({ "access_role": "msp_full" });
    let elsewhere = house.relationship("northwind>acme-corp");
    house
        .log_in(ADA)
        .await
        .patch(&elsewhere, &json!({ "access_role": "auditor" }))
        .await
        .expect(200);
    pat.patch(&elsewhere, &wish).await.expect(202);
    let body = json!({ "tenant_id": house.tenant("globex"), "mode": "off" });
    let answer = root.post(INCIDENTS, &body).await.expect(200).json();
    assert_eq!(
        (&answer["requests_declined"], &answer["proposals_declined"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(gil.get(&house.relationship("northwind>globex")).await.string("state"), "declined");
    assert!(pat.get(&elsewhere).await.expect(200).json()["proposal"].is_object(), "not concerned");
    // A second time there is nothing to decline, and a new request is the customer's to answer again.
    let again = root.post(INCIDENTS, &body).await.expect(200).json();
    assert_eq!((&again["requests_declined"], &again["relationships"]), (&json!(0), &json!([])));
    let code = json!({ "partner_code": house.demo().partner_codes["globex"] });
    pat.post("/api/v1/partner/relationships", &code).await.expect(201);
}
