//! Where networks are found by name: in the program itself, in the models folder, or in a file.

use kme::{Error, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A network that is part of the program.
pub struct Shipped {
    pub name: &'static str,
    /// What it is, in one line.
    pub line: &'static str,
    /// The card: how it was made and how good it is.
    pub card: &'static str,
    pub bytes: &'static [u8],
}

/// The networks that are part of the program.
pub const SHIPPED: &[Shipped] = &[Shipped {
    name: "fashion-classifier",
    line: "classifier of Fashion-MNIST pictures; its 64 features judge and steer",
    card: include_str!("../../../assets/fashion-classifier.md"),
    bytes: include_bytes!("../../../assets/fashion-classifier.safetensors"),
}];

/// Where networks are looked for besides the program itself.
#[derive(Clone, Debug, Default)]
pub struct Models {
    folder: Option<PathBuf>,
}

impl Models {
    /// Looks in `folder` for `NAME.safetensors`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The bytes of the network that `name` names, and its path for messages: a file, a run folder (its `model.safetensors`),
    /// a network of the program, or one in the models folder, in this order.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn bytes(&self, name: &str) -> Result<(Cow<'static, [u8]>, PathBuf)> {
        let path = Path::new(name);
        if let Some(shipped) = SHIPPED.iter().find(|s| s.name == name) {
            return Ok((Cow::Borrowed(shipped.bytes), path.with_extension("safetensors")));
        }
        let mut candidates = vec![path.to_path_buf()];
        if path.is_dir() {
            candidates = vec![path.join("model.safetensors")];
        } else if let Some(folder) = &self.folder {
            candidates.push(folder.join(format!("{name}.safetensors")));
        }
        match candidates.iter().find(|c| c.is_file()) {
            Some(file) => Ok((std::fs::read(file).map_err(|e| Error::file(file, e))?.into(), file.clone())),
            None if path.is_dir() => Err(Error::file(
                path,
                "is a folder without model.safetensors; give a run folder of `kme train` that has saved a model",
            )),
            None => {
                let names: Vec<_> = SHIPPED.iter().map(|s| s.name).collect();
                Err(Error::value("model", name, format!("{}, a run folder, or a .safetensors file", names.join(", "))))
            }
        }
    }
}
