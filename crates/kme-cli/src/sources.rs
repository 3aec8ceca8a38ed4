//! What a user names as a sample (pictures, points, an embedding, a generator), as weighted points.

mod expression;
mod flags;
mod mapped;
mod opened;
mod sample;

pub(crate) use expression::{is_embedding, read_embedding};
pub(crate) use flags::{HELP, KERNELS, SourceFlags, precision};
pub(crate) use sample::{Sample, check_same_dim, kernel};

use crate::arguments::Global;
use crate::extract::{Extraction, batch_size};
use crate::gallery::Gallery;
use crate::output;
use crate::points::{self, Notes};
use kme::discrepancy::total_weight;
use kme::embedding::{FeatureIdentity, Kind, MeanEmbedding};
use kme::{Error, Points, Result};
use kme_image::{Form, Protocol};
use kme_net::{FeatureCache, FeatureMap};
use mapped::{cache, form, named_map, unknown_weights};
use opened::{Content, Opened};
use std::ops::Range;

/// Sources and the feature map that they share.
pub(crate) struct Sources<'a> {
    pub all: Vec<Opened>,
    map: Option<FeatureMap>,
    form: Form,
    cache: Option<FeatureCache>,
    logits: bool,
    flags: &'a SourceFlags,
    global: &'a Global,
}

impl<'a> Sources<'a> {
    /// The sources that `texts` name, with one feature map for all.
    ///
    /// # Errors
    /// When one cannot be opened, or the flags do not fit the sources.
    pub(crate) fn open<'t>(
        texts: impl Iterator<Item = &'t String>,
        flags: &'a SourceFlags,
        global: &'a Global,
    ) -> Result<Self> {
        Self::open_with(texts, flags, None, global)
    }

    /// The same where pictures are brought to their size by `resize` unless the flags name another way.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_with<'t>(
        texts: impl Iterator<Item = &'t String>,
        flags: &'a SourceFlags,
        resize: Option<Protocol>,
        global: &'a Global,
    ) -> Result<Self> {
        if !(1..=10_000_000).contains(&flags.samples) {
            return Err(Error::value("--samples", flags.samples, "1 to 10000000"));
        }
        let texts: Vec<&String> = texts.collect();
        if let Some(column) = &flags.group
            && !texts.iter().all(|text| text.contains(&format!(":{column}=")))
        {
            let allowed = "used by kme eval and kme test; elsewhere name the rows of one group: FILE.csv:COLUMN=VALUE";
            return Err(Error::value("--group", column, allowed));
        }
        let mut told = Vec::new();
        let open = |text: &String| {
            let opened = Opened::open(text, flags, global)?.with_points(flags.samples, global.seed())?;
            points::tell(text, &opened.notes, &mut told, global);
            Ok(opened)
        };
        let mut all = texts.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        let tables = all.iter_mut().filter_map(|opened| match &mut opened.content {
            Content::Points(points) => Some((opened.text.as_str(), points, &mut opened.notes)),
            _ => None,
        });
        points::align(&mut tables.collect::<Vec<_>>(), flags, global)?;
        let map = named_map(&all, flags, global)?;
        let unknown = flags.features.as_ref().zip(map.as_ref()).and_then(|(name, map)| unknown_weights(name, map));
        if let Some(remark) = unknown {
            output::remark(global, remark);
        }
        let map = match flags.resize.or(resize) {
            Some(protocol) => map.map(|map| map.with_resize(protocol)),
            None => map,
        };
        let form = form(map.as_ref(), flags, resize)?;
        let cache = cache(map.as_ref(), flags)?;
        Ok(Self { all, map, form, cache, logits: false, flags, global })
    }

    /// Number of points of source `i`, before it is read: pictures that will be left out count as well.
    ///
    /// # Errors
    /// When its pictures cannot be listed.
    pub(crate) fn count(&self, i: usize) -> Result<usize> {
        match &self.all[i].content {
            Content::Pictures(source) => Ok(source.batches(&self.form, batch_size(&self.form))?.total()),
            Content::Points(points) => Ok(points.len()),
            Content::Embedding(embedding) => Ok(embedding.len()),
            Content::Mean(embedding) => Err(no_points(&self.all[i].text, embedding)),
            Content::Statistics(..) => Err(only_statistics(&self.all[i].text)),
            Content::Generator(_) => Ok(self.flags.samples),
            Content::Taken => Ok(0),
        }
    }

    /// Source `i` as points; of all its items only those in `range`, if it is given. A source can be read once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&mut self, i: usize, range: Option<Range<usize>>) -> Result<Sample> {
        let content = std::mem::replace(&mut self.all[i].content, Content::Taken);
        let text = &self.all[i].text;
        let mut sample = self.sample(text, content, range)?;
        sample.notes = self.all[i].notes.clone();
        let is_mapped = sample.features != FeatureIdentity::identity() && sample.kernel.is_none();
        if let (true, Some(name), Some(map)) = (is_mapped, &self.flags.features, &self.map) {
            sample.notes.remarks.extend(unknown_weights(name, map));
        }
        let (n, d) = (sample.points.len(), sample.points.dim());
        output::detail(self.global, format!("{text}: {n} points of dimension {d}, features {}", sample.features.name));
        Ok(sample)
    }

    fn sample(&self, text: &str, content: Content, range: Option<Range<usize>>) -> Result<Sample> {
        match content {
            Content::Points(points) => Ok(Sample {
                points: part(points, range)?,
                weights: None,
                features: FeatureIdentity::identity(),
                kernel: None,
                fingerprint: None,
                skipped: Vec::new(),
                names: None,
                decoder: None,
                resize: None,
                notes: Notes::default(),
                logits: None,
            }),
            Content::Embedding(embedding) => {
                // Masses rather than weights, so that pooling samples pools them as they were.
                let weights = match embedding.kind() {
                    Kind::Sample => embedding.masses(),
                    Kind::Combination => {
                        self.check_mass(text, embedding.weights())?;
                        Some(embedding.weights())
                    }
                };
                Ok(Sample {
                    weights: weights.map(|w| range.clone().map_or(w.to_vec(), |range| w[range].to_vec())),
                    points: part(embedding.points().clone(), range)?,
                    features: embedding.features().clone(),
                    kernel: Some(embedding.kernel().clone()),
                    fingerprint: None,
                    skipped: Vec::new(),
                    names: None,
                    decoder: None,
                    resize: None,
                    notes: Notes::default(),
                    logits: None,
                })
            }
            Content::Mean(embedding) => Err(no_points(text, &embedding)),
            Content::Statistics(..) => Err(only_statistics(text)),
            Content::Taken => Err(Error::value("source", text, "read once")),
            Content::Pictures(source) => self.extraction(text)?.pictures(&source, range),
            Content::Generator(generator) => self.extraction(text)?.generated(&generator, self.flags.samples, range),
        }
    }

    /// Whether a combination is a distribution but for a factor, which is told.
    fn check_mass(&self, text: &str, weights: &[f64]) -> Result<()> {
        let total = total_weight(weights).map_err(|fault| fault.within(format_args!("'{text}'")))?;
        if (total - 1.0).abs() > 1e-9 {
            let shown = (total * 1e12).round() / 1e12;
            let told =
                format!("{text}: its weights sum to {shown}; they are divided by it, so that it is a distribution");
            output::remark(self.global, told);
        }
        Ok(())
    }

    /// How the pictures of the source `text` become points.
    fn extraction<'s>(&'s self, text: &'s str) -> Result<Extraction<'s>> {
        let Some(map) = &self.map else {
            return Err(Error::value("--features", "identity", "a feature map of pictures"));
        };
        let skip_bad = self.flags.skip_bad;
        let (form, cache, logits) = (&self.form, self.cache.as_ref(), self.logits);
        Ok(Extraction { text, map, form, cache, skip_bad, logits, global: self.global })
    }

    /// Has class logits computed beside the features of pictures.
    ///
    /// # Errors
    /// When the feature map of the pictures is not of a network that classifies.
    pub(crate) fn want_logits(&mut self) -> Result<()> {
        if let Some(map) = self.map.as_ref().filter(|map| !map.classifies()) {
            let allowed = "a network whose file holds its class logits: the inception score is one of logits";
            return Err(Error::value("--features", map.identity([0; 3]).name, allowed));
        }
        self.logits = true;
        Ok(())
    }

    /// The pictures of source `i`, to be looked at again after it has been read; none where it holds points.
    pub(crate) fn gallery(&self, i: usize) -> Option<Gallery> {
        match &self.all[i].content {
            Content::Pictures(source) => Some(Gallery::of_source(source.clone(), self.form.decoder)),
            Content::Generator(generator) => {
                Some(Gallery::of_generator((**generator).clone(), self.flags.samples, self.global.seed()))
            }
            _ => None,
        }
    }

    /// Whether source `i` is a combination, whose weights may have any sign.
    pub(crate) fn is_combination(&self, i: usize) -> bool {
        matches!(&self.all[i].content, Content::Embedding(e) if e.kind() == Kind::Combination)
    }
}

/// The points whose numbers are in `range`.
fn part(points: Points, range: Option<Range<usize>>) -> Result<Points> {
    match range {
        Some(range) if range != (0..points.len()) => points.select(&range.collect::<Vec<_>>()),
        _ => Ok(points),
    }
}

fn no_points(text: &str, embedding: &MeanEmbedding) -> Error {
    let count = embedding.frequencies().count;
    Error::file(text, format!("holds the mean of {count} random features, not points; embed without --random-features"))
}

fn only_statistics(text: &str) -> Error {
    Error::file(text, "holds a mean and a covariance (mu, sigma), not points: only kme eval --metrics fid takes them")
}
