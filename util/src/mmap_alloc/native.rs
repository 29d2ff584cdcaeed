//! Guest memory of native hosts: an anonymous mapping, or one of a file.

use std::io;

use memmap2::{MmapOptions, MmapRaw};

use super::{FileBacking, RamBlock};

pub struct Memory {
    map: MmapRaw,
    /// What is written reaches a file.
    shared: bool,
}

impl Memory {
    pub fn map(len: usize) -> Result<Self, String> {
        // Pages that the guest never touches shall not count against the host's limit.
        let map = MmapOptions::new().len(len).no_reserve_swap().map_anon();
        let map = map.map_err(|error| error.to_string())?;
        advise_huge_pages(&map);
        Ok(Self {
            map: map.into(),
            shared: false,
        })
    }

    pub fn map_file(len: usize, backing: FileBacking) -> Result<Self, String> {
        let mut options = MmapOptions::new();
        options.offset(backing.offset).len(len);
        let map = if backing.share {
            options.map_raw(&backing.file)
        } else {
            // SAFETY: the mapping is private and becomes bytes that only atomic accesses touch; if
            // somebody else changes the file, the guest sees other bytes, and nothing else.
            unsafe { options.map_copy(&backing.file) }.map(MmapRaw::from)
        };
        Ok(Self {
            map: map.map_err(|error| error.to_string())?,
            shared: backing.share,
        })
    }

    pub fn host(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    pub fn sync(&self, _block: &RamBlock) -> io::Result<()> {
        match self.shared {
            true => self.map.flush(),
            false => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(map: &memmap2::MmapMut) {
    // Only a hint: kernels without huge pages refuse it.
    let _ = map.advise(memmap2::Advice::HugePage);
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_map: &memmap2::MmapMut) {}
