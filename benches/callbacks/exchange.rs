//! Callbacks against the POST that each of them makes.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Request, Response};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET, DevProvider};
use tower_signin::{Keys, SignIn, Siwbb};

use crate::visit::{callback, token_answer};

/// Turns of each kind, and exchanges of a turn.
const TURNS: usize = 40;
const TIMES: usize = 160;

pub(crate) fn table(origin: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{:<8} {:>9} {:>12} {:>8} {:>11} {:>7}",
        "at once", "post us", "callback us", "own us", "per second", "ratio"
    );
    for at_once in [1, 16] {
        // In a task, as a server has its connections: to wake what is blocked on takes a system call more.
        runtime.block_on(runtime.spawn(row(origin.to_owned(), at_once))).unwrap();
    }
}

async fn row(origin: String, at_once: usize) {
    let bitbadges = DevProvider::start().await.unwrap();
    let provider = Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(bitbadges.origin(), &origin);
    let sign_in = SignIn::builder(provider)
        .redirect_uri("http://localhost:3000/auth/callback")
        .keys(Keys::generate().unwrap())
        .build()
        .unwrap();
    let service = sign_in.layer().layer(service_fn(page));
    let client = client();
    let url = format!("{origin}/api/v0/siwbb/token");

    let (mut posts, mut callbacks, mut ratios) = (f64::MAX, f64::MAX, Vec::new());
    // The first turn of each makes the connections.
    for turn in 0..=TURNS {
        let mut requests = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            requests.push(callback(&mut service.clone(), &bitbadges).await);
        }
        let post = timed(at_once, (0..TIMES).map(|_| post(&client, &url))).await;
        let callback = timed(
            at_once,
            requests.into_iter().map(|request| {
                let service = service.clone();
                async move {
                    let response = service.oneshot(request).await.unwrap();
                    assert_eq!(response.status(), 303);
                    assert_eq!(response.headers()[LOCATION], "/me");
                }
            }),
        )
        .await;
        if turn > 0 {
            posts = posts.min(post);
            callbacks = callbacks.min(callback);
            ratios.push(callback / post);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let (own, per_second, ratio) = (callbacks - posts, 1e6 / callbacks, ratios[TURNS / 2]);
    println!("{at_once:<8} {posts:>9.1} {callbacks:>12.1} {own:>8.1} {per_second:>11.0} {ratio:>7.2}");
}

/// Microseconds of each.
async fn timed<F: Future<Output = ()>>(at_once: usize, exchanges: impl Iterator<Item = F>) -> f64 {
    let start = Instant::now();
    stream::iter(exchanges).buffer_unordered(at_once).collect::<()>().await;
    start.elapsed().as_secs_f64() * 1e6 / TIMES as f64
}

/// Set up as the layer's own client is.
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(15))
        .user_agent("benchmark")
        .https_only(true)
        .build()
        .unwrap()
}

/// What the layer sends, and no more.
async fn post(client: &reqwest::Client, url: &str) {
    let body = json!({
        "grant_type": "authorization_code",
        "code": "c".repeat(64),
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": "http://localhost:3000/auth/callback",
        "code_verifier": "v".repeat(43),
        "options": { "issuedAtTimeWindowMs": 600_000 },
    });
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("x-api-key", API_KEY)
        .header(ACCEPT, "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let response = client.execute(reqwest::Request::try_from(request).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), token_answer());
}

fn page(_: Request<()>) -> Ready<Result<Response<()>, Infallible>> {
    ready(Ok(Response::new(())))
}
