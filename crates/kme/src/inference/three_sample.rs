//! The relative three-sample test: is a candidate nearer to the reference than another?

use super::marginals::{Marginals, Moments};
use super::skewness::Skewness;
use super::{Null, Outcome, Permutations, coincide, student_cdf};
use crate::kernel::Kernel;
use crate::points::Points;
use crate::sums::{self, About, Differences, Labels};
use crate::{Error, Result};

/// Result of [`three_sample`] and of [`three_sample_asymptotic`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ThreeSample {
    /// Its statistic is the difference over its standard error; p is small when Y is nearer to X: the larger of the two
    /// p-values below.
    pub outcome: Outcome,
    /// MMD²(X,Y) − MMD²(X,Z), unbiased: negative when Y is nearer.
    pub difference: f64,
    /// The root of the variance that counts; 0 where all points of each sample coincide.
    pub standard_error: f64,
    /// The unbiased estimate of the variance of the difference, which may be negative.
    pub variance: f64,
    /// The p-value of the statistic by Student's law, for [`three_sample`] corrected for skewness.
    pub asymptotic_p_value: f64,
    /// The p-value of the difference when the points of Y and Z change their labels, where it was asked for.
    pub permutation_p_value: Option<f64>,
}

/// Pairs of points of both candidates, times labellings, that are summed at most: above, there are fewer permutations.
const MOST: f64 = 1.6e12;

/// Fewest permutations, whatever the number of points, unless fewer were asked for: enough for p to go below 1/(B + 1).
const FEWEST: usize = 199;

/// Tests whether the candidate Y is nearer to the reference X than Z is: H₀ is MMD(X,Y) ≥ MMD(X,Z).
///
/// The hypothesis is a large one, and D = MMD²_u(X,Y) − MMD²_u(X,Z) has two kinds of law on it. Where P_Y ≠ P_Z, it is normal
/// for many points, and its variance can be estimated. Where P_Y = P_Z, as for two good models, or two that are both equal
/// to the reference, it is a difference of centred χ², skewed for unequal sizes, but the labels of Y and Z are
/// exchangeable. So there are two p-values, and p is the larger of them:
///
/// 1. that of [`three_sample_asymptotic`] with two corrections. The variance is that which D would have if Y and Z were as far
///    from X as both are together, where that is larger: it counts for unequal sizes. And p is corrected to first order for the
///    skewness of the statistic, that of its values and that which comes from value and variance going together (narrow laws
///    beside wide ones), but never made smaller by it;
/// 2. (b + 1)/(B + 1), where b of B random exchanges of points between Y and Z give a difference at most as large. Under
///    P_Y = P_Z it is exact, for any sizes, kernel and law. Where b = 0 and B ≥ 100, it is continued below 1/(B + 1) by the
///    exponential law that the smallest tenth of the differences follows: tails of quadratic forms of normal numbers are no
///    heavier. Between them the two laws cover what lies near P_Y = P_Z.
///
/// Neither holds its level alone: Student's law is wrong for P_Y = P_Z and unequal sizes, the permutations are wrong for
/// P_Y ≠ P_Z. How well the larger of them does, and where it does not, is measured in `docs/which-test.md`: no test holds
/// over all of H₀ at small sizes, since a law may have its mass where few points never are.
///
/// *Shapes*: x (n, d), y (m, d), z (l, d); all three are free, from 4 on. *Cost*: 2(n + m + l)² pairs of points and (m + l)²·B
/// additions; with many points, m + l above 40 000, fewer permutations than asked for are made, and at least 199: their number
/// stands in the outcome.
///
/// # Errors
/// When dimensions differ, there are fewer than 4 points of a sample, no permutations, or a sum overflows.
///
/// # Reference
/// Bounliphone, Belilovsky, Blaschko, Antonoglou, Gretton, "A test of relative similarity for model selection in
/// generative models", ICLR 2016, for the statistic; that it must be guarded where laws are equal, and how, is ours.
pub fn three_sample(
    kernel: &Kernel,
    x: &Points,
    y: &Points,
    z: &Points,
    permutations: &Permutations,
) -> Result<ThreeSample> {
    let precision = permutations.precision;
    let of = |candidate: &Points| Marginals::new(kernel, x, candidate, precision);
    let (of_y, of_z) = (of(y)?, of(z)?);
    let (n, total) = (x.len() as f64, (y.len() + z.len()) as f64);
    let count = permutations.count.min(((MOST / total / total) as usize).max(FEWEST));
    let permutations = Permutations { count, ..*permutations };
    let labels = permutations.labels(y.len(), z.len(), "three samples")?;
    // As the sums of the candidates are: what cancels is left out.
    let summed = Differences::new(kernel, &[x]);
    let about = summed.about();
    let differences = differences(about, &Points::concat(&[y, z])?, y.len(), [&of_y, &of_z], &labels, &permutations)?;
    let of_reference = sums::within_minus(about, x, None, Some(of_y.origin()), precision)?.off_diagonal;
    let (mut found, freedom) = asymptotic(&of_y, &of_z, 0.0, Some(of_reference / (n * (n - 1.0))))?;
    let is_usual = |error: f64| error > 0.0 && error.is_finite();
    if [x, y, z].iter().all(|sample| coincide(&[sample])) {
        // What is left of the variance is rounding.
        (found.standard_error, found.variance) = (0.0, 0.0);
        found.difference = if coincide(&[x, y, z]) { 0.0 } else { found.difference };
        found.settle(f64::INFINITY);
    } else if is_usual(found.standard_error) {
        let of = Skewness::estimate(about, [x, y, z], [&of_y, &of_z], found.standard_error, precision)?;
        found.asymptotic_p_value = of.cdf(found.outcome.statistic, freedom);
    }
    let by_permutations = permutation_p_value(&differences, permutations.tolerance(&differences));
    found.permutation_p_value = Some(by_permutations);
    found.outcome.p_value = found.asymptotic_p_value.max(by_permutations);
    found.outcome.null = Null::StudentAndPermutations(count);
    Ok(found)
}

/// The difference for every labelling of the points of Y and Z together.
pub(super) fn differences(
    about: About,
    pooled: &Points,
    m: usize,
    [of_y, of_z]: [&Marginals; 2],
    labels: &Labels,
    permutations: &Permutations,
) -> Result<Vec<f64>> {
    let (kernels, precision) = (std::slice::from_ref(about.kernel), permutations.precision);
    let all = sums::labelled(kernels, pooled, about.centre, labels, &[of_y.origin()], precision)?;
    let (rows, forms) = (&all[0].rows, &all[0].forms);
    let to_reference: Vec<f64> = of_y.columns().iter().chain(of_z.columns()).copied().collect();
    let (total, total_cross) = (rows.iter().sum::<f64>(), to_reference.iter().sum::<f64>());
    let (n, m, l) = (of_y.n() as f64, m as f64, (pooled.len() - m) as f64);
    let sums = forms.iter().zip(labels.sums(rows)).zip(labels.sums(&to_reference));
    let difference = |((within, row), cross): ((&f64, f64), f64)| {
        let own = within / (m * (m - 1.0)) - 2.0 * cross / (n * m);
        let other = (total - 2.0 * row + within) / (l * (l - 1.0)) - 2.0 * (total_cross - cross) / (n * l);
        own - other
    };
    Ok(sums.map(difference).collect())
}

/// The share of differences that are at most the first, continued below the smallest of the others by an exponential law.
pub(super) fn permutation_p_value(differences: &[f64], tolerance: f64) -> f64 {
    let (observed, count) = (differences[0], differences.len() as f64);
    let at_most = differences.iter().filter(|d| **d <= observed + tolerance).count();
    if at_most > 1 {
        return at_most as f64 / count;
    }
    let mut others = differences[1..].to_vec();
    others.sort_unstable_by(f64::total_cmp);
    if others.len() < Permutations::CONTINUED {
        return 1.0 / count;
    }
    let tail = others.len() / 10;
    let mean_excess = others[..tail].iter().map(|d| others[tail] - d).sum::<f64>() / tail as f64;
    let beyond = tail as f64 / count * (-(others[tail] - observed) / mean_excess).exp();
    if beyond.is_nan() { 1.0 / count } else { beyond.clamp(f64::MIN_POSITIVE, 1.0 / count) }
}

/// The asymptotic part of [`three_sample`], from sums alone: H₀ is MMD(X,Y) ≥ MMD(X,Z).
///
/// T = [MMD²_u(X,Y) − MMD²_u(X,Z)]/√V = [μ_yy − 2μ_xy − μ_zz + 2μ_xz]/√V. By Hoeffding's decomposition the variance of the
/// difference is
///
/// V = 4 Var(μ_Y − μ_X)(Y)/m + 4 Var(μ_Z − μ_X)(Z)/l + 4 Var(μ_Y − μ_Z)(X)/n
///   + 2 E k̃(Y,Y')²/(m(m−1)) + 2 E k̃(Z,Z')²/(l(l−1)) + 4 E k̃(X,Y)²/(nm) + 4 E k̃(X,Z)²/(nl),
///
/// whose seven parts are estimated without bias, by averages over distinct points. Their sum may come out negative, or far
/// too small; the last four terms are what remains when all three laws are equal, and V is never smaller: that is what
/// counts then. p is the probability of T under Student's law, with Welch's degrees of freedom
/// V²/Σ (part²/(size − 1)) over the first three parts. `floor` is a least variance on top of that, 0 for none.
///
/// It suits equal sizes of Y and Z of laws of one shape, where chance does to one what it does to the other: the law of the
/// difference is then symmetric. It knows nothing of its skewness otherwise; [`three_sample`], which has the points, does.
///
/// *Shapes*: x (n, d), y (m, d), z (l, d).
///
/// # Errors
/// When the two were summed with other kernels or another reference, or the floor is negative.
///
/// # Reference
/// Bounliphone et al., ICLR 2016; Sutherland et al., ICLR 2017, appendix A; Bińkowski et al., "Demystifying MMD GANs",
/// ICLR 2018, §4. The published estimate of V subtracts squares of means, which makes it too small by terms of the order
/// of the last four, and has an absolute floor in their place.
pub fn three_sample_asymptotic(y: &Marginals, z: &Marginals, floor: f64) -> Result<ThreeSample> {
    Ok(asymptotic(y, z, floor, None)?.0)
}

/// With the degrees of freedom. `reference` is E k(X,X'), for the variance at the border of H₀.
fn asymptotic(y: &Marginals, z: &Marginals, floor: f64, reference: Option<f64>) -> Result<(ThreeSample, f64)> {
    y.check_same_reference(z)?;
    check_floor(floor)?;
    let (own, other) = (y.moments(), z.moments());
    let difference = own.own - 2.0 * own.cross - other.own + 2.0 * other.cross;
    let parts = Parts::new([y, z], [&own, &other]);
    let variance = parts.linear.iter().sum::<f64>() + parts.degenerate;
    if !(variance.is_finite() && difference.is_finite()) {
        let allowed = "a finite number; the points are too large for this kernel, rescale them";
        return Err(Error::value("variance of the difference", variance, allowed));
    }
    let more = reference.map_or(0.0, |reference| parts.at_the_border([y, z], [&own, &other], reference));
    let mut counts = variance.max(parts.least) + more;
    if counts <= 0.0 {
        // Few points, by chance: the kernel as if it had no linear part.
        counts = parts.uncentred;
    }
    let counts = counts.max(floor);
    let outcome = Outcome { statistic: 0.0, p_value: 1.0, null: Null::Student };
    let mut found = ThreeSample {
        outcome,
        difference,
        standard_error: counts.sqrt(),
        variance,
        asymptotic_p_value: 1.0,
        permutation_p_value: None,
    };
    let freedom = parts.freedom(counts, more);
    found.settle(freedom);
    Ok((found, freedom))
}

impl ThreeSample {
    /// The statistic and its p-value from the difference and its standard error.
    fn settle(&mut self, freedom: f64) {
        let statistic = match self.difference {
            0.0 => 0.0,
            difference => difference / self.standard_error,
        };
        // All samples without scatter and no difference: that is what the hypothesis says.
        let certain = self.standard_error == 0.0 && self.difference >= 0.0;
        let p_value = if certain { 1.0 } else { student_cdf(statistic, freedom) };
        self.outcome = Outcome { statistic, p_value, null: self.outcome.null };
        self.asymptotic_p_value = p_value;
    }
}

pub(super) fn check_floor(floor: f64) -> Result<()> {
    match floor.is_finite() && floor >= 0.0 {
        true => Ok(()),
        false => Err(Error::value("floor of the variance", floor, "0 for none, or a number > 0")),
    }
}

/// The variance of the difference, in parts.
struct Parts {
    /// Those of Y, Z and X that remain for many points, and may come out negative.
    linear: [f64; 3],
    /// What is left for equal laws.
    degenerate: f64,
    /// The same, of parts none of which is negative.
    least: f64,
    /// The same, of kernel values that are not centred.
    uncentred: f64,
    /// Points of Y, Z and X.
    sizes: [f64; 3],
}

impl Parts {
    fn new([y, z]: [&Marginals; 2], [own, other]: [&Moments; 2]) -> Self {
        let (n, m, l) = (y.n() as f64, y.m() as f64, z.m() as f64);
        let (both, product) = y.at_reference_with(z);
        let mean2 = own.cross_product + other.cross_product - 2.0 * product;
        let at_reference = own.at_reference + other.at_reference - 2.0 * both - mean2;
        let quadratic = |parts: [f64; 4]| {
            2.0 * parts[0] / (m * (m - 1.0))
                + 2.0 * parts[1] / (l * (l - 1.0))
                + 4.0 * parts[2] / (n * m)
                + 4.0 * parts[3] / (n * l)
        };
        let centred = [own.own_degenerate(), other.own_degenerate(), own.cross_degenerate(), other.cross_degenerate()];
        let uncentred = [own.own_square, other.own_square, own.cross_square, other.cross_square];
        Self {
            linear: [4.0 * own.of_own_witness() / m, 4.0 * other.of_own_witness() / l, 4.0 * at_reference / n],
            degenerate: quadratic(centred),
            least: quadratic(centred.map(|part| part.max(0.0))),
            uncentred: quadratic(uncentred),
            sizes: [m, l, n],
        }
    }

    /// How much more the variance would be if Y and Z were equally far from X, as they are at the border of H₀.
    ///
    /// When chance brings Y near to X, the part of the variance that Y has comes out small with it, since the amplitude of
    /// μ_Y − μ_X is small: value and error are correlated, and T is too often extreme. The part that Z has comes out large for the
    /// same reason. Under H₀ the best estimate of the common MMD² is (m·MMD²(X,Y) + l·MMD²(X,Z))/(m + l), weighted by the
    /// points that speak for either; with their shapes kept, the two parts are proportional to it, and that of Y is at most
    /// MMD²·λ, λ ≤ √E k̃² the largest eigenvalue. For equal sizes the two changes make up for each other, as they should: there
    /// the law is symmetric. What would make the variance smaller is not believed.
    fn at_the_border(&self, [y, z]: [&Marginals; 2], [own, other]: [&Moments; 2], reference: f64) -> f64 {
        let (m, l) = (y.m() as f64, z.m() as f64);
        let to = |candidate: &Moments| (reference + candidate.own - 2.0 * candidate.cross).max(0.0);
        let (to_y, to_z) = (to(own), to(other));
        let common = (m * to_y + l * to_z) / (m + l);
        let [of_y, of_z, _] = self.linear.map(|part| part.max(0.0));
        let bound = 4.0 * common * own.own_degenerate().max(0.0).sqrt() / m;
        let grown = if to_y > 0.0 { (of_y * common / to_y).min(bound) } else { bound };
        let shrunk = if to_z > common { of_z * common / to_z } else { of_z };
        ((grown - of_y).max(0.0) - (of_z - shrunk)).max(0.0)
    }

    /// Welch's degrees of freedom of a variance with its linear parts, that of Y having been enlarged.
    fn freedom(&self, variance: f64, more: f64) -> f64 {
        let [y, z, x] = self.linear.map(|part| part.max(0.0));
        let parts = [y + more, z, x].into_iter().zip(self.sizes);
        variance * variance / parts.map(|(part, size)| part * part / (size - 1.0)).sum::<f64>()
    }
}
