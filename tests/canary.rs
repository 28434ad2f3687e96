//! No secret is ever seen: everything that is logged, shown, answered or handed on over whole sign-ins and every failure
//! is collected and searched.

#![allow(missing_docs, reason = "tests")]

#[path = "canary/app.rs"]
mod app;
mod support;
#[path = "canary/told.rs"]
mod told;
#[path = "canary/watched.rs"]
mod watched;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app::App;
use support::Browser;
use tower_signin::WhenUnchecked;
use tower_signin::dev::{API_KEY, CLIENT_SECRET, Fault, Mode};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use watched::Metrics;

const RING_KEY: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";

/// Everything that anybody could see.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    fn add(&self, what: &str, thing: &dyn Debug) {
        self.0.lock().unwrap().extend_from_slice(format!("{what}: {thing:?} {thing:#?}\n").as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What must not be seen, each with a name.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<BTreeMap<String, String>>>);

impl Secrets {
    fn add(&self, name: &str, value: &str) {
        assert!(value.len() >= 8, "{name} is too short to search for: {value:?}");
        self.0.lock().unwrap().insert(value.to_owned(), name.to_owned());
    }

    /// Takes code, state and the halves of the state from a callback URL.
    fn add_callback(&self, callback: &str) {
        for (name, value) in url::Url::parse(callback).unwrap().query_pairs() {
            match &*name {
                "code" => self.add("code", &value),
                "state" => {
                    self.add("state", &value);
                    self.add("secret half of the state", &value[26..]);
                }
                _ => {}
            }
        }
    }
}

/// Bytes as `Debug` shows them among others.
fn as_shown(bytes: &[u8]) -> String {
    format!("{bytes:?}").trim_matches(['[', ']']).to_owned()
}

#[tokio::test]
async fn no_secret_is_ever_seen() {
    let (seen, secrets) = (Seen::default(), Secrets::default());
    let writer = seen.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(BoxMakeWriter::new(move || writer.clone()))
        .init();
    metrics::set_global_recorder(Metrics(seen.clone())).ok().unwrap();
    secrets.add("client secret", CLIENT_SECRET);
    secrets.add("API key", API_KEY);
    secrets.add("ring key", RING_KEY);
    let raw = [0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89];
    secrets.add("bytes of the ring key", &as_shown(&raw));

    for forward in [false, true] {
        let app = App::start(&seen, &secrets, |it, _| if forward { it.forward_callback() } else { it }).await;
        app.sign_in(&mut Browser::new(), "/without-the-claim").await;
        app.dev.set_claim_success("canary-claim", &support::alice(), 1);
        for target in ["/home", "/refused", "/fails", "/panics", "/refused-by-handler"] {
            app.sign_in(&mut Browser::new(), target).await;
        }
        for fault in faults() {
            app.dev.set_fault(Some(fault));
            app.sign_in(&mut Browser::new(), "/fault").await;
        }
        app.dev.set_fault(None);
        app.dev.set_mode(Mode::Legacy2024);
        app.sign_in(&mut Browser::new(), "/legacy").await;

        let mut browser = Browser::new();
        let denied = app.dev.deny(&browser.start(&app.origin, "/denied").await).unwrap();
        secrets.add_callback(&denied);
        app.watch_answer("denied", &browser.get(&denied).await);
        let changed = denied.replace("error=access_denied", "code=canary-code-in-a-bad-callback&code=2");
        secrets.add("code of a bad callback", "canary-code-in-a-bad-callback");
        app.watch_answer("malformed", &browser.get(&changed).await);
        app.watch_answer("logout", &browser.post(&format!("{}/auth/logout", app.origin), "").await);
        app.note_exchanges();
    }

    let month = Duration::from_secs(30 * 24 * 60 * 60);
    let app = App::start(&seen, &secrets, |it, _| it.keep_tokens().session_lifetime(month)).await;
    app.dev.set_claim_success("canary-claim", &support::alice(), 1);
    for fault in [None].into_iter().chain(faults().into_iter().map(Some)) {
        app.keep(fault).await;
    }
    let app = App::start(&seen, &secrets, |it, store| {
        let it =
            it.keep_tokens().session_lifetime(month).session_store(store.clone()).hide_cookies().forward_callback();
        it.recheck_every(Duration::from_secs(600)).recheck_outage(Duration::from_secs(3600), WhenUnchecked::Unavailable)
    })
    .await;
    app.dev.set_claim_success("canary-claim", &support::alice(), 1);
    // A dump of what was sent, a text that is known, one that is not, and no answer.
    let unknown = Fault::ServerErrorText("canary".to_owned());
    for fault in [Fault::BadRequest, Fault::BadApiKey, unknown, Fault::Reset] {
        app.recheck(Some(&fault)).await;
        app.check(Some(fault)).await;
    }
    app.recheck(None).await;
    app.check(None).await;
    app.without_store().await;
    app.note_exchanges();
    let app = App::start(&seen, &secrets, |it, _| it).await;
    app.dev.set_claim_success("canary-claim", &support::alice(), 1);
    app.circles().await;
    told::told(&seen, &secrets).await;
    // A revocation that nobody waits for is on its way.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    app.note_exchanges();

    let seen = seen.text();
    for expected in [
        "signed in",
        "sign-in failed",
        "exchange_rejected",
        "original uri",
        "tokens refreshed",
        "refresh refused",
        "tokens could not be refreshed",
        "tokens revoked",
        "tokens could not be revoked",
        "session_unavailable",
        "the provider stands by the session",
        "a session could not be checked again",
        "session store",
        "still in the session store",
        "canary store",
        "sign_in_loop",
        "signed out by the page",
        "signed out at the provider",
        "signed out in a frame of the provider",
        "the application ends the sessions of a person",
        "logout_token_rejected",
        "logout_token_missing",
        "RedisStore",
        "BitBadges refuses it (status 401)",
        "tower_signin_recheck_seconds",
        "tower_signin_refusals_total",
        "hyper",
        "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d",
    ] {
        assert!(seen.contains(expected), "the net has a hole: {expected:?} was not seen");
    }
    let secrets = secrets.0.lock().unwrap();
    assert!(secrets.len() > 100, "only {} secrets were noted", secrets.len());
    for (secret, name) in secrets.iter() {
        if let Some(at) = seen.find(secret.as_str()) {
            let around: String = seen[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{name} was seen, after: {around}");
        }
    }
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::NotVerified,
        Fault::NotVerified401,
        Fault::NoVerificationResponse,
        Fault::AddressMismatch,
        Fault::NoBitbadgesAddress,
        Fault::ServerError,
        Fault::ServerErrorText("Invalid client secret.".to_owned()),
        Fault::BadRequest,
        Fault::BadApiKey,
        Fault::NoApiKey,
        Fault::Refused,
        Fault::RateLimited(Some(7)),
        Fault::BadGateway,
        Fault::Html,
        Fault::Truncated,
        Fault::CutOff,
        Fault::Reset,
        Fault::Redirect,
        Fault::WrongContentType,
    ]
}
