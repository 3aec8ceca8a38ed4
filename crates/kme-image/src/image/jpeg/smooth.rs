//! Coefficients that a progressive file leaves out, estimated from its neighbours' means.
//!
//! A progressive file sends the coefficients of a block in scans, coarse ones first, and may end before all of them have come.
//! Shown as they are, the blocks would stand out. Section K.8 of ITU-T T.81 proposes to fit a smooth surface through the
//! means of neighbouring blocks and to take from it the low frequencies that are not known. libjpeg-turbo, from version 2.1
//! on, does so over 5×5 blocks; the weights below are its, and so are its edges.

use super::{BLOCK, Component, Jpeg, SIDE};

/// Low frequencies that are estimated, and the mean: the first so many in the order of the file.
pub(super) const LOW: usize = 10;

/// Weights of the means of 5×5 blocks, the block in question being the middle one; in 1/256.
type Weights = [[i64; 5]; 5];

/// Where a coefficient stands in a block, the place of its precision, and its weights.
type Estimate = (usize, usize, Weights);

const fn transposed(of: Weights) -> Weights {
    let mut to = [[0; 5]; 5];
    let mut i = 0;
    while i < 25 {
        to[i % 5][i / 5] = of[i / 5][i % 5];
        i += 1;
    }
    to
}

/// Where nothing but the means is known.
mod means {
    use super::Weights;

    pub(super) const MEAN: Weights =
        [[-2, -6, -8, -6, -2], [-6, 6, 42, 6, -6], [-8, 42, 152, 42, -8], [-6, 6, 42, 6, -6], [-2, -6, -8, -6, -2]];
    pub(super) const SLOPE: Weights =
        [[-1, -1, 0, 1, 1], [-3, 13, 0, -13, 3], [-3, 38, 0, -38, 3], [-3, 13, 0, -13, 3], [-1, -1, 0, 1, 1]];
    pub(super) const BEND: Weights = [[0; 5], [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], [0; 5]];
    pub(super) const TWIST: Weights = [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], [0; 5], [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]];
    pub(super) const CUBIC: Weights = [[0; 5], [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], [0; 5]];
    pub(super) const MIXED: Weights = [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]];
}

/// Where some other coefficients are known already.
mod some {
    use super::Weights;

    pub(super) const SLOPE: Weights = [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]];
    pub(super) const BEND: Weights = [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]];
    pub(super) const TWIST: Weights =
        [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], [0; 5], [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]];
}

const FROM_MEANS: [Estimate; 9] = [
    (1, 1, means::SLOPE),
    (8, 2, transposed(means::SLOPE)),
    (16, 3, transposed(means::BEND)),
    (9, 4, means::TWIST),
    (2, 5, means::BEND),
    (3, 6, means::CUBIC),
    (10, 7, means::MIXED),
    (17, 8, transposed(means::MIXED)),
    (24, 9, transposed(means::CUBIC)),
];

const FROM_SOME: [Estimate; 5] = [
    (1, 1, some::SLOPE),
    (8, 2, transposed(some::SLOPE)),
    (16, 3, transposed(some::BEND)),
    (9, 4, some::TWIST),
    (2, 5, some::BEND),
];

impl Jpeg<'_> {
    /// Estimates what the scans have left out, where libjpeg does.
    pub(super) fn smooth(&mut self) {
        let places = || FROM_MEANS.iter().map(|(place, ..)| *place).chain([0]);
        let may = |component: &Component| {
            let quantiser = component.latched.as_ref();
            component.known[0].is_some() && quantiser.is_some_and(|q| places().all(|place| q[place] != 0))
        };
        let is_whole = |component: &Component| component.known.iter().all(|bits| *bits == Some(0));
        if !self.progressive || !self.components.iter().all(may) || self.components.iter().all(is_whole) {
            return;
        }
        let most = self.components.iter().map(|c| c.declared).max().unwrap_or(1);
        let groups = self.height.div_ceil(most * SIDE);
        self.components.iter_mut().for_each(|component| component.smooth(groups));
    }
}

impl Component {
    /// `groups` is the number of rows of MCUs.
    fn smooth(&mut self, groups: usize) {
        let Some(quantiser) = self.latched else { return };
        let only_means = self.known[1..].iter().all(Option::is_none);
        let estimates = if only_means { &FROM_MEANS[..] } else { &FROM_SOME[..] };
        let means: Vec<i64> = self.coefficients.chunks_exact(BLOCK).map(|block| block[0].into()).collect();
        let (rows, columns) = (self.height.div_ceil(SIDE), self.width.div_ceil(SIDE));
        let unit = i64::from(quantiser[0]);
        for row in 0..rows {
            let lines = self.neighbours(row, rows, groups);
            for column in 0..columns {
                let sum = |weights: &Weights| -> i64 {
                    let line = |(weights, row): (&[i64; 5], &usize)| -> i64 {
                        let mean = |(x, weight): (usize, &i64)| {
                            let column = (column + x).saturating_sub(2).min(columns - 1);
                            // Beyond the last row of blocks that are sent there may be one that belongs to an MCU.
                            weight * means.get(row * self.stride + column).unwrap_or(&0)
                        };
                        weights.iter().enumerate().map(mean).sum()
                    };
                    unit * weights.iter().zip(&lines).map(line).sum::<i64>()
                };
                let at = (row * self.stride + column) * BLOCK;
                let block = &mut self.coefficients[at..at + BLOCK];
                for (place, precision, weights) in estimates {
                    let bits = self.known[*precision];
                    // What is known of it, even to some bits only, is not replaced.
                    if bits == Some(0) || block[*place] != 0 {
                        continue;
                    }
                    let found = rounded(sum(weights), i64::from(quantiser[*place]));
                    // Where its upper bits are known to be 0, it is less than the first of them.
                    let most = bits.map_or(i64::MAX, |bits| (1 << bits) - 1);
                    block[*place] = found.clamp(-most, most) as i16;
                }
                if only_means {
                    block[0] = rounded(sum(&means::MEAN), unit) as i16;
                }
            }
        }
    }

    /// The two rows of blocks before `row`, itself, and the two behind it, as libjpeg finds them: it counts rows in rows of
    /// MCUs of the size that the present one has.
    fn neighbours(&self, row: usize, rows: usize, groups: usize) -> [usize; 5] {
        let (group, within) = (row / self.declared, row % self.declared);
        let height = match rows % self.declared {
            rest if rest > 0 && group + 1 == groups => rest,
            _ => self.declared,
        };
        let (at, count) = (group * height + within, height * groups);
        let before = if at > 0 { row - 1 } else { row };
        let after = if at + 1 < count { row + 1 } else { row };
        let first = if at > 1 { row - 2 } else { before };
        let last = if at + 2 < count { row + 2 } else { after };
        [first, before, row, after, last]
    }
}

/// Over 256 of the quantiser, rounded half away from 0.
fn rounded(sum: i64, quantiser: i64) -> i64 {
    let found = ((quantiser << 7) + sum.abs()) / (quantiser << 8);
    if sum < 0 { -found } else { found }
}
