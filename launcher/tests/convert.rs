//! Images made here, whole and hostile, through the program itself. Needs the kit's layout, not its
//! contents: nothing is run.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("convert-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let kit = folder.join("kit/riscv64");
        fs::create_dir_all(kit.join("modules")).expect("a folder");
        for file in ["init", "Image", "fw_dynamic.bin"] {
            fs::write(kit.join(file), file).expect("a file");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names at the top, besides the kit.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().into_string().expect("a name"));
        let mut names: Vec<String> = names.filter(|name| name != "kit").collect();
        names.sort();
        names
    }

    fn convert(&self, image: &str, more: &[&str]) -> Output {
        self.command(image, more).output().expect("launcher")
    }

    fn command(&self, image: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command
            .current_dir(&self.0)
            .args(["convert", "--quiet", "--kit", "kit", "--free", "1"]);
        if !more.contains(&"--page") {
            command.arg("--no-page");
        }
        command.args([image, "out"]).args(more);
        command
    }

    fn refused(&self, image: &str, expected: &str) {
        self.refused_with(image, &["--max-size", "1"], expected);
    }

    fn refused_with(&self, image: &str, more: &[&str], expected: &str) {
        let before = self.names();
        let output = self.convert(image, more);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(expected) && text.lines().count() == 1,
            "{text}"
        );
        assert_eq!(self.names(), before, "nothing is left");
    }

    fn machine(&self) -> Value {
        let text = fs::read(self.path("out/machine.json")).expect("machine.json");
        serde_json::from_slice(&text).expect("JSON")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An entry with a name that the crate itself would refuse.
fn entry(tar: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, link: &str, data: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.append(&header, data).expect("an entry");
}

/// Name, type, target of a link, contents.
type Row<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

fn layer(entries: &[Row]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, link, data) in entries {
        entry(&mut tar, name, *kind, link, data);
    }
    tar.into_inner().expect("an archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("gzip");
    packer.finish().expect("gzip")
}

fn blob(folder: &Path, bytes: &[u8]) -> Value {
    let hash = hash(bytes);
    fs::write(folder.join("blobs/sha256").join(&hash), bytes).expect("a blob");
    json!({ "digest": format!("sha256:{hash}"), "size": bytes.len() })
}

/// A layout of layers that are packed in different ways.
fn layout(folder: &Path, arch: &str, layers: &[Vec<u8>]) {
    fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder");
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("a file");
    let packed = layers
        .iter()
        .enumerate()
        .map(|(number, layer)| match number % 3 {
            0 => gzip(layer),
            1 => zstd::bulk::compress(layer, 3).expect("zstd"),
            _ => layer.clone(),
        });
    let packed: Vec<Value> = packed.map(|layer| blob(folder, &layer)).collect();
    let ids = layers.iter().map(|layer| format!("sha256:{}", hash(layer)));
    let config = json!({
        "os": "linux", "architecture": arch,
        "config": {
            "Entrypoint": ["/bin/program"], "Cmd": ["cmd"], "Env": ["PATH=/bin", "A=1"],
            "WorkingDir": "/work", "User": "nobody",
        },
        "rootfs": { "type": "layers", "diff_ids": ids.collect::<Vec<_>>() },
    });
    let config = blob(folder, config.to_string().as_bytes());
    let manifest = json!({ "config": config, "layers": packed }).to_string();
    let manifest = blob(folder, manifest.as_bytes());
    let index = json!({ "manifests": [manifest] }).to_string();
    fs::write(folder.join("index.json"), index).expect("an index");
}

const FILE: EntryType = EntryType::Regular;

#[test]
fn a_layout_becomes_a_folder() {
    let folder = Folder::new("layout");
    let layers = [
        layer(&[("bin/program", FILE, "", b"1"), ("gone", FILE, "", b"2")]),
        layer(&[
            (".wh.gone", FILE, "", b""),
            ("bin/link", EntryType::Link, "bin/program", b""),
        ]),
        layer(&[
            ("lib", EntryType::Symlink, "../../usr/lib", b""),
            ("lib/x", FILE, "", b"3"),
        ]),
    ];
    layout(&folder.path("image"), "riscv64", &layers);
    let more = ["-e", "A=2", "-u", "1:2", "--title", "T", "--", "x", "y"];
    let output = folder.convert("image", &more);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(folder.names(), ["image", "out"]);
    let machine = folder.machine();
    assert_eq!(machine["title"], "T");
    let expected = json!({
        "argv": ["/bin/program", "x", "y"], "env": { "PATH": "/bin", "A": "2" },
        "cwd": "/work", "user": "1:2", "tty": true,
    });
    assert_eq!(machine["entrypoint"], expected);
    let output = Command::new(env!("CARGO_BIN_EXE_launcher"))
        .args(["inspect", folder.path("out").to_str().expect("a name")])
        .output()
        .expect("launcher");
    assert!(output.status.success(), "{output:?}");
    // A second time it is in the way.
    folder.refused("image", "there already");
}

/// What is looked for in a page, and what is left out.
fn make_page(folder: &Folder) {
    let page = folder.path("page");
    fs::create_dir_all(page.join("emulator/web")).expect("a folder");
    fs::create_dir_all(page.join("types")).expect("a folder");
    for name in [
        "index.html",
        "worker.js",
        "node.js",
        "emulator/web/x.wasm.br",
    ] {
        fs::write(page.join(name), name).expect("a file");
    }
}

/// Every option shows in machine.json, in the emulator's options or in the files.
#[test]
fn options_of_the_machine() {
    let folder = Folder::new("options");
    fs::create_dir_all(folder.path("root/etc")).expect("a folder");
    fs::write(folder.path("mine"), "a kernel of mine").expect("a file");
    make_page(&folder);
    let more = [
        "--memory",
        "1G",
        "--cpus",
        "3",
        "--append",
        "a.b=c",
        "--kernel",
        "mine",
        "--title",
        "A title",
        "--entrypoint",
        "/bin/x",
        "--overlay",
        "opfs:mine",
        "--page",
        "page",
        "-w",
        "/w",
        "-v",
        "mine:/m",
        "--",
        "y z",
    ];
    let output = folder.convert("root", &more);
    assert!(output.status.success(), "{output:?}");
    let machine = folder.machine();
    for (key, expected) in [
        ("memory", json!("1G")),
        ("cpus", json!(3)),
        ("append", json!("console=ttyS0 quiet a.b=c")),
        ("title", json!("A title")),
        ("overlay", json!("opfs:mine")),
    ] {
        assert_eq!(machine[key], expected, "{key}");
    }
    assert_eq!(machine["entrypoint"]["argv"], json!(["/bin/x", "y z"]));
    assert_eq!(machine["entrypoint"]["cwd"], "/w");
    let args: Vec<&str> = machine["args"]
        .as_array()
        .expect("args")
        .iter()
        .flat_map(Value::as_str)
        .collect();
    for pair in [
        ["-m", "1G"],
        ["-smp", "3"],
        ["-append", "console=ttyS0 quiet a.b=c"],
    ] {
        assert!(args.windows(2).any(|two| two == pair), "{pair:?}: {args:?}");
    }
    let kernel = fs::read(folder.path("out/kernel")).expect("a kernel");
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&kernel[..])
        .read_to_string(&mut plain)
        .expect("gzip");
    assert_eq!(plain, "a kernel of mine");
    assert!(folder.path("out/emulator/web/x.wasm.br").exists());
    assert!(!folder.path("out/node.js").exists() && !folder.path("out/types").exists());
}

#[test]
fn wrong_options_are_refused() {
    let folder = Folder::new("wrong-options");
    fs::create_dir_all(folder.path("root/etc")).expect("a folder");
    fs::write(folder.path("mine"), "a file of mine").expect("a file");
    for (wrong, expected) in [
        (["--overlay", "opfs:../x"], "letters, digits"),
        (["--overlay", "file"], "letters, digits"),
        (["--page", "root"], "index.html"),
        (["-v", "mine:relative"], "HOST:/GUEST"),
        (["-v", "nothing:/x"], "nothing"),
        (["-v", "mine:/../x"], "leaves the root"),
        (["-e", "=x"], "KEY=VALUE"),
        (["--kernel", "nothing"], "nothing"),
        (["--arch", "vax"], "vax"),
    ] {
        folder.refused_with(
            "root",
            &[&wrong[..], &["--max-size", "1"]].concat(),
            expected,
        );
    }
}

/// Ctrl-C, and what a service manager sends: in the midst of an image that does not end.
#[test]
fn a_cancelled_convert_leaves_nothing() {
    for signal in ["INT", "TERM", "HUP"] {
        let folder = Folder::new(&format!("cancelled-{signal}"));
        let fifo = folder.path("image.tar");
        let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
        assert!(made.success());
        let mut child = folder.command("image.tar", &[]).spawn().expect("launcher");
        // It opens the other end when it is at work, and reads for ever.
        let mut image = fs::File::options().write(true).open(&fifo).expect("a pipe");
        image.write_all(&[0x1f, 0x8b]).expect("read");
        while folder.names().len() < 2 {
            std::thread::yield_now();
        }
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -s {signal} {}", child.id())])
            .status();
        assert!(kill.expect("kill").success());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(130), "{signal}");
        assert_eq!(folder.names(), ["image.tar"], "{signal}");
    }
}

#[test]
fn archives_of_all_kinds() {
    for (number, pack) in [|b: &[u8]| b.to_vec(), gzip].into_iter().enumerate() {
        let folder = Folder::new(&format!("archives{number}"));
        layout(
            &folder.path("image"),
            "riscv64",
            &[layer(&[("a", FILE, "", b"1")])],
        );
        let mut tar = Builder::new(Vec::new());
        tar.append_dir_all(".", folder.path("image"))
            .expect("an archive");
        let tar = tar.into_inner().expect("an archive");
        fs::write(folder.path("image.tar"), pack(&tar)).expect("a file");
        let output = folder.convert("image.tar", &[]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            folder.machine()["entrypoint"]["argv"],
            json!(["/bin/program", "cmd"])
        );
        fs::remove_dir_all(folder.path("out")).expect("gone");
        // The same as docker has it.
        let rootfs = layer(&[("a", FILE, "", b"1")]);
        let config = json!({
            "os": "linux", "architecture": "riscv64",
            "rootfs": { "diff_ids": [format!("sha256:{}", hash(&rootfs))] },
        });
        let config = config.to_string();
        let name = format!("{}.json", hash(config.as_bytes()));
        let manifest = json!([{ "Config": name, "Layers": ["l/layer.tar"] }]).to_string();
        let docker = layer(&[
            ("l/layer.tar", FILE, "", &rootfs),
            (&name, FILE, "", config.as_bytes()),
            ("manifest.json", FILE, "", manifest.as_bytes()),
        ]);
        fs::write(folder.path("docker.tar"), pack(&docker)).expect("a file");
        let output = folder.convert("docker.tar", &[]);
        assert!(output.status.success(), "{output:?}");
        fs::remove_dir_all(folder.path("out")).expect("gone");
        // And plain files.
        fs::write(folder.path("files.tar"), pack(&rootfs)).expect("a file");
        let output = folder.convert("files.tar", &["--", "/a"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(folder.machine()["entrypoint"]["argv"], json!(["/a"]));
    }
}

#[test]
fn hostile_archives_are_refused() {
    let folder = Folder::new("hostile");
    let large = vec![1; 2 << 20];
    let cases: &[(&str, &[Row])] = &[
        ("leaves the root", &[("../x", FILE, "", b"1")]),
        ("leaves the root", &[("a/../../x", FILE, "", b"1")]),
        (
            "leaves the root",
            &[("h", EntryType::Link, "../../etc/passwd", b"")],
        ),
        (
            "no file of the image",
            &[("h", EntryType::Link, "/etc/passwd", b"")],
        ),
        (
            "behind a file",
            &[("a", FILE, "", b"1"), ("a/b", FILE, "", b"1")],
        ),
        (
            "too many links",
            &[("a", EntryType::Symlink, "a", b""), ("a/b", FILE, "", b"1")],
        ),
        ("link to nothing", &[("a", EntryType::Symlink, "", b"")]),
        ("--max-size", &[("a", FILE, "", &large)]),
        ("too large", &[("a", EntryType::XHeader, "", &large)]),
    ];
    for (expected, entries) in cases {
        fs::write(folder.path("image.tar"), layer(entries)).expect("a file");
        folder.refused("image.tar", expected);
    }
    let good = layer(&[("a", FILE, "", &[7; 5000])]);
    fs::write(folder.path("image.tar"), &good[..2048]).expect("a file");
    folder.refused("image.tar", "image.tar");
    fs::write(folder.path("image.tar"), gzip(&good).split_at(30).0).expect("a file");
    folder.refused("image.tar", "image.tar");
    let mut packed = zstd::bulk::compress(&good, 3).expect("zstd");
    let middle = packed.len() / 2;
    fs::write(folder.path("image.tar"), &packed[..middle]).expect("a file");
    folder.refused("image.tar", "image.tar");
    packed[4..8].fill(0xff);
    fs::write(folder.path("image.tar"), &packed).expect("a file");
    folder.refused("image.tar", "image.tar");
    let mut packed = gzip(&good);
    let last = packed.len() - 5;
    packed[last] ^= 1;
    fs::write(folder.path("image.tar"), &packed).expect("a file");
    folder.refused("image.tar", "image.tar");
    fs::write(folder.path("image.tar"), gzip(&vec![0; 64 << 20])).expect("a file");
    folder.refused("image.tar", "image.tar");
    fs::write(folder.path("image.tar"), [9; 5000]).expect("a file");
    folder.refused("image.tar", "damaged");
    folder.refused("nothing", "nothing");
}

#[test]
fn wrong_images_are_refused() {
    let folder = Folder::new("wrong");
    layout(
        &folder.path("amd"),
        "amd64",
        &[layer(&[("a", FILE, "", b"1")])],
    );
    folder.refused("amd", "linux/amd64, and linux/riscv64 is needed");
    layout(
        &folder.path("image"),
        "riscv64",
        &[layer(&[("a", FILE, "", b"1")])],
    );
    let blobs = fs::read_dir(folder.path("image/blobs/sha256"))
        .expect("blobs")
        .flatten();
    for blob in blobs {
        let good = fs::read(blob.path()).expect("a blob");
        let mut bad = good.clone();
        let last = bad.len() - 9;
        bad[last] ^= 1;
        fs::write(blob.path(), &bad).expect("a blob");
        folder.refused("image", &blob.file_name().to_string_lossy());
        fs::remove_file(blob.path()).expect("gone");
        folder.refused("image", &blob.file_name().to_string_lossy());
        fs::write(blob.path(), &good).expect("a blob");
    }
    let index = json!({ "manifests": [{ "digest": "sha256:../../../x" }] }).to_string();
    fs::write(folder.path("image/index.json"), index).expect("an index");
    folder.refused("image", "no SHA-256");
}
