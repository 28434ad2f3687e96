use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::{Response, StatusCode};
use url::form_urlencoded;

use super::pages::{self, NOT_REAL};
use super::state::{Authorization, Code, State};
use super::{Account, Misbehaviour, parameters};
use crate::dev::DevError;
use crate::dev::authorize::{Challenge, is_loopback_uri, with_parameters};
use crate::dev::body::DevBody;
use crate::dev::page;
use crate::dev::state::random_hex;

/// An authorization request that may be shown and answered (OpenID Connect Core 1.0 section 3.1.2.1).
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    state: Option<String>,
    pub(super) scopes: Vec<String>,
    nonce: Option<String>,
    acr: Option<String>,
    challenge: Challenge,
    pub(super) login_hint: Option<String>,
    /// `prompt=none`: nobody may be asked anything.
    silent: bool,
    /// The request again, for the form to carry.
    pub(super) query: String,
}

/// Why a request is not shown.
pub(super) enum Refused {
    /// Whom to tell is not known; a sentence for the person in front of the browser.
    Here(String),
    /// The app is told (RFC 6749 section 4.1.2.1).
    There { target: String, description: &'static str },
}

impl AuthorizationRequest {
    pub(super) fn parse(query: &str, state: &State) -> Result<Self, Refused> {
        let mut values = parameters::distinct(query.as_bytes()).map_err(Refused::Here)?;
        let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
        let (client_id, redirect_uri) = whom(&mut take, state).map_err(Refused::Here)?;
        let app_state = take("state");
        let refuse = |error: &str, description: &'static str| {
            let target = response(state, &redirect_uri, app_state.as_deref(), &[("error", error)]);
            Refused::There { target, description }
        };
        if take("request").is_some() {
            return Err(refuse("request_not_supported", "request is not supported"));
        }
        if take("request_uri").is_some() {
            return Err(refuse("request_uri_not_supported", "request_uri is not supported"));
        }
        if take("response_type").as_deref() != Some("code") {
            return Err(refuse("unsupported_response_type", "response_type must be code"));
        }
        if take("response_mode").is_some_and(|mode| mode != "query") {
            return Err(refuse("invalid_request", "response_mode must be query"));
        }
        let scopes: Vec<String> = take("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err(refuse("invalid_scope", "scope must have openid"));
        }
        let challenge = match (take("code_challenge"), take("code_challenge_method").as_deref()) {
            (Some(challenge), Some("S256")) => Challenge::new(Some("S256"), challenge).ok(),
            _ => None,
        };
        let challenge = challenge
            .ok_or_else(|| refuse("invalid_request", "code_challenge must be there, and its method be S256"))?;
        Ok(Self {
            state: app_state,
            scopes,
            nonce: take("nonce"),
            acr: take("acr_values").and_then(|values| values.split(' ').next().map(str::to_owned)),
            challenge,
            login_hint: take("login_hint"),
            silent: take("prompt").is_some_and(|prompt| prompt == "none"),
            query: form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form_urlencoded::parse(query.as_bytes()))
                .finish(),
            client_id,
            redirect_uri,
        })
    }

    /// Makes a code for `account`; where the browser goes with it (RFC 6749 section 4.1.2).
    pub(super) fn approve(self, state: &mut State, account: Account) -> Result<String, DevError> {
        let now = state.now();
        let authorization = Authorization {
            account,
            client_id: self.client_id,
            session_id: random_hex()?,
            scopes: self.scopes,
            nonce: self.nonce,
            acr: self.acr,
            auth_time: now,
            ended: AtomicBool::new(false),
        };
        state.begin(authorization.session());
        let code = state.issue_code(Code {
            authorization: Arc::new(authorization),
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge,
            expires_at: now.saturating_add(CODE_LIFETIME),
            spent: false,
        })?;
        Ok(response(state, &self.redirect_uri, self.state.as_deref(), &[("code", &code)]))
    }

    /// Where the browser goes after a refusal.
    pub(super) fn deny(&self, state: &State, error: &str) -> String {
        response(state, &self.redirect_uri, self.state.as_deref(), &[("error", error)])
    }
}

/// `GET`: the page that asks.
pub(super) fn show(state: &State, query: &str) -> Response<DevBody> {
    match AuthorizationRequest::parse(query, state) {
        // This server remembers nobody.
        Ok(request) if request.silent => page::see_other(NOT_REAL, &request.deny(state, "login_required")),
        Ok(request) => pages::consent(&request, &state.accounts, None, StatusCode::OK),
        Err(refused) => refuse(refused),
    }
}

/// `POST`: what the person decided.
pub(super) fn decide(state: &mut State, query: &str, body: &[u8]) -> Response<DevBody> {
    let request = match AuthorizationRequest::parse(query, state) {
        Ok(request) => request,
        Err(refused) => return refuse(refused),
    };
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let account = state.accounts.iter().find(|account| account.subject == field("account")).cloned();
    match (field("decision"), account) {
        ("deny", _) => page::see_other(NOT_REAL, &request.deny(state, "access_denied")),
        ("approve", Some(account)) => match request.approve(state, account) {
            Ok(target) => page::see_other(NOT_REAL, &target),
            Err(error) => page::refusal(NOT_REAL, "This sign-in request can't be answered", &error.to_string()),
        },
        ("approve", None) => again(&request, state, "Pick one of the accounts."),
        _ => again(&request, state, "Choose Approve or Deny."),
    }
}

fn again(request: &AuthorizationRequest, state: &State, problem: &str) -> Response<DevBody> {
    pages::consent(request, &state.accounts, Some(problem), StatusCode::BAD_REQUEST)
}

fn refuse(refused: Refused) -> Response<DevBody> {
    match refused {
        Refused::Here(reason) => page::refusal(NOT_REAL, "This sign-in request can't be shown", &reason),
        Refused::There { target, .. } => page::see_other(NOT_REAL, &target),
    }
}

/// The client and its redirect URI, without which nobody is told anything.
fn whom(take: &mut impl FnMut(&str) -> Option<String>, state: &State) -> Result<(String, String), String> {
    let client_id = take("client_id").ok_or("The parameter client_id is missing.")?;
    let client = state.clients.get(&client_id).ok_or_else(|| format!("No app has the client id {client_id}."))?;
    let redirect_uri = take("redirect_uri").ok_or("The parameter redirect_uri is missing.")?;
    if is_registered(&client.redirect_uris, &redirect_uri) {
        return Ok((client_id, redirect_uri));
    }
    Err(format!("The redirect URI {redirect_uri} is not registered. {WHICH}"))
}

/// Compared byte for byte with those that are registered, if any (RFC 9700 section 2.1).
pub(super) fn is_registered(registered: &[String], uri: &str) -> bool {
    is_loopback_uri(uri) && (registered.is_empty() || registered.iter().any(|known| known == uri))
}

/// The redirect URI with an answer, `state`, and the issuer (RFC 9207 section 2) or what the misbehaviour makes of it.
fn response(state: &State, redirect_uri: &str, app_state: Option<&str>, answer: &[(&str, &str)]) -> String {
    let issuer = match state.misbehaviour {
        Some(Misbehaviour::ResponseIssuerMissing | Misbehaviour::ResponseIssuerUnsupported) => None,
        Some(Misbehaviour::ResponseIssuerInvalid | Misbehaviour::ResponseIssuerUnannounced) => {
            Some(state.other_issuer())
        }
        _ => Some(state.issuer.clone()),
    };
    let answer = answer.iter().copied();
    let app_state = app_state.map(|value| ("state", value));
    with_parameters(redirect_uri, answer.chain(app_state).chain(issuer.as_deref().map(|value| ("iss", value))))
}

pub(super) const WHICH: &str = "This stand-in knows http URIs on localhost, 127.0.0.1 and [::1] only, without a fragment, and where any are registered, \
     only those.";
const CODE_LIFETIME: u64 = 10 * 60;
