//! Responses that are still being made while the session of their request ends. The browser may hold another cookie when
//! they come, so they bring none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower_signin::Builder;
use tower_signin::dev::Account;

use crate::Visit::{Kept, Over, Renewed};
use crate::site::{BOB_ANSWER, CODE, Site, deleted, set_cookies};
use crate::support::{Browser, navigation};
use crate::{Inner, SESSION, Visit, at, inner, max_age, open, sign_out, through, visit};

/// Ten seconds are a tenth of it.
const IDLE: Duration = Duration::from_secs(100);

/// A site, and an inner service whose answers wait.
struct Slow {
    site: Site,
    inner: Inner,
    begun: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let site = Site::with(|builder| configure(builder.session_idle_timeout(IDLE)));
        let (begun, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (called, permits) = (Arc::clone(&begun), Arc::clone(&answers));
        let inner = inner(move |_| {
            called.add_permits(1);
            let permits = Arc::clone(&permits);
            async move {
                permits.acquire().await.unwrap().forget();
                Response::new(Full::default())
            }
        });
        Self { site, inner, begun, answers }
    }

    /// Has the inner service begin with an answer.
    async fn begin(&self, browser: &Browser, path: &str) -> JoinHandle<Response<Bytes>> {
        let response = tokio::spawn(through(&self.site.sign_in, &self.inner, browser, path));
        self.begun.acquire().await.unwrap().forget();
        response
    }

    /// Has one answer come.
    async fn finish(&self, response: JoinHandle<Response<Bytes>>) -> Vec<String> {
        self.answers.add_permits(1);
        set_cookies(&response.await.unwrap())
    }
}

/// What happens in a browser while a response is being made.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    SomebodyElseSignsIn,
    AnotherResponseRenews,
    SignsOut,
    SignsOutAndIn,
    SignsInAnew,
    SignsInAsAlice,
    /// Login came before the session did.
    SignsInKnownAtTheCallback,
    /// The cookie was lost before the callback.
    SignsInKnownAtLogin,
    /// The cookie was lost before login.
    Expires,
    ExpiresAndSignsIn,
    LogoutIsRefused,
    ADoubleClickComes,
}

#[tokio::test]
async fn a_renewal_that_comes_late_brings_nothing_back() {
    use Meanwhile::*;
    let cases = [
        (Nothing, true),
        (SomebodyElseSignsIn, true),
        (AnotherResponseRenews, true),
        (LogoutIsRefused, true),
        (ADoubleClickComes, true),
        (SignsOut, false),
        (SignsOutAndIn, false),
        (SignsInAnew, false),
        (SignsInAsAlice, false),
        (SignsInKnownAtTheCallback, false),
        (SignsInKnownAtLogin, false),
        (Expires, false),
        (ExpiresAndSignsIn, false),
    ];
    for (meanwhile, is_renewed) in cases {
        let slow = Slow::new();
        let site = &slow.site;
        let mut browser = Browser::new();
        let earlier_tab = site.start(&mut browser, "/").await;
        let started = site.start(&mut browser, "/").await;
        let at_callback = browser.jar.clone();
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        let session = browser.jar[SESSION].clone();

        site.clock.set(at(10));
        let late = slow.begin(&browser, "/").await;
        match meanwhile {
            Nothing => {}
            SomebodyElseSignsIn => drop(site.signed_in().await),
            AnotherResponseRenews => assert_eq!(open(site, &mut browser).await, Renewed(100)),
            LogoutIsRefused => {
                let request = navigation(Method::POST, site.sign_in.logout_path(), "cross-site");
                assert_eq!(site.visit(&mut browser, request).await.status(), 403);
            }
            ADoubleClickComes => {
                browser.jar.extend(at_callback);
                let again = site.get(&mut browser, &started.callback(CODE)).await;
                assert_eq!(again.status(), 303);
                assert_eq!(browser.jar[SESSION], session, "the same session");
            }
            SignsOut => sign_out(site, &mut browser).await,
            SignsOutAndIn => {
                sign_out(site, &mut browser).await;
                site.complete(&mut browser, "/").await;
            }
            SignsInAnew => drop(site.complete(&mut browser, "/").await),
            SignsInAsAlice => {
                site.upstream.answer(200, alice_answer());
                site.complete(&mut browser, "/").await;
            }
            SignsInKnownAtTheCallback => drop(site.get(&mut browser, &earlier_tab.callback(CODE)).await),
            SignsInKnownAtLogin => {
                let again = site.start(&mut browser, "/").await;
                browser.jar.remove(SESSION);
                site.get(&mut browser, &again.callback(CODE)).await;
            }
            Expires => site.clock.set(at(100)),
            ExpiresAndSignsIn => {
                site.clock.set(at(100));
                browser.jar.remove(SESSION);
                site.complete(&mut browser, "/").await;
            }
        }
        let cookies: Vec<_> = slow.finish(late).await.iter().map(|cookie| max_age(cookie)).collect();
        assert_eq!(cookies, if is_renewed { vec![100] } else { vec![] }, "{meanwhile:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_comes_late_leaves_a_new_session_alone() {
    use Meanwhile::*;
    type Mode = fn(Builder) -> Builder;
    let modes: [Mode; 2] = [|builder| builder, Builder::forward_callback];
    let cookies = [("over", 100), ("forged", 10)];
    let kinds = modes.into_iter().flat_map(|mode| cookies.map(|(name, second)| (mode, name, second)));
    let cases = [
        (Nothing, true),
        (SignsOut, true),
        (SignsInAnew, false),
        (SignsInKnownAtLogin, false),
        (SignsOutAndIn, false),
        (Expires, true),
        (ExpiresAndSignsIn, false),
        (SomebodyElseSignsIn, false),
    ];
    for ((mode, name, second), (meanwhile, is_deleted)) in kinds.flat_map(|kind| cases.map(|case| (kind, case))) {
        let slow = Slow::with(mode);
        let site = &slow.site;
        let mut browser = Browser::new();
        site.complete(&mut browser, "/").await;
        if name == "forged" {
            // The last character holds bits that are not used; the one before it is of the tag.
            let value = browser.jar.get_mut(SESSION).unwrap();
            let (at, replacement) =
                (value.len() - 2, if value.as_bytes()[value.len() - 2] == b'A' { "B" } else { "A" });
            value.replace_range(at..=at, replacement);
        }
        site.clock.set(at(second));
        let late = slow.begin(&browser, "/").await;
        match meanwhile {
            SignsOut => sign_out(site, &mut browser).await,
            // Another response has deleted it, or the browser by itself.
            SignsOutAndIn => {
                assert_eq!(open(site, &mut browser).await, Over, "{name}");
                site.complete(&mut browser, "/").await;
            }
            ExpiresAndSignsIn => {
                browser.jar.remove(SESSION);
                site.complete(&mut browser, "/").await;
            }
            SignsInAnew => drop(site.complete(&mut browser, "/").await),
            SignsInKnownAtLogin => {
                let again = site.start(&mut browser, "/").await;
                browser.jar.remove(SESSION);
                site.get(&mut browser, &again.callback(CODE)).await;
            }
            SomebodyElseSignsIn => drop(site.complete(&mut Browser::new(), "/").await),
            _ => {}
        }
        let expected = if is_deleted { vec![deleted(SESSION)] } else { vec![] };
        assert_eq!(slow.finish(late).await, expected, "{name}: {meanwhile:?}");
        if let SomebodyElseSignsIn = meanwhile {
            assert_eq!(open(site, &mut browser).await, Over, "{name}: the next response deletes it");
        }
    }
}

/// In forward mode the handler decides, so nothing is replaced before it has let somebody in.
#[tokio::test]
async fn a_handler_that_refuses_replaces_nothing() {
    for (status, is_replaced) in [(200, true), (303, true), (400, false), (403, false), (500, false)] {
        let slow = Slow::with(Builder::forward_callback);
        let site = &slow.site;
        let mut browser = Browser::new();
        assert_eq!(site.complete(&mut browser, "/").await.status(), 200);
        site.clock.set(at(10));
        let late = slow.begin(&browser, "/").await;

        let started = site.start(&mut browser, "/").await;
        let handler = inner(move |_| async move {
            let status = StatusCode::from_u16(status).unwrap();
            Response::builder().status(status).body(Full::default()).unwrap()
        });
        let answer = through(&site.sign_in, &handler, &browser, &started.callback(CODE)).await;
        let has_session = set_cookies(&answer).iter().any(|cookie| cookie.starts_with(&format!("{SESSION}=")));
        assert_eq!((answer.status().as_u16(), has_session), (status, is_replaced));

        let renewed = slow.finish(late).await;
        assert_eq!(renewed.len(), usize::from(!is_replaced), "{status}: {renewed:?}");
    }
}

/// A browser that asks twice reaches the handler twice, and the second answer may come when the session is over.
#[tokio::test]
async fn the_second_answer_to_a_callback_does_not_bring_an_ended_session_back() {
    use Meanwhile::*;
    for (meanwhile, has_session) in [(Nothing, true), (SignsOut, false), (SignsInAnew, false)] {
        let slow = Slow::with(Builder::forward_callback);
        let site = &slow.site;
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let second = slow.begin(&browser, &started.callback(CODE)).await;
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 200);
        match meanwhile {
            SignsOut => sign_out(site, &mut browser).await,
            SignsInAnew => drop(site.complete(&mut browser, "/").await),
            _ => {}
        }
        let cookies = slow.finish(second).await;
        assert!(cookies.contains(&started.flow_deleted()), "{meanwhile:?}: {cookies:?}");
        let session = cookies.iter().any(|cookie| cookie.starts_with(&format!("{SESSION}=")));
        assert_eq!(session, has_session, "{meanwhile:?}: {cookies:?}");
        if let SignsInAnew = meanwhile {
            assert_eq!(visit(site, &mut browser, 10).await, Renewed(100), "the new session has not been replaced");
        }
    }
}

/// What a late response does not bring, the next one does.
#[tokio::test]
async fn a_session_that_was_renewed_by_nobody_goes_on_to_its_end() {
    let slow = Slow::new();
    let mut browser = slow.site.signed_in().await;
    slow.site.clock.set(at(10));
    let late = slow.begin(&browser, "/").await;
    late.abort();
    assert!(late.await.is_err(), "the client went away");
    let steps: [(i64, Visit); 3] = [(99, Renewed(100)), (100, Kept), (199, Over)];
    for (second, expected) in steps {
        assert_eq!(visit(&slow.site, &mut browser, second).await, expected, "second {second}");
    }
}

fn alice_answer() -> String {
    let Account { address, chain, bitbadges_address, .. } = Account::alice();
    let mut answer: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
    answer["address"] = address.into();
    answer["chain"] = chain.into();
    answer["bitbadgesAddress"] = bitbadges_address.into();
    answer.to_string()
}
