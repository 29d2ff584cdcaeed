//! Joins memory, vCPUs and board to a machine (QEMU's `hw/core/machine.c` and the boards' `init`).
//!
//! The order follows from who needs whom: memory that is still empty, vCPUs on it, the board with
//! wires to the vCPUs, then the board's windows in memory, then the accelerator.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use accel_tcg::CpuCommon;
use guest_riscv::{Isa, RiscvCpu};
use hw::core::loader::Blob;
use hw::rtc::goldfish_rtc::RtcConfig;
use hw_riscv::{IsaDescription, Machine, MachineWiring, VirtConfig};
use include::{CharBackend, Clock, ClockType, IrqSink, RunStateControl};
use util::mmap_alloc::RamBlock;
use util::timer::Timers;

use crate::accel::{Accelerator, MakeAccelerator};
use crate::backends::Backends;
use crate::memory::{MemoryBuilder, PhysMemory};
use crate::options::{Named, Options, Rtc, RtcBase};
use crate::runstate::MachineControl;
use crate::{datadir, ram_backend};

/// QEMU's default for `virt`.
const RAM_DEFAULT: u64 = 128 << 20;
const CPU_DEFAULT: &str = "rv64";

/// What the host side gives.
pub struct Host {
    pub timers: Arc<Timers>,
    pub runstate: Arc<dyn RunStateControl>,
    pub serials: Vec<Arc<dyn CharBackend>>,
    pub backends: Arc<Backends>,
}

/// A board with its memory and vCPUs, all in power-on state but for [`Joined::reset`].
pub struct Board {
    pub board: Machine,
    pub memory: Arc<PhysMemory>,
    cpus: Vec<Box<RiscvCpu>>,
}

/// A machine that can run.
pub struct Joined {
    pub board: Machine,
    pub memory: Arc<PhysMemory>,
    pub accel: Arc<dyn Accelerator>,
}

/// Builds the board and its vCPUs. Errors are sentences that name the option.
pub fn build(options: &Options, host: &Host) -> Result<Board, String> {
    let cpu = options.cpu.clone().unwrap_or(Named {
        name: CPU_DEFAULT.into(),
        ..Named::default()
    });
    let isa = Isa::parse(&cpu.name, &cpu.properties).map_err(|error| error.to_string())?;
    let config = virt_config(options, &isa, host)?;
    let memory = Arc::new(PhysMemory::default());
    let mut cpus: Vec<_> = (0..config.harts)
        .map(|index| {
            let common = CpuCommon::new(index, memory.clone(), host.timers.clone());
            Box::new(RiscvCpu::new(isa.clone(), common))
        })
        .collect();
    let wiring = MachineWiring {
        memory: memory.clone(),
        timers: host.timers.clone(),
        runstate: host.runstate.clone(),
        serials: host.serials.clone(),
        cpu_irqs: cpus
            .iter()
            .map(|cpu| cpu.common.shared.clone() as Arc<dyn IrqSink>)
            .collect(),
        entropy: host.backends.entropy(),
        host: host.backends.clone(),
    };
    let board = hw_riscv::build(&config, &wiring).map_err(|error| error.to_string())?;
    for cpu in &mut cpus {
        cpu.connect_time(board.time.clone(), host.timers.as_ref());
    }
    Ok(Board {
        board,
        memory,
        cpus,
    })
}

impl Board {
    /// Puts RAM, ROM and devices on the bus and the vCPUs on an accelerator.
    pub fn join(
        self,
        options: &Options,
        timers: &Arc<Timers>,
        make: MakeAccelerator,
    ) -> Result<Joined, String> {
        let Board {
            board,
            memory,
            cpus,
        } = self;
        map(&board, &memory, ram_backend::open(options, &board.ram)?)?;
        let accel = make(options, cpus, timers)?;
        let observer = accel.clone();
        memory.set_ram_observer(Box::new(move |first, count| {
            observer.ram_written(first, count)
        }));
        Ok(Joined {
            board,
            memory,
            accel,
        })
    }
}

fn map(board: &Machine, memory: &PhysMemory, ram: RamBlock) -> Result<(), String> {
    let in_memory = |error| format!("-m: {error}");
    let mut builder = MemoryBuilder::default();
    builder
        .ram("ram", include::PhysAddr(board.ram.start), ram)
        .map_err(in_memory)?;
    let mrom = &board.mrom;
    builder
        .rom(mrom.name, mrom.base, mrom.size)
        .map_err(in_memory)?;
    for mapping in &board.mappings {
        let device = mapping.device.clone();
        builder
            .device(mapping.name, mapping.base, mapping.size, device)
            .map_err(in_memory)?;
    }
    memory.seal(builder).map_err(in_memory)
}

impl MachineControl for Joined {
    fn pause_cpus(&self) {
        self.accel.pause();
    }

    fn resume_cpus(&self) {
        self.accel.resume();
    }

    fn reset(&self) {
        let mrom = &self.board.mrom;
        let written = self.memory.rom_write(mrom.base, &mrom.bytes);
        written.expect("the board's ROM is on the bus and holds its bytes");
        let loaded = self.board.reset(self.memory.as_ref());
        loaded.expect("the board's images lie in the RAM that it asked for");
        self.accel.reset(self.board.reset_pc);
    }
}

fn virt_config(options: &Options, isa: &Isa, host: &Host) -> Result<VirtConfig, String> {
    let ram_size = ram_backend::bytes(options).unwrap_or(RAM_DEFAULT);
    let read = |option, path: &Option<PathBuf>| {
        let blob = path.as_ref().map(|path| Blob::read(option, path, ram_size));
        blob.transpose().map_err(|error| error.to_string())
    };
    let bios = datadir::firmware(&options.bios, &datadir::folders(&options.data_dirs))?;
    Ok(VirtConfig {
        ram_size,
        harts: options.smp.cpus as usize,
        isa: describe(isa),
        bios: read("-bios", &bios)?,
        kernel: read("-kernel", &options.kernel)?,
        initrd: read("-initrd", &options.initrd)?,
        append: options.append.clone(),
        dtb: read("-dtb", &options.dtb)?,
        devices: host.backends.devices(options),
        virtio_mmio: options.virtio_mmio,
        rtc: rtc(options.rtc, &host.timers),
    })
}

fn rtc(rtc: Rtc, timers: &Timers) -> RtcConfig {
    let host_ns = timers.now_ns(ClockType::Host);
    let start_ns = match rtc.base {
        RtcBase::Utc => host_ns,
        RtcBase::LocalTime => {
            let ahead_s = util::localtime::utc_offset_s(host_ns / 1_000_000_000);
            host_ns.wrapping_add(ahead_s.wrapping_mul(1_000_000_000))
        }
        RtcBase::Date(seconds) => seconds.wrapping_mul(1_000_000_000),
    };
    // Read once for the difference, so that base=utc on the host's clock is exactly 0 off.
    let clock_ns = match rtc.clock {
        ClockType::Host => host_ns,
        other => timers.now_ns(other),
    };
    RtcConfig {
        clock: rtc.clock,
        offset_ns: start_ns.wrapping_sub(clock_ns),
    }
}

fn describe(isa: &Isa) -> IsaDescription {
    use guest_riscv::Ext;
    let block = |ext, size: u64| isa.has(ext).then_some(size as u32);
    IsaDescription {
        isa: isa.isa_string(),
        isa_base: "rv64i".into(),
        extensions: isa.isa_extensions(),
        mmu_type: isa.mmu_type().into(),
        cbom_block_size: block(Ext::Zicbom, isa.cbom_blocksize),
        cboz_block_size: block(Ext::Zicboz, isa.cboz_blocksize),
        cbop_block_size: block(Ext::Zicbop, isa.cbop_blocksize),
        hpm_counters: hpm_counters(),
    }
}

/// Bits from `mhpmcounter3` on.
fn hpm_counters() -> u32 {
    (u32::MAX >> (32 - guest_riscv::cpu::HPM_COUNTERS)) << 3
}
