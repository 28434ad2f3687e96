//! Whom a guard lets in, and how the wrong person becomes the right one.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use http::Method;
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{
    AuthorizationRequest, BoxFuture, Context, Error, Grant, Provider, RequireLayer, ValidatedCode, siwbb,
};

use crate::site::{BOB, CALLBACK, CODE, Site, Started};
use crate::support::{Browser, location, navigation, text};
use crate::{fetch, told, visit};

const NOT_BOB: &str = "0x0bc63cfe31d5218eb414b142c799e20964a54a1a";
const BOB_0X: &str = "0x092bb4851ae26850588243e7bef22a56287f4739";

fn behind(guard: RequireLayer) -> Router {
    Router::new().nest("/app", Router::new().route("/page", get(async || "secret").layer(guard)))
}

#[tokio::test]
async fn u33_declining_is_no_breakdown() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/page").await;
    let path = format!("/api/callback?error=access_denied&error_description=%3Cb%3E&state={}", started.state);
    let response = site.get(&mut browser, &path).await;
    assert_eq!(told(&response), (403, "access_denied".to_owned()));
    assert!(text(&response).contains("You did not sign in"), "{}", text(&response));
    assert!(!text(&response).contains("<b>") && !text(&response).contains("&lt;b&gt;"), "their words are not shown");
    assert!(text(&response).contains("href=\"/api/login?return_to=%2Fpage\">Sign in</a>"), "{}", text(&response));
    assert_eq!(browser.jar.len(), 0, "the flow is over");
}

#[tokio::test]
async fn u34_the_wrong_account_is_named_and_can_be_changed() {
    let site = Site::new();
    let router = behind(site.sign_in.require_where(siwbb::addresses([NOT_BOB]).unwrap()));
    let mut browser = site.signed_in().await;
    let response = visit(&site, &router, &mut browser, navigation(Method::GET, "/app/page?x=1", "none")).await;
    assert_eq!(told(&response), (403, "not_allowed".to_owned()));
    for part in [
        &format!("You are signed in as {BOB}."),
        "<a href=\"/api/login?prompt=select_account&amp;return_to=%2Fapp%2Fpage%3Fx%3D1\">Use another account</a>",
        "<a href=\"/\">To the home page</a>",
    ] {
        assert!(text(&response).contains(part), "{part}: {}", text(&response));
    }
    let login = "/api/login?prompt=select_account&return_to=%2Fapp%2Fpage%3Fx%3D1";
    let response = site.visit(&mut browser, navigation(Method::GET, login, "same-origin")).await;
    let started = Started::at(&location(&response));
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(location(&response), "/app/page?x=1", "back to the page that was refused");

    let response = visit(&site, &router, &mut browser, fetch("GET", "/app/page")).await;
    assert_eq!(told(&response), (403, "not_allowed".to_owned()));
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["login_url"], "https://example.com/api/login?prompt=select_account");
    assert!(!text(&response).contains(BOB), "a program is not told whose it is");
}

#[tokio::test]
async fn u34_a_gate_offers_another_account_too() {
    let hook = |_| async { Err(tower_signin::Rejection::refuse("not_a_member")) };
    let site = Site::with(|builder| builder.on_sign_in(hook));
    let response = site.complete(&mut Browser::new(), "/page").await;
    assert_eq!(told(&response), (403, "refused_by_app: not_a_member".to_owned()));
    let switch = "<a href=\"/api/login?prompt=select_account&amp;return_to=%2Fpage\">Use another account</a>";
    assert!(text(&response).contains(switch), "{}", text(&response));
    assert!(text(&response).contains("<a href=\"/api/login?return_to=%2Fpage\">Sign in again</a>"));
}

#[tokio::test]
async fn every_predicate_decides_by_the_session() {
    let site = Site::new();
    let require =
        |predicate: Box<dyn Fn(&tower_signin::Identity) -> bool + Send + Sync>| site.sign_in.require_where(predicate);
    let cases: [(&str, RequireLayer, bool); 11] = [
        ("on the list", site.sign_in.require_where(siwbb::addresses([NOT_BOB, BOB_0X]).unwrap()), true),
        ("on it by bb1", site.sign_in.require_where(siwbb::addresses([BOB]).unwrap()), true),
        ("not on it", site.sign_in.require_where(siwbb::addresses([NOT_BOB]).unwrap()), false),
        ("on the chain", site.sign_in.require_where(siwbb::chain("eth")), true),
        ("on another", site.sign_in.require_where(siwbb::chain("Cosmos")), false),
        ("of the issuer", site.sign_in.require_where(issuer("https://bitbadges.io")), true),
        ("of another", site.sign_in.require_where(issuer("https://bitbadges.io.evil.example")), false),
        ("a claim", site.sign_in.require_where(claim_equals("/chain", "ETH")), true),
        ("another claim", site.sign_in.require_where(claim_equals("/chain", "BTC")), false),
        ("no list", site.sign_in.require_where(claim_includes("/chain", "ETH")), false),
        ("by hand", require(Box::new(|who| who.subject() == BOB)), true),
    ];
    let mut browser = site.signed_in().await;
    for (name, guard, passes) in cases {
        let router = behind(guard);
        let response = visit(&site, &router, &mut browser, fetch("GET", "/app/page")).await;
        assert_eq!(response.status(), if passes { 200 } else { 403 }, "{name}");
        let response = visit(&site, &router, &mut Browser::new(), fetch("GET", "/app/page")).await;
        assert_eq!(response.status(), 401, "{name}: nobody is not asked for more");
    }
}

#[tokio::test]
async fn the_provider_hears_that_another_account_is_wanted() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let site = Site::of(Asked(Arc::clone(&asked)), CALLBACK, |builder| builder);
    let kept = Site::of(Asked(Arc::clone(&asked)), CALLBACK, tower_signin::Builder::keep_fragment);
    let cases = [
        ("/api/login", false),
        ("/api/login?prompt=select_account", true),
        ("/api/login?prompt=select%5Faccount", true),
        ("/api/login?prompt=login", false),
        ("/api/login?prompt=none", false),
        ("/api/login?prompt=select_account&prompt=select_account", false),
        ("/api/login?prompt=", false),
    ];
    for (login, expected) in cases {
        site.get(&mut Browser::new(), login).await;
        assert_eq!(asked.lock().unwrap().pop(), Some(expected), "{login}");
        let page = kept.get(&mut Browser::new(), login).await;
        assert_eq!(text(&page).contains("prompt=select_account"), expected, "{login}: through the page in between");
    }
}

/// Notes whether it was asked for a choice of accounts.
struct Asked(Arc<Mutex<Vec<bool>>>);

impl Provider for Asked {
    fn issuer(&self) -> &str {
        "https://id.example"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec!["https://id.example/token"]
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        self.0.lock().unwrap().push(request.select_account);
        Ok(format!("https://id.example/authorize?state={}", request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        unreachable!("no callback is sent")
    }
}

#[tokio::test]
async fn u34_a_link_of_another_site_to_change_the_account_asks_first() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let switch = site.sign_in.switch_account_url("/page");
    for from in ["same-site", "cross-site"] {
        for _ in 0..6 {
            let response = site.visit(&mut browser, navigation(Method::GET, &switch, from)).await;
            assert_eq!(told(&response), (403, "already_signed_in".to_owned()), "{from}");
            for part in
                [&format!("You are signed in as {BOB}."), "<a href=\"/page\">Continue</a>", ">Use another account</a>"]
            {
                assert!(text(&response).contains(part), "{part}: {}", text(&response));
            }
            assert_eq!(crate::site::set_cookies(&response), [""; 0], "{from}");
        }
    }
    let response = site.visit(&mut browser, navigation(Method::GET, &switch, "same-origin")).await;
    assert!(location(&response).starts_with("https://bitbadges.io/"), "a page of ours, or the button");
}
