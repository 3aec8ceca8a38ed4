//! Flags of sources, and what help says of them.

use crate::arguments;
use clap::Args;
use kme::sums::Precision;
use kme::{Error, Result};
use kme_deep::sample::{Cache, Settings};
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
    /// The same for the library, with the seed of all randomness.
    pub(crate) fn settings(&self, seed: u64) -> Settings {
        Settings {
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
