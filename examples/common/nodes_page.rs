//! What the nodes of the example `nodes` show.

use std::fmt::Write as _;

use tower_signin::{Identity, SignIn};

use crate::common::page;

/// What is known of a person's sessions.
pub(crate) enum Sessions {
    Listed(Vec<Identity>),
    /// Nobody can list them.
    InCookies,
    /// Redis does not answer.
    Unknown,
}

pub(crate) fn signed_out(sign_in: &SignIn, port: u16) -> String {
    page(&format!(
        "{}<p>Nobody is signed in.</p><p><a id=\"signin\" href=\"{}\">Sign in</a></p>",
        answered_by(port),
        sign_in.login_path()
    ))
}

pub(crate) fn signed_in(sign_in: &SignIn, port: u16, who: &Identity, sessions: &Sessions) -> String {
    let list = match sessions {
        Sessions::Listed(sessions) => listed(who, sessions),
        Sessions::InCookies => "<p>Your sessions live in their browsers, so that nobody can list them.</p>".to_owned(),
        Sessions::Unknown => "<p>Redis does not answer, so that your sessions can't be listed.</p>".to_owned(),
    };
    page(&format!(
        "{}<p>Signed in as <strong id=\"subject\">{}</strong></p>{list}\
         <form method=\"post\" action=\"{}\"><button>Sign out</button></form>\
         <form method=\"post\" action=\"/everywhere\"><p><button>Sign out everywhere</button></p></form>\
         <script>fetch('/ended').then(answer => answer.text()).then(() => location.reload(), () => 0)</script>",
        answered_by(port),
        who.subject(),
        sign_in.logout_path()
    ))
}

fn answered_by(port: u16) -> String {
    format!("<p>Answered by the node at <strong id=\"node\">{port}</strong></p>")
}

fn listed(who: &Identity, sessions: &[Identity]) -> String {
    let mut list = "<p>Your sessions:</p><ul id=\"sessions\">".to_owned();
    for session in sessions {
        let since = session.authenticated_at();
        let seconds = since.elapsed().unwrap_or_default().as_secs();
        let this = if since == who.authenticated_at() { ", this one" } else { "" };
        let _ = write!(list, "<li>begun {seconds} s ago{this}</li>");
    }
    list + "</ul>"
}
