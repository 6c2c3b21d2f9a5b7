//! Takes our own token out of what a server sends back, before anything reads or keeps it.

use bytes::{Bytes, BytesMut};

use crate::secret::AccessToken;

/// How much of a token must stand together to be taken for it: servers like to echo the first part of a bad one.
const RECOGNISED: usize = 12;

/// `body` with every run of the token's beginning, [`RECOGNISED`] characters or longer, replaced by `[token]`.
///
/// Answers without it, which is all of them but a few, come back as they are.
pub(super) fn without_token(body: Bytes, token: &AccessToken) -> Bytes {
    let token = token.expose().as_bytes();
    // A shorter one is no token of Meta's, and may be a word that answers are made of.
    let Some(start) = token.get(..RECOGNISED) else { return body };
    let find = |text: &[u8]| text.windows(start.len()).position(|window| window == start);

    let mut rest = body.as_ref();
    let mut clean = BytesMut::new();
    while let Some(at) = find(rest) {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(b"[token]");
        let echoed = rest[at..].iter().zip(token).take_while(|(echo, own)| echo == own).count();
        rest = &rest[at + echoed..];
    }
    if clean.is_empty() {
        return body;
    }
    clean.extend_from_slice(rest);
    clean.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(body: &'static str) -> String {
        let token = AccessToken::new("EAAB0123456789-canary").expect("a token");
        String::from_utf8(without_token(Bytes::from_static(body.as_bytes()), &token).to_vec()).expect("text")
    }

    #[test]
    fn an_echoed_token_is_taken_out_whole_or_cut() {
        assert_eq!(clean("bad EAAB0123456789-canary, EAAB0123456789-can"), "bad [token], [token]");
        assert_eq!(clean("EAAB01234567…"), "[token]…");
    }

    #[test]
    fn text_without_the_token_is_left_alone() {
        assert_eq!(clean("EAAB0123 is too short to be one"), "EAAB0123 is too short to be one");
        assert_eq!(clean(""), "");
    }

    #[test]
    fn a_token_that_is_a_plain_word_spoils_no_answer() {
        let token = AccessToken::new("message").expect("a token");
        assert_eq!(without_token(Bytes::from_static(b"{\"message_id\":1}"), &token), "{\"message_id\":1}");
    }
}
