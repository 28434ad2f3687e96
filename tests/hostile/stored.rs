//! A site whose sessions are in a store.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tower_signin::{Builder, ManualClock};

use crate::double::{Double, Kind};
use crate::site::{NOW, Site};

pub(crate) fn stored(configure: impl FnOnce(Builder) -> Builder) -> (Site, Double) {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = Double::new(Kind::Sealed, &clock);
    let mut site = Site::with(|builder| configure(builder.session_store(store.clone())).clock(Arc::clone(&clock)));
    site.clock = clock;
    (site, store)
}
