//! Which columns are the coordinates: names and numbers as they are typed, and where they are.

/// Columns by their places from 0, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice(Vec<usize>);

impl Choice {
    /// The places of `asked` among `d` columns. A text is a name of the header, else a number from 1 on, else a range of
    /// numbers (`2-5`, `3-` up to the last), or `all`.
    ///
    /// # Errors
    /// When one is not there, is the name of several, or comes twice.
    pub(super) fn of(asked: &[String], names: Option<&[String]>, d: usize) -> Result<Self, String> {
        let mut columns: Vec<usize> = Vec::new();
        for text in asked {
            for place in places(text.trim(), names, d)? {
                if columns.contains(&place) {
                    return Err(format!("column '{}' is asked for twice", shown(names, place)));
                }
                columns.push(place);
            }
        }
        Ok(Self(columns))
    }

    pub(super) fn columns(&self) -> &[usize] {
        &self.0
    }
}

/// The place of the one column that `text` names.
pub(super) fn place(text: &str, names: Option<&[String]>, d: usize) -> Result<usize, String> {
    match places(text, names, d)?.as_slice() {
        [one] => Ok(*one),
        _ => Err(format!("'{text}' stands for several columns; one is expected")),
    }
}

/// A column in messages: its name, or its number.
pub(super) fn shown(names: Option<&[String]>, place: usize) -> String {
    match names.and_then(|names| names.get(place)).filter(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => (place + 1).to_string(),
    }
}

fn places(text: &str, names: Option<&[String]>, d: usize) -> Result<Vec<usize>, String> {
    let called: Vec<usize> =
        names.unwrap_or_default().iter().enumerate().filter(|(_, name)| *name == text).map(|(i, _)| i).collect();
    match called.as_slice() {
        [] => {}
        [one] => return Ok(vec![*one]),
        several => {
            let numbers = several.iter().map(|i| (i + 1).to_string()).collect::<Vec<_>>().join(", ");
            return Err(format!("has several columns called '{text}': name one by its number ({numbers})"));
        }
    }
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|i| (1..=d).contains(i)).map(|i| i - 1);
    let range = match text.split_once('-') {
        _ if text.eq_ignore_ascii_case("all") => Some((0, d - 1)),
        Some((first, "")) => number(first).map(|first| (first, d - 1)),
        Some((first, last)) => number(first).zip(number(last)),
        None => number(text).map(|i| (i, i)),
    };
    match range {
        Some((first, last)) if first <= last => Ok((first..=last).collect()),
        _ => {
            let known = match names {
                Some(names) => format!("its {d} columns are {}", listed(names)),
                None => format!("it has {d} columns, numbered from 1 on, and no header"),
            };
            Err(format!("has no column '{text}'; {known}"))
        }
    }
}

/// The first names of a list.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names.iter().take(SHOWN).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_numbered_or_in_ranges() {
        let names = ["a", "b", "3", "a-b"].map(String::from);
        let of = |text: &str| {
            let asked: Vec<String> = text.split(',').map(String::from).collect();
            Choice::of(&asked, Some(&names), 4).map(|choice| choice.0)
        };
        assert_eq!(of("b,a"), Ok(vec![1, 0]));
        // A name goes before a number and a range.
        assert_eq!(of("3,a-b,1"), Ok(vec![2, 3, 0]));
        assert_eq!(of("2-3"), Ok(vec![1, 2]));
        assert_eq!(of("2-"), Ok(vec![1, 2, 3]));
        assert_eq!(of("all"), Ok(vec![0, 1, 2, 3]));
        for (text, part) in [
            ("c", "no column 'c'; its 4 columns are 'a', 'b', '3', 'a-b'"),
            ("0", "no column '0'"),
            ("5", "no column '5'"),
            ("4-2", "no column '4-2'"),
            ("a,1", "'a' is asked for twice"),
            ("", "no column ''"),
        ] {
            let fault = of(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
        let twice = ["a", "a"].map(String::from);
        let fault = Choice::of(&["a".into()], Some(&twice), 2).unwrap_err();
        assert!(fault.contains("several columns called 'a'") && fault.contains("(1, 2)"), "{fault}");
        assert_eq!(place("2", None, 3), Ok(1));
        assert!(place("all", None, 3).unwrap_err().contains("several columns"));
    }
}
