//! Vectors 26 to 31: what is asked of BitBadges after the exchange.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tower_signin::ErrorKind::{
    ClaimRequired, CredentialsRejected, ExchangeRejected, OwnershipRequired, ProviderAnswer, ProviderFailed,
};
use tower_signin::dev::{DevProvider, Mode};
use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
use tower_signin::{
    Admission, BoxFuture, Context, Error, ErrorKind, Grant, HttpClient, HttpError, HttpErrorKind, Provider as _,
    SignedIn, Tokens,
};

use crate::exchange::{BOB_HEX, v06};
use crate::site::{BOB, BOB_ANSWER, CALLBACK, ID, KEY, SECRET, Site, Upstream, siwbb};
use crate::support::{App, Browser, alice, send};

const API: &str = "https://api.bitbadges.io/api/v0";

#[tokio::test]
async fn v26_refresh() {
    let upstream = Upstream::default();
    let mut answer = v06();
    let fields = answer.as_object_mut().unwrap();
    fields.remove("verificationResponse");
    fields.insert("access_token".to_owned(), json!("new-access"));
    fields.insert("refresh_token".to_owned(), json!("new-refresh"));
    fields.insert("access_token_expires_at".to_owned(), json!(1_788_825_600_000_u64));
    upstream.answer(200, answer.to_string());
    let refreshed = siwbb().refresh(with(&upstream), BOB, &tokens()).await.unwrap();
    assert_eq!(refreshed.grant().unwrap().subject(), BOB);
    let new = refreshed.tokens();
    assert_eq!((new.access_token(), new.refresh_token()), ("new-access", Some("new-refresh")));
    let day = SystemTime::UNIX_EPOCH + Duration::from_secs(1_788_825_600);
    assert_eq!(new.access_expires_at(), Some(day));

    let expected = json!({
        "grant_type": "refresh_token",
        "refresh_token": "siwbb_rt_old",
        "client_id": ID,
        "client_secret": SECRET,
        "redirect_uri": CALLBACK,
    });
    assert_sent(&upstream, &Method::POST, &format!("{API}/siwbb/token"), Some(&expected));

    let another = siwbb().refresh(with(&upstream), &alice(), &tokens()).await;
    assert_eq!(kind(another), Some(ProviderAnswer), "bob's tokens are not alice's");

    answer["verificationResponse"] = json!({ "success": false });
    upstream.answer(200, answer.to_string());
    let refused = siwbb().refresh(with(&upstream), BOB, &tokens()).await;
    assert_eq!(kind(refused), Some(ErrorKind::NotVerified), "a refusal is one here too");

    upstream.forget();
    let without = siwbb().refresh(with(&upstream), BOB, &Tokens::new("access only")).await;
    assert_eq!(kind(without), Some(ErrorKind::Unsupported));
    assert!(upstream.requests().is_empty(), "there is nothing to send");
}

#[tokio::test]
async fn v26_the_old_pair_dies_at_once() {
    let app = SignedInApp::start().await;
    let (provider, redirect_uri) = (app.dev.siwbb(), app.sign_in.redirect_uri());
    assert!(provider.is_active(with(&Socket), &app.tokens).await.unwrap());
    let refreshed = provider.refresh(at(redirect_uri), &alice(), &app.tokens).await.unwrap();
    assert!(!provider.is_active(with(&Socket), &app.tokens).await.unwrap());
    assert!(provider.is_active(with(&Socket), refreshed.tokens()).await.unwrap());
    let reused = provider.refresh(at(redirect_uri), &alice(), &app.tokens).await;
    assert_eq!(kind(reused), Some(ExchangeRejected));
}

#[tokio::test]
async fn v27_refused_refresh() {
    for (status, text) in
        [(500, "Invalid refresh token."), (500, "Refresh token expired."), (400, "Invalid refresh token.")]
    {
        let upstream = Upstream::default();
        upstream.answer(status, json!({ "errorMessage": text }).to_string());
        let refused = siwbb().refresh(with(&upstream), BOB, &tokens()).await;
        assert_eq!(kind(refused), Some(ExchangeRejected), "{text}");
        assert_eq!(upstream.requests().len(), 1, "{text}");
    }
    let app = SignedInApp::start().await;
    let (provider, redirect_uri) = (app.dev.siwbb(), app.sign_in.redirect_uri());
    provider.revoke(with(&Socket), &app.tokens).await.unwrap();
    assert_eq!(
        kind(provider.refresh(at(redirect_uri), &alice(), &app.tokens).await),
        Some(ExchangeRejected),
        "revoked"
    );

    let late = SignedInApp::start().await;
    late.dev.set_clock(Arc::new(|| SystemTime::now() + Duration::from_secs(61 * 86_400)));
    let refused = late.dev.siwbb().refresh(at(late.sign_in.redirect_uri()), &alice(), &late.tokens).await;
    assert_eq!(kind(refused), Some(ExchangeRejected), "expired");
}

#[tokio::test]
async fn v28_status() {
    let alive = json!({
        "signedIn": true, "address": BOB_HEX, "bitbadgesAddress": BOB, "chain": "ETH",
        "scopes": [{ "scopeName": "Complete Claims", "scopeId": "completeClaims" }],
        "message": "https://bitbadges.io wants you to sign in with your Ethereum address", "email": "",
    });
    let dead = json!({
        "signedIn": false, "scopes": [], "message": "", "address": "", "bitbadgesAddress": "", "chain": "Unknown",
    });
    for (answer, expected) in [(alive, true), (dead, false)] {
        let upstream = Upstream::default();
        upstream.answer(200, answer.to_string());
        assert_eq!(siwbb().is_active(with(&upstream), &tokens()).await.unwrap(), expected);
        assert_sent(&upstream, &Method::POST, &format!("{API}/auth/status"), Some(&json!({})));
        assert_eq!(upstream.requests()[0].headers()["authorization"], "Bearer siwbb_at_old");
    }
    for (status, body, expected) in [
        (200, "{}", ProviderAnswer),
        (200, r#"{"signedIn":"true"}"#, ProviderAnswer),
        (200, r#"{"signedIn":false,"errorMessage":"no"}"#, ProviderAnswer),
        (401, r#"{"errorMessage":"Expired."}"#, CredentialsRejected),
        (200, "<html>", ProviderAnswer),
        (401, r#"{"errorMessage":"","unauthorized":true}"#, CredentialsRejected),
        (500, "", ProviderFailed),
    ] {
        let upstream = Upstream::default();
        upstream.answer(status, body);
        assert_eq!(kind(siwbb().is_active(with(&upstream), &tokens()).await), Some(expected), "{status} {body}");
    }
    let late = SignedInApp::start().await;
    assert!(late.dev.siwbb().is_active(with(&Socket), &late.tokens).await.unwrap());
    late.dev.set_clock(Arc::new(|| SystemTime::now() + Duration::from_secs(86_401)));
    assert!(!late.dev.siwbb().is_active(with(&Socket), &late.tokens).await.unwrap(), "a day later");
}

#[tokio::test]
async fn v29_revoke() {
    for body in ["{}", r#"{"message":"Token revoked"}"#, ""] {
        let upstream = Upstream::default();
        upstream.answer(200, body);
        siwbb().revoke(with(&upstream), &tokens()).await.unwrap();
        let expected = json!({ "token": "siwbb_at_old" });
        assert_sent(&upstream, &Method::POST, &format!("{API}/siwbb/token/revoke"), Some(&expected));
    }
    let upstream = Upstream::default();
    upstream.answer(500, r#"{"errorMessage":"Error in mustGetFromDB(): Could not find doc w/ id x in access-tokens"}"#);
    assert_eq!(kind(siwbb().revoke(with(&upstream), &tokens()).await), Some(ProviderFailed), "unknown");

    for mode in [Mode::Strict, Mode::Legacy2024] {
        let app = SignedInApp::start().await;
        app.dev.set_mode(mode);
        app.dev.siwbb().revoke(with(&Socket), &app.tokens).await.unwrap();
        assert!(!app.dev.siwbb().is_active(with(&Socket), &app.tokens).await.unwrap(), "{mode:?}");
        assert_eq!(
            kind(app.dev.siwbb().revoke(with(&Socket), &app.tokens).await),
            Some(ProviderFailed),
            "{mode:?}: twice"
        );
    }
}

#[tokio::test]
async fn v30_claim() {
    let cases = [
        (200, r#"{"successCount":1,"claimNumbers":[0]}"#, None),
        (200, r#"{"successCount":"2","claimNumbers":["0","5"]}"#, None),
        (200, r#"{"successCount":0,"claimNumbers":[]}"#, Some(ClaimRequired)),
        (200, r#"{"successCount":"0"}"#, Some(ClaimRequired)),
        (200, r#"{"successCount":-1}"#, Some(ProviderAnswer)),
        (200, r#"{"successCount":"many"}"#, Some(ProviderAnswer)),
        (200, r#"{"successCount":true}"#, Some(ProviderAnswer)),
        (200, "{}", Some(ProviderAnswer)),
        (200, "<html>", Some(ProviderAnswer)),
        (500, r#"{"errorMessage":"hidden"}"#, Some(ProviderFailed)),
    ];
    for (status, body, expected) in cases {
        let upstream = Upstream::default();
        upstream.answer(status, body);
        let admitted = siwbb().require_claim("claim_demo_01").admit(with(&upstream), &bob()).await;
        assert_eq!(kind(admitted), expected, "{status} {body}");
        let url = format!("{API}/claims/success/claim_demo_01/{BOB}");
        assert_sent(&upstream, &Method::GET, &url, None);
    }
    let upstream = Upstream::default();
    upstream.answer(200, r#"{"successCount":1}"#);
    siwbb().require_claim("../x?a#b").require_claim("second").admit(with(&upstream), &bob()).await.unwrap();
    let urls: Vec<_> = upstream.requests().iter().map(|request| request.uri().to_string()).collect();
    let expected = ["%2E%2E%2Fx%3Fa%23b", "second"].map(|claim| format!("{API}/claims/success/{claim}/{BOB}"));
    assert_eq!(urls, expected, "an id stays inside its segment, and all must hold");

    let dev = DevProvider::start().await.unwrap();
    let gated = dev.siwbb().require_claim("claim_demo_01");
    assert_eq!(kind(gated.admit(with(&Socket), &bob()).await), Some(ClaimRequired));
    dev.set_claim_success("claim_demo_01", BOB_HEX, 1);
    gated.admit(with(&Socket), &bob()).await.unwrap();
}

#[tokio::test]
async fn v31_ownership() {
    let requirements = || {
        let member = OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]);
        let none =
            Asset::badges("2", [Range::new(1, u64::MAX)]).amounts(Range::new(0, 0)).owned_during([Range::new(5, 6)]);
        OwnershipRequirements::any([OwnershipRequirements::all([member]), OwnershipRequirements::at_least(1, [none])])
    };
    let text = format!("Address {BOB} did not meet the ownership requirements. ");
    let cases = [
        (200, json!({ "success": true }), None),
        (200, json!({ "success": false, "errorMessage": text }), Some(OwnershipRequired)),
        (200, json!({ "success": "true" }), Some(ProviderAnswer)),
        (200, json!({}), Some(ProviderAnswer)),
        (400, json!({ "errorMessage": "Invalid request payload." }), Some(ProviderFailed)),
    ];
    for (status, body, expected) in cases {
        let upstream = Upstream::default();
        upstream.answer(status, body.to_string());
        let admitted = siwbb().require_ownership(requirements()).admit(with(&upstream), &bob()).await;
        assert_eq!(kind(admitted), expected, "{status} {body}");
        let range = |start: &str, end: &str| json!({ "start": start, "end": end });
        let most = u64::MAX.to_string();
        let sent = json!({
            "address": BOB,
            "assetOwnershipRequirements": { "$or": [
                { "$and": [{ "assets": [{
                    "chain": "BitBadges", "collectionId": "1", "assetIds": [range("1", "1")],
                    "ownershipTimes": [], "mustOwnAmounts": range("1", &most),
                }] }] },
                { "assets": [{
                    "chain": "BitBadges", "collectionId": "2", "assetIds": [range("1", &most)],
                    "ownershipTimes": [range("5", "6")], "mustOwnAmounts": range("0", "0"),
                }], "options": { "numMatchesForVerification": 1 } },
            ] },
        });
        assert_sent(&upstream, &Method::POST, &format!("{API}/verifyOwnershipRequirements"), Some(&sent));
    }
    let dev = DevProvider::start().await.unwrap();
    let gated = dev.siwbb().require_ownership(requirements());
    assert_eq!(kind(gated.admit(with(&Socket), &bob()).await), Some(OwnershipRequired));
    dev.set_ownership(BOB_HEX, true);
    gated.admit(with(&Socket), &bob()).await.unwrap();
}

/// Whoever does not pass a gate is not signed in either, though the exchange went well.
#[tokio::test]
async fn v30_v31_gates_in_a_sign_in() {
    let cases = [
        ("claim", 200, r#"{"successCount":1}"#, None),
        ("claim not completed", 200, r#"{"successCount":0}"#, Some((403, ClaimRequired))),
        ("claim unreadable", 200, "<html>", Some((502, ProviderAnswer))),
        ("claim out of credits", 402, "{}", Some((503, ErrorKind::ProviderBusy))),
        ("assets", 200, r#"{"success":true}"#, None),
        ("assets not owned", 200, r#"{"success":false}"#, Some((403, OwnershipRequired))),
        ("assets that break the API", 500, "", Some((502, ProviderFailed))),
    ];
    for (name, status, body, expected) in cases {
        let provider = if name.starts_with("claim") {
            siwbb().require_claim("claim_demo_01")
        } else {
            siwbb().require_ownership(OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]))
        };
        let site = Site::of(provider, CALLBACK, |builder| builder);
        site.upstream.answer_by(move |request| {
            let is_exchange = request.uri().path() == "/api/v0/siwbb/token";
            let (status, body) = if is_exchange { (200, BOB_ANSWER) } else { (status, body) };
            Ok(Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap())
        });
        let mut browser = Browser::new();
        let response = site.complete(&mut browser, "/").await;
        match expected {
            None => assert_eq!(response.status(), 303, "{name}"),
            Some((status, kind)) => {
                let found = (response.status().as_u16(), response.extensions().get().copied());
                assert_eq!(found, (status, Some(kind)), "{name}");
                assert!(browser.jar.is_empty(), "{name}: the flow is spent and nobody is signed in");
            }
        }
        assert_eq!(site.upstream.requests().len(), 2, "{name}");
    }
}

fn tokens() -> Tokens {
    Tokens::new("siwbb_at_old").with_refresh_token("siwbb_rt_old")
}

/// With this client, at the redirect URI of the vectors.
fn with(http: &dyn HttpClient) -> Context<'_> {
    Context::new(http, SystemTime::now(), CALLBACK)
}

/// Over a socket, at this redirect URI.
fn at(redirect_uri: &str) -> Context<'_> {
    Context::new(&Socket, SystemTime::now(), redirect_uri)
}

fn bob() -> Grant {
    Grant::new(BOB, &json!({})).unwrap()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// One request went out, with the API key.
#[track_caller]
fn assert_sent(upstream: &Upstream, method: &Method, url: &str, body: Option<&Value>) {
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method(), request.uri().to_string().as_str()), (method, url));
    assert_eq!(request.headers()["x-api-key"], KEY);
    match body {
        None => assert!(request.body().is_empty()),
        Some(body) => {
            assert_eq!(request.headers()["content-type"], "application/json");
            assert_eq!(&serde_json::from_slice::<Value>(request.body()).unwrap(), body);
        }
    }
}

/// An app in which alice is signed in, and her tokens.
struct SignedInApp {
    app: App,
    tokens: Tokens,
}

impl SignedInApp {
    async fn start() -> Self {
        let told: Arc<Mutex<Option<SignedIn>>> = Arc::default();
        let keep = Arc::clone(&told);
        let app = App::start_with(|builder| {
            builder.on_sign_in(move |who| {
                *keep.lock().unwrap() = Some(who);
                std::future::ready(Ok(Admission::new()))
            })
        })
        .await;
        assert_eq!(Browser::new().sign_in(&app.origin, "/").await.status(), 303);
        let tokens = told.lock().unwrap().take().unwrap().tokens().unwrap().clone();
        Self { app, tokens }
    }
}

impl std::ops::Deref for SignedInApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Speaks to the dev provider.
struct Socket;

impl HttpClient for Socket {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async {
            send(request).await.map_err(|error| HttpError::new(HttpErrorKind::Interrupted).with_source(error))
        })
    }
}
