//! Workers that are processes, on one machine or several.
//!
//! The first listens, the others come to it and speak to it alone. A message is its length (eight bytes, little-endian) and
//! its bytes. A length whose highest bit is set is that of a parting: the sender leaves, and the bytes say why: the rank of
//! the worker at fault (eight bytes) and text; a run that is done leaves without a reason. Nothing is encrypted and nobody proves who they are:
//! for networks whose users trust each other.
//!
//! A connection whose other end has lost its power or its network looks like one that nothing is said on. The first worker
//! therefore gives up on one that says nothing for a while. The others do not: the first may score for longer than any
//! fixed time. The standard library cannot ask TCP to look whether a silent machine is still there, so they wait on.

use super::{Collective, TeamError, TeamResult, added};
use kme::{Action, Error, Result};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the first waits for the others to come, and they for it; messages say how long that is.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the first waits for another to say something; messages say how long that is.
const SILENCE: Duration = Duration::from_secs(600);
/// How long one that has come may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);
/// How long one that leaves stays to see its last words taken.
const LINGER: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
/// What comes first on a connection.
const HELLO: &[u8] = b"kme worker 3\n";
/// The bit of a length that makes it that of a parting.
const PARTING: u64 = 1 << 63;
/// Bytes of a reason at most.
const REASON: u64 = 1 << 16;

/// One of several processes.
pub struct Sockets {
    rank: usize,
    size: usize,
    /// Of the first: one for each of the others, in the order of ranks. Of the others: the one to the first.
    streams: Vec<TcpStream>,
}

impl Sockets {
    /// Waits at `address` (`HOST:PORT`) for the `size` − 1 others; `listening` is called once they can come.
    ///
    /// # Errors
    /// When the address cannot be listened at, or not all have come in ten minutes.
    pub fn first(address: &str, size: usize, listening: impl FnOnce()) -> Result<Self> {
        check_port(address)?;
        let listener = TcpListener::bind(address).map_err(|e| meeting(address, e))?;
        listening();
        Self::first_at(&listener, address, size, PATIENCE, SILENCE)
    }

    fn first_at(
        listener: &TcpListener,
        address: &str,
        size: usize,
        patience: Duration,
        silence: Duration,
    ) -> Result<Self> {
        listener.set_nonblocking(true).map_err(|e| meeting(address, e))?;
        let mut seats: Vec<Option<TcpStream>> = (1..size).map(|_| None).collect();
        let begun = Instant::now();
        while seats.iter().any(Option::is_none) {
            match listener.accept() {
                // Whoever else comes to a port that is open is sent away.
                Ok((stream, _)) => drop(seat(stream, &mut seats)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(e) => return Err(meeting(address, e)),
            }
            if begun.elapsed() > patience {
                return Err(Error::unsupported(format!("begin at {address}"), missing(&free(&seats), size)));
            }
        }
        let streams: Vec<TcpStream> = seats.into_iter().flatten().collect();
        for stream in &streams {
            stream.set_read_timeout(Some(silence)).map_err(|e| meeting(address, e))?;
            stream.set_write_timeout(Some(silence)).map_err(|e| meeting(address, e))?;
        }
        Ok(Self { rank: 0, size, streams })
    }

    /// Comes to the first worker, which waits at `address`, as number `rank` (from 1) of `size`.
    ///
    /// # Errors
    /// When it is not there for ten minutes, or has no seat of that rank.
    pub fn join(address: &str, rank: usize, size: usize) -> Result<Self> {
        Self::join_within(address, rank, size, PATIENCE)
    }

    fn join_within(address: &str, rank: usize, size: usize, patience: Duration) -> Result<Self> {
        check_port(address)?;
        let begun = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(meeting(address, e)),
                Err(e) if begun.elapsed() > patience => {
                    let remedy = "no worker 0 was there within ten minutes: start it, or check address and firewall";
                    return Err(unreached(address, remedy, e));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        };
        let mut greet = || {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(HELLO)?;
            write(&mut stream, &(rank as u64).to_le_bytes())?;
            write(&mut stream, &(size as u64).to_le_bytes())?;
            let answer = read_at_most(&mut stream, REASON)?;
            stream.set_read_timeout(None)?;
            Ok(answer)
        };
        match greet() {
            Ok(answer) if answer.is_empty() => Ok(Self { rank, size, streams: vec![stream] }),
            Ok(answer) => {
                let allowed = String::from_utf8_lossy(&answer).into_owned();
                Err(Error::parameter("rank", format!("{rank}/{size}"), allowed))
            }
            Err(e) => {
                let remedy = "it answered, but is not a worker 0 of this version: check the address, and run the same kme everywhere";
                Err(unreached(address, remedy, e))
            }
        }
    }

    /// Who is at the other end of stream `i`.
    fn other(&self, i: usize) -> usize {
        if self.rank == 0 { i + 1 } else { 0 }
    }

    fn hear(&self, i: usize) -> TeamResult<Vec<u8>> {
        match read(&mut &self.streams[i]) {
            Ok(Heard::Message(message)) => Ok(message),
            Ok(Heard::Parting(reason)) => Err(parting(self.other(i), &reason)),
            Err(e) => Err(gone(self.other(i), &e)),
        }
    }

    fn tell(&self, i: usize, message: &[u8]) -> TeamResult<()> {
        match write(&mut &self.streams[i], message) {
            Ok(()) => Ok(()),
            Err(e) if is_silence(&e) => Err(gone(self.other(i), &e)),
            // What it said before it left says why.
            Err(e) => Err(self.hear(i).err().unwrap_or_else(|| gone(self.other(i), &e))),
        }
    }

    fn hear_all(&self) -> TeamResult<Vec<Vec<u8>>> {
        (0..self.streams.len()).map(|i| self.hear(i)).collect()
    }

    fn tell_all(&self, message: &[u8]) -> TeamResult<()> {
        (0..self.streams.len()).try_for_each(|i| self.tell(i, message))
    }
}

impl Collective for Sockets {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, own: Vec<u8>) -> TeamResult<Vec<Arc<Vec<u8>>>> {
        if self.rank > 0 {
            self.tell(0, &own)?;
            return (0..self.size).map(|_| self.hear(0).map(Arc::new)).collect();
        }
        let mut all = vec![own];
        all.extend(self.hear_all()?);
        all.iter().try_for_each(|part| self.tell_all(part))?;
        Ok(all.into_iter().map(Arc::new).collect())
    }

    /// The first adds and tells the sum, so that a message does not go through it once for each pair.
    fn add(&self, own: Vec<u8>, width: usize) -> TeamResult<Vec<u8>> {
        if self.rank > 0 {
            self.tell(0, &own)?;
            return self.hear(0);
        }
        let mut all = vec![Arc::new(own)];
        all.extend(self.hear_all()?.into_iter().map(Arc::new));
        let sum = added(&all, width)?;
        self.tell_all(&sum)?;
        Ok(sum)
    }

    fn farewell(&self) -> Farewell {
        // A stream that cannot be held twice closes without a word.
        let streams = self.streams.iter().filter_map(|stream| stream.try_clone().ok()).collect();
        Farewell { rank: self.rank, streams }
    }
}

/// Holds a worker's connections until it has told the others that and why it leaves. Nothing, where workers are threads:
/// these notice.
#[derive(Default)]
pub struct Farewell {
    rank: usize,
    streams: Vec<TcpStream>,
}

impl Farewell {
    /// Leaves after this outcome. Whoever has left already need not be told.
    pub fn say<T>(self, outcome: &TeamResult<T>) {
        // What another worker has said is passed on.
        let told = outcome.as_ref().err().and_then(|error| error.told(self.rank));
        let mut reason = told.map_or(Vec::new(), |(rank, why)| [&(rank as u64).to_le_bytes(), why.as_bytes()].concat());
        reason.truncate(REASON as usize);
        for mut stream in &self.streams {
            let _ = stream.set_write_timeout(Some(LINGER));
            let _ = write_length(&mut stream, PARTING | reason.len() as u64, &reason);
            let _ = stream.shutdown(Shutdown::Write);
        }
        // A connection that is closed before all has been read from it may lose what was said last.
        let begun = Instant::now();
        for mut stream in &self.streams {
            let mut rest = [0; 4096];
            while let Some(left) = LINGER.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
                if stream.set_read_timeout(Some(left)).is_err() || !matches!(stream.read(&mut rest), Ok(1..)) {
                    break;
                }
            }
        }
    }
}

/// Port 0 is any free one, which the others could not know.
fn check_port(address: &str) -> Result<()> {
    match address.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(0)) => {
            Err(Error::parameter("address", address, "HOST:PORT with a port from 1 to 65535, the same for all"))
        }
        _ => Ok(()),
    }
}

fn meeting(address: &str, error: io::Error) -> Error {
    unreached(address, "name a HOST:PORT where worker 0 can listen and the others can reach it", error)
}

fn unreached(address: &str, remedy: &'static str, source: io::Error) -> Error {
    Error::Io { path: address.into(), action: Action::Read, remedy: Some(remedy.into()), source }
}

/// Ranks that nobody has yet.
fn free(seats: &[Option<TcpStream>]) -> Vec<usize> {
    (1..=seats.len()).filter(|&rank| seats[rank - 1].is_none()).collect()
}

fn listed(ranks: &[usize]) -> String {
    ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// How those are told of that did not come.
fn missing(ranks: &[usize], size: usize) -> String {
    match ranks {
        [rank] => format!("worker {rank} has not come within ten minutes. Start it as rank {rank} of {size}"),
        _ => format!("workers {} have not come within ten minutes. Start each with its rank of {size}", listed(ranks)),
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn gone(rank: usize, error: &io::Error) -> TeamError {
    if is_silence(error) { TeamError::Silent { rank } } else { TeamError::Left { rank } }
}

/// What is made of a parting's reason, heard from worker `rank`.
fn parting(rank: usize, reason: &[u8]) -> TeamError {
    match reason.split_first_chunk() {
        Some((of, why)) => TeamError::Failed {
            rank: u64::from_le_bytes(*of) as usize,
            reason: String::from_utf8_lossy(why).into_owned(),
        },
        None if reason.is_empty() => TeamError::Done,
        None => TeamError::Left { rank },
    }
}

/// Hears who has come, and gives it its seat or tells it why not.
fn seat(mut stream: TcpStream, seats: &mut [Option<TcpStream>]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GREETING))?;
    let mut hello = [0; HELLO.len()];
    stream.read_exact(&mut hello)?;
    if hello != HELLO {
        return Ok(());
    }
    let mut number = || -> io::Result<Option<usize>> {
        Ok(read_at_most(&mut stream, 8)?.as_slice().try_into().ok().map(|bytes| u64::from_le_bytes(bytes) as usize))
    };
    let (rank, size) = (number()?, number()?);
    let own = seats.len() + 1;
    let refusal = match (rank, size) {
        (Some(rank), Some(size)) if size == own && (1..size).contains(&rank) => {
            if seats[rank - 1].is_none() {
                write(&mut stream, &[])?;
                seats[rank - 1] = Some(stream);
                return Ok(());
            }
            format!("a rank that is not taken: {}", listed(&free(seats)))
        }
        (_, Some(size)) if size == own => format!("1/{own} to {}/{own}, each by one worker", own - 1),
        _ => format!("of {own} workers, as worker 0 says"),
    };
    write(&mut stream, refusal.as_bytes())
}

fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    write_length(stream, message.len() as u64, message)
}

fn write_length(stream: &mut impl Write, length: u64, message: &[u8]) -> io::Result<()> {
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(message)?;
    stream.flush()
}

/// What comes from another worker.
enum Heard {
    Message(Vec<u8>),
    Parting(Vec<u8>),
}

fn read(stream: &mut impl Read) -> io::Result<Heard> {
    let length = read_length(stream)?;
    if length & PARTING == 0 {
        return read_bytes(stream, length).map(Heard::Message);
    }
    read_bytes(stream, (length & !PARTING).min(REASON)).map(Heard::Parting)
}

fn read_at_most(stream: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let length = read_length(stream)?;
    if length > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "another protocol"));
    }
    read_bytes(stream, length)
}

fn read_length(stream: &mut impl Read) -> io::Result<u64> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length))
}

/// Memory is taken as the bytes come, not as their number is told.
fn read_bytes(stream: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message)?;
    if message.len() as u64 == length { Ok(message) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three processes' worth of sockets in threads, beside strangers and one too many.
    #[test]
    fn all_hear_all_in_the_order_of_ranks() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut stranger = TcpStream::connect(&address).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let talk = |sockets: Sockets| {
            let said = sockets.exchange(vec![sockets.rank() as u8; 1 + sockets.rank()]).unwrap();
            let lengths: Vec<_> = said.iter().map(|part| (part.len(), part[0])).collect();
            assert_eq!(lengths, [(1, 0), (2, 1), (3, 2)]);
            let own: Vec<u8> = [0.1, sockets.rank() as f64].iter().flat_map(|x| x.to_le_bytes()).collect();
            let sum = sockets.add(own, 8).unwrap();
            let numbers: Vec<f64> = sum.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
            assert_eq!(numbers, [0.1 + 0.1 + 0.1, 3.0]);
        };
        thread::scope(|scope| {
            let address = &address;
            scope.spawn(move || talk(Sockets::first_at(&listener, "test", 3, PATIENCE, SILENCE).unwrap()));
            let wrong = Sockets::join(address, 1, 4).err().unwrap().to_string();
            assert!(wrong.contains("1/4") && wrong.contains("of 3 workers"), "{wrong}");
            let one = Sockets::join(address, 1, 3).unwrap();
            let twice = Sockets::join(address, 1, 3).err().unwrap().to_string();
            assert_eq!(twice, "rank is 1/3, but must be a rank that is not taken: 2");
            scope.spawn(move || talk(one));
            scope.spawn(move || talk(Sockets::join(address, 2, 3).unwrap()));
        });
    }

    /// What the first of two hears when the other does `other`, and is silent for as long as `silence` at most.
    fn first_hears(silence: Duration, other: impl FnOnce(Sockets) + Send) -> TeamError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::scope(|scope| {
            scope.spawn(|| other(Sockets::join(&address, 1, 2).unwrap()));
            let first = Sockets::first_at(&listener, "test", 2, PATIENCE, silence).unwrap();
            first.exchange(vec![1]).unwrap_err()
        })
    }

    #[test]
    fn one_that_is_gone_is_named() {
        let fault = first_hears(SILENCE, drop);
        assert!(matches!(fault, TeamError::Left { rank: 1 }), "{fault:?}");
        assert!(Error::from(fault).to_string().starts_with("cannot go on without worker 1: it has left."));
    }

    #[test]
    fn one_that_is_silent_is_given_up() {
        let fault = first_hears(Duration::from_millis(100), |sockets| {
            thread::sleep(Duration::from_secs(1));
            drop(sockets);
        });
        assert!(matches!(fault, TeamError::Silent { rank: 1 }), "{fault:?}");
    }

    #[test]
    fn who_leaves_says_why() {
        let fault = || Err::<(), _>(Error::parameter("batch", 3, "even").into());
        let heard = first_hears(SILENCE, |sockets| sockets.farewell().say(&fault()));
        assert!(matches!(&heard, TeamError::Failed { rank: 1, reason } if reason == "batch is 3, but must be even"));
        let message = Error::from(heard).to_string();
        assert_eq!(message, "cannot go on without worker 1: batch is 3, but must be even");

        // The first passes on what it was told, and says when the run is done.
        let heard = |outcome: TeamResult<()>| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            thread::scope(|scope| {
                let other = scope.spawn(|| Sockets::join(&address, 1, 2).unwrap().exchange(Vec::new()).unwrap_err());
                let first = Sockets::first_at(&listener, "test", 2, PATIENCE, SILENCE).unwrap();
                let farewell = first.farewell();
                drop(first);
                farewell.say(&outcome);
                other.join().unwrap()
            })
        };
        assert!(matches!(heard(Ok(())), TeamError::Done));
        assert!(matches!(heard(fault()), TeamError::Failed { rank: 0, .. }));
        let passed = heard(Err(TeamError::Failed { rank: 2, reason: "data differs".into() }));
        assert!(matches!(&passed, TeamError::Failed { rank: 2, reason } if reason == "data differs"), "{passed:?}");
    }

    #[test]
    fn one_that_does_not_come_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let alone = |size| Sockets::first_at(&listener, &address, size, PAUSE, SILENCE).err().unwrap().to_string();
        let one =
            format!("cannot begin at {address}: worker 1 has not come within ten minutes. Start it as rank 1 of 2");
        assert_eq!(alone(2), one);
        assert!(alone(3).contains("workers 1, 2 have not come") && alone(3).contains("rank of 3"));
        drop(listener);
        let nobody = Sockets::join_within(&address, 1, 2, PAUSE).err().unwrap();
        assert!(matches!(&nobody, Error::Io { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused));
        let expected = format!("cannot read {address}: connection refused; no worker 0 was there within ten minutes");
        assert!(nobody.to_string().starts_with(&expected), "{nobody}");
        let any = Sockets::join("127.0.0.1:0", 1, 2).err().unwrap();
        assert!(any.parameter_name() == Some("address") && any.to_string().contains("1 to 65535"), "{any}");
    }

    /// A server of something else answers.
    #[test]
    fn what_is_no_worker_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::scope(|scope| {
            scope.spawn(move || listener.accept().unwrap().0.write_all(b"SSH-2.0-other\r\n").unwrap());
            let message = Sockets::join(&address, 1, 2).err().unwrap().to_string();
            assert!(message.contains("not a worker 0 of this version"), "{message}");
        });
    }
}
