#![allow(dead_code, reason = "each example uses its own part")]

//! What all examples share: where the provider, the keys and the port come from, and the home page.

use std::env;
use std::error::Error;
use std::io::{self, Write as _};

use tower_signin::dev::DevProvider;
use tower_signin::siwbb::Account;
use tower_signin::{Builder, Identity, Keys, SignIn, Siwbb};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A configured [`SignIn`], the port to listen on, and the dev provider if it is the one.
pub(crate) struct Setup {
    pub(crate) sign_in: SignIn,
    pub(crate) port: u16,
    _dev: Option<DevProvider>,
}

/// BitBadges, or the dev provider one port above.
pub(crate) async fn setup(configure: impl FnOnce(Builder) -> Builder) -> Result<Setup, BoxError> {
    let port = port(3000)?;
    let (provider, dev) = bitbadges(port.checked_add(1).ok_or("PORT is too high")?).await?;
    let builder =
        SignIn::builder(provider).redirect_uri(format!("http://localhost:{port}/auth/callback")).keys(keys()?);
    Ok(Setup { sign_in: configure(builder).build()?, port, _dev: dev })
}

/// Where to listen: `PORT`, or this one.
pub(crate) fn port(default: u16) -> Result<u16, BoxError> {
    Ok(env::var("PORT").map_or(Ok(default), |port| port.parse())?)
}

/// With BitBadges credentials in the environment, BitBadges; with none of them, the dev provider on this port.
pub(crate) async fn bitbadges(port: u16) -> Result<(Siwbb, Option<DevProvider>), BoxError> {
    let names = ["BITBADGES_CLIENT_ID", "BITBADGES_CLIENT_SECRET", "BITBADGES_API_KEY"];
    if names.iter().any(|name| env::var_os(name).is_some()) {
        return Ok((Siwbb::from_env()?, None));
    }
    let dev = DevProvider::start_on(port).await?;
    say(&format!("No BitBadges credentials: people are signed in by a development stand-in, {}", dev.origin()));
    Ok((dev.siwbb(), Some(dev)))
}

/// The keys of `SIGNIN_KEYS`, or one made up.
pub(crate) fn keys() -> Result<Keys, BoxError> {
    if env::var_os("SIGNIN_KEYS").is_some() {
        return Ok(Keys::from_env("SIGNIN_KEYS")?);
    }
    say("No SIGNIN_KEYS: a key was made up, and everybody is signed out when this program ends.");
    Ok(Keys::generate()?)
}

/// Says where to go, once the server listens.
pub(crate) fn listening(port: u16) {
    say(&format!("Open http://localhost:{port}/"));
}

/// Prints a line; a closed pipe is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The home page: a link to sign in, or who is signed in and a button to sign out.
pub(crate) fn home_page(sign_in: &SignIn, identity: Option<&Identity>) -> String {
    let body = match identity {
        Some(identity) => format!(
            "<p>Signed in as <strong id=\"subject\">{}</strong></p><p><a href=\"/me\">Who am I?</a></p>\
             <form method=\"post\" action=\"{}\"><button>Sign out</button></form>",
            identity.subject(),
            sign_in.logout_path()
        ),
        None => {
            format!("<p>Nobody is signed in.</p><p><a id=\"signin\" href=\"{}\">Sign in</a></p>", sign_in.login_path())
        }
    };
    page(&body)
}

/// A page of the example.
pub(crate) fn page(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>tower-signin</title>\
         <style>{STYLE}</style><h1>tower-signin</h1>{body}</html>"
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{max-width:34rem;margin:12vh auto;padding:0 1.25rem;font:1.0625rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}\
#signin,button{display:inline-block;padding:.6rem 1.1rem;border:1px solid;border-radius:.5rem;\
background:none;color:inherit;font:inherit;font-weight:600;text-decoration:none;cursor:pointer}\
#signin{border-color:#1f5fd0;background:#1f5fd0;color:#fff}";

/// What `/me` answers.
pub(crate) fn me_json(identity: &Identity) -> Result<String, BoxError> {
    let account: Account = identity.claims()?;
    Ok(serde_json::json!({
        "issuer": identity.issuer(),
        "subject": identity.subject(),
        "address": account.address,
        "chain": account.chain,
    })
    .to_string())
}
