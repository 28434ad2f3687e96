//! Signing out at the provider, too: OpenID Connect RP-Initiated Logout 1.0. The session here is over before the browser goes
//! there, whatever becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Response, Uri};
use tokio::runtime::Handle;

use super::wanted_target;
use crate::clock::{CLOCK_SKEW, unix_seconds};
use crate::config::Inner;
use crate::oauth::callback::single;
use crate::oauth::end_session::EndSessionRequest;
use crate::oauth::token::Tokens;
use crate::providers::Mounted;
use crate::respond::Audience;
use crate::return_to::ReturnTo;
use crate::seal::Purpose;
use crate::session::calls::patiently;
use crate::session::presented::Told;
use crate::session::tokens::KeptTokens;
use crate::wire::{Reader, Writer};

/// A way out that leads over the provider.
pub(super) struct Leading {
    issuer: String,
    return_to: ReturnTo,
    tokens: Option<Tokens>,
}

/// The query parameter that comes back, and the name it is sealed under.
const STATE: &str = "state";

/// Of the bytes inside the seal.
const LAYOUT: u8 = 1;

/// How long the provider's page may stay open, in seconds.
const LIFETIME: u64 = 600;

/// A longer target keeps its path, or becomes `/`: it travels in two URLs.
const LONGEST_TARGET: usize = 512;

impl Leading {
    /// Only for a person in a window: a script can't follow to another site, and a program has no session there.
    pub(super) fn over(
        inner: &Inner,
        mounted: &Mounted,
        uri: &Uri,
        headers: &HeaderMap,
        held: Option<&KeptTokens>,
    ) -> Option<Self> {
        let leads = mounted.provider.ends_sessions() && Audience::of(headers) == Audience::Person;
        leads.then(|| Self {
            issuer: mounted.provider.issuer().to_owned(),
            return_to: wanted_target(inner, uri),
            tokens: held.map(|held| held.tokens().clone()),
        })
    }

    /// Makes the answer lead there where the provider can tell the way, within two seconds: nobody is kept from signing out.
    pub(super) fn lead(self, inner: &Arc<Inner>, mut response: Response<Bytes>) -> Told<Response<Bytes>> {
        let Some(mounted) = inner.providers.of_issuer(&self.issuer) else { return Told::Now(response) };
        let is_prepared = mounted.provider.prepare(mounted.context(&inner.http, &*inner.clock)).is_none();
        if is_prepared || Handle::try_current().is_err() {
            self.apply(inner, mounted, &mut response);
            return Told::Now(response);
        }
        let inner = Arc::clone(inner);
        Told::Later(Box::pin(async move {
            let Some(mounted) = inner.providers.of_issuer(&self.issuer) else { return response };
            if let Some(preparing) = mounted.provider.prepare(mounted.context(&inner.http, &*inner.clock)) {
                // What it knew before tells the way as well.
                let _ = patiently(preparing).await;
            }
            self.apply(&inner, mounted, &mut response);
            response
        }))
    }

    fn apply(&self, inner: &Inner, mounted: &Mounted, response: &mut Response<Bytes>) {
        let back = format!("{}{}", inner.redirect.origin, inner.paths.logout);
        let location = sealed(inner, &self.return_to)
            .and_then(|state| {
                mounted.provider.end_session_url(&EndSessionRequest::new(&back, &state, self.tokens.as_ref()))
            })
            .and_then(|url| HeaderValue::try_from(url).ok());
        let Some(mut location) = location else {
            tracing::info!(issuer = self.issuer, "the provider has no way to sign out at, or can't tell it now");
            return;
        };
        location.set_sensitive(true);
        response.headers_mut().insert(LOCATION, location);
    }
}

fn sealed(inner: &Inner, return_to: &ReturnTo) -> Option<String> {
    let mut writer = Writer::default();
    let return_to = return_to.clone().shortened(LONGEST_TARGET);
    writer.fixed(&[LAYOUT]).u64(unix_seconds(inner.clock.now())).prefixed(return_to.as_str());
    inner.seal.seal(Purpose::Logout, STATE, &writer.into_bytes()).ok()
}

/// Where somebody wanted to go who comes back from signing out; `/` without a state of ours, or with an old one. It ends
/// nothing, so it needs no more proof.
pub(super) fn target(inner: &Inner, uri: &Uri) -> ReturnTo {
    let opened = || {
        let state = single(uri.query()?, STATE)?;
        let bytes = inner.seal.open(Purpose::Logout, STATE, state.as_bytes()).ok()?;
        let mut reader = Reader::new(&bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let (made_at, return_to) = (reader.u64()?, reader.prefixed_str()?);
        reader.end()?;
        let now = unix_seconds(inner.clock.now());
        let is_fresh = made_at <= now.saturating_add(CLOCK_SKEW) && now < made_at.saturating_add(LIFETIME);
        is_fresh.then(|| ReturnTo::new(return_to, inner.paths.all()))
    };
    opened().unwrap_or_else(ReturnTo::root)
}
