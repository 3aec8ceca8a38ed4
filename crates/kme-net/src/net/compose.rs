//! Networks made of others.

use super::Net;
use kme::{Error, Result};

impl Net {
    /// This network with `next` behind it, as one network; the values are shared.
    ///
    /// # Errors
    /// [`Error::Unsupported`](kme::Error::Unsupported) when `next` does not take what this one gives.
    pub fn followed_by(&self, next: &Self) -> Result<Self> {
        if self.output != next.input {
            let allowed = "a network whose input is the other's output";
            return Err(Error::mismatch("shapes", format!("{:?}", self.output), format!("{:?}", next.input), allowed));
        }
        let layers = self.layers.iter().chain(&next.layers).cloned().collect();
        let mut values = self.params.iter().chain(&next.params).map(|p| p.value.clone());
        Self::with_values(layers, self.input, &self.place, |_| {
            Ok(values.next().expect("each layer has its own parameters"))
        })
    }

    /// What comes behind the first `count` layers; the values are shared.
    ///
    /// # Errors
    /// [`Error::Parameter`](kme::Error::Parameter) when there are fewer layers.
    pub fn after(&self, count: usize) -> Result<Self> {
        let first = self.truncated(count)?;
        let layers = self.layers[count..].to_vec();
        let mut values = self.params[first.params.len()..].iter().map(|p| p.value.clone());
        Self::with_values(layers, first.output, &self.place, |_| {
            Ok(values.next().expect("each layer has its own parameters"))
        })
    }
}
