//! Answers of a provider that is hostile or broken: nobody is signed in by what can't be trusted, and what people are
//! called reaches pages as text.

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use tower_signin::{AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, Provider, ValidatedCode};

use crate::site::{BOB_ANSWER, CALLBACK, Site, set_cookies};
use crate::support::{Browser, code, text};

#[tokio::test]
async fn hostile_answers() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep_object = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let long = "x".repeat(100_000);
    const CAROL: &str = "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d";
    #[rustfmt::skip]
    let fields: &[(&str, &str, String, u16)] = &[
        ("deep arrays in an unknown field", "zzz", deep(100_000), 303),
        ("deep objects in an unknown field", "zzz", deep_object(40_000), 303),
        ("deep arrays in an expiry", "access_token_expires_at", deep(100_000), 502),
        ("deep verification", "verificationResponse", deep(100_000), 502),
        ("success twice", "verificationResponse", r#"{"success":true,"success":true}"#.into(), 502),
        ("success false, then true", "verificationResponse", r#"{"success":false,"success":true}"#.into(), 502),
        ("success as text", "verificationResponse", r#"{"success":"true"}"#.into(), 502),
        ("success as a number", "verificationResponse", r#"{"success":1}"#.into(), 502),
        ("success null", "verificationResponse", r#"{"success":null}"#.into(), 502),
        ("success in another case", "verificationResponse", r#"{"Success":true}"#.into(), 502),
        ("verification true", "verificationResponse", "true".into(), 502),
        ("verification an array", "verificationResponse", "[true]".into(), 502),
        ("verification empty", "verificationResponse", "{}".into(), 502),
        ("verification null", "verificationResponse", "null".into(), 403),
        ("expiry 1e400", "access_token_expires_at", "1e400".into(), 502),
        ("expiry NaN", "access_token_expires_at", "NaN".into(), 502),
        ("expiry -1", "access_token_expires_at", "-1".into(), 303),
        ("expiry true", "access_token_expires_at", "true".into(), 303),
        ("expiry 2^64", "access_token_expires_at", "18446744073709551616".into(), 303),
        ("expiry of many digits", "access_token_expires_at", "9".repeat(100_000), 502),
        ("expiry 2^64 - 1", "access_token_expires_at", "18446744073709551615".into(), 303),
        ("expiry 2^64 - 1 as text", "access_token_expires_at", "\"18446744073709551615\"".into(), 303),
        ("expiry null", "access_token_expires_at", "null".into(), 303),
        ("a lone surrogate", "chain", r#""\ud800""#.into(), 502),
        ("NUL in the chain", "chain", r#""\u0000""#.into(), 303),
        ("a chain of 3 KB", "chain", format!("\"{}\"", "x".repeat(3_000)), 500),
        ("a chain of 100 KB", "chain", format!("\"{long}\""), 500),
        ("an address of 100 KB", "address", format!("\"{long}\""), 502),
        ("an address that is markup", "address", "\"<script>alert(1)</script>\"".into(), 502),
        ("somebody else's address after 0X", "address", "\"0X0bc63cfe31d5218eb414b142c799e20964a54a1a\"".into(), 502),
        ("somebody else's address after a space", "address", "\" 0x0bc63cfe31d5218eb414b142c799e20964a54a1a\"".into(), 502),
        ("somebody else's address after BB1", "address", format!("\"{}\"", CAROL.to_uppercase()), 502),
        ("an address of neither form", "address", "\"cosmos1xyz\"".into(), 502),
        ("a subject of 100 KB", "bitbadgesAddress", format!("\"bb1{long}\""), 502),
        ("a subject that is markup", "bitbadgesAddress", "\"<b>\"".into(), 502),
        ("a subject null", "bitbadgesAddress", "null".into(), 502),
        ("a subject that is a number", "bitbadgesAddress", "1".into(), 502),
        ("an empty token", "access_token", "\"\"".into(), 502),
        ("another token type", "token_type", "\"mac\"".into(), 502),
    ];
    for (name, field, value, status) in fields {
        ends(name, 200, with(field, value).into(), *status).await;
    }
    let first = |extra: &str| BOB_ANSWER.replacen('{', &format!("{{{extra},"), 1).into_bytes();
    let bodies: &[(&str, u16, Vec<u8>, u16)] = &[
        ("good", 200, BOB_ANSWER.into(), 303),
        ("the subject twice", 200, first(&format!(r#""bitbadgesAddress":"{CAROL}""#)), 502),
        ("the subject twice, once escaped", 200, first(&format!(r#""bitbadges\u0041ddress":"{CAROL}""#)), 502),
        ("the verification twice", 200, first(r#""verificationResponse":{"success":true}"#), 502),
        ("not UTF-8", 200, [b"{\"address\":\"\xff\xfe\",", &BOB_ANSWER.as_bytes()[1..]].concat(), 502),
        ("a byte order mark", 200, format!("\u{feff}{BOB_ANSWER}").into(), 502),
        ("two documents", 200, format!("{BOB_ANSWER}{BOB_ANSWER}").into(), 502),
        ("arrays all the way", 200, deep(120_000).into(), 502),
        ("null", 200, "null".into(), 502),
        ("an array", 200, "[]".into(), 502),
        ("an empty object", 200, "{}".into(), 403),
        ("a good body that says 401", 401, BOB_ANSWER.into(), 403),
        ("a good body that says 500", 500, BOB_ANSWER.into(), 502),
    ];
    for (name, answered, body, status) in bodies {
        ends(name, *answered, body.clone().into(), *status).await;
    }
}

#[tokio::test]
async fn markup_stays_text() {
    let site = Site::of(Markup, CALLBACK, |builder| builder);
    for subject in ["html", "crlf"] {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let answer = site.get(&mut browser, &started.callback(subject)).await;
        assert_eq!(answer.status(), 303, "{subject}");
        let unknown = site.start(&mut Browser::new(), "/").await;
        let page = site.get(&mut browser, &unknown.callback("%3Cscript%3E")).await;
        assert_eq!(page.status(), 400, "{subject}");
        assert!(page.headers().contains_key("content-security-policy"), "{subject}");
        let body = text(&page);
        assert!(body.contains("You are signed in as") && !body.contains("<script"), "{subject}: {body}");
        assert!(!body.contains(['\r', '\n', '\0', '\u{202e}']), "{subject}: {body:?}");
    }
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let answer = site.get(&mut browser, &started.callback("long")).await;
    assert_eq!(answer.extensions().get(), Some(&ErrorKind::SessionTooLarge));
}

/// Runs a sign-in to its end against this answer.
async fn ends(name: &str, answered: u16, body: Bytes, status: u16) {
    let site = Site::new();
    site.upstream.answer(answered, body);
    let mut browser = Browser::new();
    let response = site.complete(&mut browser, "/").await;
    assert_eq!(response.status(), status, "{name}: {}", code(&response));
    assert_eq!(signs_in(&response), status == 303, "{name}");
    assert_eq!(status == 500, code(&response) == "session_too_large", "{name}");
    assert!(!text(&response).contains("<script"), "{name}");
    assert_eq!(site.upstream.requests().len(), 1, "{name}");
}

fn signs_in(response: &Response<Bytes>) -> bool {
    set_cookies(response).iter().any(|cookie| cookie.starts_with("__Host-signin=") && !cookie.contains("Max-Age=0"))
}

/// The good answer with the field set to any text.
fn with(field: &str, value: &str) -> String {
    let mut answer: serde_json::Map<String, Value> = serde_json::from_str(BOB_ANSWER).unwrap();
    answer.remove(field);
    let answer = serde_json::to_string(&answer).unwrap();
    format!("{},\"{field}\":{value}}}", answer.strip_suffix('}').unwrap())
}

/// Calls people what no page should show as it stands.
struct Markup;

impl Provider for Markup {
    fn issuer(&self) -> &str {
        "https://issuer.example"
    }

    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("https://issuer.example/authorize?state={}", request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        let subject = match code.code() {
            "long" => "x".repeat(100_000),
            "crlf" => "a\r\nSet-Cookie: a=b\0\u{202e}".to_owned(),
            _ => "<script>alert(1)</script>\"'&".to_owned(),
        };
        Box::pin(async move { Grant::new(subject, &"<script>") })
    }
}
