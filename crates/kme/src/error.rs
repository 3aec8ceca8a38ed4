//! The one error type of the workspace: what a user gave, what would be allowed, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// A fault in something that a user gave: a file, a value, or two things that do not fit together.
///
/// Nothing in here is an internal fault: those are bugs and panic. Every message names the thing, its value, what is
/// allowed and, where there is one, the remedy.
///
/// The messages may quote files. So that these cannot command the terminal, control characters but the newline are shown
/// as `\u{1b}`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written, or does not hold what it should.
    #[error("{}: {}", Shown(path.display()), Shown(fault))]
    File { path: PathBuf, fault: String },
    /// A value is outside what is allowed.
    #[error("{} = {} is not allowed: {}", Shown(name), Shown(value), Shown(allowed))]
    Value { name: String, value: String, allowed: String },
    /// Two things that must agree do not.
    #[error("{} differs: {} here, {} there; {}", Shown(field), Shown(left), Shown(right), Shown(remedy))]
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
        Self::Value { name: name.to_string(), value: readable(value.to_string()), allowed: allowed.to_string() }
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

/// Shows control characters, but the newline, as their escapes.
struct Shown<T>(T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.to_string().chars() {
            match c.is_control() && c != '\n' {
                true => write!(f, "{}", c.escape_default())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
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
            assert_eq!(Error::value("x", value, "y").to_string(), format!("x = {shown} is not allowed: y"));
        }
        let name = "0.00000000000000000000000000001.png";
        assert!(Error::value("x", name, "y").to_string().contains(name));
    }

    #[test]
    fn what_a_file_holds_does_not_command_the_terminal() {
        for error in [
            Error::file("a\u{1b}[2J", "b\u{7}\n\u{9b}2Jé"),
            Error::value("a\u{1b}[2J", "b\u{7}\n\u{9b}2Jé", "c"),
            Error::mismatch("a\u{1b}[2J", "b\u{7}\n\u{9b}2Jé", "c", "d"),
        ] {
            let text = error.to_string();
            assert!(text.contains("a\\u{1b}[2J") && text.contains("b\\u{7}\n\\u{9b}2Jé"), "{text}");
        }
    }
}
