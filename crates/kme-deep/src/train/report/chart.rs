//! One curve as an SVG drawing whose colours are those of the page.

use super::events::Point;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Points of a drawn curve; longer ones become means of as many buckets.
const POINTS: usize = 500;

/// Units of the drawing, which is scaled to the page.
const SIZE: (u32, u32) = (360, 190);

/// Colours that stand for those of the page, which replace them in the text of the drawing.
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
    /// The curve through the points, which are in the order of their steps.
    pub fn of(points: &[Point]) -> Self {
        let per_bucket = points.len().div_ceil(POINTS).max(1);
        let pieces: Vec<Piece> = points.chunks(per_bucket).map(bucket).collect();
        let bars = points.iter().any(|p| p.error.is_some()) && per_bucket == 1;
        let least = pieces.iter().map(|p| p.low).fold(f64::INFINITY, f64::min);
        let greatest = pieces.iter().map(|p| p.high).fold(f64::NEG_INFINITY, f64::max);
        Self { pieces, bars, logarithmic: least > 0.0 && greatest / least > 1e3 }
    }

    /// The drawing; none of values that no axis can hold.
    pub fn svg(&self) -> Option<String> {
        let scaled = |y: f64| if self.logarithmic { y.log10() } else { y };
        let ends = |of: &dyn Fn(&Piece) -> f64, pick: fn(f64, f64) -> f64| self.pieces.iter().map(of).reduce(pick);
        let (left, right) = (ends(&|p| p.x, f64::min)?, ends(&|p| p.x, f64::max)?);
        let (bottom, top) = (ends(&|p| scaled(p.low), f64::min)?, ends(&|p| scaled(p.high), f64::max)?);
        let (left, right) = widened(left, right, 0.0)?;
        let (bottom, top) = widened(bottom, top, 0.06)?;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin_top(8)
                .margin_right(16)
                .x_label_area_size(24)
                .y_label_area_size(54)
                .build_cartesian_2d(left..right, bottom..top)
                .ok()?;
            let font = ("sans-serif", 14).into_font().color(&INK);
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(GRID)
                .x_labels(5)
                .y_labels(5)
                .x_label_style(font.clone())
                .y_label_style(font.pos(Pos::new(HPos::Right, VPos::Center)))
                .x_label_formatter(&|x| short(*x))
                .y_label_formatter(&|y| short(if self.logarithmic { 10_f64.powf(*y) } else { *y }))
                .draw()
                .ok()?;
            if self.bars {
                let bars = self.pieces.iter().map(|p| {
                    ErrorBar::new_vertical(p.x, scaled(p.low), scaled(p.y), scaled(p.high), CURVE.filled(), 5)
                });
                chart.draw_series(bars).ok()?;
            } else {
                let outline = self.pieces.iter().map(|p| (p.x, scaled(p.high)));
                let back = self.pieces.iter().rev().map(|p| (p.x, scaled(p.low)));
                let band: Vec<(f64, f64)> = outline.chain(back).collect();
                chart.draw_series([Polygon::new(band, BAND.mix(0.2).filled())]).ok()?;
            }
            let line = self.pieces.iter().map(|p| (p.x, scaled(p.y)));
            chart.draw_series(LineSeries::new(line, CURVE.stroke_width(2))).ok()?;
            if self.pieces.len() == 1 {
                chart
                    .draw_series(self.pieces.iter().map(|p| Circle::new((p.x, scaled(p.y)), 3, CURVE.filled())))
                    .ok()?;
            }
            area.present().ok()?;
        }
        for (stand_in, variable) in VARIABLES {
            svg = svg.replace(stand_in, variable);
        }
        // Scaled by the page, which knows its width.
        let (width, height) = SIZE;
        Some(svg.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "", 1))
    }
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

/// A number in few signs: four digits, with a power of ten where it is very large or small.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".into() } else { x.to_string() };
    }
    let exponent = x.abs().log10().floor() as i32;
    let text = if (-4..6).contains(&exponent) {
        format!("{x:.*}", (3 - exponent).clamp(0, 7) as usize)
    } else {
        let power = format!("{x:.2e}");
        let (digits, power) = power.split_once('e').unwrap_or((&power, "0"));
        return format!("{}e{power}", trimmed(digits));
    };
    // A tick such as -0.0000001 between rounded ones is nothing.
    let text = trimmed(&text);
    if text == "-0" { "0".into() } else { text.into() }
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

/// Without zeros behind the point.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = f64>, error: Option<f64>) -> Vec<Point> {
        values.into_iter().enumerate().map(|(i, value)| Point { step: i as u64, value, error }).collect()
    }

    #[test]
    fn long_curves_become_means_of_buckets_with_their_range() {
        let chart = Chart::of(&points((0..5000).map(|i| f64::from(i % 10)), None));
        assert_eq!(chart.pieces.len(), 500);
        for (i, piece) in chart.pieces.iter().enumerate() {
            let x = 10.0 * i as f64 + 4.5;
            assert!((piece.x - x).abs() < 1e-9 * x && (piece.y - 4.5).abs() < 1e-12, "{piece:?}");
            assert_eq!((piece.low, piece.high), (0.0, 9.0));
        }
        assert_eq!(Chart::of(&points((0..500).map(f64::from), None)).pieces.len(), 500);
        assert!(Chart::of(&points((0..501).map(f64::from), None)).pieces.len() <= 500);
    }

    #[test]
    fn errors_are_bars_and_colours_are_those_of_the_page() {
        let bars = Chart::of(&points([3.0, 2.0, 1.0], Some(0.5))).svg().unwrap();
        let none = Chart::of(&points([3.0, 2.0, 1.0], None)).svg().unwrap();
        assert!(bars.matches("var(--curve)").count() >= 10 && none.matches("var(--curve)").count() == 1, "{none}");
        assert!(!bars.contains("#0102") && bars.contains("viewBox") && !bars.contains("width=\"360\""), "{bars}");
    }

    #[test]
    fn every_curve_has_axes_that_hold_it() {
        for values in [vec![1.0], vec![0.0, 0.0], vec![1e-30, 1e-30], vec![1e300, 2e300], vec![-5.0; 3]] {
            assert!(Chart::of(&points(values.clone(), None)).svg().is_some(), "{values:?}");
        }
        assert!(Chart::of(&points([1e308, -1e308], None)).svg().is_none());
        assert!(Chart::of(&[]).svg().is_none());
        let wide = Chart::of(&points([1e-3, 1.0, 1e4], None));
        assert!(wide.logarithmic && wide.svg().is_some());
        assert!(!Chart::of(&points([0.0, 1.0, 1e4], None)).logarithmic);
    }

    #[test]
    fn numbers_are_short() {
        let expected = [
            (0.0, "0"),
            (0.25, "0.25"),
            (12345.678, "12346"),
            (-0.0123456, "-0.01235"),
            (1e-7, "1e-7"),
            (2.5e9, "2.5e9"),
            (3.0, "3"),
            (100.0, "100"),
        ];
        for (x, text) in expected {
            assert_eq!(short(x), text);
        }
        let pairs = [(2679.73, 30.86, "2680 ± 31"), (0.0123, 0.0012, "0.0123 ± 0.0012"), (2.5e9, 1e7, "2.5e9 ± 1e7")];
        for (value, error, text) in pairs {
            assert_eq!(with_error(value, Some(error)), text);
        }
    }
}
