//! What a key is made with bounds it everywhere: the token, the customers, the client, the yes, the budget.

use procura_tests::{House, HouseOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, PAT, READ_BILLING, ROOT, SAM,
    api_keys::{EDGE, KEYS, Key, SWITCH, enter, key_of, let_keys_in, make, wish},
    unusable,
};
use crate::protocol::relying_party::{SCOPE, house_of_openid, tokens};

const CUSTOMERS: &str = "/api/v1/partner/customers";
const TENANTS: &str = "/api/partners/tenants";
const LIST: &str = "partner.tenants.list";
const PROVISION: &str = "partner.tenants.provision";

#[tokio::test]
async fn a_key_is_no_wider_than_its_makers_token_and_ends_with_the_consent() {
    let house = house_of_openid().await;
    let post =
        async |token: &str, body: &Value| house.api(token, Method::POST, KEYS, Some(body)).await;
    let narrow = [("scope", "openid partner.tenants.list")];
    let narrow = tokens(&house, &house.visitor(), &narrow, PAT).await.string("access_token");
    for wider in [SWITCH, READ_BILLING, "*", &format!("{LIST} {SWITCH}")] {
        let refused = post(&narrow, &wish(&house, wider)).await;
        let about = refused.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some("permissions"), "{wider}");
    }
    post(&narrow, &wish(&house, &format!("{LIST} {PROVISION}"))).await.expect(201);

    let ada = house.log_in(ADA).await;
    let_keys_in(&house, &ada).await;
    let body = wish(&house, &format!("{SWITCH} {READ_BILLING}"));
    let mut homes = Vec::new();
    let mut keys = Vec::new();
    for person in [PAT, SAM] {
        let scope = [("scope", SCOPE)];
        let home = tokens(&house, &house.visitor(), &scope, person).await.string("access_token");
        let key = post(&home, &body).await.expect(201).string("key");
        enter(&house, &key).await.expect(200);
        homes.push(home);
        keys.push(key);
    }
    let token = enter(&house, &keys[0]).await.string("access_token");
    let path = format!("/api/me/consents/{}", house.demo().clients["portal"].client_id);
    house.api(&homes[0], Method::DELETE, &path, None).await.expect(200);
    unusable(&enter(&house, &keys[0]).await);
    assert!(!house.is_alive(&token).await);
    // Another person's consent is as it was.
    enter(&house, &keys[1]).await.expect(200);
}

#[tokio::test]
async fn a_yes_to_a_person_is_not_one_to_a_program_of_theirs_nor_the_other_way_round() {
    let house = House::on_a_file();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let_keys_in(&house, &ada).await;
    ada.patch(&house.relationship(EDGE), &json!({ "approval": "each_time" })).await.expect(200);
    let requests = "/api/tenants/access-requests";
    let newest = async || ada.get(requests).await.expect(200).json()[0].clone();
    let approve = async |request: &Value| {
        let id = request["id"].as_str().expect("a request");
        ada.step(&format!("{requests}/{id}/approve")).await.expect(200);
    };
    let key = key_of(&house, &pat).await;
    enter(&house, &key.text).await.oauth_error(400, "authorization_pending");
    let of_the_key = newest().await;
    assert_eq!(of_the_key["api_key_id"], key.id);
    approve(&of_the_key).await;
    enter(&house, &key.text).await.expect(200);

    pat.exchange("acme-corp", READ_BILLING).await.oauth_error(400, "authorization_pending");
    let of_pat = newest().await;
    assert!(of_pat["id"] != of_the_key["id"] && of_pat["api_key_id"].is_null(), "{of_pat}");
    approve(&of_pat).await;
    pat.exchange("acme-corp", READ_BILLING).await.expect(200);
    // Nor to another program.
    let other = key_of(&house, &pat).await;
    enter(&house, &other.text).await.oauth_error(400, "authorization_pending");
    assert_eq!(newest().await["api_key_id"], other.id);
    let listed = house.command(&["access-request", "list", "--tenant", "acme-corp"]);
    assert_eq!(listed.stdout.matches("(by a key)").count(), 2, "{listed:?}");
}

#[tokio::test]
async fn a_key_for_some_customers_knows_no_other_at_home() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let get = async |key: &Key, path: &str| house.api(&key.text, Method::GET, path, None).await;
    let mut few = wish(&house, LIST);
    few["tenants"] = json!(["acme-corp"]);
    let (few, all) = (make(&pat, &few).await, make(&pat, &wish(&house, LIST)).await);
    for path in [CUSTOMERS, TENANTS] {
        let listed = get(&few, path).await.expect(200).json();
        let slugs: Vec<_> = listed.as_array().unwrap().iter().map(|one| &one["slug"]).collect();
        assert_eq!(slugs, ["acme-corp"], "{path}");
        let by_login = pat.get(path).await.expect(200).json();
        assert_eq!(get(&all, path).await.expect(200).json(), by_login);
    }
    let (mine, other) = (house.relationship(EDGE), house.relationship("northwind>fabrikam"));
    for more in ["", "/history"] {
        get(&few, &format!("{mine}{more}")).await.expect(200);
        get(&few, &format!("{other}{more}")).await.problem(404, "not_found");
        get(&all, &format!("{other}{more}")).await.expect(200);
    }
    // Whom it would set up it would not know.
    let mut both = wish(&house, &format!("{LIST} {PROVISION}"));
    both["tenants"] = json!(["acme-corp"]);
    let about = pat.post(KEYS, &both).await.problem(400, "invalid_request");
    assert_eq!(about.as_deref(), Some("tenants"));
}

#[tokio::test]
async fn a_key_ends_when_its_client_exchanges_no_more_and_the_log_says_whose_it_was() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    let_keys_in(&house, &ada).await;
    let key = key_of(&house, &pat).await;
    let path = format!("/api/clients/{}", house.demo().clients["portal"].client_id);
    root.patch(&path, &json!({ "name": "The Portal" })).await.expect(200);
    let token = enter(&house, &key.text).await.expect(200).string("access_token");
    let before = root.get(&path).await.expect(200).json()["grant_types"].clone();
    let mut fewer = before.clone();
    fewer.as_array_mut().unwrap().retain(|grant| !grant.as_str().unwrap().contains("exchange"));
    root.patch(&path, &json!({ "grant_types": fewer })).await.expect(200);
    // What was narrowed ended what the client held, the operator's own token too.
    let root = house.log_in(ROOT).await;
    root.patch(&path, &json!({ "grant_types": before })).await.expect(200);
    let refused = enter(&house, &key.text).await;
    unusable(&refused);
    assert!(!house.is_alive(&token).await);

    let entry = root.entry_of(refused.request_id()).await;
    assert_eq!(
        (&entry["reason"], &entry["details"]["api_key"]),
        (&json!("key_over"), &json!(key.id))
    );
    assert_eq!(entry["actor_user_id"], house.user(PAT));
    // Whoever proves nothing is nobody.
    let unknown = key.text.replacen(&key.text[3..35], &"0".repeat(32), 1);
    let refused = enter(&house, &unknown).await;
    let entry = root.entry_of(refused.request_id()).await;
    assert!(entry["actor_user_id"].is_null() && entry["details"]["api_key"].is_null(), "{entry}");
    assert_eq!(entry["reason"], "key_unknown");
}

#[tokio::test]
async fn whatever_a_program_does_in_setting_a_customer_up_names_its_key() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let quotas = format!("/api/admin/tenants/{}/quotas", house.tenant("northwind"));
    root.put(&quotas, &json!({ "users": 50 })).await.expect(200);
    let policy = json!({ "name": "Long", "rules": { "password_min_length": 14 },
                         "for_new_customers": true });
    pat.post("/api/policies", &policy).await.expect(201);
    let key = make(&pat, &wish(&house, &format!("{LIST} {PROVISION}"))).await;
    let new = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
    let by_key = house.api(&key.text, Method::POST, TENANTS, Some(&new)).await;
    let other = json!({ "name": "Nadir", "admin_email": "ned@nadir.test" });
    let by_login = pat.post(TENANTS, &other).await;
    for (made, held) in [(by_key, json!(key.id)), (by_login, Value::Null)] {
        let tenant = made.expect(201).string("id");
        for action in ["tenant.provision", "quota.inherit", "policy.apply"] {
            let log = format!("/api/audit-logs?tenantId={tenant}&action={action}");
            let log = root.get(&log).await.expect(200).json();
            assert_eq!(log.as_array().map(Vec::len), Some(1), "{action}: {log}");
            assert_eq!(log[0]["details"]["api_key"], held, "{action}: {log}");
        }
    }
}

#[tokio::test]
async fn a_key_spends_a_budget_of_its_own_at_home() {
    let settings = [
        ("PROCURA__RATE_LIMITS__BURST_SECS", "60".to_owned()),
        ("PROCURA__RATE_LIMITS__CROSS_USER_PER_MINUTE", "4".to_owned()),
        ("PROCURA__RATE_LIMITS__HOME_USER_PER_MINUTE", "4".to_owned()),
    ];
    let options = HouseOptions { environment: settings.to_vec(), ..HouseOptions::default() };
    let house = House::start_with(options);
    let pat = house.log_in(PAT).await;
    let (one, other) =
        (make(&pat, &wish(&house, LIST)).await, make(&pat, &wish(&house, LIST)).await);
    let ask = async |token: &str| house.api(token, Method::GET, CUSTOMERS, None).await;
    for _ in 0..4 {
        ask(&one.text).await.expect(200);
    }
    ask(&one.text).await.problem(429, "too_many_requests");
    ask(&other.text).await.expect(200);
    for _ in 0..2 {
        ask(&pat.home).await.expect(200);
    }
    ask(&pat.home).await.problem(429, "too_many_requests");
}
