//! The document (`OpenAPI` 3.1.0), put together from the table of routes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    operation::{Body, Operation, Refusal, Reply, Who},
    shape::{Component, Components, Shape},
    table::{Entry, Said},
};

/// RFC 9457, with what we and RFC 9470 add.
static PROBLEM: Component = Component {
    name: "Problem",
    shape: Shape::Object(&[
        ("type", Shape::Word(&["about:blank"])),
        ("title", Shape::Text),
        ("status", Shape::Number),
        ("code", Shape::Text),
        ("request_id", Shape::Text),
        ("about", Shape::Maybe(&Shape::Text)),
        ("detail", Shape::Maybe(&Shape::Text)),
        ("max_age", Shape::Maybe(&Shape::Number)),
    ]),
};

/// RFC 6749 §5.2, with what RFC 9470 adds.
static OAUTH_ERROR: Component = Component {
    name: "OAuthError",
    shape: Shape::Object(&[
        ("error", Shape::Text),
        ("error_description", Shape::Text),
        ("acr_values", Shape::Maybe(&Shape::Text)),
        ("max_age", Shape::Maybe(&Shape::Number)),
    ]),
};

const INTRODUCTION: &str = "Delegated administration between tenants. Bodies are JSON unless a form is \
    named; times are RFC 3339 in UTC. The endpoints of OAuth answer errors as RFC 6749 has them, everything \
    else as RFC 9457 with a stable code.";

/// The document of these routes, served at this origin.
pub(crate) fn of(entries: &[Entry], origin: &str) -> Value {
    let (mut components, mut refusals) = (Components::new(), BTreeMap::new());
    let mut paths: Map<String, Value> = Map::new();
    let (mut topics, mut left_out) = (Vec::new(), Vec::new());
    for entry in entries {
        let operation = match entry.said {
            Said::Described(operation) => operation,
            Said::LeftOut(why) => {
                let method = entry.method.as_str();
                left_out.push(json!({ "method": method, "path": entry.path, "why": why }));
                continue;
            }
            Said::Nothing => continue,
        };
        if !topics.contains(&entry.topic) {
            topics.push(entry.topic);
        }
        let shown = shown(entry, operation, &mut components, &mut refusals);
        let path = paths.entry(entry.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(entry.method.as_str().to_ascii_lowercase(), shown);
        }
    }
    let topics: Vec<_> = topics.into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Procura",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": origin }],
        "tags": topics,
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": refusals,
            "securitySchemes": schemes(origin),
        },
        "x-left-out": left_out,
    })
}

fn shown(
    entry: &Entry,
    operation: &Operation,
    components: &mut Components,
    refusals: &mut BTreeMap<String, Value>,
) -> Value {
    let mut shown = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [entry.topic],
        "parameters": parameters(entry, operation, components),
        "responses": responses(entry, operation, (components, refusals)),
        "security": security(operation.who),
    });
    let words = [operation.open_to, operation.notes];
    let words: Vec<_> = words.into_iter().filter(|text| !text.is_empty()).collect();
    if let Some(members) = shown.as_object_mut() {
        if !words.is_empty() {
            members.insert("description".to_owned(), words.join("\n\n").into());
        }
        if let Some(body) = body(operation, components) {
            members.insert("requestBody".to_owned(), body);
        }
    }
    shown
}

/// The names between braces.
pub(crate) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameters(entry: &Entry, operation: &Operation, components: &mut Components) -> Vec<Value> {
    let in_path = path_parameters(entry.path).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let mut all: Vec<_> = in_path.collect();
    let headers = operation.all_headers(entry.is_repeatable(operation));
    for (place, named) in [("query", operation.query), ("header", &headers)] {
        all.extend(named.iter().map(|(name, shape)| {
            let schema = shape.schema(components);
            json!({ "name": name, "in": place, "required": false, "schema": schema })
        }));
    }
    all
}

fn body(operation: &Operation, components: &mut Components) -> Option<Value> {
    let of = |media: &str, schema: Value, is_required: bool| {
        let content = Map::from_iter([(media.to_owned(), json!({ "schema": schema }))]);
        Some(json!({ "required": is_required, "content": content }))
    };
    match operation.body {
        Body::None => None,
        Body::Json(shape) => of("application/json", shape.schema(components), true),
        Body::MaybeJson(shape) => of("application/json", shape.schema(components), false),
        Body::Form(needed, others) => {
            let names = needed.iter().chain(others);
            let texts = names.map(|name| ((*name).to_owned(), json!({ "type": "string" })));
            let properties: Map<_, _> = texts.collect();
            let schema = json!({ "type": "object", "properties": properties, "required": needed });
            of("application/x-www-form-urlencoded", schema, !needed.is_empty())
        }
    }
}

fn responses(
    entry: &Entry,
    operation: &Operation,
    (components, named): (&mut Components, &mut BTreeMap<String, Value>),
) -> Value {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for answer in operation.answers {
        let one = all.entry(answer.status.to_string()).or_insert_with(|| bare(answer));
        let content = answer.media.map(|media| {
            let schema = answer.shape.map_or(json!({}), |shape| shape.schema(components));
            (media.to_owned(), json!({ "schema": schema }))
        });
        if let (Some(one), Some((media, content))) = (one.as_object_mut(), content) {
            let kinds = one.entry("content").or_insert_with(|| json!({}));
            if let Some(kinds) = kinds.as_object_mut() {
                kinds.insert(media, content);
            }
        }
    }
    let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
    for refusal in operation.all_refusals(entry.is_repeatable(operation)) {
        by_status.entry(refusal.status).or_default().push(refusal);
    }
    for (status, several) in by_status {
        let name = several.iter().map(|one| one.code).collect::<Vec<_>>().join("_or_");
        named.entry(name.clone()).or_insert_with(|| problem(status, &several, components));
        let there = json!({ "$ref": format!("#/components/responses/{name}") });
        all.entry(status.to_string()).or_insert(there);
    }
    for (status, codes) in operation.all_errors() {
        all.insert(status.to_string(), oauth_error(status, codes, components));
    }
    json!(all)
}

fn bare(answer: &Reply) -> Value {
    let headers: Map<_, _> = answer.headers.iter().map(|(name, text)| header(name, text)).collect();
    let mut one = json!({ "description": reason(answer.status) });
    if let Some(members) = one.as_object_mut().filter(|_| !headers.is_empty()) {
        members.insert("headers".to_owned(), headers.into());
    }
    one
}

fn header(name: &str, text: &str) -> (String, Value) {
    (name.to_owned(), json!({ "description": text, "schema": { "type": "string" } }))
}

fn problem(status: u16, several: &[Refusal], components: &mut Components) -> Value {
    let codes: Vec<_> = several.iter().map(|one| one.code).collect();
    let texts: Vec<_> = several.iter().map(|one| one.when).collect();
    let codes =
        json!({ "properties": { "code": { "enum": codes }, "status": { "const": status } } });
    let schema = json!({ "allOf": [Shape::Named(&PROBLEM).schema(components), codes] });
    with_headers(
        status,
        json!({
            "description": texts.join(" "),
            "content": { "application/problem+json": { "schema": schema } },
        }),
    )
}

fn oauth_error(status: u16, codes: &[&str], components: &mut Components) -> Value {
    let codes = json!({ "properties": { "error": { "enum": codes } } });
    let schema = json!({ "allOf": [Shape::Named(&OAUTH_ERROR).schema(components), codes] });
    with_headers(
        status,
        json!({
            "description": reason(status),
            "content": { "application/json": { "schema": schema } },
        }),
    )
}

/// A challenge with a 401, and the time to wait with a 429 and a 503.
fn with_headers(status: u16, mut response: Value) -> Value {
    let named = match status {
        401 => Some(("WWW-Authenticate", "By what to prove oneself (RFC 9110, RFC 9728).")),
        429 | 503 => Some(("Retry-After", "When to try again, in seconds.")),
        _ => None,
    };
    if let (Some((name, text)), Some(members)) = (named, response.as_object_mut()) {
        members.insert("headers".to_owned(), Map::from_iter([header(name, text)]).into());
    }
    response
}

pub(crate) fn reason(status: u16) -> &'static str {
    let status = axum::http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default()
}

fn security(who: Who) -> Value {
    match who {
        Who::Anybody | Who::Browser | Who::AnyClient => json!([]),
        Who::Person | Who::Subject => json!([{ "person": [] }, { "personWithProof": [] }]),
        Who::PersonOrKey => {
            json!([{ "person": [] }, { "personWithProof": [] }, { "apiKey": [] }])
        }
        Who::Server => json!([{ "resourceServer": [] }]),
        // By the form too, which has no word for it here.
        Who::Client => json!([{ "client": [] }, {}]),
        Who::Asking => json!([{ "resourceServer": [] }, {}]),
        Who::Registering => json!([{ "registration": [] }, {}]),
    }
}

fn schemes(origin: &str) -> Value {
    json!({
        "person": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": format!("A home access token for {origin}. Delegated tokens and a client's own are refused."),
        },
        "personWithProof": {
            "type": "http",
            "scheme": "DPoP",
            "description": "The same where it is bound to a key, with a proof in the header DPoP (RFC 9449).",
        },
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of a partner's person, pk_…, with the permission that the operation names.",
        },
        "resourceServer": {
            "type": "http",
            "scheme": "basic",
            "description": "Client id and secret of a resource server.",
        },
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "Client id and secret; or, as it is registered, client_id and client_secret in the form, client_assertion (RFC 7523), or client_id alone.",
        },
        "registration": {
            "type": "http",
            "scheme": "bearer",
            "description": "An initial access token (RFC 7591), or the registration access token of the client (RFC 7592).",
        },
    })
}
