//! Cookies that this site has not sealed as what they are shown as, in every shape that a server takes or refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderValue, Request};
use tower_signin::{ManualClock, SignIn};

use crate::callbacks::started;
use crate::report::Fault;
use crate::support::{Browser, text};
use crate::visitor::{Http, Visitor};
use crate::world::{World, account};

const TOO_OLD: Duration = Duration::from_secs(40 * 24 * 60 * 60);

/// Shows them, and looks whether anybody is seen in one.
pub(crate) async fn forged(world: Arc<World>, http: Http, number: usize) {
    let mut visitor = Visitor::new(world.address, http, &Browser::new());
    let (name, victim) = (world.cookie_name(), world.victim(number));
    let good = victim.browser.jar[&name].clone();
    let long_ago = world.same_site().clock(Arc::new(ManualClock::new(SystemTime::now() - TOO_OLD))).build().unwrap();
    let sealed = |sign_in: &SignIn| world.dev().signed_in_cookie(sign_in, &account(9)).unwrap();
    let other_key = sealed(&world.other_site());
    let too_old = sealed(&long_ago);
    let (_, (_, flow)) = started(&long_ago).await;
    let of = |value: &str| format!("{name}={value}");
    for turn in number.. {
        if !world.goes_on() {
            return;
        }
        // The third says whether hyper takes so much: 16 KB in HTTP/2, some 400 KB in HTTP/1.
        let (what, cookies, is_taken) = match turn % 19 {
            0 => ("a bit flipped", of(&flipped(&good, turn / 19)), true),
            1 => ("cut", of(&good[..turn / 19 % good.len()]), true),
            2 => ("of another key", other_key.clone(), true),
            3 => ("too old", too_old.clone(), true),
            4 => ("of another purpose", of(&flow), true),
            5 => ("twice", format!("{}; {}", of(&good), of(&other_key[name.len() + 1..])), true),
            6 => ("longer", of(&format!("{good}AAAA")), true),
            7 => ("quoted", of(&format!("\"{good}\"")), true),
            8 => ("of invented bytes", of(&noise(turn, 600)), true),
            9 => ("two parts of another's", format!("{}; {name}.1={good}", of(&format!("2.{good}"))), true),
            10 => ("nine parts", format!("{}; {name}.1=x; {name}.3=y; {name}.8=z", of("9.AAAA")), true),
            11 => ("a part of none", format!("{name}.1={good}"), true),
            12 => ("one megabyte", of(&noise(turn, 1 << 20)), false),
            13 => ("300 KB", of(&noise(turn, 300_000)), http == Http::One),
            14 => ("15 KB", of(&noise(turn, 15_000)), true),
            15 => ("2,000 others", vec!["a=b"; 2_000].join("; "), true),
            16 => ("nothing but marks", ";=;;, ;==;\"; =".to_owned(), true),
            17 => (
                "a flow as well",
                format!("{}; {name}-flow-{}=x; {name}-rounds=x; {name}-tokens=x", of(""), noise(turn, 26)),
                true,
            ),
            _ => {
                ("under another name", format!("x{name}={good}; {name}x={good}; {}={good}", name.to_uppercase()), true)
            }
        };
        let path = if turn % 2 == 0 { "/" } else { "/guarded" };
        let mut request = Request::get(path).header("accept", "application/json").body(Bytes::new()).unwrap();
        let mut value = cookies.into_bytes();
        if turn % 5 == 0 {
            value.extend_from_slice(b"; \xff\xfe=\xf0\x9f");
        }
        let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
        request.headers_mut().insert(COOKIE, value);
        let answer = visitor.send(request).await;
        let nobody = if path == "/" { 200 } else { 401 };
        let (kind, due) =
            if is_taken { ("cookies, forged", &[nobody][..]) } else { ("cookies, too long", &[431, 0][..]) };
        world.report.expect(kind, what, answer.as_ref(), due);
        if answer.is_some_and(|answer| answer.status() == 200 && text(&answer) != "nobody") {
            world.report.fault(Fault::ForgedAccepted, format!("a session cookie, {what}"));
        }
    }
}

/// With one of the six bits of a letter of base64url changed.
pub(crate) fn flipped(text: &str, turn: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = text.as_bytes().to_vec();
    let at = turn % text.len();
    let value = ALPHABET.iter().position(|letter| *letter == text[at]).unwrap_or_default();
    text[at] = ALPHABET[value ^ (1 << (turn % 6))];
    String::from_utf8(text).unwrap()
}

fn noise(turn: usize, length: usize) -> String {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let mut state = SEED.fetch_add(turn as u64 | 1, Ordering::Relaxed);
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 40) % 26).unwrap_or_default())
    });
    let some: String = letters.take(length.min(100)).collect();
    some.chars().cycle().take(length).collect()
}
