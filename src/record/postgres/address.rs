//! Where the server is, who we are to it, and how much it is trusted: `postgres://…` taken apart.
//!
//! What libpq understands is left to the client, but for what it does not know: `sslmode=verify-full`, `sslrootcert`, and
//! `reattach_lease`, which is ours.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use url::form_urlencoded;

/// How long a process may be silent before what it had claimed passes on.
const LEASE: Duration = Duration::from_secs(30);
/// Where all tables lie.
pub(super) const SCHEMA: &str = "reattach";
/// How long the server works on one statement.
pub(super) const STATEMENT: Duration = Duration::from_secs(30);
/// How long a statement waits for another's lock.
const LOCK: Duration = Duration::from_secs(10);
/// How long one host of several may take to let us in before the next is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How soon a peer that answers nothing is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// Where a shared record is. `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct ServerAddress {
    config: Box<Config>,
    /// The same for each host alone.
    hosts: Vec<Config>,
    trust: Trust,
    lease: Duration,
    statement: Duration,
    shown: String,
}

/// What is asked of the server before it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing: it is on this machine, or the user said so.
    Plain,
    /// Encryption, whoever it is: the user said so.
    Encrypted,
    /// A certificate of its host's name, by the system's authorities or those in this file.
    Verified(Option<PathBuf>),
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not `postgres://…`, or an option in it is wrong.
    #[error("{0}")]
    Malformed(String),
    /// One that leaves it to chance whether anybody listens, or that nobody knows.
    #[error("sslmode={0} is not known here: say disable, require or verify-full")]
    UnknownSslMode(String),
}

impl ServerAddress {
    /// Whether a password came with it.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The same with this password, which the server may ask for.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        for config in self.hosts.iter_mut().chain([&mut *self.config]) {
            config.password(password);
        }
        self
    }

    /// The password of the first line of a passfile that fits; `None` where none does.
    ///
    /// **Source**: PostgreSQL 15, "The Password File": `host:port:database:user:password`, `*` fits all, `\` escapes.
    pub fn password_in(&self, passfile: &str) -> Option<String> {
        let user = self.config.get_user()?;
        let database = self.config.get_dbname().unwrap_or(user);
        let ports = self.config.get_ports();
        let places: Vec<(String, u16)> = (self.config.get_hosts().iter().enumerate())
            .map(|(place, host)| {
                let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => (name.clone(), port),
                    Host::Unix(_) => ("localhost".to_owned(), port),
                }
            })
            .collect();
        let fits = |fields: &[String]| {
            let is = |field: usize, value: &str| fields[field] == "*" || fields[field] == value;
            is(2, database) && is(3, user) && places.iter().any(|(host, port)| is(0, host) && is(1, &port.to_string()))
        };
        let lines = passfile.lines().filter(|line| !line.starts_with('#')).map(fields_of);
        lines.filter(|fields| fields.len() == 5).find(|fields| fits(fields)).map(|mut fields| fields.remove(4))
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// How to reach each of its hosts.
    pub(super) fn hosts(&self) -> &[Config] {
        &self.hosts
    }

    /// How long one of several may take to let us in.
    pub(super) fn connect(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(CONNECT)
    }

    /// How long the server works on one statement.
    pub(super) fn statement(&self) -> Duration {
        self.statement
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(super) fn lease(&self) -> Duration {
        self.lease
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(AddressError::Malformed("it does not begin with postgres://".into()));
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // The client would take what stands behind the first for a host.
        if place.matches('@').count() > 1 {
            return Err(ambiguous());
        }
        let (mut mode, mut authorities, mut lease, mut others) = (None, None, LEASE, Vec::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => authorities = Some(PathBuf::from(value.into_owned())),
                "reattach_lease" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
                    let wrong =
                        || AddressError::Malformed("reattach_lease is a number of seconds from 1 to 3600".into());
                    lease = Duration::from_secs(seconds.ok_or_else(wrong)?);
                }
                _ => others.push((name, value)),
            }
        }
        let mut query =
            others.iter().fold(form_urlencoded::Serializer::new(String::new()), |mut query, (name, value)| {
                query.append_pair(name, value);
                query
            });
        // The client reads `%20`, and takes `+` for itself.
        let query = query.finish().replace('+', "%20");
        let parse = |place: &str| format!("{place}?{query}").parse().map_err(|error| malformed(&error, url));
        let mut config: Config = parse(place)?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::Malformed("it names no host".into()));
        }
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(ambiguous());
        }
        // A host's name may stand for any address beside it.
        let is_local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        let trust = match mode.as_deref() {
            None if is_local => Trust::Plain,
            Some("disable") => Trust::Plain,
            Some("require") if authorities.is_none() => Trust::Encrypted,
            None | Some("verify-full" | "require") => Trust::Verified(authorities),
            Some(other) => return Err(AddressError::UnknownSslMode(other.to_owned())),
        };
        let names_its_session = others.iter().any(|(name, _)| name == "target_session_attrs");
        prepare(&mut config, &trust, names_its_session);
        let alone = |place: &String| {
            let mut alone = parse(place)?;
            prepare(&mut alone, &trust, names_its_session);
            alone.target_session_attrs(config.get_target_session_attrs());
            Ok(alone)
        };
        let hosts = apart(place).iter().map(alone).collect::<Result<_, AddressError>>()?;
        let statement = config.get_options().and_then(statement_timeout).unwrap_or(STATEMENT);
        let (shown, config) = (shown(&config), Box::new(config));
        Ok(Self { config, hosts, trust, lease, statement, shown })
    }
}

/// Sets what the user need not think of, and leaves what they said.
fn prepare(config: &mut Config, trust: &Trust, names_its_session: bool) {
    config.ssl_mode(if *trust == Trust::Plain { SslMode::Disable } else { SslMode::Require });
    if config.get_user().is_none() {
        config.user("reattach");
    }
    if config.get_application_name().is_none() {
        config.application_name("reattach");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    config.keepalives_idle(SILENCE / 2).keepalives_interval(SILENCE / 4).keepalives_retries(2);
    if config.get_hosts().len() > 1 {
        config.load_balance_hosts(LoadBalanceHosts::Random);
        if !names_its_session {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
    }
    let ours = format!(
        "-c search_path={SCHEMA} -c statement_timeout={} -c lock_timeout={} \
         -c idle_in_transaction_session_timeout={} -c client_min_messages=warning",
        STATEMENT.as_millis(),
        LOCK.as_millis(),
        2 * STATEMENT.as_millis(),
    );
    // The last word counts.
    let options = config.get_options().map_or_else(|| ours.clone(), |theirs| format!("{ours} {theirs}"));
    config.options(options);
}

/// The same with each of its hosts alone, where they stand before the query.
fn apart(place: &str) -> Vec<String> {
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(_, hosts)| authority.split_at(authority.len() - hosts.len()));
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}/{database}")).collect()
}

/// The last of the limits these options set to a statement; `None` where that is none, or not understood.
fn statement_timeout(options: &str) -> Option<Duration> {
    let (_, said) = options.rsplit_once("statement_timeout=")?;
    let said = said.split_whitespace().next()?;
    let (number, unit) = said.split_at(said.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(said.len()));
    let millis = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_millis(number.saturating_mul(millis)))
}

fn ambiguous() -> AddressError {
    AddressError::Malformed("there is more than one @ in it: escape @ in the password as %40".into())
}

fn malformed(error: &tokio_postgres::Error, url: &str) -> AddressError {
    // Its own words are what it is, and which option behind it. Of one nobody knows that may be a part of a password with a
    // question mark, behind which comes the @; of one whose value is wrong it is a name of its own.
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let mut words = cause.split('`');
    let (what, option) = (words.next().unwrap_or_default().trim_end(), words.next().unwrap_or_default());
    let is_word = !option.is_empty() && option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_part_of_a_password = url.split_once('?').is_some_and(|(_, query)| query.contains('@'));
    AddressError::Malformed(match what {
        "invalid value for option" if is_word => format!("the value of {option} is none it can have"),
        "unknown option" if is_word && !is_part_of_a_password => format!("nobody knows the option {option}"),
        what => what.to_owned(),
    })
}

/// Whether nothing that is said to it leaves this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// `postgres://user@host:port,host:port/database`.
fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = (config.get_hosts().iter().enumerate())
        .map(|(place, host)| {
            let name = match host {
                // What stands before an @ belongs to a password.
                Host::Tcp(name) => name.rsplit('@').next().unwrap_or_default().to_owned(),
                Host::Unix(path) => path.display().to_string(),
            };
            match ports.get(place).or(ports.first()) {
                Some(port) => format!("{name}:{port}"),
                None => name,
            }
        })
        .collect();
    let user = config.get_user().unwrap_or_default();
    format!("postgres://{user}@{}/{}", hosts.join(","), config.get_dbname().unwrap_or(user))
}

/// The fields of a line of a passfile.
fn fields_of(line: &str) -> Vec<String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => field.extend(letters.next()),
            ':' => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerAddress").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> ServerAddress {
        url.parse().expect("an address")
    }

    #[test]
    fn off_this_machine_the_server_proves_who_it_is_unless_told_otherwise() {
        for (url, trust) in [
            ("postgres://127.0.0.1/r", Trust::Plain),
            ("postgres://localhost,[::1]/r", Trust::Plain),
            ("postgres:///r?host=/run/postgresql", Trust::Plain),
            ("postgres://db.example/r", Trust::Verified(None)),
            ("postgres://localhost,db.example/r", Trust::Verified(None)),
            ("postgres://localhost/r?hostaddr=192.0.2.1", Trust::Verified(None)),
            ("postgres://127.0.0.1/r?sslmode=verify-full&sslrootcert=/ca.pem", Trust::Verified(Some("/ca.pem".into()))),
            ("postgres://db.example/r?sslmode=require", Trust::Encrypted),
            ("postgres://db.example/r?sslmode=disable", Trust::Plain),
        ] {
            assert_eq!(*address(url).trust(), trust, "{url}");
        }
        for mode in ["prefer", "allow", "verify-ca", "none"] {
            let refused = format!("postgres://db.example/r?sslmode={mode}").parse::<ServerAddress>();
            assert_eq!(refused.expect_err("refused"), AddressError::UnknownSslMode(mode.to_owned()));
        }
    }

    #[test]
    fn several_hosts_are_tried_in_any_order_for_one_that_can_be_written_to() {
        let several = address("postgres://u@a.example:5433,b.example:5434/r");
        assert_eq!(several.config().get_load_balance_hosts(), LoadBalanceHosts::Random);
        assert_eq!(several.config().get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(several.to_string(), "postgres://u@a.example:5433,b.example:5434/r");
        let told = address("postgres://u@a.example,b.example/r?target_session_attrs=any");
        assert_eq!(told.config().get_target_session_attrs(), TargetSessionAttrs::Any);
    }

    #[test]
    fn each_host_can_be_tried_alone_and_all_as_they_were_told() {
        let several =
            address("postgres://u:p@a.example:5433,b.example/r?sslmode=require&application_name=x").with_password("q");
        assert_eq!(several.hosts().len(), 2);
        for (alone, host, port) in [(0, "a.example", &[5433][..]), (1, "b.example", &[5432])] {
            let alone = &several.hosts()[alone];
            assert_eq!((alone.get_hosts(), alone.get_ports()), (&[Host::Tcp(host.to_owned())][..], port));
            assert_eq!(alone.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!((alone.get_user(), alone.get_password()), (Some("u"), Some(&b"q"[..])));
            assert_eq!((alone.get_dbname(), alone.get_application_name()), (Some("r"), Some("x")));
            assert_eq!((alone.get_options(), alone.get_ssl_mode()), (several.config().get_options(), SslMode::Require));
        }
        for one in ["postgres://h/r", "postgres://h", "postgres:///r?host=/run/postgresql,h", "postgres://u:a@h/r"] {
            assert_eq!(*address(one).hosts(), [address(one).config().clone()], "{one}");
        }
    }

    #[test]
    fn an_answer_is_waited_for_as_long_as_the_server_was_told_to_work_on_it() {
        let told = |options: &str| address(&format!("postgres://h/r?options={options}")).statement();
        assert_eq!(address("postgres://h/r").statement(), STATEMENT);
        assert_eq!(told("-c%20statement_timeout=2min%20-c%20lock_timeout=1"), Duration::from_mins(2));
        assert_eq!(told("-c%20statement_timeout=9s%20-c%20statement_timeout=300"), Duration::from_millis(300));
        assert_eq!((told("-c%20statement_timeout=0"), told("-c%20statement_timeout=x")), (STATEMENT, STATEMENT));
    }

    #[test]
    fn no_form_of_it_shows_the_password() {
        let secret =
            address("postgres://u:hunter2secret@127.0.0.1/r?application_name=a%20b").with_password("hunter3secret");
        let shown = format!("{secret} {secret:?} {:?}", secret.config());
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(secret.config().get_application_name(), Some("a b"));
        for url in [
            "postgres://u:hunter2secret@127.0.0.1:port/r",
            "postgres://u:hunter2secret@h/r?nonsense=hunter2secret",
            "postgres://u:123?hunter2secret@h/r",
        ] {
            let error = url.parse::<ServerAddress>().expect_err("malformed").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_at_sign_of_a_password_is_escaped_or_refused_and_never_shown() {
        let escaped = address("postgres://u:p%40ss@h/r");
        assert_eq!(escaped.config().get_password(), Some(&b"p@ss"[..]));
        assert_eq!(escaped.to_string(), "postgres://u@h:5432/r");
        for url in [
            "postgres://u:p@ssw0rdTail99@127.0.0.1:1/r",
            "postgres://u:p@1/ssw0rdTail99@127.0.0.1:1/r",
            "postgres://u:p/1@ssw0rdTail99@127.0.0.1:1/r",
            "postgres://u:p@ssw0rdTail99%40h/r",
            "postgres://u:p@h/r?host=ssw0rdTail99@i",
        ] {
            let error = url.parse::<ServerAddress>().expect_err("refused").to_string();
            assert!(error.contains("as %40") && !error.contains("Tail"), "{error}");
        }
        let config: Config = "postgres://u:p@ssw0rdTail99@h:1,i:2/r".parse().expect("what the client makes of it");
        assert_eq!(shown(&config), "postgres://u@h:1,i:2/r");
    }

    #[test]
    fn a_passfile_answers_for_host_port_database_and_user() {
        let passfile = "# mine\nother:*:*:*:no\n*:5432:r:u:p\\:w\\\\d\n*:*:*:*:last\n";
        assert_eq!(address("postgres://u@h/r").password_in(passfile).as_deref(), Some("p:w\\d"));
        assert_eq!(address("postgres://v@h/r").password_in(passfile).as_deref(), Some("last"));
        assert_eq!(address("postgres://v@h/r").password_in("h:1:r:v:p").as_deref(), None);
    }

    #[test]
    fn a_lease_is_a_number_of_seconds() {
        assert_eq!(address("postgres://h/r?reattach_lease=2").lease(), Duration::from_secs(2));
        let refused = "postgres://h/r?reattach_lease=0".parse::<ServerAddress>().expect_err("too short");
        assert!(refused.to_string().contains("from 1 to 3600"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, words) in [
            ("postgres://h/r?sslmod=x", "nobody knows the option sslmod"),
            ("postgres://u@h/r?application_name=x&sslmod=", "nobody knows the option sslmod"),
            ("postgres://h:abc/r", "the value of port is none it can have"),
            ("postgres://h:99999/r", "the value of port is none it can have"),
            ("postgres://h/r?connect_timeout=soon", "the value of connect_timeout is none it can have"),
            ("postgres:/x", "it does not begin with postgres://"),
            ("host=h user=u", "it does not begin with postgres://"),
            ("postgres://u:123?hunter2secret=1@h/r", "unknown option"),
        ] {
            assert_eq!(url.parse::<ServerAddress>().expect_err("wrong").to_string(), words, "{url}");
        }
    }
}
