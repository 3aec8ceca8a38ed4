//! A scan: coefficients of some components, out of the entropy-coded data.

use super::entropy::{Bits, Table};
use super::{BLOCK, Component, Jpeg, Result, SIDE, ZIGZAG};

/// What a scan holds.
pub(super) struct Scan {
    kind: Kind,
    /// Component, table of DC codes, table of AC codes.
    members: Vec<(usize, usize, usize)>,
    /// The coefficients of a progressive scan in the order of the file, both ends included.
    first: usize,
    last: usize,
    /// Bits below those that are sent.
    low: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// All of each coefficient.
    Sequential,
    /// The upper bits (G.1.2).
    DcFirst,
    AcFirst,
    /// One more bit.
    DcMore,
    AcMore,
}

impl Scan {
    /// From the scan's header: first and last coefficient, the bit that was sent before (0: none), and the one that is sent.
    pub(super) fn new(
        progressive: bool,
        members: Vec<(usize, usize, usize)>,
        [first, last, high, low]: [u8; 4],
    ) -> Result<Self> {
        let damaged = || Err("damaged: a scan's header".into());
        if members.is_empty() || members.iter().any(|(_, dc, ac)| *dc > 3 || *ac > 3) {
            return damaged();
        }
        let (first, last, low) = (usize::from(first), usize::from(last), u32::from(low));
        if !progressive {
            return Ok(Self { kind: Kind::Sequential, members, first: 0, last: BLOCK - 1, low: 0 });
        }
        let is_dc = first == 0;
        if last >= BLOCK || first > last || low > 13 || (is_dc && last != 0) || (!is_dc && members.len() != 1) {
            return damaged();
        }
        let kind = match (is_dc, high) {
            (true, 0) => Kind::DcFirst,
            (true, _) => Kind::DcMore,
            (false, 0) => Kind::AcFirst,
            (false, _) => Kind::AcMore,
        };
        Ok(Self { kind, members, first, last, low })
    }

    /// Reads the data into the coefficients; where the next marker begins.
    pub(super) fn read(&self, jpeg: &mut Jpeg) -> Result<usize> {
        let mut reader = Reader {
            scan: self,
            bits: Bits::new(jpeg.bytes, jpeg.at),
            predictions: [0; 4],
            skipped: 0,
            dc: [None; 4],
            ac: [None; 4],
        };
        for (member, (_, dc, ac)) in self.members.iter().enumerate() {
            (reader.dc[member], reader.ac[member]) = (jpeg.dc[*dc].as_ref(), jpeg.ac[*ac].as_ref());
        }
        let most = |of: fn(&Component) -> usize| jpeg.components.iter().map(of).max().unwrap_or(1);
        let mcus =
            (jpeg.width.div_ceil(SIDE * most(|c| c.horizontal)), jpeg.height.div_ceil(SIDE * most(|c| c.vertical)));
        // Alone, a component has as many blocks as its samples need; together, whole MCUs (A.2).
        let alone = self.members.len() == 1;
        let (columns, rows) = match (alone, &jpeg.components[self.members[0].0]) {
            (true, component) => (component.width.div_ceil(SIDE), component.height.div_ceil(SIDE)),
            (false, _) => mcus,
        };
        let sequential = self.kind == Kind::Sequential;
        for row in 0..rows {
            for column in 0..columns {
                let i = row * columns + column;
                if jpeg.restart > 0 && i > 0 && i % jpeg.restart == 0 {
                    reader.restart()?;
                }
                for (member, (which, ..)) in self.members.iter().enumerate() {
                    let component = &mut jpeg.components[*which];
                    let (h, v) = if alone { (1, 1) } else { (component.horizontal, component.vertical) };
                    // Of a sequential file only this row is held.
                    let first = if sequential { 0 } else { row * v };
                    for y in 0..v {
                        for x in 0..h {
                            let at = ((first + y) * component.stride + column * h + x) * BLOCK;
                            reader.block(member, &mut component.coefficients[at..at + BLOCK])?;
                        }
                    }
                }
            }
            if !sequential {
                continue;
            }
            for (which, ..) in &self.members {
                let component = &mut jpeg.components[*which];
                let v = if alone { 1 } else { component.vertical };
                component.coefficients.resize(component.stride * v * BLOCK, 0);
                let quantiser = component.latched.ok_or("a quantiser is missing")?;
                component.emit(row * v, &quantiser);
                component.coefficients.fill(0);
            }
        }
        Ok(reader.bits.end())
    }
}

struct Reader<'a> {
    scan: &'a Scan,
    bits: Bits<'a>,
    predictions: [i32; 4],
    /// Blocks still to come that have nothing new (EOBRUN).
    skipped: u32,
    dc: [Option<&'a Table>; 4],
    ac: [Option<&'a Table>; 4],
}

impl Reader<'_> {
    fn restart(&mut self) -> Result<()> {
        (self.predictions, self.skipped) = ([0; 4], 0);
        self.bits.restart()
    }

    fn block(&mut self, member: usize, block: &mut [i16]) -> Result<()> {
        match self.scan.kind {
            Kind::Sequential => {
                block[0] = self.dc(member)? as i16;
                let table = self.ac[member].ok_or("a Huffman table is missing")?;
                let mut k = 1;
                while k < BLOCK {
                    let symbol = self.bits.symbol(table)?;
                    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    if size == 0 {
                        if run != 15 {
                            break;
                        }
                        k += 16;
                        continue;
                    }
                    k += run;
                    let value = self.bits.signed(size)?;
                    *block.get_mut(place(k)?).ok_or("damaged data")? = value as i16;
                    k += 1;
                }
                Ok(())
            }
            Kind::DcFirst => {
                block[0] = (self.dc(member)? << self.scan.low) as i16;
                Ok(())
            }
            Kind::DcMore => {
                block[0] |= (self.bits.bits(1)? << self.scan.low) as i16;
                Ok(())
            }
            Kind::AcFirst => self.ac_first(member, block),
            Kind::AcMore => self.ac_more(member, block),
        }
    }

    /// The next DC coefficient: the difference to the one before is sent.
    fn dc(&mut self, member: usize) -> Result<i32> {
        let table = self.dc[member].ok_or("a Huffman table is missing")?;
        let size = u32::from(self.bits.symbol(table)?);
        if size > 15 {
            return Err("damaged data".into());
        }
        let difference = self.bits.signed(size)?;
        self.predictions[member] = self.predictions[member].wrapping_add(difference);
        Ok(self.predictions[member])
    }

    /// The length of a run of blocks without anything more, this one included (G.1.2.2).
    fn run(&mut self, length: u32) -> Result<u32> {
        Ok((1 << length) + self.bits.bits(length)? as u32)
    }

    fn ac_first(&mut self, member: usize, block: &mut [i16]) -> Result<()> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        let table = self.ac[member].ok_or("a Huffman table is missing")?;
        let mut k = self.scan.first;
        while k <= self.scan.last {
            let symbol = self.bits.symbol(table)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if run != 15 {
                    self.skipped = self.run(run as u32)? - 1;
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            let value = self.bits.signed(size)?;
            block[place(k)?] = (value << self.scan.low) as i16;
            k += 1;
        }
        Ok(())
    }

    /// One more bit of the coefficients that are not 0, and those that become ±1 (G.1.2.3).
    fn ac_more(&mut self, member: usize, block: &mut [i16]) -> Result<()> {
        let one = 1_i16 << self.scan.low;
        let mut k = self.scan.first;
        if self.skipped == 0 {
            let table = self.ac[member].ok_or("a Huffman table is missing")?;
            while k <= self.scan.last {
                let symbol = self.bits.symbol(table)?;
                let (mut run, size) = (usize::from(symbol >> 4), symbol & 15);
                let new = match size {
                    0 if run < 15 => {
                        self.skipped = self.run(run as u32)?;
                        break;
                    }
                    0 => 0,
                    1 if self.bits.bits(1)? == 1 => one,
                    1 => -one,
                    _ => return Err("damaged data".into()),
                };
                while k <= self.scan.last {
                    let coefficient = &mut block[usize::from(ZIGZAG[k])];
                    if *coefficient != 0 {
                        refine(&mut self.bits, coefficient, one)?;
                    } else if run == 0 {
                        *coefficient = new;
                        k += 1;
                        break;
                    } else {
                        run -= 1;
                    }
                    k += 1;
                }
            }
        }
        if self.skipped > 0 {
            for place in &ZIGZAG[k.min(BLOCK)..=self.scan.last.max(k.min(BLOCK) - 1)] {
                let coefficient = &mut block[usize::from(*place)];
                if *coefficient != 0 {
                    refine(&mut self.bits, coefficient, one)?;
                }
            }
            self.skipped -= 1;
        }
        Ok(())
    }
}

fn refine(bits: &mut Bits, coefficient: &mut i16, one: i16) -> Result<()> {
    if bits.bits(1)? == 1 && *coefficient & one == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient > 0 { one } else { -one });
    }
    Ok(())
}

fn place(k: usize) -> Result<usize> {
    ZIGZAG.get(k).map(|place| usize::from(*place)).ok_or_else(|| "damaged data".into())
}
