//! An OpenID provider on loopback, as small as the peers that need one let it be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use url::Url;

use crate::{Peer, SUBJECT};

/// The client that every peer is.
pub(super) const CLIENT_ID: &str = "peer";

/// How long tokens are good for, in seconds. Longer than a benchmark runs, under valgrind too.
pub(super) const LIFETIME: u64 = 24 * 60 * 60;

/// Answers discovery, keys, authorization, token and user info. Whoever asks is `SUBJECT` and consents at once. Stops
/// when dropped.
pub(super) struct Provider {
    issuer: String,
    router: Router,
    server: JoinHandle<()>,
}

impl Provider {
    /// `sign` gives the RS256 signature of a message by `KEY`. Each peer signs with what its own dependencies bring, so that
    /// the provider adds no crate to those that are counted for it.
    pub(super) async fn start(sign: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(Context { issuer: issuer.clone(), sign: Arc::new(sign) });
        let serve = axum::serve(listener, router.clone());
        let server = tokio::spawn(async move { serve.await.unwrap() });
        Self { issuer, router, server }
    }

    /// Its address, `http://127.0.0.1:…`.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A peer that has somebody signed in by the whole flow, which begins at `login`.
    pub(super) async fn peer(self, router: Router, login: &'static str) -> Peer {
        let cookie = sign_in(self.router.clone(), router.clone(), login).await;
        let (provider, app) = (self.router.clone(), router.clone());
        Peer {
            router,
            signed_in: vec![(COOKIE, cookie)],
            login: Some(login.to_owned()),
            sign_in_another: Some(Box::new(move || {
                let (provider, app) = (provider.clone(), app.clone());
                Box::pin(async move { drop(sign_in(provider, app, login).await) })
            })),
            alive: vec![Box::new(self)],
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Goes where a browser goes and gives back the cookies it ends with.
async fn sign_in(provider: Router, app: Router, login: &str) -> HeaderValue {
    let mut cookies = BTreeMap::new();
    let to_provider = navigate(&app, login, &mut cookies).await;
    let to_app = navigate(&provider, &to_provider, &mut BTreeMap::new()).await;
    navigate(&app, &to_app, &mut cookies).await;
    cookie_header(&cookies)
}

/// Returns where the answer leads.
async fn navigate(router: &Router, address: &str, cookies: &mut BTreeMap<String, String>) -> String {
    let uri: Uri = address.parse().unwrap();
    let mut request = Request::get(uri.path_and_query().unwrap().as_str())
        .header(HOST, uri.host().unwrap_or("app.example.com"))
        .header("accept", "text/html")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    if !cookies.is_empty() {
        request = request.header(COOKIE, cookie_header(cookies));
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    keep_cookies(&response, cookies);
    let location = response.headers().get(LOCATION);
    let location = location.unwrap_or_else(|| panic!("{address} answered {} without a Location", response.status()));
    location.to_str().unwrap().to_owned()
}

fn keep_cookies<B>(response: &Response<B>, cookies: &mut BTreeMap<String, String>) {
    for cookie in response.headers().get_all(SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        if cookie.contains("Max-Age=0") {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn cookie_header(cookies: &BTreeMap<String, String>) -> HeaderValue {
    let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ").parse().unwrap()
}

#[derive(Clone)]
struct Context {
    issuer: String,
    sign: Arc<Sign>,
}

type Sign = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

async fn configuration(State(context): State<Context>) -> Json<Value> {
    let at = |path| format!("{}{path}", context.issuer);
    Json(json!({
        "issuer": context.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }))
}

async fn keys() -> Json<Value> {
    Json(json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": MODULUS, "e": "AQAB"}]}))
}

#[derive(Deserialize)]
struct Authorization {
    redirect_uri: String,
    state: String,
    nonce: String,
    #[expect(dead_code, reason = "accepted, and required to be there")]
    code_challenge: String,
}

/// The code is the nonce, which the ID token must repeat: so nothing is kept for a sign-in.
async fn authorize(Query(request): Query<Authorization>) -> (StatusCode, [(HeaderName, String); 1]) {
    let mut to = Url::parse(&request.redirect_uri).unwrap();
    to.query_pairs_mut().append_pair("code", &request.nonce).append_pair("state", &request.state);
    (StatusCode::FOUND, [(LOCATION, to.into())])
}

#[derive(Deserialize)]
struct TokenRequest {
    code: String,
    #[expect(dead_code, reason = "accepted, and required to be there")]
    code_verifier: String,
}

async fn token(State(context): State<Context>, Form(request): Form<TokenRequest>) -> Json<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = profile();
    claims["iss"] = json!(context.issuer);
    claims["aud"] = json!(CLIENT_ID);
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + LIFETIME);
    claims["nonce"] = json!(request.code);
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "1"});
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode((context.sign)(message.as_bytes()));
    Json(json!({
        "access_token": "Xk3vB9cQz7Lm2Rt8Wy5Np4Hs",
        "token_type": "Bearer",
        "expires_in": LIFETIME,
        "id_token": format!("{message}.{signature}"),
    }))
}

async fn user_info() -> Json<Value> {
    Json(profile())
}

/// The claims besides the subject are about 150 bytes.
fn profile() -> Value {
    json!({
        "sub": SUBJECT,
        "name": "Alice Liddell",
        "preferred_username": "alice",
        "email": "alice.liddell@example.com",
        "email_verified": true,
        "picture": "https://cdn.example.com/pictures/alice.png",
    })
}

/// The public half of `KEY`.
const MODULUS: &str = "r0uB5GjX6I-h2H2ixMjYCot9QIKRKyIdxx9E0wbu4RqRKqEJ5MYxwf0-k0mU4ZclHnMAynIjDYcSm8UgRCxlaadVKNd3ThMRxp6aqZJkE2nEj88GpnXnVmAACrWZ9uRRtLCl1bfBXb_IDcBtDF80xkfmgp3vRHj_-3tHwNHjA0UnZsJM1wC3aMjrDQ7avFezV23lvQoI9fMTbyB6OjaBs7KwKL4vIcHdhvpbwppOmHmX2ie9jJfHS6NhMNjMxusXrVxWpDTg4o1E78DKg53_Il6NGt1OCnvJGPDUXfGURWsXKDNbSZPyTDqJmc6z-WkM21uzXtZbcl_B1peUxIzKcw";

/// What the ID tokens are signed with. For loopback only: whoever reads this can sign too.
pub(super) const KEY: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAr0uB5GjX6I+h2H2ixMjYCot9QIKRKyIdxx9E0wbu4RqRKqEJ
5MYxwf0+k0mU4ZclHnMAynIjDYcSm8UgRCxlaadVKNd3ThMRxp6aqZJkE2nEj88G
pnXnVmAACrWZ9uRRtLCl1bfBXb/IDcBtDF80xkfmgp3vRHj/+3tHwNHjA0UnZsJM
1wC3aMjrDQ7avFezV23lvQoI9fMTbyB6OjaBs7KwKL4vIcHdhvpbwppOmHmX2ie9
jJfHS6NhMNjMxusXrVxWpDTg4o1E78DKg53/Il6NGt1OCnvJGPDUXfGURWsXKDNb
SZPyTDqJmc6z+WkM21uzXtZbcl/B1peUxIzKcwIDAQABAoIBADm/cD0k5OvyVWkS
ioq1d6aRqWOVH+nLxW+Rt4SlphB2Rhh7EN1TBZVYrkKrXOasekf7rukCjNWqB9FV
MXoD/iy+OWnJAb6wvYxnN6BhX6Kdl2mg1BoGgX2NBraAeQZC1T/nadpsPMF7qpYN
LF+FBcfEbAXfrbErA3l/dXXqLxUmKK/Uw2D1OHb5mWNt//6egusOuTgDH+s76iLa
t9jo5Eg5+2Wx9CaX6sMTxrw+gFrBW+qP5f8O7q9kJa+2j9udzWgSueuFJ58rrZc5
Ak/XEg9RVJIZZyX3b72dQUshAgrQh9wCmJDkIZIpy67wLIh/Ya+oirp8HU151mGa
vwtrNrECgYEA6vQG+ki93eSzETyM6XGokimKhzJkM3EXVeJ+BKa1cNrJjETyZWTF
96u7YjAcMENEiDdwvnVwgqK2ieYjkUIPFW+UAXzQ9qtSKCJ5tuAO0HrrwvRmRf5w
Z5spXFLqtrpn6N6+is0rukNvJ9Anx4AozXdIO3Qw25cHAiPlhoVyON0CgYEAvv9j
2S/w09J2LPIqfVfjHiALBFiO7S6WGQ4hXze4NkePbphL00/9kMey3uqsQpn1o9py
T+YToq9LZwEkXVWBVdxcbk/t/fFH6M8Ab6pfbAv7b1p+y4jfIfiP3vXSg2HEC1lK
1SPfNrPtV93Dh6eRFrtLwzLS8HWAl1eeJr3nM48CgYA4vKkas4o2FU4wsWCN1waQ
FTwAneiYi4zJDqLD2MYj9JGLL/MhDQ7JWk0rztZfyT65bjnppE6BHW3bKxoXr84Y
rRMesNd9Wa3DR2ABC2ZIbgaU05QG/wSB4HRCeTt42NbS40c8GYOfvT0QbjHM+WPh
ChcFVG+f936Xw7dfnsYQeQKBgQCdJz5c4hlh8PXTnZ5gbAQwMWVfOg7AEWjnTL0g
v5QO9WqLMTySrmqQyf/fc3AxjMSVAZS1MTZO0bVVF5d4RHaa0yoqihHktLbaVBij
yKejG2jTAr75cbFHHmIirll8SOEqBVqRbWaod/t+JLZR1AqJjaqU/iiaOdSIsksq
zW6C+QKBgADo/9ItU3TQN5odFrDEFfgTslG4CPDgirqr/Jzq3pfaBDlitCoAeFAV
+Irbv7XYSsCkdK5efFhIUdOOXQjlkqaqiGuznT4H6ez+Cit/fcgSiwkXHr+xnh7n
D2wcz/dek/u5tyD11wRQwDHgidUhu/cGziYkeee5REF8xTVxJ34k
-----END RSA PRIVATE KEY-----
";
