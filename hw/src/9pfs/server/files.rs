//! Requests about open files and folders.

use std::sync::Arc;

use include::fsdev::{DirEntry, NodeId, OpenFlags, Owner};
use include::{Errno, FileSystem};

use super::fid::{NodeRef, OpenFile, Usage, XattrWrite};
use super::names::new_name;
use super::{Answer, Request, qid, qid_kind_of};
use crate::ninep::protocol::*;

/// Flags that mean nothing to a server (controlling terminals, signals) or that only the guest's
/// kernel can keep (aligned buffers).
const FLAGS_IGNORED: u32 = 0o400 | 0o20000 | OpenFlags::DIRECT;

/// Values of Tlock and Tgetlock.
mod lock {
    /// Kinds.
    pub const UNLOCK: u8 = 2;
    /// Flags: wait until it is free, and take it for when the server comes back.
    pub const FLAGS: u32 = 3;
    /// Status.
    pub const SUCCESS: u8 = 0;
}

impl Request {
    pub(super) fn open(self: &Arc<Self>, message: Tlopen) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let node = fid.begin_open()?;
        let flags = message.flags & !(FLAGS_IGNORED | OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let opened = self.call(move |fs| {
            let (handle, attr) = fs.open(node.id, OpenFlags(flags))?;
            let file = OpenFile::new(fs, handle, attr.is_folder());
            Ok((node, file, attr))
        });
        let (node, file, attr) = opened.inspect_err(|_| fid.end_open(None))?;
        fid.end_open(Some((node, file)));
        let iounit = self.io_unit(attr.block_size);
        let qid = qid(&attr);
        Ok(Rlopen { qid, iounit }.into())
    }

    pub(super) fn create(self: &Arc<Self>, message: Tlcreate) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        new_name(&message.name)?;
        let parent = fid.begin_open()?;
        let owner = Owner {
            uid: fid.uid,
            gid: message.gid,
        };
        let created = self.call(move |fs| {
            let flags = OpenFlags(message.flags & !FLAGS_IGNORED | OpenFlags::CREATE);
            let name = &message.name;
            let (entry, handle) = fs.create(parent.id, name, flags, message.mode, owner)?;
            let node = NodeRef::new(fs, entry);
            Ok((node, OpenFile::new(fs, handle, false), entry.attr))
        });
        let (node, file, attr) = created.inspect_err(|_| fid.end_open(None))?;
        fid.end_open(Some((node, file)));
        let iounit = self.io_unit(attr.block_size);
        let qid = qid(&attr);
        Ok(Rlcreate { qid, iounit }.into())
    }

    pub(super) fn read(self: &Arc<Self>, message: Tread) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let room = self.data_room(message.count);
        if let Some(value) = fid.xattr_value() {
            return Ok(read_value(&value.bytes, message.offset, room));
        }
        let file = fid.opened()?;
        if file.is_folder {
            return Err(Errno::EISDIR);
        }
        check_offset(message.offset)?;
        let buffers = self.session.buffers.clone();
        let data = self.call(move |fs| {
            let mut data = Payload::with_room(room, &buffers);
            let count = fs.read(file.id, message.offset, data.as_mut_slice())?;
            data.truncate(count);
            Ok(data)
        })?;
        Ok(Rread { data }.into())
    }

    pub(super) fn write(self: &Arc<Self>, message: Twrite) -> Answer {
        let fid = self.session.fids.get(message.fid)?;
        let Some(file) = fid.open_file() else {
            let count = fid.write_xattr(message.offset, message.data.as_slice())? as u32;
            return Ok(Rwrite { count }.into());
        };
        if file.is_folder {
            return Err(Errno::EISDIR);
        }
        check_offset(message.offset)?;
        let buffers = self.session.buffers.clone();
        let count = self.call(move |fs| {
            let Twrite { offset, data, .. } = message;
            let written = fs.write(file.id, offset, data.as_slice());
            buffers.give(data.into_buffer());
            written
        })?;
        let count = count as u32;
        Ok(Rwrite { count }.into())
    }

    pub(super) fn readdir(self: &Arc<Self>, message: Treaddir) -> Answer {
        let file = self.session.fids.get(message.fid)?.opened()?;
        if !file.is_folder {
            return Err(Errno::ENOTDIR);
        }
        check_offset(message.offset)?;
        let room = self.data_room(message.count);
        let data = self.call(move |fs| {
            let mut data = Payload::with_capacity(room);
            let mut full = false;
            fs.read_dir(file.id, message.offset, &mut |entry| {
                full = !dirent(&entry).put(&mut data, room);
                !full
            })?;
            match full && data.is_empty() {
                // Not even one name fits; nothing would look like the end.
                true => Err(Errno::EINVAL),
                false => Ok(data),
            }
        })?;
        Ok(Rreaddir { data }.into())
    }

    pub(super) fn fsync(self: &Arc<Self>, message: Tfsync) -> Answer {
        let file = self.session.fids.get(message.fid)?.opened()?;
        let data_only = message.datasync != 0;
        self.call(move |fs| fs.sync(file.id, data_only))?;
        Ok(Rfsync {}.into())
    }

    pub(super) fn lock(self: &Arc<Self>, message: Tlock) -> Answer {
        self.session.fids.get(message.fid)?.opened()?;
        if message.flags & !lock::FLAGS != 0 || message.kind > lock::UNLOCK {
            return Err(Errno::EINVAL);
        }
        let status = lock::SUCCESS;
        Ok(Rlock { status }.into())
    }

    pub(super) fn getlock(self: &Arc<Self>, message: Tgetlock) -> Answer {
        self.session.fids.get(message.fid)?.opened()?;
        let Tgetlock {
            start,
            length,
            proc_id,
            client_id,
            ..
        } = message;
        Ok(Rgetlock {
            kind: lock::UNLOCK,
            start,
            length,
            proc_id,
            client_id,
        }
        .into())
    }

    pub(super) fn clunk(self: &Arc<Self>, message: Tclunk) -> Answer {
        let fid = self.session.fids.remove(message.fid)?;
        match fid.take_usage() {
            Usage::Open(file) => self.call(move |_| {
                OpenFile::close(file);
                Ok(())
            })?,
            Usage::XattrWrite(write) => {
                let node = fid.node();
                self.call(move |fs| commit_xattr(&**fs, node.id, &write))?;
            }
            _ => {}
        }
        Ok(Rclunk {}.into())
    }
}

/// Linux's offsets are signed.
pub(super) fn check_offset(offset: u64) -> Result<(), Errno> {
    i64::try_from(offset).map(|_| ()).map_err(|_| Errno::EINVAL)
}

fn read_value(value: &[u8], offset: u64, room: usize) -> Message {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(value.len());
    let end = start.saturating_add(room).min(value.len());
    let data = Payload::from(value[start..end].to_vec());
    Rread { data }.into()
}

fn dirent<'a>(entry: &DirEntry<'a>) -> Dirent<'a> {
    Dirent {
        qid: Qid {
            kind: qid_kind_of(entry.kind),
            version: 0,
            path: entry.id,
        },
        offset: entry.next,
        // The values of `d_type` are those bits of the mode.
        kind: (entry.kind >> 12) as u8,
        name: entry.name,
    }
}

/// The value is complete, so set it. Linux removes an attribute by replacing it with nothing.
fn commit_xattr(fs: &dyn FileSystem, node: NodeId, write: &XattrWrite) -> Result<(), Errno> {
    let XattrWrite {
        name,
        flags,
        value,
        written,
    } = write;
    let value = &value.bytes;
    if *written < value.len() {
        return Err(Errno::EINVAL);
    }
    match value.is_empty() && *flags == include::fsdev::XATTR_REPLACE {
        true => fs.remove_xattr(node, name),
        false => fs.set_xattr(node, name, value, *flags),
    }
}
