//! Something has happened at a partner: the operator closes all its doors at once, and keeps the evidence.

use std::{fs, os::unix::fs::PermissionsExt};

use procura_tests::{Ended, House, Isp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, dead, not_available, works,
};

const INCIDENTS: &str = "/api/incidents";
const FAY: &str = "fay@fabrikam.test";

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
    assert!(edges.iter().all(|edge| edge["after"]["access"] == "off"));
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
    assert_eq!(log.expect(200).json().as_array().map(Vec::len), Some(edges.len() + 1));

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
