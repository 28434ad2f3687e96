//! What becomes of a logout token (OpenID Connect Back-Channel Logout sections 2.5 to 2.8).

use std::sync::Arc;
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument as _;
use url::form_urlencoded;

use super::places::Places;
use crate::config::Inner;
use crate::error::{BoxError, Error, ErrorKind};
use crate::flow::attempt::provider_session;
use crate::flow::log;
use crate::provider::logout_notice::LogoutNotice;
use crate::requester::Requester;
use crate::respond::{self, without_body_for_head};
use crate::session::calls::within_time;
use crate::session::ending::{self, Whom};
use crate::session::registry::SessionEnd;
use crate::session::store::StoreError;
use crate::session::stored;
use crate::telemetry;

/// How much is taken in at once. Anybody can send forms, slowly too, and tokens for whose signature the provider has to be asked for
/// newer keys: that keeps nobody's token from being followed, which only the provider can have sent.
pub(super) struct Desk {
    reading: Places,
    judging: Places,
    following: Semaphore,
}

const MOST_FOLLOWED: usize = 64;

const TOO_MANY: &str = "too many notices come at once";

const BODY_LIMIT: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);

impl Default for Desk {
    fn default() -> Self {
        Self { reading: Places::default(), judging: Places::default(), following: Semaphore::new(MOST_FOLLOWED) }
    }
}

/// 200 or 400, and 405 for what is no `POST`.
pub(super) async fn answer<B>(inner: Arc<Inner>, desk: Arc<Desk>, request: Request<B>) -> Response<Bytes>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let requester = Requester::of(&parts.headers);
    let outcome = match check(&parts.method, &parts.headers) {
        Ok(()) => handle(inner, desk, body, &requester).await,
        Err(error) => Err(error),
    };
    let mut response = match outcome {
        Ok(()) => respond::empty(StatusCode::OK),
        Err(error) => refuse(&error, &requester),
    };
    // Section 2.8 asks for both.
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    without_body_for_head(&parts.method, response)
}

fn check(method: &Method, headers: &HeaderMap) -> Result<(), Error> {
    if method != Method::POST {
        return Err(ErrorKind::MethodNotAllowed.into());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(missing("the request is no form"));
    }
    Ok(())
}

async fn handle<B>(inner: Arc<Inner>, desk: Arc<Desk>, body: B, requester: &Requester) -> Result<(), Error>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let runtime = Handle::try_current().map_err(|_| not_done("there is no Tokio runtime"))?;
    let token = desk.reading.during(read(body)).await.unwrap_or_else(|| Err(not_done(TOO_MANY)))?;
    // In a task of its own, so that it ends whether or not the provider waits.
    let requester = requester.clone();
    let work = async move {
        let believed = desk.judging.during(believed(&inner, &token)).await;
        let (issuer, notice) = believed.unwrap_or_else(|| Err(not_done(TOO_MANY)))?;
        let _place = desk.following.try_acquire().map_err(|_| not_done(TOO_MANY))?;
        follow(&inner, issuer, &notice, &requester).await
    };
    runtime.spawn(work.in_current_span()).await.unwrap_or_else(|_| Err(not_done("the provider or the store panicked")))
}

/// The one `logout_token` of the form.
async fn read<B>(body: B) -> Result<String, Error>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(missing("the form is larger than 64 KiB"));
    }
    let form = timeout(BODY_TIME, Limited::new(body, BODY_LIMIT).collect()).await;
    let form = form.map_err(|_| missing("the form did not come within ten seconds"))?;
    let form = form.map_err(|_| missing("the form ended early, or is larger than 64 KiB"))?.to_bytes();
    let mut found = None;
    for (name, value) in form_urlencoded::parse(&form) {
        if name == "logout_token" && found.replace(value.into_owned()).is_some() {
            return Err(missing("logout_token is there twice"));
        }
    }
    found.ok_or_else(|| missing("there is no logout_token"))
}

/// Only a token that has been followed counts as seen: where something is away, the provider may send it again. To end what has
/// ended changes nothing.
async fn follow(inner: &Arc<Inner>, issuer: &str, notice: &LogoutNotice, requester: &Requester) -> Result<(), Error> {
    const SEEN: &str = "it came before: its jti was seen";
    let session = notice.session_id().map(|session_id| provider_session(issuer, session_id));
    let whom = match (&session, notice.subject()) {
        (Some(session), _) => Whom::ProviderSession(session),
        (None, Some(subject)) => Whom::Person { issuer, subject },
        (None, None) => return Err(rejected("there is neither sub nor sid")),
    };
    let mark: [&[u8]; 3] = [b"jti", issuer.as_bytes(), notice.token_id().as_bytes()];
    if ending::is_marked(inner, &mark).await.map_err(store_away)? {
        return Err(rejected(SEEN));
    }
    ending::end_sessions(inner, &whom, SessionEnd::Revoked).await.map_err(store_away)?;
    if !ending::mark_once(inner, &mark, notice.acceptable_until()).await.map_err(store_away)? {
        return Err(rejected(SEEN));
    }
    let subject = notice.subject();
    tracing::info!(request_id = %requester, issuer, subject, "signed out at the provider");
    Ok(())
}

/// What the token's own provider makes of it.
async fn believed<'a>(inner: &'a Arc<Inner>, token: &str) -> Result<(&'a str, LogoutNotice), Error> {
    let mounted = issuer(token).and_then(|issuer| inner.providers.of_issuer(&issuer));
    let mounted = mounted.ok_or_else(|| rejected("it is no JWT, or its iss is none of the providers'"))?;
    let context = mounted.context(&inner.http, &*inner.clock);
    let notice =
        within_time(mounted.provider.logout_notice(context, token)).await.map_err(|error| match error.kind() {
            ErrorKind::LogoutTokenRejected => error,
            ErrorKind::Unsupported => rejected("its issuer tells of no logouts"),
            _ => not_done("the provider can't be asked").with_source(error),
        })?;
    Ok((mounted.provider.issuer(), notice))
}

/// Whom a token claims to be by. Nothing in it is believed for that.
fn issuer(token: &str) -> Option<String> {
    /// One that is there twice is none.
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    let payload = URL_SAFE_NO_PAD.decode_to_vec(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok().map(|Claims { iss }| iss)
}

/// The members of RFC 6749 section 5.2, which section 2.8 points to.
#[derive(Serialize)]
struct Refusal {
    error: &'static str,
    error_description: &'static str,
}

fn refuse(error: &Error, requester: &Requester) -> Response<Bytes> {
    let kind = error.kind();
    log(error, requester);
    telemetry::refused(kind);
    let refusal = Refusal { error: "invalid_request", error_description: error.reason().unwrap_or(kind.cause()) };
    let mut response = respond::answer(kind.status(), serde_json::to_vec(&refusal).unwrap_or_default().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if kind == ErrorKind::MethodNotAllowed {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response.extensions_mut().insert(kind);
    response
}

fn missing(reason: &'static str) -> Error {
    Error::new(ErrorKind::LogoutTokenMissing).with_reason(reason)
}

fn rejected(reason: &'static str) -> Error {
    Error::new(ErrorKind::LogoutTokenRejected).with_reason(reason)
}

fn not_done(reason: &'static str) -> Error {
    Error::new(ErrorKind::LogoutNotDone).with_reason(reason).with_retry_after(stored::RETRY_AFTER)
}

fn store_away(error: StoreError) -> Error {
    not_done("the session store gave no answer").with_source(error)
}
