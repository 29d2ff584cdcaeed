//! The results as Markdown for people and as JSON for programs.

use std::fmt::Write;

use crate::figures::{Download, FIGURES};
use crate::json::Json;
use crate::machine::Machine;
use crate::results::{Counted, Results, geometric_mean, median};
use crate::settings::Settings;
use crate::workloads::Workload;

/// `--record` replaces what is between these lines of a document.
const RECORD_BEGIN: &str = "<!-- begin record -->";
const RECORD_END: &str = "<!-- end record -->";

fn cell(number: Option<f64>, unit: &str) -> String {
    number.map_or("-".to_string(), |number| {
        let decimals = if number < 9.95 {
            2
        } else {
            usize::from(number < 99.5)
        };
        format!("{number:.decimals$}{unit}")
    })
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!(
        "| {} |\n",
        cells.into_iter().collect::<Vec<_>>().join(" | ")
    )
}

fn others(settings: &Settings) -> impl Iterator<Item = usize> + Clone {
    let baseline = settings.baseline;
    (0..settings.emulators.len()).filter(move |index| *index != baseline)
}

/// A head of `first` and then two columns for each emulator but the baseline.
fn head(settings: &Settings, first: &[&str], pair: impl Fn(&str, &str) -> [String; 2]) -> String {
    let baseline = &settings.emulators[settings.baseline].name;
    let mut cells: Vec<String> = first.iter().map(|text| text.to_string()).collect();
    cells
        .extend(others(settings).flat_map(|index| pair(&settings.emulators[index].name, baseline)));
    let rule = format!("|{}\n", "---|".repeat(cells.len()));
    row(cells) + &rule
}

fn workload_row(settings: &Settings, results: &Results, workload: &Workload) -> String {
    let seconds = |index| cell(median(&results.seconds(workload.name, index)), "");
    let pair = |index| {
        [
            seconds(index),
            cell(results.ratio(workload.name, index), "x"),
        ]
    };
    let first = [
        workload.group.to_string(),
        workload.name.to_string(),
        seconds(settings.baseline),
    ];
    row(first.into_iter().chain(others(settings).flat_map(pair)))
}

fn mean_row(settings: &Settings, results: &Results, group: &str) -> String {
    let in_group = || {
        settings
            .workloads
            .iter()
            .filter(|workload| workload.group == group)
    };
    let mean = |index| {
        let ratios: Vec<f64> = in_group()
            .filter_map(|w| results.ratio(w.name, index))
            .collect();
        // A mean of fewer than all would not be comparable.
        geometric_mean(&ratios).filter(|_| ratios.len() == in_group().count())
    };
    let pair = |index| [String::new(), format!("**{}**", cell(mean(index), "x"))];
    let first = [
        format!("**{group}**"),
        "**geometric mean**".to_string(),
        String::new(),
    ];
    row(first.into_iter().chain(others(settings).flat_map(pair)))
}

fn workload_table(settings: &Settings, results: &Results) -> String {
    let baseline = &settings.emulators[settings.baseline].name;
    let first = ["", "workload", &format!("{baseline}, s")];
    let mut text = head(settings, &first, |name, baseline| {
        [format!("{name}, s"), format!("{name} / {baseline}")]
    });
    let mut groups: Vec<&str> = settings.workloads.iter().map(|w| w.group).collect();
    groups.dedup();
    for group in groups {
        let members: Vec<_> = settings
            .workloads
            .iter()
            .filter(|w| w.group == group)
            .collect();
        text.extend(
            members
                .iter()
                .map(|workload| workload_row(settings, results, workload)),
        );
        if members.len() > 1 {
            text += &mean_row(settings, results, group);
        }
    }
    text
}

/// Million guest instructions per second of all `kernels` together.
fn mips(kernels: &[Counted], emulator: usize) -> Option<f64> {
    let instructions: u64 = kernels.iter().map(|kernel| kernel.instructions).sum();
    let seconds: Option<f64> = kernels
        .iter()
        .map(|kernel| median(&kernel.seconds[emulator]))
        .sum();
    seconds
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| instructions as f64 / seconds / 1e6)
}

fn mips_row(settings: &Settings, name: &str, kernels: &[Counted]) -> String {
    let instructions: u64 = kernels.iter().map(|kernel| kernel.instructions).sum();
    let baseline = mips(kernels, settings.baseline);
    let first = [
        name.to_string(),
        instructions.to_string(),
        cell(baseline, ""),
    ];
    let pair = |index| {
        let ours = mips(kernels, index);
        [
            cell(ours, ""),
            cell(ours.zip(baseline).map(|(ours, right)| right / ours), "x"),
        ]
    };
    row(first.into_iter().chain(others(settings).flat_map(pair)))
}

fn mips_table(settings: &Settings, results: &Results) -> String {
    let baseline = &settings.emulators[settings.baseline].name;
    let first = [
        "bare-metal kernel",
        "instructions",
        &format!("{baseline}, MIPS"),
    ];
    let mut text = head(settings, &first, |name, baseline| {
        [
            format!("{name}, MIPS"),
            format!("time of {name} / {baseline}"),
        ]
    });
    for kernel in &results.counted {
        text += &mips_row(settings, kernel.kernel, std::slice::from_ref(kernel));
    }
    text + &mips_row(settings, "**all**", &results.counted)
}

fn figure_row(settings: &Settings, name: &str, of: impl Fn(usize) -> Option<f64>) -> String {
    let baseline = of(settings.baseline);
    let pair = |index| {
        let ours = of(index);
        let ratio = ours.zip(baseline).map(|(ours, right)| ours / right);
        [cell(ours, ""), cell(ratio, "x")]
    };
    let first = [name.to_string(), cell(baseline, "")];
    row(first.into_iter().chain(others(settings).flat_map(pair)))
}

/// The figures that were taken, and what a second busy hart costs.
fn figure_table(settings: &Settings, results: &Results) -> String {
    let any = |of: &dyn Fn(usize) -> Option<f64>| {
        (0..settings.emulators.len()).any(|index| of(index).is_some())
    };
    let mut rows = String::new();
    for figure in FIGURES {
        let of = |index| median(results.figure(figure, index));
        if any(&of) {
            rows += &figure_row(settings, figure, of);
        }
    }
    let two = |index| results.two_harts(index);
    if any(&two) {
        rows += &figure_row(settings, "time of two busy harts / one", two);
    }
    if rows.is_empty() {
        return rows;
    }
    let baseline = &settings.emulators[settings.baseline].name;
    let head = head(settings, &["", baseline], |name, baseline| {
        [name.to_string(), format!("{name} / {baseline}")]
    });
    format!("\nThe process, and its harts:\n\n{head}{rows}")
}

fn download_table(downloads: &[Download]) -> String {
    if downloads.is_empty() {
        return String::new();
    }
    let cells = |name: &str, bytes: [u64; 3]| {
        row([name.to_string()]
            .into_iter()
            .chain(bytes.map(|b| b.to_string())))
    };
    let mut text = String::from("\nThe download, in bytes:\n\n");
    text += "| file | raw | gzip -9 | brotli -11 |\n|---|---|---|---|\n";
    for Download { file, bytes } in downloads {
        text += &cells(file, *bytes);
    }
    text
}

fn circumstances(settings: &Settings, machine: &Machine) -> String {
    let mut text = String::new();
    for (name, value) in machine.facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for (emulator, version) in settings.emulators.iter().zip(&machine.versions) {
        let _ = writeln!(text, "- emulator `{}`: {version}", emulator.name);
    }
    let scale = if settings.quick {
        "quick (a tenth of the work)"
    } else {
        "full"
    };
    let _ = writeln!(
        text,
        "- scale: {scale}; median of {} runs, in turn",
        settings.runs
    );
    text
}

/// All tables.
pub fn markdown(settings: &Settings, machine: &Machine, results: &Results) -> String {
    let mut text = circumstances(settings, machine) + "\n" + &workload_table(settings, results);
    text += &figure_table(settings, results);
    text += &download_table(&results.downloads);
    if !results.counted.is_empty() {
        text += "\nMillion guest instructions per second (MIPS), counted under `-icount`:\n\n";
        text += &mips_table(settings, results);
    }
    if !results.failures.is_empty() {
        let _ = write!(
            text,
            "\n{} failures; see what the driver said.\n",
            results.failures.len()
        );
    }
    text
}

fn numbers(seconds: &[f64]) -> Json {
    Json::List(seconds.iter().map(|number| Json::Number(*number)).collect())
}

fn workload_json(settings: &Settings, results: &Results, workload: &Workload) -> Json {
    let of = |index: usize| {
        let seconds = results.seconds(workload.name, index);
        let number = |number: Option<f64>| Json::Number(number.unwrap_or(f64::NAN));
        let fields = [
            ("seconds", numbers(&seconds)),
            ("median", number(median(&seconds))),
            ("ratio", number(results.ratio(workload.name, index))),
        ];
        (settings.emulators[index].name.clone(), Json::map(fields))
    };
    let checksum = results
        .checksum(workload.name, settings.emulators.len())
        .unwrap_or("");
    Json::map([
        ("group", Json::text(workload.group)),
        ("name", Json::text(workload.name)),
        ("rounds", Json::Number(workload.rounds as f64)),
        ("checksum", Json::text(checksum)),
        (
            "emulators",
            Json::map((0..settings.emulators.len()).map(of)),
        ),
    ])
}

fn counted_json(settings: &Settings, kernel: &Counted) -> Json {
    let of = |index: usize| {
        let mips = mips(std::slice::from_ref(kernel), index).unwrap_or(f64::NAN);
        let fields = [
            ("seconds", numbers(&kernel.seconds[index])),
            ("mips", Json::Number(mips)),
        ];
        (settings.emulators[index].name.clone(), Json::map(fields))
    };
    Json::map([
        ("name", Json::text(kernel.kernel)),
        ("instructions", Json::Number(kernel.instructions as f64)),
        (
            "emulators",
            Json::map((0..settings.emulators.len()).map(of)),
        ),
    ])
}

fn figure_json(settings: &Settings, results: &Results, figure: &'static str) -> Json {
    let of = |index: usize| {
        let name = settings.emulators[index].name.as_str();
        (name, numbers(results.figure(figure, index)))
    };
    Json::map([
        ("name", Json::text(figure)),
        (
            "emulators",
            Json::map((0..settings.emulators.len()).map(of)),
        ),
    ])
}

fn download_json(download: &Download) -> Json {
    let [raw, gzip, brotli] = download.bytes.map(|bytes| Json::Number(bytes as f64));
    let file = Json::text(download.file.as_str());
    Json::map([
        ("file", file),
        ("raw", raw),
        ("gzip", gzip),
        ("brotli", brotli),
    ])
}

/// All that was measured, each sample of it.
pub fn json(settings: &Settings, machine: &Machine, results: &Results) -> Json {
    let facts = machine
        .facts
        .iter()
        .map(|(name, value)| (*name, Json::text(value.as_str())));
    let emulators = settings
        .emulators
        .iter()
        .zip(&machine.versions)
        .map(|(emulator, version)| {
            let (name, command) = (emulator.name.as_str(), emulator.command.join(" "));
            let version = Json::text(version.as_str());
            Json::map([
                ("name", Json::text(name)),
                ("command", Json::text(command)),
                ("version", version),
            ])
        });
    let workloads = settings
        .workloads
        .iter()
        .map(|w| workload_json(settings, results, w));
    let counted = results
        .counted
        .iter()
        .map(|kernel| counted_json(settings, kernel));
    let all = |emulator| Json::Number(mips(&results.counted, emulator).unwrap_or(f64::NAN));
    let names = settings
        .emulators
        .iter()
        .map(|emulator| emulator.name.as_str());
    Json::map([
        ("machine", Json::map(facts)),
        (
            "scale",
            Json::text(if settings.quick { "quick" } else { "full" }),
        ),
        ("runs", Json::Number(settings.runs as f64)),
        (
            "baseline",
            Json::text(settings.emulators[settings.baseline].name.as_str()),
        ),
        ("emulators", Json::List(emulators.collect())),
        ("workloads", Json::List(workloads.collect())),
        ("counted", Json::List(counted.collect())),
        (
            "figures",
            Json::List(FIGURES.map(|f| figure_json(settings, results, f)).into()),
        ),
        (
            "downloads",
            Json::List(results.downloads.iter().map(download_json).collect()),
        ),
        (
            "mips",
            Json::map(names.enumerate().map(|(index, name)| (name, all(index)))),
        ),
        (
            "failures",
            Json::List(
                results
                    .failures
                    .iter()
                    .map(|f| Json::text(f.as_str()))
                    .collect(),
            ),
        ),
    ])
}

fn with_record(document: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(RECORD_BEGIN)?;
    let (_, after) = rest.split_once(RECORD_END)?;
    Some(format!("{before}{RECORD_BEGIN}\n{text}{RECORD_END}{after}"))
}

/// Puts `text` into the document at `path`, in the place of the record of before.
pub fn record(path: &str, text: &str) -> std::io::Result<()> {
    let document = std::fs::read_to_string(path)?;
    let missing = || std::io::Error::other(format!("no {RECORD_BEGIN} and {RECORD_END}"));
    std::fs::write(path, with_record(&document, text).ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let check = |number, expected| assert_eq!(cell(number, "x"), expected);
        check(None, "-");
        check(Some(0.123), "0.12x");
        check(Some(9.99), "10.0x");
        check(Some(12.34), "12.3x");
        check(Some(150.6), "151x");
    }

    #[test]
    fn records() {
        let document = "a\n<!-- begin record -->\nold\n<!-- end record -->\nb\n";
        let expected = "a\n<!-- begin record -->\nnew\n<!-- end record -->\nb\n";
        assert_eq!(with_record(document, "new\n").as_deref(), Some(expected));
        assert_eq!(with_record("nothing", "new\n"), None);
    }
}
