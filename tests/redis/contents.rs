//! What the server holds, and what it says no to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::{RedisStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreErrorKind, conformance};

use crate::rules::on_manual_clock;
use crate::server::{Server, in_an_hour, key, record};

#[tokio::test]
#[ignore = "needs redis"]
async fn every_key_in_redis_goes_by_itself() {
    let server = Server::start();
    let fixture = || on_manual_clock(RedisStore::builder(server.url()));
    conformance::a_touch_moves_the_end_later_and_nothing_else(fixture()).await;
    conformance::an_update_needs_the_generation_before(fixture()).await;
    conformance::generations_are_exact_to_the_last(fixture()).await;
    conformance::of_many_touches_the_latest_holds(fixture()).await;
    conformance::any_bytes_are_kept_as_they_are(fixture()).await;
    conformance::joining_again_moves_the_time_later_and_never_earlier(fixture()).await;
    conformance::joins_and_leaves_at_once_all_hold(fixture()).await;
    let keys = server.keys();
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        assert!(server.number(&["PTTL", &key]) > 0, "{key}");
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn redis_keeps_a_key_for_a_minute_after_its_end() {
    let server = Server::start();
    let store = server.store();
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(4_000_000_000 + seconds);
    let first = SessionRecord::new(*b"alice", 0, at(100));
    let expire_time = |part: &str| {
        let key = server.keys().into_iter().find(|key| key.contains(part)).expect("it is there");
        server.number(&["EXPIRETIME", &key]) - 4_000_000_000
    };
    assert!(store.create(key(1), first.clone()).await.unwrap());
    assert_eq!(expire_time("s:"), 160, "made");
    assert!(store.touch(key(1), at(300)).await.unwrap());
    assert!(store.touch(key(1), at(200)).await.unwrap());
    assert_eq!(expire_time("s:"), 360, "touched");
    assert!(store.update(key(1), first.successor(*b"", at(150)).unwrap()).await.unwrap());
    assert_eq!(expire_time("s:"), 210, "updated");
    let group = SessionGroup::new([1; 32]);
    for (number, until) in [(1, 500), (2, 400), (1, 450), (3, 499)] {
        store.join(group, key(number), at(until)).await.unwrap();
        assert_eq!(expire_time("g:"), 560, "joined until {until}");
    }
    store.join(group, key(2), at(600)).await.unwrap();
    assert_eq!(expire_time("g:"), 660);
    assert!(server.keys().iter().all(|key| key.starts_with("signin:")));
}

#[tokio::test]
#[ignore = "needs redis"]
async fn who_is_over_leaves_a_group_in_redis_with_the_next_who_joins() {
    let server = Server::start();
    let clock = std::sync::Arc::new(tower_signin::ManualClock::new(SystemTime::now()));
    let store = RedisStore::builder(server.url()).clock(std::sync::Arc::clone(&clock)).build().unwrap();
    let group = SessionGroup::new([1; 32]);
    let end = SystemTime::now() + Duration::from_secs(1000);
    store.join(group, key(1), end).await.unwrap();
    let count = || server.number(&["ZCARD", &server.keys()[0]]);
    for (passed, kept) in [(1030, 2), (1061, 1)] {
        clock.set(end - Duration::from_secs(1000) + Duration::from_secs(passed));
        store.join(group, key(2), end + Duration::from_secs(1000)).await.unwrap();
        assert_eq!(count(), kept, "{passed} seconds later");
        assert_eq!(store.members(group).await.unwrap(), [key(2)]);
    }
}

/// What a session costs; `--nocapture` shows it.
#[tokio::test]
#[ignore = "needs redis"]
async fn a_session_takes_little_memory_in_redis() {
    let server = Server::start();
    let store = server.store();
    assert!(store.create(key(1), SessionRecord::new([7; 300], 0, in_an_hour())).await.unwrap());
    let group = SessionGroup::new([1; 32]);
    store.join(group, key(1), in_an_hour()).await.unwrap();
    for (part, most) in [("s:", 500), ("g:", 200)] {
        let key = server.keys().into_iter().find(|key| key.contains(part)).expect("it is there");
        let bytes = server.number(&["MEMORY", "USAGE", &key]);
        eprintln!("{part} {bytes} bytes");
        assert!(bytes <= most, "{part} {bytes} bytes");
    }
    let used = || {
        let memory = server.ask(&["INFO", "memory"]);
        let line = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it says");
        line.parse::<u64>().unwrap()
    };
    let before = used();
    let sessions = 10_000_u32;
    for number in 0..sessions {
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let key = SessionKey::new(bytes);
        assert!(store.create(key, SessionRecord::new([7; 300], 0, in_an_hour())).await.unwrap());
    }
    let each = (used() - before) / u64::from(sessions);
    eprintln!("{each} bytes for each of {sessions} sessions, with all that the server keeps of them");
    assert!(each <= 700, "{each} bytes");
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_says_no_is_an_error_without_a_secret() {
    let server = Server::start();
    let set_user = ["ACL", "SETUSER", "alice", "on", ">hunter2", "~*", "-@all", "+get"];
    assert_eq!(server.ask(&set_user), "+OK\r\n");
    assert_eq!(server.ask(&["ACL", "SETUSER", "default", ">hunter1"]), "+OK\r\n");
    let at = format!("127.0.0.1:{}", server.port);
    for (name, url, part) in [
        ("no password", format!("redis://{at}"), "NOAUTH"),
        ("a wrong one", format!("redis://:hunter3@{at}"), "refused"),
        ("a wrong user", format!("redis://bob:hunter2@{at}"), "refused"),
        ("a user who may not", format!("redis://alice:hunter2@{at}"), "NOPERM"),
        ("a database that is not there", format!("redis://:hunter1@{at}/9999"), "127.0.0.1"),
    ] {
        let store = RedisStore::new(&url).unwrap();
        let Err(error) = store.create(key(1), record("secret")).await else { panic!("{name} is taken") };
        assert_eq!(error.kind(), StoreErrorKind::Failed, "{name}");
        let shown = format!("{error} {error:?} {store:?}");
        assert!(shown.contains(part), "{name}: {shown}");
        for secret in ["hunter", "alice", "bob", "secret"] {
            assert!(!shown.contains(secret), "{name}: {shown}");
        }
    }
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_full_redis_takes_no_new_sessions_and_keeps_those_it_has() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let store = server.store();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "1"]), "+OK\r\n");
    let error = store.create(key(2), record("bob")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(format!("{error:?}").contains("it is full"), "{error:?}");
    assert!(store.load(key(1)).await.unwrap().is_some());
    store.delete(key(1)).await.unwrap();
    assert!(store.load(key(1)).await.unwrap().is_none(), "people can sign out");
}

#[tokio::test]
#[ignore = "needs redis"]
async fn what_another_program_left_in_redis_is_an_error() {
    let server = Server::start();
    let store = server.store();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    let name = server.keys().remove(0);
    assert_eq!(server.ask(&["SET", &name, "short"]), "+OK\r\n");
    assert_eq!(store.load(key(1)).await.unwrap_err().kind(), StoreErrorKind::Failed);
    assert_eq!(server.ask(&["DEL", &name]), ":1\r\n");
    assert_eq!(server.ask(&["LPUSH", &name, "list"]), ":1\r\n");
    for (step, error) in [
        ("load", store.load(key(1)).await.err()),
        ("touch", store.touch(key(1), in_an_hour()).await.err()),
        ("create", store.create(key(1), record("")).await.err()),
    ] {
        assert_eq!(error.map(|error| error.kind()), Some(StoreErrorKind::Failed), "{step}");
    }
}
