//! A world of three partners, a customer full of canaries, and a stranger, beside the demo world.

use std::{collections::BTreeMap, fs};

use procura_tests::{Answer, House, HouseOptions, Person, Scratch};
use reqwest::Method;
use serde_json::{Value, json};

/// In every name and address of the customer. Nobody else may ever see it.
pub const CANARY: &str = "canary-9f";
/// In every reason that the customer's people give. Its partners may not see it either.
pub const WHY: &str = "why-canary-7c";
const CUSTOMER: &str = "canary-9f-corp";
const ROOT: &str = "root@procura.test";
const WHOLE_KEY: &str = "* partner.tenants.list partner.tenants.provision";
const SCOPE: &str = "partner.billing.read";

/// Who calls, in the order of the table's columns.
pub const COLUMNS: &[(&str, &str)] = &[
    ("anon", "nobody"),
    ("strg", "tenant-admin of a stranger tenant"),
    ("dlgt", "a delegated token in the customer"),
    ("clnt", "a client's own token"),
    ("memb", "member of the customer"),
    ("supp", "support-agent of the customer"),
    ("pbil", "partner-billing"),
    ("paud", "partner-auditor"),
    ("psup", "partner-support"),
    ("padm", "partner-admin"),
    ("admn", "tenant-admin of the customer"),
    ("oper", "super-admin"),
    ("rsrv", "a resource server, by HTTP Basic"),
    ("akey", "a key of the partner-admin's, for all that keys can do"),
];
/// As many of them, from the left, can change nothing of the customer's.
pub const HARMLESS: usize = 4;

/// The states that a relationship is tried in.
pub const STATES: &[&str] = &["requested", "active", "suspended", "declined", "ended"];

/// The stage, and what is on it now.
pub struct World {
    pub house: House,
    pub root: Person,
    pub ada: Person,
    pub partner: Person,
    asker: Person,
    /// `Authorization` by column.
    pub authorizations: BTreeMap<&'static str, String>,
    pub delegated: String,
    http: reqwest::Client,
    code: String,
    /// What completes paths and bodies, by name.
    pub things: BTreeMap<&'static str, String>,
    made: u32,
    /// How often the customer's admin was shown what nobody else may see: a canary, and a reason.
    pub shown: (u32, u32),
}

/// Requests that belong to no browser.
pub fn http() -> reqwest::Client {
    let redirect = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(redirect).no_proxy().build().expect("a client")
}

fn email(name: &str, tenant: &str) -> String {
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
        ("pam", "msp", "partner-admin"),
        ("pia", "msp", "partner-support"),
        ("bob", "msp", "partner-billing"),
        ("tex", "msp", "partner-auditor"),
        ("kim", "keeper", "partner-admin"),
        ("ask", "asker", "partner-admin"),
        ("sid", "stranger", "tenant-admin"),
    ];
    let users = people.map(|(name, tenant, role)| {
        let shown = if tenant == CUSTOMER { format!("Canary-9f {name}") } else { name.to_owned() };
        json!({ "email": email(name, tenant), "tenant": tenant, "name": shown, "roles": [role],
                "password": password })
    });
    let secret = "a-secret-of-twenty-characters-or-more";
    json!({
        "tenants": [
            { "slug": CUSTOMER, "name": "Canary-9f Corp" },
            { "slug": "msp", "name": "The MSP" },
            { "slug": "keeper", "name": "The Keeper" },
            { "slug": "asker", "name": "The Asker" },
            { "slug": "stranger", "name": "Stranger Ltd" },
        ],
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
            { "partner": "keeper", "customer": CUSTOMER, "role": "msp_full" },
            { "partner": "asker", "customer": CUSTOMER, "role": "msp_full", "approval": "each_time" },
        ],
    })
}

impl World {
    pub async fn set() -> Self {
        let environment = [
            // Each column is to get its own answer, not "too many".
            ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000"),
            ("PROCURA__REGISTRATION__ENABLED", "true"),
            ("PROCURA__REGISTRATION__PER_MINUTE", "1000"),
            ("PROCURA__METRICS__LISTEN", "127.0.0.1:0"),
        ];
        let environment = environment.map(|(name, value)| (name, value.to_owned())).to_vec();
        let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
        let folder = Scratch::new();
        let file = folder.path().join("world.json");
        fs::write(&file, seed(&house.demo().password).to_string()).expect("a file");
        let done = house.command(&["import", file.to_str().expect("a plain path")]);
        assert!(done.status.success(), "{done:?}");
        let root = house.log_in(ROOT).await;
        let ada = house.log_in(&email("ada", CUSTOMER)).await;
        let partner = house.log_in(&email("pam", "msp")).await;
        let asker = house.log_in(&email("ask", "asker")).await;
        let keeper = house.log_in(&email("kim", "keeper")).await;
        let delegated = keeper.switch(CUSTOMER, SCOPE).await;
        let code = ada.get("/api/tenants/partner-access").await.expect(200).string("partner_code");
        let (authorizations, things) = (BTreeMap::new(), BTreeMap::new());
        let (made, shown) = (0, (0, 0));
        let http = http();
        let mut world = Self {
            house,
            root,
            ada,
            partner,
            asker,
            authorizations,
            delegated,
            http,
            code,
            things,
            made,
            shown,
        };
        world.let_in().await;
        world.look_around().await;
        world
    }

    /// The code by which the customer can be asked now.
    pub async fn look_at_code(&mut self) {
        let access = self.ada.get("/api/tenants/partner-access").await;
        self.code = access.expect(200).string("partner_code");
    }

    async fn let_in(&mut self) {
        let mut all = BTreeMap::from([("anon", String::new())]);
        let own = [("grant_type", "client_credentials"), ("scope", SCOPE)];
        let own = self.house.token(&own).await.expect(200).string("access_token");
        for (column, token) in [
            ("clnt", &own),
            ("dlgt", &self.delegated),
            ("padm", &self.partner.home),
            ("admn", &self.ada.home),
            ("oper", &self.root.home),
        ] {
            all.insert(column, format!("Bearer {token}"));
        }
        for (column, name, tenant) in [
            ("strg", "sid", "stranger"),
            ("memb", "mel", CUSTOMER),
            ("supp", "sue", CUSTOMER),
            ("pbil", "bob", "msp"),
            ("paud", "tex", "msp"),
            ("psup", "pia", "msp"),
        ] {
            let person = self.house.log_in(&email(name, tenant)).await;
            all.insert(column, format!("Bearer {}", person.home));
        }
        let isp = &self.house.demo().clients["isp"];
        let secret = isp.client_secret.as_deref().expect("a secret");
        let basic = self.http.get("http://x.test/").basic_auth(&isp.client_id, Some(secret));
        let basic = basic.build().expect("a request");
        let basic = basic.headers()["authorization"].to_str().expect("a text").to_owned();
        all.insert("rsrv", basic);
        let key = self.partner.post("/api/api-keys", &self.key(WHOLE_KEY)).await;
        all.insert("akey", format!("Bearer {}", key.expect(201).string("key")));
        self.authorizations = all;
    }

    /// Finds out the ids of what is there.
    async fn look_around(&mut self) {
        let users = self.ada.get("/api/tenants/users").await.expect(200).json();
        let vic = users.as_array().expect("a list").iter();
        let mut vic = vic.filter(|user| user["email"] == email("vic", CUSTOMER).as_str());
        let vic = vic.next().expect("Vic")["id"].as_str().expect("an id").to_owned();
        let providers = self.ada.get("/api/identity-providers").await.expect(200).json();
        let managing = format!("/auth/admin/tenants/{CUSTOMER}/managed-by-tenants");
        let links = self.ada.get(&managing).await.expect(200).json();
        let tenant =
            self.ada.get("/api/clients/cli_canary-9f").await.expect(200).string("tenant_id");
        self.keep("user", vic);
        self.keep("provider", providers[0]["id"].as_str().expect("an id").to_owned());
        self.keep("client", "cli_canary-9f".to_owned());
        self.keep("server", self.house.demo().clients["isp"].client_id.clone());
        self.keep("tenant", tenant);
        self.keep("kept", links[0]["relationship_id"].as_str().expect("an id").to_owned());
        for (thing, prefix) in [("request", "req_"), ("token", "itk_"), ("delegation", "dlg_")] {
            self.keep(thing, format!("{prefix}{:032x}", 1));
        }
        self.write_policy().await;
        self.arrive("active").await;
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
    pub fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// The ids of the customer's that must stay with it.
    pub fn secrets(&self) -> Vec<String> {
        let mut all = vec![CANARY.to_owned(), WHY.to_owned(), self.code.to_lowercase()];
        let ids = ["user", "provider", "tenant", "kept", "relationship", "policy"];
        all.extend(ids.map(|name| self.things[name].clone()));
        all
    }

    /// The body of a request for a key.
    pub fn key(&self, permissions: &str) -> Value {
        let client = &self.house.demo().clients["portal"].client_id;
        json!({ "client_id": client, "name": "nightly", "permissions": permissions })
    }

    /// The body of a request for a relationship.
    pub fn wish(&self) -> Value {
        json!({ "partner_code": self.code, "access_role": "msp_full", "reason": "to help" })
    }

    fn path(&self) -> String {
        format!("/api/v1/partner/relationships/{}", self.things["relationship"])
    }

    /// Ends what there is between the MSP and the customer, and comes to this state anew.
    pub async fn arrive(&mut self, state: &str) {
        self.part().await;
        let made = self.partner.post("/api/v1/partner/relationships", &self.wish()).await;
        self.keep("relationship", made.expect(201).string("id"));
        let path = self.path();
        let answer = match state {
            "requested" => return,
            "declined" => "decline",
            _ => "approve",
        };
        self.ada.step(&format!("{path}/{answer}")).await.expect(200);
        if state != "declined" {
            let reason = json!({ "conditions": { "max_age_secs": 3000 }, "reason": WHY });
            self.ada.patch(&path, &reason).await.expect(200);
        }
        match state {
            "suspended" => self.ada.step(&format!("{path}/suspend")).await,
            "ended" => self.ada.delete(&path).await,
            _ => return,
        }
        .expect(200);
    }

    /// Ends whatever lives between the MSP and the customer.
    async fn part(&self) {
        let links = self.partner.get("/api/v1/partner/customers").await.expect(200).json();
        let links = links.as_array().expect("a list").iter();
        for link in links.filter(|link| link["kind"] == "manages") {
            let id = link["relationship_id"].as_str().expect("an id");
            let path = format!("/api/v1/partner/relationships/{id}");
            match link["state"].as_str().expect("a state") {
                "requested" => self.ada.step(&format!("{path}/decline")).await,
                "active" | "suspended" => self.root.delete(&path).await,
                _ => continue,
            }
            .expect(200);
        }
    }

    /// Asks to be let in, for a purpose that nobody has answered yet.
    pub async fn be_asked(&mut self) {
        let reference = format!("TCK-{}", self.next());
        let why = [("purpose", "support"), ("purpose_ref", reference.as_str())];
        self.asker.exchange_with(CUSTOMER, SCOPE, &why).await.expect(400);
        let listed = self.ada.get("/api/tenants/access-requests").await.expect(200).json();
        assert_eq!(listed[0]["state"], "waiting", "{listed}");
        self.keep("request", listed[0]["id"].as_str().expect("an id").to_owned());
    }

    /// Begins a delegation of the MSP's in the customer.
    pub async fn enter(&mut self) {
        let made = self.partner.exchange(CUSTOMER, SCOPE).await;
        self.keep("delegation", made.expect(200).string("delegation_id"));
    }

    /// Makes something as the operator, and remembers its id.
    pub async fn make(&mut self, thing: &'static str, path: &str, body: &Value) {
        let made = self.root.post(path, body).await;
        self.keep(thing, made.expect(201).string("id"));
    }

    /// Sends a request as one of the columns. Of an answer without an end only the head is read.
    pub async fn send(
        &self,
        column: &str,
        (method, path): (Method, &str),
        body: &super::samples::Body,
    ) -> Answer {
        use super::samples::Body;
        let request = self.http.request(method, format!("{}{path}", self.house.url()));
        let authorization = &self.authorizations[column];
        let request = if authorization.is_empty() {
            request
        } else {
            request.header("authorization", authorization)
        };
        let request = match body {
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
