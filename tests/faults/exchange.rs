//! A browser comes back with a good code, and the exchange meets a fault.

use crate::place::{Place, after, sees, signs_in};
use crate::table::Seen;
use crate::wire::{Fault, Length};

pub const FAULTS: [(&str, Fault); 29] = [
    ("nothing listens", Fault::Refuses),
    ("the queue for connections is full", Fault::NeverAccepts),
    ("closes at once", Fault::ClosesAtOnce),
    ("resets at once", Fault::ResetsAtOnce),
    ("never answers", Fault::NeverAnswers),
    ("a byte a second", Fault::DripsAll),
    ("a byte a second of the body", Fault::DripsBody),
    ("closes in mid-answer", Fault::ClosesMidAnswer),
    ("resets in mid-answer", Fault::ResetsMidAnswer),
    ("works it off, then resets in mid-answer", Fault::LosesAnswer),
    ("closes a kept connection under the request", Fault::ClosesKept),
    ("not HTTP", Fault::NotHttp),
    ("noise", Fault::BinaryNoise),
    ("two lengths", Fault::TwoLengths),
    ("garbage for JSON", Fault::GarbageJson),
    ("an empty answer", Fault::Empty),
    ("50 MB, declared", Fault::Huge(Length::Declared)),
    ("50 MB, in chunks", Fault::Huge(Length::Chunked)),
    ("50 MB, until it closes", Fault::Huge(Length::UntilClose)),
    ("gzip that nobody asked for", Fault::Gzip),
    ("50 MB in 50 kB of gzip", Fault::GzipBomb),
    ("301 to another server", Fault::Redirects(301)),
    ("302 to another server", Fault::Redirects(302)),
    ("303 to another server", Fault::Redirects(303)),
    ("307 to another server", Fault::Redirects(307)),
    ("308 to another server", Fault::Redirects(308)),
    ("the right answer as text/html", Fault::WrongContentType),
    ("headers without end", Fault::EndlessHeaders),
    ("1xx without end", Fault::EndlessInterim),
];

#[tokio::test]
async fn a_provider_at_fault_signs_nobody_in_and_nobody_out() {
    let mut seen = Seen::of("The provider, at a sign-in");
    for (name, fault) in FAULTS {
        let place = Place::start(|builder| builder).await;
        let (sees, next) = exchange(name, fault, &place).await;
        seen.row(name, "exchange", sees, next);
    }
    seen.check();
}

/// What becomes of a sign-in whose exchange meets the fault, and of the next one.
pub async fn exchange(name: &str, fault: Fault, place: &Place) -> (String, String) {
    if fault == Fault::ClosesKept {
        place.wire.set(fault).await;
    }
    let mut other = place.signed_in().await;
    let other_jar = other.jar.clone();
    let mut browser = crate::support::Browser::new();
    let authorization_url = browser.start(&place.origin, "/target").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    if fault != Fault::ClosesKept {
        place.wire.set(fault).await;
    }
    place.wire.forget();

    let (mut visitor, url) = (browser.clone(), callback.clone());
    let visit = async move { (visitor.get(&url).await, visitor) };
    let ((answer, mut browser), took) = place.outwait(fault, visit).await;
    let mut what = sees(&answer);
    let requests = place.wire.requests();
    assert!(requests.len() <= 1, "{name}: a code is sent once");
    assert!(requests.is_empty() || !matches!(fault, Fault::Certificate(_)), "{name}: a code was sent");
    for request in &requests {
        assert!(!request.to_lowercase().contains("accept-encoding"), "{name}: {request}");
    }
    assert_eq!(place.elsewhere.heard(), 0, "{name}: another server was told");
    assert!(place.wire.sent() < 20_000_000, "{name}: {} bytes were taken", place.wire.sent());

    let page = sees(&browser.get(&place.url("/")).await);
    if what == "303 to /target" {
        assert_eq!(page, "alice", "{name}");
        what = "signed in".to_owned();
    } else {
        assert!(answer.status().is_server_error(), "{name}: {what}");
        assert_eq!(page, "nobody", "{name}");
        assert!(browser.jar.is_empty(), "{name}: {:?}", browser.jar.keys());
        // Whoever loads the page again learns the same of it, and the code is not sent again.
        browser.get(&callback).await;
        assert!(place.wire.requests().len() <= 1, "{name}");
    }
    assert_eq!(place.guarded(&mut other).await, "alice", "{name}: signed in before");
    assert_eq!(other.jar, other_jar, "{name}");

    place.wire.set(Fault::None).await;
    let next = signs_in(&mut browser, &place.origin).await;
    (after(what, took), next)
}
