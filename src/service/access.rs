//! Who may come in: every request passes here before anything else looks at it.
//!
//! A page on another site can make a browser on this machine send requests here, and so can any program of another user.
//! So the Host must be one of our names (a name that was bound to 127.0.0.1 is none), an Origin, where there is one, must
//! be ours, a request that says it comes from elsewhere is refused, and all but the empty page asks for a token: in the
//! header `Authorization`, or as the session a browser was given for it.
//!
//! A browser sends its cookies to every port of a host, so whoever on this machine can make it follow a link to a port of
//! their own has the session. It opens nothing by itself but pictures and files, whose names are digests nobody knows who
//! cannot list them: for all else the page shows the session's second word as well, which it was given when it signed in
//! and keeps where no other port can look.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};
use sha2::Sha256;

use super::keys::Keys;
use super::problem::Problem;
use crate::clock::Timestamp;

/// How long a browser stays signed in.
pub(super) const SESSION: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// How long all headers together may be.
const HEADER_BYTES: usize = 32 << 10;

/// The header in which a page shows its session's second word.
pub(super) const CSRF: &str = "x-reattach-csrf";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Look.
    Read,
    /// Look, upload, send.
    Send,
}

impl Scope {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
        }
    }
}

/// How somebody has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) scope: Scope,
    pub(super) shown: Shown,
}

/// What somebody has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A token itself.
    Token,
    /// The session a browser was given for one.
    Session,
}

/// The doorkeeper.
#[derive(Debug)]
pub(super) struct Access {
    keys: Keys,
    /// Every `host:port` that is us, in lower case.
    hosts: Vec<String>,
    /// The cookie's name: two services on one machine share their cookies.
    cookie: String,
}

impl Access {
    pub(super) fn new(keys: Keys, address: SocketAddr, more: &[String]) -> Self {
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        // Who listens everywhere is called from here as well; by what name from elsewhere, it is told.
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}")));
        }
        hosts.extend(more.iter().map(|host| host.to_ascii_lowercase()));
        // Clients leave out the ports that go without saying.
        let short = hosts.iter().filter_map(|host| host.strip_suffix(":443").or(host.strip_suffix(":80")));
        let short: Vec<_> = short.map(str::to_owned).collect();
        hosts.extend(short);
        Self { keys, hosts, cookie: format!("reattach-{port}") }
    }

    /// Whether the request is meant for us, and comes from where it may come from.
    pub(super) fn check_origin(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > HEADER_BYTES {
            return Err(Problem::too_much_said());
        }
        let host = only(headers, HOST.as_str()).ok_or_else(Problem::misdirected)?.to_ascii_lowercase();
        if !self.hosts.contains(&host) {
            return Err(Problem::misdirected());
        }
        if uri.authority().is_some_and(|target| !target.as_str().eq_ignore_ascii_case(&host)) {
            return Err(Problem::misdirected());
        }
        if headers.contains_key(ORIGIN) {
            let origin = only(headers, ORIGIN.as_str()).and_then(|origin| {
                let origin = origin.to_ascii_lowercase();
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).map(str::to_owned)
            });
            if origin.is_none_or(|origin| origin != host) {
                return Err(Problem::foreign());
            }
        }
        let is_visit = method == Method::GET && uri.path() == "/";
        match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            // A link to the page may stand anywhere; what it shows asks again.
            Some(_) if is_visit => Ok(()),
            Some(_) => Err(Problem::foreign()),
        }
    }

    /// Who it is: by the token in the header, or by the browser's session.
    pub(super) fn visitor(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Visitor, Problem> {
        if headers.contains_key(AUTHORIZATION) {
            let token = only(headers, AUTHORIZATION.as_str()).and_then(|header| {
                let (scheme, token) = header.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
            });
            let scope = token.and_then(|token| self.keys.scope_of(token.as_bytes()));
            return scope.map(|scope| Visitor { scope, shown: Shown::Token }).ok_or_else(Problem::unauthorized);
        }
        // Another port may have put one of that name before ours.
        let mut sessions = self.sessions(headers).filter_map(|session| self.read_session(session, now));
        let (scope, session) = sessions.next().ok_or_else(Problem::unauthorized)?;
        let visitor = Visitor { scope, shown: Shown::Session };
        let is_harmless = matches!(*method, Method::GET | Method::HEAD);
        match only(headers, CSRF) {
            Some(word) if self.is_signature(word, scope, "csrf", session) => Ok(visitor),
            _ if is_harmless && is_element(path) => Ok(visitor),
            None if is_harmless => Err(Problem::unauthorized()),
            _ => Err(Problem::no_csrf()),
        }
    }

    /// The header that makes a browser the session's, and its second word.
    pub(super) fn new_session(&self, scope: Scope, now: Timestamp) -> (String, String) {
        let session = format!("{}.{}", scope.as_str(), now.plus(SESSION).as_unix_millis());
        let sign = |purpose| hex::encode(self.mac(scope, purpose, &session).finalize().into_bytes());
        let (seal, csrf) = (sign("seal"), sign("csrf"));
        let (cookie, age) = (&self.cookie, SESSION.as_secs());
        (format!("{cookie}={session}.{seal}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"), csrf)
    }

    /// The header that ends a browser's session.
    pub(super) fn no_session(&self) -> String {
        format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", self.cookie)
    }

    /// All cookies that are called as the session's is.
    fn sessions<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value)
    }

    /// Whose session it is, and what is signed of it.
    fn read_session<'a>(&self, text: &'a str, now: Timestamp) -> Option<(Scope, &'a str)> {
        let (session, seal) = text.rsplit_once('.')?;
        let (scope, until) = session.split_once('.')?;
        let scope = [Scope::Read, Scope::Send].into_iter().find(|known| known.as_str() == scope)?;
        let until: i64 = until.parse().ok()?;
        let is_good = self.is_signature(seal, scope, "seal", session) && now.as_unix_millis() < until;
        is_good.then_some((scope, session))
    }

    /// Whether `text` is what this was signed with. How long it takes tells nothing.
    fn is_signature(&self, text: &str, scope: Scope, purpose: &str, session: &str) -> bool {
        hex::decode(text).is_ok_and(|text| self.mac(scope, purpose, session).verify_slice(&text).is_ok())
    }

    fn mac(&self, scope: Scope, purpose: &str, session: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.keys.signing(scope)).expect("a key of any length will do");
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(session.as_bytes());
        mac
    }
}

/// Whether it is what an element of the page fetches, which can show no word: a picture, a film, a file to be saved.
fn is_element(path: &str) -> bool {
    let asset = path.strip_prefix("/v1/assets/").and_then(|rest| rest.split_once('/'));
    asset.is_some_and(|(_, part)| matches!(part, "thumbnail" | "content"))
}

/// The header's value, where it is there once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn access() -> (Access, String, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::load(folder.path()).expect("keys");
        let token = keys.expose().to_owned();
        (Access::new(keys, "127.0.0.1:7766".parse().expect("an address"), &[]), token, folder)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn origin_status(pairs: &[(&'static str, &str)], path: &str) -> u16 {
        let uri: Uri = path.parse().expect("a target");
        let checked = access().0.check_origin(&Method::GET, &uri, &headers(pairs));
        checked.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_our_own_names_are_us() {
        for host in ["127.0.0.1:7766", "localhost:7766", "LOCALHOST:7766", "[::1]:7766"] {
            assert_eq!(origin_status(&[("host", host)], "/v1/assets"), 200, "{host}");
        }
        let strangers = ["evil.example", "127.0.0.1.evil.example:7766", "localhost.:7766", "[::ffff:127.0.0.1]:7766"];
        for host in strangers.into_iter().chain(["127.0.0.1:7767", "127.0.0.1", "", "a@127.0.0.1:7766"]) {
            assert_eq!(origin_status(&[("host", host)], "/v1/assets"), 421, "{host}");
        }
        assert_eq!(origin_status(&[], "/v1/assets"), 421);
        assert_eq!(origin_status(&[("host", "127.0.0.1:7766"), ("host", "127.0.0.1:7766")], "/v1/assets"), 421);
        assert_eq!(origin_status(&[("host", "127.0.0.1:7766")], "http://evil.example/v1/assets"), 421);
    }

    #[test]
    fn what_a_service_is_called_beyond_this_machine_is_what_it_was_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::load(folder.path()).expect("keys");
        let address = "192.0.2.1:7766".parse().expect("an address");
        let access = Access::new(keys, address, &["Media.Example:443".to_owned()]);
        let is_us =
            |host| access.check_origin(&Method::GET, &Uri::from_static("/"), &headers(&[("host", host)])).is_ok();
        assert!(is_us("192.0.2.1:7766") && is_us("media.example:443") && is_us("MEDIA.example:443"));
        assert!(is_us("media.example"), "as clients write it");
        assert!(
            !is_us("localhost:7766") && !is_us("127.0.0.1:7766") && !is_us("192.0.2.1") && !is_us("media.example:80")
        );
    }

    #[test]
    fn who_listens_everywhere_is_called_from_this_machine_as_well() {
        for address in ["0.0.0.0:7766", "[::]:7766"] {
            let folder = tempfile::tempdir().expect("a folder");
            let keys = Keys::load(folder.path()).expect("keys");
            let access = Access::new(keys, address.parse().expect("an address"), &["media.example:7766".to_owned()]);
            let is_us =
                |host| access.check_origin(&Method::GET, &Uri::from_static("/"), &headers(&[("host", host)])).is_ok();
            for host in [address, "127.0.0.1:7766", "localhost:7766", "[::1]:7766", "media.example:7766"] {
                assert!(is_us(host), "{host} of {address}");
            }
            assert!(!is_us("127.0.0.1:7767") && !is_us("evil.example:7766") && !is_us("192.0.2.1:7766"), "{address}");
        }
    }

    #[test]
    fn a_whole_address_names_us_twice_and_the_same() {
        let status = |target| origin_status(&[("host", "LocalHost:7766")], target);
        assert_eq!((status("http://localhost:7766/v1/assets"), status("http://127.0.0.1:7766/v1/assets")), (200, 421));
    }

    #[test]
    fn headers_may_be_32_kilobytes_long_together() {
        let all_but_filler = "host127.0.0.1:7766x-filler".len();
        for (length, status) in [(32_768, 200), (32_769, 431)] {
            let filler = "x".repeat(length - all_but_filler);
            assert_eq!(origin_status(&[("host", "127.0.0.1:7766"), ("x-filler", &filler)], "/v1/assets"), status);
        }
    }

    #[test]
    fn a_link_from_elsewhere_leads_to_the_empty_page_and_does_nothing() {
        let pairs = headers(&[("host", "127.0.0.1:7766"), ("sec-fetch-site", "cross-site")]);
        let from_elsewhere = |method| access().0.check_origin(&method, &Uri::from_static("/"), &pairs);
        assert!(from_elsewhere(Method::GET).is_ok());
        assert_eq!(from_elsewhere(Method::POST).expect_err("out").status().as_u16(), 403);
    }

    #[test]
    fn a_session_lasts_thirty_days_and_no_script_or_other_site_has_it() {
        let (access, ..) = access();
        let (cookie, csrf) = access.new_session(Scope::Send, NOW);
        let (session, attributes) = cookie.split_once("; ").expect("attributes");
        assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict");
        let all = headers(&[("cookie", session), (CSRF, &csrf)]);
        let visit = |days: u64| {
            access.visitor(&Method::GET, "/v1/assets", &all, NOW.plus(std::time::Duration::from_hours(24 * days)))
        };
        let visitor = Visitor { scope: Scope::Send, shown: Shown::Session };
        assert_eq!(visit(29).expect("in"), visitor);
        assert!(visit(30).is_err());
        assert_eq!(access.no_session(), "reattach-7766=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn a_session_ends_with_the_token_it_was_begun_with() {
        let (before, _, folder) = access();
        let sessions = [Scope::Read, Scope::Send].map(|scope| before.new_session(scope, NOW));
        std::fs::remove_file(folder.path().join("serve-read.token")).expect("removed");
        let keys = Keys::load(folder.path()).expect("keys");
        let after = Access::new(keys, "127.0.0.1:7766".parse().expect("an address"), &[]);
        let is_in = |access: &Access| {
            sessions.each_ref().map(|(cookie, csrf)| {
                let shown = headers(&[("cookie", cookie.split(';').next().expect("a cookie")), (CSRF, csrf)]);
                access.visitor(&Method::GET, "/v1/assets", &shown, NOW).is_ok()
            })
        };
        assert_eq!((is_in(&before), is_in(&after)), ([true, true], [false, true]));
    }

    #[test]
    fn a_session_alone_opens_pictures_and_files_and_only_to_look() {
        let (access, ..) = access();
        let (cookie, _) = access.new_session(Scope::Send, NOW);
        let cookie = headers(&[("cookie", cookie.split(';').next().expect("a cookie"))]);
        let status = |method: Method, path: &str| {
            access.visitor(&method, path, &cookie, NOW).map_or_else(|problem| problem.status().as_u16(), |_| 200)
        };
        for part in ["thumbnail", "content"] {
            let path = format!("/v1/assets/00/{part}");
            let statuses = [Method::GET, Method::HEAD, Method::POST].map(|method| status(method, &path));
            assert_eq!(statuses, [200, 200, 403], "{part}");
        }
        for path in
            ["/v1/assets", "/v1/assets/00", "/v1/assets/00/name", "/v1/assets/content", "/v1/campaigns/x/content"]
        {
            assert_eq!((status(Method::GET, path), status(Method::DELETE, path)), (401, 403), "{path}");
        }
    }

    #[test]
    fn other_sites_reach_nothing_but_the_empty_page() {
        let from = |name: &'static str, value: &str, path: &str| {
            origin_status(&[("host", "127.0.0.1:7766"), (name, value)], path)
        };
        for origin in ["https://evil.example", "null", "http://localhost:8080", "http://127.0.0.1:7766.evil.example"] {
            assert_eq!(from("origin", origin, "/v1/assets"), 403, "{origin}");
        }
        for origin in ["http://127.0.0.1:7766", "HTTP://127.0.0.1:7766", "https://127.0.0.1:7766"] {
            assert_eq!(from("origin", origin, "/v1/assets"), 200, "{origin}");
        }
        for site in ["cross-site", "same-site", "odd"] {
            assert_eq!(from("sec-fetch-site", site, "/v1/assets"), 403, "{site}");
        }
        assert_eq!(from("sec-fetch-site", "cross-site", "/"), 200);
        assert_eq!(from("sec-fetch-site", "same-origin", "/v1/assets"), 200);
    }

    #[test]
    fn a_token_or_a_session_with_its_second_word_lets_in() {
        let (access, token, _folder) = access();
        let visit = |method: Method, pairs: &[(&'static str, &str)]| {
            access.visitor(&method, "/v1/aliases/x", &headers(pairs), NOW)
        };
        let bearer = format!("Bearer {token}");
        assert_eq!(visit(Method::POST, &[("authorization", &bearer)]).expect("in").scope, Scope::Send);
        for wrong in [&bearer[..70], "Bearer", "Basic abcd", &token] {
            assert!(visit(Method::GET, &[("authorization", wrong)]).is_err(), "{wrong}");
        }
        let (cookie, csrf) = access.new_session(Scope::Read, NOW);
        let cookie = cookie.split(';').next().expect("a cookie");
        assert_eq!(visit(Method::GET, &[("cookie", cookie)]).expect_err("out").status().as_u16(), 401);
        assert_eq!(visit(Method::GET, &[("cookie", cookie), (CSRF, &csrf)]).expect("in").scope, Scope::Read);
        let picture = |method| access.visitor(&method, "/v1/assets/00/thumbnail", &headers(&[("cookie", cookie)]), NOW);
        assert!(picture(Method::GET).is_ok() && picture(Method::DELETE).is_err());
        // Another port of this host may have left a cookie of that name.
        let both = format!("reattach-7766=junk; {cookie}");
        assert!(visit(Method::POST, &[("cookie", &both), (CSRF, &csrf)]).is_ok());
        assert_eq!(visit(Method::POST, &[("cookie", cookie)]).expect_err("out").status().as_u16(), 403);
        assert!(visit(Method::POST, &[("cookie", cookie), (CSRF, &csrf)]).is_ok());
        assert!(visit(Method::POST, &[("cookie", cookie), (CSRF, &csrf[1..])]).is_err());
        // What a session may do is sealed, and it ends.
        let more = cookie.replace("=read.", "=send.");
        assert!(visit(Method::GET, &[("cookie", &more), (CSRF, &csrf)]).is_err());
        let (later, all) = (NOW.plus(SESSION), headers(&[("cookie", cookie), (CSRF, &csrf)]));
        assert!(access.visitor(&Method::GET, "/v1/assets", &all, later).is_err());
    }
}
