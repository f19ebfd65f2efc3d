//! Lists in pages: how many at once, from where on, and where the next page is (RFC 8288).

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    http::{HeaderName, HeaderValue, header},
};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{input::word, problem::Problem};

/// A page has at most so many.
pub(crate) const MOST: i64 = 200;

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// A page, with a link to the next one where it is full.
pub(crate) type Page = (Option<[(HeaderName, HeaderValue); 1]>, Json<Value>);

impl Paging {
    /// How many somebody wants at once; `None` where nobody says.
    pub(crate) fn limit(&self) -> Result<Option<i64>, Problem> {
        match self.limit {
            Some(limit) if !(1..=MOST).contains(&limit) => Err(Problem::invalid("limit")),
            limit => Ok(limit),
        }
    }

    /// Where the last page ended.
    pub(crate) fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        word(self.cursor.as_deref(), "cursor")
    }
}

/// What is shown of a page of so many, that ends with `last`.
pub(crate) fn page(shown: Vec<Value>, limit: i64, last: Option<impl Display>) -> Page {
    page_of(std::iter::empty(), shown, limit, last)
}

/// The same of a list for which these parameters were said as well.
pub(crate) fn page_of<'a>(
    said: impl Iterator<Item = (&'static str, &'a str)>,
    shown: Vec<Value>,
    limit: i64,
    last: Option<impl Display>,
) -> Page {
    let is_full = i64::try_from(shown.len()).is_ok_and(|count| count >= limit);
    let next = last.filter(|_| is_full).and_then(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(said);
        query.append_pair("limit", &limit.to_string()).append_pair("cursor", &last.to_string());
        let link = format!("<?{}>; rel=\"next\"", query.finish());
        Some([(header::LINK, HeaderValue::from_str(&link).ok()?)])
    });
    (next, Json(Value::Array(shown)))
}
