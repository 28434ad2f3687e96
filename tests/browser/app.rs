//! An app in this process, where a clock, a setting or a broken proxy is needed. It remembers what reached it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{FromRef, Request, State};
use axum::middleware::{Next, from_fn_with_state, map_request, map_response};
use axum::response::{Html, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::header::{CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower::ServiceBuilder;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Builder, Identity, Keys, Provider, SignIn, SignedIn, Tokens, siwbb};

/// The running app and a dev provider; dropping it stops both.
pub struct App {
    pub origin: String,
    pub sign_in: SignIn,
    pub dev: DevProvider,
    record: Record,
    server: JoinHandle<()>,
}

/// A request, as it came over the socket.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    /// `Sec-Purpose`.
    pub purpose: String,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
}

#[derive(Clone, Default)]
struct Record {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The guarded handlers that ran: method and path.
    ran: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Shared {
    record: Record,
    sign_in: SignIn,
}

impl FromRef<Shared> for Record {
    fn from_ref(shared: &Shared) -> Self {
        shared.record.clone()
    }
}

impl App {
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let dev = DevProvider::start().await.expect("a free port");
        let provider = dev.siwbb();
        Self::start_on(dev, provider, configure, |app, _| app).await
    }

    /// `outside` may put something between the app with its `SignInLayer` and the browser.
    pub async fn start_on(
        dev: DevProvider,
        provider: impl Provider,
        configure: impl FnOnce(Builder) -> Builder,
        outside: impl FnOnce(Router, &str) -> Router,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let origin = format!("http://localhost:{port}");
        let builder = SignIn::builder(provider).redirect_uri(format!("{origin}/auth/callback"));
        let sign_in = configure(builder.keys(Keys::generate().expect("randomness"))).build().expect("good settings");
        let record = Record::default();
        let app = outside(routes(&sign_in, &record), &format!("signin-{port}"));
        let app = app.layer(from_fn_with_state(record.clone(), remember));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("the app runs") });
        Self { origin, sign_in, dev, record, server }
    }

    /// Every request comes with this header, whatever the browser sends.
    pub async fn start_pretending(name: &'static str, value: &'static str) -> Self {
        let dev = DevProvider::start().await.expect("a free port");
        let provider = dev.siwbb();
        let pretend = map_request(move |mut request: Request| {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
            std::future::ready(request)
        });
        Self::start_on(dev, provider, |builder| builder, |app, _| app.layer(pretend)).await
    }

    /// The browser does not say where a request came from: something in between takes `Sec-Fetch-Site` away, and no page
    /// lets it send `Referer`.
    pub async fn start_in_the_dark(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let dev = DevProvider::start().await.expect("a free port");
        let provider = dev.siwbb();
        let strip = map_request(|mut request: Request| {
            request.headers_mut().remove("sec-fetch-site");
            std::future::ready(request)
        });
        let quiet = map_response(|mut response: Response| {
            response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            std::future::ready(response)
        });
        Self::start_on(dev, provider, configure, |app, _| app.layer(strip).layer(quiet)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// What came to this path, query aside.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.record.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.target.split('?').next() == Some(path)).cloned().collect()
    }

    /// Waits until a request to this path is answered that `is_it`.
    pub async fn wait_for(&self, path: &str, is_it: impl Fn(&Seen) -> bool) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.seen(path);
            if let Some(seen) = seen.iter().find(|seen| seen.status.is_some() && is_it(seen)) {
                return seen.clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "waiting for {path}, but these came: {seen:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The guarded handlers that ran: `GET /page`.
    pub fn ran(&self) -> Vec<String> {
        self.record.ran.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.record.seen.lock().unwrap().clear();
        self.record.ran.lock().unwrap().clear();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn routes(sign_in: &SignIn, record: &Record) -> Router {
    let bob = siwbb::addresses([Account::bob().address]).expect("an address");
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods(AllowMethods::mirror_request())
        .allow_credentials(true)
        .max_age(Duration::ZERO);
    let guarded = || sign_in.require();
    Router::new()
        .route("/", get(home))
        .route("/page", get(page).layer(guarded()))
        .nest("/area", Router::new().route("/page", get(page)).layer(guarded()))
        .route("/bob", get(page).layer(sign_in.require_where(bob)))
        .route("/api", any(api).layer(guarded()))
        .route("/shared", any(api).layer(ServiceBuilder::new().layer(cors).layer(guarded())))
        .route("/post", post(page).layer(guarded()))
        .route("/who", get(page))
        .route("/worker.js", get(([(CONTENT_TYPE, "text/javascript")], WORKER)))
        .route("/completed", get(async |_: SignedIn| "never"))
        .route("/tokens", get(async |_: Tokens| "never"))
        .layer(sign_in.layer())
        .route("/unlayered", get(page).layer(guarded()))
        .with_state(Shared { record: record.clone(), sign_in: sign_in.clone() })
}

/// Passes on what comes, or what the browser has preloaded.
const WORKER: &str = "
    const preloads = location.search == '?preload';
    onactivate = event => event.waitUntil(preloads ? registration.navigationPreload.enable() : 0);
    onfetch = event => event.respondWith(
        preloads ? event.preloadResponse.then(it => it ?? fetch(event.request)) : fetch(event.request));
";

async fn remember(State(record): State<Record>, request: Request, next: Next) -> Response {
    let index = record.came(&request);
    let response = next.run(request).await;
    if let Some(seen) = record.seen.lock().unwrap().get_mut(index) {
        seen.status = Some(response.status().as_u16());
    }
    response
}

async fn home(State(shared): State<Shared>, identity: Option<Identity>) -> Html<String> {
    let who = identity.as_ref().map_or("nobody", Identity::subject);
    Html(format!(
        "<!doctype html><title>Home</title><p id=subject>{who}</p><a id=page href=/page>A page</a> \
         <a id=signin href=\"{}\">Sign in</a> <form method=post action=/post><button id=post>Post</button></form> \
         <form method=post action=/auth/logout><button id=signout>Sign out</button></form>",
        shared.sign_in.login_url("/page?by=link")
    ))
}

async fn page(State(record): State<Record>, identity: Identity, request: Request) -> Html<String> {
    record.ran(&request);
    Html(format!("<!doctype html><title>A page</title><p id=subject>{}</p><h2 id=part>Part</h2>", identity.subject()))
}

async fn api(State(record): State<Record>, identity: Option<Identity>, request: Request) -> Json<Value> {
    record.ran(&request);
    Json(json!({ "subject": identity.as_ref().map(Identity::subject) }))
}

impl Record {
    /// Gives the place in the list.
    fn came(&self, request: &Request) -> usize {
        let purpose = request.headers().get("sec-purpose").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (method, target) = (request.method().clone(), request.uri().to_string());
        let mut seen = self.seen.lock().unwrap();
        seen.push(Seen { method, target, purpose: purpose.to_owned(), status: None });
        seen.len() - 1
    }

    fn ran(&self, request: &Request) {
        self.ran.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
    }
}
