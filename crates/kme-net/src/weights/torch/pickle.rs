//! A machine for pickles that can describe tensors in containers, and can do nothing else.
//!
//! Python's pickle is a program: it names functions and calls them. This machine knows the few names that files of tensors
//! need, does by itself what those would do, and refuses a file that names any other, before anything else is done with it.
//! It has the instructions of protocols 2 to 5 that `torch.save` and TorchScript write (`Lib/pickletools.py` of CPython
//! lists all). Everything it holds is linear in the length of the pickle.

use super::Fault;
use super::tensor::{Element, Storage, View};
use std::collections::HashMap;

/// What the machine computes with. Containers, storages and tensors are numbers of entries in the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, little-endian.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Object(usize),
    Storage(usize),
    Tensor(usize),
    Name(Name<'a>),
}

impl Value<'_> {
    /// Whether there can be a tensor in it.
    pub(super) fn is_container(&self) -> bool {
        matches!(self, Self::Tuple(_) | Self::List(_) | Self::Dict(_) | Self::Object(_) | Self::Tensor(_))
    }
}

/// The names that a pickle may use: nothing of what they name is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name<'a> {
    OrderedDict,
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage with a type.
    Tensor,
    /// `_rebuild_tensor_v3`: a view of plain bytes.
    TypedTensor,
    /// `_rebuild_parameter`: the tensor in it.
    Parameter,
    Size,
    Device,
    /// The class of a storage; none for plain bytes.
    StorageClass(Option<Element>),
    Type(Element),
    /// What TorchScript puts around typed lists.
    Same,
    /// A class whose code is in a TorchScript archive: an inert bag of attributes.
    Class(&'a str),
}

/// An object of a class of a TorchScript archive.
pub(super) struct Object<'a> {
    class: &'a str,
    /// Its attributes: a dictionary, or whatever it saved instead.
    pub(super) state: Option<Value<'a>>,
}

/// The machine and all that it has made.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    is_script: bool,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    /// Number of values that were copied out of containers.
    copied: usize,
    pub(super) tuples: Vec<Vec<Value<'a>>>,
    pub(super) lists: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) objects: Vec<Object<'a>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<View>,
}

impl<'a> Machine<'a> {
    /// A machine for the pickles that follow each other in `bytes`. With `is_script`, classes of TorchScript are allowed.
    pub(super) fn new(bytes: &'a [u8], is_script: bool) -> Self {
        Self {
            bytes,
            at: 0,
            is_script,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
            tuples: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            objects: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// Where the last pickle ended.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The value of the next pickle.
    pub(super) fn run(&mut self) -> Result<Value<'a>, Fault> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let start = self.at;
            let [code] = self.array()?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code).map_err(|fault| match fault.starts_with("would execute") {
                true => fault,
                false => format!("its pickle is damaged at byte {start}: {fault}"),
            })?;
        }
    }

    /// Does one instruction. They stand in the order of `pickletools`.
    fn step(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            // Integers.
            b'J' => self.array().map(i32::from_le_bytes).and_then(|x| self.push(Value::Int(x.into()))),
            b'K' => self.array().and_then(|[x]| self.push(Value::Int(x.into()))),
            b'M' => self.array().map(u16::from_le_bytes).and_then(|x| self.push(Value::Int(x.into()))),
            0x8a => self.length::<1>().and_then(|n| self.long(n)),
            0x8b => self.length::<4>().and_then(|n| self.long(n)),
            // Texts and bytes.
            b'T' => self.length::<4>().and_then(|n| self.text(n)),
            b'U' | 0x8c => self.length::<1>().and_then(|n| self.text(n)),
            b'X' => self.length::<4>().and_then(|n| self.text(n)),
            0x8d => self.length::<8>().and_then(|n| self.text(n)),
            b'C' => self.length::<1>().and_then(|n| self.raw(n)),
            b'B' => self.length::<4>().and_then(|n| self.raw(n)),
            0x8e => self.length::<8>().and_then(|n| self.raw(n)),
            // None, truth values and floating-point numbers.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'G' => self.array().map(f64::from_be_bytes).and_then(|x| self.push(Value::Float(x))),
            // Containers.
            b']' => self.list(Vec::new()),
            b'a' => self.pop().and_then(|item| self.extend(vec![item])),
            b'e' | 0x90 => self.pop_to_mark().and_then(|items| self.extend(items)),
            b'l' => self.pop_to_mark().and_then(|items| self.list(items)),
            // A set is a list here: nothing is looked up in it.
            0x8f => self.list(Vec::new()),
            0x91 => self.pop_to_mark().and_then(|items| self.list(items)),
            b')' => self.tuple(Vec::new()),
            0x85..=0x87 => self.pop_many(usize::from(code - 0x84)).and_then(|items| self.tuple(items)),
            b't' => self.pop_to_mark().and_then(|items| self.tuple(items)),
            b'}' => self.dict(Vec::new()),
            b'd' => self.pop_to_mark().and_then(pairs).and_then(|entries| self.dict(entries)),
            b's' => self.pop_many(2).and_then(|items| self.set(items)),
            b'u' => self.pop_to_mark().and_then(|items| self.set(items)),
            // The stack and the memo.
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.top().and_then(|top| self.push(top)),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'h' => self.array().and_then(|[i]| self.recall(i.into())),
            b'j' => self.array().map(u32::from_le_bytes).and_then(|i| self.recall(i)),
            b'q' => self.array().and_then(|[i]| self.remember(i.into())),
            b'r' => self.array().map(u32::from_le_bytes).and_then(|i| self.remember(i)),
            0x94 => self.remember(self.memo.len() as u32),
            // Names, and what is done with them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name)
            }
            0x93 => match self.pop_many(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.name(module, name),
                _ => Err("a name that is not a text".into()),
            },
            b'R' | 0x81 => {
                let [function, arguments] = self.pop_many(2)?[..] else { unreachable!("two were asked for") };
                self.call(function, arguments)
            }
            0x92 => {
                let function = self.pop_many(3)?[0];
                Err(executes(&self.describe(function)))
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                Err(executes(&format!("{module}.{name}")))
            }
            b'o' => {
                let items = self.pop_to_mark()?;
                Err(executes(&items.first().map_or("nothing".into(), |first| self.describe(*first))))
            }
            0x82..=0x84 => Err(executes("an extension that the reader would have registered")),
            b'Q' => {
                let identity = self.pop()?;
                self.storage(identity)
            }
            // The protocol, and how long the next part is.
            0x80 => match self.array()? {
                [0..=5] => Ok(()),
                [version] => Err(format!("protocol {version}; up to 5 are read")),
            },
            0x95 => self.array::<8>().map(drop),
            other => Err(format!("instruction {other:#04x}, which files of tensors do not have")),
        }
    }

    // Reading.

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("it ends too early, so the file is truncated")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    /// An unsigned number of N bytes.
    fn length<const N: usize>(&mut self) -> Result<usize, Fault> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond this machine's memory".into())
    }

    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or("it ends inside a name, so the file is truncated")?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| "a name that is not a text".into())
    }

    fn text(&mut self, length: usize) -> Result<(), Fault> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text that is not UTF-8")?;
        self.push(Value::Text(text))
    }

    fn raw(&mut self, length: usize) -> Result<(), Fault> {
        let bytes = self.take(length)?;
        self.push(Value::Bytes(bytes))
    }

    /// An integer in two's complement of any length.
    fn long(&mut self, length: usize) -> Result<(), Fault> {
        let bytes = self.take(length)?;
        let value = match bytes {
            [.., last] if length <= 8 => {
                let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                wide[..length].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            [] => Value::Int(0),
            _ => Value::Long(bytes),
        };
        self.push(value)
    }

    // The stack and the memo.

    /// Never fails; so an instruction is one expression.
    fn push(&mut self, value: Value<'a>) -> Result<(), Fault> {
        self.stack.push(value);
        Ok(())
    }

    fn top(&self) -> Result<Value<'a>, Fault> {
        self.stack.last().copied().ok_or_else(|| "a value that is not there".into())
    }

    fn pop(&mut self) -> Result<Value<'a>, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(|| "a value that is not there".into()),
            false => Err("a value that is not there".into()),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor);
        Ok(self.stack.split_off(start.ok_or("values that are not there")?))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, Fault> {
        let mark = self.marks.pop().ok_or("a mark that is not there")?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, i: u32) -> Result<(), Fault> {
        let top = self.top()?;
        self.memo.insert(i, top);
        Ok(())
    }

    fn recall(&mut self, i: u32) -> Result<(), Fault> {
        let value = *self.memo.get(&i).ok_or_else(|| format!("value number {i} was not kept"))?;
        self.push(value)
    }

    // Containers.

    fn list(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        self.lists.push(items);
        self.push(Value::List(self.lists.len() - 1))
    }

    fn tuple(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        self.tuples.push(items);
        self.push(Value::Tuple(self.tuples.len() - 1))
    }

    fn dict(&mut self, entries: Vec<(Value<'a>, Value<'a>)>) -> Result<(), Fault> {
        self.dicts.push(entries);
        self.push(Value::Dict(self.dicts.len() - 1))
    }

    fn extend(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        match self.top()? {
            Value::List(i) => self.lists[i].extend(items),
            _ => return Err("items added to something that is not a list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        match self.top()? {
            Value::Dict(i) => self.dicts[i].extend(pairs(items)?),
            _ => return Err("entries added to something that is not a dictionary".into()),
        }
        Ok(())
    }

    // Names.

    /// Pushes what a name stands for.
    fn name(&mut self, module: &'a str, name: &'a str) -> Result<(), Fault> {
        let known = match (module, name) {
            ("collections", "OrderedDict") => Name::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Name::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Name::TypedTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Name::Parameter,
            ("torch", "Size") => Name::Size,
            ("torch", "device") => Name::Device,
            ("torch.storage", "UntypedStorage" | "_UntypedStorage") => Name::StorageClass(None),
            ("torch", "UntypedStorage") => Name::StorageClass(None),
            ("torch", class) if Element::of_storage(class).is_some() => Name::StorageClass(Element::of_storage(class)),
            (
                "torch.jit._pickle",
                "build_intlist" | "build_tensorlist" | "build_doublelist" | "build_boollist" | "restore_type_tag",
            ) => Name::Same,
            (module, name) if self.is_script && (module == "__torch__" || module.starts_with("__torch__.")) => {
                Name::Class(name)
            }
            ("torch", own) => {
                let element = Element::of_type(own).ok_or_else(|| executes(&format!("{module}.{name}")))?;
                Name::Type(element)
            }
            _ => return Err(executes(&format!("{module}.{name}"))),
        };
        self.push(Value::Name(known))
    }

    /// Pushes what `function(*arguments)` would give.
    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), Fault> {
        let Value::Tuple(arguments) = arguments else { return Err("arguments that are not a tuple".into()) };
        let arguments = self.copy_of(|machine| &machine.tuples[arguments])?;
        let Value::Name(name) = function else { return Err(executes(&self.describe(function))) };
        let made = match (name, &arguments[..]) {
            (Name::OrderedDict, []) => {
                return self.dict(Vec::new());
            }
            (Name::OrderedDict, [Value::List(pairs)]) => {
                let pairs = self.copy_of(|machine| &machine.lists[*pairs])?;
                let entries = pairs.into_iter().map(|pair| self.pair(pair)).collect::<Result<_, _>>()?;
                return self.dict(entries);
            }
            (Name::Class(class), []) => {
                self.objects.push(Object { class, state: None });
                Value::Object(self.objects.len() - 1)
            }
            (Name::Tensor, [_, _, _, _, _, _, Value::Dict(_), ..])
            | (Name::TypedTensor, [_, _, _, _, _, _, _, Value::Dict(_), ..]) => {
                return Err(
                    "a tensor whose sign or conjugation is still to be applied: save x.resolve_neg().resolve_conj()"
                        .into(),
                );
            }
            (Name::Tensor, [storage, offset, shape, strides, ..]) => {
                self.tensor(*storage, None, [*offset, *shape, *strides])?
            }
            (Name::TypedTensor, [storage, offset, shape, strides, _, _, Value::Name(Name::Type(element)), ..]) => {
                self.tensor(*storage, Some(*element), [*offset, *shape, *strides])?
            }
            (Name::Parameter, [tensor @ Value::Tensor(_), ..]) => *tensor,
            (Name::Size, [shape @ Value::Tuple(_)]) => *shape,
            (Name::Device, _) => Value::None,
            (Name::Same, [value, ..]) => *value,
            (Name::StorageClass(_) | Name::Type(_), _) => return Err(executes(&self.describe(function))),
            _ => return Err(format!("arguments that {name:?} does not take")),
        };
        self.push(made)
    }

    /// A copy of values that may be used again. All copies together are at most as long as the pickle: each of an honest
    /// one's has its own instructions there.
    fn copy_of(&mut self, values: impl Fn(&Self) -> &[Value<'a>]) -> Result<Vec<Value<'a>>, Fault> {
        let copy = values(self).to_vec();
        self.copied += copy.len();
        match self.copied <= self.bytes.len() {
            true => Ok(copy),
            false => Err("it copies its values without end".into()),
        }
    }

    /// Gives the object on top of the stack its attributes.
    fn build(&mut self, state: Value<'a>) -> Result<(), Fault> {
        match self.top()? {
            Value::Object(i) => self.objects[i].state = Some(state),
            // An OrderedDict's own attributes: versions of modules in state dicts.
            Value::Dict(_) => {}
            other => return Err(executes(&format!("{}.__setstate__", self.describe(other)))),
        }
        Ok(())
    }

    fn pair(&self, value: Value<'a>) -> Result<(Value<'a>, Value<'a>), Fault> {
        let items = match value {
            Value::Tuple(i) => &self.tuples[i][..],
            Value::List(i) => &self.lists[i][..],
            _ => &[],
        };
        match items {
            [key, value] => Ok((*key, *value)),
            _ => Err("an entry that is not a pair".into()),
        }
    }

    /// Pushes the storage of this identity: ('storage', class, key, place, count, perhaps a view).
    fn storage(&mut self, identity: Value<'a>) -> Result<(), Fault> {
        let Value::Tuple(parts) = identity else { return Err("a storage without an identity".into()) };
        let parts = &self.tuples[parts][..];
        let [Value::Text("storage"), Value::Name(Name::StorageClass(element)), Value::Text(key), _, count, view @ ..] =
            parts
        else {
            return Err("a storage of unknown kind".into());
        };
        let count = unsigned(*count)?;
        let bytes =
            count.checked_mul(element.map_or(1, Element::size)).ok_or("a storage beyond this machine's memory")?;
        let start = match view {
            [] | [Value::None] => 0,
            [Value::Tuple(view)] => match self.tuples[*view][..] {
                [_, start, _] => unsigned(start)?,
                _ => return Err("a view of something that is not a storage".into()),
            },
            _ => return Err("a storage of unknown kind".into()),
        };
        self.storages.push(Storage { key, element: *element, count, bytes, start });
        self.push(Value::Storage(self.storages.len() - 1))
    }

    fn tensor(
        &mut self,
        storage: Value<'a>,
        element: Option<Element>,
        [offset, shape, strides]: [Value<'a>; 3],
    ) -> Result<Value<'a>, Fault> {
        let Value::Storage(number) = storage else { return Err("a tensor without a storage".into()) };
        let element = element.or(self.storages[number].element).ok_or("a tensor whose storage has no type")?;
        let offset = unsigned(offset)?;
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        let storage = &self.storages[number];
        self.tensors.push(View::new(number, storage, element, offset, shape, strides)?);
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    fn sizes(&mut self, value: Value<'a>) -> Result<Vec<usize>, Fault> {
        match value {
            Value::Tuple(i) => self.copy_of(|machine| &machine.tuples[i])?.into_iter().map(unsigned).collect(),
            _ => Err("a shape that is not a tuple".into()),
        }
    }

    /// A value as messages name it.
    fn describe(&self, value: Value) -> String {
        match value {
            Value::Name(Name::Class(class)) => class.into(),
            Value::Object(i) => self.objects[i].class.into(),
            Value::Name(name) => format!("{name:?}"),
            Value::Text(text) => text.into(),
            other => format!("{other:?}"),
        }
    }
}

fn unsigned(value: Value) -> Result<usize, Fault> {
    match value {
        Value::Int(x) => usize::try_from(x).map_err(|_| format!("the size {x}")),
        _ => Err("a size that is not a number".into()),
    }
}

fn pairs<'a>(items: Vec<Value<'a>>) -> Result<Vec<(Value<'a>, Value<'a>)>, Fault> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a key without a value".into()),
    }
}

/// The fault of a pickle that names something to run.
fn executes(what: &str) -> Fault {
    let shown: String = what.chars().take(200).collect();
    format!(
        "would execute `{shown}` when Python loads it, which files of tensors never need: it is refused, and nothing was run. \
         If you trust it, load it in Python and save its tensors alone: torch.save(model.state_dict(), FILE)"
    )
}
