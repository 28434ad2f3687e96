//! Every page that the layer can show, provoked, read and pictured.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use fantoccini::cookies::Cookie;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::ServiceExt as _;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Admission, Builder, Error, ErrorKind, ManualClock, Page, Rejection};

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::{look, policy_violations};
use crate::providers::{Obstructed, SaysYes};
use crate::store;
use crate::{APPROVE, DENY, approve, assert_page, assert_subject, come_from_elsewhere, cookie_names};

/// What a provider's server is told, which is never a page.
const TOLD_TO_SERVERS: [ErrorKind; 3] =
    [ErrorKind::LogoutTokenMissing, ErrorKind::LogoutTokenRejected, ErrorKind::LogoutNotDone];

const SIGN_IN: &[&str] = &["Sign in"];
const HOME: &[&str] = &["To the home page"];
const OTHER_ACCOUNT: &[&str] = &["Use another account", "Sign in again"];

#[tokio::test]
#[ignore = "needs chromium"]
async fn every_failure_has_a_page_that_says_what_happened_and_what_to_do() {
    let mut gallery = Gallery { chromium: Chromium::start().await, shown: BTreeSet::new(), without_remedy: Vec::new() };
    addresses(&mut gallery).await;
    callbacks(&mut gallery).await;
    rounds_and_strangers(&mut gallery).await;
    hooks(&mut gallery).await;
    providers(&mut gallery).await;
    crowd(&mut gallery).await;
    out_of_reach(&mut gallery).await;
    store_away(&mut gallery).await;
    let all: BTreeSet<_> =
        ErrorKind::ALL.iter().filter(|kind| !TOLD_TO_SERVERS.contains(kind)).map(|kind| kind.code()).collect();
    assert_eq!(gallery.shown, all);
    assert_eq!(gallery.without_remedy, [""; 0], "these pages don't say what to do");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_site_gives_every_page_its_own_looks() {
    let app = App::start_with(|builder| builder.pages(in_own_looks)).await;
    let chromium = Chromium::start().await;
    let own = async |code: &str, action: &str| {
        assert_eq!(chromium.text("h1").await, "Tea house");
        assert_eq!(chromium.text("#code").await, code);
        assert_eq!(chromium.text("nav a").await, action);
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{code}");
    };
    chromium.open(&app.url("/who?x=1")).await;
    own("not_signed_in", "Sign in").await;
    chromium.open(&app.url("/auth/callback")).await;
    own("callback_malformed", "Sign in").await;
    chromium.open(&app.url("/auth/logout")).await;
    own("method_not_allowed", "To the home page").await;
    chromium.open(&app.url("/")).await;
    chromium.click("#post").await;
    chromium.arrive(&app.url("/post")).await;
    own("not_signed_in", "Sign in").await;
    chromium.open(&app.url("/bob?x=1")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/bob?x=1")).await;
    own("not_allowed", "Use another account").await;
    look(&chromium, "in-own-looks").await;

    chromium.follow("Use another account").await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/bob?x=1")).await;
}

/// Chromium may tell a little later.
async fn first_violations(chromium: &Chromium) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let violations = policy_violations(chromium).await;
        if !violations.is_empty() || begun.elapsed() > Duration::from_secs(15) {
            return violations;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The address of a callback's page holds code and state.
#[tokio::test]
#[ignore = "needs chromium"]
async fn no_script_runs_on_a_page_in_the_site_s_own_looks() {
    let app = App::start_with(|builder| {
        builder.pages(|_| "<!doctype html><title>Own</title><h1>Own</h1><script>window.hasRun = true</script>".into())
    });
    let (app, chromium) = (app.await, Chromium::start().await);
    chromium.open(&app.url("/auth/callback")).await;
    assert_eq!(chromium.text("h1").await, "Own");
    assert_eq!(chromium.run("return window.hasRun === true").await, false);
    assert_eq!(policy_violations(&chromium).await.len(), 1);
}

/// On a page of a guard and on one of the callback, whose address nobody may learn. A form leads nowhere else.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_form_on_a_page_in_the_site_s_own_looks_signs_out() {
    let app = App::start_with(|builder| builder.pages(with_a_way_out)).await;
    let chromium = Chromium::start().await;
    for place in ["/bob?x=1", "/auth/callback?"] {
        chromium.open(&app.url("/bob?x=1")).await;
        chromium.arrive(app.dev.origin()).await;
        let authorization = chromium.url().await;
        chromium.click("input[value=alice]").await;
        chromium.click(APPROVE).await;
        chromium.land(&app.url("/bob?x=1")).await;
        if place == "/auth/callback?" {
            chromium.open(&app.dev.approve(&authorization, &Account::alice()).unwrap()).await;
        }
        let (here, code) = (chromium.url().await, chromium.text("#code").await);
        assert!(here.starts_with(&app.url(place)), "{here}");
        assert_eq!(code, if place == "/bob?x=1" { "not_allowed" } else { "flow_cookie_missing" });
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{code}");
        look(&chromium, &format!("in-own-looks-with-a-way-out-{code}")).await;

        let home = app.seen("/").len();
        chromium.click("#away").await;
        let violations = first_violations(&chromium).await;
        assert!(violations.len() == 1 && violations[0].contains("form-action 'self'"), "{code}: {violations:?}");
        assert_eq!((chromium.url().await, app.seen("/").len()), (here, home), "{code}: nothing was sent elsewhere");

        chromium.click("#signout").await;
        chromium.land(&app.url("/")).await;
        assert_eq!(chromium.text("#subject").await, "nobody", "{code}");
        assert_eq!(cookie_names(&chromium).await, [""; 0], "{code}");
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{code}");
        let out: Vec<_> = app.seen("/auth/logout").into_iter().map(|it| (it.method.to_string(), it.status)).collect();
        assert_eq!(out, [("POST".to_owned(), Some(303))], "{code}");
        app.forget();
        chromium.open(&app.url("/page")).await;
        chromium.arrive(app.dev.origin()).await;
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_names_the_request_as_the_proxy_in_front_does() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.devtools("Network.enable", json!({})).await;
    let headers = json!({ "headers": { "x-request-id": "7d444840-9dc0-11d1-b245-5ffdce74fad2" } });
    chromium.devtools("Network.setExtraHTTPHeaders", headers).await;
    for path in ["/who", "/auth/callback", "/auth/logout", "/unlayered?x=1"] {
        chromium.open(&app.url(path)).await;
        if path == "/unlayered?x=1" {
            // Where no layer stands outside, a guard knows no address to come back to.
            approve(&app, &chromium, "alice").await;
            chromium.land(&app.url("/")).await;
            chromium.open(&app.url(path)).await;
        }
        assert_eq!(chromium.text("p.request").await, "Request 7d444840-9dc0-11d1-b245-5ffdce74fad2", "{path}");
    }
}

/// What can be opened, sent or clicked without going to the provider and back.
async fn addresses(gallery: &mut Gallery) {
    let app = App::start().await;
    gallery.chromium.open(&app.url("/auth/callback")).await;
    gallery.show(ErrorKind::CallbackMalformed, SIGN_IN).await;
    gallery.chromium.open(&app.url("/auth/logout")).await;
    gallery.show(ErrorKind::MethodNotAllowed, HOME).await;
    gallery.go_home(&app).await;
    gallery.chromium.click("#post").await;
    gallery.chromium.arrive(&app.url("/post")).await;
    gallery.read(ErrorKind::NotSignedIn, SIGN_IN, "What you sent was not received. Sign in, then send it again.").await;
    look(&gallery.chromium, "page-not_signed_in-form").await;
    gallery.chromium.open(&app.url("/who")).await;
    gallery.show(ErrorKind::NotSignedIn, SIGN_IN).await;
    gallery.chromium.open(&app.url("/completed")).await;
    gallery.show(ErrorKind::NotForwarded, HOME).await;
    gallery.go_home(&app).await;

    // What a browser keeps to itself or shows to nobody: as if it opened the page after all.
    let headers =
        [("sec-purpose", "prefetch", ErrorKind::Prefetch), ("sec-fetch-dest", "iframe", ErrorKind::LoginNotNavigation)];
    for (name, value, kind) in headers {
        let app = App::start_pretending(name, value).await;
        gallery.chromium.open(&app.url("/auth/login")).await;
        gallery.show(kind, SIGN_IN).await;
    }

    gallery.chromium.open(&app.url("/bob")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/bob")).await;
    gallery.show(ErrorKind::NotAllowed, &["Use another account", "To the home page"]).await;
    gallery.go_home(&app).await;
    gallery.chromium.open(&app.url("/tokens")).await;
    gallery.show(ErrorKind::TokensMissing, HOME).await;
    gallery.go_home(&app).await;
    gallery.chromium.open(&app.url("/unlayered")).await;
    gallery.show(ErrorKind::LayerMissing, HOME).await;
    gallery.go_home(&app).await;
    gallery.forget_cookies().await;
}

/// Ways back from the provider that go wrong before anything is exchanged.
async fn callbacks(gallery: &mut Gallery) {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let altered: [(ErrorKind, fn(&str) -> String); 3] = [
        (ErrorKind::StateMismatch, |callback| {
            let secret = callback.find("state=").expect("a state") + "state=".len() + 30;
            let other = if &callback[secret..=secret] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &callback[..secret], &callback[secret + 1..])
        }),
        (ErrorKind::IssuerMismatch, |callback| format!("{callback}&iss=https%3A%2F%2Felsewhere.example")),
        (ErrorKind::AuthorizationFailed, |callback| {
            let (address, query) = callback.split_once('?').expect("a query");
            let state = query.split('&').find(|pair| pair.starts_with("state=")).expect("a state");
            format!("{address}?error=invalid_scope&{state}")
        }),
    ];
    for (kind, alter) in altered {
        let callback = gallery.way_back(&app).await;
        gallery.chromium.open(&alter(&callback)).await;
        gallery.show(kind, SIGN_IN).await;
        gallery.forget_cookies().await;
    }

    gallery.way_back(&app).await;
    gallery.chromium.click(DENY).await;
    gallery.chromium.arrive(&app.url("/auth/callback")).await;
    gallery.show(ErrorKind::AccessDenied, SIGN_IN).await;

    let callback = gallery.way_back(&app).await;
    clock.advance(Duration::from_secs(11 * 60));
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowExpired, SIGN_IN).await;

    let callback = gallery.way_back(&app).await;
    let flow = gallery.cookie("-flow-").await;
    let mut value = flow.value().to_owned();
    value.replace_range(40..41, if &value[40..41] == "A" { "B" } else { "A" });
    gallery.set_cookie(flow.name(), &value).await;
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowUnreadable, SIGN_IN).await;

    gallery.chromium.client.delete_cookie(flow.name()).await.unwrap();
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::CookiesRefused, SIGN_IN).await;
    gallery.way_back(&app).await;
    gallery.chromium.open(&callback).await;
    gallery.show(ErrorKind::FlowNotFound, SIGN_IN).await;
    gallery.forget_cookies().await;

    gallery.way_back(&app).await;
    let (authorization, flow) = (gallery.chromium.url().await, gallery.cookie("-flow-").await);
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/page")).await;
    gallery.forget_cookies().await;
    gallery.set_cookie(flow.name(), flow.value()).await;
    gallery.chromium.open(&app.dev.approve(&authorization, &Account::bob()).unwrap()).await;
    gallery.show(ErrorKind::StateSpent, SIGN_IN).await;
    gallery.forget_cookies().await;
}

/// Sessions that don't last, and what another site may not do.
async fn rounds_and_strangers(gallery: &mut Gallery) {
    let app = App::start().await;
    let session = app.origin.replace("http://localhost:", "signin-");
    for _ in 0..3 {
        gallery.chromium.open(&app.url("/page")).await;
        approve(&app, &gallery.chromium, "alice").await;
        gallery.chromium.land(&app.url("/page")).await;
        gallery.chromium.client.delete_cookie(&session).await.unwrap();
    }
    gallery.chromium.open(&app.url("/page")).await;
    gallery.show(ErrorKind::SignInLoop, SIGN_IN).await;
    gallery.forget_cookies().await;

    for _ in 0..4 {
        gallery.way_back(&app).await;
    }
    gallery.chromium.open(&app.origin.replace("localhost", "127.0.0.1")).await;
    gallery.chromium.click("#signin").await;
    gallery.chromium.arrive(&app.url("/auth/login")).await;
    gallery.show(ErrorKind::LoginCrossSite, &["Continue"]).await;
    gallery.chromium.open(app.dev.origin()).await;
    let submit = "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
                  document.body.append(form); form.submit()";
    gallery.chromium.client.execute(submit, vec![json!(app.url("/auth/logout"))]).await.unwrap();
    gallery.chromium.arrive(&app.url("/auth/logout")).await;
    gallery.show(ErrorKind::LogoutForeign, HOME).await;
    gallery.go_home(&app).await;
    gallery.forget_cookies().await;

    let app = App::start_in_the_dark(|builder| builder).await;
    gallery.chromium.open(&app.url("/page")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/page")).await;
    gallery.chromium.open(&app.url("/")).await;
    gallery.chromium.click("#signout").await;
    gallery.chromium.arrive(&app.url("/auth/logout")).await;
    gallery.show(ErrorKind::LogoutUnconfirmed, HOME).await;
    gallery.forget_cookies().await;

    let app = App::start_with(|builder| builder.keep_fragment()).await;
    come_from_elsewhere(&app, &gallery.chromium, "/page#part").await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/page#part")).await;
    // The address that the page in between went on to.
    let start = app.seen("/auth/login").pop().expect("a start").target;
    gallery.chromium.open(&app.url(&start)).await;
    gallery.show(ErrorKind::AlreadySignedIn, &["Continue", "Use another account"]).await;
    gallery.chromium.follow("Continue").await;
    gallery.chromium.land(&app.url("/page#part")).await;
    gallery.forget_cookies().await;
}

async fn hooks(gallery: &mut Gallery) {
    let cases: [(ErrorKind, &[&str], fn() -> Result<Admission, Rejection>); 3] = [
        (ErrorKind::RefusedByApp, OTHER_ACCOUNT, || Err(Rejection::refuse("not_a_member"))),
        (ErrorKind::HookFailed, SIGN_IN, || Err("the database is away".into())),
        (ErrorKind::SessionTooLarge, SIGN_IN, || Admission::with_data(&"x".repeat(5000))),
    ];
    for (kind, links, hook) in cases {
        let app = App::start_with(|builder| builder.on_sign_in(move |_| std::future::ready(hook()))).await;
        gallery.chromium.open(&app.url("/page")).await;
        approve(&app, &gallery.chromium, "alice").await;
        gallery.chromium.arrive(&app.url("/auth/callback?")).await;
        gallery.show(kind, links).await;
    }
}

/// All that becomes of an exchange, by a provider that sends everybody straight back and then says so.
async fn providers(gallery: &mut Gallery) {
    let next = Arc::new(Mutex::new(ErrorKind::Internal));
    let dev = DevProvider::start().await.unwrap();
    let kind = Arc::clone(&next);
    let failing = SaysYes(move || Err(Error::from(*kind.lock().unwrap())));
    let app = App::start_on(dev, failing, |builder| builder, |app, _| app).await;
    let cases = [
        (ErrorKind::NotVerified, OTHER_ACCOUNT),
        (ErrorKind::ClaimRequired, OTHER_ACCOUNT),
        (ErrorKind::OwnershipRequired, OTHER_ACCOUNT),
        (ErrorKind::HookTimeout, SIGN_IN),
        (ErrorKind::ExchangeRejected, SIGN_IN),
        (ErrorKind::CredentialsRejected, SIGN_IN),
        (ErrorKind::ProviderFailed, SIGN_IN),
        (ErrorKind::ProviderAnswer, SIGN_IN),
        (ErrorKind::IdTokenRejected, SIGN_IN),
        (ErrorKind::ProviderBusy, SIGN_IN),
        (ErrorKind::ProviderUnreachable, SIGN_IN),
        (ErrorKind::ProviderTimeout, SIGN_IN),
        (ErrorKind::Unsupported, SIGN_IN),
        (ErrorKind::Internal, SIGN_IN),
    ];
    for (kind, links) in cases {
        *next.lock().unwrap() = kind;
        gallery.chromium.open(&app.url("/page")).await;
        gallery.show(kind, links).await;
    }
}

/// A session whose tokens have ended, while the provider is away.
async fn out_of_reach(gallery: &mut Gallery) {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let dev = DevProvider::start().await.unwrap();
    let is_away = Arc::new(AtomicBool::new(false));
    let away = Arc::clone(&is_away);
    let provider = Obstructed::at_refresh(dev.siwbb(), move || {
        let is_away = away.load(Ordering::SeqCst);
        std::future::ready(if is_away { Err(ErrorKind::ProviderUnreachable.into()) } else { Ok(()) })
    });
    let two_days = Duration::from_secs(2 * 24 * 60 * 60);
    let configure = |builder: Builder| builder.keep_tokens().session_lifetime(two_days).clock(Arc::clone(&clock));
    let app = App::start_on(dev, provider, configure, |app, _| app).await;
    gallery.chromium.open(&app.url("/page")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.land(&app.url("/page")).await;
    clock.advance(Duration::from_secs(24 * 60 * 60 + 60));
    is_away.store(true, Ordering::SeqCst);
    gallery.chromium.open(&app.url("/page")).await;
    gallery.show(ErrorKind::SessionUnavailable, &["Try again"]).await;
    is_away.store(false, Ordering::SeqCst);
    clock.advance(Duration::from_secs(2));
    gallery.chromium.follow("Try again").await;
    gallery.chromium.settle(&app.url("/page"), "return document.querySelector('#subject') != null").await;
    assert_subject(&gallery.chromium, &Account::alice()).await;
    gallery.forget_cookies().await;
}

/// The store has no room for the session of who comes back from the provider; then it is away; then it is there, and a reload goes
/// on.
async fn store_away(gallery: &mut Gallery) {
    let dev = DevProvider::start().await.unwrap();
    let provider = dev.siwbb();
    let (is_away, is_full) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let store = store::MayBeAway::new(&is_away, &is_full);
    let app = App::start_on(dev, provider, |builder| builder.session_store(store), |app, _| app).await;
    gallery.chromium.open(&app.url("/page")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.show(ErrorKind::StoreFailed, SIGN_IN).await;
    is_full.store(false, Ordering::SeqCst);
    is_away.store(true, Ordering::SeqCst);
    gallery.chromium.follow("Sign in").await;
    approve(&app, &gallery.chromium, "alice").await;
    let away = ErrorKind::SessionUnavailable;
    gallery.read(away, &["Try again"], away.remedy()).await;
    is_away.store(false, Ordering::SeqCst);
    gallery.chromium.follow("Try again").await;
    gallery.chromium.settle(&app.url("/page"), "return document.querySelector('#subject') != null").await;
    assert_subject(&gallery.chromium, &Account::alice()).await;
    is_away.store(true, Ordering::SeqCst);
    gallery.chromium.open(&app.url("/page")).await;
    assert_page(&gallery.chromium, 503, "session_unavailable").await;
    is_away.store(false, Ordering::SeqCst);
    gallery.chromium.follow("Try again").await;
    gallery.chromium.settle(&app.url("/page"), "return document.querySelector('#subject') != null").await;
    gallery.forget_cookies().await;
}

/// A server that is finishing as many sign-ins as it can, until some of them are done.
async fn crowd(gallery: &mut Gallery) {
    const MOST: usize = 64;
    let dev = DevProvider::start().await.unwrap();
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (at_gate, counted) = (Arc::clone(&gate), Arc::clone(&waiting));
    let slow = Obstructed::at_exchange(dev.siwbb(), move || {
        let gate = Arc::clone(&at_gate);
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            gate.acquire().await.expect("an open gate").forget();
            Ok(())
        }
    });
    let app = App::start_on(dev, slow, |builder| builder, |app, _| app).await;
    let mut others = JoinSet::new();
    for _ in 0..MOST {
        others.spawn(comes_back(&app).await);
    }
    let begun = Instant::now();
    while waiting.load(Ordering::SeqCst) < MOST {
        assert!(begun.elapsed() < Duration::from_secs(15), "{waiting:?} are being finished");
        sleep(Duration::from_millis(20)).await;
    }

    gallery.chromium.open(&app.url("/page?x=1")).await;
    approve(&app, &gallery.chromium, "alice").await;
    gallery.chromium.arrive(&app.url("/auth/callback?")).await;
    let callback = gallery.chromium.url().await;
    gallery.show(ErrorKind::TooManyAttempts, &["Try again"]).await;
    gallery.chromium.run("window.isOld = true").await;
    gallery.chromium.follow("Try again").await;
    gallery.chromium.settle(&callback, "return !window.isOld && document.readyState == 'complete'").await;
    assert_page(&gallery.chromium, 503, "too_many_attempts").await;
    assert_eq!(app.seen("/auth/callback").len(), 2, "asked twice");
    assert_eq!(app.dev.requests().len(), 0, "nothing was exchanged");

    gate.add_permits(MOST + 1);
    while let Some(status) = others.join_next().await {
        assert_eq!(status.unwrap(), 303, "everybody before is signed in");
    }
    gallery.chromium.follow("Try again").await;
    gallery.chromium.land(&app.url("/page?x=1")).await;
    assert_subject(&gallery.chromium, &Account::alice()).await;
    assert_eq!(app.dev.requests().len(), MOST + 1, "one exchange for each");
    assert_eq!(app.seen("/auth/login").len(), 1, "nothing began anew");
    gallery.forget_cookies().await;
}

/// Starts a sign-in past the socket; what it gives is bob's way back, and the status at its end.
async fn comes_back(app: &App) -> impl Future<Output = u16> + Send + 'static {
    let service = Router::new().layer(app.sign_in.layer());
    let login = Request::get(app.url("/auth/login")).body(Body::empty()).unwrap();
    let started = service.clone().oneshot(login).await.unwrap();
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let authorization = text(&started.headers()[LOCATION]);
    let flow = text(&started.headers()[SET_COOKIE]);
    let callback = Request::get(app.dev.approve(&authorization, &Account::bob()).unwrap());
    let callback = callback.header(COOKIE, flow.split(';').next().unwrap()).body(Body::empty()).unwrap();
    async move { service.oneshot(callback).await.unwrap().status().as_u16() }
}

struct Gallery {
    chromium: Chromium,
    shown: BTreeSet<&'static str>,
    without_remedy: Vec<&'static str>,
}

impl Gallery {
    /// Reads the page that is there, and takes its picture.
    async fn show(&mut self, kind: ErrorKind, links: &[&str]) {
        self.read(kind, links, kind.remedy()).await;
        let code = kind.code();
        assert!(self.shown.insert(code), "{code} was shown before");
        look(&self.chromium, &format!("page-{code}")).await;
    }

    /// Reads the page that is there.
    async fn read(&mut self, kind: ErrorKind, links: &[&str], remedy: &str) {
        let code = kind.code();
        let page = self.chromium.run(WHAT_IT_SAYS).await;
        assert_eq!(self.chromium.status().await, u64::from(kind.status().as_u16()), "{code}: {page}");
        let named = page["code"].as_str().unwrap_or_default().split(':').next();
        assert_eq!(named, Some(code), "{page}");
        assert_eq!((&page["title"], &page["heading"]), (&json!(kind.title()), &json!(kind.title())), "{code}");
        let said = page["said"].as_array().expect("paragraphs");
        assert!(said.len() >= 2 && said.iter().all(|text| text.as_str() != Some("")), "{code}: {page}");
        assert!(said.contains(&json!(kind.cause())), "{code} says what happened: {page}");
        if !said.contains(&json!(remedy)) {
            self.without_remedy.push(code);
        }
        assert_eq!(page["links"], json!(links), "{code} leads on");
        for (label, href) in links.iter().zip(page["hrefs"].as_array().expect("addresses")) {
            let href = href.as_str().expect("an address");
            let is_right = match *label {
                "To the home page" => href == "/",
                "Try again" => href.is_empty(),
                "Sign in" | "Sign in again" => href == "/auth/login" || href.starts_with("/auth/login?return_to="),
                "Use another account" => href.starts_with("/auth/login?prompt=select_account&return_to="),
                "Continue" => href.starts_with('/'),
                _ => false,
            };
            assert!(is_right, "{code}: {label} leads to {href:?}");
        }
        let request = page["request"].as_str().and_then(|text| text.strip_prefix("Request ")).unwrap_or_default();
        assert!(request.len() == 16 && request.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}: {page}");
    }

    /// By the link of the page that is there.
    async fn go_home(&self, app: &App) {
        self.chromium.follow("To the home page").await;
        self.chromium.land(&app.url("/")).await;
    }

    /// Goes to the provider, and gives the address that alice would be sent back to.
    async fn way_back(&self, app: &App) -> String {
        self.chromium.open(&app.url("/page")).await;
        self.chromium.arrive(app.dev.origin()).await;
        app.dev.approve(&self.chromium.url().await, &Account::alice()).unwrap()
    }

    async fn cookie(&self, part: &str) -> Cookie<'static> {
        let cookies = self.chromium.client.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name().contains(part)).expect("such a cookie")
    }

    async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({ "name": name, "value": value, "url": "http://localhost/", "httpOnly": true });
        let answer = self.chromium.devtools("Network.setCookie", cookie).await;
        assert_eq!(answer["success"], true, "{name}");
    }

    async fn forget_cookies(&self) {
        self.chromium.client.delete_all_cookies().await.unwrap();
    }
}

const WHAT_IT_SAYS: &str = "const texts = css => [...document.querySelectorAll(css)].map(it => it.textContent.trim());
    return { title: document.title, heading: texts('h1')[0], said: texts('p:not([class])'), links: texts('.links a'),
        hrefs: [...document.querySelectorAll('.links a')].map(it => it.getAttribute('href')), code: texts('p.code')[0], request: texts('p.request')[0] }";

/// What a site might make of a page.
fn in_own_looks(page: &Page<'_>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><meta name=viewport content=\"width=device-width\"><title>{}</title><style>\
         body{{font-family:serif;background:#f3ead7;color:#3b2a1a;max-width:30rem;margin:3rem auto;padding:0 1rem;\
         overflow-wrap:anywhere}}a{{color:#7a2e12}}</style><h1>Tea house</h1><h2>{}</h2>",
        page.title(),
        page.title()
    );
    for text in page.paragraphs() {
        html += &format!("<p>{}</p>", Page::escape(&text));
    }
    html += "<nav>";
    for link in page.links() {
        html += &format!("<a href=\"{}\">{}</a> ", Page::escape(link.href()), link.action().label());
    }
    html + &format!("</nav><hr><p><span id=code>{}</span> {}</p>", page.kind().code(), page.request_id())
}

/// With a form to sign out, and one that posts to another origin.
fn with_a_way_out(page: &Page<'_>) -> String {
    in_own_looks(page)
        + "<form method=post action=/auth/logout><button id=signout>Sign out</button></form>\
           <form method=post action=http://127.0.0.1:9/><button id=away>Elsewhere</button></form>"
}
