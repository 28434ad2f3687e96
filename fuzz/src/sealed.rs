//! A value is sealed, changed, and opened in another place: it opens only where nothing has changed.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use tower_signin::fuzzing::Ring;

use crate::site::CALLBACK;
use crate::{ALIEN_KEY, KEYS, OLD_KEY, keys, read};

/// Where a value of this length is sealed, what is done to it, and where it is opened.
#[derive(Arbitrary, Debug)]
struct Trial {
    there: [u8; 4],
    here: [u8; 4],
    length: u8,
    changes: Vec<Change>,
}

#[derive(Arbitrary, Debug)]
struct Change {
    kind: u8,
    at: u16,
    byte: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    ring: usize,
    purpose: usize,
    name: usize,
    count: usize,
}

/// The first key of each ring seals; which open what is in [`opens`].
static RINGS: LazyLock<Vec<Ring>> = LazyLock::new(|| {
    let staging = "https://staging.example.com/api/callback";
    let rings = [(KEYS, CALLBACK), (OLD_KEY, CALLBACK), (ALIEN_KEY, CALLBACK), (KEYS, staging)];
    rings.iter().map(|(ring, redirect_uri)| Ring::new(&keys(ring), redirect_uri).unwrap()).collect()
});

const NAMES: [&str; 5] = [
    "__Host-signin",
    "__Host-signin.1",
    "__Host-signin-tokens",
    "__Host-signin-rounds",
    "__Host-signin-flow-006a9d09000123456789abcdef",
];

/// Ring 0 holds the key of ring 1 as well.
fn opens(ring: usize, by: usize) -> bool {
    ring == by || (ring, by) == (1, 0)
}

impl Place {
    fn new(bytes: [u8; 4]) -> Self {
        let [ring, purpose, name, count] = bytes.map(usize::from);
        Self { ring: ring % 4, purpose: purpose % 6, name: name % NAMES.len(), count: 1 + count % 4 }
    }
}

impl Change {
    fn apply(&self, sealed: &mut Vec<u8>) {
        let at = usize::from(self.at) % (sealed.len() + 1);
        match (self.kind % 6, sealed.get(at).copied()) {
            (0, Some(_)) => sealed[at] = self.byte,
            (1, Some(byte)) => sealed[at] = byte ^ (1 << (self.byte % 8)),
            (2, Some(_)) => drop(sealed.remove(at)),
            (3, _) => sealed.truncate(at),
            (4, _) => drop(sealed.splice(at..at, [self.byte; 4])),
            _ => sealed.push(self.byte),
        }
    }
}

pub fn run(data: &[u8]) -> bool {
    let Some(trial) = read::<Trial>(data) else { return false };
    let (there, here) = (Place::new(trial.there), Place::new(trial.here));
    let plain: Vec<u8> = (0..trial.length).collect();
    let whole = RINGS[there.ring].seal(there.purpose, NAMES[there.name], there.count, &plain).unwrap();
    let mut sealed = whole.clone().into_bytes();
    trial.changes.iter().for_each(|change| change.apply(&mut sealed));
    let opened = RINGS[here.ring].open(here.purpose, NAMES[here.name], here.count, &sealed);
    let is_same_place = opens(there.ring, here.ring) && Place { ring: here.ring, ..there } == here;
    if is_same_place && sealed == whole.as_bytes() {
        assert_eq!(opened, Some(plain));
        return true;
    }
    assert_eq!(opened, None, "{there:?} opened at {here:?}");
    false
}
