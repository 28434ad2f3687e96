//! A sign-in from end to end, with or without a network.

#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use serde_json::json;
use tower::Service;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{BoxFuture, HttpClient, HttpError};

/// Answers every request to the provider at once, as the token route does.
pub(crate) struct Canned(Bytes);

impl Canned {
    pub(crate) fn new() -> Self {
        Self(token_answer())
    }
}

impl HttpClient for Canned {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let mut response = Response::new(self.0.clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Box::pin(async move { Ok(response) })
    }
}

/// What the token route answers to alice's code. The tokens end in the year 2100.
pub(crate) fn token_answer() -> Bytes {
    let alice = Account::alice();
    let answer = json!({
        "address": alice.address,
        "chain": alice.chain,
        "bitbadgesAddress": alice.bitbadges_address,
        "verificationResponse": { "success": true },
        "access_token": "a7".repeat(32),
        "token_type": "Bearer",
        "access_token_expires_at": "4102444800000",
        "refresh_token": "b8".repeat(32),
        "refresh_token_expires_at": "4102444800000",
    });
    Bytes::from(answer.to_string())
}

/// Goes to login, approves as alice, and gives the request that the browser comes back with, other cookies included.
pub(crate) async fn callback<S, R>(service: &mut S, bitbadges: &DevProvider) -> Request<()>
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    let login = Request::get("http://localhost:3000/auth/login?return_to=%2Fme").header("sec-fetch-mode", "navigate");
    let response = service.call(login.body(()).unwrap()).await.unwrap();
    let location = response.headers()[LOCATION].to_str().unwrap();
    let callback = bitbadges.approve(location, &Account::alice()).unwrap();
    let cookies = format!("a=1; theme=dark; {}; _ga=GA1.2.3; lang=en", kept_cookies(&response));
    Request::get(callback)
        .header("sec-fetch-mode", "navigate")
        .header("accept", "*/*")
        .header("user-agent", "benchmark")
        .header(COOKIE, cookies)
        .body(())
        .unwrap()
}

/// The cookies that a response leaves in a browser, but for the count of rounds.
pub(crate) fn kept_cookies<R>(response: &Response<R>) -> String {
    let cookies = response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let kept = cookies.filter(|cookie| !cookie.contains("Max-Age=0")).map(|cookie| cookie.split(';').next().unwrap());
    kept.filter(|cookie| !cookie.contains("-rounds=")).collect::<Vec<_>>().join("; ")
}
