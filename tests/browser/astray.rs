//! Where hostile return targets lead, by a browser's own word.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::app::App;
use crate::chromium::Chromium;
use crate::support::{Browser, location, navigation, send, text};
use crate::{approve, come_from_elsewhere, targets};

/// Resolves what it is given as a page of this site would, and tells what is not on this site, or leads back to login, callback or
/// logout.
const ASTRAY: &str = "
    const [locations, pages, targets, folder] = arguments;
    const leaves = address => { try { return new URL(address, document.baseURI).origin != location.origin } catch { return true } };
    const own = ['login', 'callback', 'logout'].map(name => `${folder}/${name}`);
    const astray = [];
    for (const address of locations)
        if (leaves(address) || own.includes(new URL(address, document.baseURI).pathname)) astray.push(address);
    let links = 0;
    for (const html of pages) {
        const page = new DOMParser().parseFromString(html, 'text/html');
        const all = [...page.querySelectorAll('[href], [action], [src], [formaction], [http-equiv]')];
        links += all.length;
        for (const it of all) {
            const address = it.getAttribute('href') ?? it.getAttribute('action');
            if (!['A', 'FORM'].includes(it.tagName) || leaves(address)) { astray.push(it.outerHTML); continue }
            const url = new URL(address, document.baseURI);
            const inside = own.includes(url.pathname) ? url.searchParams.get('return_to') ?? '/' : url.pathname;
            if (leaves(inside) || own.includes(new URL(inside, document.baseURI).pathname)) astray.push(it.outerHTML);
        }
        if (page.querySelector('script, iframe, object, embed, base, img')) astray.push(html);
    }
    return { astray, links, wild: targets.filter(leaves).length };
";

#[tokio::test]
#[ignore = "needs chromium"]
async fn no_hostile_target_leaves_as_a_browser_resolves_it() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    let mut signed_in = Browser::new();
    signed_in.sign_in(&app.origin, "/").await;
    signed_in.jar.retain(|name, _| !name.ends_with("-rounds"));
    let targets = targets::sample("/auth", 500);
    let (mut locations, mut pages) = (Vec::new(), Vec::new());
    for target in &targets {
        let wanted: String = byte_serialize(target.as_bytes()).collect();
        let login = app.url(&format!("/auth/login?return_to={wanted}"));
        locations.push(location(&ask(&signed_in, navigation(Method::GET, &login, "cross-site")).await));
        let logout = app.url(&format!("/auth/logout?return_to={wanted}"));
        locations.push(location(&ask(&Browser::new(), navigation(Method::POST, &logout, "same-origin")).await));
        let other = format!("{login}&prompt=select_account");
        pages.push(text(&ask(&signed_in, navigation(Method::GET, &other, "cross-site")).await).to_owned());
        let asks = Request::post(&logout).header("accept", "text/html");
        pages.push(text(&ask(&signed_in, asks).await).to_owned());
    }
    chromium.open(&app.url("/")).await;
    let arguments = vec![json!(locations), json!(pages), json!(targets), json!("/auth")];
    let found = chromium.client.execute(ASTRAY, arguments).await.unwrap();
    assert_eq!(found["astray"], json!([]));
    assert_eq!(found["links"], 2 * pages.len(), "two ways on from each page");
    assert!(found["wild"].as_u64() > Some(100), "as they are, many leave: {}", found["wild"]);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_browser_that_follows_hostile_targets_stays() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    let query = |target: &str| -> String { byte_serialize(target.as_bytes()).collect() };
    let stays = async |target: &str| {
        // The address bar may show what no request was made for; the log shows the requests.
        let (here, documents) = (chromium.url().await, chromium.documents().await);
        assert!(here.starts_with(&format!("{}/", app.origin)), "{target:?} led to {here}");
        let own = app.url("/auth/");
        assert!(!here.starts_with(&own) || here.starts_with(&app.url("/auth/%")), "{target:?} led to {here}");
        let known = [app.origin.clone(), app.dev.origin().to_owned(), app.origin.replace("localhost", "127.0.0.1")];
        let is_known = |url: &String| known.iter().any(|origin| url.starts_with(&format!("{origin}/")));
        assert!(documents.iter().all(is_known), "{target:?} led through {documents:?}");
        assert!(documents.len() < 8, "{target:?} ran in circles: {documents:?}");
    };

    let home = Url::parse(&app.url("/")).unwrap();
    let mut wild = targets::corpus("/auth");
    wild.retain(|target| home.join(target).is_ok_and(|led| led.origin() != home.origin()));
    let step = wild.len() / 24;
    chromium.documents().await;
    for target in targets::sample("/auth", 4) {
        chromium.client.delete_all_cookies().await.unwrap();
        chromium.open(&app.url(&format!("/auth/login?return_to={}", query(&target)))).await;
        approve(&app, &chromium, "alice").await;
        stays(&target).await;
    }
    for target in wild.iter().step_by(step) {
        chromium.client.delete_cookie(&format!("{}-rounds", session_name(&app))).await.unwrap();
        come_from_elsewhere(&app, &chromium, &format!("/auth/login?return_to={}", query(target))).await;
        chromium.leave(&format!("{}/", app.origin.replace("localhost", "127.0.0.1"))).await;
        stays(target).await;
    }
    for target in targets::sample("/auth", 8) {
        chromium.open(&app.url("/?home")).await;
        let action = format!(
            "document.querySelector('form[action=\"/auth/logout\"]').action += '?return_to={}'",
            query(&target)
        );
        chromium.run(&action).await;
        chromium.click("#signout").await;
        chromium.leave(&app.url("/?home")).await;
        stays(&target).await;
    }
    let seen = app.seen("/auth/logout");
    assert_eq!(seen.len(), 8, "{seen:?}");
    assert!(app.seen("/auth/login").len() >= 28);
}

fn session_name(app: &App) -> String {
    format!("signin-{}", app.origin.rsplit(':').next().unwrap())
}

async fn ask(browser: &Browser, request: http::request::Builder) -> Response<Bytes> {
    let mut request = request.body(Bytes::new()).unwrap();
    if let Some(cookies) = browser.cookie_header() {
        request.headers_mut().append("cookie", cookies.parse().unwrap());
    }
    send(request).await.expect("the server answers")
}
