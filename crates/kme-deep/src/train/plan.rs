//! A configuration that was checked: what is trained, as types.

use super::config::{self, AutoencoderObjective, ClassifierObjective, Config, Kind};
use super::presets::PRESETS;
use crate::loss::{Beside, CRITIC, IDENTITY, Objective, Regulariser, Settings, one_feature};
use kme::{Error, Result};
use std::path::Path;

/// A training run that can begin, as far as its configuration says.
///
/// It is made of a [`Config`] by [`check`](Config::check), or read with [`load`](Self::load).
#[derive(Clone, Debug)]
pub struct Plan {
    config: Config,
    goal: Goal,
    /// What it is begun as, where the configuration does not say that.
    name: Option<String>,
}

/// What is trained.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Generator(Box<Game>),
    Classifier(ClassifierObjective),
    Autoencoder(AutoencoderObjective),
}

/// A generator, what it is trained by and against whom.
#[derive(Clone, Debug)]
pub(super) struct Game {
    pub(super) generator: config::Generator,
    pub(super) objective: Objective,
    pub(super) rival: Rival,
}

/// Whose features are compared.
#[derive(Clone, Debug)]
pub(super) enum Rival {
    /// Those of a critic that is trained too.
    Critic(config::Critic),
    /// Those of a feature map, by its name.
    Network(String),
    /// The samples themselves.
    Samples,
}

impl Config {
    /// What this configuration says, if it can be trained with.
    ///
    /// # Errors
    /// By the dotted key, [`Error::Parameter`] of a value that is not allowed, [`Error::Missing`] of a table that the
    /// objective needs, [`Error::NotApplicable`] of what has no effect.
    pub fn check(self) -> Result<Plan> {
        self.check_ranges()?;
        let goal = match self.objective.kind() {
            Kind::Generator(settings) => Goal::Generator(Box::new(self.game(settings)?)),
            Kind::Classifier(objective) => {
                self.check_alone()?;
                objective.check(&self.data)?;
                Goal::Classifier(objective.clone())
            }
            Kind::Autoencoder(objective) => {
                self.check_alone()?;
                objective.check(&self.data)?;
                Goal::Autoencoder(objective.clone())
            }
        };
        Ok(Plan { config: self, goal, name: None })
    }

    fn game(&self, settings: &dyn Settings) -> Result<Game> {
        let generator = needed("generator", &self.generator)?;
        let rival = match settings.features() {
            CRITIC => Rival::Critic(needed("critic", &self.critic)?.clone()),
            name => {
                unneeded("critic", &self.critic)?;
                if name == IDENTITY { Rival::Samples } else { Rival::Network(name.into()) }
            }
        };
        generator.check(matches!(rival, Rival::Critic(_)))?;
        let regulariser = &self.regulariser;
        let top = match &rival {
            Rival::Critic(critic) => {
                critic.check(regulariser)?;
                Some(critic.top)
            }
            _ => {
                self.check_unregularised()?;
                None
            }
        };
        let divergence = settings.divergence(&Beside { top, regulariser })?;
        if let Some(top) = top.filter(|&top| top != 1 && divergence.needs_one_feature()) {
            return Err(one_feature(top));
        }
        if regulariser.scale.is_some() && divergence.scaled().is_none() {
            let reason = "only the objectives mmd and wasserstein are scaled. Remove the table";
            return Err(Error::not_applicable("regulariser.scale", reason));
        }
        let objective = Objective { divergence, regulariser: regulariser.clone() };
        Ok(Game { generator: generator.clone(), objective, rival })
    }

    /// Refuses the tables of a generator where none is trained.
    fn check_alone(&self) -> Result<()> {
        unneeded("generator", &self.generator)?;
        unneeded("critic", &self.critic)?;
        self.check_unregularised()
    }

    fn check_unregularised(&self) -> Result<()> {
        if self.regulariser == Regulariser::default() {
            return Ok(());
        }
        Err(Error::not_applicable("regulariser", "no critic is trained. Remove the table"))
    }
}

fn needed<'a, T>(key: &'static str, table: &'a Option<T>) -> Result<&'a T> {
    table.as_ref().ok_or_else(|| Error::missing(key, format!("this objective needs a table [{key}]")))
}

fn unneeded<T>(key: &'static str, table: &Option<T>) -> Result<()> {
    match table {
        None => Ok(()),
        Some(_) => Err(Error::not_applicable(key, format!("this objective trains no {key}. Remove the table"))),
    }
}

impl Plan {
    /// The presets.
    pub fn presets() -> impl Iterator<Item = &'static super::Preset> {
        PRESETS.iter()
    }

    /// The plan that `text` names: a preset, or a TOML file.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when it is neither, [`Error::Path`] of a folder, [`Error::Io`], and those of
    /// [`parse`](Self::parse).
    pub fn load(text: &str) -> Result<Self> {
        Self::load_with(text, &[])
    }

    /// A plan from TOML text; `path` is for messages.
    ///
    /// # Errors
    /// Within `path`, [`Error::Syntax`] of text that is not TOML, [`Error::UnknownName`] of a key, [`Error::Missing`] when
    /// a key is not there, and those of [`Config::check`].
    pub fn parse(toml: &str, path: &Path) -> Result<Self> {
        let table = config::read::table(toml, path)?;
        let plan = config::read::read(&table).and_then(Config::check);
        plan.map_err(|fault| fault.within(path.display()))
    }

    /// The configuration that it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration that it was made of, to be changed and checked again. It has the plan's [name](Self::named).
    pub fn into_config(self) -> Config {
        let preset = self.config.preset.or(self.name);
        Config { preset, ..self.config }
    }

    /// The same, which goes by `name` in the files of its run, unless the configuration has a name already.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What is trained.
    pub(super) fn goal(&self) -> &Goal {
        &self.goal
    }

    /// That of a new run, which begins in the current folder.
    pub(super) fn begun_here(&self) -> Self {
        let config = self.config.begun_here();
        let preset = config.preset.clone().or_else(|| self.name.clone());
        self.with_names_of(Config { preset, ..config })
    }

    /// The same with names of files [as they were meant](Config::located) where the run was begun.
    pub(super) fn located(&self) -> Self {
        self.with_names_of(self.config.located())
    }

    /// The same with a configuration that differs in names of files alone.
    fn with_names_of(&self, config: Config) -> Self {
        let mut goal = self.goal.clone();
        if let Goal::Generator(game) = &mut goal {
            if let Some(generator) = &config.generator {
                game.generator.clone_from(generator);
            }
            if let (Rival::Network(name), Some(settings)) = (&mut game.rival, config.objective.divergence()) {
                *name = settings.features().into();
            }
        }
        Self { config, goal, name: self.name.clone() }
    }
}
