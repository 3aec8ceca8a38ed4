//! Workers that are threads of one process.

use super::{Collective, TeamError, TeamResult};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// One of several threads. What it says goes to each other one by a channel for the two of them, so that messages cannot
/// overtake each other, and a thread that ends is noticed by those that wait for it.
struct Thread {
    rank: usize,
    /// To every rank, and from it; its own is never used.
    to: Vec<Sender<Arc<Vec<u8>>>>,
    from: Vec<Receiver<Arc<Vec<u8>>>>,
}

/// The collectives of `size` threads, one for each, by rank.
///
/// A thread must hold its own alone: the others wait for it as long as it exists.
pub fn threads(size: usize) -> Vec<Box<dyn Collective>> {
    let mut to: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
    let mut from: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
    for speaker in &mut to {
        for listener in &mut from {
            let (sender, receiver) = channel();
            speaker.push(sender);
            listener.push(receiver);
        }
    }
    let pairs = to.into_iter().zip(from).enumerate();
    pairs.map(|(rank, (to, from))| Box::new(Thread { rank, to, from }) as Box<dyn Collective>).collect()
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&self, own: Vec<u8>) -> TeamResult<Vec<Arc<Vec<u8>>>> {
        let own = Arc::new(own);
        let others = || (0..self.size()).filter(|&rank| rank != self.rank);
        for rank in others() {
            self.to[rank].send(own.clone()).map_err(|_| TeamError::Left { rank })?;
        }
        let mut said = vec![own; self.size()];
        for rank in others() {
            said[rank] = self.from[rank].recv().map_err(|_| TeamError::Left { rank })?;
        }
        Ok(said)
    }
}
