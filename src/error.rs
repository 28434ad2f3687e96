//! What can go wrong while a person signs in, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

/// A boxed error, as an HTTP client or a hook hands one over.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A refusal or failure: its [`kind`](Self::kind), and what was underneath.
///
/// [`Display`](fmt::Display) gives the cause; nothing in it, in [`Debug`] or in the sources holds a secret.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    reason: Option<&'static str>,
    source: Option<BoxError>,
    retry_after: Option<u32>,
    leaves_flow: bool,
}

impl Error {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, reason: None, source: None, retry_after: None, leaves_flow: false }
    }

    /// Adds what was underneath. It is logged, so it must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a fixed text or code that says more than the kind: the hook's reason code, a known answer of the provider.
    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds the seconds after which another try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same error of another kind, for who was asked something else.
    #[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "nothing else reads tokens for two ends"))]
    pub(crate) fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Nothing has been sent, and the same callback may come again.
    pub(crate) fn leaving_flow(mut self) -> Self {
        self.leaves_flow = true;
        self
    }

    pub(crate) fn leaves_flow(&self) -> bool {
        self.leaves_flow
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The fixed text or code given with [`with_reason`](Self::with_reason).
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The seconds after which another try makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.kind.cause())?;
        if let Some(reason) = self.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

macro_rules! kinds {
    ($($kind:ident = $status:literal $code:literal, $title:literal,
        cause $cause:literal,
        remedy $remedy:literal;)*) => {
        /// What went wrong, as a stable code with a status, a cause and a remedy.
        ///
        /// Every answer this crate gives on a failure carries its kind in the response's extensions, so a layer outside
        /// [`SignInLayer`](crate::SignInLayer) can restyle it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $(
                #[doc = concat!("`", $code, "`, status ", stringify!($status), ". ", $cause, "\n\n", $remedy)]
                $kind,
            )*
        }

        impl ErrorKind {
            /// Every kind, in the order of this page.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// A stable name to search for and to switch on.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The status of the answer.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => const {
                        match StatusCode::from_u16($status) {
                            Ok(status) => status,
                            Err(_) => panic!("not a status"),
                        }
                    },)*
                }
            }

            /// A heading for the person in front of the browser.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// The probable cause.
            #[must_use]
            pub fn cause(self) -> &'static str {
                match self { $(Self::$kind => $cause,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy,)* }
            }
        }
    };
}

kinds! {
    NotSignedIn = 401 "not_signed_in", "Please sign in",
        cause "This page is only for people who are signed in, and no valid session came with the request.",
        remedy "Sign in to go on.";
    NotAllowed = 403 "not_allowed", "You can't open this page",
        cause "This page is only for certain people who are signed in, and your account is not one of them.",
        remedy "Use another account, or ask the site's owners for access.";
    SessionUnavailable = 503 "session_unavailable", "We can't tell whether you are signed in",
        cause "What your session depends on did not answer, so it could not be checked. You have not been signed out.",
        remedy "Try again in a moment. Operators: the store of sessions or of the revocation list does not answer, or the sign-in service can't be reached to check the session again or to refresh its tokens; see the log.";
    LayerMissing = 500 "sign_in_layer_missing", "Something went wrong on this site",
        cause "A guard got a request that the SignInLayer of its own SignIn has not seen: that layer does not stand outside it, or another one stands between, so nobody can be recognised.",
        remedy "Operators: mount sign_in.layer() outside sign_in.require(); in axum the last .layer() is the outermost.";
    MethodNotAllowed = 405 "method_not_allowed", "That does not work here",
        cause "This address does not take the method of the request: signing in is opened like a page, with GET, and signing out is a button, with POST.",
        remedy "Use the link or button of the site.";
    Prefetch = 503 "prefetch_refused", "Not loaded ahead of time",
        cause "The browser asked for this page before anybody clicked; signing in or out is never done ahead of time.",
        remedy "Follow the link again.";
    LoginNotNavigation = 403 "login_not_a_navigation", "Open this page in the browser itself",
        cause "Signing in was started by a script, an image or a frame rather than by opening the page.",
        remedy "Navigate to the sign-in address in a top-level window.";
    LoginCrossSite = 403 "login_from_another_site", "Do you want to sign in?",
        cause "Another site sent you here to sign in, while several sign-ins of your own are still open.",
        remedy "Continue if you meant to sign in.";
    AlreadySignedIn = 403 "already_signed_in", "You are signed in already",
        cause "Another site sent you here to sign in.",
        remedy "You can go on to where that site sent you, or use another account.";
    CallbackMalformed = 400 "callback_malformed", "This sign-in link is not complete",
        cause "The answer from the sign-in service lacks its code or state, or carries one of them twice or damaged.",
        remedy "Start again from the beginning.";
    FlowNotFound = 400 "flow_cookie_missing", "This sign-in can't be finished here",
        cause "None of the browser's flow cookies is for this sign-in: it was started in another browser, has been finished already, took more than ten minutes, or made room for newer ones.",
        remedy "Start again in this browser.";
    CookiesRefused = 400 "cookies_refused", "Did your browser refuse a cookie?",
        cause "The browser came back from signing in without any flow cookie: it keeps no cookies of this site, or the sign-in was started in another browser, has been finished already, or took more than ten minutes.",
        remedy "Allow cookies for this site, then start again in this browser.";
    FlowUnreadable = 400 "flow_cookie_unreadable", "This sign-in can't be finished here",
        cause "The flow cookie came twice, was changed, or was sealed with keys this server does not have.",
        remedy "Start again. If it happens to everybody, check that all servers share the same keys.";
    FlowExpired = 400 "flow_expired", "This sign-in took too long",
        cause "More than ten minutes passed between starting to sign in and coming back, or a server's clock is wrong.",
        remedy "Start again.";
    StateMismatch = 400 "state_mismatch", "This sign-in does not belong to this browser",
        cause "The state that came back is not the one kept in the flow cookie.",
        remedy "Start again from this browser.";
    StateSpent = 400 "state_already_used", "This sign-in was already used",
        cause "The same sign-in came back a second time; a code is exchanged only once.",
        remedy "Start again.";
    IssuerMismatch = 400 "issuer_mismatch", "The answer came from the wrong place",
        cause "The answer names another issuer than the one this sign-in was started with (RFC 9207).",
        remedy "Start again. If it happens to everybody, check the issuer in the settings.";
    SignInLoop = 400 "sign_in_loop", "Signing in does not last here",
        cause "You have signed in, and time after time a page of this site did not recognise you right afterwards.",
        remedy "Allow cookies for this site, then sign in again. Operators: the session cookie must reach the browser and come back, all servers must share keys and the time, and nothing else may set a cookie of its name.";
    AccessDenied = 403 "access_denied", "You did not sign in",
        cause "The request to sign in was declined at the sign-in service.",
        remedy "Sign in again if you did not mean to decline.";
    AuthorizationFailed = 502 "authorization_failed", "The sign-in service reported a problem",
        cause "The sign-in service sent you back with an error instead of a code.",
        remedy "Try again. If it happens to everybody, check client id, redirect URI and scopes in the settings.";
    NotVerified = 403 "not_verified", "The sign-in service did not confirm your address",
        cause "The sign-in service answered, but its verification of the address did not succeed.",
        remedy "Sign in again with an address that meets the requirements.";
    ClaimRequired = 403 "claim_required", "Something is missing for access",
        cause "This site lets in only those who have completed a certain claim, and this address has not.",
        remedy "Complete the claim, then sign in again, or use another address.";
    OwnershipRequired = 403 "ownership_required", "Something is missing for access",
        cause "This site lets in only those who own certain assets, and this address does not.",
        remedy "Sign in with an address that owns them.";
    RefusedByApp = 403 "refused_by_app", "You can't use this site",
        cause "You were recognised, but this site did not let you in.",
        remedy "Use another account, or ask the site's owners for access.";
    HookFailed = 500 "sign_in_hook_failed", "Something went wrong on this site",
        cause "The site recognised you but failed while preparing your account.",
        remedy "Try again in a moment. Operators: the sign-in hook returned an error or panicked; see the log.";
    HookTimeout = 504 "sign_in_hook_timeout", "This site took too long",
        cause "The site recognised you but took more than ten seconds to prepare your account.",
        remedy "Try again in a moment. Operators: the sign-in hook did not finish in time.";
    ExchangeRejected = 502 "exchange_rejected", "The sign-in could not be completed",
        cause "The sign-in service did not accept the code: it was used before, has expired, or the settings do not match.",
        remedy "Start again. If it happens to everybody, check client id, client secret and redirect URI.";
    CredentialsRejected = 502 "credentials_rejected", "The sign-in could not be completed",
        cause "The sign-in service refused this site's own credentials.",
        remedy "Try again later. Operators: check API key, client id and client secret.";
    ProviderFailed = 502 "provider_failed", "The sign-in service had a problem",
        cause "The sign-in service answered with an error of its own.",
        remedy "Try again in a moment. Operators: see the log; a claim that is demanded may not exist, or hide its state.";
    ProviderAnswer = 502 "provider_answer_unreadable", "The sign-in could not be completed",
        cause "The sign-in service answered with something that can't be understood or trusted.",
        remedy "Start again in a moment.";
    IdTokenRejected = 502 "id_token_rejected", "The sign-in could not be completed",
        cause "The sign-in service said who you are in a way that can't be trusted: its ID token is not signed as agreed, is for another site, person or sign-in, or its time is over.",
        remedy "Start again. Operators: the reason in the log names the check that failed; where that is one of a time, compare this server's clock with the provider's.";
    ProviderBusy = 503 "provider_busy", "The sign-in service is busy",
        cause "The sign-in service takes no more requests from this site for now: rate limit or credits used up.",
        remedy "Try again in a moment. Operators: check the API credits and limits.";
    TooManyAttempts = 503 "too_many_attempts", "Too many people are signing in",
        cause "This server is finishing as many sign-ins as it can at once.",
        remedy "Try again in a few seconds; nothing is lost.";
    ProviderUnreachable = 502 "provider_unreachable", "The sign-in service can't be reached",
        cause "No connection to the sign-in service could be made.",
        remedy "Try again in a moment. Operators: check network, DNS and trust store.";
    ProviderTimeout = 504 "provider_timeout", "The sign-in service did not answer in time",
        cause "The sign-in service took too long to answer.",
        remedy "Try again in a moment.";
    LogoutForeign = 403 "logout_from_another_site", "You were not signed out",
        cause "The request to sign out did not come from a page of this site.",
        remedy "Sign out with the button on this site.";
    LogoutUnconfirmed = 403 "logout_unconfirmed", "Do you want to sign out?",
        cause "You are still signed in: your browser does not tell whether a page of this site asked to sign you out.",
        remedy "Use the button if you meant to sign out.";
    LogoutTokenMissing = 400 "logout_token_missing", "This address is for the sign-in service",
        cause "A notice that somebody has signed out elsewhere must be a form with one logout_token, of at most 64 KiB, that comes within ten seconds.",
        remedy "Operators: register this address at the sign-in service as the one for back-channel logout; nobody else has anything to send here.";
    LogoutTokenRejected = 400 "logout_token_rejected", "Nobody was signed out",
        cause "A notice that somebody has signed out elsewhere can't be trusted: its logout token is not signed as agreed, is for another site, came before, or its time is over.",
        remedy "Operators: the reason in the log names the check that failed; where that is one of a time, compare this server's clock with the sign-in service's.";
    LogoutNotDone = 400 "logout_not_done", "Nobody was signed out yet",
        cause "The sign-in service told that somebody has signed out there, but that could not be checked or done here just now.",
        remedy "Send the notice again in a moment. Operators: the session store or the sign-in service can't be reached, or too many notices come at once; see the log.";
    NotForwarded = 500 "callback_not_forwarded", "Something went wrong on this site",
        cause "A handler asked for a sign-in that has just been completed, but the request it got is no forwarded callback.",
        remedy "Operators: call forward_callback() on the builder, and mount the handler at the path of the redirect URI.";
    TokensMissing = 500 "tokens_missing", "Something went wrong on this site",
        cause "A handler asked for the provider's tokens, and the request carries none: the provider gave none, they were not kept when the session was made, or the session has outlived them.",
        remedy "Operators: have the builder keep_tokens(), and take them as an Option where a session may go on without.";
    SessionTooLarge = 500 "session_too_large", "Something went wrong on this site",
        cause "What this site wants to remember about you takes more room in cookies than it may.",
        remedy "Operators: attach less data in the sign-in hook, or have the provider claim less; see the log for the sizes, and the setting session_cookie_limit.";
    StoreFailed = 503 "session_store_failed", "Signing in did not work just now",
        cause "The sign-in service recognised you, but this site could not remember it: where it keeps its sessions gave no answer.",
        remedy "Start again in a moment. Operators: the session store is down, full or can't be reached; see the log.";
    Unsupported = 500 "unsupported", "Something went wrong on this site",
        cause "The provider, or this site as it is set up, does not offer what was asked of it.",
        remedy "Operators: see the documentation of the provider, or of what the application called.";
    Internal = 500 "internal_error", "Something went wrong on this site",
        cause "The server could not do its part: no randomness, or no Tokio runtime to run on.",
        remedy "Try again in a moment. Operators: see the log.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_no_failure_looks_like_success() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
            for text in [kind.title(), kind.cause(), kind.remedy()] {
                assert!(!text.is_empty(), "{kind:?}");
            }
        }
    }
}
