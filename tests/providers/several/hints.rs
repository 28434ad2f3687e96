//! `login_hint`: from a link of this site to the provider.

use http::Method;
use tower_signin::Builder;

use crate::app::App;
use crate::support::{Browser, location, navigation, text};

/// What the provider is told of who the person is, `-` where nothing.
struct Told;

impl tower_signin::Provider for Told {
    fn issuer(&self) -> &str {
        "https://told.example"
    }
    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }
    fn authorization_url(
        &self,
        request: &tower_signin::AuthorizationRequest<'_>,
    ) -> Result<String, tower_signin::Error> {
        Ok(format!("https://told.example/{}", request.login_hint.unwrap_or("-")))
    }
    fn redeem<'a>(
        &'a self,
        _: tower_signin::Context<'a>,
        _: tower_signin::ValidatedCode,
    ) -> tower_signin::BoxFuture<'a, Result<tower_signin::Grant, tower_signin::Error>> {
        Box::pin(async { Err(tower_signin::ErrorKind::Unsupported.into()) })
    }
}

#[tokio::test]
async fn a_hint_is_for_this_site_alone_to_give() {
    let app = App::start(Told).await;
    for (site, told) in [("none", "ada@x"), ("same-origin", "ada@x"), ("same-site", "-"), ("cross-site", "-")] {
        let url = app.url("/auth/login?login_hint=ada%40x");
        let answer = Browser::new().send(navigation(Method::GET, &url, site).body(Default::default()).unwrap()).await;
        assert_eq!(location(&answer), format!("https://told.example/{told}"), "{site}");
    }
}

#[tokio::test]
async fn a_hint_survives_the_page_in_between_and_another_loopback_name() {
    let app = App::start_with(Told, Builder::keep_fragment).await;
    let between = Browser::new().get(&app.url("/auth/login?login_hint=ada%40x&return_to=/me")).await;
    let next = "/auth/login?fragment=read&amp;login_hint=ada%40x&amp;return_to=%2Fme";
    assert!(text(&between).contains(&format!("data-next=\"{next}\"")), "{}", text(&between));
    let other = app.url("/auth/login?login_hint=ada%40x").replace("localhost", "127.0.0.1");
    assert_eq!(location(&Browser::new().get(&other).await), app.url("/auth/login?login_hint=ada%40x"));
}
