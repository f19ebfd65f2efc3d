//! Every kind of JWT and every value that means nothing in every place where something is presented: only its
//! own place takes it, every other one answers as it answers nonsense, and being shown elsewhere uses it up nowhere.

use std::sync::{Arc, Mutex};

use axum::{Router, routing::post};
use procura_domain::Profile;
use procura_tests::{
    Answer, CALLBACK, Form, House, HouseOptions, Isp, Person, Software, Visitor, claims,
    eventually, exchange_form, form, merged, proof_claims, token_hash,
};
use procura_token::Algorithm;
use reqwest::{
    Client, Method, RequestBuilder,
    header::{ACCEPT, COOKIE, SET_COOKIE},
    redirect::Policy,
};
use serde_json::json;

use super::{
    PAT, READ_BILLING, at, credentials, http,
    relying_party::{ask, register},
    rfc8628::DEVICE,
    send,
};

const BILLING: &str = "/api/v1/partner/billing/summary";
const CUSTOMERS: &str = "/api/v1/partner/customers";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const SAM: &str = "sam@northwind.test";

/// Each place: what it answers to what is its own, and to everything else.
const PLACES: &[(&str, &str, &str)] = &[
    ("management API", "200", "401 unauthenticated"),
    ("userinfo", "200", "401 invalid_token"),
    ("subject token", "200", "400 invalid_request"),
    ("introspection", "active", "inactive"),
    ("resource server", "200", "401 invalid_token"),
    ("code", "200", "400 invalid_grant"),
    ("refresh token", "200", "400 invalid_grant"),
    ("client assertion", "200", "401 invalid_client"),
    ("proof", "200", "400 invalid_dpop_proof"),
    ("nonce", "200", "400 use_dpop_nonce"),
    ("signed request", "201", "400 invalid_request_object"),
    ("request URI", "303", "400"),
    ("client secret", "200", "401 invalid_client"),
    ("secret of a resource server", "200", "401 unauthenticated"),
    ("page of a login", "200", "400"),
    ("form token", "303", "400"),
    ("session", "somebody", "nobody"),
    ("invitation", "200", "400"),
    ("partner code", "201", "404 not_found"),
    ("hint", "left", "asked"),
    ("device code", "400 authorization_pending", "400 invalid_grant"),
    ("user code", "303", "400"),
];

/// What belongs where, in the order in which it is tried at the end: what ends a login comes last.
const OWN: &[(&str, &str)] = &[
    ("home token", "management API"),
    ("home token", "userinfo"),
    ("home token", "subject token"),
    ("delegated token", "introspection"),
    ("delegated token", "resource server"),
    ("client's token", "introspection"),
    ("code", "code"),
    ("refresh token", "refresh token"),
    ("assertion", "client assertion"),
    ("proof", "proof"),
    ("nonce", "nonce"),
    ("signed request", "signed request"),
    ("request URI", "request URI"),
    ("secret", "client secret"),
    ("secret of a resource server", "secret of a resource server"),
    ("page of a login", "page of a login"),
    ("form token", "form token"),
    ("session", "session"),
    ("invitation", "invitation"),
    ("partner code", "partner code"),
    ("device code", "device code"),
    ("user code", "user code"),
    ("ID token", "hint"),
];

/// What is good for a minute or so.
const SHORT_LIVED: &[&str] =
    &["code", "assertion", "proof", "nonce", "signed request", "request URI"];

/// What gets another answer, and is good for nothing either: a token that is known and may do nothing, and what
/// has not even the form of a token.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("client's token", "resource server", "403 insufficient_scope"),
    ("request URI", "resource server", "401 unauthorized"),
];

type Values = Vec<(&'static str, String)>;

struct World {
    house: House,
    isp: Isp,
    software: Software,
    /// The same client, at a house that demands nonces.
    nonces: (House, Software),
    pat: Person,
    /// Of the code.
    verifier: String,
    /// A browser with a login page open, and its form.
    open: (Visitor, Form),
    /// What the client has heard of logouts.
    heard: Arc<Mutex<Vec<String>>>,
}

fn bare() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// A status, with the code of the error where there is one.
fn said(answer: &Answer) -> String {
    let json: serde_json::Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = json["error"].as_str().or(json["code"].as_str());
    match code {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

fn yes(is: bool, words: [&str; 2]) -> String {
    words[usize::from(!is)].to_owned()
}

impl World {
    async fn start() -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let house = House::start_with(HouseOptions {
            environment: vec![
                ("PROCURA__OUTBOUND__ALLOW", "127.0.0.1/32".to_owned()),
                ("PROCURA__OUTBOUND__ALLOW_HTTP", "true".to_owned()),
                ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000".to_owned()),
            ],
            is_restarted: true,
            ..HouseOptions::default()
        });
        let mut house = house;
        // At the stop it signs a checkpoint.
        house.stop();
        house.start_again();
        register(&house, "portal", "oauth21", json!({})).await;
        let isp = Isp::start(&house).await;
        let receiver = receiver(&heard).await;
        let software = house.software(Profile::Oauth21, |client| {
            client.registration.userinfo_signed_response_alg = Some(Algorithm::Es256);
            client.registration.backchannel_logout_uri = Some(receiver);
            client.grant_types.insert(DEVICE.to_owned());
        });
        let software = software.await;
        let environment = vec![("PROCURA__TOKENS__IS_DPOP_NONCE_REQUIRED", "true".to_owned())];
        let strict = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
        let there = strict.software(Profile::Oauth21, |_| {}).await;
        let visitor = house.visitor();
        let (start, _) = visitor.start();
        let page = visitor.visit(visitor.visit(start.as_str()).await.location()).await;
        let login = form(&page.expect(200).text, "login-form").with("email", PAT);
        let login = login.with("password", &house.demo().password);
        let pat = house.log_in(PAT).await;
        let nonces = (strict, there);
        let open = (visitor, login);
        Self { house, isp, software, nonces, pat, verifier: String::new(), open, heard }
    }

    /// What a place says to a value.
    async fn shown(&self, place: &str, value: &str) -> String {
        let (house, software) = (&self.house, &self.software);
        let answer = match place {
            "management API" => house.api(value, Method::GET, CUSTOMERS, None).await,
            "userinfo" => send(http().get(at(house, "/oauth2/userinfo")).bearer_auth(value)).await,
            "subject token" => house.token(&exchange_form(value, "acme-corp", READ_BILLING)).await,
            "introspection" => return yes(house.is_alive(value).await, ["active", "inactive"]),
            "resource server" => self.isp.get(value, BILLING).await,
            "code" => software.redeem(value, &self.verifier).await,
            "refresh token" => {
                let form = [("grant_type", "refresh_token"), ("refresh_token", value)];
                house.token(&form).await
            }
            "client assertion" => {
                let kind = ("client_assertion_type", procura_tests::ASSERTION);
                let form = [GRANT, kind, ("client_assertion", value)];
                software.post_bare("/oauth2/token", &form, &[]).await
            }
            "proof" => software.post("/oauth2/token", &[GRANT], &[value]).await,
            "device code" => {
                let form = [("grant_type", DEVICE), ("device_code", value)];
                software.post("/oauth2/token", &form, &[]).await
            }
            "nonce" => {
                let there = &self.nonces.1;
                let claims = proof_claims("POST", &there.uri("/oauth2/token"));
                let claims = merged(&claims, &json!({ "nonce": value }));
                let proof = there.holder.proof_with(&json!({}), &claims);
                there.post("/oauth2/token", &[GRANT], &[&proof]).await
            }
            "signed request" => {
                software.push(&json!({"client_id": software.id, "request": value})).await
            }
            "request URI" => house.visitor().visit(&software.at_uri(value)).await,
            "client secret" => {
                let (id, _) = credentials(house, "portal");
                house.token_by(Some((id, value)), &[GRANT]).await
            }
            _ => return self.shown_to_people(place, value).await,
        };
        said(&answer)
    }

    /// What is of these kinds is taken in its own places.
    async fn takes(&self, values: &Values, is_meant: impl Fn(&str) -> bool) {
        for (kind, place) in OWN.iter().filter(|(kind, _)| is_meant(kind)) {
            let (_, value) = values.iter().find(|(known, _)| known == kind).unwrap();
            let (_, taken, _) = PLACES.iter().find(|(known, ..)| known == place).unwrap();
            assert_eq!(self.shown(place, value).await, *taken, "{kind} shown as {place}");
        }
    }

    /// The same, for what is about people and resource servers.
    async fn shown_to_people(&self, place: &str, value: &str) -> String {
        let house = &self.house;
        let page = |path: &str, name: &str| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(name, value)
                .finish();
            format!("{path}?{query}")
        };
        let visitor = &self.open.0;
        let answer = match place {
            "secret of a resource server" => {
                let (id, _) = credentials(house, "isp");
                let request = http().get(at(house, "/revocations/snapshot"));
                send(request.basic_auth(id, Some(value))).await
            }
            "page of a login" => visitor.visit(&page("/login", "interaction")).await,
            "form token" => visitor.submit(&self.open.1.clone().with("form_token", value)).await,
            "session" => {
                let request: RequestBuilder = bare().get(at(house, "/logout"));
                let request = request.header(COOKIE, format!("procura-session={value}"));
                let is_somebody = send(request).await.text.contains("logout-confirm");
                return yes(is_somebody, ["somebody", "nobody"]);
            }
            "user code" => {
                let visitor = house.visitor();
                let page = visitor.visit("/device").await;
                let typed = form(&page.expect(200).text, "device-form").with("user_code", value);
                visitor.submit(&typed).await
            }
            "invitation" => house.visitor().visit(&page("/invitation", "token")).await,
            "partner code" => {
                let body = json!({ "partner_code": value });
                let path = "/api/v1/partner/relationships";
                house.api(&self.pat.home, Method::POST, path, Some(&body)).await
            }
            "hint" => {
                let answer =
                    send(bare().get(at(house, &page("/oauth2/logout", "id_token_hint")))).await;
                return yes(answer.header("location").is_none(), ["left", "asked"]);
            }
            _ => panic!("no place {place}"),
        };
        said(&answer)
    }

    /// What tokens are made of, one of each kind.
    async fn tokens(&self) -> Values {
        let (house, software, pat) = (&self.house, &self.software, &self.pat);
        let delegated = pat.switch("acme-corp", READ_BILLING).await;
        let machine = house.token(&[GRANT]).await;
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
        let (userinfo, logout) = self.of_a_login().await;
        let checkpoint = "SELECT statement FROM audit_checkpoints".to_owned();
        let checkpoint = ask(house, checkpoint).await.pop().expect("a checkpoint of the stop");
        vec![
            ("home token", pat.home.clone()),
            ("ID token", pat.id_token.clone()),
            ("delegated token", delegated),
            ("client's token", machine.expect(200).string("access_token")),
            ("signed introspection", introspection),
            ("signed answer", answer),
            ("signed userinfo", userinfo),
            ("logout token", logout),
            ("checkpoint", checkpoint),
        ]
    }

    /// Userinfo, signed, and the token by which the client heard of the end of that login.
    async fn of_a_login(&self) -> (String, String) {
        let (house, software) = (&self.house, &self.software);
        let visitor = house.visitor();
        let (start, verifier) = software.pushed(&json!({})).await;
        let code = visitor.code_by(&start, SAM).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.as_str()),
        ];
        let answer = software.post("/oauth2/token", &form, &[]).await;
        let home = answer.expect(200).string("access_token");
        let known = http().get(at(house, "/oauth2/userinfo")).bearer_auth(home);
        let known = send(known).await.expect(200).text.clone();
        assert_eq!(claims(&known)["sub"], house.user(SAM));
        let leave = format!("/oauth2/logout?id_token_hint={}", answer.string("id_token"));
        visitor.visit(&leave).await.expect(200);
        let heard = async || self.heard.lock().unwrap().first().cloned();
        let logout = eventually("the client hears of it", heard).await;
        (known, logout.replace("logout_token=", ""))
    }

    /// What clients and people hold, one of each kind.
    async fn held(&mut self) -> Values {
        let (house, software) = (&self.house, &self.software);
        let visitor = house.visitor();
        let (start, verifier) = software.pushed(&json!({})).await;
        let code = visitor.code_by(&start, PAT).await;
        let (asks, _) = software.asks(&json!({}));
        let uri = software.push(&asks).await.expect(201).string("request_uri");
        let nonce = self.nonces.1.token(&[GRANT]).await;
        let login = &self.open.1;
        let field = |name: &str| {
            login.fields.iter().find(|(known, _)| known == name).expect("a field").1.clone()
        };
        let new = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
        let made = self.pat.post("/api/partners/tenants", &new).await;
        let admin = made.expect(201).json()["admin"]["id"].as_str().unwrap().to_owned();
        let mail = house.data().join(format!("mail/invitation-{admin}.eml"));
        let mail = std::fs::read_to_string(mail).unwrap();
        let device = software.post("/oauth2/device_authorization", &[], &[]).await;
        let values = vec![
            ("code", code),
            ("refresh token", self.refresh_token().await),
            ("assertion", software.assertion()),
            ("proof", software.proof("/oauth2/token")),
            ("nonce", nonce.header("dpop-nonce").unwrap().to_owned()),
            ("signed request", software.signs(&asks, &json!({}))),
            ("request URI", uri),
            ("device code", device.expect(200).string("device_code")),
            ("user code", device.string("user_code")),
            ("secret", credentials(house, "portal").1.to_owned()),
            ("secret of a resource server", credentials(house, "isp").1.to_owned()),
            ("page of a login", field("interaction")),
            ("form token", field("form_token")),
            ("session", self.session().await),
            ("invitation", mail.split("token=").nth(1).unwrap().trim().to_owned()),
            ("partner code", house.demo().partner_codes["umbrella"].clone()),
            ("PKCE verifier", verifier.clone()),
            ("PKCE challenge", token_hash(&verifier)),
            ("key's thumbprint", software.holder.thumbprint()),
            ("user id", house.user(PAT).to_owned()),
            ("login's id", claims(&self.pat.home)["sid"].as_str().unwrap().to_owned()),
            ("token's id", claims(&self.pat.home)["jti"].as_str().unwrap().to_owned()),
            ("nothing", "nonsense".to_owned()),
        ];
        self.verifier = verifier;
        values
    }

    async fn refresh_token(&self) -> String {
        let portal = credentials(&self.house, "portal").0;
        let uri = "http://127.0.0.1:8400/callback";
        let visitor = self.house.visitor();
        let (start, verifier) = visitor.request_of(portal, uri, &[("prompt", "consent")]);
        let start = start.as_str().replace("scope=openid", "scope=openid+offline_access");
        let code = visitor.code_by(&start, PAT).await;
        visitor.redeem(&code, &verifier).await.expect(200).string("refresh_token")
    }

    /// The cookie of a login.
    async fn session(&self) -> String {
        let house = &self.house;
        let (answer, _) = house.visitor().try_log_in(PAT, &house.demo().password).await;
        let set = answer.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
        set.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
    }
}

/// A client's own server: its URL.
async fn receiver(heard: &Arc<Mutex<Vec<String>>>) -> String {
    let heard = Arc::clone(heard);
    let take = async move |body: String| heard.lock().unwrap().push(body);
    let routes = Router::new().route("/logout", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/logout", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test]
async fn nothing_is_taken_for_something_else() {
    let mut world = World::start().await;
    let tokens = world.tokens().await;
    // What lives for a minute is tried first, and in its own place at once.
    let mut values = world.held().await;
    values.extend(tokens);
    let mut faults = Vec::new();
    for (kind, value) in &values {
        for (place, _, refused) in
            PLACES.iter().filter(|(place, ..)| !OWN.contains(&(*kind, *place)))
        {
            let known = OTHERWISE.iter().find(|known| (known.0, known.1) == (*kind, *place));
            let expected = known.map_or(*refused, |known| known.2);
            let said = world.shown(place, value).await;
            if said != expected {
                faults.push(format!("{kind} shown as {place}: {said}, not {expected}"));
            }
        }
        if SHORT_LIVED.contains(kind) {
            world.takes(&values, |known| known == *kind).await;
        }
    }
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
    world.takes(&values, |kind| !SHORT_LIVED.contains(&kind)).await;
}
