//! Guarded routes, asked in every way a page can ask.

use serde_json::{Value, json};
use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::look;
use crate::{approve, assert_page, assert_subject, cookie_names};

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_guard_leads_to_sign_in_and_back_to_the_very_address() {
    for target in ["/page", "/page?a=1&b=%20%26", "/area/page?a=1", "/page?q=%C3%A9+%2F"] {
        let (app, chromium) = (App::start().await, Chromium::start().await);
        chromium.open(&app.url(target)).await;
        assert_eq!(app.ran(), [""; 0], "{target}");
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url(target)).await;
        assert_subject(&chromium, &Account::alice()).await;
        assert_eq!(app.ran().len(), 1, "{target}");
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_is_not_allowed_comes_again_with_another_account() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    let alice = Account::alice().bitbadges_address;
    chromium.open(&app.url("/bob?x=1")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/bob?x=1")).await;
    assert_page(&chromium, 403, "not_allowed").await;
    assert!(chromium.text("main").await.contains(&format!("You are signed in as {alice}.")));
    assert_eq!(app.ran(), [""; 0]);
    look(&chromium, "not-allowed").await;

    chromium.follow("To the home page").await;
    chromium.land(&app.url("/")).await;
    assert_subject(&chromium, &Account::alice()).await;
    chromium.client.back().await.unwrap();
    chromium.land(&app.url("/bob?x=1")).await;

    chromium.follow("Use another account").await;
    chromium.arrive(app.dev.origin()).await;
    let login = app.seen("/auth/login").pop().expect("a login").target;
    assert_eq!(login, "/auth/login?prompt=select_account&return_to=%2Fbob%3Fx%3D1");
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/bob?x=1")).await;
    assert_page(&chromium, 403, "not_allowed").await;

    chromium.follow("Use another account").await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/bob?x=1")).await;
    assert_subject(&chromium, &Account::bob()).await;
    assert_eq!(app.ran(), ["GET /bob"]);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_form_is_turned_away_with_a_page_and_never_sent_again() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/")).await;
    chromium.click("#post").await;
    chromium.arrive(&app.url("/post")).await;
    assert_page(&chromium, 401, "not_signed_in").await;
    let words = chromium.text("main").await;
    assert!(words.contains("\nWhat you sent was not received. Sign in, then send it again.\n"), "{words}");
    assert!(app.seen("/auth/login").is_empty(), "nobody was redirected");
    chromium.follow("Sign in").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/")).await;
    let posts: Vec<_> = app.seen("/post").into_iter().map(|seen| (seen.method.to_string(), seen.status)).collect();
    assert_eq!(posts, [("POST".to_owned(), Some(401))]);
    assert_eq!(app.ran(), [""; 0]);

    chromium.click("#post").await;
    chromium.arrive(&app.url("/post")).await;
    assert_subject(&chromium, &Account::alice()).await;
    assert_eq!(app.ran(), ["POST /post"]);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn an_argument_that_is_missing_gives_a_page_that_leads_back() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/who?x=1")).await;
    assert_page(&chromium, 401, "not_signed_in").await;
    let words = chromium.text("main").await;
    assert!(words.contains("\nSign in to go on.\n") && !words.contains("What you sent"), "{words}");
    assert!(app.seen("/auth/login").is_empty(), "nobody was redirected");
    chromium.follow("Sign in").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/who?x=1")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_script_reads_where_to_sign_in() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/")).await;
    let ways = [
        ("fetch", "fetch('/api?x=1')"),
        ("a fetch with a body", "fetch('/api?x=1', { method: 'PUT', body: '1' })"),
        ("a fetch that wants HTML", "fetch('/api?x=1', { headers: { accept: 'text/html' } })"),
        ("a guard with a predicate", "fetch('/bob?x=1')"),
        ("an argument of a handler", "fetch('/who?x=1')"),
    ];
    for (name, request) in ways {
        let answer = fetch(&chromium, request).await;
        let expected = json!([401, "application/problem+json", false, "not_signed_in", app.url("/auth/login")]);
        assert_eq!(summary(&answer), expected, "{name}: {answer}");
        assert!(answer["body"]["request_id"].as_str().is_some_and(|id| id.len() == 16), "{name}: {answer}");
    }
    assert!(app.seen("/auth/login").is_empty(), "nobody was redirected");
    assert_eq!(app.ran(), [""; 0]);
    assert_eq!(cookie_names(&chromium).await, [""; 0]);

    chromium.run("fetch('/api').then(answer => answer.json()).then(problem => location = problem.login_url)").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/")).await;
    assert_eq!(fetch(&chromium, "fetch('/api')").await["body"]["subject"], Account::alice().bitbadges_address);

    let answer = fetch(&chromium, "fetch('/bob')").await;
    let switch = app.url("/auth/login?prompt=select_account");
    let expected = json!([403, "application/problem+json", false, "not_allowed", switch]);
    assert_eq!(summary(&answer), expected, "{answer}");
}

/// An `XMLHttpRequest`, an `EventSource`, a `WebSocket`: each is asked once, told no, and not led astray.
#[tokio::test]
#[ignore = "needs chromium"]
async fn what_no_person_sees_is_not_redirected() {
    let ways = [
        (
            "an XHR",
            "const request = new XMLHttpRequest(); request.open('GET', '/api'); \
             request.onload = () => done([request.status, JSON.parse(request.response).code]); request.send()",
            json!([401, "not_signed_in"]),
        ),
        (
            "an EventSource",
            "const source = new EventSource('/api'); source.onopen = () => done('open'); \
             source.onerror = () => done(source.readyState)",
            json!(2),
        ),
        (
            "a WebSocket",
            "const socket = new WebSocket('/api'.replace(/^/, origin.replace('http', 'ws'))); \
             socket.onopen = () => done('open'); socket.onclose = event => done(event.code)",
            json!(1006),
        ),
        (
            "an image",
            "const image = new Image(); image.onload = () => done('shown'); image.onerror = () => done('not shown'); \
             image.src = '/api'",
            json!("not shown"),
        ),
    ];
    for (name, script, expected) in ways {
        let (app, chromium) = (App::start().await, Chromium::start().await);
        chromium.open(&app.url("/")).await;
        let script = format!("const done = arguments[0]; {script}");
        assert_eq!(chromium.client.execute_async(&script, Vec::new()).await.unwrap(), expected, "{name}");
        let statuses: Vec<_> = app.seen("/api").into_iter().map(|seen| seen.status).collect();
        assert_eq!(statuses, [Some(401)], "{name} came once");
        assert!(app.seen("/auth/login").is_empty(), "{name}");
        assert_eq!(app.ran(), [""; 0], "{name}");
        assert_eq!(cookie_names(&chromium).await, [""; 0], "{name}");
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_frame_never_shows_the_provider() {
    for path in ["/page", "/auth/login"] {
        let (app, chromium) = (App::start().await, Chromium::start().await);
        chromium.open(&app.url("/")).await;
        chromium.documents().await;
        let script = "const frame = document.createElement('iframe'); frame.src = arguments[0]; \
                      frame.onload = () => arguments[1](frame.contentDocument); document.body.append(frame)";
        let shown = chromium.client.execute_async(script, vec![json!(path)]).await.unwrap();
        assert_eq!(shown, Value::Null, "{path}: what turns a frame away can't be shown in one");
        let status = if path == "/page" { 401 } else { 403 };
        let statuses: Vec<_> = app.seen(path).into_iter().map(|seen| seen.status).collect();
        assert_eq!(statuses, [Some(status)], "{path}");
        assert_eq!(chromium.documents().await, [app.url(path)], "{path}");
        assert_eq!(cookie_names(&chromium).await, [""; 0], "{path}");
    }
}

/// As an app for offline use has one: `fetch(event.request)`, and the browser's own preloading of navigations.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_service_worker_that_passes_navigations_on_is_in_nobody_s_way() {
    for worker in ["/worker.js", "/worker.js?preload"] {
        let (app, chromium) = (App::start().await, Chromium::start().await);
        chromium.open(&app.url("/")).await;
        let register = "navigator.serviceWorker.register(arguments[0]).then(() => navigator.serviceWorker.ready) \
                        .then(it => it.active.state == 'activated' || new Promise(done => \
                            it.active.addEventListener('statechange', done))).then(() => arguments[1]())";
        chromium.client.execute_async(register, vec![json!(worker)]).await.unwrap();
        chromium.client.refresh().await.unwrap();
        assert_eq!(chromium.run("return navigator.serviceWorker.controller !== null").await, true, "{worker}");

        chromium.open(&app.url("/page?x=1")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page?x=1")).await;
        assert_subject(&chromium, &Account::alice()).await;
        chromium.open(&app.url("/bob")).await;
        assert_page(&chromium, 403, "not_allowed").await;
        chromium.open(&app.url("/")).await;
        chromium.click("#signin").await;
        approve(&app, &chromium, "bob").await;
        chromium.land(&app.url("/page?by=link")).await;
        assert_subject(&chromium, &Account::bob()).await;
    }
}

/// What a script finds out about an answer.
async fn fetch(chromium: &Chromium, request: &str) -> Value {
    let script = format!(
        "const done = arguments[0]; {request}.then(async answer => done({{ status: answer.status, \
         type: answer.headers.get('content-type'), redirected: answer.redirected, body: await answer.json() }}), \
         error => done({{ error: String(error) }}))"
    );
    chromium.client.execute_async(&script, Vec::new()).await.unwrap()
}

fn summary(answer: &Value) -> Value {
    json!([answer["status"], answer["type"], answer["redirected"], answer["body"]["code"], answer["body"]["login_url"]])
}
