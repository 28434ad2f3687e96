use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use url::{Host, Url, form_urlencoded};

use super::body::DevBody;
use super::page::{self, Consent, NOT_BITBADGES};
use super::state::{NewCode, Shared, State};
use super::{Account, DevError, Mode};

pub(super) const PATH: &str = "/siwbb/authorize";

/// An authorization request that may be shown and answered (RFC 6749 section 4.1.1, with the
/// parameters of the BitBadges docs).
#[derive(Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) claim_id: Option<String>,
    pub(super) expect_verify_success: bool,
    challenge: Option<Challenge>,
    /// The request again, for the form to carry.
    pub(super) query: String,
}

impl AuthorizationRequest {
    /// Checks a query string. The error is a sentence for the person in front of the browser.
    pub(super) fn parse(query: &str, state: &State) -> Result<Self, String> {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            // RFC 6749 section 3.1: parameters must not be included more than once.
            if values.insert(name.clone(), value).is_some() {
                return Err(format!("The parameter {name} is there more than once."));
            }
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form_urlencoded::parse(query.as_bytes()))
            .finish();
        let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());

        let client_id = take("client_id").ok_or("The parameter client_id is missing.")?;
        if !state.apps.contains_key(&client_id) {
            return Err(format!("No app has the client id {client_id}."));
        }
        let redirect_uri = take("redirect_uri").ok_or("The parameter redirect_uri is missing.")?;
        if !is_loopback_uri(&redirect_uri) {
            return Err(format!(
                "The redirect URI {redirect_uri} is not registered. This stand-in knows http URIs \
                 on localhost, 127.0.0.1 and [::1] only, without a fragment."
            ));
        }
        if take("response_type").is_some_and(|kind| kind != "code") {
            return Err("The parameter response_type must be code.".to_owned());
        }
        let challenge = match (state.mode, take("code_challenge")) {
            (Mode::Strict, Some(value)) => Some(Challenge::new(take("code_challenge_method").as_deref(), value)?),
            _ => None,
        };
        let scopes = take("scope").map_or_else(Vec::new, |scopes| {
            scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
        });
        let expect_verify_success = take("expectVerifySuccess").is_some_and(|flag| flag == "true");
        Ok(Self {
            client_id,
            redirect_uri,
            state: take("state"),
            scopes,
            claim_id: take("claimId"),
            expect_verify_success,
            challenge,
            query,
        })
    }

    /// Makes a code for `account`; where the browser goes with it (RFC 6749 section 4.1.2).
    pub(super) fn approve(&self, state: &mut State, account: Account) -> Result<String, DevError> {
        let code = state.issue_code(NewCode {
            account,
            client_id: self.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge.clone(),
            scopes: self.scopes.clone(),
        })?;
        Ok(self.target("code", &code))
    }

    /// Where the browser goes after a refusal (RFC 6749 section 4.1.2.1).
    pub(super) fn deny(&self) -> String {
        self.target("error", "access_denied")
    }

    fn target(&self, name: &str, value: &str) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        with_parameters(&self.redirect_uri, [(name, value)].into_iter().chain(state))
    }
}

/// A redirect URI with an answer behind the query it may have.
pub(super) fn with_parameters<'a>(uri: &str, answer: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let answer = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{answer}")
}

/// A PKCE code challenge (RFC 7636 section 4.3).
#[derive(Clone)]
pub(super) enum Challenge {
    S256(String),
    Plain(String),
}

impl Challenge {
    pub(super) fn new(method: Option<&str>, value: String) -> Result<Self, String> {
        // RFC 7636 section 4.2: the alphabet and the length of a challenge.
        let right = (43..=128).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        match method {
            _ if !right => Err("The code_challenge is not 43 to 128 unreserved characters.".into()),
            Some("S256") => Ok(Self::S256(value)),
            None | Some("plain") => Ok(Self::Plain(value)),
            Some(_) => Err("The code_challenge_method must be S256 or plain.".into()),
        }
    }

    /// Whether `verifier` is the one behind this challenge (RFC 7636 section 4.6).
    pub(super) fn admits(&self, verifier: &str) -> bool {
        match self {
            Self::S256(challenge) => {
                let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
                URL_SAFE_NO_PAD.encode_to_string(digest) == *challenge
            }
            Self::Plain(challenge) => verifier == challenge,
        }
    }
}

/// `GET`: the page that asks.
pub(super) fn show(shared: &Shared, query: &str) -> Response<DevBody> {
    match AuthorizationRequest::parse(query, &shared.lock()) {
        Ok(request) => page::consent(&Consent::new(&request), StatusCode::OK),
        Err(reason) => page::refusal(NOT_BITBADGES, "This sign-in request can't be shown", &reason),
    }
}

/// `POST`: what the person decided.
pub(super) fn decide(shared: &Shared, query: &str, body: &[u8]) -> Response<DevBody> {
    let mut state = shared.lock();
    let request = match AuthorizationRequest::parse(query, &state) {
        Ok(request) => request,
        Err(reason) => return page::refusal(NOT_BITBADGES, "This sign-in request can't be answered", &reason),
    };
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", |value| value.trim());

    let again = |problem: &str| {
        let consent = Consent::new(&request).filled(field("account"), field("address")).problem(problem);
        page::consent(&consent, StatusCode::BAD_REQUEST)
    };
    match field("decision") {
        "deny" => return page::see_other(NOT_BITBADGES, &request.deny()),
        "approve" => {}
        _ => return again("Choose Approve or Deny."),
    }
    let account = match (field("address"), field("account")) {
        ("", picked) => Account::people().into_iter().find(|person| person.name == picked),
        (address, _) => Account::from_address(address).ok(),
    };
    let Some(account) = account else {
        return again(if field("address").is_empty() {
            "Pick one of the accounts."
        } else {
            "That address is neither 0x and 40 hex digits nor a valid bb1 address."
        });
    };
    match request.approve(&mut state, account) {
        Ok(target) => page::see_other(NOT_BITBADGES, &target),
        Err(error) => again(&error.to_string()),
    }
}

/// The query of a URL of the page at `path` of this server.
pub(super) fn own_query(origin: &str, path: &str, page_url: &str) -> Result<String, DevError> {
    let ours = Url::parse(origin).map_err(|_| DevError::ForeignUrl)?;
    let url = Url::parse(page_url).map_err(|_| DevError::ForeignUrl)?;
    let known = url.scheme() == ours.scheme()
        && url.port_or_known_default() == ours.port_or_known_default()
        && is_loopback_host(&url)
        && url.path() == path;
    if !known {
        return Err(DevError::ForeignUrl);
    }
    Ok(url.query().unwrap_or_default().to_owned())
}

/// Every http URI of this machine is a registered redirect URI, and no other is.
///
/// The text must be one a browser reads as the `url` crate does, so that what was checked is where
/// the browser goes: no white space, no backslash, nothing outside ASCII.
pub(super) fn is_loopback_uri(uri: &str) -> bool {
    let plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !br#"\"<>#"#.contains(&byte));
    plain
        && Url::parse(uri).is_ok_and(|url| {
            url.scheme() == "http" && url.username().is_empty() && url.password().is_none() && is_loopback_host(&url)
        })
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// A scope's label for its id, or the other way round; an unknown scope is its own label and id.
pub(super) fn scope_label_and_id(scope: &str) -> (&str, &str) {
    SCOPES.into_iter().find(|(label, id)| *label == scope || *id == scope).unwrap_or((scope, scope))
}

/// Scopes that are asked for twice, by label and by id, are one scope.
pub(super) fn distinct_scopes(scopes: &[String]) -> Vec<(&str, &str)> {
    let mut seen = HashSet::new();
    scopes.iter().map(|scope| scope_label_and_id(scope)).filter(|(_, id)| seen.insert(*id)).collect()
}

/// The scopes of the BitBadges API docs, as label and id.
const SCOPES: [(&str, &str); 13] = [
    ("Full Access", "fullAccess"),
    ("Report", "report"),
    ("Read Profile", "readProfile"),
    ("Manage Applications", "manageApplications"),
    ("Manage Claims", "manageClaims"),
    ("Manage Developer Apps", "manageDeveloperApps"),
    ("Manage Dynamic Stores", "manageDynamicStores"),
    ("Manage Utility Pages", "manageUtilityPages"),
    ("Approve Sign In With BitBadges Requests", "approveSignInWithBitBadgesRequests"),
    ("Read Authentication Codes", "readAuthenticationCodes"),
    ("Delete Authentication Codes", "deleteAuthenticationCodes"),
    ("Read Private Claim Data", "readPrivateClaimData"),
    ("Complete Claims", "completeClaims"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_redirect_uris() {
        for (uri, registered) in [
            ("http://localhost:3000/auth/callback", true),
            ("http://127.0.0.1/cb?a=1", true),
            ("http://[::1]:8080/", true),
            ("https://localhost:3000/cb", false),
            ("http://localhost:3000/cb#x", false),
            ("http://user@localhost/cb", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.2/", false),
            ("http://example.com/", false),
            ("http://localhost\\@example.com/", false),
            ("http://local\thost/", false),
            ("javascript:alert(1)", false),
            ("/cb", false),
        ] {
            assert_eq!(is_loopback_uri(uri), registered, "{uri}");
        }
    }

    #[test]
    fn challenge_of_rfc_7636_appendix_b() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let s256 = Challenge::new(Some("S256"), challenge.to_owned()).unwrap();
        assert!(s256.admits(verifier));
        assert!(!s256.admits(challenge));
        let plain = Challenge::new(None, verifier.to_owned()).unwrap();
        assert!(plain.admits(verifier));
        assert!(Challenge::new(Some("S512"), challenge.to_owned()).is_err());
        assert!(Challenge::new(None, "short".to_owned()).is_err());
    }
}
