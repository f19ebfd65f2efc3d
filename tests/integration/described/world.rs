//! A world of four partners, two customers, one of them full of canaries, and a stranger, beside the demo world.

use std::{cell::Cell, collections::BTreeMap, fs};

use procura_tests::{Answer, House, HouseOptions, Person, Scratch, claims, eventually};
use reqwest::header::{AUTHORIZATION, IF_MATCH};
use serde_json::{Value, json};

use super::{
    callers::{basic_of, let_in, moved_to_a_resource_server},
    canaries::{ASKER, CANARY, ELSEWHERE, KEEPER, MARKS, MSP, NEIGHBOUR, Seen, Whose},
    samples::{Body, Sent},
};

pub const CUSTOMER: &str = "canary-9f-corp";
pub const SCOPE: &str = "partner.billing.read";
const ROOT: &str = "root@procura.test";

/// The stage, and what is on it now.
pub struct World {
    pub house: House,
    pub root: Person,
    pub ada: Person,
    pub partner: Person,
    /// `Authorization` by column.
    pub authorizations: BTreeMap<&'static str, String>,
    /// Delegated tokens that live to the end, each with the resource server that it is for.
    delegated: [(String, String); 2],
    http: reqwest::Client,
    pub code: String,
    /// What completes paths and bodies, by name.
    pub things: BTreeMap<&'static str, String>,
    made: Cell<u32>,
    pub seen: Seen,
}

/// Requests that belong to no browser.
pub fn http() -> reqwest::Client {
    let redirect = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(redirect).no_proxy().build().expect("a client")
}

pub fn email(name: &str, tenant: &str) -> String {
    if tenant == CUSTOMER {
        format!("{CANARY}-{name}@c.test")
    } else {
        format!("{name}@{tenant}.test")
    }
}

fn seed(password: &str) -> Value {
    let people = [
        ("ada", CUSTOMER, "tenant-admin"),
        ("amy", CUSTOMER, "tenant-admin"),
        ("mel", CUSTOMER, "member"),
        ("sue", CUSTOMER, "support-agent"),
        ("vic", CUSTOMER, "member"),
        ("pam", MSP, "partner-admin"),
        ("pia", MSP, "partner-support"),
        ("bob", MSP, "partner-billing"),
        ("tex", MSP, "partner-auditor"),
        ("kim", KEEPER, "partner-admin"),
        ("eve", ELSEWHERE, "partner-admin"),
        ("nia", NEIGHBOUR, "tenant-admin"),
        ("sid", "stranger", "tenant-admin"),
    ];
    let users = people.map(|(name, tenant, role)| {
        let shown = if tenant == CUSTOMER { format!("Canary-9f {name}") } else { name.to_owned() };
        json!({ "email": email(name, tenant), "tenant": tenant, "name": shown, "roles": [role],
                "password": password })
    });
    let far = format!("far-{ELSEWHERE}");
    let slugs = [CUSTOMER, MSP, KEEPER, ASKER, NEIGHBOUR, ELSEWHERE, &far, "stranger"];
    let tenants = slugs.map(|slug| json!({ "slug": slug, "name": format!("The {slug} Ltd") }));
    let secret = "a-secret-of-twenty-characters-or-more";
    json!({
        "tenants": tenants,
        "users": users,
        "clients": [
            { "id": "cli_canary-9f", "tenant": CUSTOMER, "name": "Canary-9f App", "secret": secret,
              "grant_types": ["authorization_code"], "scope": "openid",
              "redirect_uris": ["https://canary-9f.example/callback"] },
        ],
        "identity_providers": [
            { "tenant": CUSTOMER, "name": "canary-9f-idp", "issuer": "https://idp.canary-9f.example",
              "client_secret": secret,
              "settings": { "title": "Canary-9f", "client_id": "procura",
                            "domains": ["canary-9f.example"] } },
        ],
        "relationships": [
            { "partner": KEEPER, "customer": CUSTOMER, "role": "msp_full" },
            { "partner": ASKER, "customer": CUSTOMER, "role": "msp_full", "approval": "each_time" },
            { "partner": MSP, "customer": NEIGHBOUR, "role": "msp_full" },
            { "partner": ELSEWHERE, "customer": far, "role": "msp_full" },
        ],
    })
}

fn house() -> House {
    let environment = [
        // Each column is to get its own answer, not "too many".
        ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000"),
        ("PROCURA__REGISTRATION__ENABLED", "true"),
        ("PROCURA__REGISTRATION__PER_MINUTE", "1000"),
        ("PROCURA__METRICS__LISTEN", "127.0.0.1:0"),
        // All that it could ever say, statements too.
        ("PROCURA__LOG__FILTER", "debug"),
    ];
    let environment = environment.map(|(name, value)| (name, value.to_owned())).to_vec();
    let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
    let folder = Scratch::new();
    let file = folder.path().join("world.json");
    fs::write(&file, seed(&house.demo().password).to_string()).expect("a file");
    let done = house.command(&["import", file.to_str().expect("a plain path")]);
    assert!(done.status.success(), "{done:?}");
    house
}

impl World {
    pub async fn set() -> Self {
        let house = house();
        let root = house.log_in(ROOT).await;
        let ada = house.log_in(&email("ada", CUSTOMER)).await;
        let partner = house.log_in(&email("pam", MSP)).await;
        let keeper = house.log_in(&email("kim", KEEPER)).await;
        let (id, secret) = moved_to_a_resource_server(&house, &root).await;
        let for_server = keeper.switch(CUSTOMER, SCOPE).await;
        let audience = [("audience", house.issuer())];
        let for_issuer = keeper.exchange_with(CUSTOMER, SCOPE, &audience).await;
        let for_issuer = for_issuer.expect(200).string("access_token");
        assert_eq!(claims(&for_issuer)["aud"], house.issuer());
        let own = [("grant_type", "client_credentials"), ("scope", SCOPE)];
        let own = [&own[..], &[("resource", house.issuer())]].concat();
        let own = house.token(&own).await.expect(200).string("access_token");
        let people = [("padm", &partner), ("admn", &ada), ("oper", &root)];
        let tokens = [("dlgt", for_server.as_str()), ("dlgi", &for_issuer), ("clnt", &own)];
        let authorizations = let_in(&house, &people, &tokens).await;
        let code = ada.get("/api/tenants/partner-access").await.expect(200).string("partner_code");
        let jti = claims(&for_server)["jti"].as_str().expect("an id").to_owned();
        let for_itself = super::callers::basic(&id, &secret);
        let mut world = Self {
            delegated: [(for_server, basic_of(&house, "isp")), (for_issuer, for_itself)],
            house,
            root,
            ada,
            partner,
            authorizations,
            http: http(),
            code,
            things: BTreeMap::from([("jti", jti)]),
            made: Cell::new(0),
            seen: Seen::default(),
        };
        world.look_around().await;
        world
    }

    /// The code by which the customer can be asked now.
    pub async fn look_at_code(&mut self) {
        let access = self.ada.get("/api/tenants/partner-access").await;
        self.code = access.expect(200).string("partner_code");
    }

    /// Finds out the ids of what is there.
    async fn look_around(&mut self) {
        let users = self.ada.get("/api/tenants/users").await.expect(200).json();
        let mut vic = users.as_array().expect("a list").iter();
        let vic = vic.find(|user| user["email"] == email("vic", CUSTOMER).as_str()).expect("Vic");
        self.keep("user", vic["id"].as_str().expect("an id").to_owned());
        let pam = claims(&self.partner.home)["sub"].as_str().expect("an id").to_owned();
        self.keep("pam", pam);
        let providers = self.ada.get("/api/identity-providers").await.expect(200).json();
        self.keep("provider", providers[0]["id"].as_str().expect("an id").to_owned());
        self.keep("client", "cli_canary-9f".to_owned());
        self.keep("server", self.house.demo().clients["isp"].client_id.clone());
        for (thing, partner, customer) in [
            ("kept", KEEPER, CUSTOMER),
            ("asked", ASKER, CUSTOMER),
            ("near", MSP, NEIGHBOUR),
            ("far", ELSEWHERE, &format!("far-{ELSEWHERE}")),
        ] {
            let managing = format!("/auth/admin/tenants/{customer}/managed-by-tenants");
            let links = self.root.get(&managing).await.expect(200).json();
            let mut links = links.as_array().expect("a list").iter();
            let link = links.find(|link| link["tenant_slug"] == partner).expect("a partner");
            self.keep(thing, link["relationship_id"].as_str().expect("an id").to_owned());
        }
        for (thing, slug) in [
            ("tenant", CUSTOMER),
            ("msp", MSP),
            ("keeper", KEEPER),
            ("asker", ASKER),
            ("neighbour", NEIGHBOUR),
            ("elsewhere", ELSEWHERE),
        ] {
            self.keep(thing, self.tenant_of(slug).await);
        }
        for (thing, prefix) in [("request", "req_"), ("token", "itk_"), ("delegation", "dlg_")] {
            self.keep(thing, format!("{prefix}{:032x}", 1));
        }
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let device = json!({ "name": "A Device", "grant_types": [grant], "scope": "openid",
                             "registration": { "token_endpoint_auth_method": "none" } });
        self.make("device", "/api/clients", &device).await;
        self.write_policy().await;
        self.arrive("active").await;
    }

    async fn tenant_of(&self, slug: &str) -> String {
        let usage = self.root.get(&format!("/api/tenants/quotas?tenantId={slug}")).await;
        usage.expect(200).string("tenant_id")
    }

    /// A policy of the customer's that holds nowhere.
    pub async fn write_policy(&mut self) {
        let new = json!({ "name": "Canary-9f", "rules": { "session_max_secs": 86_400 } });
        let made = self.ada.post("/api/policies", &new).await;
        self.keep("policy", made.expect(201).string("id"));
    }

    pub fn keep(&mut self, thing: &'static str, id: String) {
        self.things.insert(thing, id);
    }

    /// A number that was not there before.
    pub fn next(&self) -> u32 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }

    /// Makes something as the operator, and remembers its id.
    pub async fn make(&mut self, thing: &'static str, path: &str, body: &Value) {
        let made = self.root.post(path, body).await;
        self.keep(thing, made.expect(201).string("id"));
    }

    /// What must stay with those whose it is: their marks, and ids.
    pub fn secrets(&self) -> Vec<(Whose, String)> {
        let mut all: Vec<_> =
            MARKS.iter().map(|(whose, mark)| (*whose, (*mark).to_owned())).collect();
        all.push((Whose::Inside, self.code.to_lowercase()));
        let ids = [
            (Whose::Customer, &["tenant"][..]),
            (Whose::Inside, &["user", "provider", "policy", "kept", "asked"]),
            (Whose::Msp, &["msp", "relationship", "pam"]),
            (Whose::Keeper, &["keeper"]),
            (Whose::Asker, &["asker"]),
            (Whose::Neighbour, &["neighbour", "near"]),
            (Whose::Elsewhere, &["elsewhere", "far"]),
        ];
        let ids = ids.iter().flat_map(|(whose, names)| {
            names.iter().map(|name| (*whose, self.things[name].clone()))
        });
        all.extend(ids);
        all
    }

    /// The same ids as `things`, of what is nowhere.
    pub fn of_nothing(&self) -> BTreeMap<&'static str, String> {
        let nothing = |id: &String| match id.split_once('_') {
            Some((prefix, rest)) if rest.len() == 32 => format!("{prefix}_{:032x}", 0xbad),
            Some(_) => "cli_nobody".to_owned(),
            None => id.clone(),
        };
        self.things.iter().map(|(name, id)| (*name, nothing(id))).collect()
    }

    /// Whether the delegated tokens were refused for what they are, and not because they had died.
    pub async fn are_delegated_alive(&self) -> bool {
        let mut all = true;
        for (token, server) in &self.delegated {
            let request = self.http.post(format!("{}/oauth2/introspect", self.house.url()));
            let request = request.header(AUTHORIZATION, server).form(&[("token", token)]);
            let answer = Answer::of(request.send().await.expect("the server answers")).await;
            all &= answer.expect(200).json()["active"] == true;
        }
        all
    }

    /// Sends a request as one of the columns. Whoever is told to come again does.
    pub async fn send(&self, sent: &Sent) -> Answer {
        eventually("the server has time", async || {
            Some(self.send_once(sent).await).filter(|answer| answer.status != 503)
        })
        .await
    }

    /// Of an answer without an end only the head is read.
    async fn send_once(&self, sent: &Sent) -> Answer {
        let url = format!("{}{}", self.house.url(), sent.path);
        let mut request = self.http.request(sent.method.clone(), url);
        if !sent.authorization.is_empty() {
            request = request.header(AUTHORIZATION, &sent.authorization);
        }
        if let Some(version) = &sent.version {
            request = request.header(IF_MATCH, version);
        }
        let request = match &sent.body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Form(form) => request.form(form),
        };
        let response = request.send().await.expect("the server answers");
        let is_endless = response.headers().get("content-type");
        if is_endless.is_some_and(|media| media == "text/event-stream") {
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            return Answer { status, headers, text: String::new() };
        }
        Answer::of(response).await
    }
}
