//! What was measured: samples by workload and emulator, and what went wrong.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::figures::Download;
use crate::settings::Settings;
use crate::workloads::{BOTH_BUSY, ONE_BUSY};

/// One measurement.
pub struct Sample {
    pub seconds: f64,
    /// What the guest printed; must be the same on every emulator.
    pub checksum: String,
}

/// Guest instructions of a kernel and the times that they took.
pub struct Counted {
    pub kernel: &'static str,
    pub instructions: u64,
    /// For each emulator.
    pub seconds: Vec<Vec<f64>>,
}

/// Everything that was measured.
pub struct Results {
    baseline: usize,
    samples: BTreeMap<(&'static str, usize), Vec<Sample>>,
    figures: BTreeMap<(&'static str, usize), Vec<f64>>,
    pub counted: Vec<Counted>,
    pub downloads: Vec<Download>,
    pub failures: Vec<String>,
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The geometric mean, the fair one for ratios.
pub fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (logarithms / ratios.len() as f64).exp())
}

impl Results {
    pub fn new(baseline: usize) -> Self {
        let (samples, figures, counted, downloads, failures) = Default::default();
        Self {
            baseline,
            samples,
            figures,
            counted,
            downloads,
            failures,
        }
    }

    pub fn add(&mut self, workload: &'static str, emulator: usize, sample: Sample) {
        self.samples
            .entry((workload, emulator))
            .or_default()
            .push(sample);
    }

    /// A measurement of `figures.rs`.
    pub fn add_figure(&mut self, figure: &'static str, emulator: usize, value: f64) {
        self.figures
            .entry((figure, emulator))
            .or_default()
            .push(value);
    }

    pub fn figure(&self, figure: &'static str, emulator: usize) -> &[f64] {
        self.figures
            .get(&(figure, emulator))
            .map_or(&[], Vec::as_slice)
    }

    /// How many times longer two harts need than one, for twice the work.
    pub fn two_harts(&self, emulator: usize) -> Option<f64> {
        let of = |workload| median(&self.seconds(workload, emulator));
        Some(of(BOTH_BUSY)? / of(ONE_BUSY)?)
    }

    pub fn fail(&mut self, settings: &Settings, emulator: usize, what: &str, why: &impl Display) {
        let failure = format!("{what} on {}: {why}", settings.emulators[emulator].name);
        eprintln!("bench: FAILED {failure}");
        self.failures.push(failure);
    }

    fn samples(&self, workload: &'static str, emulator: usize) -> &[Sample] {
        self.samples
            .get(&(workload, emulator))
            .map_or(&[], Vec::as_slice)
    }

    pub fn seconds(&self, workload: &'static str, emulator: usize) -> Vec<f64> {
        self.samples(workload, emulator)
            .iter()
            .map(|sample| sample.seconds)
            .collect()
    }

    /// The median time as a multiple of the baseline's.
    pub fn ratio(&self, workload: &'static str, emulator: usize) -> Option<f64> {
        let ours = median(&self.seconds(workload, emulator))?;
        Some(ours / median(&self.seconds(workload, self.baseline))?)
    }

    /// The checksum that the baseline printed first, or else the first emulator that has one.
    pub fn checksum(&self, workload: &'static str, emulators: usize) -> Option<&str> {
        let order = std::iter::once(self.baseline).chain(0..emulators);
        let mut all = order.flat_map(|emulator| self.samples(workload, emulator));
        all.next().map(|sample| sample.checksum.as_str())
    }

    /// Makes a failure of each answer that differs from the baseline's.
    pub fn compare_checksums(&mut self, settings: &Settings) {
        let mut wrong = Vec::new();
        for (&(workload, emulator), samples) in &self.samples {
            let Some(right) = self.checksum(workload, settings.emulators.len()) else {
                continue;
            };
            if let Some(sample) = samples.iter().find(|sample| sample.checksum != right) {
                wrong.push((
                    workload,
                    emulator,
                    format!("{:?}, not {right:?}", sample.checksum),
                ));
            }
        }
        for (workload, emulator, why) in wrong {
            self.fail(
                settings,
                emulator,
                workload,
                &format!("wrong answer: {why}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles() {
        let check = |numbers: &[f64], expected| assert_eq!(median(numbers), expected);
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 9.0], Some(3.0));
        assert_eq!(geometric_mean(&[]), None);
        assert!((geometric_mean(&[2.0, 8.0]).unwrap() - 4.0).abs() < 1e-9);
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        for name in ["ours", "qemu"] {
            let (name, command) = (name.to_string(), Vec::new());
            settings
                .emulators
                .push(crate::settings::Emulator { name, command });
        }
        settings
    }

    #[test]
    fn a_wrong_answer_is_a_failure() {
        let mut results = Results::new(1);
        let sample = |seconds, sum: &str| Sample {
            seconds,
            checksum: sum.to_string(),
        };
        results.add("crc", 0, sample(6.0, "1"));
        results.add("crc", 1, sample(2.0, "1"));
        results.add("sort", 0, sample(1.0, "5"));
        results.add("sort", 1, sample(1.0, "7"));
        results.compare_checksums(&settings());
        assert_eq!(results.ratio("crc", 0), Some(3.0));
        assert_eq!(
            results.failures,
            ["sort on ours: wrong answer: \"5\", not \"7\""]
        );
    }
}
