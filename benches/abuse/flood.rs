//! Many of what is cheap to ask.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Method, Request};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::report::Fault;
use crate::support::{Browser, location};
use crate::visitor::{Http, Visitor};
use crate::world::World;

const AT_ONCE: usize = 64;

/// Logins that nobody finishes: by new browsers, by one that has flows already, and by scripts.
pub(crate) async fn logins(world: Arc<World>, http: Http, number: usize) {
    let mut visitor = Visitor::new(world.address, http, &Browser::new());
    let authorize = format!("{}/siwbb/authorize?", world.dev().origin());
    let long = format!("/auth/login?return_to=%2F{}", "x".repeat(6_000));
    for turn in number.. {
        if !world.goes_on() {
            return;
        }
        let (what, path, site, due) = match turn % 8 {
            0 => ("from another site", "/auth/login?return_to=%2Fx", "cross-site", 303),
            1 => ("to another site", "/auth/login?return_to=https%3A%2F%2Fevil.example", "same-origin", 303),
            2 => ("with a long target", long.as_str(), "same-origin", 303),
            3 => ("posted", "/auth/login", "same-origin", 405),
            _ => ("from the site", "/auth/login?return_to=%2Fguarded", "same-origin", 303),
        };
        // Where it has come often in a minute the layer shows a page that ends a loop; a new browser has not.
        visitor.browser.jar.retain(|name, _| turn % 8 == 1 && !name.ends_with("-rounds"));
        let method = if what == "posted" { Method::POST } else { Method::GET };
        let answer = visitor.ask(method, path, site).await;
        if !world.report.expect("login", what, answer.as_ref(), &[due]) {
            continue;
        }
        if let Some(answer) = answer.filter(|answer| answer.status() == 303) {
            let place = location(&answer);
            if !place.starts_with(&authorize) || place.contains("evil.example") {
                world.report.fault(Fault::OtherAnswer, format!("login, {what}: leads to another place"));
            }
        }
    }
}

/// As many logins as the site can take: all in one write, over and over.
pub(crate) async fn pipelined_logins(world: Arc<World>) {
    let once = "GET /auth/login?return_to=%2Fguarded HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate\r\n\r\n";
    let (requests, mut answers) = (once.repeat(AT_ONCE), Vec::new());
    while world.goes_on() {
        let Ok(mut stream) = TcpStream::connect(world.address).await else { continue };
        while world.goes_on() {
            answers.clear();
            if stream.write_all(requests.as_bytes()).await.is_err() {
                break;
            }
            while seen(&answers, b"\r\n\r\n") < AT_ONCE {
                if !matches!(stream.read_buf(&mut answers).await, Ok(1..)) {
                    break;
                }
            }
            let redirected = seen(&answers, b"HTTP/1.1 303 ");
            world.report.count_many("login, pipelined", 303, redirected);
            if redirected < AT_ONCE {
                world
                    .report
                    .fault(Fault::OtherAnswer, format!("login, pipelined: {redirected} of {AT_ONCE} redirects"));
                break;
            }
        }
    }
}

fn seen(bytes: &[u8], what: &[u8]) -> usize {
    memchr::memmem::find_iter(bytes, what).count()
}

/// Nobody is signed out by another site, by a link, or by a script that can't say where it comes from.
pub(crate) async fn logouts(world: Arc<World>, http: Http, number: usize) {
    let person = world.victim(number);
    let mut visitor = Visitor::new(world.address, http, &person.browser);
    let cases: [(&str, Method, &[(&str, &str)], u16); 6] = [
        ("from another site", Method::POST, &[("sec-fetch-site", "cross-site")], 403),
        ("from a sibling", Method::POST, &[("sec-fetch-site", "same-site")], 403),
        ("by a link", Method::GET, &[("sec-fetch-site", "cross-site")], 405),
        ("by a link of the site", Method::GET, &[("sec-fetch-site", "same-origin")], 405),
        ("with another origin", Method::POST, &[("origin", "https://evil.example")], 403),
        ("with an origin of null", Method::POST, &[("origin", "null"), ("accept", "application/json")], 403),
    ];
    for (what, method, headers, due) in cases.iter().cycle() {
        if !world.goes_on() {
            return;
        }
        let mut request = Request::builder().method(method).uri("/auth/logout");
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let request = request.header(COOKIE, visitor.browser.cookie_header().unwrap());
        let answer = visitor.send(request.body(Bytes::new()).unwrap()).await;
        world.report.expect("logout, forged", what, answer.as_ref(), &[*due]);
        if answer.is_some_and(|answer| answer.headers().contains_key(SET_COOKIE)) {
            world.report.fault(Fault::OtherAnswer, format!("logout, {what}: sets a cookie"));
        }
        let answer = visitor.ask(Method::GET, "/guarded", "same-origin").await;
        world.is_themselves("after a forged logout", &person.account, answer.as_ref());
    }
}
