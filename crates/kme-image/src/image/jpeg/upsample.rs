//! From components to pixels: chroma at full size, and colours.
//!
//! Halved components are interpolated by a triangle filter, whose weights are 3/4 and 1/4 along each axis, as libjpeg's "fancy
//! upsampling" does; the roundings alternate as there. Other factors repeat samples.

use super::{Component, SIDE};

/// A component's samples; what lies beyond `width` and `height` fills up blocks and does not belong to the picture.
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

impl From<Component> for Plane {
    fn from(component: Component) -> Self {
        let Component { id, horizontal, vertical, height, width, stride, samples, .. } = component;
        Self { id, horizontal, vertical, height, width, stride: stride * SIDE, samples }
    }
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
        if self.way == Way::Same {
            return self.plane.row(y / self.factors.1);
        }
        pulp::Arch::new().dispatch(Fill { full: self, y });
        &self.out
    }

    #[inline(always)]
    fn fill(&mut self, y: usize) {
        let plane = self.plane;
        let near = plane.row(y / self.factors.1);
        match self.way {
            Way::Same => {}
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
    }
}

/// Brings a row to full size.
struct Fill<'a, 'b> {
    full: &'a mut Full<'b>,
    y: usize,
}

impl pulp::NullaryFnOnce for Fill<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.full.fill(self.y);
    }
}

/// Twice as many samples by the triangle filter: (3·this + neighbour + bias)/2^shift, the neighbour of the left one being on
/// the left. At the ends the neighbour is the sample itself.
#[inline(always)]
fn widen(sums: &[u16], out: &mut [u8], [left, right]: [u16; 2], shift: u32) {
    let last = sums.len() - 1;
    let mut put = |i: usize, before: usize, after: usize| {
        out[2 * i] = ((3 * sums[i] + sums[before] + left) >> shift) as u8;
        out[2 * i + 1] = ((3 * sums[i] + sums[after] + right) >> shift) as u8;
    };
    put(0, 0, 1.min(last));
    put(last, last.saturating_sub(1), last);
    if let Some(inner) = out.get_mut(2..2 * last) {
        for (three, out) in sums.windows(3).zip(inner.chunks_exact_mut(2)) {
            out[0] = ((3 * three[1] + three[0] + left) >> shift) as u8;
            out[1] = ((3 * three[1] + three[2] + right) >> shift) as u8;
        }
    }
}

/// The picture's pixels.
pub(super) fn pixels(planes: &[Plane], model: Model, height: usize, width: usize) -> super::Pixels {
    let most = |of: fn(&Plane) -> usize| planes.iter().map(of).max().unwrap_or(1);
    let (h, v) = (most(|p| p.horizontal), most(|p| p.vertical));
    let mut full: Vec<Full> = planes.iter().map(|p| Full::new(p, (h / p.horizontal, v / p.vertical))).collect();
    if model == Model::Grey {
        let mut grey = Vec::with_capacity(height * width);
        (0..height).for_each(|y| grey.extend_from_slice(&full[0].row(y)[..width]));
        return super::Pixels::Grey(grey);
    }
    if model == Model::Four {
        let mut four = Vec::with_capacity(4 * height * width);
        for y in 0..height {
            let rows: Vec<&[u8]> = full.iter_mut().map(|component| component.row(y)).collect();
            four.extend((0..width).flat_map(|x| [rows[0][x], rows[1][x], rows[2][x], rows[3][x]]));
        }
        return super::Pixels::Four(four);
    }
    let mut rgb = vec![0; 3 * height * width];
    for (y, out) in rgb.chunks_exact_mut(3 * width).enumerate() {
        let rows: Vec<&[u8]> = full.iter_mut().map(|component| &component.row(y)[..width]).collect();
        pulp::Arch::new().dispatch(Row { model, components: &rows, out });
    }
    super::Pixels::Rgb(rgb)
}

/// A row of pixels, from the components at full size.
struct Row<'a> {
    model: Model,
    components: &'a [&'a [u8]],
    out: &'a mut [u8],
}

impl pulp::NullaryFnOnce for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { model, components, out } = self;
        let triples = components[0].iter().zip(components[1]).zip(components[2]).map(|((a, b), c)| [*a, *b, *c]);
        let pixels = out.chunks_exact_mut(3);
        match model {
            Model::Rgb => pixels.zip(triples).for_each(|(out, pixel)| out.copy_from_slice(&pixel)),
            Model::Cmyk => pixels
                .zip(triples.zip(components[3]))
                .for_each(|(out, (inks, k))| out.copy_from_slice(&subtractive(inks, *k))),
            // The inverse of the colours is sent; the file's inversion turns it back.
            Model::Ycck => pixels.zip(triples.zip(components[3])).for_each(|(out, (inks, k))| {
                out.copy_from_slice(&subtractive(colours(inks).map(|level| 255 - level), *k));
            }),
            Model::Grey | Model::Four | Model::YCbCr => {
                pixels.zip(triples).for_each(|(out, pixel)| out.copy_from_slice(&colours(pixel)));
            }
        }
    }
}

/// Red, green and blue from inverted cyan, magenta, yellow and black, as Pillow converts: no ink profile.
#[inline]
pub(in super::super) fn subtractive(inverted: [u8; 3], black: u8) -> [u8; 3] {
    let light = i32::from(black);
    inverted.map(|level| {
        let product = (255 - i32::from(level)) * light + 128;
        (light - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}

/// Red, green and blue from Y, Cb and Cr (Rec. 601, full range; ITU-T T.871), in 16 bits below the point, from factors of
/// five digits.
#[inline(always)]
fn colours([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    const fn fixed(x: f64) -> i32 {
        (x * 65536.0 + 0.5) as i32
    }
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = (fixed(1.402) * cr + HALF) >> 16;
    let green = (-fixed(0.34414) * cb - fixed(0.71414) * cr + HALF) >> 16;
    let blue = (fixed(1.772) * cb + HALF) >> 16;
    let level = |level: i32| level.clamp(0, 255) as u8;
    [level(y + red), level(y + green), level(y + blue)]
}
