//! Flags of sources, and what help says of them.

use crate::arguments;
use crate::points::{Columns, Header};
use clap::Args;
use kme::sums::Precision;
use kme::{Error, Result};
use kme_image::{Colour, DEFAULT_MAX_PIXELS, PROTOCOLS, Protocol, Resize};
use std::path::PathBuf;

/// The kinds of sources, for the help of every verb that takes them.
pub(crate) const HELP: &str = "\
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
pub(crate) const KERNELS: &str = "\
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
pub(crate) struct SourceFlags {
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
    pub(crate) fn columns(&self) -> &[String] {
        self.columns.as_ref().map_or(&[], |columns| &columns.0)
    }
}

fn colour(text: &str) -> Result<Colour> {
    let channels = text.parse().map_err(|_| Error::value("channels", text, "1 (grey) or 3 (red, green, blue)"))?;
    Colour::from_channels(channels)
}

/// The arithmetic that `--precision` names.
pub(crate) fn precision(text: &str) -> Result<Precision> {
    match text {
        "f64" => Ok(Precision::F64),
        "f32" => Ok(Precision::F32),
        _ => Err(Error::value("precision", text, "f64 or f32")),
    }
}
