//! Pictures become features: batch by batch, or out of the folder of features where they are there already.

use super::{Reader, Sample};
use kme::{Data, FeatureIdentity, Points, Progress, Result};
use kme_image::{Channels, Form, Images, Passed, Reading, Skipped, Source};
use kme_net::{Entry, FeatureCache, FeatureMap, Generator, Key, Pictures};
use std::collections::HashSet;
use std::ops::Range;

/// Pictures that are decoded, or latents that are mapped, at one time: a multiple of the numbers that most networks take at
/// once (50, 8, 4), so that no batch is filled up but the last.
const BATCH: usize = 200;

/// Bytes of decoded pictures that are held at one time.
const HELD: usize = 64 << 20;

/// Names of bad pictures that are shown.
const SHOWN: usize = 10;

/// Pictures of this form that are decoded at one time.
pub(super) fn batch_size(form: &Form) -> usize {
    let bytes = form.resize.map_or(0, |resize| resize.height() * resize.width() * 3 * size_of::<f32>());
    match HELD / bytes.max(1) {
        held @ 0..8 => held.max(1),
        held => (held / 8 * 8).min(BATCH),
    }
}

/// How the pictures of one source become points.
pub(super) struct Extraction<'a> {
    /// The source, for messages.
    pub text: &'a str,
    pub map: &'a dyn FeatureMap,
    pub form: &'a Form,
    pub cache: Option<&'a FeatureCache>,
    /// Whether the class logits of a network that has them are wanted too.
    pub logits: bool,
    pub reader: Reader<'a>,
}

/// What the pictures of a source became.
struct Extracted {
    entry: Entry,
    logits: Option<Points>,
    /// Channels, height and width of the pictures, which only maps that are not kept depend on.
    shape: [usize; 3],
}

impl Extraction<'_> {
    /// The features of the pictures of a source; of all its pictures only those in `range`, if it is given.
    pub(super) fn pictures(&self, source: &Source, range: Option<Range<usize>>) -> Result<Sample> {
        let mut batches = source.batches(self.form, batch_size(self.form))?;
        let range = range.unwrap_or(0..batches.total());
        batches = batches.within(range.clone())?;
        if self.reader.settings.skip_bad {
            batches = batches.skipping_bad();
        }
        self.tell_passed(batches.passed());
        let mut names: Vec<String> = range.filter_map(|i| batches.name(i)).collect();
        let content = self.cache.map(|_| batches.content()).transpose()?;
        let extracted = self.kept(content.as_deref(), || {
            let total = batches.left();
            let mut rows = Rows::new(self, total)?;
            while let Some(batch) = batches.next() {
                rows.add(&batch?.images, total - batches.left())?;
            }
            rows.finish(batches.fingerprint(), batches.skipped().to_vec())
        })?;
        if batches.cut_off() > 0 {
            let (n, total) = (batches.cut_off(), batches.total());
            self.remark(&format!(
                "{}: {n} of {total} pictures are grey with 16 bits. The tools cut their numbers off at 255, so most of each \
                 picture is white. Convert them to 8 bits, or read them another way: `resize` uint8+pillow-bicubic",
                self.text
            ));
        }
        let skipped = &extracted.entry.skipped;
        self.tell_skipped(skipped);
        if !skipped.is_empty() {
            let left_out: HashSet<&str> = skipped.iter().map(|bad| bad.name.as_str()).collect();
            names.retain(|name| !left_out.contains(name.as_str()));
        }
        let decoder = Some(self.form.decoder.to_string());
        Ok(Sample { decoder, ..self.sample(extracted, Some(names)) })
    }

    /// The features of pictures that a generator draws; of all only those in `range`, if it is given.
    pub(super) fn generated(&self, generator: &dyn Generator, range: Option<Range<usize>>) -> Result<Sample> {
        let (n, seed) = (self.reader.settings.samples, self.reader.settings.seed);
        let range = range.unwrap_or(0..n);
        let origin = format!("generator {} seed {seed}, {range:?} of {n}", generator.sha256());
        let extracted = self.kept(self.cache.map(|_| &origin[..]), || {
            let width = generator.width();
            // As `kme sample` draws them.
            let inputs = generator.draw(n, seed);
            let inputs = &inputs[range.start * width..range.end * width];
            let mut rows = Rows::new(self, range.len())?;
            for chunk in inputs.chunks(BATCH * width) {
                let images = draw(generator, chunk)?;
                let numbers: Vec<usize> = (0..images.len()).collect();
                // What is drawn may be much smaller than what the feature map wants.
                for part in numbers.chunks(batch_size(self.form)) {
                    let images = self.formed(images.select(part)?)?;
                    let done = rows.n + images.len();
                    rows.add(&images, done)?;
                }
            }
            rows.finish(None, Vec::new())
        })?;
        Ok(self.sample(extracted, None))
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

    /// The features of what `origin` names, from the folder of features, or else computed and put there.
    fn kept(&self, origin: Option<&str>, compute: impl FnOnce() -> Result<Extracted>) -> Result<Extracted> {
        let (Some(cache), Some(origin)) = (self.cache, origin) else { return compute() };
        let identity = self.map.identity([0; 3]);
        // Logits are kept beside the features, as those of another map.
        let of_logits = FeatureIdentity { name: format!("{} logits", identity.name), ..identity.clone() };
        let key =
            |identity| Key::new(origin, &format!("{:?}", self.form), identity, &self.reader.context.place.to_string());
        let (features, logits) = (key(&identity), key(&of_logits));
        if let Some(entry) = self.found(cache, &features) {
            let logits = if self.logits { self.found(cache, &logits).map(|entry| entry.points) } else { None };
            if logits.is_some() == self.logits {
                let from = cache.path(&features);
                self.detail(&format!("{}: features from the cache, {}", self.text, from.display()));
                return Ok(Extracted { entry, logits, shape: [0; 3] });
            }
        }
        let computed = compute()?;
        self.keep(cache, &features, &identity, origin, &computed.entry);
        if let Some(points) = &computed.logits {
            let entry = Entry { points: points.clone(), ..computed.entry.clone() };
            self.keep(cache, &logits, &of_logits, origin, &entry);
        }
        Ok(computed)
    }

    /// What is kept under `key`, if it can be used.
    fn found(&self, cache: &FeatureCache, key: &Key) -> Option<Entry> {
        match cache.read(key) {
            // Bad pictures are an error unless they are to be left out.
            Ok(found) => found.filter(|entry| self.reader.settings.skip_bad || entry.skipped.is_empty()),
            Err(fault) => {
                self.remark(&format!("{fault}; computing the features again"));
                None
            }
        }
    }

    fn keep(&self, cache: &FeatureCache, key: &Key, identity: &FeatureIdentity, origin: &str, entry: &Entry) {
        // Files that changed between hashing and decoding: the features belong to another key.
        if entry.skipped.is_empty() && entry.fingerprint.as_deref().is_some_and(|found| found != origin) {
            return;
        }
        match cache.write(key, identity, entry) {
            Ok(()) => self.detail(&format!("{}: features kept in {}", self.text, cache.path(key).display())),
            // The result does not depend on it.
            Err(fault) => self.remark(&format!("cannot keep the features in the cache: {fault}")),
        }
    }

    fn sample(&self, extracted: Extracted, names: Option<Vec<String>>) -> Sample {
        let Extracted { entry, logits, shape } = extracted;
        let mut features = self.map.identity(shape);
        // Pixels have no protocol of their own that would tell.
        if self.map.resize().is_none() && self.form.decoder.reading != Reading::default() {
            features.protocol.push_str(", files read as Pillow reads them");
        }
        Sample {
            logits,
            fingerprint: entry.fingerprint,
            skipped: entry.skipped,
            names,
            resize: self.form.resize.map(|resize| resize.protocol().to_string()),
            ..Sample::new(entry.points, features)
        }
    }

    fn remark(&self, text: &str) {
        self.reader.observer.remark(text);
    }

    fn detail(&self, text: &str) {
        self.reader.observer.detail(text);
    }

    /// Says what of a source is not read.
    fn tell_passed(&self, passed: Passed) {
        if passed.archives > 0 {
            let what = match passed.archives {
                1 => "an archive lies beside the pictures and is not read".into(),
                n => format!("{n} archives lie beside the pictures and are not read"),
            };
            self.remark(&format!("{}: {what}", self.text));
        }
        if passed.files > 0 {
            self.detail(&format!("{}: skipped {} files that are not pictures", self.text, passed.files));
        }
    }

    /// Names the first pictures that were left out.
    fn tell_skipped(&self, skipped: &[Skipped]) {
        for bad in skipped.iter().take(SHOWN) {
            self.remark(&format!("left out {}/{}: {}", self.text, bad.name, bad.fault));
        }
        if skipped.len() > SHOWN {
            let (more, all) = (skipped.len() - SHOWN, skipped.len());
            self.remark(&format!("and {more} more of {}: {all} left out in all", self.text));
        }
    }
}

/// The pictures of some inputs of the generator's network.
fn draw(generator: &dyn Generator, inputs: &[f32]) -> Result<Images> {
    let width = generator.width();
    // Filled up, since networks may round differently in batches of other sizes: so a shard has the same bits.
    let mut filled = inputs.to_vec();
    filled.resize(BATCH * width, 0.0);
    let images = generator.pictures_from(&filled)?;
    match inputs.len() < filled.len() {
        true => images.select(&(0..inputs.len() / width).collect::<Vec<_>>()),
        false => Ok(images),
    }
}

/// Features that come in batches: all that is held in memory of the pictures before.
struct Rows<'a> {
    extraction: &'a Extraction<'a>,
    features: Vec<f32>,
    logits: Vec<f32>,
    n: usize,
    total: usize,
    shape: [usize; 3],
}

impl<'a> Rows<'a> {
    fn new(extraction: &'a Extraction<'a>, total: usize) -> Result<Self> {
        let rows = Self { extraction, features: Vec::new(), logits: Vec::new(), n: 0, total, shape: [0; 3] };
        rows.tell(0)?;
        Ok(rows)
    }

    fn tell(&self, done: usize) -> Result<()> {
        kme::internal::observe::check(self.extraction.reader.observer, Progress::new("pictures", done, self.total))
    }

    /// Takes the features of the next pictures, which have the common form, after which `done` pictures are done.
    fn add(&mut self, images: &Images, done: usize) -> Result<()> {
        let [n, c, h, w] = images.shape();
        let Extraction { map, logits, form, .. } = self.extraction;
        let pictures = Pictures::in_form(images, form);
        let found = map.outputs(pictures, *logits)?;
        append(&mut self.features, &found.features, self.total);
        if let Some(logits) = &found.logits {
            append(&mut self.logits, logits, self.total);
        }
        (self.n, self.shape) = (self.n + n, [c, h, w]);
        self.tell(done)
    }

    fn finish(self, fingerprint: Option<String>, skipped: Vec<Skipped>) -> Result<Extracted> {
        self.tell(self.total)?;
        let points = |rows: Vec<f32>| Points::new(self.n, rows.len().checked_div(self.n).unwrap_or(0), Data::F32(rows));
        let logits = if self.logits.is_empty() { None } else { Some(points(self.logits)?) };
        let entry = Entry { points: points(self.features)?, fingerprint, skipped };
        Ok(Extracted { entry, logits, shape: self.shape })
    }
}

/// Appends rows, of which there will be `total` in all.
fn append(all: &mut Vec<f32>, points: &Points, total: usize) {
    if all.is_empty() {
        // Known from the first batch on, so that growing never holds the features twice.
        all.reserve_exact(total.saturating_mul(points.dim()));
    }
    match points.data() {
        Data::F32(rows) => all.extend_from_slice(rows),
        Data::F64(rows) => all.extend(rows.iter().map(|x| *x as f32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_image::Resize;

    #[test]
    fn batches_of_large_pictures_are_small() {
        let size = |h, w| batch_size(&Form { resize: Some(Resize::new(h, w).unwrap()), ..Form::default() });
        assert_eq!(batch_size(&Form::default()), 200);
        assert_eq!([size(28, 28), size(224, 224), size(299, 299), size(1000, 1000)], [200, 104, 56, 5]);
        assert_eq!(size(10_000, 10_000), 1);
    }
}
