//! Where the share keeps a file's owner, mode and type: `security_model=`, as QEMU lays it out on
//! disk, so that shares move between the two.
//!
//! - mapped-xattr: `user.virtfs.{uid,gid,mode}` (u32) and `user.virtfs.rdev` (u64), little-endian.
//! - mapped-file: for `folder/name` the lines `virtfs.uid=N` (gid, mode, rdev) of
//!   `folder/.virtfs_metadata/name`, decimal; for the top folder itself `.virtfs_metadata_root`.

use include::Errno;
use include::fsdev::{Attr, Owner, mode};
use util::host_fs::{HostDir, HostFile, OpenFlags, SELF, Stat, XattrSet};

use super::folder::{Folder, META_FOLDER};
use crate::options::Security;

const META_ROOT: &[u8] = b".virtfs_metadata_root";
const META_FILE_MODE: u32 = 0o600;
/// More than the four lines ever take.
const META_BYTES_MAX: usize = 4096;

/// What a mapped model keeps apart from the file; what is missing is the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// With type bits.
    pub mode: Option<u32>,
    pub rdev: Option<u64>,
}

/// Name of each number with its width in bytes.
const FIELDS: [(&str, usize); 4] = [("uid", 4), ("gid", 4), ("mode", 4), ("rdev", 8)];

impl Mapped {
    /// For a new file.
    pub fn new(mode: u32, owner: Owner) -> Self {
        Self {
            uid: known(owner.uid),
            gid: known(owner.gid),
            mode: Some(mode),
            rdev: None,
        }
    }

    fn values(&self) -> [Option<u64>; 4] {
        [
            self.uid.map(u64::from),
            self.gid.map(u64::from),
            self.mode.map(u64::from),
            self.rdev,
        ]
    }

    fn set(&mut self, field: usize, value: u64) {
        match field {
            0 => self.uid = Some(value as u32),
            1 => self.gid = Some(value as u32),
            2 => self.mode = Some(value as u32),
            _ => self.rdev = Some(value),
        }
    }

    /// Takes over what `changes` has.
    pub fn merge(&mut self, changes: &Self) {
        for (field, value) in changes.values().into_iter().enumerate() {
            if let Some(value) = value {
                self.set(field, value);
            }
        }
    }

    /// Puts it in the place of what the host says.
    pub fn apply(&self, attr: &mut Attr) {
        attr.uid = self.uid.unwrap_or(attr.uid);
        attr.gid = self.gid.unwrap_or(attr.gid);
        if let Some(bits) = self.mode {
            let kind = match bits & mode::TYPE {
                0 => attr.mode & mode::TYPE,
                kind => kind,
            };
            attr.mode = kind | bits & mode::PERMISSIONS;
            if matches!(kind, mode::CHARACTER | mode::BLOCK) {
                attr.rdev = self.rdev.unwrap_or(0);
            }
        }
    }

    fn parse(text: &[u8]) -> Self {
        let mut mapped = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let pair = line
                .strip_prefix("virtfs.")
                .and_then(|line| line.split_once('='));
            let Some((key, value)) = pair else { continue };
            let field = FIELDS.iter().position(|row| row.0 == key);
            // QEMU writes with %d, so great numbers are negative.
            let value = value.trim().parse::<i64>().ok();
            if let (Some(field), Some(value)) = (field, value) {
                mapped.set(field, value as u64);
            }
        }
        mapped
    }

    fn text(&self) -> String {
        let lines = FIELDS.iter().zip(self.values());
        let lines = lines.filter_map(|((name, width), value)| {
            let value = value?;
            // As QEMU's %d has them.
            let value = if *width == 4 {
                i64::from(value as i32)
            } else {
                value as i64
            };
            Some(format!("virtfs.{name}={value}\n"))
        });
        lines.collect()
    }
}

/// All ones is nobody (`NONUNAME`): what is there stays.
pub fn known(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// What the host says of a file.
pub fn host_attr(stat: &Stat) -> Attr {
    let time = |time: util::host_fs::FileTime| include::fsdev::FileTime {
        seconds: time.sec,
        nanoseconds: time.nsec,
    };
    Attr {
        mode: stat.mode,
        id: stat.ino,
        links: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        rdev: stat.rdev,
        size: stat.size,
        block_size: stat.blksize,
        blocks: stat.blocks,
        accessed: time(stat.atime),
        modified: time(stat.mtime),
        changed: time(stat.ctime),
        born: stat.btime.map(time),
    }
}

fn xattr_name(field: &str) -> Vec<u8> {
    format!("user.virtfs.{field}").into_bytes()
}

fn read_xattrs(get: impl Fn(&[u8]) -> Result<Vec<u8>, Errno>) -> Mapped {
    let mut mapped = Mapped::default();
    for (field, (name, width)) in FIELDS.iter().enumerate() {
        // Files that QEMU did not make have none; links cannot have any.
        let Ok(bytes) = get(&xattr_name(name)) else {
            continue;
        };
        if bytes.len() == *width {
            let value = bytes
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
            mapped.set(field, value);
        }
    }
    mapped
}

fn write_xattrs(
    mapped: &Mapped,
    set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    for ((name, width), value) in FIELDS.iter().zip(mapped.values()) {
        if let Some(value) = value {
            set(&xattr_name(name), &value.to_le_bytes()[..*width])?;
        }
    }
    Ok(())
}

/// Whether the guest does not see the name.
pub fn is_hidden(security: Security, name: &[u8]) -> bool {
    security == Security::MappedFile && (name == META_FOLDER || name == META_ROOT)
}

/// Reads what is kept apart for `name` in a folder, or for the folder itself if that is the top.
pub fn read(security: Security, dir: &Folder, name: &[u8]) -> Mapped {
    match security {
        Security::Passthrough | Security::None => Mapped::default(),
        Security::MappedXattr => read_xattrs(|attribute| dir.xattr_get(name, attribute)),
        Security::MappedFile => read_meta(dir, name).unwrap_or_default(),
    }
}

/// The same by an open file; for mapped-file there is no way.
pub fn read_open(security: Security, file: &HostFile) -> Option<Mapped> {
    match security {
        Security::Passthrough | Security::None => Some(Mapped::default()),
        Security::MappedXattr => Some(read_xattrs(|attribute| file.xattr_get(attribute))),
        Security::MappedFile => None,
    }
}

/// Changes what is kept apart.
pub fn write(security: Security, dir: &Folder, name: &[u8], mapped: &Mapped) -> Result<(), Errno> {
    match security {
        Security::Passthrough | Security::None => Ok(()),
        Security::MappedXattr => write_xattrs(mapped, |attribute, value| {
            dir.xattr_set(name, attribute, value, XattrSet::Either)
        }),
        Security::MappedFile => write_meta(dir, name, mapped),
    }
}

/// The same by an open file without a name.
pub fn write_open(security: Security, file: &HostFile, mapped: &Mapped) -> Result<(), Errno> {
    match security {
        Security::MappedXattr => write_xattrs(mapped, |attribute, value| {
            file.xattr_set(attribute, value, XattrSet::Either)
        }),
        _ => Ok(()),
    }
}

fn read_meta(dir: &Folder, name: &[u8]) -> Result<Mapped, Errno> {
    let file = match name {
        SELF => dir.open_file(META_ROOT, OpenFlags::READ)?,
        _ => dir.meta()?.open_file(name, OpenFlags::READ)?,
    };
    let mut text = [0; META_BYTES_MAX];
    let count = file.read_at(&mut text, 0)?;
    Ok(Mapped::parse(&text[..count]))
}

fn write_meta(dir: &Folder, name: &[u8], mapped: &Mapped) -> Result<(), Errno> {
    let mut all = read_meta(dir, name).unwrap_or_default();
    all.merge(mapped);
    let create = || {
        let flags = OpenFlags::WRITE | OpenFlags::TRUNCATE;
        match name {
            SELF => dir.create(META_ROOT, flags, META_FILE_MODE),
            _ => dir.make_meta()?.create(name, flags, META_FILE_MODE),
        }
    };
    again_without_meta(&[dir], create)?.write_all_at(all.text().as_bytes(), 0)
}

/// What was not found, because the host removed a folder of metadata, may be with another one.
fn again_without_meta<T>(
    folders: &[&Folder],
    work: impl Fn() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match work() {
        Err(Errno::ENOENT) => {
            folders.iter().for_each(|folder| folder.drop_meta());
            work()
        }
        other => other,
    }
}

fn ignore_absent(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// After a rename: what is kept apart goes along.
pub fn renamed(
    security: Security,
    (dir, name): (&Folder, &[u8]),
    (new_dir, new_name): (&Folder, &[u8]),
) -> Result<(), Errno> {
    if security != Security::MappedFile {
        return Ok(());
    }
    let moved = again_without_meta(&[dir, new_dir], || {
        let old = dir.meta()?;
        old.rename_to(name, &*new_dir.make_meta()?, new_name)
    });
    match moved {
        // What was replaced must not lend its owner.
        Err(Errno::ENOENT) => unlinked(security, new_dir, new_name),
        other => other,
    }
}

/// After a link was made.
pub fn linked(
    security: Security,
    (dir, name): (&Folder, &[u8]),
    (new_dir, new_name): (&Folder, &[u8]),
) -> Result<(), Errno> {
    if security != Security::MappedFile {
        return Ok(());
    }
    unlinked(security, new_dir, new_name)?;
    ignore_absent(again_without_meta(&[dir, new_dir], || {
        let old = dir.meta()?;
        new_dir.make_meta()?.link_from(&old, name, new_name)
    }))
}

/// Before a folder is removed: its metadata goes, if there is nothing else in it.
pub fn empty(security: Security, dir: &HostDir, name: &[u8]) -> Result<(), Errno> {
    if security != Security::MappedFile {
        return Ok(());
    }
    let folder = dir.open_dir(name)?;
    let others = |name: &[u8]| name != b"." && name != b".." && name != META_FOLDER;
    if names(&folder)?.iter().any(|name| others(name)) {
        return Err(Errno::ENOTEMPTY);
    }
    let Ok(meta) = folder.open_dir(META_FOLDER) else {
        return Ok(());
    };
    for name in names(&meta)? {
        if name != b"." && name != b".." {
            ignore_absent(meta.unlink(&name))?;
        }
    }
    folder.rmdir(META_FOLDER)
}

fn names(dir: &HostDir) -> Result<Vec<Vec<u8>>, Errno> {
    let stream = dir.read_dir()?;
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        let entries = stream.read(cookie, 256)?;
        let Some(last) = entries.last() else {
            return Ok(names);
        };
        cookie = last.next;
        names.extend(entries.into_iter().map(|entry| entry.name));
    }
}

/// After a name was removed.
pub fn unlinked(security: Security, dir: &Folder, name: &[u8]) -> Result<(), Errno> {
    if security != Security::MappedFile {
        return Ok(());
    }
    ignore_absent(dir.meta().and_then(|meta| meta.unlink(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_qemus() {
        let mapped = Mapped {
            uid: Some(1000),
            gid: Some(u32::MAX - 1),
            mode: Some(0o100644),
            rdev: None,
        };
        assert_eq!(
            mapped.text(),
            "virtfs.uid=1000\nvirtfs.gid=-2\nvirtfs.mode=33188\n"
        );
        assert_eq!(Mapped::parse(mapped.text().as_bytes()), mapped);
        let odd = Mapped::parse(b"virtfs.uid=x\nnonsense\nvirtfs.rdev=2049\n\xff\n");
        assert_eq!(odd.values(), [None, None, None, Some(2049)]);
    }
}
