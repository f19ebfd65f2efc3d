//! Requests by route template, method and status. The raw path is never looked at: it holds ids.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
};

/// The template of a request that no route took.
const UNMATCHED: &str = "unmatched";
/// Upper bounds in seconds, as the OpenTelemetry convention advises, with two for what is fast here.
const BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(clippy::struct_field_names, reason = "the names of the OpenTelemetry convention")]
pub(super) struct Labels {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

pub(super) type Durations = Family<Labels, Histogram, fn() -> Histogram>;
type Known = Vec<(&'static str, StatusCode, Histogram)>;

/// The meters of the public routes.
#[derive(Debug)]
pub struct HttpMeters {
    pub(super) durations: Durations,
    pub(super) active: Gauge,
    /// Resolved once for each combination that ever came: a request costs one look-up by template and
    /// no allocation. As bounded as the table of routes.
    known: RwLock<HashMap<String, Known>>,
}

impl Default for HttpMeters {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            active: Gauge::default(),
            known: RwLock::default(),
        }
    }
}

/// A request under way; counted until it is dropped, also where the peer goes away first.
pub struct Active<'a>(&'a Gauge);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HttpMeters {
    /// A request has come.
    #[must_use]
    pub fn begin(&self) -> Active<'_> {
        self.active.inc();
        Active(&self.active)
    }

    /// It was answered. `route` is the template, where a route took it.
    pub fn observe(
        &self,
        route: Option<&str>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let (route, method) = (route.unwrap_or(UNMATCHED), word(method));
        let is_it = |(m, s, _): &&(&str, StatusCode, Histogram)| *m == method && *s == status;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, histogram)) =
            known.get(route).and_then(|statuses| statuses.iter().find(is_it))
        {
            histogram.observe(took.as_secs_f64());
            return;
        }
        drop(known);
        let histogram = self.durations.get_or_create_owned(&Labels {
            http_request_method: method,
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        });
        histogram.observe(took.as_secs_f64());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let statuses = known.entry(route.to_owned()).or_default();
        if !statuses.iter().any(|one| is_it(&one)) {
            statuses.push((method, status, histogram));
        }
    }
}

/// A method as a label: anybody can make up methods.
pub(crate) fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
