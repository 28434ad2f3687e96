//! What a person sees where the provider refuses, fails or answers what it must not.

use bytes::Bytes;
use http::Response;
use http::header::{LOCATION, RETRY_AFTER};
use serde_json::json;

use super::{outcome, provider_at, refused, server, sign_in, signed_in};
use crate::app::App;
use crate::support::{Browser, code, text};

const LEAK: &str = "repeated-secret-text";

#[tokio::test]
async fn each_answer_of_the_token_endpoint_has_its_error() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    let error = |code: &str| json!({ "error": code, "error_description": LEAK }).to_string();
    for (name, status, body, expected) in [
        ("invalid_grant", 400, error("invalid_grant"), (502, "exchange_rejected")),
        ("invalid_client", 401, error("invalid_client"), (502, "credentials_rejected")),
        ("unauthorized_client", 400, error("unauthorized_client"), (502, "credentials_rejected")),
        ("an unknown code", 400, error(LEAK), (502, "exchange_rejected")),
        ("an error with status 200", 200, error("bad_verification_code"), (502, "exchange_rejected")),
        ("out of order", 500, error("invalid_grant"), (502, "provider_failed")),
        ("too often", 429, LEAK.to_owned(), (503, "provider_busy")),
        ("busy", 503, LEAK.to_owned(), (503, "provider_busy")),
        ("a page", 200, format!("<html>{LEAK}"), (502, "provider_answer_unreadable")),
        ("a page of 403", 403, format!("<html>{LEAK}"), (502, "provider_answer_unreadable")),
        ("too much", 200, " ".repeat(300 * 1024), (502, "provider_answer_unreadable")),
        ("no token", 200, r#"{"token_type":"Bearer"}"#.to_owned(), (502, "provider_answer_unreadable")),
        ("mac", 200, r#"{"access_token":"at","token_type":"mac"}"#.to_owned(), (502, "provider_answer_unreadable")),
        ("no type", 200, r#"{"access_token":"at"}"#.to_owned(), (502, "provider_answer_unreadable")),
    ] {
        server.answer("/token", status, &body);
        server.forget();
        let mut browser = Browser::new();
        let answer = sign_in(&app, &server, &mut browser, "ada").await;
        assert_eq!((answer.status().as_u16(), code(&answer).as_str()), expected, "{name}");
        assert!(!text(&answer).contains(LEAK), "{name}: {}", text(&answer));
        assert_eq!(server.asked(), ["/token"], "{name}: once, and nobody was asked after");
        assert_eq!(app.says(&mut browser, "/").await, "nobody", "{name}");
    }
    server.mend("/token");
    assert_eq!(outcome(&app, &server, "ada").await, signed_in("1"));
}

#[tokio::test]
async fn each_answer_of_the_user_info_endpoint_has_its_error() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    for (name, status, body, expected) in [
        ("out of order", 500, r#"{"id":1}"#, (502, "provider_failed")),
        ("the token refused", 401, r#"{"id":1}"#, (502, "provider_failed")),
        ("forbidden", 403, r#"{"id":1}"#, (502, "provider_failed")),
        ("not there", 404, r#"{"id":1}"#, (502, "provider_failed")),
        ("too often", 429, r#"{"id":1}"#, (503, "provider_busy")),
        ("busy", 503, r#"{"id":1}"#, (503, "provider_busy")),
        ("a page", 200, "<html>1</html>", (502, "provider_answer_unreadable")),
        ("an array", 200, r#"[{"id":1}]"#, (502, "provider_answer_unreadable")),
        ("a number", 200, "1", (502, "provider_answer_unreadable")),
        ("half of it", 200, r#"{"id":1"#, (502, "provider_answer_unreadable")),
        ("nothing", 200, "", (502, "provider_answer_unreadable")),
        ("nobody", 200, r#"{"login":"ada"}"#, (502, "provider_answer_unreadable")),
    ] {
        server.answer("/me", status, body);
        assert_eq!(outcome(&app, &server, "ada").await, refused(expected.0, expected.1), "{name}");
    }
    server.mend("/me");
    assert_eq!(outcome(&app, &server, "ada").await, signed_in("1"));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    for path in ["/token", "/me"] {
        for status in [302, 307] {
            let answer = Response::builder().status(status).header(LOCATION, format!("{}/elsewhere", server.origin));
            server.answer_with(path, answer.body(Bytes::new()).unwrap());
            let expected = refused(502, "provider_answer_unreadable");
            assert_eq!(outcome(&app, &server, "ada").await, expected, "{path} {status}");
        }
        server.mend(path);
    }
    assert!(!server.asked().contains(&"/elsewhere".to_owned()), "{:?}", server.asked());
}

#[tokio::test]
async fn how_long_to_wait_is_passed_on() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    for path in ["/token", "/me"] {
        let answer = Response::builder().status(503).header(RETRY_AFTER, "7").body(Bytes::new()).unwrap();
        server.answer_with(path, answer);
        let answer = sign_in(&app, &server, &mut Browser::new(), "ada").await;
        assert_eq!((answer.status().as_u16(), &answer.headers()[RETRY_AFTER]), (503, &"7".parse().unwrap()), "{path}");
        server.mend(path);
    }
}
