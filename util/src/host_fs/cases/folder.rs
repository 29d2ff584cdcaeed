//! A folder for one check, removed afterwards.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::host_fs::{HostDir, HostFile, OpenFlags};

pub struct Folder {
    parent: HostDir,
    name: Vec<u8>,
    pub dir: HostDir,
    /// Its absolute path.
    pub path: String,
}

impl Folder {
    /// A new one where the host has its temporary files.
    pub fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = now.expect("it is after 1970").as_nanos();
        let name = format!("tinamou-host_fs-{nanos}-{count}");
        let temp = std::env::temp_dir().to_string_lossy().into_owned();
        let parent = HostDir::open_root(temp.as_bytes()).expect("there are temporary files");
        parent.mkdir(name.as_bytes(), 0o700).unwrap();
        let path = format!("{temp}/{name}");
        Self {
            dir: HostDir::open_root(path.as_bytes()).unwrap(),
            parent,
            name: name.into_bytes(),
            path,
        }
    }

    /// A new file.
    pub fn file(&self, name: &[u8]) -> HostFile {
        let flags = OpenFlags::READ_WRITE | OpenFlags::EXCLUSIVE;
        self.dir.create(name, flags, 0o644).unwrap()
    }

    /// A new file with something in it.
    pub fn write(&self, name: &[u8], data: &[u8]) {
        self.file(name).write_all_at(data, 0).unwrap();
    }

    pub fn read(&self, name: &[u8]) -> Vec<u8> {
        let file = self.dir.open_file(name, OpenFlags::READ).unwrap();
        let mut data = vec![0; file.size().unwrap() as usize];
        assert_eq!(file.read_full_at(&mut data, 0), Ok(data.len()));
        data
    }

    /// What the folder has, in order.
    pub fn names(&self) -> Vec<Vec<u8>> {
        names(&self.dir)
    }
}

fn names(dir: &HostDir) -> Vec<Vec<u8>> {
    let entries = dir.read_dir().unwrap().read(0, usize::MAX).unwrap();
    let names = entries.into_iter().map(|entry| entry.name);
    let mut names: Vec<_> = names.filter(|name| name != b"." && name != b"..").collect();
    names.sort();
    names
}

fn empty(dir: &HostDir) {
    for name in names(dir) {
        if let Ok(below) = dir.open_dir(&name) {
            empty(&below);
            dir.rmdir(&name).unwrap();
        } else {
            dir.unlink(&name).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            empty(&self.dir);
            self.parent.rmdir(&self.name).unwrap();
        }
    }
}

/// Runs a command of the host: its exit status, in the bits of `wait`. (std has no processes under
/// emscripten, whose `system` asks Node for one.)
#[expect(unsafe_code, reason = "a C function")]
pub fn shell(command: &str) -> i32 {
    let command = std::ffi::CString::new(command).expect("no NUL");
    // SAFETY: a string with its NUL.
    unsafe { libc::system(command.as_ptr()) }
}
