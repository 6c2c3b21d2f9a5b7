//! Markers in a text: `<<asset:hero>>` stands for the live id of what is named in it.
//!
//! The text is bytes: whatever else it holds, in whatever encoding, stays as it is.

use std::ops::Range;

const BEGIN: &[u8] = b"<<asset:";
const END: &[u8] = b">>";

/// A text cut at its markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedText<'a> {
    text: &'a [u8],
    markers: Vec<Marker<'a>>,
}

/// One marker.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marker<'a> {
    place: Range<usize>,
    reference: &'a [u8],
}

/// A marker that is begun and not ended on its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the marker in line {line} has no end")]
pub struct OpenMarker {
    /// Where, counted from 1.
    pub line: usize,
}

impl<'a> MarkedText<'a> {
    /// The text, with its markers found.
    pub fn parse(text: &'a [u8]) -> Result<Self, OpenMarker> {
        let mut markers = Vec::new();
        let mut at = 0;
        while let Some(begin) = find(&text[at..], BEGIN).map(|offset| at + offset) {
            let inside = begin + BEGIN.len();
            let line = text[inside..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            let Some(length) = find(line, END) else {
                return Err(OpenMarker { line: text[..begin].split(|byte| *byte == b'\n').count() });
            };
            at = inside + length + END.len();
            markers.push(Marker { place: begin..at, reference: line[..length].trim_ascii() });
        }
        Ok(Self { text, markers })
    }

    /// What the markers name, each once, in the order of the text, and how often.
    pub fn references(&self) -> Vec<(&'a [u8], usize)> {
        let mut counted: Vec<(&[u8], usize)> = Vec::new();
        for Marker { reference, .. } in &self.markers {
            match counted.iter_mut().find(|(known, _)| known == reference) {
                Some((_, times)) => *times += 1,
                None => counted.push((reference, 1)),
            }
        }
        counted
    }

    /// The text with what `id_of` gives in place of each marker.
    pub fn filled<'i>(&self, id_of: impl Fn(&[u8]) -> &'i str) -> Vec<u8> {
        let mut filled = Vec::with_capacity(self.text.len());
        let mut at = 0;
        for Marker { place, reference } in &self.markers {
            filled.extend_from_slice(&self.text[at..place.start]);
            filled.extend_from_slice(id_of(reference).as_bytes());
            at = place.end;
        }
        filled.extend_from_slice(&self.text[at..]);
        filled
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_replaced_and_all_else_stays() {
        let text = b"{\"id\": \"<<asset:hero>>\"}\r\n<<asset: a b.png >> \xff <<asset:hero>> << asset >> >>";
        let marked = MarkedText::parse(text).expect("markers");
        assert_eq!(marked.references(), [(&b"hero"[..], 2), (b"a b.png", 1)]);
        let filled = marked.filled(|reference| if reference == b"hero" { "1" } else { "2" });
        assert_eq!(filled, b"{\"id\": \"1\"}\r\n2 \xff 1 << asset >> >>");
    }

    #[test]
    fn a_text_without_markers_is_itself() {
        for text in [&b""[..], b"hero", b"<asset:hero>", b">><<"] {
            let marked = MarkedText::parse(text).expect("no markers");
            assert_eq!((marked.references(), marked.filled(|_| "1")), (vec![], text.to_vec()));
        }
    }

    #[test]
    fn a_marker_ends_on_its_line() {
        for text in [&b"a\nb <<asset:hero"[..], b"a\n<<asset:hero\n>>", b"<<asset:a>>\n<<asset:b>"] {
            assert_eq!(MarkedText::parse(text), Err(OpenMarker { line: 2 }), "{}", text.escape_ascii());
        }
    }
}
