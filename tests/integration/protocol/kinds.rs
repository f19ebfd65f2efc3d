//! Every kind of JWT and one-time value in every place where something is presented: only its own place
//! takes it, and being shown elsewhere does not use it up.

use procura_domain::Profile;
use procura_store::clients::Client;
use procura_tests::{CALLBACK, House, Isp, Person, Software, exchange_form, form};
use reqwest::{Method, header::ACCEPT};
use serde_json::json;

use super::{PAT, READ_BILLING, at, credentials, http, rfc8628::DEVICE, send};

const BILLING: &str = "/api/v1/partner/billing/summary";
const CUSTOMERS: &str = "/api/v1/partner/customers";

const PLACES: &[&str] = &[
    "management API",
    "userinfo",
    "subject token",
    "introspection",
    "resource server",
    "code",
    "client assertion",
    "proof",
    "signed request",
    "request URI",
    "client secret",
    "device code",
    "user code",
];

/// What belongs where. Everything else is refused.
const OWN: &[(&str, &str)] = &[
    ("home token", "management API"),
    ("home token", "userinfo"),
    ("home token", "subject token"),
    ("delegated token", "introspection"),
    ("delegated token", "resource server"),
    ("client's token", "introspection"),
    ("code", "code"),
    ("assertion", "client assertion"),
    ("proof", "proof"),
    ("signed request", "signed request"),
    ("request URI", "request URI"),
    ("secret", "client secret"),
    ("device code", "device code"),
    ("user code", "user code"),
];

struct World {
    house: House,
    isp: Isp,
    software: Software,
    /// Of the code.
    verifier: String,
}

impl World {
    /// Whether this place takes this value.
    async fn takes(&self, place: &str, value: &str) -> bool {
        let (house, software) = (&self.house, &self.software);
        let grant = ("grant_type", "client_credentials");
        match place {
            "management API" => house.api(value, Method::GET, CUSTOMERS, None).await.status == 200,
            "userinfo" => {
                let request = http().get(at(house, "/oauth2/userinfo")).bearer_auth(value);
                send(request).await.status == 200
            }
            "subject token" => {
                house.token(&exchange_form(value, "acme-corp", READ_BILLING)).await.status == 200
            }
            "introspection" => house.is_alive(value).await,
            "resource server" => self.isp.get(value, BILLING).await.status == 200,
            "code" => software.redeem(value, &self.verifier).await.status == 200,
            "client assertion" => {
                let kind = ("client_assertion_type", procura_tests::ASSERTION);
                let form = [grant, kind, ("client_assertion", value)];
                software.post_bare("/oauth2/token", &form, &[]).await.status == 200
            }
            "proof" => software.post("/oauth2/token", &[grant], &[value]).await.status == 200,
            "signed request" => {
                let asks = json!({"client_id": software.id, "request": value});
                software.push(&asks).await.status == 201
            }
            "request URI" => house.visitor().visit(&software.at_uri(value)).await.status == 303,
            "client secret" => {
                let (id, _) = credentials(house, "portal");
                house.token_by(Some((id, value)), &[grant]).await.status == 200
            }
            "device code" => {
                let form = [("grant_type", DEVICE), ("device_code", value)];
                software.post("/oauth2/token", &form, &[]).await.text.contains("_pending")
            }
            "user code" => {
                let visitor = house.visitor();
                let page = visitor.visit("/device").await;
                let typed = form(&page.text, "device-form").with("user_code", value);
                visitor.submit(&typed).await.status == 303
            }
            _ => panic!("no place {place}"),
        }
    }

    /// One value of each kind.
    async fn values(&mut self, pat: &Person) -> Vec<(&'static str, String)> {
        let (house, software) = (&self.house, &self.software);
        let delegated = pat.switch("acme-corp", READ_BILLING).await;
        let machine = house.token(&[("grant_type", "client_credentials")]).await;
        let (id, secret) = credentials(house, "isp");
        let introspection = http()
            .post(at(house, "/oauth2/introspect"))
            .basic_auth(id, Some(secret))
            .header(ACCEPT, "application/token-introspection+jwt")
            .form(&[("token", &delegated)]);
        let introspection = send(introspection).await.expect(200).text.clone();
        let visitor = house.visitor();
        let (start, _) = software.pushed(&json!({"response_mode": "jwt"})).await;
        let answer = visitor.pass(&start, PAT).await;
        let answer = answer.location().replace(&format!("{CALLBACK}?response="), "");
        let (start, verifier) = software.pushed(&json!({})).await;
        let code = visitor.code_by(&start, PAT).await;
        let (asks, _) = software.asks(&json!({}));
        let uri = software.push(&asks).await.expect(201).string("request_uri");
        let device = software.post("/oauth2/device_authorization", &[], &[]).await;
        let values = vec![
            ("home token", pat.home.clone()),
            ("ID token", pat.id_token.clone()),
            ("delegated token", delegated),
            ("client's token", machine.expect(200).string("access_token")),
            ("signed introspection", introspection),
            ("signed answer", answer),
            ("code", code),
            ("assertion", software.assertion()),
            ("proof", software.proof("/oauth2/token")),
            ("signed request", software.signs(&asks, &json!({}))),
            ("request URI", uri),
            ("secret", credentials(house, "portal").1.to_owned()),
            ("device code", device.expect(200).string("device_code")),
            ("user code", device.string("user_code")),
        ];
        self.verifier = verifier;
        values
    }
}

#[tokio::test]
async fn nothing_is_taken_for_something_else() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let with_devices = |client: &mut Client| {
        client.grant_types.insert(DEVICE.to_owned());
    };
    let software = house.software(Profile::Oauth21, with_devices).await;
    let pat = house.log_in(PAT).await;
    let mut world = World { house, isp, software, verifier: String::new() };
    let values = world.values(&pat).await;
    for (kind, value) in &values {
        for place in PLACES {
            if !OWN.contains(&(*kind, *place)) {
                assert!(!world.takes(place, value).await, "{kind} was taken as {place}");
            }
        }
    }
    for (kind, place) in OWN {
        let (_, value) = values.iter().find(|(known, _)| known == kind).unwrap();
        assert!(world.takes(place, value).await, "{kind} was not taken as {place}");
    }
}
