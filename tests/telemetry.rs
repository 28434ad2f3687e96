//! What an operator sees of one whole life of a session: every metric and span, by name, unit and label, and no secret.

#![allow(missing_docs, clippy::print_stdout, reason = "tests; what is printed is there to be read")]

#[path = "support/log.rs"]
mod log;
#[path = "support/site.rs"]
mod site;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use log::Log;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use site::{CODE, NOW, Site};
use support::{Browser, navigation};
use tower::{Layer as _, ServiceExt as _};

/// Units by name, and values by name and labels.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    units: BTreeMap<String, (Option<Unit>, String)>,
    values: BTreeMap<String, f64>,
}

struct Value(Recorded, String);

impl Value {
    fn new(recorded: &Recorded, key: &Key) -> Arc<Self> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Self(recorded.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn add(&self, value: f64) {
        *self.0.0.lock().unwrap().values.entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Value {
    fn increment(&self, value: u64) {
        self.add(f64::from(u32::try_from(value).unwrap()));
    }

    fn absolute(&self, _: u64) {
        unreachable!("nothing is set");
    }
}

impl HistogramFn for Value {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{}: {value} seconds", self.1);
        self.add(1.0);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.lock().unwrap().units.insert(key.as_str().to_owned(), (unit, description.into_owned()));
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        unreachable!("there is none");
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.lock().unwrap().units.insert(key.as_str().to_owned(), (unit, description.into_owned()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Value::new(self, key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("there is none");
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Value::new(self, key))
    }
}

/// A token answer whose tokens end after this many seconds of 2026-09-06.
fn pair(number: u32, ends_in: u64) -> String {
    let ends = (NOW + ends_in) * 1000;
    format!(
        r#"{{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
        "bitbadgesAddress":"{}","verificationResponse":{{"success":true}},"token_type":"Bearer",
        "access_token":"access-secret-{number}","access_token_expires_at":{ends},
        "refresh_token":"refresh-secret-{number}","refresh_token_expires_at":{ends}}}"#,
        site::BOB
    )
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_whole_life_is_seen_by_its_names_and_no_secret_is() {
    let recorded = Recorded::default();
    let _recorder = metrics::set_default_local_recorder(&recorded);
    Log::start_with(tracing_subscriber::fmt::format::FmtSpan::NEW);
    let site = Site::with(|builder| {
        let builder = builder.keep_tokens().session_idle_timeout(Duration::from_secs(6000));
        builder.recheck_every(Duration::from_secs(3000))
    });
    let mut browser = Browser::new();
    let refused = site.get(&mut browser, "/api/callback").await;
    assert_eq!(refused.status(), 400);
    site.upstream.answer(500, "{}");
    let started = site.start(&mut browser, "/").await;
    assert_eq!(site.get(&mut browser, &started.callback("bad")).await.status(), 502);
    site.upstream.answer(200, pair(1, 3600));
    let started = site.start(&mut browser, "/").await;
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
    site.clock.advance(Duration::from_secs(1000));
    assert_eq!(site.get(&mut browser, "/").await.headers().get_all("set-cookie").iter().count(), 1, "renewed");
    // A check and a refresh, each of which fails first. In their last minute tokens are not asked after.
    let answers = [(503, "{}".to_owned()), (200, r#"{"signedIn":true}"#.to_owned()), (503, "{}".to_owned())];
    for ((status, answer), by) in answers.into_iter().chain([(200, pair(2, 90_000))]).zip([2000, 400, 160, 30]) {
        site.upstream.answer(status, answer);
        site.clock.advance(Duration::from_secs(by));
        site.get(&mut browser, "/").await;
    }
    let started = site.start(&mut browser, "/").await;
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "signed in anew");
    site.upstream.answer(200, "{}");
    let sign_out = navigation(Method::POST, "/api/logout", "same-origin");
    let done: Response<Bytes> = site.visit(&mut browser, sign_out).await;
    assert_eq!(done.status(), 303);
    settle().await;

    let tables = recorded.0.lock().unwrap();
    let text = Log::text();
    let spans: BTreeSet<_> = text.lines().filter(|line| line.ends_with("new")).map(span_and_fields).collect();
    println!("{:#?}\n{:#?}\n{spans:#?}\n{text}", tables.units, tables.values);
    let expected = [
        ("tower_signin_exchange_seconds{outcome=provider_failed}", 1.0),
        ("tower_signin_exchange_seconds{outcome=success}", 2.0),
        ("tower_signin_recheck_seconds{outcome=provider_failed}", 1.0),
        ("tower_signin_recheck_seconds{outcome=success}", 1.0),
        ("tower_signin_refresh_seconds{outcome=provider_failed}", 1.0),
        ("tower_signin_refresh_seconds{outcome=success}", 1.0),
        ("tower_signin_refusals_total{code=callback_malformed}", 1.0),
        ("tower_signin_refusals_total{code=provider_failed}", 1.0),
        ("tower_signin_revoke_seconds{outcome=success}", 1.0),
        ("tower_signin_sessions_ended_total{reason=replaced}", 1.0),
        ("tower_signin_sessions_ended_total{reason=signed_out}", 1.0),
        ("tower_signin_sessions_opened_total{}", 2.0),
        ("tower_signin_sessions_renewed_total{}", 3.0),
        ("tower_signin_sign_ins_total{outcome=provider_failed}", 1.0),
        ("tower_signin_sign_ins_total{outcome=success}", 2.0),
    ];
    let values: Vec<_> = tables.values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(values, expected);

    let documented = include_str!("../docs/metrics.md");
    let units: Vec<_> = tables.units.iter().map(|(name, (unit, _))| (name.as_str(), *unit)).collect();
    assert_eq!(units.len(), 9);
    for (name, unit) in units {
        let expected = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        assert_eq!(unit, Some(expected), "{name}");
        assert!(documented.contains(&format!("| `{name}` |")), "{name} is not in docs/metrics.md");
        assert!(values.iter().any(|(seen, _)| seen.starts_with(name)), "{name} was never seen");
    }
    let expected = [("recheck", "session"), ("refresh", "session"), ("revoke", "session"), ("sign_in", "flow_id")];
    assert_eq!(spans.iter().map(|(span, fields)| (span.as_str(), fields.as_str())).collect::<Vec<_>>(), expected);
    for (span, field) in expected {
        assert!(documented.contains(&format!("| `{span}` | INFO | `{field}` |")), "{span} is not in docs/metrics.md");
    }

    let seen = format!("{text}{:?}", tables.values);
    for secret in ["access-secret", "refresh-secret", CODE, &started.state, &started.state[..26], site::SECRET] {
        assert!(!seen.contains(secret), "{secret} is seen: {seen}");
    }
    let id = text.lines().find_map(|line| line.split("flow_id=").nth(1)).unwrap()[..16].to_owned();
    assert!(text.matches(&id).count() >= 2, "the same at login and at the callback");
}

#[tokio::test]
async fn a_session_whose_time_is_up_is_counted_where_a_response_deletes_it() {
    let recorded = Recorded::default();
    let _recorder = metrics::set_default_local_recorder(&recorded);
    let ended = || {
        let tables = recorded.0.lock().unwrap();
        let ended = tables.values.iter().filter(|(name, _)| name.starts_with("tower_signin_sessions_ended_total"));
        ended.map(|(name, value)| (name.rsplit('=').next().unwrap().to_owned(), *value)).collect::<Vec<_>>()
    };
    let expired = |times: f64| vec![("expired}".to_owned(), times)];

    let site = Site::with(|builder| builder.session_lifetime(Duration::from_secs(3600)));
    let mut bob = site.signed_in().await;
    let waiting = Arc::new(Mutex::new(None));
    let place = Arc::clone(&waiting);
    let inner = tower::service_fn(move |request: http::Request<()>| {
        if let Some(identity) = request.extensions().get::<tower_signin::Identity>() {
            *place.lock().unwrap() = Some(identity.ended());
        }
        let response = Response::builder().header("cache-control", "public, max-age=60").body(());
        std::future::ready(Ok::<_, std::convert::Infallible>(response.unwrap()))
    });
    let public = site.sign_in.layer().layer(inner);
    let ask_public = async || {
        let request = http::Request::get("/").header("cookie", bob.cookie_header().unwrap()).body(()).unwrap();
        public.clone().oneshot(request).await.unwrap()
    };
    ask_public().await;
    site.clock.advance(Duration::from_secs(3600));
    let waiting = waiting.lock().unwrap().take().expect("a session");
    assert_eq!(waiting.await, tower_signin::SessionEnd::Expired);
    ask_public().await;
    let mut copies = [bob.clone(), bob.clone(), bob.clone(), bob.clone()];
    assert_eq!(site.get(&mut copies[0], &site.login("/")).await.status(), 303);
    assert_eq!(site.complete(&mut copies[1], "/").await.status(), 303);
    site.visit(&mut copies[2], navigation(Method::POST, "/api/logout", "same-origin")).await;
    let forged = copies[3].jar.get_mut("__Host-signin").unwrap();
    let other = if forged[60..].starts_with('A') { "B" } else { "A" };
    forged.replace_range(60..61, other);
    assert_eq!(site.get(&mut copies[3], "/").await.headers().get_all("set-cookie").iter().count(), 1, "forged");
    assert_eq!(ended(), []);

    let mut copy = bob.clone();
    site.get(&mut bob, "/").await;
    assert!(!bob.jar.contains_key("__Host-signin"));
    assert_eq!(ended(), expired(1.0));
    site.get(&mut bob, "/").await;
    assert_eq!(ended(), expired(1.0));
    site.get(&mut copy, "/").await;
    assert_eq!(ended(), expired(2.0), "a copy counts once more");
}

/// `sign_in{flow_id=…}: … new` as the span's name and its fields' names.
fn span_and_fields(line: &str) -> (String, String) {
    let start = line.find(" INFO ").expect("every span is INFO") + 6;
    let last = line[start..].split("}: ").next().unwrap();
    let (name, fields) = last.rsplit_once('{').expect("fields");
    let fields: Vec<_> = fields.split(' ').filter_map(|field| field.split('=').next()).collect();
    (name.trim().to_owned(), fields.join(" "))
}
