//! What people look at: sheets of samples, and scatter plots of points.

use super::super::task::{Sheet, sheet_pictures};
use super::Trainer;
use kme::Result;
use kme_net::{Mode, flat, images_of};

/// Points on a scatter plot.
const SCATTER: usize = 2000;

impl Trainer {
    /// Samples of the average, always of the same latents.
    pub(super) fn sheet(&self) -> Result<Sheet> {
        let is_points = self.config.data.is_points();
        let decoder = self.supply.decoder();
        let [_, h, w] = decoder.map_or(self.generator.net.output(), |decoder| decoder.output());
        let n = if is_points { SCATTER } else { sheet_pictures([h, w]) };
        let labels = self.supply.labels_in_order(n)?;
        let made = self.average.forward(self.supply.latents(0..n, "sheet", 0, labels.as_ref()), Mode::Evaluate)?;
        let made = match decoder {
            None => made,
            Some(decoder) => decoder.forward(made, Mode::Evaluate)?,
        };
        let pictures = if is_points { self.judge.scatter(flat(made))? } else { images_of(made)? };
        Ok(Sheet { pictures, columns: None })
    }
}
