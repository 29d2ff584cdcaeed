//! Initial RAM disks: a cpio archive of the kind "newc", gzipped.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

pub const FOLDER: u32 = 0o040_755;
pub const PROGRAM: u32 = 0o100_755;
pub const FILE: u32 = 0o100_644;
const CONSOLE: u32 = 0o020_600;

pub struct Cpio {
    bytes: Vec<u8>,
    number: u32,
}

impl Cpio {
    /// With the console, which the kernel opens before anything is mounted.
    pub fn new() -> Self {
        let (bytes, number) = (Vec::new(), 1);
        let mut cpio = Self { bytes, number };
        cpio.add("dev", FOLDER, &[]);
        cpio.entry("dev/console", CONSOLE, (5, 1), &[]);
        cpio
    }

    pub fn add(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entry(name, mode, (0, 0), data);
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        let (length, name_length) = (data.len() as u32, name.len() as u32 + 1);
        let links = if mode == FOLDER { 2 } else { 1 };
        let (major, minor) = device;
        let number = self.number;
        self.number += 1;
        let fields = [
            number,
            mode,
            0,
            0,
            links,
            0,
            length,
            0,
            0,
            major,
            minor,
            name_length,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
    }

    fn pad(&mut self) {
        let end = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(end, 0);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.number = 0;
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        gzip(&self.bytes)
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let written = packer.write_all(bytes);
    let packed = written.and_then(|()| packer.finish());
    packed.unwrap_or_else(|_| unreachable!("memory takes all"))
}
