//! Which points make the difference of two samples.

use crate::sample::{Gallery, Repeated, Sample, Sources, common_kernel};
use kme::{Error, Kernel, KernelSpec, LeftOut, Precision, Result, left_out};
use kme_image::{Grid, Images, Part, sheet};
use std::fmt;
use std::str::FromStr;

/// What points are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Order {
    /// The density of their own sample minus that of the other, highest first.
    #[default]
    Witness,
    /// The density of the other sample alone, lowest first.
    Density,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Witness => "witness",
            Self::Density => "density",
        })
    }
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "witness" => Ok(Self::Witness),
            "density" => Ok(Self::Density),
            _ => Err(Error::unknown("order", text, ["witness", "density"])),
        }
    }
}

/// Ranks the points of a reference and of a candidate by the witness f = μ_candidate − μ_reference.
///
/// Each point's own term is [left out](left_out), so that no point counts for its own density.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    /// What points are ranked by.
    pub by: Order,
    /// The kernel; without it that of an embedding among the two, else `gaussian:sigma=median`.
    pub kernel: Option<KernelSpec>,
}

/// Both samples, ranked.
pub struct Ranked {
    /// The kernel of the densities.
    pub kernel: Kernel,
    /// The candidate's points: the worst fakes come first.
    pub fakes: RankedSample,
    /// The reference's points: the most missed come first.
    pub reals: RankedSample,
}

/// One of the two samples, ranked.
pub struct RankedSample {
    /// The points, and what is known of them.
    pub sample: Sample,
    /// Their pictures, where they come from pictures.
    pub gallery: Option<Gallery>,
    /// The densities of either sample at each point.
    pub values: LeftOut,
    /// f at each point.
    pub witness: Vec<f64>,
    /// Places of the points, worst first. Of equal ones the first comes first.
    pub order: Vec<usize>,
}

impl Ranking {
    /// Ranks the two samples of `sources`: the reference, and the candidate.
    ///
    /// # Errors
    /// When one cannot be read or has fewer than two points, or they are not of one space.
    pub fn run(&self, sources: &mut Sources) -> Result<Ranked> {
        let [reference, candidate] = sources.all() else {
            let found = sources.all().len();
            return Err(Error::parameter("sources", found, "2: a reference and a candidate"));
        };
        let texts = [reference.text().to_string(), candidate.text().to_string()];
        let galleries = [sources.gallery(0), sources.gallery(1)];
        let (real, fake) = (sources.read(0, None)?, sources.read(1, None)?);
        real.check_same_space(&texts[0], &fake, &texts[1])?;
        for (sample, text) in [(&real, &texts[0]), (&fake, &texts[1])] {
            if let Some(remark) = Repeated::of(&sample.points).remark(text) {
                sources.observer().remark(&remark);
            }
            if sample.points.len() < 2 {
                return Err(Error::too_few("points", 1, 2, "leaving each out once").within(text));
            }
        }
        let pair = [(texts[0].as_str(), &real), (texts[1].as_str(), &fake)];
        let kernel = common_kernel(self.kernel.as_ref(), &pair, "gaussian:sigma=median")?;
        let (of_real, of_fake) = left_out(&kernel, real.weighted(), fake.weighted(), Precision::F64)?;
        let [of_reals, of_fakes] = galleries;
        let fakes = RankedSample::new(fake, of_fakes, of_fake, 1.0, self.by);
        let reals = RankedSample::new(real, of_reals, of_real, -1.0, self.by);
        Ok(Ranked { kernel, fakes, reals })
    }
}

impl RankedSample {
    /// `sign` is that of the own sample in f.
    fn new(sample: Sample, gallery: Option<Gallery>, values: LeftOut, sign: f64, by: Order) -> Self {
        let own_minus_other = values.witness();
        let bad = match by {
            Order::Witness => own_minus_other.clone(),
            Order::Density => values.other.iter().map(|other| -other).collect(),
        };
        let mut order: Vec<usize> = (0..bad.len()).collect();
        order.sort_by(|&i, &j| bad[j].total_cmp(&bad[i]));
        let witness = own_minus_other.iter().map(|f| sign * f).collect();
        Self { sample, gallery, values, witness, order }
    }

    /// The picture's name, or the place of the point counted from 0.
    pub fn name(&self, i: usize) -> String {
        self.sample.names.as_ref().map_or_else(|| i.to_string(), |names| names[i].clone())
    }

    /// The mean of f over the points.
    pub fn mean_witness(&self) -> f64 {
        self.witness.iter().sum::<f64>() / self.witness.len() as f64
    }

    /// A sheet of the first `top` pictures, and below them the last ones, each part under its title.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of points that do not come from pictures; those of reading the pictures again.
    pub fn sheet(&self, top: usize, titles: [&str; 2]) -> Result<Images> {
        let Some(gallery) = &self.gallery else {
            return Err(Error::unsupported("draw a sheet", "the sample holds points, not pictures"));
        };
        let (n, names) = (self.order.len(), self.sample.names.as_deref());
        let first = gallery.sheet(&self.order[..top.min(n)], names)?;
        let last: Vec<usize> = self.order[n.saturating_sub(top)..].iter().rev().copied().collect();
        let last = gallery.sheet(&last, names)?;
        sheet(&[Part { label: titles[0], images: &first }, Part { label: titles[1], images: &last }], &Grid::default())
    }
}
