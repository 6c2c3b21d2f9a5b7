//! Aliases on record: what people call what.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

use super::RecordError;
use crate::clock::Timestamp;
use crate::ids::{AliasName, Asset, MediaKind};

/// A name for an asset, on every Page, platform and Graph origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: AliasName,
    /// What it stands for.
    pub target: AliasTarget,
    /// When it was last pointed at something.
    pub set_at: Timestamp,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTarget {
    /// Bytes, or a web address. Another file under the same path is another asset.
    pub asset: Asset,
    /// The `type` it is sent as.
    pub kind: MediaKind,
    /// The file it was made from, which may hold other bytes by now.
    pub source: Option<PathBuf>,
}

/// What people call what.
#[async_trait]
pub trait Aliases: fmt::Debug + Send + Sync {
    /// What the name stands for; `None` where it is not in use.
    async fn alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError>;

    /// Points the name at something, durable before this returns, and gives what it pointed at before. Whoever asks
    /// meanwhile gets the one or the other.
    async fn set_alias(&self, alias: &Alias) -> Result<Option<Alias>, RecordError>;

    /// Takes the name out of use, and gives what it stood for.
    async fn remove_alias(&self, name: &AliasName) -> Result<Option<Alias>, RecordError>;

    /// All of them, by name.
    async fn aliases(&self) -> Result<Vec<Alias>, RecordError>;
}
