//! A form, parsed once: `application/x-www-form-urlencoded`, no parameter twice (RFC 6749 §3.2), except the
//! one that may come several times (RFC 8707 §2).

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};

use crate::oauth::error::OAuthError;

/// The parameters, in the order in which they came. One without a value counts as left out
/// (RFC 6749 §3.1).
///
/// All of them lie decoded in one text, one behind the other: a form is read with every exchange.
#[derive(Clone, Debug, Default)]
pub struct Form {
    text: String,
    parameters: Vec<Parameter>,
}

/// Where a name and its value lie: from `name` to `value`, and from there to `end`.
#[derive(Clone, Copy, Debug)]
struct Parameter {
    name: usize,
    value: usize,
    end: usize,
}

/// More parameters than this are no honest request.
const MAX_PARAMETERS: usize = 64;
/// May come several times. The values are put together with blanks between them: no URI has one.
const REPEATABLE: &str = "resource";

impl Form {
    /// Parses the text of a form or a query.
    pub fn parse(text: &[u8]) -> Result<Self, OAuthError> {
        let mut form =
            Self { text: String::with_capacity(text.len()), parameters: Vec::with_capacity(16) };
        let (mut several, mut count) = (String::new(), 0);
        for (name, value) in url::form_urlencoded::parse(text) {
            count += 1;
            if count > MAX_PARAMETERS {
                return Err(OAuthError::invalid("There are too many parameters."));
            }
            if name == REPEATABLE {
                let joint = if several.is_empty() { "" } else { " " };
                several.extend([joint, value.as_ref()]);
                continue;
            }
            if form.iter().any(|(known, _)| known == name) {
                return Err(OAuthError::invalid("A parameter came more than once."));
            }
            form.push(&name, &value);
        }
        if !several.is_empty() {
            form.push(REPEATABLE, several.trim_end());
        }
        // Bytes that are no UTF-8 come out as U+FFFD, which no parameter of ours may contain.
        if form.text.contains('\u{fffd}') {
            return Err(OAuthError::invalid("The request is not valid UTF-8."));
        }
        if form.text.contains('\0') {
            return Err(OAuthError::invalid("A parameter contains NUL."));
        }
        Ok(form)
    }

    fn push(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str(value);
        let end = self.text.len();
        self.parameters.push(Parameter { name: start, value: start + name.len(), end });
    }

    /// The parameters that a client has sent in another form, under the same rules.
    pub fn of(parameters: &BTreeMap<String, String>) -> Result<Self, OAuthError> {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        Self::parse(text.extend_pairs(parameters).finish().as_bytes())
    }

    /// All parameters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().filter_map(|at| {
            Some((self.text.get(at.name..at.value)?, self.text.get(at.value..at.end)?))
        })
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, value)| *known == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// The value of a parameter that must be there.
    pub fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::missing(name))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        if !is_form(request.headers()) {
            return Err(OAuthError::invalid(
                "The content type must be application/x-www-form-urlencoded.",
            ));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            use axum::response::IntoResponse;
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                OAuthError::TOO_LARGE
            } else {
                OAuthError::invalid("The body could not be read.")
            }
        })?;
        Self::parse(&body)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    let essence = first.and_then(|value| value.split(';').next()).map(str::trim);
    values.next().is_none()
        && essence.is_some_and(|e| e.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_once_or_the_request_is_refused() {
        assert!(Form::parse(b"a=1&b=2").is_ok());
        assert!(Form::parse(b"a=1&a=1").is_err());
        assert!(Form::parse(b"a=1&%61=2").is_err());
        assert!(Form::parse(b"a=&a=1").is_err());
    }

    #[test]
    fn resources_may_be_several() {
        let form = Form::parse(b"resource=a%3Ax&b=1&resource=&resource=b%3Ay").unwrap();
        assert_eq!((form.get("resource"), form.get("b")), (Some("a:x  b:y"), Some("1")));
        assert_eq!(Form::parse(b"resource=&resource=").unwrap().get("resource"), None);
        assert!(Form::parse("resource=a&".repeat(65).as_bytes()).is_err());
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_left_out() {
        let form = Form::parse(b"a=&b").unwrap();
        assert_eq!(form.get("a"), None);
        assert_eq!(form.get("b"), None);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse(b"a=%00").is_err());
        assert!(Form::parse(b"a=%C3%A4").is_ok());
    }
}
