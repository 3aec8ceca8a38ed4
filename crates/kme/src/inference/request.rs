//! Requests: what is asked of samples, with the defaults of everything that was not said.

use super::{
    Aggregated, Block, Blocks, Linear, Memorisation, Outcome, Permutations, ThreeSample, TwoSample, aggregated, block,
    check_level, collection, linear, memorisation, three_sample, two_sample,
};
use crate::discrepancy::Estimator;
use crate::error::named;
use crate::kernel::KernelSpec;
use crate::points::PointsView;
use crate::{Error, Result};

/// Most points of both samples for the aggregated test, unless it is asked for.
const MOST_AGGREGATED: usize = 8_000;

/// Most points of both samples for a test of all pairs, unless it is asked for.
const MOST_PERMUTATION: usize = 80_000;

/// How two samples are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoSampleMethod {
    /// All pairs, of several kernels: [`aggregated`].
    Aggregated,
    /// All pairs: [`two_sample`].
    Permutation,
    /// The pairs within blocks: [`block`].
    Block,
    /// Pairs of neighbours in a random order: [`linear`].
    Linear,
}

// In the order of what they cost.
named!(
    pub TwoSampleMethod, "method":
    Aggregated = "aggregated", Permutation = "permutation", Block = "block", Linear = "linear"
);

/// Are two samples from one distribution?
///
/// # Example
/// ```
/// use kme::{Points, TwoSampleTest};
///
/// let line = |shift: f64| Points::try_from((0..40).map(|i| [0.1 * f64::from(i) + shift]).collect::<Vec<_>>());
/// let found = TwoSampleTest::default().run(&line(0.0)?, &line(2.0)?)?;
/// assert!(found.outcome().rejects(0.05));
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone)]
pub struct TwoSampleTest<'a> {
    /// How they are compared; none: by their size. Up to 8000 points of both together all pairs of several kernels, up to 80 000
    /// all pairs of one kernel, beyond that blocks as large as take no longer. Several kernels are always aggregated.
    pub method: Option<TwoSampleMethod>,
    /// One kernel, or several for the aggregated test; none: its [`collection`], else the `fallback`. Medians are those of both
    /// samples together.
    pub kernels: Vec<KernelSpec>,
    /// The kernel of the tests of one kernel, where none is asked for: `gaussian:sigma=median`.
    pub fallback: KernelSpec,
    /// Biased or unbiased, for the permutation test.
    pub estimator: Option<Estimator>,
    /// Points of the smaller sample in a block; none: the root of their number.
    pub block_size: Option<usize>,
    /// The level at which it must be possible to reject: 0.05.
    pub alpha: f64,
    /// How many permutations, and who watches.
    pub permutations: Permutations<'a>,
}

impl Default for TwoSampleTest<'_> {
    fn default() -> Self {
        Self {
            method: None,
            kernels: Vec::new(),
            fallback: "gaussian:sigma=median".parse().expect("the text of a kernel"),
            estimator: None,
            block_size: None,
            alpha: 0.05,
            permutations: Permutations::default(),
        }
    }
}

/// What a [`TwoSampleTest`] found, by its method.
#[derive(Clone, Debug, PartialEq)]
pub enum TwoSampleFinding {
    /// Of several kernels.
    Aggregated(Aggregated),
    /// Of one kernel and all pairs.
    Permutation(TwoSample),
    /// Of blocks.
    Block(Block),
    /// Of the linear test.
    Linear(Linear),
}

impl TwoSampleFinding {
    /// Statistic and p-value.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Aggregated(found) => found.outcome,
            Self::Permutation(found) => found.outcome,
            Self::Block(found) => found.outcome,
            Self::Linear(found) => found.outcome,
        }
    }
}

impl TwoSampleTest<'_> {
    /// Whether the settings go together, which needs no samples.
    ///
    /// # Errors
    /// When the level is outside its range, or one has no meaning for the method.
    pub fn check(&self) -> Result<()> {
        use TwoSampleMethod::{Aggregated, Block, Permutation};
        check_level(self.alpha)?;
        let only = |parameter, with| Err(Error::not_applicable(parameter, format!("it goes with `method` {with}")));
        if self.kernels.len() > 1 && self.method.is_some_and(|method| method != Aggregated) {
            let allowed = "one kernel, unless for `method` aggregated; + adds kernels";
            return Err(Error::parameter("kernel", "given more than once", allowed));
        }
        if let Some(estimator) = self.estimator.filter(|e| !matches!(e, Estimator::Biased | Estimator::Unbiased)) {
            return Err(Error::parameter("estimator", estimator, "biased or unbiased"));
        }
        if self.estimator.is_some() && self.method != Some(Permutation) {
            return only("estimator", Permutation);
        }
        if self.block_size.is_some() && self.method != Some(Block) {
            return only("block_size", Block);
        }
        Ok(())
    }

    /// How samples of n and m points are compared.
    pub fn method_for(&self, n: usize, m: usize) -> TwoSampleMethod {
        let total = n + m;
        self.method.unwrap_or(match self.kernels.len() {
            2.. => TwoSampleMethod::Aggregated,
            0 if total <= MOST_AGGREGATED => TwoSampleMethod::Aggregated,
            _ if total <= MOST_PERMUTATION => TwoSampleMethod::Permutation,
            _ => TwoSampleMethod::Block,
        })
    }

    /// Makes the test.
    ///
    /// *Shapes*: x (n, d), y (m, d).
    ///
    /// # Errors
    /// As [`check`](Self::check), and as the test that is made; when so few permutations or points could never reject at this
    /// level; when a median is 0; [`Error::Cancelled`] when the observer asks for a stop.
    pub fn run<'p>(&self, x: impl Into<PointsView<'p>>, y: impl Into<PointsView<'p>>) -> Result<TwoSampleFinding> {
        self.run_on(x.into(), y.into())
    }

    fn run_on(&self, x: PointsView, y: PointsView) -> Result<TwoSampleFinding> {
        self.check()?;
        let (n, m, permutations) = (x.len(), y.len(), &self.permutations);
        let method = self.method_for(n, m);
        match method {
            TwoSampleMethod::Aggregated | TwoSampleMethod::Permutation => {
                permutations.check(self.alpha, n, m, true)?;
            }
            TwoSampleMethod::Block | TwoSampleMethod::Linear => permutations.check_level(self.alpha)?,
        }
        let kernel = || self.kernels.first().unwrap_or(&self.fallback).resolve_for(&[x, y]);
        Ok(match method {
            TwoSampleMethod::Aggregated => {
                let kernels = match self.kernels.as_slice() {
                    [] => collection(x, y)?,
                    specs => specs.iter().map(|spec| spec.resolve_for(&[x, y])).collect::<Result<_>>()?,
                };
                TwoSampleFinding::Aggregated(aggregated(&kernels, x, y, permutations)?)
            }
            TwoSampleMethod::Permutation => {
                let estimator = self.estimator.unwrap_or_default();
                TwoSampleFinding::Permutation(two_sample(&kernel()?, x, y, estimator, permutations)?)
            }
            TwoSampleMethod::Block => {
                let blocks = match (self.method, self.block_size) {
                    (_, Some(size)) => Blocks::of_size(n, m, size),
                    (Some(_), None) => Blocks::usual(n, m),
                    (None, None) => Blocks::large(n, m),
                }?;
                TwoSampleFinding::Block(block(&kernel()?, x, y, blocks, permutations)?)
            }
            TwoSampleMethod::Linear => TwoSampleFinding::Linear(linear(&kernel()?, x, y, permutations)?),
        })
    }
}

/// Is one sample nearer to a reference than another?
#[derive(Clone)]
pub struct ThreeSampleTest<'a> {
    /// The kernel of the distance: that of KID, `poly:degree=3,gamma=1/d,coef=1`. A median is that of all three samples together.
    pub kernel: KernelSpec,
    /// The level at which it must be possible to reject: 0.05.
    pub alpha: f64,
    /// How many permutations, and who watches.
    pub permutations: Permutations<'a>,
}

impl Default for ThreeSampleTest<'_> {
    fn default() -> Self {
        let kernel = "poly:degree=3,gamma=1/d,coef=1".parse().expect("the text of a kernel");
        Self { kernel, alpha: 0.05, permutations: Permutations::default() }
    }
}

impl ThreeSampleTest<'_> {
    /// Tests whether y is nearer to the reference x than z is: see [`three_sample`].
    ///
    /// # Errors
    /// As [`three_sample`]; when so few permutations could never reject at this level; when a median is 0.
    pub fn run<'p>(
        &self,
        x: impl Into<PointsView<'p>>,
        y: impl Into<PointsView<'p>>,
        z: impl Into<PointsView<'p>>,
    ) -> Result<ThreeSample> {
        let (x, y, z) = (x.into(), y.into(), z.into());
        self.permutations.check_continued(self.alpha)?;
        three_sample(&self.kernel.resolve_for(&[x, y, z])?, x, y, z, &self.permutations)
    }
}

/// Are samples copies of the points that their generator was trained on?
#[derive(Clone)]
pub struct MemorisationTest<'a> {
    /// The level at which it must be possible to reject: 0.05.
    pub alpha: f64,
    /// How many permutations.
    pub permutations: Permutations<'a>,
}

impl Default for MemorisationTest<'_> {
    fn default() -> Self {
        Self { alpha: 0.05, permutations: Permutations::default() }
    }
}

impl MemorisationTest<'_> {
    /// Tests whether `samples` are nearer to the points of `train` than to those of `held_out`: see [`memorisation`].
    ///
    /// # Errors
    /// As [`memorisation`]; when so few permutations or points could never reject at this level.
    pub fn run<'p>(
        &self,
        samples: impl Into<PointsView<'p>>,
        train: impl Into<PointsView<'p>>,
        held_out: impl Into<PointsView<'p>>,
    ) -> Result<Memorisation> {
        let (train, held_out) = (train.into(), held_out.into());
        self.permutations.check(self.alpha, train.len(), held_out.len(), false)?;
        memorisation(samples, train, held_out, &self.permutations)
    }
}
