//! An axum app with a secret, on a socket: guarded at a route, at a nested router, and as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::site::{Site, siwbb};
use crate::support::{address_of, raw};

pub(crate) const SECRET: &str = "what is told to nobody else";

/// Dropping it stops it.
pub(crate) struct Guarded {
    pub(crate) site: Site,
    /// Of somebody who is signed in.
    pub(crate) cookie: String,
    pub(crate) origin: String,
    told: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Guarded {
    pub(crate) async fn serve() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let site = Site::of(siwbb(), &format!("{origin}/api/callback"), |builder| builder);
        let told = Arc::new(AtomicUsize::new(0));
        let secret = || {
            let told = Arc::clone(&told);
            any(move || {
                told.fetch_add(1, Ordering::SeqCst);
                async { SECRET }
            })
        };
        let guard = || site.sign_in.require();
        let whole = Router::new().route("/", secret()).route("/{*rest}", secret()).layer(guard());
        let app = Router::new()
            .route("/public", any(async || "public"))
            .route("/private", secret().layer(guard()))
            .nest("/area", Router::new().route("/private", secret()).layer(guard()))
            .nest_service("/whole", whole)
            .fallback(async || (http::StatusCode::NOT_FOUND, "not here"))
            .layer(site.sign_in.layer());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let cookie = site.signed_in().await.cookie_header().unwrap();
        Self { site, cookie, origin, told, server }
    }

    /// Sends a request line and headers; gives what comes back.
    pub(crate) async fn ask(&self, line: &str, headers: &str) -> String {
        let host = self.origin.trim_start_matches("http://");
        self.bytes(&format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")).await
    }

    pub(crate) async fn bytes(&self, request: &str) -> String {
        raw(address_of(&self.origin), request).await
    }

    /// Nobody is told the secret, nobody is signed in, and the provider hears nothing of it.
    pub(crate) async fn keeps_it(&self, line: &str, headers: &str) -> String {
        let before = self.told.load(Ordering::SeqCst);
        let answer = self.ask(line, headers).await;
        assert!(answer.starts_with("HTTP/1."), "{line} {headers:?}: no answer");
        assert!(
            !answer.starts_with("HTTP/1.1 5") || answer.starts_with("HTTP/1.1 503"),
            "{line} {headers:?}: {answer}"
        );
        assert!(!answer.contains(SECRET), "{line} {headers:?}: {answer}");
        assert_eq!(self.told.load(Ordering::SeqCst), before, "{line} {headers:?}: the handler ran");
        let lower = answer.to_ascii_lowercase();
        assert!(!lower.contains("\nset-cookie:"), "{line} {headers:?}: {answer}");
        assert!(self.site.upstream.requests().is_empty(), "{line} {headers:?}: the provider was asked");
        answer
    }

    /// Who is signed in is told, by the same request.
    pub(crate) async fn tells(&self, line: &str, headers: &str) {
        let answer = self.ask(line, &format!("Cookie: {}\r\n{headers}", self.cookie)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(SECRET), "{line} {headers:?}: {answer}");
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.server.abort();
    }
}
