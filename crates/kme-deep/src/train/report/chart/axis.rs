//! Where an axis has its marks, and how they are labelled: all in one style.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// Marks that an axis has about.
const MARKS: f64 = 5.0;

/// Decimals of a label at most; where one needs more, all are powers of ten.
const DECIMALS: i32 = 4;

/// Values from which labels are powers of ten.
const LARGE: f64 = 1e6;

/// An axis with its marks.
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// In the coordinate that is drawn, and the label.
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis from `low` to `high`, which are logarithms to base 10 where it is logarithmic.
    pub(super) fn of(low: f64, high: f64, logarithmic: bool) -> Self {
        let marks = if logarithmic { decades(low, high) } else { even(low, high) };
        let values: Vec<Decimal> = marks.iter().map(|(_, value)| *value).collect();
        let powers = values.iter().any(|value| value.needs() > DECIMALS || value.size() >= LARGE);
        // Labels of even marks line up; those of decades cannot.
        let decimals = values.iter().map(Decimal::needs).max().unwrap_or(0);
        let label = |value: Decimal| match (powers, logarithmic) {
            _ if value.digits == 0 => "0".into(),
            (true, _) => value.power(),
            (false, true) => value.plain(value.needs()),
            (false, false) => value.plain(decimals),
        };
        let marks = marks.into_iter().map(|(place, value)| (place, label(value))).collect();
        Self { low, high, marks }
    }

    /// Signs of the longest label.
    pub(super) fn longest(&self) -> usize {
        self.marks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (value - self.low) / (self.high - self.low);
        from + (part * f64::from(to - from)).round() as i32
    }

    /// The marks; no lighter ones between.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    /// What stands at a mark.
    fn format_ext(&self, place: &f64) -> String {
        self.marks.iter().find(|(other, _)| other == place).map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// A number of the form digits · 10^exponent, so that labels are exact.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i64,
    exponent: i32,
}

impl Decimal {
    /// Decimals behind the point that it needs.
    fn needs(&self) -> i32 {
        let (mut digits, mut exponent) = (self.digits, self.exponent);
        while digits != 0 && digits % 10 == 0 {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        if digits == 0 { 0 } else { (-exponent).max(0) }
    }

    fn value(&self) -> f64 {
        // Parsed, since powers of ten are rounded.
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(0.0)
    }

    fn size(&self) -> f64 {
        self.value().abs()
    }

    fn plain(&self, decimals: i32) -> String {
        format!("{:.*}", decimals as usize, self.value())
    }

    fn power(&self) -> String {
        format!("{:e}", self.value())
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, 2 to 8 of them.
fn even(low: f64, high: f64) -> Vec<(f64, Decimal)> {
    let wanted = (high - low) / MARKS;
    let mut exponent = wanted.log10().floor() as i32;
    let mut unit = [1, 2, 5].into_iter().find(|&unit| f64::from(unit) * 10_f64.powi(exponent) >= 0.7 * wanted);
    if unit.is_none() {
        exponent += 1;
        unit = Some(1);
    }
    let unit = i64::from(unit.unwrap_or(1));
    let step = Decimal { digits: unit, exponent }.value();
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    // Of numbers that differ in their last bits alone there are no round ones between.
    if !(step > 0.0 && first.abs() < 1e15 && last.abs() < 1e15 && last - first < 100.0) {
        return Vec::new();
    }
    let mark = |i: i64| Decimal { digits: i * unit, exponent };
    (first as i64..=last as i64).map(|i| (mark(i).value(), mark(i))).collect()
}

/// Powers of ten; with 3, or with 2 and 5 times them, where they are few; some of them where they are many.
fn decades(low: f64, high: f64) -> Vec<(f64, Decimal)> {
    let (first, last) = (low.floor() as i32, high.ceil() as i32);
    let every = ((high - low) / (MARKS + 1.0)).ceil().max(1.0) as i32;
    let mut marks = Vec::new();
    for parts in [&[1][..], &[1, 3], &[1, 2, 5]] {
        let all = (first..=last).filter(|exponent| exponent % every == 0).flat_map(|exponent| {
            parts
                .iter()
                .map(move |&digits| (f64::from(exponent) + (digits as f64).log10(), Decimal { digits, exponent }))
        });
        marks = all.filter(|(place, _)| (low..=high).contains(place)).collect();
        if marks.len() >= 3 {
            break;
        }
    }
    marks
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

/// Without zeros behind the point.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_an_axis_have_one_style() {
        let labels = |low, high, logarithmic| -> Vec<String> {
            Axis::of(low, high, logarithmic).marks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(0.0, 60.0, false), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(-0.3, 1.1, false), ["-0.2", "0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(4e-5, 2.1e-4, false), ["5e-5", "1e-4", "1.5e-4", "2e-4"]);
        assert_eq!(labels(0.0, 5e6, false), ["0", "1e6", "2e6", "3e6", "4e6", "5e6"]);
        assert_eq!(labels(-2.1, 1.1, true), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(-0.9, 0.8, true), ["0.3", "1", "3"]);
        assert_eq!(labels(-5.2, -2.9, true), ["1e-5", "1e-4", "1e-3"]);
        assert_eq!(labels(-30.0, 0.0, true), ["1e-30", "1e-25", "1e-20", "1e-15", "1e-10", "1e-5", "1e0"]);
        assert_eq!(labels(1000.0000101, 1000.0000499, false)[0], "1.00000002e3");
        // None, rather than the same for different places.
        assert!(labels(1e300, 1e300 + 1e285, false).is_empty());
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
    }
}
