//! A sign-in that begins with one provider is finished with no other: RFC 9700 section 4.4, hostile.md's mix-up.

use url::Url;

use super::Two;
use crate::support::{Browser, code};

/// The callback with another path, and perhaps another issuer in it.
fn at(callback: &str, path: &str, issuer: Option<&str>) -> String {
    let mut url = Url::parse(callback).unwrap();
    url.set_path(path);
    if let Some(issuer) = issuer {
        url.query_pairs_mut().append_pair("iss", issuer);
    }
    url.into()
}

#[tokio::test]
async fn begun_at_one_and_finished_at_another_is_refused_before_the_network() {
    let two = Two::start().await;
    for (begun, path) in [("north", "/auth/callback/south"), ("south", "/auth/callback")] {
        for kind in ["code", "error"] {
            let mut browser = Browser::new();
            let authorization_url = two.begin(&mut browser, begun).await;
            let callback = two.server(begun).approve(&authorization_url, "ada");
            let mut callback = at(&callback, path, None);
            if kind == "error" {
                callback = callback.replace("code=", "error=access_denied&no=");
            }
            let answer = browser.get(&callback).await;
            assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (400, "issuer_mismatch"), "{begun} {kind}");
            assert_eq!(two.app.says(&mut browser, "/").await, "nobody", "{begun} {kind}");
            assert_eq!(two.asked(), (vec![], vec![]), "{begun} {kind}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_names_another_issuer_is_refused_before_the_network() {
    let two = Two::start().await;
    for (begun, path, named) in [("north", "/auth/callback", "south"), ("south", "/auth/callback/south", "north")] {
        let mut browser = Browser::new();
        let authorization_url = two.begin(&mut browser, begun).await;
        let callback = two.server(begun).approve(&authorization_url, "ada");
        let answer = browser.get(&at(&callback, path, Some(&two.server(named).origin))).await;
        assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (400, "issuer_mismatch"), "{begun}");
        assert_eq!(two.asked(), (vec![], vec![]), "{begun}");
    }
    let mut browser = Browser::new();
    let authorization_url = two.begin(&mut browser, "south").await;
    let callback = two.south.approve(&authorization_url, "ada");
    let answer = browser.get(&at(&callback, "/auth/callback/south", Some(&two.south.origin))).await;
    assert_eq!(answer.status(), 303, "its own");
}

#[tokio::test]
async fn two_sign_ins_at_once_do_not_meet() {
    let two = Two::start().await;
    let mut browser = Browser::new();
    let north = two.begin(&mut browser, "north").await;
    let south = two.begin(&mut browser, "south").await;
    let (north, south) = (two.north.approve(&north, "ada"), two.south.approve(&south, "ada"));
    assert_eq!(browser.get(&south).await.status(), 303);
    assert_eq!(two.app.says(&mut browser, "/whose").await, format!("{} 1", two.south.origin));
    assert_eq!(browser.get(&north).await.status(), 303);
    assert_eq!(two.app.says(&mut browser, "/whose").await, format!("{} 1", two.north.origin));
}
