//! What a run depends on besides its configuration: data, and networks that were trained before.

use super::config::Config;
use super::split::Split;
use crate::loss::Settings;
use kme::{Error, Field, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Names for their contents. A run that goes on, and every worker of a run, must have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    /// Fingerprint of the data.
    pub data: String,
    /// SHA-256 of the networks that settings name, by the setting.
    pub networks: BTreeMap<String, String>,
    /// Fingerprint of the pictures that scores are of. They may change on the way: then the best score begins anew.
    #[serde(default)]
    pub held_out: Option<String>,
    /// The rule by which pictures of the data are held out, where that is left to the program: the run keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl Sources {
    pub(crate) fn new(data: &str) -> Self {
        Self { data: data.into(), networks: BTreeMap::new(), held_out: None, split: None }
    }

    /// Notes the network that the setting `key` names, where it names one.
    pub(crate) fn note(&mut self, key: &str, sha256: Option<&str>) {
        self.networks.extend(sha256.map(|sha256| (key.into(), sha256.into())));
    }

    /// Lines for config.toml.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let networks = self.networks.iter().map(|(key, sha256)| (format!("SHA-256 of {key}"), sha256.clone()));
        [("data fingerprint".to_string(), self.data.clone())].into_iter().chain(networks).collect()
    }

    /// Refuses others than `expected`; `remedy` says what to do about the one that is called by its argument.
    ///
    /// # Errors
    /// Names the first that differs, and both fingerprints.
    pub(crate) fn check(&self, expected: &Self, config: &Config, remedy: impl Fn(&str) -> String) -> Result<()> {
        if self.data != expected.data {
            let remedy = remedy(&config.data.source);
            return Err(Error::mismatch(Field::Data, &self.data, &expected.data, remedy));
        }
        for key in self.networks.keys().chain(expected.networks.keys()) {
            let [found, wanted] = [self, expected].map(|s| s.networks.get(key).map_or("no network", String::as_str));
            if found != wanted {
                let remedy = remedy(named(config, key));
                return Err(Error::mismatch(format!("SHA-256 of {key}"), found, wanted, remedy));
            }
        }
        Ok(())
    }
}

/// The fault of what the setting `key` names as `text`, told with the key.
pub(super) fn of_setting(key: &'static str, text: &str, fault: Error) -> Error {
    match fault {
        Error::Parameter { given, allowed, .. } if given == text => Error::parameter(key, given, allowed),
        fault => fault.within(key),
    }
}

/// The same of a network, with the remedy where there is one.
pub(super) fn of_network(key: &'static str, name: &str, fault: Error) -> Error {
    let is_path = name.contains(['/', '\\']) && !name.contains('=');
    if is_path && !Path::new(name).exists() {
        let remedy = match key {
            "generator.decoder" => "train one with the preset mnist-autoencoder",
            _ => "train it first, or name another",
        };
        return Error::path(name, format!("there is no such run folder or file; {remedy}")).within(key);
    }
    match (key, fault) {
        // Pixels can take the place of this network alone without another training.
        ("score.features", Error::Missing { parameter, remedy }) => {
            Error::missing(parameter, format!("{remedy}. Or set {key} to pixels")).within(key)
        }
        (_, fault) => of_setting(key, name, fault),
    }
}

/// What the configuration has under a key of [`Sources::networks`].
fn named<'a>(config: &'a Config, key: &'a str) -> &'a str {
    let name = match key {
        "score.features" => Some(&config.score.features[..]),
        "objective.features" => config.objective.divergence().map(Settings::features),
        "generator.decoder" => config.generator.as_ref().and_then(|generator| generator.decoder.as_deref()),
        _ => None,
    };
    name.unwrap_or(key)
}
