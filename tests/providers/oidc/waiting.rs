//! Logins that wait for a provider whose metadata is not there yet.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::task::JoinSet;
use tower::util::ServiceExt as _;
use tower::{Layer as _, service_fn};
use tower_signin::{BoxFuture, HttpClient, HttpError, Keys, Oidc, SignIn};

use crate::support::navigation;

/// A provider that never answers, and how often it was asked.
struct Hangs(Arc<AtomicUsize>);

impl HttpClient for Hangs {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn are_bounded_and_ask_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let sign_in = SignIn::builder(Oidc::discover("https://id.example.com", "id", "secret"))
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap())
        .http_client(Hangs(Arc::clone(&asked)))
        .build()
        .unwrap();
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let service = sign_in.layer().layer(inner);
    let mut waiting = JoinSet::new();
    for _ in 0..1025 {
        let request = navigation(Method::GET, "https://app.example.com/auth/login", "none").body(()).unwrap();
        waiting.spawn(service.clone().oneshot(request));
    }
    let first = waiting.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(
        (first.status().as_u16(), &first.headers()["retry-after"]),
        (503, &"2".parse().unwrap()),
        "one too many"
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((waiting.try_join_next().is_none(), asked.load(Ordering::SeqCst)), (true, 1));
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), 504);
    }
}
