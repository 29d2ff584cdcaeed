//! Guest memory of native hosts: an anonymous mapping.

use memmap2::{MmapOptions, MmapRaw};

pub struct Memory {
    map: MmapRaw,
}

impl Memory {
    pub fn map(len: usize) -> Result<Self, String> {
        // Pages that the guest never touches shall not count against the host's limit.
        let map = MmapOptions::new().len(len).no_reserve_swap().map_anon();
        let map = map.map_err(|error| error.to_string())?;
        advise_huge_pages(&map);
        Ok(Self { map: map.into() })
    }

    pub fn host(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(map: &memmap2::MmapMut) {
    // Only a hint: kernels without huge pages refuse it.
    let _ = map.advise(memmap2::Advice::HugePage);
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_map: &memmap2::MmapMut) {}
