//! What a token is worth, and what the exchange that gave it would come to now: to each side its own half.

use std::fs;

use procura_tests::{Ended, House, Isp, Person, procura_in};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, PAT, READ_BILLING, ROOT,
    api_keys::{EDGE, enter, key_of, let_keys_in},
    explain::{EXPLAIN, failed, names},
    works,
};

const ACCESS: &str = "/api/tenants/partner-access";

async fn worth(person: &Person, token: &str) -> Value {
    person.post(EXPLAIN, &json!({ "token": token })).await.expect(200).json()
}

/// By what it is dead, and who can see to it that there is another one.
fn causes(told: &Value) -> Vec<[&str; 2]> {
    let causes = told["causes"].as_array().expect("causes");
    let names: Vec<_> = causes.iter().map(|cause| cause["reason"].clone()).collect();
    assert_eq!(told["dead_by"], json!(names));
    causes
        .iter()
        .map(|cause| {
            ["reason", "can_be_fixed_by"].map(|name| cause[name].as_str().expect("a word"))
        })
        .collect()
}

#[tokio::test]
async fn each_side_is_told_its_half_of_what_a_token_would_come_to_now() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    // What the customer demands of where and why stands in the token, or in the log of its exchange.
    let demand = json!({ "conditions": { "require_purpose": true, "networks": ["127.0.0.0/8"] } });
    ada.patch(&house.relationship(EDGE), &demand).await.expect(200);
    let why = [("purpose", "support")];
    let token = pat.exchange_with("acme-corp", READ_BILLING, &why).await;
    let token = token.expect(200).string("access_token");
    for (asker, side) in [(&pat, "partner"), (&ada, "customer"), (&root, "operator")] {
        let told = worth(asker, &token).await;
        assert_eq!((&told["side"], &told["is_alive"]), (&json!(side), &json!(true)), "{told}");
        assert_eq!((&told["is_granted"], &told["causes"]), (&json!(true), &json!([])), "{told}");
        assert_eq!(told["granted"]["scope"], READ_BILLING);
        let steps = told["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| step["result"] == "passed"), "{told}");
        assert_eq!(names(&told).contains(&"login"), side != "customer");
        assert_eq!(names(&told).contains(&"access"), side != "partner");
    }

    ada.put(ACCESS, &json!({ "mode": "off" })).await.expect(200);
    let off = ["access", "partner_access_off", "customer"];
    let ended = ["delegation_ended", "person"];
    for asker in [&ada, &root] {
        let told = worth(asker, &token).await;
        assert_eq!(causes(&told), [["pair", "customer"], ended]);
        assert_eq!((&told["is_granted"], failed(&told)), (&json!(false), off));
    }
    let told = worth(&pat, &token).await;
    assert_eq!(causes(&told), [["customers_side", "customer"], ended]);
    assert_eq!(failed(&told), ["customers_side", "target_not_available", "customer"]);
    assert!(told["relationship_id"].is_null() && !told.to_string().contains("partner_access"));

    // What was ended does not come back: whoever asks again is given another one.
    ada.put(ACCESS, &json!({ "mode": "on" })).await.expect(200);
    let told = worth(&ada, &token).await;
    assert_eq!(causes(&told), [["pair", "person"], ["delegation_ended", "person"]]);
    assert_eq!((&told["is_alive"], &told["is_granted"]), (&json!(false), &json!(true)));
    pat.exchange_with("acme-corp", READ_BILLING, &why).await.expect(200);
}

#[tokio::test]
async fn who_can_mend_a_relationship_is_who_closed_it() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    pat.step(&format!("{}/suspend", house.relationship(EDGE))).await.expect(200);
    for asker in [&ada, &root] {
        let told = worth(asker, &token).await;
        assert!(causes(&told).contains(&["rel", "partner"]), "{told}");
        assert_eq!(failed(&told), ["relationship", "relationship_suspended", "partner"]);
    }
    let told = worth(&pat, &token).await;
    assert!(causes(&told).contains(&["customers_side", "customer"]), "{told}");
}

#[tokio::test]
async fn the_token_of_a_key_is_asked_about_with_its_key() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let_keys_in(&house, &ada).await;
    let key = key_of(&house, &pat).await;
    let token = enter(&house, &key.text).await.expect(200).string("access_token");
    for asker in [&pat, &root] {
        assert_eq!(worth(asker, &token).await["is_granted"], true);
    }
    // What a program of the partner's could do is not asked for the customer as if its person did it.
    let told = worth(&ada, &token).await;
    assert_eq!((&told["is_alive"], &told["is_granted"]), (&json!(true), &json!(null)));
    ada.patch(&house.relationship(EDGE), &json!({ "conditions": { "allow_automation": false } }))
        .await
        .expect(200);
    let told = worth(&root, &token).await;
    assert_eq!(failed(&told), ["automation", "automation_not_allowed", "customer"]);
    let_keys_in(&house, &ada).await;
    pat.delete(&format!("/api/api-keys/{}", key.id)).await.expect(200);
    // Pat is logged in, which is of no use to this token.
    for asker in [&pat, &root] {
        let told = worth(asker, &token).await;
        assert_eq!(failed(&told), ["login", "session_ended", "person"]);
    }
    let told = worth(&ada, &token).await;
    assert!(causes(&told).contains(&["partners_side", "partner"]), "{told}");
    assert_eq!(told["steps"], json!(null));
}

#[tokio::test]
async fn other_tokens_have_no_steps_and_who_may_not_ask_is_told_as_little_as_ever() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let told = worth(&pat, &pat.home).await;
    assert_eq!((&told["token"]["kind"], &told["is_alive"]), (&json!("home"), &json!(true)));
    assert!(told["steps"].is_null() && told["is_granted"].is_null(), "{told}");
    for garbage in ["nonsense", "a.b.c"] {
        let told = worth(&pat, garbage).await;
        assert_eq!((&told["steps"], &told["token"]), (&Value::Null, &Value::Null), "{told}");
    }
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let cora = house.log_in("cora@contoso.test").await;
    cora.post(EXPLAIN, &json!({ "token": token })).await.problem(404, "not_found");
    ada.post(EXPLAIN, &json!({ "token": pat.home })).await.problem(404, "not_found");
    let ask = json!({ "token": token });
    let by_itself = house.api(&token, Method::POST, EXPLAIN, Some(&ask)).await;
    by_itself.problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_operator_reads_a_token_on_the_command_line() {
    let house = House::on_a_file();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&token, BILLING).await);
    let file = house.data().join("token.txt");
    fs::write(&file, &token).unwrap();
    let read = || {
        let database = house.database().map(|url| ("PROCURA__DATABASE__URL", url));
        let issuer = ("PROCURA__SERVER__ISSUER", house.issuer());
        let environment: Vec<_> = database.into_iter().chain([issuer]).collect();
        let (file, data) = (file.to_str().unwrap(), house.data_text());
        let Ended { status, stdout, stderr } =
            procura_in(&environment, &["explain", "--token", file, "--data", &data]);
        assert!(status.success(), "{stderr}");
        stdout
    };
    let lines = read();
    let has = |lines: &str, wanted: &str| {
        let plain: Vec<_> =
            lines.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(plain.iter().any(|line| line == wanted), "{wanted}: {lines}");
    };
    for line in ["kind delegated", "token alive", "access passed", "time passed"] {
        has(&lines, line);
    }
    ada.put(ACCESS, &json!({ "mode": "off" })).await.expect(200);
    let lines = read();
    has(&lines, "token dead: pair; can be fixed by the customer");
    has(&lines, "access failed: partner_access_off; can be fixed by the customer");
    has(&lines, "role not_reached");
}
