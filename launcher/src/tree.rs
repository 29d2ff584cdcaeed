//! The merged file tree of an image, as metadata: contents are ranges of the [`crate::spool`].
//!
//! **What must hold:** names in it have no `/`, are neither `.` nor `..`, and nothing of it is ever
//! a path of the host. Links are followed within the tree alone.

use std::collections::{BTreeMap, HashSet};

/// The kernel's limits.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
const LINKS_FOLLOWED_MAX: usize = 40;
/// Bounds what an image can make us allocate.
const NODES_MAX: usize = 2_000_000;

/// A node's number; the root's is [`ROOT`].
pub type Id = usize;
pub const ROOT: Id = 0;

/// A range of the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub offset: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder(BTreeMap<Vec<u8>, Id>),
    File(Content),
    Link(Vec<u8>),
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
    Socket,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permissions, without the type.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// By full name, such as `user.x`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub meta: Meta,
    /// The layer that mentioned it last.
    layer: usize,
}

pub struct Tree {
    nodes: Vec<Node>,
    layer: usize,
}

fn folder(mode: u16, layer: usize) -> Node {
    Node {
        kind: Kind::Folder(BTreeMap::new()),
        meta: Meta {
            mode,
            ..Meta::default()
        },
        layer,
    }
}

pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}

/// The names of a path of an archive, which must not leave the root.
pub fn names(path: &[u8]) -> Result<Vec<&[u8]>, String> {
    if path.len() > PATH_MAX {
        return Err(format!("a path of {} bytes is too long", path.len()));
    }
    let names = path.split(|byte| *byte == b'/');
    let names: Vec<&[u8]> = names.filter(|n| !n.is_empty() && *n != b".").collect();
    for name in &names {
        if *name == b".." {
            return Err(format!("the path '{}' leaves the root", shown(path)));
        }
        if name.len() > NAME_MAX || name.contains(&0) {
            return Err(format!("the path '{}' cannot be one", shown(path)));
        }
    }
    Ok(names)
}

impl Tree {
    /// An empty root.
    pub fn new() -> Self {
        Self {
            nodes: vec![folder(0o755, 0)],
            layer: 0,
        }
    }

    /// What follows is in a layer over what is there.
    pub fn begin_layer(&mut self) {
        self.layer += 1;
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    fn entries(&self, id: Id) -> Option<&BTreeMap<Vec<u8>, Id>> {
        match &self.nodes[id].kind {
            Kind::Folder(entries) => Some(entries),
            _ => None,
        }
    }

    fn entries_mut(&mut self, id: Id) -> Option<&mut BTreeMap<Vec<u8>, Id>> {
        match &mut self.nodes[id].kind {
            Kind::Folder(entries) => Some(entries),
            _ => None,
        }
    }

    fn child(&self, id: Id, name: &[u8]) -> Option<Id> {
        self.entries(id)?.get(name).copied()
    }

    fn insert(&mut self, parent: Id, name: &[u8], node: Node) -> Result<Id, String> {
        if self.nodes.len() >= NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} files"));
        }
        let id = self.nodes.len();
        self.nodes.push(node);
        if let Some(entries) = self.entries_mut(parent) {
            entries.insert(name.to_vec(), id);
        }
        Ok(id)
    }

    /// The folder of these names, made where it is missing, through links within the root.
    fn folder_of(&mut self, names: &[&[u8]], path: &[u8]) -> Result<Id, String> {
        let mut stack = vec![ROOT];
        let mut ahead: Vec<Vec<u8>> = names.iter().rev().map(|name| name.to_vec()).collect();
        let mut followed = 0;
        while let Some(name) = ahead.pop() {
            // What a link said may go up, at most to the root, as the kernel has it.
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    stack.truncate(stack.len().saturating_sub(1).max(1));
                    continue;
                }
                _ => (),
            }
            let here = *stack.last().unwrap_or(&ROOT);
            let next = match self.child(here, &name) {
                Some(id) => id,
                None => self.insert(here, &name, folder(0o755, self.layer))?,
            };
            match &self.nodes[next].kind {
                Kind::Folder(_) => {
                    self.nodes[next].layer = self.layer;
                    stack.push(next);
                    continue;
                }
                Kind::Link(to) => {
                    followed += 1;
                    if followed > LINKS_FOLLOWED_MAX {
                        return Err(format!("'{}' is behind too many links", shown(path)));
                    }
                    let to = to.clone();
                    if to.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    for part in to.rsplit(|byte| *byte == b'/').filter(|p| !p.is_empty()) {
                        ahead.push(part.to_vec());
                    }
                }
                _ => return Err(format!("'{}' is behind a file", shown(path))),
            }
        }
        Ok(*stack.last().unwrap_or(&ROOT))
    }

    /// The parent of a path, and its last name; nothing for the root itself.
    fn place<'a>(&mut self, path: &'a [u8]) -> Result<Option<(Id, &'a [u8])>, String> {
        let names = names(path)?;
        match names.split_last() {
            None => Ok(None),
            Some((last, parents)) => Ok(Some((self.folder_of(parents, path)?, last))),
        }
    }

    /// Puts a node at `path`. A folder over a folder keeps what is in it.
    pub fn put(&mut self, path: &[u8], kind: Kind, meta: Meta) -> Result<(), String> {
        let is_folder = matches!(kind, Kind::Folder(_));
        let there = match self.place(path)? {
            None => Some(ROOT),
            Some((parent, name)) => match self.child(parent, name) {
                Some(id) if is_folder && self.entries(id).is_some() => Some(id),
                _ => {
                    let layer = self.layer;
                    self.insert(parent, name, Node { kind, meta, layer })?;
                    return Ok(());
                }
            },
        };
        match there {
            Some(id) if is_folder => {
                self.nodes[id].meta = meta;
                self.nodes[id].layer = self.layer;
                Ok(())
            }
            _ => Err("the root is no folder".into()),
        }
    }

    /// Makes `path` another name of the file `target`.
    pub fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), String> {
        let missing = || {
            let (path, target) = (shown(path), shown(target));
            format!("'{path}' is a hard link to '{target}', which is no file of the image")
        };
        let to = match self.place(target)? {
            Some((parent, name)) => self.child(parent, name).ok_or_else(missing)?,
            None => return Err(missing()),
        };
        if self.entries(to).is_some() {
            return Err(missing());
        }
        let (parent, name) = self.place(path)?.ok_or_else(missing)?;
        self.nodes[to].layer = self.layer;
        if let Some(entries) = self.entries_mut(parent) {
            entries.insert(name.to_vec(), to);
        }
        Ok(())
    }

    /// A whiteout: what lower layers have at `path` is gone.
    pub fn remove_lower(&mut self, path: &[u8]) -> Result<(), String> {
        let Some((parent, name)) = self.place(path)? else {
            return Err("a whiteout of the root cannot be".into());
        };
        match self.child(parent, name) {
            Some(id) if self.nodes[id].layer < self.layer => {
                self.entries_mut(parent).map(|entries| entries.remove(name));
            }
            Some(id) => self.clear_lower(id),
            None => (),
        }
        Ok(())
    }

    /// An opaque folder: what lower layers have in it is gone.
    pub fn make_opaque(&mut self, path: &[u8]) -> Result<(), String> {
        let names = names(path)?;
        let id = self.folder_of(&names, path)?;
        self.clear_lower(id);
        Ok(())
    }

    fn clear_lower(&mut self, id: Id) {
        let mut work = vec![id];
        while let Some(id) = work.pop() {
            let entries: Vec<_> = self.entries(id).into_iter().flatten().collect();
            let old = |child: Id| self.nodes[child].layer < self.layer;
            let (gone, kept): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|(_, child)| old(**child));
            let gone: HashSet<Vec<u8>> = gone.into_iter().map(|(name, _)| name.clone()).collect();
            work.extend(kept.into_iter().map(|(_, child)| *child));
            if let Some(entries) = self.entries_mut(id) {
                entries.retain(|name, _| !gone.contains(name));
            }
        }
    }

    /// What a path names, its last link not followed. For tests and for what an image has.
    pub fn find(&self, path: &str) -> Option<&Node> {
        let mut id = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            id = self.child(id, name.as_bytes())?;
        }
        Some(&self.nodes[id])
    }

    /// All nodes that have a name, each once, folders before what is in them, with the number of
    /// names.
    pub fn reachable(&self) -> Vec<(Id, u32)> {
        let mut links = vec![0u32; self.nodes.len()];
        let mut order = vec![ROOT];
        links[ROOT] = 1;
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            next += 1;
            for child in self.entries(id).into_iter().flatten().map(|entry| *entry.1) {
                if links[child] == 0 {
                    order.push(child);
                }
                links[child] += 1;
            }
        }
        order.into_iter().map(|id| (id, links[id])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> Kind {
        Kind::Folder(BTreeMap::new())
    }

    fn file(offset: u64) -> Kind {
        Kind::File(Content { offset, bytes: 1 })
    }

    fn put(tree: &mut Tree, path: &str, kind: Kind) {
        let meta = Meta::default();
        tree.put(path.as_bytes(), kind, meta).expect(path);
    }

    /// Names with what they are, in one line.
    fn list(tree: &Tree) -> String {
        fn walk(tree: &Tree, id: Id, out: &mut String) {
            for (name, child) in tree.entries(id).into_iter().flatten() {
                out.push_str(&String::from_utf8_lossy(name));
                match &tree.node(*child).kind {
                    Kind::Folder(_) => {
                        out.push('(');
                        walk(tree, *child, out);
                        out.push(')');
                    }
                    Kind::File(content) => out.push_str(&content.offset.to_string()),
                    _ => out.push('!'),
                }
                out.push(' ');
            }
        }
        let mut out = String::new();
        walk(tree, ROOT, &mut out);
        out
    }

    #[test]
    fn layers_replace_and_remove() {
        let mut tree = Tree::new();
        for (path, at) in [("a/x", 1), ("a/y", 2), ("b/x", 3), ("c", 4), ("d/e/f", 5)] {
            put(&mut tree, path, file(at));
        }
        tree.begin_layer();
        put(&mut tree, "b/new", file(6));
        put(&mut tree, "d/e/new", file(7));
        tree.make_opaque(b"b").expect("b");
        tree.make_opaque(b"d").expect("d");
        tree.remove_lower(b"a/x").expect("a/x");
        tree.remove_lower(b"none/x").expect("none");
        put(&mut tree, "c", dir());
        put(&mut tree, "a", dir());
        assert_eq!(list(&tree), "a(y2 ) b(new6 ) c() d(e(new7 ) ) none() ");
        // A whiteout in the layer that has a file anew, before or behind it.
        tree.begin_layer();
        tree.remove_lower(b"a").expect("a");
        put(&mut tree, "a/z", file(8));
        put(&mut tree, "d/e/new", file(9));
        tree.remove_lower(b"d").expect("d");
        put(&mut tree, "b", file(1));
        assert_eq!(list(&tree), "a(z8 ) b1 c() d(e(new9 ) ) none() ");
    }

    #[test]
    fn links_stay_in_the_root() {
        let mut tree = Tree::new();
        put(&mut tree, "usr/lib/x", file(1));
        put(&mut tree, "lib", Kind::Link(b"usr/lib".to_vec()));
        put(&mut tree, "out", Kind::Link(b"../../..".to_vec()));
        put(&mut tree, "up", Kind::Link(b"/usr/lib/../../usr".to_vec()));
        put(&mut tree, "loop", Kind::Link(b"loop/x".to_vec()));
        put(&mut tree, "lib/y", file(2));
        put(&mut tree, "out/z", file(3));
        put(&mut tree, "up/w", file(4));
        assert!(tree.put(b"loop/x", file(1), Meta::default()).is_err());
        assert!(tree.put(b"z/x", file(1), Meta::default()).is_err());
        assert!(tree.put(b"", file(1), Meta::default()).is_err());
        for path in [&b"../x"[..], b"a/../../x", b"/..", b"a\0b", &[b'x'; 300]] {
            assert!(tree.put(path, file(1), Meta::default()).is_err());
            assert!(tree.hard_link(b"h", path).is_err());
        }
        assert_eq!(list(&tree), "lib! loop! out! up! usr(lib(x1 y2 ) w4 ) z3 ");
    }

    #[test]
    fn hard_links_count() {
        let mut tree = Tree::new();
        put(&mut tree, "a", file(1));
        put(&mut tree, "d", dir());
        tree.hard_link(b"d/b", b"./a").expect("a link");
        tree.hard_link(b"a", b"a").expect("itself");
        assert!(tree.hard_link(b"c", b"d").is_err());
        assert!(tree.hard_link(b"c", b"nothing").is_err());
        let counts: Vec<u32> = tree.reachable().iter().map(|(_, links)| *links).collect();
        assert_eq!(counts, [1, 2, 1]);
    }
}
