//! Time on a processor, as Linux tells it. It is exact to a tick or so, so that only long stretches are worth comparing.

use std::fs;

use crate::server::Server;

/// Nanoseconds that this thread has had.
pub(crate) fn of_this_thread() -> u64 {
    read("/proc/thread-self/schedstat")
}

/// Nanoseconds that the main thread of a server has had, which does what it is asked.
pub(crate) fn of_server(server: &Server) -> u64 {
    let info = server.ask(&["INFO", "server"]);
    let id = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("it says");
    read(&format!("/proc/{}/schedstat", id.trim()))
}

fn read(path: &str) -> u64 {
    let told = fs::read_to_string(path).expect("this is Linux");
    told.split(' ').next().and_then(|number| number.parse().ok()).expect("it is a number")
}
