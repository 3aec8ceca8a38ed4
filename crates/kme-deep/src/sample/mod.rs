//! What a user names as a sample (pictures, points, an embedding, a generator), as weighted points in one feature map.
//!
//! The way of every command and every score: names are [opened](Sources::open), which tells what each is and finds the one
//! feature map of all; each is [read](Sources::read) into a [`Sample`]. What a name may be says [`Sources`].

mod embed;
mod expression;
mod extract;
mod gallery;
mod likes;
mod mapped;
mod opened;
mod points;
mod repeated;
mod settings;
mod weighted;

pub use embed::{EmbedRequest, Embedded};
pub use gallery::{Gallery, Look};
pub(crate) use likes::{Input, Likes};
pub use opened::Opened;
pub use points::{Table, groups_of};
pub use repeated::Repeated;
pub use settings::{Cache, Context, Reader, SourceSettings};
pub(crate) use weighted::check_same_dim;
pub use weighted::{Sample, common_kernel, naming, naming_small};

use extract::{Extraction, batch_size};
use kme::{EmbeddingKind, Error, FeatureIdentity, MeanEmbedding, Observer, Points, Result, total_weight};
use kme_image::Form;
use kme_net::{FeatureCache, FeatureMap};
use mapped::{cache, form, named_map, unknown_weights};
use opened::Content;
use std::ops::Range;
use std::sync::Arc;

/// Sources and the feature map that they share.
///
/// A name is a folder, an archive or a file of pictures, a data set's name, a file of points or of a mean and covariance, an
/// embedding or an expression of embeddings, a generator's run folder, file or name, or `-` for standard input.
pub struct Sources<'a> {
    all: Vec<Opened>,
    map: Option<Arc<dyn FeatureMap>>,
    form: Form,
    cache: Option<FeatureCache>,
    logits: bool,
    reader: Reader<'a>,
}

impl<'a> Sources<'a> {
    /// The sources that `texts` name, with one feature map for all.
    ///
    /// # Errors
    /// When one cannot be opened, or the settings do not fit the sources.
    pub fn open<T: AsRef<str>>(texts: &[T], reader: Reader<'a>) -> Result<Self> {
        let Reader { settings, observer, .. } = reader;
        if !(1..=MOST_SAMPLES).contains(&settings.samples) {
            return Err(Error::parameter("samples", settings.samples, format!("from 1 to {MOST_SAMPLES}")));
        }
        if let Some(column) = &settings.group
            && !texts.iter().all(|text| text.as_ref().contains(&format!(":{column}=")))
        {
            let reason = "only scores and tests compare the groups of a file; elsewhere name the rows of one group, as in \
                          FILE.csv:COLUMN=VALUE";
            return Err(Error::not_applicable("group", reason));
        }
        let mut told = Vec::new();
        let open = |text: &T| {
            let text = text.as_ref();
            let opened = Opened::open(text, &reader)?.with_points(settings.samples, settings.seed)?;
            points::tell(text, &opened.table, &mut told, observer);
            Ok(opened)
        };
        let mut all = texts.iter().map(open).collect::<Result<Vec<_>>>()?;
        let tables = all.iter_mut().filter_map(|opened| match &mut opened.content {
            Content::Points(points) => Some((opened.text.as_str(), points, &mut opened.table)),
            _ => None,
        });
        points::align(&mut tables.collect::<Vec<_>>(), &reader)?;
        let map = named_map(&all, &reader)?;
        let unknown = settings.features.as_ref().zip(map.as_deref()).and_then(|(name, map)| unknown_weights(name, map));
        if let Some(remark) = unknown {
            observer.remark(&remark);
        }
        let map = match settings.resize.or(reader.resize) {
            Some(protocol) => map.map(|map| map.with_resize(protocol)),
            None => map,
        };
        let form = form(map.as_deref(), &reader)?;
        let cache = cache(map.as_deref(), settings)?;
        Ok(Self { all, map, form, cache, logits: false, reader })
    }

    /// What the names were found to be, in their order.
    pub fn all(&self) -> &[Opened] {
        &self.all
    }

    /// Who watches.
    pub(crate) fn observer(&self) -> &'a dyn Observer {
        self.reader.observer
    }

    /// Number of points of source `i`, before it is read: pictures that will be left out count as well.
    ///
    /// # Errors
    /// When its pictures cannot be listed.
    pub fn count(&self, i: usize) -> Result<usize> {
        match &self.all[i].content {
            Content::Pictures(source) => Ok(source.batches(&self.form, batch_size(&self.form))?.total()),
            Content::Points(points) => Ok(points.len()),
            Content::Embedding(embedding) => Ok(embedding.len()),
            Content::Mean(embedding) => Err(no_points(&self.all[i].text, embedding)),
            Content::Statistics(..) => Err(only_statistics(&self.all[i].text)),
            Content::Generator(_) => Ok(self.reader.settings.samples),
            Content::Taken => Ok(0),
        }
    }

    /// Source `i` as points; of all its items only those in `range`, if it is given. A source can be read once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, i: usize, range: Option<Range<usize>>) -> Result<Sample> {
        let content = std::mem::replace(&mut self.all[i].content, Content::Taken);
        let text = &self.all[i].text;
        let mut sample = self.sample(text, content, range)?;
        sample.table = self.all[i].table.clone();
        let is_mapped = sample.features != FeatureIdentity::identity() && sample.kernel.is_none();
        if let (true, Some(name), Some(map)) = (is_mapped, &self.reader.settings.features, &self.map) {
            sample.table.remarks.extend(unknown_weights(name, &**map));
        }
        let (n, d) = (sample.points.len(), sample.points.dim());
        let detail = format!("{text}: {n} points of dimension {d}, features {}", sample.features.name);
        self.reader.observer.detail(&detail);
        Ok(sample)
    }

    fn sample(&self, text: &str, content: Content, range: Option<Range<usize>>) -> Result<Sample> {
        match content {
            Content::Points(points) => Ok(Sample::new(part(points, range)?, FeatureIdentity::identity())),
            Content::Embedding(embedding) => {
                // Masses rather than weights, so that pooling samples pools them as they were.
                let weights = match embedding.kind() {
                    EmbeddingKind::Sample => embedding.masses(),
                    EmbeddingKind::Combination => {
                        self.check_mass(text, embedding.weights())?;
                        Some(embedding.weights())
                    }
                };
                Ok(Sample {
                    weights: weights.map(|w| range.clone().map_or(w.to_vec(), |range| w[range].to_vec())),
                    kernel: Some(embedding.kernel().clone()),
                    ..Sample::new(part(embedding.points().clone(), range)?, embedding.features().clone())
                })
            }
            Content::Mean(embedding) => Err(no_points(text, &embedding)),
            Content::Statistics(..) => Err(only_statistics(text)),
            Content::Taken => {
                Err(Error::unsupported(format!("read {text}"), "it was read before, and is not kept in memory"))
            }
            Content::Pictures(source) => self.extraction(text)?.pictures(&source, range),
            Content::Generator(generator) => self.extraction(text)?.generated(&*generator, range),
        }
    }

    /// Whether a combination is a distribution but for a factor, which is told.
    fn check_mass(&self, text: &str, weights: &[f64]) -> Result<()> {
        let total = total_weight(weights).map_err(|fault| fault.within(text))?;
        if (total - 1.0).abs() > 1e-9 {
            let shown = (total * 1e12).round() / 1e12;
            let told =
                format!("{text}: its weights sum to {shown}; they are divided by it, so that it is a distribution");
            self.reader.observer.remark(&told);
        }
        Ok(())
    }

    /// How the pictures of the source `text` become points.
    fn extraction<'s>(&'s self, text: &'s str) -> Result<Extraction<'s>> {
        let Some(map) = self.map.as_deref() else {
            return Err(Error::parameter("features", "identity", "a feature map of pictures"));
        };
        let (form, cache, logits) = (&self.form, self.cache.as_ref(), self.logits);
        Ok(Extraction { text, map, form, cache, logits, reader: self.reader })
    }

    /// Has class logits computed beside the features of pictures.
    ///
    /// # Errors
    /// When the feature map of the pictures is not of a network that classifies.
    pub fn want_logits(&mut self) -> Result<()> {
        if let Some(map) = self.map.as_ref().filter(|map| !map.classifies()) {
            let allowed = "a network that classifies, since the inception score is made of class logits";
            return Err(Error::parameter("features", map.identity([0; 3]).name, allowed));
        }
        self.logits = true;
        Ok(())
    }

    /// The pictures of source `i`, to be looked at again after it has been read; none where it holds points.
    pub fn gallery(&self, i: usize) -> Option<Gallery> {
        match &self.all[i].content {
            Content::Pictures(source) => Some(Gallery::of_source(source.clone(), self.form.decoder)),
            Content::Generator(generator) => {
                let SourceSettings { samples, seed, .. } = *self.reader.settings;
                Some(Gallery::of_generator(generator.clone(), samples, seed))
            }
            _ => None,
        }
    }

    /// Whether source `i` is a combination, whose weights may have any sign.
    pub fn is_combination(&self, i: usize) -> bool {
        matches!(&self.all[i].content, Content::Embedding(e) if e.kind() == EmbeddingKind::Combination)
    }
}

/// Points that are drawn from a generator at most.
const MOST_SAMPLES: usize = 10_000_000;

/// The points whose numbers are in `range`.
fn part(points: Points, range: Option<Range<usize>>) -> Result<Points> {
    match range {
        Some(range) if range != (0..points.len()) => points.select(&range.collect::<Vec<_>>()),
        _ => Ok(points),
    }
}

fn no_points(text: &str, embedding: &MeanEmbedding) -> Error {
    let count = embedding.frequencies().count;
    Error::format(
        text,
        format!("holds the mean of {count} random features, not points; embed without `random_features`"),
    )
}

fn only_statistics(text: &str) -> Error {
    Error::format(text, "holds a mean and a covariance (mu, sigma), not points; only the metric fid takes them")
}
