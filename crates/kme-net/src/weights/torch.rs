//! Files of `torch.save`: state dicts, checkpoints and TorchScript archives.
//!
//! A file is a pickle, which describes nested containers of tensors, and one block of bytes for each storage that the
//! tensors are views of. In the zip form (torch ≥ 1.6) these are entries of an uncompressed archive; in the legacy form
//! they follow each other: magic number, protocol version, system, object and storage keys, five pickles in all, then for
//! each key the number of elements and the bytes. The layouts are those of `torch/serialization.py` and of
//! `torch/csrc/jit/serialization`.

mod pickle;
mod tensor;

use pickle::{Machine, Object, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
pub(super) use tensor::Number;
use tensor::{Storage, View};
use zip::{CompressionMethod, ZipArchive};

/// Tensors by name: shape, and numbers row after row.
pub(super) type Tensors<T> = BTreeMap<String, (Vec<usize>, Vec<T>)>;

/// What is wrong, in words that follow the file's name.
type Fault = String;

/// The first number of a legacy file, 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The version of the legacy form, the only one there is.
const PROTOCOL: i64 = 1001;

/// Bytes before the name in an entry's own header.
const LOCAL_HEADER: usize = 30;

/// Containers within containers beyond this depth are taken for an attack.
const DEEPEST: usize = 100;

/// The tensors of a file in the zip form.
pub(super) fn of_zip<T: Number>(bytes: &[u8]) -> Result<(Tensors<T>, &'static str), Fault> {
    let mut archive = Archive::open(bytes)?;
    let pickle = archive.entry("data.pkl")?;
    let order = match archive.has("byteorder") {
        true => archive.entry("byteorder")?,
        false => b"little".to_vec(),
    };
    let is_big = match &order[..] {
        b"little" => false,
        b"big" => true,
        other => return Err(format!("its byte order is '{}', not little or big", String::from_utf8_lossy(other))),
    };
    let is_script = archive.has("constants.pkl");
    let mut machine = Machine::new(&pickle, is_script);
    let root = machine.run()?;
    let views = named(&machine, root, pickle.len())?;
    tensor::check_size(views.iter().map(|(_, view)| view), bytes.len())?;
    let mut by_storage: BTreeMap<&str, Vec<(&str, &View)>> = BTreeMap::new();
    for (name, view) in &views {
        by_storage.entry(machine.storages[view.storage].key).or_default().push((name, view));
    }
    let (mut tensors, mut left) = (Tensors::new(), bytes.len());
    for (key, views) in by_storage {
        // Entries of a hostile archive may lie on top of each other.
        let data = archive.entry(&format!("data/{key}"))?;
        left = left.checked_sub(data.len()).ok_or("its storages together are larger than the file: it is damaged")?;
        for (name, view) in views {
            insert(&mut tensors, name, view, &machine.storages[view.storage], &data, is_big)?;
        }
    }
    finish(tensors, if is_script { "TorchScript" } else { "torch zip" })
}

/// The tensors of a file in the legacy form.
pub(super) fn of_legacy<T: Number>(bytes: &[u8]) -> Result<(Tensors<T>, &'static str), Fault> {
    let mut machine = Machine::new(bytes, false);
    if !matches!(machine.run()?, Value::Long(number) if number == MAGIC) {
        return Err(
            "is a pickle, but not a file of torch.save; save the tensors with torch.save or as safetensors".into()
        );
    }
    match machine.run()? {
        Value::Int(PROTOCOL) => {}
        other => return Err(format!("is of version {other:?} of the legacy form; {PROTOCOL} is read")),
    }
    // The writer's machine. Storages are little-endian whatever it says.
    machine.run()?;
    let root = machine.run()?;
    let Value::List(keys) = machine.run()? else {
        return Err("does not list its storages where it should: it is damaged".into());
    };
    let used: BTreeMap<&str, &Storage> = machine.storages.iter().map(|storage| (storage.key, storage)).collect();
    let mut at = machine.at();
    let mut blocks: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for key in &machine.lists[keys] {
        let Value::Text(key) = *key else { return Err("has a storage whose key is not a text: it is damaged".into()) };
        let storage =
            used.get(key).ok_or_else(|| format!("holds a storage '{key}' that no tensor uses: it is damaged"))?;
        let cut = || format!("ends inside storage '{key}': it is truncated, copy or download it again");
        let count = bytes.get(at..at + 8).ok_or_else(cut)?;
        let count = u64::from_le_bytes(count.try_into().expect("eight bytes"));
        if count != storage.count as u64 {
            return Err(format!("storage '{key}' holds {count} numbers, the tensors need {}", storage.count));
        }
        at += 8;
        let end = at.checked_add(storage.bytes).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
        blocks.insert(key, &bytes[at..end]);
        at = end;
    }
    let views = named(&machine, root, bytes.len())?;
    tensor::check_size(views.iter().map(|(_, view)| view), bytes.len())?;
    let mut tensors = Tensors::new();
    for (name, view) in &views {
        let storage = &machine.storages[view.storage];
        let data = blocks.get(storage.key).ok_or_else(|| format!("lacks the storage '{}'", storage.key))?;
        insert(&mut tensors, name, view, storage, data, false)?;
    }
    finish(tensors, "torch legacy")
}

fn insert<T: Number>(
    tensors: &mut Tensors<T>,
    name: &str,
    view: &View,
    storage: &Storage,
    data: &[u8],
    is_big: bool,
) -> Result<(), Fault> {
    if data.len() != storage.bytes {
        let key = storage.key;
        return Err(format!("storage '{key}' has {} bytes, its tensors need {}", data.len(), storage.bytes));
    }
    let Some(numbers) = view.numbers::<T>(data, is_big) else { return Ok(()) };
    if let Some(i) = numbers.iter().position(|x| !x.is_finite()) {
        return Err(format!("tensor {name} holds {} at position {i}", numbers[i]));
    }
    match tensors.insert(name.into(), (view.shape.clone(), numbers)) {
        Some(_) => Err(format!("holds two tensors of the name {name}")),
        None => Ok(()),
    }
}

fn finish<T>(tensors: Tensors<T>, container: &'static str) -> Result<(Tensors<T>, &'static str), Fault> {
    if tensors.is_empty() {
        return Err("holds no tensors".into());
    }
    Ok((tensors, container))
}

/// All tensors below `root` with their names: keys and numbers of the containers around them, with dots between.
fn named(machine: &Machine, root: Value, length: usize) -> Result<Vec<(String, View)>, Fault> {
    let mut names = Names { machine, found: Vec::new(), around: Vec::new(), letters: 0, left: 16 * length };
    names.visit(root)?;
    Ok(names.found)
}

struct Names<'m, 'a> {
    machine: &'m Machine<'a>,
    found: Vec<(String, View)>,
    /// The keys on the way to the value at hand.
    around: Vec<String>,
    /// Length of their names.
    letters: usize,
    /// Letters of names that may still be visited: a container that is referred to often has many names. An honest tensor
    /// takes several times the letters of its name.
    left: usize,
}

impl Names<'_, '_> {
    fn visit(&mut self, value: Value) -> Result<(), Fault> {
        let cost = self.letters + 1;
        self.left = self.left.checked_sub(cost).ok_or("repeats its containers without end: it is refused")?;
        if self.around.len() > DEEPEST {
            return Err(format!("has containers {DEEPEST} deep: it is refused"));
        }
        let machine = self.machine;
        match value {
            Value::Tensor(i) => {
                let name = if self.around.is_empty() { "tensor".into() } else { self.around.join(".") };
                self.found.push((name, machine.tensors[i].clone()));
                Ok(())
            }
            Value::Tuple(i) => self.visit_list(&machine.tuples[i]),
            Value::List(i) => self.visit_list(&machine.lists[i]),
            Value::Dict(i) => self.visit_entries(&machine.dicts[i]),
            Value::Object(i) => match &machine.objects[i] {
                Object { state: Some(state), .. } => self.visit(*state),
                Object { state: None, .. } => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn visit_list(&mut self, values: &[Value]) -> Result<(), Fault> {
        values.iter().enumerate().try_for_each(|(i, value)| self.enter(i.to_string(), *value))
    }

    fn visit_entries(&mut self, entries: &[(Value, Value)]) -> Result<(), Fault> {
        for (key, value) in entries {
            let key = match key {
                Value::Text(key) => key.to_string(),
                Value::Int(key) => key.to_string(),
                // What is in it has no name; numbers and texts need none.
                _ if value.is_container() => return Err(format!("has the key {key:?}; texts and numbers are read")),
                _ => continue,
            };
            self.enter(key, *value)?;
        }
        Ok(())
    }

    fn enter(&mut self, key: String, value: Value) -> Result<(), Fault> {
        if !value.is_container() {
            return Ok(());
        }
        let letters = key.len() + 1;
        self.letters += letters;
        self.around.push(key);
        let visited = self.visit(value);
        self.around.pop();
        self.letters -= letters;
        visited
    }
}

/// The entries of a zip file below its one folder.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    names: BTreeSet<String>,
    size: u64,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| format!("is a truncated or damaged zip archive ({e}): copy or download it again"))?;
        if zip.has_duplicate_names() {
            return Err("holds two entries of one name: it is refused".into());
        }
        // The table of contents has no checksum; but names stand in the archive twice.
        for i in 0..zip.len() {
            let entry = zip.by_index_raw(i).map_err(|e| format!("is a truncated or damaged zip archive ({e})"))?;
            let name = entry.name_raw();
            let start = usize::try_from(entry.header_start()).unwrap_or(usize::MAX).saturating_add(LOCAL_HEADER);
            if bytes.get(start..start.saturating_add(name.len())) != Some(name) {
                return Err(format!("names its entry {} in two ways: it is damaged", String::from_utf8_lossy(name)));
            }
        }
        let names = zip.file_names().map(|name| name.map(|n| n.to_string())).collect::<Result<BTreeSet<_>, _>>();
        let names = names.map_err(|e| format!("is a truncated or damaged zip archive ({e})"))?;
        let folder = names.iter().find_map(|name| name.strip_suffix("/data.pkl").filter(|f| !f.contains('/')));
        let folder = folder.ok_or("is a zip archive without data.pkl, so it is not a file of torch.save")?.to_string();
        Ok(Self { zip, folder, names, size: bytes.len() as u64 })
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(&format!("{}/{name}", self.folder))
    }

    /// The bytes of an entry, whose checksum is right.
    fn entry(&mut self, name: &str) -> Result<Vec<u8>, Fault> {
        let path = format!("{}/{name}", self.folder);
        if !self.names.contains(&path) {
            return Err(format!("lacks the entry {path}"));
        }
        let mut entry = self.zip.by_name(&path).map_err(|e| format!("its entry {path} is damaged: {e}"))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!(
                "its entry {path} is compressed, which torch.save never does: pack it without (zip -0)"
            ));
        }
        if entry.size() > self.size || entry.size() != entry.compressed_size() {
            return Err(format!("its entry {path} claims {} bytes, more than there are", entry.size()));
        }
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(|e| format!("its entry {path} is damaged: {e}"))?;
        Ok(bytes)
    }
}
