//! Message tags: why a message may come after 24 hours.

use std::borrow::Cow;
use std::fmt;

/// A message tag, as Meta spells it. One nobody here knows is sent all the same: Meta decides.
///
/// **Source**: Graph API reference, Page `messages` edge, parameter `tag` (v25.0); "Send a Message", Message Tags (read
/// 2026-09-11).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Cow<'static, str>);

/// When Meta ended a tag, and what it offers instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retirement {
    /// The day since which Meta answers with code 100, as `YYYY-MM-DD`.
    pub since: &'static str,
    /// What to do now.
    pub instead: &'static str,
}

/// **Source**: "Send a Message" (read 2026-09-11): "Effective April 27th, 2026, all API requests containing the Message
/// Tags `CONFIRMED_EVENT_UPDATE`, `ACCOUNT_UPDATE`, and `POST_PURCHASE_UPDATE` will receive error code 100."
const RETIRED: [Tag; 3] = [Tag::ACCOUNT_UPDATE, Tag::CONFIRMED_EVENT_UPDATE, Tag::POST_PURCHASE_UPDATE];

const RETIREMENT: Retirement = Retirement {
    since: "2026-04-27",
    instead: "send a utility template instead: messaging type UTILITY with message.template",
};

impl Tag {
    /// A change to the recipient's application or account; [ended](Self::retired).
    pub const ACCOUNT_UPDATE: Self = Self(Cow::Borrowed("ACCOUNT_UPDATE"));
    /// A reminder of an event the recipient has registered for; [ended](Self::retired).
    pub const CONFIRMED_EVENT_UPDATE: Self = Self(Cow::Borrowed("CONFIRMED_EVENT_UPDATE"));
    /// The Customer Feedback Template, within 7 days.
    pub const CUSTOMER_FEEDBACK: Self = Self(Cow::Borrowed("CUSTOMER_FEEDBACK"));
    /// An answer a person wrote, within 7 days: never automatically. The only tag on Instagram.
    pub const HUMAN_AGENT: Self = Self(Cow::Borrowed("HUMAN_AGENT"));
    /// News, from Pages Meta has registered as publishers.
    pub const NON_PROMOTIONAL_SUBSCRIPTION: Self = Self(Cow::Borrowed("NON_PROMOTIONAL_SUBSCRIPTION"));
    /// News of something the recipient has bought; [ended](Self::retired).
    pub const POST_PURCHASE_UPDATE: Self = Self(Cow::Borrowed("POST_PURCHASE_UPDATE"));

    /// The tag called `name`, known to us or not.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The word used on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When and for what Meta ended the tag; `None` while it lives.
    pub fn retired(&self) -> Option<Retirement> {
        RETIRED.iter().any(|retired| self.is(retired)).then_some(RETIREMENT)
    }

    /// Whether both are the same to Meta, which does not mind case.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_tags_have_ended_and_say_what_to_use_instead() {
        for tag in ["ACCOUNT_UPDATE", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE", "account_update"] {
            let retirement = Tag::new(tag).retired().expect(tag);
            assert_eq!(retirement.since, "2026-04-27");
            assert!(retirement.instead.contains("UTILITY"));
        }
        for tag in [Tag::CUSTOMER_FEEDBACK, Tag::HUMAN_AGENT, Tag::NON_PROMOTIONAL_SUBSCRIPTION, Tag::new("NEW_TAG")] {
            assert_eq!(tag.retired(), None, "{tag}");
        }
    }
}
