//! The samples of a TIFF file: its strips or tiles, unpacked and put together.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::super::jpeg::{Jpeg, Pixels};
use super::directory::Directory;
use super::layout::{Compression, Layout, Photometric};
use super::{Result, cut_off};

/// JPEG's tables that all strips share.
const JPEG_TABLES: u16 = 347;

/// All samples, pixel after pixel, each in `width` bytes of this machine's order; samples of fewer than 8 bits have a byte
/// each.
pub(super) struct Samples {
    pub(super) bytes: Vec<u8>,
}

impl Samples {
    /// Unpacks all of them.
    ///
    /// # Errors
    /// When they are damaged or cut off.
    pub(super) fn read(directory: &Directory, layout: &Layout) -> Result<Self> {
        let (size, samples, together) = (layout.bits.div_ceil(8), layout.samples, layout.together());
        let [h, w] = [layout.height, layout.width];
        let [high, wide] = layout.chunk;
        let mut bytes = vec![0; h * w * samples * size];
        let [down, across] = layout.chunks();
        for number in 0..down * across * (samples / together) {
            let plane = number / (down * across);
            let (top, left) = (number / across % down * high, number % across * wide);
            // A strip at the end is shorter, a tile is filled up.
            let rows = if layout.tiled { high } else { high.min(h - top) };
            let chunk = chunk(directory, layout, number, rows)?;
            let inside = wide.min(w - left);
            let width = wide * together * size;
            for y in 0..rows.min(h - top) {
                let row = &chunk[y * width..][..inside * together * size];
                let place = ((top + y) * w + left) * samples * size;
                if together == samples {
                    bytes[place..place + row.len()].copy_from_slice(row);
                } else {
                    for (x, sample) in row.chunks_exact(size).enumerate() {
                        let at = place + (x * samples + plane) * size;
                        bytes[at..at + size].copy_from_slice(sample);
                    }
                }
            }
        }
        Ok(Self { bytes })
    }
}

/// The samples of a strip or tile of `rows` rows.
fn chunk(directory: &Directory, layout: &Layout, number: usize, rows: usize) -> Result<Vec<u8>> {
    let [_, wide] = layout.chunk;
    let across = wide * layout.together();
    let packed = (across * layout.bits).div_ceil(8);
    let total = rows.checked_mul(packed).ok_or_else(cut_off)?;
    let start = layout.offsets[number];
    let raw = match (&layout.lengths, layout.compression) {
        // Its length is known.
        (_, Compression::None) => start.checked_add(total).and_then(|end| directory.bytes.get(start..end)),
        // What is announced beyond the file's end may be needed or not.
        (Some(lengths), _) => {
            let end = start.saturating_add(lengths[number]).min(directory.bytes.len());
            directory.bytes.get(start..end)
        }
        (None, _) => directory.bytes.get(start..),
    };
    let raw = raw.ok_or_else(cut_off)?;
    if layout.compression == Compression::Jpeg {
        return jpeg(directory, layout, raw, rows);
    }
    let turned: Vec<u8>;
    let raw = if layout.reversed {
        turned = raw.iter().map(|byte| byte.reverse_bits()).collect();
        &turned
    } else {
        raw
    };
    let bytes = match layout.compression {
        Compression::None => raw.to_vec(),
        Compression::PackBits => pack_bits(raw, total)?,
        Compression::Lzw => lzw(raw, total)?,
        Compression::Deflate => {
            let mut bytes = vec![0; total];
            ZlibDecoder::new(raw).read_exact(&mut bytes).map_err(|fault| format!("damaged or cut off: {fault}"))?;
            bytes
        }
        Compression::Group4 => group_4(raw, wide, rows)?,
        Compression::Jpeg => unreachable!("read above"),
    };
    Ok(unpacked(bytes, layout, directory.big_endian, across, packed))
}

/// Samples of whole bytes in this machine's order, the predictor undone.
fn unpacked(mut bytes: Vec<u8>, layout: &Layout, big_endian: bool, across: usize, packed: usize) -> Vec<u8> {
    let before = layout.together();
    match layout.bits {
        8 if layout.predictor => {
            for row in bytes.chunks_exact_mut(packed) {
                for i in before..row.len() {
                    row[i] = row[i].wrapping_add(row[i - before]);
                }
            }
        }
        8 => {}
        16 => whole::<2>(&mut bytes, packed, before, big_endian, layout.predictor),
        32 => whole::<4>(&mut bytes, packed, before, big_endian, layout.predictor),
        bits => {
            let mask = (1 << bits) - 1;
            let each = 8 / bits;
            let sample = |row: &[u8], i: usize| row[i / each] >> (8 - bits - i % each * bits) & mask;
            bytes = bytes.chunks_exact(packed).flat_map(|row| (0..across).map(move |i| sample(row, i))).collect();
        }
    }
    bytes
}

/// Numbers of N ≤ 4 bytes brought to this machine's order; with a predictor, each is the difference to that of the same sample
/// one pixel before, `before` numbers ago.
fn whole<const N: usize>(bytes: &mut [u8], packed: usize, before: usize, big_endian: bool, predictor: bool) {
    for row in bytes.chunks_exact_mut(packed) {
        let mut last = vec![0_u32; before];
        for (i, number) in row.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            if big_endian {
                number.reverse();
            }
            let mut wide = [0; 4];
            wide[..N].copy_from_slice(number);
            let value = u32::from_le_bytes(wide);
            let value = if predictor { value.wrapping_add(last[i % before]) } else { value };
            last[i % before] = value;
            number.copy_from_slice(&value.to_le_bytes()[..N]);
            if cfg!(target_endian = "big") {
                number.reverse();
            }
        }
    }
}

/// Runs and pieces, until there are `total` bytes.
fn pack_bits(raw: &[u8], total: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(total);
    let mut raw = raw.iter();
    while bytes.len() < total {
        match *raw.next().ok_or_else(cut_off)? {
            head @ 0..=127 => {
                let count = usize::from(head) + 1;
                let piece = raw.as_slice().get(..count).ok_or_else(cut_off)?;
                bytes.extend_from_slice(piece);
                raw = raw.as_slice()[count..].iter();
            }
            128 => {}
            head => {
                let byte = *raw.next().ok_or_else(cut_off)?;
                bytes.resize(bytes.len() + 257 - usize::from(head), byte);
            }
        }
    }
    bytes.truncate(total);
    Ok(bytes)
}

fn lzw(raw: &[u8], total: usize) -> Result<Vec<u8>> {
    if raw.first() == Some(&0) && raw.get(1).is_some_and(|byte| byte & 1 == 1) {
        return Err("a kind of TIFF that is not read: packed as LZW of before TIFF 6".into());
    }
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let (mut bytes, mut from, mut done) = (vec![0; total], 0, 0);
    while done < total {
        let step = decoder.decode_bytes(&raw[from..], &mut bytes[done..]);
        (from, done) = (from + step.consumed_in, done + step.consumed_out);
        match step.status {
            Ok(weezl::LzwStatus::Ok) if step.consumed_out > 0 || step.consumed_in > 0 => {}
            Ok(_) if done == total => {}
            Ok(_) => return Err(cut_off()),
            Err(fault) => return Err(format!("damaged: {fault}")),
        }
    }
    Ok(bytes)
}

/// Rows of one bit a pixel, by the codes of CCITT Group 4: 1 is black.
fn group_4(raw: &[u8], wide: usize, rows: usize) -> Result<Vec<u8>> {
    let [across, down] = [wide, rows].map(u16::try_from);
    let (Ok(across), Ok(down)) = (across, down) else {
        return Err("a kind of TIFF that is not read: CCITT Group 4 of more than 65535 pixels a side".into());
    };
    let packed = wide.div_ceil(8);
    let mut bytes = Vec::with_capacity(rows * packed);
    let read = fax::decoder::decode_g4(raw.iter().copied(), across, Some(down), |line| {
        let start = bytes.len();
        bytes.resize(start + packed, 0);
        for (x, colour) in fax::decoder::pels(line, across).enumerate() {
            if colour == fax::Color::Black {
                bytes[start + x / 8] |= 0x80 >> (x % 8);
            }
        }
    });
    if read.is_none() || bytes.len() < rows * packed {
        return Err("damaged or cut off".into());
    }
    bytes.truncate(rows * packed);
    Ok(bytes)
}

/// A strip or tile that is a JPEG file, but for tables that all of them share.
fn jpeg(directory: &Directory, layout: &Layout, raw: &[u8], rows: usize) -> Result<Vec<u8>> {
    let tables = directory.raw(JPEG_TABLES)?;
    let jpeg = Jpeg::open_part(raw, tables, layout.photometric == Photometric::YCbCr)?;
    let [_, wide] = layout.chunk;
    if jpeg.width != wide || jpeg.height < rows {
        let (h, w) = (jpeg.height, jpeg.width);
        return Err(format!("damaged: a JPEG of {w}×{h} pixels in the place of {wide}×{rows}"));
    }
    let mut bytes = match (jpeg.decode()?, layout.samples) {
        (Pixels::Grey(levels), 1) | (Pixels::Rgb(levels), 3) | (Pixels::Four(levels), 4) => levels,
        _ => return Err(format!("damaged: a JPEG of other than {} components", layout.samples)),
    };
    bytes.truncate(rows * wide * layout.samples);
    Ok(bytes)
}
