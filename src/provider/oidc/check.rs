//! What can be told of the settings without anybody signing in: two requests, for what the provider publishes.

use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;

use super::Oidc;
use super::algorithm::SigningAlgorithm;
use super::cache::check_status;
use super::keys::Keys;
use super::metadata::Metadata;
use crate::check::Finding;
use crate::error::{Error, ErrorKind};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::provider::Context;

const METADATA: &str = "metadata";
const KEYS: &str = "signing_keys";
const ALGORITHMS: &str = "algorithms";
const AUTHENTICATION: &str = "authentication";
const PKCE: &str = "pkce";
const CREDENTIALS: &str = "credentials";

/// Everything is fetched anew, whatever is at hand.
pub(super) async fn findings(provider: &Oidc, context: Context<'_>) -> Vec<Finding> {
    let url = &provider.metadata_url;
    let metadata = fetch(context, url, |answer| Metadata::read(answer, &provider.issuer)).await;
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => {
            let remedy = "see that the issuer is the one that the provider's documentation names, byte for byte";
            let failed = Finding::failed(METADATA, format!("{url}: {}", said(&error)), remedy);
            let skipped = [KEYS, ALGORITHMS, AUTHENTICATION, PKCE, CREDENTIALS];
            return [failed].into_iter().chain(skipped.map(|name| Finding::skipped(name, "see `metadata`"))).collect();
        }
    };
    vec![
        Finding::ok(METADATA, format!("{url} is that of {}", provider.issuer)),
        keys(provider, context, &metadata).await,
        algorithms(provider, &metadata),
        authentication(provider, &metadata),
        pkce(&metadata),
        Finding::skipped(CREDENTIALS, "whether client id and client secret are right, only a sign-in tells"),
    ]
}

async fn fetch<T>(
    context: Context<'_>,
    url: &str,
    read: impl FnOnce(&http::Response<Bytes>) -> Result<T, Error>,
) -> Result<T, Error> {
    let request = Request::get(url).header(ACCEPT, "application/json").body(Bytes::new());
    let answer = context.http().send(request.map_err(|_| ErrorKind::Internal)?).await?;
    check_status(&answer)?;
    read(&answer)
}

/// The error with what is underneath, where that tells what it names.
fn said(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn keys(provider: &Oidc, context: Context<'_>, metadata: &Metadata) -> Finding {
    let url = &metadata.jwks_uri;
    let by_key: Vec<SigningAlgorithm> =
        provider.signing_algorithms.iter().copied().filter(|algorithm| *algorithm != SigningAlgorithm::Hs256).collect();
    if by_key.is_empty() {
        return Finding::skipped(KEYS, "not needed for HS256");
    }
    let keys = match fetch(context, url, Keys::read).await {
        Ok(keys) => keys,
        Err(error) => {
            let remedy = "try again later, and ask the provider where it lasts";
            return Finding::failed(KEYS, format!("{url}: {}", said(&error)), remedy);
        }
    };
    let counts: Vec<String> =
        by_key.iter().map(|algorithm| format!("{} for {}", keys.count(*algorithm), algorithm.as_str())).collect();
    let found = format!("{url} has {}", counts.join(", "));
    if by_key.iter().all(|algorithm| keys.count(*algorithm) == 0) {
        return Finding::failed(KEYS, found, "set signing_algorithms to what the provider signs ID tokens with");
    }
    Finding::ok(KEYS, found)
}

fn algorithms(provider: &Oidc, metadata: &Metadata) -> Finding {
    let ours: Vec<&str> = provider.signing_algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let Some(theirs) = &metadata.signing_algorithms else {
        return Finding::skipped(ALGORITHMS, "the metadata does not tell how ID tokens are signed");
    };
    let found = format!("accepted: {}; offered: {}", ours.join(", "), shown(theirs));
    if ours.iter().any(|name| theirs.iter().any(|offered| offered == name)) {
        return Finding::ok(ALGORITHMS, found);
    }
    Finding::warning(ALGORITHMS, found, "set signing_algorithms to what the provider signs ID tokens with")
}

fn authentication(provider: &Oidc, metadata: &Metadata) -> Finding {
    let ours = match provider.client_authentication {
        ClientAuthentication::Basic => "client_secret_basic",
        ClientAuthentication::Post => "client_secret_post",
        ClientAuthentication::None => "none",
    };
    // Without the member, it is this one (Discovery section 3).
    let default = || vec!["client_secret_basic".to_owned()];
    let theirs = metadata.client_authentication.clone().unwrap_or_else(default);
    let found = format!("used: {ours}; offered: {}", shown(&theirs));
    if theirs.iter().any(|offered| offered == ours) {
        return Finding::ok(AUTHENTICATION, found);
    }
    Finding::warning(AUTHENTICATION, found, "set client_authentication to a method that the provider offers")
}

fn pkce(metadata: &Metadata) -> Finding {
    match &metadata.code_challenge_methods {
        None => Finding::skipped(
            PKCE,
            "the metadata does not tell whether the provider looks at it; it is sent in any case",
        ),
        Some(methods) if methods.iter().any(|method| method == "S256") => Finding::ok(PKCE, "the provider knows S256"),
        Some(methods) => {
            let found = format!("the provider knows {}, and S256 is sent", shown(methods));
            Finding::warning(PKCE, found, "ask the provider for S256; state and nonce protect people meanwhile")
        }
    }
}

/// The first few, since a provider may list many.
fn shown(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    names.join(", ").chars().take(300).collect()
}
