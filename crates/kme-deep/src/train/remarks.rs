//! What is said of the data before the first step: how much there is, and what looks like a mistake.

use super::config::{Config, ObjectiveConfig};
use super::split::{FEWEST, FEWEST_HELD_OUT, Split};
use super::stock::Facts;
use kme::{Error, Result};
use kme_image::{NoClasses, is_part};

/// Classes of which the largest has more than this many times as many pictures as the smallest are worth a word.
const UNEQUAL: usize = 10;

/// Whether labels of the data are learned from.
fn needs_classes(config: &Config) -> bool {
    matches!(config.objective, ObjectiveConfig::Classifier(_))
        || config.generator.as_ref().is_some_and(|generator| generator.conditional)
}

/// Refuses data whose classes cannot be meant: a single one, or the parts of a data set.
///
/// # Errors
/// Names what to give instead.
pub(super) fn check_classes(config: &Config, facts: &Facts) -> Result<()> {
    if !needs_classes(config) {
        return Ok(());
    }
    match facts.survey.as_ref().and_then(|survey| survey.no_classes(&config.data.source)) {
        Some(NoClasses { found, remedy }) => {
            Err(Error::parameter("data.source", format!("{} with {found}", config.data.source), remedy))
        }
        None => Ok(()),
    }
}

/// Why none of `n` pictures are held out for scores; `begun` is the rule of a run that goes on.
fn none_held_out(n: usize, begun: Option<Split>) -> String {
    match begun {
        Some(split) if split.holds_out_none() => "none are held out, as when the run began, so it has no scores".into(),
        Some(_) => format!(
            "fewer than {FEWEST_HELD_OUT} of the pictures that the run holds out are left, so it has no scores from here on"
        ),
        None if n < FEWEST => format!(
            "fewer than {FEWEST} pictures: none are held out, so the run has no scores; name some with data.held_out"
        ),
        None => format!(
            "too many of the {n} pictures are copies of each other: none are held out, so the run has no scores; name some with \
             data.held_out"
        ),
    }
}

/// What to say of the data: first how much there is. Of them `apart` are held out; `begun` is the rule by which a run that goes
/// on does that.
pub(super) fn of_data(config: &Config, facts: &Facts, apart: usize, begun: Option<Split>) -> Vec<String> {
    let mut remarks = Vec::new();
    let what = if facts.survey.is_some() { "pictures" } else { "points" };
    match &facts.survey {
        Some(survey) => {
            remarks.push(format!("learning from {}: {}", config.data.source, survey.line()));
            for bad in survey.left_out.iter().take(5) {
                remarks.push(format!("left out {}: {}", bad.name, bad.fault));
            }
            if survey.left_out.len() > 5 {
                remarks.push(format!("and {} more that are left out, all in data.jsonl", survey.left_out.len() - 5));
            }
            if survey.rectangles > 0 && config.data.crop.is_none() {
                let (some, all) = (survey.rectangles, survey.pictures);
                remarks.push(format!(
                    "{some} of {all} pictures are not square: training sees the largest square in the middle; data.crop = \"pad\" keeps the whole picture"
                ));
            }
        }
        None => remarks.push(format!("learning from {}: {} points", config.data.source, facts.n)),
    }
    if config.data.holds_out_some() {
        remarks.push(match apart {
            0 => none_held_out(facts.survey.as_ref().map_or(facts.n, |survey| survey.pictures), begun),
            n => format!(
                "{n} of them are held out for scores, chosen by their contents; data.held_out = \"none\" trains on all"
            ),
        });
    }
    if facts.n < config.batch {
        remarks.push(format!(
            "{} {what} are fewer than a batch of {}, so every batch repeats some",
            facts.n, config.batch
        ));
    }
    if let Some(survey) = facts.survey.as_ref().filter(|_| needs_classes(config)) {
        let least = survey.classes.iter().min_by_key(|(_, n)| *n);
        let most = survey.classes.iter().max_by_key(|(_, n)| *n);
        if let (Some((small, few)), Some((large, many))) = (least, most)
            && *many > UNEQUAL * few
        {
            remarks.push(format!("classes are very unequal: {small} has {few} pictures, {large} has {many}"));
        }
    } else if let Some(survey) = &facts.survey {
        let parts: Vec<_> = survey.classes.iter().map(|(name, _)| name.as_str()).filter(|name| is_part(name)).collect();
        if parts.len() > 1 {
            remarks.push(format!(
                "training uses the pictures of {} together; to train on one alone, name its folder",
                parts.join(", ")
            ));
        }
    }
    remarks
}
