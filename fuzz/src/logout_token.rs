//! Logout tokens: header, payload and who signs them, a line each. No session ends but one that a token names which is signed with
//! a published key, for this client and this moment, and says that it is a logout token.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::oidc::SigningAlgorithm;
use tower_signin::{ErrorKind, ManualClock, MemoryStore, Oidc};

use crate::id_token::{is_of_logout, time, token};
use crate::openid::{Answers, CLIENT, CLIENT_SECRET, ISSUER, SIGNERS, claims, ok, sign_in, token_answer, told, who};
use crate::site::{CALLBACK, NOW, Site, query};
use crate::{block_on, keys};

const SESSION_ID: &str = "session-1";
/// How long a token may be good, in seconds.
const LONGEST_LIFE: f64 = 86_400.0;

/// Whether the session of alice ends by a token that is right, and not where the token is of somebody or something else.
/// `None` where it is not right.
fn ends_hers(data: &[u8]) -> Option<bool> {
    let claims = token(data, "")?.claims("logout+jwt")?;
    // Another type than text makes it wrong; too short or too long, too.
    let text = |name: &str| match told(&claims, name) {
        None => Some(None),
        Some(value) => value.as_str().filter(|text| (1..=255).contains(&text.len())).map(|text| Some(text.to_owned())),
    };
    let (subject, session_id) = (text("sub")?, text("sid")?);
    text("jti")??;
    let ends = told(&claims, "exp").and_then(time)?;
    if !is_of_logout(&claims) || claims.contains_key("nonce") || ends > NOW as f64 + LONGEST_LIFE {
        return None;
    }
    match (session_id, subject) {
        (Some(session_id), _) => Some(session_id == SESSION_ID),
        (None, Some(subject)) => Some(subject == "alice"),
        (None, None) => None,
    }
}

/// With a store, in which alice is signed in by a session that the provider has named.
fn site() -> Site {
    let accepted = [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
    let oidc = Oidc::discover(ISSUER, CLIENT, CLIENT_SECRET).signing_algorithms(accepted);
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = MemoryStore::new().clock(clock);
    Site::of(oidc, CALLBACK, |builder| builder.keys(keys(crate::KEYS)).session_store(store))
}

pub fn run(data: &[u8]) -> bool {
    let site = site();
    Answers::good("").give(&site);
    let outcome = sign_in(&site, |nonce| {
        let mut claims = claims(nonce);
        claims["sid"] = json!(SESSION_ID);
        Answers { token: ok(&token_answer(&SIGNERS["ed"].token(&claims))), ..Answers::good("") }
    });
    assert!(outcome.who.is_some(), "alice is not signed in");
    let text = token(data, "").map_or_else(|| String::from_utf8_lossy(data).into_owned(), |token| token.text);
    let layer = site.sign_in.back_channel_logout().expect("a store, and a provider that tells");
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::post(layer.path())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(query(&[("logout_token", &text)])))
        .unwrap();
    let response = block_on(async { layer.layer(inner).oneshot(request).await.unwrap() });
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("set-cookie"));
    let kind = response.extensions().get::<ErrorKind>().copied();
    let status = response.status().as_u16();
    let said = block_on(response.into_body().collect()).unwrap().to_bytes();
    let expected = ends_hers(data);
    let is_too_large = kind == Some(ErrorKind::LogoutTokenMissing) && data.len() > 10_000;
    match (status, kind) {
        (200, None) => assert!(said.is_empty() && expected.is_some(), "it was believed"),
        (400, Some(ErrorKind::LogoutTokenRejected | ErrorKind::LogoutTokenMissing)) => {
            assert!(expected.is_none() || is_too_large, "it was not believed: {said:?}");
            let said: Value = serde_json::from_slice(&said).unwrap();
            assert_eq!(said["error"], "invalid_request");
        }
        other => panic!("{other:?}"),
    }
    let is_over = who(&site, &outcome.browser).is_none();
    assert_eq!(is_over, status == 200 && expected == Some(true));
    is_over
}
