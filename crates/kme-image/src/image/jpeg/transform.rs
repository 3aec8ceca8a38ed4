//! The inverse cosine transform of blocks of 8×8, in whole numbers.
//!
//! Loeffler, Ligtenberg, Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", 1989: figure 1 backwards,
//! its constants in 13 bits, first the columns with 2 bits kept below the point, then the rows. This is the accurate integer
//! method of libjpeg ("islow"); every rounding is where it has it, and where its vector code saturates at 16 bits, so does
//! this.

//!
//! The steps are taken for eight columns, or rows, at once, in whatever vector instructions there are: whole numbers are the same in
//! all of them.

use super::{BLOCK, Component, SIDE};
use std::ops::{Add, Range, Sub};

/// Bits below the point of the constants.
const BITS: i32 = 13;
/// Bits below the point that are kept between columns and rows.
const KEPT: i32 = 2;

/// x · 2¹³, rounded.
const fn fixed(x: f64) -> i32 {
    (x * 8192.0 + 0.5) as i32
}

/// One number of each of eight columns or rows.
#[derive(Clone, Copy)]
struct Lanes([i32; SIDE]);

/// Eight numbers. Not by what arrays have for it, which is not always inlined, and so not in vector instructions.
#[inline(always)]
fn each(of: impl Fn(usize) -> i32) -> Lanes {
    let mut lanes = [0; SIDE];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = of(i);
    }
    Lanes(lanes)
}

/// Eight times eight.
#[inline(always)]
fn all(of: impl Fn(usize) -> Lanes) -> [Lanes; SIDE] {
    let mut all = [Lanes([0; SIDE]); SIDE];
    for (i, lanes) in all.iter_mut().enumerate() {
        *lanes = of(i);
    }
    all
}

impl Lanes {
    #[inline(always)]
    fn times(self, factor: i32) -> Self {
        each(|i| self.0[i].wrapping_mul(factor))
    }
}

impl Add for Lanes {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each(|i| self.0[i].wrapping_add(other.0[i]))
    }
}

impl Sub for Lanes {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each(|i| self.0[i].wrapping_sub(other.0[i]))
    }
}

impl Component {
    /// Turns the coefficients that are held into samples, from the row of blocks `first` on.
    pub(super) fn emit(&mut self, first: usize, quantiser: &[u16; BLOCK]) {
        pulp::Arch::new().dispatch(Emit { component: self, first, quantiser });
    }
}

struct Emit<'a> {
    component: &'a mut Component,
    first: usize,
    quantiser: &'a [u16; BLOCK],
}

impl pulp::NullaryFnOnce for Emit<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { component, first, quantiser } = self;
        let blocks = component.stride;
        let stride = blocks * SIDE;
        let held = component.coefficients.len() / (blocks * BLOCK);
        let rows = &mut component.samples[rows(first, held, stride)];
        let blocks = component.coefficients.chunks_exact(blocks * BLOCK);
        for (row, blocks) in rows.chunks_exact_mut(stride * SIDE).zip(blocks) {
            for (x, block) in blocks.chunks_exact(BLOCK).enumerate() {
                let Ok(block) = block.try_into() else { continue };
                let out = inverse(block, quantiser);
                for (y, line) in out.iter().enumerate() {
                    row[y * stride + x * SIDE..][..SIDE].copy_from_slice(line);
                }
            }
        }
    }
}

/// Where the samples of so many rows of blocks lie.
fn rows(first: usize, count: usize, stride: usize) -> Range<usize> {
    let row = stride * SIDE;
    first * row..(first + count) * row
}

#[inline(always)]
fn inverse(block: &[i16; BLOCK], quantiser: &[u16; BLOCK]) -> [[u8; SIDE]; SIDE] {
    let level = |x: i32| (x + 128).clamp(0, 255) as u8;
    let value = |i: usize| i32::from(block[i].wrapping_mul(quantiser[i] as i16));
    if block[1..].iter().fold(0, |all, x| all | x) == 0 {
        // All roundings of the two passes at once.
        return [[level(((value(0) << KEPT) + (1 << (KEPT + 2))) >> (KEPT + 3)); SIDE]; SIDE];
    }
    let columns = all(|y| each(|x| value(y * SIDE + x)));
    let between = pass::<{ BITS - KEPT }>(&columns);
    let between = all(|x| each(|y| between[y].0[x].clamp(i32::from(i16::MIN), i32::from(i16::MAX))));
    let out = pass::<{ BITS + KEPT + 3 }>(&between);
    let mut levels = [[0; SIDE]; SIDE];
    for (y, row) in levels.iter_mut().enumerate() {
        for (x, to) in row.iter_mut().enumerate() {
            *to = level(out[x].0[y].clamp(-128, 127));
        }
    }
    levels
}

/// The transform of eight numbers, divided by 2^SHIFT and rounded.
#[inline(always)]
fn pass<const SHIFT: i32>(x: &[Lanes; SIDE]) -> [Lanes; SIDE] {
    // The even part.
    let turn = (x[2] + x[6]).times(fixed(0.541196100));
    let (t2, t3) = (turn - x[6].times(fixed(1.847759065)), turn + x[2].times(fixed(0.765366865)));
    let (t0, t1) = ((x[0] + x[4]).times(1 << BITS), (x[0] - x[4]).times(1 << BITS));
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    // The odd part.
    let (a, b, c, d) = (x[7], x[5], x[3], x[1]);
    let turn = (a + c + b + d).times(fixed(1.175875602));
    let (ad, bc) = ((a + d).times(-fixed(0.899976223)), (b + c).times(-fixed(2.562915447)));
    let (ac, bd) = (turn - (a + c).times(fixed(1.961570560)), turn - (b + d).times(fixed(0.390180644)));
    let odd = [
        d.times(fixed(1.501321110)) + ad + bd,
        c.times(fixed(3.072711026)) + bc + ac,
        b.times(fixed(2.053119869)) + bc + bd,
        a.times(fixed(0.298631336)) + ad + ac,
    ];
    let rounded = |sum: Lanes| each(|i| sum.0[i].wrapping_add(1 << (SHIFT - 1)) >> SHIFT);
    let mut out = [Lanes([0; SIDE]); SIDE];
    for i in 0..4 {
        out[i] = rounded(even[i] + odd[i]);
        out[7 - i] = rounded(even[i] - odd[i]);
    }
    out
}
