//! The layer under attack: everything an attacker controls, alone and at random, against what SECURITY.md guarantees.
//! The random ones draw the same numbers each time; `ROUNDS=1000000` makes each of them that many rounds long.

#![allow(missing_docs, reason = "tests")]

#[path = "../support/random.rs"]
mod random;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod answers;
mod caches;
mod clocks;
mod flood;
mod flows;
mod forward;
mod fuzz;
mod hidden;
mod inner;
mod logout;
mod seals;
mod sign_ins;
mod sockets;
mod wire;
