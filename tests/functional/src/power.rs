//! The power is cut: the emulator dies at random moments under a guest that writes with fsync
//! (`tests/files/guest/cut.c`). What it acknowledged is there after the next boot, the image is
//! sound, and ext4 needs nothing but its journal.
//!
//! A process that is killed leaves its writes with the host. So in half of the tests a `blklogwrites`
//! below the image writes down what was written and flushed, and the next boot gets an image made
//! of that: all that was flushed, and of the rest some sectors and not the others.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::files::{Scratch, boot_with};
use crate::{Setup, Test};
use harness::{Failure, Outcome, Session, check};

pub const TESTS: &[Test] = &[
    ("power_cut_raw", |setup| cut(setup, "raw", false)),
    ("power_cut_qcow2", |setup| cut(setup, "qcow2", false)),
    ("power_cut_raw_unflushed", |setup| cut(setup, "raw", true)),
    ("power_cut_qcow2_unflushed", |setup| {
        cut(setup, "qcow2", true)
    }),
];

const DISK: &str = "48M";
const MODULES: &str =
    "virtio_blk crc16 crc32c_generic mbcache jbd2 ext4 netfs 9pnet 9p 9pnet_virtio";
/// Sectors of the log.
const SECTOR: usize = 512;
/// Flags of its entries.
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A small generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }
}

/// A disk, what is known of it, and how it is used.
struct Cut<'a> {
    setup: &'a Setup,
    scratch: Scratch,
    format: &'static str,
    /// Only what was flushed is sure to be there.
    unflushed: bool,
    random: Random,
    /// The last record that the guest said is safe.
    acknowledged: i64,
}

fn cut(setup: &Setup, format: &'static str, unflushed: bool) -> Outcome<()> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = clock.map_or(1, |since| since.as_nanos() as u64) | 1;
    let mut cut = Cut {
        setup,
        scratch: Scratch::new(&format!("power-{format}-{unflushed}")),
        format,
        unflushed,
        random: Random(seed),
        acknowledged: -1,
    };
    cut.make_disk()?;
    for round in 0..setup.cuts {
        let outcome = cut.round().and_then(|()| cut.check_image());
        outcome
            .map_err(|failure| Failure::Check(format!("cut {round}, seed {seed}: {failure}")))?;
    }
    let acknowledged = cut.acknowledged;
    check(acknowledged > 0, || {
        format!("only {acknowledged} records were written")
    })
}

impl Cut<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.scratch.0.join(name)
    }

    fn run(&self, program: &str, args: &[&str]) -> Outcome<()> {
        let output = Command::new(program)
            .args(args)
            .current_dir(&self.scratch.0)
            .output();
        let output = output.map_err(|error| Failure::Check(format!("{program}: {error}")))?;
        check(output.status.success(), || {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            format!("{program} {args:?}: {said}{error}")
        })
    }

    fn make_disk(&self) -> Outcome<()> {
        self.run("/usr/sbin/mke2fs", &["-q", "-t", "ext4", "flat.raw", DISK])?;
        self.run(
            "qemu-img",
            &["convert", "-O", self.format, "flat.raw", "disk"],
        )
    }

    /// The options of the disk.
    fn options(&self) -> Outcome<Vec<String>> {
        let (disk, log) = (self.path("disk"), self.path("log"));
        let (disk, format) = (disk.display(), self.format);
        let mut options = vec![
            "-virtfs".to_string(),
            format!(
                "local,path={},mount_tag=tools,security_model=none,readonly=on",
                self.setup.file("../guest-tests")
            ),
        ];
        if !self.unflushed {
            let drive = format!("file={disk},format={format},if=virtio,cache=writeback");
            options.extend(["-drive".into(), drive]);
            return Ok(options);
        }
        fs::copy(self.path("disk"), self.path("before")).expect("the disk can be copied");
        fs::File::create(&log).expect("a log can be made");
        options.extend([
            "-blockdev".into(),
            format!(
                "driver={format},node-name=disk,file.driver=blklogwrites,\
                 file.file.driver=file,file.file.filename={disk},\
                 file.log.driver=file,file.log.filename={}",
                log.display()
            ),
            "-device".into(),
            "virtio-blk-device,drive=disk".into(),
        ]);
        Ok(options)
    }

    /// Boots, checks what is there, writes more, dies.
    fn round(&mut self) -> Outcome<()> {
        let mut session = boot_with(self.setup, &self.options()?, MODULES)?;
        let mount = "mkdir /d /t; mount -t ext4 /dev/vda /d && \
            mount -t 9p -o trans=virtio,version=9p2000.L,ro tools /t; ls /t/cut";
        let mounted = session.shell(mount, self.setup.seconds(120))?;
        check(mounted.trim() == "/t/cut", || format!("mounted: {mounted}"))?;
        session.send(&format!(
            "/t/cut /d {}; echo CUT-\"\"ENDED\n",
            self.acknowledged
        ));
        let said = session.expect("up to ", self.setup.seconds(60))?;
        check(!said.contains("FAIL"), || said.clone())?;
        session.expect("ACK ", self.setup.seconds(60))?;
        let live = Duration::from_millis(self.random.below(1500));
        let text = die_after(session, live);
        check(!text.contains("CUT-ENDED"), || {
            let tail = text.get(text.len().saturating_sub(600)..);
            format!("the writer ended: {}", tail.unwrap_or(&text))
        })?;
        self.acknowledged = last_acknowledged(&text).unwrap_or(self.acknowledged);
        match self.unflushed {
            true => self.lose_unflushed(),
            false => Ok(()),
        }
    }

    /// Makes the image that the cut left, from what was there before and the log.
    fn lose_unflushed(&mut self) -> Outcome<()> {
        let log = fs::read(self.path("log")).expect("the log is there");
        let entries = entries_of(&log);
        let flushed = entries.iter().rposition(|entry| entry.flags & FLUSH != 0);
        check(flushed.is_some(), || "nothing was flushed".into())?;
        let mut image = fs::read(self.path("before")).expect("the copy is there");
        for (index, entry) in entries.iter().enumerate() {
            let is_sure = Some(index) <= flushed;
            for (number, data) in (entry.sector..).zip(entry.data.chunks_exact(SECTOR)) {
                if is_sure || self.random.below(2) == 0 {
                    let at = number as usize * SECTOR;
                    if image.len() < at + SECTOR {
                        image.resize(at + SECTOR, 0);
                    }
                    image[at..at + SECTOR].copy_from_slice(data);
                }
            }
        }
        let disk = fs::File::create(self.path("disk"));
        let written = disk.and_then(|mut disk| disk.write_all(&image));
        written.expect("the disk can be written");
        Ok(())
    }

    /// Looks at a copy from outside.
    fn check_image(&self) -> Outcome<()> {
        if self.format == "qcow2" {
            // Leaks are allowed: nobody loses anything by them.
            let check = "qemu-img check disk; s=$?; [ $s = 0 ] || [ $s = 3 ]";
            self.run("sh", &["-c", check])?;
        }
        let convert = [
            "convert",
            "-f",
            self.format,
            "-O",
            "raw",
            "disk",
            "flat.raw",
        ];
        self.run("qemu-img", &convert)?;
        let journal = "/usr/sbin/e2fsck -y -E journal_only flat.raw; [ $? -le 1 ]";
        self.run("sh", &["-c", journal])?;
        self.run("/usr/sbin/e2fsck", &["-f", "-n", "flat.raw"])
    }
}

/// Lets the guest live for a while; all that it printed.
fn die_after(mut session: Session, live: Duration) -> String {
    // It never says this: what it prints meanwhile is read.
    let _ = session.expect("\u{1}", live);
    session.kill()
}

/// The number in the last whole line that acknowledges a record.
fn last_acknowledged(text: &str) -> Option<i64> {
    let (_, after) = text.rsplit_once("up to ")?;
    let whole = &after[..=after.rfind('\n')?];
    let numbers = whole
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ACK "));
    numbers.filter_map(|number| number.parse().ok()).last()
}

/// A write or a flush in the log.
struct Entry<'a> {
    sector: u64,
    flags: u64,
    data: &'a [u8],
}

/// The entries of a log in the format of dm-log-writes, as far as they are whole.
fn entries_of(log: &[u8]) -> Vec<Entry<'_>> {
    let word = |at: usize| {
        let bytes = log.get(at..at + 8)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let mut entries = Vec::new();
    let mut at = SECTOR;
    while let (Some(sector), Some(sectors), Some(flags)) = (word(at), word(at + 8), word(at + 16)) {
        let bytes = match flags & DISCARD {
            0 => sectors as usize * SECTOR,
            _ => 0,
        };
        let start = at + SECTOR;
        let Some(data) = log.get(start..start + bytes) else {
            break;
        };
        entries.push(Entry {
            sector,
            flags,
            data,
        });
        at = start + bytes;
    }
    entries
}
