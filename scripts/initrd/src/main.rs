//! Writes an initial RAM disk: `initrd LIST OUT.cpio.gz NAME=VALUE...`.
//!
//! LIST is in the notation of the kernel's `gen_init_cpio` (`dir`, `file`, `nod`, `slink` lines;
//! `Documentation/driver-api/early-userspace/buffer-format.rst` has the format that comes out),
//! with `${NAME}` for what the command line gives. The same input gives the same bytes.

use std::io::Write;
use std::path::Path;
use std::{env, fs, process};

use flate2::{Compression, GzBuilder};

const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// The name that ends a cpio archive.
const TRAILER: &str = "TRAILER!!!";

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    if let Err(message) = run(&args) {
        eprintln!("initrd: {message}");
        process::exit(1);
    }
}

fn run(args: &[String]) -> Result<(), String> {
    let [list, out, values @ ..] = args else {
        return Err("usage: initrd LIST OUT.cpio.gz NAME=VALUE...".into());
    };
    let mut text = fs::read_to_string(list).map_err(|error| format!("{list}: {error}"))?;
    for value in values {
        let (name, value) = value
            .split_once('=')
            .ok_or("values are given as NAME=VALUE")?;
        text = text.replace(&format!("${{{name}}}"), value);
    }
    let folder = Path::new(list).parent().unwrap_or(Path::new("."));
    let archive = archive(&text, folder).map_err(|error| format!("{list}: {error}"))?;
    fs::write(out, compress(&archive)).map_err(|error| format!("{out}: {error}"))
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    gzip.write_all(bytes).expect("a vector takes everything");
    gzip.finish().expect("a vector takes everything")
}

/// Makes the archive that `list` describes; files are looked for in `folder`.
fn archive(list: &str, folder: &Path) -> Result<Vec<u8>, String> {
    let mut archive = Archive::default();
    for (number, line) in list.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|word| !word.starts_with('#')) {
            archive
                .entry(&words, folder)
                .map_err(|error| format!("line {}: {error}", number + 1))?;
        }
    }
    Ok(archive.finish())
}

/// A cpio archive in the "newc" format.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn entry(&mut self, words: &[&str], folder: &Path) -> Result<(), String> {
        let octal = |text: &str| {
            u32::from_str_radix(text, 8).map_err(|_| format!("'{text}' is not an octal mode"))
        };
        let decimal = |text: &str| {
            text.parse()
                .map_err(|_| format!("'{text}' is not a number"))
        };
        match *words {
            ["dir", name, mode] => self.add(name, S_IFDIR | octal(mode)?, (0, 0), &[]),
            ["slink", name, to] => self.add(name, S_IFLNK | 0o777, (0, 0), to.as_bytes()),
            ["nod", name, mode, "c", major, minor] => {
                let device = (decimal(major)?, decimal(minor)?);
                self.add(name, S_IFCHR | octal(mode)?, device, &[]);
            }
            ["file", name, from, mode] => {
                let content = fs::read(folder.join(from)).map_err(|e| format!("{from}: {e}"))?;
                self.add(name, S_IFREG | octal(mode)?, (0, 0), &content);
            }
            _ => return Err(format!("'{}' is not understood", words.join(" "))),
        }
        Ok(())
    }

    fn add(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        let name = name.trim_start_matches('/');
        let is_dir = mode & S_IFDIR != 0 && mode & S_IFREG == 0;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("files are below 4 GiB");
        let [uid, gid, mtime, device, checksum] = [0; 5];
        // The trailer has no inode number.
        let inode = if name == TRAILER { 0 } else { self.entries + 1 };
        let links = if is_dir { 2 } else { 1 };
        let name_length = length(name.as_bytes()) + 1;
        let fields = [
            inode,
            mode,
            uid,
            gid,
            links,
            mtime,
            length(content),
            device,
            device,
            major,
            minor,
            name_length,
            checksum,
        ];
        self.entries += 1;
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend(content);
        self.pad(4);
    }

    fn pad(&mut self, alignment: usize) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(alignment), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add(TRAILER, 0, (0, 0), &[]);
        self.pad(512);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, expected: Result<&str, &str>) {
        let archive = archive(list, Path::new(env!("CARGO_MANIFEST_DIR")));
        let text = archive.map(|bytes| {
            assert_eq!(bytes.len() % 512, 0);
            let text = String::from_utf8_lossy(&bytes).replace('\0', ".");
            text.split("070701")
                .skip(1)
                .map(|entry| &entry[8..])
                .collect::<Vec<_>>()
                .join("|")
        });
        match (text, expected) {
            (Ok(text), Ok(begin)) => assert!(text.starts_with(begin), "{text}"),
            (text, expected) => assert_eq!(text.as_deref().map_err(String::as_str), expected),
        }
    }

    #[test]
    fn entries() {
        let zeroes = "0".repeat(16);
        let dir = format!("000041ed{zeroes}00000002{}00000004", "0".repeat(48));
        check("dir /dev 755", Ok(&format!("{dir}00000000dev...|")));
        let link = format!("0000a1ff{zeroes}000000010000000000000002{}", "0".repeat(32));
        check(
            "# a comment\n\nslink /a bc",
            Ok(&format!("{link}0000000200000000a.bc..|")),
        );
        let node = format!("00002180{zeroes}00000001{zeroes}{zeroes}0000000500000001");
        check(
            "nod /c 600 c 5 1",
            Ok(&format!("{node}0000000200000000c.|")),
        );
    }

    #[test]
    fn mistakes() {
        check("dir /a 9", Err("line 1: '9' is not an octal mode"));
        check(
            "dir /a 755\nsocket /b",
            Err("line 2: 'socket /b' is not understood"),
        );
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let make = || compress(&archive("file /toml Cargo.toml 644", Path::new(".")).unwrap());
        assert_eq!(make(), make());
    }
}
