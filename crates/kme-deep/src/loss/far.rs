//! Discrepancies of points that lie far apart, beside the distances that count.
//!
//! ‖x‖² + ‖y‖² − 2⟨x,y⟩ has an error of a few units in the last place of ‖x‖² + ‖y‖². One point far away moves the centre away
//! from all others, and clusters far apart are both away from any centre: then nothing is left of the distances within. Such
//! points are told by [`is_far`], and compared by [`Far`], which takes distances from the differences of the coordinates.

use super::arithmetic::Entries;
use super::mmd::{pair, squared_norms};
use burn::tensor::{Bool, DType, Tensor};
use kme::internal::{Pair, Slope, sums};
use kme::{Data, Form, Kernel, Precision};
use kme::{Points, Result};
use kme_net::place;

/// By how much ‖x‖² + ‖y‖² may exceed both r² and the square of the kernel's length: then r² is right to about so many units in
/// the last place, and the kernel's value to as many.
const DIGITS: f64 = 1024.0;

/// The mean error of ∇k over the pairs, in units in the last place, that a kernel which does not vanish may have beside that.
///
/// Such a kernel has a kink at 0, or one that it cannot be told from: of a few points that nearly coincide in a batch of ordinary
/// ones the error is large, and yet nothing beside the whole, in which every pair counts.
const MEAN_DIGITS: f64 = 32.0 * DIGITS;

/// By how much the square of an offset may exceed the mean squared distance from it, under a kernel that is dominated by it.
const AWAY: f64 = DIGITS / 4.0;

/// The least square of a norm, beside the greatest, that counts for the typical one.
const LEAST: f64 = 1e-6;

/// Pairs over which a kernel is summed.
pub(super) enum Pairs<'a> {
    /// All of two samples.
    Between(&'a Tensor<2>, &'a Tensor<2>),
    /// All but the diagonal of one sample.
    Within(&'a Tensor<2>),
}

/// Whether the points lie so that sums over these pairs by way of inner products lose digits: see [`DIGITS`] and [`MEAN_DIGITS`].
///
/// Waits for the device once, for four numbers; a second time where these leave it open or the kernel does not vanish.
pub(super) fn is_far(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>, pairs: &[Pairs]) -> bool {
    let needs = Needs::new(kernel);
    if needs.length.is_none() && needs.kink.is_none() && !needs.centre {
        return false;
    }
    let (x, y) = (x.clone().detach(), y.clone().detach());
    let (xx, yy) = (squared_norms(&x), squared_norms(&y));
    let mut numbers: Vec<Tensor<1>> = vec![xx.clone().max(), yy.clone().max()];
    if needs.centre {
        let centre = y.clone().mean_dim(0);
        let spread = |z: &Tensor<2>| squared_norms(&(z.clone() - centre.clone())).mean();
        numbers.extend([squared_norms(&centre).sum(), spread(&x) + spread(&y)]);
    }
    let numbers = place::numbers(Tensor::cat(numbers, 0));
    if needs.centre && numbers[2] > AWAY * numbers[3] {
        return true;
    }
    let may_be = |length: f64| numbers[0] + numbers[1] > DIGITS * length * length;
    if !needs.length.is_some_and(may_be) && needs.kink.is_none() {
        return false;
    }
    let norms = Tensor::cat(vec![xx, yy], 0);
    // A geometric mean, which no few points move much.
    let typical = norms.clone().clamp_min((numbers[0].max(numbers[1]) * LEAST).max(f32::MIN_POSITIVE.into()));
    let typical = typical.log().mean().exp();
    let worst = pairs.iter().flat_map(|pairs| needs.exceeded(pairs, &typical)).collect();
    // NaN is not small.
    !place::numbers(Tensor::cat(worst, 0)).into_iter().all(|part| part <= 1.0)
}

/// What of distances and inner products a kernel needs.
struct Needs {
    /// The shortest length over which a term that vanishes far away changes.
    length: Option<f64>,
    /// The least distance at which the gradient of another term is known, 0 at a kink.
    kink: Option<f64>,
    /// Whether a term is dominated by an offset of the points: ⟨x,y⟩, or ‖x‖ + ‖y‖.
    centre: bool,
}

impl Needs {
    fn new(kernel: &Kernel) -> Self {
        let forms = || kernel.terms().iter().map(|(_, form)| form);
        let least = |lengths: &mut dyn Iterator<Item = f64>| lengths.reduce(f64::min);
        // `rq` has no length of its own: at a distance of 1 it has changed.
        let length = least(&mut forms().filter(|form| form.is_bounded()).map(|form| form.length().unwrap_or(1.0)));
        let kink = least(&mut forms().filter_map(|form| match *form {
            Form::Laplacian { .. } | Form::Distance => Some(0.0),
            Form::Energy { a } => Some(a),
            _ => None,
        }));
        Self { length, kink, centre: forms().any(|form| form.degree() == Some(1) || *form == Form::Distance) }
    }

    /// By how much each of the two limits is exceeded: not at all up to 1.
    fn exceeded(&self, pairs: &Pairs, typical: &Tensor<1>) -> Vec<Tensor<1>> {
        let (pair, same) = match pairs {
            Pairs::Between(x, y) => (pair(&(*x).clone().detach(), &(*y).clone().detach()), false),
            Pairs::Within(x) => {
                let x = (*x).clone().detach();
                (pair(&x, &x), true)
            }
        };
        let square = pair.squared_distance().0;
        let sum = pair.xx.0 + pair.yy.0;
        let [n, m] = square.dims();
        let counted = |values: Tensor<2>| {
            if !same {
                return values;
            }
            let diagonal = Tensor::<2, Bool>::diag_mask([n, n], 0, &values.device()).bool_not();
            values.mask_fill(diagonal, 0.0)
        };
        let beside = |length: f64| {
            let least = (length * length).max(f32::MIN_POSITIVE.into());
            counted(sum.clone() / square.clone().clamp_min(least))
        };
        let mut parts = Vec::new();
        if let Some(length) = self.length {
            parts.push(beside(length).max() * (1.0 / DIGITS));
        }
        if let Some(a) = self.kink {
            // Nothing can be wrong by more than the whole of a unit vector. Pairs that are far away count by how far: they are
            // few, and yet not to be lost.
            let ulp = if square.dtype() == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
            let lost = beside(a).clamp_max(1.0 / ulp) * (sum / typical.clone().unsqueeze::<2>() + 1.0);
            let count = if same { n * (n - 1) } else { n * m };
            parts.push(lost.sum() * (1.0 / (MEAN_DIGITS * count.max(1) as f64)));
        }
        parts
    }
}

/// A kernel by its terms of distances and its terms of inner products, for points that are far apart.
pub(super) struct Far {
    distances: Option<Kernel>,
    products: Option<Kernel>,
    /// What is taken for the origin in inner products, shape (1, d).
    centre: Option<Tensor<2>>,
    /// The factor of ‖x‖ + ‖y‖.
    norms: f64,
}

impl Far {
    /// For differences of distributions, of which one are the points `y`.
    ///
    /// They are the same for k(x,y) and k(x,y) + f(x) + f(y). So the norms of `distance` are left out, and what is linear in ⟨x,y⟩
    /// is taken about a point amidst the y.
    pub(super) fn of_differences(kernel: &Kernel, y: &Tensor<2>) -> Self {
        let mut far = Self::new(kernel);
        far.norms = 0.0;
        // Terms of a higher degree change when points are moved.
        let degree = kernel.terms().iter().filter_map(|(_, form)| form.degree()).max();
        far.centre = (degree == Some(1)).then(|| y.clone().detach().mean_dim(0));
        far
    }

    /// For any sums.
    pub(super) fn new(kernel: &Kernel) -> Self {
        let part = |of_products: bool| {
            let terms = kernel.terms().iter().filter(|(_, form)| form.degree().is_some() == of_products);
            let as_energy = |form: Form| if form == Form::Distance { Form::Energy { a: 0.0 } } else { form };
            Kernel::new(terms.map(|&(weight, form)| (weight, as_energy(form))).collect()).ok()
        };
        let norm = |&(weight, form): &(f64, Form)| if form == Form::Distance { weight } else { 0.0 };
        Self {
            distances: part(false),
            products: part(true),
            centre: None,
            norms: kernel.terms().iter().map(norm).sum(),
        }
    }

    /// k(xᵢ, yⱼ), shape (n, m).
    pub(super) fn values(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<2> {
        let mut values = None;
        let mut add = |more: Tensor<2>| {
            values = Some(match values.take() {
                None => more,
                Some(values) => values + more,
            });
        };
        if let Some(kernel) = &self.distances {
            add(kernel.value(&at_distances(x, y)).0);
        }
        if let Some(kernel) = &self.products {
            add(kernel.value(&pair(&self.about(x), &self.about(y))).0);
        }
        if self.norms > 0.0 {
            let norms = |z: &Tensor<2>| kme::internal::Arith::sqrt(Entries(squared_norms(z))).0 * self.norms;
            add(norms(x) + norms(y).transpose());
        }
        values.expect("a kernel has at least one term")
    }

    /// Σᵢ ∇k(hᵢ, xᵢ) over the x, in h: shapes h (b, d), x (n, d) → (b, d).
    pub(super) fn gradients(&self, h: &Tensor<2>, x: &Tensor<2>) -> Tensor<2> {
        let [b, n] = [h.dims()[0], x.dims()[0]];
        let of_distances = self.distances.as_ref().map(|kernel| {
            let Slope { xx, .. } = kernel.slope(&at_distances(h, x));
            kme_conv::weighted_differences(xx.0.expand([b, n]) * 2.0, h.clone(), x.clone())
        });
        let of_products = self.products.as_ref().map(|kernel| {
            let (h, x) = (self.about(h), self.about(x));
            let Slope { dot, .. } = kernel.slope(&pair(&h, &x));
            dot.0.expand([b, n]).matmul(x)
        });
        of_distances
            .into_iter()
            .chain(of_products)
            .reduce(|sum, part| sum + part)
            .expect("a kernel has at least one term")
    }

    /// Σᵢⱼ wᵢwⱼ k(xᵢ,xⱼ), in double precision.
    pub(super) fn norm2(&self, x: &Tensor<2>, weights: &Tensor<2>) -> Result<f64> {
        let weights = place::numbers(weights.clone());
        let [n, d] = x.dims();
        let mut sum = 0.0;
        for (kernel, x) in [(&self.distances, x.clone()), (&self.products, self.about(x))] {
            if let Some(kernel) = kernel {
                let points = Points::new(n, d, Data::F64(place::numbers(x)))?;
                let within = sums::within(kernel, &points, Some(&weights), Precision::F64)?;
                sum += within.off_diagonal + within.diagonal;
            }
        }
        Ok(sum)
    }

    fn about(&self, x: &Tensor<2>) -> Tensor<2> {
        match &self.centre {
            None => x.clone(),
            Some(centre) => x.clone() - centre.clone(),
        }
    }
}

/// All pairs of the x and y as a kernel of distances sees them.
fn at_distances(x: &Tensor<2>, y: &Tensor<2>) -> Pair<Entries> {
    let nothing = || Entries(Tensor::zeros([1, 1], (&x.device(), x.dtype())));
    let squares = kme_conv::squared_distances(x.clone(), y.clone());
    Pair { dot: nothing(), xx: Entries(squares), yy: nothing() }
}
