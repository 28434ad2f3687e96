//! The fragment of a page survives where the application asks for it.

use http::Method;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::site::{CODE, Site, query, set_cookies};
use crate::support::{Browser, location, navigation, text};

fn site() -> Site {
    Site::with(tower_signin::Builder::keep_fragment)
}

/// What the page's script appends the fragment to.
fn next(page: &str) -> String {
    let start = page.find("data-next=\"").expect("a place to go on") + "data-next=\"".len();
    page[start..].split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test]
async fn u11_the_fragment_comes_back_with_the_page() {
    let site = site();
    let mut browser = Browser::new();
    let page = site.get(&mut browser, &site.login("/page?x=1&y=ä")).await;
    assert_eq!(
        (page.status().as_u16(), &page.headers()[CONTENT_TYPE]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert_eq!(set_cookies(&page), [""; 0], "nothing has started");
    let next = next(text(&page));
    assert_eq!(next, "/api/login?fragment=read&return_to=%2Fpage%3Fx%3D1%26y%3D%25C3%25A4");
    let login = format!("{next}%23part%26a%3Db");
    let started = site.visit(&mut browser, navigation(Method::GET, &login, "same-origin")).await;
    let started = crate::site::Started::at(&location(&started));
    let done = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(location(&done), "/page?x=1&y=%C3%A4#part&a=b");
}

#[tokio::test]
async fn u11_only_the_page_s_own_script_may_run() {
    use base64::Engine as _;
    let page = site().get(&mut Browser::new(), "/api/login?return_to=/page").await;
    let body = text(&page);
    let script = body.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, script.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with(&format!("default-src 'none'; script-src 'sha256-{hash}';")), "{policy}");
    assert!(body.contains("<noscript><meta http-equiv=\"refresh\""), "{body}");
}

#[tokio::test]
async fn the_page_in_between_is_for_browsers_with_a_page_to_keep() {
    let site = site();
    let cases: &[(&str, &str, &[(&str, &str)], u16)] = &[
        ("a browser", "/api/login", &[("sec-fetch-mode", "navigate")], 200),
        ("an old browser", "/api/login", &[("accept", "text/html")], 200),
        ("a program", "/api/login", &[("accept", "*/*")], 303),
        ("a target with a fragment", "/api/login?return_to=/a%23b", &[("sec-fetch-mode", "navigate")], 303),
        ("once more", "/api/login?fragment=read&return_to=/a", &[("sec-fetch-mode", "navigate")], 303),
        ("junk", "/api/login?fragment=junk", &[("sec-fetch-mode", "navigate")], 200),
        ("twice", "/api/login?fragment=read&fragment=read", &[("sec-fetch-mode", "navigate")], 200),
        ("a fetch", "/api/login", &[("sec-fetch-mode", "cors")], 403),
        ("a frame", "/api/login", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], 403),
        ("a prefetch", "/api/login", &[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")], 503),
    ];
    for (name, path, headers, status) in cases {
        let request =
            headers.iter().fold(http::Request::get(*path), |request, (name, value)| request.header(*name, *value));
        let response = site.visit(&mut Browser::new(), request).await;
        assert_eq!(response.status(), *status, "{name}");
    }
    let plain = Site::new().get(&mut Browser::new(), "/api/login?return_to=/page").await;
    assert_eq!(plain.status(), 303, "only where the application asks for it");
}

#[tokio::test]
async fn another_sites_start_stays_one_through_the_page_in_between() {
    let site = site();
    let mut signed_in = Browser::new();
    let login = format!("/api/login?{}", query(&[("fragment", "read"), ("return_to", "/")]));
    let started = site.visit(&mut signed_in, navigation(Method::GET, &login, "same-origin")).await;
    let started = crate::site::Started::at(&location(&started));
    site.get(&mut signed_in, &started.callback(CODE)).await;

    let from_elsewhere = || navigation(Method::GET, "/api/login?return_to=/page", "cross-site");
    let response = site.visit(&mut signed_in, from_elsewhere()).await;
    assert_eq!(location(&response), "/page", "at once: from a page of ours the browser would not say who began it");

    let mut stranger = Browser::new();
    let page = site.visit(&mut stranger, from_elsewhere()).await;
    let next = next(text(&page));
    assert!(next.starts_with("/api/login?fragment=read-from-elsewhere&"), "{next}");
    let detour = format!("{next}%23part");
    let meanwhile = site.visit(&mut signed_in, navigation(Method::GET, &detour, "same-origin")).await;
    assert_eq!(crate::told(&meanwhile), (403, "already_signed_in".to_owned()), "signed in in another tab");
    assert!(text(&meanwhile).contains("<a href=\"/page#part\">Continue</a>"), "{}", text(&meanwhile));
    let response = site.visit(&mut stranger, navigation(Method::GET, &detour, "same-origin")).await;
    assert!(location(&response).starts_with("https://bitbadges.io/"));

    let mut own = Browser::new();
    for _ in 0..4 {
        site.visit(&mut own, navigation(Method::GET, &login, "same-origin")).await;
    }
    let before = own.jar.clone();
    let page = site.visit(&mut own, navigation(Method::GET, "/api/login", "cross-site")).await;
    let response = site.visit(&mut own, navigation(Method::GET, &self::next(text(&page)), "same-origin")).await;
    assert_eq!(crate::told(&response), (403, "login_from_another_site".to_owned()));
    assert_eq!(own.jar, before, "no flow of one's own was pushed out");
}

#[tokio::test]
async fn a_hostile_target_stays_on_this_site_and_in_its_attribute() {
    let site = site();
    for target in ["//evil.example", "/\\evil.example", "https://evil.example", "/\"><script>alert(1)</script>", "/'x"]
    {
        let page = site.get(&mut Browser::new(), &site.login(target)).await;
        let body = text(&page);
        assert_eq!(body.matches("<script>").count(), 1, "{target}: {body}");
        assert!(next(body).starts_with("/api/login?fragment=read&return_to=%2F"), "{target}: {body}");
        assert!(!body.contains("evil"), "{target}: {body}");
    }
}

#[tokio::test]
async fn what_is_too_long_loses_its_fragment_first() {
    let site = site();
    let mut browser = Browser::new();
    let target = format!("/page?x=1#{}", "f".repeat(512));
    let login = format!("/api/login?{}", query(&[("fragment", "read"), ("return_to", &target)]));
    let response = site.visit(&mut browser, navigation(Method::GET, &login, "same-origin")).await;
    let started = crate::site::Started::at(&location(&response));
    assert_eq!(location(&site.get(&mut browser, &started.callback(CODE)).await), "/page?x=1");
}
