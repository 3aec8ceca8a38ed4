//! The safetensors container: a JSON header with names, types, shapes and places, then the numbers.
//!
//! The `safetensors` crate parses and checks the header; the numbers are streamed from the file, so that opening
//! never holds a second copy and reading one tensor does not read the others.
//! Embeddings use it as well; networks and cached features, which are read as a whole, have readers of their own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype as Stored;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Data;
use super::array::{Checked, Dtype, Endian, Layout, decode};
use crate::{Error, Result, io as files};

/// The limit of the format's own library.
const LONGEST_HEADER: u64 = 100_000_000;

/// A safetensors file whose header is read and found consistent with the file's size.
pub(crate) struct Container {
    path: PathBuf,
    reader: BufReader<File>,
    header: Metadata,
    data_start: u64,
}

impl Container {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When the header is not a safetensors header, its tensors overlap or leave gaps, a size does not follow from type
    /// and shape, or the file is shorter or longer than the header says.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fault = |text: String| Error::format(path, text);
        let (mut reader, size) = files::open(path)?;
        let mut length = [0; 8];
        reader.read_exact(&mut length).map_err(|e| files::read_error(path, e))?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER || length > size - 8 {
            return Err(fault(format!(
                "not a safetensors file, or a truncated one: its first 8 bytes claim a header of {length} bytes, but {} follow",
                size - 8
            )));
        }
        let mut bytes = vec![0; length as usize];
        reader.read_exact(&mut bytes).map_err(|e| files::read_error(path, e))?;
        let header: Metadata = serde_json::from_slice(&bytes)
            .map_err(|e| Error::unreadable(path, "its safetensors header is not understood", e))?;
        let (needed, there) = (header.data_len() as u64, size - 8 - length);
        if needed != there {
            let what = if needed > there { "is truncated" } else { "has bytes after its end" };
            return Err(fault(format!("{what}: its header describes {needed} bytes of numbers, there are {there}")));
        }
        Ok(Self { path: path.into(), reader, header, data_start: 8 + length })
    }

    /// The text stored under `key` in the header's metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// The names of all tensors, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// Whether there is a tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// Type and shape of the tensor `name`, or why it cannot be read.
    pub(crate) fn layout(&self, name: &str) -> Checked<Layout> {
        let info = self.header.info(name).ok_or_else(|| format!("there is no tensor '{name}'"))?;
        let dtype = match info.dtype {
            Stored::BOOL => Dtype::Bool,
            Stored::U8 => Dtype::U8,
            Stored::I8 => Dtype::I8,
            Stored::U16 => Dtype::U16,
            Stored::I16 => Dtype::I16,
            Stored::F16 => Dtype::F16,
            Stored::BF16 => Dtype::BF16,
            Stored::U32 => Dtype::U32,
            Stored::I32 => Dtype::I32,
            Stored::F32 => Dtype::F32,
            Stored::U64 => Dtype::U64,
            Stored::I64 => Dtype::I64,
            Stored::F64 => Dtype::F64,
            other => return Err(format!("elements of type {other:?} are not read; convert to F32")),
        };
        let shape = info.shape.iter().map(|&s| s as u64).collect();
        Ok(Layout { dtype, endian: Endian::Little, fortran: false, shape })
    }

    /// All numbers of the tensor `name`.
    pub(crate) fn numbers(&mut self, name: &str) -> Result<Data> {
        let layout = self.layout(name).map_err(|e| Error::format(&self.path, e))?;
        let count = layout.shape.iter().product::<u64>() as usize;
        self.seek(name)?;
        decode(&mut self.reader, layout.dtype, layout.endian, count).map_err(|e| files::read_error(&self.path, e))
    }

    /// Where the numbers are read from after [`seek`](Self::seek).
    pub(super) fn reader(&mut self) -> &mut BufReader<File> {
        &mut self.reader
    }

    /// Goes to the first number of the tensor `name`.
    pub(super) fn seek(&mut self, name: &str) -> Result<()> {
        let start = self.header.info(name).map_or(0, |info| info.data_offsets.0 as u64);
        let moved = self.reader.seek(SeekFrom::Start(self.data_start + start));
        moved.map(|_| ()).map_err(|e| files::read_error(&self.path, e))
    }
}

/// Writes a safetensors file with one entry of metadata and the given tensors, in their order.
///
/// The bytes depend on the arguments alone: one entry has no order to vary in, and the tensors keep theirs. For
/// aligned reading, the tensors are to be given with the widest type first.
pub(crate) fn write(
    out: &mut impl Write,
    key: &str,
    text: String,
    tensors: &[(&str, &[usize], &Data)],
) -> io::Result<()> {
    let mut end = 0;
    let infos = tensors.iter().map(|&(name, shape, data)| {
        let (dtype, size) = match data {
            Data::F32(_) => (Stored::F32, 4),
            Data::F64(_) => (Stored::F64, 8),
        };
        let start = end;
        end += size * data.len();
        (name.to_string(), TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) })
    });
    let header = Metadata::new(Some(HashMap::from([(key.to_string(), text)])), infos.collect());
    let mut header = serde_json::to_vec(&header.map_err(io::Error::other)?)?;
    // Numbers start at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    tensors.iter().try_for_each(|(_, _, data)| super::write::little_endian(data, out))
}
