//! What is done to a tile of inner products while it is in cache: kernel values, their sums, their slopes.
//!
//! Everything is generic code, inlined into one function per instruction set, so that a program built for any
//! processor runs the widest vectors of the one on which it finds itself.

use crate::arith::{Arith, Lane};
use crate::kernel::{Form, Kernel, Pair};

/// The two precisions of the arithmetic in a tile.
pub(crate) trait Real: Copy + Default + Send + Sync + 'static {
    type Lane<const FMA: bool>: Arith + Copy;
    fn narrow(x: f64) -> Self;
    fn widen(self) -> f64;
    fn lane<const FMA: bool>(self) -> Self::Lane<FMA>;
    fn number<const FMA: bool>(lane: Self::Lane<FMA>) -> Self;
}

macro_rules! real {
    ($t:ident) => {
        impl Real for $t {
            type Lane<const FMA: bool> = Lane<$t, FMA>;
            #[inline(always)]
            fn narrow(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                self.into()
            }
            #[inline(always)]
            fn lane<const FMA: bool>(self) -> Lane<$t, FMA> {
                Lane(self)
            }
            #[inline(always)]
            fn number<const FMA: bool>(lane: Lane<$t, FMA>) -> Self {
                lane.0
            }
        }
    };
}

real!(f32);
real!(f64);

/// Inner products ⟨xᵢ,yⱼ⟩ with the squared norms: shapes (rows, columns), (rows), (columns).
pub(crate) struct Tile<'a, T> {
    pub dots: &'a mut [T],
    pub xx: &'a [T],
    pub yy: &'a [T],
}

/// Work on a tile that `dispatch` compiles once for each instruction set.
pub(crate) trait Pass<T> {
    type Output;
    fn run<const FMA: bool>(self, tile: Tile<'_, T>) -> Self::Output;
}

/// Runs `pass` with the widest vectors that this processor has.
pub(crate) fn dispatch<T: Real, P: Pass<T>>(pass: P, tile: Tile<'_, T>) -> P::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<T: Real, P: Pass<T>>(pass: P, tile: Tile<'_, T>) -> P::Output {
            pass.run::<true>(tile)
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<T: Real, P: Pass<T>>(pass: P, tile: Tile<'_, T>) -> P::Output {
            pass.run::<true>(tile)
        }
        let avx2_and_fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2_and_fma
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features were detected.
            return unsafe { avx512(pass, tile) };
        }
        if avx2_and_fma {
            // SAFETY: the features were detected.
            return unsafe { avx2(pass, tile) };
        }
        pass.run::<false>(tile)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        pass.run::<{ cfg!(target_arch = "aarch64") }>(tile)
    }
}

/// Sums of kernel values over a tile, in double precision.
pub(crate) struct Sums<'a> {
    pub kernel: &'a Kernel,
    /// A constant that is subtracted from every value before it is summed.
    pub origin: f64,
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

impl<T: Real> Pass<T> for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self, tile: Tile<'_, T>) {
        let width = tile.yy.len();
        let mut values = vec![T::default(); width];
        let mut squares = 0.0;
        let origin = T::narrow(self.origin).lane::<FMA>();
        for (i, dots) in tile.dots.chunks_exact(width).enumerate() {
            evaluate::<T, FMA, { VALUE }>(self.kernel, dots, tile.xx[i], tile.yy, &mut values);
            if self.origin != 0.0 {
                for value in &mut values {
                    *value = T::number(value.lane::<FMA>() - origin);
                }
            }
            if self.diagonal {
                values[i] = T::narrow(0.0);
            }
            self.rows[i] += weighted_sum::<T, FMA>(&values, self.column_weights);
            if let Some((weights, sums)) = &mut self.columns {
                add_scaled::<T, FMA>(&values, weights[i], sums);
            }
            if self.squares.is_some() {
                squares += sum_of_squares::<T, FMA>(&values);
            }
        }
        if let Some(total) = self.squares {
            *total += squares;
        }
    }
}

/// Replaces the inner products by vⱼ·∂k/∂⟨x,y⟩ and sums vⱼ·∂k/∂‖x‖².
pub(crate) struct Slopes<'a> {
    pub kernel: &'a Kernel,
    /// Weights vⱼ of the columns.
    pub column_weights: &'a [f64],
    /// Receives Σⱼ vⱼ ∂k/∂‖x‖²(xᵢ,yⱼ).
    pub rows: &'a mut [f64],
}

impl<T: Real> Pass<T> for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, tile: Tile<'_, T>) {
        let width = tile.yy.len();
        let mut values = vec![T::default(); width];
        for (i, dots) in tile.dots.chunks_exact_mut(width).enumerate() {
            evaluate::<T, FMA, { SLOPE_XX }>(self.kernel, dots, tile.xx[i], tile.yy, &mut values);
            self.rows[i] += weighted_sum::<T, FMA>(&values, self.column_weights);
            evaluate::<T, FMA, { SLOPE_DOT }>(self.kernel, dots, tile.xx[i], tile.yy, &mut values);
            for ((dot, value), weight) in dots.iter_mut().zip(&values).zip(self.column_weights) {
                *dot = T::narrow(value.widen() * weight);
            }
        }
    }
}

/// Replaces the inner products by squared distances.
pub(crate) struct SquaredDistances;

impl<T: Real> Pass<T> for SquaredDistances {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, tile: Tile<'_, T>) {
        for (dots, xx) in tile.dots.chunks_exact_mut(tile.yy.len()).zip(tile.xx) {
            for (dot, yy) in dots.iter_mut().zip(tile.yy) {
                let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
                *dot = T::number(pair.squared_distance());
            }
        }
    }
}

const VALUE: u8 = 0;
const SLOPE_DOT: u8 = 1;
const SLOPE_XX: u8 = 2;

/// `out` = the kernel's value or slope for one row of a tile.
#[inline(always)]
fn evaluate<T: Real, const FMA: bool, const WHAT: u8>(kernel: &Kernel, dots: &[T], xx: T, yy: &[T], out: &mut [T]) {
    for (t, &(weight, form)) in kernel.terms().iter().enumerate() {
        if t == 0 {
            term::<T, FMA, WHAT, false>(form, weight, dots, xx, yy, out);
        } else {
            term::<T, FMA, WHAT, true>(form, weight, dots, xx, yy, out);
        }
    }
}

/// One loop for each form, and for those parameters that select a shorter formula, so that nothing is decided inside.
#[inline(always)]
fn term<T: Real, const FMA: bool, const WHAT: u8, const ADD: bool>(
    form: Form,
    weight: f64,
    dots: &[T],
    xx: T,
    yy: &[T],
    out: &mut [T],
) {
    macro_rules! each {
        (degree: $($degree:literal)*; alpha: $($alpha:literal)*) => {
            match form {
                Form::Linear => row::<T, FMA, WHAT, ADD>(Form::Linear, weight, dots, xx, yy, out),
                $(Form::Polynomial { degree: $degree, gamma, coef } => row::<T, FMA, WHAT, ADD>(
                    Form::Polynomial { degree: $degree, gamma, coef }, weight, dots, xx, yy, out),)*
                Form::Polynomial { degree, gamma, coef } => row::<T, FMA, WHAT, ADD>(
                    Form::Polynomial { degree, gamma, coef }, weight, dots, xx, yy, out),
                Form::Gaussian { sigma } => row::<T, FMA, WHAT, ADD>(
                    Form::Gaussian { sigma }, weight, dots, xx, yy, out),
                $(Form::RationalQuadratic { alpha: $alpha } => row::<T, FMA, WHAT, ADD>(
                    Form::RationalQuadratic { alpha: $alpha }, weight, dots, xx, yy, out),)*
                Form::RationalQuadratic { alpha } => row::<T, FMA, WHAT, ADD>(
                    Form::RationalQuadratic { alpha }, weight, dots, xx, yy, out),
                Form::Laplacian { scale } => row::<T, FMA, WHAT, ADD>(
                    Form::Laplacian { scale }, weight, dots, xx, yy, out),
                Form::InverseMultiquadric { c } => row::<T, FMA, WHAT, ADD>(
                    Form::InverseMultiquadric { c }, weight, dots, xx, yy, out),
                Form::Energy { a } => row::<T, FMA, WHAT, ADD>(Form::Energy { a }, weight, dots, xx, yy, out),
                Form::Distance => row::<T, FMA, WHAT, ADD>(Form::Distance, weight, dots, xx, yy, out),
            }
        };
    }
    each!(degree: 1 2 3 4; alpha: 0.5 1.0 2.0 5.0);
}

#[inline(always)]
fn row<T: Real, const FMA: bool, const WHAT: u8, const ADD: bool>(
    form: Form,
    weight: f64,
    dots: &[T],
    xx: T,
    yy: &[T],
    out: &mut [T],
) {
    for ((out, dot), yy) in out.iter_mut().zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        let value = match WHAT {
            VALUE => form.value(&pair),
            SLOPE_DOT => form.slope(&pair).dot,
            _ => form.slope(&pair).xx,
        };
        let value = value.scale(weight);
        *out = T::number(if ADD { out.lane() + value } else { value });
    }
}

/// Partial sums side by side: enough for two of the widest vectors of double precision.
const LANES: usize = 16;

#[inline(always)]
fn fused<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    Lane::<f64, FMA>::mul_add(a, b, c)
}

/// The same tree whatever the width of the vectors.
#[inline(always)]
fn tree(mut sums: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Σⱼ vⱼ kⱼ
#[inline(always)]
fn weighted_sum<T: Real, const FMA: bool>(values: &[T], weights: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (values, weights) = (values.chunks_exact(LANES), weights.chunks_exact(LANES));
    let rest = values.remainder().iter().zip(weights.remainder());
    for (values, weights) in values.zip(weights) {
        for l in 0..LANES {
            sums[l] = fused::<FMA>(values[l].widen(), weights[l], sums[l]);
        }
    }
    rest.fold(tree(sums), |sum, (value, weight)| fused::<FMA>(value.widen(), *weight, sum))
}

/// Σⱼ kⱼ²
#[inline(always)]
fn sum_of_squares<T: Real, const FMA: bool>(values: &[T]) -> f64 {
    let mut sums = [0.0; LANES];
    let values = values.chunks_exact(LANES);
    let rest = values.remainder();
    for values in values {
        for l in 0..LANES {
            sums[l] = fused::<FMA>(values[l].widen(), values[l].widen(), sums[l]);
        }
    }
    rest.iter().fold(tree(sums), |sum, value| fused::<FMA>(value.widen(), value.widen(), sum))
}

/// sumⱼ += u·kⱼ
#[inline(always)]
fn add_scaled<T: Real, const FMA: bool>(values: &[T], weight: f64, sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = fused::<FMA>(value.widen(), weight, *sum);
    }
}
