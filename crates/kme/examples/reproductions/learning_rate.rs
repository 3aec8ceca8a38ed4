//! The three-sample learning-rate rule on synthetic training: samples that come nearer to the reference, then do not.

use crate::figure::{self, Axis, BLUE, GREEN, GREY, Layer, ORANGE, Panel, Shape};
use kme::rng;
use kme::{
    Data, Kernel, KidSettings, Marginals, Plateau, PlateauRule, Points, Precision, Result, Verdict,
    three_sample_asymptotic,
};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const N: usize = 500;
const D: usize = 8;
const COUNT: usize = 60;

fn normal(shift: f64, purpose: &str, index: usize) -> Result<Points> {
    let mut rng = rng::stream(5, purpose, index as u64);
    Points::new(N, D, Data::F64((0..N * D).map(|_| shift + rng.sample::<f64, _>(StandardNormal)).collect()))
}

/// One evaluation of a model in training.
struct Evaluation {
    /// Counted from 1.
    number: usize,
    /// KID to the reference and its standard error.
    kid: (f64, f64),
    verdict: Verdict,
    /// The evaluation with which it was compared, or would have been.
    oldest: usize,
    /// After it, as a share of the first one.
    rate: f64,
}

/// Runs the rule; `shift` gives the mean of the next sample from its number, the one before it, and the learning rate.
fn train(shift: impl Fn(usize, f64, f64) -> f64) -> Result<Vec<Evaluation>> {
    let kernel = Kernel::kid(D)?;
    let reference = normal(0.0, "reproductions: reference", 0)?;
    let mut progress = Plateau::<(usize, Marginals)>::new(PlateauRule::default())?;
    let (mut now, mut all) = (1.7, Vec::new());
    for number in 1..=COUNT {
        let rate = 0.5_f64.powi(progress.decays() as i32);
        now = shift(number, now, rate);
        let y = normal(now, "reproductions: sample", number)?;
        let found = KidSettings::default().measure(&reference, &y)?;
        let sums = Marginals::new(&kernel, &reference, &y, Precision::F64)?;
        let oldest = progress.past().first().map_or(number, |z| z.0);
        let verdict =
            progress.judge((number, sums), |y, z| Ok(three_sample_asymptotic(&y.1, &z.1, 0.0)?.outcome.p_value))?;
        let rate = 0.5_f64.powi(progress.decays() as i32);
        let kid = (found.value, found.standard_error.unwrap_or(f64::NAN));
        all.push(Evaluation { number, kid, verdict, oldest, rate });
    }
    Ok(all)
}

/// Improves up to evaluation 20, whatever the learning rate.
fn then_flat() -> Result<Vec<Evaluation>> {
    train(|number, _, _| 0.1 + 0.08 * 20_usize.saturating_sub(number) as f64)
}

/// Moves towards a distance that the learning rate decides.
fn towards_a_plateau() -> Result<Vec<Evaluation>> {
    train(|_, now, rate| 0.75 * now + 0.25 * 0.6 * rate)
}

fn decays(all: &[Evaluation]) -> Vec<usize> {
    all.iter().filter(|e| matches!(e.verdict, Verdict::Decay { .. })).map(|e| e.number).collect()
}

/// The four panels of one training, one below the other.
fn panels(title: &str, all: &[Evaluation]) -> [Panel; 4] {
    let decays = decays(all);
    let x = || Axis::linear("", 0.0, COUNT as f64 + 1.0);
    let at = |e: &Evaluation, y: f64| (e.number as f64, y);
    let marked = |range: (f64, f64), layers: Vec<Layer>| {
        let line = |t: &usize| Shape::Line(vec![(*t as f64, range.0), (*t as f64, range.1)]);
        decays.iter().map(|t| Layer::new(line(t), GREY).sized(0.7)).chain(layers).collect::<Vec<_>>()
    };
    let panel = |title: String, y: Axis, layers| {
        let layers = marked(y.range, layers);
        Panel { title, x: x(), y, layers, legend: None }
    };
    let bars = all.iter().map(|e| (e.number as f64, e.kid.0 - e.kid.1, e.kid.0 + e.kid.1)).collect();
    let distance = vec![
        Layer::new(Shape::Bars(bars), BLUE).sized(1.0),
        Layer::new(Shape::Dots(all.iter().map(|e| at(e, e.kid.0)).collect()), BLUE).sized(2.0),
    ];
    let least_p = 1e-4;
    let tests = |is_wanted: fn(&Verdict) -> bool| {
        let p = |v: Verdict| match v {
            Verdict::Filling { .. } => None,
            Verdict::Better { p_value } | Verdict::NotBetter { p_value, .. } | Verdict::Decay { p_value } => {
                Some(p_value)
            }
        };
        let wanted = all.iter().filter(|e| is_wanted(&e.verdict));
        Shape::Dots(wanted.filter_map(|e| Some(at(e, p(e.verdict)?.max(least_p)))).collect())
    };
    let level = Shape::Line(vec![(0.0, 0.1), (COUNT as f64 + 1.0, 0.1)]);
    let p_values = vec![
        Layer::new(level, GREY).sized(1.0),
        Layer::new(tests(|v| matches!(v, Verdict::Better { .. })), GREEN),
        Layer::new(tests(|v| !matches!(v, Verdict::Better { .. })), ORANGE),
    ];
    let oldest = all.iter().filter(|e| !matches!(e.verdict, Verdict::Filling { .. }));
    let queue = vec![
        Layer::new(Shape::Line(all.iter().map(|e| at(e, e.number as f64)).collect()), GREY).sized(1.0),
        Layer::new(Shape::Dots(oldest.map(|e| at(e, e.oldest as f64)).collect()), BLUE).sized(2.0),
    ];
    let steps = all.iter().flat_map(|e| [(e.number as f64, e.rate), (e.number as f64 + 1.0, e.rate)]).collect();
    let mut last = panel(
        "learning rate, of the first".into(),
        Axis::linear("share", 0.0, 1.1),
        vec![Layer::new(Shape::Line(steps), BLUE)],
    );
    last.x.name = "evaluation".into();
    [
        panel(title.into(), Axis::log("KID", 0.003, 200.0), distance),
        panel("p (at least 10⁻⁴); failures orange".into(), Axis::log("p", 5e-5, 2.0), p_values),
        panel("the evaluation it is compared with".into(), Axis::linear("number", 0.0, COUNT as f64), queue),
        last,
    ]
}

pub(crate) fn run(path: &Path) -> Result<()> {
    let (flat, plateau) = (then_flat()?, towards_a_plateau()?);
    println!("Learning-rate rule, {N} points: decays at {:?} (without noise: 32, 42, 52)", decays(&flat));
    println!("  where the plateau falls with the learning rate: {:?}", decays(&plateau));
    let left = panels("improves up to 20, then flat", &flat);
    let right = panels("plateau falls with the rate", &plateau);
    let all: Vec<Panel> = left.into_iter().zip(right).flat_map(|(a, b)| [a, b]).collect();
    figure::write(path, 2, (400, 200), &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_come_on_plateaus_only() {
        assert_eq!(decays(&then_flat().unwrap()), [32, 42, 52]);
        let found = towards_a_plateau().unwrap();
        // A lower rate lets the model come nearer, which the rule sees.
        let first = decays(&found)[0];
        assert!(found.iter().any(|e| e.number > first && matches!(e.verdict, Verdict::Better { .. })));
        assert!(found[COUNT - 1].kid.0 < found[first - 1].kid.0 / 2.0);
    }
}
