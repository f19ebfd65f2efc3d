//! Where a request came from, when proxies stand in between. A header is believed only from a proxy of
//! this deployment, and only as far as other such proxies have written it: whatever stands further left
//! is what the client made up.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::{config::Server, failure::Failure};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies of this deployment, and the header in which they say for whom they ask.
#[derive(Clone, Debug)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: HeaderName,
}

impl Proxies {
    /// As the configuration says.
    pub fn new(config: &Server) -> Result<Self, Failure> {
        let refuse = |what: String| Failure(format!("the configuration cannot be used: {what}"));
        let read = |text: &String| {
            let what = || format!("server.trusted_proxies: {text:?} is no network");
            network(text).ok_or_else(|| refuse(what()))
        };
        let trusted = config.trusted_proxies.iter().map(read).collect::<Result<_, _>>()?;
        let header = match config.client_address_header.as_str() {
            "x-forwarded-for" => X_FORWARDED_FOR,
            "forwarded" => header::FORWARDED,
            _ => {
                let what = "server.client_address_header must be x-forwarded-for or forwarded";
                return Err(refuse(what.to_owned()));
            }
        };
        Ok(Self { trusted, header })
    }

    /// The client's address: the rightmost that is no proxy of ours, or the last one that can be read.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let is_forwarded = self.header == header::FORWARDED;
        for value in headers.get_all(&self.header).iter().rev() {
            let Ok(text) = value.to_str() else { return client };
            for element in text.rsplit(',') {
                let node = if is_forwarded { node(element) } else { Some(element) };
                let Some(ip) = node.and_then(address) else { return client };
                client = ip;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&ip))
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn node(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], name: &'static str, peer: &str, values: &[&str]) -> String {
        let config = Server {
            trusted_proxies: trusted.iter().map(|text| (*text).to_owned()).collect(),
            client_address_header: name.to_owned(),
            ..Server::default()
        };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let proxies = Proxies::new(&config).unwrap();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_peer_says_for_whom_it_asks() {
        let asked = |peer: &str, values: &[&str]| {
            client(&["10.0.0.0/8", "fd00::/8"], "x-forwarded-for", peer, values)
        };
        assert_eq!(asked("192.0.2.9", &["198.51.100.1"]), "192.0.2.9", "a stranger says nothing");
        assert_eq!(asked("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(asked("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(asked("fd00::1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(asked("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_stands_left_of_the_client_is_made_up() {
        let asked =
            |values: &[&str]| client(&["10.0.0.0/8"], "x-forwarded-for", "10.0.0.1", values);
        assert_eq!(asked(&["203.0.113.5, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(asked(&["203.0.113.5", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(asked(&["203.0.113.5, 198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        assert_eq!(asked(&["10.9.9.9, 10.1.1.1"]), "10.9.9.9", "all of them ours");
        assert_eq!(
            asked(&["198.51.100.1, nonsense, 10.1.1.1"]),
            "10.1.1.1",
            "no further than that"
        );
        assert_eq!(asked(&["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(asked(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(asked(&["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_the_one() {
        let asked = |values: &[&str]| client(&["10.0.0.1"], "forwarded", "10.0.0.1", values);
        assert_eq!(asked(&["for=203.0.113.5, for=198.51.100.1;proto=https"]), "198.51.100.1");
        assert_eq!(asked(&["proto=https;For=\"[2001:db8::1]:4711\""]), "2001:db8::1");
        assert_eq!(asked(&["for=unknown"]), "10.0.0.1");
        assert_eq!(asked(&["for=_hidden, for=10.0.0.1"]), "10.0.0.1");
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        for good in ["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "::/0", "fd00::/8", "::1/128"] {
            assert!(network(good).is_some(), "{good}");
        }
        for bad in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "host/8"] {
            assert!(network(bad).is_none(), "{bad}");
        }
        let all = network("0.0.0.0/0").unwrap();
        assert!(all.contains(&"203.0.113.5".parse::<IpAddr>().unwrap()));
        assert!(!all.contains(&"2001:db8::1".parse::<IpAddr>().unwrap()));
    }
}
