//! Pictures become features: batch by batch, or out of the folder of features where they are there already.

use crate::arguments::Global;
use crate::sources::Sample;
use crate::{output, progress};
use kme::embedding::FeatureIdentity;
use kme::points::Data;
use kme::{Points, Result, rng};
use kme_deep::cache::{Entry, FeatureCache, Key};
use kme_deep::data::{Form, Skipped, Source};
use kme_deep::feature::FeatureMap;
use kme_deep::image::{Channels, Images};
use kme_deep::model::Generator;
use std::ops::Range;

/// Pictures that are decoded, or latents that are mapped, at one time: a multiple of the numbers that most networks take at
/// once (50, 8, 4), so that no batch is filled up but the last.
const BATCH: usize = 200;

/// Bytes of decoded pictures that are held at one time.
const HELD: usize = 64 << 20;

/// Names of bad pictures that are shown.
const SHOWN: usize = 10;

/// Pictures of this form that are decoded at one time.
pub fn batch_size(form: &Form) -> usize {
    let bytes = form.resize.map_or(0, |resize| resize.height() * resize.width() * 3 * size_of::<f32>());
    match HELD / bytes.max(1) {
        held @ 0..8 => held.max(1),
        held => (held / 8 * 8).min(BATCH),
    }
}

/// How the pictures of one source become points.
pub struct Extraction<'a> {
    /// The source, for messages.
    pub text: &'a str,
    pub map: &'a FeatureMap,
    pub form: &'a Form,
    pub cache: Option<&'a FeatureCache>,
    pub skip_bad: bool,
    pub global: &'a Global,
}

impl Extraction<'_> {
    /// The features of the pictures of a source; of all its pictures only those in `range`, if it is given.
    pub fn pictures(&self, source: &Source, range: Option<Range<usize>>) -> Result<Sample> {
        let mut batches = source.batches(self.form, batch_size(self.form))?;
        if let Some(range) = range {
            batches = batches.within(range)?;
        }
        if self.skip_bad {
            batches = batches.skipping_bad();
        }
        let content = self.cache.map(|_| batches.content()).transpose()?;
        let entry = self.kept(content.as_deref(), || {
            let total = batches.left();
            let mut shape = [0; 3];
            let mut rows = Rows::new(self, total);
            while let Some(batch) = batches.next() {
                let images = batch?.images;
                let [_, c, h, w] = images.shape();
                shape = [c, h, w];
                rows.add(&self.map.features(&images)?, total - batches.left());
            }
            let skipped = batches.skipped().to_vec();
            Ok((Entry { points: rows.finish()?, fingerprint: batches.fingerprint(), skipped }, shape))
        })?;
        self.tell_skipped(&entry.0.skipped);
        Ok(self.sample(entry))
    }

    /// The features of pictures that a generator draws; of all `n` only those in `range`, if it is given.
    pub fn generated(&self, generator: &Generator, n: usize, range: Option<Range<usize>>) -> Result<Sample> {
        let range = range.unwrap_or(0..n);
        let seed = self.global.seed();
        let origin = format!("generator {} seed {seed}, {range:?} of {n}", generator.sha256);
        let entry = self.kept(self.cache.map(|_| &origin[..]), || {
            let dim = generator.latent.dim;
            // As `kme sample` draws them.
            let latents = generator.latent.draw(n, &mut rng::stream(seed, "sample", 0));
            let latents = &latents[range.start * dim..range.end * dim];
            let mut shape = [0; 3];
            let mut rows = Rows::new(self, range.len());
            for chunk in latents.chunks(BATCH * dim) {
                let images = draw(generator, chunk)?;
                let numbers: Vec<usize> = (0..images.len()).collect();
                // What is drawn may be much smaller than what the feature map wants.
                for part in numbers.chunks(batch_size(self.form)) {
                    let images = self.formed(images.select(part)?)?;
                    let [_, c, h, w] = images.shape();
                    shape = [c, h, w];
                    let done = rows.n + images.len();
                    rows.add(&self.map.features(&images)?, done);
                }
            }
            Ok((Entry { points: rows.finish()?, fingerprint: None, skipped: Vec::new() }, shape))
        })?;
        Ok(self.sample(entry))
    }

    /// Generated pictures in the common form.
    fn formed(&self, images: Images) -> Result<Images> {
        let images = match self.form.decoder.channels {
            Channels::Convert(colour) => images.to_colour(colour),
            _ => images,
        };
        match self.form.resize {
            Some(resize) => resize.bring(images),
            None => Ok(images),
        }
    }

    /// The features of what `origin` names, from the folder of features, or else computed and put there. With them
    /// comes the pictures' shape, which only maps that are not kept depend on.
    fn kept(
        &self,
        origin: Option<&str>,
        compute: impl FnOnce() -> Result<(Entry, [usize; 3])>,
    ) -> Result<(Entry, [usize; 3])> {
        let (Some(cache), Some(origin)) = (self.cache, origin) else { return compute() };
        let identity = self.map.identity([0; 3]);
        let key = Key::new(origin, &format!("{:?}", self.form), &identity, &self.global.device);
        match cache.read(&key) {
            // Bad pictures are an error unless they are to be left out.
            Ok(Some(entry)) if self.skip_bad || entry.skipped.is_empty() => {
                let path = cache.path(&key);
                output::detail(
                    self.global,
                    format!("{}: features as computed before, from {}", self.text, path.display()),
                );
                return Ok((entry, [0; 3]));
            }
            Ok(_) => {}
            Err(fault) => output::remark(self.global, format!("{fault}; the features are computed anew")),
        }
        let computed = compute()?;
        self.keep(cache, &key, &identity, origin, &computed.0);
        Ok(computed)
    }

    fn keep(&self, cache: &FeatureCache, key: &Key, identity: &FeatureIdentity, origin: &str, entry: &Entry) {
        // Files that changed between hashing and decoding: the features belong to another key.
        if entry.skipped.is_empty() && entry.fingerprint.as_deref().is_some_and(|found| found != origin) {
            return;
        }
        match cache.write(key, identity, entry) {
            Ok(()) => {
                output::detail(self.global, format!("{}: features kept in {}", self.text, cache.path(key).display()))
            }
            // The result does not depend on it.
            Err(fault) => output::remark(self.global, format!("the features are not kept for the next time: {fault}")),
        }
    }

    fn sample(&self, (entry, shape): (Entry, [usize; 3])) -> Sample {
        Sample {
            points: entry.points,
            weights: None,
            features: self.map.identity(shape),
            kernel: None,
            fingerprint: entry.fingerprint,
            skipped: entry.skipped,
        }
    }

    /// Names the first pictures that were left out.
    fn tell_skipped(&self, skipped: &[Skipped]) {
        for bad in skipped.iter().take(SHOWN) {
            output::remark(self.global, format!("left out {}/{}: {}", self.text, bad.name, bad.fault));
        }
        if skipped.len() > SHOWN {
            let (more, all) = (skipped.len() - SHOWN, skipped.len());
            output::remark(self.global, format!("and {more} more of {}: {all} left out in all", self.text));
        }
    }
}

/// The pictures of some latents.
fn draw(generator: &Generator, latents: &[f32]) -> Result<Images> {
    let dim = generator.latent.dim;
    // Filled up, since networks may round differently in batches of other sizes: so a shard has the same bits.
    let mut filled = latents.to_vec();
    filled.resize(BATCH * dim, 0.0);
    let images = generator.pictures(&filled)?;
    match latents.len() < filled.len() {
        true => images.select(&(0..latents.len() / dim).collect::<Vec<_>>()),
        false => Ok(images),
    }
}

/// Features that come in batches: all that is held in memory of the pictures before.
struct Rows {
    data: Vec<f32>,
    n: usize,
    total: usize,
    bar: indicatif::ProgressBar,
}

impl Rows {
    fn new(extraction: &Extraction, total: usize) -> Self {
        Self { data: Vec::new(), n: 0, total, bar: progress::bar(extraction.global, total as u64, "pictures") }
    }

    /// Takes the features of the next pictures, after which `done` pictures are done.
    fn add(&mut self, points: &Points, done: usize) {
        if self.data.is_empty() {
            // Known from the first batch on, so that growing never holds the features twice.
            self.data.reserve_exact(self.total.saturating_mul(points.dim()));
        }
        self.n += points.len();
        match points.data() {
            Data::F32(rows) => self.data.extend_from_slice(rows),
            Data::F64(rows) => self.data.extend(rows.iter().map(|x| *x as f32)),
        }
        self.bar.set_position(done as u64);
    }

    fn finish(self) -> Result<Points> {
        self.bar.finish_and_clear();
        Points::new(self.n, self.data.len().checked_div(self.n).unwrap_or(0), Data::F32(self.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_deep::image::Resize;

    #[test]
    fn batches_of_large_pictures_are_small() {
        let size = |h, w| batch_size(&Form { resize: Some(Resize::new(h, w).unwrap()), ..Form::default() });
        assert_eq!(batch_size(&Form::default()), 200);
        assert_eq!([size(28, 28), size(224, 224), size(299, 299), size(1000, 1000)], [200, 104, 56, 5]);
        assert_eq!(size(10_000, 10_000), 1);
    }
}
