//! The numbers of events.jsonl as series.

use super::super::line::Line;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Series that are shown at most: a page of more helps nobody.
const MOST: usize = 60;

/// A number at a step, with its standard error where it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub step: u64,
    pub value: f64,
    pub error: Option<f64>,
}

/// One number over the steps.
pub(super) struct Series<'a> {
    pub name: &'a str,
    /// Whether it is a score on held-out data.
    pub score: bool,
    pub points: &'a [Point],
}

/// All numbers, by the event that they stand in and their name.
pub(super) struct Events {
    series: BTreeMap<(String, String), Vec<Point>>,
    /// What was changed on the way.
    changes: Vec<String>,
}

/// Steps whose speed tells how long the others take.
const RECENT: usize = 10;

const ERROR: &str = "_standard_error";

impl Events {
    /// The lines of a file that are events; others are skipped.
    pub(super) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let mut series = BTreeMap::<(String, String), Vec<Point>>::new();
        let mut changes = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some(Line { step, event, numbers }) = Line::parse(line) else { continue };
            if event == "changed" && changes.len() < MOST {
                changes.extend(change(step, line));
            }
            for (name, value) in &numbers {
                // An error stands beside its number, not for itself.
                if name.strip_suffix(ERROR).is_some_and(|name| numbers.contains_key(name)) {
                    continue;
                }
                let error = numbers.get(&format!("{name}{ERROR}")).copied().filter(|error| *error >= 0.0);
                let key = (event.clone(), name.clone());
                if series.len() < MOST || series.contains_key(&key) {
                    series.entry(key).or_default().push(Point { step, value: *value, error });
                }
            }
        }
        for points in series.values_mut() {
            points.sort_by_key(|p| p.step);
        }
        Self { series, changes }
    }

    /// The greatest step.
    pub(super) fn last_step(&self) -> Option<u64> {
        self.series.values().filter_map(|points| points.last()).map(|p| p.step).max()
    }

    /// The least value of the score that checkpoints are chosen by: name, value, standard error, step.
    pub(super) fn best(&self) -> Option<(&str, f64, Option<f64>, u64)> {
        let ((_, name), points) = self.series.iter().find(|((event, _), _)| event == "score")?;
        let best = points.iter().min_by(|a, b| a.value.total_cmp(&b.value))?;
        Some((name, best.value, best.error, best.step))
    }

    /// Seconds in steps, from the speed that each event gives for the steps since the one before.
    pub(super) fn seconds(&self, batch: f64) -> Option<f64> {
        let speeds = self.series.get(&("step".to_string(), "images_per_second".to_string()))?;
        let mut before = 0;
        let mut seconds = 0.0;
        for p in speeds.iter().filter(|p| p.value > 0.0) {
            seconds += (p.step - before) as f64 * batch / p.value;
            before = p.step;
        }
        (seconds.is_finite() && seconds > 0.0).then_some(seconds)
    }

    /// Pictures a second in the last steps.
    pub(super) fn speed(&self) -> Option<f64> {
        let speeds = self.series.get(&("step".to_string(), "images_per_second".to_string()))?;
        let recent = &speeds[speeds.len().saturating_sub(RECENT)..];
        // Times add up, speeds do not.
        let seconds: f64 = recent.iter().map(|p| 1.0 / p.value).sum();
        let speed = recent.len() as f64 / seconds;
        (speed.is_finite() && speed > 0.0).then_some(speed)
    }

    /// What was changed where the run went on.
    pub(super) fn changes(&self) -> &[String] {
        &self.changes
    }

    /// The series in groups with their titles, in the order in which they are read.
    pub(super) fn groups(&self) -> Vec<(&'static str, Vec<Series<'_>>)> {
        let titles =
            ["Scores on held-out data", "Learning rates", "Speed", "Losses and penalties", "Progress", "Other"];
        let mut groups: Vec<(&str, Vec<Series>)> = titles.map(|title| (title, Vec::new())).into();
        for ((event, name), points) in &self.series {
            let group = match (event.as_str(), name.as_str()) {
                (_, name) if name.contains("learning_rate") => 1,
                ("score", _) => 0,
                ("step", "images_per_second") => 2,
                ("step", _) => 3,
                ("progress", _) => 4,
                _ => 5,
            };
            groups[group].1.push(Series { name, score: event == "score", points });
        }
        groups.retain(|(_, series)| !series.is_empty());
        groups
    }
}

/// A line of the log on a change, as `step 9: steps: 20 → 40`.
fn change(step: u64, line: &[u8]) -> Option<String> {
    let Value::Object(fields) = serde_json::from_slice(line).ok()? else { return None };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let told =
        fields.iter().filter(|(name, _)| !["step", "event"].contains(&name.as_str())).map(
            |(name, value)| match value {
                Value::Array(parts) => format!("{name}: {}", parts.iter().map(text).collect::<Vec<_>>().join(" → ")),
                value => format!("{name}: {}", text(value)),
            },
        );
    Some(format!("step {step}: {}", told.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_have_their_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let lines = [
            "{\"step\":0,\"event\":\"score\",\"kid\":3,\"kid_standard_error\":0.5}",
            "{\"step\":10,\"event\":\"step\",\"loss\":1,\"learning_rate\":0.1,\"images_per_second\":200}",
            "{\"step\":20,\"event\":\"step\",\"loss\":2,\"learning_rate\":0.1,\"images_per_second\":100}",
            "{\"step\":20,\"event\":\"score\",\"kid\":2,\"kid_standard_error\":-1}",
            "{\"step\":20,\"event\":\"progress\",\"p_value\":0.5}",
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let events = Events::read(&path);
        assert_eq!(events.last_step(), Some(20));
        assert_eq!(events.best(), Some(("kid", 2.0, None, 20)));
        // 10 steps of 50 pictures at 200 a second, 10 at 100.
        assert_eq!(events.seconds(50.0), Some(7.5));
        let groups: Vec<_> =
            events.groups().iter().map(|(title, s)| (*title, s.iter().map(|s| s.name).collect::<Vec<_>>())).collect();
        let expected = [
            ("Scores on held-out data", vec!["kid"]),
            ("Learning rates", vec!["learning_rate"]),
            ("Speed", vec!["images_per_second"]),
            ("Losses and penalties", vec!["loss"]),
            ("Progress", vec!["p_value"]),
        ];
        assert_eq!(groups, expected);
    }
}
