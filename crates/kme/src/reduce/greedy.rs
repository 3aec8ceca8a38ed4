//! A set of chosen points that grows, shrinks or exchanges points by the best single step.
//!
//! With sⱼ = Σ_{i∈C} k(xᵢ,xⱼ) known for every j, the MMD² of C with one point more, one less or another one follows for all
//! candidates at once; a step costs one row of the Gram matrix, O(Nd).

use super::Target;
use crate::Result;
use crate::points::DataView;
use crate::sums::{self, Gram, Precision};

/// A candidate: its place and how much it is worth.
#[derive(Clone, Copy)]
struct Candidate {
    place: usize,
    worth: f64,
}

/// Chosen points of a sample, with what is needed to know the best next step.
pub(super) struct Greedy<'t, 'a> {
    target: &'t Target<'a>,
    gram: &'t Gram<'a>,
    /// k(xⱼ,xⱼ)/2: shape (N).
    half_diagonal: Vec<f64>,
    chosen: Vec<usize>,
    is_chosen: Vec<bool>,
    /// sⱼ = Σ_{i∈C} k(xᵢ,xⱼ): shape (N).
    sums: Vec<f64>,
    /// Values of a row that may be taken back: shape (N).
    row: Vec<f64>,
}

impl<'t, 'a> Greedy<'t, 'a> {
    /// No points.
    pub(super) fn empty(target: &'t Target<'a>, gram: &'t Gram<'a>) -> Self {
        let (n, d) = (target.points().len(), target.points().dim());
        let norm2 = |i: usize| match target.points().data() {
            DataView::F32(v) => v[i * d..][..d].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>(),
            DataView::F64(v) => v[i * d..][..d].iter().map(|x| x * x).sum(),
        };
        let half_diagonal = (0..n).map(|i| 0.5 * target.kernel().diagonal(&norm2(i))).collect();
        let (is_chosen, sums, row) = (vec![false; n], vec![0.0; n], vec![0.0; n]);
        Self { target, gram, half_diagonal, chosen: Vec::new(), is_chosen, sums, row }
    }

    /// The different points at `indices`.
    pub(super) fn of(target: &'t Target<'a>, gram: &'t Gram<'a>, indices: Vec<usize>) -> Result<Self> {
        let mut greedy = Self::empty(target, gram);
        let few = target.points().select(&indices)?;
        greedy.sums = sums::rows(target.kernel(), target.points(), &few, None, Precision::F64)?;
        for &i in &indices {
            greedy.is_chosen[i] = true;
        }
        greedy.chosen = indices;
        Ok(greedy)
    }

    /// The chosen points, in the order in which they came.
    pub(super) fn into_chosen(self) -> Vec<usize> {
        self.chosen
    }

    /// Adds points until there are `n`, each the one that makes the MMD² least.
    pub(super) fn grow(&mut self, n: usize) {
        let mut next = self.best_addition();
        while self.chosen.len() < n {
            self.chosen.push(next);
            self.is_chosen[next] = true;
            let (mean, half, is_chosen) = (self.target.mean(), &self.half_diagonal, &self.is_chosen);
            let count = (self.chosen.len() + 1) as f64;
            let best = self.gram.row(next, &mut self.sums, |first, values, sums| {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value;
                }
                best(first, sums.len(), |j| (!is_chosen[j]).then(|| mean[j] - (sums[j - first] + half[j]) / count))
            });
            next = foremost(best).map_or(next, |c| c.place);
        }
    }

    fn best_addition(&self) -> usize {
        let count = (self.chosen.len() + 1) as f64;
        let worth = |j: usize| self.target.mean()[j] - (self.sums[j] + self.half_diagonal[j]) / count;
        best(0, self.sums.len(), |j| (!self.is_chosen[j]).then(|| worth(j))).map_or(0, |c| c.place)
    }

    /// Takes points away until there are `n`, each the one whose absence makes the MMD² least.
    ///
    /// Without xᵢ it is (S − 2sᵢ + k(xᵢ,xᵢ))/(c−1)² − 2(M − μ(xᵢ))/(c−1) up to a constant, with c points before, their sum S
    /// of kernel values and M of μ.
    pub(super) fn shrink(&mut self, n: usize) {
        while self.chosen.len() > n {
            let rest = (self.chosen.len() - 1) as f64;
            let worth = |place: usize| {
                let i = self.chosen[place];
                Some((self.sums[i] - self.half_diagonal[i]) / rest - self.target.mean()[i])
            };
            let Some(worst) = best(0, self.chosen.len(), worth) else { return };
            let gone = self.chosen.remove(worst.place);
            self.is_chosen[gone] = false;
            self.gram.row(gone, &mut self.sums, |_, values, sums| {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum -= value;
                }
            });
        }
    }

    /// Puts, for each chosen point in turn, the point of the whole sample in its place that makes the MMD² least, at most
    /// `times` times, as long as it helps. The MMD² never grows.
    pub(super) fn exchange(&mut self, times: usize) {
        for _ in 0..times {
            if self.chosen.len() == self.sums.len() || !self.exchange_once() {
                break;
            }
        }
    }

    /// True if any point was exchanged.
    fn exchange_once(&mut self) -> bool {
        let n = self.chosen.len() as f64;
        let mut has_changed = false;
        for place in 0..self.chosen.len() {
            let old = self.chosen[place];
            let (mean, half, is_chosen, sums) = (self.target.mean(), &self.half_diagonal, &self.is_chosen, &self.sums);
            let found = self.gram.row(old, &mut self.row, |first, values, row| {
                row.copy_from_slice(values);
                let worth = |j: usize| mean[j] - (sums[j] - values[j - first] + half[j]) / n;
                let stays = (first..first + row.len()).contains(&old).then(|| worth(old));
                (best(first, row.len(), |j| (!is_chosen[j]).then(|| worth(j))), stays)
            });
            let stays = found.iter().find_map(|(_, stays)| *stays);
            let new = foremost(found.into_iter().map(|(best, _)| best).collect());
            let (Some(new), Some(stays)) = (new, stays) else { continue };
            if new.worth <= stays {
                continue;
            }
            has_changed = true;
            self.chosen[place] = new.place;
            self.is_chosen[old] = false;
            self.is_chosen[new.place] = true;
            let row = &self.row;
            self.gram.row(new.place, &mut self.sums, |first, values, sums| {
                for ((sum, value), old) in sums.iter_mut().zip(values).zip(&row[first..]) {
                    *sum += value - old;
                }
            });
        }
        has_changed
    }
}

/// The first of the candidates that are worth most, among `count` from `first` on; none where `worth` gives none.
fn best(first: usize, count: usize, worth: impl Fn(usize) -> Option<f64>) -> Option<Candidate> {
    let mut found: Option<Candidate> = None;
    for place in first..first + count {
        if let Some(worth) = worth(place)
            && found.is_none_or(|f| worth > f.worth)
        {
            found = Some(Candidate { place, worth });
        }
    }
    found
}

/// The best of all blocks; of equal ones the first.
fn foremost(blocks: Vec<Option<Candidate>>) -> Option<Candidate> {
    blocks.into_iter().flatten().reduce(|a, b| if b.worth > a.worth { b } else { a })
}
