//! The development stand-in for BitBadges alone: `PORT=3001 cargo run --example dev_provider`.

mod common;

use common::{BoxError, say};
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET, DevProvider};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let port = std::env::var("PORT").map_or(Ok(3001), |port| port.parse())?;
    let provider = DevProvider::start_on(port).await?;
    say(&format!("A development stand-in for BitBadges, NOT the real one: {}", provider.origin()));
    say(&format!("client id {CLIENT_ID}, client secret {CLIENT_SECRET}, API key {API_KEY}"));
    std::future::pending().await
}
