//! The formulas. Every method names every form, so that the compiler asks for a new one; the rest of the way is in
//! `docs/extending.md`.
//!
//! Throughout r² = ‖x − y‖² and κ is the formula of a radial kernel as a function of r². Such a kernel has
//! ∂k/∂⟨x,y⟩ = −2κ', ∂k/∂‖x‖² = κ', and trace −2κ'(0)·‖J‖²_F.

use super::{Definiteness, Pair, Slope, Trace};
use crate::arith::Arith;
use crate::{Error, Result};

/// One kernel with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// ⟨x,y⟩
    Linear,
    /// (γ⟨x,y⟩ + coef)^degree; degree 3, γ = 1/d, coef 1 is the kernel of the kernel inception distance.
    Polynomial {
        /// The exponent, from 1 on.
        degree: u32,
        /// The factor of the inner product.
        gamma: f64,
        /// What is added to it, at least 0.
        coef: f64,
    },
    /// exp(−r²/(2σ²))
    Gaussian {
        /// The width σ.
        sigma: f64,
    },
    /// (1 + r²/(2α))^(−α); Bińkowski et al., ICLR 2018.
    RationalQuadratic {
        /// The exponent α.
        alpha: f64,
    },
    /// exp(−r/scale), with the Euclidean norm.
    Laplacian {
        /// The length by which distances are divided.
        scale: f64,
    },
    /// (c² + r²)^(−1/2); Jitkrittum et al., "Kernel mean matching for content addressability of GANs", ICML 2019.
    InverseMultiquadric {
        /// The length c.
        c: f64,
    },
    /// −(√(a² + r²) − a); with a = 0 it is −r, the kernel of the energy distance. Turinici, "Radon–Sobolev
    /// variational auto-encoders", 2021.
    Energy {
        /// Below this distance the kernel is smooth; 0: nowhere.
        a: f64,
    },
    /// ‖x‖ + ‖y‖ − ‖x − y‖, induced by the distance with the origin 0; Sejdinovic et al., Annals of Statistics 2013
    /// (twice their kernel).
    Distance,
}

impl Form {
    /// k(x, y).
    #[inline(always)]
    pub fn value<A: Arith>(&self, pair: &Pair<A>) -> A {
        match *self {
            Self::Linear => pair.dot.clone(),
            Self::Polynomial { degree, gamma, coef } => pair.dot.clone().scale(gamma).shift(coef).powi(degree),
            Self::Gaussian { sigma } => pair.squared_distance().scale(-0.5 / (sigma * sigma)).exp(),
            Self::RationalQuadratic { alpha } => inverse_power(pair.squared_distance().scale(0.5 / alpha), alpha),
            Self::Laplacian { scale } => pair.squared_distance().sqrt().scale(-1.0 / scale).exp(),
            Self::InverseMultiquadric { c } => pair.squared_distance().shift(c * c).inv_sqrt(),
            Self::Energy { a } => pair.squared_distance().shift(a * a).sqrt().scale(-1.0).shift(a),
            Self::Distance => pair.xx.clone().sqrt() + pair.yy.clone().sqrt() - pair.squared_distance().sqrt(),
        }
    }

    /// ∂k/∂⟨x,y⟩ and ∂k/∂‖x‖².
    #[inline(always)]
    pub fn slope<A: Arith>(&self, pair: &Pair<A>) -> Slope<A> {
        let radial = |derivative: A| Slope { dot: derivative.clone().scale(-2.0), xx: derivative };
        match *self {
            Self::Linear => Slope { dot: pair.dot.constant(1.0), xx: pair.dot.constant(0.0) },
            Self::Polynomial { degree, gamma, coef } => Slope {
                dot: pair.dot.clone().scale(gamma).shift(coef).powi(degree - 1).scale(gamma * f64::from(degree)),
                xx: pair.dot.constant(0.0),
            },
            Self::Gaussian { sigma } => radial(self.value(pair).scale(-0.5 / (sigma * sigma))),
            Self::RationalQuadratic { alpha } => {
                let base = pair.squared_distance().scale(0.5 / alpha).shift(1.0);
                radial(self.value(pair) * base.recip().scale(-0.5))
            }
            Self::Laplacian { scale } => {
                radial(self.value(pair) * pair.squared_distance().inv_sqrt().scale(-0.5 / scale))
            }
            Self::InverseMultiquadric { c } => {
                radial(pair.squared_distance().shift(c * c).inv_sqrt().powi(3).scale(-0.5))
            }
            Self::Energy { a } => radial(pair.squared_distance().shift(a * a).inv_sqrt().scale(-0.5)),
            Self::Distance => {
                let Slope { dot, xx } = radial(pair.squared_distance().inv_sqrt().scale(-0.5));
                Slope { dot, xx: xx + pair.xx.clone().inv_sqrt().scale(0.5) }
            }
        }
    }

    /// k(x, x) from ‖x‖².
    #[inline(always)]
    pub fn diagonal<A: Arith>(&self, xx: &A) -> A {
        match *self {
            Self::Linear => xx.clone(),
            Self::Polynomial { degree, gamma, coef } => xx.clone().scale(gamma).shift(coef).powi(degree),
            Self::Gaussian { .. } | Self::RationalQuadratic { .. } | Self::Laplacian { .. } => xx.constant(1.0),
            Self::InverseMultiquadric { c } => xx.constant(1.0 / c),
            Self::Energy { .. } => xx.constant(0.0),
            Self::Distance => xx.clone().sqrt().scale(2.0),
        }
    }

    /// The trace of ∂∂'k on the diagonal (see [`Trace`]) from ‖φ(x)‖²; nothing when it is infinite.
    #[inline(always)]
    pub fn trace<A: Arith>(&self, xx: &A) -> Option<Trace<A>> {
        let radial = |factor: f64| Some(Trace { jacobian: xx.constant(factor), radial: xx.constant(0.0) });
        match *self {
            Self::Linear | Self::RationalQuadratic { .. } => radial(1.0),
            Self::Polynomial { degree, gamma, coef } => {
                let base = xx.clone().scale(gamma).shift(coef);
                let p = f64::from(degree);
                let curvature = p * (p - 1.0) * gamma * gamma;
                Some(Trace {
                    jacobian: base.clone().powi(degree - 1).scale(p * gamma),
                    radial: base.powi(degree.saturating_sub(2)).scale(curvature),
                })
            }
            Self::Gaussian { sigma } => radial(1.0 / (sigma * sigma)),
            Self::InverseMultiquadric { c } => radial(1.0 / (c * c * c)),
            Self::Energy { a } if a > 0.0 => radial(1.0 / a),
            Self::Laplacian { .. } | Self::Energy { .. } | Self::Distance => None,
        }
    }

    /// Whether it depends on ‖x − y‖ alone.
    pub fn is_radial(&self) -> bool {
        match self {
            Self::Linear | Self::Polynomial { .. } | Self::Distance => false,
            Self::Gaussian { .. }
            | Self::RationalQuadratic { .. }
            | Self::Laplacian { .. }
            | Self::InverseMultiquadric { .. }
            | Self::Energy { .. } => true,
        }
    }

    /// Whether it is positive definite, or only conditionally.
    pub fn definiteness(&self) -> Definiteness {
        match self {
            Self::Energy { .. } => Definiteness::Conditional,
            Self::Linear
            | Self::Polynomial { .. }
            | Self::Distance
            | Self::Gaussian { .. }
            | Self::RationalQuadratic { .. }
            | Self::Laplacian { .. }
            | Self::InverseMultiquadric { .. } => Definiteness::Positive,
        }
    }

    /// Whether distinct distributions have distinct embeddings: see [`super::Kernel::is_characteristic`].
    pub fn is_characteristic(&self) -> bool {
        match self {
            Self::Linear | Self::Polynomial { .. } => false,
            Self::Gaussian { .. }
            | Self::RationalQuadratic { .. }
            | Self::Laplacian { .. }
            | Self::InverseMultiquadric { .. }
            | Self::Energy { .. }
            | Self::Distance => true,
        }
    }

    /// Whether its formula has the distance ‖x − y‖: true of all but polynomials in ⟨x,y⟩.
    pub(crate) fn has_distance(&self) -> bool {
        self.degree().is_none()
    }

    /// The degree in ⟨x,y⟩ of a polynomial.
    pub fn degree(&self) -> Option<u32> {
        match *self {
            Self::Linear => Some(1),
            Self::Polynomial { degree, .. } => Some(degree),
            Self::Gaussian { .. }
            | Self::RationalQuadratic { .. }
            | Self::Laplacian { .. }
            | Self::InverseMultiquadric { .. }
            | Self::Energy { .. }
            | Self::Distance => None,
        }
    }

    /// Whether its values are bounded, and vanish far away.
    pub fn is_bounded(&self) -> bool {
        match self {
            Self::Linear | Self::Polynomial { .. } | Self::Energy { .. } | Self::Distance => false,
            Self::Gaussian { .. }
            | Self::RationalQuadratic { .. }
            | Self::Laplacian { .. }
            | Self::InverseMultiquadric { .. } => true,
        }
    }

    /// The length that is a parameter, if there is one: the distance over which it changes.
    pub fn length(&self) -> Option<f64> {
        match *self {
            Self::Gaussian { sigma } => Some(sigma),
            Self::Laplacian { scale } => Some(scale),
            Self::InverseMultiquadric { c } => Some(c),
            Self::Energy { a } => Some(a),
            Self::Linear | Self::Polynomial { .. } | Self::RationalQuadratic { .. } | Self::Distance => None,
        }
    }

    /// The weight w and form h with k(x,y) = w·h(s·x, s·y), for s > 0 a power of two.
    ///
    /// `rq` has no parameter that could take up s, and stays as it is; the caller gives it no other s than 1.
    pub(super) fn scaled(&self, s: f64) -> (f64, Self) {
        // A length so far below the others acts as 0, but its square must not be 0.
        let length = |l: f64| (l * s).max(SHORTEST);
        match *self {
            Self::Linear => (1.0 / s / s, *self),
            Self::Polynomial { degree, gamma, coef } => (1.0, Self::Polynomial { degree, gamma: gamma / s / s, coef }),
            Self::Gaussian { sigma } => (1.0, Self::Gaussian { sigma: length(sigma) }),
            Self::RationalQuadratic { .. } => (1.0, *self),
            Self::Laplacian { scale } => (1.0, Self::Laplacian { scale: length(scale) }),
            Self::InverseMultiquadric { c } => (s, Self::InverseMultiquadric { c: length(c) }),
            Self::Energy { a } => (1.0 / s, Self::Energy { a: a * s }),
            Self::Distance => (1.0 / s, *self),
        }
    }

    /// Refuses parameters for which the formula is not a kernel, or overflows where it should not.
    pub(super) fn check(&self) -> Result<()> {
        let positive = |name: &'static str, value: f64| {
            if (1e-12..=1e12).contains(&value) {
                Ok(())
            } else {
                let allowed = "a number from 1e-12 to 1e12; rescale the points if that is too narrow";
                Err(Error::value(name, value, allowed))
            }
        };
        let length = |name: &'static str, value: f64| {
            if (SHORTEST..=1.0 / SHORTEST).contains(&value) {
                Ok(())
            } else {
                let allowed = "a number from 1e-153 to 1e153; rescale the points if that is too narrow";
                Err(Error::value(name, value, allowed))
            }
        };
        let not_negative = |name: &'static str, value: f64, greatest: f64| {
            if (0.0..=greatest).contains(&value) {
                Ok(())
            } else {
                let allowed = format!("a number from 0 to {greatest:e}; rescale the points if that is too narrow");
                Err(Error::value(name, value, allowed))
            }
        };
        match *self {
            Self::Linear | Self::Distance => Ok(()),
            Self::Polynomial { degree, gamma, coef } => {
                if !(1..=MAX_DEGREE).contains(&degree) {
                    return Err(no_degree(degree));
                }
                positive("gamma of kernel poly", gamma)?;
                not_negative("coef of kernel poly", coef, 1e12)
            }
            Self::Gaussian { sigma } => length("sigma of kernel gaussian", sigma),
            Self::RationalQuadratic { alpha } => positive("alpha of kernel rq", alpha),
            Self::Laplacian { scale } => length("scale of kernel laplacian", scale),
            Self::InverseMultiquadric { c } => length("c of kernel imq", c),
            Self::Energy { a } => not_negative("a of kernel energy", a, 1.0 / SHORTEST),
        }
    }
}

/// The shortest length of a kernel: its square and the square's inverse are normal numbers of double precision.
const SHORTEST: f64 = 1e-153;

/// The refusal of a degree.
pub(super) fn no_degree(degree: impl ToString) -> Error {
    Error::value("degree of kernel poly", degree, format!("a whole number from 1 to {MAX_DEGREE}"))
}

/// Beyond this degree a polynomial overflows single precision for the most ordinary points.
pub(super) const MAX_DEGREE: u32 = 32;

/// (1 + u)^(−α) for u ≥ 0. The usual α need no logarithm: the tiles compile a loop for each of these four.
#[inline(always)]
fn inverse_power<A: Arith>(u: A, alpha: f64) -> A {
    if alpha == 0.5 {
        u.shift(1.0).inv_sqrt()
    } else if alpha == 1.0 {
        u.shift(1.0).recip()
    } else if alpha == 2.0 {
        u.shift(1.0).recip().powi(2)
    } else if alpha == 5.0 {
        u.shift(1.0).recip().powi(5)
    } else {
        u.ln_1p().scale(-alpha).exp()
    }
}
