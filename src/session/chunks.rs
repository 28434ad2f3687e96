//! A sealed session as the values of its cookies: whole in one where it fits, else cut into several.
//!
//! The first value says how many there are (`3.`; a value of base64url has no dot), the others hold nothing but text. The
//! seal is over the whole and binds the number, so that a set with another session's part does not open.

use std::borrow::Cow;

use crate::cookies::{COOKIE_LIMIT, Found, SessionCookies};

/// How a sealed text of some length lies in cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) count: usize,
    /// What names and values take together.
    pub(crate) size: usize,
}

/// What a number before the text takes, and so does one behind a name: `3.` and `.2`.
const MARK: usize = 2;

impl Layout {
    /// For cookies that are called `name` and `name.1` and so on. It may come to more cookies than there can be.
    pub(crate) fn new(name: &str, length: usize) -> Self {
        if name.len() + length <= COOKIE_LIMIT {
            return Self { count: 1, size: name.len() + length };
        }
        let count = length.div_ceil(room(name)).max(2);
        Self { count, size: length + count * (name.len() + MARK) }
    }
}

/// How much of the text each of several cookies takes.
fn room(name: &str) -> usize {
    COOKIE_LIMIT.saturating_sub(name.len() + MARK).max(1)
}

/// The values of the cookies, for a text that was sealed for `count` of them.
pub(crate) fn split(name: &str, text: String, count: usize) -> Vec<String> {
    if count == 1 {
        return vec![text];
    }
    let mut values: Vec<_> =
        text.as_bytes().chunks(room(name)).map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
    if let Some(first) = values.first_mut() {
        first.insert_str(0, &format!("{count}."));
    }
    values
}

/// The sealed text that a request's cookies hold, and for how many it was sealed. `None` where it can't be whole: one of
/// them is missing, came twice or is longer than any of ours.
pub(crate) fn join<'a>(name: &str, cookies: &SessionCookies<'a>) -> Option<(Cow<'a, [u8]>, usize)> {
    let value = |found: Found<'a>, mark: usize| match found {
        Found::One(value) if name.len() + mark + value.len() <= COOKIE_LIMIT => Some(value),
        _ => None,
    };
    let first = value(cookies.first, 0)?;
    let [digit @ b'2'..=b'9', b'.', start @ ..] = first else { return Some((Cow::Borrowed(first), 1)) };
    let count = usize::from(digit - b'0');
    let further = cookies.further.get(..count - 1)?;
    let mut text = Vec::with_capacity(count * COOKIE_LIMIT);
    text.extend_from_slice(start);
    for found in further {
        text.extend_from_slice(value(*found, MARK)?);
    }
    Some((Cow::Owned(text), count))
}

/// Whether some of the cookies of a session came, and others of it did not come at all.
pub(crate) fn is_incomplete(cookies: &SessionCookies<'_>) -> bool {
    let Found::One(first) = cookies.first else {
        return cookies.first == Found::Nothing && cookies.further.iter().any(|found| *found != Found::Nothing);
    };
    let [digit @ b'2'..=b'9', b'.', ..] = first else { return false };
    let further = cookies.further.get(..usize::from(digit - b'0') - 1);
    further.is_some_and(|further| further.contains(&Found::Nothing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::MOST_CHUNKS;

    const NAME: &str = "__Host-signin";

    fn found(values: &[String]) -> SessionCookies<'_> {
        let at = |index: usize| values.get(index).map_or(Found::Nothing, |value| Found::One(value.as_bytes()));
        SessionCookies { first: at(0), further: [at(1), at(2), at(3)] }
    }

    fn text(length: usize) -> String {
        (0..length).map(|index| char::from(b'a' + u8::try_from(index % 23).unwrap())).collect()
    }

    #[test]
    fn every_length_around_a_border_comes_back_within_the_limit() {
        let (one, each) = (COOKIE_LIMIT - NAME.len(), COOKIE_LIMIT - NAME.len() - MARK);
        let cases = [
            ("one", one, 1),
            ("one, and a byte more", one + 1, 2),
            ("two", 2 * each, 2),
            ("two, and a byte more", 2 * each + 1, 3),
            ("three", 3 * each, 3),
            ("three, and a byte more", 3 * each + 1, 4),
            ("four", 4 * each, 4),
            ("four, and a byte more", 4 * each + 1, 5),
        ];
        for (case, length, count) in cases {
            for (length, count) in [(length, Some(count)), (length - 1, None)] {
                let layout = Layout::new(NAME, length);
                assert!(count.is_none_or(|count| count == layout.count), "{case}: {layout:?}");
                let values = split(NAME, text(length), layout.count);
                assert_eq!(values.len(), layout.count, "{case}");
                let sizes = values.iter().enumerate().map(|(index, value)| {
                    let size = NAME.len() + if index == 0 { 0 } else { MARK } + value.len();
                    assert!(!value.is_empty() && size <= COOKIE_LIMIT, "{case}: {size}");
                    size
                });
                assert_eq!(sizes.sum::<usize>(), layout.size, "{case}");
                if layout.count > MOST_CHUNKS {
                    assert_eq!(join(NAME, &found(&values)), None, "{case}");
                } else {
                    let (joined, joined_count) = join(NAME, &found(&values)).expect(case);
                    assert_eq!((&*joined, joined_count), (text(length).as_bytes(), layout.count), "{case}");
                }
            }
        }
        assert_eq!(Layout::new(NAME, 4 * each), Layout { count: MOST_CHUNKS, size: MOST_CHUNKS * COOKIE_LIMIT });
    }

    #[test]
    fn a_set_that_is_not_whole_is_none() {
        let whole = split(NAME, text(10_000), 3);
        let with = |index: usize, value: &str| {
            let mut values = whole.clone();
            values[index] = value.to_owned();
            join(NAME, &found(&values)).map(|(text, count)| (text.into_owned(), count))
        };
        let long = "a".repeat(COOKIE_LIMIT - NAME.len() - MARK + 1);
        assert!(join(NAME, &found(&whole)).is_some());
        assert_eq!(join(NAME, &found(&whole[..2])), None, "the last is missing");
        assert_eq!(with(1, &long), None, "one is too long");
        assert_eq!(with(0, &format!("3.{long}")), None, "the first is too long");
        for mark in ["5.", "9."] {
            assert_eq!(with(0, &format!("{mark}a")), None, "{mark}");
        }
        for unmarked in ["", "3", "1.a", "0.a", "33.a", ".a", "x.a"] {
            let expected = (unmarked.as_bytes().to_vec(), 1);
            assert_eq!(with(0, unmarked), Some(expected), "{unmarked:?} is what it is, and does not open");
        }
        for twice in 0..3 {
            let mut cookies = found(&whole);
            match twice {
                0 => cookies.first = Found::Several,
                index => cookies.further[index - 1] = Found::Several,
            }
            assert_eq!(join(NAME, &cookies), None, "{twice} came twice");
        }
        let mut beside = found(&whole);
        beside.further[2] = Found::Several;
        assert_eq!(join(NAME, &beside).unwrap().1, 3, "what is not of the set does not matter");
    }
}
