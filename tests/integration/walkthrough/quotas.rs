//! Quotas: the operator sets them, a partner's go over to whom it sets up, whichever is used up refuses, and
//! each side sees its own.

use procura_tests::{Answer, House, HouseOptions, Person};
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, ROOT, SAM, TOM, not_available};

const QUOTAS: &str = "/api/tenants/quotas";
const USAGE: &str = "/api/tenants/usage";
const GIL: &str = "gil@globex.test";

fn house_with(settings: &[(&'static str, &str)]) -> House {
    let environment = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    House::start_with(HouseOptions { environment, ..HouseOptions::default() })
}

async fn set(root: &Person, tenant: &str, quotas: Value) -> Answer {
    root.put(&format!("/api/admin/tenants/{tenant}/quotas"), &quotas).await
}

/// A line of what a person is shown: limit, used, source.
async fn line(person: &Person, quota: &str) -> (Option<u64>, u64, String) {
    let shown = person.get(QUOTAS).await.expect(200).json();
    let line = &shown["quotas"][quota];
    let source = line["source"].as_str().unwrap().to_owned();
    (line["limit"].as_u64(), line["used"].as_u64().unwrap(), source)
}

/// Refused for today, with the time until midnight in UTC.
#[track_caller]
fn used_up(answer: &Answer) {
    let text = answer.oauth_error(429, "temporarily_unavailable");
    assert_eq!(text, "A quota of today is used up. Try again tomorrow.");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
}

/// Refused for as long as nothing goes or the operator gives more.
#[track_caller]
fn full(answer: &Answer, quota: &str) {
    assert_eq!(answer.problem(409, "quota_used_up").as_deref(), Some(quota));
}

#[tokio::test]
async fn a_customers_quota_refuses_there_alone_and_tells_each_side_what_is_its_own() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let root = house.log_in(ROOT).await;
    set(&root, "acme-corp", json!({ "delegated_tokens_received_per_day": 2 })).await.expect(200);
    for _ in 0..2 {
        pat.switch("acme-corp", READ_BILLING).await;
    }
    let refused = pat.exchange("acme-corp", READ_BILLING).await;
    used_up(&refused);
    pat.switch("fabrikam", READ_BILLING).await;
    // Where nobody would come in anyway, nobody learns of a quota: not even of one that is nothing.
    set(&root, "contoso", json!({ "delegated_tokens_received_per_day": 0 })).await.expect(200);
    not_available(&pat.exchange("contoso", READ_BILLING).await);
    for person in [&root, &ada, &pat] {
        assert_eq!(person.reason_of(refused.request_id()).await, "customer_quota_used_up");
    }

    let shown = ada.get(QUOTAS).await.expect(200).json();
    let (limit, used, source) = line(&ada, "delegated_tokens_received_per_day").await;
    assert_eq!((limit, used, source.as_str()), (Some(2), 2, "set"));
    assert_eq!(line(&ada, "clients").await.2, "default");
    let share = json!([{
        "partner_id": house.tenant("northwind"),
        "partner_name": "Northwind MSP",
        "delegated_tokens": 2,
    }]);
    assert_eq!(shown["received_from"], share);
    assert!(shown["resets_at"].as_str().unwrap().ends_with("T00:00:00Z"));
    // The partner sees what its own people were given, and nothing of the customer's numbers.
    assert_eq!(line(&pat, "delegated_tokens_per_day").await.1, 3);
    assert_eq!(line(&pat, "customers").await.1, 3);
    assert_eq!(pat.get(QUOTAS).await.json()["received_from"], Value::Null);
    let of_acme = format!("{QUOTAS}?tenantId=acme-corp");
    pat.get(&of_acme).await.problem(404, "not_found");
    assert_eq!(root.get(&of_acme).await.expect(200).json(), shown);
    house.log_in(SAM).await.get(QUOTAS).await.problem(403, "forbidden");

    let explain = async |person: &Person| {
        let portal = &house.demo().clients["portal"].client_id;
        let question = json!({
            "user_id": house.user(PAT), "tenant": "acme-corp", "client_id": portal,
            "scope": READ_BILLING,
        });
        let told = person.post("/api/explain", &question).await.expect(200).json();
        let steps = told["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["result"] == "failed").unwrap()
    };
    let told = json!({
        "step": "quota", "result": "failed", "reason": "customer_quota_used_up",
        "can_be_fixed_by": "operator",
    });
    assert_eq!(explain(&ada).await, told);
    assert_eq!(explain(&pat).await, told, "used up, and not by whom");
}

#[tokio::test]
async fn a_partners_quota_refuses_in_all_tenants_and_its_customers_other_partners_go_on() {
    let house = House::start();
    let (pat, sam, tom) =
        (house.log_in(PAT).await, house.log_in(SAM).await, house.log_in(TOM).await);
    let (root, ada) = (house.log_in(ROOT).await, house.log_in(ADA).await);
    let umbrella = "/auth/admin/tenants/acme-corp/trust-tenant/umbrella";
    ada.put_bare(&umbrella.replace("umbrella", house.tenant("umbrella"))).await.expect(201);
    let uma = house.log_in("uma@umbrella.test").await;
    set(&root, "northwind", json!({ "delegated_tokens_per_day": 3 })).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
    sam.switch("fabrikam", READ_BILLING).await;
    tom.switch("initech", READ_BILLING).await;
    used_up(&pat.exchange("acme-corp", READ_BILLING).await);
    used_up(&sam.exchange("fabrikam", READ_BILLING).await);
    used_up(&tom.exchange("initech", READ_BILLING).await);
    uma.switch("acme-corp", READ_BILLING).await;
    assert_eq!(line(&ada, "delegated_tokens_received_per_day").await.1, 2);
    // More from the operator counts at once.
    set(&root, "northwind", json!({ "delegated_tokens_per_day": 4 })).await.expect(200);
    pat.switch("acme-corp", READ_BILLING).await;
    used_up(&pat.exchange("acme-corp", READ_BILLING).await);
}

#[tokio::test]
async fn what_was_used_is_exported_by_day_for_each_side() {
    let house = House::start();
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    for tenant in ["acme-corp", "acme-corp", "fabrikam"] {
        pat.switch(tenant, READ_BILLING).await;
    }
    let row = |slug: &str, name: &str, tokens: u64| {
        json!({
            "partner_id": house.tenant("northwind"), "partner_name": "Northwind MSP",
            "customer_id": house.tenant(slug), "customer_name": name, "delegated_tokens": tokens,
        })
    };
    let without_day = |mut rows: Value| {
        for row in rows.as_array_mut().unwrap() {
            let day = row.as_object_mut().unwrap().remove("day").unwrap();
            assert_eq!(day.as_str().unwrap().len(), 10, "{day}");
        }
        rows
    };
    let received = ada.get(USAGE).await.expect(200).json();
    let day = received[0]["day"].as_str().unwrap().to_owned();
    assert_eq!(without_day(received), json!([row("acme-corp", "Acme Corp", 2)]));
    let given = pat.get(&format!("{USAGE}?side=partner")).await.expect(200).json();
    let mut expected = [row("acme-corp", "Acme Corp", 2), row("fabrikam", "Fabrikam", 1)].to_vec();
    expected.sort_by_key(|row| row["customer_id"].as_str().unwrap().to_owned());
    assert_eq!(without_day(given), json!(expected));
    // In pages, each with the address of the next.
    let first = pat.get(&format!("{USAGE}?side=partner&limit=1")).await;
    let link = first.expect(200).header("link").unwrap().to_owned();
    let next = link.split(['<', '>']).nth(1).unwrap();
    let second = pat.get(&format!("{USAGE}{next}")).await.expect(200).json();
    assert_ne!(first.json()[0]["customer_id"], second[0]["customer_id"]);

    let table = ada.get_as(&format!("{USAGE}?from={day}&to={day}"), "text/csv").await;
    let lines: Vec<_> = table.expect(200).text.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("day,partner_id,") && lines[1].ends_with(",Acme Corp,2"));
    assert_eq!(ada.get(&format!("{USAGE}?to=2020-01-01")).await.expect(200).json(), json!([]));
    for (bad, about) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("limit=0", "limit"),
        ("side=operator", "side"),
    ] {
        let refused = ada.get(&format!("{USAGE}?{bad}")).await.problem(400, "invalid_request");
        assert_eq!(refused.as_deref(), Some(about));
    }
    // Nobody else's figures.
    pat.get(USAGE).await.problem(403, "forbidden");
    ada.get(&format!("{USAGE}?side=partner&tenantId={}", house.tenant("northwind")))
        .await
        .problem(404, "not_found");
    let of_acme = format!("{USAGE}?tenantId={}", house.tenant("acme-corp"));
    pat.get(&of_acme).await.problem(404, "not_found");
    house.log_in(ROOT).await.get(&of_acme).await.expect(200);
}

#[tokio::test]
async fn only_the_operator_sets_quotas_and_only_what_was_seen() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    for person in [&pat, &ada] {
        set(person, "acme-corp", json!({ "clients": 5 })).await.problem(403, "forbidden");
        set(person, "nowhere", json!({ "clients": 5 })).await.problem(403, "forbidden");
    }
    set(&root, "nowhere", json!({ "clients": 5 })).await.problem(404, "not_found");
    for (bad, about) in [
        (json!({ "users": 0 }), "users"),
        (json!({ "clients": 1_000_000_000_001_u64 }), "clients"),
        (json!({ "clients": -1 }), "body"),
        (json!({ "clients": "5" }), "body"),
        (json!({ "client": 5 }), "body"),
    ] {
        let refused = set(&root, "acme-corp", bad).await.problem(400, "invalid_request");
        assert_eq!(refused.as_deref(), Some(about));
    }
    assert_eq!(ada.get(QUOTAS).await.expect(200).header("etag"), Some("\"0\""));
    let put = set(&root, "acme-corp", json!({ "clients": 5, "users": 9 })).await;
    assert_eq!(put.expect(200).header("etag"), Some("\"1\""));
    let path = "/api/admin/tenants/acme-corp/quotas";
    root.put_if(path, &json!({ "clients": 6 }), "\"0\"").await.problem(412, "stale");
    root.put_if(path, &json!({ "clients": 6 }), "\"1\"").await.expect(200);
    assert_eq!(line(&ada, "users").await.2, "default", "a put says all of it");

    let log = ada.get("/api/audit-logs?action=quota.set").await.expect(200).json();
    let details: Value = serde_json::from_str(log[0]["details"].as_str().unwrap_or_default())
        .unwrap_or_else(|_| log[0]["details"].clone());
    let changed = json!({
        "clients": { "from": 5, "to": 6 },
        "users": { "from": 9, "to": null },
    });
    assert_eq!(details["changed"], changed);

    let shown = house.command(&["quota", "show", "--tenant", "acme-corp", "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown, ada.get(QUOTAS).await.expect(200).json());
    let done = house.command(&["quota", "set", "--tenant", "acme-corp", "--users", "3"]);
    assert!(done.status.success(), "{done:?}");
    let done = house.command(&["quota", "set", "--tenant", "acme-corp", "--clients", "default"]);
    assert!(done.stdout.contains(" 0 of 10000 "), "{done:?}");
    assert_eq!(line(&ada, "users").await, (Some(3), 1, "set".to_owned()));
    let refused = house.command(&["quota", "set", "--tenant", "acme-corp", "--users", "0"]);
    assert!(!refused.status.success());
}

#[tokio::test]
async fn a_full_tenant_gets_no_more_clients_people_or_customers() {
    let house = house_with(&[("PROCURA__QUOTAS__CUSTOMERS", "4")]);
    let root = house.log_in(ROOT).await;
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let app = json!({
        "name": "An App", "redirect_uris": ["https://app.example/callback"],
        "grant_types": ["authorization_code"],
    });
    set(&root, "acme-corp", json!({ "clients": 1, "users": 1 })).await.expect(200);
    ada.post("/api/clients", &app).await.expect(201);
    full(&ada.post("/api/clients", &app).await, "clients");
    assert_eq!(line(&ada, "clients").await.1, 1);

    let file = house.data().join("more.json");
    let people = json!({ "users": [{
        "email": "bea@acme.test", "tenant": "acme-corp", "roles": ["member"],
        "password": "a-password-of-some-length",
    }]});
    std::fs::write(&file, people.to_string()).unwrap();
    let import = ["import", file.to_str().unwrap()];
    let refused = house.command(&import);
    assert!(refused.stderr.contains("quota used up: users"), "{refused:?}");
    assert_eq!(line(&ada, "users").await.1, 1, "all or nothing");
    set(&root, "acme-corp", json!({ "users": 2 })).await.expect(200);
    assert!(house.command(&import).status.success());
    assert!(house.command(&import).status.success(), "what adds nothing needs no room");

    let client = |id: &str| json!({ "id": id, "tenant": "acme-corp", "name": id, "secret": "a-secret-of-more-than-20-chars" });
    let clients = json!({ "clients": [client("cli_one"), client("cli_two")] });
    std::fs::write(&file, clients.to_string()).unwrap();
    set(&root, "acme-corp", json!({ "clients": 2 })).await.expect(200);
    let refused = house.command(&import);
    assert!(refused.stderr.contains("quota used up: clients"), "{refused:?}");
    assert_eq!(line(&ada, "clients").await.1, 1, "all or nothing");
    set(&root, "acme-corp", json!({ "clients": 3 })).await.expect(200);
    assert!(house.command(&import).status.success());

    // Three customers, and globex asked for before: one of the two finds room.
    let new = |name: &str| json!({ "name": name, "admin_email": format!("admin@{name}.test") });
    pat.post("/api/partners/tenants", &new("wingtip")).await.expect(201);
    full(&pat.post("/api/partners/tenants", &new("tailspin")).await, "customers");
    let umbrella = json!({ "partner_code": house.demo().partner_codes["umbrella"] });
    full(&pat.post("/api/v1/partner/relationships", &umbrella).await, "customers");
    let gil = house.log_in(GIL).await;
    let globex = house.relationship("northwind>globex");
    full(&gil.step(&format!("{globex}/approve")).await, "customers");
    assert_eq!(gil.get(&globex).await.string("state"), "requested", "nothing has changed");
    ada.delete(&house.relationship("northwind>acme-corp")).await.expect(200);
    gil.step(&format!("{globex}/approve")).await.expect(200);
}

#[tokio::test]
async fn a_new_customer_begins_with_its_partners_quotas_and_keeps_them() {
    let house = House::start();
    let (root, pat) = (house.log_in(ROOT).await, house.log_in(PAT).await);
    let own = json!({
        "users": 50, "clients": 0, "customers": 9, "delegated_tokens_per_day": 90,
        "delegated_tokens_received_per_day": 0,
    });
    set(&root, "northwind", own).await.expect(200);
    let new = json!({ "name": "Wingtip", "admin_email": "wes@wingtip.test" });
    let made = pat.post("/api/partners/tenants", &new).await.expect(201).string("id");
    let of_new = format!("{QUOTAS}?tenantId={made}");
    let inherited = json!({
        "limit": 50, "used": 1, "source": "inherited",
        "inherited_from": { "id": house.tenant("northwind"), "name": "Northwind MSP" },
    });
    let shown = root.get(&of_new).await.expect(200).json();
    assert_eq!(shown["quotas"]["users"], inherited);
    assert_eq!(shown["quotas"]["clients"]["source"], "inherited");
    // What a partner needs is not its customers', and a closed door neither.
    for own in ["customers", "delegated_tokens_per_day", "delegated_tokens_received_per_day"] {
        assert_eq!(shown["quotas"][own]["source"], "default", "{own}");
    }
    // What the partner has later is its own.
    let own = json!({ "users": 7, "delegated_tokens_received_per_day": 70 });
    set(&root, "northwind", own).await.expect(200);
    let new = json!({ "name": "Tailspin", "admin_email": "tess@tailspin.test" });
    let other = pat.post("/api/partners/tenants", &new).await.expect(201).string("id");
    let shown = root.get(&format!("{QUOTAS}?tenantId={other}")).await.expect(200).json();
    assert_eq!(shown["quotas"]["delegated_tokens_received_per_day"]["limit"], 70);
    assert_eq!(root.get(&of_new).await.json()["quotas"]["users"], inherited);
    // What the operator leaves as it is stays inherited; what it changes does not.
    set(&root, &made, json!({ "users": 50, "clients": 3 })).await.expect(200);
    let shown = root.get(&of_new).await.json();
    assert_eq!(shown["quotas"]["users"], inherited);
    assert_eq!(shown["quotas"]["clients"]["source"], "set");
}
