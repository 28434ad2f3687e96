//! What became of each fault, section by section, compared with the document.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

const WRITE: &str = "WRITE_FAULT_TABLE=1 cargo test --test faults writes docs/faults.md anew";

/// Above the rows of each section.
const HEAD: &str = "| fault | where | what the person sees | next |\n|---|---|---|---|\n";

/// Begins a row among whatever else a process says.
const LINE: &str = "row of the table: ";

/// The rows that a test has seen, in their order.
pub struct Seen {
    title: &'static str,
    rows: Vec<[String; 4]>,
}

impl Seen {
    pub fn of(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
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

    /// Compares them with the document.
    #[track_caller]
    pub fn check(self) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
        let seen: String = self.rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
        let document = {
            let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            let mut document = fs::read_to_string(&path).unwrap();
            if env::var_os("WRITE_FAULT_TABLE").is_some() {
                document.replace_range(rows_of(&document, self.title), &seen);
                fs::write(&path, &document).expect("a place for the document");
            }
            document
        };
        let expected = &document[rows_of(&document, self.title)];
        for (seen, expected) in seen.lines().zip(expected.lines()) {
            assert_eq!(seen, expected, "{}; {WRITE}", self.title);
        }
        assert_eq!(seen, expected, "{}; {WRITE}", self.title);
    }
}

/// Where the document has the rows of this section.
fn rows_of(document: &str, title: &str) -> Range<usize> {
    let section = document.find(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title:?}"));
    let start = section + document[section..].find(HEAD).expect("a table") + HEAD.len();
    start..document[start..].find("\n\n").map_or(document.len(), |end| start + end + 1)
}
