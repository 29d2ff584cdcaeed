//! The flattened device tree of `virt`, node for node in the order of QEMU 11's.
//!
//! Addresses and interrupts come from the memory map. Phandles are numbered as in QEMU: two per
//! hart from the last hart down, then the PLIC, then the test finisher.

use hw::misc::sifive_test::{PASS, RESET};
use vm_fdt::{Error, FdtWriter};

use super::config::IsaDescription;
use super::memory_map::{
    CLINT, DRAM, FW_CFG, PLIC, PLIC_SOURCES, RTC, Region, TEST, TIMEBASE_HZ, UART0, VIRTIO,
};

/// Bits of `mip`, which are interrupt numbers of a hart.
pub const MSIP: u32 = 3;
pub const MTIP: u32 = 7;
pub const SEIP: u32 = 9;
pub const MEIP: u32 = 11;

/// Input clock of the UART: 115200 baud times 16 times 2.
const UART_CLOCK_HZ: u32 = 3_686_400;
/// Length of `rng-seed`.
pub const RNG_SEED_BYTES: usize = 32;

/// What the tree says besides the memory map.
#[derive(Clone, Debug)]
pub struct FdtConfig<'a> {
    pub ram_size: u64,
    pub harts: usize,
    pub isa: &'a IsaDescription,
    /// `linux,initrd-start` and `linux,initrd-end`.
    pub initrd: Option<(u64, u64)>,
    pub bootargs: Option<&'a str>,
    pub rng_seed: [u8; RNG_SEED_BYTES],
}

type Result<T = ()> = std::result::Result<T, Error>;

/// Writes the tree.
pub fn generate(config: &FdtConfig<'_>) -> Result<Vec<u8>> {
    let mut tree = Tree {
        fdt: FdtWriter::new()?,
        config,
    };
    tree.node("", Tree::root)?;
    tree.fdt.finish()
}

/// `/chosen` without what the machine itself adds: also what `-dtb FILE` gets.
pub fn boot_properties(
    initrd: Option<(u64, u64)>,
    bootargs: Option<&str>,
) -> Vec<(&'static str, Vec<u8>)> {
    let mut properties = Vec::new();
    if let Some(bootargs) = bootargs.filter(|bootargs| !bootargs.is_empty()) {
        properties.push(("bootargs", [bootargs.as_bytes(), &[0]].concat()));
    }
    if let Some((start, end)) = initrd {
        properties.push(("linux,initrd-end", end.to_be_bytes().to_vec()));
        properties.push(("linux,initrd-start", start.to_be_bytes().to_vec()));
    }
    properties
}

struct Tree<'a> {
    fdt: FdtWriter,
    config: &'a FdtConfig<'a>,
}

/// Strings, each with its NUL, as one value.
fn strings<'s>(strings: impl IntoIterator<Item = &'s str>) -> Vec<u8> {
    strings
        .into_iter()
        .flat_map(|s| s.bytes().chain([0]))
        .collect()
}

/// An address or a size in two cells.
fn cells2(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

impl Tree<'_> {
    fn node(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result) -> Result {
        let node = self.fdt.begin_node(name)?;
        body(self)?;
        self.fdt.end_node(node)
    }

    /// A node named by the address of a piece of `region`.
    fn unit(&mut self, name: &str, base: u64, body: impl FnOnce(&mut Self) -> Result) -> Result {
        self.node(&format!("{name}@{base:x}"), body)
    }

    fn string(&mut self, name: &str, value: &str) -> Result {
        self.fdt.property_string(name, value)
    }

    fn compatible(&mut self, values: &[&str]) -> Result {
        self.fdt
            .property("compatible", &strings(values.iter().copied()))
    }

    fn cell(&mut self, name: &str, value: u32) -> Result {
        self.fdt.property_u32(name, value)
    }

    fn cells(&mut self, name: &str, values: &[u32]) -> Result {
        self.fdt.property_array_u32(name, values)
    }

    fn flag(&mut self, name: &str) -> Result {
        self.fdt.property_null(name)
    }

    fn reg(&mut self, base: u64, size: u64) -> Result {
        self.cells("reg", &[cells2(base), cells2(size)].concat())
    }

    /// `interrupts`, `interrupt-parent`, `reg` and `compatible`, as devices behind the PLIC have.
    fn wired(&mut self, irq: u32) -> Result {
        self.cell("interrupts", irq)?;
        self.cell("interrupt-parent", self.plic_phandle())
    }

    fn harts(&self) -> u32 {
        self.config.harts as u32
    }

    fn cpu_phandle(&self, hart: u32) -> u32 {
        1 + 2 * (self.harts() - 1 - hart)
    }

    fn intc_phandle(&self, hart: u32) -> u32 {
        self.cpu_phandle(hart) + 1
    }

    fn plic_phandle(&self) -> u32 {
        2 * self.harts() + 1
    }

    fn test_phandle(&self) -> u32 {
        2 * self.harts() + 2
    }

    fn root(&mut self) -> Result {
        self.cell("#address-cells", 2)?;
        self.cell("#size-cells", 2)?;
        self.compatible(&["riscv-virtio"])?;
        self.string("model", "riscv-virtio,qemu")?;
        self.syscon("poweroff", "syscon-poweroff", PASS.into())?;
        self.syscon("reboot", "syscon-reboot", RESET.into())?;
        self.memory()?;
        self.node("cpus", Self::cpus)?;
        self.pmu()?;
        self.fw_cfg()?;
        self.node("aliases", |t| t.string("serial0", &serial_path()))?;
        self.node("chosen", Self::chosen)?;
        self.node("soc", Self::soc)
    }

    fn syscon(&mut self, name: &str, compatible: &str, value: u32) -> Result {
        self.node(name, |t| {
            t.cell("value", value)?;
            t.cell("offset", 0)?;
            t.cell("regmap", t.test_phandle())?;
            t.compatible(&[compatible])
        })
    }

    fn memory(&mut self) -> Result {
        self.unit("memory", DRAM.base, |t| {
            t.string("device_type", "memory")?;
            t.reg(DRAM.base, t.config.ram_size)
        })
    }

    fn cpus(&mut self) -> Result {
        self.cell("#address-cells", 1)?;
        self.cell("#size-cells", 0)?;
        self.cell("timebase-frequency", TIMEBASE_HZ)?;
        for hart in 0..self.harts() {
            self.unit("cpu", hart.into(), |t| t.cpu(hart))?;
        }
        self.node("cpu-map", |t| {
            t.node("cluster0", |t| {
                (0..t.harts()).try_for_each(|hart| {
                    t.node(&format!("core{hart}"), |t| {
                        t.cell("cpu", t.cpu_phandle(hart))
                    })
                })
            })
        })
    }

    fn cpu(&mut self, hart: u32) -> Result {
        let isa = self.config.isa;
        self.fdt.property_phandle(self.cpu_phandle(hart))?;
        self.string("device_type", "cpu")?;
        self.cell("reg", hart)?;
        self.string("status", "okay")?;
        self.compatible(&["riscv"])?;
        for (name, size) in [
            ("riscv,cbop-block-size", isa.cbop_block_size),
            ("riscv,cboz-block-size", isa.cboz_block_size),
            ("riscv,cbom-block-size", isa.cbom_block_size),
        ] {
            size.map_or(Ok(()), |size| self.cell(name, size))?;
        }
        let extensions = strings(isa.extensions.iter().map(String::as_str));
        self.fdt.property("riscv,isa-extensions", &extensions)?;
        self.string("riscv,isa-base", &isa.isa_base)?;
        self.string("riscv,isa", &isa.isa)?;
        self.string("mmu-type", &isa.mmu_type)?;
        self.node("interrupt-controller", |t| {
            t.cell("#interrupt-cells", 1)?;
            t.flag("interrupt-controller")?;
            t.compatible(&["riscv,cpu-intc"])?;
            t.fdt.property_phandle(t.intc_phandle(hart))
        })
    }

    /// Which counters can count which events of the SBI's PMU extension: cycles also
    /// `mcycle`, instructions also `minstret`, TLB misses (data loads, stores, fetches) the
    /// programmable ones only.
    fn pmu(&mut self) -> Result {
        let counters = self.config.isa.hpm_counters;
        if counters == 0 {
            return Ok(());
        }
        const CYCLES: u32 = 0x1;
        const INSTRUCTIONS: u32 = 0x2;
        const DTLB_LOADS: u32 = 0x1_0019;
        const DTLB_STORES: u32 = 0x1_001b;
        const ITLB_LOADS: u32 = 0x1_0021;
        let row = |event, fixed| [event, event, counters | fixed];
        let map = [
            row(CYCLES, 1 << 0),
            row(INSTRUCTIONS, 1 << 2),
            row(DTLB_LOADS, 0),
            row(DTLB_STORES, 0),
            row(ITLB_LOADS, 0),
        ];
        self.node("pmu", |t| {
            t.cells("riscv,event-to-mhpmcounters", map.as_flattened())?;
            t.compatible(&["riscv,pmu"])
        })
    }

    fn fw_cfg(&mut self) -> Result {
        self.unit("fw-cfg", FW_CFG.base, |t| {
            t.flag("dma-coherent")?;
            t.reg(FW_CFG.base, FW_CFG.size)?;
            t.compatible(&["qemu,fw-cfg-mmio"])
        })
    }

    fn chosen(&mut self) -> Result {
        for (name, value) in boot_properties(self.config.initrd, self.config.bootargs) {
            self.fdt.property(name, &value)?;
        }
        self.string("stdout-path", &serial_path())?;
        self.fdt.property("rng-seed", &self.config.rng_seed)
    }

    fn soc(&mut self) -> Result {
        self.cell("#address-cells", 2)?;
        self.cell("#size-cells", 2)?;
        self.compatible(&["simple-bus"])?;
        self.flag("ranges")?;
        self.device("rtc", &RTC, 0, "google,goldfish-rtc", |_| Ok(()))?;
        self.device("serial", &UART0, 0, "ns16550a", |t| {
            t.cell("clock-frequency", UART_CLOCK_HZ)
        })?;
        self.unit("test", TEST.base, |t| {
            t.fdt.property_phandle(t.test_phandle())?;
            t.reg(TEST.base, TEST.size)?;
            t.compatible(&["sifive,test1", "sifive,test0", "syscon"])
        })?;
        for slot in (0..VIRTIO.count).rev() {
            self.device("virtio_mmio", &VIRTIO, slot, "virtio,mmio", |_| Ok(()))?;
        }
        self.unit("interrupt-controller", PLIC.base, Self::plic)?;
        self.unit("clint", CLINT.base, Self::clint)
    }

    /// Piece `n` of `region`, wired to the PLIC.
    fn device(
        &mut self,
        name: &str,
        region: &Region,
        n: u64,
        compatible: &str,
        extra: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        self.unit(name, region.base_of(n), |t| {
            t.wired(region.irq_of(n))?;
            extra(t)?;
            t.reg(region.base_of(n), region.size)?;
            t.compatible(&[compatible])
        })
    }

    /// Interrupts of all harts: `numbers` of hart 0, of hart 1, ...
    fn hart_interrupts(&mut self, numbers: &[u32]) -> Result {
        let of_hart = |hart| {
            let phandle = self.intc_phandle(hart);
            numbers.iter().flat_map(move |number| [phandle, *number])
        };
        let cells: Vec<u32> = (0..self.harts()).flat_map(of_hart).collect();
        self.cells("interrupts-extended", &cells)
    }

    fn plic(&mut self) -> Result {
        self.fdt.property_phandle(self.plic_phandle())?;
        self.cell("riscv,ndev", PLIC_SOURCES - 1)?;
        self.reg(PLIC.base, PLIC.size)?;
        self.hart_interrupts(&[MEIP, SEIP])?;
        self.flag("interrupt-controller")?;
        self.compatible(&["sifive,plic-1.0.0", "riscv,plic0"])?;
        self.cell("#address-cells", 0)?;
        self.cell("#interrupt-cells", 1)
    }

    fn clint(&mut self) -> Result {
        self.hart_interrupts(&[MSIP, MTIP])?;
        self.reg(CLINT.base, CLINT.size)?;
        self.compatible(&["sifive,clint0", "riscv,clint0"])
    }
}

/// The UART, where the guest's console is.
fn serial_path() -> String {
    format!("/soc/serial@{:x}", UART0.base)
}
