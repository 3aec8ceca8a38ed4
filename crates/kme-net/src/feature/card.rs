//! The feature map that a generator's card names.

use super::{FeatureMap, FeatureSpec};
use crate::generator::Generator;
use crate::models::{Models, SHIPPED};
use crate::net::Place;
use kme::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of a feature map as it stands on a card: files without their folders, since a card goes to other machines.
///
/// `inception=/data/nets/pt.pth:pool3` is `inception=pt.pth:pool3`, and `runs/classifier` is `classifier`.
pub fn portable(name: &str) -> String {
    if let Ok(Some(spec)) = FeatureSpec::parse(name) {
        let file = spec.file.as_deref().and_then(Path::file_name);
        return file.map_or_else(|| name.to_string(), |file| spec.named(Some(Path::new(file))));
    }
    let path = Path::new(name);
    let file = path.file_name().map_or_else(|| name.into(), |file| file.to_string_lossy());
    match path.parent().and_then(Path::file_name) {
        // The file of a run folder is known by the folder.
        Some(run) if file == "model.safetensors" => run.to_string_lossy().into_owned(),
        _ => file.into_owned(),
    }
}

/// What a card records of the network: its SHA-256, unless the name says all, as that of a network of the program does.
pub fn recorded<'a>(name: &str, sha256: Option<&'a str>) -> Option<&'a str> {
    sha256.filter(|_| !SHIPPED.iter().any(|shipped| shipped.name == name))
}

impl Models {
    /// The feature map on the card of a generator that [`generator`](Self::generator) gave for `name`.
    ///
    /// Where the card has the SHA-256 of its network, the network is looked for under the name in the run's own
    /// configuration, under the name on the card, and under that name in the models folder, in the folder of the generator
    /// and in the one above: the first with this SHA-256 is taken.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not found, or only another under its name.
    pub fn feature_map_of(&self, generator: &dyn Generator, name: &str, place: &Place) -> Result<Arc<dyn FeatureMap>> {
        let (name, sha256, file) = match generator.features_sha256() {
            None => return self.feature_map(generator.features(), place),
            Some(sha256) => (generator.features(), sha256, self.path(name)?),
        };
        let (mut others, mut damaged) = (Vec::new(), Vec::new());
        for candidate in candidates(name, &file, self) {
            match self.feature_map(&candidate, place) {
                Ok(map) if map.sha256() == Some(sha256) => return Ok(map),
                Ok(map) => others.push(format!("{candidate} is another, {}", map.sha256().unwrap_or("without one"))),
                // A file that is there but cannot be read is not missing.
                Err(fault) if is_there(&candidate, self) => {
                    damaged.push(format!("{candidate} cannot be read: {fault}"))
                }
                Err(_) => {}
            }
        }
        let found = match damaged.first().or(others.first()) {
            Some(other) => other.clone(),
            None => "there is none under this name, neither here nor in the models folder nor beside the run".into(),
        };
        let allowed = format!(
            "the network with SHA-256 {sha256} that this generator's card names; {found}. Name its file, or another feature map"
        );
        Err(Error::parameter("features", name, allowed))
    }
}

/// Names under which the network may be found.
fn candidates(name: &str, file: &Path, models: &Models) -> Vec<String> {
    let run = file.parent().unwrap_or(Path::new(""));
    let mut names: Vec<String> = configured(run).into_iter().chain([name.to_string()]).collect();
    let spec = FeatureSpec::parse(name).ok().flatten();
    let folders = [models.folder().map(Path::to_path_buf), Some(run.to_path_buf()), Some(run.join(".."))];
    for folder in folders.into_iter().flatten() {
        match &spec {
            Some(spec) => names.extend(spec.file.as_ref().map(|file| spec.named(Some(&folder.join(file))))),
            None => names.extend([folder.join(name), folder.join(format!("{name}.safetensors"))].map(text)),
        }
    }
    // Under the name by which the models folder knows it.
    names.extend(spec.map(|spec| spec.named(None)));
    names
}

/// Whether there is a file under the name of a feature map: it, or that of a run folder, or one in the models folder.
fn is_there(name: &str, models: &Models) -> bool {
    match FeatureSpec::parse(name) {
        Ok(Some(FeatureSpec { file: Some(file), .. })) => file.is_file(),
        Ok(Some(spec)) => models.file_of(spec.card).is_some(),
        _ => Path::new(name).is_file() || Path::new(name).join("model.safetensors").is_file(),
    }
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

/// `score.features` of the configuration in a run folder, if this is one.
fn configured(run: &Path) -> Option<String> {
    let config: toml::Table = std::fs::read_to_string(run.join("config.toml")).ok()?.parse().ok()?;
    Some(config.get("score")?.get("features")?.as_str()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::NetworkGenerator;

    #[test]
    fn names_on_cards_have_no_folders() {
        for (name, expected) in [
            ("pixels", "pixels"),
            ("fashion-classifier", "fashion-classifier"),
            ("inception", "inception"),
            ("inception=/data/nets/pt.pth:pool3", "inception=pt.pth:pool3"),
            ("vgg19=nets/a.safetensors:relu2_1:flat", "vgg19=a.safetensors:relu2_1:flat"),
            ("runs/classifier", "classifier"),
            ("../runs/classifier/model.safetensors", "classifier"),
            ("/nets/mine.safetensors", "mine.safetensors"),
        ] {
            assert_eq!(portable(name), expected);
            assert_eq!(portable(expected), expected);
        }
    }

    #[test]
    fn a_damaged_network_is_not_told_as_missing() {
        let (place, models) = (Place::cpu(), Models::default());
        let (bytes, path) = models.bytes("fashion").unwrap();
        let mut generator = NetworkGenerator::parse(&bytes, &path, &place).unwrap();
        generator.features = "net.safetensors".into();
        generator.features_sha256 = Some("0".repeat(64));
        let folder = tempfile::tempdir().unwrap();
        generator.write(&folder.path().join("model.safetensors")).unwrap();
        let fault = || {
            let run = folder.path().to_str().unwrap();
            models.feature_map_of(&generator, run, &place).err().unwrap().to_string()
        };
        assert!(fault().contains("there is none under this name"), "{}", fault());
        let (network, _) = models.bytes("fashion-classifier").unwrap();
        std::fs::write(folder.path().join("net.safetensors"), &network).unwrap();
        assert!(fault().contains("net.safetensors is another, "), "{}", fault());
        std::fs::write(folder.path().join("net.safetensors"), &network[..network.len() / 2]).unwrap();
        let fault = fault();
        assert!(fault.contains("net.safetensors cannot be read: ") && !fault.contains("there is none"), "{fault}");
    }
}
