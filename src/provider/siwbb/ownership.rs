//! Requirements on what an address owns.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Assets an address must own, or a combination of such requirements.
///
/// ```
/// use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
///
/// let member = OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]);
/// let guest = OwnershipRequirements::at_least(1, [Asset::badges("2", [Range::new(1, 100)])]);
/// let either = OwnershipRequirements::any([member, guest]);
/// assert_eq!(serde_json::to_value(&either)?["$or"][0]["assets"][0]["collectionId"], "1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OwnershipRequirements(Group);

#[derive(Clone, Debug)]
enum Group {
    And(Vec<OwnershipRequirements>),
    Or(Vec<OwnershipRequirements>),
    Assets { assets: Vec<Asset>, matches: Option<u64> },
}

impl OwnershipRequirements {
    /// All of these must hold.
    #[must_use]
    pub fn all(groups: impl IntoIterator<Item = Self>) -> Self {
        Self(Group::And(groups.into_iter().collect()))
    }

    /// One of these must hold.
    #[must_use]
    pub fn any(groups: impl IntoIterator<Item = Self>) -> Self {
        Self(Group::Or(groups.into_iter().collect()))
    }

    /// All of these assets must be owned.
    #[must_use]
    pub fn assets(assets: impl IntoIterator<Item = Asset>) -> Self {
        Self(Group::Assets { assets: assets.into_iter().collect(), matches: None })
    }

    /// So many of these assets must be owned.
    #[must_use]
    pub fn at_least(count: u64, assets: impl IntoIterator<Item = Asset>) -> Self {
        Self(Group::Assets { assets: assets.into_iter().collect(), matches: Some(count) })
    }

    /// Why these requirements demand nothing, or can't be met; such a gate is a mistake.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        match &self.0 {
            Group::And(groups) | Group::Or(groups) if groups.is_empty() => Some("a group is empty"),
            Group::And(groups) | Group::Or(groups) => groups.iter().find_map(Self::mistake),
            Group::Assets { assets, .. } if assets.is_empty() => Some("there are no assets in it"),
            Group::Assets { matches: Some(0), .. } => Some("at least 0 of its assets must be owned"),
            Group::Assets { matches: Some(count), assets } if *count > assets.len() as u64 => {
                Some("more assets must be owned than it names")
            }
            Group::Assets { assets, .. } => assets.iter().find_map(Asset::mistake),
        }
    }
}

impl Serialize for OwnershipRequirements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Group::And(groups) => json!({ "$and": groups }),
            Group::Or(groups) => json!({ "$or": groups }),
            Group::Assets { assets, matches: None } => json!({ "assets": assets }),
            Group::Assets { assets, matches: Some(matches) } => {
                json!({ "assets": assets, "options": { "numMatchesForVerification": matches } })
            }
        }
        .serialize(serializer)
    }
}

/// An asset of a collection, in some amount, at some time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    chain: String,
    collection_id: String,
    asset_ids: Vec<Value>,
    #[serde(skip)]
    id_ranges: Vec<Range>,
    ownership_times: Vec<Range>,
    must_own_amounts: Range,
}

impl Asset {
    /// At least one of each badge in these id ranges of a BitBadges collection, owned now.
    #[must_use]
    pub fn badges(collection_id: impl Into<String>, ids: impl IntoIterator<Item = Range>) -> Self {
        let id_ranges: Vec<_> = ids.into_iter().collect();
        Self {
            chain: "BitBadges".to_owned(),
            collection_id: collection_id.into(),
            asset_ids: id_ranges.iter().map(|range| json!(range)).collect(),
            id_ranges,
            ownership_times: Vec::new(),
            must_own_amounts: Range { start: 1, end: u64::MAX },
        }
    }

    /// Assets with names rather than numbers, on any chain BitBadges knows.
    #[must_use]
    pub fn named<I: Into<String>>(
        chain: impl Into<String>,
        collection_id: impl Into<String>,
        ids: impl IntoIterator<Item = I>,
    ) -> Self {
        let asset_ids = ids.into_iter().map(|id| Value::String(id.into())).collect();
        Self { chain: chain.into(), asset_ids, ..Self::badges(collection_id, []) }
    }

    /// How many must be owned, both ends included; 0 to 0 means none at all. 1 and more by default.
    #[must_use]
    pub fn amounts(mut self, amounts: Range) -> Self {
        self.must_own_amounts = amounts;
        self
    }

    /// When they must be owned, in milliseconds since 1970, both ends included. Now, if never called.
    #[must_use]
    pub fn owned_during(mut self, times: impl IntoIterator<Item = Range>) -> Self {
        self.ownership_times = times.into_iter().collect();
        self
    }

    fn mistake(&self) -> Option<&'static str> {
        if self.asset_ids.is_empty() {
            return Some("an asset names no ids");
        }
        let ranges = self.id_ranges.iter().chain(&self.ownership_times).chain([&self.must_own_amounts]);
        ranges.into_iter().any(|range| range.start > range.end).then_some("a range ends before it starts")
    }
}

/// A range with both ends included. On the wire its ends are decimal strings, which no JSON reader rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// From `start` to `end`, both included.
    #[must_use]
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({ "start": self.start.to_string(), "end": self.end.to_string() }).serialize(serializer)
    }
}
