//! The relative three-sample test: is a candidate nearer to the reference than another?

use super::marginals::Marginals;
use super::skewness::Skewness;
use super::{Null, Outcome, Permutations, student_cdf};
use crate::kernel::Kernel;
use crate::points::{Points, PointsView, coincide};
use crate::sums::{self, About, Differences, Labels, Pairs};
use crate::{Error, Result};

/// Result of [`three_sample`] and of [`three_sample_asymptotic`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ThreeSample {
    /// Its statistic is the difference over its standard error; p is small when Y is nearer to X.
    pub outcome: Outcome,
    /// MMD²(X,Y) − MMD²(X,Z), unbiased: negative when Y is nearer.
    pub difference: f64,
    /// The root of the variance that counts; 0 where all points of each sample coincide.
    pub standard_error: f64,
    /// The unbiased estimate of the variance of the difference, which may be negative.
    pub variance: f64,
    /// The p-value of the statistic by Student's law, for [`three_sample`] corrected for skewness.
    pub asymptotic_p_value: f64,
    /// What [`three_sample`] finds beside it.
    pub guard: Option<Guard>,
}

/// What guards the p-value of [`three_sample`] where the difference is far from normal.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Guard {
    /// How much the asymptotic p-value counts: 1 where the difference is nearly normal, 0 where the guard alone counts.
    pub weight: f64,
    /// The p-value of the difference when the points of Y and Z change their labels.
    pub permutation_p_value: f64,
    /// The larger of that and of a cautious asymptotic one.
    pub p_value: f64,
}

/// Pairs of points of both candidates, times labellings, that are summed at most: above, there are fewer permutations.
const MOST: f64 = 1.6e12;

/// Fewest permutations, whatever the number of points, unless fewer were asked for: enough for p to go below 1/(B + 1).
const FEWEST: usize = 199;

/// Share of the quadratic terms in the variance up to which an expansion about the normal law is trusted; from twice as much on,
/// it counts for nothing.
const NEARLY_LINEAR: f64 = 0.1;

/// Points of a sample, up to which it is too small for an expansion; twice as many are enough.
const FEW: f64 = 20.0;

/// Points of Z for one of Y from which on an expansion is not trusted; for one less it is in full.
const SMALLER: f64 = 2.5;

/// Tests whether the candidate Y is nearer to the reference X than Z is: H₀ is MMD(X,Y) ≥ MMD(X,Z).
///
/// The hypothesis is a large one, and D = MMD²_u(X,Y) − MMD²_u(X,Z) has two kinds of law on it. Where P_Y ≠ P_Z, or both are
/// away from X, it is normal for many points, and its variance can be estimated. Where all are nearly equal, it is a difference of
/// centred χ², skewed for unequal sizes, but the labels of Y and Z are nearly exchangeable. Which of the two it is shows in the share
/// r that the quadratic terms of D have in its variance. So there are two p-values:
///
/// 1. the asymptotic one: that of [`three_sample_asymptotic`], corrected to first order for the skewness of the statistic, that of
///    its values and that which comes from value and variance going together (narrow laws beside wide ones);
/// 2. the guard, the larger of two: (b + 1)/(B + 1), where b of B random exchanges of points between Y and Z give a
///    difference at most as large; and the asymptotic one with the variance that D would have if Y and Z were as far from X as
///    both are together, where that is larger, and with no correction that makes p smaller. Under P_Y = P_Z the former is
///    exact, for any sizes, kernel and law. Where b = 0 and B ≥ 100, it is continued below 1/(B + 1) by the exponential law that the
///    smallest tenth of the differences follows: tails of quadratic forms of normal numbers are no heavier.
///
/// p = asymptotic^w · guard^(1−w). The weight w is 1 for r ≤ 0.1, at least 40 points of each sample, and l ≤ 1.5 m; it goes down
/// linearly in each, to 0 for r ≥ 0.2, samples of 20 points, and l ≥ 2.5 m.
///
/// Neither holds its level alone: Student's law is wrong for equal laws, the permutations are wrong for P_Y ≠ P_Z. How well both
/// together do, and where they do not, is measured in `docs/which-test.md`: no test holds over all of H₀ at small sizes, since a law may
/// have its mass where few points never are.
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
pub fn three_sample<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    z: impl Into<PointsView<'a>>,
    permutations: &Permutations,
) -> Result<ThreeSample> {
    of_views(kernel, x.into(), y.into(), z.into(), permutations)
}

fn of_views(
    kernel: &Kernel,
    x: PointsView,
    y: PointsView,
    z: PointsView,
    permutations: &Permutations,
) -> Result<ThreeSample> {
    let precision = permutations.precision;
    let of = |candidate: PointsView| Marginals::new(kernel, x, candidate, precision);
    let (of_y, of_z) = (of(y)?, of(z)?);
    let (n, total) = (x.len() as f64, (y.len() + z.len()) as f64);
    let count = permutations.count.min(((MOST / total / total) as usize).max(FEWEST));
    let permutations = Permutations { count, ..*permutations };
    let labels = permutations.labels(y.len(), z.len(), "three samples")?;
    // As the sums of the candidates are: what cancels is left out.
    let summed = Differences::new(kernel, &[x]);
    let about = summed.about();
    let differences =
        differences(about, Points::concat(&[y, z])?.view(), y.len(), [&of_y, &of_z], &labels, &permutations)?;
    let of_reference =
        sums::within_minus(about, x, None, Some(of_y.origin()), precision)?.off_diagonal / (n * (n - 1.0));
    let permutation_p_value = permutation_p_value(&differences, permutations.tolerance(&differences));
    let mut found = Difference::new(&of_y, &of_z)?;
    if [x, y, z].iter().all(|sample| sample.coincide()) {
        // What is left of the variance is rounding.
        found = found.without_scatter(if coincide(&[x, y, z]) { 0.0 } else { found.value });
    }
    let usual = found.counts.sqrt();
    let skewness = match usual > 0.0 && usual.is_finite() {
        true => Some(Skewness::estimate(about, [x, y, z], [&of_y, &of_z], usual, precision)?),
        false => None,
    };
    // With the variance enlarged by so much.
    let p_value = |more: f64, corrected: fn(&Skewness, f64, f64) -> f64| {
        let variance = found.counts + more;
        match skewness {
            Some(skewness) => {
                let error = variance.sqrt();
                corrected(&skewness.over(error / usual), found.over(error), found.freedom(variance, more))
            }
            None => found.by_student(variance, more),
        }
    };
    let asymptotic = p_value(0.0, Skewness::cdf);
    let cautious = p_value(found.more_at_the_border(of_reference), Skewness::cautious_cdf);
    let p_value = permutation_p_value.max(cautious);
    let guard = Guard { weight: found.weight(), permutation_p_value, p_value };
    // A p-value of permutations may be α itself, which a logarithm and back need not give.
    let outcome = match guard.weight {
        0.0 => p_value,
        1.0 => asymptotic,
        weight => (weight * asymptotic.ln() + (1.0 - weight) * p_value.ln()).exp(),
    };
    let mut found = found.found(found.counts.sqrt(), asymptotic);
    found.outcome.p_value = outcome.clamp(f64::MIN_POSITIVE, 1.0);
    found.outcome.null = Null::StudentAndPermutations(count);
    Ok(ThreeSample { guard: Some(guard), ..found })
}

/// The difference for every labelling of the points of Y and Z together.
pub(super) fn differences(
    about: About,
    pooled: PointsView,
    m: usize,
    [of_y, of_z]: [&Marginals; 2],
    labels: &Labels,
    permutations: &Permutations,
) -> Result<Vec<f64>> {
    let (kernels, precision) = (std::slice::from_ref(about.kernel), permutations.precision);
    let pairs = Pairs::new(permutations.observer, 1, 1, pooled.len());
    let all = sums::labelled(kernels, pooled, about.centre, labels, &[of_y.origin()], precision, &pairs)?;
    pairs.finish();
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
    check_floor(floor)?;
    let found = Difference::new(y, z)?;
    let variance = found.counts.max(floor);
    Ok(found.found(variance.sqrt(), found.by_student(variance, 0.0)))
}

pub(super) fn check_floor(floor: f64) -> Result<()> {
    match floor.is_finite() && floor >= 0.0 {
        true => Ok(()),
        false => Err(Error::parameter("floor", floor, "0 for none, or a number greater than 0")),
    }
}

/// MMD²_u(X,Y) − MMD²_u(X,Z), and its variance in parts.
#[derive(Clone, Copy)]
struct Difference {
    value: f64,
    /// The unbiased estimate of its variance, which may be negative.
    variance: f64,
    /// The variance that counts, at least that of equal laws.
    counts: f64,
    /// The parts of Y, Z and X that remain for many points, and may come out negative.
    linear: [f64; 3],
    /// What is left for equal laws, of parts none of which is negative.
    least: f64,
    /// Points of Y, Z and X.
    sizes: [f64; 3],
    /// Unbiased MMD² without E k(X,X'), of Y and Z.
    apart: [f64; 2],
    /// E k̃(Y,Y')²
    own_degenerate: f64,
}

impl Difference {
    fn new(y: &Marginals, z: &Marginals) -> Result<Self> {
        y.check_same_reference(z)?;
        let (own, other) = (y.moments(), z.moments());
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
        let linear = [4.0 * own.of_own_witness() / m, 4.0 * other.of_own_witness() / l, 4.0 * at_reference / n];
        let least = quadratic(centred.map(|part| part.max(0.0)));
        let variance = linear.iter().sum::<f64>() + quadratic(centred);
        let value = own.own - 2.0 * own.cross - other.own + 2.0 * other.cross;
        if let Some(given) = [variance, value].into_iter().find(|x| !x.is_finite()) {
            let remedy = "the points are too large for this kernel, rescale them";
            return Err(Error::not_finite("difference of the squared MMDs, or its variance,", given, remedy));
        }
        let counts = match variance.max(least) {
            counts if counts > 0.0 => counts,
            // Few points, by chance: the kernel as if it had no linear part.
            _ => quadratic([own.own_square, other.own_square, own.cross_square, other.cross_square]),
        };
        let apart = [&own, &other].map(|candidate| candidate.own - 2.0 * candidate.cross);
        let own_degenerate = own.own_degenerate();
        Ok(Self { value, variance, counts, linear, least, sizes: [m, l, n], apart, own_degenerate })
    }

    /// The difference of samples each of which has all points in one place.
    fn without_scatter(self, value: f64) -> Self {
        Self { value, variance: 0.0, counts: 0.0, linear: [0.0; 3], least: 0.0, own_degenerate: 0.0, ..self }
    }

    /// T with this standard error.
    fn over(&self, error: f64) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / error }
    }

    /// P(T ≤ t) by Student's law, with a part `more` in this variance that Y is given.
    fn by_student(&self, variance: f64, more: f64) -> f64 {
        // No scatter and no difference: that is what the hypothesis says.
        if variance == 0.0 && self.value >= 0.0 {
            return 1.0;
        }
        student_cdf(self.over(variance.sqrt()), self.freedom(variance, more))
    }

    /// How much more the variance would be if Y and Z were equally far from X, as they are at the border of H₀.
    ///
    /// When chance brings Y near to X, the part of the variance that Y has comes out small with it, since the amplitude of
    /// μ_Y − μ_X is small: value and error are correlated, and T is too often extreme. The part that Z has comes out large for the
    /// same reason. Under H₀ the best estimate of the common MMD² is (m·MMD²(X,Y) + l·MMD²(X,Z))/(m + l), weighted by the
    /// points that speak for either; with their shapes kept, the two parts are proportional to it, and that of Y is at most
    /// MMD²·λ, λ ≤ √E k̃² the largest eigenvalue. For equal sizes the two changes make up for each other, as they should: there
    /// the law is symmetric. What would make the variance smaller is not believed. `reference` is E k(X,X').
    fn more_at_the_border(&self, reference: f64) -> f64 {
        let [m, l, _] = self.sizes;
        let [to_y, to_z] = self.apart.map(|apart| (reference + apart).max(0.0));
        let common = (m * to_y + l * to_z) / (m + l);
        let [of_y, of_z, _] = self.linear.map(|part| part.max(0.0));
        let bound = 4.0 * common * self.own_degenerate.max(0.0).sqrt() / m;
        let grown = if to_y > 0.0 { (of_y * common / to_y).min(bound) } else { bound };
        let shrunk = if to_z > common { of_z * common / to_z } else { of_z };
        ((grown - of_y).max(0.0) - (of_z - shrunk)).max(0.0)
    }

    /// Welch's degrees of freedom of a variance with its linear parts, that of Y having been enlarged by `more`.
    fn freedom(&self, variance: f64, more: f64) -> f64 {
        let [y, z, x] = self.linear.map(|part| part.max(0.0));
        let parts = [y + more, z, x].into_iter().zip(self.sizes);
        variance * variance / parts.map(|(part, size)| part * part / (size - 1.0)).sum::<f64>()
    }

    /// How far the expansion about the normal law is trusted, from 0 to 1: it asks for a variance that is mostly linear, for
    /// points enough to estimate a skewness, and for a Y that is not much smaller than Z. Where it is, value and variance of T go
    /// together most, and where that counts it cannot be seen in the sample.
    fn weight(&self) -> f64 {
        let share = if self.variance > self.least { self.least / self.variance } else { 1.0 };
        let [m, l, n] = self.sizes;
        let trusted = |x: f64| x.clamp(0.0, 1.0);
        trusted(2.0 - share / NEARLY_LINEAR) * trusted((m.min(l).min(n) - FEW) / FEW) * trusted(SMALLER - l / m)
    }

    fn found(&self, error: f64, asymptotic_p_value: f64) -> ThreeSample {
        let statistic = self.over(error);
        ThreeSample {
            outcome: Outcome { statistic, p_value: asymptotic_p_value, null: Null::Student },
            difference: self.value,
            standard_error: error,
            variance: self.variance,
            asymptotic_p_value,
            guard: None,
        }
    }
}
