//! Names of files in a configuration, wherever a run goes on.

use super::config::{Config, ObjectiveConfig};
use crate::loss::{CRITIC, IDENTITY};
use kme_image::{Toy, list};
use kme_net::{SHIPPED, network_card};
use std::path::Path;

impl Config {
    /// The configuration of a new run, which begins in the current folder. Names of files that are not there but where
    /// `self` was begun (as in another run's config.toml) become whole ones.
    pub(super) fn begun_here(&self) -> Self {
        let here = std::env::current_dir().ok();
        let config = self.moved(here.as_deref());
        Self { begun_in: here.and_then(|folder| Some(folder.to_str()?.to_string())), ..config }
    }

    /// The same with relative names of files as they were meant where the run was begun; what is not there any more is looked
    /// for here.
    pub(super) fn located(&self) -> Self {
        let here = std::env::current_dir().ok();
        if self.begun_in.as_deref().map(Path::new) == here.as_deref() {
            return self.clone();
        }
        self.moved(None)
    }

    /// With whole names in the place of those of files in the folder where `self` was begun, unless they are found in `first`.
    fn moved(&self, first: Option<&Path>) -> Self {
        let mut config = self.clone();
        let Some(base) = self.begun_in.as_deref().map(Path::new) else { return config };
        let change = |name: &mut String, found: fn(&Path, &str) -> Option<String>| {
            if first.is_none_or(|first| found(first, name).is_none())
                && let Some(whole) = found(base, name)
            {
                *name = whole;
            }
        };
        let data = &mut config.data;
        for name in [Some(&mut data.source), data.held_out.as_mut()].into_iter().flatten() {
            if !is_data(name) {
                change(name, found);
            }
        }
        let objective = match &mut config.objective {
            ObjectiveConfig::Mmd(mmd) => Some(&mut mmd.features),
            _ => None,
        };
        let decoder = config.generator.as_mut().and_then(|generator| generator.decoder.as_mut());
        for name in [Some(&mut config.score.features), objective, decoder, config.from.as_mut()].into_iter().flatten() {
            if !is_network(name) {
                change(name, found_network);
            }
        }
        config
    }
}

/// Whether a name is that of a data set or a toy, or says that there is none.
fn is_data(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    [super::data::AUTO, super::data::NONE].contains(&text)
        || list().iter().any(|(known, _)| *known == name)
        || Toy::parse(text).is_ok_and(|toy| toy.is_some())
}

/// Whether a name is that of a network, wherever its file is.
fn is_network(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    ["pixels", CRITIC, IDENTITY].contains(&name)
        || SHIPPED.iter().any(|shipped| shipped.name == name)
        || network_card(name).is_some()
}

/// `path` made whole, where that is something in the folder `base`; what follows a colon may be a layer, or an array.
fn found(base: &Path, path: &str) -> Option<String> {
    if Path::new(path).is_absolute() {
        return None;
    }
    let ends = std::iter::once(path.len()).chain(path.rmatch_indices(':').map(|(at, _)| at));
    ends.into_iter().filter(|&end| end > 0).find_map(|end| {
        let whole = base.join(&path[..end]);
        let whole = whole.exists().then(|| whole.to_str().map(String::from))??;
        Some(format!("{whole}{}", &path[end..]))
    })
}

/// The same of a network, which may be called `NAME=PATH:LAYER`.
fn found_network(base: &Path, text: &str) -> Option<String> {
    found(base, text).or_else(|| {
        let (name, path) = text.split_once('=')?;
        Some(format!("{name}={}", found(base, path)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Plan;

    #[test]
    fn names_are_those_of_the_folder_that_a_run_was_begun_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("pics/a:b")).unwrap();
        std::fs::create_dir_all(folder.path().join("mnist")).unwrap();
        std::fs::write(folder.path().join("w.pth"), "").unwrap();
        let base = folder.path().to_str().unwrap();
        let at = |text: &str| found(folder.path(), text);
        assert_eq!(at("pics").unwrap(), format!("{base}/pics"));
        assert_eq!(at("pics/a:b").unwrap(), format!("{base}/pics/a:b"));
        let network = |text: &str| found_network(folder.path(), text);
        assert_eq!(network("vgg19=w.pth:relu2_1:flat").unwrap(), format!("vgg19={base}/w.pth:relu2_1:flat"));
        // Data have no names before their paths.
        std::fs::create_dir_all(folder.path().join("lr=0.1/pics")).unwrap();
        assert_eq!(at("lr=0.1/pics").unwrap(), format!("{base}/lr=0.1/pics"));
        assert_eq!(network("lr=0.1/pics").unwrap(), format!("{base}/lr=0.1/pics"));
        assert_eq!(at("vgg19=w.pth"), None);
        assert_eq!((at("no"), at("/pics"), at(":x")), (None, None, None));
        let mut config = Plan::load("fashion-mmd-gan").unwrap().into_config();
        config.begun_in = Some(base.into());
        (config.data.source, config.data.held_out) = ("pics".into(), Some("mnist".into()));
        let located = config.located();
        assert_eq!(
            (&located.data.source[..], located.data.held_out.as_deref()),
            (&at("pics").unwrap()[..], Some("mnist"))
        );
        let begun = config.begun_here();
        assert_eq!(begun.data.source, at("pics").unwrap());
        assert_ne!(begun.begun_in, config.begun_in);
    }
}
