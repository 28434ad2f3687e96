//! Callbacks of sign-ins that are not this browser's, are over, or were touched.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Method, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{ManualClock, SignIn};

use crate::cookies::flipped;
use crate::provider::Trouble;
use crate::report::Fault;
use crate::support::{Browser, location, navigation};
use crate::visitor::{Http, Visitor};
use crate::world::{World, account, path_of};

const TOO_OLD: Duration = Duration::from_secs(15 * 60);

/// An attacker has a victim's browser open callbacks, and looks whether it is still the victim's.
pub(crate) async fn forged(world: Arc<World>, http: Http, number: usize) {
    let victim = world.victim(number);
    let mut visitor = Visitor::new(world.address, http, &victim.browser);
    let then = SystemTime::now() - TOO_OLD;
    let long_ago = world.same_site().clock(Arc::new(ManualClock::new(then))).build().unwrap();
    let flow_prefix = format!("{}-flow-", world.cookie_name());
    for turn in number.. {
        if !world.goes_on() {
            return;
        }
        // The attacker's own, in another browser.
        let mut attacker = Visitor::new(world.address, Http::One, &Browser::new());
        let Some(url) = attacker.begin().await else {
            world.report.fault(Fault::OtherAnswer, "login was refused");
            continue;
        };
        let stolen = world.provider.approve_unexpected(&url, &account(u64::MAX >> 40));
        let (mut path, mut method) = (path_of(&stolen).to_owned(), Method::GET);
        let flow = attacker.browser.jar.iter().find(|(name, _)| name.starts_with(&flow_prefix));
        let (name, value) = flow.map(|(name, value)| (name.clone(), value.clone())).unwrap();
        let code = path.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let state = path.split("state=").nth(1).unwrap().to_owned();
        let mut planted = None;
        let (what, due) = match turn % 11 {
            0 => ("of another browser", 400),
            1 => {
                path = path.replace(&state, &"A".repeat(state.len()));
                ("with a state of letters", 400)
            }
            2 => {
                path = format!("{path}&state={state}");
                planted = Some((name, value));
                ("with its state twice", 400)
            }
            3 => {
                path = format!("/auth/callback?state={state}");
                planted = Some((name, value));
                ("without a code", 400)
            }
            4 => {
                path = path.replace(&code, &"c".repeat(5_000));
                ("with a long code", 400)
            }
            5 => {
                planted = Some((name, flipped(&value, turn)));
                ("with a flow that was touched", 400)
            }
            6 => {
                // The public half stays, so that the flow is found.
                path = path.replace(&state, &flipped(&state, state.len() - 2));
                planted = Some((name, value));
                ("with half of a state", 400)
            }
            7 => {
                method = Method::POST;
                planted = Some((name, value));
                ("posted", 405)
            }
            8 => {
                let (url, cookie) = started(&long_ago).await;
                path = path_of(&world.provider.approve_unexpected(&url, &account(7))).to_owned();
                planted = Some(cookie);
                ("that is stale", 400)
            }
            9 => {
                planted = Some((name, victim.browser.jar[&world.cookie_name()].clone()));
                ("with a session as its flow", 400)
            }
            _ => {
                path = twice(&world, &mut attacker, &url).await;
                ("that was used already", 400)
            }
        };
        visitor.browser = victim.browser.clone();
        visitor.browser.jar.extend(planted);
        let answer = visitor.ask(method, &path, "cross-site").await;
        world.report.expect("callback, forged", what, answer.as_ref(), &[due]);
        for cookie in answer.iter().flat_map(|answer| answer.headers().get_all(SET_COOKIE)) {
            let cookie = cookie.to_str().unwrap_or_default();
            let is_own_end =
                cookie.starts_with(&flow_prefix) && cookie.contains("Max-Age=0") && what == "that is stale";
            if !is_own_end {
                let is_session =
                    cookie.starts_with(&format!("{}=", world.cookie_name())) && !cookie.contains("Max-Age=0");
                let fault = if is_session { Fault::ForgedAccepted } else { Fault::OtherAnswer };
                world.report.fault(fault, format!("callback {what}: sets a cookie"));
            }
        }
        let answer = visitor.ask(Method::GET, "/guarded", "same-origin").await;
        world.is_themselves("after a forged callback", &victim.account, answer.as_ref());
    }
}

/// Finishes a sign-in and clicks twice; what comes of the second is what came of the first.
async fn twice(world: &World, attacker: &mut Visitor, url: &str) -> String {
    let before = attacker.browser.clone();
    let callback = world.provider.approve(url, &account(8), Trouble::None);
    let path = path_of(&callback);
    for _ in 0..2 {
        attacker.browser = before.clone();
        let answer = attacker.ask(Method::GET, path, "cross-site").await;
        // 503 where 64 others are on their way.
        if world.report.expect("callback, doubled", "", answer.as_ref(), &[303, 503])
            && answer.is_some_and(|answer| answer.status() == 503)
        {
            break;
        }
    }
    path.to_owned()
}

/// A sign-in that begins at another process of this site: where it leads to, and its cookie.
pub(crate) async fn started(sign_in: &SignIn) -> (String, (String, String)) {
    let inner = service_fn(|_: Request<Bytes>| ready(Ok::<_, Infallible>(Response::new(Bytes::new()))));
    let request = navigation(Method::GET, "/auth/login", "same-origin").body(Bytes::new()).unwrap();
    let response = sign_in.layer().layer(inner).oneshot(request).await.unwrap().map(|_| Bytes::new());
    let mut browser = Browser::new();
    browser.keep(&response);
    let flow = browser.jar.into_iter().find(|(name, _)| name.contains("-flow-")).unwrap();
    (location(&response), flow)
}
