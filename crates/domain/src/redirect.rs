//! Which URIs a browser may be sent to. What is registered is compared byte by byte later; here it is
//! only asked whether it can be a redirect URI at all (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).

use url::{Host, Url};

const MAX_BYTES: usize = 2000;

/// What kind of redirect URI it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `https`.
    Https,
    /// `http` on a loopback address.
    Loopback,
    /// A scheme of the app's own, with a dot in it (RFC 8252 §7.1): never `javascript:` or `data:`.
    PrivateUse,
}

/// The kind; `None` where it can be no redirect URI.
#[must_use]
pub fn kind(uri: &str) -> Option<Kind> {
    // What the grammar of RFC 3986 does not know, some browser reads in a way of its own.
    let is_plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b);
    if uri.len() > MAX_BYTES || !uri.bytes().all(is_plain) {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    let url = Url::parse(uri).ok()?;
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    });
    // No user information; and no name of a host that would say something of its own where it is put into a
    // header of ours.
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b);
    if authority.is_some_and(|authority| !authority.bytes().all(is_host)) {
        return None;
    }
    match scheme {
        "https" => authority.filter(|a| !a.is_empty()).map(|_| Kind::Https),
        "http" => (authority.is_some() && is_loopback(&url)).then_some(Kind::Loopback),
        other => {
            let is_plain = |b: u8| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')
            };
            let is_own = other.contains('.') && other.bytes().all(is_plain);
            (is_own && !rest.is_empty()).then_some(Kind::PrivateUse)
        }
    }
}

/// Whether it is a web address that a client can be registered with: `https`, or `http` on loopback.
#[must_use]
pub fn is_web(uri: &str) -> bool {
    matches!(kind(uri), Some(Kind::Https | Kind::Loopback))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_places_that_are_one_thing_to_everybody() {
        for (uri, expected) in [
            ("https://app.example/cb", Kind::Https),
            ("https://app.example/cb?dummy1=lorem&dummy2=ipsum", Kind::Https),
            ("https://app.example:8443/test/a/b", Kind::Https),
            ("http://127.0.0.1:8400/callback", Kind::Loopback),
            ("http://[::1]/cb", Kind::Loopback),
            ("http://localhost/cb", Kind::Loopback),
            ("com.example.app:/cb", Kind::PrivateUse),
        ] {
            assert_eq!(kind(uri), Some(expected), "{uri}");
        }
        for uri in [
            "",
            "app.example/cb",
            "//app.example/cb",
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost.evil.example/cb",
            "https://user@app.example/cb",
            "https://user:pw@app.example/cb",
            "https://@app.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "https://app.example/cb#fragment",
            "https://app.example/cb#",
            "https://app.example\\@evil.example/",
            "https://app.example;sandbox/cb",
            "https://app.example%3bsandbox/cb",
            "https://app.example,default-src/cb",
            "https://*/cb",
            "https://'none'/cb",
            "https://app.example/c b",
            "https://app.example/\ncb",
            "https://app.exämple/cb",
            "https:app.example/cb",
            "https:///cb",
            "HTTPS://app.example/cb",
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "myapp:/cb",
            "java.script\u{0}:x",
        ] {
            assert_eq!(kind(uri), None, "{uri:?}");
        }
        assert!(is_web("https://app.example/logo.png") && !is_web("com.example.app:/logo"));
    }
}
