//! Settings changed on the way from a preset to a run.

use super::Plan;
use super::config::Config;
use super::config::read::{self, KINDS, SETTING, at, at_mut, fault_of_key, table};
use super::presets::PRESETS;
use kme::{Error, Result};
use std::path::Path;
use toml::{Table, Value};

impl Plan {
    /// The plan that `text` names (a preset, or a TOML file), with settings changed: each is a dotted key, such as
    /// `data.size`, and a value as TOML. A value that is not TOML is a string; an empty one removes the setting. Where a
    /// `kind` is changed, the settings of the old kind that the new one does not have are removed.
    ///
    /// # Errors
    /// As [`load`](Self::load), within the settings that the fault concerns; [`Error::Syntax`] and [`Error::Unsupported`] when a
    /// key does not name a place in a table.
    pub fn load_with(text: &str, sets: &[(String, String)]) -> Result<Self> {
        let (toml, name) = read_text(text)?;
        Ok(Self::changed(&toml, &name, sets)?.named(text))
    }

    /// The plan in the file at `path`, with settings changed.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub(super) fn load_file(path: &Path, sets: &[(String, String)]) -> Result<Self> {
        let toml = std::fs::read_to_string(path).map_err(|e| kme::internal::io::read_error(path, e))?;
        Self::changed(&toml, &path.display().to_string(), sets)
    }

    /// The plan in `toml`, which goes by `name`, with settings changed.
    fn changed(toml: &str, name: &str, sets: &[(String, String)]) -> Result<Self> {
        if sets.is_empty() {
            return Self::parse(toml, Path::new(name));
        }
        let after = changed(toml, name, sets)?;
        read::read(&after).and_then(Config::check).map_err(|fault| {
            let of: Vec<_> = concerned(sets, &fault).iter().map(|(key, value)| format!("{key}={value}")).collect();
            fault.within(format!("{name} with {}", of.join(", ")))
        })
    }
}

/// The TOML text that `text` names, and its name for messages.
fn read_text(text: &str) -> Result<(String, String)> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == text) {
        return Ok((preset.toml.into(), text.into()));
    }
    let path = Path::new(text);
    if !path.exists() && !text.ends_with(".toml") && !text.contains(['/', '\\']) {
        return Err(Error::unknown("preset", text, Plan::presets().map(|preset| preset.name)));
    }
    if path.is_dir() {
        let problem = match path.join("config.toml").is_file() {
            true => "is a run folder: name its config.toml to begin a new run like it, or resume it",
            false => "is a folder: name a preset or a TOML file",
        };
        return Err(Error::path(path, problem));
    }
    Ok((std::fs::read_to_string(path).map_err(|e| kme::internal::io::read_error(path, e))?, text.into()))
}

/// The table in `toml`, which goes by `name`, with settings changed.
pub(super) fn changed(toml: &str, name: &str, sets: &[(String, String)]) -> Result<Table> {
    let before = table(toml, Path::new(name))?;
    let mut after = before.clone();
    for (key, value) in sets {
        set(&mut after, key, value)?;
    }
    drop_stale(&mut after, &before, sets);
    Ok(after)
}

/// The settings that a fault is about, or else those of its table, or else all.
fn concerned<'a>(sets: &'a [(String, String)], fault: &Error) -> Vec<&'a (String, String)> {
    let key = match (fault, fault.kind()) {
        (Error::Within { of, .. }, Error::UnknownName { name, .. }) => format!("{of}.{name}"),
        (_, Error::UnknownName { what, name, .. }) if what == SETTING => name.clone(),
        (_, Error::UnknownName { what, .. } | Error::Syntax { what, .. }) => what.to_string(),
        (_, other) => other.parameter_name().unwrap_or_default().to_string(),
    };
    let is_in = |table: &str| key.strip_prefix(table.trim()).is_some_and(|rest| rest.starts_with('.'));
    let own = |(set, _): &&(String, String)| set.trim() == key || is_in(set);
    let beside = |(set, _): &&(String, String)| set.rsplit_once('.').is_some_and(|(table, _)| is_in(table));
    let [own, beside]: [Vec<_>; 2] = [sets.iter().filter(own).collect(), sets.iter().filter(beside).collect()];
    [own, beside].into_iter().find(|some| !some.is_empty()).unwrap_or_else(|| sets.iter().collect())
}

/// Removes, where a `kind` was changed, what the old kind has and the new one does not, or has as something else. What was
/// set itself stays, so that it is refused and not lost.
fn drop_stale(after: &mut Table, before: &Table, sets: &[(String, String)]) {
    for (place, reader) in KINDS {
        let (Some(Value::Table(old)), Some(Value::Table(new))) = (at(before, place), at(after, place)) else {
            continue;
        };
        let (Some(old_kind), Some(new_kind)) = (old.get("kind"), new.get("kind")) else { continue };
        if old_kind == new_kind {
            continue;
        }
        let is_set = |key: &str| {
            let (own, inside) = (format!("{place}.{key}"), format!("{place}.{key}."));
            sets.iter().any(|(set, _)| *set == own || set.starts_with(&inside) || *set == place)
        };
        let fits = |kind: &Value, key: &str, value: &Value| fault_of_key(reader, kind, key, value).is_none();
        let stale: Vec<String> = new
            .iter()
            .filter(|(key, value)| fits(old_kind, key, value) && !fits(new_kind, key, value))
            .map(|(key, _)| key.clone())
            .filter(|key| key != "kind" && !is_set(key))
            .collect();
        if let Some(Value::Table(table)) = at_mut(after, place) {
            stale.iter().for_each(|key| drop(table.remove(key)));
        }
    }
}

/// Puts a value at a dotted key; tables on the way are made.
fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    let parts: Vec<&str> = key.split('.').map(str::trim).collect();
    let [tables @ .., last] = &parts[..] else { return Ok(()) };
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Error::syntax("key of a setting", key, "write names with dots between them, such as data.size"));
    }
    if parts == ["preset"] {
        let reason = "a run remembers the preset or file that it was begun as. Begin a new run to use another one";
        return Err(Error::unsupported("change preset", reason));
    }
    let removes = value.trim().is_empty();
    let mut place = table;
    for part in tables {
        if removes && !place.contains_key(*part) {
            return Ok(());
        }
        let inner = place.entry(*part).or_insert_with(|| Value::Table(Table::new()));
        let found = inner.type_str();
        place = inner.as_table_mut().ok_or_else(|| {
            Error::unsupported(format!("set {key}"), format!("'{part}' is a single value ({found}), not a table"))
        })?;
    }
    if removes {
        place.remove(*last);
    } else {
        place.insert(last.to_string(), parsed(value));
    }
    Ok(())
}

/// A value as TOML, or else as a string.
fn parsed(value: &str) -> Value {
    let line = format!("value = {value}").parse::<Table>().ok().filter(|table| table.len() == 1);
    line.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(sets: &[(&str, &str)]) -> Result<Config> {
        let sets: Vec<_> = sets.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Plan::load_with("fashion-mmd-gan", &sets).map(Plan::into_config)
    }

    #[test]
    fn any_setting_can_be_changed() {
        let plain = Plan::load("fashion-mmd-gan").unwrap().into_config();
        assert_eq!(load(&[]).unwrap(), plain);
        let config = load(&[
            ("steps", "12"),
            ("data.source", "my:pictures"),
            ("log.every", "3"),
            ("data.held_out", ""),
            ("critic.burst.every", ""),
        ]);
        let config = config.unwrap();
        assert_eq!((config.steps, &config.data.source[..], config.log.every), (12, "my:pictures", 3));
        assert_eq!(config.data.held_out, None);
        assert_eq!((config.batch, &config.optimiser), (plain.batch, &plain.optimiser));
        // The last one holds.
        assert_eq!(load(&[("seed", "1"), ("seed", "2")]).unwrap().seed, 2);
    }

    #[test]
    fn faults_name_the_setting() {
        for (key, value, expected) in [
            ("stepz", "3", "stepz"),
            ("steps", "many", "steps=many"),
            ("steps", "0", "steps"),
            ("data.sizes", "3", "data: unknown setting 'sizes'; did you mean 'size'"),
            ("data.size.x", "3", "cannot set data.size.x: 'size' is a single value (integer), not a table"),
            ("data..size", "3", "data..size"),
            ("", "3", "write names with dots"),
            ("nowhere.x", "3", "nowhere"),
            ("steps", "3\nbatch = 7", "steps"),
            ("steps", "-1", "with steps=-1: steps is -1, but must be a whole number from 0 on"),
            ("steps", "1e3", "a whole number from 0 on"),
            ("steps", "99999999999999999999", "a whole number of at most 9223372036854775807"),
            ("optimiser", "3", "optimiser is 3, but must be a table"),
            ("data", "3", "data is 3, but must be a table"),
            ("optimiser.kind", "3", "optimiser.kind is 3, but must be one of adam, sgd, rmsprop"),
            ("generator.latent.prior", "3", "generator.latent.prior is 3, but must be one of normal, uniform"),
            ("critic.net", "{ kind = \"mlp\", hidden = [8, \"x\"] }", "but must be a list of whole numbers from 0 on"),
            ("critic.net", "{ kind = \"mlp\", hidden = 8 }", "critic.net.hidden is 8, but must be a list"),
            ("optimiser.learning_rate", "1e300", "optimiser.learning_rate is 1e300, but must be from 1e-9 to 10000"),
            ("optimiser.learning_rate", "", "optimiser.learning_rate is missing"),
            ("preset", "x", "cannot change preset"),
        ] {
            let message = load(&[(key, value)]).unwrap_err().to_string();
            assert!(message.contains(expected), "{key}={value}: {message}");
        }
        assert!(Plan::load_with("nothing", &[("a".into(), "1".into())]).unwrap_err().to_string().contains("nothing"));
    }

    #[test]
    fn another_kind_takes_no_settings_of_the_old_one_along() {
        let sgd = load(&[("optimiser.kind", "sgd")]).unwrap().optimiser;
        assert_eq!((sgd.learning_rate(), sgd.clip()), (3e-4, Some(1.0)));
        // In any order with settings of the new kind.
        load(&[("optimiser.momentum", "0.9"), ("optimiser.kind", "sgd")]).unwrap();
        load(&[("schedule.kind", "constant")]).unwrap();
        load(&[("schedule.kind", "decay"), ("schedule.factor", "0.5"), ("schedule.every", "9")]).unwrap();
        load(&[("objective.kind", "wasserstein"), ("critic.top", "1")]).unwrap();
        let without_networks = [("generator", ""), ("critic", ""), ("regulariser", ""), ("score", "")];
        let classifier = [
            ("objective.kind", "classifier"),
            ("objective.width", "8"),
            ("objective.features", "16"),
            ("objective.shift", "2"),
        ];
        load(&[&classifier[..], &without_networks[..]].concat()).unwrap();
        let fault = |sets: &[(&str, &str)]| load(sets).unwrap_err().to_string();
        // What is missing then is named, and so is what was set and does not fit.
        let message = fault(&[("objective.kind", "classifier"), ("batch", "32")]);
        assert!(
            message.contains("objective.kind=classifier: objective.") && message.contains(" is missing"),
            "{message}"
        );
        let message = fault(&[("schedule.kind", "decay")]);
        assert!(message.contains("with schedule.kind=decay: schedule.factor is missing"), "{message}");
        let message = fault(&[("optimiser.kind", "sgd"), ("optimiser.beta1", "0.5"), ("steps", "7")]);
        assert!(
            message.ends_with(
                "with optimiser.beta1=0.5: optimiser: unknown setting 'beta1'; choose one of learning_rate, \
                 momentum, clip"
            ),
            "{message}"
        );
        let message = fault(&[("optimiser.kind", "eve")]);
        assert!(message.contains("unknown optimiser.kind 'eve'; choose one of adam, sgd, rmsprop"), "{message}");
        let back = [("optimiser.kind".to_string(), "adam".to_string())];
        let message = Plan::load_with("fashion-wgan", &back).unwrap_err().to_string();
        assert!(message.contains("optimiser.beta1 is missing"), "{message}");
        // A table that is set as a whole is taken as it is.
        assert!(fault(&[("optimiser", "{ kind = \"sgd\", learning_rate = 1, beta1 = 0.5 }")]).contains("beta1"));
    }

    #[test]
    fn values_are_toml_or_else_text() {
        assert_eq!(parsed("3"), Value::Integer(3));
        assert_eq!(parsed("1e-3"), Value::Float(1e-3));
        assert_eq!(parsed("true"), Value::Boolean(true));
        assert_eq!(parsed("\"3\""), Value::String("3".into()));
        assert_eq!(parsed("rq:alpha=0.2,1+linear"), Value::String("rq:alpha=0.2,1+linear".into()));
        assert_eq!(parsed("1\nx = 2"), Value::String("1\nx = 2".into()));
        assert!(matches!(parsed("{ dim = 4, prior = \"normal\" }"), Value::Table(t) if t.len() == 2));
    }
}
