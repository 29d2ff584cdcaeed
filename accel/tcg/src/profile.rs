//! Where the vCPUs are, by sampling: how much of the time in generated code is spent in WebAssembly
//! and how much in the interpreter, and at which guest addresses.
//!
//! Somebody calls [`TcgAccel::sample`](crate::TcgAccel::sample) now and then, at no fixed moment of
//! the guest's. It asks the running vCPUs to leave generated code; the block at which they do is
//! the sample. (A loop in a region looks at requests every couple of thousand rounds, at its head.)

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::stats::Counter;

/// Rows of a report.
const ROWS: usize = 40;

/// Samples at one block.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    interpreted: u64,
    compiled: u64,
    /// Bytes of guest code of the block.
    bytes: u64,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Profile {
    interpreted: Counter,
    compiled: Counter,
    /// By guest address; kept only if somebody wants a report.
    places: Option<Mutex<HashMap<u64, Place>>>,
}

/// The samples so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    pub interpreted: u64,
    pub compiled: u64,
}

impl Profile {
    /// With `places`, samples are kept by guest address.
    pub(crate) fn new(places: bool) -> Self {
        Self {
            places: places.then(Mutex::default),
            ..Self::default()
        }
    }

    /// A vCPU stands in front of a block; `compiled`: it came there in WebAssembly.
    pub(crate) fn note(&self, pc: u64, bytes: u64, compiled: bool) {
        let counter = match compiled {
            true => &self.compiled,
            false => &self.interpreted,
        };
        counter.bump();
        if let Some(places) = &self.places {
            let mut places = places.lock();
            let place = places.entry(pc).or_default();
            place.interpreted += u64::from(!compiled);
            place.compiled += u64::from(compiled);
            place.bytes = bytes;
        }
    }

    pub(crate) fn samples(&self) -> Samples {
        Samples {
            interpreted: self.interpreted.get(),
            compiled: self.compiled.get(),
        }
    }

    /// The hottest places, as text; `symbol` names an address.
    pub(crate) fn report(&self, symbol: &dyn Fn(u64) -> Option<String>) -> String {
        let mut rows: Vec<(u64, Place)> = match &self.places {
            Some(places) => places
                .lock()
                .iter()
                .map(|(pc, place)| (*pc, *place))
                .collect(),
            None => Vec::new(),
        };
        rows.sort_by_key(|(pc, place)| {
            (std::cmp::Reverse(place.interpreted + place.compiled), *pc)
        });
        let Samples {
            interpreted,
            compiled,
        } = self.samples();
        let all = (interpreted + compiled).max(1) as f64;
        let mut text = format!("{interpreted} samples in the interpreter, {compiled} in wasm\n");
        text += "  share  wasm  guest pc\n";
        for (pc, place) in rows.into_iter().take(ROWS) {
            let here = (place.interpreted + place.compiled) as f64;
            let share = 100.0 * here / all;
            let wasm = 100.0 * place.compiled as f64 / here;
            let last = pc.wrapping_add(place.bytes.saturating_sub(1));
            let name = symbol(pc).unwrap_or_default();
            text += &format!("{share:6.2}% {wasm:4.0}%  {pc:#018x}-{last:#018x} {name}\n");
        }
        text
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = (self.interpreted + self.compiled).max(1);
        let share = 100.0 * self.compiled as f64 / all as f64;
        writeln!(f, "share run in wasm   {share:.1}% of {all} samples")
    }
}

impl crate::cpu::VcpuShared {
    /// Asks for a sample, if the vCPU is in generated code.
    pub(crate) fn ask_sample(&self) {
        if self.running.load(Ordering::Relaxed) {
            self.sample.store(true, Ordering::Relaxed);
            self.exit_request.store(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_place_comes_first() {
        let profile = Profile::new(true);
        profile.note(0x1000, 8, false);
        for _ in 0..3 {
            profile.note(0x2000, 16, true);
        }
        let text = profile.report(&|pc| (pc == 0x2000).then(|| "memcpy".into()));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "1 samples in the interpreter, 3 in wasm");
        let expected = " 75.00%  100%  0x0000000000002000-0x000000000000200f memcpy";
        assert_eq!(lines[2], expected);
        assert_eq!(lines.len(), 4);
        let samples = profile.samples().to_string();
        assert_eq!(samples, "share run in wasm   75.0% of 4 samples\n");
    }
}
