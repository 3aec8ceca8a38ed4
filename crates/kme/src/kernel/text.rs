//! The text of a kernel: what was typed is a [`KernelSpec`], what it means for given points is a [`Kernel`].
//!
//! ```text
//! kernel = term { "+" term }
//! term   = [ weight "*" ] name [ ":" key "=" value { "," value } { "," key "=" value } ]
//! value  = number | number "/d" | [ number "*" ] "median"
//! ```
//!
//! A list of values for the first key in the table of [`KernelSpec`], wherever it stands in the text, stands for one
//! term each, all with the term's weight.

use super::{Form, Kernel};
use crate::points::check_dim;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A kernel as it was typed: parameters may refer to the points' dimension (`1/d`) and to their median distance.
///
/// | text | formula, r = ‖x−y‖ |
/// |---|---|
/// | `linear` | ⟨x,y⟩ |
/// | `poly:degree=3,gamma=1/d,coef=1` (these are the defaults) | (γ⟨x,y⟩ + coef)^degree |
/// | `gaussian:sigma=2`, or `gaussian:gamma=0.125` | exp(−r²/(2σ²)), exp(−γr²) |
/// | `rq:alpha=0.5` | (1 + r²/(2α))^(−α) |
/// | `laplacian:scale=1` | exp(−r/scale) |
/// | `imq:c=10` | (c² + r²)^(−1/2) |
/// | `energy`, `energy:a=1e-6` | −r, −(√(a² + r²) − a) |
/// | `distance` | ‖x‖ + ‖y‖ − r |
///
/// `gaussian:sigma=2,5,10` is the sum of three kernels, `rq:alpha=0.2,1+0.1*linear` a weighted sum. A length may be
/// `median` or a multiple of it, as in `gaussian:sigma=0.5*median,median,2*median`.
///
/// Printing and parsing are inverse to each other.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelSpec {
    terms: Vec<Term>,
}

/// One term as typed: `values` belong to the parameters of `shape`, in their order.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    weight: f64,
    shape: usize,
    values: Vec<Value>,
}

/// A parameter's value as typed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Number(f64),
    /// A number divided by the dimension of the points.
    PerDimension(f64),
    /// A multiple of the median distance between points.
    Median(f64),
}

/// What a parameter measures, hence what its value may refer to.
#[derive(Clone, Copy, PartialEq)]
enum Quantity {
    Number,
    /// Multiplies a squared norm or an inner product: may be divided by the dimension.
    InverseSquare,
    /// A distance of points: may be a multiple of the median.
    Length,
}

struct Parameter {
    key: &'static str,
    quantity: Quantity,
    default: Option<Value>,
}

struct Shape {
    name: &'static str,
    /// The first may be a list.
    parameters: &'static [Parameter],
    example: &'static str,
    form: fn(&[f64]) -> Result<Form>,
}

const fn required(key: &'static str, quantity: Quantity) -> Parameter {
    Parameter { key, quantity, default: None }
}

const fn optional(key: &'static str, quantity: Quantity, default: Value) -> Parameter {
    Parameter { key, quantity, default: Some(default) }
}

/// Every kernel's name and parameters.
const SHAPES: [Shape; 9] = [
    Shape { name: "linear", parameters: &[], example: "linear", form: |_| Ok(Form::Linear) },
    Shape {
        name: "poly",
        parameters: &[
            optional("degree", Quantity::Number, Value::Number(3.0)),
            optional("gamma", Quantity::InverseSquare, Value::PerDimension(1.0)),
            optional("coef", Quantity::Number, Value::Number(1.0)),
        ],
        example: "poly:degree=3,gamma=1/d,coef=1",
        form: |v| Ok(Form::Polynomial { degree: degree(v[0])?, gamma: v[1], coef: v[2] }),
    },
    Shape {
        name: "gaussian",
        parameters: &[required("sigma", Quantity::Length)],
        example: "gaussian:sigma=2",
        form: |v| Ok(Form::Gaussian { sigma: v[0] }),
    },
    Shape {
        name: "gaussian",
        parameters: &[required("gamma", Quantity::InverseSquare)],
        example: "gaussian:gamma=0.125",
        form: |v| {
            let form = Form::Gaussian { sigma: (0.5 / v[0]).sqrt() };
            let allowed = "a number from 5e-307 to 5e305; rescale the points if that is too narrow";
            form.check().map(|()| form).map_err(|_| Error::value("gamma of kernel gaussian", Number(v[0]), allowed))
        },
    },
    Shape {
        name: "rq",
        parameters: &[required("alpha", Quantity::Number)],
        example: "rq:alpha=0.2,0.5,1,2,5",
        form: |v| Ok(Form::RationalQuadratic { alpha: v[0] }),
    },
    Shape {
        name: "laplacian",
        parameters: &[required("scale", Quantity::Length)],
        example: "laplacian:scale=1",
        form: |v| Ok(Form::Laplacian { scale: v[0] }),
    },
    Shape {
        name: "imq",
        parameters: &[required("c", Quantity::Length)],
        example: "imq:c=10",
        form: |v| Ok(Form::InverseMultiquadric { c: v[0] }),
    },
    Shape {
        name: "energy",
        parameters: &[optional("a", Quantity::Length, Value::Number(0.0))],
        example: "energy:a=1e-6",
        form: |v| Ok(Form::Energy { a: v[0] }),
    },
    Shape { name: "distance", parameters: &[], example: "distance", form: |_| Ok(Form::Distance) },
];

fn degree(value: f64) -> Result<u32> {
    match value == value.trunc() && (1.0..=f64::from(super::form::MAX_DEGREE)).contains(&value) {
        true => Ok(value as u32),
        false => Err(super::form::no_degree(value)),
    }
}

/// The shape and the parameter values that print as `form`.
fn shape_of(form: &Form) -> (usize, Vec<Value>) {
    let (name, values) = match *form {
        Form::Linear => ("linear", vec![]),
        Form::Polynomial { degree, gamma, coef } => ("poly", vec![f64::from(degree), gamma, coef]),
        Form::Gaussian { sigma } => ("gaussian", vec![sigma]),
        Form::RationalQuadratic { alpha } => ("rq", vec![alpha]),
        Form::Laplacian { scale } => ("laplacian", vec![scale]),
        Form::InverseMultiquadric { c } => ("imq", vec![c]),
        Form::Energy { a } => ("energy", vec![a]),
        Form::Distance => ("distance", vec![]),
    };
    let shape = SHAPES.iter().position(|s| s.name == name).expect("every form has a shape");
    (shape, values.into_iter().map(Value::Number).collect())
}

impl KernelSpec {
    /// Whether resolving asks for the median distance.
    pub fn needs_median(&self) -> bool {
        self.terms.iter().flat_map(|t| &t.values).any(|v| matches!(v, Value::Median(_)))
    }

    /// The kernel for points of dimension `d`; `median` is called once, and only if the text refers to it.
    ///
    /// # Errors
    /// When a parameter is outside its range, or `median` fails.
    pub fn resolve(&self, d: usize, median: impl FnOnce() -> Result<f64>) -> Result<Kernel> {
        check_dim(d)?;
        let median = if self.needs_median() { median()? } else { f64::NAN };
        self.with(|value| match value {
            Value::Number(x) => Ok(x),
            Value::PerDimension(x) => Ok(x / d as f64),
            Value::Median(x) => Ok(x * median),
        })
    }

    /// The kernel with the given meaning of its parameters.
    fn with(&self, number: impl Fn(Value) -> Result<f64>) -> Result<Kernel> {
        let term = |t: &Term| -> Result<(f64, Form)> {
            let values: Vec<f64> = t.values.iter().map(|v| number(*v)).collect::<Result<_>>()?;
            Ok((t.weight, (SHAPES[t.shape].form)(&values)?))
        };
        Kernel::new(self.terms.iter().map(term).collect::<Result<_>>()?)
    }
}

impl From<&Kernel> for KernelSpec {
    fn from(kernel: &Kernel) -> Self {
        let term = |(weight, form): &(f64, Form)| {
            let (shape, values) = shape_of(form);
            Term { weight: *weight, shape, values }
        };
        Self { terms: kernel.terms().iter().map(term).collect() }
    }
}

impl FromStr for Kernel {
    type Err = Error;

    /// A kernel whose text has numbers only; see [`KernelSpec`] for the others.
    fn from_str(text: &str) -> Result<Self> {
        let spec = KernelSpec::from_str(text)?;
        let unknown = |what: &str| {
            Err(Error::syntax("kernel", &spec, format!("the {what} is not known here; write a number in its place")))
        };
        spec.with(|value| match value {
            Value::Number(x) => Ok(x),
            Value::PerDimension(_) => unknown("dimension d"),
            Value::Median(_) => unknown("median"),
        })
    }
}

impl FromStr for KernelSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut terms = Vec::new();
        for term in split_sum(&text.to_ascii_lowercase()) {
            parse_term(term.trim(), &mut terms)?;
        }
        let spec = Self { terms };
        // Numbers are checked here and now; of what refers to the points only the sign is known.
        spec.with(|value| match value {
            Value::Number(x) => Ok(x),
            Value::PerDimension(x) | Value::Median(x) => Ok(if x > 0.0 { 1.0 } else { x }),
        })?;
        Ok(spec)
    }
}

/// Splits at each `+` that is not the sign of an exponent, as in `1e+3`.
fn split_sum(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let is_exponent = |i: usize| {
        i >= 2
            && matches!(bytes[i - 1], b'e' | b'E')
            && (bytes[i - 2].is_ascii_digit() || bytes[i - 2] == b'.')
            && bytes.get(i + 1).is_some_and(u8::is_ascii_digit)
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte == b'+' && !is_exponent(i) {
            parts.push(&text[start..i]);
            start = i + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_term(text: &str, terms: &mut Vec<Term>) -> Result<()> {
    // `*` also multiplies the median, but there the part before it is no plain number.
    let (weight, body) = match text.split_once('*').map(|(w, b)| (w.trim().parse::<f64>(), b)) {
        Some((Ok(weight), body)) => (weight, body.trim()),
        _ => (1.0, text),
    };
    if !(weight.is_finite() && weight > 0.0) {
        return Err(Error::value(format!("weight of kernel {body}"), weight, "a finite number greater than 0"));
    }
    let (name, parameters) = match body.split_once(':') {
        Some((name, parameters)) => (name.trim(), Some(parameters)),
        None => (body, None),
    };
    let shapes: Vec<usize> = (0..SHAPES.len()).filter(|&i| SHAPES[i].name == name).collect();
    if name.is_empty() {
        return Err(Error::syntax(
            "kernel",
            text,
            "a name is missing; write for example gaussian:sigma=2 + 0.1*linear",
        ));
    }
    if shapes.is_empty() {
        let mut names: Vec<&str> = SHAPES.iter().map(|s| s.name).collect();
        names.dedup();
        return Err(Error::unknown("kernel", name, names));
    }
    let given = parse_parameters(body, parameters)?;
    let knows = |&i: &usize| given.iter().all(|(key, _)| SHAPES[i].parameters.iter().any(|p| p.key == *key));
    let complete =
        |&i: &usize| SHAPES[i].parameters.iter().all(|p| p.default.is_some() || given.iter().any(|(k, _)| k == &p.key));
    let form = || {
        let examples: Vec<&str> = shapes.iter().map(|&i| SHAPES[i].example).collect();
        match SHAPES[shapes[0]].parameters {
            [] => format!("{name} takes no parameters"),
            _ => format!("write for example {}", examples.join(", or ")),
        }
    };
    let Some(shape) = shapes.iter().copied().find(|i| knows(i) && complete(i)) else {
        return Err(Error::syntax("kernel", body, form()));
    };
    let lists: Vec<Vec<Value>> = SHAPES[shape]
        .parameters
        .iter()
        .map(|p| match given.iter().find(|(key, _)| key == &p.key) {
            Some((_, values)) => values.iter().map(|v| parse_value(name, p, v)).collect(),
            None => Ok(p.default.into_iter().collect()),
        })
        .collect::<Result<_>>()?;
    if let Some(i) = (1..lists.len()).find(|&i| lists[i].len() != 1) {
        let [first, other] = [0, i].map(|i| SHAPES[shape].parameters[i].key);
        return Err(Error::syntax("kernel", body, format!("{other} takes one value; only {first} takes a list")));
    }
    match lists.split_first() {
        None => terms.push(Term { weight, shape, values: vec![] }),
        Some((first, others)) => terms.extend(first.iter().map(|&value| Term {
            weight,
            shape,
            values: std::iter::once(value).chain(others.iter().map(|list| list[0])).collect(),
        })),
    }
    Ok(())
}

/// `key=value,value,key=value` as keys with their values, each key once.
fn parse_parameters<'a>(body: &str, text: Option<&'a str>) -> Result<Vec<(&'a str, Vec<&'a str>)>> {
    let mut given: Vec<(&str, Vec<&str>)> = Vec::new();
    for piece in text.into_iter().flat_map(|t| t.split(',')) {
        match (piece.split_once('='), given.last_mut()) {
            (Some((key, value)), _) => {
                let key = key.trim();
                if given.iter().any(|(k, _)| *k == key) {
                    return Err(Error::syntax("kernel", body, format!("{key} is given twice")));
                }
                given.push((key, vec![value.trim()]));
            }
            (None, Some((_, values))) => values.push(piece.trim()),
            (None, None) => {
                return Err(Error::syntax("kernel", body, "write key=value after the colon"));
            }
        }
    }
    Ok(given)
}

fn parse_value(name: &str, parameter: &Parameter, text: &str) -> Result<Value> {
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|x| x.is_finite());
    let before = |operator, name| text.strip_suffix(name)?.trim_end().strip_suffix(operator);
    let allowed = match parameter.quantity {
        Quantity::Number => "a number",
        Quantity::InverseSquare => "a number, or a number divided by the dimension, as in 1/d",
        Quantity::Length => "a number, or median, or a multiple of it, as in 0.5*median",
    };
    let parsed = match parameter.quantity {
        Quantity::InverseSquare => before("/", "d").map(|x| number(x).map(Value::PerDimension)),
        Quantity::Length if text == "median" => Some(Some(Value::Median(1.0))),
        Quantity::Length => before("*", "median").map(|x| number(x).map(Value::Median)),
        Quantity::Number => None,
    }
    .unwrap_or_else(|| number(text).map(Value::Number));
    parsed.ok_or_else(|| Error::value(format!("{} of kernel {name}", parameter.key), text, allowed))
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        KernelSpec::from(self).fmt(f)
    }
}

impl fmt::Display for KernelSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // Neighbours that differ in their first parameter only print as one list.
        let mergeable = |a: &Term, b: &Term| {
            a.weight == b.weight && a.shape == b.shape && !a.values.is_empty() && a.values[1..] == b.values[1..]
        };
        for (i, run) in self.terms.chunk_by(mergeable).enumerate() {
            if i > 0 {
                f.write_str("+")?;
            }
            let (term, shape) = (&run[0], &SHAPES[run[0].shape]);
            if term.weight != 1.0 {
                write!(f, "{}*", Number(term.weight))?;
            }
            f.write_str(shape.name)?;
            let is_default = run.len() == 1
                && shape.parameters.iter().zip(&term.values).all(|(p, v)| p.default == Some(*v))
                && shape.parameters.len() == 1;
            if is_default {
                continue;
            }
            for (k, parameter) in shape.parameters.iter().enumerate() {
                write!(f, "{}{}=", if k == 0 { ':' } else { ',' }, parameter.key)?;
                let shown = if k == 0 { run } else { &run[..1] };
                for (j, term) in shown.iter().enumerate() {
                    write!(f, "{}{}", if j == 0 { "" } else { "," }, term.values[k])?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::Number(x) => Number(x).fmt(f),
            Self::PerDimension(x) => write!(f, "{}/d", Number(x)),
            Self::Median(1.0) => f.write_str("median"),
            Self::Median(x) => write!(f, "{}*median", Number(x)),
        }
    }
}

/// The shortest text that parses to the same number.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let size = self.0.abs();
        if size != 0.0 && !(1e-4..1e15).contains(&size) { write!(f, "{:e}", self.0) } else { write!(f, "{}", self.0) }
    }
}

macro_rules! text {
    ($t:ty) => {
        impl From<$t> for String {
            fn from(value: $t) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $t {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }
    };
}

text!(Kernel);
text!(KernelSpec);
