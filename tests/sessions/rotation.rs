//! Keys that change while people are signed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_signin::Keys;

use crate::Visit::{Ignored, Kept, Renewed};
use crate::site::Site;
use crate::support::Browser;
use crate::{SESSION, open, ring, visit};

const OLD: u8 = 1;
const NEW: u8 = 2;
const DAY: u64 = 24 * 60 * 60;

fn node(keys: &[u8]) -> Site {
    Site::with(|builder| builder.keys(ring(keys)))
}

/// Which of the keys sealed the session: its id stands in the first nine bytes. A key is asked by a node that has no other.
async fn sealed_by(browser: &Browser) -> u8 {
    for key in [OLD, NEW] {
        if open(&node(&[key]), &mut browser.clone()).await == Kept {
            return key;
        }
    }
    panic!("neither key opens it");
}

/// The README's three steps, each node by node, and the requests of somebody who came at each stage, in every order of two
/// nodes and three requests.
#[tokio::test]
async fn u24_nobody_is_signed_out_by_a_rotation() {
    let stages: [[&[u8]; 2]; 6] = [
        [&[OLD], &[OLD]],
        [&[OLD, NEW], &[OLD]],
        [&[OLD, NEW], &[OLD, NEW]],
        [&[NEW, OLD], &[OLD, NEW]],
        [&[NEW, OLD], &[NEW, OLD]],
        [&[NEW], &[NEW, OLD]],
    ];
    for (maker, first) in (0..stages.len()).flat_map(|stage| [(stage, 0), (stage, 1)]) {
        for order in 0..8 {
            let mut browser = node(stages[maker][first]).signed_in().await;
            for (stage, rings) in stages.iter().enumerate().skip(maker) {
                let nodes = rings.map(node);
                for request in 0..3 {
                    let which = order >> request & 1;
                    let found = open(&nodes[which], &mut browser).await;
                    let told = format!("made at {maker} by {first}, order {order}, stage {stage}, request {request}");
                    assert!(matches!(found, Kept | Renewed(_)), "{told}: {found:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_sealed_anew_under_the_first_key_once_and_not_before_it_is_used() {
    let mut browser = node(&[OLD]).signed_in().await;
    assert_eq!(visit(&node(&[OLD, NEW]), &mut browser, 100).await, Kept, "the new key is there, and not first");
    assert_eq!(sealed_by(&browser).await, OLD);
    let rotated = node(&[NEW, OLD]);
    assert_eq!(visit(&rotated, &mut browser, 200).await, Renewed(DAY - 200), "no longer than the session");
    assert_eq!(sealed_by(&browser).await, NEW);
    for second in [200, 201, 5000] {
        assert_eq!(visit(&rotated, &mut browser, second).await, Kept, "second {second}");
    }
    assert_eq!(visit(&node(&[NEW]), &mut browser, 6000).await, Kept, "the old key is gone");
}

/// Whoever the key was taken from, or dropped for, is signed out; a node that was forgotten can still take them in.
#[tokio::test]
async fn a_session_under_a_key_that_is_gone_is_ignored_and_left_alone() {
    let mut browser = node(&[OLD]).signed_in().await;
    let before = browser.jar[SESSION].clone();
    assert_eq!(open(&node(&[NEW]), &mut browser).await, Ignored);
    assert_eq!(open(&Site::with(|builder| builder.keys(Keys::generate().unwrap())), &mut browser).await, Ignored);
    assert_eq!(browser.jar[SESSION], before);
    assert_eq!(open(&node(&[NEW, OLD]), &mut browser).await, Renewed(DAY));
}

/// A rolling deployment of a version with another seal: each reads its own and leaves the other's alone. What is inside the
/// seal, and its layout, can't be changed from here.
#[tokio::test]
async fn a_session_of_another_format_is_ignored_and_left_alone() {
    let site = node(&[NEW, OLD]);
    let mut browser = site.signed_in().await;
    let bytes = URL_SAFE_NO_PAD.decode(&browser.jar[SESSION]).unwrap();
    for format in (0..=u8::MAX).filter(|format| *format != bytes[0]) {
        let other = URL_SAFE_NO_PAD.encode([&[format], &bytes[1..]].concat());
        browser.jar.insert(SESSION.to_owned(), other.clone());
        let found = open(&site, &mut browser).await;
        assert_eq!((found, &browser.jar[SESSION]), (Ignored, &other), "format {format}");
    }
}
