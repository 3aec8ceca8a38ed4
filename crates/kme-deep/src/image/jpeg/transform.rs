//! The inverse cosine transform of blocks of 8×8, in whole numbers.
//!
//! Loeffler, Ligtenberg, Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", 1989: figure 1 backwards,
//! its constants in 13 bits, first the columns with 2 bits kept below the point, then the rows. This is the accurate integer
//! method of libjpeg ("islow"); every rounding is where it has it, and where its vector code saturates at 16 bits, so does
//! this.

use super::upsample::Plane;
use super::{BLOCK, Component, SIDE};
use std::num::Wrapping;

type W = Wrapping<i32>;

/// Bits below the point of the constants.
const BITS: usize = 13;
/// Bits below the point that are kept between columns and rows.
const KEPT: usize = 2;

/// x · 2¹³, rounded.
const fn fixed(x: f64) -> W {
    Wrapping((x * 8192.0 + 0.5) as i32)
}

/// The samples of a component.
pub(super) fn samples(component: &Component, quantiser: &[u16; BLOCK]) -> Plane {
    let stride = component.stride * SIDE;
    let mut samples = vec![0; stride * component.rows * SIDE];
    let mut out = [0; BLOCK];
    for (i, block) in component.coefficients.chunks_exact(BLOCK).enumerate() {
        let (row, column) = (i / component.stride, i % component.stride);
        inverse(block, quantiser, &mut out);
        for (y, line) in out.chunks_exact(SIDE).enumerate() {
            let at = (row * SIDE + y) * stride + column * SIDE;
            samples[at..at + SIDE].copy_from_slice(line);
        }
    }
    let (horizontal, vertical, id) = (component.horizontal, component.vertical, component.id);
    Plane { id, horizontal, vertical, height: component.height, width: component.width, stride, samples }
}

fn inverse(block: &[i16], quantiser: &[u16; BLOCK], out: &mut [u8; BLOCK]) {
    let level = |x: i32| (x + 128).clamp(0, 255) as u8;
    let value = |i: usize| i32::from(block[i].wrapping_mul(quantiser[i] as i16));
    if block[1..].iter().all(|x| *x == 0) {
        // All roundings of the two passes at once.
        out.fill(level(((value(0) << KEPT) + (1 << (KEPT + 2))) >> (KEPT + 3)));
        return;
    }
    let mut between = [0; BLOCK];
    for x in 0..SIDE {
        let column: [i32; SIDE] = std::array::from_fn(|y| value(y * SIDE + x));
        for (y, found) in pass(column, BITS - KEPT).into_iter().enumerate() {
            between[y * SIDE + x] = found.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        }
    }
    for (row, out) in between.chunks_exact(SIDE).zip(out.chunks_exact_mut(SIDE)) {
        let row: [i32; SIDE] = std::array::from_fn(|x| row[x]);
        for (found, out) in pass(row, BITS + KEPT + 3).into_iter().zip(out) {
            *out = level(found.clamp(-128, 127));
        }
    }
}

/// The transform of eight numbers, divided by 2^shift and rounded.
#[inline(always)]
fn pass(input: [i32; SIDE], shift: usize) -> [i32; SIDE] {
    let x = input.map(Wrapping);
    // The even part.
    let turn = (x[2] + x[6]) * fixed(0.541196100);
    let (t2, t3) = (turn - x[6] * fixed(1.847759065), turn + x[2] * fixed(0.765366865));
    let (t0, t1) = ((x[0] + x[4]) << BITS, (x[0] - x[4]) << BITS);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    // The odd part.
    let (a, b, c, d) = (x[7], x[5], x[3], x[1]);
    let turn = (a + c + b + d) * fixed(1.175875602);
    let (ad, bc) = (-((a + d) * fixed(0.899976223)), -((b + c) * fixed(2.562915447)));
    let (ac, bd) = (turn - (a + c) * fixed(1.961570560), turn - (b + d) * fixed(0.390180644));
    let odd = [
        d * fixed(1.501321110) + ad + bd,
        c * fixed(3.072711026) + bc + ac,
        b * fixed(2.053119869) + bc + bd,
        a * fixed(0.298631336) + ad + ac,
    ];
    let half = Wrapping(1 << (shift - 1));
    let mut out = [0; SIDE];
    for i in 0..4 {
        out[i] = ((even[i] + odd[i] + half) >> shift).0;
        out[7 - i] = ((even[i] - odd[i] + half) >> shift).0;
    }
    out
}
