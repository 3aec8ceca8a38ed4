//! The form that pictures of a source are brought to.

use std::path::Path;

use kme::{Error, Field, Result};

use super::array::Layout;
use crate::image::{Background, Channels, Colour, Crop, Decoder, Images, Resize, unusable};

/// The common form that pictures of a source are brought to: first their channels, then what is cut out of them, then
/// their size.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Form {
    /// Decoding, with what happens to channels and transparency.
    pub decoder: Decoder,
    /// The crop.
    pub crop: Crop,
    /// The size; without it, all pictures must have one size already.
    pub resize: Option<Resize>,
    /// The colour under transparent parts, instead of the decoder's own, and around pictures that are filled up.
    pub background: Background,
}

impl Form {
    /// Whether pictures of shape (c, h, w) already have this form.
    pub(super) fn holds(&self, [c, h, w]: [usize; 3]) -> bool {
        let channels = match self.decoder.channels {
            Channels::Keep => c,
            Channels::Convert(colour) | Channels::Require(colour) => colour.channels(),
        };
        channels == c && self.crop.is_none() && self.resize.is_none_or(|r| (r.height(), r.width()) == (h, w))
    }

    /// `images`, which did not come through the decoder, in this form.
    pub(super) fn bring(&self, images: Images, name: &str) -> Result<Images> {
        let images = match self.decoder.channels {
            Channels::Convert(colour) if colour.channels() != images.channels() => images.to_colour(colour),
            Channels::Require(colour) if colour.channels() != images.channels() => {
                return Err(Error::mismatch(
                    Field::Count(format!("channels of {name}").into()),
                    images.channels(),
                    colour.channels(),
                    "allow conversion, or name pictures of that kind",
                ));
            }
            _ => images,
        };
        self.cut(images)
    }

    /// The picture in `bytes`, of a file or in plain samples, in this form; `path` is for messages.
    pub(super) fn decode(&self, bytes: &[u8], layout: Option<Layout>, path: &Path) -> Result<Images> {
        self.cut(self.decode_over(bytes, layout, path)?).map_err(|fault| unusable(path, fault))
    }

    fn decode_over(&self, bytes: &[u8], layout: Option<Layout>, path: &Path) -> Result<Images> {
        let decode = |decoder: Decoder| match layout {
            None => decoder.decode(bytes, path),
            Some(layout) => layout.decode(bytes, &decoder, path),
        };
        let over = |level| decode(Decoder { background: level, ..self.decoder });
        if let Some(level) = self.background.grey() {
            return over(level);
        }
        let (black, white) = (over(0.0)?, over(1.0)?);
        if black == white {
            return Ok(black);
        }
        // A grey picture over a colour is a coloured one.
        match self.decoder.channels {
            Channels::Keep if black.channels() == 1 => {
                self.background.between(&black.to_colour(Colour::Rgb), &white.to_colour(Colour::Rgb))
            }
            _ => self.background.between(&black, &white),
        }
    }

    fn cut(&self, images: Images) -> Result<Images> {
        let images = self.crop.apply_over(images, self.background)?;
        match self.resize {
            Some(resize) => resize.bring(images),
            None => Ok(images),
        }
    }
}
