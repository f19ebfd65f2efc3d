//! What a partner demands of the logins of its customers' people, and the customer's last word on it.

use std::fs;

use procura_tests::{Answer, House, Person, Scratch};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, SAM, TOM};
use crate::protocol::relying_party::{SCOPE, ask, house_of_openid, refresh, tokens};

const POLICIES: &str = "/api/policies";
const HOLDS: &str = "/api/tenants/policies";
const MEL: &str = "mel@acme.test";
const MFA: &str = "urn:procura:acr:mfa";

/// Lets people be there who are no admins.
fn add_people(house: &House, people: &[(&str, &str)]) {
    add_with(house, "member", people);
}

/// The same with another role; who is there already has this one then.
fn add_with(house: &House, role: &str, people: &[(&str, &str)]) {
    let shown = |(email, tenant): &(&str, &str)| {
        json!({ "email": email, "tenant": tenant, "name": "M", "roles": [role],
                "password": house.demo().password })
    };
    let users: Vec<_> = people.iter().map(shown).collect();
    let folder = Scratch::new();
    let file = folder.path().join("people.json");
    fs::write(&file, json!({ "users": users }).to_string()).unwrap();
    let done = house.command(&["import", file.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
}

/// A policy of the person's own tenant; its id.
async fn written(person: &Person, name: &str, rules: Value) -> String {
    let made = person.post(POLICIES, &json!({ "name": name, "rules": rules })).await;
    made.expect(201).string("id")
}

fn at(tenant: &str, policy: &str) -> String {
    format!("/api/tenants/{tenant}/policies/{policy}")
}

fn sid(person: &Person) -> String {
    procura_tests::claims(&person.home)["sid"].as_str().unwrap().to_owned()
}

async fn is_in(house: &House, person: &Person) -> bool {
    house.api(&person.home, Method::GET, "/api/me/consents", None).await.status == 200
}

async fn may_log_in(house: &House, email: &str) -> Answer {
    house.visitor().try_log_in(email, &house.demo().password).await.0
}

#[tokio::test]
async fn a_partners_policy_binds_people_at_once_and_shuts_no_admin_out() {
    let house = House::start();
    add_people(&house, &[(MEL, "acme-corp")]);
    let (pat, ada, mel) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(MEL).await);
    let strict = written(&pat, "Strict-MFA-2025", json!({ "min_acr": MFA })).await;
    assert!(is_in(&house, &mel).await, "what is written holds nowhere yet");
    assert_eq!(ada.get(HOLDS).await.expect(200).json()["applied"], json!([]));

    let applied = pat.put_bare(&at("acme-corp", &strict)).await;
    let applied = applied.expect(200).json();
    assert_eq!(applied["policy"]["origin"], "partner");
    assert!(applied["revoked"].is_null(), "whether somebody was in is the customer's: {applied}");
    assert!(!is_in(&house, &mel).await);
    let refused = may_log_in(&house, MEL).await;
    assert!(refused.expect(401).header("set-cookie").is_none());
    let entry = ada.entry_of(refused.request_id()).await;
    assert_eq!(entry["reason"], "policy_login_too_weak");
    assert_eq!(entry["details"]["policies"], json!([strict]), "{entry}");

    // The admin is still in, can come in again, and sees from whom it is.
    assert!(is_in(&house, &ada).await);
    let ada = house.log_in(ADA).await;
    let holds = ada.get(HOLDS).await.expect(200).json();
    assert_eq!(holds["applied"][0]["owner_id"], house.tenant("northwind"));
    assert_eq!(holds["applied"][0]["owner_name"], "Northwind MSP");
    assert_eq!(holds["applied"][0]["binds_admins"], false);
    assert_eq!(holds["rules"], json!({ "min_acr": MFA }));
    assert_eq!(holds["rules_of_admins"], json!({}));
    let log = ada.get("/api/audit-logs?action=policy.apply").await.expect(200).json();
    assert_eq!(log[0]["actor_user_id"], house.user(PAT));
    assert_eq!(log[0]["details"]["rules"], json!({ "min_acr": MFA }));
    assert!(log[0]["relationship_id"].is_string());

    // Who keeps it is bound by it, so a login that it refuses cannot keep it.
    let kept = ada.put_if(&at("acme-corp", &strict), &Value::Null, "\"1\"").await;
    assert_eq!(kept.problem(409, "wrong_state").as_deref(), Some("own_login_too_weak"));
    ada.delete(&at("acme-corp", &strict)).await.expect(204);
    house.log_in(MEL).await;
    ada.delete(&at("acme-corp", &strict)).await.problem(404, "not_found");
    let log = pat.get("/api/audit-logs?action=policy.remove").await.expect(200).json();
    assert_eq!(log, json!([]), "whether a customer keeps it is the customer's");
}

#[tokio::test]
async fn only_a_partner_whom_the_customer_lets_write_policies_applies_them() {
    let house = House::start();
    let (pat, ada, sam, tom) = (
        house.log_in(PAT).await,
        house.log_in(ADA).await,
        house.log_in(SAM).await,
        house.log_in(TOM).await,
    );
    let policy = written(&pat, "Short", json!({ "session_max_secs": 3600 })).await;
    let nothing = "ten_00000000000000000000000000000001";
    // Restricted, off, not yet agreed to, a trust, nothing at all, nobody: alike.
    for tenant in ["fabrikam", "contoso", "globex", "initech", "umbrella", nothing] {
        let tenant = if tenant == nothing { tenant } else { house.tenant(tenant) };
        pat.put_bare(&at(tenant, &policy)).await.problem(404, "not_found");
        pat.delete(&at(tenant, &policy)).await.problem(404, "not_found");
    }
    for person in [&sam, &tom] {
        person.put_bare(&at("acme-corp", &policy)).await.problem(403, "forbidden");
        person.delete(&at("acme-corp", &policy)).await.problem(403, "forbidden");
    }
    sam.get(POLICIES).await.problem(403, "forbidden");
    pat.get(HOLDS).await.problem(403, "forbidden");
    ada.put_bare(&at("acme-corp", &policy)).await.problem(404, "not_found");
    ada.get(&format!("{POLICIES}/{policy}")).await.problem(404, "not_found");

    pat.put_bare(&at("acme-corp", &policy)).await.expect(200);
    pat.delete(&at("acme-corp", &policy)).await.expect(204);
    // Nor by a client that could not exchange.
    let grants = |word: &str, other: &str| {
        format!(
            "UPDATE clients SET grant_types = replace(grant_types, '{word}', '{other}'), \
             version = version + 1 WHERE id = '{}'",
            procura_tests::claims(&pat.home)["client_id"].as_str().unwrap()
        )
    };
    ask(&house, grants("token-exchange", "no-exchange")).await;
    pat.put_bare(&at("acme-corp", &policy)).await.problem(404, "not_found");
    ask(&house, grants("no-exchange", "token-exchange")).await;
    let edge = house.relationship("northwind>acme-corp");
    for (less, back) in [
        (json!({ "access_role": "msp_support" }), json!({ "access_role": "msp_full" })),
        (json!({ "access": "restricted" }), json!({ "access": "on" })),
        (json!({ "approval": "each_time" }), json!({ "approval": "standing" })),
        (json!({ "conditions": { "min_acr": MFA } }), json!({ "conditions": { "min_acr": null } })),
        (
            json!({ "custom_permissions": "tenant.policies.read" }),
            json!({ "custom_permissions": "tenant.policies.write" }),
        ),
    ] {
        ada.patch(&edge, &less).await.expect(200);
        pat.put_bare(&at("acme-corp", &policy)).await.problem(404, "not_found");
        ada.patch(&edge, &back).await.expect(200);
        pat.put_bare(&at("acme-corp", &policy)).await.expect(200);
        pat.delete(&at("acme-corp", &policy)).await.expect(204);
    }
}

#[tokio::test]
async fn what_holds_is_a_copy_that_nothing_changes_behind_the_customers_back() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let own = format!("{POLICIES}/{}", written(&pat, "Days", json!({})).await);
    let id = own.rsplit('/').next().unwrap();
    let there = at("acme-corp", id);
    let rules = |secs: i64| json!({ "name": "Days", "rules": { "session_max_secs": secs } });
    let held = async || ada.get(HOLDS).await.expect(200).json()["rules"].clone();
    pat.put(&own, &rules(86_400)).await.expect(200);
    pat.put_bare(&there).await.expect(200);
    assert_eq!(held().await, json!({ "session_max_secs": 86_400 }));
    pat.delete(&own).await.problem(409, "wrong_state");
    assert_eq!(pat.get(&own).await.expect(200).json()["applied_to"], 1);

    // Written anew it reaches nobody; applied anew it does.
    pat.put(&own, &rules(43_200)).await.expect(200);
    assert_eq!(held().await, json!({ "session_max_secs": 86_400 }));
    assert!(pat.put_bare(&there).await.expect(200).json()["revoked"].is_null());
    assert_eq!(held().await, json!({ "session_max_secs": 43_200 }));

    // What the admin has kept is the customer's own.
    ada.put_bare(&there).await.problem(428, "version_missing");
    ada.put_if(&there, &Value::Null, "*").await.problem(428, "version_missing");
    ada.put_if(&there, &Value::Null, "\"1\"").await.problem(412, "stale");
    let kept = ada.put_if(&there, &Value::Null, "\"3\"").await.expect(200).json();
    assert_eq!(kept["policy"]["kept_by"], house.user(ADA));
    assert_eq!(kept["policy"]["binds_admins"], true);
    pat.put(&own, &rules(300)).await.expect(200);
    for refused in [pat.put_bare(&there).await, pat.delete(&there).await] {
        assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("kept_by_customer"));
    }
    ada.delete(&there).await.expect(204);
    pat.put_bare(&there).await.expect(200);

    // It outlives the relationship, and is the customer's alone then.
    ada.delete(&house.relationship("northwind>acme-corp")).await.expect(200);
    pat.delete(&there).await.problem(404, "not_found");
    pat.put_bare(&there).await.problem(404, "not_found");
    assert_eq!(held().await, json!({ "session_max_secs": 300 }));
    ada.delete(&there).await.expect(204);
    assert_eq!(held().await, json!({}));
    pat.delete(&own).await.expect(204);
    pat.get(&own).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_policy_that_makes_no_sense_is_refused_and_changes_nothing() {
    let house = House::start();
    let (pat, tom) = (house.log_in(PAT).await, house.log_in(TOM).await);
    for (body, about) in [
        (json!({ "name": "", "rules": {} }), "name"),
        (json!({ "name": " x", "rules": {} }), "name"),
        (json!({ "name": "x", "rules": { "session_max_secs": 1 } }), "session_max_secs"),
        (json!({ "name": "x", "rules": { "password_min_length": 3 } }), "password_min_length"),
        (json!({ "name": "x", "rules": { "identity_providers": [] } }), "identity_providers"),
        (
            json!({ "name": "x", "rules": { "identity_providers": ["acme-corp/own"] } }),
            "identity_providers",
        ),
        (
            json!({ "name": "x", "rules": { "identity_providers": ["local"] },
                    "for_new_customers": true }),
            "for_new_customers",
        ),
    ] {
        let refused = pat.post(POLICIES, &body).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{body}");
    }
    for body in [
        json!({ "name": "x", "rules": { "min_acr": "mfa" } }),
        json!({ "name": "x", "rules": { "unknown": 1 } }),
        json!({ "name": "x", "rules": [] }),
        json!({ "name": "x" }),
        json!({ "name": "x", "rules": {}, "more": 1 }),
    ] {
        assert_eq!(pat.post(POLICIES, &body).await.status, 400, "{body}");
    }
    assert_eq!(pat.get(POLICIES).await.expect(200).json(), json!([]));
    // Through whom a customer's people log in is not a partner's to say, nor which password is one.
    let local = written(&pat, "Local", json!({ "identity_providers": ["local"] })).await;
    let refused = pat.put_bare(&at("acme-corp", &local)).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("names_identity_providers"));
    tom.put_bare(&at("northwind", &local)).await.expect(200);
    pat.post(POLICIES, &json!({ "name": "Local", "rules": {} })).await.problem(409, "conflict");
    // Whoever has seen another version changes nothing.
    let path = format!("{POLICIES}/{local}");
    let request = |tag: &'static str| {
        let body = json!({ "name": "Local", "rules": { "password_min_length": 20 } });
        let url = format!("{}{path}", house.url());
        let put = reqwest::Client::new().put(url).bearer_auth(&pat.home).json(&body);
        async move { Answer::of(put.header("if-match", tag).send().await.unwrap()).await }
    };
    request("\"7\"").await.problem(412, "stale");
    assert_eq!(request("\"1\"").await.expect(200).header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn logins_that_last_longer_than_is_allowed_now_are_over_or_shorter() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let (old, young) = (house.log_in(SAM).await, house.log_in(PAT).await);
    let age = format!(
        "UPDATE sessions SET started_at = started_at - 4000000000 WHERE id = '{}'",
        sid(&old)
    );
    ask(&house, age).await;
    let policy = written(&tom, "An hour", json!({ "session_max_secs": 3600 })).await;
    let applied = tom.put_bare(&at("northwind", &policy)).await;
    assert!(applied.expect(200).json()["revoked"]["seq"].is_number());
    assert!(!is_in(&house, &old).await);
    assert!(is_in(&house, &young).await && is_in(&house, &tom).await);
    let later = house.log_in(SAM).await;
    for person in [&young, &later] {
        let lasts = format!(
            "SELECT CAST((expires_at - started_at) / 1000000 AS TEXT) FROM sessions WHERE id = '{}'",
            sid(person)
        );
        assert_eq!(ask(&house, lasts).await, ["3600"]);
    }
    // Who applies the same again changes nothing.
    let again = tom.put_bare(&at("northwind", &policy)).await;
    assert!(again.expect(200).json()["revoked"].is_null());
    let log = tom.get("/api/audit-logs?action=policy.apply").await.expect(200).json();
    assert_eq!(log.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_comes_back_without_the_person_ends_with_the_login() {
    const OFFLINE: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent")];
    let house = house_of_openid().await;
    let tom = house.log_in(TOM).await;
    let offline = async |email: &str| {
        let given = tokens(&house, &house.visitor(), OFFLINE, email).await;
        let sid = procura_tests::claims(&given.string("access_token"))["sid"].clone();
        (given.string("refresh_token"), sid.as_str().unwrap().to_owned())
    };
    let (old, young) = (offline(PAT).await, offline(SAM).await);
    let over = async |sid: &str| {
        let run_out = format!(
            "UPDATE sessions SET started_at = started_at - 4000000000, \
             expires_at = started_at - 1000000 WHERE id = '{sid}'"
        );
        ask(&house, run_out).await;
    };
    // The login may have run out: what came from it goes on until a policy says otherwise.
    over(&old.1).await;
    let goes_on = refresh(&house, &old.0).await.expect(200).string("refresh_token");
    let policy = written(&tom, "An hour", json!({ "session_max_secs": 3600 })).await;
    tom.put_bare(&at("northwind", &policy)).await.expect(200);
    refresh(&house, &goes_on).await.oauth_error(400, "invalid_grant");
    let next = refresh(&house, &young.0).await.expect(200).string("refresh_token");
    // Nobody has to apply anything when the hour of the younger one is over.
    over(&young.1).await;
    let refused = refresh(&house, &next).await;
    refused.oauth_error(400, "invalid_grant");
    let id = refused.request_id();
    let reason = format!("SELECT reason FROM audit WHERE request_id = '{id}'");
    assert_eq!(ask(&house, reason).await, ["policy_session_over"]);
}

#[tokio::test]
async fn a_new_customer_begins_with_what_its_partner_has_for_new_ones() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let made = json!({ "name": "Base", "for_new_customers": true,
                       "rules": { "min_acr": MFA, "password_min_length": 30 } });
    let base = pat.post(POLICIES, &made).await.expect(201).string("id");
    written(&pat, "Not for all", json!({ "session_max_secs": 300 })).await;
    let new = json!({ "name": "Zenith Ltd", "admin_email": "zoe@zenith.test" });
    let made = pat.post("/api/partners/tenants", &new).await.expect(201).json();
    let admin = made["admin"]["id"].as_str().unwrap();
    let mail = house.data().join("mail").join(format!("invitation-{admin}.eml"));
    let mail = fs::read_to_string(mail).unwrap();
    let link = mail.lines().find(|line| line.starts_with("http")).unwrap();
    let visitor = house.visitor();
    let page = visitor.visit(link).await;
    let form = procura_tests::form(&page.expect(200).text, "invitation-form");
    let form = form.with("password", "four unrelated words").press("partner_access", "keep");
    visitor.submit(&form).await.expect(200);

    let zoe = house.visitor().log_in("zoe@zenith.test", "four unrelated words").await;
    let holds = zoe.get(HOLDS).await.expect(200).json();
    let all = holds["applied"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{holds}");
    assert_eq!((&all[0]["policy_id"], &all[0]["origin"]), (&json!(base), &json!("onboarding")));
    assert_eq!(holds["rules_of_admins"], json!({}));
    let log = zoe.get("/api/audit-logs?action=policy.apply").await.expect(200).json();
    assert_eq!(log[0]["resource_id"], base);
    // What was given for support does not let the partner change it.
    pat.delete(&at("zenith-ltd", &base)).await.problem(404, "not_found");
    zoe.delete(&at("zenith-ltd", &base)).await.expect(204);
}

#[tokio::test]
async fn whoever_is_invited_sets_a_password_as_long_as_the_policies_ask_for() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let policy = written(&tom, "Long", json!({ "password_min_length": 24 })).await;
    tom.put_bare(&at("northwind", &policy)).await.expect(200);
    assert!(is_in(&house, &tom).await, "passwords that are set already go on");
    let (token, user) = ("t".repeat(43), house.user(SAM));
    let hash = procura_token::crypto::hex(&procura_token::crypto::sha256(&[token.as_bytes()]));
    ask(&house, format!("UPDATE users SET status = 'invited' WHERE id = '{user}'")).await;
    let invite = format!(
        "INSERT INTO invitations (token_hash, user_id, expires_at) \
         VALUES ('{hash}', '{user}', 9000000000000000)"
    );
    ask(&house, invite).await;
    let visitor = house.visitor();
    let set = async |password: &str| {
        let page = visitor.visit(&format!("/invitation?token={token}")).await;
        let form = procura_tests::form(&page.expect(200).text, "invitation-form");
        visitor.submit(&form.with("password", password)).await
    };
    let short = set("twenty-three characters").await;
    assert!(short.expect(400).text.contains("a longer password"), "{}", short.text);
    set("twenty-four characters !").await.expect(200);
    house.visitor().log_in(SAM, "twenty-four characters !").await;
}

#[tokio::test]
async fn the_operator_at_the_machine_lets_a_tenant_in_that_locked_itself_out() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let policy = written(&tom, "Local only", json!({ "identity_providers": ["local"] })).await;
    tom.put_bare(&at("northwind", &policy)).await.expect(200);
    // As after a change of the world outside: nobody can meet it any more.
    let locked = "UPDATE applied_policies SET rules = '{\"identity_providers\":[\"gone/gone\"]}'";
    ask(&house, locked.to_owned()).await;
    may_log_in(&house, TOM).await.expect(401);
    let answer = tom.visitor.visit(tom.visitor.start().0.as_str()).await;
    assert!(answer.location().starts_with("/login"), "nor by the login of before");

    let listed = house.command(&["policy", "list", "--tenant", "northwind"]);
    assert!(listed.stdout.contains(&policy) && listed.stdout.contains("Local only"), "{listed:?}");
    let shown = house.command(&["policy", "show", &policy, "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["applied_to"], 1);
    let remove = ["policy", "remove", &policy, "--tenant", "northwind"];
    assert!(house.command(&remove).status.success());
    let tom = house.log_in(TOM).await;
    let log = tom.get("/api/audit-logs?action=policy.remove").await.expect(200).json();
    assert_eq!(log[0]["details"]["by"], "command_line");
    let again = house.command(&remove);
    assert!(!again.status.success() && again.stderr.contains("no such thing"), "{again:?}");
}

#[tokio::test]
async fn no_partner_takes_the_room_of_the_customer() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let rules = json!({ "password_min_length": 13 });
    let mut all = Vec::new();
    for n in 0..11 {
        let new = json!({ "name": format!("P{n}"), "rules": rules, "for_new_customers": n < 10 });
        all.push(pat.post(POLICIES, &new).await.expect(201).string("id"));
    }
    let (last, others) = all.split_last().unwrap();
    for policy in others {
        pat.put_bare(&at("acme-corp", policy)).await.expect(200);
    }
    let full = pat.put_bare(&at("acme-corp", last)).await;
    assert_eq!(full.problem(409, "wrong_state").as_deref(), Some("too_many_policies"));
    let marked = json!({ "name": "P10", "rules": rules, "for_new_customers": true });
    let path = format!("{POLICIES}/{last}");
    let refused = pat.put(&path, &marked).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("too_many_for_new_customers"));
    let first = format!("{POLICIES}/{}", others[0]);
    let again = json!({ "name": "First", "rules": rules, "for_new_customers": true });
    pat.put(&first, &again).await.expect(200);
    pat.put_bare(&at("acme-corp", &others[0])).await.expect(200);

    // The customer has its own room, and what it keeps is there.
    let own = written(&ada, "Own", rules.clone()).await;
    ada.put_bare(&at("acme-corp", &own)).await.expect(200);
    ada.put_if(&at("acme-corp", &others[1]), &Value::Null, "\"1\"").await.expect(200);
    pat.put_bare(&at("acme-corp", last)).await.expect(200);
    let holds = ada.get(HOLDS).await.expect(200).json();
    assert_eq!(holds["applied"].as_array().map(Vec::len), Some(12));
}

#[tokio::test]
async fn whoever_is_an_admin_no_more_is_bound_from_then_on() {
    const MAX: &str = "max@acme.test";
    let house = House::start();
    add_with(&house, "tenant-admin", &[(MEL, "acme-corp"), (MAX, "acme-corp")]);
    let (pat, mel, max) =
        (house.log_in(PAT).await, house.log_in(MEL).await, house.log_in(MAX).await);
    let strict = written(&pat, "Strict", json!({ "min_acr": MFA })).await;
    pat.put_bare(&at("acme-corp", &strict)).await.expect(200);
    let ended = async |person: &Person| {
        let sql = format!(
            "SELECT CASE WHEN ended_at IS NULL THEN 'no' ELSE 'yes' END FROM sessions WHERE id = '{}'",
            sid(person)
        );
        ask(&house, sql).await.concat()
    };
    assert_eq!((ended(&mel).await, ended(&max).await), ("no".to_owned(), "no".to_owned()));
    add_people(&house, &[(MEL, "acme-corp")]);
    assert_eq!((ended(&mel).await, ended(&max).await), ("yes".to_owned(), "no".to_owned()));
    assert!(!is_in(&house, &mel).await && is_in(&house, &max).await);
}

#[tokio::test]
async fn a_right_password_that_a_policy_refuses_waits_like_a_wrong_one() {
    let house = House::start();
    add_people(&house, &[(MEL, "acme-corp")]);
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let strict = written(&pat, "Strict", json!({ "min_acr": MFA })).await;
    pat.put_bare(&at("acme-corp", &strict)).await.expect(200);
    for password in ["wrong", house.demo().password.as_str()].repeat(5) {
        house.visitor().try_log_in(MEL, password).await.0.expect(401);
    }
    let refused = may_log_in(&house, MEL).await;
    let sql = format!("SELECT reason FROM audit WHERE request_id = '{}'", refused.request_id());
    assert_eq!(ask(&house, sql).await, ["too_many_failures"]);
    house.visitor().try_log_in(ADA, "wrong").await.0.expect(401);
    assert!(is_in(&house, &house.log_in(ADA).await).await && is_in(&house, &ada).await);
}
