//! The error type of the workspace.
//!
//! A *kind* for code that asks what went wrong, typed fields for what it needs to know, and one plain sentence for people:
//! what was given, what is allowed, what to do. The library names parameters, as they are spelled in its functions and
//! configurations (`subset_size`, `critic.steps`). It knows no flags of a command: whoever has flags renames parameters
//! with [`Error::renamed`], which is the one place for it.

mod named;

pub(crate) use named::named;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Text of a field: fixed by the library, or made of what was given.
pub(crate) type Text = Cow<'static, str>;

/// A fault in something that a user gave. Nothing in here is an internal fault: those are bugs and panic.
///
/// Messages may quote files. So that these cannot command the terminal, control characters other than the newline are
/// shown as escapes (`\u{1b}`).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A parameter has a value outside of what is `allowed`, which completes "must be ...".
    Parameter {
        /// Its name, as the library spells it.
        parameter: Text,
        /// What was given.
        given: String,
        /// Completes "must be ...".
        allowed: Text,
    },
    /// A number in what was given is outside of what is `allowed`: a pixel, a weight, a size in a file, the parameter of a
    /// kernel in its text.
    Value {
        /// The thing, by name.
        what: Text,
        /// What was given.
        given: String,
        /// Completes "must be ...".
        allowed: Text,
    },
    /// A parameter that is needed was not given; `remedy` is a sentence in the imperative.
    Missing {
        /// Its name, as the library spells it.
        parameter: Text,
        /// What to do.
        remedy: Text,
    },
    /// A parameter was given that has no effect here; `reason` is a sentence.
    NotApplicable {
        /// Its name, as the library spells it.
        parameter: Text,
        /// Why.
        reason: Text,
    },
    /// Nothing of the sort `what` ("kernel", "protocol") has this name.
    UnknownName {
        /// The thing, by name.
        what: Text,
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
        /// What to do.
        remedy: Option<Text>,
    },
    /// A text that names a `what` does not follow its grammar.
    Syntax {
        /// The thing, by name.
        what: Text,
        /// The text that was given.
        text: String,
        /// What is wrong with it.
        problem: Text,
    },
    /// The operation needs more of `what` ("points", "pictures"); `purpose` is who needs them ("the unbiased estimator").
    TooFew {
        /// The thing, by name.
        what: Text,
        /// What was given.
        given: usize,
        /// How many are needed.
        least: usize,
        /// Who needs them.
        purpose: Text,
    },
    /// The operation would need more of something than there can be: memory, pixels, numbers of a type.
    TooMany {
        /// The thing, by name.
        what: Text,
        /// What was given.
        given: String,
        /// How much there can be.
        most: String,
        /// What to do.
        remedy: Text,
    },
    /// A number that was given or computed is infinite or NaN, or too large for what follows.
    NotFinite {
        /// The thing, by name.
        what: Text,
        /// What was given.
        given: f64,
        /// What to do.
        remedy: Text,
    },
    /// Two things that must agree do not.
    Mismatch {
        /// In what they differ.
        field: Field,
        /// One of them.
        left: String,
        /// The other.
        right: String,
        /// What to do.
        remedy: Text,
    },
    /// What was asked for cannot be done with what was given; `operation` completes "cannot ...".
    Unsupported {
        /// Completes "cannot ...".
        operation: Text,
        /// Why.
        reason: Text,
    },
    /// The system refused to do something with a file.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: Action,
        /// What to do.
        remedy: Option<Text>,
        /// The error below this one.
        source: io::Error,
    },
    /// A file does not hold what it should.
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: Text,
        /// The error below this one.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A path cannot be used for what is meant; `problem` says why, and what to do.
    Path {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: Text,
    },
    /// An error of something that belongs to `of`: an entry of an archive, a key of a configuration.
    Within {
        /// What it belongs to.
        of: String,
        /// The error below this one.
        source: Box<Error>,
    },
    /// Whoever observed the work asked for it to stop.
    Cancelled,
}

/// In what two things differ that must agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The kernels.
    Kernel,
    /// The names of the feature maps.
    FeatureMap,
    /// The SHA-256 of the feature maps' weights.
    FeatureWeights,
    /// The preprocessing of pictures before the feature maps.
    Preprocessing,
    /// The dimension of points.
    Dimension,
    /// How many of something there are: points, weights, radii.
    Count(Text),
    /// Whether an embedding holds points or a mean of random features.
    Form,
    /// The frequencies of random features.
    RandomFeatures,
    /// The shape of pictures, tensors or layers.
    Shape(Text),
    /// The fingerprint of data.
    Data,
    /// Anything else, by its name.
    Other(Text),
}

/// What was tried with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Reading it, or listing a folder.
    Read,
    /// Writing or making it.
    Write,
    /// Removing it.
    Remove,
}

/// Result of anything that can fail on a user's input.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// [`Error::Parameter`]: "`parameter` is `given`, but must be `allowed`".
    pub fn parameter(parameter: impl Into<Text>, given: impl ToString, allowed: impl Into<Text>) -> Self {
        Self::Parameter { parameter: parameter.into(), given: readable(given.to_string()), allowed: allowed.into() }
    }

    /// [`Error::Value`]: "`what` is `given`, but must be `allowed`".
    pub fn value(what: impl Into<Text>, given: impl ToString, allowed: impl Into<Text>) -> Self {
        Self::Value { what: what.into(), given: readable(given.to_string()), allowed: allowed.into() }
    }

    /// [`Error::Missing`]: "`parameter` is missing: `remedy`".
    pub fn missing(parameter: impl Into<Text>, remedy: impl Into<Text>) -> Self {
        Self::Missing { parameter: parameter.into(), remedy: remedy.into() }
    }

    /// [`Error::NotApplicable`]: "`parameter` has no effect here: `reason`".
    pub fn not_applicable(parameter: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self::NotApplicable { parameter: parameter.into(), reason: reason.into() }
    }

    /// [`Error::UnknownName`]: "unknown `what` 'name'", with the nearest of `known`, or all of them where they are few.
    pub fn unknown<T: ToString>(
        what: impl Into<Text>,
        name: impl ToString,
        known: impl IntoIterator<Item = T>,
    ) -> Self {
        let known = known.into_iter().map(|name| name.to_string()).collect();
        Self::UnknownName { what: what.into(), name: name.to_string(), known, remedy: None }
    }

    /// [`Error::Syntax`]: "cannot read `what` 'text': `problem`".
    pub fn syntax(what: impl Into<Text>, text: impl ToString, problem: impl Into<Text>) -> Self {
        Self::Syntax { what: what.into(), text: text.to_string(), problem: problem.into() }
    }

    /// [`Error::TooFew`]: "`purpose` needs at least `least` `what`, but there are `given`".
    pub fn too_few(what: impl Into<Text>, given: usize, least: usize, purpose: impl Into<Text>) -> Self {
        Self::TooFew { what: what.into(), given, least, purpose: purpose.into() }
    }

    /// [`Error::TooMany`]: "`what` is `given`, more than `most`: `remedy`".
    pub fn too_many(what: impl Into<Text>, given: impl ToString, most: impl ToString, remedy: impl Into<Text>) -> Self {
        Self::TooMany { what: what.into(), given: given.to_string(), most: most.to_string(), remedy: remedy.into() }
    }

    /// [`Error::NotFinite`]: "`what` is `given`, which is not a usable number: `remedy`".
    pub fn not_finite(what: impl Into<Text>, given: f64, remedy: impl Into<Text>) -> Self {
        Self::NotFinite { what: what.into(), given, remedy: remedy.into() }
    }

    /// [`Error::Mismatch`]: "`field` differs: `left` and `right`; `remedy`".
    pub fn mismatch(
        field: impl Into<Field>,
        left: impl ToString,
        right: impl ToString,
        remedy: impl Into<Text>,
    ) -> Self {
        Self::Mismatch { field: field.into(), left: left.to_string(), right: right.to_string(), remedy: remedy.into() }
    }

    /// [`Error::Unsupported`]: "cannot `operation`: `reason`".
    pub fn unsupported(operation: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self::Unsupported { operation: operation.into(), reason: reason.into() }
    }

    /// [`Error::Io`] for `source`, which the system said while `path` was read, written or removed.
    pub fn io(path: impl Into<PathBuf>, action: Action, source: io::Error) -> Self {
        Self::Io { path: path.into(), action, remedy: None, source }
    }

    /// [`Error::Format`]: "`path`: `problem`".
    pub fn format(path: impl Into<PathBuf>, problem: impl Into<Text>) -> Self {
        Self::Format { path: path.into(), problem: problem.into(), source: None }
    }

    /// [`Error::Format`] with the error that a reader of the format gave.
    pub fn unreadable(
        path: impl Into<PathBuf>,
        problem: impl Into<Text>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Format { path: path.into(), problem: problem.into(), source: Some(source.into()) }
    }

    /// [`Error::Path`]: "`path`: `problem`".
    pub fn path(path: impl Into<PathBuf>, problem: impl Into<Text>) -> Self {
        Self::Path { path: path.into(), problem: problem.into() }
    }

    /// This error as one of something that belongs to `of`: "`of`: ...".
    pub fn within(self, of: impl ToString) -> Self {
        Self::Within { of: of.to_string(), source: Box::new(self) }
    }

    /// The error under all that [`Error::within`] added, and under a file that was read but cannot be used because of it.
    pub fn kind(&self) -> &Self {
        match self {
            Self::Within { source, .. } => source.kind(),
            Self::Format { source: Some(source), .. } => source.downcast_ref::<Self>().map_or(self, Self::kind),
            other => other,
        }
    }

    /// The parameter that the error is about, if it is about one.
    pub fn parameter_name(&self) -> Option<&str> {
        match self {
            Self::Parameter { parameter, .. }
            | Self::Missing { parameter, .. }
            | Self::NotApplicable { parameter, .. } => Some(parameter),
            Self::Within { source, .. } => source.parameter_name(),
            _ => None,
        }
    }

    /// The same error with its parameter as `name` spells it: for a command line, a form, a keyword argument.
    pub fn renamed(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        match &mut self {
            Self::Parameter { parameter, .. }
            | Self::Missing { parameter, .. }
            | Self::NotApplicable { parameter, .. } => {
                if let Some(name) = name(parameter) {
                    *parameter = name.into();
                }
            }
            Self::Within { source, .. } => {
                let inner = std::mem::replace(&mut **source, Self::Cancelled);
                **source = inner.renamed(name);
            }
            _ => {}
        }
        self
    }

    /// The path of the file that the error is about, if it is about one.
    pub fn file_path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. } | Self::Format { path, .. } | Self::Path { path, .. } => Some(path),
            Self::Within { source, .. } => source.file_path(),
            _ => None,
        }
    }

    /// The message about the file that the error is about, without its path; of other errors the whole message.
    pub fn problem(&self) -> String {
        match self {
            Self::Io { remedy: None, source, .. } => reason(source),
            Self::Io { remedy: Some(remedy), source, .. } => format!("{}; {remedy}", reason(source)),
            Self::Format { problem, source: Some(source), .. } => format!("{problem} ({source})"),
            Self::Format { problem, .. } | Self::Path { problem, .. } => problem.to_string(),
            other => other.to_string(),
        }
    }

    /// The same error of a file or an unknown name with one more thing to do about it; other errors stay as they are.
    #[must_use]
    pub fn advising(mut self, advice: impl fmt::Display) -> Self {
        match &mut self {
            Self::Format { problem: text, .. }
            | Self::Path { problem: text, .. }
            | Self::Io { remedy: Some(text), .. } => {
                *text = format!("{text}; {advice}").into();
            }
            Self::Io { remedy, .. } | Self::UnknownName { remedy, .. } => *remedy = Some(advice.to_string().into()),
            Self::Within { source, .. } => {
                let inner = std::mem::replace(&mut **source, Self::Cancelled);
                **source = inner.advising(advice);
            }
            _ => {}
        }
        self
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Format { source, .. } => source.as_ref().map(|source| &**source as &(dyn StdError + 'static)),
            Self::Within { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    /// One sentence. It says what the sources say too, so that nobody needs to walk the chain to understand it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Parameter { parameter: what, given, allowed } | Self::Value { what, given, allowed } => {
                format!("{what} is {given}, but must be {allowed}")
            }
            Self::Missing { parameter, remedy } => format!("{parameter} is missing: {remedy}"),
            Self::NotApplicable { parameter, reason } => format!("{parameter} has no effect here: {reason}"),
            Self::UnknownName { what, name, known, remedy } => {
                let text = format!("unknown {what} '{name}'{}", suggestion(name, known));
                match remedy {
                    Some(remedy) if text.ends_with('?') => format!("{text} {remedy}"),
                    Some(remedy) => format!("{text}. {remedy}"),
                    None => text,
                }
            }
            Self::Syntax { what, text, problem } => format!("cannot read {what} '{text}': {problem}"),
            Self::TooFew { what, given: 0, least: 1, purpose } => format!("{purpose} needs {what}, but there are none"),
            Self::TooFew { what, given, least, purpose } => {
                let there = match given {
                    0 => "there are none".into(),
                    1 => "there is 1".into(),
                    _ => format!("there are {given}"),
                };
                format!("{purpose} needs at least {least} {what}, but {there}")
            }
            Self::TooMany { what, given, most, remedy } => format!("{what}: {given} is more than {most}; {remedy}"),
            Self::NotFinite { what, given, remedy } => {
                format!("{what} is {}, which is not a usable number: {remedy}", readable(given.to_string()))
            }
            Self::Mismatch { field, left, right, remedy } => format!("{field} differs: {left} and {right}; {remedy}"),
            Self::Unsupported { operation, reason } => format!("cannot {operation}: {reason}"),
            Self::Io { path, action, .. } => format!("cannot {action} {}: {}", path.display(), self.problem()),
            Self::Format { path, .. } | Self::Path { path, .. } => {
                format!("{}: {}", path.display(), self.problem())
            }
            Self::Within { of, source } => format!("{of}: {source}"),
            Self::Cancelled => "stopped, as asked".into(),
        };
        harmless(&text, f)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::FeatureMap => "feature map",
            Self::FeatureWeights => "SHA-256 of the feature map's weights",
            Self::Preprocessing => "preprocessing of the feature map",
            Self::Dimension => "dimension of the points",
            Self::Form => "form of the embeddings",
            Self::RandomFeatures => "random features",
            Self::Data => "data fingerprint",
            Self::Count(of) => return write!(f, "number of {of}"),
            Self::Shape(of) => return write!(f, "shape of {of}"),
            Self::Other(name) => name,
        })
    }
}

impl<T: Into<Text>> From<T> for Field {
    fn from(name: T) -> Self {
        Self::Other(name.into())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
        })
    }
}

/// The system's own error under any wrapping by libraries.
pub(crate) fn root(error: &io::Error) -> &io::Error {
    let mut found = error;
    let mut next = error.get_ref().map(|e| e as &(dyn StdError + 'static));
    while let Some(e) = next {
        next = e.source();
        if let Some(inner) = e.downcast_ref::<io::Error>() {
            found = inner;
            next = inner.get_ref().map(|e| e as &(dyn StdError + 'static));
        }
    }
    found
}

/// What the system said, in lower case and without its number; what a library said is left as it is.
fn reason(error: &io::Error) -> String {
    let error = root(error);
    let text = error.to_string();
    match error.kind() {
        _ if error.get_ref().is_some() => text,
        io::ErrorKind::NotFound => "there is no such file or folder".into(),
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::UnexpectedEof => "it ends too early, so it is truncated".into(),
        _ => match text.find(" (os error") {
            Some(end) => text[..end].to_lowercase(),
            None => text,
        },
    }
}

/// Names that are close to `name`; all of `known` where they are few and none is close.
fn suggestion(name: &str, known: &[String]) -> String {
    const FEW: usize = 12;
    let mut near: Vec<_> = known.iter().map(|known| (strsim::levenshtein(name, known), known)).collect();
    near.sort();
    let length = name.chars().count();
    near.retain(|(edits, known)| *edits <= length / 2 || (length > 1 && known.starts_with(name)));
    let near: Vec<_> = near.iter().take(3).map(|(_, known)| format!("'{known}'")).collect();
    match (near.is_empty(), known.len()) {
        (_, 0) => String::new(),
        (true, 1..=FEW) => format!("; choose one of {}", known.join(", ")),
        (true, _) => String::new(),
        (false, 1..=FEW) => format!("; did you mean {}? All are {}", near.join(" or "), known.join(", ")),
        (false, _) => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// Writes `text` with control characters, but the newline, as their escapes.
fn harmless(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write as _;
    for c in text.chars() {
        match c.is_control() && c != '\n' {
            true => write!(f, "{}", c.escape_default())?,
            false => f.write_char(c)?,
        }
    }
    Ok(())
}

/// A number that would be a long row of digits as a power of ten, everything else as it is.
fn readable(value: String) -> String {
    const LONGEST: usize = 24;
    let is_long = value.len() > LONGEST && value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    match value.parse::<f64>() {
        Ok(number) if is_long => format!("{number:e}"),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_digits_are_shown_as_powers_of_ten() {
        for (value, shown) in [(7.13e-160, "7.13e-160"), (1.46e150, "1.46e150"), (-2.5e-30, "-2.5e-30"), (0.1, "0.1")] {
            assert_eq!(Error::parameter("x", value, "y").to_string(), format!("x is {shown}, but must be y"));
        }
        let name = "0.00000000000000000000000000001.png";
        assert!(Error::parameter("x", name, "y").to_string().contains(name));
    }

    #[test]
    fn what_a_file_holds_does_not_command_the_terminal() {
        let (a, b) = ("a\u{1b}[2J", "b\u{7}\n\u{9b}2Jé");
        for error in [
            Error::format(a, b),
            Error::path(a, b),
            Error::parameter(a, b, "c"),
            Error::mismatch(a, b, "c", "d"),
            Error::unknown(a, b, ["c"]),
            Error::missing(a, b).within("c"),
        ] {
            let text = error.to_string();
            assert!(text.contains("a\\u{1b}[2J") && text.contains("b\\u{7}\n\\u{9b}2Jé"), "{text}");
        }
    }

    /// One message of every kind, as people read it.
    #[test]
    fn messages_are_sentences() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, text) in [
            (Error::parameter("subset_size", 1, "at least 2"), "subset_size is 1, but must be at least 2"),
            (Error::value("pixel [0, 1]", 1.5, "in [0, 1]"), "pixel [0, 1] is 1.5, but must be in [0, 1]"),
            (Error::missing("features", "name a feature map"), "features is missing: name a feature map"),
            (
                Error::not_applicable("regulariser", "this objective trains no critic. Remove the table."),
                "regulariser has no effect here: this objective trains no critic. Remove the table.",
            ),
            (
                Error::unknown("estimator", "bised", ["biased", "unbiased"]),
                "unknown estimator 'bised'; did you mean 'biased'? All are biased, unbiased",
            ),
            (
                Error::unknown("estimator", "x", ["biased", "linear"]),
                "unknown estimator 'x'; choose one of biased, linear",
            ),
            (
                Error::unknown("preset", "gan", ["dcgan"]).advising("List the presets"),
                "unknown preset 'gan'; choose one of dcgan. List the presets",
            ),
            (
                Error::unknown("preset", "gan", (0..20).map(|i| format!("gan{i}"))).advising("List the presets"),
                "unknown preset 'gan'; did you mean 'gan0' or 'gan1' or 'gan2'? List the presets",
            ),
            (Error::syntax("shard", "3", "write i/n, such as 3/16"), "cannot read shard '3': write i/n, such as 3/16"),
            (
                Error::too_few("points", 1, 2, "the unbiased estimator"),
                "the unbiased estimator needs at least 2 points, but there is 1",
            ),
            (
                Error::mismatch(Field::Kernel, "energy", "linear", "embed both with the same kernel"),
                "kernel differs: energy and linear; embed both with the same kernel",
            ),
            (
                Error::unsupported("reduce an expression", "its weights may be negative"),
                "cannot reduce an expression: its weights may be negative",
            ),
            (Error::io("a.npy", Action::Read, denied), "cannot read a.npy: permission denied"),
            (Error::format("a.npy", "truncated").within("x"), "x: a.npy: truncated"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn code_can_tell_errors_apart() {
        let error = Error::parameter("subset_size", 1, "at least 2").within("kid");
        assert!(matches!(error.kind(), Error::Parameter { .. }) && error.parameter_name() == Some("subset_size"));
        let error = error.renamed(|name| (name == "subset_size").then(|| "--subset-size".into()));
        assert_eq!(error.to_string(), "kid: --subset-size is 1, but must be at least 2");
        let small = Error::unreadable("a.png", "cannot be used", Error::unsupported("crop it", "it is too small"));
        assert!(matches!(small.kind(), Error::Unsupported { .. }), "{small}");
        let gone = Error::io("a", Action::Read, io::Error::from(io::ErrorKind::NotFound)).within("b");
        let source = gone.source().and_then(StdError::source).and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
        assert_eq!(gone.file_path(), Some(Path::new("a")));
    }
}
