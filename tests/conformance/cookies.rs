//! Cookies and caches.

use crate::rows::Level::{Must, Ours, Should};
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};

pub(crate) const ROWS: &[Row] = &[
    row(
        "C68",
        Must,
        "set `__Host-` cookies with Secure, Path=/ and no Domain; delete with the same attributes; compare names raw",
        Held(&[
            "tests/hostile/set_cookies.rs::h091_every_cookie_has_every_attribute",
            "tests/hostile/sessions.rs::h071_what_deletes_has_the_attributes_of_what_set",
            "tests/bad_input/sessions.rs::a_session_under_another_name_is_nobody",
        ]),
    ),
    row(
        "C69",
        Must,
        "keep a cookie within 4096 bytes, and its life within 400 days",
        Held(&[
            "tests/chunks.rs::u04_every_size_signs_in_within_the_limit_and_none_beyond",
            "tests/bad_input/login.rs::a_flow_cookie_takes_at_most_700_bytes",
            "tests/sessions/lifetimes.rs::durations_that_can_not_be_meant_are_refused",
        ]),
    ),
    row(
        "C70",
        Should,
        "have sessions in cookies that are HttpOnly and SameSite=Lax; SameSite=None nowhere",
        Held(&[
            "tests/hostile/peers.rs::r06_every_redirect_is_303_and_every_cookie_lax",
            "tests/hostile/set_cookies.rs::h091_every_cookie_has_every_attribute",
        ]),
    ),
    row(
        "C71",
        Must,
        "count on no browser that sends a Lax cookie with a POST of another site",
        Held(&["tests/bad_input/methods.rs::another_method_is_told_which_one_it_should_be"]),
    ),
    row(
        "C72",
        Ours,
        "answer by `no-store`, and keep what an app says to somebody out of shared caches",
        Held(&[
            "tests/attack/fuzz.rs::fuzz_the_whole_layer",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
            "tests/sessions/caches.rs::a_response_to_somebody_is_private_unless_the_app_says_otherwise",
            "tests/sessions/caches.rs::a_response_to_somebody_varies_by_cookie_and_says_so_once",
        ]),
    ),
];
