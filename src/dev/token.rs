use base64_simd::STANDARD;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::authorize::is_loopback_uri;
use super::iso_time::iso_time;
use super::payload::{self, Answer};
use super::state::{Code, Grant, State, hash, random_hex};
use super::{Account, Mode, RecordedRequest};

/// `POST /api/v0/siwbb/token`.
///
/// Strict answers with the statuses that the API docs list and, where a text is not documented,
/// with the text of the public 2024 server. The 2024 mode answers almost every refusal with a 500.
pub(super) fn answer(state: &mut State, request: &RecordedRequest) -> Answer {
    TokenRequest::parse(request)
        .and_then(|request| match request.grant_type.as_deref() {
            Some("authorization_code") => exchange(state, &request),
            Some("refresh_token") => refresh(state, &request),
            _ => Err(refuse(state, StatusCode::BAD_REQUEST, "Invalid grant type.")),
        })
        .unwrap_or_else(|refusal| refusal)
}

struct TokenRequest {
    grant_type: Option<String>,
    code: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    window_ms: u64,
}

impl TokenRequest {
    fn parse(request: &RecordedRequest) -> Result<Self, Answer> {
        let fields = payload::fields(request)?;
        let text = |name| payload::text(&fields, name);
        let (basic_id, basic_secret) = basic_credentials(request).unzip();
        let parsed = Self {
            grant_type: text("grant_type")?,
            code: text("code")?,
            client_id: text("client_id")?.or(basic_id),
            client_secret: text("client_secret")?.or(basic_secret),
            redirect_uri: text("redirect_uri")?,
            code_verifier: text("code_verifier")?,
            refresh_token: text("refresh_token")?,
            window_ms: window_ms(&fields, request.query.as_deref())?,
        };
        match parsed.grant_type.as_deref() {
            None | Some("authorization_code" | "refresh_token") => Ok(parsed),
            Some(other) => Err(Answer::invalid_payload(
                "$input.grant_type",
                "(\"authorization_code\" | \"refresh_token\" | undefined)",
                &Value::from(other),
            )),
        }
    }
}

/// RFC 6749 section 2.3.1, but without form-decoding the two parts: so the 2024 server reads them.
pub(super) fn basic_credentials(request: &RecordedRequest) -> Option<(String, String)> {
    let value = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode_to_vec(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// The oldest a code may be: `options.issuedAtTimeWindowMs`, 10 minutes unless told, 0 for any age.
///
/// Auth.js clients sent the options as JSON in the query, where what can't be read is ignored.
fn window_ms(fields: &Map<String, Value>, query: Option<&str>) -> Result<u64, Answer> {
    let in_query = || -> Option<Value> {
        let (_, options) = form_urlencoded::parse(query?.as_bytes()).find(|(k, _)| k == "options")?;
        let options: Value = serde_json::from_str(&options).ok()?;
        options.get(WINDOW).filter(|window| window.is_number()).cloned()
    };
    let window = match fields.get("options") {
        None => in_query(),
        Some(Value::Object(options)) => options.get(WINDOW).cloned(),
        Some(other) => {
            return Err(Answer::invalid_payload("$input.options", "(object | undefined)", other));
        }
    };
    match window {
        None => Ok(TEN_MINUTES),
        // A cast from a float saturates, so a negative window admits no code but a fresh one.
        Some(Value::Number(window)) => {
            Ok(window.as_f64().map_or(TEN_MINUTES, |window| if window == 0.0 { 0 } else { window.max(1.0) as u64 }))
        }
        Some(other) => {
            Err(Answer::invalid_payload("$input.options.issuedAtTimeWindowMs", "(number | undefined)", &other))
        }
    }
}

fn exchange(state: &mut State, request: &TokenRequest) -> Result<Answer, Answer> {
    let code = match state.mode {
        Mode::Strict => strict_code(state, request)?,
        Mode::Legacy2024 => legacy_code(state, request)?,
    };
    let refresh_lifetime = match state.mode {
        Mode::Strict => 60 * DAY,
        Mode::Legacy2024 => 30 * DAY,
    };
    let mut body = if state.mode == Mode::Legacy2024 && code.scopes.is_empty() {
        scopeless_tokens(state, &code.account)
    } else {
        let holder = Holder {
            account: code.account,
            client_id: code.client_id,
            redirect_uri: code.redirect_uri,
            scopes: code.scopes,
        };
        issue_tokens(state, holder, refresh_lifetime)?
    };
    let verified = match state.mode {
        Mode::Strict => json!({ "success": true }),
        Mode::Legacy2024 => json!({
            "success": true,
            "message": "Successfully granted access via Blockin",
            "verificationData": {},
        }),
    };
    body.insert("verificationResponse".to_owned(), verified);
    Ok(Answer::ok(Value::Object(body)))
}

/// One exchange per code, by the app it was made for, with the URI it was made with.
fn strict_code(state: &mut State, request: &TokenRequest) -> Result<Code, Answer> {
    authenticate(state, request)?;
    let bad = |message: &str| Answer::error(StatusCode::BAD_REQUEST, message);
    let key = request.code.as_deref().map(hash).unwrap_or_default();
    let code = state.codes.get(&key).ok_or_else(|| bad("Invalid code."))?;
    if Some(&code.client_id) != request.client_id.as_ref() {
        return Err(bad("Invalid client ID or redirect URI."));
    }
    // From here on the code is spent, whether or not the rest holds.
    let code = state.codes.remove(&key).ok_or_else(|| bad("Invalid code."))?;
    if request.redirect_uri.as_ref() != Some(&code.redirect_uri) {
        return Err(bad("Invalid redirect URI."));
    }
    check_age(state, &code, request.window_ms)?;
    if let Some(challenge) = &code.challenge {
        let verifier = request.code_verifier.as_deref().unwrap_or_default();
        if !challenge.admits(verifier) {
            return Err(bad("Invalid code verifier."));
        }
    }
    Ok(code)
}

/// The order of the 2024 server: it deletes no code and compares the code with no app, URI or verifier.
fn legacy_code(state: &State, request: &TokenRequest) -> Result<Code, Answer> {
    let text = request.code.as_deref().filter(|code| !code.is_empty()).ok_or_else(|| legacy("Invalid code."))?;
    let key = hash(text);
    let code = state.codes.get(&key).cloned().ok_or_else(|| no_document(&key, "auth-codes"))?;
    authenticate(state, request)?;
    check_listed_uri(request, &code.redirect_uri)?;
    check_age(state, &code, request.window_ms)?;
    Ok(code)
}

fn refresh(state: &mut State, request: &TokenRequest) -> Result<Answer, Answer> {
    authenticate(state, request)?;
    let invalid = |state: &State, text| Err(refuse(state, StatusCode::BAD_REQUEST, text));
    let token = request.refresh_token.as_deref().unwrap_or_default();
    let is_hex = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if state.mode == Mode::Legacy2024 && !is_hex {
        return invalid(state, "Invalid refresh token");
    }
    let key = hash(token);
    let grant = state.grants.get(&key).filter(|grant| grant.refresh_hash == key);
    let Some(grant) = grant.cloned() else {
        return invalid(state, "Invalid refresh token.");
    };
    match state.mode {
        Mode::Strict if Some(&grant.client_id) != request.client_id.as_ref() => {
            return invalid(state, "Invalid refresh token.");
        }
        Mode::Strict => {
            let sent = request.redirect_uri.as_ref();
            if sent.is_some_and(|uri| *uri != grant.redirect_uri) {
                return invalid(state, "Invalid redirect URI.");
            }
        }
        Mode::Legacy2024 => check_listed_uri(request, &grant.redirect_uri)?,
    }
    if state.now() >= grant.refresh_expires_at {
        return invalid(state, "Refresh token expired.");
    }
    // The old pair dies at once.
    state.grants.remove(&key);
    let holder = Holder {
        account: grant.account,
        client_id: grant.client_id,
        redirect_uri: grant.redirect_uri,
        scopes: grant.scopes,
    };
    let body = issue_tokens(state, holder, 60 * DAY)?;
    Ok(Answer::ok(Value::Object(body)))
}

fn authenticate(state: &State, request: &TokenRequest) -> Result<(), Answer> {
    let client_id = request.client_id.as_deref();
    let Some(secret_hash) = client_id.and_then(|id| state.apps.get(id)) else {
        return Err(match state.mode {
            Mode::Strict => Answer::error(StatusCode::UNAUTHORIZED, "Invalid client ID or redirect URI."),
            Mode::Legacy2024 => no_document(client_id.unwrap_or("undefined"), "auth-apps"),
        });
    };
    if request.client_secret.as_deref().map(hash).as_ref() == Some(secret_hash) {
        return Ok(());
    }
    Err(refuse(state, StatusCode::UNAUTHORIZED, "Invalid client secret."))
}

/// The 2024 server asks only whether a URI that was sent is among the app's own.
fn check_listed_uri(request: &TokenRequest, made_with: &str) -> Result<(), Answer> {
    match &request.redirect_uri {
        Some(uri) if uri != made_with && !is_loopback_uri(uri) => Err(legacy("Invalid redirect URI.")),
        _ => Ok(()),
    }
}

fn check_age(state: &State, code: &Code, window_ms: u64) -> Result<(), Answer> {
    let age = state.now().saturating_sub(code.issued_at);
    let refuse = |text: &str| Err(refuse(state, StatusCode::BAD_REQUEST, text));
    if window_ms != 0 && age > window_ms {
        let issued = iso_time(code.issued_at);
        return refuse(&format!("Not recent enough. Issued at time is too old: {issued}"));
    }
    if age > TEN_MINUTES {
        return refuse("Expired.");
    }
    Ok(())
}

/// Whom a pair of tokens is made for.
struct Holder {
    account: Account,
    client_id: String,
    redirect_uri: String,
    scopes: Vec<String>,
}

fn issue_tokens(state: &mut State, holder: Holder, refresh_lifetime: u64) -> Result<Map<String, Value>, Answer> {
    let mode = state.mode;
    let (access_prefix, refresh_prefix) = match mode {
        Mode::Strict => ("siwbb_at_", "siwbb_rt_"),
        Mode::Legacy2024 => ("", ""),
    };
    let random = || random_hex().map_err(|error| legacy(&error.to_string()));
    let access = format!("{access_prefix}{}", random()?);
    let refresh = format!("{refresh_prefix}{}", random()?);
    let now = state.now();
    let grant = Grant {
        account: holder.account,
        client_id: holder.client_id,
        redirect_uri: holder.redirect_uri,
        scopes: holder.scopes,
        access_hash: hash(&access),
        access_expires_at: now.saturating_add(DAY),
        refresh_hash: hash(&refresh),
        refresh_expires_at: now.saturating_add(refresh_lifetime),
    };
    let mut body = who(mode, &grant.account);
    body.extend([
        ("access_token".to_owned(), Value::from(access)),
        ("token_type".to_owned(), Value::from("Bearer")),
        ("access_token_expires_at".to_owned(), time(mode, grant.access_expires_at)),
        ("refresh_token".to_owned(), Value::from(refresh)),
        ("refresh_token_expires_at".to_owned(), time(mode, grant.refresh_expires_at)),
    ]);
    let keys = [grant.access_hash.clone(), grant.refresh_hash.clone()];
    state.grants.insert(keys, grant);
    Ok(body)
}

/// Without scopes the 2024 server gave the address itself as the token, and nothing to refresh.
fn scopeless_tokens(state: &State, account: &Account) -> Map<String, Value> {
    let mut body = who(state.mode, account);
    body.extend([
        ("access_token".to_owned(), Value::from(account.address.as_str())),
        ("token_type".to_owned(), Value::from("Bearer")),
        ("access_token_expires_at".to_owned(), time(state.mode, state.now().saturating_add(DAY))),
    ]);
    body
}

fn who(mode: Mode, account: &Account) -> Map<String, Value> {
    let chain = match (mode, account.chain.as_str()) {
        (Mode::Legacy2024, "ETH") => "Ethereum",
        (_, chain) => chain,
    };
    let (name, value) = match mode {
        Mode::Strict => ("bitbadgesAddress", Some(account.bitbadges_address.clone())),
        Mode::Legacy2024 => ("cosmosAddress", account.cosmos_address()),
    };
    Map::from_iter([
        ("address".to_owned(), Value::from(account.address.as_str())),
        ("chain".to_owned(), Value::from(chain)),
        (name.to_owned(), Value::from(value)),
    ])
}

/// The docs show times both as decimal strings and as numbers; a client has to take either.
fn time(mode: Mode, unix_ms: u64) -> Value {
    match mode {
        Mode::Strict => Value::from(unix_ms.to_string()),
        Mode::Legacy2024 => Value::from(unix_ms),
    }
}

fn refuse(state: &State, strict: StatusCode, message: &str) -> Answer {
    match state.mode {
        Mode::Strict => Answer::error(strict, message),
        Mode::Legacy2024 => legacy(message),
    }
}

fn legacy(message: &str) -> Answer {
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// What the 2024 server says of anything it can't find.
pub(super) fn no_document(id: &str, collection: &str) -> Answer {
    legacy(&format!("Error in mustGetFromDB(): Could not find doc w/ id {id} in {collection}"))
}

const WINDOW: &str = "issuedAtTimeWindowMs";
const TEN_MINUTES: u64 = 10 * 60 * 1_000;
const DAY: u64 = 24 * 60 * 60 * 1_000;
