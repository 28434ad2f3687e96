//! The example programs, run as they are and used as a person would. `cargo test` builds them; before
//! `cargo test --test examples` alone, `cargo build --examples` does.

#![allow(missing_docs, reason = "tests")]

#[path = "support/redis_server.rs"]
mod server;
mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures_util::SinkExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::uri::PathAndQuery;
use support::{Browser, alice, location, text};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower_signin::dev::Account;

const CREDENTIALS: [&str; 3] = ["BITBADGES_CLIENT_ID", "BITBADGES_CLIENT_SECRET", "BITBADGES_API_KEY"];

/// Of the other providers of the example `providers`.
const PAIRS: [&str; 4] = ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"];

/// The examples with BitBadges alone.
const NAMES: [&str; 5] = ["axum", "axum_forward", "hyper", "tonic", "websocket"];

/// No example takes longer to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn axum_signs_a_person_in_and_out() {
    signs_a_person_in_and_out(&Example::start("axum", &[]).await).await;
}

#[tokio::test]
async fn axum_has_the_tokens_of_who_is_signed_in() {
    let example = Example::start("axum", &[]).await;
    let tokens = format!("{}/tokens", example.origin);
    let mut browser = Browser::new();
    browser.sign_in(&example.origin, "/").await;
    let answer = browser.get(&tokens).await;
    let words = text(&answer);
    assert!(words.starts_with("The access token ends in 86") && words.ends_with("is refreshed before."), "{words}");
    browser.post(&format!("{}/auth/logout", example.origin), "").await;
    assert_eq!(browser.get(&tokens).await.status(), 303, "only for people who are signed in");
}

#[tokio::test]
async fn axum_forward_signs_a_person_in_and_out() {
    signs_a_person_in_and_out(&Example::start("axum_forward", &[]).await).await;
}

#[tokio::test]
async fn hyper_signs_a_person_in_and_out() {
    signs_a_person_in_and_out(&Example::start("hyper", &[]).await).await;
}

#[tokio::test]
async fn tonic_signs_a_person_in_and_out() {
    signs_a_person_in_and_out(&Example::start("tonic", &[]).await).await;
}

#[tokio::test]
async fn a_grpc_client_is_who_the_cookie_says() {
    let example = Example::start("tonic", &[]).await;
    let mut browser = Browser::new();
    browser.sign_in(&example.origin, "/").await;
    let cookie = session_cookie(&browser);
    let tampered = format!("{}A", &cookie[..cookie.len() - 2]);

    assert_eq!(who_am_i(&example.origin, Some(&cookie)).await.expect("a subject"), alice());
    for (name, cookie) in [("no cookie", None), ("a tampered cookie", Some(tampered.as_str()))] {
        let status = who_am_i(&example.origin, cookie).await.expect_err(name);
        assert_eq!(status.code(), Code::Unauthenticated, "{name}: {status:?}");
    }

    assert_eq!(client_mode(&[&example.origin, &cookie]).await, alice());
    assert!(client_mode(&[&example.origin]).await.starts_with("status 16: "));
}

#[tokio::test]
async fn a_web_socket_is_for_who_is_signed_in_and_closes_when_their_session_ends() {
    let example = Example::start("websocket", &[]).await;
    for (name, cookie) in [("no cookie", None), ("a planted cookie", Some(format!("signin-{}=x", example.port)))] {
        match open_socket(&example, cookie.as_deref()).await {
            Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 401, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut browser = Browser::new();
    browser.sign_in(&example.origin, "/").await;
    let mut other_browser = Browser::new();
    other_browser.sign_in(&example.origin, "/").await;
    let mut tab = open_socket(&example, Some(&session_cookie(&browser))).await.unwrap();
    let mut other = open_socket(&example, Some(&session_cookie(&other_browser))).await.unwrap();
    for socket in [&mut tab, &mut other] {
        assert_eq!(hear(socket).await, Message::text(format!("hello {}", alice())));
        socket.send(Message::text("one")).await.unwrap();
        assert_eq!(hear(socket).await, Message::text("one"));
    }

    assert_eq!(browser.post(&format!("{}/auth/logout", example.origin), "").await.status(), 303);
    assert_eq!(closed_because(&mut tab).await, "signed_out");
    other.send(Message::text("two")).await.unwrap();
    assert_eq!(hear(&mut other).await, Message::text("two"), "another browser's goes on");
    other_browser.sign_in(&example.origin, "/").await;
    assert_eq!(closed_because(&mut other).await, "replaced");
}

#[tokio::test]
async fn credentials_are_all_set_or_all_unset() {
    for name in NAMES {
        let cases: [&[&str]; 4] = [&CREDENTIALS[..1], &CREDENTIALS[1..2], &CREDENTIALS[2..], &CREDENTIALS[..2]];
        for set in cases {
            let environment: Vec<_> = set.iter().map(|variable| (*variable, "x")).collect();
            let output = timeout(PATIENCE, command(name, free_ports(2), &environment).output()).await;
            let output = output.unwrap_or_else(|_| panic!("{name} with {set:?} goes on running")).unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success(), "{name} with {set:?}: {}", output.status);
            for variable in CREDENTIALS {
                assert_eq!(errors.contains(variable), !set.contains(&variable), "{name} with {set:?}: {errors}");
            }
        }
    }
}

#[tokio::test]
async fn with_credentials_people_go_to_bitbadges() {
    let environment = CREDENTIALS.map(|variable| (variable, "demo"));
    for name in NAMES {
        let example = Example::start(name, &environment).await;
        assert!(!example.said.contains("stand-in"), "{name}: {}", example.said);
        let provider = TcpListener::bind((Ipv4Addr::LOCALHOST, example.port + 1));
        assert!(provider.is_ok(), "{name}: something listens where the dev provider would");
        let authorization_url = Browser::new().start(&example.origin, "/me").await;
        assert!(authorization_url.starts_with("https://bitbadges.io/siwbb/authorize?"), "{name}: {authorization_url}");
        assert!(authorization_url.contains("client_id=demo"), "{name}: {authorization_url}");
    }
}

#[tokio::test]
async fn providers_signs_a_person_in_by_each_of_three_and_out() {
    let example = Example::start("providers", &[]).await;
    let Example { origin, port, said, .. } = &example;
    let mut browser = Browser::new();
    let home = browser.get(&format!("{origin}/")).await;
    let chooser = browser.get(&format!("{origin}/auth/login?return_to=/google")).await;
    for (name, label, distance, account, subject) in [
        ("bitbadges", "BitBadges", 1, "alice", alice()),
        ("google", "Google (stand-in)", 2, "1002", "1002".to_owned()),
        ("github", "GitHub (stand-in)", 3, "1002", "1002".to_owned()),
    ] {
        let issuer = format!("http://localhost:{}", port + distance);
        assert!(said.contains(&format!("a development stand-in, {issuer}\n")), "{name} is announced: {said}");
        let link = format!("<a href=\"/auth/login/{name}\">With {label}</a>");
        assert!(text(&home).contains(&link), "{name}: {}", text(&home));
        let link = format!("<a href=\"/auth/login/{name}?return_to=%2Fgoogle\">Sign in with {label}</a>");
        assert!(text(&chooser).contains(&link), "{name}: {}", text(&chooser));

        let begun = browser.get(&format!("{origin}/auth/login/{name}?return_to=/google")).await;
        let callback = browser.approve(&location(&begun), account).await;
        let registered = if name == "bitbadges" {
            format!("{origin}/auth/callback")
        } else {
            format!("{origin}/auth/callback/{name}")
        };
        assert!(callback.starts_with(&format!("{registered}?code=")), "{callback}");
        assert!(said.contains(&format!("{label} comes back to {registered}\n")), "what to register is said: {said}");
        assert_eq!(location(&browser.get(&callback).await), "/google", "{name}");

        let home = browser.get(&format!("{origin}/")).await;
        for said in [format!("<strong id=\"subject\">{subject}<"), format!("<strong id=\"provider\">{label}<")] {
            assert!(text(&home).contains(&said), "{name}: {}", text(&home));
        }
        let me = browser.get(&format!("{origin}/me")).await;
        let me: serde_json::Value = serde_json::from_slice(me.body()).unwrap();
        assert_eq!((&me["issuer"], &me["subject"]), (&issuer.clone().into(), &subject.as_str().into()), "{name}");
        let guarded = browser.get(&format!("{origin}/google")).await;
        if name == "google" {
            assert_eq!(text(&guarded), "Google says that you are 1002.\n");
        } else {
            assert_eq!(guarded.status(), 403, "{name}");
            let words = format!("You are signed in as {subject} by {label}.");
            assert!(text(&guarded).contains(&words), "{name}: {}", text(&guarded));
        }

        let out = browser.post(&format!("{origin}/auth/logout"), "").await;
        assert!(browser.jar.is_empty(), "{name}: {:?}", browser.jar.keys());
        if name == "google" {
            assert!(location(&out).starts_with(&format!("{issuer}/end_session?id_token_hint=")), "{}", location(&out));
            let back = location(&browser.get(&location(&out)).await);
            assert!(back.starts_with(&format!("{origin}/auth/logout?state=")), "{back}");
            assert_eq!(location(&browser.get(&back).await), "/");
        } else {
            assert_eq!(location(&out), "/", "{name}");
        }
    }
}

#[tokio::test]
async fn providers_takes_real_ones_where_their_credentials_are() {
    let real = CREDENTIALS.iter().chain(&PAIRS).map(|variable| (*variable, "demo"));
    let example = Example::start("providers", &real.collect::<Vec<_>>()).await;
    assert!(!example.said.contains("stand-in"), "{}", example.said);
    for (name, target) in [
        ("bitbadges", "https://bitbadges.io/siwbb/authorize?"),
        ("github", "https://github.com/login/oauth/authorize?"),
    ] {
        let begun = Browser::new().get(&format!("{}/auth/login/{name}", example.origin)).await;
        assert!(location(&begun).starts_with(target), "{}", location(&begun));
    }
    let home = Browser::new().get(&example.origin).await;
    assert!(text(&home).contains(">With Google</a>"), "{}", text(&home));

    for (name, missing) in PAIRS.iter().zip([PAIRS[1], PAIRS[0], PAIRS[3], PAIRS[2]]) {
        let output = timeout(PATIENCE, command("providers", free_ports(4), &[(name, "x")]).output()).await;
        let output = output.unwrap_or_else(|_| panic!("it goes on running with {name} alone")).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(missing), "{name}: {errors}");
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn nodes_with_redis_take_turns_and_know_whom_either_signed_in_or_out() {
    let redis = server::Server::start();
    let example = Example::start("nodes", &[("REDIS_URL", &redis.url())]).await;
    let Example { origin, port, .. } = &example;
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    signed_in_at_both(&mut browser, &mut other, origin).await;
    for (turn, node) in [(1, port + 2), (2, port + 3)] {
        let pages = [browser.get(&format!("{origin}/")).await, browser.get(&format!("{origin}/")).await];
        let of_node = format!("<strong id=\"node\">{node}</strong>");
        let page = pages.iter().map(text).find(|page| page.contains(&of_node));
        let page = page.unwrap_or_else(|| panic!("turn {turn}: {node} does not answer: {pages:?}"));
        assert!(page.contains(&format!("<strong id=\"subject\">{}<", alice())), "{page}");
        assert_eq!((page.matches("<li>begun ").count(), page.matches(", this one<").count()), (2, 1), "{page}");
    }
    let answer = browser.post(&format!("{origin}/everywhere"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"));
    for browser in [&mut browser, &mut other] {
        for _ in 0..2 {
            signed_out(browser, origin).await;
        }
    }
}

/// Two sessions of one person, which did not begin within the same second: by that the page tells them apart.
async fn signed_in_at_both(browser: &mut Browser, other: &mut Browser, origin: &str) {
    let second = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    browser.sign_in(origin, "/").await;
    let began = second();
    while second() == began {
        tokio::task::yield_now().await;
    }
    other.sign_in(origin, "/").await;
}

#[tokio::test]
async fn nodes_says_what_it_needs() {
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    for (arguments, problem) in [(vec![], "redis-server --save ''"), (vec!["--help"], "none of --node, --provider")] {
        let output = command("nodes", free_ports(4), &[redis]).args(&arguments).output();
        let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(problem), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn given_keys_outlive_a_restart() {
    let keys = [("SIGNIN_KEYS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")];
    let mut example = Example::start("axum", &keys).await;
    assert!(!example.said.contains("SIGNIN_KEYS"), "{}", example.said);
    let mut browser = Browser::new();
    browser.sign_in(&example.origin, "/").await;
    example.process.kill().await.unwrap();

    let again = Example::start_at("axum", example.port, &keys).await.expect("the port is free again");
    assert!(text(&browser.get(&again.origin).await).contains(&alice()));
}

#[tokio::test]
async fn the_doctor_says_what_is_well_and_what_is_not() {
    let run = async |environment: &[(&str, &str)], arguments: &[&str]| {
        let output = command("doctor", free_ports(2), environment).args(arguments).output();
        let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said, _) = run(&[], &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("stand-in") && said.contains("\nok       client_secret  BitBadges accepts it"), "{said}");

    // Nothing listens at the proxy, so nothing reaches BitBadges from here.
    let [id, secret, key] = CREDENTIALS.map(|variable| (variable, "demo-credential"));
    let public = ("REDIRECT_URI", "https://app.example.com/auth/callback");
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:1");
    let (status, said, _) = run(&[id, secret, key, public, proxy], &[]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("\nfailed   connection     https://api.bitbadges.io: no connection"), "{said}");
    assert!(said.contains("ok       redirect_uri   https; "), "{said}");
    assert!(!said.contains("demo-credential"), "{said}");

    for (environment, arguments, problem) in [
        (vec![public], vec![], "a loopback redirect URI while developing"),
        (vec![], vec!["--help"], "--live is the only one"),
        (
            vec![id, key],
            vec!["--live"],
            "missing from the environment: BITBADGES_CLIENT_SECRET, BITBADGES_OTHER_CLIENT_ID",
        ),
    ] {
        let (status, _, errors) = run(&environment, &arguments).await;
        assert_eq!(status, Some(1), "{arguments:?}");
        assert!(errors.contains(problem), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn the_doctor_finds_out_by_four_sign_ins() {
    let port = free_ports(2);
    let mut process = command("doctor", port, &[]).arg("--live").spawn().expect("the example has been built");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let origin = format!("http://localhost:{port}");
    while lines.next_line().await.unwrap().expect("it starts") != format!("Open {origin}/") {}

    let mut browser = Browser::new();
    let mut page = browser.get(&format!("{origin}/")).await;
    for step in 1..=4 {
        assert!(text(&page).contains(&format!("<h1>Step {step} of 4</h1>")), "{}", text(&page));
        assert!(text(&page).contains("<a href=\"/auth/login\">"), "{}", text(&page));
        if step == 4 {
            let foreign = browser.get(&format!("{origin}/auth/callback?code=c&state=s")).await;
            assert_eq!(foreign.status(), 400);
        }
        page = browser.sign_in(&origin, "/").await;
    }
    assert!(text(&page).contains("<h1>Done</h1>"), "{}", text(&page));

    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push(line);
    }
    let refusal = said.remove(4);
    assert!(refusal.starts_with("This step is to be done again: callback_malformed, "), "{refusal}");
    assert_eq!(
        said,
        [
            "Sign in there four times, one after the other. Each costs one API credit; what comes of it is told here.",
            "app A, as it should be: redeemed, status 200 \"\"",
            "app B, as it should be: redeemed, status 200 \"\"",
            "app A, with a wrong code verifier: refused, status 400 \"Invalid code verifier.\"",
            "If it ends like this again, in the same browser, state does not come back as it was sent.",
            "a code of app A, redeemed by app B: refused, status 400 \"Invalid client ID or redirect URI.\"",
            "ok: state comes back as it was sent",
            "ok: a wrong code verifier is refused, PKCE is enforced",
            "ok: another app's code is refused, codes are bound to their app",
        ]
    );
    assert!(process.wait().await.unwrap().success());
}

/// Login, the form at the dev provider, the callback, both pages, logout; and a person who says no.
async fn signs_a_person_in_and_out(example: &Example) {
    let Example { origin, port, said, .. } = example;
    let dev = format!("http://localhost:{}", port + 1);
    assert!(said.contains("stand-in") && said.contains(&dev), "the dev provider is announced: {said}");
    assert!(said.contains("No SIGNIN_KEYS"), "made-up keys are announced: {said}");

    let mut browser = Browser::new();
    signed_out(&mut browser, origin).await;
    assert_eq!(browser.get(&format!("{origin}/nowhere")).await.status(), 404);

    let authorization_url = browser.start(origin, "/me?x=1").await;
    assert!(authorization_url.starts_with(&format!("{dev}/siwbb/authorize?")), "{authorization_url}");
    assert!(text(&browser.get(&authorization_url).await).contains("<form method=\"post\""));
    let callback = browser.approve(&authorization_url, "alice").await;
    assert!(callback.starts_with(&format!("{origin}/auth/callback?code=")), "{callback}");
    let answer = browser.get(&callback).await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/me?x=1"));
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    assert!(!browser.jar.keys().any(|name| name.contains("-flow-")), "{:?}", browser.jar.keys());

    let home = browser.get(&format!("{origin}/")).await;
    assert!(text(&home).contains(&format!("<strong id=\"subject\">{}</strong>", alice())), "{}", text(&home));
    assert!(text(&home).contains("<form method=\"post\" action=\"/auth/logout\">"), "{}", text(&home));
    let me = browser.get(&format!("{origin}/me?x=1")).await;
    assert_eq!((me.status().as_u16(), &me.headers()[CONTENT_TYPE]), (200, &"application/json".parse().unwrap()));
    let Account { address, chain, .. } = Account::alice();
    let expected = serde_json::json!({ "issuer": dev, "subject": alice(), "address": address, "chain": chain });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(me.body()).unwrap(), expected);

    let answer = browser.post(&format!("{origin}/auth/logout"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"));
    assert!(browser.jar.is_empty(), "{:?}", browser.jar.keys());
    signed_out(&mut browser, origin).await;

    let authorization_url = browser.start(origin, "/").await;
    let callback = location(&browser.post(&authorization_url, "account=alice&address=&decision=deny").await);
    assert_eq!(browser.get(&callback).await.status(), 403);
    signed_out(&mut browser, origin).await;
}

async fn signed_out(browser: &mut Browser, origin: &str) {
    let home = browser.get(&format!("{origin}/")).await;
    assert!(home.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{home:?}");
    assert!(text(&home).contains("<a id=\"signin\" href=\"/auth/login\">"), "{}", text(&home));
    let me = browser.get(&format!("{origin}/me?x=1")).await;
    assert_eq!((me.status().as_u16(), location(&me).as_str()), (303, "/auth/login?return_to=%2Fme%3Fx%3D1"));
}

/// What a gRPC client takes from its user's browser.
fn session_cookie(browser: &Browser) -> String {
    let (name, value) = browser.jar.first_key_value().expect("a session");
    format!("{name}={value}")
}

/// The handshake of a real WebSocket client.
async fn open_socket(example: &Example, cookie: Option<&str>) -> tungstenite::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://localhost:{}/echo", example.port).into_client_request()?;
    if let Some(cookie) = cookie {
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, example.port)).await.unwrap();
    Ok(client_async(request, stream).await?.0)
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("it says something soon").expect("it is open").unwrap()
}

async fn closed_because(socket: &mut WebSocketStream<TcpStream>) -> String {
    match hear(socket).await {
        Message::Close(Some(frame)) => frame.reason.to_string(),
        other => panic!("{other:?}"),
    }
}

/// One unary call of a real gRPC client.
async fn who_am_i(origin: &str, cookie: Option<&str>) -> Result<String, Status> {
    let channel = Endpoint::from_shared(origin.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.metadata_mut().insert("cookie", cookie.parse().unwrap());
    }
    let path = PathAndQuery::from_static("/signin.example.WhoAmI/Ask");
    let answer = grpc.unary(request, path, ProstCodec::<(), String>::default()).await?;
    Ok(answer.into_inner())
}

/// The one line that `cargo run --example tonic -- client …` prints.
async fn client_mode(arguments: &[&str]) -> String {
    let output = Command::new(program("tonic")).arg("client").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A running example; it ends with its owner.
struct Example {
    process: Child,
    origin: String,
    port: u16,
    /// What it printed until it listened.
    said: String,
}

impl Example {
    /// Somebody else may take a port between the look and the start; then other ports are tried.
    async fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut said = String::new();
        for _ in 0..5 {
            match Self::start_at(name, free_ports(4), environment).await {
                Ok(example) => return example,
                Err(output) => said = output,
            }
        }
        panic!("{name} does not start: {said}");
    }

    /// Waits until it says where to go, or gives what it said when it ended before.
    async fn start_at(name: &str, port: u16, environment: &[(&str, &str)]) -> Result<Self, String> {
        let mut process = command(name, port, environment).spawn().expect("the example has been built");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let origin = format!("http://localhost:{port}");
        let mut said = String::new();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                said.push_str(&line);
                said.push('\n');
                if line == format!("Open {origin}/") {
                    return true;
                }
            }
            false
        };
        let is_listening = timeout(PATIENCE, listening).await.expect("it starts or ends soon");
        if is_listening {
            return Ok(Self { process, origin, port, said });
        }
        let output = process.wait_with_output().await.unwrap();
        Err(said + &String::from_utf8_lossy(&output.stderr))
    }
}

/// The program with nothing of this test's own environment that concerns it.
fn command(name: &str, port: u16, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program(name));
    let others = ["SIGNIN_KEYS", "REDIRECT_URI", "BITBADGES_OTHER_CLIENT_ID", "BITBADGES_OTHER_CLIENT_SECRET"];
    for variable in CREDENTIALS.iter().chain(&PAIRS).chain(&others) {
        command.env_remove(variable);
    }
    command.env("PORT", port.to_string()).envs(environment.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// This test is `target/debug/deps/examples-…`, the program `target/debug/examples/NAME`.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Free ports in a row, below those the system gives to clients, and others at each call.
fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + u16::try_from(std::process::id() % 100).unwrap() * 200;
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    loop {
        let port = start + NEXT.fetch_add(count, Ordering::Relaxed);
        if (port..port + count).all(is_free) {
            return port;
        }
    }
}
