//! The `virt` machine: QEMU's board for guests that need no particular hardware.
//!
//! [`memory_map`] is the table that everything follows: the windows on the bus, the wires to the
//! PLIC, the device tree. `docs/machines-virt.md` compares the machine with QEMU's.

mod config;
mod devices;
mod error;
pub mod fdt;
pub mod memory_map;

use std::ops::Range;
use std::sync::Arc;

use hw::char::serial::Serial;
use hw::core::Mapping;
use hw::core::device_tree::{property_values, set_properties};
use hw::core::loader::elf::Symbol;
use hw::core::loader::{Rom, RomSet};
use hw::intc::riscv_aclint::{AclintMtimer, AclintSwi, Mtime, SWI_SIZE};
use hw::intc::sifive_plic::{PlicConfig, SifivePlic};
use hw::misc::sifive_test::SifiveTest;
use hw::nvram::fw_cfg::{FwCfg, keys};
use hw::rtc::goldfish_rtc::GoldfishRtc;
use hw::virtio::drivers;
use hw::virtio::virtio_bus::VirtioBus;
use hw::virtio::virtio_mmio::VirtioMmio;
use include::{AddressSpace, BusError, IrqLine, IrqSink, MmioDevice, PhysAddr, TickCounter};
use parking_lot::Mutex;

use crate::boot::{self, Kernel, ResetVector};
pub use config::{Entropy, IsaDescription, MachineWiring, VirtConfig};
pub use error::BoardError;
use fdt::{FdtConfig, MEIP, MSIP, MTIP, SEIP};
use memory_map::{
    CLINT, DRAM, FW_CFG, MROM, PLIC, PLIC_PRIORITIES, PLIC_SOURCES, RTC, Region, TEST, TIMEBASE_HZ,
    UART0, VIRTIO,
};

/// Most harts that `-smp` may ask for.
pub const HARTS_MAX: usize = 8;
/// RAM comes in pages.
const PAGE_SIZE: u64 = 4096;

/// A `virt` machine, ready to be put on the bus.
pub struct Machine {
    /// The device windows.
    pub mappings: Vec<Mapping>,
    /// Where RAM is.
    pub ram: Range<u64>,
    /// The ROM with the reset vector.
    pub mrom: RomRegion,
    /// What [`Machine::reset`] copies to RAM.
    pub roms: Vec<Rom>,
    /// Where all harts start, after power-on and reset.
    pub reset_pc: PhysAddr,
    /// `mtime`, which CPUs read as `time`.
    pub time: Arc<dyn TickCounter>,
    /// The device tree as the guest finds it: `-machine dumpdtb`.
    pub fdt: Arc<Vec<u8>>,
    /// Where it is.
    pub fdt_addr: PhysAddr,
    /// The slots of virtio over MMIO, for devices that are not made by `-device`.
    pub virtio_slots: Vec<Arc<Mutex<VirtioBus>>>,
    /// Functions of firmware and kernel, for `-d in_asm`.
    pub symbols: Vec<Symbol>,
    entropy: Entropy,
}

/// Read-only memory on the bus.
#[derive(Clone, Debug)]
pub struct RomRegion {
    pub name: &'static str,
    pub base: PhysAddr,
    /// Bytes on the bus: zeros follow the contents.
    pub size: u64,
    pub bytes: Arc<Vec<u8>>,
}

/// Builds the machine. Nothing runs yet and nothing is in guest memory: that is
/// [`Machine::reset`], once the caller has put RAM, `mrom` and `mappings` on the bus.
pub fn build(config: &VirtConfig, wiring: &MachineWiring) -> Result<Machine, BoardError> {
    check(config, wiring)?;
    let ram = DRAM.base..DRAM.base + config.ram_size;
    let mut board = Board::new(wiring);
    board.interrupt_controllers(wiring);
    board.devices(config, wiring);
    drivers::plug_all(&config.devices, &board.virtio_slots, &wiring.host)?;

    let mut roms = RomSet::new(ram.clone());
    let payload = Payload::load(config, &mut roms)?;
    let fdt = payload.device_tree(config, wiring)?;
    let fdt_addr = place_fdt(config, &payload, &fdt, &mut roms)?;
    let vector = ResetVector {
        start: payload.entry,
        fdt: fdt_addr,
        next: payload.next(),
    };
    Ok(Machine {
        mappings: board.mappings,
        ram,
        mrom: RomRegion {
            name: MROM.name,
            base: PhysAddr(MROM.base),
            size: MROM.size,
            bytes: vector.bytes(),
        },
        roms: roms.into_roms(),
        reset_pc: PhysAddr(MROM.base),
        time: board.time,
        fdt,
        fdt_addr: PhysAddr(fdt_addr),
        virtio_slots: board.virtio_slots,
        symbols: payload.symbols,
        entropy: wiring.entropy.clone(),
    })
}

impl Machine {
    /// Power-on or reset, with all vCPUs stopped: devices go back to their first state, and
    /// firmware, kernel, initrd and device tree back to RAM. Fails if `memory` has no RAM where
    /// this machine has it.
    pub fn reset(&self, memory: &dyn AddressSpace) -> Result<(), BusError> {
        for mapping in &self.mappings {
            mapping.device.lock().reset();
        }
        self.roms.iter().try_for_each(|rom| rom.write_to(memory))?;
        self.new_seeds(memory)
    }

    /// Every boot gets another `rng-seed`, in a tree of the user's as well.
    fn new_seeds(&self, memory: &dyn AddressSpace) -> Result<(), BusError> {
        for range in property_values(&self.fdt, "rng-seed").unwrap_or_default() {
            let mut seed = vec![0; range.len()];
            match (self.entropy)(&mut seed) {
                Ok(()) => memory.write(self.fdt_addr.add(range.start as u64), &seed)?,
                Err(error) => log::warn!("rng-seed stays as it was: {error}"),
            }
        }
        Ok(())
    }
}

fn check(config: &VirtConfig, wiring: &MachineWiring) -> Result<(), BoardError> {
    if !(1..=HARTS_MAX).contains(&config.harts) {
        return Err(BoardError::Harts {
            asked: config.harts,
            max: HARTS_MAX,
        });
    }
    let ram = config.ram_size;
    if ram == 0 || !ram.is_multiple_of(PAGE_SIZE) || ram > DRAM.size {
        return Err(BoardError::RamSize(ram));
    }
    if wiring.serials.len() > 1 {
        return Err(BoardError::Serials(wiring.serials.len()));
    }
    if config.kernel.is_none() {
        if config.initrd.is_some() {
            return Err(BoardError::NeedsKernel("-initrd"));
        }
        if config.append.is_some() {
            return Err(BoardError::NeedsKernel("-append"));
        }
    }
    assert_eq!(
        wiring.cpu_irqs.len(),
        config.harts,
        "one interrupt sink per hart"
    );
    Ok(())
}

/// The devices, while they are being joined.
struct Board {
    mappings: Vec<Mapping>,
    /// The inputs of the PLIC.
    plic: Arc<dyn IrqSink>,
    time: Arc<Mtime>,
    virtio_slots: Vec<Arc<Mutex<VirtioBus>>>,
}

impl Board {
    /// With the PLIC, which all others lead to.
    fn new(wiring: &MachineWiring) -> Self {
        let contexts = wiring
            .cpu_irqs
            .iter()
            .flat_map(|cpu| [MEIP, SEIP].map(|input| IrqLine::new(cpu.clone(), input)));
        let config = PlicConfig {
            sources: PLIC_SOURCES,
            priorities: PLIC_PRIORITIES,
        };
        let plic = SifivePlic::new(config, contexts.collect());
        let mut board = Self {
            mappings: Vec::new(),
            plic: plic.lock().inputs(),
            time: Mtime::new(wiring.timers.clone(), TIMEBASE_HZ.into()),
            virtio_slots: Vec::new(),
        };
        board.map(&PLIC, 0, plic);
        board
    }

    fn map(&mut self, region: &Region, n: u64, device: Arc<Mutex<dyn MmioDevice>>) {
        self.mappings.push(Mapping {
            name: region.name,
            base: PhysAddr(region.base_of(n)),
            size: region.window,
            device,
        });
    }

    /// The wire of piece `n` of `region`.
    fn irq(&self, region: &Region, n: u64) -> IrqLine {
        IrqLine::new(self.plic.clone(), region.irq_of(n))
    }

    /// The ACLINT: two devices in one row.
    fn interrupt_controllers(&mut self, wiring: &MachineWiring) {
        let inputs = |input| {
            let wires = wiring
                .cpu_irqs
                .iter()
                .map(|cpu| IrqLine::new(cpu.clone(), input));
            wires.collect::<Vec<_>>()
        };
        let mswi = Region {
            name: "mswi",
            window: SWI_SIZE,
            ..CLINT
        };
        self.map(&mswi, 0, AclintSwi::new(inputs(MSIP)));
        let mtimer = Region {
            name: "mtimer",
            base: CLINT.base + SWI_SIZE,
            window: CLINT.window - SWI_SIZE,
            ..CLINT
        };
        let device = AclintMtimer::new(self.time.clone(), wiring.timers.clone(), inputs(MTIP));
        self.map(&mtimer, 0, device);
    }

    fn devices(&mut self, config: &VirtConfig, wiring: &MachineWiring) {
        self.map(&TEST, 0, SifiveTest::new(wiring.runstate.clone()));
        let irq = self.irq(&RTC, 0);
        self.map(
            &RTC,
            0,
            GoldfishRtc::new(config.rtc, irq, wiring.timers.clone()),
        );
        let backend = wiring.serials.first().cloned();
        let backend = backend.unwrap_or_else(|| Arc::new(devices::NoBackend));
        let irq = self.irq(&UART0, 0);
        self.map(&UART0, 0, Serial::new(backend, irq, wiring.timers.clone()));
        for slot in 0..VIRTIO.count {
            let irq = self.irq(&VIRTIO, slot);
            let transport = VirtioMmio::new(config.virtio_mmio, wiring.memory.clone(), irq);
            self.virtio_slots.push(transport.lock().bus());
            self.map(&VIRTIO, slot, transport);
        }
        let fw_cfg = FwCfg::new(wiring.memory.clone());
        fw_cfg.lock().add_u16(keys::NB_CPUS, config.harts as u16);
        self.map(&FW_CFG, 0, fw_cfg);
    }
}

/// Firmware, kernel and initrd, placed.
struct Payload {
    /// Where harts go from the reset vector.
    entry: u64,
    kernel: Option<Kernel>,
    /// First address, and the one after the last byte.
    initrd: Option<(u64, u64)>,
    symbols: Vec<Symbol>,
}

impl Payload {
    fn load(config: &VirtConfig, roms: &mut RomSet) -> Result<Self, BoardError> {
        let firmware = config.bios.as_ref();
        let firmware = firmware.map(|bios| boot::load_firmware(bios, DRAM.base, roms));
        let firmware = firmware.transpose()?;
        let kernel_base = boot::kernel_base(firmware.as_ref().map_or(DRAM.base, |f| f.end));
        let kernel = config.kernel.as_ref();
        let kernel = kernel.map(|kernel| boot::load_kernel(kernel, kernel_base, roms));
        let kernel = kernel.transpose()?;
        let initrd = match (&config.initrd, &kernel) {
            (Some(initrd), Some(kernel)) => Some(boot::load_initrd(initrd, kernel, roms)?),
            _ => None,
        };
        // Without firmware the kernel itself runs in M-mode; without both, whatever is in RAM.
        let entry = match (&firmware, &kernel) {
            (Some(firmware), _) => firmware.entry,
            (None, Some(kernel)) => kernel.start,
            (None, None) => DRAM.base,
        };
        let of_firmware = firmware.map_or(Vec::new(), |firmware| firmware.symbols);
        let of_kernel = kernel
            .iter()
            .flat_map(|kernel| kernel.symbols.iter().cloned());
        let symbols = of_firmware.into_iter().chain(of_kernel).collect();
        Ok(Self {
            entry,
            kernel,
            initrd,
            symbols,
        })
    }

    /// Where the firmware goes on.
    fn next(&self) -> u64 {
        self.kernel.as_ref().map_or(0, |kernel| kernel.start)
    }

    /// The address after the last byte that the device tree must not be below.
    fn end(&self) -> u64 {
        let kernel = self.kernel.as_ref().map_or(0, |kernel| kernel.end);
        kernel.max(self.initrd.map_or(0, |(_, end)| end))
    }

    fn device_tree(
        &self,
        config: &VirtConfig,
        wiring: &MachineWiring,
    ) -> Result<Arc<Vec<u8>>, BoardError> {
        let bootargs = config.append.as_deref();
        let fdt = match &config.dtb {
            Some(dtb) => {
                let properties = fdt::boot_properties(self.initrd, bootargs);
                let patched = set_properties(&dtb.bytes, "chosen", &properties);
                patched.map_err(|error| dtb.error(error.into()))?
            }
            None => {
                let mut rng_seed = [0; fdt::RNG_SEED_BYTES];
                (wiring.entropy)(&mut rng_seed).map_err(BoardError::Entropy)?;
                fdt::generate(&FdtConfig {
                    ram_size: config.ram_size,
                    harts: config.harts,
                    isa: &config.isa,
                    initrd: self.initrd,
                    bootargs,
                    rng_seed,
                })?
            }
        };
        Ok(Arc::new(fdt))
    }
}

/// Puts the device tree at the end of RAM.
fn place_fdt(
    config: &VirtConfig,
    payload: &Payload,
    fdt: &Arc<Vec<u8>>,
    roms: &mut RomSet,
) -> Result<u64, BoardError> {
    let addr = boot::fdt_base(roms.ram().end, fdt.len() as u64);
    let rom = Rom::whole("the device tree", PhysAddr(addr), fdt.clone());
    let fits = addr >= payload.end() && roms.add_generated(rom).is_ok();
    if fits {
        Ok(addr)
    } else {
        Err(BoardError::NoRoomForDeviceTree {
            ram: config.ram_size,
        })
    }
}
