//! Our cookies: found among all others, set and expired with the same attributes.

mod hide;

use http::header::{COOKIE, Entry, ValueIter};
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::oauth::state::is_public_half;

/// The names and attributes of our cookies.
///
/// On https all are `__Host-` cookies, which no other host can plant. On a loopback redirect URI that prefix can't
/// hold, and the port is in the name since cookies ignore ports.
#[derive(Debug)]
pub(crate) struct Cookies {
    session: String,
    flow_prefix: String,
    rounds: String,
    tokens: String,
    /// What all of them have, as it stands behind the value.
    attributes: &'static str,
    /// Finds the name that all of theirs begin with.
    ours: Finder<'static>,
}

/// What follows the session cookie's name in the name of a flow cookie.
const FLOW: &str = "-flow-";

/// And in that of the count of sign-ins in a row.
const ROUNDS: &str = "-rounds";

/// And in that of the tokens.
const TOKENS: &str = "-tokens";

/// Browsers drop a cookie whose name and value take more bytes (RFC 6265bis section 5).
pub(crate) const COOKIE_LIMIT: usize = 4096;

/// A session takes at most this many cookies.
pub(crate) const MOST_CHUNKS: usize = 4;

/// What the `Cookie` headers hold under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Nothing,
    One(&'a [u8]),
    /// Two of one name: one was planted, and nothing tells which, so neither is believed.
    Several,
}

/// Our cookies in a request, seen in one pass.
pub(crate) struct Ours<'a> {
    pub(crate) session: SessionCookies<'a>,
    /// A flow, tokens, the count of sign-ins in a row, or a further cookie of a session.
    pub(crate) has_other: bool,
}

/// The cookies that hold a session: `__Host-signin`, and `__Host-signin.1` and so on where one is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionCookies<'a> {
    pub(crate) first: Found<'a>,
    pub(crate) further: [Found<'a>; MOST_CHUNKS - 1],
}

/// Which further cookies of a session came with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Further([bool; MOST_CHUNKS - 1]);

/// What a cookie of ours is, by its name.
enum Kind {
    Session,
    /// A further cookie of a session, counted from 0.
    Further(usize),
    /// A flow, tokens, or the count of sign-ins in a row.
    Other,
}

/// A flow cookie of the request: the public half of its state, and its value.
pub(crate) struct FlowCookie<'a> {
    pub(crate) public: &'a str,
    pub(crate) value: &'a [u8],
}

impl<'a> Found<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = if *self == Self::Nothing { Self::One(value) } else { Self::Several };
    }
}

impl SessionCookies<'_> {
    pub(crate) fn came(&self) -> Further {
        Further(self.further.map(|found| found != Found::Nothing))
    }
}

impl Cookies {
    /// Names with `prefix`, for an https origin (`port` is `None`) or for http on loopback.
    pub(crate) fn new(prefix: &str, loopback_port: Option<u16>) -> Self {
        let (session, attributes) = match loopback_port {
            None => (format!("__Host-{prefix}"), "; HttpOnly; SameSite=Lax; Secure; Path=/"),
            Some(port) => (format!("{prefix}-{port}"), "; HttpOnly; SameSite=Lax; Path=/"),
        };
        Self {
            ours: Finder::new(&session).into_owned(),
            flow_prefix: format!("{session}{FLOW}"),
            rounds: format!("{session}{ROUNDS}"),
            tokens: format!("{session}{TOKENS}"),
            session,
            attributes,
        }
    }

    pub(crate) fn session_name(&self) -> &str {
        &self.session
    }

    /// The name of a session's cookie, counted from 0.
    pub(crate) fn chunk_name(&self, number: usize) -> String {
        if number == 0 { self.session.clone() } else { format!("{}.{number}", self.session) }
    }

    /// The name of the cookie that counts sign-ins in a row.
    pub(crate) fn rounds_name(&self) -> &str {
        &self.rounds
    }

    /// The name of the cookie that keeps the provider's tokens.
    pub(crate) fn tokens_name(&self) -> &str {
        &self.tokens
    }

    pub(crate) fn flow_name(&self, public: &str) -> String {
        [&self.flow_prefix, public].concat()
    }

    /// Looks for all of ours at once.
    pub(crate) fn scan<'a>(&'a self, headers: &'a HeaderMap) -> Ours<'a> {
        let session = SessionCookies { first: Found::Nothing, further: [Found::Nothing; MOST_CHUNKS - 1] };
        let mut ours = Ours { session, has_other: false };
        for (name, value) in self.pairs(headers, &self.session) {
            self.note(&mut ours, name, value);
        }
        ours
    }

    fn note<'a>(&self, ours: &mut Ours<'a>, name: &[u8], value: &'a [u8]) {
        match self.kind(name) {
            None => {}
            Some(Kind::Session) => ours.session.first.add(value),
            Some(Kind::Further(index)) => {
                if let Some(found) = ours.session.further.get_mut(index) {
                    found.add(value);
                }
                ours.has_other = true;
            }
            Some(Kind::Other) => ours.has_other = true,
        }
    }

    /// Every name that we set, and no other.
    fn kind(&self, name: &[u8]) -> Option<Kind> {
        match name.strip_prefix(self.session.as_bytes())? {
            b"" => Some(Kind::Session),
            [b'.', digit] => {
                let index = usize::from(digit.wrapping_sub(b'1'));
                (index < MOST_CHUNKS - 1).then_some(Kind::Further(index))
            }
            rest if rest == ROUNDS.as_bytes() || rest == TOKENS.as_bytes() => Some(Kind::Other),
            rest => {
                let public = rest.strip_prefix(FLOW.as_bytes())?;
                std::str::from_utf8(public).is_ok_and(is_public_half).then_some(Kind::Other)
            }
        }
    }

    /// The flow cookies among the request's cookies, as we name them, oldest first. No browser holds more than a few, so the
    /// first sixteen are enough.
    pub(crate) fn flows<'a>(&'a self, headers: &'a HeaderMap) -> Vec<FlowCookie<'a>> {
        let flows = self.pairs(headers, &self.flow_prefix).filter_map(|(name, value)| {
            let public = name.strip_prefix(self.flow_prefix.as_bytes())?;
            let public = std::str::from_utf8(public).ok().filter(|public| is_public_half(public))?;
            Some(FlowCookie { public, value })
        });
        let mut flows: Vec<_> = flows.take(16).collect();
        flows.sort_by_key(|flow| flow.public);
        flows
    }

    /// [`flows`](Self::flows) without those that come twice: of these neither is believed.
    pub(crate) fn believed_flows<'a>(&'a self, headers: &'a HeaderMap) -> Vec<FlowCookie<'a>> {
        let mut flows = self.flows(headers);
        let publics: Vec<_> = flows.iter().map(|flow| flow.public).collect();
        flows.retain(|flow| publics.iter().filter(|public| **public == flow.public).count() == 1);
        flows
    }

    /// Looks for one of ours in every `Cookie` header: HTTP/2 may split them (RFC 9113 section 8.2.3).
    pub(crate) fn find<'a>(&'a self, headers: &'a HeaderMap, name: &str) -> Found<'a> {
        let mut found = Found::Nothing;
        for (other, value) in self.pairs(headers, name) {
            if other == name.as_bytes() {
                found.add(value);
            }
        }
        found
    }

    /// Names that begin with `prefix`, and their values. Most cookies are of others, and that is told by their first bytes.
    fn pairs<'a>(&'a self, headers: &'a HeaderMap, prefix: &str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let parts = Parts { headers: headers.get_all(COOKIE).iter(), ours: &self.ours, rest: None };
        parts.filter(|part| part.trim_ascii_start().starts_with(prefix.as_bytes())).filter_map(split_pair)
    }

    /// A `Set-Cookie` header that keeps `value` for `max_age` seconds.
    pub(crate) fn set(&self, name: &str, value: &str, max_age: u64) -> Option<HeaderValue> {
        let max_age = max_age.to_string();
        let parts = [name, "=", value, self.attributes, "; Max-Age=", &max_age];
        let mut header = HeaderValue::try_from(parts.concat()).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// A `Set-Cookie` header that deletes what [`set`](Self::set) kept; a browser asks for the same attributes.
    pub(crate) fn expire(&self, name: &str) -> Option<HeaderValue> {
        self.set(name, "", 0)
    }

    /// The `Set-Cookie` headers that delete the session cookie, and what came of further ones.
    pub(crate) fn expire_session(&self, came: Further) -> impl Iterator<Item = HeaderValue> {
        self.expire(&self.session).into_iter().chain(self.expire_further(came, 1))
    }

    /// Those that delete whatever came of a session, the first cookie or not.
    pub(crate) fn expire_found_session(&self, found: &SessionCookies<'_>) -> impl Iterator<Item = HeaderValue> {
        let first = Some(&self.session).filter(|_| found.first != Found::Nothing);
        first.and_then(|name| self.expire(name)).into_iter().chain(self.expire_further(found.came(), 1))
    }

    /// Those that delete the further cookies which came and which a session of `count` cookies does not write over.
    pub(crate) fn expire_further(&self, came: Further, count: usize) -> impl Iterator<Item = HeaderValue> {
        let stale = (1..).zip(came.0).filter(move |(number, came)| *came && *number >= count);
        stale.filter_map(|(number, _)| self.expire(&self.chunk_name(number)))
    }

    /// Keeps our cookies out of `Debug` output and out of HTTP/2 header compression.
    pub(crate) fn mark_sensitive(headers: &mut HeaderMap) {
        // An entry makes room before it looks, which fails where there can be no more names.
        match headers.try_entry(COOKIE) {
            Ok(Entry::Occupied(mut cookies)) => cookies.iter_mut().for_each(|cookie| cookie.set_sensitive(true)),
            Ok(Entry::Vacant(_)) => {}
            Err(_) => {
                headers
                    .iter_mut()
                    .filter(|(name, _)| *name == COOKIE)
                    .for_each(|(_, cookie)| cookie.set_sensitive(true));
            }
        }
    }
}

/// What stands between the semicolons of all `Cookie` headers and holds the name of ours. It runs at every request, and passes
/// over what is of others without a look at each.
struct Parts<'a> {
    headers: ValueIter<'a, HeaderValue>,
    ours: &'a Finder<'static>,
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = match self.rest.take() {
                Some(rest) => rest,
                None => self.headers.next()?.as_bytes(),
            };
            let Some(at) = self.ours.find(rest) else { continue };
            let (before, from) = rest.split_at_checked(at)?;
            let start = memrchr(b';', before).map_or(0, |semicolon| semicolon + 1);
            let end = memchr(b';', from).map_or(rest.len(), |semicolon| at + semicolon);
            self.rest = rest.get(end + 1..);
            return rest.get(start..end);
        }
    }
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(middle)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::tests::fill;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (COOKIE, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn finds_one_cookie_among_all_headers() {
        let cases: &[(&str, &[&str], Found<'static>)] = &[
            ("no header", &[], Found::Nothing),
            ("alone", &["s-1=1"], Found::One(b"1")),
            ("among others", &["a=0; s-1=1; b=2"], Found::One(b"1")),
            ("in a second header", &["a=0", "s-1=1"], Found::One(b"1")),
            ("no space", &["a=0;s-1=1"], Found::One(b"1")),
            ("equals in the value", &["s-1=a=b"], Found::One(b"a=b")),
            ("twice", &["s-1=1; s-1=2"], Found::Several),
            ("twice in two headers", &["s-1=1", "s-1=1"], Found::Several),
            ("a longer name", &["ss-1=1; s-12=2; xs-1=3; s=4"], Found::Nothing),
            ("no value", &["s-1"], Found::Nothing),
            ("junk", &[";;; =; ;=;", "=s", ""], Found::Nothing),
            ("another case", &["S-1=1"], Found::Nothing),
        ];
        for (name, values, expected) in cases {
            let cookies = Cookies::new("s", Some(1));
            assert_eq!(&cookies.find(&headers(values), "s-1"), expected, "{name}");
        }
    }

    #[test]
    fn sees_all_of_ours_in_one_pass_and_nothing_like_them() {
        let cookies = Cookies::new("signin", None);
        let cases = [
            ("__Host-signin=1; a=2", Found::One(&b"1"[..]), false),
            ("__Host-signin.1=1", Found::Nothing, true),
            ("__Host-signin-flow-0123456789abcdef0123456789=1", Found::Nothing, true),
            ("__Host-signin-rounds=1", Found::Nothing, true),
            ("__Host-signin-tokens=1", Found::Nothing, true),
            (
                "__Host-signing=1; signin=2; __Host-signin-round=3; __Host-signin-roundsman=4; a=5",
                Found::Nothing,
                false,
            ),
            ("__Host-signin.=1; __Host-signin.0=2; __Host-signin.4=3; __Host-signin.11=4", Found::Nothing, false),
            ("__Host-signin-flow=1; __Host-signin-flow-=2; __Host-signin-flow-rounds=3", Found::Nothing, false),
        ];
        for (header, session, has_other) in cases {
            let headers = headers(&[header]);
            let ours = cookies.scan(&headers);
            assert_eq!((ours.session.first, ours.has_other), (session, has_other), "{header}");
        }
    }

    #[test]
    fn names_and_attributes_follow_the_scheme() {
        let https = Cookies::new("signin", None);
        assert_eq!(
            https.set(https.session_name(), "v", 60).unwrap(),
            "__Host-signin=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        let loopback = Cookies::new("signin", Some(3000));
        assert_eq!(
            loopback.expire(&loopback.flow_name("x")).unwrap(),
            "signin-3000-flow-x=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
        assert!(https.set("n", "v", 1).unwrap().is_sensitive());
    }

    #[test]
    fn further_cookies_of_a_session_are_told_apart_and_deleted_where_they_came() {
        let cookies = Cookies::new("signin", Some(3000));
        let headers = headers(&["signin-3000.3=c; signin-3000=a", "signin-3000.1=b; signin-3000.3=d"]);
        let session = cookies.scan(&headers).session;
        assert_eq!(session.first, Found::One(b"a"));
        assert_eq!(session.further, [Found::One(b"b"), Found::Nothing, Found::Several]);
        let came = session.came();
        let names = |headers: Vec<HeaderValue>| {
            headers.iter().map(|it| it.to_str().unwrap().split_once('=').unwrap().0.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(cookies.expire_session(came).collect()), ["signin-3000", "signin-3000.1", "signin-3000.3"]);
        assert_eq!(names(cookies.expire_further(came, 2).collect()), ["signin-3000.3"]);
        assert_eq!(names(cookies.expire_further(came, 4).collect()), [""; 0]);
    }

    #[test]
    fn as_many_headers_as_there_can_be_are_no_panic() {
        let mut headers = headers(&["signin-1=s"]);
        fill(&mut headers);
        Cookies::mark_sensitive(&mut headers);
        assert_eq!(headers[COOKIE], "signin-1=s");
        assert!(headers[COOKIE].is_sensitive());
    }

    #[test]
    fn lists_flows_by_their_public_half() {
        let cookies = Cookies::new("signin", Some(1));
        let (one, other) = ("0123456789abcdef0123456789", "00000000000000000000000000");
        let headers = headers(&[
            &format!("signin-1=s; signin-1-flow-{one}=1; signin-1-flow-a=1"),
            &format!("signin-2-flow-{one}=2; signin-1-flow-{other}=3; signin-1-flow-{}=4", one.to_uppercase()),
        ]);
        let found: Vec<_> = cookies.flows(&headers).iter().map(|flow| (flow.public, flow.value)).collect();
        assert_eq!(found, [(other, &b"3"[..]), (one, &b"1"[..])], "oldest first");
        let twice =
            super::tests::headers(&[&format!("signin-1-flow-{one}=1; signin-1-flow-{other}=3; signin-1-flow-{one}=1")]);
        let believed: Vec<_> = cookies.believed_flows(&twice).iter().map(|flow| flow.public).collect();
        assert_eq!((cookies.flows(&twice).len(), believed), (3, vec![other]));
    }
}
