//! What could be built wrong: each mistake must be found out, or the simulation would show nothing.

/// A mistake in what the simulation stands in for, or in what lies between it and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A message whose answer is lost is taken for one that was not sent.
    LostIsNotSent,
    /// A message whose answer is lost is taken for one that was sent.
    LostIsSent,
    /// A message whose answer is lost is taken for one that was refused.
    LostIsRefused,
    /// A run that goes on sends again what was in flight.
    SendsAgainAfterACrash,
    /// Whoever was taken for dead goes on as if nothing had been.
    IgnoresTheLease,
    /// A message leaves before its intent is on the disk.
    SendsBeforeTheIntent,
    /// Nobody minds that another is uploading the same.
    EverybodyUploads,
    /// A claim is not let go of when its upload came to nothing.
    KeepsClaims,
}

impl Mistake {
    pub(super) const ALL: [Self; 8] = [
        Self::LostIsNotSent,
        Self::LostIsSent,
        Self::LostIsRefused,
        Self::SendsAgainAfterACrash,
        Self::IgnoresTheLease,
        Self::SendsBeforeTheIntent,
        Self::EverybodyUploads,
        Self::KeepsClaims,
    ];

    /// From where on to look for a seed that shows it: rare ones are known to be far off.
    pub(super) const fn first_seed(self) -> u64 {
        match self {
            Self::IgnoresTheLease | Self::KeepsClaims => 40,
            _ => 0,
        }
    }
}
