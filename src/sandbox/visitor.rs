//! Who may use the control routes: programs on this machine, and no web page.
//!
//! A page could reach 127.0.0.1 by a name of its own that leads there (rebinding), or by a request browsers send to
//! anybody. The first comes with a foreign `Host`, the second with an `Origin` or `Sec-Fetch-Site` that tells.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};

/// The names this machine calls itself by.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Says why a control request to the sandbox on `port` is turned away, if it is.
pub(super) fn check(port: u16, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let named = hosts.next().is_none() && host.is_some_and(|host| is_here(host, port));
    if !named || uri.authority().is_some_and(|authority| !is_here(authority.as_str(), port)) {
        return Err("control routes are for http://127.0.0.1 and localhost at the sandbox's own port");
    }
    let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|host| is_here(host, port));
    let foreign = headers.get_all(ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(own));
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if foreign || sites.any(|site| site != "same-origin" && site != "none") {
        return Err("control routes are not for web pages");
    }
    Ok(())
}

/// Whether `host`, with its port, is the sandbox itself.
fn is_here(host: &str, port: u16) -> bool {
    let (name, at) = match host.rsplit_once(':') {
        Some((name, at)) if !at.ends_with(']') => (name, at.parse().ok()),
        _ => (host, Some(80)),
    };
    at == Some(port) && LOOPBACK.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    fn judge(target: &str, lines: &[(&'static str, &'static str)]) -> bool {
        check(7790, &target.parse().expect("a target"), &headers(lines)).is_ok()
    }

    #[test]
    fn only_loopback_names_at_the_right_port_are_let_in() {
        for host in ["127.0.0.1:7790", "localhost:7790", "LOCALHOST:7790", "[::1]:7790"] {
            assert!(judge("/__sandbox/state", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7790",
            "127.0.0.1.evil.example:7790",
            "localhost.:7790",
            "[::ffff:127.0.0.1]:7790",
            "127.0.0.1",
            "127.0.0.1:7791",
            "127.0.0.1:",
            "user@127.0.0.1:7790",
            "",
        ] {
            assert!(!judge("/__sandbox/state", &[("host", host)]), "{host}");
        }
        assert!(!judge("/__sandbox/state", &[]));
        assert!(!judge("/__sandbox/state", &[("host", "127.0.0.1:7790"), ("host", "evil.example")]));
        assert!(!judge("http://evil.example:7790/__sandbox/state", &[("host", "127.0.0.1:7790")]));
        assert!(check(80, &"/".parse().expect("a target"), &headers(&[("host", "localhost")])).is_ok());
    }

    #[test]
    fn web_pages_are_turned_away() {
        let from = |name, value| judge("/__sandbox/reset", &[("host", "127.0.0.1:7790"), (name, value)]);
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
            ("origin", "https://127.0.0.1:7790"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!from(name, value), "{name}: {value}");
        }
        for (name, value) in
            [("origin", "http://127.0.0.1:7790"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")]
        {
            assert!(from(name, value), "{name}: {value}");
        }
    }
}
