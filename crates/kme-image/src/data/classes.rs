//! Whether folders are classes or parts of a data set.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Survey, in_one_line};

/// Names of folders that are parts of a data set and no classes.
const PARTS: [&str; 8] = ["train", "training", "test", "testing", "val", "valid", "validation", "dev"];

/// Whether a class is called like a part of a data set: `train`, `test`, `val`, ...
pub fn is_part(class: &str) -> bool {
    PARTS.contains(&class.to_lowercase().as_str())
}

/// Classes that cannot be meant as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoClasses {
    /// What there is in their place, such as "one class train".
    pub found: String,
    /// What to name instead.
    pub remedy: String,
}

impl Survey {
    /// What is wrong with the classes of this, which is what `source` holds: a single one, or the parts of a data set, which
    /// lie one level above the classes. None where there are no classes at all.
    pub fn no_classes(&self, source: &str) -> Option<NoClasses> {
        let classes: Vec<&str> = self.classes.iter().map(|(name, _)| name.as_str()).collect();
        let are_parts = !classes.is_empty() && classes.iter().all(|class| is_part(class));
        if classes.is_empty() || (classes.len() > 1 && !are_parts) {
            return None;
        }
        // What is meant: the training part, or the only one.
        let meant = *classes.iter().find(|class| class.to_lowercase().starts_with("train")).unwrap_or(&classes[0]);
        let inside: BTreeSet<&str> = self
            .files
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(meant)?.strip_prefix('/')?.split_once('/'))
            .map(|(folder, _)| folder)
            .collect();
        let remedy = match (inside.len(), Path::new(source).is_dir()) {
            (0, _) => "two classes or more, each with a folder of its own".to_string(),
            (_, true) => {
                let shown: Vec<_> = inside.iter().take(5).map(|name| in_one_line(name)).collect();
                let more = if inside.len() > shown.len() { ", ..." } else { "" };
                let folder = Path::new(source).join(meant);
                format!("the folder that holds the classes: {} has {}{more}", folder.display(), shown.join(", "))
            }
            (_, false) => {
                format!("an archive with the folders that are in {meant} at its top: unpack it, and name {meant}")
            }
        };
        let what = if classes.len() == 1 { "one class" } else { "the classes" };
        let found = format!("{what} {}", classes.iter().map(|name| in_one_line(name)).collect::<Vec<_>>().join(", "));
        Some(NoClasses { found, remedy })
    }
}
