//! `GET /{page}/conversations` and `GET /{conversation}`: what a Page and a person wrote to each other.
//!
//! A conversation holds what the Page sent to a PSID, and the person's own word where a control call said when they last
//! wrote. Details are there for the 20 most recent messages only; `metadata` is no field of a message. What a template
//! looks like here is not documented: it has neither text nor attachments.
//!
//! Source: Messenger Platform, Conversations API (read 2026-02-11); Graph API reference, Page `conversations` edge,
//! Conversation and Message (v25.0).

use serde_json::{Map, Value, json};

use super::super::error::GraphError;
use super::super::pages::{Bearer, SandboxPage};
use super::super::params::Params;
use super::super::shape;
use super::super::shared::Shared;
use super::super::time::graph_time;
use super::super::truth::{TruthAttachment, TruthMessage};
use super::{Call, auth};
use crate::clock::Timestamp;

/// What every conversation's id begins with.
pub(super) const PREFIX: &str = "t_";
/// How many messages, or conversations, are shown at once, unless the call says otherwise.
const SHOWN: usize = 25;
/// Of how many messages there are details.
const DETAILED: usize = 20;

const CONVERSATION_FIELDS: [&str; 3] = ["id", "messages", "updated_time"];
const MESSAGE_FIELDS: [&str; 6] = ["attachments", "created_time", "from", "id", "message", "to"];
/// What is shown of a message of which nothing in particular is asked, or which is too old.
const BARE: [&str; 2] = ["id", "created_time"];

pub(super) fn run(shared: &Shared, bearer: Bearer, call: &Call, params: &Params) -> Result<Value, GraphError> {
    if call.edge == "conversations" {
        return list(shared, auth::page(bearer, call)?, params);
    }
    let Bearer::Page(page) = bearer else { return Err(GraphError::user_token()) };
    let psid = call.node.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(page.id));
    // Another Page's conversation is not there for this one.
    let conversation =
        psid.and_then(|psid| Conversation::between(shared, page, psid)).ok_or_else(|| call.unsupported())?;
    conversation.show(params.text("fields").unwrap_or("id,updated_time"))
}

fn list(shared: &Shared, page: &'static SandboxPage, params: &Params) -> Result<Value, GraphError> {
    let platform = shape::one_of(&params.fields, "platform", "platform", &["instagram", "messenger"])?;
    let user = shape::numeric(&params.fields, "user_id", "user_id")?;
    let people = match user {
        Some(psid) => vec![psid],
        None => shared.state().people_written_to(page),
    };
    let mut found: Vec<_> = people.iter().filter_map(|psid| Conversation::between(shared, page, psid)).collect();
    found.retain(|_| platform != Some("instagram"));
    found.sort_by_key(|conversation| std::cmp::Reverse(conversation.updated_at()));
    let data: Vec<_> = found.iter().take(SHOWN).map(Conversation::summary).collect();
    Ok(json!({ "data": data }))
}

/// What was written, the newest first.
struct Conversation {
    page: &'static SandboxPage,
    psid: String,
    messages: Vec<Written>,
}

struct Written {
    id: String,
    at: Timestamp,
    by_page: bool,
    text: String,
    attachments: Vec<Value>,
}

impl Conversation {
    /// `None` where nobody has written anything.
    fn between(shared: &Shared, page: &'static SandboxPage, psid: &str) -> Option<Self> {
        let (sent, attachments) = {
            let mut state = shared.state();
            (state.messages_to(page, psid), state.attachments().to_vec())
        };
        let mut messages: Vec<_> =
            sent.into_iter().filter_map(|message| Written::by_page(message, &attachments)).collect();
        messages.extend(shared.people().find(psid).last_wrote_at().map(|at| Written::by_person(psid, at)));
        // What came in the same millisecond stays in the order it came.
        messages.sort_by_key(|written| written.at);
        messages.reverse();
        (!messages.is_empty()).then(|| Self { page, psid: psid.to_owned(), messages })
    }

    fn id(&self) -> String {
        format!("{PREFIX}{}{}", self.page.id, self.psid)
    }

    fn updated_at(&self) -> Option<Timestamp> {
        self.messages.first().map(|newest| newest.at)
    }

    fn summary(&self) -> Value {
        json!({ "id": self.id(), "updated_time": self.updated_at().map(graph_time) })
    }

    fn show(&self, fields: &str) -> Result<Value, GraphError> {
        let mut shown = Map::from_iter([("id".to_owned(), self.id().into())]);
        for field in split(fields) {
            let (name, modifiers, inner) = parts(field);
            if !CONVERSATION_FIELDS.contains(&name) {
                return Err(nonexisting(field, "Conversation"));
            }
            match name {
                "messages" => {
                    let inner = inner.map_or(BARE.to_vec(), split);
                    if let Some(unknown) = inner.iter().find(|inner| !MESSAGE_FIELDS.contains(&parts(inner).0)) {
                        return Err(nonexisting(unknown, "Message"));
                    }
                    let limit = modifiers.trim_start_matches(".limit(").trim_end_matches(')').parse();
                    shown.insert(name.to_owned(), self.page_of_messages(&inner, limit.unwrap_or(SHOWN)));
                }
                "updated_time" => drop(shown.insert(name.to_owned(), self.summary()[name].clone())),
                _ => {}
            }
        }
        Ok(shown.into())
    }

    fn page_of_messages(&self, fields: &[&str], limit: usize) -> Value {
        let show = |(place, written): (usize, &Written)| {
            let fields = if place < DETAILED { fields } else { &BARE };
            let all = written.all(self.page, &self.psid);
            let wanted = fields.iter().map(|field| parts(field).0).chain(["id"]);
            Value::Object(wanted.filter_map(|name| Some((name.to_owned(), all.get(name)?.clone()))).collect())
        };
        let data: Vec<_> = self.messages.iter().enumerate().take(limit).map(show).collect();
        let mut page = json!({ "data": data });
        if self.messages.len() > limit {
            let after = format!("QVFI{limit}");
            let next = format!("https://graph.facebook.com/v25.0/{}/messages?limit={limit}&after={after}", self.id());
            page["paging"] = json!({ "cursors": { "after": after }, "next": next });
        }
        page
    }
}

impl Written {
    /// `None` for a sender action, of which nothing is left to see.
    fn by_page(message: TruthMessage, saved: &[TruthAttachment]) -> Option<Self> {
        let body = message.request.get("message")?;
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        let one = body.get("attachment").into_iter();
        let several = body["attachments"].as_array().into_iter().flatten();
        let own_id = message.attachment_id.as_deref();
        let attachments = one.chain(several).filter_map(|attachment| shown(attachment, own_id, saved)).collect();
        Some(Self { id: message.message_id?, at: message.at, by_page: true, text, attachments })
    }

    fn by_person(psid: &str, at: Timestamp) -> Self {
        let id = format!("m_{psid}-{}", at.as_unix_millis());
        Self { id, at, by_page: false, text: "Hello".to_owned(), attachments: Vec::new() }
    }

    fn all(&self, page: &SandboxPage, psid: &str) -> Map<String, Value> {
        let user = |name: &str, id: &str| json!({ "name": name, "email": format!("{id}@facebook.com"), "id": id });
        let (page, person) = (user(page.name, page.id), user("Sandbox Person", psid));
        let (from, to) = if self.by_page { (page, person) } else { (person, page) };
        let mut all = Map::from_iter([
            ("id".to_owned(), self.id.as_str().into()),
            ("created_time".to_owned(), graph_time(self.at).into()),
            ("from".to_owned(), from),
            ("to".to_owned(), json!({ "data": [to] })),
            ("message".to_owned(), self.text.as_str().into()),
        ]);
        if !self.attachments.is_empty() {
            all.insert("attachments".to_owned(), json!({ "data": self.attachments }));
        }
        all
    }
}

/// An attachment as a conversation shows it; `None` for a template.
fn shown(attachment: &Value, own_id: Option<&str>, saved: &[TruthAttachment]) -> Option<Value> {
    let kind = attachment["type"].as_str()?.to_ascii_lowercase();
    let id = attachment.pointer("/payload/attachment_id").and_then(Value::as_str).or(own_id);
    let file = saved.iter().find(|saved| Some(saved.id.as_str()) == id).and_then(|saved| saved.file.as_ref());
    let (usual, data) = match kind.as_str() {
        "image" => ("image/jpeg", "image_data"),
        "video" => ("video/mp4", "video_data"),
        "audio" => ("audio/mpeg", "file_url"),
        "file" => ("application/octet-stream", "file_url"),
        _ => return None,
    };
    let url = "https://scontent.invalid/sandbox";
    let mut shown = json!({
        "id": id.unwrap_or("1000000000000000"),
        "mime_type": file.and_then(|file| file.mime.as_deref()).unwrap_or(usual),
        "name": file.map_or("attachment", |file| file.name.as_str()),
        "size": file.map_or(0, |file| file.size_bytes),
    });
    shown[data] = if data == "file_url" { url.into() } else { json!({ "url": url, "preview_url": url }) };
    Some(shown)
}

/// The fields in a list of them; those within braces or brackets belong to the one before.
fn split(fields: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = fields.split(|letter| {
        depth += i32::from(matches!(letter, '{' | '(')) - i32::from(matches!(letter, '}' | ')'));
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|field| !field.is_empty()).collect()
}

/// A field's name, what stands between it and its braces, and what stands in them.
fn parts(field: &str) -> (&str, &str, Option<&str>) {
    let (head, inner) = match field.split_once('{') {
        Some((head, rest)) => (head, Some(rest.trim_end_matches('}'))),
        None => (field, None),
    };
    let end = head.find('.').unwrap_or(head.len());
    (&head[..end], &head[end..], inner)
}

fn nonexisting(field: &str, kind: &str) -> GraphError {
    GraphError::parameter(format!("Tried accessing nonexisting field ({field}) on node type ({kind})"))
}
