//! Cookies of large sessions, in any mixture: only a whole set signs in.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::Request;
use http::header::COOKIE;
use tower_signin::{Admission, Builder};

use crate::site::{BOB, Site};
use crate::support::text;
use crate::{KEYS, SESSION, block_on, read, session_cookies, site_with};

/// One cookie: under which name, which part of which session, and what was done to it.
#[derive(Arbitrary, Debug)]
struct Piece {
    name: u8,
    session: u8,
    part: u8,
    kind: u8,
    at: u16,
}

/// Two sessions of three cookies, and one each of one, two and four.
static SESSIONS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let sessions = [0, 4000, 7000, 7000, 9500].map(|length| {
        let configure = move |builder: Builder| {
            let builder = builder.session_cookie_limit(16_384);
            builder.on_sign_in(move |_| async move { Admission::with_data(&"x".repeat(length)) })
        };
        session_cookies(&block_on(site_with(KEYS, configure).signed_in()))
    });
    assert_eq!(sessions.each_ref().map(Vec::len), [1, 2, 3, 3, 4]);
    sessions.into()
});

impl Piece {
    fn cookie(&self) -> (usize, String) {
        let session = &SESSIONS[usize::from(self.session) % SESSIONS.len()];
        let mut value = session[usize::from(self.part) % session.len()].clone();
        let at = usize::from(self.at) % value.len();
        match self.kind % 8 {
            1 => value.truncate(at),
            2 => value.replace_range(at..=at, "A"),
            3 => value.insert(at, '_'),
            4 => value.replace_range(..1, ["1", "2", "3", "4", "5", "9", "0", ""][at % 8]),
            5 => drop(value.drain(..at)),
            6 => value.insert_str(0, ["2.", "3.", "4.", "9."][at % 4]),
            _ => {}
        }
        (usize::from(self.name) % 6, value)
    }
}

fn is_whole(cookies: &[(usize, String)], session: &[String]) -> bool {
    let mut parts = session.iter().enumerate();
    parts.all(|(number, part)| {
        let values: Vec<_> = cookies.iter().filter(|(name, _)| *name == number).map(|(_, value)| value).collect();
        values == [part]
    })
}

pub fn run(data: &[u8]) -> bool {
    static SITE: LazyLock<Site> = LazyLock::new(|| site_with(KEYS, |builder| builder.session_cookie_limit(16_384)));
    let Some(pieces) = read::<Vec<Piece>>(data) else { return false };
    let cookies: Vec<_> = pieces.iter().take(8).map(Piece::cookie).collect();
    let pairs = cookies.iter().map(|(number, value)| match number {
        0 => format!("{SESSION}={value}"),
        number => format!("{SESSION}.{number}={value}"),
    });
    let header = pairs.collect::<Vec<_>>().join("; ");
    let response = block_on(SITE.send(Request::get("/").header(COOKIE, header).body(Bytes::new()).unwrap()));
    let is_signed_in = SESSIONS.iter().any(|session| is_whole(&cookies, session));
    assert_eq!((response.status().as_u16(), text(&response)), (200, if is_signed_in { BOB } else { "nobody" }));
    is_signed_in
}
