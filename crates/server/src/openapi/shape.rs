//! The shape of a JSON value, as a constant that stands beside whatever reads or shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any text.
    Text,
    /// A text of at most so many characters.
    TextTo(u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An id of ours with this prefix: `ten` for `ten_…`.
    Id(&'static str),
    /// The id of a client: deployments may choose it.
    Client,
    /// RFC 3339, UTC.
    Time,
    /// An address.
    Url,
    /// A whole number.
    Number,
    /// A whole number from, to.
    Within(i64, i64),
    /// True or false.
    Truth,
    /// Whatever JSON has.
    Any,
    /// An object with members that are not ours to name.
    Open,
    /// As many of these as there are.
    List(&'static Shape),
    /// This or `null`.
    OrNull(&'static Shape),
    /// A member that may be absent; anywhere else the shape itself.
    Maybe(&'static Shape),
    /// An object with these members and no others.
    Object(&'static [(&'static str, Shape)]),
    /// An object with these members, and maybe others.
    AtLeast(&'static [(&'static str, Shape)]),
    /// The members of all of these.
    All(&'static [&'static Component]),
    /// What has a name in the document.
    Named(&'static Component),
}

/// A shape with a name.
#[derive(Debug)]
pub struct Component {
    /// How the document calls it.
    pub name: &'static str,
    /// What it looks like.
    pub shape: Shape,
}

/// The named shapes that a document has come upon, with their schemas.
pub(crate) type Components = BTreeMap<&'static str, Value>;

impl Shape {
    /// The schema (JSON Schema 2020-12), noting each component that it names.
    pub(crate) fn schema(&self, components: &mut Components) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::TextTo(most) => json!({ "type": "string", "maxLength": most }),
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Id(prefix) => {
                json!({ "type": "string", "pattern": format!("^{prefix}_[0-9a-f]{{32}}$") })
            }
            Self::Client => json!({ "type": "string", "pattern": "^cli_[A-Za-z0-9_.-]+$" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Url => json!({ "type": "string", "format": "uri" }),
            Self::Number => json!({ "type": "integer" }),
            Self::Within(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Self::Truth => json!({ "type": "boolean" }),
            Self::Any => json!({}),
            Self::Open => json!({ "type": "object" }),
            Self::List(item) => json!({ "type": "array", "items": item.schema(components) }),
            Self::OrNull(shape) => {
                json!({ "anyOf": [shape.schema(components), { "type": "null" }] })
            }
            Self::Maybe(shape) => shape.schema(components),
            Self::Object(members) => object(members, false, components),
            Self::AtLeast(members) => object(members, true, components),
            Self::All(parts) => all(parts, components),
            Self::Named(component) => {
                component.note(components);
                json!({ "$ref": format!("#/components/schemas/{}", component.name) })
            }
        }
    }

    /// Whether an object may have members that are not named here.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::AtLeast(_) => true,
            Self::All(parts) => parts.iter().any(|part| part.shape.is_open()),
            _ => false,
        }
    }

    /// The members of an object, by their names.
    pub(crate) fn members(&self) -> Vec<(&'static str, Shape)> {
        match self {
            Self::Object(members) | Self::AtLeast(members) => members.to_vec(),
            Self::Named(component) => component.shape.members(),
            Self::All(parts) => parts.iter().flat_map(|part| part.shape.members()).collect(),
            _ => Vec::new(),
        }
    }
}

impl Component {
    fn note(&'static self, components: &mut Components) {
        if !components.contains_key(self.name) {
            // Its name first: a shape may name itself.
            components.insert(self.name, Value::Null);
            let schema = self.shape.schema(components);
            components.insert(self.name, schema);
        }
    }
}

/// One object instead of `allOf`, which no part could close against unknown members.
fn all(parts: &'static [&'static Component], components: &mut Components) -> Value {
    let whole = Shape::All(parts);
    object(&whole.members(), whole.is_open(), components)
}

fn object(members: &[(&'static str, Shape)], is_open: bool, components: &mut Components) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, shape) in members {
        properties.insert((*name).to_owned(), shape.schema(components));
        if !matches!(shape, Shape::Maybe(_)) {
            required.push(*name);
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(schema) = schema.as_object_mut() {
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if !is_open {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
    schema
}
