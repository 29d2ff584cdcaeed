//! Others on the host rename and swap files, folders and symbolic links in a share while clients
//! use it: nothing outside of the shared folder is read or changed.
//!
//! Beside the share there is a folder with the same names in it, which has to stay as it is. What
//! swaps puts links to it where folders, files, and the folders of metadata were. `FUZZ_RUNS`
//! (default 1500, for each client) and `FUZZ_SEED` are as in `tests/fuzz`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::options::{Driver, parse_fsdev};
use folder::META_FOLDER;
use include::fsdev::SetTime;

/// What the files outside contain, and no other.
const SECRET: &[u8] = b"outside!";
const CLIENTS: u64 = 2;
const NAMES: [&str; 4] = ["a", "b", "f", "g"];
const OWNER: Owner = Owner { uid: 0, gid: 0 };

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A share in a folder that goes with the test, and what is beside it.
struct Scene {
    top: PathBuf,
    fs: Arc<Local>,
}

impl Scene {
    /// None where the host's file system does not have what the model needs.
    fn new(model: &str) -> Option<Self> {
        let name = format!("tinamou-races-{}-{model}", std::process::id());
        let top = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&top);
        fill(&top.join("share"), b"inside");
        fill(&top.join("outside"), SECRET);
        let path = top.join("share");
        let text = format!("local,id=f,path={},security_model={model}", path.display());
        let Driver::Local(options) = parse_fsdev(&text).unwrap().driver else {
            panic!("it is local");
        };
        let fs = Local::open(&options).ok()?;
        Some(Self { top, fs })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.top);
    }
}

/// Folders a and b with folders a and b, each with files f and g and metadata.
fn fill(top: &Path, text: &[u8]) {
    let meta = std::str::from_utf8(META_FOLDER).unwrap();
    for folder in ["", "a", "b", "a/a", "a/b", "b/a", "b/b"] {
        let folder = top.join(folder);
        fs::create_dir_all(folder.join(meta)).unwrap();
        for file in ["f", "g"] {
            fs::write(folder.join(file), text).unwrap();
            fs::write(folder.join(meta).join(file), "virtfs.mode=33188\n").unwrap();
        }
    }
}

/// Everything about what is below a folder that a client could have changed.
fn state(top: &Path) -> BTreeMap<PathBuf, (Vec<u64>, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let owner = u64::from(stat.uid()) << 32 | u64::from(stat.gid());
            // The change time, since that tells of attributes too.
            let times = [stat.mtime_nsec() as u64, stat.ctime_nsec() as u64];
            let mut numbers = vec![stat.mode().into(), stat.nlink(), owner, stat.size()];
            numbers.extend(times);
            let is_folder = stat.is_dir();
            let bytes = match is_folder {
                true => Vec::new(),
                false => fs::read(&path).unwrap(),
            };
            if is_folder {
                folders.push(path.clone());
            }
            found.insert(path, (numbers, bytes));
        }
    }
    found
}

/// One change by others: something makes room for a link to its like outside, or for something
/// else of the share, and comes back. Whatever of it cannot be is left out, since clients change
/// the share too. This does not follow the links either.
fn swap(top: &Path, share: &HostDir, random: &mut Random) -> Result<(), Errno> {
    let outside = top.join("outside");
    let mut below = PathBuf::new();
    let mut dir = share.try_clone()?;
    for _ in 0..random.below(3) {
        let name = NAMES[random.below(2)];
        dir = dir.open_dir(name.as_bytes())?;
        below.push(name);
    }
    let meta = std::str::from_utf8(META_FOLDER).unwrap();
    let name = match random.below(6) {
        0 => meta,
        other => {
            if other == 1 {
                dir = dir.open_dir(META_FOLDER)?;
                below.push(meta);
            }
            random.name()
        }
    };
    below.push(name);
    let target = match random.below(4) {
        // Links that lead out by another way, or to the folder above the share.
        0 => top.join("share").join("..").join("outside"),
        1 => top.to_path_buf(),
        _ => outside.join(below),
    };
    let target = target.as_os_str().as_bytes();
    let (name, away) = (name.as_bytes(), format!("away{}", random.below(2)));
    if dir.rename_to(name, share, away.as_bytes()).is_err() {
        return dir.symlink(target, name);
    }
    let _ = match random.below(3) {
        0 => share.rename_to(random.name().as_bytes(), &dir, name),
        _ => dir.symlink(target, name),
    };
    for _ in 0..random.below(200) {
        std::hint::spin_loop();
    }
    let _ = dir.unlink(name);
    share.rename_to(away.as_bytes(), &dir, name)
}

/// A client with some nodes, which does what it likes.
struct Client<'a> {
    fs: &'a Local,
    random: Random,
    nodes: Vec<NodeId>,
    handles: Vec<HandleId>,
    done: &'a [AtomicUsize; 2],
}

impl Client<'_> {
    fn run(&mut self, count: u64) {
        for _ in 0..count {
            let result = self.step();
            self.done[usize::from(result.is_err())].fetch_add(1, Ordering::Relaxed);
            while self.nodes.len() > 12 {
                let at = self.random.below(self.nodes.len());
                self.fs.forget(self.nodes.swap_remove(at));
            }
            while self.handles.len() > 6 {
                let at = self.random.below(self.handles.len());
                self.fs.close(self.handles.swap_remove(at));
            }
        }
        self.nodes.drain(..).for_each(|node| self.fs.forget(node));
        self.handles
            .drain(..)
            .for_each(|handle| self.fs.close(handle));
    }

    fn node(&mut self) -> NodeId {
        match self.random.below(4) {
            0 => ROOT,
            _ => *self.nodes.get(self.random.below(12)).unwrap_or(&ROOT),
        }
    }

    fn keep(&mut self, entry: Entry) {
        self.nodes.push(entry.node);
    }

    fn step(&mut self) -> Result<(), Errno> {
        let (node, other, name) = (self.node(), self.node(), self.random.name().as_bytes());
        let fs = self.fs;
        match self.random.below(20) {
            0..=5 => self.keep(fs.lookup(node, name)?),
            6 | 7 => self.open(node)?,
            8 | 9 => self.create(node, name)?,
            10 => fs.unlink(node, name, self.random.below(2) == 0)?,
            11 => self.keep(fs.make_folder(node, name, 0o755, OWNER)?),
            12 => fs.rename(node, name, other, self.random.name().as_bytes())?,
            13 => self.set_attr(node)?,
            14 => fs.set_xattr(node, b"user.x", b"changed", 0)?,
            15 => fs.link(other, node, name)?,
            16 => self.keep(fs.make_link(node, name, b"/outside", OWNER)?),
            17 => self.look(node)?,
            18 => self.keep(fs.make_node(node, name, mode::FIFO | 0o600, 0, OWNER)?),
            _ => fs.remove_xattr(node, b"user.x")?,
        }
        Ok(())
    }

    fn set_attr(&mut self, node: NodeId) -> Result<(), Errno> {
        let changes = SetAttr {
            mode: Some(0o700),
            uid: (self.random.below(2) == 0).then_some(12),
            size: (self.random.below(3) == 0).then_some(3),
            modified: Some(SetTime::Now),
            ..SetAttr::default()
        };
        self.fs.set_attr(node, None, &changes)
    }

    /// What can only be read must not be from outside.
    fn look(&mut self, node: NodeId) -> Result<(), Errno> {
        self.fs.list_xattrs(node)?;
        let attr = self.fs.get_attr(node, None)?;
        if attr.kind() == mode::REGULAR {
            assert_ne!(
                attr.size,
                SECRET.len() as u64,
                "a file outside was looked at"
            );
        }
        Ok(())
    }

    fn open(&mut self, node: NodeId) -> Result<(), Errno> {
        let flags = [OpenFlags::READ_ONLY, OpenFlags::READ_WRITE, TRUNCATE][self.random.below(3)];
        let (handle, attr) = self.fs.open(node, OpenFlags(flags))?;
        self.handles.push(handle);
        match attr.is_folder() {
            true => self.fs.read_dir(handle, 0, &mut |_| true),
            false => self.read_and_write(handle),
        }
    }

    fn create(&mut self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        let flags = [OpenFlags::READ_WRITE, TRUNCATE][self.random.below(2)];
        let (entry, handle) = self.fs.create(node, name, OpenFlags(flags), 0o644, OWNER)?;
        self.keep(entry);
        self.handles.push(handle);
        self.read_and_write(handle)
    }

    fn read_and_write(&mut self, handle: HandleId) -> Result<(), Errno> {
        let mut buf = [0; SECRET.len()];
        self.fs.read(handle, 0, &mut buf)?;
        assert_ne!(&buf, SECRET, "a file outside was read");
        self.fs.write(handle, 0, b"changed").map(|_| ())
    }
}

const TRUNCATE: u32 = OpenFlags::READ_WRITE | OpenFlags::TRUNCATE;

fn check(model: &str) {
    let Some(scene) = Scene::new(model) else {
        eprintln!("{model}: the folder for temporary files does not have what it needs");
        return;
    };
    let outside = scene.top.join("outside");
    let (before, end, done) = (state(&outside), AtomicBool::new(false), Default::default());
    let (runs, seed) = (number("FUZZ_RUNS", 1500), number("FUZZ_SEED", 1));
    let random =
        |number: u64| Random((seed << 8 | number | 1 << 63).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    std::thread::scope(|scope| {
        let (end, top) = (&end, &scene.top);
        scope.spawn(move || {
            let mut random = random(0);
            let share = HostDir::open_root(top.join("share").as_os_str().as_bytes()).unwrap();
            while !end.load(Ordering::Relaxed) {
                let _ = swap(top, &share, &mut random);
            }
        });
        let clients = (1..=CLIENTS).map(|number| {
            let mut client = Client {
                fs: &scene.fs,
                random: random(number),
                nodes: Vec::new(),
                handles: Vec::new(),
                done: &done,
            };
            scope.spawn(move || client.run(runs))
        });
        let clients: Vec<_> = clients.collect();
        let results: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        end.store(true, Ordering::Relaxed);
        assert!(
            results.iter().all(Result::is_ok),
            "a client saw what is outside"
        );
    });
    assert_eq!(
        before,
        state(&outside),
        "{model}: what is outside has changed"
    );
    // A tenth of each, or the test tests little.
    let [good, bad] = done.map(AtomicUsize::into_inner);
    let all = good + bad;
    assert!(
        good > all / 20 && bad > all / 20,
        "{model}: {good} good, {bad} bad"
    );
}

#[test]
fn nothing_outside_without_a_model() {
    check("none");
}

#[test]
fn nothing_outside_with_passthrough() {
    check("passthrough");
}

#[test]
fn nothing_outside_with_mapped_xattr() {
    check("mapped-xattr");
}

#[test]
fn nothing_outside_with_mapped_file() {
    check("mapped-file");
}
