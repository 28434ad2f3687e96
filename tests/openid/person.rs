//! A person at the pages of a provider.

use bytes::Bytes;
use http::Response;
use url::Url;

use crate::support::{Browser, location, text};

/// What a person does at the pages of `oidc-provider`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Does {
    /// Signs in under this name where asked to, and agrees to everything.
    Agrees(&'static str),
    /// Signs in, and then goes back without agreeing.
    Cancels(&'static str),
}

/// What became of it: where the browser was sent back to, and whether it had to say who it is.
pub(crate) struct Answered {
    pub(crate) callback: String,
    pub(crate) was_asked_who: bool,
}

/// From the authorization URL through the pages of `oidc-provider`, until it sends the browser elsewhere.
pub(crate) async fn answers(browser: &mut Browser, authorization_url: &str, does: Does) -> Answered {
    let mut url = Url::parse(authorization_url).unwrap();
    let provider = url.origin();
    let (Does::Agrees(name) | Does::Cancels(name)) = does;
    let mut was_asked_who = false;
    for _ in 0..12 {
        if url.origin() != provider {
            return Answered { callback: url.to_string(), was_asked_who };
        }
        let mut answer = browser.get(url.as_str()).await;
        if answer.status() == 200 {
            let page = text(&answer).to_owned();
            let (action, is_login) = (attribute(&page, "action"), page.contains("name=\"login\""));
            was_asked_who |= is_login;
            answer = if is_login {
                browser.post(&action, &format!("prompt=login&login={name}&password=any")).await
            } else if matches!(does, Does::Agrees(_)) {
                browser.post(&action, "prompt=consent").await
            } else {
                browser.get(&attribute(&page, "href")).await
            };
        }
        assert!(answer.status().is_redirection(), "{}: {}", answer.status(), text(&answer));
        url = url.join(&location(&answer)).unwrap();
    }
    panic!("the provider sends the browser around: {url}");
}

/// From the way out of the app through the page where `oidc-provider` asks whether the person wants to leave it, too. Gives the
/// way back.
pub(crate) async fn leaves(browser: &mut Browser, end_session_url: &str, leaves_provider: bool) -> String {
    let answer = browser.get(end_session_url).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let page = text(&answer);
    let xsrf = page.split("name=\"xsrf\" value=\"").nth(1).expect(page).split('"').next().unwrap();
    let choice = if leaves_provider { "&logout=yes" } else { "" };
    let answer = browser.post(&attribute(page, "action"), &format!("xsrf={xsrf}{choice}")).await;
    assert_eq!(answer.status(), 303, "{}", text(&answer));
    location(&answer)
}

/// The whole way into an app.
pub(crate) async fn signs_in(browser: &mut Browser, app: &str, does: Does) -> (Response<Bytes>, bool) {
    let authorization_url = browser.start(app, "/").await;
    let answered = answers(browser, &authorization_url, does).await;
    (browser.get(&answered.callback).await, answered.was_asked_who)
}

/// The first value of an attribute.
fn attribute(page: &str, name: &str) -> String {
    let value = page.split(&format!("{name}=\"")).nth(1).expect(page).split('"').next().unwrap();
    value.replace("&amp;", "&")
}
