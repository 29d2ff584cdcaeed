//! Requests about what files are: getattr, setattr, statfs, extended attributes.

use std::sync::Arc;

use include::Errno;
use include::fsdev::{Attr, FileTime, SetAttr, SetTime};

use super::fid::{Fid, Usage, Value, XattrWrite};
use super::files::check_offset;
use super::{Answer, Request, qid};
use crate::ninep::protocol::*;

/// Bits of Rgetattr's `valid`.
mod get {
    /// All but birth time, generation and data version.
    pub const BASIC: u64 = 0x7ff;
    pub const BIRTH: u64 = 0x800;
}

/// Bits of Tsetattr's `valid`.
mod set {
    pub const MODE: u32 = 1;
    pub const UID: u32 = 2;
    pub const GID: u32 = 4;
    pub const SIZE: u32 = 8;
    pub const ACCESSED: u32 = 0x10;
    pub const MODIFIED: u32 = 0x20;
    /// Without these the times become now.
    pub const ACCESSED_TO: u32 = 0x80;
    pub const MODIFIED_TO: u32 = 0x100;
}

/// Longest value of an extended attribute (Linux's XATTR_SIZE_MAX).
const XATTR_BYTES_MAX: u64 = 1 << 16;
/// Longest name of one (XATTR_NAME_MAX).
const XATTR_NAME_MAX: usize = 255;
/// What statfs says of the type: V9FS_MAGIC.
const FILE_SYSTEM_KIND: u32 = 0x0102_1997;

impl Request {
    pub(super) fn getattr(self: &Arc<Self>, message: Tgetattr) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let (node, file) = (fid.node(), fid.open_file());
        let attr = self.call(move |fs| fs.get_attr(node.id, file.as_ref().map(|file| file.id)))?;
        let block_size = self.io_unit(attr.block_size);
        Ok(attributes(&attr, message.request_mask, block_size).into())
    }

    pub(super) fn setattr(self: &Arc<Self>, message: Tsetattr) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let (node, file) = (fid.node(), fid.open_file());
        let changes = changes(&message)?;
        check_offset(changes.size.unwrap_or(0))?;
        self.call(move |fs| fs.set_attr(node.id, file.as_ref().map(|file| file.id), &changes))?;
        Ok(Rsetattr {}.into())
    }

    pub(super) fn statfs(self: &Arc<Self>, message: Tstatfs) -> Answer {
        let node = self.session.fids.get(message.fid)?.node();
        let stat = self.call(move |fs| fs.stat_fs(node.id))?;
        Ok(Rstatfs {
            kind: FILE_SYSTEM_KIND,
            bsize: stat.block_size,
            blocks: stat.blocks,
            bfree: stat.blocks_free,
            bavail: stat.blocks_available,
            files: stat.files,
            ffree: stat.files_free,
            fsid: stat.id,
            namelen: stat.name_length_max,
        }
        .into())
    }

    /// Makes a fid to read an attribute from, or the list of names if the name is empty.
    pub(super) fn xattrwalk(self: &Arc<Self>, message: Txattrwalk) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let (node, name) = (fid.node(), message.name);
        let (node, value) = self.call(move |fs| {
            let value = match name.is_empty() {
                true => fs.list_xattrs(node.id)?,
                false => fs.get_xattr(node.id, &name)?,
            };
            Ok((node, value))
        })?;
        let size = value.len() as u64;
        let value = Value::new(value, &self.session.held)?;
        let usage = Usage::XattrRead(Arc::new(value));
        let new = Fid::with_usage(node, fid.uid, usage);
        self.session.fids.insert(message.newfid, new)?;
        Ok(Rxattrwalk { size }.into())
    }

    /// Makes the fid one to write an attribute to; it is set when the fid is clunked.
    pub(super) fn xattrcreate(self: &Arc<Self>, message: Txattrcreate) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        if message.attr_size > XATTR_BYTES_MAX {
            return Err(Errno::E2BIG);
        }
        let flags = message.flags;
        if message.name.is_empty() || message.name.len() > XATTR_NAME_MAX {
            return Err(Errno::ERANGE);
        }
        if flags & !(include::fsdev::XATTR_CREATE | include::fsdev::XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        fid.begin_xattr(XattrWrite {
            name: message.name,
            flags,
            value: Value::new(vec![0; message.attr_size as usize], &self.session.held)?,
            written: 0,
        })?;
        Ok(Rxattrcreate {}.into())
    }
}

fn attributes(attr: &Attr, wanted: u64, block_size: u32) -> Rgetattr {
    let born = attr.born.filter(|_| wanted & get::BIRTH != 0);
    let seconds = |time: FileTime| time.seconds as u64;
    let nanoseconds = |time: FileTime| time.nanoseconds.into();
    Rgetattr {
        valid: get::BASIC | born.map_or(0, |_| get::BIRTH),
        qid: qid(attr),
        mode: attr.mode,
        uid: attr.uid,
        gid: attr.gid,
        nlink: attr.links,
        rdev: attr.rdev,
        size: attr.size,
        blksize: block_size.into(),
        blocks: attr.blocks,
        atime_sec: seconds(attr.accessed),
        atime_nsec: nanoseconds(attr.accessed),
        mtime_sec: seconds(attr.modified),
        mtime_nsec: nanoseconds(attr.modified),
        ctime_sec: seconds(attr.changed),
        ctime_nsec: nanoseconds(attr.changed),
        btime_sec: seconds(born.unwrap_or_default()),
        btime_nsec: nanoseconds(born.unwrap_or_default()),
        generation: 0,
        data_version: 0,
    }
}

fn changes(message: &Tsetattr) -> Result<SetAttr, Errno> {
    let has = |bit| message.valid & bit != 0;
    Ok(SetAttr {
        mode: has(set::MODE).then_some(message.mode),
        uid: has(set::UID).then_some(message.uid),
        gid: has(set::GID).then_some(message.gid),
        size: has(set::SIZE).then_some(message.size),
        accessed: time(
            has(set::ACCESSED),
            has(set::ACCESSED_TO),
            (message.atime_sec, message.atime_nsec),
        )?,
        modified: time(
            has(set::MODIFIED),
            has(set::MODIFIED_TO),
            (message.mtime_sec, message.mtime_nsec),
        )?,
    })
}

fn time(change: bool, to: bool, (seconds, ns): (u64, u64)) -> Result<Option<SetTime>, Errno> {
    if !change {
        return Ok(None);
    }
    if !to {
        return Ok(Some(SetTime::Now));
    }
    let nanoseconds = u32::try_from(ns).ok().filter(|ns| *ns < 1_000_000_000);
    let time = FileTime {
        seconds: seconds as i64,
        nanoseconds: nanoseconds.ok_or(Errno::EINVAL)?,
    };
    Ok(Some(SetTime::To(time)))
}
