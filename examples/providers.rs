//! Three providers behind one layer: `cargo run --example providers`, then open the address it prints.
//!
//! `/` is for everybody and says who signed in where, `/me` for people who are signed in, `/google` only for those whom Google
//! vouches for. BitBadges, Google by OpenID Connect and GitHub by OAuth 2.0, each with the credentials in the environment, or
//! else a stand-in.

mod common;

use std::env;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use common::{BoxError, bitbadges, keys, listening, page, port, say};
use tower_signin::dev::OpenIdProvider;
use tower_signin::dev::openid::{CLIENT_ID, CLIENT_SECRET};
use tower_signin::{Identity, OAuth2, Oidc, Page, Provider, SignIn, predicate};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let port = port(3010)?;
    let at = |distance| port.checked_add(distance).ok_or("PORT is too high");
    let (bitbadges, _dev) = bitbadges(at(1)?).await?;
    let (google, _dev_google) = google(at(2)?).await?;
    let (github, _dev_github) = github(at(3)?).await?;
    let shown: Arc<[Shown]> = [Shown::of(&bitbadges), Shown::of(&google), Shown::of(&github)].into();
    let of_google = predicate::issuer(google.issuer());

    // The first comes back to the redirect URI itself, each further one to a path of its name below it.
    let redirect_uri = format!("http://localhost:{port}/auth/callback");
    for (index, provider) in shown.iter().enumerate() {
        let below = if index == 0 { String::new() } else { format!("/{}", provider.name) };
        say(&format!("{} comes back to {redirect_uri}{below}", provider.label));
    }
    let sign_in = SignIn::builder(bitbadges)
        .and(google)
        .and(github)
        .redirect_uri(redirect_uri)
        .keys(keys()?)
        .keep_tokens() // so that signing out may show the provider whom it signs out
        .build()?;
    let app = Router::new()
        .route("/", get(home))
        .route("/me", get(me).layer(sign_in.require()))
        .route("/google", get(only_google).layer(sign_in.require_where(of_google)))
        .with_state((sign_in.clone(), shown))
        .layer(sign_in.layer());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    listening(port);
    Ok(axum::serve(listener, app).await?)
}

/// What the home page says of a provider.
struct Shown {
    name: String,
    label: String,
    issuer: String,
}

impl Shown {
    fn of(provider: &impl Provider) -> Self {
        Self {
            name: provider.name().to_owned(),
            label: provider.label().to_owned(),
            issuer: provider.issuer().to_owned(),
        }
    }
}

async fn google(port: u16) -> Result<(Oidc, Option<OpenIdProvider>), BoxError> {
    if let Some([id, secret]) = credentials(["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"])? {
        return Ok((Oidc::google(id, secret).scope("profile").scope("email"), None));
    }
    let dev = stand_in("Google", port).await?;
    let google = dev.oidc().scope("profile").scope("email").name("google").label("Google (stand-in)");
    Ok((google, Some(dev)))
}

/// The stand-in speaks OpenID Connect, of which plain OAuth 2.0 is a part.
async fn github(port: u16) -> Result<(OAuth2, Option<OpenIdProvider>), BoxError> {
    if let Some([id, secret]) = credentials(["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"])? {
        return Ok((OAuth2::github(id, secret), None));
    }
    let dev = stand_in("GitHub", port).await?;
    let issuer = dev.issuer();
    let github = OAuth2::new(issuer, CLIENT_ID, CLIENT_SECRET)
        .authorization_endpoint(format!("{issuer}/authorize"))
        .token_endpoint(format!("{issuer}/token"))
        .user_info_endpoint(format!("{issuer}/userinfo"))
        .scope("openid")
        .scope("profile")
        .name("github")
        .label("GitHub (stand-in)");
    Ok((github, Some(dev)))
}

async fn stand_in(of: &str, port: u16) -> Result<OpenIdProvider, BoxError> {
    let dev = OpenIdProvider::start_on(port).await?;
    say(&format!("No {of} credentials: people are signed in by a development stand-in, {}", dev.issuer()));
    Ok(dev)
}

/// The values of these variables, or `None` where none of them is set.
fn credentials<const N: usize>(names: [&str; N]) -> Result<Option<[String; N]>, BoxError> {
    let missing: Vec<_> = names.into_iter().filter(|name| env::var(name).is_err()).collect();
    match missing.len() {
        0 => Ok(Some(names.map(|name| env::var(name).unwrap_or_default()))),
        all if all == N => Ok(None),
        _ => Err(format!("missing from the environment: {}", missing.join(", ")).into()),
    }
}

type App = (SignIn, Arc<[Shown]>);

async fn home(State((sign_in, shown)): State<App>, identity: Option<Identity>) -> Html<String> {
    let mut body = String::new();
    if let Some(identity) = identity {
        let by = shown.iter().find(|provider| provider.issuer == identity.issuer());
        let _ = write!(
            body,
            "<p>Signed in as <strong id=\"subject\">{}</strong> by <strong id=\"provider\">{}</strong></p>\
             <p><a href=\"/me\">Who am I?</a></p><p><a href=\"/google\">Only for people of Google</a></p>\
             <p><a id=\"switch\" href=\"{}\">Sign in as somebody else</a></p>\
             <form method=\"post\" action=\"{}\"><button>Sign out</button></form>",
            Page::escape(identity.subject()),
            by.map_or_else(|| "nobody".into(), |provider| Page::escape(&provider.label)),
            Page::escape(&sign_in.switch_account_url("/")),
            sign_in.logout_path(),
        );
    } else {
        let chooser = sign_in.login_path();
        let _ = write!(body, "<p>Nobody is signed in.</p><p><a id=\"signin\" href=\"{chooser}\">Sign in</a></p><ul>");
        for provider in &*shown {
            let href = sign_in.login_url_at(&provider.name, "/").unwrap_or_default();
            let (href, label) = (Page::escape(&href), Page::escape(&provider.label));
            let _ = write!(body, "<li><a href=\"{href}\">With {label}</a></li>");
        }
        body.push_str("</ul>");
    }
    Html(page(&body))
}

/// Issuer and subject together are who somebody is: 1001 at one provider is not 1001 at another.
async fn me(identity: Identity) -> Result<impl IntoResponse, StatusCode> {
    let claims = identity.claims::<serde_json::Value>().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let json = serde_json::json!({ "issuer": identity.issuer(), "subject": identity.subject(), "claims": claims });
    Ok(([(CONTENT_TYPE, "application/json")], json.to_string()))
}

async fn only_google(identity: Identity) -> String {
    format!("Google says that you are {}.\n", identity.subject())
}
