//! Sheets of many pictures for people to look at.

use kme::{Error, Result};

use super::{Colour, DEFAULT_MAX_PIXELS, Images, font};

/// How much larger than its pixels a picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scale {
    /// The smallest whole number that makes the longer side at least 96 pixels: 28×28 is drawn four times as large.
    #[default]
    Auto,
    /// This many times, at least once.
    Times(usize),
}

impl Scale {
    fn factor(self, h: usize, w: usize) -> Result<usize> {
        match self {
            Self::Auto => Ok(96_usize.div_ceil(h.max(w)).max(1)),
            Self::Times(0) => Err(Error::parameter("scale", 0, "at least 1")),
            Self::Times(factor) => Ok(factor),
        }
    }
}

/// How pictures are laid out on a sheet: row after row, each picture enlarged by a whole number of nearest neighbours,
/// so that no pixel is invented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Pictures per row. By default up to 8 pictures share one row, and more are laid out nearly square.
    pub columns: Option<usize>,
    /// Pixels of the sheet between pictures and around them.
    pub padding: usize,
    /// Grey level of the ground in [0, 1].
    pub background: f32,
    /// Enlargement of each picture.
    pub scale: Scale,
}

impl Default for Grid {
    fn default() -> Self {
        Self { columns: None, padding: 4, background: 1.0, scale: Scale::default() }
    }
}

/// One titled group of pictures on a [`sheet`].
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Title above the group; letters are drawn as capitals.
    pub label: &'a str,
    /// The group's pictures.
    pub images: &'a Images,
}

impl Grid {
    /// All pictures on one sheet: shape (1, c, H, W), pixels in [0, 1].
    ///
    /// # Errors
    /// [`Error::Parameter`] when columns or scale is 0; [`Error::TooMany`] when the sheet would have more than 10⁸ pixels.
    pub fn lay_out(&self, images: &Images) -> Result<Images> {
        let [n, c, h, w] = images.shape();
        let columns = self.columns_of(n)?;
        let factor = self.scale.factor(h, w)?;
        let [height, width] = self.size(n, [h, w])?;
        let mut sheet = Images::filled(1, c, height, width, self.background);
        for i in 0..n {
            let top = self.padding + i / columns * (h * factor + self.padding);
            let left = self.padding + i % columns * (w * factor + self.padding);
            for (channel, plane) in images.picture(i).chunks_exact(h * w).enumerate() {
                for y in 0..h * factor {
                    let source = &plane[y / factor * w..][..w];
                    let start = (channel * height + top + y) * width + left;
                    for (x, out) in sheet.data[start..start + w * factor].iter_mut().enumerate() {
                        *out = source[x / factor];
                    }
                }
            }
        }
        Ok(sheet)
    }

    /// Height and width of the sheet of `n` pictures of this height and width.
    ///
    /// # Errors
    /// As [`lay_out`](Self::lay_out).
    pub fn size(&self, n: usize, [h, w]: [usize; 2]) -> Result<[usize; 2]> {
        let columns = self.columns_of(n)?;
        let factor = self.scale.factor(h, w)?;
        let cell = |side: usize| side.checked_mul(factor)?.checked_add(self.padding);
        let total = |count: usize, side: usize| cell(side)?.checked_mul(count)?.checked_add(self.padding);
        let (height, width) = sheet_size(total(n.div_ceil(columns), h).zip(total(columns, w)))?;
        Ok([height, width])
    }

    fn columns_of(&self, n: usize) -> Result<usize> {
        match self.columns {
            Some(0) => Err(Error::parameter("columns", 0, "at least 1")),
            Some(columns) => Ok(columns.min(n)),
            None => Ok(auto_columns(n)),
        }
    }
}

/// Titled groups of pictures below each other, with a rule between them: what went in above what came out.
///
/// Every group is laid out by `grid` with its own enlargement; if one group is in colour, the sheet is.
/// Shape (1, c, H, W), pixels in [0, 1].
///
/// # Errors
/// [`Error::TooFew`] when there are no parts; those of [`Grid::lay_out`].
pub fn sheet(parts: &[Part<'_>], grid: &Grid) -> Result<Images> {
    const LETTER: usize = 2;
    const RULE: usize = 2;
    let colour = if parts.iter().all(|p| p.images.channels() == 1) { Colour::Grey } else { Colour::Rgb };
    let grids = parts.iter().map(|p| grid.lay_out(&p.images.to_colour(colour))).collect::<Result<Vec<_>>>()?;
    const AIR: usize = 8;
    let margin = grid.padding.max(4);
    let title = |part: &Part<'_>| margin + (part.label.chars().count() * font::ADVANCE) * LETTER;
    let (Some(inner), Some(titles)) = (grids.iter().map(Images::width).max(), parts.iter().map(title).max()) else {
        return Err(Error::too_few("groups of pictures", 0, 1, "a sheet"));
    };
    let head = AIR + font::HEIGHT * LETTER + 2;
    let tall: usize = grids.iter().map(|g| head + g.height() + AIR).sum::<usize>() + (grids.len() - 1) * RULE;
    let (height, width) = sheet_size(Some((tall, inner.max(titles + margin))))?;
    let channels = colour.channels();
    let mut out = Images::filled(1, channels, height, width, grid.background);
    // Ink that stands out from the ground, and a rule half-way between the two.
    let ink = if grid.background > 0.5 { 0.1 } else { 0.9 };
    let faint = (ink + grid.background.clamp(0.0, 1.0)) / 2.0;
    let mut fill = |top: usize, left: usize, (h, w): (usize, usize), value: &dyn Fn(usize, usize, usize) -> f32| {
        for channel in 0..channels {
            for y in 0..h {
                let start = (channel * height + top + y) * width + left;
                for (x, pixel) in out.data[start..start + w].iter_mut().enumerate() {
                    *pixel = value(channel, y, x);
                }
            }
        }
    };
    let mut top = 0;
    for (i, (part, picture)) in parts.iter().zip(&grids).enumerate() {
        if i > 0 {
            fill(top, 0, (RULE, width), &|_, _, _| faint);
            top += RULE;
        }
        for (y, x) in font::ink(part.label) {
            fill(top + AIR + y * LETTER, margin + x * LETTER, (LETTER, LETTER), &|_, _, _| ink);
        }
        let (h, w) = (picture.height(), picture.width());
        fill(top + head, 0, (h, w), &|channel, y, x| picture.data()[(channel * h + y) * w + x]);
        top += head + h + AIR;
    }
    Ok(out)
}

/// One row for up to 8 pictures; beyond, the narrowest sheet from square to twice as wide that leaves no gap in the
/// last row, or else the square one.
fn auto_columns(n: usize) -> usize {
    if n <= 8 {
        return n;
    }
    let root = (n as f64).sqrt().ceil() as usize;
    (root..=2 * root).find(|columns| n.is_multiple_of(*columns)).unwrap_or(root)
}

fn sheet_size(size: Option<(usize, usize)>) -> Result<(usize, usize)> {
    let fits = |(h, w): &(usize, usize)| h.checked_mul(*w).is_some_and(|p| p as u64 <= DEFAULT_MAX_PIXELS);
    size.filter(fits).ok_or_else(|| {
        let shown = size.map_or("beyond counting".into(), |(h, w)| format!("{h}x{w}"));
        Error::too_many("size of the sheet", shown, format!("{DEFAULT_MAX_PIXELS} pixels"), "lay out fewer pictures")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(n: usize, c: usize) -> Images {
        Images::new(n, c, 2, 2, (0..n * c * 4).map(|i| (i + 1) as f32 / (n * c * 4 + 1) as f32).collect()).unwrap()
    }

    #[test]
    fn pictures_stand_row_after_row_enlarged_by_whole_pixels() {
        let images = steps(3, 1);
        let grid = Grid { columns: Some(2), padding: 1, background: 0.0, scale: Scale::Times(2) };
        let sheet = grid.lay_out(&images).unwrap();
        assert_eq!(sheet.shape(), [1, 1, 11, 11]);
        for y in 0..11 {
            for x in 0..11 {
                let inside = y % 5 > 0 && x % 5 > 0 && (y < 5 || x < 5);
                let picture = y / 5 * 2 + x / 5;
                let expected =
                    if inside { images.picture(picture)[(y % 5 - 1) / 2 * 2 + (x % 5 - 1) / 2] } else { 0.0 };
                assert_eq!(sheet.data()[y * 11 + x], expected, "({y}, {x})");
            }
        }
    }

    #[test]
    fn small_pictures_are_enlarged_until_readable() {
        assert_eq!([28, 32, 64, 96, 500].map(|s| Scale::Auto.factor(s, s).unwrap()), [4, 3, 2, 1, 1]);
        let sheet = Grid::default().lay_out(&Images::filled(10, 3, 28, 28, 0.0)).unwrap();
        assert_eq!(sheet.shape(), [1, 3, 2 * 116 + 4, 5 * 116 + 4]);
    }

    #[test]
    fn columns_leave_no_gap_where_possible() {
        let expected = [(1, 1), (8, 8), (9, 3), (10, 5), (11, 4), (12, 4), (64, 8), (100, 10)];
        for (n, columns) in expected {
            assert_eq!(auto_columns(n), columns, "{n} pictures");
        }
    }

    #[test]
    fn parts_keep_their_order_and_the_sheet_takes_colour_from_any() {
        let (grey, rgb) = (Images::filled(2, 1, 28, 28, 0.0), Images::filled(4, 3, 32, 32, 0.5));
        let parts = [Part { label: "inputs", images: &grey }, Part { label: "outputs", images: &rgb }];
        let both = sheet(&parts, &Grid::default()).unwrap();
        assert_eq!(both.channels(), 3);
        let plane = &both.data()[..both.height() * both.width()];
        let row_of = |value: f32| plane.iter().position(|x| *x == value).unwrap() / both.width();
        assert!(row_of(0.1) < row_of(0.0), "the title stands above its pictures");
        assert!(row_of(0.0) < row_of(0.55) && row_of(0.55) < row_of(0.5), "the rule stands between the parts");
    }

    #[test]
    fn wide_titles_fit_and_bad_layouts_are_refused() {
        let one = Images::filled(1, 1, 4, 4, 0.0);
        let long = "a title that is much longer than the pictures below it";
        let wide = sheet(&[Part { label: long, images: &one }], &Grid::default()).unwrap();
        assert!(wide.width() >= long.len() * 12);
        assert!(matches!(sheet(&[], &Grid::default()), Err(Error::TooFew { given: 0, .. })));
        assert!(Grid { columns: Some(0), ..Grid::default() }.lay_out(&one).is_err());
        assert!(Grid { scale: Scale::Times(0), ..Grid::default() }.lay_out(&one).is_err());
        for scale in [100_000, usize::MAX] {
            let laid_out = Grid { scale: Scale::Times(scale), ..Grid::default() }.lay_out(&one);
            assert!(matches!(laid_out, Err(Error::TooMany { .. })));
        }
        assert!(Grid { padding: usize::MAX, ..Grid::default() }.lay_out(&one).is_err());
    }
}
