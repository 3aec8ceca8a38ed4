//! Arrays of pictures: NumPy's `.npy` and `.npz`, as samplers of diffusion models write them (`arr_0` of shape
//! (n, h, w, 3), labels beside it).
//!
//! Which axis is what is told by the shape where only one reading of it makes sense, and is not guessed otherwise.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use kme::{Action, ArrayRole, Error, NumpyHeader, Result};
use zip::{CompressionMethod, ZipArchive};

use super::Bytes;
use super::archive::Unpacked;
use crate::image::{Decoder, Images, Samples};

/// The order of the axes behind the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axes {
    /// (n, height, width, channels), or (n, height, width).
    ChannelsLast,
    /// (n, channels, height, width).
    ChannelsFirst,
}

/// A name of an array, taken apart: `FILE.npy`, `FILE.npz`, `FILE.npz:ARRAY`, each with `:nhwc` or `:nchw` behind it.
#[derive(Clone, Debug)]
pub(super) struct ArraySpec {
    pub(super) path: PathBuf,
    array: Option<String>,
    axes: Option<Axes>,
    /// Where it is compressed, its bytes from the first time on that they are read.
    unpacked: Arc<Mutex<Option<Unpacked>>>,
}

/// What one array is.
struct Found {
    name: String,
    number: usize,
    /// None when it is not readable as one.
    header: Option<NumpyHeader>,
}

/// An array of pictures in an archive, which is not yet read.
struct Entry {
    zip: ZipArchive<BufReader<File>>,
    number: usize,
    name: String,
    layout: Layout,
    /// Length of its header.
    offset: u64,
    n: usize,
    labels: Option<Vec<i64>>,
}

/// Pictures of an array, read one by one.
pub(super) struct Array {
    bytes: Box<dyn Bytes>,
    offset: u64,
    layout: Layout,
    /// Of pictures in messages and fingerprints, before their number.
    pub(super) name: String,
    pub(super) n: usize,
    /// One number a picture, where the archive has them.
    pub(super) labels: Option<Vec<i64>>,
}

/// How a picture lies in its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    axes: Axes,
    h: usize,
    w: usize,
    c: usize,
    number: Number,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    U8,
    F16,
    F32,
    F64,
}

const NUMBERS: [(&str, Number); 4] =
    [("uint8", Number::U8), ("float16", Number::F16), ("float32", Number::F32), ("float64", Number::F64)];

impl ArraySpec {
    /// What `text` names, if it is an array's name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let has = |text: &str, ending: &str| {
            Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case(ending)) && Path::new(text).is_file()
        };
        let (rest, axes) = match text.rsplit_once(':') {
            Some((rest, "nhwc" | "NHWC")) => (rest, Some(Axes::ChannelsLast)),
            Some((rest, "nchw" | "NCHW")) => (rest, Some(Axes::ChannelsFirst)),
            _ => (text, None),
        };
        let wanted = |file: &str, array: Option<&str>| Self {
            path: file.into(),
            array: array.map(Into::into),
            axes,
            unpacked: Arc::default(),
        };
        if has(rest, "npy") || has(rest, "npz") {
            return Some(wanted(rest, None));
        }
        rest.rsplit_once(':').filter(|(file, _)| has(file, "npz")).map(|(file, array)| wanted(file, Some(array)))
    }

    /// Whether the array is one of pictures. Nothing is unpacked for it.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for what only the pictures' bytes tell.
    pub(super) fn holds_pictures(&self) -> Result<bool> {
        match self.is_npz() {
            true => Ok(self.find_in_npz()?.is_some()),
            false => Ok(self.open_npy()?.is_some()),
        }
    }

    /// The array's pictures; none when it is one of something else.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it holds pictures in a form that is not read, or does not
    /// tell which array is meant or which of its axes is what.
    pub(super) fn open(&self) -> Result<Option<Array>> {
        match self.is_npz() {
            true => self.open_npz(),
            false => self.open_npy(),
        }
    }

    fn fault(&self, problem: impl Into<Cow<'static, str>>) -> Error {
        Error::format(&self.path, problem)
    }

    fn damaged(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::unreadable(&self.path, "is damaged", source)
    }

    fn file(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| Error::io(&self.path, Action::Read, e))
    }

    fn is_npz(&self) -> bool {
        self.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"))
    }

    fn open_npy(&self) -> Result<Option<Array>> {
        let mut file = self.file()?;
        // The reader of points says that a file is not an array.
        let Ok(header) = NumpyHeader::read(&mut BufReader::new(&file)) else { return Ok(None) };
        let Some(layout) = self.layout(&header)? else { return Ok(None) };
        let there = file.seek(SeekFrom::End(0)).map_err(|e| Error::io(&self.path, Action::Read, e))?;
        self.check_length(&header, there - header.offset.min(there))?;
        let name = file_name(&self.path);
        let n = self.count(&header)?;
        Ok(Some(Array { bytes: Box::new(file), offset: header.offset, layout, name, n, labels: None }))
    }

    /// The entry that holds the pictures.
    fn find_in_npz(&self) -> Result<Option<Entry>> {
        let Ok(mut zip) = ZipArchive::new(BufReader::new(self.file()?)) else { return Ok(None) };
        let mut found = Vec::new();
        for number in 0..zip.len() {
            let Ok(mut entry) = zip.by_index(number) else { continue };
            let Some(name) = entry.name().ok().and_then(|n| Some(n.strip_suffix(".npy")?.to_string())) else {
                continue;
            };
            found.push(Found { name, number, header: NumpyHeader::read(&mut entry).ok() });
        }
        let Some((chosen, header)) = self.choose(&found)? else { return Ok(None) };
        let Some(layout) = self.layout(header)? else { return Ok(None) };
        let n = self.count(header)?;
        let labels = match labels_beside(&found, chosen, n) {
            Some((beside, header)) => Some(self.read_labels(&mut zip, beside.number, header, n)?),
            None => None,
        };
        let (number, name, offset) = (chosen.number, chosen.name.clone(), header.offset);
        let size = zip.by_index(number).map_err(|e| self.damaged(e))?.size();
        self.check_length(header, size.saturating_sub(offset))?;
        Ok(Some(Entry { zip, number, name, layout, offset, n, labels }))
    }

    fn open_npz(&self) -> Result<Option<Array>> {
        let Some(Entry { mut zip, number, name, layout, offset, n, labels }) = self.find_in_npz()? else {
            return Ok(None);
        };
        let entry = zip.by_index(number).map_err(|e| self.damaged(e))?;
        let start = entry.data_start().filter(|_| entry.compression() == CompressionMethod::Stored);
        let (bytes, offset): (Box<dyn Bytes>, u64) = match start {
            Some(start) => (Box::new(self.file()?), start + offset),
            None => {
                // Only once, however often it is opened.
                let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = match &*unpacked {
                    Some(bytes) => bytes.again(),
                    None => unpacked.insert(Unpacked::of(entry, &self.path)?).again(),
                };
                (Box::new(bytes), offset)
            }
        };
        let name = format!("{}:{name}", file_name(&self.path));
        Ok(Some(Array { bytes, offset, layout, name, n, labels }))
    }

    /// The array that is meant, if one of them is of pictures.
    fn choose<'a>(&self, found: &'a [Found]) -> Result<Option<(&'a Found, &'a NumpyHeader)>> {
        if let Some(name) = &self.array {
            let Some(named) = found.iter().find(|array| array.name == *name) else {
                let there = found.iter().map(|array| &array.name);
                return Err(Error::unknown("array", name, there).within(self.path.display()));
            };
            return Ok(named.header.as_ref().map(|header| (named, header)));
        }
        let readable: Vec<(&Found, &NumpyHeader)> =
            found.iter().filter_map(|array| Some((array, array.header.as_ref()?))).collect();
        let pictures: Vec<_> = readable.iter().filter(|(_, header)| looks_like_pictures(header)).copied().collect();
        let names: Vec<&str> = readable.iter().map(|(array, _)| array.name.as_str()).collect();
        // With a mean and a covariance beside them, these are what the file is for.
        if pictures.is_empty() || ArrayRole::statistics(&names).is_some() {
            return Ok(None);
        }
        let told = |arrays: &[(&Found, &NumpyHeader)]| {
            let one = |(array, header): &(&Found, &NumpyHeader)| {
                format!("{} {} {}", array.name, header.dtype, header.shape_text())
            };
            arrays.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let others = readable.iter().filter(|(array, header)| {
            let n = pictures[0].1.shape[0];
            array.name != pictures[0].0.name && !is_labels(header, n)
        });
        if pictures.len() > 1 || others.count() > 0 {
            let example = format!("{}:{}", file_name(&self.path), pictures[0].0.name);
            return Err(self.fault(format!("holds several arrays, {}; name one, as in {example}", told(&readable))));
        }
        Ok(Some(pictures[0]))
    }

    /// How the pictures of an array lie in it; none when it holds none.
    fn layout(&self, header: &NumpyHeader) -> Result<Option<Layout>> {
        let asked = self.axes.is_some();
        if !asked && !looks_like_pictures(header) {
            return Ok(None);
        }
        let shape = header.shape_text();
        let kind = format!("{} {shape}", header.dtype);
        let number = NUMBERS.iter().find(|(name, _)| *name == header.dtype).map(|(_, number)| *number);
        let number = number.ok_or_else(|| {
            self.fault(format!("holds pictures of type {kind}; save them as uint8, or as floats from 0 to 1"))
        })?;
        if header.fortran {
            let fault = format!("holds pictures in Fortran's order ({kind}); save numpy.ascontiguousarray(x)");
            return Err(self.fault(fault));
        }
        let sides = header.shape.iter().map(|&axis| usize::try_from(axis)).collect::<std::result::Result<Vec<_>, _>>();
        let sides = sides.map_err(|_| self.fault(format!("has the impossible shape {shape}")))?;
        let channels = |c: usize| matches!(c, 1 | 3 | 4);
        let (axes, h, w, c) = match (sides[..].get(1..).unwrap_or_default(), self.axes) {
            (&[h, w], Some(Axes::ChannelsLast)) => (Axes::ChannelsLast, h, w, 1),
            (&[_, last], None) if channels(last) => {
                return Err(self.fault(format!(
                    "holds {kind}, which may be one picture with channels last, or grey ones of width {last}. Give it four \
                     axes, in NumPy x[None] for one picture, x[..., None] for grey ones"
                )));
            }
            (&[h, w], None) => (Axes::ChannelsLast, h, w, 1),
            (&[h, w, c], Some(Axes::ChannelsLast)) if channels(c) => (Axes::ChannelsLast, h, w, c),
            (&[c, h, w], Some(Axes::ChannelsFirst)) if channels(c) => (Axes::ChannelsFirst, h, w, c),
            (&[first, .., last], None) if sides.len() == 4 && channels(first) && channels(last) => {
                let file = file_name(&self.path);
                let file = self.array.as_ref().map_or(file.clone(), |array| format!("{file}:{array}"));
                return Err(self.fault(format!(
                    "holds {kind}, which may have channels first or last. Name it {file}:nchw or {file}:nhwc to say which"
                )));
            }
            (&[h, w, c], None) if channels(c) => (Axes::ChannelsLast, h, w, c),
            (&[c, h, w], None) if channels(c) => (Axes::ChannelsFirst, h, w, c),
            _ => {
                return Err(self.fault(format!(
                    "holds {kind}, which cannot be read so; nhwc needs (n, h, w, c), nchw (n, c, h, w), with c = 1, 3 or 4"
                )));
            }
        };
        if sides.contains(&0) || sides.iter().try_fold(8_usize, |product, &side| product.checked_mul(side)).is_none() {
            return Err(self.fault(format!("has the shape {shape}, which holds no pictures")));
        }
        Ok(Some(Layout { axes, h, w, c, number, big_endian: header.big_endian }))
    }

    fn read_labels(
        &self,
        zip: &mut ZipArchive<BufReader<File>>,
        number: usize,
        header: &NumpyHeader,
        n: usize,
    ) -> Result<Vec<i64>> {
        const DAMAGED: &str = "has damaged labels";
        let mut entry = zip.by_index(number).map_err(|e| Error::unreadable(&self.path, DAMAGED, e))?;
        let (size, header_bytes) = (header.size as usize, header.offset);
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(header_bytes + (n * size) as u64).read_to_end(&mut bytes);
        read.map_err(|e| Error::unreadable(&self.path, DAMAGED, e))?;
        let numbers = bytes.get(header_bytes as usize..).filter(|numbers| numbers.len() == n * size);
        let numbers = numbers.ok_or_else(|| self.fault("has labels that end too early"))?;
        let signed = header.dtype.starts_with('i');
        Ok(numbers
            .chunks_exact(size)
            .map(|bytes| {
                let mut eight = [0_u8; 8];
                for (i, byte) in bytes.iter().enumerate() {
                    eight[if header.big_endian { size - 1 - i } else { i }] = *byte;
                }
                let value = i64::from_le_bytes(eight);
                let unused = 64 - 8 * size as u32;
                if signed { value << unused >> unused } else { value }
            })
            .collect())
    }

    fn count(&self, header: &NumpyHeader) -> Result<usize> {
        usize::try_from(header.shape[0]).map_err(|_| self.fault("has more pictures than this machine can count"))
    }

    fn check_length(&self, header: &NumpyHeader, there: u64) -> Result<()> {
        let shape = header.shape_text();
        let fault = match header.bytes() {
            Some(needed) if needed == there => return Ok(()),
            Some(needed) => {
                format!("is truncated or damaged: its shape {shape} needs {needed} bytes, there are {there}")
            }
            None => format!("has the impossible shape {shape}"),
        };
        Err(self.fault(fault))
    }
}

/// Whether an array is one of pictures by type and shape: bytes of three or four axes, or floats of four, one of which may be
/// that of channels and two of which are longer than 1. Features of shape (n, d, 1, 1) are not.
fn looks_like_pictures(header: &NumpyHeader) -> bool {
    let channels = |c: u64| matches!(c, 1 | 3 | 4);
    let sides = |h: u64, w: u64| h > 1 && w > 1;
    match (header.dtype, &header.shape[..]) {
        ("uint8", &[_, h, w]) => sides(h, w),
        (_, &[_, a, b, c]) => (channels(c) && sides(a, b)) || (channels(a) && sides(b, c)),
        _ => false,
    }
}

/// Whether an array is one of labels of `n` pictures.
fn is_labels(header: &NumpyHeader, n: u64) -> bool {
    let is_whole = header.dtype.contains("int");
    is_whole && matches!(header.shape[..], [m] | [m, 1] if m == n)
}

fn labels_beside<'a>(found: &'a [Found], chosen: &Found, n: usize) -> Option<(&'a Found, &'a NumpyHeader)> {
    let mut labels = found
        .iter()
        .filter(|array| array.name != chosen.name)
        .filter_map(|array| Some((array, array.header.as_ref()?)))
        .filter(|(_, header)| is_labels(header, n as u64));
    labels.next().filter(|_| labels.next().is_none())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Array {
    /// The bytes of picture `i`.
    pub(super) fn read(&mut self, i: usize) -> Result<Vec<u8>> {
        let stride = self.layout.bytes();
        let mut bytes = vec![0; stride];
        self.bytes
            .seek(SeekFrom::Start(self.offset + (i * stride) as u64))
            .and_then(|_| self.bytes.read_exact(&mut bytes))
            .map_err(|e| Error::io(format!("{}[{i}]", self.name), Action::Read, e))?;
        Ok(bytes)
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }
}

impl Layout {
    fn bytes(&self) -> usize {
        let size = match self.number {
            Number::U8 => 1,
            Number::F16 => 2,
            Number::F32 => 4,
            Number::F64 => 8,
        };
        self.h * self.w * self.c * size
    }

    /// Height and width.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.h, self.w)
    }

    /// In words, as of picture files.
    pub(super) fn mode(&self) -> String {
        match self.c {
            1 => "grey".into(),
            3 => "colour".into(),
            _ => "colour with transparency".into(),
        }
    }

    /// The picture in its bytes, as `decoder` treats channels and transparency.
    pub(super) fn decode(&self, bytes: &[u8], decoder: &Decoder, path: &Path) -> Result<Images> {
        let Self { h, w, c, big_endian: big, .. } = *self;
        fn numbers<const N: usize>(bytes: &[u8], big: bool, of: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            let number = |chunk: &[u8]| {
                let mut bytes: [u8; N] = chunk.try_into().expect("a chunk's length");
                if big {
                    bytes.reverse();
                }
                of(bytes)
            };
            bytes.chunks_exact(N).map(number).collect()
        }
        let samples = match self.number {
            Number::U8 => Samples::Bytes(self.interleaved(bytes)),
            Number::F16 => Samples::Floats(self.interleaved(&numbers(bytes, big, |b| f16::from_le_bytes(b).to_f32()))),
            Number::F32 => Samples::Floats(self.interleaved(&numbers(bytes, big, f32::from_le_bytes))),
            Number::F64 => Samples::Floats(self.interleaved(&numbers(bytes, big, |b| f64::from_le_bytes(b) as f32))),
        };
        if let Samples::Floats(floats) = &samples
            && let Some(odd) = floats.iter().find(|x| !(0.0..=1.0).contains(*x))
        {
            let fault = format!(
                "has a pixel {odd}, but floats must be from 0 to 1. Divide pixels of 0 to 255 by 255, take (x + 1)/2 of pixels of \
                 -1 to 1, or save them as uint8"
            );
            return Err(Error::format(path, fault));
        }
        decoder.of_samples(samples, [h, w, c], path)
    }

    /// Pixel after pixel, whatever the order of the axes.
    fn interleaved<T: Copy>(&self, samples: &[T]) -> Vec<T> {
        let plane = self.h * self.w;
        match self.axes {
            Axes::ChannelsLast => samples.to_vec(),
            Axes::ChannelsFirst => (0..plane).flat_map(|i| (0..self.c).map(move |c| samples[c * plane + i])).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_compressed_array_is_unpacked_once_and_not_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        zip.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).unwrap();
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 5, 4, 1), }";
        let header = format!("{header:<117}\n");
        zip.write_all(&[b"\x93NUMPY\x01\0v\0", header.as_bytes(), &(0..40).collect::<Vec<u8>>()].concat()).unwrap();
        zip.finish().unwrap();
        let wanted = ArraySpec::parse(path.to_str().unwrap()).unwrap();
        assert!(wanted.holds_pictures().unwrap());
        assert!(wanted.unpacked.lock().unwrap().is_none());
        let mut both = [wanted.open(), wanted.clone().open()].map(|array| array.unwrap().unwrap());
        let uses = |wanted: &ArraySpec| wanted.unpacked.lock().unwrap().as_ref().map(Unpacked::uses);
        assert_eq!(uses(&wanted), Some(3));
        for array in &mut both {
            assert_eq!(array.read(1).unwrap(), (20..40).collect::<Vec<u8>>());
        }
    }
}
