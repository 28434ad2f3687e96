//! No file descriptor is free, or no file can be written.

use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::place::{LIFE, in_one_thread, sees, signs_in};
use crate::process::{self, KEYS, Town};
use crate::support::{Browser, navigation};
use crate::table::Seen;

const GIVEN: &[(&str, &str)] = &[(KEYS, "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k")];

#[test]
fn what_the_system_does_not_give() {
    if process::is_asked_for() {
        return process::run();
    }
    in_one_thread(async {
        let mut seen = Seen::of("Limits of the system");
        disk(&mut seen).await;
        descriptors(&mut seen).await;
        seen.check();
    });
}

async fn descriptors(seen: &mut Seen) {
    let name = "no file descriptor is free";
    let town = Town::start("limits::what_the_system_does_not_give").await;
    let site = town.site("ulimit -n 64", GIVEN).await;
    let mut signed_in = Browser::new();
    assert_eq!(signs_in(&mut signed_in, &town.origin).await, "signed in");
    let mut leaving = Browser::new();
    assert_eq!(signs_in(&mut leaving, &town.origin).await, "signed in");
    let mut browser = Browser::new();
    let authorization_url = browser.start(&town.origin, "/target").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    // A server without descriptors takes no connection, so this one is there before.
    let mut line = Line::to(&town).await;
    town.wire.forget();

    assert!(sees(&line.get(&mut Browser::new(), "/test/exhaust").await).contains("Too many open files"));
    let before = signed_in.jar.clone();
    let page = sees(&line.get(&mut signed_in, "/guarded").await);
    let login = line.get(&mut Browser::new(), "/auth/login").await;
    assert_eq!(login.status(), 303, "login needs none");
    let path = callback.strip_prefix(&town.origin).unwrap();
    let failed = sees(&line.get(&mut browser, path).await);
    assert!(browser.jar.is_empty(), "{:?}", browser.jar.keys());
    assert_eq!(sees(&line.get(&mut browser, "/").await), "nobody");
    // A refresh is due, then the pair is past its end.
    line.get(&mut Browser::new(), &format!("/test/ahead/{}", LIFE - 60)).await;
    let due = sees(&line.get(&mut signed_in, "/guarded").await);
    line.get(&mut Browser::new(), &format!("/test/ahead/{LIFE}")).await;
    let past = sees(&line.get(&mut signed_in, "/guarded").await);
    assert_eq!(signed_in.jar, before);
    assert!(town.wire.requests().is_empty(), "nothing was sent");
    // Signing out needs none, and what it can't tell the provider is logged.
    let request = navigation(Method::POST, "/auth/logout", "same-origin");
    let left = sees(&line.send(&mut leaving, request).await);
    assert!(leaving.jar.is_empty());

    line.get(&mut Browser::new(), "/test/free").await;
    seen.row(name, "exchange", failed, signs_in(&mut browser, &town.origin).await);
    // The pause after a failure.
    line.get(&mut Browser::new(), &format!("/test/ahead/{}", LIFE + 60)).await;
    let again = sees(&line.get(&mut signed_in, "/guarded").await);
    seen.row(name, "refresh", format!("{due}; then {past}"), again);
    seen.row(name, "a page, nothing due", page, sees(&line.get(&mut signed_in, "/guarded").await));
    seen.row(name, "sign-out", left, signs_in(&mut leaving, &town.origin).await);
    site.kill().await;
}

async fn disk(seen: &mut Seen) {
    let town = Town::start("limits::what_the_system_does_not_give").await;
    let site = town.site("ulimit -f 0; trap '' XFSZ", GIVEN).await;
    assert_eq!(town.tell("/test/write").await, "File too large (os error 27)");
    let mut browser = Browser::new();
    let first = signs_in(&mut browser, &town.origin).await;
    town.tell(&format!("/test/ahead/{}", LIFE - 60)).await;
    let refreshed = sees(&browser.get(&town.url("/guarded")).await);
    let left = sees(&browser.post(&town.url("/auth/logout"), "").await);
    let next = signs_in(&mut browser, &town.origin).await;
    seen.row("no file can be written", "sign-in, refresh, sign-out", format!("{first}; {refreshed}; {left}"), next);
    site.kill().await;
}

/// One connection, for every request.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Line {
    async fn to(town: &Town) -> Self {
        let host = town.origin.strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(host.replace("localhost", "127.0.0.1")).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut line = Self { sender, host };
        // Now the server has taken it.
        line.get(&mut Browser::new(), "/").await;
        line
    }

    async fn get(&mut self, browser: &mut Browser, path: &str) -> Response<Bytes> {
        self.send(browser, navigation(Method::GET, path, "none")).await
    }

    async fn send(&mut self, browser: &mut Browser, request: http::request::Builder) -> Response<Bytes> {
        let mut request = request.header(HOST, &self.host).body(Full::default()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        }
        self.sender.ready().await.unwrap();
        let (parts, body) = self.sender.send_request(request).await.unwrap().into_parts();
        let response = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
        browser.keep(&response);
        response
    }
}
