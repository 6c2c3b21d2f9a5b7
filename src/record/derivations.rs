//! Which bytes were made of which: copies that go in the place of files the platform would refuse.
//!
//! The copies themselves are kept nowhere. Made again of the same source, they are the same bytes.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::RecordError;
use super::rows::{self, damaged};
use crate::clock::Timestamp;
use crate::facts::{Dimensions, Facts};
use crate::ids::ContentHash;

/// One copy, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// SHA-256 of the bytes it was made of.
    pub source: ContentHash,
    /// By which rules, such as `fit1;messenger`: the same source and rules give the same copy.
    pub rules: String,
    /// What was done, for people: `fit1;messenger;jpeg;q=85;4000x3000`.
    pub recipe: String,
    /// SHA-256 of the copy.
    pub result: ContentHash,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Its media type.
    pub mime: String,
    /// Its width and height.
    pub dimensions: Dimensions,
}

impl Derivation {
    /// What the bytes of the copy say.
    pub fn facts(&self) -> Facts {
        Facts {
            hash: self.result,
            size_bytes: self.size_bytes,
            mime: Some(self.mime.clone().into()),
            dimensions: Some(self.dimensions),
            damage: None,
        }
    }
}

/// What was made of what, on every Page alike.
#[async_trait]
pub trait Derivations: fmt::Debug + Send + Sync {
    /// The copies made of `source`, one for each set of rules, in an order that is always the same.
    async fn copies_of(&self, source: ContentHash) -> Result<Vec<Derivation>, RecordError>;

    /// What these bytes were made of, in an order that is always the same; nothing of bytes that are no copy.
    async fn sources_of(&self, results: &[ContentHash]) -> Result<Vec<Derivation>, RecordError>;

    /// Keeps which copy was made, in place of the one that was known of the same source and rules.
    ///
    /// # Errors
    /// `Refused` when it makes no sense, such as a copy without bytes.
    async fn remember_derivation(&self, derivation: &Derivation, now: Timestamp) -> Result<(), RecordError>;
}

/// A row of `derivations`. The order of the fields is part of the checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DerivationRow {
    pub(super) source: Vec<u8>,
    pub(super) rules: String,
    pub(super) recipe: String,
    pub(super) result: Vec<u8>,
    pub(super) size_bytes: i64,
    pub(super) mime: String,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) made_at: i64,
}

impl DerivationRow {
    const TABLE: &str = "derivations";

    /// A size past `i64::MAX` becomes negative, which every engine's schema refuses.
    pub(super) fn new(derivation: &Derivation, made_at: Timestamp) -> Self {
        Self {
            source: derivation.source.as_bytes().to_vec(),
            rules: derivation.rules.clone(),
            recipe: derivation.recipe.clone(),
            result: derivation.result.as_bytes().to_vec(),
            size_bytes: i64::try_from(derivation.size_bytes).unwrap_or(-1),
            mime: derivation.mime.clone(),
            width: derivation.dimensions.width.into(),
            height: derivation.dimensions.height.into(),
            made_at: made_at.as_unix_millis(),
        }
    }

    pub(super) fn checksum(&self) -> u32 {
        rows::crc(self)
    }

    /// The derivation this row stands for, as stored with `checksum`.
    pub(super) fn into_derivation(self, checksum: i64) -> Result<Derivation, RecordError> {
        if checksum != i64::from(self.checksum()) {
            return Err(damaged(
                Self::TABLE,
                format!("the checksum of a copy of {} is wrong", hex::encode(self.source)),
            ));
        }
        self.into_derivation_unchecked()
    }

    /// The same of an engine that has checksums of its own.
    pub(super) fn into_derivation_unchecked(self) -> Result<Derivation, RecordError> {
        let side = |side: i64| u32::try_from(side).map_err(|error| damaged(Self::TABLE, error));
        Ok(Derivation {
            source: hash(&self.source)?,
            rules: self.rules,
            recipe: self.recipe,
            result: hash(&self.result)?,
            size_bytes: u64::try_from(self.size_bytes).map_err(|error| damaged(Self::TABLE, error))?,
            mime: self.mime,
            dimensions: Dimensions { width: side(self.width)?, height: side(self.height)? },
        })
    }
}

fn hash(bytes: &[u8]) -> Result<ContentHash, RecordError> {
    let hash = <[u8; 32]>::try_from(bytes);
    hash.map(ContentHash).map_err(|_| damaged(DerivationRow::TABLE, format!("a digest of {} bytes", bytes.len())))
}
