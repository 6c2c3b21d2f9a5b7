//! Where settings come from: flags, then environment variables, then `reattach.toml`, then defaults.

mod credentials;
mod file;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use etcetera::BaseStrategy;

use crate::graph::{ApiVersion, Auth, PaceLimits};
use crate::ids::{Origin, PageId, Platform};
use crate::library::UrlQuery;
use crate::media::Private;
use crate::record::{AddressError, RecordPlace, ServerAddress};
use crate::secret::{AccessToken, AppSecret};

use super::args::Global;

pub(super) use credentials::{ACCESS_TOKEN, CredentialError};
pub(super) use file::InstagramSendType;

use credentials::{APP_SECRET, Place, read_secret_file};
use file::{File, PageFile, UrlQueryWord, load_file};

/// The file the record is in, where it is one.
const RECORD: &str = "record.db";
/// The folder the cache is in.
const CACHE: &str = "cache";

/// What the flags say, and where they say nothing, the variables. An empty variable is one that is not set.
pub(super) fn with_environment(flags: Global) -> Result<Global, ConfigError> {
    Ok(Global {
        config: or_environment(flags.config, "REATTACH_CONFIG")?,
        page: or_environment(flags.page, "REATTACH_PAGE")?,
        store: or_environment(flags.store, "REATTACH_STORE")?,
        graph_url: or_environment(flags.graph_url, "REATTACH_GRAPH_URL")?,
        api_version: or_environment(flags.api_version, "REATTACH_API_VERSION")?,
        ..flags
    })
}

fn or_environment<T: FromStr<Err: Display>>(flag: Option<T>, name: &'static str) -> Result<Option<T>, ConfigError> {
    let variable = env::var_os(name).filter(|text| flag.is_none() && !text.is_empty());
    let Some(text) = variable else { return Ok(flag) };
    let wrong = |reason: String| ConfigError::WrongVariable { name, reason };
    let text = text.to_str().ok_or_else(|| wrong("it is not text".into()))?;
    text.parse().map(Some).map_err(|error: T::Err| wrong(error.to_string()))
}

/// Wrong or missing configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    /// A variable that is not what it should be.
    #[error("use the variable {name}: {reason}")]
    WrongVariable {
        /// Which variable.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The file cannot be read.
    #[error("read the configuration file {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("understand the configuration file {}, line {line}: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A file that was merely found here names a Graph API that is neither Meta's nor on this machine.
    #[error("use the Graph API {origin}, which {} asks for: this file was not named with --config", path.display())]
    StrangeOrigin {
        /// Which file.
        path: PathBuf,
        /// What it asks for.
        origin: Origin,
    },
    /// A secret with two places.
    #[error("choose between {name}_env and {name}_file: the configuration has both")]
    TwoPlaces {
        /// Which secret.
        name: &'static str,
    },
    /// No such Page is configured.
    #[error("find the Page {name:?} in the configuration; it has {known}")]
    UnknownPage {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Several Pages, and none of them chosen.
    #[error("choose a Page: the configuration has {known}")]
    NoPageChosen {
        /// The names there are.
        known: String,
    },
    /// More than one Page, where there can be but one.
    #[error("work for {pages}: this command takes one Page at a time")]
    SeveralPages {
        /// The names asked for.
        pages: String,
    },
    /// PostgreSQL's password file is open to others.
    #[error(transparent)]
    Passfile(CredentialError),
    /// A store of an unknown sort.
    #[error("open the store {url:?}: only sled:FOLDER and postgres://… are known")]
    UnknownStore {
        /// What was asked for.
        url: String,
    },
    /// A server that cannot be meant like that.
    #[error("open the store {url:?}: {reason}")]
    Address {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: AddressError,
    },
    /// No home folder to keep things in.
    #[error("find a folder for the store: no home folder is known")]
    NoHome,
}

/// What applies to this run.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Where the cache lies, and the record, unless it is elsewhere.
    pub(super) store: PathBuf,
    /// Where the record is, if not in the store's folder.
    pub(super) server: Option<ServerAddress>,
    pub(super) origin: Origin,
    pub(super) api_version: ApiVersion,
    pub(super) platform: Platform,
    pub(super) url_query: UrlQuery,
    pub(super) instagram_send_type: InstagramSendType,
    /// The configuration file that was read, if any.
    pub(super) config: Option<PathBuf>,
    pub(super) page: PageChoice,
    /// What the configuration calls the Pages whose ids it knows.
    pub(super) names: Vec<(PageId, String)>,
    /// Our own files and those with secrets, which are nobody's media.
    pub(super) private: Arc<Private>,
}

/// The Page to work for. That there is one, and its secrets, is only asked of commands that need it.
#[derive(Debug, Clone)]
pub(super) enum PageChoice {
    /// This one.
    Chosen(PageSettings),
    /// These, in the order they were named in.
    Several(Vec<PageSettings>),
    /// There is no telling which.
    Undecided {
        /// The names there are.
        known: String,
    },
}

/// One Page as configured.
#[derive(Debug, Clone, Default)]
pub(super) struct PageSettings {
    /// What the configuration calls it.
    pub(super) name: Option<String>,
    /// The id the token must belong to, where the configuration says.
    pub(super) id: Option<PageId>,
    pub(super) auth: Auth,
    pub(super) limits: PaceLimits,
    access_token: Place,
    app_secret: Place,
}

impl Settings {
    /// The `type` attachments are sent as, where Instagram is to get another than its own.
    pub(super) fn attachment_type(&self) -> Option<&'static str> {
        match self.platform {
            Platform::Instagram => self.instagram_send_type.wire_word(),
            Platform::Messenger => None,
        }
    }

    /// Settings for this run.
    pub(super) fn load(global: &Global) -> Result<Self, ConfigError> {
        let file = load_file(global.config.as_deref())?;
        let store = global.store.as_deref().or(file.store.as_deref());
        let (store, server) = store.map_or_else(|| Ok((default_store()?, None)), store_place)?;
        let secrets = file.pages.values().flat_map(|page| [&page.access_token_file, &page.app_secret_file]).flatten();
        let log = env::var_os("REATTACH_LOG_FILE").map(PathBuf::from);
        let private: Vec<_> =
            secrets.chain(&file.path).chain(&log).chain(&passfile()).chain([&store]).cloned().collect();
        let page = choose_page(global.page.as_deref(), &file)?;
        let name = |(name, page): (&String, &PageFile)| Some((page.id.as_ref()?.0.clone(), name.clone()));
        let names = file.pages.iter().filter_map(name).collect();
        Ok(Self {
            private: Arc::new(Private::new(private)),
            store,
            server,
            origin: global.graph_url.clone().or(file.graph_url.map(|url| url.0)).unwrap_or_else(graph),
            api_version: global.api_version.clone().or(file.api_version.map(|v| v.0)).unwrap_or_default(),
            platform: global.platform.or(file.platform).unwrap_or_default(),
            url_query: match file.url_query {
                Some(UrlQueryWord::Ignore) => UrlQuery::Ignored,
                Some(UrlQueryWord::Keep) | None => UrlQuery::Kept,
            },
            instagram_send_type: file.instagram_send_type,
            page,
            names,
            config: file.path,
        })
    }

    /// The file the record is in, unless it is on a server.
    pub(super) fn record_file(&self) -> PathBuf {
        self.store.join(RECORD)
    }

    /// The folder of the cache, which is always on this machine.
    pub(super) fn cache_folder(&self) -> PathBuf {
        self.store.join(CACHE)
    }

    /// What the configuration calls the Page; `None` where it does not know its id.
    pub(super) fn name_of(&self, page: &PageId) -> Option<&str> {
        self.names.iter().find(|(id, _)| id == page).map(|(_, name)| name.as_str())
    }
}

impl PageChoice {
    /// The one Page, where there is no doubt which.
    pub(super) fn chosen(&self) -> Result<&PageSettings, ConfigError> {
        match self.all()? {
            [page] => Ok(page),
            pages => {
                let names: Vec<_> = pages.iter().filter_map(|page| page.name.as_deref()).collect();
                Err(ConfigError::SeveralPages { pages: names.join(" and ") })
            }
        }
    }

    /// Every Page to work for; at least one.
    pub(super) fn all(&self) -> Result<&[PageSettings], ConfigError> {
        match self {
            Self::Chosen(page) => Ok(std::slice::from_ref(page)),
            Self::Several(pages) => Ok(pages),
            Self::Undecided { known } => Err(ConfigError::NoPageChosen { known: known.clone() }),
        }
    }
}

impl PageSettings {
    /// A Page of which nothing but its token is known.
    pub(super) fn with_token(token: AccessToken) -> Self {
        Self { access_token: Place::Given(token), app_secret: Place::Nowhere, ..Self::default() }
    }

    /// The Page's token.
    pub(super) fn access_token(&self) -> Result<AccessToken, CredentialError> {
        if let Place::Given(token) = &self.access_token {
            return Ok(token.clone());
        }
        let Some((text, place)) = self.access_token.read(ACCESS_TOKEN)? else {
            return Err(CredentialError::Missing { variable: self.access_token.variable(ACCESS_TOKEN) });
        };
        AccessToken::new(&text).ok_or(CredentialError::Unusable { place })
    }

    /// The app's secret, where there is one.
    pub(super) fn app_secret(&self) -> Result<Option<AppSecret>, CredentialError> {
        let Some((text, place)) = self.app_secret.read(APP_SECRET)? else {
            // A place that was configured and holds nothing is a mistake; calls without a proof would be another.
            return match &self.app_secret {
                Place::Variable(variable) => Err(CredentialError::Missing { variable: variable.clone() }),
                _ => Ok(None),
            };
        };
        AppSecret::new(&text).map(Some).ok_or(CredentialError::Unusable { place })
    }
}

fn graph() -> Origin {
    Origin::GRAPH.parse().expect("Meta's origin is an origin")
}

fn default_store() -> Result<PathBuf, ConfigError> {
    let folders = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
    Ok(folders.data_dir().join("reattach"))
}

/// The folder of a store, and its server, if it has one. The cache is always on this machine.
fn store_place(url: &str) -> Result<(PathBuf, Option<ServerAddress>), ConfigError> {
    match url.split_once(':') {
        Some(("sled", folder)) if !folder.is_empty() => Ok((folder.into(), None)),
        Some(("postgres" | "postgresql", _)) => Ok((default_store()?, Some(server(url)?))),
        _ => Err(ConfigError::UnknownStore { url: without_password(url) }),
    }
}

/// The record at `url`, which may name its file as well as its store.
pub(super) fn record_place(url: &str) -> Result<RecordPlace, ConfigError> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(RecordPlace::File(path.into())),
        _ => match store_place(url)? {
            (_, Some(server)) => Ok(RecordPlace::Server(server)),
            (folder, None) => Ok(RecordPlace::File(folder.join(RECORD))),
        },
    }
}

/// The server at `url`, with a password from where PostgreSQL's own programs look for one.
fn server(url: &str) -> Result<ServerAddress, ConfigError> {
    let wrong = |reason| ConfigError::Address { url: without_password(url), reason };
    let address: ServerAddress = url.parse().map_err(wrong)?;
    if address.has_password() {
        return Ok(address);
    }
    let password = match env::var("PGPASSWORD").ok().filter(|text| !text.is_empty()) {
        Some(password) => Some(password),
        None => match passfile() {
            Some(path) => address.password_in(&read_secret_file(&path).map_err(ConfigError::Passfile)?),
            None => None,
        },
    };
    Ok(password.map(|password| address.clone().with_password(&password)).unwrap_or(address))
}

/// PostgreSQL's password file, where there is one.
fn passfile() -> Option<PathBuf> {
    let named = env::var_os("PGPASSFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let usual = || Some(etcetera::home_dir().ok()?.join(".pgpass"));
    named.or_else(usual).filter(|path| path.exists())
}

/// What of a store's URL may be shown where it cannot be used: it may carry a password, and nobody knows where.
fn without_password(url: &str) -> String {
    let is_word = |scheme: &&str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let scheme = url.split_once("://").map(|(scheme, _)| scheme).filter(is_word);
    scheme.map_or_else(|| "…".to_owned(), |scheme| format!("{scheme}://…"))
}

fn choose_page(asked: Option<&str>, file: &File) -> Result<PageChoice, ConfigError> {
    let pages = &file.pages;
    if let Some(names) = asked.or(file.page.as_deref()) {
        let mut chosen: Vec<PageSettings> = Vec::new();
        for name in names.split(',').map(str::trim) {
            if chosen.iter().all(|page| page.name.as_deref() != Some(name)) {
                chosen.push(page_called(name, file)?);
            }
        }
        return Ok(match <[PageSettings; 1]>::try_from(chosen) {
            Ok([page]) => PageChoice::Chosen(page),
            Err(pages) => PageChoice::Several(pages),
        });
    }
    match (pages.get_key_value("default"), pages.iter().next()) {
        (Some((name, page)), _) => page_settings(Some(name), page, file).map(PageChoice::Chosen),
        (None, Some((name, page))) if pages.len() == 1 => page_settings(Some(name), page, file).map(PageChoice::Chosen),
        (None, Some(_)) => Ok(PageChoice::Undecided { known: names_of(pages) }),
        (None, None) => page_settings(None, &PageFile::default(), file).map(PageChoice::Chosen),
    }
}

fn names_of(pages: &BTreeMap<String, PageFile>) -> String {
    pages.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn page_called(name: &str, file: &File) -> Result<PageSettings, ConfigError> {
    match file.pages.get(name) {
        Some(page) => page_settings(Some(name), page, file),
        None if file.pages.is_empty() && name == "default" => page_settings(Some(name), &PageFile::default(), file),
        None => {
            let known = if file.pages.is_empty() { "no Pages".to_owned() } else { names_of(&file.pages) };
            Err(ConfigError::UnknownPage { name: name.to_owned(), known })
        }
    }
}

fn page_settings(name: Option<&str>, page: &PageFile, file: &File) -> Result<PageSettings, ConfigError> {
    Ok(PageSettings {
        name: name.map(ToOwned::to_owned),
        id: page.id.clone().map(|id| id.0),
        auth: page.auth.or(file.auth).map(Auth::from).unwrap_or_default(),
        limits: page.limits.over(file.limits.over(PaceLimits::default())),
        access_token: Place::of("access_token", page.access_token_env.as_ref(), page.access_token_file.as_ref())?,
        app_secret: Place::of("app_secret", page.app_secret_env.as_ref(), page.app_secret_file.as_ref())?,
    })
}
