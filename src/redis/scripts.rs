//! What a step is to the server: a key, and a script that looks and changes as one.
//!
//! A record is a string: its generation and its end in milliseconds since 1970, eight bytes each with the highest first, and then
//! the bytes. A group is a sorted set of members by the millisecond at which their time comes.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::Cmd;

use crate::session::store::SessionRecord;

/// A key goes so much later than what it holds is over: the clock that decides is the caller's, and the server's may run ahead.
pub(super) const KEPT_ON: Duration = Duration::from_secs(60);

/// How many bytes stand before a record's own.
const HEADER: usize = 16;

/// The last millisecond up to which a floating-point number counts exactly, some 285,000 years away.
const LATEST: u64 = 1 << 53;

/// Numbers in scripts are floating-point, so generations are compared as bytes.
pub(super) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

impl Script {
    /// The script by its hash, for a server that has seen it.
    pub(super) fn by_hash(&self, key: &[u8], arguments: &[&[u8]]) -> Cmd {
        Self::call("EVALSHA", &self.hash, key, arguments)
    }

    /// The script itself, for one that has not.
    pub(super) fn in_full(&self, key: &[u8], arguments: &[&[u8]]) -> Cmd {
        Self::call("EVAL", self.source, key, arguments)
    }

    fn call(command: &str, script: &str, key: &[u8], arguments: &[&[u8]]) -> Cmd {
        let bytes = command.len() + script.len() + 1 + key.len() + arguments.iter().map(|it| it.len()).sum::<usize>();
        let mut call = Cmd::with_capacity(4 + arguments.len(), bytes);
        call.arg(command).arg(script).arg(1).arg(key).arg(arguments);
        call
    }
}

macro_rules! script {
    ($source:literal) => {
        Script { source: $source, hash: LazyLock::new(|| sha1($source)) }
    };
}

/// Arguments: now, the record, when the key goes, whether the record is over already.
pub(super) static CREATE: Script = script!(
    "local held = redis.call('GETRANGE', KEYS[1], 8, 15)
if #held == 8 and struct.unpack('>I8', held) > tonumber(ARGV[1]) then return 0 end
if ARGV[4] == '1' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end
return 1"
);

/// Arguments: those of [`CREATE`], the generation before.
pub(super) static UPDATE: Script = script!(
    "local held = redis.call('GETRANGE', KEYS[1], 0, 15)
if #held < 16 or held:sub(1, 8) ~= ARGV[5] then return 0 end
if struct.unpack('>I8', held, 9) <= tonumber(ARGV[1]) then return 0 end
if ARGV[4] == '1' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end
return 1"
);

/// Arguments: now, the end, when the key goes.
pub(super) static TOUCH: Script = script!(
    "local held = redis.call('GETRANGE', KEYS[1], 8, 15)
if #held < 8 then return 0 end
local ends = struct.unpack('>I8', held)
if ends <= tonumber(ARGV[1]) then return 0 end
if ends < struct.unpack('>I8', ARGV[2]) then
redis.call('SETRANGE', KEYS[1], 8, ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return 1"
);

/// Arguments: up to when who is over goes, the member, its end, for how long the key is kept on.
pub(super) static JOIN: Script = script!(
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[3], ARGV[2])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2]) + tonumber(ARGV[4])))
return 1"
);

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(LATEST).min(LATEST)
}

/// When the key of what ends then goes.
pub(super) fn goes_at(end: u64) -> u64 {
    end + u64::try_from(KEPT_ON.as_millis()).unwrap_or(0)
}

pub(super) fn encode(record: &SessionRecord) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + record.bytes().len());
    value.extend(record.generation().to_be_bytes());
    value.extend(milliseconds(record.expires_at()).to_be_bytes());
    value.extend(record.bytes());
    value
}

/// `None` for what no version of this wrote.
pub(super) fn decode(value: &[u8]) -> Option<SessionRecord> {
    let (generation, rest) = value.split_first_chunk()?;
    let (end, bytes) = rest.split_first_chunk()?;
    let end = Duration::from_millis(u64::from_be_bytes(*end));
    Some(SessionRecord::new(bytes, u64::from_be_bytes(*generation), UNIX_EPOCH.checked_add(end)?))
}

/// As `SCRIPT LOAD` names a script.
fn sha1(source: &str) -> String {
    hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let end = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        for record in [SessionRecord::new(*b"", 0, UNIX_EPOCH), SessionRecord::new([0xff; 300], u64::MAX, end)] {
            assert_eq!(decode(&encode(&record)), Some(record));
        }
    }

    #[test]
    fn what_can_t_be_read_is_nothing_and_no_panic() {
        let longest = [0xff; HEADER];
        for length in 0..HEADER {
            assert_eq!(decode(&longest[..length]), None, "{length} bytes");
        }
        let _ = decode(&longest);
    }

    #[test]
    fn no_time_is_too_far() {
        let far = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 10_000);
        assert_eq!(milliseconds(far), LATEST);
        assert_eq!(milliseconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert!(i64::try_from(goes_at(LATEST)).is_ok());
    }
}
