//! The answer to one request, read whole, and what can be demanded of it.

use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Reads a response to its end.
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body that is text") }
    }

    /// Has this status. Answers itself, to go on with.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text))
    }

    /// A string member of the JSON body.
    #[track_caller]
    pub fn string(&self, member: &str) -> String {
        let json = self.json();
        let text = json[member].as_str();
        text.unwrap_or_else(|| panic!("no string {member}: {} {}", self.status, self.text)).into()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The id under which the server has noted the request.
    #[track_caller]
    pub fn request_id(&self) -> &str {
        self.header("x-request-id").expect("every answer has a request id")
    }

    /// Where it sends the browser.
    #[track_caller]
    pub fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location").expect("a redirect says where to")
    }

    /// An error in the shape of RFC 6749 §5.2. Answers its description.
    #[track_caller]
    pub fn oauth_error(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.string("error").as_str()), (status, code), "{}", self.text);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert!(self.json()["access_token"].is_null());
        self.string("error_description")
    }

    /// An error in the shape of RFC 9457. Answers what it is about, where it says so.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Option<String> {
        assert_eq!((self.status, self.string("code").as_str()), (status, code), "{}", self.text);
        assert_eq!(self.header(CONTENT_TYPE.as_str()), Some("application/problem+json"));
        assert_eq!(self.header("x-request-id"), Some(self.string("request_id").as_str()));
        self.json()["about"].as_str().map(ToOwned::to_owned)
    }
}
