//! What a user names as a sample (pictures, points, an embedding, a generator), as weighted points.

use crate::arguments::{self, Global};
use crate::extract::{Extraction, batch_size};
use crate::gallery::Gallery;
use crate::output;
use crate::points::{self, Columns, Found, Header, Notes};
use clap::Args;
use kme::discrepancy::{median_distance, total_weight};
use kme::embedding::{AnyEmbedding, Expression, FeatureIdentity, Kind, MeanEmbedding};
use kme::evaluate::Statistics;
use kme::sums::Precision;
use kme::{Embedding, Error, Kernel, KernelSpec, Points, Result};
use kme_deep::cache::FeatureCache;
use kme_deep::data::{Form, Skipped, Source};
use kme_deep::feature::FeatureMap;
use kme_deep::image::{Channels, Colour, DEFAULT_MAX_PIXELS, Decoder, PROTOCOLS, Protocol, Resize};
use kme_deep::model::Generator;
use kme_deep::models::SHIPPED;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The kinds of sources, for the help of every verb that takes them.
pub const HELP: &str = "\
Sources:
  FOLDER, FILE.zip, FILE.tar   pictures in it at any depth: PNG, JPEG, BMP, GIF, TIFF, WebP, PNM; also
                               .tar.gz, and a folder of such archives
  FILE.png, ...                one picture
  FILE.npy, FILE.npz[:ARRAY]   pictures: bytes, or floats from 0 to 1, of shape (n, h, w, c) or
                               (n, c, h, w), c = 1, 3 or 4; :nhwc or :nchw behind it where both fit
  IDX or .bin file             pictures in the format of MNIST (.gz too) or CIFAR-10
  NAME[:train|:test|:all]      a data set: fashion-mnist, mnist, cifar10 (see kme data list)
  FILE.npy, FILE.csv           points, one a row; also .tsv, .txt, and - for standard input
  FILE.csv:COLUMN=VALUE        the rows of one group; --group COLUMN splits a file into its groups
  FILE.npz[:ARRAY]             points in an archive of arrays; also .safetensors and .pt; of several
                               arrays one must be named
  FILE.npz                     with arrays mu and sigma, or mean and cov: statistics, for FID alone
  FILE.kme                     an embedding: its points, weights, kernel and features; also an
                               expression such as '0.7*a.kme + 0.3*b.kme'
  RUN, MODEL                   pictures or points drawn from a generator: a run folder, a weights
                               file, or a shipped model (see kme models list); --samples says how
                               many; a conditional one draws all its classes equally often

Pictures become points by a feature map that must be named: --features pixels, a classifier such as \
fashion-classifier, or a known network: inception, vgg19:relu4_1, vgg19:relu4_1:flat, resnet18=FILE (see kme \
models list). A generator's card and an embedding name one, which is then the default.";

/// The text of a kernel, for the help of every verb that takes one.
pub const KERNELS: &str = "\
Kernels (r is the distance of two points, d their dimension):
  linear                          <x,y>
  poly:degree=3,gamma=1/d,coef=1  (gamma <x,y> + coef)^degree
  gaussian:sigma=2                exp(-r^2/(2 sigma^2)); or gaussian:gamma=0.125 for exp(-gamma r^2)
  rq:alpha=0.5                    (1 + r^2/(2 alpha))^-alpha
  laplacian:scale=1               exp(-r/scale)
  imq:c=10                        (c^2 + r^2)^(-1/2)
  energy, energy:a=1e-6           -r, a - (a^2 + r^2)^(1/2)
  distance                        |x| + |y| - r
  A list is a sum, as in gaussian:sigma=2,5,10; so is +, and * puts a weight before a kernel:
  rq:alpha=0.2,1+0.1*linear. A length may be median, the median distance of all points at hand, or
  a multiple such as 0.5*median; the kernel that results is printed.";

/// How sources become points.
#[derive(Args)]
#[command(next_help_heading = "Options of sources")]
pub struct SourceFlags {
    /// Feature map: identity for points; for pictures pixels, a classifier's name or file, or NETWORK[=FILE][:LAYER][:flat]
    #[arg(long, value_name = "FEATURES")]
    pub features: Option<String>,
    /// Bring pictures to this size, for --features pixels
    #[arg(long, value_name = "HxW", value_parser = Resize::parse)]
    pub size: Option<Resize>,
    #[arg(long, value_name = "NAME", help = format!(
        "How pictures are brought to their size: {PROTOCOLS}; the last three do all as the tools do, so they ignore EXIF's orientation \
         and drop transparency, where all others turn the picture and lay it over white [default: that of the network; pillow-bicubic-crop with --size]"
    ))]
    pub resize: Option<Protocol>,
    /// Bring pictures to 1 (grey) or 3 (colour) channels, for --features pixels
    #[arg(long, value_name = "1|3", value_parser = colour)]
    pub channels: Option<Colour>,
    /// Pictures or points to draw from each source that is a generator
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = arguments::count::<usize>)]
    pub samples: usize,
    /// Coordinates of points, with commas: names of a header, numbers from 1, ranges such as 2-5 or 3- [default: all but row
    /// names]
    #[arg(long, value_name = "COLUMNS")]
    pub columns: Option<Columns>,
    /// Split each text file of points into the samples that this column tells apart
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Whether the first line of text files names the columns [default: found out]
    #[arg(long, value_name = "yes|no", value_enum)]
    pub header: Option<Header>,
    /// Leave out pictures that cannot be read, and name them, instead of stopping
    #[arg(long)]
    pub skip_bad: bool,
    /// Refuse pictures of more pixels than this; each takes 12 bytes, or more, while it is read
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PIXELS)]
    pub max_pixels: u64,
    /// Folder in which the features that a network computes are kept for the next time [default: the user's cache folder]
    #[arg(long, value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Neither look for features that were computed before nor keep them
    #[arg(long, conflicts_with = "cache_dir")]
    pub no_cache: bool,
}

impl SourceFlags {
    /// The coordinates that were asked for; none: all.
    pub fn columns(&self) -> &[String] {
        self.columns.as_ref().map_or(&[], |columns| &columns.0)
    }
}

fn colour(text: &str) -> Result<Colour> {
    let channels = text.parse().map_err(|_| Error::value("channels", text, "1 (grey) or 3 (red, green, blue)"))?;
    Colour::from_channels(channels)
}

/// The arithmetic that `--precision` names.
pub fn precision(text: &str) -> Result<Precision> {
    match text {
        "f64" => Ok(Precision::F64),
        "f32" => Ok(Precision::F32),
        _ => Err(Error::value("precision", text, "f64 or f32")),
    }
}

/// A source whose kind is known.
pub struct Opened {
    pub text: String,
    content: Content,
    /// Whether the content was drawn from a generator of points.
    drawn: bool,
    /// Of a file of points.
    notes: Notes,
}

enum Content {
    Pictures(Source),
    Points(Points),
    Embedding(Box<Embedding>),
    Mean(Box<MeanEmbedding>),
    Statistics(Box<Statistics>),
    Generator(Box<Generator>),
    /// Read already: large samples are not held twice.
    Taken,
}

/// Sources and the feature map that they share.
pub struct Sources<'a> {
    pub all: Vec<Opened>,
    map: Option<FeatureMap>,
    form: Form,
    cache: Option<FeatureCache>,
    logits: bool,
    flags: &'a SourceFlags,
    global: &'a Global,
}

/// A source as points.
pub struct Sample {
    pub points: Points,
    /// Class logits (n, classes), of pictures, when they were asked for and the network has them.
    pub logits: Option<Points>,
    /// Where they are not all equal.
    pub weights: Option<Vec<f64>>,
    pub features: FeatureIdentity,
    /// Of an embedding.
    pub kernel: Option<Kernel>,
    /// SHA-256 over the files of a source of pictures.
    pub fingerprint: Option<String>,
    /// Pictures that were left out since they cannot be read.
    pub skipped: Vec<Skipped>,
    /// Of pictures that have names: the name of each.
    pub names: Option<Vec<String>>,
    /// Of files of pictures: how they were read.
    pub decoder: Option<String>,
    /// Of pictures: how they were brought to one size, if they were.
    pub resize: Option<String>,
    /// Of a file of points: columns, and what was left out.
    pub notes: Notes,
}

impl Sample {
    /// Whether the sample called `name` can be compared with `other`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when feature maps or dimensions differ.
    pub fn check_same_space(&self, name: &str, other: &Self, other_name: &str) -> Result<()> {
        let fault = match self.features.check_same(&other.features) {
            Ok(()) => return check_same_dim((self.points.dim(), name), (other.points.dim(), other_name)),
            Err(fault) => fault,
        };
        // A difference in the pixels' shape has a remedy at hand.
        let fault = match fault {
            Error::Mismatch { field, left, right, .. }
                if left.contains("range 0 to 1") && field.contains("preproc") =>
            {
                let remedy = "--size HEIGHTxWIDTH and --channels 1 or 3 bring all pictures to one form";
                Error::mismatch(field, left, right, remedy)
            }
            other => other,
        };
        Err(output::naming(fault, name, other_name))
    }

    /// What a result records of where the sample named `text` comes from.
    pub fn provenance(&self, text: &str) -> Value {
        let mut told = json!({
            "source": text,
            "weighted": self.weights.is_some(),
            "fingerprint": self.fingerprint,
            "skipped": self.skipped,
            "decoder": self.decoder,
            "resize": self.resize,
        });
        if let Some(columns) = &self.notes.columns {
            told["columns"] = json!(columns);
        }
        if !self.notes.remarks.is_empty() {
            told["remarks"] = json!(self.notes.remarks);
        }
        told
    }
}

/// The kernel that samples, each with its name, are compared by: the one that was asked for, else that of the embeddings among
/// them, else the one of this text. A median is that of all their points.
///
/// # Errors
/// When embeddings have different kernels and none was asked for, or a median cannot be taken.
pub fn kernel(asked: Option<&KernelSpec>, samples: &[(&str, &Sample)], otherwise: &str) -> Result<Kernel> {
    let mut own = samples.iter().filter_map(|(name, sample)| Some((sample.kernel.as_ref()?, name)));
    let spec = match (asked, own.next()) {
        (Some(spec), _) => spec.clone(),
        (None, None) => otherwise.parse()?,
        (None, Some((first, name))) => match own.find(|(kernel, _)| *kernel != first) {
            None => return Ok(first.clone()),
            Some((other, other_name)) => {
                let (left, right) = (format!("{first} ({name})"), format!("{other} ({other_name})"));
                return Err(Error::mismatch("kernel", left, right, "name the one to use with --kernel"));
            }
        },
    };
    let points: Vec<&Points> = samples.iter().map(|(_, sample)| &sample.points).collect();
    spec.resolve(points[0].dim(), || median_distance(&points))
}

/// Whether points of two sources have one dimension; each with its name.
///
/// # Errors
/// [`Error::Mismatch`] when they have not.
pub fn check_same_dim((d, name): (usize, &str), (other, other_name): (usize, &str)) -> Result<()> {
    match d == other {
        true => Ok(()),
        false => {
            let (left, right) = (format!("{d} ({name})"), format!("{other} ({other_name})"));
            Err(Error::mismatch("dimension d of the points", left, right, "compare points of one space"))
        }
    }
}

/// Whether `text` is meant as a `.kme` file or an expression of such files.
pub fn is_embedding(text: &str) -> bool {
    let path = Path::new(text);
    if path.exists() {
        return path.is_file() && path.extension().is_some_and(|e| e == "kme");
    }
    // At the end of a name, quoted or not: not in the middle of a path.
    text.match_indices(".kme").any(|(i, _)| matches!(text.as_bytes().get(i + 4), None | Some(b' ' | b'\'' | b'"')))
}

/// Whether `text`, which is no expression of `.kme` files, looks like one.
fn is_like_a_sum(text: &str) -> bool {
    text.contains(".kme") && text.contains(['+', '*', '(']) && !Path::new(text).exists()
}

/// The embedding that a text names, of either form; only single files can be means of random features.
fn read_any(text: &str) -> Result<AnyEmbedding> {
    let expression = Expression::parse(text)?;
    match expression.terms.as_slice() {
        [term] if term.coefficient == 1.0 => AnyEmbedding::read(&term.path),
        _ => read_combination(&expression).map(AnyEmbedding::Points),
    }
}

/// The embedding that a text names: a file, or an expression of files.
pub fn read_embedding(text: &str) -> Result<Embedding> {
    read_combination(&Expression::parse(text)?)
}

/// As [`Expression::read`], with the names of two files that do not go together.
fn read_combination(expression: &Expression) -> Result<Embedding> {
    let mut first = None;
    expression.evaluate(|path| {
        let embedding = Embedding::read(path)?;
        match &first {
            None => first = Some((path.to_path_buf(), embedding.clone())),
            Some((name, first)) => first
                .check_same_space(&embedding)
                .map_err(|fault| output::naming(fault, name.display(), path.display()))?,
        }
        Ok(embedding)
    })
}

impl Opened {
    /// Finds out what `text` names, and reads it unless it is pictures.
    fn open(text: &str, flags: &SourceFlags, global: &Global) -> Result<Self> {
        let mut notes = Notes::default();
        let content = Self::content(text, flags, &mut notes, global)?;
        Ok(Self { text: text.into(), content, drawn: false, notes })
    }

    fn content(text: &str, flags: &SourceFlags, notes: &mut Notes, global: &Global) -> Result<Content> {
        let path = Path::new(text);
        let set = text.split_once(':').map_or(text, |(name, _)| name);
        let is_set = kme_deep::data::is_known(set);
        if !is_set && is_embedding(text) {
            return Ok(match read_any(text)? {
                AnyEmbedding::Points(embedding) => Content::Embedding(Box::new(embedding)),
                AnyEmbedding::Mean(embedding) => Content::Mean(Box::new(embedding)),
            });
        }
        if !is_set && is_like_a_sum(text) {
            let fault = "is not a sum of embeddings: write it as 0.7*a.kme + 0.3*b.kme, of .kme files alone, which kme embed \
                         makes; parentheses and division are not known";
            return Err(Error::file(text, fault));
        }
        // A network and an embedding both have this entry in their header; arrays do not.
        let is_network_file = || path.extension().is_some_and(|e| e == "safetensors") && Embedding::is_file(path);
        let is_run = || path.join("model.safetensors").is_file();
        let is_known = || {
            let own = global.models().folder().map(|folder| folder.join(format!("{text}.safetensors")));
            !path.exists() && (SHIPPED.iter().any(|s| s.name == text) || own.is_some_and(|file| file.is_file()))
        };
        if !is_set && (is_run() || is_network_file() || is_known()) {
            let (bytes, path) = global.models().bytes(text)?;
            let place = global.context()?.place;
            return Generator::parse(&bytes, &path, &place).map(Box::new).map(Content::Generator);
        }
        if !is_set && Source::is_array(text)? {
            return Source::parse(text, &global.places()).map(Content::Pictures);
        }
        if !is_set && points::is_named(text) {
            return Ok(match points::read(text, flags, global)? {
                Found::Statistics(statistics) => Content::Statistics(Box::new(statistics)),
                Found::Points(points, found) => {
                    *notes = found;
                    Content::Points(points)
                }
            });
        }
        Source::parse(text, &global.places()).map(Content::Pictures).map_err(points::naming_formats)
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
            Content::Statistics(statistics) => Some(statistics),
            _ => None,
        }
    }

    /// Whether random draws decide about the points.
    pub fn is_random(&self) -> bool {
        self.drawn || matches!(self.content, Content::Generator(_))
    }

    /// Draws the points of a generator of points: from here on it is a source like a file of them.
    fn with_points(mut self, n: usize, seed: u64) -> Result<Self> {
        if let Content::Generator(generator) = &self.content
            && generator.points
        {
            self.content = Content::Points(generator.sample_points(n, seed)?);
            self.drawn = true;
        }
        Ok(self)
    }

    fn features(&self) -> Option<&FeatureIdentity> {
        match &self.content {
            Content::Embedding(embedding) => Some(embedding.features()),
            Content::Mean(embedding) => Some(embedding.features()),
            _ => None,
        }
    }
}

impl<'a> Sources<'a> {
    /// The sources that `texts` name, with one feature map for all.
    ///
    /// # Errors
    /// When one cannot be opened, or the flags do not fit the sources.
    pub fn open<'t>(
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
    pub fn open_with<'t>(
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
        let open = |text: &String| Opened::open(text, flags, global)?.with_points(flags.samples, global.seed());
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
    pub fn count(&self, i: usize) -> Result<usize> {
        match &self.all[i].content {
            Content::Pictures(source) => Ok(source.batches(&self.form, batch_size(&self.form))?.total()),
            Content::Points(points) => Ok(points.len()),
            Content::Embedding(embedding) => Ok(embedding.len()),
            Content::Mean(embedding) => Err(no_points(&self.all[i].text, embedding)),
            Content::Statistics(_) => Err(only_statistics(&self.all[i].text)),
            Content::Generator(_) => Ok(self.flags.samples),
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
            Content::Statistics(_) => Err(only_statistics(text)),
            Content::Taken => Err(Error::value("source", text, "read once")),
            Content::Pictures(source) => self.extraction(text)?.pictures(&source, range),
            Content::Generator(generator) => self.extraction(text)?.generated(&generator, self.flags.samples, range),
        }
    }

    /// Whether a combination is a distribution but for a factor, which is told.
    fn check_mass(&self, text: &str, weights: &[f64]) -> Result<()> {
        let total = total_weight(weights).map_err(|fault| match fault {
            Error::Value { name, value, allowed } => Error::value(format!("{name} of '{text}'"), value, allowed),
            other => other,
        })?;
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
    pub fn want_logits(&mut self) -> Result<()> {
        if let Some(map) = self.map.as_ref().filter(|map| !map.classifies()) {
            let allowed = "a network whose file holds its class logits: the inception score is one of logits";
            return Err(Error::value("--features", map.identity([0; 3]).name, allowed));
        }
        self.logits = true;
        Ok(())
    }

    /// The pictures of source `i`, to be looked at again after it has been read; none where it holds points.
    pub fn gallery(&self, i: usize) -> Option<Gallery> {
        match &self.all[i].content {
            Content::Pictures(source) => Some(Gallery::of_source(source.clone(), self.form.decoder)),
            Content::Generator(generator) => {
                Some(Gallery::of_generator((**generator).clone(), self.flags.samples, self.global.seed()))
            }
            _ => None,
        }
    }

    /// Whether source `i` is a combination, whose weights may have any sign.
    pub fn is_combination(&self, i: usize) -> bool {
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

/// The feature map that the pictures among the sources go through: the one that is named, or that one of the sources names.
fn named_map(all: &[Opened], flags: &SourceFlags, global: &Global) -> Result<Option<FeatureMap>> {
    let is_picture = |o: &&Opened| matches!(o.content, Content::Pictures(_) | Content::Generator(_));
    let Some(first) = all.iter().find(is_picture) else {
        if flags.size.is_some() || flags.channels.is_some() || flags.resize.is_some() {
            let allowed = "sources of pictures; there are none here";
            return Err(Error::value("--size, --channels and --resize", "given", allowed));
        }
        check_name(all, flags.features.as_deref())?;
        return Ok(None);
    };
    let place = global.context()?.place;
    if let Some(name) = &flags.features {
        return FeatureMap::named(name, &global.models(), &place).map(Some);
    }
    // An embedding says what it is to be compared with, a generator how it is to be judged.
    let embedded = all.iter().filter_map(Opened::features).find(|f| *f != &FeatureIdentity::identity());
    let card = all.iter().find_map(|o| match &o.content {
        Content::Generator(generator) => Some((generator, &o.text)),
        _ => None,
    });
    if let (None, Some((generator, text))) = (embedded, card) {
        let (_, path) = global.models().bytes(text)?;
        return FeatureMap::of_generator(generator, &path, &global.models(), &place).map(Some);
    }
    let named = embedded.map(|f| f.name.split_once('/').map_or(f.name.as_str(), |(network, _)| network));
    let needed = |why: String| Error::value("--features", "(nothing)", why);
    let Some(name) = named else {
        let classifiers = SHIPPED.iter().map(|s| s.name).filter(|name| name.contains("classifier"));
        let names = classifiers.collect::<Vec<_>>().join(", ");
        return Err(needed(format!(
            "a feature map, since {} holds pictures: pixels, {names}, or the file or run folder of a classifier",
            first.text
        )));
    };
    FeatureMap::named(name, &global.models(), &place)
        .map(Some)
        .map_err(|fault| needed(format!("a classifier's file, since '{name}' is not found by name ({fault})")))
}

/// What results say of a known network's weights that are not known.
fn unknown_weights(name: &str, map: &FeatureMap) -> Option<String> {
    let card = kme_deep::networks::card(&name[..name.find(['=', ':']).unwrap_or(name.len())])?;
    let sha256 = map.identity([0; 3]).sha256.filter(|sha256| card.known(sha256).is_none())?;
    Some(format!(
        "{name}: the SHA-256 of these weights, {sha256}, is not one that is known for {}: other weights give other numbers (kme \
         models info {} lists those that are known)",
        card.name, card.name
    ))
}

/// Without pictures nothing is mapped: a name that is given must be that of the points at hand.
fn check_name(all: &[Opened], name: Option<&str>) -> Result<()> {
    let Some(name) = name.filter(|name| *name != "identity") else { return Ok(()) };
    for source in all {
        let Some(features) = source.features() else {
            let allowed = format!("identity, since {} holds points, not pictures", source.text);
            return Err(Error::value("--features", name, allowed));
        };
        let known = features.name.split_once('/').map_or(features.name.as_str(), |(network, _)| network);
        if known != kme_deep::feature::canonical(name) && Path::new(name).file_stem().is_none_or(|stem| stem != known) {
            let remedy = "leave out --features, or embed the pictures again";
            return Err(Error::mismatch("feature map", name, format!("'{}' ({})", features.name, source.text), remedy));
        }
    }
    Ok(())
}

/// Where features are kept. Only those of networks are worth it.
fn cache(map: Option<&FeatureMap>, flags: &SourceFlags) -> Result<Option<FeatureCache>> {
    if flags.no_cache || map.is_none_or(|map| matches!(map, FeatureMap::Pixels)) {
        return Ok(None);
    }
    match &flags.cache_dir {
        Some(folder) => {
            let cache = FeatureCache::new(folder.clone());
            // What was asked for is checked before hours of work; the default is made when it is needed.
            cache.prepare()?;
            Ok(Some(cache))
        }
        None => Ok(FeatureCache::of_user()),
    }
}

/// What pictures are brought to when they are read, by `resize` unless the flags name another way.
fn form(map: Option<&FeatureMap>, flags: &SourceFlags, resize: Option<Protocol>) -> Result<Form> {
    let convert = |colour| Decoder::new(Channels::Convert(colour));
    let max_pixels = flags.max_pixels;
    match map.map(FeatureMap::form).transpose()?.flatten() {
        Some(form) => {
            if flags.size.is_some() || flags.channels.is_some() {
                let [c, h, w] = map.and_then(FeatureMap::input).unwrap_or_default();
                let why = format!("nothing here: this feature map itself brings pictures to {c}x{h}x{w}");
                return Err(Error::value("--size and --channels", "given", why));
            }
            Ok(Form { decoder: Decoder { max_pixels, ..form.decoder }, ..form })
        }
        None => {
            let decoder = flags.channels.map_or_else(Decoder::default, convert);
            let decoder =
                Decoder { reading: flags.resize.or(resize).unwrap_or_default().reading(), max_pixels, ..decoder };
            let resize = match (flags.size, flags.resize) {
                (Some(size), asked) => Some(asked.or(resize).map_or(size, |protocol| size.with(protocol))),
                (None, Some(protocol)) => {
                    let allowed = "given together with --size HEIGHTxWIDTH for --features pixels";
                    return Err(Error::value("--resize", protocol, allowed));
                }
                (None, None) => None,
            };
            Ok(Form { decoder, resize, ..Form::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_are_told_from_paths_that_hold_such_a_name() {
        for text in ["a.kme", "0.7*a.kme + 0.3*b.kme", "- 2*'my a.kme'"] {
            assert!(is_embedding(text), "{text}");
        }
        for text in ["x.kme.d/a.npy", "a.kmes", "pictures/", "my.kme-files/boot.png"] {
            assert!(!is_embedding(text), "{text}");
        }
    }
}
