//! One curve as an SVG drawing whose colours are those of the page.

mod axis;

use super::events::Point;
use axis::{Axis, short};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Points of a drawn curve; longer ones become means of as many buckets.
const POINTS: usize = 500;

/// Units of the drawing to one of the page. Coordinates are whole numbers, which would be seen as stairs at 1.
const FINE: u32 = 4;

/// Size on the page, to which the drawing is scaled.
const SIZE: (u32, u32) = (360, 190);

/// Size of letters; 1.24 of it is the size that plotters is told.
const LETTERS: f64 = 11.0;

/// Greatest value over the least from which an axis is logarithmic: of scores, and of anything.
const WIDE: (f64, f64) = (20.0, 1e3);

/// Colours that stand for those of the page, which replace them in the text of the drawing: plotters knows no CSS variables.
const INK: RGBColor = RGBColor(1, 2, 3);
const GRID: RGBColor = RGBColor(1, 2, 4);
const CURVE: RGBColor = RGBColor(1, 2, 5);
const BAND: RGBColor = RGBColor(1, 2, 6);
const VARIABLES: [(&str, &str); 4] =
    [("#010203", "var(--faint)"), ("#010204", "var(--grid)"), ("#010205", "var(--curve)"), ("#010206", "var(--band)")];

/// A piece of the curve: mean step and value, and the range of what it stands for (values, or value ± error).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    x: f64,
    y: f64,
    low: f64,
    high: f64,
}

/// A curve that can be drawn.
pub(super) struct Chart {
    pieces: Vec<Piece>,
    /// Whether ranges are standard errors, drawn as bars.
    bars: bool,
    logarithmic: bool,
}

impl Chart {
    /// The curve through the points, which are in the order of their steps; scores get a logarithmic axis sooner.
    pub(super) fn of(points: &[Point], score: bool) -> Self {
        let per_bucket = points.len().div_ceil(POINTS).max(1);
        let mut pieces: Vec<Piece> = points.chunks(per_bucket).map(bucket).collect();
        let bars = points.iter().any(|p| p.error.is_some()) && per_bucket == 1;
        let least = points.iter().map(|p| p.value).fold(f64::INFINITY, f64::min);
        let greatest = points.iter().map(|p| p.value).fold(f64::NEG_INFINITY, f64::max);
        let logarithmic = least > 0.0 && greatest / least > if score { WIDE.0 } else { WIDE.1 };
        if logarithmic {
            // A bar may reach below zero, where such an axis has no end.
            pieces.iter_mut().for_each(|p| p.low = p.low.max(least / 2.0));
        }
        Self { pieces, bars, logarithmic }
    }

    /// The drawing over the steps from 0 to `last`, with a title that may stand in HTML; none of values that no axis can hold.
    pub(super) fn svg(&self, title: &str, last: u64) -> Option<String> {
        let scaled = |y: f64| if self.logarithmic { y.log10() } else { y };
        let ends = |of: &dyn Fn(&Piece) -> f64, pick: fn(f64, f64) -> f64| self.pieces.iter().map(of).reduce(pick);
        let (bottom, top) = (ends(&|p| scaled(p.low), f64::min)?, ends(&|p| scaled(p.high), f64::max)?);
        let (bottom, top) = widened(bottom, top, 0.06)?;
        let values = Axis::of(bottom, top, self.logarithmic);
        let (width, height) = (SIZE.0 * FINE, SIZE.1 * FINE);
        let room = |letters: usize| (FINE as f64 * (14.0 + 0.65 * LETTERS * letters as f64)).ceil() as u32;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin_top(8 * FINE)
                .margin_right(16 * FINE)
                .x_label_area_size(24 * FINE)
                .y_label_area_size(room(values.longest()).max(54 * FINE))
                .build_cartesian_2d(Axis::of(0.0, last.max(1) as f64, false), values)
                .ok()?;
            let font = ("sans-serif", 1.24 * LETTERS * f64::from(FINE)).into_font().color(&INK);
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID.stroke_width(FINE))
                .axis_style(GRID.stroke_width(FINE))
                .set_all_tick_mark_size(5 * FINE)
                .x_label_style(font.clone())
                .y_label_style(font.pos(Pos::new(HPos::Right, VPos::Center)))
                .draw()
                .ok()?;
            if self.bars {
                let style = CURVE.stroke_width(FINE);
                let bars = self
                    .pieces
                    .iter()
                    .map(|p| ErrorBar::new_vertical(p.x, scaled(p.low), scaled(p.y), scaled(p.high), style, 5 * FINE));
                chart.draw_series(bars).ok()?;
            } else if self.pieces.iter().any(|p| p.low < p.high) {
                let outline = self.pieces.iter().map(|p| (p.x, scaled(p.high)));
                let back = self.pieces.iter().rev().map(|p| (p.x, scaled(p.low)));
                let band: Vec<(f64, f64)> = outline.chain(back).collect();
                chart.draw_series([Polygon::new(band, BAND.mix(0.2).filled())]).ok()?;
            }
            let line = self.pieces.iter().map(|p| (p.x, scaled(p.y)));
            chart.draw_series(LineSeries::new(line, CURVE.stroke_width(2 * FINE))).ok()?;
            if self.pieces.len() == 1 {
                let dots = self.pieces.iter().map(|p| Circle::new((p.x, scaled(p.y)), 3 * FINE, CURVE.filled()));
                chart.draw_series(dots).ok()?;
            }
            area.present().ok()?;
        }
        for (stand_in, variable) in VARIABLES {
            svg = svg.replace(stand_in, variable);
        }
        // Scaled by the page, which knows its width.
        svg = svg.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "role=\"img\" ", 1);
        let head = svg.find('>')? + 1;
        svg.insert_str(head, &format!("<title>{title}</title>"));
        Some(rounded_fonts(&svg))
    }
}

/// Sizes of letters, which the drawing gives with fifteen digits, as whole numbers.
fn rounded_fonts(svg: &str) -> String {
    let name = "font-size=\"";
    let mut parts = svg.split(name);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        out += name;
        match part.split_once('"').and_then(|(size, rest)| Some((size.parse::<f64>().ok()?, rest))) {
            Some((size, rest)) => out += &format!("{size:.0}\"{rest}"),
            None => out += part,
        }
    }
    out
}

fn bucket(points: &[Point]) -> Piece {
    let n = points.len() as f64;
    let (mut x, mut y) = (0.0, 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for p in points {
        // Divided before they are added, so that no sum is too large.
        x += p.step as f64 / n;
        y += p.value / n;
        let error = if points.len() == 1 { p.error.unwrap_or(0.0) } else { 0.0 };
        low = low.min(p.value - error);
        high = high.max(p.value + error);
    }
    Piece { x, y, low, high }
}

/// A range with room around it, never empty; none where it is not finite or too wide for its own difference.
fn widened(low: f64, high: f64, room: f64) -> Option<(f64, f64)> {
    let extent = high - low;
    let least = 1e-9 * low.abs().max(high.abs());
    let (low, high) = if extent > least {
        (low - room * extent, high + room * extent)
    } else {
        let half = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
        (low - half, high + half)
    };
    ((high - low).is_finite() && high > low).then_some((low, high))
}

/// A number and its standard error, with two digits of the error.
pub(super) fn with_error(value: f64, error: Option<f64>) -> String {
    let Some(error) = error else { return short(value) };
    let size = |x: f64| if x == 0.0 { 0 } else { x.abs().log10().floor() as i32 };
    if !(-4..6).contains(&size(value.abs().max(error))) {
        return format!("{} ± {}", short(value), short(error));
    }
    let digits = (1 - size(error)).clamp(0, 9) as usize;
    format!("{value:.digits$} ± {error:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = f64>, error: Option<f64>) -> Vec<Point> {
        values.into_iter().enumerate().map(|(i, value)| Point { step: i as u64, value, error }).collect()
    }

    #[test]
    fn long_curves_become_means_of_buckets_with_their_range() {
        let chart = Chart::of(&points((0..5000).map(|i| f64::from(i % 10)), None), false);
        assert_eq!(chart.pieces.len(), 500);
        for (i, piece) in chart.pieces.iter().enumerate() {
            let x = 10.0 * i as f64 + 4.5;
            assert!((piece.x - x).abs() < 1e-9 * x && (piece.y - 4.5).abs() < 1e-12, "{piece:?}");
            assert_eq!((piece.low, piece.high), (0.0, 9.0));
        }
        assert_eq!(Chart::of(&points((0..500).map(f64::from), None), false).pieces.len(), 500);
        assert!(Chart::of(&points((0..501).map(f64::from), None), false).pieces.len() <= 500);
    }

    #[test]
    fn errors_are_bars_and_colours_are_those_of_the_page() {
        let bars = Chart::of(&points([3.0, 2.0, 1.0], Some(0.5)), true).svg("a curve", 2).unwrap();
        let none = Chart::of(&points([3.0, 2.0, 1.0], None), true).svg("a curve", 2).unwrap();
        assert!(bars.matches("var(--curve)").count() >= 10 && none.matches("var(--curve)").count() == 1, "{none}");
        assert!(
            !bars.contains("#0102") && bars.contains("viewBox") && !bars.contains(" width=\"1440\" height"),
            "{bars}"
        );
        assert!(bars.contains("<title>a curve</title>") && bars.contains("font-size=\"44\""), "{bars}");
        // A band says something only where buckets have a range.
        assert!(!none.contains("var(--band)"));
        let long = Chart::of(&points((0..5000).map(|i| f64::from(i % 10)), None), false).svg("", 5000).unwrap();
        assert!(long.contains("var(--band)"));
    }

    #[test]
    fn every_curve_has_axes_that_hold_it() {
        for values in [vec![1.0], vec![0.0, 0.0], vec![1e-30, 1e-30], vec![1e300, 2e300], vec![-5.0; 3]] {
            assert!(Chart::of(&points(values.clone(), None), false).svg("", 9).is_some(), "{values:?}");
        }
        assert!(Chart::of(&points([1e308, -1e308], None), false).svg("", 9).is_none());
        assert!(Chart::of(&[], false).svg("", 9).is_none());
        let wide = Chart::of(&points([1e-3, 1.0, 1e4], None), false);
        assert!(wide.logarithmic && wide.svg("", 9).is_some());
        assert!(!Chart::of(&points([0.0, 1.0, 1e4], None), false).logarithmic);
    }

    /// Scores sooner than others, also where an error is greater than its score.
    #[test]
    fn scores_that_fall_far_have_a_logarithmic_axis() {
        let falling = [5.0, 1.0, 0.2];
        assert!(Chart::of(&points(falling, Some(0.3)), true).svg("", 2).is_some());
        assert!(Chart::of(&points(falling, Some(0.3)), true).logarithmic);
        assert!(!Chart::of(&points(falling, Some(0.3)), false).logarithmic);
        assert!(!Chart::of(&points([5.0, 1.0, 0.3], None), true).logarithmic);
        assert!(!Chart::of(&points([5.0, 1.0, -0.2], None), true).logarithmic);
    }

    #[test]
    fn numbers_with_errors_have_their_digits() {
        let pairs = [(2679.73, 30.86, "2680 ± 31"), (0.0123, 0.0012, "0.0123 ± 0.0012"), (2.5e9, 1e7, "2.5e9 ± 1e7")];
        for (value, error, text) in pairs {
            assert_eq!(with_error(value, Some(error)), text);
        }
    }
}
