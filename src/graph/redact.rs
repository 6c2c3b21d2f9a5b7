//! Takes our own token out of what a server sends back, before anything reads or keeps it.

use bytes::{Bytes, BytesMut};

use crate::secret::AccessToken;

/// How much of a token must stand together to be taken for it: servers like to echo the first part of a bad one.
const RECOGNISED: usize = 12;
/// How often a character is escaped at most: a JSON text within another within another takes seven.
const MOST_SLASHES: usize = 8;

/// `body` with every run of the token's beginning, [`RECOGNISED`] characters or longer, replaced by `[token]`, however each
/// of its characters is written: as it is, or escaped as in a JSON text, in one within another, or in an address.
///
/// Answers without it, which is all of them but a few, come back as they are.
pub(super) fn without_token(body: Bytes, token: &AccessToken) -> Bytes {
    let token = token.expose().as_bytes();
    // A shorter one is no token of Meta's, and may be a word that answers are made of.
    if token.len() < RECOGNISED {
        return body;
    }
    let (mut clean, mut kept, mut at) = (BytesMut::new(), 0, 0);
    while at < body.len() {
        match echoed(&body[at..], token) {
            0 => at += 1,
            echo => {
                clean.extend_from_slice(&body[kept..at]);
                clean.extend_from_slice(b"[token]");
                at += echo;
                kept = at;
            }
        }
    }
    if kept == 0 {
        return body;
    }
    clean.extend_from_slice(&body[kept..]);
    clean.freeze()
}

/// How many bytes of `text` are an echo of the token, from its beginning on; 0 where too little of it is there.
fn echoed(text: &[u8], token: &[u8]) -> usize {
    let (mut bytes, mut characters) = (0, 0);
    for own in token {
        let Some(written) = written(&text[bytes..], *own) else { break };
        bytes += written;
        characters += 1;
    }
    if characters >= RECOGNISED { bytes } else { 0 }
}

/// How many bytes at the beginning of `text` are `character`: `/`, `\/`, `\u002f`, `\\u002F` and `%2F` are all one.
fn written(text: &[u8], character: u8) -> Option<usize> {
    let is_hex = |digits: Option<&[u8]>| {
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        digits.is_some_and(|digits| u32::from_str_radix(digits, 16) == Ok(character.into()))
    };
    match text {
        [first, ..] if *first == character => Some(1),
        [b'%', digits @ ..] if is_hex(digits.get(..2)) => Some(3),
        [b'\\', ..] => {
            let slashes = text.iter().take(MOST_SLASHES).take_while(|byte| **byte == b'\\').count();
            match &text[slashes..] {
                [b'u', digits @ ..] if is_hex(digits.get(..4)) => Some(slashes + 5),
                [next, ..] if *next == character && !next.is_ascii_alphanumeric() => Some(slashes + 1),
                _ => None,
            }
        }
        _ => None,
    }
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
    fn an_echoed_token_is_taken_out_however_it_is_written() {
        let token = AccessToken::new("EAAB/0123456789/canary").expect("a token");
        for echo in [
            "EAAB/0123456789/canary",
            r"EAAB\/0123456789\/canary",
            r"EAAB\\\/0123456789\\\/canary",
            "EAAB%2F0123456789%2fcanary",
            r"\u0045AAB\u002f0123456789\u002Fcanary",
            r"\\u0045AAB/0123456789\\u002fcanar\\u0079",
        ] {
            let body = Bytes::from(format!(r#"{{"message":"bad\n{echo}!"}}"#));
            assert_eq!(without_token(body, &token), r#"{"message":"bad\n[token]!"}"#, "{echo}");
        }
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
