//! The `.kme` file: a safetensors container. `docs/format.md` describes it for other languages.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Embedding, EmbeddingKind, FeatureIdentity, canonical, dtype};
use crate::discrepancy::Sample;
use crate::io::write_atomically;
use crate::points::safetensors::{Container, write};
use crate::points::{Checked, Data, Dtype, Layout};
use crate::{Error, Kernel, Points, Result};

/// Version of the file format that is written; it is also the only one that is read.
pub(super) const FORMAT: u64 = 1;

/// Where in the container's metadata the header is. One entry alone, since the order of several is not fixed.
const KEY: &str = "kme";
/// The form of an [`Embedding`].
const POINTS: &str = "points";

/// The JSON header. Fields are written in this order, so that equal embeddings have equal bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u64,
    form: String,
    version: String,
    kind: EmbeddingKind,
    kernel: String,
    features: FeatureIdentity,
    n: usize,
    d: usize,
    dtype: String,
    seed: Option<u64>,
}

/// What every version of the format has.
#[derive(Deserialize)]
struct AnyVersion {
    format: u64,
}

/// What both forms of this version have.
#[derive(Deserialize)]
struct AnyForm {
    form: String,
}

impl Embedding {
    /// Writes the embedding, whole or not at all. Equal embeddings give equal bytes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Path`] when the file cannot be written ([`write_atomically`]).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = Header {
            format: FORMAT,
            form: POINTS.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kind: self.kind,
            kernel: self.kernel.to_string(),
            features: self.features.clone(),
            n: self.len(),
            d: self.dim(),
            dtype: dtype(&self.points).into(),
            seed: self.seed,
        };
        let (rows, shape) = ([self.len()], [self.len(), self.dim()]);
        let (weights, masses) = (Data::F64(self.weights.clone()), self.masses.clone().map(Data::F64));
        // Doubles first, so that everything is aligned.
        let mut tensors: Vec<(&str, &[usize], &Data)> = vec![("weights", &rows, &weights)];
        if let Some(masses) = &masses {
            tensors.push(("masses", &rows, masses));
        }
        tensors.push(("points", &shape, self.points.data()));
        write_container(path.as_ref(), &header, &tensors)
    }

    /// Reads an embedding.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is missing or cannot be read; [`Error::Format`] when it is truncated, damaged, not an
    /// embedding, of another version of the format, or holds numbers that are not finite or weights that do not fit their
    /// masses.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (mut file, header, kernel) = open(path, POINTS, check_header)?;
        let Header { n, d, .. } = header;
        let points = file.numbers("points")?;
        let points = Points::new(n, d, points).map_err(|e| damaged(path, e))?;
        let weights = file.numbers("weights")?.into_f64();
        match header.kind {
            EmbeddingKind::Combination => {
                Self::combination(Sample { points: points.view(), weights: Some(&weights) }, kernel)
                    .map(|mu| mu.with_features(header.features).with_seed(header.seed))
            }
            EmbeddingKind::Sample => {
                let masses = match file.has("masses") {
                    true => Some(file.numbers("masses")?.into_f64()),
                    false => None,
                };
                check_weights(&weights, masses.as_deref()).map_err(|problem| Error::format(path, problem))?;
                Self::of(Sample { points: points.view(), weights: masses.as_deref() }, kernel)
                    .map(|mu| mu.with_features(header.features).with_seed(header.seed))
            }
        }
        .map_err(|e| damaged(path, e))
    }

    /// Whether the file at `path` has the header of an embedding, of whichever version.
    pub fn is_file(path: impl AsRef<Path>) -> bool {
        Container::open(path.as_ref()).is_ok_and(|file| file.metadata(KEY).is_some())
    }
}

/// The error of a file whose contents are refused.
pub(super) fn damaged(path: &Path, fault: Error) -> Error {
    Error::unreadable(path, "it is damaged", fault)
}

/// Writes a file of either form.
pub(super) fn write_container(path: &Path, header: &impl Serialize, tensors: &[(&str, &[usize], &Data)]) -> Result<()> {
    write_atomically(path, |out| write(out, KEY, serde_json::to_string(header)?, tensors))
}

/// The form of the embedding in the file at `path`.
pub(super) fn form_of(path: &Path) -> Result<String> {
    let file = Container::open(path)?;
    parse_form(path, &file).map(|(form, _)| form)
}

/// Opens a file of the given form, with its header and kernel after `check` found them to fit the tensors.
pub(super) fn open<H: DeserializeOwned>(
    path: &Path,
    form: &str,
    check: impl FnOnce(&Container, &H) -> Checked<Kernel>,
) -> Result<(Container, H, Kernel)> {
    let file = Container::open(path)?;
    let (found, text) = parse_form(path, &file)?;
    if found != form {
        let problem = format!("is an embedding of form '{}'; here form '{form}' is needed", found.escape_debug());
        return Err(Error::format(path, problem));
    }
    let header = parse(path, text)?;
    let kernel = check(&file, &header).map_err(|problem| Error::format(path, problem))?;
    Ok((file, header, kernel))
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::unreadable(path, "its header is not understood", e))
}

/// The form and the whole header.
fn parse_form<'a>(path: &Path, file: &'a Container) -> Result<(String, &'a str)> {
    let none = "is a safetensors file, but not an embedding: its metadata has no entry 'kme'";
    let text = file.metadata(KEY).ok_or_else(|| Error::format(path, none))?;
    let AnyVersion { format } = parse(path, text)?;
    if format != FORMAT {
        let problem = format!(
            "is of format version {format}; this is kme {}, which reads version {FORMAT}: {}",
            env!("CARGO_PKG_VERSION"),
            if format > FORMAT { "use a newer kme" } else { "embed again" }
        );
        return Err(Error::format(path, problem));
    }
    let AnyForm { form } = parse(path, text)?;
    Ok((form, text))
}

fn check_header(file: &Container, header: &Header) -> Checked<Kernel> {
    let points = match header.dtype.as_str() {
        "f32" => Dtype::F32,
        "f64" => Dtype::F64,
        other => return Err(format!("its header says dtype '{}'; f32 and f64 are read", other.escape_debug())),
    };
    let (rows, shape) = ([header.n as u64], [header.n as u64, header.d as u64]);
    let mut expected: Vec<(&str, Dtype, &[u64])> = vec![("points", points, &shape), ("weights", Dtype::F64, &rows)];
    if header.kind == EmbeddingKind::Sample && file.has("masses") {
        expected.push(("masses", Dtype::F64, &rows));
    }
    expect(file, &expected, &header.kernel)
}

/// The kernel of a header, if the tensors of the file are exactly the `expected`, each given by name, type and shape.
pub(super) fn expect(file: &Container, expected: &[(&str, Dtype, &[u64])], kernel: &str) -> Checked<Kernel> {
    if let Some(name) = file.names().into_iter().find(|name| expected.iter().all(|e| e.0 != name)) {
        return Err(format!(
            "holds a tensor '{}', which an embedding of its form and kind does not have",
            name.escape_debug()
        ));
    }
    for &(name, dtype, shape) in expected {
        let layout = file.layout(name)?;
        if layout.dtype != dtype || layout.shape != shape {
            let expected = Layout { dtype, shape: shape.to_vec(), ..layout.clone() };
            let show = |l: &Layout| format!("{:?} of shape {l}", l.dtype);
            return Err(format!("its '{name}' is {}; by its header it should be {}", show(&layout), show(&expected)));
        }
    }
    kernel.parse().map_err(|e| format!("its kernel is not understood: {e}"))
}

/// Whether the stored weights of a sample are its masses divided by their sum, up to rounding: other programs may sum
/// in another order.
fn check_weights(weights: &[f64], masses: Option<&[f64]>) -> Checked<()> {
    let total = masses.map_or(weights.len() as f64, canonical::sum);
    for (i, &weight) in weights.iter().enumerate() {
        let expected = masses.map_or(1.0, |m| m[i]) / total;
        let fits = (weight - expected).abs() <= 1e-9 * expected.abs();
        if !fits {
            return Err(format!("weight {i} is {weight}, but by its mass it should be {expected}"));
        }
    }
    Ok(())
}
