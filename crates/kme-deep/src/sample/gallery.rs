//! The pictures of a source, a few of which are looked at again after all have become points.

use kme::{Error, Result};
use kme_image::{Channels, Colour, Decoder, Form, Images, Resize, Source};
use kme_net::Generator;
use std::collections::HashMap;
use std::sync::Arc;

/// Longer sides are brought to this many pixels on a sheet.
const LONGEST: usize = 256;

/// Pictures that can be seen again by name or number.
pub struct Gallery(Origin);

enum Origin {
    /// With what the decoder is to make of files.
    Source(Source, Decoder),
    Generator {
        generator: Arc<dyn Generator>,
        n: usize,
        seed: u64,
    },
}

/// How pictures are wanted.
#[derive(Clone, Copy, PartialEq)]
pub enum Look {
    /// As they are.
    Own,
    /// In the size of the first, at most 256 pixels, for a sheet.
    Alike,
}

impl Gallery {
    /// The pictures of a source, read as `decoder` did for the points, in their own channels.
    pub fn of_source(source: Source, decoder: Decoder) -> Self {
        Self(Origin::Source(source, Decoder { channels: Channels::Keep, ..decoder }))
    }

    /// The `n` pictures that `kme sample` draws with this seed.
    pub fn of_generator(generator: Arc<dyn Generator>, n: usize, seed: u64) -> Self {
        Self(Origin::Generator { generator, n, seed })
    }

    /// Some pictures, each decoded again: those at `places` among the points, whose names are `names` where they have some.
    ///
    /// # Errors
    /// When one can no longer be read.
    pub fn pictures(&self, places: &[usize], names: Option<&[String]>, look: Look) -> Result<Vec<Images>> {
        match &self.0 {
            Origin::Source(source, decoder) => from_source(source, *decoder, places, names, look),
            Origin::Generator { generator, n, seed } => {
                let width = generator.width();
                let inputs = generator.draw(*n, *seed);
                let chosen: Vec<f32> = places.iter().flat_map(|i| &inputs[i * width..][..width]).copied().collect();
                let all = generator.pictures_from(&chosen)?;
                (0..places.len()).map(|i| all.select(&[i])).collect()
            }
        }
    }

    /// The same for a sheet: all in one.
    ///
    /// # Errors
    /// As [`pictures`](Self::pictures).
    pub fn sheet(&self, places: &[usize], names: Option<&[String]>) -> Result<Images> {
        let mut pictures = self.pictures(places, names, Look::Alike)?;
        if pictures.iter().any(|p| p.channels() != pictures[0].channels()) {
            pictures = pictures.iter().map(|p| p.to_colour(Colour::Rgb)).collect();
        }
        Images::concat(&pictures)
    }
}

fn from_source(
    source: &Source,
    decoder: Decoder,
    places: &[usize],
    names: Option<&[String]>,
    look: Look,
) -> Result<Vec<Images>> {
    let own = Form { decoder, ..Form::default() };
    let mut batches = source.batches(&own, 1)?;
    let places: Vec<usize> = match names.filter(|names| names.len() != batches.total()) {
        None => places.to_vec(),
        // Some of the source's pictures have not become points.
        Some(names) => {
            let wanted: HashMap<&str, usize> =
                places.iter().enumerate().map(|(at, &i)| (names[i].as_str(), at)).collect();
            let mut found = vec![None; places.len()];
            for i in 0..batches.total() {
                if let Some(&at) = batches.name(i).and_then(|name| wanted.get(name.as_str())) {
                    found[at] = Some(i);
                }
            }
            let gone =
                |at: usize| Error::format(source.to_string(), format!("{} is no longer there", names[places[at]]));
            found.into_iter().enumerate().map(|(at, i)| i.ok_or_else(|| gone(at))).collect::<Result<_>>()?
        }
    };
    if let (Look::Alike, Some(&first)) = (look, places.first()) {
        let [_, _, h, w] = batches.picture(first)?.shape();
        let scale = (LONGEST as f64 / h.max(w) as f64).min(1.0);
        let side = |side: usize| ((side as f64 * scale).round() as usize).max(1);
        let form = Form { resize: Some(Resize::new(side(h), side(w))?), ..own };
        batches = source.batches(&form, 1)?;
    }
    places.into_iter().map(|i| batches.picture(i)).collect()
}
