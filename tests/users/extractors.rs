//! Handlers that take who is signed in as an argument.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{any, get};
use http::Method;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_signin::{Identity, SignedIn, Tokens};

use crate::site::{BOB, CODE, Site, Started};
use crate::support::{Browser, location, navigation, text};
use crate::{fetch, told, visit};

fn routes() -> Router {
    Router::new()
        .route("/who", any(async |who: Identity| who.subject().to_owned()))
        .route(
            "/maybe",
            get(async |who: Option<Identity>| who.map_or("nobody".to_owned(), |who| who.subject().to_owned())),
        )
        .route("/tokens", get(async |tokens: Tokens| tokens.access_token().len().to_string()))
        .route("/maybe-tokens", get(async |tokens: Option<Tokens>| tokens.is_some().to_string()))
        .route("/signed-in", get(async |who: SignedIn| who.return_to().to_owned()))
        .route("/maybe-signed-in", get(async |who: Option<SignedIn>| who.is_some().to_string()))
}

#[tokio::test]
async fn an_argument_that_is_not_there_answers_for_its_handler() {
    let site = Site::new();
    let (mut nobody, mut bob) = (Browser::new(), site.signed_in().await);
    let cases = [
        ("/who", false, 401, "not_signed_in"),
        ("/who", true, 200, ""),
        ("/maybe", false, 200, ""),
        ("/tokens", false, 401, "not_signed_in"),
        ("/tokens", true, 500, "tokens_missing"),
        ("/maybe-tokens", true, 200, ""),
        ("/signed-in", true, 500, "callback_not_forwarded"),
        ("/signed-in", false, 500, "callback_not_forwarded"),
        ("/maybe-signed-in", false, 200, ""),
    ];
    for (path, is_signed_in, status, expected) in cases {
        let browser = if is_signed_in { &mut bob } else { &mut nobody };
        let response = visit(&site, &routes(), browser, fetch("GET", path)).await;
        assert_eq!(told(&response), (status, expected.to_owned()), "{path}, signed in: {is_signed_in}");
    }
    let response = visit(&site, &routes(), &mut bob, fetch("GET", "/who")).await;
    assert_eq!(text(&response), BOB);
}

#[tokio::test]
async fn it_says_no_in_the_words_of_the_guard_and_redirects_nobody() {
    let site = Site::new();
    let guarded = Router::new().route("/who", any(async || "").layer(site.sign_in.require()));
    let argument = routes();
    let comparable = |text: &str| {
        let mut problem: serde_json::Value = serde_json::from_str(text).unwrap();
        problem["request_id"] = "".into();
        problem
    };
    let by_guard = visit(&site, &guarded, &mut Browser::new(), fetch("GET", "/who")).await;
    let by_argument = visit(&site, &argument, &mut Browser::new(), fetch("GET", "/who")).await;
    assert_eq!(comparable(text(&by_guard)), comparable(text(&by_argument)));
    assert_eq!(by_argument.headers()[CONTENT_TYPE], "application/problem+json");

    let nested = Router::new().nest("/app", routes());
    let page = visit(&site, &nested, &mut Browser::new(), navigation(Method::GET, "/app/who?x=1", "none")).await;
    assert_eq!(told(&page), (401, "not_signed_in".to_owned()));
    let link = "<a href=\"/api/login?return_to=%2Fapp%2Fwho%3Fx%3D1\">Sign in</a>";
    assert!(text(&page).contains(link), "{}", text(&page));

    let grpc = http::Request::post("/who").header(CONTENT_TYPE, "application/grpc");
    let response = visit(&site, &argument, &mut Browser::new(), grpc).await;
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"16".parse().unwrap()));
    let head = visit(&site, &argument, &mut Browser::new(), fetch("HEAD", "/who")).await;
    assert_eq!((head.status().as_u16(), text(&head)), (401, ""));
}

#[tokio::test]
async fn layers_in_between_keep_their_headers_and_no_stale_ones_are_left() {
    let site = Site::new();
    let between = ServiceBuilder::new().layer(CorsLayer::permissive()).layer(CompressionLayer::new());
    let compressed = routes().layer(between);
    let counted = routes().layer(CorsLayer::permissive());
    let cases = [("GET", &compressed), ("navigate", &compressed), ("GET", &counted), ("navigate", &counted)];
    for (mode, router) in cases {
        let request = if mode == "GET" { fetch("GET", "/who") } else { navigation(Method::GET, "/who", "none") };
        let request = request.header(ACCEPT_ENCODING, "gzip").header("origin", "https://spa.example");
        let response = visit(&site, router, &mut Browser::new(), request).await;
        assert_eq!(told(&response), (401, "not_signed_in".to_owned()), "the body can be read");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert!(!response.headers().contains_key(CONTENT_ENCODING));
        let length = response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        assert!(length.is_none_or(|length| length == response.body().len().to_string()));
        assert!(text(&response).contains("/api/login"));
    }
}

#[tokio::test]
async fn a_forwarded_callback_has_them_all() {
    let site = Site::with(tower_signin::Builder::forward_callback);
    let callback = get(async |done: SignedIn, perhaps: Option<SignedIn>, who: Identity, tokens: Tokens| {
        assert_eq!((done.identity().subject(), who.subject()), (BOB, BOB));
        assert_eq!(perhaps.unwrap().return_to(), done.return_to());
        assert_eq!(tokens.access_token(), done.tokens().unwrap().access_token());
        Redirect::to(done.return_to())
    });
    let router = Router::new().route("/api/callback", callback);
    let mut browser = Browser::new();
    let login = navigation(Method::GET, "/api/login?return_to=/page", "same-origin");
    let started = Started::at(&location(&visit(&site, &router, &mut browser, login).await));
    let done =
        visit(&site, &router, &mut browser, navigation(Method::GET, &started.callback(CODE), "cross-site")).await;
    assert_eq!((done.status().as_u16(), location(&done).as_str()), (303, "/page"));
    assert!(browser.jar.contains_key("__Host-signin"));
}

#[tokio::test]
async fn who_is_turned_away_at_a_forwarded_callback_gets_the_page_of_the_site_and_a_way_on() {
    let pages = |page: &tower_signin::Page<'_>| {
        let links: Vec<_> = page.links().iter().map(|link| link.href().to_owned()).collect();
        let who = page.signed_in_as().map(|who| format!(" signed in as {who}")).unwrap_or_default();
        format!("ours: {} {links:?}{who}", page.kind().code())
    };
    let site = Site::with(|builder| builder.forward_callback().pages(pages));
    let none = site.sign_in.require_where(|_| false);
    for (handler, status, expected) in [
        (
            get(async |_: Identity| Redirect::to("/")).layer(none),
            403,
            "ours: not_allowed [\"/api/login?prompt=select_account&return_to=%2Fpage%3Fx%3D1\", \"/\"]",
        ),
        (get(async |_: Rejecting| Redirect::to("/")), 500, "ours: tokens_missing [\"/\"]"),
    ] {
        let router = Router::new().route("/api/callback", handler);
        let mut browser = Browser::new();
        let login = navigation(Method::GET, "/api/login?return_to=/page?x%3D1", "same-origin");
        let started = Started::at(&location(&visit(&site, &router, &mut browser, login).await));
        let callback = navigation(Method::GET, &started.callback(CODE), "cross-site");
        let turned_away = visit(&site, &router, &mut browser, callback).await;
        assert_eq!((turned_away.status().as_u16(), text(&turned_away)), (status, expected));
        assert!(!browser.jar.contains_key("__Host-signin"), "no session is made");
        assert!(!text(&turned_away).contains("signed in as"), "nobody is signed in");
    }
}

/// Asks for tokens that were taken out of the request.
struct Rejecting;

impl<S: Sync> axum::extract::FromRequestParts<S> for Rejecting {
    type Rejection = tower_signin::SignInRejection;

    async fn from_request_parts(parts: &mut http::request::Parts, state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.remove::<Tokens>();
        <Tokens as axum::extract::FromRequestParts<S>>::from_request_parts(parts, state).await.map(|_| Self)
    }
}

#[tokio::test]
async fn a_form_whose_handler_asks_for_what_is_not_there_gets_the_page_of_the_site_too() {
    let site = Site::with(|builder| builder.pages(|page| format!("ours: {}", page.kind().code())));
    let router = Router::new().route("/tokens", any(async |_: Tokens| "never"));
    let mut bob = site.signed_in().await;
    for method in [Method::GET, Method::POST] {
        let response = visit(&site, &router, &mut bob, navigation(method.clone(), "/tokens", "same-origin")).await;
        assert_eq!((response.status().as_u16(), text(&response)), (500, "ours: tokens_missing"), "{method}");
    }
}
