//! The floors of ARCHITECTURE.md are those of the code: no crate and no module uses one that stands below it. And what a
//! crate includes lies in its own folder, so that it can be packaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.as_ref().display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Crates from the top floor down, and the modules of each: the names before the descriptions, in lines indented by two.
fn floors() -> Vec<(String, Vec<String>)> {
    let map = read(root().join("ARCHITECTURE.md"));
    let list = map.split("## Floors").nth(1).and_then(|rest| rest.split("```").nth(1)).expect("the list of floors");
    let mut floors: Vec<(String, Vec<String>)> = Vec::new();
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("crates/").and_then(|rest| rest.split('/').next()) {
            floors.push((name.into(), Vec::new()));
        } else if let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            let names = line.split("  ").next().unwrap_or(line).split(',').map(|name| name.trim().to_string());
            floors.last_mut().expect("a crate above its modules").1.extend(names);
        }
    }
    floors
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// A file without its comments and without the tests at its end.
fn code(text: &str) -> String {
    let is_test = |(at, _): &(usize, &str)| {
        text[*at..].lines().nth(1).is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = text.match_indices("#[cfg(test)]\n").find(is_test).map_or(text.len(), |(at, _)| at);
    text[..end].lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of all paths that begin with `prefix`, also of those in braces behind it.
fn names(code: &str, prefix: &str) -> Vec<String> {
    let first = |(at, _): (usize, &str)| -> Vec<String> {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else { return vec![identifier(rest)] };
        let (mut depth, mut parts) = (0, vec![String::new()]);
        for c in group.split(';').next().unwrap_or("").chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => parts.push(String::new()),
                _ => {}
            }
            parts.last_mut().expect("one is there").push(c);
        }
        parts.iter().map(|part| identifier(part.trim_start_matches(','))).filter(|name| !name.is_empty()).collect()
    };
    code.match_indices(prefix).flat_map(first).collect()
}

/// The modules that a crate's root declares, and of which module each name is that it exports.
fn declared(root: &str) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let modules =
        root.lines().filter_map(|line| line.strip_suffix(';')?.split_once("mod ").map(|(_, name)| name.into()));
    let mut exported = BTreeMap::new();
    for statement in root.split(';').filter(|statement| statement.trim_start().starts_with("pub")) {
        let Some((module, items)) = statement.split_once("use ").and_then(|(_, path)| path.split_once("::")) else {
            continue;
        };
        let items = items.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|item| !item.is_empty());
        exported.extend(items.map(|item| (item.to_string(), module.trim().to_string())));
    }
    (modules.collect(), exported)
}

/// What is wrong in the order of one crate's modules.
fn violations(folder: &Path, floors: &[String]) -> Vec<String> {
    let top = ["lib.rs", "main.rs"].map(|name| folder.join(name)).into_iter().find(|path| path.exists()).unwrap();
    let (modules, exported) = declared(&code(&read(&top)));
    let listed: BTreeSet<String> = floors.iter().cloned().collect();
    let mut found: Vec<String> =
        modules.symmetric_difference(&listed).map(|name| format!("{name}: in the code or in the list alone")).collect();
    let files: Vec<(PathBuf, String)> = sources(folder).into_iter().map(|path| (path.clone(), read(path))).collect();
    let tests: BTreeSet<String> = files
        .iter()
        .flat_map(|(_, text)| {
            names(text, "#[cfg(test)]\nmod ").into_iter().filter(|name| !text.contains(&format!("mod {name} {{")))
        })
        .collect();
    for (path, text) in files.iter().filter(|(path, _)| *path != top) {
        let inside: Vec<String> = path
            .strip_prefix(folder)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().into())
            .collect();
        let Some(own) = floors.iter().position(|name| *name == inside[0]) else { continue };
        if inside.iter().any(|part| tests.contains(part)) {
            continue;
        }
        let (code, is_top) = (code(text), inside.len() == 1 || inside[1..] == ["mod"]);
        let from_above = if is_top { names(&code, "super::") } else { Vec::new() };
        for name in names(&code, "crate::").into_iter().chain(from_above) {
            let module = if modules.contains(&name) { &name } else { exported.get(&name).unwrap_or(&name) };
            match floors.iter().position(|floor| floor == module) {
                Some(floor) if floor <= own => {}
                Some(_) => found.push(format!("{}: uses {module}, which stands below {}", inside.join("/"), inside[0])),
                None => found.push(format!("{}: uses {name}, of no module in the list", inside.join("/"))),
            }
        }
    }
    found
}

#[test]
fn modules_use_what_stands_above_them() {
    let floors = floors();
    let found: Vec<String> = floors
        .iter()
        .flat_map(|(name, floors)| {
            let found = violations(&root().join("crates").join(name).join("src"), floors);
            found.into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn crates_depend_on_those_above_them() {
    let mut above = Vec::new();
    for (name, _) in floors() {
        let manifest = read(root().join("crates").join(&name).join("Cargo.toml"));
        let needed = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
        for line in needed.lines().filter(|line| line.starts_with("kme")) {
            let needed = line.split(['.', ' ', '=']).next().unwrap_or(line).to_string();
            assert!(above.contains(&needed), "{name} depends on {needed}, which does not stand above it");
        }
        above.push(name);
    }
    let crates =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let crates: BTreeSet<String> = crates.filter(|name| name != "kme-testing").collect();
    assert_eq!(crates, above.into_iter().collect());
}

#[test]
fn what_a_crate_includes_lies_in_its_folder() {
    let mut count = 0;
    for (name, _) in floors() {
        let folder = root().join("crates").join(name);
        for path in sources(&folder.join("src")) {
            let text = read(&path);
            for (at, _) in ["include_str!(", "include_bytes!("].iter().flat_map(|macro_| text.match_indices(macro_)) {
                let included = text[at..].split('"').nth(1).expect("a path");
                let inside = path.parent().unwrap().strip_prefix(&folder).unwrap().join(included);
                let mut depth = 0;
                for part in inside.components() {
                    depth += if part == Component::ParentDir { -1 } else { 1 };
                    assert!(depth >= 0, "{}: {included} lies outside its crate", path.display());
                }
                count += 1;
            }
        }
    }
    assert!(count > 5, "only {count} were found");
}

#[test]
fn paths_are_found() {
    let text = "use crate::{a::{b, c}, D,\n e as f};\nlet x = crate::g::h(); // crate::no\n#[cfg(test)]\nmod tests {\n crate::no";
    assert_eq!(names(&code(text), "crate::"), ["a", "D", "e", "g"]);
    let (modules, exported) = declared("mod a;\npub mod b;\npub use a::{C, d::E};\npub use b::F;\n");
    assert_eq!(modules, ["a", "b"].map(String::from).into());
    let exported: Vec<(&str, &str)> = exported.iter().map(|(name, module)| (name.as_str(), module.as_str())).collect();
    assert_eq!(exported, [("C", "a"), ("E", "a"), ("F", "b"), ("d", "a")]);
}
