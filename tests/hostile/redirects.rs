//! Open redirects: every hostile target, in every place that takes one, judged as a browser resolves it.

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::landing::{Landings, stays};
use crate::random::{Random, rounds};
use crate::rows::Row;
use crate::rows::Verdict::{CannotApply, Held};
use crate::site::{CALLBACK, CODE, Site, parameter, query};
use crate::support::{Browser, location, navigation, text};
use crate::targets;

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H001",
        what: "a slash and a backslash passed for a path on the site",
        verdict: Held(&["h001_backslash_return_target"]),
    },
    Row {
        id: "H002",
        what: "white space, tabs or encoded characters fooled the check of a return target",
        verdict: Held(&["h002_whitespace_and_encoded_forms", "h002_no_login_leaves_for_all_of_the_corpus"]),
    },
    Row {
        id: "H003",
        what: "a host that ends like an allowed one was allowed",
        verdict: Held(&["h003_host_that_ends_in_ours"]),
    },
    Row {
        id: "H004",
        what: "the same, after a hyphen, for a target and for the domain of a cookie",
        verdict: Held(&["h004_host_that_ends_in_ours_after_a_hyphen"]),
    },
    Row {
        id: "H005",
        what: "server and browser read one address differently",
        verdict: Held(&[
            "h005_no_link_or_form_of_a_page_leaves",
            "h005_no_sign_in_ends_elsewhere",
            "h005_nothing_made_up_leaves",
            "tests/browser/astray.rs::no_hostile_target_leaves_as_a_browser_resolves_it",
            "tests/browser/astray.rs::a_browser_that_follows_hostile_targets_stays",
        ]),
    },
    Row {
        id: "H006",
        what: "logout sent people to any site, for want of a list",
        verdict: Held(&["h006_logout_goes_to_no_other_site", "h006_no_logout_leaves_for_all_of_the_corpus"]),
    },
    Row {
        id: "H007",
        what: "one parameter that became a redirect was never checked",
        verdict: Held(&["h007_no_other_parameter_is_a_target"]),
    },
    Row {
        id: "H008",
        what: "the path that was asked for became the return target, two slashes and all",
        verdict: Held(&[
            "h008_the_requests_own_path_is_no_target",
            "tests/users/detours.rs::u20_no_address_of_a_request_is_a_way_off_this_site",
        ]),
    },
    Row {
        id: "H009",
        what: "the beginning of a target was compared, not its origin",
        verdict: Held(&["h009_our_origin_as_a_beginning"]),
    },
    Row {
        id: "H010",
        what: "one way to sign in had no check of its target",
        verdict: Held(&["h010_every_way_in_shares_one_validator"]),
    },
    Row {
        id: "H011",
        what: "a malformed target threw an exception, and the request hung",
        verdict: Held(&["h011_malformed_targets_break_nothing"]),
    },
    Row { id: "H012", what: "login took any target", verdict: Held(&["h012_unfiltered_login_target"]) },
    Row {
        id: "H013",
        what: "a wildcard in a list of trusted origins let others in",
        verdict: CannotApply("there is no list of trusted origins: a target is a path on this site or becomes `/`"),
    },
    Row {
        id: "H014",
        what: "an internal address took an unsigned target",
        verdict: Held(&["h014_the_target_comes_from_the_sealed_flow_alone"]),
    },
    Row {
        id: "H015",
        what: "two slashes at the start, and disguises of them once that was mended",
        verdict: Held(&["h015_protocol_relative_in_disguise"]),
    },
];

#[tokio::test]
async fn h001_backslash_return_target() {
    root(&[
        r"/\evil.example",
        r"/\/evil.example",
        r"\/evil.example",
        r"\\evil.example",
        r"/a\b",
        r"\evil",
        "/%5cevil.example",
    ])
    .await;
}

#[tokio::test]
async fn h002_whitespace_and_encoded_forms() {
    root(&[
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "/\0/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/%09/evil.example",
        "/%0a/evil.example",
        "/%0D/evil.example",
        "/%00/evil.example",
        "/%2f/evil.example",
        "/%2F%2Fevil.example",
        "%2f%2fevil.example",
        "/\u{85}/evil.example",
        "\u{a0}//evil.example",
        "\u{3000}//evil.example",
        "／／evil.example",
        "/a\r\nlocation: https://evil.example",
    ])
    .await;
}

#[tokio::test]
async fn h002_no_login_leaves_for_all_of_the_corpus() {
    let landings = Landings::new().await;
    let targets = targets::corpus("/api");
    assert!(targets.len() >= 20_000, "{}", targets.len());
    for target in &targets {
        landings.at_login(target).await;
    }
}

#[tokio::test]
async fn h003_host_that_ends_in_ours() {
    root(&["https://evilexample.com/", "//evilexample.com/", "https://evil.example.com/"]).await;
}

#[tokio::test]
async fn h004_host_that_ends_in_ours_after_a_hyphen() {
    root(&["https://evil-example.com/", "//evil-example.com/"]).await;
}

#[tokio::test]
async fn h005_no_link_or_form_of_a_page_leaves() {
    let landings = Landings::new().await;
    for target in targets::corpus("/api").iter().step_by(one_in(17)) {
        landings.on_pages(target).await;
    }
}

#[tokio::test]
async fn h005_no_sign_in_ends_elsewhere() {
    let landings = Landings::new().await;
    for target in targets::corpus("/api").iter().step_by(one_in(41)) {
        landings.by_signing_in(target).await;
    }
}

#[tokio::test]
async fn h005_nothing_made_up_leaves() {
    let landings = Landings::new().await;
    let mut random = Random::new(1);
    for round in 0..rounds(4_000) {
        let target = targets::made_up(&mut random, "/api");
        landings.at_login(&target).await;
        landings.at_logout(&target).await;
        match round % 64 {
            0 => landings.by_signing_in(&target).await,
            number if number % 16 == 1 => landings.on_pages(&target).await,
            _ => {}
        }
    }
}

#[tokio::test]
async fn h006_logout_goes_to_no_other_site() {
    for target in ["https://evil.example/", "//evil.example", "https://example.com.evil.example/"] {
        let site = Site::new();
        assert_eq!(logged_out(&site, &site_logout(target)).await, "/", "{target}");
    }
}

/// Only `return_to` ever becomes a Location, and only at login and logout.
#[tokio::test]
async fn h006_no_logout_leaves_for_all_of_the_corpus() {
    let landings = Landings::new().await;
    for target in &targets::corpus("/api") {
        landings.at_logout(target).await;
    }
}

#[tokio::test]
async fn h007_no_other_parameter_is_a_target() {
    let names = [
        "redirect",
        "redirect_uri",
        "redirect_url",
        "next",
        "url",
        "rd",
        "target",
        "target_link_uri",
        "login_uri",
        "callbackUrl",
        "returnTo",
        "RETURN_TO",
        "return_to[]",
        "return-to",
        "post_logout_redirect_uri",
        "RelayState",
        "client_id",
        "iss",
    ];
    for name in names {
        let site = Site::new();
        let evil = query(&[(name, "https://evil.example/"), (name, "/elsewhere")]);
        let mut browser = Browser::new();
        let login = site.get(&mut browser, &format!("/api/login?{evil}")).await;
        let url = location(&login);
        assert!(url.starts_with("https://bitbadges.io/siwbb/authorize?") && !url.contains("evil"), "{name}: {url}");
        assert_eq!(parameter(&url, "redirect_uri"), CALLBACK, "{name}");
        let callback = format!("/api/callback?code={CODE}&state={}", parameter(&url, "state"));
        let callback = if name == "iss" { callback } else { format!("{callback}&{evil}") };
        assert_eq!(location(&site.get(&mut browser, &callback).await), "/", "{name}");
        assert_eq!(logged_out(&site, &format!("/api/logout?{evil}")).await, "/", "{name}");
    }
}

#[tokio::test]
async fn h008_the_requests_own_path_is_no_target() {
    let site = Site::new();
    for path in ["//google.com", "//google.com/..", "/\\google.com", "http://google.com//google.com"] {
        let response = site.get(&mut Browser::new(), path).await;
        assert_eq!((response.status().as_u16(), text(&response)), (200, "nobody"), "{path}");
        assert!(!response.headers().contains_key(LOCATION), "{path}");

        let inner =
            service_fn(|_: Request<Bytes>| async { Err::<Response<Full<Bytes>>, _>("the guard let it through") });
        let guarded = site.sign_in.layer().layer(site.sign_in.require().layer(inner));
        let request = navigation(Method::GET, path, "none").body(Bytes::new()).unwrap();
        let response = guarded.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 303, "{path}");
        assert_eq!(response.headers()[LOCATION], "/api/login", "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("google"), "{path}");
    }
}

#[tokio::test]
async fn h009_our_origin_as_a_beginning() {
    root(&[
        "https://example.com.evil.example/",
        "https://example.com@evil.example/",
        "https://example.com/",
        "https:/x",
    ])
    .await;
}

/// Login, logout, the page with a button and the way around another loopback name share one validator.
#[tokio::test]
async fn h010_every_way_in_shares_one_validator() {
    for target in [r"/\evil.example", "//evil.example", "/\t/evil.example", "/api/login?x", "https://evil.example"] {
        let site = Site::new();
        for place in everywhere(&site, target).await {
            assert_eq!(place, "/", "{target:?}");
        }
        let loopback = Site::of(crate::site::siwbb(), "http://localhost:3000/api/callback", |builder| builder);
        let request = navigation(Method::GET, &loopback.login(target), "none").header("host", "127.0.0.1:3000");
        let response = loopback.visit(&mut Browser::new(), request).await;
        let link = location(&response);
        let link = link.strip_prefix("http://localhost:3000/api/login").unwrap_or_else(|| panic!("{target:?}: {link}"));
        assert!(["", "?return_to=%2F"].contains(&link), "{target:?}: {link}");

        let full = Site::new();
        let mut browser = Browser::new();
        for _ in 0..4 {
            full.start(&mut browser, "/").await;
        }
        let page = full.visit(&mut browser, navigation(Method::GET, &full.login(target), "cross-site")).await;
        let button = ["href=\"/api/login\"", "href=\"/api/login?return_to=%2F\""];
        assert!(button.iter().any(|button| text(&page).contains(button)), "{target:?}: {}", text(&page));
    }
}

#[tokio::test]
async fn h011_malformed_targets_break_nothing() {
    let mut queries: Vec<_> = (0..=255_u8).map(|byte| format!("return_to=/a%{byte:02x}b")).collect();
    let odd =
        ["return_to", "return_to=", "=", "&&&", "return_to=%", "return_to=%f", "return_to=%zz", "return_to=%ff%fe"];
    queries.extend(odd.map(str::to_owned));
    queries.extend(
        ["return_to=/a&return_to=//evil.example", "%ff=x", "return_to=/%ed%a0%80", "?return_to=?"].map(str::to_owned),
    );
    queries.push(format!("return_to=/{}", "a".repeat(60_000)));
    queries.push(format!("return_to={}", "%2f".repeat(20_000)));
    let site = Site::new();
    for query in &queries {
        let mut browser = Browser::new();
        let login = site.get(&mut browser, &format!("/api/login?{query}")).await;
        assert_eq!(login.status(), 303, "{query:.60}");
        let state = parameter(&location(&login), "state");
        let callback = site.get(&mut browser, &format!("/api/callback?code={CODE}&state={state}")).await;
        let place = logged_out(&site, &format!("/api/logout?{query}")).await;
        for place in [location(&callback), place] {
            let resolved = stays(query, "callback or logout", &place);
            // An answer of ours could lead back to this one.
            assert!(!["/api/login", "/api/logout"].contains(&resolved.path()), "{query:.60} became {place:?}");
        }
    }
}

#[tokio::test]
async fn h012_unfiltered_login_target() {
    root(&[
        "https://evil.example",
        "http://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "",
    ])
    .await;
}

#[tokio::test]
async fn h014_the_target_comes_from_the_sealed_flow_alone() {
    let extras = [
        "return_to=%2Felsewhere",
        "return_to=//evil.example",
        "return_to=/a&return_to=/b",
        "%72eturn_to=/a",
        "fragment=read&return_to=/a",
    ];
    for extra in extras {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/sealed").await;
        for callback in
            [format!("{}&{extra}", started.callback(CODE)), started.callback(CODE).replace('?', &format!("?{extra}&"))]
        {
            assert_eq!(location(&site.get(&mut browser, &callback).await), "/sealed", "{callback}");
            let reload = format!("{}&{extra}", started.callback(CODE));
            assert_eq!(location(&site.get(&mut browser, &reload).await), "/sealed", "{callback}, again");
        }
        // Nor from a page that says what went wrong.
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/sealed").await;
        let declined = format!("/api/callback?error=access_denied&state={}&{extra}", started.state);
        let page = site.get(&mut browser, &declined).await;
        assert!(text(&page).contains("href=\"/api/login?return_to=%2Fsealed\""), "{extra}: {}", text(&page));
        let again = site.get(&mut browser, &declined).await;
        assert!(text(&again).contains("href=\"/api/login\""), "{extra}: {}", text(&again));
    }
}

#[tokio::test]
async fn h015_protocol_relative_in_disguise() {
    root(&[
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/%09/evil.example",
        r"/./\evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/%2e/\\evil.example",
        "/%2e%2e//evil.example",
        "/a/..//evil.example",
        "/..;//evil.example",
    ])
    .await;
}

/// The ways that take longer are for one in so many of the corpus; `EVERYWHERE=1` makes it all of them.
fn one_in(many: usize) -> usize {
    if std::env::var_os("EVERYWHERE").is_some() { 1 } else { many }
}

/// Each of these targets becomes `/`, wherever it is given.
async fn root(targets: &[&str]) {
    let site = Site::new();
    for target in targets {
        for place in everywhere(&site, target).await {
            assert_eq!(place, "/", "{target:?}");
        }
    }
}

/// Where a person ends up who gave this target at login, at login from another site while signed in, and at logout.
async fn everywhere(site: &Site, target: &str) -> [String; 3] {
    let mut browser = Browser::new();
    let callback = site.complete(&mut browser, target).await;
    assert_eq!(callback.status(), 303, "{target:?}");
    let from_another_site = from_another_site(site, &mut browser, target).await;
    [location(&callback), from_another_site, logged_out(site, &site_logout(target)).await]
}

async fn from_another_site(site: &Site, browser: &mut Browser, target: &str) -> String {
    // Right after a sign-in, coming back again and again counts as running in circles.
    browser.jar.remove("__Host-signin-rounds");
    let response = site.visit(browser, navigation(Method::GET, &site.login(target), "cross-site")).await;
    assert_eq!(response.status(), 303, "{target:?}");
    location(&response)
}

fn site_logout(target: &str) -> String {
    format!("/api/logout?{}", query(&[("return_to", target)]))
}

async fn logged_out(site: &Site, uri: &str) -> String {
    let response = site.visit(&mut Browser::new(), navigation(Method::POST, uri, "same-origin")).await;
    assert_eq!(response.status(), 303, "{uri:.60}");
    location(&response)
}
