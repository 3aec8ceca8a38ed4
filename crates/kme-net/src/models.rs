//! Where networks are found by name: in the program itself, in the models folder, or in a file.

use crate::generator::{Generator, NetworkGenerator};
use crate::model::{Autoencoder, Classifier, ModelCard};
use crate::net::file::sha256;
use crate::net::{Layer, ModelFile, Place};
use crate::networks::{self, Network, NetworkCard};
use crate::weights::{self, Weights};
use kme::{Action, Error, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A network that is part of the program.
pub struct Shipped {
    /// Its name, under which it is loaded.
    pub name: &'static str,
    /// What it is, in one line.
    pub line: &'static str,
    /// The card: how it was made and how good it is.
    pub card: &'static str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

/// The networks that are part of the program.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "fashion",
        line: "generator of Fashion-MNIST pictures, 28x28 grey",
        card: include_str!("../assets/fashion.md"),
        sha256: "0c77ba070bf2aa8aa3f35cd22b35e3790c07566b20290d1b95af45809955e6ce",
        bytes: include_bytes!("../assets/fashion.safetensors"),
    },
    Shipped {
        name: "fashion-classifier",
        line: "classifier of Fashion-MNIST pictures; its 64 features judge and steer",
        card: include_str!("../assets/fashion-classifier.md"),
        sha256: "687ef8c886645e0beadb33d674bd6ce80107561cf34573f98fa4e38cd9b17c17",
        bytes: include_bytes!("../assets/fashion-classifier.safetensors"),
    },
];

/// Endings of files of weights.
const ENDINGS: [&str; 4] = ["safetensors", "pth", "pt", "json"];

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

    /// The folder.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The bytes of the network that `name` names, and its path for messages: a network of the program, a file, a run
    /// folder (its `model.safetensors`), or a network in the models folder, in this order.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is none; [`Error::Path`] for a folder without a model; [`Error::Io`] when it cannot be
    /// read; [`Error::Format`] when the models folder holds another file under the name of a network of the program, since it
    /// would not be clear which is meant.
    pub fn bytes(&self, name: &str) -> Result<(Cow<'static, [u8]>, PathBuf)> {
        let path = self.path(name)?;
        let bytes = match SHIPPED.iter().find(|s| s.name == name) {
            Some(shipped) => Cow::Borrowed(shipped.bytes),
            None => std::fs::read(&path).map_err(|e| kme::internal::io::read_error(&path, e))?.into(),
        };
        Ok((bytes, path))
    }

    /// The generator that `name` names, as [`bytes`](Self::bytes) says.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), and [`Error::Format`] when the file is damaged, or does not hold a generator.
    pub fn generator(&self, name: &str, place: &Place) -> Result<Arc<dyn Generator>> {
        let (bytes, path) = self.bytes(name)?;
        Ok(Arc::new(NetworkGenerator::parse(&bytes, &path, place)?))
    }

    /// The file of the network that `name` names; of one of the program a path for messages.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        if let Some(shipped) = SHIPPED.iter().find(|s| s.name == name) {
            self.check_own(shipped)?;
            return Ok(path.with_extension("safetensors"));
        }
        let mut candidates = vec![path.to_path_buf()];
        if path.is_dir() {
            candidates = vec![path.join("model.safetensors")];
        } else if let Some(folder) = &self.folder {
            candidates.push(folder.join(format!("{name}.safetensors")));
        }
        match candidates.iter().find(|c| c.is_file()) {
            Some(file) => Ok(file.clone()),
            None if path.is_dir() => Err(Error::path(
                path,
                "is a folder without model.safetensors; name the folder of a run that has saved a model",
            )),
            None => {
                let unknown = Error::unknown("model, run folder or file", name, self.names());
                Err(match candidates.get(1).filter(|_| path.components().count() == 1) {
                    Some(place) => unknown.advising(format_args!("Put a model of this name at {}", place.display())),
                    None => unknown,
                })
            }
        }
    }

    /// The names of the program's networks and of those in the models folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let own = self.own().unwrap_or_default();
        SHIPPED.iter().map(|shipped| shipped.name.to_string()).chain(own.into_iter().map(|(name, _)| name)).collect()
    }

    /// The file of a known network in the models folder: its name with an ending of a file of weights, or one of the names
    /// that its files have where they come from.
    pub fn file_of(&self, card: &NetworkCard) -> Option<PathBuf> {
        let folder = self.folder.as_deref()?;
        let own = ENDINGS.iter().map(|ending| folder.join(format!("{}.{ending}", card.name)));
        own.chain(card.files.iter().map(|file| folder.join(file))).find(|file| file.is_file())
    }

    /// The known network of this card, from `file` whatever its checksum, or else from its file in the models folder.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such file; [`Error::Format`] when its checksum is not on the card, or it does not hold
    /// the network's weights.
    pub fn network(&self, card: &'static NetworkCard, file: Option<&Path>, place: &Place) -> Result<Network> {
        let (weights, path) = match file {
            Some(file) => (weights::read(file)?, file.to_path_buf()),
            None => self.known_weights(card)?,
        };
        Network::of_weights(card, &weights, &path, place)
    }

    /// The weights of a known network in the models folder, with their file; their checksum is on the card.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such file; [`Error::Io`] when it cannot be read; [`Error::Format`] when its checksum is
    /// another.
    pub fn known_weights(&self, card: &'static NetworkCard) -> Result<(Weights, PathBuf)> {
        let path = self.file_of(card).ok_or_else(|| {
            let folder = self.folder.as_ref().map_or("a models folder".into(), |f| f.display().to_string());
            let remedy = format!(
                "put it into {folder} as {0}.{1}{2}, or name it as {0}=FILE. To get it: {3}",
                card.name,
                ENDINGS.join(&format!(", {}.", card.name)),
                card.files.iter().map(|file| format!(", {file}")).collect::<String>(),
                card.origin
            );
            Error::missing(format!("file of {}", card.name), remedy)
        })?;
        let weights = weights::read(&path)?;
        card.check_known(&weights.sha256, &path)?;
        Ok((weights, path))
    }

    /// The networks in the models folder: their names and files, sorted.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is there and cannot be read.
    pub fn own(&self) -> Result<Vec<(String, PathBuf)>> {
        let Some(folder) = self.folder.as_deref().filter(|f| f.is_dir()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, Action::Read, e))? {
            let path = entry.map_err(|e| Error::io(folder, Action::Read, e))?.path();
            if path.extension().is_some_and(|e| e == "safetensors")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && networks::network_card(name).is_none()
                && !networks::CARDS
                    .iter()
                    .any(|card| path.file_name().is_some_and(|f| card.files.iter().any(|n| f == *n)))
            {
                found.push((name.to_string(), path.clone()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// What the file of the network `name` says and holds.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes); [`Error::Format`] when it is damaged, or (of a network of the program) does not have the
    /// recorded checksum.
    pub fn describe(&self, name: &str) -> Result<Description> {
        let shipped = SHIPPED.iter().find(|s| s.name == name);
        let (bytes, path) = self.bytes(name)?;
        let description = Description::parse(&bytes, &path)?;
        match shipped {
            Some(shipped) if shipped.sha256 != description.sha256 => {
                Err(differing(Path::new("the program's own copy"), &description.sha256, shipped))
            }
            _ => Ok(Description {
                path: shipped.is_none().then_some(path),
                card_text: shipped.map(|s| s.card),
                ..description
            }),
        }
    }

    /// Whether a file of that name in the models folder, if there is one, is the same network.
    fn check_own(&self, shipped: &Shipped) -> Result<()> {
        let Some(file) = self.folder.as_ref().map(|f| f.join(format!("{}.safetensors", shipped.name))) else {
            return Ok(());
        };
        if !file.is_file() {
            return Ok(());
        }
        let found = sha256(&std::fs::read(&file).map_err(|e| Error::io(&file, Action::Read, e))?);
        if found == shipped.sha256 { Ok(()) } else { Err(differing(&file, &found, shipped)) }
    }
}

fn differing(path: &Path, found: &str, shipped: &Shipped) -> Error {
    Error::format(
        path,
        format!(
            "is not the network {} that comes with the program: its SHA-256 is {found}, not {}; remove it, or give it \
             another name",
            shipped.name, shipped.sha256
        ),
    )
}

/// What a network file says and holds.
#[derive(Clone, Debug)]
pub struct Description {
    /// What it is for, and how it was made.
    pub card: ModelCard,
    /// Shape of one input: channels, height, width.
    pub input: [usize; 3],
    /// Shape of one output: channels, height, width.
    pub output: [usize; 3],
    /// The layers, from input to output.
    pub layers: Vec<Layer>,
    /// Number of trained parameters.
    pub parameters: usize,
    /// Number of bytes of the file.
    pub bytes: usize,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The file; none for a network that is part of the program.
    pub path: Option<PathBuf>,
    /// What its makers wrote about it.
    pub card_text: Option<&'static str>,
}

impl Description {
    /// Reads a network file whole, as its users do.
    ///
    /// # Errors
    /// [`Error::Format`] when it is damaged, or its network is not what its card says.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let place = Place::cpu();
        let (net, card, sha256) = ModelFile::<ModelCard>::parse(bytes, path, &place)?;
        match card {
            ModelCard::Generator { .. } => NetworkGenerator::parse(bytes, path, &place).map(drop)?,
            ModelCard::Autoencoder { .. } => Autoencoder::parse(bytes, path, &place).map(drop)?,
            ModelCard::Classifier { .. } => Classifier::parse(bytes, path, &place).map(drop)?,
        }
        Ok(Self {
            card,
            input: net.input(),
            output: net.output(),
            layers: net.layers().to_vec(),
            parameters: net.size(),
            bytes: bytes.len(),
            sha256,
            path: None,
            card_text: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_networks_are_what_is_recorded() {
        for shipped in SHIPPED {
            let description = Models::default().describe(shipped.name).unwrap();
            assert_eq!(description.sha256, shipped.sha256, "{}", shipped.name);
            assert!(description.card_text.is_some_and(|text| text.len() > 40));
        }
    }

    #[test]
    fn another_file_under_a_shipped_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::new(Some(folder.path().into()));
        let shipped = &SHIPPED[0];
        let path = folder.path().join(format!("{}.safetensors", shipped.name));
        std::fs::write(&path, shipped.bytes).unwrap();
        models.bytes(shipped.name).unwrap();
        assert_eq!(models.own().unwrap(), [(shipped.name.to_string(), path.clone())]);
        std::fs::write(&path, &shipped.bytes[1..]).unwrap();
        let fault = models.bytes(shipped.name).unwrap_err();
        assert!(matches!(fault, Error::Format { .. }) && fault.file_path() == Some(&*path), "{fault}");
        assert!(fault.to_string().contains(shipped.sha256), "{fault}");
        assert!(models.describe(shipped.name).is_err());
    }
}
