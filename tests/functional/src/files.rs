//! Disks and shared folders as a guest uses them: what it writes is on the host, and the POSIX test
//! of `tests/files/guest` passes on shares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Setup, Test};
use harness::{Failure, Outcome, Session, check};

pub const TESTS: &[Test] = &[
    ("disk_raw", disk_raw),
    ("disk_snapshot", disk_snapshot),
    ("disk_blockdev", disk_blockdev),
    ("disk_qcow2", disk_qcow2),
    ("disk_ext4", disk_ext4),
    ("share_memory", share_memory),
    ("share_passthrough", share_passthrough),
    ("share_mapped_file", share_mapped_file),
    ("share_readonly", share_readonly),
];

const DISK_BYTES: u64 = 64 << 20;

/// A folder of the host that vanishes with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tinamou-{name}-{}", std::process::id()));
        // What a killed run left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a temporary folder can be made");
        Self(folder)
    }

    /// An empty disk.
    fn disk(&self) -> PathBuf {
        let path = self.0.join("disk.raw");
        let file = fs::File::create(&path).expect("a file can be made");
        file.set_len(DISK_BYTES).expect("it can be sparse");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is in a folder for temporary files anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Boots with more options, and loads the modules.
pub fn boot_with(setup: &Setup, options: &[String], modules: &str) -> Outcome<Session> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut session = setup.boot(&options)?;
    let load = format!(
        "cd /lib/modules; for m in virtio_mmio {modules}; do insmod $m.ko.xz; done; cd /root"
    );
    session.shell(&load, setup.seconds(120))?;
    Ok(session)
}

fn power_off(setup: &Setup, mut session: Session) -> Outcome<()> {
    session.send("poweroff -f\n");
    let status = session.finish(setup.seconds(60))?;
    check(status == 0, || format!("exit status {status}"))
}

fn says(setup: &Setup, session: &mut Session, command: &str, wanted: &str) -> Outcome<()> {
    let got = session.shell(command, setup.seconds(120))?;
    check(got.trim() == wanted, || {
        format!("{command} printed {got:?}, not {wanted:?}")
    })
}

fn drive(path: &Path, more: &str) -> [String; 2] {
    let drive = format!("file={},format=raw{more}", path.display());
    ["-drive".into(), drive]
}

/// Sector `number` of what the guest writes: its number, again and again.
const WRITE_PATTERN: &str = "i=0; while [ $i -lt 40 ]; do printf %0512d $i; i=$((i+1)); done \
     | dd of=/dev/vda bs=512 seek=1000 conv=fsync 2>&1 | grep -c records; sync";

fn check_pattern(path: &Path) -> Outcome<()> {
    let bytes = fs::read(path).expect("the disk is there");
    for number in 0..40 {
        let at = (1000 + number) * 512;
        let wanted = format!("{number:0512}");
        check(&bytes[at..at + 512] == wanted.as_bytes(), || {
            format!("sector {} of the disk is wrong", 1000 + number)
        })?;
    }
    check(bytes.len() as u64 == DISK_BYTES, || {
        format!("the disk has {} bytes", bytes.len())
    })
}

fn disk_raw(setup: &Setup) -> Outcome<()> {
    let scratch = Scratch::new("disk-raw");
    let disk = scratch.disk();
    let mut session = boot_with(setup, &drive(&disk, ""), "virtio_blk")?;
    says(setup, &mut session, "cat /sys/block/vda/size", "131072")?;
    says(setup, &mut session, WRITE_PATTERN, "2")?;
    let sum = "dd if=/dev/vda bs=4096 skip=125 count=5 2>/dev/null | head -c 20480 | tail -c 512";
    says(setup, &mut session, sum, &format!("{:0512}", 39))?;
    power_off(setup, session)?;
    check_pattern(&disk)
}

fn disk_snapshot(setup: &Setup) -> Outcome<()> {
    let scratch = Scratch::new("disk-snapshot");
    let disk = scratch.disk();
    let options = [&drive(&disk, "")[..], &["-snapshot".into()]].concat();
    let mut session = boot_with(setup, &options, "virtio_blk")?;
    says(setup, &mut session, WRITE_PATTERN, "2")?;
    // Not from the guest's own cache.
    session.shell("echo 3 > /proc/sys/vm/drop_caches", setup.seconds(20))?;
    let read = "dd if=/dev/vda bs=512 skip=1007 count=1 2>/dev/null";
    says(setup, &mut session, read, &format!("{:0512}", 7))?;
    power_off(setup, session)?;
    let untouched = fs::read(&disk)
        .expect("it is there")
        .iter()
        .all(|b| *b == 0);
    check(untouched, || "-snapshot wrote to the image".into())
}

/// The other notation, several queues, a serial number; and a disk that is only read.
fn disk_blockdev(setup: &Setup) -> Outcome<()> {
    let scratch = Scratch::new("disk-blockdev");
    let disk = scratch.disk();
    let options = [
        "-smp".into(),
        "2".into(),
        "-blockdev".into(),
        format!(
            "driver=raw,node-name=d0,file.driver=file,file.filename={}",
            disk.display()
        ),
        "-device".into(),
        "virtio-blk-device,drive=d0,serial=tinamou-1,num-queues=2".into(),
        "-drive".into(),
        "if=none,id=d1,driver=null-co,size=8M,readonly=on".into(),
        "-device".into(),
        "virtio-blk-device,drive=d1,bus=virtio-mmio-bus.0".into(),
    ];
    let mut session = boot_with(setup, &options, "virtio_blk")?;
    // The kernel finds the slots in the order of the device tree.
    let name = "cd /sys/block; for d in vd?; do [ $(cat $d/size) = 131072 ] && echo $d; done; cd";
    let disk_name = session.shell(name, setup.seconds(30))?.trim().to_string();
    let serial =
        format!("cat /sys/block/{disk_name}/serial; echo; ls /sys/block/{disk_name}/mq | wc -l");
    let got = session.shell(&serial, setup.seconds(30))?;
    check(got.split_whitespace().eq(["tinamou-1", "2"]), || {
        format!("serial number and queues are {got:?}")
    })?;
    says(
        setup,
        &mut session,
        "cat /sys/block/vd?/ro | sort | tr -d '\\n'",
        "01",
    )?;
    let write = WRITE_PATTERN.replace("vda", &disk_name);
    says(setup, &mut session, &write, "2")?;
    power_off(setup, session)?;
    check_pattern(&disk)
}

/// An image with a backing image: both are right afterwards, as Debian's qemu-img sees them.
fn disk_qcow2(setup: &Setup) -> Outcome<()> {
    let scratch = Scratch::new("disk-qcow2");
    let base = scratch.disk();
    let image = scratch.0.join("top.qcow2");
    let qemu_img = |args: &[&str]| {
        let output = Command::new("qemu-img")
            .args(args)
            .current_dir(&scratch.0)
            .output();
        let output = output.map_err(|error| Failure::Check(format!("qemu-img: {error}")))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        check(output.status.success(), || {
            format!("qemu-img {args:?}: {said}")
        })
    };
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-b",
        "disk.raw",
        "-F",
        "raw",
        "top.qcow2",
    ])?;
    let options = ["-drive".to_string(), format!("file={}", image.display())];
    let mut session = boot_with(setup, &options, "virtio_blk")?;
    says(setup, &mut session, WRITE_PATTERN, "2")?;
    power_off(setup, session)?;
    let untouched = fs::read(&base)
        .expect("it is there")
        .iter()
        .all(|b| *b == 0);
    check(untouched, || "the backing image was written".into())?;
    qemu_img(&["check", "top.qcow2"])?;
    qemu_img(&["convert", "-O", "raw", "top.qcow2", "flat.raw"])?;
    check_pattern(&scratch.0.join("flat.raw"))
}

/// A file system of the guest's own.
fn disk_ext4(setup: &Setup) -> Outcome<()> {
    let scratch = Scratch::new("disk-ext4");
    let disk = scratch.disk();
    host(&scratch, "mke2fs", &["-q", "-F", "-t", "ext4"])?;
    let modules = "virtio_blk crc16 crc32c_generic mbcache jbd2 ext4";
    let mut session = boot_with(setup, &drive(&disk, ",discard=unmap"), modules)?;
    let make = "mkdir /d; mount -t ext4 /dev/vda /d; cp -r /bin /etc /d; cp -r /bin /d/twice; \
        rm -r /d/twice; fstrim /d >/dev/null 2>&1; md5sum < /bin/busybox > /d/sum; umount /d; \
        md5sum < /bin/busybox";
    let sum = session.shell(make, setup.seconds(120))?;
    power_off(setup, session)?;
    host(&scratch, "e2fsck", &["-f", "-n"])?;
    let copy = scratch.0.join("copy").display().to_string();
    for (from, to) in [
        ("/bin/busybox", copy.as_str()),
        ("/sum", &format!("{copy}.sum")),
    ] {
        host(&scratch, "debugfs", &["-R", &format!("dump {from} {to}")])?;
    }
    let read = |path: String| fs::read(path).unwrap_or_default();
    let same = read(copy.clone()) == read(setup.file("busybox"));
    check(same, || "the copy of busybox differs".into())?;
    let noted = String::from_utf8_lossy(&read(copy + ".sum"))
        .trim()
        .to_owned();
    check(noted == sum.trim(), || {
        format!("sums are {noted:?} and {sum:?}")
    })
}

/// Runs a program of e2fsprogs on the disk.
fn host(scratch: &Scratch, program: &str, args: &[&str]) -> Outcome<()> {
    let output = Command::new(format!("/usr/sbin/{program}"))
        .args(args)
        .arg(scratch.0.join("disk.raw"))
        .output();
    let output = output.map_err(|error| Failure::Check(format!("{program}: {error}")))?;
    check(output.status.success(), || {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        format!(
            "{program}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

const MODULES_9P: &str = "netfs 9pnet 9p 9pnet_virtio";

/// A share to test, and one with the test.
fn with_shares(setup: &Setup, share: &str) -> Outcome<Session> {
    let tools = format!(
        "local,path={},mount_tag=tools,security_model=none,readonly=on",
        setup.file("../guest-tests")
    );
    let options = ["-virtfs".into(), share.into(), "-virtfs".into(), tools];
    let mut session = boot_with(setup, &options, MODULES_9P)?;
    let mount = "mkdir /s /t; o=trans=virtio,version=9p2000.L,msize=131072; \
        mount -t 9p -o $o share /s; mount -t 9p -o $o tools /t; ls /t/posix";
    says(setup, &mut session, mount, "/t/posix")?;
    Ok(session)
}

/// Runs the POSIX test but for the checks in `without`.
fn posix(setup: &Setup, session: &mut Session, without: &[&str]) -> Outcome<()> {
    let without: String = without.iter().map(|name| format!(" -x {name}")).collect();
    let command = format!("/t/posix /s{without}");
    let got = session.shell(&command, setup.seconds(300))?;
    let passed = got
        .lines()
        .any(|line| line.trim().ends_with("passed, 0 failed"));
    check(passed, || format!("{command}:\n{got}"))
}

/// Linux's 9p without a cache maps no file for writing.
const NEVER: [&str; 1] = ["shared-mappings"];

fn share_memory(setup: &Setup) -> Outcome<()> {
    let mut session = with_shares(setup, "memory,mount_tag=share")?;
    posix(setup, &mut session, &NEVER)?;
    power_off(setup, session)
}

fn local(folder: &Scratch, model: &str) -> String {
    let path = folder.0.display();
    format!("local,path={path},mount_tag=share,security_model={model}")
}

/// For root only: everybody else may not give files away.
fn share_passthrough(setup: &Setup) -> Outcome<()> {
    let folder = Scratch::new("share-passthrough");
    let mut session = with_shares(setup, &local(&folder, "passthrough"))?;
    posix(setup, &mut session, &without_of_host(setup))?;
    says(
        setup,
        &mut session,
        "echo from guest > /s/f; cat /s/f",
        "from guest",
    )?;
    power_off(setup, session)?;
    let found = fs::read_to_string(folder.0.join("f"));
    check(found.as_deref().ok() == Some("from guest\n"), || {
        format!("the host has {found:?}")
    })
}

fn share_mapped_file(setup: &Setup) -> Outcome<()> {
    let folder = Scratch::new("share-mapped-file");
    let mut session = with_shares(setup, &local(&folder, "mapped-file"))?;
    posix(setup, &mut session, &without_of_host(setup))?;
    says(setup, &mut session, "ls -a /s | tr '\\n' ' '", ". ..")?;
    power_off(setup, session)
}

/// Node's `fs` has no extended attributes and makes no devices.
fn without_of_host(setup: &Setup) -> Vec<&'static str> {
    let mut without = NEVER.to_vec();
    if setup.emulator[0].ends_with("node") {
        without.extend(["extended-attributes", "special-files"]);
    }
    without
}

fn share_readonly(setup: &Setup) -> Outcome<()> {
    let folder = Scratch::new("share-readonly");
    fs::write(folder.0.join("f"), "here\n").expect("the folder can be written");
    let share = local(&folder, "none") + ",readonly=on";
    let mut session = with_shares(setup, &share)?;
    says(setup, &mut session, "cat /s/f", "here")?;
    let tries = "for c in 'rm /s/f' 'touch /s/g' 'mkdir /s/d' 'mv /s/f /s/g' 'chmod 0 /s/f'; do \
        $c 2>&1 | grep -c 'Read-only'; done | tr -d '\\n'";
    says(setup, &mut session, tries, "11111")?;
    power_off(setup, session)?;
    let left = fs::read_dir(&folder.0).expect("it is there").count();
    check(left == 1, || format!("{left} files are in the folder"))
}
