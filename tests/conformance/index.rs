//! The matrix, `docs/conformance.md`, is made from the rows and says the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::{fs, io};

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
            file: concat!("tests/conformance/", stringify!($file), ".rs"),
            source: include_str!(concat!(stringify!($file), ".rs")),
            rows: crate::$file::ROWS,
        }
    };
}

const SECTIONS: &[Section] = &[
    section!("Conformance suite: Basic and Form Post", basic),
    section!("Conformance suite: Config", configuration),
    section!("Conformance suite: Refresh", refresh),
    section!("Conformance suite: further modules", further),
    section!("Conformance suite: Logout", logout),
    section!("Checklist: the way to the provider", requests),
    section!("Checklist: the way back", answers),
    section!("Checklist: tokens", tokens),
    section!("Checklist: metadata, ID tokens, UserInfo", id_token),
    section!("Checklist: signing in and out from elsewhere", sign_out),
    section!("Checklist: extensions", extensions),
    section!("Checklist: cookies and caches", cookies),
];

const HEAD: &str = "# Conformance

What is demanded of a client that signs people in with OpenID Connect and OAuth 2.0, and the tests that it is done here. Rows
`RP` are the modules of the OpenID Foundation's conformance suite for relying parties, by the profile they belong to. Rows `C`
are a checklist from the specifications: RFC 9700, the draft of OAuth 2.1, OpenID Connect and what they build on.

The tests do not run the suite itself: a provider on loopback goes wrong in the ways of its modules, and a whole app signs in there
over sockets. Where something must be refused, the same sign-in works beside it. A signature that is wrong or `none` is
refused always, also where the suite would let a client go on. No certification is claimed.

Tests named without a file are in the file of their section.
";

#[test]
fn every_row_is_there_once() {
    let found: Vec<_> = SECTIONS.iter().flat_map(|section| section.rows).map(|row| row.id).collect();
    let modules = |from: u32, to: u32| (from..=to).map(|number| format!("RP{number:02}"));
    let one = |id: &str| std::iter::once(id.to_owned());
    let suite = modules(1, 14).chain(one("FP")).chain(modules(15, 44)).chain(one("FA")).chain(modules(45, 58));
    let expected: Vec<_> = suite.chain((1..=72).map(|number| format!("C{number:02}"))).collect();
    let missing: Vec<_> = expected.iter().filter(|id| !found.contains(&id.as_str())).collect();
    assert!(missing.is_empty(), "no rows for {missing:?}");
    assert_eq!(found, expected, "in order, each once, and no others");
}

#[test]
fn every_test_of_a_row_is_there_and_every_test_has_a_row() {
    for section in SECTIONS {
        let mut named = BTreeSet::new();
        for row in section.rows {
            let is_one_line = |text: &str| !text.is_empty() && !text.contains(['\n', '|']);
            assert!(is_one_line(row.what), "{}: {:?}", row.id, row.what);
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
                Verdict::Later(why) | Verdict::DoesNotApply(why) => assert!(is_one_line(why), "{}: {why:?}", row.id),
            }
        }
        assert_eq!(named, tests_of(section.source), "named by the rows of {}, and there", section.file);
    }
}

#[test]
fn the_matrix_says_what_the_rows_say() {
    let path = root().join("docs/conformance.md");
    let expected = matrix();
    if std::env::var_os("WRITE_CONFORMANCE_MATRIX").is_some() {
        fs::write(&path, &expected).expect("a place for the matrix");
    }
    // `println!` is shown of tests alone that fail.
    let _ = writeln!(io::stdout(), "\nconformance: {}", counts());
    let found = fs::read_to_string(&path).unwrap_or_default();
    let is_current = found == expected;
    assert!(is_current, "WRITE_CONFORMANCE_MATRIX=1 cargo test --test conformance writes docs/conformance.md anew");
}

fn counts() -> String {
    let rows = || SECTIONS.iter().flat_map(|section| section.rows);
    let later = rows().filter(|row| matches!(row.verdict, Verdict::Later(_))).count();
    let does_not_apply = rows().filter(|row| matches!(row.verdict, Verdict::DoesNotApply(_))).count();
    let total = rows().count();
    let covered = total - later - does_not_apply;
    format!("{covered} covered by tests, {later} later, {does_not_apply} do not apply, {total} in all.")
}

fn matrix() -> String {
    let mut text = format!("{HEAD}\n{}\n", counts());
    for section in SECTIONS {
        let _ = writeln!(text, "\n## {}\n\n`{}`\n", section.title, section.file);
        text.push_str("| Row | What is demanded | Level | Verdict | Test, or why there is none |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for row in section.rows {
            let (verdict, answer) = match row.verdict {
                Verdict::Held(tests) => ("covered", listed(tests)),
                Verdict::Later(why) => ("later", why.to_owned()),
                Verdict::DoesNotApply(why) => ("does not apply", why.to_owned()),
            };
            let _ = writeln!(text, "| {} | {} | {} | {verdict} | {answer} |", row.id, row.what, row.level.as_str());
        }
    }
    text
}
