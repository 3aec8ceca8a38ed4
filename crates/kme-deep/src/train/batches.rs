//! Which pictures a step sees: a function of the seed and the step, so that resuming needs no stored state.

use kme::rng;
use rand::seq::SliceRandom;

/// Batches of `batch` indices below `n`: each epoch is a permutation of all of them, epochs follow one another without a gap.
pub(crate) struct Batches {
    n: usize,
    batch: usize,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Batches {
    pub(super) fn new(n: usize, batch: usize, seed: u64) -> Self {
        Self { n, batch, seed, epoch: None }
    }

    /// The indices of batch number `index`.
    pub(super) fn get(&mut self, index: u64) -> Vec<usize> {
        let start = index * self.batch as u64;
        (start..start + self.batch as u64).map(|position| self.at(position)).collect()
    }

    fn at(&mut self, position: u64) -> usize {
        let (epoch, place) = (position / self.n as u64, (position % self.n as u64) as usize);
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            let mut order: Vec<usize> = (0..self.n).collect();
            order.shuffle(&mut rng::stream(self.seed, "epoch", epoch));
            self.epoch = Some((epoch, order));
        }
        self.epoch.as_ref().expect("set above").1[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_sees_all_and_batches_need_no_history() {
        let mut batches = Batches::new(10, 4, 3);
        let all: Vec<Vec<usize>> = (0..5).map(|i| batches.get(i)).collect();
        let mut first: Vec<usize> = all.concat()[..10].to_vec();
        first.sort();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        assert_ne!(all.concat()[..10], all.concat()[10..]);
        assert_eq!(Batches::new(10, 4, 3).get(4), all[4]);
        assert_ne!(Batches::new(10, 4, 4).get(0), all[0]);
        assert_eq!(Batches::new(3, 7, 0).get(1).len(), 7);
    }
}
