//! Mistakes that were made in tools like this one, or nearly in this one. Each is put into the protocol alone, to see
//! that the properties tell.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A claim marks a delivery as done: the cursor that moves when rows are fetched.
    ClaimMarksAsDone,
    /// A claim does not look whether somebody else has the delivery.
    ClaimOfWhatIsHeld,
    /// The request leaves first, and the ledger is told with the answer.
    IntentAfterSend,
    /// No answer is taken for "not sent".
    TimeOutMeansNotSent,
    /// No answer is sent again where a campaign sends at most once.
    RetryUnderAtMostOnce,
    /// Nobody counts how often a doubtful message is sent again.
    RetryWithoutLimit,
    /// What a dead process had in flight is planned again.
    RestartPlansInFlight,
    /// What a worker had in flight whose lease is lost is planned again.
    LostLeasePlansInFlight,
    /// Of a dead worker's deliveries, those in flight are left as they are.
    InFlightIsForgotten,
    /// A worker's result is stored though others took its delivery over.
    OldEpochWrites,
    /// A throttle fails the recipient.
    ThrottleFails,
    /// A throttle costs an attempt.
    ThrottleCosts,
    /// Meta's refusal of the Page fails the recipient.
    PageErrorFails,
    /// A later refusal makes one forget that an earlier attempt may have arrived.
    RefusalCoversDoubt,
    /// The next attempt's nonce takes the place of one that may have arrived.
    NonceForgotten,
    /// An echo settles whoever waits for one.
    EchoOfAnother,
    /// The next delivery is taken while a result is in memory only.
    ResultInMemory,
    /// An intent is not held against the pause.
    PauseIgnored,
    /// "Not seen yet" is taken for "not sent".
    AbsenceIsProof,
    /// "Not sent" is accepted of a delivery in flight.
    SettleInFlight,
}
