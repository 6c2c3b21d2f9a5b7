//! Whether Meta takes the Pages' tokens, asked now and then.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::Mutex;

use crate::fault::{Fault, Sort};

use super::ServedPage;

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
    /// Whether none of them is refused. That Meta cannot be reached says nothing of a token.
    pub(super) async fn are_taken(&self, pages: &[ServedPage]) -> bool {
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
            return answer;
        }
        let is_taken = async |page: &ServedPage| match tokio::time::timeout(PATIENCE, page.graph.me()).await {
            Ok(Err(error)) => error.sort() != Sort::Credentials,
            Ok(Ok(_)) | Err(_) => true,
        };
        let answer = join_all(pages.iter().map(is_taken)).await.into_iter().all(|is_taken| is_taken);
        *last = Some((Instant::now(), answer));
        answer
    }
}
