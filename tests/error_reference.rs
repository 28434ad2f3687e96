//! The error reference is made from the code, and says the same.

#![allow(missing_docs, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tower_signin::ErrorKind;

const HEAD: &str = "# Error reference

Every failure that the layer, a guard or an extractor answers has a code. People find it at the foot of the page, programs
as `code` in `application/problem+json`, gRPC clients as the message of their status, and an outer layer as `ErrorKind`
in the response's extensions. Page, problem and log line share a request id (`request_id`).

The cookies that are spoken of, with the default prefix: the session cookie is `__Host-signin`, flow cookies are
`__Host-signin-flow-…`, and `__Host-signin-rounds` counts sign-ins in a row. On `http://localhost:3000`, say, they begin
with `signin-3000`.
";

#[test]
fn the_error_reference_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let expected = reference();
    if std::env::var_os("WRITE_ERROR_REFERENCE").is_some() {
        fs::write(&path, &expected).expect("a place for the reference");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    for kind in ErrorKind::ALL {
        assert!(found.contains(&entry(*kind)), "docs/errors.md lacks `{}`, or says something else of it", kind.code());
    }
    assert_eq!(found, expected, "WRITE_ERROR_REFERENCE=1 cargo test --test error_reference writes it anew");
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    for kind in ErrorKind::ALL {
        text.push('\n');
        text.push_str(&entry(*kind));
    }
    text
}

fn entry(kind: ErrorKind) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "## `{}`\n", kind.code());
    let _ = writeln!(text, "Status {}: \"{}\"\n", kind.status(), kind.title());
    let _ = writeln!(text, "* Cause: {}", kind.cause());
    let _ = writeln!(text, "* Remedy: {}", kind.remedy());
    text
}
