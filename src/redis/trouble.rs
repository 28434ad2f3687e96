//! What goes wrong with a server, told without a secret.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::address::Address;
use crate::session::store::{StoreError, StoreErrorKind};

/// Why a step has no answer. It says which server, and shows neither user nor password, nor what was sent.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    at: Address,
    kind: StoreErrorKind,
    what: String,
    cause: Cause,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The server has not seen the script. Nothing was done.
    UnknownScript,
    /// Another node has the key. Nothing was done.
    Moved(Address),
    /// Another node has the key by now, if it has one. Nothing was done.
    Ask(Address),
    /// Another server may be the right one by now.
    WrongServer,
    Other,
}

impl Trouble {
    /// No answer in time.
    pub(super) fn late(at: &Address) -> Self {
        Self::unreachable(at, "no answer within the time limit")
    }

    /// No connection, or one that broke.
    pub(super) fn unreachable(at: &Address, what: impl fmt::Display) -> Self {
        Self { at: at.clone(), kind: StoreErrorKind::Unreachable, what: what.to_string(), cause: Cause::WrongServer }
    }

    /// An answer that says no, or can't be read.
    pub(super) fn failed(at: &Address, what: impl fmt::Display) -> Self {
        Self { at: at.clone(), kind: StoreErrorKind::Failed, what: what.to_string(), cause: Cause::Other }
    }

    /// What the client library says. A server repeats what it was sent in some of its errors, so that all but the code is left
    /// out where it is not known to be harmless.
    pub(super) fn of(at: &Address, error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::unreachable(at, error),
            ErrorKind::AuthenticationFailed => Self::failed(at, "the user or the password is refused"),
            kind => {
                let code = error.code().filter(|code| is_code(code)).unwrap_or("an answer that can't be read");
                let mut trouble = Self::failed(at, explained(code, error.detail()));
                trouble.cause = cause(kind, at, error);
                trouble
            }
        }
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl std::error::Error for Trouble {}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.kind).with_source(trouble)
    }
}

fn cause(kind: ErrorKind, at: &Address, error: &RedisError) -> Cause {
    let other = || {
        let (_slot, address) = error.detail()?.split_once(' ')?;
        Address::of_node(address, at)
    };
    match kind {
        ErrorKind::Server(ServerErrorKind::NoScript) => Cause::UnknownScript,
        ErrorKind::Server(ServerErrorKind::Moved) => other().map_or(Cause::WrongServer, Cause::Moved),
        ErrorKind::Server(ServerErrorKind::Ask) => other().map_or(Cause::WrongServer, Cause::Ask),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown) => {
            Cause::WrongServer
        }
        _ => Cause::Other,
    }
}

/// The first word of an error is its code.
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= 32 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn explained(code: &str, detail: Option<&str>) -> String {
    let why = match code {
        "READONLY" => "it is a replica, or was made one",
        "LOADING" => "it is still reading its data",
        "MASTERDOWN" => "it is a replica that has lost its master",
        "CLUSTERDOWN" => "the cluster does not serve this key for now",
        "MOVED" | "ASK" => "the server is part of a cluster",
        "OOM" => "it is full",
        "MISCONF" => "it can't save its data, and takes no more",
        "NOREPLICAS" => "it has too few replicas to write",
        "NOAUTH" => "it wants a user or a password",
        "WRONGPASS" => "the user or the password is refused",
        "NOPERM" => "the user may not run a command, or not with these keys",
        "WRONGTYPE" => "the key holds what this store did not write",
        "ERR" => return detail.and_then(harmless).map_or_else(|| code.to_owned(), |why| format!("{code}: {why}")),
        _ => return code.to_owned(),
    };
    format!("{code}: {why}")
}

/// Errors without a code of their own, of which some show what was sent.
fn harmless(detail: &str) -> Option<&'static str> {
    const KNOWN: [&str; 6] = [
        "max number of clients reached",
        "This instance has cluster support disabled",
        "unknown command",
        "DB index is out of range",
        "SELECT is not allowed in cluster mode",
        "syntax error",
    ];
    KNOWN.into_iter().find(|known| detail.contains(known))
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn said(line: &str) -> Trouble {
        let error = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap().extract_error().unwrap_err();
        Trouble::of(&Address::new("db.example", 6379), &error)
    }

    #[test]
    fn what_a_server_repeats_is_not_told() {
        for line in [
            "ERR unknown command 'AUTH', with args beginning with: 'alice' 'hunter2'",
            "NOPERM User alice has no permissions to run the 'get' command",
            "WRONGPASS invalid username-password pair alice hunter2",
            "hunter2 alice",
            "HUNTER2 alice",
            "ERR hunter2",
        ] {
            let shown = format!("{0} {0:?} {1:?}", said(line), StoreError::from(said(line))).to_lowercase();
            assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("db.example:6379"), "{shown}");
        }
    }

    #[test]
    fn what_an_error_means_is_told() {
        for (line, part) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "it is full"),
            ("READONLY You can't write against a read only replica.", "it is a replica"),
            ("LOADING Redis is loading the dataset in memory", "still reading"),
            ("NOAUTH Authentication required.", "wants a user"),
            ("ERR max number of clients reached", "max number of clients"),
            ("ERR something new", "ERR"),
            ("CLUSTERDOWN Hash slot not served", "for now"),
        ] {
            let trouble = said(line);
            assert!(trouble.to_string().contains(part), "{trouble}");
            assert_eq!(StoreError::from(trouble).kind(), StoreErrorKind::Failed, "{line}");
        }
    }

    #[test]
    fn a_cluster_says_where_a_key_is() {
        let same = |port| Address::new("db.example", port);
        for (line, cause) in [
            ("MOVED 3999 10.0.0.2:7001", Cause::Moved(Address::new("10.0.0.2", 7001))),
            ("MOVED 3999 :7001", Cause::Moved(same(7001))),
            ("ASK 3999 ::1:7001", Cause::Ask(Address::new("::1", 7001))),
            ("MOVED 3999", Cause::WrongServer),
            ("MOVED 3999 nowhere", Cause::WrongServer),
            ("NOSCRIPT No matching script.", Cause::UnknownScript),
            ("READONLY You can't write.", Cause::WrongServer),
            ("OOM", Cause::Other),
        ] {
            assert_eq!(*said(line).cause(), cause, "{line}");
        }
    }
}
