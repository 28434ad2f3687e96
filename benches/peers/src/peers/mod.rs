//! How each row comes to know who is signed in.

#[cfg(feature = "axum-login")]
mod axum_login;
#[cfg(feature = "axum-oidc")]
mod axum_oidc;
#[cfg(any(feature = "tower-signin", feature = "axum-login", feature = "tower-sessions", feature = "private-jar"))]
mod browser;
#[cfg(any(feature = "tower-sessions", feature = "private-jar", feature = "jsonwebtoken"))]
mod claims;
#[cfg(feature = "huskarl")]
mod huskarl;
#[cfg(feature = "jsonwebtoken")]
mod jsonwebtoken;
#[cfg(feature = "private-jar")]
mod private_jar;
#[cfg(feature = "provider")]
mod provider;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
#[cfg(feature = "tower-signin")]
mod tower_signin;

use axum::Router;
use axum::routing::get;

use crate::{ISSUER, Peer, SUBJECT, page};

/// The peer of a row.
///
/// # Panics
///
/// Where this was built without the row's feature, or the peer can't be set up.
pub async fn peer(row: &str) -> Peer {
    match row {
        "bare" => bare(),
        #[cfg(feature = "tower-signin")]
        "tower-signin" => tower_signin::sealed().await,
        #[cfg(feature = "tower-signin")]
        "tower-signin-stored" => tower_signin::stored().await,
        #[cfg(feature = "axum-login")]
        "axum-login" => axum_login::peer().await,
        #[cfg(feature = "tower-sessions")]
        "tower-sessions" => tower_sessions::plain().await,
        #[cfg(feature = "tower-sessions-sealed")]
        "tower-sessions-signed" => tower_sessions::signed().await,
        #[cfg(feature = "tower-sessions-sealed")]
        "tower-sessions-private" => tower_sessions::private().await,
        #[cfg(feature = "private-jar")]
        "private-jar" => private_jar::peer().await,
        #[cfg(feature = "jsonwebtoken")]
        "jwt-hs256" => jsonwebtoken::hs256(),
        #[cfg(feature = "jsonwebtoken")]
        "jwt-rs256" => jsonwebtoken::rs256(),
        #[cfg(feature = "jsonwebtoken")]
        "jwt-es256" => jsonwebtoken::es256(),
        #[cfg(feature = "huskarl")]
        "huskarl" => huskarl::peer_with_claims().await,
        #[cfg(feature = "huskarl")]
        "huskarl-default" => huskarl::peer().await,
        #[cfg(feature = "axum-oidc")]
        "axum-oidc" => axum_oidc::peer().await,
        _ => panic!("there is no row {row:?} in this build"),
    }
}

/// Takes everybody for the same person.
fn bare() -> Peer {
    Peer::new(Router::new().route("/page", get(async || page(Some((ISSUER, SUBJECT))))), Vec::new())
}

#[cfg(all(
    test,
    feature = "tower-signin",
    feature = "axum-login",
    feature = "tower-sessions-sealed",
    feature = "private-jar",
    feature = "jsonwebtoken",
    feature = "huskarl",
    feature = "axum-oidc"
))]
mod tests {
    use super::*;
    use crate::requests::prove;
    use crate::rows::ROWS;

    /// Needs `--all-features`.
    #[tokio::test]
    async fn every_row_knows_who_is_signed_in_and_who_is_not() {
        for row in ROWS {
            println!("{}", row.name);
            prove(&mut peer(row.name).await, row.name == "bare").await;
        }
    }
}
