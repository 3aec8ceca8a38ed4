//! What the steps of a run are fed with: batch number i as a function of the data, the seed and i.
//!
//! Which pictures are in a batch, where squares are cut out of them and which of them are mirrored depends on nothing
//! else: neither on what was asked before, nor on threads, nor on what is made ahead. So a resumed run goes on with the
//! batches of one that never stopped, and nothing of it is stored.

use super::ahead::Ahead;
use super::batches::Batches;
use super::data::Data;
use super::sources;
use super::split::Split;
use super::stock::{Facts, Purpose, Stock, pictures, points};
use kme::{Error, Points, Result};
use kme_image::{Dataset, Places};
use std::sync::Arc;

/// What one step sees of the data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// Pixels in [0, 1], or numbers of points, in the order of `shape`.
    pub values: Vec<f32>,
    /// (batch, c, h, w); of points (batch, d, 1, 1).
    pub shape: [usize; 4],
    /// One for each picture or point, where the data have labels.
    pub labels: Option<Vec<u32>>,
}

/// Gives batches of a source; the next two are prepared by another thread while a step computes.
pub(crate) struct Feed {
    facts: Arc<Facts>,
    batches: Ahead<Batch>,
}

impl Feed {
    /// Opens what `data` says, in batches of `batch`; `split` is the rule by which the run holds pictures out.
    ///
    /// # Errors
    /// When the source cannot be read or is not what `data` says; for pictures that are not
    /// [streamed](Data::stream), also when one of them cannot be read or is too small for its crop.
    pub(super) fn open(data: &Data, batch: usize, seed: u64, split: Option<Split>, places: &Places) -> Result<Self> {
        if batch == 0 {
            return Err(Error::parameter("batch", 0, "at least 1"));
        }
        let (stock, facts) = Stock::open(data, seed, split, places)?;
        Ok(Self::new(stock, facts, batch, seed))
    }

    /// Of an open stock, in batches of `batch` ≥ 1.
    pub(super) fn new(mut stock: Stock, facts: Facts, batch: usize, seed: u64) -> Self {
        let facts = Arc::new(facts);
        let shared = facts.clone();
        let mut order = Batches::new(facts.n, batch, seed);
        let batches = Ahead::new(move |index| {
            let indices = order.get(index);
            let values = stock.take(&indices, index)?;
            let [c, h, w] = shared.shape;
            let labels = shared.labels.as_ref().map(|all| indices.iter().map(|&i| all[i]).collect());
            Ok(Batch { values, shape: [batch, c, h, w], labels })
        });
        Self { facts, batches }
    }

    /// Batch number `index`: every epoch is a permutation of all pictures or points, epochs follow one another without
    /// a gap.
    ///
    /// # Errors
    /// When one of its pictures cannot be read; it is named. Other batches are not concerned.
    pub(super) fn batch(&mut self, index: u64) -> Result<Batch> {
        self.batches.get(index)
    }

    /// (c, h, w) of a picture; (d, 1, 1) of a point.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.facts.shape
    }

    /// Number of pictures or points n ≥ 1.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.facts.n
    }

    /// A name for the content of the data: of pictures [`Dataset::fingerprint`], of points SHA-256 over their numbers.
    pub(super) fn fingerprint(&self) -> &str {
        &self.facts.fingerprint
    }

    /// The labels of all pictures or points, in the order of the source, where they have labels.
    pub(super) fn labels(&self) -> Option<&[u32]> {
        self.facts.labels.as_deref()
    }

    /// The classes that labels stand for: their names, or numbers where they have none; nothing where there are no labels.
    pub(super) fn classes(&self) -> Vec<String> {
        match (self.labels(), self.class_names()) {
            (Some(_), Some(names)) => names.to_vec(),
            (Some(labels), None) => (0..=labels.iter().copied().max().unwrap_or(0)).map(|l| l.to_string()).collect(),
            (None, _) => Vec::new(),
        }
    }

    /// Names of the classes that labels stand for, where they are known.
    pub(super) fn class_names(&self) -> Option<&[String]> {
        self.facts.class_names.as_deref()
    }
}

/// Pictures or points that are never learned from.
#[derive(Clone, Debug)]
pub(crate) enum HeldOut {
    /// In the form of the training pictures; of `random:N`, the middle; never mirrored.
    Pictures(Dataset),
    /// In single precision.
    Points(Points),
}

/// What `data` names to hold out, in memory. A toy's points are another draw than those that are learned from.
///
/// # Errors
/// As [`Feed::open`].
pub(crate) fn held_out(data: &Data, seed: u64, places: &Places) -> Result<Option<HeldOut>> {
    let Some(source) = data.held_out_source() else { return Ok(None) };
    let fault = |fault: Error| sources::of_setting("data.held_out", source, fault);
    Ok(Some(if data.is_points() {
        let (points, ..) = points(source, seed, Purpose::HeldOut).map_err(fault)?;
        HeldOut::Points(points)
    } else {
        HeldOut::Pictures(pictures(source, places).map_err(fault)?.load(&data.form()?)?)
    }))
}

#[cfg(test)]
mod tests;
