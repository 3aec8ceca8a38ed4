//! The relative three-sample test: is a candidate nearer to the reference than another?

use super::marginals::{Marginals, Moments};
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
    /// The p-value of the statistic by Student's law.
    pub asymptotic_p_value: f64,
    /// The p-value of the difference when the points of Y and Z change their labels, where it was asked for.
    pub permutation_p_value: Option<f64>,
}

/// Pairs of points of both candidates, times labellings, that are summed at most: above, there are fewer permutations.
const MOST: f64 = 1.6e12;

/// Fewest permutations, whatever the number of points.
const FEWEST: usize = 99;

/// Tests whether the candidate Y is nearer to the reference X than Z is: H₀ is MMD(X,Y) ≥ MMD(X,Z).
///
/// The hypothesis is a large one, and D = MMD²_u(X,Y) − MMD²_u(X,Z) has two kinds of law on it. Where P_Y ≠ P_Z, it is normal
/// for many points, and its variance can be estimated. Where P_Y = P_Z, as for two good models, or two that are both equal
/// to the reference, it is a difference of centred χ², skewed for unequal sizes, but the labels of Y and Z are
/// exchangeable. So there are two p-values, and p is the larger of them:
///
/// 1. that of [`three_sample_asymptotic`];
/// 2. (b + 1)/(B + 1), where b of B random exchanges of points between Y and Z give a difference at most as large. Under
///    P_Y = P_Z it is exact, for any sizes, kernel and law. Where b = 0, it is continued below 1/(B + 1) by the
///    exponential law that the smallest tenth of the differences follows: tails of quadratic forms of normal numbers are no
///    heavier. Between them the two laws cover what lies near P_Y = P_Z.
///
/// Both hold their level in the measurements of `docs/which-test.md`.
///
/// *Shapes*: x (n, d), y (m, d), z (l, d); all three are free, from 4 on. *Cost*: (n + m + l)² pairs of points and (m + l)²·B
/// additions; with many points, m + l above 40 000, fewer permutations than asked for are made, and at least 99.
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
    let of_reference = || -> Result<f64> {
        let origin = Some(of_y.origin());
        Ok(sums::within_minus(about, x, None, origin, precision)?.off_diagonal / (n * (n - 1.0)))
    };
    let reference = if y.len() < z.len() { Some(of_reference()?) } else { None };
    let mut found = asymptotic(&of_y, &of_z, 0.0, reference)?;
    if [x, y, z].iter().all(|sample| coincide(&[sample])) {
        // What is left of the variance is rounding.
        (found.standard_error, found.variance) = (0.0, 0.0);
        found.difference = if coincide(&[x, y, z]) { 0.0 } else { found.difference };
        found.settle(f64::INFINITY);
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
    let tail = others.len() / 10;
    if tail < 10 {
        return 1.0 / count;
    }
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
/// It suits equal sizes of Y and Z, where chance does to one what it does to the other: for P_Y = P_Z the law of the
/// difference is then symmetric. It knows nothing of its skewness for unequal ones.
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
    asymptotic(y, z, floor, None)
}

/// `reference` is E k(X,X'), for a correction that unequal sizes need.
fn asymptotic(y: &Marginals, z: &Marginals, floor: f64, reference: Option<f64>) -> Result<ThreeSample> {
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
    let more = reference.map_or(0.0, |reference| parts.amplified([y, z], [&own, &other], reference));
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
    found.settle(parts.freedom(counts, more));
    Ok(found)
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

    /// How much more the variance would be if Y were as far from X as Z is, which H₀ says it is at least.
    ///
    /// Where Y has fewer points than Z, its chance decides. When that brings Y near to X, the part of the variance that Y
    /// has comes out small with it, since (μ_Y − μ_X) is small: value and error are correlated, and T is too often
    /// extreme. The amplitude of μ_Y − μ_X under H₀ is that of Z; with its shape kept, its variance grows as MMD² does, and
    /// is at most MMD²·λ, λ ≤ √E k̃² the largest eigenvalue. For equal sizes the same happens to Z with the other sign.
    fn amplified(&self, [y, z]: [&Marginals; 2], [own, other]: [&Moments; 2], reference: f64) -> f64 {
        let (m, l) = (y.m() as f64, z.m() as f64);
        let to_y = reference + own.own - 2.0 * own.cross;
        let to_z = (reference + other.own - 2.0 * other.cross).max(0.0);
        let linear = self.linear[0].max(0.0);
        let bound = 4.0 * to_z * own.own_degenerate().max(0.0).sqrt() / m;
        let grown = if to_y > 0.0 { (linear * to_z / to_y).min(bound) } else { bound };
        (2.0 * (1.0 - m / l)).clamp(0.0, 1.0) * (grown - linear).max(0.0)
    }

    /// Welch's degrees of freedom of a variance with its linear parts, that of Y having been enlarged.
    fn freedom(&self, variance: f64, more: f64) -> f64 {
        let [y, z, x] = self.linear.map(|part| part.max(0.0));
        let parts = [y + more, z, x].into_iter().zip(self.sizes);
        variance * variance / parts.map(|(part, size)| part * part / (size - 1.0)).sum::<f64>()
    }
}
