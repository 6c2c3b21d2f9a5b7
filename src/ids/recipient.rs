//! Who gets a message.

use std::fmt;
use std::str::FromStr;

use super::InvalidId;

/// Who gets a message, in every form the Send API takes.
///
/// Written and read as one word: digits are a PSID, every other form carries a prefix (`user_ref:…`, `comment:…`,
/// `post:…`, `phone:+…`, `player:…`, `otn:…`, `notification:…`, `login:…`).
///
/// Source: Graph API reference, Page `messages` edge, parameter `recipient` (v25.0).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Recipient {
    /// `id`: a page-scoped id (on Instagram, an Instagram-scoped one).
    Psid(String),
    /// `user_ref`: the checkbox plugin's reference.
    UserRef(String),
    /// `comment_id`: a private reply to a comment.
    Comment(String),
    /// `post_id`: a private reply to a visitor's post.
    Post(String),
    /// `phone_number`: `+` and a number, as it was written. Two ways to write one are two recipients.
    Phone(String),
    /// `player_id`: an instant game's player.
    Player(String),
    /// `one_time_notif_token`.
    OneTimeNotification(String),
    /// `notification_messages_token`.
    NotificationMessages(String),
    /// `login_id`.
    Login(String),
}

impl Recipient {
    /// The prefix the form is written with; `None` for a PSID.
    pub const fn prefix(&self) -> Option<&'static str> {
        match self {
            Self::Psid(_) => None,
            Self::UserRef(_) => Some("user_ref"),
            Self::Comment(_) => Some("comment"),
            Self::Post(_) => Some("post"),
            Self::Phone(_) => Some("phone"),
            Self::Player(_) => Some("player"),
            Self::OneTimeNotification(_) => Some("otn"),
            Self::NotificationMessages(_) => Some("notification"),
            Self::Login(_) => Some("login"),
        }
    }

    /// The value without its prefix.
    pub fn value(&self) -> &str {
        match self {
            Self::Psid(value)
            | Self::UserRef(value)
            | Self::Comment(value)
            | Self::Post(value)
            | Self::Phone(value)
            | Self::Player(value)
            | Self::OneTimeNotification(value)
            | Self::NotificationMessages(value)
            | Self::Login(value) => value,
        }
    }
}

impl FromStr for Recipient {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const EXPECTED: &str = "a recipient (a PSID of digits, or user_ref:, comment:, post:, phone:+, player:, otn:, \
                                notification: or login: with a value)";
        let text = text.trim();
        let refuse = || InvalidId::new(text, EXPECTED);
        let Some((prefix, value)) = text.split_once(':') else {
            return if is_digits(text) { Ok(Self::Psid(text.to_owned())) } else { Err(refuse()) };
        };
        let value = value.trim();
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(refuse());
        }
        let owned = value.to_owned();
        match prefix {
            "user_ref" => Ok(Self::UserRef(owned)),
            "comment" => Ok(Self::Comment(owned)),
            "post" => Ok(Self::Post(owned)),
            "phone" if value.strip_prefix('+').is_some_and(|number| number.bytes().any(|b| b.is_ascii_digit())) => {
                Ok(Self::Phone(owned))
            }
            "player" => Ok(Self::Player(owned)),
            "otn" => Ok(Self::OneTimeNotification(owned)),
            "notification" => Ok(Self::NotificationMessages(owned)),
            "login" => Ok(Self::Login(owned)),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix() {
            Some(prefix) => write!(f, "{prefix}:{}", self.value()),
            None => f.write_str(self.value()),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipient_form_reads_back_what_it_writes() {
        for text in [
            "1254459154682919",
            "user_ref:abc-1",
            "comment:12_34",
            "post:12_34",
            "phone:+1(212)555-2368",
            "player:77",
            "otn:tok",
            "notification:tok:with:colons",
            "login:me@example.com",
        ] {
            assert_eq!(text.parse::<Recipient>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn recipients_that_are_no_recipients_are_refused() {
        for text in ["", "  ", "abc", "12a", "phone:555", "phone:+", "player:", "nobody:1", "user_ref:", "otn:a\nb"] {
            assert!(text.parse::<Recipient>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn spaces_around_a_recipient_do_not_make_another_person() {
        assert_eq!(" 12 ".parse::<Recipient>(), "12".parse::<Recipient>());
    }
}
