//! Whether the token may send, as far as Meta tells.

use std::time::Duration;

use super::CampaignError;
use crate::clock::Clock;
use crate::graph::{Class, GraphClient, TokenFacts};

/// How long Meta may take to answer: what cannot be asked in time is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the permission to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Meta says that the token has it.
    Granted,
    /// Meta does not tell this token what it may do, or did not answer.
    NotChecked,
}

impl Permission {
    /// The word in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::NotChecked => "not_checked",
        }
    }

    /// What Meta says of the client's token.
    ///
    /// # Errors
    /// `NotPermitted` where Meta says that it may not send, or is not valid, and Meta's own word where the token is dead.
    /// That nothing is said is no error.
    pub(super) async fn of(graph: &GraphClient, clock: &dyn Clock) -> Result<Self, CampaignError> {
        let facts = tokio::select! {
            biased;
            facts = graph.inspect_token() => facts,
            () = clock.sleep(PATIENCE) => return Ok(Self::NotChecked),
        };
        match facts {
            Ok(facts) => Self::judge(&facts),
            Err(error) if error.class() == Some(Class::Token) => Err(error.into()),
            Err(_) => Ok(Self::NotChecked),
        }
    }

    fn judge(facts: &TokenFacts) -> Result<Self, CampaignError> {
        let refuse = |reason: String| Err(CampaignError::NotPermitted { reason });
        match facts {
            TokenFacts { is_valid: false, error, .. } => {
                refuse(error.clone().unwrap_or_else(|| "it is not valid".to_owned()))
            }
            TokenFacts { scopes, .. } if scopes.is_empty() => Ok(Self::NotChecked),
            facts if facts.lacks_send_permission() => {
                refuse(format!("it has the permissions {}", facts.scopes.join(", ")))
            }
            _ => Ok(Self::Granted),
        }
    }
}
