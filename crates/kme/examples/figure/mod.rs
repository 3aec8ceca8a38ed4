//! Figures as SVG: panels in rows and columns, each with axes and layers of lines, dots, bars, arrows, contours.
//!
//! Everything is drawn at twice its size, since the drawing library places points on whole pixels.

pub(crate) mod contour;
pub(crate) mod curves;

use kme::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

/// The name of a figure, and what makes it.
pub(crate) type Experiment = (&'static str, fn(&Path) -> Result<()>);

/// Makes what the command line asks for: `FOLDER [NAME]...`, all of `experiments` without a name.
///
/// # Errors
/// When a name is unknown, the folder cannot be made, or an experiment fails.
pub(crate) fn run(experiments: &[Experiment]) -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "docs/figures".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).map_err(|e| kme::internal::io::write_error(folder, e))?;
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|w| experiments.iter().all(|e| e.0 != **w)) {
        return Err(Error::unknown("experiment", unknown, experiments.iter().map(|e| e.0)));
    }
    for (name, run) in experiments {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            run(&folder.join(format!("{name}.svg")))?;
        }
    }
    Ok(())
}

/// Colours that people with any colour vision can tell apart (Okabe and Ito, 2008), and behind them [`LEVELS`].
pub(crate) const COLOURS: [RGBColor; 13] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(68, 1, 84),
    RGBColor(67, 62, 133),
    RGBColor(48, 103, 141),
    RGBColor(33, 144, 140),
    RGBColor(53, 183, 121),
    RGBColor(122, 209, 81),
    RGBColor(190, 215, 40),
];
pub(crate) const BLUE: usize = 0;
pub(crate) const ORANGE: usize = 1;
pub(crate) const GREEN: usize = 2;
pub(crate) const PURPLE: usize = 3;
pub(crate) const GREY: usize = 5;
/// Places of seven colours from dark to light, for low to high (viridis; van der Walt and Smith, 2015).
pub(crate) const LEVELS: Range<usize> = 6..13;

/// Units of the drawing in one pixel of the figure.
const FINE: u32 = 2;
/// The library takes a font's size to be larger than what it writes.
const FONT: f64 = 1.24;

type Fault = Box<dyn std::error::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Coordinates = Cartesian2d<Scale, Scale>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Coordinates>;

pub(crate) struct Axis {
    pub name: String,
    pub range: (f64, f64),
    pub is_log: bool,
}

impl Axis {
    pub(crate) fn linear(name: impl ToString, from: f64, to: f64) -> Self {
        Self { name: name.to_string(), range: (from, to), is_log: false }
    }

    pub(crate) fn log(name: impl ToString, from: f64, to: f64) -> Self {
        Self { name: name.to_string(), range: (from, to), is_log: true }
    }

    fn place(&self, value: f64) -> f64 {
        if self.is_log { value.log10() } else { value }
    }

    fn holds(&self, value: f64) -> bool {
        let slack = 1e-9 * (self.range.1 - self.range.0);
        (self.range.0 - slack..=self.range.1 + slack).contains(&value)
    }

    /// Where there are numbers at the axis, and the numbers.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (from, to) = self.range;
        let all: Vec<(f64, String)> = if self.is_log {
            let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
            let step = 1 + decades.clone().count() / 7;
            // In a narrow range more than the powers of ten.
            let mantissas: &[f64] = if (to / from).log10() < 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let numbers = |e: i32| mantissas.iter().map(move |m| (m * 10_f64.powi(e), power_of_ten(*m, e)));
            decades.step_by(step).flat_map(numbers).collect()
        } else {
            let rough = (to - from) / 5.0;
            let unit = 10_f64.powf(rough.log10().floor());
            let step = unit * [1.0, 2.0, 5.0, 10.0].into_iter().find(|s| s * unit >= 0.999 * rough).unwrap_or(10.0);
            let digits = (-step.log10().floor()).max(0.0) as usize;
            let numbers = (from / step).ceil() as i64..=(to / step * (1.0 + 1e-12)).floor() as i64;
            numbers.map(|i| i as f64 * step).map(|v| (v, format!("{v:.digits$}"))).collect()
        };
        all.into_iter().filter(|(v, _)| self.holds(*v)).map(|(v, t)| (self.place(v), t)).collect()
    }
}

/// An axis as the drawing library sees it: places from the first to the second, and where the ticks are.
#[derive(Clone)]
struct Scale(f64, f64, Vec<f64>);

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (f64::from(limit.1 - limit.0) * (value - self.0) / (self.1 - self.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.2.clone()
    }

    fn range(&self) -> Range<f64> {
        self.0..self.1
    }
}

fn power_of_ten(mantissa: f64, exponent: i32) -> String {
    if mantissa != 1.0 || (-2..=3).contains(&exponent) {
        let digits = exponent.min(0).unsigned_abs() as usize;
        return format!("{:.digits$}", mantissa * 10_f64.powi(exponent));
    }
    let raised = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        _ => char::from_u32('⁰' as u32 + c.to_digit(10).unwrap_or(0)).unwrap_or('?'),
    };
    format!("10{}", exponent.to_string().chars().map(raised).collect::<String>())
}

pub(crate) enum Shape {
    /// Through the points; broken where it leaves the axes.
    Line(Vec<(f64, f64)>),
    Dots(Vec<(f64, f64)>),
    /// (x, low, high): drawn as far as the axes reach.
    Bars(Vec<(f64, f64, f64)>),
    /// (from, to, height)
    Histogram(Vec<(f64, f64, f64)>),
    /// From, to.
    Arrows(Vec<[(f64, f64); 2]>),
    Text((f64, f64), String),
}

pub(crate) struct Layer {
    pub shape: Shape,
    /// Its place in [`COLOURS`].
    pub colour: usize,
    /// What the legend calls it.
    pub name: Option<String>,
    /// Width of lines, radius of dots, in pixels.
    pub size: f64,
}

impl Layer {
    pub(crate) fn new(shape: Shape, colour: usize) -> Self {
        let size = match shape {
            Shape::Dots(_) => 3.0,
            Shape::Arrows(_) => 1.0,
            _ => 2.0,
        };
        Self { shape, colour, name: None, size }
    }

    pub(crate) fn named(mut self, name: impl ToString) -> Self {
        self.name = Some(name.to_string());
        self
    }

    pub(crate) fn sized(mut self, size: f64) -> Self {
        self.size = size;
        self
    }
}

pub(crate) struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub layers: Vec<Layer>,
    pub legend: Option<SeriesLabelPosition>,
}

/// Writes a figure of panels in rows of `columns`, each of this size in pixels.
pub(crate) fn write(path: &Path, columns: usize, (width, height): (u32, u32), panels: &[Panel]) -> Result<()> {
    let rows = panels.len().div_ceil(columns);
    let (width, height) = (width * columns as u32, height * rows as u32);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (FINE * width, FINE * height)).into_drawing_area();
        let fault = |e: &dyn std::fmt::Display| Error::unsupported("draw the figure", e.to_string());
        root.fill(&WHITE).map_err(|e| fault(&e))?;
        // So that a wide figure on a narrow page can be read.
        let font = 15.0 * (f64::from(width) / 800.0).max(0.8);
        for (area, panel) in root.split_evenly((rows, columns)).iter().zip(panels) {
            draw(&root, area, panel, font).map_err(|e| fault(&e))?;
        }
        root.present().map_err(|e| fault(&e))?;
    }
    let drawn = format!(r#"<svg width="{}" height="{}""#, FINE * width, FINE * height);
    let text = text.replacen(&drawn, &format!(r#"<svg width="{width}" height="{height}""#), 1);
    kme::internal::io::write_atomically(path, |file| std::io::Write::write_all(file, text.as_bytes()))
}

fn draw<'a>(root: &Area<'a>, area: &Area<'a>, panel: &Panel, font: f64) -> std::result::Result<(), Fault> {
    let units = |pixels: f64| (pixels * f64::from(FINE)).round() as u32;
    let style = |size: f64| ("sans-serif", size * f64::from(FINE) * FONT).into_font();
    let (x_ticks, y_ticks) = (panel.x.ticks(), panel.y.ticks());
    let axis = |axis: &Axis, ticks: &[(f64, String)]| {
        let places: Vec<f64> = ticks.iter().map(|t| t.0).collect();
        Scale(axis.place(axis.range.0), axis.place(axis.range.1), places)
    };
    // At least so much that panels below each other begin at one place.
    let widest = y_ticks.iter().map(|t| t.1.chars().count()).max().unwrap_or(0).max(4) as f64;
    let below = if panel.x.name.is_empty() { 1.6 } else { 2.9 };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, style(1.1 * font))
        .margin(units(8.0))
        .margin_right(units(14.0))
        .x_label_area_size(units(below * font))
        .y_label_area_size(units((1.9 + 0.55 * widest) * font))
        .build_cartesian_2d(axis(&panel.x, &x_ticks), axis(&panel.y, &y_ticks))?;
    let label = |ticks: &[(f64, String)], place: f64| {
        ticks.iter().find(|t| (t.0 - place).abs() < 1e-9).map_or(String::new(), |t| t.1.clone())
    };
    chart
        .configure_mesh()
        .x_desc(&panel.x.name)
        .y_desc(&panel.y.name)
        .x_labels(x_ticks.len())
        .y_labels(y_ticks.len())
        .x_label_formatter(&|x| label(&x_ticks, *x))
        .y_label_formatter(&|y| label(&y_ticks, *y))
        .axis_desc_style(style(font))
        .label_style(style(0.92 * font))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08).stroke_width(FINE))
        .axis_style(BLACK.stroke_width(FINE))
        .draw()?;
    for layer in &panel.layers {
        draw_layer(root, &mut chart, panel, layer, font)?;
    }
    if let Some(position) = &panel.legend {
        chart
            .configure_series_labels()
            .position(position.clone())
            .margin(units(6.0))
            .legend_area_size(units(26.0))
            .background_style(WHITE.mix(0.85))
            .label_font(style(0.92 * font))
            .draw()?;
    }
    Ok(())
}

fn draw_layer<'a>(
    root: &Area<'a>,
    chart: &mut Chart<'a>,
    panel: &Panel,
    layer: &Layer,
    font: f64,
) -> std::result::Result<(), Fault> {
    let place = |&(x, y): &(f64, f64)| (panel.x.place(x), panel.y.place(y));
    let is_inside = |&(x, y): &(f64, f64)| panel.x.holds(x) && panel.y.holds(y);
    let colour = COLOURS[layer.colour];
    let size = (layer.size * f64::from(FINE)).round() as u32;
    let line = colour.stroke_width(size);
    match &layer.shape {
        Shape::Line(points) => {
            for piece in points.split(|p| !is_inside(p)).filter(|p| p.len() > 1) {
                chart.draw_series([PathElement::new(piece.iter().map(place).collect::<Vec<_>>(), line)])?;
            }
        }
        Shape::Dots(points) => {
            let dots = points.iter().filter(|p| is_inside(p)).map(|p| Circle::new(place(p), size, colour.filled()));
            chart.draw_series(dots)?;
        }
        Shape::Bars(bars) => {
            let (bottom, top) = panel.y.range;
            for &(x, low, high) in bars.iter().filter(|b| b.2 > bottom && b.1 < top) {
                let ends = [(x, low.max(bottom)), (x, high.min(top))];
                chart.draw_series([PathElement::new(ends.iter().map(place).collect::<Vec<_>>(), line)])?;
            }
        }
        Shape::Histogram(bins) => {
            let (bottom, top) = panel.y.range;
            for &(from, to, height) in bins.iter().filter(|b| b.2 > 0.0) {
                let corners = [place(&(from, bottom)), place(&(to, height.min(top)))];
                chart.draw_series([Rectangle::new(corners, colour.mix(0.45).filled())])?;
            }
        }
        Shape::Arrows(arrows) => {
            for [from, to] in arrows {
                let [a, b] = [from, to].map(|p| chart.backend_coord(&place(p)));
                let (dx, dy) = (f64::from(b.0 - a.0), f64::from(b.1 - a.1));
                let length = dx.hypot(dy);
                if length < 1.0 {
                    continue;
                }
                // The barbs are a third as long as the arrow, but no longer than four pixels.
                let barb = (length / 3.0).min(4.0 * f64::from(FINE)) / length;
                let at = |along: f64, across: f64| {
                    let (x, y) = (dx * along - dy * across, dy * along + dx * across);
                    (b.0 - (barb * x).round() as i32, b.1 - (barb * y).round() as i32)
                };
                root.draw(&PathElement::new([a, b, at(0.9, 0.5), b, at(0.9, -0.5)], line))?;
            }
        }
        Shape::Text(at, text) => {
            let style = ("sans-serif", 0.92 * font * f64::from(FINE) * FONT).into_font().color(&colour);
            chart.draw_series([Text::new(text.clone(), place(at), style)])?;
        }
    }
    if let Some(name) = &layer.name {
        // The legend's sign, drawn by an empty series.
        let is_dots = matches!(layer.shape, Shape::Dots(_));
        let is_area = matches!(layer.shape, Shape::Histogram(_));
        let width = 18 * FINE as i32;
        chart.draw_series(std::iter::empty::<Circle<(f64, f64), u32>>())?.label(name).legend(move |(x, y)| {
            if is_dots {
                let centre = (x + width / 2, y);
                return Circle::new(centre, size, colour.filled()).into_dyn();
            }
            let height = if is_area { 6 * FINE as i32 } else { 0 };
            let filled = Rectangle::new([(x, y - height), (x + width, y + height)], colour.mix(0.45).filled());
            if is_area { filled.into_dyn() } else { PathElement::new([(x, y), (x + width, y)], line).into_dyn() }
        });
    }
    Ok(())
}
