//! A message taken to Meta, once; and once more after a refusal that proves nothing was sent and an id is of no use.

use std::collections::HashSet;
use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};

use crate::graph::{Content, GraphError, Message, Scope, SendRequest, Sent};
use crate::ids::AttachmentId;

use super::heal::{Healed, Refused};
use super::outgoing::CONCURRENCY;
use super::{AssetLibrary, AssetOutcome, LibraryError, Prepared, PreparedAsset};

/// Makes single attempts at sending. Who has to know of each before its first byte leaves, and of its end, is one.
#[async_trait]
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Sends the request, once.
    async fn carry(&self, request: &SendRequest) -> Result<Sent, GraphError>;
}

/// How a message ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Delivered {
    /// Meta has it.
    Sent {
        /// As Meta got it.
        request: SendRequest,
        /// Meta's receipt.
        sent: Sent,
    },
    /// Meta refused it, or was not reached, or nobody knows.
    Failed {
        /// As it was sent.
        request: SendRequest,
        /// Which of these it is.
        error: GraphError,
    },
    /// Meta does not know one of its ids any more, and there was no getting a new one. It was not sent.
    NotHealed {
        /// As it was refused.
        request: SendRequest,
        /// Why there is no new id; [`LibraryError::concerns_every_file`] says whether others would fare the same.
        error: LibraryError,
    },
    /// Its ids were made anew, and Meta refused those as well: token, Page and app do not go together.
    NewIdRefused {
        /// As it was refused the second time.
        request: SendRequest,
        /// Meta's words.
        error: GraphError,
    },
    /// The library's stop was requested before it was begun.
    Stopped,
}

impl AssetLibrary {
    /// Sends the message with `carrier`. If Meta does not know one of its ids any more, those that are ours are made anew,
    /// and the message goes out a second time, which is the last.
    ///
    /// Which of its ids it was Meta does not say, so all of them count as refused; one that was replaced meanwhile costs
    /// nothing.
    ///
    /// # Cancel safety
    /// Dropping the future abandons an attempt that has begun: whether the message arrived is then not known.
    pub async fn deliver(&self, prepared: Prepared, carrier: &dyn Carrier) -> Delivered {
        if self.parts.stop.is_requested() {
            return Delivered::Stopped;
        }
        let Prepared { request, assets, .. } = prepared;
        let refusal = match carrier.carry(&request).await {
            Ok(sent) => return Delivered::Sent { request, sent },
            Err(error) if error.scope() == Some(Scope::Attachment) => error,
            Err(error) => return Delivered::Failed { request, error },
        };
        tracing::info!(error = %refusal, "making the ids of the message anew");
        let Ids { ours, strange } = match self.refused_ids(&request, &assets).await {
            Ok(ids) => ids,
            Err(error) => return Delivered::NotHealed { request, error },
        };
        if ours.is_empty() {
            return Delivered::Failed { request, error: refusal };
        }
        let request = match self.heal_all(ours).await {
            Ok(healed) => with_new_ids(&request, &healed),
            Err(error) => return Delivered::NotHealed { request, error },
        };
        match carrier.carry(&request).await {
            Ok(sent) => Delivered::Sent { request, sent },
            // Where there is another id, it may have been that one both times.
            Err(error) if error.scope() == Some(Scope::Attachment) && strange == 0 => {
                Delivered::NewIdRefused { request, error }
            }
            Err(error) => Delivered::Failed { request, error },
        }
    }

    /// The message with new ids, after Meta refused one of those it had: they are not used again. Unchanged where none of them
    /// is on record here.
    ///
    /// # Errors
    /// `NotHealed` for the first that cannot be made anew; and when the record cannot be used.
    pub async fn replace_refused(&self, prepared: Prepared) -> Result<Prepared, LibraryError> {
        let Prepared { request, assets, mut replaced } = prepared;
        let ids = self.refused_ids(&request, &assets).await?;
        let mut healed = self.heal_all(ids.ours).await?;
        let request = with_new_ids(&request, &healed);
        let renewed = |asset: PreparedAsset| {
            let healed = healed.iter_mut().find(|healed| healed.refused == asset.upload.attachment_id);
            match healed {
                // Where several are the same asset, one upload was for all of them.
                Some(Healed { upload, outcome, .. }) => {
                    asset.healed(upload, std::mem::replace(outcome, AssetOutcome::Reused))
                }
                None => asset,
            }
        };
        let assets = assets.into_iter().map(renewed).collect();
        for Healed { refused, upload, .. } in &healed {
            for (_, current) in replaced.iter_mut().filter(|(_, current)| current == refused) {
                current.clone_from(&upload.attachment_id);
            }
            replaced.push((refused.clone(), upload.attachment_id.clone()));
        }
        Ok(Prepared { request, assets, replaced })
    }

    /// All ids of a message that was refused.
    async fn refused_ids(&self, request: &SendRequest, assets: &[PreparedAsset]) -> Result<Ids, LibraryError> {
        let put_in = assets.iter().map(|asset| Refused {
            key: asset.upload.key.clone(),
            attachment_id: asset.upload.attachment_id.clone(),
            asset: Some(asset.asset.clone()),
        });
        let mut ids = Ids { ours: Vec::new(), strange: 0 };
        let mut seen = HashSet::new();
        ids.ours.extend(put_in.filter(|refused| seen.insert(refused.attachment_id.clone())));
        let written = request.content.message().map(Message::attachment_ids).unwrap_or_default();
        for attachment_id in written.into_iter().filter_map(|id| id.parse::<AttachmentId>().ok()) {
            if !seen.insert(attachment_id.clone()) {
                continue;
            }
            match self.asset_behind(&attachment_id).await? {
                Some(key) => ids.ours.push(Refused { key, attachment_id, asset: None }),
                None => ids.strange += 1,
            }
        }
        Ok(ids)
    }

    /// What took the place of each.
    async fn heal_all(&self, refused: Vec<Refused>) -> Result<Vec<Healed>, LibraryError> {
        futures::stream::iter(refused)
            .map(|old| async move { self.heal(&old).await })
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }
}

fn with_new_ids(request: &SendRequest, healed: &[Healed]) -> SendRequest {
    let pairs: Vec<_> =
        healed.iter().map(|healed| (healed.refused.clone(), healed.upload.attachment_id.clone())).collect();
    let content = match &request.content {
        Content::Message(message) => message.with_ids_replaced(&pairs).into(),
        other => other.clone(),
    };
    SendRequest { content, ..request.clone() }
}

/// The ids of a message, by whose they are.
#[derive(Debug)]
struct Ids {
    ours: Vec<Refused>,
    /// How many are not on record here.
    strange: usize,
}
