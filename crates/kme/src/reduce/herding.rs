//! Kernel herding: points one after another, always the one that brings the embedding nearest.

use super::greedy::Greedy;
use super::{Reduced, Target, Weighting};
use crate::Result;
use crate::sums::Gram;

/// Kernel herding among the points of the sample, without replacement.
///
/// After t points have been chosen, the next is argmax over the others of
///
/// μ(x) − (Σₛ k(xₛ,x) + k(x,x)/2)/(t+1),
///
/// which makes the MMD² of the t + 1 points with equal weights least. So the first t points of a choice are the choice of
/// t points, and the first is the one nearest to μ. For a kernel whose k(x,x) is constant this is the rule of Chen,
/// Welling, Smola, "Super-samples from kernel herding", UAI 2010, eq. 8; the diagonal makes it exact for the others (Huszár,
/// Duvenaud, "Optimally-weighted herding is Bayesian quadrature", UAI 2012, §3).
///
/// Of points that are equally good the first is taken. Nothing is random.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Herding {
    /// How often, in the end, each point in turn is exchanged for the point of the whole sample that makes the MMD² least;
    /// it ends early when no exchange helps. With exchanges the first t points are no longer the choice of t points.
    pub exchanges: usize,
    /// The weights of the points, once they are chosen.
    pub weighting: Weighting,
}

impl Herding {
    /// Chooses n points, in the order in which they were found.
    ///
    /// *Cost*: O(nNd) time, and the points once more in double precision.
    ///
    /// # Errors
    /// When n is 0 or above N, or optimal weights are asked for more points than [`Weighting::MOST`].
    pub fn reduce(&self, target: &Target, n: usize) -> Result<Reduced> {
        target.check_size(n)?;
        self.weighting.check(n)?;
        let gram = Gram::new(target.kernel(), target.points());
        let mut greedy = Greedy::empty(target, &gram);
        greedy.grow(n);
        greedy.exchange(self.exchanges);
        target.chosen(greedy.into_chosen(), self.weighting)
    }
}
