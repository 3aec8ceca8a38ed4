//! Names that are embeddings: files, and sums of files.

use super::weighted::naming;
use kme::{AnyEmbedding, Embedding, Expression, Result};
use std::path::Path;

/// Whether `text` is meant as a `.kme` file or an expression of such files.
pub(super) fn is_embedding(text: &str) -> bool {
    let path = Path::new(text);
    if path.exists() {
        return path.is_file() && path.extension().is_some_and(|e| e == "kme");
    }
    // At the end of a name, quoted or not: not in the middle of a path.
    text.match_indices(".kme").any(|(i, _)| matches!(text.as_bytes().get(i + 4), None | Some(b' ' | b'\'' | b'"')))
}

/// Whether `text`, which is not an expression of `.kme` files, looks like one.
pub(super) fn is_like_a_sum(text: &str) -> bool {
    text.contains(".kme") && text.contains(['+', '*', '(']) && !Path::new(text).exists()
}

/// The embedding that a text names, of either form; only single files can be means of random features.
pub(super) fn read_any(text: &str) -> Result<AnyEmbedding> {
    let expression = Expression::parse(text)?;
    match expression.terms.as_slice() {
        [term] if term.coefficient == 1.0 => AnyEmbedding::read(&term.path),
        _ => read_combination(&expression).map(AnyEmbedding::Points),
    }
}

/// The embedding that a text names: a file, or an expression of files.
pub(super) fn read_embedding(text: &str) -> Result<Embedding> {
    read_combination(&Expression::parse(text)?)
}

/// As [`Expression::read`], with the names of two files that do not go together.
fn read_combination(expression: &Expression) -> Result<Embedding> {
    let mut first = None;
    expression.evaluate(|path| {
        let embedding = Embedding::read(path)?;
        match &first {
            None => first = Some((path.to_path_buf(), embedding.clone())),
            Some((name, first)) => {
                first.check_same_space(&embedding).map_err(|fault| naming(fault, name.display(), path.display()))?
            }
        }
        Ok(embedding)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_are_told_from_paths_that_hold_such_a_name() {
        for text in ["a.kme", "0.7*a.kme + 0.3*b.kme", "- 2*'my a.kme'"] {
            assert!(is_embedding(text), "{text}");
        }
        for text in ["x.kme.d/a.npy", "a.kmes", "pictures/", "my.kme-files/boot.png"] {
            assert!(!is_embedding(text), "{text}");
        }
    }
}
