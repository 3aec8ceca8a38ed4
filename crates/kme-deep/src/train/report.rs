//! report.html of a run folder: one page that holds all it shows.
//!
//! It is written from config.toml, events.jsonl and samples/ alone, so it can be made of any run at any time. What is broken
//! in them (a line cut short, a picture that cannot be read) is left out.

mod chart;
mod events;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chart::Chart;
use events::{Events, Series};
use kme::Result;
use kme_image::{Channels, Decoder, Resize, evenly};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Sample sheets before the latest that are shown.
const EARLIER: usize = 8;

/// Longer side in pixels of an earlier sheet.
const SMALL: usize = 480;

/// Bytes of pictures on the page at most, as far as they are not those of the latest sheet. What is more is in samples/.
const PICTURES: usize = 8_000_000;

/// Writes RUN/report.html of the run folder `run`.
///
/// # Errors
/// When the file cannot be written. What cannot be read is not shown.
pub fn write(run: &Path) -> Result<()> {
    let page = page(run);
    kme::internal::io::write_atomically(run.join("report.html"), |file| file.write_all(page.as_bytes()))
}

/// The page.
fn page(run: &Path) -> String {
    let settings = Settings::read(run);
    let events = Events::read(&run.join("events.jsonl"));
    // The folder's name, also when the path is `.` or ends in `..`.
    let whole = std::fs::canonicalize(run).unwrap_or_else(|_| run.into());
    let name = whole.file_name().map_or("run".into(), |name| name.to_string_lossy().into_owned());
    let mut body = format!(
        "<header><h1>{}</h1><p class=\"preset\">{}</p></header>\n",
        escaped(&name),
        escaped(&settings.number("preset").unwrap_or_default())
    );
    body += &facts(&settings, &events);
    body += &samples(&run.join("samples"));
    body += &curves(&events, settings.learns_from_points());
    let toml = escaped(settings.text.trim());
    let _ = writeln!(body, "<section><h2>Settings</h2>\n<pre><code>{toml}</code></pre></section>");
    let (title, style) = (escaped(&name), include_str!("report/style.css"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{style}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// config.toml, as text and as far as it can be parsed.
struct Settings {
    text: String,
    table: toml::Table,
}

impl Settings {
    fn read(run: &Path) -> Self {
        let bytes = std::fs::read(run.join("config.toml")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let table = text.parse().unwrap_or_default();
        Self { text, table }
    }

    /// A value at the top of the file, as text.
    fn number(&self, key: &str) -> Option<String> {
        self.table.get(key).map(plain)
    }

    /// A value in a table of the file, as text.
    fn inside(&self, table: &str, key: &str) -> Option<String> {
        self.table.get(table)?.as_table()?.get(key).map(plain)
    }

    /// Whether the data is points; pictures have a size or channels.
    fn learns_from_points(&self) -> bool {
        let data = self.table.get("data").and_then(toml::Value::as_table);
        data.is_some_and(|data| !data.contains_key("size") && !data.contains_key("channels"))
    }

    /// What a comment at the top says: `# name: fact`.
    fn fact(&self, name: &str) -> Option<String> {
        let comments = self.text.lines().map_while(|line| line.strip_prefix("# "));
        comments.filter_map(|line| line.split_once(": ")).find(|(other, _)| *other == name).map(|(_, f)| f.into())
    }
}

/// A value of TOML without the quotes of a string.
fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// The table of what the run is and how far it came.
fn facts(settings: &Settings, events: &Events) -> String {
    let last = events.last_step();
    let mut rows = vec![
        (
            "Best score",
            events.best().map(|(name, value, error, step)| {
                format!("{} {} at step {step}", spoken(name), chart::with_error(value, error))
            }),
        ),
        ("State", last.map(|last| state(last, settings.number("steps")))),
        ("Time left", left(settings, events)),
        ("Written", Some(date(SystemTime::now()))),
        // The speed leaves scores, sheets and checkpoints out, and breaks between runs; so does this.
        (
            "Time in steps",
            settings
                .number("batch")
                .and_then(|b| b.parse().ok())
                .and_then(|batch: f64| events.seconds(batch).map(duration)),
        ),
        ("Seed", settings.number("seed")),
        (
            "Sheets",
            match settings.inside("objective", "kind").as_deref() {
                Some("classifier") => None,
                Some("autoencoder") => Some("held-out pictures above what the autoencoder makes of them".into()),
                _ => {
                    settings.number("seed").map(|seed| format!("of the same latents each time, drawn from seed {seed}"))
                }
            },
        ),
        ("Data", settings.inside("data", "source")),
        ("Pictures", settings.fact("pictures")),
        ("Changed on the way", Some(events.changes().join("; ")).filter(|text| !text.is_empty())),
        ("Data fingerprint", settings.fact("data fingerprint")),
        ("Version", settings.fact("kme").map(|version| format!("kme {version}"))),
    ];
    rows.retain(|(_, value)| value.is_some());
    let mut html = "<dl>\n".to_string();
    for (name, value) in rows {
        let value = escaped(&value.unwrap_or_default());
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    html + "</dl>\n"
}

/// How long the remaining steps take, at the speed of the last ones.
fn left(settings: &Settings, events: &Events) -> Option<String> {
    let number = |key: &str| settings.number(key)?.parse::<f64>().ok();
    let left = number("steps")? - events.last_step()? as f64;
    let speed = events.speed()?;
    (left > 0.0).then(|| format!("about {} in steps", duration(left * number("batch").unwrap_or(1.0) / speed)))
}

/// How far the run has come.
fn state(last: u64, steps: Option<String>) -> String {
    match steps {
        Some(steps) if steps == last.to_string() => format!("finished: {last} of {steps} steps"),
        Some(steps) => format!("not finished: step {last} of {steps}"),
        None => format!("step {last}"),
    }
}

/// A time as day and minute in UTC, by the calendar's cycles of 400 years of 146 097 days, which begin in March.
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Days since 1 March of the year 0.
    let days = seconds / 86_400 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, months of 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{}-{month:02}-{day:02} {hour:02}:{minute:02} UTC", 400 * cycle + year)
}

/// The latest sheet, and earlier ones evenly from all.
fn samples(folder: &Path) -> String {
    let mut sheets: Vec<(u64, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let step = path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok()?;
            Some((step, path))
        })
        .collect();
    sheets.sort();
    let decoder = Decoder::new(Channels::Keep);
    // A damaged sheet is not shown, but the one before it.
    let latest = loop {
        let Some((step, path)) = sheets.pop() else { return String::new() };
        if let (Ok(_), Ok(bytes)) = (decoder.read(&path), std::fs::read(&path)) {
            break (step, bytes);
        }
    };
    let mut html = format!(
        "<section><h2>Samples</h2>\n<figure class=\"latest\">{}<figcaption>step {}</figcaption></figure>\n",
        picture(&latest.1, latest.0),
        latest.0
    );
    let real = folder.join("real.png");
    if let (Ok(_), Ok(bytes)) = (decoder.read(&real), std::fs::read(&real)) {
        let _ = writeln!(
            html,
            "<figure class=\"latest\">{}<figcaption>training data, as the networks see them</figcaption></figure>",
            embedded(&bytes, "training data")
        );
    }
    let chosen: Vec<&(u64, PathBuf)> = evenly(sheets.len(), EARLIER).into_iter().map(|i| &sheets[i]).collect();
    let small = |path: &Path| {
        let sheet = decoder.read(path).ok()?;
        let [_, _, h, w] = sheet.shape();
        let scale = (SMALL as f64 / h.max(w) as f64).min(1.0);
        let side = |side: usize| ((side as f64 * scale).round() as usize).max(1);
        Resize::new(side(h), side(w)).ok()?.bring(sheet).ok()?.to_png(0).ok()
    };
    // From the last on, as long as there is room.
    let mut room = PICTURES.saturating_sub(latest.1.len());
    let mut figures = Vec::new();
    for (step, path) in chosen.into_iter().rev() {
        let Some(bytes) = small(path) else { continue };
        let shown = match room.checked_sub(bytes.len()) {
            Some(rest) => {
                room = rest;
                format!("{}<figcaption>step {step}</figcaption>", picture(&bytes, *step))
            }
            None => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("<figcaption><a href=\"samples/{}\">step {step}</a></figcaption>", escaped(&name))
            }
        };
        figures.push(format!("<figure>{shown}</figure>\n"));
    }
    if !figures.is_empty() {
        html += &format!("<div class=\"earlier\">\n{}</div>\n", figures.into_iter().rev().collect::<String>());
    }
    html + "</section>\n"
}

fn picture(png: &[u8], step: u64) -> String {
    embedded(png, &format!("Samples at step {step}"))
}

fn embedded(png: &[u8], what: &str) -> String {
    format!("<img alt=\"{what}\" src=\"data:image/png;base64,{}\">", STANDARD.encode(png))
}

/// The curves, in groups, all over the same steps.
fn curves(events: &Events, points: bool) -> String {
    let Some(last) = events.last_step() else { return String::new() };
    let mut html = format!("<p class=\"axis\">All curves: horizontally the step, from 0 to {last}.</p>\n");
    html += "<div class=\"groups\">\n";
    for (title, series) in events.groups() {
        // Small groups share a row.
        let n = series.len();
        let _ = write!(html, "<section style=\"--n:{n}\"><h2>{title}</h2>\n<div class=\"curves\">\n");
        for Series { name, score, points: of_curve } in series {
            // The log has one name for what a step takes.
            let name = if points && name == "images_per_second" { "points_per_second" } else { name };
            let name = escaped(&spoken(name));
            let Some(svg) = Chart::of(of_curve, score).svg(&name, last) else { continue };
            let value = of_curve.last().map_or(String::new(), |p| chart::with_error(p.value, p.error));
            let _ = writeln!(html, "<figure><figcaption><b>{name}</b><span>{value}</span></figcaption>{svg}</figure>");
        }
        html += "</div></section>\n";
    }
    html + "</div>\n"
}

/// A name of the log as words.
fn spoken(name: &str) -> String {
    let word = |word: &str| match word {
        "kid" | "fid" => word.to_uppercase(),
        "mmd2" => "MMD²".into(),
        _ => word.into(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// Seconds for people.
fn duration(seconds: f64) -> String {
    let whole = seconds.round().clamp(0.0, 1e15) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// Text as it may stand in HTML, also in an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Nothing else below a space may stand in a page.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_image::Images;

    fn run(config: &str, events: &str, steps: &[u64]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("samples")).unwrap();
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        std::fs::write(folder.path().join("events.jsonl"), events).unwrap();
        for step in steps {
            let sheet = Images::clamped(1, 1, 600, 300, vec![*step as f32 / 100.0; 180_000]).unwrap();
            sheet.write_png(0, &folder.path().join(format!("samples/step-{step:06}.png"))).unwrap();
        }
        folder
    }

    const CONFIG: &str = "# kme: 0.1.0\n# data fingerprint: abc123\n# pictures: 3 pictures, 8x8\n\npreset = \"toy\"\nseed = 7\nsteps = 40\nbatch = 50\n\
        [data]\nsource = \"my <b>pictures</b>\"\n";

    #[test]
    fn a_page_holds_what_the_folder_holds() {
        let mut events = String::new();
        for step in (10..=40).step_by(10) {
            events +=
                &format!("{{\"step\":{step},\"event\":\"step\",\"loss\":{},\"images_per_second\":100}}\n", 50 - step);
            let kid = if step == 20 { 0.25 } else { 0.5 };
            events += &format!("{{\"step\":{step},\"event\":\"score\",\"kid\":{kid},\"kid_standard_error\":0.01}}\n");
        }
        let steps: Vec<u64> = (0..=20).map(|i| 2 * i).collect();
        let folder = run(CONFIG, &events, &steps);
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        for part in [
            "KID 0.250 ± 0.010 at step 20",
            "finished: 40 of 40 steps",
            " UTC</dd>",
            "points per second</title>",
            "horizontally the step, from 0 to 40",
            "abc123",
            "kme 0.1.0",
            "toy",
            "my &lt;b&gt;pictures&lt;/b&gt;",
            "Learning",
            "20.0 s",
            "drawn from seed 7",
            "3 pictures, 8x8",
        ] {
            assert_eq!(page.contains(part), part != "Learning", "{part}");
        }
        // The latest sheet whole, eight earlier ones evenly; nothing from elsewhere and no script.
        let shown: Vec<_> = page.match_indices("<figcaption>step ").map(|(i, _)| &page[i + 17..i + 19]).collect();
        assert_eq!(shown, ["40", "0<", "4<", "10", "14", "20", "24", "30", "34"]);
        let whole = STANDARD.encode(std::fs::read(folder.path().join("samples/step-000040.png")).unwrap());
        assert!(page.contains(&whole));
        assert!(!page.contains("<script") && !page.contains("href=") && !page.contains("url("));
        assert!(page.matches("src=").count() == page.matches("src=\"data:image/png;base64,").count());
        assert_eq!(page.matches("<svg").count(), 3);
    }

    /// Whatever stands in the files: a page, nothing that a browser would run, and no line that is not an event.
    #[test]
    fn hostile_and_broken_files_are_shown_as_text_or_left_out() {
        let evil = "</code></pre><script>alert(1)</script>";
        let config = format!("# kme: {evil}\nseed = \"{evil}\"\nbatch = \"{evil}\"\n");
        let events = format!(
            "{{\"step\":1,\"event\":\"step\",\"{0}\":1}}\n{{\"step\":2,\"event\":\"step\",\"{0}\":2}}\nnot json\n[1]\n\
             {{\"step\":-3,\"event\":\"step\",\"loss\":1}}\n{{\"step\":3,\"event\":[],\"loss\":1}}\n\
             {{\"step\":4,\"event\":\"step\",\"loss\":1e999}}\n{{\"step\":5,\"event\":\"step\",\"loss\":null}}\n\
             {{\"step\":18446744073709551615,\"event\":\"score\",\"kid\":1e308,\"kid_standard_error\":1e308}}\n\
             {{\"step\":6,\"event\":\"score\",\"kid\":-1e308,\"kid_standard_error\":-1}}\n{{\"step\":7,\"ev",
            evil.replace('/', "\\/")
        );
        let folder = run(&config, &events, &[3]);
        std::fs::write(folder.path().join("samples/step-000009.png"), "no picture").unwrap();
        std::fs::write(folder.path().join("samples/step-x.png"), "no picture").unwrap();
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        assert!(page.contains("step 3</figcaption>") && !page.contains("step 9<"));
        assert!(!page.contains("NaN") && !page.contains("inf\""));
        // Bytes that are no text, and an empty folder.
        std::fs::write(folder.path().join("events.jsonl"), [0xff, 0xfe, b'\n']).unwrap();
        std::fs::write(folder.path().join("config.toml"), [0xff, 0x00, b'\n']).unwrap();
        write(folder.path()).unwrap();
        write(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[test]
    fn long_runs_make_small_pages() {
        let line = |i: u64| {
            let x = (i as f64 * 0.37).sin();
            format!("{{\"step\":{i},\"event\":\"step\",\"a\":{x},\"b\":{},\"images_per_second\":{}}}\n", x * x, 9.0 + x)
        };
        let events: String = (1..=20_000).map(line).collect();
        let folder = run(CONFIG, &events, &[]);
        write(folder.path()).unwrap();
        let size = std::fs::metadata(folder.path().join("report.html")).unwrap().len();
        assert!(size < 200_000 && events.len() > 1_000_000, "{size} bytes of {}", events.len());
    }

    #[test]
    fn sheets_are_called_what_they_are() {
        for (kind, part) in [
            ("mmd", Some("of the same latents each time, drawn from seed 7")),
            ("autoencoder", Some("held-out pictures above what the autoencoder makes of them")),
            ("classifier", None),
        ] {
            let folder = run(&format!("{CONFIG}[objective]\nkind = \"{kind}\"\n"), "", &[]);
            write(folder.path()).unwrap();
            let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
            assert_eq!(page.contains("<dt>Sheets</dt>"), part.is_some(), "{kind}");
            assert!(part.is_none_or(|part| page.contains(part)), "{kind}");
        }
    }

    #[test]
    fn what_is_left_and_what_was_changed_is_told() {
        let mut events: String = (1..=20)
            .map(|step| format!("{{\"step\":{step},\"event\":\"step\",\"loss\":1,\"images_per_second\":10}}\n"))
            .collect();
        events += "{\"step\":9,\"event\":\"changed\",\"steps\":[\"20\",\"40\"],\"data\":\"1 removed: <a>\"}\n";
        let folder = run(CONFIG, &events, &[]);
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        // 20 more steps of 50 pictures, 10 a second.
        assert!(page.contains("about 1 min 40 s in steps"), "{page}");
        assert!(page.contains("step 9: data: 1 removed: &lt;a&gt;, steps: 20 → 40"), "{page}");
        assert!(!page.contains("training data"));
        let sheet = Images::clamped(1, 1, 8, 8, vec![0.5; 64]).unwrap();
        sheet.write_png(0, &folder.path().join("samples/step-000020.png")).unwrap();
        sheet.write_png(0, &folder.path().join("samples/real.png")).unwrap();
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(page.contains("training data, as the networks see them") && page.matches("<img").count() == 2);
    }

    #[test]
    fn states_and_dates_are_readable() {
        assert_eq!(state(40, Some("50".into())), "not finished: step 40 of 50");
        let days = [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_735_689_540, "2024-12-31 23:59 UTC"),
            (1_772_323_200, "2026-03-01 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ];
        for (seconds, text) in days {
            assert_eq!(date(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)), text);
        }
    }

    /// A page that is too large to be sent is of no use: what is beside it is linked.
    #[test]
    fn the_latest_sheet_is_whole_and_earlier_ones_as_far_as_there_is_room() {
        let folder = run(CONFIG, "", &[1, 2]);
        let mut noise = 1_u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / (1 << 24) as f32
        };
        let large = Images::clamped(1, 3, 1700, 1700, (0..3 * 1700 * 1700).map(|_| next()).collect()).unwrap();
        large.write_png(0, &folder.path().join("samples/step-000003.png")).unwrap();
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert_eq!(page.matches("<img").count(), 1);
        assert!(page.contains("<a href=\"samples/step-000001.png\">step 1</a>"));
    }

    #[test]
    fn durations_are_readable() {
        let expected = [(3.25, "3.2 s"), (61.0, "1 min 1 s"), (7384.0, "2 h 3 min")];
        for (seconds, text) in expected {
            assert_eq!(duration(seconds), text);
        }
    }
}
