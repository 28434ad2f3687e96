//! tower-http's CORS layer around a guard, inside the sign-in layer and outside: scripts of another origin can ask
//! first, and can read what they are told.

use axum::Router;
use axum::routing::any;
use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use http::{HeaderValue, Method, Version};
use tower_http::cors::CorsLayer;

use crate::app::{FROM_THE_APP, while_serving};
use crate::matrix::{Guarded, Who, Wire, assert_only_over_is_deleted, request, serve};
use crate::support::{code, location};

use Who::{Alice, Bob, Expired, Nobody};

const OTHER: &str = "https://other.example";

#[tokio::test]
async fn a_preflight_is_answered_outside_the_guard_and_a_refusal_can_be_read() {
    for is_outermost in [false, true] {
        let (guarded, listener) = Guarded::start().await;
        let app = Router::new().route("/api", any(guarded.handler())).layer(guarded.only_alice());
        let app = if is_outermost {
            app.layer(guarded.sign_in.layer()).layer(cors())
        } else {
            app.layer(cors()).layer(guarded.sign_in.layer())
        };
        let clients = async {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let mut wire = Wire::connect(version, &guarded.origin).await;
                for who in [Alice, Bob, Nobody, Expired] {
                    let name = format!("{who:?}, outermost: {is_outermost}, {version:?}");
                    preflight(&name, &guarded, &mut wire, who).await;
                    fetch(&name, &guarded, &mut wire, who).await;
                }
                navigate(&guarded, &mut wire, is_outermost).await;
            }
        };
        while_serving(serve(listener, app), clients).await;
    }
}

/// The order that does not work is safe: the browser finds nothing that allows the other origin.
#[tokio::test]
async fn a_cors_layer_inside_the_guard_allows_nothing_before_somebody_signed_in() {
    let (guarded, listener) = Guarded::start().await;
    let app = Router::new().route("/api", any(guarded.handler())).layer(cors());
    let app = app.layer(guarded.only_alice()).layer(guarded.sign_in.layer());
    let clients = async {
        for who in [Alice, Bob, Nobody, Expired] {
            let headers = [("origin", OTHER), ("access-control-request-method", "PUT")];
            let request = request(&guarded.origin, "OPTIONS", "/api", &headers, guarded.cookie(who));
            let response = Wire::Http1.send(request).await;
            assert_eq!(response.status(), 204, "{who:?}");
            let mut names = response.headers().keys();
            assert!(names.all(|name| !name.as_str().starts_with("access-control-")), "{who:?}: {response:?}");
        }
        assert_eq!(guarded.count(), 0, "what is guarded never ran");
    };
    while_serving(serve(listener, app), clients).await;
}

async fn preflight(name: &str, guarded: &Guarded, wire: &mut Wire, who: Who) {
    let before = guarded.count();
    for (origin, is_allowed) in [(OTHER, true), ("https://foreign.example", false)] {
        let headers = [("origin", origin), ("access-control-request-method", "PUT"), ("sec-fetch-mode", "cors")];
        let response = wire.send(request(&guarded.origin, "OPTIONS", "/api", &headers, guarded.cookie(who))).await;
        // tower-http's answer; the guard's is 204.
        assert_eq!(response.status(), 200, "{name}: preflight of {origin}");
        let allowed = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed.map(|origin| origin == OTHER), is_allowed.then_some(true), "{name}: preflight of {origin}");
        assert_eq!(response.headers()["access-control-allow-methods"], "PUT", "{name}: preflight of {origin}");
    }
    assert_eq!(guarded.count(), before, "{name}: what is guarded ran");
}

async fn fetch(name: &str, guarded: &Guarded, wire: &mut Wire, who: Who) {
    let before = guarded.count();
    let headers = [("origin", OTHER), ("accept", "*/*"), ("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")];
    let response = wire.send(request(&guarded.origin, "PUT", "/api", &headers, guarded.cookie(who))).await;
    let (status, kind) = match who {
        Alice => (200, ""),
        Bob => (403, "not_allowed"),
        Nobody | Expired => (401, "not_signed_in"),
    };
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (status, kind), "{name}");
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], OTHER, "{name}");
    assert_eq!(response.headers()["access-control-allow-credentials"], "true", "{name}");
    let vary = response.headers().get_all("vary").iter().any(|vary| vary.to_str().unwrap().contains("origin"));
    assert!(vary, "{name}: {response:?}");
    assert_eq!(guarded.count() - before, usize::from(who == Alice), "{name}");
    assert_eq!(response.headers().contains_key(FROM_THE_APP), who == Alice, "{name}");
    if who != Alice {
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{name}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
        assert_only_over_is_deleted(name, who, &response);
    }
}

/// What the sign-in layer writes anew keeps the headers that the CORS layer added.
async fn navigate(guarded: &Guarded, wire: &mut Wire, is_outermost: bool) {
    let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("origin", OTHER)];
    let response = wire.send(request(&guarded.origin, "GET", "/api?x=1", &headers, None)).await;
    assert_eq!(response.status(), 303, "outermost: {is_outermost}");
    assert_eq!(location(&response), "/auth/login?return_to=%2Fapi%3Fx%3D1", "outermost: {is_outermost}");
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], OTHER, "outermost: {is_outermost}");
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin([HeaderValue::from_static(OTHER)])
        .allow_methods([Method::PUT])
        .allow_credentials(true)
}
