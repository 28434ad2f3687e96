//! The suite on SQLite: on the clock of the tests, and on that of the system, by which the database filters.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use tower_sessions_sqlx_store::SqliteStore;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use tower_signin::conformance::Fixture;
use tower_signin::{ManualClock, TowerSessionsStore, store_conformance};

/// Made anew by each run.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("adapters");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
});

/// A file for a database that nobody else has.
pub fn file() -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    FOLDER.join(format!("{}.sqlite", FILES.fetch_add(1, Ordering::SeqCst)))
}

/// The store in that file, over four connections.
pub async fn open(file: PathBuf) -> TowerSessionsStore {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool);
    store.migrate().await.unwrap();
    TowerSessionsStore::new(store)
}

mod on_a_manual_clock {
    use super::*;

    async fn fixture() -> Fixture {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        Fixture::on_manual_clock(open(file()).await.clock(Arc::clone(&clock)), &clock)
    }

    store_conformance!(fixture);
}

mod on_the_systems_clock {
    use super::*;

    async fn fixture() -> Fixture {
        Fixture::on_system_clock(open(file()).await)
    }

    store_conformance!(fixture);
}
