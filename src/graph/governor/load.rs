//! What calls cost, and how much of that there may be.
//!
//! **Source**: Messenger Platform, "Rate Limiting" (2026-03-23): more than 40 messages a second, and the Page cannot send
//! until its volume decreases; 10 a second of audio or video; two calls a second about conversations.

use crate::budget::Rates;
use crate::graph::message::{Message, SendRequest};

/// Media, messages, conversations, all calls: the narrowest first, the order in which a call passes them.
pub(super) const LANES: usize = 4;
/// The lane of all calls.
pub(super) const CALLS: usize = LANES - 1;

/// Questions about conversations a Page may ask in a second.
const CONVERSATIONS_PER_SECOND: u32 = 2;

/// How fast a Page may go while Meta says nothing of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimits {
    /// Messages a second; more than 40, and Meta blocks the Page.
    pub messages_per_second: u32,
    /// Those of them that hold audio or video.
    pub media_per_second: u32,
    /// Calls a second of every kind: messages, uploads, questions.
    pub calls_per_second: u32,
    /// Calls in any 24 hours, where that is known: 200 for each person the Page may write to. Counted from when the
    /// process began, or from the first of all who share the budget.
    pub calls_per_day: Option<u64>,
}

impl PaceLimits {
    /// What may be done in a second.
    pub(super) fn rates(self) -> Rates {
        let Self { messages_per_second, media_per_second, calls_per_second, .. } = self;
        Rates {
            media: media_per_second,
            messages: messages_per_second,
            conversations: CONVERSATIONS_PER_SECOND,
            calls: calls_per_second,
        }
    }
}

impl Default for PaceLimits {
    fn default() -> Self {
        Self { messages_per_second: 30, media_per_second: 10, calls_per_second: 300, calls_per_day: None }
    }
}

/// What one call costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls, each item of a batch counted as one.
    pub calls: u32,
    /// Those of them that send a message, or show an action.
    pub messages: u32,
    /// Those of the messages that hold audio or video.
    pub media: u32,
    /// Those of the calls that ask for a conversation.
    pub conversations: u32,
}

impl Load {
    /// One upload, or one question.
    pub const CALL: Self = Self { calls: 1, messages: 0, media: 0, conversations: 0 };

    /// One question about a conversation.
    pub const CONVERSATION: Self = Self { conversations: 1, ..Self::CALL };

    /// What one send costs.
    pub fn of(request: &SendRequest) -> Self {
        let media = request.content.message().is_some_and(Message::has_sound_or_video);
        Self { messages: 1, media: u32::from(media), ..Self::CALL }
    }

    /// What both cost together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            messages: self.messages + other.messages,
            media: self.media + other.media,
            conversations: self.conversations + other.conversations,
        }
    }

    /// What of it passes one of the lanes.
    pub(super) fn in_lane(self, lane: usize) -> u32 {
        [self.media, self.messages, self.conversations, self.calls][lane]
    }
}
