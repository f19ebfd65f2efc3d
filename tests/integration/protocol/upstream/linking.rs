//! Who of a provider is who here: people of the provider's own tenant, one to one, and never an operator.

use procura_tests::{House, Person, claims};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, Journey, PAT, PROVIDERS, ROOT, SAM, TOM, add, house, link, message, own, path,
    provider::Provider,
};
use crate::protocol::relying_party::change;

struct World {
    house: House,
    provider: Provider,
    registered: Value,
    tom: Person,
    root: Person,
}

async fn world() -> World {
    let (house, provider) = (house(), Provider::start().await);
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let registered = add(&house, &tom, &own(&provider.issuer)).await;
    World { house, provider, registered, tom, root }
}

impl World {
    /// Comes back as somebody with these claims: the claims of the access token, or why not.
    async fn come(&self, idp: &str, subject: &str, other: &Value) -> Result<Value, String> {
        let journey = Journey::to(&self.house, idp).await;
        self.provider.knows(&journey, subject, other);
        let more = [("code", "a-code"), ("iss", self.provider.issuer.as_str())];
        let back = journey.back(&more).await;
        if back.status == 303 {
            return Ok(claims(&journey.tokens(&back).await.string("access_token")));
        }
        message(back.expect(401));
        Err(self.root.reason_of(back.request_id()).await)
    }

    async fn own(&self, subject: &str, other: Value) -> Result<String, String> {
        let came = self.come("northwind/own", subject, &other).await?;
        Ok(came["sub"].as_str().unwrap().to_owned())
    }
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn a_verified_address_links_only_where_it_was_said_so_and_only_in_its_domain() {
    let world = world().await;
    let says =
        |email: &str, is_verified: Value| json!({ "email": email, "email_verified": is_verified });
    let sam = world.house.user(SAM).to_owned();
    assert_eq!(world.own("s-1", says(SAM, json!(true))).await, refused("identity_not_linked"));
    let on = json!({ "domains": ["northwind.test"], "links_by_email": true });
    // A tenant cannot say by itself that a domain is its own.
    let beyond = world.tom.patch(&path(&world.registered), &on).await;
    assert_eq!(beyond.problem(403, "forbidden").as_deref(), Some("domains"));
    world.root.patch(&path(&world.registered), &on).await.expect(200);

    let no = || refused("email_not_vouched_for");
    assert_eq!(world.own("s-1", says(SAM, json!(false))).await, no());
    assert_eq!(world.own("s-1", says(SAM, json!("true"))).await, no());
    assert_eq!(world.own("s-1", says(SAM, json!(1))).await, no());
    assert_eq!(world.own("s-1", json!({ "email": SAM })).await, no());
    assert_eq!(world.own("s-1", json!({ "email_verified": true })).await, no());
    for email in [ADA, "sam@northwind.test.evil.test", "sam@evil.test@northwind.test ", "sam"] {
        assert!(world.own("s-1", says(email, json!(true))).await.is_err(), "{email}");
    }
    let nobody = says("nobody@northwind.test", json!(true));
    assert_eq!(world.own("s-1", nobody).await, refused("user_unknown"));

    assert_eq!(world.own("s-1", says("Sam@Northwind.TEST", json!(true))).await, Ok(sam.clone()));
    let links = world.tom.get(&format!("{}/links", path(&world.registered))).await;
    let links = links.expect(200).json();
    assert_eq!((&links[0]["subject"], &links[0]["user_id"]), (&json!("s-1"), &json!(sam)));
    // From now on the subject counts, whatever address it has; and nobody else is taken for Sam.
    assert_eq!(world.own("s-1", json!({})).await, Ok(sam));
    assert_eq!(world.own("s-9", says(SAM, json!(true))).await, refused("user_linked_to_another"));
}

#[tokio::test]
async fn a_provider_of_one_tenant_logs_in_nobody_of_another() {
    let world = world().await;
    let (house, ada) = (&world.house, world.house.log_in(ADA).await);
    let acme = add(house, &ada, &own(&world.provider.issuer)).await;
    let links = format!("{}/links", path(&acme));
    let foreign = json!({ "subject": "s-1", "user_id": house.user(SAM) });
    let asked = ada.post(&links, &foreign).await;
    assert_eq!(asked.problem(400, "invalid_request").as_deref(), Some("user_id"));
    let asked = world.root.post(&links, &foreign).await;
    assert_eq!(asked.problem(400, "invalid_request").as_deref(), Some("user_id"));
    // Not by address either, even if the operator mistook whose domain it is,
    let mistaken = json!({ "domains": ["northwind.test"], "links_by_email": true });
    world.root.patch(&path(&acme), &mistaken).await.expect(200);
    let sam = json!({ "email": SAM, "email_verified": true });
    assert_eq!(world.come("acme-corp/own", "s-1", &sam).await, Err("user_unknown".to_owned()));
    // and not by a link that somebody wrote into the database.
    let (provider, user) = (acme["id"].as_str().unwrap(), house.user(SAM));
    let tenant = house.tenant("acme-corp");
    let forged = format!(
        "INSERT INTO identity_links (provider_id, subject, user_id, tenant_id, created_at) \
         VALUES ('{provider}', 's-2', '{user}', '{tenant}', 0)"
    );
    change(house, forged).await;
    let came = world.come("acme-corp/own", "s-2", &json!({})).await;
    assert_eq!(came, Err("user_unknown".to_owned()));
    // Her own people it does.
    link(&ada, &acme, "a-1", house.user(ADA)).await;
    let came = world.come("acme-corp/own", "a-1", &json!({})).await.unwrap();
    assert_eq!(came["sub"], house.user(ADA));
    assert_eq!(came["idp"], "acme-corp/own");
    // A subject of one provider is nobody at another, although they have the same issuer.
    assert_eq!(world.own("a-1", json!({})).await, refused("identity_not_linked"));
}

#[tokio::test]
async fn nobody_becomes_an_operator_by_a_provider() {
    let world = world().await;
    let house = &world.house;
    let mut body = own(&world.provider.issuer);
    body["tenant_id"] = "operator".into();
    let operators = add(house, &world.root, &body).await;
    let asked = json!({ "subject": "r-1", "user_id": house.user(ROOT) });
    let asked = world.root.post(&format!("{}/links", path(&operators)), &asked).await;
    assert_eq!(asked.problem(400, "invalid_request").as_deref(), Some("user_id"));
    // Whoever rises later does not come in so any more.
    link(&world.tom, &world.registered, "s-1", house.user(SAM)).await;
    assert!(world.own("s-1", json!({})).await.is_ok());
    let journey = Journey::to(house, "northwind/own").await;
    world.provider.knows(&journey, "s-1", &json!({}));
    let more = [("code", "a-code"), ("iss", world.provider.issuer.as_str())];
    let back = journey.back(&more).await;
    let user = house.user(SAM);
    change(house, format!("UPDATE users SET roles = 'super-admin' WHERE id = '{user}'")).await;
    assert_eq!(world.own("s-1", json!({})).await, refused("operator_by_upstream"));
    // Nor by a login from before that.
    let code = journey.code(&back).await;
    let late = journey.browser.redeem(&code, &journey.verifier).await;
    late.oauth_error(400, "invalid_grant");
    assert_eq!(world.root.reason_of(late.request_id()).await, "operator_by_upstream");
    house.log_in(SAM).await;
}

#[tokio::test]
async fn whoever_is_shut_out_here_comes_in_by_no_provider() {
    let world = world().await;
    let house = &world.house;
    link(&world.tom, &world.registered, "s-1", house.user(SAM)).await;
    let user = format!("/api/tenants/users/{}", house.user(SAM));
    world.tom.step(&format!("{user}/disable")).await.expect(200);
    assert_eq!(world.own("s-1", json!({})).await, refused("user_inactive"));
    world.tom.step(&format!("{user}/enable")).await.expect(200);
    assert!(world.own("s-1", json!({})).await.is_ok());
}

#[tokio::test]
async fn one_there_is_one_here() {
    let world = world().await;
    let house = &world.house;
    link(&world.tom, &world.registered, "s-1", house.user(SAM)).await;
    let links = format!("{PROVIDERS}/{}/links", world.registered["id"].as_str().unwrap());
    for (subject, user) in [("s-1", PAT), ("s-2", SAM), ("s-1", SAM)] {
        let body = json!({ "subject": subject, "user_id": house.user(user) });
        world.tom.post(&links, &body).await.problem(409, "conflict");
    }
    link(&world.tom, &world.registered, "s-2", house.user(PAT)).await;
}

#[tokio::test]
async fn what_a_login_is_worth_is_what_the_map_says() {
    let world = world().await;
    let house = &world.house;
    link(&world.tom, &world.registered, "s-1", house.user(SAM)).await;
    let strong = json!({ "acr": "urn:procura:acr:phr", "amr": ["hwk", "made-up", "mfa"] });
    let came = world.come("northwind/own", "s-1", &strong).await.unwrap();
    assert_eq!(came["acr"], "urn:procura:acr:pwd", "not even in our own words");
    assert_eq!(came["amr"], json!(["hwk", "mfa"]));
    let map = json!({ "acr": { "gold": "urn:procura:acr:mfa" }, "amr": { "hwk": "urn:procura:acr:phr" } });
    world.tom.patch(&path(&world.registered), &map).await.expect(200);
    let came = world.come("northwind/own", "s-1", &strong).await.unwrap();
    assert_eq!(came["acr"], "urn:procura:acr:phr");
    let came = world.come("northwind/own", "s-1", &json!({ "acr": "gold" })).await.unwrap();
    assert_eq!(came["acr"], "urn:procura:acr:mfa");
    // What counted for more than it does now ends.
    let journey = Journey::to(house, "northwind/own").await;
    world.provider.knows(&journey, "s-1", &json!({ "acr": "gold" }));
    let more = [("code", "a-code"), ("iss", world.provider.issuer.as_str())];
    let home = journey.tokens(&journey.back(&more).await).await.string("access_token");
    let less = world.tom.patch(&path(&world.registered), &json!({ "acr": null })).await;
    assert!(!less.expect(200).json()["revoked"].is_null());
    let dead = house.api(&home, reqwest::Method::GET, "/api/me/consents", None).await;
    dead.problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_admin_who_cannot_log_in_is_not_one_who_is_left() {
    let world = world().await;
    let (house, tom) = (&world.house, world.house.user(TOM));
    link(&world.tom, &world.registered, "t-1", tom).await;
    // Pat is an admin as well, with a password, which counts for nothing from now on.
    let pat = house.user(PAT);
    change(house, format!("UPDATE users SET roles = 'tenant-admin' WHERE id = '{pat}'")).await;
    let alone = json!({ "replaces_passwords": true });
    world.tom.patch(&path(&world.registered), &alone).await.expect(200);
    let journey = Journey::to(house, "northwind/own").await;
    world.provider.knows(&journey, "t-1", &json!({}));
    let more = [("code", "a-code"), ("iss", world.provider.issuer.as_str())];
    let home = journey.tokens(&journey.back(&more).await).await.string("access_token");
    let goes = async || {
        let path = format!("/api/tenants/users/{tom}/disable");
        house.api(&home, Method::POST, &path, None).await
    };
    assert_eq!(goes().await.problem(409, "wrong_state").as_deref(), Some("last_tenant_admin"));
    // Nor is one whose time is over; but one who can come in is.
    let linked = json!({ "subject": "p-1", "user_id": pat });
    let links = format!("{}/links", path(&world.registered));
    house.api(&home, Method::POST, &links, Some(&linked)).await.expect(201);
    change(house, format!("UPDATE users SET ends_at = 1 WHERE id = '{pat}'")).await;
    assert_eq!(goes().await.problem(409, "wrong_state").as_deref(), Some("last_tenant_admin"));
    change(house, format!("UPDATE users SET ends_at = NULL WHERE id = '{pat}'")).await;
    goes().await.expect(200);
}
