//! What an ID token must claim (OpenID Connect Core sections 3.1.3.7 and 12.2), and what any token of a provider must.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::id_token::{Signed, rejected};
use crate::clock::unix_seconds;
use crate::error::Error;

/// What is expected of a token: by whom it is, for whom, and when it is looked at.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// Other audiences that may see the same token.
    pub(super) trusted_audiences: &'a [String],
    /// In seconds.
    pub(super) clock_skew: u64,
    pub(super) now: SystemTime,
}

/// What an ID token came for.
#[derive(Clone, Copy)]
pub(super) enum Occasion<'a> {
    SignIn {
        nonce: &'a str,
        /// In seconds.
        max_age: Option<u64>,
        /// Where it is not empty, `acr` must be among them.
        acr: &'a [String],
    },
    Refresh {
        subject: &'a str,
        /// The claims of the first token, where it was kept.
        first: Option<&'a Map<String, Value>>,
    },
}

/// Longer ones are no subjects (Core section 2).
pub(super) const LONGEST_SUBJECT: usize = 255;

impl Expected<'_> {
    /// The subject of an ID token that came with this access token, once everything is as expected.
    pub(super) fn subject<'t>(
        &self,
        token: &'t Signed,
        access_token: &str,
        occasion: Occasion<'_>,
    ) -> Result<&'t str, Error> {
        let claims = Claims(&token.claims);
        self.check_issuer(claims)?;
        let subject = claims.text("sub")?.filter(|subject| (1..=LONGEST_SUBJECT).contains(&subject.len()));
        let subject = subject.ok_or_else(|| rejected("sub is missing, empty or too long"))?;
        self.check_audience(claims)?;
        self.check_times(claims)?;
        if claims.is_of_logout() {
            return Err(rejected("it is a logout token"));
        }
        if claims.text("at_hash")?.is_some_and(|hash| hash != token.algorithm.at_hash(access_token)) {
            return Err(rejected("at_hash is not that of the access token"));
        }
        match occasion {
            Occasion::SignIn { nonce, max_age, acr } => {
                if claims.text("nonce")? != Some(nonce) {
                    return Err(rejected("nonce is not the one of this sign-in"));
                }
                if let Some(max_age) = max_age {
                    self.check_age(claims, max_age)?;
                }
                let is_wanted = |found: &str| acr.iter().any(|wanted| wanted == found);
                if !acr.is_empty() && !claims.text("acr")?.is_some_and(is_wanted) {
                    return Err(rejected("acr is not among those that are required"));
                }
            }
            Occasion::Refresh { subject: before, first } => {
                if subject != before {
                    return Err(rejected("sub is another one than before"));
                }
                if let Some(first) = first {
                    check_continuity(claims, Claims(first))?;
                }
            }
        }
        Ok(subject)
    }

    pub(super) fn check_issuer(&self, claims: Claims<'_>) -> Result<(), Error> {
        if claims.text("iss")? == Some(self.issuer) { Ok(()) } else { Err(rejected("iss is not the issuer")) }
    }

    /// For us, and for nobody that is not trusted.
    pub(super) fn check_audience(&self, claims: Claims<'_>) -> Result<(), Error> {
        const NO_AUDIENCE: &str = "aud is missing, or neither a string nor strings";
        let audiences: Vec<&str> = match claims.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => {
                several.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(|| rejected(NO_AUDIENCE))?
            }
            _ => return Err(rejected(NO_AUDIENCE)),
        };
        if !audiences.contains(&self.client_id) {
            return Err(rejected("aud is not this client"));
        }
        let mut others = audiences.iter().filter(|audience| **audience != self.client_id).peekable();
        let party = claims.text("azp")?;
        if others.peek().is_some() && party.is_none() {
            return Err(rejected("azp is missing beside several audiences"));
        }
        if party.is_some_and(|party| party != self.client_id) {
            return Err(rejected("azp is not this client"));
        }
        if others.any(|audience| !self.trusted_audiences.iter().any(|trusted| trusted == audience)) {
            return Err(rejected("aud has an audience that is not trusted"));
        }
        Ok(())
    }

    pub(super) fn check_times(&self, claims: Claims<'_>) -> Result<(), Error> {
        let (now, skew) = (self.now(), self.skew());
        let expires = claims.time("exp")?.ok_or_else(|| rejected("exp is missing"))?;
        if expires.saturating_add(skew) <= now {
            return Err(rejected("exp has passed").with_source(self.measured("exp", expires)));
        }
        let issued = claims.time("iat")?.ok_or_else(|| rejected("iat is missing"))?;
        if issued.saturating_sub(skew) > now {
            return Err(rejected("iat is yet to come").with_source(self.measured("iat", issued)));
        }
        match claims.time("nbf")? {
            Some(begins) if begins.saturating_sub(skew) > now => {
                Err(rejected("nbf is yet to come").with_source(self.measured("nbf", begins)))
            }
            _ => Ok(()),
        }
    }

    fn check_age(&self, claims: Claims<'_>, max_age: u64) -> Result<(), Error> {
        let (now, skew) = (self.now(), self.skew());
        let at =
            claims.time("auth_time")?.ok_or_else(|| rejected("auth_time is missing, and max_age was asked for"))?;
        if at.saturating_sub(skew) > now {
            return Err(rejected("auth_time is yet to come").with_source(self.measured("auth_time", at)));
        }
        let max_age = i64::try_from(max_age).unwrap_or(i64::MAX);
        if at.saturating_add(max_age).saturating_add(skew) < now {
            let measured = format!("{}; max_age is {max_age}", self.measured("auth_time", at));
            return Err(rejected("auth_time is longer ago than max_age").with_source(measured));
        }
        Ok(())
    }

    /// How far off a time is, which tells a clock that is wrong from a token that is.
    fn measured(&self, name: &str, time: i64) -> String {
        let ahead = time.saturating_sub(self.now());
        let direction = if ahead > 0 { "future" } else { "past" };
        let (seconds, skew) = (ahead.unsigned_abs(), self.clock_skew);
        format!("{name} is {seconds} seconds in the {direction} by this machine's clock; clock_skew is {skew}")
    }

    fn now(&self) -> i64 {
        i64::try_from(unix_seconds(self.now)).unwrap_or(i64::MAX)
    }

    fn skew(&self) -> i64 {
        i64::try_from(self.clock_skew).unwrap_or(i64::MAX)
    }
}

/// The person did not sign in anew, so what the first token said of that is still so (Core section 12.2).
fn check_continuity(claims: Claims<'_>, first: Claims<'_>) -> Result<(), Error> {
    let nonce = claims.text("nonce")?;
    if nonce.is_some() && nonce != first.text("nonce")? {
        return Err(rejected("nonce is another one than before"));
    }
    match (claims.time("auth_time")?, first.time("auth_time")?) {
        (Some(now), Some(before)) if now != before => Err(rejected("auth_time is another one than before")),
        _ => Ok(()),
    }
}

/// Claims by the type they must have. Where one is null it is not there (Core section 5.3.2).
#[derive(Clone, Copy)]
pub(super) struct Claims<'a>(pub(super) &'a Map<String, Value>);

/// The member of `events` that makes a logout token of a token (OpenID Connect Back-Channel Logout section 2.4).
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl<'a> Claims<'a> {
    /// Whether the token says that it is a logout token.
    pub(super) fn is_of_logout(self) -> bool {
        self.0.get("events").and_then(|events| events.get(LOGOUT)).is_some_and(Value::is_object)
    }

    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// Whole seconds since 1970. A time may have a fraction (RFC 7519 section 2).
    pub(super) fn time(self, name: &'static str) -> Result<Option<i64>, Error> {
        const LARGEST: f64 = 9e15;
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let fraction = || number.as_f64().filter(|number| number.abs() < LARGEST);
                let seconds = number.as_i64().or_else(|| fraction().map(|number| number.floor() as i64));
                seconds.map(Some).ok_or_else(|| wrong_type(name))
            }
            Some(_) => Err(wrong_type(name)),
        }
    }
}

fn wrong_type(name: &'static str) -> Error {
    rejected("a claim has another type than it must").with_source(name)
}

#[cfg(test)]
mod tests;
