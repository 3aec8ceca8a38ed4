//! What a run learns from, as its configuration says it.

use kme::{Error, Result};
use kme_image::{Background, Channels, Colour, Crop, Decoder, Form, Resize};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Which pictures or points are learned from.
///
/// Pictures are decoded, brought to `channels`, cut by `crop`, brought to `size`, and perhaps mirrored; pixels are in
/// [0, 1]. Everything that chance decides is drawn anew for every batch, from the run's seed and the batch's number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A source of pictures, as on the command line; a file of points; or a toy: `25-gaussians`, `8-gaussians`,
    /// `swiss-roll`, with `:N` for N points.
    pub source: String,
    /// Pictures or points that are never learned from, for scores. A toy is drawn anew for it. `auto` holds out a tenth of
    /// the pictures of `source`, at most about 1000, where there are 500 or more when the run begins; `none` is the same as
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
    /// Height and width to which pictures are brought. Without it and `channels`, the source is points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// 1 (grey) or 3 (red, green, blue).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The crop before pictures are resized. Of held-out pictures, `random:N` takes the middle.
    #[serde(default, skip_serializing_if = "Crop::is_none")]
    pub crop: Crop,
    /// The colour under transparent parts, and around pictures that `crop = "pad"` fills up: `white`, `black` or `#rrggbb`.
    #[serde(default, skip_serializing_if = "Background::is_white")]
    pub background: Background,
    /// Whether half of the pictures of a batch, by chance, have left and right exchanged. Held-out ones never.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub flip: bool,
    /// Whether pictures of folders and archives are read when their batch comes, for more than memory holds.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub stream: bool,
    /// Whether pictures that cannot be read are left out, instead of ending the run before it begins.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub skip_bad: bool,
}

/// The value of `data.held_out` that holds out a part of the source.
pub const AUTO: &str = "auto";
/// The value of `data.held_out` that holds out nothing.
pub const NONE: &str = "none";

impl Data {
    /// Size and channels of the pictures.
    ///
    /// # Errors
    /// [`Error::Missing`] when the configuration is of points.
    pub fn picture(&self) -> Result<(usize, usize)> {
        match (self.size, self.channels) {
            (Some(size), Some(channels)) => Ok((size, channels)),
            (None, _) => Err(Error::missing("data.size", "set the height and width of pictures, 4 to 1024")),
            (_, None) => Err(Error::missing("data.channels", "set 1 (grey) or 3 (colour)")),
        }
    }

    /// Whether points are learned from rather than pictures.
    pub fn is_points(&self) -> bool {
        self.size.is_none() && self.channels.is_none()
    }

    /// The source of held-out pictures or points, where one is named.
    pub fn held_out_source(&self) -> Option<&str> {
        self.held_out.as_deref().filter(|name| ![AUTO, NONE].contains(name))
    }

    /// Whether some of the pictures themselves are to be held out.
    pub fn holds_out_some(&self) -> bool {
        self.held_out.as_deref() == Some(AUTO)
    }

    /// The form of pictures that chance has no part in: that of held-out ones.
    pub(crate) fn form(&self) -> Result<Form> {
        let (size, channels) = self.picture()?;
        let decoder = Decoder::new(Channels::Convert(Colour::from_channels(channels)?));
        let resize = Some(Resize::new(size, size)?);
        Ok(Form { decoder, crop: self.crop, resize, background: self.background })
    }

    /// Refuses values that cannot be trained with.
    ///
    /// # Errors
    /// By the dotted key, [`Error::Parameter`], [`Error::Missing`] and [`Error::NotApplicable`].
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_points() {
            let of_pictures = [
                ("crop", !self.crop.is_none()),
                ("background", !self.background.is_white()),
                ("flip", self.flip),
                ("stream", self.stream),
                ("skip_bad", self.skip_bad),
                ("held_out", self.holds_out_some()),
            ];
            return match of_pictures.into_iter().find(|k| k.1) {
                Some((key, _)) => {
                    let reason = "it is of pictures, which need data.size and data.channels. Set those, or remove it";
                    Err(Error::not_applicable(format!("data.{key}"), reason))
                }
                None => Ok(()),
            };
        }
        let (size, channels) = self.picture()?;
        if !(4..=1024).contains(&size) {
            return Err(Error::parameter("data.size", size, "from 4 to 1024"));
        }
        if !matches!(channels, 1 | 3) {
            return Err(Error::parameter("data.channels", channels, "1 (grey) or 3 (colour)"));
        }
        Ok(())
    }
}
