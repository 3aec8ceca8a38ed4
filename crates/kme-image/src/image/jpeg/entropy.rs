//! Huffman codes, and the bits of a scan.

use super::{Result, cut_off};

/// Codes of at most so many bits are looked up at once.
const QUICK: usize = 9;

/// A table of Huffman codes (annex C).
pub(super) struct Table {
    /// Symbol and length of the code that the next bits begin with; length 0 where it is longer.
    quick: Vec<(u8, u8)>,
    /// For each length, one more than the largest code of it, moved to the upper end of 16 bits.
    ends: [u32; 17],
    /// For each length, what added to a code gives its symbol's place.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the numbers of codes of length 1 to 16 and the symbols in order.
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Result<Self> {
        let mut table =
            Self { quick: vec![(0, 0); 1 << QUICK], ends: [0; 17], offsets: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0_u32, 0_usize);
        for length in 1..=16 {
            let count = usize::from(counts[length - 1]);
            table.offsets[length] = place as i32 - code as i32;
            if code as usize + count > 1 << length {
                return Err("a Huffman table with more codes than there can be".into());
            }
            for symbol in &symbols[place..place + count] {
                if length <= QUICK {
                    let first = (code as usize) << (QUICK - length);
                    table.quick[first..first + (1 << (QUICK - length))].fill((*symbol, length as u8));
                }
                code += 1;
            }
            place += count;
            table.ends[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

/// The bits of a scan's data, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, at the upper end.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0 }
    }

    /// Takes bytes in until there are at least 57 bits, or none are left before the next marker.
    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xff {
                // A byte of ones is followed by a stuffed zero; anything else is a marker.
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn take(&mut self, length: u32) -> Result<()> {
        if length > self.count {
            return Err(cut_off());
        }
        self.held <<= length;
        self.count -= length;
        Ok(())
    }

    /// The symbol of the next code.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8> {
        if self.count < 16 {
            self.fill();
        }
        let (symbol, length) = table.quick[(self.held >> (64 - QUICK)) as usize];
        if length > 0 {
            self.take(u32::from(length))?;
            return Ok(symbol);
        }
        let next = (self.held >> 48) as u32;
        for length in QUICK + 1..=16 {
            if next < table.ends[length] {
                self.take(length as u32)?;
                let place = (next >> (16 - length)) as i32 + table.offsets[length];
                return table.symbols.get(place as usize).copied().ok_or_else(|| "damaged data".into());
            }
        }
        Err(if self.count < 16 { cut_off() } else { "damaged data".into() })
    }

    /// The next `length` ≤ 16 bits as a number.
    #[inline]
    pub(super) fn bits(&mut self, length: u32) -> Result<i32> {
        if length == 0 {
            return Ok(0);
        }
        if self.count < length {
            self.fill();
        }
        let value = (self.held >> (64 - length)) as i32;
        self.take(length)?;
        Ok(value)
    }

    /// The next `length` ≤ 16 bits as a signed number (EXTEND, F.2.2.1).
    #[inline]
    pub(super) fn signed(&mut self, length: u32) -> Result<i32> {
        let value = self.bits(length)?;
        Ok(if length > 0 && value < 1 << (length - 1) { value - (1 << length) + 1 } else { value })
    }

    /// Passes over a restart marker, to a byte's beginning.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.fill();
        let at = self.end();
        match self.bytes.get(at..at + 2) {
            Some([0xff, 0xd0..=0xd7]) => *self = Self::new(self.bytes, at + 2),
            None => return Err(cut_off()),
            Some(_) => return Err("damaged data: a restart marker is missing".into()),
        }
        Ok(())
    }

    /// Where the next marker begins.
    pub(super) fn end(&self) -> usize {
        let mut at = self.at;
        while let Some(two) = self.bytes.get(at..at + 2) {
            if two[0] == 0xff && !matches!(two[1], 0 | 0xff) {
                return at;
            }
            at += 1;
        }
        self.bytes.len()
    }
}
