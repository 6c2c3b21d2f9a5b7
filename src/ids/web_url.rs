//! A web address, in the one form it is known by.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::{InvalidId, without_secrets};

/// Parameters that carry secrets of the Graph API, which an address would take to the record, to lists and to whoever fetches it.
const SECRETS: [&str; 4] = ["access_token", "input_token", "client_secret", "appsecret_proof"];

/// An address Meta can fetch from: `http` or `https`, normalised, without user name, password or fragment.
///
/// Two spellings of one address are one: the scheme and host are in lower case, the scheme's own port is left out, and `.`
/// and `..` are resolved. The query is part of the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebUrl(Url);

impl WebUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its path, still percent-encoded.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The address without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        let mut url = self.0.clone();
        url.set_query(None);
        Self(url)
    }

    /// The address as somebody gives it to be sent, which may not carry a secret.
    ///
    /// # Errors
    /// When it does, or is none.
    pub fn given(text: &str) -> Result<Self, InvalidId> {
        let url: Self = text.parse()?;
        if url.0.query_pairs().any(|(name, _)| SECRETS.contains(&&*name)) {
            return Err(InvalidId::untold("a web address without an access token"));
        }
        Ok(url)
    }

    /// Whether `text` begins like a web address.
    pub fn is_meant(text: &str) -> bool {
        let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        begins("http://") || begins("https://")
    }
}

impl FromStr for WebUrl {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_fetched = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let refused = || InvalidId::new(without_secrets(text), "a web address that begins with https:// or http://");
        let mut url = Url::parse(text).ok().filter(is_fetched).ok_or_else(refused)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidId::untold("a web address without user name and password"));
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        text.parse::<WebUrl>().expect(text).to_string()
    }

    #[test]
    fn spellings_of_one_address_are_one() {
        for text in [
            "https://media.example.com/a/hero.png?v=1",
            "HTTPS://Media.Example.COM:443/a/hero.png?v=1#top",
            "https://media.example.com/b/../a/./hero.png?v=1",
        ] {
            assert_eq!(url(text), "https://media.example.com/a/hero.png?v=1");
        }
        assert_ne!(url("https://a.example/x?v=1"), url("https://a.example/x?v=2"));
        assert_ne!(url("https://a.example/x"), url("http://a.example/x"));
        assert_ne!(url("https://a.example/X"), url("https://a.example/x"));
        let queried: WebUrl = "https://a.example/x?v=1".parse().expect("an address");
        assert_eq!(queried.without_query().as_str(), "https://a.example/x");
    }

    #[test]
    fn what_carries_a_token_is_not_taken_and_not_repeated() {
        for text in ["https://a.example/x?v=1&access_token=EAAB7", "https://a.example/x?access%5Ftoken=EAAB7"] {
            let refused = WebUrl::given(text).expect_err(text).to_string();
            assert!(!refused.contains("EAAB7"), "{refused}");
        }
        assert!(WebUrl::given("https://a.example/x?v=1&token=1").is_ok());
        for text in ["https://a b.example/x?access_token=EAAB7", "https://u:EAAB7@a b.example/", "https://a:x/#EAAB7"] {
            let refused = text.parse::<WebUrl>().expect_err(text).to_string();
            assert!(!refused.contains("EAAB7"), "{refused}");
        }
    }

    #[test]
    fn what_nobody_can_fetch_is_no_web_address() {
        for text in ["", "hero.png", "ftp://a.example/x", "https://", "file:///etc/passwd", "data:image/png,x"] {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
        let error = "https://user:hunter2@a.example/x".parse::<WebUrl>().expect_err("a password");
        assert_eq!(error.to_string(), "what was given is not a web address without user name and password");
    }
}
