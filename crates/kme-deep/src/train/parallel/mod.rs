//! One run by several workers: each has a share of every batch, and together they take the step of the whole batch.
//!
//! A discrepancy is not a mean over samples. Its gradient on n samples is not the mean of its gradients on two halves: that
//! is the gradient of another estimator, of two comparisons of n/2 samples. So what is exchanged is first of all the
//! *features*, and the loss is computed of those of all workers. See `step.rs` for the three parts of a step.
//!
//! All workers hold the same networks and optimisers and make the same steps; the first also keeps the run folder
//! (`team.rs`). What they say to each other goes through a [`Collective`]: by channels between threads of a process
//! (`threads.rs`), or by TCP between processes (`sockets.rs`).
//!
//! # The collectives of burn 0.22.1
//!
//! They do not carry this, for these reasons:
//!
//! * `burn::tensor::distributed` has `all_reduce` with sum and mean, and nothing else: no gather, broadcast, barrier.
//!   (A gather is a sum of zero-padded blocks, at the price of a sum.)
//! * On the processor there are none. `burn-flex/src/ops/transaction.rs` leaves `DistributedOps` at its defaults, which
//!   are `unimplemented!()`; and `burn-backend-extension/src/catalog.rs` lists `Flex` as not distributed, so that
//!   `burn-dispatch/src/ops/distributed.rs` panics before it gets there ("Distributed operations are not supported for
//!   device"). The test `engine_has_no_collectives_on_the_processor` finds out when this changes.
//! * On graphics cards `burn-cubecl/src/ops/distributed.rs` hands on to cubecl 0.11.3, where CUDA alone has them, by NCCL
//!   where its library is found; on Vulkan `cubecl-runtime/src/client.rs` panics ("has no transport between its devices").
//! * They join devices, not processes: `cubecl-cuda/src/compute/communication.rs` keeps the identifier that NCCL's ranks
//!   meet under in a static map of its process, and a rank is a device's place in the list of them. So there is one worker
//!   for each card of one process; not several on a card or a processor, and no other machine.
//! * What goes by itself, `Tensor::set_distributed`, sums or averages the gradients of parameters in the backward pass:
//!   the very thing that changes the estimator.
//! * NCCL does not say in which order it adds.
//!
//! Where they fit (several CUDA cards of one process) they can be had by an implementation of [`Collective`] whose
//! `gather` and `sum` call `all_reduce`; nothing else has to change. Without one, features and gradients of cards go
//! through the memory of the host.

mod numbers;
mod sockets;
mod step;
mod team;
mod threads;

pub use sockets::{Farewell, Sockets};
pub use step::{StepGradients, critic, generator};
pub(super) use team::shared;
pub(crate) use team::{Leader, Seat, begin, check_shares};
pub use team::{Team, help};
pub use threads::threads;

use burn::tensor::Tensor;
use kme::{Error, Field, Result};
use numbers::{added, from_bytes, to_bytes};
use std::sync::Arc;

/// What one of several workers knows of the others: its rank, their number, and how to reach them.
///
/// All workers call the same methods in the same order, with tensors of the same shapes; a call returns when all have
/// called. Sums are added in the order of ranks and in double precision, so that all workers get the same bits.
pub trait Collective: Send {
    /// From 0 to `size` − 1.
    fn rank(&self) -> usize;

    /// Number of workers.
    fn size(&self) -> usize;

    /// What every worker says, in the order of ranks.
    ///
    /// # Errors
    /// [`TeamError`], when another worker has left or failed.
    fn exchange(&self, own: Vec<u8>) -> TeamResult<Vec<Arc<Vec<u8>>>>;

    /// What is said to the others when this worker leaves, after everything else is gone.
    fn farewell(&self) -> Farewell {
        Farewell::default()
    }

    /// The sum of what all workers say, as numbers of `width` 4 (single) or 8 (double precision) bytes.
    ///
    /// # Errors
    /// [`TeamError`], when another worker has left or failed, or says another number of them.
    fn add(&self, own: Vec<u8>, width: usize) -> TeamResult<Vec<u8>> {
        Ok(added(&self.exchange(own)?, width)?)
    }

    /// The rows of all workers, in the order of ranks, as constants. (n, d) → (n · size, d).
    ///
    /// # Errors
    /// [`TeamError`], when another worker has left or failed, or has rows of another shape.
    fn gather(&self, own: Tensor<2>) -> TeamResult<Tensor<2>> {
        let [n, d] = own.dims();
        let like = own.clone().inner();
        let mut all = Vec::new();
        let said = self.exchange(to_bytes(own))?;
        for part in &said {
            same_length(part.len(), said[0].len())?;
            all.extend_from_slice(part);
        }
        Ok(from_bytes(all, [n * self.size(), d], &like.device(), like.dtype()))
    }

    /// The sums over all workers of tensors of one place and precision, as constants.
    ///
    /// # Errors
    /// [`TeamError`], when another worker has left or failed, or has tensors of other lengths.
    fn sum(&self, own: Vec<Tensor<1>>) -> TeamResult<Vec<Tensor<1>>> {
        if own.is_empty() {
            return Ok(own);
        }
        let lengths: Vec<usize> = own.iter().map(|t| t.dims()[0]).collect();
        let own = Tensor::cat(own.into_iter().map(Tensor::inner).collect(), 0);
        let (device, dtype, count) = (own.device(), own.dtype(), own.dims());
        let sum: Tensor<1> = from_bytes(self.add(to_bytes(own), dtype.size())?, count, &device, dtype);
        let mut from = 0;
        let cut = |length: usize| {
            from += length;
            sum.clone().slice(from - length..from)
        };
        Ok(lengths.into_iter().map(cut).collect())
    }
}

/// A worker without others.
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(&self, own: Vec<u8>) -> TeamResult<Vec<Arc<Vec<u8>>>> {
        Ok(vec![Arc::new(own)])
    }
}

/// Why a worker cannot go on with the others.
#[derive(Debug)]
#[non_exhaustive]
pub enum TeamError {
    /// Another worker is gone without a word.
    Left {
        /// Its rank.
        rank: usize,
    },
    /// Another worker said nothing for ten minutes.
    Silent {
        /// Its rank.
        rank: usize,
    },
    /// Another worker has left and told why.
    Failed {
        /// Its rank.
        rank: usize,
        /// What it told.
        reason: String,
    },
    /// The first worker has left, since the run is done.
    Done,
    /// A fault of this worker.
    Own(Error),
}

/// Result of what workers do together.
pub type TeamResult<T> = std::result::Result<T, TeamError>;

impl TeamError {
    /// A fault of this worker as one of something that belongs to `of`.
    pub(crate) fn within(self, of: impl ToString) -> Self {
        match self {
            Self::Own(error) => Self::Own(error.within(of)),
            other => other,
        }
    }

    /// Which worker is at fault, and why, for the others; `own` is the rank of this one. Nothing where the run is done.
    fn told(&self, own: usize) -> Option<(usize, String)> {
        const RESUME: &str =
            "What its own terminal shows may tell why; resume the run to go on from its last checkpoint";
        match self {
            Self::Left { rank } => Some((*rank, format!("it has left. {RESUME}"))),
            Self::Silent { rank } => Some((*rank, format!("it was silent for ten minutes. {RESUME}"))),
            Self::Failed { rank, reason } => Some((*rank, reason.clone())),
            Self::Done => None,
            Self::Own(error) => Some((own, error.to_string())),
        }
    }
}

impl From<Error> for TeamError {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl From<TeamError> for Error {
    fn from(error: TeamError) -> Self {
        match error {
            TeamError::Own(error) => error,
            other => match other.told(0) {
                Some((rank, reason)) => Self::unsupported(format!("go on without worker {rank}"), reason),
                None => Self::unsupported("go on with worker 0", "the run is done"),
            },
        }
    }
}

fn same_length(found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let field = Field::Count("bytes in the workers' messages".into());
    Err(Error::mismatch(field, found, expected, "run the same program and step on all workers"))
}
