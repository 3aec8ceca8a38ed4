//! Seeded random numbers: every random draw of the program names its seed, its purpose and its index.
//!
//! A generator is a pure function of (seed, purpose, index). Nothing has to be stored to repeat or resume a
//! computation: step 1000 of a training run draws from index 1000, whether or not the run was interrupted before it.

pub use rand_xoshiro::Xoshiro256PlusPlus as Rng;

use rand_xoshiro::rand_core::{Rng as _, SeedableRng};

/// The generator for draw number `index` of `purpose` under the user's `seed`.
///
/// Distinct purposes or indices give unrelated streams (64-bit FNV-1a of the purpose, then SplitMix64 mixing).
pub fn stream(seed: u64, purpose: &str, index: u64) -> Rng {
    let name =
        purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    Rng::seed_from_u64(mix(mix(mix(seed) ^ name) ^ index))
}

/// `count` different numbers below `total`, in random order.
pub(crate) fn choose(rng: &mut Rng, total: usize, count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..total).collect();
    // The first steps of a shuffle.
    for i in 0..count {
        let step = (u128::from(rng.next_u64()) * (total - i) as u128) >> 64;
        chosen.swap(i, i + step as usize);
    }
    chosen.truncate(count);
    chosen
}

/// 64 random bits.
pub(crate) fn bits(rng: &mut Rng) -> u64 {
    rng.next_u64()
}

/// A number in [0, 1), a multiple of 2⁻⁵³.
pub(crate) fn uniform(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// SplitMix64's output function.
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        assert_eq!(first(0, "latents", 3), first(0, "latents", 3));
        let all = [first(0, "latents", 3), first(1, "latents", 3), first(0, "data", 3), first(0, "latents", 4)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
