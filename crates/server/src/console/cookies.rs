//! The two cookies: the login session, and the browser that an authorization request is tied to.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use procura_token::crypto;

use crate::app::App;

/// What the browser sent.
#[derive(Default)]
pub struct Cookies {
    /// The value of the session cookie.
    pub session: Option<String>,
    /// The value of the browser cookie.
    pub browser: Option<String>,
}

impl Cookies {
    /// Reads the cookies. A name that comes twice was planted by somebody: it counts as absent.
    pub fn read(app: &App, headers: &HeaderMap) -> Self {
        let (session, browser) = names(app);
        let mut pairs = Vec::new();
        for value in headers.get_all(header::COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            pairs.extend(text.split(';').filter_map(|pair| pair.trim().split_once('=')));
        }
        let one = |wanted: &str| {
            let mut found = pairs.iter().filter(|(name, _)| *name == wanted);
            let value = found.next().map(|(_, value)| *value)?;
            (found.next().is_none() && value.len() == 43).then(|| value.to_owned())
        };
        Self { session: one(session), browser: one(browser) }
    }

    /// Sets the session cookie: a new value at each login.
    pub fn set_session(app: &App, value: &str, response: &mut Response) {
        set(names(app).0, value, app.is_secure(), response);
    }

    /// Takes the session cookie away.
    pub fn clear_session(app: &App, response: &mut Response) {
        // The attribute ends the cookie (RFC 6265 §5.2.2); the empty value would be no session either.
        set(names(app).0, "; Max-Age=0", app.is_secure(), response);
    }

    /// Sets the browser cookie.
    pub fn set_browser(app: &App, value: &str, response: &mut Response) {
        set(names(app).1, value, app.is_secure(), response);
    }
}

/// With TLS the `__Host-` prefix keeps sibling hosts from planting them (RFC 6265bis §4.1.3.2).
fn names(app: &App) -> (&'static str, &'static str) {
    if app.is_secure() {
        ("__Host-procura-session", "__Host-procura-browser")
    } else {
        ("procura-session", "procura-browser")
    }
}

fn set(name: &str, value: &str, is_secure: bool, response: &mut Response) {
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The token that a form carries: only the page that we showed to this browser, for this purpose, has
/// it.
pub(crate) fn form_token(app: &App, purpose: &str, browser: &str) -> String {
    crypto::hex(&app.issuer().form_key().tag(&[purpose.as_bytes(), &[0], browser.as_bytes()]))
}

/// Whether a form came from our own page: it has its token, and the browser does not say that another
/// site sent it.
pub(crate) fn is_own_form(
    app: &App,
    headers: &HeaderMap,
    (purpose, browser): (&str, &str),
    token: Option<&str>,
) -> bool {
    let wanted = form_token(app, purpose, browser);
    let says = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let is_same_site =
        says("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let is_same_origin =
        says("origin").is_none_or(|origin| origin == app.origin() || origin == "null");
    is_same_site
        && is_same_origin
        && token.is_some_and(|token| crypto::is_equal(token.as_bytes(), wanted.as_bytes()))
}
