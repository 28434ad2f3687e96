//! OpenID Connect, against the OpenID provider on loopback.

mod caches;
mod misbehaviours;
mod settings;
mod sign_in;
mod tokens;
mod waiting;

use crate::stage::{KEYS, METADATA, Stage, TOKEN, USER_INFO, alice, refused};
