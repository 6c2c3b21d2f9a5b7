//! One message, all but the network.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use divan::Bencher;
use divan::counter::ItemsCount;
use http::{HeaderMap, StatusCode};
use reattach::clock::SystemClock;
use reattach::graph::{
    Answered, Attempt, Call, Envelope, Governor, GraphClient, GraphOptions, Message, PaceLimits, SendRequest, Transport,
};
use reattach::ids::{Origin, PageId};
use reattach::secret::AccessToken;

use crate::runtime;

const ANSWER: &str = r#"{"recipient_id":"1254459154682919","message_id":"m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM"}"#;

#[derive(Debug)]
struct AtOnce;

#[async_trait]
impl Transport for AtOnce {
    async fn execute(&self, _: Call) -> Attempt {
        let body = ANSWER.into();
        Attempt::Answered(Answered { status: StatusCode::OK, headers: HeaderMap::new(), body })
    }
}

fn request() -> SendRequest {
    let recipient = "1254459154682919".parse().expect("a recipient");
    SendRequest { envelope: Envelope::new(recipient), content: Message::text("Hi").into() }
}

#[divan::bench]
fn a_message(bencher: Bencher) {
    const UNBOUNDED: u32 = 1_000_000_000;
    let runtime = runtime();
    let page: PageId = "1".parse().expect("a Page");
    let token = AccessToken::new("NOBODYS").expect("a token");
    let options = GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), token);
    let limits = PaceLimits {
        messages_per_second: UNBOUNDED,
        media_per_second: UNBOUNDED,
        calls_per_second: UNBOUNDED,
        calls_per_day: None,
    };
    let graph = GraphClient::new(options, Arc::new(AtOnce), Arc::new(SystemClock))
        .with_governor(Arc::new(Governor::new(limits)));
    let request = request();
    bencher
        .counter(ItemsCount::new(1_u64))
        .bench_local(|| runtime.block_on(graph.send(&page, &request)).expect("sent"));
}

/// Its JSON written, and that of the answer read.
#[divan::bench]
fn a_message_beside_its_json(bencher: Bencher) {
    let message = serde_json::json!({
        "recipient": {"id": "1254459154682919"}, "messaging_type": "RESPONSE", "message": {"text": "Hi"}
    });
    bencher.counter(ItemsCount::new(1_u64)).bench_local(|| {
        let sent = serde_json::to_vec(black_box(&message)).expect("JSON");
        (sent, serde_json::from_str::<serde_json::Value>(black_box(ANSWER)).expect("JSON"))
    });
}
