//! From a configuration to a trainer, with what it depends on and what is to be said of its data.

use super::config::Config;
use super::feed::{self, Feed, HeldOut};
use super::folder::Folder;
use super::judge::{self, Judge};
use super::parallel::{Collective, Leader, Seat, TeamResult, begin, check_shares, shared};
use super::plan::{Goal, Plan, Rival};
use super::sources::{self, Sources};
use super::split::Split;
use super::stock::{Opened, Stock};
use super::task::Task;
use super::{Context, Observer, autoencoder, classifier, generative, remarks};
use kme::{Progress, Result};
use kme_image::{Digest, Grid, Images, Survey, Watch, hex};
use kme_net::{Autoencoder, FeatureMap, Pixels, Provenance};
use std::collections::HashMap;
use std::sync::Arc;

/// A task with what it depends on, and what is to be said of its data.
pub(super) struct Ready {
    pub(super) task: Box<dyn Task>,
    pub(super) sources: Sources,
    pub(super) about: About,
}

/// What a run learns from, for people.
#[derive(Default)]
pub(super) struct About {
    pub(super) survey: Option<Survey>,
    /// Pictures as the networks see them.
    pub(super) reals: Option<Images>,
    pub(super) remarks: Vec<String>,
    pub(super) held_out: Option<String>,
    /// Pictures that were held out of the source itself.
    pub(super) apart: usize,
}

impl About {
    /// Lines for config.toml.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let Some(survey) = &self.survey else { return Vec::new() };
        let held_out = if self.apart > 0 { format!("; {} of them held out", self.apart) } else { String::new() };
        vec![("pictures".into(), survey.line() + &held_out)]
    }

    /// What stands of it in the run folder.
    pub(super) fn write(&self, folder: &Folder) -> Result<()> {
        if let Some(survey) = self.survey.as_ref().filter(|survey| !survey.files.is_empty()) {
            folder.write_listing(survey)?;
        }
        let Some(reals) = &self.reals else { return Ok(()) };
        Grid::default().lay_out(reals)?.write_png(0, &folder.real_sample())
    }
}

/// What a run that goes on knows of its data from before.
#[derive(Default)]
pub(super) struct Begun {
    /// SHA-256 of the files that were found good, by their names.
    pub(super) known: HashMap<String, String>,
    /// The rule by which it holds pictures out.
    pub(super) split: Option<Split>,
}

/// The objective that a configuration names, and what it depends on.
pub(super) fn ready(
    plan: &Plan,
    context: &Context,
    seat: Seat,
    begun: &Begun,
    observer: &dyn Observer,
) -> TeamResult<Ready> {
    let workers = seat.collective.size();
    check_shares(plan, workers)?;
    let config = plan.config();
    let located = plan.located();
    let named = located.config();
    // Networks before data, whose reading may take long.
    let trained = Trained::new(&located, context)?;
    let map = judge::features(named, context)?;
    let mut progress = |done, total| {
        // Nothing can be stopped yet.
        let _ = observer.progress(Progress::new("pictures read", done, total));
    };
    let is_known = |name: &str, sha256: &Digest| begun.known.get(name).is_some_and(|found| *found == hex(sha256));
    let mut watch = Watch { progress: &mut progress, is_known: &is_known };
    let Opened { mut stock, facts, held_out, split } =
        Stock::open_watched(&named.data, config.seed, begun.split, &context.data, &mut watch)?;
    let apart = match &held_out {
        Some(HeldOut::Pictures(pictures)) => pictures.len(),
        _ => 0,
    };
    let held_out = match held_out {
        None => feed::held_out(&named.data, config.seed, &context.data)?,
        found => found,
    };
    let mut about = About { apart, ..About::default() };
    about.remarks = remarks::of_data(config, &facts, apart, begun.split);
    remarks::check_classes(config, &facts)?;
    about.held_out = match &held_out {
        Some(HeldOut::Pictures(pictures)) => Some(pictures.fingerprint().into()),
        _ => None,
    };
    about.reals = stock.reals(&facts)?;
    about.survey.clone_from(&facts.survey);
    let mut sources = Sources { split, ..Sources::new(&facts.fingerprint) };
    let place = &context.place;
    let pictures = |held_out: Option<HeldOut>| match held_out {
        Some(HeldOut::Pictures(pictures)) => Some(pictures),
        _ => None,
    };
    let made = made(config, &sources.data);
    let game = match plan.goal() {
        Goal::Generator(game) => game,
        Goal::Classifier(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = classifier::Trainer::new(config, objective, feed, pictures(held_out), made, place)?;
            return Ok(Ready { task: Box::new(trainer), sources, about });
        }
        Goal::Autoencoder(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = autoencoder::Trainer::new(config, objective, feed, pictures(held_out), made, place)?;
            return Ok(Ready { task: Box::new(trainer), sources, about });
        }
    };
    trained.note(&mut sources);
    if workers > 1 {
        // The others make themselves ready meanwhile.
        // Names are meant from where each of them is, unless this one is elsewhere than where the run was begun.
        begin(&*seat.collective, &Config { begun_in: None, ..named.clone() }, &sources)?;
    }
    let judge = Judge::new(config, map, held_out, &mut stock, &facts, observer)?;
    sources.note("score.features", judge.network());
    let feed = Feed::new(stock, facts, config.batch, config.seed);
    let parts = trained.parts(feed, judge, made, seat.collective);
    let trainer = generative::Trainer::new(config, game, parts, place)?;
    let task: Box<dyn Task> =
        if workers > 1 { Box::new(Leader::new(trainer, seat.threads)?) } else { Box::new(trainer) };
    Ok(Ready { task, sources, about })
}

/// What is said on the card of a model that this run makes.
fn made(config: &Config, data_fingerprint: &str) -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: config.preset.clone().unwrap_or_default(),
        seed: config.seed,
        steps: 0,
        data: config.data.source.clone(),
        data_fingerprint: data_fingerprint.into(),
    }
}

/// The networks that a generator is trained with but that are not trained any more.
struct Trained {
    autoencoder: Option<Autoencoder>,
    frozen: Arc<dyn FeatureMap>,
}

impl Trained {
    /// Those that the plan names.
    fn new(plan: &Plan, context: &Context) -> Result<Self> {
        let mut trained = Self { autoencoder: None, frozen: Arc::new(Pixels) };
        let Goal::Generator(game) = plan.goal() else { return Ok(trained) };
        if let Some(name) = &game.generator.decoder {
            let found = context.models.bytes(name);
            let read = found.and_then(|(bytes, path)| Autoencoder::parse(&bytes, &path, &context.place));
            trained.autoencoder = Some(read.map_err(|fault| sources::of_network("generator.decoder", name, fault))?);
        }
        if let Rival::Network(name) = &game.rival {
            let found = context.models.feature_map(name, &context.place);
            trained.frozen = found.map_err(|fault| sources::of_network("objective.features", name, fault))?;
        }
        Ok(trained)
    }

    /// Tells `sources` which they are.
    fn note(&self, sources: &mut Sources) {
        sources.note("generator.decoder", self.autoencoder.as_ref().map(|a| a.sha256.as_str()));
        sources.note("objective.features", self.frozen.sha256());
    }

    fn parts(self, feed: Feed, judge: Judge, made: Provenance, collective: Box<dyn Collective>) -> generative::Parts {
        let Self { autoencoder, frozen } = self;
        generative::Parts { feed, autoencoder, frozen, judge, made, collective }
    }
}

/// The trainer of a worker that only takes steps, and what it depends on.
pub(super) fn helper(
    plan: &Plan,
    split: Option<Split>,
    context: &Context,
    collective: Box<dyn Collective>,
) -> Result<(generative::Trainer, Sources)> {
    check_shares(plan, collective.size())?;
    let game = shared(plan, collective.size())?;
    let located = plan.located();
    let config = plan.config();
    let trained = Trained::new(&located, context)?;
    let feed = Feed::open(&located.config().data, config.batch, config.seed, split, &context.data)?;
    let mut sources = Sources::new(feed.fingerprint());
    trained.note(&mut sources);
    let made = made(config, &sources.data);
    let parts = trained.parts(feed, Judge::absent(), made, collective);
    Ok((generative::Trainer::new(config, game, parts, &context.place)?, sources))
}
