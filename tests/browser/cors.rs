//! A page of another origin, whose scripts ask a guarded address: Chromium itself sends the preflights.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_signin::dev::Account;

use crate::app::App;
use crate::approve;
use crate::chromium::Chromium;

/// Another port is another origin, but the same site, so the session cookie comes along.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_script_of_another_origin_reads_why_it_was_turned_away_and_gets_in_once_somebody_signed_in() {
    let (app, chromium, other) = (App::start().await, Chromium::start().await, Other::start().await);
    chromium.open(&other.origin).await;
    let answer = other.ask(&chromium, &app.url("/shared")).await;
    let login = app.url("/auth/login");
    let expected = json!([401, "application/problem+json", "not_signed_in", login]);
    assert_eq!(
        json!([answer["status"], answer["type"], answer["body"]["code"], answer["body"]["login_url"]]),
        expected
    );
    assert_eq!(came(&app, "/shared"), ["OPTIONS 200", "PUT 401"]);
    assert_eq!(app.ran(), [""; 0]);

    let follow = "location = arguments[0]";
    chromium.client.execute(follow, vec![answer["body"]["login_url"].clone()]).await.unwrap();
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/")).await;
    app.forget();
    chromium.open(&other.origin).await;
    let answer = other.ask(&chromium, &app.url("/shared")).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(answer["body"]["subject"], Account::alice().bitbadges_address);
    assert_eq!(came(&app, "/shared"), ["OPTIONS 200", "PUT 200"]);
    assert_eq!(app.ran(), ["PUT /shared"], "what is guarded saw no preflight");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn without_a_cors_layer_the_browser_stops_at_the_preflight() {
    let (app, chromium, other) = (App::start().await, Chromium::start().await, Other::start().await);
    for is_signed_in in [false, true] {
        if is_signed_in {
            sign_in(&app, &chromium).await;
            app.forget();
        }
        chromium.open(&other.origin).await;
        let answer = other.ask(&chromium, &app.url("/api")).await;
        assert_eq!(answer["error"], "TypeError: Failed to fetch", "signed in: {is_signed_in}");
        assert_eq!(came(&app, "/api"), ["OPTIONS 204"], "signed in: {is_signed_in}");
        assert_eq!(app.ran(), [""; 0], "signed in: {is_signed_in}");
        app.forget();
    }
}

async fn sign_in(app: &App, chromium: &Chromium) {
    chromium.open(&app.url("/page")).await;
    approve(app, chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
}

fn came(app: &App, path: &str) -> Vec<String> {
    let seen = app.seen(path).into_iter();
    seen.map(|seen| format!("{} {}", seen.method, seen.status.unwrap_or_default())).collect()
}

/// A server with one empty page.
struct Other {
    origin: String,
    server: JoinHandle<()>,
}

impl Other {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let origin = format!("http://localhost:{}/", listener.local_addr().expect("an address").port());
        let app = Router::new().route("/", get(async || Html("<!doctype html><title>Elsewhere</title>")));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("the other origin runs") });
        Self { origin, server }
    }

    /// With cookies, and with a header that Chromium asks about first.
    async fn ask(&self, chromium: &Chromium, url: &str) -> Value {
        let script = "const [url, done] = arguments; \
            fetch(url, { method: 'PUT', credentials: 'include', headers: { 'x-of-ours': '1' } }).then( \
                async answer => done({ status: answer.status, type: answer.headers.get('content-type'), \
                    body: await answer.json() }), \
                error => done({ error: String(error) }))";
        chromium.client.execute_async(script, vec![json!(url)]).await.unwrap()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.server.abort();
    }
}
