//! A length along each of an image's axes.

use serde::{Deserialize, Serialize};

/// Height and width of a kernel, a stride or a padding. In files one number stands for two equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Sides(pub [usize; 2]);

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Equal(usize),
    Each([usize; 2]),
}

impl From<Written> for Sides {
    fn from(written: Written) -> Self {
        match written {
            Written::Equal(side) => Self([side; 2]),
            Written::Each(sides) => Self(sides),
        }
    }
}

impl From<Sides> for Written {
    fn from(Sides(sides): Sides) -> Self {
        if sides[0] == sides[1] { Self::Equal(sides[0]) } else { Self::Each(sides) }
    }
}

impl From<usize> for Sides {
    fn from(side: usize) -> Self {
        Self([side; 2])
    }
}

impl From<[usize; 2]> for Sides {
    fn from(sides: [usize; 2]) -> Self {
        Self(sides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sides_are_written_as_one_number() {
        for (sides, text) in [(Sides::from(5), "5"), (Sides::from([1, 7]), "[1,7]")] {
            assert_eq!(serde_json::to_string(&sides).unwrap(), text);
            assert_eq!(serde_json::from_str::<Sides>(text).unwrap(), sides);
        }
    }
}
