//! An app behind the layer, in each framework.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::{Layer as _, service_fn};
use tower_signin::{Builder, Clock, Identity, Keys, Oidc, SignIn, Tokens};

use crate::support::{Browser, text};
use crate::who_am_i::{WhoAmI, ask};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Framework {
    Axum,
    Hyper,
    Tonic,
}

pub(crate) const FRAMEWORKS: [Framework; 3] = [Framework::Axum, Framework::Hyper, Framework::Tonic];

/// Every page says who is there, and what was kept.
pub(crate) struct Site {
    pub(crate) framework: Framework,
    pub(crate) origin: String,
    pub(crate) clock: Ahead,
    server: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn start(framework: Framework, oidc: Oidc, configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_on(listener().await, framework, oidc, configure)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        framework: Framework,
        oidc: Oidc,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let origin = origin(&listener);
        let clock = Ahead::default();
        let builder = SignIn::builder(oidc)
            .redirect_uri(format!("{origin}/auth/callback"))
            .keys(Keys::generate().unwrap())
            .clock(clock.clone());
        let sign_in = configure(builder).build().unwrap();
        let server = tokio::spawn(serve(framework, sign_in, listener));
        Self { framework, origin, clock, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Who is there: `null`, or what is known of them.
    pub(crate) async fn who(&self, browser: &mut Browser) -> Value {
        let answer = browser.get(&self.url("/")).await;
        assert_eq!(answer.status(), 200, "{:?}", self.framework);
        let who: Value = serde_json::from_str(text(&answer)).unwrap();
        if matches!(self.framework, Framework::Tonic) {
            let by_call = ask(&self.origin, browser.cookie_header().as_deref()).await.ok();
            assert_eq!(by_call.as_deref(), who["subject"].as_str(), "a call and a page are of the same person");
        }
        who
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// Of the app that is going to listen there.
pub(crate) fn origin(listener: &TcpListener) -> String {
    format!("http://localhost:{}", listener.local_addr().unwrap().port())
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(framework: Framework, sign_in: SignIn, listener: TcpListener) {
    let router =
        Router::new().fallback(async |request: axum::extract::Request| answer(&request).map(axum::body::Body::new));
    match framework {
        Framework::Axum => axum::serve(listener, router.layer(sign_in.layer())).await.unwrap(),
        Framework::Hyper => {
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
            let service = sign_in.layer().layer(service);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }
        Framework::Tonic => {
            let routes = Routes::from(Routes::new(WhoAmI).into_axum_router().reset_fallback().merge(router));
            let server = Server::builder().accept_http1(true).layer(sign_in.layer());
            server.serve_with_incoming(routes, TcpIncoming::from(listener)).await.unwrap();
        }
    }
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let tokens = request.extensions().get::<Tokens>();
    let who = request.extensions().get::<Identity>().map(|identity| {
        json!({
            "issuer": identity.issuer(),
            "subject": identity.subject(),
            "claims": identity.claims::<Value>().unwrap(),
            "access_token": tokens.map(Tokens::access_token),
            "refresh_token": tokens.and_then(Tokens::refresh_token),
        })
    });
    Response::new(Full::from(json!(who).to_string()))
}

/// The providers' clock, which nobody here can set, and as much more as the test says.
#[derive(Clone, Default)]
pub(crate) struct Ahead(Arc<AtomicU64>);

impl Ahead {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}
