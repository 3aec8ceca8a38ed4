//! Line figures as SVG: some panels side by side, each with curves that carry error bars and their names.

use super::COLOURS;
use kme::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;
use std::path::Path;

/// A curve: its name and (x, y, half the length of the error bar).
pub(crate) struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64, f64)>,
}

/// Axes with curves. The x axis is logarithmic.
pub(crate) struct Panel {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub range: (f64, f64),
    pub curves: Vec<Curve>,
    /// Horizontal lines with their meaning, such as a level or the truth.
    pub lines: Vec<(f64, &'static str)>,
}

/// Writes the panels side by side.
pub(crate) fn write(path: &Path, panels: &[Panel]) -> Result<()> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (520 * panels.len() as u32, 400)).into_drawing_area();
        let fault = |e: &dyn std::fmt::Display| Error::unsupported("draw the figure", e.to_string());
        root.fill(&WHITE).map_err(|e| fault(&e))?;
        for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(panels) {
            draw(area, panel).map_err(|e| fault(&e))?;
        }
        root.present().map_err(|e| fault(&e))?;
    }
    kme::internal::io::write_atomically(path, |file| std::io::Write::write_all(file, text.as_bytes()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(area: &Area, panel: &Panel) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let xs: Vec<f64> = panel.curves.iter().flat_map(|c| c.points.iter().map(|p| p.0)).collect();
    let (least, most) = xs.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    // Ticks where there are points, since numbers of points are what one looks up.
    let ticks: Vec<f64> = panel.curves.first().map_or(vec![], |c| c.points.iter().map(|p| p.0).collect());
    let x_range = (least / 1.15..most * 1.15).log_scale().with_key_points(ticks);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(x_range, panel.range.0..panel.range.1)?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.y)
        .x_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| number(*y))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .draw()?;
    for (&(y, name), grey) in panel.lines.iter().zip([0.7, 0.35]) {
        let style = BLACK.mix(grey).stroke_width(1);
        chart
            .draw_series(LineSeries::new([(least / 1.15, y), (most * 1.15, y)], style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    for (curve, colour) in panel.curves.iter().zip(COLOURS) {
        let line = curve.points.iter().map(|&(x, y, _)| (x, y));
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line.map(|p| Circle::new(p, 3, colour.filled())))?;
        let bars = curve.points.iter().filter(|p| p.2 > 0.0);
        chart.draw_series(bars.map(|&(x, y, e)| ErrorBar::new_vertical(x, y - e, y, y + e, colour.filled(), 6)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(8)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// Few digits, without trailing zeros.
fn number(y: f64) -> String {
    let text = format!("{y:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}
