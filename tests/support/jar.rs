//! A browser's cookies, its navigations, and how to read what it gets.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION, SET_COOKIE};
use http::{Method, Request, Response};

/// Keeps cookies by name (every server of a test is `localhost`, and cookies ignore ports), follows no redirect, and
/// sends the fetch metadata of a navigation by hand.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub jar: BTreeMap<String, String>,
}

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cookie_header(&self) -> Option<String> {
        let pairs: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub fn keep(&mut self, response: &Response<Bytes>) {
        for header in response.headers().get_all(SET_COOKIE) {
            let header = header.to_str().unwrap();
            let (name, rest) = header.split_once('=').unwrap();
            if header.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
            }
        }
    }
}

/// A request as a top-level navigation from `site` makes it.
pub fn navigation(method: Method, url: &str, site: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(url)
        .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("sec-fetch-site", site)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

pub fn location(response: &Response<Bytes>) -> String {
    response.headers().get(LOCATION).expect("a Location").to_str().unwrap().to_owned()
}

pub fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// The `code` of a problem, or of a page's last line.
pub fn code(response: &Response<Bytes>) -> String {
    let body = text(response);
    if let Ok(problem) = serde_json::from_str::<serde_json::Value>(body) {
        return problem["code"].as_str().unwrap_or_default().to_owned();
    }
    let start = body.find("<p class=\"code\">").map_or(body.len(), |at| at + "<p class=\"code\">".len());
    body[start..].split('<').next().unwrap_or_default().to_owned()
}
