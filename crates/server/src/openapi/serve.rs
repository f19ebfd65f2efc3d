//! `GET /api/openapi.json` and `GET /api/docs`. Both are put together when somebody first asks.

use std::{
    collections::hash_map::DefaultHasher,
    hash::Hasher,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    document,
    operation::{Operation, Reply},
    page,
    shape::Shape,
    table::{Entry, Routes, get},
};
use crate::app::App;

/// Described.
const DOCUMENT: Operation = Operation::anybody("getOpenApi", "This document")
    .headers(&[("If-None-Match", Shape::Text)])
    .answers(&[
        Reply::json(200, Shape::Open).with(&[("ETag", "Of this writing of the document.")]),
        Reply::empty(304),
    ]);

/// The table, for whoever describes it.
pub struct Described {
    entries: Vec<Entry>,
    document: OnceLock<(Bytes, String)>,
}

type Place = Arc<OnceLock<Described>>;

impl Described {
    fn document(&self, origin: &str) -> &(Bytes, String) {
        self.document.get_or_init(|| {
            let text = document::of(&self.entries, origin).to_string();
            let mut hasher = DefaultHasher::new();
            hasher.write(text.as_bytes());
            (text.into(), format!("\"{:016x}\"", hasher.finish()))
        })
    }
}

/// These routes and the two that tell of them.
pub fn with_itself(routes: Routes) -> Router<App> {
    let place = Place::default();
    let routes = routes.merge(own(&place));
    let described = Described { entries: routes.entries().to_vec(), document: OnceLock::new() };
    // Nobody else has it yet.
    let _ = place.set(described);
    routes.into_router()
}

/// The two routes.
pub(crate) fn own(place: &Place) -> Routes {
    let (for_json, for_page) = (Arc::clone(place), Arc::clone(place));
    let json = async move |State(app): State<App>, headers: HeaderMap| {
        let described = for_json.get();
        described.map_or(StatusCode::NOT_FOUND.into_response(), |it| json(it, &app, &headers))
    };
    let page = async move || {
        let described = for_page.get();
        described.map_or(StatusCode::NOT_FOUND.into_response(), |it| page::of(&it.entries))
    };
    Routes::about("Health and description")
        .route("/api/openapi.json", get(json).is(&DOCUMENT))
        .route("/api/docs", get(page).left_out("A page for people: this document, readable."))
}

fn json(described: &Described, app: &App, headers: &HeaderMap) -> Response {
    let (text, tag) = described.document(app.origin());
    let about = [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        let [tag, cache, _] = about;
        return (StatusCode::NOT_MODIFIED, [tag, cache]).into_response();
    }
    (about, text.clone()).into_response()
}
