//! Files that hold several arrays: which of them are the sample, or the statistics. The one place where this is decided.

use std::path::{Path, PathBuf};

use super::array::{Checked, Layout, show_shape};
use super::{Points, npz, safetensors};
use crate::{Error, Result};

/// An array of an archive, before it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name in the archive.
    pub name: String,
    /// Its shape, or why it cannot be read.
    pub shape: std::result::Result<Vec<u64>, String>,
}

/// What the arrays of an archive are, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayRole {
    /// One array is the sample.
    Points(usize),
    /// Mean (d,) and covariance (d, d), as tools for the Fréchet distance write them.
    Statistics {
        /// Which array is the mean.
        mean: usize,
        /// Which array is the covariance.
        covariance: usize,
    },
}

/// What a mean and a covariance are called, without regard to case: pytorch-fid, clean-fid and torch-fidelity write mu and
/// sigma, others mean and cov. The first of these pairs that is there counts.
const STATISTICS: [[&str; 2]; 6] =
    [["mu", "sigma"], ["mean", "cov"], ["mean", "covariance"], ["mu", "cov"], ["mu", "covariance"], ["mean", "sigma"]];

/// Arrays that are listed in messages.
const SHOWN: usize = 12;

impl ArrayRole {
    /// Where in `names` a mean and its covariance are, as far as names tell: `mu` and `sigma`, `mean` and `cov`, in any case.
    pub fn statistics(names: &[&str]) -> Option<[usize; 2]> {
        let called = |wanted: &str| names.iter().position(|name| name.to_lowercase() == wanted);
        STATISTICS.iter().find_map(|[mean, covariance]| Some([called(mean)?, called(covariance)?]))
    }

    /// What `arrays` are, of which `member` may name one.
    ///
    /// An array that is named is the sample, and so is the only one of an archive. Of several nothing is guessed: labels
    /// or covariances would be taken for points. Arrays that are called mu and sigma, or mean and cov, in any case, are
    /// statistics, whatever else is there.
    ///
    /// # Errors
    /// The fault in words that follow the archive's name: no array, several, none of this name, or statistics of shapes
    /// that do not fit. It lists the arrays with their shapes.
    pub fn of(arrays: &[Array], member: Option<&str>) -> std::result::Result<Self, String> {
        let list = || {
            let show = |array: &Array| match &array.shape {
                Ok(shape) => format!("{} {}", array.name, show_shape(shape)),
                Err(_) => format!("{} (not readable)", array.name),
            };
            let mut text = arrays.iter().take(SHOWN).map(show).collect::<Vec<_>>().join(", ");
            if arrays.len() > SHOWN {
                text.push_str(&format!(" and {} more", arrays.len() - SHOWN));
            }
            text
        };
        if let Some(member) = member {
            let found = arrays.iter().position(|array| array.name == member);
            return found.map(Self::Points).ok_or_else(|| format!("has no array '{member}'; it holds {}", list()));
        }
        let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        if let Some([mean, covariance]) = Self::statistics(&names) {
            let shape = |i: usize| arrays[i].shape.as_deref().unwrap_or_default();
            let d = match *shape(mean) {
                [d] | [1, d] | [d, 1] => d,
                _ => 0,
            };
            if d == 0 || *shape(covariance) != [d, d] {
                return Err(format!(
                    "holds {} and {}, which are not the shapes (d,) of a mean and (d, d) of its covariance: write \
                     FILE:NAME to read one of {} as points",
                    arrays[mean].name,
                    arrays[covariance].name,
                    list()
                ));
            }
            return Ok(Self::Statistics { mean, covariance });
        }
        match arrays {
            [] => Err("holds no arrays".into()),
            [only] => match only.shape.as_deref() {
                // A mean or a covariance whose other half is missing.
                Ok([_] | [1, _]) if STATISTICS.iter().any(|[mean, _]| only.name.to_lowercase() == *mean) => {
                    Err(half(&only.name, "a covariance (sigma)"))
                }
                Ok([a, b]) if a == b && STATISTICS.iter().any(|[_, other]| only.name.to_lowercase() == *other) => {
                    Err(half(&only.name, "a mean (mu)"))
                }
                _ => Ok(Self::Points(0)),
            },
            _ => Err(format!("holds several arrays: write FILE:NAME to name one of {}", list())),
        }
    }
}

fn half(name: &str, other: &str) -> String {
    format!("holds {name} without {other}: save both for statistics, or write FILE:{name} to read it as points")
}

/// A `.npz` or `.safetensors` file whose arrays are listed and not yet read.
pub(crate) struct Archive {
    path: PathBuf,
    reader: Reader,
    arrays: Vec<Array>,
    layouts: Vec<Checked<Layout>>,
}

enum Reader {
    Npz(npz::Archive),
    Safetensors(safetensors::Container),
}

impl Archive {
    /// Lists the arrays of the file at `path`; `None` where its extension is that of another kind.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let (mut reader, names) = match super::read::extension(path).as_deref() {
            Some("npz") => {
                let archive = npz::Archive::open(path)?;
                let names = archive.names();
                (Reader::Npz(archive), names)
            }
            Some("safetensors") => {
                let container = safetensors::Container::open(path)?;
                let names = container.names();
                (Reader::Safetensors(container), names)
            }
            _ => return Ok(None),
        };
        let layouts: Vec<Checked<Layout>> = (0..names.len())
            .map(|i| match &mut reader {
                Reader::Npz(archive) => archive.layout(i),
                Reader::Safetensors(container) => container.layout(&names[i]),
            })
            .collect();
        let shape = |layout: &Checked<Layout>| layout.as_ref().map(|l| l.shape.clone()).map_err(Clone::clone);
        let arrays = names.into_iter().zip(&layouts).map(|(name, l)| Array { name, shape: shape(l) }).collect();
        Ok(Some(Self { path: path.into(), reader, arrays, layouts }))
    }

    /// What its arrays are; see [`ArrayRole::of`].
    pub(crate) fn role(&self, member: Option<&str>) -> Result<ArrayRole> {
        ArrayRole::of(&self.arrays, member).map_err(|fault| Error::format(&self.path, fault))
    }

    /// The place of the array of this name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.arrays.iter().position(|array| array.name == name)
    }

    /// The name of array `i`.
    pub(crate) fn name(&self, i: usize) -> &str {
        &self.arrays[i].name
    }

    /// Array `i` as points.
    pub(crate) fn read(&mut self, i: usize) -> Result<Points> {
        let name = &self.arrays[i].name;
        let fault = |e: String| Error::format(&self.path, e);
        let layout = self.layouts[i].clone().and_then(|l| l.sample_shape().map(|_| l));
        let layout = layout.map_err(|e| fault(format!("array '{name}' {e}")))?;
        match &mut self.reader {
            Reader::Npz(archive) => archive.read(i).map_err(fault),
            Reader::Safetensors(container) => {
                container.seek(name)?;
                layout.read_sample(container.reader()).map_err(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(list: &[(&str, &[u64])]) -> Vec<Array> {
        list.iter().map(|(name, shape)| Array { name: (*name).into(), shape: Ok(shape.to_vec()) }).collect()
    }

    #[test]
    fn nothing_is_guessed_of_several_arrays() {
        let of = |list: &[(&str, &[u64])], member| ArrayRole::of(&arrays(list), member);
        assert_eq!(of(&[("x", &[9, 3])], None), Ok(ArrayRole::Points(0)));
        for list in [
            &[("arr_0", &[40, 32, 32, 3][..]), ("arr_1", &[40])][..],
            &[("features", &[40, 8]), ("labels", &[40])],
            &[("features", &[40, 8]), ("n", &[])],
            &[("mean", &[8]), ("labels", &[40])],
        ] {
            let fault = of(list, None).unwrap_err();
            assert!(fault.contains("several arrays") && fault.contains("FILE:NAME"), "{fault}");
            assert!(list.iter().all(|(name, _)| fault.contains(&format!("{name} ("))), "{fault}");
            assert_eq!(of(list, Some(list[1].0)), Ok(ArrayRole::Points(1)));
        }
        assert!(of(&[("x", &[3])], Some("y")).unwrap_err().contains("no array 'y'; it holds x (3,)"));
        assert!(of(&[], None).unwrap_err().contains("no arrays"));
    }

    #[test]
    fn statistics_are_told_by_name_and_shape() {
        let of = |list: &[(&str, &[u64])]| ArrayRole::of(&arrays(list), None);
        let found = Ok(ArrayRole::Statistics { mean: 0, covariance: 1 });
        for names in [["mu", "sigma"], ["Mu", "SIGMA"], ["mean", "cov"], ["MEAN", "Covariance"], ["mean", "sigma"]] {
            for shape in [&[8][..], &[1, 8], &[8, 1]] {
                assert_eq!(of(&[(names[0], shape), (names[1], &[8, 8])]), found, "{names:?}");
            }
            assert_eq!(of(&[(names[0], &[8]), (names[1], &[8, 8]), ("arr_0", &[9, 8, 8, 3])]), found);
            // Means and deviations of latents, or statistics that do not fit each other.
            for shapes in [[&[40, 8][..], &[40, 8]], [&[8], &[7, 7]], [&[8], &[8]], [&[], &[1, 1]]] {
                let fault = of(&[(names[0], shapes[0]), (names[1], shapes[1])]).unwrap_err();
                assert!(fault.contains("not the shapes") && fault.contains("FILE:NAME"), "{fault}");
            }
        }
        assert_eq!(of(&[("mean", &[8]), ("cov", &[8, 8]), ("mu", &[8]), ("sigma", &[8, 8])]), {
            Ok(ArrayRole::Statistics { mean: 2, covariance: 3 })
        });
        assert!(of(&[("mu", &[8])]).unwrap_err().contains("mu without a covariance"));
        assert!(of(&[("Cov", &[8, 8])]).unwrap_err().contains("Cov without a mean"));
        assert_eq!(of(&[("mean", &[40, 8])]), Ok(ArrayRole::Points(0)));
    }
}
