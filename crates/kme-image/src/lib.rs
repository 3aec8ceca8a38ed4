//! Pictures: reading, cropping, resizing, laying out and writing them, and the sources that they come from.

mod image;

mod data;

pub use image::{
    Aspect, Axes, Background, Channels, Colour, Crop, DEFAULT_MAX_PIXELS, Decoder, Filter, Grid, Images, Method,
    PROTOCOLS, Part, Protocol, Reading, Resize, Scale, Tool, mirror, scatter, sheet, square,
};

pub use data::{
    Bad, Batch, Batches, Dataset, Digest, Form, Info, NoClasses, Passed, Places, Skipped, Source, Split, Survey, Toy,
    Watch, evenly, hex, in_one_line, info, is_known, is_part, list, too_large, toys, user_cache_folder,
    user_data_folder,
};
