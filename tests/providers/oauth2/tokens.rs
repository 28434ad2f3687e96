//! Tokens that are kept: how long they live, and that they are refreshed and revoked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{provider_at, provider_without_revocation, server, sign_in};
use crate::app::App;
use crate::log::Log;
use crate::server::{Server, form};
use crate::support::Browser;

/// A browser in which ada is signed in, of an app that keeps tokens; what that took is not counted.
async fn signed_in(server: &Server) -> (App, Browser) {
    let app = App::start_with(provider_at(server), |builder| builder.keep_tokens()).await;
    let mut browser = Browser::new();
    assert_eq!(sign_in(&app, server, &mut browser, "ada").await.status(), 303);
    server.forget();
    (app, browser)
}

#[tokio::test]
async fn operators_hear_of_tokens_that_were_not_revoked_unless_nothing_was_to_be_asked() {
    const LINE: &str = "tokens could not be revoked";
    for (name, has_endpoint, is_told) in [("no endpoint", false, false), ("one that fails", true, true)] {
        let server = server().await;
        let provider = if has_endpoint { provider_at(&server) } else { provider_without_revocation(&server) };
        let app = App::start_with(provider, |builder| builder.keep_tokens()).await;
        let mut browser = Browser::new();
        sign_in(&app, &server, &mut browser, "ada").await;
        server.answer("/revoke", 500, "");
        server.forget();
        Log::start();
        assert_eq!(browser.post(&app.url("/auth/logout"), "").await.status(), 303, "{name}");
        let told = async {
            while !Log::text().contains(LINE) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Where nobody is asked nothing has to be waited for, but this may as well be seen not to come.
        let patience = Duration::from_millis(if is_told { 10_000 } else { 100 });
        assert_eq!(tokio::time::timeout(patience, told).await.is_ok(), is_told, "{name}: {}", Log::text());
    }
}

#[tokio::test]
async fn the_type_of_a_token_has_no_case() {
    for kind in ["Bearer", "bearer", "BEARER"] {
        let server = server().await;
        server.give(json!({ "token_type": kind }));
        let (app, mut browser) = signed_in(&server).await;
        assert_eq!(app.says(&mut browser, "/").await, "1", "{kind}");
    }
}

#[tokio::test]
async fn a_lifetime_that_says_nothing_leaves_the_end_open() {
    for (expires_in, left) in [
        (json!(60), Some(60)),
        (json!("60"), Some(60)),
        (json!(60.0), Some(60)),
        (Value::Null, None),
        (json!(0), None),
        (json!(-1), None),
        (json!("soon"), None),
        (json!({}), None),
        (json!(u64::MAX), None),
        (json!(1e300), None),
    ] {
        let server = server().await;
        server.give(json!({ "expires_in": expires_in }));
        let (app, mut browser) = signed_in(&server).await;
        assert_eq!(app.says(&mut browser, "/tokens").await, format!("at-2 {left:?}"), "{expires_in}");
    }
}

#[tokio::test]
async fn h129_the_scope_that_was_granted_is_the_applications_to_see() {
    for (name, scope, expected) in [
        ("less than was asked for", json!("read"), r#"Some("read")"#),
        ("none at all", json!(""), r#"Some("")"#),
        ("a list", json!(["read", "write"]), r#"Some("read write")"#),
        ("as asked for", Value::Null, "None"),
    ] {
        let server = server().await;
        server.give(json!({ "scope": scope }));
        let (app, mut browser) = signed_in(&server).await;
        assert_eq!(app.says(&mut browser, "/scope").await, expected, "{name}");
        // A refresh that says nothing of it leaves it as it was.
        server.give(json!({}));
        app.clock.advance(Duration::from_secs(3600 - 60));
        assert_eq!(app.says(&mut browser, "/scope").await, expected, "{name}");
        assert_eq!(server.asked(), ["/token"], "{name}");
    }
}

#[tokio::test]
async fn a_new_refresh_token_replaces_the_old_one_and_none_keeps_it() {
    for (members, second) in [(json!({}), "rt-3"), (json!({ "refresh_token": null }), "rt-2")] {
        let server = server().await;
        let (app, mut browser) = signed_in(&server).await;
        server.give(members);
        for (number, access_token, refresh_token) in [(1_u64, "at-3", "rt-2"), (2, "at-4", second)] {
            app.clock.advance(Duration::from_secs(3600 - 60));
            let says = app.says(&mut browser, "/tokens").await;
            assert_eq!(says, format!("{access_token} Some({})", number * 3540 + 3600));
            let request = server.requests().pop().unwrap();
            let sent = form(&request);
            assert_eq!((request.uri().path(), &sent["grant_type"][..]), ("/token", "refresh_token"));
            assert_eq!((sent["refresh_token"].as_str(), sent.len()), (refresh_token, 2));
        }
        assert_eq!(server.asked(), ["/token", "/token"]);
    }
}

#[tokio::test]
async fn c43_a_refused_refresh_ends_the_session_and_an_outage_does_not() {
    for (name, status, body, is_over) in [
        ("invalid_grant", 400, r#"{"error":"invalid_grant"}"#, true),
        ("invalid_grant as 200", 200, r#"{"error":"invalid_grant"}"#, true),
        ("invalid_grant as 500", 500, r#"{"error":"invalid_grant"}"#, false),
        ("invalid_client", 401, r#"{"error":"invalid_client"}"#, false),
        ("invalid_request", 400, r#"{"error":"invalid_request"}"#, false),
        ("invalid_scope", 400, r#"{"error":"invalid_scope"}"#, false),
        ("another code", 400, r#"{"error":"invalid_refresh_token"}"#, false),
        ("no code", 400, "{}", false),
        ("a page", 400, "<html>", false),
        ("busy", 503, "", false),
        ("too often", 429, "", false),
        ("another type", 200, r#"{"access_token":"at","token_type":"mac"}"#, false),
    ] {
        let server = server().await;
        let (app, mut browser) = signed_in(&server).await;
        server.answer("/token", status, body);
        app.clock.advance(Duration::from_secs(3600 - 60));
        let expected = if is_over { "nobody" } else { "1" };
        assert_eq!(app.says(&mut browser, "/").await, expected, "{name}");
        assert_eq!(server.asked(), ["/token"], "{name}");
    }
}

#[tokio::test]
async fn who_signs_out_has_both_tokens_revoked() {
    for (name, members, sent) in [
        ("both", json!({}), vec![("rt-2", "refresh_token"), ("at-2", "access_token")]),
        ("one", json!({ "refresh_token": null }), vec![("at-2", "access_token")]),
    ] {
        let server = server().await;
        server.give(members);
        let (app, mut browser) = signed_in(&server).await;
        assert_eq!(browser.post(&app.url("/auth/logout"), "").await.status(), 303);
        server.has_seen(sent.len()).await;
        assert!(server.asked().iter().all(|path| path == "/revoke"), "{name}");
        let forms: Vec<_> = server.requests().iter().map(form).collect();
        let found: Vec<_> =
            forms.iter().map(|form| (form["token"].as_str(), form["token_type_hint"].as_str())).collect();
        assert_eq!(found, sent, "{name}");
    }
}
