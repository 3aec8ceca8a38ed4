//! The arithmetic in which every kernel's formula is written once.
//!
//! A formula `k(⟨x,y⟩, ‖x‖², ‖y‖²)` over [`Arith`] serves a plain number, a lane of a vectorised tile and a tensor
//! alike. Everything here is elementwise, so that a tensor can implement it with broadcasting, and differentiable, so
//! that automatic differentiation of a formula gives its slope.

mod lane;

pub(crate) use lane::Lane;

use std::ops::{Add, Mul, Sub};

/// Σᵢ xᵢ.
pub(crate) fn sum(x: &[f64]) -> f64 {
    x.iter().sum()
}

/// ⟨x,y⟩.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// A number, or something that behaves like one elementwise.
///
/// Operands may have different shapes that broadcast, such as (n, m), (n, 1) and (1, m).
pub trait Arith: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// x + c.
    fn shift(self, c: f64) -> Self;

    /// c·x.
    fn scale(self, c: f64) -> Self;

    /// eˣ.
    fn exp(self) -> Self;

    /// ln(1 + x), accurate for small x; needs x > −1.
    fn ln_1p(self) -> Self;

    /// √max(x, 0); its derivative is taken as zero for x ≤ 0.
    fn sqrt(self) -> Self;

    /// 1/√x for x > 0 and zero for x ≤ 0: twice the derivative of [`sqrt`](Self::sqrt).
    fn inv_sqrt(self) -> Self;

    /// 1/x.
    fn recip(self) -> Self;

    /// max(x, floor); what is not a number stays so.
    fn at_least(self, floor: f64) -> Self;

    /// r² = ‖x‖² + ‖y‖² − 2⟨x,y⟩, never below zero: rounding may make it slightly negative.
    #[inline(always)]
    fn squared_distance(dot: Self, xx: Self, yy: Self) -> Self {
        (xx + yy - dot.scale(2.0)).at_least(0.0)
    }

    /// xⁿ, by repeated squaring; x⁰ = 1.
    #[inline(always)]
    fn powi(self, n: u32) -> Self {
        if n == 0 {
            return self.constant(1.0);
        }
        let (mut square, mut n) = (self, n);
        while n & 1 == 0 {
            square = square.clone() * square;
            n >>= 1;
        }
        let mut power = square.clone();
        n >>= 1;
        while n > 0 {
            square = square.clone() * square;
            if n & 1 == 1 {
                power = power * square.clone();
            }
            n >>= 1;
        }
        power
    }

    /// The constant c, in the shape of `self`.
    #[inline(always)]
    fn constant(&self, c: f64) -> Self {
        self.clone().scale(0.0).shift(c)
    }
}

macro_rules! float {
    ($t:ident) => {
        impl Arith for $t {
            #[inline(always)]
            fn shift(self, c: f64) -> Self {
                self + c as $t
            }
            #[inline(always)]
            fn scale(self, c: f64) -> Self {
                self * c as $t
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $t::exp(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $t::ln_1p(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self.at_least(0.0))
            }
            #[inline(always)]
            fn inv_sqrt(self) -> Self {
                if self <= 0.0 { 0.0 } else { $t::sqrt(self).recip() }
            }
            #[inline(always)]
            fn recip(self) -> Self {
                $t::recip(self)
            }
            #[inline(always)]
            fn at_least(self, floor: f64) -> Self {
                // Unlike `max`, this keeps what is not a number.
                if self < floor as $t { floor as $t } else { self }
            }
            #[inline(always)]
            fn constant(&self, c: f64) -> Self {
                c as $t
            }
        }
    };
}

float!(f64);
float!(f32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers() {
        for n in 0..20 {
            assert_eq!(Arith::powi(2.0_f64, n), f64::from(1 << n));
            assert_eq!(Arith::powi(-3.0_f64, n), (0..n).map(|_| -3.0).product::<f64>());
        }
    }

    #[test]
    fn roots_are_safe_at_and_below_zero() {
        for x in [0.0, -1.0, -1e-30] {
            assert_eq!((Arith::sqrt(x), Arith::inv_sqrt(x)), (0.0, 0.0));
        }
        assert_eq!((Arith::sqrt(4.0), Arith::inv_sqrt(4.0)), (2.0, 0.5));
    }
}
