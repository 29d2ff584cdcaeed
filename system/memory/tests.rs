//! A small memory map: RAM in two blocks, a ROM, two devices.

use super::*;

/// Remembers its last store, and answers loads with the offset.
#[derive(Default)]
struct Fake {
    stored: Option<(u64, u64)>,
    words_only: bool,
}

impl MmioDevice for Fake {
    fn read(&mut self, offset: u64, _size: AccessSize) -> u64 {
        offset | 0xffff_ffff_ffff_ff00
    }
    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        self.stored = Some((offset, value));
    }
    fn min_access(&self) -> AccessSize {
        if self.words_only {
            AccessSize::Word
        } else {
            AccessSize::Byte
        }
    }
    fn max_access(&self) -> AccessSize {
        if self.words_only {
            AccessSize::Word
        } else {
            AccessSize::Double
        }
    }
    fn reset(&mut self) {
        self.stored = None;
    }
}

const RAM: u64 = 0x8000_0000;

fn ram(bytes: u64) -> RamBlock {
    RamBlock::alloc(bytes).unwrap()
}

fn machine() -> (PhysMemory, Arc<Mutex<Fake>>, Arc<Mutex<Fake>>) {
    let wide = Arc::new(Mutex::new(Fake::default()));
    let words = Arc::new(Mutex::new(Fake {
        words_only: true,
        ..Fake::default()
    }));
    let mut builder = MemoryBuilder::default();
    builder.ram("ram0", PhysAddr(RAM), ram(0x4000)).unwrap();
    builder.rom("mrom", PhysAddr(0x1000), 0x1000).unwrap();
    builder
        .ram("ram1", PhysAddr(RAM + 0x4000), ram(0x2000))
        .unwrap();
    builder
        .device("wide", PhysAddr(0x1000_0000), 0x100, wide.clone())
        .unwrap();
    builder
        .device("words", PhysAddr(0x1000_0100), 0x102, words.clone())
        .unwrap();
    let memory = PhysMemory::default();
    assert_eq!(memory.ram_page(PhysAddr(RAM)), None);
    memory.seal(builder).unwrap();
    (memory, wide, words)
}

#[test]
fn page_indices_are_dense() {
    let (memory, ..) = machine();
    assert_eq!(memory.ram_pages(), 7);
    let index = |addr| {
        memory
            .ram_page(PhysAddr(addr))
            .map(|page| (page.index, page.writable))
    };
    assert_eq!(index(RAM), Some((0, true)));
    assert_eq!(index(RAM + 0x3fff), Some((3, true)));
    assert_eq!(index(0x1abc), Some((4, false)));
    assert_eq!(index(RAM + 0x5000), Some((6, true)));
    for nothing in [0, 0x2000, 0x1000_0000, RAM - 1, RAM + 0x6000, u64::MAX] {
        assert_eq!(index(nothing), None);
    }
    assert_eq!(memory.ram_bytes(), 0x6000);
}

#[test]
fn the_host_address_is_the_pages() {
    let (memory, ..) = machine();
    let base = memory.ram_page(PhysAddr(RAM)).unwrap().host;
    let third = memory.ram_page(PhysAddr(RAM + 0x2345)).unwrap().host;
    assert_eq!(third as usize - base as usize, 0x2000);
}

#[test]
fn device_accesses_are_checked() {
    let (memory, wide, words) = machine();
    let read = |addr, size| memory.io_read(PhysAddr(addr), size);
    assert_eq!(read(0x1000_0012, AccessSize::Byte), Ok(0x12));
    assert_eq!(read(0x1000_0012, AccessSize::Half), Ok(0xff12));
    for (addr, size) in [
        (0x1000_0011, AccessSize::Half),
        (0x1000_0104, AccessSize::Half),
        (0x1000_0108, AccessSize::Double),
        (0x1000_0200, AccessSize::Word),
        (0x1000_0202, AccessSize::Byte),
        (0x2000_0000, AccessSize::Byte),
    ] {
        assert_eq!(read(addr, size), Err(BusError), "{addr:#x}");
        assert_eq!(
            memory.io_write(PhysAddr(addr), size, 0),
            Err(BusError),
            "{addr:#x}"
        );
    }
    memory
        .io_write(PhysAddr(0x1000_0004), AccessSize::Byte, 0x1ff)
        .unwrap();
    assert_eq!(wide.lock().stored, Some((4, 0xff)));
    assert_eq!(words.lock().stored, None);
}

#[test]
fn copies_cross_blocks_and_tell_the_observer() {
    let (memory, ..) = machine();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    memory.set_ram_observer(Box::new(move |first, count| {
        list.lock().push((first, count))
    }));
    let data: Vec<u8> = (0..0x1800u32).map(|i| (i % 251) as u8).collect();
    let at = PhysAddr(RAM + 0x3800);
    memory.write(at, &data).unwrap();
    let mut back = vec![0; data.len()];
    memory.read(at, &mut back).unwrap();
    assert_eq!(back, data);
    assert_eq!(*told.lock(), [(3, 1), (5, 1)]);
    told.lock().clear();
    memory.write(PhysAddr(RAM + 0xfff), &[1, 2]).unwrap();
    memory
        .io_write(PhysAddr(RAM + 0x2008), AccessSize::Double, u64::MAX)
        .unwrap();
    memory
        .io_write(
            PhysAddr(RAM + 0x3ffc),
            AccessSize::Double,
            0x1122_3344_5566_7788,
        )
        .unwrap();
    assert_eq!(*told.lock(), [(0, 2), (2, 1), (3, 1), (5, 1)]);
    let across = memory.io_read(PhysAddr(RAM + 0x3ffc), AccessSize::Double);
    assert_eq!(across, Ok(0x1122_3344_5566_7788));
}

#[test]
fn dma_outside_ram_fails() {
    let (memory, ..) = machine();
    for addr in [0, RAM - 1, RAM + 0x5ff1, 0x1000_0000, u64::MAX] {
        assert_eq!(
            memory.read(PhysAddr(addr), &mut [0; 16]),
            Err(BusError),
            "{addr:#x}"
        );
        assert_eq!(
            memory.write(PhysAddr(addr), &[0; 16]),
            Err(BusError),
            "{addr:#x}"
        );
    }
    assert_eq!(memory.read(PhysAddr(0x1000), &mut [0; 16]), Ok(()));
    assert_eq!(memory.write(PhysAddr(0x1000), &[0; 16]), Err(BusError));
    assert_eq!(memory.read(PhysAddr(0), &mut []), Ok(()));
}

#[test]
fn only_the_loader_writes_rom() {
    let (memory, ..) = machine();
    let at = PhysAddr(0x1008);
    memory.rom_write(at, &[1, 2, 3, 4]).unwrap();
    memory.io_write(at, AccessSize::Word, 0).unwrap();
    assert_eq!(memory.io_read(at, AccessSize::Word), Ok(0x0403_0201));
}

#[test]
fn bad_maps_are_refused() {
    let overlap = |base, size| {
        let mut builder = MemoryBuilder::default();
        builder.ram("ram", PhysAddr(0x1000), ram(0x2000)).unwrap();
        builder.rom("rom", PhysAddr(base), size)?;
        PhysMemory::default().seal(builder)
    };
    assert_eq!(overlap(0x3000, 0x1000), Ok(()));
    assert_eq!(overlap(0, 0x1000), Ok(()));
    for (base, size) in [(0, 0x2000), (0x2000, 0x1000), (0, 0x10000)] {
        assert!(
            matches!(overlap(base, size), Err(MapError::Overlap { .. })),
            "{base:#x}"
        );
    }
    for (base, size) in [
        (0x800, 0x1000),
        (0x3000, 0x800),
        (0x3000, 0),
        (u64::MAX - 0xfff, 0x2000),
    ] {
        assert!(
            matches!(overlap(base, size), Err(MapError::BadRange { .. })),
            "{base:#x}"
        );
    }
}

#[test]
fn mtree_lists_by_address() {
    let (memory, ..) = machine();
    let text = memory.mtree();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1], "  0000000000001000-0000000000001fff (rom): mrom");
    assert_eq!(lines[2], "  0000000010000000-00000000100000ff (i/o): wide");
    assert_eq!(lines.len(), 6);
}
