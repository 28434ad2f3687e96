//! When a session ends, and what puts that off.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use http_body_util::Full;
use tower_signin::{Builder, Keys, SignIn};

use crate::Visit::{Kept, Over, Renewed};
use crate::site::{BOB_ANSWER, CALLBACK, NOW, Site, set_cookies, siwbb};
use crate::support::{Browser, text};
use crate::{SESSION, Visit, at, inner, max_age, open, ring, through, visit};

const DAY: u64 = 24 * 60 * 60;

/// The seconds of an absolute lifetime and of an idle timeout.
#[derive(Clone, Copy, Debug)]
struct Rules(u64, Option<u64>);

impl Rules {
    fn configure(self, builder: Builder) -> Builder {
        let builder = builder.session_lifetime(Duration::from_secs(self.0));
        self.1.map(Duration::from_secs).into_iter().fold(builder, Builder::session_idle_timeout)
    }

    fn site(self) -> Site {
        Site::with(|builder| self.configure(builder))
    }
}

#[tokio::test]
async fn a_session_ends_by_its_lifetime_or_its_idle_time_whichever_is_earlier() {
    let cases: &[(&str, Rules, &[(i64, Visit)])] = &[
        ("lifetime alone", Rules(600, None), &[(0, Kept), (300, Kept), (599, Kept), (600, Over)]),
        ("idle to the end", Rules(600, Some(100)), &[(100, Over)]),
        ("idle nearly to the end", Rules(600, Some(100)), &[(99, Renewed(100)), (198, Renewed(100)), (298, Over)]),
        (
            "renewed after a tenth of the idle time and no sooner",
            Rules(600, Some(100)),
            &[(9, Kept), (10, Renewed(100)), (19, Kept), (20, Renewed(100)), (119, Renewed(100)), (219, Over)],
        ),
        ("a tenth is rounded down", Rules(600, Some(109)), &[(9, Kept), (10, Renewed(109))]),
        ("the shortest idle time", Rules(60, Some(60)), &[(5, Kept), (6, Renewed(54)), (59, Renewed(1)), (60, Over)]),
        (
            "renewals stop at the absolute end",
            Rules(250, Some(100)),
            &[(90, Renewed(100)), (180, Renewed(70)), (249, Renewed(1)), (250, Over)],
        ),
        ("an idle time beyond the lifetime", Rules(100, Some(600)), &[(59, Kept), (60, Renewed(40)), (100, Over)]),
        ("so long that nothing is ever due", Rules(100, Some(2000)), &[(99, Kept), (100, Over)]),
        ("long over", Rules(100, Some(60)), &[(1_000_000_000, Over)]),
    ];
    for (name, rules, steps) in cases {
        let site = rules.site();
        let mut browser = site.signed_in().await;
        for (second, expected) in *steps {
            assert_eq!(visit(&site, &mut browser, *second).await, *expected, "{name}: second {second}");
        }
    }
}

#[tokio::test]
async fn u37_a_session_ends_with_its_access_token_unless_told_otherwise() {
    let (day, hour) = (DAY as i64, 3600);
    let cases: &[(&str, Rules, Option<i64>, bool, u64)] = &[
        ("no end is told", Rules(DAY, None), None, false, DAY),
        ("the token ends first", Rules(DAY, None), Some(hour), false, 3600),
        ("the token ends a second before", Rules(DAY, None), Some(day - 1), false, DAY - 1),
        ("the token ends later", Rules(DAY, None), Some(day + 1), false, DAY),
        ("the token is left behind", Rules(DAY, None), Some(hour), true, DAY),
        ("the token ends at once", Rules(DAY, None), Some(1), false, 1),
        ("the token ends now", Rules(DAY, None), Some(0), false, DAY),
        ("the token ended before", Rules(DAY, None), Some(-hour), false, DAY),
        ("idle ends first", Rules(DAY, Some(600)), Some(hour), false, 600),
        ("the token ends before idle", Rules(DAY, Some(7200)), Some(hour), false, 3600),
        ("the token is left behind, idle is not", Rules(DAY, Some(600)), Some(60), true, 600),
    ];
    for (name, rules, token_end, outlives, expected) in cases {
        let site = Site::with(|builder| {
            let builder = rules.configure(builder);
            if *outlives { builder.sessions_outlive_tokens() } else { builder }
        });
        answer_with_token_end(&site, *token_end);
        let mut browser = Browser::new();
        let response = site.complete(&mut browser, "/").await;
        assert_eq!(max_age(&session_cookie(&set_cookies(&response))), *expected, "{name}");
        assert_eq!(visit(&site, &mut browser, 0).await, Kept, "{name}");
        let end = i64::try_from(*expected).unwrap();
        assert_eq!(visit(&site, &mut browser.clone(), end).await, Over, "{name}");
    }
}

#[tokio::test]
async fn no_renewal_passes_the_end_of_the_token() {
    let site = Rules(DAY, Some(100)).site();
    answer_with_token_end(&site, Some(150));
    let mut browser = Browser::new();
    site.complete(&mut browser, "/").await;
    for (second, expected) in [(40, Renewed(100)), (90, Renewed(60)), (149, Renewed(1)), (150, Over)] {
        assert_eq!(visit(&site, &mut browser, second).await, expected, "second {second}");
    }
}

/// Two nodes with the same keys, one with the settings before and one with those after a deployment. The first makes the
/// session; each step goes to the node of that index.
#[tokio::test]
async fn settings_that_change_count_for_sessions_that_are_there() {
    let cases: &[(&str, [Rules; 2], &[(usize, i64, Visit)])] = &[
        (
            "a shorter lifetime counts at once",
            [Rules(600, None), Rules(100, None)],
            &[(1, 99, Kept), (0, 100, Kept), (1, 100, Over)],
        ),
        ("a new idle timeout counts from signing in", [Rules(600, None), Rules(600, Some(100))], &[(1, 100, Over)]),
        (
            "a new idle timeout is put off by use",
            [Rules(600, None), Rules(600, Some(100))],
            &[(1, 99, Renewed(100)), (1, 198, Renewed(100)), (1, 298, Over)],
        ),
        (
            "a shorter idle timeout counts from the last renewal",
            [Rules(600, Some(200)), Rules(600, Some(100))],
            &[(0, 50, Renewed(200)), (1, 59, Kept), (1, 149, Renewed(100)), (1, 249, Over)],
        ),
        (
            "a renewed cookie is kept no longer than a shorter lifetime allows",
            [Rules(600, Some(100)), Rules(150, Some(100))],
            &[(1, 90, Renewed(60)), (0, 149, Renewed(100)), (1, 149, Kept), (1, 150, Over)],
        ),
        (
            "a longer lifetime counts for new sessions only",
            [Rules(100, None), Rules(600, None)],
            &[(1, 99, Kept), (1, 100, Over)],
        ),
        (
            "a longer lifetime counts for new sessions only, though they are renewed",
            [Rules(150, Some(100)), Rules(600, Some(100))],
            &[(1, 90, Renewed(60)), (1, 149, Renewed(1)), (1, 150, Over)],
        ),
        (
            "a longer idle timeout counts from the next use",
            [Rules(9000, Some(100)), Rules(9000, Some(5000))],
            &[(1, 99, Renewed(5000)), (1, 100, Kept), (1, 598, Kept), (1, 599, Renewed(5000))],
        ),
        (
            "a longer idle timeout does not wake what is over",
            [Rules(9000, Some(100)), Rules(9000, Some(5000))],
            &[(1, 100, Over)],
        ),
        (
            "an idle timeout that is gone holds until the next use",
            [Rules(600, Some(100)), Rules(600, None)],
            &[(1, 99, Renewed(501)), (1, 100, Kept), (1, 599, Kept), (1, 600, Over)],
        ),
        ("an idle timeout that is gone, and nobody came", [Rules(600, Some(100)), Rules(600, None)], &[(1, 100, Over)]),
        (
            "both nodes by turns while the deployment lasts",
            [Rules(600, Some(100)), Rules(600, Some(200))],
            &[(1, 1, Renewed(200)), (0, 2, Kept), (0, 11, Renewed(100)), (1, 12, Renewed(200)), (1, 13, Kept)],
        ),
    ];
    for (name, rules, steps) in cases {
        let keys = Keys::generate().unwrap();
        let nodes = rules.map(|rules| Site::with(|builder| rules.configure(builder).keys(keys.clone())));
        let mut browser = nodes[0].signed_in().await;
        for (node, second, expected) in *steps {
            let found = visit(&nodes[*node], &mut browser, *second).await;
            assert_eq!(found, *expected, "{name}: node {node}, second {second}");
        }
    }
}

/// The end of the first session in 2038 or 2106 is a number that 32 bits don't hold.
#[tokio::test]
async fn no_year_is_special() {
    for (name, border) in [("2038", 1_u64 << 31), ("2106", 1 << 32), ("10000", 253_402_300_800)] {
        let site = Rules(250, Some(100)).site();
        let start = UNIX_EPOCH + Duration::from_secs(border - 50);
        site.clock.set(start);
        let mut browser = site.signed_in().await;
        for (second, expected) in
            [(9, Kept), (49, Renewed(100)), (50, Kept), (140, Renewed(100)), (200, Renewed(50)), (250, Over)]
        {
            site.clock.set(start + Duration::from_secs(second));
            assert_eq!(open(&site, &mut browser).await, expected, "{name}: second {second}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_signs_nobody_out() {
    let site = Rules(600, Some(100)).site();
    let mut browser = site.signed_in().await;
    let steps = [
        ("before signing in", -1, Kept),
        ("a day before signing in", -(DAY as i64), Kept),
        ("before 1970", -2_000_000_000, Kept),
        ("back again", 50, Renewed(100)),
        ("before the renewal", 20, Kept),
        ("a tenth after the renewal", 60, Renewed(100)),
        ("to the idle end", 160, Over),
    ];
    for (name, second, expected) in steps {
        assert_eq!(visit(&site, &mut browser, second).await, expected, "{name}");
    }
}

/// The first node makes the session; the second's clock is wrong by so many seconds.
#[tokio::test]
async fn u21_nodes_may_disagree_on_the_time_by_a_minute() {
    for skew in [60, -60] {
        for rules in [Rules(600, None), Rules(600, Some(120))] {
            let keys = Keys::generate().unwrap();
            let nodes = [0, skew].map(|skew| (Site::with(|builder| rules.configure(builder).keys(keys.clone())), skew));
            let mut browser = nodes[0].0.signed_in().await;
            for second in (0..540).step_by(7) {
                for (node, (site, skew)) in nodes.iter().enumerate() {
                    let found = visit(site, &mut browser, second + skew).await;
                    assert!(matches!(found, Kept | Renewed(_)), "{rules:?} {skew}: node {node}, second {second}");
                }
            }
        }
    }
}

/// A node whose clock is behind seals anew for another reason than the time.
#[tokio::test]
async fn a_node_that_is_behind_takes_no_time_away() {
    let rules = Rules(600, Some(60));
    let with = |keys: Keys| Site::with(|builder| rules.configure(builder).keys(keys));
    let (old, behind, right) = (with(ring(&[1])), with(ring(&[2, 1])), with(ring(&[2, 1])));
    let mut browser = old.signed_in().await;
    assert_eq!(visit(&behind, &mut browser, -60).await, Renewed(120), "kept until the end of the session on its clock");
    assert_eq!(visit(&right, &mut browser, 5).await, Kept);
    assert_eq!(visit(&right, &mut browser, 59).await, Renewed(60));
}

#[test]
fn durations_that_can_not_be_meant_are_refused() {
    let build = |configure: &dyn Fn(Builder) -> Builder| {
        let builder = SignIn::builder(siwbb()).redirect_uri(CALLBACK).keys(Keys::generate().unwrap());
        configure(builder).build()
    };
    for (name, duration) in [
        ("none", Duration::ZERO),
        ("less than a minute", Duration::from_millis(59_999)),
        ("longer than 400 days", Duration::from_secs(400 * DAY + 1)),
        ("for ever", Duration::MAX),
    ] {
        let setters: [(&str, fn(Builder, Duration) -> Builder); 2] =
            [("session_lifetime", Builder::session_lifetime), ("session_idle_timeout", Builder::session_idle_timeout)];
        for (setting, set) in setters {
            let error = build(&|builder| set(builder, duration)).expect_err(name);
            assert_eq!(error.setting(), setting, "{name}");
            let text = error.to_string();
            assert!(text.contains("between a minute and 400 days") && text.ends_with(error.remedy()), "{name}: {text}");
        }
    }
    for good in [60, 400 * DAY] {
        let good = Duration::from_secs(good);
        assert!(build(&|builder| builder.session_lifetime(good).session_idle_timeout(good)).is_ok(), "{good:?}");
    }
}

#[tokio::test]
async fn an_identity_tells_the_end_that_counts_here() {
    let cases = [
        ("lifetime", Rules(600, None), Rules(600, None), 5, 600),
        ("idle", Rules(600, Some(100)), Rules(600, Some(100)), 5, 100),
        ("until a renewal has come", Rules(600, Some(100)), Rules(600, Some(100)), 50, 100),
        ("a shorter lifetime here", Rules(600, None), Rules(200, None), 5, 200),
        ("a shorter idle time here", Rules(600, Some(300)), Rules(600, Some(100)), 5, 100),
        ("a longer lifetime here", Rules(200, None), Rules(600, None), 5, 200),
        ("a longer idle time here", Rules(600, Some(100)), Rules(600, Some(300)), 5, 100),
    ];
    let tell = inner(|identity| async move {
        let ends_at = identity.map(|identity| identity.expires_at());
        let left = ends_at.map(|ends_at| ends_at.duration_since(at(0)).unwrap().as_secs());
        Response::new(Full::from(format!("{left:?}")))
    });
    for (name, made_by, here, second, expected) in cases {
        let keys = Keys::generate().unwrap();
        let [maker, site] =
            [made_by, here].map(|rules| Site::with(|builder| rules.configure(builder).keys(keys.clone())));
        let browser = maker.signed_in().await;
        site.clock.set(at(second));
        let response = through(&site.sign_in, &tell, &browser, "/").await;
        assert_eq!(text(&response), format!("Some({expected})"), "{name}");
    }
}

#[tokio::test]
async fn a_renewed_cookie_has_the_attributes_of_the_first_and_another_value() {
    for (redirect_uri, name) in [(CALLBACK, SESSION), ("http://localhost:3000/api/callback", "signin-3000")] {
        let site = Site::of(siwbb(), redirect_uri, |builder| Rules(600, Some(100)).configure(builder));
        let mut browser = Browser::new();
        let made = set_cookies(&site.complete(&mut browser, "/").await);
        let made = made.iter().find(|cookie| cookie.starts_with(&format!("{name}="))).unwrap().clone();
        site.clock.set(at(10));
        let renewed = set_cookies(&site.get(&mut browser, "/").await);
        assert_eq!(renewed.len(), 1, "{name}");
        let [(made_value, made), (value, attributes)] = [&made, &renewed[0]].map(|it| it.split_once(';').unwrap());
        assert_eq!(made, attributes, "{name}");
        assert!(made.starts_with(" HttpOnly; SameSite=Lax") && made.ends_with("; Path=/; Max-Age=100"), "{made}");
        assert!(value.starts_with(&format!("{name}=")) && value != made_value, "{name}");
    }
}

fn session_cookie(cookies: &[String]) -> String {
    cookies.iter().find(|cookie| cookie.starts_with(&format!("{SESSION}="))).expect("a session").clone()
}

/// Has the provider say that its access token ends so many seconds from the start of the test.
fn answer_with_token_end(site: &Site, second: Option<i64>) {
    let Some(second) = second else { return site.upstream.answer(200, BOB_ANSWER) };
    let milliseconds = at(second).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!(second != 0 || milliseconds == u128::from(NOW) * 1000);
    let mut answer: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
    answer["access_token_expires_at"] = u64::try_from(milliseconds).unwrap().into();
    site.upstream.answer(200, answer.to_string());
}
