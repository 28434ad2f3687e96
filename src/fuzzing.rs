//! What the fuzz targets in `fuzz/` reach that nobody else does: only there with `--cfg fuzzing`.

#![allow(missing_docs, missing_debug_implementations, reason = "no part of the API")]

use crate::keys::Keys;
use crate::return_to::ReturnTo;
use crate::seal::{Purpose, Seal};

pub struct Ring(Seal);

const PURPOSES: [Purpose; 6] =
    [Purpose::Flow, Purpose::Session, Purpose::Tokens, Purpose::Rounds, Purpose::Logout, Purpose::Record];

impl Ring {
    #[must_use]
    pub fn new(keys: &Keys, redirect_uri: &str) -> Option<Self> {
        Seal::new(keys, redirect_uri).ok().map(Self)
    }

    #[must_use]
    pub fn seal(&self, purpose: usize, name: &str, count: usize, plain: &[u8]) -> Option<String> {
        self.0.seal_for(*PURPOSES.get(purpose)?, name, count, plain).ok()
    }

    #[must_use]
    pub fn open(&self, purpose: usize, name: &str, count: usize, sealed: &[u8]) -> Option<Vec<u8>> {
        let purpose = *PURPOSES.get(purpose)?;
        let plain = self.0.open_dated(purpose, name, count, sealed).ok().map(|(plain, _)| plain);
        if count == 1 {
            let alone = self.0.open(purpose, name, sealed).ok();
            assert_eq!(alone.as_deref(), plain.as_ref(), "one cookie is opened in two ways");
        }
        plain
    }
}

#[must_use]
pub fn return_to(raw: &str, own_paths: &[&str], longest: usize) -> String {
    ReturnTo::new(raw, own_paths).shortened(longest).as_str().to_owned()
}
