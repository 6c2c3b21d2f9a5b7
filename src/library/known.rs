//! What a record that others share lately said, so that a bot need not ask again for each message, nor go without an answer
//! while the record is away.
//!
//! It lies in memory (`lately`), and in this machine's cache (`shelf`), where it outlives the process; both may vanish, and
//! the worst that follows is a question more. The truth stays the record's. Nothing is ever uploaded, recorded or struck off
//! for what is known here, and messages and campaigns do not go by it: it is asked by [`resolve`](super::AssetLibrary::resolve),
//! and there only where [`Answers::Known`](super::Answers) is wanted. The rules:
//!
//! - *While the record can be asked*, an id or alias is taken from memory that it gave to this process less than
//!   [`FRESH`] ago; that is how long one may be served that another process has renewed, healed, forgotten or pointed
//!   elsewhere. What this process uploads, heals or forgets shows at once. Only an id that is as good as was asked for
//!   is an answer: where there is none, or it is due or refused, the record has the word. The cache is not asked at
//!   all.
//! - *The record is away* once an answer is due and it gives no sign of life when asked for one (`absence`); that it is
//!   slow is no reason to do without it. While it is away, an id it once gave is served until it expires, by Meta's
//!   time where that is known, however soon that is; by a clock that is not to be believed, none is. The outcome is
//!   `reused` as ever; that the record is away is said once. From then on nobody waits for it, but a question a second
//!   that finds out whether it is back.
//! - *What is not known here* while it is away is waited for for three seconds of its absence, then fails, and says what it
//!   was. An id another process forgot or healed meanwhile may be served until the record is back: nobody can know.
//!
//! A record that is a file on this machine is asked each time. It is never away, and says the same in less time.

mod absence;
mod lately;
mod shelf;

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::cache::FileCache;
use crate::clock::{ClockReading, Timestamp};
use crate::ids::{AliasName, AssetKey, Origin};
use crate::record::{AliasTarget, PageIdentity, Pages, Record, RecordError, Upload};
use crate::secret::TokenFingerprint;

use self::absence::{Absence, Answer};
use self::lately::{Heard, Last, Lately};
use self::shelf::{Name, Shelf};

/// How long what the record said is believed without asking it again.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// What a record lately said. To be shared by all libraries on it.
#[derive(Debug)]
pub struct Known {
    record: Arc<dyn Record>,
    uploads: Lately<AssetKey, Upload>,
    aliases: Lately<AliasName, AliasTarget>,
    shelf: Shelf,
    absence: Arc<Absence>,
}

/// What there is under some keys.
#[derive(Debug)]
pub(super) enum Found {
    /// What the record holds, in the order of the keys.
    OnRecord(Vec<Option<Upload>>),
    /// A live id it gave before.
    Before(Box<Upload>),
}

impl Known {
    /// What this process hears from `record`.
    pub fn of(record: Arc<dyn Record>) -> Self {
        let (uploads, aliases) = (Lately::default(), Lately::default());
        let absence = Arc::new(Absence::of(Arc::clone(&record)));
        Self { record, uploads, aliases, shelf: Shelf::none(), absence }
    }

    /// The same, and what earlier ones heard that had the same cache. `address` tells records apart, and is no secret.
    #[must_use]
    pub fn kept_in(self, cache: Arc<FileCache>, address: String) -> Self {
        // What is on this machine itself is never away.
        if self.record.is_shared() { Self { shelf: Shelf::of(cache, address), ..self } } else { self }
    }

    /// The record itself.
    pub fn record(&self) -> &Arc<dyn Record> {
        &self.record
    }

    /// Finds out whether the record can be asked, within seconds. That it is away is no error: it is looked for from then on,
    /// and whatever is known answers in its place.
    ///
    /// # Errors
    /// When it is there and of no use: what [`connect`](crate::record::connect) says, but for `Away`.
    pub async fn find_out(&self) -> Result<(), RecordError> {
        self.absence.find_out().await
    }

    /// What the clocks of `origin` and of this machine showed when that was last kept, as far as it is known.
    ///
    /// # Errors
    /// When the record says so. That it is away is none.
    pub async fn clock_reading(&self, origin: &Origin) -> Result<Option<ClockReading>, RecordError> {
        match self.look_up(origin, self.record.clock_reading(origin)).await {
            Err(RecordError::Away { .. }) => Ok(None),
            answer => answer,
        }
    }

    /// Strikes the key's id off the record, and gives what it was; what is known here shows it at once.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn forget(&self, key: &AssetKey) -> Result<Option<Upload>, RecordError> {
        let forgotten = self.record.forget(key).await?;
        self.strike_off(key).await;
        Ok(forgotten)
    }

    /// The ids under these keys that the record gave a moment ago.
    pub(super) fn fresh<'a>(&'a self, keys: &'a [AssetKey]) -> impl Iterator<Item = Upload> + 'a {
        keys.iter().filter_map(|key| self.uploads.within(FRESH, key))
    }

    /// What the record holds under these keys or, where it is away, an id of them that it gave before and that `is_alive`.
    ///
    /// # Errors
    /// `Away` where it is away and there is no such id.
    pub(super) async fn find(
        &self,
        keys: &[AssetKey],
        is_alive: impl Fn(&Upload) -> bool,
    ) -> Result<Found, RecordError> {
        let asked = Instant::now();
        let before = async {
            let uploads = self.before(&self.uploads, keys).await;
            uploads.into_iter().flatten().find(is_alive)
        };
        match self.absence.ask(self.record.find(keys), before).await? {
            Answer::Record(found) => {
                self.learn(keys.iter().zip(found.iter().map(Option::as_ref)), asked).await;
                Ok(Found::OnRecord(found))
            }
            Answer::StandIn(upload) => Ok(Found::Before(Box::new(upload))),
        }
    }

    /// What the name stands for, or did a moment ago or when the record was last there; `None` where it is not in use.
    ///
    /// # Errors
    /// `Away` where it is away and the name is not known.
    pub(super) async fn alias(&self, name: &AliasName) -> Result<Option<AliasTarget>, RecordError> {
        if let Some(target) = self.aliases.within(FRESH, name) {
            return Ok(Some(target));
        }
        let asked = Instant::now();
        let before = async { self.before(&self.aliases, std::slice::from_ref(name)).await.pop().flatten() };
        match self.absence.ask(self.record.alias(name), before).await? {
            Answer::Record(alias) => {
                let target = alias.map(|alias| alias.target);
                if self.record.is_shared() && self.aliases.hear(name, target.as_ref(), asked) == Heard::News {
                    self.shelf.keep(std::iter::once((name, target.as_ref()))).await;
                }
                Ok(target)
            }
            Answer::StandIn(target) => Ok(Some(target)),
        }
    }

    /// Takes in what the record holds under some keys, asked for or done at `asked`.
    pub(super) async fn learn<'a>(
        &self,
        found: impl Iterator<Item = (&'a AssetKey, Option<&'a Upload>)>,
        asked: Instant,
    ) {
        if !self.record.is_shared() {
            return;
        }
        let news: Vec<_> =
            found.filter(|(key, upload)| self.uploads.hear(key, *upload, asked) == Heard::News).collect();
        self.shelf.keep(news.into_iter()).await;
    }

    /// Lets go of what is known of the key: it was struck off just now.
    pub(super) async fn strike_off(&self, key: &AssetKey) {
        self.learn(std::iter::once((key, None)), Instant::now()).await;
    }

    /// The last answers, from memory or else from the cache.
    async fn before<N>(&self, lately: &Lately<N, N::Thing>, names: &[N]) -> Vec<Option<N::Thing>>
    where
        N: Name + Clone + Eq + Hash,
        N::Thing: Clone + PartialEq,
    {
        let mut things = Vec::with_capacity(names.len());
        for name in names {
            things.push(match lately.last(name) {
                Last::Answer(thing) => thing,
                Last::Unheard => self.shelf.find(std::slice::from_ref(name)).await.pop().flatten(),
            });
        }
        things
    }

    /// What is asked for once in a process's life: the record's answer, or the one before.
    async fn look_up<N: Name>(
        &self,
        name: &N,
        asking: impl Future<Output = Result<Option<N::Thing>, RecordError>>,
    ) -> Result<Option<N::Thing>, RecordError> {
        let before = async { self.shelf.find(std::slice::from_ref(name)).await.pop().flatten() };
        match self.absence.ask(asking, before).await? {
            Answer::Record(answer) => {
                self.shelf.keep(std::iter::once((name, answer.as_ref()))).await;
                Ok(answer)
            }
            Answer::StandIn(thing) => Ok(Some(thing)),
        }
    }
}

/// Whose tokens are whose, also while the record is away.
#[async_trait]
impl Pages for Known {
    async fn page_of(&self, origin: &Origin, token: TokenFingerprint) -> Result<Option<PageIdentity>, RecordError> {
        self.look_up(&(origin.clone(), token), self.record.page_of(origin, token)).await
    }

    async fn remember_page(
        &self,
        origin: &Origin,
        token: TokenFingerprint,
        page: &PageIdentity,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        self.record.remember_page(origin, token, page, now).await?;
        self.shelf.keep(std::iter::once((&(origin.clone(), token), Some(page)))).await;
        Ok(())
    }
}
