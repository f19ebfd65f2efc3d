//! One call: the URL checked, a turn taken, the answer read up to its bound.

use std::{
    error::Error as _,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use reqwest::{Client, RequestBuilder, Response, header::ACCEPT, redirect::Policy};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url, form_urlencoded::byte_serialize};

use crate::{Error, Settings, addresses::Addresses, names::Names, turns::Turns};

/// A longer URL is none that somebody registered.
const MAX_URL_BYTES: usize = 2048;
/// What servers of other protocols listen on is below this.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// The client. Cheap to clone; all clones share their turns.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    settings: Settings,
    turns: Turns,
    https: Line,
    /// Leads to allowed addresses alone.
    http: Line,
}

/// A client for one scheme, made at the first call: reading the system's authorities takes time that a
/// command without a call does not have.
struct Line {
    addresses: Addresses,
    client: OnceLock<Option<Client>>,
}

impl Outbound {
    /// With these settings. Connects to nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let line = |addresses| Line { addresses, client: OnceLock::new() };
        let https = line(settings.addresses.clone());
        let http = line(settings.addresses.only_allowed());
        Self(Arc::new(Inner { settings, turns: Turns::default(), https, http }))
    }

    /// Whether a URL can be called, as far as it can be said without looking its name up: for the moment
    /// when somebody registers it. Each call checks again.
    pub fn check(&self, text: &str) -> Result<Url, Error> {
        // The parser would take tabs and line ends out, blanks at the ends, and surplus slashes.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
        if !is_plain || !has_host || text.len() > MAX_URL_BYTES {
            return Err(Error::BadUrl);
        }
        let url = Url::parse(text).map_err(|_| Error::BadUrl)?;
        let line = self.line(&url)?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        if !is_bare || url.fragment().is_some() || !has_good_port(&url) {
            return Err(Error::BadUrl);
        }
        // A name is looked up when it is called. An address is connected to as it is.
        let ip = match url.host().ok_or(Error::BadUrl)? {
            Host::Domain(_) => return Ok(url),
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
        };
        if line.addresses.admit(ip) { Ok(url) } else { Err(Error::AddressRefused) }
    }

    /// The JSON at this URL, where the status is 200.
    pub async fn get_json(&self, url: &str) -> Result<Value, Error> {
        const JSON: &str = "application/json, application/jwk-set+json";
        let url = self.check(url)?;
        self.within(&url, async |client| {
            let response = self.send(&url, client.get(url.clone()).header(ACCEPT, JSON)).await?;
            match response.status().as_u16() {
                200 => {
                    let body = self.read(response).await?;
                    serde_json::from_slice(&body).map_err(|_| Error::Malformed)
                }
                other => Err(Error::Status(other)),
            }
        })
        .await
    }

    /// Posts a form; answers the status. What else the answer says is not read.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, Error> {
        let url = self.check(url)?;
        self.within(&url, async |client| {
            let response = self.send(&url, client.post(url.clone()).form(fields)).await?;
            Ok(response.status().as_u16())
        })
        .await
    }

    /// Posts a form, with an id and a secret in the header where they are given (RFC 6749 §2.3.1); the JSON
    /// of the answer, where the status is 200.
    pub async fn post_form_for_json(
        &self,
        url: &str,
        basic: Option<(&str, &str)>,
        fields: &[(&str, &str)],
    ) -> Result<Value, Error> {
        let url = self.check(url)?;
        self.within(&url, async |client| {
            let mut request = client.post(url.clone()).header(ACCEPT, "application/json");
            if let Some((id, secret)) = basic {
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encode(id), Some(encode(secret)));
            }
            let response = self.send(&url, request.form(fields)).await?;
            match response.status().as_u16() {
                200 => {
                    let body = self.read(response).await?;
                    serde_json::from_slice(&body).map_err(|_| Error::Malformed)
                }
                other => Err(Error::Status(other)),
            }
        })
        .await
    }

    fn line(&self, url: &Url) -> Result<&Line, Error> {
        match url.scheme() {
            "https" => Ok(&self.0.https),
            "http" if self.0.settings.allows_http => Ok(&self.0.http),
            _ => Err(Error::BadUrl),
        }
    }

    /// Takes a turn and does it, all within the time of one call.
    async fn within<T>(
        &self,
        url: &Url,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let client = self.line(url)?.client(&self.0.settings).ok_or(Error::Unreachable)?;
        let deadline = Instant::now() + self.0.settings.answer_within;
        let port = url.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        let turn = timeout_at(deadline, self.0.turns.take(host)).await;
        let _turn = turn.map_err(|_| Error::Busy)??;
        timeout_at(deadline, work(client)).await.map_err(|_| Error::Slow)?
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| reason(&error))?;
        // A second look, at who really answers.
        let addresses = &self.line(url)?.addresses;
        let is_right = response.remote_addr().is_some_and(|at| addresses.admit(at.ip()));
        if is_right { Ok(response) } else { Err(Error::AddressRefused) }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if body.len() + chunk.len() > self.0.settings.max_bytes {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Line {
    fn client(&self, settings: &Settings) -> Option<&Client> {
        let build = || match self.build(settings) {
            Ok(client) => Some(client),
            Err(error) => {
                // Such as a machine without any certificate authority.
                let error = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, "nobody can be called: the client cannot be made");
                None
            }
        };
        self.client.get_or_init(build).as_ref()
    }

    fn build(&self, settings: &Settings) -> reqwest::Result<Client> {
        Client::builder()
            .dns_resolver(Names::new(self.addresses.clone()))
            .tls_certs_merge(settings.authorities.clone())
            .user_agent(concat!("procura/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_within)
            // What was checked is what is used: no connection outlives its call.
            .pool_max_idle_per_host(0)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            // The bound on an answer counts what is unpacked; so nothing is packed.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
    }
}

fn has_good_port(url: &Url) -> bool {
    let port = url.port_or_known_default();
    port.is_some_and(|port| port >= FIRST_UNPRIVILEGED_PORT || is_usual(url.scheme(), port))
}

fn is_usual(scheme: &str, port: u16) -> bool {
    matches!((scheme, port), ("https", 443) | ("http", 80))
}

/// Why a call failed: what our resolver said, or the client.
fn reason(error: &reqwest::Error) -> Error {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return *ours;
        }
        cause = error.source();
    }
    if error.is_timeout() { Error::Slow } else { Error::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: Settings, url: &str) -> Result<(), Error> {
        Outbound::new(settings).check(url).map(drop)
    }

    #[test]
    fn a_url_is_called_over_https_on_a_port_for_it() {
        for good in [
            "https://client.example/jwks",
            "https://client.example:443/",
            "https://client.example:8443/logout?tenant=a",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]:1024/",
        ] {
            assert_eq!(check(Settings::default(), good), Ok(()), "{good}");
        }
        let long = format!("https://client.example/{}", "x".repeat(MAX_URL_BYTES));
        for bad in [
            "",
            "client.example",
            "//client.example/",
            "http://client.example/",
            "ftp://client.example/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_FLUSHALL",
            "data:application/json,{}",
            "https://user@client.example/",
            "https://user:word@client.example/",
            "https://:word@client.example/",
            "https://client.example/#x",
            "https://client.example:22/",
            "https://client.example:80/",
            "https://client.example:1023/",
            "https://client.example:0/",
            "https://client.example:65536/",
            "https://",
            "https:///jwks",
            "https:client.example",
            "https:\\\\client.example/",
            "https://client.example\\@127.0.0.1/",
            " https://client.example/",
            "https://client.example/\n",
            "ht\ttps://client.example/",
            "https://client.exämple/",
            &long,
        ] {
            assert_eq!(check(Settings::default(), bad), Err(Error::BadUrl), "{bad}");
        }
    }

    #[test]
    fn an_address_within_a_url_is_judged_in_all_its_spellings() {
        for inside in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[fe80::1]/",
            "https://10.0.0.1:8443/",
            "https://0.0.0.0/",
            "https://0/",
        ] {
            assert_eq!(check(Settings::default(), inside), Err(Error::AddressRefused), "{inside}");
        }
        let allowing = || Settings::default().allowing(&["127.0.0.0/8".to_owned()]).unwrap();
        assert_eq!(check(allowing(), "https://2130706433/"), Ok(()));
        assert_eq!(check(allowing(), "https://10.0.0.1/"), Err(Error::AddressRefused));
    }

    #[test]
    fn plain_http_needs_a_permission_and_an_allowed_address() {
        let allowing = Settings::default().allowing(&["127.0.0.0/8".to_owned()]).unwrap();
        assert_eq!(check(allowing.clone(), "http://127.0.0.1:8080/"), Err(Error::BadUrl));
        let with_http = Settings { allows_http: true, ..allowing };
        assert_eq!(check(with_http.clone(), "http://127.0.0.1:8080/"), Ok(()));
        assert_eq!(check(with_http.clone(), "http://1.1.1.1/"), Err(Error::AddressRefused));
        assert_eq!(check(with_http, "http://127.0.0.1:443/"), Err(Error::BadUrl));
    }
}
