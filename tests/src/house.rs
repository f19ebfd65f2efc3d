//! A whole authorization server of its own, with the demo world in it.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Answer, Person, Postgres, RawAnswer, Redis, Visitor,
    machine::Share,
    process::{Ended, Process, command, command_after, run},
    raw,
    scratch::Scratch,
    seeded::Seeded,
};

/// What `demo.json` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Demo {
    /// The issuer.
    pub issuer: String,
    /// Everybody's password.
    pub password: String,
    /// Clients by name.
    pub clients: BTreeMap<String, DemoClient>,
    /// Tenant ids by slug.
    pub tenants: BTreeMap<String, String>,
    /// User ids by e-mail address.
    pub users: BTreeMap<String, String>,
    /// Relationship ids by `partner>customer`.
    pub relationships: BTreeMap<String, String>,
    /// Partner codes by slug.
    pub partner_codes: BTreeMap<String, String>,
}

/// A client of the demo.
#[derive(Clone, Debug, Deserialize)]
pub struct DemoClient {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Option<String>,
    /// Where its codes go.
    pub redirect_uri: Option<String>,
    /// `aud` of the tokens that it takes.
    pub audience: Option<String>,
}

/// How a house differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct HouseOptions {
    /// Stays reachable at the same address after a restart.
    pub is_restarted: bool,
    /// Settings by environment variables.
    pub environment: Vec<(&'static str, String)>,
    /// The URL of a Postgres database. Without one it is SQLite, unless `PROCURA_TESTS_DATABASE` says
    /// `postgres`: then every house gets a database of the shared server.
    pub database: Option<String>,
    /// The most files that it may have open.
    pub open_files: Option<u32>,
    /// Whether its disk will fill up, by [`House::limit_files`].
    pub may_fill_up: bool,
}

impl HouseOptions {
    /// A house whose revocations are copied to this Redis.
    pub fn on(redis: &Redis) -> Self {
        Self { environment: vec![("PROCURA__REDIS__URL", redis.url())], ..Self::default() }
    }

    /// Whether it needs a first start of its own: settings decide what that makes.
    fn is_anew(&self) -> bool {
        let decides =
            |name: &str| name.starts_with("PROCURA__KEYS__") || name == "PROCURA_DEMO_AUDIENCE";
        self.environment.iter().any(|(name, _)| decides(name))
    }
}

/// A running server. Its folder goes when it goes.
#[derive(Debug)]
pub struct House {
    /// `None` while it is stopped.
    process: Option<Process>,
    options: HouseOptions,
    listen: String,
    folder: Scratch,
    world: Arc<World>,
    _share: Share,
}

/// What everybody who uses the house has to know.
#[derive(Debug)]
pub(crate) struct World {
    pub issuer: String,
    /// Where requests go: the issuer, or another node of it.
    pub url: String,
    pub demo: Demo,
    /// For requests that belong to no browser.
    pub http: reqwest::Client,
}

/// Runs `procura` with these arguments until it ends by itself.
pub fn procura(arguments: &[&str]) -> Ended {
    let mut command = command("procura");
    command.args(arguments);
    run(command)
}

/// The same, as another account with one more group. Only a superuser can do that.
pub fn procura_as(account: u32, group: u32, arguments: &[&str]) -> Ended {
    let procura = command("procura");
    let mut other = std::process::Command::new("setpriv");
    other.arg(format!("--reuid={account}")).arg(format!("--regid={account}"));
    other.arg(format!("--groups={group}")).arg(procura.get_program()).args(arguments);
    run(other)
}

/// The same, with these variables in its environment.
pub fn procura_in(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = command("procura");
    command.args(arguments).envs(environment.iter().copied());
    run(command)
}

impl House {
    /// Starts one with the demo world in it.
    pub fn start() -> Self {
        Self::start_with(HouseOptions::default())
    }

    /// Starts one that differs.
    pub fn start_with(mut options: HouseOptions) -> Self {
        let folder = Scratch::new();
        if options.database.is_none() && is_on_postgres() {
            let database = if options.is_anew() {
                Postgres::shared().database()
            } else {
                Seeded::copy_on_postgres(&data_in(&folder))
            };
            options.database = Some(database);
            return Self::open(folder, options);
        }
        Self::open_on_a_file(folder, options)
    }

    /// Starts one whose database is a file, for tests that look into it.
    pub fn on_a_file() -> Self {
        Self::on_a_file_with(HouseOptions::default())
    }

    /// The same, for one that differs.
    pub fn on_a_file_with(options: HouseOptions) -> Self {
        assert!(options.database.is_none(), "a file was asked for");
        Self::open_on_a_file(Scratch::new(), options)
    }

    fn open_on_a_file(folder: Scratch, options: HouseOptions) -> Self {
        if options.database.is_none() && !options.is_anew() {
            Seeded::copy_to(&data_in(&folder));
        }
        Self::open(folder, options)
    }

    pub(crate) fn open(folder: Scratch, options: HouseOptions) -> Self {
        let share = Share::of_the_machine();
        let port = if options.is_restarted { lasting_port() } else { 0 };
        let listen = format!("127.0.0.1:{port}");
        let process = start(&folder, &listen, &options, &["dev", "--demo"]);
        let issuer = process.url().to_owned();
        let demo = read_demo(&folder);
        assert_eq!(demo.issuer, issuer);
        let http = crate::person::http(&issuer, false);
        let url = issuer.clone();
        let world = Arc::new(World { issuer, url, demo, http });
        Self { process: Some(process), options, listen, folder, world, _share: share }
    }

    /// Starts one with what a file says instead of the demo world; `demo` tells how to use it.
    pub fn seeded(mut options: HouseOptions, seed: &Path, demo: Demo) -> Self {
        if options.database.is_none() && is_on_postgres() {
            options.database = Some(Postgres::shared().database());
        }
        let (folder, listen) = (Scratch::new(), "127.0.0.1:0".to_owned());
        let share = Share::of_the_machine();
        let seed = seed.to_str().expect("a plain path");
        let process = start(&folder, &listen, &options, &["serve", "--seed", seed]);
        let issuer = process.url().to_owned();
        let http = crate::person::http(&issuer, false);
        let url = issuer.clone();
        let world = Arc::new(World { issuer, url, demo, http });
        Self { process: Some(process), options, listen, folder, world, _share: share }
    }

    /// `procura …` on the database and the folder of this house.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        let data = self.data_text();
        let database: Vec<_> =
            self.database().map(|url| ("PROCURA__DATABASE__URL", url)).into_iter().collect();
        procura_in(&database, &[arguments, &["--data", &data]].concat())
    }

    /// Starts a server without the demo world, in a folder that goes with it.
    pub fn bare(options: &HouseOptions) -> (Process, Scratch) {
        let folder = Scratch::new();
        (start(&folder, "127.0.0.1:0", options, &["serve"]), folder)
    }

    /// Starts another node of the same deployment: the same database, master key and issuer.
    #[must_use]
    pub fn another_node(&self) -> Self {
        let folder = Scratch::new();
        let keys = data_in(&folder).join("keys");
        fs::create_dir_all(&keys).expect("a new folder");
        fs::copy(self.data().join("keys/master.key"), keys.join("master.key")).expect("a key");
        fs::copy(self.data().join("demo.json"), data_in(&folder).join("demo.json"))
            .expect("a demo");
        let mut options = self.options.clone();
        assert!(options.database.is_some(), "nodes share a Postgres database");
        options.environment.push(("PROCURA__SERVER__ISSUER", self.world.issuer.clone()));
        let share = Share::of_the_machine();
        let port = if options.is_restarted { lasting_port() } else { 0 };
        let listen = format!("127.0.0.1:{port}");
        let process = start(&folder, &listen, &options, &["serve"]);
        let world = Arc::new(World {
            issuer: self.world.issuer.clone(),
            url: process.url().to_owned(),
            demo: self.world.demo.clone(),
            http: self.world.http.clone(),
        });
        Self { process: Some(process), options, listen, folder, world, _share: share }
    }

    /// Ends the server without a word (SIGKILL), as a power cut would.
    pub fn kill(&mut self) {
        drop(self.process.take().expect("it runs"));
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop(&mut self) -> Ended {
        let mut process = self.process.take().expect("it runs");
        process.stop()
    }

    /// Starts it again on the same folder, at the same address.
    pub fn start_again(&mut self) {
        assert!(self.options.is_restarted, "ask for it in the options: the address must last");
        assert!(self.process.is_none(), "it runs");
        let verb: &[&str] =
            if self.world.url == self.world.issuer { &["dev", "--demo"] } else { &["serve"] };
        self.process = Some(start(&self.folder, &self.listen, &self.options, verb));
    }

    /// Lets the next start use another database; `None` is the file in the data folder.
    pub fn move_to(&mut self, database: Option<String>) {
        assert!(self.process.is_none(), "it runs");
        self.options.database = database;
    }

    /// From now on no file of the server can become larger than so many bytes, as on a disk that is full;
    /// `u64::MAX` takes the limit away. Its files are not on a disk of their own: that needs a superuser.
    pub fn limit_files(&self, bytes: u64) {
        self.process.as_ref().expect("it runs").limit_files(bytes);
    }

    /// Stops it in the middle of whatever it does; connections stay open and are answered no more.
    pub fn pause(&self) {
        self.process.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.as_ref().expect("it runs").signal("CONT");
    }

    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// The URL of its database, where that is Postgres.
    pub fn database(&self) -> Option<&str> {
        self.options.database.as_deref()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        data_in(&self.folder)
    }

    /// The data folder, as an argument.
    pub fn data_text(&self) -> String {
        self.data().to_str().expect("a plain path").to_owned()
    }

    /// Where this node listens.
    pub fn url(&self) -> &str {
        &self.world.url
    }

    /// The issuer: the root of all its URLs.
    pub fn issuer(&self) -> &str {
        &self.world.issuer
    }

    /// What it has said on standard error since it started.
    pub fn stderr(&self) -> String {
        self.process.as_ref().expect("it runs").stderr()
    }

    /// The private listener, where the settings ask for one.
    pub fn private_url(&self) -> &str {
        self.process.as_ref().expect("it runs").other_url("metrics")
    }

    /// What was seeded.
    pub fn demo(&self) -> &Demo {
        &self.world.demo
    }

    /// `demo.json` as it is now.
    pub fn demo_now(&self) -> Demo {
        read_demo(&self.folder)
    }

    /// The id of a tenant.
    #[track_caller]
    pub fn tenant(&self, slug: &str) -> &str {
        self.world.demo.tenants.get(slug).unwrap_or_else(|| panic!("no tenant {slug}"))
    }

    /// The id of a person.
    #[track_caller]
    pub fn user(&self, email: &str) -> &str {
        self.world.demo.users.get(email).unwrap_or_else(|| panic!("no user {email}"))
    }

    /// The path of a relationship, by `partner>customer`.
    #[track_caller]
    pub fn relationship(&self, name: &str) -> String {
        let id = self.world.demo.relationships.get(name);
        let id = id.unwrap_or_else(|| panic!("no relationship {name}"));
        format!("/api/v1/partner/relationships/{id}")
    }

    /// A person's browser, before any login.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(Arc::clone(&self.world))
    }

    /// Logs a person of the demo in by the real pages.
    pub async fn log_in(&self, email: &str) -> Person {
        self.visitor().log_in(email, &self.world.demo.password).await
    }

    /// A request to the token endpoint by the portal.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.world.token(form).await
    }

    /// A request to the token endpoint by another client, or by none.
    pub async fn token_by(&self, client: Option<(&str, &str)>, form: &[(&str, &str)]) -> Answer {
        let request = self.world.http.post(format!("{}/oauth2/token", self.world.url));
        let request = match client {
            Some((id, secret)) => request.basic_auth(id, Some(secret)),
            None => request,
        };
        Answer::of(request.form(form).send().await.expect("the server answers")).await
    }

    /// Whether the server calls a token alive, asked by the sample resource server (RFC 7662).
    pub async fn is_alive(&self, token: &str) -> bool {
        let isp = self.world.client("isp");
        let request = self
            .world
            .http
            .post(format!("{}/oauth2/introspect", self.world.url))
            .basic_auth(&isp.client_id, isp.client_secret.as_ref())
            .form(&[("token", token)]);
        let answer = Answer::of(request.send().await.expect("the server answers")).await;
        answer.expect(200).json()["active"].as_bool().expect("active is a boolean")
    }

    /// Revokes a token of the portal (RFC 7009).
    pub async fn revoke(&self, token: &str) -> Answer {
        let portal = self.world.client("portal");
        let request = self
            .world
            .http
            .post(format!("{}/oauth2/revoke", self.world.url))
            .basic_auth(&portal.client_id, portal.client_secret.as_ref())
            .form(&[("token", token)]);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// The same request to the token endpoint, byte by byte, and every byte of the answer.
    pub async fn token_raw(&self, form: &[(&str, &str)]) -> RawAnswer {
        let portal = self.world.client("portal");
        let secret = portal.client_secret.as_deref().unwrap_or_default();
        raw::post_token(&self.world.url, (&portal.client_id, secret), form).await
    }

    /// A request to the management API with any token.
    pub async fn api(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.world.api(token, method, path, body).await
    }
}

impl World {
    #[track_caller]
    pub fn client(&self, name: &str) -> &DemoClient {
        self.demo.clients.get(name).unwrap_or_else(|| panic!("no client {name}"))
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.try_token(form).await.expect("the server answers")
    }

    /// `None` where the server is gone.
    pub async fn try_token(&self, form: &[(&str, &str)]) -> Option<Answer> {
        let portal = self.client("portal");
        let request = self
            .http
            .post(format!("{}/oauth2/token", self.url))
            .basic_auth(&portal.client_id, portal.client_secret.as_ref())
            .form(form);
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    }

    pub async fn api(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let request = self.request(token, method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Answer::of(request.send().await.expect("the server answers")).await
    }

    pub fn request(&self, token: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token)
    }
}

fn is_on_postgres() -> bool {
    std::env::var("PROCURA_TESTS_DATABASE").is_ok_and(|database| database == "postgres")
}

fn start(folder: &Scratch, listen: &str, options: &HouseOptions, verb: &[&str]) -> Process {
    let mut command = match (options.open_files, options.may_fill_up) {
        (Some(files), _) => command_after("procura", &format!("ulimit -n {files}")),
        // A write beyond the limit is then an error, as on a full disk, and not the end.
        (None, true) => command_after("procura", "trap '' XFSZ"),
        (None, false) => command("procura"),
    };
    command.args(verb).args(["--listen", listen, "--data"]).arg(data_in(folder));
    command.envs(options.database.iter().map(|url| ("PROCURA__DATABASE__URL", url)));
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    Process::start("procura", command)
}

fn data_in(folder: &Scratch) -> PathBuf {
    folder.path().join("procura")
}

fn read_demo(folder: &Scratch) -> Demo {
    let file: &Path = &data_in(folder).join("demo.json");
    let text = fs::read_to_string(file).expect("the demo wrote it down");
    serde_json::from_str(&text).expect("demo.json")
}

/// A free port that stays free while its server is down for a moment: below those that the system
/// gives to whoever wants any.
pub fn lasting_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 500).expect("below 500") * 20;
    loop {
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
