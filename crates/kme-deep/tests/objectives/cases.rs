//! The table of objectives.

use crate::naive::{Definition, KERNELS, waves};
use kme_deep::loss::{Cramer, Divergence, Estimator, Logistic, MeanCovariance, Mmd, Regulariser, Scale, Wasserstein};
use kme_net::layer::random_features;
use kme_net::{Init, Net, Place};
use std::rc::Rc;
use std::sync::Arc;

/// The kind of critic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Convolutions on pictures of 2×7×7 with leaky ReLU, as they are trained.
    Leaky,
    /// The same with tanh: all its derivatives differ from zero, and finite differences of second order exist.
    Smooth,
    /// Dense layers on points of 3 numbers.
    Points,
}

/// One objective with one kind of critic.
pub(crate) struct Case {
    pub name: String,
    pub divergence: Arc<dyn Divergence>,
    pub definition: Definition,
    pub regulariser: Regulariser,
    pub body: Body,
    /// Spectral parametrisation, and whether its scale is learned.
    pub spectral: Option<bool>,
    pub top: usize,
    pub labels: bool,
    /// As many generated as real samples, where it is not one more.
    pub equal: bool,
}

fn case(name: impl Into<String>, divergence: impl Divergence + 'static, definition: Definition, body: Body) -> Case {
    let divergence = Arc::new(divergence);
    let top = if divergence.needs_one_feature() { 1 } else { 4 };
    let equal = divergence.needs_second();
    let regulariser = Regulariser::default();
    Case { name: name.into(), divergence, definition, regulariser, body, spectral: None, top, labels: false, equal }
}

pub(crate) fn mmd(kernel: &str, estimator: Estimator, body: Body) -> Case {
    let formula = KERNELS.iter().find(|(text, _)| *text == kernel).expect("a kernel of the table").1;
    let divergence = Mmd::new(kernel.parse().unwrap(), estimator);
    case(format!("{kernel}, {estimator:?}, {body:?}"), divergence, Definition::Mmd(Rc::new(formula), estimator), body)
}

/// Random features for gaussian:sigma=1.5, `count` of them.
fn random(waves_kind: &str, count: usize, estimator: Estimator, body: Body) -> Case {
    let kind = serde_json::from_value(waves_kind.into()).unwrap();
    let layer = random_features(&"gaussian:sigma=1.5".parse().unwrap(), 4, count, kind).unwrap();
    let lift = Net::new(vec![layer], [4, 1, 1], Init::He, 9, &Place::cpu_f64()).unwrap();
    let definition = Definition::Mmd(waves(&lift), estimator);
    let divergence = Mmd::lifted(lift, estimator);
    case(format!("random features, {waves_kind}, {estimator:?}, {body:?}"), divergence, definition, body)
}

fn mean_covariance(norm: f64, components: usize, body: Body) -> Case {
    let divergence = MeanCovariance { norm, components };
    let definition = Definition::MeanCovariance { norm, components };
    case(format!("mean-covariance, norm {norm}, {components} components, {body:?}"), divergence, definition, body)
}

fn wasserstein(body: Body) -> Case {
    case(format!("wasserstein, {body:?}"), Wasserstein {}, Definition::Wasserstein, body)
}

fn cramer(body: Body) -> Case {
    case(format!("cramer, {body:?}"), Cramer {}, Definition::Cramer, body)
}

fn logistic(body: Body) -> Case {
    case(format!("logistic, {body:?}"), Logistic {}, Definition::Logistic, body)
}

impl Case {
    fn with(mut self, name: &str, change: impl FnOnce(&mut Regulariser)) -> Self {
        self.name += &format!(", {name}");
        change(&mut self.regulariser);
        self
    }

    pub(crate) fn penalised(mut self, weight: f64) -> Self {
        self.equal = true;
        self.with("gradient penalty", |r| r.gradient_penalty = weight)
    }

    fn quiet(mut self) -> Self {
        self.equal = true;
        self.with("activation penalty", |r| r.activation_penalty = 0.7)
    }

    fn asymmetric(self) -> Self {
        self.with("asymmetric", |r| r.asymmetric = 16.0)
    }

    fn li(self) -> Self {
        self.with("order and reconstruction", |r| {
            r.order = 16.0;
            r.reconstruction = 8.0;
        })
    }

    pub(crate) fn scaled(self, weight: f64, offset: f64, values: bool) -> Self {
        self.with(&format!("scale {offset}+{weight}, values {values}"), |r| {
            r.scale = Some(Scale { weight, offset, values });
        })
    }

    fn spectral(mut self, learned: bool) -> Self {
        self.name += if learned { ", spectral learned" } else { ", spectral normalised" };
        self.spectral = Some(learned);
        self
    }

    fn conditional(mut self) -> Self {
        self.name += ", conditional";
        (self.labels, self.equal) = (true, true);
        self
    }
}

/// Kernels that are differentiable on their diagonal, so that there is a Scaled MMD.
pub(crate) const DIFFERENTIABLE: [&str; 9] = [
    "linear",
    "poly:degree=2,gamma=1,coef=0",
    "poly:degree=3,gamma=0.25,coef=1",
    "gaussian:sigma=1",
    "gaussian:sigma=1,2,4,8,16",
    "rq:alpha=0.2,0.5,1,2,5",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "imq:c=1.5",
    "energy:a=0.5",
];

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    use Body::{Leaky, Points, Smooth};
    use Estimator::{Biased, Root, Unbiased};
    let mut cases = Vec::new();
    for (kernel, _) in KERNELS {
        cases.push(mmd(kernel, Unbiased, Points));
        cases.push(mmd(kernel, Biased, Leaky));
        cases.push(mmd(kernel, Root, Points));
        cases.push(mmd(kernel, Unbiased, Leaky).penalised(1.0).quiet());
    }
    for kind in ["phase", "paired"] {
        cases.push(random(kind, 10, Unbiased, Points));
        cases.push(random(kind, 10, Biased, Leaky).asymmetric());
        cases.push(random(kind, 10, Unbiased, Leaky).penalised(1.0));
        cases.push(random(kind, 6, Unbiased, Smooth).scaled(10.0, 1.0, false));
        cases.push(random(kind, 6, Unbiased, Points).scaled(1.0, 0.7, true));
    }
    for body in [Leaky, Points] {
        cases.push(wasserstein(body));
        cases.push(wasserstein(body).penalised(10.0));
        cases.push(cramer(body));
        cases.push(cramer(body).penalised(10.0).quiet());
        for (norm, components) in [(1.0, 0), (2.0, 0), (3.0, 0), (1.0, 2), (2.0, 4), (3.0, 1), (2.0, 99)] {
            cases.push(mean_covariance(norm, components, body));
        }
        cases.push(mean_covariance(2.0, 2, body).spectral(true));
        cases.push(logistic(body));
        cases.push(logistic(body).spectral(false));
        cases.push(logistic(body).penalised(10.0));
        cases.push(mmd("linear", Unbiased, body).asymmetric());
        cases.push(mmd("gaussian:gamma=1", Unbiased, body).asymmetric());
        cases.push(mmd("gaussian:sigma=1,2,4,8,16", Root, body).li());
    }
    for kernel in DIFFERENTIABLE {
        cases.push(mmd(kernel, Unbiased, Smooth).scaled(10.0, 1.0, false));
        cases.push(mmd(kernel, Root, Points).scaled(1.0, 0.5, true));
    }
    cases.push(mmd("gaussian:sigma=1", Unbiased, Leaky).scaled(10.0, 1.0, false));
    for learned in [false, true] {
        cases.push(mmd("gaussian:sigma=1", Unbiased, Smooth).scaled(10.0, 1.0, false).spectral(learned));
        cases.push(mmd("rq:alpha=0.2,0.5,1,2,5+linear", Biased, Smooth).scaled(1.0, 1.0, true).spectral(learned));
        cases.push(wasserstein(Smooth).scaled(10.0, 1.0, true).spectral(learned));
        cases.push(mmd("distance", Unbiased, Leaky).penalised(1.0).spectral(learned));
    }
    cases.push(wasserstein(Smooth).scaled(10.0, 1.0, true));
    cases.push(wasserstein(Points).scaled(10.0, 1.0, true));
    cases.push(wasserstein(Points).scaled(2.0, 0.3, false));
    cases.push(mmd("gaussian:sigma=2", Unbiased, Smooth).scaled(10.0, 1.0, false).quiet().asymmetric());
    for case in [
        mmd("rq:alpha=0.2,0.5,1,2,5+linear", Unbiased, Leaky).penalised(1.0).quiet(),
        mmd("gaussian:gamma=1", Unbiased, Leaky).asymmetric(),
        mmd("gaussian:sigma=1", Unbiased, Smooth).scaled(10.0, 1.0, false),
        mmd("poly:degree=3,gamma=0.25,coef=1", Unbiased, Smooth).scaled(10.0, 1.0, true).spectral(true),
        wasserstein(Leaky).penalised(10.0),
        cramer(Leaky).penalised(10.0),
        logistic(Leaky).spectral(false),
        mmd("gaussian:sigma=1,2,4,8,16", Root, Leaky).li(),
    ] {
        cases.push(case.conditional());
    }
    cases
}
