//! A session and a group as a record of theirs. Numbers are text: a backend's may be doubles.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use base64_simd::STANDARD;
use serde_json::Value;
use tower_sessions_core::session::{Id, Record};

use super::trouble::failed;
use crate::clock::{CLOCK_SKEW, from_unix_seconds, unix_seconds};
use crate::session::store::{SessionKey, SessionRecord, StoreError};

/// The members of a group, and until when they are.
pub(super) type Members = HashMap<SessionKey, SystemTime>;

const BYTES: &str = "bytes";
const GENERATION: &str = "generation";
const END: &str = "end";
const MEMBERS: &str = "members";

/// The end of the year 9999: their dates end there.
const LATEST: u64 = 253_402_300_799;

pub(super) fn of_session(id: Id, record: &SessionRecord) -> Record {
    let data = [
        (BYTES, Value::from(STANDARD.encode_to_string(record.bytes()))),
        (GENERATION, Value::from(record.generation().to_string())),
        (END, Value::from(unix_seconds(record.expires_at()).to_string())),
    ];
    self::record(id, data, record.expires_at())
}

pub(super) fn session(record: &Record) -> Result<SessionRecord, StoreError> {
    let text = |name: &str| record.data.get(name)?.as_str();
    let read = || {
        let bytes = STANDARD.decode_to_vec(text(BYTES)?).ok()?;
        Some(SessionRecord::new(bytes, text(GENERATION)?.parse().ok()?, time(text(END)?)?))
    };
    read().ok_or_else(|| failed("a record under our id is none of ours"))
}

/// `None` where there is nobody in it.
pub(super) fn of_group(id: Id, members: &Members) -> Option<Record> {
    let latest = members.values().max()?;
    let listed = |(member, until): (&SessionKey, &SystemTime)| {
        (STANDARD.encode_to_string(member.as_bytes()), Value::from(unix_seconds(*until).to_string()))
    };
    let listed = members.iter().map(listed).collect();
    Some(record(id, [(MEMBERS, Value::Object(listed))], *latest))
}

pub(super) fn members(record: &Record) -> Result<Members, StoreError> {
    let read = |(member, until): (&String, &Value)| {
        let member = STANDARD.decode_to_vec(member).ok()?.try_into().ok()?;
        Some((SessionKey::new(member), time(until.as_str()?)?))
    };
    let listed = record.data.get(MEMBERS).and_then(Value::as_object);
    let members = listed.and_then(|listed| listed.iter().map(read).collect());
    members.ok_or_else(|| failed("a record under our id is none of ours"))
}

fn record<const N: usize>(id: Id, data: [(&str, Value); N], end: SystemTime) -> Record {
    let data = data.map(|(name, value)| (name.to_owned(), value)).into();
    let expiry = unix_seconds(end).saturating_add(CLOCK_SKEW).min(LATEST);
    Record { id, data, expiry_date: (SystemTime::UNIX_EPOCH + Duration::from_secs(expiry)).into() }
}

fn time(seconds: &str) -> Option<SystemTime> {
    seconds.parse().ok().map(from_unix_seconds)
}
