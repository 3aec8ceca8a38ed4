//! One generic code for every instruction set.
//!
//! What runs here is generic code, inlined into one function per instruction set, so that a program built for any
//! processor uses the widest vectors of the one on which it finds itself.
//! kme-conv writes vectors out with `pulp`; here the compiler makes them of the formulas, which are also those of tensors.

use crate::arith::{Arith, Lane};

/// The two precisions of the arithmetic of the engine.
pub(crate) trait Real: Copy + Default + Send + Sync + 'static {
    type Lane<const FMA: bool>: Arith + Copy;

    /// Slopes below this count as zero: their products with the points would be subnormal numbers, which are slow.
    const NEGLIGIBLE: f64;

    /// Squared distances below this part of ‖x‖² + ‖y‖² are taken from the points themselves, where they were computed as
    /// ‖x‖² + ‖y‖² − 2⟨x,y⟩: what cancellation leaves of the others has a relative error of a few ε over it.
    const CANCELLED: f64;
    /// The same where they were computed from differences of points that were rounded after they were moved: a relative error
    /// of a few ε over its root.
    const ROUNDED: f64;
    /// Squared norms below this may be added and multiplied by small numbers.
    const LARGE: f64;
    type Bits: Bits;

    fn bits(self) -> Self::Bits;
    /// self·a + b
    fn mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self;
    fn narrow(x: f64) -> Self;
    fn widen(self) -> f64;
    fn lane<const FMA: bool>(self) -> Self::Lane<FMA>;
    fn number<const FMA: bool>(lane: Self::Lane<FMA>) -> Self;
}

/// The bits of a number, the sign first.
pub(crate) trait Bits: Copy + Default + std::ops::BitAnd<Output = Self> {
    const ONES: Self;

    fn is_negative(self) -> bool;
}

macro_rules! real {
    ($t:ident, $bits:ident, negligible: $negligible:literal, cancelled: $cancelled:literal, rounded: $rounded:literal) => {
        impl Real for $t {
            type Lane<const FMA: bool> = Lane<$t, FMA>;
            const NEGLIGIBLE: f64 = $negligible;
            const CANCELLED: f64 = $cancelled;
            const ROUNDED: f64 = $rounded;
            const LARGE: f64 = $t::MAX as f64 / 8.0;
            type Bits = $bits;
            #[inline(always)]
            fn bits(self) -> $bits {
                self.to_bits()
            }
            #[inline(always)]
            fn mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self {
                Lane::<$t, FMA>::mul_add(self, a, b)
            }
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

        impl Bits for $bits {
            const ONES: Self = $bits::MAX;
            #[inline(always)]
            fn is_negative(self) -> bool {
                self.leading_ones() > 0
            }
        }
    };
}

real!(f32, u32, negligible: 1e-30, cancelled: 1e-2, rounded: 1e-5);
real!(f64, u64, negligible: 1e-290, cancelled: 1e-4, rounded: 1e-8);

/// Work that [`vectorised`] compiles once for each instruction set.
pub(crate) trait Work {
    type Output;

    /// The work; must be `#[inline(always)]`. `FMA` says that multiply-add is one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs `work` with the widest vectors that this processor has.
pub(crate) fn vectorised<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<W: Work>(work: W) -> W::Output {
            work.run::<true>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<W: Work>(work: W) -> W::Output {
            work.run::<true>()
        }
        let avx2_and_fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2_and_fma
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features were detected.
            return unsafe { avx512(work) };
        }
        if avx2_and_fma {
            // SAFETY: the features were detected.
            return unsafe { avx2(work) };
        }
        work.run::<false>()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        work.run::<{ cfg!(target_arch = "aarch64") }>()
    }
}

/// Σ aⱼ·bⱼ in double precision, added in pairs, in pairs of pairs and so on down to 16; `scratch` has half the length of `a` or more.
///
/// Every step is a loop over elements, which becomes vector code, unlike a loop that carries its sum along. Adding in
/// pairs also keeps the rounding error near log₂ of the length.
#[inline(always)]
pub(crate) fn inner_product<A: Real, B: Real, const FMA: bool>(a: &[A], b: &[B], scratch: &mut [f64]) -> f64 {
    let half = a.len().div_ceil(2);
    let scratch = &mut scratch[..half];
    let ((a, a_upper), (b, b_upper)) = (a.split_at(half), b.split_at(half));
    for ((sum, a), b) in scratch.iter_mut().zip(a).zip(b) {
        *sum = a.widen() * b.widen();
    }
    for ((sum, a), b) in scratch.iter_mut().zip(a_upper).zip(b_upper) {
        *sum = Lane::<f64, FMA>::mul_add(a.widen(), b.widen(), *sum);
    }
    let mut len = half;
    while len > 16 {
        let half = len.div_ceil(2);
        let (lower, upper) = scratch[..len].split_at_mut(half);
        for (sum, other) in lower.iter_mut().zip(upper) {
            *sum += *other;
        }
        len = half;
    }
    scratch[..len].iter().sum()
}

/// Σ aⱼ·wⱼ and Σ aⱼ², as [`inner_product`] adds them, with every aⱼ read once; `scratch` has the length of `a` and one more.
#[inline(always)]
pub(crate) fn sum_and_square<A: Real, const FMA: bool>(a: &[A], weights: &[f64], scratch: &mut [f64]) -> (f64, f64) {
    let half = a.len().div_ceil(2);
    let (sums, squares) = scratch[..2 * half].split_at_mut(half);
    let ((a, a_upper), (w, w_upper)) = (a.split_at(half), weights.split_at(half));
    for (((sum, square), a), w) in sums.iter_mut().zip(squares.iter_mut()).zip(a).zip(w) {
        let a = a.widen();
        (*sum, *square) = (a * w, a * a);
    }
    for (((sum, square), a), w) in sums.iter_mut().zip(squares.iter_mut()).zip(a_upper).zip(w_upper) {
        let a = a.widen();
        *sum = Lane::<f64, FMA>::mul_add(a, *w, *sum);
        *square = Lane::<f64, FMA>::mul_add(a, a, *square);
    }
    let mut len = half;
    while len > 16 {
        let half = len.div_ceil(2);
        let ((sums, sums_upper), (squares, squares_upper)) =
            (sums[..len].split_at_mut(half), squares[..len].split_at_mut(half));
        for (sum, other) in sums.iter_mut().zip(sums_upper) {
            *sum += *other;
        }
        for (square, other) in squares.iter_mut().zip(squares_upper) {
            *square += *other;
        }
        len = half;
    }
    (sums[..len].iter().sum(), squares[..len].iter().sum())
}
