//! What the targets of OpenID Connect share: a site whose people come from a provider that answers as the target wants, and
//! the provider's side of a signature.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower::service_fn;
use tower_signin::oidc::SigningAlgorithm;
use tower_signin::{ErrorKind, Identity, Oidc};

use crate::site::{CALLBACK, CODE, NOW, Site, parameter, query, set_cookies};
use crate::support::{Browser, navigation};
use crate::{assert_private, block_on, keys, through};

pub const ISSUER: &str = "https://id.example";
pub const CLIENT: &str = "client-1";
pub const CLIENT_SECRET: &str = "client-secret-1";
pub const ACCESS_TOKEN: &str = "access-token-1";

/// A site with the accepted algorithms and no other settings of its own.
#[must_use]
pub fn site_of(configure: impl FnOnce(Oidc) -> Oidc) -> Site {
    let oidc = Oidc::discover(ISSUER, CLIENT, CLIENT_SECRET).signing_algorithms(ACCEPTED);
    Site::of(configure(oidc), CALLBACK, |builder| builder.keys(keys(crate::KEYS)))
}

const ACCEPTED: [SigningAlgorithm; 3] = [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];

/// What the provider answers to each question.
#[derive(Clone)]
pub struct Answers {
    pub metadata: (u16, Bytes),
    pub keys: (u16, Bytes),
    pub token: (u16, Bytes),
    pub user_info: (u16, Bytes),
}

impl Answers {
    /// Those of a provider that does everything well, for alice.
    #[must_use]
    pub fn good(nonce: &str) -> Self {
        let published = PUBLISHED.iter().map(|name| SIGNERS[name].jwk.clone()).collect::<Vec<_>>();
        let token = SIGNERS["ed"].token(&claims(nonce));
        Self {
            metadata: ok(&metadata()),
            keys: ok(&json!({ "keys": published })),
            token: ok(&token_answer(&token)),
            user_info: ok(&json!({ "sub": "alice" })),
        }
    }

    /// Has the provider answer so, by what is asked and not by the path.
    pub fn give(self, site: &Site) {
        site.upstream.answer_by(move |request| {
            let (status, body) = match question(request) {
                Question::Metadata => &self.metadata,
                Question::Keys => &self.keys,
                Question::Token => &self.token,
                Question::UserInfo => &self.user_info,
            };
            Ok(Response::builder().status(*status).body(body.clone()).unwrap())
        });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Metadata,
    Keys,
    Token,
    UserInfo,
}

#[must_use]
pub fn question(request: &Request<Bytes>) -> Question {
    match (request.method(), request.headers().contains_key(AUTHORIZATION)) {
        (&Method::POST, _) => Question::Token,
        (_, true) => Question::UserInfo,
        _ if *request.uri() == *format!("{ISSUER}/.well-known/openid-configuration") => Question::Metadata,
        _ => Question::Keys,
    }
}

#[must_use]
pub fn ok(body: &Value) -> (u16, Bytes) {
    (200, Bytes::from(body.to_string()))
}

#[must_use]
pub fn metadata() -> Value {
    json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"), "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/jwks"), "userinfo_endpoint": format!("{ISSUER}/userinfo"),
    })
}

#[must_use]
pub fn token_answer(id_token: &str) -> Value {
    json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token })
}

/// Of a good token.
#[must_use]
pub fn claims(nonce: &str) -> Value {
    json!({ "iss": ISSUER, "sub": "alice", "aud": CLIENT, "iat": NOW, "exp": NOW + 3600, "nonce": nonce })
}

/// What came of a sign-in that was begun.
pub struct Outcome {
    pub browser: Browser,
    /// Subject and claims, where somebody is signed in.
    pub who: Option<(String, Value)>,
    /// What went wrong, where nobody is.
    pub kind: Option<ErrorKind>,
    pub asked: Vec<Question>,
}

/// Goes to login, and where the provider sends the browser back to; both judged, whatever the provider says. `answers` gives
/// what it answers to a sign-in with this nonce.
pub fn sign_in(site: &Site, answers: impl FnOnce(&str) -> Answers) -> Outcome {
    let mut browser = Browser::new();
    let started = block_on(site.start(&mut browser, "/target"));
    let before = answers(&parameter(&started.authorization_url, "nonce"));
    before.give(site);
    let callback = format!("{}&{}", started.callback(CODE), query(&[("iss", ISSUER)]));
    let response = block_on(site.get(&mut browser, &callback));
    outcome(site, browser, &response)
}

/// Judges an answer to a callback that was all right: somebody is signed in as a whole, or nobody and the reason is known.
fn outcome(site: &Site, browser: Browser, response: &Response<Bytes>) -> Outcome {
    assert_private(response);
    let asked: Vec<_> = site.upstream.requests().iter().map(question).collect();
    let count = |which| asked.iter().filter(|asked| **asked == which).count();
    assert!(count(Question::Metadata) <= 1 && count(Question::Token) <= 1 && count(Question::Keys) <= 2, "{asked:?}");
    let is_sent = count(Question::Token) == 1;
    // A code is spent once it is sent, so its answer must be ready to be judged.
    let keys_first =
        asked.iter().find(|asked| matches!(asked, Question::Token | Question::Keys)) == Some(&Question::Keys);
    assert!(!is_sent || keys_first, "{asked:?}");
    let who = who(site, &browser);
    let kind = response.extensions().get::<ErrorKind>().copied();
    match (&who, kind) {
        (Some(_), None) => {
            assert_eq!(
                (response.status().as_u16(), &response.headers()["location"]),
                (303, &"/target".parse().unwrap())
            );
            assert_eq!((is_sent, count(Question::UserInfo)), (true, 1));
        }
        (None, Some(kind)) => {
            assert_eq!(response.status(), kind.status());
            assert!(KNOWN.contains(&kind), "{kind:?}");
            let set = set_cookies(response);
            assert!(set.iter().all(|cookie| cookie.ends_with("; Max-Age=0")), "{set:?}");
            if kind == ErrorKind::IdTokenRejected {
                assert_eq!((is_sent, count(Question::UserInfo)), (true, 0), "a token was used unchecked");
            }
        }
        other => panic!("{other:?} with {}", response.status()),
    }
    Outcome { browser, who, kind, asked }
}

/// In which ways a sign-in ends whose callback was all right.
const KNOWN: [ErrorKind; 7] = [
    ErrorKind::IdTokenRejected,
    ErrorKind::ProviderAnswer,
    ErrorKind::ProviderFailed,
    ErrorKind::ProviderBusy,
    ErrorKind::ExchangeRejected,
    ErrorKind::CredentialsRejected,
    ErrorKind::SessionTooLarge,
];

/// Subject and claims of who a browser's cookies are; the issuer is the provider's in any case.
pub(crate) fn who(site: &Site, browser: &Browser) -> Option<(String, Value)> {
    let app = service_fn(|request: Request<Bytes>| {
        let who = request.extensions().get::<Identity>();
        let who = who.map(|who| json!([who.issuer(), who.subject(), who.claims::<Value>().unwrap()]));
        std::future::ready(Ok(Response::new(Full::from(json!(who).to_string()))))
    });
    let mut request = navigation(Method::GET, "/", "none");
    if let Some(cookies) = browser.cookie_header() {
        request = request.header("cookie", cookies);
    }
    let said = through(site, app, request.body(Bytes::new()).unwrap()).into_body();
    let who: Option<(String, String, Value)> = serde_json::from_slice(&said).unwrap();
    who.map(|(issuer, subject, claims)| {
        assert_eq!(issuer, ISSUER);
        (subject, claims)
    })
}

/// A key of somebody's.
pub struct Signer {
    pub algorithm: &'static str,
    /// The public half, with a `kid` that is the signer's name.
    pub jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

/// Those whose public halves the provider publishes.
pub const PUBLISHED: [&str; 4] = ["rsa", "ec", "ed", "ed2"];

/// By name. Those that are not published are somebody else's, under the names of the published ones; the last three are public.
pub static SIGNERS: LazyLock<HashMap<&'static str, Signer>> = LazyLock::new(|| {
    let rsa = || {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
        Signer {
            algorithm: "RS256",
            jwk: json!({ "kty": "RSA", "n": base64(n), "e": base64(e) }),
            pair: Pair::Rsa(pair),
        }
    };
    let p256 = || {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) });
        Signer { algorithm: "ES256", jwk, pair: Pair::P256(pair) }
    };
    let ed25519 = || {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = base64(pair.public_key().as_ref());
        Signer { algorithm: "EdDSA", jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), pair: Pair::Ed25519(pair) }
    };
    let secret = |secret: &str| {
        let pair = Pair::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
        Signer { algorithm: "HS256", jwk: json!({ "kty": "oct", "k": base64(secret) }), pair }
    };
    let published = rsa();
    let modulus = published.jwk["n"].as_str().unwrap().to_owned();
    let signers = [
        ("rsa", "rsa", published),
        ("ec", "ec", p256()),
        ("ed", "ed", ed25519()),
        ("ed2", "ed2", ed25519()),
        ("rsa-alien", "rsa", rsa()),
        ("ec-alien", "ec", p256()),
        ("ed-alien", "ed", ed25519()),
        ("secret", "ed", secret(CLIENT_SECRET)),
        ("modulus", "rsa", secret(&modulus)),
        ("empty", "ed", secret("")),
    ];
    let named = signers.into_iter().map(|(name, id, mut signer)| {
        signer.jwk["kid"] = json!(id);
        (name, signer)
    });
    named.collect()
});

impl Signer {
    /// The signature of a JWS with this key, whatever its header says.
    #[must_use]
    pub fn sign(&self, signed: &str) -> String {
        let random = SystemRandom::new();
        base64(match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Pair::Secret(key) => hmac::sign(key, signed.as_bytes()).as_ref().to_vec(),
        })
    }

    /// A whole token with the header that goes with the key.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": self.algorithm, "kid": self.jwk["kid"] }), claims)
    }

    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = self.sign(&signed);
        format!("{signed}.{signature}")
    }

    /// What `at_hash` is of the access token (Core section 3.1.3.6).
    #[must_use]
    pub fn at_hash(&self) -> String {
        let function = if self.algorithm == "EdDSA" { &digest::SHA512 } else { &digest::SHA256 };
        let hash = digest::digest(function, ACCESS_TOKEN.as_bytes());
        base64(&hash.as_ref()[..hash.as_ref().len() / 2])
    }
}

#[must_use]
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[must_use]
pub fn decoded(text: &Value) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_str()?).ok()
}

/// The members of a JSON object in which no name is there twice.
#[must_use]
pub fn distinct(json: &[u8]) -> Option<HashMap<String, Value>> {
    let Pairs(pairs) = serde_json::from_slice::<Pairs<Value>>(json).ok()?;
    let count = pairs.len();
    let members: HashMap<_, _> = pairs.into_iter().collect();
    (members.len() == count).then_some(members)
}

/// A member that is there and not null.
#[must_use]
pub fn told<'a>(members: &'a HashMap<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// A JSON object of which some members count. What nobody asks for is not looked at, as with [`members`](crate::members).
pub struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_str(&String::from_utf8_lossy(json)).ok().map(|Pairs(pairs)| Self(pairs))
    }

    /// A member that is there once and not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut named = self.0.iter().filter(|(other, _)| other == name);
        let (Some((_, value)), None) = (named.next(), named.next()) else { return None };
        serde_json::from_str(value.get()).ok().filter(|value: &Value| !value.is_null())
    }

    #[must_use]
    pub fn has_twice(&self, name: &str) -> bool {
        self.0.iter().filter(|(other, _)| other == name).count() > 1
    }
}

/// The members of a JSON object as they stand there.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Each<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs<V>, A::Error> {
                std::iter::from_fn(|| members.next_entry().transpose()).collect::<Result<_, _>>().map(Pairs)
            }
        }
        deserializer.deserialize_map(Each(PhantomData))
    }
}
