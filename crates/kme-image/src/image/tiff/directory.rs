//! The first directory of a TIFF file: its tags and their numbers.

use std::collections::HashMap;

use super::{Result, cut_off};

/// Tags with numbers, by their number.
pub(super) struct Directory<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
    entries: HashMap<u16, Entry>,
}

struct Entry {
    kind: u16,
    count: usize,
    /// Where its values begin.
    at: usize,
}

impl<'a> Directory<'a> {
    /// Reads the tags of the first page.
    ///
    /// # Errors
    /// When the file is none of TIFF, or damaged.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let (big_endian, wide) = match bytes.get(..4) {
            Some(b"II*\0") => (false, false),
            Some(b"MM\0*") => (true, false),
            Some(b"II+\0") => (false, true),
            Some(b"MM\0+") => (true, true),
            _ => return Err("it does not begin as a TIFF file".into()),
        };
        let mut directory = Self { bytes, big_endian, entries: HashMap::new() };
        // Sizes of an offset, of the number of tags, and of one tag.
        let (offset, number, size) = if wide { (8, 8, 20) } else { (4, 2, 12) };
        let start = directory.whole(if wide { 8 } else { 4 }, offset)?;
        let count = directory.whole(start, number)?;
        let first = start.checked_add(number).ok_or_else(cut_off)?;
        if count > bytes.len() / size {
            return Err(cut_off());
        }
        // Where the next page begins stands behind the tags.
        directory.whole(first + count * size, offset)?;
        for i in 0..count {
            let at = first + i * size;
            let [tag, kind] = [directory.whole(at, 2)? as u16, directory.whole(at + 2, 2)? as u16];
            let count = directory.whole(at + 4, offset)?;
            let place = at + 4 + offset;
            let total = count.checked_mul(width(kind)).ok_or_else(cut_off)?;
            let at = if total <= offset { place } else { directory.whole(place, offset)? };
            // As libtiff: of two the first.
            directory.entries.entry(tag).or_insert(Entry { kind, count, at });
        }
        Ok(directory)
    }

    /// The whole number of `size` bytes at `at`.
    fn whole(&self, at: usize, size: usize) -> Result<usize> {
        let bytes = at.checked_add(size).and_then(|end| self.bytes.get(at..end)).ok_or_else(cut_off)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let number = if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
        usize::try_from(number).map_err(|_| cut_off())
    }

    /// The numbers of a tag; none when it is not there.
    pub(super) fn numbers(&self, tag: u16) -> Result<Option<Vec<usize>>> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let size = match entry.kind {
            1 | 3 | 4 | 13 | 16 | 18 => width(entry.kind),
            kind => return Err(format!("its tag {tag} is of type {kind}, not of whole numbers")),
        };
        if entry.count > self.bytes.len() / size {
            return Err(cut_off());
        }
        (0..entry.count).map(|i| self.whole(entry.at.saturating_add(i * size), size)).collect::<Result<_>>().map(Some)
    }

    /// The number of a tag of one, or of several that are all alike.
    pub(super) fn number(&self, tag: u16) -> Result<Option<usize>> {
        match self.numbers(tag)?.as_deref() {
            None | Some([]) => Ok(None),
            Some([first, rest @ ..]) if rest.iter().all(|other| other == first) => Ok(Some(*first)),
            Some(_) => Err(format!("its tag {tag} has several numbers")),
        }
    }

    /// The bytes of a tag.
    pub(super) fn raw(&self, tag: u16) -> Result<Option<&'a [u8]>> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let end = entry.at.checked_add(entry.count * width(entry.kind));
        end.and_then(|end| self.bytes.get(entry.at..end)).map(Some).ok_or_else(cut_off)
    }
}

/// Bytes of a value of a type.
fn width(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}
