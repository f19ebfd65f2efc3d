//! Breaking the glass: with a code on paper the customer shuts its partners out when nobody can log in.

use futures_util::future::join_all;
use procura_tests::{Answer, House, HouseOptions, Isp, Person, Redis};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, BILLING, PAT, READ_BILLING, ROOT, SAM, TOM, applied_everywhere, dead, not_available, works,
};

const CODES: &str = "/api/tenants/break-glass-codes";
const GLASS: &str = "/break-glass";
const SWITCH: &str = "/api/tenants/partner-access";
const LOG: &str = "/api/audit-logs?limit=1000";

async fn codes(ada: &Person) -> Vec<String> {
    let made = ada.step(CODES).await.expect(201).json();
    let made = made["codes"].as_array().expect("codes").iter();
    made.map(|code| code.as_str().expect("a code").to_owned()).collect()
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Nobody logs in for this.
async fn blow(house: &House, said: &Value) -> Answer {
    let request = http().post(format!("{}{GLASS}", house.url())).json(said);
    Answer::of(request.send().await.expect("the server answers")).await
}

async fn states(ada: &Person) -> Vec<Value> {
    let listed = ada.get(CODES).await.expect(200).json();
    listed.as_array().expect("a list").iter().map(|one| one["state"].clone()).collect()
}

/// The entries about the glass, the newest first.
async fn entries(person: &Person, action: &str) -> Vec<Value> {
    let listed = person.get(&format!("{LOG}&action={action}")).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_code_shuts_all_partners_out_once_and_the_customers_admin_alone_lets_them_in_again() {
    let mut redis = Redis::start();
    let house = House::start_with(HouseOptions::on(&redis));
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let codes = codes(&ada).await;
    assert_eq!(codes.len(), 8);
    assert_eq!(states(&ada).await, vec![json!("unused"); 8]);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let elsewhere = pat.switch("fabrikam", READ_BILLING).await;

    // It needs no login, no client and no Redis.
    redis.kill();
    let said = json!({ "tenant": "acme-corp", "code": codes[2].to_lowercase() });
    let done = blow(&house, &said).await;
    applied_everywhere(&done);
    assert_eq!(done.json()["revoked"]["delegations_ended"], 1);
    assert_eq!(done.string("tenant_id"), house.tenant("acme-corp"));
    assert!(done.json()["partner_id"].is_null());
    dead(&isp, &token).await;
    assert!(!house.is_alive(&token).await);
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    works(&isp.get(&elsewhere, BILLING).await);
    assert_eq!(ada.get(SWITCH).await.string("mode"), "off");
    assert_eq!(states(&ada).await[2], "used");
    let entry = ada.entry_of(done.request_id()).await;
    assert_eq!((&entry["action"], &entry["result"]), (&json!("break_glass.use"), &json!("ok")));
    assert_eq!(
        (&entry["resource_id"], &entry["details"]["delegations_ended"]),
        (&json!("3"), &json!(1))
    );
    let log = ada.get(LOG).await.text;
    assert!(codes.iter().all(|code| !log.contains(code) && !house.stderr().contains(code)));

    // Used up; and only the customer's admin turns it on.
    blow(&house, &said).await.problem(403, "code_refused");
    let root = house.log_in(ROOT).await;
    for other in [&pat, &root] {
        other.put(SWITCH, &json!({ "mode": "on" })).await.problem(403, "forbidden");
    }
    ada.put(SWITCH, &json!({ "mode": "on" })).await.expect(200);
    dead(&isp, &token).await;
    let fresh = pat.switch("acme-corp", READ_BILLING).await;
    works(&isp.get(&fresh, BILLING).await);
    blow(&house, &said).await.problem(403, "code_refused");
    assert!(house.is_alive(&fresh).await, "an old code shuts out nobody");
}

#[tokio::test]
async fn a_code_shuts_one_partner_out_on_the_customers_side() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let codes = codes(&ada).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    // A partner that is none, or nothing, uses up no code.
    for partner in ["nobody", "globex", house.tenant("globex"), "acme-corp", ""] {
        let said = json!({ "tenant": "acme-corp", "code": codes[0], "partner": partner });
        blow(&house, &said).await.problem(404, "not_found");
    }
    assert_eq!(states(&ada).await[0], "unused");
    assert!(house.is_alive(&token).await);
    assert_eq!(entries(&ada, "break_glass.use").await[0]["reason"], "partner_unknown");

    // The partner's own suspension is no way back for the partner.
    let edge = house.relationship("northwind>acme-corp");
    let acme = house.tenant("acme-corp");
    let said = json!({ "tenant": acme, "code": codes[0], "partner": "northwind" });
    let done = blow(&house, &said).await;
    applied_everywhere(&done);
    assert_eq!(done.string("partner_id"), house.tenant("northwind"));
    assert_eq!(done.json()["relationships_suspended"], 1);
    assert_eq!(done.json()["revoked"]["delegations_ended"], 1);
    dead(&isp, &token).await;
    not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    assert_eq!(ada.get(SWITCH).await.string("mode"), "on", "others are not shut out");
    let seen = ada.get(&edge).await;
    assert_eq!(
        (seen.string("state"), seen.string("suspended_by")),
        ("suspended".into(), "customer".into())
    );
    let history = ada.get(&format!("{edge}/history")).await.expect(200).json();
    let last = history.as_array().expect("versions").last().expect("one").clone();
    assert_eq!(last["action"], "relationship.suspend");
    assert_eq!((&last["side"], &last["user_id"]), (&json!("customer"), &Value::Null));
    let log = entries(&ada, "relationship.suspend").await;
    assert_eq!(log[0]["request_id"], done.request_id());
    let root = house.log_in(ROOT).await;
    for other in [&pat, &root] {
        other.step(&format!("{edge}/resume")).await.problem(403, "forbidden");
        not_available(&pat.exchange("acme-corp", READ_BILLING).await);
    }
    ada.step(&format!("{edge}/resume")).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
    dead(&isp, &token).await;
}

#[tokio::test]
async fn nobody_elses_suspension_is_left_as_a_way_back() {
    let house = House::start();
    let (pat, ada, root) =
        (house.log_in(PAT).await, house.log_in(ADA).await, house.log_in(ROOT).await);
    let codes = codes(&ada).await;
    let edge = house.relationship("northwind>acme-corp");
    for (n, by) in [&pat, &root].into_iter().enumerate() {
        by.step(&format!("{edge}/suspend")).await.expect(200);
        let said = json!({ "tenant": "acme-corp", "code": codes[n], "partner": "northwind" });
        let done = blow(&house, &said).await;
        assert_eq!(done.expect(200).json()["relationships_suspended"], 1);
        by.step(&format!("{edge}/resume")).await;
        not_available(&pat.exchange("acme-corp", READ_BILLING).await);
        ada.step(&format!("{edge}/resume")).await;
        ada.patch(&edge, &json!({ "access": "on" })).await.expect(200);
        pat.switch("acme-corp", READ_BILLING).await;
    }
    // What the customer has stopped already stays as it is, and the code is used up.
    ada.step(&format!("{edge}/suspend")).await.expect(200);
    let before = ada.get(&edge).await.json();
    let said = json!({ "tenant": "acme-corp", "code": codes[2], "partner": "northwind" });
    assert_eq!(blow(&house, &said).await.expect(200).json()["relationships_suspended"], 0);
    assert_eq!(ada.get(&edge).await.json(), before);
    assert_eq!(
        states(&ada).await[..4],
        [json!("used"), json!("used"), json!("used"), json!("unused")]
    );
}

#[tokio::test]
async fn whatever_is_wrong_is_answered_alike_and_changes_nothing() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let old = codes(&ada).await;
    let codes = codes(&ada).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let wrong = "1-00000-00000-00000-00000";
    let mut texts = Vec::new();
    for (tenant, code) in [
        ("acme-corp", wrong),
        ("acme-corp", old[0].as_str()),
        ("acme-corp", "nothing"),
        ("fabrikam", codes[0].as_str()),
        ("no-such-tenant", codes[0].as_str()),
        ("", codes[0].as_str()),
        ("acme-corp", codes[0].trim_start_matches("1-")),
    ] {
        let answer = blow(&house, &json!({ "tenant": tenant, "code": code })).await;
        answer.problem(403, "code_refused");
        texts.push(answer.text.replace(answer.request_id(), ""));
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    for said in [
        json!({}),
        json!([]),
        json!({ "tenant": "acme-corp" }),
        json!({ "tenant": "acme-corp", "code": 1 }),
        json!({ "tenant": "acme-corp", "code": codes[0], "x": 1 }),
        json!({ "tenant": "acme-corp\0", "code": codes[0] }),
    ] {
        blow(&house, &said).await.problem(400, "invalid_request");
    }
    let at = format!("{}{GLASS}", house.url());
    let send = async |request: reqwest::RequestBuilder| {
        Answer::of(request.send().await.expect("the server answers")).await
    };
    send(http().post(&at).body("tenant=acme-corp")).await.problem(415, "unsupported_media_type");
    let twice = [("tenant", "acme-corp"), ("code", &codes[0]), ("code", &codes[0])];
    send(http().post(&at).form(&twice)).await.problem(400, "invalid_request");
    let large = json!({ "tenant": "acme-corp", "code": "1".repeat(70_000) });
    blow(&house, &large).await.problem(413, "too_large");
    send(http().get(&at)).await.problem(405, "method_not_allowed");
    assert!(house.is_alive(&token).await);
    assert_eq!(states(&ada).await, vec![json!("unused"); 8]);
    let tried = entries(&ada, "break_glass.use").await;
    assert_eq!(tried.len(), 4, "the customer sees what was tried on it");
    assert!(tried.iter().all(|entry| entry["reason"] == "break_glass_code_wrong"));
    // A form is as good as JSON; a field left empty is none.
    let form = [("tenant", "acme-corp"), ("code", codes[0].as_str()), ("partner", "")];
    send(http().post(&at).form(&form)).await.expect(200);
    assert!(!house.is_alive(&token).await);
}

#[tokio::test]
async fn of_64_who_use_one_code_at_once_exactly_one_wins() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let codes = codes(&ada).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let said = json!({ "tenant": "acme-corp", "code": codes[7] });
    let answers = join_all((0..64).map(|_| blow(&house, &said))).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    let is_no = |answer: &&Answer| !matches!(answer.status, 200 | 403 | 429 | 503);
    assert!(answers.iter().find(is_no).is_none(), "{:?}", answers.iter().find(is_no));
    let ok = format!("{LOG}&action=break_glass.use&result=ok");
    assert_eq!(ada.get(&ok).await.json().as_array().expect("a list").len(), 1);
    assert!(!house.is_alive(&token).await);
    assert_eq!(states(&ada).await.iter().filter(|state| **state == "used").count(), 1);
}

#[tokio::test]
async fn wrong_codes_are_failures_of_strangers_and_a_good_one_is_never_held_up_by_them() {
    let limit = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "5".to_owned());
    let options = HouseOptions { environment: vec![limit], ..HouseOptions::default() };
    let house = House::start_with(options);
    let ada = house.log_in(ADA).await;
    let codes = codes(&ada).await;
    for tenant in ["acme-corp", "nobody", "acme-corp", "fabrikam", "acme-corp"] {
        let said = json!({ "tenant": tenant, "code": "1-1" });
        blow(&house, &said).await.problem(403, "code_refused");
    }
    for tenant in ["acme-corp", "nobody"] {
        let said = json!({ "tenant": tenant, "code": "1-1" });
        let late = blow(&house, &said).await;
        late.problem(429, "too_many_failures");
        assert!(late.header("retry-after").is_some());
    }
    assert_eq!(entries(&ada, "break_glass.use").await.len(), 3, "none beyond the limit");
    blow(&house, &json!({ "tenant": "acme-corp", "code": codes[0] })).await.expect(200);
}

#[tokio::test]
async fn codes_are_the_customers_admins_to_make() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    for email in [PAT, SAM, ROOT] {
        let other = house.log_in(email).await;
        other.step(CODES).await.problem(403, "forbidden");
        other.get(CODES).await.problem(403, "forbidden");
    }
    let delegated = pat.switch("acme-corp", "").await;
    for shown in [delegated.as_str(), "none"] {
        for method in [Method::GET, Method::POST] {
            let answer = house.api(shown, method, CODES, None).await;
            answer.problem(401, "unauthenticated");
        }
    }
    assert!(states(&ada).await.is_empty());
    let made = ada.step(CODES).await;
    let code = made.expect(201).json()["codes"][0].as_str().expect("a code").to_owned();
    let listed = ada.get(CODES).await;
    assert!(!listed.text.contains(&code) && !listed.text.contains("argon2"), "shown once");
    assert_eq!(ada.entry_of(made.request_id()).await["action"], "break_glass.codes");
    // Another tenant's admin has a set of its own, which is worth nothing here.
    let tom = house.log_in(TOM).await;
    assert!(states(&tom).await.is_empty());
    let theirs = codes(&tom).await;
    let said = json!({ "tenant": "acme-corp", "code": theirs[0] });
    blow(&house, &said).await.problem(403, "code_refused");
    blow(&house, &json!({ "tenant": "northwind", "code": theirs[0] })).await.expect(200);
    assert!(house.is_alive(&delegated).await, "who is a partner here is none there");
    blow(&house, &json!({ "tenant": "acme-corp", "code": code })).await.expect(200);
    assert!(!house.is_alive(&delegated).await);
}

#[tokio::test]
async fn the_operator_does_the_same_at_the_machine_also_when_no_server_runs() {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = House::start_with(options);
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let made = house.command(&["break-glass", "codes", "--tenant", "acme-corp"]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(made.stdout.lines().count(), 8);
    assert_eq!(states(&ada).await.len(), 8);
    // Beside the running server, one partner; a partner that is none is refused.
    let unknown = ["break-glass", "use", "--tenant", "acme-corp", "--partner", "nobody"];
    assert!(!house.command(&unknown).status.success());
    assert!(house.is_alive(&token).await);
    let one = ["break-glass", "use", "--tenant", "acme-corp", "--partner", "northwind"];
    let done = house.command(&one);
    assert!(done.status.success() && done.stdout.contains("1 delegations"), "{done:?}");
    assert!(!house.is_alive(&token).await);
    let edge = house.relationship("northwind>acme-corp");
    ada.step(&format!("{edge}/resume")).await.expect(200);
    let token = pat.switch("acme-corp", READ_BILLING).await;

    house.kill();
    let done = house.command(&["break-glass", "use", "--tenant", "acme-corp", "--json"]);
    assert!(done.status.success(), "{done:?}");
    let listed = house.command(&["break-glass", "list", "--tenant", "acme-corp"]);
    assert_eq!(listed.stdout.matches("unused").count(), 8, "{listed:?}");
    house.start_again();
    assert!(!house.is_alive(&token).await);
    assert_eq!(ada.get(SWITCH).await.string("mode"), "off");
    let entry = &entries(&ada, "break_glass.use").await[0];
    assert_eq!(entry["details"]["by"], "command_line");
    let said =
        json!({ "tenant": "acme-corp", "code": made.stdout.lines().next().expect("a code") });
    blow(&house, &said).await.expect(200);
}
