//! The scale of the Scaled MMD: how much a kernel on a learned critic can vary over the data.

use super::arithmetic::Entries;
use super::divergence::{Divergence, Scaled, lifted};
use burn::tensor::Tensor;
use kme::{Error, Form, Kernel, Result};
use kme_net::{Mode, Net, Pass, Place, flat};
use serde::{Deserialize, Serialize};

/// σ² = 1 / (offset + weight · E[Σᵢ∂ᵢ∂'ᵢ k_φ(x,x) + k_φ(x,x)]), the expectation over the real batch, the second term only with
/// `values`. k_φ(x,y) = k(φ(x),φ(y)) is the kernel on *pictures*, ∂ᵢ its derivative in pixel i.
///
/// The published code has offset 1, weight 10, no values; its scaled WGAN the same with values; the slides offset λ, weight 1,
/// with values. MMD² is multiplied by σ², MMD and the Wasserstein estimate by σ. For the critic σ is differentiated; for the
/// generator it is a constant.
///
/// Reference: Arbel, Sutherland, Bińkowski, Gretton, "On gradient regularizers for MMD GANs", NeurIPS 2018, §3 and eq. 10.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// What multiplies the expectation, 0 to 10⁹.
    pub weight: f64,
    /// What is added to it, 1e-9 to 10⁹.
    pub offset: f64,
    /// Whether the values k_φ(x,x) are added to the derivatives; false by default.
    #[serde(default)]
    pub values: bool,
}

impl Scale {
    /// σ², from a pass of the critic over real pictures whose first `pixels` input channels are those that are differentiated
    /// (the others are labels).
    ///
    /// Shapes: pass over (n, c, h, w) → (1). A step through every feature of the critic: `top` pullbacks.
    ///
    /// # Errors
    /// When the kernel is not differentiable on its diagonal, or the divergence has no kernel.
    pub fn square(&self, divergence: &dyn Divergence, critic: &Net, pass: &Pass, pixels: usize) -> Result<Tensor<1>> {
        Ok(self.square_of(self.variation(divergence, critic, pass, pixels)?))
    }

    /// σ² = 1 / (offset + weight · E), from the expectation E.
    pub fn square_of(&self, variation: Tensor<1>) -> Tensor<1> {
        (variation * self.weight + self.offset).recip()
    }

    /// The expectation in σ²: the mean over the pass's pictures of Σᵢ∂ᵢ∂'ᵢ k_φ(x,x), with `values` plus k_φ(x,x).
    ///
    /// Shapes and errors as for [`square`](Self::square).
    pub fn variation(
        &self,
        divergence: &dyn Divergence,
        critic: &Net,
        pass: &Pass,
        pixels: usize,
    ) -> Result<Tensor<1>> {
        let h = flat(pass.output.clone());
        let remedy = "only mmd and wasserstein have a scale";
        let Scaled { kernel, lift, .. } =
            divergence.scaled().ok_or_else(|| Error::unsupported("scale this objective", remedy))?;
        let points = lifted(lift, &h)?;
        let xx = Entries((points.clone() * points.clone()).sum_dim(1));
        let trace = kernel.trace(&xx)?;
        let back = |cotangent: Tensor<2>| rows_of_pixels(critic, pass, cotangent, pixels);
        let [n, p] = h.dims();
        let unit = |j: usize| unit(critic.place(), n, p, j);
        let rows: Vec<Tensor<2>> = (0..p).map(|j| back(unit(j))).collect();
        let jacobian2 = match lift {
            None => sum_of(rows.into_iter().map(|g| (g.clone() * g).sum_dim(1))),
            Some(lift) => lifted_jacobian2(lift, &h, rows)?,
        };
        let mut total = trace.jacobian.0.expand([n, 1]) * jacobian2;
        if lift.is_none() && has_radial_part(&kernel) {
            let along = back(h.clone());
            total = total + trace.radial.0.expand([n, 1]) * (along.clone() * along).sum_dim(1);
        }
        if self.values {
            total = total + kernel.diagonal(&xx).0.expand([n, 1]);
        }
        Ok(total.mean())
    }

    /// What multiplies the divergence: σ² for MMD², σ for MMD and the Wasserstein estimate.
    pub(super) fn factor(divergence: &dyn Divergence, square: Tensor<1>) -> Tensor<1> {
        if divergence.scaled().is_some_and(|scaled| scaled.squared) { square } else { square.sqrt() }
    }
}

/// Whether the trace has a part in ‖Jᵀφ‖², which costs one more pullback.
fn has_radial_part(kernel: &Kernel) -> bool {
    kernel.terms().iter().any(|(_, form)| matches!(form, Form::Polynomial { degree, .. } if *degree > 1))
}

/// Jᵀ·cotangent in pixels, shape (n, pixels·h·w).
fn rows_of_pixels(critic: &Net, pass: &Pass, cotangent: Tensor<2>, pixels: usize) -> Tensor<2> {
    let [n, d] = cotangent.dims();
    let [_, c, h, w] = pass.output.dims();
    debug_assert_eq!(d, c * h * w);
    let gradient = critic.pullback(pass, cotangent.reshape([n, c, h, w]));
    flat(if gradient.dims()[1] == pixels { gradient } else { gradient.slice([0..n, 0..pixels]) })
}

/// Σ_k ‖Σⱼ a_kj gⱼ‖² for the derivative a (s, p) of the random features and the rows g of the critic's, by tr(A H Aᵀ) with
/// H = ⟨gᵢ,gⱼ⟩. Shape (n, 1).
fn lifted_jacobian2(lift: &Net, h: &Tensor<2>, rows: Vec<Tensor<2>>) -> Result<Tensor<2>> {
    let [n, p] = h.dims();
    let pass = lift.pass(h.clone().reshape([n, p, 1, 1]), Mode::Evaluate, false)?;
    let [_, s, _, _] = pass.output.dims();
    let derivative: Vec<Tensor<3>> = (0..s)
        .map(|k| flat(lift.pullback(&pass, unit(lift.place(), n, s, k).reshape([n, s, 1, 1]))).reshape([n, 1, p]))
        .collect();
    let a = Tensor::cat(derivative, 1);
    let g: Tensor<3> = Tensor::cat(rows.into_iter().map(|g| g.unsqueeze_dim::<3>(1)).collect(), 1);
    let gram = g.clone().matmul(g.swap_dims(1, 2));
    Ok((a.clone().matmul(gram) * a).sum_dims_squeeze::<1, i32>(&[1, 2]).reshape([n, 1]))
}

/// The `j`th unit vector in every row, shape (n, d).
fn unit(place: &Place, n: usize, d: usize, j: usize) -> Tensor<2> {
    place.tensor((0..n * d).map(|i| if i % d == j { 1.0 } else { 0.0 }).collect(), [n, d])
}

fn sum_of(terms: impl Iterator<Item = Tensor<2>>) -> Tensor<2> {
    terms.reduce(|sum, term| sum + term).expect("a critic has at least one feature")
}
