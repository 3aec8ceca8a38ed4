//! One request: how many points of a sample to keep, found by which method, under which kernel.

use super::{Herding, Quantiles, Reduced, Support, Target, Thinning, Weighting};
use crate::discrepancy::Sample;
use crate::kernel::{Form, Kernel, KernelSpec};
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Which method finds the points, with its settings. As text it is the name, which stands for the defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReductionMethod {
    /// Kernel herding.
    Herding(Herding),
    /// Kernel thinning.
    Thinning(Thinning),
    /// Support points, which move.
    Support(Support),
}

impl Default for ReductionMethod {
    fn default() -> Self {
        Self::Herding(Herding::default())
    }
}

impl ReductionMethod {
    /// The names, in the order of the variants.
    pub const NAMES: [&'static str; 3] = ["herding", "thinning", "support"];

    /// Whether it can use this kernel: support points minimise an energy distance, the others take every kernel.
    pub fn takes(&self, kernel: &Kernel) -> bool {
        !matches!(self, Self::Support(_)) || matches!(kernel.terms(), [(_, Form::Energy { .. })])
    }

    /// Whether the seed decides with the sample what is found.
    pub fn is_random(&self) -> bool {
        !matches!(self, Self::Herding(_))
    }

    /// Whether the points that it finds need not be points of the sample.
    pub fn moves_points(&self) -> bool {
        matches!(self, Self::Support(Support { snap: false, .. }))
    }

    /// The kernel where none is asked for: `gaussian:sigma=median`, for support points `energy`.
    pub fn default_kernel(&self) -> KernelSpec {
        let text = if matches!(self, Self::Support(_)) { "energy" } else { "gaussian:sigma=median" };
        text.parse().expect("the text of a kernel")
    }

    /// How the points are weighted once they are found.
    pub fn weighting(&self) -> Weighting {
        match *self {
            Self::Herding(Herding { weighting, .. })
            | Self::Thinning(Thinning { weighting, .. })
            | Self::Support(Support { weighting, .. }) => weighting,
        }
    }

    fn reduce(&self, target: &Target, n: usize, seed: u64) -> Result<Reduced> {
        match self {
            Self::Herding(herding) => herding.reduce(target, n),
            Self::Thinning(thinning) => thinning.reduce(target, n, seed),
            Self::Support(support) => support.reduce(target, n, seed),
        }
    }
}

impl fmt::Display for ReductionMethod {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Herding(_) => Self::NAMES[0],
            Self::Thinning(_) => Self::NAMES[1],
            Self::Support(_) => Self::NAMES[2],
        })
    }
}

impl FromStr for ReductionMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "herding" => Ok(Self::default()),
            "thinning" => Ok(Self::Thinning(Thinning::default())),
            "support" => Ok(Self::Support(Support::default())),
            _ => Err(Error::unknown("method", text, Self::NAMES)),
        }
    }
}

/// A request to keep n points of a sample.
///
/// # Example
/// ```
/// use kme::{Points, Reduction, ReductionMethod, Thinning};
///
/// let x = Points::try_from((0..256).map(|i| [f64::from(i) / 255.0]).collect::<Vec<_>>())?;
/// let few = Reduction { method: ReductionMethod::Thinning(Thinning::default()), ..Reduction::new(16) }.run(&x)?;
/// assert!(few.reduced.mmd2 < few.random_subsets.low);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// How many points to keep.
    pub n: usize,
    /// Which method finds them: herding, unless told otherwise.
    pub method: ReductionMethod,
    /// The kernel of the embedding; none: [`ReductionMethod::default_kernel`]. A median is that of the sample.
    pub kernel: Option<KernelSpec>,
    /// Of the method, and of the random subsets.
    pub seed: u64,
}

/// What came of a [`Reduction`].
#[derive(Clone, Debug, PartialEq)]
pub struct Coreset {
    /// The points that were found.
    pub reduced: Reduced,
    /// The kernel, with its numbers.
    pub kernel: Kernel,
    /// The MMD² of random subsets of the same size: of 100, or of fewer, but at least 20, where those would cost more than
    /// the embedding of the sample.
    pub random_subsets: Quantiles,
}

impl Reduction {
    /// A request for n points with the defaults of everything else.
    pub fn new(n: usize) -> Self {
        Self { n, method: ReductionMethod::default(), kernel: None, seed: 0 }
    }

    /// Finds the points.
    ///
    /// # Errors
    /// When n is 0 or above the number of points, weights do not fit, the method does not take the kernel, or a median is 0.
    pub fn run<'a>(&self, sample: impl Into<Sample<'a>>) -> Result<Coreset> {
        self.run_on(sample.into())
    }

    fn run_on(&self, sample: Sample) -> Result<Coreset> {
        let spec = self.kernel.clone().unwrap_or_else(|| self.method.default_kernel());
        let kernel = spec.resolve_for(&[sample.points])?;
        let target = Target::new(&kernel, sample)?;
        let reduced = self.method.reduce(&target, self.n, self.seed)?;
        // Each subset costs n² pairs, the embedding of the sample N²/2.
        let subsets = ((sample.points.len() as f64 / self.n as f64).powi(2) as usize).clamp(20, 100);
        let random_subsets = target.random_subsets(self.n, subsets, self.seed)?;
        Ok(Coreset { reduced, kernel, random_subsets })
    }
}
