//! An authorization request at the browser's door, in whichever form it came: in the address, signed in
//! one parameter (RFC 9101), or pushed before (RFC 9126).

use procura_issuer::{
    Error,
    authorize::Parameters,
    pushed::{PREFIX, Way},
};
use procura_token::ClientId;

use crate::{
    app::App,
    oauth::{authorize::parameters, form::Form},
};

/// Why no request came of it. Nothing is bound yet, so a page says it.
pub enum Refused {
    /// With this code.
    Code(&'static str),
    /// As a verb says.
    Verb(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Verb(error)
    }
}

/// The parameters that hold.
pub struct Request {
    form: Form,
    is_signed: bool,
    /// The hash of the URI under which it was pushed.
    pushed: Option<String>,
}

impl Request {
    /// Finds what is asked. Beside a signed or pushed request nothing of the address counts but
    /// `client_id`.
    pub async fn of(app: &App, form: Form) -> Result<Self, Refused> {
        let (request, uri) = (form.get("request"), form.get("request_uri"));
        let client = || {
            let id = form.get("client_id").and_then(|id| id.parse::<ClientId>().ok());
            id.ok_or(Refused::Verb(Error::NotFound))
        };
        let (mut kept, pushed) = match (request, uri) {
            (None, None) => return Ok(Self { form, is_signed: false, pushed: None }),
            (Some(_), Some(_)) => return Err(Refused::Code("invalid_request")),
            (Some(request), None) => {
                let opened = app.issuer().open_request(&client()?, request).await?;
                (opened.map_err(|_| Refused::Code("invalid_request_object"))?, None)
            }
            (None, Some(uri)) if uri.starts_with(PREFIX) => {
                let found = app.issuer().find_pushed(&client()?, uri).await;
                let (kept, hash) = found.map_err(|error| match error {
                    Error::NotFound => Refused::Code("invalid_request_uri"),
                    other => Refused::Verb(other),
                })?;
                (kept, Some(hash))
            }
            // Nothing is fetched from where a stranger says.
            (None, Some(_)) => return Err(Refused::Code("request_uri_not_supported")),
        };
        kept.parameters.insert("client_id".to_owned(), client()?.to_string());
        let form =
            Form::of(&kept.parameters).map_err(|_| Refused::Code("invalid_request_object"))?;
        Ok(Self { form, is_signed: kept.is_signed, pushed })
    }

    /// The same, for the verb.
    #[must_use]
    pub fn parameters(&self) -> Parameters<'_> {
        let way = self.pushed.as_deref().map_or(Way::Plain, Way::Pushed);
        Parameters { way, is_signed: self.is_signed, ..parameters(&self.form) }
    }
}
