//! Why Meta refuses to deliver to somebody: a table of codes, subcodes and texts.
//!
//! Where Meta's pages describe an error without quoting it, the text says what they describe.
//!
//! Source: Messenger Platform, Error Codes (read 2026-06-25); Graph API reference, Page `messages` edge, Error Codes
//! (v25.0).

use super::error::GraphError;

/// A code, its subcode or 0, and what stands behind the `(#code)` of its message.
type Row = (u32, u32, &'static str);

const NOT_AVAILABLE: &str = "This person isn't available right now.";
const OUTSIDE: &str = "This message is sent outside of allowed window. Learn more about the new policy here: \
                       https://developers.facebook.com/docs/messenger-platform/policy-overview";
const NEEDS_NEWS: &str =
    "This message is sent outside of allowed window. You need News Messaging permission to be able to do it.";
const NOT_LIVE: &str = "Cannot message users who are not admins, developers or testers of the app until \
                        pages_messaging permission is reviewed and the app is live.";
const BOTHERSOME: &str = "Warning! You are engaging in behavior that may be considered bothersome or abusive by users. \
                          You must significantly decrease the rate at which you are sending messages using message \
                          tags to this person. Further misuse of API features may result in messaging restrictions \
                          being placed on your Page";

const ROWS: [Row; 32] = [
    (4, 2_018_354, "There has to be a minimum delay between 2 notifications for the given notification"),
    (9, 2_018_352, "User is performing too many actions"),
    (10, 0, "Application does not have permission for this action"),
    (10, 1_404_170, "This person's opt-in to marketing messages is restricted"),
    (10, 1_893_015, "This person has stopped notifications from your Page"),
    (10, 2_018_065, NEEDS_NEWS),
    (10, 2_018_108, "They can't receive your messages right now"),
    (10, 2_018_278, OUTSIDE),
    (10, 2_018_336, "This message would have an impact on the thread and is not allowed"),
    (10, 2_534_022, "This message is sent outside of allowed window."),
    (100, 2_018_001, "No matching user found"),
    (100, 2_534_014, "No matching Instagram user found"),
    (100, 2_534_037, "Your app is not the owner of the thread"),
    (200, 0, "Permissions error"),
    (200, 1_545_041, "Message Not Sent: This person isn't available right now."),
    (200, 2_018_021, "Requires phone matching access fee to be paid by this page"),
    (200, 2_018_027, NOT_LIVE),
    (200, 2_018_028, NOT_LIVE),
    (200, 2_534_041, "The owner of the Instagram account has disabled access to messages"),
    (230, 0, "Permissions disallow message to user"),
    (551, 0, NOT_AVAILABLE),
    (551, 1_545_041, NOT_AVAILABLE),
    (551, 1_893_047, "Send Message Recipient Not Available"),
    (613, 1_893_016, "This person was asked to opt in too many times"),
    (613, 2_018_338, BOTHERSOME),
    (10_900, 0, "Activity already replied to"),
    (10_901, 0, "Activity replying time expired"),
    (10_903, 0, "This user cant reply to this activity"),
    (1_893_015, 0, "This person has stopped notifications from your Page"),
    (2_018_300, 0, "Another app is controlling this thread now."),
    (2_018_321, 0, "An automated questions and answers flow is in control of this thread"),
    (9_000_001, 0, "This message was deleted"),
];

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecipientError(&'static Row);

impl RecipientError {
    pub(super) const OUTSIDE_WINDOW: Self = Self(&ROWS[7]);
    pub(super) const OUTSIDE_WINDOW_ON_INSTAGRAM: Self = Self(&ROWS[9]);
    pub(super) const NEEDS_NEWS_PERMISSION: Self = Self(&ROWS[5]);
    pub(super) const ALREADY_REPLIED: Self = Self(&ROWS[25]);
    pub(super) const REPLY_TOO_LATE: Self = Self(&ROWS[26]);

    /// The row `text` names, as in `551/1545041` or `10900`; says what is wrong, else.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (code, subcode) = text.split_once('/').unwrap_or((text, "0"));
        let named = code.trim().parse::<u32>().ok().zip(subcode.trim().parse::<u32>().ok());
        let row = named.and_then(|named| ROWS.iter().find(|(code, subcode, _)| (*code, *subcode) == named));
        row.map(Self).ok_or_else(|| {
            let known: Vec<String> = ROWS.iter().map(|row| Self(row).name()).collect();
            format!("{text:?} is no error of a recipient; known are {}", known.join(", "))
        })
    }

    /// What `parse` takes.
    pub(super) fn name(self) -> String {
        match *self.0 {
            (code, 0, _) => code.to_string(),
            (code, subcode, _) => format!("{code}/{subcode}"),
        }
    }
}

impl From<RecipientError> for GraphError {
    fn from(RecipientError(&(code, subcode, text)): RecipientError) -> Self {
        Self::new(code, Some(subcode).filter(|subcode| *subcode > 0), format!("(#{code}) {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_rows_are_the_ones_meant() {
        let names = [
            RecipientError::OUTSIDE_WINDOW,
            RecipientError::OUTSIDE_WINDOW_ON_INSTAGRAM,
            RecipientError::NEEDS_NEWS_PERMISSION,
            RecipientError::ALREADY_REPLIED,
            RecipientError::REPLY_TOO_LATE,
        ];
        assert_eq!(names.map(RecipientError::name), ["10/2018278", "10/2534022", "10/2018065", "10900", "10901"]);
    }

    #[test]
    fn every_row_is_found_by_its_own_name() {
        for row in &ROWS {
            let name = RecipientError(row).name();
            assert_eq!(RecipientError::parse(&name).map(RecipientError::name), Ok(name));
        }
        assert!(RecipientError::parse("551/7").is_err_and(|problem| problem.contains("551/1545041")));
        assert!(RecipientError::parse("often").is_err());
    }
}
