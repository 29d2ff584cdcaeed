//! `-object`: what the host gives for others to use, by id.

use std::path::PathBuf;

use util::cutils::parse_size;
use util::keyval::KeyVal;
use util::mmap_alloc::BLOCK_ALIGN;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    pub rngs: Vec<Rng>,
    pub memory: Vec<MemoryBackend>,
}

/// `-object rng-random` and `rng-builtin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    pub id: String,
    /// `None`: the host's random numbers.
    pub file: Option<PathBuf>,
}

/// `-object memory-backend-ram` and `memory-backend-file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBackend {
    pub id: String,
    pub bytes: u64,
    /// Get all of it from the host at once.
    pub prealloc: bool,
    pub file: Option<MemoryFile>,
}

/// `-object memory-backend-file,mem-path=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFile {
    /// The file, or a folder where a file without a name is made.
    pub path: PathBuf,
    pub offset: u64,
    /// What the guest writes reaches the file.
    pub share: bool,
    /// The file is only read.
    pub readonly: bool,
}

type Add = fn(&mut Objects, String, &mut KeyVal) -> Result<(), String>;

/// The kinds of objects.
const KINDS: &[(&str, Add)] = &[
    ("rng-builtin", |objects, id, _| {
        objects.rngs.push(Rng { id, file: None });
        Ok(())
    }),
    ("rng-random", |objects, id, keyval| {
        let file = keyval.take("filename").map(PathBuf::from);
        objects.rngs.push(Rng { id, file });
        Ok(())
    }),
    ("memory-backend-ram", |objects, id, keyval| {
        let backend = memory_backend(id, None, keyval)?;
        objects.memory.push(backend);
        Ok(())
    }),
    ("memory-backend-file", |objects, id, keyval| {
        let file = memory_file(keyval)?;
        let backend = memory_backend(id, Some(file), keyval)?;
        objects.memory.push(backend);
        Ok(())
    }),
];

impl Objects {
    /// Adds what an `-object` says.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let mut keyval = KeyVal::parse(text, Some("qom-type"))?;
        let kind = keyval.take("qom-type").ok_or("it names no object")?;
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let (_, add) =
            known.ok_or_else(|| format!("the object '{kind}' is not there yet in Tinamou"))?;
        let id = keyval.take("id").ok_or("the parameter 'id' is missing")?;
        if self.ids().any(|other| other == id) {
            return Err(format!("there is an object '{id}' already"));
        }
        add(self, id, &mut keyval)?;
        keyval.finish()
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        let rngs = self.rngs.iter().map(|rng| rng.id.as_str());
        rngs.chain(self.memory.iter().map(|memory| memory.id.as_str()))
    }

    /// The memory called `id`.
    pub fn memory(&self, id: &str) -> Option<&MemoryBackend> {
        self.memory.iter().find(|memory| memory.id == id)
    }
}

fn memory_backend(
    id: String,
    file: Option<MemoryFile>,
    keyval: &mut KeyVal,
) -> Result<MemoryBackend, String> {
    let size = keyval
        .take("size")
        .ok_or("the parameter 'size' is missing")?;
    let bytes = parse_size(&size, 1).filter(|bytes| *bytes > 0 && bytes % 4096 == 0);
    Ok(MemoryBackend {
        id,
        bytes: bytes.ok_or_else(|| format!("'{size}' is no size in whole pages of 4 KiB"))?,
        prealloc: keyval.take_switch("prealloc")?.unwrap_or(false),
        file,
    })
}

fn memory_file(keyval: &mut KeyVal) -> Result<MemoryFile, String> {
    let path = keyval.take("mem-path").filter(|path| !path.is_empty());
    let offset = keyval.take("offset").unwrap_or("0".into());
    let aligned = parse_size(&offset, 1).filter(|offset| offset % BLOCK_ALIGN as u64 == 0);
    let file = MemoryFile {
        path: path.ok_or("the parameter 'mem-path' is missing")?.into(),
        offset: aligned.ok_or_else(|| {
            format!(
                "'offset={offset}' is no multiple of {} KiB",
                BLOCK_ALIGN >> 10
            )
        })?,
        share: keyval.take_switch("share")?.unwrap_or(false),
        readonly: keyval.take_switch("readonly")?.unwrap_or(false),
    };
    if file.share && file.readonly {
        return Err("'readonly=on' with 'share=on' is not there yet in Tinamou".into());
    }
    Ok(file)
}
