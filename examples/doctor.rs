//! Says what would keep people from signing in: `cargo run --example doctor`. It takes the settings of the other examples,
//! and `REDIRECT_URI` where yours is another than theirs, and exits with 1 where anything has failed.
//!
//! `cargo run --example doctor -- --live` finds out what BitBadges does and does not document: whether state comes back as
//! it was sent, whether PKCE is enforced, whether codes are bound to their app. You sign in four times by hand, since a code
//! may work only once. It takes two apps of yours, `BITBADGES_CLIENT_ID` and `_SECRET`, `BITBADGES_OTHER_CLIENT_ID` and
//! `_SECRET`, both with `http://localhost:3000/auth/callback` (or another `PORT`) as a redirect URI, and `BITBADGES_API_KEY`.

mod common;
#[path = "common/live.rs"]
mod live;

use std::env;
use std::process::ExitCode;

use common::{BoxError, say, setup};

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    match env::args().nth(1).as_deref() {
        Some("--live") => return live::run().await,
        Some(other) => return Err(format!("{other:?} is no argument of this program; --live is the only one").into()),
        None => {}
    }
    let redirect_uri = env::var("REDIRECT_URI").ok();
    let setup = setup(|builder| match redirect_uri {
        Some(uri) => builder.redirect_uri(uri),
        None => builder,
    });
    let report = setup.await?.sign_in.check().await;
    say(&report.to_string());
    Ok(if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
