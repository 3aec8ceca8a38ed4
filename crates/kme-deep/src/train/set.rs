//! Settings changed on the way from a preset to a run.

use super::config::Config;
use kme::{Error, Result};
use serde::Deserialize;
use toml::{Table, Value};

impl Config {
    /// The configuration that `text` names (a preset, or a TOML file), with settings changed: each is a dotted key, such as
    /// `data.size`, and a value as TOML. A value that is no TOML is a string; an empty one removes the setting.
    ///
    /// # Errors
    /// As [`Config::load`], and when a key does not name a place in a table; faults name the settings that were changed.
    pub fn load_with(text: &str, sets: &[(String, String)]) -> Result<Self> {
        if sets.is_empty() {
            return Self::load(text);
        }
        let (toml, name) = Self::text(text)?;
        let mut table: Table = toml.parse().map_err(|e| Error::file(&name, e))?;
        for (key, value) in sets {
            set(&mut table, key, value)?;
        }
        let changed: Vec<String> = sets.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let fault = |e: &dyn std::fmt::Display| {
            let text = e.to_string();
            Error::file(&name, format!("with {}: {}", changed.join(", "), text.trim_end().replace('\n', " ")))
        };
        let config = Self::deserialize(table).map_err(|e| fault(&e))?;
        config.check().map_err(|e| fault(&e))?;
        Ok(config)
    }
}

/// Puts a value at a dotted key; tables on the way are made.
fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    let parts: Vec<&str> = key.split('.').map(str::trim).collect();
    let [tables @ .., last] = &parts[..] else { return Ok(()) };
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Error::value("key of --set", key, "names with dots between them, such as data.size"));
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
            Error::value("key of --set", key, format!("a key in a table; '{part}' is a single value ({found})"))
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
        Config::load_with("fashion-mmd-gan", &sets)
    }

    #[test]
    fn any_setting_can_be_changed() {
        let plain = Config::load("fashion-mmd-gan").unwrap();
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
            ("data.sizes", "3", "sizes"),
            ("data.size.x", "3", "'size' is a single value (integer)"),
            ("data..size", "3", "data..size"),
            ("", "3", "names with dots"),
            ("nowhere.x", "3", "nowhere"),
            ("steps", "3\nbatch = 7", "steps"),
        ] {
            let message = load(&[(key, value)]).unwrap_err().to_string();
            assert!(message.contains(expected), "{key}={value}: {message}");
        }
        assert!(Config::load_with("nothing", &[("a".into(), "1".into())]).unwrap_err().to_string().contains("nothing"));
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
