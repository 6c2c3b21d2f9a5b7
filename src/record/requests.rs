//! Requests of programs that may repeat them, and what was answered to each; and uploads by message, which no later run may
//! repeat (`library::errand`).

use std::fmt;

use async_trait::async_trait;

use super::RecordError;
use super::rows::{self, damaged};
use crate::clock::Timestamp;
use crate::ids::{ContentHash, RequestKey};

/// How many old requests are let go of for each new one, at most: more than come, and never a long wait.
pub(super) const LET_GO: u16 = 100;

/// A request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What its program calls it.
    pub key: RequestKey,
    /// SHA-256 of what it asks for: under the same key, all else is another request.
    pub digest: ContentHash,
    /// When it was taken up, which is how old it is; far ahead where it never gets old.
    pub at: Timestamp,
}

/// What was answered to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, which is JSON.
    pub body: String,
}

/// What came of taking up a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenUp {
    /// It is the caller's to do, who answers it or gives it back.
    New,
    /// Under its key there is this one, which may ask for something else.
    Known(Request, Standing),
}

/// How a request stands that was taken up before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Whoever took it up is alive, and has not answered.
    UnderWay,
    /// Whoever took it up is no more, and has left no answer.
    Abandoned,
    /// It was answered.
    Answered(Answer),
}

/// Which requests were taken up, and what was answered.
///
/// # Cancel safety
/// As with [`Uploads`](super::Uploads): a call that was started may take effect although its future was dropped, and a
/// request that was taken up so is nobody's.
#[async_trait]
pub trait Requests: fmt::Debug + Send + Sync {
    /// Takes the request up, durable before this returns, unless there is one under its key that was taken up at `since` or
    /// later. Some of those from before `since` are let go of.
    async fn take_up(&self, request: &Request, since: Timestamp) -> Result<TakenUp, RecordError>;

    /// Keeps what is answered to the request, durable before this returns. The first answer stays.
    async fn answer(&self, request: &Request, answer: &Answer) -> Result<(), RecordError>;

    /// Lets go of the request, to be taken up anew, unless it was answered.
    async fn give_back(&self, request: &Request) -> Result<(), RecordError>;
}

/// A row of `requests`, but for its owner, who is none of the request's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestRow {
    pub(super) key: String,
    pub(super) digest: Vec<u8>,
    pub(super) at: i64,
    pub(super) status: Option<i64>,
    pub(super) body: Option<String>,
}

impl RequestRow {
    pub(super) const TABLE: &str = "requests";

    pub(super) fn new(request: &Request, answer: Option<&Answer>) -> Self {
        Self {
            key: request.key.as_str().to_owned(),
            digest: request.digest.as_bytes().to_vec(),
            at: request.at.as_unix_millis(),
            status: answer.map(|answer| answer.status.into()),
            body: answer.map(|answer| answer.body.clone()),
        }
    }

    /// CRC-32 of the row.
    pub(super) fn checksum(&self) -> u32 {
        rows::crc(&(&self.key, &self.digest, self.at, self.status, &self.body))
    }

    /// The request, and what was answered.
    pub(super) fn into_request(self) -> Result<(Request, Option<Answer>), RecordError> {
        let digest = <[u8; 32]>::try_from(self.digest);
        let digest = digest.map_err(|bytes| damaged(Self::TABLE, format!("a digest of {} bytes", bytes.len())))?;
        let answer = match (self.status, self.body) {
            (Some(status), Some(body)) => {
                Some(Answer { status: u16::try_from(status).map_err(|error| damaged(Self::TABLE, error))?, body })
            }
            _ => None,
        };
        let at = Timestamp::from_unix_millis(self.at);
        Ok((Request { key: rows::parse(Self::TABLE, &self.key)?, digest: ContentHash(digest), at }, answer))
    }
}
