//! Whether Meta takes the Pages' tokens, asked now and then.

use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::fault::{Fault, Sort};
use crate::graph::GraphClient;

/// How long an answer counts.
const FRESH: Duration = Duration::from_mins(1);
/// How long Meta may take to say so.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Meta last said of the tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Tokens {
    /// Whether none of these clients' is refused. That Meta cannot be reached says nothing of a token.
    pub(super) async fn are_taken(&self, clients: impl Iterator<Item = &GraphClient>) -> bool {
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
            return answer;
        }
        let is_taken = async |client: &GraphClient| match tokio::time::timeout(PATIENCE, client.me()).await {
            Ok(Err(error)) => error.sort() != Sort::Credentials,
            Ok(Ok(_)) | Err(_) => true,
        };
        let answer = join_all(clients.map(is_taken)).await.into_iter().all(|is_taken| is_taken);
        *last = Some((Instant::now(), answer));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::graph::{Answered, Attempt, Call, GraphOptions, Transport};
    use crate::ids::Origin;
    use crate::secret::AccessToken;

    const TAKEN: Option<(u16, &str)> = Some((200, r#"{"id":"1","name":"Shop","metadata":{"type":"page"}}"#));
    const REFUSED: Option<(u16, &str)> = Some((400, r#"{"error":{"message":"dead","code":190}}"#));
    const FORBIDDEN_ELSEWHERE: Option<(u16, &str)> = Some((400, r#"{"error":{"message":"no such field","code":100}}"#));
    const SILENT: Option<(u16, &str)> = None;

    /// Says one thing to everybody, or nothing at all, and counts who asked.
    #[derive(Debug)]
    struct Meta {
        says: Option<(u16, &'static str)>,
        asked: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Transport for Meta {
        async fn execute(&self, _: Call) -> Attempt {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let Some((status, body)) = self.says else { return std::future::pending().await };
            let status = StatusCode::from_u16(status).expect("a status");
            Attempt::Answered(Answered { status, headers: HeaderMap::new(), body: body.into() })
        }
    }

    fn meta(says: Option<(u16, &'static str)>) -> (Arc<Meta>, GraphClient) {
        let meta = Arc::new(Meta { says, asked: AtomicUsize::default() });
        let token = AccessToken::new("TOKEN").expect("a token");
        let options = GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), token);
        let clock = ManualClock::new(Timestamp::from_unix_millis(1_800_000_000_000));
        let client = GraphClient::new(options, Arc::<Meta>::clone(&meta), Arc::new(clock));
        (meta, client)
    }

    #[tokio::test(start_paused = true)]
    async fn one_token_that_is_refused_is_one_too_many_and_silence_refuses_nothing() {
        for (says, are_taken) in [
            (&[TAKEN, TAKEN][..], true),
            (&[TAKEN, REFUSED], false),
            (&[SILENT, TAKEN], true),
            (&[FORBIDDEN_ELSEWHERE], true),
        ] {
            let clients: Vec<GraphClient> = says.iter().map(|says| meta(*says).1).collect();
            assert_eq!(Tokens::default().are_taken(clients.iter()).await, are_taken, "{says:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn meta_is_asked_once_a_minute() {
        let (meta, client) = meta(REFUSED);
        let tokens = Tokens::default();
        for (seconds, asked) in [(0, 1), (59, 1), (1, 2), (0, 2)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert!(!tokens.are_taken(std::iter::once(&client)).await);
            assert_eq!(meta.asked.load(Ordering::Relaxed), asked);
        }
    }
}
