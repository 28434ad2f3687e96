//! A store as those of tower-sessions are, which the test can look into, fail, hold and falsify.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tower_signin::tower_sessions_core::SessionStore;
use tower_signin::tower_sessions_core::session::{Id, Record};
use tower_signin::tower_sessions_core::session_store::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// Others have their turn before each step.
    Later,
    Down,
    Hangs,
    Panics,
    /// What writes waits until it is released.
    Held,
}

/// Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Theirs(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    rows: Mutex<HashMap<Id, Record>>,
    fault: Mutex<Fault>,
    saves: Mutex<usize>,
    held: Mutex<usize>,
    begun: Semaphore,
    released: Semaphore,
}

impl Theirs {
    pub fn new(fault: Fault) -> Self {
        let (begun, released) = (Semaphore::new(0), Semaphore::new(0));
        let (rows, saves, held) = Default::default();
        Self(Arc::new(Inside { rows, fault: Mutex::new(fault), saves, held, begun, released }))
    }

    pub fn set(&self, fault: Fault) {
        *self.0.fault.lock().unwrap() = fault;
    }

    /// Waits until something that writes is held.
    pub async fn has_begun(&self) {
        self.0.begun.acquire().await.unwrap().forget();
    }

    /// How many have been held so far.
    pub fn held(&self) -> usize {
        *self.0.held.lock().unwrap()
    }

    pub fn release(&self) {
        self.0.released.add_permits(1);
    }

    pub fn saves(&self) -> usize {
        *self.0.saves.lock().unwrap()
    }

    /// Those that are over as well.
    pub fn rows(&self) -> usize {
        self.0.rows.lock().unwrap().len()
    }

    /// What they take as JSON.
    pub fn bytes(&self) -> usize {
        let rows = self.0.rows.lock().unwrap();
        rows.values().map(|record| serde_json::to_vec(&record.data).unwrap().len()).sum()
    }

    /// When the one row there is ends.
    pub fn expiry(&self) -> SystemTime {
        let rows = self.0.rows.lock().unwrap();
        assert_eq!(rows.len(), 1);
        rows.values().next().unwrap().expiry_date.into()
    }

    /// Makes every row one of somebody else's.
    pub fn falsify(&self) {
        for record in self.0.rows.lock().unwrap().values_mut() {
            record.data = HashMap::from([("generation".to_owned(), "none".into()), ("members".to_owned(), 7.into())]);
        }
    }

    async fn step(&self, writes: bool) -> Result<()> {
        let fault = *self.0.fault.lock().unwrap();
        match fault {
            Fault::None => {}
            Fault::Later => tokio::task::yield_now().await,
            Fault::Down => return Err(Error::Backend("connection refused".to_owned())),
            Fault::Hangs => pending().await,
            Fault::Panics => panic!("a store that panics"),
            Fault::Held if writes => {
                *self.0.held.lock().unwrap() += 1;
                self.0.begun.add_permits(1);
                self.0.released.acquire().await.unwrap().forget();
            }
            Fault::Held => {}
        }
        Ok(())
    }
}

#[async_trait]
impl SessionStore for Theirs {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.step(true).await?;
        let mut rows = self.0.rows.lock().unwrap();
        while rows.contains_key(&record.id) {
            record.id = Id::default();
        }
        rows.insert(record.id, record.clone());
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.step(true).await?;
        self.0.rows.lock().unwrap().insert(record.id, record.clone());
        *self.0.saves.lock().unwrap() += 1;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.step(false).await?;
        let found = self.0.rows.lock().unwrap().get(id).cloned();
        Ok(found.filter(|record| record.expiry_date > SystemTime::now()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.step(true).await?;
        self.0.rows.lock().unwrap().remove(id);
        Ok(())
    }
}
