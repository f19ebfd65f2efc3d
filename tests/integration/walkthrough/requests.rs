//! A partner asks, and the customer answers: yes, yes with less, or no.

use procura_tests::{House, Isp};
use serde_json::json;

use super::{ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, not_available, open_ticket, works};

const GIL: &str = "gil@globex.test";
const UMA: &str = "uma@umbrella.test";
const ASK: &str = "/api/v1/partner/relationships";
const ACCESS: &str = "/api/tenants/partner-access";
const CODE: &str = "/api/tenants/partner-code";

#[tokio::test]
async fn a_customer_approves_a_request_with_less_than_was_asked() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, gil) = (house.log_in(PAT).await, house.log_in(GIL).await);
    let edge = house.relationship("northwind>globex");
    not_available(&pat.exchange("globex", READ_BILLING).await);
    assert_eq!(gil.get(&edge).await.string("state"), "requested");
    // It is not the partner's to answer.
    for step in ["approve", "decline"] {
        pat.step(&format!("{edge}/{step}")).await.problem(403, "forbidden");
    }
    // Never more than was asked, nor an end that has passed.
    let more = json!({ "access_role": "tenant_admin" });
    gil.post(&format!("{edge}/approve"), &more).await.problem(400, "invalid_request");
    let too_late = json!({ "ends_at": "2001-01-01T00:00:00Z" });
    gil.post(&format!("{edge}/approve"), &too_late).await.problem(400, "invalid_request");

    let less = json!({ "access_role": "msp_billing" });
    let approved = gil.post(&format!("{edge}/approve"), &less).await;
    assert_eq!(approved.expect(200).string("state"), "active");
    assert_eq!(approved.string("access_role"), "msp_billing");
    let token = pat.switch("globex", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    open_ticket(&isp, &token).await.expect(403);
    pat.exchange("globex", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    for step in ["approve", "decline"] {
        let about = gil.step(&format!("{edge}/{step}")).await.problem(409, "wrong_state");
        assert_eq!(about.as_deref(), Some("active"));
    }
    let about = pat.step(&format!("{edge}/withdraw")).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("active"));
}

#[tokio::test]
async fn a_declined_or_withdrawn_request_opens_nothing() {
    let house = House::start();
    let (pat, gil) = (house.log_in(PAT).await, house.log_in(GIL).await);
    let root = house.log_in(super::ROOT).await;
    let edge = house.relationship("northwind>globex");
    let about = pat.step(&format!("{edge}/resume")).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("requested"));
    let declined = gil.step(&format!("{edge}/decline")).await;
    assert_eq!(declined.expect(200).string("state"), "declined");
    let refused = pat.exchange("globex", READ_BILLING).await;
    not_available(&refused);
    assert_eq!(root.reason_of(refused.request_id()).await, "relationship_declined");
    let about = gil.step(&format!("{edge}/approve")).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("declined"));

    // Pat may ask again, and take it back.
    let code = &house.demo().partner_codes["globex"];
    let asked = pat.post(ASK, &json!({ "partner_code": code, "reason": "Once more" })).await;
    assert_eq!(asked.expect(201).string("state"), "requested");
    assert_eq!(asked.string("access_role"), "msp_support", "what nobody asked for is not given");
    let again = format!("{ASK}/{}", asked.string("id"));
    let withdrawn = pat.step(&format!("{again}/withdraw")).await;
    assert_eq!(withdrawn.expect(200).string("state"), "declined");
    assert_eq!(withdrawn.json()["is_active"], false);
    not_available(&pat.exchange("globex", READ_BILLING).await);
}

#[tokio::test]
async fn only_who_has_the_customers_code_can_ask() {
    let house = House::start();
    let (pat, uma) = (house.log_in(PAT).await, house.log_in(UMA).await);
    let code = uma.get("/api/tenants/partner-access").await.string("partner_code");
    assert_eq!(code, house.demo().partner_codes["umbrella"]);
    for wrong in ["umbrella", house.tenant("umbrella"), "", &code[1..]] {
        let answer = pat.post(ASK, &json!({ "partner_code": wrong })).await;
        answer.problem(404, "not_found");
    }
    // It takes the role to ask, too.
    uma.post(ASK, &json!({ "partner_code": code })).await.problem(403, "forbidden");
    let sam = house.log_in(super::SAM).await;
    sam.post(ASK, &json!({ "partner_code": code })).await.problem(403, "forbidden");

    let asked = pat.post(ASK, &json!({ "partner_code": code, "access_role": "auditor" })).await;
    let edge = format!("{ASK}/{}", asked.expect(201).string("id"));
    assert_eq!(pat.post(ASK, &json!({ "partner_code": code })).await.status, 409, "one at a time");
    not_available(&pat.exchange("umbrella", READ_BILLING).await);
    uma.step(&format!("{edge}/approve")).await.expect(200);
    let answer = pat.exchange("umbrella", &format!("{READ_BILLING} {CREATE_TICKETS}")).await;
    assert_eq!(answer.expect(200).string("scope"), READ_BILLING);
}

#[tokio::test]
async fn why_somebody_asked_or_changed_is_kept_and_shown_to_whom_it_concerns() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let uma = house.log_in("uma@umbrella.test").await;
    let code = &house.demo().partner_codes["umbrella"];
    let asked = json!({ "partner_code": code, "reason": "We met at the fair" });
    let made = pat.post("/api/v1/partner/relationships", &asked).await;
    let path = format!("/api/v1/partner/relationships/{}", made.expect(201).string("id"));
    for person in [&pat, &uma] {
        let history = person.get(&format!("{path}/history")).await.expect(200).json();
        assert_eq!(history[0]["reason"], "We met at the fair");
    }
    // What the customer says of a change is for its own side.
    let edge = house.relationship("northwind>acme-corp");
    let less = json!({ "access_role": "msp_support", "reason": "An incident, see our file 7" });
    let changed = ada.patch(&edge, &less).await;
    changed.expect(200);
    let last = async |person: &procura_tests::Person| {
        let history = person.get(&format!("{edge}/history")).await.expect(200).json();
        history.as_array().unwrap().last().unwrap().clone()
    };
    assert_eq!(last(&ada).await["reason"], "An incident, see our file 7");
    assert!(last(&pat).await["reason"].is_null());
    assert!(!pat.get("/api/audit-logs").await.expect(200).text.contains("our file 7"));
    let entry = ada.entry_of(changed.request_id()).await;
    assert_eq!(entry["details"]["reason"], "An incident, see our file 7");
    // Nobody has to say why.
    ada.patch(&edge, &json!({ "access": "restricted" })).await.expect(200);
    assert!(last(&ada).await["reason"].is_null());
}

#[tokio::test]
async fn a_customer_changes_its_code_and_the_old_one_opens_nothing() {
    let house = House::start();
    let (pat, sam, uma) =
        (house.log_in(PAT).await, house.log_in(super::SAM).await, house.log_in(UMA).await);
    let old = house.demo().partner_codes["umbrella"].clone();
    let asked = pat.post(ASK, &json!({ "partner_code": old })).await;
    let edge = format!("{ASK}/{}", asked.expect(201).string("id"));
    // It is the admin's of the customer alone.
    for other in [&pat, &sam, &house.log_in(super::ROOT).await] {
        other.step(CODE).await.problem(403, "forbidden");
    }
    assert_eq!(uma.get(ACCESS).await.string("partner_code"), old, "nothing has changed");
    let changed = uma.step(CODE).await;
    let new = changed.expect(201).string("partner_code");
    assert!(new != old && new.len() >= 32, "{new}");
    assert_eq!(uma.get(ACCESS).await.string("partner_code"), new);
    let entry = uma.entry_of(changed.request_id()).await;
    assert_eq!(
        (&entry["action"], &entry["actor_user_id"]),
        (&json!("partner_code.change"), &json!(house.user(UMA)))
    );
    let log = uma.get("/api/audit-logs").await.expect(200).text.clone();
    assert!(!log.contains(&new) && !log.contains(&old));
    assert!(!house.stderr().contains(&new));

    // What was asked with the old one still waits, and is answered as ever.
    assert_eq!(uma.get(&edge).await.expect(200).string("state"), "requested");
    uma.step(&format!("{edge}/decline")).await.expect(200);
    pat.post(ASK, &json!({ "partner_code": old })).await.problem(404, "not_found");
    pat.post(ASK, &json!({ "partner_code": new })).await.expect(201);
}

#[tokio::test]
async fn the_operator_changes_a_customers_code_at_the_machine() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let old = &house.demo().partner_codes["umbrella"];
    let of = ["--tenant", "umbrella"];
    let say = |verb: &str, more: &[&str]| {
        let ended = house.command(&[&["partner-code", verb], &of[..], more].concat());
        assert!(ended.status.success(), "{ended:?}");
        ended.stdout.trim().to_owned()
    };
    assert_eq!(say("show", &[]), *old);
    let new: serde_json::Value = serde_json::from_str(&say("change", &["--json"])).expect("JSON");
    let new = new["partner_code"].as_str().expect("a code");
    assert_eq!(say("show", &[]), new);
    pat.post(ASK, &json!({ "partner_code": old })).await.problem(404, "not_found");
    pat.post(ASK, &json!({ "partner_code": new })).await.expect(201);
    let uma = house.log_in(UMA).await;
    let log = uma.get("/api/audit-logs?action=partner_code.change").await.expect(200).json();
    assert_eq!(log[0]["details"], json!({ "by": "command_line" }));
    house.command(&["partner-code", "change", "--tenant", "nobody"]).refused();
}
