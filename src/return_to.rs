//! Where a person goes after signing in or out: a place on this site, whatever the request asked for.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// A path on this site, with query and fragment if any. The only way from a request to a `Location` of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo(String);

/// Longer targets become `/`.
const LONGEST: usize = 2048;

/// What a WHATWG parser would encode in a path or query, and space. Everything non-ASCII is encoded too.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');

impl ReturnTo {
    /// The site's root.
    pub(crate) fn root() -> Self {
        Self("/".to_owned())
    }

    /// `raw` if it is a path on this site and none of `own_paths`, which would loop; else `/`. A fragment that can't be
    /// kept costs no more than itself.
    pub(crate) fn new(raw: &str, own_paths: &[impl AsRef<str>]) -> Self {
        let target = Self::parse(raw).or_else(|| Self::parse(raw.split_once('#')?.0));
        let is_own = |target: &Self| own_paths.iter().any(|own| own.as_ref() == target.path());
        target.filter(|target| !is_own(target)).unwrap_or_else(Self::root)
    }

    /// Accepts one leading slash and no more, and nothing that a browser reads otherwise than it is written.
    ///
    /// A browser takes `\` for `/`, drops tabs and line breaks, and resolves dot segments (also written `%2e`): what
    /// holds any of them is refused rather than cleaned.
    fn parse(raw: &str) -> Option<Self> {
        let rest = raw.strip_prefix('/')?;
        if raw.len() > LONGEST || raw.chars().any(|c| c == '\\' || c.is_control()) {
            return None;
        }
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        if path.starts_with('/') || starts_with_encoded_separator(path) || path.split('/').any(is_dot_segment) {
            return None;
        }
        let encoded = utf8_percent_encode(raw, ENCODED).to_string();
        (encoded.len() <= LONGEST).then_some(Self(encoded))
    }

    /// The same place if it takes no more than `longest` bytes, else without its fragment, else its path alone, else `/`.
    pub(crate) fn shortened(self, longest: usize) -> Self {
        let without_fragment = self.0.split('#').next().unwrap_or_default();
        let fitting = [self.as_str(), without_fragment, self.path()].into_iter().find(|place| place.len() <= longest);
        fitting.map_or_else(Self::root, |place| Self(place.to_owned()))
    }

    pub(crate) fn has_fragment(&self) -> bool {
        self.0.contains('#')
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> &str {
        self.0.split(['?', '#']).next().unwrap_or_default()
    }
}

fn starts_with_encoded_separator(path: &str) -> bool {
    if !path.starts_with('%') {
        return false;
    }
    let head: String = path.chars().take(3).collect();
    ["%5c", "%2f", "%09", "%0a", "%0d", "%00"].contains(&head.to_ascii_lowercase().as_str())
}

fn is_dot_segment(segment: &str) -> bool {
    if !segment.starts_with(['.', '%']) {
        return false;
    }
    let dots = segment.to_ascii_lowercase().replace("%2e", ".");
    let name = dots.split(';').next().unwrap_or_default();
    name == "." || name == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[&str] = &["/auth/login", "/auth/callback", "/auth/logout"];

    #[test]
    fn keeps_what_stays_here() {
        let cases = [
            ("/", "/"),
            ("/me", "/me"),
            ("/a/b?x=1&y=/z", "/a/b?x=1&y=/z"),
            ("/a?next=https://elsewhere.example/", "/a?next=https://elsewhere.example/"),
            ("/a#part", "/a#part"),
            ("/a//b", "/a//b"),
            ("/caf%C3%A9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/two words", "/two%20words"),
            ("/auth/login-help", "/auth/login-help"),
            ("/@user", "/@user"),
        ];
        for (raw, expected) in cases {
            assert_eq!(ReturnTo::new(raw, OWN).as_str(), expected, "{raw}");
        }
    }

    #[test]
    fn keeps_the_longest() {
        let longest = format!("/{}", "a".repeat(LONGEST - 1));
        assert_eq!(ReturnTo::new(&longest, OWN).as_str(), longest);
    }

    #[test]
    fn sends_everything_else_to_the_root() {
        let long = format!("/{}", "a".repeat(LONGEST));
        let cases = [
            "",
            "me",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil",
            "\t//evil.example",
            "/%09/evil.example",
            "/%5cevil.example",
            "/%2F/evil.example",
            "/./\\evil",
            "/.//evil",
            "/..//evil.example",
            "/%2e%2e//evil.example",
            "/a/..;/b",
            "/\u{0}",
            "/a\u{7f}",
            "/a\u{85}b",
            "/auth/login",
            "/auth/login?return_to=/x",
            "/auth/callback#x",
            "/auth/logout",
            &long,
        ];
        for raw in cases {
            assert_eq!(ReturnTo::new(raw, OWN).as_str(), "/", "{raw:?}");
        }
    }

    #[test]
    fn a_browser_resolves_every_target_to_this_site() {
        let base = url::Url::parse("https://app.example/auth/callback").unwrap();
        let pieces = [
            "/",
            "\\",
            "//",
            "\t",
            "\n",
            "\r",
            "\0",
            "%5c",
            "%2f",
            "%09",
            "@",
            ":",
            ".",
            "..",
            ";",
            "?",
            "#",
            "evil.example",
            "https:",
            "javascript:",
            "\u{a0}",
            "\u{3000}",
            "／",
            "。",
            "[::1]",
            "0x7f.1",
            " ",
            "a",
        ];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let raw = format!("/{first}{second}{third}");
                    let target = ReturnTo::new(&raw, OWN);
                    let resolved = base.join(target.as_str()).unwrap();
                    assert_eq!(resolved.origin(), base.origin(), "{raw:?} became {target:?}");
                    assert!(http::HeaderValue::from_str(target.as_str()).is_ok(), "{raw:?}");
                }
            }
        }
    }

    #[test]
    fn shortens_to_the_path_and_then_to_the_root() {
        let target = ReturnTo::new("/path?query=long", OWN);
        assert_eq!(target.clone().shortened(50).as_str(), "/path?query=long");
        let with_fragment = ReturnTo::new("/path?query=long#part", OWN);
        assert_eq!(with_fragment.clone().shortened(20).as_str(), "/path?query=long");
        assert_eq!(with_fragment.shortened(15).as_str(), "/path");
        assert_eq!(target.clone().shortened(8).as_str(), "/path");
        assert_eq!(target.shortened(3).as_str(), "/");
    }
}
