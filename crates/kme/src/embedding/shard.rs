//! Splitting one job over many machines.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::{Error, Result};

/// Part `index` of `count` of a list, written `3/16`; the first part is 1.
///
/// Of n items, counted from 0, part i of N is the run from ⌊n(i−1)/N⌋ to ⌊ni/N⌋ − 1. So every item is in exactly one part,
/// sizes differ by at most one, and the items of a part are neighbours, which a file or a folder gives fastest.
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
            false => Err(Error::parameter("shard", format!("{index}/{count}"), ALLOWED)),
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

    /// The items of this part out of `n`, counted from 0.
    ///
    /// # Errors
    /// When there are none, since then there is nothing to embed.
    pub fn items(self, n: usize) -> Result<Range<usize>> {
        // In 128 bits, where the product of two sizes fits.
        let bound = |i: usize| (n as u128 * i as u128 / self.count as u128) as usize;
        let items = bound(self.index - 1)..bound(self.index);
        match items.is_empty() {
            true => Err(Error::too_few("points", n, self.count, format!("a split into {} shards", self.count))),
            false => Ok(items),
        }
    }
}

const ALLOWED: &str = "I/N with whole numbers 1 ≤ I ≤ N, such as 3/16";

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| Error::syntax("shard", text, format!("write {ALLOWED}")))?;
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
        for (n, count) in [(23, 7), (5, 1), (5, 5), (1000, 16), (usize::MAX, 3)] {
            let parts: Vec<_> = (1..=count).map(|i| Shard::new(i, count).unwrap().items(n).unwrap()).collect();
            assert_eq!((parts[0].start, parts[count - 1].end), (0, n));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
            assert!(parts.iter().all(|p| p.len() == n / count || p.len() == n.div_ceil(count)), "{parts:?}");
        }
    }

    #[test]
    fn parts_of_too_few_items_are_refused_and_no_item_is_lost() {
        let parts: Vec<_> = (1..=7).map(|i| Shard::new(i, 7).unwrap().items(3)).collect();
        assert!(parts.iter().flatten().cloned().flatten().eq(0..3));
        let faults: Vec<Error> = parts.into_iter().filter_map(|part| part.err()).collect();
        assert!(faults.len() == 4 && faults.iter().all(|f| matches!(f, Error::TooFew { given: 3, least: 7, .. })));
        assert_eq!(faults[0].to_string(), "a split into 7 shards needs at least 7 points, but there are 3");
        assert!(Shard::WHOLE.items(0).is_err());
    }

    #[test]
    fn text_is_parsed_and_printed() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!((shard.index(), shard.count(), shard.to_string().as_str()), (3, 16, "3/16"));
        for wrong in ["0/4", "5/4", "0/0", "3", "a/b", "-1/4", "1/2/3", "1.0/2", ""] {
            let error = wrong.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("such as 3/16"), "{error}");
        }
        assert!(Shard::new(5, 4).is_err() && Shard::new(0, 4).is_err() && Shard::new(0, 0).is_err());
    }
}
