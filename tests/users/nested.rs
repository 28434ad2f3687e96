//! Two ways to sign in on one site, one inside the other.

use axum::Router;
use axum::routing::get;
use http::Method;
use tower_signin::{Builder, Identity, Keys, siwbb};

use crate::site::{BOB, CODE, Site, Started};
use crate::support::{Browser, location, navigation, text};
use crate::{fetch, told, visit};

/// The visitors' sign-in around everything, and the staff's inside it under `/staff`. Both are of one origin and one key.
struct Two {
    visitors: Site,
    staff: Site,
}

impl Two {
    fn new() -> Self {
        let keys = Keys::generate().unwrap();
        let visitors = Site::with(|builder| builder.keys(keys.clone()));
        let staff = |builder: Builder| {
            builder.keys(keys.clone()).cookie_prefix("staff").pages(|page| {
                let links: Vec<_> = page.links().iter().map(|link| link.href().to_owned()).collect();
                format!("staff: {}", links.join(" "))
            })
        };
        let staff = Site::of(crate::site::siwbb(), "https://example.com/staff/callback", staff);
        Self { visitors, staff }
    }

    /// Behind both guards; the staff's part is nested, so that its guard and layer see shortened addresses.
    fn router(&self) -> Router {
        let who = get(async |who: Identity| who.subject().to_owned());
        let desk = Router::new().route("/desk", who.clone().layer(self.staff.sign_in.require()));
        let desk = desk.route("/vault", who.clone().layer(self.staff.sign_in.require_where(siwbb::chain("none"))));
        let desk = desk.route("/bell", who.clone()).layer(self.staff.sign_in.layer());
        Router::new().nest("/inner", desk).route("/lobby", who.layer(self.visitors.sign_in.require()))
    }

    async fn sign_in(&self, browser: &mut Browser, site: &Site) {
        let login = site.get(browser, site.sign_in.login_path()).await;
        let started = Started::at(&location(&login));
        let path = format!("{}?code={CODE}&state={}", site.sign_in.callback_path(), started.state);
        assert_eq!(site.get(browser, &path).await.status(), 303);
    }
}

#[tokio::test]
async fn each_guard_sends_to_its_own_login_and_believes_its_own_session() {
    let two = Two::new();
    let router = two.router();
    let page = |path: &str| navigation(Method::GET, path, "none");
    let mut browser = Browser::new();
    let ask = async |browser: &mut Browser, path: &str| visit(&two.visitors, &router, browser, page(path)).await;

    assert_eq!(location(&ask(&mut browser, "/lobby?x=1").await), "/api/login?return_to=%2Flobby%3Fx%3D1");
    // The staff's layer stands inside the nest, so this is what it saw.
    assert_eq!(location(&ask(&mut browser, "/inner/desk?x=1").await), "/staff/login?return_to=%2Fdesk%3Fx%3D1");
    two.sign_in(&mut browser, &two.visitors).await;
    assert_eq!(text(&ask(&mut browser, "/lobby").await), BOB);
    assert_eq!(location(&ask(&mut browser, "/inner/desk").await), "/staff/login?return_to=%2Fdesk");
    two.sign_in(&mut browser, &two.staff).await;
    assert_eq!(text(&ask(&mut browser, "/inner/desk").await), BOB);
    browser.jar.remove("__Host-signin").expect("the visitors' session");
    assert_eq!(text(&ask(&mut browser, "/inner/desk").await), BOB, "the staff's own session is enough");
    assert_eq!(ask(&mut browser, "/lobby").await.status(), 303, "and no use elsewhere");
}

#[tokio::test]
async fn who_must_pass_two_guards_is_sent_to_one_login_after_the_other() {
    let two = Two::new();
    let who = get(async |who: Identity| who.issuer().to_owned());
    let router = Router::new().route("/page", who.layer(two.staff.sign_in.require()));
    let router = router.layer(two.staff.sign_in.layer()).layer(two.visitors.sign_in.require());
    let mut browser = Browser::new();
    let ask = async |browser: &mut Browser| {
        visit(&two.visitors, &router, browser, navigation(Method::GET, "/page?x=1", "none")).await
    };
    assert_eq!(location(&ask(&mut browser).await), "/api/login?return_to=%2Fpage%3Fx%3D1");
    two.sign_in(&mut browser, &two.visitors).await;
    assert_eq!(location(&ask(&mut browser).await), "/staff/login?return_to=%2Fpage%3Fx%3D1");
    two.sign_in(&mut browser, &two.staff).await;
    assert_eq!(text(&ask(&mut browser).await), "https://bitbadges.io");
    browser.jar.remove("__Host-signin").expect("the visitors' session");
    assert_eq!(location(&ask(&mut browser).await), "/api/login?return_to=%2Fpage%3Fx%3D1", "the first one again");
}

#[tokio::test]
async fn a_refusal_is_finished_once_by_the_layer_it_belongs_to() {
    let two = Two::new();
    let router = two.router();
    let mut browser = Browser::new();
    two.sign_in(&mut browser, &two.visitors).await;
    let argument = visit(&two.visitors, &router, &mut browser, navigation(Method::GET, "/inner/bell", "none")).await;
    assert_eq!(argument.status(), 401, "the visitors' identity stops at the staff's layer");
    assert_eq!(text(&argument), "staff: /staff/login?return_to=%2Fbell");

    two.sign_in(&mut browser, &two.staff).await;
    let refused = visit(&two.visitors, &router, &mut browser, navigation(Method::GET, "/inner/vault", "none")).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(text(&refused), "staff: /staff/login?prompt=select_account&return_to=%2Fvault /");
}

#[tokio::test]
async fn a_guard_below_the_layer_of_another_is_finished_by_its_own_further_out() {
    let two = Two::new();
    let open = get(async || "open");
    // Above its own layer's nest, below the other's: the visitors' guard inside the staff's layer.
    let inside = Router::new().route("/page", open.layer(two.visitors.sign_in.require()));
    let router = Router::new().nest("/inner", inside.layer(two.staff.sign_in.layer()));
    let request = navigation(Method::GET, "/inner/page?x=1", "none");
    let response = visit(&two.visitors, &router, &mut Browser::new(), request).await;
    assert_eq!(location(&response), "/api/login?return_to=%2Finner%2Fpage%3Fx%3D1", "the whole address");

    let mut browser = two.visitors.signed_in().await;
    let response = visit(&two.visitors, &router, &mut browser, fetch("GET", "/inner/page")).await;
    assert_eq!(told(&response), (500, "sign_in_layer_missing".to_owned()), "the staff's layer took the identity away");
}

#[tokio::test]
async fn rounds_of_one_are_no_rounds_of_the_other() {
    let two = Two::new();
    let mut browser = Browser::new();
    for number in 1..=3 {
        two.sign_in(&mut browser, &two.visitors).await;
        browser.jar.remove("__Host-signin").expect("a session");
        if number < 3 {
            assert_eq!(two.visitors.get(&mut browser, "/api/login").await.status(), 303, "round {number}");
        }
    }
    let count = browser.jar["__Host-signin-rounds"].clone();
    browser.jar.insert("__Host-staff-rounds".to_owned(), count);
    assert_eq!(two.staff.get(&mut browser, "/staff/login").await.status(), 303, "the count carries its cookie's name");
    assert_eq!(told(&two.visitors.get(&mut browser, "/api/login").await), (400, "sign_in_loop".to_owned()));
}
