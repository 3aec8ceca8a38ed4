//! What is said when a match cannot become what is hoped for.

use crate::arguments::Global;
use crate::likes::Input;
use crate::output;
use kme::{Kernel, Points, Result};
use kme_deep::image::Images;
use kme_deep::steer::{Distance, Domain, Sight, Span, bandwidth};
use serde_json::{Value, json};

/// Tells which inputs lie farther from the generator's pictures than these from each other, by how much, and what it means.
/// Of the inputs, `points` are the features; `pictures` are some of the generator's. How many are far, for the result.
///
/// # Errors
/// When the inputs have another form than the generator's pictures.
pub fn about_inputs(
    inputs: &[Input],
    points: &Points,
    domain: &Domain,
    pictures: &Images,
    global: &Global,
) -> Result<Value> {
    let in_features = domain.distances(points)?;
    // Embeddings have no pixels.
    let span = if inputs.iter().any(|input| input.pictures.is_some()) { Some(Span::new(pictures)?) } else { None };
    let (mut far_features, mut far_pixels, mut first) = (0, 0, 0);
    let mut told = Vec::new();
    for input in inputs {
        let own = &in_features[first..first + input.points];
        first += input.points;
        let by_features = Far::of(own, Domain::is_far, "features");
        let by_pixels = match (&span, &input.pictures) {
            (Some(span), Some(pictures)) => Far::of(&span.distances(pictures)?, Span::is_far, "pixels"),
            _ => None,
        };
        far_features += by_features.as_ref().map_or(0, |far| far.count);
        far_pixels += by_pixels.as_ref().map_or(0, |far| far.count);
        let words: Vec<String> =
            by_pixels.iter().chain(&by_features).filter(|far| far.is_worth_telling()).map(Far::words).collect();
        if !words.is_empty() {
            told.push(format!("{} ({})", input.name, words.join("; ")));
        }
    }
    if !told.is_empty() {
        let law = match span.as_ref().map(Span::counts) {
            Some((combined, measure)) => {
                format!(", in pixels {measure} of them to what {combined} others can be combined to")
            }
            None => String::new(),
        };
        let text = format!(
            "far from what the generator makes: {}. As far means: as 95 % of its own pictures lie from the others at most, in \
             features {} of them to the nearest{law}; none of these is so far. The generator cannot make such a picture; the \
             outputs are the nearest that it can. Show pictures of the kind that it has learned from, cut and coloured alike",
            told.join(", "),
            domain.samples().len(),
        );
        output::remark(global, text);
    }
    Ok(json!({ "features": far_features, "pixels": span.map(|_| far_pixels) }))
}

/// The pictures of an input that are far by one measure.
struct Far {
    count: usize,
    of: usize,
    least: f64,
    measure: &'static str,
}

impl Far {
    fn of(distances: &[Distance], is_far: impl Fn(&Distance) -> bool, measure: &'static str) -> Option<Self> {
        let far: Vec<f64> = distances.iter().filter(|d| is_far(d)).map(|d| d.times).collect();
        let least = far.iter().copied().min_by(f64::total_cmp)?;
        Some(Self { count: far.len(), of: distances.len(), least, measure })
    }

    /// One of a hundred, since of many ordinary pictures a few are odd.
    fn is_worth_telling(&self) -> bool {
        self.count * 100 >= self.of
    }

    fn words(&self) -> String {
        let times = match self.least {
            x if x.is_infinite() => "infinitely many".into(),
            x if x < 10.0 => format!("{x:.1}"),
            x => format!("{x:.0}"),
        };
        match self.of {
            1 => format!("{times} times as far in {}", self.measure),
            of => format!("{} of {of} at least {times} times as far in {}", self.count, self.measure),
        }
    }
}

/// Tells when the kernel's length does not fit the distances between inputs and the generator's pictures.
///
/// # Errors
/// When dimensions differ.
pub fn about_kernel(kernel: &Kernel, inputs: &Points, domain: &Domain, global: &Global) -> Result<()> {
    let Some(sight) = Sight::of(kernel, inputs, domain.samples())? else { return Ok(()) };
    let fault = if sight.is_narrow() {
        format!(
            "too narrow: between an input and a picture of the generator it is at most {:.1e} of its value at distance 0, so \
             that nothing pulls",
            sight.most
        )
    } else if sight.is_wide() {
        format!(
            "too wide: between inputs and pictures of the generator it never falls below {:.5} of its value at distance 0, so \
             that it hardly tells one picture from another",
            sight.least
        )
    } else {
        return Ok(());
    };
    let length = bandwidth(inputs, domain.samples())?;
    let text = format!("the kernel {kernel} is {fault}; a length near {length:.3} would fit, or leave out --kernel");
    output::remark(global, text);
    Ok(())
}
