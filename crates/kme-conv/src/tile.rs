//! The innermost loops: a tile of a product in registers.

use crate::columns::{self, width};
use pulp::{Scalar128b, Simd, WithSimd};
use std::any::TypeId;

/// What a tile begins with.
#[derive(Clone, Copy)]
pub(crate) enum Begin<'a> {
    /// What is in the result already.
    Result,
    Zero,
    /// A number for each row.
    Rows(&'a [f32]),
}

/// a·b + c: in one instruction where there is one, else in two.
#[inline(always)]
pub(crate) fn mul_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // The portable vectors would call a function for every number.
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_e_f32s(a, b, c)
    }
}

/// Rows of a tile of [`rows_by_panel`]: with a panel's vectors each, accumulators and operands fill 32 or 16 registers.
pub(crate) const fn rows<S: Simd>() -> usize {
    if S::F32_LANES == 16 { 8 } else { 6 }
}

/// Terms of a tile of [`terms_by_outputs`].
pub(crate) const fn terms<S: Simd>() -> usize {
    if S::F32_LANES == 16 { 12 } else { 6 }
}

/// Vectors of output channels in a tile of [`terms_by_outputs`].
pub(crate) const OUTPUT_VECTORS: usize = 2;

/// Output channels in a tile of [`terms_by_outputs`].
pub(crate) const fn outputs<S: Simd>() -> usize {
    OUTPUT_VECTORS * S::F32_LANES
}

/// The sizes that follow from an instruction set, for code outside it.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Numbers of a vector.
    pub lanes: usize,
    /// Pixels of a panel.
    pub width: usize,
    /// Output channels of a tile of [`terms_by_outputs`].
    pub outputs: usize,
}

/// Asks for [`Sizes`].
pub(crate) struct GetSizes;

impl WithSimd for GetSizes {
    type Output = Sizes;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Sizes {
        Sizes { lanes: S::F32_LANES, width: width::<S>(), outputs: outputs::<S>() }
    }
}

/// `c[i, j] = begin + Σ_k a[i, k]·b[k, j]` for `count` rows i, and the first `vectors` vectors of j in a panel; with `some`, row k of
/// the panel belongs to `a[i, some[k]]`.
///
/// # Safety
/// `a` must be readable at i·lda + k (or `some[k]`), `some` have a number for each term, `b` be readable at k·width + j, and `c` writable
/// (and readable, for [`Begin::Result`]) at i·ldc + j, for all i < count, k < terms, j < vectors·lanes; `count` is 1 to [`rows`], `vectors` 1 to a panel's number.
#[expect(clippy::too_many_arguments, reason = "the parts of a matrix product")]
#[inline(always)]
pub(crate) unsafe fn rows_by_panel<S: Simd>(
    simd: S,
    count: usize,
    vectors: usize,
    terms: usize,
    some: Option<&[u32]>,
    (a, lda): (*const f32, usize),
    b: *const f32,
    (c, ldc): (*mut f32, usize),
    begin: Begin,
) {
    macro_rules! tile {
        ($($m:literal)*) => {
            match (count, vectors) {
                $(($m, 1) => unsafe { product::<S, $m, 1>(simd, terms, some, a, lda, b, c, ldc, begin) },
                ($m, 2) => unsafe { product::<S, $m, 2>(simd, terms, some, a, lda, b, c, ldc, begin) },
                ($m, 3) if columns::vectors::<S>() == 3 => unsafe {
                    product::<S, $m, 3>(simd, terms, some, a, lda, b, c, ldc, begin)
                },)*
                _ => unreachable!("a tile of {count} rows and {vectors} vectors"),
            }
        };
    }
    if S::F32_LANES == 16 { tile!(1 2 3 4 5 6 7 8) } else { tile!(1 2 3 4 5 6) }
}

#[expect(clippy::too_many_arguments, reason = "the parts of a matrix product")]
#[inline(always)]
unsafe fn product<S: Simd, const M: usize, const V: usize>(
    simd: S,
    terms: usize,
    some: Option<&[u32]>,
    a: *const f32,
    lda: usize,
    b: *const f32,
    c: *mut f32,
    ldc: usize,
    begin: Begin,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; M];
    match begin {
        Begin::Zero => {}
        Begin::Rows(numbers) => {
            for (sums, &number) in sums.iter_mut().zip(&numbers[..M]) {
                *sums = [simd.splat_f32s(number); V];
            }
        }
        Begin::Result => {
            for (m, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise on `c`.
                    *sum = unsafe { c.add(m * ldc + v * lanes).cast::<S::f32s>().read_unaligned() };
                }
            }
        }
    }
    macro_rules! term {
        ($k:ident, $at:expr) => {
            let mut panel = [simd.splat_f32s(0.0); V];
            for (v, vector) in panel.iter_mut().enumerate() {
                // SAFETY: the caller's promise on `b`.
                *vector = unsafe { b.add($k * width::<S>() + v * lanes).cast::<S::f32s>().read_unaligned() };
            }
            // SAFETY: the caller's promise on `a`.
            let a = unsafe { a.add($at) };
            for (m, sums) in sums.iter_mut().enumerate() {
                // SAFETY: as above.
                let factor = simd.splat_f32s(unsafe { *a.add(m * lda) });
                for (sum, b) in sums.iter_mut().zip(panel) {
                    *sum = mul_add(simd, factor, b, *sum);
                }
            }
        };
    }
    match some {
        None => {
            for k in 0..terms {
                term!(k, k);
            }
        }
        Some(some) => {
            for (k, &at) in some[..terms].iter().enumerate() {
                term!(k, at as usize);
            }
        }
    }
    for (m, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise on `c`.
            unsafe { c.add(m * ldc + v * lanes).cast::<S::f32s>().write_unaligned(sum) };
        }
    }
}

/// `c[k, j] = begin + Σ_p b[k, p]·a[p, j]` for `count` terms k and the j of [`OUTPUT_VECTORS`] vectors, over `panels` with `pixels` in all,
/// each panel `stride` numbers after the one before.
///
/// # Safety
/// `b` must be readable at panel·stride + k·width + p, `a` at p·outputs + j over all pixels in order, and `c` writable at k·ldc + j;
/// `count` is 1 to [`terms`].
#[inline(always)]
pub(crate) unsafe fn terms_by_outputs<S: Simd>(
    simd: S,
    count: usize,
    pixels: usize,
    (b, stride): (*const f32, usize),
    a: *const f32,
    (c, ldc): (*mut f32, usize),
    add: bool,
) {
    macro_rules! tile {
        ($($k:literal)*) => {
            match count {
                $($k => unsafe { outer::<S, $k>(simd, pixels, b, stride, a, c, ldc, add) },)*
                _ => unreachable!("a tile of {count} terms"),
            }
        };
    }
    if S::F32_LANES == 16 { tile!(1 2 3 4 5 6 7 8 9 10 11 12) } else { tile!(1 2 3 4 5 6) }
}

#[expect(clippy::too_many_arguments, reason = "the parts of a matrix product")]
#[inline(always)]
unsafe fn outer<S: Simd, const K: usize>(
    simd: S,
    pixels: usize,
    b: *const f32,
    stride: usize,
    a: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); OUTPUT_VECTORS]; K];
    for panel in 0..pixels.div_ceil(width::<S>()) {
        let first = panel * width::<S>();
        // SAFETY: the caller's promises on `a` and `b`.
        let (a, b) = unsafe { (a.add(first * outputs::<S>()), b.add(panel * stride)) };
        for p in 0..(pixels - first).min(width::<S>()) {
            let mut row = [simd.splat_f32s(0.0); OUTPUT_VECTORS];
            for (v, vector) in row.iter_mut().enumerate() {
                // SAFETY: the caller's promise on `a`.
                *vector = unsafe { a.add(p * outputs::<S>() + v * lanes).cast::<S::f32s>().read_unaligned() };
            }
            for (k, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise on `b`.
                let factor = simd.splat_f32s(unsafe { *b.add(k * width::<S>() + p) });
                for (sum, a) in sums.iter_mut().zip(row) {
                    *sum = mul_add(simd, factor, a, *sum);
                }
            }
        }
    }
    for (k, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise on `c`.
            unsafe {
                let c = c.add(k * ldc + v * lanes).cast::<S::f32s>();
                c.write_unaligned(if add { simd.add_f32s(c.read_unaligned(), sum) } else { sum });
            }
        }
    }
}
