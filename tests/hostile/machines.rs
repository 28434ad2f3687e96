//! Many machines with one store, and a provider that tells of logouts: who writes there, reads there, and sends what it pleases.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use tower_signin::{
    BoxFuture, Builder, HttpErrorKind, Keys, ManualClock, MemoryStore, SessionGroup, SessionKey, SessionRecord,
    SessionStore, StoreError, Tokens,
};

use crate::double::{Double, Kind, Step};
use crate::people::{LIFE, code, know_everybody, sign_in_as, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{NOW, SESSION, Site};
use crate::stored::stored;
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "M01",
        what: "a logout token that somebody made up, or that was meant for another app, ended sessions",
        verdict: Held(&[
            "tests/conformance/logout.rs::rp49_algorithm_none",
            "tests/conformance/logout.rs::rp52_another_algorithm",
            "tests/conformance/logout.rs::rp53_another_audience",
            "tests/conformance/logout.rs::rp55_another_issuer",
            "tests/conformance/sign_out.rs::c60_everything_that_a_token_must_claim",
            "tests/conformance/sign_out.rs::c60_a_token_is_of_one_sort",
            "tests/back_channel/away.rs::nothing_is_asked_of_the_store_before_the_token_is_believed",
        ]),
    },
    Row {
        id: "M02",
        what: "logout tokens that were huge, slow or too many held memory, connections and everybody else's notices",
        verdict: Held(&[
            "tests/back_channel/body.rs::a_form_has_ten_seconds_and_64_kib_however_it_comes",
            "tests/back_channel/crowd.rs::slow_senders_keep_nobody_s_token_from_being_followed",
            "tests/back_channel/crowd.rs::one_more_than_can_be_worked_on_is_told_to_come_again",
        ]),
    },
    Row {
        id: "M03",
        what: "an address that was put into a frame signed out whoever saw the page",
        verdict: Held(&[
            "tests/conformance/sign_out.rs::c61_only_who_names_issuer_and_session",
            "tests/conformance/logout.rs::rp57_in_a_frame_of_the_provider",
        ]),
    },
    Row {
        id: "M04",
        what: "who could write to the index of a person's sessions put other people's there, or so many that none ended",
        verdict: Held(&[
            "m04_a_group_full_of_garbage_and_of_others_ends_and_lists_whom_it_should",
            "tests/stored/fleet.rs::a_session_in_the_wrong_group_is_left_alone",
        ]),
    },
    Row {
        id: "M05",
        what: "who could read the shared store read people, tokens and what opens a session",
        verdict: Held(&[
            "m05_the_store_holds_no_word_of_anybody",
            "tests/stored/sign_in.rs::every_sign_in_has_an_id_of_its_own_that_the_store_does_not_learn",
        ]),
    },
    Row {
        id: "M06",
        what: "a record of one person's tokens that was copied to another's key was handed to the other",
        verdict: Held(&[
            "m06_tokens_that_another_node_left_for_somebody_else_are_handed_to_nobody",
            "tests/stored/attack.rs::ids_and_parts_of_sealed_sessions_do_not_mix",
            "tests/stored/attack.rs::absurd_ends_and_generations_panic_nowhere_and_lengthen_nothing",
        ]),
    },
    Row {
        id: "M07",
        what: "a list of what is over was filled by strangers, or every request read it",
        verdict: Held(&[
            "m07_a_flood_in_the_list_ends_nobody_and_lets_nobody_in",
            "tests/revoked/hostile.rs::garbage_in_the_list_is_passed_over",
            "tests/revoked/age.rs::a_crowd_has_it_read_once",
            "tests/revoked/sign_out.rs::signing_in_and_being_signed_in_writes_nothing",
        ]),
    },
    Row {
        id: "M08",
        what: "signing out everywhere missed for ever the session that was being made just then",
        verdict: Held(&["m08_a_session_that_is_made_while_all_are_ended_is_found_the_next_time"]),
    },
    Row {
        id: "M09",
        what: "two machines used one refresh token, and the provider took it for stolen and ended the session",
        verdict: Held(&[
            "tests/stored/tokens.rs::nodes_refresh_once_between_them",
            "tests/fleet/killed.rs::with_redis_a_node_that_was_killed_while_it_refreshed_is_stood_in_for",
        ]),
    },
    Row {
        id: "M10",
        what: "a callback that came to two machines redeemed its code twice, or began two sessions",
        verdict: Held(&[
            "tests/stored/fleet.rs::a_double_at_another_node_gets_the_same_session",
            "tests/stored/fleet.rs::another_code_gets_nothing_of_what_the_first_one_made",
            "tests/stored/fleet.rs::a_state_that_another_node_has_spent_is_refused",
        ]),
    },
    Row {
        id: "M11",
        what: "what was signed out came back to life while the store was away, empty, or written by a stranger",
        verdict: Held(&[
            "tests/revoked/outage.rs::by_default_nobody_goes_on_beyond_the_bound",
            "tests/revoked/lost.rs::a_node_that_knew_writes_it_anew",
            "tests/stored/attack.rs::a_record_that_is_put_back_signs_nobody_in_where_it_was_ended",
            "tests/revoked/hostile.rs::a_callback_that_comes_again_brings_no_session_back",
        ]),
    },
];

/// Two nodes with one store and one ring, whose provider knows everybody.
fn nodes(clock: &Arc<ManualClock>, share: impl Fn(Builder) -> Builder) -> [Site; 2] {
    let keys = Keys::generate().unwrap();
    [(); 2].map(|()| {
        let mut site = Site::with(|builder| share(builder.keys(keys.clone())).clock(Arc::clone(clock)));
        site.clock = Arc::clone(clock);
        know_everybody(&site);
        site
    })
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)))
}

const ISSUER: &str = "https://bitbadges.io";

#[tokio::test]
async fn m04_a_group_full_of_garbage_and_of_others_ends_and_lists_whom_it_should() {
    let (site, store) = stored(|builder| builder);
    know_everybody(&site);
    let (mut one, mut other) = (Browser::new(), Browser::new());
    sign_in_as(&site, &mut one, 1).await;
    sign_in_as(&site, &mut other, 2).await;
    store.forget();
    assert_eq!(site.sign_in.list_sessions_of(ISSUER, &subject(1)).await.unwrap().len(), 1);
    let group = SessionGroup::new(*store.asked_for()[0].as_bytes());
    let later = UNIX_EPOCH + Duration::from_secs(NOW + 9999);
    for number in 0..5000_u64 {
        let mut key = [0xa5; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        store.join(group, SessionKey::new(key), later).await.unwrap();
    }
    for (key, _) in store.sessions() {
        store.join(group, key, later).await.unwrap();
    }
    // One of them is there and no session.
    let key = SessionKey::new([7; 32]);
    assert!(store.create(key, SessionRecord::new(b"a record of another program".to_vec(), 0, later)).await.unwrap());
    store.join(group, key, later).await.unwrap();

    let listed = site.sign_in.list_sessions_of(ISSUER, &subject(1)).await.unwrap();
    assert_eq!(listed.iter().map(|who| who.subject().to_owned()).collect::<Vec<_>>(), [subject(1)]);
    site.sign_in.end_sessions_of(ISSUER, &subject(1)).await.unwrap();
    assert_eq!((who(&site, &one).await, who(&site, &other).await), ("nobody".to_owned(), subject(2)));
    assert!(store.load(key).await.unwrap().is_some(), "what is no session of theirs is left alone");
}

/// Remembers every byte that it is given.
struct Overheard {
    memory: MemoryStore,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Overheard {
    fn hear(&self, parts: &[&[u8]]) {
        self.heard.lock().unwrap().extend(parts.iter().map(|part| part.to_vec()));
    }
}

impl SessionStore for Overheard {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.hear(&[key.as_bytes(), record.bytes()]);
        self.memory.create(key, record)
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.hear(&[key.as_bytes()]);
        self.memory.load(key)
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.hear(&[key.as_bytes(), record.bytes()]);
        self.memory.update(key, record)
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.touch(key, expires_at)
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.delete(key)
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.hear(&[group.as_bytes(), member.as_bytes()]);
        self.memory.join(group, member, until)
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.leave(group, member)
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        self.hear(&[group.as_bytes()]);
        self.memory.members(group)
    }
}

#[tokio::test]
async fn m05_the_store_holds_no_word_of_anybody() {
    for is_listed in [false, true] {
        let (clock, heard) = (clock(), Arc::new(Mutex::new(Vec::new())));
        let memory = MemoryStore::new().clock(Arc::clone(&clock));
        let store = Arc::new(Overheard { memory, heard: Arc::clone(&heard) });
        let [site, node] = nodes(&clock, |builder| {
            let builder = builder.keep_tokens();
            if is_listed {
                builder.revocation_list(Arc::clone(&store))
            } else {
                builder.session_store(Arc::clone(&store))
            }
        });
        let mut secrets =
            vec![subject(1), code(1), code(1)[2..].to_owned(), ISSUER.to_owned(), "example.com".to_owned()];
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/to-a-target").await;
        secrets.push("to-a-target".to_owned());
        secrets.extend([started.state.clone(), started.state[..26].to_owned(), started.state[26..].to_owned()]);
        assert_eq!(site.get(&mut browser, &started.callback(&code(1))).await.status(), 303);
        secrets.push(browser.jar[SESSION].clone());
        site.clock.advance(Duration::from_secs(LIFE - 30));
        assert_eq!(who(&node, &browser).await, subject(1));
        let refreshed = node.upstream.requests().len();
        assert_eq!(refreshed, 1, "a refresh went by");
        for pair in 1..=2 {
            secrets.extend([format!("at-{pair}-"), format!("rt-{pair}-")]);
        }
        node.sign_in.end_sessions_of(ISSUER, &subject(1)).await.unwrap();
        assert_eq!(who(&node, &browser).await, "nobody");

        let heard = heard.lock().unwrap();
        assert!(heard.len() > 12, "the net has a hole: {}", heard.len());
        for secret in &secrets {
            let decoded = URL_SAFE_NO_PAD.decode(secret).unwrap_or_default();
            let bytes = [secret.as_bytes().to_vec(), decoded];
            for part in bytes.iter().filter(|part| part.len() >= 5) {
                let is_seen = heard.iter().any(|heard| heard.windows(part.len()).any(|window| window == part));
                assert!(!is_seen, "{secret} is in the store, listed: {is_listed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn m06_tokens_that_another_node_left_for_somebody_else_are_handed_to_nobody() {
    let clock = clock();
    let store = Double::new(Kind::Sealed, &clock);
    let [site, node] = nodes(&clock, |builder| builder.revocation_list(store.clone()).keep_tokens());
    let (mut one, mut other) = (Browser::new(), Browser::new());
    sign_in_as(&site, &mut one, 1).await;
    sign_in_as(&site, &mut other, 2).await;
    site.clock.advance(Duration::from_secs(LIFE - 30));
    store.forget();
    assert_eq!(who(&site, &one).await, subject(1));
    // What holds her new pair is the largest of what was looked for.
    let mut left = Vec::new();
    for key in store.asked_for() {
        left.extend(store.load(key).await.unwrap());
    }
    let left = left.into_iter().max_by_key(|record| record.bytes().len()).expect("a record");
    assert!(left.bytes().len() > 100, "{left:?}");

    // His can't be had just now, so that it is known where they would be.
    store.forget();
    site.upstream.fail(HttpErrorKind::Timeout);
    assert_eq!(who(&site, &other).await, subject(2));
    let mut written = 0;
    for key in store.asked_for() {
        written += usize::from(store.create(key, left.clone()).await.unwrap());
    }
    assert!(written > 0, "there was no place for them");

    let tokens = Router::new().fallback(get(async |tokens: Tokens| tokens.access_token().to_owned()));
    let response = node.through(&tokens, &other, navigation(Method::GET, "/", "none")).await;
    assert!(["at-1", "at-2"].iter().any(|pair| text(&response) == format!("{pair}-{}", code(2))), "{response:?}");
}

#[tokio::test]
async fn m07_a_flood_in_the_list_ends_nobody_and_lets_nobody_in() {
    let clock = clock();
    let store = Double::new(Kind::Sealed, &clock);
    let [site, node] = nodes(&clock, |builder| builder.revocation_list(store.clone()));
    let (mut stays, mut leaves) = (Browser::new(), Browser::new());
    sign_in_as(&site, &mut stays, 1).await;
    sign_in_as(&site, &mut leaves, 2).await;
    site.sign_in.end_sessions_of(ISSUER, &subject(2)).await.unwrap();
    store.forget();
    assert_eq!(who(&node, &stays).await, subject(1));
    let groups: Vec<_> = store.asked_for().into_iter().map(|key| SessionGroup::new(*key.as_bytes())).collect();
    assert!(store.count(Step::Members) > 0, "the list was read");
    let later = UNIX_EPOCH + Duration::from_secs(NOW + 9_999_999);
    for number in 0..20_000_u64 {
        // As an entry looks: a name, a sort and a time.
        let mut member = [0x5a; 32];
        member[..8].copy_from_slice(&number.to_be_bytes());
        member[24] = [1, 2, 4][usize::try_from(number % 3).unwrap()];
        member[25..].copy_from_slice(&[0xff; 7]);
        for group in &groups {
            store.join(*group, SessionKey::new(member), later).await.unwrap();
        }
    }
    site.clock.advance(Duration::from_secs(11));
    for node in [&site, &node] {
        assert_eq!((who(node, &stays).await, who(node, &leaves).await), (subject(1), "nobody".to_owned()));
    }
}

#[tokio::test]
async fn m08_a_session_that_is_made_while_all_are_ended_is_found_the_next_time() {
    let (site, store) = stored(|builder| builder);
    know_everybody(&site);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let create = store.hold_next(Step::Create);
    let (site, callback) = (Arc::new(site), started.callback(&code(1)));
    let (same, mut visitor) = (Arc::clone(&site), browser.clone());
    let signing_in = tokio::spawn(async move {
        let status = same.get(&mut visitor, &callback).await.status();
        (status, visitor)
    });
    while store.count(Step::Create) == 0 {
        tokio::task::yield_now().await;
    }
    site.sign_in.end_sessions_of(ISSUER, &subject(1)).await.unwrap();
    create.before.add_permits(1);
    create.after.add_permits(1);
    let (status, browser) = signing_in.await.unwrap();
    assert_eq!((status.as_u16(), who(&site, &browser).await), (303, subject(1)), "it began afterwards");
    assert_eq!(site.sign_in.list_sessions_of(ISSUER, &subject(1)).await.unwrap().len(), 1);
    site.sign_in.end_sessions_of(ISSUER, &subject(1)).await.unwrap();
    assert_eq!((who(&site, &browser).await.as_str(), store.sessions().len()), ("nobody", 0));
}
