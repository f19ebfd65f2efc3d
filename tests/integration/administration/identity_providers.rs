//! Identity providers by the API and on the command line: for the tenant's own admin and the operator.

use std::{fs, os::unix::fs::PermissionsExt};

use procura_tests::{Answer, House, Person, Scratch};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, ROOT, TOM, entry, if_match};

const ALL: &str = "/api/identity-providers";
const SAM: &str = "sam@northwind.test";
const SECRET: &str = "a-secret-that-nobody-sees-again";

fn body() -> Value {
    json!({
        "name": "entra",
        "title": "Northwind",
        "issuer": "https://login.northwind.example/v2.0",
        "client_id": "procura",
        "client_secret": SECRET,
    })
}

async fn post(house: &House, person: &Person, body: &Value) -> Answer {
    house.api(&person.home, Method::POST, ALL, Some(body)).await
}

#[tokio::test]
async fn a_tenants_admin_looks_after_its_providers_and_no_stranger_learns_of_them() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let made = post(&house, &tom, &body()).await;
    let provider = made.expect(201).json();
    assert_eq!(made.header("etag"), Some("\"1\""));
    assert_eq!(provider["idp"], "northwind/entra");
    assert_eq!(provider["tenant_id"], house.tenant("northwind"));
    let id = provider["id"].as_str().unwrap();
    let back = format!("{}/login/callback/{id}", house.issuer());
    assert_eq!(provider["redirect_uri"], back);

    let one = format!("{ALL}/{id}");
    let links = format!("{one}/links");
    let linked = format!("{links}/{}", house.user(SAM));
    let patch = json!({ "title": "Other" });
    let new_link = json!({ "subject": "s-1", "user_id": house.user(SAM) });
    let routes = [
        (Method::GET, &one, None),
        (Method::PATCH, &one, Some(&patch)),
        (Method::GET, &links, None),
        (Method::POST, &links, Some(&new_link)),
        (Method::DELETE, &linked, None),
        (Method::DELETE, &one, None),
    ];
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let delegated = pat.switch("acme-corp", "partner.billing.read").await;
    for (method, path, body) in &routes {
        let go = async |token: &str| house.api(token, method.clone(), path, *body).await;
        go("nonsense").await.problem(401, "unauthenticated");
        go(&delegated).await.problem(401, "unauthenticated");
        go(&pat.home).await.problem(403, "forbidden");
        go(&ada.home).await.problem(404, "not_found");
    }
    // Whoever may administer nothing learns nothing of other tenants' either.
    let acmes = post(&house, &ada, &body()).await.expect(201).string("id");
    for id in [acmes.clone(), format!("{}0000", &id[..id.len() - 4])] {
        let refused = house.api(&pat.home, Method::DELETE, &format!("{ALL}/{id}"), None).await;
        refused.problem(403, "forbidden");
    }
    house.api(&ada.home, Method::DELETE, &format!("{ALL}/{acmes}"), None).await.expect(200);
    post(&house, &pat, &body()).await.problem(403, "forbidden");
    let mut elsewhere = body();
    elsewhere["tenant_id"] = "northwind".into();
    post(&house, &ada, &elsewhere).await.problem(404, "not_found");
    assert_eq!(ada.get(ALL).await.expect(200).json(), json!([]));
    assert_eq!(tom.get(ALL).await.expect(200).json(), json!([provider]));
    assert_eq!(root.get(ALL).await.expect(200).json(), json!([provider]));
    // Nothing of all that changed it; both who may do it.
    house.api(&tom.home, Method::POST, &links, Some(&new_link)).await.expect(201);
    assert_eq!(tom.get(&links).await.expect(200).json()[0]["user_id"], house.user(SAM));
    house.api(&root.home, Method::DELETE, &linked, None).await.expect(200);
    house.api(&root.home, Method::DELETE, &linked, None).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_change_names_what_it_changed_and_never_a_secret() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let made = post(&house, &tom, &body()).await;
    let one = format!("{ALL}/{}", made.expect(201).string("id"));
    assert!(!made.text.contains(SECRET));
    let first = entry(&house, &root, "identity_provider.add").await;
    assert_eq!(first["resource_id"], "northwind/entra");
    assert_eq!(first["details"]["changed"]["issuer"]["to"], body()["issuer"]);

    let change = json!({ "title": "Other", "client_secret": "another-secret-of-ours" });
    let changed = if_match(&house, &tom, (Method::PATCH, &one), "\"1\"", Some(&change)).await;
    assert_eq!(changed.expect(200).json()["identity_provider"]["title"], "Other");
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let stale = if_match(&house, &tom, (Method::PATCH, &one), "\"1\"", Some(&change)).await;
    stale.problem(412, "stale");
    let noted = entry(&house, &root, "identity_provider.update").await;
    let expected = json!({
        "changed": { "title": { "from": "Northwind", "to": "Other" } },
        "client_secret": "changed",
    });
    assert_eq!(noted["details"], expected);
    // What changes nothing is no change.
    tom.patch(&one, &json!({ "title": "Other" })).await.expect(200);
    assert_eq!(tom.get(&one).await.header("etag"), Some("\"2\""));
    for text in [changed.text, tom.get(&one).await.text, root.get("/api/audit-logs").await.text] {
        assert!(!text.contains(SECRET) && !text.contains("another-secret"), "{text}");
    }
    let database = fs::read(house.data().join("procura.db")).unwrap_or_default();
    let is_there = |text: &str| database.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!is_there(SECRET) && !house.stderr().contains(SECRET));
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_says_what_it_is_about() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    for (other, about) in [
        (json!({ "name": "Entra" }), "name"),
        (json!({ "name": "a/b" }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "issuer": "http://login.example" }), "issuer"),
        (json!({ "issuer": "https://127.0.0.1:8443" }), "issuer"),
        (json!({ "issuer": "https://169.254.169.254" }), "issuer"),
        (json!({ "issuer": "https://[::1]:8443" }), "issuer"),
        (json!({ "issuer": "https://login.example/?a=b" }), "issuer"),
        (json!({ "issuer": "https://user@login.example" }), "issuer"),
        (json!({ "issuer": house.issuer() }), "issuer"),
        (json!({ "client_secret": "" }), "client_secret"),
        (json!({ "client_secret": 1 }), "client_secret"),
        (json!({ "client_id": "" }), "client_id"),
        (json!({ "scope": "profile" }), "scope"),
        (json!({ "acr": { "x": "gold" } }), "acr"),
        (json!({ "links_by_email": true }), "links_by_email"),
        (json!({ "token_endpoint_auth_method": "none" }), "token_endpoint_auth_method"),
        (json!({ "made_up": 1 }), "body"),
    ] {
        let body = procura_tests::merged(&body(), &other);
        let refused = post(&house, &tom, &body).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{other}");
    }
    assert_eq!(root.get(ALL).await.expect(200).json(), json!([]));
    let mut domain = body();
    domain["domains"] = json!(["northwind.test"]);
    let beyond = post(&house, &tom, &domain).await;
    assert_eq!(beyond.problem(403, "forbidden").as_deref(), Some("domains"));
    domain["tenant_id"] = "northwind".into();
    let made = post(&house, &root, &domain).await.expect(201).json();
    let one = format!("{ALL}/{}", made["id"].as_str().unwrap());
    // Its issuer stays; a domain leads to one provider; the tenant may give one up.
    let other = json!({ "issuer": "https://other.example" });
    assert_eq!(
        tom.patch(&one, &other).await.problem(400, "invalid_request").as_deref(),
        Some("body")
    );
    domain["name"] = "second".into();
    post(&house, &root, &domain).await.problem(409, "conflict");
    tom.patch(&one, &json!({ "domains": null })).await.expect(200);
    post(&house, &root, &domain).await.expect(201);
}

#[tokio::test]
async fn a_name_is_never_given_twice() {
    let house = House::start();
    let (tom, ada) = (house.log_in(TOM).await, house.log_in(ADA).await);
    let made = post(&house, &tom, &body()).await.expect(201).json();
    post(&house, &tom, &body()).await.problem(409, "conflict");
    let one = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let stale = if_match(&house, &tom, (Method::DELETE, &one), "\"9\"", None).await;
    stale.problem(412, "stale");
    house.api(&tom.home, Method::DELETE, &one, None).await.expect(200);
    tom.get(&one).await.problem(404, "not_found");
    assert_eq!(tom.get(ALL).await.expect(200).json(), json!([]));
    post(&house, &tom, &body()).await.problem(409, "conflict");
    // In another tenant it is another name.
    assert_eq!(post(&house, &ada, &body()).await.expect(201).json()["idp"], "acme-corp/entra");
}

#[tokio::test]
async fn a_tenant_has_so_many_and_no_more() {
    let house = House::start();
    let (tom, ada) = (house.log_in(TOM).await, house.log_in(ADA).await);
    let named = |n: usize| procura_tests::merged(&body(), &json!({ "name": format!("n-{n}") }));
    let first = post(&house, &tom, &named(0)).await.expect(201).string("id");
    for n in 1..50 {
        post(&house, &tom, &named(n)).await.expect(201);
    }
    // One that was removed makes no room: its name stays taken.
    let first = format!("{ALL}/{first}");
    house.api(&tom.home, Method::DELETE, &first, None).await.expect(200);
    let full = post(&house, &tom, &named(50)).await;
    let about = full.problem(409, "wrong_state");
    assert_eq!(about.as_deref(), Some("too_many_identity_providers"));
    post(&house, &ada, &named(50)).await.expect(201);
}

#[tokio::test]
async fn where_a_provider_takes_the_place_of_passwords_nobody_logs_in_by_one() {
    let house = House::start();
    let (tom, pat) = (house.log_in(TOM).await, house.log_in(PAT).await);
    let made = post(&house, &tom, &body()).await.expect(201).json();
    let one = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let alone = json!({ "replaces_passwords": true });
    // Not as long as no admin could come in.
    let shut = tom.patch(&one, &alone).await;
    assert_eq!(shut.problem(409, "wrong_state").as_deref(), Some("no_linked_admin"));
    let link = json!({ "subject": "t-1", "user_id": house.user(TOM) });
    tom.post(&format!("{one}/links"), &link).await.expect(201);
    let done = tom.patch(&one, &alone).await.expect(200).json();
    assert!(!done["revoked"].is_null());
    // Logins by password are over, and there are no new ones: in the words of every wrong password.
    for person in [&tom, &pat] {
        person.get("/api/me/consents").await.problem(401, "unauthenticated");
    }
    let (refused, _) = house.visitor().try_log_in(PAT, &house.demo().password).await;
    let (wrong, _) = house.visitor().try_log_in(PAT, "wrong").await;
    let said = |answer: &Answer| {
        let (_, rest) = answer.expect(401).text.split_once("login-message").unwrap();
        rest.split_once("</p>").unwrap().0.to_owned()
    };
    assert_eq!(said(&refused), said(&wrong));
    let root = house.log_in(ROOT).await;
    assert_eq!(root.reason_of(refused.request_id()).await, "password_login_off");
    // Other tenants have nothing to do with it, and the operator can undo it.
    house.log_in(ADA).await;
    let last = format!("{one}/links/{}", house.user(TOM));
    let last = house.api(&root.home, Method::DELETE, &last, None).await;
    assert_eq!(last.problem(409, "wrong_state").as_deref(), Some("no_linked_admin"));
    root.patch(&one, &json!({ "is_enabled": false })).await.expect(200);
    house.log_in(PAT).await;
}

#[tokio::test]
async fn a_provider_whose_logins_a_policy_refuses_takes_no_passwords_place() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let made = post(&house, &tom, &body()).await.expect(201).json();
    let one = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let link = json!({ "subject": "t-1", "user_id": house.user(TOM) });
    tom.post(&format!("{one}/links"), &link).await.expect(201);
    let write = async |name: &str, names: Value| {
        let policy = json!({ "name": name, "rules": { "identity_providers": names } });
        let id = tom.post("/api/policies", &policy).await.expect(201).string("id");
        let held = format!("/api/tenants/northwind/policies/{id}");
        tom.put_bare(&held).await.expect(200);
        held
    };
    let by_password = write("Passwords", json!(["local"])).await;
    let alone = json!({ "replaces_passwords": true });
    let shut = tom.patch(&one, &alone).await;
    assert_eq!(shut.problem(409, "wrong_state").as_deref(), Some("no_linked_admin"));
    assert_eq!(tom.get(&one).await.expect(200).json()["replaces_passwords"], false);
    tom.delete(&by_password).await.expect(204);
    // By a policy that admits both somebody comes in.
    write("Both", json!(["local", "northwind/entra"])).await;
    tom.patch(&one, &alone).await.expect(200);
}

#[tokio::test]
async fn a_providers_life_on_the_command_line() {
    let house = House::start();
    let folder = Scratch::new();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let run =
        |verb: &str, more: &[&str]| house.command(&[&["identity-provider", verb], more].concat());
    let done = |verb: &str, more: &[&str]| {
        let ended = run(verb, more);
        assert!(ended.status.success(), "{ended:?}");
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET));
        ended.stdout
    };
    let add = [
        "--tenant",
        "northwind",
        "--name",
        "entra",
        "--title",
        "Northwind",
        "--issuer",
        "https://login.northwind.example",
        "--client-id",
        "procura",
        "--client-secret-file",
        file,
        "--domain",
        "northwind.test",
        "--json",
    ];
    let made: Value = serde_json::from_str(&done("add", &add)).unwrap();
    assert_eq!(made["domains"], json!(["northwind.test"]));
    run("add", &add).refused();
    let name = "northwind/entra";
    let sam = house.user(SAM).to_owned();
    done("link", &[name, "--subject", "s-1", "--user", &sam]);
    assert_eq!(done("links", &[name]), format!("{sam}  s-1\n"));
    done("unlink", &[name, "--user", &sam]);
    assert!(done("list", &[]).contains("northwind/entra  https://login.northwind.example"));
    let alone = run("update", &[name, "--replaces-passwords", "true"]);
    assert!(alone.refused().contains("link one first"));
    let off = done("update", &[name, "--enabled", "false"]);
    assert_eq!(off, format!("{name} is changed; logins are over.\n"));
    let root = house.log_in(ROOT).await;
    let noted = entry(&house, &root, "identity_provider.update").await;
    assert_eq!(noted["details"]["by"], "command_line");
    assert!(done("show", &[name]).contains("is_enabled: false"));
    let strange = run("update", &[name, "--settings", "{\"acr\":{\"gold\":\"x\"}}"]);
    assert!(strange.refused().contains("acr"));
    done("update", &[name, "--settings", "{\"acr\":{\"gold\":\"urn:procura:acr:mfa\"}}"]);
    assert!(done("show", &[name]).contains("acr: {\"gold\":\"urn:procura:acr:mfa\"}"));
    let secret = [name, "--client-secret-file", file];
    assert!(done("update", &secret).contains("is changed"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(run("update", &secret).refused().contains("0600"));
    done("remove", &[name]);
    run("show", &[name]).refused();
}

#[tokio::test]
async fn a_file_makes_a_provider_and_brings_nothing_back() {
    let house = House::start();
    let (root, folder) = (house.log_in(ROOT).await, Scratch::new());
    let import = |other: Value| {
        let settings = json!({ "title": "Northwind", "client_id": "procura" });
        let usual = json!({
            "tenant": "northwind",
            "name": "entra",
            "issuer": "https://login.northwind.example",
            "client_secret": SECRET,
            "settings": procura_tests::merged(&settings, &json!({ "replaces_passwords": true })),
            "links": [{ "subject": "t-1", "user": TOM }],
        });
        let file = folder.path().join("seed.json");
        let one = procura_tests::merged(&usual, &other);
        fs::write(&file, json!({ "identity_providers": [one] }).to_string()).unwrap();
        house.command(&["import", file.to_str().unwrap()])
    };
    let said = |ended: procura_tests::Ended| {
        assert!(ended.status.success(), "{ended:?}");
        assert!(!ended.stdout.contains(SECRET));
        ended.stdout
    };
    let alone = import(json!({ "links": [] }));
    assert!(alone.refused().contains("no admin of the tenant could log in then"), "{alone:?}");
    let strange = import(json!({ "settings": { "made_up": 1 } }));
    assert!(strange.refused().contains("made_up"), "{strange:?}");
    let foreign = import(json!({ "links": [{ "subject": "a-1", "user": ADA }] }));
    assert!(foreign.refused().contains("nobody of this tenant"), "{foreign:?}");
    assert_eq!(root.get(ALL).await.expect(200).json(), json!([]), "all of it or nothing");

    let made = said(import(json!({})));
    assert!(made.starts_with("created identity_provider northwind/entra\n"), "{made}");
    assert_eq!(said(import(json!({}))), "Nothing to change.\n");
    let other = import(json!({ "issuer": "https://other.example" }));
    assert!(other.refused().contains("another one than it was made with"));
    let (refused, _) = house.visitor().try_log_in(PAT, &house.demo().password).await;
    refused.expect(401);

    // What somebody took away since stays away, whatever the file says at the next start.
    let listed = root.get(ALL).await.expect(200).json();
    let one = format!("{ALL}/{}", listed[0]["id"].as_str().unwrap());
    root.patch(&one, &json!({ "is_enabled": false })).await.expect(200);
    house
        .api(&root.home, Method::DELETE, &format!("{one}/links/{}", house.user(TOM)), None)
        .await
        .expect(200);
    assert_eq!(said(import(json!({}))), "Nothing to change.\n");
    let changed = said(import(json!({ "client_secret": "another" })));
    assert_eq!(changed, "changed identity_provider northwind/entra\n");
    house.api(&root.home, Method::DELETE, &one, None).await.expect(200);
    assert!(
        said(import(json!({}))).starts_with("left as it is: identity_provider northwind/entra")
    );
}
