//! Kernels: each formula once, with its gradient, diagonal and trace beside it.
//!
//! A [`Kernel`] is a weighted sum of [`Form`]s, a plain value that prints as and parses from its text:
//!
//! ```
//! use kme::Kernel;
//! use kme::internal::Pair;
//! let k: Kernel = "gaussian:sigma=1,2+0.5*linear".parse()?;
//! let (x, y) = ([1.0, 2.0], [0.0, 1.0]);
//! let value = k.value(&Pair::of(&x, &y));
//! assert!((value - ((-1.0_f64).exp() + (-0.25_f64).exp() + 0.5 * 2.0)).abs() < 1e-15);
//! assert_eq!(k.to_string(), "gaussian:sigma=1,2+0.5*linear");
//! # Ok::<(), kme::Error>(())
//! ```

mod form;
#[cfg(test)]
mod laws;
mod text;

pub use form::Form;
pub use text::KernelSpec;

use crate::arith::Arith;
use crate::points::check_dim;
use crate::{Error, Result};

/// What a kernel may know of two points: ⟨x,y⟩, ‖x‖² and ‖y‖².
///
/// With tensors the three have shapes (n, m), (n, 1) and (1, m) and broadcast.
#[derive(Clone, Debug)]
pub struct Pair<A> {
    /// ⟨x,y⟩
    pub dot: A,
    /// ‖x‖²
    pub xx: A,
    /// ‖y‖²
    pub yy: A,
}

impl Pair<f64> {
    /// The pair of two vectors of the same length.
    pub fn of(x: &[f64], y: &[f64]) -> Self {
        debug_assert_eq!(x.len(), y.len());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
        Self { dot: dot(x, y), xx: dot(x, x), yy: dot(y, y) }
    }
}

impl<A: Arith> Pair<A> {
    /// r² = ‖x − y‖², never below zero.
    #[inline(always)]
    pub fn squared_distance(&self) -> A {
        A::squared_distance(self.dot.clone(), self.xx.clone(), self.yy.clone())
    }
}

/// Partial derivatives of a kernel, so that ∇ₓk(x,y) = `dot`·y + 2·`xx`·x.
#[derive(Clone, Debug)]
pub struct Slope<A> {
    /// ∂k/∂⟨x,y⟩
    pub dot: A,
    /// ∂k/∂‖x‖²
    pub xx: A,
}

/// The trace Σᵢ ∂ᵢ∂'ᵢ k(φ(x), φ(y)) at y = x, which is `jacobian`·‖J‖²_F + `radial`·‖Jᵀφ‖² with J = ∂φ/∂x.
///
/// Reference: Arbel, Sutherland, Bińkowski, Gretton, "On gradient regularizers for MMD GANs", NeurIPS 2018, §3.
#[derive(Clone, Debug)]
pub struct Trace<A> {
    /// The factor of ‖J‖²_F.
    pub jacobian: A,
    /// The factor of ‖Jᵀφ‖².
    pub radial: A,
}

/// In which sense the Gram matrices of a kernel are positive semi-definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Definiteness {
    /// cᵀKc ≥ 0 for every c.
    Positive,
    /// cᵀKc ≥ 0 for every c with Σc = 0: enough for differences of distributions, not for a single one.
    Conditional,
}

/// A weighted sum of kernels, Σ weight·form with positive weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kernel {
    terms: Vec<(f64, Form)>,
}

impl Kernel {
    /// The sum of `terms`, each a weight and a form.
    ///
    /// # Errors
    /// When there is no term, a weight is not positive and finite, or a parameter of a form is outside its range.
    pub fn new(terms: Vec<(f64, Form)>) -> Result<Self> {
        if terms.is_empty() {
            return Err(Error::too_few("terms", 0, 1, "a kernel"));
        }
        for (weight, form) in &terms {
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(Error::value("weight of a kernel", weight, "a finite number greater than 0"));
            }
            form.check()?;
        }
        Ok(Self { terms })
    }

    /// The kernel of the kernel inception distance, (⟨x,y⟩/d + 1)³ for points of dimension d ≥ 1.
    ///
    /// Reference: Bińkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, §4.
    ///
    /// # Errors
    /// When d = 0.
    pub fn kid(d: usize) -> Result<Self> {
        check_dim(d)?;
        Self::new(vec![(1.0, Form::Polynomial { degree: 3, gamma: 1.0 / d as f64, coef: 1.0 })])
    }

    /// The terms of the sum: weight and form.
    pub fn terms(&self) -> &[(f64, Form)] {
        &self.terms
    }

    /// k(x, y).
    #[inline(always)]
    pub fn value<A: Arith>(&self, pair: &Pair<A>) -> A {
        self.sum(|form| form.value(pair))
    }

    /// k(x, y) where ‖x − y‖² is known better than from the pair.
    pub(crate) fn value_at(&self, pair: &Pair<f64>, square: f64) -> f64 {
        let at_distance = Pair { dot: 0.0, xx: square, yy: 0.0 };
        self.sum(|form| match form {
            Form::Distance => pair.xx.sqrt() + pair.yy.sqrt() - square.sqrt(),
            form if form.has_distance() => form.value(&at_distance),
            form => form.value(pair),
        })
    }

    /// ∂k/∂⟨x,y⟩ and ∂k/∂‖x‖²; the subgradient at coincident points is zero.
    #[inline(always)]
    pub fn slope<A: Arith>(&self, pair: &Pair<A>) -> Slope<A> {
        let mut terms = self.terms.iter().map(|(weight, form)| {
            let slope = form.slope(pair);
            Slope { dot: weigh(slope.dot, *weight), xx: weigh(slope.xx, *weight) }
        });
        let first = terms.next().expect("a kernel has at least one term");
        terms.fold(first, |sum, s| Slope { dot: sum.dot + s.dot, xx: sum.xx + s.xx })
    }

    /// k(x, x) from ‖x‖².
    #[inline(always)]
    pub fn diagonal<A: Arith>(&self, xx: &A) -> A {
        self.sum(|form| form.diagonal(xx))
    }

    /// The trace of ∂∂'k on the diagonal from ‖φ(x)‖²: see [`Trace`].
    ///
    /// # Errors
    /// When it is infinite, since the kernel is not differentiable on its diagonal (`laplacian`, `distance`, and
    /// `energy` without a).
    pub fn trace<A: Arith>(&self, xx: &A) -> Result<Trace<A>> {
        let terms: Result<Vec<Trace<A>>> = self
            .terms
            .iter()
            .map(|(weight, form)| match form.trace(xx) {
                Some(t) => Ok(Trace { jacobian: weigh(t.jacobian, *weight), radial: weigh(t.radial, *weight) }),
                None => Err(Error::unsupported(
                    format!("differentiate the kernel {self} where points coincide"),
                    "choose linear, poly, gaussian, rq, imq, or energy with a > 0",
                )),
            })
            .collect();
        let mut terms = terms?.into_iter();
        let first = terms.next().expect("a kernel has at least one term");
        Ok(terms.fold(first, |sum, t| Trace { jacobian: sum.jacobian + t.jacobian, radial: sum.radial + t.radial }))
    }

    /// Whether tensors of single precision can evaluate it: its lengths must be from 1e-12 to 1e12.
    ///
    /// # Errors
    /// When one is not. (Sums in double precision evaluate every kernel.)
    pub fn check_single(&self) -> Result<()> {
        for (_, form) in &self.terms {
            if let Some(length) = form.length().filter(|&length| length > 1e12 || (length > 0.0 && length < 1e-12)) {
                let allowed = "from 1e-12 to 1e12 in single precision; rescale the points";
                return Err(Error::value(format!("length of kernel {self}"), format!("{length:e}"), allowed));
            }
        }
        Ok(())
    }

    /// Whether k(x, y) depends on ‖x − y‖ alone, so that all points may be moved together without changing it.
    pub fn is_radial(&self) -> bool {
        self.terms.iter().all(|(_, form)| form.is_radial())
    }

    /// The kernel h with k(x,y) = h(s·x, s·y), for s > 0 a power of two: see [`Form::scaled`].
    pub(crate) fn scaled(&self, s: f64) -> Self {
        let term = |(weight, form): &(f64, Form)| {
            let (factor, form) = form.scaled(s);
            (weight * factor, form)
        };
        Self { terms: self.terms.iter().map(term).collect() }
    }

    /// The kernel that is as good in differences of distributions: without the norms of `distance`, which is `energy`.
    pub(crate) fn without_norms(&self) -> Self {
        let form = |form: Form| if form == Form::Distance { Form::Energy { a: 0.0 } } else { form };
        Self { terms: self.terms.iter().map(|(weight, f)| (*weight, form(*f))).collect() }
    }

    /// Whether it is positive definite, or only conditionally.
    pub fn definiteness(&self) -> Definiteness {
        self.terms.iter().map(|(_, form)| form.definiteness()).max().expect("a kernel has at least one term")
    }

    /// Whether distinct distributions (with finite first moment for `energy` and `distance`) have distinct
    /// embeddings, so that MMD = 0 means that they are the same.
    ///
    /// One characteristic term makes the sum characteristic. Reference: Sriperumbudur et al., "Hilbert space
    /// embeddings and metrics on probability measures", JMLR 2010; for `energy`: Székely, Rizzo, 2013.
    pub fn is_characteristic(&self) -> bool {
        self.terms.iter().any(|(_, form)| form.is_characteristic())
    }

    #[inline(always)]
    fn sum<A: Arith>(&self, f: impl Fn(&Form) -> A) -> A {
        let mut terms = self.terms.iter().map(|(weight, form)| weigh(f(form), *weight));
        let first = terms.next().expect("a kernel has at least one term");
        terms.fold(first, |sum, t| sum + t)
    }
}

impl TryFrom<Form> for Kernel {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        Self::new(vec![(1.0, form)])
    }
}

#[inline(always)]
fn weigh<A: Arith>(value: A, weight: f64) -> A {
    if weight == 1.0 { value } else { value.scale(weight) }
}
