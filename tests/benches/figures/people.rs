//! People who log in by the real pages, and the tokens that they get: everything that the load is
//! made of.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use procura_token::crypto::{fill_random, sha256};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    CONNECTIONS, Failure,
    http::{Connection, FORM, form, request},
};

/// Who works for northwind.
pub const PARTNER: &str = "pat@northwind.test";
/// The form's name of an access token.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SCOPE: &str = "openid profile email partner.tenants.list partner.tenants.switch_context \
                     tenant.admin operator.admin";

/// The part of `demo.json` that is needed here.
#[derive(Clone, Deserialize)]
pub struct Demo {
    /// The issuer.
    pub issuer: String,
    password: String,
    clients: std::collections::BTreeMap<String, Client>,
    tenants: std::collections::BTreeMap<String, String>,
}

/// A client of the demo.
#[derive(Clone, Deserialize)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    #[serde(default)]
    redirect_uri: String,
    /// The audience of the tokens that it takes.
    #[serde(default)]
    pub audience: String,
}

/// Somebody who has logged in, with the connection and the cookies of the browser.
pub struct Person {
    connection: Connection,
    demo: Arc<Demo>,
    cookies: Vec<String>,
}

impl Demo {
    /// Reads what the server wrote into its data folder.
    pub fn read(data: &Path) -> Result<Arc<Self>, Failure> {
        let text = std::fs::read_to_string(data.join("demo.json"))?;
        serde_json::from_str(&text).map(Arc::new).map_err(|e| Failure::new(&e.to_string()))
    }

    /// A client.
    pub fn client(&self, name: &str) -> Result<&Client, Failure> {
        self.clients.get(name).ok_or_else(|| Failure::new("a client is missing in demo.json"))
    }

    /// The `Authorization` header of a client.
    pub fn basic(&self, client: &str) -> Result<String, Failure> {
        let client = self.client(client)?;
        let pair = format!("{}:{}", client.client_id, client.client_secret);
        Ok(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// The id of a tenant.
    pub fn tenant(&self, slug: &str) -> Result<&str, Failure> {
        let id = self.tenants.get(slug).map(String::as_str);
        id.ok_or_else(|| Failure::new("a tenant is missing in demo.json"))
    }

    /// The request with which the portal exchanges a home token for one in acme-corp.
    pub fn exchange(&self, home: &str) -> Result<Vec<u8>, Failure> {
        self.exchange_into(self.tenant("acme-corp")?, home)
    }

    /// The same for another customer, by its id.
    pub fn exchange_into(&self, tenant: &str, home: &str) -> Result<Vec<u8>, Failure> {
        let body = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", home),
            ("subject_token_type", ACCESS_TOKEN),
            ("tenant_id", tenant),
            ("scope", "partner.billing.read partner.reports.read"),
            ("purpose", "support"),
            ("purpose_ref", "TCK-10293"),
        ]);
        let basic = self.basic("portal")?;
        Ok(request("POST /oauth2/token", &[FORM, ("Authorization", &basic)], &body))
    }
}

impl Person {
    /// Logs in, agrees where that is asked, and gets a first home token.
    pub async fn log_in(
        address: SocketAddr,
        demo: &Arc<Demo>,
        email: &str,
    ) -> Result<(Self, String), Failure> {
        let connection = Connection::open(address).await?;
        let mut person = Self { connection, demo: Arc::clone(demo), cookies: Vec::new() };
        let (ask, verifier) = person.start()?;
        let page = person.get(&ask).await?;
        let demo = Arc::clone(demo);
        let login = [("email", email), ("password", demo.password.as_str())];
        let mut to = person.submit("/login", &page, &login).await?;
        if to.starts_with("/consent") {
            to = person.submit("/consent", &to, &[("decision", "allow")]).await?;
        }
        let token = person.redeem(&to, &verifier).await?;
        Ok((person, token))
    }

    /// Another home token of the same login: what a portal gets that asks again.
    pub async fn another(&mut self) -> Result<String, Failure> {
        let (ask, verifier) = self.start()?;
        let to = self.get(&ask).await?;
        self.redeem(&to, &verifier).await
    }

    /// The authorization request, and the PKCE verifier that belongs to it.
    fn start(&self) -> Result<(String, String), Failure> {
        let mut random = [0; 32];
        fill_random(&mut random).map_err(|_| Failure::new("no randomness"))?;
        let verifier = URL_SAFE_NO_PAD.encode(random);
        let portal = self.demo.client("portal")?;
        let query = form(&[
            ("client_id", &portal.client_id),
            ("redirect_uri", &portal.redirect_uri),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("state", "figures"),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()]))),
            ("code_challenge_method", "S256"),
        ]);
        Ok((format!("/oauth2/authorize?{query}"), verifier))
    }

    /// Where a page leads to.
    async fn get(&mut self, path: &str) -> Result<String, Failure> {
        let cookies = self.cookies.join("; ");
        let bytes = request(&format!("GET {path}"), &[("Cookie", &cookies)], "");
        self.go(&bytes).await
    }

    /// Fills in the form of a page; where it leads to.
    async fn submit(
        &mut self,
        to: &str,
        page: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let cookies = self.cookies.join("; ");
        let shown = request(&format!("GET {page}"), &[("Cookie", &cookies)], "");
        let text = self.connection.ask(&shown).await?.expect(200)?.text();
        let hidden = "name=\"form_token\" value=\"";
        let token = text.split_once(hidden).and_then(|(_, rest)| rest.split('"').next());
        let token = token.ok_or_else(|| Failure::new("a page without its form"))?;
        let interaction = page.split_once("interaction=").map_or("", |(_, id)| id);
        let mut all = vec![("interaction", interaction), ("form_token", token)];
        all.extend_from_slice(fields);
        let headers = [FORM, ("Cookie", cookies.as_str())];
        let bytes = request(&format!("POST {to}"), &headers, &form(&all));
        self.go(&bytes).await
    }

    async fn go(&mut self, bytes: &[u8]) -> Result<String, Failure> {
        let answer = self.connection.ask(bytes).await?;
        for cookie in answer.headers("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default().to_owned();
            let name = pair.split('=').next().unwrap_or_default();
            self.cookies.retain(|known| known.split('=').next() != Some(name));
            self.cookies.push(pair);
        }
        answer.location().map(ToOwned::to_owned)
    }

    async fn redeem(&mut self, to: &str, verifier: &str) -> Result<String, Failure> {
        let code = to.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
        let code = code.ok_or_else(|| Failure::new(&format!("no code in {to}")))?;
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.demo.client("portal")?.redirect_uri),
            ("code_verifier", verifier),
        ]);
        let basic = self.demo.basic("portal")?;
        let bytes = request("POST /oauth2/token", &[FORM, ("Authorization", &basic)], &body);
        access_token(&self.connection.ask(&bytes).await?.expect(200)?.json()?)
    }
}

/// The token in an answer.
pub fn access_token(answer: &serde_json::Value) -> Result<String, Failure> {
    let token = answer["access_token"].as_str();
    token.map(ToOwned::to_owned).ok_or_else(|| Failure::new("an answer without a token"))
}

/// A browser may be sent away so many times.
const SLIPS: usize = 5;

/// Different home tokens of one person from as many logins as there are connections; as many as
/// `wanted`, or as time allows.
pub async fn home_tokens(
    address: SocketAddr,
    demo: &Arc<Demo>,
    (wanted, within): (usize, Duration),
) -> Result<Vec<String>, Failure> {
    // The first one agrees to what the portal may do; the others are not asked again.
    Person::log_in(address, demo, PARTNER).await?;
    let (until, taken) = (Instant::now() + within, Arc::new(AtomicUsize::new(0)));
    let mut browsers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (demo, taken) = (Arc::clone(demo), Arc::clone(&taken));
        browsers.spawn(async move {
            let (mut person, first) = Person::log_in(address, &demo, PARTNER).await?;
            let (mut tokens, mut slips) = (vec![first], 0);
            while Instant::now() < until
                && taken.fetch_add(1, Ordering::Relaxed) + CONNECTIONS < wanted
            {
                match person.another().await {
                    Ok(token) => tokens.push(token),
                    // A machine that stands still for seconds makes a server say: later.
                    Err(_) if slips < SLIPS => slips += 1,
                    Err(failure) => return Err(failure),
                }
            }
            Ok::<_, Failure>(tokens)
        });
    }
    let mut all = Vec::with_capacity(wanted);
    while let Some(tokens) = browsers.join_next().await {
        all.extend(tokens.map_err(|_| Failure::new("a browser crashed"))??);
    }
    Ok(all)
}

/// The payload of a token.
pub fn claims(token: &str) -> Result<Vec<u8>, Failure> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload.ok_or_else(|| Failure::new("not a token"))
}
