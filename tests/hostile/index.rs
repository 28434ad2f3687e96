//! The index of hostile cases, `docs/hostile.md`, is made from the rows and says the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use crate::named::{is_there, listed, root, tests_of};
use crate::rows::{Row, Verdict};

struct Section {
    title: &'static str,
    file: &'static str,
    source: &'static str,
    rows: &'static [Row],
}

macro_rules! section {
    ($title:literal, $file:ident) => {
        Section {
            title: $title,
            file: concat!("tests/hostile/", stringify!($file), ".rs"),
            source: include_str!(concat!(stringify!($file), ".rs")),
            rows: crate::$file::ROWS,
        }
    };
}

const SECTIONS: &[Section] = &[
    section!("Open redirects", redirects),
    section!("Our own addresses", addresses),
    section!("Matching of paths", paths),
    section!("Ways past the sign-in", bypass),
    section!("Whom the app lets in", gates),
    section!("Headers and proxies", headers),
    section!("State, forged requests and mix-up", state),
    section!("Life of a session", sessions),
    section!("Ends of sessions", ends),
    section!("Cookies that come", cookies),
    section!("Cookies that are set", set_cookies),
    section!("Floods", floods),
    section!("Denial of service", denial),
    section!("Tokens from outside", tokens),
    section!("Keys and kept tokens", keys),
    section!("Identity", identity),
    section!("Claims", claims),
    section!("Leaks, scripts, caches, forged requests of a server", leaks),
    section!("Hardening", hardening),
    section!("Seen in Rust peers", peers),
    section!("Seen in Rust peers, in what is exchanged", peer_exchanges),
    section!("Where the code of a sign-in meets the browser", browser),
    section!("Many machines", machines),
];

/// Tests of several sections, by what they need.
const BESIDE: [(&str, &str); 3] = [
    ("tests/hostile/id_tokens.rs", include_str!("id_tokens.rs")),
    ("tests/hostile/persons.rs", include_str!("persons.rs")),
    ("tests/hostile/signing_keys.rs", include_str!("signing_keys.rs")),
];

/// Numbers that no row has.
const LEFT_OUT: [u32; 6] = [16, 30, 47, 82, 93, 107];

const HEAD: &str = "# Hostile cases

What went wrong in sign-in software elsewhere, row by row, and the tests by which it doesn't happen here. Tests named
without a file are in the file of their section.
";

#[test]
fn every_row_is_there_once() {
    let found: Vec<_> = SECTIONS.iter().flat_map(|section| section.rows).map(|row| row.id).collect();
    let numbered = |letter: char, last: u32| (1..=last).map(move |number| format!("{letter}{number:02}"));
    let h = (1..=133).filter(|number| !LEFT_OUT.contains(number)).map(|number| format!("H{number:03}"));
    let expected: Vec<_> =
        h.chain(numbered('K', 8)).chain(numbered('R', 13)).chain(numbered('B', 5)).chain(numbered('M', 11)).collect();
    let missing: Vec<_> = expected.iter().filter(|id| !found.contains(&id.as_str())).collect();
    assert!(missing.is_empty(), "no rows for {missing:?}");
    assert_eq!(found, expected, "in order, each once, and no others");
}

#[test]
fn every_test_of_a_row_is_there_and_every_test_has_a_row() {
    for section in SECTIONS {
        let mut named = BTreeSet::new();
        for row in section.rows {
            assert!(!row.what.is_empty() && !row.what.contains(['\n', '|']), "{}: {:?}", row.id, row.what);
            match row.verdict {
                Verdict::Held(tests) => {
                    let (elsewhere, here): (Vec<&str>, Vec<_>) = tests.iter().partition(|test| test.contains("::"));
                    assert!(!tests.is_empty(), "{} names no test", row.id);
                    let prefix = format!("{}_", row.id.to_lowercase());
                    for test in here {
                        assert!(test.starts_with(&prefix), "{test} does not bear the name of its row, {}", row.id);
                        assert!(named.insert(test), "{test} is named twice");
                    }
                    elsewhere.into_iter().for_each(is_there);
                }
                Verdict::CannotApply(why) => {
                    assert!(!why.is_empty() && !why.contains(['\n', '|']), "{}: {why:?}", row.id);
                }
            }
        }
        assert_eq!(named, tests_of(section.source), "named by the rows of {}, and there", section.file);
    }
    // And those that stand in a file beside their sections.
    let named: BTreeSet<_> = SECTIONS.iter().flat_map(|section| section.rows).flat_map(held).copied().collect();
    for (file, source) in BESIDE {
        for test in tests_of(source) {
            assert!(named.contains(&*format!("{file}::{test}")), "{file}::{test} has no row");
        }
    }
}

/// The tests that hold a row.
fn held(row: &Row) -> &'static [&'static str] {
    match row.verdict {
        Verdict::Held(tests) => tests,
        Verdict::CannotApply(_) => &[],
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the counts are for whoever runs this")]
fn the_index_says_what_the_rows_say() {
    let path = root().join("docs/hostile.md");
    let expected = index();
    if std::env::var_os("WRITE_HOSTILE_INDEX").is_some() {
        fs::write(&path, &expected).expect("a place for the index");
    }
    println!("{}", counts());
    let found = fs::read_to_string(&path).unwrap_or_default();
    let is_current = found == expected;
    assert!(is_current, "WRITE_HOSTILE_INDEX=1 cargo test --test hostile writes docs/hostile.md anew");
}

#[test]
fn every_test_that_security_md_names_is_there() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<_> = text.split('`').filter(|it| it.starts_with("tests/") && it.contains("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    named.into_iter().for_each(is_there);
}

fn counts() -> String {
    let rows = || SECTIONS.iter().flat_map(|section| section.rows);
    let cannot_apply = rows().filter(|row| matches!(row.verdict, Verdict::CannotApply(_))).count();
    let total = rows().count();
    let covered = total - cannot_apply;
    format!("{covered} covered by tests, {cannot_apply} can't apply, {total} in all.")
}

fn index() -> String {
    let mut text = format!("{HEAD}\n{}\n", counts());
    for section in SECTIONS {
        let _ = writeln!(text, "\n## {}\n\n`{}`\n", section.title, section.file);
        text.push_str("| Row | What went wrong | Test, or why it can't apply |\n| --- | --- | --- |\n");
        for row in section.rows {
            let answer = match row.verdict {
                Verdict::Held(tests) => listed(tests),
                Verdict::CannotApply(why) => format!("Can't apply: {why}"),
            };
            let _ = writeln!(text, "| {} | {} | {answer} |", row.id, row.what);
        }
    }
    text
}
