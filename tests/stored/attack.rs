//! Who can write to the store, break it, or keeps old cookies, gains nothing by it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, ManualClock, SessionEnd, SessionRecord};

use crate::Visit::{Ignored, Over};
use crate::double::{Double, Fault, KINDS, Kind, STEPS, Step};
use crate::log::Log;
use crate::site::{BOB, CODE, Started, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::{SESSION, Stored, ask, at, fetch, identity, node, open, page, ring, said, settle, sign_out, told};

/// The one worker of a buffer would be gone for everybody.
#[tokio::test]
async fn a_store_that_panics_shuts_nobody_else_out() {
    for fault in [Fault::Panics, Fault::PanicsAtOnce] {
        for kind in KINDS {
            let stored = Stored::new(kind);
            let browser = stored.signed_in().await;
            stored.store.fail(&STEPS, fault);
            let mut service = BufferLayer::new(8).layer(stored.sign_in_service());
            let with_cookie = page("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
            let panicked = service.ready().await.unwrap().call(with_cookie).await;
            assert_eq!(panicked.unwrap().status(), 200, "{kind:?}, {fault:?}");
            let other = service.ready().await.unwrap().call(page("/").body(Bytes::new()).unwrap()).await;
            assert_eq!(other.unwrap().status(), 200, "{kind:?}, {fault:?}");
        }
    }
}

/// The check of a session notes its time in the record, and another request has moved the end meanwhile.
#[tokio::test]
async fn the_note_of_a_check_takes_no_time_away() {
    let idle = Duration::from_secs(100);
    for kind in KINDS {
        let stored =
            Stored::with(kind, |builder| builder.session_idle_timeout(idle).recheck_every(Duration::from_secs(60)));
        let browser = stored.signed_in().await;
        stored.clock.set(at(63));
        let touch = stored.store.hold_next(Step::Touch);
        touch.before.add_permits(1);
        let request = page("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let first = tokio::spawn(stored.sign_in_service().oneshot(request));
        settle().await;
        let load = stored.store.hold_next(Step::Load);
        load.before.add_permits(1);
        touch.after.add_permits(1);
        settle().await;
        assert_eq!(stored.store.session().1.expires_at(), at(163), "{kind:?}");
        // The record has been read for the note, and the next page is opened.
        stored.clock.set(at(83));
        let request = page("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let second = tokio::spawn(stored.sign_in_service().oneshot(request));
        settle().await;
        assert_eq!(stored.store.session().1.expires_at(), at(183), "{kind:?}");
        load.after.add_permits(1);
        settle().await;
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert!(stored.store.session().1.expires_at() >= at(183), "{kind:?}: {:?}", stored.store.session().1);
        assert_eq!(stored.store.session().1.generation(), 1, "{kind:?}: it was noted");
    }
}

/// Who writes any end into the store keeps no stream beyond the session's own.
#[tokio::test(start_paused = true)]
async fn an_end_in_the_store_keeps_no_stream_open_beyond_the_session() {
    for kind in KINDS {
        // It never takes a session for over.
        let store = Double::new(kind, &Arc::new(ManualClock::new(at(0))));
        let clock = Arc::new(ManualClock::new(at(0)));
        let site = node(&store, &clock, |builder| builder.session_lifetime(Duration::from_secs(600)));
        let browser = site.signed_in().await;
        let waiting = tokio::spawn(identity(&site, &browser).await.unwrap().ended());
        store.falsify(|record| SessionRecord::new(record.bytes(), record.generation(), at(1 << 40)));
        let pass = async |from: i64, to: i64| {
            for second in (from..=to).step_by(10) {
                clock.set(at(second));
                settle().await;
                tokio::time::advance(Duration::from_secs(10)).await;
            }
            settle().await;
        };
        pass(0, 590).await;
        assert!(!waiting.is_finished(), "{kind:?}");
        pass(600, 660).await;
        assert!(waiting.is_finished(), "{kind:?}");
        assert_eq!(waiting.await.unwrap(), SessionEnd::Expired, "{kind:?}");
    }
}

/// Ends that no clock shows, and generations that can't go on.
#[tokio::test]
async fn absurd_ends_and_generations_panic_nowhere_and_lengthen_nothing() {
    let ends = [
        UNIX_EPOCH - Duration::from_secs(1 << 40),
        UNIX_EPOCH,
        UNIX_EPOCH + Duration::from_secs(u64::MAX >> 2),
        UNIX_EPOCH + Duration::from_secs(u64::MAX >> 1),
    ];
    const DAY: i64 = 24 * 60 * 60;
    let seconds = Duration::from_secs;
    let configure = |builder: Builder| builder.session_idle_timeout(seconds(1000)).recheck_every(seconds(60));
    for kind in KINDS {
        for end in ends {
            for generation in [0, 1, u64::MAX - 1, u64::MAX] {
                let name = format!("{kind:?}, {end:?}, {generation}");
                // It never takes a session for over.
                let store = Double::new(kind, &Arc::new(ManualClock::new(at(0))));
                let clock = Arc::new(ManualClock::new(at(0)));
                let site = node(&store, &clock, |builder| configure(builder).keys(ring(&[1, 2])));
                // Another key and stricter settings, so that the record is to be written anew.
                let other = node(&store, &clock, |builder| {
                    builder.keys(ring(&[2, 1])).session_idle_timeout(seconds(500)).recheck_every(seconds(60))
                });
                let browser = site.signed_in().await;
                store.falsify(move |record| SessionRecord::new(record.bytes(), generation, end));
                for second in [0, 61, 500, DAY - 1, DAY, DAY + 1] {
                    clock.set(at(second));
                    for site in [&site, &other] {
                        let is_over = end <= UNIX_EPOCH || second >= DAY;
                        let visit = open(site, &mut browser.clone()).await;
                        assert_eq!(visit == Over, is_over, "{name}, {second}: {visit:?}");
                        assert_ne!(visit, Ignored, "{name}, {second}");
                        settle().await;
                    }
                }
                // Nor do clocks panic that show what no store holds.
                for now in ends {
                    clock.set(now);
                    open(&site, &mut browser.clone()).await;
                    settle().await;
                }
            }
        }
    }
}

/// An old record that comes back after the sign-out opens nothing here, nor one that was put under another key.
#[tokio::test]
async fn a_record_that_is_put_back_signs_nobody_in_where_it_was_ended() {
    use tower_signin::SessionStore as _;
    for kind in KINDS {
        let stored = Stored::new(kind);
        let (mut browser, other) = (stored.signed_in().await, stored.signed_in().await);
        let copy = browser.clone();
        let before = stored.store.sessions();
        let (key, record) = before[0].clone();
        sign_out(&stored.site, &mut browser).await;
        assert!(stored.store.create(key, record.clone()).await.unwrap());
        assert_eq!(open(&stored.site, &mut copy.clone()).await, Ignored, "{kind:?}");
        assert_eq!(stored.site.complete(&mut copy.clone(), "/").await.status(), 303, "{kind:?}");
        // Under the key of the other session.
        stored.store.delete(before[1].0).await.unwrap();
        assert!(stored.store.create(before[1].0, record).await.unwrap());
        assert_eq!(open(&stored.site, &mut other.clone()).await, Ignored, "{kind:?}");
    }
}

/// A stored id beside parts of a session in cookies, in every mixture.
#[tokio::test]
async fn ids_and_parts_of_sealed_sessions_do_not_mix() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        let id = browser.jar[SESSION].clone();
        let large = stored.without_store();
        let sealed = large.signed_in().await.jar[SESSION].clone();
        let half = sealed.len() / 2;
        let cases = [
            (vec![(SESSION, id.clone()), ("__Host-signin.1", sealed.clone())], BOB),
            (vec![(SESSION, format!("2.{id}")), ("__Host-signin.1", sealed.clone())], "nobody"),
            (vec![(SESSION, format!("2.{}", &id[..40])), ("__Host-signin.1", id[40..].to_owned())], "nobody"),
            (
                vec![(SESSION, format!("2.{}", &sealed[..half])), ("__Host-signin.1", sealed[half..].to_owned())],
                "nobody",
            ),
            (vec![("__Host-signin.1", id.clone())], "nobody"),
            (vec![(SESSION, sealed.clone()), ("__Host-signin.1", id.clone())], BOB),
            (vec![("__Host-signin-tokens", id.clone())], "nobody"),
            (vec![(SESSION, format!("{id}{sealed}"))], "nobody"),
        ];
        for (index, (cookies, expected)) in cases.into_iter().enumerate() {
            let mut mixed = Browser::new();
            mixed.jar.extend(cookies.into_iter().map(|(name, value)| (name.to_owned(), value)));
            let response = stored.site.get(&mut mixed, "/").await;
            assert_eq!(text(&response), expected, "{kind:?}, case {index}");
        }
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}: nothing was deleted");
    }
}

/// Ten thousand cookies are one look each.
#[tokio::test]
async fn ten_thousand_cookies_ask_the_store_once_or_never() {
    for kind in KINDS {
        let stored = Stored::with(kind, tower_signin::Builder::hide_cookies);
        let browser = stored.signed_in().await;
        let own = browser.cookie_header().unwrap();
        let many = |other: &str| vec![other; 10_000].join("; ");
        for (header, asked) in [
            (format!("{}; {own}", many("a=b")), 1),
            (format!("{}; {own}", many("__Host-signin.1=x")), 1),
            (format!("{}; {own}", many("__Host-signin-flow-0123456789abcdef0123456789=x")), 1),
            (many(&own), 0),
        ] {
            stored.store.forget();
            let request = page("/").header(COOKIE, header).body(Bytes::new()).unwrap();
            let response = stored.site.send(request).await;
            assert_eq!(
                (text(&response), stored.store.count(Step::Load)),
                (if asked == 1 { BOB } else { "nobody" }, asked)
            );
        }
    }
}

/// While the store is away no page of ours leads elsewhere.
#[tokio::test]
async fn unavailable_pages_lead_nowhere_else() {
    let stored = Stored::new(Kind::Sealed);
    let browser = stored.signed_in().await;
    stored.store.fail(&STEPS, Fault::Unreachable);
    let targets =
        ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\"><b>evil.example"];
    for target in targets {
        for path in [stored.site.login(target), stored.site.login(target).replace("login", "logout")] {
            for (method, site) in [(Method::GET, "none"), (Method::GET, "cross-site"), (Method::POST, "same-origin")] {
                let response = stored.site.visit(&mut browser.clone(), navigation(method, &path, site)).await;
                let location = response.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
                let is_safe = |it: &str| it.starts_with('/') && !it.starts_with("//") && !it.starts_with("/\\");
                assert!(location.as_deref().is_none_or(is_safe), "{path}: {location:?}");
                let body = text(&response);
                for link in body.split("href=\"").skip(1) {
                    assert!(link.starts_with('"') || is_safe(link), "{path}: {link}");
                }
                assert!(!body.contains("<b>"), "{path}");
            }
        }
    }
    let guarded = ask(&stored.site, &browser, fetch("/guarded")).await;
    assert_eq!(told(&guarded), said(503, "session_unavailable"));
    assert!(set_cookies(&guarded).is_empty());
}

/// Sign-outs with a copied cookie while the store hangs: tasks end, each with its own time limit.
#[tokio::test(start_paused = true)]
async fn a_flood_of_sign_outs_leaves_no_task_behind() {
    let stored = Stored::new(Kind::Later);
    let browser = stored.signed_in().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    stored.store.fail(&[Step::Delete], Fault::Hangs);
    for _ in 0..1000 {
        let logout = http::Request::post("/api/logout").header("sec-fetch-site", "same-origin");
        let logout: Request<Bytes> =
            logout.header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let task = tokio::spawn(stored.sign_in_service().oneshot(logout));
        settle().await;
        task.abort();
    }
    assert_eq!(stored.store.count(Step::Delete), 1000, "each tries, since none was told that the store knows");
    tokio::time::sleep(Duration::from_secs(6)).await;
    settle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

/// One hanging look holds the only turn of a service that takes one request at a time, and no longer than it may.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_blocks_a_limited_service_for_seconds_only() {
    let stored = Stored::new(Kind::Later);
    let browser = stored.signed_in().await;
    stored.store.fail(&STEPS, Fault::Hangs);
    let limited = ConcurrencyLimitLayer::new(1)
        .layer(service_fn(|_: Request<Bytes>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
    let service = stored.site.sign_in.layer().layer(limited);
    let request = page("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
    let began = Instant::now();
    let hanging = tokio::spawn(service.clone().oneshot(request));
    settle().await;
    let login = page("/api/login").body(Bytes::new()).unwrap();
    assert_eq!(service.clone().oneshot(login).await.unwrap().status(), 303);
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(hanging.await.unwrap().unwrap().status(), 200);
}

/// Each node behind one address keeps sessions of its own: a mistake that must end on a page, not in a loop.
#[tokio::test]
async fn nodes_that_share_no_store_end_the_loop_on_a_page() {
    for kind in KINDS {
        let (one, other) = (Stored::new(kind), Stored::new(kind));
        let mut browser = Browser::new();
        for round in 0.. {
            assert!(round < 20, "{kind:?}: a loop");
            let login = navigation(Method::GET, &one.site.login("/guarded"), "same-origin");
            let response = one.site.visit(&mut browser, login).await;
            if response.status() != 303 {
                assert_eq!(told(&response).1, "sign_in_loop", "{kind:?}");
                break;
            }
            let started = Started::at(&location(&response));
            assert_eq!(one.site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "{kind:?}");
            let guarded = ask(&other.site, &browser, page("/guarded")).await;
            assert_eq!(guarded.status(), 303, "{kind:?}");
            browser.keep(&guarded);
        }
    }
}

/// Cookies, keys and records, at every level of the log, while the store fails in every way.
#[tokio::test(start_paused = true)]
async fn no_log_shows_a_cookie_a_key_or_a_record() {
    Log::start();
    let mut secrets = Vec::new();
    for kind in KINDS {
        for fault in [Fault::Unreachable, Fault::Failed, Fault::Hangs, Fault::Panics, Fault::PanicsAtOnce] {
            let idle = Duration::from_secs(100);
            let stored = Stored::with(kind, |builder| {
                builder.session_idle_timeout(idle).recheck_every(Duration::from_secs(60)).keep_tokens()
            });
            let mut browser = stored.signed_in().await;
            secrets.extend(secrets_of(&stored, &browser));
            for failing in [&STEPS[..], &[Step::Touch], &[Step::Update], &[Step::Delete]] {
                stored.store.fail(failing, fault);
                for second in [0, 65, 130] {
                    stored.clock.set(at(second));
                    for request in [page("/"), page(&stored.site.login("/x")), page("/api/callback?code=c&state=s")] {
                        stored.site.visit(&mut browser, request).await;
                    }
                    settle().await;
                }
            }
            stored.store.recover();
            let mut another = stored.site.signed_in().await;
            secrets.extend(secrets_of(&stored, &another));
            stored.store.falsify(|record| {
                SessionRecord::new([record.bytes(), &[0]].concat(), record.generation(), record.expires_at())
            });
            stored.site.visit(&mut another, page("/")).await;
            stored.store.falsify(|record| record);
            stored.store.fail(&[Step::Delete], fault);
            sign_out(&stored.site, &mut another).await;
            settle().await;
        }
    }
    let text = Log::text();
    for expected in ["session store", "still in the session store", "a record of the session store was changed"] {
        assert!(text.contains(expected), "nothing was logged of {expected:?}");
    }
    for secret in secrets {
        assert!(secret.len() >= 16, "{secret:?} is too short to search for");
        assert!(!text.contains(&secret), "{secret} is in the log");
    }
}

/// The cookies of a browser, and the newest session in every form in which a log could show it.
fn secrets_of(stored: &Stored, browser: &Browser) -> Vec<String> {
    let (key, record) = stored.store.sessions().pop().unwrap();
    let list = |bytes: &[u8]| format!("{:?}", &bytes[..8]).replace(['[', ']'], "");
    let mut secrets: Vec<_> = browser.jar.values().cloned().collect();
    secrets.extend([key.to_hex()[..32].to_owned(), URL_SAFE_NO_PAD.encode(key.as_bytes())]);
    secrets.extend([list(key.as_bytes()), list(record.bytes()), URL_SAFE_NO_PAD.encode(&record.bytes()[..30])]);
    secrets
}
