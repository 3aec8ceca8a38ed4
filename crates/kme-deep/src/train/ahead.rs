//! Making the next thing while the last one is used.

use kme::Result;
use std::panic;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{self, JoinHandle};

/// Things that wait in the channel. One more is in the hands of the thread that makes them, so that two are ready.
const WAITING: usize = 1;

/// Things with numbers, made by a thread of their own. Whoever asks for number i will most likely ask for i + 1 next:
/// that one, and the one after it, are made meanwhile.
///
/// What is given is what the function makes of the number, whatever was asked before.
pub(super) struct Ahead<T> {
    /// Both ends are gone only when this is dropped.
    asked: Option<Sender<u64>>,
    made: Option<Receiver<Provenance<T>>>,
    thread: Option<JoinHandle<()>>,
    /// How often the thread was sent to another number. What it made before that is out of date.
    turns: u64,
    next: Option<u64>,
}

struct Provenance<T> {
    turn: u64,
    number: u64,
    value: Result<T>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Things that `make` makes of their number. Nothing is made before the first is asked for.
    pub(super) fn new(make: impl FnMut(u64) -> Result<T> + Send + 'static) -> Self {
        let (asked, asks) = channel();
        let (makes, made) = sync_channel(WAITING);
        let thread = thread::spawn(move || work(make, &asks, &makes));
        Self { asked: Some(asked), made: Some(made), thread: Some(thread), turns: 0, next: None }
    }

    /// Thing number `number`.
    ///
    /// # Errors
    /// That of making this one. The others are not concerned.
    pub(super) fn get(&mut self, number: u64) -> Result<T> {
        let is_coming = self.next.is_some_and(|next| (next..=next.saturating_add(1)).contains(&number));
        if !is_coming {
            self.turns += 1;
            if self.asked.as_ref().is_none_or(|asked| asked.send(number).is_err()) {
                self.fail();
            }
        }
        loop {
            match self.made.as_ref().map(Receiver::recv) {
                Some(Ok(made)) if made.turn == self.turns && made.number == number => {
                    self.next = Some(number.saturating_add(1));
                    return made.value;
                }
                // Of before the turn, or passed over.
                Some(Ok(_)) => {}
                _ => self.fail(),
            }
        }
    }

    /// Goes on with the panic of the thread, which ends in no other way while this lives.
    fn fail(&mut self) -> ! {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panicked)) => panic::resume_unwind(panicked),
            _ => panic!("the thread that prepares batches has ended"),
        }
    }
}

fn work<T>(mut make: impl FnMut(u64) -> Result<T>, asks: &Receiver<u64>, makes: &SyncSender<Provenance<T>>) {
    let Ok(mut number) = asks.recv() else { return };
    let mut turn = 1;
    loop {
        loop {
            match asks.try_recv() {
                Ok(asked) => (turn, number) = (turn + 1, asked),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let value = make(number);
        if makes.send(Provenance { turn, number, value }).is_err() {
            return;
        }
        number = number.saturating_add(1);
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        // Without the channels the thread ends, at the latest with what it is making.
        drop((self.asked.take(), self.made.take()));
        if let Some(thread) = self.thread.take() {
            // Whatever it says, nobody waits for it any more.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::Error;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Barrier};

    #[test]
    fn things_do_not_depend_on_what_was_asked_before() {
        let mut ahead = Ahead::new(|i| Ok(i * i));
        for i in [5, 6, 7, 9, 8, 8, 0, 1, 3, 1000, 1001, 1003, 5, u64::from(u32::MAX)] {
            assert_eq!(ahead.get(i).unwrap(), i * i);
        }
    }

    #[test]
    fn faults_come_with_their_number_alone() {
        let mut ahead = Ahead::new(|i| if i % 3 == 2 { Err(Error::parameter("number", i, "another")) } else { Ok(i) });
        for i in (0..9).chain([2, 1, 5, 3]) {
            match ahead.get(i) {
                Ok(got) => assert!(got == i && i % 3 != 2),
                Err(fault) => assert!(i % 3 == 2 && fault.to_string().contains(&format!("number is {i}"))),
            }
        }
    }

    #[test]
    fn two_are_made_meanwhile_and_no_more() {
        let count = Arc::new(AtomicU64::new(0));
        let (counted, meeting) = (count.clone(), Arc::new(Barrier::new(2)));
        let met = meeting.clone();
        let mut ahead = Ahead::new(move |i| {
            counted.fetch_add(1, Ordering::SeqCst);
            if i == 2 {
                met.wait();
            }
            Ok(i)
        });
        assert_eq!(ahead.get(0).unwrap(), 0);
        // Numbers 1 and 2 are reached without being asked for.
        meeting.wait();
        for i in 1..500 {
            assert_eq!(ahead.get(i).unwrap(), i);
            let made = count.load(Ordering::SeqCst);
            assert!(made <= i + 3, "{made} at {i}");
        }
    }

    #[test]
    fn dropping_ends_the_thread() {
        let alive = Arc::new(());
        let held = alive.clone();
        let mut ahead = Ahead::new(move |i| {
            let _held = &held;
            Ok(i)
        });
        ahead.get(3).unwrap();
        drop(ahead);
        assert_eq!(Arc::strong_count(&alive), 1);
        // Also when nothing was ever asked for.
        drop(Ahead::new(Ok::<u64, Error>));
    }

    #[test]
    fn a_panic_is_passed_on() {
        let mut ahead = Ahead::new(|i| if i == 4 { panic!("bug {i}") } else { Ok(i) });
        assert_eq!(ahead.get(3).unwrap(), 3);
        let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| ahead.get(4))).unwrap_err();
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), "bug 4");
    }
}
