//! The rows of the table.

/// A row of the table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// What the command line calls it; `peers::peer` makes it.
    pub name: &'static str,
    /// What the table calls it.
    pub title: &'static str,
    /// The feature of this package with just the row's crates. Rows with the same one share a build.
    pub feature: &'static str,
    /// How many people sign in before the memory of their sessions is read. Fewer where a sign-in is slow.
    pub sign_ins: usize,
}

const fn row(name: &'static str, title: &'static str, feature: &'static str) -> Row {
    Row { name, title, feature, sign_ins: 100_000 }
}

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row("bare", "bare axum router", "bare"),
    row("tower-signin", "**tower-signin**, sealed cookie", "tower-signin"),
    row("tower-signin-stored", "**tower-signin**, memory store", "tower-signin"),
    row("huskarl", "huskarl-axum 0.1, sealed cookie, same identity", "huskarl"),
    row("huskarl-default", "… with the subject alone", "huskarl"),
    row("axum-login", "axum-login 0.18, memory store", "axum-login"),
    row("tower-sessions", "tower-sessions 0.15, memory store", "tower-sessions"),
    row("tower-sessions-signed", "… with a signed cookie", "tower-sessions-sealed"),
    row("tower-sessions-private", "… with a private cookie", "tower-sessions-sealed"),
    row("private-jar", "axum-extra 0.12, private cookie with JSON", "private-jar"),
    row("jwt-hs256", "jsonwebtoken 11, HS256", "jsonwebtoken"),
    row("jwt-rs256", "… RS256", "jsonwebtoken"),
    row("jwt-es256", "… ES256", "jsonwebtoken"),
    Row { sign_ins: 5_000, ..row("axum-oidc", "axum-oidc 1.0.0-dev-2, memory store", "axum-oidc") },
];
