//! From components to pixels: chroma at full size, and colours.
//!
//! Halved components are interpolated by a triangle filter, whose weights are 3/4 and 1/4 along each axis, as libjpeg's "fancy
//! upsampling" does; the roundings alternate as there. Other factors repeat samples.

use super::Result;

/// A component's samples; what lies beyond `width` and `height` fills up blocks and is no part of the picture.
pub(super) struct Plane {
    pub(super) id: u8,
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

/// What components are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Model {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as Adobe writes them and Pillow takes all.
    Cmyk,
    /// The same with YCbCr of the inverted colours.
    Ycck,
    /// Four of which something outside the file says what they are.
    Four,
}

/// How a component comes to full size.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Same,
    Triangle { across: bool, down: bool },
    Repeat,
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.height - 1);
        &self.samples[y * self.stride..][..self.width]
    }

    fn way(&self, factors: (usize, usize)) -> Way {
        match factors {
            (1, 1) => Way::Same,
            // Too narrow for a neighbour on both sides, libjpeg repeats.
            (2, 1) if self.width > 2 => Way::Triangle { across: true, down: false },
            (2, 2) if self.width > 2 => Way::Triangle { across: true, down: true },
            (1, 2) => Way::Triangle { across: false, down: true },
            _ => Way::Repeat,
        }
    }
}

/// One component, row by row at full size.
struct Full<'a> {
    plane: &'a Plane,
    way: Way,
    factors: (usize, usize),
    sums: Vec<u16>,
    out: Vec<u8>,
}

impl<'a> Full<'a> {
    fn new(plane: &'a Plane, factors: (usize, usize)) -> Self {
        let out = vec![0; plane.width * factors.0];
        Self { plane, way: plane.way(factors), factors, sums: vec![0; plane.width], out }
    }

    /// Row `y` of the picture; it may be longer than the picture's.
    fn row(&mut self, y: usize) -> &[u8] {
        let plane = self.plane;
        let near = plane.row(y / self.factors.1);
        match self.way {
            Way::Same => return near,
            Way::Repeat => {
                for (out, sample) in self.out.chunks_exact_mut(self.factors.0).zip(near) {
                    out.fill(*sample);
                }
            }
            Way::Triangle { across, down } => {
                let below = y % 2 == 1;
                // The row on the other side of the output's; at the edge, the same.
                let far = if below { plane.row(y / 2 + 1) } else { plane.row((y / 2).saturating_sub(1)) };
                match (across, down) {
                    (true, false) => {
                        self.sums.iter_mut().zip(near).for_each(|(sum, a)| *sum = u16::from(*a));
                        widen(&self.sums, &mut self.out, [1, 2], 2);
                    }
                    (true, true) => {
                        for (sum, (a, b)) in self.sums.iter_mut().zip(near.iter().zip(far)) {
                            *sum = 3 * u16::from(*a) + u16::from(*b);
                        }
                        widen(&self.sums, &mut self.out, [8, 7], 4);
                    }
                    _ => {
                        let bias = if below { 2 } else { 1 };
                        for (out, (a, b)) in self.out.iter_mut().zip(near.iter().zip(far)) {
                            *out = ((3 * u16::from(*a) + u16::from(*b) + bias) >> 2) as u8;
                        }
                    }
                }
            }
        }
        &self.out
    }
}

/// Twice as many samples by the triangle filter: (3·this + neighbour + bias)/2^shift, the neighbour of the left one being on
/// the left. At the ends the neighbour is the sample itself.
fn widen(sums: &[u16], out: &mut [u8], [left, right]: [u16; 2], shift: u32) {
    let last = sums.len() - 1;
    for (i, out) in out.chunks_exact_mut(2).enumerate() {
        let this = sums[i];
        out[0] = ((3 * this + sums[i.saturating_sub(1)] + left) >> shift) as u8;
        out[1] = ((3 * this + sums[(i + 1).min(last)] + right) >> shift) as u8;
    }
}

/// The picture's pixels.
///
/// # Errors
/// Never for what the frame's header lets through.
pub(super) fn pixels(planes: &[Plane], model: Model, height: usize, width: usize) -> Result<super::Pixels> {
    let most = |of: fn(&Plane) -> usize| planes.iter().map(of).max().unwrap_or(1);
    let (h, v) = (most(|p| p.horizontal), most(|p| p.vertical));
    let mut full: Vec<Full> = planes.iter().map(|p| Full::new(p, (h / p.horizontal, v / p.vertical))).collect();
    if model == Model::Grey {
        let grey = (0..height).flat_map(|y| full[0].row(y)[..width].to_vec()).collect();
        return Ok(super::Pixels::Grey(grey));
    }
    if model == Model::Four {
        let mut four = Vec::with_capacity(4 * height * width);
        for y in 0..height {
            let rows: Vec<&[u8]> = full.iter_mut().map(|component| component.row(y)).collect();
            four.extend((0..width).flat_map(|x| [rows[0][x], rows[1][x], rows[2][x], rows[3][x]]));
        }
        return Ok(super::Pixels::Four(four));
    }
    let tables = Tables::new();
    let mut rgb = Vec::with_capacity(3 * height * width);
    for y in 0..height {
        let rows: Vec<&[u8]> = full.iter_mut().map(|component| &component.row(y)[..width]).collect();
        let triples = rows[0].iter().zip(rows[1]).zip(rows[2]).map(|((a, b), c)| [*a, *b, *c]);
        match model {
            Model::Rgb => triples.for_each(|pixel| rgb.extend(pixel)),
            Model::Cmyk => triples.zip(rows[3]).for_each(|(inks, k)| rgb.extend(subtractive(inks, *k))),
            // The inverse of the colours is sent; the file's inversion turns it back.
            Model::Ycck => triples.zip(rows[3]).for_each(|([y, cb, cr], k)| {
                rgb.extend(subtractive(tables.rgb(y, cb, cr).map(|level| 255 - level), *k));
            }),
            Model::Grey | Model::Four | Model::YCbCr => {
                triples.for_each(|[y, cb, cr]| rgb.extend(tables.rgb(y, cb, cr)))
            }
        }
    }
    Ok(super::Pixels::Rgb(rgb))
}

/// Red, green and blue from inverted cyan, magenta, yellow and black, as Pillow converts: no ink profile.
pub(in super::super) fn subtractive(inverted: [u8; 3], black: u8) -> [u8; 3] {
    let light = i32::from(black);
    inverted.map(|level| {
        let product = (255 - i32::from(level)) * light + 128;
        (light - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}

/// What Cb and Cr add to red, green and blue (Rec. 601, full range; ITU-T T.871), in 16 bits below the point, from factors
/// of five digits.
struct Tables {
    red: [i32; 256],
    blue: [i32; 256],
    green_cb: [i32; 256],
    green_cr: [i32; 256],
}

impl Tables {
    fn new() -> Self {
        const HALF: i32 = 1 << 15;
        let fixed = |x: f64| (x * 65536.0 + 0.5) as i32;
        let table = |of: &dyn Fn(i32) -> i32| std::array::from_fn(|i| of(i as i32 - 128));
        Self {
            red: table(&|x| (fixed(1.402) * x + HALF) >> 16),
            blue: table(&|x| (fixed(1.772) * x + HALF) >> 16),
            green_cb: table(&|x| -fixed(0.34414) * x + HALF),
            green_cr: table(&|x| -fixed(0.71414) * x),
        }
    }

    fn rgb(&self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (i32::from(y), usize::from(cb), usize::from(cr));
        let green = (self.green_cb[cb] + self.green_cr[cr]) >> 16;
        [y + self.red[cr], y + green, y + self.blue[cb]].map(|level| level.clamp(0, 255) as u8)
    }
}
