//! Graph clients of the sandbox's Pages in this process.

use std::sync::Arc;

use reattach::clock::Clock;
use reattach::graph::{Governor, GraphClient, GraphOptions, PaceLimits, RetryPolicy, Transport};
use reattach::secret::AccessToken;

/// How to reach the Page of `token` at `origin`.
pub(crate) fn graph_options(origin: &str, token: &str, retry: RetryPolicy) -> GraphOptions {
    let token = AccessToken::new(token).expect("a token");
    GraphOptions { retry, ..GraphOptions::new(origin.parse().expect("an origin"), token) }
}

/// A client that need not spare anybody: the sandbox takes whatever comes, and months of messages need not take hours.
pub(crate) fn unhindered(
    options: GraphOptions,
    transport: impl Transport + 'static,
    clock: Arc<dyn Clock>,
) -> GraphClient {
    let limits = PaceLimits {
        messages_per_second: 100_000,
        media_per_second: 100_000,
        calls_per_second: 100_000,
        calls_per_day: None,
    };
    GraphClient::new(options, Arc::new(transport), clock).with_governor(Arc::new(Governor::new(limits)))
}
