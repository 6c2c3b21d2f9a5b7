//! An entry as named values, which is what JSON objects and rows of a table have in common.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{CopyOf, Entry, Lookup};
use crate::clock::Timestamp;
use crate::facts::Dimensions;
use crate::ids::{AliasName, Asset, AttachmentId, ContentHash, WebUrl};
use crate::record::UploadState;

/// The names, in the order they are written. The bytes of a path that is no text stand beside it, in hexadecimal digits.
pub(super) const NAMES: [&str; 20] = [
    "path",
    "path_bytes_hex",
    "aliases",
    "kind",
    "sha256",
    "url",
    "attachment_id",
    "state",
    "uploaded_at",
    "expires_at",
    "size_bytes",
    "mime",
    "width",
    "height",
    "page_id",
    "platform",
    "graph_url",
    "source_sha256",
    "fit_rules",
    "recipe",
];

/// The values of an entry by their names, in order; what is not known is left out.
pub(super) fn fields(entry: &Entry) -> Map<String, Value> {
    let path = entry.path.as_ref().map(|path| path.to_string_lossy());
    let bytes = entry.path.as_ref().filter(|path| path.to_str().is_none()).map(|path| path.as_os_str().as_bytes());
    let values = [
        path.map(Value::from),
        bytes.map(hex::encode).map(Value::from),
        (!entry.aliases.is_empty()).then(|| json!(entry.aliases)),
        entry.kind.map(|kind| kind.as_str().into()),
        entry.hash().map(|hash| hash.to_string().into()),
        entry.asset.as_ref().and_then(Asset::url).map(|url| url.as_str().into()),
        entry.attachment_id.as_ref().map(|id| id.as_str().into()),
        entry.state.map(|state| state.as_str().into()),
        entry.uploaded_at.map(|time| time.to_string().into()),
        entry.expires_at.map(|time| time.to_string().into()),
        entry.size_bytes.map(Value::from),
        entry.mime.clone().map(Value::from),
        entry.dimensions.map(|dimensions| dimensions.width.into()),
        entry.dimensions.map(|dimensions| dimensions.height.into()),
        entry.page.as_ref().map(|page| page.as_str().into()),
        entry.platform.map(|platform| platform.as_str().into()),
        entry.origin.as_ref().map(|origin| origin.as_str().into()),
        entry.copy_of.as_ref().map(|copy| copy.source.to_string().into()),
        entry.copy_of.as_ref().map(|copy| copy.rules.clone().into()),
        entry.copy_of.as_ref().map(|copy| copy.recipe.clone().into()),
    ];
    let named = NAMES.into_iter().zip(values);
    named.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The entry these values stand for, or what is wrong with them. Unknown names are none of ours.
pub(super) fn entry(fields: &Map<String, Value>) -> Result<Entry, String> {
    let fields = Fields(fields);
    let asset = match (fields.parsed::<ContentHash>("sha256")?, fields.web_url()?) {
        (Some(_), Some(_)) => return Err("it has both a sha256 and a url".to_owned()),
        (Some(hash), None) => Some(Asset::Bytes(hash)),
        (None, url) => url.map(Asset::Url),
    };
    let dimensions = match (fields.number("width")?, fields.number("height")?) {
        (Some(width), Some(height)) => Some(Dimensions { width: side(width)?, height: side(height)? }),
        _ => None,
    };
    Ok(Entry {
        path: fields.path()?,
        aliases: fields.aliases()?,
        kind: fields.parsed("kind")?,
        asset,
        attachment_id: fields.attachment_id()?,
        state: fields.text("state")?.map(state).transpose()?,
        uploaded_at: fields.time("uploaded_at")?,
        expires_at: fields.time("expires_at")?,
        size_bytes: fields.number("size_bytes")?,
        mime: fields.text("mime")?.map(str::to_owned),
        dimensions,
        page: fields.parsed("page_id")?,
        platform: fields.parsed("platform")?,
        origin: fields.parsed("graph_url")?,
        copy_of: fields.copy_of()?,
        lookup: Lookup::Path,
    })
}

fn state(word: &str) -> Result<UploadState, String> {
    UploadState::parse(word).ok_or_else(|| format!("its state {word:?} is not live, rejected or unknown_age"))
}

fn side(pixels: u64) -> Result<u32, String> {
    u32::try_from(pixels).map_err(|_| format!("{pixels} pixels are too many"))
}

/// Values by their names. Null and absent are the same.
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| format!("its {name} is {value}, and no text"));
        self.get(name).map(text).transpose()
    }

    pub(super) fn parsed<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name)?.map(|text| text.parse().map_err(|error: T::Err| error.to_string())).transpose()
    }

    fn copy_of(&self) -> Result<Option<CopyOf>, String> {
        let Some(source) = self.parsed("source_sha256")? else { return Ok(None) };
        match (self.text("fit_rules")?, self.text("recipe")?) {
            (Some(rules), Some(recipe)) => {
                Ok(Some(CopyOf { source, rules: rules.to_owned(), recipe: recipe.to_owned() }))
            }
            _ => Err("it is a copy, and has no fit_rules or no recipe".to_owned()),
        }
    }

    fn web_url(&self) -> Result<Option<WebUrl>, String> {
        self.text("url")?.map(|text| WebUrl::given(text).map_err(|error| error.to_string())).transpose()
    }

    /// An id is text: as a number, most programs would have rounded it.
    pub(super) fn attachment_id(&self) -> Result<Option<AttachmentId>, String> {
        self.get("attachment_id").map(attachment_id).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let number = |value: &Value| {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.ok_or_else(|| format!("its {name} is {value}, and no number"))
        };
        self.get(name).map(number).transpose()
    }

    /// A moment, in RFC 3339 or in milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let time = |value: &Value| {
            let millis = value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(Timestamp::from_unix_millis);
            let time = millis.or_else(|| value.as_str()?.parse().ok());
            time.ok_or_else(|| format!("its {name} is {value}, and no time such as 2026-01-31T12:00:00Z"))
        };
        self.get(name).map(time).transpose()
    }

    fn path(&self) -> Result<Option<PathBuf>, String> {
        match self.text("path_bytes_hex")? {
            Some(digits) => {
                let bytes = hex::decode(digits).map_err(|error| format!("its path_bytes_hex is wrong: {error}"))?;
                Ok(Some(OsString::from_vec(bytes).into()))
            }
            None => Ok(self.text("path")?.map(PathBuf::from)),
        }
    }

    /// A list of names, or a text with spaces between them.
    fn aliases(&self) -> Result<Vec<AliasName>, String> {
        let wrong = |value: &Value| format!("its aliases are {value}, and no list of names");
        let words: Vec<&str> = match self.get("aliases") {
            None => Vec::new(),
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(list)) => {
                list.iter().map(|name| name.as_str().ok_or_else(|| wrong(name))).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(wrong(other)),
        };
        let name = |word: &str| AliasName::with_or_without_at(word).map_err(|error| error.to_string());
        words.into_iter().map(name).collect()
    }
}

/// The id a value holds.
pub(super) fn attachment_id(value: &Value) -> Result<AttachmentId, String> {
    match value {
        Value::String(text) if is_rounded(text) => {
            Err(format!("its id {text} was rounded by a spreadsheet: keep the column as text"))
        }
        Value::String(text) => text.trim().parse().map_err(|error: crate::ids::InvalidId| error.to_string()),
        Value::Number(number) => Err(format!("its id {number} is a number, which loses digits: write it in quotes")),
        other => Err(format!("its id is {other}, and no text")),
    }
}

/// Whether it reads like `9.47333E+15`.
fn is_rounded(text: &str) -> bool {
    let Some((digits, power)) = text.trim().split_once(['E', 'e']) else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(power.trim_start_matches('+')) && is_number(&digits.replace(['.', ','], ""))
}
