//! Remarks on matches that cannot succeed.

use super::{Distance, Domain, Sight, Span, bandwidth};
use crate::sample::Input;
use kme::{Kernel, Points, Result};
use kme_image::Images;
use serde::Serialize;

/// Inputs that lie farther from the generator's pictures than these from each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Far {
    /// How many inputs there are.
    pub inputs: usize,
    /// How many pictures are far.
    pub counts: FarCounts,
    /// The inputs of which enough pictures are far to be worth a word.
    pub each: Vec<FarInput>,
}

/// How many pictures of all inputs are far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FarCounts {
    /// In features.
    pub features: usize,
    /// In pixels, where some input has them.
    pub pixels: Option<usize>,
}

/// An input whose pictures are far, in features or in pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FarInput {
    /// As it was named, without its weight.
    #[serde(rename = "input")]
    pub name: String,
    /// How many pictures it has.
    pub pictures: usize,
    /// By the distance in features.
    pub features: Option<Excess>,
    /// By the distance in pixels.
    pub pixels: Option<Excess>,
}

/// The pictures of an input that are far by one measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Excess {
    /// How many.
    #[serde(rename = "far")]
    pub count: usize,
    /// Of how many that were looked at.
    pub of: usize,
    /// The least of their distances, over the usual one.
    pub times: f64,
}

/// Inputs that are named, at most.
const SHOWN: usize = 5;

/// From this many times the usual distance on, it is the usual distance that is odd: the generator's pictures are all alike.
const ALIKE: f64 = 1000.0;

impl Far {
    /// Of the inputs, `points` are the features; `pictures` are some of the generator's.
    ///
    /// # Errors
    /// When the inputs have another form than the generator's pictures.
    pub(super) fn of(inputs: &[Input], points: &Points, domain: &Domain, pictures: &Images) -> Result<Self> {
        let in_features = domain.distances(points)?;
        // Embeddings have no pixels.
        let span = if inputs.iter().any(|input| input.pictures.is_some()) { Some(Span::new(pictures)?) } else { None };
        let (mut features, mut pixels, mut first) = (0, 0, 0);
        let mut each = Vec::new();
        for input in inputs {
            let own = &in_features[first..first + input.points];
            first += input.points;
            let by_features = Excess::of(own, Domain::is_far);
            let by_pixels = match (&span, &input.pictures) {
                (Some(span), Some(pictures)) => Excess::of(&span.distances(pictures)?, Span::is_far),
                _ => None,
            };
            features += by_features.map_or(0, |far| far.count);
            pixels += by_pixels.map_or(0, |far| far.count);
            let [in_features, in_pixels] = [by_features, by_pixels].map(|far| far.filter(Excess::is_worth_telling));
            if in_features.is_some() || in_pixels.is_some() {
                let (name, pictures) = (input.name.clone(), input.points);
                each.push(FarInput { name, pictures, features: in_features, pixels: in_pixels });
            }
        }
        let counts = FarCounts { features, pixels: span.map(|_| pixels) };
        Ok(Self { inputs: inputs.len(), counts, each })
    }

    /// Which they are, by how much, and what to do about it; nothing where there are none.
    pub(super) fn text(&self, features: &str) -> Option<String> {
        if self.each.is_empty() {
            return None;
        }
        let mut text = match (self.inputs, self.each.len()) {
            (1, _) => "your input is unlike what this generator makes:".to_string(),
            (all, 1) => format!("1 of your {all} inputs is unlike what this generator makes:"),
            (all, n) => format!("{n} of your {all} inputs are unlike what this generator makes:"),
        };
        for one in self.each.iter().take(SHOWN) {
            let measures = [(&one.pixels, "pixels"), (&one.features, "features")];
            let words = measures.iter().filter_map(|(far, measure)| Some(far.as_ref()?.words(measure)));
            text += &format!("\n  {}: {}", one.name, words.collect::<Vec<_>>().join("; "));
        }
        if self.each.len() > SHOWN {
            text += &format!("\n  and {} more", self.each.len() - SHOWN);
        }
        text += "\nThe usual distance is the one within which 95 % of the generator's own pictures lie. It cannot make pictures \
                 that are farther off; the outputs are the nearest that it can make. Use inputs like the pictures that it has \
                 learned from, with the same crop and colours.";
        let most = |of: &dyn Fn(&FarInput) -> Option<Excess>| {
            self.each.iter().filter_map(of).map(|far| far.times).fold(0.0, f64::max)
        };
        let alike: Vec<String> = [
            ("pixels".to_string(), most(&|one| one.pixels)),
            (format!("features of {features}"), most(&|one| one.features)),
        ]
        .into_iter()
        .filter_map(|(measure, times)| (times >= ALIKE).then_some(measure))
        .collect();
        if !alike.is_empty() {
            text += &format!(
                " Its own pictures are almost the same in {}: perhaps it is not trained, or makes one picture only.",
                alike.join(" and in ")
            );
        }
        Some(text)
    }
}

impl Excess {
    fn of(distances: &[Distance], is_far: impl Fn(&Distance) -> bool) -> Option<Self> {
        let far: Vec<f64> = distances.iter().filter(|d| is_far(d)).map(|d| d.times).collect();
        let times = far.iter().copied().min_by(f64::total_cmp)?;
        Some(Self { count: far.len(), of: distances.len(), times })
    }

    /// One of a hundred, since of many ordinary pictures a few are odd.
    fn is_worth_telling(&self) -> bool {
        self.count * 100 >= self.of
    }

    fn words(&self, measure: &str) -> String {
        let times = match self.times {
            x if x >= 100.0 => "more than 100".into(),
            x if x >= 10.0 => format!("{x:.0}"),
            x => format!("{x:.1}"),
        };
        match self.of {
            1 => format!("{times} times the usual distance in {measure}"),
            of => format!("{} of {of} pictures at {times} times the usual distance or more in {measure}", self.count),
        }
    }
}

/// A remark on a kernel whose length does not fit the distances between inputs and the generator's pictures.
///
/// # Errors
/// When dimensions differ.
pub(super) fn of_kernel(kernel: &Kernel, inputs: &Points, domain: &Domain) -> Result<Option<String>> {
    let Some(sight) = Sight::of(kernel, inputs, domain.samples())? else { return Ok(None) };
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
        return Ok(None);
    };
    let length = bandwidth(inputs, domain.samples())?;
    Ok(Some(format!("the kernel {kernel} is {fault}; a length near {length:.3} would fit, or leave out `kernel`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_is_told_with_numbers_that_can_be_judged() {
        let one = |times: f64, of: usize| FarInput {
            name: "a.png".into(),
            pictures: of,
            features: Some(Excess { count: 1, of, times }),
            pixels: None,
        };
        let counts = FarCounts { features: 1, pixels: None };
        let far = |inputs: usize, each: Vec<FarInput>| Far { inputs, counts, each };
        let text = |far: &Far| far.text("inception").unwrap();
        let said = text(&far(1, vec![one(4.66, 1)]));
        assert!(said.starts_with(
            "your input is unlike what this generator makes:\n  a.png: 4.7 times the usual distance in features\n"
        ));
        assert!(!said.contains("not trained"), "{said}");
        let said = text(&far(3, vec![one(17.3, 40)]));
        assert!(said.contains("1 of your 3 inputs is") && said.contains("1 of 40 pictures at 17 times"), "{said}");
        // Where the scale is broken, it is the scale that is told of, not a number without meaning.
        for times in [17434856.0, f64::INFINITY] {
            let said = text(&far(1, vec![one(times, 1)]));
            assert!(
                said.contains("more than 100 times") && said.contains("almost the same in features of inception"),
                "{said}"
            );
            assert!(!said.contains("17434856") && !said.contains("inf "), "{said}");
        }
        let said = text(&far(9, (0..7).map(|_| one(2.0, 1)).collect()));
        assert!(said.contains("and 2 more"), "{said}");
        assert_eq!(far(1, Vec::new()).text("f"), None);
        assert_eq!(serde_json::to_value(&far(1, vec![one(2.0, 1)]).each).unwrap()[0]["features"]["far"], 1);
    }
}
