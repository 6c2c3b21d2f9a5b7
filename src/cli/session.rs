//! The Pages a command works for: whose token it has, the client that speaks for each, and its library.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;

use crate::events::PageOf;
use crate::graph::{
    Governor, GraphClient, GraphOptions, Hook, ReqwestTransport, RetryPolicy, TokenOwner, Waiting, Why,
};
use crate::ids::PageId;
use crate::library::{AssetLibrary, Inspector, Known, LibraryParts, UPLOAD_MEMORY};
use crate::media::Reader;
use crate::record::{PageIdentity, Pages, Record};
use crate::secret::AccessToken;

use super::config::PageSettings;
use super::context::{Context, reporter};
use super::failure::Failure;
use super::progress::Bars;
use super::values::local_time;

/// A shorter pause before another attempt is over before it is read about.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

/// Waits that end so close together are one.
const SAME_WAIT_MILLIS: i64 = 1_000;

/// The Page a token belongs to, and the client that speaks for it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) graph: Arc<GraphClient>,
    pub(super) page: PageIdentity,
    /// What the configuration calls the Page.
    pub(super) name: Option<String>,
}

impl Session {
    /// The Page as one of several.
    pub(super) fn page_of(&self) -> PageOf {
        let name = self.name.clone().unwrap_or_else(|| self.page.name.clone());
        PageOf { name, id: self.page.id.clone() }
    }
}

/// The Pages that can be worked for, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) open: Vec<Session>,
    pub(super) failed: Vec<(String, Failure)>,
}

impl Context {
    /// The client of the chosen Page, and whose token it has. Meta is asked only about a token never seen before.
    pub(super) async fn session(&self, owners: &dyn Pages) -> Result<Session, Failure> {
        self.session_of(self.settings.page.chosen()?, owners).await
    }

    /// The same for every Page asked for. Where it is one alone, what is wrong with it is the command's own failure.
    pub(super) async fn sessions(&self, owners: &dyn Pages) -> Result<Sessions, Failure> {
        let pages = self.settings.page.all()?;
        let opened = join_all(pages.iter().map(|page| self.session_of(page, owners))).await;
        let mut sessions = Sessions::default();
        for (page, opened) in pages.iter().zip(opened) {
            let name = page.name.clone().unwrap_or_default();
            match opened {
                Ok(session) => match sessions.open.iter().find(|other| other.page.id == session.page.id) {
                    Some(other) => return Err(Failure::SamePage { pages: [other.page_of().name, name] }),
                    None => sessions.open.push(session),
                },
                Err(failure) if pages.len() == 1 => return Err(failure),
                Err(failure) => sessions.failed.push((name, failure)),
            }
        }
        Ok(sessions)
    }

    async fn session_of(&self, page: &PageSettings, owners: &dyn Pages) -> Result<Session, Failure> {
        let token = page.access_token()?;
        let graph = Arc::new(self.graph_client(page, token.clone())?);
        let identity = self.identity(owners, &graph, &token).await?;
        match &page.id {
            Some(expected) if *expected != identity.id => {
                Err(Failure::WrongPage { expected: expected.clone(), actual: identity.id, actual_name: identity.name })
            }
            _ => Ok(Session { graph, page: identity, name: page.name.clone() }),
        }
    }

    pub(super) fn graph_client(&self, page: &PageSettings, token: AccessToken) -> Result<GraphClient, Failure> {
        let options = GraphOptions {
            origin: self.settings.origin.clone(),
            api_version: self.settings.api_version.clone(),
            token,
            app_secret: page.app_secret()?,
            auth: page.auth,
            platform: self.settings.platform,
            retry: RetryPolicy { max_wait: self.global.max_wait, ..RetryPolicy::default() },
        };
        let output = Arc::clone(&self.output);
        let client = GraphClient::new(options, Arc::new(ReqwestTransport::new()), Arc::clone(&self.machine_clock))
            .with_server_time(Arc::clone(&self.server_time))
            .with_governor(Arc::new(Governor::new(page.limits)));
        let clock = Arc::clone(&self.machine_clock);
        let told_until = AtomicI64::new(i64::MIN);
        let client = client.until(self.stop.clone());
        Ok(client.with_reporter(Hook::new(move |waiting: Waiting| {
            if waiting.until.since(clock.now()) < WORTH_A_WORD {
                return;
            }
            let back = local_time(waiting.until);
            let (whom, why) = match &waiting.why {
                Why::Failed(error) => return output.note(format_args!("trying again at {back}: {error}")),
                Why::Limit(Some(refusal)) => ("Meta", refusal.to_string()),
                Why::Limit(None) => ("Meta", "its limit is used up".to_owned()),
                Why::Day(spent) => ("calls_per_day", spent.to_string()),
            };
            // All calls wait for the same, and one of them may say so.
            let until = waiting.until.as_unix_millis();
            if told_until.fetch_max(until, Ordering::Relaxed).saturating_add(SAME_WAIT_MILLIS) < until {
                output.note(format_args!("waiting for {whom}: back at {back} ({why})"));
            }
        })))
    }

    async fn identity(
        &self,
        owners: &dyn Pages,
        graph: &GraphClient,
        token: &AccessToken,
    ) -> Result<PageIdentity, Failure> {
        let (origin, fingerprint) = (&self.settings.origin, token.fingerprint());
        if let Some(known) = owners.page_of(origin, fingerprint).await? {
            return Ok(known);
        }
        let identity = graph.me().await?;
        let owner = match identity.owner {
            Some(TokenOwner::User) => Some("the person".to_owned()),
            Some(TokenOwner::Other(word)) => Some(format!("the {word}")),
            Some(TokenOwner::Page) | None => None,
        };
        let (id, name) = (identity.id, identity.name.unwrap_or_default());
        if let Some(owner) = owner {
            return Err(Failure::NotAPage { owner, id, name });
        }
        let identity = PageIdentity { id, name };
        owners.remember_page(origin, fingerprint, &identity, self.clock.now()).await?;
        Ok(identity)
    }

    /// The id of the chosen Page. Meta is asked only where neither the configuration nor the record knows it.
    pub(super) async fn page_id(&self, record: &dyn Record) -> Result<PageId, Failure> {
        self.id_of(self.settings.page.chosen()?, record).await
    }

    /// The same for every Page asked for.
    pub(super) async fn page_ids(&self, record: &dyn Record) -> Result<Vec<PageId>, Failure> {
        let mut ids = Vec::new();
        for page in self.settings.page.all()? {
            ids.push(self.id_of(page, record).await?);
        }
        Ok(ids)
    }

    async fn id_of(&self, page: &PageSettings, record: &dyn Record) -> Result<PageId, Failure> {
        match &page.id {
            Some(id) => Ok(id.clone()),
            None => Ok(self.session_of(page, record).await?.page.id),
        }
    }

    /// The library of the session's Page.
    pub(super) fn library(
        &self,
        session: &Session,
        record: Arc<dyn Record>,
        inspector: Inspector,
        concurrency: usize,
        bars: Option<Arc<Bars>>,
    ) -> AssetLibrary {
        self.library_with(session, record, inspector, self.reader(UPLOAD_MEMORY), concurrency, bars)
    }

    /// The library of each session's Page; memory they share.
    pub(super) fn libraries(
        &self,
        sessions: &[Session],
        known: &Arc<Known>,
        inspector: &Inspector,
        concurrency: usize,
        bars: Option<&Arc<Bars>>,
    ) -> Vec<AssetLibrary> {
        let reader = self.reader(UPLOAD_MEMORY);
        let library = |session| {
            let (record, reader) = (Arc::clone(known.record()), Arc::clone(&reader));
            let library = self.library_with(session, record, inspector.clone(), reader, concurrency, bars.cloned());
            library.with_known(Arc::clone(known))
        };
        sessions.iter().map(library).collect()
    }

    fn library_with(
        &self,
        session: &Session,
        record: Arc<dyn Record>,
        inspector: Inspector,
        upload_reader: Arc<Reader>,
        concurrency: usize,
        bars: Option<Arc<Bars>>,
    ) -> AssetLibrary {
        AssetLibrary::new(LibraryParts {
            graph: Arc::clone(&session.graph),
            record,
            inspector,
            upload_reader,
            page: session.page.id.clone(),
            url_query: self.settings.url_query,
            concurrency,
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
            reporter: reporter(bars),
        })
    }
}
