//! What two tenants agreed on changes: narrower at once, wider only with the customer's yes.

use procura_tests::{Answer, House, Isp, Person};
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, dead, not_available, works,
};

const EDGE: &str = "northwind>acme-corp";
const WIDER: &str = "partner.billing.* partner.support.*";

async fn narrowed_to_billing(ada: &Person, edge: &str) -> Answer {
    let answer = ada.patch(edge, &json!({ "access_role": "msp_billing" })).await;
    answer.expect(200);
    answer
}

#[tokio::test]
async fn either_side_narrows_at_once_and_what_runs_dies() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    let token = pat.switch("acme-corp", CREATE_TICKETS).await;
    let narrowed = ada
        .patch(&format!("{edge}?confirm=applied"), &json!({ "access_role": "msp_billing" }))
        .await;
    super::applied_everywhere(&narrowed);
    assert_eq!(narrowed.json()["relationship"]["access_role"], "msp_billing");
    dead(&isp, &token).await;
    pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    works(&isp.get(&pat.switch("acme-corp", READ_BILLING).await, BILLING).await);

    // The partner needs nobody's consent to have less, and no more is taken than was said.
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let less = json!({ "custom_permissions": "partner.billing.invoices.read" });
    let answer = pat.patch(&edge, &less).await;
    assert_eq!(answer.expect(200).json()["revoked"]["delegations_ended"], 1);
    dead(&isp, &token).await;
    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "invalid_scope");
    pat.switch("acme-corp", "partner.billing.invoices.read").await;
}

#[tokio::test]
async fn what_the_partner_wants_more_waits_for_the_customer_while_the_old_goes_on() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    narrowed_to_billing(&ada, &edge).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;

    let wish = json!({ "custom_permissions": WIDER, "reason": "Your help desk asked for it" });
    let asked = pat.patch(&edge, &wish).await;
    assert_eq!(asked.expect(202).json()["proposal"]["terms"]["custom_permissions"], WIDER);
    assert_eq!(asked.json()["access_role"], "msp_billing", "nothing has changed");
    works(&isp.get(&token, BILLING).await);
    pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    let seen = ada.get(&edge).await.expect(200).json();
    assert_eq!(seen["proposal"]["reason"], "Your help desk asked for it");
    // It is not the partner's to answer, and it can be answered with less but never with more.
    pat.step(&format!("{edge}/approve")).await.problem(403, "forbidden");
    ada.step(&format!("{edge}/approve")).await.problem(428, "version_missing");
    let more = json!({ "custom_permissions": "*" });
    let about = ada.post_seen(&edge, "approve", &more).await.problem(400, "invalid_request");
    assert_eq!(about.as_deref(), Some("custom_permissions"));
    pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");

    let less = json!({ "ends_at": "2099-01-01T00:00:00Z" });
    let approved = ada.post_seen(&edge, "approve", &less).await;
    assert_eq!(approved.expect(200).string("custom_permissions"), WIDER);
    assert_eq!(approved.string("ends_at"), "2099-01-01T00:00:00Z");
    // It gave, and it took: what had no end has one now, so what ran has to ask again.
    dead(&isp, &token).await;
    pat.switch("acme-corp", CREATE_TICKETS).await;
    assert!(ada.get(&edge).await.json()["proposal"].is_null());
    let about = ada.step(&format!("{edge}/approve")).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("active"), "it was answered");
}

#[tokio::test]
async fn a_wish_that_is_declined_withdrawn_or_ended_with_its_relationship_gives_nothing() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    narrowed_to_billing(&ada, &edge).await;
    for (who, step) in [(&ada, "decline"), (&pat, "withdraw")] {
        pat.patch(&edge, &json!({ "access_role": "msp_full" })).await.expect(202);
        let other = if step == "decline" { &pat } else { &ada };
        other.step(&format!("{edge}/{step}")).await.problem(403, "forbidden");
        assert_eq!(who.step(&format!("{edge}/{step}")).await.expect(200).string("state"), "active");
        ada.step(&format!("{edge}/approve")).await.problem(409, "wrong_state");
        pat.exchange("acme-corp", CREATE_TICKETS).await.oauth_error(400, "invalid_scope");
    }
    pat.patch(&edge, &json!({ "access_role": "msp_full" })).await.expect(202);
    ada.delete(&edge).await.expect(200);
    ada.step(&format!("{edge}/approve")).await.problem(409, "wrong_state");
    pat.patch(&edge, &json!({ "access_role": "auditor" })).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn a_yes_is_to_what_was_read_and_under_the_terms_of_then() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    narrowed_to_billing(&ada, &edge).await;
    let wish = |permissions: &str| json!({ "custom_permissions": permissions });
    pat.patch(&edge, &wish("partner.billing.* partner.support.tickets.list")).await.expect(202);
    let read = ada.get(&edge).await.header("etag").expect("a tag").to_owned();
    // The partner puts another wish in its place.
    pat.patch(&edge, &wish("*")).await.expect(202);
    let yes = ada.post_if(&format!("{edge}/approve"), &json!({}), &read).await;
    yes.problem(412, "stale");
    // The customer takes something: the wish was one of other terms, and is gone.
    ada.patch(&edge, &wish("partner.billing.invoices.read")).await.expect(200);
    let about = ada.post_seen(&edge, "approve", &json!({})).await.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("active"));
    assert_eq!(ada.get(&edge).await.string("custom_permissions"), "partner.billing.invoices.read");
}

#[tokio::test]
async fn what_the_operator_stopped_does_not_begin_anew_under_another_id() {
    let house = House::start();
    let (ivy, root) = (house.log_in("ivy@initech.test").await, house.log_in(ROOT).await);
    let edge = house.relationship("northwind>initech");
    let trust = "/auth/admin/tenants/initech/trust-tenant/northwind"
        .replace("northwind", house.tenant("northwind"));
    let trust = trust.replace("initech", house.tenant("initech"));
    root.step(&format!("{edge}/suspend")).await.expect(200);
    ivy.delete(&trust).await.expect(204);
    ivy.put_bare(&trust).await.problem(409, "wrong_state");
    root.put_bare(&trust).await.expect(201);
}

#[tokio::test]
async fn an_end_is_moved_nearer_at_once_and_further_with_consent() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    let edge = house.relationship(EDGE);
    let nearer = json!({ "ends_at": "2098-01-01T00:00:00Z" });
    pat.post(&format!("{edge}/extend"), &nearer).await.expect(200);
    let further = json!({ "ends_at": "2099-01-01T00:00:00Z" });
    pat.post(&format!("{edge}/extend"), &further).await.expect(202);
    assert_eq!(pat.get(&edge).await.string("ends_at"), "2098-01-01T00:00:00Z");
    // The operator takes away, and gives nothing.
    root.post(&format!("{edge}/extend"), &further).await.problem(403, "forbidden");
    root.patch(&edge, &json!({ "access_role": "auditor" })).await.expect(200);
    // Whose tenant it is may give without being asked.
    let given = ada.post(&format!("{edge}/extend"), &further).await;
    assert_eq!(given.expect(200).json()["relationship"]["ends_at"], "2099-01-01T00:00:00Z");
}

#[tokio::test]
async fn who_has_seen_an_older_version_changes_nothing() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    let seen = ada.get(&edge).await.header("etag").expect("a tag").to_owned();
    let billing = json!({ "access_role": "msp_billing" });
    pat.patch(&edge, &json!({ "access_role": "msp_support" })).await.expect(200);
    let stale = ada.patch_if(&edge, &billing, &seen).await;
    stale.problem(412, "stale");
    assert_eq!(ada.get(&edge).await.string("access_role"), "msp_support");
    ada.patch_if(&edge, &billing, "\"three\"").await.problem(412, "stale");
    for bad in ["3", "W/\"2\""] {
        ada.patch_if(&edge, &billing, bad).await.problem(400, "invalid_request");
    }
    let now = ada.get(&edge).await.header("etag").expect("a tag").to_owned();
    assert_ne!(now, seen);
    let answer = ada.patch_if(&edge, &billing, &now).await;
    assert_eq!(answer.expect(200).header("etag"), Some("\"3\""));
}

#[tokio::test]
async fn networks_and_hours_keep_people_out_and_let_them_in_again() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    let edge = house.relationship(EDGE);
    let all_week = json!({ "utc_offset_minutes": 0, "windows": [{
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "24:00",
    }] });
    let closed = json!({ "utc_offset_minutes": 60, "windows": [] });
    for (member, shut, open, reason) in [
        ("networks", json!(["192.0.2.0/24"]), json!(["127.0.0.0/8"]), "network_not_admitted"),
        ("networks", json!([]), Value::Null, "network_not_admitted"),
        ("hours", closed, all_week, "outside_hours"),
    ] {
        ada.patch(&edge, &json!({ "conditions": { member: shut } })).await.expect(200);
        let refused = pat.exchange("acme-corp", READ_BILLING).await;
        not_available(&refused);
        assert_eq!(root.reason_of(refused.request_id()).await, reason);
        // The partner cannot lift it, only ask.
        let lifted = json!({ "conditions": { member: null } });
        pat.patch(&edge, &lifted).await.expect(202);
        not_available(&pat.exchange("acme-corp", READ_BILLING).await);
        ada.patch(&edge, &json!({ "conditions": { member: open } })).await.expect(200);
        pat.switch("acme-corp", READ_BILLING).await;
    }
}

#[tokio::test]
async fn the_partner_says_which_of_its_people_enter() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let (ada, root) = (house.log_in(ADA).await, house.log_in(ROOT).await);
    let edge = house.relationship(EDGE);
    let people = format!("{edge}/assigned-people");
    let only_sam = json!({ "user_ids": [house.user(SAM)] });
    for other in [&ada, &root, &sam] {
        other.put(&people, &only_sam).await.problem(403, "forbidden");
    }
    for stranger in [house.user(ADA), "usr_0", "pat"] {
        pat.put(&people, &json!({ "user_ids": [stranger] })).await.problem(400, "invalid_request");
    }
    pat.switch("acme-corp", READ_BILLING).await;
    let assigned = pat.put(&people, &only_sam).await;
    assert_eq!(assigned.expect(200).json()["revoked"]["delegations_ended"], 1);
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    not_available(&refused);
    assert_eq!(root.reason_of(refused.request_id()).await, "not_assigned");
    sam.switch("acme-corp", "partner.support.tickets.list").await;
    assert_eq!(ada.get(&edge).await.json()["assigned_to"], only_sam["user_ids"]);
    // Nobody is not everybody.
    pat.put(&people, &json!({ "user_ids": [] })).await.expect(200);
    not_available(&sam.exchange("acme-corp", "partner.support.tickets.list").await);
    pat.put(&people, &json!({ "user_ids": null })).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
}

#[tokio::test]
async fn a_change_that_is_none_is_named_and_changes_nothing() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    for (body, about) in [
        (json!({}), "body"),
        (json!({ "state": "ended" }), "body"),
        (json!({ "partner_code": "x" }), "body"),
        (json!({ "access": "sometimes" }), "body"),
        (json!({ "access_role": "emperor" }), "access_role"),
        (json!({ "access_role": null }), "access_role"),
        (json!({ "custom_permissions": "*.read" }), "custom_permissions"),
        (json!({ "ends_at": "tomorrow" }), "ends_at"),
        (json!({ "ends_at": "2001-01-01T00:00:00Z" }), "ends_at"),
        (
            json!({ "starts_at": "2098-01-01T00:00:00Z", "ends_at": "2097-01-01T00:00:00Z" }),
            "ends_at",
        ),
        (json!({ "renews_for_days": 30 }), "renews_for_days"),
        (json!({ "renews_for_days": -1 }), "renews_for_days"),
        (json!({ "renews_for_days": 0, "ends_at": "2098-01-01T00:00:00Z" }), "renews_for_days"),
        (json!({ "approval": "never" }), "approval"),
        (json!({ "conditions": { "max_age_secs": i64::MAX } }), "max_age_secs"),
        (
            json!({ "conditions": { "hours": { "utc_offset_minutes": i32::MIN, "windows": [] } } }),
            "hours",
        ),
        (json!({ "conditions": { "min_acr": "strong" } }), "min_acr"),
        (json!({ "conditions": { "max_age_secs": -1 } }), "max_age_secs"),
        (json!({ "conditions": { "networks": ["10.0.0.0/33"] } }), "conditions"),
        (json!({ "conditions": { "mood": "good" } }), "conditions"),
        (json!({ "conditions": { "assigned_to": [house.user(PAT)] } }), "conditions"),
        (
            json!({ "conditions": { "hours": { "utc_offset_minutes": 0, "windows": [
                { "days": ["mon"], "from": "18:00", "to": "08:00" }
            ] } } }),
            "hours",
        ),
    ] {
        let answer = ada.patch(&edge, &body).await;
        assert_eq!(answer.problem(400, "invalid_request").as_deref(), Some(about), "{body}");
    }
    assert_eq!(ada.get(&edge).await.header("etag"), Some("\"1\""));
    // What says nothing new is no version, and kills nothing.
    let same = pat.patch(&edge, &json!({ "access_role": "msp_full" })).await;
    assert_eq!(same.expect(200).json()["revoked"], Value::Null);
    assert_eq!(same.header("etag"), Some("\"1\""));
    // Nobody's relationship, and nobody who stands at neither end.
    let nobody = edge.replace(|c: char| c.is_ascii_digit(), "0");
    ada.patch(&nobody, &json!({ "access": "off" })).await.problem(404, "not_found");
    let fay = house.log_in("fay@fabrikam.test").await;
    fay.patch(&edge, &json!({ "access": "off" })).await.problem(404, "not_found");
    // Tom administers the partner, which is no way to change what it manages.
    let tom = house.log_in(TOM).await;
    tom.patch(&edge, &json!({ "access_role": "auditor" })).await.problem(403, "forbidden");
    pat.patch(&edge, &json!({ "access": "off" })).await.problem(403, "forbidden");
}

#[tokio::test]
async fn both_sides_read_how_it_came_to_be_and_the_partner_no_more_than_that() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let edge = house.relationship(EDGE);
    narrowed_to_billing(&ada, &edge).await;
    pat.post(&format!("{edge}/extend"), &json!({ "ends_at": "2099-01-01T00:00:00Z" }))
        .await
        .expect(200);
    ada.step(&format!("{edge}/suspend")).await.expect(200);
    let history = format!("{edge}/history");
    let seen = ada.get(&history).await.expect(200).json();
    let actions: Vec<_> = seen.as_array().unwrap().iter().map(|v| v["action"].clone()).collect();
    let expected =
        ["demo.seed", "relationship.change", "relationship.change", "relationship.suspend"];
    assert_eq!(actions, expected);
    let role = json!({ "from": "msp_full", "to": "msp_billing" });
    assert_eq!(seen[1]["changes"], json!({ "access_role": role }));
    assert_eq!(
        (&seen[1]["side"], &seen[1]["user_id"]),
        (&json!("customer"), &json!(house.user(ADA)))
    );
    assert_eq!(
        seen[2]["user_id"],
        json!(house.user(PAT)),
        "the customer learns who of the partner"
    );

    let seen = pat.get(&history).await.expect(200).json();
    for (version, own) in [(1, false), (2, true), (3, false)] {
        let who = (&seen[version]["side"], &seen[version]["user_id"]);
        let (side, user) = (json!("partner"), json!(house.user(PAT)));
        assert_eq!(who, if own { (&side, &user) } else { (&Value::Null, &Value::Null) });
    }
    let fay = house.log_in("fay@fabrikam.test").await;
    fay.get(&history).await.problem(404, "not_found");
}
