//! What is done with codes and tokens. Nothing is done with a token before its ID token has been checked.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::expected::{Expected, Occasion};
use super::id_token::{Signed, Unverified, claims_of_verified};
use super::logout_token::LONGEST_SESSION_ID;
use super::metadata::Metadata;
use super::{Oidc, SigningAlgorithm, claims};
use crate::error::{Error, ErrorKind};
use crate::oauth::answer::unreadable;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::token::Tokens;
use crate::oauth::token_response::TokenResponse;
use crate::oauth::user_info::{read_user_info, user_info_request};
use crate::provider::{Context, Grant, Refreshed, revoke_both};

pub(super) async fn redeem(provider: &Oidc, context: Context<'_>, code: ValidatedCode) -> Result<Grant, Error> {
    let metadata = provider.metadata(context).await?;
    // The layer looks at that too, but not where the metadata has only been fetched now.
    if metadata.names_issuer() && !code.came_with_issuer() {
        return Err(Error::new(ErrorKind::IssuerMismatch).with_reason("the answer does not name its issuer"));
    }
    have_keys(provider, context, &metadata).await?;
    let answer = context.http().send(provider.client().code_request(&metadata.token_endpoint, &code)?).await?;
    let TokenResponse { tokens, id_token } = TokenResponse::to_code(&answer, context.now())?;
    let id_token = id_token.ok_or_else(|| unreadable("there is no ID token"))?;
    let nonce = code.nonce();
    let acr: &[String] = if provider.requires_acr { &provider.acr_values } else { &[] };
    let occasion = Occasion::SignIn { nonce: &nonce, max_age: provider.max_age.map(|age| age.as_secs()), acr };
    let token = Unverified::parse(id_token.expose_secret(), &provider.signing_algorithms)?;
    let token = signed(provider, context, &metadata, token).await?;
    let subject = expected(provider, context).subject(&token, tokens.access_token(), occasion)?.to_owned();
    let said = match metadata.user_info_endpoint.as_deref().filter(|_| provider.asks_user_info) {
        Some(endpoint) => user_info(context, endpoint, &tokens, &subject).await?,
        None => Map::new(),
    };
    let session_id = session_id(&token);
    let claims = claims::merged(token.claims, said, provider.claims.as_deref());
    let grant = Grant::new(subject, &claims)?.with_tokens(tokens.with_id_token(id_token.expose_secret()));
    Ok(match session_id {
        Some(session_id) => grant.with_session_id(session_id),
        None => grant,
    })
}

pub(super) async fn refresh(
    provider: &Oidc,
    context: Context<'_>,
    subject: &str,
    held: &Tokens,
) -> Result<Refreshed, Error> {
    let refresh_token = held.refresh_token().ok_or(ErrorKind::Unsupported)?;
    let metadata = provider.metadata(context).await?;
    have_keys(provider, context, &metadata).await?;
    let request = provider.client().refresh_request(&metadata.token_endpoint, refresh_token)?;
    let answer = context.http().send(request).await?;
    let TokenResponse { mut tokens, id_token } = TokenResponse::to_refresh(&answer, context.now())?;
    if let Some(id_token) = id_token {
        let first = held.id_token().and_then(claims_of_verified);
        let token = Unverified::parse(id_token.expose_secret(), &provider.signing_algorithms)?;
        let token = signed(provider, context, &metadata, token).await?;
        let occasion = Occasion::Refresh { subject, first: first.as_ref() };
        expected(provider, context).subject(&token, tokens.access_token(), occasion)?;
    }
    if let Some(first) = held.id_token() {
        tokens = tokens.with_id_token(first);
    }
    Ok(Refreshed::new(tokens))
}

/// A code and a refresh token are spent once they are sent, so what the answer is judged by has to be at hand before.
async fn have_keys(provider: &Oidc, context: Context<'_>, metadata: &Metadata) -> Result<(), Error> {
    let needs_keys = provider.signing_algorithms.iter().any(|algorithm| *algorithm != SigningAlgorithm::Hs256);
    if needs_keys {
        provider.keys.get(context, provider.place_of_keys(metadata)).await?;
    }
    Ok(())
}

/// The access token may have ended with the refresh token; providers say so of no token (RFC 7009 section 2.2).
pub(super) async fn revoke(provider: &Oidc, context: Context<'_>, tokens: &Tokens) -> Result<(), Error> {
    let metadata = provider.metadata(context).await?;
    let endpoint = metadata.revocation_endpoint.as_deref().ok_or(ErrorKind::Unsupported)?;
    revoke_both(context, provider.client(), endpoint, tokens).await
}

/// A token whose signature is right. Where none of the keys at hand says so, there may be newer ones: the provider has changed
/// them, under a new name or under the same.
pub(super) async fn signed(
    provider: &Oidc,
    context: Context<'_>,
    metadata: &Metadata,
    token: Unverified<'_>,
) -> Result<Signed, Error> {
    if token.is_by_client_secret() {
        return token.verify_by_client_secret(&provider.client_secret);
    }
    let place = provider.place_of_keys(metadata);
    let keys = provider.keys.get(context, place).await?;
    let refused = match token.verify(&keys) {
        Ok(token) => return Ok(token),
        Err(error) => error,
    };
    match provider.keys.newer(context, place, &keys).await {
        Some(newer) => token.verify(&newer),
        None => Err(refused),
    }
}

pub(super) fn expected<'a>(provider: &'a Oidc, context: Context<'_>) -> Expected<'a> {
    Expected {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        trusted_audiences: &provider.trusted_audiences,
        clock_skew: provider.clock_skew.as_secs(),
        now: context.now(),
    }
}

/// The provider's own session, which a logout token may name later. What is no such name keeps nobody from signing in.
fn session_id(token: &Signed) -> Option<String> {
    let session_id = token.claims.get("sid").filter(|session_id| !session_id.is_null())?;
    let text = session_id.as_str().filter(|text| (1..=LONGEST_SESSION_ID).contains(&text.len()));
    if text.is_none() {
        tracing::warn!("the sid of an ID token is no text of 1 to 255 bytes, so the provider can't end this session");
    }
    text.map(str::to_owned)
}

/// What the UserInfo endpoint says of this person (Core section 5.3.2), and of nobody else.
async fn user_info(
    context: Context<'_>,
    endpoint: &str,
    tokens: &Tokens,
    subject: &str,
) -> Result<Map<String, Value>, Error> {
    let answer = context.http().send(user_info_request(endpoint, tokens)?).await?;
    let said = read_user_info(&answer)?;
    if said.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(unreadable("UserInfo is of another person than the ID token, or of nobody"));
    }
    Ok(said)
}
