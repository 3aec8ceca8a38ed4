//! Named ways to bring pictures to the size that a network wants.

use super::{Aspect, Filter, Images, Reading, Resize};
use kme::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How the pixels of a picture of another size are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// A kernel that is widened when the picture gets smaller, as in Pillow. All pixels count, so that nothing aliases.
    Antialiased(Filter, Aspect),
    /// TensorFlow 1's `resize_bilinear` with `align_corners=False`, by which the Inception graph of 2015 and
    /// torch-fidelity resize: `out[i]` lies at `in[i·s]`, s = size in / size out, between two pixels. Not antialiased, and off
    /// by (s − 1)/2 pixels.
    Tensorflow1Bilinear,
    /// PyTorch's `interpolate(mode="bilinear", align_corners=False)`, by which pytorch-fid resizes: `out[i]` lies at
    /// `in[(i + ½)·s − ½]`, between two pixels. Not antialiased.
    TorchBilinear,
}

/// A program whose way with pictures is followed as a whole: how it reads a file, brings it to a size, and scales its pixels.
///
/// All three read with Pillow ([`Reading::Pillow`]), which makes 8 bits of all there is, and round nothing of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// clean-fid 0.1.35: Pillow's antialiased bicubic filter in `f32`, the whole picture (Parmar, Zhang, Zhu 2022).
    CleanFid,
    /// torch-fidelity 0.4: [`Method::Tensorflow1Bilinear`].
    TorchFidelity,
    /// pytorch-fid 0.3: [`Method::TorchBilinear`]. It gives Inception 2x − 1 in the place of (255x − 128)/128.
    PytorchFid,
}

impl Tool {
    const ALL: [(&'static str, Self); 3] =
        [("clean-fid", Self::CleanFid), ("torch-fidelity", Self::TorchFidelity), ("pytorch-fid", Self::PytorchFid)];

    fn method(self) -> Method {
        match self {
            Self::CleanFid => Method::Antialiased(Filter::Bicubic, Aspect::Stretch),
            Self::TorchFidelity => Method::Tensorflow1Bilinear,
            Self::PytorchFid => Method::TorchBilinear,
        }
    }
}

/// How pictures are brought to a size: prints as and parses from its name.
///
/// | name | method |
/// |---|---|
/// | `pillow-FILTER` | antialiased `box`, `bilinear`, `bicubic` or `lanczos` in `f32`; the whole picture, whatever its aspect ratio |
/// | `pillow-FILTER-crop`, `-pad` | the same in the largest centred window of the output's aspect ratio; on a white ground |
/// | `tensorflow1-bilinear` | [`Method::Tensorflow1Bilinear`] |
/// | `torch-bilinear` | [`Method::TorchBilinear`] |
/// | `uint8+…` | pixels are rounded to whole 255ths before: what a tool does that takes pictures of 8 bits |
/// | `clean-fid`, `torch-fidelity`, `pytorch-fid` | all that the [`Tool`] of this name does: `uint8+pillow-bicubic`, `uint8+tensorflow1-bilinear` or `uint8+torch-bilinear`, on files read as Pillow reads them |
///
/// Rounding is to the nearest, in the fixed range [0, 1]: neither the batch's extremes nor truncation decide about a
/// pixel. It comes before resizing and once: what comes out of resizing is not rounded. Pictures out of files of 8 bits are
/// not changed by it, generated ones are.
///
/// The default is `pillow-bicubic-crop`.
///
/// # Example
/// ```
/// use kme_image::{Images, Protocol};
/// let protocol: Protocol = "clean-fid".parse()?;
/// assert_eq!(protocol.to_string(), "clean-fid");
/// let pictures = Images::new(1, 1, 2, 2, vec![0.2; 4])?;
/// assert_eq!(protocol.apply(&pictures, 299, 299)?.shape(), [1, 1, 299, 299]);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Protocol {
    /// Whether pixels are rounded to whole 255ths first.
    pub eight_bit: bool,
    /// What happens to another size.
    pub method: Method,
    /// The program that is followed in everything else too, if one is.
    pub tool: Option<Tool>,
}

/// What [`Protocol`] parses from, for messages and the manual.
pub const PROTOCOLS: &str = "pillow-bicubic-crop (or -box, -bilinear, -lanczos; -pad, or neither: stretched), \
     tensorflow1-bilinear, torch-bilinear, each also with uint8+ before it, clean-fid, torch-fidelity or pytorch-fid";

impl From<Tool> for Protocol {
    fn from(tool: Tool) -> Self {
        Self { eight_bit: true, method: tool.method(), tool: Some(tool) }
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self { eight_bit: false, method: Method::Antialiased(Filter::default(), Aspect::default()), tool: None }
    }
}

impl Protocol {
    /// Pictures (n, c, h′, w′) as (n, c, `h`, `w`), pixels in [0, 1].
    ///
    /// # Errors
    /// As [`Resize::new`] and [`Resize::apply`].
    pub fn apply(&self, images: &Images, h: usize, w: usize) -> Result<Images> {
        Resize::new(h, w)?.with(*self).apply(images)
    }

    /// How files are read that are brought to a size so.
    pub fn reading(&self) -> Reading {
        if self.tool.is_some() { Reading::Pillow } else { Reading::Upright }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Tool::ALL.iter().find(|(_, tool)| Some(*tool) == self.tool) {
            return f.write_str(name);
        }
        if self.eight_bit {
            f.write_str("uint8+")?;
        }
        match self.method {
            Method::Antialiased(filter, Aspect::Stretch) => write!(f, "pillow-{filter}"),
            Method::Antialiased(filter, aspect) => write!(f, "pillow-{filter}-{aspect}"),
            Method::Tensorflow1Bilinear => f.write_str("tensorflow1-bilinear"),
            Method::TorchBilinear => f.write_str("torch-bilinear"),
        }
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((_, tool)) = Tool::ALL.iter().find(|(name, _)| *name == text) {
            return Ok((*tool).into());
        }
        let (eight_bit, name) = text.strip_prefix("uint8+").map_or((false, text), |name| (true, name));
        let method = match name {
            "tensorflow1-bilinear" => Some(Method::Tensorflow1Bilinear),
            "torch-bilinear" => Some(Method::TorchBilinear),
            _ => name.strip_prefix("pillow-").and_then(|name| {
                let (filter, aspect) = name.split_once('-').unwrap_or((name, "stretch"));
                Some(Method::Antialiased(filter.parse().ok()?, aspect.parse().ok()?))
            }),
        };
        let method =
            method.ok_or_else(|| Error::syntax("resize protocol", text, format!("write one of {PROTOCOLS}")))?;
        Ok(Self { eight_bit, method, tool: None })
    }
}

impl TryFrom<String> for Protocol {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_as_they_parse() {
        for name in [
            "pillow-bicubic",
            "pillow-bicubic-crop",
            "uint8+pillow-lanczos-pad",
            "pillow-bicubic-pad:0.5",
            "pillow-box",
            "uint8+tensorflow1-bilinear",
            "tensorflow1-bilinear",
            "torch-bilinear",
            "uint8+torch-bilinear",
        ] {
            assert_eq!(name.parse::<Protocol>().unwrap().to_string(), name);
        }
        assert_eq!(Protocol::default().to_string(), "pillow-bicubic-crop");
        for (name, same) in [
            ("clean-fid", "uint8+pillow-bicubic"),
            ("torch-fidelity", "uint8+tensorflow1-bilinear"),
            ("pytorch-fid", "uint8+torch-bilinear"),
        ] {
            let (tool, other): (Protocol, Protocol) = (name.parse().unwrap(), same.parse().unwrap());
            assert_eq!((tool.to_string(), other.to_string()), (name.into(), same.into()));
            assert_eq!((tool.eight_bit, tool.method), (other.eight_bit, other.method));
            // The name alone makes the files be read as the tool reads them.
            assert_eq!((tool.reading(), other.reading()), (Reading::Pillow, Reading::Upright));
        }
        for name in ["", "bicubic", "pillow-cubic", "pillow-bicubic-zoom", "uint8+clean-fid", "uint8+"] {
            let fault = name.parse::<Protocol>().unwrap_err().to_string();
            assert!(fault.contains("clean-fid") && fault.contains(name), "{fault}");
        }
    }

    /// The picture of `tests/golden/resize_protocols.py`: p[c, y, x] = (37 y + 101 x + 17 x y + 59 c) mod 256, in 255ths.
    fn picture() -> Images {
        let pixel = |i: usize| {
            let (c, y, x) = (i / 437, i % 437 / 23, i % 23);
            ((37 * y + 101 * x + 17 * x * y + 59 * c) % 256) as f32 / 255.0
        };
        Images::new(1, 3, 19, 23, (0..3 * 437).map(pixel).collect()).unwrap()
    }

    #[test]
    fn protocols_agree_with_the_tools_that_they_are_named_after() {
        let golden = include_str!("../../tests/golden/resize_protocols.txt");
        let mut lines = 0;
        for line in golden.lines() {
            let (head, values) = line.split_once(": ").unwrap();
            let [name, h, w, every] = head.split(' ').collect::<Vec<_>>()[..] else { panic!("{head}") };
            let [h, w, every] = [h, w, every].map(|n| n.parse::<usize>().unwrap());
            let got = name.parse::<Protocol>().unwrap().apply(&picture(), h, w).unwrap();
            let expected: Vec<f32> = values.split(' ').map(|v| v.parse().unwrap()).collect();
            let got: Vec<f32> = got.data().iter().step_by(every).copied().collect();
            assert_eq!(got.len(), expected.len());
            // The golden values are in the tools' range, 0 to 255.
            let worst = got.iter().zip(&expected).map(|(a, b)| (255.0 * a - b).abs()).fold(0.0, f32::max);
            println!("{head}: {worst:e} of 255");
            assert!(worst < 2e-4, "{head}: {worst:e}");
            lines += 1;
        }
        assert_eq!(lines, 12);
    }

    #[test]
    fn eight_bits_are_rounded_in_a_fixed_range() {
        let dim = Images::new(1, 1, 1, 4, vec![0.0, 0.499 / 255.0, 0.501 / 255.0, 100.7 / 255.0]).unwrap();
        let protocol: Protocol = "uint8+torch-bilinear".parse().unwrap();
        // Neither stretched to the whole range nor truncated; the size is right, so nothing else is done.
        let expected = [0.0, 0.0, 1.0, 101.0].map(|x: f32| x / 255.0);
        assert_eq!(protocol.apply(&dim, 1, 4).unwrap().data(), expected);
        let exact = picture();
        assert_eq!(protocol.apply(&exact, 19, 23).unwrap(), exact);
        // Rounded before, not after.
        assert!(protocol.apply(&dim, 1, 8).unwrap().data().iter().any(|x| (255.0 * x).fract() != 0.0));
    }
}
