//! Where the origin lies and how long the unit is while a sum is computed: what keeps ‖x‖² + ‖y‖² − 2⟨x,y⟩ from
//! cancelling, and squares from over- and underflowing.

use super::Precision;
use super::simd::{Real, Work, vectorised};
use crate::kernel::{Form, Kernel};
use crate::points::{DataView, Points, PointsView};
use rayon::prelude::*;

/// A kernel, and the point that is to be taken for the origin, where the caller knows that it makes no difference.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub kernel: &'a Kernel,
    pub centre: Option<&'a [f64]>,
}

impl<'a> From<&'a Kernel> for About<'a> {
    fn from(kernel: &'a Kernel) -> Self {
        Self { kernel, centre: None }
    }
}

/// What is left of a kernel in differences of distributions.
///
/// ‖Σ wᵢ k(zᵢ,·)‖² with Σw = 0 is the same for k(x,y) and k(x,y) + f(x) + f(y). So the norms of `distance` may be left out,
/// which makes it `energy`, and what is linear in ⟨x,y⟩ may be taken about any point.
#[derive(Clone, Debug)]
pub(crate) struct Differences {
    kernel: Kernel,
    centre: Option<Vec<f64>>,
    /// The weight of the norms that were left out.
    norms: f64,
    /// The factor of ⟨x,y⟩.
    slope: f64,
}

impl Differences {
    /// Of distributions whose points are `samples`.
    pub(crate) fn new(kernel: &Kernel, samples: &[PointsView]) -> Self {
        let weight = |(weight, form): &(f64, Form)| if *form == Form::Distance { *weight } else { 0.0 };
        let slope = |(weight, form): &(f64, Form)| match *form {
            Form::Linear => *weight,
            Form::Polynomial { degree: 1, gamma, .. } => weight * gamma,
            _ => 0.0,
        };
        let (norms, slope) = (kernel.terms().iter().map(weight).sum(), kernel.terms().iter().map(slope).sum());
        let (mut kernels, centre) = Self::of_several(std::slice::from_ref(kernel), samples);
        Self { kernel: kernels.remove(0), centre, norms, slope }
    }

    /// What is left of several kernels, and the centre for all of them.
    pub(crate) fn of_several(kernels: &[Kernel], samples: &[PointsView]) -> (Vec<Kernel>, Option<Vec<f64>>) {
        let kernels: Vec<Kernel> = kernels.iter().map(Kernel::without_norms).collect();
        // Terms of a higher degree change when points are moved. Radial kernels alone find a centre for themselves.
        let degree = kernels.iter().flat_map(Kernel::terms).filter_map(|(_, form)| form.degree()).max();
        let centre = (degree == Some(1)).then(|| centre_of(samples));
        (kernels, centre)
    }

    pub(crate) fn about(&self) -> About<'_> {
        About { kernel: &self.kernel, centre: self.centre.as_deref() }
    }

    /// Σᵢ aᵢ f(xᵢ) for weights of sum 0, where the kernel is k(x,y) + f(x) + f(y) up to a constant.
    pub(crate) fn left_out(&self, points: PointsView, a: &[f64]) -> f64 {
        let centre = self.centre.as_deref().filter(|_| self.slope > 0.0);
        if self.norms == 0.0 && centre.is_none() {
            return 0.0;
        }
        let d = points.dim();
        let f = |i: usize| {
            let (mut squares, mut along) = (0.0, 0.0);
            for k in 0..d {
                let x = points.data().get(i * d + k);
                squares += x * x;
                along += centre.map_or(0.0, |c| c[k] * (x - c[k]));
            }
            self.norms * squares.sqrt() + self.slope * along
        };
        a.iter().enumerate().map(|(i, a)| a * f(i)).sum()
    }
}

/// Points as they are, or a multiple of them.
enum Held<'a> {
    Borrowed(PointsView<'a>),
    Owned(Points),
}

impl Held<'_> {
    fn view(&self) -> PointsView<'_> {
        match self {
            Self::Borrowed(points) => *points,
            Self::Owned(points) => points.view(),
        }
    }
}

/// Points and kernels as they enter the tiles.
pub(crate) struct Frame<'a> {
    /// With every length multiplied by `unit`.
    pub kernels: Vec<Kernel>,
    /// The rows, multiplied by `unit`.
    rows: Held<'a>,
    /// The columns if they are other points, multiplied by `unit`.
    columns: Option<Held<'a>>,
    /// The point that is moved to the origin.
    pub centre: Option<Vec<f64>>,
    /// A power of two.
    pub unit: f64,
    /// Single only where the numbers fit into it.
    pub precision: Precision,
    /// A squared distance beyond which all kernels are 0, so that larger ones, which may overflow, need not be known.
    pub farthest: f64,
    /// The largest |coordinate − centre|; not finite if it is not known.
    spread: f64,
}

impl<'a> Frame<'a> {
    /// The frame for sums of kernels over pairs of an x and a y, or of two x.
    pub(crate) fn new(about: About, x: PointsView<'a>, y: Option<PointsView<'a>>, precision: Precision) -> Self {
        Self::of_several(std::slice::from_ref(about.kernel), about.centre, x, y, precision)
    }

    /// The frame for sums of several kernels that share their tiles; with a centre that the caller chose, if any.
    pub(crate) fn of_several(
        kernels: &[Kernel],
        centre: Option<&[f64]>,
        x: PointsView<'a>,
        y: Option<PointsView<'a>>,
        precision: Precision,
    ) -> Self {
        let free = kernels.iter().all(Kernel::is_radial).then(|| centre_of(&[y.unwrap_or(x)]));
        let centre = centre.map(<[f64]>::to_vec).or(free);
        let forms = || kernels.iter().flat_map(Kernel::terms);
        // Inner products are taken as they are: their errors are relative to |x|·|y|, and nothing is done about them.
        if !forms().any(|(_, form)| form.has_distance()) {
            return Self {
                kernels: kernels.to_vec(),
                rows: Held::Borrowed(x),
                columns: y.map(Held::Borrowed),
                centre,
                unit: 1.0,
                precision,
                farthest: f64::INFINITY,
                spread: f64::INFINITY,
            };
        }
        let spread = largest(x, centre.as_deref()).max(y.map_or(0.0, |y| largest(y, centre.as_deref())));
        let is_bounded = forms().filter(|(_, form)| form.has_distance()).all(|(_, form)| form.is_bounded());
        let scaled = |precision| {
            let unit = unit(kernels, spread, is_bounded, precision);
            let kernels: Vec<Kernel> = match unit == 1.0 {
                true => kernels.to_vec(),
                false => kernels.iter().map(|k| k.scaled(unit)).collect(),
            };
            (unit, kernels)
        };
        let (mut precision, (mut unit, mut kernels_here)) = (precision, scaled(precision));
        if precision == Precision::F32 && !(spread * unit <= GREATEST_F32 && kernels_here.iter().all(fits_f32)) {
            precision = Precision::F64;
            (unit, kernels_here) = scaled(precision);
        }
        let multiplied = |points: PointsView<'a>| match unit == 1.0 {
            true => Held::Borrowed(points),
            false => Held::Owned(points.scaled(unit)),
        };
        Self {
            kernels: kernels_here,
            rows: multiplied(x),
            columns: y.map(multiplied),
            centre: centre.map(|c| c.into_iter().map(|c| c * unit).collect()),
            unit,
            precision,
            farthest: if is_bounded { FARTHEST } else { f64::INFINITY },
            spread: spread * unit,
        }
    }

    /// Whether differences of coordinates, in the arithmetic of the tiles, are as exact as the points, and their squares are
    /// no greater than `farthest` or numbers.
    pub(crate) fn has_exact_differences(&self) -> bool {
        let is_single = |points: PointsView| matches!(points.data(), DataView::F32(_));
        let fits = 4.0 * self.x().dim() as f64 * self.spread * self.spread < FARTHEST;
        fits && (self.precision == Precision::F64 || is_single(self.x()) && is_single(self.y()))
    }

    /// The frame for distances alone.
    pub(crate) fn of_distances(x: PointsView<'a>, y: Option<PointsView<'a>>, precision: Precision) -> Self {
        let kernel = Kernel::try_from(Form::Energy { a: 0.0 }).expect("energy without a is a kernel");
        Self::new((&kernel).into(), x, y, precision)
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernels[0]
    }

    /// Whether the columns are other points than the rows.
    pub(crate) fn has_two(&self) -> bool {
        self.columns.is_some()
    }

    /// The rows, multiplied by `unit`.
    pub(crate) fn x(&self) -> PointsView<'_> {
        self.rows.view()
    }

    /// The columns, multiplied by `unit`.
    pub(crate) fn y(&self) -> PointsView<'_> {
        self.columns.as_ref().unwrap_or(&self.rows).view()
    }
}

/// Exponents of lengths whose squares and cubes keep their digits in double precision, with room for distances that are far
/// smaller.
const COMFORTABLE_F64: std::ops::RangeInclusive<i32> = -200..=200;
/// The same in single precision.
const COMFORTABLE_F32: std::ops::RangeInclusive<i32> = -30..=30;
/// The greatest coordinate that may be squared in single precision.
const GREATEST_F32: f64 = (1_u64 << 50) as f64;
/// Any bounded kernel of a length near 1 is 0 there, or as good as.
const FARTHEST: f64 = 1e300;

/// The power of two by which points are multiplied: 1, unless squares of what matters would leave the range of the numbers.
///
/// What matters is the length of a kernel, beyond which it vanishes; for a kernel that grows with the distance, the largest
/// distance.
fn unit(kernels: &[Kernel], spread: f64, is_bounded: bool, precision: Precision) -> f64 {
    let forms = || kernels.iter().flat_map(Kernel::terms).map(|(_, form)| form);
    // Their formulas have no parameter that could take up the unit, or are not helped by it.
    if forms().any(|form| matches!(form, Form::RationalQuadratic { .. }) || form.degree().is_some()) {
        return 1.0;
    }
    let length = forms().filter_map(Form::length).fold(if is_bounded { 0.0 } else { spread }, f64::max);
    if length == 0.0 {
        return 1.0;
    }
    let exponent = if length.is_finite() { length.log2().floor() as i32 } else { 1023 };
    let comfortable = match precision {
        Precision::F64 => COMFORTABLE_F64,
        Precision::F32 => COMFORTABLE_F32,
    };
    if comfortable.contains(&exponent) { 1.0 } else { 2.0_f64.powi(-exponent.clamp(-1020, 1020)) }
}

/// Whether the numbers of a kernel keep their digits in single precision, squares and cubes of lengths included.
fn fits_f32(kernel: &Kernel) -> bool {
    let fits = |x: f64| x == 0.0 || (1e-12..=1e12).contains(&x);
    kernel.terms().iter().all(|(weight, form)| fits(*weight) && form.length().is_none_or(fits))
}

/// The largest |x − centre| of all coordinates.
fn largest(points: PointsView, centre: Option<&[f64]>) -> f64 {
    fn of<S: Real>(values: &[S], d: usize, centre: Option<&[f64]>) -> f64 {
        let rows = (1_usize << 16).div_ceil(d);
        values.par_chunks(rows * d).map(|from| vectorised(Largest { from, d, centre })).reduce(|| 0.0, f64::max)
    }
    match points.data() {
        DataView::F32(v) => of(v, points.dim(), centre),
        DataView::F64(v) => of(v, points.dim(), centre),
    }
}

struct Largest<'a, S> {
    from: &'a [S],
    d: usize,
    centre: Option<&'a [f64]>,
}

impl<S: Real> Work for Largest<'_, S> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        const WIDTH: usize = 32;
        let greater = |a: f64, b: f64| if b > a { b } else { a };
        let mut largest = [0.0; WIDTH];
        match self.centre {
            None => {
                for chunk in self.from.chunks(WIDTH) {
                    for (largest, x) in largest.iter_mut().zip(chunk) {
                        *largest = greater(*largest, x.widen().abs());
                    }
                }
            }
            Some(centre) => {
                for row in self.from.chunks_exact(self.d) {
                    for (row, centre) in row.chunks(WIDTH).zip(centre.chunks(WIDTH)) {
                        for ((largest, x), centre) in largest.iter_mut().zip(row).zip(centre) {
                            *largest = greater(*largest, (x.widen() - centre).abs());
                        }
                    }
                }
            }
        }
        largest.into_iter().fold(0.0, f64::max)
    }
}

/// Points of which the median is taken, spread over the sample.
const LOOKED_AT: usize = 31;

/// A point amidst the samples, coordinate by coordinate a median of a few of their points: fewer than half of them can be
/// anywhere without moving it away from the others.
pub(crate) fn centre_of(samples: &[PointsView]) -> Vec<f64> {
    let d = samples[0].dim();
    let total: usize = samples.iter().map(|s| s.len()).sum();
    let count = total.min(LOOKED_AT);
    let place = |i: usize| {
        let mut index = i * total / count;
        for sample in samples {
            if index < sample.len() {
                return (*sample, index);
            }
            index -= sample.len();
        }
        unreachable!("an index below the number of all points")
    };
    let chosen: Vec<(PointsView, usize)> = (0..count).map(place).collect();
    let mut values = vec![0.0; count];
    let coordinate = |k: usize| {
        for (value, (sample, i)) in values.iter_mut().zip(&chosen) {
            *value = sample.data().get(i * d + k);
        }
        *values.select_nth_unstable_by(count / 2, f64::total_cmp).1
    };
    (0..d).map(coordinate).collect()
}
