//! What kind of source a name is.

use super::Reader;
use super::expression::{is_embedding, is_like_a_sum, read_any};
use super::points::{self, Found, Table};
use kme::{AnyEmbedding, Embedding, Error, FeatureIdentity, MeanEmbedding, Points, Result, Statistics};
use kme_image::Source;
use kme_net::{Generator, Makes, SHIPPED};
use std::path::Path;
use std::sync::Arc;

/// A source whose kind is known.
pub struct Opened {
    pub(super) text: String,
    pub(super) content: Content,
    /// Whether the content was drawn from a generator of points.
    drawn: bool,
    /// Of a file of points.
    pub(super) table: Table,
}

pub(super) enum Content {
    Pictures(Source),
    Points(Points),
    Embedding(Box<Embedding>),
    Mean(Box<MeanEmbedding>),
    Statistics(Box<Statistics>, Option<FeatureIdentity>),
    Generator(Arc<dyn Generator>),
    /// Read already: large samples are not held twice.
    Taken,
}

impl Opened {
    /// Finds out what `text` names, and reads it unless it is pictures.
    pub(super) fn open(text: &str, reader: &Reader) -> Result<Self> {
        let mut table = Table::default();
        let content = Self::content(text, reader, &mut table)?;
        Ok(Self { text: text.into(), content, drawn: false, table })
    }

    /// As it was named.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn content(text: &str, reader: &Reader, table: &mut Table) -> Result<Content> {
        let context = reader.context;
        let path = Path::new(text);
        let set = text.split_once(':').map_or(text, |(name, _)| name);
        let is_set = kme_image::is_known(set);
        if !is_set && is_embedding(text) {
            return Ok(match read_any(text)? {
                AnyEmbedding::Points(embedding) => Content::Embedding(Box::new(embedding)),
                AnyEmbedding::Mean(embedding) => Content::Mean(Box::new(embedding)),
            });
        }
        if !is_set && is_like_a_sum(text) {
            let problem = "write a sum as 0.7*a.kme + 0.3*b.kme, of .kme files alone, without parentheses or division";
            return Err(Error::syntax("expression of embeddings", text, problem));
        }
        // A network and an embedding both have this entry in their header; arrays do not.
        let is_network_file = || path.extension().is_some_and(|e| e == "safetensors") && Embedding::is_file(path);
        let is_run = || path.join("model.safetensors").is_file();
        let is_known = || {
            let own = context.models.folder().map(|folder| folder.join(format!("{text}.safetensors")));
            !path.exists() && (SHIPPED.iter().any(|s| s.name == text) || own.is_some_and(|file| file.is_file()))
        };
        if !is_set && (is_run() || is_network_file() || is_known()) {
            return context.models.generator(text, &context.place).map(Content::Generator);
        }
        if !is_set && Source::is_array(text)? {
            return Source::parse(text, &context.data).map(Content::Pictures);
        }
        if !is_set && points::is_points(text) {
            return Ok(match points::read(text, reader)? {
                Found::Statistics(statistics) => {
                    // Of other tools' files nothing is known, and that of a later version may not be understood.
                    let features = statistics.features().and_then(|text| serde_json::from_str(text).ok());
                    Content::Statistics(Box::new(statistics), features)
                }
                Found::Points(points, found) => {
                    *table = found;
                    Content::Points(points)
                }
            });
        }
        Source::parse(text, &context.data).map(Content::Pictures).map_err(points::naming_formats)
    }

    /// Whether this is a sum of random features, without points.
    pub fn mean(&self) -> Option<&MeanEmbedding> {
        match &self.content {
            Content::Mean(mean) => Some(mean),
            _ => None,
        }
    }

    /// The mean and covariance, if that is all that is known.
    pub fn statistics(&self) -> Option<&Statistics> {
        match &self.content {
            Content::Statistics(statistics, _) => Some(statistics),
            _ => None,
        }
    }

    /// Whether random draws decide about the points.
    pub fn is_random(&self) -> bool {
        self.drawn || matches!(self.content, Content::Generator(_))
    }

    /// Draws the points of a generator of points: from here on it is a source like a file of them.
    pub(super) fn with_points(mut self, n: usize, seed: u64) -> Result<Self> {
        if let Content::Generator(generator) = &self.content
            && let Makes::Points(_) = generator.makes()
        {
            self.content = Content::Points(generator.sample_points(n, seed)?);
            self.drawn = true;
        }
        Ok(self)
    }

    /// The feature map of what a file holds, where the file tells it.
    pub fn features(&self) -> Option<&FeatureIdentity> {
        match &self.content {
            Content::Statistics(_, features) => features.as_ref(),
            Content::Embedding(embedding) => Some(embedding.features()),
            Content::Mean(embedding) => Some(embedding.features()),
            _ => None,
        }
    }
}
