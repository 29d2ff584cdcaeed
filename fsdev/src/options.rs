//! `-fsdev` and `-virtfs`: QEMU's options, typed.

use std::path::PathBuf;
use std::time::Duration;

use util::cutils;
use util::keyval::KeyVal;

/// Room of a `memory` share unless `size=` says otherwise.
const MEMORY_BYTES: u64 = 256 << 20;
/// Seconds for a request, as disks have it.
const HTTP_TIMEOUT: u64 = 20;
/// Permissions of files and folders that mapped modes make, where the options say nothing.
const MAPPED_FILE_MODE: u32 = 0o600;
const MAPPED_FOLDER_MODE: u32 = 0o700;

/// `-fsdev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsdevOptions {
    pub id: String,
    pub readonly: bool,
    pub driver: Driver,
}

/// `-virtfs`: a share and the device that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtfsOptions {
    pub fsdev: FsdevOptions,
    pub mount_tag: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    Local(LocalOptions),
    Synth,
    Memory(MemoryOptions),
    Opfs(OpfsOptions),
    Http(HttpOptions),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpfsOptions {
    /// Below the top of the storage.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Of the index; paths in it are relative to its place.
    pub url: String,
    /// For one request.
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    pub path: PathBuf,
    pub security: Security,
    /// `writeout=immediate`: what the guest writes goes to the disk at once.
    pub sync_writes: bool,
    /// Permissions on the host, in the mapped models.
    pub file_mode: u32,
    pub folder_mode: u32,
    pub devices: MultiDevices,
}

/// `security_model=`: where owner, mode and type of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// On the file itself.
    Passthrough,
    /// The same, but a new file need not become the guest's user's.
    None,
    /// In extended attributes.
    MappedXattr,
    /// In files in a folder that the guest does not see.
    MappedFile,
}

impl Security {
    pub const NAMES: [(&str, Self); 5] = [
        ("passthrough", Self::Passthrough),
        ("none", Self::None),
        ("mapped-xattr", Self::MappedXattr),
        ("mapped-file", Self::MappedFile),
        ("mapped", Self::MappedXattr),
    ];

    pub fn is_mapped(self) -> bool {
        matches!(self, Self::MappedXattr | Self::MappedFile)
    }
}

/// `multidevs=`: what to do when the share has files of several devices, whose numbers may meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiDevices {
    /// Say so.
    #[default]
    Warn,
    /// Give each file a number of its own.
    Remap,
    /// Show only files of the shared folder's device.
    Forbid,
}

impl MultiDevices {
    pub const NAMES: [(&str, Self); 3] = [
        ("warn", Self::Warn),
        ("remap", Self::Remap),
        ("forbid", Self::Forbid),
    ];
}

/// What `-fsdev` says.
pub fn parse_fsdev(text: &str) -> Result<FsdevOptions, String> {
    let mut keys = KeyVal::parse(text, Some("fsdriver")).map_err(|e| format!("-fsdev: {e}"))?;
    let id = keys.take("id").ok_or("-fsdev: 'id' is missing")?;
    parse("-fsdev", keys, id)
}

/// What `-virtfs` says.
pub fn parse_virtfs(text: &str) -> Result<VirtfsOptions, String> {
    let mut keys = KeyVal::parse(text, Some("fsdriver")).map_err(|e| format!("-virtfs: {e}"))?;
    let tag = keys.take("mount_tag").filter(|tag| !tag.is_empty());
    let mount_tag = tag.ok_or("-virtfs: 'mount_tag' is missing")?;
    let id = keys.take("id").unwrap_or_else(|| mount_tag.clone());
    let fsdev = parse("-virtfs", keys, id)?;
    Ok(VirtfsOptions { fsdev, mount_tag })
}

fn parse(option: &str, mut keys: KeyVal, id: String) -> Result<FsdevOptions, String> {
    let named = |error: String| format!("{option} {id}: {error}");
    let driver = keys.take("fsdriver");
    let driver = driver.ok_or_else(|| named("the driver is missing".into()))?;
    let readonly = keys.take_switch("readonly").map_err(named)?;
    let driver = match driver.as_str() {
        "local" => parse_local(&mut keys).map(Driver::Local),
        "memory" => parse_memory(&mut keys).map(Driver::Memory),
        "opfs" => parse_opfs(&mut keys).map(Driver::Opfs),
        "http" => parse_http(&mut keys).map(Driver::Http),
        "synth" => Ok(Driver::Synth),
        "proxy" => Err("QEMU has removed the driver 'proxy'; use 'local'".into()),
        other => Err(format!(
            "there is no driver '{other}', but local, opfs, http, memory and synth"
        )),
    };
    let driver = driver.map_err(named)?;
    if let Some((key, _)) = keys
        .clone()
        .take_first()
        .filter(|(key, _)| is_throttle(key))
    {
        return Err(named(format!(
            "'{key}' is not offered: shares are not throttled"
        )));
    }
    keys.finish().map_err(named)?;
    Ok(FsdevOptions {
        id: id.clone(),
        readonly: readonly.unwrap_or(false),
        driver,
    })
}

fn is_throttle(key: &str) -> bool {
    key.starts_with("throttling.")
}

fn parse_memory(keys: &mut KeyVal) -> Result<MemoryOptions, String> {
    let size = match keys.take("size") {
        None => MEMORY_BYTES,
        Some(text) => cutils::parse_size(&text, 1).ok_or(format!("'size={text}' is no size"))?,
    };
    Ok(MemoryOptions { size })
}

fn parse_opfs(keys: &mut KeyVal) -> Result<OpfsOptions, String> {
    let path = keys.take("path");
    let path = path.filter(|path| !path.trim_matches('/').is_empty());
    let path = path.ok_or("'path' is missing, the folder of the page's storage to share")?;
    match path.split('/').any(|name| matches!(name, "." | "..")) {
        true => Err(format!("'path={path}' has '.' or '..' in it")),
        false => Ok(OpfsOptions { path }),
    }
}

fn parse_http(keys: &mut KeyVal) -> Result<HttpOptions, String> {
    let url = keys
        .take("url")
        .ok_or("'url' is missing, the index of the tree")?;
    if !util::http::is_url(&url) {
        return Err(format!(
            "'url={url}' does not begin with http:// or https://"
        ));
    }
    let timeout = match keys.take("timeout") {
        None => HTTP_TIMEOUT,
        Some(text) => {
            let seconds = text.parse().ok().filter(|it| (1..=3600).contains(it));
            seconds.ok_or_else(|| format!("'timeout={text}' is no number of seconds"))?
        }
    };
    let timeout = Duration::from_secs(timeout);
    Ok(HttpOptions { url, timeout })
}

fn parse_local(keys: &mut KeyVal) -> Result<LocalOptions, String> {
    let path = keys.take("path").filter(|path| !path.is_empty());
    let path = path.ok_or("'path' is missing, the folder to share")?.into();
    let security = keys
        .take("security_model")
        .ok_or_else(|| format!("'security_model' is missing: {}", names(&Security::NAMES)))?;
    let security = choose("security_model", &security, &Security::NAMES)?;
    let sync_writes = match keys.take("writeout").as_deref() {
        None => false,
        Some("immediate") => true,
        Some(other) => return Err(format!("'writeout' can only be 'immediate', not '{other}'")),
    };
    let file_mode = parse_mode(keys, "fmode", security)?;
    let folder_mode = parse_mode(keys, "dmode", security)?;
    let devices = match keys.take("multidevs") {
        None => MultiDevices::default(),
        Some(text) => choose("multidevs", &text, &MultiDevices::NAMES)?,
    };
    Ok(LocalOptions {
        path,
        security,
        sync_writes,
        file_mode: file_mode.unwrap_or(MAPPED_FILE_MODE),
        folder_mode: folder_mode.unwrap_or(MAPPED_FOLDER_MODE),
        devices,
    })
}

fn parse_mode(keys: &mut KeyVal, key: &str, security: Security) -> Result<Option<u32>, String> {
    let Some(text) = keys.take(key) else {
        return Ok(None);
    };
    if !security.is_mapped() {
        return Err(format!(
            "'{key}' needs security_model=mapped-xattr or mapped-file"
        ));
    }
    let mode = u32::from_str_radix(&text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    let mode = mode.ok_or(format!("'{key}={text}' is no octal mode up to 777"))?;
    Ok(Some(mode))
}

fn choose<T: Copy>(key: &str, text: &str, table: &[(&str, T)]) -> Result<T, String> {
    let row = table.iter().find(|row| row.0 == text);
    row.map(|row| row.1)
        .ok_or_else(|| format!("'{key}' is {}, not '{text}'", names(table)))
}

fn names<T>(table: &[(&str, T)]) -> String {
    let names: Vec<&str> = table.iter().map(|row| row.0).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_qemus() {
        let fsdev = parse_fsdev("local,id=f,path=/a,,b,security_model=mapped").unwrap();
        let wanted = LocalOptions {
            path: "/a,b".into(),
            security: Security::MappedXattr,
            sync_writes: false,
            file_mode: 0o600,
            folder_mode: 0o700,
            devices: MultiDevices::Warn,
        };
        let driver = Driver::Local(wanted.clone());
        assert_eq!(
            fsdev,
            FsdevOptions {
                id: "f".into(),
                readonly: false,
                driver
            }
        );
        let text = "local,path=/a,mount_tag=t,security_model=mapped-file,readonly=on,fmode=0644,\
                    dmode=755,writeout=immediate,multidevs=remap";
        let virtfs = parse_virtfs(text).unwrap();
        let driver = Driver::Local(LocalOptions {
            path: "/a".into(),
            security: Security::MappedFile,
            sync_writes: true,
            file_mode: 0o644,
            folder_mode: 0o755,
            devices: MultiDevices::Remap,
        });
        let fsdev = FsdevOptions {
            id: "t".into(),
            readonly: true,
            driver,
        };
        assert_eq!(
            virtfs,
            VirtfsOptions {
                fsdev,
                mount_tag: "t".into()
            }
        );
        let memory = parse_fsdev("memory,id=m,size=1M").unwrap();
        assert_eq!(
            memory.driver,
            Driver::Memory(MemoryOptions { size: 1 << 20 })
        );
        assert_eq!(
            parse_virtfs("synth,mount_tag=t,id=x").unwrap().fsdev.id,
            "x"
        );
    }

    /// What is typed, and what is said.
    const MISTAKES: &[(&str, &str)] = &[
        ("local,path=/a", "-fsdev: 'id' is missing"),
        ("id=f", "-fsdev f: the driver is missing"),
        (
            "local,id=f,security_model=none",
            "-fsdev f: 'path' is missing, the folder to share",
        ),
        (
            "local,id=f,path=/a",
            "-fsdev f: 'security_model' is missing: passthrough, none, mapped-xattr, \
             mapped-file, mapped",
        ),
        (
            "local,id=f,path=/a,security_model=x",
            "-fsdev f: 'security_model' is passthrough, none, mapped-xattr, mapped-file, \
             mapped, not 'x'",
        ),
        (
            "local,id=f,path=/a,security_model=none,fmode=0644",
            "-fsdev f: 'fmode' needs security_model=mapped-xattr or mapped-file",
        ),
        (
            "local,id=f,path=/a,security_model=mapped,dmode=0999",
            "-fsdev f: 'dmode=0999' is no octal mode up to 777",
        ),
        (
            "local,id=f,path=/a,security_model=none,writeout=later",
            "-fsdev f: 'writeout' can only be 'immediate', not 'later'",
        ),
        (
            "local,id=f,path=/a,security_model=none,multidevs=x",
            "-fsdev f: 'multidevs' is warn, remap, forbid, not 'x'",
        ),
        (
            "local,id=f,path=/a,security_model=none,size=1",
            "-fsdev f: there is no parameter 'size'",
        ),
        (
            "local,id=f,path=/a,security_model=none,throttling.bps-total=1",
            "-fsdev f: 'throttling.bps-total' is not offered: shares are not throttled",
        ),
        (
            "proxy,id=f,socket=x",
            "-fsdev f: QEMU has removed the driver 'proxy'; use 'local'",
        ),
        (
            "nfs,id=f",
            "-fsdev f: there is no driver 'nfs', but local, opfs, http, memory and synth",
        ),
        (
            "opfs,id=f",
            "-fsdev f: 'path' is missing, the folder of the page's storage to share",
        ),
        (
            "opfs,id=f,path=/",
            "-fsdev f: 'path' is missing, the folder of the page's storage to share",
        ),
        (
            "opfs,id=f,path=../x",
            "-fsdev f: 'path=../x' has '.' or '..' in it",
        ),
        (
            "http,id=f,url=index",
            "-fsdev f: 'url=index' does not begin with http:// or https://",
        ),
        (
            "http,id=f,url=http://h/i,timeout=0",
            "-fsdev f: 'timeout=0' is no number of seconds",
        ),
        ("memory,id=f,size=x", "-fsdev f: 'size=x' is no size"),
        (
            "memory,id=f,readonly=x",
            "-fsdev f: 'readonly' is 'on' or 'off', not 'x'",
        ),
    ];

    #[test]
    fn mistakes_are_sentences() {
        for (text, error) in MISTAKES {
            assert_eq!(parse_fsdev(text), Err((*error).into()), "{text}");
        }
        let missing = Err("-virtfs: 'mount_tag' is missing".into());
        assert_eq!(parse_virtfs("local,path=/a,security_model=none"), missing);
    }
}
