//! A server that is none, or that somebody else has taken over. No `redis-server` is needed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tower_signin::{RedisStore, SessionGroup, SessionStore as _};

use crate::server::{key, record};

/// Answers each read with this, and says at which port.
fn answering(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                while stream.read(&mut asked).is_ok_and(|length| length > 0) && stream.write_all(answer).is_ok() {}
            });
        }
    });
    port
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_in_time() {
    for (name, answer) in [
        ("nothing", &b""[..]),
        ("a web server", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("a list without an end", b"*2147483647\r\n"),
        ("a longer one", b"*9223372036854775807\r\n"),
        ("lists in lists", &[b'*', b'1', b'\r', b'\n'].as_slice().repeat(10_000).leak()[..]),
        ("a text without an end", b"$9223372036854775807\r\n"),
        ("a map of its own", b"%2147483647\r\n"),
        ("an attribute", b"|2147483647\r\n"),
        ("a push that nobody asked for", b">2147483647\r\n"),
        ("another type", b":1\r\n"),
        ("moved, to one that is not of this server", b"-MOVED 1 127.0.0.1:1\r\n"),
        ("moved, to nowhere", b"-MOVED 1 \r\n"),
        ("zeros", &[0; 4096]),
    ] {
        let store = RedisStore::builder(format!("redis://127.0.0.1:{}", answering(answer)))
            .time_limit(Duration::from_millis(300))
            .build()
            .unwrap();
        let cluster = RedisStore::cluster([format!("redis://127.0.0.1:{}", answering(answer))])
            .time_limit(Duration::from_millis(300))
            .build()
            .unwrap();
        for store in [store, cluster] {
            let began = Instant::now();
            assert!(store.load(key(1)).await.is_err(), "{name}");
            assert!(store.members(SessionGroup::new([1; 32])).await.is_err(), "{name}");
            assert!(
                !store.create(key(1), record("alice")).await.is_ok_and(|made| made) || name == "another type",
                "{name}"
            );
            assert!(began.elapsed() < Duration::from_secs(10), "{name}");
        }
    }
}
