//! Workers that are processes, on one machine or several.
//!
//! The first listens, the others come to it and speak to it alone. A message is its length (eight bytes, little-endian) and
//! its bytes. Nothing is encrypted and nobody proves who they are: for networks whose users trust each other.

use super::{Collective, added, left};
use kme::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the first waits for the others, and they for it.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long one that has come may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
/// What comes first on a connection.
const HELLO: &[u8] = b"kme worker 1\n";

/// One of several processes.
pub struct Sockets {
    rank: usize,
    size: usize,
    /// Of the first: one for each of the others, in the order of ranks. Of the others: the one to the first.
    streams: Vec<TcpStream>,
}

impl Sockets {
    /// Waits at `address` (`HOST:PORT`) for the `size` − 1 others.
    ///
    /// # Errors
    /// When the address cannot be listened at, or not all have come in ten minutes.
    pub fn first(address: &str, size: usize) -> Result<Self> {
        let listener = TcpListener::bind(address).map_err(|e| meeting(address, &e))?;
        Self::first_at(&listener, address, size)
    }

    fn first_at(listener: &TcpListener, address: &str, size: usize) -> Result<Self> {
        listener.set_nonblocking(true).map_err(|e| meeting(address, &e))?;
        let mut seats: Vec<Option<TcpStream>> = (1..size).map(|_| None).collect();
        let begun = Instant::now();
        while seats.iter().any(Option::is_none) {
            match listener.accept() {
                // Whoever else comes to a port that is open is sent away.
                Ok((stream, _)) => drop(seat(stream, &mut seats)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(e) => return Err(meeting(address, &e)),
            }
            if begun.elapsed() > PATIENCE {
                let missing: Vec<_> =
                    (1..size).filter(|&rank| seats[rank - 1].is_none()).map(|rank| rank.to_string()).collect();
                let found = format!("without rank {} after ten minutes", missing.join(", "));
                return Err(Error::value("--meet", found, format!("{} others with --meet to this one", size - 1)));
            }
        }
        Ok(Self { rank: 0, size, streams: seats.into_iter().flatten().collect() })
    }

    /// Comes to the first worker, which waits at `address`, as number `rank` (from 1) of `size`.
    ///
    /// # Errors
    /// When it is not there for ten minutes, or has no seat of that rank.
    pub fn join(address: &str, rank: usize, size: usize) -> Result<Self> {
        let begun = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(e) if begun.elapsed() > PATIENCE => return Err(meeting(address, &e)),
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(meeting(address, &e)),
                Err(_) => thread::sleep(PAUSE),
            }
        };
        stream.set_nodelay(true).map_err(|e| meeting(address, &e))?;
        let mut greet = || {
            stream.write_all(HELLO)?;
            write(&mut stream, &(rank as u64).to_le_bytes())?;
            write(&mut stream, &(size as u64).to_le_bytes())?;
            read(&mut stream)
        };
        match greet() {
            Ok(answer) if answer.is_empty() => Ok(Self { rank, size, streams: vec![stream] }),
            Ok(answer) => Err(Error::value("--rank", format!("{rank}/{size}"), String::from_utf8_lossy(&answer))),
            Err(e) => Err(meeting(address, &e)),
        }
    }

    fn said(&self) -> Result<Vec<Vec<u8>>> {
        let read = |(i, mut stream): (usize, &TcpStream)| read(&mut stream).map_err(|_| left(i + 1));
        self.streams.iter().enumerate().map(read).collect()
    }

    fn tell_all(&self, message: &[u8]) -> Result<()> {
        let tell = |(i, mut stream): (usize, &TcpStream)| write(&mut stream, message).map_err(|_| left(i + 1));
        self.streams.iter().enumerate().try_for_each(tell)
    }

    fn tell_first(&self, message: &[u8]) -> Result<()> {
        write(&mut &self.streams[0], message).map_err(|_| left(0))
    }

    fn hear_first(&self) -> Result<Vec<u8>> {
        read(&mut &self.streams[0]).map_err(|_| left(0))
    }
}

impl Collective for Sockets {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, own: Vec<u8>) -> Result<Vec<Arc<Vec<u8>>>> {
        if self.rank > 0 {
            self.tell_first(&own)?;
            return (0..self.size).map(|_| self.hear_first().map(Arc::new)).collect();
        }
        let mut all = vec![own];
        all.extend(self.said()?);
        all.iter().try_for_each(|part| self.tell_all(part))?;
        Ok(all.into_iter().map(Arc::new).collect())
    }

    /// The first adds and tells the sum, so that a message does not go through it once for each pair.
    fn add(&self, own: Vec<u8>, width: usize) -> Result<Vec<u8>> {
        if self.rank > 0 {
            self.tell_first(&own)?;
            return self.hear_first();
        }
        let mut all = vec![Arc::new(own)];
        all.extend(self.said()?.into_iter().map(Arc::new));
        let sum = added(&all, width)?;
        self.tell_all(&sum)?;
        Ok(sum)
    }
}

fn meeting(address: &str, error: &io::Error) -> Error {
    let allowed = format!("HOST:PORT where the worker of rank 0 can listen and the others can reach it ({error})");
    Error::value("--meet", address, allowed)
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
        (Some(rank), Some(size)) if size == own && (1..size).contains(&rank) && seats[rank - 1].is_none() => {
            write(&mut stream, &[])?;
            stream.set_read_timeout(None)?;
            seats[rank - 1] = Some(stream);
            return Ok(());
        }
        (_, Some(size)) if size == own => format!("1/{own} to {}/{own}, each by one worker", own - 1),
        _ => format!("of {own} workers, as the first one says"),
    };
    write(&mut stream, refusal.as_bytes())
}

fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&(message.len() as u64).to_le_bytes())?;
    stream.write_all(message)?;
    stream.flush()
}

fn read(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    read_at_most(stream, u64::MAX)
}

/// Memory is taken as the bytes come, not as their number is told.
fn read_at_most(stream: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
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
            scope.spawn(move || talk(Sockets::first_at(&listener, "test", 3).unwrap()));
            let wrong = Sockets::join(address, 1, 4).err().unwrap().to_string();
            assert!(wrong.contains("1/4") && wrong.contains("of 3 workers"), "{wrong}");
            let one = Sockets::join(address, 1, 3).unwrap();
            let twice = Sockets::join(address, 1, 3).err().unwrap().to_string();
            assert!(twice.contains("1/3 to 2/3"), "{twice}");
            scope.spawn(move || talk(one));
            scope.spawn(move || talk(Sockets::join(address, 2, 3).unwrap()));
        });
    }

    #[test]
    fn one_that_is_gone_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::scope(|scope| {
            scope.spawn(|| drop(Sockets::join(&address, 1, 2).unwrap()));
            let message = Sockets::first_at(&listener, "test", 2).unwrap().exchange(vec![1]).unwrap_err().to_string();
            assert!(message.contains("worker 1 = has left"), "{message}");
        });
    }
}
