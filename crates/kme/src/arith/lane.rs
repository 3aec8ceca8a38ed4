//! A number of a tile, with functions that a compiler can turn into vector instructions.
//!
//! The library functions for eˣ and ln(1+x) are calls that stop a loop from being vectorised. Those here are
//! polynomials without branches, so that a loop over a row of a tile that evaluates a kernel on lanes becomes vector
//! code of the width of the instruction set for which it is compiled.

// The coefficients stand as they were fitted.
#![allow(clippy::excessive_precision)]

use super::Arith;
use std::ops::{Add, Mul, Sub};

/// A number of a tile. `FMA` says that multiply-add is one instruction where this code runs.
///
/// eˣ and ln(1+x) are within 2 units in the last place; eˣ is zero where it would be below the smallest normal number.
/// What is not a number stays so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane<T, const FMA: bool>(pub T);

/// The polynomials were fitted by Remez exchange, at 60 digits, for the least relative error of the function.
///
/// * `exp`: eʳ = 1 + r + r²·Q(r) for |r| ≤ ln 2/2.
/// * `log`: ln(1+r) = 2s + s·z·T(z) for √½ ≤ 1+r ≤ √2, with s = r/(2+r), z = s².
macro_rules! lane {
    (
        $t:ident, $bits:ident, mantissa: $mantissa:literal, bias: $bias:literal, sqrt_half: $sqrt_half:literal,
        ln2: [$ln2_high:literal, $ln2_low:literal], range: [$least:literal, $greatest:literal],
        exp: [$($exp:literal),*], log: [$($log:literal),*]
    ) => {
        impl<const FMA: bool> Add for Lane<$t, FMA> {
            type Output = Self;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl<const FMA: bool> Sub for Lane<$t, FMA> {
            type Output = Self;
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl<const FMA: bool> Mul for Lane<$t, FMA> {
            type Output = Self;
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                Self(self.0 * other.0)
            }
        }

        impl<const FMA: bool> Lane<$t, FMA> {
            /// a·b + c.
            #[inline(always)]
            pub(crate) fn mul_add(a: $t, b: $t, c: $t) -> $t {
                if FMA { a.mul_add(b, c) } else { a * b + c }
            }

            /// Horner's rule, coefficients from the lowest power.
            #[inline(always)]
            fn polynomial(x: $t, coefficients: &[$t]) -> $t {
                let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
                rest.iter().rev().fold(*last, |sum, &c| Self::mul_add(sum, x, c))
            }
        }

        impl<const FMA: bool> Arith for Lane<$t, FMA> {
            #[inline(always)]
            fn shift(self, c: f64) -> Self {
                Self(self.0 + c as $t)
            }

            #[inline(always)]
            fn scale(self, c: f64) -> Self {
                Self(self.0 * c as $t)
            }

            #[inline(always)]
            fn exp(self) -> Self {
                // Adding this rounds to a whole number k, which then sits in the lowest bits.
                const ROUND: $t = 1.5 * (1_u64 << $mantissa) as $t;
                let x = self.0;
                let y = if x < $least { $least } else { x };
                let y = if y > $greatest { $greatest } else { y };
                let shifted = Self::mul_add(y, std::$t::consts::LOG2_E, ROUND);
                let k = shifted - ROUND;
                let r = Self::mul_add(k, -$ln2_low, Self::mul_add(k, -$ln2_high, y));
                let tail = Self::mul_add(r * r, Self::polynomial(r, &[$($exp),*]), r);
                // 2ᵏ as 2·2ᵏ⁻¹, since 2ᵏ itself may be too large by one.
                let half_power = $t::from_bits(shifted.to_bits().wrapping_add($bias - 1) << $mantissa);
                let value = (1.0 + tail) * half_power * 2.0;
                let value = if x < $least { 0.0 } else { value };
                Self(if x > $greatest { $t::INFINITY } else { value })
            }

            #[inline(always)]
            fn ln_1p(self) -> Self {
                const WHOLE: $t = (1_u64 << $mantissa) as $t;
                let x = self.0;
                // u + lost = 1 + x exactly.
                let u = 1.0 + x;
                let added = u - 1.0;
                let lost = (1.0 - (u - added)) + (x - added);
                // u = 2ᵏ·m with √½ ≤ m < √2.
                let one = $bias << $mantissa;
                let bits = u.to_bits().wrapping_add(one - $sqrt_half);
                let exponent = bits >> $mantissa;
                let k = $t::from_bits(exponent | WHOLE.to_bits()) - (WHOLE + $bias as $t);
                let m = $t::from_bits((bits & ((1 << $mantissa) - 1)) + $sqrt_half);
                let inverse_power = $t::from_bits((2 * $bias as $bits).wrapping_sub(exponent) << $mantissa);
                let r = Self::mul_add(lost, inverse_power, m - 1.0);
                let s = r / (2.0 + r);
                let z = s * s;
                let series = z * Self::polynomial(z, &[$($log),*]);
                let half_square = 0.5 * r * r;
                let low = Self::mul_add(s, half_square + series, k * $ln2_low);
                Self(Self::mul_add(k, $ln2_high, r - (half_square - low)))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.at_least(0.0).0.sqrt())
            }

            #[inline(always)]
            fn inv_sqrt(self) -> Self {
                let value = 1.0 / self.0.sqrt();
                Self(if self.0 <= 0.0 { 0.0 } else { value })
            }

            #[inline(always)]
            fn recip(self) -> Self {
                Self(1.0 / self.0)
            }

            #[inline(always)]
            fn at_least(self, floor: f64) -> Self {
                Self(if self.0 < floor as $t { floor as $t } else { self.0 })
            }

            /// Zero where nothing but rounding error is left, so that coincident points have distance 0 and not the
            /// root of that error.
            #[inline(always)]
            fn squared_distance(dot: Self, xx: Self, yy: Self) -> Self {
                let sum = xx.0 + yy.0;
                let square = sum - 2.0 * dot.0;
                Self(if square < 16.0 * $t::EPSILON * sum { 0.0 } else { square })
            }

            #[inline(always)]
            fn constant(&self, c: f64) -> Self {
                Self(c as $t)
            }
        }
    };
}

lane!(
    f64, u64, mantissa: 52, bias: 1023, sqrt_half: 0x3fe6_a09e_667f_3bcd_u64,
    ln2: [0.693_147_180_369_123_816_49, 1.908_214_929_270_587_816_1e-10],
    range: [-708.0, 709.782_712_893_384],
    exp: [
        0.500_000_000_000_001_279_28, 0.166_666_666_666_666_991_81, 0.041_666_666_666_514_931_778,
        0.008_333_333_333_307_132_633_3, 0.001_388_888_894_715_591_562_9, 0.000_198_412_699_175_377_071_35,
        2.480_148_978_609_179_524_8e-5, 2.755_721_616_471_206_436_6e-6, 2.763_133_959_865_967_906_7e-7,
        2.511_790_384_006_120_116_2e-8
    ],
    log: [
        0.666_666_666_666_673_489_64, 0.399_999_999_994_110_883_75, 0.285_714_287_432_633_034_11,
        0.222_221_984_759_404_375_54, 0.181_835_697_414_901_795_94, 0.153_139_032_174_144_540_09,
        0.147_975_078_916_827_520_61
    ]
);

lane!(
    f32, u32, mantissa: 23, bias: 127, sqrt_half: 0x3f35_04f3_u32,
    ln2: [0.693_115_234_375, 3.194_618_494_530_941_7e-5],
    range: [-86.9, 88.722_83],
    exp: [0.500_000_009_542, 0.166_665_186_028, 0.041_666_205_050_8, 0.008_368_917_855_24, 0.001_395_054_133_17],
    log: [0.666_666_656_413, 0.400_003_362_193, 0.285_372_383_203, 0.235_835_689_339]
);

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;

    /// Distance in units in the last place of `right`.
    fn ulp64(found: f64, right: f64) -> f64 {
        (found - right).abs() / (right.abs().next_up() - right.abs())
    }

    fn ulp32(found: f32, right: f64) -> f64 {
        let near = (right as f32).abs();
        (f64::from(found) - right).abs() / f64::from(near.next_up() - near)
    }

    fn worst<const FMA: bool>() -> [f64; 4] {
        let mut rng = crate::rng::stream(1, "lane", 0);
        let mut worst = [0.0_f64; 4];
        for i in 0..200_000 {
            let wide = match i % 3 {
                0 => rng.random_range(-708.0..0.0),
                1 => rng.random_range(-3.0..3.0),
                _ => -(10.0_f64.powf(rng.random_range(-12.0..2.8))),
            };
            worst[0] = worst[0].max(ulp64(Lane::<f64, FMA>(wide).exp().0, wide.exp()));
            let narrow = (wide / 8.5) as f32;
            worst[1] = worst[1].max(ulp32(Lane::<f32, FMA>(narrow).exp().0, f64::from(narrow).exp()));
            let wide = match i % 2 {
                0 => 10.0_f64.powf(rng.random_range(-20.0..20.0)),
                _ => rng.random_range(0.0..8.0),
            };
            worst[2] = worst[2].max(ulp64(Lane::<f64, FMA>(wide).ln_1p().0, wide.ln_1p()));
            let narrow = wide as f32;
            worst[3] = worst[3].max(ulp32(Lane::<f32, FMA>(narrow).ln_1p().0, f64::from(narrow).ln_1p()));
        }
        worst
    }

    #[test]
    fn functions_are_accurate() {
        for worst in [worst::<true>(), worst::<false>()] {
            println!("ulp of exp f64, exp f32, ln_1p f64, ln_1p f32: {worst:?}");
            assert!(worst.iter().all(|&w| w < 2.0), "{worst:?}");
        }
    }

    #[test]
    fn ends_of_the_range() {
        type L64 = Lane<f64, true>;
        type L32 = Lane<f32, false>;
        assert_eq!((L64::exp(Lane(0.0)).0, L32::exp(Lane(0.0)).0), (1.0, 1.0));
        assert_eq!((L64::ln_1p(Lane(0.0)).0, L32::ln_1p(Lane(0.0)).0), (0.0, 0.0));
        for x in [-709.0, -1e300, f64::NEG_INFINITY] {
            assert_eq!((L64::exp(Lane(x)).0, L32::exp(Lane(x as f32)).0), (0.0, 0.0));
        }
        for x in [710.0, f64::INFINITY] {
            assert_eq!((L64::exp(Lane(x)).0, L32::exp(Lane(x as f32)).0), (f64::INFINITY, f32::INFINITY));
        }
        assert!(ulp64(L64::exp(Lane(709.7)).0, 709.7_f64.exp()) < 2.0);
        assert!(ulp32(L32::exp(Lane(88.7)).0, f64::from(88.7_f32).exp()) < 2.0);
        for function in [L64::exp, L64::ln_1p, L64::sqrt, L64::inv_sqrt, L64::recip, |x: L64| x.at_least(0.0)] {
            assert!(function(Lane(f64::NAN)).0.is_nan());
        }
        assert_eq!((L64::sqrt(Lane(-1.0)).0, L64::inv_sqrt(Lane(-1.0)).0, L32::inv_sqrt(Lane(0.0)).0), (0.0, 0.0, 0.0));
    }
}
