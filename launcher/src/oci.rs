//! Container images: OCI layouts in a folder or an archive, and docker's archives. What every blob
//! is to be is checked by its SHA-256.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::layer::{Guarded, add_archive, unpacked};
use crate::progress::Progress;
use crate::spool::Spool;
use crate::tree::{Tree, shown};

/// Documents of images are small.
const DOCUMENT_MAX: u64 = 4 << 20;
const LAYERS_MAX: usize = 1000;
const DEPTH_MAX: usize = 4;

/// Where blobs are.
pub enum Store {
    Folder(PathBuf),
    /// Names with where their bytes are in the file, or what other name they are.
    Archive(File, HashMap<Vec<u8>, Member>),
}

pub enum Member {
    At(u64, u64),
    Link(Vec<u8>),
}

/// What to take of an image that has several.
pub struct Wanted<'a> {
    pub os: &'a str,
    pub arch: &'a str,
    pub tag: Option<&'a str>,
}

/// An image that was chosen.
pub struct Image {
    pub config: Value,
    /// Names of layers in the store, with the digests that they must have packed, if they are
    /// known.
    layers: Vec<(String, Option<String>)>,
    /// The digests that they must have unpacked.
    diff_ids: Vec<String>,
}

impl Store {
    /// An archive that is not packed.
    pub fn of_archive(mut file: File) -> io::Result<Self> {
        let mut members = HashMap::new();
        file.seek(SeekFrom::Start(0))?;
        let mut archive = tar::Archive::new(Guarded::new(&file));
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path_bytes();
            let name = path.strip_prefix(b"./").unwrap_or(&path).to_vec();
            let member = match entry.link_name_bytes() {
                Some(link) => Member::Link(joined(&name, &link)),
                None => Member::At(entry.raw_file_position(), entry.size()),
            };
            members.insert(name, member);
        }
        Ok(Self::Archive(file, members))
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Store::Folder(folder) => folder.join(name).is_file(),
            Store::Archive(_, members) => members.contains_key(name.as_bytes()),
        }
    }

    /// A file of the image and its size. The name must be one that leads nowhere else.
    fn open(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), String> {
        let missing = || format!("it has no '{}'", shown(name.as_bytes()));
        crate::tree::names(name.as_bytes())?;
        match self {
            Store::Folder(folder) => {
                let open = || {
                    let file = File::open(folder.join(name))?;
                    let size = file.metadata()?.len();
                    Ok((Box::new(file) as Box<dyn Read>, size))
                };
                open().map_err(|error: io::Error| format!("{}: {error}", missing()))
            }
            Store::Archive(file, members) => {
                let mut member = members.get(name.as_bytes()).ok_or_else(missing)?;
                if let Member::Link(other) = member {
                    member = members.get(other).ok_or_else(missing)?;
                }
                let Member::At(offset, size) = *member else {
                    return Err(missing());
                };
                let mut file = file;
                let place = SeekFrom::Start(offset);
                file.seek(place).map_err(|error| error.to_string())?;
                Ok((Box::new(file.take(size)), size))
            }
        }
    }

    fn document(&self, name: &str, digest: Option<&str>) -> Result<Value, String> {
        let (reader, size) = self.open(name)?;
        if size > DOCUMENT_MAX {
            return Err(format!("its '{name}' of {size} bytes is too large"));
        }
        let mut bytes = Vec::new();
        let read = reader.take(DOCUMENT_MAX).read_to_end(&mut bytes);
        read.map_err(|error| format!("its '{name}' cannot be read: {error}"))?;
        if let Some(digest) = digest {
            check_digest(name, digest, &Sha256::digest(&bytes))?;
        }
        let value = serde_json::from_slice(&bytes);
        value.map_err(|error| format!("its '{name}' is no JSON: {error}"))
    }
}

/// `link` as seen from the folder of `name`.
fn joined(name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    parts.pop();
    for part in link.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => (),
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_digest(what: &str, digest: &str, found: &[u8]) -> Result<(), String> {
    match digest.strip_prefix("sha256:") {
        Some(wanted) if wanted == hex(found) => Ok(()),
        _ => Err(format!(
            "'{}' does not have its digest {}",
            shown(what.as_bytes()),
            shown(digest.as_bytes())
        )),
    }
}

/// The name of a blob in a layout.
fn blob_name(digest: &str) -> Result<String, String> {
    let plain = |hex: &&str| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    match digest.strip_prefix("sha256:").filter(plain) {
        Some(hex) => Ok(format!("blobs/sha256/{hex}")),
        None => Err(format!(
            "the digest '{}' is no SHA-256",
            shown(digest.as_bytes())
        )),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// Chooses an image of an OCI layout.
pub fn choose(store: &Store, wanted: &Wanted) -> Result<Image, String> {
    let index = store.document("index.json", None)?;
    let mut manifests = Vec::new();
    collect(store, &index, wanted.tag, 0, &mut manifests)?;
    let mut images = Vec::new();
    let mut others = Vec::new();
    for (platform, digest) in manifests {
        let manifest = match &platform {
            Some(platform) if *platform != wanted.platform() => {
                others.push(platform.clone());
                continue;
            }
            _ => store.document(&blob_name(&digest)?, Some(&digest))?,
        };
        let image = image_of(store, &manifest)?;
        let platform = platform_of(&image.config);
        match platform == wanted.platform() {
            true => images.push(image),
            false => others.push(platform),
        }
    }
    pick(images, &others, wanted)
}

impl Wanted<'_> {
    fn platform(&self) -> String {
        format!("{}/{}", self.os, self.arch)
    }
}

fn platform_of(value: &Value) -> String {
    format!("{}/{}", text(value, "os"), text(value, "architecture"))
}

fn pick(mut images: Vec<Image>, others: &[String], wanted: &Wanted) -> Result<Image, String> {
    let platform = wanted.platform();
    match (images.len(), others.is_empty()) {
        (1, _) => Ok(images.remove(0)),
        (0, true) => Err("it has no such image".into()),
        (0, false) => {
            let others = shown(others.join(", ").as_bytes());
            Err(format!("it is for {others}, and {platform} is needed"))
        }
        (count, _) => Err(format!(
            "it has {count} images for {platform}: choose one with --tag"
        )),
    }
}

/// Manifests with the platform that the index says, through nested indexes.
fn collect(
    store: &Store,
    index: &Value,
    tag: Option<&str>,
    depth: usize,
    found: &mut Vec<(Option<String>, String)>,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("its indexes are nested too deep".into());
    }
    for entry in list(index, "manifests") {
        let name = entry.pointer("/annotations/org.opencontainers.image.ref.name");
        let name = name.and_then(Value::as_str).unwrap_or_default();
        if tag.is_some_and(|tag| depth == 0 && name != tag) {
            continue;
        }
        if found.len() >= LAYERS_MAX {
            return Err("it has too many manifests".into());
        }
        let (kind, digest) = (text(entry, "mediaType"), text(entry, "digest"));
        if kind.contains("index") || kind.contains("manifest.list") {
            let inner = store.document(&blob_name(digest)?, Some(digest))?;
            collect(store, &inner, None, depth + 1, found)?;
            continue;
        }
        let platform = entry.get("platform").map(platform_of);
        found.push((platform, digest.into()));
    }
    Ok(())
}

fn image_of(store: &Store, manifest: &Value) -> Result<Image, String> {
    let digest = text(manifest.get("config").unwrap_or(&Value::Null), "digest");
    let config = store.document(&blob_name(digest)?, Some(digest))?;
    let mut layers = Vec::new();
    for layer in list(manifest, "layers") {
        let digest = text(layer, "digest");
        layers.push((blob_name(digest)?, Some(digest.to_string())));
    }
    with_diff_ids(config, layers)
}

fn with_diff_ids(config: Value, layers: Vec<(String, Option<String>)>) -> Result<Image, String> {
    let ids = config.pointer("/rootfs/diff_ids").and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    let diff_ids: Vec<String> = ids.map(String::from).collect();
    if diff_ids.len() != layers.len() || layers.len() > LAYERS_MAX {
        let (layers, ids) = (layers.len(), diff_ids.len());
        return Err(format!(
            "it has {layers} layers, and its configuration names {ids}"
        ));
    }
    Ok(Image {
        config,
        layers,
        diff_ids,
    })
}

/// Chooses an image of docker's archive.
pub fn choose_docker(store: &Store, wanted: &Wanted) -> Result<Image, String> {
    let manifest = store.document("manifest.json", None)?;
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for entry in manifest.as_array().into_iter().flatten() {
        let tagged = |tag| list(entry, "RepoTags").iter().any(|name| name == tag);
        if wanted.tag.is_some_and(|tag| !tagged(tag)) {
            continue;
        }
        let name = text(entry, "Config");
        let last = name.rsplit('/').next().unwrap_or_default();
        let digest = last.trim_end_matches(".json");
        let digest = format!("sha256:{digest}");
        let config = store.document(name, Some(&digest))?;
        let names = list(entry, "Layers").iter().filter_map(Value::as_str);
        let image = with_diff_ids(config, names.map(|name| (name.into(), None)).collect())?;
        let platform = platform_of(&image.config);
        match platform == wanted.platform() {
            true => images.push(image),
            false => others.push(platform),
        }
    }
    pick(images, &others, wanted)
}

/// Counts and hashes what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.hash.update(&buf[..count]);
        Ok(count)
    }
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        let hash = Sha256::new();
        Self { inner, hash }
    }
}

impl Image {
    /// Puts all layers into the tree.
    pub fn add_layers(
        &self,
        store: &Store,
        tree: &mut Tree,
        spool: &mut Spool,
        progress: &Progress,
    ) -> Result<(), String> {
        for (number, (name, digest)) in self.layers.iter().enumerate() {
            let (reader, size) = store.open(name)?;
            let text = format!("layer {} of {}", number + 1, self.layers.len());
            let reader = progress.reader(&text, size, reader);
            let digests = (digest.as_deref(), self.diff_ids[number].as_str());
            tree.begin_layer();
            let added = add_layer(tree, spool, reader, digests, name);
            added.map_err(|reason| format!("layer '{}': {reason}", shown(name.as_bytes())))?;
        }
        Ok(())
    }
}

/// Reads a layer to its very end: only then its digests say something.
fn add_layer(
    tree: &mut Tree,
    spool: &mut Spool,
    reader: impl Read,
    digests: (Option<&str>, &str),
    name: &str,
) -> Result<(), String> {
    let damaged = |error: io::Error| format!("it is damaged: {error}");
    let mut packed = Hashing::new(reader);
    let (added, diff) = {
        let mut plain = Hashing::new(unpacked(&mut packed).map_err(damaged)?);
        let limit = spool.limit().saturating_mul(2).saturating_add(64 << 20);
        let mut guarded = Guarded::new((&mut plain).take(limit));
        let added = add_archive(tree, spool, &mut guarded, true);
        let drained = io::copy(&mut guarded, &mut io::sink());
        (drained.map_err(damaged).and(added), plain.hash.finalize())
    };
    // A wrong digest says more than what is damaged because of it.
    if let Some(digest) = digests.0 {
        io::copy(&mut packed, &mut io::sink()).map_err(damaged)?;
        check_digest(name, digest, &packed.hash.finalize())?;
    }
    added?;
    check_digest(&format!("{name}, unpacked,"), digests.1, &diff)
}
