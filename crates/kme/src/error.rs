//! The one error type of the workspace: what a user gave, what would be allowed, and what to do about it.

use std::path::PathBuf;

/// A fault in something that a user gave: a file, a value, or two things that do not fit together.
///
/// Nothing in here is an internal fault: those are bugs and panic. Every message names the thing, its value, what is
/// allowed and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written, or does not hold what it should.
    #[error("{}: {fault}", path.display())]
    File { path: PathBuf, fault: String },
    /// A value is outside what is allowed.
    #[error("{name} = {value} is not allowed: {allowed}")]
    Value { name: String, value: String, allowed: String },
    /// Two things that must agree do not.
    #[error("{field} differs: {left} here, {right} there; {remedy}")]
    Mismatch { field: String, left: String, right: String, remedy: String },
}

/// Result of anything that can fail on a user's input.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A fault in the file at `path`.
    pub fn file(path: impl Into<PathBuf>, fault: impl ToString) -> Self {
        Self::File { path: path.into(), fault: fault.to_string() }
    }

    /// The value given for `name` is not among what is `allowed`.
    pub fn value(name: impl ToString, value: impl ToString, allowed: impl ToString) -> Self {
        Self::Value { name: name.to_string(), value: value.to_string(), allowed: allowed.to_string() }
    }

    /// `left` and `right` differ in `field`.
    pub fn mismatch(field: impl ToString, left: impl ToString, right: impl ToString, remedy: impl ToString) -> Self {
        Self::Mismatch {
            field: field.to_string(),
            left: left.to_string(),
            right: right.to_string(),
            remedy: remedy.to_string(),
        }
    }
}
