//! All nodes of the machine, by name, and how they are opened.

use std::collections::HashMap;
use std::sync::Arc;

use include::Errno;
use parking_lot::Mutex;
use util::coroutine::AioContext;

use crate::backend::Backend;
use crate::backing;
use crate::chunked::Chunked;
use crate::chunked::format::MAGIC;
use crate::logwrites::LogWrites;
use crate::node::{Child, Node};
use crate::options::{Blockdev, Drive, NodeOptions, Tuning};
use crate::overlay::Overlay;
use crate::overlay_file;
use crate::protocol::{self, describe};
use crate::raw::Raw;

/// A node with a name, that nobody has below or behind it yet.
struct Named {
    node: Child,
    read_only: bool,
    tuning: Tuning,
}

/// The nodes of a machine and the thread that their requests run on.
pub struct Graph {
    context: Arc<AioContext>,
    named: Mutex<HashMap<String, Named>>,
    backends: Mutex<Vec<Arc<Backend>>>,
}

impl Graph {
    /// An empty graph, whose requests run on `context`.
    pub fn new(context: Arc<AioContext>) -> Self {
        Self {
            context,
            named: Mutex::default(),
            backends: Mutex::default(),
        }
    }

    /// Opens a `-blockdev`, for others to name.
    pub fn add(&self, blockdev: &Blockdev) -> Result<(), String> {
        let name = &blockdev.name;
        if self.named.lock().contains_key(name) {
            return Err(format!("there is a node '{name}' already"));
        }
        let node = self.open(&blockdev.node, blockdev.read_only)?;
        if blockdev.tuning.cache.no_flush {
            node.ignore_flushes();
        }
        let named = Named {
            node,
            read_only: blockdev.read_only,
            tuning: blockdev.tuning,
        };
        self.named.lock().insert(name.clone(), named);
        Ok(())
    }

    /// Opens a `-drive`.
    pub fn open_drive(&self, drive: &Drive) -> Result<Arc<Backend>, String> {
        let below_is_read_only = drive.read_only || drive.snapshot;
        let node = self.open(&drive.node, below_is_read_only)?;
        if drive.tuning.cache.no_flush {
            node.ignore_flushes();
        }
        let node = match drive.snapshot {
            true => Arc::new(Node::Overlay(Overlay::new(node))),
            false => node,
        };
        Ok(self.backend(node, drive.read_only, drive.tuning))
    }

    /// Takes a `-blockdev` for a device (`drive=NAME`); each can be taken once.
    pub fn take(&self, name: &str) -> Option<Arc<Backend>> {
        let named = self.named.lock().remove(name)?;
        Some(self.backend(named.node, named.read_only, named.tuning))
    }

    fn backend(&self, node: Child, read_only: bool, tuning: Tuning) -> Arc<Backend> {
        let backend = Backend::new(node, read_only, tuning, self.context.clone());
        let backend = Arc::new(backend);
        self.backends.lock().push(backend.clone());
        backend
    }

    /// Waits for all requests and puts everything on stable storage: for the end of the process.
    /// Guests must not run any more.
    pub fn close(&self) -> Result<(), Errno> {
        let backends = self.backends.lock().clone();
        let results: Vec<_> = backends.iter().map(|b| b.drain_and_flush()).collect();
        results.into_iter().collect()
    }

    fn open(&self, options: &NodeOptions, read_only: bool) -> Result<Child, String> {
        let (options, taken) = self.resolve(options)?;
        // In a coroutine, so that nothing else need be able to wait.
        self.context
            .block_on(move || open_node(&options, read_only, taken))
    }

    /// Takes the node that the lowest layer names, if it is a name.
    fn resolve(&self, options: &NodeOptions) -> Result<(NodeOptions, Option<Child>), String> {
        let mut lowest = options;
        loop {
            lowest = match lowest {
                NodeOptions::Raw { below, .. }
                | NodeOptions::Qcow2 { below }
                | NodeOptions::Chunked { below }
                | NodeOptions::LogWrites { below, .. }
                | NodeOptions::Overlay { below, .. }
                | NodeOptions::Probe { below } => below,
                NodeOptions::Reference(name) => {
                    let named = self.named.lock().remove(name);
                    let named = named.ok_or_else(|| format!("there is no node '{name}' to use"))?;
                    return Ok((options.clone(), Some(named.node)));
                }
                NodeOptions::File { .. } | NodeOptions::Null { .. } | NodeOptions::Http(_) => {
                    return Ok((options.clone(), None));
                }
            };
        }
    }
}

/// Opens from the lowest layer up. `taken` is the node that the lowest one names.
fn open_node(
    options: &NodeOptions,
    read_only: bool,
    taken: Option<Child>,
) -> Result<Child, String> {
    let node = match options {
        NodeOptions::Reference(_) => return taken.ok_or_else(|| "it names no node".into()),
        NodeOptions::File { .. } | NodeOptions::Null { .. } | NodeOptions::Http(_) => {
            return protocol::open(options, read_only);
        }
        NodeOptions::Overlay { below, file } => {
            let name = describe_lowest(below);
            let base = open_node(below, true, taken)?;
            return overlay_file::open(file, base, &name, read_only);
        }
        NodeOptions::LogWrites { below, log, sector } => {
            let log = open_node(log, false, None)?;
            let file = open_node(below, read_only, taken)?;
            Node::LogWrites(Box::new(LogWrites::new(file, log, *sector)?))
        }
        NodeOptions::Raw {
            below,
            offset,
            size,
        } => Node::Raw(Raw::new(
            open_node(below, read_only, taken)?,
            *offset,
            *size,
            false,
        )?),
        NodeOptions::Qcow2 { below } => {
            let name = describe(below);
            let child = open_node(below, read_only, taken)?;
            return backing::open_format(Some("qcow2"), &name, child, read_only);
        }
        NodeOptions::Probe { below } => {
            let name = describe(below);
            let child = open_node(below, read_only, taken)?;
            if shows_chunked(&child)? {
                return open_chunked(below, child, read_only);
            }
            return backing::open_format(None, &name, child, read_only);
        }
        NodeOptions::Chunked { below } => {
            let child = open_node(below, read_only, taken)?;
            return open_chunked(below, child, read_only);
        }
    };
    Ok(Arc::new(node))
}

/// Whether an image without a given format is a chunked one.
fn shows_chunked(child: &Child) -> Result<bool, String> {
    let mut start = vec![0; child.len().min(MAGIC.len() as u64) as usize];
    let read = child.read(0, &mut start);
    read.map_err(|error| format!("the image cannot be read: {error}"))?;
    Ok(start == MAGIC)
}

fn open_chunked(below: &NodeOptions, child: Child, read_only: bool) -> Result<Child, String> {
    let name = describe(below);
    if !read_only {
        let hint = "chunked images are only read (readonly=on, snapshot=on or overlay=FILE)";
        return Err(format!("cannot open '{name}': {hint}"));
    }
    let image = Chunked::open(child, below);
    let image = image.map_err(|reason| format!("cannot open '{name}': {reason}"))?;
    Ok(Arc::new(Node::Chunked(Box::new(image))))
}

/// The file at the bottom of an image, for messages and for overlays to know it again.
fn describe_lowest(options: &NodeOptions) -> String {
    let mut lowest = options;
    while let NodeOptions::Raw { below, .. }
    | NodeOptions::Qcow2 { below }
    | NodeOptions::Chunked { below }
    | NodeOptions::Overlay { below, .. }
    | NodeOptions::Probe { below } = lowest
    {
        lowest = below;
    }
    describe(lowest)
}
