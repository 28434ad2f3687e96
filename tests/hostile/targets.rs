//! Return targets that have led browsers astray, and all that can be made of them; the same ones each time.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeSet;

use crate::random::Random;

/// Every target: what the classes below come to in each other's company, written in each way and put in each position.
/// `folder` is where login, callback and logout are.
pub fn corpus(folder: &str) -> Vec<String> {
    let mut targets = BTreeSet::new();
    before_a_host(&mut targets);
    in_every_position(&mut targets, folder);
    in_every_encoding(&mut targets);
    our_own_paths(&mut targets, folder);
    long_ones(&mut targets);
    targets.into_iter().collect()
}

/// So many of them, evenly spread.
pub fn sample(folder: &str, count: usize) -> Vec<String> {
    let targets = corpus(folder);
    (0..count).map(|index| targets[index * targets.len() / count].clone()).collect()
}

/// One made up of anything.
pub fn made_up(random: &mut Random, folder: &str) -> String {
    let own = OWN.map(|name| format!("{folder}/{name}"));
    let mut target = if random.one_in(4) { String::new() } else { "/".to_owned() };
    for _ in 0..=random.below(6) {
        match random.below(8) {
            0 => target.extend(char::from_u32(u32::try_from(random.below(0x11_0000)).unwrap())),
            1 => target.push(char::from(u8::try_from(random.below(128)).unwrap())),
            2 => target += &format!("%{:02x}", random.below(256)),
            3 => target += random.pick(&HOSTS),
            4 => target += random.pick(&SCHEMES),
            5 => target += random.pick(&NOISE),
            6 => target += &own[random.below(own.len())],
            _ => target += random.pick(&SLASHES),
        }
    }
    random.mutate(&target)
}

const OWN: [&str; 3] = ["login", "callback", "logout"];

/// What may end a path and begin a host.
#[rustfmt::skip]
const SLASHES: [&str; 34] = [
    "", "/", "//", "///", "\\", "/\\", "\\/", "\\\\", "/.", "/./", "/../", "/.//", "/..//", "/..;/", "/;/", "/%2e/",
    "/%2e%2e/", "/.%2E/", "/%5c", "%5C", "/%2f", "%2f%2f", "/%2F/", "//%5c", "/%255c", "/%252f", "/%25252f", "/\u{ff0f}",
    "\u{ff0f}\u{ff0f}", "/\u{2044}", "/\u{2215}", "/\u{ff3c}", "/\u{3002}", "/%c0%af",
];

/// What a browser drops, trims, or takes for nothing.
#[rustfmt::skip]
const NOISE: [&str; 34] = [
    "", "\t", "\n", "\r", "\r\n", "\r\nset-cookie: a=b\r\n\r\n", "\0", "\u{b}", "\u{c}", "\u{1f}", "\u{7f}", " ", "%09",
    "%0a", "%0D", "%0d%0aset-cookie:%20a=b", "%00", "%20", "%2509", "%a0", "%c2%a0", "%e3%80%80", "\u{85}", "\u{a0}",
    "\u{ad}", "\u{1680}", "\u{2003}", "\u{200b}", "\u{2028}", "\u{202e}", "\u{3000}", "\u{feff}", "+", "%",
];

/// Hosts, and what may stand around one.
#[rustfmt::skip]
const HOSTS: [&str; 32] = [
    "evil.example", "evil.example:80", ":80", ":@evil.example", "@evil.example", ";@evil.example", "?@evil.example",
    "#@evil.example", "example.com@evil.example", "example.com:443@evil.example", "example.com.evil.example",
    "evilexample.com", "evil.example\\@example.com", "evil.example%2f@example.com", "evil.example#example.com",
    "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "\u{435}xample.com",
    "xn--xample-2of.com", "evil\u{3002}example", "evil\u{ff0e}example", "\u{ff45}vil.example", "evil%2eexample",
    "localhost", "evil.example.", "user:pass@evil.example:8443/x?y#z", "evil.example/..//evil.example",
];

/// Schemes, whole and broken.
#[rustfmt::skip]
const SCHEMES: [&str; 28] = [
    "https:", "http:", "HTTPS:", "hTtP:/", "https:/", "https://", "https:///", "https:\\\\", "https:/\\", "http:////",
    "htt\tps://", "https\n://", "https%3a//", "javascript:alert(1)//", "javascript://%0aalert(1)//", "java\tscript:alert(1)",
    "JaVaScRiPt:", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///", "blob:https://", "ws://",
    "ftp://", "mailto:", "view-source:", "about:blank#", "x:", "://",
];

/// Markup and quotes, for the pages that repeat a target.
const MARKUP: [&str; 8] = ["\"", "'", "<script>", "\"><a href=//evil.example>", "&#47;", "&sol;", "`", "{}|^"];

fn before_a_host(targets: &mut BTreeSet<String>) {
    for first in SLASHES {
        for noise in NOISE {
            for second in SLASHES.iter().take(8) {
                targets.insert(format!("{first}{noise}{second}evil.example"));
            }
        }
        for host in HOSTS {
            targets.extend(["", "/", "\t", " "].map(|start| format!("{start}{first}{host}")));
        }
    }
    for scheme in SCHEMES {
        for host in HOSTS {
            targets.extend(["", "/", "\t", "//", "\u{a0}"].map(|start| format!("{start}{scheme}{host}")));
        }
    }
}

fn in_every_position(targets: &mut BTreeSet<String>, folder: &str) {
    for piece in SLASHES.iter().chain(&NOISE).chain(&HOSTS).chain(&SCHEMES).chain(&MARKUP) {
        targets.extend([
            (*piece).to_owned(),
            format!("/{piece}"),
            format!("/a{piece}"),
            format!("/a{piece}b"),
            format!("/a/{piece}/b"),
            format!("/a;{piece}"),
            format!("/.{piece}"),
            format!("/..{piece}/"),
            format!("/{piece}.."),
            format!("/{piece}/../../"),
            format!("/{piece}?x"),
            format!("/{piece}#y"),
            format!("/a?{piece}"),
            format!("/a?x=//evil.example{piece}&y"),
            format!("/a#{piece}"),
            format!("/a#//evil.example{piece}"),
            format!("/a/{piece}//evil.example"),
            format!("?{piece}"),
            format!("#{piece}"),
        ]);
        for own in OWN {
            targets.insert(format!("{folder}/{own}{piece}"));
            targets.insert(format!("{piece}{folder}/{own}"));
        }
    }
}

fn in_every_encoding(targets: &mut BTreeSet<String>) {
    let percent = |text: &str, chosen: fn(u8) -> bool| -> String {
        let encode = |byte: u8| if chosen(byte) { format!("%{byte:02x}") } else { char::from(byte).to_string() };
        text.bytes().map(encode).collect()
    };
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'.';
    for first in ["//", "/\\", "\\\\", "/\t/", "/..//", "https://", "https:", "javascript:"] {
        for host in ["evil.example", "evil.example/x?y#z", "example.com@evil.example", "[::1]"] {
            let plain = format!("{first}{host}");
            let once = percent(&plain, odd);
            for start in ["", "/", "/a/../"] {
                targets.extend([
                    format!("{start}{once}"),
                    format!("{start}{}", once.to_uppercase()),
                    format!("{start}{}", percent(&plain, |_| true)),
                    format!("{start}{}", percent(&once, |byte| byte == b'%')),
                    format!("{start}{}", percent(&percent(&once, |byte| byte == b'%'), |byte| byte == b'%')),
                    format!("{start}{}", once.replace('%', "%u00")),
                    format!("{start}{}", plain.replace('/', "&#47;").replace('\\', "&bsol;")),
                    format!("{start}{}", plain.replace('/', "\\u002f")),
                ]);
            }
        }
    }
}

/// A redirect to one of these would lead back to itself.
fn our_own_paths(targets: &mut BTreeSet<String>, folder: &str) {
    for name in OWN {
        let own = format!("{folder}/{name}");
        for (at, letter) in own.char_indices() {
            let (start, end) = (&own[..at], &own[at + 1..]);
            targets.insert(format!("{start}%{:02x}{end}", u32::from(letter)));
            targets.insert(format!("{start}%25{:02x}{end}", u32::from(letter)));
            targets.insert(format!("{start}{}{end}", letter.to_ascii_uppercase()));
            targets.extend(
                ["\t", "\n", "\0", "\u{ad}", "%00", "/", "\\", "/./", "/x/../", ";", "?", "#"]
                    .map(|piece| format!("{start}{piece}{letter}{end}")),
            );
        }
        for query in
            ["", "?", "?x", "?return_to=%2F", "?code=c&state=s", "?prompt=select_account", "#", "#x", "?#", "/.", "/"]
        {
            targets.extend([
                format!("{own}{query}"),
                format!("/.{own}{query}"),
                format!("/a/..{own}{query}"),
                format!("/%2e%2e{own}{query}"),
                format!("{own}/../{name}{query}"),
                format!("{folder}/./{name}{query}"),
                format!("https://example.com{own}{query}"),
                format!("//example.com{own}{query}"),
            ]);
        }
        // Login inside of login inside of login.
        let mut nested = own.clone();
        for _ in 0..6 {
            nested = format!("{own}?return_to={}", nested.replace('%', "%25").replace('?', "%3F").replace('=', "%3D"));
            targets.insert(nested.clone());
        }
    }
}

/// About 2 KiB, where a target is too long, and far beyond it.
fn long_ones(targets: &mut BTreeSet<String>) {
    for length in [230, 400, 682, 683, 684, 1023, 1024, 1025, 2046, 2047, 2048, 2049, 2050, 4096, 16_384] {
        for letter in ["a", "/", "%", ".", "\"", "\u{e9}", "\u{3000}", "//", "/..", "\\", "@", "?", "#"] {
            let long: String = letter.repeat(length / letter.len() + 1).chars().take(length - 1).collect();
            targets.extend([
                format!("/{long}"),
                format!("//evil.example/{long}"),
                format!("/a?{long}"),
                format!("/a#{long}"),
                format!("/{long}//evil.example"),
                format!("/{long}?//evil.example#x"),
            ]);
        }
    }
}
