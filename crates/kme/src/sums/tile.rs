//! What is done to a tile of inner products while it is in cache: kernel values, their sums, their slopes.

use super::simd::{Real, Work, inner_product};
use crate::arith::{Arith, Lane};
use crate::kernel::{Form, Kernel, Pair};

/// Inner products ⟨xᵢ,yⱼ⟩ with the squared norms: shapes (rows, columns), (rows), (columns).
pub(crate) struct Tile<'a, T> {
    pub dots: &'a mut [T],
    pub xx: &'a [T],
    pub yy: &'a [T],
}

/// Calls a loop with the form, once for each form and for those parameters that select a shorter formula, so that the
/// compiler sees which it is and nothing is decided inside the loop.
macro_rules! each_form {
    ($form:expr, $row:ident::<$t:ident, $fma:ident>($($argument:expr),*)) => {
        each_form!($form, $row, $t, $fma, ($($argument),*), degree: 2 3, alpha: 0.5 1.0 2.0 5.0)
    };
    (
        $form:expr, $row:ident, $t:ident, $fma:ident, $arguments:tt,
        degree: $($degree:literal)*, alpha: $($alpha:literal)*
    ) => {
        match $form {
            Form::Linear => each_form!(@call $row, $t, $fma, Form::Linear, $arguments),
            $(Form::Polynomial { degree: $degree, gamma, coef } => {
                each_form!(@call $row, $t, $fma, Form::Polynomial { degree: $degree, gamma, coef }, $arguments)
            })*
            Form::Polynomial { degree, gamma, coef } => {
                each_form!(@call $row, $t, $fma, Form::Polynomial { degree, gamma, coef }, $arguments)
            }
            Form::Gaussian { sigma } => each_form!(@call $row, $t, $fma, Form::Gaussian { sigma }, $arguments),
            $(Form::RationalQuadratic { alpha: $alpha } => {
                each_form!(@call $row, $t, $fma, Form::RationalQuadratic { alpha: $alpha }, $arguments)
            })*
            Form::RationalQuadratic { alpha } => {
                each_form!(@call $row, $t, $fma, Form::RationalQuadratic { alpha }, $arguments)
            }
            Form::Laplacian { scale } => each_form!(@call $row, $t, $fma, Form::Laplacian { scale }, $arguments),
            Form::InverseMultiquadric { c } => {
                each_form!(@call $row, $t, $fma, Form::InverseMultiquadric { c }, $arguments)
            }
            Form::Energy { a } => each_form!(@call $row, $t, $fma, Form::Energy { a }, $arguments),
            Form::Distance => each_form!(@call $row, $t, $fma, Form::Distance, $arguments),
        }
    };
    (@call $row:ident, $t:ident, $fma:ident, $form:expr, ($($argument:expr),*)) => {
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
        let width = tile.yy.len();
        let mut values = vec![T::default(); ROWS * width];
        let mut scratch = vec![0.0; width];
        for (group, dots) in tile.dots.chunks(ROWS * width).enumerate() {
            let first = ROWS * group;
            let rows = dots.len() / width;
            for (r, (dots, values)) in dots.chunks_exact(width).zip(values.chunks_exact_mut(width)).enumerate() {
                values.fill(T::narrow(-self.origins[first + r]));
                for &(weight, form) in self.kernel.terms() {
                    each_form!(form, add_values::<T, FMA>(weight, dots, tile.xx[first + r], tile.yy, values));
                }
                if self.diagonal {
                    values[first + r] = T::default();
                }
                self.rows[first + r] += inner_product::<T, f64, FMA>(values, self.column_weights, &mut scratch);
                if let Some(squares) = &mut self.squares {
                    **squares += inner_product::<T, T, FMA>(values, values, &mut scratch);
                }
            }
            if let Some((weights, sums)) = &mut self.columns {
                values[rows * width..].fill(T::default());
                let mut group_weights = [0.0; ROWS];
                group_weights[..rows].copy_from_slice(&weights[first..first + rows]);
                add_scaled::<T, FMA>(&values, group_weights, sums);
            }
        }
    }
}

/// Kernel values minus an origin, written beside the inner products, which stay for the next kernel.
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
        let width = tile.yy.len();
        let rows = tile.dots.chunks_exact(width).zip(self.values.chunks_exact_mut(width));
        for (i, ((dots, values), xx)) in rows.zip(tile.xx).enumerate() {
            values.fill(T::narrow(-self.origin));
            for &(weight, form) in self.kernel.terms() {
                each_form!(form, add_values::<T, FMA>(weight, dots, *xx, tile.yy, values));
            }
            if self.diagonal {
                values[i] = T::default();
            }
        }
    }
}

/// Replaces the inner products by vⱼ·∂k/∂⟨x,y⟩ and sums vⱼ·∂k/∂‖x‖².
pub(crate) struct Slopes<'a, T> {
    pub tile: Tile<'a, T>,
    pub kernel: &'a Kernel,
    /// Weights vⱼ of the columns.
    pub column_weights: &'a [f64],
    /// Receives Σⱼ vⱼ ∂k/∂‖x‖²(xᵢ,yⱼ).
    pub rows: &'a mut [f64],
}

impl<T: Real> Work for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.tile;
        let width = tile.yy.len();
        let mut scratch = vec![0.0; width];
        let (mut dot_slopes, mut xx_slopes) = (vec![T::default(); width], vec![T::default(); width]);
        for (i, dots) in tile.dots.chunks_exact_mut(width).enumerate() {
            dot_slopes.fill(T::default());
            xx_slopes.fill(T::default());
            for &(weight, form) in self.kernel.terms() {
                each_form!(
                    form,
                    add_slopes::<T, FMA>(weight, dots, tile.xx[i], tile.yy, &mut dot_slopes, &mut xx_slopes)
                );
            }
            let slopes = dot_slopes.iter().zip(&mut xx_slopes).zip(self.column_weights);
            for (dot, ((slope, xx_slope), weight)) in dots.iter_mut().zip(slopes) {
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

/// Replaces the inner products by squared distances.
pub(crate) struct SquaredDistances<'a, T>(pub Tile<'a, T>);

impl<T: Real> Work for SquaredDistances<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.0;
        for (dots, xx) in tile.dots.chunks_exact_mut(tile.yy.len()).zip(tile.xx) {
            for (dot, yy) in dots.iter_mut().zip(tile.yy) {
                let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
                *dot = T::number(pair.squared_distance());
            }
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
