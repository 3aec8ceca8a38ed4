//! The canonical order of weighted points, which makes an embedding independent of the order of its points.

use std::cmp::Ordering;

use crate::Points;
use crate::points::{DataView, PointsView};

/// Sorts the rows, and their numbers with them, by row and then by number. Rows are compared number by number in the
/// total order of IEEE 754 (−0 before 0), in which widening f32 to f64 changes nothing.
pub(super) fn sort(points: PointsView, numbers: Option<&[f64]>) -> (Points, Option<Vec<f64>>) {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let compare = |i: usize, j: usize| {
        let numbers = || numbers.map_or(Ordering::Equal, |w| w[i].total_cmp(&w[j]));
        compare_rows(points, i, j).then_with(numbers)
    };
    if order.is_sorted_by(|&i, &j| compare(i, j).is_le()) {
        return (points.to_points(), numbers.map(<[f64]>::to_vec));
    }
    // Ties are equal in every bit, so stability is not needed; but the stable sort finds that merged parts are sorted.
    order.sort_by(|&i, &j| compare(i, j));
    let sorted = points.select(&order).expect("every index is that of a point, and there is at least one");
    (sorted, numbers.map(|w| order.iter().map(|&i| w[i]).collect()))
}

fn compare_rows(points: PointsView, i: usize, j: usize) -> Ordering {
    fn compare<T>(v: &[T], d: usize, i: usize, j: usize, total: impl Fn(&T, &T) -> Ordering) -> Ordering {
        let (a, b) = (&v[i * d..][..d], &v[j * d..][..d]);
        a.iter().zip(b).map(|(x, y)| total(x, y)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }
    let d = points.dim();
    match points.data() {
        DataView::F32(v) => compare(v, d, i, j, f32::total_cmp),
        DataView::F64(v) => compare(v, d, i, j, f64::total_cmp),
    }
}

/// The sum in the given order, with Neumaier's compensation of rounding errors.
pub(super) fn sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for &x in numbers {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    // Once the sum is infinite, what was lost is no number.
    if sum.is_finite() { sum + lost } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Data;

    #[test]
    fn rows_are_ordered_number_by_number_then_by_mass() {
        let points = Points::new(4, 2, Data::F32(vec![1.0, 2.0, 0.0, 5.0, -0.0, 5.0, 1.0, 2.0])).unwrap();
        let (sorted, masses) = sort(points.view(), Some(&[4.0, 1.0, 2.0, 3.0]));
        assert_eq!(masses.unwrap(), [2.0, 1.0, 3.0, 4.0]);
        let Data::F32(v) = sorted.data() else { panic!("f32 became f64") };
        assert_eq!(v, &[-0.0, 5.0, 0.0, 5.0, 1.0, 2.0, 1.0, 2.0]);
        assert!(v[0].is_sign_negative() && v[2].is_sign_positive());
    }

    #[test]
    fn sums_are_compensated() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
    }
}
