//! Images of `qemu-img` read by us, and ours by `qemu-img`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::model::Model;
use super::*;

/// A folder that is gone afterwards.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tinamou-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn at(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn has_qemu_img() -> bool {
    let there = Command::new("qemu-img").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: there is no qemu-img");
    }
    there
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

pub fn qemu_img(arguments: &[&str]) {
    let output = run("qemu-img", arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "qemu-img {arguments:?}: {text} {said}"
    );
}

fn load(path: &str) -> Memory {
    Memory::of(std::fs::read(path).expect("a file"))
}

/// `qemu-img` finds nothing wrong in the image, and sees the expected bytes.
fn assert_qemu_agrees(path: &str, expected: &[u8], folder: &Folder) {
    qemu_img(&["check", "-f", "qcow2", path]);
    let raw = folder.at("expected.raw");
    std::fs::write(&raw, expected).expect("a file");
    qemu_img(&["compare", "-f", "qcow2", "-F", "raw", path, &raw]);
}

/// Contents with data, zeros and text in it.
fn mixed(bytes: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed);
    let mut all = vec![0; bytes];
    for _ in 0..40 {
        let (offset, count) = rng.range(bytes as u64, 64 << 10);
        let data = match rng.below(2) {
            0 => rng.data(count),
            _ => b"compressible "
                .iter()
                .copied()
                .cycle()
                .take(count as usize)
                .collect(),
        };
        all[offset as usize..(offset + count) as usize].copy_from_slice(&data);
    }
    all
}

/// Reads an image of `qemu-img`, then writes to it.
fn check_image(path: &str, backing: Option<Memory>, expected: Vec<u8>, folder: &Folder) {
    let storage = load(path);
    let image = open(storage.clone(), backing.clone(), true).expect(path);
    assert_eq!(image.len(), expected.len() as u64);
    assert!(contents(&image) == expected, "{path}");
    assert_sound(&image, false);
    let header = read_header(&storage).expect(path);
    let mut model = Model {
        image: open(storage.clone(), backing.clone(), false).expect(path),
        storage,
        backing,
        expected,
        cluster: 1 << header.cluster_bits,
    };
    let mut rng = Rng(11);
    for _ in 0..80 {
        model.step(&mut rng);
    }
    model.finish();
    std::fs::write(path, model.storage.bytes()).expect("a file");
    assert_qemu_agrees(path, &model.expected, folder);
}

const OPTIONS: &[&str] = &[
    "compat=1.1,cluster_size=512",
    "compat=0.10,cluster_size=512",
    "compat=1.1,cluster_size=4096,refcount_bits=1",
    "compat=1.1,cluster_size=1024,refcount_bits=64",
    "compat=1.1,cluster_size=4096,refcount_bits=8",
    "compat=1.1,refcount_bits=2",
    "compat=1.1,refcount_bits=4,lazy_refcounts=on",
    "compat=1.1,refcount_bits=32",
    "compat=0.10",
    "compat=1.1,preallocation=metadata",
    "compat=1.1,cluster_size=2M",
    "compat=1.1,compression_type=zstd",
];

#[test]
fn images_of_qemu() {
    if !has_qemu_img() {
        return;
    }
    let folder = Folder::new("images");
    let (raw, image) = (folder.at("raw"), folder.at("image"));
    for (index, options) in OPTIONS.iter().enumerate() {
        let expected = mixed((700 << 10) + 512 * index, 100 + index as u64);
        std::fs::write(&raw, &expected).expect("a file");
        let convert = ["convert", "-f", "raw", "-O", "qcow2", "-o", options];
        qemu_img(&[&convert[..], &[&raw, &image]].concat());
        check_image(&image, None, expected.clone(), &folder);
        if options.contains("preallocation") {
            continue;
        }
        qemu_img(&[&convert[..], &["-c", &raw, &image]].concat());
        check_image(&image, None, expected, &folder);
    }
}

#[test]
fn internal_snapshots_are_kept() {
    if !has_qemu_img() {
        return;
    }
    let folder = Folder::new("snapshots");
    let (raw, image) = (folder.at("raw"), folder.at("image"));
    for options in ["cluster_size=4096", "compat=0.10", "cluster_size=512"] {
        let expected = mixed(900 << 10, 7);
        std::fs::write(&raw, &expected).expect("a file");
        qemu_img(&[
            "convert", "-f", "raw", "-O", "qcow2", "-o", options, &raw, &image,
        ]);
        qemu_img(&["snapshot", "-c", "first", &image]);
        check_image(&image, None, expected.clone(), &folder);
        let changed = contents(&open(load(&image), None, true).expect("ours"));
        qemu_img(&["snapshot", "-c", "second", &image]);
        check_image(&image, None, changed.clone(), &folder);
        qemu_img(&["snapshot", "-a", "first", &image]);
        assert_qemu_agrees(&image, &expected, &folder);
        qemu_img(&["snapshot", "-a", "second", &image]);
        assert_qemu_agrees(&image, &changed, &folder);
        check_image(&image, None, changed, &folder);
        qemu_img(&["snapshot", "-d", "first", &image]);
        qemu_img(&["snapshot", "-d", "second", &image]);
        qemu_img(&["check", "-f", "qcow2", &image]);
    }
}

#[test]
fn backing_files() {
    if !has_qemu_img() {
        return;
    }
    let folder = Folder::new("backing");
    let (raw, image) = (folder.at("raw"), folder.at("image"));
    let below = mixed(500 << 10, 21);
    for (options, size) in [("compat=1.1", 800 << 10), ("compat=0.10", 300 << 10)] {
        std::fs::write(&raw, &below).expect("a file");
        let bytes = format!("{size}");
        let named = ["create", "-f", "qcow2", "-F", "raw", "-b", "raw"];
        qemu_img(&[&named[..], &["-o", options, &image, &bytes]].concat());
        let header = read_header(&load(&image)).expect("a header");
        assert_eq!(header.backing.as_deref(), Some("raw"));
        assert_eq!(header.backing_format.as_deref(), Some("raw"));
        let mut expected = vec![0; size];
        read_bytes(&below, 0, &mut expected);
        check_image(&image, Some(load(&raw)), expected, &folder);
    }
}

#[test]
fn our_images() {
    if !has_qemu_img() {
        return;
    }
    let folder = Folder::new("ours");
    let path = folder.at("image");
    for (cluster_bits, version, refcount_order) in
        [(9, 3, 6), (9, 2, 4), (12, 3, 0), (16, 3, 4), (21, 3, 5)]
    {
        let options = CreateOptions {
            size: 3 << 20,
            version,
            cluster_bits,
            refcount_order,
            backing: None,
        };
        let mut model = Model::new(&options, None);
        std::fs::write(&path, model.storage.bytes()).expect("a file");
        assert_qemu_agrees(&path, &model.expected, &folder);
        let mut rng = Rng(31);
        for _ in 0..150 {
            model.step(&mut rng);
        }
        model.finish();
        std::fs::write(&path, model.storage.bytes()).expect("a file");
        assert_qemu_agrees(&path, &model.expected, &folder);
        let raw = folder.at("converted");
        qemu_img(&["convert", "-O", "raw", &path, &raw]);
        let converted = std::fs::read(Path::new(&raw)).expect("a file");
        assert!(converted == model.expected);
    }
}

#[test]
fn our_backing_name_is_read() {
    if !has_qemu_img() {
        return;
    }
    let folder = Folder::new("named");
    std::fs::write(folder.at("base"), vec![5; 1 << 20]).expect("a file");
    let storage = create_in_memory(&CreateOptions {
        size: 1 << 20,
        backing: Some(("base".into(), "raw".into())),
        ..CreateOptions::default()
    });
    std::fs::write(folder.at("image"), storage.bytes()).expect("a file");
    assert_qemu_agrees(&folder.at("image"), &[5; 1 << 20], &folder);
}
