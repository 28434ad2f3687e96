//! Whom a service may believe: what stands in the extensions is this `SignIn`'s or nothing.

use std::convert::Infallible;

use http::header::COOKIE;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Identity, SignIn, SignedIn, Tokens};

use crate::app::answer;
use crate::support::{location, sign_in_at};

/// Two `SignIn`s of one application, as with two providers: the outer at `/outer/…`, the inner at `/inner/…`.
struct Two {
    dev: DevProvider,
    outer: SignIn,
    inner: SignIn,
}

impl Two {
    async fn new() -> Self {
        let dev = DevProvider::start().await.unwrap();
        let one = |name: &str| {
            let redirect_uri = format!("http://localhost:3000/{name}/callback");
            sign_in_at(&dev, "http://localhost:3000", |builder| {
                builder.redirect_uri(redirect_uri).cookie_prefix(name).forward_callback()
            })
        };
        let (outer, inner) = (one("outer"), one("inner"));
        Self { dev, outer, inner }
    }

    fn cookie(&self, sign_in: &SignIn, account: &Account) -> String {
        self.dev.signed_in_cookie(sign_in, account).unwrap()
    }
}

#[tokio::test]
async fn an_identity_from_outside_is_removed_or_replaced() {
    let two = Two::new().await;
    let (alice, bob) = (Account::alice(), Account::bob());
    let outer_alice = two.cookie(&two.outer, &alice);
    let inner_bob = two.cookie(&two.inner, &bob);
    let both = format!("{outer_alice}; {inner_bob}");
    let service = two.outer.layer().layer(two.inner.layer().layer(service_fn(who)));

    let cases = [
        ("nobody at either", "", "nobody"),
        ("somebody at the outer one alone", outer_alice.as_str(), "nobody"),
        ("somebody at the inner one alone", inner_bob.as_str(), bob.bitbadges_address.as_str()),
        ("somebody at each", both.as_str(), bob.bitbadges_address.as_str()),
    ];
    for (name, cookie, expected) in cases {
        let (status, body) = ask(service.clone(), "/", cookie).await;
        assert_eq!((status, body.as_str()), (200, expected), "{name}");
    }
    let outer_only = two.outer.layer().layer(service_fn(who));
    assert_eq!(ask(outer_only, "/", &both).await.1, alice.bitbadges_address, "the cookie is good where it belongs");
}

#[tokio::test]
async fn a_guard_believes_its_own_sign_in_only() {
    let two = Two::new().await;
    let outer_alice = two.cookie(&two.outer, &Account::alice());
    let both = format!("{outer_alice}; {}", two.cookie(&two.inner, &Account::bob()));
    let outer_guard = two.outer.require().layer(service_fn(who));
    let inner_guard = two.inner.require().layer(service_fn(who));

    let behind_outer = two.outer.layer().layer(outer_guard.clone());
    assert_eq!(ask(behind_outer.clone(), "/", &outer_alice).await.0, 200, "its own");
    assert_eq!(ask(behind_outer, "/", "").await.0, 401, "nobody");
    let foreign = two.outer.layer().layer(inner_guard.clone());
    assert_eq!(ask(foreign.clone(), "/", &outer_alice).await.0, 401, "another SignIn's identity");
    assert_eq!(ask(foreign, "/", &both).await.0, 500, "and a session of its own that nobody looked at");
    let replaced = two.outer.layer().layer(two.inner.layer().layer(outer_guard));
    assert_eq!(ask(replaced, "/", &both).await.0, 500, "its own identity, replaced on the way by the inner layer");
    let innermost = two.outer.layer().layer(two.inner.layer().layer(inner_guard));
    assert_eq!(ask(innermost, "/", &both).await.0, 200, "its own, with another around");
}

#[tokio::test]
async fn a_forwarded_callback_of_an_outer_layer_does_not_pass_for_one_of_the_inner() {
    for is_nested in [false, true] {
        let two = Two::new().await;
        let app = service_fn(async |request: Request<()>| {
            let extensions = request.extensions();
            let found = [
                extensions.get::<Identity>().map(|_| "Identity"),
                extensions.get::<SignedIn>().map(|_| "SignedIn"),
                extensions.get::<Tokens>().map(|_| "Tokens"),
            ];
            let found: Vec<_> = found.into_iter().flatten().collect();
            Ok::<_, Infallible>(Response::new(Full::from(found.join(" "))))
        });
        let login = ask_response(two.outer.layer().layer(app), "/outer/login", "").await;
        let callback = two.dev.approve(&location(&login), &Account::alice()).unwrap();
        let flow = login.headers()[http::header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let found = if is_nested {
            ask(two.outer.layer().layer(two.inner.layer().layer(app)), &callback, &flow).await.1
        } else {
            ask(two.outer.layer().layer(app), &callback, &flow).await.1
        };
        assert_eq!(found, if is_nested { "" } else { "Identity SignedIn Tokens" }, "nested: {is_nested}");
    }
}

async fn who(request: Request<()>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    Ok(answer(&request))
}

async fn ask<S, B>(service: S, path: &str, cookie: &str) -> (u16, String)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    let response = ask_response(service, path, cookie).await;
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

async fn ask_response<S, B>(service: S, path: &str, cookie: &str) -> Response<bytes::Bytes>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    let request = Request::get(path).header(COOKIE, cookie).body(()).unwrap();
    let Ok(response) = service.oneshot(request).await;
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}
