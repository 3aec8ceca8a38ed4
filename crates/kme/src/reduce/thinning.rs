//! Kernel thinning: halves of the sample that are alike, then the best exchanges.

use super::greedy::Greedy;
use super::{Reduced, Target, Weighting};
use crate::rng::{self, Rng};
use crate::sums::Gram;
use crate::{Error, Result};
use rand_xoshiro::rand_core::Rng as _;
use rayon::prelude::*;

/// The probability, over the whole sample, with which a halving may have to break its own bound: δ of the paper.
const FAILURE: f64 = 0.5;

/// Points whose values with each other are held at once while a sample is halved.
const BLOCK: usize = 256;

/// Kernel thinning with the kernel of the target itself ("target KT").
///
/// 1. *Halving* (KT-SPLIT): points come in pairs; of each pair one goes to either half, by a coin that favours the
///    assignment which keeps the two halves' embeddings alike. Log₂(N/n) rounds of it give about N/n coresets of about n
///    points each.
/// 2. The coreset with the least MMD², or a random one of the sample should that be better, is brought to exactly n points
///    (greedily, where N is not n·2^m), and each of its points in turn is exchanged for the point of the whole sample that
///    makes the MMD² least (KT-SWAP), [`exchanges`](Self::exchanges) times.
///
/// Points are taken in a random order, so the order of the sample means nothing. All chosen points are different.
///
/// References: Dwivedi, Mackey, "Kernel thinning", JMLR 2024 (COLT 2021), algorithm 1; "Generalized kernel thinning", ICLR
/// 2022; Shetty, Dwivedi, Mackey, "Distribution compression in near-linear time", ICLR 2022, algorithms 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thinning {
    /// The oversampling g of Compress++: the sample is first brought to about 2^g·n points by halving and joining small
    /// parts of it, which costs O(4^g n² log N) instead of O(N²). None: every halving is one of the whole. It is not used
    /// where 2^(g+1)·n > N, as nothing would be saved.
    pub compress: Option<u32>,
    /// How often all points are offered for exchange, once in the paper; it ends early when no exchange helps.
    pub exchanges: usize,
    /// The weights of the points, once they are chosen.
    pub weighting: Weighting,
}

impl Default for Thinning {
    fn default() -> Self {
        Self { compress: Some(4), exchanges: 2, weighting: Weighting::Equal }
    }
}

impl Thinning {
    /// Chooses n points; their places are in ascending order.
    ///
    /// # Errors
    /// When n is 0 or above N, the sample has weights that differ, or optimal weights are asked for more points than
    /// [`Weighting::MOST`].
    pub fn reduce(&self, target: &Target, n: usize, seed: u64) -> Result<Reduced> {
        target.check_size(n)?;
        self.weighting.check(n)?;
        if target.is_weighted() {
            let reason = "thinning halves the sample; herding and support take weights";
            return Err(Error::unsupported("thin a sample with weights", reason));
        }
        let total = target.points().len();
        let gram = Gram::new(target.kernel(), target.points());
        let halver = Halver { gram: &gram, failure: FAILURE / total as f64, seed };
        let mut order = rng::choose(&mut rng::stream(seed, "thinning order", 0), total, total);
        if let Some(g) = self.compress
            && let Some(wanted) = n.checked_mul(1 << g.min(40)).filter(|wanted| *wanted <= total / 2)
        {
            // A part whose compressed size would be its own is left as it is.
            let leaf = (wanted as f64 * (wanted as f64 / total as f64)).max(2.0);
            order = halver.compress(order, leaf, 1)?;
        }
        // To the nearest power of two, so that few points have to be added or taken away.
        let ratio = (order.len() as f64 / n as f64).log2().round().max(0.0);
        let rounds = (ratio as u32).min(order.len().ilog2());
        let mut coresets = vec![order];
        for round in 0..rounds {
            let halve = |(i, set): (usize, &Vec<usize>)| {
                let (a, b) = halver.halve(set, &mut rng::stream(seed, "kernel halving", (1 << round) + i as u64))?;
                Ok([a, b])
            };
            let halves: Vec<[Vec<usize>; 2]> = coresets.par_iter().enumerate().map(halve).collect::<Result<_>>()?;
            coresets = halves.into_iter().flatten().collect();
        }
        let size = coresets[0].len();
        coresets.push(target.draw(size, &mut rng::stream(seed, "thinning baseline", 0)));
        let distances: Vec<f64> = coresets.par_iter().map(|c| target.mmd2(c, None)).collect::<Result<_>>()?;
        let best = (0..coresets.len()).min_by(|&i, &j| distances[i].total_cmp(&distances[j])).unwrap_or_default();
        let mut greedy = Greedy::of(target, &gram, coresets.swap_remove(best))?;
        greedy.shrink(n);
        greedy.grow(n);
        greedy.exchange(self.exchanges);
        let mut chosen = greedy.into_chosen();
        chosen.sort_unstable();
        target.chosen(chosen, self.weighting)
    }
}

/// What all halvings share.
struct Halver<'t, 'a> {
    gram: &'t Gram<'a>,
    /// δᵢ
    failure: f64,
    seed: u64,
}

impl Halver<'_, '_> {
    /// COMPRESS: the four quarters of `set` compressed, joined and halved; parts of about `leaf` points are left as they
    /// are. `node` is the number of this part in the tree.
    fn compress(&self, set: Vec<usize>, leaf: f64, node: u64) -> Result<Vec<usize>> {
        // Quarters have half the size compressed, so this is the nearest size on either side.
        if set.len() as f64 <= 2.0 * leaf || set.len() < 8 {
            return Ok(set);
        }
        let quarter = |i: usize| {
            let part = set[i * set.len() / 4..(i + 1) * set.len() / 4].to_vec();
            self.compress(part, leaf, 4 * node + i as u64)
        };
        let parts = (0..4).into_par_iter().map(quarter).collect::<Result<Vec<_>>>()?;
        let mut rng = rng::stream(self.seed, "compress", node);
        let (first, second) = self.halve(&parts.concat(), &mut rng)?;
        // Either half with the same probability, so that errors of the parts do not add up.
        Ok(if rng.next_u64() >> 63 == 0 { first } else { second })
    }

    /// KT-SPLIT once: two halves of equal size; of an odd number of points the last is in neither.
    ///
    /// With sᵢ = ±1 for the halves, only cⱼ = Σ_{i before j} sᵢ k(xᵢ,xⱼ) is needed. Between blocks that is a sum over tiles;
    /// inside a block it is kept up to date point by point.
    fn halve(&self, set: &[usize], rng: &mut Rng) -> Result<(Vec<usize>, Vec<usize>)> {
        let set = &set[..set.len() / 2 * 2];
        let mut sign: Vec<f64> = Vec::with_capacity(set.len());
        let log_factor = (2.0 * (2.0 / self.failure).ln()).sqrt();
        let mut sigma2 = 0.0_f64;
        for block in set.chunks(BLOCK) {
            let mut c = match sign.len() {
                0 => vec![0.0; block.len()],
                before => self.gram.sums(block, &set[..before], &sign)?,
            };
            let k = self.gram.tile(block, block)?;
            let m = block.len();
            for i in (0..m).step_by(2) {
                let (x, y) = (&k[i * m..][..m], &k[(i + 1) * m..][..m]);
                // ‖k(x,·) − k(y,·)‖²
                let b2 = (x[i] + y[i + 1] - 2.0 * x[i + 1]).max(0.0);
                let alpha = c[i + 1] - c[i];
                let a = (b2.sqrt() * sigma2.sqrt() * log_factor).max(b2);
                let is_swapped = if a > 0.0 {
                    sigma2 += b2 * (1.0 + (b2 - 2.0 * a) * sigma2 / (a * a)).max(0.0);
                    rng::uniform(rng) < 0.5 * (1.0 - alpha / a)
                } else {
                    rng::uniform(rng) < 0.5
                };
                let s = if is_swapped { -1.0 } else { 1.0 };
                sign.extend([s, -s]);
                for ((c, x), y) in c[i + 2..].iter_mut().zip(&x[i + 2..]).zip(&y[i + 2..]) {
                    *c += s * (x - y);
                }
            }
        }
        let half = |s: f64| set.iter().zip(&sign).filter(|(_, t)| **t == s).map(|(i, _)| *i).collect();
        Ok((half(1.0), half(-1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::{Data, Points};

    #[test]
    fn halves_are_halves_and_nearer_to_each_other_than_random_ones() {
        let n = 701;
        let points = Points::new(n, 2, Data::F64((0..2 * n).map(|i| (i as f64 * 1.7).sin()).collect())).unwrap();
        let kernel = "gaussian:sigma=0.5".parse().unwrap();
        let target = Target::new(&kernel, &points).unwrap();
        let gram = Gram::new(&kernel, points.view());
        let halver = Halver { gram: &gram, failure: FAILURE / n as f64, seed: 0 };
        let order = rng::choose(&mut rng::stream(0, "order", 0), n, n);
        let (a, b) = halver.halve(&order, &mut rng::stream(0, "halve", 0)).unwrap();
        assert_eq!((a.len(), b.len()), (350, 350));
        let mut all = [a.clone(), b.clone(), order[700..].to_vec()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
        // Each pair has one point in either half.
        for pair in order[..700].chunks(2) {
            assert!(a.contains(&pair[0]) != a.contains(&pair[1]));
        }
        let random = target.random_subsets(350, 200, 1).unwrap().low;
        for half in [a, b] {
            let mmd2 = target.mmd2(&half, None).unwrap();
            assert!(mmd2 < 0.5 * random, "{mmd2} beside {random}");
        }
    }

    #[test]
    fn the_sums_of_blocks_are_those_of_a_loop_over_pairs() {
        // The rule of algorithm 1 point by point, with every sum from its definition.
        let n = 600;
        let points = Points::new(n, 1, Data::F64((0..n).map(|i| (i as f64 * 2.3).cos()).collect())).unwrap();
        let kernel: crate::Kernel = "laplacian:scale=0.7".parse().unwrap();
        let gram = Gram::new(&kernel, points.view());
        let halver = Halver { gram: &gram, failure: 1e-3, seed: 0 };
        let order: Vec<usize> = (0..n).collect();
        let found = halver.halve(&order, &mut rng::stream(7, "halve", 0)).unwrap();
        let x = |i: usize| points.data().get(i);
        let k = |i: usize, j: usize| (-(x(i) - x(j)).abs() / 0.7).exp();
        let mut rng = rng::stream(7, "halve", 0);
        let (mut first, mut second, mut sigma2) = (Vec::new(), Vec::new(), 0.0_f64);
        for i in (0..n).step_by(2) {
            let j = i + 1;
            let b = (2.0 - 2.0 * k(i, j)).sqrt();
            let before: f64 = (0..i).map(|l| k(l, i) - k(l, j)).sum();
            let alpha = before - 2.0 * first.iter().map(|&l| k(l, i) - k(l, j)).sum::<f64>();
            let a = (b * sigma2.sqrt() * (2.0 * (2.0_f64 / 1e-3).ln()).sqrt()).max(b * b);
            sigma2 += b * b * (1.0 + (b * b - 2.0 * a) * sigma2 / (a * a)).max(0.0);
            let swap = rng::uniform(&mut rng) < 0.5 * (1.0 - alpha / a).max(0.0);
            first.push(if swap { j } else { i });
            second.push(if swap { i } else { j });
        }
        let sorted = |mut v: Vec<usize>| {
            v.sort_unstable();
            v
        };
        assert_eq!(sorted(found.0), sorted(first));
        assert_eq!(sorted(found.1), sorted(second));
    }

    #[test]
    fn compressing_gives_about_the_size_that_was_asked_for() {
        for n in [4096, 5000, 20_000] {
            let points = Points::new(n, 1, Data::F64((0..n).map(|i| (i as f64 * 1.3).sin()).collect())).unwrap();
            let kernel = "gaussian:sigma=0.3".parse().unwrap();
            let gram = Gram::new(&kernel, points.view());
            let halver = Halver { gram: &gram, failure: FAILURE / n as f64, seed: 0 };
            let order = rng::choose(&mut rng::stream(0, "order", 0), n, n);
            for wanted in [256, 1000] {
                let leaf = wanted as f64 * (wanted as f64 / n as f64);
                let few = halver.compress(order.clone(), leaf, 1).unwrap();
                let ratio = few.len() as f64 / wanted as f64;
                assert!((0.7..1.5).contains(&ratio), "{} for {wanted} of {n}", few.len());
            }
        }
    }
}
