//! People who mean well: signed in, or on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use http::header::{LOCATION, RETRY_AFTER};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower_signin::dev::Account;

use crate::provider::Trouble;
use crate::report::Fault;
use crate::support::{Browser, code, text};
use crate::visitor::{Http, Visitor};
use crate::world::{World, account, path_of};

const BETWEEN_REQUESTS: Duration = Duration::from_millis(2);
const BETWEEN_SIGN_INS: Duration = Duration::from_millis(50);
const BETWEEN_CROWDS: Duration = Duration::from_secs(5);

/// More than the 64 that the layer runs at once.
const CROWD: usize = 80;

/// A sign-in that is told to come again this often has failed.
const MOST_ROUNDS: usize = 20;

pub(crate) async fn signed_in(world: Arc<World>, mut visitor: Visitor, account: Account, is_idle: bool) {
    let pages = ["/", "/guarded"];
    for page in pages.iter().cycle() {
        if !world.goes_on() {
            return;
        }
        let begin = Instant::now();
        let answer = visitor.ask(Method::GET, page, "same-origin").await;
        world.report.latency(is_idle, begin.elapsed());
        world.is_themselves("signed in", &account, answer.as_ref());
        sleep(BETWEEN_REQUESTS).await;
    }
}

/// The whole way, one after the other, and out again.
pub(crate) async fn visits(world: Arc<World>, http: Http) {
    while world.goes_on() {
        let mut visitor = Visitor::new(world.address, http, &Browser::new());
        let account = newcomer();
        if sign_in(&world, &mut visitor, &account, Trouble::None).await {
            sign_out(&world, &mut visitor).await;
        }
        sleep(BETWEEN_SIGN_INS).await;
    }
}

/// More at once than the layer works off, at a provider that is slow or fails for some of them.
pub(crate) async fn crowds(world: Arc<World>) {
    let mut crowd = JoinSet::new();
    while world.goes_on() {
        for number in 0..CROWD {
            let world = Arc::clone(&world);
            crowd.spawn(async move {
                let mut visitor = Visitor::new(world.address, Http::One, &Browser::new());
                let trouble = match number % 10 {
                    0 => Trouble::Error,
                    1 => Trouble::Busy,
                    2 => Trouble::Garbage,
                    3 => Trouble::Closes,
                    _ => Trouble::Slow,
                };
                sign_in(&world, &mut visitor, &newcomer(), trouble).await;
            });
        }
        while let Some(ended) = crowd.join_next().await {
            ended.unwrap();
        }
        sleep(BETWEEN_CROWDS.min(world.left())).await;
    }
}

/// Gives whether they are signed in, as they must be unless the provider fails.
async fn sign_in(world: &World, visitor: &mut Visitor, account: &Account, trouble: Trouble) -> bool {
    let report = &world.report;
    let is_honest = matches!(trouble, Trouble::None | Trouble::Slow);
    if is_honest {
        report.honest_begun.fetch_add(1, Ordering::SeqCst);
    }
    let fail = |what: String| {
        report.fault(Fault::HonestFailed, what);
        false
    };
    let Some(url) = visitor.begin().await else { return fail("login was refused".to_owned()) };
    let callback = world.provider.approve(&url, account, trouble);
    for _ in 0..MOST_ROUNDS {
        let Some(answer) = visitor.ask(Method::GET, path_of(&callback), "cross-site").await else {
            return fail("a callback was not answered".to_owned());
        };
        let status = answer.status().as_u16();
        if status == 503 && code(&answer) == "too_many_attempts" {
            report.count("callback, to come again", status);
            report.told_to_come_again.fetch_add(1, Ordering::SeqCst);
            let seconds = answer.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
            sleep(Duration::from_secs(seconds)).await;
            continue;
        }
        match trouble {
            Trouble::Busy => return !report.expect("callback, provider fails", "busy", Some(&answer), &[503]),
            trouble if !is_honest => {
                return !report.expect("callback, provider fails", &format!("{trouble:?}"), Some(&answer), &[502]);
            }
            _ => {}
        }
        report.count("callback, honest", status);
        if status != 303 || answer.headers()[LOCATION] != "/guarded" {
            return fail(format!("a callback was answered {status} {}", code(&answer)));
        }
        let answer = visitor.ask(Method::GET, "/guarded", "same-origin").await;
        if !world.is_themselves("just signed in", account, answer.as_ref()) {
            return fail("they are not who they are".to_owned());
        }
        report.honest_completed.fetch_add(1, Ordering::SeqCst);
        return true;
    }
    fail(format!("told to come again {MOST_ROUNDS} times"))
}

async fn sign_out(world: &World, visitor: &mut Visitor) {
    let before = visitor.browser.clone();
    let answer = visitor.ask(Method::POST, "/auth/logout", "same-origin").await;
    world.report.expect("logout, honest", "from a page of the site", answer.as_ref(), &[303]);
    if world.is_stored {
        // A copy of the cookie, which is worth nothing once the store has its session no longer.
        visitor.browser = before;
    }
    let answer = visitor.ask(Method::GET, "/", "same-origin").await;
    if world.report.expect("signed out", "the page after", answer.as_ref(), &[200])
        && answer.is_some_and(|it| text(&it) != "nobody")
    {
        world.report.fault(Fault::ForgedAccepted, "a session was believed after its end");
    }
}

fn newcomer() -> Account {
    static NEXT: AtomicU64 = AtomicU64::new(1_000);
    account(NEXT.fetch_add(1, Ordering::SeqCst))
}
