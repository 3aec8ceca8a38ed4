//! Event files for TensorBoard: RUN/tensorboard/events.out.tfevents.*, with the numbers of events.jsonl and the sheets of
//! samples/.
//!
//! A file is a sequence of records: the length of the data (u64), its masked CRC-32C, the data, its masked CRC-32C, all
//! little-endian; a CRC is masked by turning it right by 15 bits and adding 0xa282ead8. The data is a protocol buffer
//! `tensorflow.Event`. References: `tensorflow/core/lib/io/record_writer.cc`, `core/util/event.proto` and
//! `core/framework/summary.proto` of TensorFlow. By hand, since no crate that writes
//! these files is maintained, and the three messages need no compiler of protocol buffers.
//!
//! A writer begins with all that the run folder holds and then follows it. So a run that is continued has one file with every
//! step once, like its events.jsonl.

use super::line::Line;
use kme::{Action, Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The ending of files that this program wrote and may remove.
const ENDING: &str = ".kme";

/// An event file that is being written.
pub(super) struct Writer {
    run: PathBuf,
    path: PathBuf,
    file: File,
    /// Bytes of events.jsonl that are in the file.
    taken: u64,
    /// Steps of the sheets that are in the file.
    sheets: BTreeMap<u64, f64>,
}

impl Writer {
    /// A new file with what the run folder holds, in the place of those before it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(run: &Path) -> Result<Self> {
        let folder = run.join("tensorboard");
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, Action::Write, e))?;
        for entry in fs::read_dir(&folder).map_err(|e| kme::internal::io::read_error(&folder, e))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("events.out.tfevents.") && name.ends_with(ENDING) {
                fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), Action::Remove, e))?;
            }
        }
        let path = folder.join(format!("events.out.tfevents.{:010.0}{ENDING}", now()));
        let file = File::create(&path).map_err(|e| Error::io(&path, Action::Write, e))?;
        let mut writer = Self { run: run.into(), path, file, taken: 0, sheets: BTreeMap::new() };
        let mut events = record(&event(now(), 0, |out| bytes(out, 3, b"brain.Event:2")));
        // A session begins: a TensorBoard that still holds an earlier file forgets what it has from step 0 on.
        events.extend(record(&event(now(), 0, |out| message(out, 7, |log| varint_field(log, 1, 1)))));
        writer.append(&events)?;
        writer.follow()?;
        Ok(writer)
    }

    /// Takes up what the run folder holds beyond what was taken before.
    ///
    /// # Errors
    /// When the file cannot be written. Lines that are not events, and sheets that are not PNG files, are left out.
    pub(super) fn follow(&mut self) -> Result<()> {
        let mut out = Vec::new();
        for (step, path) in new_sheets(&self.run.join("samples"), &self.sheets) {
            // The time at which a sheet was written is all that tells when its step was.
            let time = fs::metadata(&path).and_then(|m| m.modified()).map_or_else(|_| now(), seconds);
            self.sheets.insert(step, time);
            if let Ok(png) = fs::read(&path)
                && let Some(image) = image(&png)
            {
                out.extend(record(&event(time, step, |out| {
                    message(out, 5, |summary| {
                        message(summary, 1, |value| {
                            bytes(value, 1, b"samples");
                            bytes(value, 4, &image);
                        });
                    });
                })));
            }
        }
        let lines = self.new_lines()?;
        for line in lines.split(|byte| *byte == b'\n') {
            let Some(Line { step, event: kind, numbers }) = Line::parse(line) else { continue };
            let time = self.sheets.range(step..).next().map_or_else(now, |(_, time)| *time);
            out.extend(record(&event(time, step, |out| {
                message(out, 5, |summary| {
                    for (name, number) in &numbers {
                        message(summary, 1, |value| {
                            bytes(value, 1, format!("{kind}/{name}").as_bytes());
                            value.push(2 << 3 | 5);
                            value.extend((*number as f32).to_le_bytes());
                        });
                    }
                });
            })));
        }
        self.append(&out)
    }

    fn append(&mut self, records: &[u8]) -> Result<()> {
        self.file.write_all(records).map_err(|e| Error::io(&self.path, Action::Write, e))
    }

    /// The whole lines of events.jsonl that are not taken yet.
    fn new_lines(&mut self) -> Result<Vec<u8>> {
        let path = self.run.join("events.jsonl");
        let mut lines = Vec::new();
        let mut read = || -> std::io::Result<()> {
            let mut file = match File::open(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                file => file?,
            };
            file.seek(SeekFrom::Start(self.taken))?;
            file.read_to_end(&mut lines)?;
            Ok(())
        };
        read().map_err(|e| kme::internal::io::read_error(&path, e))?;
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        lines.truncate(whole);
        self.taken += whole as u64;
        Ok(lines)
    }
}

/// Sheets step-NNNNNN.png that are not among those taken, by step.
fn new_sheets(folder: &Path, taken: &BTreeMap<u64, f64>) -> BTreeMap<u64, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sheet = |path: PathBuf| {
        let step = path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok()?;
        Some((step, path))
    };
    entries.filter_map(|entry| sheet(entry.path())).filter(|(step, _)| !taken.contains_key(step)).collect()
}

/// The message `Summary.Image` of a PNG file.
fn image(png: &[u8]) -> Option<Vec<u8>> {
    if !png.starts_with(b"\x89PNG\r\n\x1a\n") || png.len() < 26 {
        return None;
    }
    let side = |at: usize| png[at..at + 4].iter().fold(0, |side, byte| side << 8 | u64::from(*byte));
    let channels = match png[25] {
        0 => 1,
        2 | 3 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let mut out = Vec::with_capacity(png.len() + 32);
    varint_field(&mut out, 1, side(20));
    varint_field(&mut out, 2, side(16));
    varint_field(&mut out, 3, channels);
    bytes(&mut out, 4, png);
    Some(out)
}

fn now() -> f64 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The message `Event`.
fn event(wall_time: f64, step: u64, what: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(wall_time.to_le_bytes());
    varint_field(&mut out, 2, step);
    what(&mut out);
    out
}

/// The data as a record of the file.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A number: seven bits a byte, the lowest first, the highest bit set on all but the last.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn message(out: &mut Vec<u8>, field: u8, what: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    what(&mut inner);
    bytes(out, field, &inner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_image::Images;

    /// CRC-32C by its definition: bit by bit, polynomial 0x1edc6f41 reflected.
    fn plain_crc(data: &[u8]) -> u32 {
        !data.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    fn unmasked(stored: &[u8]) -> u32 {
        u32::from_le_bytes(stored.try_into().unwrap()).wrapping_sub(0xa282_ead8).rotate_left(15)
    }

    /// A field's value.
    #[derive(Debug, PartialEq)]
    enum Field {
        Number(u64),
        Fixed(Vec<u8>),
        Bytes(Vec<u8>),
    }

    /// What an event shows.
    #[derive(Clone, Debug, PartialEq)]
    enum Shown {
        Number(f32),
        Image(Vec<u8>),
    }

    fn fields(mut data: &[u8]) -> Vec<(u64, Field)> {
        fn number(data: &mut &[u8]) -> u64 {
            let mut value = 0;
            for i in 0.. {
                let (byte, rest) = data.split_first().unwrap();
                *data = rest;
                value |= u64::from(byte & 0x7f) << (7 * i);
                if byte < &0x80 {
                    break;
                }
            }
            value
        }
        let mut all = Vec::new();
        while !data.is_empty() {
            let key = number(&mut data);
            let size = match key & 7 {
                0 => {
                    all.push((key >> 3, Field::Number(number(&mut data))));
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => number(&mut data) as usize,
                other => panic!("wire type {other}"),
            };
            let (value, rest) = data.split_at(size);
            data = rest;
            let value = value.to_vec();
            all.push((key >> 3, if key & 7 == 2 { Field::Bytes(value) } else { Field::Fixed(value) }));
        }
        all
    }

    /// The events of the only file: (step, tag, number or image).
    fn read(run: &Path) -> Vec<(u64, String, Shown)> {
        let files: Vec<_> = fs::read_dir(run.join("tensorboard")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(files[0].file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."));
        let file = fs::read(&files[0]).unwrap();
        let (mut rest, mut found, mut first) = (&file[..], Vec::new(), true);
        while !rest.is_empty() {
            let (length, after) = rest.split_at(8);
            assert_eq!(unmasked(&after[..4]), plain_crc(length));
            let (data, after) = after[4..].split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
            assert_eq!(unmasked(&after[..4]), plain_crc(data));
            rest = &after[4..];
            let mut step = 0;
            for (field, value) in fields(data) {
                match (field, value) {
                    (1, Field::Fixed(time)) => {
                        assert!(f64::from_le_bytes(time.try_into().unwrap()) > 1.6e9);
                    }
                    (2, Field::Number(number)) => step = number,
                    (3, Field::Bytes(version)) => assert!(first && version == b"brain.Event:2"),
                    (7, Field::Bytes(log)) => assert_eq!(fields(&log), [(1, Field::Number(1))]),
                    (5, Field::Bytes(summary)) => {
                        for (field, value) in fields(&summary) {
                            let (1, Field::Bytes(value)) = (field, value) else { panic!("{field}") };
                            let [(1, Field::Bytes(tag)), (field, value)] = &fields(&value)[..] else { panic!() };
                            let value = match (field, value) {
                                (2, Field::Fixed(x)) => Shown::Number(f32::from_le_bytes(x[..].try_into().unwrap())),
                                (4, Field::Bytes(image)) => Shown::Image(image.clone()),
                                other => panic!("{other:?}"),
                            };
                            found.push((step, String::from_utf8(tag.clone()).unwrap(), value));
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            first = false;
        }
        found
    }

    fn add(run: &Path, line: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(run.join("events.jsonl")).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn checksums_are_the_known_ones() {
        assert_eq!((plain_crc(b"123456789"), crc32c::crc32c(b"123456789")), (0xe306_9283, 0xe306_9283));
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(plain_crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    /// Every number once, also after a run was cut off and continued.
    #[test]
    fn a_file_holds_the_numbers_and_sheets_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        fs::create_dir(run.join("samples")).unwrap();
        let mut writer = Writer::open(run).unwrap();
        assert_eq!(read(run), []);
        add(
            run,
            "{\"step\":10,\"event\":\"step\",\"loss\":0.5,\"learning_rate\":1e-3}\nnot an event\n{\"step\":300,\"ev",
        );
        writer.follow().unwrap();
        let number = |step, tag: &str, value: f32| (step, tag.to_string(), Shown::Number(value));
        let first = [number(10, "step/learning_rate", 1e-3), number(10, "step/loss", 0.5)];
        assert_eq!(read(run), first);
        // The line is completed; the sheet has 3 channels.
        add(run, "ent\":\"score\",\"kid\":-2}\n");
        let sheet = Images::clamped(1, 3, 5, 7, vec![0.5; 105]).unwrap();
        sheet.write_png(0, &run.join("samples/step-000300.png")).unwrap();
        fs::write(run.join("samples/step-000400.png"), "no picture").unwrap();
        writer.follow().unwrap();
        writer.follow().unwrap();
        let all = read(run);
        assert_eq!(all[..2], first);
        assert_eq!(all[3..], [number(300, "score/kid", -2.0)]);
        let (300, tag, Shown::Image(image)) = &all[2] else { panic!("{all:?}") };
        assert_eq!(tag, "samples");
        let png = fs::read(run.join("samples/step-000300.png")).unwrap();
        let expected = [Field::Number(5), Field::Number(7), Field::Number(3), Field::Bytes(png)];
        assert_eq!(fields(image), (1..).zip(expected).collect::<Vec<_>>());
        // Continued: the same from a new file, in the place of the old one.
        drop(writer);
        fs::write(run.join("tensorboard/notes.txt"), "mine").unwrap();
        Writer::open(run).unwrap().follow().unwrap();
        assert!(run.join("tensorboard/notes.txt").exists());
        fs::remove_file(run.join("tensorboard/notes.txt")).unwrap();
        let mut again = read(run);
        again.sort_by_key(|(step, tag, _)| (*step, tag != "samples"));
        assert_eq!(again, all);
    }
}
