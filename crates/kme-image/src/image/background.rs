//! The colour under transparent parts of pictures, and around pictures that are filled up.

use super::{Colour, Images};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A colour in 8 bits each of red, green and blue, in the gamma of the files. Prints as and parses from its text: `white`
/// (the default), `black`, or `#rrggbb` in hexadecimal digits.
///
/// # Example
/// ```
/// use kme_image::Background;
/// let green: Background = "#00ff00".parse()?;
/// assert_eq!(green.levels(), [0.0, 1.0, 0.0]);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Background([u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Self([255; 3])
    }
}

impl Background {
    /// Whether it is the default.
    pub fn is_white(&self) -> bool {
        *self == Self::default()
    }

    /// Red, green and blue in [0, 1].
    pub fn levels(self) -> [f32; 3] {
        self.0.map(|x| f32::from(x) / 255.0)
    }

    /// The level of a grey one.
    pub fn grey(self) -> Option<f32> {
        let [r, g, b] = self.0;
        (r == g && g == b).then(|| f32::from(r) / 255.0)
    }

    /// Its levels in a picture of `channels` channels: a picture of one has that of the colour as grey.
    pub fn in_channels(self, channels: usize) -> [f32; 3] {
        if channels != 1 {
            return self.levels();
        }
        let grey = self.grey().unwrap_or_else(|| {
            let pixel = Images::new(1, 3, 1, 1, self.levels().to_vec()).expect("levels are in [0, 1]");
            pixel.to_colour(Colour::Grey).data()[0]
        });
        [grey; 3]
    }

    /// A picture over this colour, from the same over black and over white: every sample is linear in what is under it.
    ///
    /// # Errors
    /// [`Error::Parameter`] or [`Error::Mismatch`] when the two do not have one shape.
    pub fn between(self, black: &Images, white: &Images) -> Result<Images> {
        let [n, c, h, w] = black.shape();
        let levels = self.in_channels(c);
        let both = black.data().iter().zip(white.data()).enumerate();
        let data = both.map(|(i, (b, w_))| (b + levels[i / (h * w) % c] * (w_ - b)).clamp(0.0, 1.0)).collect();
        Images::new(n, c, h, w, data)
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [255, 255, 255] => f.write_str("white"),
            [0, 0, 0] => f.write_str("black"),
            [r, g, b] => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

impl FromStr for Background {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |text: &str| {
            let value = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6 && !text.starts_with('+'))?;
            let [_, r, g, b] = value.to_be_bytes();
            Some([r, g, b])
        };
        match text {
            "white" => Ok(Self::default()),
            "black" => Ok(Self([0; 3])),
            _ => text.strip_prefix('#').and_then(digits).map(Self).ok_or_else(|| {
                Error::syntax("background", text, "write white, black, or #rrggbb in hexadecimal digits")
            }),
        }
    }
}

impl TryFrom<String> for Background {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Background> for String {
    fn from(background: Background) -> Self {
        background.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_print_as_they_parse() {
        for text in ["white", "black", "#0a80ff"] {
            assert_eq!(text.parse::<Background>().unwrap().to_string(), text);
        }
        assert_eq!("#FFFFFF".parse::<Background>().unwrap(), Background::default());
        assert_eq!("#808080".parse::<Background>().unwrap().grey(), Some(128.0 / 255.0));
        for text in ["", "#fff", "red", "#gggggg", "#+fffff", "fffffff", "#fffffff"] {
            assert!(matches!(text.parse::<Background>(), Err(Error::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn a_colour_is_under_what_is_transparent() {
        let background: Background = "#ff8000".parse().unwrap();
        // Opacity 0.25 of colour (0.2, 0.4, 0.6): 0.25 c + 0.75 level.
        let over = |level: f32| {
            let data = [0.2, 0.4, 0.6].map(|c| 0.25 * c + 0.75 * level).to_vec();
            Images::new(1, 3, 1, 1, data).unwrap()
        };
        let found = background.between(&over(0.0), &over(1.0)).unwrap();
        let expected = [0.05 + 0.75, 0.1 + 0.75 * 128.0 / 255.0, 0.15];
        for (a, b) in found.data().iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
