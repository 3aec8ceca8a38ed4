//! Going on with a run: what may be changed on the way, and how changed data are told.

use super::config::Config;
use super::data::AUTO;
use kme::{Error, Field, Result};
use kme_image::{Survey, hex};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Changes to a run that is resumed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Settings, as dotted keys with TOML values.
    pub sets: Vec<(String, String)>,
    /// Goes on with other data than the run was begun with: files that were added, removed or changed.
    pub other_data: bool,
}

/// Settings that may be changed on the way; a name that ends in a dot stands for all below it.
const CHANGEABLE: [&str; 11] = [
    "steps",
    "optimiser.learning_rate",
    "optimiser.clip",
    "critic.learning_rate",
    "schedule.",
    "score.count",
    "data.source",
    "data.held_out",
    "data.skip_bad",
    "data.stream",
    "log.",
];

/// Settings that say nothing of what is trained.
const SILENT: [&str; 3] = ["log.", "begun_in", "from"];

fn is_one_of(key: &str, keys: &[&str]) -> bool {
    keys.iter().any(|known| if known.ends_with('.') { key.starts_with(known) } else { key == *known })
}

/// Settings that differ, as key, value before and value now.
pub(super) type Differences = Vec<[String; 3]>;

/// What is otherwise in `now` than in `begun`, the configuration of a run after `step` steps, but for what is written how
/// often. What of it was asked for is in `sets`; the rest stands so in `file`, the run's configuration.
///
/// # Errors
/// [`Error::Parameter`] when a setting differs that must not, within `file` where it was changed there.
pub(super) fn differences(
    begun: &Config,
    now: &Config,
    step: u64,
    sets: &[(String, String)],
    file: &Path,
) -> Result<Differences> {
    let all = begun.differences(now);
    let is_set =
        |key: &str| sets.iter().any(|(set, _)| key == set.trim() || key.starts_with(&format!("{}.", set.trim())));
    let refused = |key: &str, was: &str, is: &str| {
        let free = format!("{}*", CHANGEABLE.join(", ").replace("., ", ".*, "));
        let remedy = "start a new run. While a run goes on, these may change";
        let allowed = match is_set(key) {
            true => format!("{was}, as when the run began: leave it so, or {remedy}: {free}"),
            false => format!("{was}, as in the run's last checkpoint: undo the change, or {remedy}: {free}"),
        };
        let fault = Error::parameter(key.to_string(), is, allowed);
        Err(if is_set(key) { fault } else { fault.within(file.display()) })
    };
    for [key, was, is] in &all {
        if !is_one_of(key, &CHANGEABLE) && !is_one_of(key, &SILENT) {
            return refused(key, was, is);
        }
        let auto = format!("\"{AUTO}\"");
        if key == "data.held_out" && [was, is].contains(&&auto) {
            return refused(key, was, is);
        }
        if key == "steps" && now.steps < step {
            return Err(Error::parameter("steps", is, format!("at least {step}, the number of steps that are done")));
        }
    }
    Ok(all.into_iter().filter(|[key, ..]| !is_one_of(key, &SILENT)).collect())
}

/// How many names are told.
const NAMED: usize = 5;

/// Which of the files of a run with the SHA-256 `before` are other ones now.
pub(super) fn changed_files(before: &HashMap<String, String>, now: Option<&Survey>) -> Option<String> {
    let now: HashMap<&str, String> = now?.files.iter().map(|(name, sha256)| (name.as_str(), hex(sha256))).collect();
    if before.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = before.keys().map(String::as_str).chain(now.keys().copied()).collect();
    let kind = |name: &str| match (before.get(name), now.get(name)) {
        (Some(_), None) => Some("removed"),
        (None, Some(_)) => Some("added"),
        (Some(a), Some(b)) if a != b => Some("changed"),
        _ => None,
    };
    let parts = ["removed", "changed", "added"].map(|wanted| {
        let some: Vec<&str> = names.iter().copied().filter(|name| kind(name) == Some(wanted)).collect();
        let more = if some.len() > NAMED { format!(" and {} more", some.len() - NAMED) } else { String::new() };
        let shown = some[..some.len().min(NAMED)].join(", ");
        (!some.is_empty()).then(|| format!("{} {wanted}: {shown}{more}", some.len()))
    });
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
}

/// The refusal of data with another fingerprint than the run was begun with; what differs comes first.
pub(super) fn refusal(now: &str, begun: &str, files: Option<String>, source: &str) -> Error {
    // Of the fingerprints, their beginnings are enough.
    let [now, begun] = [now, begun].map(|hash| hash.get(..12).map_or(hash.into(), |begin| format!("{begin}...")));
    let remedy = format!("{source} has changed since the run began; bring it back, or start a new run");
    let fault = Error::mismatch(Field::Data, now, begun, remedy);
    match files {
        Some(files) => fault.within(files),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Plan;

    #[test]
    fn files_that_differ_are_named() {
        let before = |names: &[&str]| names.iter().map(|n| (n.to_string(), hex(&[1; 32]))).collect::<HashMap<_, _>>();
        let now = |names: &[(&str, u8)]| Survey {
            files: names.iter().map(|(n, d)| (n.to_string(), [*d; 32])).collect(),
            ..Survey::default()
        };
        let told = |was: &[&str], is: &[(&str, u8)]| changed_files(&before(was), Some(&now(is)));
        assert_eq!(told(&["a", "b"], &[("a", 1), ("b", 1)]), None);
        assert_eq!(
            told(&["a", "b", "c"], &[("b", 2), ("c", 1), ("d", 1)]).unwrap(),
            "1 removed: a; 1 changed: b; 1 added: d"
        );
        let many = told(&["a", "b", "c", "d", "e", "f", "g", "z"], &[("z", 1)]).unwrap();
        assert_eq!(many, "7 removed: a, b, c, d, e and 2 more");
        assert_eq!(told(&[], &[("z", 1)]), None);
        assert_eq!(changed_files(&before(&["a"]), None), None);
    }

    #[test]
    fn some_settings_may_be_changed_on_the_way() {
        let set = |key: &str, value: &str| [(key.to_string(), value.to_string())];
        let begun = Plan::load("fashion-mmd-gan").unwrap().into_config();
        let file = Path::new("run/config.toml");
        let changed = |key: &str, value: &str| {
            let now = Plan::load_with("fashion-mmd-gan", &set(key, value)).unwrap().into_config();
            let asked = differences(&begun, &now, 7, &set(key, value), file).map_err(|fault| fault.to_string());
            let edited = differences(&begun, &now, 7, &[], file).map_err(|fault| fault.to_string());
            assert_eq!(asked.is_ok(), edited.is_ok(), "{key}");
            (asked, edited)
        };
        // With how many differences.
        for (key, value, expected) in [
            ("log.every", "3", 0),
            ("log.minutes", "3", 0),
            ("begun_in", "/elsewhere", 0),
            ("steps", "99999", 1),
            ("optimiser.learning_rate", "1e-5", 1),
            ("optimiser.clip", "0.5", 1),
            ("optimiser.clip", "", 1),
            ("critic.learning_rate", "1e-5", 1),
            ("schedule.kind", "constant", 1),
            ("schedule", "{ kind = \"decay\", factor = 0.5, every = 9 }", 3),
            ("score.count", "77", 1),
            ("data.source", "elsewhere", 1),
            ("data.held_out", "elsewhere", 1),
            ("data.held_out", "none", 1),
            ("data.skip_bad", "true", 1),
            ("data.stream", "true", 1),
        ] {
            let (asked, edited) = changed(key, value);
            let asked = asked.unwrap_or_else(|fault| panic!("{key}: {fault}"));
            let shown: Vec<_> = asked.iter().map(|[key, ..]| key.as_str()).collect();
            let table = key.split('.').next().unwrap();
            assert!(shown.iter().all(|key| key.starts_with(table)), "{key}: {shown:?}");
            assert!(asked.len() == expected || (table == "schedule" && asked.len() >= expected), "{key}: {shown:?}");
            assert_eq!(edited.unwrap(), asked);
        }
        let steps = begun.steps.to_string();
        assert_eq!(changed("steps", "99999").0.unwrap(), [["steps".to_string(), steps, "99999".into()]]);
        for (key, value) in [
            ("batch", "32"),
            ("seed", "3"),
            ("optimiser.beta1", "0.25"),
            ("optimiser.kind", "sgd"),
            ("critic.steps", "2"),
            ("critic.net.width", "8"),
            ("generator.net.width", "8"),
            ("score.features", "pixels"),
            ("data.size", "16"),
            ("data.channels", "3"),
            ("data.crop", "pad"),
            ("data.background", "black"),
            ("data.flip", "true"),
            ("data.held_out", "auto"),
        ] {
            let (asked, edited) = changed(key, value);
            let (asked, edited) = (asked.unwrap_err(), edited.unwrap_err());
            // The one was asked for, the other stands in the file.
            assert!(asked.contains("leave it so") && !asked.contains("run/config.toml"), "{asked}");
            assert!(edited.starts_with("run/config.toml: ") && edited.contains("undo the change"), "{edited}");
            for fault in [asked, edited] {
                assert!(fault.contains(key.split('.').next().unwrap()) && fault.contains("schedule.*"), "{fault}");
            }
        }
        let fault = changed("steps", "6").0.unwrap_err();
        assert_eq!(fault, "steps is 6, but must be at least 7, the number of steps that are done");
    }
}
