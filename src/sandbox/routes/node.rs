//! `GET /me` and `GET /{page}`: who a token speaks for.
//!
//! Source: Graph API reference, Page and User (v25.0); Graph API, Overview, Node Metadata.

use serde_json::{Map, Value, json};

use super::super::error::GraphError;
use super::super::pages::Bearer;
use super::super::params::Params;
use super::super::shape;
use super::Call;

/// A field: its name, its type and what it says.
type Field = (&'static str, &'static str, &'static str);

const PAGE_FIELDS: [Field; 4] = [
    ("id", "numeric string", "The ID representing a Facebook Page."),
    ("category", "string", "The Page's category."),
    ("link", "string", "The Page's Facebook URL."),
    ("name", "string", "The name of the Page."),
];
const USER_FIELDS: [Field; 4] = [
    ("id", "numeric string", "The app user's App-Scoped User ID."),
    ("first_name", "string", "The person's first name."),
    ("last_name", "string", "The person's last name."),
    ("name", "string", "The person's full name."),
];
const APP_FIELDS: [Field; 2] = [("id", "numeric string", "The app ID."), ("name", "string", "The name of the app.")];

pub(super) fn run(bearer: Bearer, call: &Call, params: &Params) -> Result<Value, GraphError> {
    if call.node != "me" && call.node != bearer.id() {
        return Err(call.unsupported());
    }
    let (kind, known) = kind(bearer);
    let shows_metadata = shape::boolean(&params.fields, "metadata", "metadata").is_ok_and(|shown| shown == Some(true))
        || params.text("metadata") == Some("1")
        || params.fields.get("metadata").and_then(Value::as_u64) == Some(1);
    let mut node = Map::from_iter([("id".to_owned(), Value::from(bearer.id()))]);
    for field in params.text("fields").unwrap_or("id,name").split(',').map(str::trim).filter(|field| !field.is_empty())
    {
        // Which parts of the metadata are wanted changes nothing: all are shown.
        if shows_metadata && field.split('{').next() == Some("metadata") {
            continue;
        }
        if !known.iter().any(|(name, ..)| *name == field) {
            let message = format!("Tried accessing nonexisting field ({field}) on node type ({kind})");
            return Err(GraphError::parameter(message));
        }
        node.insert(field.to_owned(), value(bearer, field));
    }
    if shows_metadata {
        let fields: Vec<Value> =
            known.iter().map(|(name, kind, text)| json!({ "name": name, "description": text, "type": kind })).collect();
        node.insert("metadata".to_owned(), json!({ "fields": fields, "type": kind.to_ascii_lowercase() }));
    }
    Ok(node.into())
}

fn kind(bearer: Bearer) -> (&'static str, &'static [Field]) {
    match bearer {
        Bearer::Page(_) => ("Page", &PAGE_FIELDS),
        Bearer::User => ("User", &USER_FIELDS),
        Bearer::App => ("Application", &APP_FIELDS),
    }
}

fn value(bearer: Bearer, field: &str) -> Value {
    let words = || bearer.name().split(' ');
    match field {
        "name" => bearer.name().into(),
        "first_name" => words().next().into(),
        "last_name" => words().next_back().into(),
        "category" => "Shopping & Retail".into(),
        "link" => format!("https://www.facebook.com/{}", bearer.id()).into(),
        _ => bearer.id().into(),
    }
}
