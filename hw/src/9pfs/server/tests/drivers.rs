//! One body of tests, every driver.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fsdev::memory::Memory;
use fsdev::options::{FsdevOptions, parse_fsdev};
use include::{Errno, FileSystem};

use super::Client;

/// Models in which `local` shares a folder.
pub const MODELS: [&str; 4] = ["passthrough", "none", "mapped-xattr", "mapped-file"];

/// A folder of the host that goes with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tinamou-9p-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the host has a folder for temporary files");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder in a model; `None` where the host or its user cannot do that.
    pub fn share(&self, model: &str, more: &str) -> Option<Arc<dyn FileSystem>> {
        let chown = |id| std::os::unix::fs::chown(&self.0, id, id);
        let is_root = chown(Some(1)).and_then(|()| chown(Some(0))).is_ok();
        if !is_root && !model.starts_with("mapped") {
            println!("{model}: skipped, since only root can own files of others");
            return None;
        }
        let fs = fsdev::open(&self.options(model, more));
        fs.inspect_err(|error| println!("{model}: skipped: {error}"))
            .ok()
    }

    pub fn options(&self, model: &str, more: &str) -> FsdevOptions {
        let path = self.0.display();
        let text = format!("local,id=test,path={path},security_model={model}{more}");
        parse_fsdev(&text).expect("the options are right")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a body over an empty share of each driver, and checks that nothing is left behind in the
/// driver when the client is gone.
pub fn on_every_driver(body: impl Fn(&mut Client)) {
    let fs = Memory::new(64 << 20);
    let mut client = Client::new(fs.clone());
    println!("memory");
    body(&mut client);
    client.begin();
    client.clunk(super::client::TOP).expect("it is attached");
    drop(client);
    wait_until(|| fs.in_use() == (0, 0));
    on_every_folder(|client, _, _| body(client));
}

/// As [`on_every_driver`], but where there are no extended attributes that is all that is checked.
pub fn on_every_driver_with_xattrs(body: impl Fn(&mut Client)) {
    on_every_driver(|client| match client.xattr(super::client::TOP, b"user.x") {
        Err(Errno::EOPNOTSUPP) => {
            let set = client.set_xattr(super::client::TOP, b"user.x", b"x", 0);
            assert_eq!(set, Err(Errno::EOPNOTSUPP));
        }
        _ => body(client),
    });
}

/// Runs a body over an empty folder of the host in each model, with its path and the model's name.
pub fn on_every_folder(body: impl Fn(&mut Client, &Path, &str)) {
    for model in MODELS {
        let folder = Folder::new();
        let Some(fs) = folder.share(model, "") else {
            continue;
        };
        println!("{model}");
        body(&mut Client::new(fs), folder.path(), model);
    }
}

/// Files that nobody clunked are closed by a worker.
pub fn wait_until(done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 60, "it never happens");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
