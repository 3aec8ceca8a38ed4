//! The text of embedding algebra: `0.7*a.kme + 0.3*b.kme - 0.2*c.kme`.

use std::path::{Path, PathBuf};

use super::Embedding;
use crate::{Error, Result};

/// One summand: coefficient times the embedding in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionTerm {
    /// The coefficient, with the sign of the operator before it.
    pub coefficient: f64,
    /// The file.
    pub path: PathBuf,
}

/// A linear combination of embedding files.
///
/// ```text
/// expression = [ sign ] term { sign term }
/// term       = [ number "*" ] file
/// file       = name without blanks | '"' name '"' | "'" name "'"
/// sign       = "+" | "-"
/// ```
///
/// Blanks may stand around signs and `*`. Names may contain `+`, `-` and `*`: a sign is an operator after a blank, a quote
/// or `.kme`, a `*` only after a number. Names with blanks, and names that start with a sign or a number and `*`, are
/// quoted. A text or a name that is as a whole that of an existing file is that file.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// The summands in the order of the text; at least one.
    pub terms: Vec<ExpressionTerm>,
}

impl Expression {
    /// Parses `text`. The file system is asked only whether `text` as a whole is a file.
    ///
    /// # Errors
    /// [`Error::Syntax`] when the text does not follow the grammar; it says where.
    ///
    /// # Example
    /// ```
    /// use kme::Expression;
    /// let e = Expression::parse("0.7*a.kme - 'my dog.kme'")?;
    /// assert_eq!(e.terms[0].coefficient, 0.7);
    /// assert_eq!(e.terms[1].coefficient, -1.0);
    /// assert_eq!(e.terms[1].path.to_str(), Some("my dog.kme"));
    /// # Ok::<(), kme::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        if Path::new(text).exists() {
            return Ok(Self { terms: vec![ExpressionTerm { coefficient: 1.0, path: text.into() }] });
        }
        parse_terms(text).map(|terms| Self { terms }).map_err(|fault| {
            let problem = format!("{fault}; write for example 0.7*a.kme + 0.3*b.kme - 0.2*'my c.kme'");
            Error::syntax("expression", text, problem)
        })
    }

    /// Reads the files and combines them. A single file with coefficient 1 stays what it is, a sample or a combination;
    /// everything else is a combination.
    ///
    /// # Errors
    /// Those of [`Embedding::read`] and [`Embedding::combine`].
    pub fn read(&self) -> Result<Embedding> {
        self.evaluate(|path| Embedding::read(path))
    }

    /// As [`Expression::read`], with `load` in the place of reading a file.
    ///
    /// # Errors
    /// Those of `load` and [`Embedding::combine`].
    pub fn evaluate(&self, mut load: impl FnMut(&Path) -> Result<Embedding>) -> Result<Embedding> {
        if let [ExpressionTerm { coefficient: 1.0, path }] = self.terms.as_slice() {
            return load(path);
        }
        let loaded = self.terms.iter().map(|t| Ok((t.coefficient, load(&t.path)?))).collect::<Result<Vec<_>>>()?;
        Embedding::combine(&loaded.iter().map(|(c, e)| (*c, e)).collect::<Vec<_>>())
    }
}

fn parse_terms(text: &str) -> std::result::Result<Vec<ExpressionTerm>, String> {
    let mut rest = text.trim();
    let mut sign = take_sign(&mut rest).unwrap_or(1.0);
    let mut terms = Vec::new();
    loop {
        let coefficient = take_coefficient(&mut rest)?;
        let name = take_name(&mut rest)?;
        terms.push(ExpressionTerm { coefficient: sign * coefficient, path: name.into() });
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(terms);
        }
        sign = match take_sign(&mut rest) {
            Some(_) if rest.trim().is_empty() => {
                return Err(format!("a term is missing after the sign behind '{name}'"));
            }
            Some(sign) => sign,
            None => return Err(format!("'+' or '-' is missing after '{name}' (quote names with blanks)")),
        };
    }
}

fn take_sign(rest: &mut &str) -> Option<f64> {
    let (sign, after) = match rest.strip_prefix('+') {
        Some(after) => (1.0, after),
        None => (-1.0, rest.strip_prefix('-')?),
    };
    *rest = after;
    Some(sign)
}

/// Takes `number *`; 1 when the next term has no coefficient.
fn take_coefficient(rest: &mut &str) -> std::result::Result<f64, String> {
    let text = rest.trim_start();
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'));
    let Some((number, after)) = text.split_once('*').filter(|_| is_number) else { return Ok(1.0) };
    match number.trim_end().parse::<f64>() {
        Ok(c) if c.is_finite() => {
            *rest = after;
            Ok(c)
        }
        Ok(_) => Err(format!("the coefficient {} is not finite", number.trim_end())),
        // A name that has a * in it.
        Err(_) => Ok(1.0),
    }
}

fn take_name<'a>(rest: &mut &'a str) -> std::result::Result<&'a str, String> {
    let text = rest.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (name, after) = match quote {
        Some(quote) => text[1..].split_once(quote).ok_or("a quote is not closed")?,
        None => {
            let word = &text[..text.find(char::is_whitespace).unwrap_or(text.len())];
            text.split_at(end_of_name(word))
        }
    };
    if name.is_empty() || (quote.is_none() && matches!(name, "+" | "-" | "*")) {
        return Err("the name of a file is missing".into());
    }
    *rest = after;
    Ok(name)
}

/// Where the name at the start of `word` ends: before a sign that follows `.kme`, unless there is a file of the whole name.
fn end_of_name(word: &str) -> usize {
    let operator = word
        .match_indices(".kme")
        .map(|(at, ending)| at + ending.len())
        .find(|end| word[*end..].starts_with(['+', '-']));
    match operator {
        Some(end) if !Path::new(word).exists() => end,
        _ => word.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found() {
        for (text, expected) in [
            ("a.kme", &[(1.0, "a.kme")][..]),
            (" 0.7*a.kme + 0.3*b.kme - 0.2*c.kme ", &[(0.7, "a.kme"), (0.3, "b.kme"), (-0.2, "c.kme")]),
            ("-a.kme +\tb.kme", &[(-1.0, "a.kme"), (1.0, "b.kme")]),
            ("- 2 * a.kme - -3e-1*b.kme", &[(-2.0, "a.kme"), (0.3, "b.kme")]),
            ("runs/a-b+c.kme - 2*x*y.kme", &[(1.0, "runs/a-b+c.kme"), (-2.0, "x*y.kme")]),
            ("0.5*'my dog.kme' + \"it's - 2*x.kme\"", &[(0.5, "my dog.kme"), (1.0, "it's - 2*x.kme")]),
            ("0.5*a.kme+0.5*b.kme", &[(0.5, "a.kme"), (0.5, "b.kme")]),
            ("a.kme-b.kme", &[(1.0, "a.kme"), (-1.0, "b.kme")]),
            ("2*a+b.kme-1e-3*c-d.kme", &[(2.0, "a+b.kme"), (-1e-3, "c-d.kme")]),
            ("a.kme +b.kme -.5*'c.kme'- d.kme", &[(1.0, "a.kme"), (1.0, "b.kme"), (-0.5, "c.kme"), (-1.0, "d.kme")]),
            ("2024-a*.kme + .5*b", &[(1.0, "2024-a*.kme"), (0.5, "b")]),
        ] {
            let terms = Expression::parse(text).unwrap().terms;
            let expected: Vec<ExpressionTerm> =
                expected.iter().map(|&(coefficient, p)| ExpressionTerm { coefficient, path: p.into() }).collect();
            assert_eq!(terms, expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_a_file_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2*a + b.kme");
        std::fs::write(&path, "").unwrap();
        assert_eq!(
            Expression::parse(path.to_str().unwrap()).unwrap().terms,
            [ExpressionTerm { coefficient: 1.0, path }]
        );
        let path = folder.path().join("a.kme-old.kme");
        std::fs::write(&path, "").unwrap();
        let sum = Expression::parse(&format!("2*{}+b.kme", path.display())).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(sum.terms.len(), 3, "the word is not the name of a file");
        let twice = Expression::parse(&format!("2*{}", path.display())).unwrap();
        assert_eq!(twice.terms, [ExpressionTerm { coefficient: 2.0, path }]);
    }

    #[test]
    fn faults_are_told() {
        for (text, part) in [
            ("", "name of a file is missing"),
            ("0.5*", "name of a file is missing"),
            ("a.kme + ", "a term is missing"),
            ("a.kme+", "a term is missing"),
            ("a.kme + + b.kme", "name of a file is missing"),
            ("a.kme b.kme", "'+' or '-' is missing after 'a.kme'"),
            ("'a.kme", "quote is not closed"),
            ("1e999*a.kme", "not finite"),
            ("''", "name of a file is missing"),
        ] {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("0.7*a.kme + 0.3*b.kme"), "{text}: {error}");
        }
    }
}
