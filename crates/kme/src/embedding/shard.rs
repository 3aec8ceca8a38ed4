//! Splitting one job over many machines.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Part `index` of `count` of a list of items, written `3/16`; the first part is 1.
///
/// Item i, counted from 0, belongs to shard (i mod count) + 1. So every item is in exactly one shard, sizes differ by at
/// most one, and no shard needs to know how many items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Everything: the only shard of one.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Shard `index` of `count`.
    ///
    /// # Errors
    /// When not 1 ≤ index ≤ count.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        match (1..=count).contains(&index) {
            true => Ok(Self { index, count }),
            false => Err(Error::value("shard", format!("{index}/{count}"), ALLOWED)),
        }
    }

    /// Which shard this is, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many shards there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// Whether item `i`, counted from 0, is in this shard.
    pub fn contains(self, i: usize) -> bool {
        i % self.count == self.index - 1
    }

    /// The items of this shard out of `n`, counted from 0.
    ///
    /// # Errors
    /// When there are none, since then there is nothing to embed.
    pub fn items(self, n: usize) -> Result<Vec<usize>> {
        let items: Vec<usize> = (self.index - 1..n).step_by(self.count).collect();
        match items.is_empty() {
            true => Err(Error::value("shard", self, format!("a shard that is not empty: {n} items fill {n} shards"))),
            false => Ok(items),
        }
    }
}

const ALLOWED: &str = "I/N with whole numbers 1 ≤ I ≤ N, such as 3/16";

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| Error::value("shard", text, ALLOWED))?;
        Self::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_exactly_one_shard() {
        let shards: Vec<Shard> = (1..=5).map(|i| Shard::new(i, 5).unwrap()).collect();
        let mut all: Vec<usize> = shards.iter().flat_map(|s| s.items(23).unwrap()).collect();
        for s in &shards {
            let items = s.items(23).unwrap();
            assert!(items.len() == 4 || items.len() == 5);
            assert!((0..23).all(|i| s.contains(i) == items.contains(&i)));
        }
        all.sort_unstable();
        assert_eq!(all, (0..23).collect::<Vec<_>>());
        assert!(shards[4].items(4).unwrap_err().to_string().contains("4 items fill 4 shards"));
    }

    #[test]
    fn text_is_parsed_and_printed() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!((shard.index(), shard.count(), shard.to_string().as_str()), (3, 16, "3/16"));
        for wrong in ["0/4", "5/4", "0/0", "3", "a/b", "-1/4", "1/2/3", "1.0/2", ""] {
            let error = wrong.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("such as 3/16"), "{error}");
        }
    }
}
