//! Where a Redis is: the kinds of URL, read strictly.

use std::{fmt, path::PathBuf, str::FromStr};

/// The default port of a Redis.
const PORT: u16 = 6379;
/// The default port of a sentinel.
const SENTINEL_PORT: u16 = 26379;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub name: String,
    pub port: u16,
}

/// How many servers there are, and how the right one is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One server.
    Single(Host),
    /// One server on this machine.
    Unix(PathBuf),
    /// Sentinels know which server is the primary of this service.
    Sentinel(Vec<Host>, String),
    /// Any of these knows which one keeps our keys.
    Cluster(Vec<Host>),
}

/// Where a Redis is. Shown and debugged without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) kind: Kind,
    pub(crate) is_tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
}

/// The text is no address of a Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Another scheme than those that are known.
    #[error(
        "a redis URL begins with redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, \
         rediss+cluster or unix, and ://"
    )]
    Scheme,
    /// A host or port that is none, or none at all.
    #[error("a redis URL names hosts as HOST or HOST:PORT, several with commas")]
    Host,
    /// A path that does not fit the kind.
    #[error(
        "the path of a redis URL is a database number; with sentinels SERVICE or SERVICE/NUMBER, \
         with a cluster nothing, with unix the socket"
    )]
    Path,
    /// A user or password that is not percent-encoded text.
    #[error("user and password in a redis URL must be percent-encoded")]
    Credentials,
    /// A query or fragment: none is known.
    #[error("a redis URL has no query and no fragment")]
    Query,
}

impl Address {
    /// Whether the keys are spread over several servers.
    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(BadAddress::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(BadAddress::Query);
        }
        let (scheme, is_tls) = match scheme.strip_prefix("rediss") {
            Some(kind) => (kind, true),
            None if scheme == "unix" => ("unix", false),
            None => (scheme.strip_prefix("redis").ok_or(BadAddress::Scheme)?, false),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let (user, password, hosts) = split_credentials(authority)?;
        let (kind, database) = match scheme {
            "" => (Kind::Single(one(parse_hosts(hosts, PORT)?)?), parse_database(path)?),
            "+sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                let is_name = !service.is_empty() && service.bytes().all(|b| b.is_ascii_graphic());
                let service = is_name.then(|| service.to_owned()).ok_or(BadAddress::Path)?;
                let hosts = parse_hosts(hosts, SENTINEL_PORT)?;
                (Kind::Sentinel(hosts, service), parse_database(database)?)
            }
            "+cluster" if path.is_empty() => (Kind::Cluster(parse_hosts(hosts, PORT)?), 0),
            "+cluster" => return Err(BadAddress::Path),
            "unix" if !hosts.is_empty() => return Err(BadAddress::Host),
            "unix" if path.is_empty() => return Err(BadAddress::Path),
            "unix" => (Kind::Unix(PathBuf::from(format!("/{path}"))), 0),
            _ => return Err(BadAddress::Scheme),
        };
        Ok(Self { kind, is_tls, user, password, database })
    }
}

type Credentials<'a> = (Option<String>, Option<String>, &'a str);

fn split_credentials(authority: &str) -> Result<Credentials<'_>, BadAddress> {
    let Some((credentials, hosts)) = authority.rsplit_once('@') else {
        return Ok((None, None, authority));
    };
    // As everywhere: one word alone is a user, and a password alone stands after a colon.
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(percent_decoded(password)?)),
        None => (credentials, None),
    };
    let user = (!user.is_empty()).then(|| percent_decoded(user)).transpose()?;
    match (&user, &password) {
        // Redis knows no user without a password.
        (_, Some(_)) => Ok((user, password, hosts)),
        _ => Err(BadAddress::Credentials),
    }
}

fn percent_decoded(text: &str) -> Result<String, BadAddress> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit(), digit());
        let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(value.ok_or(BadAddress::Credentials)?);
    }
    String::from_utf8(decoded).map_err(|_| BadAddress::Credentials)
}

fn parse_hosts(text: &str, port: u16) -> Result<Vec<Host>, BadAddress> {
    text.split(',').map(|one| parse_host(one, port)).collect()
}

/// `NAME`, `NAME:PORT`, `[V6]` or `[V6]:PORT`.
fn parse_host(text: &str, port: u16) -> Result<Host, BadAddress> {
    let (name, rest) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(BadAddress::Host)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(BadAddress::Host);
    }
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(BadAddress::Host)?,
        None if rest.is_empty() => port,
        None => return Err(BadAddress::Host),
    };
    Ok(Host { name: name.to_owned(), port })
}

fn one(hosts: Vec<Host>) -> Result<Host, BadAddress> {
    let mut hosts = hosts.into_iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(host),
        _ => Err(BadAddress::Host),
    }
}

fn parse_database(path: &str) -> Result<i64, BadAddress> {
    if path.is_empty() {
        return Ok(0);
    }
    let is_number = path.len() <= 5 && path.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| path.parse().ok()).flatten().ok_or(BadAddress::Path)
}

/// A host or port from a server that redirects us.
pub(crate) fn parse_redirect(text: &str) -> Option<Host> {
    // An IPv6 address comes without brackets here, so the last colon parts it from the port.
    let (name, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(Host { name: name.trim_matches(['[', ']']).to_owned(), port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.is_tls { "s" } else { "" };
        match &self.kind {
            Kind::Unix(_) => f.write_str("unix://")?,
            Kind::Single(_) => write!(f, "redis{tls}://")?,
            Kind::Sentinel(..) => write!(f, "redis{tls}+sentinel://")?,
            Kind::Cluster(_) => write!(f, "redis{tls}+cluster://")?,
        }
        if self.password.is_some() {
            write!(f, "{}:***@", self.user.as_deref().unwrap_or_default())?;
        }
        match &self.kind {
            Kind::Unix(path) => write!(f, "{}", path.display())?,
            Kind::Single(host) => write!(f, "{host}")?,
            Kind::Sentinel(hosts, service) => write!(f, "{}/{service}", joined(hosts))?,
            Kind::Cluster(hosts) => f.write_str(&joined(hosts))?,
        }
        if self.database != 0 { write!(f, "/{}", self.database) } else { Ok(()) }
    }
}

fn joined(hosts: &[Host]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, BadAddress> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn every_kind_is_read_and_shown_without_its_password() {
        for (text, expected) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379"),
            ("redis://localhost:7000/2", "redis://localhost:7000/2"),
            ("rediss://user:hush@r.example", "rediss://user:***@r.example:6379"),
            ("redis://:hush@[::1]:7000", "redis://:***@[::1]:7000"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("redis+sentinel://a,b:7/main", "redis+sentinel://a:26379,b:7/main"),
            ("rediss+sentinel://u:p@a/main/3", "rediss+sentinel://u:***@a:26379/main/3"),
            ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
            ("rediss+cluster://a", "rediss+cluster://a:6379"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn credentials_are_percent_decoded() {
        let address: Address = "redis://a%40b:c%3Ad%2f@h".parse().unwrap();
        assert_eq!(address.user.as_deref(), Some("a@b"));
        assert_eq!(address.password.as_deref(), Some("c:d/"));
        for bad in ["redis://a:%4@h", "redis://a:%zz@h", "redis://a:%ff@h", "redis://a@h"] {
            assert_eq!(shown(bad), Err(BadAddress::Credentials), "{bad}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, why) in [
            ("", BadAddress::Scheme),
            ("localhost:6379", BadAddress::Scheme),
            ("http://localhost", BadAddress::Scheme),
            ("redis+unix://localhost", BadAddress::Scheme),
            ("rediss://h/#insecure", BadAddress::Query),
            ("redis://h?protocol=3", BadAddress::Query),
            ("redis://", BadAddress::Host),
            ("redis://a,b", BadAddress::Host),
            ("redis://h:0", BadAddress::Host),
            ("redis://h:99999", BadAddress::Host),
            ("redis://h h", BadAddress::Host),
            ("redis+cluster://a,,b", BadAddress::Host),
            ("redis://h/x", BadAddress::Path),
            ("redis://h/-1", BadAddress::Path),
            ("redis+sentinel://a", BadAddress::Path),
            ("redis+cluster://a/1", BadAddress::Path),
            ("unix://", BadAddress::Path),
            ("unix://host/path", BadAddress::Host),
        ] {
            assert_eq!(shown(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_redirect_names_a_host_and_a_port() {
        let host = |name: &str, port| Some(Host { name: name.into(), port });
        assert_eq!(parse_redirect("10.0.0.1:7001"), host("10.0.0.1", 7001));
        assert_eq!(parse_redirect("::1:7001"), host("::1", 7001));
        assert_eq!(parse_redirect("10.0.0.1"), None);
    }
}
