//! Session stores do what the trait's documentation says.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod broken;
mod memory;
mod tower_sessions;
