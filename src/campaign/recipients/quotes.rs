//! Finds a quote that opens in a list and is not closed where its field ends: whoever reads on would take the rest of the
//! file, or all up to the next quote, for one field.

use std::fmt;

/// The longest field in quotes; what a message says is far shorter.
const LONGEST_BYTES: usize = 64 * 1024;
/// The most lines it goes over.
const MOST_LINES: u64 = 300;

/// A quote that is not closed where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnclosedQuote {
    /// The line it opens on, from 1.
    pub(super) line: u64,
}

impl fmt::Display for UnclosedQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the quote on line {} is not closed", self.line)
    }
}

impl std::error::Error for UnclosedQuote {}

/// Follows a list's quotes byte by byte; every line ends with a line feed alone.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    place: Place,
    line: u64,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    FieldBegins,
    InField,
    InQuotes(Opened),
    /// Behind a quote that closes the field, or is the first of two that stand for one.
    BehindQuote(Opened),
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    line: u64,
    bytes: usize,
}

impl Quotes {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::FieldBegins, line: 1 }
    }

    /// Takes note of the next byte.
    pub(super) fn follow(&mut self, byte: u8) -> Result<(), UnclosedQuote> {
        let ends_field = byte == self.delimiter || byte == b'\n';
        self.place = match self.place {
            Place::FieldBegins | Place::InField | Place::BehindQuote(_) if ends_field => Place::FieldBegins,
            Place::FieldBegins if byte == b'"' => Place::InQuotes(Opened { line: self.line, bytes: 0 }),
            // A byte order mark is no part of the first field.
            Place::FieldBegins if b"\xef\xbb\xbf".contains(&byte) && self.line == 1 => Place::FieldBegins,
            Place::FieldBegins | Place::InField => Place::InField,
            Place::InQuotes(opened) if byte == b'"' => Place::BehindQuote(opened),
            // A quote on a later line that closes nothing opens a field of its own.
            Place::BehindQuote(Opened { line, .. }) if byte != b'"' && line < self.line => {
                return Err(UnclosedQuote { line });
            }
            Place::BehindQuote(_) if byte != b'"' => Place::InField,
            Place::InQuotes(Opened { line, bytes }) | Place::BehindQuote(Opened { line, bytes }) => {
                if bytes >= LONGEST_BYTES || self.line - line >= MOST_LINES {
                    return Err(UnclosedQuote { line });
                }
                Place::InQuotes(Opened { line, bytes: bytes + 1 })
            }
        };
        self.line += u64::from(byte == b'\n');
        Ok(())
    }

    /// Takes note of the end.
    pub(super) fn end(&self) -> Result<(), UnclosedQuote> {
        match self.place {
            Place::InQuotes(Opened { line, .. }) => Err(UnclosedQuote { line }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &str) -> Result<(), u64> {
        let mut quotes = Quotes::new(b',');
        let followed = text.bytes().try_for_each(|byte| quotes.follow(byte)).and_then(|()| quotes.end());
        followed.map_err(|unclosed| unclosed.line)
    }

    #[test]
    fn quotes_that_close_are_no_matter() {
        for text in [
            "a,b\n1,\"x\"\n",
            "\u{feff}\"a\",b\n1,\"\"\n",
            "a\n\"two\nlines, and \"\"quotes\"\"\"\n",
            "a,b\n5\" wide,it's 7\" high\n",
            "a\n\"x\" y\n",
            "a\n\"x\"",
        ] {
            assert_eq!(follow(text), Ok(()), "{text}");
        }
        assert_eq!(follow(&format!("a\n\"{}\"\n", "line\n".repeat(250))), Ok(()));
    }

    #[test]
    fn one_that_does_not_is_named_by_its_line() {
        assert_eq!(follow("a,b\n1,\"x\n2,y\n3,z\n"), Err(2), "up to the end");
        assert_eq!(follow("a,b\n1,x\n2,\"y\n3,z\n4,\"w\"\n"), Err(3), "up to the next quote");
        assert_eq!(follow(&format!("a,b\n1,\"x\n{}", "2,y\n".repeat(100_000))), Err(2), "over many lines");
        assert_eq!(follow(&format!("a\n\"{}\"\n", "x".repeat(70_000))), Err(2), "over many bytes");
        assert_eq!(follow("\"a,b\n1,2\n"), Err(1), "in the header");
    }
}
