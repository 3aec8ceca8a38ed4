//! What is in a source, found by looking at each of its pictures once.

use std::collections::BTreeMap;

use kme::Result;
use serde::Serialize;

use super::batches::{Batches, Looked, Skipped};
use super::fingerprint::Fingerprint;
use super::form::Form;
use super::places::Places;
use super::source::Source;
use super::{evenly, in_one_line};
use crate::image::{Decoder, Images};

/// SHA-256 of a picture's content.
pub type Digest = [u8; 32];

/// The contents of a source of pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Survey {
    /// Pictures that can be read.
    pub pictures: usize,
    /// How many pictures there are of each size, "HEIGHTxWIDTH" as viewers show them.
    pub sizes: BTreeMap<String, usize>,
    /// (height, width) of the picture with the smallest area and of that with the largest.
    pub range: Option<[(usize, usize); 2]>,
    /// Pictures that are not square.
    pub rectangles: usize,
    /// How many pictures there are of each mode: "grey", "colour", each also "with transparency" and ", 16 bits".
    pub modes: BTreeMap<String, usize>,
    /// The classes with the number of their pictures, where the source has labels.
    pub classes: Vec<(String, usize)>,
    /// Files beside them that are not pictures.
    pub others: usize,
    /// The pictures that cannot be read, and why.
    pub left_out: Vec<Skipped>,
    /// SHA-256 over names and contents of the pictures that can be read.
    pub fingerprint: String,
    /// Their numbers in the source.
    #[serde(skip)]
    pub numbers: Vec<usize>,
    /// Their names and digests, where they are files of their own.
    #[serde(skip)]
    pub files: Vec<(String, Digest)>,
}

/// What becomes of pictures that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The first one is an error.
    Refuse,
    /// They are listed, and the others are used.
    LeaveOut,
}

/// What looks at pictures, and what it is told on the way.
pub struct Watch<'a> {
    /// Called with the number of pictures that were looked at, and of all.
    pub progress: &'a mut dyn FnMut(usize, usize),
    /// Whether a picture of this name and content is known to be good, so that it need not be decoded.
    pub is_known: &'a (dyn Fn(&str, &Digest) -> bool + Sync),
}

impl Survey {
    /// Looks at all pictures that `text` names, read by `decoder`; those that cannot be read are listed. `progress` is called with the number of
    /// pictures that were looked at, and of all.
    ///
    /// # Errors
    /// As [`Source::parse`] and [`Source::batches`].
    pub fn of(text: &str, places: &Places, decoder: Decoder, mut progress: impl FnMut(usize, usize)) -> Result<Self> {
        let mut batches = Source::parse(text, places)?.batches(&Form { decoder, ..Form::default() }, 1)?;
        let mut watch = Watch { progress: &mut progress, is_known: &|_, _| false };
        Self::take(&mut batches, Bad::LeaveOut, &|_| Ok(None), &mut watch, &mut |_| Ok(()))
    }

    /// Looks at all pictures of `batches`. `check` says whether a picture will do, on several threads; what it gives
    /// back goes to `keep` in their order.
    ///
    /// # Errors
    /// When a picture cannot be read or will not do, and is not to be left out; then it is named. When none is left. Those of
    /// `keep`.
    pub fn take(
        batches: &mut Batches,
        bad: Bad,
        check: &(dyn Fn(Images) -> Result<Option<Images>> + Sync),
        watch: &mut Watch,
        keep: &mut dyn FnMut(Images) -> Result<()>,
    ) -> Result<Self> {
        let total = batches.total();
        let (mut survey, mut seen) = (Self::default(), 0);
        let mut content = Fingerprint::new();
        let Watch { progress, is_known } = watch;
        let own = batches.own_fingerprint().map(str::to_string);
        progress(0, total);
        batches.look(check, *is_known, &mut |i, name, looked| {
            seen += 1;
            if seen % 64 == 0 || seen == total {
                progress(seen, total);
            }
            let Looked { sha256, size, mode, picture } = match looked {
                Ok(looked) => looked,
                Err(fault) if bad == Bad::Refuse => return Err(fault),
                Err(fault) => {
                    survey.left_out.push(Skipped::new(&name, fault));
                    return Ok(());
                }
            };
            survey.pictures += 1;
            survey.numbers.push(i);
            if let Some(size) = size {
                survey.count(size);
            }
            if let Some(mode) = mode {
                *survey.modes.entry(mode).or_default() += 1;
            }
            if let Some(sha256) = sha256 {
                content.add(&name, &sha256);
                survey.files.push((name, sha256));
            }
            picture.map_or(Ok(()), &mut *keep)
        })?;
        if let (0, Some(first)) = (survey.pictures, survey.left_out.first()) {
            return Err(first.none_of(total));
        }
        survey.fingerprint = own.unwrap_or_else(|| content.finish());
        survey.classes = classes(batches, &survey.numbers);
        survey.others = batches.passed().files;
        Ok(survey)
    }

    /// Numbers in the source of at most `most` pictures that can be read, evenly from all.
    pub fn some(&self, most: usize) -> Vec<usize> {
        evenly(self.numbers.len(), most).into_iter().map(|i| self.numbers[i]).collect()
    }

    fn count(&mut self, (h, w): (usize, usize)) {
        self.rectangles += usize::from(h != w);
        let [least, most] = self.range.get_or_insert([(h, w); 2]);
        if h * w < least.0 * least.1 {
            *least = (h, w);
        }
        if h * w > most.0 * most.1 {
            *most = (h, w);
        }
        *self.sizes.entry(format!("{h}x{w}")).or_default() += 1;
    }

    /// How many pictures, of which sizes and classes, in a line. Names of classes may hold anything; what would break the line
    /// or the terminal is escaped.
    pub fn line(&self) -> String {
        let counted = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let mut text = counted(self.pictures, "picture", "pictures");
        if let Some([(h, w), (h2, w2)]) = self.range {
            text += &format!(", {h}x{w}");
            if self.sizes.len() > 1 {
                text += &format!(" to {h2}x{w2} (height x width)");
            }
        }
        if !self.classes.is_empty() {
            const SHOWN: usize = 12;
            let told = |(name, n): &(String, usize)| format!("{} {n}", in_one_line(name));
            let mut shown: Vec<_> = self.classes.iter().take(SHOWN).map(told).collect();
            if self.classes.len() > SHOWN {
                shown.push("...".into());
            }
            let classes = counted(self.classes.len(), "class", "classes");
            text += &format!("; {classes}: {}", shown.join(", "));
        }
        if !self.left_out.is_empty() {
            text += &format!("; {} left out", self.left_out.len());
        }
        text
    }
}

/// The classes of the pictures `numbers`.
fn classes(batches: &Batches, numbers: &[usize]) -> Vec<(String, usize)> {
    let Some(labels) = batches.labels() else { return Vec::new() };
    let mut counts = BTreeMap::<u32, usize>::new();
    if let Some(names) = batches.class_names() {
        counts.extend((0..names.len() as u32).map(|label| (label, 0)));
    }
    numbers.iter().for_each(|&i| *counts.entry(labels[i]).or_default() += 1);
    let name = |label: u32| match batches.class_names().and_then(|names| names.get(label as usize)) {
        Some(name) => name.clone(),
        None => label.to_string(),
    };
    counts.into_iter().map(|(label, n)| (name(label), n)).collect()
}
