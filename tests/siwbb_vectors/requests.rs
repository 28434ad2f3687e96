//! Vectors 1 to 5: what goes to BitBadges.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::siwbb::scope;
use tower_signin::{AuthorizationRequest, Provider as _, Siwbb};

use crate::site::{BOB, CALLBACK, CODE, ID, KEY, SECRET, Site, deleted, parameter, set_cookies, siwbb};
use crate::support::{App, Browser, alice, location, text};

const STATE: &str = "f3a9c2e1b7d4a6c8";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::test]
async fn v01_login_redirect() {
    let site = Site::new();
    let response = site.get(&mut Browser::new(), "/api/login").await;
    let url = location(&response);
    assert_eq!(response.status(), 303);
    let (state, challenge) = (parameter(&url, "state"), parameter(&url, "code_challenge"));
    let expected = format!(
        "https://bitbadges.io/siwbb/authorize?client_id=app_demo_01\
         &redirect_uri=https%3A%2F%2Fexample.com%2Fapi%2Fcallback&state={state}\
         &response_type=code&code_challenge={challenge}&code_challenge_method=S256"
    );
    assert_eq!(url, expected);
    assert_eq!((state.len(), challenge.len()), (69, 43));
    assert_ne!(parameter(&location(&site.get(&mut Browser::new(), "/api/login").await), "state"), state);
    assert!(site.upstream.requests().is_empty());
}

#[test]
fn v02_every_option_byte_for_byte() {
    let provider = siwbb()
        .scope(scope::COMPLETE_CLAIMS)
        .scope(scope::READ_PRIVATE_CLAIM_DATA)
        .show_claim("claim_demo_01")
        .hide_if_already_claimed()
        .expect_verify_success();
    let url = provider.authorization_url(&AuthorizationRequest::new(CALLBACK, STATE, CHALLENGE)).unwrap();
    assert_eq!(
        url,
        "https://bitbadges.io/siwbb/authorize?client_id=app_demo_01\
         &redirect_uri=https%3A%2F%2Fexample.com%2Fapi%2Fcallback&state=f3a9c2e1b7d4a6c8\
         &scope=completeClaims%2CreadPrivateClaimData&claimId=claim_demo_01&hideIfAlreadyClaimed=true\
         &expectVerifySuccess=true\
         &response_type=code&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
}

#[test]
fn v03_no_value_leaves_its_parameter() {
    let cases = [
        ("https://example.com/cb?a=1&scope=fullAccess#x", "a&b+c#d", "claim"),
        ("https://example.com/%26state=x", "%26 %2B", "a&claimId=b"),
        ("https://example.com/ü?=&;", "=&=", "#?+ é\u{0}"),
    ];
    for (redirect_uri, state, claim) in cases {
        let provider = Siwbb::new("a&b=#c", SECRET, KEY).show_claim(claim);
        let provider = provider.extra_parameter("theme", "a&state=evil#").extra_parameter("x&y=#+ z", "1");
        let url = provider.authorization_url(&AuthorizationRequest::new(redirect_uri, state, CHALLENGE)).unwrap();
        let url = url::Url::parse(&url).unwrap();
        let pairs: Vec<_> = url.query_pairs().collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected = [
            ("client_id", "a&b=#c"),
            ("redirect_uri", redirect_uri),
            ("state", state),
            ("claimId", claim),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("theme", "a&state=evil#"),
            ("x&y=#+ z", "1"),
        ];
        assert_eq!(pairs, expected, "{state}");
        assert_eq!(url.fragment(), None, "{state}");
    }
}

#[tokio::test]
async fn v04_callback() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target?x=1").await;
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/target?x=1"));
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 3, "{cookies:?}");
    assert_eq!(cookies[0], deleted(&started.flow_cookie()));
    assert!(cookies[1].starts_with("__Host-signin="), "{cookies:?}");
    assert!(cookies[1].ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400"), "{cookies:?}");
    assert!(cookies[2].starts_with("__Host-signin-rounds="), "{cookies:?}");
    assert_eq!(site.inner_calls(), 0, "the callback is answered here");
    assert_eq!(text(&site.get(&mut browser, "/").await), BOB);
}

#[tokio::test]
async fn v05_exchange_request() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    site.get(&mut browser, &started.callback(CODE)).await;
    let requests = site.upstream.requests();
    assert_eq!(requests.len(), 1);
    let (parts, body) = requests[0].clone().into_parts();
    assert_eq!(
        (parts.method, parts.uri.to_string().as_str()),
        (Method::POST, "https://api.bitbadges.io/api/v0/siwbb/token")
    );
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.headers["x-api-key"], KEY);
    assert!(!parts.headers.contains_key("authorization"));
    let challenge = parameter(&started.authorization_url, "code_challenge");
    assert_exchange(&body, CODE, CALLBACK, &challenge);
    let sent: Value = serde_json::from_slice(&body).unwrap();
    let verifier = sent["code_verifier"].as_str().unwrap();
    assert!(!started.authorization_url.contains(verifier), "who sees the address can't redeem the code");
}

#[tokio::test]
async fn v05_exchange_request_on_a_socket() {
    let app = App::start().await;
    let mut browser = Browser::new();
    let authorization_url = browser.start(&app.origin, "/").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    assert_eq!(browser.get(&callback).await.status(), 303);
    assert_eq!(text(&browser.get(&app.url("/")).await), alice());
    let requests = app.dev.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((&request.method, request.path.as_str(), &request.query), (&Method::POST, "/api/v0/siwbb/token", &None));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["x-api-key"], KEY);
    let code = parameter(&callback, "code");
    let challenge = parameter(&authorization_url, "code_challenge");
    assert_exchange(&request.body, &code, app.sign_in.redirect_uri(), &challenge);
}

#[tokio::test]
async fn v05_exchange_request_with_another_window() {
    let provider = siwbb().code_max_age(std::time::Duration::from_millis(1500));
    let site = Site::of(provider, CALLBACK, |builder| builder);
    site.complete(&mut Browser::new(), "/").await;
    let sent: Value = serde_json::from_slice(site.upstream.requests()[0].body()).unwrap();
    assert_eq!(sent["options"], json!({ "issuedAtTimeWindowMs": 1500 }));
}

/// Compares with the vector, whose verifier is replaced by the sign-in's own once that is known to fit the challenge.
#[track_caller]
fn assert_exchange(body: &[u8], code: &str, redirect_uri: &str, challenge: &str) {
    let sent: Value = serde_json::from_slice(body).unwrap();
    let verifier = sent["code_verifier"].as_str().unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())), challenge);
    let expected = json!({
        "grant_type": "authorization_code",
        "code": code,
        "client_id": ID,
        "client_secret": SECRET,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "options": { "issuedAtTimeWindowMs": 600_000 },
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn v32_callback_negatives_reach_no_provider() {
    let long = "a".repeat(5000);
    let too_long = format!("code={long}&state={{S}}");
    let queries = [
        ("no state", "code=c"),
        ("state mismatch", "code=c&state={P}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("state twice", "code=c&state={S}&state={S}"),
        ("code twice", "code=c&code=d&state={S}"),
        ("code missing", "state={S}"),
        ("denied", "error=access_denied&state={S}"),
        ("error without state", "error=server_error"),
        ("code of 5000 characters", &too_long),
        ("not UTF-8", "code=%ff%c3&state={S}"),
    ];
    type Spoil = (&'static str, fn(&Site, &mut Browser, http::request::Builder) -> http::request::Builder);
    let spoils: [Spoil; 5] = [
        ("expired", |site, _, request| {
            site.clock.advance(std::time::Duration::from_secs(600));
            request
        }),
        ("from another browser", |_, browser, request| {
            *browser = Browser::new();
            request
        }),
        ("POST", |_, _, request| request.method(Method::POST)),
        ("HEAD", |_, _, request| request.method(Method::HEAD)),
        ("prefetch", |_, _, request| request.header("sec-purpose", "prefetch")),
    ];
    let keep = |_: &Site, _: &mut Browser, request: http::request::Builder| request;
    let good = "code=c&state={S}";
    let all = queries.iter().map(|(name, query)| (*name, *query, keep as fn(&Site, &mut Browser, _) -> _));
    for (name, query, spoil) in all.chain(spoils.iter().map(|(name, spoil)| (*name, good, *spoil))) {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let query = query.replace("{S}", &started.state).replace("{P}", &started.state[..26]);
        let request = Request::get(format!("/api/callback?{query}"));
        let request = spoil(&site, &mut browser, request);
        let response = site.visit(&mut browser, request).await;
        assert!(response.status().as_u16() >= 400, "{name}: {}", response.status());
        assert!(site.upstream.requests().is_empty(), "{name}");
        assert!(!browser.jar.contains_key("__Host-signin"), "{name}");
    }
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    site.get(&mut browser, &started.callback("c")).await;
    assert_eq!(site.get(&mut browser, &started.callback("d")).await.status(), 400, "state reused");
    assert_eq!(site.upstream.requests().len(), 1, "state reused");
}
