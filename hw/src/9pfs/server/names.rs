//! Requests about names: attach, walk, and all that makes, moves or removes them.

use std::sync::Arc;

use include::fsdev::{Entry, NodeId, Owner, device_number};
use include::{Errno, FileSystem};

use super::fid::{Fid, NO_FID, NodeRef, OpenFile, Usage};
use super::{Answer, Request, qid};
use crate::ninep::protocol::*;

/// Most names in a Twalk (walk(5), MAXWELEM).
const WALK_NAMES_MAX: usize = 16;
/// Flag of Tunlinkat: it is a folder.
const REMOVE_FOLDER: u32 = 0x200;

/// Whether bytes can be the name of something in a folder at all.
fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// A name for something new.
pub(super) fn new_name(name: &[u8]) -> Result<(), Errno> {
    match name {
        b"." | b".." => Err(Errno::EEXIST),
        _ if is_component(name) => Ok(()),
        _ => Err(Errno::ENOENT),
    }
}

/// A name of something that moves or goes.
fn old_name(name: &[u8], parent_error: Errno) -> Result<(), Errno> {
    match name {
        b"." => Err(Errno::EINVAL),
        b".." => Err(parent_error),
        _ if is_component(name) => Ok(()),
        _ => Err(Errno::ENOENT),
    }
}

/// One step of a walk.
fn step(fs: &dyn FileSystem, from: NodeId, name: &[u8]) -> Result<Entry, Errno> {
    match name {
        b".." => fs.parent(from),
        b"." => Err(Errno::ENOENT),
        _ if is_component(name) => fs.lookup(from, name),
        _ => Err(Errno::ENOENT),
    }
}

/// Walks as far as it goes; an error only if that is nowhere.
fn steps(
    fs: &Arc<dyn FileSystem>,
    from: NodeId,
    names: &[Vec<u8>],
) -> Result<(Vec<Qid>, Option<Arc<NodeRef>>), Errno> {
    let mut qids = Vec::with_capacity(names.len());
    let mut last: Option<Arc<NodeRef>> = None;
    for name in names {
        match step(&**fs, last.as_ref().map_or(from, |node| node.id), name) {
            Ok(entry) => {
                qids.push(qid(&entry.attr));
                last = Some(NodeRef::new(fs, entry));
            }
            Err(errno) if qids.is_empty() => return Err(errno),
            Err(_) => break,
        }
    }
    Ok((qids, last))
}

impl Request {
    pub(super) fn attach(self: &Arc<Self>, message: Tattach) -> Answer {
        if message.afid != NO_FID {
            return Err(Errno::EINVAL);
        }
        let (node, qid) = self.call(|fs| {
            let entry = fs.root()?;
            Ok((NodeRef::new(fs, entry), qid(&entry.attr)))
        })?;
        let fid = Fid::new(node, message.n_uname);
        self.session.fids.insert(message.fid, fid)?;
        Ok(Rattach { qid }.into())
    }

    pub(super) fn walk(self: &Arc<Self>, message: Twalk) -> Answer {
        let names = message.wname.0;
        let fid = self.session.fids.get(message.fid)?;
        if names.len() > WALK_NAMES_MAX {
            return Err(Errno::EINVAL);
        }
        let same = message.fid == message.newfid;
        if same && !fid.is_walked() {
            return Err(Errno::EINVAL);
        }
        let (from, wanted) = (fid.node(), names.len());
        let (qids, last) = match wanted {
            0 => (Vec::new(), Some(from)),
            _ => self.call(move |fs| steps(fs, from.id, &names))?,
        };
        let complete = last.filter(|_| qids.len() == wanted);
        if let Some(node) = complete {
            let new = Fid::new(node, fid.uid);
            match same {
                true => self.session.fids.replace(message.fid, &fid, new)?,
                false => self.session.fids.insert(message.newfid, new)?,
            }
        }
        Ok(Rwalk { wqid: List(qids) }.into())
    }

    /// Makes something in a folder; the entry is needed only for its qid.
    fn make(
        self: &Arc<Self>,
        folder: u32,
        name: Vec<u8>,
        gid: u32,
        make: impl FnOnce(&dyn FileSystem, NodeId, &[u8], Owner) -> Result<Entry, Errno>
        + Send
        + 'static,
    ) -> Result<Qid, Errno> {
        let fid = self.session.fids.get(folder)?;
        new_name(&name)?;
        let (parent, owner) = (fid.node(), Owner { uid: fid.uid, gid });
        self.call(move |fs| {
            let entry = make(&**fs, parent.id, &name, owner)?;
            fs.forget(entry.node);
            Ok(qid(&entry.attr))
        })
    }

    pub(super) fn mkdir(self: &Arc<Self>, message: Tmkdir) -> Answer {
        let mode = message.mode;
        let qid = self.make(
            message.dfid,
            message.name,
            message.gid,
            move |fs, parent, name, owner| fs.make_folder(parent, name, mode, owner),
        )?;
        Ok(Rmkdir { qid }.into())
    }

    pub(super) fn symlink(self: &Arc<Self>, message: Tsymlink) -> Answer {
        let target = message.symtgt;
        if target.is_empty() || target.contains(&0) {
            return Err(Errno::ENOENT);
        }
        let qid = self.make(
            message.fid,
            message.name,
            message.gid,
            move |fs, parent, name, owner| fs.make_link(parent, name, &target, owner),
        )?;
        Ok(Rsymlink { qid }.into())
    }

    pub(super) fn mknod(self: &Arc<Self>, message: Tmknod) -> Answer {
        let (mode, rdev) = (message.mode, device_number(message.major, message.minor));
        let qid = self.make(
            message.dfid,
            message.name,
            message.gid,
            move |fs, parent, name, owner| fs.make_node(parent, name, mode, rdev, owner),
        )?;
        Ok(Rmknod { qid }.into())
    }

    pub(super) fn link(self: &Arc<Self>, message: Tlink) -> Answer {
        let parent = self.session.fids.get(message.dfid)?.node();
        let node = self.session.fids.get(message.fid)?.node();
        new_name(&message.name)?;
        self.call(move |fs| fs.link(node.id, parent.id, &message.name))?;
        Ok(Rlink {}.into())
    }

    pub(super) fn readlink(self: &Arc<Self>, message: Treadlink) -> Answer {
        let node = self.session.fids.get(message.fid)?.node();
        let target = self.call(move |fs| fs.read_link(node.id))?;
        Ok(Rreadlink { target }.into())
    }

    pub(super) fn rename(self: &Arc<Self>, message: Trename) -> Answer {
        let node = self.session.fids.get(message.fid)?.node();
        let parent = self.session.fids.get(message.dfid)?.node();
        old_name(&message.name, Errno::EISDIR)?;
        self.call(move |fs| fs.rename_node(node.id, parent.id, &message.name))?;
        Ok(Rrename {}.into())
    }

    pub(super) fn renameat(self: &Arc<Self>, message: Trenameat) -> Answer {
        let old = self.session.fids.get(message.olddirfid)?.node();
        let new = self.session.fids.get(message.newdirfid)?.node();
        old_name(&message.oldname, Errno::EISDIR)?;
        old_name(&message.newname, Errno::EISDIR)?;
        self.call(move |fs| fs.rename(old.id, &message.oldname, new.id, &message.newname))?;
        Ok(Rrenameat {}.into())
    }

    pub(super) fn unlinkat(self: &Arc<Self>, message: Tunlinkat) -> Answer {
        let parent = self.session.fids.get(message.dirfd)?.node();
        old_name(&message.name, Errno::ENOTEMPTY)?;
        if message.flags & !REMOVE_FOLDER != 0 {
            return Err(Errno::EINVAL);
        }
        let folder = message.flags & REMOVE_FOLDER != 0;
        self.call(move |fs| fs.unlink(parent.id, &message.name, folder))?;
        Ok(Runlinkat {}.into())
    }

    /// Removes the file and, whether that goes well or not, the fid.
    pub(super) fn remove(self: &Arc<Self>, message: Tremove) -> Answer {
        let fid = self.session.fids.remove(message.fid)?;
        let node = fid.node();
        let usage = fid.take_usage();
        self.call(move |fs| {
            let removed = fs.unlink_node(node.id);
            if let Usage::Open(file) = usage {
                OpenFile::close(file);
            }
            removed
        })?;
        Ok(Rremove {}.into())
    }
}
