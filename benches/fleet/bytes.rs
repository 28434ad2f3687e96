//! What the server of Redis holds.

use tower_signin::Builder;

use crate::median;
use crate::server::Server;
use crate::site::{PEOPLE, Site};

/// What is remembered of a sign-in goes sooner than that, in milliseconds; a session does not.
const HOUR: i64 = 60 * 60 * 1000;

pub(crate) fn table(server: &Server) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{:<38} {:>8} {:>7} {:>12} {:>13} {:>13}",
        "bytes", "session", "group", "of a sign-in", "all, at first", "all, later"
    );
    for (name, configure) in
        [("in Redis", plain as fn(Builder) -> Builder), ("in Redis with tokens", Builder::keep_tokens)]
    {
        server.ask(&["FLUSHALL"]);
        let before = used(server);
        let site = Site::new(|builder| configure(builder.session_store(server.store())));
        runtime.block_on(async {
            for _ in 0..PEOPLE {
                site.sign_in().await;
            }
        });
        let each = |used: i64| (used - before) / i64::try_from(PEOPLE).unwrap();
        let at_first = each(used(server));
        let (mut sessions, mut groups, mut rest) = (Vec::new(), Vec::new(), 0.0);
        for key in server.keys() {
            let bytes = server.number(&["MEMORY", "USAGE", &key]) as f64;
            if server.number(&["PTTL", &key]) < HOUR {
                rest += bytes;
                server.ask(&["DEL", &key]);
            } else if key.contains(":g:") {
                groups.push(bytes);
            } else {
                sessions.push(bytes);
            }
        }
        assert_eq!((sessions.len(), groups.len()), (PEOPLE, PEOPLE));
        let later = each(used(server));
        let (session, group, rest) = (median(sessions), median(groups), rest / PEOPLE as f64);
        println!("{name:<38} {session:>8} {group:>7} {rest:>12.0} {at_first:>13} {later:>13}");
    }
}

fn plain(builder: Builder) -> Builder {
    builder
}

fn used(server: &Server) -> i64 {
    let memory = server.ask(&["INFO", "memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it says");
    used.trim().parse().unwrap()
}
