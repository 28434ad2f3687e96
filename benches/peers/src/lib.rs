//! What tower-signin costs beside other ways to know who is signed in.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml` prints the table; the program `table` says what its
//! columns are. Every row is the same router with the same handler, which knows issuer and subject of who is signed in
//! and answers a line of text; what differs is how it comes to know. Each is set up as its own documentation shows.

#[cfg(feature = "bare")]
mod peer;
#[cfg(feature = "bare")]
pub mod peers;
#[cfg(feature = "bare")]
pub mod requests;
pub mod rows;

#[cfg(feature = "bare")]
pub use self::peer::{BoxFuture, ISSUER, Peer, SUBJECT, page};
