//! Vectors 8 to 24 again, over sockets and through the built-in HTTP client: whatever the API does to a connection.

use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::dev::Fault;
use tower_signin::{ErrorKind, Keys, SignIn};

use crate::site::{CODE, Started, siwbb};
use crate::support::{App, Browser, code, navigation};

#[tokio::test]
async fn v24_faults_over_a_socket() {
    let text = |text: &str| Fault::ServerErrorText(text.to_owned());
    let cases = [
        (Fault::NoBitbadgesAddress, 502, "provider_answer_unreadable"),
        (Fault::NotVerified, 403, "not_verified"),
        (Fault::NotVerified401, 403, "not_verified"),
        (Fault::NoVerificationResponse, 403, "not_verified"),
        (Fault::AddressMismatch, 502, "provider_answer_unreadable"),
        (text("Expired."), 502, "exchange_rejected"),
        (text("Invalid client secret."), 502, "credentials_rejected"),
        (Fault::BadRequest, 502, "exchange_rejected"),
        (Fault::NoApiKey, 502, "credentials_rejected"),
        (Fault::BadApiKey, 502, "credentials_rejected"),
        (Fault::Refused, 503, "provider_busy"),
        (Fault::RateLimited(Some(5)), 503, "provider_busy"),
        (Fault::ServerError, 502, "provider_failed"),
        (Fault::BadGateway, 502, "provider_failed"),
        (Fault::Html, 502, "provider_answer_unreadable"),
        (Fault::Truncated, 502, "provider_answer_unreadable"),
        (Fault::CutOff, 502, "provider_answer_unreadable"),
        (Fault::Oversized { declared: true }, 502, "provider_answer_unreadable"),
        (Fault::Oversized { declared: false }, 502, "provider_answer_unreadable"),
        (Fault::Reset, 502, "provider_answer_unreadable"),
        (Fault::Redirect, 502, "provider_answer_unreadable"),
    ];
    for (fault, status, expected) in cases {
        let name = format!("{fault:?}");
        let app = App::start().await;
        app.dev.set_fault(Some(fault));
        let (browser, callback) = approved(&app).await;
        assert_fails(&name, &app, browser, &callback, status, expected).await;
    }
}

#[tokio::test]
async fn v24_an_api_that_is_not_there() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let provider = siwbb().base_urls("http://localhost:1", format!("http://127.0.0.1:{port}"));
    let sign_in = SignIn::builder(provider)
        .redirect_uri("http://localhost:3000/api/callback")
        .keys(Keys::generate().unwrap())
        .build()
        .unwrap();
    let inner = service_fn(|_: Request<Bytes>| async { Err::<Response<()>, _>("the inner service was called") });
    let service = sign_in.layer().layer(inner);
    let login = navigation(Method::GET, "/api/login", "none").body(Bytes::new()).unwrap();
    let login = service.clone().oneshot(login).await.unwrap();
    let url = login.headers()[LOCATION].to_str().unwrap();
    let flow = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let callback = navigation(Method::GET, &Started::at(url).callback(CODE), "none").header(COOKIE, flow);
    let response = service.oneshot(callback.body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(response.extensions().get(), Some(&ErrorKind::ProviderUnreachable));
    let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert!(cookies.len() == 1 && cookies[0].to_str().unwrap().contains("Max-Age=0"), "{cookies:?}");
}

/// The clock stands still but for what waits for it, so fifteen seconds pass at once.
#[tokio::test]
async fn v24_an_api_that_takes_its_time() {
    for fault in [Fault::Hang, Fault::Drip(Duration::from_secs(1))] {
        let name = format!("{fault:?}");
        let app = App::start().await;
        app.dev.set_fault(Some(fault));
        let (browser, callback) = approved(&app).await;
        let answer = tokio::spawn({
            let (mut browser, callback) = (browser.clone(), callback.clone());
            async move { browser.get(&callback).await }
        });
        while app.provider_requests() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let response = answer.await.unwrap();
        let waited = start.elapsed().as_millis();
        assert!((14_500..15_500).contains(&waited), "{name}: {waited} ms");
        tokio::time::resume();
        assert_eq!(response.status(), 504, "{name}");
        // The same callback again, within half a minute, is told the same.
        assert_fails(&name, &app, browser, &callback, 504, "provider_timeout").await;
    }
}

/// The browser at the moment before the callback.
async fn approved(app: &App) -> (Browser, String) {
    let mut browser = Browser::new();
    let authorization_url = browser.start(&app.origin, "/").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    (browser, callback)
}

async fn assert_fails(name: &str, app: &App, mut browser: Browser, callback: &str, status: u16, expected: &str) {
    let response = browser.get(callback).await;
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (status, expected), "{name}");
    assert!(browser.jar.is_empty(), "{name}: the flow is spent and nobody is signed in");
    let again = browser.get(callback).await;
    assert_eq!((again.status().as_u16(), code(&again).as_str()), (400, "cookies_refused"), "{name}");
    assert_eq!(app.provider_requests(), 1, "{name}: sent once");
}
