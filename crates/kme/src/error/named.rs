//! Choices that a user names by a word.

/// The names of an enum's variants: what it prints as, and parses from in upper or lower case.
macro_rules! named {
    ($vis:vis $type:ident, $what:literal: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// All, each with its name.
            $vis const ALL: &[(Self, &str)] = &[$((Self::$variant, $name)),+];
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $name),+
                })
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                let found = Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(text.trim()));
                let unknown = || $crate::Error::unknown($what, text, Self::ALL.iter().map(|(_, name)| name));
                found.map(|(choice, _)| *choice).ok_or_else(unknown)
            }
        }
    };
}

pub(crate) use named;
