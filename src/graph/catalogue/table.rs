//! The rows of the catalogue, by code.
//!
//! A source that is not a page of Meta's says so: "Seen in …".

use super::Class::{
    Ambiguous, Attachment, Media, Permission, RateLimit, Recipient, Request, Stop, Token, Transient, Window,
};
use super::{Class, Entry};
use crate::graph::outcome::Retry;

const ERRORS: &str = "https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes \
                      (2026-06-25)";
const MEDIA_TEMPLATE: &str = "https://developers.facebook.com/documentation/business-messaging/messenger-platform/\
                              send-messages/template/media (2026-04-22)";
const MESSAGES: &str = "https://developers.facebook.com/docs/graph-api/reference/page/messages (v25.0)";
const HANDLING: &str = "https://developers.facebook.com/docs/graph-api/guides/error-handling (v25.0)";
const RATES: &str = "https://developers.facebook.com/docs/graph-api/overview/rate-limiting (v25.0)";
const SAVING: &str = "https://developers.facebook.com/documentation/business-messaging/messenger-platform/\
                      send-messages/saving-assets (2026-04-22)";
const OLD_ERRORS: &str = "https://developers.facebook.com/docs/messenger-platform/reference/send-api/error-codes \
                          (an older table; gone from that of 2026)";
const PROOF: &str = "https://developers.facebook.com/docs/facebook-login/security#proof (2026)";
const TAGS: &str = "https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages \
                    (2026-09-11)";
const CLIENTS: &str = "Seen in https://github.com/bottenderjs/messaging-apis and other clients";
const PHOTOS: &str = "Seen with the photos API, not with messages; no page recorded";
const SURVEYS: &str = "Seen in https://github.com/vlab-research/fly";

const CHECK_REQUEST: &str = "Correct the request: the message names the field that is wrong.";
const CHECK_MEDIA: &str = "Check that the file plays or opens, that it is of the type it is sent as, and under 25 MB.";
const CHECK_LINK: &str = "Give a public https address that answers at once with the file itself.";
const CHECK_TEMPLATE: &str = "Give the media template one element with an attachment id or a facebook.com URL.";
const NEW_TOKEN: &str =
    "Make a new Page access token, set it, and start again what runs with this one: nothing goes through with it.";
const CHECK_PERMISSION: &str = "Check the app's permissions (pages_messaging), its review, and the token's role on the \
                                Page.";
const LINK_ACCOUNT: &str = "Link the Instagram account to this Page, and let connected tools see its messages.";
const SLOW_DOWN: &str = "Wait until the limit is lifted, then go slower; calls made meanwhile prolong it.";
const STOP: &str = "Stop sending, read the Page's support inbox for the reason, and resume only once it is settled.";
const NOT_NOW: &str = "Leave this recipient until they write again.";
const NOT_EVER: &str = "Drop this recipient from the list; sending again will not help.";
const OTHER_APP: &str = "Take the thread over first, or leave it to the app that holds it.";
const LOOK_FIRST: &str = "It may have been done: look before doing it again.";
const TRY_LATER: &str = "Try again later; if it goes on, report the trace id to Meta.";

/// What any other code from 200 to 299 means.
pub(super) static PERMISSION_FAMILY: Entry =
    code(200, Permission, "A permission is missing.", "The token was made without it.", CHECK_PERMISSION, HANDLING);

/// Codes 100 without a subcode that only Meta's words tell apart, by some of these words.
#[rustfmt::skip] // A table: one row, one line.
pub(super) static TOLD_BY_WORDS: &[(&str, Entry)] = &[
    ("appsecret_proof", code(100, Permission, "The app wants a proof of its secret with every call, and got none or a wrong one.", "\"Require App Secret\" is on in the app's settings, and the secret is not set here, or another app's.", "Set the app secret of the app the token belongs to.", PROOF)),
    ("Invalid tag", code(100, Request, "The message tag is unknown, or was ended.", "CONFIRMED_EVENT_UPDATE, ACCOUNT_UPDATE and POST_PURCHASE_UPDATE ended on 2026-04-27.", "Use a utility template outside the window, or HUMAN_AGENT where a person answers.", TAGS)),
    ("recipient[id] must be a valid ID", code(100, Recipient, "The recipient's id is not one.", "A name, a phone number or an empty column where a page-scoped id belongs.", "Correct this recipient's id: a page-scoped id is all digits.", SURVEYS)),
    ("represent a valid URL", code(100, Request, "A URL in the request is not one.", "An empty text, or an address without https://, where a URL belongs.", "Correct the URL, or leave the key out and send by id.", SURVEYS)),
    ("Invalid keys", code(100, Request, "The request holds a key Meta does not know.", "A misspelt key, or one of another part of the API.", "Take out the key the message names.", CLIENTS)),
];

const fn row(
    code: i64,
    subcode: Option<i64>,
    class: Class,
    meaning: &'static str,
    cause: &'static str,
    action: &'static str,
    source: &'static str,
) -> Entry {
    let retry = match class {
        Class::Transient | Class::Ambiguous => Retry::Backoff,
        Class::RateLimit => Retry::Throttled(None),
        _ => Retry::Never,
    };
    Entry { code, subcode, class, retry, meaning, cause, action, source }
}

const fn code(
    code: i64,
    class: Class,
    meaning: &'static str,
    cause: &'static str,
    action: &'static str,
    source: &'static str,
) -> Entry {
    row(code, None, class, meaning, cause, action, source)
}

const fn pair(
    code: i64,
    subcode: i64,
    class: Class,
    meaning: &'static str,
    cause: &'static str,
    action: &'static str,
    source: &'static str,
) -> Entry {
    row(code, Some(subcode), class, meaning, cause, action, source)
}

impl Entry {
    /// The entry, for trouble that is seen to pass on a second try.
    const fn once(self) -> Self {
        Self { retry: Retry::Once, ..self }
    }
}

/// Everything known, by code and subcode.
#[rustfmt::skip] // A table: one row, one line.
pub static CATALOGUE: &[Entry] = &[
    code(-1, Ambiguous, "Something inside Meta failed unexpectedly.", "A fault on Meta's side, before or after the work.", LOOK_FIRST, SURVEYS),
    pair(-1, 2_018_012, Ambiguous, "Something inside Meta failed unexpectedly.", "A fault on Meta's side, before or after the work.", LOOK_FIRST, "Seen in https://qiita.com/unsoluble_sugar/items/78f1ae70f5a36e9054e7"),
    code(1, Ambiguous, "An unknown error, which may come after the work was done.", "A fault on Meta's side, or a call that timed out there.", LOOK_FIRST, ERRORS),
    pair(1, 99, Ambiguous, "An unknown error; where it persists, a missing permission.", "A fault on Meta's side; if it stays, a permission the app was never given.", LOOK_FIRST, HANDLING),
    pair(1, 1_357_046, Ambiguous, "The messages were all sent, but the endpoint answered with an error.", "Several messages in one batch, one of them a video.", "Do not send again: take it for sent until the inbox says otherwise.", ERRORS),
    code(2, Ambiguous, "A passing fault of the service; also seen when the person blocked the Page.", "Meta is overloaded or partly down.", LOOK_FIRST, ERRORS),
    pair(2, 2_018_344, Permission, "The privacy terms of service have not been accepted.", "Nobody of the Page has accepted the terms yet.", "Accept the terms in the Page's settings.", ERRORS),
    code(3, Permission, "The app lacks the capability for this call.", "The feature was not granted to the app.", CHECK_PERMISSION, HANDLING),
    code(4, RateLimit, "The app has reached its request limit.", "All users of the app together made too many calls.", SLOW_DOWN, ERRORS),
    pair(4, 2_018_022, RateLimit, "Too many messages to phone numbers.", "Many recipients are addressed by phone number.", SLOW_DOWN, "Seen in https://github.com/jgorset/facebook-messenger lib/facebook/messenger/bot/error_parser.rb"),
    pair(4, 2_018_354, Window, "This marketing message came too soon after the last one.", "The person got another marketing message a short while ago.", NOT_NOW, ERRORS),
    pair(9, 2_018_352, Window, "This person is being written to, or acts, too often.", "Many messages to one person in a short time.", NOT_NOW, ERRORS),
    code(10, Permission, "The app has no permission for this action.", "The app lacks pages_messaging, or its review for it.", CHECK_PERMISSION, HANDLING),
    pair(10, 1_404_170, Stop, "Marketing message opt-ins are restricted for this Page.", "People complained about, or blocked, the Page's marketing messages.", STOP, ERRORS),
    pair(10, 1_893_015, Window, "This person stopped the notifications.", "The person switched the notifications off.", NOT_EVER, ERRORS),
    pair(10, 1_893_063, Stop, "The Page is temporarily restricted from sending messages.", "Messages of the Page were reported or broke a policy.", STOP, ERRORS),
    pair(10, 2_018_065, Window, "Outside the 24-hour window, and without the permission for news.", "The person wrote more than 24 hours ago.", NOT_NOW, ERRORS),
    pair(10, 2_018_108, Recipient, "This person cannot receive messages from the Page right now.", "The person blocked the Page, or left Messenger.", NOT_NOW, ERRORS),
    pair(10, 2_018_278, Window, "The message is sent outside of the allowed window.", "The person wrote more than 24 hours ago, or seven days with HUMAN_AGENT.", NOT_NOW, ERRORS),
    pair(10, 2_018_336, Recipient, "The state of the thread with this person does not allow it.", "The thread is archived, ignored or limited on the person's side.", NOT_NOW, ERRORS),
    pair(10, 2_534_022, Window, "The message is sent outside of Instagram's allowed window.", "The person wrote more than 24 hours ago, or seven days with HUMAN_AGENT.", NOT_NOW, ERRORS),
    pair(10, 2_534_077, Permission, "The Instagram account's link to the Page does not allow this.", "The account was unlinked, or linked to another Page.", LINK_ACCOUNT, ERRORS),
    code(17, RateLimit, "The user has reached the request limit.", "One person's token makes too many calls.", SLOW_DOWN, RATES),
    pair(17, 2_446_079, RateLimit, "The account has reached the request limit.", "One account makes too many calls.", SLOW_DOWN, RATES),
    code(32, RateLimit, "The Page has reached its request limit.", "Too many calls for this Page with a user's or app's token.", SLOW_DOWN, RATES),
    code(100, Request, "A parameter is missing, unknown or wrong.", "The message after the code names the parameter.", CHECK_REQUEST, MESSAGES),
    pair(100, 33, Permission, "The object does not exist, or this token may not see it.", "The id is another Page's, or the token lacks a permission.", "Check the Page id and that the token is that Page's.", ERRORS),
    pair(100, 1_893_029, Request, "The utility template has another number of POSTBACK payloads.", "The template was changed after the message was written.", CHECK_REQUEST, SURVEYS),
    pair(100, 2_018_001, Recipient, "No such person: a wrong id, another Page's, or an account that is gone.", "The list was made for another Page, or the account was deleted.", "Drop this recipient, or check that the list was made for this Page.", ERRORS),
    pair(100, 2_018_005, Request, "Not exactly one file was uploaded: a part without a filename does not count.", "The multipart part filedata has no filename, or stands twice.", CHECK_REQUEST, "Seen in https://github.com/bottenderjs/messaging-apis/issues/334"),
    pair(100, 2_018_008, Media, "Meta could not fetch the file from its URL: address, certificate, size or speed.", "The URL is private, slow, redirected to a web page, without a valid certificate, or an image over 8 MB.", CHECK_LINK, SAVING).once(),
    pair(100, 2_018_014, Request, "A message and a sender action cannot go in one call.", "The body holds both message and sender_action.", CHECK_REQUEST, ERRORS),
    pair(100, 2_018_034, Request, "The message is empty: it needs a text or a valid attachment.", "Text, attachment and template are all missing.", CHECK_REQUEST, "Seen in https://github.com/restfb/restfb/issues/1062"),
    pair(100, 2_018_047, Media, "The upload failed, mostly because the file is not of the type it is sent as.", "A PNG sent as video, say, or a Content-Type that is not the file's own.", CHECK_MEDIA, SAVING).once(),
    pair(100, 2_018_074, Attachment, "The attachment id is invalid or expired, or another Page's.", "The id is older than 90 days, was uploaded without is_reusable, or with another Page's token.", "Upload the file again with this Page's token and send by the new id.", SAVING),
    pair(100, 2_018_109, Media, "The attachment is larger than allowed, as it is or once encoded.", "A file over 25 MB, or one that grew past it when Meta encoded it.", "Make the file smaller: well under 25 MB, as Meta may encode it anew.", ERRORS),
    pair(100, 2_018_164, Request, "The app id in the request is not right.", "The id of another app.", CHECK_REQUEST, ERRORS),
    pair(100, 2_018_294, Media, "The video is broken, or took too long to upload.", "A damaged video, or one Meta could not fetch within 75 seconds.", CHECK_MEDIA, SAVING).once(),
    pair(100, 2_018_320, Request, "Something is wrong with the product template.", "A product id that is not in the catalogue.", CHECK_REQUEST, ERRORS),
    pair(100, 2_018_328, Request, "Something is wrong with the product template.", "A product id that is not in the catalogue.", CHECK_REQUEST, ERRORS),
    pair(100, 2_534_013, Permission, "The Page is not linked to an Instagram account.", "No professional Instagram account is linked to the Page.", LINK_ACCOUNT, ERRORS),
    pair(100, 2_534_014, Recipient, "No such person on Instagram.", "An id of Messenger, or of an account that is gone.", NOT_EVER, ERRORS),
    pair(100, 2_534_015, Request, "The message does not suit Instagram.", "A kind of attachment or template Instagram does not know.", CHECK_REQUEST, ERRORS),
    pair(100, 2_534_025, Request, "The comment cannot be replied to.", "The comment was deleted, or is not on the account's own post.", CHECK_REQUEST, ERRORS),
    pair(100, 2_534_029, Stop, "The business is blocked from Instagram messaging.", "Meta restricted the business.", STOP, ERRORS),
    pair(100, 2_534_037, Window, "The thread belongs to another app.", "Another app is the thread's owner under the handover protocol.", OTHER_APP, ERRORS), // A matter of one thread, not of the Page.
    code(102, Token, "The session is no longer valid.", "The login behind the token has ended.", NEW_TOKEN, HANDLING),
    code(190, Token, "The access token is invalid.", "The token was revoked, cut short when copied, or is not a Page's.", NEW_TOKEN, ERRORS),
    pair(190, 458, Token, "The person who made the token has removed the app.", "The app was removed in the person's settings.", NEW_TOKEN, HANDLING),
    pair(190, 459, Token, "The person who made the token must sign in to Facebook first.", "Facebook asks the person to confirm who they are.", NEW_TOKEN, HANDLING),
    pair(190, 460, Token, "The password of the person who made the token has changed.", "The password was changed, or the session ended for safety.", NEW_TOKEN, HANDLING),
    pair(190, 463, Token, "The access token has expired.", "A short-lived token was used after an hour or two, a long-lived one after sixty days.", NEW_TOKEN, HANDLING),
    pair(190, 464, Token, "The person who made the token is not a confirmed user.", "The account was never confirmed.", NEW_TOKEN, HANDLING),
    pair(190, 467, Token, "The access token is no longer valid.", "The token was revoked, or its owner logged out.", NEW_TOKEN, HANDLING),
    pair(190, 492, Token, "The person who made the token has no role on the Page any more.", "The person left the Page, or lost the task MESSAGE.", NEW_TOKEN, HANDLING),
    code(200, Permission, "A permission is missing.", "The token was made without a permission the call needs.", CHECK_PERMISSION, ERRORS),
    pair(200, 1_545_041, Recipient, "This person isn't available right now.", "The person blocked the Page, deactivated the account, or has never written.", NOT_NOW, ERRORS),
    pair(200, 2_018_021, Permission, "Matching phone numbers needs an agreement on its fee.", "Phone numbers are used without the agreement.", CHECK_PERMISSION, ERRORS),
    pair(200, 2_018_027, Permission, "The app is not reviewed: it reaches only its admins, developers and testers.", "The app awaits its review.", CHECK_PERMISSION, ERRORS),
    pair(200, 2_018_028, Permission, "The app is not live: it reaches only its admins, developers and testers.", "The app is in development mode.", CHECK_PERMISSION, ERRORS),
    pair(200, 2_534_041, Permission, "The Instagram account's owner has disabled access to its messages.", "The owner switched off access for connected tools.", LINK_ACCOUNT, ERRORS),
    code(230, Permission, "The permissions do not allow a message to this person.", "The token lacks pages_messaging for this Page.", CHECK_PERMISSION, MESSAGES),
    code(324, Media, "The image is missing or invalid.", "A file that is no picture, or one cut short.", CHECK_MEDIA, PHOTOS).once(),
    pair(324, 2_069_019, Media, "The image is missing or invalid.", "A file that is no picture, or one cut short.", CHECK_MEDIA, PHOTOS).once(),
    code(341, RateLimit, "The app has reached its limit.", "The app makes too many calls of one kind.", SLOW_DOWN, HANDLING),
    code(368, Stop, "The action was judged abusive: the Page is blocked for a while.", "Many people reported the messages, or too many went out too fast.", STOP, MESSAGES),
    pair(368, 1_390_008, Stop, "The Page is going too fast and is blocked for a while.", "Too many actions in a short time.", STOP, "Seen in code of other clients; no page recorded"),
    code(389, Media, "Meta could not fetch the video from its URL.", "The URL is private, slow, or leads to a web page.", CHECK_LINK, "Seen in https://github.com/conbus/fbmq/issues/65"),
    code(506, Request, "The same post was just made.", "The same text was posted twice in a row.", CHECK_REQUEST, HANDLING),
    code(546, Media, "Files of this type are not allowed; also seen when a URL leads to a web page.", "An executable, or a URL that was redirected to a web page.", "Send the file in another format.", "Seen in https://github.com/jgorset/facebook-messenger/issues/221"),
    code(551, Recipient, "This person isn't available right now.", "The person blocked the Page, or deactivated the account.", NOT_NOW, MESSAGES),
    pair(551, 1_545_041, Recipient, "This person isn't available right now, or the window is closed.", "The person blocked the Page, deactivated the account, or wrote too long ago.", NOT_NOW, ERRORS),
    pair(551, 1_893_047, Recipient, "The recipient is not available.", "The person blocked the Page, or deactivated the account.", NOT_NOW, SURVEYS),
    code(613, RateLimit, "Calls to this API have exceeded the rate limit.", "More calls in 24 hours than 200 for each person the Page may write to, or too many in a second.", SLOW_DOWN, ERRORS),
    pair(613, 1996, RateLimit, "The volume of calls is not even enough.", "Calls come in bursts.", SLOW_DOWN, RATES),
    pair(613, 1_893_016, Window, "This person was asked to opt in too often.", "The opt-in was shown to the person again and again.", NOT_NOW, ERRORS),
    pair(613, 2_018_338, Window, "A warning: tags are used abusively towards this person.", "Tags are used for what they are not meant for.", "Send this person nothing more under a tag, and go much slower.", ERRORS),
    pair(613, 2_534_040, RateLimit, "Instagram's rate limit is reached.", "Too many calls for the Instagram account.", SLOW_DOWN, ERRORS),
    code(1200, Transient, "A temporary failure to send.", "Meta is overloaded or partly down.", TRY_LATER, OLD_ERRORS),
    pair(1200, 2_018_024, Transient, "A temporary failure to send.", "Meta is overloaded or partly down.", TRY_LATER, OLD_ERRORS),
    code(2022, Stop, "Commerce messages are disabled for this app for a while.", "Messages of the app broke the commerce policy.", STOP, MESSAGES),
    code(10_900, Window, "This comment or post was already replied to.", "A private reply can be sent once, and was.", NOT_EVER, MESSAGES),
    code(10_901, Window, "The time to reply to this comment or post is over.", "A private reply can be sent for seven days.", NOT_EVER, MESSAGES),
    code(10_903, Window, "This person cannot be replied to.", "The person does not allow replies, or the post is not the Page's.", NOT_EVER, MESSAGES),
    code(80_001, RateLimit, "The Page has reached its business use case limit.", "Too many calls for the Page within the hour.", SLOW_DOWN, RATES),
    code(80_002, RateLimit, "The Instagram account has reached its business use case limit.", "Too many calls for the Instagram account within the hour.", SLOW_DOWN, RATES),
    code(80_006, RateLimit, "The Page has reached Messenger's business use case limit.", "More calls in 24 hours than 200 for each person the Page may write to.", SLOW_DOWN, RATES),
    code(2_018_173, Media, "The preview could not be fetched from its URL.", "The URL is private or slow.", CHECK_LINK, MEDIA_TEMPLATE),
    code(2_018_175, Media, "The preview could not be made.", "A file Meta cannot draw a preview of.", CHECK_MEDIA, MEDIA_TEMPLATE),
    code(2_018_182, Media, "The media type is not one the template takes.", "Audio or a file in a media template, which takes image and video.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_183, Request, "The attachment id is missing.", "An element with neither id nor URL.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_184, Request, "The Facebook URL is not one the template can use.", "The URL does not lead to a photo or video on Facebook.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_185, Request, "The Facebook URL is not one the template can use.", "The URL does not lead to a photo or video on Facebook.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_186, Request, "The Facebook URL is not one the template can use.", "The URL does not lead to a photo or video on Facebook.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_187, Request, "Either a URL or an attachment id is required.", "An element with neither id nor URL.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_188, Request, "URLs outside Facebook are not supported.", "The URL leads out of Facebook.", CHECK_TEMPLATE, MEDIA_TEMPLATE),
    code(2_018_300, Window, "Another app controls the thread.", "The handover protocol gave the thread to another app.", OTHER_APP, ERRORS),
    code(2_018_321, Window, "An automated flow of questions controls the thread.", "The Page's automated questions are running in the thread.", "Try again later: the flow ends by itself.", ERRORS),
    code(9_000_001, Request, "The message was deleted, or is not among the newest twenty.", "Only the newest twenty messages of a thread can be read.", "Ask for newer messages only.", ERRORS),
];
