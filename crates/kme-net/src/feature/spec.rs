//! The text that names a layer of a known network.

use super::Positions;
use crate::networks::{self, NetworkCard};
use kme::{Error, Result};
use std::path::{Path, PathBuf};

/// `NAME[=FILE][:LAYER][:flat]`, taken apart.
#[derive(Debug)]
pub(super) struct FeatureSpec {
    pub card: &'static NetworkCard,
    pub file: Option<PathBuf>,
    layer: Option<String>,
    pub positions: Positions,
}

impl FeatureSpec {
    /// What `text` names, if it begins with the name of a known network.
    ///
    /// # Errors
    /// [`Error::Syntax`] when what follows the name is empty.
    pub(super) fn parse(text: &str) -> Result<Option<Self>> {
        let end = text.find(['=', ':']).unwrap_or(text.len());
        let Some(card) = networks::network_card(&text[..end]) else { return Ok(None) };
        let rest = &text[end..];
        let (rest, positions) = match rest.strip_suffix(":flat") {
            Some(rest) => (rest, Positions::Flat),
            None => (rest, Positions::Mean),
        };
        let malformed = || {
            let forms =
                format!("{0}, {0}:LAYER, {0}=FILE or {0}=FILE:LAYER, each also with :flat behind it", card.name);
            Error::syntax("feature map", text, format!("write {forms}"))
        };
        let (file, layer) = match rest.strip_prefix('=') {
            // A file's name may hold colons.
            Some(rest) if Path::new(rest).exists() => (Some(rest), None),
            Some(rest) => match rest.rsplit_once(':') {
                Some((file, layer)) => (Some(file), Some(layer)),
                None => (Some(rest), None),
            },
            None => (None, rest.strip_prefix(':')),
        };
        if file.is_some_and(str::is_empty) || layer.is_some_and(str::is_empty) {
            return Err(malformed());
        }
        let (file, layer) = (file.map(PathBuf::from), layer.map(str::to_string));
        Ok(Some(Self { card, file, layer, positions }))
    }

    /// The text that names the same layer of `file`, or of the network's file in the models folder.
    pub(super) fn named(&self, file: Option<&Path>) -> String {
        let flat = if self.positions == Positions::Flat { ":flat" } else { "" };
        let file = file.map_or_else(String::new, |file| format!("={}", file.display()));
        format!("{}{file}:{}{flat}", self.card.name, self.layer())
    }

    /// The layer, by its name.
    pub(super) fn layer(&self) -> &str {
        self.layer.as_deref().unwrap_or(self.card.features)
    }
}

/// The name under which the feature map of this name is recorded: `inception` is `inception:pool3`, whatever its file. Other
/// names are left as they are.
pub fn canonical(name: &str) -> String {
    match FeatureSpec::parse(name) {
        Ok(Some(spec)) => spec.named(None),
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_layers_and_positions() {
        let parse = |text: &str| {
            let spec = FeatureSpec::parse(text).unwrap().unwrap();
            let file = spec.file.as_ref().map(|file| file.display().to_string());
            (spec.card.name, file, spec.layer().to_string(), spec.positions)
        };
        let file = |name: &str| Some(name.to_string());
        assert_eq!(parse("inception"), ("inception", None, "pool3".into(), Positions::Mean));
        assert_eq!(parse("vgg19:relu4_1:flat"), ("vgg19", None, "relu4_1".into(), Positions::Flat));
        assert_eq!(parse("vgg19=a/b.pth"), ("vgg19", file("a/b.pth"), "pool5".into(), Positions::Mean));
        assert_eq!(parse("vgg19=c:/b.pth:relu1_1"), ("vgg19", file("c:/b.pth"), "relu1_1".into(), Positions::Mean));
        assert!(FeatureSpec::parse("runs/inception").unwrap().is_none());
        assert!(FeatureSpec::parse("vgg19:").is_err() && FeatureSpec::parse("vgg19=").is_err());
        assert_eq!(canonical("vgg19=a.pth:relu1_1:flat"), "vgg19:relu1_1:flat");
        assert_eq!(canonical("fashion-classifier"), "fashion-classifier");
    }
}
