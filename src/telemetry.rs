//! What operators see: counters and latencies, with the feature `metrics`, by the `metrics` crate's facade; install a
//! recorder of that crate to read them.
//!
//! Every name and label, and nothing else; no label holds anything of a person or a request.

use std::future::Future;
use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::session::registry::SessionEnd;

/// Every counter, with its label and what it counts. `docs/metrics.md` says the same.
#[cfg(feature = "metrics")]
const COUNTERS: [(&str, &str); 5] = [
    (SIGN_INS, "Sign-ins that came to their end, by outcome: success, an error code, or refused_by_handler."),
    (REFUSALS, "Answers that told somebody no, by error code."),
    (OPENED, "Responses that carried a new session."),
    (RENEWED, "Responses that carried a session anew, and in a store, sessions whose end was moved."),
    (
        ENDED,
        "Sessions that were ended, by reason; expired where a response deleted one whose time was up or that the store had no more.",
    ),
];

#[cfg(feature = "metrics")]
const LATENCIES: [(&str, &str); 4] = [
    (EXCHANGE, "How long a code took to become a person, gates included, by outcome."),
    (REFRESH, "How long a refresh of tokens took, by outcome."),
    (RECHECK, "How long it took to ask again whether the provider stands by a session, by outcome."),
    (REVOKE, "How long it took to revoke tokens, by outcome."),
];

const SIGN_INS: &str = "tower_signin_sign_ins_total";
const REFUSALS: &str = "tower_signin_refusals_total";
const OPENED: &str = "tower_signin_sessions_opened_total";
const RENEWED: &str = "tower_signin_sessions_renewed_total";
const ENDED: &str = "tower_signin_sessions_ended_total";
const EXCHANGE: &str = "tower_signin_exchange_seconds";
const REFRESH: &str = "tower_signin_refresh_seconds";
const RECHECK: &str = "tower_signin_recheck_seconds";
const REVOKE: &str = "tower_signin_revoke_seconds";

/// Tells the recorder, if one is installed, what there is.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    {
        for (name, description) in COUNTERS {
            metrics::describe_counter!(name, metrics::Unit::Count, description);
        }
        for (name, description) in LATENCIES {
            metrics::describe_histogram!(name, metrics::Unit::Seconds, description);
        }
    }
}

/// The calls to the provider that are timed.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// The code, with every check and gate.
    Exchange,
    Refresh,
    Recheck,
    Revoke,
}

/// A sign-in came to its end.
pub(crate) fn sign_in_ended(outcome: &'static str) {
    count(SIGN_INS, "outcome", outcome);
}

/// Somebody was told no.
pub(crate) fn refused(kind: ErrorKind) {
    count(REFUSALS, "code", kind.code());
}

pub(crate) fn session_opened() {
    count(OPENED, "", "");
}

pub(crate) fn session_renewed() {
    count(RENEWED, "", "");
}

pub(crate) fn session_ended(end: SessionEnd) {
    count(ENDED, "reason", end.code());
}

/// Times a call to the provider.
pub(crate) async fn timed<T>(call: Call, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let began = Instant::now();
    let answer = answer.await;
    let outcome = answer.as_ref().err().map_or("success", |error| error.kind().code());
    let name = match call {
        Call::Exchange => EXCHANGE,
        Call::Refresh => REFRESH,
        Call::Recheck => RECHECK,
        Call::Revoke => REVOKE,
    };
    record(name, outcome, began.elapsed().as_secs_f64());
    answer
}

#[cfg(feature = "metrics")]
fn count(name: &'static str, label: &'static str, value: &'static str) {
    if label.is_empty() {
        metrics::counter!(name).increment(1);
    } else {
        metrics::counter!(name, label => value).increment(1);
    }
}

#[cfg(feature = "metrics")]
fn record(name: &'static str, outcome: &'static str, seconds: f64) {
    metrics::histogram!(name, "outcome" => outcome).record(seconds);
}

#[cfg(not(feature = "metrics"))]
fn count(_: &'static str, _: &'static str, _: &'static str) {}

#[cfg(not(feature = "metrics"))]
fn record(_: &'static str, _: &'static str, _: f64) {}
