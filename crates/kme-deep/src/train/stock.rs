//! Where the pictures and points of batches lie, and what chance does to them.

use super::data::Data;
use super::feed::Batch;
use super::feed::HeldOut;
use super::sources::of_setting;
use super::split::{FEWEST_HELD_OUT, Split};
use super::task::sheet_pictures;
use kme::rng;
use kme::{Data as Numbers, Error, Loaded, Points, Reading, Result};
use kme_image::{
    Bad, Batches, Dataset, Digest, Form, Images, Places, Resize, Source, Survey, Toy, Watch, evenly, hex, mirror,
    square, too_large, toys,
};
use rand::RngExt;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Pictures decoded at one time while they are brought into memory.
const TOGETHER: usize = 256;

/// The number of the pictures of a sheet: no batch of a run has it.
const SHOWN: u64 = 0x7368_6f77_6e00_0000;

/// Files that are points by their name.
const ENDINGS: [&str; 5] = ["npy", "npz", "safetensors", "csv", "tsv"];

/// What is known of a stock without taking anything out of it.
pub(super) struct Facts {
    /// (c, h, w) of a picture; (d, 1, 1) of a point.
    pub shape: [usize; 3],
    pub n: usize,
    pub fingerprint: String,
    pub labels: Option<Vec<u32>>,
    pub class_names: Option<Vec<String>>,
    /// What all pictures are, those that are held out among them.
    pub survey: Option<Survey>,
}

/// Everything that may come in a batch.
pub(super) struct Stock {
    store: Store,
    /// The numbers in the store of what is learned from, where that is not all of it.
    chosen: Option<Vec<usize>>,
    /// Side of the square that is cut out at random.
    cut: Option<usize>,
    /// What the square is brought to.
    resize: Option<Resize>,
    flip: bool,
    seed: u64,
}

enum Store {
    /// Pictures that only chance may change, all of one size.
    Whole(Dataset),
    /// The same of files.
    Held(Images),
    /// Pictures in memory before a square is cut out at random; they may differ in size.
    Uncut(Vec<Images>),
    /// Pictures that are read when they are asked for, or lie in memory as bytes.
    Read(Box<Batches>),
    /// Points, row after row.
    Rows { d: usize, rows: Vec<f32> },
}

/// What the points of a toy are drawn for: held-out points are others than those that are learned from.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Train,
    HeldOut,
}

/// A stock with what is known of it, and what was held out of it.
pub(super) struct Opened {
    pub stock: Stock,
    pub facts: Facts,
    pub held_out: Option<HeldOut>,
    /// The rule by which, where the configuration leaves that to the program.
    pub split: Option<Split>,
}

impl Stock {
    /// Opens the source of `data`. `split` is the rule by which the run holds pictures out, once it has begun.
    ///
    /// # Errors
    /// When it cannot be read, is not of the kind that `data` says, or holds nothing.
    pub(super) fn open(data: &Data, seed: u64, split: Option<Split>, places: &Places) -> Result<(Self, Facts)> {
        let mut watch = Watch { progress: &mut |_, _| {}, is_known: &|_, _| false };
        let Opened { stock, facts, .. } = Self::open_watched(data, seed, split, places, &mut watch)?;
        Ok((stock, facts))
    }

    fn open_points(data: &Data, seed: u64) -> Result<Opened> {
        let (points, labels, class_names, fingerprint) = points(&data.source, seed, Purpose::Train)
            .map_err(|fault| of_setting("data.source", &data.source, fault))?;
        let (n, d) = (points.len(), points.dim());
        let Numbers::F32(rows) = points.into_data() else { unreachable!("`points` gives single precision") };
        let store = Store::Rows { d, rows };
        let stock = Self { store, chosen: None, cut: None, resize: None, flip: false, seed };
        let facts = Facts { shape: [d, 1, 1], n, fingerprint, labels, class_names, survey: None };
        Ok(Opened { stock, facts, held_out: None, split: None })
    }

    /// The same, told to `watch`. Every picture is looked at: what cannot be read, or is too small for its crop, is found
    /// before the first step, also where pictures are streamed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn open_watched(
        data: &Data,
        seed: u64,
        split: Option<Split>,
        places: &Places,
        watch: &mut Watch,
    ) -> Result<Opened> {
        data.check()?;
        if data.is_points() {
            return Self::open_points(data, seed);
        }
        let (size, channels) = data.picture()?;
        let source = pictures(&data.source, places).map_err(|fault| of_setting("data.source", &data.source, fault))?;
        let form = data.form()?;
        let cut = data.crop.random();
        let shape = [channels, size, size];
        // The size comes after the cut.
        let whole = form;
        let form = Form { crop: form.crop.fixed(), resize: form.resize.filter(|_| cut.is_none()), ..form };
        let mut all = source.batches(&form, TOGETHER)?;
        let bad = if data.skip_bad { Bad::LeaveOut } else { Bad::Refuse };
        let total = all.total();
        let is_raw = all.is_in_memory();
        // So that a picture that is too small is found now, and by its name.
        let check = |picture: Images| {
            if let Some(side) = cut {
                square(&picture, side, (0.0, 0.0))?;
            }
            Ok((!data.stream).then_some(picture))
        };
        let (mut pixels, mut uncut) = (Vec::new(), Vec::new());
        let mut keep = |picture: Images| {
            if cut.is_some() {
                uncut.push(picture);
                return Ok(());
            }
            if pixels.is_empty() {
                // Known from the first picture on, so that growing never holds the pictures twice.
                let numbers = total.saturating_mul(picture.stride());
                pixels.try_reserve_exact(numbers).map_err(|_| too_large(&picture, total))?;
            }
            pixels.extend_from_slice(picture.data());
            Ok(())
        };
        let survey = if data.stream {
            Survey::take(&mut all, bad, &check, watch, &mut |_| Ok(()))?
        } else {
            // Pictures that are kept must be decoded, known or not.
            let mut watch = Watch { progress: &mut *watch.progress, is_known: &|_, _| false };
            Survey::take(&mut all, bad, &check, &mut watch, &mut keep)?
        };
        let contents: Option<Vec<Digest>> = match (data.holds_out_some(), is_raw) {
            (false, _) => None,
            (true, false) => Some(survey.files.iter().map(|(_, digest)| *digest).collect()),
            (true, true) => (0..total).map(|i| all.own_digest(i)).collect(),
        };
        let n = survey.pictures;
        let split = contents.as_ref().map(|contents| split.unwrap_or_else(|| Split::begin(contents)));
        let apart: Vec<bool> = match contents.zip(split) {
            Some((contents, split)) => contents.iter().map(|content| split.holds_out(content)).collect(),
            None => vec![false; n],
        };
        let side = |wanted: bool| -> Vec<usize> { (0..n).filter(|&i| apart[i] == wanted).collect() };
        let (learned, held) = (side(false), side(true));
        if learned.is_empty() {
            let reason = format!("the run holds all {n} of these pictures out for its scores. Add others");
            return Err(Error::unsupported("learn", reason).within(format!("data.source = {}", data.source)));
        }
        // Of pictures in memory the numbers are those among the ones that can be read, else those in the source.
        let in_source = |some: &[usize]| -> Vec<usize> { some.iter().map(|&i| survey.numbers[i]).collect() };
        let labels_of = |some: &[usize]| {
            let all = all.labels()?;
            Some(some.iter().map(|&i| all[survey.numbers[i]]).collect::<Vec<u32>>())
        };
        let class_names = all.class_names().map(<[String]>::to_vec);
        let facts = Facts {
            shape,
            n: learned.len(),
            fingerprint: survey.fingerprint.clone(),
            labels: labels_of(&learned),
            class_names: class_names.clone(),
            survey: None,
        };
        let held_labels = labels_of(&held);
        let (held_numbers, learned_numbers) = (in_source(&held), in_source(&learned));
        let held_out = match held.len() < FEWEST_HELD_OUT {
            true => None,
            false => {
                // Few, so that they are brought to their form for themselves.
                let images = Images::concat(&source.batches(&whole, TOGETHER)?.pick(&held_numbers, &|_, p| Ok(p))?)?;
                let name = |&i: &usize| all.name(i).unwrap_or_default();
                let names = held_numbers.iter().map(name).collect();
                let fingerprint = facts.fingerprint.clone();
                Some(HeldOut::Pictures(Dataset::of(images, held_labels, class_names, names, fingerprint)))
            }
        };
        let (store, chosen) = match (data.stream || (is_raw && cut.is_some()), is_raw) {
            (true, _) => (Store::Read(Box::new(all)), learned_numbers),
            (false, true) => (Store::Whole(source.load(&form)?), learned_numbers),
            (false, false) if cut.is_some() => (Store::Uncut(uncut), learned),
            (false, false) => {
                let [c, h, w] = shape;
                (Store::Held(Images::new(n, c, h, w, pixels)?), learned)
            }
        };
        let chosen = Some(chosen).filter(|chosen| chosen.iter().enumerate().any(|(at, &i)| at != i));
        let stock = Self { store, chosen, cut, resize: whole.resize, flip: data.flip, seed };
        Ok(Opened { stock, facts: Facts { survey: Some(survey), ..facts }, held_out, split })
    }

    /// `n` of all (or all, if there are fewer), each once, under the number `index`: no batch of a run has it.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn sample(&mut self, facts: &Facts, n: usize, index: u64) -> Result<Batch> {
        let n = n.min(facts.n);
        let indices = super::batches::Batches::new(facts.n, n, self.seed ^ index).get(0);
        let [c, h, w] = facts.shape;
        Ok(Batch { values: self.take(&indices, index)?, shape: [n, c, h, w], labels: None })
    }

    /// Some pictures as the networks see them, evenly from all, for a sheet; nothing of points.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn reals(&mut self, facts: &Facts) -> Result<Option<Images>> {
        if matches!(self.store, Store::Rows { .. }) {
            return Ok(None);
        }
        let [c, h, w] = facts.shape;
        let some = evenly(facts.n, sheet_pictures([h, w]));
        Images::new(some.len(), c, h, w, self.take(&some, SHOWN)?).map(Some)
    }

    /// The numbers of batch number `index`, which consists of `indices`, one picture or point after the other.
    ///
    /// # Errors
    /// When a picture cannot be read; it is named.
    pub(super) fn take(&mut self, indices: &[usize], index: u64) -> Result<Vec<f32>> {
        let chance = Chance::of(self, indices.len(), index);
        let stored: Vec<usize> = match &self.chosen {
            Some(chosen) => indices.iter().map(|&i| chosen[i]).collect(),
            None => indices.to_vec(),
        };
        let indices = &stored[..];
        let (cut, resize) = (self.cut, self.resize);
        let finished = |at: usize, picture: Images| match (cut, resize) {
            (Some(side), Some(resize)) => resize.bring(square(&picture, side, chance.places[at])?),
            _ => Ok(picture),
        };
        let pictures = match &mut self.store {
            Store::Rows { d, rows } => {
                return Ok(indices.iter().flat_map(|&i| &rows[i * *d..(i + 1) * *d]).copied().collect());
            }
            Store::Whole(all) => all.gather(indices)?,
            Store::Held(all) => all.select(indices)?,
            Store::Read(all) => Images::concat(&all.pick(indices, &finished)?)?,
            Store::Uncut(all) => {
                let finish = |(at, &i): (usize, &usize)| finished(at, all[i].clone());
                let some = indices.par_iter().enumerate().map(finish).collect::<Result<Vec<_>>>()?;
                Images::concat(&some)?
            }
        };
        let (stride, width) = (pictures.stride(), pictures.width());
        let mut values = pictures.into_data();
        for (picture, _) in values.chunks_exact_mut(stride).zip(&chance.flips).filter(|(_, flip)| **flip) {
            mirror(picture, width);
        }
        Ok(values)
    }
}

/// What chance decides about a batch: of each picture in it, where its square is cut out and whether it is mirrored. A
/// function of the seed and the batch's number.
struct Chance {
    /// (down, right), in [0, 1)². Empty where nothing is cut.
    places: Vec<(f64, f64)>,
    /// Empty where nothing is mirrored.
    flips: Vec<bool>,
}

impl Chance {
    fn of(stock: &Stock, batch: usize, index: u64) -> Self {
        let (mut crops, mut flips) = (rng::stream(stock.seed, "crop", index), rng::stream(stock.seed, "flip", index));
        let cuts = if stock.cut.is_some() { batch } else { 0 };
        let mirrored = if stock.flip { batch } else { 0 };
        Self {
            places: (0..cuts).map(|_| (crops.random(), crops.random())).collect(),
            flips: (0..mirrored).map(|_| flips.random()).collect(),
        }
    }
}

/// Whether a source is points by its name: a toy, or a file of a kind that holds points.
fn is_points(source: &str) -> Result<bool> {
    // What follows a colon is an array's name in the file.
    let file = source.rsplit_once(':').map_or(source, |(file, _)| file);
    let has_ending = |text: &str| {
        Path::new(text).extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    Ok(Toy::parse(source)?.is_some() || has_ending(source) || has_ending(file))
}

/// The source of pictures that `text` names.
pub(super) fn pictures(text: &str, places: &Places) -> Result<Source> {
    // An array may be one of pictures; a file that is not there is neither.
    let is_there = |text: &str| Path::new(text).exists();
    let is_missing = !is_there(text) && !text.match_indices(':').any(|(at, _)| is_there(&text[..at]));
    if Toy::parse(text)?.is_some() || (is_points(text)? && !is_missing && !Source::is_array(text)?) {
        return Err(Error::parameter("source", text, "pictures. For points, leave out data.size and data.channels"));
    }
    Source::parse(text, places)
}

/// Points in single precision, with labels and names of the classes where they have them, and a fingerprint: SHA-256 of
/// their numbers, their dimension, and of a toy its name, n and seed.
pub(super) type Sample = (Points, Option<Vec<u32>>, Option<Vec<String>>, String);

/// The points that `text` names, in single precision.
pub(super) fn points(text: &str, seed: u64, purpose: Purpose) -> Result<Sample> {
    if let Some(toy) = Toy::parse(text)? {
        let stream = match purpose {
            Purpose::Train => "toy",
            Purpose::HeldOut => "held-out toy",
        };
        let (rows, labels) = toy.draw(&mut rng::stream(seed, stream, 0));
        let fingerprint = fingerprint(&format!("{}, {stream}, seed {seed}", toy.text()), 2, &rows);
        return Ok((Points::new(toy.count(), 2, Numbers::F32(rows))?, labels, toy.class_names(), fingerprint));
    }
    if !is_points(text)? {
        let toys: Vec<_> = toys().iter().map(|(name, _)| *name).collect();
        let allowed = format!(
            "points where data.size and data.channels are left out: a file (.npy, .npz, .safetensors, .csv, .tsv) or {}",
            toys.join(", ")
        );
        return Err(Error::parameter("source", text, allowed));
    }
    let Loaded { points, remarks, .. } =
        Points::read_with(text, &Reading::default()).map_err(|refused| refused.error)?;
    if !remarks.is_empty() {
        // A run has no place to say it, and must be resumed with the same points.
        let fault = format!("{}: save the table with a header of names and without row names", remarks.join("; "));
        return Err(Error::format(text, fault));
    }
    let (n, d) = (points.len(), points.dim());
    let rows = match points.into_data() {
        Numbers::F32(rows) => rows,
        Numbers::F64(rows) => rows.into_iter().map(|x| x as f32).collect(),
    };
    let fingerprint = fingerprint("points", d, &rows);
    // Numbers of double precision that are too large are found here.
    let points = Points::new(n, d, Numbers::F32(rows)).map_err(|fault| fault.within(text))?;
    Ok((points, None, None, fingerprint))
}

fn fingerprint(name: &str, d: usize, rows: &[f32]) -> String {
    let mut hash = Sha256::new_with_prefix(format!("kme points 1\0{name}\0{d}\0"));
    rows.iter().for_each(|x| hash.update(x.to_le_bytes()));
    hex(&hash.finalize())
}
