//! `/api/docs`: the same list for people. No script, nothing from elsewhere: it reads without a network.

use std::collections::BTreeMap;

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    document::{path_parameters, reason},
    operation::{Body, Operation, Who},
    shape::{Component, Shape},
    table::{Entry, Said},
};
use crate::console::page;

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    topics: Vec<Topic>,
    components: Vec<Named>,
    left_out: Vec<LeftOut>,
    version: &'static str,
}

struct Topic {
    name: &'static str,
    anchor: String,
    operations: Vec<Shown>,
}

struct Shown {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    notes: &'static str,
    open_to: &'static str,
    who: &'static str,
    parameters: Vec<Parameter>,
    body: Option<(&'static str, Vec<Piece>)>,
    answers: Vec<ShownAnswer>,
    refusals: Vec<ShownRefusal>,
}

struct Parameter {
    name: &'static str,
    place: &'static str,
    shape: Vec<Piece>,
}

struct ShownAnswer {
    status: u16,
    reason: &'static str,
    media: &'static str,
    shape: Vec<Piece>,
    headers: Vec<&'static str>,
}

struct ShownRefusal {
    status: u16,
    codes: String,
    when: &'static str,
}

struct Named {
    name: &'static str,
    shape: Vec<Piece>,
}

struct LeftOut {
    method: String,
    path: &'static str,
    why: &'static str,
}

/// A piece of a shape's text; a link where it is a name.
struct Piece {
    text: String,
    is_name: bool,
}

/// The page.
pub(crate) fn of(entries: &[Entry]) -> Response {
    let mut names = BTreeMap::new();
    let mut topics: Vec<Topic> = Vec::new();
    let mut left_out = Vec::new();
    for entry in entries {
        let operation = match entry.said {
            Said::Described(operation) => operation,
            Said::LeftOut(why) => {
                let method = entry.method.to_string();
                left_out.push(LeftOut { method, path: entry.path, why });
                continue;
            }
            Said::Nothing => continue,
        };
        let shown = shown(entry, operation, &mut names);
        if let Some(topic) = topics.iter_mut().find(|topic| topic.name == entry.topic) {
            topic.operations.push(shown);
        } else {
            let anchor = entry.topic.to_ascii_lowercase().replace(' ', "-");
            topics.push(Topic { name: entry.topic, anchor, operations: vec![shown] });
        }
    }
    let page = DocsPage {
        topics,
        components: components(names),
        left_out,
        version: env!("CARGO_PKG_VERSION"),
    };
    page::render(StatusCode::OK, &page, None)
}

/// Every shape that has a name, with those that only such shapes name.
fn components(mut open: BTreeMap<&'static str, &'static Component>) -> Vec<Named> {
    let mut done: BTreeMap<&'static str, Vec<Piece>> = BTreeMap::new();
    while let Some((name, component)) = open.pop_first() {
        let mut found = BTreeMap::new();
        let shape = pieces(&component.shape, &mut found);
        done.insert(name, shape);
        open.extend(found.into_iter().filter(|(name, _)| !done.contains_key(name)));
    }
    done.into_iter().map(|(name, shape)| Named { name, shape }).collect()
}

type Names = BTreeMap<&'static str, &'static Component>;

fn shown(entry: &Entry, operation: &'static Operation, names: &mut Names) -> Shown {
    let mut parameters: Vec<_> = path_parameters(entry.path)
        .map(|name| Parameter { name, place: "path", shape: pieces(&Shape::Text, names) })
        .collect();
    let headers = operation.all_headers(entry.is_repeatable(operation));
    for (place, named) in [("query", operation.query), ("header", &headers)] {
        parameters.extend(named.iter().map(|(name, shape)| Parameter {
            name,
            place,
            shape: pieces(shape, names),
        }));
    }
    Shown {
        id: operation.id,
        method: method(entry),
        path: entry.path,
        summary: operation.summary,
        notes: operation.notes,
        open_to: operation.open_to,
        who: who(operation.who),
        parameters,
        body: body(operation, names),
        answers: operation
            .answers
            .iter()
            .map(|answer| ShownAnswer {
                status: answer.status,
                reason: reason(answer.status),
                media: answer.media.unwrap_or_default(),
                shape: answer.shape.map(|shape| pieces(&shape, names)).unwrap_or_default(),
                headers: answer.headers.iter().map(|(name, _)| *name).collect(),
            })
            .collect(),
        refusals: refusals(entry, operation),
    }
}

fn method(entry: &Entry) -> &'static str {
    match entry.method.as_str() {
        "GET" => "GET",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "POST",
    }
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Anybody | Who::AnyClient => "Anybody.",
        Who::Browser => "A browser; errors are pages.",
        Who::PersonOrKey => {
            "A person, by a home token (Bearer, or DPoP with a proof), or a program, by a key (Bearer)."
        }
        Who::Person | Who::Subject => "A person, by a home token (Bearer, or DPoP with a proof).",
        Who::Server => "A resource server, by HTTP Basic.",
        Who::Client => "A client, authenticated as it is registered.",
        Who::Asking => "A resource server, by HTTP Basic or an assertion in the form.",
        Who::Registering => "Software, by a token for its registration.",
    }
}

fn body(operation: &Operation, names: &mut Names) -> Option<(&'static str, Vec<Piece>)> {
    let plain = |text: String| Piece { text, is_name: false };
    match operation.body {
        Body::None => None,
        Body::Json(shape) => Some(("JSON", pieces(&shape, names))),
        Body::MaybeJson(shape) => Some(("JSON, or nothing", pieces(&shape, names))),
        Body::Form(needed, others) => {
            let needed = needed.iter().map(|name| plain(format!("{name}\n")));
            let others = others.iter().map(|name| plain(format!("{name}?\n")));
            Some(("form", needed.chain(others).collect()))
        }
    }
}

fn refusals(entry: &Entry, operation: &Operation) -> Vec<ShownRefusal> {
    let is_repeatable = entry.is_repeatable(operation);
    let ours = operation.all_refusals(is_repeatable).into_iter().map(|refusal| ShownRefusal {
        status: refusal.status,
        codes: refusal.code.to_owned(),
        when: refusal.when,
    });
    let oauth = operation.all_errors().into_iter().map(|(status, codes)| ShownRefusal {
        status,
        codes: codes.join(", "),
        when: "",
    });
    ours.chain(oauth).collect()
}

fn pieces(shape: &Shape, names: &mut Names) -> Vec<Piece> {
    let mut pieces = Vec::new();
    write(shape, 0, &mut pieces, names);
    pieces
}

fn write(shape: &Shape, depth: usize, pieces: &mut Vec<Piece>, names: &mut Names) {
    let mut say = |text: &str| pieces.push(Piece { text: text.to_owned(), is_name: false });
    match shape {
        Shape::Text | Shape::TextTo(_) => say("text"),
        Shape::Word(words) => say(&format!("\"{}\"", words.join("\" | \""))),
        Shape::Id(prefix) => say(&format!("\"{prefix}_…\"")),
        Shape::Client => say("\"cli_…\""),
        Shape::Time => say("time"),
        Shape::Url => say("url"),
        Shape::Number => say("number"),
        Shape::Within(from, to) => say(&format!("{from}…{to}")),
        Shape::Truth => say("true | false"),
        Shape::Any => say("anything"),
        Shape::Open => say("{ … }"),
        Shape::List(item) => {
            say("[");
            write(item, depth, pieces, names);
            pieces.push(Piece { text: "]".to_owned(), is_name: false });
        }
        Shape::OrNull(inner) => {
            write(inner, depth, pieces, names);
            pieces.push(Piece { text: " | null".to_owned(), is_name: false });
        }
        Shape::Maybe(inner) => write(inner, depth, pieces, names),
        Shape::Object(_) | Shape::AtLeast(_) | Shape::All(_) => {
            members(shape, depth, pieces, names);
        }
        Shape::Named(component) => {
            names.insert(component.name, component);
            pieces.push(Piece { text: component.name.to_owned(), is_name: true });
        }
    }
}

fn members(shape: &Shape, depth: usize, pieces: &mut Vec<Piece>, names: &mut Names) {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    pieces.push(Piece { text: "{\n".to_owned(), is_name: false });
    for (name, member) in shape.members() {
        let mark = if matches!(member, Shape::Maybe(_)) { "?" } else { "" };
        pieces.push(Piece { text: format!("{inner}{name}{mark}: "), is_name: false });
        write(&member, depth + 1, pieces, names);
        pieces.push(Piece { text: "\n".to_owned(), is_name: false });
    }
    if shape.is_open() {
        pieces.push(Piece { text: format!("{inner}…\n"), is_name: false });
    }
    pieces.push(Piece { text: format!("{outer}}}"), is_name: false });
}
