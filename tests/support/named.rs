//! Tests that a document names, and whether they are there.

#![allow(unreachable_pub, reason = "shared by several programs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Whether there is a test, named as `tests/browser/tabs.rs::name`.
pub fn is_there(test: &str) {
    let (file, name) = test.split_once("::").unwrap_or_default();
    let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(tests_of(&source).contains(name), "no test {name} in {file}");
}

/// Where this package is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the functions below a `#[test]` or `#[tokio::test]`.
pub fn tests_of(source: &str) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some(signature) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if is_test {
                tests.extend(signature.split('(').next());
            }
            is_test = false;
        }
    }
    tests
}

/// Tests in a cell of a table.
pub fn listed(tests: &[&str]) -> String {
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
}
