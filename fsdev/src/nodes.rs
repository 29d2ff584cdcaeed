//! The names that a server knows: a tree of those that somebody refers to, and of the folders
//! above them (a kernel's dentries). A name that is renamed keeps its node, and so do all below;
//! one that is removed or replaced leaves the tree, and its node lives on without a place.

use std::collections::HashMap;

use include::Errno;
use include::fsdev::NodeId;

/// The node of the top folder, which is always there.
pub const ROOT: NodeId = NodeId(0);

struct Node<T> {
    /// Folder and name; the top folder and what left the tree have none.
    place: Option<(NodeId, Vec<u8>)>,
    references: u64,
    children: HashMap<Vec<u8>, NodeId>,
    value: T,
}

/// The tree; each node has a value that its driver knows.
pub struct Nodes<T> {
    nodes: HashMap<NodeId, Node<T>>,
    next: u64,
}

impl<T> Nodes<T> {
    pub fn new(root: T) -> Self {
        let root = Node {
            place: None,
            // One more than anybody gives back.
            references: 1,
            children: HashMap::new(),
            value: root,
        };
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            next: ROOT.0 + 1,
        }
    }

    fn node(&self, id: NodeId) -> Result<&Node<T>, Errno> {
        self.nodes.get(&id).ok_or(Errno::EBADF)
    }

    pub fn get(&self, id: NodeId) -> Result<&T, Errno> {
        self.node(id).map(|node| &node.value)
    }

    pub fn get_mut(&mut self, id: NodeId) -> Result<&mut T, Errno> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::EBADF)?;
        Ok(&mut node.value)
    }

    /// The folder and the name of a node, unless it is the top or has left the tree.
    pub fn place(&self, id: NodeId) -> Result<Option<(NodeId, &[u8])>, Errno> {
        let place = self.node(id)?.place.as_ref();
        Ok(place.map(|(parent, name)| (*parent, name.as_slice())))
    }

    /// The node of a name, if there is one.
    pub fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes.get(&parent)?.children.get(name).copied()
    }

    /// Counts one more reference.
    pub fn refer(&mut self, id: NodeId) -> Result<(), Errno> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::EBADF)?;
        node.references += 1;
        Ok(())
    }

    /// The node of a name, which `make` makes if there is none yet; counts one reference.
    pub fn enter(
        &mut self,
        parent: NodeId,
        name: &[u8],
        make: impl FnOnce() -> T,
    ) -> Result<NodeId, Errno> {
        if let Some(child) = self.child(parent, name) {
            self.refer(child)?;
            return Ok(child);
        }
        let id = NodeId(self.next);
        let folder = self.nodes.get_mut(&parent).ok_or(Errno::EBADF)?;
        folder.children.insert(name.to_vec(), id);
        self.next += 1;
        let node = Node {
            place: Some((parent, name.to_vec())),
            references: 1,
            children: HashMap::new(),
            value: make(),
        };
        self.nodes.insert(id, node);
        Ok(id)
    }

    /// Counts one reference less; the values of nodes that nobody needs any more.
    #[must_use]
    pub fn forget(&mut self, id: NodeId) -> Vec<T> {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.references = node.references.saturating_sub(1);
        }
        self.sweep(Some(id))
    }

    /// Removes nodes without references and children, from `id` on upwards.
    fn sweep(&mut self, mut id: Option<NodeId>) -> Vec<T> {
        let mut values = Vec::new();
        while let Some(current) = id {
            let idle = |node: &&mut Node<T>| node.references == 0 && node.children.is_empty();
            if self.nodes.get_mut(&current).filter(idle).is_none() {
                break;
            }
            let node = self.nodes.remove(&current).expect("it is there");
            id = node.place.map(|(parent, name)| {
                self.drop_child(parent, &name);
                parent
            });
            values.push(node.value);
        }
        values
    }

    fn drop_child(&mut self, parent: NodeId, name: &[u8]) {
        if let Some(folder) = self.nodes.get_mut(&parent) {
            folder.children.remove(name);
        }
    }

    /// The name is gone: its node, if there is one, leaves the tree.
    #[must_use]
    pub fn detach(&mut self, parent: NodeId, name: &[u8]) -> Vec<T> {
        let Some(child) = self.child(parent, name) else {
            return Vec::new();
        };
        self.drop_child(parent, name);
        if let Some(node) = self.nodes.get_mut(&child) {
            node.place = None;
        }
        let mut values = self.sweep(Some(parent));
        values.extend(self.sweep(Some(child)));
        values
    }

    /// What had the first name has the second one now, where what was there leaves the tree.
    #[must_use]
    pub fn rename(
        &mut self,
        (parent, name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
    ) -> Vec<T> {
        if (parent, name) == (new_parent, new_name) {
            return Vec::new();
        }
        let mut values = self.detach(new_parent, new_name);
        let Some(child) = self.child(parent, name) else {
            return values;
        };
        self.drop_child(parent, name);
        if let Some(folder) = self.nodes.get_mut(&new_parent) {
            folder.children.insert(new_name.to_vec(), child);
        }
        if let Some(node) = self.nodes.get_mut(&child) {
            node.place = Some((new_parent, new_name.to_vec()));
        }
        values.extend(self.sweep(Some(parent)));
        values
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the top is there.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (Nodes<&'static str>, NodeId, NodeId) {
        let mut nodes = Nodes::new("root");
        let folder = nodes.enter(ROOT, b"folder", || "folder").unwrap();
        let file = nodes.enter(folder, b"file", || "file").unwrap();
        (nodes, folder, file)
    }

    #[test]
    fn folders_stay_while_something_below_is_known() {
        let (mut nodes, folder, file) = tree();
        assert!(nodes.forget(folder).is_empty());
        assert_eq!(nodes.place(file), Ok(Some((folder, &b"file"[..]))));
        assert_eq!(nodes.forget(file), ["file", "folder"]);
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes.get(file), Err(Errno::EBADF));
    }

    #[test]
    fn a_name_has_one_node() {
        let (mut nodes, folder, file) = tree();
        assert_eq!(nodes.enter(folder, b"file", || "other"), Ok(file));
        assert!(nodes.forget(file).is_empty());
        assert_eq!(nodes.forget(file), ["file"]);
    }

    #[test]
    fn a_renamed_folder_takes_all_along() {
        let (mut nodes, folder, file) = tree();
        let other = nodes.enter(ROOT, b"other", || "other").unwrap();
        assert!(nodes.rename((ROOT, b"folder"), (other, b"new")).is_empty());
        assert_eq!(nodes.place(folder), Ok(Some((other, &b"new"[..]))));
        assert_eq!(nodes.child(folder, b"file"), Some(file));
        assert_eq!(nodes.child(ROOT, b"folder"), None);
        assert!(nodes.rename((other, b"new"), (other, b"new")).is_empty());
        assert_eq!(nodes.child(other, b"new"), Some(folder));
    }

    #[test]
    fn what_is_removed_or_replaced_has_no_place() {
        let (mut nodes, folder, file) = tree();
        assert!(nodes.detach(folder, b"file").is_empty());
        assert_eq!(nodes.place(file), Ok(None));
        let again = nodes.enter(folder, b"file", || "again").unwrap();
        assert_ne!(again, file);
        let other = nodes.enter(folder, b"other", || "other").unwrap();
        assert!(
            nodes
                .rename((folder, b"other"), (folder, b"file"))
                .is_empty()
        );
        assert_eq!(nodes.place(again), Ok(None));
        assert_eq!(nodes.child(folder, b"file"), Some(other));
        assert_eq!(nodes.forget(again), ["again"]);
        assert_eq!(nodes.forget(file), ["file"]);
    }
}
