//! `TowerSessionsStore` over a database: the suite that every session store must pass, and a whole life of a session.

#![allow(missing_docs, reason = "tests")]

mod sign_in;
#[path = "../../support/site.rs"]
mod site;
mod sqlite;
#[path = "../../support/jar.rs"]
mod support;
