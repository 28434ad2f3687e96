//! Parameters for the query of an endpoint that a browser is sent to.

use url::Url;
use url::form_urlencoded::byte_serialize;

/// The URL of an endpoint, to which parameters are added. A query that it has is kept (RFC 6749 section 3.1).
pub(crate) struct EndpointUrl {
    url: String,
    separator: &'static str,
}

/// Most queries take less.
const ROOM: usize = 512;

impl EndpointUrl {
    pub(crate) fn new(endpoint: &str) -> Self {
        let mut url = String::with_capacity(endpoint.len() + ROOM);
        url.push_str(endpoint);
        let separator = match endpoint.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        Self { url, separator }
    }

    /// Form-encoded, as each parameter is.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.url.push_str(self.separator);
        self.separator = "&";
        self.url.extend(byte_serialize(name.as_bytes()));
        self.url.push('=');
        self.url.extend(byte_serialize(value.as_bytes()));
    }

    pub(crate) fn finish(self) -> String {
        self.url
    }
}

/// One of our parameters that the endpoint has in its query already, where it would come twice.
pub(crate) fn reserved_in_query(endpoint: &str, ours: &[&'static str]) -> Option<&'static str> {
    let url = Url::parse(endpoint).ok()?;
    ours.iter().copied().find(|ours| url.query_pairs().any(|(name, _)| name == *ours))
}

/// Whether it is a `scope-token` (RFC 6749 section 3.3).
pub(crate) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_there_is_kept() {
        for (endpoint, expected) in [
            ("https://id.example.com/a", "https://id.example.com/a?b+c=%26&d="),
            ("https://id.example.com/a?", "https://id.example.com/a?b+c=%26&d="),
            ("https://id.example.com/a?x=y%20z", "https://id.example.com/a?x=y%20z&b+c=%26&d="),
            ("https://id.example.com/a?x&", "https://id.example.com/a?x&b+c=%26&d="),
        ] {
            let mut url = EndpointUrl::new(endpoint);
            url.add("b c", "&");
            url.add("d", "");
            assert_eq!(url.finish(), expected);
        }
    }
}
