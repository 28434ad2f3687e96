//! The process is killed between two steps, and started again.

use tokio::task::JoinHandle;

use crate::place::{LIFE, in_one_thread, sees, signs_in};
use crate::process::{self, KEYS, KEYS_FILE, Process, Town};
use crate::support::{Browser, navigation, send};
use crate::table::Seen;
use crate::wire::Fault;

const RING: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";
const GIVEN: &[(&str, &str)] = &[(KEYS, RING)];

/// Where a process is killed.
#[derive(Clone, Copy, PartialEq)]
enum Point {
    /// Login has been answered, or nothing has been asked.
    Before,
    /// The browser's request has come, and no connection to the provider.
    Heard,
    /// The provider has the request, and has not worked it off.
    Sent,
    /// It has worked it off, and the site's system has the answer.
    Answered,
    /// The response with its cookies is made, and none of it is sent.
    Ready,
    /// The browser has it.
    Done,
}

const POINTS: [(&str, Point); 6] = [
    ("before the request", Point::Before),
    ("request received, nothing sent", Point::Heard),
    ("sent to the provider", Point::Sent),
    ("answered by the provider, not read", Point::Answered),
    ("response ready, not sent", Point::Ready),
    ("response sent", Point::Done),
];

#[test]
fn a_process_killed_in_a_sign_in() {
    if process::is_asked_for() {
        return process::run();
    }
    in_one_thread(async {
        let town = Town::start("killed::a_process_killed_in_a_sign_in").await;
        let mut seen = Seen::of("A process killed in a sign-in");
        for (name, point) in POINTS {
            let (sees, next) = killed_in_a_sign_in(&town, point, GIVEN, true).await;
            seen.row(name, "sign-in, given keys", sees, next);
        }
        let file = std::env::temp_dir().join(format!("tower-signin-faults-keys-{}", std::process::id()));
        std::fs::write(&file, RING).unwrap();
        let from_file: &[(&str, &str)] = &[(KEYS_FILE, file.to_str().unwrap())];
        let (sees, next) = killed_in_a_sign_in(&town, Point::Before, from_file, true).await;
        std::fs::remove_file(&file).unwrap();
        seen.row(POINTS[0].0, "sign-in, keys from a file", sees, next);
        for (name, point) in [POINTS[0], POINTS[2], POINTS[5]] {
            let (sees, next) = killed_in_a_sign_in(&town, point, &[], false).await;
            seen.row(name, "sign-in, generated keys", sees, next);
        }
        seen.check();
    });
}

#[test]
fn a_process_killed_in_a_refresh() {
    if process::is_asked_for() {
        return process::run();
    }
    in_one_thread(async {
        let town = Town::start("killed::a_process_killed_in_a_refresh").await;
        let mut seen = Seen::of("A process killed in a refresh");
        for (name, point) in POINTS {
            let (sees, next) = killed_in_a_refresh(&town, point).await;
            seen.row(name, "refresh, given keys", sees, next);
        }
        seen.check();
    });
}

/// What a reload of the callback comes to, and the next sign-in.
async fn killed_in_a_sign_in(
    town: &Town,
    point: Point,
    environment: &[(&str, &str)],
    keeps_sessions: bool,
) -> (String, String) {
    let site = town.site("", environment).await;
    let mut other = Browser::new();
    assert_eq!(signs_in(&mut other, &town.origin).await, "signed in");
    let other_jar = other.jar.clone();
    let mut browser = Browser::new();
    let authorization_url = browser.start(&town.origin, "/target").await;
    let callback = browser.approve(&authorization_url, "alice").await;

    killed(town, site, point, &mut browser, &callback).await;

    let site = town.site("", environment).await;
    let reloaded = sees(&browser.get(&callback).await);
    let page = sees(&browser.get(&town.url("/")).await);
    let is_in = reloaded.starts_with("303");
    assert_eq!(page, if is_in { "alice" } else { "nobody" });
    let others = sees(&other.get(&town.url("/guarded")).await);
    assert_eq!(others, if keeps_sessions { "alice" } else { "the way to sign in" });
    assert!(!keeps_sessions || other.jar == other_jar);
    let next = signs_in(&mut browser, &town.origin).await;
    assert_eq!(signs_in(&mut other, &town.origin).await, "signed in");
    site.kill().await;
    (reloaded, next)
}

/// What the same page says once the process is there again, and after another sign-in where that is asked for.
async fn killed_in_a_refresh(town: &Town, point: Point) -> (String, String) {
    let site = town.site("", GIVEN).await;
    let mut browser = Browser::new();
    assert_eq!(signs_in(&mut browser, &town.origin).await, "signed in");
    // The pair is due now.
    let due = format!("/test/ahead/{}", LIFE - 60);
    town.tell(&due).await;
    let mut other = Browser::new();
    assert_eq!(signs_in(&mut other, &town.origin).await, "signed in");

    killed(town, site, point, &mut browser, &town.url("/guarded")).await;

    let site = town.site("", GIVEN).await;
    town.tell(&due).await;
    let page = sees(&browser.get(&town.url("/guarded")).await);
    assert_eq!(sees(&other.get(&town.url("/guarded")).await), "alice");
    let next = signs_in(&mut browser, &town.origin).await;
    site.kill().await;
    (page, next)
}

/// Opens `url`, and kills the site at this point. What the browser gets, it keeps.
async fn killed(town: &Town, mut site: Process, point: Point, browser: &mut Browser, url: &str) {
    let path = url.strip_prefix(&town.origin).unwrap().split('?').next().unwrap();
    let fault = match point {
        Point::Heard => Fault::NeverAccepts,
        Point::Sent => Fault::HoldsRequest,
        Point::Answered => Fault::HoldsAnswer,
        Point::Before | Point::Ready | Point::Done => Fault::None,
    };
    town.wire.set(fault).await;
    town.wire.forget();
    let before = (town.wire.worked_off(), town.wire.answered());
    if point == Point::Ready {
        town.tell("/test/hold").await;
    }
    if point == Point::Before {
        site.kill().await;
    } else if point == Point::Done {
        assert!(browser.get(url).await.status().as_u16() < 400);
        site.kill().await;
    } else {
        // What it said before is of others.
        town.tell("/test/mark").await;
        site.says("mark").await;
        let visit = open(browser, url);
        site.says(&format!("hears {path}")).await;
        match point {
            Point::Sent => until(|| !town.wire.requests().is_empty()).await,
            Point::Answered => {
                until(|| town.wire.worked_off() > before.0).await;
                site.stop().await;
                town.wire.release();
                until(|| town.wire.answered() > before.1).await;
            }
            Point::Ready => site.says(&format!("answers {path}")).await,
            _ => {}
        }
        site.kill().await;
        visit.await.unwrap();
    }
    town.wire.set(Fault::None).await;
}

/// A visit to which no answer comes.
fn open(browser: &Browser, url: &str) -> JoinHandle<()> {
    let mut request = navigation(http::Method::GET, url, "none").body(bytes::Bytes::new()).unwrap();
    request.headers_mut().insert("cookie", browser.cookie_header().unwrap().parse().unwrap());
    tokio::spawn(async move {
        let answer = send(request).await;
        assert!(answer.is_err(), "it was answered: {answer:?}");
    })
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
