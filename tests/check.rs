//! `SignIn::check`: what operators are told, of a good set-up and of every broken one.

#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET, DevProvider, Fault, Mode, Route};
use tower_signin::{
    AuthorizationRequest, BoxFuture, Builder, Context, Error, ErrorKind, Finding, Grant, HttpClient, HttpError,
    HttpErrorKind, Keys, ManualClock, Provider, Report, SignIn, Siwbb, ValidatedCode, Verdict,
};

const REDIRECT_URI: &str = "http://localhost:3000/auth/callback";
const RING_KEY: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";

#[tokio::test]
async fn a_good_set_up() {
    let dev = DevProvider::start().await.unwrap();
    let report = check(dev.siwbb(), |builder| builder).await;
    let origin = dev.origin();
    let accepted = "BitBadges accepts it: a made-up code is refused for the code alone";
    let expected = format!(
        "\
ok       redirect_uri   on loopback, so only browsers on this machine come back to it; whether it is registered can't be \
asked, and it must be, byte for byte: {REDIRECT_URI}
ok       cookies        signin-3000: sent in clear, and named after port 3000, since cookies ignore ports; for localhost only
ok       keys           1 key; every node needs this one, and one from Keys::generate ends all sessions with the process
ok       connection     3 requests to {origin}, all answered
ok       clock          +0 s: this machine is in step with the provider
ok       api            BitBadges answers at {origin}
ok       api_key        BitBadges accepts it
ok       api_credits    there are some; this check used 3
ok       client_id      {accepted}
ok       client_secret  {accepted}, and with another secret for the secret"
    );
    assert_eq!(report.to_string(), expected);
    assert!(report.is_ok());

    let paths: Vec<_> = dev.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/api/v0/auth/status", "/api/v0/siwbb/token", "/api/v0/siwbb/token"]);
}

#[tokio::test]
async fn a_public_set_up() {
    let sign_in = SignIn::builder(Siwbb::new("id", "secret", "key"))
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::parse(&format!("{RING_KEY},AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")).unwrap())
        .http_client(Fails(HttpErrorKind::Unreachable));
    let report = sign_in.build().unwrap().check().await;
    let line = line(&report, "redirect_uri");
    assert!(line.starts_with("ok       redirect_uri   https; "), "{line}");
    assert!(line.ends_with(" byte for byte: https://app.example.com/auth/callback"), "{line}");
    says(&report, "cookies", "ok", "__Host-signin: browsers keep it only from https://app.example.com itself");
    says(&report, "keys", "ok", "2 keys: the first one seals, every one opens");
    says(&report, "connection", "failed", "https://api.bitbadges.io: ");
}

#[tokio::test]
async fn wrong_credentials() {
    let dev = DevProvider::start().await.unwrap();
    let url = dev.origin();

    let wrong_key = Siwbb::new(CLIENT_ID, CLIENT_SECRET, "wrong-key").base_urls(url, url);
    let report = check(wrong_key, |builder| builder).await;
    says(
        &report,
        "api_key",
        "failed",
        "BitBadges refuses it (status 401); remedy: copy it again from bitbadges.io/developer",
    );
    says(&report, "connection", "ok", &format!("1 request to {url}, answered"));
    says(&report, "api", "ok", "BitBadges answers");
    says(&report, "client_secret", "skipped", "needs an API key that is accepted");
    assert_eq!(dev.requests().len(), 1, "nothing is paid for what can't be told");

    for mode in [Mode::Strict, Mode::Legacy2024] {
        dev.set_mode(mode);
        dev.set_fault(None);
        let wrong_secret = Siwbb::new(CLIENT_ID, "wrong-secret", API_KEY).base_urls(url, url);
        let wrong_id = Siwbb::new("wrong-id", CLIENT_SECRET, API_KEY).base_urls(url, url);
        if mode == Mode::Legacy2024 {
            // That server looks at the code first, so nothing can be told of the rest.
            for provider in [dev.siwbb(), wrong_secret, wrong_id] {
                let report = check(provider, |builder| builder).await;
                for name in ["client_id", "client_secret"] {
                    says(&report, name, "skipped", "BitBadges looks at the code first, so only a sign-in tells");
                }
                assert!(report.is_ok());
            }
            continue;
        }
        let report = check(wrong_secret, |builder| builder).await;
        says(&report, "client_secret", "failed", "BitBadges says that it is invalid; remedy: copy it again");
        says(&report, "client_id", "skipped", "BitBadges complained of the client secret first");
        assert!(!report.to_string().contains("wrong-secret"), "{report}");
        let report = check(wrong_id, |builder| builder).await;
        says(&report, "client_id", "failed", "BitBadges says that there is no such client id");
        says(&report, "client_secret", "skipped", "BitBadges complained of the client id first");
    }
}

#[tokio::test]
async fn an_api_that_does_not_let_us() {
    let dev = DevProvider::start().await.unwrap();
    for (fault, name, verdict, text) in [
        (
            Fault::Refused,
            "api_credits",
            "failed",
            "none are left (status 402); remedy: top up at bitbadges.io/developer",
        ),
        (Fault::RateLimited(None), "api", "warning", "it limits the rate, and nobody signs in meanwhile (status 429)"),
        (Fault::NoApiKey, "api_key", "failed", "BitBadges refuses it (status 401)"),
        (
            Fault::Html,
            "api",
            "failed",
            &*format!("what answers at {} is not BitBadges' API (status 200)", dev.origin()),
        ),
        (Fault::Truncated, "api", "failed", "what answers"),
        (Fault::Redirect, "api", "failed", "what answers"),
        (Fault::BadGateway, "api", "failed", &format!("what answers at {} is out of order (status 502)", dev.origin())),
        (Fault::ServerError, "api", "failed", "what answers"),
        (Fault::Reset, "connection", "failed", &format!("{}: the connection ended before", dev.origin())),
        (
            Fault::Oversized { declared: false },
            "connection",
            "failed",
            &format!("{}: the answer was larger", dev.origin()),
        ),
    ] {
        dev.clear_requests();
        dev.set_fault_on(Route::Status, Some(fault.clone()));
        let report = check(dev.siwbb(), |builder| builder).await;
        says(&report, name, verdict, text);
        for other in ["api_key", "client_id", "client_secret"].into_iter().filter(|other| *other != name) {
            assert_eq!(of(&report, other).verdict(), Verdict::Skipped, "{fault:?}: {report}");
        }
        assert_eq!(report.is_ok(), verdict != "failed", "{fault:?}: {report}");
        assert_eq!(dev.requests().len(), 1, "{fault:?}");
    }
}

/// What stands between us and the API may say 401 or 402 as well.
#[tokio::test]
async fn what_is_not_the_api_says_nothing_of_keys_and_credits() {
    for status in [401, 402] {
        let answers = Answers(Box::new(move |_| (status, "<html>".to_owned())));
        let report = check(Siwbb::new("id", "secret", "key"), |builder| builder.http_client(answers)).await;
        says(&report, "api", "failed", "what answers at https://api.bitbadges.io is not BitBadges' API");
        for name in ["api_key", "api_credits"] {
            says(&report, name, "skipped", "see `api`");
        }
    }
}

/// A refusal for another reason may have any text in it.
#[tokio::test]
async fn a_text_counts_with_its_status_only() {
    for (status, text) in [(402, "Invalid client secret"), (429, "Invalid code"), (401, "Invalid code")] {
        let answers = Answers(Box::new(move |path| match path {
            "/api/v0/auth/status" => (200, r#"{"signedIn":false}"#.to_owned()),
            _ => (status, format!(r#"{{"errorMessage":"{text}"}}"#)),
        }));
        let report = check(Siwbb::new("id", "secret", "key"), |builder| builder.http_client(answers)).await;
        let unknown = "BitBadges answered nothing that is known to be about them";
        says(&report, "client_secret", "skipped", unknown);
    }
}

#[tokio::test]
async fn texts_of_the_token_route() {
    let dev = DevProvider::start().await.unwrap();
    let text = |text: &str| Fault::ServerErrorText(text.to_owned());
    let no_doc = |id: &str, collection: &str| {
        text(&format!("Error in mustGetFromDB(): Could not find doc w/ id {id} in {collection}"))
    };
    for (fault, name, verdict, found) in [
        (no_doc(CLIENT_ID, "auth-apps"), "client_id", "failed", "BitBadges says that there is no such client id"),
        (no_doc("5f6d", "auth-codes"), "client_id", "skipped", "BitBadges looks at the code first"),
        (text("Invalid client secret."), "client_secret", "failed", "BitBadges says that it is invalid"),
        (text("Invalid redirect URI."), "registration", "failed", "BitBadges says that the redirect URI is not among"),
        // Not a 401, so it may be the code that is of no such client.
        (
            text("Invalid client ID or redirect URI."),
            "client_id",
            "skipped",
            "BitBadges answered nothing that is known",
        ),
        (
            text("Something new"),
            "client_secret",
            "skipped",
            "BitBadges answered nothing that is known to be about them",
        ),
        (text(""), "client_id", "skipped", "BitBadges answered nothing that is known to be about them"),
        (Fault::BadRequest, "client_secret", "skipped", "BitBadges looks at the code first"),
        (Fault::BadGateway, "client_secret", "skipped", "BitBadges answered nothing that is known to be about them"),
        (Fault::Html, "client_secret", "skipped", "BitBadges answered nothing that is known to be about them"),
        (Fault::Refused, "client_secret", "skipped", "BitBadges answered nothing that is known to be about them"),
        (Fault::BadApiKey, "client_secret", "skipped", "BitBadges answered nothing that is known to be about them"),
    ] {
        dev.set_fault(Some(fault.clone()));
        let report = check(dev.siwbb(), |builder| builder).await;
        says(&report, name, verdict, found);
        says(&report, "api_key", "ok", "BitBadges accepts it");
        assert_eq!(report.is_ok(), verdict != "failed", "{fault:?}: {report}");
        for secret in [CLIENT_SECRET, API_KEY, &"0".repeat(64)] {
            assert!(!format!("{report} {report:?}").contains(secret), "{fault:?}: {report:?}");
        }
    }

    dev.set_fault(Some(Fault::Reset));
    let report = check(dev.siwbb(), |builder| builder).await;
    says(&report, "connection", "warning", "1 of 2 requests to ");
    assert!(report.is_ok());
}

#[tokio::test]
async fn no_way_to_the_provider() {
    let dev = DevProvider::start().await.unwrap();
    let (provider, origin) = (dev.siwbb(), dev.origin().to_owned());
    drop(dev);
    tokio::task::yield_now().await;
    let report = check(provider.clone(), |builder| builder).await;
    says(&report, "connection", "failed", &format!("{origin}: no connection could be made ("));
    assert!(of(&report, "connection").found().contains("refused"), "what was at the bottom of it: {report}");
    says(&report, "clock", "skipped", "no answer told the provider's time");
    says(&report, "api", "skipped", "no answer came, see `connection`");
    assert!(!report.is_ok());

    for (kind, found, remedy) in [
        (HttpErrorKind::Unreachable, "no connection could be made", "see that the name resolves here"),
        (HttpErrorKind::Timeout, "no answer came in time", "see that a firewall does not swallow"),
        (HttpErrorKind::Insecure, "the URL is neither https nor on a loopback host", "give the provider https URLs"),
        (HttpErrorKind::Interrupted, "the connection ended before the answer was whole", "look for a proxy in between"),
        (HttpErrorKind::TooLarge, "the answer was larger than 256 KiB", "look for a proxy in between"),
    ] {
        let report = check(provider.clone(), |builder| builder.http_client(Fails(kind))).await;
        says(&report, "connection", "failed", &format!("{origin}: {found}; remedy: {remedy}"));
        assert!(!report.is_ok(), "{kind:?}");
    }
}

#[tokio::test]
async fn u21_a_clock_that_is_wrong() {
    let dev = DevProvider::start().await.unwrap();
    let now = SystemTime::now();
    let remedy = "remedy: have it set by NTP";
    for (clock, verdict, signs, found) in [
        (now + Duration::from_secs(120), "failed", ["+119 s", "+120 s"], "this machine is ahead of the provider"),
        (now - Duration::from_secs(120), "failed", ["-121 s", "-120 s"], "this machine is behind the provider"),
        (now + Duration::from_secs(30), "warning", ["+29 s", "+30 s"], "this machine is ahead of the provider"),
        (now - Duration::from_secs(30), "warning", ["-31 s", "-30 s"], "this machine is behind the provider"),
    ] {
        let clock = Arc::new(ManualClock::new(clock));
        let report = check(dev.siwbb(), |builder| builder.clock(clock)).await;
        let finding = of(&report, "clock");
        assert_eq!(finding.verdict().as_str(), verdict, "{report}");
        assert!(
            signs.iter().any(|sign| finding.to_string().contains(&format!("{sign}: {found}; {remedy}"))),
            "{report}"
        );
        assert_eq!(report.is_ok(), verdict == "warning", "{report}");
    }
}

#[tokio::test]
async fn a_provider_of_somebody_elses() {
    let report = check(Silent, |builder| builder).await;
    says(&report, "connection", "skipped", "nothing was sent to the provider");
    says(&report, "clock", "skipped", "no answer told the provider's time");
    says(&report, "provider", "skipped", "http://localhost:1 offers no check of its own");
    assert!(report.is_ok());
}

#[tokio::test]
async fn it_runs_in_a_task_of_its_own() {
    let dev = DevProvider::start().await.unwrap();
    let sign_in = sign_in(dev.siwbb(), |builder| builder);
    let report = tokio::spawn(async move { sign_in.check().await }).await.unwrap();
    assert!(report.is_ok(), "{report}");
}

fn sign_in(provider: impl Provider, configure: impl FnOnce(Builder) -> Builder) -> SignIn {
    let builder = SignIn::builder(provider).redirect_uri(REDIRECT_URI).keys(Keys::parse(RING_KEY).unwrap());
    configure(builder).build().unwrap()
}

/// The report, none of whose secrets are seen in it, each finding of which is one line, and whose bad ones have remedies.
async fn check(provider: impl Provider, configure: impl FnOnce(Builder) -> Builder) -> Report {
    let report = sign_in(provider, configure).check().await;
    let text = report.to_string();
    assert_eq!(text.lines().count(), report.findings().len(), "{text}");
    for secret in [CLIENT_SECRET, API_KEY, RING_KEY] {
        assert!(!format!("{text} {report:?}").contains(secret), "{report:?}");
    }
    for finding in report.findings() {
        let is_bad = matches!(finding.verdict(), Verdict::Warning | Verdict::Failed);
        assert_eq!(finding.remedy().is_some(), is_bad, "{finding}");
        assert!(!finding.found().is_empty(), "{finding}");
    }
    report
}

fn of<'a>(report: &'a Report, name: &str) -> &'a Finding {
    let mut named = report.findings().iter().filter(|finding| finding.name() == name);
    let finding = named.next().unwrap_or_else(|| panic!("{name} is not in:\n{report}"));
    assert!(named.next().is_none(), "{name} is there twice:\n{report}");
    finding
}

fn line(report: &Report, name: &str) -> String {
    of(report, name).to_string()
}

/// The line of `name` as it is printed.
#[track_caller]
fn says(report: &Report, name: &str, verdict: &str, found: &str) {
    let line = line(report, name);
    assert!(line.starts_with(&format!("{verdict:<8} {name:<14} {found}")), "{line:?} is not {verdict}: {found}");
}

/// There is no way out.
struct Fails(HttpErrorKind);

impl HttpClient for Fails {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async { Err(HttpError::new(self.0)) })
    }
}

/// Answers by the path, with a status and a body.
struct Answers(Box<dyn Fn(&str) -> (u16, String) + Send + Sync>);

impl HttpClient for Answers {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let (status, body) = (self.0)(request.uri().path());
        Box::pin(async move { Ok(Response::builder().status(status).body(body.into()).unwrap()) })
    }
}

/// A provider that checks nothing.
struct Silent;

impl Provider for Silent {
    fn issuer(&self) -> &str {
        "http://localhost:1"
    }

    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }

    fn authorization_url(&self, _: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Err(ErrorKind::Unsupported.into())
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }
}
