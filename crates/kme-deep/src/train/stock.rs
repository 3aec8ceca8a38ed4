//! Where the pictures and points of batches lie, and what chance does to them.

use super::data::Data;
use super::feed::Batch;
use super::sources::of_setting;
use crate::data::{Batches, Dataset, Form, Places, Source, Toy, hex, toys};
use crate::image::{Images, Resize, mirror, square};
use kme::points::{Data as Numbers, Points};
use kme::{Error, Result, rng};
use rand::RngExt;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Pictures decoded at one time while they are brought into memory.
const TOGETHER: usize = 256;

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
}

/// Everything that may come in a batch.
pub(super) struct Stock {
    store: Store,
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

impl Stock {
    /// Opens the source of `data`.
    ///
    /// # Errors
    /// When it cannot be read, is not of the kind that `data` says, or holds nothing.
    pub fn open(data: &Data, seed: u64, places: &Places) -> Result<(Self, Facts)> {
        data.check()?;
        if data.is_points() {
            let (points, labels, class_names, fingerprint) =
                points(&data.source, seed, Purpose::Train).map_err(|fault| of_source(&data.source, fault))?;
            let (n, d) = (points.len(), points.dim());
            let Numbers::F32(rows) = points.into_data() else { unreachable!("`points` gives single precision") };
            let stock = Self { store: Store::Rows { d, rows }, cut: None, resize: None, flip: false, seed };
            return Ok((stock, Facts { shape: [d, 1, 1], n, fingerprint, labels, class_names }));
        }
        let (size, channels) = data.picture()?;
        let source = pictures(&data.source, places).map_err(|fault| of_source(&data.source, fault))?;
        let form = data.form()?;
        let cut = data.crop.random();
        let shape = [channels, size, size];
        let stock = |store| Self { store, cut, resize: form.resize, flip: data.flip, seed };
        if cut.is_none() && !data.stream {
            let all = source.load(&form)?;
            let facts = Facts {
                shape,
                n: all.len(),
                fingerprint: all.fingerprint().into(),
                labels: all.labels().map(<[u32]>::to_vec),
                class_names: all.class_names().map(<[String]>::to_vec),
            };
            return Ok((stock(Store::Whole(all)), facts));
        }
        // The size comes after the cut.
        let form = Form { crop: form.crop.fixed(), resize: form.resize.filter(|_| cut.is_none()), ..form };
        let mut all = source.batches(&form, TOGETHER)?;
        let n = all.total();
        let facts = Facts {
            shape,
            n,
            fingerprint: all.content()?,
            labels: all.labels().map(<[u32]>::to_vec),
            class_names: all.class_names().map(<[String]>::to_vec),
        };
        if data.stream || all.is_in_memory() {
            return Ok((stock(Store::Read(Box::new(all))), facts));
        }
        let mut uncut = Vec::with_capacity(n);
        for first in (0..n).step_by(TOGETHER) {
            let some: Vec<usize> = (first..n.min(first + TOGETHER)).collect();
            // So that a picture that is too small is found now, and by its name.
            let check = |_: usize, picture: Images| match cut {
                Some(side) => square(&picture, side, (0.0, 0.0)).map(|_| picture),
                None => Ok(picture),
            };
            uncut.extend(all.pick(&some, &check)?);
        }
        Ok((stock(Store::Uncut(uncut)), facts))
    }

    /// `n` of all (or all, if there are fewer), each once, under the number `index`: no batch of a run has it.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn sample(&mut self, facts: &Facts, n: usize, index: u64) -> Result<Batch> {
        let n = n.min(facts.n);
        let indices = super::batches::Batches::new(facts.n, n, self.seed ^ index).get(0);
        let [c, h, w] = facts.shape;
        Ok(Batch { values: self.take(&indices, index)?, shape: [n, c, h, w], labels: None })
    }

    /// The numbers of batch number `index`, which consists of `indices`, one picture or point after the other.
    ///
    /// # Errors
    /// When a picture cannot be read; it is named.
    pub fn take(&mut self, indices: &[usize], index: u64) -> Result<Vec<f32>> {
        let chance = Chance::of(self, indices.len(), index);
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

/// The fault of a source that cannot be had, with what names another.
fn of_source(text: &str, fault: Error) -> Error {
    let is_there = Path::new(text).exists() || matches!(fault, Error::Value { .. });
    match of_setting("data.source", text, fault) {
        Error::Value { allowed, .. } if !is_there => {
            Error::value("data.source", text, format!("{allowed}; name what to learn from with --data"))
        }
        fault => fault,
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
    if is_points(text)? {
        return Err(Error::value("data", text, "pictures; for points, leave out data.size and data.channels"));
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
        return Ok((Points::new(toy.len(), 2, Numbers::F32(rows))?, labels, toy.class_names(), fingerprint));
    }
    if !is_points(text)? {
        let toys: Vec<_> = toys().iter().map(|(name, _)| *name).collect();
        let allowed = format!(
            "points, since data.size and data.channels are not given: a file (.npy, .npz, .safetensors, .csv, .tsv) or {}",
            toys.join(", ")
        );
        return Err(Error::value("data", text, allowed));
    }
    let points = Points::read(text)?;
    let (n, d) = (points.len(), points.dim());
    let rows = match points.into_data() {
        Numbers::F32(rows) => rows,
        Numbers::F64(rows) => rows.into_iter().map(|x| x as f32).collect(),
    };
    let fingerprint = fingerprint("points", d, &rows);
    // Numbers of double precision that are too large are found here.
    let points = Points::new(n, d, Numbers::F32(rows)).map_err(|fault| Error::file(text, fault))?;
    Ok((points, None, None, fingerprint))
}

fn fingerprint(name: &str, d: usize, rows: &[f32]) -> String {
    let mut hash = Sha256::new_with_prefix(format!("kme points 1\0{name}\0{d}\0"));
    rows.iter().for_each(|x| hash.update(x.to_le_bytes()));
    hex(&hash.finalize())
}
