//! Points that are the same point.

use super::{DataView, PointsView};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Whether all points of all samples are one.
pub(crate) fn coincide(samples: &[PointsView]) -> bool {
    let first = samples[0].data();
    let is_first = |sample: &PointsView| {
        let (data, d) = (sample.data(), sample.dim());
        (0..sample.len() * d).all(|i| data.get(i) == first.get(i % d))
    };
    samples.iter().all(is_first)
}

impl PointsView<'_> {
    /// Whether all points are one.
    pub fn coincide(self) -> bool {
        coincide(&[self])
    }

    /// How many points are equal to an earlier one, coordinate by coordinate: n less the number of different points.
    pub fn repeated(self) -> usize {
        match self.data() {
            DataView::F32(v) => repeated(v, self.dim(), |x| u64::from((x + 0.0).to_bits())),
            DataView::F64(v) => repeated(v, self.dim(), |x| (x + 0.0).to_bits()),
        }
    }
}

/// Rows of `d` numbers that are equal to an earlier one; `bits` is one to one on finite numbers.
fn repeated<T: Copy + PartialEq>(rows: &[T], d: usize, bits: impl Fn(T) -> u64) -> usize {
    // A multiplication for each number. Rows of one hash are compared, so that a collision costs time alone.
    let hash = |row: &[T]| {
        row.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, x| {
            (hash.rotate_left(5) ^ bits(*x)).wrapping_mul(0xf135_7aea_2e62_a9c5)
        })
    };
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut count = 0;
    for (i, row) in rows.chunks_exact(d).enumerate() {
        match seen.entry(hash(row)) {
            Entry::Vacant(entry) => {
                entry.insert(vec![i]);
            }
            Entry::Occupied(mut entry) => match entry.get().iter().any(|&j| rows[j * d..][..d] == *row) {
                true => count += 1,
                false => entry.get_mut().push(i),
            },
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use crate::points::{Data, Points};

    #[test]
    fn repeated_points_are_counted_as_by_hand() {
        let rows = [[1.0, 2.0], [0.0, 1.0], [1.0, 2.0], [-0.0, 1.0], [1.0, 2.0], [2.0, 1.0]].concat();
        let points = Points::new(6, 2, Data::F64(rows.clone())).unwrap();
        assert_eq!(points.view().repeated(), 3);
        let points = Points::new(6, 2, Data::F32(rows.iter().map(|x| *x as f32).collect())).unwrap();
        assert_eq!(points.view().repeated(), 3);
        assert!(!points.view().coincide() && points.select(&[0, 2, 4]).unwrap().view().coincide());
    }

    #[test]
    fn collisions_are_no_repeats() {
        let rows: Vec<f64> = (0..2000).map(f64::from).collect();
        assert_eq!(super::repeated(&rows, 2, |_| 0), 0);
        assert_eq!(super::repeated(&[rows.clone(), rows].concat(), 2, |x| (x as u64) % 3), 1000);
    }
}
