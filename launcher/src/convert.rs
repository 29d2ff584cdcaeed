//! `launcher convert`: an image becomes a static folder.
//!
//! **What must hold:** everything is written into a folder of its own beside OUT, which takes OUT's
//! name when all of it is there, and is gone when that does not come to be.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use block::chunked::format::{CHUNK_BYTES, Index};
use block::chunked::writer::{Prepared, Writer, prepare};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cpio::{self, Cpio, gzip};
use crate::guests::{self, Guest};
use crate::layer::{self, Guarded};
use crate::machine::{self, Entrypoint};
use crate::oci::{self, Store, Wanted};
use crate::progress::Progress;
use crate::spool::Spool;
use crate::tree::Tree;
use crate::{ext4, folder, page};

/// What the command line says.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// An OCI layout, an OCI or docker archive, or a root file system (folder or tarball)
    pub image: PathBuf,
    /// The folder to make
    pub out: PathBuf,
    /// The program's arguments, instead of the image's
    #[arg(last = true)]
    pub args: Vec<String>,
    /// The program to run, instead of the image's
    #[arg(long)]
    pub entrypoint: Option<String>,
    /// A variable for it (KEY=VALUE)
    #[arg(short = 'e', long = "env")]
    pub env: Vec<String>,
    /// Its working folder
    #[arg(short = 'w', long)]
    pub workdir: Option<String>,
    /// Its user (USER or USER:GROUP, names or numbers)
    #[arg(short = 'u', long)]
    pub user: Option<String>,
    /// Adds a folder or file of this machine to the image (HOST:GUEST)
    #[arg(short = 'v', long = "volume")]
    pub volumes: Vec<String>,
    /// The guest's name
    #[arg(long, default_value = "tinamou")]
    pub hostname: String,
    /// The guest's memory in the emulator's notation
    #[arg(long, default_value = "512M")]
    pub memory: String,
    /// How many CPUs
    #[arg(long, default_value_t = 1)]
    pub cpus: u32,
    /// Another kernel than the kit's; what it needs must be in it
    #[arg(long)]
    pub kernel: Option<PathBuf>,
    /// More for the kernel's command line
    #[arg(long, default_value = "")]
    pub append: String,
    /// What a page shows
    #[arg(long)]
    pub title: Option<String>,
    /// The architecture of the guest
    #[arg(long, default_value = "riscv64")]
    pub arch: String,
    /// Which image, when there are several
    #[arg(long)]
    pub tag: Option<String>,
    /// Room for new files on the disk, in MiB
    #[arg(long, default_value_t = 1024)]
    pub free: u64,
    /// What all files of the image may have, in MiB
    #[arg(long, default_value_t = 16384)]
    pub max_size: u64,
    /// The kit of scripts/make-launcher-kit
    #[arg(long, env = "TINAMOU_KIT")]
    pub kit: Option<PathBuf>,
    /// Where a page keeps what the guest writes: opfs:NAME, the browser's own storage
    #[arg(long, default_value = machine::IN_MEMORY)]
    pub overlay: String,
    /// The page to put beside it, instead of web/dist
    #[arg(long)]
    pub page: Option<PathBuf>,
    /// No page: the folder is for `launcher run`
    #[arg(long, conflicts_with = "page")]
    pub no_page: bool,
    /// No progress bars
    #[arg(short, long)]
    pub quiet: bool,
}

/// The folder that is being written, for who ends the process.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Removes what is not finished. The lock stays held after the end: nothing is begun or renamed.
pub fn give_up() -> ! {
    let unfinished = UNFINISHED.lock();
    if let Ok(Some(folder)) = unfinished.as_deref() {
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(130)
}

/// The folder beside OUT.
struct Unfinished(PathBuf);

impl Unfinished {
    fn begin(out: &Path) -> Result<Self, String> {
        let fail = |path: &Path, reason: &str| format!("'{}': {reason}", path.display());
        if fs::symlink_metadata(out).is_ok() {
            return Err(fail(out, "it is there already"));
        }
        let name = out
            .file_name()
            .ok_or_else(|| fail(out, "it is no new folder"))?;
        let mut name = name.to_os_string();
        name.push(format!(".tmp-{}", std::process::id()));
        let folder = out.with_file_name(name);
        let mut unfinished = UNFINISHED.lock().map_err(|error| error.to_string())?;
        fs::create_dir(&folder).map_err(|error| fail(&folder, &error.to_string()))?;
        *unfinished = Some(folder.clone());
        Ok(Self(folder))
    }

    fn finish(self, out: &Path) -> Result<(), String> {
        let mut unfinished = UNFINISHED.lock().map_err(|error| error.to_string())?;
        // An empty folder that somebody made meanwhile is all that this could take the place of.
        let renamed = fs::rename(&self.0, out);
        renamed.map_err(|error| format!("'{}': {error}", out.display()))?;
        *unfinished = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Ok(mut unfinished) = UNFINISHED.lock() else {
            return;
        };
        if unfinished.take().is_some() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Files that the launcher itself brings.
struct Kit {
    folder: PathBuf,
}

impl Kit {
    /// The one that is named, or `launcher-kit` beside the program or in a `build` above it.
    fn find(named: Option<&Path>, guest: &Guest) -> Result<Self, String> {
        let program = std::env::current_exe().unwrap_or_default();
        let above = program.ancestors().skip(1);
        let usual =
            above.flat_map(|dir| [dir.join("launcher-kit"), dir.join("build/launcher-kit")]);
        let mut places = named
            .map(Path::to_path_buf)
            .into_iter()
            .chain(usual.filter(|_| named.is_none()));
        let folder = places.find(|place| place.join(guest.arch).join("init").is_file());
        let folder = folder.ok_or(
            "the launcher's kit is not there: scripts/make-launcher-kit makes it, --kit names it",
        )?;
        Ok(Self {
            folder: folder.join(guest.arch),
        })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        read(&self.folder.join(name))
    }

    /// Names and bytes of the modules, in the order in which they are loaded.
    fn modules(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let folder = self.folder.join("modules");
        let entries = fs::read_dir(&folder).map_err(|e| format!("'{}': {e}", folder.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        let with_bytes = |name: String| Ok((name.clone(), self.read(&format!("modules/{name}"))?));
        names.into_iter().map(with_bytes).collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("'{}': {error}", path.display()))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = folder.join(name);
    fs::write(&path, bytes).map_err(|error| format!("'{}': {error}", path.display()))
}

pub fn convert(options: &Options) -> Result<(), String> {
    let guest = guests::find(&options.arch)?;
    let kit = Kit::find(options.kit.as_deref(), guest)?;
    let page = match options.no_page {
        true => None,
        false => Some(page::find(options.page.as_deref())?),
    };
    machine::check_overlay(&options.overlay)?;
    let progress = Progress::new(options.quiet);
    let unfinished = Unfinished::begin(&options.out)?;
    let folder = unfinished.0.as_path();
    let limit = options.max_size.saturating_mul(1 << 20);
    let spool = Spool::create(&folder.join("spool"), limit);
    let mut spool = spool.map_err(|error| format!("'{}': {error}", folder.display()))?;
    let mut tree = Tree::new();
    let config = read_image(options, guest, folder, &mut tree, &mut spool, &progress)
        .map_err(|reason| format!("'{}': {reason}", options.image.display()))?;
    for volume in &options.volumes {
        add_volume(&mut tree, &mut spool, volume)?;
    }
    let entrypoint = entrypoint(options, &config)?;
    let index = write_disk(&tree, &spool, options, folder, &progress)?;
    write_files(options, guest, &kit, &entrypoint, folder)?;
    if let Some(page) = &page {
        page::copy(page, folder)?;
    }
    let packs = index
        .uniques
        .iter()
        .map(|unique| u64::from(unique.length))
        .sum::<u64>();
    unfinished.finish(&options.out)?;
    if !options.quiet {
        let (out, disk, packs) = (options.out.display(), index.disk_bytes >> 20, packs >> 10);
        println!("{out}: a disk of {disk} MiB in {packs} KiB");
    }
    Ok(())
}

/// Reads whatever kind of image it is; returns its configuration.
fn read_image(
    options: &Options,
    guest: &Guest,
    folder: &Path,
    tree: &mut Tree,
    spool: &mut Spool,
    progress: &Progress,
) -> Result<Value, String> {
    let failed = |error: io::Error| error.to_string();
    let wanted = Wanted {
        os: "linux",
        arch: guest.arch,
        tag: options.tag.as_deref(),
    };
    let image = &options.image;
    let store = if fs::metadata(image).map_err(failed)?.is_dir() {
        if !image.join("index.json").is_file() || !image.join("oci-layout").is_file() {
            crate::folder::add(tree, spool, image, b"")?;
            return Ok(Value::Null);
        }
        Store::Folder(image.clone())
    } else {
        let archive = plain_archive(image, folder, options, progress).map_err(failed)?;
        let store = Store::of_archive(archive.try_clone().map_err(failed)?);
        let store = store.map_err(|error| format!("it is no image, or damaged: {error}"))?;
        if !store.has("index.json") && !store.has("manifest.json") {
            let (mut archive, bytes) = (&archive, archive.metadata().map_err(failed)?.len());
            archive.rewind().map_err(failed)?;
            let mut reader = Guarded::new(progress.reader("files", bytes, archive));
            layer::add_archive(tree, spool, &mut reader, false)?;
            return Ok(Value::Null);
        }
        store
    };
    let image = match store.has("index.json") {
        true => oci::choose(&store, &wanted)?,
        false => oci::choose_docker(&store, &wanted)?,
    };
    image.add_layers(&store, tree, spool, progress)?;
    Ok(image.config)
}

/// The archive, unpacked into a temporary file if it is packed.
fn plain_archive(
    image: &Path,
    folder: &Path,
    options: &Options,
    progress: &Progress,
) -> io::Result<File> {
    let mut file = File::open(image)?;
    let mut start = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&file, 4), &mut start)?;
    file.rewind()?;
    if !start.starts_with(&[0x1f, 0x8b]) && start != [0x28, 0xb5, 0x2f, 0xfd] {
        return Ok(file);
    }
    let bytes = file.metadata()?.len();
    let reader = layer::unpacked(progress.reader("archive", bytes, file))?;
    let path = folder.join("archive");
    let mut plain = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    let limit = options.max_size.saturating_mul(2 << 20);
    let copied = io::copy(&mut io::Read::take(reader, limit), &mut plain)?;
    if copied == limit {
        return Err(io::Error::other("it is too large (--max-size allows more)"));
    }
    plain.rewind()?;
    Ok(plain)
}

fn add_volume(tree: &mut Tree, spool: &mut Spool, volume: &str) -> Result<(), String> {
    let parts = volume
        .split_once(':')
        .filter(|(host, guest)| !host.is_empty() && guest.starts_with('/'));
    let (host, guest) = parts.ok_or_else(|| format!("-v {volume}: it is not HOST:/GUEST"))?;
    tree.begin_layer();
    let added = folder::add(tree, spool, Path::new(host), guest.as_bytes());
    added.map_err(|reason| format!("-v {volume}: {reason}"))
}

/// What the image says, and the options instead of it, as `docker run` combines them.
fn entrypoint(options: &Options, config: &Value) -> Result<Entrypoint, String> {
    let config = config.get("config").unwrap_or(&Value::Null);
    let list = |key: &str| -> Vec<String> {
        let list = config.get(key).and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        list.map(String::from).collect()
    };
    let text = |key: &str, option: &Option<String>| {
        let of_image = config.get(key).and_then(Value::as_str);
        option
            .as_deref()
            .or(of_image)
            .unwrap_or_default()
            .to_string()
    };
    let mut argv = match &options.entrypoint {
        Some(program) => vec![program.clone()],
        None => list("Entrypoint"),
    };
    match (options.args.is_empty(), &options.entrypoint) {
        (false, _) => argv.extend(options.args.iter().cloned()),
        (true, None) => argv.extend(list("Cmd")),
        (true, Some(_)) => (),
    }
    if argv.is_empty() {
        argv.push("/bin/sh".into());
    }
    let mut entrypoint = Entrypoint {
        argv,
        env: Vec::new(),
        cwd: text("WorkingDir", &options.workdir),
        user: text("User", &options.user),
    };
    for pair in list("Env").iter().chain(&options.env) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() || pair.contains('\0') {
            return Err(format!("-e {pair}: it is not KEY=VALUE"));
        }
        entrypoint.set_env(key, value);
    }
    Ok(entrypoint)
}

fn write_disk(
    tree: &Tree,
    spool: &Spool,
    options: &Options,
    folder: &Path,
    progress: &Progress,
) -> Result<Index, String> {
    let image = options.image.to_string_lossy();
    let sum: [u8; 32] = Sha256::digest(image.as_bytes()).into();
    let uuid = std::array::from_fn(|at| sum[at]);
    let free = options.free.saturating_mul(1 << 20);
    let disk = ext4::plan(tree, spool, free, uuid)?;
    let bar = progress.bytes("disk", disk.bytes());
    let mut writer = Writer::new(&folder.join(machine::DISK));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut at, chunk) = (0, u64::from(CHUNK_BYTES));
    while at < disk.bytes() {
        let batch: Vec<u64> = (0..threads as u64 * 16).map(|n| at + n * chunk).collect();
        let batch: Vec<u64> = batch.into_iter().filter(|at| *at < disk.bytes()).collect();
        let pieces = batch.chunks(batch.len().div_ceil(threads));
        let prepared = std::thread::scope(|scope| -> io::Result<Vec<Prepared>> {
            let disk = &disk;
            let start = |piece| scope.spawn(move || prepare_all(disk, piece));
            let started: Vec<_> = pieces.map(start).collect();
            let mut all = Vec::new();
            for thread in started {
                let done = thread
                    .join()
                    .map_err(|_| io::Error::other("a thread died"))?;
                all.extend(done?);
            }
            Ok(all)
        });
        let prepared = prepared.map_err(|error| error.to_string())?;
        at += prepared.len() as u64 * chunk;
        bar.set_position(at);
        for chunk in prepared {
            writer.push(chunk).map_err(|error| error.to_string())?;
        }
    }
    bar.finish();
    writer
        .finish(disk.bytes())
        .map_err(|error| error.to_string())
}

fn prepare_all(disk: &ext4::Image, places: &[u64]) -> io::Result<Vec<Prepared>> {
    const LEVEL: i32 = 12;
    let mut packer = zstd::bulk::Compressor::new(LEVEL)?;
    let mut buf = vec![0; CHUNK_BYTES as usize];
    let mut all = Vec::new();
    for at in places {
        disk.read(*at, &mut buf)?;
        // A closure that is called once may use the packer.
        let packer = std::cell::RefCell::new(&mut packer);
        all.push(prepare(&buf, |chunk| packer.borrow_mut().compress(chunk))?);
    }
    Ok(all)
}

/// The kernel, the RAM disk, the firmware and `machine.json`.
fn write_files(
    options: &Options,
    guest: &Guest,
    kit: &Kit,
    entrypoint: &Entrypoint,
    folder: &Path,
) -> Result<(), String> {
    let (kernel, modules) = match &options.kernel {
        Some(path) => (read(path)?, Vec::new()),
        None => (kit.read("Image")?, kit.modules()?),
    };
    let kernel = match kernel.starts_with(&[0x1f, 0x8b]) {
        true => kernel,
        false => gzip(&kernel),
    };
    write(folder, machine::KERNEL, &kernel)?;
    let initrd = initrd(options, entrypoint, &kit.read("init")?, &modules);
    write(folder, machine::INITRD, &initrd)?;
    let append = format!("console={} quiet {}", guest.console, options.append);
    let append = append.trim_end();
    let cpus = options.cpus.to_string();
    let drive = machine::drive(machine::DISK);
    let mut args = vec!["-M", guest.machine, "-m", &options.memory, "-smp", &cpus];
    args.extend(["-kernel", machine::KERNEL, "-initrd", machine::INITRD]);
    args.extend([
        "-append",
        append,
        "-drive",
        &drive,
        "-device",
        "virtio-rng-device",
    ]);
    let mut files = json!({
        "kernel": machine::KERNEL, "initrd": machine::INITRD, "disk": machine::DISK,
    });
    if let Some(name) = guest.firmware {
        write(folder, machine::BIOS, &kit.read(name)?)?;
        args.extend(["-bios", machine::BIOS]);
        files["bios"] = json!(machine::BIOS);
    }
    let name = options
        .image
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let document = json!({
        "version": machine::VERSION,
        "title": options.title.as_deref().unwrap_or(&name),
        "arch": guest.arch,
        "memory": options.memory,
        "cpus": options.cpus,
        "append": append,
        "args": args,
        "files": files,
        "overlay": options.overlay,
        "entrypoint": entrypoint.document(),
    });
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    write(folder, machine::NAME, format!("{text}\n").as_bytes())
}

/// The init, what it has to do, and the kernel's modules.
fn initrd(
    options: &Options,
    entrypoint: &Entrypoint,
    init: &[u8],
    modules: &[(String, Vec<u8>)],
) -> Vec<u8> {
    let mut config = entrypoint.document();
    config["hostname"] = json!(options.hostname);
    config["disk"] = json!("/dev/vda");
    config["filesystem"] = json!("ext4");
    let mut initrd = Cpio::new();
    initrd.add("init", cpio::PROGRAM, init);
    initrd.add("config.json", cpio::FILE, config.to_string().as_bytes());
    initrd.add("modules", cpio::FOLDER, &[]);
    for (name, bytes) in modules {
        initrd.add(&format!("modules/{name}"), cpio::FILE, bytes);
    }
    initrd.finish()
}
