//! Our cookies kept from whoever stands behind the layer.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Cookies, split_pair};

impl Cookies {
    /// Takes our cookies out of a request that brought some. All others stay, byte for byte and in order; a header that
    /// held none goes.
    pub(crate) fn remove_ours(&self, headers: &mut HeaderMap) {
        let others: Vec<_> = headers.get_all(COOKIE).iter().filter_map(|header| self.without_ours(header)).collect();
        headers.remove(COOKIE);
        for header in others {
            // There may be no room for the one name again, where the client made others collide.
            let _ = headers.try_append(COOKIE, header);
        }
    }

    fn without_ours(&self, header: &HeaderValue) -> Option<HeaderValue> {
        let is_other = |pair: &&[u8]| split_pair(pair).is_none_or(|(name, _)| self.kind(name).is_none());
        let pairs = || header.as_bytes().split(|byte| *byte == b';');
        if pairs().all(|pair| is_other(&pair)) {
            return Some(header.clone());
        }
        let others = pairs().filter(is_other).collect::<Vec<_>>().join(&b';');
        if others.iter().all(|byte| *byte == b';' || byte.is_ascii_whitespace()) {
            return None;
        }
        // HTTP/2 allows no space around a value (RFC 9113 section 8.2.1).
        let mut others = HeaderValue::from_bytes(others.trim_ascii()).ok()?;
        others.set_sensitive(header.is_sensitive());
        Some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::Found;
    use crate::respond::tests::crowd;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (COOKIE, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn takes_all_of_ours_out_and_leaves_the_rest_as_it_came() {
        let cookies = Cookies::new("signin", None);
        let flow = "__Host-signin-flow-0123456789abcdef0123456789";
        let all = format!(
            "__Host-signin=1; __Host-signin.1=2; __Host-signin.2=3; __Host-signin.3=4; {flow}=5; __Host-signin-rounds=6; \
             __Host-signin-tokens=7"
        );
        let like = "__Host-signing=1;signin=2; __Host-signin.4=3; __Host-signin-flow-rounds=4; __host-signin=5; \
                    __Host-signin; x=__Host-signin=6";
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("nothing", &[], &[]),
            ("alone", &["__Host-signin=1"], &[]),
            ("all", &[&all], &[]),
            ("before", &["__Host-signin=1; a=2"], &["a=2"]),
            ("behind", &["a=2; __Host-signin=1"], &["a=2"]),
            ("between", &["b=\"2\" ;a =3; __Host-signin=1;c=a=b;; d"], &["b=\"2\" ;a =3;c=a=b;; d"]),
            ("twice", &["__Host-signin=1; a=2; __Host-signin=3; a=2"], &["a=2; a=2"]),
            ("no space, and too much", &["__Host-signin=1;a=2;  __Host-signin-tokens = 3"], &["a=2"]),
            ("no value", &["__Host-signin-rounds="], &[]),
            ("only separators left", &[" ;__Host-signin=1; ;"], &[]),
            ("in one header of several", &["b=1", "a=2; __Host-signin.3=3", &all, "c=4"], &["b=1", "a=2", "c=4"]),
            ("twice in two headers", &["__Host-signin=1", "__Host-signin=2", "a=3"], &["a=3"]),
            ("like ours", &[like, ";; ", ""], &[like, ";; ", ""]),
        ];
        for (name, came, expected) in cases {
            let mut headers = headers(came);
            headers.insert("x-other", HeaderValue::from_static("__Host-signin=1"));
            Cookies::mark_sensitive(&mut headers);
            cookies.remove_ours(&mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().map(|header| header.to_str().unwrap()).collect();
            assert_eq!(left, *expected, "{name}");
            assert!(headers.get_all(COOKIE).iter().all(HeaderValue::is_sensitive), "{name}");
            assert_eq!(headers["x-other"], "__Host-signin=1", "{name}: no cookie");
            let ours = cookies.scan(&headers);
            assert!(ours.session.first == Found::Nothing && !ours.has_other, "{name}");
        }
        let loopback = Cookies::new("signin", Some(3000));
        let mut headers = headers(&["signin-3000=1; signin-3001=2; signin=3; signin-3000.2=4"]);
        loopback.remove_ours(&mut headers);
        assert_eq!(headers[COOKIE], "signin-3001=2; signin=3", "cookies of other ports are another program's");
    }

    #[test]
    fn names_that_collide_are_no_panic() {
        let cookies = Cookies::new("signin", None);
        let mut headers = headers(&["__Host-signin=1; a=2"]);
        crowd(&mut headers);
        cookies.remove_ours(&mut headers);
        assert!(!headers.contains_key(COOKIE), "there is no room for it");
    }
}
