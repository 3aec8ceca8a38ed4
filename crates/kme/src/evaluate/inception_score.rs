//! The inception score.

use super::numpy::RandomState;
use super::{Protocol, mean_and_spread};
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError};
use crate::{Error, Result, rng};
use rayon::prelude::*;

/// The inception score of a sample of pictures.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InceptionScore {
    /// The mean over the splits; from 1 to the number of classes.
    pub value: f64,
    /// The standard deviation over the splits, divided by the root of their number less one: that of `value` over new
    /// samples of the same size. None for one split, and where rounding is all that tells the splits apart.
    pub standard_error: Option<f64>,
    /// Why there is no standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// The standard deviation over the splits, divided by their number as NumPy's `std`: what is printed as ±.
    pub spread: f64,
    /// How many parts the images were split into.
    pub splits: usize,
    /// The seed of the order of the images; none when they stay as they are.
    pub seed: Option<u64>,
    /// Number of images.
    pub n: usize,
    /// Logits of an image.
    pub classes: usize,
}

/// What rounding makes of equal scores of splits, as a part of them.
const ROUNDING: f64 = 1e-13;

/// The inception score exp(mean KL(p(y|x) ‖ p(y))), where p(y) is the mean of p(y|x) over a split; the mean of that over
/// splits.
///
/// The images are shuffled first, since a folder may be sorted by class: by kme's own generator, or in
/// [`Protocol::TorchFidelity`] by NumPy's with seed 2020, which gives torch-fidelity's numbers. In [`Protocol::Paper`]
/// they stay as they are, as in the code of Salimans et al. clean-fid has no inception score. `seed` none is that of the
/// protocol. The score grows with the images of a split: compare equal numbers only.
///
/// *Shapes*: logits (n, classes), one row an image, without softmax.
///
/// # Errors
/// When there are fewer than 2 classes, no splits, fewer images than splits, or the protocol has no inception score.
///
/// *Reference*: Salimans et al., "Improved techniques for training GANs", NeurIPS 2016, §4.
pub fn inception_score<'a>(
    logits: impl Into<PointsView<'a>>,
    splits: usize,
    protocol: Protocol,
    seed: Option<u64>,
) -> Result<InceptionScore> {
    of_view(logits.into(), splits, protocol, seed)
}

fn of_view(logits: PointsView, splits: usize, protocol: Protocol, seed: Option<u64>) -> Result<InceptionScore> {
    let (n, classes) = (logits.len(), logits.dim());
    if classes < 2 {
        return Err(Error::too_few("classes", classes, 2, "the inception score"));
    }
    if !(1..=n).contains(&splits) {
        return Err(Error::parameter("splits", splits, format!("from 1 to {n}, the number of images")));
    }
    let seed = seed.unwrap_or(protocol.default_seed());
    let (order, seed) = match protocol {
        Protocol::Full => (rng::choose(&mut rng::stream(seed, "inception score", 0), n, n), Some(seed)),
        Protocol::TorchFidelity => (RandomState::new(seed)?.permutation(n), Some(seed)),
        Protocol::Paper => ((0..n).collect(), None),
        Protocol::CleanFid | Protocol::PytorchFid => {
            let reason = format!("{protocol} has none; choose full, torch-fidelity or paper");
            return Err(Error::unsupported(format!("compute the inception score by the protocol {protocol}"), reason));
        }
    };
    let scores: Vec<f64> =
        (0..splits).into_par_iter().map(|i| of_split(logits, &order[i * n / splits..(i + 1) * n / splits])).collect();
    let (value, spread) = mean_and_spread(&scores);
    let error = match splits {
        1 => Err(NoStandardError::OneSplit),
        _ if spread <= ROUNDING * value => Err(NoStandardError::Alike),
        _ => Ok(spread / (splits as f64 - 1.0).sqrt()),
    };
    let (standard_error, standard_error_missing) = standard_error::fields(error);
    Ok(InceptionScore { value, standard_error, standard_error_missing, spread, splits, seed, n, classes })
}

fn of_split(logits: PointsView, images: &[usize]) -> f64 {
    let classes = logits.dim();
    let mut marginal = vec![0.0; classes];
    let mut log_p = vec![0.0; classes];
    // mean KL = Σ q·(−ln q) − mean Σ p·(−ln p) for the marginal q.
    let mut negative_entropy = 0.0;
    for &image in images {
        for (c, l) in log_p.iter_mut().enumerate() {
            *l = logits.data().get(image * classes + c);
        }
        let largest = log_p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let normaliser = largest + log_p.iter().map(|l| (l - largest).exp()).sum::<f64>().ln();
        for (q, l) in marginal.iter_mut().zip(&log_p) {
            let log_p = l - normaliser;
            let p = log_p.exp();
            *q += p;
            // Where p underflows to 0, p·ln p is 0 and not 0·∞.
            negative_entropy += if p > 0.0 { p * log_p } else { 0.0 };
        }
    }
    let count = images.len() as f64;
    let cross: f64 = marginal.iter().map(|q| q / count).filter(|q| *q > 0.0).map(|q| q * q.ln()).sum();
    (negative_entropy / count - cross).exp()
}
