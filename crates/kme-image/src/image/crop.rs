//! Cutting squares out of pictures.

use super::protocol::{Method, Protocol};
use super::{Aspect, Background, Filter, Images, Resize};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Steps of a [`Crop`], at most.
const MOST_STEPS: usize = 3;

/// Sides of squares, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 1..=8192;

/// A crop of a picture before it is resized: prints as and parses from its text, `none` or up to three steps
/// in their order, separated by commas.
///
/// | step | what it does |
/// |---|---|
/// | `short:N` | resizes it so that the shorter side is N, the longer one in proportion, rounded (antialiased, bicubic) |
/// | `centre:N` | the square of side N in the middle; where the picture is smaller, it is filled up with black |
/// | `pad` | the whole picture in the middle of the smallest square around it, filled up with the background: of `data.background` in training, else white |
/// | `random:N` | a square of side N, all places equally likely; the last step. The picture must not be smaller |
///
/// With h − N odd, the middle lies half a pixel towards the top and the left, both for cutting and for filling up, as
/// TensorFlow's `resize_with_crop_or_pad` has it.
///
/// # Example
/// ```
/// use kme_image::{Crop, Images};
/// let crop: Crop = "short:64,centre:48".parse()?;
/// let wide = Images::new(1, 1, 100, 200, vec![0.5; 100 * 200])?;
/// assert_eq!(crop.apply(wide)?.shape(), [1, 1, 48, 48]);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crop {
    steps: [Option<Step>; MOST_STEPS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Short(usize),
    Centre(usize),
    Pad,
    Random(usize),
}

impl Crop {
    /// Whether pictures stay as they are.
    pub fn is_none(&self) -> bool {
        self.steps[0].is_none()
    }

    /// The steps that chance has no part in.
    pub fn fixed(self) -> Self {
        Self { steps: self.steps.map(|step| step.filter(|step| !matches!(step, Step::Random(_)))) }
    }

    /// The side of the square that is cut at random.
    pub fn random(self) -> Option<usize> {
        self.steps.into_iter().flatten().find_map(|step| match step {
            Step::Random(side) => Some(side),
            _ => None,
        })
    }

    /// The pictures cut, where `random:N` takes the middle: what pictures get that are looked at for a score.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a picture is smaller than the square of `random`; [`Error::Parameter`] when one would have
    /// more than 10⁸ pixels.
    pub fn apply(&self, images: Images) -> Result<Images> {
        self.apply_over(images, Background::default())
    }

    /// The same with another background than white.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_over(&self, images: Images, background: Background) -> Result<Images> {
        self.steps.into_iter().flatten().try_fold(images, |images, step| match step {
            Step::Short(side) => short(images, side),
            Step::Centre(side) => Ok(centre(&images, side)),
            Step::Pad => Ok(pad(images, background)),
            Step::Random(side) => square(&images, side, (0.5, 0.5)),
        })
    }
}

/// The square of `side` N pixels at `place` in [0, 1)²: of the h − N + 1 rows (and w − N + 1 columns) where it can begin,
/// the one in which the place falls.
///
/// # Errors
/// [`Error::Unsupported`] when the pictures are smaller.
pub fn square(images: &Images, side: usize, place: (f64, f64)) -> Result<Images> {
    let (h, w) = (images.height(), images.width());
    if h < side || w < side {
        return Err(Error::unsupported(
            format!("cut a square of side {side} out of a picture of {h}x{w} pixels"),
            format!("the picture is too small. Put short:{side} or centre:{side} before random:{side}"),
        ));
    }
    let begin = |most: usize, place: f64| ((place * (most + 1) as f64) as usize).min(most) as isize;
    Ok(window(images, side, begin(h - side, place.0), begin(w - side, place.1), [0.0; 3]))
}

fn centre(images: &Images, side: usize) -> Images {
    // Division rounds towards zero: half a pixel to the top and left both when cutting and when filling up.
    middle(images, side, [0.0; 3])
}

/// The square of `side` pixels in the middle, `beyond` where it reaches beyond the picture.
fn middle(images: &Images, side: usize, beyond: [f32; 3]) -> Images {
    let begin = |length: usize| (length as isize - side as isize) / 2;
    window(images, side, begin(images.height()), begin(images.width()), beyond)
}

fn pad(images: Images, background: Background) -> Images {
    let (h, w) = (images.height(), images.width());
    if h == w { images } else { middle(&images, h.max(w), background.in_channels(images.channels())) }
}

/// The square that begins at row `top` and column `left`; where it reaches beyond the picture, its channels are `beyond`.
fn window(images: &Images, side: usize, top: isize, left: isize, beyond: [f32; 3]) -> Images {
    let [n, c, h, w] = images.shape();
    let mut out = Images::filled(n, c, side, side, 0.0);
    for (i, plane) in out.data.chunks_exact_mut(side * side).enumerate() {
        plane.fill(beyond[i % c]);
    }
    let inside = |begin: isize, length: usize| {
        let first = (-begin).clamp(0, side as isize) as usize;
        first..(length as isize - begin).clamp(first as isize, side as isize) as usize
    };
    let (rows, columns) = (inside(top, h), inside(left, w));
    if columns.is_empty() {
        return out;
    }
    for (plane, from) in out.data.chunks_exact_mut(side * side).zip(images.data.chunks_exact(h * w)) {
        for y in rows.clone() {
            let begin = (y as isize + top) as usize * w + (columns.start as isize + left) as usize;
            plane[y * side..][columns.clone()].copy_from_slice(&from[begin..begin + columns.len()]);
        }
    }
    out
}

fn short(images: Images, side: usize) -> Result<Images> {
    let (h, w) = (images.height(), images.width());
    let scale = side as f64 / h.min(w) as f64;
    let scaled = |length: usize| if length == h.min(w) { side } else { (length as f64 * scale).round() as usize };
    let method = Method::Antialiased(Filter::Bicubic, Aspect::Stretch);
    Resize::new(scaled(h), scaled(w))?.with(Protocol { eight_bit: false, method, tool: None }).bring(images)
}

/// Mirrors pictures of width `w`, left and right exchanged; `pixels` are any number of their rows.
pub fn mirror(pixels: &mut [f32], w: usize) {
    pixels.chunks_exact_mut(w).for_each(<[f32]>::reverse);
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (i, step) in self.steps.iter().flatten().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match step {
                Step::Short(side) => write!(f, "{comma}short:{side}")?,
                Step::Centre(side) => write!(f, "{comma}centre:{side}")?,
                Step::Pad => write!(f, "{comma}pad")?,
                Step::Random(side) => write!(f, "{comma}random:{side}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Crop {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::default());
        }
        let fault = || {
            let (least, most) = (SIDES.start(), SIDES.end());
            let problem = format!(
                "write none, or up to {MOST_STEPS} of short:N, centre:N, pad and, as the last, random:N, separated by commas, N \
                 from {least} to {most}, such as centre:178,random:160"
            );
            Error::syntax("crop", text, problem)
        };
        let steps = text
            .split(',')
            .map(|step| {
                if step.trim() == "pad" {
                    return Some(Step::Pad);
                }
                let (name, side) = step.trim().split_once(':')?;
                let side = side.parse().ok().filter(|side| SIDES.contains(side))?;
                match name {
                    "short" => Some(Step::Short(side)),
                    "centre" => Some(Step::Centre(side)),
                    "random" => Some(Step::Random(side)),
                    _ => None,
                }
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(fault)?;
        let early = steps.iter().rev().skip(1).any(|step| matches!(step, Step::Random(_)));
        if early || steps.len() > MOST_STEPS {
            return Err(fault());
        }
        Ok(Self { steps: std::array::from_fn(|i| steps.get(i).copied()) })
    }
}

impl TryFrom<String> for Crop {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Crop> for String {
    fn from(crop: Crop) -> Self {
        crop.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// n pictures whose pixels are all different.
    fn pictures(n: usize, c: usize, h: usize, w: usize) -> Images {
        let total = n * c * h * w;
        Images::new(n, c, h, w, (1..=total).map(|i| i as f32 / total as f32).collect()).unwrap()
    }

    /// The square pixel by pixel, by definition.
    fn naive(images: &Images, side: usize, top: i64, left: i64) -> Vec<f32> {
        let [n, c, h, w] = images.shape();
        let mut out = Vec::new();
        for plane in 0..n * c {
            for y in 0..side as i64 {
                for x in 0..side as i64 {
                    let (y, x) = (y + top, x + left);
                    let inside = y >= 0 && x >= 0 && y < h as i64 && x < w as i64;
                    out.push(if inside { images.data()[plane * h * w + y as usize * w + x as usize] } else { 0.0 });
                }
            }
        }
        out
    }

    #[test]
    fn texts_print_as_they_parse() {
        for text in ["none", "pad", "pad,short:64", "centre:178", "short:64,random:64", "centre:178,short:64,random:60"]
        {
            assert_eq!(text.parse::<Crop>().unwrap().to_string(), text);
        }
        assert_eq!("short:64, random:48".parse::<Crop>().unwrap().to_string(), "short:64,random:48");
        assert!(Crop::default().is_none() && !"centre:3".parse::<Crop>().unwrap().is_none());
        for text in [
            "",
            "middle:3",
            "pad:3",
            "centre",
            "centre:0",
            "centre:9000",
            "random:8,centre:4",
            "short:8,short:7,short:6,short:5",
        ] {
            assert!(matches!(text.parse::<Crop>(), Err(Error::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn the_middle_is_cut_and_filled_up() {
        // Top and left by hand: the middle of what is left over, rounded towards zero.
        for (h, w, side, top, left) in
            [(7, 10, 4, 1, 3), (4, 4, 4, 0, 0), (3, 8, 6, -1, 1), (2, 2, 5, -1, -1), (1, 9, 8, -3, 0)]
        {
            let images = pictures(2, 3, h, w);
            let cut = format!("centre:{side}").parse::<Crop>().unwrap().apply(images.clone()).unwrap();
            assert_eq!(cut.shape(), [2, 3, side, side]);
            assert_eq!(cut.data(), naive(&images, side, top, left), "{h}x{w} to {side}");
        }
    }

    #[test]
    fn a_rectangle_is_filled_up_to_a_square() {
        let background: Background = "#ff8000".parse().unwrap();
        for (h, w, top, left) in [(3, 8, -2, 0), (6, 2, 0, -2), (4, 4, 0, 0), (1, 4, -1, 0)] {
            let images = pictures(2, 3, h, w);
            let crop: Crop = "pad".parse().unwrap();
            let (side, levels) = (h.max(w), background.levels());
            let found = crop.apply_over(images.clone(), background).unwrap();
            assert_eq!(found.shape(), [2, 3, side, side]);
            // Where the naive one has black beyond the picture; no pixel of the picture is 0.
            let expected = naive(&images, side, top, left);
            let expected = expected.iter().enumerate();
            let expected = expected.map(|(i, &x)| if x == 0.0 { levels[i / (side * side) % 3] } else { x });
            assert_eq!(found.data(), expected.collect::<Vec<_>>(), "{h}x{w}");
            assert_eq!(
                crop.apply(images.clone()).unwrap().data()[0],
                if (top, left) == (0, 0) { images.data()[0] } else { 1.0 }
            );
        }
    }

    #[test]
    fn every_place_is_reached_and_equally_wide() {
        let images = pictures(1, 3, 6, 9);
        // 6 − 4 + 1 = 3 rows, 9 − 4 + 1 = 6 columns.
        for (i, j) in (0..300).flat_map(|i| (0..60).map(move |j| (i, j))).step_by(7) {
            let place = ((i as f64 + 0.5) / 300.0, (j as f64 + 0.5) / 60.0);
            let cut = square(&images, 4, place).unwrap();
            assert_eq!(cut.data(), naive(&images, 4, i / 100, j / 10));
        }
        assert_eq!(square(&images, 6, (0.9, 0.0)).unwrap().data(), naive(&images, 6, 0, 0));
        let fault = square(&images, 7, (0.0, 0.0)).unwrap_err();
        assert!(matches!(fault, Error::Unsupported { .. }));
        assert_eq!(
            fault.to_string(),
            "cannot cut a square of side 7 out of a picture of 6x9 pixels: the picture is too small. Put short:7 or centre:7 \
             before random:7"
        );
    }

    #[test]
    fn the_shorter_side_is_resized_in_proportion() {
        for (h, w, expected) in [(10, 20, [8, 16]), (21, 10, [17, 8]), (5, 5, [8, 8]), (3, 400, [8, 1067])] {
            let images = pictures(1, 1, h, w);
            let got = "short:8".parse::<Crop>().unwrap().apply(images.clone()).unwrap();
            assert_eq!(got.shape()[2..], expected);
            let protocol: Protocol = "pillow-bicubic".parse().unwrap();
            assert_eq!(got, protocol.apply(&images, expected[0], expected[1]).unwrap());
        }
    }

    #[test]
    fn steps_follow_each_other_and_chance_can_be_taken_out() {
        let crop: Crop = "centre:8,random:5".parse().unwrap();
        assert_eq!((crop.random(), crop.fixed().to_string().as_str()), (Some(5), "centre:8"));
        let images = pictures(1, 3, 10, 12);
        // (10 − 8)/2 + 1 and (12 − 8)/2 + 1, where of the 4 places of the square the third from the left begins at 2.
        assert_eq!(crop.apply(images.clone()).unwrap().data(), naive(&images, 5, 1 + 2, 2 + 2));
        let only: Crop = "random:5".parse().unwrap();
        assert!(only.fixed().is_none());
    }

    #[test]
    fn mirrors_exchange_left_and_right() {
        let images = pictures(2, 3, 4, 5);
        let mut mirrored = images.clone().into_data();
        mirror(&mut mirrored, 5);
        for (i, value) in mirrored.iter().enumerate() {
            let (row, x) = (i / 5, i % 5);
            assert_eq!(*value, images.data()[row * 5 + 4 - x]);
        }
    }
}
