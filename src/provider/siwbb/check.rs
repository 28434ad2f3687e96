//! What can be told of the settings without anybody signing in: at most three requests, each of which costs a credit.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::exchange::error_message;
use super::{Siwbb, requests};
use crate::check::Finding;
use crate::error::Error;
use crate::oauth::answer::is_object;
use crate::oauth::callback::ValidatedCode;
use crate::provider::Context;

const API: &str = "api";
const API_KEY: &str = "api_key";
const API_CREDITS: &str = "api_credits";
const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";

/// Sends the requests and counts them.
struct Probe<'a> {
    siwbb: &'a Siwbb,
    context: Context<'a>,
    sent: u32,
}

/// Asks after nobody's tokens, which tells the API key from a wrong one; then redeems a made-up code, with the secret and,
/// where that is refused for the code, with a made-up secret.
pub(super) async fn findings(siwbb: &Siwbb, context: Context<'_>) -> Vec<Finding> {
    let mut probe = Probe { siwbb, context, sent: 0 };
    let Some(answer) = probe.send(siwbb.post("/api/v0/auth/status", &json!({}), None)).await else {
        return skipped([API, API_KEY, API_CREDITS, CLIENT_ID, CLIENT_SECRET], "no answer came, see `connection`")
            .into();
    };
    let mut findings = vec![api(siwbb, &answer)];
    match answer.status() {
        StatusCode::OK if requests::signed_in(&answer).is_ok() => {
            let credentials = probe.credentials().await;
            let used = probe.sent;
            findings.push(Finding::ok(API_KEY, "BitBadges accepts it"));
            findings.push(Finding::ok(API_CREDITS, format!("there are some; this check used {used}")));
            findings.extend(credentials);
        }
        StatusCode::UNAUTHORIZED if is_object(&answer) => {
            let remedy = "copy it again from bitbadges.io/developer, API Keys";
            findings.push(Finding::failed(API_KEY, "BitBadges refuses it (status 401)", remedy));
            findings.extend(skipped([API_CREDITS, CLIENT_ID, CLIENT_SECRET], "needs an API key that is accepted"));
        }
        StatusCode::PAYMENT_REQUIRED if is_object(&answer) => {
            findings.extend(skipped([API_KEY], "the answer is about the credits only"));
            let remedy = "top up at bitbadges.io/developer?tab=apiKeys";
            findings.push(Finding::failed(API_CREDITS, "none are left (status 402)", remedy));
            findings.extend(skipped([CLIENT_ID, CLIENT_SECRET], "needs API credits"));
        }
        _ => findings.extend(skipped([API_KEY, API_CREDITS, CLIENT_ID, CLIENT_SECRET], "see `api`")),
    }
    findings
}

fn api(siwbb: &Siwbb, answer: &Response<Bytes>) -> Finding {
    let url = &siwbb.api;
    let status = answer.status();
    let number = status.as_u16();
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let found = "it limits the rate, and nobody signs in meanwhile (status 429)";
            Finding::warning(API, found, "try again in a minute; see what else uses this API key")
        }
        StatusCode::OK if requests::signed_in(answer).is_ok() => {
            Finding::ok(API, format!("BitBadges answers at {url}"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED if is_object(answer) => {
            Finding::ok(API, format!("BitBadges answers at {url}"))
        }
        _ if status.is_server_error() => {
            let remedy = "try again later, and ask BitBadges where it lasts";
            Finding::failed(API, format!("what answers at {url} is out of order (status {number})"), remedy)
        }
        _ => {
            let remedy = "see that `base_urls` is right, and that no proxy or captive portal answers in its place";
            Finding::failed(API, format!("what answers at {url} is not BitBadges' API (status {number})"), remedy)
        }
    }
}

impl Probe<'_> {
    /// Why no answer came is noted by the client itself.
    async fn send(&mut self, request: Result<Request<Bytes>, Error>) -> Option<Response<Bytes>> {
        let request = request.ok()?;
        self.sent += 1;
        self.context.http().send(request).await.ok()
    }

    async fn redeem_made_up_code(&mut self, client_secret: &SecretString) -> Told {
        let code = ValidatedCode::made_up(self.context.redirect_uri());
        let answer = self.send(self.siwbb.exchange_request(&code, client_secret)).await;
        answer.map_or(Told::Nothing, |answer| Told::by(&answer))
    }

    /// A server may look at the code before the credentials, and then says nothing of them. Only where it refuses the
    /// made-up secret, and the real one not, is it known to have looked.
    async fn credentials(&mut self) -> Vec<Finding> {
        let siwbb = self.siwbb;
        let told = self.redeem_made_up_code(&siwbb.client_secret).await;
        match told {
            Told::ClientId => {
                let found = "BitBadges says that there is no such client id, or not with this redirect URI";
                let remedy = "copy it again from bitbadges.io/developer, and compare the redirect URI there";
                let first = Finding::failed(CLIENT_ID, found, remedy);
                vec![first, Finding::skipped(CLIENT_SECRET, "BitBadges complained of the client id first")]
            }
            Told::ClientSecret => {
                let remedy = "copy it again from bitbadges.io/developer, of the app with this client id";
                let second = Finding::failed(CLIENT_SECRET, "BitBadges says that it is invalid", remedy);
                vec![Finding::skipped(CLIENT_ID, "BitBadges complained of the client secret first"), second]
            }
            Told::RedirectUri => {
                let found = "BitBadges says that the redirect URI is not among those of this client id";
                let remedy = format!("register {} there, byte for byte", self.context.redirect_uri());
                let mut findings = vec![Finding::failed("registration", found, remedy)];
                findings.extend(skipped([CLIENT_ID, CLIENT_SECRET], "BitBadges complained of the redirect URI first"));
                findings
            }
            Told::Code => match self.redeem_made_up_code(&MADE_UP_SECRET.into()).await {
                Told::ClientSecret | Told::Unauthorized => {
                    let found = "BitBadges accepts it: a made-up code is refused for the code alone";
                    vec![
                        Finding::ok(CLIENT_ID, found),
                        Finding::ok(CLIENT_SECRET, format!("{found}, and with another secret for the secret")),
                    ]
                }
                _ => {
                    let why = "BitBadges looks at the code first, so only a sign-in tells";
                    skipped([CLIENT_ID, CLIENT_SECRET], why).into()
                }
            },
            Told::Unauthorized | Told::Nothing => {
                let why = "BitBadges answered nothing that is known to be about them, so only a sign-in tells";
                skipped([CLIENT_ID, CLIENT_SECRET], why).into()
            }
        }
    }
}

const MADE_UP_SECRET: &str = "made-up-by-tower-signin-to-check";

/// What the answer to a made-up code is about. The texts are those of the public 2024 server; today's are not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    ClientId,
    ClientSecret,
    RedirectUri,
    /// The code, or at least the request: nothing that has to do with who sends it.
    Code,
    /// Something about who sends it, or so the status says.
    Unauthorized,
    Nothing,
}

impl Told {
    fn by(answer: &Response<Bytes>) -> Self {
        let status = answer.status();
        let Some(text) = error_message(answer).filter(|_| !status.is_success()) else {
            return Self::Nothing;
        };
        let text = text.expose_secret();
        let is_missing = |collection| text.starts_with("Error in mustGetFromDB()") && text.ends_with(collection);
        match status {
            StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => Self::Nothing,
            _ if text.starts_with("Invalid client secret") => Self::ClientSecret,
            _ if is_missing(" in auth-apps") => Self::ClientId,
            StatusCode::UNAUTHORIZED if text.starts_with("Invalid client ID") => Self::ClientId,
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            _ if text.starts_with("Invalid redirect URI") => Self::RedirectUri,
            _ if text.starts_with("Invalid code") || is_missing(" in auth-codes") => Self::Code,
            StatusCode::BAD_REQUEST => Self::Code,
            _ => Self::Nothing,
        }
    }
}

fn skipped<const N: usize>(names: [&'static str; N], why: &str) -> [Finding; N] {
    names.map(|name| Finding::skipped(name, why))
}
