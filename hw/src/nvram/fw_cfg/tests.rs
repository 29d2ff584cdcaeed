//! fw_cfg by register and by DMA.

use super::*;
use crate::core::testing::{FakeMemory, ManualTimers, RAM_BASE, fuzz};

struct Rig {
    fw_cfg: Arc<Mutex<FwCfg>>,
    memory: Arc<FakeMemory>,
}

impl Rig {
    fn new() -> Self {
        let memory = FakeMemory::new(0x4000);
        let fw_cfg = FwCfg::new(memory.clone());
        Self { fw_cfg, memory }
    }
    fn select(&self, key: u16) {
        self.fw_cfg
            .lock()
            .write(SELECTOR, AccessSize::Half, key.swap_bytes().into());
    }
    fn bytes(&self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| self.fw_cfg.lock().read(DATA, AccessSize::Byte) as u8)
            .collect()
    }
    /// Puts the structure at the start of RAM, starts, and returns the control word after it.
    fn dma(&self, control: u32, length: u32, address: u64) -> u32 {
        let fields = [
            &control.to_be_bytes()[..],
            &length.to_be_bytes(),
            &address.to_be_bytes(),
        ];
        self.memory.put(RAM_BASE, &fields.concat());
        let mut fw_cfg = self.fw_cfg.lock();
        fw_cfg.write(DMA, AccessSize::Word, 0);
        fw_cfg.write(
            DMA + 4,
            AccessSize::Word,
            u64::from((RAM_BASE as u32).swap_bytes()),
        );
        u32::from_be_bytes(self.memory.get(RAM_BASE))
    }
}

fn select_and(command: u32, key: u16) -> u32 {
    u32::from(key) << 16 | control::SELECT | command
}

#[test]
fn signature_and_id_in_any_width() {
    let rig = Rig::new();
    rig.select(keys::SIGNATURE);
    assert_eq!(rig.bytes(6), b"QEMU\0\0");
    for (size, expected) in [
        (AccessSize::Half, 0x4551),
        (AccessSize::Double, 0x554d_4551),
    ] {
        rig.select(keys::SIGNATURE);
        assert_eq!(rig.fw_cfg.lock().read(DATA, size), expected);
    }
    rig.select(keys::ID);
    assert_eq!(rig.fw_cfg.lock().read(DATA, AccessSize::Word), 3);
    let signature = rig.fw_cfg.lock().read(DMA, AccessSize::Double);
    assert_eq!(&signature.to_le_bytes(), b"QEMU CFG");
}

#[test]
fn numbers_and_strings() {
    let rig = Rig::new();
    rig.fw_cfg.lock().add_u16(keys::NB_CPUS, 4);
    rig.fw_cfg.lock().add_u64(keys::RAM_SIZE, 1 << 32);
    rig.fw_cfg.lock().add_string(keys::CMDLINE_DATA, "quiet");
    for (key, expected) in [
        (keys::NB_CPUS, &b"\x04\0\0"[..]),
        (keys::RAM_SIZE, b"\0\0\0\0\x01\0\0\0"),
        (keys::CMDLINE_DATA, b"quiet\0\0"),
        (0x33, b"\0"),
        (0xffff, b"\0"),
    ] {
        rig.select(key);
        assert_eq!(rig.bytes(expected.len()), expected, "{key:#x}");
    }
}

#[test]
fn directory_is_sorted_and_leads_to_files() {
    let rig = Rig::new();
    rig.fw_cfg.lock().add_file("opt/z", b"zzz".into()).unwrap();
    rig.fw_cfg.lock().add_file("etc/a", b"a".into()).unwrap();
    rig.select(keys::FILE_DIR);
    assert_eq!(rig.bytes(4), [0, 0, 0, 2]);
    for (name, size, key) in [("etc/a", 1, 0x20), ("opt/z", 3, 0x21)] {
        let entry = rig.bytes(64);
        assert_eq!(entry[..8], [0, 0, 0, size, 0, key, 0, 0]);
        assert_eq!(
            entry[8..].trim_ascii_end().strip_suffix(&ZEROS[..51]),
            Some(name.as_bytes())
        );
    }
    rig.select(0x21);
    assert_eq!(rig.bytes(3), b"zzz");
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let rig = Rig::new();
    let add = |name: &str| rig.fw_cfg.lock().add_file(name, Vec::new());
    assert_eq!(add("a"), Ok(()));
    assert_eq!(add("a"), Err(FwCfgError::Exists("a".into())));
    let long = "x".repeat(56);
    assert_eq!(add(&long), Err(FwCfgError::NameTooLong(long.clone())));
    for n in 1..FILE_SLOTS {
        assert_eq!(add(&format!("f{n}")), Ok(()));
    }
    assert_eq!(add("late"), Err(FwCfgError::Full("late".into())));
}

#[test]
fn dma_reads_skips_and_pads() {
    let rig = Rig::new();
    rig.fw_cfg
        .lock()
        .add_bytes(keys::KERNEL_DATA, b"0123456789".into());
    let to = RAM_BASE + 0x100;
    rig.memory.put(to, &[0xff; 8]);
    assert_eq!(
        rig.dma(select_and(control::SKIP, keys::KERNEL_DATA), 4, 0),
        0
    );
    assert_eq!(rig.dma(control::READ, 3, to), 0);
    assert_eq!(&rig.memory.get::<4>(to), b"456\xff");
    assert_eq!(rig.dma(control::READ, 5, to), 0);
    assert_eq!(&rig.memory.get::<6>(to), b"789\0\0\xff");
    assert_eq!(rig.dma(select_and(0, keys::KERNEL_DATA), 0, 0), 0);
    assert_eq!(rig.bytes(2), b"01");
}

#[test]
fn dma_failures_set_the_error_bit() {
    let rig = Rig::new();
    let read_signature = select_and(control::READ, keys::SIGNATURE);
    assert_eq!(rig.dma(read_signature, 4, 0x1000), control::ERROR);
    assert_eq!(
        rig.dma(read_signature, u32::MAX, RAM_BASE + 0x100),
        control::ERROR
    );
    assert_eq!(
        rig.dma(read_signature, u32::MAX, u64::MAX - 8),
        control::ERROR
    );
    assert_eq!(rig.dma(control::WRITE, 4, RAM_BASE + 0x100), control::ERROR);
    rig.fw_cfg.lock().write(DMA, AccessSize::Double, u64::MAX);
}

#[test]
fn random_accesses_do_no_harm() {
    for seed in 0..8 {
        let rig = Rig::new();
        let device: Arc<Mutex<dyn MmioDevice>> = rig.fw_cfg.clone();
        fuzz(&device, FW_CFG_SIZE, seed, &ManualTimers::new());
    }
}
