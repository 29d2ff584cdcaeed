//! `-fsdev http`: a tree on any server of files, only to be read. An index that is fetched at the
//! start has all that `stat` and `readdir` say; what files contain is fetched when it is read.

mod content;
mod index;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use include::fsdev::{
    Attr, DirEntry, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, StatFs, mode,
};
use include::{Errno, FileSystem};
use util::http::Request;

use crate::NAME_MAX;
use crate::nodes::ROOT;
use crate::options::HttpOptions;
use content::{Content, Source, retrying};
use index::{Body, FIRST_COOKIE, Index, Item};

/// The longest index.
const INDEX_BYTES_MAX: usize = 64 << 20;

/// The share. Nodes and handles are places in the index, which does not change.
pub struct HttpTree {
    index: Index,
    content: Content,
}

impl HttpTree {
    /// Fetches the index; the error is a sentence.
    pub fn open(options: &HttpOptions) -> Result<Arc<Self>, String> {
        let url = &options.url;
        let cannot = |reason: String| format!("cannot use the index '{url}': {reason}");
        let answer = retrying(&Request {
            url,
            head: false,
            range: None,
            timeout: options.timeout,
            limit: INDEX_BYTES_MAX,
        });
        let answer = answer.map_err(cannot)?;
        if answer.status != 200 {
            return Err(cannot(format!(
                "the server answers with status {}",
                answer.status
            )));
        }
        let text = String::from_utf8(answer.body).map_err(|_| cannot("it is no text".into()))?;
        let index = Index::parse(&text).map_err(cannot)?;
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let base = path.rsplit_once('/').map_or("", |(base, _)| base);
        let content = Content::new(format!("{base}/"), options.timeout);
        Ok(Arc::new(Self { index, content }))
    }

    fn entry(&self, node: NodeId) -> Result<Entry, Errno> {
        let attr = self.index.get(node)?.attr;
        Ok(Entry { node, attr })
    }

    fn item(&self, handle: HandleId) -> Result<&Item, Errno> {
        self.index.get(NodeId(handle.0))
    }
}

const REFUSED: Errno = Errno::EROFS;

impl FileSystem for HttpTree {
    fn root(&self) -> Result<Entry, Errno> {
        self.entry(ROOT)
    }

    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        self.entry(self.index.lookup(parent, name)?)
    }

    fn parent(&self, node: NodeId) -> Result<Entry, Errno> {
        self.entry(self.index.get(node)?.parent)
    }

    fn forget(&self, _node: NodeId) {}

    fn get_attr(&self, node: NodeId, _handle: Option<HandleId>) -> Result<Attr, Errno> {
        Ok(self.index.get(node)?.attr)
    }

    fn set_attr(&self, _: NodeId, _: Option<HandleId>, _: &SetAttr) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match &self.index.get(node)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn stat_fs(&self, _node: NodeId) -> Result<StatFs, Errno> {
        Ok(StatFs {
            block_size: 4096,
            blocks: self.index.bytes().div_ceil(4096),
            files: self.index.len() as u64,
            name_length_max: NAME_MAX as u32,
            ..StatFs::default()
        })
    }

    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno> {
        let item = self.index.get(node)?;
        match &item.body {
            _ if flags.writes() || flags.has(OpenFlags::TRUNCATE) => Err(REFUSED),
            Body::Link(_) => Err(Errno::ELOOP),
            Body::File(_) if flags.has(OpenFlags::FOLDER) => Err(Errno::ENOTDIR),
            _ => Ok((HandleId(node.0), item.attr)),
        }
    }

    fn create(
        &self,
        _parent: NodeId,
        _name: &[u8],
        _flags: OpenFlags,
        _mode: u32,
        _owner: Owner,
    ) -> Result<(Entry, HandleId), Errno> {
        Err(REFUSED)
    }

    fn close(&self, _handle: HandleId) {}

    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let item = self.item(handle)?;
        let Body::File(path) = &item.body else {
            return Err(Errno::EISDIR);
        };
        let source = Source {
            id: handle.0,
            path,
            size: item.attr.size,
        };
        self.content.read(&source, offset, buf)
    }

    fn write(&self, _handle: HandleId, _offset: u64, _data: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn sync(&self, _handle: HandleId, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let item = self.item(handle)?;
        let Body::Folder { order, .. } = &item.body else {
            return Err(Errno::ENOTDIR);
        };
        let dots = [(&b"."[..], item.attr.id), (b"..", item.parent.0)];
        for (next, (name, id)) in (1..).zip(dots).skip(offset.min(FIRST_COOKIE) as usize) {
            let kind = mode::FOLDER;
            if !take(DirEntry {
                name,
                id,
                kind,
                next,
            }) {
                return Ok(());
            }
        }
        let first = usize::try_from(offset.saturating_sub(FIRST_COOKIE)).unwrap_or(usize::MAX);
        for ((name, node), next) in order.iter().zip(FIRST_COOKIE + 1..).skip(first) {
            let (id, kind) = (node.0, self.index.get(*node)?.attr.kind());
            if !take(DirEntry {
                name,
                id,
                kind,
                next,
            }) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn make_folder(&self, _: NodeId, _: &[u8], _: u32, _: Owner) -> Result<Entry, Errno> {
        Err(REFUSED)
    }

    fn make_link(&self, _: NodeId, _: &[u8], _: &[u8], _: Owner) -> Result<Entry, Errno> {
        Err(REFUSED)
    }

    fn make_node(&self, _: NodeId, _: &[u8], _: u32, _: u64, _: Owner) -> Result<Entry, Errno> {
        Err(REFUSED)
    }

    fn link(&self, _: NodeId, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn rename(&self, _: NodeId, _: &[u8], _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn rename_node(&self, _: NodeId, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn unlink(&self, _: NodeId, _: &[u8], _: bool) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn unlink_node(&self, _: NodeId) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn get_xattr(&self, _: NodeId, _: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::ENODATA)
    }

    fn list_xattrs(&self, _: NodeId) -> Result<Vec<u8>, Errno> {
        Ok(Vec::new())
    }

    fn set_xattr(&self, _: NodeId, _: &[u8], _: &[u8], _: u32) -> Result<(), Errno> {
        Err(REFUSED)
    }

    fn remove_xattr(&self, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(REFUSED)
    }
}
