//! TEMPORARY: stands in for the founder's module of this name.

use std::sync::Arc;
use std::time::SystemTime;

use super::ProviderSession;
use super::registry::SessionEnd;
use super::store::{SessionKey, SessionRecord, StoreError};
use crate::config::Inner;

#[allow(dead_code)]
pub(crate) enum Whom<'a> {
    Person { issuer: &'a str, subject: &'a str },
    ProviderSession(&'a ProviderSession),
}

pub(crate) async fn end_sessions(_: &Arc<Inner>, _: &Whom<'_>, _: SessionEnd) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) async fn mark_once(inner: &Inner, what: &[&[u8]], until: SystemTime) -> Result<bool, StoreError> {
    let Some(store) = &inner.store else { return Ok(true) };
    store.create(SessionKey::new(inner.seal.name(what)), SessionRecord::new([], 0, until)).await
}

pub(crate) async fn is_marked(inner: &Inner, what: &[&[u8]]) -> Result<bool, StoreError> {
    let Some(store) = &inner.store else { return Ok(false) };
    for name in inner.seal.names(what) {
        if store.load(SessionKey::new(name)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
