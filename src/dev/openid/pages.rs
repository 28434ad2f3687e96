use http::{Response, StatusCode};
use url::form_urlencoded;

use super::authorize::AuthorizationRequest;
use super::{Account, end_session, routes};
use crate::dev::body::DevBody;
use crate::dev::page::html;
use crate::page::Page;

/// The banner of every page.
pub(super) const NOT_REAL: &str = "This is not a real OpenID provider.";

/// The page that asks whether to sign in, and as whom.
pub(super) fn consent(
    request: &AuthorizationRequest,
    accounts: &[Account],
    problem: Option<&str>,
    status: StatusCode,
) -> Response<DevBody> {
    let mut main = format!("<h1>Sign in to <span class=\"app\">{}</span></h1>", Page::escape(&request.client_id));
    if let Some(problem) = problem {
        main.push_str(&format!("<p class=\"problem\" role=\"alert\">{}</p>", Page::escape(problem)));
    }
    main.push_str("<h2>What the app asks for</h2><ul class=\"asks\">");
    for scope in &request.scopes {
        main.push_str(&format!("<li><code>{}</code></li>", Page::escape(scope)));
    }
    main.push_str(&format!(
        "</ul><form method=\"post\" action=\"{}?{}\"><fieldset><legend>Sign in as</legend>",
        routes::AUTHORIZE,
        Page::escape(&request.query)
    ));
    let hinted = |account: &&Account| {
        let hint = request.login_hint.as_deref();
        [&account.subject, &account.email, &account.name].iter().any(|text| Some(text.as_str()) == hint)
    };
    let picked = accounts.iter().find(hinted).or(accounts.first());
    for account in accounts {
        let checked = if Some(account) == picked { " checked" } else { "" };
        main.push_str(&format!(
            "<label class=\"person\"><input type=\"radio\" name=\"account\" value=\"{subject}\"{checked}>\
             <span><b>{name}</b><code>{subject} {email}</code></span></label>",
            subject = Page::escape(&account.subject),
            name = Page::escape(&account.name),
            email = Page::escape(&account.email),
        ));
    }
    main.push_str(&format!(
        "</fieldset><div class=\"buttons\">\
         <button name=\"decision\" value=\"approve\" type=\"submit\">Approve</button>\
         <button name=\"decision\" value=\"deny\" type=\"submit\" class=\"quiet\">Deny</button></div></form>\
         <p class=\"target\">You go back to <code>{}</code></p>",
        Page::escape(&request.redirect_uri),
    ));
    html(NOT_REAL, "Sign in", &main, status)
}

/// The page that asks whether to sign out, where no ID token says who is.
pub(super) fn sign_out(query: &str) -> Response<DevBody> {
    let query =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(query.as_bytes())).finish();
    let main = format!(
        "<h1>Sign out?</h1><form method=\"post\" action=\"{}?{}\"><div class=\"buttons\">\
         <button name=\"decision\" value=\"sign-out\" type=\"submit\">Sign out</button></div></form>",
        end_session::PATH,
        Page::escape(&query)
    );
    html(NOT_REAL, "Sign out", &main, StatusCode::OK)
}

/// What the form of [`sign_out`] sends.
pub(super) const SIGN_OUT_FORM: &str = "decision=sign-out";

pub(super) fn signed_out() -> Response<DevBody> {
    html(NOT_REAL, "Signed out", "<h1>You are signed out</h1><p>Nowhere to go on was named.</p>", StatusCode::OK)
}

/// `GET /`.
pub(super) fn home(issuer: &str) -> Response<DevBody> {
    let main = format!(
        "<h1>The OpenID stand-in runs</h1><p>Its issuer is <code>{issuer}</code>, and <code>{issuer}{}</code> says the rest.</p>\
         <p class=\"hint\">It has no passwords. Apps reach it while they are written and tested; nothing it says proves \
         anything.</p>",
        routes::DISCOVERY,
        issuer = Page::escape(issuer)
    );
    html(NOT_REAL, "OpenID stand-in", &main, StatusCode::OK)
}
