//! Vectors 13 to 24: answers that sign nobody in, as they are on the wire. Each is one request, never repeated.

use http::header::RETRY_AFTER;
use tower_signin::ErrorKind::{
    self, CredentialsRejected, ExchangeRejected, ProviderAnswer, ProviderBusy, ProviderFailed, ProviderTimeout,
    ProviderUnreachable,
};
use tower_signin::HttpErrorKind;

use crate::site::{CODE, SECRET, Site, set_cookies};
use crate::support::{Browser, text};

#[tokio::test]
async fn v13_unknown_or_reused_code() {
    let in_2024 = r#"{"errorMessage":"Error in mustGetFromDB(): Could not find doc w/ id 5f6d00 in auth-codes"}"#;
    refused(500, in_2024, 502, ExchangeRejected).await;
    refused(400, r#"{"errorMessage":"Invalid code."}"#, 502, ExchangeRejected).await;
    refused(401, r#"{"errorMessage":"Invalid code."}"#, 502, ExchangeRejected).await;
}

#[tokio::test]
async fn v14_code_expired() {
    refused(500, r#"{"errorMessage":"Expired."}"#, 502, ExchangeRejected).await;
}

#[tokio::test]
async fn v15_code_too_old() {
    let body = r#"{"errorMessage":"Not recent enough. Issued at time is too old: 2026-09-05T23:40:00.000Z"}"#;
    refused(500, body, 502, ExchangeRejected).await;
}

#[tokio::test]
async fn v16_wrong_client_secret() {
    refused(500, r#"{"errorMessage":"Invalid client secret."}"#, 502, CredentialsRejected).await;
}

#[tokio::test]
async fn v17_wrong_redirect_uri() {
    refused(500, r#"{"errorMessage":"Invalid redirect URI."}"#, 502, ExchangeRejected).await;
}

#[tokio::test]
async fn v18_unknown_client() {
    let in_2024 = r#"{"errorMessage":"Error in mustGetFromDB(): Could not find doc w/ id nope in auth-apps"}"#;
    refused(500, in_2024, 502, ExchangeRejected).await;
    refused(400, r#"{"errorMessage":"Invalid client ID or redirect URI."}"#, 502, ExchangeRejected).await;
}

/// The dump repeats what was sent, and none of it may reach the person.
#[tokio::test]
async fn v19_type_check_with_a_dump() {
    let body = r#"{"errorMessage":"Invalid request payload. [{\"path\":\"$input.code\",\"expected\":\"(string | undefined)\",\"value\":7}]"}"#;
    refused(400, body, 502, ExchangeRejected).await;
    let with_secrets = format!(r#"{{"errorMessage":"Invalid request payload. {SECRET} {CODE} <script>"}}"#);
    let site = Site::new();
    site.upstream.answer(400, with_secrets);
    let page = text(&assert_no_sign_in("dump", &site, 502, ExchangeRejected).await).to_owned();
    for part in [SECRET, CODE, "<script", "payload"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[tokio::test]
async fn v20_no_api_key() {
    let body = r#"{"errorMessage":"Unauthorized request. This route is only accessible with an API key. To get an API key, visit https://bitbadges.io/developer and go to API Keys."}"#;
    refused(401, body, 502, CredentialsRejected).await;
}

#[tokio::test]
async fn v21_bad_api_key() {
    let body = r#"{"errorMessage":"Unauthorized request. Error validating API key."}"#;
    refused(401, body, 502, CredentialsRejected).await;
}

#[tokio::test]
async fn v22_no_credits() {
    let body = r#"{"error":"Insufficient credits","errorMessage":"Insufficient API credits. Top up at /developer?tab=apiKeys.","topUpUrl":"/developer?tab=apiKeys","onChainTotal":100,"used":100,"remaining":0,"decimals":6}"#;
    busy(402, body, None, "30").await;
}

#[tokio::test]
async fn v23_rate_limit() {
    let body = r#"{"errorMessage":"Exceeded rate limit. Too many requests."}"#;
    busy(429, body, None, "30").await;
    for (sent, given) in
        [("7", "7"), ("0", "1"), ("999999", "600"), ("Wed, 21 Oct 2026 07:28:00 GMT", "30"), ("-1", "30")]
    {
        busy(429, body, Some(sent), given).await;
    }
}

#[tokio::test]
async fn v24_every_other_answer() {
    let cases: &[(&str, u16, &str, ErrorKind)] = &[
        ("500 with no text", 500, r#"{"errorMessage":""}"#, ProviderFailed),
        ("500 with nothing", 500, "", ProviderFailed),
        ("500 with an object for a text", 500, r#"{"errorMessage":{}}"#, ProviderFailed),
        ("502 with HTML", 502, "<html>Bad gateway</html>", ProviderFailed),
        ("503", 503, "", ProviderFailed),
        ("404", 404, r#"{"errorMessage":"Not found."}"#, ExchangeRejected),
        ("403", 403, "<html>Blocked</html>", ExchangeRejected),
        ("401 with HTML", 401, "<html>", CredentialsRejected),
        ("200 with HTML", 200, "<!doctype html><html>", ProviderAnswer),
        ("200 with truncated JSON", 200, r#"{"address":"0x092bb4851ae268505882"#, ProviderAnswer),
        ("200 with an error", 200, r#"{"errorMessage":"Expired."}"#, ErrorKind::NotVerified),
        ("204", 204, "", ProviderAnswer),
        ("302", 302, "", ProviderAnswer),
        ("307", 307, "", ProviderAnswer),
    ];
    for (name, answered, body, kind) in cases {
        let site = Site::new();
        site.upstream.answer(*answered, body.as_bytes().to_vec());
        let status = if *kind == ErrorKind::NotVerified { 403 } else { 502 };
        assert_no_sign_in(name, &site, status, *kind).await;
    }
    let failures = [
        (HttpErrorKind::Unreachable, 502, ProviderUnreachable),
        (HttpErrorKind::Insecure, 502, ProviderUnreachable),
        (HttpErrorKind::Timeout, 504, ProviderTimeout),
        (HttpErrorKind::Interrupted, 502, ProviderAnswer),
        (HttpErrorKind::TooLarge, 502, ProviderAnswer),
    ];
    for (failure, status, kind) in failures {
        let site = Site::new();
        site.upstream.fail(failure);
        assert_no_sign_in(&format!("{failure:?}"), &site, status, kind).await;
    }
}

async fn refused(answered: u16, body: &str, status: u16, kind: ErrorKind) {
    let site = Site::new();
    site.upstream.answer(answered, body.to_owned());
    assert_no_sign_in(body, &site, status, kind).await;
}

async fn busy(answered: u16, body: &'static str, retry_after: Option<&'static str>, given: &str) {
    let site = Site::new();
    site.upstream.answer_by(move |_| {
        let response = http::Response::builder().status(answered);
        let response = retry_after.into_iter().fold(response, |response, value| response.header(RETRY_AFTER, value));
        Ok(response.body(body.into()).unwrap())
    });
    let response = assert_no_sign_in(body, &site, 503, ProviderBusy).await;
    assert_eq!(response.headers()[RETRY_AFTER], given, "{retry_after:?}");
}

/// Runs a sign-in to its end against the answer that `site` was given. Nobody is signed in, the flow is spent, and the
/// provider was asked once, however often the browser asks.
pub(crate) async fn assert_no_sign_in(
    name: &str,
    site: &Site,
    status: u16,
    kind: ErrorKind,
) -> http::Response<bytes::Bytes> {
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    let before = browser.clone();
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    let found = (response.status().as_u16(), response.extensions().get::<ErrorKind>().copied());
    assert_eq!(found, (status, Some(kind)), "{name}");
    assert_eq!(set_cookies(&response), [started.flow_deleted()], "{name}");
    assert!(browser.jar.is_empty(), "{name}");

    for mut browser in [before, browser] {
        let again = site.get(&mut browser, &started.callback(CODE)).await;
        assert!(again.status().as_u16() >= 400, "{name}: {} on a reload", again.status());
    }
    assert_eq!((site.upstream.requests().len(), site.inner_calls()), (1, 0), "{name}");
    response
}
