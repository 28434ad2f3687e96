use std::time::UNIX_EPOCH;

use http::header::RETRY_AFTER;

use super::*;
use crate::secret::assert_wiped;

const NOW: u64 = 1_788_739_200;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn response(status: u16, body: &str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap()
}

/// An answer with these members beside a token.
fn with(members: &str) -> Result<TokenResponse, Error> {
    let body = format!(r#"{{"access_token":"at","token_type":"Bearer"{members}}}"#);
    TokenResponse::to_code(&response(200, &body), now())
}

#[test]
fn what_is_granted_is_read_whole() {
    let members = r#","expires_in":3600,"refresh_token":"rt","scope":"a b","id_token":"it","unknown":{"a":[1]}"#;
    let read = with(members).unwrap();
    assert_eq!((read.tokens.access_token(), read.tokens.refresh_token()), ("at", Some("rt")));
    assert_eq!(read.tokens.access_expires_at(), Some(now() + Duration::from_secs(3600)));
    assert_eq!(read.id_token.as_ref().map(|token| token.expose_secret()), Some("it"));
    assert_eq!(read.tokens.scope(), Some("a b"));
    let shown = format!("{read:?}");
    assert!(!["at", "rt", "it"].iter().any(|secret| shown.contains(&format!("\"{secret}\""))), "{shown}");
    assert_wiped(&read.id_token);

    let bare = with("").unwrap();
    assert_eq!((bare.tokens.refresh_token(), bare.tokens.access_expires_at()), (None, None));
    assert!(bare.id_token.is_none() && bare.tokens.scope().is_none());
}

#[test]
fn a_token_type_is_bearer_whatever_its_case() {
    for (token_type, is_read) in [
        (r#""Bearer""#, true),
        (r#""bearer""#, true),
        (r#""bEaReR""#, true),
        (r#""mac""#, false),
        (r#""DPoP""#, false),
        (r#""Bearer ""#, false),
        (r#""""#, false),
        ("null", false),
        ("1", false),
    ] {
        let body = format!(r#"{{"access_token":"at","token_type":{token_type}}}"#);
        let read = TokenResponse::to_code(&response(200, &body), now());
        assert_eq!(read.map_or_else(|error| error.kind() != ErrorKind::ProviderAnswer, |_| true), is_read, "{body}");
    }
    let missing = TokenResponse::to_code(&response(200, r#"{"access_token":"at"}"#), now());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::ProviderAnswer);
}

#[test]
fn a_lifetime_is_whole_seconds_or_unknown() {
    for (expires_in, seconds) in [
        ("3600", Some(3600)),
        (r#""3600""#, Some(3600)),
        ("3600.0", Some(3600)),
        ("1", Some(1)),
        ("0", None),
        ("-1", None),
        (r#""-3600""#, None),
        ("null", None),
        ("true", None),
        (r#""soon""#, None),
        ("{}", None),
        ("1e300", None),
        ("18446744073709551615", None),
        ("99999999999999999999999", None),
    ] {
        let read = with(&format!(r#","expires_in":{expires_in}"#)).unwrap();
        let expected = seconds.map(|seconds| now() + Duration::from_secs(seconds));
        assert_eq!(read.tokens.access_expires_at(), expected, "{expires_in}");
    }
}

#[test]
fn a_scope_is_what_was_said() {
    for (scope, expected) in [
        (r#""read""#, Some("read")),
        (r#""repo,gist""#, Some("repo,gist")),
        (r#""""#, Some("")),
        (r#"["a","b"]"#, Some("a b")),
        ("[]", Some("")),
        ("null", None),
    ] {
        assert_eq!(with(&format!(r#","scope":{scope}"#)).unwrap().tokens.scope(), expected, "{scope}");
    }
    for scope in ["1", "true", "{}", "[1]", r#"[["a"]]"#] {
        let error = with(&format!(r#","scope":{scope}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderAnswer, "{scope}");
    }
}

#[test]
fn tokens_of_any_length_are_read_and_others_refused() {
    for length in [1, 512, 4096, 128 * 1024] {
        let token = "t".repeat(length);
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
        let read = TokenResponse::to_code(&response(200, &body), now()).unwrap();
        assert_eq!(read.tokens.access_token(), token, "{length}");
    }
    for (name, token) in [
        ("empty", r#""""#),
        ("null", "null"),
        ("number", "1"),
        ("object", "{}"),
        ("line break", r#""a\r\nX-Admin: 1""#),
        ("other letters", "\"é\""),
    ] {
        let body = format!(r#"{{"access_token":{token},"token_type":"Bearer"}}"#);
        let error = TokenResponse::to_code(&response(200, &body), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderAnswer, "{name}");
    }
    for empty in [r#","refresh_token":"""#, r#","refresh_token":null"#, r#","id_token":"""#] {
        let read = with(empty).unwrap();
        assert!(read.tokens.refresh_token().is_none() && read.id_token.is_none(), "{empty}");
    }
}

#[test]
fn a_refresh_is_read_like_an_answer_to_a_code() {
    let body = r#"{"access_token":"new","token_type":"Bearer","expires_in":60}"#;
    let tokens = TokenResponse::to_refresh(&response(200, body), now()).unwrap().tokens;
    assert_eq!((tokens.access_token(), tokens.refresh_token()), ("new", None));
    assert_eq!(tokens.access_expires_at(), Some(now() + Duration::from_secs(60)));
}

#[test]
fn each_failure_has_its_kind() {
    use ErrorKind::{CredentialsRejected, ExchangeRejected, ProviderAnswer, ProviderBusy, ProviderFailed};
    let error = |code: &str| format!(r#"{{"error":"{code}","error_description":"it was secret-code"}}"#);
    for (name, status, body, of_code, of_refresh) in [
        ("invalid_grant", 400, error("invalid_grant"), ExchangeRejected, ExchangeRejected),
        ("invalid_grant as 401", 401, error("invalid_grant"), ExchangeRejected, ExchangeRejected),
        ("invalid_grant as 403", 403, error("invalid_grant"), ExchangeRejected, ExchangeRejected),
        ("invalid_grant as 200", 200, error("invalid_grant"), ExchangeRejected, ExchangeRejected),
        ("invalid_grant as 500", 500, error("invalid_grant"), ProviderFailed, ProviderFailed),
        ("invalid_grant as 503", 503, error("invalid_grant"), ProviderBusy, ProviderBusy),
        ("invalid_client", 401, error("invalid_client"), CredentialsRejected, CredentialsRejected),
        ("invalid_client as 400", 400, error("invalid_client"), CredentialsRejected, CredentialsRejected),
        ("unauthorized_client", 400, error("unauthorized_client"), CredentialsRejected, CredentialsRejected),
        ("invalid_request", 400, error("invalid_request"), ExchangeRejected, ProviderFailed),
        ("invalid_scope", 400, error("invalid_scope"), ExchangeRejected, ProviderFailed),
        ("unsupported_grant_type", 400, error("unsupported_grant_type"), ExchangeRejected, ProviderFailed),
        ("server_error", 400, error("server_error"), ProviderFailed, ProviderFailed),
        ("temporarily_unavailable", 400, error("temporarily_unavailable"), ProviderBusy, ProviderBusy),
        ("an unknown code", 400, error("secret-code"), ExchangeRejected, ProviderFailed),
        ("another case", 400, error("Invalid_Grant"), ExchangeRejected, ProviderFailed),
        ("no code", 400, "{}".to_owned(), ExchangeRejected, ProviderFailed),
        ("a code that is no text", 400, r#"{"error":{"code":1}}"#.to_owned(), ExchangeRejected, ProviderFailed),
        ("an empty code", 200, error(""), ExchangeRejected, ProviderFailed),
        ("GitHub's code", 200, error("bad_verification_code"), ExchangeRejected, ProviderFailed),
        ("GitHub's refresh token", 200, error("bad_refresh_token"), ExchangeRejected, ExchangeRejected),
        ("GitHub's client", 200, error("incorrect_client_credentials"), CredentialsRejected, CredentialsRejected),
        ("GitHub's redirect URI", 200, error("redirect_uri_mismatch"), ExchangeRejected, ProviderFailed),
        ("401 alone", 401, String::new(), CredentialsRejected, CredentialsRejected),
        ("401 and an object", 401, "{}".to_owned(), CredentialsRejected, CredentialsRejected),
        ("429", 429, "slow down".to_owned(), ProviderBusy, ProviderBusy),
        ("503", 503, String::new(), ProviderBusy, ProviderBusy),
        ("500", 500, "<html>".to_owned(), ProviderFailed, ProviderFailed),
        ("502", 502, String::new(), ProviderFailed, ProviderFailed),
        ("302", 302, String::new(), ProviderAnswer, ProviderAnswer),
        ("400 and a page", 400, "<html>".to_owned(), ProviderAnswer, ProviderAnswer),
        ("403 and a page", 403, "<html>".to_owned(), ProviderAnswer, ProviderAnswer),
        ("200 and a page", 200, "<html>".to_owned(), ProviderAnswer, ProviderAnswer),
        ("200 and nothing", 200, String::new(), ProviderAnswer, ProviderAnswer),
        ("200 and a form", 200, "access_token=at&token_type=bearer".to_owned(), ProviderAnswer, ProviderAnswer),
        ("200 and an array", 200, r#"["at",null,"Bearer"]"#.to_owned(), ProviderAnswer, ProviderAnswer),
        ("200 and half", 200, r#"{"access_token":"at","token_type":"Bear"#.to_owned(), ProviderAnswer, ProviderAnswer),
        (
            "a token twice",
            200,
            r#"{"access_token":"at","access_token":"at","token_type":"Bearer"}"#.to_owned(),
            ProviderAnswer,
            ProviderAnswer,
        ),
        (
            "a token beside an error",
            200,
            r#"{"access_token":"at","token_type":"Bearer","error":"invalid_grant"}"#.to_owned(),
            ExchangeRejected,
            ExchangeRejected,
        ),
    ] {
        let response = response(status, &body);
        let code = TokenResponse::to_code(&response, now()).unwrap_err();
        let refresh = TokenResponse::to_refresh(&response, now()).unwrap_err();
        assert_eq!((code.kind(), refresh.kind()), (of_code, of_refresh), "{name}");
        for error in [code, refresh] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret-code"), "{name}: {shown}");
            assert_eq!(error.retry_after(), (error.kind() == ProviderBusy).then_some(30), "{name}");
        }
    }
    let null = r#"{"access_token":"at","token_type":"Bearer","error":null}"#;
    assert!(TokenResponse::to_code(&response(200, null), now()).is_ok(), "null is no error");
}

#[test]
fn how_long_to_wait_is_told_within_reason() {
    for (header, seconds) in [("7", 7), ("0", 1), ("86400", 600), ("soon", 30)] {
        for status in [429, 503] {
            let mut response = response(status, "");
            response.headers_mut().insert(RETRY_AFTER, header.parse().unwrap());
            let error = TokenResponse::to_code(&response, now()).unwrap_err();
            assert_eq!((error.kind(), error.retry_after()), (ErrorKind::ProviderBusy, Some(seconds)), "{header}");
        }
    }
}

#[test]
fn a_revocation_has_worked_or_not() {
    use ErrorKind::{CredentialsRejected, ProviderAnswer, ProviderBusy, ProviderFailed};
    for (name, status, body, kind) in [
        ("nothing", 200, "", None),
        ("an object", 200, "{}", None),
        ("a page", 200, "<html>", None),
        ("204", 204, "", None),
        ("over already", 400, r#"{"error":"invalid_token"}"#, None),
        ("not this sort", 400, r#"{"error":"unsupported_token_type"}"#, Some(ProviderFailed)),
        ("invalid_grant", 400, r#"{"error":"invalid_grant"}"#, Some(ProviderFailed)),
        ("the client", 401, r#"{"error":"invalid_client"}"#, Some(CredentialsRejected)),
        ("401", 401, "", Some(CredentialsRejected)),
        ("a page of 404", 404, "<html>", Some(ProviderAnswer)),
        ("503", 503, "", Some(ProviderBusy)),
        ("500", 500, "", Some(ProviderFailed)),
        ("302", 302, "", Some(ProviderAnswer)),
    ] {
        assert_eq!(check_revocation(&response(status, body)).err().map(|error| error.kind()), kind, "{name}");
    }
}
