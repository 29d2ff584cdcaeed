//! Debian on a root file system of its own (`scripts/make-rootfs`): it boots to a login from a disk
//! or a shared folder, installs packages from a share (`scripts/make-guest-repo`), and works with
//! them on the root, on a second disk and on a share. Afterwards the host finds all in order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{Failure, Outcome, Session, check};

use crate::tests::{Answer, Test};

/// Where the root file system of the guest is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Root {
    Raw,
    Qcow2,
    /// A shared folder.
    NineP,
}

impl Root {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            "9p" => Ok(Self::NineP),
            _ => Err(format!("--root {text}: a root is raw, qcow2 or 9p")),
        }
    }

    /// What it is called in build/rootfs.
    fn file(self) -> &'static str {
        match self {
            Self::Raw => "disk.raw",
            Self::Qcow2 => "disk.qcow2",
            Self::NineP => "tree",
        }
    }

    fn append(self) -> &'static str {
        match self {
            Self::Raw | Self::Qcow2 => "root=/dev/vda rw",
            Self::NineP => {
                "root=root rootfstype=9p \
                 rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=mmap rw"
            }
        }
    }
}

/// A copy of the root file system, a second disk and a share, in a folder that vanishes.
pub struct Machine {
    root: Root,
    folder: PathBuf,
    repo: PathBuf,
}

/// Runs a program of the host, which must be content.
fn host(program: &str, args: &[&str]) -> Outcome<()> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|e| Failure::Start(program.into(), e))?;
    check(output.status.success(), || {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        format!(
            "{program} {}: {}\n{out}{err}",
            args.join(" "),
            output.status
        )
    })
}

const SECOND_DISK_BYTES: u64 = 256 << 20;

impl Machine {
    /// `build` is the folder with `rootfs` and `guest-repo`.
    pub fn new(root: Root, build: &Path) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("tinamou-debian-{}", std::process::id()));
        // What a killed run left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("share")).expect("a temporary folder can be made");
        let machine = Self {
            root,
            folder,
            repo: build.join("guest-repo"),
        };
        let second = fs::File::create(machine.folder.join("second.raw")).expect("it can be made");
        second.set_len(SECOND_DISK_BYTES).expect("it can be sparse");
        let from = build.join("rootfs").join(root.file());
        host("cp", &["-a", &from.to_string_lossy(), &machine.path("")])?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The emulator's options for its devices; the root is the first.
    pub fn options(&self) -> Vec<String> {
        let root = self.path(self.root.file());
        let (kind, root) = match self.root {
            Root::Raw => ("-drive", format!("file={root},format=raw,discard=unmap")),
            Root::Qcow2 => ("-drive", format!("file={root},format=qcow2,discard=unmap")),
            Root::NineP => (
                "-virtfs",
                format!("local,path={root},mount_tag=root,security_model=passthrough"),
            ),
        };
        let second = format!("file={},format=raw", self.path("second.raw"));
        let share = self.path("share");
        let share = format!("local,path={share},mount_tag=share,security_model=passthrough");
        let repo = self.repo.display();
        let repo = format!("local,path={repo},mount_tag=repo,security_model=none,readonly=on");
        [
            (kind, root),
            ("-drive", second),
            ("-virtfs", share),
            ("-virtfs", repo),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
    }

    pub fn append(&self) -> String {
        format!("console=ttyS0 quiet {}", self.root.append())
    }

    /// Logs in, and mounts the shares. /dev/second is the disk that is not the root.
    pub fn log_in(&self, session: &mut Session, limit: Duration) -> Outcome<()> {
        session.expect("login:", limit)?;
        session.send("root\n");
        session.expect("# ", limit)?;
        // A shell without line editing, and a terminal that never wraps.
        session.send("stty cols 2000 rows 50; exec env TERM=dumb PS1='# ' dash\n");
        session.expect("# ", limit)?;
        let second = if self.root == Root::NineP {
            "vda"
        } else {
            "vdb"
        };
        let mount = format!(
            "ln -s /dev/{second} /dev/second; mkdir -p /mnt/repo /mnt/share; \
             for tag in repo share; do mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 \
             $tag /mnt/$tag || echo no $tag; done"
        );
        let said = session.shell(&mount, limit)?;
        check(!said.contains("no "), || said.clone())
    }

    /// Powers off, and looks at what the guest left.
    pub fn power_off(&self, session: &mut Session, limit: Duration) -> Outcome<()> {
        session.send("poweroff\n");
        let status = session.finish(limit)?;
        check(status == 0, || format!("exit status {status}"))?;
        let disk = self.path(self.root.file());
        match self.root {
            Root::Raw => host("e2fsck", &["-fn", &disk]),
            Root::Qcow2 => {
                host("qemu-img", &["check", &disk])?;
                let raw = self.path("converted.raw");
                host("qemu-img", &["convert", "-O", "raw", &disk, &raw])?;
                host("e2fsck", &["-fn", &raw])
            }
            Root::NineP => Ok(()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It is in a folder for temporary files anyway.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const fn test(
    name: &'static str,
    seconds: u64,
    command: &'static str,
    answer: &'static str,
) -> Test {
    Test {
        name,
        command,
        answer: Answer::Has(answer),
        seconds,
    }
}

/// `fio` writes and reads back what it has written, with checksums; a wrong one is an error.
macro_rules! fio {
    ($name:literal, $options:literal) => {
        test(
            concat!("fio ", $name),
            300,
            concat!(
                "fio --name=v --verify=crc32c --verify_fatal=1 --do_verify=1 --group_reporting ",
                "--minimal --terse-version=3 ",
                $options,
                " > /tmp/fio.out 2>&1 && echo verified || tail -n 20 /tmp/fio.out"
            ),
            "verified",
        )
    };
}

/// All stressors of a class, one after the other; those that the guest's kernel lacks are skipped.
macro_rules! stress {
    ($name:literal, $class:literal, $dir:literal) => {
        test(
            concat!("stress-ng ", $name),
            1200,
            concat!(
                "mkdir -p ",
                $dir,
                "; stress-ng --verify --timeout 1 --sequential 1 --class ",
                $class,
                " --temp-path ",
                $dir,
                " --exclude ramfs,hdd,rofs > /tmp/s.out 2>&1 && echo all good || ",
                "grep -v -e skipped -e 'info:' /tmp/s.out | tail -n 40"
            ),
            "all good",
        )
    };
}

/// Every file that a package brought has its right contents, read anew.
pub const VERIFY: Test = test(
    "dpkg --verify",
    300,
    "echo 3 > /proc/sys/vm/drop_caches; bad=$(dpkg --verify | grep -v ' c '); echo \"$bad\"; \
     [ -z \"$bad\" ] && echo verified",
    "verified",
);

/// In this order: what follows the first needs its packages.
pub const TESTS: &[Test] = &[
    test(
        "apt",
        900,
        "rm -f /etc/apt/sources.list.d/*; \
         echo 'deb [trusted=yes] file:/mnt/repo ./' > /etc/apt/sources.list; \
         export DEBIAN_FRONTEND=noninteractive; \
         apt-get -q update > /tmp/apt.out 2>&1 && \
         apt-get -q -y --no-install-recommends install fio stress-ng git gcc libc6-dev \
         >> /tmp/apt.out 2>&1 && dpkg --audit && echo installed || tail -n 30 /tmp/apt.out",
        "installed",
    ),
    VERIFY,
    test(
        "git and gcc",
        300,
        "cd /root && rm -rf a b && git init -q a && cd a && git config user.name n && \
         git config user.email e@e && \
         printf '#include <stdio.h>\\nint main(void) { return puts(\"built\") < 0; }\\n' > m.c && \
         seq 20000 > numbers && git add . && git commit -q -m one && cd .. && git clone -q a b && \
         cd b && git fsck --strict 2>&1 && gcc -O2 -o m m.c && ./m && cmp numbers ../a/numbers; \
         cd /root",
        "built",
    ),
    test(
        "gcc on a share",
        300,
        "cd /mnt/share && cp -r /root/a . && git clone -q a b && cd b && gcc -O2 -o m m.c && ./m; \
         cd /root",
        "built",
    ),
    fio!(
        "on the root",
        "--directory=/root --size=16m --numjobs=2 --rw=randrw --bsrange=512-64k --fsync=32"
    ),
    fio!(
        "mmap on the root",
        "--directory=/root --size=16m --rw=randwrite --bs=4k --ioengine=mmap"
    ),
    fio!(
        "on a disk",
        "--filename=/dev/second --direct=1 --ioengine=libaio --iodepth=16 --size=64m \
         --rw=randwrite --bs=4k"
    ),
    test(
        "zeroes on a disk",
        300,
        "yes | head -c 96M > /dev/second; blkdiscard -z -o 64M -l 16M /dev/second && \
         blkdiscard -o 80M -l 16M /dev/second && sync && echo 3 > /proc/sys/vm/drop_caches && \
         cmp -n 16777216 -i 67108864:0 /dev/second /dev/zero && \
         yes | cmp -n 67108864 - /dev/second && echo zeroed",
        "zeroed",
    ),
    fio!(
        "on a share",
        "--directory=/mnt/share --size=16m --numjobs=2 --rw=randrw --bsrange=512-64k --fsync=32"
    ),
    stress!("filesystem on the root", "filesystem", "/root/s"),
    stress!("io on the root", "io", "/root/s"),
    stress!("filesystem on a share", "filesystem", "/mnt/share/s"),
    stress!("io on a share", "io", "/mnt/share/s"),
    test(
        "purge",
        300,
        "apt-get -q -y purge fio git > /tmp/apt.out 2>&1 && ! test -e /usr/bin/fio && \
         dpkg --audit && echo purged || tail -n 30 /tmp/apt.out",
        "purged",
    ),
];
