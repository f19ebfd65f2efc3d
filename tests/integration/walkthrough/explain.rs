//! Why somebody may act in a tenant or may not: the steps in their order, and to each side its own half.

use procura_tests::{Ended, House, Isp, Person};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, ROOT, SAM, TOM};

pub const EXPLAIN: &str = "/api/explain";
const CORA: &str = "cora@contoso.test";

fn question(house: &House, user: &str, tenant: &str) -> Value {
    let client = &house.demo().clients["portal"].client_id;
    let user = house.user(user);
    json!({ "user_id": user, "tenant": tenant, "client_id": client, "scope": READ_BILLING })
}

/// Why may Pat act there, or not?
async fn why(house: &House, asker: &Person, tenant: &str) -> Value {
    asker.post(EXPLAIN, &question(house, PAT, tenant)).await.expect(200).json()
}

/// The step that failed, its reason, and who can change it.
pub fn failed(told: &Value) -> [&str; 3] {
    let steps = told["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["result"] == "failed").expect("one that failed");
    ["step", "reason", "can_be_fixed_by"].map(|member| step[member].as_str().expect("a word"))
}

pub fn names(told: &Value) -> Vec<&str> {
    let steps = told["steps"].as_array().expect("steps");
    steps.iter().map(|step| step["step"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn what_would_be_granted_is_told_and_nothing_is_given() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    for asker in [&pat, &ada, &root] {
        let told = why(&house, asker, "acme-corp").await;
        assert_eq!(told["is_granted"], true, "{told}");
        assert_eq!(told["granted"]["scope"], READ_BILLING);
        let id = told["relationship_id"].as_str().expect("an id");
        assert!(house.relationship("northwind>acme-corp").ends_with(id));
        let steps = told["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| step["result"] == "passed"), "{told}");
    }
    // That it was asked is in the log of who asked, and of nobody else; no exchange is.
    let mine = pat.get("/api/audit-logs?action=explain.ask").await.expect(200).json();
    assert_eq!(mine.as_array().map(Vec::len), Some(1), "{mine}");
    assert_eq!(mine[0]["details"]["user"], house.user(PAT));
    let activity = ada.get("/api/tenants/partner-activity").await.expect(200).json();
    let entries = activity.as_array().expect("a list");
    assert!(entries.iter().all(|entry| entry["action"] != "token.exchange"), "nobody was there");
}

#[tokio::test]
async fn each_side_is_told_its_own_half_and_the_operator_both() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    let hidden = ["customers_side", "target_not_available", "customer"];
    let (to_pat, to_ada) =
        (why(&house, &pat, "acme-corp").await, why(&house, &ada, "acme-corp").await);
    assert_eq!(failed(&to_pat), hidden);
    assert_eq!(failed(&to_ada), ["access", "partner_access_off", "customer"]);
    assert_eq!(failed(&why(&house, &root, "acme-corp").await)[1], "partner_access_off");
    // What is off, unknown, or nobody's customer looks alike to the partner.
    assert_eq!(why(&house, &pat, "no-such-tenant").await, to_pat);
    assert_eq!(failed(&why(&house, &root, "no-such-tenant").await)[1], "tenant_unknown");
    assert!(!names(&to_pat).iter().any(|name| ["access", "tenant", "hours"].contains(name)));
    assert!(!names(&to_ada).iter().any(|name| ["login", "client", "role"].contains(name)));

    // The other way round: what is with the partner's people is not the customer's to know.
    ada.put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
    let disable = format!("/api/tenants/users/{}/disable", house.user(PAT));
    let tom = house.log_in(TOM).await;
    tom.step(&disable).await.expect(200);
    assert_eq!(
        failed(&why(&house, &ada, "acme-corp").await),
        ["partners_side", "partners_side", "partner"]
    );
    let to_root = failed(&why(&house, &root, "acme-corp").await).map(ToOwned::to_owned);
    assert!(["login", "person"].contains(&&*to_root[0]), "{to_root:?}");
}

#[tokio::test]
async fn whether_somebody_is_logged_in_is_the_partners_to_know() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    // The customer demands more of a login than Sam has, who is not logged in at all.
    let demand = json!({ "conditions": { "min_acr": "urn:procura:acr:phr" } });
    ada.patch(&house.relationship("northwind>acme-corp"), &demand).await.expect(200);
    let of_sam = question(&house, SAM, "acme-corp");
    let before = ada.post(EXPLAIN, &of_sam).await.expect(200).json();
    assert_eq!(before["is_granted"], true, "as far as it is the customer's: {before}");
    assert_eq!(before["granted"]["delegation_ends_at"], Value::Null);
    for name in ["login", "identity_provider", "login_strength"] {
        assert!(!names(&before).contains(&name), "{before}");
    }
    for asker in [&pat, &root] {
        let told = asker.post(EXPLAIN, &of_sam).await.expect(200).json();
        assert_eq!(failed(&told), ["login", "session_ended", "person"]);
    }
    let _sam = house.log_in(SAM).await;
    for asker in [&pat, &root] {
        let told = asker.post(EXPLAIN, &of_sam).await.expect(200).json();
        assert_eq!(failed(&told), ["login_strength", "step_up_required", "person"]);
    }
    let mut after = ada.post(EXPLAIN, &of_sam).await.expect(200).json();
    after["granted"]["expires_at"] = before["granted"]["expires_at"].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn admins_of_either_side_and_the_operator_ask_and_nobody_else() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let ask = question(&house, PAT, "acme-corp");
    for (email, side) in [(PAT, "partner"), (TOM, "partner"), (ADA, "customer"), (ROOT, "operator")]
    {
        let told = house.log_in(email).await.post(EXPLAIN, &ask).await.expect(200).json();
        assert_eq!(told["side"], side, "{email}");
    }
    let token = pat.switch("acme-corp", READ_BILLING).await;
    for ask in [&ask, &json!({ "token": token }), &json!({ "token": "nonsense" })] {
        for email in [SAM, "aud@northwind.test"] {
            house.log_in(email).await.post(EXPLAIN, ask).await.problem(403, "forbidden");
        }
        for bearer in ["", &*token] {
            let asked = house.api(bearer, Method::POST, EXPLAIN, Some(ask)).await;
            asked.problem(401, "unauthenticated");
        }
    }
    // Another customer of the same partner asks about its own tenant, and about no other.
    let cora = house.log_in(CORA).await;
    for ask in [&ask, &json!({ "token": token })] {
        cora.post(EXPLAIN, ask).await.problem(404, "not_found");
        ada.post(EXPLAIN, ask).await.expect(200);
    }
    cora.post(EXPLAIN, &question(&house, PAT, "contoso")).await.expect(200);
}

#[tokio::test]
async fn whoever_has_nothing_to_do_with_it_is_told_nothing() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let client = &house.demo().clients["portal"].client_id;
    let ask = |user: &str, tenant: &str| json!({ "user_id": user, "tenant": tenant, "client_id": client });
    // Ada's own people are not Pat's, nor is another customer's partner Ada's.
    let foreign = ask(house.user(ADA), "acme-corp");
    pat.post(EXPLAIN, &foreign).await.problem(404, "not_found");
    ada.post(EXPLAIN, &ask(house.user(PAT), "no-such-tenant")).await.problem(404, "not_found");
    ada.post(EXPLAIN, &ask(house.user(ROOT), "acme-corp")).await.problem(404, "not_found");
    // Nor whether there is anybody of that name, also not by the fault of what else is asked.
    let nobody = house.user(PAT).replace(char::is_numeric, "0");
    for unknown in [&*nobody, house.user(ROOT)] {
        let mut question = ask(unknown, "acme-corp");
        question["client_id"] = json!("cli_nobody");
        ada.post(EXPLAIN, &question).await.problem(404, "not_found");
    }
    for (question, about) in [
        (json!({ "tenant": "acme-corp", "client_id": client }), "user_id"),
        (json!({ "user_id": house.user(PAT), "client_id": client }), "tenant"),
        (json!({ "user_id": house.user(PAT), "tenant": "acme-corp" }), "client_id"),
        (
            json!({ "user_id": house.user(PAT), "tenant": "acme-corp", "client_id": "cli_nobody" }),
            "client_id",
        ),
        (json!({ "token": "x", "tenant": "acme-corp" }), "token"),
        (json!({ "tokens": "x" }), "body"),
    ] {
        let refused = pat.post(EXPLAIN, &question).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{question}");
    }
}

#[tokio::test]
async fn a_token_is_told_by_which_key_it_died() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let ask = json!({ "token": token });
    let told = pat.post(EXPLAIN, &ask).await.expect(200).json();
    assert_eq!((&told["is_alive"], &told["token"]["kind"]), (&json!(true), &json!("delegated")));
    isp.get(&token, super::BILLING).await.expect(200);
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    let told = ada.post(EXPLAIN, &ask).await.expect(200).json();
    assert_eq!(told["dead_by"], json!(["pair", "delegation_ended"]), "{told}");
    let told = root.post(EXPLAIN, &ask).await.expect(200).json();
    assert_eq!((&told["is_alive"], &told["dead_by"][0]), (&json!(false), &json!("pair")));
    let told = pat.post(EXPLAIN, &ask).await.expect(200).json();
    assert_eq!(told["dead_by"], json!(["customers_side", "delegation_ended"]), "{told}");
    // Not genuine, whoever asks; genuine and somebody else's.
    let told = pat.post(EXPLAIN, &json!({ "token": "nonsense" })).await.expect(200).json();
    assert_eq!((&told["dead_by"], &told["token"]), (&json!(["token_malformed"]), &Value::Null));
    ada.post(EXPLAIN, &json!({ "token": pat.home })).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_operator_asks_on_the_command_line() {
    let house = House::on_a_file();
    let _pat = house.log_in(PAT).await;
    let client = &house.demo().clients["portal"].client_id;
    let asked = |tenant: &str| {
        house.command(&["explain", "--user", PAT, "--tenant", tenant, "--client", client])
    };
    let Ended { status, stdout, stderr } = asked("acme-corp");
    assert!(status.success(), "{stderr}");
    assert_eq!(stdout.lines().count(), 22, "{stdout}");
    assert!(stdout.lines().all(|line| line.ends_with(" passed")), "{stdout}");
    let stdout = asked("no-such-tenant").stdout;
    assert!(stdout.contains("failed: tenant_unknown; can be fixed by the person"), "{stdout}");
}
