//! What a provider is asked, and tells, while a session lasts.

use std::time::Duration;

use super::Builder;
use crate::session::recheck::WhenUnchecked;

impl Builder {
    /// Keeps the provider's tokens for as long as the session lasts, and refreshes them before they end: beside the session in the
    /// [store](Self::session_store), or in a sealed cookie of their own where that is in its cookie. Off by default: who is signed in
    /// can be told without them. Each request of somebody signed in then carries [`Tokens`](crate::Tokens) in its extensions, valid
    /// ones.
    ///
    /// A pair is refreshed a minute or so before it ends, by the first request that comes then, once for all that come
    /// meanwhile; they wait for two seconds while the old one is good, and for 20 afterwards. Where the provider refuses, the session
    /// ends. Where it can't be reached, the old pair serves to its end; afterwards guards and extractors answer 503, and nobody is
    /// signed out. Signing out revokes the newest pair.
    ///
    /// Where there is a refresh token, the session does not end with the access token any more, but by
    /// [`session_lifetime`](Self::session_lifetime): raise that too, since both are 24 hours with BitBadges. Sessions that
    /// were there before this was turned on have no tokens and stay as they are; those made meanwhile keep their end when it
    /// is turned off.
    ///
    /// A provider that gives a new refresh token each time, as BitBadges does, takes the old one back at once. Nodes that share a
    /// store, of sessions or of a [revocation list](Self::revocation_list), refresh once between them: one has the turn, for ten
    /// seconds if it dies meanwhile, and the others find what it brings in the store. A new pair that does not reach the browser's
    /// cookie is remembered for an hour, there or, without such a store, by this process alone. After that, or at a process that
    /// does not know of it, the person signs in again.
    pub fn keep_tokens(mut self) -> Self {
        self.keep_tokens = true;
        self
    }

    /// Asks again, while a session lasts, whether the provider stands by it, and ends it where it does not: whether the
    /// authorization stands (BitBadges' `auth/status`), where [tokens are kept](Self::keep_tokens), and whether every gate of
    /// the provider, such as [`Siwbb::require_claim`](crate::Siwbb::require_claim), still lets the person pass. Off by
    /// default; between a minute and 400 days.
    ///
    /// The first request after that time has the provider asked, once, whoever else comes meanwhile; all wait for the answer:
    /// for two seconds where the session [may go on](Self::recheck_outage) without it, else for 20. Each session costs the provider's requests once in that time, and only
    /// while it is used. The application's own hook does not run again.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.recheck_every(Duration::from_secs(15 * 60))
    /// # }
    /// ```
    pub fn recheck_every(mut self, every: Duration) -> Self {
        self.recheck_every = Some(every);
        self
    }

    /// How long a session goes on, after a check was due, while the provider can't be asked, and what becomes of it then. An
    /// hour by default, and then [`WhenUnchecked::Unavailable`]; at most 400 days. Needs
    /// [`recheck_every`](Self::recheck_every). Where [tokens are kept](Self::keep_tokens) and could not be refreshed before
    /// their end, the provider can't be asked either, though [sessions outlive them](Self::sessions_outlive_tokens).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_signin::WhenUnchecked;
    ///
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder
    ///     .recheck_every(Duration::from_secs(15 * 60))
    ///     .recheck_outage(Duration::ZERO, WhenUnchecked::Unavailable) // nobody goes on unchecked
    /// # }
    /// ```
    pub fn recheck_outage(mut self, grace: Duration, then: WhenUnchecked) -> Self {
        self.recheck_outage = Some((grace, then));
        self
    }

    /// Lets a provider end a session in a hidden frame of its own page, where somebody signs out there: OpenID Connect
    /// Front-Channel Logout, `GET` of `/auth/frontchannel-logout`, a sibling of the redirect URI, with `iss` and `sid`. Register it
    /// there as `frontchannel_logout_uri`, with `frontchannel_logout_session_required`. Off by default.
    ///
    /// Only where both are those of the browser's own session, this ends: as by signing out here, but leading nowhere. Whatever else
    /// comes gets the same empty page, and nothing happens.
    ///
    /// Browsers send the session's cookie, which is `SameSite=Lax`, into no frame of another site. So this works where provider
    /// and application are of one site, `id.example.com` and `app.example.com` say, and does nothing anywhere else:
    /// [`SignIn::back_channel_logout`](crate::SignIn::back_channel_logout) does not go by the browser, and is the better way.
    ///
    /// ```
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.front_channel_logout()
    /// # }
    /// ```
    pub fn front_channel_logout(mut self) -> Self {
        self.front_channel_logout = true;
        self
    }
}
