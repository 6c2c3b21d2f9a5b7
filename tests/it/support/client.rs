//! Graph clients of the sandbox's Pages in this process.

use std::sync::Arc;

use reattach::clock::Clock;
use reattach::graph::{Auth, Governor, GraphClient, GraphOptions, PaceLimits, RetryPolicy, Transport};
use reattach::ids::Platform;
use reattach::secret::AccessToken;

/// How to reach the Page of `token` at `origin`.
pub(crate) fn graph_options(origin: &str, token: &str, retry: RetryPolicy) -> GraphOptions {
    GraphOptions {
        origin: origin.parse().expect("an origin"),
        api_version: "v25.0".parse().expect("a version"),
        token: AccessToken::new(token).expect("a token"),
        app_secret: None,
        auth: Auth::default(),
        platform: Platform::Messenger,
        retry,
    }
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
