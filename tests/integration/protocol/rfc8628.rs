//! RFC 8628: devices without a browser.

use procura_domain::{AuthMethod, Profile};
use procura_store::clients::Client;
use procura_tests::{Answer, Form, House, HouseOptions, Postgres, Software, Visitor, claims, form};
use reqwest::Method;
use serde_json::json;

use super::{
    PAT, at, http,
    relying_party::{ask, change, follow},
    send,
};

pub const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const BEGIN: &str = "/oauth2/device_authorization";
const ALL: &str = "openid profile offline_access partner.tenants.list";
const ROOT: &str = "root@procura.test";
const TOM: &str = "tom@northwind.test";
const CUSTOMERS: &str = "/api/v1/partner/customers";

fn may_have_devices(client: &mut Client) {
    client.grant_types.insert(DEVICE.to_owned());
    client.grant_types.insert("refresh_token".to_owned());
    client.scope = ALL.parse().unwrap();
}

/// Of a device's maker, who has a key.
async fn maker(house: &House) -> Software {
    house.software(Profile::Oauth21, may_have_devices).await
}

/// Of a device's maker who has no secret that could be kept.
async fn public_maker(house: &House) -> Software {
    let public = |client: &mut Client| {
        may_have_devices(client);
        client.grant_types.remove("client_credentials");
        client.registration.token_endpoint_auth_method = AuthMethod::None;
        client.registration.jwks = None;
    };
    house.software(Profile::Oauth21, public).await
}

async fn begin(software: &Software, scope: &str) -> Answer {
    let answer = software.post(BEGIN, &[("scope", scope)], &[]).await;
    answer.expect(200);
    answer
}

async fn poll(software: &Software, code: &str) -> Answer {
    software.post("/oauth2/token", &[("grant_type", DEVICE), ("device_code", code)], &[]).await
}

/// Types the code in.
async fn enter(visitor: &Visitor, user_code: &str) -> Answer {
    let page = visitor.visit("/device").await;
    visitor.submit(&form(&page.expect(200).text, "device-form").with("user_code", user_code)).await
}

/// Types the code in and logs in: the page that asks.
async fn asked(house: &House, visitor: &Visitor, user_code: &str) -> Form {
    let mut answer = enter(visitor, user_code).await;
    if answer.location().starts_with("/login") {
        let page = visitor.visit(answer.location()).await;
        let login = form(&page.expect(200).text, "login-form")
            .with("email", PAT)
            .with("password", &house.demo().password);
        answer = visitor.submit(&login).await;
    }
    let page = visitor.visit(answer.location()).await;
    assert!(page.expect(200).text.contains(user_code), "{}", page.text);
    form(&page.text, "consent-form")
}

async fn allow(house: &House, visitor: &Visitor, user_code: &str) {
    let form = asked(house, visitor, user_code).await;
    let page = visitor.submit(&form.press("decision", "allow")).await;
    assert!(page.expect(200).text.contains("is let in"), "{}", page.text);
}

/// A device that Pat has let in, and Pat's browser: the code.
async fn allowed(house: &House, software: &Software, scope: &str) -> (String, Visitor) {
    let started = begin(software, scope).await;
    let visitor = house.visitor();
    allow(house, &visitor, &started.string("user_code")).await;
    (started.string("device_code"), visitor)
}

#[tokio::test]
async fn section_3_2_a_device_gets_a_code_for_us_and_one_for_the_person() {
    let house = House::start();
    let (maker, public) = (maker(&house).await, public_maker(&house).await);
    let bare = public.post_bare(BEGIN, &[("client_id", &public.id)], &[]).await;
    for started in [begin(&maker, "openid").await, bare] {
        assert_eq!(started.expect(200).string("device_code").len(), 43, "256 bits");
        let user_code = started.string("user_code");
        let letters = user_code.chars().filter(|c| "BCDFGHJKLMNPQRSTVWXZ".contains(*c)).count();
        assert_eq!((user_code.len(), letters, user_code.find('-')), (9, 8, Some(4)));
        let page = format!("{}/device", house.issuer());
        assert_eq!(started.string("verification_uri"), page);
        let complete = format!("{page}?user_code={user_code}");
        assert_eq!(started.string("verification_uri_complete"), complete);
        assert_eq!(
            (&started.json()["expires_in"], &started.json()["interval"]),
            (&json!(600), &json!(5))
        );
        assert_eq!(started.header("cache-control"), Some("no-store"));
        // Nobody who reads the database can use either.
        let rows =
            ask(&house, "SELECT code_hash || user_hash || grant_json FROM device_codes".into());
        for row in rows.await {
            let raw = user_code.replace('-', "");
            let secrets = [started.string("device_code"), user_code.clone(), raw];
            assert!(secrets.iter().all(|secret| !row.contains(secret)), "{row}");
        }
    }
}

#[tokio::test]
async fn section_3_1_only_a_client_that_may_can_begin() {
    let house = House::start();
    let without = house.software(Profile::Oauth21, |_| {}).await;
    without.post(BEGIN, &[], &[]).await.oauth_error(400, "unauthorized_client");
    // Even where somebody has written it into the database.
    let fapi = house.software(Profile::Fapi2, may_have_devices).await;
    fapi.post(BEGIN, &[], &[]).await.oauth_error(400, "unauthorized_client");
    let form = [("grant_type", DEVICE), ("device_code", "x")];
    fapi.token(&form).await.oauth_error(400, "unauthorized_client");
    without.token(&form).await.oauth_error(400, "unauthorized_client");
    let maker = maker(&house).await;
    let bare = maker.post_bare(BEGIN, &[("client_id", &maker.id)], &[]).await;
    bare.oauth_error(401, "invalid_client");
    maker.post(BEGIN, &[("scope", "a  b")], &[]).await.oauth_error(400, "invalid_scope");
    let refused = send(http().put(at(&house, BEGIN)).body("x")).await;
    refused.oauth_error(405, "invalid_request");
    begin(&maker, "").await;
    let root = house.log_in(ROOT).await;
    let body = json!({"name": "TV", "grant_types": [DEVICE], "scope": "openid"});
    let tv = root.post("/api/clients", &body).await;
    let path = format!("/api/clients/{}", tv.expect(201).string("id"));
    let fapi = json!({"profile": "fapi2"});
    assert_eq!(
        root.patch(&path, &fapi).await.problem(400, "invalid_request"),
        Some("grant_types".into())
    );
    let tom = house.log_in(TOM).await;
    assert_eq!(
        tom.post("/api/clients", &body).await.problem(403, "forbidden"),
        Some("grant_types".into())
    );
}

#[tokio::test]
async fn section_3_3_a_person_lets_a_device_in_and_it_gets_its_tokens_once() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, ALL).await;
    let code = started.string("device_code");
    poll(&maker, &code).await.oauth_error(400, "authorization_pending");
    let visitor = house.visitor();
    allow(&house, &visitor, &started.string("user_code")).await;
    let tokens = poll(&maker, &code).await;
    let home = tokens.expect(200).string("access_token");
    assert_eq!(tokens.string("scope"), "offline_access openid partner.tenants.list profile");
    assert_eq!(tokens.string("token_type"), "Bearer");
    let said = claims(&home);
    assert_eq!(
        (&said["client_id"], &said["acr"]),
        (&json!(maker.id), &json!("urn:procura:acr:pwd"))
    );
    let identity = claims(&tokens.string("id_token"));
    assert_eq!((&identity["sub"], &identity["aud"]), (&said["sub"], &json!(maker.id)));
    assert_eq!(house.api(&home, Method::GET, CUSTOMERS, None).await.status, 200);
    let refresh = tokens.string("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let again = maker.post("/oauth2/token", &form, &[]).await;
    let renewed = again.expect(200).string("access_token");
    // Who comes twice with a code is a thief, or was robbed.
    poll(&maker, &code).await.oauth_error(400, "invalid_grant");
    for dead in [home, renewed] {
        assert_eq!(house.api(&dead, Method::GET, CUSTOMERS, None).await.status, 401);
    }
    let successor = again.string("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", successor.as_str())];
    maker.post("/oauth2/token", &form, &[]).await.oauth_error(400, "invalid_grant");
    enter(&visitor, &started.string("user_code")).await.expect(400);
}

#[tokio::test]
async fn section_3_3_1_a_link_with_the_code_asks_all_the_same() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let (visitor, user_code) = (house.visitor(), started.string("user_code"));
    allow(&house, &visitor, &user_code).await;
    // Logged in, and agreed to this client before: still nobody but the person can compare the codes.
    let started = begin(&maker, "openid").await;
    let page = visitor.visit(&started.string("verification_uri_complete")).await;
    let answer = visitor.submit(&form(&page.expect(200).text, "device-form")).await;
    assert!(answer.location().starts_with("/consent"), "{}", answer.location());
    poll(&maker, &started.string("device_code")).await.oauth_error(400, "authorization_pending");
    let page = visitor.visit(answer.location()).await;
    for shown in [started.string("user_code").as_str(), "Software", "somebody sent you"] {
        assert!(page.expect(200).text.contains(shown), "{shown} in {}", page.text);
    }
    // What is no code is not repeated to the person.
    let page = visitor.visit("/device?user_code=%22%3E%3Cb%3E").await;
    assert!(!page.expect(200).text.contains("<b>"));
}

#[tokio::test]
async fn section_6_1_the_code_is_read_however_it_is_typed_and_wrong_ones_are_refused() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let user_code = started.string("user_code");
    let wrong = format!("{}B", &user_code[..8].replace('B', "C"));
    let wrong = if wrong == user_code { "BBBB-BBBB".to_owned() } else { wrong };
    for bad in [wrong.as_str(), "BBBB-BBBB", "x", "%00", &"B".repeat(33)] {
        let page = enter(&house.visitor(), bad).await;
        assert!(page.expect(400).text.contains("device-message"), "{bad}");
    }
    let typed = format!(" {} ", user_code.to_lowercase().replace('-', " "));
    assert!(enter(&house.visitor(), &typed).await.location().starts_with("/login"));
}

#[tokio::test]
async fn section_5_1_guesses_are_bounded() {
    let few = vec![("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "5".to_owned())];
    let house = House::start_with(HouseOptions { environment: few, ..HouseOptions::default() });
    for _ in 0..5 {
        enter(&house.visitor(), "BBBB-BBBB").await.expect(400);
    }
    let page = enter(&house.visitor(), "BBBB-BBBB").await;
    assert!(page.expect(429).header("retry-after").is_some());
    // And so is what nobody proves to want.
    let public = public_maker(&house).await;
    let mut last = 0;
    for _ in 0..30 {
        last = public.post_bare(BEGIN, &[("client_id", &public.id)], &[]).await.status;
    }
    assert_eq!(last, 429);
    let maker = maker(&house).await;
    begin(&maker, "openid").await;
}

#[tokio::test]
async fn section_5_4_a_form_of_another_site_or_another_person_answers_nothing() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let (visitor, other) = (house.visitor(), house.visitor());
    let page = visitor.visit("/device").await;
    let typed = form(&page.text, "device-form").with("user_code", &started.string("user_code"));
    other.visit("/device").await.expect(200);
    other.submit(&typed).await.expect(400);
    other.submit(&typed.clone().with("form_token", "x")).await.expect(400);
    let consent = asked(&house, &visitor, &started.string("user_code")).await;
    for (visitor, form) in
        [(&other, consent.clone()), (&visitor, consent.clone().with("form_token", "x"))]
    {
        visitor.submit(&form.press("decision", "allow")).await.expect(400);
    }
    poll(&maker, &started.string("device_code")).await.oauth_error(400, "authorization_pending");
    visitor.submit(&consent.clone().press("decision", "allow")).await.expect(200);
    visitor.submit(&consent.press("decision", "deny")).await.expect(400);
    poll(&maker, &started.string("device_code")).await.expect(200);
}

#[tokio::test]
async fn section_3_5_a_device_that_asks_too_often_waits_longer_each_time() {
    let house = House::start();
    let maker = maker(&house).await;
    let code = begin(&maker, "openid").await.string("device_code");
    poll(&maker, &code).await.oauth_error(400, "authorization_pending");
    for secs in [10, 15] {
        poll(&maker, &code).await.oauth_error(400, "slow_down");
        let is = ask(&house, "SELECT CAST(interval_secs AS TEXT) FROM device_codes".into()).await;
        assert_eq!(is, [secs.to_string()]);
    }
    // Once it has waited.
    change(&house, "UPDATE device_codes SET next_poll_at = 0".into()).await;
    poll(&maker, &code).await.oauth_error(400, "authorization_pending");
    poll(&maker, &code).await.oauth_error(400, "slow_down");
}

#[tokio::test]
async fn section_3_5_whoever_never_waits_is_written_down_so_often_and_no_more() {
    let few = vec![("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "4".to_owned())];
    let house = House::start_with(HouseOptions { environment: few, ..HouseOptions::default() });
    let (public, maker) = (public_maker(&house).await, maker(&house).await);
    let started = public.post_bare(BEGIN, &[("client_id", &public.id)], &[]).await;
    let code = started.expect(200).string("device_code");
    let (id, code) = (public.id.as_str(), code.as_str());
    let form = [("client_id", id), ("grant_type", DEVICE), ("device_code", code)];
    let mut answers = Vec::new();
    for _ in 0..25 {
        answers.push(public.post_bare("/oauth2/token", &form, &[]).await);
    }
    answers[0].oauth_error(400, "authorization_pending");
    answers[1].oauth_error(400, "slow_down");
    assert!(answers[24].expect(429).header("retry-after").is_some());
    // Once it has waited; and whoever proves who it is.
    change(&house, "UPDATE device_codes SET next_poll_at = 0".into()).await;
    let waited = public.post_bare("/oauth2/token", &form, &[]).await;
    waited.oauth_error(400, "authorization_pending");
    let code = begin(&maker, "openid").await.string("device_code");
    poll(&maker, &code).await.oauth_error(400, "authorization_pending");
    for _ in 0..25 {
        poll(&maker, &code).await.oauth_error(400, "slow_down");
    }
}

#[tokio::test]
async fn section_3_5_no_and_too_late_are_said_and_nothing_is_given() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let visitor = house.visitor();
    let consent = asked(&house, &visitor, &started.string("user_code")).await;
    let page = visitor.submit(&consent.press("decision", "deny")).await;
    assert!(page.expect(200).text.contains("not let in"), "{}", page.text);
    for _ in 0..2 {
        poll(&maker, &started.string("device_code")).await.oauth_error(400, "access_denied");
    }
    let started = begin(&maker, "openid").await;
    let consent = asked(&house, &visitor, &started.string("user_code")).await;
    let late = begin(&maker, "openid").await;
    change(&house, "UPDATE device_codes SET expires_at = 1".into()).await;
    poll(&maker, &started.string("device_code")).await.oauth_error(400, "expired_token");
    visitor.submit(&consent.press("decision", "allow")).await.expect(400);
    enter(&visitor, &late.string("user_code")).await.expect(400);
    poll(&maker, "x").await.oauth_error(400, "invalid_grant");
    let none = maker.post("/oauth2/token", &[("grant_type", DEVICE)], &[]).await;
    none.oauth_error(400, "invalid_request");
    // Allowed, but fetched too late.
    let (code, _) = allowed(&house, &maker, "openid").await;
    change(&house, "UPDATE device_codes SET expires_at = 1".into()).await;
    poll(&maker, &code).await.oauth_error(400, "expired_token");
}

#[tokio::test]
async fn a_code_is_its_clients_alone() {
    let house = House::start();
    let (maker, other) = (maker(&house).await, maker(&house).await);
    let (code, _) = allowed(&house, &maker, "openid").await;
    poll(&other, &code).await.oauth_error(400, "invalid_grant");
    maker.redeem(&code, &"a".repeat(43)).await.oauth_error(400, "invalid_grant");
    poll(&maker, &code).await.expect(200);
}

#[tokio::test]
async fn what_a_device_asks_for_with_a_proof_is_bound_to_its_key() {
    let house = House::start();
    let public = public_maker(&house).await;
    let form = [("client_id", public.id.as_str()), ("scope", "openid offline_access")];
    let started = public.post_bare(BEGIN, &form, &[]).await;
    allow(&house, &house.visitor(), &started.expect(200).string("user_code")).await;
    let code = started.string("device_code");
    let ask = async |software: &Software, form: &[(&str, &str)]| {
        let form = [form, &[("client_id", public.id.as_str())]].concat();
        software.post_bare("/oauth2/token", &form, &[&software.proof("/oauth2/token")]).await
    };
    let tokens = ask(&public, &[("grant_type", DEVICE), ("device_code", &code)]).await;
    assert_eq!(tokens.expect(200).string("token_type"), "DPoP");
    let bound = claims(&tokens.string("access_token"));
    assert_eq!(bound["cnf"]["jkt"], public.holder.thumbprint());
    let token = tokens.string("refresh_token");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let other = public.with_another_key();
    ask(&other, &refresh).await.oauth_error(400, "invalid_grant");
    ask(&public, &refresh).await.expect(200);
}

/// Whatever ends what a person gave ends a device that has not fetched it yet.
#[tokio::test]
async fn a_device_that_was_let_in_gets_nothing_once_that_is_over() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    for end in ["logout", "consent", "narrowed", "disabled", "deleted", "person"] {
        let maker = maker(&house).await;
        let (code, visitor) = allowed(&house, &maker, ALL).await;
        let waiting = begin(&maker, ALL).await;
        let path = format!("/api/clients/{}", maker.id);
        let (mut status, mut error) = (400, "invalid_grant");
        match end {
            "logout" => {
                let page = visitor.visit("/logout").await;
                visitor.submit(&form(&page.expect(200).text, "logout-form")).await.expect(200);
            }
            "consent" => {
                let (second, _) = allowed(&house, &maker, ALL).await;
                let home = poll(&maker, &second).await.expect(200).string("access_token");
                let path = format!("/api/me/consents/{}", maker.id);
                house.api(&home, Method::DELETE, &path, None).await.expect(200);
            }
            "narrowed" => {
                root.patch(&path, &json!({"scope": "openid"})).await.expect(200);
                let waiting = waiting.string("device_code");
                poll(&maker, &waiting).await.oauth_error(400, "invalid_grant");
            }
            "disabled" => {
                root.step(&format!("{path}/disable")).await.expect(200);
                (status, error) = (401, "invalid_client");
            }
            "deleted" => {
                root.delete(&path).await.expect(200);
                (status, error) = (401, "invalid_client");
            }
            _ => {
                let tom = house.log_in(TOM).await;
                let pat = house.user(PAT);
                tom.step(&format!("/api/tenants/users/{pat}/disable")).await.expect(200);
            }
        }
        poll(&maker, &code).await.oauth_error(status, error);
        if end == "disabled" {
            root.step(&format!("{path}/enable")).await.expect(200);
            poll(&maker, &code).await.oauth_error(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn both_sides_stand_in_the_audit_log() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let visitor = house.visitor();
    allow(&house, &visitor, &started.string("user_code")).await;
    let tokens = poll(&maker, &started.string("device_code")).await;
    let replay = poll(&maker, &started.string("device_code")).await;
    let root = house.log_in(ROOT).await;
    let given = root.entry_of(tokens.expect(200).request_id()).await;
    assert_eq!((&given["action"], &given["result"]), (&json!("token.issue"), &json!("ok")));
    assert_eq!(root.reason_of(replay.request_id()).await, "device_code_replayed");
    let path = "/api/audit-logs?action=device.allow";
    let allowed = root.get(path).await.expect(200).json();
    assert_eq!(allowed[0]["actor_user_id"], json!(house.user(PAT)));
    assert_eq!(allowed[0]["client_id"], json!(maker.id));
    let wrong = enter(&house.visitor(), "BBBB-BBBB").await;
    assert_eq!(root.reason_of(wrong.request_id()).await, "user_code_unknown");
}

#[tokio::test]
async fn the_browser_is_led_by_the_same_pages_as_ever() {
    let house = House::start();
    let maker = maker(&house).await;
    let started = begin(&maker, "openid").await;
    let visitor = house.visitor();
    let first = enter(&visitor, &started.string("user_code")).await;
    let done = follow(&house, &visitor, first, PAT).await;
    assert!(done.expect(200).text.contains("is let in"));
    assert!(done.header("content-security-policy").unwrap().contains("form-action 'self'"));
}

#[tokio::test]
async fn a_device_that_asks_all_nodes_at_once_gets_its_tokens_from_one() {
    let database = Some(Postgres::shared().database());
    let one = House::start_with(HouseOptions { database, ..HouseOptions::default() });
    let two = one.another_node();
    let here = maker(&one).await;
    let there = here.at(&two);
    let at_once = async |code: &str| {
        let polls = (0..12).map(|n| poll([&here, &there][n % 2], code));
        futures_util::future::join_all(polls).await
    };
    for _ in 0..3 {
        let started = begin(&there, "openid").await;
        let code = started.string("device_code");
        let answers = at_once(&code).await;
        let is_in_time = |answer: &&Answer| answer.string("error") == "authorization_pending";
        assert_eq!(answers.iter().filter(is_in_time).count(), 1, "the others ask too often");
        allow(&one, &one.visitor(), &started.string("user_code")).await;
        let answers = at_once(&code).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    }
}
