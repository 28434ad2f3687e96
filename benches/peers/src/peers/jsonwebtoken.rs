//! A bearer token that is checked at each request, by jsonwebtoken on aws-lc-rs. Keys and rules are made once.

use std::convert::Infallible;
use std::sync::Arc;

use ::jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::get;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::claims::Claims;
use crate::{ISSUER, Peer, page};

pub(super) fn hs256() -> Peer {
    let secret = [7; 32];
    let token = encode(&Header::default(), &Claims::of_today(), &EncodingKey::from_secret(&secret));
    peer(&token.expect("claims are JSON"), DecodingKey::from_secret(&secret), Algorithm::HS256)
}

pub(super) fn rs256() -> Peer {
    let key = DecodingKey::from_rsa_pem(RS256_KEY.as_bytes()).expect("it is a key");
    peer(RS256_TOKEN, key, Algorithm::RS256)
}

pub(super) fn es256() -> Peer {
    let key = DecodingKey::from_ec_pem(ES256_KEY.as_bytes()).expect("it is a key");
    peer(ES256_TOKEN, key, Algorithm::ES256)
}

fn peer(token: &str, key: DecodingKey, algorithm: Algorithm) -> Peer {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    let router = Router::new().route("/page", get(handler)).with_state(Arc::new(Verifier { key, validation }));
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is text");
    Peer::new(router, vec![(AUTHORIZATION, bearer)])
}

struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

struct Bearer(Option<Claims>);

impl FromRequestParts<Arc<Verifier>> for Bearer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, verifier: &Arc<Verifier>) -> Result<Self, Infallible> {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let decoded = token.and_then(|token| decode(token, &verifier.key, &verifier.validation).ok());
        Ok(Self(decoded.map(|decoded| decoded.claims)))
    }
}

async fn handler(Bearer(who): Bearer) -> String {
    page(who.as_ref().map(|who| (who.iss.as_str(), who.sub.as_str())))
}

/// Signed by a key that is gone; ends in the year 2100.
const RS256_TOKEN: &str = "\
    eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2JpdGJhZGdlcy5pbyIsInN1YiI6ImJiMXAwcnJlbDM\
    zNjVzY2FkcTVrOXB2MHgwenA5ajIyanM2ZG53NzBkIiwiYWRkcmVzcyI6IjB4MGJjNjNjZmUzMWQ1MjE4ZWI0MTRiMTQyYzc5OWU\
    yMDk2NGE1NGExYSIsImNoYWluIjoiRVRIIiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjQxMDI0NDQ4MDB9.fB5NaGi8NAmAMPYylR\
    stBqQKSK-mvo09_xKubSiAW4QVJJxgVVdhgyLmgOzungKa1Z_Z8Rx74KfuW0fFxJ-otTHKQc80hgqdGrQKiDzGWzsJhYlfMKmyKs\
    gE8pCiYcbPaRyVtJAOtKgNG2LcBbEAjRkX-ZKV1rOgAXh3x5-U5HjgwBTJg94uD-dBvD0lQdjyj6IKxMVYi-qi7NKZGYjWN1RVlU\
    lrZ2SKDmfda4X9yDPROx4np38L89jVGR9ibkZP3K53suf_4MrG8HiCBPjKzPdsvbdMkjJpSrm7LLMZNweRZi7XCaTOPzSPiUSCoo\
    jqv8HFEN8U0tAy-ESsYSUX4Q\
    ";

const RS256_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0HeQz85WQrVnj4BVzJXe
ykQK2gcASSGEbljC4BzzPNcLweC63n00hfSPk36UoT/cyTr6pQX9k4h3w6XvP8Wh
irdFBZXrwXniVmBfE9N7jMvSOXoC5p+RjUnrmopWRkyOsMILW4nuhYUo/UMnDnhe
Qe7dIc1HU5+ku/2hwp5vqCSkdav1/sAQyW0GmZV91fbkm/qFrKF6kfO1lU7h8Z0H
olPW961nkvA6C+FuxLLTsGdcaQND6T7y2TAHaZZBDRBNP5L4l8N+1RM68q/kJIUJ
o6sowbhQMcPexKif9CNUUEbNiqaXrXmuIRU7mnSfxqIlB1g/NMSgD6UtwyzOFboN
kwIDAQAB
-----END PUBLIC KEY-----
";

/// Signed by a key that is gone; ends in the year 2100.
const ES256_TOKEN: &str = "\
    eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2JpdGJhZGdlcy5pbyIsInN1YiI6ImJiMXAwcnJlbDM\
    zNjVzY2FkcTVrOXB2MHgwenA5ajIyanM2ZG53NzBkIiwiYWRkcmVzcyI6IjB4MGJjNjNjZmUzMWQ1MjE4ZWI0MTRiMTQyYzc5OWU\
    yMDk2NGE1NGExYSIsImNoYWluIjoiRVRIIiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjQxMDI0NDQ4MDB9.pF9UC4bq3djmbMyh7Y\
    redZHEzNnAMPQJAwEWV5MTToosmWUKOEIO9pRgUQlESLueWFW4GTuYsJ8-bIHqM3I5YA\
    ";

const ES256_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYESBPRCdin0j5L+5zvpTosAEbNw8
LLTtuNDwhT4ubJDb1xd+gLTQRwxNkIqi6UF7UZFyzb5MG9YUA7OvvZZgMw==
-----END PUBLIC KEY-----
";
