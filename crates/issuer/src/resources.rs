//! Resource indicators (RFC 8707): which resource servers a login is for, and for which one of them a home
//! token is. A token is for one, so whoever named several says each time which.

use procura_domain::Refusal;
use procura_store::{
    Tx,
    clients::{Client, ResourceServer},
};

use crate::{Error, Issuer, Result, authorize::Pending};

/// What is no resource of this client, or of nobody: one answer.
pub(crate) const REFUSED: Error = Error::Refused(Refusal::AudienceNotAllowed);
/// More are no honest request.
const MOST: usize = 8;

/// A URI with a scheme and without a fragment (RFC 8707 §2). More is not asked: it has to be one that is
/// registered, byte by byte.
fn is_absolute(uri: &str) -> bool {
    let is_in_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let (scheme, rest) = uri.split_once(':').unwrap_or_default();
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(is_in_scheme)
        && !rest.is_empty()
        && uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

impl Issuer {
    /// The resources that a request names, with blanks between them, if this client may name them. We are
    /// one ourselves. The error is a code for the client.
    pub(crate) fn named_resources(
        &self,
        text: Option<&str>,
        client: &Client,
    ) -> Result<Vec<String>, &'static str> {
        let mut named: Vec<String> = Vec::new();
        for uri in text.unwrap_or_default().split(' ').filter(|uri| !uri.is_empty()) {
            let is_ours = uri == self.0.settings.issuer;
            let may_name = is_ours || client.audiences.iter().any(|known| known == uri);
            if !is_absolute(uri) || !may_name || named.len() >= MOST {
                return Err("invalid_target");
            }
            if !named.iter().any(|known| known == uri) {
                named.push(uri.to_owned());
            }
        }
        Ok(named)
    }

    /// Whether all of them are there.
    pub(crate) async fn are_resources_there(&self, named: &[String]) -> Result<bool> {
        for uri in named.iter().filter(|uri| **uri != self.0.settings.issuer) {
            if self.0.store.find_audience(uri).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The resource server that a home token is for, out of those that were agreed on; `None` where it is for
    /// ourselves. `Refused` where it was not agreed on, the client has lost it, or nobody says which it is.
    pub(crate) async fn audience_of(
        &self,
        tx: &mut Tx,
        client: &Client,
        pending: &Pending,
        asked: Option<&str>,
    ) -> Result<Option<ResourceServer>> {
        let issuer = self.0.settings.issuer.as_str();
        let agreed = pending.terms.resources.as_slice();
        let audience = match (asked, agreed) {
            (None, []) => issuer,
            (None, [one]) => one.as_str(),
            (None, _) => return Err(REFUSED),
            (Some(asked), []) if asked == issuer => issuer,
            (Some(asked), _) => agreed.iter().find(|uri| *uri == asked).ok_or(REFUSED)?.as_str(),
        };
        if audience == issuer {
            return Ok(None);
        }
        if !client.audiences.iter().any(|known| known == audience) {
            return Err(REFUSED);
        }
        tx.find_audience(audience).await?.map(Some).ok_or(REFUSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        for good in
            ["https://api.example", "https://api.example/x?y", "urn:example:api", "a+b.c-1:x"]
        {
            assert!(is_absolute(good), "{good}");
        }
        for bad in [
            "",
            "api",
            "/api",
            "//api.example",
            "1a:x",
            ":x",
            "a:",
            "https://a.example/#",
            "a:\u{e4}",
        ] {
            assert!(!is_absolute(bad), "{bad}");
        }
    }
}
