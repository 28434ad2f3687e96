//! Somebody signs in, is known, also after a restart, and signs out.

use std::path::Path;

use bytes::Bytes;
use http::{Method, Response};
use tower_signin::{Keys, SystemClock};

use crate::site::{BOB, CALLBACK, Site, siwbb};
use crate::sqlite::{file, open};
use crate::support::{Browser, navigation, text};

const RING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A node whose sessions are in this file. Time is the system's, as it is for the database.
async fn node(file: &Path) -> Site {
    let store = open(file.to_owned()).await;
    Site::of(siwbb(), CALLBACK, |builder| {
        builder.clock(SystemClock).keys(Keys::parse(RING).unwrap()).session_store(store)
    })
}

async fn who(site: &Site, browser: &mut Browser) -> String {
    text(&site.get(browser, "/").await).to_owned()
}

async fn sign_out(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    site.visit(browser, navigation(Method::POST, site.sign_in.logout_path(), "same-origin")).await
}

#[tokio::test]
async fn a_session_lives_in_the_database_until_it_is_signed_out() {
    let file = file();
    let site = node(&file).await;
    let mut browser = Browser::new();
    assert_eq!(who(&site, &mut browser).await, "nobody");
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    assert_eq!(who(&site, &mut browser).await, BOB);
    drop(site);

    let site = node(&file).await;
    assert_eq!(who(&site, &mut browser).await, BOB, "after a restart");
    let mut copy = browser.clone();
    assert_eq!(sign_out(&site, &mut browser).await.status(), 303);
    assert_eq!(who(&site, &mut browser).await, "nobody");
    assert_eq!(who(&site, &mut copy).await, "nobody", "a copy of the cookie is none any more");
    drop(site);
    assert_eq!(who(&node(&file).await, &mut copy).await, "nobody", "nor after another restart");
}
