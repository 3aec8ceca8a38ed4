//! What is done to a tile of inner products while it is in cache: kernel values, their sums, their slopes.

use super::near::Near;
use super::simd::{Real, Work, inner_product};
use crate::arith::{Arith, Lane};
use crate::kernel::{Form, Kernel, Pair};

/// What the entries of a tile are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    /// ⟨xᵢ,yⱼ⟩
    Products,
    /// ‖xᵢ−yⱼ‖², from the differences of the panels.
    Squares,
}

/// Inner products or squared distances with the squared norms: shapes (rows, columns), (rows), (columns).
pub(crate) struct Tile<'a, T> {
    pub entries: &'a mut [T],
    pub what: Entries,
    pub xx: &'a [T],
    pub yy: &'a [T],
    pub near: Near<'a>,
}

impl<T> Tile<'_, T> {
    /// The same tile for someone who will not keep it.
    pub(crate) fn reborrow(&mut self) -> Tile<'_, T> {
        Tile { entries: &mut *self.entries, what: self.what, xx: self.xx, yy: self.yy, near: self.near }
    }
}

/// Calls a loop with the form, once for each form with a distance and for those parameters that select a shorter formula, so
/// that the compiler sees which it is and nothing is decided inside the loop.
macro_rules! each_radial {
    ($form:expr, $row:ident::<$t:ident, $fma:ident>($($argument:expr),*)) => {
        each_radial!($form, $row, $t, $fma, ($($argument),*), alpha: 0.5 1.0 2.0 5.0)
    };
    ($form:expr, $row:ident, $t:ident, $fma:ident, $arguments:tt, alpha: $($alpha:literal)*) => {
        match $form {
            Form::Gaussian { sigma } => call!($row, $t, $fma, Form::Gaussian { sigma }, $arguments),
            $(Form::RationalQuadratic { alpha: $alpha } => {
                call!($row, $t, $fma, Form::RationalQuadratic { alpha: $alpha }, $arguments)
            })*
            Form::RationalQuadratic { alpha } => call!($row, $t, $fma, Form::RationalQuadratic { alpha }, $arguments),
            Form::Laplacian { scale } => call!($row, $t, $fma, Form::Laplacian { scale }, $arguments),
            Form::InverseMultiquadric { c } => call!($row, $t, $fma, Form::InverseMultiquadric { c }, $arguments),
            Form::Energy { a } => call!($row, $t, $fma, Form::Energy { a }, $arguments),
            // Its norms are added apart.
            Form::Distance => call!($row, $t, $fma, Form::Energy { a: 0.0 }, $arguments),
            Form::Linear | Form::Polynomial { .. } => {}
        }
    };
}

/// The same for the forms that are polynomials in the inner product.
macro_rules! each_polynomial {
    ($form:expr, $row:ident::<$t:ident, $fma:ident>($($argument:expr),*)) => {
        each_polynomial!($form, $row, $t, $fma, ($($argument),*), degree: 2 3)
    };
    ($form:expr, $row:ident, $t:ident, $fma:ident, $arguments:tt, degree: $($degree:literal)*) => {
        match $form {
            Form::Linear => call!($row, $t, $fma, Form::Linear, $arguments),
            $(Form::Polynomial { degree: $degree, gamma, coef } => {
                call!($row, $t, $fma, Form::Polynomial { degree: $degree, gamma, coef }, $arguments)
            })*
            Form::Polynomial { degree, gamma, coef } => {
                call!($row, $t, $fma, Form::Polynomial { degree, gamma, coef }, $arguments)
            }
            _ => {}
        }
    };
}

macro_rules! call {
    ($row:ident, $t:ident, $fma:ident, $form:expr, ($($argument:expr),*)) => {
        $row::<$t, $fma>($form, $($argument),*)
    };
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
        let mut row = Row::new(self.kernel, &tile);
        let mut values = vec![T::default(); ROWS * width];
        let mut scratch = vec![0.0; width];
        for first in (0..rows).step_by(ROWS) {
            let group = first..(first + ROWS).min(rows);
            for (i, values) in group.clone().zip(values.chunks_exact_mut(width)) {
                row.values::<FMA>(&tile, i, self.origins[i], values);
                if self.diagonal {
                    values[i] = T::default();
                }
                self.rows[i] += inner_product::<T, f64, FMA>(values, self.column_weights, &mut scratch);
                if let Some(squares) = &mut self.squares {
                    **squares += inner_product::<T, T, FMA>(values, values, &mut scratch);
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
            row.near.clear();
            if row.has_distance {
                row.squared_distances::<FMA>(&tile, i);
                for &(weight, form) in self.kernel.terms() {
                    each_radial!(form, add_radial_slopes::<T, FMA>(weight, &row.squares, &mut xx_slopes));
                }
            }
            for &j in &row.near {
                let slope = -2.0 * xx_slopes[j].widen() * self.column_weights[j];
                if slope.abs() >= T::NEGLIGIBLE {
                    self.apart.push((i, j, slope));
                }
                xx_slopes[j] = T::default();
            }
            for (dot, xx) in dot_slopes.iter_mut().zip(&xx_slopes) {
                *dot = T::number(xx.lane::<FMA>().scale(-2.0));
            }
            let entries = &mut tile.entries[i * width..(i + 1) * width];
            for &(weight, form) in self.kernel.terms() {
                each_polynomial!(
                    form,
                    add_slopes::<T, FMA>(weight, entries, tile.xx[i], tile.yy, &mut dot_slopes, &mut xx_slopes)
                );
            }
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

/// Replaces the entries by squared distances.
pub(crate) struct SquaredDistances<'a, T>(pub Tile<'a, T>);

impl<T: Real> Work for SquaredDistances<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.0;
        let width = tile.yy.len();
        let mut row = Row::<T>::empty(width);
        for i in 0..tile.xx.len() {
            row.near.clear();
            row.squared_distances::<FMA>(&tile, i);
            tile.entries[i * width..(i + 1) * width].copy_from_slice(&row.squares);
        }
    }
}

/// What is computed of one row of a tile after the other.
struct Row<'a, T> {
    kernel: Option<&'a Kernel>,
    has_distance: bool,
    /// The weight of ‖x‖ + ‖y‖.
    norms: f64,
    /// ‖yⱼ‖, if it is needed.
    roots: Vec<T>,
    squares: Vec<T>,
    /// The columns whose squared distances were taken from the points themselves.
    near: Vec<usize>,
}

impl<'a, T: Real> Row<'a, T> {
    fn empty(width: usize) -> Self {
        let squares = vec![T::default(); width];
        Self { kernel: None, has_distance: true, norms: 0.0, roots: vec![], squares, near: vec![] }
    }

    fn new(kernel: &'a Kernel, tile: &Tile<T>) -> Self {
        let terms = kernel.terms();
        let norms = terms.iter().filter(|(_, form)| *form == Form::Distance).map(|(weight, _)| weight).sum();
        let roots = match norms > 0.0 {
            true => tile.yy.iter().map(|yy| T::narrow(yy.widen().sqrt())).collect(),
            false => vec![],
        };
        let has_distance = terms.iter().any(|(_, form)| form.has_distance());
        Self { kernel: Some(kernel), has_distance, norms, roots, ..Self::empty(tile.yy.len()) }
    }

    /// k(xᵢ,yⱼ) − origin for all j.
    #[inline(always)]
    fn values<const FMA: bool>(&mut self, tile: &Tile<T>, i: usize, origin: f64, values: &mut [T]) {
        let width = values.len();
        values.fill(T::narrow(-origin));
        let terms = self.kernel.map_or(&[][..], Kernel::terms);
        let entries = &tile.entries[i * width..(i + 1) * width];
        for &(weight, form) in terms {
            each_polynomial!(form, add_values::<T, FMA>(weight, entries, tile.xx[i], tile.yy, values));
        }
        if !self.has_distance {
            return;
        }
        self.near.clear();
        self.squared_distances::<FMA>(tile, i);
        for &(weight, form) in terms {
            each_radial!(form, add_radial_values::<T, FMA>(weight, &self.squares, values));
        }
        if self.norms > 0.0 {
            let xx = tile.xx[i].lane::<FMA>().sqrt();
            for (value, yy) in values.iter_mut().zip(&self.roots) {
                *value = T::number(value.lane::<FMA>() + (xx + yy.lane()).scale(self.norms));
            }
        }
    }

    /// The squared distances ‖xᵢ−yⱼ‖² for all j: those of which rounding would leave too few digits are taken from the points
    /// themselves, so all are right to a relative error of a few ε over [`Real::CANCELLED`], and 0 for copies.
    #[inline(always)]
    fn squared_distances<const FMA: bool>(&mut self, tile: &Tile<T>, i: usize) {
        let width = tile.yy.len();
        let entries = &tile.entries[i * width..(i + 1) * width];
        let xx = tile.xx[i].lane::<FMA>();
        let mut doubtful = T::Mask::default();
        let least = match tile.what {
            Entries::Products => {
                for ((square, dot), yy) in self.squares.iter_mut().zip(entries).zip(tile.yy) {
                    let sum = xx + yy.lane();
                    *square = T::number(sum - dot.lane::<FMA>().scale(2.0));
                    doubtful = doubtful | square.mask_unless_greater(T::number(sum.scale(T::CANCELLED)));
                }
                T::CANCELLED
            }
            Entries::Squares => {
                for ((square, entry), yy) in self.squares.iter_mut().zip(entries).zip(tile.yy) {
                    *square = *entry;
                    let least = (xx + yy.lane()).scale(T::ROUNDED);
                    doubtful = doubtful | square.mask_unless_greater(T::number(least));
                }
                T::ROUNDED
            }
        };
        if doubtful != T::Mask::default() {
            tile.near.repair(i, tile.xx[i], tile.yy, least, &mut self.squares, &mut self.near);
        }
    }
}

/// valuesⱼ += weight·k(x,yⱼ) for one row of a tile.
#[inline(always)]
fn add_values<T: Real, const FMA: bool>(form: Form, weight: f64, dots: &[T], xx: T, yy: &[T], values: &mut [T]) {
    for ((value, dot), yy) in values.iter_mut().zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        *value = T::number(value.lane() + form.value(&pair).scale(weight));
    }
}

/// The same for a form of the squared distance alone.
#[inline(always)]
fn add_radial_values<T: Real, const FMA: bool>(form: Form, weight: f64, squares: &[T], values: &mut [T]) {
    for (value, square) in values.iter_mut().zip(squares) {
        *value = T::number(value.lane() + form.value(&at_distance::<T, FMA>(*square)).scale(weight));
    }
}

/// slopesⱼ += weight·∂k/∂‖x‖² for one row of a tile and a form of the squared distance alone.
#[inline(always)]
fn add_radial_slopes<T: Real, const FMA: bool>(form: Form, weight: f64, squares: &[T], slopes: &mut [T]) {
    for (slope, square) in slopes.iter_mut().zip(squares) {
        let one = form.slope(&at_distance::<T, FMA>(*square)).xx;
        *slope = T::number(slope.lane() + one.scale(weight));
    }
}

/// A pair of points at a squared distance, one of them the origin. Adding −0 changes no number, so it costs nothing.
#[inline(always)]
fn at_distance<T: Real, const FMA: bool>(square: T) -> Pair<T::Lane<FMA>> {
    Pair { dot: T::default().lane(), xx: square.lane(), yy: T::narrow(-0.0).lane() }
}

/// Adds weight·∂k/∂⟨x,y⟩ and weight·∂k/∂‖x‖² for one row of a tile.
#[inline(always)]
fn add_slopes<T: Real, const FMA: bool>(
    form: Form,
    weight: f64,
    dots: &[T],
    xx: T,
    yy: &[T],
    dot_slopes: &mut [T],
    xx_slopes: &mut [T],
) {
    for (((dot_slope, xx_slope), dot), yy) in dot_slopes.iter_mut().zip(xx_slopes).zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        let slope = form.slope(&pair);
        *dot_slope = T::number(dot_slope.lane() + slope.dot.scale(weight));
        *xx_slope = T::number(xx_slope.lane() + slope.xx.scale(weight));
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
