//! Flags of sources, and what help says of them.

use crate::arguments;
use clap::Args;
use kme::{Error, Precision, Result};
use kme_deep::{Cache, SourceSettings};
use kme_image::{Colour, DEFAULT_MAX_PIXELS, PROTOCOLS, Protocol, Resize};
use std::path::PathBuf;

/// What the help of every verb that takes samples says of kernels, sources and feature maps.
pub(crate) fn notes() -> String {
    format!("{KERNELS}\n\n{SOURCES}\n\n{FEATURES}\n\nResizing:\n--resize takes {PROTOCOLS}. {RESIZING}")
}

const KERNELS: &str = "\
Kernels (r is the distance of two points, d their dimension):
  linear                          <x,y>
  poly:degree=3,gamma=1/d,coef=1  (gamma <x,y> + coef)^degree
  gaussian:sigma=2                exp(-r^2/(2 sigma^2))
  gaussian:gamma=0.125            exp(-gamma r^2)
  rq:alpha=0.5                    (1 + r^2/(2 alpha))^-alpha
  laplacian:scale=1               exp(-r/scale)
  imq:c=10                        (c^2 + r^2)^(-1/2)
  energy                          -r
  energy:a=1e-6                   a - (a^2 + r^2)^(1/2)
  distance                        |x| + |y| - r
  gaussian:sigma=2,5,10           a sum of three
  rq:alpha=0.2,1+0.1*linear       a weighted sum
  gaussian:sigma=0.5*median       half the median distance of all points";

const SOURCES: &str = "\
Sources of pictures:
  FOLDER, FILE.zip, FILE.tar  all pictures inside, at any depth: PNG, JPEG, BMP,
                              GIF, TIFF, WebP, PNM; also FILE.tar.gz, and a
                              folder of archives
  FILE.png, ...               one picture
  FILE.npy, FILE.npz[:ARRAY]  bytes, or floats from 0 to 1, of shape (n, h, w, c)
                              or (n, c, h, w) with c = 1, 3 or 4; add :nhwc or
                              :nchw if both fit
  IDX file, FILE.bin          in the format of MNIST (also .gz) or CIFAR-10
  NAME[:train|:test|:all]     a data set, such as fashion-mnist (see kme data list)

Sources of points:
  FILE.csv, .tsv, .txt, .npy  one point per row; - reads standard input
  FILE.csv:COLUMN=VALUE       the rows of one group
  FILE.npz[:ARRAY]            also .safetensors and .pt; name one of several arrays
  FILE.npz                    with mu and sigma, or mean and cov: statistics for fid
  FILE.kme                    an embedding, with its kernel and feature map; or an
                              expression such as '0.7*a.kme + 0.3*b.kme'

Sources of either:
  RUN, MODEL                  a generator: a run folder, a weights file, or a
                              model's name (see kme models list); --samples says
                              how many to draw, equally many of each class";

const FEATURES: &str = "\
Feature maps:
  identity            points as they are (the default for points)
  pixels              needs --size if pictures differ in size
  fashion-classifier  a classifier: shipped, in the models folder, or a file
  inception           a known network at its usual layer (see kme models list)
  vgg19:relu4_1       another layer, averaged over its positions
  vgg19:relu4_1:flat  with all its positions
  resnet18=FILE       with the weights in FILE
For pictures you must name a feature map, unless a generator's card or an embedding does.";

const RESIZING: &str = "\
The last three follow these tools exactly: they ignore EXIF orientation and drop transparency. All others turn the picture
upright and lay it over white.";

/// How sources become points.
#[derive(Args)]
#[command(next_help_heading = "Source options")]
pub(crate) struct SourceFlags {
    /// Compare in these features: pixels, a classifier, or NETWORK[=FILE][:LAYER][:flat]
    #[arg(long, value_name = "FEATURES")]
    pub features: Option<String>,
    /// Resize pictures to HxW before comparing pixels
    #[arg(long, value_name = "HxW", value_parser = Resize::parse)]
    pub size: Option<Resize>,
    /// Resize as this filter or tool does [default: as the network wants; pillow-bicubic-crop with --size]
    #[arg(long, value_name = "PROTOCOL")]
    pub resize: Option<Protocol>,
    /// Convert pictures to 1 (grey) or 3 (RGB) channels before comparing pixels
    #[arg(long, value_name = "1|3", value_parser = colour)]
    pub channels: Option<Colour>,
    /// Draw N samples from each source that is a generator
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = arguments::count::<usize>)]
    pub samples: usize,
    /// Read these columns of text files: names, numbers from 1, or ranges such as 2-5, separated by commas [default: all but
    /// row names]
    #[arg(long, value_name = "COLUMNS")]
    pub columns: Option<Columns>,
    /// Split each text file into one sample for each value of this column
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Say whether text files begin with column names [default: detect it]
    #[arg(long, value_name = "yes|no", value_enum)]
    pub header: Option<Header>,
    /// Skip pictures that cannot be read and list them, instead of stopping
    #[arg(long)]
    pub skip_bad: bool,
    /// Refuse pictures with more than N pixels; reading takes 12 bytes or more for each pixel
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PIXELS)]
    pub max_pixels: u64,
    /// Keep computed features in this folder [default: your cache folder]
    #[arg(long, value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Do not read or write the feature cache
    #[arg(long, conflicts_with = "cache_dir")]
    pub no_cache: bool,
}

impl SourceFlags {
    /// The same for the library, with the seed of all randomness.
    pub(crate) fn settings(&self, seed: u64) -> SourceSettings {
        SourceSettings {
            features: self.features.clone(),
            size: self.size,
            resize: self.resize,
            channels: self.channels,
            samples: self.samples,
            columns: self.columns.as_ref().map_or_else(Vec::new, |columns| columns.0.clone()),
            group: self.group.clone(),
            header: self.header.map(|header| header == Header::Yes),
            skip_bad: self.skip_bad,
            max_pixels: self.max_pixels,
            cache: match &self.cache_dir {
                Some(folder) => Cache::Folder(folder.clone()),
                None if self.no_cache => Cache::None,
                None => Cache::User,
            },
            seed,
        }
    }
}

fn colour(text: &str) -> Result<Colour> {
    let channels = text.parse().map_err(|_| Error::parameter("channels", text, "1 (grey) or 3 (red, green, blue)"))?;
    Colour::from_channels(channels)
}

/// The arithmetic that `--precision` names.
pub(crate) fn precision(text: &str) -> Result<Precision> {
    match text {
        "f64" => Ok(Precision::F64),
        "f32" => Ok(Precision::F32),
        _ => Err(Error::unknown("precision", text, ["f64", "f32"])),
    }
}

/// Whether the first line of text is a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Header {
    Yes,
    No,
}

/// The columns of `--columns`: names, numbers and ranges with commas between; a name with a comma stands in double quotes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns(pub Vec<String>);

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl std::str::FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (mut columns, mut is_inside) = (vec![String::new()], false);
        for c in text.chars() {
            match c {
                '"' => is_inside = !is_inside,
                ',' if !is_inside => columns.push(String::new()),
                _ => columns.last_mut().expect("there is one").push(c),
            }
        }
        let columns: Vec<String> = columns.into_iter().map(|column| column.trim().to_string()).collect();
        match !is_inside && columns.iter().all(|column| !column.is_empty()) {
            true => Ok(Self(columns)),
            false => {
                Err(Error::syntax("columns", text, "write names or numbers with commas between, such as a,b or 2-5"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_commas_between() {
        let columns = |text: &str| text.parse::<Columns>().map(|c| c.0).map_err(|e| e.to_string());
        assert_eq!(columns("a, b,2-").unwrap(), ["a", "b", "2-"]);
        assert_eq!(columns("\"h, cm\",w").unwrap(), ["h, cm", "w"]);
        for text in ["", "a,", "\"a"] {
            assert!(columns(text).unwrap_err().contains("such as a,b"), "{text}");
        }
    }
}
