//! Storages and the strided views that tensors are of them.

use super::Fault;
use half::{bf16, f16};

/// More sides than this has no tensor.
const MOST_SIDES: usize = 64;

/// The type of a storage's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// Names of the classes of typed storages and of the types themselves, both in module `torch`.
    const ALL: [(&'static str, &'static str, Self); 10] = [
        ("DoubleStorage", "float64", Self::F64),
        ("FloatStorage", "float32", Self::F32),
        ("HalfStorage", "float16", Self::F16),
        ("BFloat16Storage", "bfloat16", Self::BF16),
        ("LongStorage", "int64", Self::I64),
        ("IntStorage", "int32", Self::I32),
        ("ShortStorage", "int16", Self::I16),
        ("CharStorage", "int8", Self::I8),
        ("ByteStorage", "uint8", Self::U8),
        ("BoolStorage", "bool", Self::Bool),
    ];

    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Self::ALL.iter().find(|(storage, ..)| *storage == class).map(|(.., element)| *element)
    }

    pub(super) fn of_type(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own, _)| *own == name).map(|(.., element)| *element)
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// What numbers become: weights are rounded to `f32`, points stay as they are in `f64`.
pub(in crate::weights) trait Number: Copy + std::fmt::Display {
    fn of_f32(x: f32) -> Self;
    fn of_f64(x: f64) -> Self;
    /// None without an exact counterpart.
    fn of_i64(x: i64) -> Option<Self>;
    fn is_finite(self) -> bool;
}

impl Number for f32 {
    fn of_f32(x: f32) -> Self {
        x
    }
    fn of_f64(x: f64) -> Self {
        x as Self
    }
    fn of_i64(x: i64) -> Option<Self> {
        (x as Self as i128 == i128::from(x)).then_some(x as Self)
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Number for f64 {
    fn of_f32(x: f32) -> Self {
        x.into()
    }
    fn of_f64(x: f64) -> Self {
        x
    }
    fn of_i64(x: i64) -> Option<Self> {
        (x as Self as i128 == i128::from(x)).then_some(x as Self)
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

/// A block of bytes that tensors are views of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    /// Its elements; none where it is a plain block of bytes.
    pub(super) element: Option<Element>,
    /// Number of elements, or of bytes.
    pub(super) count: usize,
    /// Number of bytes.
    pub(super) bytes: usize,
    /// The element at which a storage that is itself a view of another begins in that.
    pub(super) start: usize,
}

/// A tensor: element (i₁, …, i_k) is element offset + Σ iⱼ·strideⱼ of the storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The number of the storage.
    pub(super) storage: usize,
    pub(super) element: Element,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    /// Number of elements.
    count: usize,
}

impl View {
    /// A view of `storage`, checked to lie in it.
    pub(super) fn new(
        number: usize,
        storage: &Storage,
        element: Element,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, Fault> {
        let outside = || format!("a tensor of shape {shape:?} lies outside of its storage '{}'", storage.key);
        if shape.len() > MOST_SIDES {
            return Err(format!("a tensor has {} sides; up to {MOST_SIDES} are read", shape.len()));
        }
        if shape.len() != strides.len() {
            return Err(format!("a tensor has {} sides and {} strides", shape.len(), strides.len()));
        }
        let offset = offset.checked_add(storage.start).ok_or_else(outside)?;
        let count = match shape.contains(&0) {
            true => 0,
            false => shape.iter().try_fold(1, |n: usize, side| n.checked_mul(*side)).ok_or_else(outside)?,
        };
        if count > 0 {
            let last = shape.iter().zip(&strides).try_fold(offset, |at: usize, (side, stride)| {
                (side - 1).checked_mul(*stride).and_then(|step| at.checked_add(step))
            });
            let end = last.and_then(|last| last.checked_add(1)).and_then(|end| end.checked_mul(element.size()));
            if end.is_none_or(|end| end > storage.bytes) {
                return Err(outside());
            }
        }
        Ok(Self { storage: number, element, offset, shape, strides, count })
    }

    /// The numbers, row after row, out of the storage's bytes. None when an integer has no exact counterpart in `T`.
    pub(super) fn numbers<T: Number>(&self, data: &[u8], is_big: bool) -> Option<Vec<T>> {
        let single = |x: f32| Some(T::of_f32(x));
        match self.element {
            Element::F64 => self.decode(data, is_big, |b| Some(T::of_f64(f64::from_le_bytes(b)))),
            Element::F32 => self.decode(data, is_big, |b| single(f32::from_le_bytes(b))),
            Element::F16 => self.decode(data, is_big, |b| single(f16::from_le_bytes(b).to_f32())),
            Element::BF16 => self.decode(data, is_big, |b| single(bf16::from_le_bytes(b).to_f32())),
            Element::I64 => self.decode(data, is_big, |b| T::of_i64(i64::from_le_bytes(b))),
            Element::I32 => self.decode(data, is_big, |b| T::of_i64(i32::from_le_bytes(b).into())),
            Element::I16 => self.decode(data, is_big, |b| T::of_i64(i16::from_le_bytes(b).into())),
            Element::I8 => self.decode(data, is_big, |b| T::of_i64(i8::from_le_bytes(b).into())),
            Element::U8 => self.decode(data, is_big, |[b]| single(f32::from(b))),
            Element::Bool => self.decode(data, is_big, |[b]| single(f32::from(u8::from(b != 0)))),
        }
    }

    fn decode<T, const N: usize>(
        &self,
        data: &[u8],
        is_big: bool,
        number: impl Fn([u8; N]) -> Option<T>,
    ) -> Option<Vec<T>> {
        let elements = data.as_chunks::<N>().0;
        let get = |i: usize| {
            let mut bytes = elements[i];
            if is_big {
                bytes.reverse();
            }
            number(bytes)
        };
        if self.is_contiguous() {
            return (self.offset..self.offset + self.count).map(get).collect();
        }
        let mut numbers = Vec::with_capacity(self.count);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..self.count {
            numbers.push(get(at)?);
            // To the next element in row order: the last index that has not reached its end moves on, those after it start anew.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                // A side of 1 may have any stride, which is added and taken away again.
                at = at.wrapping_add(self.strides[axis]);
                if index[axis] < self.shape[axis] {
                    break;
                }
                at = at.wrapping_sub(self.strides[axis].wrapping_mul(self.shape[axis]));
                index[axis] = 0;
            }
        }
        Some(numbers)
    }

    fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.count == 0
            || self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
                let follows = *side == 1 || *stride == step;
                step *= side;
                follows
            })
    }
}

/// Refuses views that blow a small file up: together they may hold as many numbers as the file has bytes, which leaves
/// room for weights that several layers share.
pub(super) fn check_size<'v>(views: impl Iterator<Item = &'v View>, bytes: usize) -> Result<(), Fault> {
    let total = views.fold(0_usize, |total, view| total.saturating_add(view.count));
    match total <= bytes {
        true => Ok(()),
        false => Err(format!("its tensors repeat {bytes} bytes to {total} numbers: it is refused")),
    }
}
