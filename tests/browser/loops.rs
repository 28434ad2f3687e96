//! Cookies that don't last: nobody is sent round and round.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{map_request, map_response};
use axum::response::Response;
use axum::routing::get;
use http::header::SET_COOKIE;
use serde_json::json;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Grant, Keys, ManualClock, Provider, SignIn};

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::look;
use crate::providers::SaysYes;
use crate::{approve, assert_page, assert_subject, come_from_elsewhere, cookie_names};

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_browser_that_refuses_cookies_is_told_so_at_once() {
    let app = App::start().await;
    let preferences = json!({ "profile.default_content_setting_values.cookies": 2 });
    let chromium = Chromium::start_with(&preferences).await;
    for _ in 0..2 {
        app.forget();
        chromium.open(&app.url("/page")).await;
        approve(&app, &chromium, "alice").await;
        chromium.arrive(&app.url("/auth/callback?")).await;
        assert_page(&chromium, 400, "cookies_refused").await;
        assert_eq!(cookie_names(&chromium).await, [""; 0]);
        let came = ["/page", "/auth/login", "/auth/callback"].map(|path| app.seen(path).len());
        assert_eq!(came, [1, 1, 1], "there is no loop");
    }
    assert_eq!(app.dev.requests().len(), 0, "nothing was exchanged");
    look(&chromium, "cookies-refused").await;
    chromium.follow("Sign in").await;
    chromium.arrive(app.dev.origin()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_session_that_does_not_last_ends_the_third_round_with_the_cause() {
    for way in [Way::Taken, Way::Altered, Way::Doubled] {
        let dev = DevProvider::start().await.unwrap();
        let provider = dev.siwbb();
        let spoil = |app: Router, session: &str| spoiling(app, session.to_owned(), way);
        let app = App::start_on(dev, provider, |builder| builder, spoil).await;
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/page?x=1")).await;
        for round in 1..=3 {
            chromium.arrive(app.dev.origin()).await;
            assert_eq!(app.seen("/auth/login").len(), round, "{way:?}");
            approve(&app, &chromium, "alice").await;
        }
        chromium.arrive(&app.url("/auth/login?")).await;
        assert_page(&chromium, 400, "sign_in_loop").await;
        let words = chromium.text("main").await;
        let name = app.origin.replace("http://localhost:", "signin-");
        assert!(words.contains(&way.cause().replace("NAME", &name)), "{way:?}: {words}");
        assert_eq!(app.seen("/auth/login").len(), 4, "{way:?}");
        assert_eq!(app.dev.requests().len(), 3, "{way:?}");
        assert_eq!(app.ran(), [""; 0], "{way:?}");
        let names = cookie_names(&chromium).await;
        assert!(!names.iter().any(|name| name.ends_with("-rounds")), "{way:?}: counting starts anew: {names:?}");
        look(&chromium, &format!("sign-in-loop-{way:?}").to_lowercase()).await;

        chromium.follow("Sign in").await;
        chromium.arrive(app.dev.origin()).await;
        for _ in 1..=3 {
            approve(&app, &chromium, "alice").await;
        }
        chromium.arrive(&app.url("/auth/login?return_to=%2Fpage%3Fx%3D1")).await;
        assert_page(&chromium, 400, "sign_in_loop").await;
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn servers_that_do_not_share_their_keys_are_a_loop_too() {
    for slowness in [0, 9] {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let app = start_with_another_server(&clock, Duration::from_secs(slowness)).await;
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/elsewhere?x=1")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/auth/login?return_to=%2Felsewhere%3Fx%3D1")).await;
        assert_recognised_here_only(&app, &chromium, &[303, 303, 303, 303, 303, 400]).await;
        assert_eq!(app.dev.requests().len(), 1, "the provider was asked once");
    }
}

/// A link from elsewhere ends at the page without any provider; a typed address, by way of it. Both again and again.
#[tokio::test]
#[ignore = "needs chromium"]
async fn servers_that_do_not_share_their_keys_are_a_loop_however_old_the_session_is() {
    for (age, slowness) in [(61, 0), (61, 9), (3600, 0), (23 * 3600, 9)] {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let app = start_with_another_server(&clock, Duration::from_secs(slowness)).await;
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/page")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page")).await;
        clock.advance(Duration::from_secs(age));

        for _ in 0..2 {
            app.forget();
            come_from_elsewhere(&app, &chromium, "/elsewhere?x=1").await;
            chromium.land(&app.url("/auth/login?return_to=%2Felsewhere%3Fx%3D1")).await;
            assert_recognised_here_only(&app, &chromium, &[303, 303, 303, 303, 400]).await;
            assert_eq!(app.dev.requests().len(), 1, "nobody was sent to the provider");
        }
        if (age, slowness) == (3600, 0) {
            look(&chromium, "sign-in-loop-recognised-here-only").await;
        }

        app.forget();
        chromium.follow("Sign in again").await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/auth/login?return_to=%2Felsewhere%3Fx%3D1")).await;
        assert_recognised_here_only(&app, &chromium, &[303, 303, 303, 303, 303, 400]).await;

        clock.advance(Duration::from_secs(61));
        app.forget();
        chromium.open(&app.url("/elsewhere")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/auth/login?return_to=%2Felsewhere")).await;
        assert_recognised_here_only(&app, &chromium, &[303, 303, 303, 303, 303, 400]).await;
        assert_eq!(app.dev.requests().len(), 3);
        chromium.open(&app.url("/page")).await;
        assert_subject(&chromium, &Account::alice()).await;
    }
}

/// For Chromium a typed address is one through all redirects, so login never sends anybody back.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_provider_that_says_yes_by_itself_makes_no_endless_loop_either() {
    for slowness in [0, 9] {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let dev = DevProvider::start().await.unwrap();
        let says_yes = SaysYes(|| Grant::new("somebody", &json!({})));
        let app = start_with_another_server_on(dev, says_yes, &clock, Duration::from_secs(slowness)).await;
        let chromium = Chromium::start().await;
        for _ in 0..2 {
            app.forget();
            chromium.open(&app.url("/elsewhere?x=1")).await;
            chromium.land(&app.url("/auth/login?return_to=%2Felsewhere%3Fx%3D1")).await;
            assert_recognised_here_only(&app, &chromium, &[303, 303, 303, 400]).await;
            assert_eq!(app.seen("/auth/callback").len(), 3);
            clock.advance(Duration::from_secs(61));
        }
        chromium.open(&app.url("/page")).await;
        assert_eq!(chromium.text("#subject").await, "somebody");
    }
}

/// The app, and at `/elsewhere` a guard with keys of its own. Each time that guard is asked, so much time passes.
async fn start_with_another_server(clock: &Arc<ManualClock>, slowness: Duration) -> App {
    let dev = DevProvider::start().await.unwrap();
    let provider = dev.siwbb();
    start_with_another_server_on(dev, provider, clock, slowness).await
}

async fn start_with_another_server_on(
    dev: DevProvider,
    provider: impl Provider,
    clock: &Arc<ManualClock>,
    slowness: Duration,
) -> App {
    let elsewhere = dev.siwbb();
    let later = Arc::clone(clock);
    let with_another_server = |app: Router, session: &str| {
        let redirect_uri = session.replace("signin-", "http://localhost:") + "/auth/callback";
        let other = SignIn::builder(elsewhere).redirect_uri(redirect_uri).keys(Keys::generate().unwrap());
        let other = other.clock(Arc::clone(&later)).build().unwrap();
        let wait = map_request(move |request: Request| {
            later.advance(slowness);
            std::future::ready(request)
        });
        let page = Router::new().route("/elsewhere", get(async || "never").layer(other.require()));
        page.layer(other.layer()).layer(wait).merge(app)
    };
    App::start_on(dev, provider, |builder| builder.clock(Arc::clone(clock)), with_another_server).await
}

/// The page that ends the loop, after login answered in these ways since the app forgot.
async fn assert_recognised_here_only(app: &App, chromium: &Chromium, statuses: &[u16]) {
    assert_page(chromium, 400, "sign_in_loop").await;
    let words = chromium.text("main").await;
    for part in
        ["You are signed in as ", "This server recognises you, but the page that sent you here does not.", "operators"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    let answered: Vec<_> = app.seen("/auth/login").into_iter().filter_map(|seen| seen.status).collect();
    assert_eq!(answered, statuses);
    assert_eq!(app.ran(), [""; 0]);
    let session = app.origin.replace("http://localhost:", "signin-");
    assert!(cookie_names(chromium).await.contains(&session), "nobody is signed out by it");
}

/// Signing out and in again is what people do who try things out.
#[tokio::test]
#[ignore = "needs chromium"]
async fn who_signs_out_and_in_again_many_times_meets_no_loop() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    for _ in 0..5 {
        chromium.open(&app.url("/page")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page")).await;
        chromium.open(&app.url("/")).await;
        assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);
        chromium.click("#signout").await;
        chromium.settle(&app.url("/"), "return document.querySelector('#subject')?.textContent == 'nobody'").await;
        assert_eq!(cookie_names(&chromium).await, [""; 0]);
    }
}

/// How a proxy, or another program on the same host, spoils the session cookie.
#[derive(Clone, Copy, Debug)]
enum Way {
    Taken,
    Altered,
    Doubled,
}

impl Way {
    fn cause(self) -> &'static str {
        match self {
            Self::Taken => "did not send the session cookie NAME back",
            Self::Altered => "sent a session cookie NAME that this server can't accept",
            Self::Doubled => "sent two session cookies NAME, and this server believes neither",
        }
    }
}

/// Other cookies pass as they are.
fn spoiling(app: Router, session: String, way: Way) -> Router {
    app.layer(map_response(move |mut response: Response| {
        let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().cloned().collect();
        response.headers_mut().remove(SET_COOKIE);
        for cookie in cookies {
            let text = cookie.to_str().unwrap();
            let spoilt = match (text.strip_prefix(&format!("{session}=")), way) {
                (None, _) => vec![text.to_owned()],
                (Some(_), Way::Taken) => Vec::new(),
                (Some(value), Way::Altered) => vec![format!("{session}=A{value}")],
                (Some(_), Way::Doubled) => {
                    let planted = |path| format!("{session}=planted; Path={path}");
                    vec![text.to_owned(), planted("/page"), planted("/auth")]
                }
            };
            for cookie in spoilt {
                response.headers_mut().append(SET_COOKIE, cookie.parse().unwrap());
            }
        }
        std::future::ready(response)
    }))
}
