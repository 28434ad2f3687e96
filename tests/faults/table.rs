//! What became of each fault, section by section, and the document that is written from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs};

use crate::expected::{Row, SECTIONS, Section};

const HEAD: &str = "# What becomes of faults

Written from what a run of `tests/faults/` saw (`WRITE_FAULT_TABLE=1 cargo test --test faults`), over sockets and on
Linux, with the built-in HTTP client, and compared in every run. [Error reference](errors.md) says what each code means.

The last column is the same browser once the fault is gone: the first page it opens, or what becomes of its next sign-in.
In every row somebody else, signed in before, stays signed in wherever their session depends on nothing that is at fault;
nobody is signed in who has not come to the end of a sign-in; and no cookie of a session goes unless the row says so.
";

/// Begins a row among whatever else a process says.
const LINE: &str = "row of the table: ";

/// The rows that a test has seen, in their order.
pub struct Seen {
    section: &'static Section,
    rows: Vec<[String; 4]>,
}

impl Seen {
    pub fn of(title: &str) -> Self {
        let section = SECTIONS.iter().find(|section| section.title == title).expect("a section of that title");
        Self { section, rows: Vec::new() }
    }

    pub fn row(&mut self, fault: &str, place: &str, sees: impl Into<String>, next: impl Into<String>) {
        self.rows.push([fault.to_owned(), place.to_owned(), sees.into(), next.into()]);
    }

    /// The rows as lines, from one process to another.
    pub fn lines(&self) -> String {
        self.rows.iter().map(|row| format!("{LINE}{}\n", row.join("\t"))).collect()
    }

    pub fn add_lines(&mut self, lines: &str) {
        for line in lines.lines().filter_map(|line| line.split_once(LINE)) {
            let cells: Vec<_> = line.1.split('\t').map(str::to_owned).collect();
            self.rows.push(cells.try_into().expect("four cells"));
        }
    }

    /// Compares them with what is expected.
    #[track_caller]
    pub fn check(self) {
        let seen = rendered(self.section, self.rows.iter().map(|row| row.each_ref().map(String::as_str)));
        if is_writing() {
            write(self.section, &seen);
        }
        let expected = rendered(self.section, self.section.rows.iter().map(cells));
        for (seen, expected) in seen.lines().zip(expected.lines()) {
            assert_eq!(seen, expected);
        }
        assert_eq!(seen, expected);
    }
}

/// Each test compares what it saw with the same table.
#[test]
fn the_document_says_what_was_seen() {
    if is_writing() {
        return;
    }
    let sections: String =
        SECTIONS.iter().map(|section| format!("\n{}", rendered(section, section.rows.iter().map(cells)))).collect();
    let found = fs::read_to_string(path()).unwrap_or_default();
    assert_eq!(found, format!("{HEAD}{sections}"), "WRITE_FAULT_TABLE=1 cargo test --test faults writes it anew");
}

fn is_writing() -> bool {
    env::var_os("WRITE_FAULT_TABLE").is_some()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")
}

fn cells(row: &Row) -> [&str; 4] {
    [row.0, row.1, row.2, row.3]
}

fn rendered<'a>(section: &Section, rows: impl Iterator<Item = [&'a str; 4]>) -> String {
    let mut text = format!("## {}\n\n{}\n\n", section.title, section.about);
    text.push_str("| fault | where | what the person sees | next |\n|---|---|---|---|\n");
    for [fault, place, sees, next] in rows {
        let _ = writeln!(text, "| {fault} | {place} | {sees} | {next} |");
    }
    text
}

/// Replaces one section and leaves the others as they are.
fn write(section: &Section, text: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let found = fs::read_to_string(path()).unwrap_or_default();
    let mut document = HEAD.to_owned();
    for other in SECTIONS {
        let of_other = found.split("\n## ").find(|part| part.starts_with(&format!("{}\n", other.title)));
        if other.title == section.title {
            document += &format!("\n{text}");
        } else if let Some(of_other) = of_other {
            document += &format!("\n## {}\n", of_other.trim_end());
        }
    }
    fs::write(path(), document).expect("a place for the document");
}
