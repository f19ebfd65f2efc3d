//! A partner's people log in by their company's own provider, which is another Procura.

use procura_tests::{Answer, House, Person, claims, exchange_form, form};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, Journey, ROOT, SAM, TOM, add, house, link, login_page, own, path};

const BILLING: &str = "partner.billing.read";

/// A house, the company's provider, and what is registered of it in the house.
struct Company {
    house: House,
    other: House,
    provider: Value,
    tom: Person,
}

impl Company {
    async fn start() -> Self {
        let (house, other) = (house(), House::start());
        let root = other.log_in(ROOT).await;
        let client = json!({
            "name": "Procura",
            "profile": "oidc",
            "grant_types": ["authorization_code"],
            "redirect_uris": ["http://127.0.0.1:1/to-be-known"],
            "scope": "openid profile",
        });
        let made = root.post("/api/clients", &client).await;
        made.expect(201);
        let tom = house.log_in(TOM).await;
        let mut body = own(other.issuer());
        body["client_id"] = made.string("id").into();
        body["client_secret"] = made.string("client_secret").into();
        let provider = add(&house, &tom, &body).await;
        let there = json!({ "redirect_uris": [provider["redirect_uri"]] });
        root.patch(&format!("/api/clients/{}", made.string("id")), &there).await.expect(200);
        link(&tom, &provider, other.user(SAM), house.user(SAM)).await;
        Self { house, other, provider, tom }
    }

    /// Logs in there and comes back.
    async fn passes(&self, journey: &Journey, email: &str) -> Answer {
        let there = self.other.visitor().pass(journey.to.as_str(), email).await;
        journey.browser.visit(there.location()).await
    }

    /// Sam's tokens.
    async fn sam(&self) -> Answer {
        let journey = Journey::to(&self.house, "northwind/own").await;
        journey.tokens(&self.passes(&journey, SAM).await).await
    }
}

/// Whether a home token is good for anything.
async fn works(house: &House, home: &str) -> bool {
    house.api(home, Method::GET, "/api/me/consents", None).await.status == 200
}

#[tokio::test]
async fn a_partners_person_logs_in_with_the_companys_own_login() {
    let company = Company::start().await;
    let house = &company.house;
    // Those who own the application are offered by name; an organisation's short name will do as well.
    let browser = house.visitor();
    let (page, verifier) = login_page(house, &browser, &[]).await;
    assert!(page.text.contains("Log in with Northwind &#60;Login&#62;"), "{}", page.text);
    let named = form(&page.text, "providers-form").press("idp", "northwind/own");
    let to = super::next(&browser.submit(&named).await);
    let journey = Journey { browser, to, verifier };
    assert!(journey.to.as_str().starts_with(company.other.issuer()));
    let sam = journey.tokens(&company.passes(&journey, SAM).await).await;

    let token = claims(&sam.string("access_token"));
    assert_eq!(token["sub"], house.user(SAM));
    assert_eq!(token["tenant"], house.tenant("northwind"));
    assert_eq!(token["idp"], "northwind/own");
    assert_eq!(token["acr"], "urn:procura:acr:pwd");
    assert_eq!(token["amr"], json!(["pwd"]));
    assert_eq!(token["auth_time"], claims(&sam.string("id_token"))["auth_time"]);
    let logins = company.tom.get("/api/audit-logs?action=login").await.expect(200).json();
    let of_sam = logins.as_array().unwrap().iter().find(|e| e["actor_user_id"] == house.user(SAM));
    assert_eq!(of_sam.unwrap()["resource_id"], "northwind/own");
    assert_eq!(of_sam.unwrap()["result"], "ok");

    // Somebody who is known there and not here gets no further.
    let journey = Journey::to(house, "northwind").await;
    let refused = company.passes(&journey, ADA).await;
    assert!(super::message(refused.expect(401)).contains("no account here"));
    assert_eq!(
        house.log_in(ROOT).await.reason_of(refused.request_id()).await,
        "identity_not_linked"
    );
}

#[tokio::test]
async fn a_wish_for_a_fresh_login_is_passed_on_and_checked() {
    let company = Company::start().await;
    let (house, there) = (&company.house, company.other.visitor());
    let here = house.visitor();
    for prompt in ["", "login"] {
        let more: &[(&str, &str)] = if prompt.is_empty() { &[] } else { &[("prompt", prompt)] };
        let journey = Journey::asking(house, here.clone(), "northwind/own", more).await;
        assert_eq!(journey.sent("prompt").unwrap_or_default(), prompt);
        assert_eq!(journey.sent("max_age").is_some(), !prompt.is_empty());
        // The browser is logged in there the second time; that is not enough then.
        let answer = there.visit(journey.to.as_str()).await;
        assert!(answer.location().starts_with("/login"), "{}", answer.location());
        let back = there.pass(journey.to.as_str(), SAM).await;
        let back = journey.browser.visit(back.location()).await;
        journey.tokens(&back).await;
    }
    // Without the wish it is.
    let visitor = house.visitor();
    let journey = Journey::asking(house, visitor, "northwind/own", &[("max_age", "600")]).await;
    let back = there.visit(journey.to.as_str()).await;
    assert!(back.location().starts_with(house.issuer()), "{}", back.location());
    journey.tokens(&journey.browser.visit(back.location()).await).await;
}

#[tokio::test]
async fn a_customer_that_trusts_one_provider_lets_nobody_in_who_came_otherwise() {
    let company = Company::start().await;
    let house = &company.house;
    let (ada, root) = (house.log_in(ADA).await, house.log_in(ROOT).await);
    let edge = house.relationship("northwind>acme-corp");
    let trust = json!({ "conditions": { "trusted_idps": ["northwind/own"] } });
    ada.patch(&edge, &trust).await.expect(200);

    let by_password = house.log_in(SAM).await;
    let ask = async |token: &str, tenant: &str| {
        house.token_raw(&exchange_form(token, tenant, BILLING)).await
    };
    let refused = ask(&by_password.home, "acme-corp").await;
    let unknown = ask(&by_password.home, "no-such-tenant").await;
    assert_eq!(refused.shown, unknown.shown, "byte by byte");
    assert_eq!(root.reason_of(&refused.request_id).await, "idp_not_trusted");

    let by_company = company.sam().await.string("access_token");
    let granted = house.token(&exchange_form(&by_company, "acme-corp", BILLING)).await;
    let delegated = granted.expect(200).string("access_token");
    assert_eq!(claims(&delegated)["tenant"], house.tenant("acme-corp"));

    // A provider of the same name at somebody else's is another one.
    ada.patch(&edge, &json!({ "conditions": { "trusted_idps": ["fabrikam/own"] } }))
        .await
        .expect(200);
    let refused = ask(&by_company, "acme-corp").await;
    assert_eq!(refused.shown, unknown.shown);
}

#[tokio::test]
async fn a_provider_that_is_switched_off_ends_what_came_by_it_and_nothing_else() {
    let company = Company::start().await;
    let house = &company.house;
    let by_password = house.log_in(SAM).await;
    let home = company.sam().await.string("access_token");
    let delegated = house.token(&exchange_form(&home, "acme-corp", BILLING)).await;
    let delegated = delegated.expect(200).string("access_token");
    assert!(house.is_alive(&delegated).await && works(house, &home).await);
    // On the way, with all that is needed to go on: keys and metadata are known and fresh.
    let away = Journey::to(house, "northwind/own").await;
    let there = company.other.visitor().pass(away.to.as_str(), SAM).await;

    let switch = async |on: bool| {
        let change = json!({ "is_enabled": on });
        company.tom.patch(&path(&company.provider), &change).await.expect(200).json()
    };
    let off = switch(false).await;
    assert_eq!(off["revoked"]["delegations_ended"], 1);
    assert!(!house.is_alive(&delegated).await && !works(house, &home).await);
    let refused = house.token(&exchange_form(&home, "acme-corp", BILLING)).await;
    refused.oauth_error(400, "invalid_request");
    let late = away.browser.visit(there.location()).await;
    assert!(super::message(late.expect(400)).contains("No login of an organisation"));
    let (page, _) = login_page(house, &house.visitor(), &[]).await;
    assert!(!page.text.contains("northwind/own"), "it is not offered any more");
    assert!(works(house, &by_password.home).await, "another way in");

    assert!(switch(true).await["revoked"].is_null());
    assert!(!works(house, &home).await, "nothing comes back to life");
    // A link that is taken away does the same to one person.
    let home = company.sam().await.string("access_token");
    assert!(works(house, &home).await);
    let link = format!("{}/links/{}", path(&company.provider), house.user(SAM));
    let removed = house.api(&company.tom.home, Method::DELETE, &link, None).await;
    removed.expect(200);
    assert!(!works(house, &home).await);
    let journey = Journey::to(house, "northwind/own").await;
    super::message(company.passes(&journey, SAM).await.expect(401));
}
