//! A match as a user asks for it: names for the generator, the inputs and the feature map, and defaults for the rest.

use super::doubts::{Far, of_kernel};
use super::{Domain, Match, Matched, bandwidth};
use crate::sample::{Context, Likes};
use kme::{Embedding, Error, Form, Kernel, KernelSpec, Observer, Points, Progress, Result};
use kme_image::{Background, Channels, Colour, Crop, Decoder, Images, Resize};
use kme_net::{FeatureMap, Generator, Makes};
use std::sync::Arc;

/// Pictures like these: latents of a generator moved towards the embedding of the inputs.
///
/// # Example
/// ```no_run
/// use kme_deep::Context;
/// use kme_deep::MatchRequest;
///
/// let likes = vec!["0.8*boot.png".into(), "0.2*bag.png".into()];
/// let request = MatchRequest { likes, ..MatchRequest::new("fashion") };
/// let matched = request.prepare(&Context::cpu(), &())?.run(&())?;
/// matched.pictures.write_png(0, "like-these.png".as_ref())?;
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatchRequest {
    /// A run folder, a network file, or a name of the models folder or the program.
    pub generator: String,
    /// What to make more of: each `[WEIGHT*]IMAGE|FOLDER|EMBEDDING`. A negative weight means "less like this".
    pub likes: Vec<String>,
    /// Feature map in which pictures are compared; without it the one on the generator's card.
    pub features: Option<String>,
    /// Without it that of the embeddings among the inputs, else (c² + r²)^(−1/2) with the [`bandwidth`] c, rounded up to three
    /// digits.
    pub kernel: Option<KernelSpec>,
    /// The crop of the inputs; by default the one on the generator's card.
    pub crop: Option<Crop>,
    /// Of a conditional generator, the name or number of the class of all pictures.
    pub class: Option<String>,
    /// How latents are moved. Its class is the one that is named above.
    pub how: Match,
}

/// A match of which everything is read and decided: what it depends on, and what there is to say before it runs.
#[derive(Debug)]
pub struct PreparedMatch {
    /// The generator.
    pub generator: Arc<dyn Generator>,
    /// The feature map in which pictures are compared.
    pub map: Arc<dyn FeatureMap>,
    /// The name of the feature map, as it was asked for or as it is on the card.
    pub features: String,
    /// The embedding of the inputs, towards which latents are moved.
    pub target: Embedding,
    /// Some pictures of the inputs as the generator's are; none where all are embeddings.
    pub shown: Option<Images>,
    /// The shape of the generator's pictures: channels, height, width.
    pub shape: [usize; 3],
    /// What was cut out of the inputs.
    pub crop: Crop,
    /// The colour under transparent parts of the inputs.
    pub background: Background,
    /// The inputs that are unlike what the generator makes.
    pub far: Far,
    /// How latents are moved.
    pub how: Match,
}

impl MatchRequest {
    /// With the defaults for all but the inputs.
    pub fn new(generator: impl Into<String>) -> Self {
        Self {
            generator: generator.into(),
            likes: Vec::new(),
            features: None,
            kernel: None,
            crop: None,
            class: None,
            how: Match::default(),
        }
    }

    /// Reads generator, feature map and inputs, chooses the kernel, and compares the inputs with what the generator makes. The
    /// observer is told what was chosen and what may go wrong.
    ///
    /// # Errors
    /// When something cannot be read, or the inputs do not fit together; [`Error::Unsupported`] of a generator of points;
    /// [`Error::Cancelled`] when the observer stops it.
    pub fn prepare(&self, context: &Context, observer: &dyn Observer) -> Result<PreparedMatch> {
        let Context { models, place, data: _ } = context;
        let generator = models.generator(&self.generator, place)?;
        let Makes::Pictures(shape) = generator.makes() else {
            let operation = format!("match with {}", self.generator);
            return Err(Error::unsupported(operation, "it makes points. Give a generator of pictures"));
        };
        let class = self.class.as_deref().map(|name| generator.class(name)).transpose()?;
        let how = Match { class, ..self.how.clone() };
        let features = self.features.clone().unwrap_or_else(|| generator.features().into());
        let map = match &self.features {
            Some(name) => models.feature_map(name, place)?,
            None => models.feature_map_of(&*generator, &self.generator, place).map_err(|fault| {
                // One that is not found can be named.
                match fault.parameter_name() {
                    Some("features") => fault,
                    _ => fault.within(format!("`features` (by default {features}, from the generator's card)")),
                }
            })?,
        };
        let (crop, background) = (self.crop.unwrap_or(generator.crop()), generator.background());
        let [c, h, w] = shape;
        let form = kme_image::Form {
            decoder: Decoder::new(Channels::Convert(Colour::from_channels(c)?)),
            crop,
            resize: Some(Resize::new(h, w)?),
            background,
        };
        let looked_at = in_features(&*map);
        if looked_at < IN_FEATURES {
            observer.remark(&format!(
                "{features} is a large network: it looks at your inputs and at {looked_at} pictures of the generator first"
            ));
        }
        let likes = Likes::read(&self.likes, &*map, shape, &form, context)?;
        let (shown, inputs, points) = (likes.shown.clone(), likes.inputs.clone(), likes.points.clone());
        let pictures = match class {
            Some(class) => generator.sample_class(IN_PIXELS, class, how.seed)?,
            None => generator.sample(IN_PIXELS, how.seed)?,
        };
        let domain = Domain::new(features_of(&*map, &pictures, looked_at, observer)?)?;
        let default = |inputs: &Points| {
            let c = bandwidth(inputs, domain.samples())?;
            Kernel::try_from(Form::InverseMultiquadric { c: rounded(c) })
        };
        let target = likes.embedding(self.kernel.as_ref(), default, &*map, shape, how.seed)?;
        observer.remark(&format!("kernel {}, features {features}, seed {}", target.kernel(), how.seed));
        if !crop.is_none() && shown.is_some() {
            let why = if self.crop.is_none() { ", as the generator's pictures were" } else { "" };
            observer.remark(&format!("inputs cut by {crop}{why}"));
        }
        let far = Far::of(&inputs, &points, &domain, &pictures)?;
        let doubts = [far.text(&features), of_kernel(target.kernel(), &points, &domain)?];
        doubts.iter().flatten().for_each(|text| observer.remark(text));
        Ok(PreparedMatch { generator, map, features, target, shown, shape, crop, background, far, how })
    }
}

impl PreparedMatch {
    /// Moves the latents. Breaking stops there and keeps what was reached.
    ///
    /// # Errors
    /// As [`Match::run`].
    pub fn run(&self, observer: &dyn Observer) -> Result<Matched> {
        self.how.run(&*self.generator, &*self.map, &self.target, observer)
    }
}

/// Pictures of the generator that the inputs are compared with, in pixels.
const IN_PIXELS: usize = 1000;

/// And those of them in features, for the distances of the default kernel too.
const IN_FEATURES: usize = 200;

/// Those for networks that take a quarter of a second or more for a picture: one batch of them. Of Inception's features a
/// fourth, or three times, as many give the same remarks.
const IN_SLOW_FEATURES: usize = 50;

/// Pixels of a picture from which on a network is slow.
const LARGE: usize = 128 * 128;

/// How many pictures of the generator are looked at in features.
fn in_features(map: &dyn FeatureMap) -> usize {
    match map.input() {
        Some([_, h, w]) if h * w >= LARGE => IN_SLOW_FEATURES,
        _ => IN_FEATURES,
    }
}

/// The features of the first pictures.
fn features_of(map: &dyn FeatureMap, pictures: &Images, count: usize, observer: &dyn Observer) -> Result<Points> {
    let tell = |done: usize| kme::internal::observe::check(observer, Progress::new("pictures", done, count));
    tell(0)?;
    let numbers: Vec<usize> = (0..count).collect();
    let mut parts = Vec::new();
    for some in numbers.chunks(IN_SLOW_FEATURES) {
        parts.push(map.features((&pictures.select(some)?).into())?);
        tell(some[some.len() - 1] + 1)?;
    }
    Points::concat(&parts.iter().collect::<Vec<_>>())
}

/// Three digits, since a bandwidth is a scale, not a measurement; rounded up, so that it stays above what mixing needs.
fn rounded(c: f64) -> f64 {
    let unit = 10_f64.powi(c.log10().floor() as i32 - 2);
    ((c / unit).ceil() * unit * 1e9).round() / 1e9
}
