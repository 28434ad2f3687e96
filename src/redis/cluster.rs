//! Which server has a key: the only one there is, or one of a cluster's.
//!
//! The client library has a cluster of its own, which sends a step again after its connection broke. A step that was taken would
//! then say that it was not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::line::Settings;
use super::node::{Lasting, Node};
use super::trouble::{Cause, Trouble};
use crate::sync::{Mutex, MutexGuard, PoisonError};

pub(super) enum Servers {
    One(Box<Node>),
    Cluster(Cluster),
}

impl Servers {
    pub(super) async fn ask(
        &self,
        key: &[u8],
        command: &Cmd,
        lasting: Lasting,
        deadline: Instant,
    ) -> Result<Value, Trouble> {
        match self {
            Self::One(node) => node.ask(command, lasting, false, deadline).await,
            Self::Cluster(cluster) => cluster.ask(key, command, lasting, deadline).await,
        }
    }
}

pub(super) struct Cluster {
    seeds: Vec<Address>,
    settings: Arc<Settings>,
    known: Mutex<Known>,
    /// When the nodes were asked last who has what; held by the one who asks.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    nodes: HashMap<Address, Arc<Node>>,
    /// The last slot of each range, and who has it, in order.
    ranges: Vec<(u16, Address)>,
    is_doubtful: bool,
    /// Which node is asked first, another one each time.
    turn: usize,
}

const SLOTS: u16 = 16_384;

/// How often a step follows to where its key is said to be.
const MOVES: usize = 5;

/// The nodes are asked who has what once in this time at most.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// In how many parts the time for them is divided.
const MOST_PARTS: u32 = 4;

impl Cluster {
    pub(super) fn new(seeds: Vec<Address>, settings: Arc<Settings>) -> Self {
        Self { seeds, settings, known: Mutex::default(), asked: tokio::sync::Mutex::default() }
    }

    async fn ask(&self, key: &[u8], command: &Cmd, lasting: Lasting, deadline: Instant) -> Result<Value, Trouble> {
        let slot = slot(key);
        let mut node = self.owner(slot, deadline).await?;
        let mut asked_for = false;
        for _ in 0..MOVES {
            let trouble = match node.ask(command, lasting, asked_for, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            match trouble.cause() {
                Cause::Moved(address) => {
                    self.known().is_doubtful = true;
                    (node, asked_for) = (self.node(address), false);
                }
                Cause::Ask(address) => (node, asked_for) = (self.node(address), true),
                Cause::WrongServer => {
                    self.known().is_doubtful = true;
                    return Err(trouble);
                }
                Cause::UnknownScript | Cause::Other => return Err(trouble),
            }
        }
        Err(Trouble::failed(node.address(), "each node says that another one has the key"))
    }

    async fn owner(&self, slot: u16, deadline: Instant) -> Result<Arc<Node>, Trouble> {
        if let Some(node) = self.known().owner(slot, &self.settings, false) {
            return Ok(node);
        }
        let asked = self.find_out(deadline).await;
        let owner = self.known().owner(slot, &self.settings, true);
        owner.ok_or_else(|| match asked {
            Err(trouble) => trouble,
            Ok(node) => Trouble::failed(&node, "the cluster has nobody for this key"),
        })
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        self.known().node(address, &self.settings)
    }

    /// Asks one node after the other who has what, each for its part of the time that is left.
    async fn find_out(&self, deadline: Instant) -> Result<Address, Trouble> {
        let candidates = self.candidates();
        let Some(first) = candidates.first().cloned() else { return Err(Trouble::late(&Address::new("", 0))) };
        let mut asked = timeout_at(deadline, self.asked.lock()).await.map_err(|_| Trouble::late(&first))?;
        let is_recent = asked.is_some_and(|asked| asked.elapsed() < BETWEEN_QUESTIONS);
        if is_recent && !self.known().ranges.is_empty() {
            return Ok(first);
        }
        let mut last = Trouble::late(&first);
        for (address, left) in candidates.iter().zip((1..=candidates.len()).rev()) {
            let node = self.node(address);
            let parts = u32::try_from(left).unwrap_or(MOST_PARTS).min(MOST_PARTS);
            let a_part = Instant::now() + deadline.saturating_duration_since(Instant::now()) / parts;
            let mut question = cmd("CLUSTER");
            question.arg("SLOTS");
            match node.ask(&question, Lasting::No, false, a_part).await {
                Ok(answer) => match ranges(&answer, address) {
                    Some(ranges) => {
                        self.known().learn(ranges, &self.seeds);
                        *asked = Some(Instant::now());
                        return Ok(address.clone());
                    }
                    None => last = Trouble::failed(address, "it is no node of a cluster that has keys"),
                },
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// The nodes that are known and those of the settings, another one first each time.
    fn candidates(&self) -> Vec<Address> {
        let mut known = self.known();
        let mut candidates: Vec<_> = Vec::new();
        for address in known.ranges.iter().map(|(_, address)| address).chain(&self.seeds) {
            if !candidates.contains(address) {
                candidates.push(address.clone());
            }
        }
        known.turn = known.turn.wrapping_add(1);
        let first = known.turn.checked_rem(candidates.len()).unwrap_or(0);
        candidates.rotate_left(first);
        candidates
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn owner(&mut self, slot: u16, settings: &Arc<Settings>, even_if_doubtful: bool) -> Option<Arc<Node>> {
        if self.is_doubtful && !even_if_doubtful {
            return None;
        }
        let at = self.ranges.partition_point(|(last, _)| *last < slot);
        let address = self.ranges.get(at)?.1.clone();
        Some(self.node(&address, settings))
    }

    fn node(&mut self, address: &Address, settings: &Arc<Settings>) -> Arc<Node> {
        if let Some(node) = self.nodes.get(address) {
            return Arc::clone(node);
        }
        let node = Arc::new(Node::new(address.clone(), settings));
        self.nodes.insert(address.clone(), Arc::clone(&node));
        node
    }

    /// Forgets the connections to nodes that are gone.
    fn learn(&mut self, ranges: Vec<(u16, Address)>, seeds: &[Address]) {
        self.ranges = ranges;
        self.is_doubtful = false;
        let Self { nodes, ranges, .. } = self;
        nodes.retain(|address, _| seeds.contains(address) || ranges.iter().any(|(_, known)| known == address));
    }
}

/// The masters of `CLUSTER SLOTS`, in order. A gap counts to the range behind it, whose node then says that it has no such key.
fn ranges(answer: &Value, writer: &Address) -> Option<Vec<(u16, Address)>> {
    let Value::Array(rows) = answer else { return None };
    let mut ranges = Vec::with_capacity(rows.len());
    for row in rows {
        let Value::Array(row) = row else { return None };
        let [_, Value::Int(last), Value::Array(master), ..] = row.as_slice() else { return None };
        let [host, Value::Int(port), ..] = master.as_slice() else { return None };
        let host = match host {
            Value::BulkString(host) if !matches!(host.as_slice(), b"" | b"?") => str::from_utf8(host).ok()?,
            Value::BulkString(_) | Value::Nil => &writer.host,
            _ => return None,
        };
        let last = u16::try_from(*last).ok().filter(|last| *last < SLOTS)?;
        ranges.push((last, Address::new(host, u16::try_from(*port).ok()?)));
    }
    ranges.sort_by_key(|(last, _)| *last);
    Some(ranges).filter(|ranges| !ranges.is_empty())
}

/// Which slot a key is in. Ours have no braces, of which a cluster would look at what is between.
fn slot(key: &[u8]) -> u16 {
    let mut remainder: u16 = 0;
    for byte in key {
        remainder ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let is_high = remainder & 0x8000 != 0;
            remainder <<= 1;
            if is_high {
                remainder ^= 0x1021;
            }
        }
    }
    remainder % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_slots_of_the_specification() {
        // CRC-16/XMODEM's check value, and what `CLUSTER KEYSLOT` says.
        for (key, expected) in [("123456789", 0x31c3), ("", 0), ("foo", 12_182), ("somekey", 11_058)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    fn row(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master])
    }

    #[test]
    fn a_cluster_says_who_has_what() {
        let writer = Address::new("seed", 1);
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let rows = Value::Array(vec![row(8192, 16_383, text("b"), 2), row(0, 8191, Value::Nil, 1)]);
        let expected = vec![(8191, Address::new("seed", 1)), (16_383, Address::new("b", 2))];
        assert_eq!(ranges(&rows, &writer), Some(expected));
        for wrong in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![row(0, 16_384, text("a"), 1)]),
            Value::Array(vec![row(0, -1, text("a"), 1)]),
            Value::Array(vec![row(0, 1, text("a"), 70_000)]),
            Value::Array(vec![row(0, 1, Value::BulkString(vec![0xff]), 1)]),
        ] {
            assert_eq!(ranges(&wrong, &writer), None, "{wrong:?}");
        }
    }
}
