//! The memory map of `virt`: the one place where its addresses and interrupts are stated.
//!
//! Rows are QEMU 11's `virt_memmap`, as far as there is something behind them
//! (`docs/machines-virt.md` lists what is absent).

use std::ops::Range;

use hw::char::serial::SERIAL_SIZE;
use hw::intc::riscv_aclint::{MTIMER_SIZE, SWI_SIZE};
use hw::intc::sifive_plic::SifivePlic;
use hw::nvram::fw_cfg::FW_CFG_SIZE;
use hw::virtio::virtio_mmio::VIRTIO_MMIO_SIZE;

/// How many harts QEMU's address map has room for; gives the PLIC its size.
const VIRT_CPUS_MAX: u64 = 512;

/// One row: `count` equal pieces of the address space, each with its own interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What `info mtree` would show.
    pub name: &'static str,
    /// First address of the first piece.
    pub base: u64,
    /// Bytes set aside for a piece: what the device tree says.
    pub size: u64,
    /// Bytes that answer; an access behind them is a bus error, as in QEMU.
    pub window: u64,
    /// Pieces.
    pub count: u64,
    /// PLIC source of the first piece; 0 is no source.
    pub irq: u32,
}

impl Region {
    /// First address of piece `n`.
    pub const fn base_of(&self, n: u64) -> u64 {
        self.base + n * self.size
    }

    /// The PLIC source of piece `n`.
    pub const fn irq_of(&self, n: u64) -> u32 {
        self.irq + n as u32
    }

    /// All addresses of the row.
    pub const fn span(&self) -> Range<u64> {
        self.base..self.base_of(self.count)
    }
}

macro_rules! memory_map {
    ($(
        $(#[$doc:meta])*
        $id:ident $name:literal $base:literal $size:expr, $window:expr, $count:literal,
        $irq:literal;
    )*) => {
        $(
            $(#[$doc])*
            pub const $id: Region = Region {
                name: $name,
                base: $base,
                size: $size,
                window: $window,
                count: $count,
                irq: $irq,
            };
        )*
        /// All rows, by address.
        pub const VIRT_MEMORY_MAP: &[Region] = &[$($id),*];
    };
}

memory_map! {
    // id   name        base         size      window       count  irq
    /// Kept free for a debug module; nothing answers.
    DEBUG   "debug"     0x0          0x100,    0,           1,     0;
    /// Reset vector.
    MROM    "mrom"      0x1000       0xf000,   0xf000,      1,     0;
    /// Test finisher: power-off and reset.
    TEST    "test"      0x10_0000    0x1000,   0x1000,      1,     0;
    /// Goldfish RTC.
    RTC     "rtc"       0x10_1000    0x1000,   0x24,        1,     11;
    /// ACLINT: MSWI, then MTIMER.
    CLINT   "clint"     0x200_0000   0x1_0000, CLINT_WINDOW, 1,    0;
    /// PLIC, with QEMU's room for 512 harts.
    PLIC    "plic"      0xc00_0000   PLIC_SIZE, PLIC_SIZE,  1,     0;
    /// 16550A UART.
    UART0   "uart0"     0x1000_0000  0x100,    SERIAL_SIZE, 1,     10;
    /// Slots of virtio over MMIO.
    VIRTIO  "virtio"    0x1000_1000  0x1000,   VIRTIO_MMIO_SIZE, 8, 1;
    /// fw_cfg: data, selector, DMA.
    FW_CFG  "fw_cfg"    0x1010_0000  FW_CFG_SIZE, FW_CFG_SIZE, 1,  0;
    /// RAM; `-m` says how much.
    DRAM    "dram"      0x8000_0000  DRAM_SIZE_MAX, DRAM_SIZE_MAX, 1, 0;
}

const CLINT_WINDOW: u64 = SWI_SIZE + MTIMER_SIZE;
const PLIC_SIZE: u64 = SifivePlic::window_size(2 * VIRT_CPUS_MAX);
/// RAM ends where the physical addresses of RV64 (56 bits) do, if not earlier.
const DRAM_SIZE_MAX: u64 = (1 << 56) - 0x8000_0000;

/// Frequency of `mtime` (QEMU's `RISCV_ACLINT_DEFAULT_TIMEBASE_FREQ`).
pub const TIMEBASE_HZ: u32 = 10_000_000;
/// Sources of the PLIC, the absent source 0 included (QEMU's `VIRT_IRQCHIP_NUM_SOURCES`).
pub const PLIC_SOURCES: u32 = 96;
/// Highest priority of the PLIC: 3 bits.
pub const PLIC_PRIORITIES: u32 = 7;

const _: () = assert_disjoint(VIRT_MEMORY_MAP);
const _: () = assert_distinct_irqs(VIRT_MEMORY_MAP);

const fn assert_disjoint(rows: &[Region]) {
    let mut end = 0;
    let mut i = 0;
    while i < rows.len() {
        let span = rows[i].span();
        assert!(
            end <= span.start,
            "rows overlap or are not sorted by address"
        );
        assert!(span.start < span.end, "an empty row");
        assert!(
            rows[i].window <= rows[i].size,
            "a window is larger than its piece"
        );
        end = span.end;
        i += 1;
    }
}

const fn assert_distinct_irqs(rows: &[Region]) {
    let mut used = 0u128;
    let mut i = 0;
    while i < rows.len() {
        let mut n = 0;
        while rows[i].irq != 0 && n < rows[i].count {
            let irq = rows[i].irq_of(n);
            assert!(irq < PLIC_SOURCES, "the PLIC has no such source");
            assert!(used & (1 << irq) == 0, "two devices share a source");
            used |= 1 << irq;
            n += 1;
        }
        i += 1;
    }
}
