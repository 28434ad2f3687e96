//! How axum routes around a layer: where the login path is answered and where it is not.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use tower::{Layer as _, ServiceExt as _};
use tower_signin::dev::{Account, DevProvider};

use crate::app::page;
use crate::support::sign_in_at;

use Answer::{NotFound, Ours};

#[tokio::test]
async fn the_login_path_is_ours_only_where_axum_lets_the_layer_see_it() {
    let dev = DevProvider::start().await.unwrap();
    let sign_in = sign_in_at(&dev, "http://localhost:3000", |builder| builder);
    let cookie = dev.signed_in_cookie(&sign_in, &Account::alice()).unwrap();
    let routes = || Router::new().route("/", get(page));
    let not_found = || async { StatusCode::NOT_FOUND };
    let layered = || routes().layer(sign_in.layer());
    let with_fallback = || routes().fallback(page).layer(sign_in.layer());
    let around = || sign_in.layer().layer(routes());
    let one_route = Router::new().route("/", get(page).layer(sign_in.layer()));
    let nested_around = Router::new().nest_service("/api", around());

    let under_api = |router| Router::new().nest("/api", router);
    let service_under_api = |router: Router| Router::new().nest_service("/api", router);

    // The app, a path that shows who is there, the path of login, and who answers it.
    let cases = [
        ("Router::layer", layered(), "/", "/auth/login", Ours),
        ("Router::route_layer", routes().route_layer(sign_in.layer()), "/", "/auth/login", NotFound),
        ("MethodRouter::layer", one_route, "/", "/auth/login", NotFound),
        ("a fallback, then the layer", with_fallback(), "/", "/auth/login", Ours),
        ("the layer, then a fallback", layered().fallback(not_found), "/", "/auth/login", NotFound),
        ("fallback_service", Router::new().fallback_service(around()), "/", "/auth/login", Ours),
        ("nest, asked below", under_api(layered()), "/api", "/api/auth/login", NotFound),
        ("nest, asked above", under_api(layered()), "/api", "/auth/login", NotFound),
        ("nest of a fallback and the layer", under_api(with_fallback()), "/api", "/api/auth/login", Ours),
        ("nest, then the layer", under_api(routes()).layer(sign_in.layer()), "/api", "/auth/login", Ours),
        ("nest_service, asked below", service_under_api(layered()), "/api", "/api/auth/login", Ours),
        ("nest_service, asked above", service_under_api(layered()), "/api", "/auth/login", NotFound),
        ("nest_service of the layer around", nested_around, "/api", "/api/auth/login", Ours),
        // Of two routers without a fallback of their own, the default one of the argument stays.
        ("merge it into another", Router::new().merge(layered()), "/", "/auth/login", Ours),
        ("merge another into it", layered().merge(Router::new()), "/", "/auth/login", NotFound),
    ];
    for (name, app, home, login, expected) in cases {
        let request = |path: &str| Request::get(path).header("cookie", &cookie).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request(login)).await.unwrap();
        let found = match response.status().as_u16() {
            303 => Ours,
            404 => NotFound,
            other => panic!("{name}: {other}"),
        };
        assert_eq!(found, expected, "{name}");

        // The routes themselves are behind the layer in each of these.
        let response = app.oneshot(request(home)).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, Account::alice().bitbadges_address, "{name}");
    }
}

#[tokio::test]
async fn around_the_router_a_handler_sees_no_code_even_in_the_original_uri() {
    use axum::extract::OriginalUri;
    use http::header::{LOCATION, SET_COOKIE};

    let dev = DevProvider::start().await.unwrap();
    let sign_in = sign_in_at(&dev, "http://localhost:3000", tower_signin::Builder::forward_callback);
    let handler = get(|OriginalUri(original): OriginalUri, uri: http::Uri| async move { format!("{original} {uri}") });
    let app = sign_in.layer().layer(Router::new().route("/auth/callback", handler));

    let login = app.clone().oneshot(Request::get("/auth/login").body(Body::empty()).unwrap()).await.unwrap();
    let callback = dev.approve(login.headers()[LOCATION].to_str().unwrap(), &Account::alice()).unwrap();
    let flow = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let request = Request::get(&callback).header("cookie", flow).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1000).await.unwrap();
    assert_eq!(body, "http://localhost:3000/auth/callback http://localhost:3000/auth/callback");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ours,
    NotFound,
}
