//! Somebody is signed in, and what their session asks of the provider meets a fault.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::timeout;
use tower_signin::Builder;

use crate::exchange::FAULTS;
use crate::place::{LIFE, Place, sees, signs_in};
use crate::table::Seen;
use crate::tls::Certificates;
use crate::wire::Fault;

const MONTH: Duration = Duration::from_secs(30 * LIFE);
/// Checked again after so many seconds, and going on unchecked for as many as is the default.
const EVERY: Duration = Duration::from_secs(600);
const GRACE: u64 = 3600;

#[tokio::test]
async fn a_provider_at_fault_signs_nobody_out_who_is_signed_in() {
    let mut seen = Seen::of("The provider, while somebody is signed in");
    see(&mut seen, &FAULTS, None).await;
    seen.check();
}

/// A row for each fault, or two where a refresh and a check differ, and one for all sign-outs.
pub async fn see(seen: &mut Seen, faults: &[(&str, Fault)], tls: Option<&Certificates>) {
    let place = async |every: Option<Duration>| {
        let configure = |builder: Builder| {
            let builder = builder.keep_tokens().session_lifetime(MONTH);
            every.into_iter().fold(builder, Builder::recheck_every)
        };
        let place = Place::start_with_tls(tls.cloned(), configure).await;
        place.same_clock();
        place
    };
    let mut sign_outs = HashSet::new();
    for &(name, fault) in faults.iter().filter(|(_, fault)| *fault != Fault::ClosesKept) {
        let refresh = outlasts(name, fault, &place(None).await, [LIFE - 60, 60]).await;
        let check = outlasts(name, fault, &place(Some(EVERY)).await, [EVERY.as_secs(), GRACE]).await;
        if refresh == check {
            seen.row(name, "refresh, check", refresh.0, refresh.1);
        } else {
            seen.row(name, "refresh", refresh.0, refresh.1);
            seen.row(name, "check", check.0, check.1);
        }
        sign_outs.insert(sign_out(name, fault, &place(None).await).await);
    }
    for (sees, next) in sign_outs {
        seen.row("each of them", "sign-out", sees, next);
    }
}

/// Something is due after the first time, and the session can't go on without it after the second.
async fn outlasts(name: &str, fault: Fault, place: &Place, [due, end]: [u64; 2]) -> (String, String) {
    let mut browser = place.signed_in().await;
    place.advance(due);
    let mut other = place.signed_in().await;
    let before = (browser.jar.clone(), other.jar.clone());
    place.wire.set(fault).await;
    place.wire.forget();

    let first = place.guarded_in_time(fault, &mut browser).await;
    assert!(place.wire.requests().len() <= 1, "{name}: sent once");
    assert_eq!(place.guarded(&mut other).await, "alice", "{name}: whose session is not due");
    place.advance(end);
    let second = place.guarded_in_time(fault, &mut browser).await;
    if fault != Fault::WrongContentType {
        assert_eq!((&browser.jar, &other.jar), (&before.0, &before.1), "{name}: no cookie has changed");
    }
    assert_eq!(place.elsewhere.heard(), 0, "{name}: another server was told");
    assert!(place.wire.sent() < 40_000_000, "{name}: {} bytes were taken", place.wire.sent());

    place.wire.set(Fault::None).await;
    place.advance(60);
    let next = place.guarded(&mut browser).await;
    if next != "alice" {
        assert_eq!(signs_in(&mut browser, &place.origin).await, "signed in", "{name}");
    }
    (format!("{first}; then {second}"), next)
}

/// The browser is told at once; the provider hears of it where that can be.
async fn sign_out(name: &str, fault: Fault, place: &Place) -> (String, String) {
    let mut browser = place.signed_in().await;
    let mut other = place.signed_in().await;
    place.wire.set(fault).await;
    let before = place.wire.seen();
    let answer = timeout(Duration::from_secs(5), browser.post(&place.url("/auth/logout"), "")).await;
    let answer = answer.unwrap_or_else(|_| panic!("{name}: it waits for the provider"));
    assert!(browser.jar.is_empty(), "{name}: {:?}", browser.jar.keys());
    if !matches!(fault, Fault::Refuses | Fault::NeverAccepts) {
        while place.wire.seen() == before {
            tokio::task::yield_now().await;
        }
    }
    let page = sees(&browser.get(&place.url("/")).await);
    assert_eq!(place.guarded(&mut other).await, "alice", "{name}");
    assert_eq!(place.elsewhere.heard(), 0, "{name}: another server was told");
    place.wire.set(Fault::None).await;
    (format!("{}; {page}", sees(&answer)), signs_in(&mut browser, &place.origin).await)
}
