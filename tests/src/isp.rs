//! The sample resource server, beside a house.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::{
    Answer, House, eventually,
    process::{Process, command},
    scratch::Scratch,
};

/// A running sample ISP.
#[derive(Debug)]
pub struct Isp {
    process: Process,
    http: reqwest::Client,
    _folder: Scratch,
}

impl Isp {
    /// Starts one that belongs to the house, and waits until it judges tokens by itself.
    pub async fn start(house: &House) -> Self {
        Self::start_with(house, &[]).await
    }

    /// Starts one that listens there, and waits until it judges tokens by itself.
    pub async fn start_at(house: &House, listen: &str) -> Self {
        Self::open(house, listen, &[]).await
    }

    /// Starts one with more arguments, and waits until it judges tokens by itself.
    pub async fn start_with(house: &House, arguments: &[&str]) -> Self {
        Self::open(house, "127.0.0.1:0", arguments).await
    }

    async fn open(house: &House, listen: &str, arguments: &[&str]) -> Self {
        let folder = Scratch::new();
        let mut command = command("sample-isp");
        command.args(["--listen", listen, "--data"]).arg(folder.path().join("isp"));
        command.arg("--demo").arg(house.data().join("demo.json"));
        if house.url() != house.issuer() {
            command.args(["--issuer-address", house.url()]);
        }
        command.args(arguments);
        let process = Process::start("sample-isp", command);
        let http = crate::person::http(process.url(), false);
        let isp = Self { process, http, _folder: folder };
        eventually("the verifier holds a lease", async || isp.is_ready().await.then_some(())).await;
        isp
    }

    /// Whether its verifier follows the feed and holds a lease.
    pub async fn is_ready(&self) -> bool {
        self.health().await["is_verifier_ready"] == true
    }

    /// Waits until revocations come from Redis, or from elsewhere.
    pub async fn follows_copy(&self, wanted: bool) {
        eventually(&format!("the copy is followed: {wanted}"), async || {
            (self.health().await["is_copy_followed"] == wanted).then_some(())
        })
        .await;
    }

    async fn health(&self) -> Value {
        let request = self.http.get(format!("{}/health", self.process.url()));
        send(request).await.expect(200).json()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        self.process.url()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// A request without a token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.process.url()))
    }

    /// A request, to be changed before it is sent.
    pub fn request(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.process.url())).bearer_auth(token)
    }

    /// Reads with a token, and comes again for as long as it is told to: on a machine that stands still for
    /// seconds, a lease ends before the next one is there.
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        eventually("the sample ISP can judge the token", async || {
            let answer = self.get_once(token, path).await;
            (answer.status != 503 || answer.header("retry-after").is_none()).then_some(answer)
        })
        .await
    }

    /// Reads with a token, whatever the answer is.
    pub async fn get_once(&self, token: &str, path: &str) -> Answer {
        send(self.request(token, Method::GET, path)).await
    }

    /// Reads with a token, naming the tenant in which the client believes to act.
    pub async fn get_as(&self, token: &str, path: &str, tenant: &str) -> Answer {
        let request = self.request(token, Method::GET, path);
        send(request.header("X-Active-Tenant-Id", tenant)).await
    }

    /// Writes with a token.
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        send(self.request(token, Method::POST, path).json(body)).await
    }
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.expect("the sample ISP answers")).await
}
