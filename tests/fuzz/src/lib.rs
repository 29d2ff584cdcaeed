//! Fuzz targets for everything that reads a file of the user's, the command line, or what a guest's
//! drivers say.
//!
//! A target is a plain function of bytes that must return, whatever the bytes are: no panic, no
//! endless loop, no allocation beyond the guest's RAM. `cargo test -p fuzz` runs each over its
//! corpus with seeded mutations; a coverage-guided fuzzer may call the same functions.
//!
//! `FUZZ_RUNS` (default 20000, of drivers 3000) and `FUZZ_SEED` (default 1) set how long and from where. A failure
//! prints the seed that repeats it with `FUZZ_RUNS=1`.

mod mutate;
mod virtio;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hw::core::device_tree;
use hw::core::loader::{Blob, RomSet, elf};
use hw_riscv::boot;
use util::coroutine::AioContext;

pub use mutate::Mutator;

/// RAM of the machine that images are loaded into.
const RAM: std::ops::Range<u64> = 0x8000_0000..0x8010_0000;

/// ELF files, for any machine.
pub fn fuzz_elf(data: &[u8]) {
    let _ = elf::parse(
        data,
        elf::ElfMachine {
            number: 62,
            name: "x86-64",
        },
    );
    if let Ok(image) = elf::parse(data, boot::RISCV) {
        assert!(!image.segments.is_empty());
        assert!(
            image
                .symbols
                .iter()
                .all(|symbol| symbol.name.len() <= 3 * 512)
        );
    }
}

/// Firmware and kernels of any format, up to their place in RAM.
pub fn fuzz_image(data: &[u8]) {
    let blob = Blob::new("-kernel", "fuzz", data.to_vec());
    let mut roms = RomSet::new(RAM);
    if let Ok(kernel) = boot::load_kernel(&blob, RAM.start, &mut roms) {
        assert!(RAM.start <= kernel.start && kernel.end <= RAM.end);
        let _ = boot::load_initrd(&blob, &kernel, &mut roms);
    }
    let _ = boot::load_firmware(&blob, RAM.start, &mut roms);
    for rom in roms.into_roms() {
        assert!(RAM.start <= rom.span().start && rom.span().end <= RAM.end);
    }
}

/// Device trees, read and patched. What was patched must still be a tree.
pub fn fuzz_fdt(data: &[u8]) {
    let tree = device_tree::parse(data);
    let _ = device_tree::property_values(data, "rng-seed");
    let properties = [
        ("bootargs", b"quiet\0".to_vec()),
        ("linux,initrd-end", vec![0; 8]),
    ];
    let patched = device_tree::set_properties(data, "chosen", &properties);
    assert_eq!(
        tree.is_ok(),
        patched.is_ok(),
        "reading and patching disagree"
    );
    if let Ok(patched) = patched {
        let tree = device_tree::parse(&patched).expect("a patched tree is a tree");
        assert_eq!(
            tree.node("chosen").unwrap().property("bootargs"),
            Some(&b"quiet\0"[..])
        );
    }
}

/// Command lines, an argument on each line. A refusal is one sentence.
pub fn fuzz_cmdline(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let args: Vec<String> = text.lines().map(str::to_string).collect();
    if let Err(tinamou::options::Stop::Refuse(sentence)) = tinamou::options::parse(&args) {
        assert!(!sentence.is_empty());
    }
}

/// Runs `target` over the files of `corpus/NAME` and over mutations of them.
pub fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has an empty corpus");
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("the corpus can be read"))
        .collect();
    corpus.iter().for_each(|data| target(data));

    run_seeds(name, 20_000, |mutator| {
        let file = mutator.below(corpus.len());
        target(&mutator.mutate(&corpus[file]));
    });
}

/// Drivers of virtio devices that mean harm.
pub fn run_virtio() {
    let context = AioContext::start("fuzz").expect("a thread can be had");
    let context = Arc::new(context);
    run_seeds("virtio", 3000, |mutator| virtio::attack(mutator, &context));
    context.stop();
}

/// Runs `target` with seed after seed, `default` times unless `FUZZ_RUNS` says otherwise.
fn run_seeds(name: &str, default: u64, mut target: impl FnMut(&mut Mutator)) {
    let (runs, seed) = (number("FUZZ_RUNS", default), number("FUZZ_SEED", 1));
    for seed in seed..seed.saturating_add(runs) {
        let _report = Report { name, seed };
        target(&mut Mutator::new(seed));
    }
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number")),
        Err(_) => default,
    }
}

/// Says how to repeat a run that panicked.
struct Report<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "repeat with: FUZZ_SEED={} FUZZ_RUNS=1, target {}",
                self.seed, self.name
            );
        }
    }
}
