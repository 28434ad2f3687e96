//! Several nodes with one store: whose sessions they are, and that each state and each pair of tokens is used once.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::COOKIE;
use tower::ServiceExt as _;
use tower_signin::{ErrorKind, Identity, SessionEnd, SessionGroup, SessionStore as _};

use crate::double::{Fault, KINDS, Kind, Step};
use crate::site::{BOB, CODE, deleted, set_cookies};
use crate::support::{Browser, text};
use crate::visits::Visit::{Kept, Over};
use crate::{SESSION, Stored, identity, open, page, said, service_of, settle, told};

fn subjects(sessions: &[Identity]) -> Vec<&str> {
    sessions.iter().map(Identity::subject).collect()
}

#[tokio::test]
async fn the_sessions_of_a_person_are_listed_and_ended_at_every_node() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let node = stored.node(|builder| builder);
        let (mut one, mut other) = (stored.signed_in().await, node.signed_in().await);
        let issuer = identity(&node, &one).await.unwrap().issuer().to_owned();
        let streams =
            [identity(&stored.site, &one).await.unwrap().ended(), identity(&node, &other).await.unwrap().ended()];
        for site in [&stored.site, &node] {
            let listed = site.sign_in.list_sessions_of(&issuer, BOB).await.unwrap();
            assert_eq!(subjects(&listed), [BOB, BOB], "{kind:?}");
            for (issuer, subject) in [(&*issuer, "nobody"), ("https://other.example", BOB)] {
                assert!(site.sign_in.list_sessions_of(issuer, subject).await.unwrap().is_empty(), "{kind:?}");
                site.sign_in.end_sessions_of(issuer, subject).await.unwrap();
            }
        }
        assert_eq!(stored.store.sessions().len(), 2, "{kind:?}: those were others");

        node.sign_in.end_sessions_of(&issuer, BOB).await.unwrap();
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
        for (site, browser) in [(&stored.site, &mut one), (&node, &mut other)] {
            assert!(site.sign_in.list_sessions_of(&issuer, BOB).await.unwrap().is_empty(), "{kind:?}");
            let response = site.get(browser, "/").await;
            assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![deleted(SESSION)]), "{kind:?}");
        }
        let [_, here] = streams;
        assert_eq!(here.await, SessionEnd::Elsewhere, "{kind:?}: at once where it was called");
    }
}

#[tokio::test]
async fn one_session_is_ended_and_the_others_stay() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let node = stored.node(|builder| builder);
        let (mut one, mut other) = (stored.signed_in().await, stored.signed_in().await);
        let who = identity(&stored.site, &one).await.unwrap();
        node.sign_in.end_session(&who).await.unwrap();
        assert_eq!(open(&stored.site, &mut one).await, Over, "{kind:?}");
        assert_eq!(open(&stored.site, &mut other).await, Kept, "{kind:?}");
        assert_eq!(node.sign_in.list_sessions_of(who.issuer(), BOB).await.unwrap().len(), 1, "{kind:?}");
    }
}

/// Where a request of the very browser ends it, its cookies go with the next one, once.
#[tokio::test]
async fn who_is_ended_here_loses_the_cookies_with_the_next_request() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        stored.store.fail(&[Step::Delete], Fault::Unreachable);
        let error = stored.site.sign_in.end_session(&who).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionUnavailable, "{kind:?}");
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}: the store was not told");
        let response = stored.site.get(&mut browser.clone(), "/").await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![deleted(SESSION)]), "{kind:?}");
        let response = stored.site.get(&mut browser, "/").await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]), "{kind:?}");
    }
}

#[tokio::test]
async fn a_session_leaves_its_groups_when_somebody_signs_out() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        crate::sign_out(&stored.site, &mut browser).await;
        settle().await;
        stored.store.forget();
        stored.site.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap();
        assert_eq!((stored.store.count(Step::Members), stored.store.count(Step::Load)), (1, 0), "{kind:?}");
    }
}

/// Under whichever key of the ring it joined them.
#[tokio::test]
async fn a_session_leaves_its_groups_after_a_rotation_too() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        let rotated = stored.node(|builder| builder.keys(crate::ring(&[2, 1])));
        crate::sign_out(&rotated, &mut browser).await;
        settle().await;
        stored.store.forget();
        rotated.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap();
        assert_eq!((stored.store.count(Step::Members), stored.store.count(Step::Load)), (2, 0), "{kind:?}");
    }
}

/// Whoever can write to the store has somebody's session among another's.
#[tokio::test]
async fn a_session_in_the_wrong_group_is_left_alone() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        stored.store.forget();
        assert!(stored.site.sign_in.list_sessions_of(who.issuer(), "mallory").await.unwrap().is_empty());
        let [group] = stored.store.asked_for()[..] else { panic!("it asks for the members of one group") };
        let (key, record) = stored.store.session();
        stored.store.join(SessionGroup::new(*group.as_bytes()), key, record.expires_at()).await.unwrap();
        assert!(stored.site.sign_in.list_sessions_of(who.issuer(), "mallory").await.unwrap().is_empty(), "{kind:?}");
        stored.site.sign_in.end_sessions_of(who.issuer(), "mallory").await.unwrap();
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// The store may be asked by many, and may answer nobody.
#[tokio::test]
async fn an_end_that_can_t_be_told_is_an_error_and_comes_through_the_next_time() {
    for kind in KINDS {
        for step in [Step::Members, Step::Load, Step::Delete, Step::Leave] {
            let stored = Stored::new(kind);
            let browser = stored.signed_in().await;
            let who = identity(&stored.site, &browser).await.unwrap();
            stored.store.fail(&[step], Fault::Unreachable);
            let error = stored.site.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.retry_after()),
                (ErrorKind::SessionUnavailable, Some(5)),
                "{kind:?}, {step:?}"
            );
            stored.store.recover();
            stored.site.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap();
            assert!(stored.store.sessions().is_empty(), "{kind:?}, {step:?}");
        }
    }
}

#[tokio::test]
async fn without_a_store_nothing_can_be_listed_or_ended_from_elsewhere() {
    let site = crate::site::Site::new();
    let browser = site.signed_in().await;
    let who = identity(&site, &browser).await.unwrap();
    let sign_in = &site.sign_in;
    let errors = [
        sign_in.list_sessions_of(who.issuer(), BOB).await.map(drop).unwrap_err(),
        sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap_err(),
        sign_in.end_session(&who).await.unwrap_err(),
    ];
    assert_eq!(errors.map(|error| error.kind()), [ErrorKind::Unsupported; 3]);
}

/// It began before the store came, and there is no list.
#[tokio::test]
async fn a_session_in_its_cookie_is_not_said_to_be_ended() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.without_store().signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        let ended = stored.site.sign_in.end_session(&who).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unsupported, "{kind:?}");
        assert!(identity(&stored.site, &browser).await.is_some(), "{kind:?}");
    }
}

/// However often somebody signs in anew in one browser, one session is theirs.
#[tokio::test]
async fn a_session_leaves_its_groups_when_another_takes_its_place() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        settle().await;
        stored.store.forget();
        assert_eq!(stored.site.sign_in.list_sessions_of(who.issuer(), BOB).await.unwrap().len(), 1, "{kind:?}");
        assert_eq!(stored.store.count(Step::Load), 1, "{kind:?}");
    }
}

/// Whoever can write to the store puts something else into one record. That one keeps no other alive.
#[tokio::test]
async fn a_record_that_can_t_be_read_keeps_no_other_session_alive() {
    for kind in KINDS {
        for broken in 0..3 {
            let name = format!("{kind:?}, {broken}");
            let stored = Stored::new(kind);
            let browsers = [stored.signed_in().await, stored.signed_in().await, stored.signed_in().await];
            let who = identity(&stored.site, &browsers[0]).await.unwrap();
            let (key, _) = stored.store.sessions()[broken];
            stored.store.fail_at(key, Fault::Failed);
            let error = stored.site.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionUnavailable, "{name}: one is left");
            let left: Vec<_> = stored.store.sessions().into_iter().map(|(left, _)| left).collect();
            assert_eq!(left, [key], "{name}");
        }
    }
}

#[tokio::test]
async fn a_key_that_was_rotated_still_finds_them() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        let who = identity(&stored.site, &browser).await.unwrap();
        let rotated = stored.node(|builder| builder.keys(crate::ring(&[2, 1])));
        let new = rotated.signed_in().await;
        let listed = rotated.sign_in.list_sessions_of(who.issuer(), BOB).await.unwrap();
        assert_eq!(listed.len(), 2, "{kind:?}");
        rotated.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap();
        for browser in [browser, new] {
            assert!(identity(&rotated, &browser).await.is_none(), "{kind:?}");
        }
    }
}

fn with(browser: &Browser, path: &str) -> Request<Bytes> {
    page(path).header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap()
}

/// A double click, a load balancer, and two nodes.
#[tokio::test]
async fn a_double_at_another_node_gets_the_same_session() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let node = stored.node(|builder| builder);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        let callback = started.callback(CODE);
        let (one, other) = tokio::join!(
            service_of(&stored.site).oneshot(with(&browser, &callback)),
            service_of(&node).oneshot(with(&browser, &callback)),
        );
        for response in [one.unwrap(), other.unwrap()] {
            assert_eq!(
                (response.status().as_u16(), response.headers()["location"].to_str().unwrap()),
                (303, "/me"),
                "{kind:?}"
            );
            let mut visitor = browser.clone();
            visitor.keep(&response.map(|_| Bytes::new()));
            assert!(identity(&node, &visitor).await.is_some(), "{kind:?}");
        }
        let sent = [&stored.site, &node].map(|site| site.upstream.requests().len());
        assert_eq!(sent.iter().sum::<usize>(), 1, "{kind:?}: {sent:?}");
        assert_eq!(stored.store.count(Step::Create), 1, "{kind:?}");
    }
}

/// The code is good once, so nothing is sent before the state is spent.
#[tokio::test]
async fn a_callback_while_the_store_is_away_goes_on_by_a_reload() {
    for kind in [Kind::Sealed, Kind::Later] {
        for fault in [Fault::Unreachable, Fault::Failed, Fault::Panics] {
            let stored = Stored::new(kind);
            let mut browser = Browser::new();
            let started = stored.site.start(&mut browser, "/me").await;
            stored.store.fail(&[Step::Mark], fault);
            let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!(
                (told(&response), set_cookies(&response)),
                (said(503, "session_unavailable"), vec![]),
                "{kind:?}"
            );
            assert_eq!(response.headers()["retry-after"], "5", "{kind:?}, {fault:?}");
            assert!(stored.site.upstream.requests().is_empty(), "{kind:?}, {fault:?}");
            stored.store.recover();
            let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!(
                (response.status().as_u16(), stored.site.upstream.requests().len()),
                (303, 1),
                "{kind:?}, {fault:?}"
            );
            assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}, {fault:?}");
        }
    }
}

/// A store that hangs may take the mark all the same; nothing was sent, so that says nothing.
#[tokio::test(start_paused = true)]
async fn a_callback_whose_mark_was_made_without_an_answer_goes_on_by_a_reload_at_any_node() {
    for kind in [Kind::Sealed, Kind::Later] {
        for comes_back_to in ["the same node", "another"] {
            let name = format!("{kind:?}, {comes_back_to}");
            let stored = Stored::new(kind);
            let node = stored.node(|builder| builder);
            let mut browser = Browser::new();
            let started = stored.site.start(&mut browser, "/me").await;
            let gates = stored.store.hold_next(Step::Mark);
            gates.before.add_permits(1);
            let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!((told(&response), set_cookies(&response)), (said(503, "session_unavailable"), vec![]), "{name}");
            let mut double = browser.clone();
            let again = if comes_back_to == "another" { &node } else { &stored.site };
            let began = tokio::time::Instant::now();
            let response = again.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!((response.status().as_u16(), again.upstream.requests().len()), (303, 1), "{name}");
            assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
            assert_eq!(open(again, &mut browser).await, Kept, "{name}");

            // It is spent by now, and no old mark's end changes that.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let third = stored.node(|builder| builder);
            let response = third.get(&mut double, &started.callback(CODE)).await;
            assert_eq!((response.status().as_u16(), third.upstream.requests().len()), (303, 0), "{name}");
        }
    }
}

/// Sessions that nobody else sees do not hide the list that all see.
#[tokio::test]
async fn a_state_is_spent_once_where_only_the_list_is_shared() {
    let shared = Stored::new(Kind::Sealed);
    let nodes = [(), ()].map(|()| {
        let own = Stored::with(Kind::Private, |builder| builder.revocation_list(shared.store.clone()));
        own.site
    });
    let mut browser = Browser::new();
    let started = nodes[0].start(&mut browser, "/me").await;
    let mut double = browser.clone();
    assert_eq!(nodes[0].get(&mut browser, &started.callback(CODE)).await.status(), 303);
    let response = nodes[1].get(&mut double, &started.callback(CODE)).await;
    assert_eq!(told(&response), said(400, "state_already_used"));
    assert!(nodes[1].upstream.requests().is_empty());
}

#[tokio::test]
async fn another_code_gets_nothing_of_what_the_first_one_made() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let node = stored.node(|builder| builder);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        let mut other = browser.clone();
        assert_eq!(stored.site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        let response = node.get(&mut other, &started.callback("another-code")).await;
        assert_eq!(told(&response), said(400, "state_already_used"), "{kind:?}");
        assert!(set_cookies(&response).is_empty() && node.upstream.requests().is_empty(), "{kind:?}");
    }
}

/// Whatever became of it: a state is good for one code.
#[tokio::test]
async fn a_state_that_another_node_has_spent_is_refused() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let node = stored.node(|builder| builder);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        stored.site.upstream.answer(400, r#"{"errorMessage":"no"}"#);
        let mut first = browser.clone();
        let response = stored.site.get(&mut first, &started.callback(CODE)).await;
        assert_eq!(response.status(), 502, "{kind:?}");
        for code in [CODE, "another-code"] {
            let response = node.get(&mut browser.clone(), &started.callback(code)).await;
            assert_eq!(told(&response), said(400, "state_already_used"), "{kind:?}, {code}");
            assert!(set_cookies(&response).is_empty(), "{kind:?}, {code}");
        }
        assert!(node.upstream.requests().is_empty(), "{kind:?}");
    }
}

/// Else whoever ends all of a person's sessions at this moment misses one.
#[tokio::test]
async fn no_session_is_there_before_it_can_be_found() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        let join = stored.store.hold_next(Step::Join);
        let (service, request) = (service_of(&stored.site), with(&browser, &started.callback(CODE)));
        let signing_in = tokio::spawn(async move { service.oneshot(request).await.unwrap().status() });
        settle().await;
        assert_eq!((stored.store.count(Step::Join), stored.store.sessions().len()), (1, 0), "{kind:?}");
        join.before.add_permits(1);
        join.after.add_permits(1);
        assert_eq!(signing_in.await.unwrap(), 303, "{kind:?}");
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}");
    }
}

/// Where the answer to its making was lost, nobody has its cookie.
#[tokio::test]
async fn a_session_that_nobody_heard_of_is_not_left_behind() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        stored.store.fail(&[Step::Create], Fault::LosesTheAnswer);
        let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(told(&response), said(503, "session_store_failed"), "{kind:?}");
        settle().await;
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
    }
}

/// The app's hook panics at the first node; whoever waits at another one is told at once.
#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_keeps_no_other_node_waiting() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::with(kind, |builder| builder.on_sign_in(|_| async { panic!("the hook panics") }));
        let node = stored.node(|builder| builder);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/me").await;
        let mut double = browser.clone();
        assert_eq!(stored.site.get(&mut browser, &started.callback(CODE)).await.status(), 500, "{kind:?}");
        let began = tokio::time::Instant::now();
        let response = node.get(&mut double, &started.callback(CODE)).await;
        assert_eq!(told(&response), said(400, "state_already_used"), "{kind:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{kind:?}: {:?}", began.elapsed());
    }
}
