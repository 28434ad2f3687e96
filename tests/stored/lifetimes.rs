//! How long stored sessions last, and what puts their end off.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_signin::{Builder, SessionEnd};

use crate::Visit::{Kept, Over};
use crate::double::{Fault, KINDS, Kind, STEPS, Step};
use crate::site::set_cookies;
use crate::support::text;
use crate::{Stored, Visit, at, identity, open, ring, settle, sign_out};

/// The seconds of an absolute lifetime and of an idle timeout.
#[derive(Clone, Copy, Debug)]
struct Rules(u64, Option<u64>);

impl Rules {
    fn configure(self, builder: Builder) -> Builder {
        let builder = builder.session_lifetime(Duration::from_secs(self.0));
        self.1.map(Duration::from_secs).into_iter().fold(builder, Builder::session_idle_timeout)
    }

    fn stored(self, kind: Kind) -> Stored {
        Stored::with(kind, |builder| self.configure(builder))
    }
}

/// At each second, what the visit comes to and how often the end has been moved by then. No visit brings a cookie.
#[tokio::test]
async fn a_session_lives_by_use_up_to_its_absolute_end() {
    let cases: &[(&str, Rules, &[(i64, Visit, usize)])] = &[
        ("lifetime alone", Rules(600, None), &[(0, Kept, 0), (300, Kept, 0), (599, Kept, 0), (600, Over, 0)]),
        ("idle to the end", Rules(600, Some(100)), &[(100, Over, 0)]),
        ("idle nearly to the end", Rules(600, Some(100)), &[(99, Kept, 1), (198, Kept, 2), (298, Over, 2)]),
        (
            "moved after a tenth of the idle time and no sooner",
            Rules(600, Some(100)),
            &[(9, Kept, 0), (10, Kept, 1), (10, Kept, 1), (19, Kept, 1), (20, Kept, 2), (119, Kept, 3), (219, Over, 3)],
        ),
        (
            "over many idle times",
            Rules(600, Some(100)),
            &[
                (90, Kept, 1),
                (180, Kept, 2),
                (270, Kept, 3),
                (360, Kept, 4),
                (450, Kept, 5),
                (540, Kept, 6),
                (599, Kept, 6),
                (600, Over, 6),
            ],
        ),
        (
            "the last renewal gains less than a tenth",
            Rules(250, Some(100)),
            &[(90, Kept, 1), (145, Kept, 2), (150, Kept, 3), (151, Kept, 3), (249, Kept, 3), (250, Over, 3)],
        ),
        ("an idle time beyond the lifetime", Rules(100, Some(600)), &[(99, Kept, 0), (100, Over, 0)]),
        ("long over", Rules(100, Some(60)), &[(1_000_000_000, Over, 0)]),
    ];
    for kind in KINDS {
        for (name, rules, steps) in cases {
            let stored = rules.stored(kind);
            let mut browser = stored.signed_in().await;
            for (second, expected, touched) in *steps {
                let name = format!("{kind:?}, {name}: second {second}");
                assert_eq!(stored.visit(&mut browser, *second).await, *expected, "{name}");
                assert_eq!(
                    (stored.store.count(Step::Touch), stored.store.count(Step::Update)),
                    (*touched, 0),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_renewal_at_one_node_counts_at_every_other() {
    for kind in KINDS {
        let rules = Rules(600, Some(100));
        let stored = rules.stored(kind);
        let nodes = [stored.node(|builder| rules.configure(builder)), stored.node(|builder| rules.configure(builder))];
        let mut browser = stored.signed_in().await;
        for step in 1..=6 {
            stored.clock.set(at(step * 90));
            assert_eq!(open(&nodes[usize::try_from(step).unwrap() % 2], &mut browser).await, Kept, "{kind:?}: {step}");
        }
        stored.clock.set(at(600));
        assert_eq!(open(&nodes[0], &mut browser).await, Over, "{kind:?}");
    }
}

/// Each step goes to a node with the settings before (0) or after (1) a deployment.
#[tokio::test]
async fn settings_that_change_count_for_sessions_that_are_there() {
    let cases: &[(&str, [Rules; 2], &[(usize, i64, Visit)])] = &[
        ("a shorter lifetime counts at once", [Rules(600, None), Rules(100, None)], &[(1, 99, Kept), (1, 100, Over)]),
        (
            "a new idle timeout counts from the next request on",
            [Rules(600, None), Rules(600, Some(100))],
            &[(1, 300, Kept), (1, 399, Kept), (1, 499, Over)],
        ),
        (
            "a shorter idle timeout counts from the next request on",
            [Rules(9000, Some(5000)), Rules(9000, Some(100))],
            &[(1, 4000, Kept), (1, 4099, Kept), (1, 4199, Over)],
        ),
        (
            "a longer idle timeout counts from the next request on",
            [Rules(9000, Some(100)), Rules(9000, Some(5000))],
            &[(1, 99, Kept), (1, 5098, Kept), (1, 9000, Over)],
        ),
        (
            "an idle timeout that is gone holds until the next request",
            [Rules(600, Some(100)), Rules(600, None)],
            &[(1, 99, Kept), (1, 599, Kept), (1, 600, Over)],
        ),
        ("one that is gone, and nobody came", [Rules(600, Some(100)), Rules(600, None)], &[(1, 100, Over)]),
        (
            "a longer lifetime counts for new sessions only",
            [Rules(100, None), Rules(600, None)],
            &[(1, 99, Kept), (1, 100, Over)],
        ),
        (
            "both by turns while the deployment lasts",
            [Rules(600, Some(100)), Rules(600, Some(120))],
            &[(1, 1, Kept), (0, 2, Kept), (1, 50, Kept), (0, 60, Kept), (1, 100, Kept), (0, 199, Kept), (1, 280, Kept)],
        ),
    ];
    for kind in KINDS {
        for (name, rules, steps) in cases {
            let stored = rules[0].stored(kind);
            let nodes = rules.map(|rules| stored.node(|builder| rules.configure(builder)));
            let mut browser = stored.signed_in().await;
            for (node, second, expected) in *steps {
                stored.clock.set(at(*second));
                let found = open(&nodes[*node], &mut browser).await;
                assert_eq!(found, *expected, "{kind:?}, {name}: node {node}, second {second}");
            }
        }
    }
}

/// Deleted after it was found: by a sign-out elsewhere, say.
#[tokio::test]
async fn a_session_that_goes_before_it_is_renewed_is_over() {
    for kind in KINDS {
        let stored = Rules(600, Some(100)).stored(kind);
        let mut browser = stored.signed_in().await;
        stored.clock.set(at(50));
        let gates = stored.store.hold(Step::Touch);
        gates.after.add_permits(9);
        let site = stored.node(|builder| Rules(600, Some(100)).configure(builder));
        let waiting = tokio::spawn(async move { open(&site, &mut browser).await });
        settle().await;
        assert_eq!(stored.store.count(Step::Touch), 1, "{kind:?}");
        stored.store.clear();
        gates.before.add_permits(1);
        assert_eq!(waiting.await.unwrap(), Over, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_session_as_it_was() {
    for kind in KINDS {
        for fault in [Fault::Unreachable, Fault::Failed, Fault::Hangs] {
            let name = format!("{kind:?}, {fault:?}");
            let stored = Rules(600, Some(100)).stored(kind);
            let mut browser = stored.signed_in().await;
            stored.store.fail(&[Step::Touch], fault);
            for second in [50, 99] {
                assert_eq!(stored.visit(&mut browser, second).await, Kept, "{name}");
                assert_eq!(identity(&stored.site, &browser).await.unwrap().expires_at(), at(100), "{name}");
            }
            stored.store.recover();
            assert_eq!(stored.visit(&mut browser, 99).await, Kept, "{name}: and is put off once it works again");
            assert_eq!(stored.visit(&mut browser, 198).await, Kept, "{name}");
            stored.store.fail(&[Step::Touch], fault);
            assert_eq!(stored.visit(&mut browser, 297).await, Kept, "{name}");
            assert_eq!(stored.visit(&mut browser, 298).await, Over, "{name}");
        }
    }
}

#[tokio::test]
async fn an_identity_tells_the_end_that_was_moved() {
    for kind in KINDS {
        let stored = Rules(250, Some(100)).stored(kind);
        let browser = stored.signed_in().await;
        for (second, expected) in [(0, 100), (9, 100), (10, 110), (90, 190), (180, 250), (200, 250)] {
            stored.clock.set(at(second));
            let identity = identity(&stored.site, &browser).await.unwrap();
            assert_eq!(identity.expires_at(), at(expected), "{kind:?}: second {second}");
        }
        let (_, record) = stored.store.session();
        assert_eq!((record.expires_at(), record.generation()), (at(250), 0), "{kind:?}");
    }
}

/// Where a newer key is there, the record is sealed anew for it.
#[tokio::test]
async fn an_identity_tells_the_end_that_was_moved_with_a_new_seal() {
    for kind in KINDS {
        let stored = Rules(250, Some(100)).stored(kind);
        let browser = stored.signed_in().await;
        let site = stored.node(|builder| Rules(250, Some(100)).configure(builder).keys(ring(&[2, 1])));
        stored.clock.set(at(50));
        assert_eq!(identity(&site, &browser).await.unwrap().expires_at(), at(150), "{kind:?}");
        assert_eq!(stored.store.session().1.expires_at(), at(150), "{kind:?}");
    }
}

/// A node whose settings allow less moves the end in the store, once; the others move it back.
#[tokio::test]
async fn an_identity_tells_the_end_that_the_settings_allow() {
    for kind in KINDS {
        let stored = Rules(600, None).stored(kind);
        let browser = stored.signed_in().await;
        for (seconds, end, generation) in [(600, 600, 0), (560, 560, 1), (500, 500, 2), (600, 600, 2)] {
            let site = stored.node(|builder| Rules(seconds, None).configure(builder));
            assert_eq!(identity(&site, &browser).await.unwrap().expires_at(), at(end), "{kind:?}: {seconds}");
            assert_eq!(stored.store.session().1.generation(), generation, "{kind:?}: {seconds}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_end_waits_longer_for_each_renewal() {
    for kind in KINDS {
        let stored = Rules(600, Some(100)).stored(kind);
        let mut browser = stored.signed_in().await;
        let waiting = tokio::spawn(identity(&stored.site, &browser).await.unwrap().ended());
        for second in [90, 180, 270] {
            assert_eq!(stored.visit(&mut browser, second).await, Kept, "{kind:?}");
            look().await;
            assert!(!waiting.is_finished(), "{kind:?}: second {second}");
        }
        stored.clock.set(at(369));
        look().await;
        assert!(!waiting.is_finished(), "{kind:?}");
        stored.clock.set(at(370));
        look().await;
        assert!(waiting.is_finished(), "{kind:?}");
        assert_eq!(waiting.await.unwrap(), SessionEnd::Expired, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_end_is_told_of_a_sign_out_though_the_store_is_not() {
    for kind in KINDS {
        for steps in [&[][..], &STEPS] {
            let stored = Stored::new(kind);
            let mut browser = stored.signed_in().await;
            let waiting = tokio::spawn(identity(&stored.site, &browser).await.unwrap().ended());
            stored.store.fail(steps, Fault::Unreachable);
            sign_out(&stored.site, &mut browser).await;
            assert_eq!(heard(waiting).await, SessionEnd::SignedOut, "{kind:?}, {steps:?}");
        }
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let waiting = tokio::spawn(identity(&stored.site, &browser).await.unwrap().ended());
        stored.site.complete(&mut browser, "/").await;
        assert_eq!(heard(waiting).await, SessionEnd::Replaced, "{kind:?}");
    }
}

/// A machine that starts with a wrong clock, say.
#[tokio::test]
async fn a_clock_that_steps_back_signs_nobody_out_and_shortens_nothing() {
    for kind in KINDS {
        let stored = Rules(600, Some(100)).stored(kind);
        let mut browser = stored.signed_in().await;
        for (second, expected) in [(-1, Kept), (-50_000, Kept), (50, Kept), (20, Kept), (149, Kept), (248, Kept)] {
            assert_eq!(stored.visit(&mut browser, second).await, expected, "{kind:?}: second {second}");
        }
        assert_eq!(stored.visit(&mut browser, 348).await, Over, "{kind:?}");
    }
}

/// A renewal waits for the store, which fails in the end; meanwhile somebody signs out.
#[tokio::test]
async fn a_renewal_that_fails_lets_nobody_in_who_has_signed_out() {
    for kind in KINDS {
        let stored = Rules(600, Some(100)).stored(kind);
        let mut browser = stored.signed_in().await;
        stored.clock.set(at(50));
        let touch = stored.store.hold_next(Step::Touch);
        stored.store.fail(&[Step::Touch], Fault::Unreachable);
        let request = crate::page("/").header("cookie", browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let waiting = tokio::spawn(stored.sign_in_service().oneshot(request));
        settle().await;
        assert_eq!(stored.store.count(Step::Touch), 1, "{kind:?}");
        sign_out(&stored.site, &mut browser).await;
        touch.before.add_permits(1);
        touch.after.add_permits(1);
        let body = waiting.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "nobody", "{kind:?}");
    }
}

#[tokio::test]
async fn answers_to_somebody_are_kept_out_of_shared_caches() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let response = stored.site.get(&mut browser, "/").await;
        assert_eq!((text(&response), set_cookies(&response).len()), (crate::site::BOB, 0), "{kind:?}");
        assert_eq!(response.headers()["cache-control"], "private", "{kind:?}");
    }
}

/// Fails where nobody is told: a watcher whose clock stands still would look at it for ever.
async fn heard(waiting: tokio::task::JoinHandle<SessionEnd>) -> SessionEnd {
    tokio::time::timeout(Duration::from_secs(3600), waiting).await.expect("it hears of the end").unwrap()
}

/// Long enough on tokio's clock for every watcher to look at the site's.
async fn look() {
    tokio::time::advance(Duration::from_secs(61)).await;
    settle().await;
}
