//! Heads of requests to a guarded app: who is turned away is told so in their own language, and sees nothing of what they
//! sent but in its place and escaped.

use std::collections::HashSet;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request, Response};
use serde_json::{Value, json};
use tower::Layer as _;
use tower_signin::ErrorKind;
use url::Url;

use crate::cookies::{Expected, expected, fill_cookies};
use crate::site::{ORIGIN, Site, set_cookies};
use crate::{FROM_THE_APP, app, assert_no_foreign_location, assert_private, site, through};

/// Sends a request to an app that is guarded as a whole.
fn send(request: Request<Bytes>) -> Response<Bytes> {
    static SITE: LazyLock<Site> = LazyLock::new(site);
    let response = through(&SITE, SITE.sign_in.require().layer(app()), request);
    assert_eq!(SITE.upstream.requests().len(), 0, "the network was asked");
    response
}

/// `GET /path`, and a header on each line after it.
fn parse(template: &str) -> Option<Request<Bytes>> {
    let mut lines = template.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target).body(Bytes::new()).ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = if name.eq_ignore_ascii_case("cookie") { fill_cookies(value) } else { value.to_owned() };
        let name: HeaderName = name.parse().ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(request)
}

/// What of a page is a tag or an attribute.
fn skeleton(html: &[u8]) -> Vec<u8> {
    html.iter().copied().filter(|byte| b"<>\"'".contains(byte)).collect()
}

/// The pages there are, with nothing in a request that could change them.
static SKELETONS: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let state = format!("006a9d0900{}{}", "0".repeat(16), "A".repeat(43));
    let lines = [
        "GET /",
        "POST /",
        "GET /api/login",
        "POST /api/login",
        &format!("GET /api/callback?code=1&state={state}"),
        "POST /api/logout",
    ];
    let navigation = "\nsec-fetch-mode: navigate";
    let [anywhere, document] = ["", "\nsec-fetch-dest: document"];
    let [unsaid, foreign] = ["", "\nsec-fetch-site: cross-site"];
    let [nobody, somebody] = ["", "\ncookie: __Host-signin={session}"];
    let mut skeletons = HashSet::new();
    for line in lines {
        for dest in [anywhere, document, "\nsec-fetch-dest: iframe"] {
            for (site, cookie) in [(unsaid, nobody), (foreign, nobody), (unsaid, somebody), (foreign, somebody)] {
                let response = send(parse(&format!("{line}{navigation}{dest}{site}{cookie}")).unwrap());
                if response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "text/html; charset=utf-8") {
                    skeletons.insert(skeleton(response.body()));
                }
            }
        }
    }
    skeletons
});

/// Every address in a page is one of this site, wherever the page is.
fn assert_leads_nowhere_else(html: &[u8], target: &str) {
    let html = std::str::from_utf8(html).unwrap();
    // A target may begin with two slashes, and is a path all the same.
    let here = Url::parse(&format!("{ORIGIN}/{}", target.strip_prefix('/').unwrap_or_default())).unwrap();
    let tags = html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    let names = ["href", "action", "src", "data-next", "content=\"0;url"];
    for (tag, name) in tags.flat_map(|tag| names.map(|name| (tag, name))) {
        let Some((_, value)) = tag.split_once(&format!(" {name}=")) else { continue };
        let value = value.strip_prefix('"').unwrap_or(value).split('"').next().unwrap();
        let resolved = here.join(&unescaped(value)).unwrap();
        assert_eq!(resolved.origin().ascii_serialization(), ORIGIN, "{value} in {tag}");
    }
}

/// What a browser makes of the text of an attribute.
fn unescaped(text: &str) -> String {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let plain = ENTITIES.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character));
    let count = text.matches('&').count();
    assert_eq!(count, ENTITIES.iter().map(|(entity, _)| text.matches(entity).count()).sum::<usize>(), "{text}");
    plain
}

fn check_problem(kind: ErrorKind, body: &[u8], request_id: Option<&HeaderValue>) {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    let members = body.as_object_mut().unwrap();
    let id = members.remove("request_id").unwrap();
    let id = id.as_str().unwrap();
    assert!(id.len() == 16 || request_id.is_some_and(|given| given == id), "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{id}");
    if let Some(login) = members.remove("login_url") {
        let login = Url::parse(login.as_str().unwrap()).unwrap();
        assert_eq!((login.origin().ascii_serialization().as_str(), login.path()), (ORIGIN, "/api/login"));
    }
    let expected = json!({
        "type": "about:blank", "title": kind.title(), "status": kind.status().as_u16(), "code": kind.code(),
        "detail": kind.cause(), "remedy": kind.remedy(),
    });
    assert_eq!(body, expected);
}

pub fn run(data: &[u8]) -> bool {
    let Ok(template) = std::str::from_utf8(data) else { return false };
    let Some(request) = parse(template) else { return false };
    let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let is_ours = ["/api/login", "/api/callback", "/api/logout"].contains(&&*path);
    let response = send(request);
    let kind = response.extensions().get::<ErrorKind>().copied();
    let status = response.status().as_u16();
    assert_no_foreign_location(&response);
    if response.headers().contains_key(FROM_THE_APP) {
        let expected = expected(&headers);
        assert!(matches!(expected, Expected::SignedIn | Expected::SealedAnew), "{expected:?} came through");
        return false;
    }
    assert_private(&response);
    let content_type = response.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap());
    match (content_type, kind) {
        _ if response.headers().contains_key("grpc-status") => {
            assert!(status == 200 && content_type.unwrap().to_ascii_lowercase().starts_with("application/grpc"));
        }
        (Some("text/html; charset=utf-8"), Some(_)) => {
            assert_leads_nowhere_else(response.body(), &target);
            let is_empty = response.body().is_empty();
            assert!(is_empty || SKELETONS.contains(&skeleton(response.body())), "{:?}", response.body());
        }
        (Some("application/problem+json"), Some(kind)) if !response.body().is_empty() => {
            check_problem(kind, response.body(), headers.get("x-request-id"));
        }
        (Some("application/problem+json"), Some(_)) => {}
        (None, _) => assert!([204, 303].contains(&status) && response.body().is_empty(), "{status}"),
        other => panic!("{other:?}"),
    }
    // The preflight of an address of ours is for a layer outside; the guard takes it for a mistake of the app.
    let is_fault = status >= 500 && kind != Some(ErrorKind::Prefetch);
    assert!(!is_fault || (kind == Some(ErrorKind::LayerMissing) && is_ours), "{status} {kind:?}");
    // A refusal sets nothing; login sets its flow, and a session that is over or forged goes.
    let set = set_cookies(&response);
    let is_sign_in_or_out = status == 303 && is_ours;
    assert!(is_sign_in_or_out || set.iter().all(|cookie| cookie.ends_with("; Max-Age=0")), "{set:?}");
    kind.is_some()
}
