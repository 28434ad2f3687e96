//! Bodies of a token answer with status 200: who is signed in is whom it vouches for, by the address alone.

use bech32::{Bech32, Hrp};
use bytes::Bytes;
use http::Response;

use crate::site::set_cookies;
use crate::{SESSION, assert_no_foreign_location, assert_private, block_on, exchange, member, members, site};

/// Whom the answer vouches for, by a reader of its own.
fn vouched_for(body: &[u8]) -> Option<String> {
    let answer = members(body)?;
    let text = |name: &str| member(&answer, name).as_str().map(str::to_owned);
    let verification = members(answer.get("verificationResponse")?.get().as_bytes())?;
    let is_verified = member(&verification, "success") == true;
    let is_bearer = text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let (address, subject) = (text("address")?.to_ascii_lowercase(), text("bitbadgesAddress")?);
    let (hrp, bytes) = bech32::decode(&subject).ok()?;
    let is_one = bech32::encode::<Bech32>(Hrp::parse("bb").ok()?, &bytes).ok()? == subject && hrp.as_str() == "bb";
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_same = address == subject || (bytes.len() == 20 && address == format!("0x{hexadecimal}"));
    let has_token = text("access_token").is_some_and(|token| !token.is_empty());
    (is_verified && is_bearer && is_one && is_same && has_token).then_some(subject)
}

pub fn run(data: &[u8]) -> bool {
    let site = site();
    let response = block_on(exchange(&site, Response::new(Bytes::copy_from_slice(data)), &[]));
    assert_private(&response);
    assert_no_foreign_location(&response);
    let session = set_cookies(&response).into_iter().find(|cookie| cookie.starts_with(&format!("{SESSION}=")));
    let status = response.status().as_u16();
    let Some(session) = session else {
        // Refused, not understood, or too large for a cookie.
        assert!([403, 502, 500].contains(&status), "{status}");
        assert!(status != 500 || data.len() > 1000, "{status}");
        return false;
    };
    assert_eq!((status, &response.headers()["location"]), (303, &"/target".parse().unwrap()));
    let session = session.split(';').next().unwrap();
    let request = http::Request::get("/").header("cookie", session).body(Bytes::new()).unwrap();
    let who = block_on(site.send(request)).into_body();
    let who = std::str::from_utf8(&who).unwrap();
    assert_eq!(Some(who), vouched_for(data).as_deref());
    true
}
