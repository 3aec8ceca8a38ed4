//! Points as a picture.

use super::Images;
use kme::{Error, Points, Result};

/// Side of the picture in pixels.
const SIDE: usize = 480;

/// Points in their first two coordinates, generated ones in orange over real ones in grey, on white; the frame holds all real
/// points with a margin (or all generated ones where there are no real ones). One dimension is drawn on a horizontal line.
///
/// # Errors
/// [`Error::NotFinite`] when a point is not finite.
pub fn scatter(generated: &Points, real: Option<&Points>) -> Result<Images> {
    let place = |points: &Points| -> Vec<(f64, f64)> {
        let d = points.dim();
        (0..points.len())
            .map(|i| (points.data().get(i * d), if d > 1 { points.data().get(i * d + 1) } else { 0.0 }))
            .collect()
    };
    let generated = place(generated);
    let real = real.map(place);
    let shown = real.as_ref().unwrap_or(&generated);
    let mut numbers = shown.iter().chain(&generated).flat_map(|&(x, y)| [x, y]);
    if let Some(odd) = numbers.find(|x| !x.is_finite()) {
        return Err(Error::not_finite("coordinate of a point", odd, "draw finite points"));
    }
    let range = |of: fn(&(f64, f64)) -> f64| {
        shown.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let ((left, right), (bottom, top)) = (range(|p| p.0), range(|p| p.1));
    // One unit for both axes, so that circles are round.
    let reach = 0.55 * (right - left).max(top - bottom).max(1e-9);
    let (cx, cy) = (0.5 * (left + right), 0.5 * (bottom + top));
    let mut pixels = vec![1.0_f32; 3 * SIDE * SIDE];
    let mut draw = |points: &[(f64, f64)], colour: [f32; 3]| {
        for (x, y) in points {
            let at = |v: f64| (v * 0.5 + 0.5) * SIDE as f64;
            let (px, py) = (at((x - cx) / reach), at((cy - y) / reach));
            // A disc of radius 1.5 with smooth edges.
            for row in (py - 2.0).floor().max(0.0) as usize..((py + 3.0).max(0.0) as usize).min(SIDE) {
                for column in (px - 2.0).floor().max(0.0) as usize..((px + 3.0).max(0.0) as usize).min(SIDE) {
                    let distance = (column as f64 + 0.5 - px).hypot(row as f64 + 0.5 - py);
                    let cover = (2.0 - distance).clamp(0.0, 1.0) as f32 * 0.6;
                    for (channel, value) in colour.iter().enumerate() {
                        let pixel = &mut pixels[(channel * SIDE + row) * SIDE + column];
                        *pixel += (value - *pixel) * cover;
                    }
                }
            }
        }
    };
    draw(real.as_deref().unwrap_or_default(), [0.62, 0.65, 0.70]);
    draw(&generated, [0.90, 0.45, 0.05]);
    Images::new(1, 3, SIDE, SIDE, pixels)
}
