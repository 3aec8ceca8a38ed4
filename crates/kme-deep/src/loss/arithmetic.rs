//! Tensors as the arithmetic in which kernels are written.

use burn::tensor::Tensor;
use kme::internal::Arith;
use std::ops::{Add, Mul, Sub};

/// A tensor of shape (n, m), (n, 1) or (1, m) in kernel formulas.
#[derive(Clone)]
pub(super) struct Entries(pub Tensor<2>);

impl Add for Entries {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Entries {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Entries {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Arith for Entries {
    fn shift(self, c: f64) -> Self {
        Self(self.0 + c)
    }

    fn scale(self, c: f64) -> Self {
        Self(self.0 * c)
    }

    fn exp(self) -> Self {
        Self(self.0.exp())
    }

    fn ln_1p(self) -> Self {
        Self(self.0.log1p())
    }

    fn sqrt(self) -> Self {
        self.where_positive(|x| x.sqrt())
    }

    fn inv_sqrt(self) -> Self {
        self.where_positive(|x| x.sqrt().recip())
    }

    fn recip(self) -> Self {
        Self(self.0.recip())
    }

    fn at_least(self, floor: f64) -> Self {
        Self(self.0.clamp_min(floor))
    }
}

impl Entries {
    /// f(x) where x > 0, and zero with zero derivative elsewhere: the derivative of a root never sees a zero.
    fn where_positive(self, f: impl Fn(Tensor<2>) -> Tensor<2>) -> Self {
        let outside = self.0.clone().lower_equal_elem(0.0);
        Self(f(self.0.mask_fill(outside.clone(), 1.0)).mask_fill(outside, 0.0))
    }
}
