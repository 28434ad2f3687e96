//! The server over a real socket, by a client that hides nothing.

mod authorize;
mod happy_path;
mod keys;
mod misbehaviours;
mod token;

use std::time::{Duration, UNIX_EPOCH};

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde_json::Value;
use url::form_urlencoded;

use super::*;
use crate::dev::tests::{CHALLENGE, FORM, REDIRECT_URI, Reply, VERIFIER, parameter, request, send_to};

const NONCE: &str = "n-0S6_WzA2Mj";
const BASIC: (&str, &str) = (CLIENT_ID, CLIENT_SECRET);

/// None where the server closed the connection without an answer.
async fn try_call(
    provider: &OpenIdProvider,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Reply> {
    let bytes = send_to(provider.issuer(), &request(method, target, headers, body)).await.unwrap_or_default();
    Reply::parse(&bytes)
}

async fn call(provider: &OpenIdProvider, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    try_call(provider, method, target, headers, body).await.unwrap()
}

async fn get(provider: &OpenIdProvider, target: &str) -> Reply {
    call(provider, "GET", target, &[], "").await
}

/// A form by a client that authenticates with Basic.
async fn post(provider: &OpenIdProvider, path: &str, client: (&str, &str), form: &[(&str, &str)]) -> Reply {
    let basic = basic(client.0, client.1);
    let headers = [("content-type", FORM), ("authorization", basic.as_str())];
    call(provider, "POST", path, &headers, &encoded(form)).await
}

/// Id and secret as they stand in the header, so form-encoded where they need it.
fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode_to_string(format!("{id}:{secret}")))
}

fn encoded(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// A target with these parameters in place of the right ones; an empty value leaves one out.
fn authorization_target(changes: &[(&str, &str)]) -> String {
    let right = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid profile email"),
        ("state", "f3a9c2e1"),
        ("nonce", NONCE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = right.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let pairs: Vec<_> = kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect();
    format!("/authorize?{}", encoded(&pairs))
}

/// A code as alice gets it.
fn code(provider: &OpenIdProvider, changes: &[(&str, &str)]) -> String {
    let url = format!("{}{}", provider.issuer(), authorization_target(changes));
    parameter(&provider.approve(&url, &Account::alice()).unwrap(), "code").unwrap()
}

fn exchange(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)]
}

async fn redeem(provider: &OpenIdProvider, code: &str) -> Reply {
    post(provider, "/token", BASIC, &exchange(code)).await
}

async fn refresh(provider: &OpenIdProvider, refresh_token: &str) -> Reply {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    post(provider, "/token", BASIC, &form).await
}

async fn user_info(provider: &OpenIdProvider, access_token: &str) -> Reply {
    let bearer = format!("Bearer {access_token}");
    call(provider, "GET", "/userinfo", &[("authorization", &bearer)], "").await
}

/// One of the first two parts of a token.
fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&decoded(token.split('.').nth(at).unwrap_or_default())).unwrap_or_default()
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).unwrap_or_default()
}

/// Whether the key in the set that the token names, by id and by algorithm, has signed it.
fn is_signed(token: &str, keys: &Value) -> bool {
    let header = part(token, 0);
    let found = keys["keys"].as_array().unwrap().iter().find(|key| key.get("kid") == header.get("kid"));
    found.is_some_and(|key| is_signed_by(token, key))
}

fn is_signed_by(token: &str, key: &Value) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let Ok(algorithm) = serde_json::from_value(part(token, 0)["alg"].clone()) else { return false };
    let Ok(jwk) = serde_json::from_value(key.clone()) else { return false };
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false)
}

fn freeze(provider: &OpenIdProvider, unix_seconds: u64) {
    let now = UNIX_EPOCH + Duration::from_secs(unix_seconds);
    provider.set_clock(Arc::new(move || now));
}

fn error(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}
