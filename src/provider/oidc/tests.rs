//! What can't be had of the layer around: processes that are started anew, and clients that are lent.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::signing::{Signer, jwk_set};
use super::*;
use crate::http_client::{HttpClient, HttpError};

const ISSUER: &str = "https://id.example.com";
const NOW: u64 = 1_800_000_000;

/// Answers by path, and remembers what was asked.
struct Fake {
    answers: HashMap<&'static str, String>,
    requests: Mutex<Vec<Request<Bytes>>>,
}

impl Fake {
    fn new(metadata: &Value, signer: &Signer, claims: &Value) -> Self {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize?tenant=a"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/jwks"),
        });
        document.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let token =
            json!({"access_token": "at", "token_type": "Bearer", "id_token": signer.token(claims), "scope": "openid"});
        let keys = String::from_utf8(jwk_set(std::slice::from_ref(&signer.jwk)).body().to_vec()).unwrap();
        let answers = [
            ("/.well-known/openid-configuration", document.to_string()),
            ("/token", token.to_string()),
            ("/jwks", keys),
            ("/revoke", String::new()),
        ];
        Self { answers: answers.into(), requests: Mutex::default() }
    }

    fn context(&self) -> Context<'_> {
        Context::new(self, UNIX_EPOCH + Duration::from_secs(NOW), "https://app.example.com/cb")
    }

    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|request| request.uri().path().to_owned()).collect()
    }
}

impl HttpClient for Fake {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let answer = Response::new(self.answers[request.uri().path()].clone().into());
        self.requests.lock().unwrap().push(request);
        Box::pin(async { Ok(answer) })
    }
}

fn provider() -> Oidc {
    Oidc::discover(ISSUER, "app", "secret").signing_algorithms([SigningAlgorithm::EdDsa])
}

/// The claims of a good token for a made-up code.
fn claims() -> Value {
    let nonce = ValidatedCode::made_up("").nonce();
    json!({"iss": ISSUER, "sub": "alice", "aud": "app", "exp": NOW + 60, "iat": NOW, "nonce": nonce})
}

fn signer() -> Signer {
    Signer::new(SigningAlgorithm::EdDsa, "1")
}

#[tokio::test]
async fn a_code_without_issuer_is_not_sent_where_the_metadata_comes_only_now() {
    let announced = json!({"authorization_response_iss_parameter_supported": true});
    for (name, metadata, came_with_issuer, is_redeemed) in [
        ("announced and there", announced.clone(), true, true),
        ("announced and missing", announced, false, false),
        ("neither", json!({}), false, true),
    ] {
        let (provider, fake) = (provider(), Fake::new(&metadata, &signer(), &claims()));
        assert!(!provider.names_issuer(), "nothing is known yet");
        let code = ValidatedCode::made_up("https://app.example.com/cb").with_issuer(came_with_issuer);
        let grant = provider.redeem(fake.context(), code).await;
        let kind = grant.as_ref().err().map(Error::kind);
        assert_eq!(kind, (!is_redeemed).then_some(ErrorKind::IssuerMismatch), "{name}: {grant:?}");
        let expected: &[&str] = if is_redeemed { &["/jwks", "/token"] } else { &[] };
        assert_eq!(fake.asked()[1..], *expected, "{name}");
        assert_eq!(provider.names_issuer(), name != "neither", "{name}");
    }
}

#[tokio::test]
async fn nobody_is_sent_away_before_the_metadata_is_there() {
    let (provider, fake) = (provider(), Fake::new(&json!({}), &signer(), &claims()));
    let request = AuthorizationRequest::new("https://app.example.com/cb", "state", "challenge");
    let error = provider.authorization_url(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderUnreachable);
    let preparing = provider.prepare(fake.context()).expect("something to wait for");
    assert_eq!(fake.asked(), [""; 0], "it is fetched only where somebody waits");
    preparing.await.unwrap();
    assert!(provider.prepare(fake.context()).is_none());
    let url = provider.authorization_url(&request.hinting("alice@example.com")).unwrap();
    assert!(url.starts_with("https://id.example.com/authorize?tenant=a&response_type=code&client_id=app&"), "{url}");
    assert!(url.ends_with("&login_hint=alice%40example.com"), "{url}");
    assert!(provider.clone().prepare(fake.context()).is_none(), "a clone knows it, too");
}

#[tokio::test]
async fn what_comes_with_a_grant() {
    let (provider, fake) = (provider(), Fake::new(&json!({}), &signer(), &claims()));
    let grant = provider.redeem(fake.context(), ValidatedCode::made_up("https://app.example.com/cb")).await.unwrap();
    assert_eq!((grant.subject(), grant.claims()), ("alice", r#"{"sub":"alice"}"#));
    let tokens = grant.tokens().unwrap();
    assert_eq!((tokens.access_token(), tokens.scope()), ("at", Some("openid")));
    assert_eq!(tokens.id_token().map(|token| token.split('.').count()), Some(3));
}

#[tokio::test]
async fn the_providers_own_session_is_remembered_where_it_can_be_named() {
    let (longest, too_long) = ("s".repeat(255), "s".repeat(256));
    for (name, sid, expected) in [
        ("none", json!(null), None),
        ("one", json!("08a5019c"), Some("08a5019c")),
        ("the longest", json!(longest), Some(longest.as_str())),
        ("too long", json!(too_long), None),
        ("empty", json!(""), None),
        ("a number", json!(1), None),
    ] {
        let mut claims = claims();
        claims["sid"] = sid;
        let (provider, fake) = (provider(), Fake::new(&json!({}), &signer(), &claims));
        let grant = provider.redeem(fake.context(), ValidatedCode::made_up("https://app.example.com/cb")).await;
        assert_eq!(grant.unwrap().session_id(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_logout_token_is_verified_as_an_id_token_is() {
    let claims = json!({"iss": ISSUER, "aud": "app", "sid": "08a5019c", "jti": "1", "iat": NOW, "exp": NOW + 60,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    let (ours, strangers) = (signer(), Signer::new(SigningAlgorithm::EdDsa, "1"));
    let by_secret = Signer::new(SigningAlgorithm::Hs256, "secret");
    let unsigned = |alg: &str| {
        let part = |json: Value| super::signing::base64(json.to_string());
        format!("{}.{}.", part(json!({"alg": alg, "kid": "1"})), part(claims.clone()))
    };
    let (provider, fake) = (provider(), Fake::new(&json!({}), &ours, &json!({})));
    assert!(provider.tells_of_logouts());
    let why = async |provider: &Oidc, token: &str| {
        let error = provider.logout_notice(fake.context(), token).await.err()?;
        assert_eq!(error.kind(), ErrorKind::LogoutTokenRejected);
        error.reason()
    };
    const NOT_SET: &str = "alg is not among the signing_algorithms of the settings";
    for (name, token, reason) in [
        ("ours", ours.token(&claims), None),
        ("of another key", strangers.token(&claims), Some("the signature is wrong")),
        ("none", unsigned("none"), Some(NOT_SET)),
        ("None", unsigned("None"), Some(NOT_SET)),
        ("no signature", unsigned("EdDSA"), Some("the signature is wrong")),
        ("by the client secret", by_secret.token(&claims), Some(NOT_SET)),
        ("no token", "token".to_owned(), Some("it has not three parts")),
        ("encrypted", "a.b.c.d.e".to_owned(), Some("it is encrypted, or pretends to be")),
    ] {
        assert_eq!(why(&provider, &token).await, reason, "{name}");
    }
    let symmetric = Oidc::discover(ISSUER, "app", "secret").signing_algorithms([SigningAlgorithm::Hs256]);
    assert_eq!(why(&symmetric, &by_secret.token(&claims)).await, None, "where it is set");
    assert_eq!(why(&symmetric, &ours.token(&claims)).await, Some(NOT_SET));
}

#[tokio::test]
async fn the_first_id_token_is_kept_over_a_refresh() {
    let signer = signer();
    let first = signer.token(&json!({"sub": "alice", "auth_time": NOW - 5000}));
    let held = Tokens::new("before").with_refresh_token("rt").with_id_token(&first);
    let mut again = claims();
    again.as_object_mut().unwrap().remove("nonce");
    let (provider, fake) = (provider(), Fake::new(&json!({}), &signer, &again));
    let refreshed = provider.refresh(fake.context(), "alice", &held).await.unwrap();
    let tokens = refreshed.tokens();
    assert_eq!((tokens.access_token(), tokens.scope()), ("at", Some("openid")));
    assert_eq!(tokens.id_token(), Some(first.as_str()));
    assert!(provider.refresh(fake.context(), "bob", &held).await.is_err());
    let alone = Tokens::new("before");
    assert_eq!(provider.refresh(fake.context(), "alice", &alone).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_with_its_measure() {
    let mut late = claims();
    late["exp"] = json!(NOW - 312);
    let (provider, fake) = (provider(), Fake::new(&json!({}), &signer(), &late));
    let error =
        provider.redeem(fake.context(), ValidatedCode::made_up("https://app.example.com/cb")).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::IdTokenRejected, Some("exp has passed")));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "exp is 312 seconds in the past by this machine's clock; clock_skew is 60");
    for (skew, is_taken) in [(300, false), (313, true)] {
        let lenient = self::provider().clock_skew(Duration::from_secs(skew));
        let grant = lenient.redeem(fake.context(), ValidatedCode::made_up("https://app.example.com/cb")).await;
        assert_eq!(grant.is_ok(), is_taken, "{skew}");
    }
}

#[tokio::test]
async fn both_tokens_are_revoked_where_there_is_an_endpoint_for_it() {
    let tokens = Tokens::new("at").with_refresh_token("rt");
    let endpoint = json!({"revocation_endpoint": format!("{ISSUER}/revoke")});
    let (provider, fake) = (provider(), Fake::new(&endpoint, &signer(), &claims()));
    provider.revoke(fake.context(), &tokens).await.unwrap();
    let sent: Vec<String> = fake.requests.lock().unwrap()[1..]
        .iter()
        .map(|request| String::from_utf8(request.body().to_vec()).unwrap())
        .collect();
    assert_eq!(sent, ["token=rt&token_type_hint=refresh_token", "token=at&token_type_hint=access_token"]);

    let (provider, fake) = (self::provider(), Fake::new(&json!({}), &signer(), &claims()));
    let error = provider.revoke(fake.context(), &tokens).await.unwrap_err();
    assert_eq!((error.kind(), fake.asked().len()), (ErrorKind::Unsupported, 1));
}

#[tokio::test]
async fn where_people_go_to_sign_out() {
    let tokens = Tokens::new("at").with_id_token("a.b.c");
    let end = json!({"end_session_endpoint": format!("{ISSUER}/end?tenant=a")});
    let hinted = "https://id.example.com/end?tenant=a&id_token_hint=a.b.c&client_id=app\
                  &post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2Fauth%2Flogout&state=s";
    for (name, metadata, tokens, expected) in [
        ("no endpoint", json!({}), Some(&tokens), None),
        ("with the ID token", end.clone(), Some(&tokens), Some(hinted.to_owned())),
        ("without", end, None, Some(hinted.replace("id_token_hint=a.b.c&", ""))),
    ] {
        let (provider, fake) = (provider(), Fake::new(&metadata, &signer(), &claims()));
        let request = EndSessionRequest::new("https://app.example.com/auth/logout", "s", tokens);
        assert_eq!(provider.end_session_url(&request), None, "{name}: nothing is known yet");
        provider.prepare(fake.context()).unwrap().await.unwrap();
        assert_eq!(provider.end_session_url(&request), expected, "{name}");
    }
}
