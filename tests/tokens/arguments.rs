//! Tokens as arguments of axum handlers.

use axum::Router;
use axum::routing::get;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use tower_signin::{Identity, Tokens};

use crate::support::{Browser, text};
use crate::{LIFE, Shop, failure, fetch, told};

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/who", get(async |who: Identity| who.subject().to_owned()))
        .route("/maybe", get(async |who: Option<Identity>| if who.is_some() { "somebody" } else { "nobody" }))
        .route("/tokens", get(async |tokens: Tokens| tokens.access_token().to_owned()))
        .route(
            "/maybe-tokens",
            get(async |tokens: Option<Tokens>| {
                tokens.map_or("none".to_owned(), |tokens| tokens.access_token().to_owned())
            }),
        )
}

#[tokio::test]
async fn are_there_where_somebody_is_signed_in() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    for number in 1..3 {
        for path in ["/tokens", "/maybe-tokens"] {
            let response = shop.visit(&mut browser, fetch("GET", path)).await;
            assert_eq!(text(&response), format!("at-{number}"), "{path}");
        }
        shop.advance(LIFE - 60);
    }
    let nobody = &mut Browser::new();
    assert_eq!(told(&shop.visit(nobody, fetch("GET", "/tokens")).await), (401, "not_signed_in".to_owned()));
    assert_eq!(text(&shop.visit(nobody, fetch("GET", "/maybe-tokens")).await), "none");
}

#[tokio::test]
async fn nobody_is_called_nobody_where_that_is_unknown() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(500, "")));
    shop.advance(60);
    for path in ["/who", "/maybe", "/tokens", "/maybe-tokens"] {
        let response = shop.visit(&mut browser, fetch("GET", path)).await;
        assert_eq!(told(&response), (503, "session_unavailable".to_owned()), "{path}");
        assert!(response.headers().contains_key(RETRY_AFTER), "{path}");
        let grpc = http::Request::post("/tokens").header(CONTENT_TYPE, "application/grpc");
        assert_eq!(shop.visit(&mut browser, grpc).await.status(), 405, "axum's own");
    }
    let stranger = shop.visit(&mut Browser::new(), fetch("GET", "/maybe")).await;
    assert_eq!(text(&stranger), "nobody");
}
