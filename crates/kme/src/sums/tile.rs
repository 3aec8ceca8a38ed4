//! What is done to a tile of inner products while it is in cache: kernel values, their sums, their slopes.

use super::near::Near;
use super::panel::Differences;
use super::row::{Row, signs_where_apart, signs_where_right};
use super::simd::{Bits, Real, Work, inner_product, sum_and_square};
use crate::arith::{Arith, Lane};
use crate::kernel::Kernel;

/// What the entries of a tile are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    /// ⟨xᵢ,yⱼ⟩
    Products,
    /// ‖xᵢ−yⱼ‖², right to a few ε.
    Squares,
}

/// Inner products or squared distances with the squared norms: shapes (rows, columns), (rows), (columns).
pub(crate) struct Tile<'a, T> {
    pub entries: &'a mut [T],
    pub what: Entries,
    pub xx: &'a [T],
    pub yy: &'a [T],
    /// What squared distances are taken from instead of inner products, where there are both.
    pub differences: Option<Differences<'a, T>>,
    pub near: Near<'a>,
}

impl<T: Copy> Tile<'_, T> {
    /// The same tile for someone who will not keep it.
    pub(crate) fn reborrow(&mut self) -> Tile<'_, T> {
        Tile { entries: &mut *self.entries, ..*self }
    }
}

/// Sums of kernel values over a tile, in double precision.
pub(crate) struct Sums<'a, T> {
    pub tile: Tile<'a, T>,
    pub kernel: &'a Kernel,
    /// For each row a constant that is subtracted from its values before they are summed.
    pub origins: &'a [f64],
    /// Whether the tile lies on the diagonal of a symmetric matrix; its own diagonal is then left out.
    pub diagonal: bool,
    /// Weights vⱼ of the columns.
    pub column_weights: &'a [f64],
    /// Receives Σⱼ vⱼ k(xᵢ,yⱼ).
    pub rows: &'a mut [f64],
    /// Weights uᵢ of the rows, and what receives Σᵢ uᵢ k(xᵢ,yⱼ).
    pub columns: Option<(&'a [f64], &'a mut [f64])>,
    /// Receives Σᵢⱼ k(xᵢ,yⱼ)².
    pub squares: Option<&'a mut f64>,
}

impl<T: Real> Work for Sums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let tile = self.tile;
        let (rows, width) = (tile.xx.len(), tile.yy.len());
        if self.diagonal {
            clear_diagonal(tile.entries, width);
        }
        let mut row = Row::new(self.kernel, &tile);
        let mut values = vec![T::default(); ROWS * width];
        let mut scratch = vec![0.0; width + 1];
        for first in (0..rows).step_by(ROWS) {
            let group = first..(first + ROWS).min(rows);
            for (i, values) in group.clone().zip(values.chunks_exact_mut(width)) {
                row.values::<FMA>(&tile, i, self.origins[i], values);
                if self.diagonal {
                    values[i] = T::default();
                }
                match &mut self.squares {
                    None => self.rows[i] += inner_product::<T, f64, FMA>(values, self.column_weights, &mut scratch),
                    Some(squares) => {
                        let (sum, square) = sum_and_square::<T, FMA>(values, self.column_weights, &mut scratch);
                        self.rows[i] += sum;
                        **squares += square;
                    }
                }
            }
            if let Some((weights, sums)) = &mut self.columns {
                values[group.len() * width..].fill(T::default());
                let mut group_weights = [0.0; ROWS];
                group_weights[..group.len()].copy_from_slice(&weights[group]);
                add_scaled::<T, FMA>(&values, group_weights, sums);
            }
        }
    }
}

/// Kernel values minus an origin, written beside the entries, which stay for the next kernel.
pub(crate) struct Values<'a, T> {
    pub tile: Tile<'a, T>,
    pub kernel: &'a Kernel,
    /// A constant that is subtracted from every value.
    pub origin: f64,
    /// Whether the tile lies on the diagonal of a symmetric matrix; its own diagonal then becomes 0.
    pub diagonal: bool,
    /// Receives the values, in the shape of the tile.
    pub values: &'a mut [T],
}

impl<T: Real> Work for Values<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.tile;
        if self.diagonal {
            clear_diagonal(tile.entries, tile.yy.len());
        }
        let mut row = Row::new(self.kernel, &tile);
        for (i, values) in self.values.chunks_exact_mut(tile.yy.len()).enumerate() {
            row.values::<FMA>(&tile, i, self.origin, values);
            if self.diagonal {
                values[i] = T::default();
            }
        }
    }
}

/// Replaces the entries by vⱼ·∂k/∂⟨x,y⟩ and sums vⱼ·∂k/∂‖x‖².
///
/// Pairs so near one another that products with the points would cancel are left out, and listed.
pub(crate) struct Slopes<'a, T> {
    pub tile: Tile<'a, T>,
    pub kernel: &'a Kernel,
    /// Weights vⱼ of the columns.
    pub column_weights: &'a [f64],
    /// Receives Σⱼ vⱼ ∂k/∂‖x‖²(xᵢ,yⱼ).
    pub rows: &'a mut [f64],
    /// Receives row, column and vⱼ·s of terms s·(yⱼ − xᵢ) of the gradient at xᵢ, where κ' = −s/2.
    pub apart: &'a mut Vec<(usize, usize, f64)>,
}

impl<T: Real> Work for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.tile;
        let width = tile.yy.len();
        let mut row = Row::new(self.kernel, &tile);
        let mut scratch = vec![0.0; width];
        let (mut dot_slopes, mut xx_slopes) = (vec![T::default(); width], vec![T::default(); width]);
        for i in 0..tile.xx.len() {
            xx_slopes.fill(T::default());
            if row.has_distance {
                row.radial_slopes::<FMA>(&tile, i, &mut xx_slopes);
                for (&j, slope) in row.near.iter().zip(&row.values) {
                    let slope = -2.0 * slope.widen() * self.column_weights[j];
                    if slope.abs() >= T::NEGLIGIBLE {
                        self.apart.push((i, j, slope));
                    }
                    xx_slopes[j] = T::default();
                }
            }
            for (dot, xx) in dot_slopes.iter_mut().zip(&xx_slopes) {
                *dot = T::number(xx.lane::<FMA>().scale(-2.0));
            }
            let entries = &mut tile.entries[i * width..(i + 1) * width];
            row.add_polynomial_slopes::<FMA>(entries, tile.xx[i], tile.yy, &mut dot_slopes, &mut xx_slopes);
            if row.norms > 0.0 {
                let slope = tile.xx[i].lane::<FMA>().inv_sqrt().scale(0.5 * row.norms);
                for xx in &mut xx_slopes {
                    *xx = T::number(xx.lane::<FMA>() + slope);
                }
            }
            let slopes = dot_slopes.iter().zip(&mut xx_slopes).zip(self.column_weights);
            for (dot, ((slope, xx_slope), weight)) in entries.iter_mut().zip(slopes) {
                let slope = slope.widen() * weight;
                // Both or none: one without the other would pull towards 0 instead of y.
                let is_negligible = slope.abs() < T::NEGLIGIBLE;
                *dot = T::narrow(if is_negligible { 0.0 } else { slope });
                *xx_slope = if is_negligible && slope != 0.0 { T::default() } else { *xx_slope };
            }
            self.rows[i] += inner_product::<T, f64, FMA>(&xx_slopes, self.column_weights, &mut scratch);
        }
    }
}

/// Sets the entries of points with themselves to 0, where they are not asked for: they would take the way of points that are
/// near one another, which takes time.
fn clear_diagonal<T: Real>(entries: &mut [T], width: usize) {
    entries.iter_mut().step_by(width + 1).for_each(|entry| *entry = T::default());
}

/// Replaces the entries by squared distances.
pub(crate) struct SquaredDistances<'a, T> {
    pub tile: Tile<'a, T>,
    /// Whether the tile lies on the diagonal of a symmetric matrix.
    pub diagonal: bool,
}

impl<T: Real> Work for SquaredDistances<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.tile;
        if tile.what == Entries::Squares {
            return;
        }
        let width = tile.yy.len();
        if self.diagonal {
            clear_diagonal(tile.entries, width);
        }
        let mut row = Row::empty(&tile);
        let rows = tile.entries.chunks_exact_mut(width).zip(tile.xx);
        for (i, (entries, xx)) in rows.enumerate() {
            let mut signs = T::Bits::ONES;
            for (entry, yy) in entries.iter_mut().zip(tile.yy) {
                let (dot, sum) = (*entry, xx.lane::<FMA>() + yy.lane());
                *entry = T::number(sum - dot.lane().scale(2.0));
                signs = signs & signs_where_apart::<T, FMA>(dot, sum);
            }
            if row.is_doubtful(signs) {
                row.list_near::<FMA>(*xx, tile.yy, entries, T::CANCELLED);
                tile.near.mend(i, &row.near, entries);
            }
        }
        if self.diagonal {
            clear_diagonal(tile.entries, width);
        }
    }
}

/// Takes squared distances from the points themselves where rounding of the panels left too few digits.
pub(super) struct MendSquares<'a, T>(pub Tile<'a, T>);

impl<T: Real> Work for MendSquares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.0;
        let mut row = Row::empty(&tile);
        let rows = tile.entries.chunks_exact_mut(tile.yy.len()).zip(tile.xx);
        for (i, (entries, xx)) in rows.enumerate() {
            let signs = signs_where_right::<T, FMA>(*xx, tile.yy, entries, T::ROUNDED);
            if row.is_doubtful(signs) {
                row.list_near::<FMA>(*xx, tile.yy, entries, T::ROUNDED);
                tile.near.mend(i, &row.near, entries);
            }
        }
    }
}

/// Rows of a tile whose values are added to the sums of the columns at once.
const ROWS: usize = 4;

/// sumⱼ += Σᵣ uᵣ·kᵣⱼ
#[inline(always)]
fn add_scaled<T: Real, const FMA: bool>(values: &[T], weights: [f64; ROWS], sums: &mut [f64]) {
    let width = sums.len();
    let (a, rest) = values.split_at(width);
    let (b, rest) = rest.split_at(width);
    let (c, d) = rest.split_at(width);
    for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let pair = Lane::<f64, FMA>::mul_add(b.widen(), weights[1], a.widen() * weights[0]);
        *sum +=
            Lane::<f64, FMA>::mul_add(d.widen(), weights[3], Lane::<f64, FMA>::mul_add(c.widen(), weights[2], pair));
    }
}
