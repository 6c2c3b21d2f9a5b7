//! `POST /` and `POST /{page}` with `batch`: up to fifty requests in one.
//!
//! An item that depends on another runs after it and, if the other fails, not at all (its answer is `null`). The answer
//! to a success others depend on is `null` too, unless the item says `omit_response_on_success: false`. References into
//! other items' answers (`{result=name:$.id}`) are not resolved but refused.
//!
//! Source: Graph API, Batch Requests (read 2026). What a failed dependency does to those that wait for it is not
//! documented there.

use std::collections::HashMap;

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::error::GraphError;
use super::super::faults::When;
use super::super::params::{FilePart, Params};
use super::super::shape::{self, Object, only};
use super::super::shared::Shared;
use super::super::spoil::SpoiledItem;
use super::super::wire::Answer;
use super::{Call, auth, strike, with_usage};

const MAX_ITEMS: usize = 50;
const KEYS: [&str; 8] = [
    "access_token",
    "attached_files",
    "body",
    "depends_on",
    "method",
    "name",
    "omit_response_on_success",
    "relative_url",
];
/// What an item without a token of its own has from the batch.
const CREDENTIALS: [&str; 3] = ["access_token", "appsecret_proof", "appsecret_time"];

/// One request of a batch.
#[derive(Debug)]
struct Item {
    /// `None` is a request that cannot be made, and why.
    request: Result<(Call, Params), GraphError>,
    name: Option<String>,
    depends_on: Option<String>,
    keeps_response: bool,
}

/// How far an item is.
#[derive(Debug)]
enum Fate {
    Waiting,
    Null,
    Answered(Answer),
}

impl Fate {
    fn is_success(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.status == StatusCode::OK)
    }
}

/// Does what the items ask; the answer is a list of theirs, in their order.
pub(super) async fn run(shared: &Shared, call: &Call, params: Params) -> Answer {
    match prepare(shared, call, &params) {
        Ok((items, include_headers)) => {
            let fates = work_off(shared, items).await;
            let list: Vec<Value> = fates.iter().map(|fate| described(fate, include_headers)).collect();
            let answer = Answer::ok(&list.into());
            match auth::check(shared, &params) {
                Ok(bearer) => with_usage(shared, bearer, answer),
                Err(_) => answer,
            }
        }
        Err(error) => error.into(),
    }
}

/// The items, and whether their answers show headers.
fn prepare(shared: &Shared, call: &Call, params: &Params) -> Result<(Vec<Item>, bool), GraphError> {
    let bearer = auth::check(shared, params)?;
    if !matches!(call.node.as_str(), "" | "me") && call.node != bearer.id() {
        return Err(call.unsupported());
    }
    let include_headers = shape::boolean(&params.fields, "include_headers", "include_headers")?.unwrap_or(true);
    let not_a_list = || GraphError::batch("batch parameter must be a JSON array");
    let list = match &params.fields["batch"] {
        Value::Array(list) => list.clone(),
        Value::String(text) => serde_json::from_str(text).map_err(|_| not_a_list())?,
        _ => return Err(not_a_list()),
    };
    if list.is_empty() {
        return Err(not_a_list());
    }
    if list.len() > MAX_ITEMS {
        return Err(GraphError::too_many_items());
    }
    let items = list.iter().map(|item| Item::read(item, params)).collect::<Result<_, _>>()?;
    Ok((items, include_headers))
}

/// Runs every item once what it depends on has run.
async fn work_off(shared: &Shared, mut items: Vec<Item>) -> Vec<Fate> {
    let place_of: HashMap<String, usize> =
        items.iter().enumerate().filter_map(|(place, item)| Some((item.name.clone()?, place))).collect();
    let mut fates: Vec<Fate> = items.iter().map(|_| Fate::Waiting).collect();
    let mut succeeded = vec![false; items.len()];
    loop {
        let mut moved = false;
        for place in 0..items.len() {
            if !matches!(fates[place], Fate::Waiting) {
                continue;
            }
            let dependency = items[place].depends_on.as_ref().map(|name| place_of.get(name).copied());
            fates[place] = match dependency {
                Some(Some(before)) if matches!(fates[before], Fate::Waiting) => continue,
                Some(Some(before)) if !succeeded[before] => Fate::Null,
                Some(None) => Fate::Answered(unknown_dependency().into()),
                _ => fate_of(shared, &mut items[place]).await,
            };
            succeeded[place] = fates[place].is_success();
            moved = true;
        }
        if !moved {
            break;
        }
    }
    // Whatever waits now waits for itself.
    for fate in &mut fates {
        if matches!(fate, Fate::Waiting) {
            *fate = Fate::Answered(unknown_dependency().into());
        }
    }
    for item in &items {
        let depended_on = item.depends_on.as_ref().and_then(|name| place_of.get(name));
        if let Some(place) = depended_on.copied()
            && succeeded[place]
            && !items[place].keeps_response
        {
            fates[place] = Fate::Null;
        }
    }
    fates
}

fn unknown_dependency() -> GraphError {
    GraphError::parameter("Param depends_on must name another operation of the batch")
}

/// Runs one item past its own fault.
async fn fate_of(shared: &Shared, item: &mut Item) -> Fate {
    let request = std::mem::replace(&mut item.request, Err(unknown_dependency()));
    let (call, params) = match request {
        Ok(request) => request,
        Err(error) => return Fate::Answered(error.into()),
    };
    let _under_way = shared.counters.arrived(call.target());
    let spoiled = match strike(shared, &call, &params, true) {
        None => SpoiledItem::Untouched,
        Some((When::After, fault)) => {
            let answer = super::answer(shared, &call, params);
            return match fault.spoil_item(Some(answer), &shared.clock).await {
                SpoiledItem::Answer(answer) => Fate::Answered(answer),
                SpoiledItem::Null | SpoiledItem::Untouched => Fate::Null,
            };
        }
        Some((_, fault)) => fault.spoil_item(None, &shared.clock).await,
    };
    match spoiled {
        SpoiledItem::Untouched => Fate::Answered(super::answer(shared, &call, params)),
        SpoiledItem::Null => Fate::Null,
        SpoiledItem::Answer(answer) => Fate::Answered(answer),
    }
}

fn described(fate: &Fate, include_headers: bool) -> Value {
    let Fate::Answered(answer) = fate else { return Value::Null };
    let mut item = Map::new();
    item.insert("code".to_owned(), answer.status.as_u16().into());
    if include_headers {
        item.insert("headers".to_owned(), headers(&answer.headers));
    }
    item.insert("body".to_owned(), String::from_utf8_lossy(&answer.body).into());
    item.into()
}

fn headers(headers: &HeaderMap) -> Value {
    let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, text)| json!({ "name": title_case(name.as_str()), "value": value(text) })).collect()
}

/// `x-app-usage` as `X-App-Usage`.
fn title_case(name: &str) -> String {
    let mut start = true;
    let cased = name.chars().map(|letter| {
        let cased = if start { letter.to_ascii_uppercase() } else { letter };
        start = letter == '-';
        cased
    });
    cased.collect()
}

impl Item {
    /// Reads one entry of the list; an error is the whole batch's.
    fn read(entry: &Value, batch: &Params) -> Result<Self, GraphError> {
        let entry = entry.as_object().ok_or_else(|| GraphError::batch("batch parameter must be a JSON array"))?;
        Ok(Self {
            request: request(entry, batch),
            name: shape::text(entry, "name", "name")?.map(str::to_owned),
            depends_on: shape::text(entry, "depends_on", "depends_on")?.map(str::to_owned),
            keeps_response: shape::boolean(entry, "omit_response_on_success", "omit_response_on_success")?
                == Some(false),
        })
    }
}

/// The request an entry stands for.
fn request(entry: &Object, batch: &Params) -> Result<(Call, Params), GraphError> {
    only(entry, &KEYS, "batch")?;
    let method = shape::one_of(entry, "method", "method", &["GET", "POST", "PUT", "DELETE"])?
        .ok_or_else(|| GraphError::required("method"))?;
    let url =
        shape::text(entry, "relative_url", "relative_url")?.ok_or_else(|| GraphError::required("relative_url"))?;
    let body = shape::text(entry, "body", "body")?.unwrap_or_default();
    if url.contains("{result=") || body.contains("{result=") {
        return Err(GraphError::parameter("The sandbox resolves no references to other operations ({result=…})"));
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let method = method.parse().unwrap_or(Method::GET);
    let mut params = Params::of_forms(query, body)?;
    params.files = attached_files(entry, batch)?;
    if let Some(token) = shape::text(entry, "access_token", "access_token")? {
        params.fields.insert("access_token".to_owned(), token.into());
    }
    if !params.fields.contains_key("access_token") {
        let has_proof = params.fields.contains_key("appsecret_proof");
        let inherited = if has_proof { &CREDENTIALS[..1] } else { &CREDENTIALS };
        for name in inherited {
            if let Some(value) = batch.fields.get(*name) {
                params.fields.insert((*name).to_owned(), value.clone());
            }
        }
    }
    Ok((Call::at(method, path), params))
}

/// The parts of the batch's own body an entry names, as if each had come alone.
fn attached_files(entry: &Object, batch: &Params) -> Result<Vec<FilePart>, GraphError> {
    let names = shape::text(entry, "attached_files", "attached_files")?.unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let part = |name: &str| batch.files.iter().find(|file| file.field == name);
    names
        .map(|name| {
            let file = part(name).ok_or_else(GraphError::file_count)?;
            Ok(FilePart { field: "filedata".to_owned(), ..file.clone() })
        })
        .collect()
}
