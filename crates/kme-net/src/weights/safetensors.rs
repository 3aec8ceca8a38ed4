//! Safetensors: tensors of 16, 32 or 64 bits, and tables of 8-bit numbers.

use crate::net::file::Tensors;
use half::{bf16, f16};
use kme::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// The floating-point tensors of a file, as `f32`.
///
/// A tensor `X_q` of bytes beside a tensor `X_table` of up to 256 numbers is the tensor `X` whose entries are table[byte]:
/// weights of which each is one of few values. Other tensors of integers (counters) are left out.
///
/// # Errors
/// When the file is truncated or damaged, holds floating-point numbers of another kind, or a byte is beyond its table.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Tensors> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::unreadable(path, "is a truncated or damaged safetensors file; copy it again", e))?;
    let mut tensors = Tensors::new();
    let mut coded = Vec::new();
    for (name, view) in file.tensors() {
        match (view.dtype(), name.strip_suffix("_q")) {
            (Dtype::U8, Some(whole)) => coded.push((whole.to_string(), view)),
            _ => {
                if let Some(values) = numbers(&name, &view, path)? {
                    tensors.insert(name, (view.shape().to_vec(), values));
                }
            }
        }
    }
    for (name, view) in coded {
        let (_, table) = tensors
            .remove(&format!("{name}_table"))
            .ok_or_else(|| Error::format(path, format!("has a tensor {name}_q without its table {name}_table")))?;
        let beyond = || format!("has a tensor {name}_q with a number beyond its table of {}", table.len());
        let value = |&byte: &u8| table.get(usize::from(byte)).copied().ok_or_else(|| Error::format(path, beyond()));
        let values = view.data().iter().map(value).collect::<Result<_>>()?;
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// A tensor's numbers; none for integers.
fn numbers(name: &str, view: &TensorView, path: &Path) -> Result<Option<Vec<f32>>> {
    let data = view.data();
    Ok(Some(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::I16
        | Dtype::U16
        | Dtype::I32
        | Dtype::U32
        | Dtype::I64
        | Dtype::U64 => {
            return Ok(None);
        }
        other => {
            return Err(Error::format(
                path,
                format!("has a tensor {name} of type {other:?}; F16, BF16, F32 and F64 are read"),
            ));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let view = |(name, dtype, shape, bytes): &(&str, Dtype, &[usize], Vec<u8>)| {
            (
                name.to_string(),
                TensorView::new(*dtype, shape.to_vec(), bytes).unwrap().data().to_vec(),
                *dtype,
                shape.to_vec(),
            )
        };
        let owned: Vec<_> = tensors.iter().map(view).collect();
        let views = owned
            .iter()
            .map(|(name, bytes, dtype, shape)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn every_precision_is_read_and_integers_are_left_out() {
        let bytes = file(&[
            (
                "a",
                Dtype::F16,
                &[2],
                [f16::from_f32(0.5), f16::from_f32(-3.0)].iter().flat_map(|x| x.to_le_bytes()).collect(),
            ),
            ("b", Dtype::BF16, &[1], bf16::from_f32(1.5).to_le_bytes().to_vec()),
            ("c", Dtype::F64, &[1, 1], 0.1_f64.to_le_bytes().to_vec()),
            ("d", Dtype::F32, &[1], 7.0_f32.to_le_bytes().to_vec()),
            ("count", Dtype::I64, &[], 9_i64.to_le_bytes().to_vec()),
        ]);
        let found = parse(&bytes, Path::new("w")).unwrap();
        let expected: Tensors = [
            ("a", vec![2], vec![0.5, -3.0]),
            ("b", vec![1], vec![1.5]),
            ("c", vec![1, 1], vec![0.1]),
            ("d", vec![1], vec![7.0]),
        ]
        .into_iter()
        .map(|(name, shape, values)| (name.to_string(), (shape, values)))
        .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_are_looked_up_in_their_table() {
        let table: Vec<u8> = [0.25_f32, -1.0, 8.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let coded =
            |codes: Vec<u8>| file(&[("w_q", Dtype::U8, &[2, 2], codes), ("w_table", Dtype::F32, &[3], table.clone())]);
        let found = parse(&coded(vec![2, 0, 1, 1]), Path::new("w")).unwrap();
        assert_eq!(found, [("w".to_string(), (vec![2, 2], vec![8.0, 0.25, -1.0, -1.0]))].into());
        let fault = parse(&coded(vec![2, 0, 3, 1]), Path::new("w")).unwrap_err().to_string();
        assert!(fault.contains("w_q") && fault.contains("table of 3"), "{fault}");
        let alone = file(&[("w_q", Dtype::U8, &[1], vec![0])]);
        assert!(parse(&alone, Path::new("w")).unwrap_err().to_string().contains("w_table"));
    }
}
