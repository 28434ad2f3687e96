//! What `{:?}` and `{}` say of what an application holds: what it is, and nothing secret (the canary looks for that).

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::extract::{FromRequestParts, Request as Incoming};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use tower::{Layer as _, Service as _, service_fn};
use tower_signin::{
    Admission, AuthorizationRequest, BoxFuture, Builder, Context, Error, ErrorKind, Grant, Identity, Keys, MemoryStore,
    Provider, SessionKey, SessionRecord, SignIn, SignedIn, Tokens, ValidatedCode,
};

use crate::site::{BOB, CALLBACK, CODE, Site, siwbb};
use crate::support::{Browser, navigation, text};

#[tokio::test]
async fn what_an_application_makes_says_what_it_is() {
    let site = Site::new();
    let sign_in =
        r#"SignIn { issuers: ["https://bitbadges.io"], redirect_uri: "https://example.com/api/callback", .. }"#;
    let builder = SignIn::builder(siwbb()).redirect_uri(CALLBACK);
    assert_eq!(format!("{:?}", site.sign_in), sign_in);
    assert_eq!(format!("{builder:?}"), r#"Builder { redirect_uri: Some("https://example.com/api/callback"), .. }"#);
    let siwbb =
        r#"Siwbb { client_id: "app_demo_01", issuer: "https://bitbadges.io", scopes: [], required_claims: [], .. }"#;
    assert_eq!(format!("{:?}", crate::site::siwbb()), siwbb);
    assert_eq!(format!("{:?}", Keys::generate().unwrap()), "Keys(1 of them, [redacted])");
    assert_eq!(format!("{:?}", MemoryStore::new()), "MemoryStore { capacity: 100000, .. }");
    assert!(format!("{:?}", site.clock).starts_with("ManualClock(SystemTime {"), "{:?}", site.clock);
    let guard = format!("{:?}", site.sign_in.require());
    assert!(guard.starts_with("RequireLayer { sign_in: ") && guard.ends_with(", .. }"), "{guard}");

    let wrong = builder.redirect_uri("not a URL").keys(Keys::generate().unwrap()).build().unwrap_err();
    assert_eq!(format!("{wrong:?}"), wrong.to_string());
    assert!(wrong.to_string().starts_with("redirect_uri: "), "{wrong}");
}

/// A provider of somebody's own that notes what it is handed.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Provider for Noting {
    fn issuer(&self) -> &str {
        "https://id.example"
    }

    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        self.0.lock().unwrap().push(format!("{request:?}"));
        Ok(format!("https://id.example/authorize?state={}", request.state))
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        self.0.lock().unwrap().extend([format!("{context:?}"), format!("{code:?}")]);
        Box::pin(async { Grant::new("alice", &()) })
    }
}

#[tokio::test]
async fn what_a_provider_is_handed_says_what_it_is() {
    let seen = Arc::default();
    let site = Site::of(Noting(Arc::clone(&seen)), CALLBACK, |builder| builder);
    assert_eq!(site.complete(&mut Browser::new(), "/").await.status(), 303);
    let [request, context, code] = <[String; 3]>::try_from(seen.lock().unwrap().clone()).unwrap();
    let tail = format!("redirect_uri: {CALLBACK:?}, .. }}");
    assert_eq!(request, format!("AuthorizationRequest {{ {tail}"));
    assert_eq!(code, format!("ValidatedCode {{ {tail}"));
    assert!(context.starts_with("Context { now: SystemTime {") && context.ends_with(&tail), "{context}");
}

#[test]
fn what_a_store_keeps_says_how_much_there_is() {
    assert_eq!(format!("{:?}", SessionKey::new([7; 32])), "SessionKey(..)");
    let record = format!("{:?}", SessionRecord::new([7; 3], 1, SystemTime::UNIX_EPOCH));
    assert!(record.starts_with("SessionRecord { bytes: 3 bytes, generation: 1, expires_at: SystemTime {"), "{record}");
}

#[tokio::test]
async fn what_goes_to_people_says_what_it_is() {
    let site = Site::with(|builder| builder.pages(|page| format!("{page:?}")));
    let page = navigation(Method::GET, "/api/callback", "none").header("x-request-id", "id-1");
    let page = site.visit(&mut Browser::new(), page).await;
    assert_eq!(text(&page), r#"Page { kind: CallbackMalformed, request_id: "id-1", .. }"#);
    assert_eq!(format!("{:?}", Admission::new()), "Admission { .. }");
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let rejection = <Identity as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await.unwrap_err();
    assert_eq!(format!("{rejection:?}"), format!("SignInRejection({:?})", rejection.kind()));
}

#[test]
fn an_error_says_its_code_and_cause_and_the_reason_where_there_is_one() {
    let plain = Error::new(ErrorKind::ProviderBusy);
    let expected = format!("provider_busy: {}", ErrorKind::ProviderBusy.cause());
    assert_eq!(plain.to_string(), expected);
    assert_eq!(plain.with_reason("rate limit").to_string(), format!("{expected} (rate limit)"));
}

#[tokio::test]
async fn what_a_request_and_an_answer_hold_says_what_it_is() {
    let site = Site::with(Builder::forward_callback);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let inner = {
        let seen = Arc::clone(&seen);
        service_fn(move |request: Incoming| {
            let extensions = request.extensions();
            let mut seen = seen.lock().unwrap();
            seen.push(format!("{:?}", extensions.get::<SignedIn>().unwrap()));
            seen.push(format!("{:?}", extensions.get::<Identity>().unwrap()));
            seen.push(format!("{:?}", extensions.get::<Tokens>().unwrap()));
            ready(Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default())))
        })
    };
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/here").await;
    let callback = navigation(Method::GET, &started.callback(CODE), "cross-site");
    let callback = callback.header("cookie", browser.cookie_header().unwrap());
    let answer = site.sign_in.layer().layer(inner).call(callback.body(axum::body::Body::empty()).unwrap());
    assert_eq!(format!("{answer:?}"), "ResponseFuture { .. }");
    assert_eq!(format!("{:?}", answer.await.unwrap().body()), "ResponseBody { .. }");

    let identity = format!("Identity {{ issuer: \"https://bitbadges.io\", subject: {BOB:?}, expires_at: SystemTime {{");
    let [signed_in, who, tokens] = <[String; 3]>::try_from(seen.lock().unwrap().clone()).unwrap();
    assert!(signed_in.starts_with(&format!("SignedIn {{ identity: {identity}")), "{signed_in}");
    assert!(signed_in.ends_with(r#"return_to: "/here", .. }"#), "{signed_in}");
    assert!(who.starts_with(&identity), "{who}");
    assert!(
        tokens.starts_with("Tokens { access_expires_at: None, refresh_expires_at: None, scope: None, .. }"),
        "{tokens}"
    );

    let mut guarded = site.sign_in.require().layer(service_fn(|_: Incoming| {
        ready(Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default())))
    }));
    let future = guarded.call(Incoming::default());
    assert_eq!(format!("{future:?}"), "RequireFuture { .. }");
}
