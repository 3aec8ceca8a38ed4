//! What is computed of a row of a tile: kernel values and slopes at all columns, with distances that keep their digits.

use super::simd::{Bits, Real};
use super::tile::{Entries, Tile};
use crate::arith::Arith;
use crate::kernel::{Form, Kernel, Pair};

/// Calls a loop with the form, once for each form with a distance and for those parameters that select a shorter formula, so
/// that the compiler sees which it is and nothing is decided inside the loop.
macro_rules! each_radial {
    ($form:expr, $row:ident::<$t:ident, $fma:ident>($($argument:expr),*)) => {
        each_radial!($form, $row, $t, $fma, ($($argument),*), alpha: 0.5 1.0 2.0 5.0)
    };
    ($form:expr, $row:ident, $t:ident, $fma:ident, $arguments:tt, alpha: $($alpha:literal)*) => {
        match $form {
            Form::Gaussian { sigma } => call!($row, $t, $fma, Form::Gaussian { sigma }, $arguments),
            $(Form::RationalQuadratic { alpha: $alpha } => {
                call!($row, $t, $fma, Form::RationalQuadratic { alpha: $alpha }, $arguments)
            })*
            Form::RationalQuadratic { alpha } => call!($row, $t, $fma, Form::RationalQuadratic { alpha }, $arguments),
            Form::Laplacian { scale } => call!($row, $t, $fma, Form::Laplacian { scale }, $arguments),
            Form::InverseMultiquadric { c } => call!($row, $t, $fma, Form::InverseMultiquadric { c }, $arguments),
            Form::Energy { a } => call!($row, $t, $fma, Form::Energy { a }, $arguments),
            // Its norms are added apart.
            Form::Distance => call!($row, $t, $fma, Form::Energy { a: 0.0 }, $arguments),
            Form::Linear | Form::Polynomial { .. } => Default::default(),
        }
    };
}

/// The same for the forms that are polynomials in the inner product.
macro_rules! each_polynomial {
    ($form:expr, $row:ident::<$t:ident, $fma:ident>($($argument:expr),*)) => {
        each_polynomial!($form, $row, $t, $fma, ($($argument),*), degree: 2 3)
    };
    ($form:expr, $row:ident, $t:ident, $fma:ident, $arguments:tt, degree: $($degree:literal)*) => {
        match $form {
            Form::Linear => call!($row, $t, $fma, Form::Linear, $arguments),
            $(Form::Polynomial { degree: $degree, gamma, coef } => {
                call!($row, $t, $fma, Form::Polynomial { degree: $degree, gamma, coef }, $arguments)
            })*
            Form::Polynomial { degree, gamma, coef } => {
                call!($row, $t, $fma, Form::Polynomial { degree, gamma, coef }, $arguments)
            }
            Form::Gaussian { .. }
            | Form::RationalQuadratic { .. }
            | Form::Laplacian { .. }
            | Form::InverseMultiquadric { .. }
            | Form::Energy { .. }
            | Form::Distance => {}
        }
    };
}

macro_rules! call {
    ($row:ident, $t:ident, $fma:ident, $form:expr, ($($argument:expr),*)) => {
        $row::<$t, $fma>($form, $($argument),*)
    };
}

/// What is computed of one row of a tile after the other.
pub(super) struct Row<'a, T> {
    kernel: Option<&'a Kernel>,
    pub(super) has_distance: bool,
    /// Whether more than one term has.
    several: bool,
    /// The weight of ‖x‖ + ‖y‖.
    pub(super) norms: f64,
    /// ‖yⱼ‖, if it is needed.
    roots: Vec<T>,
    /// Whether sums of norms are far from overflowing.
    fits: bool,
    squares: Vec<T>,
    /// The columns of points that are near that of the row, beside how far both are from the origin.
    pub(super) near: Vec<usize>,
    /// Of these columns alone: inner products, squared norms, squared distances, and what is computed of them.
    dots: Vec<T>,
    near_yy: Vec<T>,
    near_squares: Vec<T>,
    pub(super) values: Vec<T>,
}

impl<'a, T: Real> Row<'a, T> {
    pub(super) fn empty(tile: &Tile<T>) -> Self {
        let fits = |norms: &[T]| norms.iter().all(|norm| norm.widen() < T::LARGE);
        Self {
            kernel: None,
            has_distance: true,
            several: false,
            norms: 0.0,
            roots: vec![],
            fits: fits(tile.xx) && fits(tile.yy),
            squares: vec![T::default(); tile.yy.len()],
            near: vec![],
            dots: vec![],
            near_yy: vec![],
            near_squares: vec![],
            values: vec![],
        }
    }

    pub(super) fn new(kernel: &'a Kernel, tile: &Tile<T>) -> Self {
        let terms = kernel.terms();
        let norms = terms.iter().filter(|(_, form)| *form == Form::Distance).map(|(weight, _)| weight).sum();
        let roots = match norms > 0.0 {
            true => tile.yy.iter().map(|yy| T::narrow(yy.widen().sqrt())).collect(),
            false => vec![],
        };
        let distances = terms.iter().filter(|(_, form)| form.has_distance()).count();
        let (has_distance, several) = (distances > 0, distances > 1);
        Self { kernel: Some(kernel), has_distance, several, norms, roots, ..Self::empty(tile) }
    }

    /// Whether a squared distance of the row may have lost digits, given the signs of all where there is no doubt.
    #[inline(always)]
    pub(super) fn is_doubtful(&self, signs: T::Bits) -> bool {
        !(self.fits && signs.is_negative())
    }

    fn terms(&self) -> &'a [(f64, Form)] {
        self.kernel.map_or(&[], Kernel::terms)
    }

    fn radial_terms(&self) -> impl Iterator<Item = (f64, Form)> + Clone + use<'a, T> {
        self.terms().iter().copied().filter(|(_, form)| form.has_distance())
    }

    /// k(xᵢ,yⱼ) − origin for all j.
    ///
    /// All squared distances are right to a relative error of a few ε over [`Real::CANCELLED`], and those of copies are 0: the
    /// others are taken from the points themselves.
    #[inline(always)]
    pub(super) fn values<const FMA: bool>(&mut self, tile: &Tile<T>, i: usize, origin: f64, values: &mut [T]) {
        let width = values.len();
        let (entries, xx) = (&tile.entries[i * width..(i + 1) * width], tile.xx[i]);
        let origin = T::narrow(-origin);
        values.fill(origin);
        if tile.what == Entries::Products {
            for &(weight, form) in self.terms() {
                each_polynomial!(form, add_values::<T, FMA>(weight, entries, xx, tile.yy, values));
            }
        }
        if !self.has_distance {
            return;
        }
        // One term is evaluated while its distances are at hand, of several the distances are kept.
        let mut few = false;
        if tile.what == Entries::Products && (self.several || tile.differences.is_some()) {
            self.find_near::<FMA>(tile, i);
        } else if tile.what == Entries::Products {
            let mut signs = T::Bits::default();
            for (weight, form) in self.radial_terms() {
                signs = each_radial!(form, add_of_products::<T, FMA>(weight, entries, xx, tile.yy, values, Value));
            }
            if !self.is_doubtful(signs) {
                if self.norms > 0.0 {
                    add_norms::<T, FMA>(self.norms, xx, &self.roots, values);
                }
                return;
            }
            // What was computed of a few columns is computed again.
            few = true;
            self.find_near::<FMA>(tile, i);
            self.gather(entries, tile.yy);
            self.values.clear();
            self.values.resize(self.near.len(), origin);
            for &(weight, form) in self.terms() {
                each_polynomial!(form, add_values::<T, FMA>(weight, &self.dots, xx, &self.near_yy, &mut self.values));
            }
        }
        let terms = self.radial_terms();
        let (squares, target) = match (few, tile.what) {
            (true, _) => (&self.near_squares[..], &mut self.values[..]),
            (false, Entries::Products) => (&self.squares[..], &mut *values),
            (false, Entries::Squares) => (entries, &mut *values),
        };
        for (weight, form) in terms {
            each_radial!(form, add_of_squares::<T, FMA>(weight, squares, &mut *target, Value));
        }
        for (&j, value) in self.near.iter().zip(&self.values).filter(|_| few) {
            values[j] = *value;
        }
        if self.norms > 0.0 {
            add_norms::<T, FMA>(self.norms, xx, &self.roots, values);
        }
    }

    /// Adds ∂k/∂‖x‖² of the terms with a distance; for the columns that are near, it is also left in the values.
    #[inline(always)]
    pub(super) fn radial_slopes<const FMA: bool>(&mut self, tile: &Tile<T>, i: usize, slopes: &mut [T]) {
        let width = slopes.len();
        let (entries, xx) = (&tile.entries[i * width..(i + 1) * width], tile.xx[i]);
        let mut signs = T::Bits::ONES;
        match tile.what {
            Entries::Products => {
                for (weight, form) in self.radial_terms() {
                    signs = each_radial!(form, add_of_products::<T, FMA>(weight, entries, xx, tile.yy, slopes, Slope));
                }
            }
            // Also where distances are right, products with the points would cancel.
            Entries::Squares => signs = signs_where_right::<T, FMA>(xx, tile.yy, entries, T::ROUNDED),
        }
        self.near.clear();
        if self.is_doubtful(signs) {
            match tile.what {
                Entries::Products => self.find_near::<FMA>(tile, i),
                Entries::Squares => {
                    self.squares.copy_from_slice(entries);
                    self.list_near::<FMA>(xx, tile.yy, entries, T::ROUNDED);
                }
            }
            self.gather(entries, tile.yy);
        }
        self.values.clear();
        self.values.resize(self.near.len(), T::default());
        // As in the values.
        let terms = self.radial_terms();
        let all = (tile.what == Entries::Squares).then_some((entries, slopes));
        let near = (!self.near.is_empty()).then_some((&self.near_squares[..], &mut self.values[..]));
        for (squares, slopes) in all.into_iter().chain(near) {
            for (weight, form) in terms.clone() {
                each_radial!(form, add_of_squares::<T, FMA>(weight, squares, &mut *slopes, Slope));
            }
        }
    }

    /// The squared distances of row `i` of inner products, with the columns where they had lost digits and were taken from the
    /// points themselves.
    #[inline(always)]
    fn find_near<const FMA: bool>(&mut self, tile: &Tile<T>, i: usize) {
        let (width, xx) = (tile.yy.len(), tile.xx[i]);
        let mut squares = std::mem::take(&mut self.squares);
        let mut signs = T::Bits::ONES;
        let least = match tile.differences {
            Some(differences) => {
                differences.squares_of_row::<FMA>(i, &mut squares);
                if differences.is_rounded {
                    signs = signs_where_right::<T, FMA>(xx, tile.yy, &squares, T::ROUNDED);
                }
                T::ROUNDED
            }
            None => {
                let entries = &tile.entries[i * width..(i + 1) * width];
                for ((square, dot), yy) in squares.iter_mut().zip(entries).zip(tile.yy) {
                    let sum = xx.lane::<FMA>() + yy.lane();
                    *square = T::number(sum - dot.lane().scale(2.0));
                    signs = signs & signs_where_apart::<T, FMA>(*dot, sum);
                }
                T::CANCELLED
            }
        };
        self.near.clear();
        if self.is_doubtful(signs) {
            self.list_near::<FMA>(xx, tile.yy, &squares, least);
            tile.near.mend(i, &self.near, &mut squares);
        }
        self.squares = squares;
    }

    /// Adds ∂k/∂⟨x,y⟩ and ∂k/∂‖x‖² of the terms that are polynomials in the inner product.
    #[inline(always)]
    pub(super) fn add_polynomial_slopes<const FMA: bool>(
        &self,
        dots: &[T],
        xx: T,
        yy: &[T],
        dot_slopes: &mut [T],
        xx_slopes: &mut [T],
    ) {
        for &(weight, form) in self.terms() {
            each_polynomial!(form, add_slopes::<T, FMA>(weight, dots, xx, yy, dot_slopes, xx_slopes));
        }
    }

    /// Lists the columns whose squared distances are not above `least`·(‖x‖² + ‖y‖²).
    #[inline(always)]
    pub(super) fn list_near<const FMA: bool>(&mut self, xx: T, yy: &[T], squares: &[T], least: f64) {
        const WIDTH: usize = 32;
        self.near.clear();
        for (k, (yy, squares)) in yy.chunks(WIDTH).zip(squares.chunks(WIDTH)).enumerate() {
            if self.fits && signs_where_right::<T, FMA>(xx, yy, squares, least).is_negative() {
                continue;
            }
            // Also where one of the numbers has overflown.
            let is_above = |square: T, yy: T| square.widen() > (xx.widen() + yy.widen()) * least;
            let near = squares.iter().zip(yy).enumerate().filter(|(_, (square, yy))| !is_above(**square, **yy));
            self.near.extend(near.map(|(j, _)| k * WIDTH + j));
        }
    }

    /// What is known of the columns that are near, apart from the others.
    #[inline(never)]
    fn gather(&mut self, dots: &[T], yy: &[T]) {
        let gather = |to: &mut Vec<T>, from: &[T]| {
            to.clear();
            to.extend(self.near.iter().map(|&j| from[j]));
        };
        gather(&mut self.dots, dots);
        gather(&mut self.near_yy, yy);
        gather(&mut self.near_squares, &self.squares);
    }
}

/// valuesⱼ += weight·k(x,yⱼ) for one row of a tile.
#[inline(always)]
fn add_values<T: Real, const FMA: bool>(form: Form, weight: f64, dots: &[T], xx: T, yy: &[T], values: &mut [T]) {
    for ((value, dot), yy) in values.iter_mut().zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        *value = T::number(value.lane() + form.value(&pair).scale(weight));
    }
}

/// What is asked of a form with a distance. A trait and not a function: calls of functions that are handed over are not
/// inlined into the code of an instruction set.
trait Asked {
    fn of<A: Arith>(&self, form: &Form, pair: &Pair<A>) -> A;
}

/// k(x,y).
struct Value;

impl Asked for Value {
    #[inline(always)]
    fn of<A: Arith>(&self, form: &Form, pair: &Pair<A>) -> A {
        form.value(pair)
    }
}

/// ∂k/∂‖x‖².
struct Slope;

impl Asked for Slope {
    #[inline(always)]
    fn of<A: Arith>(&self, form: &Form, pair: &Pair<A>) -> A {
        form.slope(pair).xx
    }
}

/// sumsⱼ += weight·of(x,yⱼ) for a form with a distance: see [`signs_where_apart`] for what comes back.
#[inline(always)]
fn add_of_products<T: Real, const FMA: bool>(
    form: Form,
    weight: f64,
    dots: &[T],
    xx: T,
    yy: &[T],
    sums: &mut [T],
    asked: impl Asked,
) -> T::Bits {
    let mut signs = T::Bits::ONES;
    for ((sum, dot), yy) in sums.iter_mut().zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        *sum = T::number(sum.lane() + asked.of(&form, &pair).scale(weight));
        signs = signs & signs_where_apart::<T, FMA>(*dot, xx.lane() + yy.lane());
    }
    signs
}

/// The same from squared distances.
#[inline(always)]
fn add_of_squares<T: Real, const FMA: bool>(form: Form, weight: f64, squares: &[T], sums: &mut [T], asked: impl Asked) {
    for (sum, square) in sums.iter_mut().zip(squares) {
        *sum = T::number(sum.lane() + asked.of(&form, &at_distance::<T, FMA>(*square)).scale(weight));
    }
}

/// valuesⱼ += weight·(‖x‖ + ‖yⱼ‖), given ‖x‖² and ‖yⱼ‖.
#[inline(always)]
fn add_norms<T: Real, const FMA: bool>(weight: f64, xx: T, roots: &[T], values: &mut [T]) {
    let root = xx.lane::<FMA>().sqrt();
    for (value, yy) in values.iter_mut().zip(roots) {
        *value = T::number(value.lane() + (root + yy.lane()).scale(weight));
    }
}

/// Bits with the sign set where ‖x‖² + ‖y‖² − 2⟨x,y⟩ is above [`Real::CANCELLED`]·(‖x‖² + ‖y‖²), so that it keeps its digits.
/// The sign of many is that of their conjunction, which costs an instruction where a comparison would cost three.
#[inline(always)]
pub(super) fn signs_where_apart<T: Real, const FMA: bool>(dot: T, sum: T::Lane<FMA>) -> T::Bits {
    T::number(sum).mul_add::<FMA>(T::narrow(-0.5 * (1.0 - T::CANCELLED)), dot).bits()
}

/// The same for squared distances that are to be above `least`·(‖x‖² + ‖y‖²).
#[inline(always)]
pub(super) fn signs_where_right<T: Real, const FMA: bool>(xx: T, yy: &[T], squares: &[T], least: f64) -> T::Bits {
    let mut signs = T::Bits::ONES;
    for (square, yy) in squares.iter().zip(yy) {
        let least = (xx.lane::<FMA>() + yy.lane()).scale(least);
        signs = signs & T::number(least - square.lane()).bits();
    }
    signs
}

/// A pair of points at a squared distance, one of them the origin. Adding −0 changes no number, so it costs nothing.
#[inline(always)]
fn at_distance<T: Real, const FMA: bool>(square: T) -> Pair<T::Lane<FMA>> {
    Pair { dot: T::default().lane(), xx: square.lane(), yy: T::narrow(-0.0).lane() }
}

/// Adds weight·∂k/∂⟨x,y⟩ and weight·∂k/∂‖x‖² for one row of a tile.
#[inline(always)]
fn add_slopes<T: Real, const FMA: bool>(
    form: Form,
    weight: f64,
    dots: &[T],
    xx: T,
    yy: &[T],
    dot_slopes: &mut [T],
    xx_slopes: &mut [T],
) {
    for (((dot_slope, xx_slope), dot), yy) in dot_slopes.iter_mut().zip(xx_slopes).zip(dots).zip(yy) {
        let pair = Pair { dot: dot.lane::<FMA>(), xx: xx.lane(), yy: yy.lane() };
        let slope = form.slope(&pair);
        *dot_slope = T::number(dot_slope.lane() + slope.dot.scale(weight));
        *xx_slope = T::number(xx_slope.lane() + slope.xx.scale(weight));
    }
}
