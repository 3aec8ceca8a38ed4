//! The permutations of NumPy's `RandomState`: what other tools draw their subsets with.
//!
//! The generator is MT19937 (Matsumoto, Nishimura, ACM TOMACS 1998) with its original seeding by one 32-bit number.
//! NumPy promises that what `RandomState` draws will never change.

use crate::{Error, Result};

const N: usize = 624;
const M: usize = 397;

/// `numpy.random.RandomState`.
pub(super) struct RandomState {
    state: [u32; N],
    next: usize,
}

impl RandomState {
    /// # Errors
    /// When the seed has more than 32 bits.
    pub(super) fn new(seed: u64) -> Result<Self> {
        let allowed = "from 0 to 4294967295: the generator of torch-fidelity and clean-fid takes seeds of 32 bits";
        let seed = u32::try_from(seed).map_err(|_| Error::parameter("seed", seed, allowed))?;
        let mut state = [seed; N];
        for i in 1..N {
            let last = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Ok(Self { state, next: N })
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twist = if y & 1 == 0 { 0 } else { 0x9908_b0df };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number from 0 to `max`: the low bits of a draw, again until they are not above it.
    fn up_to(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// `permutation(n)`: a shuffle from the end. Its first numbers are `choice(n, size, replace=False)`.
    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            // Points that fit in memory are fewer than 2³².
            all.swap(i, self.up_to(i as u32) as usize);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by NumPy 2.4.6.
    #[test]
    fn permutations_are_those_of_numpy() {
        let mut state = RandomState::new(2020).unwrap();
        assert_eq!(state.permutation(10), [2, 4, 9, 1, 5, 7, 6, 3, 8, 0]);
        assert_eq!(state.permutation(1000)[..8], [358, 763, 430, 530, 677, 107, 127, 935]);
        assert_eq!(RandomState::new(0).unwrap().permutation(7), [6, 2, 1, 3, 0, 5, 4]);
        assert!(RandomState::new(1 << 32).is_err());
    }
}
