//! A handler of axum's with nothing behind it: what `benches/serve.sh` holds the service against.
//!
//! `bare ADDRESS FILE` answers every POST to `/v1/resolve` with the bytes of FILE.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file] = arguments.as_slice() else { return Err("usage: bare ADDRESS FILE".into()) };
    let body = Bytes::from(std::fs::read(file)?);
    let answer = move |_: Bytes| std::future::ready(([(CONTENT_TYPE, "application/json")], body.clone()));
    let router = Router::new().route("/v1/resolve", post(answer));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
    Ok(())
}
