//! Programs of a partner: by a key of one person, and only where the customer lets keys in.

use procura_tests::{Answer, House, Isp, Person, Script, claims, eventually, exchange_form};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, CREATE_TICKETS, PAT, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead,
    not_available, unusable, works,
};
use crate::protocol::relying_party::{SCOPE, change, house_of_openid, tokens};

pub const KEYS: &str = "/api/api-keys";
const API_KEY: &str = "urn:procura:token-type:api-key";
pub const EDGE: &str = "northwind>acme-corp";
pub const SWITCH: &str = "partner.tenants.switch_context";

/// A key as it was shown, once.
pub struct Key {
    pub id: String,
    pub text: String,
}

pub fn wish(house: &House, permissions: &str) -> Value {
    let client = &house.demo().clients["portal"].client_id;
    json!({ "client_id": client, "name": "Nightly", "permissions": permissions })
}

pub async fn make(person: &Person, wish: &Value) -> Key {
    let made = person.post(KEYS, wish).await;
    Key { id: made.expect(201).string("id"), text: made.string("key") }
}

/// For reading billing, and opening tickets, in customers' tenants.
pub async fn key_of(house: &House, person: &Person) -> Key {
    make(person, &wish(house, &format!("{SWITCH} {READ_BILLING} {CREATE_TICKETS}"))).await
}

pub fn form<'a>(key: &'a str, tenant: &'a str, scope: &'a str) -> Vec<(&'static str, &'a str)> {
    let form = exchange_form(key, tenant, scope).into_iter();
    let by_key = |(name, value)| (name, if name == "subject_token_type" { API_KEY } else { value });
    form.map(by_key).collect()
}

pub async fn enter(house: &House, key: &str) -> Answer {
    house.token(&form(key, "acme-corp", READ_BILLING)).await
}

async fn demand(house: &House, ada: &Person, conditions: Value) -> Answer {
    let path = format!("{}?confirm=applied", house.relationship(EDGE));
    ada.patch(&path, &json!({ "conditions": conditions })).await
}

pub async fn let_keys_in(house: &House, ada: &Person) {
    demand(house, ada, json!({ "allow_automation": true })).await.expect(200);
}

#[track_caller]
fn asks_for_a_person(answer: &Answer) {
    answer.oauth_error(400, "insufficient_user_authentication");
}

#[tokio::test]
async fn a_program_enters_by_a_key_from_when_the_customer_lets_keys_in_until_it_lets_none_in() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let key = key_of(&house, &pat).await;
    assert!(key.text.starts_with("pk_") && key.text.len() == 3 + 32 + 1 + 43, "{}", key.text.len());
    let listed = pat.get(KEYS).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!((&listed[0]["id"], &listed[0]["is_live"]), (&json!(key.id), &json!(true)));
    assert!(listed[0]["key"].is_null() && listed[0]["last_used_at"].is_null(), "{listed}");
    assert!(!listed.to_string().contains(&key.text[36..]));

    // Nobody has said that programs may come: a person could.
    let refused = enter(&house, &key.text).await;
    asks_for_a_person(&refused);
    assert!(refused.json()["max_age"].is_null() && refused.json()["acr_values"].is_null());
    assert_eq!(ada.reason_of(refused.request_id()).await, "automation_not_allowed");
    works(&isp.get(&pat.switch("acme-corp", READ_BILLING).await, BILLING).await);

    let_keys_in(&house, &ada).await;
    let granted = enter(&house, &key.text).await;
    let token = granted.expect(200).string("access_token");
    works(&isp.get(&token, BILLING).await);
    let said = claims(&token);
    assert_eq!(
        (&said["act"]["sub"], &said["scope"]),
        (&json!(house.user(PAT)), &json!(READ_BILLING))
    );
    for of_a_login in ["acr", "auth_time", "amr", "idp"] {
        assert!(said[of_a_login].is_null(), "{said}");
    }
    let entry = ada.entry_of(granted.request_id()).await;
    assert_eq!(entry["details"]["api_key"], key.id, "the customer sees which key it was");
    assert_eq!(entry["actor_user_id"], house.user(PAT), "and whose");
    // Noted beside the answer, which nobody waits for.
    let noted = async || {
        let listed = pat.get(KEYS).await.expect(200).json();
        listed[0]["last_used_at"].is_string().then_some(())
    };
    eventually("the use is noted", noted).await;
    // The session of a key is no login: nothing shows it, and nothing asks for less.
    assert_ne!(said["sid"], claims(&pat.home)["sid"]);

    applied_everywhere(&demand(&house, &ada, json!({ "allow_automation": false })).await);
    dead(&isp, &token).await;
    asks_for_a_person(&enter(&house, &key.text).await);
    works(&isp.get(&pat.switch("acme-corp", READ_BILLING).await, BILLING).await);
}

#[tokio::test]
async fn a_partner_asks_for_its_programs_and_waits_for_the_customers_yes() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let key = key_of(&house, &pat).await;
    let asked = demand(&house, &pat, json!({ "allow_automation": true })).await;
    let proposal = asked.expect(202).json()["proposal"].clone();
    assert_eq!(proposal["terms"]["conditions"]["allow_automation"], true, "{proposal}");
    asks_for_a_person(&enter(&house, &key.text).await);
    // Its own side is told why, and who can change it; the customer nothing of what keys there are.
    let why = json!({ "user_id": house.user(PAT), "tenant": "acme-corp", "api_key_id": key.id,
        "client_id": house.demo().clients["portal"].client_id });
    let told = pat.post("/api/explain", &why).await.expect(200).json();
    let steps = told["steps"].as_array().expect("steps").iter();
    let failed: Vec<_> = steps.filter(|step| step["result"] == "failed").collect();
    assert_eq!((failed.len(), &failed[0]["step"]), (1, &json!("automation")), "{told}");
    assert_eq!(failed[0]["can_be_fixed_by"], "customer");
    ada.post("/api/explain", &why).await.problem(404, "not_found");
    let edge = house.relationship(EDGE);
    ada.post_seen(&edge, "approve", &json!({})).await.expect(200);
    enter(&house, &key.text).await.expect(200);
    let history = ada.get(&format!("{edge}/history")).await.expect(200).json();
    assert!(history.to_string().contains("allow_automation"), "{history}");
    // Less is the partner's to say.
    demand(&house, &pat, json!({ "allow_automation": false })).await.expect(200);
    asks_for_a_person(&enter(&house, &key.text).await);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let house = House::on_a_file();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let_keys_in(&house, &ada).await;
    let good = key_of(&house, &pat).await;
    enter(&house, &good.text).await.expect(200);
    let ended = key_of(&house, &pat).await;
    pat.delete(&format!("{KEYS}/{}", ended.id)).await.expect(200);
    let mut elsewhere = wish(&house, &format!("{SWITCH} {READ_BILLING}"));
    elsewhere["networks"] = json!(["192.0.2.0/24"]);
    let elsewhere = make(&pat, &elsewhere).await;
    let late = key_of(&house, &pat).await;
    let set = format!("expires_at = 1 WHERE id = '{}'", late.id);
    change(&house, format!("UPDATE api_keys SET {set}")).await;
    let (last, flipped) = good.text.split_at(good.text.len() - 1);
    let flipped = format!("{last}{}", if flipped == "A" { "B" } else { "A" });
    let unknown = good.text.replacen(&good.text[3..35], &"0".repeat(32), 1);

    let mut answers = Vec::new();
    for (what, text, reason) in [
        ("a wrong secret", flipped.as_str(), "key_unknown"),
        ("an unknown id", unknown.as_str(), "key_unknown"),
        ("no key at all", "pk_", "key_unknown"),
        ("the id alone", good.id.as_str(), "key_unknown"),
        ("a home token", pat.home.as_str(), "key_unknown"),
        ("an ended one", ended.text.as_str(), "key_over"),
        ("one whose time is over", late.text.as_str(), "key_over"),
        ("one from elsewhere", elsewhere.text.as_str(), "key_network_not_admitted"),
    ] {
        let answer = enter(&house, text).await;
        unusable(&answer);
        assert_eq!(root.reason_of(answer.request_id()).await, reason, "{what}");
        answers.push(answer.text);
    }
    // A key is no access token, whatever its bearer says.
    let as_token = house.token(&exchange_form(&good.text, "acme-corp", READ_BILLING)).await;
    unusable(&as_token);
    answers.push(as_token.text);
    assert!(answers.iter().all(|text| *text == answers[0]), "{answers:?}");

    // Another client may exchange the person's tokens, and not the key.
    let portal = house.demo().clients["portal"].client_id.clone();
    let audience = house.demo().clients["isp"].audience.clone();
    let other = json!({ "name": "Other", "permissions": "*", "redirect_uris": ["https://o.example/cb"],
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "audiences": [audience], "default_audience": audience, "exchange_for": [portal] });
    let other = root.post("/api/clients", &other).await.expect(201).json();
    let secret = other["client_secret"].as_str().expect("a secret");
    let other = (other["id"].as_str().expect("an id"), secret);
    let by_login = exchange_form(&pat.home, "acme-corp", READ_BILLING);
    house.token_by(Some(other), &by_login).await.expect(200);
    let refused = house.token_by(Some(other), &form(&good.text, "acme-corp", READ_BILLING)).await;
    assert_eq!(refused.text, answers[0]);
    let reason = root.reason_of(refused.request_id()).await;
    assert_eq!(reason, "subject_token_of_another_client");
    enter(&house, &good.text).await.expect(200);
}

#[tokio::test]
async fn a_revoked_key_is_dead_everywhere_at_once_and_only_its_own_side_revokes_it() {
    let house = House::on_a_file();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let (sam, tom) = (house.log_in(SAM).await, house.log_in(TOM).await);
    let_keys_in(&house, &ada).await;
    let key = key_of(&house, &pat).await;
    let token = enter(&house, &key.text).await.expect(200).string("access_token");
    let by_login = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let path = format!("{KEYS}/{}", key.id);
    for stranger in [&ada, &sam] {
        stranger.delete(&path).await.problem(404, "not_found");
        assert_eq!(stranger.get(KEYS).await.expect(200).json(), json!([]));
    }
    assert_eq!(tom.get(KEYS).await.expect(200).json()[0]["id"], key.id);
    works(&isp.get(&token, BILLING).await);

    applied_everywhere(&pat.delete(&format!("{path}?confirm=applied")).await);
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    unusable(&enter(&house, &key.text).await);
    works(&isp.get(&by_login, BILLING).await);
    pat.delete(&path).await.problem(409, "wrong_state");
    assert_eq!(pat.get(KEYS).await.expect(200).json()[0]["is_live"], false);

    // The tenant's admin, and the operator at the machine, end what others made.
    let (second, third) = (key_of(&house, &pat).await, key_of(&house, &pat).await);
    tom.delete(&format!("{KEYS}/{}", second.id)).await.expect(200);
    let listed = house.command(&["api-key", "list", "--tenant", "northwind"]);
    assert!(listed.status.success() && listed.stdout.contains(&third.id), "{listed:?}");
    let done = house.command(&["api-key", "revoke", &third.id]);
    assert!(done.status.success(), "{done:?}");
    for over in [&second, &third] {
        unusable(&enter(&house, &over.text).await);
    }
    assert!(!house.command(&["api-key", "revoke", &third.id]).status.success());
}

#[tokio::test]
async fn a_key_reaches_what_its_persons_role_does_and_ends_with_the_person_and_the_client() {
    let house = House::on_a_file();
    let (ada, sam) = (house.log_in(ADA).await, house.log_in(SAM).await);
    let tom = house.log_in(TOM).await;
    let_keys_in(&house, &ada).await;
    let key = make(&sam, &wish(&house, &format!("{SWITCH} {READ_BILLING}"))).await;
    let token = enter(&house, &key.text).await.expect(200).string("access_token");

    // Another role reaches less, or nothing; the key is asked each time.
    let role = async |role: &str| {
        let set = format!("UPDATE users SET roles = '{role}' WHERE id = '{}'", house.user(SAM));
        change(&house, set).await;
    };
    role("member").await;
    not_available(&enter(&house, &key.text).await);
    role("partner-support").await;
    enter(&house, &key.text).await.expect(200);

    let user = format!("/api/tenants/users/{}", house.user(SAM));
    tom.step(&format!("{user}/disable")).await.expect(200);
    assert!(!house.is_alive(&token).await);
    unusable(&enter(&house, &key.text).await);
    tom.step(&format!("{user}/enable")).await.expect(200);
    unusable(&enter(&house, &key.text).await);

    let sam = house.log_in(SAM).await;
    let key = make(&sam, &wish(&house, &format!("{SWITCH} {READ_BILLING}"))).await;
    enter(&house, &key.text).await.expect(200);
    let portal = &house.demo().clients["portal"].client_id;
    let step = |step: &str| {
        let done = house.command(&["client", step, portal]);
        assert!(done.status.success(), "{done:?}");
    };
    step("disable");
    // This node may not have heard yet which of both is over.
    let refused = enter(&house, &key.text).await;
    assert!([400, 401].contains(&refused.status), "{}", refused.text);
    step("enable");
    unusable(&enter(&house, &key.text).await);
}

#[tokio::test]
async fn only_somebody_who_has_just_logged_in_makes_a_key_and_for_no_more_than_the_own_role() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let first = tokens(&house, &visitor, &[("scope", SCOPE)], PAT).await.string("access_token");
    let body = wish(&house, &format!("{SWITCH} {READ_BILLING}"));
    let post =
        async |token: &str, body: &Value| house.api(token, Method::POST, KEYS, Some(body)).await;
    let key = post(&first, &body).await.expect(201).string("key");
    change(&house, "UPDATE sessions SET auth_time = auth_time - 301000000".to_owned()).await;
    let stale = tokens(&house, &visitor, &[("scope", SCOPE)], PAT).await.string("access_token");
    let refused = post(&stale, &body).await;
    refused.problem(401, "insufficient_user_authentication");
    assert_eq!(refused.json()["max_age"], 300);
    let challenge = refused.header("www-authenticate").expect("a challenge");
    for part in [
        "Bearer error=\"insufficient_user_authentication\"",
        "max_age=\"300\"",
        "resource_metadata=",
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    let fresh = [("scope", SCOPE), ("max_age", "300")];
    let fresh = tokens(&house, &visitor, &fresh, PAT).await.string("access_token");
    post(&fresh, &body).await.expect(201);

    // No delegated token makes one, and no key, and nobody without a partner's role.
    let delegated = house.token(&exchange_form(&fresh, "acme-corp", READ_BILLING)).await;
    let delegated = delegated.expect(200).string("access_token");
    for token in [delegated.as_str(), key.as_str()] {
        post(token, &body).await.problem(401, "unauthenticated");
    }
    let ada = house.log_in(ADA).await;
    ada.post(KEYS, &body).await.problem(403, "forbidden");
    let sam = house.log_in(SAM).await;
    for (member, value) in [
        ("permissions", json!("*")),
        ("permissions", json!("partner.tenants.provision")),
        ("permissions", json!("")),
        ("expires_in_days", json!(91)),
        ("expires_in_days", json!(0)),
        ("tenants", json!(["contoso-of-nobody"])),
        ("tenants", json!([])),
        ("networks", json!([])),
        ("client_id", json!(house.demo().clients["isp"].client_id)),
        ("client_id", json!("cli_nobody")),
        ("name", json!("")),
    ] {
        let mut bad = body.clone();
        bad[member] = value;
        let about = sam.post(KEYS, &bad).await.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some(member));
    }
    // Made once, and shown once: whoever asks again may have logged in long ago.
    sam.post_with_key(KEYS, &body, "one").await.expect(201);
    sam.post_with_key(KEYS, &body, "one").await.problem(409, "answer_lost");
    for _ in 1..20 {
        sam.post(KEYS, &body).await.expect(201);
    }
    sam.post(KEYS, &body).await.problem(409, "wrong_state");
    assert_eq!(sam.get(KEYS).await.expect(200).json().as_array().map(Vec::len), Some(20));
}

#[tokio::test]
async fn a_key_gives_what_it_names_and_meets_whatever_is_demanded_of_people() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let_keys_in(&house, &ada).await;
    let mut narrow = wish(&house, &format!("{SWITCH} {READ_BILLING}"));
    narrow["tenants"] = json!(["acme-corp"]);
    let narrow = make(&pat, &narrow).await;
    let both = format!("{READ_BILLING} {CREATE_TICKETS}");
    let granted = house.token(&form(&narrow.text, "acme-corp", &both)).await;
    assert_eq!(granted.expect(200).json()["scope"], READ_BILLING);
    let none = house.token(&form(&narrow.text, "acme-corp", CREATE_TICKETS)).await;
    none.oauth_error(400, "invalid_scope");
    // Its person enters there, and it does not: nobody is told which it is.
    let other = house.token(&form(&narrow.text, "contoso", READ_BILLING)).await;
    not_available(&other);
    assert_eq!(other.text, house.token(&form(&narrow.text, "nobody", READ_BILLING)).await.text);
    // One that was not given switching is for the management API alone.
    let at_home = make(&pat, &wish(&house, READ_BILLING)).await;
    unusable(&enter(&house, &at_home.text).await);

    demand(&house, &ada, json!({ "min_acr": "urn:procura:acr:pwd" })).await.expect(200);
    let refused = enter(&house, &narrow.text).await;
    asks_for_a_person(&refused);
    assert_eq!(refused.json()["acr_values"], "urn:procura:acr:pwd");
    pat.exchange("acme-corp", READ_BILLING).await.expect(200);
    demand(&house, &ada, json!({ "min_acr": null, "max_age_secs": 86_400 })).await.expect(200);
    let refused = enter(&house, &narrow.text).await;
    asks_for_a_person(&refused);
    assert_eq!(refused.json()["max_age"], 86_400);
    demand(&house, &ada, json!({ "max_age_secs": null, "trusted_idps": ["local"] }))
        .await
        .expect(200);
    not_available(&enter(&house, &narrow.text).await);
    demand(&house, &ada, json!({ "trusted_idps": null })).await.expect(200);
    enter(&house, &narrow.text).await.expect(200);

    // The customer approves programs as it approves people.
    ada.patch(&house.relationship(EDGE), &json!({ "approval": "each_time" })).await.expect(200);
    enter(&house, &narrow.text).await.oauth_error(400, "authorization_pending");
    let listed = ada.get("/api/tenants/access-requests").await.expect(200).json();
    assert_eq!(listed[0]["scope"], READ_BILLING);
    let request = listed[0]["id"].as_str().expect("a request");
    ada.step(&format!("/api/tenants/access-requests/{request}/approve")).await.expect(200);
    enter(&house, &narrow.text).await.expect(200);
}

#[tokio::test]
async fn a_program_sets_customers_up_with_a_key_that_names_that_and_does_nothing_else_at_home() {
    let house = House::start();
    let (pat, sam) = (house.log_in(PAT).await, house.log_in(SAM).await);
    let list = "partner.tenants.list";
    let reader = make(&pat, &wish(&house, &format!("* {list}"))).await;
    let maker = make(&pat, &wish(&house, &format!("{list} partner.tenants.provision"))).await;
    let sams = make(&sam, &wish(&house, &format!("{list} {READ_BILLING}"))).await;
    let blind = make(&pat, &wish(&house, "*")).await;
    let call = async |key: &Key, method: Method, path: &str, body: Option<&Value>| {
        house.api(&key.text, method, path, body).await
    };
    for path in ["/api/partners/tenants", "/api/v1/partner/customers"] {
        let by_login = pat.get(path).await.expect(200).json();
        assert_eq!(call(&reader, Method::GET, path, None).await.expect(200).json(), by_login);
        call(&sams, Method::GET, path, None).await.expect(200);
        call(&blind, Method::GET, path, None).await.problem(403, "forbidden");
    }
    let edge = house.relationship(EDGE);
    call(&reader, Method::GET, &edge, None).await.expect(200);
    call(&sams, Method::GET, &edge, None).await.problem(403, "forbidden");

    let count = async || pat.get("/api/partners/tenants").await.json().as_array().map(Vec::len);
    let before = count().await;
    let new = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
    let (tenants, post) = ("/api/partners/tenants", Method::POST);
    for unfit in [&reader, &sams, &blind] {
        call(unfit, post.clone(), tenants, Some(&new)).await.problem(403, "forbidden");
    }
    assert_eq!(count().await, before);
    let made = call(&maker, post.clone(), tenants, Some(&new)).await;
    made.expect(201);
    assert_eq!(count().await, before.map(|count| count + 1));
    let entry = pat.entry_of(made.request_id()).await;
    assert_eq!(
        (&entry["details"]["api_key"], &entry["action"]),
        (&json!(maker.id), &json!("tenant.provision"))
    );
    assert_eq!(entry["actor_user_id"], house.user(PAT));

    // Every byte of it counts.
    for at in (3..reader.text.len()).step_by(5) {
        let mut other = reader.text.clone().into_bytes();
        other[at] = if other[at] == b'0' { b'1' } else { b'0' };
        let text = String::from_utf8(other).expect("ASCII");
        let other = Key { id: String::new(), text };
        call(&other, Method::GET, tenants, None).await.problem(401, "unauthenticated");
    }
    call(&reader, Method::GET, tenants, None).await.expect(200);

    // Nowhere else is a key anybody, and once it has ended it is nobody here either.
    for (method, path) in [
        (Method::GET, KEYS.to_owned()),
        (Method::DELETE, format!("{KEYS}/{}", reader.id)),
        (Method::PATCH, edge.clone()),
        (Method::DELETE, edge.clone()),
        (Method::GET, "/api/audit-logs".to_owned()),
        (Method::GET, "/oauth2/userinfo".to_owned()),
    ] {
        call(&maker, method, &path, None).await.expect(401);
    }
    pat.delete(&format!("{KEYS}/{}", maker.id)).await.expect(200);
    call(&maker, post, tenants, Some(&new)).await.problem(401, "unauthenticated");
    call(&maker, Method::GET, tenants, None).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_nightly_program_in_another_language_needs_a_key_and_a_client() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let_keys_in(&house, &ada).await;
    let permissions = format!("{SWITCH} {READ_BILLING} partner.tenants.list");
    let key = make(&pat, &wish(&house, &permissions)).await;
    let portal = &house.demo().clients["portal"];
    let script = Script::node(
        "automation.mjs",
        &[
            ("ISSUER", house.issuer()),
            ("API", isp.url()),
            ("CLIENT_ID", &portal.client_id),
            ("CLIENT_SECRET", portal.client_secret.as_deref().expect("a secret")),
            ("PARTNER_KEY", &key.text),
            ("TENANT", "acme-corp"),
        ],
    );
    let done = script.run(async |_, _| String::new()).await;
    assert_eq!(done.step("billing")["status"], 200);
    assert_eq!(done.step("nowhere")["error"], "invalid_target");
    assert!(done.step("customers")["count"].as_u64().is_some_and(|count| count > 0));
}
