//! The kernel inception distance: on all points, and by the subset protocols of the field's tools.

use super::numpy::RandomState;
use super::{Protocol, mean_and_spread};
use crate::discrepancy::{self, Variance, unbiased_with_variance};
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError};
use crate::sums::Precision;
use crate::{Error, Field, Result, rng};

/// How many subsets are drawn, and of how many points of each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subsets {
    /// How many subsets are drawn.
    pub count: usize,
    /// Points of each subset.
    pub size: usize,
}

impl Default for Subsets {
    /// 100 subsets of 1000 points: Bińkowski et al., torch-fidelity and clean-fid agree.
    fn default() -> Self {
        Self { count: 100, size: 1000 }
    }
}

/// The places of the points of one subset in both samples, equally many of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Places of the reference's points.
    pub reference: Vec<usize>,
    /// Places of the candidate's points.
    pub candidate: Vec<usize>,
}

/// A kernel inception distance, as it came out: it may be negative.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Kid {
    /// Unbiased MMD² with the kernel (⟨x,y⟩/d + 1)³; of a protocol with subsets the mean over them.
    pub value: f64,
    /// Estimated standard deviation of `value` over new samples of the same sizes and, with subsets, new draws of them.
    pub standard_error: Option<f64>,
    /// Why there is no standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// The standard deviation over the subsets, divided by their number as NumPy's `std`: what papers and tools print
    /// as ±. It tells how an estimate from one subset scatters, not how well `value` is known.
    pub spread: Option<f64>,
    /// Whose way of drawing was followed.
    pub protocol: Protocol,
    /// The subsets that were drawn.
    pub subsets: Option<Subsets>,
    /// The seed of the subsets.
    pub seed: Option<u64>,
    /// Number of points of the reference.
    pub n: usize,
    /// Number of points of the candidate.
    pub m: usize,
}

/// How a kernel inception distance is measured: on all points in double precision, unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KidSettings {
    /// Whose way of drawing subsets is followed; [`Protocol::Full`], the default, draws none.
    pub protocol: Protocol,
    /// The subsets, of protocols that draw them.
    pub subsets: Subsets,
    /// Their seed; none: that of the protocol.
    pub seed: Option<u64>,
    /// The arithmetic of the kernel.
    pub precision: Precision,
}

impl Default for KidSettings {
    fn default() -> Self {
        Self { protocol: Protocol::Full, subsets: Subsets::default(), seed: None, precision: Precision::F64 }
    }
}

impl KidSettings {
    /// The kernel inception distance between the features of a reference and of a candidate.
    ///
    /// KID = unbiased MMD² with k(x,y) = (⟨x,y⟩/d + 1)³, not multiplied by 100. [`Protocol::Full`] takes all points; the
    /// others take the mean over subsets drawn without replacement, whose expectation is the same and whose scatter is
    /// larger.
    ///
    /// *Standard error*: of the full value as [`discrepancy::mmd2`]. Given the samples, subsets are independent draws whose mean
    /// is the full value on average, so the variance of the mean over B of them is Var(full) + E Var(one | samples)/B: the
    /// first is estimated from the parts of the variance averaged over the subsets, the second by their scatter. There is none
    /// for subsets of fewer than 4 points.
    ///
    /// *Shapes*: reference (n, d), candidate (m, d).
    ///
    /// # Errors
    /// When dimensions differ, a sample has fewer than 2 points or fewer than a subset (clean-fid: subsets shrink), or a sum
    /// overflows.
    ///
    /// *Reference*: Bińkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, §4.
    pub fn measure<'a>(
        &self,
        reference: impl Into<PointsView<'a>>,
        candidate: impl Into<PointsView<'a>>,
    ) -> Result<Kid> {
        of_views(*self, reference.into(), candidate.into())
    }
}

fn of_views(settings: KidSettings, reference: PointsView, candidate: PointsView) -> Result<Kid> {
    let KidSettings { protocol, subsets, seed, precision } = settings;
    if protocol == Protocol::Full {
        let full = discrepancy::kid(reference, candidate, precision)?;
        return Ok(Kid {
            value: full.value,
            standard_error: full.standard_error,
            standard_error_missing: full.standard_error_missing,
            spread: None,
            protocol,
            subsets: None,
            seed: None,
            n: full.n,
            m: full.m,
        });
    }
    let seed = seed.unwrap_or(protocol.default_seed());
    let draws = draws(protocol, subsets, reference.len(), candidate.len(), seed)?;
    let subsets = Subsets { count: draws.len(), size: draws[0].reference.len() };
    let found = kid_on_draws(reference, candidate, &draws, precision)?;
    Ok(Kid { protocol, subsets: Some(subsets), seed: Some(seed), ..found })
}

/// The mean of the kernel inception distance over given subsets; see [`KidSettings::measure`]. Its protocol is [`Protocol::Paper`].
///
/// # Errors
/// As [`KidSettings::measure`]; also when there are no subsets, they differ in size, or a place is beyond its sample.
pub fn kid_on_draws<'a>(
    reference: impl Into<PointsView<'a>>,
    candidate: impl Into<PointsView<'a>>,
    draws: &[Draw],
    precision: Precision,
) -> Result<Kid> {
    mean_over_draws(reference.into(), candidate.into(), draws, precision)
}

fn mean_over_draws(reference: PointsView, candidate: PointsView, draws: &[Draw], precision: Precision) -> Result<Kid> {
    let Some(first) = draws.first() else {
        return Err(Error::too_few("subsets", 0, 1, "a mean over subsets"));
    };
    let size = first.reference.len();
    if let Some(other) = draws.iter().flat_map(|d| [&d.reference, &d.candidate]).find(|places| places.len() != size) {
        let field = Field::Count("points in a subset".into());
        return Err(Error::mismatch(field, size, other.len(), "draw equally many points of both"));
    }
    if size < 2 {
        return Err(Error::too_few("points", size, 2, "a subset"));
    }
    reference.check_same_dim(candidate)?;
    let kernel = Kernel::kid(reference.dim())?;
    let (mut values, mut variances) = (Vec::new(), Vec::new());
    for draw in draws {
        let (x, y) = (reference.select(&draw.reference)?, candidate.select(&draw.candidate)?);
        let (value, variance) = unbiased_with_variance(&kernel, x.view(), y.view(), precision)?;
        values.push(value);
        variances.push(variance);
    }
    let (value, spread) = mean_and_spread(&values);
    let (n, m, count) = (reference.len(), candidate.len(), draws.len());
    let at = |n: usize, m: usize| Variance::mean(&variances)?.at(n as f64, m as f64).standard_error();
    let error = match count {
        1 => at(size, size),
        _ => at(n, m).map(|full| (full * full + spread * spread / (count as f64 - 1.0)).sqrt()),
    };
    let (standard_error, standard_error_missing) = standard_error::fields(error);
    Ok(Kid {
        value,
        standard_error,
        standard_error_missing,
        spread: Some(spread),
        protocol: Protocol::Paper,
        subsets: Some(Subsets { count, size }),
        seed: None,
        n,
        m,
    })
}

/// The subsets that a protocol draws from `n` points of the reference and `m` of the candidate; none for
/// [`Protocol::Full`].
///
/// # Errors
/// When there are no subsets, or a sample has too few points for one.
pub fn draws(protocol: Protocol, subsets: Subsets, n: usize, m: usize, seed: u64) -> Result<Vec<Draw>> {
    let Subsets { count, size } = subsets;
    if protocol == Protocol::PytorchFid {
        let reason = "pytorch-fid computes FID alone; choose full, torch-fidelity, clean-fid or paper";
        return Err(Error::unsupported("compute KID by the protocol pytorch-fid", reason));
    }
    if count == 0 {
        return Err(Error::parameter("subsets", count, "at least 1"));
    }
    if size < 2 {
        return Err(Error::parameter("subset_size", size, "at least 2"));
    }
    let smaller = n.min(m);
    if smaller < 2 {
        return Err(Error::too_few("points", smaller, 2, "KID"));
    }
    let size = if protocol == Protocol::CleanFid { size.min(smaller) } else { size };
    if smaller < size {
        let of = if n < m { "reference" } else { "candidate" };
        let allowed =
            format!("from 2 to {smaller}, the number of points of the {of}; the protocol full takes all points");
        return Err(Error::parameter("subset_size", size, allowed));
    }
    match protocol {
        Protocol::Full | Protocol::PytorchFid => Ok(vec![]),
        Protocol::Paper => Ok((0..count as u64)
            .map(|i| {
                let choose =
                    |sample, of| rng::choose(&mut rng::stream(seed, &format!("kid subsets of {sample}"), i), of, size);
                Draw { reference: choose("reference", n), candidate: choose("candidate", m) }
            })
            .collect()),
        // Both tools draw the candidate first.
        Protocol::TorchFidelity | Protocol::CleanFid => {
            let mut state = RandomState::new(seed)?;
            let mut choose = |of| state.permutation(of)[..size].to_vec();
            Ok((0..count).map(|_| Draw { candidate: choose(m), reference: choose(n) }).collect())
        }
    }
}
