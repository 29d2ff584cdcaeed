//! The index of a tree on a server (docs/files.md): which files there are, and what `stat` says of
//! them. `scripts/make-tree-index` writes it.
//!
//! ```text
//! tinamou-tree 1
//! d 755 0 0 1700000000 0 usr/share
//! f 644 0 0 1700000000 5 usr/share/a%20name
//! l 777 0 0 1700000000 0 usr/lib64 lib
//! ```
//!
//! Type, mode (octal), owner, group, seconds since 1970, bytes, path, and of links the target.
//! Paths and targets are escaped as in URLs. A folder comes before what is in it; the first line
//! with the path `.` is the top folder, if there is one.
//!
//! What must hold: it comes from a server, so whatever it says is checked and bounded.

use std::collections::{BTreeMap, HashMap};

use include::Errno;
use include::fsdev::{Attr, FileTime, NodeId, mode};

use crate::check_name;
use crate::nodes::ROOT;

const MAGIC: &str = "tinamou-tree 1";
const ENTRIES_MAX: usize = 1 << 20;
const TARGET_MAX: usize = 4095;
/// Folders in folders.
const DEPTH_MAX: usize = 256;
/// Where the entries of a folder begin, behind `.` and `..`.
pub const FIRST_COOKIE: u64 = 2;

/// A file, folder or link. The number of a node is its place in the list.
pub struct Item {
    pub attr: Attr,
    pub parent: NodeId,
    pub body: Body,
}

pub enum Body {
    /// The names in it, in the order of the index.
    Folder {
        names: HashMap<Vec<u8>, NodeId>,
        order: Vec<(Vec<u8>, NodeId)>,
    },
    /// The path, as a URL has it.
    File(String),
    Link(Vec<u8>),
}

impl Body {
    fn folder() -> Self {
        Self::Folder {
            names: HashMap::new(),
            order: Vec::new(),
        }
    }
}

pub struct Index {
    items: Vec<Item>,
}

impl Index {
    /// Reads an index; the error is a part of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().zip(1..);
        if lines.next().map(|(line, _)| line.trim_end()) != Some(MAGIC) {
            return Err(format!("its first line is not '{MAGIC}'"));
        }
        let mut index = Self {
            items: vec![Item {
                attr: attr_of(0, mode::FOLDER | 0o755),
                parent: ROOT,
                body: Body::folder(),
            }],
        };
        // Folders by their escaped paths, to find where a file belongs.
        let mut folders = BTreeMap::from([(String::new(), (ROOT, 0))]);
        for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
            let added = index.add(line, &mut folders);
            added.map_err(|reason| format!("line {number}: {reason}"))?;
        }
        Ok(index)
    }

    fn add(
        &mut self,
        line: &str,
        folders: &mut BTreeMap<String, (NodeId, usize)>,
    ) -> Result<(), String> {
        if self.items.len() >= ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} entries"));
        }
        let fields: Vec<&str> = line.split(' ').collect();
        let (kind, numbers, path, target) = match fields.as_slice() {
            [kind, numbers @ .., path] if numbers.len() == 5 => (*kind, numbers, *path, None),
            [kind, numbers @ .., path, to] if numbers.len() == 5 => {
                (*kind, numbers, *path, Some(*to))
            }
            _ => return Err("it has not 7 fields, or 8 for a link".into()),
        };
        let id = NodeId(self.items.len() as u64);
        let (body, bits) = match (kind, target) {
            ("d", None) => (Body::folder(), mode::FOLDER),
            ("f", None) => (Body::File(path.into()), mode::REGULAR),
            ("l", Some(target)) => (Body::Link(link_target(target)?), mode::LINK),
            _ => {
                return Err(format!(
                    "'{kind}' is no type, or a target is missing or too many"
                ));
            }
        };
        let mut attr = parse_numbers(numbers, bits).ok_or("its numbers are none")?;
        if let Body::Link(target) = &body {
            attr.size = target.len() as u64;
        }
        if (kind, path) == ("d", ".") {
            attr.id = ROOT.0;
            self.items[0].attr = attr;
            return Ok(());
        }
        attr.id = id.0;
        let (above, name) = match path.rsplit_once('/') {
            Some(("", _)) => return Err(format!("'{path}' is no path below the top")),
            Some(pair) => pair,
            None => ("", path),
        };
        let (parent, depth) = *folders.get(above).ok_or("its folder is not in the index")?;
        let name = unescape(name).filter(|name| check_name(name).is_ok());
        let name = name.ok_or_else(|| format!("'{path}' is no path"))?;
        self.name(parent, name, id)?;
        if kind == "d" {
            if depth >= DEPTH_MAX {
                return Err("it is too deep".into());
            }
            folders.insert(path.into(), (id, depth + 1));
            self.items[parent.0 as usize].attr.links += 1;
        }
        self.items.push(Item { attr, parent, body });
        Ok(())
    }

    fn name(&mut self, parent: NodeId, name: Vec<u8>, id: NodeId) -> Result<(), String> {
        let folder = self.items.get_mut(parent.0 as usize);
        let Some(Body::Folder { names, order }) = folder.map(|item| &mut item.body) else {
            return Err("it is in no folder".into());
        };
        if names.insert(name.clone(), id).is_some() {
            return Err("its name is there twice".into());
        }
        order.push((name, id));
        Ok(())
    }

    pub fn get(&self, node: NodeId) -> Result<&Item, Errno> {
        let place = usize::try_from(node.0).map_err(|_| Errno::EBADF)?;
        self.items.get(place).ok_or(Errno::EBADF)
    }

    pub fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<NodeId, Errno> {
        match &self.get(parent)?.body {
            Body::Folder { names, .. } => names.get(name).copied().ok_or(Errno::ENOENT),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let sizes = self.items.iter().map(|item| item.attr.size);
        sizes.fold(0, u64::saturating_add)
    }
}

fn attr_of(id: u64, mode: u32) -> Attr {
    Attr {
        mode,
        id,
        links: if mode & mode::TYPE == mode::FOLDER {
            2
        } else {
            1
        },
        block_size: 4096,
        ..Attr::default()
    }
}

fn parse_numbers(numbers: &[&str], kind: u32) -> Option<Attr> {
    let [bits, uid, gid, seconds, size] = numbers else {
        return None;
    };
    let bits = u32::from_str_radix(bits, 8).ok()?;
    let size: i64 = size.parse().ok()?;
    let size = u64::try_from(size).ok()?;
    let seconds = FileTime {
        seconds: seconds.parse().ok()?,
        nanoseconds: 0,
    };
    Some(Attr {
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        size,
        blocks: size.div_ceil(512),
        accessed: seconds,
        modified: seconds,
        changed: seconds,
        ..attr_of(0, kind | bits & mode::PERMISSIONS)
    })
}

fn link_target(text: &str) -> Result<Vec<u8>, String> {
    let target = unescape(text);
    let target = target.filter(|it| (1..=TARGET_MAX).contains(&it.len()) && !it.contains(&0));
    target.ok_or_else(|| format!("'{text}' is no target"))
}

/// The bytes of an escaped text.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(rest.next())? << 4 | digit(rest.next())?) as u8
            }
            byte if plain(byte) => byte,
            _ => return None,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree() {
        let text = "tinamou-tree 1\n\
            d 700 1 2 5 0 .\n\
            d 755 0 0 1700000000 0 usr\n\
            f 4755 1000 100 -1 5 usr/a%20%ff\n\
            l 777 0 0 0 0 bin usr/bin\n";
        let index = Index::parse(text).unwrap();
        assert_eq!((index.len(), index.bytes()), (4, 12));
        let root = &index.get(ROOT).unwrap().attr;
        assert_eq!((root.mode, root.uid, root.links), (0o40_700, 1, 3));
        let usr = index.lookup(ROOT, b"usr").unwrap();
        let file = index.lookup(usr, b"a \xff").unwrap();
        let item = index.get(file).unwrap();
        assert_eq!(
            (item.attr.mode, item.attr.size, item.attr.uid),
            (0o104_755, 5, 1000)
        );
        assert_eq!((item.parent, item.attr.modified.seconds), (usr, -1));
        assert!(matches!(&item.body, Body::File(path) if path == "usr/a%20%ff"));
        let link = index.get(index.lookup(ROOT, b"bin").unwrap()).unwrap();
        assert!(matches!(&link.body, Body::Link(target) if target == b"usr/bin"));
        assert_eq!(index.lookup(usr, b"none"), Err(Errno::ENOENT));
        assert_eq!(index.lookup(file, b"x"), Err(Errno::ENOTDIR));
        assert!(index.get(NodeId(99)).is_err());
    }

    #[test]
    fn what_a_server_may_not_say() {
        for (line, sentence) in [
            ("f 644 0 0 0 1 a/b", "folder"),
            ("f 644 0 0 0 1 ..", "path"),
            ("f 644 0 0 0 1 a%2fb", "path"),
            ("f 644 0 0 0 1 a%00", "path"),
            ("f 644 0 0 0 1 a%f", "path"),
            ("f 644 0 0 0 1 a?b", "path"),
            ("f 644 0 0 0 1 ", "path"),
            ("f 644 0 0 0 1 /a", "path"),
            ("f 999 0 0 0 1 a", "numbers"),
            ("f 644 0 0 0 -1 a", "numbers"),
            ("f 644 0 0 0 99999999999999999999 a", "numbers"),
            ("f 644 -1 0 0 1 a", "numbers"),
            ("f 644 0 0 0 1 a b", "target"),
            ("l 777 0 0 0 0 a", "target"),
            ("l 777 0 0 0 0 a %00", "target"),
            ("c 644 0 0 0 0 a", "type"),
            ("f 644 0 0", "fields"),
            ("d 755 0 0 0 0 a\nd 755 0 0 0 0 a", "twice"),
            ("f 644 0 0 0 0 a\nf 644 0 0 0 0 a/b", "folder"),
        ] {
            let error = Index::parse(&format!("tinamou-tree 1\n{line}\n"));
            let error = error.err().unwrap_or_default();
            assert!(error.contains(sentence), "{line}: {error}");
        }
        assert!(Index::parse("<html>").is_err());
        assert!(Index::parse("").is_err());
        let deep: Vec<String> = (1..400).map(|n| vec!["d"; n].join("/")).collect();
        let deep = deep.iter().map(|path| format!("d 755 0 0 0 0 {path}\n"));
        let text = format!("tinamou-tree 1\n{}", deep.collect::<String>());
        assert!(Index::parse(&text).is_err_and(|error| error.contains("deep")));
    }
}
