//! Which vector instructions are used.

use crate::tile::{GetSizes, Sizes};
use pulp::{Scalar128b, Simd, WithSimd};
use std::sync::OnceLock;

/// The environment variable that forces an instruction set: `avx512`, `avx2` or `generic`.
pub const VARIABLE: &str = "KME_CONV_ISA";

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Vectors of 16 numbers (x86-64-v4).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Vectors of 8 numbers (x86-64-v3).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor has, or its one wide set where that is not x86-64.
    Generic,
}

impl Isa {
    /// Those that this processor has, widest first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V4::try_new().map(|_| Self::Avx512));
            all.extend(pulp::x86::V3::try_new().map(|_| Self::Avx2));
        }
        all.push(Self::Generic);
        all
    }

    /// The one in use: what [`VARIABLE`] says, else the widest that this processor has.
    ///
    /// # Panics
    /// When the variable's value is not allowed; programs ask [`Self::requested`] first.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Isa> = OnceLock::new();
        *CHOSEN.get_or_init(|| match Self::requested() {
            Ok(isa) => isa,
            Err((value, allowed)) => panic!("{VARIABLE}={value}: allowed are {allowed}"),
        })
    }

    /// What [`VARIABLE`] says, else the widest that this processor has.
    ///
    /// # Errors
    /// When the value names none that this processor has: the value, and what is allowed.
    pub fn requested() -> Result<Self, (String, String)> {
        let available = Self::available();
        let Some(value) = std::env::var_os(VARIABLE) else { return Ok(available[0]) };
        let value = value.to_string_lossy();
        available.iter().find(|isa| isa.name() == value).copied().ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
            (value.into_owned(), names.join(", "))
        })
    }

    /// Its name, as in [`VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            Self::Generic => "generic",
        }
    }

    /// The sizes of its vectors, panels and tiles.
    pub(crate) fn sizes(self) -> Sizes {
        self.run(GetSizes)
    }

    /// Runs `work` with these instructions.
    pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Simd::vectorize(pulp::x86::V4::try_new().expect("chosen because it is there"), work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Simd::vectorize(pulp::x86::V3::try_new().expect("chosen because it is there"), work),
            #[cfg(target_arch = "x86_64")]
            Self::Generic => Scalar128b.vectorize(work),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Generic => pulp::Arch::new().dispatch(work),
        }
    }
}
