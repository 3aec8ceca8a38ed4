//! How sources become points: what can be set, and where things are found.

use kme::Observer;
use kme_image::{Colour, DEFAULT_MAX_PIXELS, Places, Protocol, Resize};
use kme_net::{Models, Place};
use std::path::PathBuf;

/// Where tensors live, and where networks and data sets are looked for.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where tensors live, and in which precision.
    pub place: Place,
    /// Networks by name.
    pub models: Models,
    /// Data sets by name.
    pub data: Places,
}

impl Context {
    /// On the processor, with the user's folders of networks and data sets.
    pub fn cpu() -> Self {
        let models = kme_image::user_data_folder().map(|folder| folder.join("models"));
        Self { place: Place::cpu(), models: Models::new(models), data: Places::new(None) }
    }
}

/// How sources become points. The default is that of the command.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Feature map: `identity` for points, `pixels`, a classifier, or a known network as `NAME[=FILE][:LAYER][:flat]`.
    /// Without it, the one that an embedding or a generator's card among the sources names.
    pub features: Option<String>,
    /// What pictures are resized to before their pixels are compared.
    pub size: Option<Resize>,
    /// How pictures are resized; without it, as the network's card says.
    pub resize: Option<Protocol>,
    /// What the channels of pictures become before their pixels are compared.
    pub channels: Option<Colour>,
    /// Pictures or points that are drawn from each generator.
    pub samples: usize,
    /// Coordinates of points: names of a header, numbers from 1, ranges such as `2-5`; none: all but row names.
    pub columns: Vec<String>,
    /// The column that tells the samples of a text file apart.
    pub group: Option<String>,
    /// Whether the first line of text names the columns; without it, that is found out.
    pub header: Option<bool>,
    /// Leave out pictures that cannot be read, instead of stopping.
    pub skip_bad: bool,
    /// Pictures of more pixels than this are refused.
    pub max_pixels: u64,
    /// Where features of networks are kept.
    pub cache: Cache,
    /// The seed of what is drawn.
    pub seed: u64,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            features: None,
            size: None,
            resize: None,
            channels: None,
            samples: 10_000,
            columns: Vec::new(),
            group: None,
            header: None,
            skip_bad: false,
            max_pixels: DEFAULT_MAX_PIXELS,
            cache: Cache::default(),
            seed: 0,
        }
    }
}

/// Where the features that a network computes are kept for the next time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// In the user's cache folder.
    #[default]
    User,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    None,
}

/// What sources are read with.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The settings.
    pub settings: &'a SourceSettings,
    /// Where things are found.
    pub context: &'a Context,
    /// How pictures are resized unless the settings name another way: the protocol of a tool.
    pub resize: Option<Protocol>,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl<'a> Reader<'a> {
    /// A reader with these settings.
    pub fn new(settings: &'a SourceSettings, context: &'a Context, observer: &'a dyn Observer) -> Self {
        Self { settings, context, resize: None, observer }
    }
}
