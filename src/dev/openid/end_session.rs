use http::Response;

use super::authorize::{WHICH, is_registered};
use super::logout::Session;
use super::pages::{self, NOT_REAL};
use super::state::State;
use super::{Misbehaviour, logout, parameters};
use crate::dev::authorize::with_parameters;
use crate::dev::body::DevBody;
use crate::dev::page;
use crate::dev::state::hash;

pub(super) const PATH: &str = "/end_session";

/// A request to sign out here as well (OpenID Connect RP-Initiated Logout 1.0 section 2).
pub(super) struct EndSession {
    /// The session whose ID token came along; nobody needs to be asked then.
    hinted: Option<Session>,
    /// Where to go afterwards.
    pub(super) target: Option<String>,
}

impl EndSession {
    /// Checks a query string. The error is a sentence for the person in front of the browser.
    pub(super) fn parse(query: &str, state: &State) -> Result<Self, String> {
        let mut values = parameters::distinct(query.as_bytes())?;
        let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
        let hint = take("id_token_hint");
        let hinted = match &hint {
            // An old one will do.
            Some(token) => {
                Some(state.id_tokens.get(&hash(token)).ok_or("The id_token_hint is none of this server's.")?)
            }
            None => None,
        };
        let of_hint = hinted.map(|session| &session.client_id);
        let named = take("client_id");
        if let (Some(hinted), Some(named)) = (of_hint, &named)
            && hinted != named
        {
            return Err("The id_token_hint is another client's than client_id.".to_owned());
        }
        let app_state = take("state");
        let target = match take("post_logout_redirect_uri") {
            None => None,
            Some(uri) => {
                let client_id =
                    of_hint.or(named.as_ref()).ok_or("Neither id_token_hint nor client_id says whose URI it is.")?;
                let client = state.clients.get(client_id).ok_or("No app has this client id.")?;
                if !is_registered(&client.post_logout_redirect_uris, &uri) {
                    return Err(format!("The URI {uri} is not registered. {WHICH}"));
                }
                let app_state = match state.misbehaviour {
                    Some(Misbehaviour::LogoutMissingState) => None,
                    Some(Misbehaviour::LogoutInvalidState) => Some("another-state".to_owned()),
                    _ => app_state,
                };
                Some(match &app_state {
                    Some(app_state) => with_parameters(&uri, [("state", app_state.as_str())]),
                    None => uri,
                })
            }
        };
        Ok(Self { hinted: hinted.cloned(), target })
    }

    /// Ends the session, and tells its app. Of somebody who came without an ID token nothing is known.
    pub(super) fn end(&self, state: &mut State) {
        if let Some(session) = &self.hinted {
            logout::end(state, |other| other.session_id == session.session_id);
        }
    }
}

/// `GET`: signs out whoever's ID token came along, and asks anybody else.
pub(super) fn show(state: &mut State, query: &str) -> Response<DevBody> {
    match EndSession::parse(query, state) {
        Ok(request) if request.hinted.is_some() => leave(state, &request),
        Ok(_) => pages::sign_out(query),
        Err(reason) => refuse(&reason),
    }
}

/// `POST`: the person said yes, or the app posted the parameters as a form.
pub(super) fn confirm(state: &mut State, query: &str, body: &[u8]) -> Response<DevBody> {
    let form = std::str::from_utf8(body).unwrap_or_default();
    if query.is_empty() && form != pages::SIGN_OUT_FORM {
        return show(state, form);
    }
    match EndSession::parse(query, state) {
        Ok(request) => leave(state, &request),
        Err(reason) => refuse(&reason),
    }
}

fn leave(state: &mut State, request: &EndSession) -> Response<DevBody> {
    request.end(state);
    match &request.target {
        Some(target) => page::see_other(NOT_REAL, target),
        None => pages::signed_out(),
    }
}

fn refuse(reason: &str) -> Response<DevBody> {
    page::refusal(NOT_REAL, "This request to sign out can't be answered", reason)
}
