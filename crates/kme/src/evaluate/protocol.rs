//! The ways in which scores are computed elsewhere.

use crate::error::named;

/// Whose definition of a score is followed.
///
/// On points they differ in KID (which subsets of the points, and what is printed beside their mean) and in the inception
/// score (which images make a split); FID, and precision and recall, are the same in all. Scores of different protocols must
/// not be compared: a mean over subsets scatters more than the value on all points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// All points, no subsets; the inception score shuffles the images by kme's own generator.
    #[default]
    Full,
    /// torch-fidelity 0.4: 100 subsets of 1000 points without replacement, of the candidate first, drawn by NumPy's
    /// Mersenne twister with seed 2020; mean and standard deviation over subsets. The same generator shuffles the images
    /// of the inception score. With equal points the numbers are torch-fidelity's.
    TorchFidelity,
    /// clean-fid 0.1.35: as torch-fidelity, but subsets shrink to the smaller sample instead of failing, and no deviation is
    /// printed. clean-fid draws from NumPy's global generator: its numbers are those after `numpy.random.seed(seed)`.
    CleanFid,
    /// pytorch-fid 0.3, which computes FID alone.
    PytorchFid,
    /// Bińkowski et al., "Demystifying MMD GANs", 2018: 100 subsets of 1000 points without replacement; mean and standard
    /// deviation over subsets. The subsets are drawn by kme's own generator.
    Paper,
}

named!(
    Protocol, "protocol":
    Full = "full",
    TorchFidelity = "torch-fidelity",
    CleanFid = "clean-fid",
    PytorchFid = "pytorch-fid",
    Paper = "paper",
);

impl Protocol {
    /// The seed when the user names none: torch-fidelity has one of its own.
    pub fn default_seed(self) -> u64 {
        if self == Self::TorchFidelity { 2020 } else { 0 }
    }
}
