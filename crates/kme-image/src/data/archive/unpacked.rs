//! What is compressed, in a temporary file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use kme::{Action, Error, Result};

/// More bytes than this (256 GiB) are not unpacked: gzip can claim a thousand times its own size.
const LIMIT: u64 = 1 << 38;

/// The unpacked bytes. The file has no name: it is gone when the last of these is, however the program ends. Each reads from a
/// place of its own.
#[derive(Clone, Debug)]
pub(in super::super) struct Unpacked {
    file: Arc<Mutex<File>>,
    at: u64,
}

impl Unpacked {
    /// Unpacks the file at `path` into the system's folder of temporary files.
    ///
    /// # Errors
    /// [`Error::Format`] when it is damaged or cut off; [`Error::Io`] when it cannot be read or there is no room.
    pub(in super::super) fn gzip(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, Action::Read, e))?;
        Self::of(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)), path)
    }

    /// Takes all bytes of a decompressor into the system's folder of temporary files; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when they are damaged or cut off; [`Error::Io`] when there is no room.
    pub(in super::super) fn of(from: impl Read, path: &Path) -> Result<Self> {
        let mut from = from.take(LIMIT + 1);
        let full = |e: io::Error| Error::io(std::env::temp_dir(), Action::Write, e).within(path.display());
        let mut to = tempfile::tempfile().map_err(full)?;
        let (mut block, mut written) = (vec![0; 1 << 16], 0);
        loop {
            let n = from.read(&mut block).map_err(|e| Error::unreadable(path, "is damaged or cut off", e))?;
            if n == 0 {
                break;
            }
            to.write_all(&block[..n]).map_err(full)?;
            written += n as u64;
        }
        if written > LIMIT {
            return Err(Error::format(path, format!("holds more than {LIMIT} bytes; unpack it yourself")));
        }
        Ok(Self { file: Arc::new(Mutex::new(to)), at: 0 })
    }

    /// By how many the file is used.
    #[cfg(test)]
    pub(in super::super) fn uses(&self) -> usize {
        Arc::strong_count(&self.file)
    }

    /// The same bytes, from their beginning.
    pub(in super::super) fn again(&self) -> Self {
        Self { at: 0, ..self.clone() }
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let n = file.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Unpacked {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.at = match to {
            SeekFrom::Current(by) => self.at.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?,
            other => file.seek(other)?,
        };
        Ok(self.at)
    }
}
